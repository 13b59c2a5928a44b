"""Compiled loops of TF-MoDISco and Tomtom, kept on disk between processes.

TF-MoDISco's own command keeps them. `discovery` calls the clustering alone, and compiling for it takes longer
than clustering some thousand seqlets does. Tomtom keeps its own.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
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


def of_tomtom() -> list[Any]:
    """Give Tomtom's loops."""
    # The package has a function of that name in the module's place.
    found = vars(import_module("memelite.tomtom")).values()
    return [each for each in found if hasattr(each, "py_func") and hasattr(each, "stats")]


def say_if_compiling(program: str, loops: Iterable[Any]) -> None:
    """Say that a program is compiled now, where no process before kept any of its loops."""
    loops = list(loops)
    if loops and not any(map(_is_kept, loops)):
        logger.info("compiling %s for this processor, which takes a minute or so, once", program)


def _is_kept(loop: Any) -> bool:
    function, folder = loop.py_func, loop.stats.cache_path
    name = f"{Path(function.__code__.co_filename).stem}.{function.__name__}-"
    return folder is not None and any(path.name.startswith(name) for path in Path(folder).glob("*.nbi"))


class _Kept(KeptLoops):
    """TF-MoDISco's loops; for what can't be read or written a process has its own."""

    def say(self, what: str, error: Exception) -> None:
        logger.debug("compiled loops in %s can't be %s", self.cache_path, what, exc_info=error)
