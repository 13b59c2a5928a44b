"""Convolutions along a sequence that are computed by minimal filtering, where that is faster."""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from sparselrp_cli.graph.canonical import Node
from sparselrp_cli.graph.operations.convolution import Convolution
from sparselrp_cli.graph.pieces import pieces
from sparselrp_cli.relevance import kernels, minimal_filtering


@dataclass(frozen=True, eq=False)
class FilteredConvolution(Convolution):
    """A convolution whose outputs, and what is carried back, are rounded to about 1e-6 of a typical number.

    `apply` stays as exact as torch is: rules divide by what it computes, and that may be small beside others.
    """

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        (x,) = inputs
        if not self._pays(x, self._length_of(x)):
            return super().forward(x)
        z = self._convolved(x, self.weight, self.bias)
        return (z.relu_() if self.rectified else z), None

    def transpose(self, values: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        if not self._pays(values, like.shape[2]):
            return super().transpose(values, weight, like)
        return minimal_filtering.convolved(
            values, weight, None, self.padding[0], self.dilation[0], length=like.shape[2], transposed=True
        )

    def magnitude(
        self, sizes: Tensor, weight: Tensor, bias: Tensor | None, z: Tensor, share: float
    ) -> Tensor:
        if not self._pays(sizes, self._length_of(sizes)):
            return super().magnitude(sizes, weight, bias, z, share)
        found = self._convolved(sizes, weight, bias)
        # Rounding must not take a sum of sizes to nothing, by which relevance would be divided.
        for of_found, of_z in pieces(found, z):
            torch.maximum(of_found, of_z.abs().mul_(share), out=of_found)
        return found

    def _convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return minimal_filtering.convolved(x, weight, bias, self.padding[0], self.dilation[0])

    def _pays(self, values: Tensor, length: int) -> bool:
        """Whether `length` positions are to be made of these values by minimal filtering."""
        of_sequence = values.dim() == 3 and kernels.is_compiled(values) and values.dtype == torch.float32
        return of_sequence and minimal_filtering.pays(length, self.dilation[0])

    def _length_of(self, x: Tensor) -> int:
        """Give the positions that are made of `x`."""
        return x.shape[2] + 2 * self.padding[0] - self.dilation[0] * (self.weight.shape[2] - 1)


def filtered_where_it_pays(node: Node) -> Node:
    """Let a convolution along a sequence be computed by minimal filtering, if its weights suit that."""
    layer = node.operation
    if (
        not isinstance(layer, Convolution)
        or layer.weight.dim() != 3
        or not minimal_filtering.suits(layer.weight)
    ):
        return node
    reach = layer.dilation[0] * (layer.weight.shape[2] - 1)
    if layer.stride != (1,) or layer.groups != 1 or layer.padding[0] > reach:
        return node
    given = {field.name: getattr(layer, field.name) for field in fields(layer)}
    return replace(node, operation=FilteredConvolution(**given))
