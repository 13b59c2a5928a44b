"""ATen operations, as torch.export names them, to the kinds of our canonical graph.

Each converter reads a `Call` and gives a chain of operations on its input activations, or `Alias` where
the operation changes nothing. One it doesn't know, or can't have a rule for, raises `NoRule`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from sparselrp_cli.graph.conversion import (
    activations,
    arithmetic,
    attention,
    generic,
    layers,
    normalisation,
    pooling,
    recurrent,
    transport,
)
from sparselrp_cli.graph.conversion.call import Alias, Call, Chain, Converted, NoRule, Steps, axis_of, chain
from sparselrp_cli.graph.operations import GatedLinear, Maximum, Mean, Sum

aten = torch.ops.aten

__all__ = ["Alias", "Call", "Chain", "Converted", "NoRule", "Steps", "convert_call"]


def convert_call(target: object, call: Call) -> Converted:
    """Convert one operation.

    Raises
    ------
    NoRule
    """
    converter = CONVERTERS.get(target)
    if converter is None:
        raise NoRule(HINTS.get(str(target).split(".")[1] if "." in str(target) else "", DEFAULT_HINT))
    if target not in _TAKING_DECISIONS and any(call.is_decision(a) for a in call.activations()):
        raise NoRule("it reads the outcome of a comparison as a number; relevance can't pass a comparison")
    return converter(call)


DEFAULT_HINT = "rewrite it with operations that have a rule"
HINTS = MappingProxyType(
    {
        "native_dropout": "call model.eval() before the export",
        "_native_batch_norm_legit": "call model.eval() before the export",
        "_native_batch_norm_legit_functional": "call model.eval() before the export",
    }
)

_DECIDING = (
    *(getattr(getattr(aten, name), kind) for name in ("gt", "ge", "lt", "le", "eq", "ne") for kind in (
        "Scalar", "Tensor")),
    aten.logical_and.default, aten.logical_or.default, aten.logical_not.default, aten.bitwise_and.Tensor,
    aten.bitwise_or.Tensor, aten.bitwise_not.default, aten.argmax.default, aten.argmin.default,
    aten.sign.default, aten.floor.default, aten.ceil.default, aten.round.default, aten.isnan.default,
    aten.any.dim, aten.all.dim,
)  # fmt: skip
_TRANSPORTS = (
    aten.view.default, aten.reshape.default, aten.unsqueeze.default, aten.squeeze.dim, aten.squeeze.default,
    aten.expand.default, aten.permute.default, aten.transpose.int, aten.slice.Tensor, aten.select.int,
    aten.clone.default, aten.contiguous.default, aten.alias.default, aten.detach.default,
    aten._to_copy.default, aten.to.dtype, aten.to.dtype_layout, aten.cat.default, aten.flip.default,
)  # fmt: skip
_TAKING_DECISIONS = frozenset(
    {
        *_DECIDING, *_TRANSPORTS, aten.where.self, aten.where.ScalarOther, aten.where.ScalarSelf,
        aten.where.Scalar, aten.masked_fill.Scalar, aten.masked_fill.Tensor,
        aten.mul.Tensor, aten.embedding.default,
    }
)  # fmt: skip

CONVERTERS: Mapping[object, Callable[[Call], Converted]] = MappingProxyType(
    {
        **dict.fromkeys(
            [
                aten.conv1d.default, aten.conv1d.padding, aten.conv2d.default, aten.conv2d.padding,
                aten.convolution.default,
            ],
            layers.convolution,
        ),
        aten.linear.default: layers.linear,
        aten.addmm.default: layers.addmm,
        aten.einsum.default: layers.einsum,
        aten.embedding.default: layers.embedding,
        **dict.fromkeys(
            [aten.conv_transpose1d.default, aten.conv_transpose2d.input], layers.transposed_convolution
        ),
        **dict.fromkeys([aten.bmm.default, aten.baddbmm.default], arithmetic.batched_product),
        aten.layer_norm.default: normalisation.layer_norm,
        aten.rms_norm.default: normalisation.rms_norm,
        aten.group_norm.default: normalisation.group_norm,
        aten.instance_norm.default: layers.instance_norm,
        aten.scaled_dot_product_attention.default: attention.scaled_dot_product,
        **dict.fromkeys([aten.softmax.int, aten._softmax.default], attention.softmax(logarithm=False)),
        **dict.fromkeys([aten.log_softmax.int, aten._log_softmax.default], attention.softmax(logarithm=True)),
        aten.logsumexp.default: attention.log_sum_exp,
        aten.lstm.input: recurrent.recurrent("lstm"),
        aten.gru.input: recurrent.recurrent("gru"),
        aten.rnn_tanh.input: recurrent.recurrent("tanh"),
        aten.rnn_relu.input: recurrent.recurrent("relu"),
        **dict.fromkeys([aten.matmul.default, aten.mm.default], layers.matmul),
        **dict.fromkeys(
            [aten._native_batch_norm_legit_no_training.default, aten.cudnn_batch_norm.default],
            layers.batch_norm,
        ),
        **{
            overload: activations.activation(name, *arguments)
            for overload, name, *arguments in (
                (aten.relu.default, "relu"), (aten.relu6.default, "relu6"), (aten.selu.default, "selu"),
                (aten.leaky_relu.default, "leaky_relu", "negative_slope"),
                (aten.celu.default, "celu", "alpha"),
                (aten.gelu.default, "gelu", "approximate"), (aten.silu.default, "silu"),
                (aten.mish.default, "mish"), (aten.hardswish.default, "hardswish"),
                (aten.tanh.default, "tanh"),
                (aten.sigmoid.default, "sigmoid"), (aten.hardsigmoid.default, "hardsigmoid"),
                (aten.log_sigmoid.default, "log_sigmoid"), (aten.exp.default, "exp"),
                (aten.expm1.default, "expm1"), (aten.log.default, "log"), (aten.log2.default, "log2"),
                (aten.log10.default, "log10"), (aten.log1p.default, "log1p"), (aten.sin.default, "sin"),
                (aten.cos.default, "cos"), (aten.atan.default, "atan"), (aten.erf.default, "erf"),
                (aten.abs.default, "abs"), (aten.sqrt.default, "sqrt"), (aten.rsqrt.default, "rsqrt"),
                (aten.reciprocal.default, "reciprocal"),
                (aten.softplus.default, "softplus", "beta", "threshold"),
                (aten.softshrink.default, "softshrink", "lambd"),
            )
        },
        **dict.fromkeys([aten.prelu.default, aten._prelu_kernel.default], activations.prelu),
        aten.elu.default: activations.elu,
        aten.pow.Tensor_Scalar: arithmetic.power,
        **dict.fromkeys(
            [aten.clamp.default, aten.hardtanh.default, aten.clamp_min.default, aten.clamp_max.default],
            activations.clamp,
        ),
        aten.threshold.default: activations.threshold,
        **dict.fromkeys([aten.max_pool1d.default, aten.max_pool1d_with_indices.default], pooling.max_pool(1)),
        **dict.fromkeys([aten.max_pool2d.default, aten.max_pool2d_with_indices.default], pooling.max_pool(2)),
        aten.avg_pool1d.default: pooling.average_pool(1),
        aten.avg_pool2d.default: pooling.average_pool(2),
        aten.adaptive_avg_pool1d.default: pooling.adaptive_pool(1, maximum=False),
        **dict.fromkeys(
            [aten.adaptive_avg_pool2d.default, aten._adaptive_avg_pool2d.default],
            pooling.adaptive_pool(2, maximum=False),
        ),
        aten.adaptive_max_pool1d.default: pooling.adaptive_pool(1, maximum=True),
        aten.adaptive_max_pool2d.default: pooling.adaptive_pool(2, maximum=True),
        **dict.fromkeys([aten.sum.dim_IntList, aten.sum.default], pooling.reduction(Sum)),
        **dict.fromkeys([aten.mean.dim, aten.mean.default], pooling.reduction(Mean)),
        **dict.fromkeys([aten.amax.default, aten.max.dim], pooling.reduction(Maximum)),
        **dict.fromkeys(
            [
                aten.view.default, aten.reshape.default, aten._unsafe_view.default, aten.unsqueeze.default,
                aten.squeeze.default, aten.squeeze.dim, aten.squeeze.dims, aten.flatten.using_ints,
                aten.unflatten.int,
            ],
            transport.reshape,
        ),
        aten.permute.default: transport.permute,
        **dict.fromkeys([aten.transpose.int, aten.t.default], transport.transpose),
        aten.slice.Tensor: transport.slice_axis,
        aten.select.int: transport.select,
        **dict.fromkeys(
            [
                aten.split.Tensor, aten.split_with_sizes.default, aten.chunk.default,
                aten.unsafe_split.Tensor, aten.unsafe_chunk.default,
            ],
            transport.split,
        ),
        aten.unbind.int: transport.unbind,
        aten.flip.default: transport.flip,
        aten.as_strided.default: transport.strided,
        aten.index_select.default: transport.index_select,
        aten.index.Tensor: transport.index,
        aten.expand.default: transport.expand,
        **dict.fromkeys([aten.pad.default, aten.constant_pad_nd.default], transport.pad),
        **dict.fromkeys([aten.cat.default, aten.stack.default], transport.concatenate),
        **dict.fromkeys([aten.add.Tensor, aten.add.Scalar], arithmetic.add),
        **dict.fromkeys([aten.sub.Tensor, aten.sub.Scalar], arithmetic.subtract),
        **dict.fromkeys([aten.rsub.Tensor, aten.rsub.Scalar], arithmetic.reversed_subtract),
        **dict.fromkeys([aten.mul.Tensor, aten.mul.Scalar], arithmetic.multiply),
        **dict.fromkeys([aten.div.Tensor, aten.div.Scalar], arithmetic.divide),
        aten.neg.default: arithmetic.negate,
        **dict.fromkeys(
            [aten.where.self, aten.where.ScalarOther, aten.where.ScalarSelf,
            aten.where.Scalar], transport.where
        ),
        aten.type_as.default: transport.alias,
        **dict.fromkeys([aten.masked_fill.Scalar, aten.masked_fill.Tensor], transport.masked_fill),
        aten.glu.default: lambda call: chain(call, GatedLinear(axis_of(call.get("dim", -1), call.shape()))),
        aten.prod.dim_int: generic.product_over,
        aten.cumprod.default: generic.running_product,
        **{
            overload: generic.homogeneous(name, degree=degree, sign=sign)
            for overload, name, degree, sign in (
                (aten.cumsum.default, "running sum", 1, True), (aten.roll.default, "roll", 1, True),
                (aten.repeat.default, "repeat", 1, True), (aten.tile.default, "tile", 1, True),
                (aten.repeat_interleave.self_int, "repeat each", 1, True),
                (aten.tril.default, "lower half", 1, True),
                (aten.triu.default, "upper half", 1, True), (aten.diagonal.default, "diagonal", 1, True),
                (aten.unfold.default, "unfold", 1, True), (aten.im2col.default, "unfold", 1, True),
                (aten.gather.default, "gather", 1, True),
                (aten.pixel_shuffle.default, "pixel shuffle", 1, True),
                (aten.upsample_nearest1d.vec, "upsample, nearest", 1, True),
                (aten.upsample_nearest2d.vec, "upsample, nearest", 1, True),
                (aten.upsample_linear1d.vec, "upsample, linear", 1, True),
                (aten.upsample_bilinear2d.vec, "upsample, bilinear", 1, True),
                (aten.upsample_bicubic2d.vec, "upsample, bicubic", 1, False),
                (aten.maximum.default, "larger of two", 1, True),
                (aten.minimum.default, "smaller of two", 1, True),
                (aten.amin.default, "minimum", 1, True), (aten.linalg_vector_norm.default, "norm", 1, True),
                (aten.norm.ScalarOpt_dim, "norm", 1, True),
                (aten.std.correction, "standard deviation", 1, True),
                (aten.std.dim, "standard deviation", 1, True), (aten.var.correction, "variance", 2, True),
                (aten.var.dim, "variance", 2, True),
            )
        },
        **{
            overload: generic.first_only(generic.homogeneous(name, sign=True))
            for overload, name in (
                (aten.sort.default, "sorted"), (aten.topk.default, "largest values"),
                (aten.min.dim, "minimum"),
                (aten.cummax.default, "running maximum"), (aten.kthvalue.default, "k-th value"),
            )
        },
        **dict.fromkeys(_DECIDING, generic.decision("comparison")),
        **dict.fromkeys(
            [
                aten.clone.default, aten.contiguous.default, aten.alias.default, aten.detach.default,
                aten.dropout.default, aten.feature_dropout.default, aten.lift_fresh_copy.default,
            ],
            transport.alias,
        ),
        **dict.fromkeys([aten._to_copy.default, aten.to.dtype, aten.to.dtype_layout], transport.cast),
    }
)  # fmt: skip
