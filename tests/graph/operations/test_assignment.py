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


def to_part_of_the_samples(y, x):
    y[:1] = 0


def to_a_mask_of_the_samples(y, x):
    y[x[:, 0, 0] > 0] = 0


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
}  # fmt: skip
REFUSALS = {
    "part of the samples": (
        given(to_part_of_the_samples),
        "slice_scatter: it assigns to part of the samples; treat all of them alike",
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
