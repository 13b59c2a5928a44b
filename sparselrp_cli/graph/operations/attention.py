"""Scaled dot-product attention.

Rules of AttnLRP (Achtibat et al. 2024, ICML): the softmax is taken at first order, its constant term absorbs
(prop. 3.1); a product of matrices gives half to each (prop. 3.3, uniform).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.aten_call import Place
from sparselrp_cli.graph.call import Call, Chain, Converted, Converters, NoRule, Steps
from sparselrp_cli.graph.operation import At, Operation, Pulled
from sparselrp_cli.graph.operations.addition import Shift
from sparselrp_cli.graph.operations.homogeneous import Homogeneous
from sparselrp_cli.graph.operations.matrix_product import MatrixProduct
from sparselrp_cli.graph.operations.permute import Permute
from sparselrp_cli.graph.operations.product import Scale
from sparselrp_cli.graph.operations.softmax import Softmax, softmax_pull
from sparselrp_cli.graph.shapes import Dim, numbers, size

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Attention(Operation):
    """``softmax(scale q k^T + mask) v``: scaled dot-product attention of queries, keys and values.

    As a matrix product, a softmax and a matrix product one after the other.
    """

    scale: float
    mask: Tensor | None = None
    kind: ClassVar[str] = "attention"
    reads_output: ClassVar[bool] = False
    passes: ClassVar[str] = "AttnLRP: halves, softmax first order"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        q, k, v = inputs
        logits = self.scale * (q @ k.transpose(-1, -2))
        shifted = logits if self.mask is None else logits + self.mask
        shares = shifted.softmax(-1)
        return shares @ v, (logits, shares)

    def _on_logits(self, multiplier: Tensor, v: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
        on_shares = multiplier @ v.transpose(-1, -2) / 2
        return on_shares, softmax_pull(on_shares, shares, -1)

    def pull(self, c: Tensor, at: At) -> Pulled:
        q, k, v = at.inputs
        _, shares = at.memo
        _, on_logits = self._on_logits(c, v, shares)
        half = on_logits * self.scale / 2
        return (
            (half @ k).sum_to_size(q.shape),
            (half.transpose(-1, -2) @ q).sum_to_size(k.shape),
            (shares.transpose(-1, -2) @ c / 2).sum_to_size(v.shape),
        )

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        logits, shares = at.memo
        on_shares, on_logits = self._on_logits(c, at.inputs[2], shares)
        taken: Tensor = (on_shares * shares - on_logits * logits).sum(-1, keepdim=True)
        return (taken / c.shape[-1]).expand_as(c)

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        return 2 * numbers(output) * size(inputs[1], -2)


def scaled_dot_product(call: Call) -> Converted:
    if call.get("enable_gqa", False):
        raise NoRule("attention with grouped queries has no rule")
    q, k = (call.shape(n) if isinstance(call[n], fx.Node) else tuple(call[n].shape) for n in ("query", "key"))
    if not all(isinstance(d, int) for d in (*q[-2:], *k[-2:])):
        raise NoRule("it works along the samples, which must stay apart")
    scale = call.get("scale")
    scale = size(q, -1) ** -0.5 if scale is None else float(scale)
    mask = _mask(call, size(q, -2), size(k, -2))
    inputs = tuple(v for v in (call["query"], call["key"], call["value"]) if isinstance(v, fx.Node))
    if len(inputs) == 3:
        return Chain((Attention(scale, mask),), inputs)
    return _in_steps(call, scale, mask)


def _in_steps(call: Call, scale: float, mask: Tensor | None) -> Converted:
    """Write attention as its parts, where queries, keys or values are constants (learned queries)."""
    steps: list[tuple[Operation, tuple[fx.Node | int, ...]]] = []

    def add(operation: Operation, *inputs: fx.Node | int) -> int:
        steps.append((operation, inputs))
        return len(steps) - 1

    def product(first: Any, second: Any) -> Any:
        if isinstance(first, Tensor) and isinstance(second, Tensor):
            return first @ second
        if not isinstance(first, Tensor) and not isinstance(second, Tensor):
            return add(MatrixProduct(), first, second)
        given = [v if isinstance(v, Tensor) else Place(0) for v in (first, second)]
        arguments = (("self", given[0]), ("other", given[1]))
        source = second if isinstance(first, Tensor) else first
        return add(Homogeneous(aten.matmul.default, arguments, "matrix product with a constant"), source)

    query, key, value = call["query"], call["key"], call["value"]
    n_axes = len(call.output)
    if isinstance(key, fx.Node):
        key = add(Permute((*range(n_axes - 2), n_axes - 1, n_axes - 2)), key)
    else:
        key = key.transpose(-1, -2)
    logits = product(query, key)
    if isinstance(logits, Tensor):
        return Steps((*steps, *_weighed(logits * scale, mask, value)))
    logits = add(Scale(torch.tensor(scale, dtype=call.dtype)), logits)
    if mask is not None:
        logits = add(Shift(mask), logits)
    product(add(Softmax(n_axes - 1), logits), value)
    return Steps(tuple(steps))


def _weighed(
    logits: Tensor, mask: Tensor | None, value: fx.Node
) -> tuple[tuple[Operation, tuple[fx.Node | int, ...]], ...]:
    """Weigh values by attention that doesn't depend on the sequence."""
    shares = (logits if mask is None else logits + mask).softmax(-1)
    arguments = (("self", shares), ("other", Place(0)))
    return ((Homogeneous(aten.matmul.default, arguments, "matrix product with a constant"), (value,)),)


def _mask(call: Call, n_queries: int, n_keys: int) -> Tensor | None:
    mask: Tensor | fx.Node | None = call.get("attn_mask")
    if isinstance(mask, fx.Node):
        raise NoRule("its mask depends on the sequence")
    if call.get("is_causal", False):
        causal = torch.ones(n_queries, n_keys, dtype=torch.bool).tril()
        return torch.zeros(n_queries, n_keys, dtype=call.dtype).masked_fill(~causal, -torch.inf)
    if mask is not None and mask.dtype == torch.bool:
        return torch.zeros(mask.shape, dtype=call.dtype).masked_fill(~mask, -torch.inf)
    return mask


CONVERTERS: Converters = MappingProxyType(
    {
        aten.scaled_dot_product_attention.default: scaled_dot_product,
    }
)
