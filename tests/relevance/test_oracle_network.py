"""The network oracle: against PyTorch's forward and gradient, small graphs by hand, and laws."""

from itertools import product

import numpy as np
import pytest
import torch
from oracles import zoo
from oracles.network import Network, Pruning, Rule

RULES = [Rule("zero"), Rule("epsilon"), Rule("epsilon", eps=0.1), Rule("gamma"), Rule("z-plus")]
PRUNINGS = [
    Pruning(),
    Pruning("lambda", 0.3),
    Pruning("lambda", 0.9, 0.9),
    Pruning("lambda", automatic=True),
    Pruning("masked", 0.3),
    Pruning("masked", 0.9, 0.9),
    Pruning("masked", automatic=True, tau=0.1),
]
CASES = {f"{kind} {seed}": zoo.make(kind, seed) for kind in zoo.KINDS for seed in range(2)}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def samples(case):
    """Each flattened sample with weights of a score on all outputs."""
    for n, x in enumerate(case.inputs):
        x = x.ravel()
        yield x, np.random.default_rng(n).normal(size=len(case.network.forward(x)))


@cases
def test_the_forward_is_the_modules(case):
    with torch.no_grad():
        expected = case.module(torch.from_numpy(case.inputs)).flatten(1).numpy()

    for x, y in zip(case.inputs, expected, strict=True):
        np.testing.assert_allclose(case.network.forward(x.ravel()), y, rtol=1e-12, atol=1e-12)


@cases
def test_rule_0_without_pruning_is_input_times_gradient(case):
    # A bias never passes anything on, so on piecewise linear networks the zero rule is the gradient exactly;
    # only the stabiliser of batch norms that stand alone is in the way.
    tolerance = 1e-4 if case.kind == "pre-activation" else 1e-9
    for n, (x, v) in enumerate(samples(case)):
        inputs = torch.from_numpy(case.inputs[n : n + 1]).requires_grad_()
        score = case.module(inputs).flatten() @ torch.from_numpy(v)
        (gradient,) = torch.autograd.grad(score, inputs)

        explanation = case.network.explain(x, v, Rule("zero"))

        assert explanation.score == pytest.approx(score.item(), abs=1e-12)
        np.testing.assert_allclose(
            explanation.relevance, x * gradient.numpy().ravel(), rtol=tolerance, atol=tolerance
        )


@cases
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_score_is_relevance_absorbed_and_lost(case, rule):
    for (x, v), pruning in product(samples(case), PRUNINGS):
        explanation = case.network.explain(x, v, rule, pruning)

        # What passed through may outweigh the score by far, where the relevance above a layer cancels.
        turnover = max((abs(t.after).sum() for t in explanation.pruned.values()), default=1.0)
        assert abs(explanation.imbalance) <= 1e-10 * max(1.0, abs(explanation.score), turnover)
        if pruning.mode != "masked":
            assert (explanation.lost, explanation.fallback_columns) == (0.0, 0)


@cases
@pytest.mark.parametrize("mode", ["lambda", "masked"])
def test_no_proportion_is_plain_lrp_bit_for_bit(case, mode):
    for x, v in samples(case):
        plain = case.network.explain(x, v, Rule("gamma"))
        pruned = case.network.explain(x, v, Rule("gamma"), Pruning(mode, 0.0))

        assert pruned.relevance.tobytes() == plain.relevance.tobytes()
        assert pruned.absorbed == plain.absorbed


@cases
@pytest.mark.parametrize("p", [0.2, 0.7])
def test_lambda_keeps_mass_signs_and_order_in_every_layer(case, p):
    for x, v in samples(case):
        explanation = case.network.explain(x, v, Rule("epsilon"), Pruning("lambda", p))

        assert explanation.pruned
        for tensor in explanation.pruned.values():
            for sign, share in ((1, p), (-1, p / 2)):
                before, after = np.maximum(sign * tensor.before, 0), np.maximum(sign * tensor.after, 0)
                assert before[tensor.keep].sum() >= (1 - share) * before.sum() * (1 - 1e-12)
                assert after.sum() == pytest.approx(before.sum(), rel=1e-12)
                assert ((after > 0) == (tensor.keep & (before > 0))).all()
                ranked = np.argsort(before[tensor.keep], kind="stable")
                assert (np.diff(after[tensor.keep][ranked]) >= 0).all()


@cases
def test_every_layer_that_does_not_read_the_input_reads_one_pruned_tensor(case):
    x, v = next(samples(case))
    layers = {
        name
        for name, layer in case.module.named_modules()
        if isinstance(layer, torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Linear)
    }
    first = {"branches": {"narrow", "wide"}, "sequential": {"conv1"}, "image": {"conv1"}}
    first |= {kind: {"conv1"} for kind in ("average pooled", "large biases", "signed", "rearranged")}

    explanation = case.network.explain(x, v, Rule("epsilon"), Pruning("lambda", 0.3))

    pruned = [name for names in explanation.pruned for name in names]
    assert sorted(pruned) == sorted(layers - first.get(case.kind, {"stem"}))


def test_pruning_makes_the_input_relevance_sparser():
    case = zoo.make("dilated", 0)
    x, v = next(samples(case))

    zeros = [
        (case.network.explain(x, v, Rule("epsilon"), Pruning("lambda", p)).relevance == 0).sum()
        for p in (0.0, 0.5, 0.95)
    ]

    assert zeros[0] <= zeros[1] < zeros[2]


def shared_neurons():
    """Two hidden neurons, 3 and 1, that two heads read; the score weighs both heads the same."""
    network = Network()
    h = network.relu(network.affine(network.input(2), np.eye(2), np.zeros(2), "first"))
    one = network.affine(h, np.array([[1.0], [1.0]]), np.zeros(1), "one")
    two = network.affine(h, np.array([[0.0], [4.0]]), np.zeros(1), "two")
    network.output(network.concat(one, two))
    return network


def test_a_neuron_that_feeds_two_layers_is_pruned_once_after_both_have_contributed():
    # Head one gives (3, 1), head two (0, 4): together (3, 5), of which 3 <= .4 * 8 goes. Pruned head by head,
    # 1 of the first would have gone instead.
    explanation = shared_neurons().explain(
        np.array([3.0, 1.0]), np.ones(2), Rule("zero"), Pruning("lambda", 0.4)
    )

    assert list(explanation.pruned) == [("one", "two")]
    assert explanation.pruned["one", "two"].before.tolist() == [3, 5]
    assert explanation.relevance.tolist() == [0, 8]


def residual_stream(through):
    """Two hidden neurons, and what a layer with weights `through` makes of them added to them."""
    network = Network()
    h = network.relu(network.affine(network.input(2), np.eye(2), np.zeros(2), "first"))
    branch = network.affine(h, np.array(through, dtype=float), np.zeros(2), "branch")
    network.output(network.add(h, branch))
    return network


def test_what_came_past_the_layer_is_masked_and_scaled_within_itself():
    # Past the layer (3, 1); its outputs 4 and 1 give (3, 1) and (0, 1). Together (6, 3): 3 <= .4 * 9 goes.
    network = residual_stream([[1, 0], [1, 1]])

    explanation = network.explain(np.array([3.0, 1.0]), np.ones(2), Rule("zero"), Pruning("masked", 0.4))

    # Past the layer, neuron 0 gets all 4. In it, column 0 gives its 4 to neuron 0; column 1 falls back.
    assert explanation.pruned[("branch",)].before.tolist() == [6, 3]
    assert explanation.relevance.tolist() == [8, 1]
    assert (explanation.fallback_columns, explanation.fallback_mass, explanation.lost) == (1, 1.0, 0.0)


def test_mass_past_the_layer_is_lost_where_only_the_layer_kept_its_sign():
    # Neurons 1 and 2, output (1 + 4, 2), v = (1, -1). Past the layer (1, -2); the layer carries 4 of neuron 1
    # to output 0: (0, 4). Together (1, 2): 1 <= .4 * 3 goes, and past the layer nothing positive is left.
    network = residual_stream([[0, 0], [2, 0]])

    explanation = network.explain(
        np.array([1.0, 2.0]), np.array([1.0, -1.0]), Rule("zero"), Pruning("masked", 0.4)
    )

    tensor = explanation.pruned[("branch",)]
    assert (tensor.before.tolist(), tensor.keep.tolist()) == ([1, 2], [False, True])
    assert explanation.lost == 1.0
    assert explanation.relevance.tolist() == [0, 2]
    assert explanation.score == 3.0


def test_neurons_read_through_views_are_pruned_where_they_are():
    # Neurons 1, 2, 3 are read reversed and padded by a layer, and the first, twice, by another.
    network = Network()
    h = network.relu(network.affine(network.input(3), np.eye(3), np.zeros(3), "first"))
    one = network.affine(network.view(h, [-1, 2, 1, 0]), np.ones((4, 1)), np.zeros(1), "one")
    two = network.affine(network.view(h, [0, 0]), np.full((2, 1), 2.5), np.zeros(1), "two")
    network.output(network.concat(one, two))

    explanation = network.explain(np.array([1.0, 2.0, 3.0]), np.ones(2), Rule("zero"), Pruning("lambda", 0.2))

    assert explanation.pruned["one", "two"].before.tolist() == [6, 2, 3]
    np.testing.assert_allclose(explanation.relevance, [6 * 11 / 9, 0, 3 * 11 / 9])


def test_a_concatenated_branch_with_another_reader_is_refused():
    network = Network()
    x = network.input(2)
    h = network.relu(network.affine(x, np.eye(2), np.zeros(2), "first"))
    g = network.relu(network.affine(h, np.eye(2), np.zeros(2), "second"))
    network.output(network.affine(network.concat(h, g), np.ones((4, 1)), np.zeros(1), "head"))

    with pytest.raises(NotImplementedError, match="feeds something else too"):
        network.explain(np.ones(2), np.ones(1), Rule("zero"), Pruning("lambda", 0.4))
