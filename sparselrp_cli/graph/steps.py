"""Where a graph goes in steps: outputs that relevance can't reach at all, and those it reaches in part."""

from collections import deque

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.beside import made_of_rows
from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.operations.product import Product


def reached(graph: CanonicalGraph) -> frozenset[str]:
    """Name the tensors from which relevance may get to the input, the input among them."""
    found = {graph.input}
    for node in graph.nodes:
        if any(name in found and node.operation.passes_to(i) for i, name in enumerate(node.inputs)):
            found.add(node.name)
    return frozenset(found)


def require_smooth(graph: CanonicalGraph, output: int) -> None:
    """Stop if an output reaches the input through step functions only.

    Raises
    ------
    ModelError
        It names the output, the function and where it stands.
    """
    chosen, smooth = graph.outputs[output], reached(graph)
    if chosen.node in smooth:
        return
    step = _first_step(graph, chosen.node, smooth)
    raise ModelError(
        f"output '{chosen.name}' is a step function of the sequence: relevance can't pass"
        f" {step.operation.describe()} at {step.where}; explain what goes into it: return it from forward, or"
        " choose another output"
    )


def steps_beside(graph: CanonicalGraph) -> tuple[str, ...]:
    """Say of outputs which step functions they depend on beside what can be explained.

    Masks and gates don't count: what they let pass is explained.

    Returns
    -------
    tuple of str
        One sentence for each output that reads a step as a number.
    """
    notes = []
    for i, output in enumerate(graph.outputs):
        part = graph.restricted((i,))
        smooth = reached(part)
        read = [name for name in _read_as_numbers(part, smooth) if name not in made_of_rows(part)]
        steps = [_first_step(part, name, smooth) for name in read]
        if output.node not in smooth or not steps:
            continue
        others = f" (and {len(set(steps)) - 1} more)" if len(set(steps)) > 1 else ""
        notes.append(
            f"output '{output.name}' depends on the sequence in part through a step function,"
            f" {steps[0].operation.describe()} at {steps[0].where}{others}: relevance can't pass it, and is"
            " absorbed there"
        )
    return tuple(notes)


def _read_as_numbers(graph: CanonicalGraph, smooth: frozenset[str]) -> list[str]:
    """Name the tensors that depend on the input by steps only and are read by what doesn't."""
    made = graph.by_name()
    return [
        name
        for node in graph.nodes
        if node.name in smooth and not isinstance(node.operation, Product)
        for i, name in enumerate(node.inputs)
        if name in made and name not in smooth and node.operation.passes_to(i)
    ]


def _first_step(graph: CanonicalGraph, name: str, smooth: frozenset[str]) -> Node:
    """Go back from a tensor to the nearest step of something that isn't one itself."""
    nodes = graph.by_name()
    waiting, last = deque([name]), nodes[name]
    while waiting:
        last = nodes[waiting.popleft()]
        if smooth.intersection(last.inputs):
            return last
        waiting.extend(i for i in last.inputs if i in nodes)
    return last
