"""How loops for the CPU are compiled (numba), and with how many threads they run.

Each makes one pass where torch would make five to ten. All work on rows in memory order, float32 or float64,
add up in float64, and cut the work into pieces whose size doesn't depend on the number of threads, so that
the sums don't either.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from numba import config, njit, set_num_threads

from sparselrp_cli.errors import SparselrpError
from sparselrp_cli.files.compiled import KeptLoops

logger = logging.getLogger("sparselrp")

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
        loop = njit(**options)(function)
        # NUMBA_DISABLE_JIT leaves the function as it is. Where neither the package's folder nor the user's
        # can be written there is no place to keep the loop.
        if hasattr(loop, "enable_caching"):
            with suppress(RuntimeError):
                loop._cache = _Kept(function)  # type: ignore[no-untyped-call]
        return loop

    return decorate


class _Kept(KeptLoops):
    """Our loops: without the files a run takes up to a minute longer, which is said once."""

    def say(self, what: str, error: Exception) -> None:
        reason = " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())
        _warn(self.cache_path, what, reason.lower())


@cache
def _warn(folder: str, what: str, reason: str) -> None:
    """Say once what is the same for all loops."""
    logger.warning(
        "compiled loops in %s can't be %s (%s); compiling them for this run, which takes up to a minute;"
        " NUMBA_CACHE_DIR names another folder", folder, what, reason,
    )  # fmt: skip
