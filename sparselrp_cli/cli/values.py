"""Types of values that click has, made as strict as they read."""

import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem


def completed(words: Iterable[str], typed: str, *, files: bool) -> list[CompletionItem]:
    """Give the words that go on from what is typed, and, if asked for, leave files to the shell."""
    found = [CompletionItem(word) for word in words if word.startswith(typed)]
    return [*found, CompletionItem(typed, type="file")] if files else found


def database_names() -> tuple[str, ...]:
    """Name the releases of JASPAR that go by a name, by taxonomic group; see `motifs.database`."""
    groups = ("vertebrates", "plants", "insects", "nematodes", "fungi", "urochordates")
    return ("jaspar2026", *(f"jaspar2026:{group}" for group in groups))


class FileName(click.ParamType[str]):
    """A file, or one of some words, as it is typed; completed in shells.

    Parameters
    ----------
    words : callable
        Gives the words that may stand in a file's place.
    """

    name = "FILE"

    def __init__(self, words: Callable[[], Iterable[str]] = tuple) -> None:
        self.words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return completed(self.words(), incomplete, files=True)


class Finite(click.FloatRange):
    """A number in a range; NaN, which is smaller and larger than nothing, isn't in any."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"'{value}' isn't a finite number", param, ctx)
        return number


class OutputFile(click.ParamType[Path]):
    """A file to write; ``results/``, which a `Path` takes for one, is a folder."""

    name = "FILE"
    hint = "name a file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if os.path.basename(value) in ("", os.curdir, os.pardir):  # noqa: PTH119 - a Path forgets the last /
            self.fail(f"'{value}' names a folder, if anything; {self.hint}", param, ctx)
        return Path(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return completed((), incomplete, files=True)


class Prefix(OutputFile):
    """How the names of files begin."""

    name = "PREFIX"
    hint = "the files' names begin with it, such as results/run"
