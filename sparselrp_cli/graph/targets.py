"""Targets: which number of a model's output is explained.

A target is a linear functional of one output tensor, written as users type it: ``TASK``, ``OUTPUT/TASK``,
``@POSITION``, ``@START:END``, ``@profile``, and ``A-B`` for a contrast.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sparselrp_cli.errors import TargetError
from sparselrp_cli.graph.canonical import GraphOutput
from sparselrp_cli.graph.shapes import Samples, sample_axis, size
from sparselrp_cli.model.output_names import OutputNames


@dataclass(frozen=True, slots=True)
class Term:
    """A share of a target: the mean over `positions` of one task of one output, times `sign`.

    With `profile` it is the shape of a profile of logits instead (Avsec et al. 2021): the sum of the logits
    weighed by their softmax, held constant, less their mean; over all tasks together where `task` is None.
    """

    output: int
    task: int | None
    positions: tuple[int, int] | None
    sign: int = 1
    profile: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A named sum of terms."""

    name: str
    terms: tuple[Term, ...]

    def mirrored(self, outputs: Sequence[GraphOutput], names: Sequence[OutputNames]) -> "Target":
        """Give the target for the reverse complement of a window: its positions counted from the end."""
        terms = []
        for term in self.terms:
            if term.positions is not None:
                length = _axis_length(outputs[term.output], names[term.output], "P")
                start, end = term.positions
                term = replace(term, positions=(length - end, length - start))
            terms.append(term)
        return Target(self.name, tuple(terms))

    def extents(
        self, outputs: Sequence[GraphOutput], names: Sequence[OutputNames]
    ) -> list[tuple[int, int | None, int, int]]:
        """Say for each term which positions of which output it concerns.

        Returns
        -------
        list of (output, axis, start, stop)
            The axis is None where it concerns all positions, or the output has none.
        """
        found: list[tuple[int, int | None, int, int]] = []
        for term in self.terms:
            axes = _axes(len(outputs[term.output].shape), names[term.output])
            if term.positions is None or term.profile or "P" not in axes:
                found.append((term.output, None, 0, 0))
            else:
                found.append((term.output, axes.index("P"), *term.positions))
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
            index = _index(y.dim(), names[term.output], term)
            samples = Samples.of(output.shape, y.shape[sample_axis(output.shape)])
            seed[index] = seed[index] + term.sign * _weights(y, index, term, samples)
        return seeds


def _weights(y: Tensor, index: tuple[slice | int, ...], term: Term, samples: Samples) -> Tensor | float:
    """Give the weights of the chosen entries: equal ones, or those of a profile."""
    chosen = y[index]
    count = max(chosen.numel() // samples.n, 1)
    if not term.profile:
        return 1 / count
    flat = chosen.reshape(samples.n, -1)
    return (flat.softmax(1) - 1 / count).reshape(chosen.shape)


def _index(n_axes: int, names: OutputNames, term: Term) -> tuple[slice | int, ...]:
    index: list[slice | int] = [slice(None)] * n_axes
    axes = _axes(n_axes, names)
    if term.task is not None:
        index[axes.index("T")] = term.task
    if term.positions is not None:
        index[axes.index("P")] = slice(*term.positions)
    return tuple(index)


def _axes(n_axes: int, names: OutputNames) -> str:
    """Say what the axes of an output are."""
    if n_axes == 1:
        return "N"
    if n_axes == 2:
        return "NP" if names.axes == "NP" else "NT"
    if n_axes == 3:
        return names.axes if len(names.axes) == 3 else "NTP"
    raise TargetError(
        f"output '{names.name}' has {n_axes} axes; at most samples, tasks and positions are known"
    )


def _axis_length(output: GraphOutput, names: OutputNames, axis: str) -> int:
    axes = _axes(len(output.shape), names)
    return size(output.shape, axes.index(axis)) if axis in axes else 1


class TargetParser:
    """Reads targets for one model.

    Parameters
    ----------
    outputs : sequence of GraphOutput
    names : sequence of OutputNames, one for each output
    """

    def __init__(self, outputs: Sequence[GraphOutput], names: Sequence[OutputNames]) -> None:
        self.outputs = outputs
        self.names = names

    def default(self) -> Target:
        """Give the only target there is.

        Raises
        ------
        TargetError
            If the model has several outputs, tasks or positions to choose from.
        """
        one = len(self.outputs) == 1 and all(
            _axis_length(self.outputs[0], self.names[0], axis) == 1 for axis in "TP"
        )
        if not one:
            raise TargetError(f"the model has several targets; choose with --target among {self._choices()}")
        names = self.names[0]
        return Target(names.tasks[0] if names.tasks else names.name, self.any_target().terms)

    def any_target(self) -> Target:
        """Give some target, the first task of the first output, for checks."""
        names = self.names[0]
        task = 0 if "T" in _axes(len(self.outputs[0].shape), names) else None
        return Target(names.name, (Term(0, task, None),))

    def parse(self, text: str) -> Target:
        """Read a target.

        Raises
        ------
        TargetError
            If it names nothing in the model.
        """
        try:
            return Target(text, (self._term(text),))
        except TargetError as error:
            failure = error
        for i in [m.start() for m in re.finditer("-", text)]:
            try:
                first, second = self._term(text[:i]), self._term(text[i + 1 :])
            except TargetError:
                continue
            return Target(text, (first, replace(second, sign=-1)))
        raise failure

    def _term(self, text: str) -> Term:
        what, at, where = text.partition("@")
        profile = at == "@" and where.strip() == "profile"
        output, task = self._output_and_task(what.strip(), text, all_tasks=profile)
        axes = _axes(len(self.outputs[output].shape), self.names[output])
        if not at:
            return Term(output, task, None)
        if "P" not in axes:
            raise TargetError(f"target '{text}': output '{self.names[output].name}' has no positions")
        if profile:
            return Term(output, task, None, profile=True)
        length = _axis_length(self.outputs[output], self.names[output], "P")
        return Term(output, task, _positions(where, length, text))

    def _output_and_task(self, what: str, text: str, *, all_tasks: bool) -> tuple[int, int | None]:
        prefix, slash, rest = what.rpartition("/")
        if slash and (output := self._output(prefix)) is not None:
            return output, self._task(output, rest, text)
        if (output := self._output(what)) is not None and len(self.outputs) > 1:
            return output, self._only_task(output, text, all_tasks=all_tasks)
        if len(self.outputs) == 1:
            if what and (output is None or what in self.names[0].tasks):
                return 0, self._task(0, what, text)
            return 0, self._only_task(0, text, all_tasks=all_tasks)
        found = [(i, names.tasks.index(what)) for i, names in enumerate(self.names) if what in names.tasks]
        if len(found) == 1:
            return found[0]
        if found:
            raise TargetError(f"target '{text}': several outputs have a task '{what}'; write OUTPUT/{what}")
        raise self._unknown(text)

    def _output(self, name: str) -> int | None:
        for i, names in enumerate(self.names):
            if names.name == name:
                return i
        return None

    def _only_task(self, output: int, text: str, *, all_tasks: bool) -> int | None:
        axes = _axes(len(self.outputs[output].shape), self.names[output])
        if "T" not in axes or all_tasks:
            return None
        if _axis_length(self.outputs[output], self.names[output], "T") == 1:
            return 0
        raise TargetError(f"target '{text}' leaves the task open; choose among {self._choices()}")

    def _task(self, output: int, task: str, text: str) -> int | None:
        names = self.names[output]
        if task in names.tasks:
            return names.tasks.index(task)
        count = _axis_length(self.outputs[output], names, "T")
        if task.isascii() and task.isdigit():
            if int(task) < count:
                return int(task) if "T" in _axes(len(self.outputs[output].shape), names) else None
            raise TargetError(
                f"target '{text}': there is no task {task}; tasks are numbered 0 to {count - 1}"
            )
        raise self._unknown(text)

    def _unknown(self, text: str) -> TargetError:
        known = [n.name for n in self.names] + [t for n in self.names for t in n.tasks]
        near = difflib.get_close_matches(text, known, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return TargetError(f"unknown target '{text}'{hint} The model has {self._choices()}")

    def _choices(self) -> str:
        """List what can be explained, for messages."""
        words = []
        for output, names in zip(self.outputs, self.names, strict=True):
            count = _axis_length(output, names, "T")
            tasks = ", ".join(names.tasks[:8]) + (", ..." if len(names.tasks) > 8 else "")
            tasks = tasks or ("one task" if count == 1 else f"0 to {count - 1}")
            length = _axis_length(output, names, "P")
            positions = f" @0:{length}" if length > 1 else ""
            words.append(f"{names.name}/{{{tasks}}}{positions}")
        return "; ".join(words)


def _positions(where: str, length: int, text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?::(\d+))?", where, re.ASCII)
    if not match:
        raise TargetError(f"target '{text}': a position is written @POSITION, @START:END or @profile")
    start = int(match[1])
    end = int(match[2]) if match[2] else start + 1
    if not start < end <= length:
        raise TargetError(f"target '{text}': the output has positions 0 to {length - 1}")
    return start, end
