"""Convolutions only where relevance is: the rows of a layer's output that carry a multiplier."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operations.convolution import Convolution
from sparselrp_cli.graph.shapes import Samples
from sparselrp_cli.relevance import kernels
from sparselrp_cli.relevance.kernels.columns import gather_columns, nonzero_rows, scatter_columns
from sparselrp_cli.relevance.rows import by_channel

DENSE_ABOVE = 0.4
"""Share of active positions above which a whole convolution is cheaper; see benchmarks/speed/sparsity.py."""
LEAST_WORK = 1 << 23
"""Multiply-adds of a layer below which looking doesn't pay."""
_LARGEST_GATHER = 1 << 22


@dataclass(frozen=True, slots=True)
class ActiveRows:
    """The positions of a convolution's output that carry relevance, sample by sample.

    Attributes
    ----------
    layer : GatheredConvolution
        The layer, computed only there.
    index : Tensor of int64, shape (rows,)
        Into (samples x positions).
    firsts : Tensor of int64, shape (N + 1,)
    """

    layer: "GatheredConvolution"
    index: Tensor
    firsts: Tensor

    def take(self, values: Tensor) -> Tensor:
        """Take the rows of a tensor shaped as the output: shape (rows, channels)."""
        return values.movedim(1, -1).reshape(-1, values.shape[1]).index_select(0, self.index)


def active_rows(layer: Layer, c: Tensor, samples: Samples) -> ActiveRows | None:
    """Find where a layer's output carries relevance; None where the whole layer is to be computed."""
    if not isinstance(layer, Convolution) or layer.weight.dim() != 3 or layer.groups != 1 or c.dim() != 3:
        return None
    work = layer.weight.numel() * c.shape[0] * c.shape[-1]
    if work < LEAST_WORK or not kernels.is_compiled(c):
        return None
    # What comes through operations that lay it out otherwise is laid out anew: a pass saves a convolution.
    rows = by_channel(c.movedim(1, -1).contiguous().movedim(-1, 1), 1, samples)
    if rows is None:
        return None
    found = nonzero_rows(rows, DENSE_ABOVE)
    if found is None:
        return None
    length = c.shape[2]
    firsts = torch.searchsorted(found, torch.arange(samples.n + 1) * length)
    return ActiveRows(GatheredConvolution.of(layer, found, firsts, length), found, firsts)


@dataclass(frozen=True, eq=False)
class GatheredConvolution(Convolution):
    """A one-dimensional convolution at chosen positions of its output, as products of matrices.

    Attributes
    ----------
    index, firsts : Tensor of int64
        See `ActiveRows`.
    length : int
        Positions of the whole output.
    """

    index: Tensor
    firsts: Tensor
    length: int

    @classmethod
    def of(cls, layer: Convolution, index: Tensor, firsts: Tensor, length: int) -> "GatheredConvolution":
        """Restrict a convolution to the rows `index` of its output."""
        return cls(
            layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups,
            index, firsts, length,
        )  # fmt: skip

    def _blocks(self, width: int) -> list[slice]:
        """Cut the rows so that what is gathered at once stays small."""
        n = len(self.index)
        count = max(1, math.ceil(n * width / _LARGEST_GATHER))
        size = max(1, math.ceil(n / count))
        return [slice(start, min(n, start + size)) for start in range(0, n, size)]

    def _geometry(self) -> tuple[int, int, int, int]:
        return self.length, self.stride[0], self.padding[0], self.dilation[0]

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        rows = x.movedim(1, -1).contiguous()
        c_out, c_in, width = weight.shape
        matrix = weight.movedim(1, 2).reshape(c_out, width * c_in).T
        parts = []
        for block in self._blocks(c_in * width):
            columns = gather_columns(rows, self.index[block], width, *self._geometry())
            parts.append(columns @ matrix if bias is None else torch.addmm(bias, columns, matrix))
        return torch.cat(parts) if parts else x.new_zeros(0, c_out)

    def transpose(self, values: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        c_out, c_in, width = weight.shape
        matrix = weight.movedim(1, 2).reshape(c_out, width * c_in)
        total = values.new_zeros(like.shape[0], like.shape[2], c_in)
        for block in self._blocks(c_in * width):
            columns = values[block] @ matrix
            scatter_columns(columns, self.index[block], width, *self._geometry(), total)
        return total.movedim(-1, 1)

    def spread(self, bias: Tensor, z: Tensor) -> Tensor:
        return bias
