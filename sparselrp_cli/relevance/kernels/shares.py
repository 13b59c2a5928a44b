"""Relevance shared out over denominators: one pass over a layer's output, on the CPU or by Triton."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sparselrp_cli.relevance.kernels import sharing
from sparselrp_cli.relevance.kernels.calling import added_up, array, with_threads
from sparselrp_cli.relevance.kernels.channels import Channels
from sparselrp_cli.relevance.kernels.compiling import PIECE

if TYPE_CHECKING:
    from sparselrp_cli.relevance.rules import Branch, Favoured

_OUTPUTS = {"any": 0, "non-negative": 1, "negative": 2}


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
    with_threads(c.numel())
    firsts, of_c = array(lie), array(c)
    values = np.empty_like(of_c)
    height, taken = _pieces(firsts, c.shape[1], 2)
    sharing.share(
        of_c, array(z), array(denominator), array(bias), *_numbers(branch, epsilon, c), firsts, height,
        values, taken,
    )  # fmt: skip
    books = added_up(taken)
    return Shares(torch.from_numpy(values), books[:, 0], books[:, 1])


def _pieces(firsts: Any, channels: int, accounts: int) -> tuple[int, Any]:
    """Give the rows of a piece, and zeros for the accounts of each piece of each sample."""
    height = max(1, PIECE // max(1, channels))
    longest = int((firsts[1:] - firsts[:-1]).max(initial=0))
    pieces = max(1, -(-longest // height))
    return height, np.zeros((len(firsts) - 1, pieces, accounts))


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
    with_threads(c.numel())
    firsts, of_c = array(lie), array(c)
    values, signed = np.empty_like(of_c), np.empty_like(of_c)
    height, taken = _pieces(firsts, c.shape[1], 2)
    sharing.share_favoured(
        of_c, array(z), array(magnitude), number(favoured.scale), *map(array, biases),
        number(epsilon), firsts, height, values, signed, taken,
    )  # fmt: skip
    books = added_up(taken)
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
    with_threads(c.numel())
    firsts, of_c = array(lie), array(c)
    values, fallen = np.empty_like(of_c), np.empty_like(of_c)
    height, taken = _pieces(firsts, c.shape[1], 3)
    sharing.share_masked(
        of_c, array(z), array(inner), array(bound), *_numbers(branch, epsilon, c), firsts, height,
        values, fallen, taken,
    )  # fmt: skip
    return MaskedShares(torch.from_numpy(values), torch.from_numpy(fallen), *added_up(taken).unbind(1))
