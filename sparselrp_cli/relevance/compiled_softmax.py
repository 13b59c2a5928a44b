"""Softmax along the last axis in compiled passes back; scores of attention are large, and torch makes ten."""

from dataclasses import dataclass, fields, replace

from torch import Tensor

from sparselrp_cli.graph.canonical import Node
from sparselrp_cli.graph.operation import At, Pulled
from sparselrp_cli.graph.operations.softmax import Softmax
from sparselrp_cli.relevance import kernels


@dataclass(frozen=True, eq=False)
class CompiledSoftmax(Softmax):
    """A softmax that carries back what `Softmax` does, to rounding.

    What its constant absorbs is given by row. What the loops don't take is carried back by `Softmax` itself.
    """

    def pull(self, c: Tensor, at: At) -> Pulled:
        if not self._fits(c):
            return super().pull(c, at)
        return (kernels.pull_softmax(at.memo, c),)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        if not self._fits(c):
            return super().absorbed(c, at)
        return kernels.softmax_constants(at.inputs[0], at.memo, c)

    def _fits(self, c: Tensor) -> bool:
        last = self.axis % c.dim() == c.dim() - 1
        return last and not self.logarithm and kernels.is_compiled(c) and c.numel() > 0


def compiled_softmax(node: Node) -> Node:
    """Let a softmax be carried back by compiled loops."""
    softmax = node.operation
    if type(softmax) is not Softmax:
        return node
    given = {field.name: getattr(softmax, field.name) for field in fields(softmax)}
    return replace(node, operation=CompiledSoftmax(**given))
