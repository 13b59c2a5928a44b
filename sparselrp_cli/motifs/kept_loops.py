"""TF-MoDISco's compiled loops, kept on disk between processes.

Its own command keeps them. `discovery` calls the clustering alone, and compiling for it takes longer than
clustering some thousand seqlets does.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

from sparselrp_cli.files.compiled import KeptLoops

logger = logging.getLogger("sparselrp")


@cache
def keep_loops() -> None:
    """Keep the loops that TF-MoDISco says may be: they call none of another file, which could change.

    Where there is no place for them, each process compiles its own.
    """
    for loop, _ in loops():
        with suppress(RuntimeError):
            loop._cache = _Kept(loop.py_func)  # type: ignore[no-untyped-call]


def loops() -> Iterator[tuple[Any, Any]]:
    """TF-MoDISco's loops, and the types of arguments that each is compiled for."""
    from modiscolite import precompile

    # NUMBA_DISABLE_JIT leaves functions as they are.
    for group in getattr(precompile, "_kernels", list)():
        for loop, types in group:
            if hasattr(loop, "enable_caching"):
                yield loop, types or precompile._signatures[loop]


class _Kept(KeptLoops):
    """TF-MoDISco's loops; for what can't be read or written a process has its own."""

    def say(self, what: str, error: Exception) -> None:
        logger.debug("compiled loops in %s can't be %s", self.cache_path, what, exc_info=error)
