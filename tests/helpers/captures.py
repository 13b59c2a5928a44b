"""A pytest plugin: commands, and tests that ask for it, trace each network of the tests once in a process.

Tracing takes longer than explaining a few windows with a small network does. A network whose class stands in
the tests is known by its class, its weights and its input; the graph of one traced before is used again. What
is done with a graph leaves it as it was.
"""

import hashlib
from collections.abc import Callable, Hashable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sparselrp_cli.graph import traced_model
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture

TESTS = Path(__file__).parents[1]


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


captured_once = shared(capture)
"""For tests: a network that holds nothing but layers and weights, no functions and no settings."""


def pytest_configure(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(traced_model, "capture", shared(traced_model.capture))
    config.add_cleanup(patch.undo)
