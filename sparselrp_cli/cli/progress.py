"""A progress bar with rate and time left, on a terminal only."""

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparselrp_cli.sequences.source import Batch


def progress_bar(*, quiet: bool) -> "Callable[[Iterator[Batch], int | None], Iterator[Batch]]":
    """Give a wrapper of the stream of batches that shows how many windows are done."""

    def wrap(batches: "Iterator[Batch]", total: int | None) -> "Iterator[Batch]":
        if quiet or not sys.stderr.isatty():
            yield from batches
            return
        from tqdm import tqdm

        with tqdm(total=total, unit="window", file=sys.stderr, dynamic_ncols=True) as bar:
            for batch in batches:
                yield batch
                bar.update(len(batch.windows))

    return wrap
