"""Help: options in groups, examples that the command line takes, topics, colour where it is wanted."""

import io
import re
import shlex
import sys

import click
import pytest
import torch
from helpers.commands import command

from sparselrp_cli.cli.colour import painted, wants_colour
from sparselrp_cli.cli.grouped import GROUPS
from sparselrp_cli.cli.main import COMMANDS, SECTIONS, cli, run
from sparselrp_cli.cli.options import say_step, start_log
from sparselrp_cli.cli.topics import TOPICS
from sparselrp_cli.errors import TargetError, number_of
from sparselrp_cli.graph.canonical import GraphOutput
from sparselrp_cli.graph.shapes import BatchDim
from sparselrp_cli.graph.targets import TargetParser
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.outputs.formats import EXPORTED, standard_formats

N = BatchDim()
ANSI = re.compile(r"\x1b\[")
LETTERS = [("-m", "--model"), ("-o", "--output"), ("-p", "--prune"), ("-r", "--regions"), ("-t", "--target"),
           ("-w", "--weights"), ("-b", "--batch-size"), ("-q", "--quiet"), ("-v", "--verbose")]  # fmt: skip


class Screen(io.StringIO):
    """A stream that is a terminal, or isn't."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def command_of(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def help_of(*names: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert run([*names, "--help"]) == 0
    return capsys.readouterr().out


def as_words(text: str) -> str:
    return " ".join(text.split())


def examples_of(name: str) -> list[list[str]]:
    """The commands in a command's help, as a shell splits them."""
    text = (command_of(name).help or "").replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in text.splitlines() if line.strip().startswith("sparselrp ")]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_stands_once_in_a_group_of_the_help(name, capsys):
    text = help_of(name, capsys=capsys)
    headings = [line[:-1] for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert [heading for heading in headings if heading in GROUPS] == [g for g in GROUPS if g in headings]
    for option in (p for p in command_of(name).params if isinstance(p, click.Option)):
        (group,) = [group for group, names in GROUPS.items() if option.name in names]
        under = text.split(f"\n{group}:\n")[1].split("\n\n")[0]
        assert re.search(rf"^  (-\w, )?{option.opts[-1]}\b", under, re.MULTILINE), option.name


def test_no_group_names_an_option_that_no_command_has():
    known = {parameter.name for name in COMMANDS for parameter in command_of(name).params}
    assert {option for names in GROUPS.values() for option in names} - known == {"help", "version"}


def test_every_command_stands_in_a_section():
    listed = [name for names in SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_letter_means_the_same_in_every_command(name):
    pairs = {tuple(p.opts) for p in command_of(name).params if len(p.opts) > 1}
    assert pairs <= set(LETTERS)


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_commands_that_can_be_read(name):
    examples = examples_of(name)
    assert any(words[0] == name for words in examples)
    for first, *words in examples:
        try:
            of_example = command_of(first)
            of_example.make_context(first, words, parent=click.Context(cli))
        except click.exceptions.Exit:  # such as of import --list
            pass


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("attribute", f"{','.join(standard_formats(on_genome=True))}; without --regions"
                      f" {','.join(standard_formats(on_genome=False))}, or with --shard h5"),
        ("export", ",".join(EXPORTED)),
        ("merge", f"{','.join(standard_formats(on_genome=True))}; of FASTA records"
                  f" {','.join(standard_formats(on_genome=False))}"),
    ],
)  # fmt: skip
def test_the_formats_that_are_written_unless_told_are_shown(name, default, capsys):
    assert f"[default: {default}]" in as_words(help_of(name, capsys=capsys))


def test_alone_it_shows_three_commands_to_begin_with(capsys):
    assert run([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    begun = [line.split()[1] for line in err.splitlines() if line.startswith("  sparselrp ")]
    assert begun == ["demo", "inspect", "attribute"]


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_printed(topic, capsys):
    assert command("help", topic) == 0
    assert capsys.readouterr().out == TOPICS[topic][1] + "\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_on_a_command_is_that_of_the_command(name, capsys):
    assert command("help", name) == 0
    assert capsys.readouterr().out == help_of(name, capsys=capsys)


def test_help_alone_is_that_of_all_commands_and_names_the_topics(capsys):
    assert command("help") == 0
    out = capsys.readouterr().out
    assert out.startswith("Usage: sparselrp [OPTIONS]")
    assert all(f"`sparselrp help {topic}`" in out for topic in TOPICS)


@pytest.mark.parametrize(
    ("topic", "hint"),
    [("target", "did you mean 'targets'?"), ("atribute", "did you mean 'attribute'?"),
     ("zzz", "topics are targets, completion, and every command")],
)  # fmt: skip
def test_help_on_what_there_is_none_of_is_wrong_usage(topic, hint, capsys):
    assert command("help", topic) == 2
    assert f"no help on '{topic}'; {hint}" in capsys.readouterr().err


def example_targets() -> list[str]:
    lines = [line.strip() for line in TOPICS["targets"][1].splitlines()]
    return [shlex.split(line)[1] for line in lines if re.match("-t ['\"\\w-]", line) and "  " in line]


MODELS = (
    TargetParser([GraphOutput("out", "y", (N, 6))], [OutputNames("out", ("suhw", "beaf"))]),
    TargetParser([GraphOutput("tracks", "y", (N, 4, 896))], [OutputNames("tracks")]),
    TargetParser(
        [GraphOutput("profile", "p", (N, 2, 1000)), GraphOutput("counts", "c", (N, 1))],
        [OutputNames("profile"), OutputNames("counts")],
    ),
    TargetParser([GraphOutput("out", "y", (N, 2))], [OutputNames("out", ("a-b", "c"))]),
)


def is_read(parser: TargetParser, text: str) -> bool:
    try:
        parser.parse(text)
    except TargetError:
        return False
    return True


@pytest.mark.parametrize("text", example_targets())
def test_an_example_of_a_target_is_read(text):
    assert any(is_read(parser, text) for parser in MODELS)


def test_all_examples_of_targets_are_tried():
    assert len(example_targets()) == TOPICS["targets"][1].count("\n  -t ")


@pytest.mark.parametrize(
    ("terminal", "environment", "wanted"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
    ],
    ids=["terminal", "pipe", "NO_COLOR", "NO_COLOR is empty", "dumb terminal"],
)
def test_colours_go_to_terminals_that_want_them(terminal, environment, wanted, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    screen = Screen(terminal=terminal)
    assert wants_colour(screen) is wanted
    assert bool(ANSI.search(painted("text", screen, "red"))) is wanted
    monkeypatch.setattr(sys, "stdout", screen)
    assert run(["report", "--help"]) == 0
    assert bool(ANSI.search(screen.getvalue())) is wanted
    plain = click.unstyle(screen.getvalue())
    assert "\nInput:\n" in plain
    assert "  -o, --output REPORT.html  " in plain


def test_a_closed_stream_wants_no_colour():
    assert not wants_colour(None)


@pytest.mark.parametrize(("terminal", "coloured"), [(True, True), (False, False)])
def test_errors_are_in_colour_on_a_terminal_alone(terminal, coloured, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen(terminal=terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    assert command("report", "nowhere.h5", "-o", "page.html") == 1
    assert bool(ANSI.search(screen.getvalue())) is coloured
    assert "sparselrp: error: nowhere.h5" in click.unstyle(screen.getvalue())


@pytest.mark.parametrize(
    ("terminal", "verbose", "quiet", "said"),
    [
        (True, False, False, True),
        (False, False, False, False),
        (False, True, False, True),
        (True, False, True, False),
    ],
    ids=["terminal", "log", "verbose", "quiet"],
)
def test_what_begins_is_said_to_who_watches(terminal, verbose, quiet, said, monkeypatch):
    screen = Screen(terminal=terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    context = click.Context(cli)
    context.meta["sparselrp.verbose"] = verbose
    start_log(context, quiet=quiet)
    say_step("loading PyTorch")
    assert screen.getvalue() == ("sparselrp: loading PyTorch ...\n" if said else "")


def test_before_the_first_window_a_terminal_is_told_what_goes_on(tmp_path, monkeypatch):
    screen = Screen(terminal=True)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "stdout", Screen(terminal=False))
    assert command("inspect", "suhw-dm3") == 0
    lines = click.unstyle(screen.getvalue()).splitlines()
    assert lines == ["sparselrp: loading PyTorch ...", "sparselrp: tracing suhw-dm3 ..."]
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("number", "noun", "plural", "said"),
    [(0, "window", "", "0 windows"), (1, "window", "", "1 window"), (2, "window", "", "2 windows"),
     (1, "motif is", "motifs are", "1 motif is"), (3, "motif is", "motifs are", "3 motifs are")],
)  # fmt: skip
def test_one_is_singular(number, noun, plural, said):
    assert number_of(number, noun, plural) == said
