"""Colour where a terminal wants it: never in pipes and files, nor where NO_COLOR is set (https://no-color.org)."""

import os
from typing import TextIO

import click


def wants_colour(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that shows colours, and the user wants them."""
    if stream is None or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def painted(text: str, stream: TextIO | None, colour: str | None = None, *, bold: bool | None = None) -> str:
    """Give a text in a colour, if the stream it goes to wants it; otherwise as it is."""
    return click.style(text, fg=colour, bold=bold) if wants_colour(stream) else text
