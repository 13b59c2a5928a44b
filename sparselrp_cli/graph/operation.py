"""What every kind of operation has in common.

A kind is a class in a file of `graph.operations`, which holds everything that is known of it: how it is
computed, how relevance passes it, what is left of it in a cropped graph, and which ATen functions it stands
for. Nothing else needs to be touched to add one; see docs/developers/adding.md.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from sparselrp_cli.graph.shapes import Dim, Span, carried, numbers, sample_dim, size

Pulled = tuple[Tensor | None, ...]
"""A multiplier for each input, shaped as it; None for one that gets no relevance."""


@dataclass(frozen=True, slots=True)
class At:
    """The place that a multiplier is carried through: one operation in one batch.

    Attributes
    ----------
    inputs : tuple of Tensor
        What the operation read.
    output : Tensor
        What it made.
    memo : Any
        What its `forward` remembered beside that.
    """

    inputs: tuple[Tensor, ...]
    output: Tensor
    memo: Any = None


@dataclass(frozen=True, slots=True)
class Cropped:
    """An operation that makes only a span of its output.

    Attributes
    ----------
    operation : Operation
        What it is then.
    inputs : tuple of Span
        What it reads of each input.
    zeros : tuple of (int, int)
        How many zeros it reads before and after that, as its padding was.
    """

    operation: "Operation"
    inputs: tuple[Span, ...]
    zeros: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Lies:
    """Where the positions of an output lie on an input: number ``p`` is centred at ``step * p + offset``.

    Attributes
    ----------
    axis : int
        Of the input.
    step, offset : float
    """

    axis: int
    step: float = 1.0
    offset: float = 0.0

    @classmethod
    def evenly(cls, axis: int, length: int, of: int) -> "Lies":
        """Lay so many positions over an axis of length `of`, each over as much of it."""
        step = of / length
        return cls(axis, step, (step - 1) / 2)


class Operation(ABC):
    """One kind of operation of a canonical graph.

    In *multiplier form* a neuron with activation ``a`` has relevance ``r = a * c``; `pull` turns the
    multiplier ``c`` at the output into multipliers at the inputs.

    `forward` and `pull` make a kind. All else has an answer that is right for any kind, if not the most
    that could be said.
    """

    kind: ClassVar[str]
    """What the operation is called in tables and composites."""
    transport: ClassVar[bool] = False
    """Whether outputs are copies of single input neurons (or zeros)."""
    passes: ClassVar[str] = "in proportion; constants absorb"
    """How relevance passes, in a few words, for tables."""
    elementwise: ClassVar[bool] = False
    """Whether each neuron of the output is made of the one at its place in the input, and of constants."""
    takes_decisions: ClassVar[bool] = False
    """Whether the outcome of a comparison is for it a mask or a gate, which need no relevance."""
    reads_inputs: ClassVar[bool] = True
    """Whether `pull` or `absorbed` reads numbers of its inputs. Where they need shapes alone, say False: what
    nothing reads isn't kept for the walk, and is NaN there; see `relevance.keeping`."""
    reads_output: ClassVar[bool] = True
    """Whether `pull` or `absorbed` reads numbers of its output."""
    absorbs_tokens: ClassVar[bool] = False
    """Whether what it absorbs is the relevance of tokens that have no base."""

    @abstractmethod
    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        """Compute the output, and what `pull` wants to remember."""

    @abstractmethod
    def pull(self, c: Tensor, at: At) -> Pulled:
        """Carry the multiplier `c` from the output to each input.

        On a GPU the host must not wait here for a number (``bool``, ``item``, ``cpu``): find out what depends
        on constants when the operation is converted, and choose with `torch.where`.
        """

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        """Relevance that constants of this operation take, elementwise at the output; None if none."""
        return None

    def gradient(self, c: Tensor, at: At) -> Pulled:
        """Carry a derivative from the output to each input; as relevance is carried, unless a kind differs.

        Only of kinds that models end in, and of those that follow such ends; see `relevance.ends`.
        """
        return self.pull(c, at)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        """Whether the output has no negative value, given which inputs have none."""
        return False

    def passes_to(self, index: int) -> bool:
        """Whether relevance may get to an input; not where it only decides."""
        return True

    def carries_to(self, index: int) -> bool:
        """Whether `pull` gives an input a multiplier; not where it is a gate or a scale."""
        return self.passes_to(index)

    def reads_input(self, index: int) -> bool:
        """Whether `pull` or `absorbed` reads numbers of this input; see `reads_inputs`."""
        return self.reads_inputs

    def is_gate(self, inputs: Sequence[bool]) -> bool:
        """Whether the output is a scale for signals, given which inputs are: a product's signal takes all."""
        return False

    def end(self) -> str:
        """Name an increasing function that models end in to return probabilities or rates, or nothing.

        What goes into it is explained; see `relevance.ends`.
        """
        return ""

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        """Make only a span of the output; None where all of it is made, from all of the inputs.

        Parameters
        ----------
        span : Span
            Along an axis of positions, or of channels, never of samples.
        inputs, output : shapes
            Of the whole tensors.
        """
        return None

    def cropped_whole(self) -> Cropped | None:
        """Make the whole output from less than the whole inputs, where that can be; see `cropped`."""
        return None

    def positions(
        self, axis: int, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]
    ) -> tuple[Lies | None, ...]:
        """Say where the positions of an output's axis lie on each input; None where that isn't known.

        As `cropped` says. Without that an axis that is as long in an input is taken to be the same.

        Parameters
        ----------
        axis : int
            Never the samples'.
        inputs, output : shapes
            Of the whole tensors.
        """
        if found := self._positions_of_crops(axis, inputs, output):
            return found
        return tuple(
            Lies(axis) if len(shape) == len(output) and shape[axis] == output[axis] else None
            for shape in inputs
        )

    def _positions_of_crops(
        self, axis: int, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]
    ) -> tuple[Lies | None, ...]:
        """Say the same by two neighbouring positions in the middle; empty where they can't be cropped."""
        middle = size(output, axis) // 2 - 1
        if middle < 0:
            return ()
        here, there = (
            self.cropped(Span(axis, place, place + 1), inputs, output) for place in (middle, middle + 1)
        )
        if here is None or there is None:
            return ()
        found = []
        for first, second in zip(_centres(here), _centres(there), strict=True):
            step = second[1] - first[1]
            found.append(Lies(first[0], step, first[1] - step * middle) if step else None)
        return tuple(found)

    def laid(self, shape: tuple[Dim, ...], sources: Sequence[tuple[Dim, ...]]) -> tuple[Dim, ...]:
        """Say how samples lie in the output, whose sizes are `shape`, given how they lie in the inputs.

        Raises
        ------
        ValueError
            If they are mixed.
        """
        return shape if sample_dim(shape).multiple == 1 else carried(shape, sources[0])

    def describe(self) -> str:
        """Say the parameters in a few words, for tables."""
        return ""

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        """Count multiply-adds per sample: one a number unless the kind knows better."""
        return numbers(output)

    def turns(self, inputs: Sequence[Sequence[Dim]]) -> int:
        """Count how often its own loop, if it has one, goes round."""
        return 1


class Transport(Operation):
    """An operation that moves neurons without changing them: relevance is carried back exactly."""

    transport: ClassVar[bool] = True
    passes: ClassVar[str] = "moved"
    takes_decisions: ClassVar[bool] = True
    reads_inputs: ClassVar[bool] = False
    reads_output: ClassVar[bool] = False

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)

    def is_gate(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)


def _centres(cropped: Cropped) -> list[tuple[int, float]]:
    """Give the axis and the middle of what is read of each input, with the zeros around it."""
    left, right = cropped.zeros
    return [(span.axis, (span.start - left + span.stop + right - 1) / 2) for span in cropped.inputs]


def position_by_position(operation: Operation, span: Span, n_inputs: int = 1) -> Cropped:
    """Crop an operation each of whose outputs depends on the inputs at its own place alone."""
    return Cropped(operation, (span,) * n_inputs)


def narrowed(constant: Tensor, span: Span, output: Sequence[Dim]) -> Tensor:
    """Take of a constant, which is broadcast to an output, what a span of that reads."""
    axis = span.axis - len(output)
    if -axis > constant.dim() or constant.shape[axis] == 1:
        return constant
    return constant.narrow(axis, span.start, span.stop - span.start)


def map_tensors(operation: Operation, change: Callable[[Tensor], Tensor]) -> Operation:
    """Copy an operation with every tensor it holds replaced."""

    def changed(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(changed(v) for v in value)
        if isinstance(value, Operation):
            return map_tensors(value, change)
        return change(value) if isinstance(value, Tensor) else value

    fields = dataclasses.fields(operation)  # type: ignore[arg-type]
    values = {f.name: changed(getattr(operation, f.name)) for f in fields}
    return dataclasses.replace(operation, **values)  # type: ignore[type-var]


def tensors_of(operation: Operation) -> Iterator[Tensor]:
    """Give every tensor that an operation holds."""

    def found(value: Any) -> Iterator[Tensor]:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple):
            for part in value:
                yield from found(part)
        elif isinstance(value, Operation):
            yield from tensors_of(value)

    for field in dataclasses.fields(operation):  # type: ignore[arg-type]
        yield from found(getattr(operation, field.name))
