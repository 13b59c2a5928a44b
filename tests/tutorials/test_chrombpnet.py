"""The tutorial on ChromBPNet, followed from Keras files to motifs and to the files for other tools."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.commands import table
from helpers.keras_files import SEQUENCE, dense, flatten, write

from tutorials.pages import Command, TutorialPage
from tutorials.stand_ins import matched_filter, write_database, write_genome, write_peaks

# TF-MoDISco's own.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

PAGE = TutorialPage.read("chrombpnet.md")
KERAS = Path(__file__).parents[1] / "model" / "importing" / "data" / "keras-chrombpnet.h5"
NAMED = "wo_bias_bpnet_"


def write_fold(path: Path, seed: int) -> None:
    """Write a network as ChromBPNet's, of Keras, whose counts and profile come from the motif."""
    shutil.copy(KERAS, path)
    rng = np.random.default_rng(seed)
    with h5py.File(path, "a") as file:
        layers = file["model_weights"]

        def weights(layer: str, role: str) -> h5py.Dataset:
            return layers[f"{NAMED}{layer}/{NAMED}{layer}/{role}"]

        for layer in ("1st_conv", "1conv", "2conv", "3conv", "prof_out_precrop", "logcount_predictions"):
            kernel = weights(layer, "kernel")
            kernel[...] = rng.normal(0, 0.02, kernel.shape)
            weights(layer, "bias")[...] = 0
        kernel = weights("1st_conv", "kernel")
        pattern, bias = matched_filter()
        kernel[6 : 6 + pattern.shape[1], :, 0] = pattern.T
        weights("1st_conv", "bias")[0] = bias
        weights("logcount_predictions", "kernel")[0, 0] = 10
        weights("prof_out_precrop", "kernel")[12, 0, 0] = 1


def write_bias(path: Path) -> None:
    """Write a network with the outputs' names that ChromBPNet's bias model has."""
    shutil.copy(KERAS, path)
    with h5py.File(path, "a") as file:
        for name in ("logits_profile_predictions", "logcount_predictions"):
            file.move(f"model_weights/{NAMED}{name}", f"model_weights/{name}")
            text = file.attrs["model_config"]
            file.attrs["model_config"] = text.replace(f'"{NAMED}{name}"', f'"{name}"')


def write_both(path: Path) -> None:
    """Write a network that adds its parts in a layer of Python code, as ChromBPNet's whole one does."""
    layer = {"name": "logcount_predictions", "function": ["", None, None], "function_type": "lambda"}
    layers = [SEQUENCE, flatten("dna"), dense("counts", "flat"), ("Lambda", layer, ["counts"], {})]
    write(path, layers, ["logcount_predictions"])


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The folder after all commands of the page, and the commands that failed."""
    folder = tmp_path_factory.mktemp("chrombpnet")
    for seed in (0, 1):
        (folder / f"fold_{seed}").mkdir()
        write_fold(folder / f"fold_{seed}/chrombpnet_nobias.h5", seed)
    write_both(folder / "fold_0/chrombpnet.h5")
    write_bias(folder / "fold_0/bias_model_scaled.h5")
    write_peaks(folder / "peaks.narrowPeak", write_genome(folder / "genome.fa", 60, 300))
    write_database(folder / "motifs.meme")
    return folder, PAGE.follow(folder)


@pytest.mark.slow
def test_every_command_ends_as_the_page_says(followed):
    assert followed[1] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out/k562.counts", "out/k562.profile", "out/loose"])
def test_the_motif_that_the_network_reads_is_found_and_named(followed, name):
    motifs = json.loads((followed[0] / f"{name}.motifs.json").read_text())["motifs"]
    assert motifs[0]["matches"][0]["name"] == "planted"
    assert (followed[0] / f"{name}.hits.bed").is_file()


@pytest.mark.slow
def test_the_spread_over_folds_is_where_the_page_says(followed):
    assert (followed[0] / "out/k562.counts.sd.bw").is_file()
    assert all(float(row["score_sd"]) > 0 for row in table(followed[0] / "out/k562.windows.tsv"))


@pytest.mark.slow
def test_other_tools_get_arrays_of_equal_shape_and_a_region_for_each_row(followed):
    ohe, attr = (np.load(followed[0] / f"out/k562.counts.{name}.npz")["arr_0"] for name in ("ohe", "attr"))
    lines = (followed[0] / "out/k562.regions.narrowPeak").read_text().splitlines()
    assert ohe.shape == attr.shape == (len(lines), 4, 200)
    assert {len(line.split("\t")) for line in lines} == {10}


def test_programs_of_others_are_missed_files_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = Command.read("modisco motifs -s out/a.npz -n 20 -o out/m.h5")
    assert command.call() == 1
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.npz").touch()
    assert command.call() == 0
    assert (tmp_path / "out/m.h5").is_file()
