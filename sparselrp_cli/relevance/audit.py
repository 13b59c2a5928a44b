"""The audit of a model: which rule each operation gets, what has none, and whether relevance is conserved."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from sparselrp_cli.model.capture import check_against_module
from sparselrp_cli.model.graph import CanonicalGraph, Node, Unsupported
from sparselrp_cli.model.operations import (
    AveragePool,
    Dim,
    Layer,
    Maximum,
    MaxPool,
)
from sparselrp_cli.relevance.composites import Composite
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.plan import plan_pruning
from sparselrp_cli.relevance.signs import non_negative_tensors

_WINNER = (MaxPool, Maximum)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One operation: what it is, how relevance passes it, and whether its output is pruned."""

    node: str
    operation: str
    details: str
    shape: str
    rule: str
    pruned: bool
    where: str


@dataclass(frozen=True, slots=True)
class Audit:
    """All operations, and figures from a few random sequences.

    Attributes
    ----------
    difference : float or None
        Largest difference of the graph's outputs from the model's, relative to the largest value; None where
        an operation has no rule.
    conservation_error : float or None
        Largest, unpruned, of the first target.
    """

    rows: tuple[AuditRow, ...]
    unsupported: tuple[str, ...]
    difference: float | None
    conservation_error: float | None

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def shape_text(shape: tuple[Dim, ...]) -> str:
    """Write a shape, N for the samples."""
    return "(" + ", ".join(map(str, shape)) + ")"


def audit(
    graph: CanonicalGraph,
    module: nn.Module,
    composite: Composite,
    explainer: Explainer | None,
    example: Tensor,
) -> Audit:
    """Audit a captured model.

    Parameters
    ----------
    explainer : Explainer or None
        For the conservation error; None where an operation has no rule or no target was chosen.
    example : Tensor
        Random input as the model takes it.
    """
    signs = non_negative_tensors(graph)
    pruned = plan_pruning(graph).tensors
    rows = tuple(
        AuditRow(
            node=node.name,
            operation=node.operation.kind,
            details=node.operation.describe(),
            shape=shape_text(node.shape),
            rule=_rule(node, composite, signs),
            pruned=node.name in pruned,
            where=node.where,
        )
        for node in graph.nodes
    )
    unsupported = tuple(f"{n.operation.describe()} at {n.where}" for n in graph.unsupported())
    difference = (
        None if unsupported else max(check_against_module(graph, module, example).values(), default=None)
    )
    error = None
    if explainer is not None:
        error = float(torch.stack([e.conservation_error for e in explainer.explain(example)]).max())
    return Audit(rows, unsupported, difference, error)


def _rule(node: Node, composite: Composite, signs: frozenset[str]) -> str:
    """Say in words how relevance passes an operation."""
    operation = node.operation
    if isinstance(operation, Unsupported):
        return "NONE"
    if isinstance(operation, Layer):
        signed = "" if node.inputs[0] in signs else ", inputs of both signs"
        return composite.rule_for(operation.kind).describe() + signed
    if isinstance(operation, _WINNER) or (
        operation.kind == "adaptive-pool" and getattr(operation, "maximum", False)
    ):
        return "winner takes all"
    if operation.transport:
        return "moved"
    if operation.kind == "activation":
        return "passed on"
    if operation.kind in ("add", "subtract", "sum", "mean") or isinstance(operation, AveragePool):
        return "in proportion to the terms"
    return "in proportion; constants absorb"
