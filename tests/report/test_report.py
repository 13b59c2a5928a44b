"""The page and the figures: what is on them, that it is right, and that nothing gets out of hand."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from helpers.archives import write_archive
from motifs.planted import LENGTH, planted_archive, planted_rows

from sparselrp_cli.cli.main import run
from sparselrp_cli.errors import InputError
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.locus import parse_place, read_stretch
from sparselrp_cli.report import content

VOID = {"meta", "img", "br", "link", "hr"}


class Page(HTMLParser):
    """Collects addresses and text, and checks that elements are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.addresses, self.text, self.images = [], [], "", []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.addresses += [given[name] for name in ("src", "href") if name in given]
        if tag == "img":
            assert given["alt"]
            self.images.append(given["src"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


MOTIF = {
    "name": "pos_1", "sign": "positive", "width": 8, "n_seqlets": 1234, "n_hits": 98, "consensus": "ACGTACGT",
    "pfm": np.random.default_rng(0).integers(0, 20, (8, 4)).tolist(),
    "cwm": np.random.default_rng(1).normal(size=(8, 4)).tolist(),
    "matches": [{"name": "MA1", "alt_name": "<i>TF</i>", "p": 1e-9, "q": 2e-7, "strand": "+", "offset": 0,
                 "overlap": 8}],
}  # fmt: skip


@pytest.fixture
def run_files(tmp_path):
    """An archive with its unpruned twin, a motif, a hit, and names that would like to be scripts."""
    rows, _ = planted_rows(40)
    windows = [replace(w, name=f"<script>alert({i})</script>") for i, w in enumerate(rows.windows)]
    rows = replace(rows, windows=windows)
    for name in ("a", "a.unpruned"):
        write_archive(
            tmp_path / f"{name}.h5", rows, sizes={"chr": 10**6},
            manifest={"schema_version": 1, "model": {"name": "net"},
                      "settings": {"prune": 0.25, "composite": "x"}},
        )  # fmt: skip
    record = {
        "schema_version": 1, "settings": {"database": {"name": "d"}}, "motifs": [MOTIF],
        "counts": {"windows": 40, "seqlets": 1300, "motifs": 1, "hits": 98},
    }  # fmt: skip
    (tmp_path / "a.motifs.json").write_text(json.dumps(record))
    (tmp_path / "a.hits.bed").write_text("chr\t210\t222\tpos_1\t50\t-\t1\t1e-5\t1e-5\tw1\n")
    (tmp_path / "a.skipped.tsv").write_text("chrom\treason\nchrU\tunknown <chromosome>\n")
    return tmp_path


def page_of(folder, *options):
    out = folder / "page.html"
    assert run(["report", str(folder / "a.h5"), "-o", str(out), "-q", *options]) == 0
    return out.read_text()


def test_the_page_is_whole_and_needs_nothing_else(run_files):
    page = Page(page_of(run_files))
    assert all(address.startswith("data:image/svg+xml;base64,") for address in page.addresses)
    assert "http" not in page.text


def test_names_from_files_are_text_and_no_code(run_files):
    text = page_of(run_files)
    assert "<script" not in text
    assert "<i>TF" not in text
    assert "unknown <chromosome>" in Page(text).text


def test_the_numbers_are_those_of_the_files(run_files):
    text = " ".join(Page(page_of(run_files)).text.split())
    with ArchiveReader(run_files / "a.h5") as reader:
        score = reader.column("score")
    assert f"score {score.max():.3g}," in text
    assert f"Mean score{score.mean():.3g} " in text.replace("Mean score ", "Mean score")
    for said in ("1,234", "1,300 seqlets", "98 hits", "2e-07", "1 regions weren't scored", "p = 0.25"):
        assert said in text, said


def test_equal_files_give_equal_bytes(run_files):
    assert page_of(run_files) == page_of(run_files)


def test_windows_with_an_unpruned_twin_have_two_rows(run_files):
    both = Page(page_of(run_files, "--windows", "1")).text
    assert "below unpruned" in both
    (run_files / "a.unpruned.h5").unlink()
    alone = Page(page_of(run_files, "--windows", "1")).text
    assert "give --unpruned" in " ".join(alone.split())


def test_a_run_without_motifs_says_what_finds_them(run_files):
    (run_files / "a.motifs.json").unlink()
    assert "sparselrp motifs a.h5" in " ".join(Page(page_of(run_files)).text.split())


def test_an_archive_without_a_window_has_a_page(tmp_path):
    rows, _ = planted_rows(1)
    write_archive(tmp_path / "a.h5", rows[:0], sizes={"chr": 10})
    assert "No window was explained" in page_of(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"schema_version": 9}', "{"])
def test_a_file_that_isnt_of_motifs_is_refused(run_files, capsys, text):
    (run_files / "a.motifs.json").write_text(text)
    assert run(["report", str(run_files / "a.h5"), "-o", str(run_files / "p.html")]) == 1
    assert "a.motifs.json" in capsys.readouterr().err
    assert not (run_files / "p.html").exists()


def test_the_profile_is_the_mean_over_windows(tmp_path):
    path, _ = planted_archive(tmp_path / "a.h5", n=300)
    with ArchiveReader(path) as reader:
        expected = np.abs(reader.contributions(slice(0, 300)).astype(float)).mean(axis=0)
        assert np.allclose(content.mean_profile(reader, 0), expected)


def test_top_windows_are_those_of_the_highest_scores(tmp_path):
    path, places = planted_archive(tmp_path / "a.h5", n=60)
    with ArchiveReader(path) as reader:
        score = reader.column("score")
        top = content.top_windows(reader, None, 0, 5)
        maps = reader.contributions(slice(0, 60))
    assert [w.score for w in top] == sorted(score, reverse=True)[:5]
    at = {row: (200 * row + start, 200 * row + end) for row, start, end in places}
    for window in top:
        row = window.window.start // LENGTH
        first = window.start - window.window.start
        assert np.allclose(window.pruned.sum(axis=1), maps[row, first : first + content.CROP])
        start, end = at[row]
        assert window.start <= start
        assert end <= window.start + content.CROP


@pytest.mark.parametrize(
    ("text", "place"),
    [("chr1:1-10", ("chr1", 0, 10)), ("a:b:1,001-2,000", ("a:b", 1000, 2000)), ("chrX:7-7", ("chrX", 6, 7))],
)
def test_places_are_counted_from_one_as_browsers_do(text, place):
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["chr1", "chr1:10", "chr1:10-5", "chr1:0-5", "chr1:a-b", "chr1:1-999999999"])
def test_what_is_no_place_is_said(text):
    with pytest.raises(InputError):
        parse_place(text)


def test_a_stretch_has_the_window_whose_centre_is_nearest(tmp_path):
    rows, _ = planted_rows(6, spacing=70)
    path = write_archive(tmp_path / "a.h5", rows, sizes={"chr": 10**6})
    with ArchiveReader(path) as reader:
        found = read_stretch(reader, "chr", 100, 700).contributions
        maps = reader.contributions(slice(0, 6))
    for position in range(100, 700):
        inside = [row for row in range(6) if 70 * row <= position < 70 * row + LENGTH]
        if not inside:
            assert np.isnan(found[position - 100]).all()
            continue
        row = min(inside, key=lambda r: abs(position + 0.5 - (70 * r + LENGTH / 2)))
        assert np.isclose(found[position - 100].sum(), maps[row, position - 70 * row])


@pytest.mark.parametrize(("ending", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_figures_are_what_their_names_say_and_alike(run_files, ending, magic):
    files = [run_files / f"{name}.{ending}" for name in "xy"]
    for file in files:
        given = ["plot", str(run_files / "a.h5"), "chr:201-300", "-o", str(file), "-q"]
        assert run([*given, "--with", str(run_files / "a.unpruned.h5")]) == 0
    assert files[0].read_bytes().startswith(magic)
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("place", "name", "said"),
    [
        ("chrZ:1-10", "x.svg", "has no chromosome 'chrZ'; it has chr"),
        ("chr:900001-900010", "x.svg", "no window at chr:900001-900010"),
        ("chr:1-10", "x.gif", "end the name in .svg, .png, .pdf"),
        ("here", "x.svg", "isn't a place"),
    ],
)
def test_what_cant_be_drawn_is_said_in_one_line(run_files, capsys, place, name, said):
    assert run(["plot", str(run_files / "a.h5"), place, "-o", str(run_files / name)]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert not (run_files / name).exists()


def test_letters_of_a_figure_are_drawn_as_paths(run_files):
    images = Page(page_of(run_files, "--windows", "1")).images
    drawn = base64.b64decode(images[1].partition(",")[2]).decode()
    assert len(re.findall(r"<path", drawn)) > content.CROP
