# ruff: noqa: N803, N806 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Operations that aren't plain layers against the papers' formulas, written as loops over single neurons.

AttnLRP (Achtibat et al. 2024): halves for products, the softmax at first order, deviations as scales.
Arras et al. (2017): where there is a gate the signal takes all, and affine maps follow the epsilon rule.
"""

import math
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from oracles import rules as oracle_rules
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operation import At, Operation
from sparselrp_cli.graph.operations.activation import Activation
from sparselrp_cli.graph.operations.attention import Attention
from sparselrp_cli.graph.operations.contraction import Contraction
from sparselrp_cli.graph.operations.gated_linear import GatedLinear
from sparselrp_cli.graph.operations.homogeneous import Homogeneous
from sparselrp_cli.graph.operations.log_sum_exp import LogSumExp
from sparselrp_cli.graph.operations.matrix_product import MatrixProduct
from sparselrp_cli.graph.operations.normalise import Normalise
from sparselrp_cli.graph.operations.product import Product
from sparselrp_cli.graph.operations.quotient import Quotient
from sparselrp_cli.graph.operations.recurrent import Recurrent
from sparselrp_cli.graph.operations.softmax import Softmax
from sparselrp_cli.graph.operations.transposed_convolution import TransposedConvolution
from sparselrp_cli.graph.operations.where import Where
from sparselrp_cli.graph.shapes import Samples
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE
from sparselrp_cli.relevance.rules import RULES
from sparselrp_cli.relevance.step import Denominators, PreparedLayer, propagate

Array = NDArray[np.float64]
Oracle = Callable[..., list[Array]]
"""From the relevance R of the outputs and the inputs to the relevance of each input."""
Case = tuple[Operation, list[Array], Oracle]
SEEDS = (0, 1, 2)
EPSILON = 1e-6


def tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))


def broadcast(index: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The entry of a smaller array that is read for an entry of the result."""
    return tuple(i if size > 1 else 0 for i, size in zip(index[-len(shape) :], shape, strict=True))


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    return np.exp(x) / np.exp(x).sum()


def lines(shape: tuple[int, ...], axis: int) -> Iterator[tuple[int | slice, ...]]:
    """An index for every line of neurons along one axis."""
    for start in np.ndindex(*(1 if a == axis else size for a, size in enumerate(shape))):
        yield tuple(slice(None) if a == axis else i for a, i in enumerate(start))


# Products, quotients and choices.


def share_a_product(shares: tuple[float, float]) -> Oracle:
    def oracle(R: Array, *factors: Array) -> list[Array]:
        relevance = [np.zeros(f.shape) for f in factors]
        for index in np.ndindex(*R.shape):
            for r, share in zip(relevance, shares, strict=True):
                r[broadcast(index, r.shape)] += share * R[index]
        return relevance

    return oracle


def gated_linear(R: Array, x: Array) -> list[Array]:
    r = np.zeros(x.shape)
    half = x.shape[1] // 2
    for n, c, p in np.ndindex(*R.shape):
        r[n, c, p] = R[n, c, p]
        assert r[n, c + half, p] == 0, "the gate gets nothing"
    return [r]


def chosen(R: Array, condition: Array, x: Array, y: Array) -> list[Array]:
    r = [np.zeros(condition.shape), np.zeros(x.shape), np.zeros(y.shape)]
    for index in np.ndindex(*R.shape):
        taker = r[1] if condition[index] else r[2]
        taker[broadcast(index, taker.shape)] += R[index]
    return r


def product_case(operation: Product, shares: tuple[float, float], *shapes: tuple[int, ...]) -> Callable:
    return lambda rng: (operation, [rng.normal(size=s) for s in shapes], share_a_product(shares))


def quotient_case(rng: np.random.Generator) -> Case:
    inputs = [rng.normal(size=(2, 3, 4)), 0.5 + rng.random((2, 1, 4))]
    return Quotient(), inputs, share_a_product((1.0, 0.0))


def where_case(rng: np.random.Generator) -> Case:
    condition = (rng.random((2, 3, 4)) < 0.5).astype(float)
    inputs = [condition, rng.normal(size=(2, 3, 1)), rng.normal(size=(2, 3, 4))]
    return Where((None, None, None)), inputs, chosen


def where_constant_case(rng: np.random.Generator) -> Case:
    condition, constant = rng.random((2, 3, 4)) < 0.5, rng.normal(size=(1, 3, 1))

    def oracle(R: Array, x: Array) -> list[Array]:
        return [chosen(R, condition, np.zeros((1, 3, 1)), x)[2]]

    return Where((tensor(condition), tensor(constant), None)), [rng.normal(size=(2, 3, 4))], oracle


# Attention and its parts.


def matrix_product(R: Array, x: Array, y: Array, scale: float = 1.0) -> list[Array]:
    """``scale x y`` of two matrices: each term's share of its sum, half to each factor."""
    on_x, on_y = np.zeros(x.shape), np.zeros(y.shape)
    for j, p in np.ndindex(*R.shape):
        total = sum(scale * x[j, i] * y[i, p] for i in range(x.shape[1]))
        for i in range(x.shape[1]):
            share = scale * x[j, i] * y[i, p] / total * R[j, p]
            on_x[j, i] += share / 2
            on_y[i, p] += share / 2
    return [on_x, on_y]


def batched_matrix_product(R: Array, x: Array, y: Array) -> list[Array]:
    relevance = [np.zeros(x.shape), np.zeros(y.shape)]
    for index in np.ndindex(*R.shape[:-2]):
        places = [broadcast(index, v.shape[:-2]) for v in (x, y)]
        for r, place, part in zip(
            relevance, places, matrix_product(R[index], x[places[0]], y[places[1]]), strict=True
        ):
            r[place] += part
    return relevance


def softmax_line(R: Array, x: Array) -> Array:
    s = softmax(x)
    return np.array([x[i] * (R[i] - s[i] * sum(R)) for i in range(len(x))])


def log_softmax_line(R: Array, x: Array) -> Array:
    """First order: ``d log s_i / d x_j = [i = j] - s_j``."""
    s = softmax(x)
    r = np.zeros(len(x))
    for i in range(len(x)):
        for j in range(len(x)):
            r[j] += x[j] * ((i == j) - s[j]) / math.log(s[i]) * R[i]
    return r


def along(line: Callable[[Array, Array], Array], axis: int) -> Oracle:
    def oracle(R: Array, x: Array) -> list[Array]:
        r = np.zeros(x.shape)
        for index in lines(x.shape, axis):
            r[index] = line(R[index], x[index])
        return [r]

    return oracle


def log_sum_exp(R: Array, x: Array) -> list[Array]:
    """Over channels and positions of (N, C, L): ``r_j = x_j s_j R / y``."""
    r = np.zeros(x.shape)
    for n in range(len(x)):
        y = math.log(sum(math.exp(v) for v in x[n].ravel()))
        for c, p in np.ndindex(*x.shape[1:]):
            r[n, c, p] = x[n, c, p] * math.exp(x[n, c, p] - y) * R[n].sum() / y
    return [r]


def attention(scale: float, mask: Array) -> Oracle:
    """A product, a softmax and a product; what the mask adds to a logit is its own."""

    def oracle(R: Array, q: Array, k: Array, v: Array) -> list[Array]:
        on_q, on_k, on_v = np.zeros(q.shape), np.zeros(k.shape), np.zeros(v.shape)
        for n in np.ndindex(*q.shape[:-2]):
            logits = scale * q[n] @ k[n].T
            shares = np.stack([softmax(row) for row in logits + mask])
            on_shares, on_v[n] = matrix_product(R[n], shares, v[n])
            on_logits = np.zeros(logits.shape)
            for i, j in np.ndindex(*logits.shape):
                on_logits[i, j] = logits[i, j] * (on_shares[i, j] - shares[i, j] * on_shares[i].sum())
            on_q[n], on_kT = matrix_product(on_logits, q[n], k[n].T, scale)
            on_k[n] = on_kT.T
        return [on_q, on_k, on_v]

    return oracle


def attention_case(kind: str) -> Callable[[np.random.Generator], Case]:
    def case(rng: np.random.Generator) -> Case:
        future = np.where(np.triu(np.ones((4, 4)), 1) > 0, -np.inf, 0.0)
        mask = {"none": None, "causal": future, "finite": rng.normal(size=(4, 4))}[kind]
        inputs = [rng.normal(size=(2, 3, 4, width)) for width in (5, 5, 2)]
        added = np.zeros((4, 4)) if mask is None else mask
        return Attention(0.4, None if mask is None else tensor(mask)), inputs, attention(0.4, added)

    return case


# Normalisations.


def normalise(rows: list[list[tuple[int, ...]]], w: Array, b: Array, eps: float, *, centred: bool) -> Oracle:
    """Over rows of neurons, each a list of places: linear, with the deviation held constant."""

    def oracle(R: Array, x: Array) -> list[Array]:
        r = np.zeros(x.shape)
        for row in rows:
            mean = sum(x[i] for i in row) / len(row) if centred else 0.0
            sd = math.sqrt(sum((x[i] - mean) ** 2 for i in row) / len(row) + eps)
            for k in row:
                y = w[k] * (x[k] - mean) / sd + b[k]
                for j in row:
                    weight = (j == k) - (1 / len(row) if centred else 0)
                    r[j] += w[k] * weight * x[j] / sd / y * R[k]
        return [r]

    return oracle


def normalise_case(kind: str) -> Callable[[np.random.Generator], Case]:
    def case(rng: np.random.Generator) -> Case:
        shape, eps = (2, 4, 3), 1e-3
        places = list(np.ndindex(*shape))
        spans = {
            "layer": ((3,), lambda i: i[:2]),
            "layers": ((4, 3), lambda i: i[:1]),
            "group": ((4, 1), lambda i: (i[0], i[1] // 2)),
            "instance": ((4, 1), lambda i: i[:2]),
            "RMS": ((3,), lambda i: i[:2]),
        }
        affine, row_of = spans[kind]
        w, b = rng.normal(size=affine), rng.normal(size=affine)
        b = np.zeros(affine) if kind == "RMS" else b
        rows = [[i for i in places if row_of(i) == key] for key in dict.fromkeys(map(row_of, places))]
        span, groups = {
            "layer": (1, 0),
            "layers": (2, 0),
            "group": (0, 2),
            "instance": (0, 4),
            "RMS": (1, 0),
        }[kind]
        bias = None if kind == "RMS" else tensor(b)
        operation = Normalise(kind, span, groups, kind != "RMS", eps, tensor(w), bias)
        full_w, full_b = np.broadcast_to(w, shape), np.broadcast_to(b, shape)
        oracle = normalise(rows, full_w, full_b, eps, centred=kind != "RMS")
        return operation, [rng.normal(size=shape)], oracle

    return case


# Recurrent cells.


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


def recurrent_case(kind: str, reverse: bool) -> Callable[[np.random.Generator], Case]:
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

        initial = tensor(c0[None]) if kind == "lstm" else None
        operation = Recurrent(
            kind, tensor(w), tensor(u), tensor(b), tensor(bh), tensor(h0[None]), initial, reverse
        )
        x = rng.normal(size=(2, 4, features))
        expected = np.stack([cell.outputs(row[way])[way] for row in x])
        np.testing.assert_allclose(operation.forward(tensor(x))[0], expected, rtol=1e-12)
        return operation, [x], oracle

    return case


# Functions shared by their gradient, as they come out of a trace.


class Called(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@cache
def traced(name: str) -> Operation:
    """The one operation that a function is traced into."""
    function, _ = FUNCTIONS[name]
    (node,) = capture(Called(function), torch.ones(2, 3, 6, dtype=torch.float64)).nodes
    assert isinstance(node.operation, Homogeneous), node.operation.describe()
    return node.operation


def linear_map(M: Array) -> Oracle:
    """``y_k = sum_j M_kj x_j`` along the last axis, shared in proportion to the terms."""

    def oracle(R: Array, x: Array) -> list[Array]:
        r = np.zeros(x.shape)
        for index in np.ndindex(*x.shape[:-1]):
            y = M @ x[index]
            for k, j in np.ndindex(*M.shape):
                if M[k, j]:
                    r[(*index, j)] += M[k, j] * x[(*index, j)] / y[k] * R[(*index, k)]
        return [r]

    return oracle


def between(length: int, new: int) -> Array:
    """Linear interpolation to a new length, corners not aligned."""
    M = np.zeros((new, length))
    for k in range(new):
        place = min(max((k + 0.5) * length / new - 0.5, 0), length - 1)
        left = min(int(place), length - 2)
        M[k, left], M[k, left + 1] = 1 - (place - left), place - left
    return M


def product_of_all(R: Array, x: Array) -> list[Array]:
    """Along the last axis: as many equal shares as there are factors."""
    r = np.zeros(x.shape)
    for n, c, p in np.ndindex(*x.shape):
        r[n, c, p] = R[n, c] / x.shape[2]
    return [r]


def running_product(R: Array, x: Array) -> list[Array]:
    r = np.zeros(x.shape)
    for n, c, k in np.ndindex(*x.shape):
        for j in range(k + 1):
            r[n, c, j] += R[n, c, k] / (k + 1)
    return [r]


FUNCTIONS = {
    "reflect": (lambda x: functional.pad(x, (2, 1), "reflect"), linear_map(np.eye(6)[[2, 1, *range(6), 4]])),
    "replicate": (
        lambda x: functional.pad(x, (2, 1), "replicate"),
        linear_map(np.eye(6)[[0, 0, 0, 1, 2, 3, 4, 5, 5]]),
    ),
    "nearest": (lambda x: functional.interpolate(x, scale_factor=2), linear_map(np.eye(6).repeat(2, 0))),
    "linear": (lambda x: functional.interpolate(x, size=9, mode="linear"), linear_map(between(6, 9))),
    "running sum": (lambda x: x.cumsum(2), linear_map(np.tril(np.ones((6, 6))))),
    "product of a line": (lambda x: x.prod(2), product_of_all),
    "running product": (lambda x: x.cumprod(2), running_product),
}  # fmt: skip


def function_case(name: str) -> Callable[[np.random.Generator], Case]:
    def case(rng: np.random.Generator) -> Case:
        return traced(name), [rng.normal(size=(2, 3, 6))], FUNCTIONS[name][1]

    return case


# Functions with a value at 0.

AT_ZERO: dict[str, tuple[tuple[float, ...], Callable[[float], float]]] = {
    "sigmoid": ((), lambda v: 1 / (1 + math.exp(-v))),
    "exp": ((), math.exp),
    "softplus": ((), lambda v: math.log1p(math.exp(v))),
    "cos": ((), math.cos),
    "log_sigmoid": ((), lambda v: -math.log1p(math.exp(-v))),
    "hardsigmoid": ((), lambda v: min(max(v / 6 + 0.5, 0.0), 1.0)),
}
SOFTPLUS_OF_TWO = ((2.0, 20.0), lambda v: math.log1p(math.exp(2 * v)) / 2)


def activation_case(
    name: str, arguments: tuple[float, ...], function: Callable[[float], float]
) -> Callable[[np.random.Generator], Case]:
    def oracle(R: Array, x: Array) -> list[Array]:
        r = np.zeros(x.shape)
        for index in np.ndindex(*x.shape):
            y = function(x[index])
            r[index] = (y - function(0.0)) / y * R[index]
        return [r]

    def case(rng: np.random.Generator) -> Case:
        x = np.clip(2 * rng.normal(size=(2, 3, 4)), -2.5, 2.5)
        x[0, 0, :2] = 0.0
        return Activation(name, arguments), [x], oracle

    return case


A, B = (2, 3, 4), (2, 3, 1)
CASES: dict[str, Callable[[np.random.Generator], Case]] = {
    "product": product_case(Product(), (0.5, 0.5), A, B),
    "product with a gate": product_case(Product(gate=1), (1.0, 0.0), A, A),
    "product with a smaller signal": product_case(Product(gate=0), (0.0, 1.0), A, B),
    "uniform product with a gate": product_case(Product(gate=1, rule="uniform"), (0.5, 0.5), B, A),
    "quotient": quotient_case,
    "gated linear": lambda rng: (GatedLinear(1), [rng.normal(size=(2, 6, 4))], gated_linear),
    "where": where_case,
    "where a constant may be chosen": where_constant_case,
    "matrix product": lambda rng: (
        MatrixProduct(), [rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 1, 5, 2))],
        batched_matrix_product,
    ),
    "softmax": lambda rng: (Softmax(1), [rng.normal(size=A)], along(softmax_line, 1)),
    "log softmax": lambda rng: (
        Softmax(2, logarithm=True), [rng.normal(size=A)], along(log_softmax_line, 2)
    ),
    "log sum exp": lambda rng: (LogSumExp((1, 2), keepdim=False), [rng.normal(size=A)], log_sum_exp),
    "log sum exp, axes kept": lambda rng: (
        LogSumExp((-1, 1), keepdim=True), [rng.normal(size=A)], log_sum_exp
    ),
    **{f"attention, mask {kind}": attention_case(kind) for kind in ("none", "causal", "finite")},
    **{f"normalise {kind}": normalise_case(kind) for kind in ("layer", "layers", "group", "instance", "RMS")},
    **{
        f"{kind}{', from the end' if reverse else ''}": recurrent_case(kind, reverse)
        for kind in ("lstm", "gru", "tanh", "relu")
        for reverse in (False, True)
    },
    **{name: function_case(name) for name in FUNCTIONS},
    **{name: activation_case(name, *given) for name, given in AT_ZERO.items()},
    "softplus of twice": activation_case("softplus", *SOFTPLUS_OF_TWO),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", CASES.values(), ids=CASES.keys())
def test_relevance_follows_the_papers_formula_and_is_conserved(make, seed):
    rng = np.random.default_rng(seed)
    operation, inputs, oracle = make(rng)
    tensors = tuple(tensor(x) for x in inputs)
    y, memo = operation.forward(*tensors)
    at = At(tensors, y, memo)
    c = tensor(rng.normal(size=tuple(y.shape)))
    R = (y * c).numpy()
    expected = oracle(R, *inputs)
    pulled = operation.pull(c, at)
    found = [np.zeros(x.shape) if p is None else x * p.numpy() for x, p in zip(inputs, pulled, strict=True)]
    for got, wanted in zip(found, expected, strict=True):
        # Where terms nearly cancel, relevance is large and its rounding too.
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(R).max()))
    absorbed = operation.absorbed(c, at)
    assert absorbed is None or absorbed.shape == y.shape, "absorbed relevance is told at the output"
    taken = 0.0 if absorbed is None else float(absorbed.sum())
    turnover = np.abs(R).sum() + sum(np.abs(r).sum() for r in found)
    assert abs(R.sum() - sum(r.sum() for r in found) - taken) <= 1e-10 * turnover


# Layers with weights in unusual places, as matrices (inputs, outputs) of one sample.


def transposed_matrix(layer: TransposedConvolution, x: Array) -> tuple[Array, Array]:
    """Every input neuron writes into the output, position by position; what falls outside is cut."""
    W = layer.weight.numpy()
    c_in, per_group, width = W.shape
    (stride,), (padding,), (extra,), (dilation,) = (
        layer.stride, layer.padding, layer.output_padding, layer.dilation
    )  # fmt: skip
    length = (x.shape[1] - 1) * stride - 2 * padding + dilation * (width - 1) + extra + 1
    M = np.zeros((*x.shape, per_group * layer.groups, length))
    for c, i, o, k in np.ndindex(c_in, x.shape[1], per_group, width):
        place = i * stride - padding + k * dilation
        if 0 <= place < length:
            M[c, i, c // (c_in // layer.groups) * per_group + o, place] += W[c, o, k]
    bias = np.zeros(M.shape[2]) if layer.bias is None else layer.bias.numpy()
    return M.reshape(x.size, -1), np.repeat(bias, length)


def contraction_matrix(layer: Contraction, x: Array) -> tuple[Array, Array]:
    """The output for every single input neuron set to 1."""
    first, second, result = layer._indices
    W = layer.weight.numpy()
    sizes = dict(zip(first[1:] + second, (*x.shape, *W.shape), strict=True))
    M = np.zeros((*x.shape, *(sizes[i] for i in result[1:])))
    names = sorted(sizes)
    for values in np.ndindex(*(sizes[i] for i in names)):
        at = dict(zip(names, values, strict=True))
        place = tuple(at[i] for i in first[1:] + result[1:])
        M[place] += W[tuple(at[i] for i in second)]
    matrix = M.reshape(x.size, -1)
    return matrix, np.zeros(matrix.shape[1])


def draw_transposed(rng: np.random.Generator, options: str) -> tuple[Layer, tuple[int, ...]]:
    stride, padding, extra, dilation, groups = map(int, options)
    weight, bias = rng.normal(size=(4, 2, 3)), rng.normal(size=2 * groups)
    layer = TransposedConvolution(
        tensor(weight), tensor(bias), (stride,), (padding,), (extra,), (dilation,), groups
    )
    return layer, (4, 5)


def draw_contraction(rng: np.random.Generator, equation: str) -> tuple[Layer, tuple[int, ...]]:
    shapes = {"ncl,cd->nld": (3, 5), "nld,hdk->nhlk": (2, 4, 3), "nld,ld->nl": (3, 4), "nld,ld->nld": (3, 4)}
    return Contraction(tensor(rng.normal(size=shapes[equation])), None, equation), (3, 4)


LAYERS = {
    "transposed": (draw_transposed, "10011", transposed_matrix),
    "transposed, stride": (draw_transposed, "21011", transposed_matrix),
    "transposed, output padding": (draw_transposed, "31111", transposed_matrix),
    "transposed, dilation and groups": (draw_transposed, "22122", transposed_matrix),
    "channels": (draw_contraction, "ncl,cd->nld", contraction_matrix),
    "heads": (draw_contraction, "nld,hdk->nhlk", contraction_matrix),
    "weights of every position": (draw_contraction, "nld,ld->nl", contraction_matrix),
    "element by element": (draw_contraction, "nld,ld->nld", contraction_matrix),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rule", ["zero", "epsilon", "z-plus", "gamma", "alpha-beta"])
@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS.keys())
def test_layers_with_unusual_weights_follow_their_matrix(case, rule, seed):
    rng = np.random.default_rng(seed)
    draw, options, as_matrix = case
    layer, shape = draw(rng, options)
    a = rng.normal(size=(2, *shape))
    z, _ = layer.forward(tensor(a))
    c = tensor(rng.normal(size=tuple(z.shape)))
    prepared = PreparedLayer.prepare(layer, RULES[rule](), non_negative=False)
    result = propagate(prepared, "layer", tensor(a), z, c, Samples(2), Denominators())
    relevance = a * result.multiplier.numpy()
    absorbed = (result.to_bias + result.to_stabiliser).numpy()
    for n in range(2):
        W, b = as_matrix(layer, a[n])
        np.testing.assert_allclose(a[n].ravel() @ W + b, z[n].numpy().ravel(), rtol=1e-9, atol=1e-12)
        R = (z * c)[n].numpy().ravel()
        expected = oracle_rules.step(a[n].ravel(), W, b, R, rule, EPSILON)
        # One near-zero denominator makes a large share, and its rounding.
        size = max(1.0, np.abs(expected.relevance).max())
        np.testing.assert_allclose(relevance[n].ravel(), expected.relevance, rtol=1e-9, atol=1e-9 * size)
        np.testing.assert_allclose(absorbed[n], expected.absorbed.sum(), rtol=1e-9, atol=1e-9 * size)
        turnover = np.abs(R).sum() + np.abs(relevance[n]).sum() + np.abs(expected.absorbed).sum()
        assert abs(R.sum() - relevance[n].sum() - absorbed[n]) <= 1e-10 * turnover


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
