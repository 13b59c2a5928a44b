"""Dense layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor, fx
from torch.nn import functional

from sparselrp_cli.graph.call import Call, Chain, Converted, Converters, NoRule, chain
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operation import Cropped, position_by_position
from sparselrp_cli.graph.operations.decision import decision
from sparselrp_cli.graph.operations.tokens import Embedding
from sparselrp_cli.graph.shapes import Dim, Span

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Dense(Layer):
    """A linear layer over the last axis; weight (features out, features in)."""

    kind: ClassVar[str] = "dense"
    channel_axis: ClassVar[int | None] = -1

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return functional.linear(x, weight, bias)

    def transpose(self, values: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        return values @ weight

    def spread(self, bias: Tensor, z: Tensor) -> Tensor:
        return bias

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        return position_by_position(self, span) if span.axis < len(output) - 1 else None

    def describe(self) -> str:
        features_out, features_in = self.weight.shape
        return f"{features_in} -> {features_out}"


def linear(call: Call) -> Converted:
    return chain(call, Dense(call.weight("weight"), call.constant("bias")), name="input")


def embedding(call: Call) -> Converted:
    """Convert a look-up of tokens.

    Where each is decided by one base, it is a dense layer without bias, and constants. Positions, which don't
    go by what the tokens are, are a constant.
    """
    indices = call["indices"]
    if isinstance(indices, fx.Node) and (rows := call.token_rows(indices)) is not None:
        if rows.slots is None:
            return decision("embedding of positions")(call)
        layer = Embedding(call.weight("weight"), rows.scheme, rows.slots)
        return Chain((layer,), (rows.sequences, indices))
    found = call.look_up(indices) if isinstance(indices, fx.Node) and call.is_decision(indices) else None
    if found is None:
        raise NoRule(
            "only embeddings of tokens that one base each decides have a rule, such as x.argmax(axis) + 4 for"
            " one-hot x, with special tokens before or behind; where several do, as of k-mers, let forward"
            " take the tokens' ids and name them with --tokens"
        )
    look_up, sequences = found
    return Chain(look_up.operations(call.weight("weight")[look_up.values]), (sequences,))


CONVERTERS: Converters = MappingProxyType(
    {
        aten.linear.default: linear,
        aten.embedding.default: embedding,
    }
)
