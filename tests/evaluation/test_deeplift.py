"""The baseline DeepLIFT/SHAP: what tangermeme is asked, and that the model stays as it was."""

import copy
import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from sparselrp_cli.errors import InputError
from sparselrp_cli.evaluation.deeplift import deeplift_shap
from sparselrp_cli.evaluation.evaluated_windows import EvaluatedWindows
from sparselrp_cli.evaluation.methods import Asked, DeepLiftShap
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, TargetParser, Term
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.model.output_names import OutputNames

LENGTH = 12
TARGET = Target("1", (Term(0, 1, None),))


class Net(nn.Module):
    """Dropout and batch normalisation, of which only the latter trains."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scan = nn.Conv1d(4, 6, 3, padding=1)
        self.norm = nn.BatchNorm1d(6)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6 * LENGTH, 2)

    def forward(self, x):
        return self.head(self.drop(torch.relu(self.norm(self.scan(x)))).flatten(1))


@pytest.fixture
def model():
    net = Net().eval()
    net.norm.train()
    net.scan.requires_grad_(False)
    return LoadedModel("net", net, LENGTH, InputLayout(), (), ())


@pytest.fixture
def one_hot():
    codes = np.random.default_rng(0).integers(0, 4, (3, LENGTH))
    return (codes[:, np.newaxis] == np.arange(4)[:, np.newaxis]).astype(np.uint8)


def meddling(given, x, *, fails=False, **_):
    """Do all to a model that a library might: train it, hang hooks on it, thaw, change and move it."""
    assert not any(module.training for module in given.modules()), "explained in training mode"
    given.train()
    for module in given.modules():
        module.register_forward_hook(lambda *_: None)
        module.register_forward_pre_hook(lambda *_: None)
        module.register_full_backward_hook(lambda *_: None)
        module.output = 1
    given.requires_grad_(True)
    given(x).sum().backward()
    with torch.no_grad():
        for tensor in (*given.parameters(), *given.buffers()):
            tensor.mul_(2)
    given.to(torch.float64)
    if fails:
        raise RuntimeError("out of luck")
    return x * x.new_tensor([1.0, 2.0, 3.0, 4.0])[:, None]


def state_of(module):
    """All of a module that something could leave changed."""
    tensors = {
        name: (tensor.clone(), tensor.dtype, tensor.device, tensor.requires_grad, tensor.grad)
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
    }
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    modules = {
        name: (part.training, sorted(vars(part)), *(len(getattr(part, kind)) for kind in hooks))
        for name, part in module.named_modules()
    }
    return tensors, modules


def assert_as_it_was(module, before):
    tensors, modules = state_of(module)
    assert modules == before[1]
    assert tensors.keys() == before[0].keys()
    for name, (value, *rest) in tensors.items():
        assert torch.equal(value, before[0][name][0]), name
        assert rest == list(before[0][name][1:]), name


def install(monkeypatch, function):
    package, module = ModuleType("tangermeme"), ModuleType("tangermeme.deep_lift_shap")
    module.deep_lift_shap = function
    monkeypatch.setitem(sys.modules, "tangermeme", package)
    monkeypatch.setitem(sys.modules, "tangermeme.deep_lift_shap", module)


def test_the_model_stays_as_it_was_and_the_values_are_sums_over_bases(model, one_hot, monkeypatch):
    install(monkeypatch, meddling)
    before = state_of(model.module)
    found = deeplift_shap(model, TARGET, one_hot)
    assert_as_it_was(model.module, before)
    assert before[1]["norm"][0]
    assert not before[1]["drop"][0]
    np.testing.assert_array_equal(found, one_hot.argmax(axis=1) + 1.0)


def test_contributions_that_other_bases_would_have_are_asked_for_too(model, one_hot, monkeypatch):
    """What is given for all four bases is kept; of the observed ones it is the contribution."""
    values = np.random.default_rng(1).normal(size=one_hot.shape).astype(np.float32)

    def asked(given, x, *, hypothetical, **_):
        assert hypothetical
        return torch.from_numpy(values)

    install(monkeypatch, asked)
    windows = EvaluatedWindows(np.arange(3), one_hot, np.array([False, True, False]), None)
    method = DeepLiftShap(model, TARGET)
    found = method(Asked(windows, None))
    np.testing.assert_array_equal(found.hypothetical, values)
    seen = one_hot.copy()
    seen[1] = seen[1, ::-1, ::-1]
    np.testing.assert_allclose(found.contributions, (values * seen).sum(axis=1), rtol=1e-6)


def test_the_model_stays_as_it_was_where_tangermeme_fails(model, one_hot, monkeypatch):
    install(monkeypatch, lambda *given, **named: meddling(*given, fails=True, **named))
    before = state_of(model.module)
    with pytest.raises(RuntimeError, match="out of luck"):
        deeplift_shap(model, TARGET, one_hot)
    assert_as_it_was(model.module, before)


def test_tangermeme_is_given_the_explained_number(model, one_hot, monkeypatch):
    seen = []

    def keep(given, x, **_):
        seen.append(given(x).detach().numpy())
        return x

    install(monkeypatch, keep)
    deeplift_shap(model, TARGET, one_hot)
    with torch.no_grad():
        expected = copy.deepcopy(model.module).eval()(torch.from_numpy(one_hot).float())[:, 1:2]
    np.testing.assert_allclose(seen[0], expected.numpy(), rtol=1e-6)


def test_a_module_that_refuses_to_change_its_mode_is_explained(model, one_hot, monkeypatch):
    """As exported programs do."""

    class Refusing(Net):
        def train(self, mode=True):
            raise NotImplementedError("no train or eval")

    module = Refusing()
    for part in module.modules():
        part.training = False
    install(monkeypatch, lambda given, x, **_: given(x)[:, :, None] * x)
    found = deeplift_shap(replace(model, module=module), TARGET, one_hot)
    assert np.isfinite(found).all()


def test_a_model_that_cant_be_copied_is_said(model, one_hot, monkeypatch):
    install(monkeypatch, meddling)
    model.module.scan.computed = model.module.head.weight * 2
    with pytest.raises(InputError, match="works on a copy of the model, and 'net' can't be copied"):
        deeplift_shap(model, TARGET, one_hot)


def test_without_tangermeme_the_way_to_it_is_said(model, one_hot, monkeypatch):
    monkeypatch.setitem(sys.modules, "tangermeme", None)
    with pytest.raises(InputError, match=r"needs tangermeme: pip install 'sparselrp\[baselines\]'"):
        deeplift_shap(model, TARGET, one_hot)


class ByColumns(nn.Module):
    """A matrix whose columns are tasks, or positions: column i counts the bases of code i."""

    def forward(self, x):
        return x.sum(2)


@pytest.mark.parametrize(
    ("axes", "text", "by_hand"),
    [
        ("NT", "0,2", lambda y: y[:, [0, 2]].mean(1)),
        ("NT", "1:4", lambda y: y[:, 1:4].mean(1)),
        ("NT", "2*(0-1)", lambda y: 2 * (y[:, 0] - y[:, 1])),
        ("NT", "*", lambda y: y.mean(1)),
        ("NP", "out", lambda y: y.mean(1)),
    ],
)
def test_tangermeme_is_given_the_number_that_a_composed_target_names(
    one_hot, monkeypatch, axes, text, by_hand
):
    model = LoadedModel("columns", ByColumns(), LENGTH, InputLayout(), (OutputNames("out", (), axes),), ())
    graph = capture(model.module, torch.from_numpy(one_hot).float())
    target = TargetParser(graph.outputs, model.outputs).parse(text)
    given = {}

    def asked(scalar, x, **_):
        given["score"] = scalar(x)
        return x

    monkeypatch.setitem(sys.modules, "tangermeme", ModuleType("tangermeme"))
    fake = ModuleType("tangermeme.deep_lift_shap")
    fake.deep_lift_shap = asked
    monkeypatch.setitem(sys.modules, "tangermeme.deep_lift_shap", fake)
    deeplift_shap(model, target, one_hot)
    expected = by_hand(torch.from_numpy(one_hot).float().sum(2))
    torch.testing.assert_close(given["score"], expected[:, None])
