"""The weights of a Keras file, by layer."""

import itertools
import re
from typing import Any

import h5py
import numpy as np

from sparselrp_cli.errors import ModelError
from sparselrp_cli.files.hdf5 import attribute, is_backed, within
from sparselrp_cli.model.importing.keras.config import KerasLayer


class LayerWeights:
    """Finds the arrays of a layer.

    Parameters
    ----------
    group : h5py.Group
        ``model_weights``.
    place : str
        The file, for messages.
    """

    def __init__(self, group: h5py.Group, place: str) -> None:
        self.group = group
        self.place = place

    def of(self, layer: KerasLayer) -> list[tuple[str, Any]]:
        """Give the arrays of a layer in Keras's order, each as ``kernel``, ``bias`` and so on."""
        outer = layer.path[0]
        found = within(self.group, outer)
        if not isinstance(found, h5py.Group):
            return []
        names = _names(found)
        if len(layer.path) > 1:
            names = [name for name in names if layer.path[-1] in name.split("/")[:-1]]
        return [(_role(name), self._array(outer, name)) for name in names]

    def _array(self, outer: str, name: str) -> Any:
        try:
            dataset = within(self.group, f"{outer}/{name}")
            if not isinstance(dataset, h5py.Dataset) or not is_backed(dataset):
                raise KeyError(name)
            if dataset.dtype.kind not in "fiu":
                raise TypeError(name)
            array = np.asarray(dataset[()], dtype=np.float32)
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise ModelError(f"{self.place}: weights '{outer}/{name}' are missing or damaged") from error
        if not np.isfinite(array).all():
            raise ModelError(f"{self.place}: weights '{outer}/{name}' aren't finite; get the file again")
        return array


def _names(group: h5py.Group) -> list[str]:
    """Read `weight_names`, which Keras splits over several attributes where it is long."""
    found: list[Any] = []
    for part in itertools.chain([""], itertools.count()):
        names = attribute(group, f"weight_names{part}")
        if names is None and part != "":
            break
        found += [] if names is None else np.atleast_1d(names).tolist()
    return [name.decode() if isinstance(name, bytes) else str(name) for name in found]


def _role(name: str) -> str:
    return re.sub(r"_\d+$", "", name.rsplit("/", 1)[-1].removesuffix(":0"))
