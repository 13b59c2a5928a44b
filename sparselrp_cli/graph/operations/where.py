"""Choices between two values, entry by entry."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.call import Call, Chain, Converted, Converters, NoRule
from sparselrp_cli.graph.constants import finite, never_negative, takes_relevance
from sparselrp_cli.graph.operation import At, Operation, Pulled

aten = torch.ops.aten
Parts = tuple[Tensor | None, Tensor | None, Tensor | None]


@dataclass(frozen=True, eq=False)
class Where(Operation):
    """``torch.where(condition, x, y)``; relevance goes to what was chosen.

    A constant that was chosen absorbs its relevance.

    Attributes
    ----------
    parts : tuple of (Tensor or None)
        Condition, x and y: None where it is an activation, else a constant.
    absorbing : tuple of (bool, bool)
        Whether x and y, where they are constants, hold anything to absorb relevance with. It is found out
        once, when the operation is converted, so that a walk doesn't wait to see a mask of zeros.
    """

    parts: Parts
    absorbing: tuple[bool, bool] = (True, True)
    kind: ClassVar[str] = "where"
    reads_output: ClassVar[bool] = False
    passes: ClassVar[str] = "to what was chosen"
    takes_decisions: ClassVar[bool] = True

    @classmethod
    def of(cls, condition: Tensor | None, x: Tensor | None, y: Tensor | None) -> "Where":
        """Make the operation, and see what its constants hold."""
        absorbing = [part is not None and takes_relevance(part) for part in (x, y)]
        return cls((condition, x, y), (absorbing[0], absorbing[1]))

    def _all(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        activations = iter(inputs)
        return [next(activations) if part is None else part for part in self.parts]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        condition, first, second = self._all(inputs)
        return torch.where(condition.bool(), first, second), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        condition, first, second = self._all(at.inputs)
        chosen = condition.bool()
        pulled = (
            None,
            (c * chosen).sum_to_size(first.shape) if self.parts[1] is None else None,
            (c * ~chosen).sum_to_size(second.shape) if self.parts[2] is None else None,
        )
        return tuple(p for p, part in zip(pulled, self.parts, strict=True) if part is None)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        chosen = self._all(at.inputs)[0].bool()
        taken: Tensor | None = None
        for part, mask, absorbing in zip(self.parts[1:], (chosen, ~chosen), self.absorbing, strict=True):
            if part is not None and absorbing:
                share = c * mask * finite(part)
                taken = share if taken is None else taken + share
        return taken

    def passes_to(self, index: int) -> bool:
        return index > 0 or self.parts[0] is not None

    def reads_input(self, index: int) -> bool:
        return not self.passes_to(index)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        known = iter(inputs)
        signs = [next(known) if part is None else never_negative(part) for part in self.parts]
        return signs[1] and signs[2]


def where(call: Call) -> Converted:
    names = ("condition", "self", "other")
    parts = tuple(None if isinstance(call[n], fx.Node) else _part(call, n) for n in names)
    inputs = tuple(call[n] for n in names if isinstance(call[n], fx.Node))
    if isinstance(call["condition"], fx.Node) and not call.is_decision(call["condition"]):
        raise NoRule("its condition isn't a comparison")
    return Chain((Where.of(parts[0], parts[1], parts[2]),), inputs)


def _part(call: Call, name: str) -> Tensor:
    value = call.weight(name)
    return value if name == "condition" else value.to(call.dtype)


def masked_fill(call: Call) -> Converted:
    mask, value, source = call["mask"], call.constant("value"), call["self"]
    if value is None:
        raise NoRule("its value is missing")
    values = (mask, value.to(call.dtype), source)
    parts = tuple(None if isinstance(v, fx.Node) else v for v in values)
    if isinstance(mask, fx.Node) and not call.is_decision(mask):
        raise NoRule("its mask isn't a comparison")
    inputs = tuple(v for v in values if isinstance(v, fx.Node))
    return Chain((Where.of(parts[0], parts[1], parts[2]),), inputs)


CONVERTERS: Converters = MappingProxyType(
    {
        aten.where.self: where,
        aten.where.ScalarOther: where,
        aten.where.ScalarSelf: where,
        aten.where.Scalar: where,
        aten.masked_fill.Scalar: masked_fill,
        aten.masked_fill.Tensor: masked_fill,
    }
)
