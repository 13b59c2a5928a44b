"""Model folders: `model.json` with the architecture and names, and weights as safetensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.files.digest import sha256
from sparselrp_cli.model.json_files import read_json
from sparselrp_cli.model.output_names import AXES, AXES_UNLESS_GIVEN, OutputNames
from sparselrp_cli.model.request import ALPHABET, LAYOUTS, LONGEST_WINDOW
from sparselrp_cli.model.sizes import outline, require_room
from sparselrp_cli.model.weights import load_weights, put_weights, require_fit

SCHEMA_VERSION = 1
_MOST_MIB = 1
_KEYS = {
    "schema_version": int, "name": str, "description": str, "architecture": dict, "weights": str,
    "weights_sha256": str, "window": int, "alphabet": str, "layout": str, "outputs": list,
    "license": str, "source": str,
}  # fmt: skip
_UNFIT = (TypeError, ValueError, KeyError, RuntimeError, AttributeError, IndexError, ArithmeticError)
_REQUIRED = ("schema_version", "architecture", "weights", "window")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What `model.json` says.

    Attributes
    ----------
    name : str
    architecture : str
        A name in `sparselrp_cli.model.architectures`.
    arguments : mapping
        Its arguments.
    weights : str
        A file beside `model.json`.
    window : int
        Window length in bp.
    alphabet : str
        Order of the bases on the model's base axis.
    layout : str
        ``NCL`` or ``NLC``.
    outputs : tuple of OutputNames
    """

    name: str
    architecture: str
    arguments: Mapping[str, Any]
    weights: str
    weights_sha256: str | None
    window: int
    alphabet: str
    layout: str
    outputs: tuple[OutputNames, ...]


def read_spec(path: Path) -> ModelSpec:
    """Read and check a `model.json`.

    Raises
    ------
    ModelError
    """
    return _checked(read_json(path, _MOST_MIB, "a model description"), path)


def _checked(document: Any, path: Path) -> ModelSpec:
    if not isinstance(document, dict):
        raise ModelError(f"{path}: not a JSON object")
    for key in _REQUIRED:
        if key not in document:
            raise ModelError(f"{path}: '{key}' is missing")
    for key, value in document.items():
        if key not in _KEYS:
            raise ModelError(f"{path}: unknown key '{key}'; known are {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]) or isinstance(value, bool):
            raise ModelError(f"{path}: '{key}' must be of type {_KEYS[key].__name__}")
    if not document.get("name", "").isprintable():
        raise ModelError(f"{path}: 'name' holds what can't be printed")
    if document["schema_version"] != SCHEMA_VERSION:
        raise ModelError(
            f"{path}: schema version {document['schema_version']}; this program reads {SCHEMA_VERSION}"
        )
    if not 0 < document["window"] <= LONGEST_WINDOW:
        raise ModelError(f"{path}: 'window' must be between 1 and {LONGEST_WINDOW:,} bp")
    weights = document["weights"]
    if Path(weights).name != weights or not weights.endswith(".safetensors"):
        raise ModelError(
            f"{path}: 'weights' must name a .safetensors file in the same folder, not '{weights}'"
        )
    architecture = document["architecture"]
    if not isinstance(architecture.get("name"), str) or not isinstance(
        architecture.get("arguments", {}), dict
    ):
        raise ModelError(f"{path}: 'architecture' needs a 'name' and may have 'arguments'")
    return ModelSpec(
        name=document.get("name", path.parent.name),
        architecture=architecture["name"],
        arguments=architecture.get("arguments", {}),
        weights=weights,
        weights_sha256=document.get("weights_sha256"),
        window=document["window"],
        alphabet=document.get("alphabet", ALPHABET),
        layout=document.get("layout", LAYOUTS[0]),
        outputs=_outputs(document.get("outputs", []), path),
    )


def _outputs(entries: list[Any], path: Path) -> tuple[OutputNames, ...]:
    outputs = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise ModelError(f"{path}: each of 'outputs' needs a 'name'")
        tasks = entry.get("tasks", [])
        if not isinstance(tasks, list) or not all(isinstance(t, str) for t in tasks):
            raise ModelError(f"{path}: 'tasks' of output '{entry['name']}' must be a list of names")
        if not all(name.isprintable() for name in (entry["name"], *tasks)):
            raise ModelError(f"{path}: a name in 'outputs' holds what can't be printed")
        axes = entry.get("axes", AXES_UNLESS_GIVEN)
        if axes not in AXES:
            raise ModelError(f"{path}: 'axes' of output '{entry['name']}' must be one of {', '.join(AXES)}")
        outputs.append(OutputNames(entry["name"], tuple(tasks), axes))
    return tuple(outputs)


def build(spec: ModelSpec, path: Path) -> nn.Module:
    """Build the network a spec describes, with its weights.

    Raises
    ------
    ModelError
        If the architecture is unknown, its arguments don't fit, or the weights are corrupt or don't fit.
    """
    from sparselrp_cli.model.architectures import ARCHITECTURES

    factory = ARCHITECTURES.get(spec.architecture)
    if factory is None:
        known = ", ".join(ARCHITECTURES)
        raise ModelError(f"{path}: unknown architecture '{spec.architecture}'; known are {known}")
    try:
        plan = outline(factory, spec.arguments)
    except _UNFIT as error:
        message = f"{path}: architecture '{spec.architecture}' can't be built with these arguments ({error})"
        raise ModelError(message) from error
    weights = path.parent / spec.weights
    if spec.weights_sha256 and weights.is_file() and sha256(weights) != spec.weights_sha256:
        raise ModelError(f"{weights}: not the weights that {path.name} was written for (sha256 differs)")
    tensors = load_weights(weights)
    require_fit(plan, tensors, weights)
    require_room(plan, spec.window, f"{path}: architecture '{spec.architecture}'")
    module = factory(**spec.arguments)
    put_weights(module, tensors, weights)
    return module
