"""Inputs beside the sequence that differ from window to window: constants of each window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.constants import finite
from sparselrp_cli.graph.operation import At, Operation, Pulled

NO_ROWS: Mapping[str, Tensor] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Beside(Operation):
    """Another input of the model, of each window its own; it carries no relevance and absorbs what it gets.

    It takes the sequence to know how many windows there are, and nothing else of it.

    Attributes
    ----------
    name : str
        The parameter of the model's forward.
    row : Tensor, shape (1, ...)
        What it is where no rows are given.
    """

    name: str
    row: Tensor
    kind: ClassVar[str] = "input"
    passes: ClassVar[str] = "of each window; carries none"
    takes_decisions: ClassVar[bool] = True

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return self.row.expand(len(inputs[0]), *self.row.shape[1:]), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (None,)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        return c * finite(at.output)

    def passes_to(self, index: int) -> bool:
        return False

    def is_gate(self, inputs: Sequence[bool]) -> bool:
        return True

    def describe(self) -> str:
        return f"{self.name}, by window"


def besides(graph: CanonicalGraph) -> dict[str, Beside]:
    """Give the inputs beside the sequence by the names of their nodes."""
    return {node.name: node.operation for node in graph.nodes if isinstance(node.operation, Beside)}


def made_of_rows(graph: CanonicalGraph) -> frozenset[str]:
    """Name the tensors that depend on inputs beside the sequence alone."""
    found = set(besides(graph))
    for node in graph.nodes:
        if node.inputs and found.issuperset(node.inputs):
            found.add(node.name)
    return frozenset(found)


def with_rows(graph: CanonicalGraph, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the values of nodes for a batch, from its rows by the names of inputs."""
    return {
        node: rows[beside.name].to(beside.row.device, beside.row.dtype)
        for node, beside in besides(graph).items()
        if beside.name in rows
    }


def default_rows(module: torch.nn.Module, n_samples: int) -> dict[str, Tensor]:
    """Give what a module takes beside the sequence where no rows are given; nothing of most modules."""
    make = getattr(module, "rows_of", None)
    return make(n_samples) if callable(make) and isinstance(getattr(module, "by_window", None), tuple) else {}
