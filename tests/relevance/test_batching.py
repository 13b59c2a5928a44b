"""How many windows at a time, what happens when memory runs out, and the error of reduced precision."""

import numpy as np
import pytest
import torch

from sparselrp_cli.errors import SparselrpError
from sparselrp_cli.relevance.batching import fitting_batch_size, halving
from sparselrp_cli.relevance.precision import agreement
from sparselrp_cli.relevance.windows import ExplainedWindows


@pytest.mark.parametrize(
    ("fixed", "per_window", "budget", "expected"),
    [
        (0, 10, 100, 8),
        (50, 10, 100, 4),
        (0, 1, 10_000, 256),
        (0, 1000, 10, 1),
        (200, 10, 100, 1),
        (0, 0, 4, 4),
    ],
)
def test_a_batch_is_the_largest_power_of_two_that_fits(fixed, per_window, budget, expected):
    assert fitting_batch_size(fixed, per_window, budget) == expected


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("can't allocate memory: you tried"),
    ],
    ids=["gpu", "array", "cpu"],
)
def test_windows_are_halved_until_they_fit_and_none_is_lost(error, caplog):
    def work(start: int, end: int) -> list[int]:
        if end - start > 3:
            raise error
        return list(range(start, end))

    done = halving(13, work)
    assert [i for part in done for i in part] == list(range(13))
    assert "out of memory with 13 windows; going on with 6" in caplog.text


def test_a_single_window_that_does_not_fit_is_an_error():
    def work(start: int, end: int) -> None:
        raise MemoryError

    with pytest.raises(SparselrpError, match="out of memory with a single window"):
        halving(4, work)


def test_another_error_is_not_taken_for_a_lack_of_memory():
    def work(start: int, end: int) -> None:
        raise RuntimeError("shapes don't fit")

    with pytest.raises(RuntimeError, match="shapes don't fit"):
        halving(4, work)


def test_the_distance_from_float32_is_that_of_the_worst_window():
    one_hot = np.zeros((3, 4, 5), np.uint8)
    one_hot[:, 1] = 1
    exact = np.zeros((1, 3, 4, 5), np.float32)
    exact[0, 0, 1] = [1, 2, 3, 4, 5]
    exact[0, 1, 1] = [0, 0, 2, 0, 0]
    exact[0, :, 2] = 9  # not the observed base
    ours = exact.copy()
    ours[0, 1, 1] = [0, 0, 2, 1, 0]
    ours[0, :, 2] = 7
    found = agreement(
        ExplainedWindows(ours, {}, 1.0), lambda *_: ExplainedWindows(exact, {}, 1.0), one_hot, [False] * 3
    )
    assert found.windows == 3
    assert found.cosine == pytest.approx(2 / 5**0.5)
    assert found.difference == pytest.approx(0.5)
    assert found.describe() == (
        "cosine to float32 at least 0.8944, bases differ by at most 50 % of the largest (3 windows)"
    )
