"""The audit of a model: which rule each operation gets, what has none, and whether relevance is conserved."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from sparselrp_cli.errors import UnsupportedOperationError
from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.capture import check_against_module
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.shapes import Dim
from sparselrp_cli.relevance.composites import Assignment, Composite
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.plan import plan_pruning
from sparselrp_cli.relevance.signs import non_negative_tensors


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One operation: what it is, how relevance passes it, and whether its output is pruned.

    `work` counts its multiply-adds for one sample.
    """

    node: str
    operation: str
    details: str
    shape: str
    rule: str
    pruned: bool
    work: int
    where: str


@dataclass(frozen=True, slots=True)
class Audit:
    """All operations, and figures from a few random sequences.

    Attributes
    ----------
    rows : tuple of AuditRow
    work : dict of str to float
        How relevance passes, and the share of the network's multiply-adds it concerns, the largest first.
    unsupported : tuple of str
    difference : float or None
        Largest difference of the graph's outputs from the model's, relative to the largest value; None where
        an operation has no rule, or the model is the graph.
    conservation_error : float or None
        Largest, unpruned, of the first target.
    """

    rows: tuple[AuditRow, ...]
    work: dict[str, float]
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
    module: nn.Module | None,
    composite: Composite,
    explainer: Explainer | None,
    example: Tensor,
) -> Audit:
    """Audit a captured model.

    Parameters
    ----------
    graph : CanonicalGraph
        As captured, with its ends.
    module : nn.Module or None
        What it was captured from; None where there is nothing to compare it with.
    explainer : Explainer or None
        For the conservation error; None where an operation has no rule or no target was chosen.
    example : Tensor
        Random input as the model takes it.
    """
    assignment = composite.resolve(graph)
    signs = non_negative_tensors(graph)
    pruned = plan_pruning(graph).tensors
    shapes = {graph.input: graph.input_shape, **{n.name: n.shape for n in graph.nodes}}
    rows = tuple(
        AuditRow(
            node=node.name,
            operation=node.operation.kind,
            details=node.operation.describe(),
            shape=shape_text(node.shape),
            rule=_passage(node, assignment, signs),
            pruned=node.name in pruned,
            work=0
            if node.operation.transport
            else node.operation.work([shapes[i] for i in node.inputs], node.shape),
            where=node.where,
        )
        for node in assignment.applied(graph).nodes
    )
    unsupported = graph.without_rule()
    difference = None
    if module is not None and not unsupported:
        difference = max(check_against_module(graph, module, example).values(), default=None)
    error = None
    if explainer is not None:
        error = float(torch.stack([e.conservation_error for e in explainer.explain(example)]).max())
    return Audit(rows, _work_shares(rows), unsupported, difference, error)


def _work_shares(rows: tuple[AuditRow, ...]) -> dict[str, float]:
    total = sum(row.work for row in rows) or 1
    shares: dict[str, float] = {}
    for row in rows:
        if row.work:
            shares[row.rule] = shares.get(row.rule, 0.0) + row.work / total
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _passage(node: Node, assignment: Assignment, signs: frozenset[str]) -> str:
    """Say in words how relevance passes an operation."""
    if not isinstance(node.operation, Layer):
        return node.operation.passes
    rule = assignment.rules[node.name].describe()
    own = assignment.prunings.get(node.name)
    prune = "" if own is None else f", p={own[0]:g}"
    return rule + prune + ("" if node.inputs[0] in signs else ", inputs of both signs")


def require_audited(report: Audit) -> None:
    """Stop at the first operation without a rule.

    Raises
    ------
    UnsupportedOperationError
    """
    if report.unsupported:
        raise UnsupportedOperationError(f"no rule for {report.unsupported[0]}")
