"""What the loops of `test_operations_oracle` don't say: torch's own cells, and step functions."""

import pytest
import torch
from torch import Tensor

from sparselrp_cli.graph.aten_call import Place
from sparselrp_cli.graph.operation import At
from sparselrp_cli.graph.operations.decision import Decision
from sparselrp_cli.graph.operations.recurrent import Recurrent


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(
        *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + sum(shape))
    )


def cell(kind: str, reverse: bool) -> Recurrent:
    gates = {"lstm": 4, "gru": 3}.get(kind, 1)
    return Recurrent(
        kind, draw(3 * gates, 4), draw(3 * gates, 3), draw(3 * gates), draw(3 * gates, seed=1),
        draw(1, 3), draw(1, 3, seed=2) if kind == "lstm" else None, reverse,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["lstm", "gru", "tanh", "relu"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_recurrent_cell_computes_what_torch_does(kind, reverse):
    operation = cell(kind, reverse)
    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(kind, torch.nn.RNN)
    options = {} if kind in ("lstm", "gru") else {"nonlinearity": kind}
    reference = module(4, 3, batch_first=True, **options).double()
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    with torch.no_grad():
        for name, value in zip(
            names, (operation.w, operation.u, operation.b, operation.b_hidden), strict=True
        ):
            getattr(reference, name).copy_(value)
        x = draw(2, 5, 4)
        h0 = operation.h0[None].expand(1, 2, 3).contiguous()
        state = (h0, operation.c0[None].expand(1, 2, 3).contiguous()) if kind == "lstm" else h0
        expected, _ = reference(x.flip(1) if reverse else x, state)
    torch.testing.assert_close(operation.forward(x)[0], expected.flip(1) if reverse else expected)


def test_a_step_function_absorbs_what_it_is_given():
    x, c = draw(2, 3), draw(2, 3, seed=1)
    operation = Decision(torch.ops.aten.sign.default, (("self", Place(0)),), "sign")
    y, memo = operation.forward(x)
    at = At((x,), y, memo)
    assert operation.pull(c, at) == (None,)
    torch.testing.assert_close(operation.absorbed(c, at), c * x.sign())
