"""Composites that users write."""

import pytest
import torch
from torch import nn

from sparselrp_cli.cli.options import COMPOSITES
from sparselrp_cli.composite_file import find_composite
from sparselrp_cli.errors import CompositeError
from sparselrp_cli.model.capture import capture
from sparselrp_cli.model.targets import Target, Term
from sparselrp_cli.relevance.composite_text import parse_composite
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE, Pruning

FIRST = Target("first", (Term(0, 0, None),))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.trunk = (
            nn.Conv1d(4, 6, 3),
            nn.Sequential(nn.Conv1d(6, 6, 3), nn.ReLU(), nn.Conv1d(6, 5, 3)),
        )
        self.head = nn.Linear(5 * 6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.trunk(self.stem(x).relu()).relu().flatten(1))


@pytest.fixture(scope="module")
def graph():
    torch.manual_seed(0)
    return capture(Net().double(), one_hot())


def one_hot() -> torch.Tensor:
    bases = torch.randint(4, (3, 12), generator=torch.Generator().manual_seed(1))
    return nn.functional.one_hot(bases, 4).transpose(1, 2).double()


def rules(graph, text: str) -> list[str]:
    return [r.describe() for r in parse_composite(text, "mine.toml").resolve(graph).rules.values()]


def test_the_command_line_knows_every_preset():
    assert tuple(PRESETS) == COMPOSITES


def test_the_first_entry_that_fits_counts(graph):
    text = """
        extends = "epsilon-plus"
        [[rule]]
        position = "first"
        rule = "z-box"
        [[rule]]
        name = "trunk.*"
        kind = "convolution"
        rule = "gamma"
        gamma = 0.1
        [[rule]]
        position = "last"
        rule = "epsilon"
        epsilon = 0.01
    """
    assert rules(graph, text) == [
        "z-box (epsilon=1e-06, low=0, high=1)", "gamma (epsilon=1e-06, gamma=0.1)",
        "gamma (epsilon=1e-06, gamma=0.1)", "epsilon (epsilon=0.01)",
    ]  # fmt: skip


def test_a_layer_can_have_a_proportion_of_its_own(graph):
    text = 'extends = "epsilon-plus"\n[[rule]]\nname = "trunk.2"\nprune = 0.9\nprune-negative = 0.8'
    composite = parse_composite(text, "mine.toml")

    def kept(composite, pruning):
        (explanation,) = Explainer(graph, [FIRST], composite=composite, pruning=pruning).explain(one_hot())
        return {layer.tensor: int(layer.kept.sum()) for layer in explanation.ledger.pruned_layers}

    plain, own = kept(PRESETS["epsilon-plus"], Pruning(0.1)), kept(composite, Pruning(0.1))
    head = next(iter(plain))
    assert plain[head] == own[head]
    assert sum(own.values()) < sum(plain.values())
    assert kept(composite, NONE) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rule = ", r"mine.toml: not TOML"),
        ("", r"mine.toml: no rule in it"),
        ("colour = 1", r"mine.toml: unknown key 'colour'; known are name, summary, extends, rule"),
        ('extends = "best"', r"mine.toml: extends 'best'; the presets are epsilon-plus"),
        ('[rule]\nrule = "zero"', r"mine.toml: rules are written as tables \[\[rule\]\]"),
        ('[[rule]]\nrule = "gama"', r"mine.toml, rule 1: unknown rule 'gama'; did you mean 'gamma'\?"),
        ('[[rule]]\nrule = "gamma"\ngama = 1', r"unknown key 'gama'; did you mean 'gamma'\?"),
        ('[[rule]]\nrule = "gamma"\ngamma = -1', r"'gamma' must be 0 or more"),
        ('[[rule]]\nrule = "epsilon"\nepsilon = "small"', r"'epsilon' must be a number"),
        ('[[rule]]\nrule = "alpha-beta"\nalpha = 3', r"alpha - beta = 1"),
        ('[[rule]]\nrule = "z-box"\nlow = 2', r"needs low < high"),
        ('[[rule]]\nrule = "zero"\nposition = "middle"', r"position 'middle'; it is first or last"),
        ('[[rule]]\nrule = "zero"\nkind = "pool"', r"kind 'pool'; it is convolution, dense or product"),
        ('[[rule]]\nrule = "uniform"', r"rule 'uniform' is for products; add kind = \"product\""),
        ('[[rule]]\nkind = "dense"', r"needs 'rule' or 'prune'"),
        ("[[rule]]\nprune = 1.0", r"'prune' must be a proportion, 0 <= p < 1"),
        ("[[rule]]\nprune-negative = 0.1", r"'prune-negative' goes with 'prune'"),
        ('[[rule]]\nrule = "zero"\nname = 3', r"'name' must be a text"),
    ],
)
def test_a_composite_that_cant_be_read_says_why(text, message):
    with pytest.raises(CompositeError, match=message):
        parse_composite(text, "mine.toml")


def test_a_rule_for_the_input_is_refused_elsewhere(graph):
    with pytest.raises(
        CompositeError, match=r"gives rule 'flat' to the layer at module 'trunk.0'.*position = \"first\""
    ):
        parse_composite('[[rule]]\nrule = "flat"', "mine.toml").resolve(graph)


def test_a_layer_without_a_rule_is_named(graph):
    with pytest.raises(CompositeError, match=r"no rule for the dense layer at module 'head'"):
        parse_composite('[[rule]]\nrule = "zero"\nkind = "convolution"', "mine.toml").resolve(graph)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        CompositeError, match=r"composite 'none.toml': neither a file nor one of epsilon-plus"
    ):
        find_composite("none.toml")
    path = tmp_path / "mine.toml"
    path.write_text('extends = "zero"')
    assert find_composite(str(path)).entries == PRESETS["zero"].entries


@pytest.mark.parametrize("name", ["epsilon-plus-flat", "epsilon-plus-box", "epsilon-plus-w-square"])
def test_what_an_unknown_base_would_get_is_absorbed(graph, name):
    x = one_hot()
    x[:, :, 4:6] = 0
    (explanation,) = Explainer(graph, [FIRST], composite=PRESETS[name], pruning=NONE).explain(x)
    assert not explanation.contributions[:, :, 4:6].any()
    assert float(explanation.conservation_error.max()) < 1e-9
