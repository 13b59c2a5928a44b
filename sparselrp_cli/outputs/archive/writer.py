"""Writing an archive, block by block, in memory that doesn't grow with their number."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.atomic import reported, temporary
from sparselrp_cli.files.free_space import require_room
from sparselrp_cli.files.hdf5 import Created, created
from sparselrp_cli.files.opened import Opened
from sparselrp_cli.outputs.archive.blocks import ArchiveShape, Block, Packer
from sparselrp_cli.outputs.archive.layout import SCHEMA_VERSION, Column, create
from sparselrp_cli.outputs.archive.rows import ArchiveRows
from sparselrp_cli.outputs.choices import ArchiveDtype


class ArchiveWriter(Opened):
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
    blocks : bool
        Whether the rows come with the blocks of their regions.

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
        blocks: bool = False,
    ) -> None:
        self.path = Path(path)
        self.shape = ArchiveShape(window_length, tuple(target_names), dtype, spread, blocks)
        self.n_windows = 0
        self._packer = Packer(self.shape, self.path)
        self._chroms: list[str] = []
        self._finished = False

    def _open(self, stack: ExitStack) -> None:
        self._hidden = stack.enter_context(temporary(self.path))
        with _reported(self.path):
            require_room(self._hidden, 0)
        self._output = stack.enter_context(self._created())
        self._file = self._output.file
        with _reported(self.path):
            made = {
                name: create(self._file, column, self.shape.n_targets)
                for name, column in self.shape.columns.items()
            }
            self._packed = {name: made[name] for name, column in self.shape.columns.items() if column.gzip}

    def append(self, rows: ArchiveRows) -> None:
        """Add windows; the arrays are copied.

        Raises
        ------
        OutputError
            If a contribution isn't finite, or too large for the type it is kept in.
        ValueError
            If a window doesn't have the archive's length.
        """
        if self._finished:
            raise RuntimeError("the archive is finished")
        for block in self._packer.add(rows):
            self.write(block)

    def write(self, block: Block) -> None:
        """Add rows that are packed; only the last block of an archive has less than its full size."""
        self._chroms += block.new_chroms
        start, stop = self.n_windows, self.n_windows + block.n_rows
        with _reported(self.path):
            maps = sum(len(chunk) for chunks in block.chunks.values() for chunk in chunks)
            require_room(self._hidden, maps + 2 * _n_bytes(block.names))
            for column in self.shape.columns.values():
                # Names aren't written chunk by chunk; they get their place in the file on closing.
                dataset = self._packed[column.name] if column.gzip else self._file[column.name]
                dataset.resize(stop, axis=column.row_axis(self.shape.n_targets))
                if column.gzip:
                    self._write_chunks(dataset, column, start, block.chunks[column.name])
                else:
                    dataset[start:stop] = block.names
            self._file.flush()
            self._output.require_written()
        self.n_windows = stop

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
        for block in self._packer.flush():
            self.write(block)
        missing = sorted(set(self._chroms) - set(chrom_sizes))
        if missing:
            raise ValueError(f"no size is given for chromosome '{missing[0]}'")
        names, sizes = list(chrom_sizes), list(chrom_sizes.values())
        # Text of variable length lies outside the object header, whose limit of 64 KiB it so escapes.
        texts = {
            "target_names": json.dumps(self.shape.target_names),
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
            self._output.require_written()
        self._finished = True

    def _write_chunks(
        self, dataset: h5py.Dataset, column: Column, start: int, chunks: Sequence[bytes]
    ) -> None:
        """Write compressed chunks of the rows from `start` on, target by target."""
        leading = column.row_axis(self.shape.n_targets)
        each = len(chunks) // (self.shape.n_targets if leading else 1)
        write, behind = dataset.id.write_direct_chunk, (0,) * len(column.tail)
        for number, chunk in enumerate(chunks):
            target, at = divmod(number, each)
            write((*(target,) * leading, start + at * column.chunk, *behind), chunk)

    def _number_chroms(self, names: Sequence[str]) -> None:
        """Turn the numbers of first appearance into indices in genome order."""
        position = {name: i for i, name in enumerate(names)}
        index = np.array([position[name] for name in self._chroms], np.int32)
        dataset = self._file["coords_chrom"]
        for start in range(0, self.n_windows, dataset.chunks[0]):
            rows = slice(start, start + dataset.chunks[0])
            dataset[rows] = index[dataset[rows]]

    @contextmanager
    def _created(self) -> Iterator[Created]:
        """Open the file; errors of other code in the block stay as they are."""
        with ExitStack() as stack:
            with _reported(self.path):
                output = stack.enter_context(created(self._hidden))
            yield output
            with _reported(self.path):
                stack.close()
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
