"""The page in a real browser: what its script shows is what the archive holds, and no name in it runs."""

import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from helpers.archives import write_archive
from helpers.manifests import manifest
from motifs.planted import LENGTH, planted_rows

from sparselrp_cli.cli.main import run
from sparselrp_cli.files.digest import FileEntry, sha256
from sparselrp_cli.outputs.archive import ArchiveReader

# What each would do if it were taken for code: leave a mark on the document.
MARK = "document.documentElement.dataset.ran=1"
HOSTILE = [
    f"<script>{MARK}</script>",
    f"</script><script>{MARK}</script>",
    f"<img src=x onerror={MARK}>",
    f'"><svg onload="{MARK}">',
    f"' onmouseover='{MARK}' autofocus onfocus='{MARK}",
    f"<!--<script>{MARK}//",
    f"javascript:{MARK}",
    f"\u2028{MARK}\u2029",
    f"{{{{ self.__init__ }}}}${{{MARK}}}",
    f"]]></style></title></textarea><iframe srcdoc='<script>{MARK}</script>'>",
]
CHROM = HOSTILE[2]
N = 12


def motif(name, matched):
    return {
        "name": name, "sign": "positive", "width": 6, "n_seqlets": 30, "n_hits": 2, "calibrated": True,
        "consensus": HOSTILE[1], "pfm": np.ones((6, 4)).tolist(), "cwm": np.ones((6, 4)).tolist(),
        "matches": [{"name": matched, "alt_name": matched, "p": 1e-9, "q": 2e-7, "strand": "+", "offset": 0,
                     "overlap": 6, "frequencies": [[0.25] * 4] * 6}],
    }  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page whose every name is hostile, and the archive it is of."""
    folder = tmp_path_factory.mktemp("hostile")
    rows, _ = planted_rows(N)
    windows = [replace(w, chrom=CHROM, name=HOSTILE[i % len(HOSTILE)]) for i, w in enumerate(rows.windows)]
    rows = replace(rows, windows=windows)
    stem = "<b onclick=x>a"
    archive = write_archive(
        folder / f"{stem}.h5", rows, sizes={CHROM: 10**6}, manifest=manifest((HOSTILE[0],)).to_json()
    )
    numbers = "0,0,0\t2.5\t1e-5\t1e-5"
    hits = "".join(
        f"{CHROM}\t{start}\t{start + 12}\t{HOSTILE[3]}\t50\t-\t0\t0\t{numbers}\tw\tm{i % 2}\tyes\n"
        for i, start in enumerate(range(210, 1800, 200))
    )
    (folder / f"{stem}.hits.bed").write_text(hits)
    record = {
        "schema_version": 2, "settings": {"database": {"name": "d"}},
        "motifs": [motif("m0", HOSTILE[4]), motif("m1", HOSTILE[5])],
        "null": {"positive": {"kind": "none", "calibrated": False, "reason": HOSTILE[0]}},
        "counts": {"windows": N, "seqlets": 60, "motifs": 2, "hits": 8},
        "archive": {"sha256": sha256(archive)},
        "outputs": [replace(FileEntry.of(folder / f"{stem}.hits.bed"), file="hits.bed").to_json()],
    }  # fmt: skip
    (folder / f"{stem}.motifs.json").write_text(json.dumps(record))
    (folder / f"{stem}.skipped.tsv").write_text(f"chrom\treason\nchrU\t{HOSTILE[9]}\n")
    out = folder / "page.html"
    genes = folder / f"<i>{'genes'}.bed"
    genes.write_text(f"{CHROM}\t210\t500\t{HOSTILE[6]}\t0\t-\n{CHROM}\t3000\t3100\t{HOSTILE[1]}\t0\t+\n")
    given = ["report", str(archive), "-o", str(out), "--windows", "1", "--genes", str(genes), "-q"]
    assert run(given) == 0
    return archive, out


class Elements(HTMLParser):
    """Collects the elements of a document with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def text_of(document, name):
    return unescape(re.search(f'id="{name}"[^>]*>(.*?)</', document, re.DOTALL)[1])


def regions_of(document):
    table = document.partition('<tbody id="rows">')[2].partition("</tbody>")[0]
    return [unescape(text) for text in re.findall("<button[^>]*>(.*?)</button>", table)]


def region(row):
    return f"{CHROM}:{200 * row + 1:,}-{200 * row + LENGTH:,}"


def test_no_name_from_a_file_runs(page, opened):
    _, out = page
    document = opened(
        out, "#" + urlencode({"q": HOSTILE[0], "w": "1", "sort": HOSTILE[1], "kind": HOSTILE[3]})
    )
    assert re.search("<html[^>]*>", document)[0] == '<html lang="en">'
    # It worked all the same: windows of that name were found, and one was opened.
    named = sum(HOSTILE[0] in HOSTILE[i % len(HOSTILE)] for i in range(N))
    assert text_of(document, "count").startswith(f"{named} of 12 windows")
    assert text_of(document, "which").startswith(HOSTILE[1])
    elements = Elements(document).found
    assert not [name for _, given in elements for name in given if name.startswith("on") or name == "srcdoc"]
    assert [given.get("type") for tag, given in elements if tag == "script"] == ["application/json", None]
    assert not [tag for tag, _ in elements if tag in ("iframe", "b", "object", "embed")]


def test_such_a_name_would_run_where_it_is_put_in_as_it_is(tmp_path, opened):
    out = tmp_path / "naive.html"
    out.write_text(f"<!doctype html><html lang='en'><body>{HOSTILE[0]}")
    assert 'data-ran="1"' in opened(out)


def test_the_policy_stops_what_the_page_would_let_through(page, tmp_path, opened):
    out = tmp_path / "broken.html"
    out.write_text(page[1].read_text().replace("<main>", f"<main>{HOSTILE[0]}{HOSTILE[2]}{HOSTILE[3]}"))
    document = opened(out)
    assert "data-ran" not in re.search("<html[^>]*>", document)[0]
    assert text_of(document, "count").startswith("12 of 12 windows")


def test_a_base_is_read_with_the_value_that_the_archive_holds(page, opened):
    archive, out = page
    with ArchiveReader(archive) as reader:
        values = reader.contributions(np.array([4]))[0]
        one_hot, _ = reader.read(np.array([4]))
    at = int(np.abs(values).argmax())
    text = text_of(opened(out, f"#w=4&at={at}"), "reading")
    place, _, said = text.rpartition(": relevance ")
    assert place == f"{CHROM}:{800 + at + 1:,} {'ACGT'[int(one_hot[0, :, at].argmax())]}"
    assert float(said.partition(";")[0]) == pytest.approx(values[at], rel=6e-3)


def test_rows_are_sorted_and_those_with_a_motif_at_a_place_are_found(page, opened):
    archive, out = page
    with ArchiveReader(archive) as reader:
        score = reader.column("score")
    order = [row for row in np.argsort(score, kind="stable").tolist() if 1 <= row < 8 and row % 2 == 0]
    document = opened(out, "#" + urlencode({"q": f"{CHROM}:201-1600", "motif": "1", "sort": "score"}))
    assert regions_of(document) == [region(row) for row in order]
    assert 'data-column="score" class="number" aria-sort="ascending"' in document


def test_genes_over_a_window_and_the_nearest_are_in_the_table_and_read_at_a_base(page, opened):
    document = opened(page[1], "#w=1&at=20&sort=gene")
    name, other = (HOSTILE[i][:39] + "…" for i in (6, 1))
    assert f"genes: {name}" in text_of(document, "accounts")
    assert text_of(document, "reading").endswith(f"; gene: ◂ {name}")
    cells = re.findall('<td class="wraps">(.*?)</td>', document.partition('<tbody id="rows">')[2])
    assert name in {unescape(cell) for cell in cells}
    away = 3000 - (200 * (N - 1) + LENGTH) + 1
    last = text_of(opened(page[1], f"#w={N - 1}"), "accounts")
    assert f"genes: {other}, {away:,} bp upstream" in last


USED = Path(__file__).with_name("using_the_page.js")


@pytest.fixture(scope="module")
def driven(page, tmp_path_factory, chromium):
    """What the page shows as keys, mouse, touch and buttons are used on it."""
    out = tmp_path_factory.mktemp("driven") / "page.html"
    # The page's policy wouldn't let this script run.
    text = re.sub("<meta http-equiv[^>]*>", "", page[1].read_text())
    out.write_text(text.replace("</body>", f"<script>{USED.read_text()}</script></body>"))
    chromium.open(out.as_uri())
    return json.loads(chromium.value("document.getElementById('log').textContent"))


def width(stretch):
    return stretch[1] - stretch[0]


def test_keys_zoom_and_pan_over_the_whole_window(driven):
    assert driven["whole"] == [0, LENGTH]
    assert width(driven["closer"]) == pytest.approx(0.7 * LENGTH, abs=1)
    assert driven["right"][0] > driven["closer"][0]
    assert width(driven["right"]) == pytest.approx(width(driven["closer"]), abs=1)
    assert width(driven["wider"]) == LENGTH
    assert driven["home"][0] == 0
    assert driven["end"][1] == LENGTH


def test_mouse_and_touch_zoom_and_pan(driven):
    assert driven["dragged"][0] < driven["end"][0]
    assert width(driven["dragged"]) == pytest.approx(width(driven["end"]), abs=1)
    assert width(driven["pinched"]) == pytest.approx(width(driven["dragged"]) / 3, abs=1)
    assert width(driven["doubled"]) == LENGTH / 2
    assert width(driven["wheeled"]) == pytest.approx(LENGTH * np.exp(-0.5), abs=1)
    assert driven["jumped"][1] == LENGTH


def test_a_base_is_read_where_the_mouse_points_and_the_next_by_key(driven):
    before, after = (re.search(r":([\d,]+) ([ACGT]): relevance -?[\d.e-]+", text) for text in driven["read"])
    assert int(after[1].replace(",", "")) == int(before[1].replace(",", "")) + 1


def test_buttons_turn_pages_sort_and_open(driven):
    assert (len(driven["first"]), len(driven["second"])) == (10, 2)
    assert not set(driven["first"]) & set(driven["second"])
    assert driven["sorted"] == "ascending"
    assert driven["chosen"] == [f"{HOSTILE[10 % len(HOSTILE)]} · {region(10)} (+)", "detail"]
