"""The Snakemake workflow and wrapper on the demo's data, with a shard that is stopped on the way."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import h5py
import pytest
from helpers.planning import Snakemake

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
    for name in ("chr2R-15-21Mb.fa.gz", "jaspar2026-insects.meme"):
        shutil.copy(ROOT / "data" / name, folder / "data")
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
# In one line, so that a test can put another in its place.
MOTIFS = "motifs: {enabled: true}\n"


@pytest.fixture
def plan(planner: Snakemake) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Say what a configuration would run."""
    return lambda folder, config, *more: planner.call(
        folder, "-n", "-s", WORKFLOW / "Snakefile", "--configfile", config, *more
    )


def test_the_workflow_passes_the_linter(planner, tmp_path):
    copy_inputs(tmp_path)
    shutil.copytree(WORKFLOW, tmp_path / "workflow")
    done = planner.call(
        tmp_path, "--lint", "-s", "workflow/Snakefile", "--configfile", "workflow/config/demo.yaml"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_is_formatted():
    snakefmt = found("snakefmt")
    if snakefmt is None:
        pytest.skip("snakefmt isn't installed")
    done = run(ROOT, dict(os.environ), snakefmt, "--check", WORKFLOW)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["config.yaml", "demo.yaml"])
def test_the_shipped_configurations_plan_a_run(planner, tmp_path, name):
    copy_inputs(tmp_path)
    shutil.copytree(WORKFLOW, tmp_path / "workflow")
    done = planner.call(tmp_path, "-n", "-s", "workflow/Snakefile", "--configfile", f"workflow/config/{name}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rule merge:" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["local", "slurm", "kubernetes", "aws-batch"])
def test_the_profiles_hold_options_that_there_are(planner, tmp_path, name):
    yaml = pytest.importorskip("yaml", reason="PyYAML isn't installed")
    options = yaml.safe_load((WORKFLOW / "profiles" / name / "config.yaml").read_text())
    known = planner.call(tmp_path, "--help").stdout
    # What is of a plugin alone is known only where that is installed.
    plugin = find_spec(f"snakemake_executor_plugin_{name.replace('-', '_')}")
    of_plugin = [o for o in options if plugin is None and o.startswith(f"{name}-")]
    assert [o for o in options if f"--{o}" not in known and o not in of_plugin] == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("shards: 3", "shard: 3"), "'shard' was unexpected"),
        (("prune: 0.3", "pruning: 0.3"), "'pruning' was unexpected"),
        (("prune: 0.3", "prune: 1.5"), "1.5 is not valid"),
        (("bigwig,", "bigwigs,"), "'bigwigs' is not one of"),
        (("  suhw:", "  su.hw:"), "'su.hw' does not match"),
        (("samples: samples.tsv", "samples: none.tsv"), "samples: none.tsv can't be read: No such file"),
        ((MOTIFS, "motifs: {max_seqlets: 5}"), "'max_seqlets' was unexpected"),
        ((MOTIFS, "motifs: {enabled: true, database: jaspar.meme}"), "jaspar.meme"),
        (("prune: 0.3", "targets: [x@blocks]"), "motifs: model 'suhw' has a target with @blocks"),
        (("prune: 0.3", "targets_file: none.tsv"), "targets_file none.tsv can't be read: No such file"),
        (("prune: 0.3", "folds: some"), "'some' is not one of"),
        (("    folders: models/suhw-dm3\n", ""), "is not valid under any of the given schemas"),
        (("prune: 0.3", "model: net.py:Net"), "is valid under each of"),
        (("prune: 0.3", "weights: w.pt"), "'model' is a dependency of 'weights'"),
        (("prune: 0.3", "tokens: vocab.txt"), "'model' is a dependency of 'tokens'"),
    ],
)
def test_a_configuration_with_a_mistake_is_refused_by_name(plan, tmp_path, change, complaint):
    copy_inputs(tmp_path)
    config = write_config(tmp_path, (CONFIG + MOTIFS).replace(*change))
    done = plan(tmp_path, config)
    assert done.returncode == 1
    assert complaint in done.stdout + done.stderr


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def aliases() -> str:
    """Thirty lines that stand for 10^30 values; of aliases of mappings Snakemake itself makes no end."""
    lines = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 10}]" for i in range(1, 30))]
    return "\n".join([*lines, ""])


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (aliases(), "more than 100,000 values, its aliases written out"),
        (f"formats: {nested(50)}\n", "nested more than 20 deep"),
        pytest.param(f"formats: [{'h5, ' * 100_000}]\n", "more than 100,000 values", marks=pytest.mark.slow),
    ],
    ids=["aliases", "nested", "long"],
)
def test_a_configuration_that_never_ends_is_refused(plan, tmp_path, more, complaint):
    copy_inputs(tmp_path)
    config = write_config(tmp_path, (CONFIG + more).replace("formats: [bigwig, modisco, finemo]\n", "", 1))
    done = plan(tmp_path, config)
    assert done.returncode == 1
    assert complaint in done.stdout
    assert len(done.stdout) < 2000


HEADER, ROW = b"sample\tgenome\tregions\n", b"peaks\tdata/chr2R-15-21Mb.fa.gz\tdata/suhw-peaks.bed\n"


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (HEADER + b"peaks\t" + b"x" * 200_000 + b"\t\n", "samples.tsv line 2 is over 65536 letters"),
        (HEADER + b"x" * 60_000 + b"\tg.fa\t\n", "samples.tsv line 2: a name of over 100 letters"),
        (HEADER + b"p\0\tg.fa\t\n", "samples.tsv line 2 holds a NUL"),
        (HEADER + b"\xff\xfe\tg.fa\t\n", "samples.tsv isn't a table of text"),
        (HEADER + b"../../up\tg.fa\t\n", "'../../up' does not match"),
        (HEADER + b"peaks\tg.fa\t\tx\ty\n", "too many columns"),
        (HEADER + b"peaks\n", "None is not of type 'string'"),
        (HEADER + ROW + ROW, "line 3: sample 'peaks' is there already"),
        (HEADER, "has no samples"),
        (b"", "has no samples"),
        (b"\n" * 100, "has no samples"),
        (b"a\tb\n1\t2\n", "On instance:\n    {'a': '1', 'b': '2'}"),
    ],
)
def test_a_table_of_samples_with_absurd_cells_is_refused_in_a_few_words(plan, tmp_path, table, complaint):
    copy_inputs(tmp_path)
    config = write_config(tmp_path, CONFIG)
    (tmp_path / "samples.tsv").write_bytes(table)
    done = plan(tmp_path, config)
    assert done.returncode == 1
    assert complaint in done.stdout
    assert len(done.stdout) < 2000


def test_a_table_of_samples_may_begin_with_a_byte_order_mark(plan, tmp_path):
    copy_inputs(tmp_path)
    config = write_config(tmp_path, CONFIG)
    (tmp_path / "samples.tsv").write_bytes(b"\xef\xbb\xbf" + HEADER + ROW)
    assert plan(tmp_path, config).returncode == 0


def test_the_null_has_the_settings_of_the_run_and_a_release_is_no_file(plan, tmp_path):
    copy_inputs(tmp_path)
    more = MOTIFS.replace("true", "true, database: 'jaspar2026:insects', options: [--fdr, '0.01']")
    done = plan(tmp_path, write_config(tmp_path, CONFIG + more), "-p")
    assert done.returncode == 0, done.stdout + done.stderr
    commands = re.findall(r"exec (sparselrp (?:attribute|motifs) .*)", done.stdout + done.stderr)
    companion = " -p 0 --prune-negative 0 "
    explained = [c for c in commands if "sparselrp attribute" in c and companion not in c]
    (unpruned,) = (c.replace(companion, " ") for c in commands if companion in c)
    assert unpruned.startswith("sparselrp attribute data/chr2R-15-21Mb.fa.gz -r results/peaks.suhw/")
    settings = [re.findall(r"-m .* --threads \d+", command) for command in explained]
    assert len(settings) == 3 + 1, "three shards and the background"
    assert settings[0] == [
        "-m models/suhw-dm3/model.json -p 0.3 -b 8 --device cpu --composite epsilon --threads 1"
    ]
    assert all(each == settings[0] for each in settings)
    assert re.findall(r"-m .* --threads \d+", unpruned) == settings[0]
    (motifs,) = (command for command in commands if "sparselrp motifs" in command)
    assert "--background results/background/peaks.suhw.h5 --database jaspar2026:insects --fdr 0.01" in motifs


def test_packed_folders_and_factories_are_named_as_on_the_command_line(plan, tmp_path):
    copy_inputs(tmp_path)
    (tmp_path / "packed").mkdir()
    for name in (
        "net.py",
        "w.pt",
        "v.pt",
        "net.pt2",
        "packed/weights.safetensors",
        "vocab.txt",
        "odd=name.json",
    ):
        (tmp_path / name).touch()
    (tmp_path / "packed" / "graph.json").write_text("{}")
    models = {
        "packed": ("folders: packed", "-m packed/graph.json"),
        "both": ("folders: [packed/, models/suhw-dm3]", "-m packed/graph.json -m models/suhw-dm3/model.json"),
        "factory": ("model: net.py:Net, weights: w.pt", "-m net.py:Net -w w.pt"),
        "several": (
            "model: [net.py:Net, a.package:make, packed], weights: [w.pt, v.pt]",
            "-m net.py:Net -m a.package:make -m packed/graph.json -w w.pt -w v.pt",
        ),
        "kmers": (
            "model: net.py:Net, weights: w.pt, tokens: vocab.txt",
            "-m net.py:Net -w w.pt --tokens vocab.txt",
        ),
        "details": (
            "model: net.py:Net, tokens: 'vocab.txt,step=3,front='",
            "-m net.py:Net --tokens vocab.txt,step=3,front=",
        ),
        "bases": ("model: net.py:Net, tokens: 'A=7,C=8,G=9,T=10'", "-m net.py:Net --tokens A=7,C=8,G=9,T=10"),
        "odd": ("model: net.py:Net, tokens: odd=name.json", "-m net.py:Net --tokens odd=name.json"),
        "trusted": ("model: net.pt2, options: [--trust-model]", "-m net.pt2"),
    }
    entries = "".join(f"  {name}: {{{keys}}}\n" for name, (keys, _) in models.items())
    config = write_config(tmp_path, f"samples: samples.tsv\nmodels:\n{entries}")
    done = plan(tmp_path, config, "-p")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    planned = re.findall(r"sparselrp attribute .*?(-m .*?) -p [\d.]+ .*/peaks\.(\w+)/", said)
    assert {(name, options) for options, name in planned} == {(n, o) for n, (_, o) in models.items()}


def test_modisco_is_planned_on_the_arrays_of_the_run(plan, tmp_path):
    copy_inputs(tmp_path)
    text = CONFIG.replace("[bigwig, modisco, finemo]", "[bigwig]")
    config = write_config(tmp_path, text + "modisco: {enabled: true, max_seqlets: 70, window: 60}\n")
    done = plan(tmp_path, config, "-p")
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert "--formats h5,bigwig,modisco " in said
    assert "-n 70 -w 60 -o results/modisco/peaks.suhw.h5" in said
    assert "rule background" not in said


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
def test_the_demo_runs_from_a_clean_checkout_up_to_named_motifs_and_the_report(snakemake, tmp_path):
    modisco = found("modisco")
    assert modisco is not None, "modisco comes with sparselrp"
    for name in ("workflow", "models"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("*.fai", "*.gzi"))
    demo = tmp_path / "workflow" / "config" / "demo.yaml"
    demo.write_text(demo.read_text() + "modisco: {enabled: true}\n")
    environment = put_tool(tmp_path / "bin")
    (tmp_path / "bin" / "modisco").symlink_to(modisco)
    command = [snakemake, "-s", "workflow/Snakefile", "--configfile", demo]
    done = run(tmp_path, environment, *command, "-c", 2)
    assert done.returncode == 0, done.stdout + done.stderr

    made = tmp_path / "demo-output" / "workflow"
    with (made / "motifs" / "suhw.suhw-dm3.motifs.tsv").open() as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    assert [(row["match"], row["match_name"]) for row in rows] == [("MA0533.1", "su(Hw)")]
    page = (made / "reports" / "suhw.suhw-dm3.report.html").read_text()
    assert "MA0533.1" in page
    assert "Above pruned, below unpruned, to one scale." in page
    with h5py.File(made / "modisco" / "suhw.suhw-dm3.h5") as patterns:
        assert len(patterns["pos_patterns"]) >= 1
    assert sorted(path.relative_to(made).as_posix() for path in made.rglob("*_mqc.tsv")) == [
        "motifs/suhw.suhw-dm3.motifs_mqc.tsv", "suhw.suhw-dm3/suhw.suhw-dm3_mqc.tsv",
    ]  # fmt: skip
    again = run(tmp_path, environment, *command, "-n")
    assert "Nothing to be done" in again.stdout + again.stderr
    carries_the_pages(run(tmp_path, environment, *command, "--report", "all.html"), tmp_path / "all.html")

    with (tmp_path / "data" / "jaspar2026-insects.meme").open("a") as database:
        database.write("\n")
    again = run(tmp_path, environment, *command, "-n")
    planned = re.findall(r"^(?:local)?rule (\w+):", again.stdout + again.stderr, re.MULTILINE)
    assert sorted(planned) == ["all", "motifs", "report"]


def carries_the_pages(done: subprocess.CompletedProcess[str], page: Path) -> None:
    """Whether what `snakemake --report` makes holds our pages, with what is said of them."""
    assert done.returncode == 0, done.stdout + done.stderr
    text = page.read_text()
    files = {"page": "suhw.suhw-dm3.report.html", "motifs": "suhw.suhw-dm3.motifs.tsv"}
    for what, file in files.items():
        labels = f'"labels": {{"sample": "suhw", "model": "suhw-dm3", "what": "{what}"}}'
        assert re.search(rf'"filename": "{re.escape(file)}", {re.escape(labels)}', text)
    said = " ".join(text.replace("\\n", " ").split())
    assert "What model suhw-dm3 reads in sample suhw: quality, motifs, a table of windows" in said
    assert "with and without pruning." in said
    assert "named after data/jaspar2026-insects.meme." in said
    assert "in 3 parts of each pair of a sample and a model" in said


@pytest.mark.slow
def test_the_table_of_multiqc_shows_every_run(snakemake, tmp_path):
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
