"""Names and numbers of outputs and tasks as typed, and what they can be taken for."""

import re
from dataclasses import dataclass

from sparselrp_cli.errors import TargetError

SIGNS = "+-*/@,:()'\" \t"
"""Characters that mean something in a target; names that hold them stand in quotes."""


@dataclass(frozen=True, slots=True)
class Word:
    """A name or number as typed.

    Attributes
    ----------
    text : str
    is_name : bool
        Whether it stood in quotes, or is a name of the model that holds signs; else it may be a number.
    """

    text: str
    is_name: bool = False

    @property
    def spelled(self) -> str:
        """Write it so that it can be read in one way only."""
        return quoted(self.text) if self.is_name or not re.fullmatch(r"[0-9]+", self.text) else self.text


@dataclass(frozen=True, slots=True)
class Numbers:
    """Tasks from one number to another, which isn't included; from the end where negative."""

    first: int
    end: int
    typed: str

    @property
    def spelled(self) -> str:
        """Write it so that it can be read in one way only: names are matched as they are, without spaces."""
        return f"{self.first} : {self.end}"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Tasks of an output, as typed.

    Attributes
    ----------
    output : Word or None
        What stood before a slash.
    items : tuple of Word or Numbers, or None
        The tasks; empty for all of them (``*``), None where nothing stood there.
    """

    output: Word | None
    items: tuple[Word | Numbers, ...] | None

    @property
    def spelled(self) -> str:
        """Write it so that it can be read in one way only."""
        prefix = "" if self.output is None else f"{self.output.spelled}/"
        if self.items is None:
            return prefix
        return prefix + (", ".join(i.spelled for i in self.items) or "*")


@dataclass(frozen=True, slots=True)
class Selection:
    """Tasks of an output, found.

    Attributes
    ----------
    output : int
    tasks : tuple of range, or None
        Runs of tasks; None where the task is left open, or there is no axis of tasks.
    """

    output: int
    tasks: tuple[range, ...] | None


class UnknownError(TargetError):
    """A word that names nothing in the model.

    Attributes
    ----------
    word : str
    """

    def __init__(self, word: str, message: str) -> None:
        super().__init__(message)
        self.word = word


class AmbiguousError(TargetError):
    """A name that could mean several things.

    Attributes
    ----------
    selection : Selection
        One of them.
    """

    def __init__(self, selection: Selection, message: str) -> None:
        super().__init__(message)
        self.selection = selection


def quoted(name: str) -> str:
    """Put a name in quotes: as a part of a target it can only be read as this name.

    One that holds both kinds of quotes stands as it is.
    """
    quote = next((q for q in ("'", '"') if q not in name), "")
    return f"{quote}{name}{quote}"


def quoted_if_needed(name: str) -> str:
    """Write a name as it can be typed as a part of a target."""
    plain = name and not any(c in SIGNS or c.isspace() for c in name)
    return name if plain else quoted(name)


def is_index(text: str) -> bool:
    """Whether a word is a number of a task, which is counted from the end where negative."""
    return re.fullmatch(r"-(?=0*[1-9])[0-9]+|[0-9]+", text) is not None
