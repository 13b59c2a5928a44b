"""Weighted means of two tensors, ``(1 - w) * start + w * end``."""

from types import MappingProxyType

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.call import Call, Converted, Converters, Step, Steps
from sparselrp_cli.graph.operations.addition import Add, Negate, Shift
from sparselrp_cli.graph.operations.product import Product, Scale

aten = torch.ops.aten


def lerp(call: Call) -> Converted:
    if isinstance(call["weight"], fx.Node):
        return _gated(call)
    weight = call.weight("weight").to(call.dtype)
    parts = [(call["self"], 1 - weight, "self"), (call["end"], weight, "end")]
    steps: list[Step] = [(Scale(factor), (x,)) for x, factor, _ in parts if isinstance(x, fx.Node)]
    constants = [factor * call.weight(name) for x, factor, name in parts if isinstance(x, Tensor)]
    steps.append((Shift(constants[0]), (0,)) if constants else (Add(), (0, 1)))
    return Steps(tuple(steps))


def _gated(call: Call) -> Converted:
    """Convert a mean whose weights the sequence decides: each part is a signal, its weight the gate."""
    weight = call.activation("weight")
    gate = 0 if call.is_gate(weight) else None
    one = Shift(torch.tensor(1.0, dtype=call.dtype))

    def part(by: fx.Node | int, name: str) -> Step:
        value = call[name]
        if isinstance(value, fx.Node):
            return Product(gate), (by, value)
        return Scale(call.weight(name)), (by,)

    rest: tuple[Step, ...] = ((Negate(), (weight,)), (one, (0,)))
    return Steps((*rest, part(1, "self"), part(weight, "end"), (Add(), (2, 3))))


CONVERTERS: Converters = MappingProxyType({aten.lerp.Scalar: lerp, aten.lerp.Tensor: lerp})
