"""What `sparselrp motifs` compares with: where the null comes from, and whether it is calibrated."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.archives import write_archive
from helpers.tiny_net import MODEL
from motifs.planted import planted_archive, planted_rows
from safetensors.torch import save_file

from sparselrp_cli.cli.main import run
from sparselrp_cli.errors import Stopped
from sparselrp_cli.model.architectures import ARCHITECTURES
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.motifs.background import background_beside, is_shuffled
from sparselrp_cli.motifs.null import require_same_explanation
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.runs.background import completed, explain_background
from sparselrp_cli.runs.stopping import StopRequest

# TF-MoDISco's own.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
UNCALIBRATED = "aren't calibrated: the null is the windows' own contributions, permuted"


def motifs(archive: Path, prefix: Path, *options: object) -> int:
    return run(["motifs", str(archive), "-o", str(prefix), *map(str, options)])


def record_of(prefix: Path) -> dict:
    return json.loads(Path(f"{prefix}.motifs.json").read_text())


def columns_of(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()]


def of_signs(
    path: Path, n: int, *, positive: float, negative: float, sites: tuple[str, ...] = (), seed: int = 0
):
    """An archive of noise (and sites) whose positive and negative contributions are scaled."""
    given = {"sites": sites} if sites else {"sites": ()}
    rows, _ = planted_rows(n, seed=seed, **given)
    maps = np.where(rows.hypothetical > 0, positive, negative) * rows.hypothetical
    return write_archive(path, replace(rows, hypothetical=maps), sizes={"chr": 10**6})


def test_a_permuted_null_is_said_in_log_tables_and_json(tmp_path, capsys):
    archive, _ = planted_archive(tmp_path / "a.h5", n=150)
    assert motifs(archive, tmp_path / "a", "--null", "permuted") == 0
    assert f"warning: p and q of positive relevance {UNCALIBRATED}" in capsys.readouterr().err
    record = record_of(tmp_path / "a")
    assert record["calibrated"] is False
    assert record["null"]["positive"]["kind"] == "permuted"
    assert {null["calibrated"] for null in record["null"].values()} == {False}
    assert record["motifs"]
    assert not any(motif["calibrated"] for motif in record["motifs"])
    assert set(pd.read_csv(tmp_path / "a.motifs.tsv", sep="\t")["calibrated"]) == {"no"}
    assert {row[14] for row in columns_of(tmp_path / "a.seqlets.bed")} == {"no"}
    assert {row[14] for row in columns_of(tmp_path / "a.hits.bed")} == {"no"}


def test_a_background_makes_a_calibrated_null(tmp_path, capsys):
    archive, _ = planted_archive(tmp_path / "a.h5", n=150)
    background, _ = planted_archive(tmp_path / "bg.h5", n=150, sites=(), seed=5)
    assert motifs(archive, tmp_path / "a", "--background", background) == 0
    assert "warning" not in capsys.readouterr().err
    record = record_of(tmp_path / "a")
    assert record["calibrated"] is True
    assert {null["kind"] for null in record["null"].values()} == {"background"}
    assert set(pd.read_csv(tmp_path / "a.motifs.tsv", sep="\t")["calibrated"]) == {"yes"}
    assert {row[14] for row in columns_of(tmp_path / "a.seqlets.bed")} == {"yes"}
    assert {row[14] for row in columns_of(tmp_path / "a.hits.bed")} == {"yes"}


def test_without_a_background_and_a_model_the_way_to_a_calibrated_null_is_said(tmp_path, capsys):
    archive, _ = planted_archive(tmp_path / "a.h5", n=60)
    assert motifs(archive, tmp_path / "a") == 0
    said = capsys.readouterr().err
    assert UNCALIBRATED in said
    assert "give the model with --model, or shuffled windows with --background" in said
    assert record_of(tmp_path / "a")["calibrated"] is False


def test_a_sign_that_the_background_lacks_is_permuted_and_said_and_the_other_is_calibrated(tmp_path, capsys):
    archive, _ = planted_archive(tmp_path / "a.h5", n=150)
    background = of_signs(tmp_path / "bg.h5", 150, positive=0, negative=1, seed=5)
    assert motifs(archive, tmp_path / "a", "--background", background) == 0
    said = capsys.readouterr().err
    reason = "bg.h5: 0 segments of positive relevance are too few for a null (at least 100)"
    assert f"positive relevance has no null; permuted contributions take its place ({reason}" in said
    assert f"p and q of positive relevance {UNCALIBRATED}" in said
    record = record_of(tmp_path / "a")
    assert record["null"]["positive"]["kind"] == "permuted"
    assert record["null"]["positive"]["reason"].startswith(reason)
    assert (
        record["null"]["negative"] | {"kind": "background", "calibrated": True} == record["null"]["negative"]
    )
    assert record["motifs"]
    calibrated = {row[9][0] == "-": row[14] for row in columns_of(tmp_path / "a.seqlets.bed")}
    assert calibrated[False] == "no"
    assert calibrated.get(True, "yes") == "yes"


def test_a_sign_of_which_there_is_too_little_anywhere_is_left_out_and_said(tmp_path, capsys):
    archive = of_signs(tmp_path / "a.h5", 150, positive=1, negative=0)
    background = of_signs(tmp_path / "bg.h5", 150, positive=1, negative=0, seed=5)
    assert motifs(archive, tmp_path / "a", "--background", background) == 0
    assert (
        "negative relevance has no null; none of it is called (bg.h5: 0 segments" in capsys.readouterr().err
    )
    nulls = record_of(tmp_path / "a")["null"]
    assert nulls["positive"]["calibrated"] is True
    assert (nulls["negative"]["kind"], nulls["negative"]["calibrated"]) == ("none", False)


def test_maps_that_are_all_zero_are_no_error_and_said(tmp_path, capsys):
    archive = of_signs(tmp_path / "a.h5", 20, positive=0, negative=0)
    assert motifs(archive, tmp_path / "a", "--null", "permuted") == 0
    said = capsys.readouterr().err
    for sign in ("positive", "negative"):
        assert f"{sign} relevance has no null; none of it is called (a.h5: all relevance is zero" in said
    assert record_of(tmp_path / "a")["counts"] == {"windows": 20, "seqlets": 0, "motifs": 0, "hits": 0}
    assert (tmp_path / "a.hits.bed").read_text() == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--null", "permuted", "--background", "bg.h5"), "--null permuted goes without --background"),
        (("--null", "permuted", "-m", "model"), "--null permuted goes without --model"),
        (("--background", "bg.h5", "-m", "model"), "--background is the null already"),
        (("-w", "w.safetensors"), "--weights goes with --model; name the model too"),
        (("--trust-model",), "--trust-model goes with --model"),
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(tmp_path, capsys, options, said):
    assert motifs(tmp_path / "a.h5", tmp_path / "a", *options) == 2
    assert said in capsys.readouterr().err


# From here on with models. Windows are random: there is nothing to find.


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sequences, a model folder, and runs of it and of a factory over them."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    lines = [f">r{i}\n{''.join(rng.choice(list('ACGT'), 40))}\n" for i in range(120)]
    (folder / "a.fa").write_text("".join(lines))
    (folder / "half.fa").write_text("".join(lines[60:]))
    write_model(folder / "model")
    for name, model, options in (("of-folder", folder / "model", ()), ("of-factory", MODEL, ("-t", "1"))):
        given = ["attribute", folder / "a.fa", "-m", model, "-o", folder / name, "--formats", "h5", "-q"]
        words = [*map(str, given), *options]
        assert run(words) == 0
        write_command(folder / name, ["sparselrp", *words])
    return folder


def write_command(prefix: Path, command: object) -> None:
    """Write another command line into a manifest: that of the process is pytest's."""
    path = Path(f"{prefix}.manifest.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"command": command}))


def write_model(path: Path, seed: int = 0) -> None:
    path.mkdir()
    torch.manual_seed(seed)
    arguments = {
        "window": 40, "channels": [8], "widths": [7], "pools": [4], "dense": [8], "tasks": 1, "dropout": 0.0,
        "global_pool": True,
    }  # fmt: skip
    save_file(ARCHITECTURES["pooled-cnn"](**arguments).state_dict(), path / "w.safetensors")
    described = {
        "schema_version": 1, "name": "tiny", "architecture": {"name": "pooled-cnn", "arguments": arguments},
        "weights": "w.safetensors", "window": 40, "outputs": [{"name": "out", "tasks": ["yes"]}],
    }  # fmt: skip
    (path / "model.json").write_text(json.dumps(described))


def copy_of(folder: Path, name: str, to: Path) -> Path:
    """Copy a run's archive and manifest to another folder."""
    for ending in (".h5", ".manifest.json"):
        shutil.copy(folder / f"{name}{ending}", to / f"run{ending}")
    return to / "run.h5"


@pytest.mark.slow
def test_by_default_the_model_folder_of_the_run_makes_the_background(folder, tmp_path, capfd):
    archive = copy_of(folder, "of-folder", tmp_path)
    assert motifs(archive, tmp_path / "run") == 0
    said = capfd.readouterr().err
    assert "explaining shuffled windows, for the null of the seqlets" in said
    assert f"null: {tmp_path / 'run.background.h5'}" in said
    assert "calibrated" not in said
    record = record_of(tmp_path / "run")
    assert record["calibrated"] is True
    assert record["settings"]["background"]["name"] == "run.background.h5"
    assert record["counts"]["seqlets"] <= 0.05 * record["counts"]["windows"]
    with ArchiveReader(archive) as reader, ArchiveReader(tmp_path / "run.background.h5") as background:
        assert is_shuffled(background, reader)
        for what in ("settings", "model", "rules"):
            ours, theirs = (dict(r.manifest[what]) for r in (reader, background))
            for varying in ("batch_size", "strict", "formats"):
                assert ours.pop(varying, None) is None or what == "settings"
                theirs.pop(varying, None)
            assert ours == theirs
    # The next one finds it.
    assert background_beside(archive, tmp_path / "other") == tmp_path / "run.background.h5"
    assert motifs(archive, tmp_path / "other") == 0
    assert "explaining" not in capfd.readouterr().err
    assert record_of(tmp_path / "other") == record


@pytest.mark.slow
def test_a_factory_is_taken_only_where_it_is_given_and_not_from_a_manifest(folder, tmp_path, capfd):
    archive = copy_of(folder, "of-factory", tmp_path)
    assert motifs(archive, tmp_path / "run") == 0
    said = capfd.readouterr().err
    assert UNCALIBRATED in said
    assert "give the model with --model" in said
    assert not (tmp_path / "run.background.h5").exists()
    assert motifs(archive, tmp_path / "run", "-m", MODEL) == 0
    assert "calibrated" not in capfd.readouterr().err
    assert record_of(tmp_path / "run")["calibrated"] is True


def test_code_that_a_manifest_names_is_not_run(folder, tmp_path, capsys):
    archive = copy_of(folder, "of-factory", tmp_path)
    marker = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(marker)!r}, 'w')\n")
    for evil in (f"{tmp_path / 'evil.py'}:build", str(tmp_path / "evil.pt")):
        command = ["sparselrp", "attribute", "a.fa", "-m", evil, "--trust-model", "-o", "run"]
        write_command(tmp_path / "run", command)
        assert motifs(archive, tmp_path / "run") == 0
        assert UNCALIBRATED in capsys.readouterr().err
    assert not marker.exists()


@pytest.mark.parametrize("command", [None, [], "attribute", ["sparselrp"], ["sparselrp", "attribute", 3]])
def test_a_manifest_without_a_command_names_no_model(folder, tmp_path, capsys, command):
    archive = copy_of(folder, "of-folder", tmp_path)
    write_command(tmp_path / "run", command)
    assert motifs(archive, tmp_path / "run") == 0
    assert UNCALIBRATED in capsys.readouterr().err


@pytest.mark.slow
def test_another_model_at_the_place_that_the_manifest_names_is_no_null(folder, tmp_path, capfd):
    archive = copy_of(folder, "of-folder", tmp_path)
    write_model(tmp_path / "model", seed=1)
    words = ["sparselrp", "attribute", "a.fa", f"--model={tmp_path / 'model'}", "-o", "run"]
    write_command(tmp_path / "run", words)
    assert motifs(archive, tmp_path / "run") == 0
    said = capfd.readouterr().err
    assert "run.h5 was made with the model 'tiny' from other files than the given 'tiny'" in said
    assert UNCALIBRATED in said


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (("-m", "other"), "was made with the model 'tiny' from other files than the given 'tiny'"),
        (("-m", "model", "-m", "model"), "is of 1 model, not of 2; give each of them once"),
        (("-m", "nowhere"), "nowhere: no such model folder or file"),
    ],
)
def test_a_given_model_has_to_be_that_of_the_archive(folder, tmp_path, capsys, models, said):
    archive = copy_of(folder, "of-folder", tmp_path)
    shutil.copytree(folder / "model", tmp_path / "model")
    write_model(tmp_path / "other", seed=1)
    words = [word if word == "-m" else tmp_path / word for word in models]
    assert motifs(archive, tmp_path / "run", *words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "run.background.h5").exists()


def shuffled(folder: Path, archive: Path, name: str, *options: str, seed: int = 0) -> Path:
    """Shuffle windows and explain them, a command each."""
    words = ["shuffle", archive, "-o", folder / f"{name}.fa", "--seed", seed, "-q"]
    assert run(list(map(str, words))) == 0
    given = ["attribute", folder / f"{name}.fa", "-o", folder / name, "--formats", "h5", "-q", *options]
    assert run(list(map(str, given))) == 0
    return folder / f"{name}.h5"


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-p", "auto", "--reverse-complement"),
        ("-p", "0.3", "--prune-negative", "0.1", "--redistribute", "m"),
        ("-p", "0", "--composite", "epsilon-gamma", "--dtype", "float64"),
        ("-m", "{model}", "--archive-dtype", "float16"),
    ],
)
def test_a_background_is_explained_as_attribute_explains_it_with_the_options_of_the_run(
    folder, tmp_path, options
):
    model = str(folder / "model")
    options = [word.format(model=model) for word in options]
    given = ["-m", model, "--formats", "h5", "-q", *options]
    assert run(["attribute", str(folder / "a.fa"), "-o", str(tmp_path / "run"), *given]) == 0
    archive = tmp_path / "run.h5"
    requests = completed((ModelRequest(model),) * (1 + options.count("-m")), archive)
    made = explain_background(archive, tmp_path / "run", requests, [], lambda b, _: b, StopRequest(), seed=4)
    by_hand = shuffled(tmp_path, archive, "by-hand", *given, seed=4)
    with ArchiveReader(archive) as reader, ArchiveReader(made) as ours, ArchiveReader(by_hand) as theirs:
        assert require_same_explanation(reader, ours, 0) == 0
        assert is_shuffled(ours, reader)
        assert ours.dtype == theirs.dtype
        for one, other in zip(ours.read(slice(None)), theirs.read(slice(None)), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_background_of_another_run_is_left_alone_and_said(folder, tmp_path, capsys):
    """Of one that was explained otherwise, and of one of other windows."""
    archive = copy_of(folder, "of-factory", tmp_path)
    beside = shuffled(tmp_path, archive, "run.background", "-m", MODEL, "-t", "1", "-p", "0.5")
    assert background_beside(archive, tmp_path / "run") is None
    assert motifs(archive, tmp_path / "run") == 0
    said = capsys.readouterr().err
    assert f"{beside} is left alone: {beside} was made with prune 0.5" in said
    assert UNCALIBRATED in said
    given = [
        "attribute",
        folder / "half.fa",
        "-m",
        MODEL,
        "-t",
        "1",
        "-o",
        tmp_path / "half",
        "--formats",
        "h5",
    ]
    assert run([*map(str, given), "-q"]) == 0
    shuffled(tmp_path, tmp_path / "half.h5", "run.background", "-m", MODEL, "-t", "1")
    assert background_beside(archive, tmp_path / "run") is None
    assert motifs(archive, tmp_path / "run") == 0
    assert f"it isn't of the windows of {archive}, shuffled" in capsys.readouterr().err


def test_shuffled_windows_are_told_whatever_their_seed_and_number(folder, tmp_path):
    archive = copy_of(folder, "of-factory", tmp_path)
    for options in (("--seed", "3"), ("--windows", "50")):
        assert run(["shuffle", str(archive), "-o", str(tmp_path / "b.fa"), "-q", *options]) == 0
        given = [
            "attribute",
            tmp_path / "b.fa",
            "-m",
            MODEL,
            "-t",
            "1",
            "-o",
            tmp_path / "b",
            "--formats",
            "h5",
        ]
        assert run([*map(str, given), "-q"]) == 0
        with ArchiveReader(archive) as reader, ArchiveReader(tmp_path / "b.h5") as background:
            assert is_shuffled(background, reader), options
            assert not is_shuffled(reader, background), options


def test_the_archive_itself_is_no_background_and_is_not_written_over(folder, tmp_path, capsys):
    archive = copy_of(folder, "of-factory", tmp_path).rename(tmp_path / "run.background.h5")
    before = archive.read_bytes()
    assert motifs(archive, tmp_path / "run", "-m", MODEL) == 1
    assert "is the archive that is read, and would be lost" in capsys.readouterr().err
    assert archive.read_bytes() == before


@pytest.mark.parametrize(
    ("error", "said"), [(Stopped, "stopped while"), (KeyboardInterrupt, "interrupted while")]
)
def test_a_background_that_is_stopped_is_made_again_from_the_start(
    folder, tmp_path, monkeypatch, error, said
):
    archive = copy_of(folder, "of-factory", tmp_path)

    def stop(*_):
        (tmp_path / "run.background.partial").touch()
        raise error("go on with --resume")

    monkeypatch.setattr("sparselrp_cli.runs.background.explain_shuffled", stop)
    models = completed((ModelRequest(MODEL),), archive)
    with pytest.raises(error, match=f"{said} shuffled windows were explained; run the same command again"):
        explain_background(archive, tmp_path / "run", models, [], lambda batches, _: batches, StopRequest())
    assert not (tmp_path / "run.background.partial").exists()
