"""Composites as a user writes them, in TOML."""

import dataclasses
import difflib
import math
import re
import tomllib
from typing import Any

from sparselrp_cli.errors import CompositeError
from sparselrp_cli.graph.operations.product import PRODUCT_RULES
from sparselrp_cli.relevance.choices import SELECTING
from sparselrp_cli.relevance.composites import KINDS, PRESETS, Composite, Entry
from sparselrp_cli.relevance.rules import RULES, Rule

_MOST_PARTS = 64
_SELECTORS = ("kind", "name", "position", "prune", "prune-negative", "rule")


def parse_composite(text: str, where: str) -> Composite:
    """Read a composite.

    Parameters
    ----------
    text : str
        TOML: optionally ``name``, ``summary``, ``extends`` (a preset whose entries come after these) and
        ``select`` (the rule by which neurons are selected); and tables ``[[rule]]`` with ``rule`` and its
        parameters, ``kind``, ``name``, ``position``, ``prune`` and ``prune-negative``.
    where : str
        What to call it in messages.

    Raises
    ------
    CompositeError
    """
    _require_short_keys(text, where)
    try:
        document = tomllib.loads(text)
    except ValueError as error:  # besides TOML's own errors those of numbers with thousands of digits
        raise CompositeError(f"{where}: not TOML ({error})") from error
    except RecursionError as error:
        raise CompositeError(f"{where}: nested too deeply to be a composite") from error
    _known(document, ("name", "summary", "extends", "select", "rule"), where)
    tables = document.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        raise CompositeError(f"{where}: rules are written as tables [[rule]]")
    entries = tuple(_entry(table, f"{where}, rule {i}") for i, table in enumerate(tables, 1))
    base: tuple[Entry, ...] = ()
    if (extends := document.get("extends")) is not None:
        if not isinstance(extends, str) or extends not in PRESETS:
            raise CompositeError(f"{where}: extends '{extends}'; the presets are {', '.join(PRESETS)}")
        base = PRESETS[extends].entries
    if not entries and not base:
        raise CompositeError(f"{where}: no rule in it")
    names = str(document.get("name", where)), str(document.get("summary", ""))
    return Composite(*names, (*entries, *base), _selecting(document.get("select"), where))


def _require_short_keys(text: str, where: str) -> None:
    """Refuse keys of very many parts: the time to read one grows with the square of their number."""
    for number, line in enumerate(text.splitlines(), 1):
        keys = line.split("=")[:-1]
        if line.lstrip().startswith("["):
            keys.append(re.split("[\"']", line, maxsplit=1)[0])
        if any(key.count(".") > _MOST_PARTS for key in keys):
            raise CompositeError(
                f"{where} line {number}: a key of more than {_MOST_PARTS} parts, nested too"
                " deeply to be a composite"
            )


def _selecting(name: object, where: str) -> Rule | None:
    """Give the rule by which neurons are selected."""
    if name is None:
        return None
    if not isinstance(name, str) or name not in SELECTING:
        raise CompositeError(f"{where}: select '{name}'; neurons are selected by {', '.join(SELECTING)}")
    return RULES[name]()


def _known(table: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
            raise CompositeError(f"{where}: unknown key '{key}'; {hint}")


def _entry(table: dict[str, Any], where: str) -> Entry:
    given = dict(table)
    prune, prune_negative = (_proportion(given, key, where) for key in ("prune", "prune-negative"))
    if prune is None and prune_negative is not None:
        raise CompositeError(f"{where}: 'prune-negative' goes with 'prune'")
    position, kind, name = given.get("position"), given.get("kind"), given.get("name")
    if position not in (None, "first", "last"):
        raise CompositeError(f"{where}: position '{position}'; it is first or last")
    if kind is not None and kind not in KINDS:
        raise CompositeError(f"{where}: kind '{kind}'; it is {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    if name is not None and not isinstance(name, str):
        raise CompositeError(f"{where}: 'name' must be a text, a pattern such as \"encoder.*\"")
    rule = _rule(given, where)
    if rule is None and prune is None:
        raise CompositeError(f"{where}: needs 'rule' or 'prune'")
    if isinstance(rule, str) and kind != "product":
        raise CompositeError(f"{where}: rule '{rule}' is for products; add kind = \"product\"")
    return Entry(rule, kind, name, position, prune, prune_negative)  # type: ignore[arg-type]


def _proportion(table: dict[str, Any], key: str, where: str) -> float | None:
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise CompositeError(f"{where}: '{key}' must be a proportion, 0 <= p < 1")
    return float(value)


def _rule(table: dict[str, Any], where: str) -> Rule | str | None:
    name = table.get("rule")
    if name is None or name in PRODUCT_RULES:
        _known(table, _SELECTORS, where)
        return name
    if not isinstance(name, str) or name not in RULES:
        known = (*RULES, *PRODUCT_RULES)
        near = difflib.get_close_matches(str(name), known, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"the rules are {', '.join(known)}"
        raise CompositeError(f"{where}: unknown rule '{name}'; {hint}")
    rule = RULES[name]
    parameters = tuple(f.name for f in dataclasses.fields(rule))
    _known(table, (*_SELECTORS, *parameters), where)
    values = {key: table[key] for key in parameters if key in table}
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < math.inf:
            raise CompositeError(f"{where}: '{key}' must be a number")
    try:
        return rule(**{key: float(value) for key, value in values.items()})
    except (ValueError, OverflowError) as error:
        raise CompositeError(f"{where}: {error}") from error
