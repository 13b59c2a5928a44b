"""Chosen indices move neurons; one chosen twice gets what both got."""

import numpy as np
import pytest
import torch
from oracles.operations import SEEDS, Called, Case, check_conversions, check_refusals, check_relevance, moved
from torch.nn import functional

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.operations.index_select import IndexSelect

SHAPE = (2, 3, 6)
CHOSEN = [2, 0, 2]
CASES = {
    "chosen": lambda rng: Case(
        IndexSelect(1, torch.tensor(CHOSEN)), [rng.normal(size=(2, 3, 4))], lambda x: x[:, CHOSEN],
        moved(lambda x: x[:, CHOSEN]),
    ),
}  # fmt: skip
CONVERSIONS = {
    "index select": (lambda x: x.index_select(1, torch.tensor(CHOSEN)), ["index-select"]),
    "index": (lambda x: x[:, :, torch.tensor([-1, 0])], ["index-select"]),
    "pairs": (
        lambda x: x[:, torch.tensor([0, 1, 2]), torch.tensor([5, 1, 0])], ["reshape", "index-select"]
    ),
    "a table of indices": (
        lambda x: x[:, :, torch.tensor([[0, 2], [5, 5]])], ["index-select", "reshape"]
    ),
    "a column with a row": (
        lambda x: x[:, torch.tensor([[2], [0]]), torch.tensor([1, 3, 3])],
        ["reshape", "index-select", "reshape"],
    ),
    "pairs that stand apart": (
        lambda x: x.unsqueeze(2)[:, torch.tensor([0, 2]), :, torch.tensor([5, 1])],
        ["reshape", "permute", "reshape", "index-select"],
    ),
    "a mask of positions": (lambda x: x[:, :, torch.arange(6) % 2 == 0], ["index-select"]),
    "a mask of channels and positions": (
        lambda x: x[:, torch.tensor([[1, 0, 1, 0, 0, 0]] * 2 + [[0] * 6]).bool()], ["reshape", "index-select"]
    ),
    "an upper triangle by a mask, and a layer on it": (
        lambda x: functional.linear(
            (x.unsqueeze(3) + x.unsqueeze(2))[:, :, torch.ones(6, 6).triu(2).bool()],
            torch.ones(2, 10, dtype=x.dtype),
        ),
        ["reshape", "reshape", "add", "reshape", "index-select", "dense"],
    ),
    "each as often as a constant says": (
        lambda x: x.repeat_interleave(torch.tensor([2, 0, 1]), 1), ["index-select"]
    ),
}  # fmt: skip
REFUSALS = {
    "samples": (
        lambda x: x[torch.tensor([0, 1])], "index: it mixes samples or drops the sample axis"
    ),
    "of activations": (
        lambda x: x[:, torch.tensor([0, 1, 2]), x.argmax(2)[0]], "index: only constant indices have a rule"
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))


def test_a_constant_made_of_all_samples_is_refused_with_its_line():
    pooled = Called(lambda x: functional.max_unpool1d(*functional.max_pool1d(x, 2, return_indices=True), 2))
    message = r"has no rule at operations.py:\d+; index and reshape within each sample"
    with pytest.raises(ModelError, match=message):
        capture(pooled, torch.ones(SHAPE))


def test_a_model_that_numbers_its_samples_is_told_what_to_write():
    numbering = Called(lambda x: x[torch.arange(len(x)), 1])
    with pytest.raises(ModelError, match=r"numbers its samples .*; write x\[:, i\] for x\[torch.arange"):
        capture(numbering, torch.ones(SHAPE))
