"""Targets as captum's users write them, beside the texts of the command line."""

import numpy as np
import pytest
import torch
from face.networks import (
    LENGTH,
    Profile,
    Sites,
    TwoOutputs,
    made,
    sequences,
)

import sparselrp


def test_several_named_targets_are_explained_together():
    plrp, x = sparselrp.PLRP(made(Sites)), sequences()
    found = plrp.attribute(x, target={"first": 0, "contrast": "1-0"})
    assert list(found) == ["first", "contrast"]
    torch.testing.assert_close(found["first"].contributions, plrp.attribute(x, target=0).contributions)
    torch.testing.assert_close(found["contrast"].contributions, plrp.attribute(x, target="1-0").contributions)
    assert found["contrast"].target == "contrast"


@pytest.mark.parametrize(
    "targets",
    [[0, 2, 0, 1], torch.tensor([0, 2, 0, 1]), np.array([0, 2, 0, 1]), [(0,), 2, "0", torch.tensor(1)]],
    ids=["list", "tensor", "array", "of all kinds"],
)
def test_each_example_may_have_a_target_of_its_own(targets):
    plrp, x = sparselrp.PLRP(made(Sites).double()), sequences()
    a = plrp.attribute(x, target=targets)
    for i, task in enumerate([0, 2, 0, 1]):
        one = plrp.attribute(x[i : i + 1], target=task)
        torch.testing.assert_close(a[i].hypothetical, one.hypothetical)
        torch.testing.assert_close(a[i].score, one.score)


@pytest.mark.parametrize(
    ("kind", "target", "text"),
    [
        (Sites, 1, "1"),
        (Sites, -1, "2"),
        (Sites, (2,), "2"),
        (Sites, np.int64(2), "2"),
        (Sites, torch.tensor(2), "2"),
        (Sites, torch.tensor([2]), "2"),
        (Profile, (1, 7), "1@7"),
        (Profile, (0, -1), "0@29"),
    ],
    ids=lambda given: getattr(given, "__name__", str(given)),
)
def test_a_target_of_captum_is_the_same_as_ours(kind, target, text):
    net, x = made(kind), sequences()
    a, b = (sparselrp.PLRP(net).attribute(x, target=t) for t in (target, text))
    assert a.target == b.target == text
    assert torch.equal(a.contributions, b.contributions)
    entry = net.eval()(x)[(slice(None), *map(int, text.split("@")))]
    torch.testing.assert_close(a.score, entry.detach().double(), rtol=1e-5, atol=1e-6)


def test_the_outputs_of_a_dict_are_targets_by_name():
    plrp, x = sparselrp.PLRP(made(TwoOutputs)), sequences()
    assert plrp.attribute(x, target="count").contributions.shape == (4, LENGTH)
    assert plrp.attribute(x, target="profile/3").contributions.shape == (4, LENGTH)


INPUT, TARGET = sparselrp.InputError, sparselrp.TargetError
REFUSED = {
    "an array": (Sites, np.ones((1, 4, 30), "f4"), 0, INPUT, "x is of type ndarray; give a tensor"),
    "no tensor": (Sites, [[1.0]], 0, INPUT, "x is of type list; give a tensor"),
    "no batch": (Sites, sequences()[0], 0, INPUT, r"shape \(4, 30\); give one sequence as x\[None\]"),
    "positions first": (Sites, sequences().transpose(1, 2), 0, INPUT, "say layout='NLC'"),
    "five bases": (Sites, torch.ones(2, 5, 9), 0, INPUT, r"give sequences \(N, 4, L\), or images"),
    "empty": (Sites, torch.ones(0, 4, 9), 0, INPUT, "it holds no examples"),
    "complex": (Sites, sequences().cfloat(), 0, INPUT, "ordinary tensor of real numbers"),
    "nan": (Sites, sequences() * float("nan"), 0, INPUT, "NaN or infinity in example 0"),
    "device": (Sites, sequences().to("meta"), 0, INPUT, r"x is on meta and the module on cpu; give x\.to"),
    "several": (Sites, sequences(), None, TARGET, "choose with target= among"),
    "no such task": (Sites, sequences(), 3, TARGET, "there is no task 3; tasks are numbered 0 to 2"),
    "too negative": (Sites, sequences(), -4, TARGET, "there is no task -4"),
    "huge": (Sites, sequences(), 2**70, TARGET, f"there is no task {2**70}; tasks are numbered"),
    "a float": (Sites, sequences(), 1.0, TARGET, "target=1.0: give a whole number"),
    "a truth": (Sites, sequences(), True, TARGET, "a truth is no index"),
    "too long": (Sites, sequences(), (1, 2), TARGET, "has 3 tasks; give the number of a task"),
    "too short": (Profile, sequences(), 1, TARGET, r"2 tasks, 30 positions; give a tuple \(task, position\)"),
    "too few": (Sites, sequences(), [0, 1], TARGET, "2 targets for 4 examples"),
    "floats": (Sites, sequences(), torch.ones(4), TARGET, "targets are whole numbers"),
    "nothing named": (Sites, sequences(), {}, TARGET, "it names nothing"),
    "unknown": (Sites, sequences(), "ctcf", TARGET, "unknown target 'ctcf'"),
    "blocks": (Profile, sequences(), "0@blocks", TARGET, "explain these with sparselrp.attribute"),
    "outputs": (TwoOutputs, sequences(), 0, TARGET, "several outputs; name one in a text"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cant_be_explained_is_said_in_one_line(case):
    kind, x, target, error, message = REFUSED[case]
    with pytest.raises(error, match=message) as caught:
        sparselrp.PLRP(made(kind)).attribute(x, target=target)
    assert "\n" not in str(caught.value)
    assert "--" not in str(caught.value)


def test_tasks_are_called_as_the_module_says():
    net = made(Sites)
    net.tasks = ["open", "closed", "other"]
    x = sequences(2)
    named = sparselrp.PLRP(net).attribute(x, target="closed")
    assert torch.equal(named.contributions, sparselrp.PLRP(net).attribute(x, target=1).contributions)
