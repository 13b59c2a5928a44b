"""Contributions at hand are those of the archive, to the last digit, or none of them."""

import numpy as np
import pytest
from helpers.archives import random_places, random_rows, write_archive

from sparselrp_cli.outputs.archive import ArchiveReader, at_hand
from sparselrp_cli.outputs.archive.at_hand import AtHand
from sparselrp_cli.outputs.tracks import write_bedgraph, write_bigwig

TRACKS = {"bw": write_bigwig, "bedgraph.gz": write_bedgraph}


def kept(rows, dtype: str, sizes=(7, 250, 343)) -> AtHand:
    """What is at hand of rows that come in groups."""
    found, start = AtHand(dtype), 0
    for size in sizes:
        part = rows[start : start + size]
        found.add(part.one_hot, part.hypothetical)
        start += size
    return found


@pytest.fixture(params=[1, 3], ids=["one target", "three targets"])
def rows(request):
    return random_rows(random_places(600), 20, n_targets=request.param)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_is_at_hand_is_what_the_archive_gives(tmp_path, rows, dtype):
    path = write_archive(tmp_path / "run.h5", rows, dtype=dtype)
    some = np.array([599, 3, 3, 0])
    with ArchiveReader(path) as reader, ArchiveReader(path, kept(rows, dtype)) as ours:
        for target in range(rows.n_targets):
            for which in (slice(None), slice(5, 9), some):
                expected, found = (each.contributions(which, target) for each in (reader, ours))
                assert found.dtype == expected.dtype
                np.testing.assert_array_equal(found.view(np.uint8), expected.view(np.uint8))


@pytest.mark.parametrize("policy", ["nearest-centre", "mean"])
@pytest.mark.parametrize("ending", TRACKS)
def test_tracks_have_the_same_bytes_and_the_maps_are_not_unpacked(
    tmp_path, rows, ending, policy, monkeypatch
):
    path = write_archive(tmp_path / "run.h5", rows)
    files = [tmp_path / f"{name}.{ending}" for name in ("read", "kept")]
    with ArchiveReader(path) as reader:
        TRACKS[ending](reader, files[0], policy, rows.n_targets - 1)
    monkeypatch.setattr(ArchiveReader, "read", None)
    with ArchiveReader(path, kept(rows, "float32")) as reader:
        TRACKS[ending](reader, files[1], policy, rows.n_targets - 1)
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("sizes", [(), (7, 250), (600, 1)], ids=["none", "some", "more"])
def test_rows_that_are_not_all_at_hand_are_read(tmp_path, rows, sizes):
    """As after an interruption: the first ones are in the journal alone."""
    path = write_archive(tmp_path / "run.h5", rows)
    wrong = AtHand("float32")
    for size in sizes:
        part = rows[:size]
        wrong.add(part.one_hot, part.hypothetical + 1)
    with ArchiveReader(path) as reader, ArchiveReader(path, wrong) as ours:
        np.testing.assert_array_equal(*(each.contributions(slice(None)) for each in (reader, ours)))


def test_more_than_memory_is_meant_for_is_let_go_of_for_good(rows, monkeypatch):
    monkeypatch.setattr(at_hand, "MOST_BYTES", rows.n_targets * 600 * 20 * 4)
    assert kept(rows, "float32").of(600) is not None
    monkeypatch.setattr(at_hand, "MOST_BYTES", rows.n_targets * 600 * 20 * 4 - 1)
    assert kept(rows, "float32").of(600) is None
    assert kept(rows, "float32", (600, 1)).of(1) is None
