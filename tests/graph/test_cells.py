"""Loops over recurrent cells are explained as LRP-0 says, and their programs hold no cells."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

import sparselrp
from sparselrp_cli.graph.cells import CellsWrittenOut

CELLS = {
    "LSTM": (nn.LSTMCell, {}),
    "GRU": (nn.GRUCell, {}),
    "plain": (nn.RNNCell, {}),
    "plain with relu": (nn.RNNCell, {"nonlinearity": "relu"}),
    "LSTM without bias": (nn.LSTMCell, {"bias": False}),
    "GRU without bias": (nn.GRUCell, {"bias": False}),
}


class Loop(nn.Module):
    """The last state of a loop over a cell."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for position in range(x.shape[2]):
            state = self.cell(x[:, :, position], state)
        return state[0] if isinstance(state, tuple) else state


def made(name: str) -> Loop:
    torch.manual_seed(0)
    of_cells, more = CELLS[name]
    loop = Loop(of_cells(4, 5, **more).double()).eval()
    if name == "GRU":
        # At the first step, whose state is a constant, a gate times this bias is a gate that is scaled.
        loop.cell.bias_hh.data[10:] = 0
    return loop


def sequences() -> Tensor:
    return torch.eye(4).double()[torch.randint(4, (2, 12), generator=torch.manual_seed(1))].transpose(1, 2)


def gate(x: Tensor) -> Tensor:
    return x.sigmoid().detach()


def tanh(x: Tensor) -> Tensor:
    """In proportion to what goes in."""
    return x * (x.tanh() / x).detach()


def step(name: str, of_x: Tensor, of_h: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """A cell as LRP reads it: gates are constants, and a tanh is a factor."""
    if name.startswith("LSTM"):
        i, f, z, o = (of_x + of_h).chunk(4, 1)
        c = gate(f) * c + gate(i) * tanh(z)
        return gate(o) * tanh(c), c
    if name.startswith("GRU"):
        (r, keep, n), (rh, kh, nh) = of_x.chunk(3, 1), of_h.chunk(3, 1)
        keep = gate(keep + kh)
        return (1 - keep) * tanh(n + gate(r + rh) * nh) + keep * h, c
    return ((of_x + of_h).relu() if "relu" in name else tanh(of_x + of_h)), c


def contributions(name: str, cell: nn.Module, x: Tensor, unit: int) -> Tensor:
    """Gradient x input of the loop in which gates are constants: LRP-0, unit by unit."""
    x = x.clone().requires_grad_()
    h = c = torch.zeros(len(x), 5, dtype=x.dtype)
    biases = (cell.bias_ih, cell.bias_hh) if cell.bias else (None, None)
    for position in range(x.shape[2]):
        of_x = linear(x[:, :, position], cell.weight_ih, biases[0])
        h, c = step(name, of_x, linear(h, cell.weight_hh, biases[1]), h, c)
    (gradient,) = torch.autograd.grad(h[:, unit].sum(), x)
    return (x * gradient).detach().sum(1)


@pytest.mark.parametrize("name", CELLS)
def test_a_loop_over_cells_is_explained_as_lrp_says(name):
    loop, x = made(name), sequences()
    found = sparselrp.PLRP(loop, prune=0, composite="zero", centre="none").attribute(x, target=1)
    expected = contributions(name, loop.cell, x, 1)
    largest = float(expected.abs().max())
    torch.testing.assert_close(found.contributions, expected, rtol=0, atol=1e-9 * largest)
    torch.testing.assert_close(found.score, loop(x)[:, 1].detach(), rtol=1e-12, atol=0)
    assert found.conservation_error.max() < 1e-9


@pytest.mark.parametrize("name", CELLS)
def test_traced_programs_hold_no_cells_and_compute_the_same(name):
    loop, x = made(name), sequences()
    with torch.no_grad(), CellsWrittenOut():
        program = torch.export.export(loop, (x,), strict=False)
    assert not any("cell" in str(node.target) for node in program.graph.nodes if node.op == "call_function")
    torch.testing.assert_close(program.module()(x), loop(x), rtol=1e-12, atol=1e-15)
