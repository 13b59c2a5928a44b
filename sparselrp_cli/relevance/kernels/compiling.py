"""How loops for the CPU are compiled (numba), and with how many threads they run.

Each makes one pass where torch would make five to ten. All work on rows in memory order, float32 or float64,
add up in float64, and cut the work into pieces whose size doesn't depend on the number of threads, so that
the sums don't either.
"""

from collections.abc import Callable
from typing import Any

from numba import config, njit, set_num_threads

from sparselrp_cli.errors import SparselrpError

PIECE = 1 << 15
"""Numbers that one thread works on at a time."""


def use_threads(count: int) -> None:
    """Let the loops use as many threads as this, or as many as there are.

    Raises
    ------
    SparselrpError
        If numba can't run threads as its environment variables ask.
    """
    try:
        set_num_threads(min(count, config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    except ValueError as error:
        raise SparselrpError(f"numba can't start its threads: {error} Check NUMBA_THREADING_LAYER") from error


def compiled(*, parallel: bool) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function, kept on disk where there is a place for it."""

    def decorate(function: Callable[..., Any]) -> Any:
        options: dict[str, Any] = {"nogil": True, "parallel": parallel, "error_model": "numpy"}
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # neither the package's folder nor the user's can be written
            return njit(**options)(function)

    return decorate
