"""One step of relevance through one layer, for any rule, in multiplier form.

With ``r = a c`` a step turns the multiplier at the layer's output into the multiplier at its input:
``c_in = W~^T (z c_out / stabilise(z~))``, where ``W~`` and ``z~`` are the rule's weights and denominators.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from sparselrp_cli.model.operations import Layer, Samples
from sparselrp_cli.relevance.rules import Branch, Rule

TAU = 1e-2
"""A masked denominator smaller than this share of its terms' magnitudes counts as cancelled (PLRP-M)."""


@dataclass(frozen=True, eq=False)
class PreparedLayer:
    """A layer with the weights its rule needs, made once per model."""

    layer: Layer
    rule: Rule
    non_negative: bool
    branches: tuple[Branch, ...]

    @classmethod
    def prepare(cls, layer: Layer, rule: Rule, non_negative: bool) -> "PreparedLayer":
        return cls(layer, rule, non_negative, rule.branches(layer.weight, layer.bias, non_negative))

    def denominator(self, branch: Branch, a: Tensor, z: Tensor) -> Tensor:
        """Compute ``z~`` with the bias, before stabilising."""
        if branch.own:
            return z
        weighed = self._weigh(branch, a, branch.bias)
        if branch.offset is None:
            return weighed
        return weighed + self.layer.apply(torch.ones_like(a), branch.offset, None)

    def _weigh(self, branch: Branch, a: Tensor, bias: Tensor | None) -> Tensor:
        if branch.down is None:
            return self.layer.apply(a, branch.up, bias)
        positive = self.layer.apply(a.clamp(min=0), branch.up, bias)
        return positive + self.layer.apply(a.clamp(max=0), branch.down, None)

    def _magnitude(self, branch: Branch, a: Tensor) -> Tensor:
        """Compute ``sum_j |z_jk|``."""
        if branch.down is None:
            return self.layer.apply(a.abs(), branch.up.abs(), None)
        positive = self.layer.apply(a.clamp(min=0), branch.up.abs(), None)
        return positive + self.layer.apply(-a.clamp(max=0), branch.down.abs(), None)

    def _carry(self, branch: Branch, shares: Tensor, a: Tensor) -> Tensor:
        up = self.layer.transpose(shares, branch.up, a)
        if branch.down is None:
            return up
        return torch.where(a < 0, self.layer.transpose(shares, branch.down, a), up)


@dataclass(slots=True)
class StepResult:
    """The multiplier at the layer's input and what didn't get there, per sample in float64.

    `offset` is relevance given to inputs whatever they are, shaped as the input: ``r = a c + offset``.
    """

    multiplier: Tensor
    to_bias: Tensor
    to_stabiliser: Tensor
    offset: Tensor | None = None
    fallback_columns: Tensor | None = None
    fallback_mass: Tensor | None = None


@dataclass(slots=True)
class Denominators:
    """Denominators of a forward pass, computed once for all targets."""

    known: dict[tuple[str, int], Tensor] = field(default_factory=dict)

    def of(self, name: str, index: int, prepared: PreparedLayer, a: Tensor, z: Tensor) -> Tensor:
        branch = prepared.branches[index]
        if branch.own:
            return z
        key = (name, index)
        if key not in self.known:
            self.known[key] = prepared.denominator(branch, a, z)
        return self.known[key]


def propagate(
    prepared: PreparedLayer, name: str, a: Tensor, z: Tensor, c: Tensor, samples: Samples, cache: Denominators
) -> StepResult:
    """Carry the multiplier `c` at a layer's output `z` to its input `a`.

    `samples` says where samples lie in the output.
    """
    multiplier: Tensor | None = None
    offset: Tensor | None = None
    to_bias = torch.zeros(samples.n, dtype=torch.float64, device=z.device)
    to_stabiliser = to_bias.clone()
    for i, branch in enumerate(prepared.branches):
        relevance = _of_sign(c * z, z, branch)
        denominator = cache.of(name, i, prepared, a, z)
        shares = _share(relevance, denominator, prepared.rule.epsilon)
        part = prepared._carry(branch, shares, a)
        multiplier = part if multiplier is None else multiplier + part
        if branch.offset is not None:
            offset = prepared.layer.transpose(shares, branch.offset, a)
        if branch.bias is not None:
            to_bias += samples.sums(shares * prepared.layer.spread(branch.bias, z))
        to_stabiliser += _stabiliser_part(relevance, denominator, shares, prepared.rule.epsilon, samples)
    if multiplier is None:
        raise ValueError("a rule without branches")
    return StepResult(multiplier, to_bias, to_stabiliser, offset)


def propagate_masked(
    prepared: PreparedLayer, name: str, a: Tensor, z: Tensor, c: Tensor, keep: Tensor, samples: Samples,
    cache: Denominators, tau: float = TAU,
) -> StepResult:  # fmt: skip
    """Carry `c` to the input once more with the pruned neurons masked out (PLRP-M).

    Every output neuron gives its relevance to its own kept inputs; the bias is left out. [ours] An output
    neuron all of whose inputs were pruned, or whose masked denominator is below `tau` times the sum of its
    terms' magnitudes, falls back to its unmasked column, bias included.

    Parameters
    ----------
    keep : Tensor, shaped as `a`
        1 where the input neuron is kept, else 0.
    """
    multiplier = torch.zeros_like(a)
    to_bias = torch.zeros(samples.n, dtype=torch.float64, device=z.device)
    to_stabiliser, columns, mass = to_bias.clone(), to_bias.clone(), to_bias.clone()
    masked = a * keep
    for i, branch in enumerate(prepared.branches):
        relevance = _of_sign(c * z, z, branch)
        inner = prepared._weigh(branch, masked, None)
        falls = inner == 0
        if not branch.positive:
            falls = falls | (inner.abs() < tau * prepared._magnitude(branch, masked))
        epsilon = prepared.rule.epsilon
        shares = _share(relevance.masked_fill(falls, 0), inner, epsilon)
        multiplier += keep * prepared._carry(branch, shares, a)
        to_stabiliser += _stabiliser_part(relevance.masked_fill(falls, 0), inner, shares, epsilon, samples)
        falls = falls & (relevance != 0)
        if not bool(falls.any()):
            continue
        fallen = relevance * falls
        outer = cache.of(name, i, prepared, a, z)
        shares = _share(fallen, outer, epsilon)
        multiplier += prepared._carry(branch, shares, a)
        if branch.bias is not None:
            to_bias += samples.sums(shares * prepared.layer.spread(branch.bias, z))
        to_stabiliser += _stabiliser_part(fallen, outer, shares, epsilon, samples)
        columns += samples.sums(falls)
        mass += samples.sums(fallen.abs())
    return StepResult(multiplier, to_bias, to_stabiliser, None, columns, mass)


def _of_sign(relevance: Tensor, z: Tensor, branch: Branch) -> Tensor:
    """Give the relevance that a branch distributes."""
    if branch.factor != 1:
        return branch.factor * relevance
    if branch.output == "any":
        return relevance
    return relevance.masked_fill((z < 0) if branch.output == "non-negative" else (z >= 0), 0)


def _share(relevance: Tensor, denominator: Tensor, epsilon: float) -> Tensor:
    """Divide by the stabilised denominator; relevance over an exact zero goes to the stabiliser whole."""
    stabilised = denominator + torch.copysign(torch.full_like(denominator, epsilon), denominator)
    return (relevance / stabilised).masked_fill(denominator == 0, 0)


def _stabiliser_part(
    relevance: Tensor, denominator: Tensor, shares: Tensor, epsilon: float, samples: Samples
) -> Tensor:
    """Sum what the stabiliser takes: ``R eps sign / stabilise(z~)``, and all of R where ``z~`` is 0."""
    taken = samples.sums(relevance * (denominator == 0))
    if epsilon == 0:
        return taken
    signed = torch.copysign(torch.full_like(denominator, epsilon), denominator)
    return taken + samples.sums(shares * signed)
