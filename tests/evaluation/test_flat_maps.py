"""`sparselrp evaluate` on maps that are zero, constant, or a single base: values, and what isn't defined."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers.archives import rows_of_contributions, write_archive

from sparselrp_cli.cli.main import run

LENGTH = 10
PLACES = [("chr1", 0), ("chr1", 20), ("chr1", 40)]
ZERO, CONSTANT, ONE = np.zeros(LENGTH), np.full(LENGTH, 0.5), np.eye(LENGTH)[1]


@pytest.fixture
def evaluated(tmp_path, capfd):
    """Evaluate archives of three windows, each with a site at its first two positions."""
    (tmp_path / "sites.bed").write_text("".join(f"chr1\t{start}\t{start + 2}\n" for _, start in PLACES))

    def of(**maps):
        archives = [
            write_archive(tmp_path / f"{name}.h5", rows_of_contributions(PLACES, values), sizes={"chr1": 60})
            for name, values in maps.items()
        ]
        given = ["evaluate", *archives, "--sites", tmp_path / "sites.bed", "-o", tmp_path / "out"]
        assert run(list(map(str, given))) == 0
        table = pd.read_csv(tmp_path / "out.evaluation.tsv", sep="\t").set_index("method")
        return table, capfd.readouterr()

    return of


@pytest.mark.usefixtures("unrendered")
def test_a_map_of_zeros_has_the_ranking_of_chance_and_no_concentration(evaluated, tmp_path):
    table, said = evaluated(zeros=[ZERO] * 3)
    row = table.loc["zeros"]
    assert (row["windows"], row["without_relevance"], row["zero_share"]) == (3, 3, 1)
    assert (row["auroc"], row["auprc"], row["rank_accuracy"]) == pytest.approx((0.5, 0.2, 0.2))
    assert row[["mass_in_sites", "gini", "complexity"]].isna().all()
    warned = [line for line in said.err.splitlines() if "warning" in line]
    start, end = "sparselrp: warning: zeros, task/0:", "; left out of the means"
    assert warned == [
        f"{start} mass_in_sites not defined in 3 of 3 windows, whose relevance is nowhere positive{end}",
        f"{start} gini and complexity not defined in 3 of 3 windows, whose relevance is zero throughout{end}",
    ]
    assert "-" in said.out
    (record,) = json.loads((tmp_path / "out.evaluation.json").read_text())["methods"]
    assert record["gini"] is None


@pytest.mark.usefixtures("unrendered")
def test_means_are_over_the_windows_in_which_a_metric_is_defined(evaluated):
    table, said = evaluated(mixed=[ZERO, CONSTANT, ONE])
    row = table.loc["mixed"]
    assert (row["windows"], row["without_relevance"]) == (3, 1)
    assert row["gini"] == pytest.approx((0 + 0.9) / 2)
    assert row["complexity"] == pytest.approx((np.log(10) + 0) / 2, rel=1e-5)
    assert row["mass_in_sites"] == pytest.approx((0.2 + 1) / 2)
    assert row["auroc"] == pytest.approx((0.5 + 0.5 + (8 + 4) / 16) / 3, rel=1e-5)
    assert "gini and complexity not defined in 1 of 3 windows" in said.err


@pytest.mark.usefixtures("unrendered")
def test_agreement_with_a_constant_map_is_not_defined_and_said(evaluated, tmp_path):
    table, said = evaluated(first=[ONE] * 3, flat=[CONSTANT] * 3)
    assert np.isnan(table.loc["flat", "agreement_with_first"])
    assert "first, task/0" not in said.err
    (line,) = [line for line in said.err.splitlines() if "agreement_with_first" in line]
    assert "flat, task/0" in line
    assert "not defined in 3 of 3 windows, where a map is the same at every position" in line
    assert "nan" in (tmp_path / "out.evaluation.tsv").read_text()


def test_the_figure_says_where_a_metric_is_not_defined(evaluated, tmp_path):
    evaluated(first=[ONE] * 3, zeros=[ZERO] * 3)
    drawn = (tmp_path / "out.evaluation.svg").read_text()
    # The mass, gini and complexity of the second; the agreement has no value at all, and isn't drawn.
    assert drawn.count("not defined") == 3


@pytest.mark.usefixtures("unrendered")
def test_maps_with_relevance_are_not_warned_of(evaluated):
    _, said = evaluated(first=[ONE] * 3, second=[ONE[::-1]] * 3)
    assert "not defined" not in said.err
