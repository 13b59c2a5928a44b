"""Motif files as databases and tools hand them out: read right, or refused in one line."""

import gzip
import hashlib
import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from Bio import motifs as bio

from sparselrp_cli.errors import InputError
from sparselrp_cli.evaluation.sites import PSEUDOCOUNT, read_matrix
from sparselrp_cli.motifs import formats
from sparselrp_cli.motifs.database import database_at_hand, open_database
from sparselrp_cli.motifs.formats import KnownMotif, read_motif_file
from sparselrp_cli.motifs.formats.matrix import SITES, WIDEST

ROOT = Path(__file__).parents[2]
# Two motifs of widths 5 and 4, from ten sites each.
FIRST = np.array([[9, 1, 0, 0], [0, 3, 7, 0], [1, 2, 3, 4], [10, 0, 0, 0], [0, 0, 2, 8]])
SECOND = np.array([[0, 10, 0, 0], [5, 0, 0, 5], [0, 0, 9, 1], [2, 3, 4, 1]])
NAMED = (("M1.1", "su(Hw)", FIRST), ("M2.1", "br", SECOND))


def rows(matrix: np.ndarray, by: str = " ", kind: str = "{:d}") -> str:
    return "".join(by.join(kind.format(x) for x in row) + "\n" for row in matrix)


def probabilities(matrix: np.ndarray, by: str = " ") -> str:
    return rows(matrix / 10, by, "{:.6f}")


MEME_HEAD = "MEME version 4\n\nALPHABET= ACGT\n\n"
BACKGROUND = "Background letter frequencies\nA 0.3 C 0.2 G 0.2 T 0.3\n"


def meme(
    head: str = MEME_HEAD,
    attributes: str = "alength= 4 w= {} nsites= 10 E= 0",
    line: str = "letter-probability matrix: ",
    end: str = "URL http://x\n\n",
) -> str:
    return head + "".join(
        f"MOTIF {name} {alt}\n\n{line}{attributes.format(len(m))}\n{probabilities(m)}{end}"
        for name, alt, m in NAMED
    )


def memes_own(line: str = "*" * 80 + "\n") -> str:
    """What MEME itself writes has more than matrices of probabilities."""
    said = "M1.1 su(Hw)\twidth =   5  sites = 10 llr = 5\nlog-odds matrix: alength= 4 w= 5 n= 9\n"
    head = f"{line}MEME - Motif discovery tool\n{line}MEME version 5.5.7 (Release)\nALPHABET= ACGT\n"
    return meme(head=head).replace("M1.1 su(Hw)\n", said + rows(FIRST - 5))


def jaspar(row: str, letters: str = "ACGT") -> str:
    text = ""
    for name, alt, m in NAMED:
        columns = dict(zip("ACGTU", [*m.T, m.T[3]], strict=True))
        text += f">{name}\t{alt}\n"
        text += "".join(row.format(base, " ".join(map(str, columns[base]))) for base in letters)
    return text


def transfac(head: str, row: str, tail: str, first: int = 1) -> str:
    return "".join(
        head.format(name=name, alt=alt)
        + "".join(row.format(i, *counts) for i, counts in enumerate(m.tolist(), first))
        + tail
        for name, alt, m in NAMED
    )


def cis_bp() -> str:
    text = ""
    for name, alt, m in NAMED:
        text += f"TF\tT1\nTF Name\t{alt}\nGene\tENSG1\nMotif\t{name}\nFamily\tX\nPos\tA\tC\tG\tT\n"
        lines = probabilities(m, "\t").splitlines()
        text += "".join(f"{i}\t{line}\n" for i, line in enumerate(lines, 1)) + "\n\n"
    return text


JASPAR_HEAD = "AC {name}\nXX\nID {alt}\nXX\nDE {name} {alt} ; From JASPAR\nPO\tA\tC\tG\tT\n"
JASPAR_TAIL = "XX\nCC tax_group:insects\nXX\n//\n"
TRANSFAC_FIRST = "VV  TRANSFAC MATRIX TABLE\nXX\n//\n"
TRANSFAC_HEAD = (
    "AC  {name}\nXX\nID  V$X_01\nXX\nDT  1.1.1990 (created); dbo.\nNA  {alt}\nXX\nBF  T00526; X; Species: man"
    "\nXX\nP0      A      C      G      T\n"
)
TRANSFAC_ROW = "{:02d} {:6d} {:6d} {:6d} {:6d}      N\n"
RSAT_HEAD = "AC  {name}\nXX\nID  {alt}\nXX\nDE  nnWGAT\nP0       a     c     g     t\n"
RSAT_TAIL = "XX\nCC  program: consensus\nCC  matrix.nb: 1\nXX\n//\n"
MCROSS_HEAD = "AC\t{name}\nXX\nTY\tMotif\nXX\nNA\t{alt}\nXX\nDE\tN=54, Score=77\nP0\tA\tC\tG\tT\n"
MCROSS_TAIL = "XX\nIC\t1.0 1.9\nXX\nXL\n00\t36\n01\t2\nXX\n"
DNA = 'ALPHABET "DNA" DNA-LIKE\nA "Adenine" CC0000 ~ T "Thymine" 008000\nEND ALPHABET\n'
KINDS = {
    "MEME": meme(),
    "MEME without w": meme(attributes="alength= 4 nsites= 10 E= 0"),
    "MEME without attributes": meme(line="letter-probability matrix:", attributes="", end="\n"),
    "MEME without a colon": meme(line="letter-probability matrix "),
    "MEME with nsites of 10.0": meme(attributes="alength= 4 w= {} nsites= 10.0 E= 1e-5"),
    "MEME without nsites": meme(attributes="alength= 4 w= {}"),
    "MEME with an nsites of one": meme(attributes="alength= 4 w= {} nsites= 1"),
    "MEME without blanks": meme(
        "MEME version 4\n", "alength=4 w={} nsites=10 E=0", "letter-probability matrix:"
    ),
    "MEME with many blanks": meme(line=" Letter-Probability  Matrix :  ", attributes="w  =  {}  nsites =10"),
    "MEME without URL": meme(end=""),
    "MEME with blank lines": meme(end="\n\n\n"),
    "MEME of RNA": meme(head="MEME version 5.5.7\nALPHABET= ACGU\nstrands: +\n"),
    "MEME with an alphabet defined": meme(head="MEME version 5\n" + DNA),
    "MEME without an alphabet": meme(head="MEME version 4\n"),
    "MEME without a version": meme(head=""),
    "MEME with a background": meme(head=MEME_HEAD + BACKGROUND),
    "MEME's own text": memes_own(),
    "JASPAR": jaspar("{}  [ {} ]\n"),
    "JASPAR without a blank in the brackets": jaspar("{} [{}]\n"),
    "JASPAR without brackets": jaspar("{} {}\n"),
    "JASPAR with tabs": jaspar("{}\t[\t{}\t]\n").replace(" ", "\t"),
    "JASPAR with blank lines": jaspar("\n{} [ {} ]\n\n"),
    "JASPAR with colons": jaspar("{}: {}\n"),
    "JASPAR with bars": jaspar("{}|{}\n"),
    "JASPAR in another order": jaspar("{} [ {} ]\n", "TGCA"),
    "JASPAR of RNA": jaspar("{} [ {} ]\n", "ACGU"),
    "JASPAR in lower case": jaspar("{} [ {} ]\n").replace("\nA", "\na").replace("\nT", "\nt"),
    "JASPAR with blanks in the header": jaspar("{} [ {} ]\n").replace("\t", "  "),
    "TRANSFAC of JASPAR": transfac(JASPAR_HEAD, "{:02d}\t{}.0\t{}.0\t{}.0\t{}.0\n", JASPAR_TAIL),
    "TRANSFAC with blanks": transfac(JASPAR_HEAD.replace("\t", " "), "{:02d} {} {} {} {}\n", JASPAR_TAIL),
    "TRANSFAC itself": TRANSFAC_FIRST + transfac(TRANSFAC_HEAD, TRANSFAC_ROW, "XX\nBA  10 sites\nXX\n//\n"),
    "TRANSFAC of HOCOMOCO": transfac(
        "ID {name}\nNA {alt}\nP0 A C G T\n", "{:02d} {}.0 {}.0 {}.0 {}.0\n", "XX\n//\n"
    ),
    "TRANSFAC of RSAT": "; a comment\n;\n" + transfac(RSAT_HEAD, "{} {:9d} {:5d} {:5d} {:5d}\n", RSAT_TAIL),
    "TRANSFAC of mCrossBase": transfac(MCROSS_HEAD, "{:02d}\t{}\t{}\t{}\t{}\tW\n", MCROSS_TAIL),
    "TRANSFAC of SwissRegulon": transfac(
        "//\nAC {name}\nNA {alt}\nPO    A    C    G    T\n",
        "{:02d}    {}.00    {}.00    {}.00    {}.00\n",
        "//\n",
        0,
    ),
    "TRANSFAC without ends": transfac("AC {name}\nNA {alt}\nPO A C G T\n", "{} {} {} {} {}\n", ""),
    "TRANSFAC in another order": transfac(
        "AC {name}\nNA {alt}\nP0 T G C A\n", "{0} {4} {3} {2} {1}\n", "//\n"
    ),
    "CIS-BP": cis_bp(),
}
UNSAID = ("MEME without nsites", "MEME without attributes", "MEME with an nsites of one", "CIS-BP")
"""Kinds of which the number of sites isn't known."""


def read(folder: Path, content: str | bytes, name: str = "known.txt") -> tuple[KnownMotif, ...]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_motif_file(str(path)).motifs


def are_the_two(found: tuple[KnownMotif, ...], sites: float) -> None:
    assert [(motif.name, motif.alt_name) for motif in found] == [(name, alt) for name, alt, _ in NAMED]
    for motif, (_, _, counts) in zip(found, NAMED, strict=True):
        np.testing.assert_allclose(motif.frequencies, counts / 10, atol=1e-12)
        np.testing.assert_allclose(motif.counts, counts / 10 * sites, atol=1e-12)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_motifs(tmp_path: Path, kind: str, end: str) -> None:
    are_the_two(read(tmp_path, KINDS[kind].replace("\n", end)), SITES if kind in UNSAID else 10)


HOMER = "".join(
    f">{'ACGTN'[: len(m)]}\t{alt}/{name}/Homer\t6.5\t-100\t0\tT:17.0(44.36%),B:2.5(5%),P:1e-10\n"
    + probabilities(m, "\t")
    for name, alt, m in NAMED
)


def test_homer_names_a_motif_in_its_second_field(tmp_path: Path) -> None:
    first, second = read(tmp_path, HOMER)
    assert (first.name, first.alt_name) == ("su(Hw)/M1.1/Homer", "su(Hw)")
    assert (second.name, second.alt_name) == ("br/M2.1/Homer", "br")
    np.testing.assert_allclose(first.counts, FIRST / 10 * SITES, atol=1e-12)
    np.testing.assert_allclose(second.frequencies, SECOND / 10, atol=1e-12)


def test_homer_motifs_without_numbers_behind_the_name_are_read(tmp_path: Path) -> None:
    (motif,) = read(tmp_path, ">ACGTN\tCTCF(Zf)\n" + probabilities(FIRST, "\t"))
    assert (motif.name, motif.alt_name) == ("CTCF(Zf)", "")
    np.testing.assert_allclose(motif.frequencies, FIRST / 10, atol=1e-12)


@pytest.mark.parametrize("by", [" ", "\t", "  "])
def test_hocomoco_has_a_row_for_each_position(tmp_path: Path, by: str) -> None:
    (motif,) = read(tmp_path, ">AHR_HUMAN.H11MO.0.B\n" + rows(FIRST * 1.25, by, "{:.4f}"))
    assert (motif.name, motif.alt_name) == ("AHR_HUMAN.H11MO.0.B", "")
    np.testing.assert_allclose(motif.counts, FIRST * 1.25, atol=1e-12)


def test_four_rows_without_letters_are_the_bases_as_in_old_jaspar(tmp_path: Path) -> None:
    (motif,) = read(tmp_path, ">M1.1 su(Hw)\n" + rows(FIRST.T, "\t"))
    np.testing.assert_array_equal(motif.counts, FIRST)


def test_of_four_rows_of_four_the_sums_say_what_is_a_position(tmp_path: Path) -> None:
    for text in (rows(SECOND), rows(SECOND.T)):
        (motif,) = read(tmp_path, ">M2.1\n" + text)
        np.testing.assert_array_equal(motif.counts, SECOND)


def test_a_motif_of_cis_bp_alone_in_a_file_has_the_file_s_name(tmp_path: Path) -> None:
    text = "Pos\tA\tC\tG\tU\n1\t0.5\t0.25\t0.25\t0\n2\t0\t0\t0\t1\n"
    (motif,) = read(tmp_path, text, "M0001_2.00.txt")
    assert motif.name == "M0001_2.00"
    np.testing.assert_allclose(motif.frequencies, [[0.5, 0.25, 0.25, 0], [0, 0, 0, 1]])


def test_motifs_of_cis_bp_without_a_matrix_are_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "Motif\tM0\nPos\tA\tC\tG\tT\n\n" + KINDS["CIS-BP"] + "Motif\tM9\nPos\tA\tC\tG\tT"
    are_the_two(read(tmp_path, text), SITES)
    assert caplog.messages == ["known.txt: 2 motifs have no matrix and are left out"]


def test_a_position_without_counts_says_nothing(tmp_path: Path) -> None:
    (motif,) = read(tmp_path, "AC x\nP0 A C G T\n1 0 0 0 0\n2 0 0 0 5\n//\n")
    assert motif.frequencies.tolist() == [[0.25] * 4, [0, 0, 0, 1]]


def test_biopython_reads_the_same_where_it_reads_at_all(tmp_path: Path) -> None:
    for kind, form in (("JASPAR", "jaspar"), ("TRANSFAC itself", "transfac")):
        theirs = bio.parse(io.StringIO(KINDS[kind]), form)
        for ours, other in zip(read(tmp_path, KINDS[kind]), theirs, strict=True):
            np.testing.assert_array_equal(ours.counts, np.array([other.counts[base] for base in "ACGT"]).T)
    written = bio.parse(io.StringIO(KINDS["JASPAR"]), "jaspar")
    for form in ("jaspar", "clusterbuster"):
        np.testing.assert_array_equal(read(tmp_path, bio.write(written[:1], form))[0].counts, FIRST)


def test_the_motifs_that_come_with_the_project_are_read_as_biopython_does() -> None:
    found = read_motif_file(str(ROOT / "data" / "jaspar2026-insects.meme")).motifs
    with (ROOT / "data" / "jaspar2026-insects.meme").open() as stream:
        theirs = bio.parse(stream, "minimal")
    assert [motif.name for motif in found] == [motif.name for motif in theirs]
    # Biopython makes whole numbers of sites of the probabilities.
    for ours, other in zip(found, theirs, strict=True):
        counts = np.array([other.counts[base] for base in "ACGT"]).T
        assert np.abs(ours.counts - counts).max() <= 0.5


def test_log_odds_for_sites_are_those_of_biopython() -> None:
    path = ROOT / "data" / "suhw-MA0533.1.jaspar"
    with path.open() as stream:
        counts = bio.read(stream, "jaspar").counts
    expected, found = counts.normalize(pseudocounts=PSEUDOCOUNT).log_odds(), read_matrix(path)
    assert all(expected[base] == found[base] for base in "ACGT")


@pytest.mark.parametrize("kind", KINDS)
def test_sites_are_found_with_a_matrix_of_any_kind(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "known.txt"
    path.write_text(KINDS[kind])
    matrix = read_matrix(path)
    sites = SITES if kind in UNSAID else 10
    share = (FIRST / 10 * sites + PSEUDOCOUNT) / (sites + 4 * PSEUDOCOUNT)
    np.testing.assert_allclose([matrix[base] for base in "ACGT"], np.log2(share / 0.25).T, atol=1e-9)
    assert caplog.messages == [f"{path} holds 2 motifs; the first is taken, M1.1"]


def test_names_that_come_again_are_told_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = ">{}\nA 1 2\nC 0 2\nG 0 2\nT 0 2\n"
    found = read(tmp_path, "".join(one.format(name) for name in ("a", "b", "a", "a_2", "a", "b")))
    assert [motif.name for motif in found] == ["a", "b", "a_3", "a_2", "a_4", "b_2"]
    assert caplog.messages == [
        "known.txt: 3 names come again, the first is 'a'; they are told apart as NAME_2, NAME_3, ..."
    ]


NONE = ": holds no motif; MEME, JASPAR, TRANSFAC, HOMER, HOCOMOCO and CIS-BP files are read"
NEGATIVE = "has negative numbers, as log-odds have; give counts or probabilities"
OTHER_ROWS = " line 1: motif 'a' is damaged; its rows aren't those of A, C, G and T"
MOTIF_A = "MEME version 4\nMOTIF a\nletter-probability matrix:"
P0 = "AC a\nP0 A C G T\n"
POS = "Pos\tA\tC\tG\tT\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", NONE),
        ("MEME version 4\n", NONE),
        ("a,b\n1,2\n", NONE),
        (rows(FIRST), NONE),
        (b"\x89HDF\r\n\0\0", NONE),
        ("<?xml version='1.0'?><MEME/>", ": an XML or HTML file; give the text form"),
        (b">a\n\0\0\0", " line 2: binary, not text"),
        (b"PK\x03\x04" + bytes(99), ": a zip file; unzip it first"),
        (">AHR\n-0.6\t0.3\t1\t-3\n1\t1\t-1\t-2\n", f" line 1: motif 'AHR' {NEGATIVE}"),
        (">AHR\nA 1 -1\nC 0 1\nG 0 1\nT 0 1\n", f" line 1: motif 'AHR' {NEGATIVE}"),
        (MOTIF_A + " w= 1\n-1 1 1 0\n", f" line 2: motif 'a' {NEGATIVE}"),
        (
            "MEME version 4\nMOTIF a\nlog-odds matrix: alength= 4 w= 1\n-1 1 1 0\n",
            " line 2: motif 'a' has no letter-probability matrix",
        ),
        (
            ">di\n" + "1 " * 16 + "\n" + "2 " * 16,
            " line 1: motif 'di' is damaged; row 1 has 16 numbers; dinucleotides aren't read",
        ),
        (">a\n1 2 3\n1 2 3\n", " line 1: motif 'a' is damaged; row 1 has 3 numbers"),
        (">a\n1 2 3 4\n1 2 3\n1 2 3 4\n", " line 1: motif 'a' is damaged; row 2 has 3 numbers"),
        (">a\nA 1 2\nC 1 2\nG 1 2\n", OTHER_ROWS),
        (">a\nA 1 2\nC 1 2\n1 2\nT 1 3\n", OTHER_ROWS),
        (">a\nA 1 2\nC 1 2\nC 1 2\nT 1 3\n", OTHER_ROWS),
        (">a\nA 1 2\nC 1 2\nG 1 2\nT 1\n", " line 1: motif 'a' is damaged; its rows differ in length"),
        (">a\nA 1 2\nC 1 2\nG 1 2\nT 1 x\n", " line 5: damaged; 'T 1 x' is no row of a matrix"),
        (">a\n1 0 0 nan\n1 0 0 0\n", " line 1: motif 'a' is damaged; it has a value that is no number"),
        (">a\n1 0 0 1e999\n1 0 0 0\n", " line 1: motif 'a' is damaged; it has a value that is no number"),
        (">a\n>b\n1 0 0 0\n", " line 1: motif 'a' has no matrix"),
        (">\n1 0 0 0\n", " line 1: a motif without a name; name it"),
        (
            ">a\n1 2 3 4\n2 1 4 3\n3 4 1 2\n4 3 2 1\n",
            " line 1: four rows of four numbers; motif 'a' can be read along rows or columns; write A, C, G"
            " and T in front of the rows",
        ),
        ("A 1 2\n>a\n", " line 1: 'A 1 2' stands in front of the first motif"),
        (MOTIF_A.replace(" a", "") + "\n1 0 0 0\n", " line 2: a motif without a name; name it"),
        (MOTIF_A + " w= 2\n1 0 0 0\n", " line 2: motif 'a' is damaged; 1 of 2 rows are there"),
        (MOTIF_A + " w= 1\n1 0 0 0\n0 1 0 0\n", " line 5: motif 'a' is damaged; '0 1 0 0' is no row of it"),
        (MOTIF_A + " w= 2\n1 0 0 0\nURL x\n", " line 5: motif 'a' is damaged; 'URL x' is no row of it"),
        (MOTIF_A + "\n1 0 0 0\n1 0 0\n", " line 2: motif 'a' is damaged; row 2 has 3 numbers"),
        (
            "MEME version 4\nALPHABET= ACDEFGHIKLMNPQRSTVWY\nMOTIF a\n",
            " line 2: the alphabet ACDEFGHIKLMNPQRSTVWY isn't that of DNA or RNA",
        ),
        (P0.removeprefix("AC a\n") + "01 1 2 3 4\n", " line 1: a motif without a name; name it"),
        ("AC a\nP0 A C G\n01 1 2 3\n", " line 2: columns 'A C G' aren't A, C, G and T"),
        (P0 + "01 1 2 3\n", " line 3: damaged; '1 2 3' is no row of a matrix of four bases"),
        (P0 + "01 1 2 3 4 5\n", " line 3: damaged; '1 2 3 4 5' is no row of a matrix of four bases"),
        (P0 + "//\n", " line 2: motif 'a' has no matrix"),
        (POS + "1\t1\t0\t0\n", " line 2: damaged; '1 0 0' is no row of a matrix of four bases"),
        (
            f"{POS}1\t1\t0\t0\t0\n\n{POS}1\t1\t0\t0\t0\n",
            " line 4: a motif without a name; name it",
        ),
        (
            ">a\n" + "1 0 0 0\n" * (WIDEST + 2),
            f" line {WIDEST + 3}: a matrix of over {WIDEST} positions is no motif",
        ),
        (">" + "a" * 1001 + "\n1 0 0 0\n", " line 1: a name of over 1000 letters; shorten it"),
    ],
)
def test_what_is_no_motif_is_refused_in_one_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert str(caught.value) == "known.txt" + message


def test_more_motifs_than_a_database_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MOST", 2)
    assert len(read(tmp_path, ">a\n1 0 0 0\n>b\n1 0 0 0\n")) == 2
    with pytest.raises(InputError, match=r"^known\.txt: more than 2 motifs$"):
        read(tmp_path, ">a\n1 0 0 0\n>b\n1 0 0 0\n>c\n1 0 0 0\n")


@pytest.mark.parametrize("path", ["/dev/zero", "known.meme", "known.gz"])
def test_what_is_larger_than_a_database_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(formats, "LARGEST", 1 << 20)
    if path != "/dev/zero":
        content = meme().encode() + b"\n" * (1 << 20)
        (tmp_path / path).write_bytes(gzip.compress(content) if path.endswith("gz") else content)
        path = str(tmp_path / path)
    with pytest.raises(InputError, match=r": larger than 1 MiB; check that it is the right file$"):
        read_motif_file(path)


def many(n: int = 30) -> bytes:
    return b"".join(b">m%d\nA 9 1\nC 0 2\nG %d 3\nT 1 4\n" % (i, i) for i in range(n))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_database_from_a_pipe_is_read_once_and_known_by_its_digest(
    tmp_path: Path, pack: type[bytes]
) -> None:
    pipe, content = tmp_path / "pipe", pack(many(3000))
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(content))
    writer.start()
    database = open_database(str(pipe))
    writer.join()
    assert [motif.name for motif in database.motifs] == [f"m{i}" for i in range(3000)]
    assert database.as_record() == {"name": "pipe", "sha256": hashlib.sha256(content).hexdigest()}


def test_what_comes_from_a_pipe_is_kept_for_those_that_read_it_later(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(gzip.compress(many())))
    writer.start()
    with database_at_hand(str(pipe)) as given:
        writer.join()
        for _ in range(2):
            assert [motif.name for motif in open_database(given).motifs] == [f"m{i}" for i in range(30)]
    assert not Path(given).exists()
    file = tmp_path / "known.jaspar"
    file.write_bytes(many())
    with database_at_hand(str(file)) as given:
        assert given == str(file)


def test_a_database_that_is_none_is_said_before_it_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "known.jaspar"
    file.write_bytes(many(3))
    with pytest.raises(InputError, match="3 motifs are too few"), database_at_hand(str(file)):
        pass


def test_a_file_of_one_name_is_told_apart_in_one_pass(tmp_path: Path) -> None:
    """Were each number looked for from 2 on, this would take minutes."""
    names = [motif.name for motif in read(tmp_path, ">a\n1 0 0 0\n" * 30_000)]
    assert names == ["a", *(f"a_{number}" for number in range(2, 30_001))]
