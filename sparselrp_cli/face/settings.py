"""Settings given as keywords: the same values, checks and defaults as those of the command line."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sparselrp_cli.errors import SettingError
from sparselrp_cli.settings.kinds import Composition, Kind, PresetOrFile
from sparselrp_cli.settings.reading import WrongValueError
from sparselrp_cli.settings.run import RunSettings, run_settings

DEFAULTS = RunSettings()
"""What every setting is unless told."""
Centre = str | Sequence[float] | None
"""``uniform``, ``none`` or None, or four shares of A, C, G and T."""


def settings_of(**given: object) -> RunSettings:
    """Check settings by name, and put them together.

    Raises
    ------
    SettingError
        With the name of the one that is wrong.
    """
    declared = {each.name: (each, of_field) for each, of_field in run_settings()}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in declared:
            raise SettingError(f"{name}= isn't a setting; choose among {', '.join(sorted(declared))}")
        each, of_field = declared[name]
        try:
            plain = _plain(of_field.kind, value)
            values[name] = of_field.read(plain, optional=each.default is None)
        except (WrongValueError, TypeError) as error:
            raise SettingError(f"{name}={value!r}: {error}") from error
    try:
        return replace(DEFAULTS, **values)
    except WrongValueError as error:
        raise SettingError(str(error)) from error


def _plain(kind: Kind, value: object) -> object:
    """Give a value of Python as a manifest would have it."""
    match value:
        case np.generic():
            return value.item()
        case tuple() | list():
            return [_plain(kind, each) for each in value]
        case None if isinstance(kind, Composition):
            return "none"
        case Path():
            return _plain(kind, str(value))
        case str() if isinstance(kind, PresetOrFile):
            return kind.parse(value)
    return value
