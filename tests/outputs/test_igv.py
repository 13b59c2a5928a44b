"""What we write is drawn by igv.js: names of features, letters of tracks, from BED, bigBed and bigWig."""

import functools
import json
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from helpers.archives import rows_of_contributions, write_archive
from helpers.browsing import script_of
from motifs.test_bed import CALIBRATED

from sparselrp_cli.motifs.bed import looks, write_hits, write_indexed
from sparselrp_cli.motifs.hits import Hit
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.tracks import write_bigwig

CHROM, LENGTH = "chr1", 2000
KNOWN = {"pos_1": "su(Hw)", "pos_2": "CTCF/<b>x"}


class WithRanges(SimpleHTTPRequestHandler):
    """Serves parts of files, as indexed formats are read."""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content, asked = path.read_bytes(), re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        part = slice(int(asked[1]), int(asked[2]) + 1 if asked[2] else None) if asked else slice(None)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(content[part])))
        if asked:
            self.send_header("Content-Range", f"bytes {asked[1]}-{asked[2]}/{len(content)}")
        self.end_headers()
        self.wfile.write(content[part])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder, and its address on this machine."""
    folder = tmp_path_factory.mktemp("served")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(WithRanges, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield folder, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def drawn(served, chromium):
    """What igv.js makes of a genome with our files: its picture, and the values of the track."""
    folder, address = served
    script = script_of("igv", "dist/igv.min.js", "SPARSELRP_IGV").read_bytes()
    sequence = "".join(np.random.default_rng(0).choice(list("ACGT"), LENGTH))
    (folder / "genome.fa").write_text(f">{CHROM}\n{sequence}\n")
    (folder / "genome.fa.fai").write_text(f"{CHROM}\t{LENGTH}\t{len(CHROM) + 2}\t{LENGTH}\t{LENGTH + 1}\n")
    hits = [
        Hit(CHROM, 100 + 400 * i, 160 + 400 * i, "+-"[i % 2], motif, "w", 2.5, 1e-6, 1e-5, 1e-4)
        for i, motif in enumerate(KNOWN)
    ]
    bed = folder / "run.hits.bed"
    write_hits(bed, hits, {1: CALIBRATED}, dict.fromkeys(KNOWN, 1), looks(list(KNOWN), KNOWN))
    assert write_indexed(bed, "hits", {CHROM: LENGTH}) is not None
    values = np.random.default_rng(1).normal(size=(1, 600))
    rows = rows_of_contributions([(CHROM, 50)], values)
    with ArchiveReader(write_archive(folder / "run.h5", rows, sizes={CHROM: LENGTH})) as reader:
        write_bigwig(reader, folder / "run.bw", "nearest-centre")
    (folder / "igv.js").write_bytes(script)
    (folder / "page.html").write_text('<!doctype html><div id="igv"></div><script src="igv.js"></script>')
    tracks = [
        {"name": "bed", "type": "annotation", "format": "bed", "url": f"{address}/run.hits.bed"},
        {"name": "bigbed", "type": "annotation", "format": "bigbed", "url": f"{address}/run.hits.bb"},
        {"name": "bigwig", "type": "wig", "format": "bigwig", "url": f"{address}/run.bw"},
    ]
    reference = {"id": "t", "fastaURL": f"{address}/genome.fa", "indexURL": f"{address}/genome.fa.fai"}
    settings = {"reference": reference, "locus": f"{CHROM}:1-800", "tracks": tracks, "showSVGButton": False}
    chromium.show(1200)
    chromium.open(f"{address}/page.html")
    return json.loads(
        chromium.value(f"""(async () => {{
          const browser = await igv.createBrowser(document.getElementById("igv"), {json.dumps(settings)});
          const found = {{ svg: browser.toSVG(), features: {{}} }};
          for (const {{ track }} of browser.trackViews) {{
            if (!["bed", "bigbed", "bigwig"].includes(track.name)) continue;
            const features = await track.getFeatures("{CHROM}", 0, {LENGTH}, 1);
            found.features[track.name] = features.map((f) => ({{
              start: f.start, end: f.end, name: f.name, strand: f.strand, color: f.color, value: f.value }}));
          }}
          return JSON.stringify(found);
        }})()""")
    ), values[0]


@pytest.mark.parametrize("track", ["bed", "bigbed"])
def test_features_have_their_place_name_strand_and_colour(drawn, track):
    found = [(f["start"], f["end"], f["name"], f["strand"], f["color"]) for f in drawn[0]["features"][track]]
    assert found == [
        (100, 160, "su(Hw)", "+", "rgb(0,114,178)"), (500, 560, "CTCF/<b>x", "-", "rgb(213,94,0)"),
    ]  # fmt: skip


def test_names_are_drawn_in_both_tracks(drawn):
    assert drawn[0]["svg"].count("su(Hw)") >= 2


def test_the_bigwig_has_the_contribution_of_each_base(drawn):
    found, values = drawn
    read = {f["start"]: f["value"] for f in found["features"]["bigwig"] if f["end"] - f["start"] == 1}
    assert read == pytest.approx({50 + i: float(np.float32(v)) for i, v in enumerate(values)}, rel=1e-5)
