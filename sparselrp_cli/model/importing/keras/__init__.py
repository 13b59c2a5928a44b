"""Keras models in the legacy HDF5 format, of Keras 2 and 3, read without Keras."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import h5py
import torch
from torch import Tensor

from sparselrp_cli.errors import ModelError, first_line
from sparselrp_cli.files.hdf5 import LARGEST_JSON, attribute, within
from sparselrp_cli.model.architectures.layers import INPUT, Layers, usable_name
from sparselrp_cli.model.importing.imported import ImportedModel, ImportRequest, random_windows
from sparselrp_cli.model.importing.keras.config import KerasLayer, KerasNetwork, read_network
from sparselrp_cli.model.importing.keras.layers import SKIPPED, TRANSLATORS, is_custom, why_not
from sparselrp_cli.model.importing.keras.operations import OPERATIONS
from sparselrp_cli.model.importing.keras.source import Source
from sparselrp_cli.model.importing.keras.weights import LayerWeights
from sparselrp_cli.model.output_names import OutputNames

_PASSES_POSITIONS = (
    "identity",
    "leaky-relu",
    "elu",
    "clamp",
    "prelu",
    "softmax",
    "add",
    "subtract",
    "average",
)
# HDF5 raises these at damaged bytes, and the translation at settings of other types than Keras writes.
DAMAGED = (
    OSError,
    RuntimeError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    ArithmeticError,
)


class WeightsOfLayers(Protocol):
    """Finds the arrays of a layer, whatever the file."""

    def of(self, layer: KerasLayer) -> list[tuple[str, Any]]:
        """Give the arrays of a layer in Keras's order, each as ``kernel``, ``bias`` and so on."""


@dataclass(frozen=True, slots=True)
class _Translated:
    entries: list[dict[str, Any]]
    tensors: dict[str, Tensor]
    outputs: list[str]


def import_keras(path: Path, request: ImportRequest) -> list[ImportedModel]:
    """Read a Keras `.h5` model.

    Raises
    ------
    ModelError
        If the file is none, holds a layer that can't be translated, or takes more than the sequence.
    """
    place = str(path)
    try:
        with h5py.File(path, "r") as file:
            network = read_network(_model_config(file, place), place)
            return imported_network(
                network, LayerWeights(within(file, "model_weights"), place), path, request
            )
    except DAMAGED as error:
        raise ModelError(f"{place}: can't be read as HDF5 ({first_line(error)})") from error


def imported_network(
    network: KerasNetwork, weights: WeightsOfLayers, path: Path, request: ImportRequest
) -> list[ImportedModel]:
    """Translate a network and its weights.

    Raises
    ------
    ModelError
        If it holds a layer that can't be translated, or takes more than the sequence.
    """
    place = str(path)
    window, source = _window(network, request.window, place)
    translated = _translate(network, source, weights, place)
    model = ImportedModel(
        name=request.name or path.stem,
        architecture="layers",
        arguments={"layers": translated.entries, "outputs": translated.outputs},
        weights=translated.tensors,
        window=window,
        outputs=tuple(OutputNames(name) for name in translated.outputs),
        source=f"imported from the Keras model {path.name}",
    )
    return [replace(model, outputs=_outputs(model, place))]


def _model_config(file: h5py.File, place: str) -> Mapping[str, Any]:
    text = attribute(file, "model_config")
    if text is None or not isinstance(within(file, "model_weights"), h5py.Group):
        raise ModelError(
            f"{place}: holds no whole Keras model (no 'model_config' or 'model_weights'), maybe weights"
            " alone; load it in Keras and write it with model.save('NAME.h5')"
        )
    try:
        if len(text) > LARGEST_JSON:
            raise ModelError(f"{place}: its 'model_config' is larger than that of any model")
        config = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError(f"{place}: its 'model_config' isn't JSON; get the file again") from error
    if not isinstance(config, dict):
        raise ModelError(f"{place}: its 'model_config' isn't a JSON object; get the file again")
    return config


def _window(network: KerasNetwork, asked: int | None, place: str) -> tuple[int, str]:
    """Give the window length and the name of the sequence input."""
    layers = {layer.name: layer for layer in network.layers}
    shapes = {name: _input_shape(layers[name]) for name in network.inputs}
    sequences = [name for name, shape in shapes.items() if len(shape) == 3 and shape[2] == 4]
    others = [name for name in shapes if name not in sequences[:1]]
    if not sequences:
        described = ", ".join(f"'{name}' {shape}" for name, shape in shapes.items())
        raise ModelError(f"{place}: no input is a one-hot sequence (None, L, 4); there is {described}")
    if others:
        raise ModelError(
            f"{place}: besides the sequence '{sequences[0]}' it takes '{others[0]}' {shapes[others[0]]}; save"
            " a Keras model of the sequence alone, with that input fixed, and import that"
        )
    length = shapes[sequences[0]][1]
    if length is None and asked is None:
        raise ModelError(f"{place}: takes sequences of any length; give the window length with --window")
    if length is not None and asked not in (None, length):
        raise ModelError(f"{place}: takes sequences of {length} bp, not {asked}; leave --window out")
    return int(length or asked or 0), sequences[0]


def _input_shape(layer: KerasLayer) -> tuple[Any, ...]:
    shape = layer.config.get("batch_input_shape", layer.config.get("batch_shape"))
    return tuple(shape) if isinstance(shape, (list, tuple)) else ()


def _translate(network: KerasNetwork, sequence: str, weights: WeightsOfLayers, place: str) -> _Translated:
    result = _Translated([], {}, [])
    refs = {sequence: INPUT}
    for layer in network.layers:
        if layer.name == sequence:
            continue
        inputs = [refs[name] for name in layer.inputs]
        if layer.kind in SKIPPED and not is_custom(layer) and layer.name not in network.outputs:
            refs[layer.name] = inputs[0]
            continue
        refs[layer.name] = _add_layer(result, layer, inputs, weights, place)
    result.outputs.extend(refs[name] for name in network.outputs)
    return result


def _add_layer(
    result: _Translated, layer: KerasLayer, inputs: list[str], weights: WeightsOfLayers, place: str
) -> str:
    kind = "Permute" if layer.kind in SKIPPED else layer.kind
    source = Source(layer, tuple(weights.of(layer)), place)
    translators = OPERATIONS if layer.is_operation else TRANSLATORS
    if kind not in translators or is_custom(layer):
        source.refuse(f"{why_not(layer)}; port the model to a PyTorch factory (FILE.py:FACTORY)")
    if layer.kind in SKIPPED:
        source = Source(replace(layer, config={"dims": [1, 2]}), (), place)
    taken = {entry["name"] for entry in result.entries}
    name = ""
    for piece in translators[kind](source):
        name = _free_name(layer.name + piece.suffix, taken)
        entry = {"name": name, "type": piece.type, "inputs": inputs, **piece.arguments}
        result.entries.append(
            entry | ({"activation": piece.activation} if piece.activation != "linear" else {})
        )
        for key, array in piece.tensors.items():
            result.tensors[f"parts.{name}.{key}"] = torch.from_numpy(array.copy())
        inputs = [name]
    return name


def _free_name(name: str, taken: set[str]) -> str:
    name = name.replace(".", "_").replace("/", "_")
    while name in taken or name == INPUT or not usable_name(name):
        name += "_"
    return name


def _outputs(model: ImportedModel, place: str) -> tuple[OutputNames, ...]:
    """Find out which axes each output has."""
    module = model.build(place)
    assert isinstance(module, Layers)
    model.run(module, place)
    with torch.no_grad():
        values = module.compute(random_windows(model.window, 1))
    entries = {entry["name"]: entry for entry in model.arguments["layers"]}
    return tuple(
        OutputNames(name, (), "NTP" if values[name].dim() == 3 else _flat_axes(name, entries, values))
        for name in module.outputs
    )


def _flat_axes(name: str, entries: Mapping[str, Any], values: Mapping[str, Tensor]) -> str:
    """Say whether the numbers of a flat output are positions or tasks."""
    while name in entries and values[name].dim() == 2:
        entry = entries[name]
        source = entry["inputs"][0]
        if entry["type"] in ("flatten", "reshape") and values[source].dim() == 3:
            return "NP" if values[source].shape[1] == 1 and values[source].shape[2] > 1 else "NT"
        if entry["type"] not in _PASSES_POSITIONS:
            return "NT"
        name = source
    return "NT"
