"""The compiled passes against definitions and plain torch, on fresh random and on awkward numbers."""

import os
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.pruning import decision_margin, kept_by_definition, redistribute_lambda
from torch.nn import functional

from sparselrp_cli.errors import SparselrpError
from sparselrp_cli.graph.operations.convolution import Convolution
from sparselrp_cli.graph.shapes import Samples
from sparselrp_cli.relevance import kernels
from sparselrp_cli.relevance.gathered import GatheredConvolution
from sparselrp_cli.relevance.kernels import compiling
from sparselrp_cli.relevance.kernels.calling import use_threads
from sparselrp_cli.relevance.kernels.columns import nonzero_rows
from sparselrp_cli.relevance.kernels.shares import share_rows
from sparselrp_cli.relevance.pruning import Pruning, kept, scale_to_mass, survivors_scale
from sparselrp_cli.relevance.rows import MemoryOrder, sums
from sparselrp_cli.relevance.rules import RULES, Branch
from sparselrp_cli.relevance.step import Output, PreparedLayer

SEEDS = range(4)
DTYPES = [torch.float32, torch.float64]
LAWS = settings(max_examples=200)
proportions = st.floats(0, 0.99)
awkward = st.sampled_from([0.0, 1.0, -1.0, 0.5, 1e-40, -1e-45, 2e-45, 1e30, -0.0])
layers = st.lists(st.one_of(st.floats(-10, 10, width=32), awkward), min_size=1, max_size=60)


def kept_by_kernel(r: torch.Tensor, p: float, q: float) -> torch.Tensor:
    mask, *_ = kernels.prune(r, torch.ones_like(r), p, q, as_mask=True)
    return mask.bool()


def draws(rng: np.random.Generator, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Layers of one sample: every kind of number that selection could stumble over."""
    normal = rng.normal(size=70_000)
    wide = rng.normal(size=3_000) * np.exp(rng.normal(scale=9, size=3_000))
    few = rng.choice([-2.0, -0.5, 0.25, 0.5, 1.0], size=5_000)
    numbers = {
        "normal": normal,
        "rectified": np.maximum(normal, 0),
        "of one sign": -np.abs(normal),
        "of all sizes": wide,
        "tied": few,
        "constant": np.full(4_097, 0.3),
        "beside each other": 0.3 * (1 + 1e-2 * rng.random(20_000)) * rng.choice([-1, 1], 20_000),
        "mostly zero": normal * (rng.random(70_000) < 0.001),
        "single": rng.normal(size=1),
        "zero": np.zeros(100),
        "subnormal": rng.normal(size=500) * (1e-41 if dtype == torch.float32 else 1e-310),
    }
    return {name: torch.tensor(r[None], dtype=dtype) for name, r in numbers.items()}


@pytest.mark.parametrize("p", [0.02, 0.25, 0.9])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("seed", SEEDS)
def test_selection_keeps_the_set_of_the_definition(seed, dtype, p):
    for name, r in draws(np.random.default_rng(seed), dtype).items():
        flat = r[0].double().numpy()
        if decision_margin(flat, p, p / 2) < 1e-12 and name != "subnormal":
            continue  # a running sum within rounding of p V
        expected = kept_by_definition(flat, p, p / 2)
        assert np.array_equal(kept_by_kernel(r, p, p / 2)[0].numpy(), expected), name


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@LAWS
@given(layers, proportions, proportions)
def test_selection_keeps_the_set_of_the_definition_on_awkward_numbers(dtype, values, p, q):
    r = torch.tensor([values], dtype=dtype)
    flat = r[0].double().numpy()
    if decision_margin(flat, p, q) > 1e-9:
        assert kept_by_kernel(r, p, q)[0].tolist() == kept_by_definition(flat, p, q).tolist()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("exponent", [-30, -1, 0, 1, 30])
def test_what_equals_the_first_kept_value_is_kept_across_the_edge_of_a_bucket(exponent, dtype):
    one = 2.0**exponent  # buckets of the histogram begin at powers of two
    r = torch.tensor([[one / 4, one * (1 - 2.0**-13), one * (1 - 2.0**-15), one, one, 2 * one]], dtype=dtype)
    mask, kept_count, _, pruned_mass = kernels.prune(r, torch.ones_like(r), 0.5, 0.5, as_mask=True)
    assert mask[0].tolist() == [0, 0, 1, 1, 1, 1]
    assert kept_by_definition(r[0].double().numpy(), 0.5).tolist() == mask[0].bool().tolist()
    assert int(kept_count) == 4
    np.testing.assert_allclose(float(pruned_mass), one / 4 + one * (1 - 2.0**-13), rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_sample_is_pruned_on_its_own(dtype):
    rng = np.random.default_rng(5)
    scales = np.array([[1.0], [1e-12], [1e12], [0.0], [3.0]])
    a = torch.tensor(np.maximum(rng.normal(size=(5, 40_000)), 0), dtype=dtype)
    c = torch.tensor(rng.normal(size=(5, 40_000)) * scales, dtype=dtype)
    together = kernels.prune(a, c, 0.25, 0.125, as_mask=False)
    for i in range(5):
        alone = kernels.prune(a[i : i + 1], c[i : i + 1], 0.25, 0.125, as_mask=False)
        for ours, theirs in zip(together, alone, strict=True):
            assert torch.equal(ours[i : i + 1], theirs)


@pytest.mark.parametrize("seed", SEEDS)
def test_survivors_take_over_the_mass_of_their_sign(seed):
    rng = np.random.default_rng(seed)
    a, c = torch.tensor(rng.normal(size=(2, 3, 5_000)))
    pruned = Pruning(0.4, 0.1).scale(a, c)
    for i in range(3):
        r = (a * c)[i].numpy()
        keep = kept_by_definition(r, 0.4, 0.1)
        np.testing.assert_allclose(
            (a * pruned.multiplier)[i].numpy(), redistribute_lambda(r, keep), rtol=1e-12
        )
        assert int(pruned.kept[i]) == keep.sum()
        np.testing.assert_allclose(float(pruned.mass[i]), np.abs(r).sum(), rtol=1e-12)
        np.testing.assert_allclose(float(pruned.pruned_mass[i]), np.abs(r[~keep]).sum(), rtol=1e-11)


def test_the_number_of_threads_changes_no_bit():
    rng = np.random.default_rng(1)
    a, c = torch.tensor(rng.normal(size=(2, 3, 200_000)), dtype=torch.float32)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            use_threads()
            results.append([*kernels.prune(a, c, 0.25, 0.125, as_mask=False), kernels.sums(a)])
    finally:
        torch.set_num_threads(before)
        use_threads()
    assert all(torch.equal(one, two) for one, two in zip(*results, strict=True))


def test_the_first_compiled_loop_leaves_torch_the_threads_it_was_given():
    code = """
import torch
torch.set_num_threads(1)
assert torch.get_num_threads() == 1
from sparselrp_cli.relevance import kernels
kernels.sums(torch.ones(1, 8))
print(torch.get_num_threads())
"""
    environment = {**os.environ, "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_selection_without_and_with_compiled_loops_is_the_same(dtype):
    rng = np.random.default_rng(2)
    r = torch.tensor(rng.normal(size=(4, 30_000)), dtype=dtype)
    assert torch.equal(kept_by_kernel(r, 0.3, 0.2), kept(r, 0.3, 0.2))


def test_masked_multipliers_are_scaled_as_by_plain_torch():
    rng = np.random.default_rng(3)
    a, c = torch.tensor(rng.normal(size=(2, 3, 4_000)))
    c[1] = c[1].abs() * a[1].sign()  # one sign only
    keep = torch.tensor(rng.random((3, 4_000)) < 0.2).double()
    keep[2] = 0  # nothing to put the mass on
    scaled, lost = scale_to_mass(a, c, keep)
    factors, unplaced = survivors_scale(a * c, keep.bool())
    torch.testing.assert_close(scaled, c * factors, rtol=1e-12, atol=0)
    torch.testing.assert_close(lost, unplaced, rtol=1e-12, atol=0)


def convolution(rng: np.random.Generator, dtype=torch.float64, **changes: int) -> Convolution:
    options = {"stride": 1, "padding": 2, "dilation": 1, "c_in": 3, "c_out": 5, "width": 4, **changes}
    weight = torch.tensor(rng.normal(size=(options["c_out"], options["c_in"], options["width"])), dtype=dtype)
    bias = torch.tensor(rng.normal(size=options["c_out"]), dtype=dtype)
    geometry = [(options[key],) for key in ("stride", "padding", "dilation")]
    return Convolution(weight, bias, *geometry, 1)


def outputs(layer: Convolution, rule: str, rng: np.random.Generator, zeros: bool):
    """A layer's output with multipliers, once as the compiled loops take it and once as plain torch does."""
    a = torch.tensor(rng.normal(size=(3, layer.weight.shape[1], 30)))
    z, _ = layer.forward(a)
    c = torch.tensor(rng.normal(size=tuple(z.shape)))
    if zeros:
        z[0, 0] = 0
        c[1] = 0
    prepared = PreparedLayer.prepare(layer, RULES[rule](), non_negative=False)
    return a, Output(prepared, z, c, Samples(3))


@pytest.mark.parametrize("zeros", [False, True], ids=["", "zeros"])
@pytest.mark.parametrize("rule", ["zero", "epsilon", "gamma", "z-plus", "alpha-beta"])
@pytest.mark.parametrize("seed", SEEDS)
def test_shares_and_their_accounts_are_those_of_plain_torch(seed, rule, zeros):
    rng = np.random.default_rng(seed)
    a, output = outputs(convolution(rng), rule, rng, zeros)
    for branch in output.prepared.branches:
        d = output.prepared.denominator(branch, a, output.z)
        ours = output.share(branch, d)
        theirs = output._share_relevance(output.relevance(branch), branch, d)
        torch.testing.assert_close(ours.values, theirs.values, rtol=1e-12, atol=0)
        torch.testing.assert_close(ours.to_bias, theirs.to_bias, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(ours.to_stabiliser, theirs.to_stabiliser, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("rule", ["epsilon", "gamma", "z-plus"])
@pytest.mark.parametrize("seed", SEEDS)
def test_masked_shares_fall_back_where_plain_torch_says(seed, rule, monkeypatch):
    rng = np.random.default_rng(seed)
    a, output = outputs(convolution(rng), rule, rng, zeros=True)
    masked = a * torch.tensor(rng.random(tuple(a.shape)) < 0.3)
    for branch in output.prepared.branches:
        inner = output.prepared.weigh(branch, masked, None)
        least = None if branch.positive else 0.2 * output.prepared.magnitude(branch, masked)
        ours = output.share_masked(branch, inner, least)
        with monkeypatch.context() as patched:
            patched.setattr(kernels, "is_compiled", lambda tensor: False)
            theirs = output.share_masked(branch, inner, least)
        assert int(ours.columns.sum()) > 0
        torch.testing.assert_close(ours.values, theirs.values, rtol=1e-12, atol=0)
        torch.testing.assert_close(ours.fallen, theirs.fallen, rtol=0, atol=0)
        torch.testing.assert_close(ours.columns, theirs.columns, rtol=0, atol=0)
        torch.testing.assert_close(ours.mass, theirs.mass, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(ours.to_stabiliser, theirs.to_stabiliser, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    "changes",
    [{}, {"padding": 0}, {"padding": 7}, {"dilation": 3}, {"stride": 2}, {"stride": 3, "dilation": 2},
     {"width": 1, "padding": 0}, {"c_in": 40, "c_out": 17}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("seed", SEEDS)
def test_a_convolution_at_some_positions_is_the_whole_one_there(seed, changes):
    rng = np.random.default_rng(seed)
    layer = convolution(rng, **changes)
    x = torch.tensor(rng.normal(size=(3, layer.weight.shape[1], 31)))
    whole, _ = layer.forward(x)
    length = whole.shape[2]
    index = torch.tensor(np.flatnonzero(rng.random(3 * length) < 0.2))
    firsts = torch.searchsorted(index, torch.arange(4) * length)
    part = GatheredConvolution.of(layer, index, firsts, length)
    rows = whole.movedim(1, -1).reshape(-1, whole.shape[1])
    torch.testing.assert_close(part.apply(x, layer.weight, layer.bias), rows[index], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        part.apply(x, layer.weight, None), rows[index] - layer.bias, rtol=1e-12, atol=1e-12
    )
    values = torch.zeros_like(rows)
    values[index] = torch.tensor(rng.normal(size=(len(index), rows.shape[1])))
    back = layer.transpose(values.reshape(3, length, -1).movedim(-1, 1), layer.weight, x)
    ours = part.transpose(values[index], layer.weight, x)
    torch.testing.assert_close(ours, back, rtol=1e-12, atol=1e-12)


def test_rows_without_relevance_are_found_and_too_many_others_are_not_looked_for():
    values = torch.zeros(1_000, 7)
    values[[3, 500, 999], [0, 6, 3]] = torch.tensor([1.0, -1e-45, 2.0])
    found = nonzero_rows(values, 0.25)
    assert found is not None
    assert found.tolist() == [3, 500, 999]
    assert nonzero_rows(values, 0.002) is None
    none = nonzero_rows(torch.zeros(10, 2), 0.25)
    assert none is not None
    assert len(none) == 0


@pytest.mark.parametrize("moved", [False, True], ids=["plain", "channels last"])
def test_rows_in_memory_order_lose_nothing(moved):
    rng = np.random.default_rng(0)
    values = torch.tensor(rng.normal(size=(3, 5, 8)))
    if moved:
        values = values.movedim(1, -1).contiguous().movedim(-1, 1)
    order = MemoryOrder.of(values, Samples(3))
    rows = order.rows(values)
    assert rows.is_contiguous()
    assert rows.data_ptr() == values.data_ptr()
    assert torch.equal(order.shaped(rows), values)
    other = torch.tensor(rng.normal(size=(3, 5, 8)))
    assert torch.equal(order.shaped(order.rows(other)), other)
    torch.testing.assert_close(sums(values, Samples(3)), values.sum((1, 2)), rtol=1e-12, atol=1e-12)


def test_layers_convolve_channels_last_as_torch_does():
    rng = np.random.default_rng(0)
    layer = convolution(rng, dilation=2, stride=2)
    x = torch.tensor(rng.normal(size=(2, 3, 40)))
    expected = functional.conv1d(x, layer.weight, layer.bias, 2, 2, 2)
    z, _ = layer.forward(x)
    torch.testing.assert_close(z, expected, rtol=1e-12, atol=1e-12)
    x.requires_grad_()
    c = torch.tensor(rng.normal(size=tuple(z.shape)))
    (gradient,) = torch.autograd.grad(functional.conv1d(x, layer.weight, None, 2, 2, 2), x, c)
    torch.testing.assert_close(layer.transpose(c, layer.weight, x), gradient, rtol=1e-12, atol=1e-12)


def test_what_pieces_of_a_sample_add_up_to_is_that_of_the_whole_sample():
    a, c = torch.randn(2, 2, 3 * compiling.PIECE // 2, dtype=torch.float64, generator=torch.manual_seed(0))
    r = a * c
    torch.testing.assert_close(kernels.sums(r), r.sum(1))
    masses = kernels.masses(a, c, torch.ones_like(a))[:, :, 0]
    torch.testing.assert_close(masses, torch.stack([r.clamp(0).sum(1), -r.clamp(max=0).sum(1)], 1))
    rows, lie = [x.reshape(-1, 64) for x in (c, a)], torch.arange(3) * (a.shape[1] // 64)
    bias = torch.ones(64, dtype=torch.float64)
    shares = share_rows(*rows, rows[1], Branch("any", torch.ones(64, 1), None, bias), 0.0, lie)
    torch.testing.assert_close(shares.to_bias, c.sum(1))


def test_a_branch_of_negative_outputs_gives_nothing_to_others():
    c = torch.ones(2, 3)
    z = torch.tensor([[-1.0, 0.0, 2.0], [3.0, -4.0, -0.0]])
    branch = Branch("negative", torch.ones(3, 1), None, None)
    shares = share_rows(c, z, torch.ones(2, 3), branch, 0.0, torch.tensor([0, 1, 2]))
    assert shares.values.tolist() == [[-1.0, 0.0, 0.0], [0.0, -4.0, 0.0]]


def test_loops_are_compiled_anew_where_nothing_can_be_kept(monkeypatch):
    def njit(cache: bool = False, **options: object):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(compiling, "njit", njit)
    assert compiling.compiled(lambda x: x + 1)(1) == 2


def test_compilation_is_announced_until_something_is_kept(monkeypatch, tmp_path):
    stats = types.SimpleNamespace(cache_path=str(tmp_path))
    monkeypatch.setattr(
        kernels, "selection", types.SimpleNamespace(select=types.SimpleNamespace(stats=stats))
    )
    assert kernels.must_compile()
    (tmp_path / "selection.select-77.py311.nbi").touch()
    assert not kernels.must_compile()
    stats.cache_path = None
    assert kernels.must_compile()
    monkeypatch.setattr(kernels.selection, "select", lambda: None)  # NUMBA_DISABLE_JIT
    assert not kernels.must_compile()


def test_threads_that_cannot_start_are_one_clear_error(monkeypatch):
    def refuse(count: int) -> None:
        raise ValueError("The threading layer requested 'nonsense' is unknown to Numba.")

    monkeypatch.setattr(compiling, "set_num_threads", refuse)
    with pytest.raises(SparselrpError, match=r"'nonsense' is unknown to Numba. Check NUMBA_THREADING_LAYER"):
        compiling.use_threads(2)


@pytest.mark.parametrize("zeros", [False, True], ids=["", "zeros"])
@pytest.mark.parametrize("seed", SEEDS)
def test_shares_of_both_signs_at_once_are_those_of_plain_torch_and_of_the_branches(seed, zeros, monkeypatch):
    rng = np.random.default_rng(seed)
    a, output = outputs(convolution(rng), "gamma", rng, zeros)
    favoured = output.prepared.favoured
    magnitude = output.prepared.favoured_magnitude(favoured, a, output.z)
    ours = output.share_favoured(favoured, magnitude)
    with monkeypatch.context() as patched:
        patched.setattr(kernels, "is_compiled", lambda tensor: False)
        theirs = output.share_favoured(favoured, magnitude)
    branches = [
        output.share(branch, output.prepared.denominator(branch, a, output.z))
        for branch in output.prepared.branches
    ]
    by_branch = [sum(getattr(b, name) for b in branches) for name in ("values", "to_bias", "to_stabiliser")]
    for found in (ours, theirs):
        torch.testing.assert_close(found.values, by_branch[0], rtol=1e-11, atol=1e-14)
        torch.testing.assert_close(
            found.signed, by_branch[0].copysign(by_branch[0] * output.z), rtol=1e-11, atol=1e-14
        )
        torch.testing.assert_close(found.to_bias, by_branch[1], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(found.to_stabiliser, by_branch[2], rtol=1e-9, atol=1e-12)
