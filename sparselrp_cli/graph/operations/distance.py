"""Distances between rows of two tensors, and lengths of two sides.

Of two activations both grow alike, so that each takes its share. Against a constant it is the length of a
difference, which is written out: the difference, in which the constant absorbs, and its norm.
"""

from types import MappingProxyType

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.aten_call import Place
from sparselrp_cli.graph.building import Building
from sparselrp_cli.graph.call import Call, Chain, Converted, Converters, chain
from sparselrp_cli.graph.operations.activation import Activation
from sparselrp_cli.graph.operations.addition import Shift
from sparselrp_cli.graph.operations.homogeneous import Homogeneous, homogeneous
from sparselrp_cli.graph.operations.reshape import Reshape

aten = torch.ops.aten


def distances(call: Call) -> Converted:
    p = float(call.get("p", 2.0))
    first, second = call["x1"], call["x2"]
    if isinstance(first, fx.Node) and isinstance(second, fx.Node):
        both = (("x1", Place(0)), ("x2", Place(1)), ("p", p), ("compute_mode", None))
        operation = Homogeneous(aten._cdist_forward.default, both, "distances", sign=True)
        return Chain((operation,), (first, second))
    at, name = (-2, "x1") if isinstance(first, fx.Node) else (-3, "x2")
    constant = call.weight("x2" if name == "x1" else "x1").unsqueeze(-5 - at)
    building, shape = Building(call), call.shape(name)
    rows = (*shape[: len(shape) + at + 1], 1, *shape[len(shape) + at + 1 :])
    apart = building.put(Reshape(shape, rows), rows, call.activation(name))
    each = building.put(Shift(-constant), (*call.output, shape[-1]), apart)
    arguments = (("self", Place(0)), ("ord", p), ("dim", (-1,)))
    length = Homogeneous(aten.linalg_vector_norm.default, arguments, "norm", sign=True)
    return building.built(building.put(length, call.output, each))


def hypotenuse(call: Call) -> Converted:
    first, second = call["self"], call["other"]
    if not isinstance(first, Tensor) and not isinstance(second, Tensor):
        return homogeneous("length of two", sign=True)(call)
    name, constant = ("self", "other") if isinstance(second, Tensor) else ("other", "self")
    squared = Shift(call.weight(constant).square())
    return chain(call, Activation("power", (2.0,)), squared, Activation("sqrt"), name=name)


CONVERTERS: Converters = MappingProxyType(
    {
        aten._cdist_forward.default: distances,
        aten._euclidean_dist.default: distances,
        aten.cdist.default: distances,
        aten.hypot.default: hypotenuse,
    }
)
