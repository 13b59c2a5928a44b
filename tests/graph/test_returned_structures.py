"""What models return beside what is explained: None, losses, masks, structures of all kinds."""

import itertools
import re
from collections import OrderedDict, UserDict
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from sparselrp_cli.errors import ModelError, TargetError
from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.loaded import capture_model, output_names
from sparselrp_cli.graph.targets import TargetParser
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance.explainer import Explainer

WINDOW = 12
NUMBERS = itertools.count()


class Fields(NamedTuple):
    logits: Any
    extra: Any = None


@dataclass
class Record:
    logits: Tensor
    loss: Tensor


class Keyless(OrderedDict):
    """A mapping that is registered without its keys, as transformers' ModelOutput is."""


class Unknown(UserDict):
    """A mapping that isn't registered."""


@dataclass
class Unregistered:
    """As transformers' ModelOutput is before it is registered, or a record of one's own."""

    logits: Tensor
    parts: Any = None


class Opaque:
    """An object that nothing is known of."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits


torch.export.register_dataclass(Record)
torch.utils._pytree.register_pytree_node(
    Keyless,
    lambda d: (list(d.values()), list(d.keys())),
    lambda values, keys: Keyless(zip(keys, values, strict=True)),
    serialized_type_name="test_returned_structures.Keyless",
)


class Returns(nn.Module):
    """A small network with two tasks; `answer` says what is returned."""

    def __init__(self, answer: Callable[[Tensor, Tensor, nn.Module], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scan, self.head = nn.Conv1d(4, 5, 3), nn.Linear(5, 2)
        self.answer = answer
        self.number = next(NUMBERS)

    def extra_repr(self) -> str:
        """Tell networks apart that differ in nothing but their answer; see `helpers.warming`."""
        return str(self.number)

    def tasks(self, x: Tensor) -> Tensor:
        return self.head(self.scan(x).relu().amax(2))

    def forward(self, x: Tensor) -> Any:
        return self.answer(self.tasks(x), x, self)


NONE = "it is None"
NO_SAMPLES = "it has no axis of samples in front"
CONSTANT = "it doesn't depend on the sequence"
INTEGERS = "it holds integers, not real numbers; return what they are made from"
TRUTHS = "it holds truth values, not real numbers; return what they are made from"
DEEP = "it has 5 axes; at most samples, tasks and pairs of positions are known"

# What is returned, and the names of its parts with what stands against explaining them.
STRUCTURES: dict[str, tuple[Callable[..., Any], dict[str, str]]] = {
    "a tensor": (lambda y, x, m: y, {"output": ""}),
    "logits and None": (lambda y, x, m: (y, None), {"output0": "", "output1": NONE}),
    "None first": (lambda y, x, m: (None, y), {"output0": NONE, "output1": ""}),
    "a loss of the weights": (
        lambda y, x, m: (y, m.head.weight.pow(2).mean()),
        {"output0": "", "output1": CONSTANT},
    ),
    "a loss over the batch": (lambda y, x, m: [y.mean(), y], {"output0": NO_SAMPLES, "output1": ""}),
    "a dict": (lambda y, x, m: {"logits": y, "loss": y.mean()}, {"logits": "", "loss": NO_SAMPLES}),
    "a dict of one": (lambda y, x, m: {"logits": y}, {"logits": ""}),
    "a named tuple": (lambda y, x, m: Fields(y), {"logits": "", "extra": NONE}),
    "a named tuple in a named tuple": (
        lambda y, x, m: Fields(y, Fields(y.mean())),
        {"logits": "", "extra.logits": NO_SAMPLES, "extra.extra": NONE},
    ),
    "a dataclass": (lambda y, x, m: Record(y, y.mean()), {"logits": "", "loss": NO_SAMPLES}),
    "a mapping without keys": (
        lambda y, x, m: Keyless(logits=y, loss=y.mean()),
        {"logits": "", "loss": NO_SAMPLES},
    ),
    "a dataclass that isn't registered": (
        lambda y, x, m: Unregistered(y, [Unregistered(y.mean()), None]),
        {"logits": "", "parts.0.logits": NO_SAMPLES, "parts.0.parts": NONE, "parts.1": NONE},
    ),
    "a dataclass in a tuple": (
        lambda y, x, m: (y.mean(), Unregistered(y)),
        {"output0": NO_SAMPLES, "output1": "", "output2": NONE},
    ),
    "a mapping that isn't registered": (
        lambda y, x, m: Unknown(logits=y, none=None),
        {"logits": "", "none": NONE},
    ),
    "a namespace": (lambda y, x, m: SimpleNamespace(none=None, logits=y), {"none": NONE, "logits": ""}),
    "an ordered dict": (lambda y, x, m: OrderedDict(z=y, a=None), {"z": "", "a": NONE}),
    "nested": (
        lambda y, x, m: (y, [None, {"a": y.mean()}]),
        {"output0": "", "output1": NONE, "output2": NO_SAMPLES},
    ),
    "ids": (
        lambda y, x, m: (y, x.argmax(1), y.argmax(1)),
        {"output0": "", "output1": INTEGERS, "output2": INTEGERS},
    ),
    "a mask": (lambda y, x, m: (y, x.sum(1) > 0), {"output0": "", "output1": TRUTHS}),
    "the input": (lambda y, x, m: (x, y), {"output0": "it is the sequence itself", "output1": ""}),
    "numbers and text": (
        lambda y, x, m: (y, 3, "text"),
        {
            "output0": "",
            "output1": "it isn't a tensor but of type int",
            "output2": "it isn't a tensor but of type str",
        },
    ),
    "many axes": (lambda y, x, m: (y[:, :, None, None, None], y), {"output0": DEEP, "output1": ""}),
    "samples second": (lambda y, x, m: (y.t(), y), {"output0": NO_SAMPLES, "output1": ""}),
}


def windows(n: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    bases = torch.randint(4, (n, WINDOW), generator=generator)
    return nn.functional.one_hot(bases, 4).transpose(1, 2).double()


def loaded(module: nn.Module, outputs: tuple[OutputNames, ...] = ()) -> LoadedModel:
    return LoadedModel("net", module.double().eval(), WINDOW, InputLayout(), outputs, ())


@pytest.fixture(params=STRUCTURES.values(), ids=STRUCTURES.keys(), scope="module")
def structure(request):
    answer, expected = request.param
    model = loaded(Returns(answer))
    return model, capture_model(model), expected


def test_what_is_asked_for_is_explained_whatever_else_is_returned(structure):
    model, graph, expected = structure
    names = output_names(model, graph)
    assert {o.name: reason for o, reason in zip(graph.outputs, expected.values(), strict=True)} == expected
    parser = TargetParser(graph.outputs, names)
    x, net = windows(), model.module
    assert max(check_against_module(graph, net, x).values()) < 1e-12
    wanted = next(name for name, reason in expected.items() if not reason)
    for text in ("1", f"{wanted}/1", "output/1", *parser.examples()):
        target = parser.parse(text)
        (found,) = Explainer(graph, [target], names).explain(x)
        if text.endswith("/1") or text == "1":
            torch.testing.assert_close(found.score, net.tasks(x)[:, 1].detach(), rtol=1e-12, atol=0)
    assert parser.examples()


def test_what_cant_be_explained_is_refused_with_its_reason(structure):
    model, graph, expected = structure
    parser = TargetParser(graph.outputs, output_names(model, graph))
    for number, (name, reason) in enumerate(expected.items()):
        if reason:
            with pytest.raises(TargetError) as caught:
                parser.parse(name)
            assert str(caught.value) == f"target '{name}': output '{name}' can't be explained: {reason}"
            with pytest.raises(ModelError, match=f"output '{name}' can't be explained: {re.escape(reason)}"):
                graph.require_path(number)


def test_the_only_number_that_can_be_explained_needs_no_target():
    model = loaded(Returns(lambda y, x, m: (y.mean(), y[:, :1], None)))
    graph = capture_model(model)
    parser = TargetParser(graph.outputs, output_names(model, graph))
    (found,) = Explainer(graph, [parser.default()]).explain(windows())
    torch.testing.assert_close(found.score, model.module.tasks(windows())[:, 0].detach(), rtol=1e-12, atol=0)


def test_two_outputs_that_are_one_tensor_are_explained_together():
    model = loaded(Returns(lambda y, x, m: (y, y)))
    graph = capture_model(model)
    parser = TargetParser(graph.outputs, output_names(model, graph))
    (found,) = Explainer(graph, [parser.parse("output0/0+2*output1/1")]).explain(windows())
    y = model.module.tasks(windows()).detach()
    torch.testing.assert_close(found.score, y[:, 0] + 2 * y[:, 1], rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "answer", [lambda y, x, m: y.mean(), lambda y, x, m: None, lambda y, x, m: y.argmax(1)]
)
def test_a_model_that_returns_nothing_to_explain_is_refused_with_the_reasons(answer):
    model = loaded(Returns(answer))
    parser = TargetParser((graph := capture_model(model)).outputs, output_names(model, graph))
    assert parser.examples() == []
    for ask in (parser.default, parser.any_target, lambda: parser.parse("0"), lambda: parser.parse("output")):
        with pytest.raises(
            TargetError, match=r"nothing that the model returns can be explained \(output: it "
        ):
            ask()


def test_an_output_without_a_rule_doesnt_keep_the_others_from_being_compared_with_the_model():
    model = loaded(Returns(lambda y, x, m: {"good": y, "bad": torch.lgamma(y)}))
    graph = capture_model(model)
    assert graph.supported_outputs() == (0,)
    compared = check_against_module(graph.restricted(graph.supported_outputs()), model.module, windows())
    assert compared.keys() == {"good"}
    assert compared["good"] < 1e-12
    parser = TargetParser(graph.outputs, output_names(model, graph))
    (found,) = Explainer(graph, [parser.parse("good/1")]).explain(windows())
    torch.testing.assert_close(found.score, model.module.tasks(windows())[:, 1].detach(), rtol=1e-12, atol=0)


def test_a_class_that_torch_cant_take_apart_is_refused_with_what_to_return():
    with pytest.raises(ModelError, match="let its forward return a tensor, a tuple, a named tuple or a dict"):
        capture(Returns(lambda y, x, m: Opaque(y)).double(), windows())


def test_more_names_of_tasks_than_tasks_are_refused():
    model = loaded(Returns(lambda y, x, m: y), (OutputNames("out", ("a", "b", "c")),))
    with pytest.raises(ModelError, match="names 3 tasks of output 'out', which has 2"):
        output_names(model, capture_model(model))
