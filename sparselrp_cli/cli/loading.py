"""Imports that take long, done at once, and without looking for garbage among what stays."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sparselrp_cli.cli.options import say_step


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Import in the block, which takes a while: say so, and collect no garbage meanwhile.

    Python looks through all objects again and again as a large package makes more of them, a third of the
    time that PyTorch takes to load, and finds that all are still needed. They are left out of later searches,
    too.
    """
    say_step(f"loading {what}")
    known, collecting = len(sys.modules), gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > known:
            gc.freeze()
        if collecting:
            gc.enable()
