"""Tensors brought to one shape are copied along axes of length 1."""

import numpy as np
import torch
from oracles.operations import check_conversions, check_refusals

SHAPE = (2, 3, 6)
CONVERSIONS = {
    "the smaller": (lambda x: torch.broadcast_tensors(x[:, :1], x)[0], ["slice", "expand"]),
    "with fewer axes in between": (
        lambda x: torch.broadcast_tensors(x[:, None], x.unsqueeze(2))[1], ["reshape", "expand"]
    ),
    "the larger": (lambda x: torch.broadcast_tensors(x[:, :1], x.relu())[1], ["activation"]),
    "beside a constant": (
        lambda x: torch.broadcast_tensors(torch.ones(1, 3, 1, dtype=x.dtype), x[:, :1])[1],
        ["slice", "expand"],
    ),
}  # fmt: skip
REFUSALS = {
    "a constant": (
        lambda x: torch.broadcast_tensors(torch.ones(1, 3, 1, dtype=x.dtype), x)[0] * x,
        "broadcast_tensors: it brings a constant to the shape of what depends on the sequence; use expand",
    ),
}


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))
