"""The passes over every neuron that a walk makes at each layer: selection, scaling and sharing.

Each has a compiled form for the CPU (numba), one for GPUs (Triton) where it pays, and a plain torch form for
everything else, which says what is computed.
"""

import threading
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sparselrp_cli.graph.rounding import ties
from sparselrp_cli.relevance.kernels import compiling, filtering, gathering, pooling, selection, sharing
from sparselrp_cli.relevance.kernels import softmax as softmaxes
from sparselrp_cli.relevance.kernels.channels import Channels

if TYPE_CHECKING:
    from sparselrp_cli.relevance.rules import Branch, Favoured

_OUTPUTS = {"any": 0, "non-negative": 1, "negative": 2}
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


class _State(threading.local):
    """How many threads the compiled loops use: torch's number, but one where there is little to do."""

    allowed = 0
    now = 0


_threads = _State()


def use_threads() -> None:
    """Let the compiled loops use as many threads as torch does."""
    _threads.allowed = torch.get_num_threads()


def must_compile() -> bool:
    """Whether the loops haven't been compiled on this machine yet, which takes some seconds."""
    stats = getattr(selection.prune, "stats", None)
    if stats is None:  # NUMBA_DISABLE_JIT: nothing is compiled
        return False
    folder = stats.cache_path
    return folder is None or not any(Path(folder).glob("selection.prune-*.nbi"))


def _with_threads(size: int) -> None:
    """Set the number of threads for work on so many numbers."""
    wanted = 1 if size <= compiling.PIECE else (_threads.allowed or torch.get_num_threads())
    if wanted != _threads.now:
        torchs = torch.get_num_threads()
        compiling.use_threads(wanted)
        _threads.now = wanted
        # numba starts its threads at the first call, and with them changes OpenMP's number, which is torch's.
        if torch.get_num_threads() != torchs:
            torch.set_num_threads(torchs)


def _array(tensor: Tensor) -> Any:
    """View a tensor as an array in C order."""
    return (tensor if tensor.is_contiguous() else tensor.contiguous()).numpy()


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
    proportions = np.array([positive, negative])
    _with_threads(a.numel())
    tolerances = np.array([ties(a.dtype), SUMS])
    found = selection.prune(_array(a), _array(c), proportions, tolerances, *_buckets(a.dtype), as_mask)
    multiplier, kept, mass, pruned = map(torch.from_numpy, found)
    return multiplier, kept, mass, pruned


def sums(values: Tensor) -> Tensor:
    """Add up rows, (N, numbers), in float64: shape (N,)."""
    if not is_compiled(values):
        return values.sum(1, dtype=torch.float64)
    _with_threads(values.numel())
    return torch.from_numpy(selection.sums(_array(values)))


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
    _with_threads(a.numel())
    return torch.from_numpy(selection.masses(_array(a), _array(c), _array(keep)))


def rescale(a: Tensor, c: Tensor, keep: Tensor, scale: Tensor) -> Tensor:
    """Scale multipliers by the factor of the sign of ``a c``, shape (N, 2), and by `keep`."""
    _with_threads(a.numel())
    scaled = selection.rescale(_array(a), _array(c), _array(keep), _array(scale.to(c.dtype)))
    return torch.from_numpy(scaled)


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """Relevance over denominators, and what biases and stabilisers take of it: float64, shape (N,)."""

    values: Tensor
    to_bias: Tensor
    to_stabiliser: Tensor


def share_rows(
    c: Tensor, z: Tensor, denominator: Tensor, branch: "Branch", epsilon: float, lie: Tensor | Channels
) -> Shares:
    """Divide a layer's output relevance ``c z`` by stabilised denominators; see `step.share`.

    Parameters
    ----------
    c, z, denominator : Tensor, shape (rows, channels), or (N, neurons) on a GPU
        Contiguous.
    lie : Tensor of int64, shape (N + 1,), or Channels on a GPU
        The first row of each sample, and the number of rows.
    """
    if isinstance(lie, Channels):
        from sparselrp_cli.relevance.kernels import triton_sharing

        values, books = triton_sharing.share(
            c, z, denominator, branch.bias, lie, epsilon, branch.factor, _sign(branch)
        )
        return Shares(values, books[:, 0], books[:, 1])
    bias = c.new_zeros(c.shape[1]) if branch.bias is None else branch.bias
    _with_threads(c.numel())
    values, taken = sharing.share(
        _array(c), _array(z), _array(denominator), _array(bias), *_numbers(branch, epsilon, c), _array(lie)
    )
    books = torch.from_numpy(taken)
    return Shares(torch.from_numpy(values), books[:, 0], books[:, 1])


@dataclass(frozen=True, slots=True, eq=False)
class FavouredShares(Shares):
    """Shares, and `signed`: the shares times the signs of their outputs."""

    signed: Tensor


def share_favoured_rows(
    c: Tensor, z: Tensor, magnitude: Tensor, favoured: "Favoured", epsilon: float, lie: Tensor | Channels
) -> FavouredShares:
    """Divide relevance ``c z`` by ``scale z + sign(z) magnitude``, stabilised.

    Parameters
    ----------
    c, z, magnitude : Tensor
        As for `share_rows`, and so is `lie`.
    """
    if isinstance(lie, Channels):
        from sparselrp_cli.relevance.kernels import triton_sharing

        given = favoured.bias, favoured.bias_magnitude, lie, epsilon, favoured.scale
        values, signed, books = triton_sharing.share_favoured(c, z, magnitude, *given)
        return FavouredShares(values, books[:, 0], books[:, 1], signed)
    none = c.new_zeros(c.shape[1])
    biases = [none if b is None else b for b in (favoured.bias, favoured.bias_magnitude)]
    number = np.float32 if c.dtype == torch.float32 else np.float64
    _with_threads(c.numel())
    values, signed, taken = sharing.share_favoured(
        _array(c), _array(z), _array(magnitude), number(favoured.scale), *map(_array, biases),
        number(epsilon), _array(lie),
    )  # fmt: skip
    books = torch.from_numpy(taken)
    return FavouredShares(torch.from_numpy(values), books[:, 0], books[:, 1], torch.from_numpy(signed))


def _numbers(branch: "Branch", epsilon: float, like: Tensor) -> tuple[Any, Any, int]:
    """Give a branch's stabiliser, factor and sign of outputs as the loops take them."""
    number = np.float32 if like.dtype == torch.float32 else np.float64
    return number(epsilon), number(branch.factor), _sign(branch)


def _sign(branch: "Branch") -> int:
    """Say as the loops take it by which outputs a branch distributes."""
    return 0 if branch.factor != 1 else _OUTPUTS[branch.output]


@dataclass(frozen=True, slots=True, eq=False)
class MaskedShares:
    """Relevance over masked denominators, and what fell back (PLRP-M).

    Attributes
    ----------
    values : Tensor, shaped as the multipliers
    fallen : Tensor, shaped as they are
        Multipliers of the output neurons that fall back, 0 elsewhere.
    to_stabiliser, columns, mass : Tensor of float64, shape (N,)
        What stabilisers took; how many fell back, and their relevance in magnitude.
    """

    values: Tensor
    fallen: Tensor
    to_stabiliser: Tensor
    columns: Tensor
    mass: Tensor


def share_masked_rows(
    c: Tensor, z: Tensor, inner: Tensor, least: Tensor | None, branch: "Branch", epsilon: float,
    lie: Tensor | Channels,
) -> MaskedShares:  # fmt: skip
    """Divide relevance ``c z`` by masked denominators, leaving out those that nearly cancel.

    Parameters
    ----------
    c, z, inner : Tensor
        As for `share_rows`, and so is `lie`.
    least : Tensor, shaped as `inner`, or None
        The magnitude below which a denominator counts as cancelled; a zero always does.
    """
    if isinstance(lie, Channels):
        from sparselrp_cli.relevance.kernels import triton_sharing

        values, fallen, books = triton_sharing.share_masked(
            c, z, inner, least, epsilon, branch.factor, _sign(branch)
        )
        return MaskedShares(values, fallen, *books.unbind(1))
    bound = c.new_zeros(1, c.shape[1]) if least is None else least
    _with_threads(c.numel())
    values, fallen, taken = sharing.share_masked(
        _array(c), _array(z), _array(inner), _array(bound), *_numbers(branch, epsilon, c), _array(lie)
    )
    books = torch.from_numpy(taken)
    return MaskedShares(torch.from_numpy(values), torch.from_numpy(fallen), *books.unbind(1))


def nonzero_rows(values: Tensor, at_most: float) -> Tensor | None:
    """Find the rows that aren't all zero.

    Parameters
    ----------
    values : Tensor, shape (rows, channels)
    at_most : float
        Give up, with None, where their share is larger.

    Returns
    -------
    Tensor of int64 or None
    """
    _with_threads(values.numel())
    flags = gathering.flag_rows(_array(values))
    if flags.mean() > at_most:
        return None
    return torch.from_numpy(np.flatnonzero(flags))


def gather_columns(
    x: Tensor, index: Tensor, width: int, length: int, stride: int, padding: int, dilation: int
) -> Tensor:
    """Lay the inputs that a convolution reads at some positions side by side.

    Parameters
    ----------
    x : Tensor, shape (N, positions in, channels)
        Contiguous.
    index : Tensor of int64, shape (rows,)
        Into (samples x positions out).
    length : int
        Positions out of one sample.

    Returns
    -------
    Tensor, shape (rows, width x channels)
    """
    _with_threads(len(index) * width * x.shape[2])
    columns = gathering.gather(_array(x), _array(index), width, length, stride, padding, dilation)
    return torch.from_numpy(columns)


def scatter_columns(
    columns: Tensor, index: Tensor, width: int, length: int, stride: int, padding: int, dilation: int,
    total: Tensor,
) -> None:  # fmt: skip
    """Add columns, (rows, width x channels), back to where `gather_columns` took them from.

    `total` is (N, positions in, channels). Added in the order of rows, whatever the number of threads.
    """
    _with_threads(columns.numel())
    gathering.scatter(_array(columns), _array(index), width, length, stride, padding, dilation, _array(total))


def winners(
    x: Tensor, count: int, width: int, stride: int, padding: int, dilation: int
) -> tuple[Tensor, Tensor]:
    """Find the largest number of each window of a max pool, and where the first stands that equals it.

    Parameters
    ----------
    x : Tensor, shape (N, positions, channels)
        Contiguous.
    count : int
        Windows.

    Returns
    -------
    largest : Tensor, shape (N, count, channels)
    first : Tensor of int32, same shape
    """
    _with_threads(x.numel())
    tolerance = x.numpy().dtype.type(ties(x.dtype))
    largest = x.new_empty(len(x), count, x.shape[2])
    first = torch.empty_like(largest, dtype=torch.int32)
    sizes = (width, stride, padding, dilation)
    pooling.winners(_array(x), *sizes, tolerance, largest.numpy(), first.numpy())
    return largest, first


def give_winners(
    c: Tensor, x: Tensor, largest: Tensor, first: Tensor, width: int, stride: int, padding: int, dilation: int
) -> Tensor:
    """Give the multipliers `c` of windows to their winners, as `winners` found them: shaped as `x`."""
    _with_threads(x.numel())
    total = torch.empty(x.shape, dtype=x.dtype)
    arrays = [*map(_array, (c, x, largest, first))]
    if dilation == 1 and stride >= width and x.shape[2] >= pooling.FEW:
        pooling.give_apart(*arrays, width, stride, padding, total.numpy())
    else:
        pooling.give(*arrays, total.numpy())
    return total


def to_points(x: Tensor, firsts: Tensor, dilation: int, factors: Tensor, points: Tensor) -> None:
    """Take rows `x`, (rows, channels), to the points of minimal filtering; see `kernels.filtering`."""
    _with_threads(points.numel())
    filtering.to_points(_array(x), _array(firsts), dilation, _array(factors), points.numpy())


def from_points(
    products: Tensor, firsts: Tensor, dilation: int, factors: Tensor, bias: Tensor, found: Tensor
) -> None:
    """Bring products at points to the rows `found`, (rows, channels); see `kernels.filtering`."""
    _with_threads(products.numel())
    arrays = map(_array, (products, firsts))
    filtering.from_points(*arrays, dilation, _array(factors), _array(bias), found.numpy())


def clear_unread(x: Tensor, width: int, dilation: int, padding: int, bias: Tensor, found: Tensor) -> None:
    """Set rows of `found` that a convolution makes of zeros alone to the bias; see `kernels.filtering`."""
    _with_threads(x.numel())
    filtering.clear(_array(x), width, dilation, padding, _array(bias), found.numpy())


def pull_softmax(s: Tensor, c: Tensor) -> Tensor:
    """Carry multipliers through ``s = softmax(x)`` along the last axis."""
    _with_threads(c.numel())
    s, c = s.contiguous(), c.contiguous()
    found = torch.empty_like(c)
    softmaxes.pull(*(v.reshape(-1, c.shape[-1]).numpy() for v in (s, c, found)))
    return found


def softmax_constants(x: Tensor, s: Tensor, c: Tensor) -> Tensor:
    """Give what the constant of a softmax along the last axis absorbs, in float64: shape (..., 1)."""
    _with_threads(c.numel())
    found = torch.empty((*c.shape[:-1], 1), dtype=torch.float64)
    softmaxes.constants(*(_array(v).reshape(-1, c.shape[-1]) for v in (x, s, c)), found.reshape(-1).numpy())
    return found
