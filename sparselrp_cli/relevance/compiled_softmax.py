"""Softmax along the last axis in compiled passes: of attention's large scores, of a pool's few places."""

from dataclasses import dataclass, fields, replace
from typing import Any

from torch import Tensor

from sparselrp_cli.graph.canonical import Node
from sparselrp_cli.graph.operation import At, Pulled
from sparselrp_cli.graph.operations.softmax import Softmax
from sparselrp_cli.relevance import kernels
from sparselrp_cli.relevance.kernels.operations import pull_softmax, softmax_constants, softmax_of_short_rows
from sparselrp_cli.relevance.kernels.softmax import SHORT


@dataclass(frozen=True, eq=False)
class CompiledSoftmax(Softmax):
    """A softmax that gives and carries back what `Softmax` does, to rounding.

    What its constant absorbs is given by row. What the loops don't take is left to `Softmax` itself.
    """

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        (x,) = inputs
        if not self._fits(x) or x.shape[-1] >= SHORT:
            return super().forward(x)
        s = softmax_of_short_rows(x)
        return s, s

    def pull(self, c: Tensor, at: At) -> Pulled:
        if not self._fits(c):
            return super().pull(c, at)
        return (pull_softmax(at.memo, c),)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        if not self._fits(c):
            return super().absorbed(c, at)
        return softmax_constants(at.inputs[0], at.memo, c)

    def _fits(self, values: Tensor) -> bool:
        last = self.axis % values.dim() == values.dim() - 1
        return last and not self.logarithm and kernels.is_compiled(values) and values.numel() > 0


def compiled_softmax(node: Node) -> Node:
    """Let a softmax be computed by compiled loops."""
    softmax = node.operation
    if type(softmax) is not Softmax:
        return node
    given = {field.name: getattr(softmax, field.name) for field in fields(softmax)}
    return replace(node, operation=CompiledSoftmax(**given))
