"""Sums whose terms cancel, such as ``x + (round(x) - x)``: what is left takes their place.

Written so, with the difference detached, a step function has a gradient in training; its value is a step's.
"""

import dataclasses
from collections import Counter

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.operations.addition import Add, Subtract


def cancel_terms(graph: CanonicalGraph) -> CanonicalGraph:
    """Let whatever reads a sum that equals one of its terms read that term."""
    nodes = graph.by_name()
    left: dict[str, str] = {}
    for node in graph.nodes:
        terms = {name: count for name, count in _terms(node.name, nodes).items() if count}
        if list(terms.values()) == [1] and node.name not in terms:
            left[node.name] = next(iter(terms))
    if not left:
        return graph

    def behind(name: str) -> str:
        while name in left:
            name = left[name]
        return name

    kept = tuple(dataclasses.replace(n, inputs=tuple(map(behind, n.inputs))) for n in graph.nodes)
    outputs = tuple(dataclasses.replace(o, node=behind(o.node)) for o in graph.outputs)
    changed = dataclasses.replace(graph, nodes=kept, outputs=outputs)
    return changed.restricted(tuple(range(len(outputs))))


def _signs(node: Node | None, nodes: dict[str, Node]) -> tuple[int, int] | None:
    """Give the signs of the two terms of a sum of tensors of one shape; None for anything else."""
    if node is None or any(i not in nodes or nodes[i].shape != node.shape for i in node.inputs):
        return None
    if isinstance(node.operation, Subtract):
        return 1, -1
    if isinstance(node.operation, Add) and abs(node.operation.alpha) == 1:
        return 1, int(node.operation.alpha)
    return None


def _terms(name: str, nodes: dict[str, Node], sign: int = 1, depth: int = 3) -> Counter[str]:
    """Count how often each tensor is added in a sum, negative where it is taken off."""
    node = nodes.get(name)
    signs = _signs(node, nodes) if depth else None
    if node is None or signs is None:
        return Counter({name: sign})
    terms: Counter[str] = Counter()
    for term, own in zip(node.inputs, signs, strict=True):
        terms.update(_terms(term, nodes, sign * own, depth - 1))
    return terms
