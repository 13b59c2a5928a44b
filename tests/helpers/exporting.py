"""A pytest plugin: what torch does anew whenever a model is exported is done once in a process.

With networks as small as those of the tests it takes a third of the time. Any export asks torch for each
of its composite operations, once for every namespace of operations. Here it asks again only where operations
were registered since. Then each of these 700 operations gets two dozen kernels, which keep it whole,
and loses them again. Here the tables of the first time are put in place, if those that they replace are as
they were.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any

import pytest
from torch._C import _dispatch_get_registrations_for_dispatch_key as registrations
from torch.export import ExportedProgram

from sparselrp_cli.graph import capture as capturing

Chosen = Mapping[Any, Callable[..., Any]]
"""Composite operations, and what is done with each."""
Overriding = Callable[[Chosen], AbstractContextManager[None]]
_PARTS = ("_special_op_to_preserve_cia", "_override_composite_implicit_decomp", "_collect_all_valid_cia_ops")
"""Of torch's own, as it is pinned for the tests."""
Tables = dict[Any, dict[Any, Any]]
"""By operation, its kernels by key."""


def when_there_are_new(ask: Callable[[], Any]) -> Callable[[], Any]:
    """Ask for composite operations only if they aren't those of the last time."""
    known: tuple[str, ...] = ()
    answer: Any = None

    def asked() -> Any:
        nonlocal known, answer
        if (names := tuple(registrations("CompositeImplicitAutograd"))) != known:
            answer, known = ask(), names
        return answer

    return asked


class Again:
    """Override as the first time, where every operation is kept whole and has the kernels it had then.

    Parameters
    ----------
    override : callable
        As torch does it: within the context that it gives, operations have other kernels.
    keep : callable
        What is done with an operation that is kept whole.
    rules : dict
        The rules of fake tensors, to which one is added for each operation that has none.
    """

    def __init__(self, override: Overriding, keep: Callable[..., Any], rules: dict[Any, Any]) -> None:
        self.override, self.keep, self.rules = override, keep, rules
        self.before: Tables = {}
        self.within: Tables = {}
        self.added: dict[Any, Any] = {}

    @contextmanager
    def __call__(self, chosen: Chosen) -> Iterator[None]:
        with self._as_then() if self._is_as_then(chosen) else self._by_torch(chosen):
            yield

    def _is_as_then(self, chosen: Chosen) -> bool:
        same = chosen.keys() == self.before.keys() and not self.rules.keys() & self.added.keys()
        return same and self._all_kept(chosen) and tables_of(chosen) == self.before

    def _all_kept(self, chosen: Chosen) -> bool:
        return all(what is self.keep for what in chosen.values())

    @contextmanager
    def _as_then(self) -> Iterator[None]:
        before = {operation: operation.py_kernels for operation in self.within}
        put({operation: dict(table) for operation, table in self.within.items()})
        self.rules.update(self.added)
        try:
            yield
        finally:
            put(before)
            for operation in self.added:
                self.rules.pop(operation, None)

    @contextmanager
    def _by_torch(self, chosen: Chosen) -> Iterator[None]:
        before, rules = tables_of(chosen), set(self.rules)
        with self.override(chosen):
            if self._all_kept(chosen):
                self.before, self.within = before, tables_of(chosen)
                self.added = {operation: self.rules[operation] for operation in self.rules.keys() - rules}
            yield


def tables_of(operations: Iterable[Any]) -> Tables:
    """The kernels of each operation as they are now."""
    return {operation: dict(operation.py_kernels) for operation in operations}


def put(tables: Tables) -> None:
    for operation, table in tables.items():
        operation.py_kernels = table
        operation._dispatch_cache.clear()


def exporting_once(traced: Callable[..., ExportedProgram], patch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Trace as ever; the parts of torch are loaded and replaced by the first that is traced."""

    @cache
    def replace() -> None:
        from torch._subclasses.fake_impls import op_implementations_dict as rules
        from torch.export import exported_program as exported

        if not all(hasattr(exported, name) for name in _PARTS):
            return  # another version of torch, which does it all anew
        kept = exported._special_op_to_preserve_cia
        override = Again(exported._override_composite_implicit_decomp, kept, rules)
        patch.setattr(exported, "_override_composite_implicit_decomp", override)
        ask = when_there_are_new(exported._collect_all_valid_cia_ops)
        patch.setattr(exported, "_collect_all_valid_cia_ops", ask)

    def tracing(*given: Any) -> ExportedProgram:
        replace()
        return traced(*given)

    return tracing


def pytest_configure(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(capturing, "_traced", exporting_once(capturing._traced, patch))
    config.add_cleanup(patch.undo)
