"""Maxima give relevance to the first winner, and what is smaller by rounding only wins as well."""

import pytest
import torch
from torch.nn import functional

from sparselrp_cli.graph.operation import At, Operation
from sparselrp_cli.graph.operations.pooling import AdaptivePool, MaxPool
from sparselrp_cli.graph.operations.reduction import Maximum

POOLS = {
    "width 3": (MaxPool((3,), (3,), (0,), False, (1,)), (2, 3, 17)),
    "overlapping, padded, ceil": (MaxPool((4,), (2,), (1,), True, (1,)), (2, 3, 17)),
    "dilated": (MaxPool((3,), (2,), (1,), False, (2,)), (2, 3, 17)),
    "two axes": (MaxPool((2, 3), (2, 2), (1, 1), True, (1, 1)), (2, 3, 9, 11)),
    "adaptive": (AdaptivePool((4,), True), (2, 3, 17)),
    "adaptive, two axes": (AdaptivePool((3, 2), True), (2, 3, 9, 7)),
    "over an axis": (Maximum((2,), False), (2, 3, 17)),
    "over two axes": (Maximum((1, 2), True), (2, 3, 17)),
}
every_pool = pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)


def shares(operation: Operation, x: torch.Tensor) -> torch.Tensor:
    """Relevance of the inputs where each output has what it is."""
    y, memo = operation.forward(x)
    (c,) = operation.pull(torch.ones_like(y), At((x,), y, memo))
    torch.testing.assert_close(
        (x * c).sum(), y.sum(), rtol=1e-12 if x.dtype == torch.float64 else 1e-5, atol=0
    )
    return c


@every_pool
@pytest.mark.parametrize("seed", range(3))
def test_the_largest_wins_as_in_torch(pool, seed):
    operation, shape = pool
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    y, _ = operation.forward(leaf)
    y.sum().backward()
    assert torch.equal(shares(operation, x), leaf.grad)


@every_pool
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_rounding_changes_no_winner(pool, dtype):
    operation, shape = pool
    equal = torch.full(shape, -0.3, dtype=dtype)
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    rounded = equal * (1 + 3e-7 * noise)
    assert torch.equal(shares(operation, rounded) != 0, shares(operation, equal) != 0)


def test_the_first_of_equal_winners_takes_all():
    x = torch.tensor([[[1.0, 2.0, 2.0 + 1e-6, 0.0, -1.0, -1.0]]])
    pool = MaxPool((3,), (3,), (0,), False, (1,))
    assert (shares(pool, x)[0, 0] != 0).tolist() == [False, True, False, True, False, False]
    assert functional.max_pool1d(x, 3)[0, 0].tolist() == pool.forward(x)[0][0, 0].tolist()
