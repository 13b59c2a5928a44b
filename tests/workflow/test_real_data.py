"""The main job on real data: held-out su(Hw) peaks, the shipped model, and programs that read our files."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

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
    return {row["archive"]: row for row in json.loads(capsys.readouterr().out)}


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
