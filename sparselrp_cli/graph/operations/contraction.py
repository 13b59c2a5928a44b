"""Einstein sums."""

import dataclasses
import math
import string
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.aten_call import Place
from sparselrp_cli.graph.call import Call, Chain, Converted, Converters
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operation import At, Cropped, Operation, Pulled
from sparselrp_cli.graph.operations.addition import Shift
from sparselrp_cli.graph.operations.homogeneous import Homogeneous, homogeneous
from sparselrp_cli.graph.shapes import Dim, Span, numbers, whole

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Contraction(Layer):
    """An Einstein sum of an activation with a constant, such as ``nld,hdk->nhlk``; no bias."""

    equation: str
    kind: ClassVar[str] = "dense"

    @property
    def indices(self) -> tuple[str, str, str]:
        given, result = self.equation.split("->")
        first, second = given.split(",")
        return first, second, result

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return torch.einsum(self.equation, x, weight)

    def transpose(self, values: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        first, second, result = self.indices
        return torch.einsum(f"{result},{second}->{first}", values, weight).sum_to_size(like.shape)

    def spread(self, bias: Tensor, z: Tensor) -> Tensor:
        return bias

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        first, second, result = self.indices
        name, length = result[span.axis], span.stop - span.start
        layer = self
        if name in second:
            part = self.weight.narrow(second.index(name), span.start, length)
            layer = dataclasses.replace(self, weight=part)
        read = _part_of(inputs[0], first, name, span, output)
        return None if read is None else Cropped(layer, (read,))

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        _, second, result = self.indices
        summed = [size for name, size in zip(second, self.weight.shape, strict=True) if name not in result]
        return numbers(output) * math.prod(summed)

    def describe(self) -> str:
        return self.equation


@dataclass(frozen=True, eq=False)
class EinsteinSum(Operation):
    """An Einstein sum of two activations, such as ``bhid,bhjd->bhij``: each takes half (AttnLRP, prop. 3.3).

    Attributes
    ----------
    equation : str
        Each axis of an operand is one of the other's, or of the result's.
    """

    equation: str
    kind: ClassVar[str] = "matrix-product"
    reads_output: ClassVar[bool] = False
    passes: ClassVar[str] = "half to each factor (uniform)"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return torch.einsum(self.equation, *inputs), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        given, result = self.equation.split("->")
        first, second = given.split(",")
        x, y = at.inputs
        return (
            torch.einsum(f"{result},{second}->{first}", c, y).sum_to_size(x.shape).div_(2),
            torch.einsum(f"{result},{first}->{second}", c, x).sum_to_size(y.shape).div_(2),
        )

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        given, result = self.equation.split("->")
        name = result[span.axis]
        spans = [
            _part_of(shape, axes, name, span, output)
            for shape, axes in zip(inputs, given.split(","), strict=True)
        ]
        found = tuple(part for part in spans if part is not None)
        return Cropped(self, found) if len(found) == len(inputs) else None

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        given, result = self.equation.split("->")
        first, second = given.split(",")
        axes = zip(first + second, (*inputs[0], *inputs[1]), strict=True)
        summed = {name: numbers((dim,)) for name, dim in axes if name not in result}
        return numbers(output) * math.prod(summed.values())

    def describe(self) -> str:
        return self.equation


def _part_of(shape: Sequence[Dim], axes: str, name: str, span: Span, output: Sequence[Dim]) -> Span | None:
    """Give what an operand, whose axes have such names, has to do with a span of one of the result's."""
    if name not in axes or shape[axes.index(name)] == 1 != output[span.axis]:
        return whole(shape)
    return dataclasses.replace(span, axis=axes.index(name))


def explicit(equation: str, dims: Sequence[int]) -> str:
    """Write out an Einstein sum whose result or some of whose axes are left to be understood.

    Parameters
    ----------
    dims : sequence of int
        How many axes each operand has.
    """
    given, arrow, result = equation.partition("->")
    parts = given.split(",")
    if not arrow:
        once = sorted(c for c in set(given) - {",", "."} if given.count(c) == 1)
        result = ("..." if "..." in given else "") + "".join(once)
    free = [c for c in string.ascii_letters if c not in equation]
    letters = [len(part.replace("...", "")) for part in parts]
    understood = [n - m if "..." in p else 0 for p, n, m in zip(parts, dims, letters, strict=True)]
    names = "".join(free[: max(understood, default=0)])
    parts = [p.replace("...", names[len(names) - n :]) for p, n in zip(parts, understood, strict=True)]
    return f"{','.join(parts)}->{result.replace('...', names)}"


def einsum(call: Call) -> Converted:
    operands = list(call["tensors"])
    activations = [o for o in operands if isinstance(o, fx.Node)]
    dims = [len(call.shape_of(o)) if isinstance(o, fx.Node) else o.dim() for o in operands]
    equation = explicit(str(call["equation"]).replace(" ", ""), dims)
    if len(operands) == 2 and len(activations) == 1 and "->" in equation and "." not in equation:
        given, result = equation.split("->")
        parts = given.split(",")
        first, second = parts if isinstance(operands[0], fx.Node) else parts[::-1]
        weight = operands[1] if isinstance(operands[0], fx.Node) else operands[0]
        if len(set(first)) == len(first) and set(first) <= set(second) | set(result):
            layer = Contraction(weight, None, f"{first},{second}->{result}")
            return Chain((layer,), (activations[0],))
    if len(activations) == len(operands) == 2 and _is_plain(equation):
        return Chain((EinsteinSum(equation),), tuple(activations))
    return homogeneous(f"sum {equation}", degree=float(len(activations)), sign=False)(call)


def _is_plain(equation: str) -> bool:
    """Whether no axis is there twice in an operand, or summed in one alone."""
    given, result = equation.split("->")
    first, second = given.split(",")
    alone = (set(first) ^ set(second)) - set(result)
    return not alone and all(len(set(axes)) == len(axes) for axes in (first, second))


def bilinear(call: Call) -> Converted:
    """Convert ``x1 W x2 + b`` of two activations, which take half each."""
    inputs = tuple(call.activation(name) for name in ("input1", "input2"))
    arguments = (
        ("input1", Place(0)), ("input2", Place(1)), ("weight", call.weight("weight")), ("bias", None)
    )  # fmt: skip
    form = Homogeneous(aten.bilinear.default, arguments, "bilinear form", degree=2.0)
    bias = call.constant("bias")
    return Chain((form,) if bias is None else (form, Shift(bias)), inputs)


CONVERTERS: Converters = MappingProxyType(
    {
        aten.einsum.default: einsum,
        aten.bilinear.default: bilinear,
    }
)
