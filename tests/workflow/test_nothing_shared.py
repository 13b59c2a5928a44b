"""The workflow where jobs share no folder: through a storage plugin, and as pods of Kubernetes.

The storage is a folder that jobs reach only through Snakemake's plugin `fs`, as they would reach a bucket.
`make test-cloud` installs the plugins and runs these.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers.own_network import SITES, write_network, write_regions

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PODS = ROOT / "tests" / "helpers" / "pods.py"
TOOL = "import sys; from sparselrp_cli.cli.main import main; sys.argv[0] = 'sparselrp'; main()"
CONFIG = """\
samples: samples.tsv
models:
  own: {{model: net.py:Net, weights: net.pt, targets: [second]}}
shards: 2
device: cpu
retries: 0
resources:
  attribute: {{threads: 1, gpu: {gpu}, mem_mb: 3000}}
motifs: {{enabled: {motifs}, options: [--max-seqlets, "200"]}}
"""


def needs(*plugins: str) -> pytest.MarkDecorator:
    absent = [name for name in plugins if find_spec(f"snakemake_{name.replace('-', '_')}") is None]
    return pytest.mark.skipif(bool(absent), reason=f"not installed: snakemake-{', snakemake-'.join(absent)}")


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """Where inputs lie and outputs go."""
    place = tmp_path / "bucket"
    place.mkdir()
    write_network(place)
    write_regions(place, 300)
    return place


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder in which snakemake runs: the workflow, the configuration, and a `sparselrp`."""
    folder = tmp_path / "project"
    (folder / "bin").mkdir(parents=True)
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    (folder / "bin" / "sparselrp").write_text(f"#!{sys.executable}\n{TOOL}\n")
    (folder / "bin" / "sparselrp").chmod(0o755)
    (folder / "samples.tsv").write_text("sample\tgenome\tregions\npeaks\tgenome.fa\tpeaks.bed\n")
    return folder


def snakemake(project: Path, bucket: Path, *command: object) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(project / "bin"), os.environ["PATH"]])
    return subprocess.run(
        [sys.executable, *map(str, command), "-s", "workflow/Snakefile", "--configfile", "config.yaml",
         "--default-storage-provider", "fs", "--default-storage-prefix", str(bucket),
         "--shared-fs-usage", "none"],
        cwd=project, env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@needs("storage-plugin-fs")
def test_inputs_come_from_the_storage_and_results_go_there(project, bucket):
    (project / "config.yaml").write_text(CONFIG.format(gpu=0, motifs="true"))
    done = snakemake(project, bucket, "-m", "snakemake", "-c", 2)
    assert done.returncode == 0, done.stdout + done.stderr

    results = bucket / "results"
    assert (results / "peaks.own" / "peaks.own.bw").stat().st_size > 0
    with (results / "motifs" / "peaks.own.motifs.tsv").open() as table:
        (motif,) = csv.DictReader(table, delimiter="\t")
    other_strand = SITES[1][::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert motif["consensus"] in (SITES[1], other_strand)
    page = (results / "reports" / "peaks.own.report.html").read_text()
    assert "Above pruned, below unpruned" in page
    assert not (results / "shards").exists() or not list((results / "shards").rglob("*.h5")), (
        "merged and gone"
    )
    assert not (project / "results").exists()


@needs("executor-plugin-kubernetes", "storage-plugin-fs", "storage-plugin-s3")
@pytest.mark.parametrize("gpu", [0, 1])
def test_a_pod_asks_for_what_the_configuration_says(project, bucket, gpu):
    (project / "config.yaml").write_text(CONFIG.format(gpu=gpu, motifs="false"))
    kept = project / "pods.jsonl"
    profile = project / "workflow" / "profiles" / "kubernetes"
    done = snakemake(project, bucket, PODS, kept, "--workflow-profile", profile)
    assert kept.exists(), done.stdout + done.stderr

    sent = [json.loads(line)["spec"]["template"]["spec"] for line in kept.read_text().splitlines()]
    assert len(sent) == 2, "two shards; what comes after waits for them"
    for pod in sent:
        (container,) = pod["containers"]
        wanted = container["resources"]["requests"]
        assert (wanted["memory"], wanted["ephemeral-storage"]) == ("3000M", "20000M")
        assert wanted.get("nvidia.com/gpu") == (str(gpu) if gpu else None)
        assert bool(pod.get("tolerations")) == bool(gpu)
        assert container["image"] == "your-registry/sparselrp-workflow:0.2"
        assert "--shared-fs-usage 'none'" in container["args"][1]
        assert "--snakefile 'workflow/Snakefile'" in container["args"][1]
