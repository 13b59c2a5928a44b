"""Attention in blocks of queries: what it gives is what the whole gives, and nothing large is ever made."""

import dataclasses
import functools

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.in_blocks import InBlocks, Source
from sparselrp_cli.graph.operation import At
from sparselrp_cli.graph.operations import matrix_product
from sparselrp_cli.graph.passes import blocking
from sparselrp_cli.graph.passes.blocking import compute_in_blocks
from sparselrp_cli.graph.shapes import BatchDim
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning

LENGTH, HEADS, WIDTH = 23, 2, 3
LARGE = HEADS * LENGTH * LENGTH
"""Scores are as many; queries, keys and values fewer."""


class Attending(nn.Module):
    """A convolution, attention, and a head over positions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv1d(4, 6, 3, padding=1)
        self.project = nn.Linear(6, 3 * HEADS * WIDTH)
        self.head = nn.Linear(HEADS * WIDTH, 2)
        self.positions = nn.Parameter(torch.randn(HEADS, WIDTH, 2 * LENGTH - 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x).relu().transpose(1, 2)
        parts = self.project(h).unflatten(-1, (3, HEADS, WIDTH)).permute(2, 0, 3, 1, 4)
        mixed = self.mixed(*parts)
        return self.head(mixed.transpose(1, 2).flatten(2).relu()).transpose(1, 2)

    def mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self.scores(q, k).softmax(-1) @ v

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        return q @ k.transpose(-1, -2)


class WithPositions(Attending):
    """Relative positions by strides, as in Borzoi, by Einstein sums."""

    def mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.einsum("bhij,bhjd->bhid", self.scores(q, k).softmax(-1), v)

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        relative = ((q + 0.3) @ self.positions).contiguous()
        strides = (relative[0].numel(), LENGTH * (2 * LENGTH - 1), 2 * LENGTH - 2, 1)
        shifted = relative.as_strided((len(q), HEADS, LENGTH, LENGTH), strides, LENGTH - 1)
        return torch.einsum("bhid,bhjd->bhij", q + 0.1, k) + shifted


class ByPadding(WithPositions):
    """Relative positions by padding, as in Enformer."""

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        relative = functional.pad(torch.einsum("bhid,hdj->bhij", q, self.positions), (1, 0))
        relative = relative.reshape(len(q), HEADS, 2 * LENGTH, LENGTH)[:, :, 1:]
        shifted = relative.reshape(len(q), HEADS, LENGTH, -1)[..., :LENGTH]
        return torch.einsum("bhid,bhjd->bhij", q, k) + shifted


class Biased(Attending):
    """A bias by distance (ALiBi), scaled scores, and what must not be seen."""

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        places = torch.arange(LENGTH)
        distance = -(places[:, None] - places).abs() * torch.tensor([0.5, 0.25])[:, None, None]
        unseen = torch.full((LENGTH, LENGTH), -torch.inf).triu(3).double()
        return super().scores(q, k) * WIDTH**-0.5 + distance + unseen


class SamplesMerged(Attending):
    """Samples and heads along one axis, by ``bmm``."""

    def mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (part.reshape(-1, LENGTH, WIDTH) for part in (q, k, v))
        return torch.bmm(torch.bmm(q, k.mT).softmax(-1), v).view(-1, HEADS, LENGTH, WIDTH)


class OneOperation(Attending):
    """Torch's own attention, with a mask."""

    def mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        seen = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril(4)
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)


NETWORKS = (Attending, WithPositions, ByPadding, Biased, SamplesMerged, OneOperation)
every_network = pytest.mark.parametrize("network", NETWORKS)
TARGETS = [Target("one", (Term(0, 1, (5, 19)),)), Target("two", (Term(0, 0, None),))]


@functools.cache
def draw(network: type[nn.Module], n: int = 2):
    torch.manual_seed(1)
    x = functional.one_hot(torch.randint(4, (n, LENGTH)), 4).transpose(1, 2).double()
    return capture(network().double().eval(), x), x


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores are large, and five queries a block."""
    monkeypatch.setattr(blocking, "LARGE", LARGE)
    monkeypatch.setattr(blocking, "BLOCK", 5 * HEADS * LENGTH)


def blocks_in(explainer: Explainer) -> list[InBlocks]:
    program = explainer._program_for(explainer.targets)
    return [node.operation for node in program.graph.nodes if isinstance(node.operation, InBlocks)]


@pytest.mark.parametrize("pruning", [Pruning(0.0), Pruning(0.3), Pruning(0.3, redistribute="m")], ids=str)
@every_network
def test_blocks_give_what_the_whole_gives(network, pruning, request):
    graph, x = draw(network)
    whole = Explainer(graph, TARGETS, pruning=pruning).explain(x)
    request.getfixturevalue("large")
    explainer = Explainer(graph, TARGETS, pruning=pruning)
    found = explainer.explain(x)

    positions_pruned_again = pruning.redistribute == "m" and network in (WithPositions, ByPadding)
    assert len(blocks_in(explainer)) == (0 if positions_pruned_again else 1)
    for ours, expected in zip(found, whole, strict=True):
        scale = float(expected.hypothetical.abs().max())
        torch.testing.assert_close(ours.hypothetical, expected.hypothetical, rtol=1e-9, atol=1e-10 * scale)
        for name in ("score", "relevance", "absorbed", "lost", "prediction"):
            torch.testing.assert_close(getattr(ours, name), getattr(expected, name), rtol=1e-9, atol=1e-10)
        assert float(ours.conservation_error.max()) < 1e-9
        for a, b in zip(ours.ledger.pruned_layers, expected.ledger.pruned_layers, strict=True):
            assert (a.tensor, a.kept.tolist()) == (b.tensor, b.kept.tolist())


@every_network
def test_nothing_as_large_as_the_scores_is_made(network, large, monkeypatch):
    graph, x = draw(network, 1)
    explainer = Explainer(graph, TARGETS[1:])
    made: list[int] = []

    def counted(function):
        def call(*given, **named):
            result = function(*given, **named)
            made.extend(t.numel() for t in result if isinstance(t, Tensor))
            return result

        return call

    for part in blocks_in(explainer):
        for operation in part.operations:
            kind = type(operation)
            monkeypatch.setattr(kind, "forward", counted(kind.forward))
            monkeypatch.setattr(kind, "pull", counted(kind.pull))
    explainer.explain(x)

    assert made
    assert max(made) < LARGE // 2


@every_network
def test_small_attention_stays_as_it_is(network):
    graph, _ = draw(network)
    assert blocks_in(Explainer(graph, TARGETS)) == []


@every_network
def test_scores_are_in_blocks_where_queries_and_values_are_large_themselves(network, large, monkeypatch):
    monkeypatch.setattr(blocking, "LARGE", HEADS * LENGTH * WIDTH)
    graph, x = draw(network)
    explainer = Explainer(graph, TARGETS)
    whole = graph.outputs_for(x)
    assert len(blocks_in(explainer)) == 1
    found = explainer._program_for(explainer.targets).graph.outputs_for(x)
    for name, values in found.items():
        torch.testing.assert_close(values, whole[name], rtol=1e-12, atol=1e-12)


def test_scores_that_are_read_elsewhere_stay_whole(large):
    class Twice(Attending):
        def mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            shares = self.scores(q, k).softmax(-1)
            return shares @ v + shares.amax(-1, keepdim=True)

    graph, _ = draw(Twice)
    assert blocks_in(Explainer(graph, TARGETS)) == []


def test_scores_that_are_explained_stay_whole(large):
    class Scores(Attending):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            q, k, v = (
                self.project(self.stem(x).relu().mT).unflatten(-1, (3, HEADS, WIDTH)).permute(2, 0, 3, 1, 4)
            )
            shares = self.scores(q, k).softmax(-1)
            return (shares @ v).sum((1, 2)), shares.flatten(1)

    torch.manual_seed(1)
    x = functional.one_hot(torch.randint(4, (2, LENGTH)), 4).transpose(1, 2).double()
    graph = capture(Scores().double().eval(), x)
    assert len(blocks_in(Explainer(graph, [Target("values", (Term(0, 0, None),))]))) == 1
    both = [Target("values", (Term(0, 0, None),)), Target("scores", (Term(1, 7, None),))]
    assert blocks_in(Explainer(graph, both)) == []


def test_pruned_scores_stay_whole(large):
    """A layer that mixes keys reads the scores, whose relevance is pruned as a whole."""

    class Talking(Attending):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.Linear(LENGTH, LENGTH)

        def scores(self, q: Tensor, k: Tensor) -> Tensor:
            return self.mix(super().scores(q, k))

    graph, _ = draw(Talking)
    assert blocks_in(Explainer(graph, TARGETS)) == []
    assert len(blocks_in(Explainer(graph, TARGETS, pruning=Pruning(0.0)))) == 1


@pytest.mark.parametrize(
    "block", [5 * HEADS * LENGTH, 12 * HEADS * LENGTH], ids=["less than is read", "more"]
)
def test_a_block_lasts_as_long_as_its_largest_tensor_allows(block, large, monkeypatch):
    monkeypatch.setattr(blocking, "BLOCK", block)
    graph, _ = draw(WithPositions)
    (part,) = blocks_in(Explainer(graph, TARGETS))
    # Queries by content and by position, keys and values are read; of positions there are 2 LENGTH - 1.
    most = max(block, 4 * HEADS * LENGTH * WIDTH)
    assert part.length == LENGTH * most // (HEADS * LENGTH * (2 * LENGTH - 1))
    assert [block.span.start for block in part.blocks] == list(range(0, LENGTH, part.length))
    assert part.describe().endswith(f"operations, {len(part.blocks)} blocks")


def test_what_is_computed_in_blocks_moves_to_another_device(large):
    graph, x = draw(WithPositions)
    explainer = Explainer(graph, TARGETS)
    program = explainer._program_for(explainer.targets)
    meta = program.graph.to(torch.device("meta"), torch.float64)
    (output,) = meta.outputs
    assert meta.outputs_for(x.to("meta"))[output.node].shape == graph.outputs_for(x)[output.node].shape


def test_parts_are_given_and_carried_by_the_walk_alone():
    with pytest.raises(TypeError, match="a source is given"):
        Source().forward()
    product = matrix_product.MatrixProduct()
    shape = (BatchDim(), 4, 4)
    node = dataclasses.replace(draw(Attending)[0].nodes[0], operation=product, inputs=("x", "x"), shape=shape)
    part = InBlocks.of([node], [("x", shape)], 1, 2)
    x = torch.randn(3, 4, 4)
    y, _ = part.forward(x)
    torch.testing.assert_close(y, x @ x)
    with pytest.raises(TypeError, match="carried back by the rules of its layers"):
        part.pull(y, At((x,), y))


def test_nothing_is_taken_together_twice(large):
    graph, _ = draw(OneOperation)
    once = compute_in_blocks(graph, ())
    assert compute_in_blocks(once, ()) is once
