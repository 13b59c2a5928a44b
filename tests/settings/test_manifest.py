"""The manifest: there and back, what differs between two, and what makes contributions incomparable."""

import json
from dataclasses import fields, replace

import pytest
from helpers.archives import random_rows, write_archive
from helpers.manifests import SETTLED, manifest

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.digest import FileEntry
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.settings.kinds import Shard
from sparselrp_cli.settings.manifest import (
    Manifest,
    Outcome,
    difference,
    other_explanation,
    read_manifest,
    without_results,
)
from sparselrp_cli.settings.reading import WrongValueError
from sparselrp_cli.settings.run import RunSettings, run_settings

OUTCOME = Outcome(3, 1, 2, {"task": {"mean_score": 0.5}}, 1e-6, {"cosine": 0.9})
# Another value of every setting. A new field fails the tests until it is decided here what it does to them.
OTHER = {
    "targets": ("other",),
    "window": 41,
    "prune": 0.3,
    "prune_negative": 0.3,
    "redistribute": "m",
    "ends": "linear",
    "select": "z-plus",
    "centre": (),
    "composite": "epsilon",
    "reverse_complement": True,
    "tile_overlap": 5,
    "max_unknown": 0.5,
    "formats": ("h5", "bigwig"),
    "overlap": "sum",
    "batch_size": 9,
    "device": "cuda",
    "dtype": "float64",
    "archive_dtype": "float16",
    "threads": 3,
    "no_cache": True,
    "max_conservation_error": 0.5,
    "strict": True,
    "shard": Shard(1, 2),
    "allele": "alt",
    "bins": (128, 64),
}
INVISIBLE = {"threads", "no_cache"}
OWN_OF_SHARD = {"shard", "formats", "overlap"}
EXPLAINS = {"select", "centre", "bins",
    "prune", "prune_negative", "redistribute", "composite", "ends", "reverse_complement", "dtype",
}  # fmt: skip
SETTINGS = [field.name for field in fields(RunSettings)]


def test_another_value_is_known_of_every_setting():
    assert set(OTHER) == set(SETTINGS)
    assert all(getattr(SETTLED, name) != value for name, value in OTHER.items())


@pytest.mark.parametrize("models", [("net",), ("fold0", "fold1")])
@pytest.mark.parametrize("outcome", [None, OUTCOME])
def test_a_manifest_comes_back_as_it_went(models, outcome):
    before = manifest(
        models, outcome, shard=Shard(2, 3), dtype="bfloat16", prune="auto", prune_negative="auto"
    )

    assert Manifest.from_json(json.loads(json.dumps(before.to_json()))) == before


def test_what_identifies_a_run_is_what_is_there_before_its_results():
    assert without_results(manifest(outcome=OUTCOME).to_json()) == manifest().to_json()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_changed_setting_is_named_where_two_runs_differ(name):
    found = difference(manifest().to_json(), manifest(**{name: OTHER[name]}).to_json())
    section = next(declared.section for each, declared in run_settings() if each.name == name)
    if name in INVISIBLE:
        assert found == ""
    else:
        assert found.startswith(f"{section}.{name} was ")


@pytest.mark.parametrize("name", SETTINGS)
def test_shards_differ_only_in_what_is_their_own(name):
    ours, theirs = SETTLED, replace(SETTLED, **{name: OTHER[name]})
    same = ours.without_shard().to_manifest() == theirs.without_shard().to_manifest()

    assert same == (name in OWN_OF_SHARD | INVISIBLE)


@pytest.mark.parametrize("name", SETTINGS)
def test_contributions_compare_unless_a_setting_that_decides_them_differs(name):
    found = other_explanation(manifest(), manifest(**{name: OTHER[name]}))
    if name in EXPLAINS:
        assert found.startswith(f"{name} ")
        declared = {each.name: declared for each, declared in run_settings()}[name]
        assert found.endswith(f" and not {declared.write(getattr(SETTLED, name))}")
    else:
        assert found == ""


def test_contributions_dont_compare_between_models_or_rules():
    net = manifest().models[0]
    other_files = replace(net, files=(FileEntry("weights", 1, "1" * 64),))
    other_rules = replace(net, rules={"conv": "gamma"})

    assert other_explanation(manifest(), replace(manifest(), models=(other_files,))) == "another model"
    assert other_explanation(manifest(), manifest(("net", "net"))) == "another model"
    assert other_explanation(manifest(), replace(manifest(), models=(other_rules,))) == "other rules"


def test_an_input_that_differs_is_named_by_its_file():
    other = replace(manifest(), inputs={"sequences": FileEntry("genome.fa", 10, "1" * 64)})

    assert difference(manifest().to_json(), other.to_json()) == "the content of genome.fa is another"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("settings",), 3),
        (("runtime", "torch"), None),
        (("inputs", "sequences"), {"file": 3}),
        (("model", "files"), None),
        (("model", "name"), 3),
        (("rules",), []),
        (("rules", "conv"), 3),
        (("settings", "alphabet"), 3),
        (("counts", "windows"), -1),
        (("counts", "skipped"), True),
        (("accounting", "targets"), 3),
        (("accounting", "targets", "task", "mean_score"), "high"),
        (("accounting", "largest_conservation_error"), None),
        (("version",), 1),
    ],
)
def test_what_isnt_as_it_should_be_is_said(path, value):
    document = manifest(outcome=OUTCOME).to_json()
    part = document
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value

    with pytest.raises(WrongValueError, match=path[-1] if path[-1] != "sequences" else "described by 'file'"):
        Manifest.from_json(document)


def test_a_damaged_manifest_of_an_archive_is_told_with_its_file(tmp_path):
    document = manifest().to_json()
    del document["settings"]["targets"]
    archive = write_archive(tmp_path / "run.h5", random_rows([("chr1", 0)], 4), manifest=document)
    with ArchiveReader(archive) as reader, pytest.raises(OutputError) as told:
        read_manifest(reader)

    assert str(told.value) == (
        f"{archive}: its manifest is damaged (settings.targets: it is missing); copy it again, or make it"
        " again with `sparselrp attribute`"
    )


@pytest.mark.parametrize("digest", [None, "1" * 64])
def test_an_outcome_says_whose_the_table_of_skipped_regions_is(digest):
    ran = manifest(outcome=Outcome(4, 1, 0, {"task": {"mean_score": 1.0}}, 0.0, skipped_sha256=digest))
    document = ran.to_json()
    assert document.get("tables") == (None if digest is None else {"skipped": digest})
    assert Manifest.from_json(json.loads(json.dumps(document))) == ran
    assert "tables" not in without_results(document)
