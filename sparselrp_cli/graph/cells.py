"""Recurrent cells written out while a model is traced.

`torch.export` keeps ``nn.LSTMCell`` and its like as one function a step, which has no converter. To break
these up afterwards is to trace the whole program again, which takes twice as long as the first time.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode


class CellsWrittenOut(TorchFunctionMode):
    """Within it recurrent cells compute by plain functions."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _WRITTEN_OUT.get(func, func)(*args, **(kwargs or {}))


def _lstm(
    x: Tensor, states: tuple[Tensor, Tensor], w: Tensor, u: Tensor, b: Tensor | None, b_hidden: Tensor | None
) -> tuple[Tensor, Tensor]:
    h, c = states
    i, f, z, o = (linear(x, w, b) + linear(h, u, b_hidden)).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * z.tanh()
    return o.sigmoid() * c.tanh(), c


def _gru(x: Tensor, h: Tensor, w: Tensor, u: Tensor, b: Tensor | None, b_hidden: Tensor | None) -> Tensor:
    (r, keep, n), (rh, kh, nh) = linear(x, w, b).chunk(3, 1), linear(h, u, b_hidden).chunk(3, 1)
    keep, z = (keep + kh).sigmoid(), n + (r + rh).sigmoid() * nh
    return (h - z.tanh()) * keep + z.tanh()


def _plain(activation: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    def cell(x: Tensor, h: Tensor, w: Tensor, u: Tensor, b: Tensor | None, b_hidden: Tensor | None) -> Tensor:
        return activation(linear(x, w, b) + linear(h, u, b_hidden))

    return cell


_WRITTEN_OUT: Mapping[Any, Callable[..., Any]] = MappingProxyType(
    {
        torch.lstm_cell: _lstm,
        torch.gru_cell: _gru,
        torch.rnn_tanh_cell: _plain(torch.tanh),
        torch.rnn_relu_cell: _plain(torch.relu),
    }
)
