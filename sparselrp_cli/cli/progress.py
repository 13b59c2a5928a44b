"""A progress bar with rate and time left, on a terminal only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparselrp_cli.sequences.source import Batch


def progress_bar(*, quiet: bool) -> "Callable[[Iterator[Batch], int | None], Iterator[Batch]]":
    """Give a wrapper of the stream of batches that shows how many windows are done."""

    def wrap(batches: "Iterator[Batch]", total: int | None) -> "Iterator[Batch]":
        with counter(total, "window", quiet=quiet) as advance:
            for batch in batches:
                yield batch
                advance(len(batch.windows))

    return wrap


@contextmanager
def counter(total: int | None, unit: str, *, quiet: bool) -> "Iterator[Callable[[int], object]]":
    """Show how many of `total` are done: tell what is given how many more are. Of none nothing is shown."""
    if quiet or total == 0 or not sys.stderr.isatty():
        yield int
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=unit, file=sys.stderr, dynamic_ncols=True) as bar:
        yield bar.update
