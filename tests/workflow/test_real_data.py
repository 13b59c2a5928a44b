"""The main job on real data: held-out su(Hw) peaks, the shipped model, and programs that read our files."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from helpers.commands import run_here

from sparselrp_cli.cli import following
from sparselrp_cli.cli.main import run

ROOT = Path(__file__).parents[2]
DATA = ROOT / "data"
LENGTH = 600


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A folder with gradient x input, LRP and PLRP of all held-out peaks."""
    folder = tmp_path_factory.mktemp("suhw")
    genome = shutil.copy(DATA / "chr2R-15-21Mb.fa.gz", folder)
    common = [
        "attribute",
        str(genome),
        "-r",
        str(DATA / "suhw-peaks.bed"),
        "-m",
        str(ROOT / "models" / "suhw-dm3"),
    ]
    for name, options in {
        "gradient": ["-p", "0", "--composite", "zero"],
        "lrp": ["-p", "0"],
        "plrp": ["--formats", "h5,bigwig,modisco,finemo"],
    }.items():
        assert run([*common, "-q", "-o", str(folder / name), *options]) == 0
    return folder


def evaluated(runs: Path, capsys, *names: str) -> dict[str, dict[str, float]]:
    archives = [str(runs / f"{name}.h5") for name in names]
    motif = ["--motif", str(DATA / "suhw-MA0533.1.jaspar"), "--min-score", "0", "--json"]
    assert run(["evaluate", *archives, *motif]) == 0
    return {row["method"]: row for row in json.loads(capsys.readouterr().out)}


def test_pruned_relevance_falls_into_the_sites(runs, capsys):
    rows = evaluated(runs, capsys, "gradient", "lrp", "plrp")
    assert rows["plrp"]["windows"] > 100
    assert rows["plrp"]["mass_in_sites"] > rows["lrp"]["mass_in_sites"] > 0.7
    assert rows["plrp"]["gini"] > rows["lrp"]["gini"]
    assert rows["plrp"]["zero_share"] > rows["lrp"]["zero_share"]
    assert rows["lrp"]["auroc"] > rows["gradient"]["auroc"]


def test_conservation_holds_on_every_real_window(runs):
    with h5py.File(runs / "plrp.h5") as archive:
        assert archive["conservation_error"][:].max() < 1e-4


def tool(*command: object) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def beside_python(name: str) -> Path:
    """A command installed with this interpreter."""
    return Path(sys.executable).parent / name


@pytest.mark.slow
@pytest.mark.parametrize("form", ["archive", "arrays"])
def test_modisco_finds_one_strong_positive_motif(runs, tmp_path, form):
    inputs = (
        ["-i", runs / "plrp.h5"]
        if form == "archive"
        else ["-s", runs / "plrp.ohe.npz", "-a", runs / "plrp.attr.npz"]
    )
    tool(beside_python("modisco"), "motifs", *inputs, "-n", 2000, "-w", 400, "-o", tmp_path / "motifs.h5")
    with h5py.File(tmp_path / "motifs.h5") as found:
        sizes = [int(p["seqlets"]["n_seqlets"][0]) for p in found["pos_patterns"].values()]
    assert max(sizes) > 100


@pytest.mark.slow
def test_finemo_reads_the_archive_with_its_regions(runs, tmp_path):
    tool(
        beside_python("finemo"), "extract-regions-bpnet-h5", "-c", runs / "plrp.h5",
        "-p", runs / "plrp.regions.narrowPeak", "-w", LENGTH, "-o", tmp_path / "regions.npz",
    )  # fmt: skip
    assert (tmp_path / "regions.npz").stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize("p", ["0", "0.25"])
def test_one_command_goes_from_peaks_to_a_report_that_names_the_motif(tmp_path, p):
    prefix = tmp_path / "run"
    given = ["-r", DATA / "suhw-peaks.bed", "-m", ROOT / "models" / "suhw-dm3", "-o", prefix, "-p", p, "-q"]
    naming = ["--report", "--database", DATA / "jaspar2026-insects.meme"]
    assert run(list(map(str, ["attribute", DATA / "chr2R-15-21Mb.fa.gz", *given, *naming]))) == 0
    first = json.loads((tmp_path / "run.motifs.json").read_text())["motifs"][0]
    best = first["matches"][0]
    assert (best["name"], best["alt_name"], best["strand"]) == ("MA0533.1", "su(Hw)", "+")
    assert best["q"] < 1e-6
    assert first["n_seqlets"] > 100
    assert "su(Hw)" in (tmp_path / "run.report.html").read_text()
    # Two tables of the run, and none of its background or of its companion without pruning.
    assert sorted(path.name for path in tmp_path.glob("*_mqc.tsv")) == ["run.motifs_mqc.tsv", "run_mqc.tsv"]
    n_hits = finemo_hits(prefix, tmp_path / "run.motifs.h5")
    assert 0.7 < n_hits / first["n_hits"] < 1.5


def finemo_hits(prefix: Path, motifs: Path) -> int:
    """Let Fi-NeMo call hits of our motifs in our archive."""
    assert run(["export", f"{prefix}.h5", "--formats", "finemo", "-q"]) == 0
    regions, arrays, out = f"{prefix}.regions.narrowPeak", f"{prefix}.finemo.npz", prefix.with_name("hits")
    tool(
        beside_python("finemo"), "extract-regions-bpnet-h5", "-c", f"{prefix}.h5", "-p", regions,
        "-w", LENGTH, "-o", arrays,
    )  # fmt: skip
    tool(beside_python("finemo"), "call-hits", "-r", arrays, "-m", motifs, "-o", out, "-p", regions)
    return len((out / "hits.tsv").read_text().splitlines()) - 1


# TF-MoDISco's own.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_few_windows_are_shuffled_often_enough_for_a_null(tmp_path, monkeypatch):
    # A process of its own would compile TF-MoDISco's loops once more.
    monkeypatch.setattr(following, "run_command", run_here)
    few = tmp_path / "few.bed"
    few.write_text("".join((DATA / "suhw-peaks.bed").read_text().splitlines(keepends=True)[:4]))
    given = ["-r", few, "-m", ROOT / "models" / "suhw-dm3", "-o", tmp_path / "run", "-q", "--report"]
    assert run(list(map(str, ["attribute", DATA / "chr2R-15-21Mb.fa.gz", *given]))) == 0
    null = json.loads((tmp_path / "run.motifs.json").read_text())["null"]["positive"]
    assert null["kind"] == "background"
    assert null["windows"] == 300
    assert (tmp_path / "run.report.html").is_file()


def test_a_database_that_is_none_is_said_before_the_long_part(tmp_path, capsys):
    given = ["attribute", "x.fa", "-m", "model", "-o", str(tmp_path / "run"), "--report"]
    assert run([*given, "--database", str(tmp_path / "none.meme")]) == 1
    assert "none.meme: can't be read" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--report", "--shard", "1/2"], "merge the shards"), (["--database", "x"], "goes with --report")],
)
def test_options_that_dont_go_together_are_wrong_usage(tmp_path, capsys, options, said):
    given = ["attribute", "x.fa", "-m", "model", "-o", str(tmp_path / "run"), *options]
    assert run(given) == 2
    assert said in capsys.readouterr().err
