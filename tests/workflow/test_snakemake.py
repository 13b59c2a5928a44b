"""The Snakemake workflow and wrapper on the demo's data, with a shard that is stopped on the way."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "workflow"
PEAKS = 120
# Bytes: more than a journal without windows has, less than one with its first block of 256 windows.
BLOCK = 100_000
TOOL = "import sys; from sparselrp_cli.cli.main import main; sys.argv[0] = 'sparselrp'; main()"
RUNS_TOOL = f"""\
#!{sys.executable}
{TOOL}
"""
# At its first call for shard 2 it starts the true tool, waits until a block of windows is kept, and stops it.
STOPS_ONCE = f"""\
#!{sys.executable}
import os, subprocess, sys, time
from pathlib import Path

command = [sys.executable, "-c", {TOOL!r}, *sys.argv[1:]]
mark = Path({{mark!r}})
if "2/3" not in sys.argv or mark.exists():
    os.execv(command[0], command)
partial = Path(sys.argv[sys.argv.index("-o") + 1] + ".partial")
tool = subprocess.Popen(command)
before = 0
while tool.poll() is None:
    # At rest: a record that is only half on the disk when the tool dies doesn't count.
    now = partial.stat().st_size if partial.exists() else 0
    if now == before > {BLOCK}:
        tool.send_signal({{signal}})
        tool.wait()
        mark.write_text(str(tool.returncode))
        sys.exit(tool.returncode % 256)
    before = now
    time.sleep(0.02)
sys.exit("the tool was done before it could be stopped")
"""


def found(name: str) -> str | None:
    """A command beside this interpreter, or on PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name)


@pytest.fixture(scope="module")
def snakemake() -> str:
    command = found("snakemake")
    if command is None:
        pytest.skip("snakemake isn't installed")
    return command


def put_tool(folder: Path, text: str = RUNS_TOOL) -> dict[str, str]:
    """Make `sparselrp` of this checkout the first on PATH, and give the environment."""
    folder.mkdir()
    script = folder / "sparselrp"
    script.write_text(text)
    script.chmod(0o755)
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run(folder: Path, environment: dict[str, str], *command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def copy_inputs(folder: Path, shifts: int = 1) -> None:
    """Copy what runs read to where it stands in the checkout: some peaks, and the same at other places."""
    shutil.copytree(ROOT / "models" / "suhw-dm3", folder / "models" / "suhw-dm3")
    (folder / "data").mkdir()
    shutil.copy(ROOT / "data" / "chr2R-15-21Mb.fa.gz", folder / "data")
    peaks = [line.split("\t") for line in (ROOT / "data" / "suhw-peaks.bed").read_text().splitlines()]
    with (folder / "data" / "suhw-peaks.bed").open("w") as bed:
        for shift in range(shifts):
            for chrom, start, end, name, *_ in peaks[:PEAKS]:
                by = 170 * shift
                print(chrom, int(start) + by, int(end) + by, f"{name}_{shift}", sep="\t", file=bed)


def write_config(folder: Path, text: str) -> Path:
    (folder / "samples.tsv").write_text(
        "sample\tgenome\tregions\npeaks\tdata/chr2R-15-21Mb.fa.gz\tdata/suhw-peaks.bed\n"
    )
    (folder / "config.yaml").write_text(text)
    return folder / "config.yaml"


FILES = (
    ".h5", ".bw", ".windows.tsv", ".skipped.tsv", ".ohe.npz", ".attr.npz", ".regions.narrowPeak",
)  # fmt: skip
CONFIG = """\
samples: samples.tsv
models:
  suhw:
    folders: models/suhw-dm3
    prune: 0.3
    options: [--composite, epsilon]
shards: 3
formats: [bigwig, modisco, finemo]
batch_size: 8
device: cpu
retries: 1
resources:
  attribute: {threads: 1}
"""


def test_the_workflow_passes_the_linter(snakemake, tmp_path):
    copy_inputs(tmp_path)
    shutil.copytree(WORKFLOW, tmp_path / "workflow")
    done = run(
        tmp_path, dict(os.environ), snakemake, "--lint", "-s", "workflow/Snakefile",
        "--configfile", "workflow/config/demo.yaml",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_is_formatted():
    snakefmt = found("snakefmt")
    if snakefmt is None:
        pytest.skip("snakefmt isn't installed")
    done = run(ROOT, dict(os.environ), snakefmt, "--check", WORKFLOW)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["config.yaml", "demo.yaml"])
def test_the_shipped_configurations_plan_a_run(snakemake, tmp_path, name):
    copy_inputs(tmp_path)
    shutil.copytree(WORKFLOW, tmp_path / "workflow")
    done = run(
        tmp_path, dict(os.environ), snakemake, "-n", "-s", "workflow/Snakefile",
        "--configfile", f"workflow/config/{name}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rule merge:" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["local", "slurm"])
def test_the_profiles_hold_options_that_there_are(snakemake, tmp_path, name):
    yaml = pytest.importorskip("yaml", reason="PyYAML isn't installed")
    options = yaml.safe_load((WORKFLOW / "profiles" / name / "config.yaml").read_text())
    known = run(tmp_path, dict(os.environ), snakemake, "--help").stdout
    assert [option for option in options if f"--{option}" not in known] == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("shards: 3", "shard: 3"), "'shard' was unexpected"),
        (("prune: 0.3", "pruning: 0.3"), "'pruning' was unexpected"),
        (("prune: 0.3", "prune: 1.5"), "1.5 is not valid"),
        (("bigwig,", "bigwigs,"), "'bigwigs' is not one of"),
        (("  suhw:", "  su.hw:"), "'su.hw' does not match"),
        (("samples: samples.tsv", "samples: none.tsv"), "samples: none.tsv can't be read: No such file"),
        (("prune: 0.3", "targets: [0, 1]"), "motifs: model 'suhw' has 2 targets"),
    ],
)
def test_a_configuration_with_a_mistake_is_refused_by_name(snakemake, tmp_path, change, complaint):
    copy_inputs(tmp_path)
    text = CONFIG + ("motifs: {enabled: true}\n" if "targets" in change[1] else "")
    config = write_config(tmp_path, text.replace(*change))
    done = run(
        tmp_path, dict(os.environ), snakemake, "-n", "-s", WORKFLOW / "Snakefile", "--configfile", config
    )
    assert done.returncode == 1
    assert complaint in done.stdout + done.stderr


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A folder with the run of the configuration in one piece, and what it read."""
    folder = tmp_path_factory.mktemp("whole")
    copy_inputs(folder, shifts=11)
    environment = put_tool(folder / "bin")
    done = run(
        folder, environment, folder / "bin" / "sparselrp", "attribute", "data/chr2R-15-21Mb.fa.gz",
        "-r", "data/suhw-peaks.bed", "-m", "models/suhw-dm3", "-o", "whole", "-p", 0.3,
        "--composite", "epsilon", "-b", 8, "--device", "cpu", "--threads", 1,
        "--formats", "h5,bigwig,modisco,finemo",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 75)])
def test_a_stopped_shard_goes_on_and_the_merged_run_is_the_run_in_one_piece(
    snakemake, whole, tmp_path, stop, code
):
    for name in ("data", "models"):
        shutil.copytree(whole / name, tmp_path / name)
    config = write_config(tmp_path, CONFIG)
    mark = tmp_path / "stopped"
    environment = put_tool(tmp_path / "bin", STOPS_ONCE.format(mark=str(mark), signal=int(stop)))
    command = [snakemake, "-s", WORKFLOW / "Snakefile", "--configfile", config, "--show-failed-logs"]
    done = run(tmp_path, environment, *command, "-c", 2)
    assert done.returncode == 0, done.stdout + done.stderr

    assert int(mark.read_text()) == code
    results = tmp_path / "results"
    log = (results / "logs" / "attribute" / "peaks.suhw.2.log").read_text()
    kept = re.search(r"going on after (\d+) windows", log)
    assert kept, log
    assert int(kept[1]) >= 256
    for ending in FILES:
        merged = results / "peaks.suhw" / f"peaks.suhw{ending}"
        assert merged.read_bytes() == (whole / f"whole{ending}").read_bytes(), ending
    assert (results / "peaks.suhw" / "peaks.suhw_mqc.tsv").exists()
    left = [path.name for path in (results / "shards").rglob("*") if path.is_file()]
    assert left == [], "shards and what was kept of them are gone"
    again = run(tmp_path, environment, *command, "-n")
    assert "Nothing to be done" in again.stdout + again.stderr


@pytest.mark.slow
def test_the_demo_runs_from_a_clean_checkout_up_to_motifs(snakemake, tmp_path):
    modisco = found("modisco")
    if modisco is None:
        pytest.skip("modisco isn't installed")
    for name in ("workflow", "models"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("*.fai", "*.gzi"))
    demo = tmp_path / "workflow" / "config" / "demo.yaml"
    demo.write_text(demo.read_text() + "motifs: {enabled: true}\n")
    environment = put_tool(tmp_path / "bin")
    (tmp_path / "bin" / "modisco").symlink_to(modisco)
    done = run(tmp_path, environment, snakemake, "-s", "workflow/Snakefile", "--configfile", demo, "-c", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    with h5py.File(tmp_path / "demo-output" / "workflow" / "motifs" / "suhw.suhw-dm3.h5") as motifs:
        assert len(motifs["pos_patterns"]) >= 1


@pytest.mark.slow
def test_the_report_shows_every_run(snakemake, tmp_path):
    if found("multiqc") is None:
        pytest.skip("multiqc isn't installed")
    copy_inputs(tmp_path)
    second = "  other:\n    folders: [models/suhw-dm3, models/suhw-dm3]\nshards: 1\n"
    config = write_config(tmp_path, CONFIG.replace("shards: 3\n", second) + "multiqc: {enabled: true}\n")
    environment = put_tool(tmp_path / "bin")
    environment["PATH"] += os.pathsep + str(Path(found("multiqc") or "").parent)
    done = run(
        tmp_path, environment, snakemake, "-s", WORKFLOW / "Snakefile", "--configfile", config, "-c", 2
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = (tmp_path / "results" / "multiqc_report.html").read_text()
    assert "peaks.suhw" in report
    assert "peaks.other" in report


@pytest.mark.slow
def test_the_wrapper_runs_its_own_test(snakemake, tmp_path):
    copy_inputs(tmp_path)
    shutil.copytree(WORKFLOW / "wrapper", tmp_path / "workflow" / "wrapper")
    place = tmp_path / "workflow" / "wrapper" / "test"
    done = run(place, put_tool(tmp_path / "bin"), snakemake, "-c", 1, "-s", "Snakefile")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len((place / "results" / "peaks.windows.tsv").read_text().splitlines()) == PEAKS + 1
    assert (place / "results" / "peaks.bw").stat().st_size > 0
