"""Copies along axes of length 1."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.call import Call, Converted, Converters, chain
from sparselrp_cli.graph.operation import At, Pulled, Transport
from sparselrp_cli.graph.shapes import Dim

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Expand(Transport):
    """Copies along axes of length 1; relevance of the copies is summed."""

    shape_out: tuple[Dim, ...]
    kind: ClassVar[str] = "expand"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        (x,) = inputs
        return x.expand(*[d if isinstance(d, int) else -1 for d in self.shape_out]), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (c.sum_to_size(at.inputs[0].shape),)


def expand(call: Call) -> Converted:
    return chain(call, Expand(call.output))


CONVERTERS: Converters = MappingProxyType(
    {
        aten.expand.default: expand,
    }
)
