"""The workflow's SLURM profile on a SLURM: a time limit that stops a shard, and a retry that goes on.

A node of its own is started for each test, see `helpers.slurm_node`; `make test-slurm` runs these alone.
"""

import csv
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from helpers import slurm_node as slurm_node_module
from helpers.own_network import SITES, write_network, write_regions
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
# What a user might type.
INIT = (
    "init", "genome.fa", "-r", "peaks.bed", "-m", "net.py:Net", "-w", "net.pt", "-t", "first",
    "--profile", "slurm", "--shards", "2", "-o", ".",
)  # fmt: skip
RESOURCES = "attribute: {threads: 4, gpu: 0, mem_mb: 8000, runtime: 240}"
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
    folder: Path, *more: str, edits: Mapping[str, str], tool: str = f"#!{sys.executable}\n{TOOL}\n"
) -> None:
    """Write a user's own files, a configuration and a profile with some edits, and a `sparselrp` of ours."""
    write_network(folder)
    write_regions(folder, 600)
    call(folder, *INIT, *more)
    for path in (folder / "config.yaml", folder / "profile" / "config.yaml"):
        text = path.read_text()
        for old, new in edits.items():
            text = text.replace(old, new)
        path.write_text(text)
    (folder / "bin").mkdir()
    (folder / "bin" / "sparselrp").write_text(tool)
    (folder / "bin" / "sparselrp").chmod(0o755)


def call(folder: Path, *arguments: str) -> None:
    """Call `sparselrp` of this checkout."""
    subprocess.run(
        [sys.executable, "-c", TOOL, *arguments], cwd=folder, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


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
def test_a_shard_that_the_time_limit_stops_goes_on_and_all_ends_in_reports(place, tmp_path):
    mark = tmp_path / "stopped"
    edits = {
        # One thread and batches of one size, so that the bytes can be compared.
        RESOURCES: "attribute: {threads: 1, gpu: 1, mem_mb: 2000, runtime: 2}\nbatch_size: 16\ndevice: cpu",
        "retries: 2": "retries: 6",
        "enabled: true": "enabled: true\n  options: [--max-seqlets, '200']",
        "TERM@120": "TERM@60",
    }
    prepare(tmp_path, "-t", "second", edits=edits, tool=SLOW_ONCE.format(mark=str(mark)))
    with slurm_node(place) as node:
        send(tmp_path, node)
        explained, others = of_rule(node, "attribute"), of_rule(node, "merge") + of_rule(node, "report")

    assert int(mark.read_text()) == 75, "the tool stopped in good order, told by SLURM"
    results = tmp_path / "results"
    assert "going on after 256 windows" in (results / "logs/attribute/peaks.net-Net.2.log").read_text()
    assert {job["TimeLimit"] for job in explained} == {"00:02:00"}
    # Where the node is so slow that the job isn't gone at its limit, SLURM says so in place of the tool's 75.
    ended = {job["JobState"] for job in explained}
    assert ended in ({"COMPLETED", "FAILED"}, {"COMPLETED", "TIMEOUT"}, {"COMPLETED", "FAILED", "TIMEOUT"})
    assert {(job["Partition"], job.get("TresPerJob")) for job in explained} == {("gpu", "gres:gpu:1")}
    assert {(job["Partition"], job.get("TresPerJob")) for job in others} == {("cpu", None)}
    assert not list((results / "shards").rglob("*.partial"))
    assert same_as_in_one_piece(tmp_path, results / "peaks.net-Net" / "peaks.net-Net")
    for target, site in zip(("first", "second"), SITES, strict=True):
        with (results / "motifs" / f"peaks.net-Net.{target}.motifs.tsv").open() as table:
            (motif,) = csv.DictReader(table, delimiter="\t")
        assert motif["consensus"] in (site, reverse_complement(site))
        page = (results / "reports" / f"peaks.net-Net.{target}.report.html").read_text()
        assert motif["consensus"] in page


def reverse_complement(site: str) -> str:
    return site[::-1].translate(str.maketrans("ACGT", "TGCA"))


def same_as_in_one_piece(folder: Path, prefix: Path) -> bool:
    """Whether the merged run is, byte for byte, that of one call on this machine."""
    whole = folder / "whole"
    call(
        folder, "attribute", "genome.fa", "-r", "peaks.bed", "-m", "net.py:Net", "-w", "net.pt",
        "-t", "first", "-t", "second", "-b", "16", "--device", "cpu", "--threads", "1", "-o", str(whole),
        "--formats", "h5,bigwig",
    )  # fmt: skip
    pairs = [
        (f"{whole}{ending}", f"{prefix}{ending}") for ending in (".windows.tsv", ".first.bw", ".second.bw")
    ]
    return all(Path(a).read_bytes() == Path(b).read_bytes() for a, b in pairs)


@needs_slurm()
def test_any_command_can_be_run_beside_a_node_that_is_started_for_it():
    script = Path(slurm_node_module.__file__)
    asked = "sinfo -h -p gpu -o %D; srun -n1 printenv SLURM_JOB_NUM_NODES; exit 3"
    done = subprocess.run(
        [sys.executable, str(script), "sh", "-c", asked], capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.returncode) == (["1", "1"], 3), done.stderr


@needs_slurm(accounting=True)
def test_with_accounting_jobs_are_sent_under_the_account_that_the_profile_names(place, tmp_path):
    edits = {
        RESOURCES: "attribute: {threads: 1, gpu: 0, mem_mb: 2000, runtime: 60}",
        "retries: 2": "retries: 0",
        "enabled: true": "enabled: false",
        "# slurm_account: your_account": "slurm_account: lab",
        "# gres: gpu:1": "gres: gpu:1",
        "slurm-status-command: squeue": "slurm-status-command: sacct",
    }
    prepare(tmp_path, edits=edits)
    with slurm_node(place, accounting=True) as node:
        send(tmp_path, node)
        explained = of_rule(node, "attribute")
        recorded = node.run("sacct", "-X", "-n", "-P", "-o", "Account,State").split()
    assert {job["TresPerNode"] for job in explained} == {"gres:gpu:1"}
    assert {job["Account"] for job in explained} == {"lab"}
    assert recorded == ["lab|COMPLETED"] * 3, "two shards and their merging"
    assert (tmp_path / "results" / "peaks.net-Net" / "peaks.net-Net.bw").exists()
