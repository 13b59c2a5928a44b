"""What FASTA is doesn't depend on how it is read: one record after the other, or at places of a genome."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pyfaidx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fasta_records import bgzipped

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences import text as text_module
from sparselrp_cli.sequences.fasta import read_records
from sparselrp_cli.sequences.genome import Genome

Outcome = dict[str, bytes] | str
PACKS: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gzip": gzip.compress, "bgzip": bgzipped}
A, B = b"ACGTNacgtnRTTGCATGCCA", b"GGATCCTTAAGC"


def record_by_record(path: Path) -> Outcome:
    try:
        return {record.name: record.sequence for record in read_records(str(path))}
    except InputError as error:
        return str(error)


def at_places(path: Path) -> Outcome:
    """Every chromosome, put together from stretches of 1, 2, 3, ... bp."""
    try:
        with Genome(str(path)) as genome:
            return {name: by_stretches(genome, name) for name in genome.chrom_sizes}
    except InputError as error:
        return str(error)


def by_stretches(genome: Genome, chrom: str) -> bytes:
    found, step = b"", 1
    while len(found) < genome.chrom_sizes[chrom]:
        end = min(len(found) + step, genome.chrom_sizes[chrom])
        found += genome.fetch(chrom, len(found), end)
        step += 1
    return found


def both_ways(folder: Path, content: bytes, pack: str = "plain") -> Outcome:
    """What is read one record after the other, and at places, with a new index and again with that."""
    path = folder / "in.fa"
    path.write_bytes(PACKS[pack](content))
    expected = record_by_record(path)
    assert at_places(path) == expected
    assert at_places(path) == expected
    return expected


READ = {
    "a last line longer than the first": b">a\n%s\n%s\n" % (A[:5], A[5:]),
    "a last line longer than the first, without an end": b">a\n%s\n%s" % (A[:5], A[5:]),
    "a last line longer than the first in front of a record": b">a\n%s\n%s\n>b\n%s\n" % (A[:5], A[5:], B),
    "a line in the middle longer": b">a\n%s\n%s\n%s\n" % (A[:5], A[5:13], A[13:]),
    "a line in the middle shorter": b">a\n%s\n%s\n%s\n" % (A[:8], A[8:13], A[13:]),
    "lines of no common length": b">a\n%s\n%s\n%s\n%s\n" % (A[:1], A[1:13], A[13:15], A[15:]),
    "two blank lines at the end": b">a\n%s\n%s\n\n\n" % (A[:11], A[11:]),
    "two blank lines between records": b">a\n%s\n%s\n\n\n>b\n%s\n" % (A[:11], A[11:], B),
    "many blank lines between records": b">a\n%s\n%s\n%s>b\n%s\n" % (A[:11], A[11:], b"\n" * 9000, B),
    "blank lines behind a header": b">a\n\n\n%s\n>b\n\n%s" % (A, B),
    "blank lines in a record": b">a\n%s\n\n%s\n" % (A[:11], A[11:]),
    "blank lines of blanks": b" \n>a\n%s\n \t \n>b\n%s\n   " % (A, B),
    "blank lines in front": b"\n\n\n>a\n%s\n" % A,
    "a byte order mark": b"\xef\xbb\xbf>a\n%s\n%s\n" % (A[:11], A[11:]),
    "line ends of Windows": b">a\r\n%s\r\n%s\r\n>b\r\n%s\r\n" % (A[:11], A[11:], B),
    "line ends of old Macs": b">a\r%s\r%s\r>b\r%s\r" % (A[:11], A[11:], B),
    "line ends of all kinds": b">a\r%s\n%s\r\n%s\r>b\n%s\r" % (A[:5], A[5:10], A[10:], B),
    "a line end of another kind, and a base more": b">a\r\n%s\r\n%s\n%s\r\n" % (A[:5], A[5:11], A[11:]),
    "a line end of another kind, and a base less": b">a\n%s\n%s\r\n%s\n" % (A[:5], A[5:9], A[9:]),
    "a last line with a line end of its own": b">a\n%s\n%s\r\n>b\r\n%s\n%s" % (A[:11], A[11:], B[:6], B[6:]),
    "line ends written twice": b">a\r\r\n%s\r\r\n%s\r\r\n" % (A[:11], A[11:]),
    "whitespace at the ends of lines": b">a \n%s \n%s\t\n" % (A[:11], A[11:]),
    "a blank where Windows has a carriage return": b">a\n%s \n%s \n%s \n" % (A[:8], A[8:16], A[16:]),
    "whitespace in front of lines": b">a\n  %s\n %s\n" % (A[:11], A[11:]),
    "a blank at the end of the file": b">a\n%s " % A,
    "a last line as long as the others, without an end": b">a\n%s\n%s" % (A[:10], A[10:20]),
    "one line": b">a\n%s" % A,
    "lines of one base": b">a\n" + b"".join(b"%c\n" % base for base in A),
    "a header with a tab, and one with a blank in front": b">a\tx\n%s\n> b y\n%s\n" % (A, B),
    "a comment in front, as the first FASTA had": b";what\n; it is\n>a\n%s\n" % A,
}
WHOLE = {"a": A, "b": B}


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("kind", READ)
def test_it_is_read_right_both_ways(tmp_path: Path, kind: str, pack: str) -> None:
    content = READ[kind]
    last = A[:20] if kind.startswith("a last line as long") else A
    expected = {"a": last} | ({"b": B} if B in content or B[:6] in content else {})
    assert both_ways(tmp_path, content, pack) == expected


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b">a\nACGT\n>\nACGT\n", "in.fa line 3: the record has no name; write one after the '>'"),
        (b">a\nACGT\n> \t\nACGT\n", "in.fa line 3: the record has no name; write one after the '>'"),
        (b">", "in.fa line 1: the record has no name; write one after the '>'"),
        (b">a\n>b\nACGT\n", "in.fa line 1: record 'a' has no sequence; remove it"),
        (b">b\nACGT\n>a\n\n \n>c\nAC\n", "in.fa line 3: record 'a' has no sequence; remove it"),
        (b">b\nACGT\n>a x", "in.fa line 3: record 'a' has no sequence; remove it"),
        (b">a\nAC\nGT\n\n>a x\nGT\n", "in.fa line 5: record 'a' comes a second time; rename it"),
        (b">a\r\rAC\rGT\r>a x\rGT\r", "in.fa line 5: record 'a' comes a second time; rename it"),
        (b"\nACGT\n", "in.fa line 2: a FASTA record begins with '>'; give a FASTA file"),
        (b" >a\nACGT\n", "in.fa line 1: a FASTA record begins with '>'; give a FASTA file"),
        (b"chr1\t5\t9\n", "in.fa line 1: a FASTA record begins with '>'; give a FASTA file"),
        (b"@read\nACGT\n+\nIIII\n", "in.fa line 1: a FASTA record begins with '>'; give a FASTA file"),
        (b";only\n", "in.fa: holds no FASTA record; give a FASTA file, plain, gzip or bgzip"),
        (b"\xef\xbb\xbf", "in.fa: holds no FASTA record; give a FASTA file, plain, gzip or bgzip"),
        (b">\xff\nACGT\n", "in.fa line 1: the header isn't UTF-8 text"),
        (b">a\nAC\n\nG\0T\n", "in.fa line 4: binary, not text"),
        (b">a\nACGT\n;half\nACGT\n", "in.fa line 1: record 'a' position 5: ';' is no nucleotide"),
        (b">a\nACGT\nAC GT\nACGT\n", "in.fa line 1: record 'a' position 7: ' ' is no nucleotide"),
        (b">a\nACGT\n >b\nACGT\n", "in.fa line 1: record 'a' position 5: '>' is no nucleotide"),
        (b">b\nA\n>a\n 1 acgt\n 5 ac\n", "in.fa line 3: record 'a' position 1: '1' is no nucleotide"),
        (b">a\nACGT\n\x1a", "in.fa line 1: record 'a' position 5: '\\x1a' is no nucleotide"),
    ],
)
def test_it_is_refused_in_the_same_words_both_ways(
    tmp_path: Path, content: bytes, message: str, pack: str
) -> None:
    assert both_ways(tmp_path, content, pack) == message


def test_text_of_sixteen_bits_is_refused_both_ways(tmp_path: Path) -> None:
    message = "in.fa: a UTF-16 text file; save it as UTF-8 first"
    assert both_ways(tmp_path, ">a\nACGT\n".encode("utf-16")) == message


ends = st.sampled_from([b"\n", b"\r\n", b"\r", b" \n", b"\n\n", b"\n\n\n", b"\r\n\r\n"])
letters = st.binary(min_size=1, max_size=1).map(lambda byte: b"ACGTNacgtn"[byte[0] % 10 :][:1])
lines = st.lists(
    st.tuples(st.lists(letters, min_size=1, max_size=7).map(b"".join), ends), min_size=1, max_size=6
)


@settings(max_examples=300)
@given(st.lists(st.tuples(ends, lines), min_size=1, max_size=4), st.booleans(), st.sampled_from(list(PACKS)))
def test_whatever_the_lines_are_the_letters_are_all_letters_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[bytes, list[tuple[bytes, bytes]]]],
    marked: bool,
    pack: str,
) -> None:
    text = b"".join(
        b">r%d%s" % (i, end) + b"".join(map(b"".join, lines)) for i, (end, lines) in enumerate(records)
    )
    expected = {f"r{i}": b"".join(line for line, _ in lines) for i, (_, lines) in enumerate(records)}
    content = b"\xef\xbb\xbf" * marked + text
    assert both_ways(tmp_path_factory.mktemp("fasta"), content, pack) == expected


long_lines = st.lists(st.tuples(st.integers(1, 150), ends), min_size=1, max_size=5)


@settings(max_examples=300)
@given(st.lists(long_lines, min_size=1, max_size=3), st.integers(20, 90), st.sampled_from(list(PACKS)))
def test_lines_that_come_in_pieces_are_put_together(
    tmp_path_factory: pytest.TempPathFactory, records: list[list[tuple[int, bytes]]], size: int, pack: str
) -> None:
    content, expected = b"", {}
    for number, lines in enumerate(records):
        written = [((A * 8)[number : number + n], end) for n, end in lines]
        content += b">r%d\n" % number + b"".join(letters + end for letters, end in written)
        expected[f"r{number}"] = b"".join(letters for letters, _ in written)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "PIECE", size)
        assert both_ways(tmp_path_factory.mktemp("fasta"), content, pack) == expected


@settings(max_examples=300)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=8), st.lists(st.integers(1, 9), min_size=2, max_size=8)
)
def test_an_index_of_another_file_is_never_believed_even_if_it_is_newer(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], other: list[int]
) -> None:
    """The headers stand where they stood: only the lines are of other lengths."""
    folder = tmp_path_factory.mktemp("stale")
    path = folder / "in.fa"
    path.write_bytes(b">a\n" + b"".join(b"ACGTTGCAA"[:size] + b"\n" for size in other))
    at_places(path)
    path.write_bytes(b">a\n" + b"".join(b"GTCAACGTT"[:size] + b"\n" for size in sizes))
    for index in folder.glob("*.fai"):
        os.utime(index, (2e9, 2e9))
    assert at_places(path) == record_by_record(path)


MISFIT = "its lines don't end where its index, a .fai file, says; remove that"


def stretch(genome: Genome, start: int, end: int) -> bytes | str:
    try:
        return genome.fetch("a", start, end)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("whole", [True, False], ids=["of a small file", "of a large file"])
@pytest.mark.parametrize("lengths", [(60, 60, 50, 70, 60), (60, 70, 50, 60, 60), (50, 60, 60, 60, 70)])
def test_an_index_that_hides_unequal_lines_gives_no_wrong_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lengths: tuple[int, ...], whole: bool
) -> None:
    """Headers and ends stand where the index says; of a large file only the lines read are looked at."""
    if not whole:
        monkeypatch.setattr("sparselrp_cli.sequences.genome_index.READ_WHOLE", 0)
    sequence = b"ACGTTGCAAG" * 30
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    path = tmp_path / "in.fa"
    path.write_bytes(
        b">a\n" + b"".join(sequence[s : s + n] + b"\n" for s, n in zip(starts, lengths, strict=True))
    )
    (tmp_path / "in.fa.fai").write_text("a\t300\t3\t60\t61\n")
    os.utime(tmp_path / "in.fa.fai", (2e9, 2e9))
    with Genome(str(path)) as genome:
        for start in range(240):
            found = stretch(genome, start, start + 61)
            assert found == sequence[start : start + 61] or (not whole and MISFIT in str(found))


def test_an_index_of_pyfaidx_is_used_and_ours_is_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "in.fa"
    path.write_bytes(b">a x\n%s\n%s\n>b\r\n%s\r\n%s\r\n" % (A[:11], A[11:], B[:6], B[6:]))
    with pyfaidx.Faidx(str(path)):
        pass
    theirs = (tmp_path / "in.fa.fai").read_text()
    with caplog.at_level("INFO"), Genome(str(path)):
        assert caplog.messages == []
    (tmp_path / "in.fa.fai").unlink()
    with Genome(str(path)):
        assert (tmp_path / "in.fa.fai").read_text() == theirs


def test_pyfaidx_reads_a_bgzip_genome_through_our_index_and_we_through_its(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "in.fa.gz"
    letters = (A * 40_000)[:200_000]
    path.write_bytes(bgzipped(b">a\n" + b"".join(letters[i : i + 50] + b"\n" for i in range(0, 200_000, 50))))
    at = ((0, 10), (65_500, 70_001), (199_990, 200_000))
    with Genome(str(path)) as genome:
        ours = [genome.fetch("a", *place) for place in at]
    with pyfaidx.Faidx(str(path), as_raw=True, build_index=False, rebuild=False) as theirs:
        found = [theirs.fetch("a", start + 1, end) for start, end in at]
    assert [text.encode() for text in found] == ours == [letters[start:end] for start, end in at]
    for index in tmp_path.glob("in.fa.gz.*"):
        index.unlink()
    with pyfaidx.Faidx(str(path)):
        pass
    caplog.clear()
    with caplog.at_level("INFO"), Genome(str(path)) as genome:
        assert [genome.fetch("a", *place) for place in at] == ours
    assert caplog.messages == []


def test_bgzip_files_joined_end_to_end_are_one_genome(tmp_path: Path) -> None:
    """Between them lies the empty block that ends the first."""
    path = tmp_path / "in.fa.gz"
    path.write_bytes(bgzipped(b">a\n%s\n" % A[:11]) + bgzipped(b"%s\n>b\n%s\n" % (A[11:], B)))
    assert at_places(path) == record_by_record(path) == WHOLE


def test_unequal_lines_are_said_and_leave_no_index(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "in.fa"
    path.write_bytes(b">b\n%s\n>a\n%s\n%s\n" % (B, A[:5], A[5:]))
    with caplog.at_level("INFO"), Genome(str(path)):
        pass
    assert "in.fa: the lines of record 'a' differ in length (line 5); unpacking it to " in caplog.text
    assert [p.name for p in tmp_path.iterdir()] == ["in.fa"]
