"""Targets as captum's users write them, numbers and tuples, beside our own texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import index
from typing import Any, SupportsIndex, TypeAlias

import numpy as np
from torch import Tensor

from sparselrp_cli.errors import TargetError
from sparselrp_cli.graph.targets import Target, TargetParser, Term
from sparselrp_cli.graph.targets.axes import OutputAxes

Single: TypeAlias = SupportsIndex | tuple[SupportsIndex, ...] | str
"""One target for all examples: a task, an index for each axis of the output, or a text."""
PerExample: TypeAlias = Sequence[Single] | Tensor | np.ndarray[Any, Any]
"""A target for each example."""
Asked: TypeAlias = Single | PerExample | Mapping[str, Single] | None
_AXES = {"T": "task", "P": "position"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Targets that were read.

    Attributes
    ----------
    targets : tuple of Target
        Each once.
    of_example : tuple of int, or None
        Which target each example has; None where all have every target.
    named : bool
        Whether they were asked for under names.
    """

    targets: tuple[Target, ...]
    of_example: tuple[int, ...] | None = None
    named: bool = False


def read_targets(asked: Asked, parser: TargetParser, n: int) -> Chosen:
    """Read what is to be explained.

    Parameters
    ----------
    asked : None, int, tuple of int, str, list, array or mapping
    parser : TargetParser
    n : int
        How many examples there are.

    Raises
    ------
    TargetError
        If the model has no such output, or a list isn't as long as the examples are many.
    """
    if asked is None:
        return Chosen((parser.default(),))
    if isinstance(asked, Mapping):
        if not asked:
            raise TargetError("target={}: it names nothing; give a name for each target")
        return Chosen(tuple(replace(_read(t, parser), name=str(n)) for n, t in asked.items()), named=True)
    if isinstance(asked, (Tensor, np.ndarray)):
        asked = _of_array(asked)
    if not isinstance(asked, list):
        return Chosen((_read(asked, parser),))
    if len(asked) != n:
        raise TargetError(
            f"target={_shown(asked)}: {len(asked)} targets for {n} examples; give one for each, or a tuple"
            " as the index of one number"
        )
    known: dict[Any, int] = {}
    numbers = tuple(known.setdefault(_key(each), len(known)) for each in asked)
    return Chosen(tuple(_read(each, parser) for each in known), numbers)


def _of_array(values: Tensor | np.ndarray[Any, Any]) -> Any:
    """Give an array of indices as numbers and tuples."""
    found = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    if found.dtype.kind not in "iu" or found.ndim > 2:
        raise TargetError(
            f"target={_shown(values)}: targets are whole numbers, one for each example, or a row for each"
        )
    if found.size == 1 and found.ndim < 2:
        return int(found.item())
    return [tuple(row) if isinstance(row, list) else row for row in found.tolist()]


def _key(each: Any) -> Any:
    """Give a target of an example as it can be looked up."""
    if isinstance(each, (Tensor, np.ndarray)):
        each = _of_array(each)
    if isinstance(each, (str, tuple)):
        return each
    return _whole(each)


def _read(asked: Any, parser: TargetParser) -> Target:
    if isinstance(asked, (Tensor, np.ndarray)):
        asked = _of_array(asked)
    target = parser.parse(asked) if isinstance(asked, str) else _indexed(asked, parser)
    if target.with_blocks:
        raise TargetError(
            f"target={asked!r}: @blocks are those of regions; explain these with sparselrp.attribute"
        )
    return target


def _indexed(asked: Any, parser: TargetParser) -> Target:
    """Read an index for each axis of the only output."""
    numbers = tuple(map(_whole, asked)) if isinstance(asked, tuple) else (_whole(asked),)
    choices = parser.choices
    output = choices.only
    if output is None:
        raise TargetError(
            f"target={asked!r}: the model has several outputs; name one in a text, such as"
            f" '{(parser.examples() or ['OUTPUT/0'])[0]}'; it has {choices.listed()}"
        )
    axes = choices.axes(output)
    _require_as_many(asked, numbers, axes)
    places = zip(axes.letters[1:], numbers, axes.lengths[1:], strict=True)
    found = [(letter, _inside(asked, letter, number, length)) for letter, number, length in places]
    tasks = [number for letter, number in found if letter == "T"]
    positions = [(number, number + 1) for letter, number in found if letter == "P"]
    first, second = (*positions, None, None)[:2]
    names = parser.names[output].tasks
    task = tasks[0] if tasks else None
    called = [] if task is None else [names[task] if task < len(names) else str(task)]
    where = "x".join(str(start) for start, _ in positions)
    name = "@".join([*called, *([where] if where else [])])
    return Target(name, (Term(output, task, first, across=second),))


def _require_as_many(asked: Any, numbers: Sequence[int], axes: OutputAxes) -> None:
    lengths = axes.lengths[1:]
    if len(numbers) == len(lengths):
        return
    if not lengths:
        raise TargetError(f"target={asked!r}: the model gives one number for each example; leave target= out")
    named = [_AXES[letter] for letter in axes.letters[1:]]
    sizes = ", ".join(f"{n} {what}s" for what, n in zip(named, lengths, strict=True))
    whole = "x".join(f"0:{n}" for n in axes.position_lengths)
    text = f", or a text, such as '0@{whole}' for a mean" if whole else ""
    what = f"a tuple ({', '.join(named)})" if len(named) > 1 else f"the number of a {named[0]}"
    raise TargetError(f"target={asked!r}: the model's output has {sizes}; give {what}{text}")


def _inside(asked: Any, letter: str, number: int, length: int) -> int:
    if not -length <= number < length:
        raise TargetError(
            f"target={_shown(asked)}: there is no {_AXES[letter]} {_shown(number)}; {_AXES[letter]}s are"
            f" numbered 0 to {length - 1}"
        )
    return number % length


def _whole(value: Any) -> int:
    if isinstance(value, (bool, np.bool_)):
        raise TargetError(f"target={value!r}: a truth is no index; give a whole number")
    try:
        return index(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TargetError(
            f"target={_shown(value)}: give a whole number, a tuple of these, a text such as '1-0', or a list"
            " with one for each example"
        ) from error


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
