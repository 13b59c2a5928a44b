"""The types of layer that a list of layers may hold: channels first, with the padding TensorFlow computes."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sparselrp_cli.model.architectures.recurrent import Recurrent
from sparselrp_cli.model.architectures.reshaping import (
    Crop,
    Flatten,
    Flip,
    Permute,
    Reshape,
    Upsample,
    ZeroPad,
    axis_of,
    channels_last,
)


def same_padding(length: int, width: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Give TensorFlow's padding for ``ceil(length / stride)`` outputs; the odd one goes to the right."""
    total = max((-(-length // stride) - 1) * stride + (width - 1) * dilation + 1 - length, 0)
    return total // 2, total - total // 2


class Convolution(nn.Conv1d):
    """Convolution over positions.

    Parameters
    ----------
    in_channels, out_channels, width, stride, dilation, groups : int
    pad : {"valid", "same", "causal"}
    bias : bool
    """

    def __init__(
        self, in_channels: int, out_channels: int, width: int, stride: int = 1, dilation: int = 1,
        groups: int = 1, pad: str = "valid", bias: bool = True,
    ) -> None:  # fmt: skip
        if pad not in ("valid", "same", "causal"):
            raise ValueError(f"padding '{pad}' is not valid, same or causal")
        even = pad == "same" and stride == 1 and (width - 1) * dilation % 2 == 0
        padding = (width - 1) * dilation // 2 if even else 0
        super().__init__(in_channels, out_channels, width, stride, padding, dilation, groups, bias)
        self.pad = "inside" if even else pad

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, L)."""
        width, stride, dilation = self.kernel_size[0], self.stride[0], self.dilation[0]
        if self.pad == "causal":
            x = F.pad(x, ((width - 1) * dilation, 0))
        elif self.pad == "same":
            x = F.pad(x, same_padding(x.shape[2], width, stride, dilation))
        return super().forward(x)


class TransposedConvolution(nn.ConvTranspose1d):
    """Transposed convolution over positions, to ``stride`` times the length if the padding is "same"."""

    def __init__(
        self, in_channels: int, out_channels: int, width: int, stride: int = 1, pad: str = "valid",
        bias: bool = True,
    ) -> None:  # fmt: skip
        if pad not in ("valid", "same"):
            raise ValueError(f"padding '{pad}' is not valid or same")
        super().__init__(in_channels, out_channels, width, stride, bias=bias)
        self.pad = pad

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve (N, C, L)."""
        width, stride = self.kernel_size[0], self.stride[0]
        missing = max(stride - width, 0)
        y = F.conv_transpose1d(x, self.weight, self.bias, self.stride, output_padding=missing)
        if self.pad == "same" and width > stride:
            left = (width - stride) // 2
            y = y[:, :, left : left + stride * x.shape[2]]
        return y


class Dense(nn.Linear):
    """Linear map of channels, at each position if there are positions."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C) or (N, C, L)."""
        return channels_last(super().forward, x)


class Normalise(nn.BatchNorm1d):
    """Batch normalisation of channels with the statistics of the training.

    Parameters
    ----------
    num_features : int
    eps : float
    n_axes : int or None
        How many axes the input must have, where the channels' are numbered so.
    """

    def __init__(self, num_features: int, eps: float, n_axes: int | None = None) -> None:
        super().__init__(num_features, eps=eps)
        self.n_axes = n_axes

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C) or (N, C, L)."""
        if self.n_axes not in (None, x.dim()):
            raise ValueError(f"a normalisation for {self.n_axes} axes gets {x.dim()}")
        return super().forward(x)


class LayerNorm(nn.LayerNorm):
    """Normalisation over channels, at each position."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C) or (N, C, L)."""
        return channels_last(super().forward, x)


class Pool(nn.Module):
    """Maximum or mean of windows of positions.

    Parameters
    ----------
    kind : {"max", "average"}
    width, stride : int
    pad : {"valid", "same"}
    """

    def __init__(self, kind: str, width: int, stride: int, pad: str = "valid") -> None:
        super().__init__()
        if kind not in ("max", "average") or pad not in ("valid", "same"):
            raise ValueError(f"pooling '{kind}' with padding '{pad}' is unknown")
        self.kind, self.width, self.stride, self.pad = kind, width, stride, pad

    def forward(self, x: Tensor) -> Tensor:
        """Pool (N, C, L); padding is never the maximum, and isn't counted in a mean."""
        left, right = same_padding(x.shape[2], self.width, self.stride) if self.pad == "same" else (0, 0)
        if self.kind == "max":
            # A window that reaches over an end holds the last number there: repeating it changes no maximum.
            ends = [x[:, :, :1]] * left, [x[:, :, -1:]] * right
            x = torch.cat([*ends[0], x, *ends[1]], 2) if left or right else x
            return F.max_pool1d(x, self.width, self.stride)
        if not (left or right):
            return F.avg_pool1d(x, self.width, self.stride)
        inside = F.pad(torch.ones(1, 1, x.shape[2], dtype=x.dtype, device=x.device), (left, right))
        share = F.avg_pool1d(inside, self.width, self.stride)
        return F.avg_pool1d(F.pad(x, (left, right)), self.width, self.stride) * (1 / share)


class Affine(nn.Module):
    """A multiple of every number, and a number added to it."""

    def __init__(self, scale: float = 1.0, shift: float = 0.0) -> None:
        super().__init__()
        self.scale, self.shift = float(scale), float(shift)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, L) or (N, C)."""
        x = x * self.scale if self.scale != 1 else x
        return x + self.shift if self.shift else x


class GlobalPool(nn.Module):
    """Maximum or mean over all positions."""

    def __init__(self, kind: str, keep_axis: bool = False) -> None:
        super().__init__()
        if kind not in ("max", "average"):
            raise ValueError(f"pooling '{kind}' is unknown")
        self.kind, self.keep_axis = kind, keep_axis

    def forward(self, x: Tensor) -> Tensor:
        """Pool (N, C, L) to (N, C)."""
        return x.amax(2, self.keep_axis) if self.kind == "max" else x.mean(2, self.keep_axis)


class PReLU(nn.Module):
    """ReLU with learned slopes for negative values, per channel or per channel and position."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(*shape))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (N, C, L), slopes (C, 1) or (C, L), or to (N, C), slopes (C,)."""
        if self.slope.dim() == 1 or self.slope.shape[1] == 1:
            return F.prelu(x, self.slope.flatten())
        return torch.relu(x) - torch.relu(-x) * self.slope


def _of_one_rank(inputs: list[Tensor]) -> list[Tensor]:
    """Let numbers (N, C) stand for every position, as Keras's merging layers do."""
    rank = max(x.dim() for x in inputs)
    return [x.reshape(*x.shape, *[1] * (rank - x.dim())) for x in inputs]


def _merge(combine: Callable[[Tensor, Tensor], Tensor]) -> Callable[[list[Tensor]], Tensor]:
    return lambda inputs: reduce(combine, _of_one_rank(inputs))


def _average(inputs: list[Tensor]) -> Tensor:
    total: Tensor = reduce(torch.add, _of_one_rank(inputs))
    return total / len(inputs)


def _concatenate(inputs: list[Tensor], axis: int = -1) -> Tensor:
    return torch.cat(inputs, axis_of(axis, inputs[0].dim()))


def _softmax(axis: int = -1) -> nn.Module:
    return _Softmax(axis)


class _Softmax(nn.Module):
    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(x, axis_of(self.axis, x.dim()))


PARTS: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {
        "identity": nn.Identity,
        "convolution": Convolution,
        "transposed-convolution": TransposedConvolution,
        "dense": Dense,
        "batch-normalisation": Normalise,
        "layer-normalisation": LayerNorm,
        "pool": Pool,
        "global-pool": GlobalPool,
        "leaky-relu": nn.LeakyReLU,
        "elu": nn.ELU,
        "clamp": nn.Hardtanh,
        "prelu": PReLU,
        "softmax": _softmax,
        "flatten": Flatten,
        "reshape": Reshape,
        "permute": Permute,
        "crop": Crop,
        "zero-pad": ZeroPad,
        "upsample": Upsample,
        "flip": Flip,
        "affine": Affine,
        "recurrent": Recurrent,
    }
)
MERGES: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "add": _merge(torch.add),
        "subtract": _merge(torch.sub),
        "multiply": _merge(torch.mul),
        "average": _average,
        "maximum": _merge(torch.maximum),
        "concatenate": _concatenate,
    }
)
