"""Under which names Keras files the weights of layers in `model.weights.h5`: by class and number.

Keras 3 and 2.15 number the layers of a class through. Up to 2.14 the same stands in another group, and up to
2.13 a layer with weights is counted twice: ``conv1d``, ``conv1d_2``. As in `keras/saving/saving_lib.py` of
these versions. On Windows, Keras 2 writes a backslash for each slash, as part of one name.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import h5py

from sparselrp_cli.errors import ModelError
from sparselrp_cli.files.hdf5 import within

_MODELS = ("Sequential", "Functional", "Model")
_FIRST_VERSION = (2, 12)
"""That writes archives; before, `.keras` files are HDF5."""


@dataclass(frozen=True, slots=True)
class Filing:
    """How a version of Keras files weights.

    Attributes
    ----------
    container : str
        The group of a model's layers.
    counts_twice : bool
        Whether layers with weights are counted twice.
    is_strict : bool
        Whether every layer has a group, so that other groups show that names mean something else.
    """

    container: str = "layers"
    counts_twice: bool = False
    is_strict: bool = False


def filing_of(version: str, place: str) -> Filing:
    """Give how a version of Keras files weights; an unknown one as Keras 3 does.

    Raises
    ------
    ModelError
        If no archive is known of that version.
    """
    found = re.match(r"2\.(\d+)", version)
    if found is None:
        return Filing()
    number = (2, int(found[1]))
    if number < _FIRST_VERSION:
        raise ModelError(
            f"{place}: written by Keras {version}, whose archives aren't known; load it there and write it"
            " with model.save('NAME.h5')"
        )
    if number >= (2, 15):
        return Filing(is_strict=True)
    return Filing("_layer_checkpoint_dependencies", counts_twice=number <= (2, 13), is_strict=True)


class Filed:
    """The groups of weights of a model by the paths of its layers.

    Parameters
    ----------
    file : h5py.File
    document : mapping
        The model's configuration.
    filing : Filing
    place : str
        The archive, for messages.

    Raises
    ------
    ModelError
        If weights are filed otherwise than this version of Keras does.
    """

    def __init__(self, file: h5py.File, document: Mapping[str, Any], filing: Filing, place: str) -> None:
        self.file, self.filing, self.place = file, filing, place
        names: list[str] = []
        file.visit(names.append)
        self._names = {"/" + name.replace("\\", "/"): name for name in names}
        arrays = [name.split("/") for name in self._names if "/vars/" in name]
        self._with_weights = {"/".join(parts[:n]) for parts in arrays for n in range(len(parts))}
        self.groups = dict(self._groups(document, (), ""))

    def at(self, path: str) -> Any:
        """Give the group or dataset of a path with slashes; None where there is none."""
        name = self._names.get(path)
        return None if name is None else within(self.file, name)

    def _groups(
        self, document: Mapping[str, Any], path: tuple[str, ...], group: str
    ) -> Iterator[tuple[tuple[str, ...], str]]:
        """Pair each layer's path with its group: ``layers/conv1d``, ``layers/conv1d_1`` and so on."""
        config, container = document["config"], f"{group}/{self.filing.container}"
        taken: dict[str, int] = {}
        groups = set()
        for entry in config["layers"] if isinstance(config, Mapping) else config:
            if ".ops" in str(entry.get("module") or ""):
                continue
            kind = snake_case(str(entry["class_name"]))
            number = taken.get(kind, 0)
            here = f"{container}/{kind}" + (f"_{number}" if number else "")
            twice = self.filing.counts_twice and here in self._with_weights
            taken[kind] = number + (2 if twice else 1)
            name = entry.get("name") or entry["config"]["name"]
            groups.add(here)
            yield (*path, str(name)), here
            if entry["class_name"] in _MODELS:
                yield from self._groups(entry, (*path, str(name)), here)
        if self.filing.is_strict:
            self._require_no_other(container, groups)

    def _require_no_other(self, container: str, groups: set[str]) -> None:
        """Refuse groups that no layer has: then numbers mean other layers than we think."""
        depth = container.count("/") + 2  # of a group in it
        below = {"/".join(n.split("/")[:depth]) for n in self._names if n.startswith(f"{container}/")}
        for other in sorted(below - groups):
            raise ModelError(
                f"{self.place}: the weights at '{other}' are no layer's by the names that this version of"
                " Keras gives; load the model there and write it with model.save('NAME.h5')"
            )


def snake_case(name: str) -> str:
    """Write a class's name as Keras files its layers: ``MaxPooling1D`` as ``max_pooling1d``."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
