"""The hyper-parameters that a Lightning checkpoint keeps, and how the class of its model is called with them.

As `LightningModule.load_from_checkpoint` does, from the file's data alone.
"""

import inspect
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.plain_objects import plain
from sparselrp_cli.model.unpickling import Stub, foreign_class

_VALUES, _NAME, _MARK = "hyper_parameters", "hparams_name", "pytorch-lightning_version"
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_USUAL = ("hparams", "hyperparameters", "config", "cfg", "conf", "args", "opt", "params")
_LONGEST = 60
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class HyperParameters:
    """What a checkpoint says its model was made with.

    Attributes
    ----------
    values : mapping of str to object
        Objects that can't be read as data are stand-ins.
    whole : str
        The parameter of the class that takes them all as one; may be empty.
    """

    values: Mapping[str, Any]
    whole: str = ""

    def describe(self) -> str:
        """List them as they would be typed in a call."""
        shown = [f"{name}={_shown(value)}" for name, value in list(self.values.items())[:_SHOWN]]
        more = ["..."] if len(self.values) > _SHOWN else []
        return ", ".join(shown + more)

    def arguments_of(self, function: Callable[..., Any], reference: str) -> dict[str, Any]:
        """Choose those that a class takes, by their names.

        Raises
        ------
        ModelError
            If one of them is an object that isn't data.
        """
        taken = _parameters(function)
        if whole := self._whole_of(taken):
            return {whole: Attributes(self.values)}
        if not any(p.kind == p.VAR_KEYWORD for p in taken.values()):
            chosen = {name: value for name, value in self.values.items() if name in taken}
        else:
            chosen = {n: v for n, v in self.values.items() if n in taken or not foreign_class(v)}
        for name, value in chosen.items():
            if where := _foreign_within(value):
                raise ModelError(
                    f"{reference}: its hyper-parameter '{name}' is {where}, an object that isn't made from a"
                    " file; write a factory that gives it, or add --trust-model if you trust the checkpoint",
                    self.factory(reference),
                )
        return chosen

    def _whole_of(self, taken: Mapping[str, inspect.Parameter]) -> str:
        """Name the parameter that takes them all, if there is one; not every checkpoint says it."""
        needed = [name for name, p in taken.items() if p.default is p.empty and p.kind in _NAMED]
        alone = needed[0] if len(needed) == 1 and needed[0] in _USUAL and needed[0] not in self.values else ""
        return self.whole if self.whole in taken else alone

    def left(self, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """Name those that a call doesn't take."""
        whole = any(isinstance(value, Attributes) for value in arguments.values())
        return () if whole else tuple(n for n in self.values if n not in arguments)

    def factory(self, reference: str = "") -> tuple[str, ...]:
        """Write the lines of a factory with these values."""
        place, _, name = reference.rpartition(":")
        module = Path(place).stem if place.endswith(".py") else place or "PACKAGE.MODULE"
        name = name or "CLASS"
        given = ", ".join(f"{key}={_shown(value, None)}" for key, value in self.values.items())
        given = f"{self.whole}=dict({given})" if self.whole else given
        return f"from {module} import {name}", "def build():", f"    return {name}({given})"


class Attributes(dict[str, Any]):
    """Hyper-parameters by item or by attribute, as classes read them that take all as one."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__({n: _nested(v) for n, v in values.items() if not _foreign_within(v)})
        self.__dict__["_foreign"] = {n: where for n, v in values.items() if (where := _foreign_within(v))}

    def __missing__(self, name: str) -> Any:
        if name in self._foreign:
            raise KeyError(_unmade(name, self._foreign[name]))
        raise KeyError(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self:
            raise AttributeError(_unmade(name, self._foreign[name]) if name in self._foreign else name)
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __deepcopy__(self, memo: dict[int, Any]) -> "Attributes":
        copied = Attributes({name: deepcopy(value, memo) for name, value in self.items()})
        copied.__dict__["_foreign"] = dict(self._foreign)
        return copied


def _nested(value: Any) -> Any:
    return Attributes(value) if type(value) is dict and all(isinstance(k, str) for k in value) else value


def _unmade(name: str, where: str) -> str:
    return f"hyper-parameter '{name}' is {where}, an object that isn't made from a file"


def read_hyper_parameters(document: object) -> HyperParameters | None:
    """Give the hyper-parameters of what a file holds; None where it isn't Lightning's."""
    if not isinstance(document, dict):
        return None
    entries = dict(dict.items(document))
    if _VALUES not in entries:
        return HyperParameters({}) if _MARK in entries else None
    name = entries.get(_NAME)
    try:
        values = plain(entries[_VALUES])
    except ValueError:
        values = None
    if not isinstance(values, dict):
        return HyperParameters({})
    # LightningCLI adds how it made the model, and has classes to make in the place of what they would give.
    by_cli = "_instantiator" in values
    named = {
        k: _to_be_made(v) if by_cli else v
        for k, v in values.items()
        if isinstance(k, str) and not k.startswith("_")
    }
    return HyperParameters(named, name if isinstance(name, str) and name != "kwargs" else "")


def _to_be_made(value: Any) -> Any:
    """Put a stand-in in the place of a class that LightningCLI would call."""
    path = value.get("class_path") if type(value) is dict else None
    return type("Made", (Stub,), {"path": path}) if isinstance(path, str) else value


def takes_hyper_parameters(function: Callable[..., Any]) -> bool:
    """Whether a class or a function is to be called with hyper-parameters: any class, or what needs them."""
    return isinstance(function, type) or any(
        p.default is p.empty and p.kind in _NAMED for p in _parameters(function).values()
    )


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def _foreign_within(value: Any) -> str:
    """Name the class of a stand-in in a value, at any depth; nothing where there is none."""
    if name := foreign_class(value):
        return name
    parts = list(dict.values(value)) if isinstance(value, dict) else value
    return next(filter(None, map(_foreign_within, parts)), "") if isinstance(parts, list | tuple) else ""


def _shown(value: Any, longest: int | None = _LONGEST) -> str:
    """Write a value as in a call; of an object that can't be read its class."""
    text = f"<{_foreign_within(value)}>" if _foreign_within(value) else repr(value)
    return text if longest is None or len(text) <= longest else f"{text[:longest]}..."
