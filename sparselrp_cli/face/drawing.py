"""Figures of the face, on matplotlib axes."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError, SparselrpError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sparselrp_cli.face.attribution import Attribution

_NEEDED = ("matplotlib", "logomaker")


def draw(one: "Attribution", start: int | None, end: int | None, axes: "Axes | None") -> "Axes":
    """Draw the only example of an attribution; see `Attribution.plot`."""
    values = one.relevance[0].detach().cpu().double().numpy()
    if not one.are_images:
        first, last = stretch(start, end, values.shape[1])
        return draw_bases(values[:, first:last].T, first, axes)
    if start is not None or end is not None:
        raise InputError("an image is drawn whole; leave start and end out")
    axes = axes_or_new(axes, wide=3.5, high=3.5)
    from sparselrp_cli.report.figures import draw_heatmap

    draw_heatmap(axes, values.sum(0))
    return axes


def draw_bases(values: npt.NDArray[np.float64], first: int, axes: "Axes | None") -> "Axes":
    """Draw contributions, shape (L, 4), the first at position `first`."""
    axes = axes_or_new(axes, wide=9.0, high=1.8)
    from sparselrp_cli.report.figures import draw_relevance

    draw_relevance(axes, values, first)
    return axes


def stretch(start: int | None, end: int | None, length: int) -> tuple[int, int]:
    """Give a stretch of a sequence.

    Raises
    ------
    InputError
        If it isn't inside.
    """
    first, last = 0 if start is None else start, length if end is None else end
    if not 0 <= first < last <= length:
        raise InputError(f"start {first} and end {last} aren't a stretch of {length} bp; write 0 to {length}")
    return first, last


def axes_or_new(axes: "Axes | None", *, wide: float, high: float) -> "Axes":
    """Give axes, or those of a new figure of so many inches.

    Raises
    ------
    SparselrpError
        If what draws isn't installed.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise SparselrpError(f"figures need {' and '.join(missing)}; pip install {' '.join(missing)}")
    if axes is not None:
        return axes
    from matplotlib import pyplot

    _, found = pyplot.subplots(figsize=(wide, high), layout="constrained")
    new: Axes = found
    return new
