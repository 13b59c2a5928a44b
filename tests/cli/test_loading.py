"""Help is quick: what the command line loads at the top of a file is light; commands are rows of a table."""

import ast
import inspect
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest

import sparselrp_cli.cli
from sparselrp_cli.cli.main import COMMANDS, cli, run
from sparselrp_cli.settings.run import RunSettings

OF_A_MODEL = {"weights", "window", "alphabet", "layout", "inputs", "model_class", "tokens", "trust_model"}
FOLDER = Path(sparselrp_cli.cli.__file__).parent
# What files of the command line may load at the top; below it is tried that these load nothing else.
LIGHT = (
    "sparselrp_cli",
    "sparselrp_cli.cli",
    "sparselrp_cli.errors",
    "sparselrp_cli.files.interruptions",
    "sparselrp_cli.model.formats",
    "sparselrp_cli.model.request",
    "sparselrp_cli.model.shipped",
    "sparselrp_cli.outputs.choices",
    "sparselrp_cli.outputs.formats",
    "sparselrp_cli.probing.choices",
    "sparselrp_cli.relevance.choices",
    "sparselrp_cli.runs.stopping",
    "sparselrp_cli.settings",
)


def loaded_at_the_top(path: Path) -> list[str]:
    """Modules that a file loads at once: not those in functions, or for types alone."""
    found = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(str(node.module))
    return found


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_a_file_of_the_command_line_loads_only_what_is_light(path):
    for module in loaded_at_the_top(path):
        packages = {".".join(module.split(".")[: i + 1]) for i in range(module.count(".") + 1)}
        is_ours = module in LIGHT or packages & {"sparselrp_cli.cli", "sparselrp_cli.settings"}
        assert is_ours or module.split(".")[0] in {*sys.stdlib_module_names, "click"}, module


def test_help_loads_nothing_but_click_and_the_standard_library():
    code = """
import sys
before = set(sys.modules)
from sparselrp_cli.cli.main import COMMANDS, run
for arguments in (["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)):
    assert run(arguments) == 0
loaded = {module.split(".")[0] for module in set(sys.modules) - before}
print(sorted(loaded - set(sys.stdlib_module_names)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stderr == "['click', 'sparselrp_cli']\n"


def test_every_command_is_a_row_of_the_table():
    files = {path.stem for path in FOLDER.glob("*.py") if "@click.command(" in path.read_text()}

    assert set(COMMANDS.values()) == files
    assert list(COMMANDS) == cli.list_commands(click.Context(cli))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_the_name_of_its_row_and_says_what_it_does(name):
    command = cli.get_command(click.Context(cli), name)

    assert command.name == name
    assert command.short_help.endswith(".")
    assert "Example" in command.help
    assert all(isinstance(p, click.Argument) or p.help for p in command.params)


def test_a_command_that_isnt_one_is_wrong_usage(capsys):
    assert run(["atribute"]) == 2
    assert "No such command 'atribute'." in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_a_function_takes_what_its_options_give(name):
    command = cli.get_command(click.Context(cli), name)
    taken = set(inspect.signature(inspect.unwrap(command.callback)).parameters) - {"context"}
    given = {parameter.name for parameter in command.params if parameter.expose_value}
    # What the functions get put together, and of which options.
    settings = {field.name for field in fields(RunSettings)} | {"targets_file"}
    together = {"settings": settings, "models": OF_A_MODEL | {"models"},
                "model": OF_A_MODEL | {"model"}}  # fmt: skip

    assert taken - set(together) <= given
    assert given - taken <= set().union(*(together[part] for part in taken & set(together)))
