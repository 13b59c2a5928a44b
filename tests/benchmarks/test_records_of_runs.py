"""A run's record: written and read without loss, one row a line, with the commit, and no other format."""

import argparse
import difflib
import json
import platform
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import record as records
from benchmarks.history import ROOT, git
from benchmarks.record import (
    FORMAT,
    RESULTS,
    Keeper,
    Origin,
    Record,
    RecordError,
    dump,
    load,
    save,
    short_name,
)

ORIGIN = Origin(
    commit="0" * 40, dirty=False, noted="by the run", device="cpu", machine="Example, 2 cores", threads=2,
    wait_policy=None, versions={"python": "3.11.7", "torch": None},
)  # fmt: skip
RECORD = Record(
    "example", ORIGIN, {"rows": [{"p": 0.1, "n": 3}, {"p": "auto", "n": None}], "networks": [{"auroc": 0.9}]}
)
KEPT = sorted(RESULTS.glob("*.json"))


def test_a_record_is_read_as_it_was_written(tmp_path):
    assert load(save(RECORD, tmp_path / "new")) == RECORD


def test_where_one_figure_changes_one_line_does():
    changed = Record(
        "example", ORIGIN, {**RECORD.tables, "rows": [{"p": 0.2, "n": 3}, RECORD.tables["rows"][1]]}
    )
    before, after = dump(RECORD).splitlines(), dump(changed).splitlines()
    lines = [line for line in difflib.ndiff(before, after) if line.startswith(("- ", "+ "))]
    assert lines == ['- {"p": 0.1, "n": 3},', '+ {"p": 0.2, "n": 3},']


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_is_kept_is_in_the_one_format(path: Path):
    record = load(path)
    assert dump(record) == path.read_text()
    assert record.origin.commit is not None
    lines = [line for line in path.read_text().splitlines() if line.startswith("{") and line != "{"]
    rows = [row for rows in record.tables.values() for row in rows]
    assert [json.loads(line.removesuffix(",")) for line in lines] == rows


def test_what_was_kept_before_the_format_says_that_it_doesnt_know_its_commit_for_sure():
    old = [record.origin for record in map(load, KEPT) if record.origin.noted == "from the file's history"]
    assert old
    assert all(origin.dirty is None for origin in old)


def written(tmp_path: Path, text: str, name: str = "example_cpu.json") -> Path:
    (tmp_path / name).write_text(text)
    return tmp_path / name


def changed(**fields: object) -> str:
    return json.dumps({**json.loads(dump(RECORD)), **fields})


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[1,", "this isn't JSON"),
        ("[]", f"the format isn't '{FORMAT}'"),
        (json.dumps({"machine": "old", "rows": []}), f"the format isn't '{FORMAT}'"),
        (changed(format="sparselrp benchmark, 0"), f"the format isn't '{FORMAT}'"),
        (changed(date="2026-11-26"), "the header doesn't fit (date)"),
        (json.dumps({"format": FORMAT}), "the header doesn't fit (commit, device, dirty,"),
        (changed(noted="by hearsay"), "the commit was noted 'by hearsay'"),
        (changed(tables=[]), "'tables' isn't lists of rows by name"),
        (changed(tables={"rows": 3}), "'tables' isn't lists of rows by name"),
        (changed(device="h100"), "these are figures of example_h100.json"),
    ],
)
def test_anything_else_is_refused(tmp_path, text, wrong):
    path = written(tmp_path, text)
    with pytest.raises(RecordError) as refused:
        load(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert wrong in str(refused.value)


def keeper(monkeypatch, tmp_path, **given: object) -> Keeper:
    monkeypatch.setattr(records, "UNFINISHED", tmp_path / "cache")
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results")
    asked = argparse.Namespace(**{"save": False, "out": None, **given})
    return Keeper.start("example", asked, torch.device("cpu"))


def test_figures_are_kept_only_where_asked(monkeypatch, tmp_path):
    run = keeper(monkeypatch, tmp_path)
    run.keep_so_far(RECORD.tables)
    run.keep(RECORD.tables)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "folder", "aside"),
    [({"save": True}, "results", "cache"), ({"out": "out"}, "out", "out/unfinished")],
)
def test_half_a_run_doesnt_pass_for_a_whole_one(monkeypatch, tmp_path, given, folder, aside):
    given = {name: tmp_path / value if isinstance(value, str) else value for name, value in given.items()}
    run = keeper(monkeypatch, tmp_path, **given)
    run.keep_so_far({"rows": RECORD.tables["rows"][:1]})
    assert not (tmp_path / folder / "example_cpu.json").exists()
    assert load(tmp_path / aside / "example_cpu.json").tables["rows"] == RECORD.tables["rows"][:1]
    run.keep(RECORD.tables)
    assert load(tmp_path / folder / "example_cpu.json").tables == RECORD.tables
    assert not list((tmp_path / aside).iterdir())


def test_a_run_notes_its_commit_versions_and_machine():
    origin = Origin.of(torch.device("cpu"))
    assert origin.commit == git("rev-parse", "HEAD", root=ROOT)
    assert origin.noted == "by the run"
    assert origin.device == "cpu"
    assert origin.machine
    assert origin.versions["python"] == platform.python_version()
    assert origin.versions["torch"] == torch.__version__


@pytest.mark.parametrize(
    ("gpu", "short"),
    [
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("Tesla T4", "t4"),
        ("Odd", "cuda"),
    ],
)
def test_a_gpu_has_a_short_name(gpu, short):
    assert short_name(gpu) == short


def test_figures_of_a_part_stand_beside_those_of_the_others_with_the_commit_of_each(tmp_path):
    given = argparse.Namespace(out=tmp_path, save=False)
    keeper = Keeper.start("tried", given, torch.device("cpu"))
    first = replace(keeper, origin=replace(keeper.origin, commit="1" * 40))
    first.keep({"rows": [{"of": "a", "n": 1}, {"of": "b", "n": 1}]})
    second = replace(keeper, origin=replace(keeper.origin, commit="2" * 40))
    second.keep_beside({"rows": [{"of": "b", "n": 2}]}, "of")
    third = replace(keeper, origin=replace(keeper.origin, commit="3" * 40))
    third.keep_beside({"rows": [{"of": "c", "n": 3}], "more": []}, "of")
    found = load(tmp_path / "tried_cpu.json")
    assert found.origin.commit == "3" * 40
    assert found.tables == {
        "rows": [
            {"of": "c", "n": 3},
            {"of": "b", "n": 2, "commit": "2" * 40},
            {"of": "a", "n": 1, "commit": "1" * 40},
        ],
        "more": [],
    }
