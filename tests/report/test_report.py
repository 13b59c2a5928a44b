"""The page and the figures: what is on them, that it is right, and that nothing gets out of hand."""

import base64
import functools
import hashlib
import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote

import numpy as np
import pytest
from helpers.archives import write_archive
from helpers.manifests import manifest
from motifs.planted import LENGTH, planted_archive, planted_rows

from sparselrp_cli.cli.main import run
from sparselrp_cli.errors import InputError
from sparselrp_cli.files.digest import FileEntry, sha256
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.locus import parse_place, read_stretch
from sparselrp_cli.report import content
from sparselrp_cli.report.windows import read_maps
from sparselrp_cli.settings.manifest import Outcome

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
    "name": "pos_1", "sign": "positive", "width": 8, "n_seqlets": 1234, "n_hits": 98, "calibrated": True,
    "consensus": "ACGTACGT",
    "pfm": np.random.default_rng(0).integers(0, 20, (8, 4)).tolist(),
    "cwm": np.random.default_rng(1).normal(size=(8, 4)).tolist(),
    "matches": [{"name": "MA1", "alt_name": "<i>TF</i>", "p": 1e-9, "q": 2e-7, "strand": "+", "offset": 0,
                 "overlap": 8}],
}  # fmt: skip
NULL = {"kind": "background", "calibrated": True, "windows": 2000}


def seal(folder, record):
    """Write the record of what `motifs` found, of the archive and the hits that are there."""
    hits = replace(FileEntry.of(folder / "a.hits.bed"), file="hits.bed")
    belonging = {"archive": {"sha256": sha256(folder / "a.h5")}, "outputs": [hits.to_json()]}
    (folder / "a.motifs.json").write_text(json.dumps(record | belonging))


@pytest.fixture
def run_files(tmp_path):
    """An archive with its unpruned twin, a motif, a hit, and names that would like to be scripts."""
    rows, _ = planted_rows(40)
    windows = [replace(w, name=f"<script>alert({i})</script>") for i, w in enumerate(rows.windows)]
    rows = replace(rows, windows=windows)
    for name in ("a", "a.unpruned"):
        write_archive(
            tmp_path / f"{name}.h5", rows, sizes={"chr": 10**6},
            manifest=manifest(("net",), prune=0.25).to_json(),
        )  # fmt: skip
    record = {
        "schema_version": 2, "settings": {"database": {"name": "d"}}, "motifs": [MOTIF],
        "calibrated": True, "null": dict.fromkeys(("positive", "negative"), NULL),
        "counts": {"windows": 40, "seqlets": 1300, "motifs": 1, "hits": 98},
    }  # fmt: skip
    (tmp_path / "a.hits.bed").write_text(
        "chr\t210\t222\tsu(Hw)\t50\t-\t210\t222\t0,114,178\t0.1e1\t1e-5\t1e-5\tw1\tpos_1\tyes\n"
    )
    seal(tmp_path, record)
    (tmp_path / "a.skipped.tsv").write_text("chrom\treason\nchrU\tunknown <chromosome>\n")
    return tmp_path


TWO_WINDOWS = ("--windows", "2")


def content_of(folder):
    return tuple((path.name, path.read_bytes()) for path in sorted(folder.iterdir()))


def page_of(folder, *options):
    """The page of a folder's files, drawn once for equal files; of two windows unless told."""
    return drawn(content_of(folder), options or TWO_WINDOWS)


@functools.cache
def drawn(files, options):
    with TemporaryDirectory() as name:
        for file, content in files:
            Path(name, file).write_bytes(content)
        out = Path(name, "page.html")
        assert run(["report", f"{name}/a.h5", "-o", str(out), "-q", *options]) == 0
        return out.read_text()


@pytest.mark.usefixtures("unrendered")
def test_the_page_is_whole_and_needs_nothing_else(run_files):
    page = Page(page_of(run_files))
    files = {f"./{path.name}" for path in run_files.iterdir()}
    for address in page.addresses:
        assert address.startswith(("data:image/svg+xml;base64,", "#")) or address in files
    assert "http" not in page.text


@pytest.mark.usefixtures("unrendered")
def test_names_from_files_are_text_and_no_code(run_files):
    text = page_of(run_files)
    assert "<script>alert" not in text
    assert re.findall("<script[^>]*>", text) == ['<script type="application/json" id="data">', "<script>"]
    assert "<i>TF" not in text
    assert "unknown <chromosome>" in Page(text).text


@pytest.mark.usefixtures("unrendered")
def test_the_numbers_are_those_of_the_files(run_files):
    text = " ".join(Page(page_of(run_files)).text.split())
    with ArchiveReader(run_files / "a.h5") as reader:
        score = reader.column("score")
    assert f"score {score.max():.3g}," in text
    assert f"Mean score{score.mean():.3g} " in text.replace("Mean score ", "Mean score")
    for said in ("1,234", "1,300 seqlets", "98 hits", "2e-07", "1 region wasn't scored", "p = 0.25"):
        assert said in text, said


def said_on_page(folder, **changes):
    """What a page says, without the maps of windows."""
    record = json.loads((folder / "a.motifs.json").read_text())
    seal(folder, record | changes)
    return " ".join(Page(page_of(folder, "--windows", "0")).text.split())


@pytest.mark.usefixtures("unrendered")
def test_a_hit_is_marked_with_its_known_name_and_strand(run_files):
    with ArchiveReader(run_files / "a.h5") as reader:
        (top,) = content.top_windows(reader, None, 0, 1)
    start, end = top.start + 5, top.start + 17
    line = f"chr\t{start}\t{end}\tsu(Hw)\t50\t-\t{start}\t{end}\t0,114,178\t2.5\t1e-5\t1e-5\tw1\tpos_1\tyes\n"
    (run_files / "a.hits.bed").write_text(line)
    seal(run_files, json.loads((run_files / "a.motifs.json").read_text()))
    assert "hits: su(Hw) -" in " ".join(Page(page_of(run_files, "--windows", "1")).text.split())


@pytest.mark.usefixtures("unrendered")
def test_the_page_says_first_what_drives_the_windows_and_how_much_of_relevance_that_is(run_files):
    text = said_on_page(run_files)
    with ArchiveReader(run_files / "a.h5") as reader:
        values = reader.contributions(slice(0, reader.n_windows)).astype(float)
    # The hit lies in the second window, and has 0.1e1.
    share = 100 * 1.0 / np.maximum(values, 0).sum()
    said = "su(Hw) speaks for the score: 98 hits in 1 window of 40, with"
    assert f"{said} {share:.0f} % of all positive relevance" in text
    assert "the motif is most like MA1, q = 2e-07" in text
    assert "39 windows have no hit of any motif" in text


@pytest.mark.usefixtures("unrendered")
def test_a_calibrated_null_is_named_and_nothing_is_warned_of(run_files):
    text = said_on_page(run_files)
    assert "Chance is what 2,000 shuffled or other windows without sites give. Upper logo" in text
    assert "calibrated" not in text
    assert "no null" not in text


@pytest.mark.usefixtures("unrendered")
def test_a_null_that_isnt_calibrated_is_said_by_sign(run_files):
    permuted = {"kind": "permuted", "calibrated": False, "windows": 40}
    text = said_on_page(run_files, calibrated=False, null={"positive": NULL, "negative": permuted})
    assert "The q-values of negative seqlets and hits aren't calibrated" in text
    assert "The q-values of positive" not in text
    assert "Give sparselrp motifs the model (--model) or shuffled windows (--background)" in text


@pytest.mark.usefixtures("unrendered")
def test_why_a_sign_has_no_null_is_said_with_and_without_another_in_its_place(run_files):
    reason = {"reason": "a.background.h5: 5 segments are too few"}
    nulls = {
        "positive": {"kind": "permuted", "calibrated": False, "windows": 40} | reason,
        "negative": {"kind": "none", "calibrated": False} | reason,
    }
    text = said_on_page(run_files, calibrated=False, null=nulls, motifs=[])
    assert "positive seqlets and hits aren't calibrated" in text
    assert "Shuffled windows gave no null (a.background.h5: 5 segments are too few)" in text
    assert "No negative relevance was called: it has no null to compare with (a.background.h5: 5" in text
    assert "too few of them alike to make a motif" in text


def test_equal_files_give_equal_bytes(run_files):
    one, again = (drawn.__wrapped__(content_of(run_files), TWO_WINDOWS) for _ in range(2))
    assert one == again


@pytest.mark.usefixtures("unrendered")
def test_windows_with_an_unpruned_twin_have_two_rows(run_files):
    both = Page(page_of(run_files, "--windows", "1")).text
    assert "below unpruned" in both
    (run_files / "a.unpruned.h5").unlink()
    alone = Page(page_of(run_files, "--windows", "1")).text
    assert "give --unpruned" in " ".join(alone.split())


@pytest.mark.usefixtures("unrendered")
def test_what_needs_javascript_is_hidden_without_it_and_said(run_files):
    text = page_of(run_files)
    needing = re.findall("<[^>]*data-needs-script[^>]*>", text)
    assert needing
    assert all(element.endswith(" hidden>") for element in needing)
    assert "needs JavaScript" in text.partition("<noscript>")[2].partition("</noscript>")[0]


@pytest.mark.usefixtures("unrendered")
def test_the_policy_names_the_style_and_the_script_that_are_there(run_files):
    text = page_of(run_files)
    (policy,) = re.findall('<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)
    rules = dict(rule.strip().split(" ", 1) for rule in unescape(policy).split(";"))
    assert rules["default-src"] == "'none'"
    for element in ("style", "script"):
        content = text.partition(f"<{element}>")[2].partition(f"</{element}>")[0]
        assert content
        hashed = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{element}-src"] == f"'sha256-{hashed}'"


@pytest.mark.usefixtures("unrendered")
def test_no_element_has_code_or_style_of_its_own_which_the_policy_would_refuse(run_files):
    class Attributes(HTMLParser):
        def handle_starttag(self, tag, attrs):
            assert not [name for name, _ in attrs if name == "style" or name.startswith("on")], tag

    Attributes().feed(page_of(run_files))


@pytest.mark.usefixtures("unrendered")
def test_links_in_the_page_lead_somewhere(run_files):
    text = page_of(run_files)
    targets = set(re.findall(' id="([^"]+)"', text))
    assert len(targets) == len(re.findall(' id="', text))
    assert {address[1:] for address in Page(text).addresses if address.startswith("#")} <= targets


@pytest.mark.usefixtures("unrendered")
def test_files_beside_the_page_are_named_from_where_it_is(run_files):
    (run_files / "a.windows.tsv").write_text("window\n")
    (run_files / "pages").mkdir()
    out = run_files / "pages" / "p.html"
    assert run(["report", str(run_files / "a.h5"), "-o", str(out), "--windows", "0", "-q"]) == 0
    found = [address for address in Page(out.read_text()).addresses if address.startswith("./")]
    assert [(out.parent / unquote(address)).resolve().name for address in found] == [
        "a.hits.bed", "a.windows.tsv", "a.skipped.tsv", "a.h5",
    ]  # fmt: skip


@pytest.mark.usefixtures("unrendered")
def test_the_command_is_told_where_the_manifest_beside_is_of_the_archive(run_files):
    with ArchiveReader(run_files / "a.h5") as reader:
        document = reader.manifest
    command = {"command": ["sparselrp", "attribute", "my genome.fa"], "outputs": []}
    (run_files / "a.manifest.json").write_text(json.dumps(document | command))
    assert (
        "The command: sparselrp attribute 'my genome.fa'" in Page(page_of(run_files, "--windows", "0")).text
    )
    (run_files / "a.manifest.json").write_text(json.dumps(document | command | {"version": "another"}))
    assert "The command" not in Page(page_of(run_files, "--windows", "0")).text


@pytest.mark.usefixtures("unrendered")
def test_a_run_without_motifs_says_what_finds_them(run_files):
    (run_files / "a.motifs.json").unlink()
    assert "sparselrp motifs a.h5" in " ".join(Page(page_of(run_files, "--windows", "1")).text.split())


def test_an_archive_without_a_window_has_a_page(tmp_path):
    rows, _ = planted_rows(1)
    write_archive(tmp_path / "a.h5", rows[:0], sizes={"chr": 10})
    assert "No window was explained" in page_of(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"schema_version": 9}', "{"])
@pytest.mark.usefixtures("unrendered")
def test_a_file_that_isnt_of_motifs_is_refused(run_files, capsys, text):
    (run_files / "a.motifs.json").write_text(text)
    assert run(["report", str(run_files / "a.h5"), "-o", str(run_files / "p.html")]) == 1
    assert "a.motifs.json" in capsys.readouterr().err
    assert not (run_files / "p.html").exists()


def test_the_profile_is_the_mean_over_windows(tmp_path):
    path, _ = planted_archive(tmp_path / "a.h5", n=300)
    with ArchiveReader(path) as reader:
        expected = np.abs(reader.contributions(slice(0, 300)).astype(float)).mean(axis=0)
        assert np.allclose(read_maps(reader, 0, np.zeros(300, np.bool_)).profile, expected)


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
        given = ["plot", str(run_files / "a.h5"), "chr:201-220", "-o", str(file), "-q"]
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


@pytest.mark.usefixtures("unrendered")
def test_letters_of_a_figure_are_drawn_as_paths(run_files):
    drawn = page_of(run_files, "--windows", "1").partition('<svg class="maps"')[2].partition("</svg>")[0]
    assert len(re.findall('<use href="#glyph-[ACGT]"', drawn)) > content.CROP


def with_motifs_of_another_archive(folder):
    record = json.loads((folder / "a.motifs.json").read_text())
    (folder / "a.motifs.json").write_text(json.dumps(record | {"archive": {"sha256": "0" * 64}}))
    return "motifs", "a.motifs.json was made of another archive than"


def with_motifs_of_nothing_known(folder):
    record = json.loads((folder / "a.motifs.json").read_text())
    del record["archive"]
    (folder / "a.motifs.json").write_text(json.dumps(record))
    return "motifs", "a.motifs.json was made of another archive than"


def with_hits_of_another_search(folder):
    (folder / "a.hits.bed").write_text("")
    return "motifs", "a.hits.bed isn't as it was written by the search of a.motifs.json"


def explained(folder, **settings):
    rows, _ = planted_rows(1)
    write_archive(
        folder / "a.unpruned.h5",
        rows,
        sizes={"chr": 10**6},
        manifest=manifest(prune=0.0, **settings).to_json(),
    )


def with_an_unpruned_run_of_other_rules(folder):
    explained(folder, composite="epsilon")
    return "unpruned", "a.unpruned.h5 was made with composite epsilon and not"


def with_an_unpruned_run_of_another_model(folder):
    rows, _ = planted_rows(1)
    document = manifest(("other",), prune=0.0).to_json()
    write_archive(folder / "a.unpruned.h5", rows, sizes={"chr": 10**6}, manifest=document)
    return "unpruned", "a.unpruned.h5 was made with another model, unlike"


def with_an_unpruned_run_of_other_sequences(folder):
    rows, _ = planted_rows(1)
    of_other = replace(manifest(prune=0.0), inputs={"sequences": FileEntry("genome.fa", 10, "1" * 64)})
    write_archive(folder / "a.unpruned.h5", rows, sizes={"chr": 10**6}, manifest=of_other.to_json())
    return "unpruned", "a.unpruned.h5 was made with other sequences, unlike"


STRANGERS = [
    with_motifs_of_another_archive, with_motifs_of_nothing_known, with_hits_of_another_search,
    with_an_unpruned_run_of_other_rules, with_an_unpruned_run_of_another_model,
    with_an_unpruned_run_of_other_sequences,
]  # fmt: skip


@pytest.mark.parametrize("change", STRANGERS)
@pytest.mark.usefixtures("unrendered")
def test_what_another_run_left_beside_the_archive_is_left_out_with_a_warning(run_files, capsys, change):
    option, said = change(run_files)
    page = run_files / "p.html"
    assert run(["report", str(run_files / "a.h5"), "-o", str(page), "--windows", "1", "-q"]) == 0
    assert f"left out: {run_files}/{said}" in capsys.readouterr().err
    text = " ".join(Page(page.read_text()).text.split())
    assert {"motifs": "sparselrp motifs a.h5", "unpruned": "give --unpruned"}[option] in text


@pytest.mark.parametrize("change", STRANGERS)
@pytest.mark.usefixtures("unrendered")
def test_what_is_named_and_is_of_another_run_is_refused(run_files, capsys, change):
    option, said = change(run_files)
    file = run_files / {"motifs": "a.motifs.json", "unpruned": "a.unpruned.h5"}[option]
    given = ["report", str(run_files / "a.h5"), "-o", str(run_files / "p.html"), f"--{option}", str(file)]
    assert run(given) == 1
    assert said in capsys.readouterr().err
    assert not (run_files / "p.html").exists()


@pytest.mark.usefixtures("unrendered")
def test_a_table_of_skipped_regions_of_another_run_is_left_out_and_counted(run_files, capsys):
    rows, _ = planted_rows(1)
    outcome = Outcome(40, 3, 0, {}, 0.0, skipped_sha256="0" * 64)
    write_archive(
        run_files / "a.h5", rows, sizes={"chr": 10**6}, manifest=manifest(outcome=outcome).to_json()
    )
    page = run_files / "p.html"
    assert run(["report", str(run_files / "a.h5"), "-o", str(page), "--windows", "1", "-q"]) == 0
    assert (
        f"{run_files}/a.skipped.tsv isn't the table of {run_files}/a.h5, and left out"
        in capsys.readouterr().err
    )
    text = " ".join(Page(page.read_text()).text.split())
    assert "3 regions weren't scored" in text
    assert "unknown <chromosome>" not in text
