"""The passes over every neuron that a walk makes at each layer; here those of pruning.

Each has a compiled form for the CPU (numba), one for GPUs (Triton) where it pays, and a plain torch form for
everything else, which says what is computed. Others take tensors in `shares`, `columns` and `operations`.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparselrp_cli.graph.rounding import ties
from sparselrp_cli.relevance.kernels import selection
from sparselrp_cli.relevance.kernels.calling import added_up, array, with_threads
from sparselrp_cli.relevance.kernels.compiling import PIECE

SUMS = 2.0**-20
"""A running sum of relevance this much above ``p V``, relatively, counts as equal to it."""
# Bits of a bucket of the histogram: sign, exponent, and the first bits of the mantissa.
_BUCKET_BITS = {torch.float32: 12, torch.float64: 13}


def is_compiled(tensor: Tensor) -> bool:
    """Whether the compiled loops take a tensor."""
    return tensor.device.type == "cpu" and tensor.dtype in _BUCKET_BITS


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


def has_selection(tensor: Tensor) -> bool:
    """Whether `prune` takes a tensor: the compiled loops, or Triton on a GPU."""
    return is_compiled(tensor) or (has_sharing(tensor) and tensor.dtype != torch.float64)


def has_sharing(tensor: Tensor) -> bool:
    """Whether Triton shares out a tensor's relevance, on a GPU."""
    types = (torch.float32, torch.bfloat16, torch.float64)
    return tensor.device.type == "cuda" and tensor.dtype in types and _has_triton()


def must_compile() -> bool:
    """Whether the loops haven't been compiled on this machine yet, which takes some seconds."""
    stats = getattr(selection.select, "stats", None)
    if stats is None:  # NUMBA_DISABLE_JIT: nothing is compiled
        return False
    folder = stats.cache_path
    return folder is None or not any(Path(folder).glob("selection.select-*.nbi"))


@cache
def _buckets(dtype: torch.dtype) -> tuple[Any, Any, Any]:
    """Give the magnitudes at which buckets begin, the bits that they leave out, and the bits' type."""
    number, unsigned = ("f4", "u4") if dtype == torch.float32 else ("f8", "u8")
    shift = dtype.itemsize * 8 - _BUCKET_BITS[dtype]
    starts = np.arange((1 << (_BUCKET_BITS[dtype] - 1)) + 1) * (1 << shift)
    edges = starts.astype(unsigned).view(number)
    edges[~np.isfinite(edges) | (np.arange(len(edges)) == len(edges) - 1)] = np.inf
    return edges, np.uint64(shift), np.empty(0, unsigned)


def prune(
    a: Tensor, c: Tensor, positive: float, negative: float, *, as_mask: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Set the multipliers of pruned neurons to 0, and scale those of the others to the mass of their sign.

    Parameters
    ----------
    a, c : Tensor, shape (N, neurons)
        Float32 or float64 on the CPU; float32 or bfloat16 on a GPU that has Triton.
    positive, negative : float
        Proportions of the mass, in [0, 1), by the definition in `pruning.kept`.
    as_mask : bool
        Give 1 for what is kept, not its scaled multiplier.

    Returns
    -------
    multiplier : Tensor, shape (N, neurons)
    kept : Tensor of int64, shape (N,)
    mass, pruned_mass : Tensor of float64, shape (N,)
        Magnitude of relevance before, and of what was pruned.
    """
    if a.device.type == "cuda":
        from sparselrp_cli.relevance.kernels import triton_selection

        survivors = triton_selection.prune_lambda(a, c, positive, negative, ties(c.dtype), SUMS)
        # A survivor has a multiplier, and is scaled by 1 or more.
        given = (survivors.multiplier != 0).to(c.dtype) if as_mask else survivors.multiplier
        return given, survivors.kept, survivors.found[:, :, 1].sum(1), survivors.found[:, :, 2].sum(1)
    found = _thresholds(a, c, positive, negative)
    theta, mass, pruned = found[:, :, 0], found[:, :, 1], found[:, :, 2]
    scale = np.ones(mass.shape)
    if not as_mask:
        np.divide(mass, mass - pruned, out=scale, where=mass > 0)  # A sign that is there has a survivor.
    of_c = array(c)
    scaled = np.empty_like(of_c)
    counts = np.zeros((len(a), _cut(a.shape[1])[0]), np.int64)
    factors = theta.astype(scaled.dtype), scale.astype(scaled.dtype)
    selection.scale_survivors(array(a), of_c, *factors, as_mask, scaled, counts)
    kept, of_all, of_pruned = (torch.from_numpy(numbers.sum(1)) for numbers in (counts, mass, pruned))
    return torch.from_numpy(scaled), kept, of_all, of_pruned


def _thresholds(a: Tensor, c: Tensor, positive: float, negative: float) -> Any:
    """Find by sample and sign the threshold, the mass and what is pruned of it: float64 of (N, 2, 3)."""
    edges, shift, no_bits = _buckets(a.dtype)
    n, (pieces, size) = len(a), _cut(a.shape[1])
    histogram = np.zeros((n, pieces, 2 * (len(edges) - 1)))
    relevance = np.empty((n, pieces, size), edges.dtype)
    filled, chosen = np.zeros((n, pieces), np.int64), np.zeros((n, 2), no_bits.dtype)
    found = np.empty((n, 2, 3))
    with_threads(a.numel())
    selection.select(
        array(a), array(c), np.array([positive, negative]), np.array([ties(a.dtype), SUMS]), edges, shift,
        no_bits, histogram, relevance, relevance.view(no_bits.dtype), filled, chosen, found,
    )  # fmt: skip
    return found


def _cut(m: int) -> tuple[int, int]:
    """Say how many pieces so many numbers make, and of what size."""
    pieces = max(1, -(-m // PIECE))
    return pieces, -(-m // pieces)


def sums(values: Tensor) -> Tensor:
    """Add up rows, (N, numbers), in float64: shape (N,)."""
    if not is_compiled(values):
        return values.sum(1, dtype=torch.float64)
    with_threads(values.numel())
    out = np.zeros((len(values), _cut(values.shape[1])[0]))
    selection.sums(array(values), out)
    return added_up(out)


def masses(a: Tensor, c: Tensor, keep: Tensor) -> Tensor:
    """Add up relevance ``a c`` by sign, all of it and what is kept.

    Parameters
    ----------
    a, c, keep : Tensor, shape (N, neurons)
        `keep` is 0 or 1.

    Returns
    -------
    Tensor of float64, shape (N, 2, 2)
        For + and -: all, kept.
    """
    with_threads(a.numel())
    out = np.zeros((len(a), _cut(a.shape[1])[0], 2, 2))
    selection.masses(array(a), array(c), array(keep), out)
    return added_up(out)


def rescale(a: Tensor, c: Tensor, keep: Tensor, scale: Tensor) -> Tensor:
    """Scale multipliers by the factor of the sign of ``a c``, shape (N, 2), and by `keep`."""
    with_threads(a.numel())
    of_c = array(c)
    scaled = np.empty_like(of_c)
    selection.rescale(array(a), of_c, array(keep), array(scale.to(c.dtype)), scaled)
    return torch.from_numpy(scaled)
