"""Undo the ends of models that return probabilities or rates: what is explained is what goes into them.

A softmax or sigmoid squashes differences, and relevance of a probability near 1 says little; logits and log
rates are what the network adds up.
"""

import dataclasses

from sparselrp_cli.graph.canonical import CanonicalGraph, GraphOutput, Node
from sparselrp_cli.graph.operations.product import Scale


def undo_ends(graph: CanonicalGraph) -> tuple[CanonicalGraph, tuple[str, ...]]:
    """Let each output be what goes into its last increasing functions.

    Softmax, sigmoid, exp, log and softplus are undone, also where the output is only moved after them
    (transposed, sliced, concatenated with nothing).

    Returns
    -------
    graph : CanonicalGraph
    notes : tuple of str
        One sentence for each output that was changed.
    """
    notes: dict[str, list[str]] = {}
    outputs = []
    for output in graph.outputs:
        undone: list[str] = []
        while (found := _end(graph, output)) is not None:
            undone.append(found[-1].operation.end())
            graph, output = _without(graph, output, found)
        outputs.append(output)
        if undone:
            notes[output.name] = undone
    graph = dataclasses.replace(graph, outputs=tuple(outputs))
    sentences = tuple(
        f"output '{name}' is explained before its {' and '.join(u)}" for name, u in notes.items()
    )
    return graph.restricted(tuple(range(len(outputs)))), sentences


def _end(graph: CanonicalGraph, output: GraphOutput) -> list[Node] | None:
    """Find the way from an output back to its last increasing function, through moves only."""
    nodes = graph.by_name()
    path: list[Node] = []
    name = output.node
    while (node := nodes.get(name)) is not None:
        path.append(node)
        operation = node.operation
        if operation.end():
            return path
        moved = operation.transport and len(node.inputs) == 1
        if not moved and not (isinstance(operation, Scale) and bool((operation.factor == 1).all())):
            return None
        name = node.inputs[0]
    return None


def _without(
    graph: CanonicalGraph, output: GraphOutput, path: list[Node]
) -> tuple[CanonicalGraph, GraphOutput]:
    """Lead an output around the end of its path; the moves after it are made anew."""
    source = path[-1].inputs[0]
    copies = []
    for node in reversed(path[:-1]):
        copy = dataclasses.replace(node, name=f"{node.name}~{output.name}", inputs=(source,))
        copies.append(copy)
        source = copy.name
    graph = dataclasses.replace(graph, nodes=(*graph.nodes, *copies))
    return graph, dataclasses.replace(output, node=source)
