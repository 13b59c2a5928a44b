"""Functions that leave their input as it is leave no operation."""

import numpy as np
import torch
from oracles.operations import check_conversions
from torch.nn import functional

SHAPE = (2, 3, 6)
CONVERSIONS = {
    "clone": (lambda x: x.relu().clone(), ["activation"]),
    "contiguous": (lambda x: x.relu().contiguous(), ["activation"]),
    "detach": (lambda x: x.relu().detach(), ["activation"]),
    "dropout": (lambda x: functional.dropout(x.relu(), training=False), ["activation"]),
    "to a type": (lambda x: x.relu().to(torch.float64), ["activation"]),
    "as another": (lambda x: x.relu().type_as(x), ["activation"]),
    "to a whole number": (lambda x: x.relu().int() * x, ["activation", "decision", "product"]),
}


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))
