"""Rows of an archive, packed as they will lie in it, a block of them at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.names import field
from sparselrp_cli.outputs.archive.layout import Column, block_rows, columns
from sparselrp_cli.outputs.archive.packing import packed, pieces, unpack
from sparselrp_cli.outputs.archive.rows import ACCOUNTING, ArchiveRows, Reals, place
from sparselrp_cli.outputs.choices import ArchiveDtype

STRANDS = {"+": b"+", "-": b"-"}


@dataclass(frozen=True)
class ArchiveShape:
    """What decides the shape of an archive's rows.

    Attributes
    ----------
    window_length : int
        L, in bp.
    target_names : tuple of str, length T
    dtype : {"float32", "float64", "float16"}
        Of the hypothetical contributions.
    spread : bool
        Whether the rows are means over several models and come with their spread.
    blocks : bool
        Whether the rows come with the blocks of their regions.
    """

    window_length: int
    target_names: tuple[str, ...]
    dtype: ArchiveDtype = "float32"
    spread: bool = False
    blocks: bool = False

    def __post_init__(self) -> None:
        if not self.target_names:
            raise ValueError("an archive needs at least one target")

    @property
    def n_targets(self) -> int:
        return len(self.target_names)

    @cached_property
    def columns(self) -> dict[str, Column]:
        """The datasets with a row per window, by name."""
        listed = columns(
            self.window_length,
            np.dtype(self.dtype),
            self.n_targets,
            spread=self.spread,
            blocks=self.blocks,
        )
        return {column.name: column for column in listed}

    @cached_property
    def block_rows(self) -> int:
        """How many windows a block has; only the last has fewer."""
        return block_rows(self.window_length, self.n_targets)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some rows, their columns packed chunk by chunk as HDF5's filters do it.

    Attributes
    ----------
    shape : ArchiveShape
    n_rows : int
    names : tuple of str
    new_chroms : tuple of str
        Chromosomes that no earlier block has; they are numbered on from those.
    chunks : dict of str to tuple of bytes
        The chunks of each column but the names, target by target.
    """

    shape: ArchiveShape
    n_rows: int
    names: tuple[str, ...]
    new_chroms: tuple[str, ...]
    chunks: Mapping[str, Sequence[bytes]]

    def column(self, name: str) -> npt.NDArray[Any]:
        """Unpack a column: shape (T, n, ...) if it is kept per target, else (n, ...)."""
        column = self.shape.columns[name]
        unpacked = [unpack(column, chunk) for chunk in self.chunks[name]]
        if not column.per_target:
            return np.concatenate(unpacked)[: self.n_rows]
        each = len(unpacked) // self.shape.n_targets
        parts = [unpacked[t * each : (t + 1) * each] for t in range(self.shape.n_targets)]
        return np.stack([np.concatenate(part)[: self.n_rows] for part in parts])


class Packer:
    """Makes blocks of rows that come in groups of any size.

    Parameters
    ----------
    shape : ArchiveShape
    path : Path
        What messages call the archive.
    chroms : sequence of str
        Those of earlier blocks, where packing goes on behind them.
    threads : int
        That pack a block; its bytes don't depend on them.
    """

    def __init__(self, shape: ArchiveShape, path: Path, chroms: Sequence[str] = (), threads: int = 1) -> None:
        self.shape = shape
        self.path = path
        self.threads = threads
        self._chroms = {chrom: i for i, chrom in enumerate(chroms)}
        self._n_known = len(self._chroms)
        self._waiting: list[dict[str, npt.NDArray[Any]]] = []
        self._n_waiting = 0

    def add(self, rows: ArchiveRows) -> Iterator[Block]:
        """Add rows, which are copied; give the blocks that they fill.

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
            part = rows[at : at + self.shape.block_rows - self._n_waiting]
            self._waiting.append(self._as_stored(part))
            self._n_waiting += len(part)
            at += len(part)
            if self._n_waiting == self.shape.block_rows:
                yield from self.flush()

    def flush(self) -> Iterator[Block]:
        """Give what waits as a last block, if anything does."""
        if not self._waiting:
            return
        shape, waiting = self.shape, self._waiting
        parts = {
            column: np.concatenate([p[column.name] for p in waiting], axis=int(column.per_target))
            for column in shape.columns.values()
        }
        block = Block(
            shape,
            self._n_waiting,
            names=tuple(parts[shape.columns["names"]]),
            new_chroms=tuple(islice(self._chroms, self._n_known, None)),
            chunks=self._packed(parts),
        )
        self._waiting, self._n_waiting, self._n_known = [], 0, len(self._chroms)
        yield block

    def _packed(self, parts: Mapping[Column, npt.NDArray[Any]]) -> dict[str, Sequence[bytes]]:
        cut = {column.name: list(pieces(column, rows)) for column, rows in parts.items() if column.gzip}
        chunks = iter(packed([piece for of_column in cut.values() for piece in of_column], self.threads))
        return {name: tuple(islice(chunks, len(of_column))) for name, of_column in cut.items()}

    def _check(self, rows: ArchiveRows) -> None:
        shape = self.shape
        if rows.n_targets != shape.n_targets or rows.one_hot.shape[2] != shape.window_length:
            raise ValueError(
                f"rows of {rows.n_targets} targets and {rows.one_hot.shape[2]} bp don't fit an archive of "
                f"{shape.n_targets} targets and {shape.window_length} bp"
            )
        if (rows.spread is not None) != shape.spread:
            raise ValueError("rows come with a spread where the archive has one, and only there")
        if (rows.blocks is not None) != shape.blocks:
            raise ValueError("rows come with blocks where the archive keeps them, and only there")
        for window in rows.windows:
            if window.end - window.start != shape.window_length:
                raise ValueError(f"window {place(window)} doesn't span {shape.window_length} bp")

    def _as_stored(self, rows: ArchiveRows) -> dict[str, npt.NDArray[Any]]:
        """Copy rows into the types and axes of the file; per-target columns start with the target axis."""
        windows = rows.windows
        with np.errstate(over="ignore"):
            maps = rows.hypothetical.swapaxes(2, 3).astype(self.shape.dtype, order="C")
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
            **({} if rows.blocks is None else {"blocks": rows.blocks.astype(np.uint8)}),
        }

    def _refuse_what_is_not_finite(self, rows: ArchiveRows, maps: Reals) -> None:
        finite = np.isfinite(maps).all(axis=(0, 2, 3))
        if finite.all():
            return
        row = int(np.argmin(finite))
        if np.isfinite(rows.hypothetical[:, row]).all():
            raise OutputError(
                f"{self.path}: a contribution of {place(rows.windows[row])} is too large for "
                f"{self.shape.dtype}; archive in a wider type"
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
