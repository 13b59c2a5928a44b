"""The rule that decides on the defaults, on figures made by hand."""

import numpy as np

from benchmarks.evidence.ruling import DECIDING, counts, is_candidate, name_of, of_any_gamma, verdicts

BETTER, SAME, WORSE = np.full(20, 0.8), np.linspace(0.7, 0.9, 20), np.full(20, 0.5)


def row(method, values, **about):
    figures = {metric: values.tolist() for metric in DECIDING}
    return {"method": method, "gradients": 1, "cost": 1.0, **figures, **about}


def lrp(values, p=0.05, **about):
    name = "PLRP-lambda" if p else "LRP"
    return row(name, values, composite="epsilon-gamma", p=p, centred=True, **about)


def test_a_method_is_called_by_all_that_sets_it_apart():
    assert name_of(lrp(BETTER)) == "PLRP-lambda epsilon-gamma p=0.05 centred"
    assert name_of(lrp(BETTER, p=0.0)) == "LRP epsilon-gamma centred"
    assert name_of(lrp(BETTER, select="z-plus")) == "PLRP-lambda epsilon-gamma p=0.05 select z-plus centred"
    assert name_of(row("SmoothGrad", BETTER)) == "SmoothGrad"


def test_candidates_are_what_takes_one_gradient_or_one_walk():
    assert is_candidate(lrp(BETTER))
    assert is_candidate(row("gradient x input", BETTER))
    assert not is_candidate(row("PLRP-lambda", BETTER, gradients=2))
    assert not is_candidate(row("PLRP-M", BETTER))
    assert not is_candidate(row("mutagenesis", BETTER))


def test_another_gamma_is_a_candidate_only_where_it_is_let_in():
    data = {"data": [lrp(BETTER, gamma=0.1), lrp(WORSE)]}
    other, ours = (
        "PLRP-lambda epsilon-gamma gamma=0.1 p=0.05 centred",
        "PLRP-lambda epsilon-gamma p=0.05 centred",
    )
    assert counts(verdicts(data)).to_dict() == {ours: 4}
    assert counts(verdicts(data, of_any_gamma)).to_dict() == {other: 4, ours: 0}


def test_the_best_and_what_cannot_be_told_from_it_are_good():
    rows = [row("gradient x input", WORSE), lrp(BETTER), lrp(SAME, p=0.0)]
    rows.append(row("mutagenesis", np.ones(20), gradients=600))
    table = verdicts({"data": rows}).set_index("name")
    assert not table.loc["gradient x input", "ism_r good"]
    assert table.loc["PLRP-lambda epsilon-gamma p=0.05 centred", "ism_r good"]
    assert table.loc["LRP epsilon-gamma centred", "ism_r good"]
    # What isn't a candidate is compared with the best of them, and doesn't set the mark.
    assert table.loc["mutagenesis", "ism_r good"]
    assert not table.loc["mutagenesis", "candidate"]


def test_a_deletion_share_a_little_below_the_best_is_good():
    table = verdicts({"data": [lrp(BETTER), lrp(BETTER - 0.02, p=0.0)]}).set_index("name")
    assert table.loc["LRP epsilon-gamma centred", "deletion_share good"]
    assert not table.loc["LRP epsilon-gamma centred", "insertion_share good"]


def test_candidates_are_counted_over_data_sets_and_windows_pooled_over_networks():
    one = [lrp(BETTER, seed=0), lrp(WORSE, seed=1), row("gradient x input", WORSE, seed=0)]
    one.append(row("gradient x input", WORSE, seed=1))
    found = verdicts({"one": one, "two": [lrp(WORSE), row("gradient x input", BETTER)]})
    assert found.loc[0, "ism_r"] == 0.65
    assert counts(found).to_dict() == {
        "PLRP-lambda epsilon-gamma p=0.05 centred": 4, "gradient x input": 4
    }  # fmt: skip
