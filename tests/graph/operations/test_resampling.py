# ruff: noqa: N806 -- M is the matrix of a linear map
"""Values read at constant places are a linear map of those beside them."""

import numpy as np
import pytest
import torch
from oracles.operations import Case, check_conversions, check_refusals, check_relevance, linear_map, tensor
from torch.nn import functional

from sparselrp_cli.graph.aten_call import Place
from sparselrp_cli.graph.operations.homogeneous import Homogeneous
from sparselrp_cli.graph.operations.resampling import resampled

SHAPE = (2, 4, 6)
PLACES = np.array([-1.0, -0.7, 0.1, 0.9])
GRID = np.stack([PLACES, np.zeros(4)], -1)[None, None]


def weights(length: int) -> np.ndarray:
    """Of linear interpolation, the corners at -1 and 1, as a loop over places."""
    M = np.zeros((len(PLACES), length))
    for k, place in enumerate((PLACES + 1) / 2 * (length - 1)):
        left = min(int(place), length - 2)
        M[k, left], M[k, left + 1] = left + 1 - place, place - left
    return M


def linear(rng: np.random.Generator) -> Case:
    forward, oracle = linear_map(weights(6))
    arguments = (
        ("x", Place(0)), ("grid", tensor(GRID)), ("mode", 0), ("padding", 0), ("aligned", True)
    )  # fmt: skip
    return Case(
        Homogeneous(resampled, arguments, "resample"), [rng.normal(size=(2, 3, 1, 6))], forward, oracle
    )


def read(x: torch.Tensor, **given: object) -> torch.Tensor:
    grid = tensor(GRID).expand(len(x), -1, -1, -1)
    return functional.grid_sample(x[:, :, None], grid, align_corners=True, **given)


CONVERSIONS = {
    "linear": (read, ["reshape", "homogeneous"]),
    "nearest": (lambda x: read(x, mode="nearest", padding_mode="border"), ["reshape", "homogeneous"]),
    "cubic": (lambda x: read(x, mode="bicubic", padding_mode="reflection"), ["reshape", "homogeneous"]),
    "by an affine map": (
        lambda x: functional.grid_sample(
            x[:, :, None],
            functional.affine_grid(
                torch.eye(2, 3, dtype=x.dtype).expand(len(x), -1, -1), [len(x), 4, 1, 9], align_corners=False
            ),
            align_corners=False,
        ),
        ["reshape", "homogeneous"],
    ),
}
REFUSALS = {
    "at places of the sequence": (
        lambda x: functional.grid_sample(
            x[:, :, None], x[:, None, :, :2].sigmoid(), align_corners=True
        ),
        "grid_sampler: the places that it reads depend on the sequence; only constant places have a rule",
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1])
def test_relevance_follows_its_formula_and_is_conserved(seed):
    check_relevance(linear, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))
