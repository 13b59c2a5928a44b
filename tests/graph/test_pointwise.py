"""Pointwise convolutions over images become ones over a sequence, and nothing else does."""

import pytest
import torch
from helpers.captures import captured_once
from torch import nn

from sparselrp_cli.graph.passes.pointwise import unroll_pointwise
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning

FIRST = Target("first", (Term(0, 0, None),))


class Image(nn.Module):
    """A convolution over an image of the sequence, and one of another kind behind it."""

    def __init__(self, second: nn.Module, *, rectified: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, (4, 3), padding=(0, 1))
        self.second = second
        self.rectified = rectified
        self.head = nn.LazyLinear(2)

    def forward(self, x):
        h = torch.relu(self.first(x[:, None])).unflatten(3, (-1, 2)).squeeze(2)
        h = self.second(h)
        return self.head((torch.relu(h) if self.rectified else h).flatten(1))


def captured(second, *, rectified=False):
    torch.manual_seed(0)
    module = Image(second, rectified=rectified).double().eval()
    x = nn.functional.one_hot(torch.randint(4, (3, 12)), 4).transpose(1, 2).double()
    module(x)
    return module, captured_once(module, x), x


POINTWISE = {
    "plain": nn.Conv2d(6, 5, 1),
    "without bias": nn.Conv2d(6, 5, 1, bias=False),
    "in groups": nn.Conv2d(6, 4, 1, groups=2),
    "dilated": nn.Conv2d(6, 5, 1, dilation=3),
}
OTHER = {
    "wide": nn.Conv2d(6, 5, (1, 2)),
    "strided": nn.Conv2d(6, 5, 1, stride=(2, 1)),
    "padded": nn.Conv2d(6, 5, 1, padding=(1, 0)),
}


@pytest.mark.parametrize("second", POINTWISE.values(), ids=POINTWISE.keys())
def test_the_graph_computes_the_same_under_the_same_names(second):
    _, graph, x = captured(second)
    unrolled = unroll_pointwise(graph)
    layers = [
        n for n in unrolled.nodes if n.operation.kind == "convolution" and n.operation.weight.dim() == 3
    ]
    assert len(layers) == 1
    assert layers[0].name in graph.by_name()
    before, after = graph.outputs_for(x), unrolled.outputs_for(x)
    torch.testing.assert_close(*(next(iter(v.values())) for v in (before, after)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("second", OTHER.values(), ids=OTHER.keys())
def test_convolutions_that_read_neighbours_or_skip_pixels_stay_as_they_are(second):
    _, graph, _ = captured(second)
    assert unroll_pointwise(graph).nodes == graph.nodes


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("second", [*POINTWISE.values(), *OTHER.values()], ids=[*POINTWISE, *OTHER])
def test_rule_zero_is_gradient_times_input(second, rectified):
    module, graph, x = captured(second, rectified=rectified)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(module(leaf)[:, 0].sum(), leaf)
    explainer = Explainer(graph, [FIRST], composite=PRESETS["zero"], pruning=Pruning(0.0))
    (explained,) = explainer.explain(x)
    torch.testing.assert_close(explained.contributions, gradient * x, rtol=1e-9, atol=1e-11)


def test_a_model_that_ends_in_one_gives_its_image():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Conv2d(1, 3, (4, 1)), nn.Conv2d(3, 2, 1)).double()
    x = nn.functional.one_hot(torch.randint(4, (2, 6)), 4).transpose(1, 2).double()
    graph = unroll_pointwise(captured_once(module, x))
    (output,) = graph.outputs
    assert torch.allclose(graph.outputs_for(x)[output.node], module(x))
