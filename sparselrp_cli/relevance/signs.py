"""Static sign analysis: which tensors of a graph can never be negative."""

from sparselrp_cli.graph.canonical import CanonicalGraph


def non_negative_tensors(graph: CanonicalGraph, input_non_negative: bool = True) -> frozenset[str]:
    """Name the tensors that are never negative, whatever the input (a one-hot sequence isn't)."""
    known = {graph.input} if input_non_negative else set()
    for node in graph.nodes:
        if node.operation.keeps_non_negative([name in known for name in node.inputs]):
            known.add(node.name)
    return frozenset(known)
