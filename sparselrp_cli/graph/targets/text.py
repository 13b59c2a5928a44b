"""The text of a target, read in every way that it can be read.

    EXPRESSION = TERM {(+|-) TERM}
    TERM       = [number *] ([OUTPUT/] TASKS | OUTPUT | [log] ( EXPRESSION )) [@ POSITIONS]
    TASKS      = NAME | INDEX | FIRST:END | * | several of these with commas

Names of models hold signs of this grammar (``T-cell``, ``su(Hw)``), and are typed as they are. So wherever a
name may stand, each of the model's names that stands there is tried beside the plain word. Who asks for the
readings sees if there are several.
"""

import re
from collections.abc import Iterator

from sparselrp_cli.errors import TargetError
from sparselrp_cli.graph.targets.choices import Choices
from sparselrp_cli.graph.targets.positions import PlaceError, Places, read_places, whole
from sparselrp_cli.graph.targets.reading import Part, Reading, added, is_unclear
from sparselrp_cli.graph.targets.words import SIGNS, AmbiguousError, Chosen, Numbers, Word

DEEPEST = 32
"""Parentheses inside each other."""
MOST_STEPS = 20_000
"""Terms that are tried and added up; names that go on from each other can be read in ever more ways."""
ENOUGH = 50
"""Sums in which it isn't clear what ``@`` belongs to that are read to their end."""
LONGEST = 200_000
"""Characters of a target."""

_SPACE = re.compile(r"\s*")
_NUMBER = re.compile(r"(-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*\*")
_PLAIN = re.compile(rf"[^\s{re.escape(SIGNS)}]+")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_NUMBERS = re.compile(r"(-?[0-9]+)\s*:\s*(-(?=0*[1-9])[0-9]+|[0-9]+)")
_FROM_END = re.compile(r"-(?=0*[1-9])[0-9]+(?![^\W])")
_LOG = re.compile(r"log\s*(?=\()")
_OPEN_RANGE = re.compile(r"-?[0-9]+\s*:|:\s*-?[0-9]*")
_LEAST, _LARGEST = 1e-30, 1e30

Tasks = tuple[Word | Numbers, ...]


class TargetText:
    """Reads one text.

    Parameters
    ----------
    text : str
    choices : Choices
        Of the model.
    """

    def __init__(self, text: str, choices: Choices) -> None:
        self.text = text
        self.choices = choices
        # A name with an @ in it only stands for itself where there is nothing else.
        self.signed = frozenset(
            name
            for name in choices.with_signs()
            if name and (name == text.strip() if "@" in name else name in text)
        )
        self.lengths = sorted({len(name) for name in self.signed})
        self.steps = 0
        self.unclear = 0
        self.failed_at = -1
        self.failure = TargetError("it is empty")

    def readings(self) -> list[Reading]:
        """Give every way to read the whole text; where there is none, `failure` says why."""
        if len(self.text) > LONGEST:
            self.failure = TargetError(f"it has more than {LONGEST:,} characters")
            return []
        return [reading for reading, end in self._expressions(0, 0) if end == len(self.text)]

    def fail(self, at: int, why: str | TargetError) -> None:
        """Note why a way to read the text is none; what fails latest is told."""
        if at > self.failed_at:
            self.failed_at = at
            self.failure = TargetError(why) if isinstance(why, str) else why

    def _count(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MOST_STEPS:
            raise TargetError("it is too long, or can be read in too many ways; put names in quotes, '...'")

    def _skip(self, at: int) -> int:
        space = _SPACE.match(self.text, at)
        return space.end() if space else at

    def _expressions(self, at: int, depth: int) -> Iterator[tuple[Reading, int]]:
        """Read sums of terms up to the end or to a parenthesis."""
        waiting: list[tuple[tuple[str, ...], tuple[Reading, ...], int]] = [(("+",), (), at)]
        while waiting:
            signs, before, at = waiting.pop()
            for term, end in self._terms(at, depth):
                terms, end = (*before, term), self._skip(end)
                if end == len(self.text) or (self.text[end] == ")" and depth):
                    yield from self._added(signs, terms, end)
                elif self.text[end] not in "+-":
                    self.fail(end, self._unexpected(end))
                elif self._is_worthwhile(terms):
                    waiting.append(((*signs, self.text[end]), terms, end + 1))

    def _is_worthwhile(self, terms: tuple[Reading, ...]) -> bool:
        """Whether to read on: of sums that will be refused, a few are enough to say why.

        Every ``:-1`` could also be the begin of another term, so that there are ever more of them.
        """
        if not is_unclear(terms[-2:], self.choices):
            return True
        self.unclear += 1
        return self.unclear <= ENOUGH

    def _added(
        self, signs: tuple[str, ...], terms: tuple[Reading, ...], end: int
    ) -> Iterator[tuple[Reading, int]]:
        if len(terms) == 1:
            yield terms[0], end
            return
        self._count(len(terms))
        try:
            yield added(signs, terms, self.choices), end
        except TargetError as error:
            self.fail(end, error)

    def _unexpected(self, at: int) -> str:
        what = self.text[at]
        if what == "@":
            return f"a second @ in '{self.text[: at + 1]}'; each term has one, behind its tasks"
        if what == ")":
            return "a parenthesis is closed that wasn't opened"
        return f"unexpected '{self.text[at:][:20]}'; names with spaces or signs stand in quotes, '...'"

    def _terms(self, at: int, depth: int) -> Iterator[tuple[Reading, int]]:
        """Read terms that begin here."""
        at = self._skip(at)
        self._count(1)
        number = _NUMBER.match(self.text, at)
        if number and (factor := self._factor(number)) is not None:
            for reading, end in self._operands(self._skip(number.end()), depth):
                yield reading.scaled(factor, number[1]), end
        yield from self._operands(at, depth)

    def _factor(self, number: re.Match[str]) -> float | None:
        factor = float(number[1])
        if _LEAST <= abs(factor) <= _LARGEST:
            return factor
        self.fail(
            number.end(), f"a term can't be weighed by {number[1][:20]}: it is 0, or too large or too small"
        )
        return None

    def _operands(self, at: int, depth: int) -> Iterator[tuple[Reading, int]]:
        """Read tasks or parentheses, with the positions behind them."""
        operands = (*self._parentheses(at, depth), *self._logarithms(at, depth), *self._selections(at))
        for reading, end in operands:
            behind = self._skip(end)
            if behind < len(self.text) and self.text[behind] == "@":
                yield from self._placed(reading, behind + 1)
            else:
                yield reading, end

    def _placed(self, reading: Reading, at: int) -> Iterator[tuple[Reading, int]]:
        try:
            for places, end in read_places(self.text, at):
                try:
                    if reading.doubt is None:
                        self._require_places(reading, places)
                    yield reading.placed(places), end
                except TargetError as error:
                    self.fail(end, error)
        except PlaceError as error:
            self.fail(error.at, error)

    def _parentheses(self, at: int, depth: int) -> Iterator[tuple[Reading, int]]:
        for inner, end in self._inside(at, depth):
            typed, spelled = f"({inner.typed})", f"( {inner.spelled} )"
            closed = inner.places is not None
            yield Reading(inner.parts, typed, spelled, inner.places, closed, inner.doubt), end

    def _inside(self, at: int, depth: int) -> Iterator[tuple[Reading, int]]:
        """Read what stands in parentheses that open here."""
        if not self.text.startswith("(", at):
            return
        if depth == DEEPEST:
            self.fail(at, f"parentheses are nested more than {DEEPEST} deep")
            return
        for inner, end in self._expressions(at + 1, depth + 1):
            if end == len(self.text):
                self.fail(end, "a parenthesis isn't closed")
            else:
                yield inner, end + 1

    def _logarithms(self, at: int, depth: int) -> Iterator[tuple[Reading, int]]:
        """Read ``log(...)``."""
        if (log := _LOG.match(self.text, at)) is None:
            return
        for inner, end in self._inside(log.end(), depth):
            try:
                yield inner.logarithm(), end
            except TargetError as error:
                self.fail(end, error)

    def _require_places(self, reading: Reading, places: Places) -> None:
        for part in reading.tasks():
            output = part.selection.output
            places.settled(self.choices.axes(output), self.choices.names[output].name)

    def _selections(self, at: int) -> Iterator[tuple[Reading, int]]:
        """Read tasks, with their output or without."""
        for chosen, end in self._chosen(at):
            doubt = None
            try:
                selection = self.choices.find(chosen)
            except AmbiguousError as error:
                selection, doubt = error.selection, error
            except TargetError as error:
                self.fail(end, error)
                continue
            yield Reading((Part(1.0, selection),), self.text[at:end], chosen.spelled, doubt=doubt), end

    def _chosen(self, at: int) -> Iterator[tuple[Chosen, int]]:
        if self.text.startswith("@", at):
            yield Chosen(None, None), at
            return
        for word, end in self._words(at):
            slash = self._skip(end)
            if self.text.startswith("/", slash):
                yield from ((Chosen(word, items), e) for items, e in self._lists(self._skip(slash + 1)))
        yield from ((Chosen(None, items), end) for items, end in self._lists(at))

    def _lists(self, at: int) -> Iterator[tuple[Tasks, int]]:
        """Read tasks between commas; none of them stands for all, ``*``."""
        if self.text.startswith("*", at):
            yield (), at + 1
            return
        waiting: list[tuple[Tasks, int]] = [((), at)]
        while waiting:
            before, at = waiting.pop()
            for item, end in self._items(at):
                comma = self._skip(end)
                if self.text.startswith(",", comma):
                    waiting.append(((*before, item), self._skip(comma + 1)))
                elif self.text.startswith("/", comma):
                    self.fail(end, "OUTPUT/ stands once, before all of its tasks")
                else:
                    yield (*before, item), end

    def _items(self, at: int) -> Iterator[tuple[Word | Numbers, int]]:
        if numbers := _NUMBERS.match(self.text, at):
            yield Numbers(whole(numbers[1]), whole(numbers[2]), numbers[0]), numbers.end()
        elif open_range := _OPEN_RANGE.match(self.text, at):
            self.fail(
                open_range.end(), f"'{open_range[0]}' lacks an end; a range of tasks has two, such as 0:2"
            )
        elif number := _FROM_END.match(self.text, at):
            yield Word(number[0]), number.end()
        yield from self._words(at)

    def _words(self, at: int) -> Iterator[tuple[Word, int]]:
        """Read names that stand here: in quotes, one of the model's with signs in it, or a plain word."""
        found = False
        if (name := _QUOTED.match(self.text, at)) is not None:
            found = True
            yield Word(name[1] if name[1] is not None else name[2], is_name=True), name.end()
        for end in (at + length for length in self.lengths):
            ends = end == len(self.text) or _ends_name(self.text[end : end + 1])
            if ends and self.text[at:end] in self.signed:
                found = True
                yield Word(self.text[at:end], is_name=True), end
        if (plain := _PLAIN.match(self.text, at)) is not None:
            found = True
            yield Word(plain[0]), plain.end()
        if not found:
            self.fail(at, self._missing(at))

    def _missing(self, at: int) -> str:
        """Say what isn't there where a task should be."""
        what = self.text[at : at + 1]
        if what in ("'", '"') and what:
            return f"the quote {what} isn't closed"
        if not what:
            return "a task is missing at its end" if self.text.strip() else "it is empty"
        rest = self.text[at:][:20]
        less = f"; for less of it write -1*{rest[1:].lstrip()}" if what == "-" else ""
        return f"a task is missing before '{rest}'{less}"


def _ends_name(character: str) -> bool:
    return not character or character in SIGNS or character.isspace()
