"""The engine on torch's meta device, which has shapes and no numbers: a host that waits for one fails.

On a GPU each such wait would stop the queue of kernels. The laws hold over the whole zoo, so that they see a
new operation as soon as an entry uses it.
"""

from collections.abc import Sequence

import pytest
import torch
from helpers.shapes import META, Shapes, described

from sparselrp_cli.relevance import masked
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.explanation import Explanation
from sparselrp_cli.relevance.pruning import Pruning
from zoo.architectures import ZOO
from zoo.checks import Case
from zoo.test_zoo import case

PRUNINGS = {"none": Pruning(0.0), "lambda": Pruning(0.25), "m": Pruning(0.25, redistribute="m")}
TENSORS = ("hypothetical", "contributions", "score", "relevance", "absorbed", "lost")
# All of the engine's ways: one and two branches, contributions of one sign and of both, offsets, shares.
FEW = (
    ("epsilon-plus", "none"), ("epsilon-plus", "lambda"), ("epsilon-gamma-box", "m"),
    ("epsilon-alpha2-beta1", "m"),
)  # fmt: skip
ALL = [(composite, pruning) for composite in PRESETS for pruning in PRUNINGS]
every_entry = pytest.mark.parametrize("entry", ZOO, ids=lambda entry: entry.name, scope="session")


def shapes(explanation: Explanation) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of an explanation, and of its accounts."""
    found = {name: tuple(getattr(explanation, name).shape) for name in TENSORS}
    for layer in explanation.ledger.pruned_layers:
        for name in ("kept", "pruned_mass", "mass", "fallback_columns", "fallback_mass"):
            value = getattr(layer, name)
            found[f"{layer.tensor}, {name}"] = () if value is None else tuple(value.shape)
    return found


def explain(traced: Case, settings: Sequence[tuple[str, str]]) -> list[list[Explanation]]:
    """Explain a network's windows without numbers, with each composite and pruning."""
    graph, x = traced.explained.to(META, torch.float32), traced.windows.to(META, torch.float32)
    explainers = (
        Explainer(graph, traced.targets, traced.names, PRESETS[composite], PRUNINGS[pruning])
        for composite, pruning in settings
    )
    with Shapes():
        return [explainer.explain(x) for explainer in explainers]


def check(traced: Case, settings: Sequence[tuple[str, str]]) -> None:
    expected = {
        name: [shapes(e) for e in traced.explain("epsilon-plus", PRUNINGS[name])]
        for name in {name for _, name in settings}
    }
    for (composite, name), found in zip(settings, explain(traced, settings), strict=True):
        assert all(e.hypothetical.is_meta for e in found)
        assert [shapes(e) for e in found] == expected[name], f"{composite}, pruning {name}"


@every_entry
def test_forward_pass_and_walk_wait_for_no_number(entry):
    """In one of the ways each, in turn."""
    check(case(entry), [FEW[ZOO.index(entry) % len(FEW)]])


@pytest.mark.slow
@every_entry
def test_forward_pass_and_walk_wait_for_no_number_with_any_preset(entry):
    check(case(entry), ALL)


def test_a_host_that_waits_would_be_seen(monkeypatch):
    monkeypatch.setattr(masked, "_none_fell", lambda columns: not bool(columns.any()))
    with pytest.raises(RuntimeError, match="meta"):
        list(explain(case(ZOO[0]), [("epsilon-plus", "m")]))


X, WEIGHT, C = (torch.empty(shape, device=META) for shape in ((2, 4, 9), (3, 4, 3), (2, 3, 9)))
CALLS = {
    "a sum of another type": lambda: X.sum(2, dtype=torch.float64),
    "strides that aren't in order": lambda: X.transpose(1, 2) + 1,
    "two tensors": lambda: X.sort(2),
    "a shape that a number gives": lambda: X.repeat_interleave(3, 1, output_size=12),
    "one tensor and two that aren't asked for": lambda: torch.ops.aten.convolution_backward(
        C, X, WEIGHT, None, [1], [1], [1], False, [0], 1, [True, False, False]
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_what_is_known_of_an_operation_is_what_torch_gives(call):
    with Shapes() as shapes:
        first, again = call(), call()
    assert shapes.given
    expected, first, again = (tuple(r) if isinstance(r, tuple) else (r,) for r in (call(), first, again))
    assert [described(t) for t in expected] == [described(t) for t in first] == [described(t) for t in again]
    assert all(a is not b for a, b in zip(first, again, strict=True) if b is not None)


def test_what_writes_to_a_tensor_or_shares_its_memory_is_done_every_time():
    x = torch.empty(2, 3, device=META)
    with Shapes() as shapes:
        views = [x.view(3, 2), x.view(3, 2)]
        written = [x.add_(1), x.zero_()]
    assert not shapes.given
    assert all(view._base is x for view in views)
    assert all(tensor is x for tensor in written)
