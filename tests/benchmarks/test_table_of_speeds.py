"""The table of all speeds: each line finds its figure, and says whether the target is met."""

import importlib
from dataclasses import replace

import pytest

from benchmarks.history import ROOT
from benchmarks.record import RESULTS, Origin, Record
from benchmarks.speed import table
from benchmarks.speed.table import LINES, Line, figure_of, read_records

ORIGIN = Origin("0123456789abcdef", False, "by the run", "cpu", "a machine", 1, None, {})
KEPT = read_records([RESULTS])
LINE = Line("a thing", 2.0, "s", "things", "rows", lambda row: row.get("s"))


def recorded(*rows: dict[str, float]) -> dict[str, Record]:
    return {"things": Record("things", ORIGIN, {"rows": list(rows)})}


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.what)
def test_a_line_finds_its_figure_where_its_experiment_is_kept(line):
    assert (figure_of(line, KEPT) is not None) == (line.record in KEPT)


def test_of_several_rounds_the_median_is_shown():
    assert figure_of(LINE, recorded({"s": 3.0}, {"other": 9.0}, {"s": 1.0}, {"s": 2.0})) == 2.0


@pytest.mark.parametrize("script", table.SCRIPTS)
def test_what_is_run_is_there(script):
    assert (ROOT / "benchmarks" / "speed" / f"{script}.py").is_file()


@pytest.mark.parametrize(
    ("seconds", "more", "met"),
    [(1.9, False, "yes"), (2.0, False, "yes"), (2.1, False, "no"), (1.9, True, "no"), (2.0, True, "yes")],
)
def test_a_target_is_met_or_not(monkeypatch, seconds, more, met):
    monkeypatch.setattr(table, "LINES", (replace(LINE, more_is_better=more),))
    (row,) = table.table(recorded({"other": 1.0}, {"s": seconds})).to_dict("records")
    assert (row["what"], row["met"], row["target"], row["commit"]) == ("a thing", met, "2", "012345678")
    assert row["today"] == f"{seconds:.2f}"


@pytest.mark.parametrize("records", [{}, recorded({"other": 1.0})], ids=["no record", "no row"])
def test_what_was_not_measured_is_said_to_be_so(monkeypatch, records):
    monkeypatch.setattr(table, "LINES", (LINE,))
    (row,) = table.table(records).to_dict("records")
    assert (row["today"], row["met"], row["commit"]) == ("not measured", "-", "")


def test_seconds_of_commands_are_those_of_a_quiet_machine():
    row = {"what": "report", "checkout": "this", "times import torch": 2.0, "processor, s": 9.0}
    (line,) = (line for line in LINES if line.what == "report")
    assert line.figure(row) == 2 * table.IMPORT_TORCH
    assert line.figure({**row, "checkout": "before"}) is None


def test_seconds_of_merging_are_those_of_a_quiet_machine_too():
    row = {"what": "merge of two halves", "times import torch": 2.0, "processor, s": 9.0}
    (line,) = (line for line in LINES if line.what == row["what"])
    assert line.figure(row) == 2 * table.IMPORT_TORCH
    assert line.figure({**row, "what": "attribute"}) is None


def test_a_command_is_measured_against_its_engine_with_the_windows_of_the_target():
    row = {"model": "suhw-dm3", "windows": 10_000, "ratio": 1.5}
    (line,) = (line for line in LINES if line.record == "whole_command")
    assert line.figure(row) == 1.5
    assert line.figure({**row, "windows": 50}) is None
    assert line.figure({**row, "model": "bpnet"}) is None


@pytest.mark.parametrize("kept", [False, True], ids=["shown", "kept"])
def test_rounds_are_handed_to_every_script_and_what_is_kept_is_whole(monkeypatch, tmp_path, kept):
    done = []
    monkeypatch.setattr(table.subprocess, "run", lambda command, **_: done.append(command[2:]))
    table.main(["--rounds", "1", *(["--out", str(tmp_path)] if kept else [])])
    assert [name for name, *_ in done] == [f"benchmarks.speed.{script}" for script in table.SCRIPTS]
    assert all(words[words.index("--rounds") + 1] == "1" for _, *words in done)
    assert ("--no-memory" in done[0]) != kept


@pytest.mark.parametrize("whole", [False, True], ids=["shown", "kept"])
@pytest.mark.parametrize("script", table.SCRIPTS)
def test_a_script_takes_what_it_is_called_with(script, whole):
    module = importlib.import_module(f"benchmarks.speed.{script}")
    given = [*table.given_to(script, whole=whole), "--rounds", "1", "--out", "folder"]
    assert module.options().parse_args(given).rounds == 1


def test_figures_of_this_run_come_before_kept_ones(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(table, "measure", lambda *_, **__: pytest.fail("nothing is to be measured"))
    table.main(["--records", "--out", str(tmp_path)])
    shown = capsys.readouterr().out
    assert all(line.what in shown for line in LINES)
