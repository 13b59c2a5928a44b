"""Max pooling along a sequence as one compiled pass each way; torch makes one for each place of a window."""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from sparselrp_cli.graph.canonical import Node
from sparselrp_cli.graph.operation import At, Pulled
from sparselrp_cli.graph.operations.pooling import MaxPool
from sparselrp_cli.relevance import kernels
from sparselrp_cli.relevance.kernels.operations import give_winners, winners
from sparselrp_cli.relevance.rows import channels_last


@dataclass(frozen=True, eq=False)
class CompiledMaxPool(MaxPool):
    """A max pool that gives what `MaxPool` gives, to the bit.

    Of tensors that the loops don't take, or whose channels aren't last in memory, by `MaxPool` itself.
    """

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        x = inputs[0]
        if not _fits(x):
            return super().forward(x)
        count = _count(x.shape[2], *self._along(), self.ceil_mode)
        y, first = winners(x.movedim(1, -1), count, *self._along())
        return y.movedim(-1, 1), first

    def pull(self, c: Tensor, at: At) -> Pulled:
        x = at.inputs[0]
        if not _fits(x):
            return super().pull(c, at)
        c, x, y = (values.movedim(1, -1) for values in (c, x, at.output))
        return (give_winners(c, x, y, at.memo, *self._along()).movedim(-1, 1),)

    def _along(self) -> tuple[int, int, int, int]:
        """Give width, stride, padding and dilation along the sequence."""
        return self.width[0], self.stride[0], self.padding[0], self.dilation[0]


def pooled_in_one_pass(node: Node) -> Node:
    """Let a max pool along a sequence be compiled."""
    pool = node.operation
    if not isinstance(pool, MaxPool) or len(pool.width) != 1:
        return node
    given = {field.name: getattr(pool, field.name) for field in fields(pool)}
    return replace(node, operation=CompiledMaxPool(**given))


def _count(length: int, width: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """Count the windows as torch does; asked on the meta device it would load what traces."""
    room = length + 2 * padding - dilation * (width - 1) - 1
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    # A window that hangs over holds a number at least.
    hangs_over = ceil_mode and (count - 1) * stride >= length + padding
    return count - 1 if hangs_over else count


def _fits(x: Tensor) -> bool:
    """Whether the loops take a tensor, (N, channels, positions)."""
    small = x.numel() > 0 and x.shape[-1] < torch.iinfo(torch.int32).max
    return x.dim() == 3 and small and kernels.is_compiled(x) and channels_last(x)
