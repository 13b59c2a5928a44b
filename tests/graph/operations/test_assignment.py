"""Assignments to parts of a tensor: the graph holds what was assigned, and for the rest what was there."""

import numpy as np
import torch
from oracles.operations import check_conversions, check_refusals

SHAPE = (2, 3, 6)


def given(assign):
    """A function that assigns to parts of a copy of x (its double)."""

    def function(x):
        y = x * 2
        assign(y, x)
        return y

    return function


def filled(x):
    y = torch.zeros(len(x), 3, 6, dtype=x.dtype)
    y[:, 1:] = x[:, :2]
    y[:, 0, :3] = x[:, 2, 3:]
    return y


def to_slice(y, x):
    y[:, :, 1:3] = x[:, :, :2]


def to_every_second(y, x):
    y[:, :, ::2] = 0


def to_an_entry(y, x):
    y[:, 1] = x[:, 0]


def to_all(y, x):
    y[:] = x.flip(2)


def to_indices(y, x):
    y[:, torch.tensor([2, 0])] = x[:, :2]


def one_to_several(y, x):
    y[:, :, 2:] = x[:, :, :1]


def to_a_mask(y, x):
    y[y < 0] = 0.5


def to_pairs(y, x):
    y[:, torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5])] = x[:, 0, :3]


def to_pairs_that_stand_apart(y, x):
    y.transpose(0, 1)[torch.tensor([0, 2]), :, torch.tensor([5, 1])] = x[:, :2, 0].transpose(0, 1)


def to_a_constant_mask(y, x):
    y[:, torch.tensor([[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]]).bool()] = x[:, 1, :4]


def to_a_mask_of_everything(y, x):
    y[(torch.arange(6) > 2).expand(len(x), 3, 6)] = 0.5


def a_row_to_several(y, x):
    y[:, torch.tensor([0, 2])] = torch.arange(6, dtype=x.dtype)


def upper_triangle(x):
    y = x.new_zeros(len(x), 3, 3)
    y[:, *torch.triu_indices(3, 3)] = x[:, 0]
    return y


def copied_to_part(y, x):
    y[:, 1:, 2:4].copy_(x[:, :1, :1])


def to_part_of_the_samples(y, x):
    y[:1] = 0


def to_a_mask_of_the_samples(y, x):
    y[x[:, 0, 0] > 0] = 0


def to_a_decided_place(y, x):
    y[:, torch.tensor([0, 1, 2]), x[0].argmax(1)] = 0


SCALE, JOINED = ["scale"], ["concatenate", "index-select"]
CONVERSIONS = {
    "zeros filled by slices": (
        filled, ["slice", *JOINED, "slice", "slice", "slice", *JOINED, "reshape", *JOINED]
    ),
    "a slice": (given(to_slice), [*SCALE, "slice", *JOINED]),
    "every second": (given(to_every_second), [*SCALE, *JOINED]),
    "an entry": (given(to_an_entry), [*SCALE, "slice", "reshape", *JOINED]),
    "indices": (given(to_indices), [*SCALE, "slice", *JOINED]),
    "one to several": (given(one_to_several), [*SCALE, "slice", "expand", *JOINED]),
    "a mask": (given(to_a_mask), [*SCALE, "decision", "where"]),
    "all": (given(to_all), ["flip"]),
    "pairs": (given(to_pairs), [*SCALE, "slice", "slice", "reshape", *JOINED, "reshape"]),
    "pairs that stand apart": (
        given(to_pairs_that_stand_apart),
        [*SCALE, "slice", "slice", "permute", "permute", "permute", "reshape", *JOINED, "reshape", "permute",
         "permute"],
    ),
    "a constant mask": (given(to_a_constant_mask), [*SCALE, "slice", "slice", "reshape", *JOINED, "reshape"]),
    "a constant mask of everything": (given(to_a_mask_of_everything), [*SCALE, "where"]),
    "a row to several": (given(a_row_to_several), [*SCALE, *JOINED]),
    "an upper triangle": (upper_triangle, ["slice", *JOINED, "reshape"]),
    "a view": (
        given(copied_to_part), [*SCALE, "slice", "slice", "expand", "slice", *JOINED, *JOINED]
    ),
    "scatter": (
        lambda x: (x * 2).scatter(2, torch.tensor([[1, 0]]).expand(len(x), 3, 2), x),
        [*SCALE, "reshape", "slice", "reshape", *JOINED, "reshape"],
    ),
    "scatter a number": (
        lambda x: (x * 2).scatter(1, torch.zeros(len(x), 1, 6).long(), 0.5),
        [*SCALE, "reshape", *JOINED, "reshape"],
    ),
    "copied to indices": (
        lambda x: (x * 2).index_copy(2, torch.tensor([0, 3]), x[:, :, :2]), [*SCALE, "slice", *JOINED]
    ),
    "filled at indices": (lambda x: (x * 2).index_fill(2, torch.tensor([0, 3]), 0.5), [*SCALE, *JOINED]),
    "a diagonal": (
        lambda x: torch.diagonal_scatter(x * 2, x[:, 0, :3], 1, 1, 2),
        [*SCALE, "slice", "slice", "reshape", *JOINED, "reshape"],
    ),
}  # fmt: skip
REFUSALS = {
    "part of the samples": (
        given(to_part_of_the_samples),
        "slice_scatter: it assigns to part of the samples; treat all of them alike",
    ),
    "in the order of a mask": (
        lambda x: (x * 2).masked_scatter(torch.arange(6) % 2 == 0, x),
        "masked_scatter: write y[:, index] = x with an index that is the same for every sample",
    ),
    "what the sequence decides": (
        given(to_a_decided_place),
        "index_put: only assignments to constant indices, or to one mask, have a rule",
    ),
    "a mask of samples": (
        given(to_a_mask_of_the_samples),
        "index_put: its index is neither constant nor the outcome of a comparison"
    ),
}  # fmt: skip


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))
