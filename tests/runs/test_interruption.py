"""Runs that are interrupted go on where they were, and shards make the whole."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from pkgutil import resolve_name

import h5py
import numpy as np
import pytest
from helpers.interruption import send_to_itself
from helpers.tiny_net import MODEL

from sparselrp_cli.cli.main import run
from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.lock import locked
from sparselrp_cli.outputs.bigwig import write_joined
from sparselrp_cli.relevance.choices import PROPORTION
from sparselrp_cli.relevance.windows import WindowExplainer
from sparselrp_cli.runs.journal import Journal

ROOT = Path(__file__).parents[2]
COUNT = 700


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """A genome, regions of which some can't be scored, and records of all lengths."""
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(3)
    letters = "".join(rng.choice(list("ACGTR"), 3000))
    (folder / "genome.fa").write_text(f">chr1\n{letters}\n>chr2\n{letters[:500]}\n")
    places = zip(
        rng.choice(["chr1", "chr2", "chr8"], COUNT), rng.integers(0, 600, COUNT).tolist(), strict=True
    )
    lines = [f"{c}\t{s}\t{s + 10}\tr{i}\t0\t{'+-'[i % 2]}\n" for i, (c, s) in enumerate(places)]
    (folder / "regions.bed").write_text("".join(lines))
    records = [f">rec{i}\n{letters[i : i + int(n)]}\n" for i, n in enumerate(rng.integers(5, 300, 100))]
    (folder / "records.fa").write_text("".join(records))
    return folder


def attribute(inputs: Path, prefix: Path, *more: object, records: bool = False) -> int:
    what = ["records.fa"] if records else ["genome.fa", "-r", "regions.bed"]
    what = [part if part == "-r" else str(inputs / part) for part in what]
    return run(
        ["attribute", *what, "-m", MODEL, "-t", "0", "-o", str(prefix), "-b", "30", "-q", *map(str, more)]
    )


def contents(prefix: Path) -> dict[str, bytes]:
    """The files of a run but its manifest, which names the prefix, and whatever lies beside them.

    MultiQC's row names the two folders of the run, which are left out.
    """
    folders = f"{prefix.parent.parent.name}/{prefix.parent.name}/".encode()
    return {
        path.name.removeprefix(prefix.name): path.read_bytes().replace(folders, b"")
        for path in prefix.parent.iterdir()
        if not path.name.endswith(".manifest.json")
    }


@pytest.fixture(scope="module")
def whole(inputs, tmp_path_factory) -> dict[bool, Path]:
    """Prefixes of the uninterrupted runs, on records (True) and on a genome."""
    found = {}
    for records in (True, False):
        found[records] = tmp_path_factory.mktemp("whole") / "run"
        assert attribute(inputs, found[records], records=records) == 0
    return found


@pytest.fixture
def at_batch(monkeypatch):
    """Let something happen in the n-th batch that is explained."""

    def arrange(number: int, happen) -> None:
        explain, seen = WindowExplainer.launch, []

        def explaining(*arguments):
            seen.append(1)
            if len(seen) == number:
                happen()
            return explain(*arguments)

        monkeypatch.setattr(WindowExplainer, "launch", explaining)

    yield arrange
    monkeypatch.undo()


def raising(error: BaseException):
    def happen() -> None:
        raise error

    return happen


def sending(*numbers: int):
    def happen() -> None:
        for number in numbers:
            send_to_itself(number)

    return happen


def lost(happen):
    """As where a signal finds the program in a destructor: what its handler raises goes nowhere."""

    def happen_and_go_on() -> None:
        with suppress(KeyboardInterrupt):
            happen()

    return happen_and_go_on


@pytest.mark.parametrize("records", [True, False])
@pytest.mark.parametrize(
    ("happen", "code", "said"),
    [
        (sending(signal.SIGTERM), 75, "error: stopped; "),
        (sending(signal.SIGUSR1), 75, "error: stopped; "),
        (sending(signal.SIGTERM, signal.SIGTERM), 75, "error: stopped; "),
        (sending(signal.SIGINT), 130, "error: interrupted; "),
        (lost(sending(signal.SIGINT)), 130, "error: interrupted; "),
        (raising(KeyboardInterrupt()), 130, "error: interrupted; "),
        (raising(ValueError("a fault")), 1, "error: internal error (ValueError: a fault)"),
    ],
)
def test_a_run_that_ends_early_says_how_to_go_on_and_goes_on(
    inputs, whole, tmp_path, at_batch, capsys, monkeypatch, interruptible, records, happen, code, said
):
    prefix = tmp_path / "run"
    at_batch(20, happen)
    assert attribute(inputs, prefix, records=records) == code
    monkeypatch.undo()
    err = capsys.readouterr().err
    assert said in err
    kept = 512 if records else 256
    assert f"{kept} windows are kept in {prefix}.partial; run the same command with --resume to go on" in err
    assert contents(prefix).keys() == {".partial"}
    assert attribute(inputs, prefix, "--resume", records=records) == 0
    assert contents(prefix) == contents(whole[records])


def test_a_signal_before_the_first_batch_leaves_nothing(inputs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sparselrp_cli.runs.attribute.prepare_all", lambda *_: sending(signal.SIGTERM)())
    assert attribute(inputs, tmp_path / "run") == 75
    assert error(capsys) == "sparselrp: error: stopped; nothing that isn't complete was left"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("place", "number", "code"),
    [
        ("attribute.prepare_all", signal.SIGTERM, 75),
        ("recording.Recorder.finish", signal.SIGINT, 130),
    ],
)
def test_a_signal_whose_exception_is_lost_still_leaves_nothing_final(
    inputs, tmp_path, monkeypatch, capsys, interruptible, place, number, code
):
    """Before the first batch, and after the last one."""
    whole_name = f"sparselrp_cli.runs.{place}"
    called = resolve_name(whole_name)

    def calling(*arguments):
        lost(sending(number))()
        return called(*arguments)

    monkeypatch.setattr(whole_name, calling)
    assert attribute(inputs, tmp_path / "run") == code
    assert {path.suffix for path in tmp_path.iterdir()} <= {".partial"}, error(capsys)


@pytest.mark.slow
def test_the_process_ends_with_the_documented_code(inputs, tmp_path):
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from sparselrp_cli.cli.main import main
from sparselrp_cli.relevance.choices import PROPORTION
from sparselrp_cli.relevance.windows import WindowExplainer
explain = WindowExplainer.launch
def explaining(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    return explain(*arguments)
WindowExplainer.launch = explaining
options = ["-m", {MODEL!r}, "-t", "0", "-o", {str(tmp_path / "run")!r}]
main(["attribute", "genome.fa", "-r", "regions.bed", *options])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=inputs, capture_output=True, text=True, check=False
    )
    assert done.returncode == 75
    assert "SIGTERM: finishing the batch" in done.stderr


@pytest.fixture
def interrupted(inputs, tmp_path, at_batch, monkeypatch, capsys) -> Path:
    """The prefix of a run that was interrupted."""
    at_batch(20, raising(KeyboardInterrupt()))
    assert attribute(inputs, tmp_path / "run") == 130
    monkeypatch.undo()
    capsys.readouterr()
    return tmp_path / "run"


def error(capsys) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def test_an_interrupted_run_isnt_thrown_away_unless_that_is_asked(inputs, whole, interrupted, capsys):
    before = contents(interrupted)
    assert attribute(inputs, interrupted) == 1
    assert (
        "keeps 256 windows of an interrupted run; go on with --resume, or throw them away with --restart"
        in error(capsys)
    )
    assert contents(interrupted) == before
    assert attribute(inputs, interrupted, "--restart") == 0
    assert contents(interrupted) == contents(whole[False])


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        (["-p", "0.3"], f"settings.prune was {PROPORTION} and is 0.3"),
        (["-t", "1"], 'settings.targets was ["0"] and is ["0", "1"]'),
        (["--overlap", "sum"], 'settings.overlap was "nearest-centre" and is "sum"'),
        (["--formats", "h5"], 'settings.formats was ["h5", "bigwig"] and is ["h5"]'),
        (["-b", "31"], "settings.batch_size was 30 and is 31"),
        (["--shard", "1/2", "--formats", "h5,bigwig"], 'settings.shard was null and is "1/2"'),
        (["--composite", "epsilon"], 'settings.composite was "epsilon-gamma" and is "epsilon"'),
        (["--dtype", "float64"], 'runtime.dtype was "float32" and is "float64"'),
    ],
)
def test_other_options_arent_resumed_with(inputs, interrupted, capsys, options, difference):
    before = contents(interrupted)
    assert attribute(inputs, interrupted, "--resume", *options) == 1
    way_out = "use the same inputs and options, or begin anew with --restart"
    assert error(capsys) == f"sparselrp: error: can't resume {interrupted}: {difference}; {way_out}"
    assert contents(interrupted) == before


def test_other_inputs_arent_resumed_with(inputs, interrupted, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("genome.fa", "regions.bed"):
        (other / name).write_bytes((inputs / name).read_bytes())
    with (other / "regions.bed").open("a") as regions:
        regions.write("chr1\t5\t9\n")
    assert attribute(other, interrupted, "--resume") == 1
    assert "can't resume" in (said := error(capsys))
    assert "the content of regions.bed is another" in said


def test_what_is_complete_isnt_done_again_and_another_run_isnt_replaced(
    inputs, tmp_path, at_batch, monkeypatch, capsys
):
    prefix = tmp_path / "run"
    assert attribute(inputs, prefix, "--resume") == 0
    before = contents(prefix)
    at_batch(1, raising(ValueError("explained again")))
    assert attribute(inputs, prefix, "--resume") == 0
    monkeypatch.undo()
    assert attribute(inputs, prefix, "--resume", "-p", "0") == 1
    assert f"is a complete run in which settings.prune was {PROPORTION} and is 0.0" in error(capsys)
    assert contents(prefix) == before
    (tmp_path / "run.bw").unlink()
    assert attribute(inputs, prefix, "--resume") == 0
    assert contents(prefix) == before


@pytest.mark.parametrize("records", [True, False])
def test_a_run_that_lacks_only_its_files_is_finished_from_what_is_kept(
    inputs, tmp_path, whole, monkeypatch, capsys, records
):
    prefix = tmp_path / "run"

    def full(*_):
        raise OutputError("no space is left on the disk")

    with monkeypatch.context() as patch:
        patch.setattr("sparselrp_cli.runs.attribute.write_files", full)
        assert attribute(inputs, prefix, records=records) == 1
    assert "run the same command with --resume to go on" in capsys.readouterr().err
    monkeypatch.setattr("sparselrp_cli.runs.attribute._explain_rest", None)
    assert attribute(inputs, prefix, "--resume", records=records) == 0
    assert contents(prefix) == contents(whole[records])


def test_a_pipe_isnt_resumed_and_leaves_no_work_behind(inputs, tmp_path, at_batch, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cp", str(inputs / "records.fa"), str(tmp_path / "pipe")]):
        at_batch(20, raising(KeyboardInterrupt()))
        assert run(["attribute", str(tmp_path / "pipe"), "-m", MODEL, "-t", "0", "-o", str(tmp_path / "run"),
                    "-b", "30"]) == 130  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Let writing more than so many bytes to a file fail, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_keeps_the_work_that_is_done(inputs, whole, tmp_path, capsys):
    prefix = tmp_path / "run"
    with no_file_larger_than(200_000):
        assert attribute(inputs, prefix) == 1
    said = capsys.readouterr().err
    assert f"error: {prefix}.partial can't be written: the file grew beyond the size allowed" in said
    assert f"256 windows are kept in {prefix}.partial" in said
    assert contents(prefix).keys() == {".partial"}
    assert attribute(inputs, prefix, "--resume") == 0
    assert contents(prefix) == contents(whole[False])


def test_two_runs_dont_write_under_one_prefix(inputs, whole, tmp_path, capsys):
    with locked(tmp_path / "run"):
        assert attribute(inputs, tmp_path / "run") == 1
        assert "another run is writing" in error(capsys)
        assert run(["merge", str(whole[True]) + ".h5", "-o", str(tmp_path / "run")]) == 1
        assert "another run is writing" in error(capsys)
        assert run(["export", str(whole[True]) + ".h5", "-o", str(tmp_path / "run")]) == 1
        assert "another run is writing" in error(capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("records", "n_shards"),
    [
        (False, 1),
        (False, 2),
        (False, 5),
        pytest.param(False, 30, marks=pytest.mark.slow),
        (True, 1),
        (True, 3),
    ],
)
def test_any_number_of_shards_makes_the_whole(inputs, whole, tmp_path, records, n_shards):
    shards = [tmp_path / "shards" / f"part{i}" for i in range(1, n_shards + 1)]
    shards[0].parent.mkdir()
    for i, shard in enumerate(shards, 1):
        assert attribute(inputs, shard, "--shard", f"{i}/{n_shards}", records=records) == 0
    prefix = tmp_path / "merged" / "run"
    prefix.parent.mkdir()
    archives = [f"{shard}.h5" for shard in reversed(shards)]
    assert run(["merge", *archives, "-o", str(prefix), "-q"]) == 0
    assert contents(prefix) == contents(whole[records])
    ours, theirs = (json.loads(Path(f"{p}.manifest.json").read_text()) for p in (prefix, whole[records]))
    # The command line names the prefix, and MultiQC's row the folders.
    for found in (ours, theirs):
        found["outputs"] = [entry for entry in found["outputs"] if entry["file"] != "run_mqc.tsv"]
    assert {**ours, "command": []} == {**theirs, "command": []}


def missing(track):
    track.unlink()


def damaged(track):
    content = bytearray(track.read_bytes())
    content[len(content) // 2] ^= 1
    track.write_bytes(content)


def exported(track):
    again = ["export", str(track.with_suffix(".h5")), "--formats", "bigwig", "--overlap", "sum", "-q"]
    assert run(again) == 0


def of_no_record(track):
    track.with_name("part2.manifest.json").unlink()


@pytest.mark.parametrize(
    ("change", "options", "copied"),
    [
        (None, [], True),
        (None, ["--formats", "h5,bigwig,bedgraph"], True),
        (None, ["--overlap", "sum"], False),
        (missing, [], False),
        (damaged, [], False),
        (exported, [], False),
        (of_no_record, [], False),
    ],
    ids=[
        "as written",
        "more formats",
        "another policy",
        "missing",
        "damaged",
        "exported since",
        "without a record",
    ],
)
def test_tracks_are_copied_where_each_shards_is_what_it_should_be(
    inputs, shards, tmp_path, monkeypatch, change, options, copied
):
    for path in shards.glob("part?.*"):
        shutil.copy(path, tmp_path)
    if change is not None:
        change(tmp_path / "part2.bw")
    calls = []

    def spying(*given, **more):
        calls.append(given)
        return write_joined(*given, **more)

    monkeypatch.setattr("sparselrp_cli.outputs.tracks.write_joined", spying)
    archives = [str(tmp_path / f"part{i}.h5") for i in (1, 2, 3)]
    assert run(["merge", *archives, "-o", str(tmp_path / "run"), "-q", *options]) == 0
    assert bool(calls) == copied
    whole = ["export", str(shards / "all.h5"), "-o", str(tmp_path / "again"), "--formats", "bigwig"]
    assert run([*whole, *(options if "--overlap" in options else [])]) == 0
    assert (tmp_path / "run.bw").read_bytes() == (tmp_path / "again.bw").read_bytes()


@pytest.fixture(scope="module")
def shards(inputs, tmp_path_factory) -> Path:
    """A folder of three shards, one that is another run's, and one of four."""
    folder = tmp_path_factory.mktemp("shards")
    for i in (1, 2, 3):
        assert attribute(inputs, folder / f"part{i}", "--shard", f"{i}/3") == 0
    assert attribute(inputs, folder / "foreign", "--shard", "2/3", "-p", "0") == 0
    assert attribute(inputs, folder / "fourth", "--shard", "4/4") == 0
    assert attribute(inputs, folder / "all") == 0
    return folder


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["part1", "part3"], "shard 2/3 is missing; run it, or name its .h5 too"),
        (["part2"], "shard 1/3 and 1 more is missing"),
        (["part1", "part2", "part3", "part2"], "are both shard 2/3; give each once"),
        (["part1", "foreign", "part3"], "is of another run than"),
        (["part1", "foreign", "part3"], f"settings.prune was {PROPORTION} and is 0.0"),
        (["part1", "fourth"], "is shard 4/4 and"),
        (["all"], "isn't a shard; give what `sparselrp attribute --shard I/N` wrote"),
        (["nothing"], "no such file"),
    ],
)
def test_shards_that_dont_make_a_whole_are_named(shards, tmp_path, capsys, names, message):
    assert run(["merge", *[str(shards / f"{n}.h5") for n in names], "-o", str(tmp_path / "run")]) == 1
    assert message in error(capsys)
    assert not list(tmp_path.iterdir())


def test_a_shard_isnt_replaced_by_the_whole(shards, capsys):
    before = contents(shards / "part1")
    assert run(["merge", *[str(shards / f"part{i}.h5") for i in (1, 2, 3)], "-o", str(shards / "part1")]) == 1
    assert "is a shard and would be replaced" in error(capsys)
    assert contents(shards / "part1") == before


def test_a_shard_without_its_table_is_named(shards, tmp_path, capsys):
    for i in (1, 2, 3):
        for ending in ("h5", "skipped.tsv"):
            (tmp_path / f"part{i}.{ending}").write_bytes((shards / f"part{i}.{ending}").read_bytes())
    (tmp_path / "part2.skipped.tsv").unlink()
    archives = [str(tmp_path / f"part{i}.h5") for i in (1, 2, 3)]
    assert run(["merge", *archives, "-o", str(tmp_path / "run")]) == 1
    assert "part2.skipped.tsv: no such file; it belongs to the shard of this name, copy it too" in error(
        capsys
    )
    (tmp_path / "part2.skipped.tsv").write_bytes((tmp_path / "part1.skipped.tsv").read_bytes()[:-1])
    assert run(["merge", *archives, "-o", str(tmp_path / "run")]) == 1
    assert "part2.skipped.tsv" in error(capsys)
    assert not list(tmp_path.glob("run*"))


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_a_shard_that_isnt_one_is_wrong_usage(inputs, tmp_path, text, capsys):
    assert attribute(inputs, tmp_path / "run", "--shard", text) == 2
    assert text in capsys.readouterr().err


@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing():
    command = [sys.executable, "-m", "benchmarks.robustness.kills", "--kills", "12", "--windows", "1500"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "12 kills" in done.stdout


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"settings": 3},
        {"settings": {"shard": "1/1"}},
        {"settings": {"shard": "1/1"}, "inputs": {}, "counts": []},
        {"settings": {"shard": "1/1"}, "inputs": {}, "counts": {"ambiguous_bases": "x", "skipped": 0}},
        {"settings": {"shard": "1/1"}, "inputs": {}, "accounting": 7, "counts": {"skipped": 0}},
        {"settings": {"shard": "1/99999999999999999999"}},
    ],
)
def test_a_shard_whose_manifest_is_damaged_is_told(shards, tmp_path, capsys, manifest):
    archive = tmp_path / "part.h5"
    archive.write_bytes((shards / "all.h5").read_bytes())
    (tmp_path / "part.skipped.tsv").write_bytes((shards / "all.skipped.tsv").read_bytes())
    with h5py.File(archive, "r+") as file:
        file.attrs["manifest"] = json.dumps(manifest)
    assert run(["merge", str(archive), "-o", str(tmp_path / "run")]) == 1
    assert "isn't a shard" in (said := error(capsys)) or "its manifest is damaged" in said
    assert not list(tmp_path.glob("run*"))


@pytest.mark.parametrize(
    "records", [[{}], [{"settings": {"batch_size": 0}}], [{"settings": {"batch_size": 30}}, {}]]
)
def test_a_journal_of_another_kind_is_told(inputs, tmp_path, capsys, records):
    with Journal(tmp_path / "run.partial") as journal:
        for record in records:
            journal.append(record)
    assert attribute(inputs, tmp_path / "run", "--resume") in (0, 1)
    said = capsys.readouterr().err
    assert "internal error" not in said
    if len(records) > 1:
        assert "is damaged; begin anew with --restart" in said
