"""The tutorial on token models, followed with k-mers and with single bases."""

import itertools
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.commands import table

from tutorials.pages import TutorialPage
from tutorials.stand_ins import write_genome, write_peaks

# TF-MoDISco's own.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

pytestmark = pytest.mark.slow

PAGE = TutorialPage.read("token-model.md")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, *map("".join, itertools.product("ACGT", repeat=6))]
BASES = dict(zip("ACGT", (7, 8, 9, 10), strict=True))
WINDOW = 100


def network(folder: Path, n_ids: int) -> torch.nn.Module:
    """The page's network, with random weights that are always the same."""
    torch.manual_seed(0)
    return runpy.run_path(str(folder / "classifier.py"))["Classifier"](n_ids).eval()


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The folder after all commands of the page, and the commands that failed."""
    folder = tmp_path_factory.mktemp("token-model")
    PAGE.write_files(folder)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    for name, n_ids in (("kmers", len(VOCABULARY)), ("bases", 12)):
        torch.save(network(folder, n_ids).state_dict(), folder / f"{name}.pt")
    write_peaks(folder / "peaks.bed", write_genome(folder / "genome.fa", 20, 300))
    return folder, PAGE.follow(folder)


def test_every_command_ends_as_the_page_says(followed):
    assert followed[1] == []


def kmer_ids(window: str) -> list[int]:
    ids = {token: number for number, token in enumerate(VOCABULARY)}
    pieces = [window[i : i + 6] for i in range(len(window) - 5)]
    return [ids["[CLS]"], *(ids[piece] for piece in pieces), ids["[SEP]"]]


def base_ids(window: str) -> list[int]:
    return [0, *(BASES[base] for base in window), 1]


@pytest.mark.parametrize(("name", "n_ids", "of"), [("kmers", 4101, kmer_ids), ("bases", 12, base_ids)])
def test_the_model_is_fed_the_tokens_that_the_page_says(followed, name, n_ids, of):
    folder = followed[0]
    genome = (folder / "genome.fa").read_text().split("\n")[1]
    rows = table(folder / f"out/{name}.windows.tsv")
    windows = [genome[int(row["start"]) : int(row["end"])] for row in rows]
    assert {len(window) for window in windows} == {WINDOW}
    with torch.no_grad():
        outputs = network(folder, n_ids)(torch.tensor([of(window) for window in windows]))
    expected = (outputs[:, 1] - outputs[:, 0]).numpy()
    np.testing.assert_allclose([float(row["score"]) for row in rows], expected, rtol=1e-4, atol=1e-5)


def test_a_packed_folder_gives_the_bytes_of_the_model_itself(followed):
    kmers, packed = (followed[0] / f"out/{name}.bw" for name in ("kmers", "packed"))
    assert kmers.read_bytes() == packed.read_bytes()
