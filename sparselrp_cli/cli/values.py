"""Types of values that click has, made as strict as they read."""

import math
import os
from pathlib import Path
from typing import Any

import click


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


class Prefix(OutputFile):
    """How the names of files begin."""

    name = "PREFIX"
    hint = "the files' names begin with it, such as results/run"
