"""The experiments of benchmarks/RESULTS.md, each as its one command, with --quick."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.evidence.page import AGES, PAGE, blocks, experiments, filled
from benchmarks.evidence.tables import TABLES
from benchmarks.record import RESULTS

ROOT = Path(__file__).parents[2]


def printed(experiment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.evidence.{experiment}", "--quick"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(text: str, start: str) -> list[float]:
    """The numbers at the end of the first line that begins so, apart from spaces."""
    line = next(line for line in text.splitlines() if re.sub(r"\s+", " ", line).strip().startswith(start))
    return [float(word) for word in line.split() if re.fullmatch(r"-?\d+\.\d+", word)]


@pytest.mark.slow
def test_relevance_finds_planted_motifs():
    text = printed("synthetic")
    labels = [float(x) for x in re.findall(r"'auroc of the labels': ([\d.]+)", text)]
    assert len(labels) == 2
    assert min(labels) > 0.9
    # p, mass in the mask, AUROC, ...
    p, mass, auroc, *_ = numbers(text, "small epsilon-plus LRP 0.0")
    assert p == 0
    assert mass > 0.6
    assert auroc > 0.8


@pytest.mark.slow
def test_relevance_finds_digits_on_clutter():
    text = printed("images")
    accuracies = [float(x) for x in re.findall(r"'accuracy': ([\d.]+)", text)]
    assert len(accuracies) == 2
    assert min(accuracies) > 0.3
    _, mass, auroc, *_ = numbers(text, "ResNet-like epsilon-plus LRP 0.0")
    assert mass > 0.3
    assert auroc > 0.7


@pytest.mark.slow
def test_pruning_concentrates_relevance_on_real_sites():
    text = printed("real")
    plain = numbers(text, "LRP epsilon-plus suhw")
    pruned = numbers(text, "PLRP-lambda epsilon-plus p=0.25 suhw")
    assert plain[0] > 0.7
    assert pruned[0] > plain[0]


def test_every_table_of_the_page_is_made_by_a_function():
    text = PAGE.read_text()
    names = re.findall(r"<!-- ([\w-]+) -->\n", text)
    made = [*TABLES, *AGES, "experiments", "ages"]
    assert sorted(name for name in names if name != "end") == sorted(made)
    assert text.count("<!-- end -->") == len(made)
    assert sorted(blocks([])) == sorted(made)


def test_the_page_says_what_the_kept_figures_say():
    text = PAGE.read_text()
    assert filled(text, {**TABLES, "experiments": experiments}) == text


def test_the_page_says_the_age_of_all_that_is_kept():
    (table,) = re.findall(r"<!-- ages -->\n(.*?)<!-- end -->", PAGE.read_text(), re.DOTALL)
    kept = {path.name for path in RESULTS.glob("*.json")}
    assert set(re.findall(r"\(results/([\w.]+)\)", table)) == kept


def test_a_page_without_a_place_for_a_table_is_refused():
    with pytest.raises(SystemExit, match=r"RESULTS.md has 0 places for 'summary'; it needs one"):
        filled("", {"summary": lambda: ""})
