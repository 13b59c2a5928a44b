"""The experiments of benchmarks/RESULTS.md, each as its one command, with --quick."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"


def printed(script: str) -> str:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), "--quick"],
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
    text = printed("synthetic.py")
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
    text = printed("images.py")
    accuracies = [float(x) for x in re.findall(r"'accuracy': ([\d.]+)", text)]
    assert len(accuracies) == 2
    assert min(accuracies) > 0.3
    _, mass, auroc, *_ = numbers(text, "ResNet-like epsilon-plus LRP 0.0")
    assert mass > 0.3
    assert auroc > 0.7


@pytest.mark.slow
def test_pruning_concentrates_relevance_on_real_sites():
    text = printed("real.py")
    plain = numbers(text, "LRP epsilon-plus suhw")
    pruned = numbers(text, "PLRP-lambda epsilon-plus p=0.25 suhw")
    assert plain[0] > 0.7
    assert pruned[0] > plain[0]


def test_every_table_of_the_page_is_made_by_a_function():
    page = (BENCHMARKS / "RESULTS.md").read_text()
    names = re.findall(r"<!-- ([\w-]+) -->\n", page)
    made = re.findall(r'^        "([\w-]+)": \w+,$', (BENCHMARKS / "page.py").read_text(), re.MULTILINE)
    assert sorted(name for name in names if name != "end") == sorted(made)
    assert page.count("<!-- end -->") == len(made)
