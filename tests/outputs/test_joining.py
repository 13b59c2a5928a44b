"""Archives put behind each other are, byte for byte, the archive of all their rows."""

import h5py
import numpy as np
import pytest
from helpers.archives import SIZES, random_places, random_rows, write_archive

from sparselrp_cli.outputs.archive import ArchiveReader, ArchiveWriter
from sparselrp_cli.outputs.archive.blocks import ArchiveShape
from sparselrp_cli.outputs.archive.joining import joined_blocks

LENGTH = 300  # four windows share a chunk, and 256 a block


def parts_of(tmp_path, rows, sizes):
    """Write rows to archives of so many windows."""
    ends = np.cumsum([0, *sizes])
    return [write_archive(tmp_path / f"part{i}.h5", rows[ends[i] : ends[i + 1]]) for i in range(len(sizes))]


def joined(tmp_path, paths, rows):
    """Join archives to one, and say how many chunks of the maps were copied."""
    copied = []
    readers = [ArchiveReader(path).__enter__() for path in paths]
    names = tuple(readers[0].target_names)
    shape = ArchiveShape(LENGTH, names, "float32", rows.spread is not None)
    for reader in readers:
        taken = reader.packed
        reader.packed = lambda name, at, taken=taken: copied.append((name, taken(name, at))) or copied[-1][1]
    options = {"window_length": LENGTH, "target_names": names, "spread": rows.spread is not None}
    with ArchiveWriter(tmp_path / "joined.h5", **options) as writer:
        for block in joined_blocks(readers, shape, threads=2):
            writer.write(block)
        writer.finish(SIZES, readers[0].manifest)
    for reader in readers:
        reader.__exit__(None, None, None)
    return sum(len(chunks) for name, chunks in copied if name == "hyp_scores" and chunks)


@pytest.mark.parametrize(
    ("n_targets", "spread"),
    [
        (1, False),
        pytest.param(1, True, marks=pytest.mark.slow),
        pytest.param(2, False, marks=pytest.mark.slow),
        (2, True),
    ],
)
@pytest.mark.parametrize(
    "sizes",
    [(256, 256), (256, 3), (257, 300), (300, 212), (0, 5, 0, 251, 44), (700,), (1, 1, 1), (254, 512)],
    ids=str,
)
def test_joined_archives_are_the_archive_of_all_rows(tmp_path, sizes, n_targets, spread):
    rows = random_rows(random_places(sum(sizes)), LENGTH, n_targets=n_targets, spread=spread)
    joined(tmp_path, parts_of(tmp_path, rows, sizes), rows)
    whole = write_archive(tmp_path / "whole.h5", rows)
    assert (tmp_path / "joined.h5").read_bytes() == whole.read_bytes()


def test_chunks_that_fall_together_are_copied(tmp_path):
    rows = random_rows(random_places(512), LENGTH)
    assert joined(tmp_path, parts_of(tmp_path, rows, (256, 256)), rows) == 512 // 4


def test_an_archive_that_another_program_packed_is_packed_again(tmp_path):
    rows = random_rows(random_places(512), LENGTH)
    paths = parts_of(tmp_path, rows, (256, 256))
    whole = write_archive(tmp_path / "whole.h5", rows)
    with h5py.File(paths[1], "r+") as file:
        maps = file["hyp_scores"][:]
        del file["hyp_scores"]
        file.create_dataset("hyp_scores", data=maps, chunks=(4, LENGTH, 4), compression="gzip")
    assert joined(tmp_path, paths, rows) == 256 // 4
    assert (tmp_path / "joined.h5").read_bytes() == whole.read_bytes()
