"""HDF5 files of others: only what is in the file itself, and no more than its bytes can hold."""

from typing import Any

import h5py

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
