"""Fuse each ReLU into the layer before it, along the edges of the graph.

Relevance of a layer's output is ``c z``, and where the ReLU is off it is 0 either way: a rectified layer
gives and takes what the two give and take, with one tensor in memory in place of two.
"""

import dataclasses

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operations.activation import Activation


def fuse_relu(graph: CanonicalGraph) -> tuple[CanonicalGraph, dict[str, str]]:
    """Merge each ReLU into the layer it follows, if it alone reads that layer.

    Returns
    -------
    graph : CanonicalGraph
        The merged node has the ReLU's name.
    layers : dict of str to str
        For each layer of the new graph its name in the old one.
    """
    nodes, reads = graph.by_name(), graph.reads()
    fused: dict[str, Node] = {}
    for node in graph.nodes:
        if not isinstance(node.operation, Activation) or not node.operation.is_relu:
            continue
        before = nodes.get(node.inputs[0])
        if before is not None and isinstance(before.operation, Layer) and reads[before.name] == 1:
            operation = dataclasses.replace(before.operation, rectified=True)
            fused[node.name] = dataclasses.replace(before, name=node.name, operation=operation)
    gone = {nodes[name].inputs[0]: name for name in fused}
    layers = {gone.get(n.name, n.name): n.name for n in graph.nodes if isinstance(n.operation, Layer)}
    kept = tuple(fused.get(n.name, n) for n in graph.nodes if n.name not in gone)
    return dataclasses.replace(graph, nodes=kept), layers
