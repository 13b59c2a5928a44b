"""Models that read ids of tokens, made to read one-hot sequences."""

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sparselrp_cli.errors import ModelError, WindowError, number_of
from sparselrp_cli.model.inputs import WithConstantInputs
from sparselrp_cli.model.prints import silently
from sparselrp_cli.model.results import leaves_of
from sparselrp_cli.model.tokens import BASES, UNKNOWN_BASE, Token, tokeniser

MASK = "attention_mask"
"""The parameter of a forward that is told which tokens are there: 1, or 0 for padding."""
_ROUNDING = 1e-4
_LETTERS = np.frombuffer((BASES + UNKNOWN_BASE).encode(), np.uint8)


def sequences_of(x: Tensor) -> list[str]:
    """Write one-hot windows (N, 4, L) in letters; a column of zeros is an N."""
    bases = torch.where(x.sum(1) > 0, x.argmax(1), len(BASES)).cpu().numpy()
    return [_LETTERS[row].tobytes().decode() for row in bases]


def tokens_of(sequence: str, scheme: str, count: int) -> tuple[Token, ...]:
    """Cut a window into so many tokens, padding behind.

    Raises
    ------
    ModelError
        If it has more, or fewer and there is no padding.
    """
    reader = tokeniser(scheme)
    found = reader.split(sequence)
    if len(found) > count:
        raise ModelError(
            f"a window has {number_of(len(found), 'token')}, more than the {count} that the model is given;"
            f" make room with --tokens ...,tokens={len(found)} or more"
        )
    if len(found) < count and reader.padding is None:
        raise ModelError(
            f"a window has {number_of(len(found), 'token')}, fewer than the {count} that the model is given,"
            " and the tokenizer has no padding ([PAD])"
        )
    behind = len(sequence)
    return found + (Token(reader.padding or 0, behind, behind),) * (count - len(found))


@torch.library.custom_op("sparselrp::tokens", mutates_args=())
def tokens(x: Tensor, scheme: str, count: int) -> Tensor:
    """Give the ids of the tokens of one-hot windows, (N, count).

    Parameters
    ----------
    x : Tensor, shape (N, 4, L)
        In the order A C G T.
    scheme : str
        See `model.tokens`.
    count : int

    Raises
    ------
    WindowError
        If a window has other tokens than the model can be given.
    """
    rows = [_numbers(sequence, scheme, count, row) for row, sequence in enumerate(sequences_of(x))]
    return torch.tensor(rows, dtype=torch.int64, device=x.device).reshape(len(rows), count)


def _numbers(sequence: str, scheme: str, count: int, row: int) -> list[int]:
    """Give the ids of a window's tokens; errors say which of the batch it is."""
    try:
        return [token.number for token in tokens_of(sequence, scheme, count)]
    except ModelError as error:
        raise WindowError(str(error), row) from error


@tokens.register_fake
def _(x: Tensor, scheme: str, count: int) -> Tensor:
    return x.new_empty((x.shape[0], count), dtype=torch.int64)


def _mask_of(module: nn.Module) -> inspect.Parameter | None:
    """Give the parameter that is told what is padding; None where there is none, or it is held constant."""
    if isinstance(module, WithConstantInputs):
        return None if MASK in module.names else _mask_of(module.module)
    return inspect.signature(module.forward).parameters.get(MASK)


class TokenModel(nn.Module):
    """A model of ids as one of one-hot windows (N, 4, L).

    Where windows may be padded and the forward takes an ``attention_mask``, it is told. Where they are never
    padded, a forward that can't do without one is told that every token is there.

    Parameters
    ----------
    module : nn.Module
    scheme : str
        See `model.tokens`.
    count : int
        Of tokens, special ones and padding included.
    """

    def __init__(self, module: nn.Module, scheme: str, count: int) -> None:
        super().__init__()
        self.module, self.scheme, self.count = module, scheme, count
        reader = tokeniser(scheme)
        mask = _mask_of(module)
        self.padding = reader.padding if mask is not None and reader.varies else None
        self.is_told = self.padding is not None or (mask is not None and mask.default is mask.empty)

    @property
    def by_window(self) -> tuple[str, ...]:
        """Inputs beside the tokens that are given row by row."""
        return self.module.by_window if isinstance(self.module, WithConstantInputs) else ()

    def rows_of(self, n_samples: int) -> dict[str, Tensor]:
        """Give what stands for these, by name."""
        return self.module.rows_of(n_samples) if isinstance(self.module, WithConstantInputs) else {}

    def forward(self, x: Tensor, rows: tuple[Tensor, ...] | None = None) -> Any:
        """Compute the outputs of windows (N, 4, L); `rows` (N, ...) are in the order of `by_window`."""
        ids = torch.ops.sparselrp.tokens(x, self.scheme, self.count)
        given = (ids,) if rows is None else (ids, rows)
        if not self.is_told:
            return self.module(*given)
        there = torch.ones_like(ids) if self.padding is None else (ids != self.padding).long()
        return self.module(*given, **{MASK: there})

    def change_by_padding(self, x: Tensor) -> float:
        """Give how far padding moves the outputs of a window, relative to the largest; 0 where it doesn't.

        That is more than rounding, of outputs whose shape doesn't go by the number of tokens.
        """
        x = x[:1]
        (sequence,) = sequences_of(x)
        found = len(tokeniser(self.scheme).split(sequence))
        if found >= self.count:
            return 0.0
        with silently(), torch.no_grad(), torch.compiler.set_stance("force_eager"):
            ours, bare = (
                [t for t in leaves_of(net(x)) if isinstance(t, Tensor)]
                for net in (self, TokenModel(self.module, self.scheme, found).eval())
            )
        changes = [
            float((a - b).abs().max()) / max(float(b.abs().max()), 1e-30)
            for a, b in zip(ours, bare, strict=True)
            if a.shape == b.shape
        ]
        return max((change for change in changes if change > _ROUNDING), default=0.0)
