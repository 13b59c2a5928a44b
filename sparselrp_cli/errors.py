"""The errors a user can meet.

Every message is one line that says what is wrong, where, and what to do; the command line prints it as it is.
"""

import re

LONGEST_MESSAGE = 2000


def printable(text: str) -> str:
    """Put a text on one line that a terminal shows as it is.

    Names in messages come from users' files: a line break, an escape sequence or a name of a gigabyte in them
    must not reach the terminal.
    """
    if len(text) > LONGEST_MESSAGE:
        half = LONGEST_MESSAGE // 2
        text = f"{text[:half]} [...] {text[-half:]}"
    text = re.sub(r"\s*[\t\n\v\f\r]\s*", " ", text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class SparselrpError(Exception):
    """Root of all errors that the user, not the programmer, can mend."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class InputError(SparselrpError):
    """A sequence or region file can't be read, or doesn't fit."""


class ModelError(SparselrpError):
    """A model can't be loaded or traced."""


class UnsupportedOperationError(ModelError):
    """The model uses an operation that has no propagation rule."""


class TargetError(SparselrpError):
    """The explained target doesn't exist in the model."""


class OutputError(SparselrpError):
    """A result can't be written, or an archive can't be read."""


class ConservationError(SparselrpError):
    """Relevance isn't conserved within the bound the user set."""


class CompositeError(SparselrpError):
    """A composite that can't be read, or doesn't suit the model."""


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGUSR1 came. Libraries that let an interruption through let this through, too."""
