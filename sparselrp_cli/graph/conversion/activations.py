"""Element-wise functions."""

import math
from collections.abc import Callable

from torch import Tensor

from sparselrp_cli.graph.conversion.call import Call, Converted, NoRule, chain
from sparselrp_cli.graph.operations import Activation


def activation(function: str, *names: str) -> Callable[[Call], Converted]:
    def convert(call: Call) -> Converted:
        return chain(call, Activation(function, tuple(call[n] for n in names)))

    return convert


def elu(call: Call) -> Converted:
    if call.get("scale", 1) != 1 or call.get("input_scale", 1) != 1:
        raise NoRule("a scaled ELU has no rule; use selu, elu or celu")
    return chain(call, Activation("elu", (call.get("alpha", 1.0),)))


def clamp(call: Call) -> Converted:
    low = call.get("min", call.get("min_val", -math.inf))
    high = call.get("max", call.get("max_val", math.inf))
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        raise NoRule("clamps to tensors have no rule; use torch.minimum and torch.maximum")
    if low == 0 and high == math.inf:
        return chain(call, Activation("relu"))
    return chain(call, Activation("hardtanh", (float(low), float(high))))


def threshold(call: Call) -> Converted:
    if call["threshold"] != 0 or call["value"] != 0:
        raise NoRule("only threshold(x, 0, 0) has a rule")
    return chain(call, Activation("relu"))


def prelu(call: Call) -> Converted:
    slope = call.weight("weight")
    if slope.dim() == 1 and slope.numel() > 1:
        slope = slope.reshape(-1, *[1] * (len(call.shape()) - 2))
    return chain(call, Activation("prelu", (), slope))
