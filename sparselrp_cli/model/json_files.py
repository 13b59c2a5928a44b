"""JSON from files of strangers: of bounded size, one value a key, and no numbers that aren't in JSON."""

import json
from pathlib import Path
from typing import Any

from sparselrp_cli.errors import ModelError

_MIB = 1 << 20


def read_json(path: Path, most_mib: int, what: str) -> Any:
    """Read a JSON file.

    Parameters
    ----------
    path : Path
    most_mib : int
        What is larger isn't read.
    what : str
        What it should be, for the message.

    Raises
    ------
    ModelError
        With the line where there is one.
    """
    try:
        if path.stat().st_size > most_mib * _MIB:
            raise ModelError(f"{path}: larger than {most_mib} MiB, so not {what}")
        text = path.read_text(encoding="utf-8")
        return json.loads(text, parse_constant=_no_json, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise ModelError(f"{path} line {error.lineno}: not JSON ({error.msg})") from error
    # A number of more than 4300 digits is a ValueError too.
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: can't be read ({_reason(error)})") from error


def _no_json(number: str) -> Any:
    raise ValueError(f"{number} isn't JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"'{twice}' stands twice in one object")
    return found


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
