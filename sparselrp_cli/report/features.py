"""Genes and hits on axes: exons, introns with the strand, names; in as many lanes as they need."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.patches import Patch
from matplotlib.path import Path as Outline

from sparselrp_cli.errors import printable
from sparselrp_cli.report.style import INK, SOFT
from sparselrp_cli.sequences.features import Feature

FONT = 6.5
_LONGEST_NAME = 40
_LETTER = 0.62
"""Of the size of the font: how wide a letter is about."""
MOST_LANES, MOST_NAMED, _MOST_IN_KEY = 8, 4, 8
_GAP = 6.0
"""Points between features of a lane."""
_ARROWS = {"+": "▸", "-": "◂"}  # triangles
_CHEVRONS = {
    strand: Outline([(-0.5 * way, 1.0), (0.5 * way, 0.0), (-0.5 * way, -1.0)])
    for strand, way in (("+", 1), ("-", -1))
}
_EVERY = 28.0
"""Points from one chevron to the next."""
_MIDDLE, _THIN, _THICK, _NAME = 0.7, 0.1, 0.2, 0.4
"""Of the height of a lane: where its bodies are, half their height, and where the tops of names are."""


def label_of(feature: Feature) -> str:
    """Give the name of a feature, with an arrow that says the strand."""
    arrow, name = _ARROWS.get(feature.strand, ""), _shown(feature.name)
    words = [arrow, name] if feature.strand == "-" else [name, arrow]
    return " ".join(filter(None, words))


def _shown(name: str) -> str:
    """Give a name from a file as it is drawn."""
    text = printable(name)
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"


@dataclass(frozen=True, slots=True)
class Placed:
    """A feature in its lane.

    Attributes
    ----------
    feature : Feature
    lane : int
    centre : float or None
        Where the middle of its name is; None where there is no room for it.
    """

    feature: Feature
    lane: int
    centre: float | None


@dataclass(frozen=True, slots=True)
class Lanes:
    """Features laid out so that neither they nor their names cover each other.

    Attributes
    ----------
    placed : tuple of Placed
    number : int
        Of lanes.
    start, end : int
        Of the stretch.
    point : float
        How many bp a point is.
    """

    placed: tuple[Placed, ...]
    number: int
    start: int
    end: int
    point: float

    @property
    def key(self) -> dict[str, str]:
        """The colours of names that aren't written, where they say which is which."""
        return _colours([p.feature for p in self.placed]) or {} if self.unnamed else {}

    @property
    def unnamed(self) -> int:
        """How many names had no room."""
        return sum(p.centre is None and bool(p.feature.name) for p in self.placed)

    @classmethod
    def of(cls, features: Sequence[Feature], start: int, end: int, point: float) -> "Lanes":
        """Lay features out, each in the first lane that has room for it and its name.

        Where none of `MOST_LANES` has, it goes without its name; where none has room for itself, it lies over
        others in the last. Where each name has a colour of its own and not all have room in `MOST_NAMED`,
        none is written: the colours say them, see `Lanes.key`.
        """
        named = cls._packed(features, start, end, point, MOST_NAMED)
        if not named.unnamed:
            return named
        if _colours(features) is None:
            return cls._packed(features, start, end, point, MOST_LANES)
        return cls._packed(features, start, end, point, 1, named=False)

    @classmethod
    def _packed(
        cls, features: Sequence[Feature], start: int, end: int, point: float, most: int, *, named: bool = True
    ) -> "Lanes":
        reached = [float("-inf")] * most
        placed = []
        for feature in sorted(features, key=lambda f: (f.start, f.end, f.name)):
            centre, first, last = _extent(feature, start, end, point)
            lane = _free(reached, first - _GAP * point) if named else None
            if lane is None:
                first, last = max(feature.start, start), min(feature.end, end)
                lane, centre = _free(reached, first), None
            lane = most - 1 if lane is None else lane
            reached[lane] = max(reached[lane], last)
            placed.append(Placed(feature, lane, centre))
        number = 1 + max((p.lane for p in placed), default=0)
        return cls(tuple(placed), number, start, end, point)


def _colours(features: Sequence[Feature]) -> dict[str, str] | None:
    """Give the colour of each name, where each has one of its own and they aren't too many for a key."""
    pairs = sorted({(feature.name, feature.colour) for feature in features})
    colours = dict(pairs)
    is_key = len(set(colours.values())) == len(pairs) == len(colours) <= _MOST_IN_KEY
    return colours if is_key and all(name and colour for name, colour in pairs) else None


def _extent(feature: Feature, start: int, end: int, point: float) -> tuple[float | None, float, float]:
    """Give where the name's middle is, and from where to where a feature and its name reach."""
    first, last = float(max(feature.start, start)), float(min(feature.end, end))
    if not label_of(feature):
        return None, first, last
    half = min(0.5 * (_LETTER * FONT * len(label_of(feature)) * point), 0.5 * (end - start))
    centre = min(max((first + last) / 2, start + half), end - half)
    return centre, min(first, centre - half), max(last, centre + half)


def _free(reached: Sequence[float], first: float) -> int | None:
    """Find the first lane that ends before a position."""
    return next((lane for lane, end in enumerate(reached) if end <= first), None)


def draw_features(axes: Axes, lanes: Lanes) -> None:
    """Draw features on axes that they have for themselves.

    Exons are boxes, high where they are coding, on a line with chevrons along the strand. Positions on the
    axis count from 1, so that base i (0-based) reaches from i + .5 to i + 1.5.
    """
    axes.set_ylim(0, lanes.number)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if lanes.key:
        _draw_key(axes, lanes.key)
    _draw_lines(axes, lanes)
    _draw_boxes(axes, lanes)
    for placed in lanes.placed:
        if placed.centre is not None:
            axes.text(
                placed.centre + 0.5, _top(lanes, placed) - 1 + _NAME, label_of(placed.feature), fontsize=FONT,
                color=INK, ha="center", va="top", clip_on=True,
            )  # fmt: skip


def _draw_key(axes: Axes, colours: Mapping[str, str]) -> None:
    """Say above the row which name has which colour."""
    # A legend leaves out labels that begin with an underscore.
    labels = [f" {name}" if name.startswith("_") else name for name in colours]
    handles = [
        Patch(color=colour, label=label) for label, colour in zip(labels, colours.values(), strict=True)
    ]
    axes.legend(
        handles=handles, ncols=len(handles), loc="lower right", bbox_to_anchor=(1, 1), frameon=False,
        fontsize=FONT, handlelength=0.8, handleheight=0.8, borderpad=0, borderaxespad=0.2,
    )  # fmt: skip


def _top(lanes: Lanes, placed: Placed) -> int:
    """Give the upper end of a feature's lane, the first of which is the uppermost."""
    return lanes.number - placed.lane


def _draw_lines(axes: Axes, lanes: Lanes) -> None:
    """Draw the line through a feature's exons, and its strand."""
    lines = []
    chevrons: dict[str, list[tuple[float, float]]] = {"+": [], "-": []}
    for placed in lanes.placed:
        feature = placed.feature
        if len(feature.blocks) < 2:
            continue
        y = _top(lanes, placed) - 1 + _MIDDLE
        first, last = max(feature.start, lanes.start), min(feature.end, lanes.end)
        lines.append([(first + 0.5, y), (last + 0.5, y)])
        if feature.strand in chevrons:
            at = np.arange(first, last, _EVERY * lanes.point)[1:]
            chevrons[feature.strand] += [(float(x), y) for x in at]
    axes.add_collection(LineCollection(lines, colors=SOFT, linewidths=0.7, zorder=1), autolim=False)
    for strand, points in chevrons.items():
        if points:
            marker: Any = _CHEVRONS[strand]
            x, y_all = zip(*points, strict=True)
            axes.plot(
                x, y_all, linestyle="none", marker=marker, markersize=4, markerfacecolor="none",
                markeredgecolor=SOFT, markeredgewidth=0.7, zorder=1,
            )  # fmt: skip


def _draw_boxes(axes: Axes, lanes: Lanes) -> None:
    boxes, colours = [], []
    for placed in lanes.placed:
        y = _top(lanes, placed) - 1 + _MIDDLE
        for start, end, half in _boxes(placed.feature):
            first, last = max(start, lanes.start) + 0.5, min(end, lanes.end) + 0.5
            if first < last:
                boxes.append([(first, y - half), (first, y + half), (last, y + half), (last, y - half)])
                colours.append(placed.feature.colour or INK)
    # The edge shows what is narrower than a pixel.
    axes.add_collection(
        PolyCollection(boxes, facecolors=colours, edgecolors=colours, linewidths=0.4, zorder=2), autolim=False
    )


def _boxes(feature: Feature) -> Iterator[tuple[int, int, float]]:
    """Give start, end and half the height of the boxes of a feature."""
    blocks = feature.blocks or ((feature.start, feature.end),)
    is_thin = bool(feature.thick)
    for start, end in blocks:
        yield start, end, _THIN if is_thin or feature.blocks else _THICK
    for start, end in feature.thick:
        yield start, end, _THICK
