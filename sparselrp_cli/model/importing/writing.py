"""Writes imported models to folders, and compares what is read back."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from sparselrp_cli.errors import ModelError
from sparselrp_cli.files.digest import sha256
from sparselrp_cli.model.folder import SCHEMA_VERSION
from sparselrp_cli.model.importing.imported import ImportedModel, random_windows
from sparselrp_cli.model.loading import load_model
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.model.whole_folders import SPEC, save_weights, whole_folder

_TOLERANCE = 1e-6


def write_folders(
    models: Sequence[ImportedModel], folder: Path, place: str, *, force: bool
) -> list[tuple[Path, dict[str, tuple[int, ...]]]]:
    """Write models, load each again, compare, and only then give the folder its name.

    Parameters
    ----------
    models : sequence of ImportedModel
    folder : Path
    place : str
        The checkpoint, for messages.
    force : bool
        Replace a folder that is there.

    Returns
    -------
    list of (Path, dict)
        Folder of each model, and the shapes of its outputs for one window.

    Raises
    ------
    ModelError
        If the folder exists, or a model read back computes something else.
    """
    written = []
    with whole_folder(folder, force=force, maker="import") as hidden:
        for model in models:
            _write(model, hidden / model.subfolder)
            written.append((folder / model.subfolder, _compare(model, hidden / model.subfolder, place)))
    return written


def spec_document(model: ImportedModel, weights: Path) -> dict[str, Any]:
    """Give the contents of `model.json`."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "name": model.name,
        "description": model.description,
        "architecture": {"name": model.architecture, "arguments": dict(model.arguments)},
        "weights": weights.name,
        "weights_sha256": sha256(weights),
        "window": model.window,
        "alphabet": "ACGT",
        "layout": "NCL",
        "outputs": [{"name": o.name, "tasks": list(o.tasks), "axes": o.axes} for o in model.outputs],
        "license": model.licence,
        "source": model.source,
    }
    return {key: value for key, value in document.items() if value != ""}


def _write(model: ImportedModel, folder: Path) -> None:
    folder.mkdir(parents=True)
    weights = save_weights({name: tensor.contiguous() for name, tensor in model.weights.items()}, folder)
    (folder / SPEC).write_text(json.dumps(spec_document(model, weights), indent=1) + "\n", encoding="utf-8")


def _compare(model: ImportedModel, folder: Path, place: str) -> dict[str, tuple[int, ...]]:
    """Load a folder again and compare it with the network in memory."""
    expected = model.run(model.build(place), place)
    loaded = load_model(ModelRequest(str(folder)))
    with torch.no_grad():
        outputs = loaded.module(random_windows(loaded.window))
    found = outputs if isinstance(outputs, dict) else {model.outputs[0].name: outputs}
    for name, value in expected.items():
        difference = float((found[name] - value).abs().max())
        if not difference <= _TOLERANCE * max(1.0, float(value.abs().max())):
            raise ModelError(
                f"{place}: output '{name}' of the written folder differs by {difference:.1e}; this is a fault"
                " of sparselrp, please report it"
            )
    return {name: tuple(value.shape[1:]) for name, value in expected.items()}
