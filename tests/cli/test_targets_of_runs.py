"""Targets through whole commands: right values, files of their own, and runs that go on."""

import json
import shlex
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from helpers.commands import attribute, command, error_line, left_behind, table, write
from safetensors.torch import save_file
from torch import nn

from sparselrp_cli.files.names import target_file_names
from sparselrp_cli.model.architectures import ARCHITECTURES

WINDOW = 40
LINEAR = ("--composite", "zero", "-p", "0", "--formats", "h5")


class Positions(nn.Module):
    """Three tasks by position, (N, 3, 40)."""

    window = WINDOW

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scan = nn.Conv1d(4, 3, 5, padding=2)

    def forward(self, x):
        return self.scan(x)


class WithLoss(Positions):
    """Tasks, a loss over the batch, ids and None."""

    def forward(self, x):
        y = super().forward(x)
        return {"tracks": y, "loss": y.mean(), "bases": x.argmax(1), "nothing": None}


class Rates(Positions):
    """Rates, which are always positive, (N, 3, 40)."""

    def forward(self, x):
        return nn.functional.softplus(super().forward(x))


class ContactMap(Positions):
    """A map by pairs of positions, (N, 1, 10, 10)."""

    def forward(self, x):
        bins = nn.functional.avg_pool1d(super().forward(x).relu(), 4)
        return (bins[:, :, :, None] * bins[:, :, None, :]).sum(1, keepdim=True)


MODEL = f"{__file__}:Positions"
NAMES = ("su(Hw)", "../up", "a b/c*", "5'UTR", "T-cell", "1e3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose tasks have names that hold all kinds of signs."""
    torch.manual_seed(0)
    arguments = {
        "window": WINDOW, "channels": [4], "widths": [5], "pools": [4], "dense": [4], "tasks": len(NAMES),
        "dropout": 0.0, "global_pool": True,
    }  # fmt: skip
    path = tmp_path_factory.mktemp("model")
    save_file(ARCHITECTURES["pooled-cnn"](**arguments).state_dict(), path / "w.safetensors")
    description = {
        "schema_version": 1, "name": "signs", "architecture": {"name": "pooled-cnn", "arguments": arguments},
        "weights": "w.safetensors", "window": WINDOW, "outputs": [{"name": "out", "tasks": list(NAMES)}],
    }  # fmt: skip
    (path / "model.json").write_text(json.dumps(description))
    return path


def asked(targets: list[str] | tuple[str, ...]) -> list[str]:
    return [part for target in targets for part in ("-t", target)]


def maps(prefix: Path) -> np.ndarray:
    """Hypothetical contributions, a target an entry."""
    with h5py.File(f"{prefix}.h5") as archive:
        return archive["hyp_scores"][:]


def test_a_sum_of_targets_has_the_sum_of_their_maps(genome, peaks, tmp_path):
    alone = ["0@7", "1@7", "2@7", "0@30", "0"]
    composed = ["0,1@7", "(0-2)@7", "*@7", "0@7,30", "0.5*0@7-2*1@7", "0@-10", "-3@7", "0@:"]
    run = ["-r", peaks, "-m", MODEL, *LINEAR]
    assert attribute(genome, *run, *asked(alone), "-o", tmp_path / "a") == 0
    assert attribute(genome, *run, *asked(composed), "-o", tmp_path / "c") == 0
    one, two, three, at_30, everywhere = maps(tmp_path / "a")
    expected = [
        (one + two) / 2, one - three, (one + two + three) / 3, (one + at_30) / 2, 0.5 * one - 2 * two, at_30,
        one, everywhere,
    ]  # fmt: skip
    np.testing.assert_allclose(maps(tmp_path / "c"), np.stack(expected), rtol=1e-5, atol=1e-7)


def test_every_target_has_files_of_its_own_inside_the_folder_whatever_its_name(
    genome, peaks, folder, tmp_path
):
    targets = [*NAMES, "0,1", "0:2", "0 , 1", "'su(Hw)'-\"5'UTR\"", "'su(Hw)' - \"5'UTR\"", "*", "0.5*(0+1)"]
    out = tmp_path / "deep" / "out"
    out.mkdir(parents=True)
    formats = ("--formats", "h5,bigwig")
    assert attribute(genome, "-r", peaks, "-m", folder, *asked(targets), "-o", out / "run", *formats) == 0
    parts = target_file_names(targets)
    assert len({part.casefold() for part in parts}) == len(targets)
    tracks = {f"run.{part}.bw" for part in parts}
    assert tracks == {name for name in left_behind(out) if name.endswith(".bw")}
    assert left_behind(tmp_path) == ["deep", "peaks.bed"]
    assert left_behind(tmp_path / "deep") == ["out"]
    with h5py.File(out / "run.h5") as archive:
        assert json.loads(archive.attrs["target_names"]) == targets
    assert [line["target"] for line in table(out / "run.windows.tsv")] == targets * 4
    manifest = json.loads((out / "run.manifest.json").read_text())
    assert manifest["settings"]["targets"] == targets
    assert set(manifest["accounting"]["targets"]) == set(targets)


@pytest.mark.usefixtures("unrendered")
def test_a_run_is_known_by_its_targets_as_typed(genome, peaks, folder, tmp_path, capsys):
    run = [genome, "-r", peaks, "-m", folder, "-o", tmp_path / "x", "--formats", "h5"]
    targets = ["su(Hw)", "'T-cell' - 0,1"]
    assert attribute(*run, *asked(targets)) == 0
    assert attribute(*run, *asked(targets), "--resume") == 0
    assert "complete; nothing to do" in capsys.readouterr().err
    assert attribute(*run, *asked(["su(Hw)", "'T-cell'-0,1"]), "--resume") == 1
    assert "is a complete run in which" in error_line(capsys)
    # `evaluate` reads the targets again from the manifest.
    again = ["evaluate", tmp_path / "x.h5", "-m", folder, "--strands", "-q", "-o", tmp_path / "again"]
    assert command(*again) == 0
    assert {row["target"] for row in table(tmp_path / "again.evaluation.tsv")} == set(targets)


def test_shards_of_composed_targets_are_merged(genome, peaks, tmp_path):
    targets = ["0,2@5:9", "(1-0)@centre"]
    run = [genome, "-r", peaks, "-m", MODEL, *asked(targets), "-b", "1"]
    for i in (1, 2):
        assert attribute(*run, "-o", tmp_path / f"part{i}", "--shard", f"{i}/2") == 0
    assert attribute(*run, "-o", tmp_path / "whole", "--formats", "h5") == 0
    parts = [tmp_path / f"part{i}.h5" for i in (1, 2)]
    assert command("merge", *parts, "-o", tmp_path / "merged", "--formats", "h5") == 0
    np.testing.assert_array_equal(maps(tmp_path / "merged"), maps(tmp_path / "whole"))


@pytest.mark.usefixtures("unrendered")
def test_a_file_names_targets_which_shards_resume_merge_and_evaluate_know(genome, peaks, tmp_path, capsys):
    named = write(tmp_path / "targets.tsv", "# contrasts\nup\t(1-0)@centre\nall / three\t*@5:9\n")
    run = [genome, "-r", peaks, "-m", MODEL, "-t", "0@7", "--targets", named, "-b", "1"]
    assert attribute(*run, "-o", tmp_path / "whole", "--formats", "h5,bigwig") == 0
    plain = ["-t", "0@7", "-t", "(1-0)@centre", "-t", "*@5:9", "-b", "1", "--formats", "h5"]
    assert attribute(genome, "-r", peaks, "-m", MODEL, *plain, "-o", tmp_path / "plain") == 0
    np.testing.assert_array_equal(maps(tmp_path / "whole"), maps(tmp_path / "plain"))
    names = ["0@7", "up", "all / three"]
    assert [line["target"] for line in table(tmp_path / "whole.windows.tsv")][:3] == names
    assert {"whole.up.bw", "whole.all_three.bw"} <= set(left_behind(tmp_path))
    manifest = json.loads((tmp_path / "whole.manifest.json").read_text())
    assert manifest["settings"]["targets"] == [
        "0@7", {"name": "up", "expression": "(1-0)@centre"}, {"name": "all / three", "expression": "*@5:9"},
    ]  # fmt: skip
    assert attribute(*run, "-o", tmp_path / "whole", "--formats", "h5,bigwig", "--resume") == 0
    assert "complete; nothing to do" in capsys.readouterr().err
    for i in (1, 2):
        assert attribute(*run, "-o", tmp_path / f"part{i}", "--shard", f"{i}/2") == 0
    parts = [tmp_path / f"part{i}.h5" for i in (1, 2)]
    assert command("merge", *parts, "-o", tmp_path / "merged", "--formats", "h5") == 0
    np.testing.assert_array_equal(maps(tmp_path / "merged"), maps(tmp_path / "whole"))
    again = ["evaluate", tmp_path / "whole.h5", "-m", MODEL, "--strands", "-q", "-o", tmp_path / "again"]
    assert command(*again) == 0
    assert {row["target"] for row in table(tmp_path / "again.evaluation.tsv")} == set(names)


def test_another_expression_under_a_known_name_is_another_run(genome, peaks, tmp_path, capsys):
    named = write(tmp_path / "targets.tsv", "up\t1@5\n")
    run = [genome, "-r", peaks, "-m", MODEL, "--targets", named, "-o", tmp_path / "x", "--formats", "h5"]
    assert attribute(*run) == 0
    write(named, "up\t0@5\n")
    assert attribute(*run, "--resume") == 1
    assert "is a complete run in which settings.targets was" in error_line(capsys)


def test_a_target_of_a_file_that_cant_be_read_is_refused_with_file_and_line(genome, tmp_path, capsys):
    named = write(tmp_path / "targets.tsv", "# a comment\nup\t1@5\ndown\t1-0@20\n")
    assert attribute(genome, "-m", MODEL, "--targets", named, "-o", tmp_path / "x") == 1
    assert error_line(capsys).endswith(
        "targets.tsv line 3: 'down': target '1-0@20': it isn't clear what @ belongs to; write (1-0)@20 or"
        " 1@0:40-0@20"
    )


def test_the_null_of_named_targets_is_of_the_same(genome, peaks, tmp_path):
    named = write(tmp_path / "targets.tsv", "up\t(1-0)@centre\n")
    run = [genome, "-r", peaks, "-m", MODEL, "--targets", named, "-o", tmp_path / "x", "--formats", "h5"]
    assert attribute(*run) == 0
    assert command("motifs", tmp_path / "x.h5", "-m", MODEL, "-o", tmp_path / "x") == 0
    with h5py.File(tmp_path / "x.background.h5") as archive:
        assert json.loads(archive.attrs["target_names"]) == ["up"]


@pytest.mark.parametrize("net", ["Positions", "WithLoss", "ContactMap", "Rates"])
def test_every_example_that_inspect_prints_is_explained(genome, peaks, tmp_path, capsys, net):
    assert command("inspect", f"{__file__}:{net}", "--json") == 0
    examples = json.loads(capsys.readouterr().out)["targets"]
    assert any("log(" in text for text in examples) == (net == "Rates")
    run = [genome, "-r", peaks, "-m", f"{__file__}:{net}", "--formats", "h5", "-o", tmp_path / "x"]
    assert attribute(*run, *asked(examples)) == 0
    assert [line["target"] for line in table(tmp_path / "x.windows.tsv")][: len(examples)] == examples


@pytest.mark.parametrize(
    ("model", "target", "message"),
    [
        (
            "Positions", "1-0@20",
            "target '1-0@20': it isn't clear what @ belongs to; write (1-0)@20 or 1@0:40-0@20",
        ),
        ("WithLoss", "loss", "output 'loss' can't be explained: it has no axis of samples in front"),
        ("WithLoss", "nothing", "target 'nothing': output 'nothing' can't be explained: it is None"),
        ("ContactMap", "@3", "output 'output' has pairs of positions, 10 x 10; write @IxJ such as @3x3"),
    ],
)  # fmt: skip
def test_a_target_that_cant_be_read_ends_in_one_line_and_leaves_nothing(
    genome, tmp_path, capsys, model, target, message
):
    (tmp_path / "out").mkdir()
    assert attribute(genome, "-m", f"{__file__}:{model}", "-t", target, "-o", tmp_path / "out" / "x") == 1
    assert message in error_line(capsys)
    assert left_behind(tmp_path / "out") == []


def test_what_isnt_asked_for_changes_nothing(genome, peaks, tmp_path):
    for name in ("Positions", "WithLoss"):
        model = f"{__file__}:{name}"
        assert attribute(genome, "-r", peaks, "-m", model, "-t", "1@5:9", "-o", tmp_path / name, *LINEAR) == 0
    np.testing.assert_array_equal(maps(tmp_path / "Positions"), maps(tmp_path / "WithLoss"))


def test_both_strands_of_a_pair_of_bins_are_explained(genome, peaks, tmp_path):
    run = [genome, "-r", peaks, "-m", f"{__file__}:ContactMap", *LINEAR]
    assert attribute(*run, "-t", "@1x7", "-o", tmp_path / "one", "--reverse-complement") == 0
    assert attribute(*run, "-t", "0@7x1", "-o", tmp_path / "other", "--reverse-complement") == 0
    # The map is symmetric; were only one of the two bins turned, these would differ.
    np.testing.assert_allclose(maps(tmp_path / "one"), maps(tmp_path / "other"), rtol=1e-5, atol=1e-7)
    (first, *_), (other, *_) = (table(tmp_path / f"{name}.windows.tsv") for name in ("one", "other"))
    assert float(first["score"]) == pytest.approx(float(other["score"]), rel=1e-5)


def test_inspect_lists_what_cant_be_explained_with_why_and_targets_that_can_be_typed(capsys):
    assert command("inspect", f"{__file__}:WithLoss") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "output tracks (N, 3, 40), 40 positions of one base over bases 0 to 40 of the window" in lines
    assert "output loss can't be explained: it has no axis of samples in front" in lines
    assert "output nothing can't be explained: it is None" in lines
    assert (
        "targets, such as: 0@13:27   2@13:27-0@13:27   '*@13:27'   0:2@13:27   0@centre   0@profile" in lines
    )
    assert command("inspect", f"{__file__}:ContactMap", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["targets"] == ["0@3x6", "0@3x:"]
    assert document["rows"]
    (output,) = document["outputs"]
    assert output == {"name": "output", "tasks": [], "shape": "(N, 1, 10, 10)", "bins": "", "obstacle": ""}


def test_inspect_quotes_its_examples_for_a_shell(folder, capsys):
    assert command("inspect", folder, "--json") == 0
    examples = json.loads(capsys.readouterr().out)["targets"]
    assert "'su(Hw)'" in examples
    assert command("inspect", folder) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("targets, such as: ")]
    assert shlex.split(line.removeprefix("targets, such as: ")) == examples
