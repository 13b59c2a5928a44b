"""What a model prints, and what torch says of it: on standard error, or only with -v."""

import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress

logger = logging.getLogger("sparselrp")


@contextmanager
def printing_to_stderr() -> Iterator[None]:
    """Send to standard error what the user's code prints, from Python, from C and from child processes."""
    with _second_descriptor_for_first(), redirect_stdout(sys.stderr):
        yield


@contextmanager
def _second_descriptor_for_first() -> Iterator[None]:
    _flush()
    try:
        kept = os.dup(1)
    except OSError:  # There is no standard output.
        yield
        return
    try:
        with suppress(OSError):  # There may be no standard error; then what is printed stays where it goes.
            os.dup2(2, 1)
        yield
    finally:
        _flush()
        os.dup2(kept, 1)
        os.close(kept)


def _flush() -> None:
    """Write what is in the buffers of Python's and of C's standard output."""
    for stream in (sys.stdout, sys.__stdout__):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()  # type: ignore[union-attr]
    import ctypes

    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).fflush(None)


@contextmanager
def without_noise() -> Iterator[None]:
    """Keep torch's warnings and logs for -v; what is wrong is told in our one line."""
    verbose = logger.isEnabledFor(logging.DEBUG)
    loggers = [] if verbose else _loggers_of_torch()
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always" if verbose else "ignore")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)


@contextmanager
def silently() -> Iterator[None]:
    """Run what the user's code has done before, or torch is loud at: not a word, except with -v."""
    if logger.isEnabledFor(logging.DEBUG):
        with printing_to_stderr(), without_noise():
            yield
        return
    said = io.StringIO()
    with _second_descriptor_for_first(), redirect_stdout(said), redirect_stderr(said), without_noise():
        yield


def _loggers_of_torch() -> list[logging.Logger]:
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "torch"]
    return [logging.getLogger(name) for name in ("torch", *names)]
