"""Tracks equal a slow dictionary of bases, whatever windows overlap, and read back as they were merged."""

import gzip
import resource
import signal
import subprocess
import sys
import textwrap
from collections import defaultdict
from itertools import pairwise

import h5py
import numpy as np
import pyBigWig
import pytest
from helpers.archives import SIZES, random_places, random_rows, rows_of_contributions, write_archive
from hypothesis import given, settings
from hypothesis import strategies as st

from sparselrp_cli.errors import OutputError
from sparselrp_cli.outputs import overlap
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.track_runs import track_runs
from sparselrp_cli.outputs.tracks import write_bedgraph, write_bigwig

law = settings(max_examples=25)
MERGING = ["nearest-centre", "mean", "max-abs", "sum"]

lengths = st.sampled_from([1, 4, 7, 20])
places = st.lists(st.tuples(st.sampled_from(["chr1", "chr2", "chr10"]), st.integers(-8, 55)), max_size=25)


def nearest(covering, base):
    return min(covering, key=lambda w: abs(2 * base + 1 - w.start - w.end))


RULES = {
    "nearest-centre": lambda covering, values, base: values[covering.index(nearest(covering, base))],
    "mean": lambda covering, values, base: sum(values) / len(values),
    "max-abs": lambda covering, values, base: max(values, key=abs),
    "sum": lambda covering, values, base: sum(values),
}


def naive_track(rows, policy, sizes=SIZES):
    """Base by base: {(chrom, base): value}; of equal windows the first in (start, row) order counts."""
    contributions = (rows.one_hot * rows.hypothetical[-1].astype(np.float64)).sum(axis=1)
    order = sorted(range(len(rows)), key=lambda i: (rows.windows[i].start, i))
    covering = defaultdict(list)
    for i in order:
        window = rows.windows[i]
        for offset, value in enumerate(contributions[i].tolist()):
            covering[window.chrom, window.start + offset].append((window, value))
    return {
        (chrom, base): np.float32(RULES[policy](*map(list, zip(*held, strict=True)), base))
        for (chrom, base), held in covering.items()
        if 0 <= base < sizes[chrom]
    }


def track_of(runs):
    """The same dictionary from runs, each base met once and in genome order."""
    bases = [(run.chrom, run.start + i, v) for run in runs for i, v in enumerate(run.values)]
    order = [(list(SIZES).index(chrom), base) for chrom, base, _ in bases]
    assert order == sorted(set(order))
    return {(chrom, base): value for chrom, base, value in bases}


@pytest.mark.parametrize("policy", MERGING)
@given(places, lengths, st.integers(0, 1000))
@law
def test_a_track_is_what_a_dictionary_of_bases_gives(tmp_path_factory, policy, places, length, seed):
    rows = random_rows(places, length, n_targets=2, seed=seed)
    path = write_archive(tmp_path_factory.mktemp("track") / "run.h5", rows)

    with ArchiveReader(path) as reader:
        assert track_of(track_runs(reader, policy, target=1)) == naive_track(rows, policy)


@pytest.mark.parametrize("policy", MERGING)
def test_a_track_is_the_same_where_open_bases_are_put_back_to_the_front_at_every_step(
    tmp_path, monkeypatch, policy
):
    rng = np.random.default_rng(0)
    places = [(chrom, int(start)) for chrom in ("chr1", "chr10") for start in rng.integers(-8, 55, 40)]
    rows = random_rows(places, 7, seed=0)
    path = write_archive(tmp_path / "run.h5", rows)
    monkeypatch.setattr(overlap, "AHEAD", 0)

    with ArchiveReader(path) as reader:
        assert track_of(track_runs(reader, policy)) == naive_track(rows, policy)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("nearest-centre", [1, 1, 1, -2, -2, -2]),
        ("mean", [1, 1, -0.5, -0.5, -2, -2]),
        ("max-abs", [1, 1, -2, -2, -2, -2]),
        ("sum", [1, 1, -1, -1, -2, -2]),
    ],
)
def test_two_windows_done_by_hand(tmp_path, policy, expected):
    rows = rows_of_contributions([("chr1", 10), ("chr1", 12)], [[1] * 4, [-2] * 4])

    with ArchiveReader(write_archive(tmp_path / "run.h5", rows)) as reader:
        (run,) = track_runs(reader, policy)

    assert (run.chrom, run.start, run.end, run.values.tolist()) == ("chr1", 10, 16, expected)


@pytest.mark.parametrize("policy", ["nearest-centre", "max-abs"])
def test_of_equal_windows_the_earlier_row_counts(tmp_path, policy):
    rows = rows_of_contributions([("chr1", 10)] * 3, [[2] * 4, [-2] * 4, [2] * 4])

    with ArchiveReader(write_archive(tmp_path / "run.h5", rows)) as reader:
        (run,) = track_runs(reader, policy)

    assert run.values.tolist() == [2] * 4


def test_an_unknown_policy_is_a_mistake(tmp_path):
    with (
        ArchiveReader(write_archive(tmp_path / "run.h5", random_rows([], 4))) as reader,
        pytest.raises(ValueError, match="unknown overlap policy 'best'"),
    ):
        track_runs(reader, "best")


def test_the_policy_error_names_the_windows_that_overlap(tmp_path):
    rows = random_rows([("chr1", 30), ("chr2", 0), ("chr1", 11), ("chr1", 20), ("chr1", 0)], 10)

    with (
        ArchiveReader(write_archive(tmp_path / "run.h5", rows)) as reader,
        pytest.raises(OutputError) as caught,
    ):
        write_bigwig(reader, tmp_path / "run.bw", "error")

    assert str(caught.value) == (
        f"{tmp_path / 'run.h5'}: windows chr1:11-21 (peak_2) and chr1:20-30 (peak_3) overlap; "
        "thin the regions out, or choose another --overlap"
    )


def test_the_policy_error_lets_windows_touch_and_overlap_beyond_the_end(tmp_path):
    rows = random_rows(
        [("chr1", 0), ("chr1", 10), ("chr10", 45), ("chr10", 46), ("chr2", -9), ("chr2", 1)], 10
    )

    with ArchiveReader(write_archive(tmp_path / "run.h5", rows)) as reader:
        assert track_of(track_runs(reader, "error", 0)) == naive_track(rows, "sum")


@pytest.mark.parametrize("write", [write_bigwig, write_bedgraph])
def test_a_value_that_is_not_finite_is_never_written(tmp_path, write):
    path = write_archive(
        tmp_path / "run.h5", rows_of_contributions([("chr1", 0), ("chr1", 9)], np.ones((2, 4)))
    )
    with h5py.File(path, "r+") as file:
        file["hyp_scores"][1, 2] = np.nan

    message = (
        r"run.h5: the contributions of chr1:9-13 \(peak_1\) hold NaN or infinity; make the archive again"
    )
    with ArchiveReader(path) as reader, pytest.raises(OutputError, match=message):
        write(reader, tmp_path / "track", "mean")

    assert not (tmp_path / "track").exists()


def test_a_value_too_large_for_float32_is_never_written(tmp_path):
    rows = rows_of_contributions([("chr1", 10), ("chr1", 12)], np.full((2, 4), 3e38))
    path = write_archive(tmp_path / "run.h5", rows, dtype="float64")

    message = "the merged contribution at chr1:12 is too large for float32; choose another --overlap"
    with ArchiveReader(path) as reader, pytest.raises(OutputError, match=message):
        write_bigwig(reader, tmp_path / "run.bw", "sum")


def test_a_tiny_negative_value_is_no_negative_zero(tmp_path):
    path = write_archive(
        tmp_path / "run.h5", rows_of_contributions([("chr1", 0)], [[-1e-300]]), dtype="float64"
    )

    with ArchiveReader(path) as reader:
        (run,) = track_runs(reader, "sum")

    assert run.values.tobytes() == np.zeros(1, np.float32).tobytes()


def test_runs_are_joined_over_windows_and_bounded(tmp_path):
    starts = range(0, 200_000, 400)
    rows = random_rows([("chr1", s) for s in starts], 500)

    with ArchiveReader(write_archive(tmp_path / "run.h5", rows, sizes={"chr1": 300_000})) as reader:
        runs = list(track_runs(reader, "mean"))

    assert [a.end for a in runs[:-1]] == [b.start for b in runs[1:]]
    assert 65_536 <= len(runs[0].values) <= 65_536 + 500
    assert len(runs) == 4


@pytest.fixture
def rows():
    return random_rows(random_places(12), 8)


@pytest.fixture
def reader(tmp_path, rows):
    with ArchiveReader(write_archive(tmp_path / "run.h5", rows)) as reader:
        yield reader


def read_bigwig(path):
    with pyBigWig.open(str(path)) as file:
        values = {chrom: file.values(chrom, 0, size, numpy=True) for chrom, size in file.chroms().items()}
        return dict(file.chroms()), file.header(), values


@pytest.mark.parametrize("policy", MERGING)
def test_a_bigwig_reads_back_as_the_track(tmp_path, reader, rows, policy):
    write_bigwig(reader, tmp_path / "run.bw", policy)
    expected = naive_track(rows, policy)
    chroms, header, values = read_bigwig(tmp_path / "run.bw")

    covered = {(c, i): v for c, track in values.items() for i, v in enumerate(track) if not np.isnan(v)}
    assert covered == expected
    assert list(chroms.items()) == list(SIZES.items())
    assert header["nBasesCovered"] == len(expected)


def extremes(path):
    """Minimum and maximum as they stand in the file; pyBigWig cuts their decimals."""
    content = np.fromfile(path, np.uint8)
    summary = int(content[44:52].view("<u8")[0])
    return content[summary + 8 : summary + 24].view("<f8").tolist()


def test_the_header_of_a_negative_track_has_its_maximum(tmp_path):
    rows = rows_of_contributions([("chr1", 0)], [[-4.5, -1.25, -3]])
    with ArchiveReader(write_archive(tmp_path / "run.h5", rows)) as reader:
        write_bigwig(reader, tmp_path / "run.bw", "mean")

    assert extremes(tmp_path / "run.bw") == [-4.5, -1.25]


def test_a_bigwig_has_zoom_levels(tmp_path):
    rows = random_rows([("chr1", s) for s in range(0, 100_000, 500)], 500)
    with ArchiveReader(write_archive(tmp_path / "run.h5", rows, sizes={"chr1": 100_000})) as reader:
        write_bigwig(reader, tmp_path / "run.bw", "mean")

    assert read_bigwig(tmp_path / "run.bw")[1]["nLevels"] > 0


@pytest.mark.parametrize("places", [[], [("chr1", 50), ("chr2", -4)]], ids=["no window", "beyond the ends"])
def test_a_bigwig_without_a_covered_base_can_be_read(tmp_path, places):
    with ArchiveReader(write_archive(tmp_path / "run.h5", random_rows(places, 4))) as reader:
        write_bigwig(reader, tmp_path / "run.bw", "mean")
    chroms, header, values = read_bigwig(tmp_path / "run.bw")

    assert chroms == SIZES
    assert header["nBasesCovered"] == 0
    assert extremes(tmp_path / "run.bw") == [0, 0]
    assert all(np.isnan(track).all() for track in values.values())


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            {"giant": 1 << 32},
            "chromosome 'giant' of 4294967296 bp is too long for a bigWig; write bedgraph instead",
        ),
        ({}, "a bigWig needs at least one chromosome; the archive names none"),
    ],
)
def test_a_genome_that_does_not_fit_a_bigwig_is_told(tmp_path, sizes, message):
    with (
        ArchiveReader(write_archive(tmp_path / "run.h5", random_rows([], 4), sizes=sizes)) as reader,
        pytest.raises(OutputError, match=message),
    ):
        write_bigwig(reader, tmp_path / "run.bw", "mean")


def test_a_bedgraph_reads_back_as_the_track_and_joins_equal_values(tmp_path, reader, rows):
    write_bedgraph(reader, tmp_path / "run.bedgraph.gz", "max-abs")
    lines = [
        line.split("\t")
        for line in gzip.decompress((tmp_path / "run.bedgraph.gz").read_bytes()).decode().splitlines()
    ]
    intervals = [(c, int(s), int(e), np.float32(v)) for c, s, e, v in lines]

    assert {(c, b): v for c, s, e, v in intervals for b in range(s, e)} == naive_track(rows, "max-abs")
    for one, two in pairwise(intervals):
        assert one[0] != two[0] or one[2] < two[1] or one[3] != two[3]


def test_a_bedgraph_has_the_shortest_text_of_a_value(tmp_path):
    rows = rows_of_contributions([("chr1", 3), ("chr1", 7)], [[0.1, 0.1, 0.0, 1e-5], [1e-5, 0.0, 0.0, 0.0]])
    with ArchiveReader(write_archive(tmp_path / "run.h5", rows)) as reader:
        write_bedgraph(reader, tmp_path / "run.bedgraph.gz", "sum")

    assert gzip.decompress((tmp_path / "run.bedgraph.gz").read_bytes()).decode() == (
        "chr1\t3\t5\t0.1\nchr1\t5\t6\t0.0\nchr1\t6\t8\t1e-05\nchr1\t8\t11\t0.0\n"
    )


@pytest.mark.parametrize("write", [write_bigwig, write_bedgraph])
def test_two_tracks_of_one_archive_are_equal_bytes(tmp_path, reader, write):
    write(reader, tmp_path / "one", "mean")
    write(reader, tmp_path / "two", "mean")

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("write", ["write_bigwig", "write_bedgraph"])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, write):
    # In a process of its own, which pyBigWig might end; a limit on the size of files stands for the disk.
    rows = random_rows([("chr1", s) for s in range(0, 40_000, 500)], 500, zero_share=0)
    archive = write_archive(tmp_path / "run.h5", rows, sizes={"chr1": 40_000})
    folder = tmp_path / "full"
    folder.mkdir()
    code = f"""
        from sparselrp_cli.errors import OutputError
        from sparselrp_cli.outputs.archive import ArchiveReader
        from sparselrp_cli.outputs.tracks import {write}
        try:
            with ArchiveReader({str(archive)!r}) as reader:
                {write}(reader, {str(folder / "track")!r}, "mean")
        except OutputError as error:
            print(error)
    """

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

    done = subprocess.run(
        # Python would keep compiled files as long as the limit allows, cut off.
        [sys.executable, "-B", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        preexec_fn=limited,
        env={"PYTHONPATH": ":".join(sys.path)},
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{folder / 'track'} can't be written: the file grew beyond the size")
    assert list(folder.iterdir()) == []
