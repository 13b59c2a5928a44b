"""Several models in one run: their mean, its spread, and one clear line where they don't fit together."""

import gzip
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pyBigWig
import pytest
import torch
from helpers.commands import attribute, error_line, table
from safetensors.torch import load_file, save_file
from torch import nn

from sparselrp_cli.cli.main import run

ROOT = Path(__file__).parents[2]
SUHW = ROOT / "models" / "suhw-dm3"
WINDOW = 40
MEANS = ("score", "relevance", "background", "absorbed", "lost")


class Fold(nn.Module):
    """Two tasks on windows of 40 bp."""

    window = WINDOW

    def __init__(self, seed: int = 1) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.scan = nn.Conv1d(4, 6, 5, padding=2)
        self.mix = nn.Conv1d(6, 6, 3, padding=1)
        self.head = nn.Linear(6 * 10, 2)

    def forward(self, x):
        h = torch.relu(self.mix(torch.relu(self.scan(x))))
        return self.head(nn.functional.max_pool1d(h, 4).flatten(1))


def first() -> nn.Module:
    return Fold(1)


def second() -> nn.Module:
    return Fold(2)


def third() -> nn.Module:
    return Fold(3)


class OneTask(nn.Module):
    window = WINDOW

    def forward(self, x):
        return x[:, 0].sum(1, keepdim=True)


class Shorter(OneTask):
    window = 36


class Fourier(OneTask):
    def forward(self, x):
        return torch.fft.rfft(x).angle().sum((1, 2))[:, None]


ON_CPU = ("--device", "cpu")
A, B, C = (f"{__file__}:{name}" for name in ("first", "second", "third"))


def explain(inputs: tuple[Path, Path], prefix: Path, models: list[str], *more: object) -> Path:
    chosen = [part for model in models for part in ("-m", model)]
    assert attribute(inputs[0], "-r", inputs[1], *chosen, *ON_CPU, "-o", prefix, *more) == 0
    return prefix


def columns(prefix: Path) -> dict[str, np.ndarray]:
    """All datasets of an archive, and the contributions of the observed bases."""
    with h5py.File(f"{prefix}.h5") as archive:
        found = {name: archive[name][:] for name in archive}
    found["contributions"] = (found["input_seqs"] * found["hyp_scores"].astype(np.float64)).sum(-1)
    return found


def windows(prefix: Path) -> list[dict[str, str]]:
    return table(f"{prefix}.windows.tsv")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> tuple[Path, Path]:
    """A genome, and windows on both strands that overlap, hang over an end, and hold N."""
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(0)
    sequence = "".join(rng.choice(list("ACGT"), 300))
    (folder / "genome.fa").write_text(f">chr1\n{sequence[:200]}NNN{sequence[203:]}\n")
    (folder / "peaks.bed").write_text(
        "chr1\t100\t140\ta\t0\t+\nchr1\t110\t150\tb\t0\t-\nchr1\t0\t10\tc\nchr1\t180\t220\td\n"
    )
    return folder / "genome.fa", folder / "peaks.bed"


@pytest.fixture(scope="module")
def single(inputs, tmp_path_factory) -> dict[str, Path]:
    """A run of each model on its own."""
    folder = tmp_path_factory.mktemp("single")
    return {
        model: explain(inputs, folder / name, [model], "-t", "0")
        for name, model in zip("ABC", (A, B, C), strict=True)
    }


@pytest.fixture(scope="module")
def both(inputs, tmp_path_factory) -> Path:
    """The first two models in one run."""
    prefix = tmp_path_factory.mktemp("both") / "run"
    return explain(inputs, prefix, [A, B], "-t", "0", "--formats", "h5,bigwig,bedgraph")


@pytest.mark.parametrize("copies", [2, 3])
def test_copies_of_a_model_give_its_map_and_no_spread(inputs, single, tmp_path, copies):
    explain(inputs, tmp_path / "x", [A] * copies, "-t", "0")
    alone, together = columns(single[A]), columns(tmp_path / "x")

    assert set(together) - set(alone) == {"score_sd", "contribution_sd"}
    for name, values in alone.items():
        np.testing.assert_array_equal(together[name], values, err_msg=name)
    assert not together["score_sd"].any()
    assert not together["contribution_sd"].any()


def test_two_models_give_the_mean_and_the_spread_of_two_runs(single, both):
    runs, together = [columns(single[model]) for model in (A, B)], columns(both)

    for name in ("hyp_scores", *MEANS):
        expected = np.mean([r[name].astype(np.float64) for r in runs], axis=0)
        np.testing.assert_allclose(together[name], expected, rtol=1e-6, atol=1e-7, err_msg=name)
    for name, column in (("score_sd", "score"), ("contribution_sd", "contributions")):
        expected = np.std([r[column] for r in runs], axis=0, ddof=0)
        assert expected.any()
        np.testing.assert_allclose(together[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)
    assert together["contribution_sd"].dtype == np.float32
    assert together["contribution_sd"].shape == (4, WINDOW)


def test_unknown_bases_have_no_spread(both):
    found = columns(both)

    assert not found["contribution_sd"][found["input_seqs"].sum(2) == 0].any()


def test_the_accounts_of_the_mean_close(both):
    found = columns(both)
    score, relevance, background, absorbed, lost = (found[name] for name in MEANS)

    gap = np.abs(score - relevance - background - absorbed - lost)
    np.testing.assert_array_equal(found["conservation_error"], gap / np.maximum(np.abs(score), 0.1))
    assert found["conservation_error"].max() < 1e-5
    np.testing.assert_allclose(found["contributions"].sum(1), relevance, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["zero_share"], (found["contributions"] == 0).mean(1))


def test_the_order_of_the_models_does_not_matter(inputs, tmp_path):
    found = [
        columns(explain(inputs, tmp_path / str(i), models, "-t", "0"))
        for i, models in enumerate(([A, B, C], [C, A, B]))
    ]

    for name in ("hyp_scores", "contribution_sd", "score_sd", *MEANS):
        np.testing.assert_allclose(found[1][name], found[0][name], rtol=1e-6, atol=1e-6, err_msg=name)


def test_the_table_has_the_spread_of_the_score(single, both):
    scores = [[float(line["score"]) for line in windows(single[model])] for model in (A, B)]

    assert "score_sd" not in windows(single[A])[0]
    np.testing.assert_allclose(
        [float(line["score_sd"]) for line in windows(both)], np.std(scores, axis=0), rtol=1e-6, atol=1e-7
    )


def test_spread_tracks_hold_the_values_of_the_archive(both):
    found = columns(both)
    with pyBigWig.open(f"{both}.sd.bw") as track, pyBigWig.open(f"{both}.bw") as mean:
        # Only the last window, and the one over the left end, share no base with another.
        np.testing.assert_array_equal(track.values("chr1", 180, 220), found["contribution_sd"][3])
        np.testing.assert_array_equal(track.values("chr1", 0, 25), found["contribution_sd"][2, 15:])
        np.testing.assert_allclose(mean.values("chr1", 180, 220), found["contributions"][3], rtol=1e-6)
        assert np.isnan(track.values("chr1", 25, 100)).all()
        every = np.array(track.values("chr1", 0, 300))
    text = np.full(300, np.nan)
    with gzip.open(f"{both}.sd.bedgraph.gz", "rt") as stream:
        for line in stream:
            _, start, end, value = line.split("\t")
            text[int(start) : int(end)] = float(value)
    np.testing.assert_allclose(text, every, rtol=1e-6)


def test_export_makes_the_same_spread_tracks_again(both, tmp_path):
    assert run(["export", f"{both}.h5", "-o", str(tmp_path / "again"), "--formats", "bigwig,bedgraph"]) == 0

    names = ("bw", "sd.bw", "bedgraph.gz", "sd.bedgraph.gz")
    left = sorted(p.name for p in tmp_path.iterdir() if p.name != "again.manifest.json")
    assert left == sorted(f"again.{name}" for name in names)
    for name in names:
        assert (tmp_path / f"again.{name}").read_bytes() == Path(f"{both}.{name}").read_bytes()


def test_one_model_has_no_spread_anywhere(single):
    names = {p.name for p in single[A].parent.iterdir()}

    assert not {name for name in names if ".sd." in name}
    assert set(columns(single[A])).isdisjoint({"score_sd", "contribution_sd"})


def test_several_targets_have_a_spread_each(inputs, tmp_path):
    explain(inputs, tmp_path / "x", [A, B], "-t", "0", "-t", "1-0", "--formats", "h5,bigwig")

    found = columns(tmp_path / "x")
    assert found["contribution_sd"].shape == (2, 4, WINDOW)
    assert found["score_sd"].shape == (2, 4)
    for target, name in enumerate(("0", "1-0")):
        with pyBigWig.open(str(tmp_path / f"x.{name}.sd.bw")) as track:
            np.testing.assert_array_equal(track.values("chr1", 180, 220), found["contribution_sd"][target, 3])
    lines = windows(tmp_path / "x")
    assert [line["target"] for line in lines] == ["0", "1-0"] * 4
    np.testing.assert_allclose(
        [float(line["score_sd"]) for line in lines], found["score_sd"].T.ravel(), rtol=1e-8
    )


def test_both_strands_are_averaged_before_the_models(inputs, tmp_path):
    runs = {
        name: columns(explain(inputs, tmp_path / name, models, "-t", "0", "--reverse-complement"))
        for name, models in (("a", [A]), ("b", [B]), ("ab", [A, B]))
    }

    pair = [runs["a"], runs["b"]]
    for name in ("hyp_scores", *MEANS):
        expected = np.mean([r[name].astype(np.float64) for r in pair], axis=0)
        np.testing.assert_allclose(runs["ab"][name], expected, rtol=1e-6, atol=1e-7, err_msg=name)
    expected = np.std([r["contributions"] for r in pair], axis=0)
    np.testing.assert_allclose(runs["ab"]["contribution_sd"], expected, rtol=1e-5, atol=1e-6)


def test_batch_size_does_not_change_the_spread(inputs, both, tmp_path):
    explain(inputs, tmp_path / "x", [A, B], "-t", "0", "-b", "1")

    one, auto = columns(tmp_path / "x"), columns(both)
    for name in ("hyp_scores", "contribution_sd", "score_sd"):
        np.testing.assert_allclose(one[name], auto[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_the_manifest_lists_every_model_with_its_files_and_rules(inputs, single, tmp_path):
    torch.save(second().state_dict(), tmp_path / "b.pt")
    explain(inputs, tmp_path / "x", [A, f"{__file__}:Fold"], "-t", "0", *2 * ("-w", tmp_path / "b.pt"))

    alone = json.loads(Path(f"{single[A]}.manifest.json").read_text())
    together = json.loads((tmp_path / "x.manifest.json").read_text())
    assert set(alone) - set(together) == {"model", "rules"}
    assert set(together) - set(alone) == {"models"}
    assert [m["name"] for m in together["models"]] == ["first", "Fold"]
    for model in together["models"]:
        assert [entry["file"] for entry in model["files"]] == [Path(__file__).name, "b.pt"]
        assert all(len(entry["sha256"]) == 64 for entry in model["files"])
        assert (model["alphabet"], model["layout"]) == ("ACGT", "NCL")
        assert model["rules"] == alone["rules"]
    means = together["accounting"]["targets"]["0"]
    assert means["mean_score_sd"] == pytest.approx(columns(tmp_path / "x")["score_sd"].mean())
    assert "mean_score_sd" not in alone["accounting"]["targets"]["0"]


def test_weights_go_to_the_factories_in_their_order(inputs, single, both, tmp_path):
    for name, fold in (("a", first()), ("b", second())):
        torch.save(fold.state_dict(), tmp_path / f"{name}.pt")
    fold = f"{__file__}:Fold"
    explain(inputs, tmp_path / "x", [fold, fold], "-t", "0", "-w", tmp_path / "a.pt", "-w", tmp_path / "b.pt")

    for name, values in columns(both).items():
        np.testing.assert_array_equal(columns(tmp_path / "x")[name], values, err_msg=name)
    explain(inputs, tmp_path / "y", [fold], "-t", "0", "-w", tmp_path / "b.pt")
    np.testing.assert_array_equal(columns(tmp_path / "y")["hyp_scores"], columns(single[B])["hyp_scores"])


@pytest.mark.parametrize(
    ("models", "n_weights", "message"),
    [
        ([A, B], 1, "--weights: 1 file for 2 factories"),
        ([A], 2, "--weights: 2 files for 1 factory"),
        ([A, SUHW], 2, "--weights: 2 files for 1 factory"),
        ([SUHW, SUHW], 1, "--weights: 1 file for 0 factories"),
    ],
)
def test_weights_that_do_not_come_out_even_are_wrong_usage(
    inputs, tmp_path, capsys, models, n_weights, message
):
    torch.save(first().state_dict(), tmp_path / "w.pt")
    chosen = [part for model in models for part in ("-m", model)]
    code = attribute(
        inputs[0], *chosen, *ON_CPU, "-o", tmp_path / "x", *n_weights * ("-w", tmp_path / "w.pt")
    )

    assert code == 2
    printed = " ".join(capsys.readouterr().err.split())
    assert f"{message} among the models; give one for each factory, in their order, or none" in printed


def renamed(folder: Path, task: str) -> Path:
    """The shipped model, its task called otherwise."""
    shutil.copytree(SUHW, folder, ignore=shutil.ignore_patterns("*.py"))
    description = json.loads((folder / "model.json").read_text())
    description["outputs"][0]["tasks"] = [task]
    (folder / "model.json").write_text(json.dumps(description))
    return folder


def named(*names: str) -> list[str]:
    return [f"{__file__}:{name}" for name in names]


@pytest.mark.parametrize(
    ("models", "target", "message"),
    [
        (
            named("OneTask", "Shorter"),
            None,
            "model 2 ('Shorter') takes windows of 36 bp and model 1 ('OneTask') of 40 bp; models that are"
            " averaged must take the same",
        ),
        (named("first", "OneTask"), "1", "model 2 ('OneTask'): target '1': there is no task 1"),
        (named("OneTask", "first"), None, "model 2 ('first'): the model has several targets"),
        (named("OneTask", "Fourier"), None, "model 2 ('Fourier'): "),
        (["no-such-model", *named("first")], "0", "model 1: no-such-model: no such model folder or file"),
        (["suhw", "renamed"], "0", "target '0' is 'brain' in model 2 ('suhw-dm3') and 'suhw' in model 1"),
        (
            ["suhw", "renamed"],
            "2*0",
            "target '2*0' is '2*brain' in model 2 ('suhw-dm3') and '2*suhw' in model 1",
        ),
        (
            ["suhw", "renamed"],
            None,
            "model 2 ('suhw-dm3') has the target 'brain' and model 1 ('suhw-dm3') 'suhw'; choose with"
            " --target what is explained",
        ),
    ],
)
def test_models_that_do_not_fit_together_are_named_and_leave_nothing(
    inputs, tmp_path, capsys, models, target, message
):
    places = {"suhw": SUHW, "renamed": tmp_path / "renamed"}
    if "renamed" in models:
        renamed(tmp_path / "renamed", "brain")
    out = tmp_path / "out"
    out.mkdir()
    chosen = [part for model in models for part in ("-m", places.get(model, model))]
    wanted = [] if target is None else ["-t", target]

    assert attribute(inputs[0], "-r", inputs[1], *chosen, *wanted, *ON_CPU, "-o", out / "x") == 1
    assert message in error_line(capsys)
    assert list(out.iterdir()) == []


def test_models_may_differ_in_their_order_of_bases(tmp_path):
    """The same network with its input channels in another order is the same model."""
    other = tmp_path / "other"
    shutil.copytree(SUHW, other, ignore=shutil.ignore_patterns("*.py"))
    weights = load_file(other / "weights.safetensors")
    weights["blocks.0.weight"] = weights["blocks.0.weight"][:, ["ACGT".index(b) for b in "TGAC"]].contiguous()
    save_file(weights, other / "weights.safetensors")
    description = json.loads((other / "model.json").read_text())
    del description["weights_sha256"]
    (other / "model.json").write_text(json.dumps({**description, "alphabet": "TGAC"}))
    rng = np.random.default_rng(3)
    (tmp_path / "s.fa").write_text(f">s\n{''.join(rng.choice(list('ACGT'), 600))}\n")
    for name, models in (("one", [SUHW]), ("two", [SUHW, other])):
        chosen = [part for model in models for part in ("-m", model)]
        assert attribute(tmp_path / "s.fa", *chosen, *ON_CPU, "-o", tmp_path / name, "-p", "0") == 0

    one, two = columns(tmp_path / "one"), columns(tmp_path / "two")
    scale = np.abs(one["hyp_scores"]).max()
    np.testing.assert_allclose(two["hyp_scores"], one["hyp_scores"], rtol=1e-4, atol=1e-5 * scale)
    assert two["contribution_sd"].max() < 1e-5 * scale
    manifest = json.loads((tmp_path / "two.manifest.json").read_text())
    assert [model["alphabet"] for model in manifest["models"]] == ["ACGT", "TGAC"]


def test_the_log_says_how_many_models_are_averaged(inputs, tmp_path, capsys):
    explain(inputs, tmp_path / "x", [A, B, C], "-t", "0")

    assert "3 models, averaged: first, second, third" in capsys.readouterr().err
