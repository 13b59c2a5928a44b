"""The track of a run from those of its shards has the bytes of the one made of all windows."""

import struct
from itertools import pairwise

import numpy as np
import pytest
from helpers.archives import random_rows, write_archive
from hypothesis import given, settings
from hypothesis import strategies as st

from sparselrp_cli.errors import OutputError
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.bigwig import ForeignTrackError, ShardTrack, joining, write_joined
from sparselrp_cli.outputs.bigwig.blocks import CELL
from sparselrp_cli.outputs.tracks import write_bigwig

law = settings(max_examples=12)
SIZES = {"chr1": 6 * CELL, "none": 9, "chr2": 5 * CELL + 11, "chr3": 40}
LENGTH = 90

near_a_border = st.tuples(st.integers(0, 5), st.integers(-LENGTH - 5, LENGTH + 5)).map(
    lambda both: both[0] * CELL + both[1]
)
anywhere = st.integers(-80, 6 * CELL)
places = st.lists(st.tuples(st.sampled_from(["chr1", "chr2", "chr3"]), near_a_border | anywhere), max_size=20)


def shards_of(folder, rows, bounds, policy, **more):
    """Write the archive of all rows, and those of shards with their tracks."""
    given = {"sizes": SIZES}
    whole = write_archive(folder / "whole.h5", rows, **given)
    shards = []
    for i, (start, end) in enumerate(pairwise(bounds)):
        archive = write_archive(folder / f"part{i}.h5", rows[start:end], **given)
        with ArchiveReader(archive) as reader:
            write_bigwig(reader, folder / f"part{i}.bw", policy, **more)
            shards.append(ShardTrack(folder / f"part{i}.bw", reader.n_windows))
    return whole, shards


def joined(whole, shards, policy, target=0, *, spread=False, threads=2):
    """Give the bytes of the track made of all windows, and those of the joined one."""
    one, other = whole.with_name("one.bw"), whole.with_name("other.bw")
    with ArchiveReader(whole) as reader:
        write_bigwig(reader, one, policy, target, spread=spread)
        write_joined(other, reader, shards, policy, target, spread=spread, threads=threads)
    return one.read_bytes(), other.read_bytes()


@pytest.mark.parametrize("policy", ["nearest-centre", "mean", "max-abs", "sum"])
@given(places, st.integers(1, 5), st.booleans(), st.integers(0, 1000))
@law
def test_joined_tracks_have_the_bytes_of_one(tmp_path_factory, policy, places, n_shards, is_sorted, seed):
    if is_sorted:
        places.sort(key=lambda place: (list(SIZES).index(place[0]), place[1]))
    rows = random_rows(places, LENGTH, seed=seed)
    bounds = [len(places) * i // n_shards for i in range(n_shards + 1)]
    whole, shards = shards_of(tmp_path_factory.mktemp("shards"), rows, bounds, policy)

    one, other = joined(whole, shards, policy)

    assert one == other


def along_a_chromosome(n=40, **more):
    """Windows that are sorted, some of which overlap: most cells are of one shard."""
    rng = np.random.default_rng(3)
    starts = np.sort(rng.integers(0, 6 * CELL - LENGTH, n)).tolist()
    return random_rows([("chr1", start) for start in starts], LENGTH, **more)


def test_only_windows_near_another_shard_are_unpacked(tmp_path, monkeypatch):
    whole, shards = shards_of(tmp_path, along_a_chromosome(), [0, 20, 40], "mean")
    one, _ = joined(whole, shards, "mean")
    unpacked = []
    before = ArchiveReader.contributions

    def counting(self, rows, target=0):
        unpacked.extend(np.arange(self.n_windows)[rows].tolist())
        return before(self, rows, target)

    monkeypatch.setattr(ArchiveReader, "contributions", counting)
    with ArchiveReader(whole) as reader:
        write_bigwig(reader, tmp_path / "run.bw", "mean", shards=shards)
    assert (tmp_path / "run.bw").read_bytes() == one
    assert {19, 20} <= set(unpacked) < set(range(10, 30))


def test_targets_and_spreads_are_joined_each(tmp_path):
    rows = along_a_chromosome(n_targets=2, spread=True)
    for target in (0, 1):
        for spread in (False, True):
            whole, shards = shards_of(tmp_path, rows, [0, 7, 7, 40], "mean", target=target, spread=spread)
            one, other = joined(whole, shards, "mean", target, spread=spread)
            assert one == other


def test_batches_and_threads_do_not_move_a_byte(tmp_path, monkeypatch):
    whole, shards = shards_of(tmp_path, along_a_chromosome(), [0, 11, 29, 40], "sum")
    one, _ = joined(whole, shards, "sum")
    for in_batch, threads in [(1, 1), (2, 5)]:
        monkeypatch.setattr(joining, "IN_BATCH", in_batch)
        assert joined(whole, shards, "sum", threads=threads) == (one, one)


def test_windows_of_two_shards_that_overlap_are_told_under_error(tmp_path):
    rows = random_rows([("chr1", 0), ("chr1", 50)], LENGTH)
    whole, shards = shards_of(tmp_path, rows, [0, 1, 2], "error")
    with (
        ArchiveReader(whole) as reader,
        pytest.raises(OutputError, match=r"windows chr1:0-90 \(peak_0\) and chr1:50-140 \(peak_1\) overlap"),
    ):
        write_bigwig(reader, tmp_path / "run.bw", "error", shards=shards)
    assert not (tmp_path / "run.bw").exists()


def of_another_grid(path, monkeypatch):
    with ArchiveReader(path.with_suffix(".h5")) as reader, monkeypatch.context() as patch:
        patch.setattr("sparselrp_cli.outputs.bigwig.blocks.CELL", CELL - 96)
        patch.setattr("sparselrp_cli.outputs.bigwig.writer.CELL", CELL - 96)
        write_bigwig(reader, path, "mean")


def of_other_windows(path, monkeypatch):
    write_archive(path.with_suffix(".h5"), random_rows([], LENGTH), sizes=SIZES)
    with ArchiveReader(path.with_suffix(".h5")) as reader:
        write_bigwig(reader, path, "mean")


def emptied(path, monkeypatch):
    path.write_bytes(path.read_bytes()[:70])


def of_another_kind(path, monkeypatch):
    path.write_bytes(bytes(1000))


def without_end(path, monkeypatch):
    content = bytearray(path.read_bytes())
    (index,) = struct.unpack_from("<Q", content, 24)
    content[index + 48] = 0
    path.write_bytes(content)


@pytest.mark.parametrize("change", [of_another_grid, of_other_windows, emptied, of_another_kind, without_end])
def test_a_track_that_is_not_of_the_writers_making_is_not_copied(tmp_path, monkeypatch, change):
    whole, shards = shards_of(tmp_path, along_a_chromosome(), [0, 20, 40], "mean")
    one, _ = joined(whole, shards, "mean")
    change(shards[1].path, monkeypatch)
    with pytest.raises(ForeignTrackError):
        joined(whole, shards, "mean")
    with ArchiveReader(whole) as reader:
        write_bigwig(reader, tmp_path / "run.bw", "mean", shards=shards)
    assert (tmp_path / "run.bw").read_bytes() == one


def test_a_block_that_is_damaged_is_told(tmp_path):
    whole, shards = shards_of(tmp_path, along_a_chromosome(), [0, 20, 40], "mean")
    content = bytearray(shards[0].path.read_bytes())
    (data,) = struct.unpack_from("<Q", content, 16)
    content[data + 8 : data + 40] = bytes(32)
    shards[0].path.write_bytes(content)
    with (
        ArchiveReader(whole) as reader,
        pytest.raises(OutputError, match=r"run\.bw can't be written: .*part0"),
    ):
        write_bigwig(reader, tmp_path / "run.bw", "mean", shards=shards)
    assert not (tmp_path / "run.bw").exists()
