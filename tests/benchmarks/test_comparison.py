"""One comparison of methods for all evidence: what its baselines and walks must hold to."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from benchmarks.evidence.baselines import (
    REFERENCES,
    GradientTimesInput,
    IntegratedGradients,
    Mutagenesis,
    SmoothGrad,
)
from benchmarks.evidence.comparison import Comparison, Subject, Walk, Windows, compare, leads, table
from benchmarks.evidence.methods import Method
from sparselrp_cli.evaluation.faithfulness import shuffled_backgrounds
from sparselrp_cli.evaluation.methods import Gradient
from sparselrp_cli.evaluation.site_metrics import Sites
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.sequences.one_hot import reverse_complement

LENGTH = 40


class Tail(nn.Module):
    """A logit of the mean over positions."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 1)

    def forward(self, x):
        return self.head(x.mean(2))


def subject(*middle: nn.Module) -> Subject:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv1d(4, 6, 5, padding=2), *middle, Tail()).double().eval().requires_grad_(False)
    graph = capture(net, torch.zeros(1, 4, LENGTH, dtype=torch.float64))
    return Subject(net, graph, Target("score", (Term(0, 0, None),)))


@pytest.fixture(scope="module")
def deep() -> Subject:
    return subject(nn.ReLU(), nn.Conv1d(6, 6, 3, padding=1), nn.ReLU())


@pytest.fixture(scope="module")
def one_hot() -> np.ndarray:
    bases = np.random.default_rng(0).integers(0, 4, (5, LENGTH))
    return np.eye(4, dtype=np.uint8)[bases].transpose(0, 2, 1)


def test_integrated_gradients_add_up_to_the_lead_over_the_references_where_the_network_is_linear(one_hot):
    linear = subject()
    gradient = linear.gradient()
    found = IntegratedGradients(gradient)(one_hot).contributions.sum(1)
    references = shuffled_backgrounds(one_hot, REFERENCES)
    scores = [gradient.scores(window).mean() for window in references]
    np.testing.assert_allclose(found, gradient.scores(one_hot) - scores, atol=1e-12)


def test_integrated_gradients_nearly_add_up_in_a_deep_network(deep, one_hot):
    gradient = deep.gradient()
    found = IntegratedGradients(gradient)(one_hot).contributions
    scores = [gradient.scores(window).mean() for window in shuffled_backgrounds(one_hot, REFERENCES)]
    missing = found.sum(1) - (gradient.scores(one_hot) - scores)
    assert (np.abs(missing) < 0.02 * np.abs(found).sum(1)).all()


def test_smoothgrad_is_the_gradient_where_the_network_is_linear(one_hot):
    gradient = subject().gradient()
    plain = GradientTimesInput(gradient, centre=False)(one_hot)
    np.testing.assert_allclose(SmoothGrad(gradient)(one_hot).hypothetical, plain.hypothetical, atol=1e-12)


def test_the_gradient_of_the_module_is_that_of_its_graph(deep, one_hot):
    by_graph = Gradient(deep.explainer(Method("zero", "LRP", Pruning(0.0))), deep.layout)
    by_module = deep.gradient()
    np.testing.assert_allclose(by_module.gradient(one_hot), by_graph.gradient(one_hot), atol=1e-12)
    np.testing.assert_allclose(by_module.scores(one_hot), by_graph.scores(one_hot), atol=1e-12)


def test_the_gradient_of_a_probability_is_that_of_its_logit(one_hot):
    torch.manual_seed(0)
    logit = nn.Sequential(nn.Conv1d(4, 6, 5), nn.ReLU(), Tail()).double().requires_grad_(False)
    target = Target("score", (Term(0, 0, None),))
    found = []
    for net in (logit, nn.Sequential(logit, nn.Sigmoid())):
        graph = capture(net, torch.zeros(1, 4, LENGTH, dtype=torch.float64))
        found.append(Subject(net.eval(), graph, target).gradient().gradient(one_hot))
    np.testing.assert_allclose(*found, atol=1e-12)


@pytest.mark.parametrize("strands", [False, True], ids=["one strand", "both"])
def test_the_zero_rule_is_the_gradient_through_relus(deep, one_hot, strands):
    walk = Walk(deep, Method("zero", "LRP", Pruning(0.0), strands=strands))
    expected = GradientTimesInput(deep.gradient(), centre=False)
    found = expected(one_hot).contributions
    if strands:
        other = expected(np.ascontiguousarray(reverse_complement(one_hot))).contributions[:, ::-1]
        found = (found + other) / 2
    np.testing.assert_allclose(walk(one_hot).contributions, found, atol=1e-9)


def test_maps_of_both_strands_are_those_of_the_reverse_complement(deep, one_hot):
    walk = Walk(deep, Method("epsilon-plus", "PLRP-lambda", Pruning(0.25), strands=True))
    there, back = walk(one_hot), walk(np.ascontiguousarray(reverse_complement(one_hot)))
    np.testing.assert_allclose(there.hypothetical, reverse_complement(back.hypothetical), atol=1e-12)


def test_centred_maps_add_up_to_nothing_over_the_bases(deep, one_hot):
    for run in (
        GradientTimesInput(deep.gradient(), centre=True),
        Walk(deep, Method("epsilon-plus", "PLRP-lambda", Pruning(0.1), centred=True)),
    ):
        found = run(one_hot)
        np.testing.assert_allclose(found.hypothetical.sum(1), 0, atol=1e-12)
        assert np.abs(found.contributions).max() > 0


def test_what_pruning_left_at_zero_is_ranked_by_lrp(deep, one_hot):
    pruned = Walk(deep, Method("epsilon-plus", "PLRP-lambda", Pruning(0.9)))(one_hot)
    walk = Walk(deep, Method("epsilon-plus", "then LRP", Pruning(0.9), refined=True))
    found = walk(one_hot)
    left = pruned.contributions != 0
    assert walk.method.walks == 2
    assert not left.all()
    np.testing.assert_array_equal(found.contributions[left], pruned.contributions[left])
    assert (found.contributions[~left] != 0).any()


@pytest.fixture(scope="module")
def comparison(deep, one_hot) -> Comparison:
    sites = [Sites.of_mask(np.arange(LENGTH) // 8 == 2)] * len(one_hot)
    methods = [
        Method("zero", "LRP", Pruning(0.0)),
        Method("epsilon-plus", "PLRP-lambda", Pruning(0.25), strands=True),
    ]
    return compare(deep, Windows(one_hot, sites), methods, rounds=1)


def test_a_comparison_has_a_row_for_each_method_and_a_figure_for_each_window(comparison, one_hot):
    names = [row["method"] for row in comparison.rows()]
    assert names == [
        "gradient x input", "gradient x input, centred", "SmoothGrad", "integrated gradients",
        *(["DeepLIFT/SHAP"] if "DeepLIFT/SHAP" in names else []),
        "LRP", "PLRP-lambda", "random order", "mutagenesis",
    ]  # fmt: skip
    for row in comparison.rows():
        assert {len(row[name]) for name in ("ism_r", "var_r", "deletion_share", "site_ap")} == {len(one_hot)}


def test_mutagenesis_is_its_own_truth(comparison, deep, one_hot):
    np.testing.assert_allclose(comparison.metrics[-1][["ism_r", "var_r"]], 1)
    scores = deep.gradient().scores
    changed = one_hot[:1].copy()
    changed[0, :, 7] = np.roll(changed[0, :, 7], 1)
    effect = Mutagenesis(deep.changes())(one_hot[:1]).hypothetical[0, changed[0, :, 7].argmax(), 7]
    assert effect == pytest.approx(float(scores(changed)[0] - scores(one_hot[:1])[0]), abs=1e-12)


def test_the_first_method_costs_one_gradient(comparison):
    assert comparison.ways[0]["cost"] == 1.0
    assert all(way["cost"] > 0 for way in comparison.ways if way["gradients"])


def test_methods_are_compared_in_pairs_with_the_best_of_one_walk():
    base = np.array([0.1, 0.5, 0.9])
    ways = [
        {"method": name, "gradients": g, "cost": 1.0} for name, g in [("a", 1), ("b", 1), ("c", 2), ("d", 1)]
    ]
    metrics = [pd.DataFrame({"ism_r": base + lead}) for lead in (0.0, 0.2, 0.3, np.nan)]
    rows = leads(Comparison(ways, metrics), ["ism_r"])
    for row, (low, high) in zip(rows, [(-0.2, -0.2), (0, 0), (0.1, 0.1)], strict=False):
        assert (row["ism_r low"], row["ism_r high"]) == (pytest.approx(low), pytest.approx(high))
    marked = [line.split()[-1] for line in table(rows).splitlines()[1:]]
    assert marked == ["0.500", "0.700*", "0.800*", "nan"]


@pytest.mark.parametrize(
    ("method", "walks"),
    [
        (Method("epsilon-gamma", "PLRP-lambda", Pruning(0.05), centred=True), 1),
        (Method("epsilon-gamma", "PLRP-lambda", Pruning(0.05), select="z-plus"), 2),
        (Method("epsilon-gamma", "PLRP-M", Pruning(0.05, redistribute="m")), 2),
        (Method("epsilon-plus", "then LRP", Pruning(0.05), refined=True, strands=True), 4),
    ],
    ids=["centred", "selected", "masked", "both strands, then LRP"],
)
def test_walks_are_counted(method, walks):
    assert method.walks == walks


def test_neurons_are_selected_by_the_named_rule(deep, one_hot):
    pruning = Pruning(0.5)
    own, other = (
        Walk(deep, Method("epsilon-gamma", "PLRP-lambda", pruning, select=rule))(one_hot)
        for rule in (None, "z-plus")
    )
    assert not np.array_equal(own.hypothetical, other.hypothetical)
    unpruned = [
        Walk(deep, Method("epsilon-gamma", "LRP", Pruning(0.0), select=rule))(one_hot)
        for rule in (None, "z-plus")
    ]
    np.testing.assert_allclose(unpruned[0].hypothetical, unpruned[1].hypothetical, atol=1e-12)
