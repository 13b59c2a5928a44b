"""The larger and the smaller of two tensors, and clamps to tensors.

Of two activations the larger takes all. A constant that is larger absorbs, as one that `torch.where` chooses.
"""

from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.aten_call import Place
from sparselrp_cli.graph.call import Alias, Call, Converted, Converter, Converters, Step, Steps
from sparselrp_cli.graph.operation import Operation
from sparselrp_cli.graph.operations.activation import clamp
from sparselrp_cli.graph.operations.decision import Decision
from sparselrp_cli.graph.operations.homogeneous import Homogeneous
from sparselrp_cli.graph.operations.where import Where

aten = torch.ops.aten
_LARGER = aten.maximum.default, "larger of two", aten.ge.Tensor
_SMALLER = aten.minimum.default, "smaller of two", aten.le.Tensor


def _bounded(steps: list[Step], x: fx.Node | int, bound: fx.Node | Tensor, which: Any) -> int:
    """Add the steps that bound a tensor by another, and give the number of the last."""
    function, name, stays = which
    if isinstance(bound, Tensor):
        # A product x * t and its bound don't grow alike, so that this isn't homogeneous.
        comparison = Decision(stays, (("self", Place(0)), ("other", bound)), "comparison")
        steps.append((comparison, (x,)))
        steps.append((Where.of(None, None, bound), (len(steps) - 1, x)))
    else:
        both = (("self", Place(0)), ("other", Place(1)))
        operation: Operation = Homogeneous(function, both, name, sign=True)
        steps.append((operation, (x, bound)))
    return len(steps) - 1


def of_two(which: Any) -> Converter:
    def convert(call: Call) -> Converted:
        names = ("self", "other") if isinstance(call["self"], fx.Node) else ("other", "self")
        steps: list[Step] = []
        other = call[names[1]]
        bound = other if isinstance(other, fx.Node) else call.weight(names[1]).to(call.dtype)
        _bounded(steps, call.activation(names[0]), bound, which)
        return Steps(tuple(steps))

    return convert


def clamp_to_tensors(call: Call) -> Converted:
    bounds = [(call.get(name), which) for name, which in (("min", _LARGER), ("max", _SMALLER))]
    if all(not isinstance(b, fx.Node) and (b is None or torch.as_tensor(b).numel() == 1) for b, _ in bounds):
        return clamp(call)
    steps: list[Step] = []
    x: fx.Node | int = call.activation("self")
    for bound, which in bounds:
        if isinstance(bound, fx.Node):
            x = _bounded(steps, x, bound, which)
        elif bound is not None:
            x = _bounded(steps, x, torch.as_tensor(bound, dtype=call.dtype), which)
    return Steps(tuple(steps)) if steps else Alias(call.activation("self"))


CONVERTERS: Converters = MappingProxyType(
    {
        aten.maximum.default: of_two(_LARGER),
        aten.fmax.default: of_two(_LARGER),
        aten.minimum.default: of_two(_SMALLER),
        aten.fmin.default: of_two(_SMALLER),
        aten.clamp.Tensor: clamp_to_tensors,
        aten.clamp_min.Tensor: clamp_to_tensors,
        aten.clamp_max.Tensor: clamp_to_tensors,
    }
)
