"""Sharing on GPUs against its definition in float64: on a GPU, and everywhere in Triton's interpreter."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.triton_process import assembly_for, process
from torch import Tensor

from sparselrp_cli.relevance.kernels.channels import Channels

if find_spec("triton") is None:
    pytest.skip("triton isn't installed", allow_module_level=True)

Share = Callable[..., tuple[Tensor, ...]]
KERNELS = ("_share", "_share_favoured", "_share_masked")
TYPES = {
    **dict.fromkeys(("c", "z", "denominator", "magnitude", "least", "bias", "bias_magnitude"), "*fp32"),
    **dict.fromkeys(("shares", "signed", "fallen"), "*fp32"), "taken": "*fp64",
    **dict.fromkeys(("m", "inner", "channels"), "i32"),
    **dict.fromkeys(("epsilon", "factor", "scale"), "i64"),
    **dict.fromkeys(("output", "has_bias", "has_least", "is_double"), "constexpr"),
}  # fmt: skip
CONSTANTS = {"output": [0, 1, 2], "has_bias": [True, False], "has_least": [True, False], "is_double": [False]}
ROUNDING = {torch.float64: 1e-14, torch.float32: 2e-6, torch.bfloat16: 1e-2}
EPSILON = 1e-3


def call(name: str, given: list[Any], device: str) -> tuple[Tensor, ...]:
    """Call a function of the module on tensors that are brought to a device."""
    from sparselrp_cli.relevance.kernels import triton_sharing

    moved = [value.to(device) if isinstance(value, Tensor) else value for value in given]
    return tuple(found.cpu() for found in getattr(triton_sharing, name)(*moved))


@pytest.fixture(scope="module")
def interpreter() -> Iterator[ProcessPoolExecutor]:
    yield from process(TRITON_INTERPRET="1")


@pytest.fixture(scope="module", params=["interpreter", pytest.param("gpu", marks=pytest.mark.gpu)])
def share(request: pytest.FixtureRequest) -> Share:
    """Call a function of the module, on either machine."""
    if request.param == "gpu":
        if not torch.cuda.is_available():
            pytest.skip("no NVIDIA GPU here")
        return lambda name, *given: call(name, list(given), "cuda")
    pool: ProcessPoolExecutor = request.getfixturevalue("interpreter")
    return lambda name, *given: pool.submit(call, name, list(given), "cpu").result()


class Layer:
    """A layer's output with exact zeros in outputs and denominators, of either memory order."""

    def __init__(self, dtype: torch.dtype, length: int = 700, *, last: bool = False) -> None:
        n, channels = 2, 3
        generator = torch.Generator().manual_seed(length)
        shape = (n, length, channels) if last else (n, channels, length)
        self.c, self.z, self.under = (torch.randn(shape, generator=generator) for _ in range(3))
        self.z.view(-1)[::7] = 0
        self.z.view(-1)[3::7] = -0.0
        self.under.view(-1)[::5] = 0
        self.bias = torch.randn(channels, generator=generator)
        for name in ("c", "z", "under", "bias"):
            setattr(self, name, getattr(self, name).to(dtype))
        self.channels = Channels(channels, 1 if last else length)
        self.spread = self.bias if last else self.bias[:, None]
        self.dtype = dtype

    def rows(self, *tensors: Tensor) -> list[Tensor]:
        return [tensor.reshape(2, -1) for tensor in tensors]

    def is_near(self, found: Tensor, expected: Tensor) -> None:
        expected = expected.reshape(found.shape)
        gap = (found.double() - expected).abs()
        assert (gap <= ROUNDING[self.dtype] * expected.abs().amax(1, keepdim=True)).all()


def stabilised(under: Tensor) -> tuple[Tensor, Tensor]:
    """Stabilisers, and denominators with them."""
    signed = torch.copysign(torch.full_like(under, EPSILON), under)
    return signed, under + signed


def distributed(layer: Layer, output: int, factor: float = 1.0) -> Tensor:
    relevance = factor * layer.c.double() * layer.z.double()
    excluded = {0: torch.zeros_like(layer.z, dtype=torch.bool), 1: layer.z < 0, 2: ~(layer.z < 0)}[output]
    return relevance.masked_fill(excluded, 0)


def total(values: Tensor) -> Tensor:
    return values.flatten(1).sum(1)


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize(("output", "factor"), [(0, 1.0), (1, 1.0), (2, 1.0), (0, -0.7)])
@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
def test_relevance_is_divided_by_stabilised_denominators(share, dtype, output, factor, last):
    layer = Layer(dtype, last=last)
    under, relevance = layer.under.double(), distributed(layer, output, factor)

    shares, taken = share(
        "share",
        *layer.rows(layer.c, layer.z, layer.under),
        layer.bias,
        layer.channels,
        EPSILON,
        factor,
        output,
    )

    signed, whole = stabilised(under)
    expected = torch.where(under == 0, 0, relevance / whole)
    to_stabiliser = torch.where(under == 0, relevance, expected * signed)
    layer.is_near(shares, expected)
    assert taken.dtype == torch.float64
    books = torch.stack([total(expected * layer.spread.double()), total(to_stabiliser)], 1)
    scale = torch.stack([total((expected * layer.spread.double()).abs()), total(to_stabiliser.abs())], 1)
    assert ((taken - books).abs() <= ROUNDING[dtype] * scale).all()
    # Nothing is lost: what is shared out over denominators, and what stabilisers take, is the relevance.
    shared = total(shares.reshape(under.shape).double() * under) + taken[:, 1]
    assert ((shared - total(relevance)).abs() <= ROUNDING[dtype] * total(relevance.abs())).all()


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
def test_favoured_contributions_of_both_signs_are_shared_in_one_pass(share, dtype, last):
    layer = Layer(dtype, last=last)
    magnitude, scale = layer.under.abs(), 1.125
    over = [*layer.rows(layer.c, layer.z, magnitude), layer.bias, layer.bias.abs(), layer.channels]

    shares, signed, taken = share("share_favoured", *over, EPSILON, scale)

    z = layer.z.double()
    sign = torch.copysign(torch.ones_like(z), z)
    under = scale * z + sign * magnitude.double()
    relevance = distributed(layer, 0)
    stabiliser = sign * EPSILON
    expected = torch.where(under == 0, 0, relevance / (under + stabiliser))
    layer.is_near(shares, expected)
    assert torch.equal(signed.double(), (shares.double().reshape(z.shape) * sign).reshape(signed.shape))
    to_bias = expected * (layer.spread.double() + sign * layer.spread.double().abs())
    to_stabiliser = torch.where(under == 0, relevance, expected * stabiliser)
    books = torch.stack([total(to_bias), total(to_stabiliser)], 1)
    scales = torch.stack([total(to_bias.abs()), total(to_stabiliser.abs())], 1)
    assert ((taken - books).abs() <= ROUNDING[dtype] * scales).all()


@pytest.mark.parametrize("bound", [None, 0.3], ids=["zeros fall", "what is small falls"])
@pytest.mark.parametrize("output", [0, 1, 2])
@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
def test_masked_denominators_that_cancel_fall_back(share, dtype, output, bound):
    layer = Layer(dtype)
    least = None if bound is None else torch.full_like(layer.under, bound)
    given = [*layer.rows(layer.c, layer.z, layer.under), None if least is None else least.reshape(2, -1)]

    shares, fallen, taken = share("share_masked", *given, EPSILON, 1.0, output)

    under, relevance = layer.under.double(), distributed(layer, output)
    falls = (under == 0) if least is None else (under == 0) | (under.abs() < least.double())
    signed, whole = stabilised(under)
    expected = torch.where(falls, 0, relevance / whole)
    gone = falls & (relevance != 0)
    layer.is_near(shares, expected)
    assert torch.equal(fallen.reshape(gone.shape), layer.c.masked_fill(~gone, 0))
    assert taken[:, 1].tolist() == total(gone).tolist()
    books = torch.stack([total(expected * signed), total(relevance.abs() * falls)], 1)
    scale = torch.stack([total((expected * signed).abs()), total(relevance.abs() * falls)], 1)
    assert ((taken[:, [0, 2]] - books).abs() <= ROUNDING[dtype] * scale).all()


@pytest.mark.parametrize("length", [1, 341, 342])
def test_a_sample_need_not_fill_the_blocks(share, length):
    layer = Layer(torch.float64, length)
    plain = [*layer.rows(layer.c, layer.z, layer.under), layer.bias, layer.channels, EPSILON, 1.0, 0]

    shares, taken = share("share", *plain)

    expected = torch.where(layer.under == 0, 0, distributed(layer, 0) / stabilised(layer.under)[1])
    layer.is_near(shares, expected)
    torch.testing.assert_close(taken[:, 0], total(expected * layer.spread), rtol=1e-12, atol=1e-12)


def test_without_a_stabiliser_a_zero_is_no_nan(share):
    layer = Layer(torch.float32)

    shares, taken = share(
        "share", *layer.rows(layer.c, layer.z, layer.under), None, layer.channels, 0.0, 1.0, 0
    )

    assert shares.isfinite().all()
    assert not taken[:, 0].any()
    lost = total(distributed(layer, 0) * (layer.under == 0))
    torch.testing.assert_close(taken[:, 1], lost, rtol=1e-6, atol=0)


def test_a_nan_isnt_hidden(share):
    layer = Layer(torch.float32)
    layer.c[0, 0, 3] = torch.nan

    shares, taken = share(
        "share", *layer.rows(layer.c, layer.z, layer.under), layer.bias, layer.channels, EPSILON, 1.0, 0
    )

    assert shares[0, 3].isnan()
    assert taken.isnan().any(1).tolist() == [True, False]


def explained(name: str, composite: str, redistribute: str) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Explain a network of the zoo twice: as the compiled loops share, then as Triton does."""
    from zoo.architectures import ZOO

    from sparselrp_cli.graph.capture import capture
    from sparselrp_cli.graph.targets import TargetParser
    from sparselrp_cli.model.output_names import OutputNames
    from sparselrp_cli.relevance import kernels
    from sparselrp_cli.relevance.composites import PRESETS
    from sparselrp_cli.relevance.explainer import Explainer
    from sparselrp_cli.relevance.pruning import Pruning

    entry = next(entry for entry in ZOO if entry.name == name)
    x = entry.windows(2).double()
    graph = capture(entry.build().double(), x)
    names = tuple(OutputNames(output.name, (), entry.axes) for output in graph.outputs)
    parser = TargetParser(graph.outputs, names)
    targets = [parser.parse(target) for target in entry.targets.split()]
    explainer = Explainer(graph, targets, names, PRESETS[composite], Pruning(0.1, redistribute=redistribute))
    loops = explainer.explain(x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "has_sharing", lambda tensor: True)
        patch.setattr(kernels, "has_selection", lambda tensor: False)
        patch.setattr(kernels, "is_compiled", lambda tensor: False)
        triton = explainer.explain(x)
    return [
        (a.contributions, b.contributions, (a.absorbed - b.absorbed).abs())
        for a, b in zip(loops, triton, strict=True)
    ]


@pytest.mark.parametrize("redistribute", ["lambda", "m"])
@pytest.mark.parametrize("composite", ["epsilon-gamma", "epsilon-plus"])
@pytest.mark.parametrize("name", ["basset", "bpnet", "enformer"])
def test_a_network_is_explained_as_by_the_compiled_loops(interpreter, name, composite, redistribute):
    found = interpreter.submit(explained, name, composite, redistribute).result()

    for loops, triton, gap in found:
        assert loops.any()
        torch.testing.assert_close(triton, loops, rtol=1e-9, atol=1e-12)
        assert gap.max() < 1e-10


@pytest.mark.parametrize("capability", [80, 90])
def test_the_kernels_compile_for_gpus_that_neednt_be_here(tmp_path: Path, capability):
    for pool in process(TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path)):
        given = (capability, "triton_sharing", KERNELS, TYPES, CONSTANTS)
        assembly = pool.submit(assembly_for, *given).result()

    assert len(assembly) == 6 + 2 + 6
    for name, code in assembly.items():
        assert ".ftz" not in code, f"{name} takes denormal numbers for zero"
        assert "div.full" not in code, f"{name} divides with errors"
        assert "atom" not in code, f"{name} adds up in any order"


@pytest.mark.gpu
def test_pieces_are_added_up_in_one_order():
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU here")
    from sparselrp_cli.relevance.kernels import triton_sharing

    c, z, under = torch.randn(3, 64, 135_000, device="cuda").unbind()
    bias = torch.randn(64, device="cuda")
    runs = [triton_sharing.share(c, z, under, bias, Channels(64, 2109), 1e-6, 1.0, 0) for _ in range(3)]

    for first, second in pairwise(runs):
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
