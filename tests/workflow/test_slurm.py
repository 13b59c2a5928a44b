"""The workflow's SLURM profile on a SLURM: a time limit that stops a shard, and a retry that goes on.

A node of its own is started for each test, see `helpers.slurm_node`; `make test-slurm` runs these alone.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from helpers.own_network import write_network, write_regions
from helpers.slurm_node import SlurmNode, missing, slurm_node

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "workflow"
TOOL = "import sys; from sparselrp_cli.cli.main import main; sys.argv[0] = 'sparselrp'; main()"
# Bytes: more than a journal without windows has, less than one with its first block of 256 windows.
BLOCK = 100_000
# At its first call for shard 2 the tool is held when a block of windows is kept, as if the node were slow. It
# is let go when SLURM says that the time is nearly up: SIGTERM to every process of the job.
SLOW_ONCE = f"""\
#!{sys.executable}
import os, signal, subprocess, sys, time
from pathlib import Path

command = [sys.executable, "-c", {TOOL!r}, *sys.argv[1:]]
mark = Path({{mark!r}})
if "2/2" not in sys.argv or mark.exists():
    os.execv(command[0], command)
partial = Path(sys.argv[sys.argv.index("-o") + 1] + ".partial")
warned = []
signal.signal(signal.SIGTERM, lambda number, frame: warned.append(number))
tool = subprocess.Popen(command)
while not warned and (not partial.exists() or partial.stat().st_size < {BLOCK}):
    time.sleep(0.02)
if not warned:
    tool.send_signal(signal.SIGSTOP)
while not warned:
    time.sleep(0.1)
tool.send_signal(signal.SIGCONT)
code = tool.wait()
if partial.exists() and partial.stat().st_size >= {BLOCK}:
    mark.write_text(str(code))
sys.exit(code)
"""
CONFIG = """\
samples: samples.tsv
models:
  own:
    model: net.py:Net
    weights: net.pt
    targets: [first]
shards: 2
batch_size: 16
device: cpu
retries: {retries}
formats: [bigwig]
resources:
  attribute: {{threads: 1, gpu: {gpu}, mem_mb: 1500, runtime: 2}}
  merge: {{mem_mb: 1000, runtime: 10}}
  shuffle: {{mem_mb: 1000, runtime: 10}}
  motifs: {{threads: 2, mem_mb: 2000, runtime: 10}}
  report: {{mem_mb: 1000, runtime: 10}}
motifs: {{enabled: {motifs}, options: [--max-seqlets, "200"]}}
"""
# The profile as it is shipped, but for waiting: a small node answers at once.
QUICK = (
    "--slurm-init-seconds-before-status-checks", "5", "--seconds-between-status-checks", "5",
    "--latency-wait", "20",
)  # fmt: skip


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        yield Path(folder)


def prepare(
    folder: Path, config: str, edits: Mapping[str, str], tool: str = f"#!{sys.executable}\n{TOOL}\n"
) -> None:
    """Write a user's own files, a copy of the profile with its edits, and a `sparselrp` of this checkout."""
    profile = (WORKFLOW / "profiles" / "slurm" / "config.yaml").read_text()
    for old, new in edits.items():
        assert old in profile
        profile = profile.replace(old, new)
    (folder / "profile").mkdir()
    (folder / "profile" / "config.yaml").write_text(profile)
    write_network(folder)
    write_regions(folder, 600)
    (folder / "samples.tsv").write_text("sample\tgenome\tregions\npeaks\tgenome.fa\tpeaks.bed\n")
    (folder / "config.yaml").write_text(config)
    (folder / "bin").mkdir()
    (folder / "bin" / "sparselrp").write_text(tool)
    (folder / "bin" / "sparselrp").chmod(0o755)


def send(folder: Path, node: SlurmNode) -> str:
    """Run the workflow with the SLURM profile, and give what Snakemake says."""
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="the SLURM plugin of Snakemake isn't there")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", str(WORKFLOW / "Snakefile"), "--configfile", "config.yaml",
         "--workflow-profile", "profile", *QUICK],
        cwd=folder, env=environment(folder, node), capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said + logs(folder)
    return said


def environment(folder: Path, node: SlurmNode) -> dict[str, str]:
    path = os.pathsep.join([str(folder / "bin"), node.environment["PATH"]])
    return {**node.environment, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def logs(folder: Path) -> str:
    found = [*folder.rglob("results/logs/*/*.log"), *folder.rglob(".snakemake/slurm_logs/*/*/*.log")]
    return "".join(f"\n{path}:\n{path.read_text()}" for path in found)


def jobs(node: SlurmNode) -> list[dict[str, str]]:
    """What SLURM knows of the jobs it was sent, in their order."""
    shown = node.run("scontrol", "show", "job", "--oneliner").splitlines()
    return [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in shown if "JobId" in line]


def of_rule(node: SlurmNode, rule: str) -> list[dict[str, str]]:
    return [job for job in jobs(node) if job["Comment"].startswith(f"rule_{rule}")]


def needs_slurm(*, accounting: bool = False) -> pytest.MarkDecorator:
    lack = missing(accounting=accounting)
    return pytest.mark.skipif(lack is not None, reason=str(lack))


@needs_slurm()
def test_a_shard_that_the_time_limit_stops_goes_on_and_all_ends_in_a_report(place, tmp_path):
    mark = tmp_path / "stopped"
    config = CONFIG.format(retries=3, gpu=1, motifs="true")
    prepare(tmp_path, config, {"TERM@120": "TERM@60"}, SLOW_ONCE.format(mark=str(mark)))
    with slurm_node(place) as node:
        send(tmp_path, node)
        explained, others = of_rule(node, "attribute"), of_rule(node, "merge") + of_rule(node, "report")

    assert int(mark.read_text()) == 75, "the tool stopped in good order, told by SLURM"
    results = tmp_path / "results"
    log = (results / "logs" / "attribute" / "peaks.own.2.log").read_text()
    assert "going on after 256 windows" in log
    assert {job["TimeLimit"] for job in explained} == {"00:02:00"}
    assert [job["JobState"] for job in explained if job["JobState"] != "COMPLETED"][-1:] == ["FAILED"]
    assert {(job["Partition"], job.get("TresPerJob")) for job in explained} == {("gpu", "gres:gpu:1")}
    assert {(job["Partition"], job.get("TresPerJob")) for job in others} == {("cpu", None)}
    assert not list((results / "shards").rglob("*.partial"))
    assert same_as_in_one_piece(tmp_path, results / "peaks.own" / "peaks.own")
    assert "peak" in (results / "reports" / "peaks.own.report.html").read_text()
    assert len((results / "motifs" / "peaks.own.motifs.tsv").read_text().splitlines()) == 2


def same_as_in_one_piece(folder: Path, prefix: Path) -> bool:
    """Whether the merged run is, byte for byte, that of one call on this machine."""
    whole = folder / "whole"
    subprocess.run(
        [sys.executable, "-c", TOOL, "attribute", "genome.fa", "-r", "peaks.bed", "-m", "net.py:Net", "-w",
         "net.pt", "-t", "first", "-b", "16", "--device", "cpu", "--threads", "1", "-o", str(whole),
         "--formats", "h5,bigwig"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, check=True,
    )  # fmt: skip
    pairs = [(f"{whole}{ending}", f"{prefix}{ending}") for ending in (".h5", ".bw", ".windows.tsv")]
    return all(Path(a).read_bytes() == Path(b).read_bytes() for a, b in pairs)


@needs_slurm(accounting=True)
def test_with_accounting_jobs_are_sent_under_the_account_that_the_profile_names(place, tmp_path):
    edits = {
        "# slurm_account: your_account": "slurm_account: lab",
        "# gres: gpu:1": "gres: gpu:1",
        "slurm-status-command: squeue": "slurm-status-command: sacct",
    }
    prepare(tmp_path, CONFIG.format(retries=0, gpu=0, motifs="false"), edits)
    with slurm_node(place, accounting=True) as node:
        send(tmp_path, node)
        explained = of_rule(node, "attribute")
        recorded = node.run("sacct", "-X", "-n", "-P", "-o", "Account,State").split()
    assert {job["TresPerNode"] for job in explained} == {"gres:gpu:1"}
    assert {job["Account"] for job in explained} == {"lab"}
    assert recorded == ["lab|COMPLETED"] * 3, "two shards and their merging"
    assert (tmp_path / "results" / "peaks.own" / "peaks.own.bw").exists()
