"""How many threads the search for motifs uses: TF-MoDISco asks numba, and forks as many for Leiden."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def limited_threads(number: int | None) -> Iterator[None]:
    """Use at most so many threads in the block, of those that the process may use; None is all of these."""
    if number is None:
        yield
        return
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(min(number, before))
    try:
        yield
    finally:
        numba.set_num_threads(before)
