# ruff: noqa: N803, N806 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Recurrent cells: signals take all, affine maps inside follow the epsilon rule (Arras et al. 2017)."""

import math

import numpy as np
import pytest
import torch
from oracles.operations import (
    EPSILON,
    SEEDS,
    Array,
    Called,
    Case,
    Draw,
    check_conversions,
    check_refusals,
    check_relevance,
    sigmoid,
    tensor,
)
from torch import Tensor, nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.operations.recurrent import Recurrent
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE

SHAPE = (2, 5, 4)


class CellOracle:
    """A recurrent cell of one sample and one direction, neuron by neuron and step by step."""

    def __init__(self, kind: str, w: Array, u: Array, b: Array, bh: Array, h0: Array, c0: Array) -> None:
        self.kind, self.w, self.u, self.b, self.bh, self.h0, self.c0 = kind, w, u, b, bh, h0, c0

    def relevance(self, R: Array, x: Array) -> Array:
        """The relevance of x (L, features), given that of the outputs (L, hidden)."""
        states = self._forward(x)
        r = np.zeros(x.shape)
        on_h, on_c = np.zeros(len(self.h0)), np.zeros(len(self.h0))
        for t in reversed(range(len(x))):
            h, c, new_h, new_c, gates = states[t]
            on_h = on_h + R[t]
            before_h, before_c = np.zeros(len(h)), np.zeros(len(h))
            for k in range(len(h)):
                row, scale, to_signal = k, 1.0, on_h[k]
                if self.kind == "lstm":
                    row = 2 * len(h) + k
                    i, f, z = gates[0][k], gates[1][k], gates[2][k]
                    on_cell = on_c[k] + on_h[k]
                    to_signal = i * math.tanh(z) / new_c[k] * on_cell
                    before_c[k] += f * c[k] / new_c[k] * on_cell
                elif self.kind == "gru":
                    row = 2 * len(h) + k
                    scale, keep, z = gates[0][k], gates[1][k], gates[2][k]
                    to_signal = (1 - keep) * math.tanh(z) / new_h[k] * on_h[k]
                    before_h[k] += keep * h[k] / new_h[k] * on_h[k]
                else:
                    z = gates[0][k]
                    to_signal = 0.0 if self.kind == "relu" and z <= 0 else on_h[k]
                stabilised = z + EPSILON if z >= 0 else z - EPSILON
                for j in range(x.shape[1]):
                    r[t, j] += self.w[row, j] * x[t, j] / stabilised * to_signal
                for j in range(len(h)):
                    before_h[j] += scale * self.u[row, j] * h[j] / stabilised * to_signal
            on_h, on_c = before_h, before_c
        return r

    def outputs(self, x: Array) -> Array:
        return np.stack([state[2] for state in self._forward(x)])

    def _forward(self, x: Array) -> list[tuple]:
        h, c = self.h0, self.c0
        n, states = len(h), []
        for x_t in x:
            a, s = self.w @ x_t + self.b, self.u @ h + self.bh
            new_c = c
            if self.kind == "lstm":
                i, f, z, o = (sigmoid(a + s)[:n], sigmoid(a + s)[n : 2 * n], (a + s)[2 * n : 3 * n],
                              sigmoid(a + s)[3 * n :])  # fmt: skip
                new_c = f * c + i * np.tanh(z)
                new_h, gates = o * np.tanh(new_c), (i, f, z)
            elif self.kind == "gru":
                reset, keep = sigmoid(a[:n] + s[:n]), sigmoid(a[n : 2 * n] + s[n : 2 * n])
                z = a[2 * n :] + reset * s[2 * n :]
                new_h, gates = (1 - keep) * np.tanh(z) + keep * h, (reset, keep, z)
            else:
                z = a + s
                new_h, gates = (np.tanh(z) if self.kind == "tanh" else np.maximum(z, 0)), (z,)
            states.append((h, c, new_h, new_c, gates))
            h, c = new_h, new_c
        return states


def draw(kind: str, *, reverse: bool) -> Draw:
    def case(rng: np.random.Generator) -> Case:
        gates, n, features = {"lstm": 4, "gru": 3}.get(kind, 1), 3, 4
        w, u = rng.normal(size=(gates * n, features)), rng.normal(size=(gates * n, n))
        b, bh, h0, c0 = (rng.normal(size=s) for s in (gates * n, gates * n, n, n))
        cell = CellOracle(kind, w, u, b, bh, h0, c0)
        way = slice(None, None, -1 if reverse else 1)

        def oracle(R: Array, x: Array) -> list[Array]:
            return [
                np.stack([cell.relevance(R_n[way], x_n[way])[way] for R_n, x_n in zip(R, x, strict=True)])
            ]

        def forward(x: Array) -> Array:
            return np.stack([cell.outputs(row[way])[way] for row in x])

        initial = tensor(c0[None]) if kind == "lstm" else None
        operation = Recurrent(
            kind, tensor(w), tensor(u), tensor(b), tensor(bh), tensor(h0[None]), initial, reverse
        )
        return Case(operation, [rng.normal(size=(2, 4, features))], forward, oracle)

    return case


CASES = {
    f"{kind}{', from the end' if reverse else ''}": draw(kind, reverse=reverse)
    for kind in ("lstm", "gru", "tanh", "relu")
    for reverse in (False, True)
}
torch.manual_seed(0)
LSTM, GRU = nn.LSTM(4, 3, 2, batch_first=True).double(), nn.GRU(4, 3, bidirectional=True).double()
DEEP = nn.GRU(4, 3, 2, bidirectional=True, batch_first=True).double()
RNN = nn.RNN(4, 3, batch_first=True, bias=False, nonlinearity="relu").double()
CONVERSIONS = {
    "two layers": (lambda x: LSTM(x)[0], ["recurrent", "recurrent"]),
    "two directions, positions first": (
        lambda x: GRU(x.transpose(0, 1))[0],
        ["permute", "permute", "recurrent", "recurrent", "concatenate", "permute"],
    ),
    "the last hidden state": (lambda x: RNN(x)[1][0], ["recurrent", "slice", "permute", "slice"]),
    "the last hidden states of two layers": (
        lambda x: LSTM(x)[1][0], ["recurrent", "recurrent", "slice", "slice", "concatenate", "permute"]
    ),
    "the last hidden states of two layers in two directions": (
        lambda x: DEEP(x)[1],
        ["recurrent"] * 2 + ["concatenate"] + ["recurrent"] * 2 + ["slice"] * 4 + ["concatenate", "permute"],
    ),
    "a cell": (lambda x: nn.functional.relu(x), ["activation"]),
}  # fmt: skip
REFUSALS = {
    "the last state of a cell": (
        lambda x: LSTM(x)[1][1][0],
        "lstm: its last cell state has no rule; its outputs and last hidden states have one",
    ),
    "a first state from the sequence": (
        lambda x: RNN(x, x[:, 0, :3].unsqueeze(0))[0],
        "rnn_relu: its weights or initial states depend on the sequence",
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(
        *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + sum(shape))
    )


def recurrent(kind: str, reverse: bool) -> Recurrent:
    gates = {"lstm": 4, "gru": 3}.get(kind, 1)
    return Recurrent(
        kind, numbers(3 * gates, 4), numbers(3 * gates, 3), numbers(3 * gates), numbers(3 * gates, seed=1),
        numbers(1, 3), numbers(1, 3, seed=2) if kind == "lstm" else None, reverse,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["lstm", "gru", "tanh", "relu"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_recurrent_cell_computes_what_torch_does(kind, reverse):
    operation = recurrent(kind, reverse)
    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(kind, torch.nn.RNN)
    options = {} if kind in ("lstm", "gru") else {"nonlinearity": kind}
    reference = module(4, 3, batch_first=True, **options).double()
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    with torch.no_grad():
        for name, value in zip(
            names, (operation.w, operation.u, operation.b, operation.b_hidden), strict=True
        ):
            getattr(reference, name).copy_(value)
        x = numbers(2, 5, 4)
        h0 = operation.h0[None].expand(1, 2, 3).contiguous()
        state = (h0, operation.c0[None].expand(1, 2, 3).contiguous()) if kind == "lstm" else h0
        expected, _ = reference(x.flip(1) if reverse else x, state)
    torch.testing.assert_close(operation.forward(x)[0], expected.flip(1) if reverse else expected)


@pytest.mark.parametrize(
    ("name", "batch_first"), [("lstm", True), ("gru", False), ("tanh", True), ("relu", False)]
)
def test_a_recurrent_layer_of_two_directions_adds_what_each_gives(name, batch_first):
    torch.manual_seed(3)
    made = {"lstm": nn.LSTM, "gru": nn.GRU}.get(name, nn.RNN)
    options = {} if name in ("lstm", "gru") else {"nonlinearity": name}
    module = made(4, 3, bidirectional=True, batch_first=batch_first, **options).double()

    def forward(x: Tensor) -> Tensor:
        source = x.transpose(1, 2) if batch_first else x.permute(2, 0, 1)
        y, _ = module(source)
        return y.sum(1 if batch_first else 0)

    net = Called(forward)
    net.inner = module
    x = torch.rand(2, 4, 4, dtype=torch.float64)
    target = Target("backward", (Term(0, 1, None), Term(0, 4, None, -1)))
    (explanation,) = Explainer(capture(net, x), [target], composite=PRESETS["zero"], pruning=NONE).explain(x)
    expected = np.zeros((2, 4, 4))
    zeros = np.zeros(3)
    for suffix, unit, sign, way in (("", 1, 1, slice(None)), ("_reverse", 1, -1, slice(None, None, -1))):
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        weights = [getattr(module, n + suffix).detach().numpy() for n in names]
        cell = CellOracle(name, *weights, zeros, zeros)
        for n in range(2):
            line = x[n].numpy().T[way]
            R = np.zeros((4, 3))
            R[:, unit] = sign * cell.outputs(line)[:, unit]
            expected[n] += cell.relevance(R, line)[way]
    found = explanation.contributions.transpose(1, 2).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)
    assert float(explanation.conservation_error.max()) < 1e-10


class Packed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        rows = nn.utils.rnn.pack_padded_sequence(x.transpose(1, 2), [x.shape[2]] * len(x), batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(LSTM(rows)[0], batch_first=True)[0].mean(1)


def test_packed_sequences_are_refused_with_what_to_give_instead():
    with pytest.raises(ModelError, match="give the recurrent layer the padded tensor itself"):
        capture(Packed(), torch.rand(2, 4, 4, dtype=torch.float64))
