"""Products of matrices: of two activations, or of one with a constant."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.aten_call import Place
from sparselrp_cli.graph.call import (
    Call,
    Chain,
    Converted,
    Converter,
    Converters,
    NoRule,
    Step,
    Steps,
    axis_of,
    chain,
)
from sparselrp_cli.graph.operation import At, Cropped, Operation, Pulled
from sparselrp_cli.graph.operations.addition import Add, Shift
from sparselrp_cli.graph.operations.contraction import Contraction
from sparselrp_cli.graph.operations.dense import Dense
from sparselrp_cli.graph.operations.homogeneous import Homogeneous, homogeneous
from sparselrp_cli.graph.operations.product import Scale
from sparselrp_cli.graph.operations.reduction import Sum
from sparselrp_cli.graph.operations.reshape import Reshape
from sparselrp_cli.graph.shapes import BatchDim, Dim, Span, numbers, part_of, size, whole

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class MatrixProduct(Operation):
    """``x @ y`` of two activations: each takes half (AttnLRP, prop. 3.3)."""

    kind: ClassVar[str] = "matrix-product"
    reads_output: ClassVar[bool] = False
    passes: ClassVar[str] = "half to each factor (uniform)"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0] @ inputs[1], None

    def pull(self, c: Tensor, at: At) -> Pulled:
        x, y = at.inputs
        return (
            (c @ y.transpose(-1, -2)).sum_to_size(x.shape).div_(2),
            (x.transpose(-1, -2) @ c).sum_to_size(y.shape).div_(2),
        )

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        from_last = span.axis - len(output)
        made_of = {-2: (0,), -1: (1,)}.get(from_last, (0, 1))
        spans = [
            part_of(shape, from_last, span, output) if i in made_of else whole(shape)
            for i, shape in enumerate(inputs)
        ]
        found = tuple(part for part in spans if part is not None)
        return Cropped(self, found) if len(found) == len(inputs) else None

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        return numbers(output) * size(inputs[0], -1)


def matmul(call: Call) -> Converted:
    second = "other" if "other" in call.arguments else "mat2"
    x, y = call["self"], call[second]
    if isinstance(x, fx.Node) and isinstance(y, fx.Node):
        if not isinstance(call.output[-2], int) or not isinstance(call.output[-1], int):
            raise NoRule("it mixes samples")
        return Chain((MatrixProduct(),), (x, y))
    if isinstance(x, fx.Node) and y.dim() == 2:
        return chain(call, Dense(y.t().contiguous(), None))
    first = isinstance(y, fx.Node)
    constant, name = (x, second) if first else (y, "self")
    layer = _contraction(constant, call.shape(name), constant_first=first)
    if layer is None:
        return homogeneous("matrix product with a constant")(call)
    return chain(call, layer, name=name)


def _contraction(constant: Tensor, shape: tuple[Dim, ...], *, constant_first: bool) -> Contraction | None:
    """Write a product of an activation with a constant, whose leading axes are groups, as an Einstein sum.

    None for vectors, and where the activation is repeated for each group.
    """
    if constant.dim() < 2 or len(shape) < 2:
        return None
    axes = "abcdefgh"[: len(shape)]
    inner, outer = (axes[-2], axes[-1]) if constant_first else (axes[-1], axes[-2])
    groups = []
    for i, size_of_group in enumerate(reversed(constant.shape[:-2])):
        known = shape[-3 - i] if i < len(shape) - 2 else 1
        if size_of_group != 1 and known != size_of_group:
            return None
        groups.append("" if size_of_group == 1 else axes[-3 - i])
    names = "".join(reversed(groups)) + (f"z{inner}" if constant_first else f"{inner}z")
    weight = constant.reshape([s for s in constant.shape[:-2] if s != 1] + list(constant.shape[-2:]))
    made = f"z{outer}" if constant_first else f"{outer}z"
    return Contraction(weight, None, f"{axes},{names}->{axes[:-2]}{made}")


def product_with_rows(
    constant: Tensor, shape: tuple[Dim, ...], output: tuple[Dim, ...], *, first: bool
) -> Chain:
    """Multiply matrices of each sample by constant ones, as many heads of attention by learned queries.

    Parameters
    ----------
    constant : Tensor, shape (matrices of a sample, rows, columns)
    shape : tuple of Dim
        Of the activation, (N * matrices, ...), those of a sample side by side.
    output : tuple of Dim
    first : bool
        Whether the constant is the first factor.

    Returns
    -------
    Chain
        Without the activation, which the caller knows.
    """
    of_each = (BatchDim(), len(constant), *shape[1:])
    layer = _contraction(constant, of_each, constant_first=first)
    if layer is None:
        raise NoRule("its constant is of another number of groups")
    made = (BatchDim(), len(constant), *output[1:])
    return Chain((Reshape(shape, of_each), layer, Reshape(made, output)), ())


def batched_product(call: Call) -> Converted:
    """Convert ``bmm`` of two activations, or of one with a constant: a grouped layer."""
    product, inputs = _product(call, "self", "mat2")
    return Chain((product,), inputs)


def _product(call: Call, first: str, second: str) -> tuple[Operation, tuple[fx.Node, ...]]:
    """Give a product of two activations, or of one with a constant, and what it reads."""
    x, y = call[first], call[second]
    product: Operation | None = MatrixProduct()
    if not isinstance(y, fx.Node):
        constant, shape = call.weight(second), call.shape(first)
        if constant.dim() == 1:
            arguments = (("self", Place(0)), ("other", constant))
            product = Homogeneous(aten.matmul.default, arguments, "matrix product with a constant")
        else:
            product = _contraction(constant, shape, constant_first=False)
    elif not isinstance(x, fx.Node):
        product = _contraction(call.weight(first), call.shape(second), constant_first=True)
    if product is None:
        raise NoRule("its constant is of another number of groups")
    return product, tuple(v for v in (x, y) if isinstance(v, fx.Node))


def added_product(first: str, second: str, *, summed: bool = False) -> Converter:
    """Make the converter of ``beta * self + alpha * (first @ second)``.

    Parameters
    ----------
    summed : bool
        Whether the products of all matrices are summed.
    """

    def convert(call: Call) -> Converted:
        if layer := _layer(call, first, second):
            return layer
        product, inputs = _product(call, first, second)
        steps: list[Step] = [(product, inputs)]
        if summed:
            axis_of(0, call.shape_of(inputs[0]))
            steps.append((Sum((0,), keepdim=False), (len(steps) - 1,)))
        alpha, beta = float(call.get("alpha", 1)), float(call.get("beta", 1))
        if alpha != 1:
            steps.append((Scale(torch.tensor(alpha, dtype=call.dtype)), (len(steps) - 1,)))
        added = call["self"]
        if isinstance(added, fx.Node):
            steps.append((Add(beta), (len(steps) - 1, added)))
        else:
            steps.append((Shift(beta * call.weight("self")), (len(steps) - 1,)))
        return Steps(tuple(steps))

    return convert


def _layer(call: Call, first: str, second: str) -> Chain | None:
    """Write the product of an activation with a matrix, and a vector added, as a dense layer."""
    weight, bias = call[second], call["self"]
    if isinstance(weight, fx.Node) or isinstance(bias, fx.Node) or weight.dim() != 2 or bias.dim() != 1:
        return None
    alpha, beta = float(call.get("alpha", 1)), float(call.get("beta", 1))
    layer = Dense((alpha * call.weight(second)).t().contiguous(), beta * call.weight("self"))
    return chain(call, layer, name=first)


def inner(call: Call) -> Converted:
    """Convert the products of the last axes of an activation and a constant."""
    weight = call["other"]
    if isinstance(weight, fx.Node) or not isinstance(call["self"], fx.Node) or weight.dim() != 2:
        raise NoRule("it has a rule for an activation and a constant matrix; use torch.einsum")
    return chain(call, Dense(call.weight("other"), None))


CONVERTERS: Converters = MappingProxyType(
    {
        aten.matmul.default: matmul,
        aten.mm.default: matmul,
        aten.bmm.default: batched_product,
        aten.inner.default: inner,
        aten.addmm.default: added_product("mat1", "mat2"),
        aten.addmv.default: added_product("mat", "vec"),
        aten.baddbmm.default: added_product("batch1", "batch2"),
        aten.addbmm.default: added_product("batch1", "batch2", summed=True),
    }
)
