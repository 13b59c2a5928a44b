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

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_ALSO_PARALLEL = ("comprehension", "fusion", "inplace_binop", "numpy", "reduction", "setitem", "stencil")
"""What numba shares out among threads besides `prange`: it is small here, and takes long to compile."""


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


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a loop whose `prange` is shared out among threads, and keep it on disk.

    It fills arrays that it is given: making some, or adding up along an axis, would take longer to compile
    than the loop itself.
    """
    options = {**_OPTIONS, "parallel": dict.fromkeys(_ALSO_PARALLEL, False)}
    return kept(njit(**options)(function), function)


def kept(loop: Any, function: Callable[..., Any]) -> Any:
    """Keep what a function is compiled to where there is a place for it: its own folder, or the user's."""
    # NUMBA_DISABLE_JIT leaves the function as it is.
    if hasattr(loop, "enable_caching"):
        with suppress(RuntimeError):
            loop._cache = _Kept(function)  # type: ignore[no-untyped-call]
    return loop


def part(function: Callable[..., Any]) -> Any:
    """Compile what loops call and Python doesn't; it is kept in each of them."""
    options = {**_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return njit(**options)(function)


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
