"""HDF5 of others, of which no more is taken than its bytes hold; and HDF5 of ours, on disks that fail."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from sparselrp_cli.files.interruptions import Interruptions, kept_interruptions

# A deflate stream unpacks to at most 1032 times its length; the rest is room for what frames it.
_LARGEST_RATIO = 1100
_CHUNK_BYTES = 1 << 30
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)


def within(group: Any, name: str) -> Any:
    """Give the group or dataset of a name; None where there is none, or where it is kept elsewhere.

    Links to other files or places, external storage and virtual datasets aren't followed: with them a file
    could show what it was never given.
    """
    found = group
    for part in filter(None, name.split("/")):
        if not isinstance(found, h5py.Group) or not isinstance(found.get(part, getlink=True), h5py.HardLink):
            return None
        found = found[part]
    if isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
        return None
    return found


def is_backed(dataset: h5py.Dataset) -> bool:
    """Whether the bytes in the file can hold what a dataset declares, in chunks that fit into memory."""
    filters = dataset.id.get_create_plist()
    kinds = [filters.get_filter(i)[0] for i in range(filters.get_nfilters())]
    if len(set(kinds)) < len(kinds) or not set(kinds).issubset(_FILTERS):
        return False
    chunk = dataset.dtype.itemsize
    for size in dataset.chunks or ():
        chunk *= size
    stored = min(dataset.id.get_storage_size(), dataset.file.id.get_filesize())
    ratio = _LARGEST_RATIO if kinds else 1
    declared = dataset.size * dataset.id.get_type().get_size()
    return bool(chunk <= _CHUNK_BYTES and declared <= ratio * stored)


class Created:
    """An HDF5 file that is written.

    Attributes
    ----------
    file : h5py.File
    """

    def __init__(self, file: h5py.File, disk: "_Disk", interruptions: Interruptions) -> None:
        self.file = file
        self._disk, self._interruptions = disk, interruptions

    def require_written(self) -> None:
        """Raise what has gone wrong since the file was opened, and what signals raise; call it now and then.

        Raises
        ------
        OSError
            The first that a write met.
        """
        self._interruptions.deliver()
        if self._disk.error is not None:
            raise self._disk.error


@contextmanager
def created(path: Path) -> Iterator[Created]:
    """Write an HDF5 file over an existing one.

    HDF5 can't close a file of which a write has failed, and crashes the process when it ends. So it is given
    a file for which every write succeeds: from the first failure on, what is written stays in memory. The
    failure is raised by `Created.require_written`, and at the end of the block. Signals wait for the same
    moments, since what their handlers raise would be a failed write, too.

    Parameters
    ----------
    path : Path

    Raises
    ------
    OSError
        If a write failed.
    """
    with kept_interruptions() as interruptions, _Disk(path) as disk:
        # No other process knows the hidden name, and some network file systems can't lock.
        with h5py.File(disk, "w", libver="earliest", locking=False) as file:
            yield (made := Created(file, disk, interruptions))
        made.require_written()


class _Disk(io.RawIOBase):
    """A file for which every write succeeds.

    Attributes
    ----------
    error : OSError or None
        The first failure; from then on nothing goes to the disk.
    """

    def __init__(self, path: Path) -> None:
        self.error: OSError | None = None
        self._descriptor = os.open(path, os.O_RDWR | os.O_TRUNC)
        self._at = self._size = 0
        self._lost: list[tuple[int, bytes]] = []

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = begin + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        size = max(0, min(len(buffer), self._size - self._at))
        buffer[:size] = os.pread(self._descriptor, size, self._at).ljust(size, b"\0")
        for start, piece in self._lost:
            first, last = max(start, self._at), min(start + len(piece), self._at + size)
            if first < last:
                buffer[first - self._at : last - self._at] = piece[first - start : last - start]
        self._at += size
        return size

    def write(self, buffer: Any) -> int:
        piece = memoryview(buffer).cast("B")
        written = 0
        while written < len(piece) and self.error is None:
            try:
                written += os.pwrite(self._descriptor, piece[written:], self._at + written)
            except OSError as error:
                self.error = error
        if written < len(piece):
            self._lost.append((self._at + written, bytes(piece[written:])))
        self._at += len(piece)
        self._size = max(self._size, self._at)
        return len(piece)

    def truncate(self, size: int | None = None) -> int:
        self._size = self._at if size is None else size
        if self.error is None:
            try:
                os.ftruncate(self._descriptor, self._size)
            except OSError as error:
                self.error = error
        return self._size

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()
