"""Functions shared by their gradient: linear maps, norms, sorted values and products of one tensor."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.aten_call import AtenCall, Place, places
from sparselrp_cli.graph.call import Call, Chain, Converted, Converter, Converters, NoRule, axis_of
from sparselrp_cli.graph.operation import At, Lies, Pulled
from sparselrp_cli.graph.operations.decision import decision
from sparselrp_cli.graph.shapes import BatchDim, Dim, sample_axis, size

aten = torch.ops.aten


_ENTRY_BY_ENTRY = (
    "running sum",
    "running maximum",
    "running minimum",
    "lower half",
    "upper half",
    "larger of two",
    "smaller of two",
)
_SPREAD = ("upsample, nearest", "upsample, linear", "upsample, bilinear", "upsample, bicubic", "repeat each")
"""What keeps positions where they are, and what lays several over each."""


@dataclass(frozen=True, eq=False)
class Homogeneous(AtenCall):
    """A function with ``f(t x) = t^k f(x)``, shared by its gradient: ``c_in = (df/dx)^T c_out / k``.

    Euler's theorem, ``sum_j x_j df/dx_j = k f``, makes this conserve. Degree 1 are linear maps (padding by
    reflection, upsampling, running sums, shifts) and norms and sorted values; for a product of k factors it
    is the uniform rule of AttnLRP (Achtibat et al. 2024, prop. 3.3), 1/k to each.

    Attributes
    ----------
    degree : float or Tensor
        A tensor broadcasts against the output.
    sign : bool
        Whether non-negative inputs give non-negative outputs.
    """

    degree: float | Tensor = 1.0
    sign: bool = False
    kind: ClassVar[str] = "homogeneous"
    reads_output: ClassVar[bool] = False

    @property
    def linear(self) -> bool:
        """Whether the degree is 1, as that of every linear map is."""
        return not isinstance(self.degree, Tensor) and self.degree == 1

    @property
    def passes(self) -> str:  # type: ignore[override]
        return "in proportion to the terms" if self.linear else "the same share to each factor (uniform)"

    def pull(self, c: Tensor, at: At) -> Pulled:
        share = c / self.degree
        with torch.inference_mode(False), torch.enable_grad():
            leaves = tuple(x.clone().requires_grad_() for x in at.inputs)
            return torch.autograd.grad(self.call(leaves), leaves, share.clone(), allow_unused=True)

    def positions(
        self, axis: int, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]
    ) -> tuple[Lies | None, ...]:
        if self.name in _ENTRY_BY_ENTRY:
            return super().positions(axis, inputs, output)
        length, of = size(output, axis), size(inputs[0], axis)
        if self.name in _SPREAD and length % of == 0:
            return (Lies.evenly(axis, length, of),)
        if self.name.endswith(" padding"):
            amounts, place = dict(self.arguments)["pad"], 2 * (len(output) - 1 - axis)
            return (Lies(axis, 1, -amounts[place] if place < len(amounts) else 0),)
        return (None,) * len(inputs)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return self.sign and all(inputs)


def homogeneous(name: str, *, degree: float = 1.0, sign: bool = False) -> Converter:
    """Make a converter for a homogeneous function; `sign` says that it keeps non-negative non-negative."""

    def convert(call: Call) -> Converted:
        return _homogeneous(call, name, degree, sign=sign)

    return convert


def _homogeneous(call: Call, name: str, degree: float | Tensor, *, sign: bool = False) -> Converted:
    arguments, inputs = places(call)
    operation = Homogeneous(call.function, arguments, name, call.item, degree, sign)
    return Chain((operation,), inputs)


def product_over(call: Call) -> Converted:
    shape = call.shape()
    return _homogeneous(call, "product", float(size(shape, axis_of(call["dim"], shape))), sign=True)


def running_product(call: Call) -> Converted:
    shape = call.shape()
    axis = axis_of(call["dim"], shape)
    factors = torch.arange(1, size(shape, axis) + 1, dtype=call.dtype)
    degree = factors.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return _homogeneous(call, "running product", degree, sign=True)


def gather(call: Call) -> Converted:
    """Convert a gather by an index that is the same for every sample, of which one row is kept.

    `take_along_dim` broadcasts index and tensor, but for the axis that it works along.
    """
    taken = "indices" in call.arguments
    shape, index = call.shape(), call.weight("indices" if taken else "index")
    if call["dim"] is None:
        raise NoRule("it works along the samples, which must stay apart")
    axis, samples = axis_of(call["dim"], shape), sample_axis(shape)
    if index.shape[samples] != 1:
        raise NoRule("its index differs between samples")
    if taken:
        index = index.expand([-1 if isinstance(d, BatchDim) else d for d in call.output])
        if any(a != axis and d != o for a, (d, o) in enumerate(zip(shape, call.output, strict=True))):
            raise NoRule("its tensor is broadcast; expand it first")
    arguments = (("x", Place(0)), ("axis", axis), ("index", index), ("samples", samples))
    operation = Homogeneous(gathered, arguments, "gather", sign=True)
    return Chain((operation,), (call.activation("self"),))


def gathered(x: Tensor, axis: int, index: Tensor, samples: int) -> Tensor:
    """Gather by an index that has one row along the axis of samples."""
    sizes = [x.shape[a] if a == samples else size for a, size in enumerate(index.shape)]
    return x.gather(axis, index.expand(sizes))


def moments(name: str, degree: float) -> Converter:
    """Make the converter of a function that gives a measure of spread, and the mean beside it."""

    def convert(call: Call) -> Converted:
        return homogeneous("mean")(call) if call.item else homogeneous(name, degree=degree, sign=True)(call)

    return convert


def first_only(converter: Converter) -> Converter:
    """Refuse the indices that go with values."""

    def convert(call: Call) -> Converted:
        return converter(call) if call.item == 0 else decision("indices")(call)

    return convert


# Overload, what it does, degree, and whether it keeps non-negative numbers non-negative.
_ROWS = (
    (aten.cumsum.default, "running sum", 1, True),
    (aten.roll.default, "roll", 1, True),
    (aten.repeat.default, "repeat", 1, True),
    (aten.tile.default, "tile", 1, True),
    (aten.repeat_interleave.self_int, "repeat each", 1, True),
    (aten.tril.default, "lower half", 1, True),
    (aten.triu.default, "upper half", 1, True),
    (aten.diagonal.default, "diagonal", 1, True),
    (aten.unfold.default, "unfold", 1, True),
    (aten.im2col.default, "unfold", 1, True),
    (aten.pixel_shuffle.default, "pixel shuffle", 1, True),
    (aten.upsample_nearest1d.vec, "upsample, nearest", 1, True),
    (aten.upsample_nearest2d.vec, "upsample, nearest", 1, True),
    (aten.upsample_linear1d.vec, "upsample, linear", 1, True),
    (aten.upsample_bilinear2d.vec, "upsample, bilinear", 1, True),
    (aten.upsample_bicubic2d.vec, "upsample, bicubic", 1, False),
    (aten.upsample_trilinear3d.vec, "upsample, trilinear", 1, True),
    (aten._upsample_bilinear2d_aa.vec, "upsample, bilinear", 1, True),
    (aten._upsample_bicubic2d_aa.vec, "upsample, bicubic", 1, False),
    (aten.upsample_nearest3d.vec, "upsample, nearest", 1, True),
    (aten._upsample_nearest_exact1d.vec, "upsample, nearest", 1, True),
    (aten._upsample_nearest_exact2d.vec, "upsample, nearest", 1, True),
    (aten._upsample_nearest_exact3d.vec, "upsample, nearest", 1, True),
    (aten.amin.default, "minimum", 1, True),
    (aten.linalg_vector_norm.default, "norm", 1, True),
    (aten.norm.ScalarOpt_dim, "norm", 1, True),
    (aten.std.correction, "standard deviation", 1, True),
    (aten.std.dim, "standard deviation", 1, True),
    (aten.var.correction, "variance", 2, True),
    (aten.var.dim, "variance", 2, True),
)
# Those that give indices beside values.
_FIRST_ONLY = (
    (aten.sort.default, "sorted"),
    (aten.topk.default, "largest values"),
    (aten.min.dim, "minimum"),
    (aten.cummax.default, "running maximum"),
    (aten.cummin.default, "running minimum"),
    (aten.median.dim, "median"),
    (aten.nanmedian.dim, "median"),
    (aten.kthvalue.default, "k-th value"),
)
CONVERTERS: Converters = MappingProxyType(
    {
        **{overload: homogeneous(name, degree=degree, sign=sign) for overload, name, degree, sign in _ROWS},
        **{overload: first_only(homogeneous(name, sign=True)) for overload, name in _FIRST_ONLY},
        aten.std_mean.correction: moments("standard deviation", 1),
        aten.std_mean.dim: moments("standard deviation", 1),
        aten.var_mean.correction: moments("variance", 2),
        aten.var_mean.dim: moments("variance", 2),
        aten.prod.dim_int: product_over,
        aten.cumprod.default: running_product,
    }
)
