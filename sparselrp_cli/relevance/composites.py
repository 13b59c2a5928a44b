"""Composites: which rule each layer of a model gets."""

import dataclasses
import fnmatch
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from sparselrp_cli.errors import CompositeError
from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operations.product import Product, ProductRule
from sparselrp_cli.relevance.first_layers import before_layers, range_of, reached_by_offsets
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.relevance.rules import AlphaBeta, Epsilon, Flat, Gamma, Rule, WSquare, ZBox, Zero, ZPlus

logger = logging.getLogger("sparselrp")

Position = Literal["first", "last"]
KINDS = ("convolution", "dense", "product")


@dataclass(frozen=True, slots=True)
class Entry:
    """Which operations are meant, and what they get.

    Attributes
    ----------
    rule : Rule, str or None
        For layers a `Rule`; for products of two activations with a gate ``signal-take-all`` or ``uniform``.
        None leaves the rule to later entries.
    kind : str or None
        ``convolution`` (transposed ones too), ``dense`` (and other products with constants), ``product``.
    name : str or None
        Pattern (``*``, ``?``) for the path of the module or the name of the node.
    position : {"first", "last"} or None
        Layers that read the model's input; layers after which none comes.
    prune, prune_negative : float or None
        Proportions pruned of the relevance of what the layer reads; None takes the run's.
    """

    rule: Rule | ProductRule | None = None
    kind: str | None = None
    name: str | None = None
    position: Position | None = None
    prune: float | None = None
    prune_negative: float | None = None

    def fits(self, node: Node, positions: frozenset[Position]) -> bool:
        """Whether an operation is meant."""
        if self.kind is not None and node.operation.kind != self.kind:
            return False
        if self.position is not None and self.position not in positions:
            return False
        return self.name is None or any(fnmatch.fnmatchcase(n, self.name) for n in (node.module, node.name))


@dataclass(frozen=True, slots=True)
class Assignment:
    """What each operation of one graph gets.

    Attributes
    ----------
    rules : mapping of str to Rule
        By name of the layer's node.
    prunings : mapping of str to (float, float or None)
        For layers with proportions of their own.
    products : mapping of str to str
        Rule of each product with a gate.
    """

    rules: Mapping[str, Rule]
    prunings: Mapping[str, tuple[float, float | None]]
    products: Mapping[str, ProductRule]

    def applied(self, graph: CanonicalGraph) -> CanonicalGraph:
        """Give the graph with products that follow their rules."""
        nodes = tuple(
            dataclasses.replace(n, operation=dataclasses.replace(n.operation, rule=self.products[n.name]))
            if isinstance(n.operation, Product) and n.name in self.products
            else n
            for n in graph.nodes
        )
        return dataclasses.replace(graph, nodes=nodes)

    def pruning_of(self, readers: Iterable[str], run: Pruning) -> Pruning:
        """Give the pruning of a tensor that some layers read: the mildest of theirs [ours].

        A run without pruning has none anywhere.
        """
        own = [self.prunings.get(reader) for reader in readers]
        if run.is_identity or not any(own):
            return run
        choices = [run if p is None else Pruning(p[0], p[1], redistribute=run.redistribute) for p in own]
        return min(choices, key=lambda p: (p.automatic, p.positive))


@dataclass(frozen=True, slots=True)
class Composite:
    """An ordered list of entries; for each operation the first that fits and says so counts.

    Attributes
    ----------
    name : str
    summary : str
        One line for help texts.
    entries : tuple of Entry
    select : Rule or None
        By whose relevance in convolutions neurons are selected; None is that of the entries.
    """

    name: str
    summary: str
    entries: tuple[Entry, ...]
    select: Rule | None = None

    def resolve(self, graph: CanonicalGraph) -> Assignment:
        """Find what every operation of a graph gets.

        Raises
        ------
        CompositeError
            If a layer gets no rule, or one that only suits the layer that reads the model's input.
        """
        positions, reached = _positions(graph), reached_by_offsets(graph)
        rules: dict[str, Rule] = {}
        prunings: dict[str, tuple[float, float | None]] = {}
        products: dict[str, ProductRule] = {}
        used: set[int] = set()
        for node in graph.nodes:
            fitting = [
                i for i, e in enumerate(self.entries) if e.fits(node, positions.get(node.name, frozenset()))
            ]
            used.update(fitting)
            entries = [self.entries[i] for i in fitting]
            if isinstance(node.operation, Layer):
                if node.inputs[0] not in reached:
                    entries = self._without_offsets(node, entries, positions[node.name])
                rules[node.name] = _ranged(self._layer_rule(node, entries, positions[node.name]), graph, node)
                if own := next((e for e in entries if e.prune is not None), None):
                    prunings[node.name] = (own.prune or 0.0, own.prune_negative)
            elif isinstance(node.operation, Product):
                chosen = [e.rule for e in entries if isinstance(e.rule, str)]
                products[node.name] = chosen[0] if chosen else node.operation.rule
        for i, entry in enumerate(self.entries):
            if i not in used and entry.name is not None:
                logger.warning("composite '%s': no operation is called '%s'", self.name, entry.name)
            elif i not in used and entry.position == "first":
                logger.warning(
                    "composite '%s': its rule for the first layer reaches none: no layer reads the input",
                    self.name,
                )
        return Assignment(rules, prunings, products)

    def _without_offsets(
        self, node: Node, entries: list[Entry], positions: frozenset[Position]
    ) -> list[Entry]:
        """Leave out rules that give relevance to what is 0, where it can't be carried further back."""
        kept = [e for e in entries if not (isinstance(e.rule, Rule) and e.rule.input_only)]
        if len(kept) < len(entries) and "first" in positions:
            logger.warning(
                "composite '%s': its rule for the first layer doesn't reach the one at %s: what stands"
                " between it and the model's input mixes neurons",
                self.name, node.where,
            )  # fmt: skip
            return kept
        return entries

    def _layer_rule(self, node: Node, entries: list[Entry], positions: frozenset[Position]) -> Rule:
        rule = next((e.rule for e in entries if isinstance(e.rule, Rule)), None)
        if rule is None:
            raise CompositeError(
                f"composite '{self.name}' has no rule for the {node.operation.kind} layer at {node.where}"
            )
        if rule.input_only and "first" not in positions:
            raise CompositeError(
                f"composite '{self.name}' gives rule '{rule.name}' to the layer at {node.where}, which"
                " doesn't read the model's input; it suits only those that do (position = \"first\")"
            )
        return rule


def _ranged(rule: Rule, graph: CanonicalGraph, node: Node) -> Rule:
    """Give z-box, unless its range was chosen, the range of what a first layer reads."""
    source = node.inputs[0]
    if rule != ZBox() or source == graph.input or source not in before_layers(graph):
        return rule
    low, high = range_of(graph, source)
    return ZBox(low=low, high=high)


def _positions(graph: CanonicalGraph) -> dict[str, frozenset[Position]]:
    """Say of each layer whether it is a first or a last one."""
    in_front = before_layers(graph)
    open_ends = {output.node for output in graph.outputs}
    found: dict[str, frozenset[Position]] = {}
    for node in reversed(graph.nodes):
        last = node.name in open_ends
        if isinstance(node.operation, Layer):
            first = node.inputs[0] in in_front
            where: tuple[tuple[Position, bool], ...] = (("first", first), ("last", last))
            found[node.name] = frozenset(p for p, holds in where if holds)
        elif last:
            open_ends.update(node.inputs)
    return found


def _preset(name: str, summary: str, convolution: Rule, dense: Rule, first: Rule | None = None) -> Composite:
    entries = (Entry(convolution, kind="convolution"), Entry(dense, kind="dense"))
    return Composite(name, summary, (Entry(first, position="first"), *entries) if first else entries)


PRESETS = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            _preset("epsilon-plus", "epsilon in dense layers, z-plus in convolutions", ZPlus(), Epsilon()),
            _preset("epsilon", "epsilon everywhere", Epsilon(), Epsilon()),
            _preset("epsilon-gamma", "epsilon in dense layers, gamma in convolutions", Gamma(), Epsilon()),
            _preset(
                "epsilon-alpha2-beta1",
                "epsilon in dense layers, alpha-beta in convolutions",
                AlphaBeta(),
                Epsilon(),
            ),
            _preset(
                "epsilon-plus-flat", "as epsilon-plus, flat in the first layer", ZPlus(), Epsilon(), Flat()
            ),
            _preset(
                "epsilon-plus-box", "as epsilon-plus, z-box in the first layer", ZPlus(), Epsilon(), ZBox()
            ),
            _preset(
                "epsilon-gamma-box", "as epsilon-gamma, z-box in the first layer", Gamma(), Epsilon(), ZBox()
            ),
            _preset(
                "epsilon-plus-w-square",
                "as epsilon-plus, w-square in the first layer",
                ZPlus(),
                Epsilon(),
                WSquare(),
            ),
            _preset("z-plus", "z-plus everywhere", ZPlus(), ZPlus()),
            _preset("gamma", "gamma everywhere", Gamma(), Gamma()),
            _preset("zero", "LRP-0 everywhere: gradient x input on ReLU networks", Zero(), Zero()),
        )
    }
)
