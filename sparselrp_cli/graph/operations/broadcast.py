"""Several tensors, each brought to the shape of all."""

from types import MappingProxyType

import torch
from torch import fx

from sparselrp_cli.graph.building import Building
from sparselrp_cli.graph.call import Call, Converted, Converters, NoRule

aten = torch.ops.aten


def broadcast_tensors(call: Call) -> Converted:
    source = call["tensors"][call.item]
    if not isinstance(source, fx.Node):
        raise NoRule("it brings a constant to the shape of what depends on the sequence; use expand")
    building = Building(call)
    return building.built(building.broadcast(source, call.output))


CONVERTERS: Converters = MappingProxyType({aten.broadcast_tensors.default: broadcast_tensors})
