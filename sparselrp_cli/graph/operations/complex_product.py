"""Products of pairs of numbers, taken as complex ones, with constants, as of rotary positions.

What else is done with complex numbers is in `complex_numbers`.
"""

from types import MappingProxyType

import torch
from torch import fx

from sparselrp_cli.graph.call import Call, Converted, Converter, Converters, Step, Steps
from sparselrp_cli.graph.operations.addition import Add
from sparselrp_cli.graph.operations.flip import Flip
from sparselrp_cli.graph.operations.homogeneous import homogeneous
from sparselrp_cli.graph.operations.product import Scale
from sparselrp_cli.graph.operations.slice import Slice

aten = torch.ops.aten


def to_pairs(call: Call) -> Converted:
    """Convert ``view_as_real``: ``(a + ib)(c + id)`` is ``ac - bd`` beside ``bc + ad``."""
    steps = _pairs(call, len(call.output) - 1)
    return homogeneous("real and imaginary part")(call) if steps is None else Steps(steps)


def part(name: str, index: int) -> Converter:
    """Make the converter of one of the two parts."""

    def convert(call: Call) -> Converted:
        axis = len(call.output)
        steps = _pairs(call, axis)
        if steps is None:
            return homogeneous(name)(call)
        return Steps((*steps, (Slice(axis, index, index + 1, drop=True), (len(steps) - 1,))))

    return convert


def _pairs(call: Call, axis: int) -> tuple[Step, ...] | None:
    """Write a product of pairs with constants, and them along an axis; None for all else."""
    node, factor = call.activation("self"), torch.ones((), dtype=torch.complex128)
    target, arguments = call.made_by(node)
    while target is not aten.view_as_complex.default:
        first, second = arguments.get("self"), arguments.get("other")
        read, constant = (first, second) if isinstance(first, fx.Node) else (second, first)
        if target is not aten.mul.Tensor or not isinstance(read, fx.Node) or isinstance(constant, fx.Node):
            return None
        node = read
        factor = factor * torch.as_tensor(constant).resolve_conj()
        target, arguments = call.made_by(node)
    source = arguments["self"]
    real, imaginary = (part.to(call.dtype).contiguous() for part in (factor.real, factor.imag))
    crossed = torch.stack([-imaginary, imaginary], -1)
    return (
        (Scale(real.unsqueeze(-1)), (source,)),
        (Flip((axis,)), (source,)),
        (Scale(crossed), (1,)),
        (Add(), (0, 2)),
    )


CONVERTERS: Converters = MappingProxyType(
    {
        aten.view_as_real.default: to_pairs,
        aten.real.default: part("real part", 0),
        aten.imag.default: part("imaginary part", 1),
    }
)
