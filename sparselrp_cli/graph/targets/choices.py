"""What a model offers to explain: its outputs and tasks by name and by number."""

import difflib
from collections.abc import Sequence

from sparselrp_cli.errors import TargetError
from sparselrp_cli.graph.canonical import GraphOutput
from sparselrp_cli.graph.targets.axes import OutputAxes, obstacle
from sparselrp_cli.graph.targets.positions import whole
from sparselrp_cli.graph.targets.words import (
    SIGNS,
    AmbiguousError,
    Chosen,
    Numbers,
    Selection,
    UnknownError,
    Word,
    is_index,
    quoted,
    quoted_if_needed,
)
from sparselrp_cli.model.output_names import OutputNames

ONLY_OUTPUT = "output"
"""What the only output there is may always be called."""
LONGEST_NAME = 200
"""Characters of a word that is compared with the model's names."""
_SHOWN = 8


class Choices:
    """Finds outputs and tasks of one model.

    Parameters
    ----------
    outputs : sequence of GraphOutput
    names : sequence of OutputNames, one for each output
    """

    def __init__(self, outputs: Sequence[GraphOutput], names: Sequence[OutputNames]) -> None:
        self.outputs = tuple(outputs)
        self.names = tuple(names)
        self.open = [i for i, output in enumerate(outputs) if not obstacle(output)]
        self._numbers = [_numbers_by_name(n.tasks) for n in names]
        self._axes = {i: OutputAxes.of(outputs[i], names[i]) for i in self.open}

    @property
    def only(self) -> int | None:
        """Give the only output that can be explained, or None where there are several or none."""
        return self.open[0] if len(self.open) == 1 else None

    def axes(self, output: int) -> OutputAxes:
        """Give the axes of an output.

        Raises
        ------
        TargetError
            If it can't be explained.
        """
        known = self._axes.get(output)
        return OutputAxes.of(self.outputs[output], self.names[output]) if known is None else known

    def with_signs(self) -> set[str]:
        """Give the names of outputs and tasks that hold signs of a target."""
        every = {name for n in self.names for name in (n.name, *n.tasks)}
        return {name for name in every if any(c in SIGNS or c.isspace() for c in name)}

    def find(self, chosen: Chosen) -> Selection:
        """Find what was chosen.

        Raises
        ------
        TargetError
            If there is no such thing, or several; the message gives their spellings.
        """
        if not self.open:
            raise TargetError(self.nothing())
        if chosen.output is not None:
            output = self._output(chosen.output)
            self.axes(output)
            return Selection(output, self._tasks(output, chosen.items))
        if chosen.items and len(chosen.items) == 1 and isinstance(chosen.items[0], Word):
            return self._word(chosen.items[0])
        if self.only is not None:
            return Selection(self.only, self._tasks(self.only, chosen.items))
        return self._in_some_output(chosen)

    def _word(self, word: Word) -> Selection:
        """Find what one bare word means: an output, or a task."""
        outputs = self._called(word)
        tasks = self._tasks_called(word)
        if not outputs and not tasks:
            raise self.unknown(word)
        if outputs and tasks and not self._same(outputs, tasks):
            raise self._output_or_task(word, outputs[0], tasks)
        if tasks:
            return self._the_only(word, tasks)
        output = self._output(word)
        axes = self.axes(output)
        return Selection(output, (range(1),) if "T" in axes.letters and axes.n_tasks == 1 else None)

    def _tasks_called(self, word: Word) -> list[Selection]:
        """Find a task in each output that has it; by number only where there is one output."""
        if self.only is not None:
            output = self.only
            found = self._numbers_of(output, word)
            if not found and (word.is_name or not is_index(word.text) or self._called(word)):
                return []
            return [Selection(output, self._tasks(output, (word,)))]
        having = [i for i in self.open if word.text in self._numbers[i]]
        return [Selection(i, self._tasks(i, (Word(word.text, is_name=True),))) for i in having]

    def _same(self, outputs: list[int], tasks: list[Selection]) -> bool:
        """Whether an output and a task are the same thing: the output has that task alone."""
        return [t.output for t in tasks] == outputs and self.axes(outputs[0]).n_tasks == 1

    def _the_only(self, word: Word, tasks: list[Selection]) -> Selection:
        if len(tasks) == 1:
            return tasks[0]
        ways = self._ways([f"{quoted_if_needed(self.names[t.output].name)}/{word.text}" for t in tasks])
        raise AmbiguousError(
            tasks[0], f"several outputs have a task '{word.text}'; write OUTPUT/{word.text}: {ways}"
        )

    def _output_or_task(self, word: Word, output: int, tasks: list[Selection]) -> AmbiguousError:
        spelled = [f"{quoted(self.names[t.output].name)}/{quoted(word.text)}" for t in tasks]
        ways = self._ways([*spelled, f"{quoted(self.names[output].name)}/TASK"])
        return AmbiguousError(tasks[0], f"'{word.text}' is an output and the name of a task; write {ways}")

    @staticmethod
    def _ways(spelled: Sequence[str]) -> str:
        return " or ".join(spelled[:3])

    def _called(self, word: Word) -> list[int]:
        """Find the outputs of a name."""
        found = [i for i, names in enumerate(self.names) if names.name == word.text]
        only = self.only
        if not found and only is not None and word.text == ONLY_OUTPUT not in self.names[only].tasks:
            return [only]
        return found

    def _output(self, word: Word) -> int:
        """Find an output by its name, or by its number where no output is called so."""
        found = self._called(word)
        if not found and not word.is_name and is_index(word.text):
            found = [number] if (number := _from_end(word.text, len(self.outputs))) is not None else []
        if not found:
            message = f"no output is called '{word.text}'; the model has {self.listed()}"
            raise UnknownError(word.text, message)
        if len(found) > 1:
            numbers = " and ".join(map(str, found))
            raise AmbiguousError(
                Selection(found[0], None),
                f"output '{word.text}' is both {numbers}; give its number, such as {found[0]}/0",
            )
        return found[0]

    def _tasks(self, output: int, items: tuple[Word | Numbers, ...] | None) -> tuple[range, ...] | None:
        """Find tasks of an output; each may be named once."""
        axes = self.axes(output)
        if items is None:
            return (range(1),) if "T" in axes.letters and axes.n_tasks == 1 else None
        numbers = [n for item in items for n in self._of_item(output, item)] or list(range(axes.n_tasks))
        if len(set(numbers)) < len(numbers):
            twice = next(n for n in numbers if numbers.count(n) > 1)
            raise TargetError(f"task {twice} is named twice")
        return _runs(numbers) if "T" in axes.letters else None

    def _of_item(self, output: int, item: Word | Numbers) -> Sequence[int]:
        count = self.axes(output).n_tasks
        if isinstance(item, Word):
            return [self._task(output, item)]
        first, end = (n + count if n < 0 else n for n in (item.first, item.end))
        if not 0 <= first < end <= count:
            raise TargetError(f"there are no tasks {item.typed}; tasks are numbered 0 to {count - 1}")
        return range(first, end)

    def _task(self, output: int, word: Word) -> int:
        found = self._numbers_of(output, word)
        if len(found) == 1:
            return found[0]
        if found:
            raise self._several_tasks(output, word, found)
        if is_index(word.text) and not word.is_name:
            count = self.axes(output).n_tasks
            raise TargetError(f"there is no task {word.text}; tasks are numbered 0 to {count - 1}")
        raise self.unknown(word)

    def _numbers_of(self, output: int, word: Word) -> list[int]:
        """Find the tasks that a word may mean: by name, and by number."""
        found = list(self._numbers[output].get(word.text, ()))
        if not word.is_name and is_index(word.text):
            number = _from_end(word.text, self.axes(output).n_tasks)
            found += [number] if number is not None and number not in found else []
        return found

    def _several_tasks(self, output: int, word: Word, found: list[int]) -> AmbiguousError:
        tasks = self.names[output].tasks
        named = [n for n in found if n < len(tasks) and tasks[n] == word.text]
        if len(named) > 1:
            numbers = " and ".join(str(n) for n in named)
            how = "give the index" if not is_index(word.text) else "give the index as a range"
            spelled = " or ".join(self.index_of(output, n) for n in named[:3])
            return AmbiguousError(
                Selection(output, None), f"task '{word.text}' is both {numbers}; {how}, {spelled}"
            )
        (name,), (number,) = named, [n for n in found if n not in named]
        return AmbiguousError(
            Selection(output, None),
            f"'{word.text}' is the name of task {name} and the index of another; write"
            f" {quoted(word.text)} for the name or {number}:{number + 1} for the index",
        )

    def index_of(self, output: int, number: int) -> str:
        """Write the number of a task so that no name is meant."""
        clash = str(number) in self._numbers[output]
        return f"{number}:{number + 1}" if clash else str(number)

    def _in_some_output(self, chosen: Chosen) -> Selection:
        """Find a list of named tasks in the only output that has them all."""
        typed = ",".join(
            quoted_if_needed(i.text) if isinstance(i, Word) else i.typed for i in chosen.items or ()
        )
        typed = typed or ("*" if chosen.items == () else "TASK")
        words = [i.text for i in chosen.items or () if isinstance(i, Word)]
        if words and len(words) == len(chosen.items or ()):
            having = [i for i in self.open if self._numbers[i].keys() >= set(words)]
            if len(having) == 1:
                return Selection(
                    having[0], self._tasks(having[0], tuple(Word(w, is_name=True) for w in words))
                )
        first = quoted_if_needed(self.names[self.open[0]].name)
        raise TargetError(
            f"the model has several outputs; write OUTPUT/{typed}, such as {first}/{typed}; it has"
            f" {self.listed()}"
        )

    def unknown(self, word: Word) -> UnknownError:
        """Say that nothing is called so."""
        return UnknownError(word.text, f"unknown target '{word.text}'; the model has {self.listed()}")

    def near(self, *words: str) -> str:
        """Give a name that one of the words is nearly; nothing where there is none."""
        known = sorted({name for n in self.names for name in (n.name, *n.tasks)})
        for word in (w for w in words if len(w) <= LONGEST_NAME):
            if near := difflib.get_close_matches(word, known, 1):
                return near[0]
        return ""

    def nothing(self) -> str:
        """Say why nothing can be explained."""
        reasons = [f"{n.name}: {obstacle(o)}" for n, o in zip(self.names, self.outputs, strict=True)]
        return f"nothing that the model returns can be explained ({'; '.join(reasons)})"

    def listed(self) -> str:
        """List what can be explained, for messages."""
        return "; ".join(map(self._listed, self.open)) or "nothing that can be explained"

    def _listed(self, output: int) -> str:
        names, axes = self.names[output], self.axes(output)
        tasks = ", ".join(names.tasks[:_SHOWN]) + (", ..." if len(names.tasks) > _SHOWN else "")
        tasks = tasks or ("one task" if axes.n_tasks == 1 else f"0 to {axes.n_tasks - 1}")
        ranges = "x".join(f"0:{length}" for length in axes.position_lengths)
        ranges += f" or @{ranges}x{ranges}" if axes.may_be_a_square else ""
        return f"{names.name}/{{{tasks}}}" + (f" @{ranges}" if axes.n_positions > 1 else "")


def _numbers_by_name(tasks: Sequence[str]) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {}
    for number, name in enumerate(tasks):
        numbers.setdefault(name, []).append(number)
    return numbers


def _from_end(text: str, count: int) -> int | None:
    """Give the number that is meant of so many; None where there are fewer."""
    number = whole(text)
    number += count if number < 0 else 0
    return number if 0 <= number < count else None


def _runs(numbers: Sequence[int]) -> tuple[range, ...]:
    """Put numbers that follow each other together."""
    runs: list[range] = []
    for number in sorted(numbers):
        if runs and runs[-1].stop == number:
            runs[-1] = range(runs[-1].start, number + 1)
        else:
            runs.append(range(number, number + 1))
    return tuple(runs)
