"""Targets of one model: read, defaulted and shown by example."""

from collections.abc import Collection, Iterator, Sequence

from sparselrp_cli.errors import TargetError
from sparselrp_cli.graph.canonical import GraphOutput
from sparselrp_cli.graph.targets.choices import Choices
from sparselrp_cli.graph.targets.functional import Logarithm, Target, Term
from sparselrp_cli.graph.targets.reading import Reading, settled
from sparselrp_cli.graph.targets.text import TargetText
from sparselrp_cli.graph.targets.words import UnknownError, is_index, quoted, quoted_if_needed
from sparselrp_cli.model.output_names import OutputNames

Settled = tuple[tuple[Term, ...], tuple[Logarithm, ...]]
"""Terms and logarithms that a target adds up."""


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
        self.choices = Choices(outputs, names)

    def default(self) -> Target:
        """Give the only target there is.

        Raises
        ------
        TargetError
            If the model has several outputs, tasks or positions to choose from, or nothing to explain.
        """
        if not self.choices.open:
            raise TargetError(self.choices.nothing())
        only = self.choices.only
        if only is None or set(self.choices.axes(only).lengths) != {1}:
            raise TargetError(
                f"the model has several targets; choose with --target among {self.choices.listed()}"
            )
        names = self.names[only]
        return Target(names.tasks[0] if names.tasks else names.name, self.any_target().terms)

    def any_target(self) -> Target:
        """Give some target, the first task of the first output that can be explained, for checks.

        Raises
        ------
        TargetError
            If nothing can be explained.
        """
        if not self.choices.open:
            raise TargetError(self.choices.nothing())
        output = self.choices.open[0]
        task = 0 if "T" in self.choices.axes(output).letters else None
        return Target(self.names[output].name, (Term(output, task, None),))

    def parse(self, text: str) -> Target:
        """Read a target.

        Raises
        ------
        TargetError
            If it names nothing in the model, or could be read in several ways; the message gives them.
        """
        reader = TargetText(text, self.choices)
        found: dict[Settled, Reading] = {}
        try:
            for reading in reader.readings():
                if reading.doubt is not None:
                    raise reading.doubt
                self._settle(reader, reading, found)
        except TargetError as error:
            raise _about(text, error) from error
        if not found:
            raise self._failure(text, reader.failure)
        if len(found) > 1:
            ways = " or ".join(reading.spelled for reading in list(found.values())[:3])
            raise TargetError(f"target '{text}' can be read in several ways; write {ways}")
        return Target(text, *next(iter(found)))

    def _failure(self, text: str, why: TargetError) -> TargetError:
        """Say why a text can't be read, and what its unknown word, or all of it, was perhaps meant to be."""
        if isinstance(why, UnknownError) and (near := self.choices.near(why.word, text.strip())):
            return _about(text, TargetError(f"{why}; did you mean {quoted(near)}?"))
        return _about(text, why)

    def _settle(self, reader: TargetText, reading: Reading, found: dict[Settled, Reading]) -> None:
        try:
            found.setdefault(settled(reading, self.choices), reading)
        except TargetError as error:
            reader.fail(len(reader.text) + 1, error)  # it could be read, up to the end

    def examples(self, positive: Collection[int] = (), binned: Collection[int] = ()) -> list[str]:
        """Give a few targets that can be typed for this very model.

        Parameters
        ----------
        positive : collection of int
            Outputs whose values are always above 0, so that they have logarithms.
        binned : collection of int
            Outputs whose positions are bins of several bp, which is known, so that they can be read under
            blocks.
        """
        candidates = self._candidates(positive, binned)
        return [text for text in dict.fromkeys(candidates) if self._is_read(text)]

    def _is_read(self, text: str) -> bool:
        try:
            self.parse(text)
        except TargetError:
            return False
        return True

    def _candidates(self, positive: Collection[int], binned: Collection[int]) -> Iterator[str]:
        for output in self.choices.open:
            axes = self.choices.axes(output)
            prefix = "" if self.choices.only is not None else f"{self._called(output)}/"
            first, last = (f"{prefix}{self._spelled(output, n)}" for n in (0, axes.n_tasks - 1))
            where = _somewhere(axes.position_lengths)
            yield first + where
            if axes.n_tasks > 1:
                yield f"{last}{where}-{first}{where}"
                yield f"{prefix}*{where}"
            if axes.n_tasks > 1 and output in positive:
                yield f"log({last}{where})-log({first}{where})"
            if axes.n_tasks > 2:
                yield f"{prefix}0:2{where}"
            if len(axes.position_lengths) == 2:
                yield f"{first}@{axes.position_lengths[0] // 3}x:"
            if axes.may_be_a_square:
                yield f"{prefix.removesuffix('/')}{_somewhere(axes.as_square().position_lengths)}"
            if len(axes.position_lengths) == 1:
                yield f"{first}@centre"
            if len(axes.position_lengths) == 1 and axes.position_lengths[0] > 1:
                yield f"{first}@profile"
            if output in binned:
                yield f"{first}@blocks"

    def _called(self, output: int) -> str:
        """Write an output by its name, or by its number where others have its name."""
        names = [n.name for n in self.names]
        return quoted_if_needed(names[output]) if names.count(names[output]) == 1 else str(output)

    def _spelled(self, output: int, number: int) -> str:
        """Write a task by its name where it has one of its own, or else its index."""
        tasks = self.names[output].tasks
        name = tasks[number] if number < len(tasks) else ""
        has_its_own = name and tasks.count(name) == 1 and not is_index(name)
        return quoted_if_needed(name) if has_its_own else self.choices.index_of(output, number)


def _somewhere(lengths: Sequence[int]) -> str:
    """Write a range in the middle of each axis of positions."""
    if not lengths or max(lengths) == 1:
        return ""
    if len(lengths) == 2:
        return "@" + "x".join(f"{n // 3}" if i == 0 else f"{n - 1 - n // 3}" for i, n in enumerate(lengths))
    (length,) = lengths
    return f"@{length // 3}:{length - length // 3}"


def _about(text: str, error: TargetError) -> TargetError:
    """Say which target an error is about."""
    message = str(error)
    if message.startswith(f"unknown target '{text}'"):
        return TargetError(message)
    return TargetError(f"target '{text}': {message}")
