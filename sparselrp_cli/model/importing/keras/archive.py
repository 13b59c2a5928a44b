"""Keras 3's own format, `.keras`: a ZIP archive of the configuration and the weights, read without Keras."""

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sparselrp_cli.errors import ModelError, first_line
from sparselrp_cli.files.hdf5 import is_backed, within
from sparselrp_cli.model.importing.imported import ImportedModel, ImportRequest
from sparselrp_cli.model.importing.keras import DAMAGED, imported_network
from sparselrp_cli.model.importing.keras.config import KerasLayer, read_network

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_MOST_OF_CONFIG = 64 << 20  # bytes
_LARGEST_RATIO = 1100  # of what deflate unpacks to what it reads
_MODELS = ("Sequential", "Functional", "Model")
_PLACES = {
    "LSTM": ("cell",), "GRU": ("cell",), "TimeDistributed": ("layer",),
    "Bidirectional": ("forward_layer/cell", "backward_layer/cell"),
}  # fmt: skip
"""Where a layer keeps its arrays below its own group, if not in it."""


def import_archive(path: Path, request: ImportRequest) -> list[ImportedModel]:
    """Read a `.keras` model.

    Raises
    ------
    ModelError
        If the file is none, holds a layer that can't be translated, or takes more than the sequence.
    """
    place = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            document = _config(archive, place)
            weights = io.BytesIO(_member(archive, _WEIGHTS, place))
        network = read_network(document, place)
        with h5py.File(weights, "r") as file:
            return imported_network(network, ArchivedWeights(file, document, place), path, request)
    except (*DAMAGED, zipfile.BadZipFile, NotImplementedError) as error:
        raise ModelError(f"{place}: can't be read as a .keras archive ({first_line(error)})") from error


def _member(archive: zipfile.ZipFile, name: str, place: str) -> bytes:
    if name not in archive.namelist():
        raise ModelError(f"{place}: holds no whole Keras model (no '{name}'); save it again with model.save")
    entry = archive.getinfo(name)
    if entry.file_size > _LARGEST_RATIO * entry.compress_size + 1024:
        raise ModelError(f"{place}: '{name}' unpacks to more than it can hold; get the file again")
    return archive.read(name)


def _config(archive: zipfile.ZipFile, place: str) -> Mapping[str, Any]:
    content = _member(archive, _CONFIG, place)
    if len(content) > _MOST_OF_CONFIG:
        raise ModelError(f"{place}: its '{_CONFIG}' is larger than that of any model")
    try:
        document = json.loads(content)
        said = json.loads(_member(archive, _METADATA, place)) if _METADATA in archive.namelist() else {}
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{place}: its '{_CONFIG}' isn't JSON; get the file again") from error
    if not isinstance(document, dict):
        raise ModelError(f"{place}: its '{_CONFIG}' isn't a JSON object; get the file again")
    version = str(said.get("keras_version", "")) if isinstance(said, dict) else ""
    if version.startswith("2."):
        raise ModelError(
            f"{place}: written by Keras {version}, which files weights otherwise; load it there and write it"
            " with model.save('NAME.h5')"
        )
    return document


class ArchivedWeights:
    """Finds the arrays of a layer in `model.weights.h5`, which are filed by class and number.

    Parameters
    ----------
    file : h5py.File
    document : mapping
        The model's configuration.
    place : str
        The archive, for messages.
    """

    def __init__(self, file: h5py.File, document: Mapping[str, Any], place: str) -> None:
        self.file, self.place = file, place
        self.groups = dict(_groups(document, (), ""))

    def of(self, layer: KerasLayer) -> list[tuple[str, Any]]:
        """Give the arrays of a layer in Keras's order, each as ``kernel``, ``bias`` and so on."""
        _require_numbers(layer, self.place)
        group = self.groups.get(layer.path)
        if group is None or layer.is_operation:
            return []
        self._require_name(layer, group)
        inner = _inner(layer)
        found = []
        for where in _PLACES.get(layer.kind, ("",)):
            place = f"{group}/{where}/vars".replace("//", "/")
            found += self._arrays(place, _roles(*inner), layer)
        return found

    def _require_name(self, layer: KerasLayer, group: str) -> None:
        """Refuse weights that say they are another layer's; not every version of Keras says it."""
        filed = within(self.file, f"{group}/vars")
        name = filed.attrs.get("name") if isinstance(filed, h5py.Group) else None
        if isinstance(name, str) and name != layer.path[-1]:
            raise ModelError(
                f"{self.place}: the weights at '{group}' are those of '{name}', not of layer"
                f" '{layer.path[-1]}' ({layer.kind}); save the model again with a current Keras"
            )

    def _arrays(self, place: str, roles: Sequence[str], layer: KerasLayer) -> list[tuple[str, Any]]:
        group = within(self.file, place)
        names = sorted(group, key=int) if isinstance(group, h5py.Group) else []
        if roles and names and len(names) != len(roles):
            raise ModelError(
                f"{self.place}: layer '{layer.name}' ({layer.kind}) has {len(names)} arrays of weights, not"
                f" {len(roles)} ({', '.join(roles)}); save the model again without quantisation or LoRA"
            )
        return [(role, self._array(f"{place}/{name}")) for role, name in zip(roles, names, strict=False)]

    def _array(self, place: str) -> Any:
        dataset = within(self.file, place)
        if not isinstance(dataset, h5py.Dataset) or not is_backed(dataset):
            raise ModelError(f"{self.place}: weights '{place}' are missing or damaged")
        if dataset.dtype.kind != "f":
            raise ModelError(
                f"{self.place}: weights '{place}' are {_kind(dataset)}, not floats of 16, 32 or 64 bits; load"
                " the model in Keras and save it in float32"
            )
        array = np.asarray(dataset[()], dtype=np.float32)
        if not np.isfinite(array).all():
            raise ModelError(f"{self.place}: weights '{place}' aren't finite; get the file again")
        return array


def _kind(dataset: h5py.Dataset) -> str:
    said = dataset.attrs.get("dtype")
    return said if isinstance(said, str) else str(dataset.dtype)


def _groups(
    document: Mapping[str, Any], path: tuple[str, ...], group: str
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Pair each layer's path with its group: ``layers/conv1d``, ``layers/conv1d_1`` and so on."""
    config = document["config"]
    taken: dict[str, int] = {}
    for entry in config["layers"] if isinstance(config, Mapping) else config:
        if ".ops" in str(entry.get("module") or ""):
            continue
        kind = snake_case(str(entry["class_name"]))
        taken[kind] = taken.get(kind, -1) + 1
        here = f"{group}/layers/{kind}" + (f"_{taken[kind]}" if taken[kind] else "")
        name = entry.get("name") or entry["config"]["name"]
        yield (*path, str(name)), here
        if entry["class_name"] in _MODELS:
            yield from _groups(entry, (*path, str(name)), here)


def snake_case(name: str) -> str:
    """Write a class's name as Keras files its layers: ``MaxPooling1D`` as ``max_pooling1d``."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _inner(layer: KerasLayer) -> tuple[str, Mapping[str, Any]]:
    """Give the class and the settings of what holds the arrays: a layer itself, or what it wraps."""
    inner = layer.config.get("layer") if layer.kind in ("TimeDistributed", "Bidirectional") else None
    return (
        (str(inner["class_name"]), inner["config"])
        if isinstance(inner, Mapping)
        else (layer.kind, layer.config)
    )


def _roles(kind: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Name a layer's arrays in the order in which Keras keeps them."""
    if kind in ("BatchNormalization", "RevCompConv1DBatchNorm", "LayerNormalization"):
        chosen = [role for role, key in (("gamma", "scale"), ("beta", "center")) if config.get(key, True)]
        moving = [] if kind == "LayerNormalization" else ["moving_mean", "moving_variance"]
        return (*chosen, *moving)
    bias = ("bias",) if config.get("use_bias", True) else ()
    if kind == "SeparableConv1D":
        return ("depthwise_kernel", "pointwise_kernel", *bias)
    if kind in ("LSTM", "GRU"):
        return ("kernel", "recurrent_kernel", *bias)
    if kind in ("Dense", "Conv1D", "Conv1DTranspose", "DepthwiseConv1D", "ConvDNA", "RevCompConv1D"):
        return ("kernel", *bias)
    return ("alpha",) if kind == "PReLU" else ()


def _require_numbers(layer: KerasLayer, place: str) -> None:
    """Refuse a layer whose numbers are coded."""
    policy = layer.config.get("dtype")
    kind = str(policy.get("class_name")) if isinstance(policy, Mapping) else ""
    if "Quantized" in kind:
        raise ModelError(
            f"{place}: layer '{layer.name}' ({layer.kind}) is quantised ({kind}), which can't be imported;"
            " save the model as it was before"
        )
