"""One step of relevance through one layer, for any rule, in multiplier form.

With ``r = a c`` a step turns the multiplier at the layer's output into the multiplier at its input:
``c_in = W~^T (z c_out / stabilise(z~))``, where ``W~`` and ``z~`` are the rule's weights and denominators.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.pieces import pieces
from sparselrp_cli.graph.shapes import Samples
from sparselrp_cli.relevance import kernels
from sparselrp_cli.relevance.gathered import active_rows
from sparselrp_cli.relevance.kernels.channels import Channels
from sparselrp_cli.relevance.kernels.shares import (
    FavouredShares,
    MaskedShares,
    Shares,
    share_favoured_rows,
    share_masked_rows,
    share_rows,
)
from sparselrp_cli.relevance.rows import MemoryOrder, by_channel, first_rows, like_by_channel
from sparselrp_cli.relevance.rules import Branch, Favoured, Rule


@dataclass(frozen=True, eq=False)
class PreparedLayer:
    """A layer with the weights its rule needs, made once per model.

    Attributes
    ----------
    layer : Layer
    rule : Rule
    non_negative : bool
        Whether the layer's inputs never are negative.
    branches : tuple of Branch
        Without those for negative outputs where a fused ReLU leaves none.
    favoured : Favoured or None
        What stands for all branches in one pass, where that costs less.
    """

    layer: Layer
    rule: Rule
    non_negative: bool
    branches: tuple[Branch, ...]
    favoured: Favoured | None

    @classmethod
    def prepare(cls, layer: Layer, rule: Rule, non_negative: bool) -> "PreparedLayer":
        branches = rule.branches(layer.weight, layer.bias, non_negative)
        if layer.rectified:
            branches = tuple(branch for branch in branches if branch.output != "negative")
        one_pass = len(branches) == 1 and branches[0].down is None
        favoured = None if one_pass else rule.favoured(layer.weight, layer.bias)
        return cls(layer, rule, non_negative, branches, favoured)

    def of(self, layer: Layer) -> "PreparedLayer":
        """Prepare the same of another extent of the layer, by the same rule."""
        if layer.weight is self.layer.weight:
            return replace(self, layer=layer)
        return PreparedLayer.prepare(layer, self.rule, self.non_negative)

    def denominator(self, branch: Branch, a: Tensor, z: Tensor) -> Tensor:
        """Compute ``z~`` with the bias, before stabilising."""
        if branch.own:
            return z
        weighed = self.weigh(branch, a, branch.bias)
        if branch.offset is None:
            return weighed
        return weighed + self.layer.apply(torch.ones_like(a), branch.offset, None)

    def favoured_magnitude(self, favoured: Favoured, a: Tensor, z: Tensor) -> Tensor:
        """Compute ``|z~ - scale z|``, with the bias: the part of ``z~`` that has the output's sign."""
        sizes = a if self.non_negative else a.abs()
        weight, bias = favoured.magnitude, favoured.bias_magnitude
        return self.layer.magnitude(sizes, weight, bias, z, favoured.scale - 1)

    def weigh(self, branch: Branch, a: Tensor, bias: Tensor | None) -> Tensor:
        """Compute ``sum_j z_jk``, and the bias if one is given."""
        if branch.down is None:
            return self.layer.apply(a, branch.up, bias)
        positive = self.layer.apply(a.clamp(min=0), branch.up, bias)
        return positive + self.layer.apply(a.clamp(max=0), branch.down, None)

    def magnitude(self, branch: Branch, a: Tensor) -> Tensor:
        """Compute ``sum_j |z_jk|``."""
        if branch.down is None:
            return self.layer.apply(a.abs(), branch.up.abs(), None)
        positive = self.layer.apply(a.clamp(min=0), branch.up.abs(), None)
        return positive + self.layer.apply(-a.clamp(max=0), branch.down.abs(), None)

    def carry(self, branch: Branch, shares: Tensor, a: Tensor) -> Tensor:
        """Carry relevance over denominators to the multiplier at the layer's input."""
        up = self.layer.transpose(shares, branch.up, a)
        if branch.down is not None:
            down = self.layer.transpose(shares, branch.down, a)
            for of_a, of_up, of_down in pieces(a, up, down):
                of_up.copy_(torch.where(of_a < 0, of_down, of_up))
        return up

    def carry_favoured(self, favoured: Favoured, shares: Tensor, signed: Tensor, a: Tensor) -> Tensor:
        """Carry shares, and shares times the signs of their outputs, to the multiplier at the input."""
        up = self.layer.transpose(shares, favoured.plain, a)
        own = self.layer.transpose(signed, favoured.magnitude, a)
        if self.non_negative:
            return up.add_(own)
        for of_a, of_up, of_own in pieces(a, up, own):
            of_up.add_(torch.where(of_a < 0, -of_own, of_own))
        return up


@dataclass(slots=True)
class StepResult:
    """The multiplier at the layer's input and what didn't get there, per sample in float64.

    `offset` is relevance given to inputs whatever they are, shaped as the input: ``r = a c + offset``.
    """

    multiplier: Tensor
    to_bias: Tensor
    to_stabiliser: Tensor
    offset: Tensor | None = None


@dataclass(slots=True)
class Denominators:
    """Denominators of a forward pass, computed once for all targets.

    Attributes
    ----------
    keep : bool
        Whether to hold on to all of them, for other walks.
    twice : frozenset of str
        Layers whose denominators one walk needs twice.
    """

    keep: bool = True
    twice: frozenset[str] = frozenset()
    known: dict[tuple[str, int], Tensor] = field(default_factory=dict)

    def keeps(self, name: str) -> bool:
        """Whether a layer's denominators are wanted again."""
        return self.keep or name in self.twice

    def forget(self, name: str) -> None:
        """Let go of a layer's denominators, unless other walks need them."""
        if not self.keep:
            for key in [key for key in self.known if key[0] == name]:
                del self.known[key]

    def of(self, name: str, index: int, output: "Output", a: Tensor) -> Tensor:
        """Give the denominators of a branch for a layer's output."""
        branch = output.prepared.branches[index]
        if branch.own:
            return output.z
        return self._kept((name, index), output, lambda: output.prepared.denominator(branch, a, output.z))

    def favoured(self, name: str, favoured: Favoured, output: "Output", a: Tensor) -> Tensor:
        """Give what makes the denominators of all branches at once; see `favoured_magnitude`."""
        return self._kept(
            (name, -1), output, lambda: output.prepared.favoured_magnitude(favoured, a, output.z)
        )

    def _kept(self, key: tuple[str, int], output: "Output", compute: Callable[[], Tensor]) -> Tensor:
        """Compute denominators, or give them again; those of some rows alone aren't kept."""
        if output.firsts is not None or not self.keeps(key[0]):
            return compute()
        if key not in self.known:
            self.known[key] = compute()
        return self.known[key]


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """A layer's output with its multiplier, whole or only the rows that carry relevance.

    Attributes
    ----------
    prepared : PreparedLayer
        Of the same extent as `z`.
    z, c : Tensor
        Shaped as the output, or (rows, channels).
    samples : Samples
        Where samples lie in the whole output.
    firsts : Tensor of int64, shape (N + 1,), or None
        Of rows: the first of each sample, and their number.
    """

    prepared: PreparedLayer
    z: Tensor
    c: Tensor
    samples: Samples
    firsts: Tensor | None = None

    @classmethod
    def of(cls, prepared: PreparedLayer, z: Tensor, c: Tensor, samples: Samples) -> "Output":
        """Leave out the rows without relevance where that pays."""
        active = active_rows(prepared.layer, c, samples)
        if active is None:
            return cls(prepared, z, c, samples)
        prepared = replace(prepared, layer=active.layer)
        return cls(prepared, active.take(z), active.take(c), samples, active.firsts)

    def relevance(self, branch: Branch) -> Tensor:
        """Give the relevance that a branch distributes."""
        relevance = self.c * self.z
        if branch.factor != 1:
            return branch.factor * relevance
        if branch.output == "any":
            return relevance
        return relevance.masked_fill((self.z < 0) if branch.output == "non-negative" else (self.z >= 0), 0)

    def sums(self, values: Tensor) -> Tensor:
        """Sum each sample's values in float64: shape (N,)."""
        if self.firsts is None:
            return self.samples.sums(values)
        sample = torch.repeat_interleave(self.firsts.diff())
        return torch.zeros(self.samples.n, dtype=torch.float64).index_add_(
            0, sample, values.sum(1, dtype=torch.float64)
        )

    @property
    def _channel_axis(self) -> int | None:
        """The axis that the loops go along: that of the bias, or any where there is none."""
        layer = self.prepared.layer
        if layer.channel_axis is None and layer.bias is None and not kernels.has_sharing(self.z):
            return self.z.dim() - 1
        return layer.channel_axis

    def _rows(self, *others: Tensor) -> tuple[list[Tensor], Tensor | Channels] | None:
        """View c, z and other tensors as (rows, channels), with the first row of each sample.

        On a GPU as (N, neurons), with where channels lie. None where the compiled loops don't take them.
        """
        axis = self._channel_axis
        if kernels.has_sharing(self.z) and axis is not None:
            order = MemoryOrder.of(self.z, self.samples)
            return [order.rows(v) for v in (self.c, self.z, *others)], order.channels(axis)
        if not kernels.is_compiled(self.z):
            return None
        if self.firsts is not None:
            return [self.c, self.z, *others], self.firsts
        z = by_channel(self.z, axis, self.samples)
        if z is None or axis is None:
            return None
        c, *rest = (v.movedim(axis, -1).reshape(z.shape) for v in (self.c, *others))
        return [c, z, *rest], first_rows(self.samples.n, len(z))

    def _shaped(self, rows: Tensor) -> Tensor:
        """Undo `_rows`."""
        axis = self._channel_axis
        if self.firsts is not None or axis is None:
            return rows
        if kernels.has_sharing(rows):
            return MemoryOrder.of(self.z, self.samples).shaped(rows)
        return like_by_channel(rows, self.z, axis)

    def share(self, branch: Branch, denominator: Tensor) -> Shares:
        """Divide the relevance of a branch by stabilised denominators.

        Relevance over an exact zero goes to the stabiliser whole; it takes ``R eps sign / stabilise(z~)``.
        """
        viewed = self._rows(denominator)
        if viewed is None:
            return self._share_relevance(self.relevance(branch), branch, denominator)
        (c, z, d), lie = viewed
        shares = share_rows(c, z, d, branch, self.prepared.rule.epsilon, lie)
        return replace(shares, values=self._shaped(shares.values))

    def share_favoured(self, favoured: Favoured, magnitude: Tensor) -> FavouredShares:
        """Divide all relevance by ``scale z + sign(z) magnitude``, stabilised."""
        epsilon = self.prepared.rule.epsilon
        viewed = self._rows(magnitude)
        if viewed is not None:
            (c, z, m), lie = viewed
            shares = share_favoured_rows(c, z, m, favoured, epsilon, lie)
            return replace(shares, values=self._shaped(shares.values), signed=self._shaped(shares.signed))
        denominator = torch.copysign(magnitude, self.z).add_(self.z, alpha=favoured.scale)
        plain = Branch("any", favoured.plain, None, favoured.bias)
        shared = self._share_relevance(self.relevance(plain), plain, denominator)
        signed = torch.copysign(torch.ones_like(self.z), self.z) * shared.values
        to_bias = shared.to_bias
        if favoured.bias_magnitude is not None:
            to_bias = to_bias + self.sums(
                signed * self.prepared.layer.spread(favoured.bias_magnitude, signed)
            )
        return FavouredShares(shared.values, to_bias, shared.to_stabiliser, signed)

    def share_masked(self, branch: Branch, inner: Tensor, least: Tensor | None) -> MaskedShares:
        """Divide the relevance of a branch by masked denominators, but for those that nearly cancel.

        `least` are the magnitudes below which a denominator counts as cancelled; a zero always does.
        """
        epsilon = self.prepared.rule.epsilon
        viewed = self._rows(inner) if least is None else self._rows(inner, least)
        if viewed is not None:
            (c, z, d, *bound), lie = viewed
            given = bound[0] if bound else None
            found = share_masked_rows(c, z, d, given, branch, epsilon, lie)
            return replace(found, values=self._shaped(found.values), fallen=self._shaped(found.fallen))
        falls = inner == 0 if least is None else (inner == 0) | (inner.abs() < least)
        relevance = self.relevance(branch)
        shares = self._share_relevance(relevance.masked_fill(falls, 0), replace(branch, bias=None), inner)
        fallen = falls & (relevance != 0)
        return MaskedShares(
            shares.values, self.c * fallen, shares.to_stabiliser, self.sums(fallen),
            self.sums(relevance.abs() * fallen),
        )  # fmt: skip

    def _share_relevance(self, relevance: Tensor, branch: Branch, denominator: Tensor) -> Shares:
        """Divide some relevance by stabilised denominators; what `share` computes, operation by operation.

        The shares take the place of the relevance, which must be a tensor of its own.
        """
        to_stabiliser = torch.zeros(self.samples.n, dtype=torch.float64, device=relevance.device)
        for part, below in pieces(relevance, denominator, axis=self._longest_axis()):
            signed = torch.copysign(torch.full_like(below, self.prepared.rule.epsilon), below)
            nothing = below == 0
            shares = (part / (below + signed)).masked_fill_(nothing, 0)
            to_stabiliser += self.sums(shares * signed) + self.sums(part * nothing)
            part.copy_(shares)
        to_bias = torch.zeros_like(to_stabiliser)
        if branch.bias is not None:
            to_bias = self.sums(relevance * self.prepared.layer.spread(branch.bias, relevance))
        return Shares(relevance, to_bias, to_stabiliser)

    def _longest_axis(self) -> int:
        """Give the longest axis that samples don't lie along."""
        of_samples = self.samples.axis if self.firsts is None else 0
        others = [axis for axis in range(self.z.dim()) if axis != of_samples]
        return max(others, key=self.z.shape.__getitem__)


def propagate(
    prepared: PreparedLayer, name: str, a: Tensor, z: Tensor, c: Tensor, samples: Samples, cache: Denominators
) -> StepResult:
    """Carry the multiplier `c` at a layer's output `z` to its input `a`.

    `samples` says where samples lie in the output.
    """
    output = Output.of(prepared, z, c, samples)
    if prepared.favoured is not None:
        return _propagate_favoured(output, name, prepared.favoured, a, cache)
    multiplier: Tensor | None = None
    offset: Tensor | None = None
    to_bias = torch.zeros(samples.n, dtype=torch.float64, device=z.device)
    to_stabiliser = to_bias.clone()
    for i, branch in enumerate(output.prepared.branches):
        shared = output.share(branch, cache.of(name, i, output, a))
        part = output.prepared.carry(branch, shared.values, a)
        multiplier = part if multiplier is None else multiplier + part
        if branch.offset is not None:
            offset = output.prepared.layer.transpose(shared.values, branch.offset, a)
        to_bias += shared.to_bias
        to_stabiliser += shared.to_stabiliser
    if multiplier is None:
        raise ValueError("a rule without branches")
    return StepResult(multiplier, to_bias, to_stabiliser, offset)


def _propagate_favoured(
    output: Output, name: str, favoured: Favoured, a: Tensor, cache: Denominators
) -> StepResult:
    """Carry the multiplier of outputs of both signs in one pass; see `Favoured`."""
    shared = output.share_favoured(favoured, cache.favoured(name, favoured, output, a))
    multiplier = output.prepared.carry_favoured(favoured, shared.values, shared.signed, a)
    return StepResult(multiplier, shared.to_bias, shared.to_stabiliser)
