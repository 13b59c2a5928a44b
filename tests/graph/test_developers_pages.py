"""The pages for developers: what they tell one to write works, and what they name is there."""

import re
import types
from pathlib import Path

import pytest
import torch
from oracles.operations import Called
from torch import Tensor

from sparselrp_cli.graph import functions, overloads
from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.operations import activation
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "developers").glob("*.md"))
ADDING = (ROOT / "docs" / "developers" / "adding.md").read_text(encoding="utf-8")
FIRST = Target("first", (Term(0, 0, None),))


def section(title: str) -> str:
    """A section of the page on adding, without its heading."""
    return ADDING.split(f"\n## {title}\n")[1].split("\n## ")[0]


def code_in(title: str) -> str:
    return "\n".join(re.findall(r"```(?:python)?\n(.*?)```", section(title), re.DOTALL))


def test_the_operation_of_the_page_can_be_added_as_it_stands_there(monkeypatch):
    module = types.ModuleType("load_exponent")
    exec(compile(code_in("An operation"), "load_exponent.py", "exec"), module.__dict__)  # noqa: S102
    x = torch.rand(3, 4, 6, dtype=torch.float64)
    net = Called(lambda x: torch.ldexp(2 * x, x.flip(2)).mean(2))
    assert capture(net, x).unsupported(), "the page adds what is missing"
    both = [("the project", overloads.CONVERTERS), ("the page", module.CONVERTERS)]
    monkeypatch.setattr(overloads, "CONVERTERS", overloads.merged(both))
    graph = capture(net, x)
    assert "load-exponent" in [node.operation.kind for node in graph.nodes]
    assert max(check_against_module(graph, net, x).values()) < 1e-12
    (explanation,) = Explainer(graph, [FIRST], pruning=NONE).explain(x)
    assert float(explanation.conservation_error.max()) < 1e-12
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)
    torch.testing.assert_close(explanation.hypothetical, gradient, rtol=1e-9, atol=1e-12)


def test_the_function_of_the_page_can_be_added_as_it_stands_there(monkeypatch):
    row = eval(code_in("An element-wise function").strip().rstrip(","), vars(functions))  # noqa: S307
    x = torch.rand(3, 4, 6, dtype=torch.float64)
    net = Called(lambda x: torch.erfinv(x).sum(2))
    assert capture(net, x).unsupported(), "the page adds what is missing"
    monkeypatch.setattr(activation, "FUNCTIONS", {**functions.FUNCTIONS, row.name: row})
    both = [("the project", overloads.CONVERTERS), ("the page", {row.overload: activation._of_row(row)})]
    monkeypatch.setattr(overloads, "CONVERTERS", overloads.merged(both))
    (explanation,) = Explainer(capture(net, x), [FIRST], pruning=NONE).explain(x)
    expected: Tensor = torch.zeros_like(x)
    expected[:, 0] = x[:, 0].erfinv()
    torch.testing.assert_close(explanation.contributions, expected)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_folders_that_a_page_names_are_there(page):
    named = re.findall(r"`((?:[\w-]+/)*[\w-]+(?:\.py|\.md|/))`", page.read_text(encoding="utf-8"))
    made_up = {"load_exponent.py", "test_load_exponent.py", "NAME.py"}
    package = ROOT / "sparselrp_cli"
    rooms = [package / room for room in ("graph", "relevance", "evaluation", "face")]
    places = [ROOT, package, *rooms, ROOT / "tests/graph/operations"]
    missing = [
        name
        for name in named
        if Path(name).name not in made_up and not any((place / name).exists() for place in places)
    ]
    assert named
    assert missing == []
