"""ATen operations, as torch.export names them, to the kinds of our canonical graph.

Each converter reads a `Call` and gives a chain of operations on its input activations, or `Alias` where
the operation changes nothing. One it doesn't know, or can't have a rule for, raises `NoRule`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, fx

from sparselrp_cli.model.operations import (
    Activation,
    AdaptivePool,
    Add,
    AveragePool,
    BatchDim,
    ChannelAffine,
    Concatenate,
    Convolution,
    Dense,
    Dim,
    Expand,
    Flip,
    IndexSelect,
    Maximum,
    MaxPool,
    Mean,
    Negate,
    Operation,
    Pad,
    Permute,
    Reshape,
    Scale,
    Shift,
    Slice,
    Subtract,
    Sum,
)

aten = torch.ops.aten


class NoRule(Exception):  # noqa: N818 - a statement, turned into an error once all of them are known
    """An operation that can't be converted; the message says why."""


@dataclass(frozen=True, slots=True)
class Alias:
    """The operation passes this activation on as it is."""

    node: fx.Node


@dataclass(frozen=True, slots=True)
class Chain:
    """Operations one after the other; the first reads `inputs`."""

    operations: tuple[Operation, ...]
    inputs: tuple[fx.Node, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One operation of the exported graph.

    Attributes
    ----------
    arguments : mapping
        By name of the operator's schema; activations are `fx.Node`, constants tensors or numbers.
    item : int
        Which of several outputs is meant.
    output : tuple of Dim
        Shape of that output.
    output_shapes : tuple of tuple of Dim
        Shapes of all outputs.
    shape_of : callable
        Gives the shape of an activation.
    dtype : torch.dtype
        The model's floating-point type.
    """

    arguments: Mapping[str, Any]
    item: int
    output: tuple[Dim, ...]
    output_shapes: tuple[tuple[Dim, ...], ...]
    shape_of: Callable[[fx.Node], tuple[Dim, ...]]
    dtype: torch.dtype

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str, default: Any = None) -> Any:
        value = self.arguments.get(name)
        if isinstance(value, BatchDim):
            raise NoRule(f"its argument '{name}' depends on the number of samples")
        return default if value is None else value

    def activation(self, name: str) -> fx.Node:
        value = self.arguments[name]
        if not isinstance(value, fx.Node):
            raise NoRule(f"its argument '{name}' is a constant where an activation is expected")
        return value

    def constant(self, name: str) -> Tensor | None:
        value = self.arguments.get(name)
        if isinstance(value, fx.Node):
            raise NoRule(f"its argument '{name}' is an activation; only constants have a rule here")
        if isinstance(value, BatchDim):
            raise NoRule(f"its argument '{name}' depends on the number of samples")
        if value is None or isinstance(value, Tensor):
            return value
        return torch.tensor(value, dtype=self.dtype)

    def weight(self, name: str) -> Tensor:
        value = self.constant(name)
        if value is None:
            raise NoRule(f"its argument '{name}' is missing")
        return value


Converted = Chain | Alias


def convert_call(target: object, call: Call) -> Converted:
    """Convert one operation.

    Raises
    ------
    NoRule
    """
    converter = CONVERTERS.get(target)
    if converter is None:
        raise NoRule(HINTS.get(str(target).split(".")[1] if "." in str(target) else "", DEFAULT_HINT))
    return converter(call)


DEFAULT_HINT = "rewrite it with operations that have a rule"
HINTS = MappingProxyType(
    {
        **dict.fromkeys(
            ["sigmoid", "softmax", "_softmax", "log_softmax", "_log_softmax", "log_sigmoid_forward"],
            "let the model return the logits before it; they are what is explained",
        ),
        "native_dropout": "call model.eval() before the export",
        "_native_batch_norm_legit": "call model.eval() before the export",
        "_native_batch_norm_legit_functional": "call model.eval() before the export",
    }
)


def _chain(call: Call, *operations: Operation, name: str = "self") -> Chain:
    return Chain(operations, (call.activation(name),))


def _each(value: Any, count: int) -> tuple[int, ...]:
    """Give one number per spatial axis."""
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return values * count if len(values) == 1 else values


def _axis(axis: int, n_axes: int) -> int:
    return axis % n_axes


# Layers


def _convolution(call: Call) -> Converted:
    weight, bias = call.weight("weight"), call.constant("bias")
    spatial = weight.dim() - 2
    if spatial not in (1, 2):
        raise NoRule(f"convolutions over {spatial} axes have no rule")
    if call.get("transposed", False):
        raise NoRule("transposed convolutions have no rule")
    stride, dilation = _each(call.get("stride", 1), spatial), _each(call.get("dilation", 1), spatial)
    padding = call.get("padding", 0)
    before: tuple[Operation, ...] = ()
    if padding == "valid":
        padding = 0
    if padding == "same":
        totals = [d * (w - 1) for d, w in zip(dilation, weight.shape[2:], strict=True)]
        padding = tuple(t // 2 for t in totals)
        extra = [t % 2 for t in totals]
        if any(extra):
            before = (Pad(tuple(a for e in reversed(extra) for a in (0, e))),)
    layer = Convolution(weight, bias, stride, _each(padding, spatial), dilation, call.get("groups", 1))
    return _chain(call, *before, layer, name="input")


def _linear(call: Call) -> Converted:
    return _chain(call, Dense(call.weight("weight"), call.constant("bias")), name="input")


def _addmm(call: Call) -> Converted:
    if call.get("beta", 1) != 1 or call.get("alpha", 1) != 1:
        raise NoRule("addmm with beta or alpha has no rule")
    layer = Dense(call.weight("mat2").t().contiguous(), call.constant("self"))
    return _chain(call, layer, name="mat1")


def _matmul(call: Call) -> Converted:
    second = "other" if "other" in call.arguments else "mat2"
    weight = call.weight(second)
    if weight.dim() != 2:
        raise NoRule("only products with a constant matrix on the right have a rule")
    return _chain(call, Dense(weight.t().contiguous(), None))


def _batch_norm(call: Call) -> Converted:
    mean, variance = call.weight("running_mean").double(), call.weight("running_var").double()
    scale = 1 / torch.sqrt(variance + call["eps"])
    if (weight := call.constant("weight")) is not None:
        scale = scale * weight.double()
    shift = -mean * scale
    if (bias := call.constant("bias")) is not None:
        shift = shift + bias.double()
    return _chain(call, ChannelAffine(scale.to(call.dtype), shift.to(call.dtype)), name="input")


# Activations


def _activation(function: str, *names: str) -> Callable[[Call], Converted]:
    def convert(call: Call) -> Converted:
        return _chain(call, Activation(function, tuple(call[n] for n in names)))

    return convert


def _elu(call: Call) -> Converted:
    if call.get("scale", 1) != 1 or call.get("input_scale", 1) != 1:
        raise NoRule("a scaled ELU has no rule; use selu, elu or celu")
    return _chain(call, Activation("elu", (call.get("alpha", 1.0),)))


def _clamp(call: Call) -> Converted:
    low = call.get("min", call.get("min_val", -math.inf))
    high = call.get("max", call.get("max_val", math.inf))
    if not low <= 0 <= high:
        raise NoRule(f"a clamp to {low}..{high} doesn't keep 0 and has no rule")
    if low == 0 and high == math.inf:
        return _chain(call, Activation("relu"))
    return _chain(call, Activation("hardtanh", (float(low), float(high))))


def _threshold(call: Call) -> Converted:
    if call["threshold"] != 0 or call["value"] != 0:
        raise NoRule("only threshold(x, 0, 0) has a rule")
    return _chain(call, Activation("relu"))


def _prelu(call: Call) -> Converted:
    slope = call.weight("weight")
    if slope.dim() == 1 and slope.numel() > 1:
        slope = slope.reshape(-1, *[1] * (len(call.shape_of(call.activation("self"))) - 2))
    return _chain(call, Activation("prelu", (), slope))


# Pooling and reductions


def _max_pool(spatial: int) -> Callable[[Call], Converted]:
    def convert(call: Call) -> Converted:
        if call.item:
            raise NoRule("the indices of a max pool carry no relevance")
        width = _each(call["kernel_size"], spatial)
        pool = MaxPool(
            width, _each(call.get("stride") or width, spatial), _each(call.get("padding", 0), spatial),
            call.get("ceil_mode", False), _each(call.get("dilation", 1), spatial),
        )  # fmt: skip
        return _chain(call, pool)

    return convert


def _average_pool(spatial: int) -> Callable[[Call], Converted]:
    def convert(call: Call) -> Converted:
        width = _each(call["kernel_size"], spatial)
        pool = AveragePool(
            width, _each(call.get("stride") or width, spatial), _each(call.get("padding", 0), spatial),
            call.get("ceil_mode", False), call.get("count_include_pad", True), call.get("divisor_override"),
        )  # fmt: skip
        return _chain(call, pool)

    return convert


def _adaptive_pool(spatial: int, maximum: bool) -> Callable[[Call], Converted]:
    def convert(call: Call) -> Converted:
        if call.item:
            raise NoRule("the indices of a max pool carry no relevance")
        return _chain(call, AdaptivePool(_each(call["output_size"], spatial), maximum))

    return convert


def _reduction(kind: type[Sum] | type[Mean] | type[Maximum]) -> Callable[[Call], Converted]:
    def convert(call: Call) -> Converted:
        if call.item:
            raise NoRule("the indices of a maximum carry no relevance")
        n_axes = len(call.shape_of(call.activation("self")))
        axes = call.get("dim", ())
        axes = (axes,) if isinstance(axes, int) else tuple(axes) or tuple(range(n_axes))
        axes = tuple(_axis(a, n_axes) for a in axes)
        return _chain(call, kind(axes, bool(call.get("keepdim", False))))

    return convert


# Transport


def _alias(call: Call) -> Converted:
    return Alias(call.activation("self" if "self" in call.arguments else "input"))


def _cast(call: Call) -> Converted:
    dtype = call.get("dtype")
    if dtype is not None and not dtype.is_floating_point:
        raise NoRule(f"a cast to {dtype} carries no relevance")
    return _alias(call)


def _reshape(call: Call) -> Converted:
    node = call.activation("self")
    if call.shape_of(node) == call.output:
        return Alias(node)
    return _chain(call, Reshape(call.shape_of(node), call.output))


def _permute(call: Call) -> Converted:
    n_axes = len(call.shape_of(call.activation("self")))
    return _ordered(call, [_axis(a, n_axes) for a in call["dims"]])


def _transpose(call: Call) -> Converted:
    n_axes = len(call.shape_of(call.activation("self")))
    first, second = _axis(call.get("dim0", 0), n_axes), _axis(call.get("dim1", n_axes - 1), n_axes)
    order = list(range(n_axes))
    order[first], order[second] = order[second], order[first]
    return _ordered(call, order)


def _ordered(call: Call, order: list[int]) -> Converted:
    if order[0] != 0:
        raise NoRule("it moves the sample axis; keep samples first")
    return _chain(call, Permute(tuple(order)))


def _slice(call: Call) -> Converted:
    node = call.activation("self")
    shape = call.shape_of(node)
    if shape == call.output:
        return Alias(node)
    axis = _axis(call.get("dim", 0), len(shape))
    length = shape[axis]
    if isinstance(length, BatchDim):
        raise NoRule("it takes part of the samples; keep them all")
    start, stop, step = slice(call.get("start"), call.get("end"), call.get("step", 1)).indices(length)
    return _chain(call, Slice(axis, start, stop, step))


def _select(call: Call) -> Converted:
    shape = call.shape_of(call.activation("self"))
    axis = _axis(call["dim"], len(shape))
    length = shape[axis]
    if isinstance(length, BatchDim):
        raise NoRule("it takes one of the samples; keep them all")
    index = call["index"] % length
    return _chain(call, Slice(axis, index, index + 1, drop=True))


def _split(call: Call) -> Converted:
    axis = _axis(call.get("dim", 0), len(call.output))
    lengths = [shape[axis] for shape in call.output_shapes]
    if not all(isinstance(n, int) for n in lengths):
        raise NoRule("it splits the samples; keep them together")
    start = sum(n for n in lengths[: call.item] if isinstance(n, int))
    stop = start + int(str(lengths[call.item]))
    return _chain(call, Slice(axis, start, stop))


def _unbind(call: Call) -> Converted:
    axis = _axis(call.get("dim", 0), len(call.shape_of(call.activation("self"))))
    return _chain(call, Slice(axis, call.item, call.item + 1, drop=True))


def _flip(call: Call) -> Converted:
    n_axes = len(call.output)
    axes = tuple(_axis(a, n_axes) for a in call["dims"])
    if 0 in axes:
        raise NoRule("it reverses the order of the samples")
    return _chain(call, Flip(axes))


def _index_select(call: Call) -> Converted:
    axis = _axis(call["dim"], len(call.output))
    if axis == 0:
        raise NoRule("it chooses among the samples")
    return _chain(call, IndexSelect(axis, call.weight("index")))


def _index(call: Call) -> Converted:
    indices = call["indices"]
    used = [i for i, index in enumerate(indices) if index is not None]
    if len(used) != 1 or used[0] == 0 or not isinstance(indices[used[0]], Tensor):
        raise NoRule("only a constant list of indices along one axis has a rule")
    index = indices[used[0]]
    if index.dim() != 1 or index.dtype == torch.bool:
        raise NoRule("only a constant list of indices along one axis has a rule")
    shape = call.shape_of(call.activation("self"))
    return _chain(call, IndexSelect(used[0], index % int(str(shape[used[0]]))))


def _expand(call: Call) -> Converted:
    return _chain(call, Expand(call.output))


def _pad(call: Call) -> Converted:
    if call.get("mode", "constant") != "constant":
        raise NoRule(f"padding mode '{call['mode']}' has no rule; only constant padding has")
    return _chain(call, Pad(tuple(call["pad"]), float(call.get("value", 0.0))))


def _concatenate(call: Call) -> Converted:
    pieces = list(call["tensors"])
    axis = _axis(call.get("dim", 0), len(call.output))
    parts = tuple(None if isinstance(p, fx.Node) else p for p in pieces)
    inputs = tuple(p for p in pieces if isinstance(p, fx.Node))
    stacked = len(call.output) > len(call.shape_of(inputs[0]))
    return Chain((Concatenate(axis, parts, stacked),), inputs)


# Arithmetic


def _add(call: Call) -> Converted:
    alpha = float(call.get("alpha", 1))
    first, second = call["self"], call["other"]
    if isinstance(first, fx.Node) and isinstance(second, fx.Node):
        return Chain((Add(alpha),), (first, second))
    if isinstance(first, fx.Node):
        return _chain(call, Shift(alpha * call.weight("other")))
    scale = () if alpha == 1 else (Scale(torch.tensor(alpha, dtype=call.dtype)),)
    return _chain(call, *scale, Shift(call.weight("self")), name="other")


def _subtract(call: Call) -> Converted:
    if call.get("alpha", 1) != 1:
        raise NoRule("a subtraction with alpha has no rule")
    first, second = call["self"], call["other"]
    if isinstance(first, fx.Node) and isinstance(second, fx.Node):
        return Chain((Subtract(),), (first, second))
    if isinstance(first, fx.Node):
        return _chain(call, Shift(-call.weight("other")))
    return _chain(call, Negate(), Shift(call.weight("self")), name="other")


def _reversed_subtract(call: Call) -> Converted:
    return _chain(call, Negate(), Shift(call.weight("other")))


def _multiply(call: Call) -> Converted:
    first, second = call["self"], call["other"]
    if isinstance(first, fx.Node) and isinstance(second, fx.Node):
        raise NoRule("products of two activations have no rule")
    if isinstance(first, fx.Node):
        return _chain(call, Scale(call.weight("other")))
    return _chain(call, Scale(call.weight("self")), name="other")


def _divide(call: Call) -> Converted:
    if call.get("rounding_mode"):
        raise NoRule("divisions with rounding have no rule")
    if isinstance(call["other"], fx.Node):
        raise NoRule("divisions by an activation have no rule")
    return _chain(call, Scale(1 / call.weight("other")))


def _negate(call: Call) -> Converted:
    return _chain(call, Negate())


CONVERTERS: Mapping[object, Callable[[Call], Converted]] = MappingProxyType(
    {
        **dict.fromkeys(
            [
                aten.conv1d.default, aten.conv1d.padding, aten.conv2d.default, aten.conv2d.padding,
                aten.convolution.default,
            ],
            _convolution,
        ),
        aten.linear.default: _linear,
        aten.addmm.default: _addmm,
        **dict.fromkeys([aten.matmul.default, aten.mm.default], _matmul),
        **dict.fromkeys(
            [aten._native_batch_norm_legit_no_training.default, aten.cudnn_batch_norm.default], _batch_norm
        ),
        aten.relu.default: _activation("relu"),
        aten.relu6.default: _activation("relu6"),
        aten.leaky_relu.default: _activation("leaky_relu", "negative_slope"),
        **dict.fromkeys([aten.prelu.default, aten._prelu_kernel.default], _prelu),
        aten.elu.default: _elu,
        aten.celu.default: _activation("celu", "alpha"),
        aten.selu.default: _activation("selu"),
        aten.gelu.default: _activation("gelu", "approximate"),
        aten.silu.default: _activation("silu"),
        aten.mish.default: _activation("mish"),
        aten.hardswish.default: _activation("hardswish"),
        aten.tanh.default: _activation("tanh"),
        **dict.fromkeys([aten.clamp.default, aten.hardtanh.default, aten.clamp_min.default], _clamp),
        aten.threshold.default: _threshold,
        **dict.fromkeys([aten.max_pool1d.default, aten.max_pool1d_with_indices.default], _max_pool(1)),
        **dict.fromkeys([aten.max_pool2d.default, aten.max_pool2d_with_indices.default], _max_pool(2)),
        aten.avg_pool1d.default: _average_pool(1),
        aten.avg_pool2d.default: _average_pool(2),
        aten.adaptive_avg_pool1d.default: _adaptive_pool(1, maximum=False),
        **dict.fromkeys(
            [aten.adaptive_avg_pool2d.default, aten._adaptive_avg_pool2d.default],
            _adaptive_pool(2, maximum=False),
        ),
        aten.adaptive_max_pool1d.default: _adaptive_pool(1, maximum=True),
        aten.adaptive_max_pool2d.default: _adaptive_pool(2, maximum=True),
        **dict.fromkeys([aten.sum.dim_IntList, aten.sum.default], _reduction(Sum)),
        **dict.fromkeys([aten.mean.dim, aten.mean.default], _reduction(Mean)),
        **dict.fromkeys([aten.amax.default, aten.max.dim], _reduction(Maximum)),
        **dict.fromkeys(
            [
                aten.view.default, aten.reshape.default, aten._unsafe_view.default, aten.unsqueeze.default,
                aten.squeeze.default, aten.squeeze.dim, aten.squeeze.dims, aten.flatten.using_ints,
                aten.unflatten.int,
            ],
            _reshape,
        ),
        aten.permute.default: _permute,
        **dict.fromkeys([aten.transpose.int, aten.t.default], _transpose),
        aten.slice.Tensor: _slice,
        aten.select.int: _select,
        **dict.fromkeys(
            [
                aten.split.Tensor, aten.split_with_sizes.default, aten.chunk.default,
                aten.unsafe_split.Tensor, aten.unsafe_chunk.default,
            ],
            _split,
        ),
        aten.unbind.int: _unbind,
        aten.flip.default: _flip,
        aten.index_select.default: _index_select,
        aten.index.Tensor: _index,
        aten.expand.default: _expand,
        **dict.fromkeys([aten.pad.default, aten.constant_pad_nd.default], _pad),
        **dict.fromkeys([aten.cat.default, aten.stack.default], _concatenate),
        **dict.fromkeys([aten.add.Tensor, aten.add.Scalar], _add),
        **dict.fromkeys([aten.sub.Tensor, aten.sub.Scalar], _subtract),
        **dict.fromkeys([aten.rsub.Tensor, aten.rsub.Scalar], _reversed_subtract),
        **dict.fromkeys([aten.mul.Tensor, aten.mul.Scalar], _multiply),
        **dict.fromkeys([aten.div.Tensor, aten.div.Scalar], _divide),
        aten.neg.default: _negate,
        **dict.fromkeys(
            [
                aten.clone.default, aten.contiguous.default, aten.alias.default, aten.detach.default,
                aten.dropout.default, aten.feature_dropout.default, aten.lift_fresh_copy.default,
            ],
            _alias,
        ),
        **dict.fromkeys([aten._to_copy.default, aten.to.dtype, aten.to.dtype_layout], _cast),
    }
)  # fmt: skip
