"""Pruning of one layer's relevance, per sample and per sign, and where the pruned mass goes.

Source: Yanez Sarmiento et al., ECML PKDD 2024 (PLRP). Our own definitions are the automatic proportion, and
that no group of equal values is cut through. Neurons that are equal in theory, as inside of a repeat, differ
in the last bits by the number of threads, the batch and the dtype: values within a relative tolerance count
as equal, and so do a running sum and ``p V``.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sparselrp_cli.graph.rounding import ties
from sparselrp_cli.relevance import kernels
from sparselrp_cli.relevance.choices import PROPORTION, REDISTRIBUTIONS, Redistribution


@dataclass(frozen=True, slots=True)
class Pruning:
    """How much relevance is pruned in each layer, and where the pruned mass goes.

    Attributes
    ----------
    positive, negative : float
        Proportion of the positive and negative relevance mass pruned, 0 <= p < 1. `negative` None is half
        of `positive`.
    automatic : bool
        Choose the proportion per layer and sample instead (see `kept_automatically`).
    redistribute : {"lambda", "m"}
        Scale the survivors of each sign (PLRP-lambda), or propagate again with the pruned neurons masked
        (PLRP-M).

    Raises
    ------
    ValueError
        If a proportion isn't in [0, 1).
    """

    positive: float = PROPORTION
    negative: float | None = None
    automatic: bool = False
    redistribute: Redistribution = REDISTRIBUTIONS[0]

    def __post_init__(self) -> None:
        for proportion in (self.positive, self.proportion_negative):
            if not 0 <= proportion < 1:
                raise ValueError(f"a pruned proportion of {proportion:g} isn't in [0, 1)")

    @property
    def proportion_negative(self) -> float:
        return self.positive / 2 if self.negative is None else self.negative

    @property
    def is_identity(self) -> bool:
        """Whether nothing is ever pruned: plain LRP."""
        return not self.automatic and self.positive == 0 and self.proportion_negative == 0

    def keep(self, relevance: Tensor) -> Tensor:
        """Choose the neurons that keep their relevance.

        Parameters
        ----------
        relevance : Tensor, shape (N, neurons)

        Returns
        -------
        Tensor of bool, shape (N, neurons)
        """
        if self.automatic:
            return kept_automatically(relevance)
        return kept(relevance, self.positive, self.proportion_negative)

    def scale(self, a: Tensor, c: Tensor) -> "Pruned":
        """Prune relevance ``a c`` and scale the survivors of each sign to its mass (PLRP-lambda).

        Parameters
        ----------
        a, c : Tensor, shape (N, neurons)
            Activations and multipliers.
        """
        if not self.automatic and kernels.has_selection(c):
            return self._fast(a, c, as_mask=False)
        relevance = a * c
        keep = self.keep(relevance)
        factors, lost = survivors_scale(relevance, keep)
        return Pruned.of(relevance, keep, c * factors, lost)

    def mask(self, a: Tensor, c: Tensor) -> "Pruned":
        """Choose the neurons that are kept: as `scale`, but the `multiplier` is 1 or 0 (PLRP-M)."""
        if not self.automatic and kernels.has_selection(c):
            return self._fast(a, c, as_mask=True)
        relevance = a * c
        keep = self.keep(relevance)
        return Pruned.of(relevance, keep, keep.to(c.dtype), torch.zeros_like(keep[:, 0], dtype=torch.float64))

    def _fast(self, a: Tensor, c: Tensor, *, as_mask: bool) -> "Pruned":
        multiplier, kept, mass, pruned = kernels.prune(
            a, c, self.positive, self.proportion_negative, as_mask=as_mask
        )
        # A sign that is present always has a survivor: nothing is lost.
        return Pruned(multiplier, kept, mass, pruned, mass.new_zeros(len(mass)))


@dataclass(frozen=True, slots=True, eq=False)
class Pruned:
    """Multipliers after pruning, (N, neurons), and what was taken, each (N,).

    Attributes
    ----------
    multiplier : Tensor
    kept : Tensor
        Number of neurons.
    mass, pruned_mass : Tensor of float64
        Magnitude of relevance, before and taken.
    lost : Tensor of float64
        Signed relevance of a sign that has no survivor.
    """

    multiplier: Tensor
    kept: Tensor
    mass: Tensor
    pruned_mass: Tensor
    lost: Tensor

    @classmethod
    def of(cls, relevance: Tensor, keep: Tensor, multiplier: Tensor, lost: Tensor) -> "Pruned":
        """Count what was kept of some relevance, (N, neurons)."""
        magnitude = relevance.abs()
        mass = magnitude.sum(1, dtype=torch.float64)
        gone = mass - (magnitude * keep).sum(1, dtype=torch.float64)
        return cls(multiplier, keep.sum(1), mass, gone, lost)


STANDARD = Pruning()
NONE = Pruning(0.0)


def kept(relevance: Tensor, positive: float, negative: float) -> Tensor:
    """Keep all but the smallest values that together hold at most the given proportion of the mass.

    Per sample and sign: with the non-zero magnitudes ascending and ``C_i`` their running sum (float64), the
    first with ``C_i > p V (1 + SUMS)`` stays, and with it every magnitude that is as large to within the
    relative tolerance of the dtype, `graph.rounding.ties` [ours]; what is smaller is pruned.

    Parameters
    ----------
    relevance : Tensor, shape (N, neurons)
    positive, negative : float
        The proportions, in [0, 1).

    Returns
    -------
    Tensor of bool, shape (N, neurons)
    """
    above = (relevance > 0) & (relevance >= _smallest_kept(relevance.clamp(min=0), positive))
    below = (relevance < 0) & (-relevance >= _smallest_kept((-relevance).clamp(min=0), negative))
    return above | below


def _smallest_kept(magnitude: Tensor, proportion: float) -> Tensor:
    """Give the smallest number of the dtype that is kept: shape (N, 1)."""
    if proportion == 0 or magnitude.shape[1] == 0:
        return magnitude.new_zeros(magnitude.shape[0], 1)
    ascending, _ = magnitude.sort(1)
    running = ascending.cumsum(1, dtype=torch.float64)
    n_pruned = (running <= proportion * (1 + kernels.SUMS) * running[:, -1:]).sum(1, keepdim=True)
    first_kept = ascending.gather(1, n_pruned.clamp(max=magnitude.shape[1] - 1)).double()
    bound = first_kept * (1 - ties(magnitude.dtype))
    rounded = bound.to(magnitude.dtype)
    upwards = torch.nextafter(rounded, torch.full_like(rounded, math.inf))
    return torch.where(rounded.double() < bound, upwards, rounded)


def kept_automatically(relevance: Tensor) -> Tensor:
    """Keep what is above the mean magnitude of its sign, to within the tolerance of equal values [ours].

    Pruning one more neuron then no longer saves as much sparsity as it costs mass. The largest magnitude of
    each sign always stays, with those that equal it.

    Parameters
    ----------
    relevance : Tensor, shape (N, neurons)

    Returns
    -------
    Tensor of bool, shape (N, neurons)
    """
    tolerance = ties(relevance.dtype)
    keep = torch.zeros_like(relevance, dtype=torch.bool)
    for magnitude in (relevance.clamp(min=0), (-relevance).clamp(min=0)):
        count = (magnitude > 0).sum(1, keepdim=True).clamp(min=1)
        mean = magnitude.sum(1, keepdim=True, dtype=torch.float64) / count
        largest = magnitude.amax(1, keepdim=True).double()
        above = (magnitude.double() > mean * (1 + tolerance)) | (
            magnitude.double() >= largest * (1 - tolerance)
        )
        keep |= above & (magnitude > 0)
    return keep


def survivors_scale(relevance: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
    """Scale survivors so that the mass of each sign is conserved (PLRP-lambda).

    Parameters
    ----------
    relevance : Tensor, shape (N, neurons)
    keep : Tensor of bool, shape (N, neurons)

    Returns
    -------
    scale : Tensor, shape (N, neurons)
        0 for pruned neurons, ``lambda_s`` for kept ones of sign s.
    unplaced : Tensor of float64, shape (N,)
        Signed relevance of a sign that has no survivor, which is lost.
    """
    survivors = relevance * keep
    scale = torch.zeros_like(relevance)
    unplaced = torch.zeros(relevance.shape[0], dtype=torch.float64, device=relevance.device)
    for sign in (1, -1):
        total = (sign * relevance).clamp(min=0).sum(1, dtype=torch.float64)
        placed = (sign * survivors).clamp(min=0).sum(1, dtype=torch.float64)
        ratio = torch.where(placed > 0, total / placed.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
        scale += ratio.to(scale.dtype)[:, None] * (sign * survivors > 0)
        unplaced += sign * torch.where(placed > 0, 0.0, total)
    return scale, unplaced


def scale_to_mass(a: Tensor, c: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
    """Mask multipliers, and scale them so that the mass of each sign of ``a c`` stays; see `survivors_scale`.

    Parameters
    ----------
    a, c, keep : Tensor, shape (N, neurons)
        `keep` is 0 or 1.

    Returns
    -------
    multiplier : Tensor, shape (N, neurons)
    lost : Tensor of float64, shape (N,)
        Signed relevance of a sign that has no survivor.
    """
    if not kernels.is_compiled(c):
        scale, lost = survivors_scale(a * c, keep.bool())
        return c * scale, lost
    total, placed = kernels.masses(a, c, keep).unbind(2)
    ratio = torch.where(placed > 0, total / placed.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
    unplaced = total.masked_fill(placed > 0, 0)
    return kernels.rescale(a, c, keep, ratio), unplaced[:, 0] - unplaced[:, 1]
