"""ATen operations, as torch.export names them, to the kinds of our canonical graph.

Each converter reads a `Call` and gives a chain of operations on its input activations, or `Alias` where
the operation changes nothing. One it doesn't know, or can't have a rule for, raises `NoRule`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from sparselrp_cli.model.conversion import activations, arithmetic, layers, pooling, transport
from sparselrp_cli.model.conversion.call import Alias, Call, Chain, Converted, NoRule
from sparselrp_cli.model.operations import Maximum, Mean, Sum

aten = torch.ops.aten

__all__ = ["Alias", "Call", "Chain", "Converted", "NoRule", "convert_call"]


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
        **dict.fromkeys([aten.matmul.default, aten.mm.default], layers.matmul),
        **dict.fromkeys(
            [aten._native_batch_norm_legit_no_training.default, aten.cudnn_batch_norm.default],
            layers.batch_norm,
        ),
        aten.relu.default: activations.activation("relu"),
        aten.relu6.default: activations.activation("relu6"),
        aten.leaky_relu.default: activations.activation("leaky_relu", "negative_slope"),
        **dict.fromkeys([aten.prelu.default, aten._prelu_kernel.default], activations.prelu),
        aten.elu.default: activations.elu,
        aten.celu.default: activations.activation("celu", "alpha"),
        aten.selu.default: activations.activation("selu"),
        aten.gelu.default: activations.activation("gelu", "approximate"),
        aten.silu.default: activations.activation("silu"),
        aten.mish.default: activations.activation("mish"),
        aten.hardswish.default: activations.activation("hardswish"),
        aten.tanh.default: activations.activation("tanh"),
        **dict.fromkeys(
            [aten.clamp.default, aten.hardtanh.default, aten.clamp_min.default], activations.clamp
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
            [
                aten.clone.default, aten.contiguous.default, aten.alias.default, aten.detach.default,
                aten.dropout.default, aten.feature_dropout.default, aten.lift_fresh_copy.default,
            ],
            transport.alias,
        ),
        **dict.fromkeys([aten._to_copy.default, aten.to.dtype, aten.to.dtype_layout], transport.cast),
    }
)  # fmt: skip
