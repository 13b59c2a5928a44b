"""A pytest plugin: commands trace each network of the tests once in a process.

Tracing takes longer than explaining a few windows with a small network does. A network whose class stands in
the tests is known by its class, its weights and its input; the graph of one traced before is used again. What
is done with a graph leaves it as it was.

Any tracing asks torch for each of its composite operations, once for every namespace of operations, which
takes a fifth of the time with networks as small as those of the tests. Here it does so again only where
operations were registered since.
"""

import hashlib
from collections.abc import Callable, Hashable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from sparselrp_cli.graph import capture as capturing
from sparselrp_cli.graph import traced_model
from sparselrp_cli.graph.canonical import CanonicalGraph

TESTS = Path(__file__).parents[1]
ASKING = "_materialize_cpp_cia_ops"


def identity(module: nn.Module, example: Tensor) -> Hashable:
    """What a graph depends on, or None for a network that isn't of the tests."""
    file = type(module).forward.__code__.co_filename
    if not Path(file).is_relative_to(TESTS):
        return None
    weights = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        weights.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        weights.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
    shape = (tuple(example.shape), example.dtype)
    return file, type(module).__qualname__, repr(module), weights.hexdigest(), shape


def shared(capture: Callable[[nn.Module, Tensor], CanonicalGraph]) -> Callable[..., CanonicalGraph]:
    """Capture what wasn't captured before."""
    graphs: dict[Hashable, CanonicalGraph] = {}

    def captured(module: nn.Module, example: Tensor) -> CanonicalGraph:
        key = identity(module, example)
        if key is None:
            return capture(module, example)
        if key not in graphs:
            graphs[key] = capture(module, example)
        return graphs[key]

    return captured


def composite_operations() -> tuple[str, ...]:
    """The names that torch asks for."""
    return tuple(torch._C._dispatch_get_registrations_for_dispatch_key("CompositeImplicitAutograd"))


def when_there_are_new(ask: Callable[[], None]) -> Callable[[], None]:
    """Ask for composite operations only if they aren't those of the last time."""
    known: tuple[str, ...] = ()

    def asked() -> None:
        nonlocal known
        if (names := composite_operations()) != known:
            ask()
            known = names

    return asked


def asking_once(traced: Callable[..., ExportedProgram], patch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Trace as ever; the part of torch that asks is loaded and replaced by the first that is traced."""

    @cache
    def replace() -> None:
        from torch._export import utils

        patch.setattr(utils, ASKING, when_there_are_new(getattr(utils, ASKING)))

    def tracing(*given: Any) -> ExportedProgram:
        replace()
        return traced(*given)

    return tracing


def pytest_configure(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(traced_model, "capture", shared(traced_model.capture))
    patch.setattr(capturing, "_traced", asking_once(capturing._traced, patch))
    config.add_cleanup(patch.undo)
