"""Help texts as the command line prints them: options in their groups, examples line by line."""

import re
from itertools import groupby

import click
from sphinx.application import Sphinx

from sparselrp_cli.cli.grouped import GROUPS


def as_markup(_: Sphinx, __: click.Context, lines: list[str]) -> None:
    """Write out what would mean something in reStructuredText, and keep lines that help keeps."""
    found: list[str] = []
    for kept, lines_alike in groupby(lines, key=lambda line: line.startswith("|")):
        block = list(lines_alike)
        found += as_literals([line[2:] for line in block]) if kept else map(escaped, block)
    lines[:] = found


def as_literals(block: list[str]) -> list[str]:
    """Give lines as a block of code; a first line such as Examples: stands in front of it."""
    head, *rest = block
    if head.endswith(":"):
        return [escaped(head), "", "::", "", *(f"   {line}" for line in rest), ""]
    return ["", "::", "", *(f"   {line}" for line in block), ""]


def escaped(line: str) -> str:
    """Give a line of prose, the commands in it as literals."""
    if line.startswith(".. "):
        return line
    return re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line).replace("|", r"\|")


def in_groups(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    """Put the options of a command in the groups that its help has."""
    as_markup(app, context, lines)
    blocks = options_in(lines)
    named = {option: p.name for p in context.command.params for option in (*p.opts, *p.secondary_opts)}
    found: list[str] = []
    for group, names in GROUPS.items():
        of_group = [block for option, block in blocks.items() if named.get(option) in names]
        if of_group:
            found += [f".. rubric:: {group}", "", *(line for block in of_group for line in block)]
    lines[:] = found


def options_in(lines: list[str]) -> dict[str, list[str]]:
    """Give the lines of each option, by the first of its names."""
    blocks: dict[str, list[str]] = {}
    for line in lines:
        if option := re.match(r"\.\. option:: ([^ ,]+)", line):
            blocks[option[1]] = block = []
        block.append(line)
    return blocks


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("sphinx-click-process-description", as_markup)
    app.connect("sphinx-click-process-epilog", as_markup)
    app.connect("sphinx-click-process-options", in_groups)
    return {"parallel_read_safe": True}
