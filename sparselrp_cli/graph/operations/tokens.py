"""Tokens of a sequence, and the table that a model looks them up in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from sparselrp_cli.graph.call import Call, Chain, Converted, Converters
from sparselrp_cli.graph.operation import At, Operation, Pulled
from sparselrp_cli.graph.shapes import Dim, numbers
from sparselrp_cli.model import token_models
from sparselrp_cli.model.token_models import sequences_of
from sparselrp_cli.model.tokens import BASES, UNKNOWN_BASE, Token, tokeniser

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tokens(Operation):
    """The ids of a sequence's tokens: they decide, and carry no relevance.

    Attributes
    ----------
    scheme : str
        See `model.tokens`.
    count : int
    """

    scheme: str
    count: int
    kind: ClassVar[str] = "tokens"
    passes: ClassVar[str] = "decides; carries none"
    takes_decisions: ClassVar[bool] = True

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        (x,) = inputs
        if x.is_meta:
            return x.new_empty((x.shape[0], self.count), dtype=torch.int64), None
        return token_models.tokens(x, self.scheme, self.count), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (None,)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        return c * at.output

    def passes_to(self, index: int) -> bool:
        return False

    def is_gate(self, inputs: Sequence[bool]) -> bool:
        return True

    def describe(self) -> str:
        return f"{self.count}, {tokeniser(self.scheme).describe()}"


@dataclass(frozen=True, eq=False)
class Embedding(Operation):
    """The rows of a table that the ids of tokens name.

    A token's relevance goes to its bases in equal parts, N apart. What a changed base would contribute is
    found by looking up the changed token, at first order, so that contributions against a base composition
    lie at the bases that make the token what it is [ours]. Special tokens, padding and tokens of N alone
    absorb theirs.

    Attributes
    ----------
    weight : Tensor, shape (ids, features)
    scheme : str
        See `model.tokens`.
    slots : Tensor of int, shape (rows,)
        Which token each row of ids is; -1 for none, as of a class token that the model adds itself.
    """

    weight: Tensor
    scheme: str
    slots: Tensor
    kind: ClassVar[str] = "embedding"
    passes: ClassVar[str] = "tokens to their bases, equally"
    takes_decisions: ClassVar[bool] = True
    absorbs_tokens: ClassVar[bool] = True

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return functional.embedding(inputs[1], self.weight), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        x = at.inputs[0]
        if x.is_meta:
            return torch.empty_like(x), None
        rows = zip(c, sequences_of(x), strict=True)
        return torch.stack([self._on_bases(part, sequence) for part, sequence in rows]), None

    def _on_bases(self, c: Tensor, sequence: str) -> Tensor:
        """Carry the multipliers of one window's rows (rows, features) to its bases (4, L)."""
        found = tokeniser(self.scheme).split(sequence)
        on_bases = c.new_zeros(len(BASES) * len(sequence))
        worth = self._of_tokens(c, len(found)) @ self.weight.t()  # of every token in every place
        slots, places, shares = self._covered(found, sequence)
        own = worth.gather(1, _on(c, [token.number for token in found])[:, None])[:, 0]
        slot, place = _on(c, slots), _on(c, places)
        for base in range(len(BASES)):
            on_bases.index_add_(0, base * len(sequence) + place, own[slot] * shares.to(c))
        slots, places, ids, weights = self._changed(found, sequence)
        slot, other = _on(c, slots), _on(c, ids)
        gained = (worth[slot, other] - own[slot]) * torch.from_numpy(weights).to(c)
        on_bases.index_add_(0, _on(c, places), gained)
        return on_bases.reshape(len(BASES), len(sequence))

    def _of_tokens(self, c: Tensor, count: int) -> Tensor:
        """Add up what the rows of each token are given; rows behind the last token are padding."""
        read = ((self.slots >= 0) & (self.slots < count)).nonzero().flatten()
        return c.new_zeros(count, c.shape[1]).index_add(0, self.slots[read], c[read])

    def _covered(self, found: Sequence[Token], sequence: str) -> tuple[Whole, Whole, Tensor]:
        """Give for every known base of every token the token, the base's place and its share."""
        spans = [
            (i, p) for i, t in enumerate(found) for p in range(t.start, t.end) if sequence[p] != UNKNOWN_BASE
        ]
        both = np.array(spans, dtype=np.int64).reshape(-1, 2)
        known = np.bincount(both[:, 0], minlength=len(found))
        return both[:, 0], both[:, 1], torch.from_numpy(1.0 / known[both[:, 0]])

    def _changed(
        self, found: Sequence[Token], sequence: str
    ) -> tuple[Whole, Whole, Whole, npt.NDArray[np.float64]]:
        """Give for every change of a base of a token the token, the number's place, its id then and share."""
        entries = list(self._changes(found, sequence))
        whole = np.array([entry[:3] for entry in entries], dtype=np.int64).reshape(-1, 3)
        return whole[:, 0], whole[:, 1], whole[:, 2], np.array([entry[3] for entry in entries])

    def _changes(self, found: Sequence[Token], sequence: str) -> Iterator[tuple[int, int, int, float]]:
        reader = tokeniser(self.scheme)
        for slot, (_, start, end) in enumerate(found):
            for offset, base, number, weight in reader.changes(sequence[start:end]):
                yield slot, base * len(sequence) + start + offset, number, weight

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        x = at.inputs[0]
        if x.is_meta:
            return torch.empty_like(c)
        return c * at.output * torch.stack([self._without(s) for s in sequences_of(x)])[..., None].to(c)

    def _without(self, sequence: str) -> Tensor:
        """Mark the rows that have no base to give relevance to."""
        found = tokeniser(self.scheme).split(sequence)
        nothing = [not sequence[token.start : token.end].strip(UNKNOWN_BASE) for token in found]
        marked = torch.tensor([*nothing, True], device=self.slots.device)  # the last is read by -1, too
        return marked[self.slots.clamp(max=len(found))]

    def passes_to(self, index: int) -> bool:
        return index == 0

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        return numbers(output)

    def describe(self) -> str:
        return f"{len(self.weight)} ids -> {self.weight.shape[1]}"


def _on(like: Tensor, values: Whole | Sequence[int]) -> Tensor:
    return torch.as_tensor(values, dtype=torch.int64, device=like.device)


def tokens(call: Call) -> Converted:
    return Chain((Tokens(call["scheme"], call["count"]),), (call.activation("x"),))


CONVERTERS: Converters = MappingProxyType({torch.ops.sparselrp.tokens.default: tokens})
