"""Every option that takes a number refuses what is none, whichever command has it."""

from collections.abc import Iterator

import click
import pytest

from sparselrp_cli.cli.main import cli, run
from sparselrp_cli.cli.settings import Typed
from sparselrp_cli.cli.values import Finite
from sparselrp_cli.settings.kinds import Proportion

NO_NUMBERS = ("nan", "NaN", "inf", "-inf", "1e999", "")


def options() -> Iterator[tuple[str, str, click.Option]]:
    """Every option of every command, by command and flag."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield name, max(parameter.opts, key=len), parameter


def is_number(option: click.Option) -> bool:
    kind = option.type
    return isinstance(kind, click.types.FloatParamType | click.types.IntParamType) or (
        isinstance(kind, Typed) and isinstance(kind.kind, Proportion)
    )


NUMBERS = [(name, flag) for name, flag, option in options() if is_number(option)]


def test_there_are_options_with_numbers_in_many_commands():
    assert len({name for name, _ in NUMBERS}) >= 6
    assert {"--max-conservation-error", "--max-unknown", "--fdr", "--prune"} <= {flag for _, flag in NUMBERS}


def test_every_real_number_is_a_finite_one_within_bounds():
    for name, flag, option in options():
        if isinstance(option.type, click.types.FloatParamType):
            assert isinstance(option.type, Finite), f"{name} {flag} takes nan"


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number_is_wrong_usage_everywhere(capsys, text):
    for name, flag in NUMBERS:
        assert run([name, flag, text]) == 2, f"{name} {flag}"
        said = capsys.readouterr().err.splitlines()[-1]
        assert f"Invalid value for '{flag}'" in said or f"/ '{flag}'" in said, f"{name} {flag}: {said}"


BELOW = [
    (name, flag)
    for name, flag, option in options()
    if is_number(option) and getattr(option.type, "min", 0) is not None
]


def test_numbers_below_their_bound_are_wrong_usage_everywhere(capsys):
    assert ("attribute", "--max-conservation-error") in BELOW
    assert ("motifs", "--fdr") in BELOW
    for name, flag in BELOW:
        assert run([name, flag, "-1"]) == 2, f"{name} {flag}"
        assert flag in capsys.readouterr().err.splitlines()[-1]
