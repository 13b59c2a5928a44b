"""Kinds of settings: how a value is typed, how a manifest has it, and what is refused."""

import difflib
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparselrp_cli.relevance.choices import UNIFORM
from sparselrp_cli.settings.reading import WrongValueError

_MOST_DIGITS = 6  # of a number of windows
_SUM_TOLERANCE = 0.01  # of shares that are rounded to two digits
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `index` of `of`, counted from 1."""

    index: int
    of: int

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"


class Kind(ABC):
    """What values a setting has."""

    @abstractmethod
    def read(self, value: object) -> object:
        """Take a value from a manifest's JSON.

        Raises
        ------
        WrongValueError
            If it is none of this kind; the message says what it is, and of which kind it isn't.
        """

    def write(self, value: Any) -> object:
        """Give a value as a manifest's JSON has it."""
        return value


class TypedKind(Kind):
    """A kind whose values are typed in a form of their own.

    Attributes
    ----------
    metavar : str
        What help calls it.
    """

    metavar: str
    takes_file = False
    """Whether a file can be typed, too."""

    def offered(self, typed: str) -> tuple[str, ...]:
        """Give words that can be typed, for completion; `typed` is what there is of one."""
        return ()

    @abstractmethod
    def parse(self, text: str) -> object:
        """Read what was typed.

        Raises
        ------
        WrongValueError
            With what is wrong and what would be right.
        """


class Flag(Kind):
    """Yes or no."""

    def read(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise WrongValueError(f"{value!r} is neither true nor false")
        return value


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of some names."""

    names: Sequence[str]

    def read(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.names:
            raise WrongValueError(f"{value!r} is none of {', '.join(self.names)}")
        return value


@dataclass(frozen=True, slots=True)
class Whole(Kind):
    """A whole number of at least `minimum` and at most `maximum`."""

    minimum: int
    maximum: int | None = None

    def read(self, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < self.minimum:
            raise WrongValueError(f"{value!r} isn't a whole number of at least {self.minimum}")
        if self.maximum is not None and value > self.maximum:
            raise WrongValueError(f"{value!r} isn't a whole number of at most {self.maximum}")
        return value


@dataclass(frozen=True, slots=True)
class Real(Kind):
    """A number from 0 to `maximum`."""

    maximum: float | None = None

    def read(self, value: object) -> float:
        top = math.inf if self.maximum is None else self.maximum
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= top:
            raise WrongValueError(f"{value!r} isn't a number {_between(0, self.maximum)}")
        return value


def _between(low: float, high: float | None) -> str:
    return f"of {low:g} or more" if high is None else f"from {low:g} to {high:g}"


class Texts(Kind):
    """A list of texts."""

    def read(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise WrongValueError(f"{value!r} isn't a list of texts")
        return tuple(value)

    def write(self, value: tuple[str, ...]) -> object:
        return list(value)


@dataclass(frozen=True, slots=True)
class NameList(TypedKind):
    """A list of names, separated by commas; each is one of `names`.

    Attributes
    ----------
    noun : str
        What a name is called in messages.
    """

    names: Sequence[str]
    noun: str
    metavar = "LIST"

    def offered(self, typed: str) -> tuple[str, ...]:
        before, comma, _ = typed.rpartition(",")
        return tuple(f"{before}{comma}{name}" for name in self.names if name not in before.split(","))

    def parse(self, text: str) -> tuple[str, ...]:
        chosen = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
        for name in chosen:
            if name not in self.names:
                raise WrongValueError(f"unknown {self.noun} '{name}'; choose among {', '.join(self.names)}")
        if not chosen:
            raise WrongValueError(f"no {self.noun}; choose among {', '.join(self.names)}")
        return chosen

    def read(self, value: object) -> tuple[str, ...]:
        names = Texts().read(value)
        for name in names:
            Choice(self.names).read(name)
        return names

    def write(self, value: tuple[str, ...]) -> object:
        return list(value)


@dataclass(frozen=True, slots=True)
class Proportion(TypedKind):
    """A proportion 0 <= P < 1, or ``auto``; typed, ``auto`` only where `auto` says so."""

    auto: bool = False
    metavar = "P"

    def offered(self, typed: str) -> tuple[str, ...]:
        return ("auto",) if self.auto else ()

    def parse(self, text: str) -> float | str:
        if self.auto and text == "auto":
            return text
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not 0 <= number < 1:
            raise WrongValueError(
                f"'{text}' isn't a proportion: 0 <= P < 1{', or auto' if self.auto else ''}"
            )
        return number

    def read(self, value: object) -> float | str:
        if value == "auto":
            return "auto"
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1:
            raise WrongValueError(f"{value!r} isn't a proportion: 0 <= P < 1, or auto")
        return value


@dataclass(frozen=True, slots=True)
class PresetOrFile(TypedKind):
    """One of some presets, or a file."""

    presets: Sequence[str]
    metavar = "NAME|FILE"
    takes_file = True

    def offered(self, typed: str) -> tuple[str, ...]:
        return tuple(self.presets)

    def parse(self, text: str) -> str:
        if text not in self.presets and not Path(text).is_file():
            if Path(text).exists() and not Path(text).is_dir():
                raise WrongValueError(
                    f"'{text}' is a pipe, and a composite is read once for every model; write it to a file"
                    " first"
                )
            near = difflib.get_close_matches(text, self.presets, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"the presets are {', '.join(self.presets)}"
            raise WrongValueError(f"'{text}' is neither a file nor a preset; {hint}")
        return text

    def read(self, value: object) -> str:
        if not isinstance(value, str):
            raise WrongValueError(f"{value!r} isn't the name of a preset or a file")
        return value


class Composition(TypedKind):
    """Four shares of A, C, G and T, or ``uniform``; ``none`` is the empty tuple."""

    metavar = "uniform|none|A,C,G,T"

    def offered(self, typed: str) -> tuple[str, ...]:
        return ("uniform", "none")

    def parse(self, text: str) -> tuple[float, ...]:
        if text == "none":
            return ()
        if text == "uniform":
            return UNIFORM
        try:
            shares = tuple(float(part) for part in text.split(","))
        except ValueError:
            shares = ()
        if len(shares) != len(UNIFORM) or not all(0 <= share <= 1 for share in shares):
            raise WrongValueError(
                f"'{text}' isn't uniform, none, or four shares of A, C, G and T such as 0.3,0.2,0.2,0.3"
            )
        total = math.fsum(shares)
        if abs(total - 1) > _SUM_TOLERANCE:
            raise WrongValueError(f"the shares '{text}' of A, C, G and T add up to {total:g}, not to 1")
        # What is written to a manifest and read again stays as it is.
        return shares if abs(total - 1) < _ROUNDING else tuple(share / total for share in shares)

    def read(self, value: object) -> tuple[float, ...]:
        if isinstance(value, list) and all(
            isinstance(v, int | float) and not isinstance(v, bool) for v in value
        ):
            return self.parse(",".join(map(repr, value)))
        if value not in ("uniform", "none"):
            raise WrongValueError(f"{value!r} is neither uniform, none, nor a list of four shares")
        return self.parse(str(value))

    def write(self, value: tuple[float, ...]) -> object:
        if value == UNIFORM:
            return "uniform"
        return list(value) if value else "none"


class BinsKind(TypedKind):
    """``WIDTH`` or ``WIDTH:START`` of bins, in bp; without a start they lie in the middle of a window."""

    metavar = "WIDTH[:START]"

    def parse(self, text: str) -> tuple[int, ...]:
        parts = text.split(":")
        if len(parts) > 2 or not all(p.isascii() and p.isdigit() and len(p) < 10 for p in parts):
            raise WrongValueError(f"'{text}' isn't WIDTH or WIDTH:START in bp, such as 128 or 128:40960")
        if not int(parts[0]):
            raise WrongValueError(f"'{text}': a bin has at least 1 bp")
        return tuple(map(int, parts))

    def read(self, value: object) -> tuple[int, ...]:
        if not isinstance(value, str):
            raise WrongValueError(f"{value!r} isn't WIDTH or WIDTH:START in bp, such as 128 or 128:40960")
        return self.parse(value)

    def write(self, value: tuple[int, ...]) -> object:
        return ":".join(map(str, value))


class BatchSize(TypedKind):
    """A number of windows, or ``auto``, which is None."""

    metavar = "N|auto"

    def offered(self, typed: str) -> tuple[str, ...]:
        return ("auto",)

    def parse(self, text: str) -> int | None:
        if text == "auto":
            return None
        if not (text.isascii() and text.isdigit()) or not text.strip("0"):
            raise WrongValueError(f"'{text}' isn't a number of windows (1 or more) or auto")
        if len(text) > _MOST_DIGITS:
            raise WrongValueError(f"'{text}' windows at a time fit into no memory; give fewer, or auto")
        return int(text)

    def read(self, value: object) -> int:
        return Whole(1).read(value)


class Device(TypedKind):
    """``auto``, ``cpu`` or ``cuda[:N]``."""

    metavar = "DEVICE"

    def offered(self, typed: str) -> tuple[str, ...]:
        return ("auto", "cpu", "cuda")

    def parse(self, text: str) -> str:
        kind, _, index = text.partition(":")
        numbered = kind == "cuda" and index.isascii() and index.isdigit() and len(index) < 4
        if text not in ("auto", "cpu", "cuda") and not numbered:
            raise WrongValueError(f"'{text}' isn't a device: auto, cpu, cuda or cuda:N")
        return text

    def read(self, value: object) -> str:
        if not isinstance(value, str):
            raise WrongValueError(f"{value!r} isn't a device")
        return self.parse(value)


class ShardKind(TypedKind):
    """``I/N`` with 1 <= I <= N."""

    metavar = "I/N"

    def parse(self, text: str) -> Shard:
        parts = text.split("/")
        if len(parts) != 2 or not all(p.isascii() and p.isdigit() and len(p) < 10 for p in parts):
            raise WrongValueError(f"'{text}' isn't I/N, such as 2/8")
        index, of = map(int, parts)
        if not 1 <= index <= of:
            raise WrongValueError(f"'{text}': the parts are counted from 1/{of} to {of}/{of}")
        return Shard(index, of)

    def read(self, value: object) -> Shard:
        if not isinstance(value, str):
            raise WrongValueError(f"{value!r} isn't I/N, such as 2/8")
        return self.parse(value)

    def write(self, value: Shard) -> object:
        return str(value)
