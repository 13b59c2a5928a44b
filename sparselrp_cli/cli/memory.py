"""Memory that the system doesn't give: said in a line, whichever library met it, and before one gives up."""

import errno
import mmap
from collections.abc import Sequence
from contextlib import suppress

from sparselrp_cli.errors import SparselrpError

ALL = 1_100_000_000
"""Bytes of addresses that torch, numba and their threads take before the first window; measured 1.2e9."""
SOME = 400_000_000
"""What the commands take that only read archives and write files; measured .37e9."""
LIGHT = frozenset({"browser", "export", "help", "init", "merge", "shuffle"})
ASKING = frozenset({"-h", "--help", "-V", "--version"})
SAYING = (
    "failed to map segment", "cannot allocate memory", "can't allocate memory", "can't start new thread",
    "not enough memory", "out of memory", "unable to allocate", "libllvmlite", "bad_alloc",
)  # fmt: skip
"""What libraries say that got no memory, lower case; numba's that it finds no library that is there."""
ADVICE = "raise it with 'ulimit -v unlimited'; to bound memory take a control group or the scheduler's --mem"


class MemoryShortageError(SparselrpError):
    """The system gives no more memory."""


def require_addresses(given: Sequence[str]) -> None:
    """Stop where `ulimit -v` leaves less than the libraries of a command take.

    Some end the process themselves, or give up in the middle, where they get none.

    Parameters
    ----------
    given : sequence of str
        The command line.

    Raises
    ------
    MemoryShortageError
    """
    limit = address_limit()
    if limit is None or not given or ASKING.intersection(given):
        return
    needed = SOME if given[0] in LIGHT else ALL
    if not can_map(needed):
        raise MemoryShortageError(
            f"the limit of addresses, {limit / 1e9:.2g} GB (ulimit -v), is less than the libraries of"
            f" 'sparselrp {given[0]}' take ({needed / 1e9:.2g} GB); {ADVICE}"
        )


def can_map(size: int) -> bool:
    """Whether so many bytes of addresses are to be had now; nothing is written to them."""
    try:
        mmap.mmap(-1, size).close()
    except (OSError, MemoryError):
        return False
    return True


def address_limit() -> int | None:
    """Give the limit of addresses of this process in bytes; None where there is none."""
    try:
        import resource
    except ImportError:  # a system without such limits
        return None
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def shortage(error: BaseException) -> str | None:
    """Say what to do about an error that means too little memory; None for all others.

    Of an error that may have other causes only with a limit of addresses, which explains it.
    """
    limit = address_limit()
    if not _is_plain(error) and (limit is None or not _may_be(error)):
        return None
    what = "" if isinstance(error, MemoryError) else f" ({' '.join(str(error).split())[:100]})"
    if limit is not None:
        return f"the limit of addresses, {limit / 1e9:.2g} GB (ulimit -v), is used up{what}; {ADVICE}"
    return f"memory is used up{what}; end other programs, lower -b (--batch-size), or take a larger machine"


def _is_plain(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)


def _may_be(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, says what libraries say that got no memory."""
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        if (one := left.pop()) is not None and one not in seen:
            seen.append(one)
            left += [one.__cause__, one.__context__]
    return any(_is_plain(one) or any(words in _words(one) for words in SAYING) for one in seen)


def _words(error: BaseException) -> str:
    with suppress(Exception):
        return str(error).lower()
    return ""
