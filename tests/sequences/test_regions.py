"""BED and narrowPeak."""

import gzip
import io
from pathlib import Path

import pytest

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences.regions import Region, counted, read_regions


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


PEAK = "chr1\t15000\t16000\tp\t0\t.\t5.1\t9.2\t7.3\t120"
BROAD = "chr1\t15000\t16000\tp\t0\t.\t5.1\t9.2\t7.3"
BED9 = "chr1\t15000\t16000\tp\t0\t+\t15000\t16000\t"
BED12 = "chr1\t15000\t16000\tp\t0\t+\t15100\t15900\t0\t2\t"
SUMMIT, MIDPOINT = (15120, True), (15500, False)


def centre(folder: Path, text: str | bytes, name: str = "peaks.bed") -> tuple[int, bool]:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (region,) = read_regions(str(path))
    return region.centre, region.is_summit


@pytest.mark.parametrize(
    "line",
    [
        PEAK,
        PEAK + "\t",
        PEAK + "\t\t\t",
        PEAK + "\t1",
        PEAK + "\t1\t",
        PEAK + "\tgene\t0.5",
        PEAK + "\t1\t1000",
        PEAK + "\t1000\t0",
        PEAK + "\t12,13\t3,4",
        PEAK + "\t2.1\t3.4\t15000\t15990\t5.1\t100\t15010\t16000\t4.9\t130",
        PEAK + "\t3\t950\t1000\t0.95",
        PEAK + "\tchr1\t15050\t15060\tsite\t0\t+\t10",
        PEAK.replace("5.1\t9.2\t7.3", "5\t9\t0"),
        PEAK.replace("5.1\t9.2\t7.3", "0\t0\t0"),
        PEAK.replace("5.1\t9.2\t7.3", "0\t-1\t-1") + "\t7",
        PEAK.replace("5.1\t9.2\t7.3", ".\t.\t."),
        PEAK.replace("5.1\t9.2\t7.3", "1e3\tinf\tNA"),
        PEAK.replace("120", " 120 "),
        PEAK.replace("\t", " "),
        PEAK.replace("\t", "  ") + " 1 ",
        "chr1\t0\t31000\tp\t0\t.\t0\t0\t0\t15120",
    ],
)
def test_what_is_a_narrow_peak_in_its_first_ten_columns_has_its_summit(tmp_path: Path, line: str) -> None:
    for end in ("\n", "\r\n", "\r", ""):
        assert centre(tmp_path, line + end) == SUMMIT


@pytest.mark.parametrize(
    "line",
    [
        PEAK.replace("120", "-1"),
        PEAK.replace("120", "-1") + "\t7",
        PEAK.replace("120", "."),
        PEAK.replace("120", "NA") + "\t7",
        BROAD,
        BROAD + "\t",
        BROAD + "\t\t7",
        BROAD + "\tgene\t7",
        BROAD + "\t0.98\t0.97\t15000\t16000",
        BED9 + "255,0,0",
        BED9 + "255,0,0\t",
        BED9 + "255,0,0\t7",
        BED9 + "0\t7",
        BED9 + ".\t7",
        BED9 + "0\t7\tgene",
        BED9 + "0\tgene",
        BED9 + "0\t99999",
        "chr1\t15000\t16000\tp\t0\t+\t15000\t15000\t0\t7",
        BED9 + "0,255,0\t30\t80.0",
        BED12 + "10,10,\t0,990,",
        BED12 + "10,10\t0,990",
        BED12 + "10,10,\t0,990,\t1",
        BED12 + "10,10,\t0,990,\t5.1\t9.2\t7.3",
        BED12.replace("15100\t15900", "0\t0") + "10,10,\t0,990,",
        BED12.replace("0\t2\t", "0\t1\t") + "1000\t0",
        BED12.replace("\t2\t", "\t1\t") + "1000,\t0,",
        BED12.replace("\t2\t", "\t3\t") + "10,10,\t0,990,",
        "chr1\t15000\t16000\tp\t0\t+\ta\tb\tc\t7",
        "chr1\t15000\t16000\tp\t0\t+\tchr2\t5\t9\t7",
    ],
)
def test_what_is_no_narrow_peak_has_its_midpoint(tmp_path: Path, line: str) -> None:
    for end in ("\n", "\r\n", ""):
        assert centre(tmp_path, line + end) == MIDPOINT


@pytest.mark.parametrize("kind", ["broadPeak", "gappedPeak"])
@pytest.mark.parametrize("line", [BROAD + "\t7", BROAD + "\t99999", BROAD + "\tgene", BROAD + "\t7\t1"])
def test_a_file_of_a_kind_without_summits_has_none(tmp_path: Path, kind: str, line: str) -> None:
    """By the line alone a count behind a broadPeak is a summit."""
    for name in (f"x.{kind}", f"x.{kind.lower()}.gz", f"x.{kind}.bgz"):
        assert centre(tmp_path, line, name) == MIDPOINT
    assert centre(tmp_path, f"track type={kind} name=x\n{line}\n") == MIDPOINT
    assert centre(tmp_path, f'track name="type of x" type="{kind}"\n{line}\n') == MIDPOINT


def test_a_track_line_speaks_for_what_is_below_it(tmp_path: Path) -> None:
    nothing = "\u2028\nbrowser x\n#\n\n"
    above = ("", f"track type=broadPeak\n{nothing}", "track name=x\n", "track type=narrowPeak\n")
    text = "".join(f"{lines}{PEAK}\n" for lines in above)
    assert [region.is_summit for region in regions(tmp_path, text)] == [True, False, True, True]


def test_what_may_be_a_narrow_peak_or_a_bed9_is_refused_unless_its_kind_is_said(tmp_path: Path) -> None:
    line = "c\t0\t1000\tp\t0\t.\t12\t30\t0\t500\n"
    with pytest.raises(InputError) as caught:
        centre(tmp_path, line)
    assert str(caught.value) == (
        "peaks.bed line 1: columns 7 to 10 can be those of a narrowPeak or of a BED9 with one more; take"
        " column 10 out, or call the file .narrowPeak"
    )
    assert centre(tmp_path, line, "x.narrowPeak") == (500, True)
    assert centre(tmp_path, "track type=narrowPeak\n" + line) == (500, True)
    assert centre(tmp_path, line.replace("12\t30", "0\t1000").replace("500\n", "7\n")) == (500, False)


def test_summits_and_midpoints_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = regions(tmp_path, f"{PEAK}\n{BROAD}\n{BED9}0\t7\n")
    with caplog.at_level("INFO"):
        assert list(counted(iter(found), "peaks.bed")) == found
    assert caplog.messages == ["peaks.bed: 1 centre is a summit, 2 are midpoints"]


def test_summits_that_may_be_counts_are_spoken_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = regions(tmp_path, f"{BROAD}\t1\n{BROAD}\t49\n{BROAD}\n")
    list(counted(found, "peaks.bed"))
    list(counted(found, "x.narrowPeak.gz"))
    list(counted([*found, *regions(tmp_path, f"{BROAD}\t50\n")], "peaks.bed"))
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "peaks.bed: all summits lie in the first twentieth of their peaks; if column 10 is something else,"
        " such as a count, take it out"
    ]


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


def test_a_line_of_blanks_of_any_script_is_blank(tmp_path: Path) -> None:
    text = "chr1\t1\t2\n\u2028\u00a0\n\x1c\nchr1\t3\t4\n"
    assert [region.line for region in regions(tmp_path, text)] == [1, 4]


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
        ("chr1,10,20\n", "peaks.bed line 1: 1 column; BED has chrom, start and end, separated by tabs"),
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
        (
            "c\t100\t200\tn\t0\t.\t0\t0\t0\t120.0\n",
            "peaks.bed line 1: summit '120.0' is not a whole number of bp",
        ),
        (
            "c\t100\t200\tn\t0\t.\t0\t0\t0\t-2\tx\n",
            "peaks.bed line 1: summit -2 is outside the peak of 100 bp; column 10 counts from its start",
        ),
        ("c 1\t9\t20\n\tx", "peaks.bed line 2: 2 columns; BED has chrom, start and end, separated by tabs"),
        ("chr1\t1 9\ta\n", "peaks.bed line 1: start '1 9' is not a whole number of bp"),
        ("c\t1\t2\n".encode("utf-16"), "peaks.bed: a UTF-16 text file; save it as UTF-8 first"),
        (b"c\t1\t2\nBAM\1\0\0\n", "peaks.bed line 2: binary, not text"),
        (b"c\t1\t2\t\xff\n", "peaks.bed line 1: not UTF-8 text; give BED or narrowPeak"),
        (gzip.compress(b"c\t1\t2\n" * 99, mtime=0)[:-9], "peaks.bed: the gzip file is cut off; get it again"),
    ],
)
def test_what_is_no_bed_is_refused_in_one_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        regions(tmp_path, text)
    assert str(caught.value) == message
