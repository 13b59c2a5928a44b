"""Mutagenesis from what differs, against all of every changed window through the network, in float64.

The same over the zoo: `tests/zoo/test_zoo.py`.
"""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from sparselrp_cli.evaluation.local_changes import Planner
from sparselrp_cli.evaluation.mutagenesis import SingleChanges, effects
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.shapes import Span
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.scoring import Scorer

LENGTH = 48
STRETCH = 5


def differences(explainer, layout, one_hot, positions=STRETCH):
    """The largest difference between both ways, and the largest effect."""
    fast = SingleChanges(explainer, layout)
    fast.positions = positions
    slow = effects(one_hot, Scorer(explainer, layout).scores)
    return np.abs(fast.effects(one_hot) - slow).max(), np.abs(slow).max()


class Layers(nn.Module):
    """Layers one behind the other, then the mean over positions."""

    def __init__(self, *layers):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList([layer() for layer in layers])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x.flatten(1).tanh().sum(1, keepdim=True)


def scan(channels=4, **options):
    return lambda: nn.Conv1d(channels, 6, **{"kernel_size": 5, **options})


class Padded(nn.Module):
    def forward(self, x):
        return functional.pad(x, (9, 2))


class Cut(nn.Module):
    def forward(self, x):
        return x[:, :, 7:-11]


class Turned(nn.Module):
    def forward(self, x):
        return x.transpose(1, 2).relu().transpose(1, 2)


class Added(nn.Module):
    def __init__(self):
        super().__init__()
        self.near = nn.Conv1d(6, 6, 3, padding=1)
        self.far = nn.Conv1d(6, 6, 3, padding=4, dilation=4)

    def forward(self, x):
        return torch.cat([self.near(x) + self.far(x), x], 1)


NETWORKS = {
    "padding": (scan(padding=2), nn.ReLU),
    "no padding": (scan(), nn.ReLU),
    "even width and stride": (scan(kernel_size=4, stride=3, padding=1), nn.ReLU),
    "dilation": (scan(padding=8, dilation=4), nn.ReLU),
    "wide": (scan(kernel_size=41, padding=20), nn.ReLU),
    "max pool": (scan(padding=2), lambda: nn.MaxPool1d(4), scan(6, padding=2)),
    "overlapping max pool": (scan(padding=2), lambda: nn.MaxPool1d(5, 2, padding=2)),
    "dilated max pool": (scan(padding=2), lambda: nn.MaxPool1d(3, 2, padding=1, dilation=3)),
    "max pool to the last": (scan(padding=2), lambda: nn.MaxPool1d(7, 5, ceil_mode=True)),
    "average pool": (scan(padding=2), lambda: nn.AvgPool1d(4, 3), scan(6, padding=1)),
    "padded average pool": (scan(padding=2), lambda: nn.AvgPool1d(5, 2, padding=2)),
    "average pool to the last": (scan(padding=2), lambda: nn.AvgPool1d(7, 5, ceil_mode=True)),
    "adaptive pool": (scan(padding=2), lambda: nn.AdaptiveMaxPool1d(3)),
    "shifted": (Padded, scan(), nn.ReLU),
    "part": (scan(padding=2), Cut, nn.ReLU, scan(6)),
    "axes swapped": (scan(padding=2), Turned, scan(6)),
    "branches": (scan(padding=2), nn.ReLU, Added),
    "batch norm and gelu": (scan(padding=2), lambda: nn.BatchNorm1d(6).eval(), nn.GELU, scan(6)),
    "dense": (scan(padding=2), nn.Flatten, lambda: nn.Linear(6 * LENGTH, 7), nn.ReLU),
}


def window(seed=0, length=LENGTH):
    codes = np.random.default_rng(seed).integers(0, 4, length)
    return (codes == np.arange(4)[:, None]).astype(np.uint8)


def explained(net, length=LENGTH, layout="NCL"):
    x = torch.from_numpy(window(length=length)[None]).double()
    graph = capture(net.double().eval(), x if layout == "NCL" else x.transpose(1, 2))
    return Explainer(graph, [Target("it", (Term(0, 0, None),))], base_axis=1 if layout == "NCL" else 2)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_local_operation_passes_on_what_changes(name):
    explainer = explained(Layers(*NETWORKS[name]))
    for positions in (1, 7, LENGTH):
        error, largest = differences(explainer, InputLayout(), window(), positions)
        assert error <= 1e-9
        assert largest > 1e-3


class PositionsFirst(nn.Module):
    """Reads (N, L, 4)."""

    def __init__(self):
        super().__init__()
        self.layers = Layers(scan(padding=2), nn.ReLU)

    def forward(self, x):
        return self.layers(x.transpose(1, 2))


def test_other_orders_of_bases_and_axes_have_the_same_effects():
    explainer = explained(PositionsFirst(), layout="NLC")
    error, largest = differences(explainer, InputLayout("TGAC", "NLC"), window())
    assert error <= 1e-9
    assert largest > 1e-3


def test_unknown_positions_have_no_effect_and_all_changes_are_told():
    explainer = explained(Layers(scan(padding=2), nn.ReLU))
    one_hot = window()
    one_hot[:, 3:30] = 0
    told = []
    found = SingleChanges(explainer, InputLayout()).effects(one_hot, told.append)
    assert (found[:, 3:30] == 0).all()
    assert (found[one_hot == 1] == 0).all()
    assert sum(told) == 3 * LENGTH
    told.clear()
    effects(one_hot, Scorer(explainer, InputLayout()).scores, told.append)
    assert sum(told) == 3 * LENGTH


def test_a_change_stays_as_local_as_the_network_is():
    """Two convolutions of width 5 around position 20, a pool by four, and all from the first dense layer."""
    net = Layers(
        scan(padding=2), scan(6, padding=2), lambda: nn.MaxPool1d(4), nn.Flatten, lambda: nn.Linear(72, 2)
    )
    planner = Planner(explained(net).graph)
    plan = planner.plan(Span(2, 20, 21))
    spans = [plan.changed[step.node.name] for step in plan.steps]
    assert spans[:3] == [Span(2, 18, 23), Span(2, 16, 25), Span(2, 4, 7)]
    assert set(spans[3:]) == {None}


def test_what_a_change_cant_reach_is_not_computed():
    """The part that is read begins at position 7, less the two that a convolution reaches."""
    planner = Planner(explained(Layers(scan(padding=2), Cut, nn.ReLU)).graph)
    (first,) = planner.plan(Span(2, 0, 5)).steps
    assert first.node.operation.kind == "convolution"
