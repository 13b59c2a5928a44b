"""Whatever stands in front of the first layer, the input isn't pruned, and rules for that layer reach it."""

import functools
import logging

import pytest
import torch
from helpers.captures import captured_once
from torch import nn
from torch.nn import functional

from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.first_layers import before_layers
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.relevance.rules import Flat, ZBox
from sparselrp_cli.relevance.signs import non_negative_tensors

LENGTH = 60
FRONTS = {
    "nothing": lambda x: x,
    "shift": lambda x: x - 0.25,
    "two signs": lambda x: 2 * x - 1,
    "clamp": lambda x: x.clamp(-0.5, 0.75),
    "roll": lambda x: torch.roll(x, 3, -1),
    "flip": lambda x: x.flip(-1),
    "zeros around": lambda x: functional.pad(x, (4, 4)),
    "reflected": lambda x: functional.pad(x, (4, 4), mode="reflect"),
    "circular": lambda x: functional.pad(x, (4, 4), mode="circular"),
    "replicated": lambda x: functional.pad(x, (4, 4), mode="replicate"),
    "upsampled": lambda x: functional.interpolate(x, scale_factor=2, mode="nearest"),
    "activation": torch.tanh,
}
# What keeps a one-hot input as it is but for the place of its numbers.
KEEPING_SIGN = ("nothing", "roll", "flip", "zeros around", "reflected", "circular", "replicated", "upsampled")


class Network(nn.Module):
    def __init__(self, front: str, norm: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.front = FRONTS[front]
        self.norm = nn.BatchNorm1d(4) if norm else None
        self.conv, self.deep = nn.Conv1d(4, 8, 5, padding=2), nn.Conv1d(8, 8, 5, padding=2)
        self.head = nn.Linear(8, 2)
        if self.norm is not None:
            self.norm.running_mean.normal_(0, 0.3)
            self.norm.running_var.uniform_(0.5, 2)
            nn.init.normal_(self.norm.bias)

    def forward(self, x):
        x = self.front(x)
        x = x if self.norm is None else self.norm(x)
        return self.head(torch.relu(self.deep(torch.relu(self.conv(x)))).mean(-1))


def found_length(front: str) -> int:
    """Length of what the first layer makes."""
    return FRONTS[front](windows(1)).shape[-1]


CASES = [*((front, False) for front in FRONTS), ("nothing", True), ("zeros around", True)]
every_front = pytest.mark.parametrize(("front", "norm"), CASES)


def windows(count: int) -> torch.Tensor:
    bases = torch.randint(4, (count, LENGTH), generator=torch.Generator().manual_seed(2))
    return functional.one_hot(bases, 4).transpose(1, 2).double()


@functools.cache
def captured(front: str, norm: bool) -> CanonicalGraph:
    return captured_once(Network(front, norm).double().eval(), windows(2))


def explainer(front: str, norm: bool, composite: str, p: float) -> Explainer:
    target = Target("0", (Term(0, 0, None),))
    return Explainer(captured(front, norm), [target], composite=PRESETS[composite], pruning=Pruning(p))


@every_front
def test_the_input_is_never_pruned(front, norm):
    pruning = explainer(front, norm, "epsilon", 0.25)
    found = pruning.explain(windows(3))[0]
    assert [layer.neurons for layer in found.ledger.pruned_layers] == [8, 8 * found_length(front)]
    assert not {layer.tensor for layer in found.ledger.pruned_layers} & before_layers(pruning.program.graph)


@every_front
def test_a_first_layer_rule_reaches_the_first_layer_and_nothing_is_lost(front, norm):
    flat = explainer(front, norm, "epsilon-plus-flat", 0.25)
    assert [rule for rule in flat.rules.values() if isinstance(rule, Flat)] == [Flat()]
    found = flat.explain(windows(3))[0]
    assert float(found.conservation_error.max()) < 1e-9
    assert bool((found.contributions != 0).any())


@pytest.mark.parametrize(
    ("front", "low", "high"),
    [
        ("nothing", 0, 1),
        ("shift", -0.25, 0.75),
        ("two signs", -1, 1),
        ("reflected", 0, 1),
        ("clamp", 0, 0.75),
    ],
)
def test_z_box_has_the_range_of_what_the_first_layer_reads(front, low, high):
    boxes = [
        r for r in explainer(front, False, "epsilon-plus-box", 0.0).rules.values() if isinstance(r, ZBox)
    ]
    assert boxes == [ZBox(low=low, high=high)]


@pytest.mark.parametrize("front", KEEPING_SIGN)
def test_padding_keeps_the_sign_of_one_hot_input(front):
    graph = captured(front, False)
    first = next(node for node in graph.nodes if node.operation.kind == "convolution")
    assert first.inputs[0] in non_negative_tensors(graph)


def test_a_rule_that_reaches_no_first_layer_is_said(caplog):
    class Doubled(Network):
        def forward(self, x):
            return self.head(torch.relu(self.deep(torch.relu(self.conv(x + x.flip(1)))).mean(-1)))

    graph = captured_once(Doubled("nothing").double().eval(), windows(2))
    with caplog.at_level(logging.WARNING, logger="sparselrp"):
        found = Explainer(graph, [Target("0", (Term(0, 0, None),))], composite=PRESETS["epsilon-plus-flat"])
    assert "its rule for the first layer doesn't reach the one at" in caplog.text
    assert "mixes neurons" in caplog.text
    assert not [rule for rule in found.rules.values() if isinstance(rule, Flat)]
