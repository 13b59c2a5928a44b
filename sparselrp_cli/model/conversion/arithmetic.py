"""Sums, and products with constants."""

import torch
from torch import fx

from sparselrp_cli.model.conversion.call import Call, Chain, Converted, NoRule, chain
from sparselrp_cli.model.operations import Add, Negate, Scale, Shift, Subtract


def add(call: Call) -> Converted:
    alpha = float(call.get("alpha", 1))
    first, second = call["self"], call["other"]
    if isinstance(first, fx.Node) and isinstance(second, fx.Node):
        return Chain((Add(alpha),), (first, second))
    if isinstance(first, fx.Node):
        return chain(call, Shift(alpha * call.weight("other")))
    scale = () if alpha == 1 else (Scale(torch.tensor(alpha, dtype=call.dtype)),)
    return chain(call, *scale, Shift(call.weight("self")), name="other")


def subtract(call: Call) -> Converted:
    if call.get("alpha", 1) != 1:
        raise NoRule("a subtraction with alpha has no rule")
    first, second = call["self"], call["other"]
    if isinstance(first, fx.Node) and isinstance(second, fx.Node):
        return Chain((Subtract(),), (first, second))
    if isinstance(first, fx.Node):
        return chain(call, Shift(-call.weight("other")))
    return chain(call, Negate(), Shift(call.weight("self")), name="other")


def reversed_subtract(call: Call) -> Converted:
    return chain(call, Negate(), Shift(call.weight("other")))


def multiply(call: Call) -> Converted:
    first, second = call["self"], call["other"]
    if isinstance(first, fx.Node) and isinstance(second, fx.Node):
        raise NoRule("products of two activations have no rule")
    if isinstance(first, fx.Node):
        return chain(call, Scale(call.weight("other")))
    return chain(call, Scale(call.weight("self")), name="other")


def divide(call: Call) -> Converted:
    if call.get("rounding_mode"):
        raise NoRule("divisions with rounding have no rule")
    if isinstance(call["other"], fx.Node):
        raise NoRule("divisions by an activation have no rule")
    return chain(call, Scale(1 / call.weight("other")))


def negate(call: Call) -> Converted:
    return chain(call, Negate())
