"""Values of a manifest's JSON, taken only for what they should be: manifests come from users' files."""

from collections.abc import Mapping
from typing import Any


class WrongValueError(ValueError):
    """A value that isn't what it should be; the message says which, where and what it should be."""


def an_object(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Take an entry that is an object.

    Raises
    ------
    WrongValueError
        If it is missing or anything else; so for all that follow.
    """
    value = document.get(key)
    if not isinstance(value, dict):
        raise WrongValueError(f"{key} isn't an object")
    return value


def a_list(document: Mapping[str, Any], key: str) -> list[Any]:
    """Take an entry that is a list."""
    value = document.get(key)
    if not isinstance(value, list):
        raise WrongValueError(f"{key} isn't a list")
    return value


def a_text(document: Mapping[str, Any], key: str) -> str:
    """Take an entry that is a text."""
    value = document.get(key)
    if not isinstance(value, str):
        raise WrongValueError(f"{key} isn't a text")
    return value


def a_count(document: Mapping[str, Any], key: str) -> int:
    """Take an entry that is a number of things."""
    value = document.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise WrongValueError(f"{key} isn't a number of things")
    return value


def a_number(document: Mapping[str, Any], key: str) -> float:
    """Take an entry that is a number, finite or not."""
    value = document.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise WrongValueError(f"{key} isn't a number")
    return value


def numbers(document: Mapping[str, Any], key: str) -> dict[str, float]:
    """Take an entry that is an object of numbers."""
    values = an_object(document, key)
    return {name: a_number(values, name) for name in values}
