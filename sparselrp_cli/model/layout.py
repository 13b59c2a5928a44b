"""How a model wants its sequence: order of bases and of axes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.request import ALPHABET, LAYOUTS, Layout


@dataclass(frozen=True, slots=True)
class InputLayout:
    """Turns windows (N, 4, L) in the order A C G T into a model's input, and multipliers back.

    Attributes
    ----------
    alphabet : str
        The model's order of bases, such as ``ACGT``.
    layout : {"NCL", "NLC"}
        The model's order of axes: bases before or after positions.
    """

    alphabet: str = ALPHABET
    layout: Layout = LAYOUTS[0]

    def __post_init__(self) -> None:
        if sorted(self.alphabet.upper()) != sorted(ALPHABET):
            raise ModelError(f"alphabet '{self.alphabet}': must hold A, C, G and T once each")
        if self.layout not in LAYOUTS:
            raise ModelError(f"layout '{self.layout}': must be {' or '.join(LAYOUTS)}")

    @property
    def base_axis(self) -> int:
        """The axis of the model's input that holds the bases."""
        return 1 if self.layout == "NCL" else 2

    @property
    def _order(self) -> list[int]:
        return [ALPHABET.index(base) for base in self.alphabet.upper()]

    def in_order(self, of_bases: Sequence[float]) -> list[float]:
        """Reorder numbers of A, C, G and T for the model."""
        return [of_bases[i] for i in self._order]

    def to_model(self, x: Tensor) -> Tensor:
        """Reorder windows (N, 4, L) for the model."""
        x = _reordered(x, self._order)
        return x if self.layout == "NCL" else x.transpose(1, 2).contiguous()

    def from_model(self, c: Tensor) -> Tensor:
        """Bring the model's input axes back to (N, 4, L) in the order A C G T."""
        c = c if self.layout == "NCL" else c.transpose(1, 2)
        return _reordered(c, [self._order.index(i) for i in range(4)])


def _reordered(x: Tensor, order: list[int]) -> Tensor:
    """Reorder the second axis. Slices, since an index would have to go to the device, which waits for it."""
    return x if order == [0, 1, 2, 3] else torch.cat([x[:, i : i + 1] for i in order], 1)
