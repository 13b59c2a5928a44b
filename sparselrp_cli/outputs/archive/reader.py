"""Reading an archive back: whole columns that are small, maps for the windows asked for."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import h5py
import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.hdf5 import LARGEST_JSON, attribute, holds_its_text, is_backed, within
from sparselrp_cli.outputs.archive.at_hand import AtHand, contributions_of
from sparselrp_cli.outputs.archive.layout import SCHEMA_VERSION, Column, columns
from sparselrp_cli.outputs.archive.opening import AGAIN, one_line, opened
from sparselrp_cli.outputs.archive.rows import (
    ACCOUNTING,
    SPREAD,
    ArchiveRows,
    Bases,
    Coordinates,
    Reals,
    Rows,
    WindowAccounts,
    contiguous,
)
from sparselrp_cli.outputs.choices import ARCHIVE_DTYPES
from sparselrp_cli.sequences.windows import Window

_LONGEST = 1 << 40  # bp, of a chromosome
_TYPES = tuple(map(np.dtype, ARCHIVE_DTYPES))
# What HDF5 and h5py raise at damaged bytes; text that isn't UTF-8 is a ValueError.
_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError)


class ArchiveReader:
    """A context manager that reads an archive.

    Parameters
    ----------
    path : Path or str
    at_hand : AtHand, optional
        Of who wrote it just now: contributions that are then given as they are.

    Attributes
    ----------
    path : Path
    n_windows, window_length, n_targets : int
        N, L in bp, T.
    target_names : list of str
    has_spread : bool
        Whether it is of several models, with their spread.
    has_blocks : bool
        Whether it keeps the blocks of its regions.

    Raises
    ------
    OutputError
        On entering, if the file isn't an archive, is cut off, or comes from a later version of this tool; on
        reading, if it is damaged.
    """

    def __init__(self, path: Path | str, at_hand: AtHand | None = None) -> None:
        self.path = Path(path)
        self._kept = at_hand

    def __enter__(self) -> Self:
        self._file = opened(self.path)
        self._datasets: dict[str, h5py.Dataset] = {}
        try:
            with self._reported():
                self._validate()
            self._at_hand = None if self._kept is None else self._kept.of(self.n_windows)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._datasets.clear()
        self._file.close()

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What was run on what."""
        return cast(dict[str, Any], self._json("manifest", dict))

    @cached_property
    def chrom_sizes(self) -> dict[str, int]:
        """Size in bp of every chromosome, in genome order."""
        with self._reported():
            listed = self._dataset("chrom_names")
            self._require_text(listed, [slice(0, len(listed))])
            names = listed.asstr(errors="surrogateescape")[:].tolist()
            sizes = self._dataset("chrom_sizes")[:].tolist()
        if len(set(names)) != len(names) or not all(0 <= size <= _LONGEST for size in sizes):
            raise OutputError(f"{self.path}: its chromosomes are damaged; {AGAIN}")
        return dict(zip(names, sizes, strict=True))

    @cached_property
    def chroms(self) -> list[str]:
        """The chromosomes in genome order; some genomes have millions."""
        return list(self.chrom_sizes)

    @cached_property
    def coordinates(self) -> Coordinates:
        """Where all windows are: 20 bytes a window."""
        with self._reported():
            chrom, start, end = (self._dataset(f"coords_{name}")[:] for name in ("chrom", "start", "end"))
        if len(chrom) and not (chrom.min() >= 0 and chrom.max() < len(self.chrom_sizes)):
            raise OutputError(f"{self.path}: a window is on no known chromosome; {AGAIN}")
        if (end - start != self.window_length).any():
            raise OutputError(f"{self.path}: a window doesn't span {self.window_length} bp; {AGAIN}")
        if len(chrom) and (start.min() < -_LONGEST or start.max() > _LONGEST):
            raise OutputError(f"{self.path}: a window is beyond any chromosome; {AGAIN}")
        return Coordinates(chrom, start, end)

    def target_number(self, name: str | None) -> int:
        """Give the number of a target by its name, which may be left out where there is one.

        Raises
        ------
        OutputError
            If there is no such target, or no name and several targets.
        """
        if name is None and self.n_targets == 1:
            return 0
        if name not in self.target_names:
            said = "has several targets" if name is None else f"has no target '{name}'"
            raise OutputError(f"{self.path} {said}; give --target, one of {', '.join(self.target_names)}")
        return self.target_names.index(name)

    def read(self, rows: Rows, target: int = 0) -> tuple[Bases, Reals]:
        """Read maps.

        Parameters
        ----------
        rows : slice or ndarray of int, n rows
            In any order.
        target : int

        Returns
        -------
        one_hot : ndarray of uint8, shape (n, 4, L)
        hypothetical : ndarray of float, shape (n, 4, L)
            In the type of the archive.
        """
        one_hot, hypothetical = self._take("input_seqs", rows), self._take("hyp_scores", rows, target)
        return one_hot.swapaxes(1, 2), hypothetical.swapaxes(1, 2)

    def contributions(self, rows: Rows, target: int = 0) -> Reals:
        """Read the contributions of the observed bases, zero where the base is unknown.

        Returns
        -------
        ndarray of float32 or float64, shape (n, L)
        """
        if self._at_hand is not None:
            return cast(Reals, self._at_hand[target][rows])
        return contributions_of(*self.read(rows, target), axis=1)

    def contribution_sd(self, rows: Rows, target: int = 0) -> Reals:
        """Read the population standard deviations of contributions over the models, where `has_spread`.

        Returns
        -------
        ndarray of float32, shape (n, L)
        """
        return cast(Reals, self._take("contribution_sd", rows, target))

    def blocks(self, rows: Rows) -> Bases:
        """Read which bases lie in blocks of the regions, where `has_blocks`: uint8, shape (n, L)."""
        return cast(Bases, self._take("blocks", rows))

    def column(self, name: str, target: int = 0) -> npt.NDArray[Any]:
        """Read a whole column of one number a window, such as ``score``, shape (N,)."""
        return self._take(name, slice(None), target)

    def windows(self, rows: Rows) -> list[Window]:
        """Read where the windows are and what they are called."""
        chroms, at = self.chroms, self.coordinates
        names = self.names(rows)
        strands = np.char.decode(self._take("strand", rows), "ascii", "replace")
        index = self._take("region_index", rows)
        fields = (at.chrom[rows], at.start[rows], at.end[rows], names, strands, index)
        return [
            Window(chroms[c], int(start), int(end), name, str(strand), int(i))
            for c, start, end, name, strand, i in zip(*fields, strict=True)
        ]

    def names(self, rows: Rows) -> list[str]:
        """Read what windows are called."""
        return [name.decode(errors="surrogateescape") for name in self._take("names", rows)]

    def rows(self, rows: Rows) -> ArchiveRows:
        """Read all that is kept of some windows, ready for another `ArchiveWriter`."""
        accounts = self.accounts(rows)
        spread = accounts.spread and {
            **accounts.spread,
            "contribution_sd": self._all("contribution_sd", rows),
        }
        return ArchiveRows(
            windows=accounts.windows,
            one_hot=self._take("input_seqs", rows).swapaxes(1, 2),
            hypothetical=self._all("hyp_scores", rows).swapaxes(2, 3),
            accounting=accounts.accounting,
            n_unknown=accounts.n_unknown,
            spread=spread,
            blocks=self.blocks(rows) if self.has_blocks else None,
        )

    def accounts(self, rows: Rows) -> WindowAccounts:
        """Read all that is kept of some windows but the maps."""
        return WindowAccounts(
            windows=self.windows(rows),
            accounting={name: self._all(name, rows) for name in ACCOUNTING},
            n_unknown=self._take("n_bases_unknown", rows),
            spread={"score_sd": self._all("score_sd", rows)} if self.has_spread else None,
        )

    def stored(self, name: str, rows: Rows) -> npt.NDArray[Any]:
        """Read rows of any dataset as they are kept: shape (T, n, ...) if it is per target, else (n, ...)."""
        return self._all(name, rows) if self._columns[name].per_target else self._take(name, rows)

    def packed(self, name: str, rows: slice) -> list[bytes] | None:
        """Give the chunks of some rows as they are packed, target by target.

        Parameters
        ----------
        name : str
            Of a dataset that is packed.
        rows : slice
            If they end within a chunk, all of it is given.

        Returns
        -------
        list of bytes or None
            None where the rows don't begin with a chunk, or another program packed the dataset.
        """
        column, dataset = self._columns[name], self._dataset(name)
        leading = column.row_axis(self.n_targets)
        if name not in self._packed_as_ours or rows.start % column.chunk:
            return None
        behind = (0,) * len(column.tail)
        with self._reported():
            found = [
                dataset.id.read_direct_chunk((target,) * leading + (at, *behind))
                for target in range(self.n_targets if leading else 1)
                for at in range(rows.start, rows.stop, column.chunk)
            ]
        return None if any(skipped for skipped, _ in found) else [chunk for _, chunk in found]

    @cached_property
    def _packed_as_ours(self) -> frozenset[str]:
        """The datasets whose chunks are of the sizes and filters that this version writes."""
        return frozenset(name for name, column in self._columns.items() if self._is_as_ours(column))

    def _is_as_ours(self, column: Column) -> bool:
        dataset, leading = self._dataset(column.name), (1,) * column.row_axis(self.n_targets)
        wanted = ((*leading, column.chunk, *column.tail), "gzip", column.shuffled, False)
        return (dataset.chunks, dataset.compression, dataset.shuffle, dataset.fletcher32) == wanted

    def _all(self, name: str, rows: Rows) -> npt.NDArray[Any]:
        """Read rows of a dataset for every target, the target axis first."""
        return np.stack([self._take(name, rows, target) for target in range(self.n_targets)])

    def chunks(self, size: int = 256) -> Iterator[slice]:
        """Go through the windows in order, `size` at a time."""
        for start in range(0, self.n_windows, size):
            yield slice(start, min(start + size, self.n_windows))

    def _validate(self) -> None:
        version = attribute(self._file, "schema_version")
        if not isinstance(version, np.integer):
            raise OutputError(f"{self.path} isn't a sparselrp archive; give the PREFIX.h5 of a run")
        if version < 1:
            raise OutputError(f"{self.path}: attribute 'schema_version' is damaged; {AGAIN}")
        if version > SCHEMA_VERSION:
            raise OutputError(
                f"{self.path} has schema version {version}, and this version reads up to {SCHEMA_VERSION}; "
                "install a newer sparselrp"
            )
        if version < SCHEMA_VERSION:
            raise OutputError(f"{self.path} has schema version {version}, from an earlier sparselrp; {AGAIN}")
        self.target_names = cast(list[str], self._json("target_names", list))
        self.n_targets = len(self.target_names)
        if not self.target_names or not all(isinstance(name, str) for name in self.target_names):
            raise OutputError(f"{self.path}: attribute 'target_names' is damaged; {AGAIN}")
        maps = self._dataset("hyp_scores")
        if maps.ndim not in (3, 4) or maps.dtype not in _TYPES or maps.shape[-2] < 1:
            raise OutputError(f"{self.path}: dataset 'hyp_scores' is damaged; {AGAIN}")
        self.dtype = np.dtype(maps.dtype)
        self.n_windows, self.window_length = map(int, maps.shape[-3:-1])
        self.has_spread = any(within(self._file, name) is not None for name in SPREAD)
        self.has_blocks = within(self._file, "blocks") is not None
        listed = columns(
            self.window_length,
            maps.dtype,
            self.n_targets,
            spread=self.has_spread,
            blocks=self.has_blocks,
        )
        self._columns = {column.name: column for column in listed}
        for column in self._columns.values():
            self._check_column(column)
        names, sizes = (self._dataset(name) for name in ("chrom_names", "chrom_sizes"))
        if h5py.check_string_dtype(names.dtype) is None or sizes.dtype.kind not in "iu" or names.ndim != 1:
            raise OutputError(f"{self.path}: its chromosomes are damaged; {AGAIN}")
        if names.shape != sizes.shape:
            raise OutputError(f"{self.path}: chromosome names and sizes differ in number; {AGAIN}")

    def _check_column(self, column: Column) -> None:
        dataset = self._dataset(column.name)
        shape, wanted = dataset.shape, column.shape(self.n_windows, self.n_targets)
        if shape != wanted:
            raise OutputError(
                f"{self.path}: dataset '{column.name}' has shape {shape}, not {wanted}; {AGAIN}"
            )
        if not _same_kind(dataset.dtype, np.dtype(column.dtype)):
            raise OutputError(f"{self.path}: dataset '{column.name}' holds {dataset.dtype}; {AGAIN}")

    def _dataset(self, name: str) -> h5py.Dataset:
        """Give a dataset; it is looked at once, since reading goes through it for every few windows."""
        if name not in self._datasets:
            self._datasets[name] = self._looked_at(name)
        return self._datasets[name]

    def _looked_at(self, name: str) -> h5py.Dataset:
        dataset = within(self._file, name)
        if not isinstance(dataset, h5py.Dataset):
            raise OutputError(f"{self.path} has no dataset '{name}'; {AGAIN}")
        if not is_backed(dataset):
            raise OutputError(f"{self.path}: dataset '{name}' holds less than it declares; {AGAIN}")
        return dataset

    def _json(self, name: str, kind: type) -> object:
        try:
            text = attribute(self._file, name)
            value = json.loads(text) if text is not None and len(text) <= LARGEST_JSON else None
        except (KeyError, TypeError, ValueError, OSError, RuntimeError):
            value = None
        if not isinstance(value, kind):
            raise OutputError(f"{self.path}: attribute '{name}' is damaged; {AGAIN}")
        return value

    def _take(self, name: str, rows: Rows, target: int = 0) -> npt.NDArray[Any]:
        """Read rows of a dataset, as few contiguous pieces as they make."""
        column, dataset = self._columns[name], self._dataset(name)
        if not 0 <= target < self.n_targets:
            raise IndexError(f"target {target} of {self.n_targets}")
        leading = (target,) * column.row_axis(self.n_targets)
        with self._reported():
            if isinstance(rows, slice):
                self._require_text(dataset, [slice(*rows.indices(dataset.shape[len(leading)]))])
                return cast(npt.NDArray[Any], dataset[(*leading, rows)])
            distinct, inverse = np.unique(rows, return_inverse=True)
            asked = list(contiguous(distinct))
            self._require_text(dataset, asked)
            pieces = [dataset[(*leading, piece)] for piece in asked]
            return cast(
                npt.NDArray[Any], np.concatenate(pieces)[inverse] if pieces else dataset[(*leading, slice(0))]
            )

    def _require_text(self, dataset: h5py.Dataset, rows: Sequence[slice]) -> None:
        """Stop before text is read that would take more memory than the file has bytes."""
        if dataset.dtype.kind == "O" and not holds_its_text(dataset, rows):
            name = dataset.name.removeprefix("/")
            raise OutputError(f"{self.path}: dataset '{name}' holds less than it declares; {AGAIN}")

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGED as error:
            raise OutputError(f"{self.path} is damaged ({one_line(error)}); {AGAIN}") from error


def _same_kind(found: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    if h5py.check_string_dtype(wanted) is not None:
        return h5py.check_string_dtype(found) is not None
    return found.kind == wanted.kind and found.itemsize <= wanted.itemsize
