"""A pytest plugin: commands, and tests that ask for it, trace each network of the tests once in a process.

Tracing takes longer than explaining a few windows with a small network does. A network is known by the code
of its classes, by all that its modules hold, and by the shape of its input. The graph of one traced before is
used again. What is done with a graph leaves it as it was.
"""

import hashlib
import types
from collections.abc import Callable, Hashable, Iterator, Mapping

import pytest
import torch
from torch import Tensor, nn

from sparselrp_cli.graph import traced_model
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture

OF_EVERY_MODULE = vars(nn.Module()).keys() - {"training"}
PLAIN = (bool, int, float, complex, str, bytes, type(None), type, torch.dtype, torch.device)


class UnknownError(Exception):
    """Something that a module holds can't be told from another of its type."""


def known(value: object) -> Hashable:
    """Something equal for equal values only."""
    if isinstance(value, PLAIN):
        return type(value), value
    if isinstance(value, Tensor):
        content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        return value.dtype, tuple(value.shape), hashlib.sha256(content).digest()
    if isinstance(value, Mapping):
        return type(value), tuple((known(name), known(each)) for name, each in value.items())
    if isinstance(value, (tuple, list)):
        return type(value), tuple(map(known, value))
    if isinstance(value, (set, frozenset)):
        return type(value), frozenset(map(known, value))
    raise UnknownError(type(value))


def code_of(kind: type) -> Iterator[Hashable]:
    """The code of a class and of those it is made from."""
    for base in kind.__mro__[: kind.__mro__.index(nn.Module)]:
        yield base.__module__, base.__qualname__
        for name, value in vars(base).items():
            if isinstance(value, types.FunctionType):
                cells = [cell.cell_contents for cell in value.__closure__ or ()]
                yield name, value.__code__, known([cell for cell in cells if cell is not base])


def held(module: nn.Module) -> Iterator[Hashable]:
    """What a module holds itself: tensors and settings."""
    own = {name: value for name, value in vars(module).items() if name not in OF_EVERY_MODULE}
    hooks = (value for name, value in vars(module).items() if name.endswith("_hooks"))
    if any(hooks):
        raise UnknownError
    yield from (known(own), known(module._parameters), known(module._buffers))


def identity(module: nn.Module, example: Tensor) -> Hashable:
    """What a graph depends on, or None where that can't be told."""
    try:
        parts = tuple(
            (name, *code_of(type(part)), *held(part))
            for name, part in module.named_modules(remove_duplicate=False)
        )
    except (UnknownError, ValueError):  # ValueError: a cell that is empty yet
        return None
    return parts, tuple(example.shape), example.dtype, example.device


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


captured_once = shared(capture)


def pytest_configure(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(traced_model, "capture", shared(traced_model.capture))
    config.add_cleanup(patch.undo)
