"""Convolutions, dense layers and batch normalisation."""

import torch

from sparselrp_cli.model.conversion.call import Call, Converted, NoRule, chain, each
from sparselrp_cli.model.operations import ChannelAffine, Convolution, Dense, Operation, Pad


def convolution(call: Call) -> Converted:
    weight, bias = call.weight("weight"), call.constant("bias")
    spatial = weight.dim() - 2
    if spatial not in (1, 2):
        raise NoRule(f"convolutions over {spatial} axes have no rule")
    if call.get("transposed", False):
        raise NoRule("transposed convolutions have no rule")
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


def linear(call: Call) -> Converted:
    return chain(call, Dense(call.weight("weight"), call.constant("bias")), name="input")


def addmm(call: Call) -> Converted:
    if call.get("beta", 1) != 1 or call.get("alpha", 1) != 1:
        raise NoRule("addmm with beta or alpha has no rule")
    layer = Dense(call.weight("mat2").t().contiguous(), call.constant("self"))
    return chain(call, layer, name="mat1")


def matmul(call: Call) -> Converted:
    second = "other" if "other" in call.arguments else "mat2"
    weight = call.weight(second)
    if weight.dim() != 2:
        raise NoRule("only products with a constant matrix on the right have a rule")
    return chain(call, Dense(weight.t().contiguous(), None))


def batch_norm(call: Call) -> Converted:
    mean, variance = call.weight("running_mean").double(), call.weight("running_var").double()
    scale = 1 / torch.sqrt(variance + call["eps"])
    if (weight := call.constant("weight")) is not None:
        scale = scale * weight.double()
    shift = -mean * scale
    if (bias := call.constant("bias")) is not None:
        shift = shift + bias.double()
    return chain(call, ChannelAffine(scale.to(call.dtype), shift.to(call.dtype)), name="input")
