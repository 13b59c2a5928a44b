"""Attention, positions, norms and gates as people write them, against AttnLRP written from the paper."""

import functools

import pytest
import torch
from oracles.attnlrp import attnlrp
from torch import nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, TargetParser, Term
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.model.token_models import TokenModel, sequences_of, tokens_of
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.explanation import Explanation
from sparselrp_cli.relevance.pruning import NONE
from zoo.entry import scatter
from zoo.forms import FORMS, TOKENS, Forms, One
from zoo.language import kmers

WINDOW = 8
# Two bases one after the other, or one where one is unknown: from 5 to 7 tokens, padding behind.
SCHEME = kmers(2, 2, 1, 2, end=False)


def windows(seed: int) -> torch.Tensor:
    """Three windows, of which the second has an N and so one token of padding less."""
    bases = torch.randint(4, (3, WINDOW), generator=torch.Generator().manual_seed(seed))
    x = nn.functional.one_hot(bases, 4).transpose(1, 2).double()
    x[1, :, 2] = 0
    return x


@functools.cache
def made() -> TokenModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        net = Forms(32)
        scatter(net)
    return TokenModel(net, SCHEME, TOKENS).double().eval()


@functools.cache
def explained() -> tuple[torch.Tensor, dict[str, Explanation]]:
    """All forms from one graph, on sequences other than those it was traced with."""
    graph, x = capture(made(), windows(1)), windows(2)
    assert [(n.name, n.operation.describe()) for n in graph.unsupported()] == []
    names = [OutputNames(output.name) for output in graph.outputs]
    parser = TargetParser(graph.outputs, names)
    targets = [parser.parse(f"{output.name}/1") for output in graph.outputs]
    found = Explainer(graph, targets, names, PRESETS["zero"], NONE).explain(x)
    return x, dict(zip(FORMS, found, strict=True))


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_explained_as_attnlrp_says(name):
    x, explanations = explained()
    found, tokens = explanations[name], [tokens_of(s, SCHEME, TOKENS) for s in sequences_of(x)]
    ids = torch.tensor([[token.number for token in row] for row in tokens])
    c, vectors, score = attnlrp(One(made().module, name), {"input_ids": ids}, 1)
    relevance, expected = (c * vectors).sum(-1), torch.zeros(len(x), WINDOW, dtype=torch.float64)
    for n, row in enumerate(tokens):
        for slot, (_, start, end) in enumerate(row):
            known = [p for p in range(start, end) if x[n, :, p].any()]
            expected[n, known] += relevance[n, slot] / max(len(known), 1)
    scale = float(expected.abs().max())
    assert scale > 0
    torch.testing.assert_close(found.contributions.sum(1), expected, rtol=1e-9, atol=1e-9 * scale)
    torch.testing.assert_close(found.score, score, rtol=1e-9, atol=1e-9 * float(score.abs().max()))
    assert bool((found.conservation_error < 1e-9).all())


def test_numbers_that_differ_between_samples_are_refused():
    class Numbered(nn.Module):
        def forward(self, x):
            return x.sum(2) * torch.arange(x.shape[0])[:, None]

    with pytest.raises(ModelError, match=r"the model numbers its samples \(torch.arange over the batch\)"):
        capture(Numbered(), windows(1))


def test_rotary_positions_by_complex_numbers_are_turned_back():
    class Turned(nn.Module):
        def forward(self, x):
            pairs = torch.view_as_complex(x.transpose(1, 2).reshape(-1, WINDOW, 2, 2).contiguous())
            turns = torch.polar(torch.ones(WINDOW, 2, dtype=x.dtype), torch.ones(WINDOW, 2, dtype=x.dtype))
            return torch.view_as_real(pairs * turns).flatten(2).sum(1)

    module, x = Turned(), windows(2)
    graph = capture(module, x)
    assert not graph.unsupported()
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(module(leaf)[:, 1].sum(), leaf)
    explainer = Explainer(graph, [Target("1", (Term(0, 1, None),))], pruning=NONE)
    torch.testing.assert_close(explainer.explain(x)[0].contributions, gradient * x, rtol=1e-12, atol=1e-12)
