"""Views by strides move neurons: each takes back the relevance of the one that was made of it."""

import numpy as np
import pytest
import torch
from oracles.operations import SEEDS, Array, Case, check_conversions, check_refusals, check_relevance, moved
from torch import nn

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.operations.strided import Strided, takes_each_once

SHAPE = (2, 3, 6)


def view(sizes: tuple[int, ...], strides: tuple[int, ...], offset: int):
    """Numpy's view of each row."""

    def viewed(x: Array) -> Array:
        item = x.dtype.itemsize
        rows = [
            np.lib.stride_tricks.as_strided(row[offset:], sizes, [step * item for step in strides])
            for row in np.ascontiguousarray(x)
        ]
        return np.stack(rows)

    return viewed


def draw(sizes: tuple[int, ...], strides: tuple[int, ...], offset: int, length: int):
    def case(rng: np.random.Generator) -> Case:
        forward = view(sizes, strides, offset)
        return Case(Strided(sizes, strides, offset), [rng.normal(size=(2, length))], forward, moved(forward))

    return case


CASES = {
    "relative positions of four queries and keys": draw((4, 4), (6, 1), 3, 28),
    "every third": draw((3,), (3,), 1, 9),
    "axes in another order": draw((2, 3), (1, 2), 0, 6),
    "an axis of one": draw((1, 3), (0, 2), 0, 6),
}
CONVERSIONS = {
    "strided": (lambda x: x.as_strided((x.shape[0], 3, 2), (18, 6, 2), 1), ["reshape", "strided"]),
    "with overlaps": (
        lambda x: x.as_strided((x.shape[0], 3, 2), (18, 1, 1), 0), ["reshape", "index-select", "reshape"]
    ),
    "of what isn't contiguous": (
        lambda x: x.transpose(1, 2).contiguous().as_strided((x.shape[0], 3, 2), (18, 6, 2), 1),
        ["permute", "reshape", "strided"],
    ),
}  # fmt: skip
REFUSALS = {
    "samples side by side": (
        lambda x: x.as_strided((2, 3), (1, 2), 0),
        "as_strided: it mixes samples or drops the sample axis",
    ),
    "samples that overlap": (
        lambda x: x.as_strided((x.shape[0], 3), (6, 1), 0),
        "as_strided: it mixes samples",
    ),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))


def test_strides_that_take_a_number_twice_are_told_by_all_that_is_taken():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        sizes, strides = rng.integers(1, 4, 3), rng.integers(0, 12, 3)
        taken = torch.arange(200).as_strided(sizes.tolist(), strides.tolist()).flatten().tolist()
        once = takes_each_once(sizes.tolist(), strides.tolist())
        assert not once or len(set(taken)) == len(taken)
        seen.add(once)
    assert seen == {True, False}


@pytest.mark.parametrize(
    ("sizes", "strides", "offset", "message"),
    [
        ((3, 2), (1, 1), 0, r"strides \(1, 1\) over \(3, 2\) take numbers twice"),
        ((3,), (2,), -1, r"not strides: \(3,\) by \(2,\) from -1"),
        ((3,), (2, 1), 0, r"not strides: \(3,\) by \(2, 1\) from 0"),
    ],
)
def test_strides_of_a_broken_file_are_refused(sizes, strides, offset, message):
    with pytest.raises(ValueError, match=message):
        Strided(sizes, strides, offset)


def test_strides_dont_leave_their_row():
    with pytest.raises(ValueError, match=r"strides \(2,\) over \(4,\) leave a row of 6"):
        Strided((4,), (2,), 0).forward(torch.zeros(3, 6))


class Shifted(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, length = x.shape[0], x.shape[-1]
        q, keys = x.transpose(1, 2) @ torch.ones(4, 8), torch.ones(8, 2 * length - 1)
        scores = (q @ keys).contiguous()
        whole = scores[0].numel()
        shifted = scores.as_strided((n, length, length), (whole, 2 * length - 2, 1), length - 1)
        return shifted.softmax(-1).sum((1, 2))


def test_a_shift_of_relative_positions_holds_no_numbers_of_its_own():
    graph = capture(Shifted(), torch.zeros(1, 4, 64))
    (shift,) = [node.operation for node in graph.nodes if isinstance(node.operation, Strided)]
    assert (shift.sizes, shift.strides, shift.offset) == ((64, 64), (126, 1), 63)
