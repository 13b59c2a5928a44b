"""Sums, and products with constants."""

import torch
from torch import fx

from sparselrp_cli.graph.conversion.call import Call, Chain, Converted, NoRule, chain
from sparselrp_cli.graph.operations import (
    Activation,
    Add,
    MatrixProduct,
    Negate,
    Product,
    Quotient,
    Scale,
    Shift,
    Subtract,
)


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
        gates = [call.is_gate(first), call.is_gate(second)]
        return Chain((Product(gates.index(True) if sum(gates) == 1 else None),), (first, second))
    if isinstance(first, fx.Node):
        return chain(call, Scale(call.weight("other")))
    return chain(call, Scale(call.weight("self")), name="other")


def divide(call: Call) -> Converted:
    if call.get("rounding_mode"):
        raise NoRule("divisions with rounding have no rule")
    first, second = call["self"], call["other"]
    if isinstance(first, fx.Node) and isinstance(second, fx.Node):
        return Chain((Quotient(),), (first, second))
    if isinstance(second, fx.Node):
        return chain(call, Activation("reciprocal"), Scale(call.weight("self")), name="other")
    return chain(call, Scale(1 / call.weight("other")))


def negate(call: Call) -> Converted:
    return chain(call, Negate())


def batched_product(call: Call) -> Converted:
    """Convert ``bmm`` and ``baddbmm`` of two activations."""
    first, second = ("self", "mat2") if "mat2" in call.arguments else ("batch1", "batch2")
    product = Chain((MatrixProduct(),), (call.activation(first), call.activation(second)))
    if first == "self":
        return product
    if call.get("beta", 1) != 1 or isinstance(call["self"], fx.Node):
        raise NoRule("baddbmm with beta or an added activation has no rule")
    alpha = torch.tensor(float(call.get("alpha", 1)), dtype=call.dtype)
    return Chain((MatrixProduct(), Scale(alpha), Shift(call.weight("self"))), product.inputs)


def power(call: Call) -> Converted:
    exponent = float(call["exponent"]) if not isinstance(call["exponent"], fx.Node) else 0.0
    if exponent == 0:
        raise NoRule("only powers with a constant exponent other than 0 have a rule")
    if exponent == 1:
        return chain(call, Scale(torch.tensor(1.0, dtype=call.dtype)))
    return chain(call, Activation("power", (exponent,)))
