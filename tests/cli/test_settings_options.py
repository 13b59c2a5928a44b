"""Every setting that is typed reaches the run as what was typed."""

from pathlib import Path

import click
import pytest

from sparselrp_cli.cli.models import model_details, models_options
from sparselrp_cli.cli.settings import settings_options
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.settings.kinds import Shard
from sparselrp_cli.settings.run import RunSettings, run_settings
from sparselrp_cli.settings.targets import NamedTarget

TYPED = {
    "targets": (["-t", "a", "--target", "1-0@5"], ("a", "1-0@5")),
    "bins": (["--bins", "128:40960"], (128, 40960)),
    "prune": (["-p", "0.3"], 0.3),
    "prune_negative": (["--prune-negative", "0"], 0.0),
    "redistribute": (["--redistribute", "m"], "m"),
    "ends": (["--ends", "undo"], "undo"),
    "composite": (["--composite", "z-plus"], "z-plus"),
    "reverse_complement": (["--reverse-complement"], True),
    "tile_overlap": (["--tile-overlap", "7"], 7),
    "select": (["--select", "z-plus"], "z-plus"),
    "centre": (["--centre", "0.3,0.2,0.2,0.3"], (0.3, 0.2, 0.2, 0.3)),
    "max_unknown": (["--max-unknown", "0.5"], 0.5),
    "formats": (["--formats", "bedgraph,h5"], ("bedgraph", "h5")),
    "overlap": (["--overlap", "sum"], "sum"),
    "batch_size": (["-b", "12"], 12),
    "device": (["--device", "cuda:1"], "cuda:1"),
    "dtype": (["--dtype", "bfloat16"], "bfloat16"),
    "archive_dtype": (["--archive-dtype", "float16"], "float16"),
    "threads": (["--threads", "3"], 3),
    "no_cache": (["--no-cache"], True),
    "max_conservation_error": (["--max-conservation-error", "0.5"], 0.5),
    "strict": (["--strict"], True),
    "shard": (["--shard", "2/8"], Shard(2, 8)),
}


@click.command
@settings_options("attribute")
def capture(settings: RunSettings) -> RunSettings:
    return settings


@click.command
@settings_options("variants", overlap="max-abs")
def capture_variants(settings: RunSettings) -> RunSettings:
    return settings


def parsed(*words: str, command: click.Command = capture) -> RunSettings:
    return command.main(list(words), standalone_mode=False)


def test_every_setting_with_a_flag_is_tried():
    assert set(TYPED) == {each.name for each, declared in run_settings() if declared.flags}


def test_nothing_typed_is_the_default():
    assert parsed() == RunSettings()
    assert parsed(command=capture_variants) == RunSettings(overlap="max-abs")


@pytest.mark.parametrize("name", TYPED)
def test_what_is_typed_is_what_the_run_gets_and_nothing_else_changes(name):
    words, value = TYPED[name]
    declared = next(declared for each, declared in run_settings() if each.name == name)

    assert parsed(*words) == RunSettings(**{name: value})
    if "variants" in declared.commands:
        changed = {"overlap": "max-abs", name: value}
        assert parsed(*words, command=capture_variants) == RunSettings(**changed)
    else:
        with pytest.raises(click.NoSuchOption, match=words[0]):
            parsed(*words, command=capture_variants)


@pytest.mark.parametrize("command", [capture, capture_variants], ids=["attribute", "variants"])
def test_targets_of_a_file_stand_behind_those_that_are_typed(command, tmp_path):
    path = tmp_path / "targets.tsv"
    path.write_text("up\t1-0\n")
    found = parsed("--targets", str(path), "-t", "a", command=command)
    assert found.targets == ("a", NamedTarget("up", "1-0"))


def test_auto_is_typed_as_such():
    assert parsed("-b", "auto") == RunSettings()
    assert parsed("-p", "auto") == RunSettings(prune="auto")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-p", "1"], "'1' isn't a proportion: 0 <= P < 1, or auto"),
        (["--prune-negative", "auto"], "'auto' isn't a proportion: 0 <= P < 1"),
        (
            ["-p", "auto", "--prune-negative", "0.1"],
            "--prune-negative goes with a number for --prune, not with",
        ),
        (["--redistribute", "n"], "'n' is not one of 'lambda', 'm'"),
        (["--threads", "0"], "0 is not in the range 1<=x<=1024"),
        (["--max-unknown", "2"], "2.0 is not in the range 0<=x<=1"),
        (["--formats", "wig"], "unknown format 'wig'; choose among h5, bigwig, "),
    ],
)
def test_what_is_typed_wrong_is_wrong_usage(words, message):
    with pytest.raises(click.UsageError) as told:
        parsed(*words)

    assert message in told.value.format_message()


@click.command
@models_options
def capture_models(models: tuple[ModelRequest, ...]) -> tuple[ModelRequest, ...]:
    return models


@click.command
@click.argument("model", required=False)
@model_details
def capture_model(model: ModelRequest | None) -> ModelRequest | None:
    return model


DETAILS = [
    "--window", "40", "--alphabet", "TGCA", "--layout", "NLC", "--input", "a=2:0", "--input", "b=3",
    "--tokens", "A=1,C=2,G=3,T=4", "--trust-model",
]  # fmt: skip


def test_a_model_has_the_details_that_go_with_it():
    wanted = ModelRequest(
        "net.py:f",
        Path("w.pt"),
        40,
        "TGCA",
        "NLC",
        True,
        ("a=2:0", "b=3"),
        tokens="A=1,C=2,G=3,T=4",
    )
    words = ["-w", "w.pt", *DETAILS]

    assert capture_models.main(["-m", "net.py:f", *words], standalone_mode=False) == (wanted,)
    assert capture_model.main(["net.py:f", *words], standalone_mode=False) == wanted
    assert capture_model.main([], standalone_mode=False) is None
    with pytest.raises(click.UsageError, match="--weights goes with --model; name the model too"):
        capture_model.main(words, standalone_mode=False)


def test_factories_have_their_weights_in_their_order():
    words = ["-m", "a.py:f", "-m", "folder", "-m", "b.py:f", "-w", "a.pt", "-w", "b.pt"]
    models = capture_models.main(words, standalone_mode=False)

    assert [(m.reference, m.weights) for m in models] == [
        ("a.py:f", Path("a.pt")), ("folder", None), ("b.py:f", Path("b.pt")),
    ]  # fmt: skip
    with pytest.raises(click.UsageError, match="--weights: 1 file for 2 factories among the models"):
        capture_models.main(words[:-2], standalone_mode=False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--select", "z-plus", "--redistribute", "m"],
            "--select goes with --redistribute lambda, not with m",
        ),
        (
            ["--select", "z-plus", "-p", "0"],
            "--select chooses what pruning keeps; with -p 0 everything is kept",
        ),
    ],
)
def test_a_selection_that_can_do_nothing_is_refused(words, message):
    for command in (capture, capture_variants):
        with pytest.raises(click.UsageError) as raised:
            parsed("--select", "z-plus", *words, command=command)
        assert raised.value.exit_code == 2
        assert raised.value.message == message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--select", "flat"], "'flat' is not one of"),
        (["--centre", "0.5,0.5"], "isn't uniform, none, or four shares"),
        (["--centre", "0.4,0.4,0.4,0.4"], "add up to 1.6, not to 1"),
    ],
)
def test_a_wrong_rule_or_composition_is_wrong_usage(words, message):
    with pytest.raises(click.UsageError, match=message) as raised:
        parsed(*words)
    assert raised.value.exit_code == 2
