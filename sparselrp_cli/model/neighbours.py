"""Modules beside a model's own file: importable from that file, and out of everyone else's way.

A model file may import its neighbours, whatever they are called: two folds have a `layers.py` each, and a
neighbour may have the name of a module of the standard library. Modules of the folder live in a table of
their own. An `import` written in one of them looks there first, at any time, also within `forward`; for all
other code the folder isn't there.
"""

import builtins
import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from threading import RLock
from types import CodeType, ModuleType
from typing import Any

_NEVER_OF_A_FOLDER = frozenset({"sparselrp_cli", "torch", *sys.builtin_module_names})


class Neighbours:
    """The modules of a folder.

    Parameters
    ----------
    folder : Path
        The model file's own, or the working folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._names = _module_names(self.folder) - _NEVER_OF_A_FOLDER
        self._own: dict[str, ModuleType] = {}
        self._others: dict[str, ModuleType] = {}  # of the same names, while the folder's are in their place
        self._within = False
        self._shown = False
        self._more_paths: list[str] = []
        self._lock = RLock()

    def __contains__(self, name: str) -> bool:
        """Whether the folder has the module, or the package that a dotted name begins with."""
        return name.partition(".")[0] in self._names

    def load_file(self, path: Path) -> ModuleType:
        """Import a file of the folder under its own name, or one near it where that is taken."""
        name = path.stem.replace(".", "_")
        if name in _NEVER_OF_A_FOLDER:
            name = f"{name}_file"
        self._names.add(name)
        loader = _Loader(name, str(path), self)
        code = module_from_spec(ModuleSpec(name, loader, origin=str(path)))
        code.__file__ = str(path)
        with self._lock, self._turned(within=True):
            sys.modules[name] = code
            loader.exec_module(code)
        return code

    def load_module(self, name: str) -> ModuleType:
        """Import a module of the folder by its dotted name."""
        with self._lock, self._turned(within=True):
            return importlib.import_module(name)

    @contextmanager
    def importable(self) -> Iterator[None]:
        """Let all code import modules of the folder, after those that there are; then forget them."""
        paths, modules = list(sys.path), set(sys.modules)
        sys.path.append(str(self.folder))
        try:
            with self._showing():
                yield
        finally:
            self._more_paths += [p for p in sys.path if p not in paths and p != str(self.folder)]
            sys.path[:] = paths
            new = {name: sys.modules[name] for name in set(sys.modules) - modules if name in self}
            for name in [name for name, module in new.items() if _lies_in(module, self.folder)]:
                del sys.modules[name]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run code of the folder: it finds its modules in Python's table, unless others have their names."""
        with self._showing(), self._turned(within=False):
            yield

    def find_spec(self, name: str, path: Sequence[str] | None = None, _: object = None) -> ModuleSpec | None:
        """Find a module of the folder; part of Python's protocol for imports."""
        if name not in self:
            return None
        spec = PathFinder.find_spec(name, [str(self.folder)] if path is None else path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path, self)
        return spec

    def enable(self, module: ModuleType) -> None:
        """Have imports that are written in a module look in the folder first."""
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": self._import}

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """Stand for the built-in `__import__` in the folder's modules."""
        absolute = str((globals or {}).get("__package__") or "") if level else name
        with self._lock, self._turned(within=absolute in self), self._with_more_paths():
            return builtins.__import__(name, globals, locals, fromlist, level)

    @contextmanager
    def _turned(self, *, within: bool) -> Iterator[None]:
        """Put the folder's modules in the place of others of their names, or these back."""
        if within == self._within:
            yield
            return
        turn, back = (self._go_in, self._go_out) if within else (self._go_out, self._go_in)
        turn()
        try:
            yield
        finally:
            back()

    def _go_in(self) -> None:
        # What was imported by name in a package of the folder belongs to it. It is asked before anything is
        # taken out: the place of a package without a file is read from its parent, by name.
        parents = self._own.keys()
        found = self._in_the_table()
        inner = {n: m for n, m in found.items() if "." in n and n.partition(".")[0] in parents}
        self._own |= {n: m for n, m in inner.items() if _lies_in(m, self.folder)}
        self._others = {n: m for n, m in found.items() if self._own.get(n) is not m}
        _take_out(found)
        sys.modules.update(self._own)
        sys.meta_path.insert(0, self)
        self._within = True

    def _go_out(self) -> None:
        sys.meta_path.remove(self)
        self._own = self._in_the_table()
        _take_out(self._own)
        sys.modules.update(self._others)
        self._within = False
        self._show()

    def _in_the_table(self) -> dict[str, ModuleType]:
        """Give the modules in Python's table that have the folder's names.

        Where none of them is a package there is nothing within them: the table, which has some thousand, is
        looked through only otherwise.
        """
        table = sys.modules.copy()
        found = {name: table[name] for name in self._names & table.keys()}
        if not any(
            hasattr(m, "__path__") for part in (found, self._own, self._others) for m in part.values()
        ):
            return found
        return {n: m for n, m in table.items() if n.partition(".")[0] in self._names}

    @contextmanager
    def _showing(self) -> Iterator[None]:
        before, self._shown = self._shown, True
        self._show()
        try:
            yield
        finally:
            self._shown = before
            if not before:
                self._hide()

    def _show(self) -> None:
        if self._shown and not self._within:
            taken = {name.partition(".")[0] for name in self._others}
            visible = {n: m for n, m in self._own.items() if n.partition(".")[0] not in taken}
            sys.modules.update(visible)

    def _hide(self) -> None:
        if not self._within:
            for name, module in self._own.items():
                if sys.modules.get(name) is module:
                    del sys.modules[name]

    @contextmanager
    def _with_more_paths(self) -> Iterator[None]:
        """Look where the model's code itself asked to look, too."""
        more = [path for path in self._more_paths if path not in sys.path]
        sys.path.extend(more)
        try:
            yield
        finally:
            for path in more:
                if path in sys.path:
                    sys.path.remove(path)


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, neighbours: Neighbours) -> None:
        super().__init__(name, path)
        self._neighbours = neighbours

    def exec_module(self, module: ModuleType) -> None:
        self._neighbours.enable(module)
        with self._neighbours.running():
            super().exec_module(module)

    def get_code(self, fullname: str) -> CodeType:
        # A changed file mustn't run as it was; and nothing is left beside the user's files.
        return self.source_to_code(self.get_data(self.path), self.path)


def _take_out(modules: Iterable[str]) -> None:
    for name in modules:
        sys.modules.pop(name, None)


def _lies_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    try:
        places = [file] if file else list(getattr(module, "__path__", ()))
    except KeyError:  # a package without a file, whose parent somebody took out
        return False
    return any(Path(place).resolve().is_relative_to(folder) for place in places)


def _module_names(folder: Path) -> set[str]:
    """List what can be imported from a folder: files, packages, and folders that nothing else hides."""
    try:
        paths = list(folder.iterdir())
    except OSError:
        return set()
    files = {path.name.partition(".")[0] for path in paths if path.suffix in (".py", ".so")}
    folders = {path.name for path in paths if path.name.isidentifier() and path.is_dir()}
    packages = {name for name in folders if (folder / name / "__init__.py").is_file()}
    unclaimed = folders - packages - sys.stdlib_module_names - set(sys.modules)
    elsewhere = [path for path in sys.path if path and Path(path).resolve() != folder]
    return files | packages | {name for name in unclaimed if _is_free(name, elsewhere)}


def _is_free(name: str, paths: list[str]) -> bool:
    """Whether no package or file of this name is elsewhere."""
    spec = PathFinder.find_spec(name, paths)
    return spec is None or spec.loader is None
