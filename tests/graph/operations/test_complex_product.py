"""Products of pairs of numbers with complex constants: the linear map that they are."""

import numpy as np
import torch
from oracles.operations import check_conversions

SHAPE = (2, 3, 6)
TURN = torch.polar(torch.ones(3, dtype=torch.float64), torch.arange(3, dtype=torch.float64))
KINDS = ["reshape", "scale", "flip", "scale", "add", "reshape"]


def turned(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return torch.view_as_real(torch.view_as_complex(x.reshape(*x.shape[:-1], 3, 2)) * factor).flatten(-2)


CONVERSIONS = {
    "turned, as rotary positions are": (lambda x: turned(x, TURN), KINDS),
    "turned back": (lambda x: turned(x, TURN.conj()), KINDS),
    "the real part": (
        lambda x: (TURN * torch.view_as_complex(x.reshape(*x.shape[:-1], 3, 2))).real,
        ["reshape", "scale", "flip", "scale", "add", "slice"],
    ),
}  # fmt: skip


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))
