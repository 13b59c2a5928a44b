"""Products of matrices: of two activations, or of one with a constant."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.call import Call, Chain, Converted, Converters, NoRule, Steps, chain
from sparselrp_cli.graph.operation import At, Operation, Pulled
from sparselrp_cli.graph.operations.addition import Add, Shift
from sparselrp_cli.graph.operations.contraction import Contraction
from sparselrp_cli.graph.operations.dense import Dense
from sparselrp_cli.graph.operations.homogeneous import homogeneous
from sparselrp_cli.graph.operations.product import Scale
from sparselrp_cli.graph.shapes import Dim, numbers, size

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class MatrixProduct(Operation):
    """``x @ y`` of two activations: each takes half (AttnLRP, prop. 3.3)."""

    kind: ClassVar[str] = "matrix-product"
    passes: ClassVar[str] = "half to each factor (uniform)"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0] @ inputs[1], None

    def pull(self, c: Tensor, at: At) -> Pulled:
        x, y = at.inputs
        half = c / 2
        return (
            (half @ y.transpose(-1, -2)).sum_to_size(x.shape),
            (x.transpose(-1, -2) @ half).sum_to_size(y.shape),
        )

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)

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


def batched_product(call: Call) -> Converted:
    """Convert ``bmm`` and ``baddbmm`` of two activations, or of one with a constant: a grouped layer."""
    first, second = ("self", "mat2") if "mat2" in call.arguments else ("batch1", "batch2")
    x, y = call[first], call[second]
    product: Operation | None = MatrixProduct()
    if not isinstance(y, fx.Node):
        product = _contraction(call.weight(second), call.shape(first), constant_first=False)
    elif not isinstance(x, fx.Node):
        product = _contraction(call.weight(first), call.shape(second), constant_first=True)
    if product is None:
        raise NoRule("its constant is of another number of groups")
    inputs = tuple(v for v in (x, y) if isinstance(v, fx.Node))
    if first == "self":
        return Chain((product,), inputs)
    if call.get("beta", 1) != 1:
        raise NoRule("baddbmm with beta has no rule")
    alpha = Scale(torch.tensor(float(call.get("alpha", 1)), dtype=call.dtype))
    if isinstance(call["self"], fx.Node):
        return Steps(((product, inputs), (alpha, (0,)), (Add(), (1, call["self"]))))
    return Chain((product, alpha, Shift(call.weight("self"))), inputs)


CONVERTERS: Converters = MappingProxyType(
    {
        aten.matmul.default: matmul,
        aten.mm.default: matmul,
        aten.bmm.default: batched_product,
        aten.baddbmm.default: batched_product,
    }
)
