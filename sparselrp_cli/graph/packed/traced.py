"""Graphs of shipped models, traced before and kept beside the weights that they are made of.

``traced.json`` is a packed graph without weights of its own. Each constant says what it is made of: a tensor
of the model's weights, or a layer's with the batch normalisation behind it folded in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.operations.batch_norm import scale_and_shift
from sparselrp_cli.graph.packed.reading import read_graph
from sparselrp_cli.graph.packed.writing import Packing, as_text, describe, head_of
from sparselrp_cli.graph.passes.folding import folded_behind
from sparselrp_cli.model.json_files import read_json
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.model.packed import DIGEST, PackedFolder, digest_of
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.model.shipped import is_shipped
from sparselrp_cli.model.weights import load_weights
from sparselrp_cli.model.whole_folders import SPEC, WEIGHTS

TRACED = "traced.json"
SPEC_DIGEST, MADE_OF = "model_sha256", "made_of"
_MOST_MIB = 1


def traced_model(request: ModelRequest) -> LoadedModel | None:
    """Give a shipped model whose graph was traced before; None of every other model.

    None, too, of a shipped one whose files were changed since, and of one that is asked for otherwise than
    it was traced.
    """
    path = Path(request.reference)
    folder = path.parent if path.name == SPEC else path
    if not (folder / TRACED).is_file() or not is_shipped(folder):
        return None
    if request.weights is not None or request.tokens is not None or request.inputs:
        return None
    document = read_json(folder / TRACED, _MOST_MIB, "a traced graph")
    files = folder / SPEC, folder / WEIGHTS
    if [document.pop(SPEC_DIGEST, ""), document.get(DIGEST)] != [digest_of(file) for file in files]:
        return None
    if request.window not in (None, document["window"]) or request.layout not in (None, document["layout"]):
        return None
    tensors = load_weights(files[1])
    made = {name: recipe.made(tensors) for name, recipe in _recipes(document.pop(MADE_OF))}
    packed = PackedFolder(folder / TRACED, files[1], document, made)
    model = read_graph(packed, request, checked=True)
    return LoadedModel(model.name, model.module, model.window, model.layout, model.outputs, files)


def traced_text(packing: Packing, module: nn.Module, folder: Path) -> str:
    """Write the ``traced.json`` of a model folder.

    Parameters
    ----------
    packing : Packing
        Its graph as it is captured.
    module : nn.Module
        With the names of the tensors, and which of its parts are layers and batch normalisations.
    folder : Path

    Raises
    ------
    ModelError
        If a constant of the graph is made otherwise than these modules say.
    """
    description = describe(packing)
    tensors = load_weights(folder / WEIGHTS)
    made_of = {
        name: _recipe_for(name, wanted, module, tensors) for name, wanted in description.tensors.items()
    }
    head = {SPEC_DIGEST: digest_of(folder / SPEC), **head_of(packing, digest_of(folder / WEIGHTS))}
    as_json = [{"constant": name, **recipe.to_json()} for name, recipe in made_of.items()]
    return as_text(head, {MADE_OF: as_json, **description.lists})


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a constant is made of.

    Attributes
    ----------
    tensor : str
        Of the model's weights, such as ``blocks.0.weight``.
    norm : str or None
        The batch normalisation that is folded in, such as ``blocks.1``.
    eps : float
        What that adds to variances.
    """

    tensor: str
    norm: str | None = None
    eps: float = 0.0

    def made(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Make the constant."""
        if self.norm is None:
            # Copies begin where torch lets tensors begin: sums of products go by that, to the last digit.
            return tensors[self.tensor].clone()
        of_norm = {name: tensors.get(f"{self.norm}.{name}") for name in ("weight", "bias")}
        mean, variance = (tensors[f"{self.norm}.running_{name}"] for name in ("mean", "var"))
        scale, shift = scale_and_shift(mean, variance, of_norm["weight"], of_norm["bias"], self.eps)
        layer, _, part = self.tensor.rpartition(".")
        together = folded_behind(tensors[f"{layer}.weight"], tensors.get(f"{layer}.bias"), scale, shift)
        return together[("weight", "bias").index(part)]

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        folded = {} if self.norm is None else {"norm": self.norm, "eps": self.eps}
        return {"tensor": self.tensor, **folded}


def _recipes(entries: list[dict[str, Any]]) -> Iterator[tuple[str, Recipe]]:
    for entry in entries:
        yield entry["constant"], Recipe(entry["tensor"], entry.get("norm"), entry.get("eps", 0.0))


def _recipe_for(name: str, wanted: Tensor, module: nn.Module, tensors: Mapping[str, Tensor]) -> Recipe:
    """Find out what a constant is made of: equal, to the last digit.

    Raises
    ------
    ModelError
    """
    for recipe in _possible(name.rpartition(".")[2], module, tensors):
        made = recipe.made(tensors)
        if made.dtype == wanted.dtype and torch.equal(made, wanted):
            return recipe
    raise ModelError(f"constant '{name}' isn't a tensor of the weights, nor a layer's with its batch norm")


def _possible(part: str, module: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[Recipe]:
    yield from map(Recipe, tensors)
    parts = dict(module.named_modules())
    layers = [name for name in parts if isinstance(parts[name], (nn.Conv1d, nn.Linear))]
    for norm, found in parts.items():
        if isinstance(found, nn.modules.batchnorm._BatchNorm):
            shape = found.running_mean.shape if found.running_mean is not None else None
            for layer in layers:
                if tensors[f"{layer}.weight"].shape[:1] == shape:
                    yield Recipe(f"{layer}.{part}", norm, found.eps)
