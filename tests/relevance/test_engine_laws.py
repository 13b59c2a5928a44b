"""Laws of the engine on random networks: conservation, precision, batches, the user's model left alone."""

import copy

import numpy as np
import pytest
import torch
from helpers.captures import captured_once
from oracles.captured import captured
from oracles.zoo import KINDS, make
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.errors import ModelError, UnsupportedOperationError
from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.forward import ForwardPass
from sparselrp_cli.relevance.pruning import Pruning

FIRST = Target("first", (Term(0, 0, None),))
LAMBDA, MASKED = Pruning(0.25), Pruning(0.25, redistribute="m")


@pytest.fixture(scope="module")
def zoo():
    """Each network of the zoo, traced once, with fresh random one-hot sequences."""
    cases = {}
    for kind in KINDS:
        case, graph = captured(kind, 4, samples=6)
        cases[kind] = (case.module, graph, torch.from_numpy(case.inputs))
    return cases


@pytest.mark.parametrize("pruning", [Pruning(0.0), LAMBDA, MASKED, Pruning(automatic=True)], ids=str)
@pytest.mark.parametrize("composite", PRESETS.values(), ids=PRESETS.keys())
@pytest.mark.parametrize("kind", KINDS)
def test_relevance_is_conserved_to_the_accounting(zoo, kind, composite, pruning):
    _, graph, x = zoo[kind]
    (explanation,) = Explainer(graph, [FIRST], composite=composite, pruning=pruning).explain(x)
    # Signed rules let positive and negative relevance grow against each other; rounding grows with them.
    turnover = max([1.0, *(float(layer.mass.max()) for layer in explanation.ledger.pruned_layers)])
    assert float(explanation.conservation_error.max()) < 1e-9 * turnover


@pytest.mark.parametrize("pruning", [Pruning(0.0), LAMBDA, MASKED], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_float32_agrees_with_float64(zoo, kind, pruning):
    _, graph, x = zoo[kind]
    (exact,) = Explainer(graph, [FIRST], pruning=pruning).explain(x)
    single = graph.to(graph.device, torch.float32)
    (rounded,) = Explainer(single, [FIRST], pruning=pruning).explain(x.float())
    same_kept = [
        torch.equal(a.kept, b.kept)
        for a, b in zip(exact.ledger.pruned_layers, rounded.ledger.pruned_layers, strict=True)
    ]
    assert all(same_kept)
    scale = exact.contributions.abs().max()
    assert float((rounded.contributions - exact.contributions).abs().max() / scale) < 1e-4


@pytest.mark.parametrize("redistribute", ["lambda", "m"])
@pytest.mark.parametrize("kind", KINDS)
def test_p_zero_is_plain_lrp_bit_for_bit(zoo, kind, redistribute):
    _, graph, x = zoo[kind]
    (plain,) = Explainer(graph, [FIRST], pruning=Pruning(0.0)).explain(x)
    (pruned,) = Explainer(graph, [FIRST], pruning=Pruning(0.0, 0.0, redistribute=redistribute)).explain(x)
    assert torch.equal(plain.hypothetical, pruned.hypothetical)


@pytest.mark.parametrize("kind", KINDS)
def test_rule_zero_is_gradient_times_input(zoo, kind):
    module, graph, x = zoo[kind]
    leaf = x.clone().requires_grad_()
    target = module(leaf).flatten(2).mean(2)[:, 0] if module(leaf).dim() == 3 else module(leaf)[:, 0]
    (gradient,) = torch.autograd.grad(target.sum(), leaf)
    (explanation,) = Explainer(graph, [FIRST], composite=PRESETS["zero"], pruning=Pruning(0.0)).explain(x)
    torch.testing.assert_close(explanation.contributions, gradient * x, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("pruning", [LAMBDA, MASKED], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_batch_size_and_order_dont_matter(zoo, kind, pruning):
    _, graph, x = zoo[kind]
    explainer = Explainer(graph, [FIRST], pruning=pruning)
    (together,) = explainer.explain(x)
    (backwards,) = explainer.explain(x.flip(0))
    alone = torch.cat([explainer.explain(row[None])[0].hypothetical for row in x])
    torch.testing.assert_close(backwards.hypothetical.flip(0), together.hypothetical, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(alone, together.hypothetical, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("pruning", [LAMBDA, MASKED], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_every_device_gives_what_the_oracles_device_gives(zoo, kind, pruning, device):
    _, graph, x = zoo[kind]
    (expected,) = Explainer(graph, [FIRST], pruning=pruning).explain(x)
    (there,) = Explainer(graph.to(device, torch.float64), [FIRST], pruning=pruning).explain(x.to(device))
    torch.testing.assert_close(there.hypothetical.cpu(), expected.hypothetical, rtol=1e-8, atol=1e-10)


def test_the_users_model_is_left_as_it_was():
    module = make("sequential", 0).module.train()
    before = copy.deepcopy(module.state_dict())
    graph = capture(module, torch.zeros(2, 4, 14, dtype=torch.float64))
    Explainer(graph, [FIRST]).explain(torch.zeros(2, 4, 14, dtype=torch.float64))
    assert module.training
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())
    assert not any(m._forward_hooks or m._backward_hooks for m in module.modules())


class ReverseComplementSymmetric(nn.Module):
    """The sum of a network's answers to a sequence and to its reverse complement."""

    def __init__(self) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, 6, 5, padding=2)
        self.mix = nn.Conv1d(6, 5, 3, padding=1)
        self.head = nn.Linear(5, 1)

    def once(self, x: Tensor) -> Tensor:
        h = torch.relu(self.mix(torch.relu(self.scan(x))))
        return self.head(h.amax(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.once(x) + self.once(x.flip(1, 2))


@pytest.mark.parametrize("pruning", [Pruning(0.0), LAMBDA, MASKED], ids=str)
def test_a_symmetric_models_relevance_is_symmetric(pruning):
    torch.manual_seed(0)
    module = ReverseComplementSymmetric().double().eval()
    x = functional.one_hot(torch.randint(4, (3, 30)), 4).transpose(1, 2).double()
    explainer = Explainer(captured_once(module, x), [FIRST], pruning=pruning)
    (forward,), (backward,) = explainer.explain(x), explainer.explain(x.flip(1, 2))
    torch.testing.assert_close(
        backward.contributions.flip(1, 2), forward.contributions, rtol=1e-9, atol=1e-12
    )


def test_a_linear_models_relevance_is_weight_times_input():
    module = nn.Sequential(nn.Flatten(), nn.Linear(4 * 7, 1)).double()
    x = torch.rand(3, 4, 7, dtype=torch.float64)
    (explanation,) = Explainer(capture(module, x), [FIRST], composite=PRESETS["zero"]).explain(x)
    torch.testing.assert_close(explanation.contributions, x * module[1].weight.detach().reshape(1, 4, 7))


def test_several_targets_give_what_each_gives_alone(zoo):
    _, graph, x = zoo["two heads"]
    targets = [Target(f"t{i}", (Term(0, i, None),)) for i in range(2)]
    together = Explainer(graph, targets).explain(x)
    for target, explanation in zip(targets, together, strict=True):
        (alone,) = Explainer(graph, [target]).explain(x)
        assert torch.equal(alone.hypothetical, explanation.hypothetical)


def test_several_targets_share_one_forward_pass(zoo, monkeypatch):
    _, graph, x = zoo["two heads"]
    run, seen = ForwardPass.run, []

    def counted(program, windows, *arguments, **options):
        seen.append(len(windows))
        return run(program, windows, *arguments, **options)

    monkeypatch.setattr(ForwardPass, "run", counted)
    targets = [Target(f"t{i}", (Term(0, i, None),)) for i in range(2)]
    assert len(Explainer(graph, targets).explain(x)) == 2
    assert seen == [len(x)]


class Zoo2(nn.Module):
    """Operations that the random zoo doesn't have, each read once."""

    def __init__(self) -> None:
        super().__init__()
        self.reused = nn.Conv1d(4, 4, 3, padding=1)
        self.prelu = nn.PReLU(4)
        self.norm = nn.BatchNorm1d(4)
        self.positions = nn.Parameter(torch.randn(1, 4, 16))
        self.dense = nn.utils.parametrizations.weight_norm(nn.Linear(32, 8))
        self.last = nn.Linear(17, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.prelu(self.reused(x))
        h = functional.leaky_relu(self.reused(h), 0.2) + self.positions
        h = functional.dropout(functional.relu6(self.norm(h)), 0.5, self.training)
        h = functional.pad(h, (1, 1), value=0.5)[..., 1:17]
        first, second = functional.gelu(h).chunk(2, dim=2)
        h = torch.stack([first, functional.silu(second) * 0.5], dim=1).permute(0, 2, 1, 3)
        h = functional.avg_pool2d(h, (2, 2), ceil_mode=True, count_include_pad=False)
        h = functional.elu(h.reshape(x.shape[0], -1) / 2 - 1)
        h = functional.tanh(self.dense(torch.cat([h, h], 1)))
        ones = torch.ones(x.shape[0], 1, dtype=x.dtype)
        return self.last(torch.cat([h, h.flip(1), ones], 1)) - h.mean(1, keepdim=True)


def test_an_odd_model_keeps_its_output_and_its_books():
    torch.manual_seed(3)
    module = Zoo2().double().eval()
    module.norm.running_mean.normal_()
    x = functional.one_hot(torch.randint(4, (5, 16)), 4).transpose(1, 2).double()
    graph = capture(module, x[:2])
    graph.require_supported()
    assert max(check_against_module(graph, module, x).values()) < 1e-12
    for pruning in (Pruning(0.0), LAMBDA, MASKED):
        for composite in PRESETS.values():
            (explanation,) = Explainer(graph, [FIRST], composite=composite, pruning=pruning).explain(x)
            assert float(explanation.conservation_error.max()) < 1e-9


def test_a_model_that_asks_for_the_length_of_its_batch_is_explained_in_any_batches():
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scan, self.head = nn.Conv1d(4, 3, 3), nn.Linear(3 * 12, 1)

        def forward(self, x: Tensor) -> Tensor:
            if len(x) == 7:
                raise ValueError("torch.export can't leave the number of samples free now")
            return self.head(torch.relu(self.scan(x)).reshape(len(x), 36))

    torch.manual_seed(0)
    module, x = Fixed().double(), torch.rand(5, 4, 14, dtype=torch.float64)
    graph = capture(module, x[:2])
    (explanation,) = Explainer(graph, [FIRST], pruning=LAMBDA).explain(x)
    torch.testing.assert_close(explanation.score, module(x)[:, 0].detach())
    assert explanation.conservation_error.shape == (5,)
    assert float(explanation.conservation_error.max()) < 1e-9


class Fourier(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfft(x).angle().sum((1, 2))[:, None]


class SortsSamples(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sort(0)[0].sum((1, 2))[:, None]


class NormalisesOverSamples(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.softmax(0).sum((1, 2))[:, None]


class MixesSamples(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum((1, 2))[:, None] - x.mean(0).sum()


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            Fourier(),
            r"no rule for angle at .*laws.py:\d+: rewrite it with operations that have a rule$",
        ),
        (SortsSamples(), r"no rule for sort at .*: it works along the samples, which must stay apart"),
        (NormalisesOverSamples(), r"no rule for softmax at .*: it works along the samples"),
        (MixesSamples(), r"no rule for mean at .*: it mixes samples or drops the sample axis"),
    ],
)
def test_an_operation_without_a_rule_stops_the_run_by_name(module, message):
    graph = capture(module, torch.ones(2, 4, 6))
    with pytest.raises(UnsupportedOperationError, match=message):
        Explainer(graph, [FIRST])


def test_an_operation_that_no_target_needs_is_no_obstacle():
    class TwoOutputs(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x.sum((1, 2))[:, None], torch.fft.rfft(x).angle()

    graph = capture(TwoOutputs(), torch.ones(2, 4, 6))
    assert np.isclose(Explainer(graph, [FIRST]).explain(torch.ones(1, 4, 6))[0].score, 24)


def test_a_model_that_rejects_the_window_says_so():
    with pytest.raises(ModelError, match=r"can't take an input of shape \(2, 4, 9\): mat1 and mat2"):
        capture(nn.Sequential(nn.Flatten(), nn.Linear(4 * 7, 1)), torch.zeros(2, 4, 9))


def test_a_model_with_branches_on_data_says_what_to_do():
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum((1, 2)) if x.sum() > 0 else -x.sum((1, 2))

    with pytest.raises(
        ModelError, match=r"torch.export can't trace the model: .*its forward decides by the numbers"
    ):
        capture(Branching(), torch.ones(2, 4, 9))


class PreActivation(nn.Module):
    """Convolutions whose outputs, of both signs, are added to a residual stream."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 16, 7, padding=3)
        self.blocks = nn.ModuleList([nn.Conv1d(16, 16, 5, padding=2) for _ in range(blocks)])
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(torch.relu(x))
        return self.head(torch.relu(x).mean(-1))


@pytest.mark.parametrize("p", [0.0, 0.05, 0.25])
@pytest.mark.parametrize("seed", range(3))
def test_gamma_does_not_explode_in_deep_pre_activation_networks(seed, p):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        x = functional.one_hot(torch.randint(4, (4, 200)), 4).mT.double()
        net = PreActivation(12).double().eval()
    with torch.no_grad():
        net.head.weight.abs_()  # so that no score is the difference of large terms
    graph = captured_once(net, x)
    explainer = Explainer(graph, [FIRST], composite=PRESETS["epsilon-gamma"], pruning=Pruning(p))
    (found,) = explainer.explain(x)
    ratio = found.contributions.abs().sum((1, 2)) / found.score.abs()
    assert float(ratio.max()) < 10
