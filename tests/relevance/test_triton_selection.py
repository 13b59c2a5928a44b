"""The selection on GPUs against the definition: on a GPU, and everywhere in Triton's interpreter."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.triton_process import assembly_for, process
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles.pruning import SUMS, TIES, decision_margin, kept_by_definition

from sparselrp_cli.relevance import pruning

if find_spec("triton") is None:
    pytest.skip("triton isn't installed", allow_module_level=True)

Array = NDArray[Any]
Select = Callable[..., Any]
LAWS = settings(max_examples=60)
LARGEST = float(np.finfo(np.float32).max)
DENORMAL = float(np.float32(1e-45))
# Whole numbers make ties and running sums that hit p V exactly.
values = st.one_of(
    st.integers(-4, 4).map(float),
    st.floats(-10, 10, width=32),
    st.sampled_from([LARGEST, -LARGEST, DENORMAL, -3 * DENORMAL, 1e-30, 2.0**-126]),
)
rows = st.lists(values, min_size=1, max_size=40).map(lambda row: np.array([row], dtype=np.float32))
proportions = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 0.75]), st.floats(0.0, 0.99))


def call(
    name: str, arrays: list[Array], p: float, q: float, device: str, dtype: torch.dtype, ties: float
) -> Any:
    """Call a function of the module on arrays; its results as arrays."""
    from sparselrp_cli.relevance.kernels import triton_selection

    tensors = [torch.from_numpy(array).to(device, dtype) for array in arrays]
    result = getattr(triton_selection, name)(*tensors, p, q, ties, SUMS)
    if name == "thresholds":
        return result.cpu().numpy()
    return result.multiplier.float().cpu().numpy(), result.kept.cpu().numpy(), result.found.cpu().numpy()


KERNELS = ("_add_up", "_choose", "_lower", "_add_up_pruned", "_settle", "_apply")
TYPES = {
    "a": "*fp32", "c": "*fp32", "scaled": "*fp32", "smallest_kept": "*i32", "histogram": "*i64",
    "found": "*fp64", "thetas": "*i64", "kept": "*i64", "m": "i32", "shift": "i32", "width": "i32",
    "positive": "i64", "negative": "i64", "share": "i64", "is_product": "constexpr",
}  # fmt: skip


@pytest.fixture(scope="module")
def interpreter() -> Iterator[ProcessPoolExecutor]:
    yield from process(TRITON_INTERPRET="1")


@pytest.fixture(scope="module", params=["interpreter", pytest.param("gpu", marks=pytest.mark.gpu)])
def select(request: pytest.FixtureRequest) -> Select:
    """Call a function of the module, on either machine."""
    if request.param == "gpu":
        if not torch.cuda.is_available():
            pytest.skip("no NVIDIA GPU here")

        def direct(name, *arrays, p, q, dtype=torch.float32, ties=TIES):
            return call(name, list(arrays), p, q, "cuda", dtype, ties)

        return direct
    pool: ProcessPoolExecutor = request.getfixturevalue("interpreter")

    def interpreted(name, *arrays, p, q, dtype=torch.float32, ties=TIES):
        return pool.submit(call, name, list(arrays), p, q, "cpu", dtype, ties).result()

    return interpreted


def by_definition(row: Array, p: float, q: float) -> Array:
    """Threshold, mass and pruned mass of both signs of one row, in float64."""
    r = row.astype(np.float64)
    keep = kept_by_definition(r, p, q)
    found = np.zeros((2, 3))
    for s, v in enumerate((np.maximum(r, 0), np.maximum(-r, 0))):
        gone = v[~keep]
        found[s] = gone.max(initial=0.0), math.fsum(v), math.fsum(gone)
    return found


def assert_is_definition(found: Array, relevance: Array, p: float, q: float) -> None:
    for row, of_row in zip(relevance, found, strict=True):
        expected = by_definition(row, p, q)
        assert of_row[:, 0].tolist() == expected[:, 0].tolist()
        np.testing.assert_allclose(of_row[:, 1:], expected[:, 1:], rtol=1e-14, atol=0)


def layer(kind: str, n: int, m: int) -> Array:
    """Relevance of one kind."""
    rng = np.random.default_rng(len(kind) + m)
    normal = rng.standard_normal((n, m))
    made = {
        "random": normal,
        "of many sizes": normal * np.exp(12 * rng.standard_normal((n, m))),
        "tied": rng.integers(-5, 6, (n, m)),
        "constant": np.full((n, m), 0.1),
        "denormal": rng.integers(-(2**22), 2**22, (n, m)) * 2.0**-149,
        "at the edge of the denormal": normal * 2.0**-126,
        "sparse": normal * (rng.random((n, m)) < 0.02),
        "of one sign": -np.abs(normal),
        "huge": normal * 1e37,
    }
    return made[kind].astype(np.float32)


KINDS = (
    "random", "of many sizes", "tied", "constant", "denormal", "at the edge of the denormal", "sparse",
    "of one sign", "huge",
)  # fmt: skip


@pytest.mark.parametrize(
    ("r", "p", "q", "expected"),
    [
        ([5, 3, 1, 0.5, 0.5, -2, -1, -0.25, 0], 0.25, 0.125, [6.25, 3.75, 0, 0, 0, -13 / 6, -13 / 12, 0, 0]),
        ([1, 1, 1, 1], 0.25, 0.125, [1, 1, 1, 1]),
        ([1, 1, 2, 4], 0.2, 0.1, [1, 1, 2, 4]),
        ([1, 1, 2, 4], 0.25, 0.1, [0, 0, 8 / 3, 16 / 3]),
        ([2, -3], 0.9, 0.9, [2, -3]),
    ],
)
def test_vectors_of_the_method(select, r, p, q, expected):
    relevance = np.array([r], dtype=np.float32)

    multiplier, kept, found = select("prune_lambda", np.ones_like(relevance), relevance, p=p, q=q)

    np.testing.assert_allclose(multiplier, [expected], rtol=1e-7, atol=0)
    assert kept == [np.count_nonzero(expected)]
    assert_is_definition(found, relevance, p, q)


@pytest.mark.parametrize("p", [0.02, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_thresholds_are_those_of_the_definition(select, kind, p):
    relevance = layer(kind, 2, 2500)

    found = select("thresholds", relevance, p=p, q=p / 2)

    assert kind in ("tied", "constant", "denormal") or all(
        decision_margin(row.astype(np.float64), p) > 1e-12 for row in relevance
    )
    assert_is_definition(found, relevance, p, p / 2)


@LAWS
@given(relevance=rows, p=proportions, q=proportions)
def test_thresholds_of_small_layers_are_those_of_the_definition(select, relevance, p, q):
    r = relevance[0].astype(np.float64)
    is_exact = (r == np.round(r)).all() and np.abs(r).max() < 10 and 4 * p % 1 == 0 and 4 * q % 1 == 0
    if not is_exact and decision_margin(r, p, q) < 1e-12:
        return

    assert_is_definition(select("thresholds", relevance, p=p, q=q), relevance, p, q)


@pytest.mark.parametrize("m", [1, 2, 1023, 1024, 1025])
def test_a_layer_need_not_fill_the_blocks(select, m):
    relevance = layer("random", 3, m)

    assert_is_definition(select("thresholds", relevance, p=0.3, q=0.1), relevance, 0.3, 0.1)


@pytest.mark.parametrize("shape", [(2, 5), (2, 0), (0, 5)])
def test_without_relevance_nothing_is_found(select, shape):
    zeros = np.zeros(shape, dtype=np.float32)

    multiplier, kept, found = select("prune_lambda", -zeros, zeros, p=0.5, q=0.5)

    assert not multiplier.any()
    assert not kept.any()
    assert found.shape == (shape[0], 2, 3)
    assert not found.any()


def test_no_proportion_prunes_nothing_and_changes_no_bit(select):
    a, c = np.abs(layer("sparse", 2, 1500)), layer("random", 2, 1500)

    multiplier, kept, found = select("prune_lambda", a, c, p=0.0, q=0.0)

    assert multiplier.tobytes() == np.where(a * c == 0, np.float32(0), c).tobytes()
    assert kept.tolist() == np.count_nonzero(a * c, axis=1).tolist()
    assert not found[:, :, 0].any()
    assert not found[:, :, 2].any()


@pytest.mark.parametrize("kind", ["random", "of many sizes", "tied", "sparse"])
def test_survivors_are_scaled_to_the_mass_of_their_sign(select, kind):
    a, c = np.abs(layer("random", 2, 1500)), layer(kind, 2, 1500)
    p, q = 0.4, 0.2

    multiplier, kept, found = select("prune_lambda", a, c, p=p, q=q)

    relevance = a * c
    assert_is_definition(found, relevance, p, q)
    for row in range(2):
        keep = kept_by_definition(relevance[row].astype(np.float64), p, q)
        assert (multiplier[row] != 0).tolist() == keep.tolist()
        assert kept[row] == keep.sum()
        for s, sign in enumerate((1, -1)):
            of_sign = keep & (sign * relevance[row] > 0)
            mass, gone = found[row, s, 1:]
            scaled = c[row, of_sign] * np.float32(mass / (mass - gone))
            assert multiplier[row, of_sign].tolist() == scaled.tolist()


def test_a_denormal_product_counts_like_any_other(select):
    rng = np.random.default_rng(7)
    a = np.full((1, 800), 2.0**-100, dtype=np.float32)
    c = (rng.standard_normal((1, 800)) * 2.0**-38).astype(np.float32)
    relevance = a * c
    assert 0 < np.abs(relevance).max() < np.finfo(np.float32).tiny

    multiplier, kept, found = select("prune_lambda", a, c, p=0.25, q=0.125)

    assert_is_definition(found, relevance, 0.25, 0.125)
    keep = kept_by_definition(relevance[0].astype(np.float64), 0.25, 0.125)
    assert (multiplier[0] != 0).tolist() == keep.tolist()
    assert kept == [keep.sum()]


def test_the_largest_survives_where_the_proportion_rounds_to_all(select):
    relevance = np.array([[0.1, 0.2, 0.3, -0.7, 0, 0.3]], dtype=np.float32)
    almost_all = float(np.nextafter(1.0, 0.0))

    _, kept, found = select("prune_lambda", np.ones_like(relevance), relevance, p=almost_all, q=almost_all)

    assert kept == [3]  # the tie of the largest, and the only negative one
    assert found[0, :, 0].tolist() == [float(np.float32(0.2)), 0]


def test_proportions_are_taken_in_float64(select):
    # .35 * 20 is 7 in float64, and less in float32, which would keep the 7.
    relevance = np.array([[7, 13, -7, -13]], dtype=np.float32)

    assert select("thresholds", relevance, p=0.35, q=0.35)[0, :, 0].tolist() == [7, 7]


@pytest.mark.parametrize("exponent", [-149, -126, -127, -20, 0, 1, 100])
def test_what_equals_the_first_kept_value_is_kept_across_a_power_of_two(select, exponent):
    smallest = 2.0**-149
    one = 2.0**exponent
    values = [one / 4, one * (1 - 2.0**-13), one * (1 - 2.0**-15), one, one, 2 * one]
    relevance = np.array([[v for v in values if v >= smallest]], dtype=np.float32)

    found = select("thresholds", relevance, p=0.5, q=0.5)

    assert_is_definition(found, relevance, 0.5, 0.5)


def test_neither_order_nor_batch_changes_a_bit(select):
    relevance = layer("of many sizes", 3, 2100)
    found = select("thresholds", relevance, p=0.6, q=0.3)

    assert select("thresholds", relevance[:, ::-1].copy(), p=0.6, q=0.3).tobytes() == found.tobytes()
    assert select("thresholds", relevance[1:2], p=0.6, q=0.3).tobytes() == found[1:2].tobytes()


def test_bfloat16_is_taken_as_the_float32_that_it_is(select):
    relevance = torch.from_numpy(layer("random", 2, 1200)).bfloat16().float().numpy()
    a = np.full_like(relevance, 0.5)

    found = select("thresholds", relevance, p=0.25, q=0.125, dtype=torch.bfloat16)
    multiplier, _, halved = select("prune_lambda", a, relevance, p=0.25, q=0.125, dtype=torch.bfloat16)

    assert_is_definition(found, relevance, 0.25, 0.125)
    assert halved.tolist() == (found / 2).tolist()
    assert (multiplier != 0).tolist() == [
        kept_by_definition(row.astype(np.float64), 0.25, 0.125).tolist() for row in relevance
    ]


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_isnt_finite_isnt_hidden(select, bad):
    relevance = layer("random", 2, 50)
    relevance[0, 3] = bad

    multiplier, _, found = select("prune_lambda", np.ones_like(relevance), relevance, p=0.25, q=0.1)

    assert np.isnan(found[0, :, 1]).any()
    assert np.isnan(multiplier[0, 3])
    assert_is_definition(found[1:], relevance[1:], 0.25, 0.1)


def test_another_type_is_refused(select):
    with pytest.raises(TypeError, match=r"takes float32 or bfloat16, not torch\.float64"):
        select("thresholds", np.ones((1, 3)), p=0.5, q=0.5, dtype=torch.float64)


@pytest.mark.parametrize("capability", [80, 90])
def test_the_kernels_compile_for_gpus_that_neednt_be_here(tmp_path: Path, capability):
    for pool in process(TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path)):
        assembly = pool.submit(
            assembly_for, capability, "triton_selection", KERNELS, TYPES, {"is_product": [True, False]}
        ).result()

    for name, code in assembly.items():
        assert ".ftz" not in code, f"{name} takes denormal numbers for zero"
        assert not [line for line in code.splitlines() if "red.global" in line and ".f" in line]


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(1, 300_000), (32, 135_000), (1, 2_000_001), (256, 1000)])
def test_layers_of_real_size_are_pruned_as_by_sorting(shape):
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU here")
    from sparselrp_cli.relevance.kernels.triton_selection import prune_lambda

    generator = torch.Generator("cuda").manual_seed(3)
    a, c = (torch.randn(shape, generator=generator, device="cuda") for _ in range(2))

    first, second = (prune_lambda(a.relu(), c, 0.25, 0.125, TIES, SUMS) for _ in range(2))

    keep = pruning.kept(a.relu() * c, 0.25, 0.125)
    assert torch.equal(first.multiplier != 0, keep)
    assert torch.equal(first.kept, keep.sum(1))
    assert torch.equal(first.multiplier, second.multiplier)
    assert torch.equal(first.found, second.found)


@pytest.mark.gpu
def test_the_selection_goes_into_a_graph():
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU here")
    from sparselrp_cli.relevance.kernels.triton_selection import thresholds

    relevance = torch.ones(3, 5000, device="cuda")
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # compiles
        thresholds(relevance, 0.25, 0.125, TIES, SUMS)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = thresholds(relevance, 0.25, 0.125, TIES, SUMS)

    fresh = layer("random", 3, 5000)
    relevance.copy_(torch.from_numpy(fresh))
    graph.replay()

    assert_is_definition(found.cpu().numpy(), fresh, 0.25, 0.125)
