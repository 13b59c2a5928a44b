"""Composites: which rule each layer of a model gets."""

from dataclasses import dataclass
from types import MappingProxyType

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.graph import CanonicalGraph
from sparselrp_cli.model.operations import Layer
from sparselrp_cli.relevance.rules import Epsilon, Gamma, Rule, Zero, ZPlus


@dataclass(frozen=True, slots=True)
class Composite:
    """An ordered list of kinds of layer and the rule each gets; the first that fits counts.

    Attributes
    ----------
    name : str
    summary : str
        One line for help texts.
    rules : tuple of (kind, Rule)
        The kind is "convolution" or "dense".
    """

    name: str
    summary: str
    rules: tuple[tuple[str, Rule], ...]

    def rule_for(self, kind: str) -> Rule:
        """Find the rule of a kind of layer.

        Raises
        ------
        ModelError
            If the composite has none.
        """
        for candidate, rule in self.rules:
            if candidate == kind:
                return rule
        raise ModelError(f"composite '{self.name}' has no rule for {kind} layers")

    def resolve(self, graph: CanonicalGraph) -> dict[str, Rule]:
        """Give every layer of a graph its rule, by node name."""
        layers = [n for n in graph.nodes if isinstance(n.operation, Layer)]
        return {n.name: self.rule_for(n.operation.kind) for n in layers}


def _preset(name: str, summary: str, convolution: Rule, dense: Rule) -> Composite:
    return Composite(name, summary, (("convolution", convolution), ("dense", dense)))


DEFAULT = "epsilon-plus"
PRESETS = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            _preset("epsilon-plus", "epsilon in dense layers, z-plus in convolutions", ZPlus(), Epsilon()),
            _preset("epsilon", "epsilon everywhere", Epsilon(), Epsilon()),
            _preset("epsilon-gamma", "epsilon in dense layers, gamma in convolutions", Gamma(), Epsilon()),
            _preset("zero", "LRP-0 everywhere: gradient x input on ReLU networks", Zero(), Zero()),
        )
    }
)
