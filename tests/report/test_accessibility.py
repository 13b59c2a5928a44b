"""Pages that everybody can use: what can be checked cheaply, and axe-core where it is at hand."""

import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest
from helpers.archives import write_archive
from helpers.browsing import script_of
from helpers.commands import command
from helpers.manifests import manifest
from motifs.planted import planted_rows

from sparselrp_cli.files.digest import FileEntry, sha256

CSS = files("sparselrp_cli.report").joinpath("page.css").read_text()
SCHEMES = ("light", "dark")
VOID = {"meta", "img", "br", "link", "hr", "input"}


def motif(number):
    match = {"name": f"MA{number}", "alt_name": f"TF{number}", "p": 1e-9, "q": 2e-7, "strand": "+",
             "offset": 0, "overlap": 6, "frequencies": [[0.25] * 4] * 6}  # fmt: skip
    return {
        "name": f"m{number}", "sign": "positive", "width": 6, "n_seqlets": 30, "n_hits": 2,
        "calibrated": True, "consensus": "ACGTAC", "pfm": np.ones((6, 4)).tolist(),
        "cwm": np.eye(6, 4).tolist(), "matches": [match],
    }  # fmt: skip


def write_run(folder, stem, n=30, scale=1.0):
    """An archive with doubtful windows, motifs, hits, skipped regions and an unpruned twin."""
    rows, _ = planted_rows(n)
    accounting = {name: values.copy() for name, values in rows.accounting.items()}
    accounting["conservation_error"][0, :3] = 0.5
    accounting["score"][0, 5] = 1e4
    rows = replace(rows, hypothetical=rows.hypothetical * scale, accounting=accounting)
    for name in (stem, f"{stem}.unpruned"):
        document = manifest(("net",), prune=0.25).to_json()
        write_archive(folder / f"{name}.h5", rows, sizes={"chr": 10**6}, manifest=document)
    hits = folder / f"{stem}.hits.bed"
    lines = [
        f"chr\t{200 * i + at}\t{200 * i + at + 12}\tTF{m}\t50\t-\t0\t0\t0,0,0\t2.5\t0\t0\tw\tm{m}\tyes\n"
        for i in range(n) for m, at in enumerate((40, 90))
    ]  # fmt: skip
    hits.write_text("".join(lines))
    null = {"kind": "none", "calibrated": False, "reason": "too few"}
    record = {
        "schema_version": 2, "settings": {"database": {"name": "d"}}, "motifs": [motif(0), motif(1)],
        "null": {"positive": {"kind": "background", "calibrated": True, "windows": 9}, "negative": null},
        "counts": {"windows": n, "seqlets": 60, "motifs": 2, "hits": 2 * n},
        "archive": {"sha256": sha256(folder / f"{stem}.h5")},
        "outputs": [replace(FileEntry.of(hits), file="hits.bed").to_json()],
    }  # fmt: skip
    (folder / f"{stem}.motifs.json").write_text(json.dumps(record))
    (folder / f"{stem}.skipped.tsv").write_text("chrom\treason\nchrU\tunknown\n")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A report with all its sections, and a comparison of three runs."""
    folder = tmp_path_factory.mktemp("pages")
    for number, stem in enumerate("abc"):
        write_run(folder, stem, scale=1.0 + number)
    (folder / "genes.bed").write_text("chr\t50\t500\tlola\t0\t-\nchr\t5900\t6900\tpsq\t0\t+\n")
    runs = [str(folder / f"{stem}.h5") for stem in "abc"]
    given = ("report", runs[0], "-o", str(folder / "report.html"), "--genes", str(folder / "genes.bed"))
    assert command(*given, "-q") == 0
    assert command("compare", *runs, "-o", str(folder / "x"), "-q") == 0
    return {"report": folder / "report.html", "comparison": folder / "x.compare.html"}


class Elements(HTMLParser):
    """The elements of a page: tag, attributes, tags around it, own text."""

    def __init__(self, text):
        super().__init__()
        self.found, self._open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "at": dict(attrs), "around": [e["tag"] for e in self._open], "text": ""}
        self.found.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self._open:
            element["text"] += data

    def of(self, *tags):
        return [element for element in self.found if element["tag"] in tags]


@pytest.fixture(params=["report", "comparison"])
def elements(request, pages):
    return Elements(pages[request.param].read_text())


def test_every_control_has_a_name(elements):
    controls = elements.of("button", "input", "select", "canvas", "a")
    assert len(controls) > 20
    for control in controls:
        at = control["at"]
        named = control["text"].strip() or at.get("aria-label") or "label" in control["around"]
        # The script names the picture by what it shows.
        assert named or at.get("aria-hidden") == "true" or at.get("id") == "detail", at


def test_what_can_be_read_on_a_control_is_in_its_name(elements):
    for control in elements.of("button", "a"):
        text, label = control["text"].strip(), control["at"].get("aria-label")
        if label and text.isalpha():
            assert text.lower() in label.lower()


def test_headings_are_in_order_and_the_title_is_the_first(elements):
    levels = [int(heading["tag"][1]) for heading in elements.of("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_headers_of_tables_say_what_they_are_of(elements):
    headers = elements.of("th")
    assert len(headers) > 10
    assert all(header["at"].get("scope") in ("col", "row") for header in headers)


def test_what_scrolls_can_be_reached_by_keys_and_has_a_name(elements):
    scrolled = [e for e in elements.found if e["at"].get("class") in ("wide", "letters")]
    assert scrolled
    for element in scrolled:
        assert element["at"]["tabindex"] == "0"
        assert element["at"]["role"] == "region"
        assert element["at"]["aria-label"]
    names = [element["at"]["aria-label"] for element in scrolled]
    assert len(set(names)) == len(names)


def test_pictures_have_words(elements):
    for picture in elements.of("img", "svg"):
        at = picture["at"]
        assert at.get("alt") or at.get("aria-label") or at.get("aria-hidden") == "true"


def test_the_page_has_a_language_a_title_and_landmarks(elements):
    assert elements.of("html")[0]["at"]["lang"] == "en"
    assert elements.of("title")[0]["text"].strip()
    assert len(elements.of("main")) == 1
    assert elements.of("nav")[0]["at"]["aria-label"]
    ids = [element["at"]["id"] for element in elements.found if "id" in element["at"]]
    assert len(set(ids)) == len(ids)


def palette(scheme):
    """The colours of a scheme by name, as the style sheet has them."""
    light, dark = CSS.partition("@media (prefers-color-scheme: dark)")[::2]
    text = light if scheme == "light" else dark.partition("img {")[0]
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", text))


def luminance(colour):
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    """Contrast ratio, WCAG 2.2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_formula_of_contrast_is_that_of_wcag():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)


def test_both_schemes_have_the_same_colours():
    assert palette("light").keys() == palette("dark").keys()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("ground", ["paper", "ground", "chosen"])
@pytest.mark.parametrize("ink", ["ink", "soft", "link", "warn"])
def test_words_stand_out_from_their_ground(scheme, ink, ground):
    colours = palette(scheme)
    assert contrast(colours[ink], colours[ground]) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("ink", ["A", "C", "G", "T", "hit", "gene"])
def test_letters_and_marks_stand_out_from_the_page(scheme, ink):
    colours = palette(scheme)
    assert contrast(colours[ink], colours["paper"]) >= 3


@pytest.mark.parametrize("wide", [390, 1280, 1920])
@pytest.mark.parametrize("name", ["report", "comparison"])
def test_nothing_is_wider_than_the_window(pages, chromium, name, wide):
    chromium.show(wide)
    chromium.open(pages[name].as_uri())
    assert chromium.value("document.documentElement.scrollWidth") <= wide


VIOLATIONS = """axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations.map(
  (v) => `${v.id}: ${v.nodes.map((node) => node.html).join(' ')}`))"""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("wide", [390, 1280, 1920])
@pytest.mark.parametrize("name", ["report", "comparison"])
def test_axe_finds_no_violation(pages, chromium, name, wide, scheme):
    axe = script_of("axe-core", "axe.min.js", "SPARSELRP_AXE").read_text()
    chromium.show(wide, dark=scheme == "dark")
    chromium.open(f"{pages[name].as_uri()}#w=1")
    chromium.value(f"{axe}; 0")
    assert chromium.value(VIOLATIONS) == []
