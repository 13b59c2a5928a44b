"""Networks that share weights between strands, as DeePaC's and keras-genomics', written for PyTorch."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sparselrp_cli.errors import UnsupportedOperationError
from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE, Pruning

WINDOW = 40


class BothStrands(nn.Module):
    """Convolution with kernels and, in reverse order, their reverse complements."""

    def __init__(self, n_in: int, n_out: int, width: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(0.3 * torch.randn(n_out, n_in, width))
        self.bias = nn.Parameter(0.1 * torch.randn(n_out))

    def forward(self, x: Tensor) -> Tensor:
        kernel = torch.cat([self.kernel, self.kernel.flip(0, 1, 2)])
        return F.conv1d(x, kernel, torch.cat([self.bias, self.bias.flip(0)]), padding="same")


class SharedNorm(nn.Module):
    """Batch normalisation of a channel together with its mirror."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)
        self.norm.running_mean.uniform_(-0.2, 0.2)
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, 1)
        first, second = self.norm(torch.cat([first, second.flip(1, 2)], 2)).chunk(2, 2)
        return torch.cat([first, second.flip(1, 2)], 1)


class Equivariant(nn.Module):
    """Equivariant layers up to a head that sees both strands' mean: its score is that of either strand."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            BothStrands(4, 6, 7), nn.ReLU(), SharedNorm(6), BothStrands(12, 5, 5), nn.ReLU(), nn.MaxPool1d(4)
        )
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.body(x).chunk(2, 1)
        return self.head(((first + second.flip(1, 2)) / 2).mean(2))


class Averaged(nn.Module):
    """One network on both strands, averaged by `flip(x, (1, 2))`."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(4, 6, 7), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(6, 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        return (self.net(x) + self.net(x.flip((1, 2)))) / 2


class StackedByWindow(Averaged):
    """The same with both strands of a window side by side among the samples, and the larger score."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.net(torch.stack([x, x.flip(-1, -2)], 1).flatten(0, 1))
        return y.view(-1, 2, 2).amax(1)


class OneAfterTheOther(Averaged):
    """All forward strands before all reverse ones, along the samples."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.net(torch.cat([x, x.flip(1, 2)]))
        return (y[: len(x)] + y[len(x) :]) / 2


class OneAfterTheOtherByView(OneAfterTheOther):
    def forward(self, x: Tensor) -> Tensor:
        return self.net(torch.cat([x, x.flip(1, 2)])).view(2, -1, 2).mean(0)


class OneAfterTheOtherByChunk(OneAfterTheOther):
    """The larger score of the two, and of them and the first once more."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.net(torch.cat([torch.cat([x, x.flip(1, 2)]), x]))
        first, second, _ = y.chunk(3)
        return torch.maximum(torch.maximum(first, second), y[-x.shape[0] :])


class ByIndex(Averaged):
    """The complement by an index of bases, and the larger score."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("complement", torch.tensor([3, 2, 1, 0]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.maximum(self.net(x), self.net(x[:, self.complement].flip(2)))


class Canonical(nn.Module):
    """Of each channel and its mirror the larger, by an index that is made in forward."""

    def __init__(self) -> None:
        super().__init__()
        self.scan, self.head = BothStrands(4, 6, 7), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.scan(x).relu().chunk(2, 1)
        mirrored = second[:, torch.arange(second.shape[1] - 1, -1, -1)]
        return self.head(torch.maximum(first, mirrored).mean(2))


class Profile(nn.Module):
    """A profile, averaged with that of the other strand turned back."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv1d(4, 6, 7, padding=3), nn.ReLU(), nn.Conv1d(6, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (self.net(x) + self.net(x.flip(1, 2)).flip(1, 2)[:, [1, 0]]) / 2


ONE_AFTER_THE_OTHER = (OneAfterTheOther, OneAfterTheOtherByView, OneAfterTheOtherByChunk)
NETS = (Equivariant, Averaged, StackedByWindow, *ONE_AFTER_THE_OTHER, ByIndex, Canonical, Profile)


@pytest.fixture
def x() -> Tensor:
    return torch.rand(3, 4, WINDOW, generator=torch.Generator().manual_seed(1)).double()


def made(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return kind().eval().double()


@pytest.mark.parametrize("kind", NETS)
def test_a_network_of_both_strands_is_explained_by_its_gradient_and_conserves(kind, x):
    net = made(kind)
    graph = capture(net, x)
    assert max(check_against_module(graph, net, x).values()) < 1e-12
    targets = [Target("0", (Term(0, 0, None),))]
    (found,) = Explainer(graph, targets, composite=PRESETS["zero"], pruning=NONE).explain(x)
    read = x.clone().requires_grad_()
    score = net(read)[:, 0].flatten(1).mean(1) if kind is Profile else net(read)[:, 0]
    (gradient,) = torch.autograd.grad(score.sum(), read)
    torch.testing.assert_close(found.score, score.detach(), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(found.hypothetical, gradient, rtol=1e-10, atol=1e-13)
    for preset in ("epsilon-gamma", "z-plus"):
        for pruning in (NONE, Pruning(0.2), Pruning(0.2, redistribute="m")):
            (found,) = Explainer(graph, targets, composite=PRESETS[preset], pruning=pruning).explain(x)
            assert float(found.conservation_error.max()) < 1e-9


@pytest.mark.parametrize(
    "kind", [Equivariant, Averaged, StackedByWindow, *ONE_AFTER_THE_OTHER, ByIndex, Canonical]
)
def test_relevance_of_the_other_strand_is_the_same_turned(kind, x):
    net = made(kind)
    targets = [Target("1", (Term(0, 1, None),))]
    explainer = Explainer(capture(net, x), targets, pruning=NONE)
    (found,), (other,) = explainer.explain(x), explainer.explain(x.flip(1, 2))
    torch.testing.assert_close(other.score, found.score, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(other.hypothetical.flip(1, 2), found.hypothetical, rtol=1e-9, atol=1e-12)


class Mixes(Averaged):
    """The strands of a window aren't beside each other, as this view takes them to be."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net(torch.cat([x, x.flip(1, 2)])).view(-1, 2, 2).mean(1)


class BesideAConstant(Averaged):
    """A sequence of its own among the windows."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net(torch.cat([x, torch.zeros_like(x)]))[: len(x)]


class EveryOther(Averaged):
    """Some of the samples of both strands."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net(torch.cat([x, x.flip(1, 2)]))[1 : len(x) + 1]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Mixes, r"view at \S+: it mixes samples"),
        (BesideAConstant, r"cat at \S+: it puts constants beside the samples, which must stay apart"),
        (EveryOther, r"slice at \S+: it takes part of the samples; keep them all"),
    ],
)
def test_samples_that_are_mixed_are_refused_by_the_operation(kind, words, x):
    with pytest.raises(UnsupportedOperationError, match=f"^no rule for {words}"):
        capture(made(kind), x).require_supported()
