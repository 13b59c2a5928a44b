"""Language models: AttnLRP against an oracle that is written from the paper, on fresh sequences."""

import functools

import pytest
import torch
from oracles.attnlrp import attnlrp
from torch import Tensor

from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.loaded import capture_model, load_model
from sparselrp_cli.graph.packed.writing import Packing, write_packed
from sparselrp_cli.graph.targets import TargetParser
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.relevance.choices import COMPOSITE
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.explanation import Explanation
from sparselrp_cli.relevance.pruning import NONE, Pruning
from zoo.tokens import LANGUAGE, TokenEntry, random_windows

SEEDS = (11, 12)
every_model = pytest.mark.parametrize("entry", LANGUAGE, ids=lambda entry: entry.name, scope="module")


@functools.cache
def captured(entry: TokenEntry) -> tuple[torch.nn.Module, CanonicalGraph]:
    net = entry.entry().build()
    return net, capture(net, random_windows(entry, 0, 2))


@functools.cache
def explainer(entry: TokenEntry, centred: bool = False) -> tuple[torch.nn.Module, Explainer]:
    net, graph = captured(entry)
    assert [node.operation.describe() for node in graph.unsupported()] == []
    names = [OutputNames(output.name) for output in graph.outputs]
    target = TargetParser(graph.outputs, names).parse("1")
    centre = (0.25,) * 4 if centred else None
    return net, Explainer(graph, [target], names, PRESETS["zero"], NONE, centre=centre)


def explained(entry: TokenEntry, x: Tensor) -> Explanation:
    return explainer(entry)[1].explain(x)[0]


def oracle(entry: TokenEntry, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The relevance of each base (N, L), what special tokens got (N,), and the score, by the oracle."""
    net = explainer(entry)[0].module
    tokens = entry.tokens(x)
    ids = torch.tensor([[token.number for token in row] for row in tokens])
    c, vectors, score = attnlrp(net, {"input_ids": ids}, 1)
    relevance = (c * vectors).sum(-1)
    of_bases, special = torch.zeros(len(x), x.shape[2], dtype=torch.float64), torch.zeros_like(score)
    for n, row in enumerate(tokens):
        for slot, (_, start, end) in enumerate(row):
            if start == end:
                special[n] += relevance[n, slot]
            for place in range(start, end):
                of_bases[n, place] += relevance[n, slot] / (end - start)
    return of_bases, special, score


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))


@pytest.mark.parametrize("seed", SEEDS)
@every_model
def test_relevance_is_attnlrps_and_the_score_is_the_models_own(entry, seed):
    x = random_windows(entry, seed, 3)
    found, (of_bases, special, score) = explained(entry, x), oracle(entry, x)
    close(found.contributions.sum(1), of_bases)
    close(found.score, score)
    close(found.score, explainer(entry)[0](x)[:, 1])
    assert bool((found.conservation_error < 1e-9).all())
    assert bool((special != 0).any()) == any(t.start == t.end for t in entry.tokens(x)[0])
    # What isn't at a base is absorbed: by special tokens, and by constants of the network.
    close(found.score - found.relevance, found.absorbed)


@every_model
def test_the_graph_of_a_language_model_computes_what_it_does(entry):
    net, made = explainer(entry)
    differences = check_against_module(made.graph, net, random_windows(entry, 5, 3))
    assert max(differences.values()) < 1e-12


@every_model
def test_a_packed_language_model_is_explained_as_it_was_and_its_books_close(entry, tmp_path):
    _, graph = captured(entry)
    names, x = [OutputNames(output.name) for output in graph.outputs], random_windows(entry, 7, 2)
    write_packed(Packing(entry.name, entry.window, InputLayout(), names, graph), tmp_path / "packed")
    again = capture_model(load_model(ModelRequest(str(tmp_path / "packed"))))
    target, rules = TargetParser(graph.outputs, names).parse("1"), PRESETS[COMPOSITE]
    ours, theirs = (
        Explainer(g, [target], names, rules, Pruning(0.05), centre=(0.25,) * 4).explain(x)[0]
        for g in (graph, again)
    )
    assert torch.equal(ours.hypothetical, theirs.hypothetical)
    assert bool((ours.conservation_error < 1e-6).all())


@every_model
def test_centring_books_what_it_takes_off_and_leaves_changes_as_they_are(entry):
    x = random_windows(entry, 3, 2)
    plain, centred = explained(entry, x), explainer(entry, centred=True)[1].explain(x)[0]
    close(centred.hypothetical - centred.hypothetical[:, :1], plain.hypothetical - plain.hypothetical[:, :1])
    close(centred.relevance + centred.background, plain.relevance)
