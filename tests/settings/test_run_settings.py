"""Settings go to the manifest and come back the same; every one says what depends on it."""

import json
from dataclasses import fields, replace
from types import NoneType
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparselrp_cli.relevance.choices import UNIFORM
from sparselrp_cli.settings.kinds import (
    BatchSize,
    BinsKind,
    Choice,
    Composition,
    Device,
    Flag,
    Kind,
    NameList,
    PresetOrFile,
    Proportion,
    Real,
    Shard,
    ShardKind,
    Whole,
)
from sparselrp_cli.settings.reading import WrongValueError
from sparselrp_cli.settings.run import RunSettings, run_settings
from sparselrp_cli.settings.setting import REQUIRED, setting
from sparselrp_cli.settings.targets import NamedTarget, Targets

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
SHARDS = st.integers(1, 999).flatmap(lambda of: st.builds(Shard, st.integers(1, of), st.just(of)))


def values_of(kind: Kind) -> st.SearchStrategy[Any]:
    """Values of a kind, as a run has them when nothing is left open."""
    match kind:
        case Flag():
            return st.booleans()
        case Choice(names):
            return st.sampled_from(list(names))
        case Whole(minimum):
            return st.integers(minimum, 10**12)
        case BatchSize():
            return st.integers(1, 10**6)
        case BinsKind():
            return st.tuples(st.integers(1, 999)) | st.tuples(st.integers(1, 999), st.integers(0, 10**6))
        case Real(maximum):
            return st.floats(0, maximum, allow_infinity=False)
        case Proportion():
            return st.floats(0, 1, exclude_max=True)
        case NameList(names):
            return st.lists(st.sampled_from(list(names)), unique=True).map(tuple)
        case Targets():
            return st.lists(TEXT | st.builds(NamedTarget, TEXT, TEXT)).map(tuple)
        case PresetOrFile():
            return TEXT
        case Composition():
            return st.sampled_from([(), UNIFORM, (0.3, 0.2, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4)])
        case Device():
            return st.sampled_from(["auto", "cpu", "cuda", "cuda:3"])
        case ShardKind():
            return SHARDS
    raise TypeError(f"no values are drawn of {kind}")


@st.composite
def run_settings_drawn(draw: st.DrawFn) -> RunSettings:
    drawn = {}
    for each, declared in run_settings():
        if declared.section is not None:
            values = values_of(declared.kind)
            drawn[each.name] = draw(values if each.default is not None else st.none() | values)
    if draw(st.booleans()):
        drawn["prune"] = "auto"
        drawn["prune_negative"] = draw(st.sampled_from([None, "auto"]))
    if drawn["redistribute"] == "m":
        drawn["select"] = None
    return RunSettings(**drawn)


@given(run_settings_drawn())
def test_settings_come_back_from_the_manifest_as_they_went(given):
    sections = json.loads(json.dumps(given.to_manifest()))

    assert RunSettings.from_manifest(sections) == given


def test_what_the_user_leaves_open_comes_back_too():
    assert RunSettings.from_manifest(RunSettings().to_manifest()) == RunSettings()


@pytest.mark.parametrize("name", [field.name for field in fields(RunSettings)])
def test_a_default_is_of_the_type_that_the_field_says_and_only_such_may_be_null(name):
    hint = get_type_hints(RunSettings)[name]
    default = next(field.default for field in fields(RunSettings) if field.name == name)

    assert (default is None) == (NoneType in get_args(hint))


def test_what_isnt_in_the_manifest_cant_change_results():
    # A new setting that isn't in the manifest escapes --resume, merge and evaluate: say here why it may.
    nowhere = {each.name for each, declared in run_settings() if declared.section is None}

    assert nowhere == {"threads", "no_cache"}


@pytest.mark.parametrize("name", [each.name for each, declared in run_settings() if declared.section])
def test_a_setting_that_is_missing_is_named_unless_that_means_something(name):
    sections = RunSettings().to_manifest()
    declared = next(declared for each, declared in run_settings() if each.name == name)
    sections[declared.section].pop(name, None)
    if declared.only_where_set or declared.absent is not REQUIRED:
        meant = None if declared.only_where_set else declared.absent
        assert getattr(RunSettings.from_manifest(sections), name) == meant
    else:
        with pytest.raises(WrongValueError, match=rf"{declared.section}\.{name}: it is missing"):
            RunSettings.from_manifest(sections)


@pytest.mark.parametrize("name", [each.name for each, declared in run_settings() if declared.section])
@pytest.mark.parametrize("value", [{"a": 1}, [3], float("nan"), -1])
def test_a_setting_of_another_kind_is_named(name, value):
    sections = RunSettings().to_manifest()
    declared = next(declared for each, declared in run_settings() if each.name == name)
    sections[declared.section][name] = value

    with pytest.raises(WrongValueError, match=rf"^{declared.section}\.{name}: "):
        RunSettings.from_manifest(sections)


def test_a_setting_that_older_manifests_lack_is_what_they_meant():
    declared = setting(3, Whole(0), section="settings", explains=False, absent=7).metadata["setting"]

    assert declared.when_absent() == 7


def test_a_setting_of_a_later_version_isnt_overlooked():
    sections = RunSettings().to_manifest()
    sections["settings"]["colour"] = "uniform"

    with pytest.raises(WrongValueError, match=r"settings\.colour isn't a setting that version"):
        RunSettings.from_manifest(sections)


@pytest.mark.parametrize(("prune", "negative"), [("auto", 0.1), (0.1, "auto")])
def test_an_automatic_proportion_goes_with_no_number(prune, negative):
    with pytest.raises(WrongValueError, match="--prune-negative goes with a number for --prune"):
        RunSettings(prune=prune, prune_negative=negative)


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (RunSettings(), False),
        (RunSettings(prune=0.0), True),
        (RunSettings(prune=0.0, prune_negative=0.1), False),
        (RunSettings(prune="auto"), False),
    ],
)
def test_a_run_is_plain_where_nothing_is_pruned(given, plain):
    assert given.is_plain == plain


def test_formats_that_arent_named_follow_from_what_is_explained():
    assert RunSettings().wanted_formats(on_genome=True) == ("h5", "bigwig")
    assert RunSettings().wanted_formats(on_genome=False) == ("h5", "bedgraph")
    assert RunSettings(shard=Shard(1, 2)).wanted_formats(on_genome=True) == ("h5", "bigwig")
    assert RunSettings(shard=Shard(1, 2)).wanted_formats(on_genome=False) == ("h5",)
    assert RunSettings(formats=("finemo",)).wanted_formats(on_genome=True) == ("finemo",)


def test_shards_of_one_run_have_the_rest_in_common():
    one = RunSettings(shard=Shard(1, 2), formats=("h5",), overlap="sum", prune=0.3)
    other = replace(one, shard=Shard(2, 2), formats=(), overlap="mean")

    assert one.without_shard() == other.without_shard() == RunSettings(prune=0.3)
