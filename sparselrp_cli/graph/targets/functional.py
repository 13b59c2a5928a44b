"""A target as a functional: a sum of weighed means over entries of outputs, and of their logarithms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor

from sparselrp_cli.graph.canonical import GraphOutput
from sparselrp_cli.graph.shapes import Samples, sample_axis, sample_dim
from sparselrp_cli.graph.targets.axes import OutputAxes
from sparselrp_cli.model.output_names import OutputNames

Stretch = tuple[int, int]
"""A range of positions, half-open."""
Touched = Mapping[int, Tensor]
"""By output, which positions of each window lie under a block: bool, shape (N, positions)."""
NOTHING: Touched = MappingProxyType({})
"""What is touched where no target reads blocks."""


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
    blocks : bool
        Take the positions under the blocks of each window's region, of each window its own.
    """

    output: int
    task: int | range | None
    positions: Stretch | None
    weight: float = 1
    profile: bool = False
    across: Stretch | None = None
    blocks: bool = False

    def axes(self, outputs: Sequence[GraphOutput], names: Sequence[OutputNames]) -> OutputAxes:
        """Give the axes of the term's output, as the term reads them."""
        axes = OutputAxes.of(outputs[self.output], names[self.output])
        return axes.as_square() if self.across is not None and axes.may_be_a_square else axes


@dataclass(frozen=True, slots=True)
class Logarithm:
    """A share of a target: the natural logarithm of a sum of terms, times `weight`."""

    terms: tuple[Term, ...]
    weight: float = 1


@dataclass(frozen=True, slots=True)
class Target:
    """A named sum of terms, and of logarithms of such sums."""

    name: str
    terms: tuple[Term, ...]
    logarithms: tuple[Logarithm, ...] = ()

    @property
    def every_term(self) -> tuple[Term, ...]:
        """All terms, those of logarithms with the weights they have inside."""
        return (*self.terms, *(term for each in self.logarithms for term in each.terms))

    def of_output(self, output: int) -> "Target":
        """Leave of the target the terms that read one output."""
        inside = [tuple(t for t in each.terms if t.output == output) for each in self.logarithms]
        kept = zip(inside, self.logarithms, strict=True)
        return Target(
            self.name,
            tuple(t for t in self.terms if t.output == output),
            tuple(Logarithm(terms, each.weight) for terms, each in kept if terms),
        )

    @property
    def with_blocks(self) -> tuple[int, ...]:
        """Number the outputs that are read under blocks."""
        return tuple(dict.fromkeys(term.output for term in self.every_term if term.blocks))

    def read(self) -> "Target":
        """Give a sum that reads every entry which the target may read, whatever the outputs hold."""
        terms = tuple(replace(term, blocks=False) for term in self.every_term)
        if self.logarithms:
            terms = tuple(replace(term, weight=abs(term.weight)) for term in terms)
        return Target(self.name, terms)

    def mirrored(self, outputs: Sequence[GraphOutput], names: Sequence[OutputNames]) -> "Target":
        """Give the target for the reverse complement of a window: its positions counted from the end."""

        def turned(terms: tuple[Term, ...]) -> tuple[Term, ...]:
            return tuple(_mirrored(t, t.axes(outputs, names)) for t in terms)

        inside = tuple(replace(each, terms=turned(each.terms)) for each in self.logarithms)
        return Target(self.name, turned(self.terms), inside)

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
        for term in self.every_term:
            letters = term.axes(outputs, names).letters
            if term.positions is None or term.profile or "P" not in letters:
                found.append((term.output, None, 0, 0))
            else:
                found.append((term.output, letters.index("P"), *term.positions))
        return found

    def seeds(
        self,
        outputs: Sequence[GraphOutput],
        names: Sequence[OutputNames],
        values: Mapping[str, Tensor],
        touched: Touched = NOTHING,
    ) -> dict[str, Tensor]:
        """Make the functional's weights for a batch, by output node, shaped as the outputs.

        Those of a logarithm are its slope at the very values, which is NaN where what it is of isn't
        positive. Those of blocks are NaN where no position lies under one.

        Parameters
        ----------
        outputs : sequence of GraphOutput
        names : sequence of OutputNames, one for each output
        values : mapping of str to Tensor
            By node.
        touched : mapping of int to Tensor of bool, shape (N, positions)
            Of the outputs that are read under blocks, which positions lie under one.
        """
        seeds = _summed(self.terms, outputs, names, values, touched)
        for each in self.logarithms:
            inside = _summed(each.terms, outputs, names, values, touched)
            slope = each.weight / _positive(_value(inside, outputs, values))
            for node, part in inside.items():
                part = part * _per_sample(slope, part, node, outputs)
                seeds[node] = seeds[node] + part if node in seeds else part
        return seeds

    def beyond(
        self,
        outputs: Sequence[GraphOutput],
        names: Sequence[OutputNames],
        values: Mapping[str, Tensor],
        touched: Touched = NOTHING,
    ) -> Tensor | float:
        """Give what the target is beside the sum of all entries times their `seeds`, shape (N,).

        A sum of terms is that alone. The logarithm of ``f`` is ``log f``, and its entries times its slopes
        add up to 1.
        """
        more: Tensor | float = 0.0
        for each in self.logarithms:
            value = _value(_summed(each.terms, outputs, names, values, touched), outputs, values)
            more = more + each.weight * (_positive(value).log() - 1)
        return more


def _summed(
    terms: Sequence[Term], outputs: Sequence[GraphOutput], names: Sequence[OutputNames],
    values: Mapping[str, Tensor], touched: Touched,
) -> dict[str, Tensor]:  # fmt: skip
    """Give the weights of a sum of terms, by output node."""
    seeds: dict[str, Tensor] = {}
    for term in terms:
        output = outputs[term.output]
        y = values[output.node]
        seed = seeds.setdefault(output.node, torch.zeros_like(y))
        letters = term.axes(outputs, names).letters
        index = _index(letters, term)
        if term.blocks:
            weights: Tensor | float = _under_blocks(y[index], letters, term, touched[term.output])
        else:
            weights = _weights(y, index, term, _samples(y, output))
        seed[index] = seed[index] + term.weight * weights
    return seeds


def _value(
    weights: Mapping[str, Tensor], outputs: Sequence[GraphOutput], values: Mapping[str, Tensor]
) -> Tensor:
    """Sum the entries times their weights, in float64: shape (N,)."""
    of_node = {output.node: output for output in outputs}
    return torch.stack(
        [
            _samples(values[node], of_node[node]).sums(values[node].double() * part.double())
            for node, part in weights.items()
        ]
    ).sum(0)


def _positive(value: Tensor) -> Tensor:
    """Put NaN where a value isn't positive, so that nothing is taken for the logarithm of it."""
    return torch.where(value > 0, value, torch.nan)


def _per_sample(numbers: Tensor, like: Tensor, node: str, outputs: Sequence[GraphOutput]) -> Tensor:
    """Spread a number a sample over a tensor's shape."""
    samples = _samples(like, next(output for output in outputs if output.node == node))
    rows = numbers[:, None].expand(samples.n, like.numel() // max(samples.n, 1))
    return samples.shaped(rows, like).to(like.dtype)


def _samples(y: Tensor, output: GraphOutput) -> Samples:
    n_samples = y.shape[sample_axis(output.shape)] // sample_dim(output.shape).multiple
    return Samples.of(output.shape, n_samples)


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


def _under_blocks(chosen: Tensor, letters: str, term: Term, touched: Tensor) -> Tensor:
    """Give equal weights to the positions that are touched, of all chosen tasks."""
    left = letters if term.task is None or isinstance(term.task, range) else letters.replace("T", "")
    shape = [chosen.shape[axis] if letter in "NP" else 1 for axis, letter in enumerate(left)]
    n_tasks = chosen.shape[left.index("T")] if "T" in left else 1
    share = touched.double() / (touched.sum(1, keepdim=True) * n_tasks)
    return share.to(chosen.dtype).reshape(shape)
