# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of the layer above
"""A walk of relevance through a small computation graph, one sample at a time, with dense matrices.

Signals are flat float64 vectors. Reshapes, flattening, transposition, slices and zero padding are *views*:
index maps that create no neurons. What an affine layer reads through views is pruned where the neurons are,
once, after all that read them have contributed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oracles.matrices import winners
from oracles.pruning import (
    decision_margin,
    kept_automatic,
    kept_by_definition,
    redistribute_lambda,
    unplaced_mass,
)
from oracles.rules import Mask, Matrix, Vector, masked_step, step

Index = NDArray[np.intp]


@dataclass(frozen=True)
class Rule:
    """One of `oracles.rules.RULES` with its constants."""

    name: str = "epsilon"
    eps: float = 1e-6
    gamma: float = 0.25


@dataclass(frozen=True)
class Pruning:
    """`mode` is "none", "lambda" or "masked" (PLRP-M); with `automatic` the `p` are unused."""

    mode: str = "none"
    p_plus: float = 0.0
    p_minus: float | None = None
    tau: float = 1e-3
    automatic: bool = False

    @property
    def is_identity(self) -> bool:
        """Whether nothing may be pruned, and plain LRP must come out bit for bit."""
        return self.mode == "none" or (not self.automatic and self.p_plus == 0 and not self.p_minus)

    def keep(self, r: Vector) -> Mask:
        """The neurons kept."""
        if self.automatic:
            return kept_automatic(r)
        return kept_by_definition(r, self.p_plus, self.p_minus)


@dataclass(frozen=True)
class PrunedTensor:
    """Relevance of one tensor before and after pruning, and which neurons were kept.

    `margin` is that of `oracles.pruning.decision_margin` (1 for the automatic proportion).
    """

    before: Vector
    keep: Mask
    after: Vector
    margin: float


@dataclass
class Explanation:
    """Relevance at the input (J,) and where the rest of the score went.

    `pruned` is keyed by the names of the layers that read the tensor, in the order of the graph.
    """

    relevance: Vector
    score: float
    absorbed: float = 0.0
    lost: float = 0.0
    fallback_columns: int = 0
    fallback_mass: float = 0.0
    pruned: dict[tuple[str, ...], PrunedTensor] = field(default_factory=dict)

    @property
    def kept_counts(self) -> dict[tuple[str, ...], int]:
        """Neurons kept, per pruned tensor."""
        return {layers: int(tensor.keep.sum()) for layers, tensor in self.pruned.items()}

    @property
    def margin(self) -> float:
        """The smallest decision margin of all pruned tensors."""
        return min((tensor.margin for tensor in self.pruned.values()), default=1.0)

    @property
    def imbalance(self) -> float:
        """score - relevance - absorbed - lost."""
        return self.score - float(self.relevance.sum()) - self.absorbed - self.lost


@dataclass(eq=False)
class Node:
    """One tensor of the graph; subclasses say how it is computed and how it shares its relevance."""

    parents: tuple["Node", ...]
    size: int
    nonnegative: bool

    def value(self, inputs: list[Vector]) -> Vector:
        """Forward."""
        raise NotImplementedError

    def split(self, port: int, inputs: list[Vector], R: Vector) -> Vector:
        """Relevance that parent number `port` gets."""
        raise NotImplementedError


class Input(Node):
    """The model's input."""


class View(Node):
    """Entries `index` of its parent; -1 is a zero."""

    index: Index

    def value(self, inputs: list[Vector]) -> Vector:
        return np.where(self.index < 0, 0.0, inputs[0][self.index])


class Affine(Node):
    """`x W + b`. One that doesn't prune is a batch normalisation that stands alone."""

    name: str
    W: Matrix
    b: Vector
    prunes: bool

    def value(self, inputs: list[Vector]) -> Vector:
        return inputs[0] @ self.W + self.b


class Relu(Node):
    def value(self, inputs: list[Vector]) -> Vector:
        return np.maximum(inputs[0], 0.0)

    def split(self, port: int, inputs: list[Vector], R: Vector) -> Vector:
        return R


class MaxPool(Node):
    windows: list[list[int]]

    def value(self, inputs: list[Vector]) -> Vector:
        return inputs[0][winners(inputs[0], self.windows)]

    def split(self, port: int, inputs: list[Vector], R: Vector) -> Vector:
        r = np.zeros(len(inputs[0]))
        for k, j in enumerate(winners(inputs[0], self.windows)):
            r[j] += R[k]
        return r


class LinearMap(Node):
    """`x M`, constant weights without a bias: average pooling, means and sums."""

    M: Matrix

    def value(self, inputs: list[Vector]) -> Vector:
        return inputs[0] @ self.M

    def split(self, port: int, inputs: list[Vector], R: Vector) -> Vector:
        r = np.zeros(len(inputs[0]))
        for k in range(self.size):
            terms = inputs[0] * self.M[:, k]
            if terms.sum() != 0:
                r += terms / terms.sum() * R[k]
        return r


class Add(Node):
    def value(self, inputs: list[Vector]) -> Vector:
        return inputs[0] + inputs[1]

    def split(self, port: int, inputs: list[Vector], R: Vector) -> Vector:
        z = inputs[0] + inputs[1]
        r = np.zeros(len(z))
        for k in range(len(z)):
            if z[k] != 0:
                r[k] = inputs[port][k] / z[k] * R[k]
        return r


class Concat(Node):
    def value(self, inputs: list[Vector]) -> Vector:
        return np.concatenate(inputs)

    def split(self, port: int, inputs: list[Vector], R: Vector) -> Vector:
        start = sum(len(part) for part in inputs[:port])
        return R[start : start + len(inputs[port])]


class Output(Node):
    """What is explained."""

    def value(self, inputs: list[Vector]) -> Vector:
        return inputs[0]

    def split(self, port: int, inputs: list[Vector], R: Vector) -> Vector:
        return R


@dataclass(frozen=True)
class Reading:
    """`reader` reads, as its parent number `port`, the entries `index` of some tensor (-1: padding)."""

    reader: Node
    port: int
    index: Index


class Network:
    """A computation graph, built in topological order by the methods named after the operations."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def input(self, size: int, *, nonnegative: bool = True) -> Node:
        return self._append(Input((), size, nonnegative))

    def view(self, x: Node, index: ArrayLike) -> Node:
        """Any rearrangement: `index` (flattened) holds the entries of `x` to read, -1 for a zero."""
        flat = np.asarray(index, dtype=np.intp).ravel()
        node = View((x,), len(flat), x.nonnegative)
        node.index = flat
        return self._append(node)

    def affine(self, x: Node, W: Matrix, b: Vector, name: str, *, prunes: bool = True) -> Node:
        """A convolution or linear layer as a matrix; `prunes=False` for a batch norm that stands alone."""
        node = Affine((x,), W.shape[1], False)
        node.W, node.b, node.name, node.prunes = W, b, name, prunes
        return self._append(node)

    def relu(self, x: Node) -> Node:
        return self._append(Relu((x,), x.size, True))

    def max_pool(self, x: Node, windows: list[list[int]]) -> Node:
        node = MaxPool((x,), len(windows), x.nonnegative)
        node.windows = windows
        return self._append(node)

    def linear_map(self, x: Node, M: Matrix) -> Node:
        node = LinearMap((x,), M.shape[1], x.nonnegative and bool((M >= 0).all()))
        node.M = M
        return self._append(node)

    def add(self, x: Node, y: Node) -> Node:
        return self._append(Add((x, y), x.size, x.nonnegative and y.nonnegative))

    def concat(self, *parts: Node) -> Node:
        return self._append(Concat(parts, sum(x.size for x in parts), all(x.nonnegative for x in parts)))

    def output(self, x: Node) -> None:
        """Declare `x` the explained output; comes last."""
        self._append(Output((x,), x.size, x.nonnegative))

    def forward(self, x: Vector) -> Vector:
        """The output (K,) for one flattened sample."""
        return self._values(x)[self.nodes[-1]]

    def explain(
        self,
        x: Vector,
        v: Vector,
        rules: Rule | Mapping[str, Rule] = Rule(),
        pruning: Pruning = Pruning(),
    ) -> Explanation:
        """Relevance of one flattened sample for the score `v . output`.

        `rules` is one rule for all layers, or one per layer name; batch norms that stand alone get rule zero.
        """
        return _Walk(self, self._values(x), rules, pruning).run(v)

    def readings(self, tensor: Node) -> list[Reading]:
        """All that read the neurons of `tensor`, directly or through views, in the order of the graph."""
        found = list(self._readings_of_view(tensor, np.arange(tensor.size)))
        return sorted(found, key=lambda reading: self.nodes.index(reading.reader))

    def _readings_of_view(self, view: Node, index: Index) -> Iterator[Reading]:
        for node in self.nodes:
            for port, parent in enumerate(node.parents):
                if parent is view and isinstance(node, View):
                    yield from self._readings_of_view(node, np.where(node.index < 0, -1, index[node.index]))
                elif parent is view:
                    yield Reading(node, port, index)

    def _append(self, node: Node) -> Node:
        self.nodes.append(node)
        return node

    def _values(self, x: Vector) -> dict[Node, Vector]:
        values: dict[Node, Vector] = {}
        for node in self.nodes:
            inputs = [values[parent] for parent in node.parents]
            values[node] = np.array(x, dtype=np.float64) if isinstance(node, Input) else node.value(inputs)
        return values


class _Walk:
    """One explanation in progress."""

    def __init__(
        self,
        network: Network,
        values: dict[Node, Vector],
        rules: Rule | Mapping[str, Rule],
        pruning: Pruning,
    ) -> None:
        self.network = network
        self.values = values
        self.rules = rules
        self.pruning = pruning
        self.relevance: dict[Node, Vector] = {}
        self.explanation = Explanation(np.zeros(0), 0.0)

    def run(self, v: Vector) -> Explanation:
        *others, output = self.network.nodes
        self.relevance[output] = v * self.values[output]
        self.explanation.score = float(self.relevance[output].sum())
        for node in reversed(others):
            if not isinstance(node, View):
                self.relevance[node] = self._relevance_of(node)
        self.explanation.relevance = self.relevance[others[0]]
        return self.explanation

    def _relevance_of(self, tensor: Node) -> Vector:
        readings = self.network.readings(tensor)
        layers = [r for r in readings if isinstance(r.reader, Affine) and r.reader.prunes]
        others = [r for r in readings if r not in layers]
        if not layers or isinstance(tensor, Input) or self.pruning.is_identity:
            return self._sum(tensor, readings)
        self._refuse_shared_branches(tensor)
        before = self._sum(tensor, readings, count=False)
        keep = self.pruning.keep(before)
        if self.pruning.mode == "lambda":
            after = redistribute_lambda(self._sum(tensor, readings), keep)
        elif self.pruning.mode == "masked":
            after = self._masked(tensor, layers, others, keep)
        else:
            raise ValueError(f"unknown pruning {self.pruning.mode!r}")
        margin = 1.0
        if not self.pruning.automatic:
            margin = decision_margin(before, self.pruning.p_plus, self.pruning.p_minus)
        names = tuple(r.reader.name for r in layers)
        self.explanation.pruned[names] = PrunedTensor(before, keep, after, margin)
        return after

    def _sum(self, tensor: Node, readings: list[Reading], *, count: bool = True) -> Vector:
        """Contributions of all readings; `count` those that are final, not a first look, in the books."""
        total = np.zeros(tensor.size)
        for reading in readings:
            reader = reading.reader
            if isinstance(reader, Affine):
                rule = self._rule(reader)
                part, absorbed = step(
                    self.values[reader.parents[0]],
                    reader.W,
                    reader.b,
                    self.relevance[reader],
                    rule.name,
                    rule.eps,
                    nonnegative=reader.parents[0].nonnegative,
                    gamma=rule.gamma,
                )
                taken = float(absorbed.sum())
            else:
                inputs = [self.values[parent] for parent in reader.parents]
                part, taken = reader.split(reading.port, inputs, self.relevance[reader]), 0.0
            total += self._through_views(part, reading, tensor.size)
            if count:
                self.explanation.absorbed += taken + float(part[reading.index < 0].sum())
        return total

    def _masked(self, tensor: Node, layers: list[Reading], others: list[Reading], keep: Mask) -> Vector:
        """PLRP-M: layers share among the kept; what came another way is masked and scaled."""
        total = np.zeros(tensor.size)
        for reading in layers:
            reader = reading.reader
            rule = self._rule(reader)
            part, absorbed, fell_back = masked_step(
                self.values[reader.parents[0]],
                reader.W,
                reader.b,
                self.relevance[reader],
                rule.name,
                np.where(reading.index < 0, True, keep[reading.index]),
                self.pruning.tau,
                rule.eps,
                nonnegative=reader.parents[0].nonnegative,
                gamma=rule.gamma,
            )
            total += self._through_views(part, reading, tensor.size)
            concerned = fell_back & (self.relevance[reader] != 0)
            self.explanation.absorbed += float(absorbed.sum() + part[reading.index < 0].sum())
            self.explanation.fallback_columns += int(concerned.sum())
            self.explanation.fallback_mass += float(np.abs(self.relevance[reader][concerned]).sum())
        rest = self._sum(tensor, others)
        self.explanation.lost += unplaced_mass(rest, keep)
        return total + redistribute_lambda(rest, keep)

    def _through_views(self, part: Vector, reading: Reading, size: int) -> Vector:
        r = np.zeros(size)
        for value, j in zip(part, reading.index, strict=True):
            if j >= 0:
                r[j] += value
        return r

    def _rule(self, layer: Affine) -> Rule:
        if not layer.prunes:
            return Rule("zero")
        return self.rules if isinstance(self.rules, Rule) else self.rules[layer.name]

    def _refuse_shared_branches(self, tensor: Node) -> None:
        """A concatenation is pruned as a whole, which is pruning once only if its parts feed nothing else."""
        if not isinstance(tensor, Concat):
            return
        for part in tensor.parents:
            while isinstance(part, View):
                part = part.parents[0]
            if isinstance(part, Input) or len(self.network.readings(part)) > 1:
                raise NotImplementedError("a concatenated branch that feeds something else too")
