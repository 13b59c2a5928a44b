"""The first tutorial, and the README's command: what someone sees who has nothing but the package."""

import re
import shlex
from pathlib import Path

import pytest
from helpers.commands import table

from sparselrp_cli.runs.demo import demo_steps
from tutorials.pages import Command, TutorialPage

# TF-MoDISco's own.
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.slow]

PAGE = TutorialPage.read("first.md")
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
DEMO = Path("sparselrp-demo")


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The folder after all commands of the page, and the commands that failed."""
    folder = tmp_path_factory.mktemp("first")
    return folder, PAGE.follow(folder)


def test_every_command_ends_as_the_page_says(followed):
    assert followed[1] == []


def said(page: str) -> tuple[str, int, int]:
    """The motif that a page says is found, and its numbers of seqlets and hits."""
    found = re.search(r"pos_1: (\w+), (\d+) seqlets, (\d+) hits; MA0533\.1 su\(Hw\)", page)
    consensus, seqlets, hits = found.groups()
    return consensus, int(seqlets), int(hits)


@pytest.mark.parametrize("page", [PAGE.text, README], ids=["the tutorial", "README"])
def test_the_motif_that_is_found_is_the_one_that_the_page_shows(followed, page):
    (motif,) = table(followed[0] / DEMO / "suhw.motifs.tsv")
    assert (motif["consensus"], int(motif["seqlets"]), int(motif["hits"])) == said(page)
    assert motif["match_name"] == "su(Hw)"


def test_the_score_is_distributed_as_the_page_says(followed):
    rows = table(followed[0] / DEMO / "suhw.windows.tsv")
    (line,) = re.findall(r"^    suhw: mean (score .*)$", PAGE.text, re.MULTILINE)
    shown = dict(re.findall(r"(score|relevance|background|absorbed) (-?[\d.]+)", line))
    assert set(shown) == {"score", "relevance", "background", "absorbed"}
    for column, value in shown.items():
        mean = sum(float(row[column]) for row in rows) / len(rows)
        assert mean == pytest.approx(float(value), rel=1e-3), column


@pytest.mark.parametrize(
    "page", ["site.png", "both.png", "unpruned.h5", "suhw.bedgraph.gz", "suhw.report.html"]
)
def test_files_that_the_page_names_are_there(followed, page):
    assert (followed[0] / DEMO / page).is_file()
    assert f"`{DEMO / page}`" in PAGE.text or f" {DEMO / page}" in PAGE.text


def test_the_command_of_the_demo_is_shown_as_it_is():
    first, *_ = demo_steps(DEMO)
    (shown,) = re.findall(r"^    sparselrp attribute (.*)$", PAGE.text, re.MULTILINE)
    assert shlex.split(shown) == list(first.arguments)[1:]


def test_the_command_of_the_readme_is_the_one_that_the_tutorial_begins_with():
    blocks = re.findall(r"```sh\n(sparselrp demo)\n```", README)
    assert [Command.read(line) for line in blocks] == [PAGE.commands[0]]
