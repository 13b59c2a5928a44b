"""Keras's own format, `.keras`, of Keras 3 and of 2.12 to 2.15, read without Keras.

It is a ZIP archive of the configuration and the weights.
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sparselrp_cli.errors import ModelError, first_line
from sparselrp_cli.files.hdf5 import LARGEST_JSON, attribute, is_backed
from sparselrp_cli.model.importing.imported import ImportedModel, ImportRequest
from sparselrp_cli.model.importing.keras import DAMAGED, imported_network
from sparselrp_cli.model.importing.keras.config import KerasLayer, read_network
from sparselrp_cli.model.importing.keras.filing import Filed, filing_of

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_LARGEST_RATIO = 1100  # of what deflate unpacks to what it reads
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
            document = _json(archive, _CONFIG, place)
            filing = filing_of(_version(archive, place), place)
            weights = io.BytesIO(_member(archive, _WEIGHTS, place))
        network = read_network(document, place)
        with h5py.File(weights, "r") as file:
            filed = Filed(file, document, filing, place)
            return imported_network(network, ArchivedWeights(filed), path, request)
    except (*DAMAGED, zipfile.BadZipFile, NotImplementedError) as error:
        raise ModelError(f"{place}: can't be read as a .keras archive ({first_line(error)})") from error


def _member(archive: zipfile.ZipFile, name: str, place: str) -> bytes:
    if name not in archive.namelist():
        raise ModelError(f"{place}: holds no whole Keras model (no '{name}'); save it again with model.save")
    entry = archive.getinfo(name)
    if entry.file_size > _LARGEST_RATIO * entry.compress_size + 1024:
        raise ModelError(f"{place}: '{name}' unpacks to more than it can hold; get the file again")
    return archive.read(name)


def _json(archive: zipfile.ZipFile, name: str, place: str) -> Mapping[str, Any]:
    content = _member(archive, name, place)
    if len(content) > LARGEST_JSON:
        raise ModelError(f"{place}: its '{name}' is larger than that of any model")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{place}: its '{name}' isn't JSON; get the file again") from error
    if not isinstance(document, dict):
        raise ModelError(f"{place}: its '{name}' isn't a JSON object; get the file again")
    return document


def _version(archive: zipfile.ZipFile, place: str) -> str:
    """Give the version of Keras that wrote an archive; nothing where it doesn't say."""
    said = _json(archive, _METADATA, place) if _METADATA in archive.namelist() else {}
    return str(said.get("keras_version", ""))


class ArchivedWeights:
    """Finds the arrays of a layer in `model.weights.h5`, which are filed by class and number.

    Parameters
    ----------
    filed : Filed
    """

    def __init__(self, filed: Filed) -> None:
        self.filed, self.place = filed, filed.place

    def of(self, layer: KerasLayer) -> list[tuple[str, Any]]:
        """Give the arrays of a layer in Keras's order, each as ``kernel``, ``bias`` and so on."""
        _require_numbers(layer, self.place)
        group = self.filed.groups.get(layer.path)
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
        filed = self.filed.at(f"{group}/vars")
        name = attribute(filed, "name") if isinstance(filed, h5py.Group) else None
        if isinstance(name, str) and name != layer.path[-1]:
            raise ModelError(
                f"{self.place}: the weights at '{group}' are those of '{name}', not of layer"
                f" '{layer.path[-1]}' ({layer.kind}); save the model again with a current Keras"
            )

    def _arrays(self, place: str, roles: Sequence[str], layer: KerasLayer) -> list[tuple[str, Any]]:
        group = self.filed.at(place)
        names = sorted(group, key=int) if isinstance(group, h5py.Group) else []
        if roles and names and len(names) != len(roles):
            raise ModelError(
                f"{self.place}: layer '{layer.name}' ({layer.kind}) has {len(names)} arrays of weights, not"
                f" {len(roles)} ({', '.join(roles)}); save the model again without quantisation or LoRA"
            )
        return [(role, self._array(f"{place}/{name}")) for role, name in zip(roles, names, strict=False)]

    def _array(self, place: str) -> Any:
        dataset = self.filed.at(place)
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
    said = attribute(dataset, "dtype")
    return said if isinstance(said, str) else str(dataset.dtype)


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
