"""The index of a plain file, made in one go, is the one that reading record by record makes."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences import plain_index
from sparselrp_cli.sequences.faidx import Entry, UnequalLinesError, scan
from sparselrp_cli.sequences.fasta import SYMBOLS, fasta_pieces
from sparselrp_cli.sequences.one_hot import NUCLEOTIDES
from sparselrp_cli.sequences.plain_index import plain_entries
from sparselrp_cli.sequences.text import open_lines

LINES = (
    b"ACGT", b"ACG", b"AC", b"A", b"", b">a", b">b words", b"> c", b">", b";x", b" AC", b"A T", b"A\r", b"-*",
)  # fmt: skip


def record_by_record(path: Path) -> list[tuple[str, Entry]] | None:
    try:
        with open_lines(str(path)) as stream:
            return list(scan(fasta_pieces(stream, "in.fa")).items())
    except (InputError, UnequalLinesError):
        return None


@settings(max_examples=300)
@given(
    lines=st.lists(st.sampled_from(LINES), min_size=1, max_size=12),
    ended=st.booleans(),
    piece=st.integers(1, 30),
)
def test_it_is_the_one_of_reading_record_by_record_or_none(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], ended: bool, piece: int
) -> None:
    path = tmp_path_factory.mktemp("plain") / "in.fa"
    path.write_bytes(b"\n".join(lines) + b"\n" * ended)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_index, "PIECE", piece)
        found = plain_entries(path, SYMBOLS)
    if found is not None:
        assert list(found.items()) == record_by_record(path)


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        (b">a\nACGT\nAC\n>b x\nGG\n", {"a": Entry(6, 3, 4, 5), "b": Entry(2, 16, 2, 3)}),
        (b">a\nACGT\nACGT", {"a": Entry(8, 3, 4, 5)}),
        (b"> a\nNNNN\n", {"a": Entry(4, 4, 4, 5)}),
    ],
    ids=["two records", "no end of line at the end", "a space in front of the name"],
)
def test_a_plain_file_has_one(tmp_path: Path, text: bytes, entries: dict[str, Entry]) -> None:
    (tmp_path / "in.fa").write_bytes(text)
    assert plain_entries(tmp_path / "in.fa", NUCLEOTIDES) == entries


@pytest.mark.parametrize(
    "text",
    [
        b"", b"\n>a\nAC\n", b"ACGT\n", b">a\n", b">a\n>b\nAC\n", b">\nAC\n", b">a\nAC\n>a\nAC\n",
        b">a\nAC\nACG\n", b">a\nACG\nA\nACG\n", b">a\nAC\n\n>b\nAC\n", b">a\r\nAC\r\n", b">a\nA C\n",
        b">a\nAEC\n", b">\xff\nAC\n", b"\xef\xbb\xbf>a\nAC\n", b";c\n>a\nAC\n", b">a\0\nAC\n",
        b"\x1f\x8b\x08\0",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_not_plain_is_left_to_others(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "in.fa").write_bytes(text)
    assert plain_entries(tmp_path / "in.fa", NUCLEOTIDES) is None


def test_a_file_that_cannot_be_read_is_left_to_others(tmp_path: Path) -> None:
    assert plain_entries(tmp_path / "missing.fa", NUCLEOTIDES) is None
    assert plain_entries(tmp_path, NUCLEOTIDES) is None


def test_a_record_that_is_very_long_is_left_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.fa").write_bytes(b">a\n" + b"ACGT" * 100)
    monkeypatch.setattr(plain_index, "PIECE", 50)
    assert plain_entries(tmp_path / "in.fa", NUCLEOTIDES) is not None
    monkeypatch.setattr(plain_index, "LONGEST_PIECE", 200)
    assert plain_entries(tmp_path / "in.fa", NUCLEOTIDES) is None
