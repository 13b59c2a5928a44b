"""The forward pass of one batch: the tensors that the walk reads, and what operations remember."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sparselrp_cli.graph.beside import NO_ROWS
from sparselrp_cli.graph.canonical import Node
from sparselrp_cli.graph.operation import At
from sparselrp_cli.graph.shapes import Samples
from sparselrp_cli.relevance.blocks import blocks_of, step_by_block
from sparselrp_cli.relevance.keeping import Keeping, Stretch, hollow
from sparselrp_cli.relevance.pace import Pace
from sparselrp_cli.relevance.program import Program
from sparselrp_cli.relevance.rows import MemoryOrder
from sparselrp_cli.relevance.step import Denominators, PreparedLayer, StepResult, propagate


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
    keeping : Keeping
        Which tensors are there, and which are computed again on the way back.
    given : mapping of str to Tensor
        Inputs beside the sequence, by the node that stands for each.
    pace : Pace or None
        Is told of each operation.
    """

    program: Program
    samples: dict[str, Samples]
    values: dict[str, Tensor]
    memos: dict[str, Any]
    denominators: Denominators
    once: bool
    keeping: Keeping
    given: Mapping[str, Tensor]
    pace: Pace | None

    @classmethod
    def run(
        cls, program: Program, x: Tensor, keeping: Keeping, given: Mapping[str, Tensor] = NO_ROWS,
        *, once: bool = False, pace: Pace | None = None,
    ) -> "ForwardPass":  # fmt: skip
        """Compute a batch; `given` are values of nodes that aren't computed: inputs beside the sequence."""
        # Where memory is short, denominators aren't kept for other walks either.
        kept = not once and not keeping.again
        denominators = Denominators(kept, frozenset(program.masked_readings))
        values, samples = {program.graph.input: x}, program.samples(x.shape[0])
        found = cls(program, samples, values, {}, denominators, once, keeping, given, pace)
        found.compute(keeping.first)
        return found

    def compute(self, stretch: Stretch) -> None:
        """Compute nodes one after the other, and keep what the stretch says."""
        for node in stretch.nodes:
            value, memo = self._computed(node)
            self.values[node.name] = value
            if memo is not None and node.name in stretch.remembered:
                self.memos[node.name] = memo
            for name in stretch.done_with.get(node.name, ()):
                self.values[name] = hollow(self.values[name])
            if self.pace is not None:
                self.pace.computed(node)

    def _computed(self, node: Node) -> tuple[Tensor, Any]:
        if node.name in self.given:
            return self.given[node.name], None
        return node.operation.forward(*[self.values[name] for name in node.inputs])

    def reach(self, node: Node) -> None:
        """Be ready for the walk at a node: compute again what it reads from here on."""
        if (stretch := self.keeping.again.get(node.name)) is not None:
            self.compute(stretch)

    def leave(self, node: Node) -> None:
        """Let go of what was computed again for the nodes down to this one, if other walks follow."""
        if self.pace is not None:
            self.pace.walked(node)
        stretch = self.keeping.over.get(node.name)
        if stretch is None or self.once:
            return  # a single walk takes out each tensor as it goes
        for inner in stretch.nodes:
            if inner.name in self.program.read_again:
                continue
            self.memos.pop(inner.name, None)
            if inner.name not in self.keeping.kept:
                self.values[inner.name] = hollow(self.values[inner.name])

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
        layer = self.program.layers[node.name]

        def step(layer: PreparedLayer, a: Tensor, z: Tensor, c: Tensor) -> StepResult:
            return propagate(layer, node.name, a, z, c, samples, self.denominators)

        blocks = [] if self.denominators.keeps(node.name) else blocks_of(layer, a, z, samples)
        return step_by_block(blocks, layer, a, z, c, step) if blocks else step(layer, a, z, c)

    def let_go(self, name: str) -> None:
        """Let go of a tensor that only other walks would need."""
        if self.once:
            self.values.pop(name, None)
            self.memos.pop(name, None)


def accumulate(totals: dict[str, Tensor], name: str, part: Tensor | None) -> None:
    """Add to what a tensor was given before; None adds nothing."""
    if part is not None:
        totals[name] = totals[name] + part if name in totals else part
