"""What the walk reads is kept, the rest is NaN, and what is computed again changes no byte."""

import functools
from dataclasses import dataclass, replace

import pytest
import torch
from helpers.captures import captured_once
from torch import Tensor, nn

from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.operations.activation import Activation
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.forward import ForwardPass
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.relevance.rules import ZPlus

TARGETS = [Target(f"t{i}", (Term(0, i, None),)) for i in range(2)]
AMPLE = 2**60


class Residual(nn.Module):
    """Convolutions with GELU and skip connections, a pool, attention of its own making, a dense head."""

    def __init__(self, depth: int = 6) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 8, 5, padding=2)
        self.blocks = nn.ModuleList(nn.Conv1d(8, 8, 3, padding=1) for _ in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm1d(8) for _ in range(depth))
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        for block, norm in zip(self.blocks, self.norms, strict=True):
            h = h + block(nn.functional.gelu(norm(h)))
        h = nn.functional.max_pool1d(torch.relu(h), 4).transpose(1, 2)
        shares = (self.q(h) @ self.k(h).transpose(1, 2)).softmax(-1)
        return self.head((shares @ self.v(h)).mean(1))


@functools.cache
def captured() -> tuple[CanonicalGraph, Tensor]:
    """A random network, and three windows."""
    torch.manual_seed(0)
    module = Residual().double().eval()
    for norm in module.norms:
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    x = nn.functional.one_hot(torch.randint(4, (3, 32)), 4).transpose(1, 2).double()
    return captured_once(module, x), x


def prepared(**options) -> tuple[Explainer, Tensor]:
    """An explainer of the network, and the windows."""
    graph, x = captured()
    return Explainer(graph, **({"targets": TARGETS, "pruning": Pruning(0.05)} | options)), x


def run(explainer: Explainer, x: Tensor) -> ForwardPass:
    """The forward pass of a batch."""
    with torch.inference_mode():
        return ForwardPass.run(explainer.program, x, explainer.keeping(len(x)))


def is_hollow(values: Tensor) -> bool:
    return bool(values.isnan().all())


def test_tensors_are_those_of_the_graph_or_nan_from_end_to_end():
    explainer, x = prepared(memory=AMPLE)
    whole, forward = explainer.program.graph.evaluate(x), run(explainer, x)
    assert forward.values.keys() == whole.keys()
    hollow = {name for name, values in forward.values.items() if is_hollow(values)}
    assert all(torch.equal(forward.values[name], whole[name]) for name in whole.keys() - hollow)
    assert all(forward.values[name].shape == whole[name].shape for name in hollow)


@pytest.mark.parametrize(
    ("kind", "kept"),
    [("add", False), ("affine", True), ("convolution", True), ("softmax", True)],
)
def test_sums_are_let_go_of_and_what_layers_and_functions_read_is_kept(kind, kept):
    explainer, x = prepared(memory=AMPLE)
    forward = run(explainer, x)
    nodes = {n.name: n for n in explainer.program.graph.nodes if n.operation.kind == kind}
    pruned = explainer.program.pruning.keys()
    read = {name for node in explainer.program.graph.nodes for name in node.inputs if node.name not in nodes}
    found = {is_hollow(forward.values[name]) for name in nodes.keys() & read - pruned}
    assert found == {not kept}


@dataclass(frozen=True, eq=False)
class Mistaken(Activation):
    """A function that says it doesn't read what it reads."""

    @property
    def reads_output(self) -> bool:
        return False

    def reads_input(self, index: int) -> bool:
        return False


def test_an_operation_that_reads_what_it_doesnt_say_is_found_out():
    explainer, x = prepared(memory=AMPLE)
    graph = explainer.graph
    wrong = [
        replace(n, operation=Mistaken(n.operation.function, n.operation.arguments))
        if n.operation.kind == "activation" and not n.operation.is_relu
        else n
        for n in graph.nodes
    ]
    (explained, _) = Explainer(replace(graph, nodes=tuple(wrong)), TARGETS, memory=AMPLE).explain(x)
    assert explained.hypothetical.isnan().any()


SETTINGS = {
    "one target": {"targets": TARGETS[:1]},
    "two targets": {},
    "a difference": {"targets": [Target("d", (Term(0, 0, None), Term(0, 1, None, weight=-1.0)))]},
    "PLRP-M": {"pruning": Pruning(0.1, redistribute="m")},
    "PLRP-M, one target": {"pruning": Pruning(0.1, redistribute="m"), "targets": TARGETS[:1]},
    "selected": {"composite": replace(PRESETS["epsilon-gamma"], select=ZPlus())},
    "unpruned": {"pruning": Pruning(0.0)},
    "centred": {"centre": (0.25,) * 4},
    "z-box": {"composite": PRESETS["epsilon-gamma-box"]},
}


@pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS.keys())
def test_what_is_computed_again_changes_no_byte(options):
    whole, x = prepared(memory=AMPLE, **options)
    expected = whole.explain(x)
    needed = whole.keeping(len(x)).bytes_kept or 1 << 20
    plans = set()
    for budget in (needed, needed // 4, needed // 20, 0):
        explainer, _ = prepared(memory=budget, **options)
        plans.add(len(explainer.keeping(len(x)).again))
        for one, other in zip(expected, explainer.explain(x), strict=True):
            assert torch.equal(one.hypothetical, other.hypothetical)
            assert torch.equal(one.absorbed, other.absorbed)
            assert torch.equal(one.ledger.to_bias, other.ledger.to_bias)
        # A second batch finds the explainer as the first did.
        assert torch.equal(explainer.explain(x)[0].hypothetical, expected[0].hypothetical)
    assert len(plans) > 1


def _bytes(forward: ForwardPass) -> int:
    """Bytes of what a forward pass holds: of the input nothing, of views what they show once."""
    places = {}
    for name, values in forward.values.items():
        if name != forward.program.graph.input and 0 not in values.stride():
            places[values.untyped_storage().data_ptr()] = values.untyped_storage().nbytes()
    for memo in forward.memos.values():
        for part in memo if isinstance(memo, tuple) else (memo,):
            places[part.untyped_storage().data_ptr()] = part.untyped_storage().nbytes()
    return sum(places.values())


def test_the_plan_knows_what_is_kept():
    explainer, x = prepared(memory=1)
    plan = explainer.keeping(len(x))
    assert plan.again
    # What is there at the end of the forward pass is a part of what is there at most.
    assert 0 < _bytes(run(explainer, x)) <= plan.bytes_kept
    # Just above what all takes nothing is computed again, and all is there.
    ample, _ = prepared(memory=AMPLE)
    whole = _bytes(run(ample, x))
    exact, _ = prepared(memory=whole)
    assert not exact.keeping(len(x)).again
    assert exact.keeping(len(x)).bytes_kept == whole
    less, _ = prepared(memory=whole - 1)
    assert less.keeping(len(x)).again
    assert _bytes(run(less, x)) < whole


@pytest.mark.parametrize("share", [0.9, 0.7, 0.5])
def test_a_budget_that_can_be_kept_is_kept_and_more_costs_less_time(share):
    ample, x = prepared(memory=AMPLE)
    whole = _bytes(run(ample, x))
    plan = prepared(memory=int(share * whole))[0].keeping(len(x))
    assert plan.bytes_kept <= share * whole
    tighter = prepared(memory=int(0.4 * whole))[0].keeping(len(x))
    work = [sum(len(stretch.nodes) for stretch in p.again.values()) for p in (plan, tighter)]
    assert work[0] <= work[1]


def _work(explainer: Explainer, n: int) -> int:
    """Multiply-adds that are computed again."""
    graph = explainer.program.graph
    shapes = {graph.input: graph.input_shape, **{node.name: node.shape for node in graph.nodes}}
    again = [node for stretch in explainer.keeping(n).again.values() for node in stretch.nodes]
    return sum(node.operation.work([shapes[name] for name in node.inputs], node.shape) for node in again)


def test_functions_and_sums_are_computed_again_before_convolutions_are():
    ample, x = prepared(memory=AMPLE)
    whole = _bytes(run(ample, x))
    roomy, tight = (prepared(memory=int(share * whole))[0] for share in (0.8, 0.4))
    kinds = {node.operation.kind for part in roomy.keeping(len(x)).again.values() for node in part.nodes}
    assert kinds
    assert "convolution" not in kinds
    assert 0 < _work(roomy, len(x)) < 0.1 * _work(tight, len(x))
