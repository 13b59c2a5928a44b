"""What stands in an archive: datasets, their types and chunks.

An archive is an HDF5 file whose only filters are byte shuffle and gzip, so that whatever reads HDF5 reads it.
Axes: N windows, L bp, 4 bases A C G T; what is kept per target gets a leading target axis T where there are
several.

========================  =======================  ===============================================
``input_seqs``            uint8 (N, L, 4)          one-hot, unknown bases all zero
``hyp_scores``            float (N, L, 4)          hypothetical contributions, per target
``coords_chrom``          int32 (N,)               index into ``chrom_names``
``coords_start``          int64 (N,)               window, 0-based half-open, may hang over the chromosome
``coords_end``            int64 (N,)
``names``, ``strand``     text (N,)
``region_index``          int64 (N,)               which region of the input, counted from 0
``n_bases_unknown``       int32 (N,)
``score`` ...             float64 (N,)             the accounting columns, per target
``score_sd``              float64 (N,)             only of several models: see below; per target
``contribution_sd``       float32 (N, L)           likewise
``blocks``                uint8 (N, L)             only of targets that read blocks: 1 in a block
``chrom_names``           text (C,)                in genome order
``chrom_sizes``           int64 (C,)               bp
========================  =======================  ===============================================

Where several models were explained together, all of the above are means over the models, ``score_sd`` is the
population standard deviation (divisor: the number of models) of their scores, and ``contribution_sd`` that of
their contributions, base by base; an archive of one model has neither.

Attributes of the root: ``schema_version``, ``target_names`` (JSON), ``manifest`` (JSON).
"""

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from sparselrp_cli.outputs.archive.rows import ACCOUNTING

SCHEMA_VERSION = 4

CHUNK_BYTES = 32 << 10
BLOCK_BYTES = 16 << 20
BLOCK_ROWS = 256
# Real maps are hardly smaller at higher levels, which take up to twice the time.
GZIP_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Column:
    """A dataset with one row per window.

    Attributes
    ----------
    name : str
    dtype : numpy dtype
    tail : tuple of int
        Shape of one row.
    per_target : bool
        Whether it has a target axis.
    chunk : int
        Windows in a chunk.
    gzip : bool
    """

    name: str
    dtype: npt.DTypeLike
    tail: tuple[int, ...] = ()
    per_target: bool = False
    chunk: int = 1
    gzip: bool = True

    @property
    def shuffled(self) -> bool:
        """Whether the bytes of its numbers are put apart before gzip; not where a number is one byte."""
        return self.gzip and np.dtype(self.dtype).itemsize > 1

    def row_axis(self, n_targets: int) -> int:
        """Say which axis of the dataset counts the windows."""
        return 1 if self.per_target and n_targets > 1 else 0

    def shape(self, n: int, n_targets: int) -> tuple[int, ...]:
        """Give the shape of the dataset for `n` windows."""
        return (n_targets,) * self.row_axis(n_targets) + (n, *self.tail)


def columns(
    window_length: int,
    dtype: npt.DTypeLike,
    n_targets: int,
    *,
    spread: bool = False,
    blocks: bool = False,
) -> list[Column]:
    """List the datasets that have a row per window, for windows of so many bp.

    Parameters
    ----------
    dtype : numpy dtype
        Of the hypothetical contributions.
    spread : bool
        Whether the archive is of several models.
    blocks : bool
        Whether it keeps the blocks of its regions.
    """
    tail, chunk, block = (window_length, 4), chunk_rows(window_length), block_rows(window_length, n_targets)
    text = h5py.string_dtype()
    of_several = [
        Column("score_sd", np.float64, per_target=True, chunk=block),
        Column("contribution_sd", np.float32, (window_length,), per_target=True, chunk=chunk),
    ]
    return [
        Column("input_seqs", np.uint8, tail, chunk=chunk),
        Column("hyp_scores", dtype, tail, per_target=True, chunk=chunk),
        Column("coords_chrom", np.int32, chunk=block),
        Column("coords_start", np.int64, chunk=block),
        Column("coords_end", np.int64, chunk=block),
        Column("names", text, chunk=block, gzip=False),
        Column("strand", "S1", chunk=block),
        Column("region_index", np.int64, chunk=block),
        Column("n_bases_unknown", np.int32, chunk=block),
        *(Column(name, np.float64, per_target=True, chunk=block) for name in ACCOUNTING),
        *(of_several if spread else ()),
        *([Column("blocks", np.uint8, (window_length,), chunk=chunk)] if blocks else ()),
    ]


def create(file: h5py.File, column: Column, n_targets: int) -> h5py.Dataset:
    """Add the empty dataset of a column."""
    unlimited: list[int | None] = list(column.shape(0, n_targets))
    unlimited[column.row_axis(n_targets)] = None
    leading = (1,) * column.row_axis(n_targets)
    gzip: dict[str, Any] = {"compression": "gzip", "compression_opts": GZIP_LEVEL} if column.gzip else {}
    return file.create_dataset(
        column.name,
        shape=column.shape(0, n_targets),
        maxshape=tuple(unlimited),
        dtype=column.dtype,
        chunks=(*leading, column.chunk, *column.tail),
        track_times=False,
        shuffle=column.shuffled,
        **gzip,
    )


def chunk_rows(window_length: int) -> int:
    """Say how many windows share a chunk: few, so that reading one window unpacks little else."""
    return _power_of_two(CHUNK_BYTES // (16 * max(1, window_length)))


def block_rows(window_length: int, n_targets: int) -> int:
    """Say how many windows are written at once; nothing but the shape of the data decides it.

    It is a multiple of the windows in a chunk, so that no chunk is written twice.
    """
    fitting = _power_of_two(BLOCK_BYTES // (16 * max(1, window_length) * n_targets))
    return max(fitting, chunk_rows(window_length))


def _power_of_two(n: int) -> int:
    """Give the largest power of two that is at most `n`, between 1 and `BLOCK_ROWS`."""
    return 1 << max(0, min(n, BLOCK_ROWS).bit_length() - 1)
