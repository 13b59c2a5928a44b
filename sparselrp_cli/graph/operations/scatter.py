"""Entries of a tensor written where a step of the sequence says, as the weights of a few chosen experts."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.aten_call import Place
from sparselrp_cli.graph.call import Call, Chain, Converted, Converters, NoRule, Steps, axis_of
from sparselrp_cli.graph.constants import never_negative
from sparselrp_cli.graph.operation import At, Lies, Operation, Pulled
from sparselrp_cli.graph.operations.assignment import to_places
from sparselrp_cli.graph.operations.decision import Decision
from sparselrp_cli.graph.operations.where import Where
from sparselrp_cli.graph.shapes import Dim, size

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Scatter(Operation):
    """``before`` with entries written along an axis at numbers that the sequence decides.

    What is written takes its relevance, and so does what was there before where nothing is written. The
    choice gets none. A constant from before absorbs.

    Attributes
    ----------
    axis : int
    before : Tensor or None
        What is written to, of length 1 along the samples; None where it is an activation.
    """

    axis: int
    before: Tensor | None
    kind: ClassVar[str] = "scatter"
    passes: ClassVar[str] = "to what was written"
    takes_decisions: ClassVar[bool] = True
    reads_output: ClassVar[bool] = False

    def _parts(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Give what is written to, the numbers and what is written."""
        if self.before is None:
            before, index, written = inputs
            return before, index.long(), written
        index, written = inputs
        sizes = [self.before.shape[a] if a == self.axis else n for a, n in enumerate(index.shape)]
        return self.before.expand(sizes), index.long(), written

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        before, index, written = self._parts(inputs)
        return before.scatter(self.axis, index, written), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        _, index, _ = self._parts(at.inputs)
        taken = c.gather(self.axis, index)
        return (None, taken) if self.before is not None else (self._kept(c, index), None, taken)

    def _kept(self, c: Tensor, index: Tensor) -> Tensor:
        return c.scatter(self.axis, index, 0.0)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        if self.before is None:
            return None
        before, index, _ = self._parts(at.inputs)
        return self._kept(c, index) * before

    def passes_to(self, index: int) -> bool:
        return index != (1 if self.before is None else 0)

    def reads_input(self, index: int) -> bool:
        return not self.passes_to(index)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[-1] and (inputs[0] if self.before is None else never_negative(self.before))

    def positions(
        self, axis: int, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]
    ) -> tuple[Lies | None, ...]:
        before = () if self.before is not None else (Lies(axis),)
        return (*before, None, None if axis == self.axis else Lies(axis))

    def describe(self) -> str:
        return f"axis {self.axis}"


def scatter(call: Call) -> Converted:
    before, index, written = call["self"], call["index"], call["src"]
    if not isinstance(index, fx.Node):
        return to_places(call)
    if not call.is_decision(index) or not isinstance(written, fx.Node):
        raise NoRule("its index is neither constant nor a step, as argmax and topk give")
    shape = call.shape_of(index)
    axis = axis_of(call["dim"], call.output)
    alike = all(a == axis or d == o for a, (d, o) in enumerate(zip(shape, call.output, strict=True)))
    if call.shape_of(written) != shape or not alike:
        raise NoRule("its index and what it writes have different sizes; cut them to the same first")
    if isinstance(before, fx.Node):
        return Chain((Scatter(axis, None),), (before, index, written))
    return Chain((Scatter(axis, call.weight("self").to(call.dtype)),), (index, written))


def scatter_number(call: Call) -> Converted:
    """Convert one number written to decided places, as a mask of the largest is made."""
    index, before = call["index"], call["self"]
    if not isinstance(index, fx.Node):
        return to_places(call)
    if not call.is_decision(index):
        raise NoRule("its index is neither constant nor a step, as argmax and topk give")
    axis = axis_of(call["dim"], call.output)
    if any(
        a != axis and d != o for a, (d, o) in enumerate(zip(call.shape_of(index), call.output, strict=True))
    ):
        raise NoRule("its index is smaller than what it writes to; cut that to the same first")
    arguments = (("index", Place(0)), ("axis", axis), ("length", size(call.output, axis)))
    number = torch.tensor(float(call["value"]), dtype=call.dtype)
    rest = None if isinstance(before, fx.Node) else call.weight("self").to(call.dtype)
    read = (0, before) if isinstance(before, fx.Node) else (0,)
    return Steps(((Decision(marked, arguments, "places"), (index,)), (Where.of(None, number, rest), read)))


def marked(index: Tensor, axis: int, length: int) -> Tensor:
    """Mark the numbered entries of an axis of some length."""
    sizes = [length if a == axis else n for a, n in enumerate(index.shape)]
    return torch.zeros(sizes, dtype=torch.bool, device=index.device).scatter(axis, index.long(), True)


CONVERTERS: Converters = MappingProxyType({aten.scatter.src: scatter, aten.scatter.value: scatter_number})
