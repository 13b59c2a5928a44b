"""The softmax in compiled loops: what torch gives operation by operation, to rounding."""

import pytest
import torch
from torch import Tensor

from sparselrp_cli.graph.operation import At
from sparselrp_cli.graph.operations.softmax import Softmax
from sparselrp_cli.relevance.compiled_softmax import CompiledSoftmax


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def outcome(softmax: Softmax, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give what is carried back, what is absorbed by window, and the softmax."""
    y, memo = softmax.forward(x)
    at = At((x,), y, memo)
    (pulled,) = softmax.pull(c, at)
    return pulled, softmax.absorbed(c, at).reshape(len(x), -1).sum(1, dtype=torch.float64), y


@pytest.mark.parametrize(
    "shape", [(2, 3), (2, 1, 1), (3, 4, 5, 17), (2, 9, 31), (2, 9, 32), (1, 2, 40, 4099)], ids=str
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_it_gives_what_torch_gives(shape, dtype):
    x, c = 5 * drawn(*shape, dtype=dtype), drawn(*shape, seed=1, dtype=dtype)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-4
    found = outcome(CompiledSoftmax(-1), x, c)
    expected = outcome(Softmax(-1), x.double(), c.double())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=tolerance, atol=tolerance)
    assert found[0].dtype == dtype


@pytest.mark.parametrize("entries", [9, 70])
def test_what_is_masked_takes_no_part(entries):
    x, c = drawn(2, 4, entries), drawn(2, 4, entries, seed=1)
    x[:, :, 5:] = -torch.inf
    pulled, absorbed, _ = outcome(CompiledSoftmax(-1), x, c)
    assert not pulled[:, :, 5:].any()
    expected = outcome(Softmax(-1), x[:, :, :5], c[:, :, :5])
    torch.testing.assert_close(pulled[:, :, :5], expected[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(absorbed, expected[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("way", ["columns", "transposed", "logarithm"])
def test_other_layouts_and_the_logarithm_are_as_torch_has_them(way):
    x, c = drawn(2, 6, 5), drawn(2, 6, 5, seed=1)
    if way == "transposed":
        x, c = x.mT, c.mT
    kinds = (kind(1 if way == "columns" else -1, way == "logarithm") for kind in (CompiledSoftmax, Softmax))
    found, expected = (outcome(kind, x, c) for kind in kinds)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_row_without_an_entry_that_counts_has_no_shares_as_for_torch():
    x = torch.full((1, 2, 3), -torch.inf)
    x[0, 1] = torch.tensor([0.0, torch.nan, 1.0])
    assert CompiledSoftmax(-1).forward(x)[0].isnan().all()
    assert Softmax(-1).forward(x)[0].isnan().all()
