"""`sparselrp probe` that is interrupted goes on to the same bytes."""

import io
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import command, error_line, left_behind
from helpers.interruption import send_to_itself
from helpers.tiny_net import MODEL, WINDOW

from sparselrp_cli.probing import kept as kept_module
from sparselrp_cli.probing import probe as probe_module
from sparselrp_cli.probing.kept import Kept
from sparselrp_cli.report import figures, probe_figures
from sparselrp_cli.runs.journal import Journal

ASKED = ("-m", MODEL, "-t", "0", "-t", "1", "-q", "--number", "5", "--orders", "3")
PUT_IN = (
    "--insert", "GGATCC", "--insert", "TATA", "--pair", "GAT", "CCG", "--spacing", "0,4", "--seed", "3",
)  # fmt: skip
STEPS = 8
"""2 inserts, 2 spacings, and 4 windows with hits."""


def probe(*arguments: object) -> int:
    return command("probe", *arguments)


@pytest.fixture(scope="module", autouse=True)
def written_instead_of_drawn() -> Iterator[None]:
    """Write what figures would show, number by number: drawing takes most of the time of so small a probe."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_effects", "draw_interactions"):
            patch.setattr(probe_module, name, lambda shown, title: f"{title}\n{shown}\n")
        patch.setattr(probe_module, "save", lambda figure, path: path.write_text(figure))
        yield


@pytest.fixture(scope="module")
def windows(tmp_path_factory) -> Path:
    rng = np.random.default_rng(3)
    path = tmp_path_factory.mktemp("windows") / "windows.fa"
    path.write_text("".join(f">w{i}\n{''.join(rng.choice(list('ACGT'), WINDOW))}\n" for i in range(6)))
    return path


@pytest.fixture(scope="module")
def asked(windows) -> tuple[object, ...]:
    """A probe with steps of each kind."""
    hits = windows.with_name("hits.bed")
    lines = [f"w{i}\t{i + 2}\t{i + 9}\thit\n" for i in range(4)]
    hits.write_text("".join([*lines, "w2\t1\t5\tanother\n"]))
    return (windows, *ASKED, *PUT_IN, "--delete", hits, "-b", "3")


@pytest.fixture(scope="module")
def uninterrupted(asked, tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    assert probe(*asked, "-o", folder / "p") == 0
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a probe but its record, which names the folder."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "p.probe.json"}


@pytest.fixture
def ending_at(monkeypatch):
    """Let something happen before a step, counted from 1; give the number of steps that were computed."""

    def arrange(step: int, happen: Callable[[], None]) -> list[int]:
        computed: list[int] = []
        numbers = Kept.numbers

        def answering(kept: Kept, compute: Callable[[], np.ndarray]) -> np.ndarray:
            def computing() -> np.ndarray:
                if len(computed) + 1 == step:
                    happen()
                found = compute()
                computed.append(1)
                return found

            return numbers(kept, computing)

        monkeypatch.setattr(Kept, "numbers", answering)
        return computed

    return arrange


@pytest.mark.parametrize("step", range(1, STEPS + 1))
@pytest.mark.parametrize("every", [0.0, 1e9], ids=["each step written", "all written at the end"])
def test_a_stopped_probe_goes_on_to_the_same_bytes(
    tmp_path, asked, uninterrupted, ending_at, monkeypatch, capsys, step, every
):
    monkeypatch.setattr(kept_module, "EVERY", every)
    ending_at(step, lambda: send_to_itself(signal.SIGTERM))
    assert probe(*asked, "-o", tmp_path / "p") == 75
    said = capsys.readouterr().err
    monkeypatch.undo()
    if step == 1:
        assert left_behind(tmp_path) == []
    else:
        steps = "1 step is" if step == 2 else f"{step - 1} steps are"
        assert (
            f"stopped; {steps} kept in {tmp_path}/p.probe.partial; run the same command with --resume" in said
        )
        assert left_behind(tmp_path) == ["p.probe.partial"]
    computed = ending_at(0, lambda: None)
    assert probe(*asked, "--resume", "-o", tmp_path / "p") == 0
    assert len(computed) == STEPS - (step - 1)
    assert contents(tmp_path) == uninterrupted
    record = json.loads((tmp_path / "p.probe.json").read_text())
    assert "--resume" not in record["command"]


@pytest.fixture
def drawn() -> Iterator[None]:
    """Draw figures all the same."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_effects", "draw_interactions"):
            patch.setattr(probe_module, name, getattr(probe_figures, name))
        patch.setattr(probe_module, "save", figures.save)
        yield


@pytest.mark.usefixtures("drawn")
def test_a_stopped_probe_draws_the_same_figures(tmp_path, windows, ending_at, monkeypatch):
    arguments = (windows, "-m", MODEL, "-t", "0", "-q", "--number", "5", "--orders", "3", *PUT_IN)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for folder in (whole, stopped):
        folder.mkdir()
    assert probe(*arguments, "-o", whole / "p") == 0
    ending_at(3, lambda: send_to_itself(signal.SIGTERM))
    assert probe(*arguments, "-o", stopped / "p") == 75
    monkeypatch.undo()
    assert probe(*arguments, "--resume", "-o", stopped / "p") == 0
    shown = contents(stopped)
    assert {name for name in shown if name.endswith(".svg")} == {"p.probe.effects.svg", "p.probe.pairs.svg"}
    assert shown["p.probe.pairs.svg"].startswith(b"<?xml")
    assert shown == contents(whole)


@pytest.fixture
def stopped(tmp_path, asked, ending_at, monkeypatch) -> Path:
    """A prefix under which five steps are kept."""
    ending_at(6, lambda: send_to_itself(signal.SIGTERM))
    assert probe(*asked, "-o", tmp_path / "p") == 75
    monkeypatch.undo()
    return tmp_path / "p"


def test_without_a_word_what_is_kept_is_neither_used_nor_lost(stopped, asked, capsys):
    before = stopped.with_name("p.probe.partial").read_bytes()
    assert probe(*asked, "-o", stopped) == 1
    assert (
        "p.probe.partial keeps 5 steps of an interrupted probe; go on with --resume, or throw them away"
        in (error_line(capsys))
    )
    assert stopped.with_name("p.probe.partial").read_bytes() == before


def test_restart_computes_all_anew(stopped, asked, uninterrupted, ending_at):
    computed = ending_at(0, lambda: None)
    assert probe(*asked, "--restart", "-o", stopped) == 0
    assert len(computed) == STEPS
    assert contents(stopped.parent) == uninterrupted


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--insert", "AC"), "probe.inserts was"),
        (("--seed", "4"), "probe.seed was 3 and is 4"),
        (("--backgrounds", "given"), 'probe.background was "shuffled" and is "given"'),
        (("-p", "0.3"), "settings.prune was"),
        (("-b", "4"), "settings.batch_size was 3 and is 4"),
        (("-m", MODEL), "model"),
    ],
    ids=["inserts", "seed", "backgrounds", "prune", "batch", "model"],
)
def test_another_probe_doesnt_go_on_with_what_is_kept(stopped, asked, capsys, words, what):
    assert probe(*asked, *words, "--resume", "-o", stopped) == 1
    said = error_line(capsys)
    assert f"can't resume what {stopped}.probe.partial keeps: {what}" in said
    assert "use the same inputs and options, or begin anew with --restart" in said


def test_a_batch_size_that_memory_decides_is_that_of_before(tmp_path, windows, ending_at, monkeypatch):
    arguments = (windows, *ASKED, *PUT_IN, "-o", tmp_path / "p")
    ending_at(3, lambda: send_to_itself(signal.SIGTERM))
    monkeypatch.setattr(probe_module, "batch_size", lambda model: 3)
    assert probe(*arguments) == 75
    monkeypatch.undo()
    assert probe(*arguments, "--resume") == 0
    assert json.loads((tmp_path / "p.probe.json").read_text())["settings"]["batch_size"] == 3


def test_a_complete_probe_is_left_as_it_is_and_a_damaged_one_made_again(
    tmp_path, asked, uninterrupted, ending_at
):
    assert probe(*asked, "--resume", "-o", tmp_path / "p") == 0, "there is nothing to resume"
    before = (tmp_path / "p.probe.json").stat().st_mtime_ns
    computed = ending_at(0, lambda: None)
    assert probe(*asked, "--resume", "-o", tmp_path / "p") == 0
    assert (len(computed), (tmp_path / "p.probe.json").stat().st_mtime_ns) == (0, before)
    (tmp_path / "p.probe.pairs.tsv").write_text("")
    assert probe(*asked, "--resume", "-o", tmp_path / "p") == 0
    assert len(computed) == STEPS
    assert contents(tmp_path) == uninterrupted
    assert probe(*asked, "--figures", "none", "--resume", "-o", tmp_path / "p") == 0
    assert len(computed) == 2 * STEPS
    assert not list(tmp_path.glob("*.svg"))


def test_hits_from_a_pipe_are_kept_by_nobody(tmp_path, windows, ending_at, monkeypatch, capsys):
    hits = b"w0\t2\t9\thit\nw1\t2\t9\thit\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(hits)))
    ending_at(2, lambda: send_to_itself(signal.SIGTERM))
    assert probe(windows, *ASKED, "--delete", "-", "-o", tmp_path / "p") == 75
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda journal: journal.append({"n_rows": 3}), "p.probe.partial isn't of a probe; move it away"),
        (
            lambda journal: journal.append({"shapes": [[2]]}, [b"12345678"]),
            "p.probe.partial is damaged; begin",
        ),
        (
            lambda journal: journal.append({"shapes": [["x"]]}),
            "p.probe.partial isn't of a probe; move it away",
        ),
    ],
    ids=["another kind", "too short", "no shape"],
)
def test_what_is_no_work_of_a_probe_is_refused(stopped, asked, capsys, damage, message):
    with Journal(stopped.with_name("p.probe.partial")) as journal:
        damage(journal)
    assert probe(*asked, "--resume", "-o", stopped) == 1
    assert message in error_line(capsys)
