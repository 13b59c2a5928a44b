"""Files under one prefix are one run's: whatever fails, readers can tell a whole set from parts of two."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import attribute, command, error_line, left_behind
from helpers.tiny_net import MODEL

from sparselrp_cli.cli.main import run
from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.lock import locked
from sparselrp_cli.relevance.windows import WindowExplainer
from sparselrp_cli.runs import run_files

RUN = ("-m", MODEL, "-t", "0", "-q")
ALL = ("--formats", "h5,bigwig,bedgraph")


@pytest.fixture
def explained(genome, peaks, tmp_path):
    """Explain the peaks under the prefix ``run``; gives the exit code."""

    def explain(*options):
        return attribute(genome, "-r", peaks, *RUN, "-o", tmp_path / "run", *options)

    return explain


@pytest.fixture
def never_again(monkeypatch):
    """No window is explained from now on."""

    def launch(*_):
        raise AssertionError("explained again")

    return lambda: monkeypatch.setattr(WindowExplainer, "launch", launch)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name.startswith("run")}


def manifest_of(folder, name="run"):
    return json.loads((folder / f"{name}.manifest.json").read_text())


def require_what_is_listed(folder, name="run"):
    for entry in manifest_of(folder, name)["outputs"]:
        assert hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]


@pytest.fixture
def failing(monkeypatch):
    """Let the run fail when it has written so many of its files."""

    def arrange(number):
        replaced, replace = [], Path.replace

        def replacing(self, target):
            if len(replaced) == number:
                raise OSError(5, "Input/output error")
            replaced.append(target)
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", replacing)

    return arrange


# The archive, skipped.tsv, windows.tsv, _mqc.tsv, bigWig, bedGraph; then the manifest.
@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("piped", [False, True], ids=["files", "a pipe"])
def test_a_second_run_that_fails_between_its_files_is_no_whole_set(
    explained, tmp_path, failing, monkeypatch, capsys, number, piped
):
    assert explained(*ALL) == 0
    failing(number)
    with pipe(tmp_path, tmp_path / "peaks.bed") if piped else no_pipe() as regions:
        given = ("-r", regions) if piped else ()
        assert explained(*ALL, "-p", "0.2", *given) == 1
    assert "run" in (said := error_line(capsys))
    assert "can't be written: Input/output error" in said
    monkeypatch.undo()
    left = contents(tmp_path)
    assert "run.manifest.json" not in left
    assert ("run.partial" in left) is not piped
    assert command("browser", tmp_path / "run", "--genome", "dm3") == 1
    assert "run.manifest.json is missing, which says which files belong together" in error_line(capsys)
    if not piped:
        assert explained(*ALL, "-p", "0.2", "--resume") == 0
        require_what_is_listed(tmp_path)
        assert command("browser", tmp_path / "run", "--genome", "dm3", "-q") == 0


class no_pipe:  # noqa: N801 - a context manager
    def __enter__(self):
        return None

    def __exit__(self, *_):
        return None


class pipe:  # noqa: N801
    """A named pipe through which a file comes once."""

    def __init__(self, folder, file):
        self.path, self.content = folder / "pipe", file.read_bytes()
        os.mkfifo(self.path)
        self.thread = threading.Thread(target=self.path.write_bytes, args=(self.content,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self.path

    def __exit__(self, *_):
        self.thread.join(timeout=20)
        self.path.unlink()


COMPANIONS = ("motifs.json", "hits.bed", "seqlets.bed", "motifs.h5", "report.html", "igv.xml")


def test_what_another_run_left_under_the_prefix_goes_and_is_named(explained, tmp_path, capsys):
    assert explained("--formats", "h5,bedgraph,modisco") == 0
    for ending in COMPANIONS:
        (tmp_path / f"run.{ending}").write_text("of the run before")
    (tmp_path / "run.notes.txt").write_text("mine")
    (tmp_path / "runner.bw").write_text("of another prefix")
    capsys.readouterr()
    given = ("-m", MODEL, "-t", "0", "-o", tmp_path / "run", "-p", "0.2", "--formats", "h5,bigwig")
    assert attribute(genome_of(tmp_path), "-r", tmp_path / "peaks.bed", *given) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "removed" in line]
    assert "removed, as they are of the run that was here before: " in line
    gone = ["bedgraph.gz", "ohe.npz", "attr.npz", "regions.narrowPeak", *COMPANIONS]
    assert all(f"run.{ending}" in line for ending in gone)
    assert [name for name in left_behind(tmp_path) if name.startswith("run")] == [
        "run.bw", "run.h5", "run.manifest.json", "run.notes.txt", "run.skipped.tsv", "run.windows.tsv",
        "run_mqc.tsv", "runner.bw",
    ]  # fmt: skip


def test_tracks_of_a_comparison_of_many_go_with_the_run_they_are_of(explained, tmp_path, capsys):
    for prune in ("0.2", "0.3"):
        assert (
            attribute(
                genome_of(tmp_path),
                "-r",
                tmp_path / "peaks.bed",
                *RUN,
                "-p",
                prune,
                "-o",
                tmp_path / f"p{prune}",
            )
            == 0
        )
    assert explained() == 0
    others = [tmp_path / f"p{prune}.h5" for prune in ("0.2", "0.3")]
    assert command("compare", tmp_path / "run.h5", *others, "-o", tmp_path / "run", "-q") == 0
    assert len([*tmp_path.glob("run.compare.*.bw")]) == 2
    assert explained("-p", "0.4") == 0
    assert [*tmp_path.glob("run.compare.*")] == []


@pytest.fixture(autouse=True)
def a_genome(genome, tmp_path):
    (tmp_path / "genome.fa").write_bytes(genome.read_bytes())


def genome_of(folder):
    return folder / "genome.fa"


@pytest.mark.parametrize("more", [(), ("--formats", "h5")], ids=["equal", "in other formats"])
def test_what_was_made_of_equal_rows_stays(explained, tmp_path, more):
    assert explained(*ALL) == 0
    (tmp_path / "run.motifs.json").write_text("of these very rows")
    track = (tmp_path / "run.bw").read_bytes()
    assert explained(*(more or ALL)) == 0
    assert (tmp_path / "run.motifs.json").read_text() == "of these very rows"
    assert (tmp_path / "run.bw").read_bytes() == track
    require_what_is_listed(tmp_path)
    assert {"run.bw", "run.bedgraph.gz"} <= {entry["file"] for entry in manifest_of(tmp_path)["outputs"]}
    assert command("browser", tmp_path / "run", "--genome", "dm3", "-q") == 0


def test_a_strange_manifest_removes_nothing_but_files_of_ours(explained, tmp_path):
    (tmp_path / "run.txt").write_text("mine")
    (tmp_path / "run.fa").write_text("mine")
    outputs = [
        {"file": name, "bytes": 4, "sha256": "0" * 64}
        for name in (
            "run.txt",
            "run.fa",
            "genome.fa",
            "../genome.fa",
            "peaks.bed",
            "/etc/passwd",
            "run.bw/..",
        )
    ]
    (tmp_path / "run.manifest.json").write_text(json.dumps({"outputs": [*outputs, 3, {"file": []}]}))
    assert explained() == 0
    assert all((tmp_path / name).is_file() for name in ("run.txt", "run.fa", "genome.fa", "peaks.bed"))


def bytes_turned(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def removed(path):
    path.unlink()


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("ending", [".bw", ".bedgraph.gz", ".windows.tsv", "_mqc.tsv"])
@pytest.mark.parametrize("change", [bytes_turned, removed, cut_off])
def test_resume_writes_what_is_damaged_again_from_the_archive(
    genome, peaks, tmp_path, never_again, capsys, ending, change
):
    given = (genome, "-r", peaks, "-m", MODEL, "-t", "0", "-o", tmp_path / "run", *ALL)
    assert attribute(*given) == 0
    before = contents(tmp_path)
    change(tmp_path / f"run{ending}")
    never_again()
    assert attribute(*given, "--resume") == 0
    said = capsys.readouterr().err
    assert f"run{ending} wasn't as the run left it; written again from {tmp_path / 'run'}.h5" in said
    assert "is complete; nothing to do" in said
    assert contents(tmp_path) == before


@pytest.mark.parametrize("ending", [".h5", ".skipped.tsv"])
def test_resume_explains_again_where_the_archive_isnt_as_it_was(genome, peaks, tmp_path, capsys, ending):
    given = (genome, "-r", peaks, "-m", MODEL, "-t", "0", "-o", tmp_path / "run")
    assert attribute(*given) == 0
    before = contents(tmp_path)
    bytes_turned(tmp_path / f"run{ending}")
    assert attribute(*given, "--resume") == 0
    assert "not all files of" in capsys.readouterr().err
    assert contents(tmp_path) == before


def test_a_track_that_export_wrote_since_isnt_a_reason_to_explain_again(explained, tmp_path, never_again):
    assert explained(*ALL) == 0
    assert command("export", tmp_path / "run.h5", "--formats", "bigwig", "--overlap", "sum", "-q") == 0
    track = (tmp_path / "run.bw").read_bytes()
    require_what_is_listed(tmp_path)
    (entry,) = [entry for entry in manifest_of(tmp_path)["outputs"] if entry["file"] == "run.bw"]
    assert entry["command"][0] == "sparselrp"
    never_again()
    assert explained(*ALL, "--resume") == 0
    assert (tmp_path / "run.bw").read_bytes() == track
    assert command("browser", tmp_path / "run", "--genome", "dm3", "-q") == 0


def test_tracks_exported_under_another_prefix_are_a_set_but_no_run(explained, genome, peaks, tmp_path):
    assert explained() == 0
    assert command("export", tmp_path / "run.h5", "-o", tmp_path / "other", "--formats", "bigwig", "-q") == 0
    assert command("browser", tmp_path / "other", "--genome", "dm3", "-q") == 0
    assert attribute(genome, "-r", peaks, *RUN, "-o", tmp_path / "other", "--resume") == 0
    assert (tmp_path / "other.h5").read_bytes() == (tmp_path / "run.h5").read_bytes()


def test_an_archive_isnt_exported(explained, tmp_path, capsys):
    assert explained() == 0
    there = left_behind(tmp_path)
    for formats in ("h5", "h5,bigwig"):
        given = (tmp_path / "run.h5", "-o", tmp_path / "other", "--formats", formats)
        assert command("export", *given) == 1
        assert "an export makes no " in error_line(capsys)
        assert set(left_behind(tmp_path)) - set(there) <= {"other.lock"}
    assert command("export", tmp_path / "run.h5", "--formats", "h5") == 0
    assert "run.h5 is there; nothing to write" in capsys.readouterr().err


def test_tracks_arent_exported_over_those_of_another_run(explained, genome, peaks, tmp_path, capsys):
    assert explained() == 0
    assert attribute(genome, "-r", peaks, *RUN, "-o", tmp_path / "other", "-p", "0.2") == 0
    before = (tmp_path / "other.bw").read_bytes()
    assert command("export", tmp_path / "run.h5", "-o", tmp_path / "other", "--formats", "bigwig") == 1
    assert "other.* are the files of another run than" in error_line(capsys)
    assert (tmp_path / "other.bw").read_bytes() == before


def test_a_shard_whose_table_is_another_runs_is_refused(explained, tmp_path, capsys):
    assert explained("--shard", "1/1") == 0
    table = tmp_path / "run.skipped.tsv"
    table.write_text(table.read_text().replace("nowhere", "elsewhere"))
    assert command("merge", tmp_path / "run.h5", "-o", tmp_path / "whole") == 1
    assert "run.skipped.tsv doesn't belong to" in error_line(capsys)


@pytest.fixture
def calls(tmp_path):
    path = tmp_path / "calls.vcf"
    letters = "".join((tmp_path / "genome.fa").read_text().splitlines()[1:3]).upper()
    lines = [f"chr1\t{at + 1}\t.\t{letters[at]}\t{'A' if letters[at] != 'A' else 'C'}\n" for at in (60, 90)]
    path.write_text("#CHROM\tPOS\tID\tREF\tALT\n" + "".join(lines))
    return path


def test_variants_are_a_set_of_their_own(tmp_path, calls, monkeypatch, capsys):
    given = ("variants", calls, tmp_path / "genome.fa", *RUN, "-o", tmp_path / "v")
    assert command(*given) == 0
    require_what_is_listed(tmp_path, "v")
    names = {entry["file"] for entry in manifest_of(tmp_path, "v")["outputs"]}
    assert names == {"v.variants.tsv", "v.skipped.tsv", "v.vcf.gz", "v.difference.bw"}
    assert command("browser", tmp_path / "v", "--genome", "dm3", "-q") == 0

    def failing(*_):
        raise OutputError("v.difference.bw can't be written")

    monkeypatch.setattr("sparselrp_cli.runs.variants.write_bigwig", failing)
    assert command(*given, "-p", "0.2") == 1
    capsys.readouterr()
    assert command("browser", tmp_path / "v", "--genome", "dm3") == 1
    assert "v.manifest.json is missing" in error_line(capsys)


def test_every_command_that_writes_under_a_prefix_asks_for_its_lock(explained, tmp_path, calls, capsys):
    assert explained() == 0
    archive, taken = tmp_path / "run.h5", tmp_path / "taken"
    genome = tmp_path / "genome.fa"
    commands = [
        ("attribute", genome, "-r", tmp_path / "peaks.bed", *RUN, "-o", taken),
        ("variants", calls, genome, *RUN, "-o", taken),
        ("probe", genome, *RUN, "--insert", "AC", "-o", taken),
        ("merge", archive, "-o", taken),
        ("export", archive, "-o", taken),
        ("motifs", archive, "-o", taken, "--null", "permuted"),
        ("evaluate", archive, "-o", taken),
        ("browser", taken, "--genome", "dm3"),
    ]
    capsys.readouterr()
    with locked(taken):
        for given in commands:
            assert command(*given) == 1, given[0]
            said = error_line(capsys)
            assert f"another run is writing {taken}.* (process {os.getpid()} on " in said, given[0]
            assert "wait for it, or choose another --output" in said
    assert not [name for name in left_behind(tmp_path) if "taken" in name or name.endswith(".lock")]


def test_a_lock_goes_with_the_process_that_held_it(tmp_path):
    code = f"""
import os, pathlib, signal
from sparselrp_cli.files.lock import locked
with locked(pathlib.Path({str(tmp_path / "run")!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": ":".join(sys.path)}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert [name for name in left_behind(tmp_path) if name.endswith(".lock")]
    with locked(tmp_path / "run"):
        pass
    assert not [name for name in left_behind(tmp_path) if name.endswith(".lock")]


def test_two_reports_of_one_prefix_exclude_each_other(explained, tmp_path, capsys):
    with locked(tmp_path / "run.report"):
        assert explained("--report") == 1
    assert "another run is writing" in error_line(capsys)
    assert not [name for name in left_behind(tmp_path) if name.startswith("run")]


def test_files_of_two_evaluations_dont_mix(explained, tmp_path, monkeypatch):
    assert explained() == 0
    for name in ("e.curves.tsv", "e.curves.svg", "e.differences.tsv", "e.evaluation.json", "e.txt"):
        (tmp_path / name).write_text("of an evaluation before")
    assert run(["evaluate", str(tmp_path / "run.h5"), "-o", str(tmp_path / "e"), "-q"]) == 0
    assert {name for name in left_behind(tmp_path) if name.startswith("e.")} == {
        "e.evaluation.tsv", "e.per-window.tsv", "e.evaluation.json", "e.evaluation.svg", "e.txt",
    }  # fmt: skip


def test_the_files_are_planned_as_they_are_written(explained, tmp_path, monkeypatch):
    planned, begin = [], run_files.begin_set

    def noting(prefix, identity, names):
        planned.extend(names)
        return begin(prefix, identity, names)

    monkeypatch.setattr(run_files, "begin_set", noting)
    formats = "h5,bigwig,bedgraph,modisco,finemo,modisco-h5"
    assert explained("-t", "1-0", "-m", MODEL, "--formats", formats) == 0
    assert {*planned, "run.manifest.json"} == {n for n in left_behind(tmp_path) if n.startswith("run")}
    assert len(planned) == len(set(planned))
    assert np.all([entry["file"] in planned for entry in manifest_of(tmp_path)["outputs"]])
