"""What parts of a target's text are read as, before they are a functional."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sparselrp_cli.errors import TargetError
from sparselrp_cli.graph.targets.choices import Choices
from sparselrp_cli.graph.targets.functional import Logarithm, Term
from sparselrp_cli.graph.targets.positions import Places, shares
from sparselrp_cli.graph.targets.words import Selection

_NOTHING = 1e-12
"""Weights that cancel leave less than this."""


@dataclass(frozen=True, slots=True)
class Part:
    """Tasks of one output, where their positions may still be open.

    Attributes
    ----------
    weight : float
    selection : Selection
    places : Places or None
        What stands behind the ``@``, its own or a parenthesis'.
    """

    weight: float
    selection: Selection
    places: Places | None = None

    def placed(self, places: Places) -> "Part":
        """Put it at positions."""
        return replace(self, places=places)

    def terms(self) -> Iterator["Part"]:
        """Give the tasks it is of: itself."""
        yield self


@dataclass(frozen=True, slots=True)
class LogPart:
    """The logarithm of a sum of parts, times `weight`."""

    weight: float
    inside: tuple[Part, ...]

    def placed(self, places: Places) -> "LogPart":
        """Put all of it at positions."""
        return replace(self, inside=tuple(part.placed(places) for part in self.inside))

    def terms(self) -> Iterator[Part]:
        """Give the tasks it is of."""
        yield from self.inside


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a piece of text.

    Attributes
    ----------
    parts : tuple of Part or LogPart
        What it adds up.
    bare : str
        The text without the ``@`` at its end.
    spelled : str
        The same, written so that it can be read in this way only.
    places : Places or None
        Those at its end, or the last in a parenthesis.
    closed : bool
        Whether it stands in a parenthesis and has its ``@`` inside.
    doubt : TargetError or None
        Why a name in it could mean several things.
    """

    parts: tuple[Part | LogPart, ...]
    bare: str
    spelled: str
    places: Places | None = None
    closed: bool = False
    doubt: TargetError | None = None

    def scaled(self, factor: float, typed: str) -> "Reading":
        """Multiply by a number, as typed."""
        parts = tuple(replace(part, weight=factor * part.weight) for part in self.parts)
        return replace(self, parts=parts, bare=f"{typed}*{self.bare}", spelled=f"{typed} * {self.spelled}")

    def placed(self, places: Places) -> "Reading":
        """Put the positions behind an ``@`` on all of it.

        Raises
        ------
        TargetError
            If some of it has positions.
        """
        if any(part.places is not None for part in self.tasks()):
            raise TargetError(
                f"'{self.bare}@{places.typed}' has positions inside and outside the parenthesis"
            )
        parts = tuple(part.placed(places) for part in self.parts)
        return replace(self, parts=parts, places=places, spelled=f"{self.spelled} @ {places.typed}")

    def tasks(self) -> Iterator[Part]:
        """Give the tasks of all its parts."""
        for part in self.parts:
            yield from part.terms()

    def logarithm(self) -> "Reading":
        """Take the logarithm of it.

        Raises
        ------
        TargetError
            If there is one in it.
        """
        inside = tuple(part for part in self.parts if isinstance(part, Part))
        if len(inside) < len(self.parts):
            raise TargetError("log(...) can't stand inside another log(...)")
        return replace(
            self,
            parts=(LogPart(1.0, inside),),
            bare=f"log({self.typed})",
            spelled=f"log( {self.spelled} )",
            closed=self.places is not None,
        )

    @property
    def typed(self) -> str:
        if self.closed or self.places is None:
            return self.bare
        return f"{self.bare}@{self.places.typed}"


def added(signs: Sequence[str], readings: Sequence[Reading], choices: Choices) -> Reading:
    """Add up terms.

    Raises
    ------
    TargetError
        If one has positions, and others could be meant to have them, too.
    """
    if all(reading.doubt is None for reading in readings):
        _require_clear_places(signs, readings, choices)
    parts = tuple(
        replace(part, weight=-part.weight if sign == "-" else part.weight)
        for sign, reading in zip(signs, readings, strict=True)
        for part in reading.parts
    )
    spelled = _joined(signs, [r.spelled for r in readings], " ")
    places = [r.places for r in readings if r.places is not None]
    bare = _joined(signs, [r.typed for r in readings])
    doubt = next((r.doubt for r in readings if r.doubt is not None), None)
    return Reading(parts, bare, spelled, places[-1] if places else None, bool(places), doubt)


def _joined(signs: Sequence[str], terms: Sequence[str], space: str = "") -> str:
    rest = [f"{space}{sign}{space}{term}" for sign, term in zip(signs[1:], terms[1:], strict=True)]
    return "".join([terms[0], *rest])


def _require_clear_places(signs: Sequence[str], readings: Sequence[Reading], choices: Choices) -> None:
    """Stop where an ``@`` of one term could be meant for others.

    Raises
    ------
    TargetError
    """
    open_ones = [any(_is_open(part, choices) for part in r.tasks()) for r in readings]
    placed = [r.places is not None for r in readings]
    if not is_unclear(readings, choices):
        return
    last_alone = placed == [False] * (len(readings) - 1) + [True] and not readings[-1].closed
    if last_alone and readings[-1].places is not None:
        inside = _joined(signs, [r.bare for r in readings])
        together = f"({inside})@{readings[-1].places.typed}"
    else:
        together = _joined(signs, _all_placed(readings, open_ones))
    apart = [
        f"{r.bare}@{_everywhere(r, choices)}" if is_open else r.typed
        for r, is_open in zip(readings, open_ones, strict=True)
    ]
    raise TargetError(f"it isn't clear what @ belongs to; write {together} or {_joined(signs, apart)}")


def is_unclear(readings: Sequence[Reading], choices: Choices) -> bool:
    """Whether positions of one term could be meant for another, which has none and could have some."""
    if all(reading.places is None for reading in readings):
        return False
    return any(_is_open(part, choices) for reading in readings for part in reading.tasks())


def _all_placed(readings: Sequence[Reading], open_ones: Sequence[bool]) -> list[str]:
    """Give each open term the positions of the next one that has some, or of the last."""
    spelled: list[str] = []
    places = next(r.places for r in reversed(readings) if r.places is not None)
    for reading, is_open in zip(reversed(readings), reversed(open_ones), strict=True):
        places = places if reading.places is None else reading.places
        spelled.append(f"{reading.bare}@{places.typed}" if is_open else reading.typed)
    return spelled[::-1]


def _is_open(part: Part, choices: Choices) -> bool:
    return part.places is None and choices.axes(part.selection.output).n_positions > 1


def _everywhere(reading: Reading, choices: Choices) -> str:
    """Write all positions of a term's outputs."""
    lengths = {choices.axes(p.selection.output).position_lengths for p in reading.tasks()}
    if len(lengths) == 1:
        return "x".join(f"0:{n}" for n in lengths.pop())
    return ":"


def settled(reading: Reading, choices: Choices) -> tuple[tuple[Term, ...], tuple[Logarithm, ...]]:
    """Settle a reading: which entries of which outputs it weighs, each set of them once.

    Raises
    ------
    TargetError
        If an output has no such positions, a task is left open, or nothing is left.
    """
    terms = _sum_of([part for part in reading.parts if isinstance(part, Part)], choices)
    logarithms = _logarithms([part for part in reading.parts if isinstance(part, LogPart)], choices)
    if not terms and not logarithms:
        raise TargetError("its terms cancel: nothing is left to explain")
    if logarithms and any(term.profile for term in terms):
        raise TargetError(
            "a sum can't have both log(...), of what the model gives, and @profile, of logits; ask for them"
            " as two targets"
        )
    return terms, logarithms


def _sum_of(parts: Sequence[Part], choices: Choices) -> tuple[Term, ...]:
    """Add up terms of the same entries; what cancels is left out."""
    weights: dict[Term, float] = {}
    for part in parts:
        for term in _terms(part, choices):
            key = replace(term, weight=1)
            weights[key] = weights.get(key, 0.0) + term.weight
    least = _NOTHING * max((abs(part.weight) for part in parts), default=0)
    return tuple(replace(term, weight=w) for term, w in weights.items() if abs(w) > least)


def _logarithms(parts: Sequence[LogPart], choices: Choices) -> tuple[Logarithm, ...]:
    """Add up logarithms of the same sums; what cancels is left out."""
    weights: dict[tuple[Term, ...], float] = {}
    for part in parts:
        inside = tuple(sorted(_sum_of(part.inside, choices), key=repr))
        if not inside:
            raise TargetError("the terms inside log(...) cancel: nothing is left to explain")
        if any(term.profile for term in inside):
            raise TargetError(
                "log(...) is of values above 0, and @profile weighs logits of either sign; leave log out"
            )
        weights[inside] = weights.get(inside, 0.0) + part.weight
    least = _NOTHING * max((abs(part.weight) for part in parts), default=0)
    return tuple(Logarithm(terms, w) for terms, w in weights.items() if abs(w) > least)


def _terms(part: Part, choices: Choices) -> list[Term]:
    output, tasks = part.selection.output, part.selection.tasks
    axes = choices.axes(output)
    is_profile = part.places is not None and part.places.is_profile
    if part.places is not None and part.places.is_of_pairs and axes.may_be_a_square:
        if tasks is not None:
            raise TargetError(f"a square map has no tasks beside its pairs; write @{part.places.typed} alone")
        axes = axes.as_square()
    if tasks is None and axes.n_tasks > 1 and not is_profile:
        raise TargetError(f"it leaves the task open; choose among {choices.listed()}")
    is_blocks = part.places is not None and part.places.is_blocks
    if part.places is not None:
        part.places.require_axes(axes, choices.names[output].name)
    if part.places is None or is_blocks:
        runs = _shares_of_tasks(tasks)
        return [Term(output, _one(run), None, part.weight * share, blocks=is_blocks) for run, share in runs]
    blocks = part.places.settled(axes, choices.names[output].name)
    if is_profile:
        each = [(i,) for run in tasks for i in run] if tasks else [(None,)]
        return [Term(output, i, None, part.weight / len(each), profile=True) for (i,) in each]
    return [
        Term(output, _one(run), first, part.weight * share * of_block, across=second)
        for run, share in _shares_of_tasks(tasks)
        for (first, second), of_block in zip(blocks, shares(blocks), strict=True)
    ]


def _shares_of_tasks(tasks: tuple[range, ...] | None) -> list[tuple[range | None, float]]:
    """Give the share of each run of tasks in the mean over all of them."""
    if tasks is None:
        return [(None, 1.0)]
    count = sum(map(len, tasks))
    return [(run, len(run) / count) for run in tasks]


def _one(run: range | None) -> int | range | None:
    return run.start if run is not None and len(run) == 1 else run
