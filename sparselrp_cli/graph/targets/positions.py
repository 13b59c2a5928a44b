"""Positions as users type them behind ``@``, and what they are of an output."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import prod

from sparselrp_cli.errors import TargetError
from sparselrp_cli.graph.targets.axes import OutputAxes
from sparselrp_cli.graph.targets.functional import Stretch

HOW = (
    "positions are written @POSITION, @START:END, @profile or @blocks; also @START:, @:END, @centre,"
    " @centre:WIDTH, several with commas, and @IxJ on a map by pairs of bins"
)
_BOUND = re.compile(r"\s*(-(?=0*[1-9])[0-9]+|[0-9]+)")
_COLON, _COMMA, _CROSS = (re.compile(rf"\s*{sign}") for sign in (":", ",", "x"))
_WORD = re.compile(r"\s*(centre|profile|blocks)(?![^\W_x]|_)")
ALONE = ("profile", "blocks")
"""What stands behind an ``@`` without other positions."""
_ENORMOUS = 18
"""Digits of a number that is larger than any axis."""
MOST_BLOCKS = 1000
"""Positions and ranges behind one ``@``."""


def whole(digits: str) -> int:
    """Read a whole number; what has more digits than any axis is long is read as enormous."""
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("-").lstrip("0") or "0"
    return sign * (int(digits) if len(digits) <= _ENORMOUS else 10**_ENORMOUS)


@dataclass(frozen=True, slots=True)
class Range:
    """Some positions as typed: one, a range, or the centre.

    Attributes
    ----------
    typed : str
    start, stop : int or None
        From the end where negative; None is that end of the axis.
    width : int or None
        Of the centre, where that is meant.
    """

    typed: str
    start: int | None = None
    stop: int | None = None
    width: int | None = None

    def settled(self, length: int) -> Stretch:
        """Give the range of an axis.

        Raises
        ------
        TargetError
            If it isn't on the axis, or is empty.
        """
        start, stop = self._bounds(length)
        if not 0 <= start < length or not 0 < stop <= length:
            raise TargetError(f"'{self.typed}' is out of reach: the output has positions 0 to {length - 1}")
        if start >= stop:
            raise TargetError(f"'{self.typed}' is empty: the output has positions 0 to {length - 1}")
        return start, stop

    def _bounds(self, length: int) -> Stretch:
        if self.width is not None:
            # As windows lie around a summit, which is at L // 2 of them.
            start = length // 2 - self.width // 2
            return start, start + self.width
        start = self.start or 0
        stop = length if self.stop is None else self.stop
        return (start + length if start < 0 else start), (stop + length if stop < 0 else stop)


@dataclass(frozen=True, slots=True)
class Places:
    """All that stands behind one ``@``.

    Attributes
    ----------
    typed : str
    ranges : tuple of (Range,) or (Range, Range)
        Positions, or pairs of them; empty for a profile, and for blocks.
    """

    typed: str
    ranges: tuple[tuple[Range, ...], ...]

    @property
    def is_profile(self) -> bool:
        return self.typed == "profile"

    @property
    def is_blocks(self) -> bool:
        return self.typed == "blocks"

    @property
    def is_of_pairs(self) -> bool:
        return bool(self.ranges) and len(self.ranges[0]) == 2

    def settled(self, axes: OutputAxes, name: str) -> list[tuple[Stretch, Stretch | None]]:
        """Give the positions on the axes of an output, each once; none for a profile.

        Raises
        ------
        TargetError
            If the output has no such positions, or one is named twice.
        """
        self.require_axes(axes, name)
        if not self.ranges:
            return []
        lengths = axes.position_lengths
        if self.is_of_pairs and axes.may_be_a_square:
            lengths = axes.as_square().position_lengths
        blocks = [tuple(r.settled(n) for r, n in zip(b, lengths, strict=True)) for b in self.ranges]
        if _overlap(blocks):
            raise TargetError(f"'@{self.typed}' names a position twice")
        return [(block[0], block[1] if len(block) == 2 else None) for block in blocks]

    def require_axes(self, axes: OutputAxes, name: str) -> None:
        """Stop where an output has no such positions.

        Raises
        ------
        TargetError
        """
        lengths = axes.position_lengths
        if not lengths:
            raise TargetError(f"output '{name}' has no positions")
        by_pairs = len(lengths) == 2
        if self.is_profile:
            if by_pairs:
                raise TargetError(f"output '{name}' is a map by pairs of bins, not a profile")
            return
        if self.is_blocks and (by_pairs or axes.n_positions == 1):
            what = "is a map by pairs of bins" if by_pairs else "has one position"
            raise TargetError(f"output '{name}' {what}, and blocks are of bins along the sequence")
        if len({len(block) for block in self.ranges}) > 1:
            raise TargetError(f"'@{self.typed}' mixes positions with pairs of them")
        for block in self.ranges:
            if len(block) == 1 and by_pairs:
                raise TargetError(
                    f"output '{name}' has pairs of positions, {lengths[0]} x {lengths[1]}; write @IxJ such as"
                    f" @{block[0].typed}x{block[0].typed}, or @{block[0].typed}x: for all of a row"
                )
            if len(block) == 2 and not by_pairs and not axes.may_be_a_square:
                raise TargetError(f"output '{name}' has single positions, no pairs of them; {HOW}")


def shares(blocks: Sequence[tuple[Stretch, Stretch | None]]) -> list[float]:
    """Give the share of each block in the mean over all their positions."""
    sizes = [prod(end - start for start, end in block if block) for block in map(_sides, blocks)]
    return [size / sum(sizes) for size in sizes]


def _sides(block: tuple[Stretch, Stretch | None]) -> list[Stretch]:
    return [side for side in block if side is not None]


def _overlap(blocks: Sequence[tuple[Stretch, ...]]) -> bool:
    """Whether a position lies in two blocks."""
    ordered = sorted(blocks)
    if len(ordered[0]) == 1:
        return any(b[0][0] < a[0][1] for a, b in pairwise(ordered))
    return any(
        all(s[0] < t[1] and t[0] < s[1] for s, t in zip(a, b, strict=True))
        for a, b in combinations(ordered, 2)
    )


def read_places(text: str, at: int) -> Iterator[tuple[Places, int]]:
    """Read what stands behind an ``@``, in each way that it can be read.

    ``90:-1`` is a range that ends before the last position, or ``90:`` less something: which, the rest tells.

    Yields
    ------
    places : Places
    end : int
        Where they end in the text.

    Raises
    ------
    PlaceError
    """
    word = _WORD.match(text, at)
    if word and word[1] in ALONE:
        yield Places(word[1], ()), word.end()
        return
    for blocks, end in _blocks(text, at):
        yield Places(text[at:end].strip(), blocks), end


class PlaceError(TargetError):
    """Positions that can't be read.

    Attributes
    ----------
    at : int
        Where in the text.
    """

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at = at


def _blocks(text: str, at: int) -> Iterator[tuple[tuple[tuple[Range, ...], ...], int]]:
    """Read blocks between commas."""
    waiting: list[tuple[tuple[tuple[Range, ...], ...], int]] = [((), at)]
    while waiting:
        before, at = waiting.pop()
        for block, end in _block(text, at):
            blocks = (*before, block)
            if len(blocks) > MOST_BLOCKS:
                raise PlaceError(end, f"more than {MOST_BLOCKS} positions in a list; write ranges, START:END")
            if comma := _COMMA.match(text, end):
                waiting.append((blocks, comma.end()))
            else:
                yield blocks, end


def _block(text: str, at: int) -> Iterator[tuple[tuple[Range, ...], int]]:
    """Read a range, or two with an x between them."""
    for first, end in _range(text, at):
        if cross := _CROSS.match(text, end):
            for second, last in _range(text, cross.end()):
                yield (first, second), last
        else:
            yield (first,), end


def _range(text: str, at: int) -> Iterator[tuple[Range, int]]:
    word = _WORD.match(text, at)
    if word and word[1] == "centre":
        yield from _centre(text, word)
        return
    first = _BOUND.match(text, at)
    colon = _COLON.match(text, first.end() if first else at)
    if colon:
        yield from _stretch(text, at, None if first is None else whole(first[1]), colon.end())
    elif first:
        start = whole(first[1])
        yield Range(first[1], start, None if start == -1 else start + 1), first.end()
    else:
        raise PlaceError(at, _unreadable(text, at))


def _stretch(text: str, at: int, start: int | None, end: int) -> Iterator[tuple[Range, int]]:
    """Read the end of a range behind its colon; a minus there may also be that of a contrast."""
    stop = _BOUND.match(text, end)
    if stop:
        yield Range(text[at : stop.end()].strip(), start, whole(stop[1])), stop.end()
    if not stop or stop[1].startswith("-"):
        yield Range(text[at:end].strip(), start, None), end


def _centre(text: str, word: re.Match[str]) -> Iterator[tuple[Range, int]]:
    colon = _COLON.match(text, word.end())
    if not colon:
        yield Range("centre", width=1), word.end()
        return
    width = _BOUND.match(text, colon.end())
    if not width or whole(width[1]) < 1:
        raise PlaceError(colon.end(), "the width of the centre is missing or not positive: @centre:WIDTH")
    yield Range(text[word.start() : width.end()].strip(), width=whole(width[1])), width.end()


def _unreadable(text: str, at: int) -> str:
    """Say what stands where positions should."""
    rest = re.match(r"\s*(-?[^\s,+\-)]*)", text[at:])
    typed = rest[1] if rest else ""
    if not typed:
        return f"positions are missing behind '{text[:at].rstrip()}'; {HOW}"
    if typed in ALONE:
        return f"@{typed} stands alone, without other positions"
    return f"'{typed}' isn't a position; {HOW}"
