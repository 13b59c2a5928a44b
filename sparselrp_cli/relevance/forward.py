"""The forward pass of one batch: every tensor of the graph, and what operations remember."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sparselrp_cli.graph.beside import NO_ROWS
from sparselrp_cli.graph.canonical import Node
from sparselrp_cli.graph.operation import At
from sparselrp_cli.graph.shapes import Samples
from sparselrp_cli.relevance.program import Program
from sparselrp_cli.relevance.rows import MemoryOrder
from sparselrp_cli.relevance.step import Denominators, StepResult, propagate


@dataclass(frozen=True, slots=True)
class ForwardPass:
    """One batch in a program.

    Attributes
    ----------
    program : Program
    samples : dict of str to Samples
        Where samples lie in each tensor.
    values : dict of str to Tensor
        By name of the node that made it, and the input's.
    memos : dict of str to Any
        What operations remember.
    denominators : Denominators
    once : bool
        Whether a single walk follows, which then takes tensors out as it goes.
    """

    program: Program
    samples: dict[str, Samples]
    values: dict[str, Tensor]
    memos: dict[str, Any]
    denominators: Denominators
    once: bool

    @classmethod
    def run(
        cls, program: Program, x: Tensor, given: Mapping[str, Tensor] = NO_ROWS, *, once: bool = False
    ) -> "ForwardPass":
        """Compute a batch; `given` are values of nodes that aren't computed: inputs beside the sequence."""
        graph = program.graph
        values, memos, n = {graph.input: x, **given}, {}, x.shape[0]
        for node in graph.nodes:
            if node.name in given:
                continue
            value, memo = node.operation.forward(*[values[i] for i in node.inputs])
            values[node.name] = value
            if memo is not None:
                memos[node.name] = memo
        denominators = Denominators(not once, frozenset(program.masked_readings))
        return cls(program, program.samples(n), values, memos, denominators, once)

    def at(self, node: Node) -> At:
        """Give what an operation read, made and remembered."""
        inputs = tuple(self.values[name] for name in node.inputs)
        return At(inputs, self.values[node.name], self.memos.get(node.name))

    def order(self, name: str) -> MemoryOrder:
        """Say how samples and neurons of a tensor lie in memory."""
        return MemoryOrder.of(self.values[name], self.samples[name])

    def step(self, node: Node, c: Tensor) -> StepResult:
        """Carry the multiplier at a layer's output to its input, by the layer's rule."""
        a, z, samples = self.values[node.inputs[0]], self.values[node.name], self.samples[node.name]
        return propagate(self.program.layers[node.name], node.name, a, z, c, samples, self.denominators)

    def let_go(self, name: str) -> None:
        """Let go of a tensor that only other walks would need."""
        if self.once:
            self.values.pop(name, None)
            self.memos.pop(name, None)


def accumulate(totals: dict[str, Tensor], name: str, part: Tensor | None) -> None:
    """Add to what a tensor was given before; None adds nothing."""
    if part is not None:
        totals[name] = totals[name] + part if name in totals else part
