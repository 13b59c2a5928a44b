"""Functions that leave their input as it is: copies, casts between floating-point types, dropout."""

import dataclasses
from types import MappingProxyType

import torch

from sparselrp_cli.graph.call import Alias, Call, Converted, Converters
from sparselrp_cli.graph.operations.complex_numbers import to_complex
from sparselrp_cli.graph.operations.decision import decision

aten = torch.ops.aten
_PLACES = ("device", "layout", "pin_memory", "non_blocking")


def alias(call: Call) -> Converted:
    return Alias(call.activation("self" if "self" in call.arguments else "input"))


def cast(call: Call) -> Converted:
    dtype = call.get("dtype")
    # Where it is computed is the graph's affair.
    call = dataclasses.replace(call, arguments={k: v for k, v in call.arguments.items() if k not in _PLACES})
    if dtype is not None and dtype.is_complex:
        return to_complex(call)
    if dtype is not None and not dtype.is_floating_point:
        return decision(f"a cast to {str(dtype).removeprefix('torch.')}")(call)
    if call.is_decision(call.activation("self")):
        return decision("cast")(call)
    return alias(call)


CONVERTERS: Converters = MappingProxyType(
    {
        aten.clone.default: alias,
        aten.contiguous.default: alias,
        aten.alias.default: alias,
        aten.detach.default: alias,
        aten.dropout.default: alias,
        aten.feature_dropout.default: alias,
        aten.lift_fresh_copy.default: alias,
        aten.type_as.default: alias,
        aten._to_copy.default: cast,
        aten.to.dtype: cast,
        aten.to.dtype_layout: cast,
    }
)
