"""The errors a user can meet.

Every message is one line that says what is wrong, where, and what to do; the command line prints it as it is.
"""

import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec

LONGEST_MESSAGE = 2000
STEP = 15
"""A level of the log between debug and info: what begins that takes a while, for who watches a terminal."""


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


def _printable_line(text: str) -> str:
    """Put a line of code on one line, its indentation kept."""
    indent = len(text) - len(text.lstrip(" "))
    return " " * indent + printable(text[indent:])


def number_of(number: int, noun: str, plural: str = "") -> str:
    """Write how many there are of something: ``1 window``, ``2 windows``."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def first_line(error: Exception) -> str:
    """Give the first line of an error's message, or its type."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


class SparselrpError(Exception):
    """Root of all errors that the user, not the programmer, can mend.

    Parameters
    ----------
    message : str
    example : sequence of str
        Lines that the user can paste into a file; shown below the message.
    """

    def __init__(self, message: str, example: Sequence[str] = ()) -> None:
        super().__init__(printable(message))
        self.example = tuple(map(_printable_line, example))


class SettingError(SparselrpError):
    """A setting isn't one of those that there are."""


class InputError(SparselrpError):
    """A sequence or region file can't be read, or doesn't fit."""


class ModelError(SparselrpError):
    """A model can't be loaded or traced."""


class WindowError(ModelError):
    """A model can't take one of several windows.

    Parameters
    ----------
    message : str
        Begins with ``a window``, if it speaks of it.
    row : int
        Which of them it is.
    """

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message)
        self.row = row

    def shifted(self, rows: int) -> "WindowError":
        """Count the window among others, of which so many stand before these."""
        return WindowError(str(self), self.row + rows)

    def named(self, window: str) -> ModelError:
        """Say which window it is."""
        return ModelError(f"window {window}: {str(self).removeprefix('a window ')}")


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


def is_installed(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    if package in sys.modules:
        return sys.modules[package] is not None
    return find_spec(package) is not None


def require_extra(extra: str, what: str, *packages: str) -> None:
    """Stop before anything slow where packages of an extra of ours aren't installed.

    Parameters
    ----------
    extra : str
        As in pyproject.toml.
    what : str
        What needs them, for the message.
    packages : str
        As they are imported.

    Raises
    ------
    InputError
    """
    if missing := [package for package in packages if not is_installed(package)]:
        raise InputError(f"{what} needs {' and '.join(missing)}: pip install 'sparselrp[{extra}]'")
