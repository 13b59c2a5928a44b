"""Fold batch normalisation into the layer beside it, along the edges of the graph."""

import dataclasses

from torch import Tensor

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operations.batch_norm import ChannelAffine
from sparselrp_cli.graph.operations.convolution import Convolution
from sparselrp_cli.graph.operations.dense import Dense


def fold_batch_norm(graph: CanonicalGraph) -> CanonicalGraph:
    """Merge each stand-alone normalisation into a layer where that is exact.

    A normalisation is folded into the layer that feeds it if nothing else reads that layer, or else into
    the layer that it alone feeds if that layer pads nothing. Any other stays an operation of its own.
    """
    while (folded := _fold_one(graph)) is not None:
        graph = folded
    return graph


def _fold_one(graph: CanonicalGraph) -> CanonicalGraph | None:
    nodes, reads, users = graph.by_name(), graph.reads(), graph.users()
    for node in graph.nodes:
        if not isinstance(node.operation, ChannelAffine):
            continue
        before = nodes.get(node.inputs[0])
        if before is not None and reads[before.name] == 1 and _can_follow(before):
            layer = _fold_behind(before.operation, node.operation)  # type: ignore[arg-type]
            merged = dataclasses.replace(before, operation=layer)
            return _replaced(_renamed(graph, node.name, before.name), drop=node.name, put=merged)
        if reads[node.name] == 1 and users[node.name] and _can_precede(users[node.name][0]):
            after = users[node.name][0]
            layer = _fold_ahead(node.operation, after.operation)  # type: ignore[arg-type]
            merged = dataclasses.replace(after, operation=layer, inputs=node.inputs)
            return _replaced(graph, drop=node.name, put=merged)
    return None


def _replaced(graph: CanonicalGraph, drop: str, put: Node) -> CanonicalGraph:
    nodes = tuple(put if n.name == put.name else n for n in graph.nodes if n.name != drop)
    return dataclasses.replace(graph, nodes=nodes)


def _renamed(graph: CanonicalGraph, old: str, new: str) -> CanonicalGraph:
    """Let everything that reads one tensor read another."""
    nodes = tuple(
        dataclasses.replace(n, inputs=tuple(new if i == old else i for i in n.inputs)) for n in graph.nodes
    )
    outputs = tuple(dataclasses.replace(o, node=new) if o.node == old else o for o in graph.outputs)
    return dataclasses.replace(graph, nodes=nodes, outputs=outputs)


def _can_follow(node: Node) -> bool:
    # A dense layer's channels are its last axis: normalisation of axis 1 is the same on (N, features) only.
    return isinstance(node.operation, Convolution) or (
        isinstance(node.operation, Dense) and len(node.shape) == 2
    )


def _can_precede(node: Node) -> bool:
    operation = node.operation
    if isinstance(operation, Convolution):
        return operation.groups == 1 and not any(operation.padding)
    return isinstance(operation, Dense) and len(node.shape) == 2


def _outer(vector: Tensor, weight: Tensor, axis: int) -> Tensor:
    return vector.reshape([-1 if a == axis else 1 for a in range(weight.dim())])


def _fold_behind(layer: Layer, affine: ChannelAffine) -> Layer:
    """``scale * (W x + b) + shift`` as one layer."""
    return _with(layer, *folded_behind(layer.weight, layer.bias, affine.scale, affine.shift))


def folded_behind(weight: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Give weight and bias of ``scale * (W x + b) + shift`` as one layer, in float64."""
    weight, scale, shift = weight.double(), scale.double(), shift.double()
    together = shift if bias is None else bias.double() * scale + shift
    return weight * _outer(scale, weight, 0), together


def _fold_ahead(affine: ChannelAffine, layer: Layer) -> Layer:
    """``W (scale * x + shift) + b`` as one layer."""
    weight = layer.weight.double()
    scale, shift = affine.scale.double(), affine.shift.double()
    bias = (weight * _outer(shift, weight, 1)).flatten(1).sum(1)
    if layer.bias is not None:
        bias = bias + layer.bias.double()
    return _with(layer, weight * _outer(scale, weight, 1), bias)


def _with(layer: Layer, weight: Tensor, bias: Tensor) -> Layer:
    dtype = layer.weight.dtype
    return dataclasses.replace(layer, weight=weight.to(dtype), bias=bias.to(dtype))
