"""From batches to the journal of a run, and from there on after an interruption."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparselrp_cli.errors import OutputError
from sparselrp_cli.outputs.archive.at_hand import AtHand
from sparselrp_cli.outputs.archive.blocks import ArchiveShape, Block, Packer
from sparselrp_cli.outputs.archive.rows import ArchiveRows
from sparselrp_cli.runs.journal import Journal

SkippedLine = tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """A batch that is done.

    Attributes
    ----------
    number : int
        Counted from 0 over the whole input.
    rows : ArchiveRows or None
        None where all its places were skipped.
    skipped : sequence of tuple of str
        Fields of the table of what wasn't scored.
    ambiguous : int
        Letters that were read as N.
    """

    number: int
    rows: ArchiveRows | None
    skipped: Sequence[SkippedLine] = ()
    ambiguous: int = 0


@dataclass(slots=True)
class State:
    """How far a journal goes.

    Attributes
    ----------
    next_batch : int
        The first batch that isn't wholly in it.
    rows_of_next : int
        How many rows of that batch are.
    n_rows, n_skipped, ambiguous : int
        In it so far.
    chroms : list of str
        In the order of their first window.
    first_reason : str
        Why the first place was skipped.
    agreement : dict or None
        With float32, of a run in reduced precision.
    complete : bool
        Whether nothing is missing.
    """

    next_batch: int
    rows_of_next: int = 0
    n_rows: int = 0
    n_skipped: int = 0
    ambiguous: int = 0
    chroms: list[str] = field(default_factory=list)
    first_reason: str = ""
    agreement: dict[str, float] | None = None
    complete: bool = False

    def add(self, header: Mapping[str, Any]) -> None:
        """Go on by a record."""
        self.next_batch, self.rows_of_next = header["next_batch"], header["rows_of_next"]
        self.n_rows += header["n_rows"]
        self.n_skipped += len(header["skipped"])
        self.ambiguous += header["ambiguous"]
        self.chroms += header["new_chroms"]
        if header["skipped"]:
            self.first_reason = self.first_reason or header["skipped"][0][-1]
        self.agreement = self.agreement or header["agreement"]
        self.complete = header["complete"]


class Recorder:
    """Writes batches to a journal as blocks, each with all that is known once it is on the disk.

    Parameters
    ----------
    journal : Journal
    shape : ArchiveShape
    path : Path
        What messages call the archive.
    state : State
        How far the journal goes; it is kept up to date.
    threads : int
        That pack a block.
    at_hand : AtHand, optional
        Keeps the contributions of the rows that are added.
    """

    def __init__(
        self, journal: Journal, shape: ArchiveShape, path: Path, state: State, threads: int = 1,
        at_hand: AtHand | None = None,
    ) -> None:  # fmt: skip
        self.state = state
        self._at_hand = at_hand
        self.agreement: dict[str, float] | None = None
        self._journal = journal
        self._packer = Packer(shape, path, state.chroms, threads)
        # Batches whose rows aren't all on the disk, with the number of rows up to their end.
        self._open: deque[tuple[int, Done]] = deque()
        self._n_added = state.n_rows - state.rows_of_next

    def add(self, done: Done) -> None:
        """Add a batch; the first one after an interruption again from its beginning."""
        known = max(0, self.state.n_rows - self._n_added)
        n = len(done.rows) if done.rows is not None else 0
        self._n_added += n
        self._open.append((self._n_added, Done(done.number, None, done.skipped, done.ambiguous)))
        if done.rows is not None and known < n:
            new = done.rows[known:]
            for block in self._packer.add(new):
                self._record(block)
            if self._at_hand is not None:
                self._at_hand.add(new.one_hot, new.hypothetical)

    def finish(self) -> None:
        """Write what is left, and that nothing is missing."""
        last = next(self._packer.flush(), None)
        self._record(last, complete=True)

    def _record(self, block: Block | None, *, complete: bool = False) -> None:
        n_rows = block.n_rows if block else 0
        durable = self.state.n_rows + n_rows
        whole: list[Done] = []
        next_batch, rows_of_next = self.state.next_batch, self.state.rows_of_next + n_rows
        while self._open and self._open[0][0] <= durable:
            end, done = self._open.popleft()
            whole.append(done)
            next_batch, rows_of_next = done.number + 1, durable - end
        header = {
            "n_rows": n_rows,
            "names": block.names if block else (),
            "new_chroms": block.new_chroms if block else (),
            "chunks": {name: [len(c) for c in chunks] for name, chunks in block.chunks.items()}
            if block
            else {},
            "next_batch": next_batch,
            "rows_of_next": rows_of_next,
            "skipped": [line for done in whole for line in done.skipped],
            "ambiguous": sum(done.ambiguous for done in whole),
            "agreement": self.agreement,
            "complete": complete,
        }
        chunks = block.chunks.values() if block else ()
        self._journal.append(header, [chunk for column in chunks for chunk in column])
        self.state.add(header)


def read_state(journal: Journal, first_batch: int) -> tuple[dict[str, Any], State]:
    """Read what run a journal belongs to, the first record, and how far it goes.

    Raises
    ------
    OutputError
        If it is damaged, or of another kind.
    """
    records = journal.records()
    identity, _ = next(records)
    state = State(first_batch)
    try:
        for header, _ in records:
            state.add(header)
    except (KeyError, TypeError, AttributeError) as error:
        raise OutputError(f"{journal.path} is damaged; begin anew with --restart") from error
    return identity, state


def read_blocks(journal: Journal, shape: ArchiveShape) -> Iterator[tuple[Block | None, list[SkippedLine]]]:
    """Read the blocks of a journal, each with the lines of what was skipped on the way."""
    records = journal.records()
    next(records)
    for header, body in records:
        block = _block(header, body, shape) if header["n_rows"] else None
        yield block, [tuple(line) for line in header["skipped"]]


def _block(header: Mapping[str, Any], body: bytes, shape: ArchiveShape) -> Block:
    chunks, at = {}, 0
    for name, sizes in header["chunks"].items():
        pieces = []
        for size in sizes:
            pieces.append(body[at : at + size])
            at += size
        chunks[name] = tuple(pieces)
    return Block(shape, header["n_rows"], tuple(header["names"]), tuple(header["new_chroms"]), chunks)
