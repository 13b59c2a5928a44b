"""Neurons selected by one rule, relevance carried by another: two walks, one forward pass."""

import pytest
import torch
from helpers.captures import captured_once
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.errors import CompositeError
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composite_text import parse_composite
from sparselrp_cli.relevance.composites import PRESETS, Composite
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.explanation import Explanation
from sparselrp_cli.relevance.pruning import NONE, Pruning, kept
from sparselrp_cli.relevance.rules import Gamma, ZPlus

FIRST, SECOND = (Target(name, (Term(0, task, None),)) for task, name in enumerate(("first", "second")))
SELECT = 'extends = "epsilon-gamma"\nselect = "z-plus"'
P = Pruning(0.25)


def selecting(text: str = SELECT) -> Composite:
    return parse_composite(text, "mine.toml")


def one_hot(seed: int, length: int = 24) -> Tensor:
    bases = torch.randint(4, (3, length), generator=torch.Generator().manual_seed(seed))
    return functional.one_hot(bases, 4).mT.double().contiguous()


class TwoLayers(nn.Module):
    """Two convolutions: one tensor is pruned, what the second reads."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = nn.Conv1d(4, 6, 5, padding=2)
            self.second = nn.Conv1d(6, 6, 5, padding=2)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.first(x)))).sum(2)


def explain(
    net: nn.Module,
    x: Tensor,
    composite: Composite,
    pruning: Pruning = P,
    targets: tuple[Target, ...] = (FIRST,),
) -> list[Explanation]:
    return Explainer(captured_once(net, x), targets, None, composite, pruning).explain(x)


def step(a: Tensor, weight: Tensor, bias: Tensor, r: Tensor, rule: ZPlus | Gamma) -> Tensor:
    """Multipliers of one convolution's inputs, of relevance `r` of its rectified outputs."""
    z = functional.conv1d(a, weight, bias, padding=2)
    if isinstance(rule, ZPlus):
        w, b = weight.clamp(min=0), bias.clamp(min=0)
    else:
        w = weight + rule.gamma * weight.clamp(min=0)
        b = bias + rule.gamma * bias.clamp(min=0)
    below = functional.conv1d(a, w, b, padding=2)
    shares = torch.where(z > 0, r / (below + 1e-6), 0.0)
    return functional.conv_transpose1d(shares, w, padding=2)


@pytest.mark.parametrize("seed", range(4))
def test_neurons_are_those_z_plus_keeps_and_relevance_is_gamma_s(seed):
    net, x = TwoLayers(seed), one_hot(seed)
    (found,) = explain(net, x, selecting())
    a = torch.relu(net.first(x)).detach()
    out = torch.relu(net.second(a)).detach()
    r = torch.zeros_like(out)
    r[:, 0] = out[:, 0]
    weights = net.second.weight.detach(), net.second.bias.detach()
    chosen = kept((a * step(a, *weights, r, ZPlus())).flatten(1), 0.25, 0.125).reshape(a.shape)
    relevance = a * step(a, *weights, r, Gamma())
    survivors = torch.zeros_like(relevance)
    for sign in (1, -1):
        of_sign = (sign * relevance).clamp(min=0)
        left = of_sign * chosen
        survivors += sign * left * (of_sign.sum((1, 2)) / left.sum((1, 2)).clamp(min=1e-300))[:, None, None]
    first = net.first.weight.detach(), net.first.bias.detach()
    expected = step(x, *first, survivors, Gamma())
    torch.testing.assert_close(found.hypothetical, expected, rtol=1e-8, atol=1e-10)
    (layer,) = found.ledger.pruned_layers
    assert layer.kept.tolist() == chosen.sum((1, 2)).tolist()


def test_selecting_by_the_carrying_rule_changes_nothing():
    net, x = TwoLayers(1), one_hot(1)
    (plain,) = explain(net, x, PRESETS["epsilon-gamma"])
    (same,) = explain(net, x, selecting('extends = "epsilon-gamma"\nselect = "gamma"'))
    torch.testing.assert_close(same.hypothetical, plain.hypothetical, rtol=1e-12, atol=1e-14)


def test_accounts_close_and_several_targets_are_explained_as_each_alone():
    net, x = TwoLayers(2), one_hot(2)
    both = explain(net, x, selecting(), targets=(FIRST, SECOND))
    for target, found in zip((FIRST, SECOND), both, strict=True):
        (alone,) = explain(net, x, selecting(), targets=(target,))
        torch.testing.assert_close(found.hypothetical, alone.hypothetical, rtol=1e-12, atol=1e-14)
        assert float(found.conservation_error.max()) < 1e-9


def test_a_selection_without_convolutions_is_said_to_have_no_effect(caplog):
    net = nn.Sequential(nn.Flatten(), nn.Linear(96, 6), nn.ReLU(), nn.Linear(6, 1)).double()
    explain(net, one_hot(0), selecting('select = "z-plus"\n[[rule]]\nkind = "dense"\nrule = "epsilon"'))
    reason = "no convolution has a rule that it could replace"
    assert f"nothing is selected by rule 'z-plus': {reason}" in caplog.text


def test_without_pruning_everything_is_selected_and_nothing_said(caplog):
    net, x = TwoLayers(0), one_hot(0)
    (plain,) = explain(net, x, PRESETS["epsilon-gamma"], NONE)
    (same,) = explain(net, x, selecting(), NONE)
    assert torch.equal(same.hypothetical, plain.hypothetical)
    assert not caplog.text


def test_a_selection_with_plrp_m_is_refused():
    message = "select goes with redistribute lambda, not m"
    with pytest.raises(CompositeError, match=message):
        explain(TwoLayers(0), one_hot(0), selecting(), Pruning(0.25, redistribute="m"))


@pytest.mark.parametrize("name", ['"flat"', '"zplus"', "3"])
def test_a_rule_that_cannot_select_is_refused(name):
    with pytest.raises(
        CompositeError, match="neurons are selected by zero, epsilon, gamma, alpha-beta, z-plus"
    ):
        selecting(f'extends = "epsilon-gamma"\nselect = {name}')
