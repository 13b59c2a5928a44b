"""A packed graph as a module, for all that calls a model."""

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operations.recurrent import Recurrent


class PackedNetwork(nn.Module):
    """Computes the outputs of a canonical graph, None for those that it can't compute.

    Each operation with trained weights is a submodule that holds them, so that they can be looked at and
    changed as those of any module; `current` gives the graph with the weights as they are now.

    Parameters
    ----------
    graph : CanonicalGraph
    """

    def __init__(self, graph: CanonicalGraph) -> None:
        super().__init__()
        self.graph = graph
        # What has no weights computes in its own type all the same.
        self.register_buffer("like", torch.empty(0, dtype=graph.dtype), persistent=False)
        self.layers = nn.ModuleList(_Weights(node) for node in graph.nodes if trained(node))

    def current(self) -> CanonicalGraph:
        """Give the graph with the weights that the module has now."""
        changed = {layer.node: layer for layer in self.layers if isinstance(layer, _Weights)}
        nodes = tuple(
            changed[node.name].put_into(node) if node.name in changed else node for node in self.graph.nodes
        )
        return dataclasses.replace(self.graph, nodes=nodes)

    def forward(self, x: Tensor) -> list[Tensor | None]:
        values = self.current().outputs_for(x)
        return [values.get(output.node) for output in self.graph.outputs]


def trained(node: Node) -> dict[str, Tensor]:
    """Give the weights of an operation that has trained ones, by field."""
    if not isinstance(node.operation, (Layer, Recurrent)):
        return {}
    values = ((f.name, getattr(node.operation, f.name)) for f in dataclasses.fields(node.operation))
    return {name: value for name, value in values if isinstance(value, Tensor) and value.is_floating_point()}


class _Weights(nn.Module):
    """The weights of one operation."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node.name
        for name, tensor in trained(node).items():
            self.register_parameter(name, nn.Parameter(tensor, requires_grad=False))

    def put_into(self, node: Node) -> Node:
        """Give a node these weights; the same node where they are its own."""
        ours: dict[str, Any] = {name: parameter.data for name, parameter in self.named_parameters()}
        own = trained(node)
        if all(tensor.data_ptr() == own[name].data_ptr() for name, tensor in ours.items()):
            return node
        operation = dataclasses.replace(node.operation, **ours)  # type: ignore[type-var]
        return dataclasses.replace(node, operation=operation)
