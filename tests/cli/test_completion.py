"""Completion in shells, as click's machinery answers it: commands, options and their values."""

import click
import pytest
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from sparselrp_cli.cli.main import cli, run
from sparselrp_cli.cli.topics import TOPICS
from sparselrp_cli.model.shipped import shipped_models
from sparselrp_cli.outputs.formats import FORMATS
from sparselrp_cli.relevance.choices import COMPOSITES, DTYPES, ENDS, REDISTRIBUTIONS

VARIABLE = "_SPARSELRP_COMPLETE"
ATTRIBUTE = ("attribute", "genome.fa")


def offered(*words: str, typed: str = "") -> tuple[list[str], bool]:
    """What is offered behind some words, and whether files are."""
    shell = ShellComplete(cli, {}, "sparselrp", VARIABLE)
    items = shell.get_completions(list(words), typed)
    plain = [item.value for item in items if item.type == "plain"]
    return plain, any(item.type == "file" for item in items)


@pytest.mark.parametrize(
    ("words", "typed", "plain", "files"),
    [
        ((*ATTRIBUTE, "-m"), "", shipped_models(), True),
        ((*ATTRIBUTE, "-m"), "su", ("suhw-dm3",), True),
        ((*ATTRIBUTE, "-m"), "models/", (), True),
        (("inspect",), "ins", ("insulators-dm3",), True),
        (("pack",), "", shipped_models(), True),
        (("evaluate", "x.h5", "-m"), "", shipped_models(), True),
        ((*ATTRIBUTE, "--composite"), "", COMPOSITES, True),
        (("inspect", "suhw-dm3", "--composite"), "z", ("z-plus", "zero"), True),
        ((*ATTRIBUTE, "--formats"), "", tuple(FORMATS), False),
        ((*ATTRIBUTE, "--formats"), "big", ("bigwig",), False),
        ((*ATTRIBUTE, "--formats"), "h5,big", ("h5,bigwig",), False),
        ((*ATTRIBUTE, "--formats"), "h5,bigwig,mod", ("h5,bigwig,modisco", "h5,bigwig,modisco-h5"), False),
        ((*ATTRIBUTE, "--formats"), "bigwig,big", (), False),
        (("export", "x.h5", "--formats"), "fin", ("finemo",), False),
        ((*ATTRIBUTE, "--device"), "", ("auto", "cpu", "cuda"), False),
        (("motifs", "x.h5", "--device"), "c", ("cpu", "cuda"), False),
        ((*ATTRIBUTE, "-p"), "", ("auto",), False),
        ((*ATTRIBUTE, "--prune-negative"), "", (), False),
        ((*ATTRIBUTE, "--batch-size"), "a", ("auto",), False),
        ((*ATTRIBUTE, "--centre"), "", ("uniform", "none"), False),
        ((*ATTRIBUTE, "--dtype"), "", tuple(DTYPES), False),
        ((*ATTRIBUTE, "--ends"), "", ENDS, False),
        ((*ATTRIBUTE, "--redistribute"), "", REDISTRIBUTIONS, False),
        ((*ATTRIBUTE, "--database"), "jaspar2026:in", ("jaspar2026:insects",), True),
        (("motifs", "x.h5", "--database"), "known.m", (), True),
        (("attribute",), "gen", (), True),
        ((*ATTRIBUTE, "-r"), "", (), True),
        ((*ATTRIBUTE, "--targets"), "", (), True),
        (("variants",), "", (), True),
        (("variants", "x.vcf"), "", (), True),
        (("probe", "x.fa", "--motifs"), "", (), True),
        (("probe", "x.fa", "--backgrounds"), "", ("shuffled", "given"), False),
        (("probe", "x.fa", "-m"), "su", ("suhw-dm3",), True),
        (("help",), "tar", ("targets",), False),
        (("help",), "att", ("attribute",), False),
        ((), "de", ("demo",), False),
    ],
)
def test_values_are_completed(words, typed, plain, files):
    assert offered(*words, typed=typed) == (list(plain), files)


def test_options_are_completed_by_their_names():
    assert offered(*ATTRIBUTE, typed="--for") == (["--formats"], False)


@pytest.mark.parametrize("shell", [BashComplete, ZshComplete, FishComplete], ids=lambda shell: shell.name)
def test_the_page_on_completion_names_what_each_shell_evaluates(shell):
    assert f"{VARIABLE}={shell.name}_source sparselrp" in TOPICS["completion"][1]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_script_of_a_shell_is_printed_by_the_command(shell, monkeypatch, capsys):
    monkeypatch.setenv(VARIABLE, f"{shell}_source")
    with pytest.raises(SystemExit) as left:
        run([])
    assert left.value.code == 0
    assert f"{VARIABLE}={shell}_complete" in capsys.readouterr().out


def test_a_shell_is_answered_by_the_command(monkeypatch, capsys):
    monkeypatch.setenv(VARIABLE, "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", "sparselrp attribute genome.fa -m su")
    monkeypatch.setenv("COMP_CWORD", "4")
    with pytest.raises(SystemExit) as left:
        run([])
    assert left.value.code == 0
    assert capsys.readouterr().out.split("\n")[:2] == ["plain", "suhw-dm3"]


def test_completing_a_list_of_checkpoints_prints_none(capsys):
    assert offered("import", "--list", typed="--f")[0] == ["--format", "--force"]
    assert capsys.readouterr().out == ""
    assert isinstance(cli, click.Group)
