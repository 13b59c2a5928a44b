"""The engine on the zoo: every architecture is traced, audited, explained and conserved."""

import functools

import numpy as np
import pytest
import torch

from sparselrp_cli.evaluation.mutagenesis import SingleChanges, effects
from sparselrp_cli.graph.capture import check_against_module
from sparselrp_cli.graph.loaded import capture_model, load_model
from sparselrp_cli.graph.packed.writing import Packing, write_packed
from sparselrp_cli.graph.targets import TargetParser
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.relevance.choices import COMPOSITE
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.relevance.scoring import Scorer
from zoo.architectures import ZOO
from zoo.checks import (
    PRUNINGS,
    SETTINGS,
    Case,
    check_accounts,
    check_graph,
    check_relevance_arrives,
    check_rules,
)
from zoo.entry import Entry

# With a session's scope, the tests of an entry follow each other in all files, in one worker.
every_entry = pytest.mark.parametrize("entry", ZOO, ids=lambda entry: entry.name, scope="session")
piecewise_linear = pytest.mark.parametrize(
    "entry", [entry for entry in ZOO if entry.piecewise_linear], ids=lambda entry: entry.name, scope="session"
)


@functools.cache
def case(entry: Entry) -> Case:
    """A network in float32, whose graph and all that is compared are in float64."""
    return Case.of(entry.build().float(), entry.windows(3), entry.targets, entry.axes)


def test_every_entry_has_a_name_of_its_own_and_takes_windows_as_documented():
    assert len({entry.name for entry in ZOO}) == len(ZOO)
    for entry in ZOO:
        assert entry.layout == "NCL"
        assert entry.windows(3).shape == (3, 4, entry.window)


@every_entry
def test_building_an_entry_twice_gives_the_same_weights(entry):
    first, second = entry.build().state_dict(), entry.build().state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@every_entry
def test_the_canonical_graph_computes_what_the_module_computes(entry):
    check_graph(case(entry))


@every_entry
def test_a_graph_traced_in_float32_has_all_digits_in_float64(entry):
    traced = case(entry)
    assert {t.dtype for t in traced.state.values() if t.is_floating_point()} <= {torch.float32}
    differences = check_against_module(traced.graph, traced.module, traced.windows)
    assert max(differences.values()) < 1e-12


@every_entry
def test_a_packed_folder_gives_the_same_bytes_as_the_model_itself(entry, tmp_path):
    traced = case(entry)
    # As a run has it: traced and explained in float32.
    graph = traced.graph.to(traced.graph.device, torch.float32)
    write_packed(Packing(entry.name, entry.window, InputLayout(), traced.names, graph), tmp_path / "packed")
    packed = load_model(ModelRequest(str(tmp_path / "packed")))
    again = capture_model(packed)
    ours, theirs = (
        Explainer(
            g,
            traced.targets,
            traced.names,
            PRESETS[COMPOSITE],
            Pruning(0.05),
            centre=(0.25,) * 4,
        ).explain(traced.windows.float())
        for g in (graph, again)
    )
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one.score, other.score)
        assert torch.equal(one.hypothetical, other.hypothetical)
    ours, theirs = (g.to(g.device, torch.float64).evaluate(traced.windows) for g in (traced.graph, again))
    assert all(torch.equal(ours[output.node], theirs[output.node]) for output in again.outputs)


@every_entry
def test_every_operation_has_a_rule(entry):
    check_rules(case(entry))


@every_entry
def test_relevance_is_conserved_to_the_accounting(entry):
    for composite, pruning in SETTINGS:
        for explanation in case(entry).explain(composite, PRUNINGS[pruning]):
            check_accounts(explanation, f"{composite}, pruning {pruning}")


@every_entry
def test_relevance_arrives_at_every_window(entry):
    check_relevance_arrives(case(entry))


@pytest.mark.parametrize("pruning", [Pruning(0.0), Pruning(0.25)], ids=str)
@every_entry
def test_windows_are_explained_together_as_one_by_one(entry, pruning):
    explainer, x = case(entry).explainer("epsilon-plus", pruning), case(entry).windows
    together = case(entry).explain("epsilon-plus", pruning)[-1]
    alone = [explainer.explain(row[None])[-1] for row in x]
    one_by_one = torch.cat([explanation.hypothetical for explanation in alone])
    scale = float(together.hypothetical.abs().max())
    torch.testing.assert_close(one_by_one, together.hypothetical, rtol=1e-9, atol=1e-9 * scale)


@every_entry
def test_single_changes_have_the_effects_of_whole_windows(entry):
    """Computed from what they change, at both ends and in the middle of a window; the rest is unknown."""
    explainer = case(entry).explainer("epsilon-plus", Pruning(0.0))
    one_hot = case(entry).windows[0].numpy().astype(np.uint8)
    middle = entry.window // 2
    one_hot[:, 2 : middle - 1] = one_hot[:, middle + 1 : -2] = 0
    for target in range(len(explainer.targets)):
        fast = SingleChanges(explainer, InputLayout(), target)
        fast.positions = 5
        slow = effects(one_hot, Scorer(explainer, InputLayout(), target).scores)
        scale = max(1, np.abs(slow).max())
        np.testing.assert_allclose(fast.effects(one_hot), slow, rtol=0, atol=1e-9 * scale)


@every_entry
def test_the_users_module_is_left_as_it_was(entry):
    traced = case(entry)
    traced.explainer("epsilon-plus", Pruning(0.25)).explain(traced.windows)
    after = traced.traced.state_dict()
    assert after.keys() == traced.state.keys()
    assert all(torch.equal(after[key], value) for key, value in traced.state.items())
    assert not traced.traced.training
    assert not any(m._forward_hooks or m._backward_hooks for m in traced.traced.modules())


@piecewise_linear
def test_rule_zero_is_gradient_times_input(entry):
    traced = case(entry)
    leaf = traced.windows.clone().requires_grad_()
    answers = torch.utils._pytree.tree_leaves(traced.module(leaf))
    outputs = traced.explained.outputs
    values = {output.node: y for output, y in zip(outputs, answers, strict=True)}
    fixed = {name: y.detach() for name, y in values.items()}
    explanations = traced.explain("zero", Pruning(0.0))
    for target, explanation in zip(traced.targets, explanations, strict=True):
        seeds = target.seeds(outputs, traced.names, fixed)
        score = sum((values[name] * seed).sum() for name, seed in seeds.items())
        (gradient,) = torch.autograd.grad(score, leaf, retain_graph=True)
        expected = gradient * traced.windows
        scale = float(expected.abs().max())
        torch.testing.assert_close(explanation.contributions, expected, rtol=1e-8, atol=1e-8 * scale)


@every_entry
def test_every_example_of_a_target_can_be_typed_for_it(entry):
    traced = case(entry)
    parser = TargetParser(traced.explained.outputs, traced.names)
    answers = torch.utils._pytree.tree_leaves(traced.module(traced.windows))
    values = {o.node: y.detach() for o, y in zip(parser.outputs, answers, strict=True)}
    examples = parser.examples()
    assert len({text.partition("/")[0] for text in examples if "/" in text}) in (0, len(parser.outputs))
    for text in examples:
        seeds = parser.parse(text).seeds(parser.outputs, parser.names, values)
        assert any(bool((seed != 0).any()) for seed in seeds.values()), text
    assert examples


@every_entry
def test_what_is_computed_again_gives_the_same_bytes(entry):
    traced = case(entry)
    kept, again = (
        Explainer(traced.graph, traced.targets, traced.names, pruning=Pruning(0.05), memory=memory)
        for memory in (2**60, 0)
    )
    assert not kept.keeping(len(traced.windows)).again
    # Of few nodes there is nothing to be gained.
    assert again.keeping(len(traced.windows)).again or len(traced.graph.nodes) < 12
    for one, other in zip(kept.explain(traced.windows), again.explain(traced.windows), strict=True):
        assert torch.equal(one.score, other.score)
        assert torch.equal(one.hypothetical, other.hypothetical)
