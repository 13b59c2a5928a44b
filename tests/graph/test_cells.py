"""Loops over recurrent cells are explained as the layers that are such loops, and traced once."""

import pytest
import torch
from torch import Tensor, nn

import sparselrp
from sparselrp_cli.graph.cells import CellsWrittenOut

LAYERS = {
    "LSTM": (nn.LSTM, nn.LSTMCell, {}),
    "GRU": (nn.GRU, nn.GRUCell, {}),
    "plain": (nn.RNN, nn.RNNCell, {}),
    "plain with relu": (nn.RNN, nn.RNNCell, {"nonlinearity": "relu"}),
    "LSTM without bias": (nn.LSTM, nn.LSTMCell, {"bias": False}),
    "GRU without bias": (nn.GRU, nn.GRUCell, {"bias": False}),
}


class Layer(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.transpose(1, 2))[0][:, -1]


class Loop(nn.Module):
    """The same layer, by a cell with its weights."""

    def __init__(self, layer: nn.Module, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell
        cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for position in range(x.shape[2]):
            state = self.cell(x[:, :, position], state)
        return state[0] if isinstance(state, tuple) else state


def modules(name: str) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    of_layers, of_cells, more = LAYERS[name]
    layer = of_layers(4, 5, batch_first=True, **more).double()
    if name == "GRU":
        # At the first step, whose state is a constant, a gate times this bias is a gate that is scaled.
        layer.bias_hh_l0.data[10:] = 0
    cell = of_cells(4, 5, **more).double()
    return Layer(layer).eval(), Loop(layer, cell).eval()


def sequences() -> Tensor:
    return torch.eye(4).double()[torch.randint(4, (2, 6), generator=torch.manual_seed(1))].transpose(1, 2)


@pytest.mark.parametrize("name", LAYERS)
def test_a_loop_over_cells_is_explained_as_its_layer(name):
    layer, loop = (
        sparselrp.PLRP(module, prune=0, composite="zero", centre="none").attribute(sequences(), target=1)
        for module in modules(name)
    )
    torch.testing.assert_close(loop.score, layer.score, rtol=1e-12, atol=0)
    # Layers stabilise once where a sum of two maps does at each.
    largest = layer.contributions.abs().max()
    torch.testing.assert_close(loop.contributions, layer.contributions, rtol=0, atol=2e-3 * float(largest))
    assert loop.conservation_error.max() < 1e-9


@pytest.mark.parametrize("name", LAYERS)
def test_traced_programs_hold_no_cells_and_compute_the_same(name):
    _, loop = modules(name)
    x = sequences()
    with torch.no_grad(), CellsWrittenOut():
        program = torch.export.export(loop, (x,), strict=False)
    assert not any("cell" in str(node.target) for node in program.graph.nodes if node.op == "call_function")
    torch.testing.assert_close(program.module()(x), loop(x), rtol=1e-12, atol=1e-15)
