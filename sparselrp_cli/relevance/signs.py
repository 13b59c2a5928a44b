"""Static sign analysis: which tensors of a graph can never be negative."""

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.operations.pad import Pad

_ABOVE_ZERO = ("sigmoid", "softmax", "exp", "softplus")
"""Ends whose values are above 0, but for rounding."""


def non_negative_tensors(graph: CanonicalGraph, input_non_negative: bool = True) -> frozenset[str]:
    """Name the tensors that are never negative, whatever the input (a one-hot sequence isn't)."""
    known = {graph.input} if input_non_negative else set()
    for node in graph.nodes:
        if node.operation.keeps_non_negative([name in known for name in node.inputs]):
            known.add(node.name)
    return frozenset(known)


def positive_outputs(graph: CanonicalGraph) -> tuple[int, ...]:
    """Number the outputs that are seen to be above 0 everywhere, from the end they come from."""
    nodes = {node.name: node for node in graph.nodes}
    return tuple(i for i, output in enumerate(graph.outputs) if _is_positive(nodes, output.node))


def _is_positive(nodes: dict[str, Node], name: str) -> bool:
    node = nodes.get(name)
    while node is not None and node.operation.transport and len(node.inputs) == 1:
        if isinstance(node.operation, Pad):
            return False
        node = nodes.get(node.inputs[0])
    return node is not None and node.operation.end() in _ABOVE_ZERO
