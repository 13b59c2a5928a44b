"""BED and narrowPeak."""

import gzip
import io
from pathlib import Path

import pytest

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences.regions import Region, read_regions


def regions(folder: Path, text: str | bytes) -> list[Region]:
    path = folder / "peaks.bed"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_regions(str(path)))


def test_bed3_gets_a_name_from_its_place_and_the_midpoint_as_centre(tmp_path: Path) -> None:
    assert regions(tmp_path, "chr1\t100\t205\n") == [Region("chr1", 100, 205, "chr1:100-205", ".", 152, 1)]


def test_name_and_strand_come_from_columns_4_and_6(tmp_path: Path) -> None:
    (region,) = regions(tmp_path, "chr1\t100\t200\tpeak one\t0\t-\n")
    assert (region.name, region.strand) == ("peak one", "-")


def test_a_narrow_peak_is_centred_on_its_summit(tmp_path: Path) -> None:
    (region,) = regions(tmp_path, "chr1\t100\t200\t.\t0\t.\t1.5\t-1\t-1\t30\n")
    assert (region.centre, region.name) == (130, "chr1:100-200")


def test_a_narrow_peak_without_a_summit_is_centred_on_its_midpoint(tmp_path: Path) -> None:
    (region,) = regions(tmp_path, "chr1\t100\t200\tp\t0\t.\t1.5\t-1\t-1\t-1\n")
    assert region.centre == 150


def test_bed12_is_centred_on_its_midpoint(tmp_path: Path) -> None:
    (region,) = regions(tmp_path, "chr1\t0\t100\tgene\t0\t+\t0\t100\t0\t2\t10,10,\t0,90,\n")
    assert region.centre == 50


def test_what_is_no_region_is_skipped_and_lines_are_counted_on(tmp_path: Path) -> None:
    top = "\ufeff# peaks\nbrowser position chr1\ntrack name=x\nchrom\tstart\tend\n\n"
    text = top + "chr1\t1\t2\n#end\nchr2\t3\t4\r\n"
    assert [(region.chrom, region.line) for region in regions(tmp_path, text)] == [("chr1", 6), ("chr2", 8)]


@pytest.mark.parametrize(
    "header", ["chrom\tstart\tend", "chr\tstart0\tend1", '"chr"\t"start"\t"end"', "c s e"]
)
def test_a_header_may_quote_its_names_and_have_digits_in_them(tmp_path: Path, header: str) -> None:
    assert [region.line for region in regions(tmp_path, f"{header}\nchr1\t1\t2\n")] == [2]


def test_a_contig_whose_name_starts_like_a_track_line_is_kept(tmp_path: Path) -> None:
    assert [region.chrom for region in regions(tmp_path, "track7\t1\t2\nbrowser_2\t3\t4\n")] == [
        "track7",
        "browser_2",
    ]


def test_spaces_separate_columns_only_where_a_line_has_no_tab(tmp_path: Path) -> None:
    spaced, tabbed = regions(tmp_path, "chr1  1 9 a 0 +\nchr1\t1\t9\ta b\t0\t+\n")
    assert (spaced.name, tabbed.name) == ("a", "a b")


def test_duplicates_are_kept(tmp_path: Path) -> None:
    assert len(regions(tmp_path, "chr1\t1\t2\n" * 3)) == 3


def test_gzip_and_standard_input_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(b"chr1\t1\t2\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(packed)))
    assert list(read_regions("-")) == regions(tmp_path, packed)


def test_regions_come_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "peaks.bed"
    path.write_text("chr1\t1\t2\nchr1\t9\t3\n")
    stream = read_regions(str(path))
    assert next(stream).line == 1
    with pytest.raises(InputError, match="line 2"):
        next(stream)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "peaks.bed: holds no region; check the step that made it"),
        ("# nothing\n\n", "peaks.bed: holds no region; check the step that made it"),
        ("chr1\t10\n", "peaks.bed line 1: 2 columns; BED has chrom, start and end, separated by tabs"),
        ("chr1,10,20\n", "peaks.bed line 1: 1 columns; BED has chrom, start and end, separated by tabs"),
        ("\t10\t20\n", "peaks.bed line 1: the chromosome is missing; write it in column 1"),
        ("c\t1\t2\nc\tx\t20\n", "peaks.bed line 2: start 'x' is not a whole number of bp"),
        ("c\t1e3\t2000\n", "peaks.bed line 1: start '1e3' is not a whole number of bp"),
        ("c\t.\t.\nc\t1\t2\n", "peaks.bed line 1: start '.' is not a whole number of bp"),
        ("c\t1,000\t2,000\n", "peaks.bed line 1: start '1,000' is not a whole number of bp"),
        ("c\t10\t2,000\n", "peaks.bed line 1: end '2,000' is not a whole number of bp"),
        ("c\t-5\t20\n", "peaks.bed line 1: start -5 is negative; positions are counted from 0"),
        ("c\t1\t2\n" * 16 + "c\t950\t900\n", "peaks.bed line 17: end 900 is not after start 950"),
        ("c\t5\t5\n", "peaks.bed line 1: end 5 is not after start 5"),
        ("c\t5\t99999999999999\n", "peaks.bed line 1: end 99999999999999 is beyond any chromosome"),
        (
            "c\t1\t9\tn\t0\tplus\n",
            "peaks.bed line 1: strand 'plus' is none of + - . ; correct column 6, or drop it",
        ),
        (
            "c\t100\t200\tn\t0\t.\t0\t0\t0\t100\n",
            "peaks.bed line 1: summit 100 is outside the peak of 100 bp; column 10 counts from its start",
        ),
        ("c\t100\t200\tn\t0\t.\t0\t0\t0\tx\n", "peaks.bed line 1: summit 'x' is not a whole number of bp"),
        (b"c\t1\t2\nBAM\1\0\0\n", "peaks.bed line 2: binary, not text"),
        (b"c\t1\t2\t\xff\n", "peaks.bed line 1: not UTF-8 text; give BED or narrowPeak"),
        (gzip.compress(b"c\t1\t2\n" * 99, mtime=0)[:-9], "peaks.bed: the gzip file is cut off; get it again"),
    ],
)
def test_what_is_no_bed_is_refused_in_one_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        regions(tmp_path, text)
    assert str(caught.value) == message
