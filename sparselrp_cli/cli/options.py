"""Options that several commands share, and the log."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sparselrp_cli.cli.colour import painted
from sparselrp_cli.cli.scratch import hush_libraries
from sparselrp_cli.cli.values import Prefix
from sparselrp_cli.errors import STEP, printable

Command = TypeVar("Command", bound=Callable[..., Any])


def command_line() -> list[str]:
    """Give the command line for the manifest; a run that was resumed is the same run."""
    return ["sparselrp", *(a for a in sys.argv[1:] if a not in ("--resume", "--restart"))]


def prefix_option(command: Command, *, help: str | None = None) -> Command:
    """Add the prefix of all files that are written; with a text of its own where one needn't be given."""
    return click.option(
        "-o", "--output", "prefix", required=help is None, type=Prefix(), metavar="PREFIX",
        help=help or "Every file of the run is named PREFIX.something; a folder that isn't there is made.",
    )(command)  # fmt: skip


def model_folder_option(command: Command, *, help: str) -> Command:
    """Add the model folder that is written."""
    return click.option(
        "-o", "--output", "folder", required=True, type=click.Path(path_type=Path), metavar="FOLDER",
        help=f"The model folder to write{help}",
    )(command)  # fmt: skip


def resume_option(command: Command, *, what: str = "run", kept: str = "PREFIX.partial") -> Command:
    """Add what becomes of an interrupted run: True goes on with it, False throws it away, None stops."""
    return click.option(
        "--resume/--restart", default=None,
        help=f"Go on with what an interrupted {what} left in {kept}, or throw that away.",
    )(command)  # fmt: skip


def seed_option(command: Command, *, of: str) -> Command:
    """Add the seed of what is drawn."""
    return click.option(
        "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, metavar="N",
        help=f"Of {of}.",
    )(command)  # fmt: skip


def target_option(command: Command) -> Command:
    """Add the choice of one target of an archive."""
    return click.option(
        "-t", "--target", metavar="NAME", help="Which target of the archive; optional where it has one."
    )(command)


def log_options(command: Command) -> Command:
    """Add -q and -v, and set up the log on standard error before the command runs."""
    quiet = click.option("-q", "--quiet", is_flag=True, help="Only warnings and errors; no progress.")
    verbose = click.option(
        "-v", "--verbose", is_flag=True, expose_value=False, callback=_remember_verbose, is_eager=True,
        help="Say more, and show the traceback of an error.",
    )  # fmt: skip
    return quiet(verbose(command))


def _remember_verbose(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.meta["sparselrp.verbose"] = value


class _OneLine(logging.Formatter):
    """Names in messages come from users' files."""

    def format(self, record: logging.LogRecord) -> str:
        # The level may be in colour, which `printable` would spell out.
        return f"{record.levelname}: {printable(super().format(record))}"


def start_log(context: click.Context, *, quiet: bool) -> None:
    """Log to standard error: everything with -v, only warnings with -q."""
    logger = logging.getLogger("sparselrp")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(message)s"))
    verbose = context.meta.get("sparselrp.verbose", False)
    handler.addFilter(_without_level_for_info)
    logger.handlers[:] = [handler]
    logger.propagate = False
    least = STEP if sys.stderr.isatty() else logging.INFO
    logger.setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else least)
    if not verbose:
        hush_libraries()


def say_step(text: str) -> None:
    """Say what begins that takes a while: to who watches a terminal, and with -v."""
    logging.getLogger("sparselrp").log(STEP, "%s ...", text)


def _without_level_for_info(record: logging.LogRecord) -> bool:
    plain = record.levelno <= logging.INFO
    level = "sparselrp" if plain else f"sparselrp: {record.levelname.lower()}"
    record.levelname = level if plain else painted(level, sys.stderr, "yellow", bold=True)
    return True
