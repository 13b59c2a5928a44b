"""Writing an archive, window by window, in memory that doesn't grow with their number."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import OutputError
from sparselrp_cli.outputs.archive_layout import SCHEMA_VERSION, ArchiveDtype, block_rows, columns, create
from sparselrp_cli.outputs.atomic import reported, temporary
from sparselrp_cli.outputs.names import field
from sparselrp_cli.outputs.room import require_room
from sparselrp_cli.outputs.rows import ACCOUNTING, ArchiveRows, Reals, place

STRANDS = {"+": b"+", "-": b"-"}


class ArchiveWriter:
    """A context manager that writes an archive; the file gets its name at the end of the block.

    The bytes depend on the rows, not on how they were grouped in calls of `append`.

    Parameters
    ----------
    path : Path or str
    window_length : int
        L, in bp.
    target_names : sequence of str, length T
    dtype : {"float32", "float64", "float16"}
        Of the hypothetical contributions.
    spread : bool
        Whether the rows are means over several models and come with their spread.

    Raises
    ------
    OutputError
        If the file can't be written; on entering, on `append`, on `finish` or at the end of the block.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        window_length: int,
        target_names: Sequence[str],
        dtype: ArchiveDtype = "float32",
        spread: bool = False,
    ) -> None:
        if not target_names:
            raise ValueError("an archive needs at least one target")
        self.path = Path(path)
        self.window_length = window_length
        self.target_names = list(target_names)
        self.dtype = np.dtype(dtype)
        self.n_windows = 0
        self.spread = spread
        self._columns = columns(window_length, self.dtype, len(self.target_names), spread=spread)
        self._block_rows = block_rows(window_length, len(self.target_names))
        per_target = 4 * self.dtype.itemsize + (np.dtype(np.float32).itemsize if spread else 0)
        maps = self._block_rows * window_length * (4 + per_target * len(self.target_names))
        # What gzip can't compress grows a little.
        self._block_bytes = maps + maps // 64
        self._waiting: list[dict[str, npt.NDArray[Any]]] = []
        self._n_waiting = 0
        self._chroms: dict[str, int] = {}
        self._finished = False

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._hidden = stack.enter_context(temporary(self.path))
            with _reported(self.path):
                require_room(self._hidden, 0)
                # No other process knows the hidden name, and some network file systems can't lock.
                self._file = h5py.File(self._hidden, "w", libver="earliest", locking=False)
            stack.push(self._close)
            with _reported(self.path):
                for column in self._columns:
                    create(self._file, column, len(self.target_names))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    def append(self, rows: ArchiveRows) -> None:
        """Add windows; the arrays are copied.

        Raises
        ------
        OutputError
            If a contribution isn't finite, or too large for the type it is kept in.
        ValueError
            If a window doesn't have the archive's length.
        """
        self._check(rows)
        at = 0
        while at < len(rows):
            part = rows[at : at + self._block_rows - self._n_waiting]
            self._waiting.append(self._as_stored(part))
            self._n_waiting += len(part)
            at += len(part)
            if self._n_waiting == self._block_rows:
                self._flush()

    def finish(self, chrom_sizes: Mapping[str, int], manifest: Mapping[str, Any]) -> None:
        """Write what is known at the end only; nothing can be appended afterwards.

        Parameters
        ----------
        chrom_sizes : mapping of str to int
            Size in bp of every chromosome, in genome order.
        manifest : mapping
            As JSON allows.

        Raises
        ------
        ValueError
            If a window is on a chromosome that isn't among `chrom_sizes`.
        """
        missing = sorted(set(self._chroms) - set(chrom_sizes))
        if missing:
            raise ValueError(f"no size is given for chromosome '{missing[0]}'")
        self._flush()
        names, sizes = list(chrom_sizes), list(chrom_sizes.values())
        # Text of variable length lies outside the object header, whose limit of 64 KiB it so escapes.
        texts = {
            "target_names": json.dumps(self.target_names),
            "manifest": json.dumps(manifest, sort_keys=True),
        }
        with _reported(self.path):
            require_room(self._hidden, 2 * _n_bytes([*names, *texts.values()]) + 8 * self.n_windows)
            self._number_chroms(names)
            self._file.create_dataset("chrom_names", data=names, dtype=h5py.string_dtype(), track_times=False)
            self._file.create_dataset("chrom_sizes", data=sizes, dtype=np.int64, track_times=False)
            self._file.attrs["schema_version"] = SCHEMA_VERSION
            self._file.attrs.update(texts)
            self._file.flush()
        self._finished = True

    def _check(self, rows: ArchiveRows) -> None:
        if self._finished:
            raise RuntimeError("the archive is finished")
        if rows.n_targets != len(self.target_names) or rows.one_hot.shape[2] != self.window_length:
            raise ValueError(
                f"rows of {rows.n_targets} targets and {rows.one_hot.shape[2]} bp don't fit an archive of "
                f"{len(self.target_names)} targets and {self.window_length} bp"
            )
        if (rows.spread is not None) != self.spread:
            raise ValueError("rows come with a spread where the archive has one, and only there")
        for window in rows.windows:
            if window.end - window.start != self.window_length:
                raise ValueError(f"window {place(window)} doesn't span {self.window_length} bp")

    def _as_stored(self, rows: ArchiveRows) -> dict[str, npt.NDArray[Any]]:
        """Copy rows into the types and axes of the file; per-target columns start with the target axis."""
        windows = rows.windows
        with np.errstate(over="ignore"):
            maps = rows.hypothetical.swapaxes(2, 3).astype(self.dtype, order="C")
            spread: dict[str, Reals] = {
                name: values.astype(np.float64 if name == "score_sd" else np.float32)
                for name, values in (rows.spread or {}).items()
            }
        self._refuse_what_is_not_finite(rows, maps)
        self._refuse_endless_spread(rows, spread)
        chroms = [self._chroms.setdefault(w.chrom, len(self._chroms)) for w in windows]
        return {
            "input_seqs": rows.one_hot.swapaxes(1, 2).astype(np.uint8, order="C"),
            "hyp_scores": maps,
            "coords_chrom": np.array(chroms, np.int32),
            "coords_start": np.array([w.start for w in windows], np.int64),
            "coords_end": np.array([w.end for w in windows], np.int64),
            "names": np.array([field(w.name) for w in windows], object),
            "strand": np.array([STRANDS.get(w.strand, b".") for w in windows], "S1"),
            "region_index": np.array([w.index for w in windows], np.int64),
            "n_bases_unknown": rows.n_unknown.astype(np.int32),
            **{name: rows.accounting[name].astype(np.float64) for name in ACCOUNTING},
            **spread,
        }

    def _refuse_what_is_not_finite(self, rows: ArchiveRows, maps: Reals) -> None:
        finite = np.isfinite(maps).all(axis=(0, 2, 3))
        if finite.all():
            return
        row = int(np.argmin(finite))
        if np.isfinite(rows.hypothetical[:, row]).all():
            raise OutputError(
                f"{self.path}: a contribution of {place(rows.windows[row])} is too large for {self.dtype}; "
                "archive in a wider type"
            )
        raise OutputError(
            f"{self.path}: the contributions of {place(rows.windows[row])} hold NaN or infinity; "
            "check the model's weights, or use --dtype float64"
        )

    def _refuse_endless_spread(self, rows: ArchiveRows, spread: Mapping[str, Reals]) -> None:
        for values in spread.values():
            finite = np.isfinite(values).reshape(rows.n_targets, len(rows), -1).all(axis=(0, 2))
            if not finite.all():
                window = rows.windows[int(np.argmin(finite))]
                raise OutputError(
                    f"{self.path}: the spread over the models of {place(window)} is too large; "
                    "check the models' weights"
                )

    def _flush(self) -> None:
        """Write the waiting rows as one block."""
        if not self._waiting:
            return
        start, stop = self.n_windows, self.n_windows + self._n_waiting
        with _reported(self.path):
            require_room(
                self._hidden, 2 * sum(_n_bytes(part["names"]) for part in self._waiting) + self._block_bytes
            )
            for column in self._columns:
                block = np.concatenate([p[column.name] for p in self._waiting], axis=int(column.per_target))
                axis = column.row_axis(len(self.target_names))
                dataset = self._file[column.name]
                dataset.resize(stop, axis=axis)
                if axis == 1:
                    dataset[:, start:stop] = block
                else:
                    dataset[start:stop] = block[0] if column.per_target else block
            self._file.flush()
        self.n_windows, self._waiting, self._n_waiting = stop, [], 0

    def _number_chroms(self, names: Sequence[str]) -> None:
        """Turn the numbers of first appearance into indices in genome order."""
        position = {name: i for i, name in enumerate(names)}
        index = np.array([position[name] for name in self._chroms], np.int32)
        dataset = self._file["coords_chrom"]
        for start in range(0, self.n_windows, dataset.chunks[0]):
            rows = slice(start, start + dataset.chunks[0])
            dataset[rows] = index[dataset[rows]]

    def _close(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            # What went wrong is under way already; a full disk would only say it again.
            with suppress(OSError, RuntimeError):
                self._file.close()
            return
        with _reported(self.path):
            self._file.close()
        if not self._finished:
            raise RuntimeError("the block ended without a call of finish()")


def _n_bytes(texts: Iterable[str]) -> int:
    """Say what texts of variable length take, their places in the heap included."""
    return sum(len(text.encode()) + 64 for text in texts)


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """As `reported`, for HDF5, which may call a full disk a RuntimeError."""
    try:
        with reported(path):
            yield
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise OutputError(
            f"{path} can't be written: {reason}; check the space on the disk, or write elsewhere"
        ) from error
