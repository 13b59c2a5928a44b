"""Targets as users ask for them: texts, and expressions under names of their own."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sparselrp_cli.errors import InputError
from sparselrp_cli.files.names import field as one_field
from sparselrp_cli.sequences.text import content_lines, display_name, open_lines
from sparselrp_cli.settings.kinds import Kind
from sparselrp_cli.settings.reading import WrongValueError

MOST_TARGETS = 10_000
"""Lines of a file of targets; each has a map of its own in the archive."""
LONGEST_NAME = 200
"""Characters of a target's name."""
_LONGEST_LINE = 1 << 20
_BOMB_BYTES = 1 << 26
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class NamedTarget:
    """An expression under a name of its own.

    Attributes
    ----------
    name : str
        What files and tables call the target.
    expression : str
        As it would be typed behind -t.
    where : str
        File and line, for messages.
    """

    name: str
    expression: str
    where: str = field(default="", compare=False)


AskedTarget = str | NamedTarget
"""A target as asked for: a text, by which it is called, too, or an expression under a name."""


def name_of(asked: AskedTarget) -> str:
    """Give what files and tables call a target."""
    return asked.name if isinstance(asked, NamedTarget) else asked


class Targets(Kind):
    """A list of targets: texts, typed one by one, and named expressions, read from a file."""

    def read(self, value: object) -> tuple[AskedTarget, ...]:
        if not isinstance(value, list):
            raise WrongValueError(f"{value!r} isn't a list of targets")
        return tuple(map(_asked, value))

    def write(self, value: Sequence[AskedTarget]) -> object:
        return [
            {"name": t.name, "expression": t.expression} if isinstance(t, NamedTarget) else t for t in value
        ]


def _asked(value: object) -> AskedTarget:
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and value.keys() == {"name", "expression"}:
        name, expression = value["name"], value["expression"]
        if isinstance(name, str) and isinstance(expression, str):
            return NamedTarget(name, expression)
    raise WrongValueError(f"{value!r} is neither a text nor a name with its expression")


def read_targets(path: str, typed: Sequence[str] = ()) -> tuple[AskedTarget, ...]:
    """Read a file of targets, a name, a tab and an expression a line, behind those that were typed.

    Blank lines and lines that begin with ``#`` are skipped; `-` is standard input.

    Parameters
    ----------
    path : str
    typed : sequence of str
        Targets that the command line names; their texts are their names.

    Raises
    ------
    InputError
        With the line that is wrong, or where no target is in the file.
    """
    shown = display_name(path)
    known: dict[str, str] = dict.fromkeys(typed, "by -t")
    asked: list[AskedTarget] = list(dict.fromkeys(typed))
    with open_lines(path, _BOMB_BYTES) as stream:
        for number, raw in content_lines(stream, shown, _LONGEST_LINE):
            target = _of_line(raw, f"{shown} line {number}")
            if target.name in known:
                raise InputError(
                    f"{target.where}: the target '{target.name[:_SHOWN]}' is also given {known[target.name]};"
                    " give each a name of its own"
                )
            known[target.name] = f"in line {number}"
            asked.append(target)
            if len(asked) > MOST_TARGETS:
                raise InputError(f"{target.where}: more than {MOST_TARGETS:,} targets; split the file")
    if not any(isinstance(each, NamedTarget) for each in asked):
        raise InputError(f"{shown}: holds no target; write a name, a tab and an expression in each line")
    return tuple(asked)


def _of_line(raw: bytes, where: str) -> NamedTarget:
    try:
        columns = [column.strip() for column in raw.decode().split("\t")]
    except UnicodeDecodeError:
        raise InputError(f"{where}: not UTF-8 text; write a name, a tab and an expression") from None
    if len(columns) != 2:
        raise InputError(
            f"{where}: {len(columns)} column{'s' if len(columns) > 1 else ''}; a line has two, a name and an"
            " expression, with one tab between them"
        )
    name, expression = columns
    if not name or not expression:
        missing = "expression" if name else "name"
        raise InputError(f"{where}: the {missing} is missing; a line has a name, a tab and an expression")
    if len(name) > LONGEST_NAME:
        raise InputError(f"{where}: a name of over {LONGEST_NAME} characters; shorten it")
    if one_field(name) != name:
        raise InputError(f"{where}: the name holds characters that can't be printed; take them out")
    return NamedTarget(name, expression, where)
