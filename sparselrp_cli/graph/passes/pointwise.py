"""Turn each pointwise convolution over an image into one over its pixels in a row.

The numbers are the same. Over a sequence a convolution reads what lies as processors want it, and is computed
only where relevance is.
"""

import dataclasses

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.operation import Operation
from sparselrp_cli.graph.operations.convolution import Convolution
from sparselrp_cli.graph.operations.reshape import Reshape
from sparselrp_cli.graph.shapes import Dim, numbers


def unroll_pointwise(graph: CanonicalGraph) -> CanonicalGraph:
    """Rewrite convolutions of width 1x1; a node keeps its name, and is followed by one that has the image."""
    shapes = {graph.input: graph.input_shape, **{node.name: node.shape for node in graph.nodes}}
    images: dict[str, str] = {}
    nodes: list[Node] = []
    for old in graph.nodes:
        node = dataclasses.replace(old, inputs=tuple(images.get(name, name) for name in old.inputs))
        if (layer := _in_a_row(node.operation)) is None:
            nodes.append(node)
            continue
        (source,) = node.inputs
        given, made = _row(shapes[old.inputs[0]]), _row(node.shape)
        row, image = f"{node.name}.row", f"{node.name}.image"
        reshape = Reshape(shapes[old.inputs[0]], given)
        nodes += [
            dataclasses.replace(node, name=row, operation=reshape, inputs=(source,), shape=given),
            dataclasses.replace(node, operation=layer, inputs=(row,), shape=made),
            dataclasses.replace(node, name=image, operation=Reshape(made, node.shape), inputs=(node.name,)),
        ]
        images[node.name] = image
    outputs = tuple(
        dataclasses.replace(output, node=images.get(output.node, output.node)) for output in graph.outputs
    )
    return dataclasses.replace(graph, nodes=tuple(nodes), outputs=outputs)


def _in_a_row(layer: Operation) -> Convolution | None:
    """Give the same over a sequence; None of what isn't pointwise."""
    if not isinstance(layer, Convolution) or layer.weight.dim() != 4:
        return None
    if layer.weight.shape[2:].numel() > 1 or set(layer.stride) != {1} or set(layer.padding) != {0}:
        return None
    return dataclasses.replace(
        layer, weight=layer.weight.flatten(2), stride=(1,), padding=(0,), dilation=(1,)
    )


def _row(shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """Give (N, C, H W) for (N, C, H, W)."""
    return (*shape[:2], numbers(shape[2:]))
