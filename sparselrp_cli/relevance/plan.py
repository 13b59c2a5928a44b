"""Where relevance is pruned: the tensors that layers read, and how the layers read them."""

import dataclasses
from dataclasses import dataclass

from torch import Tensor

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operation import Operation
from sparselrp_cli.graph.operations.concatenate import Concatenate
from sparselrp_cli.graph.operations.pad import Pad
from sparselrp_cli.relevance.first_layers import before_layers


@dataclass(frozen=True, slots=True)
class Reading:
    """How a layer reads a pruned tensor: through operations that only move neurons, outermost first."""

    tensor: str
    path: tuple[Node, ...]
    layer: Node


@dataclass(frozen=True, slots=True)
class PruningPlan:
    """The tensors that are pruned and which layers read each.

    A tensor is pruned once, after everything that reads it has contributed. Operations that only move
    neurons are looked through; a concatenation is one layer's input if its parts feed nothing else, and
    otherwise each part is pruned on its own [ours]. What has no layer between it and the model's input is
    never pruned.

    Attributes
    ----------
    tensors : mapping of str to tuple of str
        Pruned tensor to the names of the layers that read it.
    readings : mapping of str to Reading
        Layer to the way it reads its pruned tensor; layers that read a shared concatenation have none.
    """

    tensors: dict[str, tuple[str, ...]]
    readings: dict[str, Reading]


def plan_pruning(graph: CanonicalGraph) -> PruningPlan:
    """Find the tensors to prune in a graph."""
    nodes, reads, in_front = graph.by_name(), graph.reads(), before_layers(graph)
    tensors: dict[str, tuple[str, ...]] = {}
    readings: dict[str, Reading] = {}
    for node in graph.nodes:
        if not isinstance(node.operation, Layer):
            continue
        source, path = _origin(node.inputs[0], nodes)
        if source in in_front:
            continue
        origins = _parts(source, nodes, reads)
        for origin in origins:
            if origin not in in_front:
                tensors[origin] = (*tensors.get(origin, ()), node.name)
        if origins == [source]:
            readings[node.name] = Reading(source, path, node)
    return PruningPlan(tensors, readings)


def _origin(name: str, nodes: dict[str, Node]) -> tuple[str, tuple[Node, ...]]:
    """Walk back through operations that move the neurons of one tensor; give it and the way to here."""
    path: list[Node] = []
    while (
        (node := nodes.get(name)) and node.operation.transport and not isinstance(node.operation, Concatenate)
    ):
        path.append(node)
        name = node.inputs[0]
    return name, tuple(reversed(path))


def _parts(name: str, nodes: dict[str, Node], reads: dict[str, int]) -> list[str]:
    """Split a concatenation whose parts are read elsewhere too into its parts' tensors."""
    node = nodes.get(name)
    if node is None or not isinstance(node.operation, Concatenate):
        return [name]
    chains = [_origin(part, nodes) for part in node.inputs]
    exclusive = all(
        reads[origin] == 1 and all(reads[step.name] == 1 for step in path) for origin, path in chains
    )
    if exclusive:
        return [name]
    return [origin for part, _ in chains for origin in _parts(part, nodes, reads)]


def carry_mask(path: tuple[Node, ...], mask: Tensor) -> Tensor:
    """Move a mask of a tensor's neurons along the way a layer reads them; padding counts as kept."""
    for node in path:
        operation: Operation = node.operation
        if isinstance(operation, Pad):
            operation = dataclasses.replace(operation, value=1.0)
        mask, _ = operation.forward(mask)
    return mask
