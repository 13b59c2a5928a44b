"""How far a batch is: from nothing to all of it, in the end exactly all."""

import functools

import pytest
import torch
from helpers.captures import captured_once
from torch import Tensor, nn

from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance import pace
from sparselrp_cli.relevance.explainer import Explainer

TARGETS = [Target(f"t{i}", (Term(0, i, None),)) for i in range(2)]


@functools.cache
def deep() -> tuple[CanonicalGraph, Tensor]:
    """Six blocks, traced once, and two windows."""
    torch.manual_seed(0)
    blocks = [layer for _ in range(6) for layer in (nn.Conv1d(8, 8, 3, padding=1), nn.GELU())]
    net = nn.Sequential(nn.Conv1d(4, 8, 3), *blocks, nn.Flatten(), nn.Linear(8 * 18, 2)).eval()
    x = nn.functional.one_hot(torch.randint(4, (2, 20)), 4).transpose(1, 2).float()
    return captured_once(net, x), x


@pytest.mark.parametrize("memory", [2**60, 0], ids=["once", "again"])
@pytest.mark.parametrize("count", [1, 2])
def test_shares_grow_and_end_at_one(monkeypatch, memory, count):
    monkeypatch.setattr(pace, "EVERY", 0.0)
    graph, x = deep()
    explainer = Explainer(graph, TARGETS[:count], memory=memory)
    shares: list[float] = []
    explainer.say = shares.append
    explainer.explain(x)
    assert bool(explainer.keeping(2).again) == (memory == 0)
    assert shares == sorted(shares)
    assert shares[0] < 0.2
    assert shares[-1] == 1.0


def test_a_batch_that_is_soon_done_isnt_spoken_of():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4 * 6, 2))
    explainer = Explainer(captured_once(net, torch.zeros(1, 4, 6)), TARGETS[:1])
    shares: list[float] = []
    explainer.say = shares.append
    explainer.explain(torch.ones(1, 4, 6))
    assert shares == []
