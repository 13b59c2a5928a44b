"""Standard streams that are closed, or that can't be written to."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import click

from sparselrp_cli.errors import OutputError


def open_closed_streams() -> None:
    """Put something in the place of standard streams that are closed.

    Otherwise the next files that are opened get their numbers, and what a library prints lands in the
    results. What is said on standard error is lost then; standard output, which a command was asked for,
    can't be written, see `reported_output`.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        if not _is_open(number):
            os.open(os.devnull, mode)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as we run
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


@contextmanager
def reported_output() -> Iterator[None]:
    """Tell standard output that can't be written from other files that can't.

    Raises
    ------
    OutputError
        In place of an `OSError` that printing met; nothing of what was printed is tried again.
    BrokenPipeError
        If whoever read it has left.
    """
    try:
        yield
        if sys.stdout is not None:
            click.echo(nl=False)
    except BrokenPipeError:
        raise
    except OSError as error:
        if not _is_of_printing(error):
            raise
        drop_output()
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"standard output can't be written ({reason}); check where it goes, or send it elsewhere"
        ) from error


def drop_output() -> None:
    """Let go of what couldn't be printed, which Python would try again as it ends."""
    _drop(sys.stdout)


def drop_what_is_left() -> None:
    """Let go of what standard error didn't take, so that the exit code is the command's."""
    try:
        sys.stderr.flush()
    except OSError:
        _drop(sys.stderr)


def _drop(stream: TextIO) -> None:
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _is_of_printing(error: OSError) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code is click.echo.__code__
