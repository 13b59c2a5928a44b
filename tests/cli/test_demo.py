"""`sparselrp demo`: what it copies, which commands it runs and prints, and that it overwrites nothing."""

import gzip
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from helpers.commands import command, error_line, left_behind

from sparselrp_cli.cli import following
from sparselrp_cli.cli.main import cli
from sparselrp_cli.runs.demo import FILES, demo_steps

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ran(monkeypatch) -> list[list[str]]:
    """The commands that are run, which do nothing here."""
    commands: list[list[str]] = []
    monkeypatch.setattr(following, "run_command", lambda words, *, quiet: commands.append(list(words)))
    return commands


@pytest.fixture
def without_motifs(monkeypatch):
    monkeypatch.setitem(sys.modules, "modiscolite", None)


def printed(text: str) -> list[list[str]]:
    """The commands of a text, as a shell would split them."""
    lines = [line.strip() for line in text.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("sparselrp ")]


@pytest.mark.parametrize("folder", ["sparselrp-demo", "my demo", "deep/er"])
def test_it_runs_the_commands_that_it_prints(tmp_path, monkeypatch, capsys, ran, folder):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sparselrp_cli.runs.demo.can_find_motifs", lambda: True)
    assert command("demo", *(() if folder == "sparselrp-demo" else ("-o", folder)), "-q") == 0
    assert printed(capsys.readouterr().out) == [["sparselrp", *words] for words in ran]
    assert [words[0] for words in ran] == ["attribute", "evaluate"]
    assert "--report" in ran[0]
    assert left_behind(tmp_path / folder) == sorted(FILES)


def test_without_the_packages_for_motifs_it_goes_to_the_report_and_says_what_is_missing(
    tmp_path, monkeypatch, capsys, ran, without_motifs
):
    monkeypatch.chdir(tmp_path)
    assert command("demo") == 0
    assert [words[0] for words in ran] == ["attribute", "report", "evaluate"]
    assert "--report" not in ran[0]
    assert "pip install 'sparselrp[motifs]'" in capsys.readouterr().out


@pytest.mark.parametrize("motifs", [True, False])
def test_every_command_can_be_read_by_the_command_line(tmp_path, monkeypatch, motifs):
    monkeypatch.setattr("sparselrp_cli.runs.demo.can_find_motifs", lambda: motifs)
    for step in demo_steps(tmp_path):
        name, *words = step.arguments
        of_that_name = cli.get_command(None, name)
        assert of_that_name.make_context(name, words).params


def test_it_overwrites_nothing(tmp_path, monkeypatch, capsys, ran):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("years of work")
    assert command("demo", "-o", "thesis") == 1
    assert error_line(capsys) == (
        "sparselrp: error: thesis isn't empty, and the demo overwrites nothing; name another folder with -o"
    )
    assert left_behind(tmp_path / "thesis") == ["thesis.txt"]
    assert ran == []


def test_one_that_broke_off_is_gone_on_with(tmp_path, monkeypatch, ran):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sparselrp_cli.runs.demo.can_find_motifs", lambda: True)
    assert command("demo", "-q") == 0
    folder = tmp_path / "sparselrp-demo"
    for name in ("suhw.partial", "suhw.h5", "suhw_mqc.tsv", ".sparselrp-0123456789abcdef.tmp"):
        (folder / name).write_text("of the demo that broke off")
    (folder / FILES[0]).unlink()
    assert command("demo", "-q") == 0
    assert (folder / FILES[0]).is_file()
    assert "--resume" not in ran[0]
    assert "--resume" in ran[2]


def test_one_that_is_at_its_end_is_not_overwritten(tmp_path, monkeypatch, capsys, ran):
    monkeypatch.chdir(tmp_path)
    assert command("demo", "-q") == 0
    (tmp_path / "sparselrp-demo" / "suhw.report.html").write_text("the page")
    assert command("demo", "-q") == 1
    assert error_line(capsys) == (
        "sparselrp: error: sparselrp-demo has a demo already: open sparselrp-demo/suhw.report.html, "
        "or name another folder with -o"
    )


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_place_that_is_no_folder_is_said_in_a_line(tmp_path, monkeypatch, capsys, ran, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")
    assert command("demo", "-o", place) == 1
    assert "can't be written" in error_line(capsys)
    assert (tmp_path / "file").read_text() == "kept"
    assert ran == []


def test_the_shipped_windows_are_the_first_peaks_of_the_shipped_genome(tmp_path):
    made = runpy.run_path(str(ROOT / "data" / "make_data.py"))
    with gzip.open(ROOT / "data" / "chr2R-15-21Mb.fa.gz", "rt") as stream:
        sequence = "".join(line.strip() for line in stream if not line.startswith(">"))
    peaks = made["read_peaks"](ROOT / "data" / "suhw-peaks.bed")
    made["write_windows"](sequence, peaks, tmp_path / "windows.fa")
    shipped = ROOT / "data" / "suhw-windows.fa"
    assert (tmp_path / "windows.fa").read_bytes() == shipped.read_bytes()
    assert shipped.read_text().count(">") == made["DEMONSTRATED"] == 60
