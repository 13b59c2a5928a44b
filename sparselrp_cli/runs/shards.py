"""Which part of a run is done here."""

from dataclasses import dataclass

from sparselrp_cli.errors import InputError
from sparselrp_cli.settings.kinds import Shard


@dataclass(frozen=True, slots=True)
class Part:
    """Batches from `first` to before `last`; None is the end.

    Attributes
    ----------
    n_places : int or None
        How many places they have, where that can be counted.
    """

    first: int
    last: int | None
    n_places: int | None


def part(shard: Shard | None, n_places: int | None, batch_size: int, unit: int) -> Part:
    """Cut the input where the batches of the whole run end, so that shards round as it does.

    Parameters
    ----------
    shard : Shard or None
        None is everything.
    n_places : int or None
        Regions, or windows on records; None if they can't be counted.
    batch_size : int
    unit : int
        Shards begin at multiples of so many places; a multiple of the batch size.

    Raises
    ------
    InputError
        If a shard is asked of what can't be counted.
    """
    if shard is None:
        return Part(0, None, n_places)
    if n_places is None:
        raise InputError("--shard counts the input first, and a pipe can be read only once; give a file")
    units = -(-n_places // unit)
    first, last = (units * i // shard.of for i in (shard.index - 1, shard.index))
    batches = unit // batch_size
    return Part(first * batches, last * batches, min(last * unit, n_places) - min(first * unit, n_places))
