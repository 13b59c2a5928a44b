"""How relevance passes operations that aren't layers: the papers' formulas, and conservation."""

import pytest
import torch
from torch import Tensor

from sparselrp_cli.model.operations import (
    Activation,
    Attention,
    Contraction,
    Decision,
    GatedLinear,
    Homogeneous,
    LogSumExp,
    MatrixProduct,
    Normalise,
    Operation,
    Place,
    Product,
    Quotient,
    Recurrent,
    Samples,
    Softmax,
    TransposedConvolution,
    Where,
)

aten = torch.ops.aten


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(
        *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + sum(shape))
    )


def passed(operation: Operation, *inputs: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
    """Relevance of each input, what was absorbed, and the relevance `R` that came in."""
    y, memo = operation.forward(*inputs)
    c = draw(*y.shape, seed=7)
    pulled = operation.pull(c, inputs, y, memo)
    relevance = [torch.zeros_like(x) if p is None else x * p for x, p in zip(inputs, pulled, strict=True)]
    absorbed = operation.absorbed(c, inputs, y, memo)
    return relevance, torch.zeros(()) if absorbed is None else absorbed, y * c


def cell(kind: str, reverse: bool = False) -> Recurrent:
    gates = {"lstm": 4, "gru": 3}.get(kind, 1)
    return Recurrent(
        kind, draw(3 * gates, 4), draw(3 * gates, 3), draw(3 * gates), draw(3 * gates, seed=1),
        draw(1, 3), draw(1, 3, seed=2) if kind == "lstm" else None, reverse,
    )  # fmt: skip


def aten_call(function: object, name: str, degree: float = 1.0, **arguments: object) -> Homogeneous:
    return Homogeneous(function, (("self", Place(0)), *arguments.items()), name, 0, degree)


X = (2, 3, 6)
FUTURE = torch.zeros(4, 4, dtype=torch.float64).masked_fill(torch.ones(4, 4).triu(1) > 0, -torch.inf)
CASES = {
    "product": (Product(), (draw(*X), draw(*X, seed=1))),
    "product with a gate": (Product(gate=1), (draw(*X), draw(2, 3, 1).sigmoid())),
    "uniform product with a gate": (Product(gate=0, rule="uniform"), (draw(*X).sigmoid(), draw(*X))),
    "quotient": (Quotient(), (draw(*X), draw(*X, seed=1).exp())),
    "gated linear": (GatedLinear(1), (draw(2, 4, 6),)),
    "where": (Where((draw(*X) > 0, None, draw(*X, seed=3))), (draw(*X),)),
    "matrix product": (MatrixProduct(), (draw(2, 4, 5), draw(2, 5, 3))),
    "softmax": (Softmax(2), (draw(*X),)),
    "log softmax": (Softmax(1, logarithm=True), (draw(*X),)),
    "log sum exp": (LogSumExp((1, 2), keepdim=False), (draw(*X),)),
    "attention": (Attention(0.5), (draw(2, 4, 5), draw(2, 6, 5), draw(2, 6, 3))),
    "masked attention": (
        Attention(0.5, FUTURE),
        (draw(2, 4, 5), draw(2, 4, 5, seed=1), draw(2, 4, 3)),
    ),
    "layer norm": (Normalise("layer", 2, 0, True, 1e-5, draw(3, 6), draw(3, 6, seed=1)), (draw(*X),)),
    "group norm": (Normalise("group", 0, 3, True, 1e-5, draw(3, 1), draw(3, 1, seed=1)), (draw(*X),)),
    "RMS norm": (Normalise("RMS", 1, 0, False, 1e-5, draw(6), None), (draw(*X),)),
    "reflect": (aten_call(aten.reflection_pad1d.default, "reflect", padding=(2, 1)), (draw(*X),)),
    "running sum": (aten_call(aten.cumsum.default, "sum", dim=2), (draw(*X),)),
    "product of factors": (aten_call(aten.prod.dim_int, "product", degree=3, dim=1), (draw(*X),)),
    "transposed convolution": (
        TransposedConvolution(draw(3, 2, 4), None, (2,), (1,), (1,), (1,), 1), (draw(*X),)
    ),
    "contraction": (Contraction(draw(3, 5), None, "ncl,cd->nld"), (draw(*X),)),
    "decision": (Decision(aten.sign.default, (("self", Place(0)),), "sign"), (draw(*X),)),
    **{
        name: (Activation(name), (draw(*X),))
        for name in ("sigmoid", "exp", "softplus", "cos", "gelu", "tanh")
    },
    "clamp above 0": (Activation("hardtanh", (0.3, 0.9)), (draw(*X),)),
    **{
        f"{kind}{' from the end' if reverse else ''}": (cell(kind, reverse), (draw(2, 5, 4),))
        for kind in ("lstm", "gru", "tanh", "relu")
        for reverse in (False, True)
    },
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_comes_in_is_passed_on_or_absorbed(case):
    operation, inputs = case
    relevance, absorbed, incoming = passed(operation, *inputs)
    total = sum(float(r.sum()) for r in relevance) + float(absorbed.sum())
    assert total == pytest.approx(float(incoming.sum()), abs=1e-9)


def test_a_product_gives_half_to_each_factor():
    relevance, _, incoming = passed(Product(), draw(*X), draw(*X, seed=1))
    for part in relevance:
        torch.testing.assert_close(part, incoming / 2)


def test_a_gate_gets_nothing():
    (signal, gate), _, incoming = passed(Product(gate=1), draw(*X), draw(*X).sigmoid())
    torch.testing.assert_close(signal, incoming)
    assert not gate.any()


def test_a_softmax_follows_the_formula_of_attnlrp():
    x = draw(2, 5)
    (relevance,), _, incoming = passed(Softmax(1), x)
    s = x.softmax(1)
    for n in range(2):
        for i in range(5):
            expected = x[n, i] * (incoming[n, i] - s[n, i] * incoming[n].sum())
            torch.testing.assert_close(relevance[n, i], expected)


def test_a_matrix_product_shares_in_proportion_and_by_halves():
    a, b = draw(1, 3, 4), draw(1, 4, 2)
    (on_a, on_b), _, incoming = passed(MatrixProduct(), a, b)
    expected_a, expected_b = torch.zeros_like(a), torch.zeros_like(b)
    for j in range(3):
        for p in range(2):
            total = sum(a[0, j, i] * b[0, i, p] for i in range(4))
            for i in range(4):
                share = a[0, j, i] * b[0, i, p] / total * incoming[0, j, p] / 2
                expected_a[0, j, i] += share
                expected_b[0, i, p] += share
    torch.testing.assert_close(on_a, expected_a)
    torch.testing.assert_close(on_b, expected_b)


def test_attention_is_its_parts_one_after_the_other():
    q, k, v = draw(2, 4, 5), draw(2, 6, 5), draw(2, 6, 3)
    whole, _, _ = passed(Attention(0.5), q, k, v)
    logits, _ = MatrixProduct().forward(q, k.transpose(1, 2))
    shares, memo = Softmax(2).forward(0.5 * logits)
    y, _ = MatrixProduct().forward(shares, v)
    on_shares, on_v = MatrixProduct().pull(draw(*y.shape, seed=7), (shares, v), y, None)
    (on_logits,) = Softmax(2).pull(on_shares, (0.5 * logits,), shares, memo)
    on_q, on_k = MatrixProduct().pull(0.5 * on_logits, (q, k.transpose(1, 2)), logits, None)
    for relevance, x, c in zip(whole, (q, k, v), (on_q, on_k.transpose(1, 2), on_v), strict=True):
        torch.testing.assert_close(relevance, x * c)


def test_a_normalisation_is_linear_with_its_deviation_held_constant():
    x = draw(2, 6).requires_grad_()
    operation = Normalise("layer", 1, 0, True, 1e-5, draw(6), draw(6, seed=1))
    y, memo = operation.forward(x)
    c = draw(2, 6, seed=7)
    deviation = (x.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt().detach()
    linear = (x - x.mean(1, keepdim=True)) / deviation * operation.weight
    (expected,) = torch.autograd.grad(linear, x, c)
    torch.testing.assert_close(operation.pull(c, (x.detach(),), y.detach(), memo)[0].detach(), expected)


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


def test_relevance_of_an_lstm_step_follows_signal_take_all():
    operation = cell("lstm")
    x = draw(1, 1, 4)
    (relevance,), _, incoming = passed(operation, x)
    z = x[0, 0] @ operation.w.T + operation.b + operation.h0[0] @ operation.u.T + operation.b_hidden
    i, f, g, _ = z.chunk(4)
    kept, new = f.sigmoid() * operation.c0[0], i.sigmoid() * g.tanh()
    expected = torch.zeros(4, dtype=torch.float64)
    for k in range(3):
        to_signal = incoming[0, 0, k] * new[k] / (kept[k] + new[k])
        denominator = g[k] + 1e-6 * (1 if g[k] >= 0 else -1)
        expected += operation.w[6 + k] * x[0, 0] / denominator * to_signal
    torch.testing.assert_close(relevance[0, 0], expected)


@pytest.mark.parametrize(("axis", "outer", "inner"), [(0, 1, 1), (1, 1, 1), (0, 3, 1), (1, 1, 2), (0, 2, 3)])
def test_samples_are_found_along_any_axis(axis, outer, inner):
    samples = Samples(5, axis, outer, inner)
    shape = [4, 6]
    shape.insert(axis, outer * 5 * inner)
    values = draw(*shape)
    rows = samples.rows(values)
    assert rows.shape == (5, outer * inner * 24)
    torch.testing.assert_close(samples.shaped(rows, values), values, rtol=0, atol=0)
    split = values.movedim(axis, 0).reshape(outer, 5, inner, 4, 6)
    torch.testing.assert_close(samples.sums(values), split.sum((0, 2, 3, 4)))
