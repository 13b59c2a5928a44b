"""Products of matrices: of two activations, or of one with a constant."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.call import Call, Chain, Converted, Converters, NoRule, chain
from sparselrp_cli.graph.operation import At, Operation, Pulled
from sparselrp_cli.graph.operations.addition import Shift
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
    if isinstance(y, fx.Node) and x.dim() == 2 and len(call.shape(second)) >= 2:
        letters = "abcdefgh"[: len(call.shape(second))]
        equation = f"{letters},z{letters[-2]}->{letters[:-2]}z{letters[-1]}"
        return chain(call, Contraction(x, None, equation), name=second)
    return homogeneous("matrix product with a constant")(call)


def batched_product(call: Call) -> Converted:
    """Convert ``bmm`` and ``baddbmm`` of two activations."""
    first, second = ("self", "mat2") if "mat2" in call.arguments else ("batch1", "batch2")
    product = Chain((MatrixProduct(),), (call.activation(first), call.activation(second)))
    if first == "self":
        return product
    if call.get("beta", 1) != 1 or isinstance(call["self"], fx.Node):
        raise NoRule("baddbmm with beta or an added activation has no rule")
    alpha = torch.tensor(float(call.get("alpha", 1)), dtype=call.dtype)
    return Chain((MatrixProduct(), Scale(alpha), Shift(call.weight("self"))), product.inputs)


CONVERTERS: Converters = MappingProxyType(
    {
        aten.matmul.default: matmul,
        aten.mm.default: matmul,
        aten.bmm.default: batched_product,
        aten.baddbmm.default: batched_product,
    }
)
