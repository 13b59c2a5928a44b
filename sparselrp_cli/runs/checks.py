"""What is refused of the numbers that come out of a model."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from sparselrp_cli.errors import ConservationError, SparselrpError, WindowError
from sparselrp_cli.graph.targets import Target
from sparselrp_cli.outputs.archive.rows import place
from sparselrp_cli.outputs.choices import WARN_ABOVE
from sparselrp_cli.relevance.windows import ExplainedWindows
from sparselrp_cli.sequences.windows import Window
from sparselrp_cli.settings.run import RunSettings


@contextmanager
def naming_window(windows: Sequence[Window]) -> Iterator[None]:
    """Say of which window an error speaks that names it by its number in a batch.

    Raises
    ------
    ModelError
    """
    try:
        yield
    except WindowError as error:
        raise error.named(place(windows[error.row])) from error


def check_explained(
    settings: RunSettings, targets: Sequence[Target], windows: Sequence[Window], explained: ExplainedWindows
) -> None:
    """Stop at numbers that aren't finite, and at conservation errors above the user's bound.

    Raises
    ------
    SparselrpError
    """
    _require_finite(targets, windows, explained)
    bound = settings.max_conservation_error
    if bound is None:
        if not settings.strict:
            return
        bound = WARN_ABOVE
    errors = explained.accounting["conservation_error"].max(0)
    worst = int(np.argmax(errors))
    if errors[worst] > bound:
        raise ConservationError(
            f"window '{windows[worst].name}': conservation error {errors[worst]:.2g} is above {bound:g}"
        )


def _require_finite(
    targets: Sequence[Target], windows: Sequence[Window], explained: ExplainedWindows
) -> None:
    """Stop at the first window whose score or relevance isn't finite, with its value."""
    scores = explained.accounting["score"]
    finite = np.isfinite(explained.hypothetical).all((2, 3))
    finite &= np.all([np.isfinite(column) for column in explained.accounting.values()], axis=0)
    for number, window in np.argwhere(~finite):
        target = targets[number]
        where = f"window {place(windows[window])}, target '{target.name}'"
        if target.logarithms and np.isnan(explained.accounting["prediction"][number, window]):
            raise SparselrpError(
                f"{where}: what log(...) is of isn't above 0 here, and has no logarithm; take the logarithm"
                " of outputs that are always positive, such as rates behind a softplus, or leave the window"
                " out"
            )
        score = scores[number, window]
        if not np.isfinite(score):
            raise SparselrpError(
                f"{where}: the model's output is {score:g}, of which there is nothing to explain; leave the"
                " window out, or explain another output or what goes into this one"
            )
        raise SparselrpError(
            f"{where}: relevance isn't finite, though the score is {score:g}; numbers inside the model"
            " are too large for the dtype, or some of its weights are NaN or infinite"
        )
