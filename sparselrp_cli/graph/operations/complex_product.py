"""Products of pairs of numbers, taken as complex ones, with constants, as of rotary positions."""

from types import MappingProxyType

import torch
from torch import fx

from sparselrp_cli.graph.call import Call, Converted, Converters, NoRule, Steps
from sparselrp_cli.graph.operations.addition import Add
from sparselrp_cli.graph.operations.flip import Flip
from sparselrp_cli.graph.operations.product import Scale

aten = torch.ops.aten
WORDS = (
    "of complex numbers only products with constants between torch.view_as_complex and torch.view_as_real"
    " have a rule; write the real and the imaginary part"
)


def to_pairs(call: Call) -> Converted:
    """Convert ``view_as_real``: ``(a + ib)(c + id)`` is ``ac - bd`` beside ``bc + ad``."""
    node, factor = call.activation("self"), torch.ones((), dtype=torch.complex128)
    target, arguments = call.made_by(node)
    while target is not aten.view_as_complex.default:
        first, second = arguments.get("self"), arguments.get("other")
        read, constant = (first, second) if isinstance(first, fx.Node) else (second, first)
        if target is not aten.mul.Tensor or not isinstance(read, fx.Node) or isinstance(constant, fx.Node):
            raise NoRule(WORDS)
        node = read
        factor = factor * torch.as_tensor(constant).resolve_conj()
        target, arguments = call.made_by(node)
    source = arguments["self"]
    real, imaginary = (part.to(call.dtype).contiguous() for part in (factor.real, factor.imag))
    crossed = torch.stack([-imaginary, imaginary], -1)
    return Steps(
        (
            (Scale(real.unsqueeze(-1)), (source,)),
            (Flip((len(call.output) - 1,)), (source,)),
            (Scale(crossed), (1,)),
            (Add(), (0, 2)),
        )
    )


def refused(call: Call) -> Converted:
    """Refuse a complex number by itself; it is read over where it lies between two real ones."""
    raise NoRule(WORDS)


CONVERTERS: Converters = MappingProxyType(
    {
        aten.view_as_real.default: to_pairs,
        aten.view_as_complex.default: refused,
    }
)
