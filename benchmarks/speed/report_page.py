"""The report's page: how large it is, how long it takes to make, and how long a browser takes to open it.

    python -m benchmarks.speed.report_page --save
    python -m benchmarks.speed.report_page --windows 100 --rounds 1 --out DIR

Archives of random windows, most contributions zero as pruning leaves them, with hits of twelve motifs (fixed
seed); the last page again with a gene over every window or so. The page is opened in a headless Chromium that
was just started, until it is loaded and its script is done. The least of several is kept. Where other
programs take the cores, the seconds that the process of the page computes are what can be compared. Without
Chromium that is left out.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.browser import Browser, found_browser
from benchmarks.options import timing_parser
from benchmarks.record import Keeper
from benchmarks.timing import ready_device
from sparselrp_cli.files.digest import FileEntry, sha256
from sparselrp_cli.outputs.archive import ACCOUNTING, ArchiveRows, ArchiveWriter
from sparselrp_cli.report.page import ReportOptions, write_report
from sparselrp_cli.sequences.windows import Window
from sparselrp_cli.settings.manifest import Manifest, ModelEntry
from sparselrp_cli.settings.run import RunSettings

LENGTH, SPACING, MOTIFS, WIDTH, STEP = 600, 1000, 12, 12, 500
COUNTS = [221, 1000, 10_000]


def manifest() -> dict[str, object]:
    """The manifest of a run on a genome."""
    settings = RunSettings(
        targets=("task",), window=LENGTH, prune_negative=0.05, formats=("h5",), batch_size=8, device="cpu"
    )
    inputs = {role: FileEntry(f"{role}.fa", 10, "0" * 64) for role in ("sequences", "regions")}
    models = (ModelEntry("random", (), "ACGT", "NCL", {}),)
    return Manifest(inputs=inputs, models=models, settings=settings, torch="").to_json()


def block(rng: np.random.Generator, first: int, count: int, places: npt.NDArray[np.int64]) -> ArchiveRows:
    """Rows of random windows with strong sites at places, shape (count, sites)."""
    codes = rng.integers(0, 4, (count, LENGTH))
    values = rng.normal(0, 0.05, (count, LENGTH)) * (rng.random((count, LENGTH)) < 0.4)
    for offset in range(WIDTH):
        np.put_along_axis(values, places + offset, rng.lognormal(0, 0.3, places.shape), axis=1)
    one_hot = (codes[:, None] == np.arange(4)[:, None]).astype(np.uint8)
    windows = [
        Window("chr1", i * SPACING, i * SPACING + LENGTH, f"peak_{i}", "+", i)
        for i in range(first, first + count)
    ]
    accounts = {name: np.zeros((1, count)) for name in ACCOUNTING}
    accounts["relevance"][0] = values.sum(axis=1)
    accounts["absorbed"][0] = rng.normal(0, 1, count)
    accounts["score"][0] = accounts["relevance"][0] + accounts["absorbed"][0]
    maps = (one_hot * values[:, None]).astype(np.float32)[None]
    return ArchiveRows(windows, one_hot, maps, accounts, np.zeros(count, np.int64))


def write_run(folder: Path, count: int) -> Path:
    """Write an archive of so many windows with two hits in each, and the motifs."""
    rng, archive = np.random.default_rng(0), folder / "run.h5"
    places = rng.integers(0, LENGTH // 2 - WIDTH, (count, 2)) + np.array([0, LENGTH // 2])
    with ArchiveWriter(archive, window_length=LENGTH, target_names=["task"]) as writer:
        for first in range(0, count, STEP):
            here = places[first : first + STEP]
            writer.append(block(rng, first, len(here), here))
        writer.finish({"chr1": count * SPACING + LENGTH}, manifest())
    motif = rng.integers(0, MOTIFS, places.shape)
    hits = folder / "run.hits.bed"
    with hits.open("w") as file:
        for row, column in np.ndindex(places.shape):
            start, name = row * SPACING + int(places[row, column]), f"pos_{motif[row, column] + 1}"
            place = f"chr1\t{start}\t{start + WIDTH}"
            file.write(f"{place}\tTF_{name}\t50\t+\t{start}\t{start + WIDTH}\t0,114,178\t")
            file.write(f"{rng.lognormal(2, 0.3):.5g}\t1e-06\t1e-05\tpeak_{row}\t{name}\tyes\n")
    write_motifs(folder / "run.motifs.json", archive, hits, np.bincount(motif.ravel(), minlength=MOTIFS))
    return archive


def write_motifs(path: Path, archive: Path, hits: Path, counts: npt.NDArray[np.int64]) -> None:
    """Write the record of a search for motifs."""
    rng = np.random.default_rng(1)
    motifs = [
        {
            "name": f"pos_{i + 1}", "sign": "positive", "width": WIDTH, "n_seqlets": int(n), "n_hits": int(n),
            "calibrated": True, "consensus": "N" * WIDTH, "cwm": rng.dirichlet([0.3] * 4, WIDTH).tolist(),
            "pfm": rng.integers(1, 50, (WIDTH, 4)).tolist(), "matches": [],
        }
        for i, n in enumerate(counts)
    ]  # fmt: skip
    record = {
        "schema_version": 2, "archive": {"sha256": sha256(archive)}, "settings": {}, "motifs": motifs,
        "null": {"positive": {"kind": "background", "calibrated": True, "windows": 2000}},
        "counts": {"seqlets": int(counts.sum()), "hits": int(counts.sum())},
        "outputs": [replace(FileEntry.of(hits), file="hits.bed").to_json()],
    }  # fmt: skip
    path.write_text(json.dumps(record))


def opened(program: str, page: Path) -> tuple[float, float, int]:
    """Open a page; seconds until it is loaded, seconds that its process computed, and elements in it."""
    with tempfile.TemporaryDirectory() as profile, Browser(program, Path(profile)) as browser:
        browser.show(1280)
        browser.open(page.as_uri())
        loaded = browser.value("performance.getEntriesByType('navigation')[0].loadEventEnd")
        elements = browser.value("document.querySelectorAll('*').length")
        return loaded / 1000, browser.metrics()["ProcessTime"], elements


def seconds_to_open(page: Path, rounds: int) -> dict[str, float]:
    """Least seconds that a browser takes for the page; nothing without one."""
    program = found_browser()
    if program is None:
        return {}
    wall, computed, elements = np.min([opened(program, page) for _ in range(rounds)], axis=0).tolist()
    return {
        "seconds to open": round(wall, 2), "processor seconds to open": round(computed, 2),
        "elements": int(elements),
    }  # fmt: skip


def write_genes(folder: Path, count: int) -> str:
    """Write genes of two exons, of which about one lies over each window, as BED12."""
    path = folder / "genes.bed"
    with path.open("w") as file:
        for i in range(count):
            start, end = i * SPACING - (200 if i else 0), i * SPACING + 900 + 100 * (i % 7)
            strand, blocks = "+-"[i % 2], f"2\t300,200,\t0,{end - start - 200},"
            file.write(f"chr1\t{start}\t{end}\tgene_{i}\t0\t{strand}\t{start}\t{end}\t0\t{blocks}\n")
    return str(path)


def measure(count: int, rounds: int, *, with_genes: bool = False) -> dict[str, object]:
    """Size and seconds of a page of so many windows."""
    with tempfile.TemporaryDirectory() as name:
        archive, page = write_run(Path(name), count), Path(name, "page.html")
        genes = write_genes(Path(name), count) if with_genes else None
        began = time.process_time()
        write_report(ReportOptions(archive, page, None, None, None, 6, genes))
        made = time.process_time() - began
        text = page.read_text()
        letters = json.loads(text.partition('id="data">')[2].partition("</script>")[0])["letters"]
        return {
            "windows": count, "genes": with_genes, "with letters": len(letters),
            "MB": round(len(text.encode()) / 1e6, 2), "processor seconds to make": round(made, 2),
            **seconds_to_open(page, rounds),
        }  # fmt: skip


def options() -> argparse.ArgumentParser:
    found = timing_parser(__doc__, rounds=5)
    found.add_argument("--windows", type=int, nargs="+", default=COUNTS, metavar="N", help="pages of so many")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    device = ready_device(given.device)
    keeper = Keeper.start("report_page", given, device)
    rows = [measure(count, given.rounds) for count in given.windows]
    rows.append(measure(given.windows[-1], given.rounds, with_genes=True))
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.2f"))
    keeper.keep({"pages": rows})


if __name__ == "__main__":
    main()
