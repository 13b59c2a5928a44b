"""Options made of what the settings declare of themselves in `settings.run`."""

from collections.abc import Callable
from dataclasses import Field
from functools import wraps
from typing import Any

import click
from click.shell_completion import CompletionItem

from sparselrp_cli.cli.options import Command
from sparselrp_cli.cli.values import FileName, Finite, completed
from sparselrp_cli.settings.kinds import Choice, Flag, Kind, Real, TypedKind, Whole
from sparselrp_cli.settings.reading import WrongValueError
from sparselrp_cli.settings.run import RunSettings, run_settings
from sparselrp_cli.settings.setting import Setting
from sparselrp_cli.settings.targets import Targets, read_targets

_targets_file = click.option(
    "--targets",
    "targets_file",
    type=FileName(),
    metavar="FILE",
    help="More targets, one a line: a name, a tab, and what would be typed behind -t. Files and tables call"
    " the target by its name.",
)


class Typed(click.ParamType[Any]):
    """A type of values that a `TypedKind` reads."""

    def __init__(self, kind: TypedKind) -> None:
        self.kind = kind
        self.name = kind.metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self.kind.parse(value)
        except WrongValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return completed(self.kind.offered(incomplete), incomplete, files=self.kind.takes_file)


def settings_options(command_name: str, **defaults: object) -> Callable[[Command], Command]:
    """Add an option for every setting that a command has, and hand the command `settings`, a `RunSettings`.

    Parameters
    ----------
    command_name : str
    defaults : object
        Of settings that this command begins from elsewhere, by field name.
    """
    chosen = [
        (each, declared)
        for each, declared in run_settings()
        if declared.flags and command_name in declared.commands
    ]

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_settings(*arguments: Any, **parsed: Any) -> Any:
            values = {each.name: parsed.pop(each.name) for each, _ in chosen}
            if (path := parsed.pop("targets_file")) is not None:
                values["targets"] = read_targets(path, values["targets"])
            return command(*arguments, settings=_settings(values), **parsed)

        decorated = with_settings
        for each, declared in reversed(chosen):
            if isinstance(declared.kind, Targets):
                decorated = _targets_file(decorated)
            decorated = _option(each, declared, default=defaults.get(each.name, each.default))(decorated)
        return decorated  # type: ignore[return-value]

    return decorate


def setting_option(name: str, *, help: str | None = None) -> Callable[[Command], Command]:
    """Add the option of one setting, by field name, to a command that takes the value by itself."""
    each, declared = {each.name: (each, declared) for each, declared in run_settings()}[name]
    return _option(each, declared, default=each.default, help=help)


def _settings(values: dict[str, Any]) -> RunSettings:
    try:
        settings = RunSettings(**values)
    except WrongValueError as error:
        raise click.UsageError(str(error)) from error
    if settings.select is not None and settings.is_plain:
        raise click.UsageError("--select chooses what pruning keeps; with -p 0 everything is kept")
    return settings


def _option(
    each: Field[Any], declared: Setting, *, default: object, help: str | None = None
) -> Callable[[Command], Command]:
    kind = declared.kind
    shown = declared.shown_default if default == each.default and declared.shown_default else default
    more: dict[str, Any] = {"multiple": True} if isinstance(kind, Targets) else {"default": shown}
    if isinstance(kind, Flag):
        more["is_flag"] = True
    else:
        more |= {"type": _type(kind), "show_default": bool(shown), "metavar": declared.metavar}
    return click.option(*declared.flags, each.name, help=help or declared.help, **more)


def _type(kind: Kind) -> click.ParamType[Any]:
    match kind:
        case TypedKind():
            return Typed(kind)
        case Choice(names):
            return click.Choice(list(names))
        case Whole(minimum, maximum):
            return click.IntRange(minimum, maximum)
        case Real(maximum):
            return Finite(0, maximum)
        case Targets():
            return click.STRING
    raise TypeError(f"{type(kind).__name__} has no type on the command line; add one here")
