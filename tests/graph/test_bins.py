"""Over which bases the positions of an output lie, against what each position depends on."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from zoo.attention import Borzoi, Enformer

from sparselrp_cli.errors import TargetError
from sparselrp_cli.graph.bins import Bins, Unknown, find_bins, given_bins
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture


class Net(nn.Module):
    """Whatever is made of convolutions, as a function of their answers."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def conv(n_in: int, n_out: int, width: int, **options) -> nn.Conv1d:
    return nn.Conv1d(n_in, n_out, width, **options)


class Cut(nn.Module):
    """Some positions are taken."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        self.first, self.last = first, last

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, self.first : self.last]


class Valid(nn.Module):
    """BPNet's and ChromBPNet's residual blocks: what a valid convolution loses is cut off beside it."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.conv = conv(4, 4, width, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        lost = (x.shape[2] - y.shape[2]) // 2
        return x[:, :, lost:-lost] + y


class Pairs(nn.Module):
    """Pairs of positions averaged, through a view."""

    def forward(self, x: Tensor) -> Tensor:
        n, channels, length = x.shape
        return x.reshape(n, channels, length // 2, 2).mean(3)


class Repeated(nn.Module):
    """Every position three times, through a view of copies."""

    def forward(self, x: Tensor) -> Tensor:
        n, channels, length = x.shape
        return x[..., None].expand(n, channels, length, 3).reshape(n, channels, 3 * length)


class BothStrands(nn.Module):
    """A scan of both strands, averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.scan = conv(4, 3, 5)

    def forward(self, x: Tensor) -> Tensor:
        return (self.scan(x) + self.scan(x.flip(1, 2)).flip(2)) / 2


class Forward(nn.Module):
    """Positions before features, as transformers have them."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(conv(4, 4, 5, padding=2), nn.MaxPool1d(4))
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.tower(x).transpose(1, 2)
        return self.head(self.norm(h).relu())[:, 2:-1].transpose(1, 2)


LENGTH = 96
LOCAL = {
    "a scan with padding": Net(conv(4, 3, 5, padding=2)),
    "a valid scan": Net(conv(4, 3, 7)),
    "a scan of even width": Net(conv(4, 3, 4, padding=1)),
    "strides": Net(conv(4, 4, 7, stride=3, padding=2), conv(4, 2, 3, stride=2, padding=1)),
    "dilated and valid": Net(conv(4, 4, 5), nn.ReLU(), Valid(3, 2), Valid(3, 4), conv(4, 2, 9)),
    "pools": Net(
        conv(4, 4, 5, padding=2), nn.MaxPool1d(2), conv(4, 4, 3, padding=1), nn.AvgPool1d(4, 4)
    ),
    "an overlapping pool": Net(nn.AvgPool1d(5, 2, padding=2)),
    "a dilated pool": Net(conv(4, 4, 3), nn.MaxPool1d(3, 3, dilation=2)),
    "cut on one side": Net(conv(4, 4, 3, padding=1), nn.AvgPool1d(2), Cut(5, 40)),
    "pairs through a view": Net(conv(4, 4, 3, padding=1), Pairs(), Pairs(), Cut(2, -2)),
    "upsampled": Net(nn.AvgPool1d(8), conv(4, 4, 3, padding=1), nn.Upsample(scale_factor=4), Cut(3, -3)),
    "repeated through a view": Net(nn.AvgPool1d(6), Repeated()),
    "transposed": Net(nn.AvgPool1d(8), nn.ConvTranspose1d(4, 3, 4, stride=4)),
    "reflected at the ends": Net(nn.ReflectionPad1d((3, 1)), conv(4, 3, 5)),
    "zeros at the ends": Net(nn.ZeroPad1d((0, 4)), conv(4, 3, 5)),
    "adaptive": Net(nn.AdaptiveAvgPool1d(12)),
    "both strands": Net(BothStrands()),
    "normalised, positions first": Forward(),
}  # fmt: skip
# How far positions that are made of the same bases as their neighbours may lie from the middle of these.
SHARED = {"upsampled": 4, "repeated through a view": 3, "transposed": 4}


def windows(length: int = LENGTH) -> Tensor:
    bases = torch.randint(4, (2, length), generator=torch.Generator().manual_seed(0))
    return functional.one_hot(bases, 4).transpose(1, 2).float()


def graph_of(net: nn.Module, length: int = LENGTH) -> CanonicalGraph:
    return capture(net.eval(), windows(length))


def reached(net: nn.Module) -> list[tuple[int, int]]:
    """The first and the last base that each position depends on, by automatic differentiation."""
    torch.manual_seed(0)
    x = torch.rand(30, 4, LENGTH, requires_grad=True)
    answers = net(x)[:, 0].sum(0)
    found = []
    for answer in answers:
        (gradient,) = torch.autograd.grad(answer, x, retain_graph=True)
        places = (gradient != 0).any(1).any(0).nonzero().flatten()
        found.append((int(places[0]), int(places[-1])))
    return found


@pytest.mark.parametrize("name", LOCAL)
def test_each_position_lies_in_the_middle_of_what_it_depends_on(name):
    net = LOCAL[name].eval()
    count = net(windows()).shape[2]
    bins = find_bins(graph_of(net), 0, 2, 2)
    assert isinstance(bins, Bins), bins
    assert bins.count == count
    ends = reached(net)
    assert len(ends) == count
    inner = [p for p, (first, last) in enumerate(ends) if first > 0 and last < LENGTH - 1]
    assert len(inner) > 2
    centres = torch.tensor([sum(ends[p]) / 2 for p in inner])
    ours = torch.tensor([bins.start + bins.width * p + (bins.width - 1) / 2 for p in inner])
    assert float((ours - centres).mean().abs()) <= 0.5
    assert float((ours - centres).abs().max()) <= SHARED.get(name, 0.5)


@pytest.mark.parametrize(
    ("net", "length", "axis", "bins"),
    [
        (Enformer(), 64, 1, Bins(16, 4, 8)),
        pytest.param(Enformer(), 128, 1, Bins(16, 4, 24), marks=pytest.mark.slow),
        pytest.param(Borzoi(), 64, 2, Bins(8, 2, 24), marks=pytest.mark.slow),
        (Borzoi(), 128, 2, Bins(8, 2, 56)),
    ],
    ids=["Enformer", "Enformer, longer", "Borzoi", "Borzoi, longer"],
)
def test_attention_beside_a_residual_leaves_bins_where_they_are(net, length, axis, bins):
    # Two pools of 2, or one of three that isn't undone, and four bins cut off at each end.
    graph = graph_of(net, length)
    for output in range(len(graph.outputs)):
        assert find_bins(graph, output, axis, 2) == bins


class Mixed(nn.Module):
    """Bins made by a dense layer from all that there is."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4 * LENGTH, 24)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.flatten(1)).reshape(-1, 2, 12)


class Askew(nn.Module):
    """Two branches whose positions lie on different bases."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :40] + x[:, :, 7:47]


class Rolled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.roll(5, 2)


@pytest.mark.parametrize(
    ("net", "why"),
    [
        (Net(Mixed()), "positions can't be followed through 'reshape' of layers.0"),
        (Net(Askew()), "branches that meet in 'add' of layers.0 lie on different bases"),
        (Net(nn.AvgPool1d(8), nn.Upsample(scale_factor=16)), "its positions are 0.5 bp apart"),
        (Net(Rolled()), "positions can't be followed through 'homogeneous' of layers.0"),
    ],
    ids=["dense", "askew", "half a base", "rolled"],
)
def test_what_hides_where_positions_lie_is_named(net, why):
    assert find_bins(graph_of(net), 0, 2, 2) == Unknown(why)


def test_a_bin_is_touched_by_any_base_under_it_and_by_none_beside():
    marked = torch.zeros(6, 20, dtype=torch.bool)
    for window, (start, end) in enumerate([(4, 5), (3, 4), (7, 9), (0, 4), (16, 20), (0, 20)]):
        marked[window, start:end] = True
    assert Bins(4, 4, 3).touched(marked).int().tolist() == [
        [1, 0, 0], [0, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0], [1, 1, 1],
    ]  # fmt: skip
    # Bins that hang over the window's ends.
    assert Bins(-2, 4, 6).touched(marked)[:, [0, -1]].int().tolist() == [
        [0, 0], [0, 0], [0, 0], [1, 0], [0, 1], [1, 1],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("width", "start", "bins"), [(128, None, Bins(40960, 128, 896)), (128, 0, Bins(0, 128, 896))]
)
def test_bins_of_a_given_width_lie_in_the_middle_unless_said(width, start, bins):
    assert given_bins(width, start, 896, 196_608, "human") == bins


@pytest.mark.parametrize(
    ("width", "start", "message"),
    [
        (256, None, "output 'human': 896 positions of 256 bp don't fit into a window of 196608 bp; correct"),
        (128, 100_000, "output 'human': 896 positions of 128 bp from base 100000 on don't fit"),
    ],
)  # fmt: skip
def test_bins_that_dont_fit_are_refused(width, start, message):
    with pytest.raises(TargetError) as caught:
        given_bins(width, start, 896, 196_608, "human")
    assert str(caught.value).startswith(message)
