"""Asking the model again: maps of the other strand, and of models whose weights are shuffled."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from sparselrp_cli.errors import InputError, TargetError
from sparselrp_cli.evaluation.evaluated_windows import EvaluatedWindows, Reals
from sparselrp_cli.evaluation.metrics import rank_correlation
from sparselrp_cli.files.digest import FileEntry
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.runs.models import PreparedModel, prepare
from sparselrp_cli.settings.manifest import read_manifest

MOST_STAGES = 8
RANDOMISED, DRAWS = 20, 5


def require_made_with(model: LoadedModel, reader: ArchiveReader) -> None:
    """Stop where an archive is of another model than the one that is asked.

    Raises
    ------
    InputError
    """
    made_with = read_manifest(reader).models
    if len(made_with) > 1:
        raise InputError(
            f"{reader.path} is the mean of several models; one model is asked, so give archives of each alone"
        )
    if made_with[0].digests != [FileEntry.of(path).sha256 for path in model.files]:
        raise InputError(
            f"{reader.path} was made with the model '{made_with[0].name}' from other files than the given"
            f" '{model.name}'; give the model it is of"
        )


def prepared_as(reader: ArchiveReader, model: LoadedModel, device: torch.device) -> PreparedModel:
    """Make the model explain as it did for an archive."""
    settings = read_manifest(reader).settings
    try:
        return prepare(settings, "", model, device)
    except TargetError:
        if len(settings.targets) > 1:
            raise
        # A single scalar is explained without being named, and its name isn't always one to ask for.
        prepared = prepare(replace(settings, targets=()), "", model, device)
        if prepared.explainer.targets[0].name != settings.targets[0]:
            raise
        return prepared


def explained(
    model: PreparedModel, windows: EvaluatedWindows, target: int, *, opposite: bool = False
) -> Reals:
    """Explain windows, or their opposite strand: contributions on the forward strand, shape (n, L)."""
    reverse = (windows.reverse ^ opposite).tolist()
    hypothetical = model.windows.explain(windows.one_hot, reverse, windows.marked).hypothetical[target]
    contributions: Reals = (hypothetical * windows.one_hot).sum(axis=1)
    return contributions


def strand_agreement(windows: EvaluatedWindows, model: PreparedModel, target: int) -> npt.NDArray[np.float64]:
    """Correlate the maps of both strands, both on forward coordinates."""
    there, back = (explained(model, windows, target, opposite=o) for o in (False, True))
    return np.array([rank_correlation(a, b) for a, b in zip(there, back, strict=True)])


def randomised(
    model: PreparedModel,
    reader: ArchiveReader,
    windows: Sequence[EvaluatedWindows],
    target: int,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Shuffle the weights of more and more layers, the last first (Adebayo et al. 2018), several times.

    One draw says little: where the sign of the score flips, so does the map. So magnitudes are compared too.
    """
    before = np.concatenate([explained(model, w, target) for w in windows])
    correlations: dict[int, list[tuple[float, float]]] = {}
    for draw in range(DRAWS):
        generator = torch.Generator().manual_seed(seed * DRAWS + draw)
        for stage, module in _shuffled_models(model.model.module, generator):
            other = prepared_as(
                reader, replace(model.model, module=module, notes=()), model.explainer.graph.device
            )
            after = np.concatenate([explained(other, w, target) for w in windows])
            pairs = list(zip(before, after, strict=True))
            signed = pd.Series([rank_correlation(a, b) for a, b in pairs]).mean()
            magnitudes = pd.Series([rank_correlation(np.abs(a), np.abs(b)) for a, b in pairs]).mean()
            correlations.setdefault(stage, []).append((float(signed), float(magnitudes)))
    for stage, values in correlations.items():
        # Not defined where every draw gives a constant map.
        draws = pd.DataFrame(values, columns=["signed", "magnitudes"])
        yield {
            "layers_shuffled": stage,
            "correlation": draws["signed"].mean(),
            "sd_over_draws": draws["signed"].std(ddof=0),
            "correlation_of_magnitudes": draws["magnitudes"].mean(),
        }


def _shuffled_models(
    module: torch.nn.Module, generator: torch.Generator
) -> Iterator[tuple[int, torch.nn.Module]]:
    """Give copies of which ever more layers, counted from the last, have their weights in another order."""
    module = copy.deepcopy(module)
    layers = [m for m in module.modules() if any(True for _ in m.parameters(recurse=False))][::-1]
    done = 0
    for stage in sorted({round(k * len(layers) / MOST_STAGES) for k in range(1, MOST_STAGES + 1)} - {0}):
        for layer in layers[done:stage]:
            for weight in layer.parameters(recurse=False):
                order = torch.randperm(weight.numel(), generator=generator)
                weight.data = weight.data.flatten()[order].reshape(weight.shape)
        done = stage
        yield stage, module
