"""Programs that are converted as they were traced: tracing them once more gives the same operations."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.graph import capture as capturing
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.functional import is_functional

LENGTH = 12
torch.manual_seed(0)
SCAN, NORM, HEAD = nn.Conv1d(4, 6, 3, padding=1), nn.BatchNorm1d(6), nn.Linear(6 * LENGTH, 2)
NORM.running_mean.uniform_(-0.2, 0.2)


class Net(nn.Module):
    """A function between a convolution and a dense layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.scan, self.norm, self.head, self.function = SCAN, NORM, HEAD, function
        self.eval().double()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.function(self.norm(self.scan(x))).flatten(1))


def halves(x: Tensor) -> Tensor:
    first, second = x.chunk(2, 1)
    return torch.cat([second, first * second.sigmoid()], 1)


FUNCTIONAL = {
    "an activation": torch.relu,
    "halves": halves,
    "reshaped by sizes": lambda x: x.reshape(x.shape[0], 3, 2, -1).transpose(1, 2).relu(),
    "cut into an axis": lambda x: x.unflatten(1, (2, 3)).amax(1, keepdim=True).expand(-1, 2, -1, -1),
    "dropout in evaluation mode": lambda x: functional.dropout(x, 0.5, training=False).relu(),
    "concat": lambda x: torch.concat([x[:, :2], x[:, 2:]], 1),
    "concatenate": lambda x: torch.concatenate([x[:, :2], x[:, 2:]], 1),
    "constants made within": lambda x: (
        x * torch.arange(LENGTH, dtype=x.dtype).to("cpu") + torch.eye(6, LENGTH)
    ),
    "constants that no rule is for": lambda x: x * torch.outer(torch.linspace(0, 1, 6), torch.ones(LENGTH)),
    "constants as large as an activation": lambda x: x.relu() + torch.ones_like(x) * 0.25,
    "constants of every sample": lambda x: x + torch.zeros(len(x), 6, 1),
    "cast and laid out": lambda x: x.transpose(1, 2).contiguous().to(torch.float64).relu(),
}
OTHERS = {
    "written to": lambda x: x.relu_(),
    "a part written to": lambda x: x.index_fill_(2, torch.tensor([0]), 0.0),
    "a constant written to": lambda x: x * torch.zeros(LENGTH).fill_(0.5),
    "drawn at random": lambda x: x * torch.rand(LENGTH),
    "unknown": functional.softshrink,
    "dropout in training mode": lambda x: functional.dropout(x, 0.5, training=True),
    "statistics of the batch": lambda x: functional.batch_norm(x, None, None, training=True),
}


def windows() -> Tensor:
    bases = torch.randint(4, (2, LENGTH), generator=torch.Generator().manual_seed(1))
    return functional.one_hot(bases, 4).transpose(1, 2).double()


def exported(function: Callable[[Tensor], Tensor]) -> torch.export.ExportedProgram:
    with torch.no_grad():
        return torch.export.export(Net(function), (windows(),), strict=False)


def operations(graph: CanonicalGraph) -> list[tuple[object, ...]]:
    """What each node computes from which others, whatever they are called."""
    number = {graph.input: -1} | {node.name: i for i, node in enumerate(graph.nodes)}
    return [
        (n.operation.kind, n.operation.describe(), n.module, n.shape, [number[name] for name in n.inputs])
        for n in graph.nodes
    ]


@pytest.mark.parametrize("function", FUNCTIONAL.values(), ids=FUNCTIONAL)
def test_what_is_converted_as_it_was_traced_is_what_tracing_once_more_gives(function, monkeypatch):
    assert is_functional(exported(function))
    ours = capture(Net(function), windows())
    monkeypatch.setattr(capturing, "is_functional", lambda program: False)
    other = capture(Net(function), windows())
    assert operations(ours) == operations(other)
    for one, two in zip(
        ours.outputs_for(windows()).values(), other.outputs_for(windows()).values(), strict=True
    ):
        assert torch.equal(one, two)


@pytest.mark.parametrize("function", OTHERS.values(), ids=OTHERS)
def test_what_writes_is_unknown_or_goes_by_the_batch_is_traced_once_more(function):
    assert not is_functional(exported(function))
