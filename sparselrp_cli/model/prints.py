"""What a model prints, and what torch says of it: on standard error, or only with -v."""

import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress

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
    with warnings.catch_warnings(), nullcontext() if verbose else _without_logs_of_torch():
        warnings.simplefilter("always" if verbose else "ignore")
        yield


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


@contextmanager
def _without_logs_of_torch() -> Iterator[None]:
    """Switch torch's loggers off; those that it makes meanwhile take the level of the first.

    The others are disabled: each new level would empty what every logger of the process remembers, which
    takes longer than tracing where there are many.
    """
    first, others = logging.getLogger("torch"), _loggers_below("torch")
    level, disabled = first.level, [one.disabled for one in others]
    first.setLevel(logging.CRITICAL + 1)
    for one in others:
        one.disabled = True
    try:
        yield
    finally:
        for one, was in zip(others, disabled, strict=True):
            one.disabled = was
        first.setLevel(level)


def _loggers_below(name: str) -> list[logging.Logger]:
    known = logging.root.manager.loggerDict.items()
    return [one for key, one in known if key.startswith(f"{name}.") and isinstance(one, logging.Logger)]
