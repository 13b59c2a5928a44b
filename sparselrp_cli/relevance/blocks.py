"""Long convolutions, block of positions by block: a step then holds little beside its input and output.

A step makes denominators, shares and two kinds of what is carried, each as large as a layer's output. Of a
layer with a gigabyte of output that is most of a run's memory.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from sparselrp_cli.graph.operation import Cropped
from sparselrp_cli.graph.operations.convolution import Convolution
from sparselrp_cli.graph.pieces import LARGEST_PIECE
from sparselrp_cli.graph.shapes import Samples, Span
from sparselrp_cli.relevance.step import PreparedLayer, StepResult

Step = Callable[[PreparedLayer, Tensor, Tensor, Tensor], StepResult]
"""Takes a layer, its input, its output, and the multiplier there."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some positions of a layer's output, and what they read.

    Attributes
    ----------
    start, stop : int
        In the output.
    made : Cropped
        The layer that makes them.
    """

    start: int
    stop: int
    made: Cropped

    def of_output(self, values: Tensor) -> Tensor:
        """Take the block's part of a tensor shaped as the output, laid out as the whole is."""
        part = values[:, :, self.start : self.stop]
        return part.movedim(1, -1).contiguous().movedim(-1, 1)

    def of_input(self, values: Tensor) -> Tensor:
        """Take what the block reads of the input, with the zeros that its padding was."""
        (span,) = self.made.inputs
        part = values[:, :, span.start : span.stop]
        if any(self.made.zeros):
            part = functional.pad(part, self.made.zeros)
        return part.movedim(1, -1).contiguous().movedim(-1, 1)

    def add_to_input(self, total: Tensor, part: Tensor) -> None:
        """Add what the block gives to its part of the input; nothing lies in the zeros."""
        (span,) = self.made.inputs
        before = self.made.zeros[0]
        total[:, :, span.start : span.stop] += part[:, :, before : before + span.stop - span.start]


def blocks_of(prepared: PreparedLayer, a: Tensor, z: Tensor, samples: Samples) -> list[Block]:
    """Cut a convolution's output `z` (N, channels, positions) into blocks; none where it isn't long.

    How it is cut depends on the size of one window alone: in a batch a window gets the same.
    """
    layer = prepared.layer
    if not isinstance(layer, Convolution) or z.dim() != 3 or samples != Samples(len(z)):
        return []
    if any(branch.offset is not None for branch in prepared.branches):
        return []  # such contributions are those of positions, which zeros in the place of padding aren't
    positions = max(1, LARGEST_PIECE // z.shape[1])
    if z.shape[2] <= positions:
        return []
    bounds = [(start, min(start + positions, z.shape[2])) for start in range(0, z.shape[2], positions)]
    shapes = [tuple(a.shape)], tuple(z.shape)
    made = [layer.cropped(Span(2, start, stop), *shapes) for start, stop in bounds]
    # What reads nothing but padding has no part of its own.
    return [Block(*at, part) for at, part in zip(bounds, made, strict=True) if part] if all(made) else []


def step_by_block(
    blocks: list[Block], prepared: PreparedLayer, a: Tensor, z: Tensor, c: Tensor, step: Step
) -> StepResult:
    """Carry the multiplier `c` at a long convolution's output `z` to its input `a`, block by block."""
    multiplier = torch.zeros_like(a)
    to_bias = torch.zeros(len(z), dtype=torch.float64, device=z.device)
    to_stabiliser = to_bias.clone()
    for block in blocks:
        layer = block.made.operation
        if not isinstance(layer, Convolution):
            raise TypeError("a part of a convolution is one")
        inner = replace(prepared, layer=layer)
        found = step(inner, block.of_input(a), block.of_output(z), block.of_output(c))
        block.add_to_input(multiplier, found.multiplier)
        to_bias += found.to_bias
        to_stabiliser += found.to_stabiliser
    return StepResult(multiplier, to_bias, to_stabiliser)
