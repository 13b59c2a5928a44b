"""The tables of a run: every window with its accounting, and every region that wasn't scored."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.atomic import reported, temporary
from sparselrp_cli.files.names import field
from sparselrp_cli.files.opened import Opened
from sparselrp_cli.outputs.archive.rows import ACCOUNTING, Accounts
from sparselrp_cli.sequences.windows import Window

PLACE = ("chrom", "start", "end", "name", "strand")


class Table(Opened):
    """A context manager that writes a tab-separated file; it gets its name at the end of the block.

    Parameters
    ----------
    path : Path or str
    header : sequence of str

    Raises
    ------
    OutputError
        If the file can't be written.
    """

    def __init__(self, path: Path | str, header: Sequence[str]) -> None:
        self.path = Path(path)
        self.header = tuple(header)
        self._hash = hashlib.sha256()

    def _open(self, stack: ExitStack) -> None:
        hidden = stack.enter_context(temporary(self.path))
        with reported(self.path):
            self._file = hidden.open("w", encoding="utf-8", errors="replace", newline="\n")
        stack.push(self._close)
        self.write(self.header)

    def write(self, fields: Sequence[str]) -> None:
        """Add a line."""
        self._add(_fields(fields) + "\n")

    def _add(self, lines: str) -> None:
        self._hash.update(lines.encode(errors="replace"))
        with reported(self.path):
            self._file.write(lines)

    @property
    def sha256(self) -> str:
        """The SHA-256 of what was written so far."""
        return self._hash.hexdigest()

    def _close(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The buffer that can't be written on a full disk is written again on closing: say it once.
        try:
            with reported(self.path):
                self._file.close()
        except Exception:
            if kind is None:
                raise


class WindowsTable(Table):
    """``PREFIX.windows.tsv``: a line per window, and per target where there are several.

    Columns: chrom, start, end, name, strand, target (only with several), score, prediction (what the model
    itself gives), relevance, background (what centring takes off), absorbed, stabilised (what of that
    stabilisers took), special (what of that lies at tokens without a base), lost, conservation_error,
    zero_share, kept_share, n_bases_unknown, score_sd (only of several models: the population standard
    deviation of their scores). Numbers have nine significant digits.
    """

    def __init__(self, path: Path | str, target_names: Sequence[str], *, spread: bool = False) -> None:
        self.target_names = list(target_names) if len(target_names) > 1 else []
        target = ("target",) if self.target_names else ()
        last = ("score_sd",) if spread else ()
        super().__init__(path, (*PLACE, *target, *ACCOUNTING, "n_bases_unknown", *last))

    def append(self, rows: Accounts) -> None:
        """Add the lines of some windows."""
        names: list[tuple[str, ...]] = [(name,) for name in self.target_names] or [()]
        places = [_place(window) for window in rows.windows]
        lines = [self._lines(rows, places, target, name) for target, name in enumerate(names)]
        # A window's targets follow each other. All at once: a write for each line takes twice the time.
        self._add("".join(line for of_window in zip(*lines, strict=True) for line in of_window))

    def _lines(
        self, rows: Accounts, places: Sequence[tuple[str, ...]], target: int, name: tuple[str, ...]
    ) -> list[str]:
        """Give a target's lines."""
        columns = [rows.accounting[column][target].tolist() for column in ACCOUNTING]
        columns.append(rows.n_unknown.tolist())
        columns += [rows.spread["score_sd"][target].tolist()] if rows.spread else []
        numbers = "\t".join(["%.9g"] * len(ACCOUNTING) + ["%d"] + ["%.9g"] * bool(rows.spread)) + "\n"
        return [
            _fields((*place, *name)) + "\t" + numbers % row
            for place, row in zip(places, zip(*columns, strict=True), strict=True)
        ]


class SkippedTable(Table):
    """``PREFIX.skipped.tsv``: a line per region that wasn't scored, with the reason.

    Columns: chrom, start, end, name, strand, reason.
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(path, (*PLACE, "reason"))


def skipped_line(window: Window, reason: str) -> tuple[str, ...]:
    """Give the fields of a line of `SkippedTable`."""
    return (*_place(window), reason)


def read_skipped(path: Path) -> Iterator[tuple[str, ...]]:
    """Read the lines of a `SkippedTable` back.

    Raises
    ------
    OutputError
        If the file isn't one.
    """
    wanted = (*PLACE, "reason")
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, 1):
                fields = tuple(line.rstrip("\n").split("\t"))
                if len(fields) != len(wanted) or (number == 1 and fields != wanted):
                    raise OutputError(f"{path} line {number}: not a table of skipped regions; copy it again")
                if number > 1:
                    yield fields
    except FileNotFoundError:
        raise OutputError(
            f"{path}: no such file; it belongs to the shard of this name, copy it too"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(f"{path} can't be read ({' '.join(str(error).split())}); copy it again") from error


def _fields(fields: Sequence[str]) -> str:
    return "\t".join(map(field, fields))


def _place(window: Window) -> tuple[str, ...]:
    return window.chrom, str(window.start), str(window.end), window.name, window.strand
