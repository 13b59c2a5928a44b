"""What all figures have in common: colours, fonts, and equal bytes for equal numbers."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl

# Okabe & Ito's colours, which the colour-blind tell apart; the letters say the same.
COLOURS = {"A": "#009E73", "C": "#0072B2", "G": "#B07800", "T": "#D55E00"}
INK, SOFT, MARK = "#1b1f24", "#8a929c", "#CC79A7"
SLATE, UNKNOWN, HIGHLIGHT = "#56606b", "#eeeeee", "#fdf0c4"
STYLE: Any = {
    "svg.hashsalt": "sparselrp",
    "svg.fonttype": "path",
    "pdf.compression": 6,
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    # Names from files are text, dollars too.
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
P = ParamSpec("P")
R = TypeVar("R")


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Let a function draw in the style of all figures."""

    @wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapped
