"""A target as a linear functional: a sum of weighed means over entries of outputs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sparselrp_cli.graph.canonical import GraphOutput
from sparselrp_cli.graph.shapes import Samples, sample_axis, sample_dim
from sparselrp_cli.graph.targets.axes import OutputAxes
from sparselrp_cli.model.output_names import OutputNames

Stretch = tuple[int, int]
"""A range of positions, half-open."""


@dataclass(frozen=True, slots=True)
class Term:
    """A share of a target: the mean over some entries of one output, times `weight`.

    Attributes
    ----------
    output : int
    task : int or range or None
        None is all tasks together, or the only entry where there is no axis of tasks.
    positions : (start, end) or None
        None is all of them.
    weight : float
    profile : bool
        Take the shape of a profile of logits instead of the mean (Avsec et al. 2021): the sum of the logits
        weighed by their softmax, held constant, less their mean; over all tasks jointly where `task` is None.
    across : (start, end) or None
        Of a map by pairs of positions, the positions of the second bin.
    """

    output: int
    task: int | range | None
    positions: Stretch | None
    weight: float = 1
    profile: bool = False
    across: Stretch | None = None

    def axes(self, outputs: Sequence[GraphOutput], names: Sequence[OutputNames]) -> OutputAxes:
        """Give the axes of the term's output, as the term reads them."""
        axes = OutputAxes.of(outputs[self.output], names[self.output])
        return axes.as_square() if self.across is not None and axes.may_be_a_square else axes


@dataclass(frozen=True, slots=True)
class Target:
    """A named sum of terms."""

    name: str
    terms: tuple[Term, ...]

    def mirrored(self, outputs: Sequence[GraphOutput], names: Sequence[OutputNames]) -> "Target":
        """Give the target for the reverse complement of a window: its positions counted from the end."""
        return Target(self.name, tuple(_mirrored(t, t.axes(outputs, names)) for t in self.terms))

    def extents(
        self, outputs: Sequence[GraphOutput], names: Sequence[OutputNames]
    ) -> list[tuple[int, int | None, int, int]]:
        """Say for each term which positions of which output it concerns.

        Returns
        -------
        list of (output, axis, start, stop)
            The axis is None where it concerns all positions, or the output has none. Of pairs of positions,
            it is the axis of the first.
        """
        found: list[tuple[int, int | None, int, int]] = []
        for term in self.terms:
            letters = term.axes(outputs, names).letters
            if term.positions is None or term.profile or "P" not in letters:
                found.append((term.output, None, 0, 0))
            else:
                found.append((term.output, letters.index("P"), *term.positions))
        return found

    def seeds(
        self, outputs: Sequence[GraphOutput], names: Sequence[OutputNames], values: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Make the functional's weights for a batch, by output node, shaped as the outputs."""
        seeds: dict[str, Tensor] = {}
        for term in self.terms:
            output = outputs[term.output]
            y = values[output.node]
            seed = seeds.setdefault(output.node, torch.zeros_like(y))
            index = _index(term.axes(outputs, names).letters, term)
            n_samples = y.shape[sample_axis(output.shape)] // sample_dim(output.shape).multiple
            samples = Samples.of(output.shape, n_samples)
            seed[index] = seed[index] + term.weight * _weights(y, index, term, samples)
        return seeds


def _mirrored(term: Term, axes: OutputAxes) -> Term:
    lengths = axes.position_lengths
    if term.positions is None or not lengths:
        return term
    across = None if term.across is None else _turned(term.across, lengths[-1])
    return replace(term, positions=_turned(term.positions, lengths[0]), across=across)


def _turned(stretch: Stretch, length: int) -> Stretch:
    start, end = stretch
    return length - end, length - start


def _index(letters: str, term: Term) -> tuple[slice | int, ...]:
    """Give the index of the term's entries in its output."""
    index: list[slice | int] = [slice(None)] * len(letters)
    if term.task is not None:
        task = term.task
        index[letters.index("T")] = slice(task.start, task.stop) if isinstance(task, range) else task
    if term.positions is not None:
        index[letters.index("P")] = slice(*term.positions)
    if term.across is not None:
        index[letters.rindex("P")] = slice(*term.across)
    return tuple(index)


def _weights(y: Tensor, index: tuple[slice | int, ...], term: Term, samples: Samples) -> Tensor | float:
    """Give the weights of the chosen entries: equal ones, or those of a profile."""
    chosen = y[index]
    count = max(chosen.numel() // samples.n, 1)
    if not term.profile:
        return 1 / count
    rows = samples.rows(chosen)
    return samples.shaped(rows.softmax(1) - 1 / count, chosen)
