"""Options that several commands share, and types of their values."""

import difflib
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from sparselrp_cli.cli.values import Prefix
from sparselrp_cli.errors import printable

Command = TypeVar("Command", bound=Callable[..., Any])

FORMATS = ("h5", "bigwig", "bedgraph", "modisco", "modisco-h5", "finemo")
OVERLAPS = ("nearest-centre", "mean", "max-abs", "sum", "error")
COMPOSITES = (
    "epsilon-plus", "epsilon", "epsilon-gamma", "epsilon-alpha2-beta1", "epsilon-plus-flat",
    "epsilon-plus-box",
    "epsilon-gamma-box", "epsilon-plus-w-square", "z-plus", "gamma", "zero",
)  # fmt: skip
_MOST_DIGITS = 6


class Proportion(click.ParamType[float | str]):
    """A proportion 0 <= P < 1, or the word ``auto`` where that is allowed."""

    name = "P"

    def __init__(self, *, auto: bool = False) -> None:
        self.auto = auto

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        if self.auto and value == "auto":
            return "auto"
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number < 1:
            self.fail(
                f"'{value}' isn't a proportion: 0 <= P < 1{', or auto' if self.auto else ''}", param, ctx
            )
        return number


class FormatList(click.ParamType[tuple[str, ...]]):
    """Formats separated by commas."""

    name = "LIST"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        formats = tuple(dict.fromkeys(part.strip() for part in str(value).split(",") if part.strip()))
        for name in formats:
            if name not in FORMATS:
                self.fail(f"unknown format '{name}'; choose among {', '.join(FORMATS)}", param, ctx)
        if not formats:
            self.fail(f"no format; choose among {', '.join(FORMATS)}", param, ctx)
        return formats


class CompositeName(click.ParamType[str]):
    """A preset's name, or a TOML file."""

    name = "NAME|FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in COMPOSITES and not Path(value).is_file():
            near = difflib.get_close_matches(str(value), COMPOSITES, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"the presets are {', '.join(COMPOSITES)}"
            self.fail(f"'{value}' is neither a file nor a preset; {hint}", param, ctx)
        return str(value)


def composite_option(command: Command) -> Command:
    """Add the choice of rules."""
    return click.option(
        "--composite", type=CompositeName(), default=COMPOSITES[0], show_default=True,
        help="Which rule for which layer: a preset (listed by `sparselrp inspect`) or a TOML file.",
    )(command)  # fmt: skip


class BatchSize(click.ParamType[int | None]):
    """A number of windows, or ``auto``."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value is None or value == "auto":
            return None
        digits = str(value)
        if not (digits.isascii() and digits.isdigit()) or not digits.strip("0"):
            self.fail(f"'{value}' isn't a number of windows (1 or more) or auto", param, ctx)
        if len(digits) > _MOST_DIGITS:
            self.fail(f"'{value}' windows at a time fit into no memory; give fewer, or auto", param, ctx)
        return int(digits)


class ShardOf(click.ParamType[tuple[int, int]]):
    """``I/N`` with 1 <= I <= N."""

    name = "I/N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        parts = str(value).split("/")
        if len(parts) != 2 or not all(p.isascii() and p.isdigit() and len(p) < 10 for p in parts):
            self.fail(f"'{value}' isn't I/N, such as 2/8", param, ctx)
        index, of = map(int, parts)
        if not 1 <= index <= of:
            self.fail(f"'{value}': the parts are counted from 1/{of} to {of}/{of}", param, ctx)
        return index, of


class Device(click.ParamType[str]):
    """``auto``, ``cpu`` or ``cuda[:N]``."""

    name = "DEVICE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        kind, _, index = str(value).partition(":")
        if value not in ("auto", "cpu", "cuda") and not (
            kind == "cuda" and index.isascii() and index.isdigit() and len(index) < 4
        ):
            self.fail(f"'{value}' isn't a device: auto, cpu, cuda or cuda:N", param, ctx)
        return str(value)


def model_options(command: Command, *, several: bool = False) -> Command:
    """Add what says which model is meant, or which `several`, and how it wants its input."""
    more = " Repeatable: the models, such as folds, are averaged, and their spread is written too."
    return click.option(
        "-m", "--model", "models" if several else "model", required=True, multiple=several, metavar="MODEL",
        help="Model folder or its model.json; PACKAGE.MODULE:FACTORY or FILE.py:FACTORY; or, with"
        " --trust-model, a .pt2 program or a pickled .pt module." + (more if several else ""),
    )(model_details(command, several=several))  # fmt: skip


def model_details(command: Command, *, several: bool = False) -> Command:
    """Add the options that go with a model, wherever the model itself is named."""
    more = " With several models once for each factory, in their order."
    options = [
        click.option(
            "-w", "--weights", multiple=several, type=click.Path(path_type=Path), metavar="FILE",
            help="Weights for a factory: .safetensors, or a state dict read with weights_only."
            + (more if several else ""),
        ),
        click.option(
            "--window", type=click.IntRange(1, 10_000_000), metavar="BP",
            help="Window length in bp, where the model doesn't carry it.",
        ),
        click.option("--alphabet", metavar="ACGT", help="The model's order of bases.  [default: ACGT]"),
        click.option(
            "--layout", type=click.Choice(["NCL", "NLC"]),
            help="The model's input axes: bases before (NCL) or after (NLC) positions.  [default: NCL]",
        ),
        click.option(
            "--input", "inputs", multiple=True, metavar="NAME=SHAPE[:VALUE]",
            help="Hold another input of the model constant, by its name in forward; such as control=2x2114:0."
            " Repeatable.",
        ),
        click.option(
            "--trust-model", is_flag=True,
            help="Load a file that can run code inside it (.pt2, .pt, .pth, .pkl).",
        ),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def pair_weights(models: Sequence[str], weights: Sequence[Path]) -> list[tuple[str, Path | None]]:
    """Give each model its weights: the factories theirs in order, or none brings any.

    Raises
    ------
    click.UsageError
        If the weights don't come out even with the factories.
    """
    if len(models) == 1 and len(weights) <= 1:
        return [(models[0], weights[0] if weights else None)]
    factories = [model for model in models if _is_factory(model)]
    if weights and len(weights) != len(factories):
        files = "1 file" if len(weights) == 1 else f"{len(weights)} files"
        takers = "1 factory" if len(factories) == 1 else f"{len(factories)} factories"
        raise click.UsageError(
            f"--weights: {files} for {takers} among the models; give one for each factory, in their"
            " order, or none"
        )
    left = iter(weights)
    return [(model, next(left, None) if _is_factory(model) else None) for model in models]


def _is_factory(model: str) -> bool:
    return ":" in Path(model).name and not Path(model).is_dir()


def prefix_option(command: Command) -> Command:
    """Add the prefix of all files that are written."""
    return click.option(
        "-o", "--output", "prefix", required=True, type=Prefix(), metavar="PREFIX",
        help="Every file of the run is named PREFIX.something.",
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


def overlap_option(command: Command, *, default: str = OVERLAPS[0]) -> Command:
    """Add what overlapping windows give."""
    return click.option(
        "--overlap", type=click.Choice(OVERLAPS), default=default, show_default=True,
        help="What a base covered by several windows gets in a track.",
    )(command)  # fmt: skip


def track_options(command: Command) -> Command:
    """Add the choice of files and of what overlapping windows give."""
    formats = click.option("--formats", type=FormatList(), help=f"Files to write, of: {', '.join(FORMATS)}.")
    return formats(overlap_option(command))


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
        return printable(super().format(record))


def start_log(context: click.Context, *, quiet: bool) -> None:
    """Log to standard error: everything with -v, only warnings with -q."""
    logger = logging.getLogger("sparselrp")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(levelname)s: %(message)s"))
    handler.addFilter(_without_level_for_info)
    logger.handlers[:] = [handler]
    logger.propagate = False
    verbose = context.meta.get("sparselrp.verbose", False)
    logger.setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)


def _without_level_for_info(record: logging.LogRecord) -> bool:
    record.levelname = {"INFO": "sparselrp", "DEBUG": "sparselrp"}.get(
        record.levelname, f"sparselrp: {record.levelname.lower()}"
    )
    return True
