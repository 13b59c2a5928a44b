"""The same relevance as zennit 0.5.1 and captum 0.9.0 give where they define a rule as we do.

Differences of definition, which the tests step around instead of loosening their tolerance:

* gamma. Zennit's is the generalised form, as ours is. Captum has the first form of Montavon et al. 2019
  whatever the sign of the output, and leaves the bias as it is: after a ReLU nothing flows into a negative
  output, so windows with a positive score are compared, and biases are made non-positive there.
* z-plus. Zennit's is alpha-beta with alpha 1 and beta 0, as ours is: the bias's positive part takes its
  share. Captum's Alpha1_Beta0 clamps the weights only: biases are made non-negative, inputs must be, too.
* w-square. Zennit squares the bias as well and gives it a share; ours, as the paper, has none for it: its
  bias is set to zero (`zero_params`). In flat and z-box neither has a share for the bias.
* sign(0). Both peers stabilise an exact zero by +epsilon. Ours gives relevance over an exact zero to the
  stabiliser whole. It makes no difference where an exact zero has only zero terms, as in all networks here.
* Average pools and additions have no stabiliser in ours; peers get one of 1e-15 there. Captum also asks for
  a rule for each layer that only moves values.
* flat, w-square and z-box give relevance to bases that aren't there. Ours shows a position's whole relevance
  at the observed base: sums over bases are compared.
* Both peers keep one input for each module, so a module that is called twice is explained wrongly by zennit
  and refused by captum: every addition has a layer of its own.
"""

import functools
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance import rules
from sparselrp_cli.relevance.composites import Composite, Entry
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.relevance.rules import Rule

FIRST = Target("first", (Term(0, 0, None),))
EPS = 1e-4
NO_EPS = 1e-15
LENGTH = 30


def composite(convolution: Rule, dense: Rule, first: Rule | None = None) -> Composite:
    kinds = (Entry(convolution, kind="convolution"), Entry(dense, kind="dense"))
    return Composite("test", "", (Entry(first, position="first"), *kinds) if first else kinds)


def network(activation: type[nn.Module], seed: int = 0) -> nn.Sequential:
    """Convolutions, both pools and dense layers; the second convolution is padded."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv1d(4, 7, 5), activation(), nn.MaxPool1d(2), nn.Conv1d(7, 6, 3, padding=1), activation(),
            nn.AvgPool1d(2), nn.Flatten(), nn.Linear(6 * 6, 8), activation(), nn.Linear(8, 3),
        ).double()  # fmt: skip


def one_hot(count: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    bases = torch.randint(4, (count, LENGTH), generator=generator)
    return functional.one_hot(bases, 4).transpose(1, 2).double()


def signed(count: int = 8) -> Tensor:
    return torch.randn(count, 4, LENGTH, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


@functools.cache
def traced(activation: type[nn.Module]) -> CanonicalGraph:
    return capture(network(activation), one_hot(2))


def ours(graph: CanonicalGraph, x: Tensor, rule_set: Composite, *, non_negative: bool = True) -> Tensor:
    """Our contributions, (N, 4, L)."""
    explainer = Explainer(
        graph,
        [FIRST],
        composite=rule_set,
        pruning=Pruning(0.0),
        input_non_negative=non_negative and bool((x >= 0).all()),
    )
    return explainer.explain(x)[0].contributions


def assert_same(actual: Tensor, expected: Tensor) -> None:
    scale = float(expected.abs().max())
    assert scale > 0
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5 * scale)


@pytest.fixture(scope="module")
def zennit() -> Iterator[Any]:
    """Zennit, which imports two names of torchvision and uses them only for models of torchvision."""
    resnet = types.ModuleType("torchvision.models.resnet")
    resnet.Bottleneck, resnet.BasicBlock = type("Bottleneck", (), {}), type("BasicBlock", (), {})
    models, vision = types.ModuleType("torchvision.models"), types.ModuleType("torchvision")
    models.resnet, vision.models = resnet, models
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in (vision, models, resnet):
            patch.setitem(sys.modules, module.__name__, module)
        package = pytest.importorskip("zennit", reason="zennit isn't installed", exc_type=ImportError)
        for name in ("core", "layer", "rules", "types"):
            pytest.importorskip(f"zennit.{name}")
        yield package


Hooks = Callable[[Any], tuple[Any, Any, Any]]


@dataclass(frozen=True)
class Pair:
    """One choice of rules, as we write it and as zennit does.

    Attributes
    ----------
    name : str
    rules : callable
        Makes our rules for convolutions, dense layers and the first layer.
    hooks : callable
        Makes zennit's for the same from its `rules`.
    sum_bases : bool
        Whether only sums over bases can be compared.
    """

    name: str
    rules: Callable[[], tuple[Rule, Rule, Rule | None]]
    hooks: Hooks
    sum_bases: bool = False


PAIRS = (
    Pair("epsilon", lambda: (rules.Epsilon(EPS),) * 2 + (None,), lambda z: (z.Epsilon(EPS),) * 3),
    Pair("zero", lambda: (rules.Zero(),) * 2 + (None,), lambda z: (z.Epsilon(0.0),) * 3),
    Pair("gamma", lambda: (rules.Gamma(EPS, gamma=0.3),) * 2 + (None,), lambda z: (z.Gamma(0.3, EPS),) * 3),
    Pair("z-plus", lambda: (rules.ZPlus(EPS),) * 2 + (None,), lambda z: (z.ZPlus(EPS),) * 3),
    Pair(
        "alpha-beta",
        lambda: (rules.AlphaBeta(EPS, alpha=2.0, beta=1.0), rules.Epsilon(EPS), None),
        lambda z: (z.AlphaBeta(2.0, 1.0, EPS), z.Epsilon(EPS), z.AlphaBeta(2.0, 1.0, EPS)),
    ),
    Pair(
        "alpha-beta everywhere",
        lambda: (rules.AlphaBeta(EPS, alpha=1.5, beta=0.5),) * 2 + (None,),
        lambda z: (z.AlphaBeta(1.5, 0.5, EPS),) * 3,
    ),
    Pair(
        "w-square",
        lambda: (rules.ZPlus(EPS), rules.Epsilon(EPS), rules.WSquare(EPS)),
        lambda z: (z.ZPlus(EPS), z.Epsilon(EPS), z.WSquare(EPS, zero_params="bias")),
        sum_bases=True,
    ),
    Pair(
        "flat",
        lambda: (rules.ZPlus(EPS), rules.Epsilon(EPS), rules.Flat(EPS)),
        lambda z: (z.ZPlus(EPS), z.Epsilon(EPS), z.Flat(EPS)),
        sum_bases=True,
    ),
    Pair(
        "z-box",
        lambda: (rules.ZPlus(EPS), rules.Epsilon(EPS), rules.ZBox(EPS, low=0.0, high=1.0)),
        lambda z: (z.ZPlus(EPS), z.Epsilon(EPS), z.ZBox(0.0, 1.0, EPS)),
        sum_bases=True,
    ),
)
every_pair = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)


def by_zennit(zennit: Any, model: nn.Module, x: Tensor, hooks: Hooks) -> Tensor:
    """Zennit's relevance of the first task, (N, 4, L)."""
    convolution, dense, first = hooks(zennit.rules)
    seen: list[nn.Module] = []

    def hook_of(_: dict[str, Any], __: str, module: nn.Module) -> Any:
        if isinstance(module, zennit.types.Convolution):
            seen.append(module)
            return first if len(seen) == 1 else convolution
        if isinstance(module, zennit.types.Linear):
            return dense
        if isinstance(module, zennit.types.Activation):
            return zennit.rules.Pass()
        if isinstance(module, (zennit.types.AvgPool, zennit.layer.Sum)):
            return zennit.rules.Norm(NO_EPS)
        return None

    leaf = x.clone().requires_grad_()
    with zennit.core.Composite(hook_of).context(model) as hooked:
        output = hooked(leaf)
        start = torch.zeros_like(output)
        start[:, 0] = output[:, 0].detach()
        (relevance,) = torch.autograd.grad(output, leaf, start)
    return relevance


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
@pytest.mark.parametrize("inputs", [one_hot, signed])
@every_pair
def test_a_sequential_network_is_explained_as_by_zennit(zennit, pair, inputs, activation):
    model, x = network(activation), inputs()
    if pair.sum_bases and inputs is signed:
        pytest.skip("a rule for inputs that are one-hot")
    convolution, dense, first = pair.rules()
    expected = by_zennit(zennit, model, x, pair.hooks)
    actual = ours(traced(activation), x, composite(convolution, dense, first), non_negative=inputs is one_hot)
    if pair.sum_bases:
        actual, expected = actual.sum(1), expected.sum(1)
    assert_same(actual, expected)


class ResidualNetwork(nn.Module):
    """Additions of two paths, written with an operator or with the layer for sums that zennit has.

    Parameters
    ----------
    total : callable or None
        Makes a layer that sums over the last axis.
    """

    def __init__(self, total: Callable[[], nn.Module] | None = None) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(4, 6, 5, padding=2), nn.ReLU())
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv1d(6, 6, 3, padding=2**i, dilation=2**i), nn.ReLU()) for i in range(3)
        )
        self.pool, self.head = nn.AvgPool1d(LENGTH), nn.Linear(6, 3)
        self.totals = None if total is None else nn.ModuleList(total() for _ in self.blocks)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        for i, block in enumerate(self.blocks):
            new = block(h)
            h = h + new if self.totals is None else self.totals[i](torch.stack([h, new], dim=-1))
        return self.head(self.pool(h).flatten(1))


@pytest.mark.parametrize("inputs", [one_hot, signed])
@pytest.mark.parametrize("pair", [p for p in PAIRS if p.name in ("epsilon", "z-plus")], ids=lambda p: p.name)
def test_a_residual_network_is_explained_as_by_zennit(zennit, pair, inputs):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model, rewritten = ResidualNetwork().double(), ResidualNetwork(zennit.layer.Sum).double()
    rewritten.load_state_dict(model.state_dict())
    x = inputs()
    convolution, dense, _ = pair.rules()
    expected = by_zennit(zennit, rewritten, x, pair.hooks)
    assert_same(ours(capture(model, x[:2]), x, composite(convolution, dense)), expected)
    assert_same(ours(capture(rewritten, x[:2]), x, composite(convolution, dense)), expected)


@pytest.fixture(scope="module")
def captum() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("captum", reason="captum isn't installed", exc_type=ImportError)
        attr = pytest.importorskip("captum.attr")
        rule_set = pytest.importorskip("captum.attr._utils.lrp_rules")
    return types.SimpleNamespace(LRP=attr.LRP, rules=rule_set)


def by_captum(captum: Any, model: nn.Module, x: Tensor, rule: Callable[[], Any]) -> Tensor:
    """Captum's relevance of the first task, (N, 4, L)."""
    for layer in model:
        if isinstance(layer, (nn.Conv1d, nn.Linear)):
            layer.rule = rule()
        elif not isinstance(layer, (nn.ReLU, nn.Tanh)):
            layer.rule = captum.rules.EpsilonRule(NO_EPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return captum.LRP(model).attribute(x.clone().requires_grad_(), target=0).detach()


def with_biases(model: nn.Module, change: Callable[[Tensor], Tensor]) -> nn.Module:
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, (nn.Conv1d, nn.Linear)):
                layer.bias.copy_(change(layer.bias))
    return model


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
@pytest.mark.parametrize("inputs", [one_hot, signed])
def test_epsilon_is_captums_epsilon(captum, inputs, activation):
    model, x = network(activation), inputs()
    actual = ours(traced(activation), x, composite(rules.Epsilon(EPS), rules.Epsilon(EPS)))
    assert_same(actual, by_captum(captum, model, x, lambda: captum.rules.EpsilonRule(EPS)))


def test_gamma_is_captums_gamma_where_biases_are_not_positive(captum):
    model, x = with_biases(network(nn.ReLU), lambda bias: -0.1 * bias.abs()), one_hot()
    with torch.no_grad():
        model[-1].weight.abs_()  # so that scores are positive
    x = x[model(x)[:, 0] > 0]
    assert len(x) > 1
    actual = ours(
        capture(model, x[:2]), x, composite(rules.Gamma(1e-9, gamma=0.3), rules.Gamma(1e-9, gamma=0.3))
    )
    assert_same(actual, by_captum(captum, model, x, lambda: captum.rules.GammaRule(0.3)))


def test_z_plus_is_captums_alpha1_beta0_where_biases_are_not_negative(captum):
    model, x = with_biases(network(nn.ReLU), torch.abs), one_hot()
    actual = ours(capture(model, x[:2]), x, composite(rules.ZPlus(1e-9), rules.ZPlus(1e-9)))
    assert_same(actual, by_captum(captum, model, x, captum.rules.Alpha1_Beta0_Rule))
