"""Windows around regions and along records, in batches."""

import io
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences.one_hot import encode
from sparselrp_cli.sequences.source import Batch, WindowSource, open_source
from sparselrp_cli.sequences.windows import Skipped, Window, count_tiles, tiles

CHROM = "ACGTTGCATTACGGATCCATNNACGT" * 4


@pytest.fixture
def genome(tmp_path: Path) -> str:
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{CHROM}\n>chr2\nRYAC\n>empty_of_bases\n{'N' * 50}\n")
    return str(path)


def bed(folder: Path, *lines: str) -> str:
    path = folder / "peaks.bed"
    path.write_text("".join(line.replace(" ", "\t") + "\n" for line in lines))
    return str(path)


def fasta(folder: Path, **records: str) -> str:
    path = folder / "records.fa"
    path.write_text("".join(f">{name}\n{letters}\n" for name, letters in records.items()))
    return str(path)


def everything(source: WindowSource, size: int = 3) -> tuple[list[Batch], list[Skipped]]:
    batches = list(source.batches(size))
    return batches, [skipped for batch in batches for skipped in batch.skipped]


def windows(batches: list[Batch]) -> list[Window]:
    return [window for batch in batches for window in batch.windows]


@pytest.mark.parametrize("length", [10, 11])
def test_a_window_starts_half_its_length_before_the_centre(tmp_path: Path, genome: str, length: int) -> None:
    with open_source(genome, bed(tmp_path, "chr1 40 60 peak 0 -"), length) as source:
        batches, _ = everything(source)
    assert windows(batches) == [Window("chr1", 45, 45 + length, "peak", "-", 0)]


def test_minus_windows_are_one_hot_on_the_forward_strand(tmp_path: Path, genome: str) -> None:
    with open_source(genome, bed(tmp_path, "chr1 40 60 p 0 -", "chr1 40 60 q 0 +"), 10) as source:
        (batch,), _ = everything(source)
    expected = encode(CHROM[45:55].encode())
    np.testing.assert_array_equal(batch.one_hot, [expected, expected])


def test_a_window_that_hangs_over_the_chromosome_is_padded_with_unknown_bases(
    tmp_path: Path, genome: str
) -> None:
    size = len(CHROM)
    with open_source(genome, bed(tmp_path, "chr1 0 4", f"chr1 {size - 2} {size}"), 20) as source:
        (batch,), skipped = everything(source)
    assert not skipped
    assert [(w.start, w.end) for w in batch.windows] == [(-8, 12), (size - 11, size + 9)]
    expected = [encode(("N" * 8 + CHROM[:12]).encode()), encode((CHROM[-11:] + "N" * 9).encode())]
    np.testing.assert_array_equal(batch.one_hot, expected)
    assert batch.n_unknown.tolist() == [20 - one_hot.sum() for one_hot in expected]


def test_batches_keep_the_order_and_index_of_the_regions_and_nothing_is_lost(
    tmp_path: Path, genome: str
) -> None:
    lines = [f"chr{1 + 8 * (i % 3 == 1)} {10 + i} {20 + i} r{i}" for i in range(10)]
    with open_source(genome, bed(tmp_path, *lines), 10) as source:
        assert source.count() == 10
        batches, skipped = everything(source, 4)
    assert [len(batch.windows) for batch in batches] == [3, 2, 2]
    indices = {window.name: window.index for window in windows(batches)}
    assert indices == {f"r{i}": i for i in range(10) if i % 3 != 1}
    assert [(place.name, place.index) for place in skipped] == [("r1", 1), ("r4", 4), ("r7", 7)]


@pytest.mark.parametrize("on_genome", [True, False])
@pytest.mark.parametrize(("first", "last"), [(0, 2), (1, 3), (2, None), (0, 0), (9, None)])
def test_batches_from_the_middle_are_those_of_the_whole(
    tmp_path: Path, genome: str, on_genome: bool, first: int, last: int | None
) -> None:
    lines = [f"chr{1 + 8 * (i % 3 == 1)} {10 + i} {20 + i} r{i}" for i in range(10)]
    records = fasta(tmp_path, a="ACGT" * 9, b="N" * 30, c="ACG", d="TTGA" * 5)

    def batches(*places: int | None) -> list[Batch]:
        sequences, regions = (genome, bed(tmp_path, *lines)) if on_genome else (records, None)
        with open_source(sequences, regions, 10) as source:
            found = list(source.batches(3, *places))
            assert len(source.chrom_sizes) == (3 if on_genome else 4)
        return found

    part = batches(first, last)
    assert len(part) == len(batches()[first:last])
    for ours, theirs in zip(part, batches()[first:last], strict=True):
        assert (ours.number, ours.windows, ours.skipped) == (theirs.number, theirs.windows, theirs.skipped)
        np.testing.assert_array_equal(ours.one_hot, theirs.one_hot)


def test_duplicates_and_regions_with_one_summit_are_all_scored(tmp_path: Path, genome: str) -> None:
    with open_source(genome, bed(tmp_path, *["chr1 40 60"] * 3, "chr1 45 55"), 10) as source:
        batches, _ = everything(source)
    assert [(w.start, w.index) for w in windows(batches)] == [(45, 0), (45, 1), (45, 2), (45, 3)]


@pytest.mark.parametrize(
    ("line", "max_unknown", "reason"),
    [
        ("1 10 20", 1.0, "'1' is not in genome.fa; it has 'chr1'"),
        ("chr1 200 300", 1.0, f"its centre 250 is beyond the end of chr1 ({len(CHROM)} bp)"),
        ("chr1 15 25", 0.19, "2 of 10 bases are unknown, a share above 0.19"),
        ("empty_of_bases 20 30", 1.0, "no known base in the window"),
    ],
)
def test_what_cannot_be_scored_is_skipped_with_the_reason_and_the_region_as_given(
    tmp_path: Path, genome: str, line: str, max_unknown: float, reason: str
) -> None:
    with open_source(genome, bed(tmp_path, line + " name 0 -"), 10, max_unknown=max_unknown) as source:
        batches, skipped = everything(source)
    chrom, start, end = line.split()
    assert not windows(batches)
    assert skipped == [Skipped(chrom, int(start), int(end), "name", "-", 0, reason)]


@pytest.mark.parametrize("unknown", range(10))
def test_a_share_of_unknown_bases_that_is_just_allowed_is_scored(tmp_path: Path, unknown: int) -> None:
    letters = "N" * unknown + "A" * (10 - unknown)
    with open_source(fasta(tmp_path, r=letters), None, 10, max_unknown=unknown / 10) as source:
        (batch,), skipped = everything(source)
    assert batch.n_unknown.tolist() == [unknown]
    assert not skipped


def test_ambiguous_letters_count_as_unknown_and_are_spoken_of_once(
    tmp_path: Path, genome: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        open_source(genome, bed(tmp_path, *["chr2 0 4 r"] * 5), 4) as source,
        caplog.at_level(logging.WARNING),
    ):
        batches, _ = everything(source)
        assert sum(batch.ambiguous for batch in batches) == 10
    assert [batch.n_unknown.tolist() for batch in batches] == [[2, 2, 2], [2, 2]]
    assert caplog.messages == ["letters such as R or Y count as N (first in r)"]


def test_regions_are_read_no_further_than_a_batch_ahead(tmp_path: Path, genome: str) -> None:
    lines = [f"chr1 {i} {i + 10}" for i in range(6)] + ["chr1 9 3"]
    with open_source(genome, bed(tmp_path, *lines), 10) as source:
        stream = source.batches(3)
        assert len(next(stream).windows) == len(next(stream).windows) == 3
        with pytest.raises(InputError, match=r"^peaks\.bed line 7: end 3 is not after start 9$"):
            next(stream)


def test_counting_finds_a_bad_line_before_anything_is_computed(tmp_path: Path, genome: str) -> None:
    with open_source(genome, bed(tmp_path, "chr1 1 10", "chr1 9 3"), 10) as source, pytest.raises(InputError):
        source.count()


def test_what_can_be_read_only_once_is_not_counted(tmp_path: Path, genome: str) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for regions in ("-", str(pipe)):
        with open_source(genome, regions, 10) as source:
            assert source.count() is None
    for records in ("-", str(pipe)):
        with open_source(records, None, 10) as source:
            assert source.count() is None


@pytest.mark.parametrize("piped", [False, True])
def test_summits_and_midpoints_are_said_once(
    tmp_path: Path,
    genome: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    piped: bool,
) -> None:
    path = bed(tmp_path, "chr1 40 60 p 0 . 1 2 3 5 count", "chr1 40 60")
    if piped:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(Path(path).read_bytes())))
    with caplog.at_level(logging.INFO), open_source(genome, "-" if piped else path, 10) as source:
        source.count()
        batches, _ = everything(source, 1)
    assert [window.start for window in windows(batches)] == [40, 45]
    name = "standard input" if piped else "peaks.bed"
    assert [m for m in caplog.messages if "centre" in m] == [f"{name}: 1 centre is a summit, 1 is a midpoint"]


@given(st.integers(1, 300), st.integers(1, 60), st.data())
def test_tiles_cover_a_record_within_its_ends_and_overlap_by_no_less_than_asked(
    size: int, length: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, length - 1))
    found = list(tiles(size, length, overlap))
    assert len(found) == count_tiles(size, length, overlap)
    assert all(end - start == length for start, end in found)
    assert {i for start, end in found for i in range(start, end)} >= set(range(size))
    if size <= length:
        ((start, end),) = found
        assert 0 <= (end - size) - -start <= 1
        return
    assert found[0][0] == 0
    assert found[-1][1] == size
    steps = np.diff([start for start, _ in found])
    assert (steps[:-1] == length - overlap).all()
    assert 0 < steps[-1] <= length - overlap


def test_records_of_the_windows_length_shorter_and_longer_are_all_explained(tmp_path: Path) -> None:
    path = fasta(tmp_path, exact="ACGTAC", short="GGG", long="AACCGGTTA")
    with open_source(path, None, 6, overlap=3) as source:
        assert source.count() == 4
        batches, skipped = everything(source, 2)
        assert source.chrom_sizes == {"exact": 6, "short": 3, "long": 9}
    assert not skipped
    assert windows(batches) == [
        Window("exact", 0, 6, "exact", ".", 0),
        Window("short", -1, 5, "short", ".", 1),
        Window("long", 0, 6, "long:0-6", ".", 2),
        Window("long", 3, 9, "long:3-9", ".", 2),
    ]
    expected = [encode(letters) for letters in (b"ACGTAC", b"NGGGNN", b"AACCGG", b"CGGTTA")]
    np.testing.assert_array_equal(np.concatenate([batch.one_hot for batch in batches]), expected)
    assert np.concatenate([batch.n_unknown for batch in batches]).tolist() == [0, 3, 0, 0]


def test_tiles_overlap_by_half_a_window_unless_told_otherwise(tmp_path: Path) -> None:
    with open_source(fasta(tmp_path, r="ACGT" * 10), None, 10) as source:
        batches, _ = everything(source)
    assert [window.start for window in windows(batches)] == [0, 5, 10, 15, 20, 25, 30]


def test_a_tile_without_a_known_base_is_skipped_at_its_place_in_the_record(tmp_path: Path) -> None:
    with open_source(fasta(tmp_path, r="ACGT" + "N" * 4, s="NN"), None, 4, overlap=0) as source:
        _, skipped = everything(source)
    assert [(place.chrom, place.start, place.end) for place in skipped] == [("r", 4, 8), ("s", 0, 2)]


def test_sizes_of_records_become_known_as_they_stream_by(tmp_path: Path) -> None:
    with open_source(fasta(tmp_path, a="ACGT", b="ACGT", c="ACGT"), None, 4) as source:
        stream = source.batches(1)
        next(stream)
        assert source.chrom_sizes == {"a": 4}
        list(stream)
        assert list(source.chrom_sizes) == ["a", "b", "c"]


def test_an_overlap_of_a_whole_window_is_refused(tmp_path: Path) -> None:
    message = r"^an overlap of 10 bp leaves no step between windows of 10 bp; choose a smaller one$"
    with pytest.raises(InputError, match=message), open_source("-", None, 10, overlap=10):
        pass
