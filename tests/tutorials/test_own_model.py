"""The tutorial on one's own model, followed to its motifs."""

import json
import runpy
from pathlib import Path

import pytest
import torch
from helpers.commands import table

from tutorials.pages import TutorialPage
from tutorials.stand_ins import matched_filter, write_database, write_genome, write_peaks

# TF-MoDISco's own.
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.slow]

PAGE = TutorialPage.read("own-model.md")


def write_weights(folder: Path) -> None:
    """Weights of the page's network whose second task counts the motif, plain and as Lightning saves them."""
    net = runpy.run_path(str(folder / "net.py"))["Net"]()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.uniform_(-0.02, 0.02)
        pattern, bias = matched_filter()
        net.scan.weight[0], net.scan.bias[0] = torch.from_numpy(pattern), bias
        net.mix.weight[0, 0] = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0])
        net.head.weight[1, 0] = 10.0
    torch.save(net.state_dict(), folder / "net.pt")
    saved = {"pytorch-lightning_version": "2.6", "state_dict": net.state_dict()}
    torch.save({**saved, "hyper_parameters": {"channels": 16}}, folder / "last.ckpt")


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The folder after all commands of the page, and the commands that failed."""
    folder = tmp_path_factory.mktemp("own-model")
    PAGE.write_files(folder)
    write_peaks(folder / "peaks.bed", write_genome(folder / "genome.fa", 60, 300))
    write_database(folder / "motifs.meme")
    write_weights(folder)
    return folder, PAGE.follow(folder)


def test_every_command_ends_as_the_page_says(followed):
    assert followed[1] == []


def test_both_targets_have_the_files_that_the_page_names(followed):
    rows = table(followed[0] / "out/both.windows.tsv")
    assert [row["target"] for row in rows].count("1-0") == 60
    assert all((followed[0] / f"out/both.{target}.bw").is_file() for target in ("1", "1-0"))


def test_the_motif_that_the_network_reads_is_found_and_named(followed):
    motifs = json.loads((followed[0] / "out/one.motifs.json").read_text())["motifs"]
    assert motifs[0]["matches"][0]["name"] == "planted"
    assert (followed[0] / "out/one.report.html").is_file()
    assert (followed[0] / "out/one.hits.bed").is_file()


def test_rows_of_zeros_leave_the_scores_as_they_are(followed):
    without, with_rows = (table(followed[0] / f"out/{name}.windows.tsv") for name in ("one", "control"))
    assert [row["score"] for row in without] == [row["score"] for row in with_rows]
