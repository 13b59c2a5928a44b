"""The user's module and context are left as they were, and a module that has changed is explained anew."""

import random

import numpy as np
import pytest
import torch
from face.networks import (
    BOOKS,
    LENGTH,
    Plain,
    Sites,
    made,
    same,
    sequences,
)
from torch import nn

import sparselrp
from sparselrp_cli.face import engine
from sparselrp_cli.graph import capture as capturing
from sparselrp_cli.graph import traced_model


class Watched(Sites):
    """Counts its calls, and draws random numbers where it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        if self.training:
            self.seen += 1
            random.random()
            np.random.rand()  # noqa: NPY002 - the state that everyone shares
        return super().forward(x)


class NotCopied(Watched):
    """Can't be copied."""

    def __deepcopy__(self, memo):
        raise TypeError("not this one")


@pytest.mark.parametrize("kind", [Watched, NotCopied])
def test_the_module_and_the_callers_context_are_left_as_they_were(kind):
    net, x = made(kind), sequences()
    net.norm.eval()
    net.scan.weight.requires_grad_(False)
    calls = []
    handle = net.head.register_forward_hook(lambda *_: calls.append(1))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    modes = [m.training for m in net.modules()]
    wanted = [p.requires_grad for p in net.parameters()]
    hooks = [dict(m._forward_hooks) for m in net.modules()]
    objects = [id(t) for t in (*net.parameters(), *net.buffers())]
    random_states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002

    sparselrp.PLRP(net).attribute(x, target=1)

    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert [m.training for m in net.modules()] == modes
    assert [p.requires_grad for p in net.parameters()] == wanted
    assert [dict(m._forward_hooks) for m in net.modules()] == hooks
    assert [id(t) for t in (*net.parameters(), *net.buffers())] == objects
    assert all(p.grad is None for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), random_states[0])
    assert random.getstate() == random_states[1]
    assert np.random.get_state()[1].tolist() == random_states[2]  # noqa: NPY002
    assert torch.is_grad_enabled()
    handle.remove()


def test_a_module_that_trains_is_explained_as_in_evaluation():
    net, x = made(Sites), sequences()
    training = sparselrp.PLRP(net).attribute(x, target=0)
    evaluating = sparselrp.PLRP(net.eval()).attribute(x, target=0)
    assert same(training, evaluating)
    torch.testing.assert_close(training.score, net(x)[:, 0].detach().double(), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")
@pytest.mark.parametrize(
    "wrap", [torch.compile, nn.DataParallel, torch.optim.swa_utils.AveragedModel], ids=lambda w: w.__name__
)
def test_the_module_within_a_wrapper_is_explained(wrap):
    net, x = made(Sites), sequences()
    a = sparselrp.PLRP(wrap(net)).attribute(x, target=0)
    assert same(a, sparselrp.PLRP(net).attribute(x, target=0))


def test_a_compiled_part_is_explained_without_being_compiled():
    def never(*_: object) -> None:
        raise AssertionError("compiled")

    net, x = made(Sites), sequences()
    within = nn.Sequential(torch.compile(net, backend=never))
    assert same(sparselrp.PLRP(within).attribute(x, target=0), sparselrp.PLRP(net).attribute(x, target=0))


def test_a_second_call_traces_nothing(captures):
    plrp, x = sparselrp.PLRP(made(Sites)), sequences()
    first = plrp.attribute(x, target=0)
    assert len(captures) == 1
    again = plrp.attribute(x, target=0)
    for other in (1, "2-1", [0, 1, 2, 0], {"a": 0, "b": 1}):
        plrp.attribute(x, target=other)
    plrp.attribute(sequences(7), target=0)
    assert len(captures) == 1
    assert same(first, again)
    plrp.attribute(sequences(length=LENGTH + 1), target=0)
    assert len(captures) == 2


def test_only_so_many_shapes_are_kept(captures, monkeypatch):
    monkeypatch.setattr(engine, "MOST_SHAPES", 1)
    plrp = sparselrp.PLRP(made(Plain))
    for length in (10, 12, 10):
        plrp.attribute(sequences(length=length), target=0)
    assert len(captures) == 3


def train(net):
    step = torch.optim.SGD(net.parameters(), 0.5)
    net(sequences()).square().sum().backward()
    step.step()


def load(net):
    net.load_state_dict(made(Sites, 1).state_dict())


def assign(net):
    net.load_state_dict(made(Sites, 1).state_dict(), assign=True)


def in_data(net):
    net.scan.weight.data.mul_(2)


def through_numpy(net):
    net.scan.weight.detach().numpy()[0] = 1


def to_half_and_back(net):
    net.half().float()


def normalise(net):
    net.train()
    net(3 * sequences(8, seed=1) + 1)


def exchange(net):
    net.drop = nn.Softplus()


def set_a_number(net):
    net.norm.eps = 0.5


def add_a_hook(net):
    net.head.register_forward_hook(lambda module, inputs, output: 2 * output)


def parametrise(net):
    nn.utils.parametrize.register_parametrization(net.scan, "weight", nn.Tanh())


CHANGES = [train, load, assign, in_data, through_numpy, to_half_and_back, normalise, exchange, set_a_number,
           add_a_hook, parametrise]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_module_that_has_changed_is_explained_anew(change, captures, monkeypatch):
    if change is add_a_hook:  # the tests' own cache of graphs doesn't look at hooks
        monkeypatch.setattr(traced_model, "capture", capturing.capture)
    net, x = made(Sites), sequences()
    plrp = sparselrp.PLRP(net)
    before = plrp.attribute(x, target=0)
    change(net)
    after = plrp.attribute(x, target=0)
    assert len(captures) == 2
    assert not torch.equal(before.hypothetical, after.hypothetical)
    with torch.no_grad():
        torch.testing.assert_close(
            after.score, net.eval()(x)[:, 0].double(), rtol=1e-4, atol=1e-5, msg="of the module as it is now"
        )


def test_equal_weights_are_traced_once(captures):
    net, x = made(Sites), sequences()
    plrp = sparselrp.PLRP(net)
    plrp.attribute(x, target=0)
    net.load_state_dict({name: tensor.clone() for name, tensor in net.state_dict().items()})
    net.eval()
    plrp.attribute(x, target=0)
    assert len(captures) == 1


@pytest.mark.parametrize("inference", [False, True], ids=["as ever", "under inference_mode"])
def test_results_are_ordinary_tensors(inference):
    x = sequences()
    with torch.inference_mode(inference):
        a = sparselrp.PLRP(made(Sites)).attribute(x, target=0)
    for tensor in (a.contributions, a.hypothetical, a.inputs, *(getattr(a, n) for n in BOOKS)):
        assert not tensor.is_inference()
        assert not tensor.requires_grad
        tensor += 1
    leaf = torch.ones_like(a.contributions, requires_grad=True)
    (leaf * a.contributions).sum().backward()
    assert torch.equal(leaf.grad, a.contributions)
    assert torch.equal(x, sequences())


def test_autocast_and_gradients_of_the_caller_make_no_difference():
    net, x = made(Sites), sequences()
    plain = sparselrp.PLRP(net).attribute(x, target=0)
    with torch.autocast("cpu", torch.bfloat16):
        inside = sparselrp.PLRP(net).attribute(x.requires_grad_(), target=0)
    assert same(plain, inside)
