"""The engine on torch's meta device, which has shapes and no numbers: a host that waits for one fails.

On a GPU each such wait would stop the queue of kernels. The laws hold over the whole zoo, so that they see a
new operation as soon as an entry uses it.
"""

from collections.abc import Iterable

import pytest
import torch

from sparselrp_cli.relevance import masked
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer, Explanation
from sparselrp_cli.relevance.pruning import Pruning
from zoo.architectures import ZOO
from zoo.checks import Case
from zoo.test_zoo import case

META = torch.device("meta")
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


def explain(traced: Case, composite: str, pruning: Pruning, device: torch.device) -> list[Explanation]:
    graph, x = traced.explained.to(device, torch.float32), traced.windows.to(device, torch.float32)
    return Explainer(graph, traced.targets, traced.names, PRESETS[composite], pruning).explain(x)


def check(traced: Case, settings: Iterable[tuple[str, str]]) -> None:
    expected = {
        name: [shapes(e) for e in traced.explain("epsilon-plus", pruning)]
        for name, pruning in PRUNINGS.items()
    }
    for composite, name in settings:
        found = explain(traced, composite, PRUNINGS[name], META)
        assert all(e.hypothetical.is_meta for e in found)
        assert [shapes(e) for e in found] == expected[name], f"{composite}, pruning {name}"


@every_entry
def test_forward_pass_and_walk_wait_for_no_number(entry):
    check(case(entry), FEW)


@pytest.mark.slow
@every_entry
def test_forward_pass_and_walk_wait_for_no_number_with_any_preset(entry):
    check(case(entry), ALL)


def test_a_host_that_waits_would_be_seen(monkeypatch):
    monkeypatch.setattr(masked, "_none_fell", lambda columns: not bool(columns.any()))
    with pytest.raises(RuntimeError, match="meta"):
        explain(case(ZOO[0]), "epsilon-plus", PRUNINGS["m"], META)
