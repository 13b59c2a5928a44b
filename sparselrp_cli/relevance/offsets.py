"""Relevance that doesn't depend on the activation it is given to: rules flat, w-square and z-box.

These suit the layers that read the model's input, which they may read moved (transposed, padded, repeated)
or changed neuron by neuron (shifted, scaled, normalised). The offset, ``r = a c + offset``, is then carried
back: what changes each neuron alone passes relevance on, all else as its multiplier.
"""

from torch import Tensor

from sparselrp_cli.graph.canonical import Node
from sparselrp_cli.relevance.forward import ForwardPass, accumulate
from sparselrp_cli.relevance.ledger import Ledger


class Offsets:
    """The offsets of one walk, by tensor."""

    def __init__(self, forward: ForwardPass, ledger: Ledger) -> None:
        self.forward = forward
        self.ledger = ledger
        self._given: dict[str, Tensor] = {}

    def give(self, name: str, offset: Tensor | None) -> None:
        """Give relevance to a tensor, whatever it holds."""
        accumulate(self._given, name, offset)

    def move(self, node: Node) -> None:
        """Carry what the output of an operation was given to its inputs; padding keeps its part."""
        offset = self._given.pop(node.name, None)
        if offset is None:
            return
        if node.operation.elementwise:
            self.give(node.inputs[0], offset.sum_to_size(self.forward.values[node.inputs[0]].shape))
            return
        left = self.forward.samples[node.name].sums(offset)
        for name, part in zip(node.inputs, node.operation.pull(offset, self.forward.at(node)), strict=True):
            if part is not None:
                self.give(name, part)
                left = left - self.forward.samples[name].sums(part)
        self.ledger.to_bias += left

    def of(self, name: str) -> Tensor | None:
        """Give what a tensor was given, None if nothing."""
        return self._given.get(name)


def onto_bases(multiplier: Tensor, offset: Tensor, x: Tensor, base_axis: int) -> tuple[Tensor, Tensor]:
    """Put relevance that all four bases of a position got onto the base that is there [ours].

    A position's relevance is the sum over its bases, whichever is observed. What lies at positions without a
    base (N) is returned apart: it is absorbed.
    """
    at_position = offset.sum(base_axis, keepdim=True)
    outside = (1 - x.sum(base_axis, keepdim=True)) * at_position
    return multiplier + at_position, outside
