"""Hits and seqlets as BED9 and more, read as UCSC's description of the format says and as browsers do."""

import errno
import os
import re
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pybigtools
import pyBigWig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from motifs.planted import planted_archive

from sparselrp_cli.errors import OutputError
from sparselrp_cli.motifs.alignment import Instances
from sparselrp_cli.motifs.bed import (
    DARKER,
    PALETTE,
    looks,
    shown_relevance,
    write_description,
    write_hits,
    write_indexed,
    write_seqlets,
)
from sparselrp_cli.motifs.discovery import Motif
from sparselrp_cli.motifs.hits import Hit
from sparselrp_cli.motifs.null import Null
from sparselrp_cli.motifs.seqlets import Seqlets
from sparselrp_cli.outputs import bigbed
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.bigbed import write_bigbed
from sparselrp_cli.sequences.regions import read_regions

STANDARD = [
    ("string", "chrom"), ("uint", "chromStart"), ("uint", "chromEnd"), ("string", "name"), ("uint", "score"),
    ("char[1]", "strand"), ("uint", "thickStart"), ("uint", "thickEnd"), ("uint", "reserved"),
]  # fmt: skip
CALIBRATED, PERMUTED = (
    Null(kind, 0.1, np.arange(200.0), 180.0, 0.1, 200) for kind in ("background", "permuted")
)


@dataclass(frozen=True)
class Feature:
    """A line of BED9+, checked as https://genome.ucsc.edu/FAQ/FAQformat.html#format1 describes it."""

    chrom: str
    start: int
    end: int
    name: str
    score: int
    strand: str
    thick: tuple[int, int]
    colour: tuple[int, int, int]
    own: tuple[str, ...]


def read_bed(path):
    """Read BED9 with own columns: tab-separated, the same number in every line, no header, sorted."""
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    assert len({len(line) for line in lines}) <= 1
    features = [_feature(line) for line in lines]
    places = [(f.chrom, f.start) for f in features]
    assert places == sorted(places)
    return features


def _feature(fields):
    chrom, start, end, name, score, strand, thick_start, thick_end, colour, *own = fields
    assert re.fullmatch(r"\S+", chrom)
    assert 1 <= len(name) <= 255
    assert all(re.fullmatch(r"\d+", number) for number in (start, end, score, thick_start, thick_end))
    assert 0 <= int(start) < int(end)
    assert 0 <= int(score) <= 1000
    assert strand in ("+", "-", ".")
    assert int(start) <= int(thick_start) <= int(thick_end) <= int(end)
    assert re.fullmatch(r"\d{1,3},\d{1,3},\d{1,3}", colour)
    red, green, blue = map(int, colour.split(","))
    assert max(red, green, blue) <= 255
    thick = (int(thick_start), int(thick_end))
    return Feature(
        chrom, int(start), int(end), name, int(score), strand, thick, (red, green, blue), tuple(own)
    )


def read_description(path):
    """Read autoSql: the table's name, what it is, and (type, name, meaning) of each field."""
    found = re.fullmatch(r'table (\w+)\n"([^"\n]+)"\n\s*\(\n(.*)\n\s*\)\n', path.read_text(), re.DOTALL)
    assert found
    fields = [re.fullmatch(r'\s*(\w+(?:\[\d+\])?) (\w+); "([^"]+)"', line) for line in found[3].splitlines()]
    assert all(fields)
    return found[1], found[2], [field.groups() for field in fields]


def hit(start, motif="pos_1", relevance=2.5, chrom="chr2", strand="-", q=1e-3, window="w 1"):
    return Hit(chrom, start, start + 20, strand, motif, window, relevance, 2e-6, 3e-4, q)


def written_hits(folder, hits, *, motifs=("pos_1", "neg_1"), known=None, nulls=None):
    path = folder / "a.hits.bed"
    signs = {name: 1 if name.startswith("pos") else -1 for name in motifs}
    write_hits(path, hits, nulls or {1: CALIBRATED, -1: PERMUTED}, signs, looks(motifs, known or {}))
    return path


def test_a_hit_has_its_place_its_known_name_and_behind_the_ninth_column_what_is_known_of_it(tmp_path):
    path = written_hits(tmp_path, [hit(100)], known={"pos_1": "su(Hw)"})
    (found,) = read_bed(path)
    assert (found.chrom, found.start, found.end, found.strand) == ("chr2", 100, 120, "-")
    assert (found.name, found.score, found.thick) == ("su(Hw)", 30, (100, 120))
    assert found.own == ("2.5", "2e-06", "0.0003", "w 1", "pos_1", "yes")


def test_a_motif_without_a_known_name_has_its_own_and_the_null_of_its_sign_counts(tmp_path):
    path = written_hits(tmp_path, [hit(100), hit(200, "neg_1", -2.5)], known={"pos_1": "su(Hw)"})
    first, second = read_bed(path)
    assert (first.name, second.name) == ("su(Hw)", "neg_1")
    assert (first.own[-1], second.own[-1]) == ("yes", "no")


def test_colours_go_by_the_order_of_the_motifs_and_each_has_its_own():
    names = [f"pos_{i}" for i in range(40)]
    colours = [look.colour for look in looks(names, {}).values()]
    assert len(set(colours)) == len(names)
    assert colours[: len(PALETTE)] == [",".join(map(str, rgb)) for rgb in PALETTE]
    darker = [int(part) for part in colours[len(PALETTE)].split(",")]
    assert darker == [round(DARKER * part) for part in PALETTE[0]]
    assert [look.colour for look in looks(names[:3], {"pos_1": "x"}).values()] == colours[:3]


def archive_and_motif(folder):
    """Windows of noise; of four seqlets the second and the last are of a motif, on either strand."""
    path, _ = planted_archive(folder / "a.h5", n=5, sites=())
    start, end, centre = np.array([[10, 20, 30, 40], [25, 41, 52, 61], [18, 30, 40, 50]])
    relevance, q = np.array([5.0, 1.5, -3.0, 9.0]), np.array([1e-3, 1e-2, 0.05, 1e-150])
    seqlets = Seqlets(1, np.array([3, 0, 1, 3]), start, end, centre, relevance, np.full(4, 1e-4), q)
    instances = Instances(np.array([1, 3]), np.array([50, 50]), np.array([False, True]), 12)
    matrix = np.ones((12, 4))
    return path, seqlets, Motif(1, instances, matrix, matrix, matrix)


def written_seqlets(folder, known):
    path, seqlets, motif = archive_and_motif(folder)
    bed = folder / "a.seqlets.bed"
    with ArchiveReader(path) as reader:
        write_seqlets(bed, reader, {1: seqlets}, [("pos_1", motif)], {1: PERMUTED}, looks(["pos_1"], known))
    return bed


def test_seqlets_have_the_known_name_of_their_motif_and_else_their_number(tmp_path):
    found = read_bed(written_seqlets(tmp_path, {"pos_1": "su(Hw)"}))
    assert [f.name for f in found] == ["su(Hw)", "seqlet_2", "seqlet_3", "su(Hw)"]
    assert [(f.start, f.end) for f in found] == [(20, 41), (230, 252), (610, 625), (640, 661)]
    assert [f.strand for f in found] == ["+", ".", ".", "-"]
    assert [f.score for f in found] == [20, 13, 30, 1000]
    assert all(f.thick == (f.start, f.end) for f in found)
    assert len({f.colour for f in found if f.name == "su(Hw)"}) == 1
    assert len({f.colour for f in found}) == 2
    assert found[0].own == ("0.15e1", "0.0001", "0.01", "pos_1", "w0", "no", "seqlet_1")
    assert found[1].own == ("-3", "0.0001", "0.05", ".", "w1", "no", "seqlet_2")


@pytest.mark.parametrize("kind", ["hits", "seqlets"])
def test_the_description_has_a_field_of_the_right_type_for_each_column(tmp_path, kind):
    write_description(tmp_path / "a.as", kind)
    table, _, fields = read_description(tmp_path / "a.as")
    assert table == kind
    assert [field[:2] for field in fields[:9]] == STANDARD
    path = written_hits(tmp_path, [hit(100)]) if kind == "hits" else written_seqlets(tmp_path, {})
    for feature in read_bed(path):
        assert len(feature.own) == len(fields) - 9
        for (type_, _, _), value in zip(fields[9:], feature.own, strict=True):
            assert type_ in ("double", "string")
            assert type_ == "string" or np.isfinite(float(value))


def test_a_bigbed_made_of_the_lines_has_names_and_all_columns(tmp_path):
    path = written_hits(tmp_path, [hit(100), hit(300, "neg_1")], known={"pos_1": "su(Hw)"})
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    pybigtools.open(str(tmp_path / "a.bb"), "w").write(
        {"chr2": 1000}, ((f[0], int(f[1]), int(f[2]), "\t".join(f[3:])) for f in lines)
    )
    with pyBigWig.open(str(tmp_path / "a.bb")) as file:
        found = file.entries("chr2", 0, 1000)
    assert [(start, end, *rest.split("\t")) for start, end, rest in found] == [
        (int(f[1]), int(f[2]), *f[3:]) for f in lines
    ]


def igv_fields(path, tokens):
    """Name the fields of an entry as igv.js does: own ones are those behind the columns of BED."""
    head = path.read_bytes()[:48]
    n_fields, n_standard = struct.unpack_from("<HH", head, 32)
    with pyBigWig.open(str(path)) as file:
        named = re.findall(r'(\w+); "', file.SQL().decode())
    assert len(named) == n_fields == len(tokens) + 3
    standard = tuple(tokens[: n_standard - 3])
    return standard, {named[i]: tokens[i - 3] for i in range(n_standard, n_fields)}


@pytest.mark.parametrize("kind", ["hits", "seqlets"])
def test_browsers_find_names_colours_and_own_columns_in_a_bigbed(tmp_path, kind):
    path = written_hits(tmp_path, [hit(100)]) if kind == "hits" else written_seqlets(tmp_path, {})
    features = read_bed(path)
    made = write_indexed(path, kind, {"chr": 10**4, "chr2": 1000})
    assert made == path.with_suffix(".bb")
    with pyBigWig.open(str(made)) as file:
        assert file.isBigBed()
        entries = file.entries(features[0].chrom, 0, 1000)
    assert len(entries) == len(features)
    write_description(tmp_path / "a.as", kind)
    _, _, fields = read_description(tmp_path / "a.as")
    for (start, end, rest), feature in zip(entries, features, strict=True):
        standard, own = igv_fields(made, rest.split("\t"))
        assert (start, end, standard[0]) == (feature.start, feature.end, feature.name)
        assert standard[-1] == ",".join(map(str, feature.colour))
        assert own == dict(zip([name for _, name, _ in fields[9:]], feature.own, strict=True))


def test_an_empty_bed_is_no_bigbed(tmp_path):
    assert write_indexed(written_hits(tmp_path, []), "hits", {"chr2": 1000}) is None
    assert not list(tmp_path.glob("*.bb"))


def test_chromosomes_come_in_the_order_of_the_lines(tmp_path):
    hits = [hit(5, chrom=chrom) for chrom in ("chr1", "chr10", "chr2")]
    made = write_indexed(written_hits(tmp_path, hits), "hits", dict.fromkeys(("chr2", "chr10", "chr1"), 90))
    with pyBigWig.open(str(made)) as file:
        assert all(len(file.entries(chrom, 0, 90)) == 1 for chrom in ("chr1", "chr10", "chr2"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chr2\t5\t9\n", "not enough values"),
        ("chr9\t1\t2\tx\n", r"a\.bb can't be written: read back, it ends before its lines do"),
        ("chr2\t5\t9\tx\nchr2\t1\t3\tx\n", r"a\.bb can't be written: read back, it ends before its lines do"),
    ],
)
def test_lines_that_no_bigbed_takes_leave_none(tmp_path, text, said):
    bed = tmp_path / "a.bed"
    bed.write_text(text)
    with pytest.raises((OutputError, ValueError), match=said):
        write_bigbed(tmp_path / "a.bb", bed, {"chr2": 100}, "", 9)
    assert not list(tmp_path.glob("*.bb"))


def test_hits_and_seqlets_are_regions_around_their_middle(tmp_path):
    """The tenth column is no summit."""
    for path in (written_hits(tmp_path, [hit(100, relevance=5.0)]), written_seqlets(tmp_path, {})):
        features = read_bed(path)
        regions = list(read_regions(str(path)))
        assert [(r.chrom, r.start, r.end, r.name) for r in regions] == [
            (f.chrom, f.start, f.end, f.name) for f in features
        ]
        assert [r.centre for r in regions] == [(f.start + f.end) // 2 for f in features]


def whole_number(text):
    """Read the number at the beginning of a text, as JavaScript's parseInt does; None without one."""
    found = re.match(r"\s*([+-]?\d+)", text)
    return int(found[1]) if found else None


@given(
    st.floats(-1e6, 1e6) | st.floats(0.9, 2.1) | st.sampled_from([1.0, 10.0, 1e-7, 1.5e-9, 1e12, 19.5, 0.0])
)
@settings(max_examples=300)
def test_relevance_is_the_number_and_is_never_taken_for_a_block(value):
    """igv.js takes columns 10 to 12 for blocks where column 10 counts the sizes and starts: here one each."""
    text = shown_relevance(value)
    assert float(text) == pytest.approx(value, rel=1e-5)
    assert whole_number(text) != 1


def test_names_with_tabs_and_line_breaks_stay_in_their_column(tmp_path):
    path = written_hits(tmp_path, [hit(100, window="a\tb\nc")], known={"pos_1": "x\ty"})
    (found,) = read_bed(path)
    assert (found.name, found.own[3]) == ("x_y", "a_b_c")


def test_no_hits_are_an_empty_file(tmp_path):
    assert written_hits(tmp_path, []).read_text() == ""


def lines_of(folder):
    """Many lines, so that the writer makes blocks, an index and levels of zoom."""
    bed = folder / "a.bed"
    lines = (f"chr1\t{10 * i}\t{10 * i + 7}\tm\t0\t+\t0\t0\t0\n" for i in range(3000))
    bed.write_text("".join(lines))
    return bed


def test_a_bigbed_is_made_in_memory_to_the_bytes_of_one_on_the_disk(tmp_path, monkeypatch):
    """The writer swallows failed writes of levels and index, of which no reader of lines would know."""
    bed, places, opened = lines_of(tmp_path), [], pybigtools.open

    def noted(path, *more):
        places.append(path)
        return opened(path, *more)

    monkeypatch.setattr(pybigtools, "open", noted)
    write_bigbed(tmp_path / "memory.bb", bed, {"chr1": 40_000}, "", 9)
    monkeypatch.delattr(os, "memfd_create", raising=False)
    write_bigbed(tmp_path / "disk.bb", bed, {"chr1": 40_000}, "", 9)

    assert (tmp_path / "memory.bb").read_bytes() == (tmp_path / "disk.bb").read_bytes()
    on_linux = sys.platform == "linux"
    assert [Path(place).parent != tmp_path for place in places] == [on_linux] * 2 + [False] * 2
    assert not Path(places[0]).exists()


def test_a_bigbed_whose_levels_fail_once_is_refused(tmp_path, monkeypatch):
    """As where a temporary file of the writer fails: lines are right, and nothing is said."""
    bed, written = lines_of(tmp_path), []
    write = bigbed._write

    def failing_once(path, *given):
        write(path, *given)
        if not written:
            content = bytearray(path.read_bytes())
            content[-1] ^= 1
            path.write_bytes(content)
        written.append(path)

    monkeypatch.setattr(bigbed, "_write", failing_once)
    with pytest.raises(OutputError, match=r"a\.bb.*made twice, it isn't the same"):
        write_bigbed(tmp_path / "a.bb", bed, {"chr1": 40_000}, "", 9)
    assert [path.name for path in tmp_path.iterdir()] == ["a.bed"]


@pytest.mark.skipif(sys.platform != "linux", reason="without files in memory nothing is copied")
def test_a_disk_that_fails_while_a_bigbed_is_copied_is_named(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    bed = lines_of(tmp_path)
    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(OutputError, match=r"a\.bb.*no space is left"):
        write_bigbed(tmp_path / "a.bb", bed, {"chr1": 40_000}, "", 9)
    assert [path.name for path in tmp_path.iterdir()] == ["a.bed"]
