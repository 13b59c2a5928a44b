"""What a probe has computed, kept on the disk: after an interruption it goes on from there.

A probe asks the model in a fixed order: insert by insert, arrangement by arrangement, window by window. So
the numbers of its answers, in this order, are all that needs to be kept, in ``PREFIX.probe.partial``.
"""

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import OutputError, Stopped, number_of
from sparselrp_cli.runs.journal import Journal
from sparselrp_cli.settings.manifest import difference

logger = logging.getLogger("sparselrp")

Doubles = npt.NDArray[np.float64]

EVERY = 1.0
"""Seconds of work that a killed process may lose: writing waits for the disk, and answers may come fast."""
_STORED = np.dtype("<f8")


class Kept:
    """The numbers of a probe, each kept or computed.

    Parameters
    ----------
    journal : Journal
        Open, with the identity of the probe as its first record.
    before : iterable of ndarray of float64
        The numbers of an interrupted probe.
    """

    def __init__(self, journal: Journal, before: Iterable[Doubles] = ()) -> None:
        self._journal = journal
        self._before = deque(before)
        self._waiting: list[Doubles] = []
        self._written = time.monotonic()
        self.steps = len(self._before)

    def numbers(self, compute: Callable[[], Doubles]) -> Doubles:
        """Give the next numbers: those of the interrupted probe, or else what is computed now.

        Raises
        ------
        OutputError
            If they can't be written.
        """
        if self._before:
            return self._before.popleft()
        found = compute()
        self._waiting.append(found)
        if time.monotonic() - self._written > EVERY:
            self.write()
        return found

    def write(self) -> None:
        """Write what waits."""
        # Taken first: an interruption here must not write it twice.
        waiting, self._waiting = self._waiting, []
        if waiting:
            parts = [np.ascontiguousarray(numbers, _STORED).tobytes() for numbers in waiting]
            self._journal.append({"shapes": [numbers.shape for numbers in waiting]}, parts)
            self.steps += len(waiting)
        self._written = time.monotonic()


def identity_before(journal: Journal) -> dict[str, Any] | None:
    """Give the identity of the interrupted probe of a journal; None where nothing was kept."""
    found = next(_records(journal), None)
    return None if found is None else found[0]


@contextmanager
def keeping(journal: Journal, identity: Mapping[str, Any], resume: bool | None) -> Iterator[Kept]:
    """Go on with an interrupted probe, or begin; say of an interruption how to go on.

    Parameters
    ----------
    journal : Journal
    identity : mapping
        What makes the probe, with values as JSON has them.
    resume : bool or None
        Go on, throw away what was kept, or, if None, stop if there is any.

    Raises
    ------
    OutputError
        If another probe was interrupted, or one and `resume` is None.
    """
    kept = _begin(journal, json.loads(json.dumps(identity)), resume)
    try:
        yield kept
    except BaseException as error:
        with suppress(OutputError):
            kept.write()
        if not kept.steps or is_piped(identity):
            with suppress(OutputError):
                journal.remove()
            raise
        steps = number_of(kept.steps, "step is", "steps are")
        how = f"{steps} kept in {journal.path}; run the same command with --resume to go on"
        if isinstance(error, KeyboardInterrupt):
            what = "stopped" if isinstance(error, Stopped) else "interrupted"
            raise type(error)(f"{what}; {how}") from error
        logger.warning("%s", how)
        raise
    journal.remove()


def is_piped(identity: Mapping[str, Any]) -> bool:
    """Whether an input of a probe was a pipe, which can be read only once."""
    return not all("sha256" in file for file in identity["inputs"].values())


def _begin(journal: Journal, identity: dict[str, Any], resume: bool | None) -> Kept:
    before = None if resume is False else identity_before(journal)
    if before is None:
        journal.clear()
        journal.append(identity)
        return Kept(journal)
    kept = Kept(journal, _numbers(journal))
    if resume is None:
        raise OutputError(
            f"{journal.path} keeps {number_of(kept.steps, 'step')} of an interrupted probe; go on with"
            " --resume, or throw them away with --restart"
        )
    if is_piped(identity):
        raise OutputError("what comes from a pipe can't be resumed; begin anew with --restart")
    if other := difference(before, identity):
        raise OutputError(
            f"can't resume what {journal.path} keeps: {other}; use the same inputs and options, or begin anew"
            " with --restart"
        )
    logger.info("going on after %s", number_of(kept.steps, "step"))
    return kept


def _records(journal: Journal) -> Iterator[tuple[dict[str, Any], dict[str, Any], bytes]]:
    """Give each record of numbers with the identity of the probe before it."""
    records = journal.records()
    identity, _ = next(records, ({}, b""))
    for header, body in records:
        yield identity, header, body


def _numbers(journal: Journal) -> Iterator[Doubles]:
    for _, header, body in _records(journal):
        at = 0
        for shape in _shapes(header, len(body), journal.path):
            count = int(np.prod(shape))
            numbers = np.frombuffer(body, _STORED, count, at).reshape(shape)
            yield numbers.astype(np.float64)
            at += count * _STORED.itemsize


def _shapes(header: Mapping[str, Any], size: int, path: Path) -> list[tuple[int, ...]]:
    """Give the shapes of a record, whose numbers must be all that it has."""
    try:
        shapes = [tuple(map(int, shape)) for shape in header["shapes"]]
    except (KeyError, TypeError, ValueError) as error:
        raise OutputError(f"{path} isn't of a probe; move it away, or choose another --output") from error
    if sum(int(np.prod(shape)) for shape in shapes) * _STORED.itemsize != size:
        raise OutputError(f"{path} is damaged; begin anew with --restart")
    return shapes
