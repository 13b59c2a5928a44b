"""How many threads the search for motifs uses: TF-MoDISco asks numba, and forks as many for Leiden."""

from collections.abc import Iterator
from contextlib import contextmanager

from sparselrp_cli.files.cores import usable_cores


@contextmanager
def limited_threads(number: int | None) -> Iterator[None]:
    """Use at most so many threads in the block, of those that the process may use; None is all of these."""
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(min(number or usable_cores(), before))
    try:
        yield
    finally:
        numba.set_num_threads(before)
