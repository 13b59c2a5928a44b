"""The engine against the slow float64 oracle, on random networks of every kind of the zoo."""

import numpy as np
import pytest
import torch
from oracles.captured import captured
from oracles.network import Pruning as OraclePruning
from oracles.network import Rule as OracleRule
from oracles.zoo import KINDS

from sparselrp_cli.graph.capture import check_against_module
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS, Composite
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.masked import TAU
from sparselrp_cli.relevance.pruning import Pruning

SEEDS = range(2)
PRUNINGS = {
    "none": (Pruning(0.0), OraclePruning()),
    "lambda": (Pruning(0.25), OraclePruning("lambda", 0.25)),
    "lambda, each sign": (Pruning(0.6, 0.5), OraclePruning("lambda", 0.6, 0.5)),
    "m": (Pruning(0.25, redistribute="m"), OraclePruning("masked", 0.25, tau=TAU)),
    "m, much": (Pruning(0.8, 0.7, redistribute="m"), OraclePruning("masked", 0.8, 0.7, tau=TAU)),
    "automatic": (Pruning(automatic=True), OraclePruning("lambda", automatic=True)),
}


def oracle_rules(explainer: Explainer) -> dict[str, OracleRule]:
    """The composite's rules by module name, as the oracle wants them."""
    modules = {n.name: n for n in explainer.graph.nodes if isinstance(n.operation, Layer)}
    rules = {}
    for name, rule in explainer.rules.items():
        constants = {"eps": rule.epsilon, "gamma": getattr(rule, "gamma", 0.25)}
        rules[modules[name].module] = OracleRule(rule.name, **constants)
    return rules


def first_number(graph, index: int) -> Target:
    """Explain one entry of the flattened output."""
    shape = [d for d in graph.outputs[0].shape if isinstance(d, int)]
    if len(shape) == 1:
        return Target("one", (Term(0, index % shape[0], None),))
    task, position = np.unravel_index(index % int(np.prod(shape)), shape)
    return Target("one", (Term(0, int(task), (int(position), int(position) + 1)),))


def functional(graph, target: Target) -> np.ndarray:
    """The target as a vector over the flattened output."""
    shape = [d for d in graph.outputs[0].shape if isinstance(d, int)]
    v = np.zeros(shape)
    for term in target.terms:
        v[(term.task, *([slice(*term.positions)] if term.positions else []))] = term.weight
    return v.ravel()


@pytest.mark.parametrize("composite", PRESETS.values(), ids=PRESETS.keys())
@pytest.mark.parametrize("pruning", PRUNINGS.values(), ids=PRUNINGS.keys())
@pytest.mark.parametrize("kind", KINDS)
def test_engine_agrees_with_the_oracle(kind, pruning, composite: Composite):
    engine_pruning, oracle_pruning = pruning
    compared = 0
    # Rules for the input put a position's relevance on its base; only even seeds have one-hot windows.
    for_the_input = composite.name.endswith(("flat", "box", "w-square"))
    seeds = [seed for seed in SEEDS if not (for_the_input and seed % 2)]
    for seed in seeds:
        case, graph = captured(kind, seed)
        x = torch.from_numpy(case.inputs)
        target = first_number(graph, seed)
        explainer = Explainer(graph, [target], composite=composite, pruning=engine_pruning)
        (explanation,) = explainer.explain(x)
        for i in range(len(x)):
            expected = case.network.explain(
                case.inputs[i].ravel(), functional(graph, target), oracle_rules(explainer), oracle_pruning
            )
            if expected.margin < 1e-8:
                continue
            compared += 1
            relevance = explanation.contributions[i].numpy()
            wanted = expected.relevance.reshape(relevance.shape)
            if any(rule.input_only for rule in explainer.rules.values()):
                # These rules give relevance to bases that aren't there; a position's is the sum over bases.
                relevance, wanted = relevance.sum(0), wanted.sum(0)
            scale = max(np.abs(wanted).max(), 1e-12)
            np.testing.assert_allclose(relevance, wanted, rtol=0, atol=1e-9 * scale)
            np.testing.assert_allclose(explanation.score[i], expected.score, rtol=1e-12)
            turnover = max(scale, abs(expected.score))
            np.testing.assert_allclose(
                explanation.absorbed[i], expected.absorbed, atol=1e-8 * turnover, rtol=1e-9
            )
            np.testing.assert_allclose(explanation.lost[i], expected.lost, atol=1e-8 * turnover, rtol=1e-9)
    assert compared >= len(seeds)


@pytest.mark.parametrize("kind", KINDS)
def test_canonical_graph_computes_what_the_module_computes(kind):
    case, graph = captured(kind, 1)
    x = torch.from_numpy(case.inputs)
    differences = check_against_module(graph, case.module, x)
    assert max(differences.values()) < 1e-12
