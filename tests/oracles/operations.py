# ruff: noqa: N803, N806 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Operations against the papers' formulas, written as loops over single neurons.

AttnLRP (Achtibat et al. 2024): halves for products, the softmax at first order, deviations as scales.
Arras et al. (2017): where there is a gate the signal takes all, and affine maps follow the epsilon rule.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oracles import rules
from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operation import At, Operation
from sparselrp_cli.graph.shapes import Samples
from sparselrp_cli.relevance.rules import RULES
from sparselrp_cli.relevance.step import Denominators, PreparedLayer, propagate

Array = NDArray[np.float64]
Oracle = Callable[..., list[Array]]
"""From the relevance R of the outputs and the inputs to the relevance of each input."""
SEEDS = (0, 1, 2)
EPSILON = 1e-6


@dataclass(frozen=True, eq=False)
class Case:
    """An operation and its inputs, with what it computes and how it shares relevance, written in numpy."""

    operation: Operation
    inputs: list[Array]
    forward: Callable[..., Array]
    relevance: Oracle


Draw = Callable[[np.random.Generator], Case]


def tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))


def broadcast(index: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The entry of a smaller array that is read for an entry of the result."""
    used = index[len(index) - len(shape) :]
    return tuple(i if size > 1 else 0 for i, size in zip(used, shape, strict=True))


def lines(shape: tuple[int, ...], axis: int) -> Iterator[tuple[int | slice, ...]]:
    """An index for every line of neurons along one axis."""
    for start in np.ndindex(*(1 if a == axis else size for a, size in enumerate(shape))):
        yield tuple(slice(None) if a == axis else i for a, i in enumerate(start))


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    return np.exp(x) / np.exp(x).sum()


def passed_on(R: Array, x: Array) -> list[Array]:
    """Relevance stays with the neuron, or is added up over the copies of one that is broadcast."""
    r = np.zeros(x.shape)
    for index in np.ndindex(*R.shape):
        r[broadcast(index, x.shape)] += R[index]
    return [r]


def terms(*weights: float, constant: Array | float = 0.0) -> Oracle:
    """``y = sum_i w_i x_i + constant``: each takes its share of the sum."""

    def oracle(R: Array, *inputs: Array) -> list[Array]:
        relevance = [np.zeros(x.shape) for x in inputs]
        added = np.broadcast_to(constant, R.shape)
        for index in np.ndindex(*R.shape):
            given = [w * x[broadcast(index, x.shape)] for w, x in zip(weights, inputs, strict=True)]
            y = sum(given) + added[index]
            for r, term in zip(relevance, given, strict=True):
                r[broadcast(index, r.shape)] += term / y * R[index]
        return relevance

    return oracle


def shares(*given: float) -> Oracle:
    """Each input takes a fixed share of every output it is part of."""

    def oracle(R: Array, *inputs: Array) -> list[Array]:
        relevance = [np.zeros(x.shape) for x in inputs]
        for index in np.ndindex(*R.shape):
            for r, share in zip(relevance, given, strict=True):
                r[broadcast(index, r.shape)] += share * R[index]
        return relevance

    return oracle


def moved(move: Callable[[Array], Array]) -> Oracle:
    """Each output is a copy of one neuron, or of none (number 0), which takes its relevance."""

    def oracle(R: Array, x: Array) -> list[Array]:
        origin = move(1.0 + np.arange(x.size).reshape(x.shape)).astype(int)
        r = np.zeros(x.size + 1)
        for index in np.ndindex(*R.shape):
            r[origin[index]] += R[index]
        return [r[1:].reshape(x.shape)]

    return oracle


def linear_map(M: Array) -> tuple[Callable[[Array], Array], Oracle]:
    """``y_k = sum_j M_kj x_j`` along the last axis, shared in proportion to the terms."""

    def oracle(R: Array, x: Array) -> list[Array]:
        r = np.zeros(x.shape)
        for index in np.ndindex(*x.shape[:-1]):
            y = M @ x[index]
            for k, j in np.ndindex(*M.shape):
                if M[k, j]:
                    r[(*index, j)] += M[k, j] * x[(*index, j)] / y[k] * R[(*index, k)]
        return [r]

    return lambda x: x @ M.T, oracle


def check_relevance(draw: Draw, seed: int) -> None:
    """An operation computes what it should, shares relevance by its formula, and conserves it."""
    rng = np.random.default_rng(seed)
    case = draw(rng)
    operation, inputs = case.operation, case.inputs
    tensors = tuple(tensor(x) for x in inputs)
    y, memo = operation.forward(*tensors)
    np.testing.assert_allclose(y, case.forward(*inputs), rtol=1e-12, atol=1e-12)
    at = At(tensors, y, memo)
    c = tensor(rng.normal(size=tuple(y.shape)))
    R = (y * c).numpy()
    expected = case.relevance(R, *inputs)
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


Matrix = Callable[[Layer, Array], tuple[Array, Array]]
"""From a layer and one sample to its matrix (inputs, outputs) and its bias of every output."""
LAYER_RULES = ("zero", "epsilon", "z-plus", "gamma", "alpha-beta")


def check_layer(layer: Layer, as_matrix: Matrix, a: Array, rule: str, rng: np.random.Generator) -> None:
    """A layer computes what its matrix does, and a rule shares relevance as with that matrix."""
    z, _ = layer.forward(tensor(a))
    c = tensor(rng.normal(size=tuple(z.shape)))
    prepared = PreparedLayer.prepare(layer, RULES[rule](), non_negative=False)
    result = propagate(prepared, "layer", tensor(a), z, c, Samples(len(a)), Denominators())
    relevance = a * result.multiplier.numpy()
    absorbed = (result.to_bias + result.to_stabiliser).numpy()
    for n in range(len(a)):
        W, b = as_matrix(layer, a[n])
        np.testing.assert_allclose(a[n].ravel() @ W + b, z[n].numpy().ravel(), rtol=1e-9, atol=1e-12)
        R = (z * c)[n].numpy().ravel()
        expected = rules.step(a[n].ravel(), W, b, R, rule, EPSILON)
        # One near-zero denominator makes a large share, and its rounding.
        size = max(1.0, np.abs(expected.relevance).max())
        np.testing.assert_allclose(relevance[n].ravel(), expected.relevance, rtol=1e-9, atol=1e-9 * size)
        np.testing.assert_allclose(absorbed[n], expected.absorbed.sum(), rtol=1e-9, atol=1e-9 * size)
        turnover = np.abs(R).sum() + np.abs(relevance[n]).sum() + np.abs(expected.absorbed).sum()
        assert abs(R.sum() - relevance[n].sum() - absorbed[n]) <= 1e-10 * turnover


class Called(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor | tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.function(x)


def traced(
    functions: Mapping[str, Callable[[Tensor], Tensor]], shape: tuple[int, ...]
) -> dict[str, Operation]:
    """The one operation that each function is traced into, from one graph of all of them."""
    module = Called(lambda x: tuple(function(x) for function in functions.values()))
    graph = capture(module, torch.ones(2, *shape, dtype=torch.float64))
    found = {}
    for i, name in enumerate(functions):
        (node,) = graph.restricted((i,)).nodes
        found[name] = node.operation
    return found


Conversions = Mapping[str, tuple[Callable[[Tensor], Tensor], Sequence[str]]]
"""By name a function of x, and the kinds of operation that it is converted to, in their order."""


def check_conversions(conversions: Conversions, x: Array) -> None:
    """Functions are converted to the kinds they should be, and their graph computes what they do."""
    module = Called(lambda x: tuple(function(x) for function, _ in conversions.values()))
    graph = capture(module, tensor(x))
    for i, (name, (_, kinds)) in enumerate(conversions.items()):
        found = [node.operation.kind for node in graph.restricted((i,)).nodes]
        assert found == list(kinds), f"{name}: {[n.operation.describe() for n in graph.unsupported()]}"
    for name, difference in check_against_module(graph, module, tensor(x)).items():
        assert difference < 1e-12, name


def check_refusals(refusals: Mapping[str, tuple[Callable[[Tensor], Tensor], str]], x: Array) -> None:
    """Functions that can't have a rule are refused, each with its reason."""
    module = Called(lambda x: tuple(function(x) for function, _ in refusals.values()))
    graph = capture(module, tensor(x))
    for i, (name, (_, reason)) in enumerate(refusals.items()):
        found = [node.operation.describe() for node in graph.restricted((i,)).unsupported()]
        assert reason in found, f"{name}: {found}"
