"""Max pooling in compiled passes gives what torch gives operation by operation, to the bit."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from sparselrp_cli.graph.operation import At
from sparselrp_cli.graph.operations.pooling import MaxPool
from sparselrp_cli.relevance.pooled import CompiledMaxPool, _count

POOLS = {
    "side by side": ((4,), (4,), (0,), False, (1,)),
    "overlapping, padded": ((3,), (2,), (1,), True, (1,)),
    "dilated": ((2,), (1,), (0,), False, (2,)),
    "long windows that hang over": ((8,), (8,), (3,), True, (1,)),
    "apart, padded": ((3,), (5,), (1,), False, (1,)),
    "of single positions": ((1,), (1,), (0,), False, (1,)),
}


def tensor(n, channels, length, dtype, *, seed=0):
    """Draw activations with ties: exact ones, zeros, and some that differ by rounding."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, length, channels, dtype=dtype, generator=generator).relu()
    ties = torch.rand(x.shape, generator=generator) < 0.4
    rounding = 1 + 1e-6 * torch.randn(x.shape, dtype=dtype, generator=generator)
    return torch.where(ties, rounding, x).movedim(-1, 1)


def outcome(pool, x, seed=1):
    """Give what a pool makes, and the multipliers that it carries back."""
    y, memo = pool.forward(x)
    c = torch.randn(y.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(seed))
    (pulled,) = pool.pull(c, At((x,), y, memo))
    return y, pulled


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 70, 37), (3, 5, 41), (2, 64, 9000)], ids=str)
@pytest.mark.parametrize("pool", POOLS)
def test_a_compiled_pool_gives_the_bits_and_the_layout_that_torch_gives(pool, shape, dtype):
    x = tensor(*shape, dtype)

    found, expected = (outcome(kind(*POOLS[pool]), x) for kind in (CompiledMaxPool, MaxPool))

    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
        assert one.stride() == other.stride()


@pytest.mark.parametrize(
    "x",
    [
        tensor(2, 6, 40, torch.float32).contiguous(),
        tensor(2, 6, 40, torch.float32).bfloat16(),
        torch.empty(2, 6, 40, device="meta"),
    ],
    ids=["positions last in memory", "bfloat16", "without numbers"],
)
def test_what_the_loops_do_not_take_is_pooled_by_torch(x):
    y, memo = CompiledMaxPool(*POOLS["side by side"]).forward(x)
    expected, places = MaxPool(*POOLS["side by side"]).forward(x)

    assert (y.shape, y.dtype, memo.shape, memo.dtype) == (
        expected.shape, expected.dtype, places.shape, places.dtype
    )  # fmt: skip
    if x.device.type != "meta":
        assert torch.equal(y, expected)
        assert torch.equal(memo, places)


def test_a_nan_is_the_largest_of_its_window_as_for_torch():
    x = tensor(1, 3, 16, torch.float32).clone()
    x[0, 1, 5] = math.nan

    y, _ = CompiledMaxPool(*POOLS["side by side"]).forward(x)

    assert y.isnan().nonzero().tolist() == [[0, 1, 1]]


def test_windows_are_counted_as_torch_counts_them():
    rng = np.random.default_rng(0)
    for _ in range(400):
        width, stride, dilation = (int(n) for n in rng.integers(1, 6, 3))
        padding, ceil_mode = int(rng.integers(0, width // 2 + 1)), bool(rng.integers(2))
        length = int(rng.integers(dilation * (width - 1) + 1, 40))
        sizes = (width, stride, padding, dilation, ceil_mode)
        windows = functional.max_pool1d(torch.zeros(1, 1, length), *sizes).shape[2]
        assert _count(length, *sizes) == windows, (length, *sizes)
