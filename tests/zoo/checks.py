"""What must hold for every network: one function a law."""

import copy
import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.targets import Target, TargetParser
from sparselrp_cli.model.loading import module_dtype
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance.audit import audit
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.explanation import Explanation
from sparselrp_cli.relevance.pruning import Pruning

PRUNINGS = {
    "none": Pruning(0.0),
    "lambda": Pruning(0.25),
    "m": Pruning(0.25, redistribute="m"),
    "automatic": Pruning(automatic=True),
}

# Every composite unpruned, and three of them with every pruning.
SETTINGS = [
    (composite, pruning)
    for composite in PRESETS
    for pruning in PRUNINGS
    if pruning == "none" or composite in ("epsilon-plus", "epsilon", "epsilon-gamma-box")
]


@dataclass(frozen=True, eq=False)
class Case:
    """A network, traced once for all tests, and explained once with each composite and pruning.

    Attributes
    ----------
    traced : nn.Module
    module : nn.Module
        The same in the windows' dtype.
    windows : Tensor, shape (3, 4, L)
    state : dict of str to Tensor
        The module's state before it was traced.
    graph : CanonicalGraph
        As captured, in the windows' dtype.
    explained : CanonicalGraph
        In float64, as it is explained.
    names : list of OutputNames
    targets : list of Target
    """

    traced: nn.Module
    module: nn.Module
    windows: Tensor
    state: dict[str, Tensor]
    graph: CanonicalGraph
    explained: CanonicalGraph
    names: list[OutputNames]
    targets: list[Target]

    @classmethod
    def of(cls, module: nn.Module, windows: Tensor, targets: str, axes: str = "NTP") -> "Case":
        """Trace a module; a float32 one is explained in float64 all the same."""
        state = copy.deepcopy(module.state_dict())
        graph = capture(module, windows[:2].to(module_dtype(module))).to(windows.device, windows.dtype)
        compared = (
            module if module_dtype(module) == windows.dtype else copy.deepcopy(module).to(windows.dtype)
        )
        explained = graph.to(windows.device, torch.float64)
        names = [OutputNames(output.name, (), axes) for output in explained.outputs]
        parser = TargetParser(explained.outputs, names)
        parsed = [parser.parse(text) for text in targets.split()]
        return cls(module, compared, windows, state, graph, explained, names, parsed)

    def explainer(self, composite: str, pruning: Pruning) -> Explainer:
        return Explainer(
            self.explained, self.targets, self.names, composite=PRESETS[composite], pruning=pruning
        )

    @functools.cache  # noqa: B019 - a case lives as long as the session
    def explain(self, composite: str, pruning: Pruning) -> list[Explanation]:
        return self.explainer(composite, pruning).explain(self.windows.double())


def check_graph(case: Case) -> None:
    """The canonical graph computes what the module computes."""
    differences = check_against_module(case.graph, case.module, case.windows)
    assert set(differences) == {output.name for output in case.graph.outputs}
    assert max(differences.values()) < (1e-9 if case.windows.dtype == torch.float64 else 1e-4)


def check_rules(case: Case) -> None:
    """Every operation has a rule."""
    assert [node.operation.describe() for node in case.explained.unsupported()] == []
    for composite in PRESETS.values():
        rows = audit(case.graph, case.module, composite, None, case.windows).rows
        assert [row for row in rows if not row.rule or row.rule.startswith("NONE")] == []


def check_accounts(explanation: Explanation, setting: str) -> None:
    """Everything is finite and the books balance to a millionth of the score, or of 0.1 if it is smaller."""
    score, relevance = explanation.score, explanation.relevance
    for tensor in (explanation.hypothetical, score, relevance, explanation.absorbed, explanation.lost):
        assert bool(torch.isfinite(tensor).all()), setting
    gap = score - relevance - explanation.absorbed - explanation.lost
    assert bool((gap.abs() <= 1e-6 * score.abs().clamp(min=0.1)).all()), f"{setting}: {gap.tolist()}"
    assert float(explanation.conservation_error.max()) < 1e-6, setting


def check_relevance_arrives(case: Case) -> None:
    """Something of every target reaches the input of every window.

    Pruning and z-plus may leave nothing: the one keeps what came from a constant such as a class token, the
    other leaves all to the stabiliser where no contribution is positive.
    """
    for explanation in case.explain("epsilon-plus", Pruning(0.0)):
        assert bool((explanation.contributions != 0).flatten(1).any(1).all())
