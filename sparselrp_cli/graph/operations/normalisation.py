"""Normalisations whose statistics come from the activations themselves: layer, group, instance, RMS."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.operations.base import At, Operation


@dataclass(frozen=True, eq=False)
class Normalise(Operation):
    """``(x - mean) / sd * weight + bias`` over rows of neurons; RMS normalisation has no mean.

    The standard deviation is a scale that gets no relevance, the rest is linear (AttnLRP, Achtibat et al.
    2024, prop. 3.4): the multiplier is the gradient with the deviation held constant.

    Attributes
    ----------
    name : str
    row : int
        How many of the last axes one row spans, or 0 for groups of channels with all positions.
    groups : int
        Groups of channels, where `row` is 0.
    centred : bool
    epsilon : float
    weight, bias : Tensor or None
        Broadcast against the input.
    """

    name: str
    row: int
    groups: int
    centred: bool
    epsilon: float
    weight: Tensor | None
    bias: Tensor | None
    kind: ClassVar[str] = "normalise"
    passes: ClassVar[str] = "deviation is a scale; bias absorbs"

    def _rows(self, x: Tensor) -> Tensor:
        if self.row:
            return x.flatten(-self.row)
        return x.reshape(x.shape[0], self.groups, -1)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        (x,) = inputs
        rows = self._rows(x)
        if self.centred:
            rows = rows - rows.mean(-1, keepdim=True)
        scale = torch.rsqrt(rows.square().mean(-1, keepdim=True) + self.epsilon)
        y = (rows * scale).reshape(x.shape)
        y = y if self.weight is None else y * self.weight
        return (y if self.bias is None else y + self.bias), scale

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        c = c if self.weight is None else c * self.weight
        rows = self._rows(c) * at.memo
        if self.centred:
            rows = rows - rows.mean(-1, keepdim=True)
        return (rows.reshape(at.inputs[0].shape),)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        return None if self.bias is None else c * self.bias

    def describe(self) -> str:
        return self.name
