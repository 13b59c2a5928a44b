"""The experiments of benchmarks/RESULTS.md, each as its one command, with --quick."""

import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.evidence import tables
from benchmarks.evidence.page import AGES, PAGE, blocks, experiments, filled
from benchmarks.evidence.ruling import is_candidate, verdicts
from benchmarks.evidence.tables import TABLES
from benchmarks.record import RESULTS
from sparselrp_cli.relevance.choices import COMPOSITE

ROOT = Path(__file__).parents[2]


def printed(experiment: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.evidence.{experiment}", *arguments, "--quick"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(text: str, start: str) -> list[float]:
    """The numbers at the end of the first line that begins so, apart from spaces."""
    line = next(line for line in text.splitlines() if re.sub(r"\s+", " ", line).strip().startswith(start))
    return [float(word) for word in line.split() if re.fullmatch(r"-?\d+\.\d+", word)]


@pytest.mark.slow
def test_the_default_is_faithful_and_finds_planted_motifs():
    table = printed("faithful", "planted")
    labels = [float(x) for x in re.findall(r"AUROC of the labels ([\d.]+)", table)]
    assert len(labels) == 1
    assert min(labels) > 0.9
    # Cost, ISM r, var r, insertion, deletion, abpc, site AP, mass; stars mark what is level with the best.
    found = numbers(table.replace("*", " "), f"PLRP-lambda {COMPOSITE} - 0.05 yes - - ")
    _, _, ism_r, var_r, insertion, deletion, _, site_ap, mass, *_ = found
    assert min(ism_r, var_r) > 0.9
    assert insertion > 0.6
    assert deletion > 0.8
    assert site_ap > 0.8
    assert mass > 0.7


@pytest.mark.slow
def test_relevance_finds_digits_on_clutter():
    text = printed("images")
    accuracies = [float(x) for x in re.findall(r"'accuracy': ([\d.]+)", text)]
    assert len(accuracies) == 2
    assert min(accuracies) > 0.3
    _, mass, auroc, *_ = numbers(text, "ResNet-like epsilon-plus LRP 0.0")
    assert mass > 0.3
    assert auroc > 0.7


def test_every_table_of_the_page_is_made_by_a_function():
    text = PAGE.read_text()
    names = re.findall(r"<!-- ([\w-]+) -->\n", text)
    made = [*TABLES, *AGES, "experiments", "ages"]
    assert sorted(name for name in names if name != "end") == sorted(made)
    assert text.count("<!-- end -->") == len(made)
    assert sorted(blocks([])) == sorted(made)


def test_the_page_says_what_the_kept_figures_say(monkeypatch):
    data = tables.faithful_data()
    once = functools.cache(lambda candidate: verdicts(data, candidate))
    # Five tables ask for the same verdicts.
    monkeypatch.setattr(tables, "faithful_data", lambda: data)
    monkeypatch.setattr(tables, "verdicts", lambda _, candidate=is_candidate: once(candidate))
    text = PAGE.read_text()
    assert filled(text, {**TABLES, "experiments": experiments}) == text


def test_the_page_says_the_age_of_all_that_is_kept():
    (table,) = re.findall(r"<!-- ages -->\n(.*?)<!-- end -->", PAGE.read_text(), re.DOTALL)
    kept = {path.name for path in RESULTS.glob("*.json")}
    assert set(re.findall(r"\(results/([\w.-]+)\)", table)) == kept


def test_a_page_without_a_place_for_a_table_is_refused():
    with pytest.raises(SystemExit, match=r"RESULTS.md has 0 places for 'summary'; it needs one"):
        filled("", {"summary": lambda: ""})
