"""Commands called as users call them, in this process, and what they print and write."""

import csv
from pathlib import Path

import click
import pytest

from sparselrp_cli.cli.main import run


def command(name: str, *arguments: object) -> int:
    """Run a subcommand; gives its exit code."""
    return run([name, *map(str, arguments)])


def attribute(*arguments: object) -> int:
    return command("attribute", *arguments)


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a failure prints."""
    lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line.lower()]
    assert len(lines) == 1
    return lines[0]


def table(path: Path | str) -> list[dict[str, str]]:
    """The rows of a table with a header, by column."""
    with Path(path).open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def left_behind(folder: Path) -> list[str]:
    """Names of what a command left in a folder."""
    return sorted(path.name for path in folder.iterdir())


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def run_here(arguments: list[str | Path], *, quiet: bool) -> None:
    """Run a command that another one starts in this process; a report draws motifs and no windows."""
    fewer = ["--windows", "0"] if arguments[0] == "report" else []
    if code := run([*map(str, arguments), *fewer, *(["-q"] if quiet else [])]):
        raise click.exceptions.Exit(code)
