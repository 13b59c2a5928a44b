"""Cropping to the receptive field: the same explanation, from less of the network."""

import dataclasses
import functools
import logging
import math
import random

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.graph.canonical import CanonicalGraph, GraphOutput, Node
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.operation import Operation
from sparselrp_cli.graph.operations.activation import Activation
from sparselrp_cli.graph.operations.addition import Add
from sparselrp_cli.graph.operations.convolution import Convolution
from sparselrp_cli.graph.operations.pad import Pad
from sparselrp_cli.graph.operations.slice import Slice
from sparselrp_cli.graph.passes import cropping
from sparselrp_cli.graph.passes.cropping import crop
from sparselrp_cli.graph.shapes import BatchDim, Span, numbers
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance import program
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning

LENGTH = 120


class Residual(nn.Module):
    """Pre-activation blocks with batch norms, a skip path and a cropped end, as in SpliceAI."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 6, 1)
        self.norms = nn.ModuleList(nn.BatchNorm1d(6) for _ in range(3))
        self.blocks = nn.ModuleList(nn.Conv1d(6, 6, 5, padding=2 * d, dilation=d) for d in (1, 2, 3))
        self.skip = nn.Conv1d(6, 6, 1)
        self.head = nn.Conv1d(6, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        skip = self.skip(x)
        for norm, block in zip(self.norms, self.blocks, strict=True):
            x = x + block(norm(x).relu())
        return self.head((x + skip)[:, :, 10:-10])


class Plain(nn.Module):
    """Convolutions without padding, with stride, with one even width, and with uneven padding."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Conv1d(4, 5, 7), nn.Conv1d(5, 6, 4, stride=2, padding=1), nn.Conv1d(6, 6, 5, dilation=2)]
        )
        self.head = nn.Conv1d(6, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = functional.pad(layer(x).relu(), (3, 1))
        return self.head(x)


class Dense(nn.Module):
    """Positions before channels at the end, and two paths side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv1d(4, 5, 9, padding=4), nn.Conv1d(4, 3, 3, padding=1)
        self.middle, self.head = nn.Linear(8, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.one(x).relu(), self.two(x)], 1).transpose(1, 2)
        return self.head(functional.leaky_relu(self.middle(x)))


class Pooled(nn.Module):
    """Pooling, which isn't cropped, below convolutions, which are."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.middle = nn.Conv1d(4, 6, 5, padding=2), nn.Conv1d(6, 6, 3, padding=1)
        self.head = nn.Conv1d(6, 2, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.middle(functional.max_pool1d(self.stem(x).relu(), 2)).relu())


NETWORKS = {"residual": Residual, "plain": Plain, "dense": Dense, "pooled": Pooled}
AXES = {"dense": "NPT"}
POSITIONS = [(0, 1), (30, 31), (17, 25), (-1, 0)]


@functools.cache
def draw(kind: str, seed: int):
    torch.manual_seed(seed)
    net = NETWORKS[kind]().double()
    x = functional.one_hot(torch.randint(4, (3, LENGTH)), 4).transpose(1, 2).double()
    net.train()(x)  # norms that do something
    graph = capture(net.eval(), x)
    names = (OutputNames("y", axes=AXES.get(kind, "NTP")),)
    return graph, names, x


def length_of(graph, names) -> int:
    return int(graph.outputs[0].shape[names[0].axes.index("P")])


@pytest.mark.parametrize("mirrored", [False, True], ids=["", "mirrored"])
@pytest.mark.parametrize("pruning", [Pruning(0.0), Pruning(0.3), Pruning(0.3, redistribute="m")], ids=str)
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_cropped_network_explains_as_the_whole_one(kind, pruning, mirrored, monkeypatch):
    graph, names, x = draw(kind, 0)
    length = length_of(graph, names)
    for start, stop in POSITIONS:
        place = (start % length, stop % length or length)
        target = Target("here", (Term(0, 1, place),))
        for composite in (PRESETS["epsilon-gamma"], PRESETS["epsilon-plus-flat"]):
            explainer = Explainer(graph, [target], names, composite, pruning)
            (ours,) = explainer.explain(x, mirrored=mirrored)
            with monkeypatch.context() as patched:
                patched.setattr(explainer, "_program_for", lambda targets, e=explainer: e.program)
                (whole,) = explainer.explain(x, mirrored=mirrored)
            scale = max(1.0, float(whole.hypothetical.abs().max()))
            torch.testing.assert_close(ours.hypothetical, whole.hypothetical, rtol=1e-9, atol=1e-9 * scale)
            for name in ("score", "relevance", "absorbed", "lost"):
                torch.testing.assert_close(
                    getattr(ours, name), getattr(whole, name), rtol=1e-9, atol=1e-9 * scale
                )
            for a, b in zip(ours.ledger.pruned_layers, whole.ledger.pruned_layers, strict=True):
                assert (a.tensor, a.neurons, a.kept.tolist()) == (b.tensor, b.neurons, b.kept.tolist())


@pytest.mark.parametrize("kind", NETWORKS)
def test_outputs_are_right_where_they_are_explained_and_zero_elsewhere(kind):
    graph, names, x = draw(kind, 1)
    axis, length = names[0].axes.index("P"), length_of(graph, names)
    cropped = crop(graph, {0: Span(axis, 20, 23)})
    assert cropped is not graph
    whole = graph.evaluate(x)[graph.outputs[0].node]
    part = cropped.evaluate(x)[cropped.outputs[0].node]
    assert part.shape == whole.shape
    torch.testing.assert_close(part.narrow(axis, 20, 3), whole.narrow(axis, 20, 3), rtol=1e-12, atol=1e-12)
    assert not part.narrow(axis, 0, 20).any()
    assert not part.narrow(axis, 23, length - 23).any()


def test_tensors_are_as_long_as_the_receptive_field_needs():
    graph, _, x = draw("residual", 2)
    cropped = crop(graph, {0: Span(2, 40, 41)})
    values = cropped.evaluate(x)
    for node in cropped.nodes:
        assert values[node.name][0].numel() == numbers(node.shape), node.name
    lengths = [values[n.name].shape[2] for n in cropped.nodes if n.operation.kind == "convolution"]
    # One position, seen through blocks that reach 2, 4 and 6 bases to each side.
    assert max(lengths) == 1 + 2 * (2 + 4 + 6)
    assert min(lengths) == 1


def test_a_slice_at_the_end_crops_without_a_position_in_the_target():
    class Centre(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv1d(4, 6, 5, padding=2), nn.Conv1d(6, 2, 5, padding=2)

        def forward(self, x: Tensor) -> Tensor:
            return self.two(self.one(x).relu())[:, :, 50:51].mean(2)

    torch.manual_seed(0)
    x = functional.one_hot(torch.randint(4, (2, LENGTH)), 4).transpose(1, 2).double()
    net = Centre().double().eval()
    explainer = Explainer(capture(net, x), [Target("t", (Term(0, 0, None),))], pruning=Pruning(0.0))
    (ours,) = explainer.explain(x)
    program = explainer._program_for(explainer.targets)
    lengths = [n.shape[2] for n in program.graph.nodes if n.operation.kind == "convolution"]
    assert lengths == [5, 1]
    (whole,) = Explainer(capture(net, x), [Target("t", (Term(0, 0, None),))], pruning=Pruning(0.0)).explain(x)
    torch.testing.assert_close(ours.score, net(x)[:, 0].detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(ours.hypothetical, whole.hypothetical)


def test_a_graph_that_would_lose_little_stays_as_it_is():
    graph, _, _ = draw("dense", 3)
    assert crop(graph, {0: Span(1, 0, LENGTH - 1)}) is graph
    assert crop(graph, {0: None}) is graph


def test_two_positions_are_explained_from_one_forward_pass_as_from_two():
    graph, names, x = draw("residual", 4)
    targets = [Target(str(p), (Term(0, 0, (p, p + 1)),)) for p in (5, 80)]
    together = Explainer(graph, targets, names, pruning=Pruning(0.3)).explain(x)
    for target, ours in zip(targets, together, strict=True):
        (alone,) = Explainer(graph, [target], names, pruning=Pruning(0.3)).explain(x)
        torch.testing.assert_close(ours.hypothetical, alone.hypothetical, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(ours.score, alone.score, rtol=1e-9, atol=1e-9)


def test_a_convolution_padded_further_than_it_reaches_is_cropped_right():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv1d(4, 8, 5, padding=2), nn.ReLU(), nn.Conv1d(8, 8, 3, padding=10), nn.ReLU(),
        nn.Conv1d(8, 3, 3, padding=1),
    ).double().eval()  # fmt: skip
    x = functional.one_hot(torch.randint(4, (2, LENGTH)), 4).transpose(1, 2).double()
    graph, length = capture(net, x), LENGTH + 18
    expected = net(x).detach()
    for position in (*range(14), *range(length - 14, length)):
        (found,) = Explainer(graph, [Target("t", (Term(0, 0, (position, position + 1)),))]).explain(x)
        torch.testing.assert_close(found.score, expected[:, 0, position], rtol=1e-12, atol=1e-14)


def random_layer(draw: random.Random, channels: int, length: int) -> Operation:
    """Draw an operation that keeps the channels and can be cropped, with paddings far beyond its reach."""
    width, stride, dilation = draw.randint(1, 5), draw.randint(1, 3), draw.randint(1, 3)
    padding = draw.choice([0, 1, draw.randint(0, 12)])
    if draw.random() < 0.6 and dilation * (width - 1) + 1 <= length + 2 * padding:
        weight = torch.randn(channels, channels, width, dtype=torch.float64)
        bias = torch.randn(channels, dtype=torch.float64)
        return Convolution(weight, bias, (stride,), (padding,), (dilation,), 1)
    if draw.random() < 0.5:
        return Pad((draw.randint(-length // 3, 9), draw.randint(-length // 3, 9)))
    start = draw.randint(0, length // 3)
    return draw.choice([Activation("sigmoid"), Slice(2, start, draw.randint(start + 1, length))])


def random_graph(seed: int) -> tuple[CanonicalGraph, Tensor]:
    """Draw layers in a row, some with an earlier tensor of the same shape added."""
    draw, channels = random.Random(seed), 3
    torch.manual_seed(seed)
    x = torch.randn(2, channels, draw.randint(20, 40), dtype=torch.float64)
    values, nodes = {"x": x}, []

    def put(operation: Operation, *inputs: str) -> None:
        name = f"n{len(nodes)}"
        values[name], _ = operation.forward(*[values[i] for i in inputs])
        nodes.append(Node(name, operation, inputs, (BatchDim(), *values[name].shape[1:])))

    for _ in range(draw.randint(2, 6)):
        last = next(reversed(values))
        put(random_layer(draw, channels, values[last].shape[2]), last)
        last = next(reversed(values))
        alike = [n for n, v in values.items() if v.shape == values[last].shape and n not in (last, "x")]
        if alike and draw.random() < 0.5:
            put(Add(), last, draw.choice(alike))
    shape = nodes[-1].shape
    outputs = (GraphOutput("y", nodes[-1].name, shape),)
    input_shape = (BatchDim(), *x.shape[1:])
    return CanonicalGraph("x", input_shape, tuple(nodes), outputs, x.dtype, x.device), x


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs_are_cropped_right_at_every_position(seed, monkeypatch):
    monkeypatch.setattr(cropping, "WORTH", math.inf)
    graph, x = random_graph(seed)
    (output,) = graph.outputs
    whole = graph.evaluate(x)[output.node]
    length = whole.shape[2]
    for position in range(length):
        stop = min(length, position + 1 + seed % 3)
        cropped = crop(graph, {0: Span(2, position, stop)})
        part = cropped.evaluate(x)[cropped.outputs[0].node]
        assert part.shape == whole.shape
        torch.testing.assert_close(
            part[..., position:stop], whole[..., position:stop], rtol=1e-12, atol=1e-12
        )


def test_a_wrong_cropping_is_noticed_and_the_whole_network_explained(monkeypatch, caplog):
    def wrong(graph, outputs):
        right = crop(graph, outputs)
        first = next(node for node in right.nodes if node.operation.kind == "convolution")
        broken = dataclasses.replace(first.operation, weight=first.operation.weight * 1.1)
        node = dataclasses.replace(first, operation=broken)
        return dataclasses.replace(right, nodes=tuple(node if n is first else n for n in right.nodes))

    graph, names, x = draw("residual", 5)
    target = Target("at 40", (Term(0, 1, (40, 41)),))
    (expected,) = Explainer(graph, [target], names).explain(x)
    monkeypatch.setattr(program, "crop", wrong)
    explainer = Explainer(graph, [target], names)
    with caplog.at_level(logging.WARNING, logger="sparselrp"):
        explainer.check_cropping(x[:1])
    assert "cropped to what 'at 40' reads the network gives another output (by 0." in caplog.text
    (ours,) = explainer.explain(x)
    torch.testing.assert_close(ours.hypothetical, expected.hypothetical, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mirrored", [False, True], ids=["", "mirrored"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_right_cropping_passes_the_comparison(kind, mirrored, caplog):
    graph, names, x = draw(kind, 0)
    for dtype in (torch.float64, torch.float32):
        explainer = Explainer(
            graph.to(x.device, dtype), [Target("t", (Term(0, 1, (2, 3)),))], names, pruning=Pruning(0.0)
        )
        with caplog.at_level(logging.WARNING, logger="sparselrp"):
            explainer.check_cropping(x[:1].to(dtype), mirrored=mirrored)
        assert not [record for record in caplog.records if record.name == "sparselrp"]
        assert explainer._program_for(explainer._oriented(mirrored)) is not explainer.program
