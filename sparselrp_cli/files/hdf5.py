"""HDF5 of others, of which no more is taken than its bytes hold; and HDF5 of ours, on disks that fail."""

import io
import math
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sparselrp_cli.files.interruptions import Interruptions, kept_interruptions

# A deflate stream unpacks to at most 1032 times its length; the rest is room for what frames it.
_LARGEST_RATIO = 1100
_CHUNK_BYTES = 1 << 30
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
LARGEST_JSON = 16 << 20
"""Bytes of JSON in a file of others: parsed, a byte may take twenty."""
_PLAIN = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING)
_MOST_TEXT = 1 << 28
"""Bytes that an array of texts may take in an attribute, where nothing tells how long each is."""


def within(group: Any, name: str) -> Any:
    """Give the group or dataset of a name; None where there is none, or where it is kept elsewhere.

    Links to other files or places, external storage and virtual datasets aren't followed: with them a file
    could show what it was never given.
    """
    found = group
    for part in filter(None, name.split("/")):
        if not isinstance(found, h5py.Group) or not _is_hard_link(found, part):
            return None
        found = found[part]
    if isinstance(found, h5py.Dataset):
        settings = found.id.get_create_plist()
        if settings.get_layout() == h5py.h5d.VIRTUAL or settings.get_external_count():
            return None
    return found


def _is_hard_link(group: h5py.Group, name: str) -> bool:
    key = name.encode(errors="surrogateescape")
    links = group.id.links
    return bool(links.exists(key) and links.get_info(key).type == h5py.h5l.TYPE_HARD)


def is_backed(dataset: h5py.Dataset) -> bool:
    """Whether the bytes in the file can hold what a dataset declares, in chunks that fit into memory."""
    identity = dataset.id
    filters = identity.get_create_plist()
    kinds = [filters.get_filter(i)[0] for i in range(filters.get_nfilters())]
    if len(set(kinds)) < len(kinds) or not set(kinds).issubset(_FILTERS):
        return False
    chunk = identity.dtype.itemsize
    if filters.get_layout() == h5py.h5d.CHUNKED:
        chunk *= math.prod(filters.get_chunk())
    stored = min(identity.get_storage_size(), h5py.h5i.get_file_id(identity).get_filesize())
    ratio = _LARGEST_RATIO if kinds else 1
    declared = math.prod(identity.shape or ()) * identity.get_type().get_size()
    return bool(chunk <= _CHUNK_BYTES and declared <= ratio * stored)


def attribute(place: Any, name: str) -> Any:
    """Give an attribute: numbers, text or an array of these; None where it is anything else, or missing.

    References, opaque bytes, compounds and sequences aren't read: no writer of ours, nor Keras, keeps them.

    Parameters
    ----------
    place : h5py.File, Group or Dataset
    name : str
    """
    if name not in place.attrs:
        return None
    found = place.attrs.get_id(name)
    kind, size = found.get_type(), place.file.id.get_filesize()
    if kind.get_class() not in _PLAIN:
        return None
    count = math.prod(found.shape or ())
    if count > 1 and kind.get_class() == h5py.h5t.STRING and kind.is_variable_str():
        # Each may refer to the same text, which is as long as the file at most.
        return place.attrs[name] if count * size <= _MOST_TEXT else None
    return place.attrs[name] if count * kind.get_size() <= size else None


def holds_its_text(dataset: h5py.Dataset, pieces: Iterable[slice]) -> bool:
    """Whether the texts of some rows are together no longer than the file.

    A text of variable length lies in the file once, and rows refer to it. Where many refer to one text, a
    small file asks for more memory than there is. Other datasets hold no such texts.

    Parameters
    ----------
    dataset : h5py.Dataset
        With one axis.
    pieces : iterable of slice
        Rows, with their first and last.
    """
    kind, size = dataset.id.get_type(), dataset.file.id.get_filesize()
    if kind.get_class() != h5py.h5t.STRING or not kind.is_variable_str():
        return True
    width = _reference_bytes(dataset)
    references = np.dtype({"names": ["length"], "formats": ["<u4"], "offsets": [0], "itemsize": width})
    total = 0
    for raw in _stored_rows(dataset, pieces):
        if raw is None or len(raw) % references.itemsize:
            return False
        total += int(np.frombuffer(raw, references)["length"].sum(dtype=np.uint64))
    return bool(total <= size)


def _reference_bytes(dataset: h5py.Dataset) -> int:
    """Say what a row takes: the text's length, its heap's address, its number there (File Format, IV.B)."""
    address, _ = dataset.file.id.get_create_plist().get_sizes()
    return 8 + int(address)


def _stored_rows(dataset: h5py.Dataset, pieces: Iterable[slice]) -> Iterator[bytes | None]:
    """Give some rows, and those beside them in a chunk, as the file has them; None where it can't."""
    settings, size = dataset.id.get_create_plist(), dataset.file.id.get_filesize()
    width = _reference_bytes(dataset)
    if settings.get_layout() == h5py.h5d.CONTIGUOUS:
        if (offset := dataset.id.get_offset()) is not None:
            with Path(dataset.file.filename).open("rb") as file:
                for piece in pieces:
                    file.seek(offset + width * piece.start)
                    yield file.read(width * (piece.stop - piece.start))
        return
    if settings.get_layout() != h5py.h5d.CHUNKED:
        yield None
        return
    (rows,) = dataset.chunks
    for at in dict.fromkeys(
        at for piece in pieces for at in range(piece.start - piece.start % rows, piece.stop, rows)
    ):
        stored = dataset.id.get_chunk_info_by_coord((at,))
        if stored.byte_offset is None:
            continue
        yield None if stored.size > size else _unpacked(dataset, at, rows * width)


def _unpacked(dataset: h5py.Dataset, at: int, size: int) -> bytes | None:
    """Undo the filters of a chunk, the last first; None where it isn't of its size."""
    settings = dataset.id.get_create_plist()
    skipped, raw = dataset.id.read_direct_chunk((at,))
    for number in reversed(range(settings.get_nfilters())):
        if skipped >> number & 1:
            continue
        if settings.get_filter(number)[0] == h5py.h5z.FILTER_DEFLATE:
            try:
                raw = zlib.decompressobj().decompress(raw, size + 1)
            except zlib.error:
                return None
        elif settings.get_filter(number)[0] == h5py.h5z.FILTER_SHUFFLE and len(raw) == size:
            raw = np.frombuffer(raw, np.uint8).reshape(_reference_bytes(dataset), -1).T.tobytes()
        else:  # HDF5 takes no checksums of what refers to text
            return None
    return raw if len(raw) == size else None


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
