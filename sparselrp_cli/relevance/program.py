"""A graph with everything that is the same for every batch: rules' weights, and where relevance is pruned."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

from sparselrp_cli.graph.canonical import CanonicalGraph, GraphOutput, Node
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operations.convolution import Convolution
from sparselrp_cli.graph.passes.blocking import compute_in_blocks
from sparselrp_cli.graph.passes.cropping import crop
from sparselrp_cli.graph.shapes import Samples, Span
from sparselrp_cli.graph.targets import Target
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance.compiled_softmax import compiled_softmax
from sparselrp_cli.relevance.filtered import filtered_where_it_pays
from sparselrp_cli.relevance.plan import PruningPlan, Reading, plan_pruning
from sparselrp_cli.relevance.pooled import pooled_in_one_pass
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.relevance.step import PreparedLayer


@dataclass(frozen=True, eq=False)
class Program:
    """A prepared graph.

    Attributes
    ----------
    graph : CanonicalGraph
    layers : mapping of str to PreparedLayer
        By name of the layer's node.
    plan : PruningPlan
    pruning : mapping of str to Pruning
        For each tensor of the plan that is pruned at all.
    neurons : mapping of str to int
        Of each such tensor, per sample, before anything was cropped.
    selecting : Program or None
        The same with the rules by which neurons are selected, where these are others than those that carry
        relevance [ours].
    """

    graph: CanonicalGraph
    layers: Mapping[str, PreparedLayer]
    plan: PruningPlan
    pruning: Mapping[str, Pruning]
    neurons: Mapping[str, int]
    selecting: "Program | None" = None

    def cropped(self, outputs: Mapping[int, Span | None]) -> "Program":
        """Crop the program to what spans of the outputs depend on; see `graph.passes.cropping`."""
        graph = crop(self.graph, outputs)
        if graph is self.graph:
            return self
        nodes = graph.by_name()
        layers = {
            name: prepared.of(cast(Layer, nodes[name].operation))
            for name, prepared in self.layers.items()
            if name in nodes
        }
        selecting = None if self.selecting is None else self.selecting.cropped(outputs)
        return replace(self, graph=graph, layers=layers, plan=plan_pruning(graph), selecting=selecting)

    def in_blocks(self, held: Collection[str]) -> "Program":
        """Compute attention block by block where it is large; see `graph.passes.blocking`.

        Parameters
        ----------
        held : collection of str
            Tensors that are read beside the walk.
        """
        by_position = (n for n, layer in self.layers.items() if layer.rule.input_only)
        apart = {*held, *self.pruning, *self.read_again, *by_position}
        graph = compute_in_blocks(self.graph, apart)
        if graph is self.graph:
            return self
        selecting = None if self.selecting is None else self.selecting.in_blocks(held)
        return replace(self, graph=graph, selecting=selecting)

    def samples(self, n: int) -> dict[str, Samples]:
        """Say where the samples of a batch of `n` lie in each tensor."""
        if n not in self._samples:
            places = {node.name: Samples.of(node.shape, n) for node in self.graph.nodes}
            self._samples[n] = {self.graph.input: Samples(n), **places}
        return self._samples[n]

    @cached_property
    def _samples(self) -> dict[int, dict[str, Samples]]:
        return {}

    @cached_property
    def masked_readings(self) -> Mapping[str, Reading]:
        """The layers that read a tensor pruned by PLRP-M, and how they read it."""
        return {
            layer: reading
            for layer, reading in self.plan.readings.items()
            if reading.tensor in self.pruning and self.pruning[reading.tensor].redistribute == "m"
        }

    @cached_property
    def read_again(self) -> frozenset[str]:
        """The nodes that PLRP-M goes through twice."""
        return frozenset(n.name for r in self.masked_readings.values() for n in (r.layer, *r.path))


def spans_of(
    targets: Sequence[Target], outputs: Sequence[GraphOutput], names: Sequence[OutputNames]
) -> dict[int, Span | None]:
    """Find the positions of each output that targets concern; None is all of them."""
    spans: dict[int, Span | None] = {}
    for target in targets:
        for index, axis, start, stop in target.extents(outputs, names):
            span = None if axis is None else Span(axis, start, stop)
            known = spans.get(index, span)
            spans[index] = None if known is None or span is None else known.joined(span)
    return spans


def for_processor(graph: CanonicalGraph) -> CanonicalGraph:
    """Give a graph that computes the same in the way that suits the processor."""
    nodes = graph.nodes
    for suited in (_channels_last, filtered_where_it_pays, pooled_in_one_pass, compiled_softmax):
        nodes = tuple(map(suited, nodes))
    return replace(graph, nodes=nodes)


def _channels_last(node: Node) -> Node:
    """Lay a convolution's weights out as the processor's convolutions read them."""
    layer = node.operation
    if not isinstance(layer, Convolution) or layer.weight.device.type != "cpu" or layer.weight.dim() != 3:
        return node
    weight = layer.weight.movedim(1, -1).contiguous().movedim(-1, 1)
    return replace(node, operation=replace(layer, weight=weight))
