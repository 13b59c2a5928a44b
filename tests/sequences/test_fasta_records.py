"""FASTA records as a stream."""

import gzip
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from Bio import SeqIO, bgzf
from hypothesis import given
from hypothesis import strategies as st

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences import fasta
from sparselrp_cli.sequences.fasta import Record, read_records
from sparselrp_cli.sequences.text import PIECE

TEXT = b">one first record\nACGT\nNNac\n\n>two\nGGG\n"
NO_RECORD = "in.fa: holds no FASTA record; give a FASTA file, plain, gzip or bgzip"
RECORDS = [Record("one", b"ACGTNNac", 1), Record("two", b"GGG", 5)]


class Kept(io.BytesIO):
    """A file whose content outlives its closing."""

    def close(self) -> None:
        pass


def bgzipped(text: bytes) -> bytes:
    packed = Kept()
    with bgzf.BgzfWriter(fileobj=packed, mode="wb") as writer:
        writer.write(text)
    return packed.getvalue()


def write(folder: Path, text: bytes, name: str = "in.fa") -> str:
    path = folder / name
    path.write_bytes(text)
    return str(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bgzipped], ids=["plain", "gzip", "bgzip"])
def test_records_are_the_same_however_the_file_is_packed(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    assert list(read_records(write(tmp_path, pack(TEXT)))) == RECORDS


@pytest.mark.parametrize("text", [TEXT.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + TEXT, TEXT.rstrip(b"\n")])
def test_line_ends_of_windows_a_byte_order_mark_and_a_missing_last_line_end_do_not_matter(
    tmp_path: Path, text: bytes
) -> None:
    assert list(read_records(write(tmp_path, text))) == RECORDS


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_standard_input_is_read_through_a_dash(
    monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(pack(TEXT))))
    assert list(read_records("-")) == RECORDS


def test_a_pipe_that_gives_a_byte_at_a_time_is_read_whole(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def feed() -> None:
        with pipe.open("wb", buffering=0) as stream:
            for byte in gzip.compress(TEXT):
                stream.write(bytes([byte]))

    writer = threading.Thread(target=feed)
    writer.start()
    assert list(read_records(str(pipe))) == RECORDS
    writer.join()


@given(st.lists(st.text("ACGTN", min_size=1, max_size=30), min_size=1, max_size=5), st.integers(1, 12))
def test_records_agree_with_biopython(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], width: int
) -> None:
    wrapped = (
        f">r{i} of some kind\n" + "\n".join(text[at : at + width] for at in range(0, len(text), width))
        for i, text in enumerate(texts)
    )
    path = write(tmp_path_factory.mktemp("fasta"), "\n".join(wrapped).encode())
    found = [(record.name, record.sequence.decode()) for record in read_records(path)]
    with Path(path).open() as stream:
        assert found == [(record.id, str(record.seq)) for record in SeqIO.parse(stream, "fasta")]


def test_a_record_is_given_before_more_than_a_piece_behind_it_is_read() -> None:
    class Counting(io.BytesIO):
        given = 0

        def read(self, size: int | None = -1, /) -> bytes:
            piece = super().read(size)
            self.given += len(piece)
            return piece

    size = 3 * PIECE
    stream = Counting(b"".join(b">r%d\n%s\n" % (i, b"A" * size) for i in range(9)))
    for i, record in enumerate(fasta.records_of(stream, "in.fa")):
        assert len(record.sequence) == size
        assert stream.given <= (i + 1) * (size + 5) + 2 * PIECE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", NO_RECORD),
        (b"\n\n", NO_RECORD),
        (b"\nACGT\n", "in.fa line 2: a FASTA record begins with '>'; give a FASTA file"),
        (b"@read\nACGT\n+\nIIII\n", "in.fa line 1: a FASTA record begins with '>'; give a FASTA file"),
        (b">a\nACGT\n>\nACGT\n", "in.fa line 3: the record has no name; write one after the '>'"),
        (b">\xff\nACGT\n", "in.fa line 1: the header isn't UTF-8 text"),
        (b">a\nAC\0GT\n", "in.fa line 2: binary, not text"),
        (b">a\n>b\nACGT\n", "in.fa line 1: record 'a' has no sequence; remove it"),
        (b">a\nAC\n>a\nGT\n", "in.fa line 3: record 'a' comes a second time; rename it"),
        (
            b">a\nAC\n>b\nACGT\nMKL*\n",
            "in.fa line 3: record 'b' position 7: 'L' is no nucleotide; a protein?",
        ),
        (b">a\nAC--GT\n", "in.fa line 1: record 'a' position 3: '-' is no nucleotide; take the gaps out"),
        (b">a\nAC1\n", "in.fa line 1: record 'a' position 3: '1' is no nucleotide"),
        (b">a\nAC\xe9\n", "in.fa line 1: record 'a' position 3: '\\xe9' is no nucleotide"),
        (gzip.compress(TEXT, mtime=0)[:-9], "in.fa: the gzip file is cut off; get it again"),
        (b"BZh91AY&SY", "in.fa: a bzip2 file; unpack it with bunzip2 first"),
        (b"\x43\x27\x41\x1a" + bytes(20), "in.fa: a 2bit file; convert it with twoBitToFa first"),
    ],
)
def test_what_is_no_nucleotide_fasta_is_refused_in_one_line(
    tmp_path: Path, text: bytes, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        list(read_records(write(tmp_path, text)))
    assert str(caught.value) == message


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 255
    with pytest.raises(InputError, match=r"^in\.fa: the gzip file is damaged \(.*\); get it again$"):
        list(read_records(write(tmp_path, bytes(packed))))


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_bgzip_cut_off_between_two_blocks_is_refused(tmp_path: Path, blocks: int) -> None:
    packed = bgzipped(b"".join(b">r%d\n%s\n" % (i, b"ACGT" * 5000) for i in range(12)))
    starts = [start for start, *_ in bgzf.BgzfBlocks(io.BytesIO(packed))]
    message = r"^in\.fa: has no bgzip end marker, so it may be cut off; get it again, or pack it with bgzip$"
    with pytest.raises(InputError, match=message):
        list(read_records(write(tmp_path, packed[: starts[blocks]])))


def test_bgzip_files_joined_end_to_end_are_read_whole(tmp_path: Path) -> None:
    path = write(tmp_path, bgzipped(b">a\nACGT\n") + bgzipped(b">b\nGG\n"))
    assert [record.name for record in read_records(path)] == ["a", "b"]


def test_a_record_longer_than_any_chromosome_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fasta, "LONGEST_RECORD", 7)
    with pytest.raises(InputError, match="line 1: record 'one' is longer than any chromosome"):
        list(read_records(write(tmp_path, TEXT)))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.fa: no such file; check the path$"):
        list(read_records(str(tmp_path / "none.fa")))
    with pytest.raises(InputError, match=r"a folder; name a file in it$"):
        list(read_records(str(tmp_path)))


def test_a_closed_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="standard input is closed"):
        list(read_records("-"))
