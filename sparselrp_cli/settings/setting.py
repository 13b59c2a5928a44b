"""How a setting is declared: what it is, how it is typed, where the manifest has it, what depends on it."""

from collections.abc import Iterator
from dataclasses import Field, dataclass, field
from typing import Any, Literal

from sparselrp_cli.settings.kinds import Kind
from sparselrp_cli.settings.reading import WrongValueError

Section = Literal["settings", "runtime"]
EXPLAINING = ("attribute", "variants", "probe")
"""Commands that explain."""
ARCHIVING = ("attribute", "variants")
"""Those that keep what they explain."""

REQUIRED = object()
"""Of a setting that every manifest names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is declared of a setting, beside its name, its type and its default.

    Attributes
    ----------
    kind : Kind
    flags : tuple of str
        How it is typed; empty where the run finds it out by itself.
    help : str
    metavar : str or None
        What help calls the value, where the kind has no name for it.
    shown_default : str or None
        How help and command line write the default, where it isn't written as it is.
    commands : tuple of str
        Which commands have it as an option.
    section : str or None
        Where the manifest has it. None only for what can't change a byte of the results.
    explains : bool
        Whether another value makes contributions that don't compare: a null must have the same.
    own_of_shard : bool
        Whether the shards of one run differ in it.
    only_where_set : bool
        Whether the manifest names it only where it isn't None.
    absent : object
        What a manifest that doesn't name it means by that. Give it to a setting that older manifests lack.
    """

    kind: Kind
    flags: tuple[str, ...]
    help: str
    metavar: str | None
    shown_default: str | None
    commands: tuple[str, ...]
    section: Section | None
    explains: bool
    own_of_shard: bool
    only_where_set: bool
    absent: object

    def read(self, value: object, *, optional: bool) -> object:
        """Take a value from a manifest, null only where it may be None.

        Raises
        ------
        WrongValueError
        """
        return None if value is None and optional else self.kind.read(value)

    def write(self, value: Any) -> object:
        """Give a value as the manifest has it."""
        return None if value is None else self.kind.write(value)

    def when_absent(self) -> object:
        """Give what a manifest means that doesn't name it.

        Raises
        ------
        WrongValueError
            If every manifest names it.
        """
        if self.only_where_set:
            return None
        if self.absent is REQUIRED:
            raise WrongValueError("it is missing")
        return self.absent


def setting(
    default: object,
    kind: Kind,
    *flags: str,
    section: Section | None,
    explains: bool,
    help: str = "",
    metavar: str | None = None,
    shown_default: str | None = None,
    commands: tuple[str, ...] = EXPLAINING,
    own_of_shard: bool = False,
    only_where_set: bool = False,
    absent: object = REQUIRED,
) -> Any:
    """Declare a field of a dataclass as a setting; for the parameters see `Setting`."""
    declared = Setting(
        kind=kind, flags=flags, help=help, metavar=metavar, shown_default=shown_default, commands=commands,
        section=section, explains=explains, own_of_shard=own_of_shard, only_where_set=only_where_set,
        absent=absent,
    )  # fmt: skip
    return field(default=default, metadata={"setting": declared})


def settings_of(fields: tuple[Field[Any], ...]) -> Iterator[tuple[Field[Any], Setting]]:
    """Go through the fields of a dataclass, each with what is declared of it."""
    for each in fields:
        yield each, each.metadata["setting"]
