"""Composites in TOML: which operation gets what, how proportions of layers act, and rules for the input."""

from functools import cache

import numpy as np
import pytest
import torch
from helpers.captures import captured_once
from torch import Tensor, nn

from sparselrp_cli.errors import CompositeError
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.operations.product import Product
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.choices import COMPOSITES
from sparselrp_cli.relevance.composite_text import parse_composite
from sparselrp_cli.relevance.composites import PRESETS, Assignment, Composite
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.explanation import Explanation
from sparselrp_cli.relevance.pruning import NONE, Pruning
from sparselrp_cli.relevance.rules import RULES
from sparselrp_cli.runs.composite_file import find_composite

FIRST = Target("first", (Term(0, 0, None),))
CLOSE = {"rtol": 1e-9, "atol": 1e-11}


class Gated(nn.Module):
    """A stem, two layers that read the same tensor, a gate, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 6, 3)
        self.left, self.right = nn.Conv1d(6, 5, 3), nn.Conv1d(6, 5, 3)
        self.gate = nn.Linear(5, 5)
        self.head = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x).relu()
        pooled = (self.left(h).relu() + self.right(h).relu()).mean(2)
        return self.head(pooled * torch.sigmoid(self.gate(pooled)))


def one_hot(length: int = 12, seed: int = 1) -> Tensor:
    bases = torch.randint(4, (3, length), generator=torch.Generator().manual_seed(seed))
    return nn.functional.one_hot(bases, 4).transpose(1, 2).double()


@pytest.fixture(scope="module")
def module() -> Gated:
    torch.manual_seed(0)
    return Gated().double()


@pytest.fixture(scope="module")
def graph(module) -> CanonicalGraph:
    return captured_once(module, one_hot())


def composite(*lines: str) -> Composite:
    return parse_composite("\n".join(lines), "mine.toml")


def resolved(graph: CanonicalGraph, *lines: str) -> Assignment:
    return composite(*lines).resolve(graph)


def by_module(graph: CanonicalGraph, assignment: Assignment) -> dict[str, str]:
    """The rule of each layer by the path of its module."""
    nodes = graph.by_name()
    return {nodes[name].module: rule.describe() for name, rule in assignment.rules.items()}


def explained(
    graph: CanonicalGraph, rules: Composite, pruning: Pruning, x: Tensor | None = None
) -> Explanation:
    (explanation,) = Explainer(graph, [FIRST], composite=rules, pruning=pruning).explain(
        one_hot() if x is None else x
    )
    return explanation


def test_the_presets_are_those_the_command_line_offers():
    assert list(PRESETS) == list(COMPOSITES)
    assert [preset.name for preset in PRESETS.values()] == list(PRESETS)
    assert all(preset.summary for preset in PRESETS.values())


@pytest.mark.parametrize("name", PRESETS)
def test_extending_a_preset_without_more_is_the_preset(graph, name):
    mine = composite(f'extends = "{name}"')
    assert mine.entries == PRESETS[name].entries
    assert mine.resolve(graph) == PRESETS[name].resolve(graph)


def test_a_composite_is_called_as_it_says_or_as_its_file():
    named = composite('name = "ours"', 'summary = "gamma below"', 'extends = "gamma"')
    assert (named.name, named.summary) == ("ours", "gamma below")
    assert composite('extends = "gamma"').name == "mine.toml"


def test_kinds_choose_layers(graph):
    rules = by_module(
        graph,
        resolved(
            graph,
            "[[rule]]", 'kind = "convolution"', 'rule = "alpha-beta"',
            "[[rule]]", 'kind = "dense"', 'rule = "zero"',
        ),
    )  # fmt: skip
    for path, rule in rules.items():
        assert rule.startswith("alpha-beta" if path in ("stem", "left", "right") else "zero"), path


def test_names_are_patterns_for_the_path_of_a_module(graph):
    rules = by_module(
        graph, resolved(graph, 'extends = "zero"', "[[rule]]", 'name = "head.*"', 'rule = "gamma"')
    )
    assert {path for path, rule in rules.items() if rule.startswith("gamma")} == {"head.0", "head.2"}
    one = resolved(graph, 'extends = "zero"', "[[rule]]", 'name = "[lr]*t"', 'rule = "gamma"')
    marked = {path for path, rule in by_module(graph, one).items() if rule.startswith("gamma")}
    assert marked == {"left", "right"}


def test_a_name_can_be_that_of_a_node(graph):
    name = next(n.name for n in graph.nodes if n.module == "gate" and n.operation.kind == "dense")
    assignment = resolved(graph, 'extends = "zero"', "[[rule]]", f'name = "{name}"', 'rule = "z-plus"')
    assert assignment.rules[name].name == "z-plus"


def test_first_layers_read_the_input_and_after_last_ones_none_comes(graph):
    assignment = resolved(
        graph, 'extends = "epsilon"',
        "[[rule]]", 'position = "first"', 'rule = "flat"',
        "[[rule]]", 'position = "last"', 'rule = "zero"',
    )  # fmt: skip
    rules = {path: rule.split()[0] for path, rule in by_module(graph, assignment).items()}
    assert rules == {
        "stem": "flat", "left": "epsilon", "right": "epsilon", "gate": "epsilon", "head.0": "epsilon",
        "head.2": "zero",
    }  # fmt: skip


def test_earlier_entries_come_before_later_ones_and_before_the_preset(graph):
    assignment = resolved(
        graph, 'extends = "epsilon-plus-flat"',
        "[[rule]]", 'name = "left"', 'rule = "zero"',
        "[[rule]]", 'kind = "convolution"', 'rule = "gamma"',
    )  # fmt: skip
    rules = {path: rule.split()[0] for path, rule in by_module(graph, assignment).items()}
    assert (rules["stem"], rules["left"], rules["right"]) == ("gamma", "zero", "gamma")
    assert rules["gate"] == "epsilon", "what no entry is for comes from the preset"


@pytest.mark.parametrize(
    ("lines", "described"),
    [
        (('rule = "gamma"', "gamma = 0.5", "epsilon = 0"), "gamma (epsilon=0, gamma=0.5)"),
        (('rule = "epsilon"', "epsilon = 1"), "epsilon (epsilon=1)"),
        (('rule = "alpha-beta"', "alpha = 1", "beta = 0"), "alpha-beta (epsilon=1e-06, alpha=1, beta=0)"),
        (('rule = "z-plus"',), "z-plus (epsilon=1e-06)"),
    ],
)
def test_parameters_reach_the_rule(graph, lines, described):
    assert set(by_module(graph, resolved(graph, "[[rule]]", *lines)).values()) == {described}


@pytest.mark.parametrize(
    "box",
    [
        ("low = -1", "high = 0.5", "(epsilon=1e-06, low=-1, high=0.5)"),
        ("", "", "(epsilon=1e-06, low=0, high=1)"),
    ],
)
def test_the_box_of_z_box_is_written_beside_it(graph, box):
    low, high, described = box
    lines = ('extends = "zero"', "[[rule]]", 'position = "first"', 'rule = "z-box"', low, high)
    assert by_module(graph, resolved(graph, *lines))["stem"] == f"z-box {described}"


def test_a_products_rule_is_chosen_by_kind(graph):
    gated = [n for n in graph.nodes if isinstance(n.operation, Product)]
    assert [n.operation.gate for n in gated] == [1]
    base = 'extends = "epsilon-plus"'
    default = resolved(graph, base)
    assert list(default.products.values()) == ["signal-take-all"]
    uniform = resolved(graph, base, "[[rule]]", 'kind = "product"', 'rule = "uniform"')
    assert list(uniform.products.values()) == ["uniform"]
    changed = uniform.applied(graph).by_name()[gated[0].name].operation
    assert (changed.rule, changed.passes) == ("uniform", "half to each factor (uniform)")
    assert gated[0].operation.rule == "signal-take-all", "the graph itself is left as it was"


def test_a_uniform_product_gives_the_gate_its_half(graph):
    uniform = composite('extends = "zero"', "[[rule]]", 'kind = "product"', 'rule = "uniform"')
    plain, halved = explained(graph, PRESETS["zero"], NONE), explained(graph, uniform, NONE)
    assert not torch.allclose(plain.contributions, halved.contributions)
    for explanation in (plain, halved):
        assert float(explanation.conservation_error.max()) < 1e-9


# Proportions of layers.


def kept(explanation: Explanation) -> dict[str, list[int]]:
    return {layer.tensor: layer.kept.tolist() for layer in explanation.ledger.pruned_layers}


def read_by(graph: CanonicalGraph, path: str) -> str:
    """The pruned tensor that a module's layer reads."""
    explainer = Explainer(graph, [FIRST], composite=PRESETS["epsilon-plus"])
    layers = {n.name for n in explainer.program.graph.nodes if n.module == path}
    plan = explainer.program.plan.tensors
    return next(tensor for tensor, readers in plan.items() if layers & set(readers))


@pytest.mark.parametrize("redistribute", ["lambda", "m"])
def test_a_proportion_for_a_layer_changes_what_that_layer_reads_and_no_other(graph, redistribute):
    run = Pruning(0.2, redistribute=redistribute)
    mine = composite(
        'extends = "epsilon-plus"', "[[rule]]", 'name = "head.0"', "prune = 0.8", "prune-negative = 0.7"
    )
    explainer = Explainer(graph, [FIRST], composite=mine, pruning=run)
    changed = read_by(graph, "head.0")
    for tensor, pruning in explainer.program.pruning.items():
        own = Pruning(0.8, 0.7, redistribute=redistribute)
        assert pruning == (own if tensor == changed else run), tensor


def test_a_harder_pruned_layer_keeps_fewer_and_those_above_keep_the_same(graph):
    run = Pruning(0.2)
    mine = composite('extends = "epsilon-plus"', "[[rule]]", 'name = "left"', "prune = 0.9")
    both = composite('extends = "epsilon-plus"', "[[rule]]", 'name = "[lr]*t"', "prune = 0.9")
    plain, own = kept(explained(graph, PRESETS["epsilon-plus"], run)), kept(explained(graph, both, run))
    shared = read_by(graph, "left")
    assert shared == read_by(graph, "right")
    for tensor in plain:
        if tensor == shared:
            assert sum(own[tensor]) < sum(plain[tensor])
        else:
            assert own[tensor] == plain[tensor], "tensors nearer to the output"
    assert kept(explained(graph, mine, run)) == plain, "the other reader is milder, and the mildest counts"


def test_of_two_readers_the_mildest_counts_also_where_both_say_so(graph):
    mine = composite(
        'extends = "epsilon-plus"',
        "[[rule]]", 'name = "left"', "prune = 0.6",
        "[[rule]]", 'name = "right"', "prune = 0.4",
    )  # fmt: skip
    explainer = Explainer(graph, [FIRST], composite=mine, pruning=Pruning(0.8))
    assert explainer.program.pruning[read_by(graph, "left")] == Pruning(0.4)


def test_a_proportion_is_milder_than_an_automatic_one(graph):
    mine = composite('extends = "epsilon-plus"', "[[rule]]", 'name = "left"', "prune = 0.6")
    explainer = Explainer(graph, [FIRST], composite=mine, pruning=Pruning(automatic=True))
    shared = read_by(graph, "left")
    for tensor, pruning in explainer.program.pruning.items():
        assert pruning == (Pruning(0.6) if tensor == shared else Pruning(automatic=True)), tensor


def test_a_layer_with_proportion_zero_isnt_pruned(graph):
    mine = composite('extends = "epsilon-plus"', "[[rule]]", 'name = "head.*"', "prune = 0")
    found = kept(explained(graph, mine, Pruning(0.3)))
    everywhere = kept(explained(graph, PRESETS["epsilon-plus"], Pruning(0.3)))
    assert set(everywhere) - set(found) == {read_by(graph, "head.0"), read_by(graph, "head.2")}


def test_a_run_without_pruning_prunes_nowhere_whatever_layers_say(graph):
    mine = composite('extends = "epsilon-plus"', "[[rule]]", 'name = "*"', "prune = 0.9")
    unpruned, plain = explained(graph, mine, Pruning(0.0)), explained(graph, PRESETS["epsilon-plus"], NONE)
    assert unpruned.ledger.pruned_layers == []
    assert torch.equal(unpruned.hypothetical, plain.hypothetical)


def test_a_proportion_leaves_the_rule_to_later_entries(graph):
    mine = resolved(graph, 'extends = "zero"', "[[rule]]", 'name = "left"', "prune = 0.5")
    assert by_module(graph, mine)["left"] == "zero (epsilon=0)"
    assert list(mine.prunings.values()) == [(0.5, None)]


def test_a_name_that_nothing_has_is_said(graph, caplog):
    resolved(graph, 'name = "ours"', 'extends = "zero"', "[[rule]]", 'name = "trunk.*"', 'rule = "gamma"')
    assert caplog.messages == ["composite 'ours': no operation is called 'trunk.*'"]


# Messages.

RULE = "mine.toml, rule 1: "


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("rule = [[",), "mine.toml: not TOML ("),
        ((), "mine.toml: no rule in it"),
        (('name = "ours"',), "mine.toml: no rule in it"),
        (("rules = 1",), "mine.toml: unknown key 'rules'; did you mean 'rule'?"),
        (('extend = "zero"',), "mine.toml: unknown key 'extend'; did you mean 'extends'?"),
        (("zzz = 1",), "mine.toml: unknown key 'zzz'; known are name, summary, extends, select, rule"),
        (("rule = 1",), "mine.toml: rules are written as tables [[rule]]"),
        (("rule = [1, 2]",), "mine.toml: rules are written as tables [[rule]]"),
        (("extends = 3",), f"mine.toml: extends '3'; the presets are {', '.join(PRESETS)}"),
        (("[[rule]]", 'rule = "zplus"'), f"{RULE}unknown rule 'zplus'; did you mean 'z-plus'?"),
        (("[[rule]]", 'rule = "unifrm"'), f"{RULE}unknown rule 'unifrm'; did you mean 'uniform'?"),
        (
            ("[[rule]]", "rule = 7"),
            f"{RULE}unknown rule '7'; the rules are {', '.join(RULES)}, signal-take-all, uniform",
        ),
        (("[[rule]]", "prun = 0.1"), f"{RULE}unknown key 'prun'; did you mean 'prune'?"),
        (
            ("[[rule]]", 'rule = "zero"', "prune_negative = 0.1"),
            f"{RULE}unknown key 'prune_negative'; did you mean 'prune-negative'?",
        ),
        (
            ("[[rule]]", 'rule = "epsilon"', "alpha = 1"),
            f"{RULE}unknown key 'alpha'; known are kind, name, position, prune, prune-negative, rule, eps",
        ),
        (("[[rule]]", 'rule = "epsilon"', "epsilon = true"), f"{RULE}'epsilon' must be a number"),
        (("[[rule]]", 'rule = "epsilon"', "epsilon = -1"), f"{RULE}'epsilon' must be 0 or more"),
        (("[[rule]]", 'rule = "gamma"', "gamma = -0.1"), f"{RULE}'gamma' must be 0 or more"),
        (
            ("[[rule]]", 'rule = "alpha-beta"', "alpha = 0.5", "beta = -0.5"),
            f"{RULE}alpha-beta needs alpha - beta = 1 and beta >= 0, not 0.5, -0.5",
        ),
        (("[[rule]]", 'rule = "z-box"', "high = -1"), f"{RULE}z-box needs low < high, not 0, -1"),
        (("[[rule]]", 'rule = "zero"', 'position = "start"'), f"{RULE}position 'start'; it is first or last"),
        (
            ("[[rule]]", 'rule = "zero"', 'kind = "linear"'),
            f"{RULE}kind 'linear'; it is convolution, dense or product",
        ),
        (("[[rule]]", 'rule = "zero"', "name = 1"), f"{RULE}'name' must be a text, a pattern such as"),
        (("[[rule]]", 'rule = "uniform"'), f"{RULE}rule 'uniform' is for products; add kind = \"product\""),
        (
            ("[[rule]]", 'rule = "signal-take-all"', 'kind = "dense"'),
            f"{RULE}rule 'signal-take-all' is for products; add kind = \"product\"",
        ),
        (("[[rule]]", 'name = "stem"'), f"{RULE}needs 'rule' or 'prune'"),
        (("[[rule]]", "prune = 1"), f"{RULE}'prune' must be a proportion, 0 <= p < 1"),
        (("[[rule]]", "prune = -0.1"), f"{RULE}'prune' must be a proportion, 0 <= p < 1"),
        (("[[rule]]", "prune = nan"), f"{RULE}'prune' must be a proportion, 0 <= p < 1"),
        (("[[rule]]", 'prune = "auto"'), f"{RULE}'prune' must be a proportion, 0 <= p < 1"),
        (("[[rule]]", "prune = true"), f"{RULE}'prune' must be a proportion, 0 <= p < 1"),
        (
            ("[[rule]]", "prune = 0.5", "prune-negative = 2"),
            f"{RULE}'prune-negative' must be a proportion, 0 <= p < 1",
        ),
        (
            ("[[rule]]", 'rule = "zero"', "prune-negative = 0.5"),
            f"{RULE}'prune-negative' goes with 'prune'",
        ),
        (
            ("[[rule]]", 'rule = "zero"', "[[rule]]", 'rule = "one"'),
            "mine.toml, rule 2: unknown rule 'one'; ",
        ),
    ],
)
def test_every_fault_of_a_composite_is_said_with_its_place(lines, message):
    with pytest.raises(CompositeError) as caught:
        composite(*lines)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.parametrize(
    ("rule", "key"),
    [
        ("epsilon", "epsilon"),
        ("gamma", "gamma"),
        ("z-box", "high"),
        ("z-box", "low"),
        ("alpha-beta", "alpha"),
    ],
)
def test_a_parameter_that_isnt_a_finite_number_is_refused(rule, key, value):
    with pytest.raises(CompositeError, match=rf"rule 1: .*{key}|needs"):
        composite("[[rule]]", f'rule = "{rule}"', f"{key} = {value}")


@pytest.mark.parametrize("rule", ["w-square", "flat", "z-box"])
def test_a_rule_for_the_input_is_refused_where_a_layer_reads_something_else(graph, rule):
    with pytest.raises(CompositeError) as caught:
        resolved(graph, 'name = "ours"', 'extends = "zero"', "[[rule]]", 'name = "left"', f'rule = "{rule}"')
    message = str(caught.value)
    assert message.startswith(f"composite 'ours' gives rule '{rule}' to the layer at module 'left'")
    assert message.endswith('it suits only those that do (position = "first")')


def test_a_layer_that_gets_no_rule_is_named(graph):
    with pytest.raises(
        CompositeError, match=r"^composite 'mine.toml' has no rule for the dense layer at mod"
    ):
        resolved(graph, "[[rule]]", 'kind = "convolution"', 'rule = "zero"')


def test_a_composite_is_found_by_its_preset_or_its_file(tmp_path):
    assert find_composite("gamma") is PRESETS["gamma"]
    path = tmp_path / "mine.toml"
    path.write_text('name = "ours"\nextends = "gamma"', encoding="utf-8")
    assert find_composite(str(path)).name == "ours"


def test_a_file_that_isnt_there_or_isnt_text_is_said(tmp_path):
    missing = tmp_path / "none.toml"
    with pytest.raises(
        CompositeError, match=r"none.toml': neither a file nor one of epsilon-plus, epsilon, "
    ):
        find_composite(str(missing))
    damaged, large = tmp_path / "damaged.toml", tmp_path / "large.toml"
    damaged.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CompositeError, match=r"damaged.toml: can't be read \("):
        find_composite(str(damaged))
    large.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(CompositeError, match=r"large.toml: larger than 1 MiB, so not a composite"):
        find_composite(str(large))


# Rules that give relevance to what isn't there.


class Scan(nn.Module):
    """One convolution, whose channels and positions are added up."""

    def __init__(self, padding: int = 0) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, 3, 5, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        return self.scan(x).sum((1, 2))[:, None]


@cache
def scan(seed: int, padding: int = 0) -> tuple[Scan, CanonicalGraph]:
    torch.manual_seed(seed)
    module = Scan(padding).double()
    return module, captured_once(module, one_hot())


INPUT_RULES = ("flat", "w-square", "z-box")


def only(rule: str) -> Composite:
    return composite("[[rule]]", f'rule = "{rule}"', "epsilon = 0")


def input_weights(rule: str, W: np.ndarray, a: np.ndarray) -> np.ndarray:  # noqa: N803
    """Contributions of one window of bases (4, width) to one channel."""
    if rule == "flat":
        return np.ones_like(W)
    if rule == "w-square":
        return W**2
    return a * W - np.minimum(W, 0)


def relevance_of_positions(rule: str, module: Scan, x: np.ndarray, padding: int) -> np.ndarray:
    """Each position's relevance, over all four bases: shape (L,), window by window and channel by channel."""
    W, b = (p.detach().numpy() for p in (module.scan.weight, module.scan.bias))  # noqa: N806
    length, width = x.shape[1], W.shape[2]
    r = np.zeros(length)
    for start in range(-padding, length + padding - width + 1):
        places = range(start, start + width)
        inside = [k for k, p in enumerate(places) if 0 <= p < length]
        window = np.zeros((4, width))
        window[:, inside] = x[:, [places[k] for k in inside]]
        for w, bias in zip(W, b, strict=True):
            score = (w * window).sum() + bias
            # What lies outside of the sequence is no input, so it takes part in nothing.
            z = input_weights(rule, w, window)[:, inside]
            for i, k in enumerate(inside):
                r[places[k]] += z[:, i].sum() / z.sum() * score
    return r


@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("rule", INPUT_RULES)
def test_a_position_gets_the_relevance_of_its_four_bases_on_the_one_that_is_there(rule, padding):
    for seed in range(3):
        module, graph = scan(seed, padding)
        x = one_hot(seed=seed)
        explanation = explained(graph, only(rule), NONE, x)
        for n in range(len(x)):
            expected = relevance_of_positions(rule, module, x[n].numpy(), padding)
            found = explanation.contributions[n].sum(0).numpy()
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
        assert float(explanation.conservation_error.max()) < 1e-9


def test_flat_gives_every_base_position_of_a_receptive_field_the_same():
    torch.manual_seed(2)
    module = nn.Sequential(nn.Conv1d(4, 3, 5), nn.Flatten(), nn.Linear(3, 1)).double()
    x = one_hot(5)
    mine = composite('extends = "epsilon"', "[[rule]]", 'position = "first"', 'rule = "flat"')
    explanation = explained(captured_once(module, x), mine, NONE, x)
    at_positions = explanation.contributions.sum(1)
    torch.testing.assert_close(at_positions, at_positions[:, :1].expand(3, 5), **CLOSE)
    assert at_positions.abs().min() > 0
    hypothetical = explanation.hypothetical
    torch.testing.assert_close(hypothetical, hypothetical[:, :1, :1].expand(3, 4, 5), **CLOSE)


@pytest.mark.parametrize("rule", INPUT_RULES)
def test_an_unknown_bases_share_is_absorbed_and_the_others_keep_theirs(rule):
    module, graph = scan(1)
    x = one_hot()
    x[0, :, 3:6] = 0
    x[1, :, 0] = 0
    explanation = explained(graph, only(rule), NONE, x)
    assert not explanation.contributions[0, :, 3:6].any()
    assert not explanation.contributions[1, :, 0].any()
    for n, unknown in enumerate(([3, 4, 5], [0], [])):
        r = relevance_of_positions(rule, module, x[n].numpy(), 0)
        assert float(explanation.absorbed[n]) == pytest.approx(r[unknown].sum(), rel=1e-9, abs=1e-11)
        known = np.delete(explanation.contributions[n].sum(0).numpy(), unknown)
        np.testing.assert_allclose(known, np.delete(r, unknown), rtol=1e-9, atol=1e-11)
    assert float(explanation.conservation_error.max()) < 1e-9


@pytest.mark.parametrize("pruning", [NONE, Pruning(0.3), Pruning(0.3, redistribute="m")], ids=str)
@pytest.mark.parametrize("rule", INPUT_RULES)
def test_rules_for_the_input_conserve_in_a_network_with_unknown_bases(graph, rule, pruning):
    mine = composite('extends = "epsilon-plus"', "[[rule]]", 'position = "first"', f'rule = "{rule}"')
    x = one_hot()
    x[:, :, 4:6] = 0
    explanation = explained(graph, mine, pruning, x)
    assert not explanation.contributions[:, :, 4:6].any()
    assert float(explanation.conservation_error.max()) < 1e-9
