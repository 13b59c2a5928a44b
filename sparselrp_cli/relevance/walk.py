"""The forward pass and the backward walk of relevance over a canonical graph.

The walk carries a multiplier ``c`` per neuron, with relevance ``r = a c``; see `graph.operations`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operation import At
from sparselrp_cli.graph.passes.cropping import crop
from sparselrp_cli.graph.shapes import Samples, Span
from sparselrp_cli.relevance.ledger import Ledger, PrunedLayer
from sparselrp_cli.relevance.plan import PruningPlan, Reading, carry_mask, plan_pruning
from sparselrp_cli.relevance.pruning import Pruned, Pruning, scale_to_mass
from sparselrp_cli.relevance.rows import MemoryOrder, sums
from sparselrp_cli.relevance.step import (
    Denominators,
    PreparedLayer,
    StepResult,
    propagate,
    propagate_masked,
)


@dataclass(frozen=True)
class Program:
    """A graph with everything that is the same for every batch."""

    graph: CanonicalGraph
    layers: Mapping[str, PreparedLayer]
    plan: PruningPlan
    pruning: Mapping[str, Pruning]
    """For each tensor of the plan that is pruned at all."""
    neurons: Mapping[str, int]
    """Of each such tensor, per sample, before anything was cropped."""

    def cropped(self, outputs: Mapping[int, Span | None]) -> "Program":
        """Crop the program to what spans of the outputs depend on; see `graph.passes.cropping`."""
        graph = crop(self.graph, outputs)
        if graph is self.graph:
            return self
        nodes = graph.by_name()
        layers = {
            name: replace(prepared, layer=cast(Layer, nodes[name].operation))
            for name, prepared in self.layers.items()
            if name in nodes
        }
        return replace(self, graph=graph, layers=layers, plan=plan_pruning(graph))

    def samples(self, n: int) -> dict[str, Samples]:
        """Say where the samples of a batch of `n` lie in each tensor."""
        if n not in self._samples:
            places = {node.name: Samples.of(node.shape, n) for node in self.graph.nodes}
            self._samples[n] = {self.graph.input: Samples(n), **places}
        return self._samples[n]

    @cached_property
    def _samples(self) -> dict[int, dict[str, Samples]]:
        return {}

    def masked_reading(self, layer: str) -> Reading | None:
        """Give the way a layer reads a tensor that is pruned by PLRP-M."""
        reading = self.plan.readings.get(layer)
        if reading is None or reading.tensor not in self.pruning:
            return None
        return reading if self.pruning[reading.tensor].redistribute == "m" else None

    @cached_property
    def masked_layers(self) -> frozenset[str]:
        """The layers that read a tensor pruned by PLRP-M."""
        return frozenset(name for name in self.layers if self.masked_reading(name) is not None)

    @cached_property
    def read_again(self) -> frozenset[str]:
        """The nodes that PLRP-M goes through twice."""
        readings = [self.plan.readings[name] for name in self.masked_layers]
        return frozenset(node.name for r in readings for node in (r.layer, *r.path))


@dataclass(frozen=True, slots=True)
class ForwardPass:
    """Every tensor of one batch, and what operations remember."""

    samples: dict[str, Samples]
    values: dict[str, Tensor]
    memos: dict[str, Any]
    denominators: Denominators
    once: bool
    """Whether a single walk follows, which then takes tensors out as it goes."""

    @classmethod
    def run(cls, program: Program, x: Tensor, *, once: bool = False) -> "ForwardPass":
        """Compute a batch."""
        graph = program.graph
        values, memos, n = {graph.input: x}, {}, x.shape[0]
        for node in graph.nodes:
            value, memo = node.operation.forward(*[values[i] for i in node.inputs])
            values[node.name] = value
            if memo is not None:
                memos[node.name] = memo
        return cls(program.samples(n), values, memos, Denominators(not once, program.masked_layers), once)

    def at(self, node: Node) -> At:
        """Give what an operation read, made and remembered."""
        inputs = tuple(self.values[name] for name in node.inputs)
        return At(inputs, self.values[node.name], self.memos.get(node.name))


def walk(
    program: Program, forward: ForwardPass, seeds: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor | None, Ledger]:
    """Carry multipliers from the explained outputs to the input.

    Parameters
    ----------
    seeds : mapping of str to Tensor
        For each explained output node, the multiplier it starts with: the functional's weights.

    Returns
    -------
    multiplier : Tensor
        At the input, shaped as it.
    offset : Tensor or None
        Relevance at the input that doesn't depend on it (rules flat, w-square and z-box), shaped as it.
    ledger : Ledger
    """
    return _Walk(program, forward, seeds).run()


class _Walk:
    def __init__(self, program: Program, forward: ForwardPass, seeds: Mapping[str, Tensor]) -> None:
        self.program = program
        self.forward = forward
        self.values = forward.values
        self.multipliers: dict[str, Tensor] = dict(seeds)
        self.offsets: dict[str, Tensor] = {}
        x = self.values[program.graph.input]
        self.ledger = Ledger.empty(x.shape[0], x.device)
        # PLRP-M: what layers gave to a tensor that will be pruned, and the multipliers they gave it from.
        self.from_layers: dict[str, Tensor] = {}
        self.to_repeat: dict[str, list[tuple[Reading, Tensor]]] = {}

    def run(self) -> tuple[Tensor, Tensor | None, Ledger]:
        graph = self.program.graph
        for node in reversed(graph.nodes):
            if node.name in self.offsets:
                self._move_offset(node, self.offsets.pop(node.name))
            c = self._complete(node.name)
            if c is None:
                continue
            if node.name in self.program.layers:
                self._layer(node, c)
            else:
                self._operation(node, c)
            if node.name not in self.program.read_again:
                self._let_go(node.name)
        at_input = self.multipliers.get(graph.input)
        c = torch.zeros_like(self.values[graph.input]) if at_input is None else at_input
        return c, self.offsets.get(graph.input), self.ledger

    def _let_go(self, name: str) -> None:
        """Let go of a tensor that only other walks would need."""
        if self.forward.once:
            self.values.pop(name, None)
            self.forward.memos.pop(name, None)

    def _complete(self, name: str) -> Tensor | None:
        """Give a tensor's multiplier once everything that reads it has contributed, pruned if it is to be."""
        c = self.multipliers.pop(name, None)
        pruned = name in self.program.pruning
        if not pruned or (c is None and name not in self.from_layers):
            return c
        return self._prune_masked(name, c) if name in self.from_layers else self._prune_lambda(name, c)

    def _move_offset(self, node: Node, offset: Tensor) -> None:
        """Carry relevance that doesn't depend on the input through an operation that moves it."""
        pulled = node.operation.pull(offset, self.forward.at(node))
        left = self.forward.samples[node.name].sums(offset)
        for name, part in zip(node.inputs, pulled, strict=True):
            if part is not None:
                self.offsets[name] = self.offsets[name] + part if name in self.offsets else part
                left = left - self.forward.samples[name].sums(part)
        self.ledger.to_bias += left

    def _give(self, name: str, c: Tensor) -> None:
        known = self.multipliers.get(name)
        self.multipliers[name] = c if known is None else known + c

    def _operation(self, node: Node, c: Tensor) -> None:
        at = self.forward.at(node)
        self._book_constants(node, c, at)
        pulled = node.operation.pull(c, at)
        for name, part in zip(node.inputs, pulled, strict=True):
            if part is not None:
                self._give(name, part)

    def _book_constants(self, node: Node, c: Tensor, at: At) -> None:
        absorbed = node.operation.absorbed(c, at)
        if absorbed is not None:
            self.ledger.to_bias += sums(absorbed, self.forward.samples[node.name])

    def _layer(self, node: Node, c: Tensor) -> None:
        result = self._step(node, c)
        reading = self.program.masked_reading(node.name)
        if reading is None:
            self._book(result)
            self._give(node.inputs[0], result.multiplier)
            if result.offset is not None:
                known = self.offsets.get(node.inputs[0])
                self.offsets[node.inputs[0]] = result.offset if known is None else known + result.offset
            return
        given = self._pull_along(reading, result.multiplier, book=False)
        known = self.from_layers.get(reading.tensor)
        self.from_layers[reading.tensor] = given if known is None else known + given
        self.to_repeat.setdefault(reading.tensor, []).append((reading, c))

    def _step(self, node: Node, c: Tensor, keep: Tensor | None = None) -> StepResult:
        prepared, a, z = self.program.layers[node.name], self.values[node.inputs[0]], self.values[node.name]
        cache, samples = self.forward.denominators, self.forward.samples[node.name]
        if keep is None:
            return propagate(prepared, node.name, a, z, c, samples, cache)
        return propagate_masked(prepared, node.name, a, z, c, keep, samples, cache)

    def _book(self, result: StepResult) -> None:
        self.ledger.to_bias += result.to_bias
        self.ledger.to_stabiliser += result.to_stabiliser

    def _pull_along(self, reading: Reading, c: Tensor, *, book: bool) -> Tensor:
        """Carry a multiplier from a layer's input back to the tensor it reads."""
        for node in reversed(reading.path):
            at = self.forward.at(node)
            if book:
                self._book_constants(node, c, at)
            (pulled,) = node.operation.pull(c, at)
            if pulled is None:
                raise ValueError(f"'{node.name}' moves neurons and must carry relevance")
            c = pulled
        return c

    def _prune_lambda(self, name: str, c: Tensor | None) -> Tensor:
        if c is None:
            raise ValueError(f"tensor '{name}' has no multiplier")
        order = MemoryOrder.of(self.values[name], self.forward.samples[name])
        pruned = self.program.pruning[name].scale(order.rows(self.values[name]), order.rows(c))
        self.ledger.lost += pruned.lost
        self._record(name, pruned, [])
        return order.shaped(pruned.multiplier)

    def _prune_masked(self, name: str, others: Tensor | None) -> Tensor:
        """Prune by PLRP-M: layers share among the kept; what came another way is masked and scaled [ours]."""
        first = self.from_layers.pop(name)
        order = MemoryOrder.of(self.values[name], self.forward.samples[name])
        a = order.rows(self.values[name])
        pruning = self.program.pruning[name]
        pruned = pruning.mask(a, order.rows(first if others is None else first + others))
        mask = order.shaped(pruned.multiplier)
        del first
        total: Tensor | None = None
        fallbacks, repeated = [], self.to_repeat.pop(name)
        for reading, c in repeated:
            result = self._step(reading.layer, c, carry_mask(reading.path, mask))
            self._book(result)
            self.forward.denominators.forget(reading.layer.name)
            part = self._pull_along(reading, result.multiplier, book=True)
            total = part if total is None else total + part
            fallbacks.append((result.fallback_columns, result.fallback_mass))
        for reading, _ in repeated:
            for node in (reading.layer, *reading.path):
                self._let_go(node.name)
        if others is not None:
            scaled, lost = scale_to_mass(a, order.rows(others), pruned.multiplier)
            self.ledger.lost += lost
            total = order.shaped(scaled) if total is None else total + order.shaped(scaled)
        if total is None:
            raise ValueError(f"no layer reads '{name}'")
        self._record(name, pruned, fallbacks)
        return total

    def _record(
        self, name: str, pruned: Pruned, fallbacks: list[tuple[Tensor | None, Tensor | None]]
    ) -> None:
        columns = [columns for columns, _ in fallbacks if columns is not None]
        masses = [mass for _, mass in fallbacks if mass is not None]
        self.ledger.pruned_layers.append(
            PrunedLayer(
                tensor=name,
                neurons=self.program.neurons[name],
                kept=pruned.kept,
                pruned_mass=pruned.pruned_mass,
                mass=pruned.mass,
                fallback_columns=torch.stack(columns).sum(0) if columns else None,
                fallback_mass=torch.stack(masses).sum(0) if masses else None,
            )
        )
