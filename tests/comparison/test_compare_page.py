"""The page of a comparison: what changes is said in words, and both maps of a window are there."""

import base64
import json
import re
from dataclasses import replace
from html import unescape
from urllib.parse import quote, unquote

import numpy as np
import pytest
from helpers.archives import rows_of_contributions, write_archive
from helpers.commands import command, table
from helpers.manifests import manifest

from sparselrp_cli.files.digest import FileEntry, sha256
from sparselrp_cli.report.windows import KINDS

LENGTH, N = 80, 30
MARK = "document.documentElement.dataset.ran=1"
CHROM = f"<img src=x onerror={MARK}>"
NAMES = [f"<script>{MARK}</script>", f'"><svg onload="{MARK}">', "</script><!--", "plain"]
MOTIF = f"</script><script>{MARK}</script>"


def archive(path, values, *, shift=0, **settings):
    """An archive of contributions, all at base A, with hostile names."""
    rows = rows_of_contributions([(CHROM, 100 * i + shift) for i in range(len(values))], values)
    windows = [replace(w, name=NAMES[i % len(NAMES)]) for i, w in enumerate(rows.windows)]
    score = np.asarray(values).sum(axis=1)[np.newaxis]
    rows = replace(rows, windows=windows, accounting={**rows.accounting, "score": score})
    document = manifest(("<b>net",), **settings).to_json()
    write_archive(path, rows, sizes={CHROM: 10**6}, manifest=document, dtype="float64")
    return path


def hits_of(folder, path, starts):
    """Hits beside an archive, as `motifs` leaves them."""
    lines = [
        f"{CHROM}\t{start}\t{start + 12}\t{(MOTIF, 'plain')[number % 2]}"
        "\t30\t+\t0\t0\t0,0,0\t1\t0\t0\tw\tp\ty\n"
        for number, start in enumerate(starts)
    ]
    hits = folder / f"{path.stem}.hits.bed"
    hits.write_text("".join(lines))
    entry = replace(FileEntry.of(hits), file="hits.bed").to_json()
    record = {"archive": {"sha256": sha256(path)}, "outputs": [entry]}
    (folder / f"{path.stem}.motifs.json").write_text(json.dumps(record))


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Three runs, of which the second and third give more to 12 bp in every second window; and their page."""
    folder = tmp_path_factory.mktemp("compared")
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.1, (N, LENGTH))
    values[:, 20:32] += 1
    more = values.copy()
    more[::2, 40:52] += 2
    runs = [
        archive(folder / "<b>a.h5", values, prune=0.1),
        archive(folder / "b&amp;.h5", more, prune=0.2),
        archive(folder / "c.h5", more[:, ::-1] * 3, prune=0.1),
    ]
    for run in runs[:2]:
        hits_of(folder, run, range(40, 100 * N, 100))
    assert command("compare", *map(str, runs), "-o", str(folder / "<i>x"), "-q") == 0
    return folder, [values, more, more[:, ::-1] * 3]


def page_of(compared):
    return compared[0] / "<i>x.compare.html"


def said(page):
    body = page.read_text().partition("<main>")[2].partition("</main>")[0]
    return " ".join(unescape(re.sub("<[^>]+>", " ", body)).split())


def data_of(page):
    return json.loads(page.read_text().partition('id="data">')[2].partition("</script>")[0])


def test_it_says_in_words_what_changes(compared):
    text = said(page_of(compared))
    (line,) = [m for m in table(compared[0] / "<i>x.compare.means.tsv") if m["b"] == "b&amp;"][2:3]
    assert line["measure"] == "correlation"
    mean, low, high = (f"{float(line[name]):.3g}" for name in ("mean", "low", "high"))
    assert f"The maps of a window correlate with {mean} ({low} to {high})" in text
    assert "Scores are higher in b&amp; on average" in text
    assert "b&amp; was made with prune 0.2 and not 0.1, unlike <b>a" in text
    assert "they nearly agree" not in text
    assert "c compared with <b>a" in text


def test_each_motif_has_its_difference_with_the_interval_and_what_can_be_told(compared):
    text = said(page_of(compared))
    for line in table(compared[0] / "<i>x.compare.motifs.tsv"):
        difference, low, high = (float(line[name]) for name in ("difference", "low", "high"))
        told = "more" if low > 0 else "less" if high < 0 else "no difference"
        assert f"{line['motif']} {told} {difference:.3g} ({low:.3g} to {high:.3g})" in text
    assert "not looked for" in text


def test_the_page_carries_the_maps_of_all_runs_by_their_units(compared):
    folder, values = compared
    data = data_of(page_of(compared))
    assert [entry[0] for entry in data["letters"]] == list(range(N))
    units = [np.abs(v).mean() for v in values]
    for row, _, *maps in data["letters"]:
        for (step, text), of_run, unit in zip(maps, values, units, strict=True):
            found = step * np.frombuffer(base64.b64decode(text), "<i2")
            assert np.abs(found - of_run[row] / unit).max() <= 0.51 * step
    lines = [line for line in table(folder / "<i>x.compare.tsv") if line["b"] == "c"]
    assert data["pairs"][1]["differing_share"] == pytest.approx(
        [float(line["differing_share"]) for line in lines], rel=1e-3
    )
    assert data["pairs"][1]["span_start"] == [int(line["span_start"]) - int(line["start"]) for line in lines]


def test_no_name_from_a_file_runs_and_both_maps_are_read(compared, chromium):
    page = page_of(compared)
    chromium.open(f"{page.as_uri()}#w=2&pair=1&at=45&q={quote('plain')}")
    assert chromium.value("Object.keys(document.documentElement.dataset).length") == 0
    assert chromium.value("document.querySelectorAll('script').length") == 2
    shown = chromium.value("[...document.querySelectorAll('.run-b')].map((e) => e.textContent)")
    assert set(shown) == {"c"}
    _, values = compared
    units = [np.abs(v).mean() for v in values]
    a, c = values[0][2, 45] / units[0], values[2][2, 45] / units[2]
    reading = chromium.value("document.getElementById('reading').textContent")
    place, _, rest = reading.partition(" A: ")
    assert place == f"{CHROM}:{200 + 46}"
    numbers = dict(part.rsplit(" ", 1) for part in rest.partition(";")[0].split(", "))
    assert {name: float(n) for name, n in numbers.items()} == pytest.approx(
        {"<b>a": a, "c": c, "difference": c - a}, rel=0.02, abs=1e-3
    )
    assert f"; hit: {MOTIF} (<b>a " in reading
    count = chromium.value("document.getElementById('count').textContent")
    assert count.startswith("15 of 30 windows")


def test_windows_are_sorted_by_what_differs_and_the_other_run_is_chosen(compared, chromium):
    folder, _ = compared
    chromium.open(page_of(compared).as_uri())
    first = "document.querySelector('#rows button').textContent"
    for number, label in enumerate(("b&amp;", "c")):
        chromium.value(
            f"""(() => {{ const choice = document.getElementById('pair'); choice.value = '{number}';
            choice.dispatchEvent(new Event('input')); }})()"""
        )
        lines = [line for line in table(folder / "<i>x.compare.tsv") if line["b"] == label]
        most = max(lines, key=lambda line: float(line["differing_share"]))
        place = f"{CHROM}:{int(most['start']) + 1:,}-{int(most['end']):,}"
        assert chromium.value(first) == place


def to_doubt(page):
    """Give the rows whose relevance lies at an end in any of the runs."""
    return [
        row for row, bits in enumerate(data_of(page)["windows"]["doubt"]) if bits >> KINDS.index("edge") & 1
    ]


@pytest.mark.parametrize(
    ("length", "at", "doubted"),
    [
        (LENGTH, slice(0, 4), [3]),
        (LENGTH, slice(-4, None), [3]),
        (LENGTH, slice(4, 8), []),
        # The runs share the middle 60 bp: the end of the longer window isn't among them, but it is an end.
        (60, slice(0, 4), [3]),
        # These are the first of the stretch that is compared, and no end of the run's own window.
        (60, slice(10, 13), []),
    ],
    ids=["first", "last", "further in", "of a longer window", "of the stretch alone"],
)
def test_relevance_at_the_end_of_a_window_of_any_run_is_to_doubt(tmp_path, length, at, doubted):
    values = np.random.default_rng(2).normal(size=(8, LENGTH))
    ended = values.copy()
    ended[3] = 0
    ended[3, at] = 1
    inner = (LENGTH - length) // 2
    first = archive(tmp_path / "a.h5", values[:, inner : inner + length], shift=inner)
    second = archive(tmp_path / "b.h5", ended)
    assert command("compare", str(first), str(second), "-o", str(tmp_path / "x"), "-q") == 0
    page = tmp_path / "x.compare.html"
    assert to_doubt(page) == doubted
    assert ("more than half of the relevance lies at a window's ends" in said(page)) == bool(doubted)


def test_links_lead_to_the_files_beside_it(compared):
    folder, _ = compared
    text = page_of(compared).read_text()
    addresses = [unquote(a) for a in re.findall(r'<a href="\./([^"]+)">', text)]
    assert {"<i>x.compare.tsv", "<i>x.compare.means.tsv"} <= set(addresses)
    assert all((folder / address).is_file() for address in addresses)
    inside = re.findall('<a href="#([^"]+)">', text)
    assert set(inside) <= set(re.findall(' id="([^"]+)"', text))


def test_equal_runs_give_equal_pages_and_are_said_to_agree(tmp_path):
    values = np.random.default_rng(1).normal(size=(5, LENGTH))
    runs = [str(archive(tmp_path / f"{name}.h5", values)) for name in "ab"]
    for folder in ("p", "q"):
        (tmp_path / folder).mkdir()
        assert command("compare", *runs, "-o", str(tmp_path / folder / "x"), "-q") == 0
    pages = [tmp_path / folder / "x.compare.html" for folder in ("p", "q")]
    assert pages[0].read_bytes() == pages[1].read_bytes()
    text = said(pages[0])
    assert "they nearly agree" in text
    assert "Scores don't differ in their mean as far as can be told" in text
    assert "All runs explain the same model in the same way" in text
    assert "No run has hits of motifs beside it" in text
