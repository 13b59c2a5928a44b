"""Large tensors in pieces: nothing is left out or done twice, and results are those of the whole."""

import pytest
import torch
from torch import nn

from sparselrp_cli.graph import pieces as module
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.operation import At
from sparselrp_cli.graph.operations.pooling import MaxPool
from sparselrp_cli.graph.operations.softmax import Softmax
from sparselrp_cli.graph.pieces import pieces
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.explainer import Explainer


@pytest.mark.parametrize("largest", [1, 7, 60, 120, 1 << 24])
@pytest.mark.parametrize("axis", [None, 0, 1, 2])
def test_every_number_is_in_one_piece(monkeypatch, largest, axis):
    monkeypatch.setattr(module, "LARGEST_PIECE", largest)
    x = torch.arange(120.0).reshape(2, 5, 12)
    y = (
        torch.zeros(2, 5, 12)
        if axis is None
        else torch.zeros([2 if a != axis else n for a, n in enumerate(x.shape)])
    )
    found = list(pieces(x, y, axis=axis))
    along = 2 if axis is None else axis
    assert torch.equal(torch.cat([of_x for of_x, _ in found], along), x)
    for of_x, of_y in found:
        assert of_x.shape[along] == of_y.shape[along]
        of_y.add_(1)
    assert bool((y == 1).all())
    assert (len(found) == 1) == (largest >= 120)


def test_a_number_alone_is_one_piece():
    assert len(list(pieces(torch.tensor(1.0)))) == 1


POOLS = {
    "windows": MaxPool((3,), (3,), (0,), False, (1,)),
    "overlapping, padded": MaxPool((3,), (2,), (1,), False, (1,)),
    "dilated": MaxPool((2,), (1,), (0,), False, (3,)),
    "images": MaxPool((2, 2), (2, 2), (0, 0), True, (1, 1)),
}


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS.keys())
def test_max_pools_in_pieces_are_those_of_the_whole(monkeypatch, pool, last):
    generator = torch.Generator().manual_seed(0)
    # Few numbers, so that many are equal.
    x = torch.randint(3, (2, 6, 9, 9) if len(pool.width) == 2 else (2, 6, 20), generator=generator).double()
    x = x.movedim(1, -1).contiguous().movedim(-1, 1) if last else x
    whole, winners = pool.forward(x)
    c = torch.rand(whole.shape, generator=generator, dtype=torch.float64)
    (pulled,) = pool.pull(c, At((x,), whole, winners))
    monkeypatch.setattr(module, "LARGEST_PIECE", 50)
    again, firsts = pool.forward(x)
    assert torch.equal(again, whole)
    assert torch.equal(firsts, winners)
    assert torch.equal(pool.pull(c, At((x,), again, firsts))[0], pulled)


def test_the_constant_of_a_softmax_is_what_its_gradient_leaves():
    x = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    s = x.softmax(-1)
    c = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(1)).double()
    (gradient,) = torch.autograd.grad(s, x, c)
    operation, at = Softmax(2), At((x.detach(),), s.detach(), s.detach())
    (pulled,) = operation.pull(c, at)
    torch.testing.assert_close(pulled, gradient, rtol=1e-12, atol=1e-14)
    absorbed = operation.absorbed(c, at)
    torch.testing.assert_close(
        absorbed.sum() + (x.detach() * pulled).sum(), (c * s.detach()).sum(), rtol=1e-12, atol=0
    )


def test_signed_inputs_in_pieces_get_the_same_bytes(monkeypatch):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv1d(4, 8, 3), nn.GELU(), nn.Conv1d(8, 8, 3), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(8 * 8, 1)
    ).double()
    x = nn.functional.one_hot(torch.randint(4, (2, 20)), 4).transpose(1, 2).double()
    explainer = Explainer(capture(net, x), [Target("0", (Term(0, 0, None),))])
    (whole,) = explainer.explain(x)
    monkeypatch.setattr(module, "LARGEST_PIECE", 16)
    (parts,) = explainer.explain(x)
    assert torch.equal(parts.hypothetical, whole.hypothetical)
