"""Logos and histograms as SVG in the page: small, without fonts, in the colours of its scheme."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextPath

from sparselrp_cli.errors import printable
from sparselrp_cli.outputs.archive.rows import Doubles

BASES = "ACGT"
# Of a logo, in its own units.
WIDE, HIGH = 14, 64
FULL_BITS = 2.0
# Of the letters of a stretch, in the same.
LEFT, ABOVE, ROW, BETWEEN, TICKS = 110, 30, 84, 12, 10
_COMMANDS: Mapping[int, str] = {
    int(Outline.MOVETO): "M",
    int(Outline.LINETO): "L",
    int(Outline.CURVE3): "Q",
    int(Outline.CURVE4): "C",
}


@dataclass(frozen=True)
class Span:
    """A stretch to be marked above the relevance.

    Attributes
    ----------
    start, end : int
        0-based half-open, on the axis of the figure.
    label : str
    """

    start: int
    end: int
    label: str


def glyphs() -> dict[str, str]:
    """Give the outlines of the letters as SVG paths that fill the square from (0, 0) to (1, 1).

    The page's script draws with the same, so that letters are as wide and as high as they should be in
    every browser.
    """
    font = FontProperties(family="DejaVu Sans", weight="bold")
    return {base: _outline(TextPath((0, 0), base, prop=font)) for base in BASES}


def information(counts: Doubles) -> Doubles:
    """Give the heights of letters in bits, shape (w, 4), from counts or frequencies."""
    frequencies = (counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True)
    bits = FULL_BITS + (frequencies * np.log2(frequencies)).sum(axis=1, keepdims=True)
    heights: Doubles = frequencies * bits
    return heights


def bits_of_frequencies(frequencies: Doubles) -> Doubles:
    """Give the heights of letters in bits from frequencies that are no counts of anything."""
    safe = np.maximum(frequencies, 1e-9)
    heights: Doubles = frequencies * (FULL_BITS + (frequencies * np.log2(safe)).sum(axis=1, keepdims=True))
    return heights


def reversed_strand(heights: Doubles) -> Doubles:
    """Give the other strand's letters, shape (w, 4)."""
    return heights[::-1, ::-1]


def draw_logo(
    heights: Doubles, label: str, *, full: float | None = None, before: int = 0, width: int | None = None
) -> Markup:
    """Draw stacks of letters, the larger further from zero; what is negative lies below it.

    Parameters
    ----------
    heights : ndarray of float64, shape (w, 4)
    label : str
        What a screen reader says.
    full : float, optional
        What fills the logo, such as `FULL_BITS`; else the largest column does.
    before : int
        Columns left free before the first, so that logos under each other stand as they are aligned.
    width : int, optional
        Columns of the drawing.
    """
    top = full or float(np.maximum(heights, 0).sum(axis=1).max(initial=0))
    low = float(np.minimum(heights, 0).sum(axis=1).min(initial=0))
    per_unit = HIGH / max(top - low, 1e-12)
    letters = [
        letter
        for column, row in enumerate(heights, before)
        for letter in _stack(row, WIDE * column, top * per_unit, per_unit)
    ]
    zero = Markup('<line class="zero" x1="0" x2="{0}" y1="{1:.2f}" y2="{1:.2f}"/>')
    across = WIDE * (width or len(heights) + before)
    return Markup(
        '<svg class="logo" role="img" aria-label="{0}" viewBox="0 0 {1} {2}" width="{1}" height="{2}">'
        "{3}{4}</svg>"
    ).format(label, across, HIGH, Markup("").join(letters), zero.format(across, top * per_unit))


def draw_bars(values: Doubles, label: str, low: str, middle: str, high: str) -> Markup:
    """Draw a histogram of equal bins as bars, with what stands below its ends and its middle."""
    wide, high_, floor = 320, 70, 72
    step = wide / max(len(values), 1)
    heights = high_ * values / max(float(values.max(initial=0)), 1e-12)
    bars = "".join(
        f"M{i * step:.2f} {floor}v{-height:.2f}h{0.9 * step:.2f}v{height:.2f}z"
        for i, height in enumerate(heights.tolist())
        if height
    )
    return Markup(
        '<svg class="bars" role="img" aria-label="{0}" viewBox="0 0 320 90" width="320" height="90">'
        '<path d="{1}"/><line class="zero" x1="0" x2="320" y1="72" y2="72"/><text x="0" y="87">{2}</text>'
        '<text x="160" y="87" text-anchor="middle">{3}</text>'
        '<text x="320" y="87" text-anchor="end">{4}</text></svg>'
    ).format(label, bars, low, middle, high)


def draw_maps(
    tracks: Sequence[tuple[str, Doubles]], start: int, label: str, spans: Sequence[Span] = ()
) -> Markup:
    """Draw contributions of a stretch in letters, a row each, all to one scale, above their positions.

    Parameters
    ----------
    tracks : sequence of (str, ndarray of float64, shape (L, 4))
        What each row is called, and its values.
    start : int
        Position of the first base, counted from 1.
    label : str
        What a screen reader says.
    spans : sequence of Span
        Marked above the first row; on the axis of `start`.
    """
    top = max(1e-12, *(float(np.maximum(values, 0).sum(axis=1).max(initial=0)) for _, values in tracks))
    low = min(0.0, *(float(np.minimum(values, 0).sum(axis=1).min(initial=0)) for _, values in tracks))
    length, per_unit = len(tracks[0][1]), ROW / (top - low)
    parts = [_mark(span, start) for span in spans]
    for number, (name, values) in enumerate(tracks):
        zero = ABOVE + number * (ROW + BETWEEN) + top * per_unit
        parts.append(_text(0, zero - top * per_unit + 10, name, anchor="start"))
        parts.append(_line(LEFT, zero, WIDE * length))
        parts += [
            letter
            for column, row in enumerate(values)
            for letter in _stack(row, LEFT + WIDE * column, zero, per_unit)
        ]
    floor = ABOVE + len(tracks) * (ROW + BETWEEN)
    parts += [
        _text(LEFT + WIDE * (position - start + 0.5), floor + 12, f"{position:,}")
        for position in range(start + (-start) % TICKS, start + length, TICKS)
    ]
    return Markup(
        '<svg class="maps" role="img" aria-label="{0}" viewBox="0 0 {1} {2}" width="{1}" height="{2}">'
        "{3}</svg>"
    ).format(label, LEFT + WIDE * length, floor + 16, Markup("").join(parts))


def _mark(span: Span, start: int) -> Markup:
    left, right = (LEFT + WIDE * (position - start) for position in (span.start, span.end))
    bar = Markup('<rect class="hit" x="{0}" y="{1}" width="{2}" height="4"/>')
    return bar.format(left, ABOVE - 8, right - left) + _text((left + right) / 2, ABOVE - 12, span.label)


def _text(x: float, y: float, words: str, anchor: str = "middle") -> Markup:
    return Markup('<text x="{0:g}" y="{1:g}" text-anchor="{2}">{3}</text>').format(
        x, y, anchor, printable(words)
    )


def _line(x: float, y: float, wide: float) -> Markup:
    return Markup('<line class="zero" x1="{0:g}" x2="{1:g}" y1="{2:g}" y2="{2:g}"/>').format(x, x + wide, y)


def _stack(row: Doubles, x: float, zero: float, per_unit: float) -> list[Markup]:
    """Place the letters of a column, the smallest next to zero."""
    up = down = zero
    placed = []
    use = Markup(
        '<use href="#glyph-{0}" class="{0}" transform="translate({1:g} {2:.2f}) scale({3:g} {4:.2f})"/>'
    )
    for base in np.argsort(np.abs(row), kind="stable").tolist():
        height = float(abs(row[base])) * per_unit
        if height < 0.05:
            continue
        if row[base] > 0:
            up -= height
        placed.append(use.format(BASES[base], x, up if row[base] > 0 else down, WIDE, height))
        if row[base] < 0:
            down += height
    return placed


def _outline(path: TextPath) -> str:
    box = path.get_extents()
    low, size = np.array([box.x0, box.y1]), np.array([box.width, -box.height])
    parts = []
    for points, code in path.iter_segments():
        if code == Outline.CLOSEPOLY:
            parts.append("Z")
            continue
        # y grows downwards on a page.
        scaled = (points.reshape(-1, 2) - low) / size
        numbers = " ".join(f"{float(value):.4g}" for value in np.round(scaled, 4).ravel())
        parts.append(f"{_COMMANDS[int(code)]}{numbers}")
    return "".join(parts)
