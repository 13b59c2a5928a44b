"""What stands between a model's input and its first layers: shifts, scales, padding, a batch norm.

No tensor without a layer between it and the input is pruned, and the layers that read such tensors are
the first ones, whatever stands in front of them.
"""

from dataclasses import replace

import torch

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.beside import besides
from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operations.homogeneous import Homogeneous
from sparselrp_cli.graph.operations.recurrent import Recurrent
from sparselrp_cli.graph.operations.tokens import Embedding
from sparselrp_cli.graph.shapes import resolve


def before_layers(graph: CanonicalGraph) -> frozenset[str]:
    """Name the tensors that have no layer between them and the model's input, the input among them."""
    found = {graph.input}
    for node in graph.nodes:
        has_weights = isinstance(node.operation, (Layer, Recurrent, Embedding))
        if not has_weights and found.issuperset(node.inputs):
            found.add(node.name)
    return frozenset(found)


def reached_by_offsets(graph: CanonicalGraph) -> frozenset[str]:
    """Name the tensors whose relevance can be carried back to the input whatever they hold.

    That is where nothing but operations with one rule for it stand in front: those that move neurons, that
    change each alone, or that copy and average them.
    """
    found = {graph.input}
    for node in graph.nodes:
        if carries_offsets(node) and found.issuperset(node.inputs):
            found.add(node.name)
    return frozenset(found)


def carries_offsets(node: Node) -> bool:
    """Whether an operation carries relevance back that doesn't depend on the activation."""
    operation = node.operation
    copies = isinstance(operation, Homogeneous) and operation.linear
    return operation.transport or operation.elementwise or copies


def range_of(graph: CanonicalGraph, name: str) -> tuple[float, float]:
    """Give the least and the largest number in a tensor before all layers, for inputs between 0 and 1.

    Found at an input of zeros and one of ones: what stands before a first layer is monotone in each neuron.
    """
    if graph.device.type == "meta":
        return 0.0, 1.0  # a graph without numbers, of which only shapes are asked
    lowest, highest = (
        _values(graph, name, torch.full(resolve(graph.input_shape, 1), number, dtype=torch.float64))
        for number in (0.0, 1.0)
    )
    both = torch.stack([lowest, highest])
    return float(both.min()), float(both.max())


def _reads(graph: CanonicalGraph, name: str, source: str) -> bool:
    """Whether a tensor is made of another."""
    made = {source}
    for node in graph.nodes:
        if made.intersection(node.inputs):
            made.add(node.name)
    return name in made


def _values(graph: CanonicalGraph, name: str, x: torch.Tensor) -> torch.Tensor:
    before = before_layers(graph)
    if by_window := [node for node in besides(graph) if node in before and _reads(graph, name, node)]:
        raise ModelError(
            f"what the first layer reads depends on the input '{besides(graph)[by_window[0]].name}' of each"
            " window, so its range isn't known; choose a composite without z-box, or hold the input constant"
        )
    nodes = tuple(node for node in graph.nodes if node.name in before)
    front = replace(graph, nodes=nodes).to(torch.device("cpu"), torch.float64)
    return front.evaluate(x)[name]
