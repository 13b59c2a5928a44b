"""Models that the user's code makes: `FILE.py:FACTORY` and `package.module:factory`."""

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.neighbours import Neighbours


@dataclass(frozen=True, slots=True)
class Factory:
    """A factory, imported.

    Attributes
    ----------
    reference : str
        ``FILE.py:NAME`` or ``PACKAGE.MODULE:NAME``.
    function : callable
    neighbours : Neighbours
        What it may import besides what is installed.
    arguments : mapping of str to object
        What it is called with; each call has copies of its own.
    whose : str
        Where they come from, for messages.
    """

    reference: str
    function: Callable[..., Any]
    neighbours: Neighbours
    arguments: Mapping[str, Any] = field(default_factory=dict)
    whose: str = ""

    def imported_again(self) -> "Factory":
        """Import it anew, to be called as this one.

        Raises
        ------
        ModelError
        """
        again = import_factory(self.reference)
        return replace(again, arguments=self.arguments, whose=self.whose)

    def make(self) -> nn.Module:
        """Call it.

        Raises
        ------
        ModelError
        """
        how = f"with {self.whose}" if self.arguments else "without arguments"
        advice = "" if self.arguments else "; write a function without arguments that makes it, and name that"
        told = _told(f"{self.reference}: calling it {how} fails", of_arguments=advice)
        with self.neighbours.importable(), told:
            module = self.function(**deepcopy(dict(self.arguments)))
        if not isinstance(module, nn.Module):
            raise ModelError(f"{self.reference}: gives a {type(module).__name__}, not a torch.nn.Module")
        return module


def file_of(reference: str) -> Path | None:
    """Give the Python file that a reference names, if it names one."""
    place = reference.rpartition(":")[0]
    return Path(place) if place.endswith(".py") else None


def import_factory(reference: str) -> Factory:
    """Import a factory, each time anew: modules of its file's folder or of the working folder are run again.

    Raises
    ------
    ModelError
    """
    place, _, name = reference.rpartition(":")
    file = file_of(reference)
    neighbours = Neighbours(Path() if file is None else file.parent)
    with neighbours.importable():
        code = _module(place, neighbours) if file is None else _file(file, name, neighbours)
    function = getattr(code, name, None)
    if isinstance(function, nn.Module):
        raise ModelError(
            f"{reference}: '{name}' is a module, not what makes one; add a function to {place} that returns"
            " it, and name that"
        )
    if not callable(function):
        raise ModelError(f"{reference}: {place} has no function or class '{name}'")
    return Factory(reference, function, neighbours)


def _module(name: str, neighbours: Neighbours) -> ModuleType:
    with _told(f"module '{name}' can't be imported"):
        return neighbours.load_module(name) if name in neighbours else importlib.import_module(name)


def _file(path: Path, name: str, neighbours: Neighbours) -> ModuleType:
    if not path.is_file():
        raise ModelError(f"{path}: no such Python file")
    inside = f"{path.absolute().parent.name}.{path.stem}:{name}"
    advice = f"; it belongs to a package: name it {inside}, from the folder above"
    with _told(f"{path}: importing it fails", advice):
        return neighbours.load_file(path)


@contextmanager
def _told(what: str, of_a_package: str = "", of_arguments: str = "") -> Iterator[None]:
    """Say in one line what the user's code raises."""
    try:
        yield
    except SystemExit as error:
        raise ModelError(
            f"{what}: it ends the program (exit code {error.code}); put what it does as a script under"
            " if __name__ == '__main__'"
        ) from error
    except Exception as error:
        relative = isinstance(error, ImportError) and "attempted relative import" in str(error)
        lacking = isinstance(error, TypeError) and re.search(r"missing \d+ required .*argument", str(error))
        advice = of_a_package if relative else of_arguments if lacking else ""
        raise ModelError(f"{what}: {type(error).__name__}: {error}{advice}") from error
