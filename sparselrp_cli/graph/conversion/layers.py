"""Convolutions, dense layers and batch normalisation."""

import torch
from torch import fx

from sparselrp_cli.graph.conversion import normalisation
from sparselrp_cli.graph.conversion.call import Call, Chain, Converted, NoRule, chain, each
from sparselrp_cli.graph.conversion.generic import homogeneous
from sparselrp_cli.graph.operations import (
    BatchDim,
    ChannelAffine,
    Contraction,
    Convolution,
    Dense,
    MatrixProduct,
    Operation,
    Pad,
    Permute,
    TransposedConvolution,
)


def convolution(call: Call) -> Converted:
    weight, bias = call.weight("weight"), call.constant("bias")
    spatial = weight.dim() - 2
    if spatial not in (1, 2):
        raise NoRule(f"convolutions over {spatial} axes have no rule")
    if call.get("transposed", False):
        return transposed_convolution(call)
    stride, dilation = each(call.get("stride", 1), spatial), each(call.get("dilation", 1), spatial)
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
    layer = Convolution(weight, bias, stride, each(padding, spatial), dilation, call.get("groups", 1))
    return chain(call, *before, layer, name="input")


def transposed_convolution(call: Call) -> Converted:
    weight, bias = call.weight("weight"), call.constant("bias")
    spatial = weight.dim() - 2
    if spatial not in (1, 2):
        raise NoRule(f"convolutions over {spatial} axes have no rule")
    layer = TransposedConvolution(
        weight,
        bias,
        stride=each(call.get("stride", 1), spatial),
        padding=each(call.get("padding", 0), spatial),
        output_padding=each(call.get("output_padding", 0), spatial),
        dilation=each(call.get("dilation", 1), spatial),
        groups=call.get("groups", 1),
    )
    return chain(call, layer, name="input")


def linear(call: Call) -> Converted:
    return chain(call, Dense(call.weight("weight"), call.constant("bias")), name="input")


def addmm(call: Call) -> Converted:
    if call.get("beta", 1) != 1 or call.get("alpha", 1) != 1:
        raise NoRule("addmm with beta or alpha has no rule")
    layer = Dense(call.weight("mat2").t().contiguous(), call.constant("self"))
    return chain(call, layer, name="mat1")


def matmul(call: Call) -> Converted:
    second = "other" if "other" in call.arguments else "mat2"
    x, y = call["self"], call[second]
    if isinstance(x, fx.Node) and isinstance(y, fx.Node):
        if not isinstance(call.output[-2], int) or not isinstance(call.output[-1], int):
            raise NoRule("it mixes samples")
        return Chain((MatrixProduct(),), (x, y))
    if isinstance(x, fx.Node) and y.dim() == 2:
        return chain(call, Dense(y.t().contiguous(), None))
    if isinstance(y, fx.Node) and x.dim() == 2 and len(call.shape(second)) >= 2:
        letters = "abcdefgh"[: len(call.shape(second))]
        equation = f"{letters},z{letters[-2]}->{letters[:-2]}z{letters[-1]}"
        return chain(call, Contraction(x, None, equation), name=second)
    return homogeneous("matrix product with a constant")(call)


def einsum(call: Call) -> Converted:
    operands = list(call["tensors"])
    activations = [o for o in operands if isinstance(o, fx.Node)]
    equation = str(call["equation"]).replace(" ", "")
    if len(operands) == 2 and len(activations) == 1 and "->" in equation and "." not in equation:
        given, result = equation.split("->")
        parts = given.split(",")
        first, second = parts if isinstance(operands[0], fx.Node) else parts[::-1]
        weight = operands[1] if isinstance(operands[0], fx.Node) else operands[0]
        if len(set(first)) == len(first) and set(first) <= set(second) | set(result):
            layer = Contraction(weight, None, f"{first},{second}->{result}")
            return Chain((layer,), (activations[0],))
    return homogeneous(f"sum {equation}", degree=float(len(activations)), sign=False)(call)


def embedding(call: Call) -> Converted:
    """Convert a look-up of tokens that are the argmax of one-hot bases: a dense layer without bias."""
    indices = call["indices"]
    if not isinstance(indices, fx.Node) or indices.target is not torch.ops.aten.argmax.default:
        raise NoRule("only embeddings of x.argmax(axis), for one-hot x, have a rule")
    source, axis = indices.args[0], (*indices.args, None)[1]
    if not isinstance(source, fx.Node) or not isinstance(axis, int) or (*indices.args, False, False)[2]:
        raise NoRule("only embeddings of x.argmax(axis), for one-hot x, have a rule")
    shape = call.shape_of(source)
    axis %= len(shape)
    if isinstance(shape[axis], BatchDim):
        raise NoRule("it works along the samples, which must stay apart")
    order = (*[a for a in range(len(shape)) if a != axis], axis)
    table = call.weight("weight")[: int(str(shape[axis]))]
    return Chain((Permute(order), Dense(table.t().contiguous(), None)), (source,))


def batch_norm(call: Call) -> Converted:
    mean, variance = call.weight("running_mean").double(), call.weight("running_var").double()
    scale = 1 / torch.sqrt(variance + call["eps"])
    if (weight := call.constant("weight")) is not None:
        scale = scale * weight.double()
    shift = -mean * scale
    if (bias := call.constant("bias")) is not None:
        shift = shift + bias.double()
    return chain(call, ChannelAffine(scale.to(call.dtype), shift.to(call.dtype)), name="input")


def instance_norm(call: Call) -> Converted:
    if not call["use_input_stats"]:
        return batch_norm(call)
    return normalisation.instance_norm(call)
