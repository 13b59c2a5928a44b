"""Scaled dot-product attention.

Rules of AttnLRP (Achtibat et al. 2024, ICML): the softmax is taken at first order, its constant term absorbs
(prop. 3.1); a product of matrices gives half to each (prop. 3.3, uniform).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.aten_call import Place
from sparselrp_cli.graph.call import Call, Converted, Converters, NoRule, Steps
from sparselrp_cli.graph.operation import At, Cropped, Operation, Pulled, narrowed
from sparselrp_cli.graph.operations.addition import Add, Shift
from sparselrp_cli.graph.operations.homogeneous import Homogeneous
from sparselrp_cli.graph.operations.matrix_product import MatrixProduct
from sparselrp_cli.graph.operations.permute import Permute
from sparselrp_cli.graph.operations.product import Scale
from sparselrp_cli.graph.operations.softmax import Softmax, softmax_pull
from sparselrp_cli.graph.operations.where import Where
from sparselrp_cli.graph.shapes import Dim, Span, numbers, part_of, size, whole

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

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        from_last = span.axis - len(output)
        made_of = {-2: (0,), -1: (2,)}.get(from_last, (0, 1, 2))
        spans = [
            part_of(shape, from_last, span, output) if i in made_of else whole(shape)
            for i, shape in enumerate(inputs)
        ]
        found = tuple(part for part in spans if part is not None)
        if len(found) < len(inputs):
            return None
        mask = self.mask if self.mask is None or from_last == -1 else narrowed(self.mask, span, output)
        return Cropped(replace(self, mask=mask), found)

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        return 2 * numbers(output) * size(inputs[1], -2)

    def scores(self, inputs: Sequence[Sequence[Dim]]) -> int:
        """Count the scores of one sample."""
        return numbers(inputs[0]) // size(inputs[0], -1) * size(inputs[1], -2)


Parts = list[tuple[Operation, tuple[fx.Node | int, ...]]]


@dataclass(frozen=True, slots=True)
class _Building:
    """The steps that attention is written as.

    Attributes
    ----------
    steps : list of (operation, inputs)
    """

    steps: Parts

    def add(self, operation: Operation, *inputs: fx.Node | int) -> int:
        """Add a step, and give its number."""
        self.steps.append((operation, inputs))
        return len(self.steps) - 1

    def product(self, first: Any, second: Any) -> Any:
        """Multiply matrices, constants at once."""
        if isinstance(first, Tensor) and isinstance(second, Tensor):
            return first @ second
        if not isinstance(first, Tensor) and not isinstance(second, Tensor):
            return self.add(MatrixProduct(), first, second)
        given = [v if isinstance(v, Tensor) else Place(0) for v in (first, second)]
        arguments = (("self", given[0]), ("other", given[1]))
        source = second if isinstance(first, Tensor) else first
        operation = Homogeneous(aten.matmul.default, arguments, "matrix product with a constant")
        return self.add(operation, source)

    def repeated(self, value: Any, times: int, axis: int) -> Any:
        """Give each group of queries the keys or values of its head."""
        if times == 1:
            return value
        if isinstance(value, Tensor):
            return value.repeat_interleave(times, axis)
        arguments = (("self", Place(0)), ("repeats", times), ("dim", axis))
        function = aten.repeat_interleave.self_int
        return self.add(Homogeneous(function, arguments, "repeat each", sign=True), value)

    def masked(self, logits: int, mask: Tensor | fx.Node | None, *, chooses: bool) -> int:
        """Add a mask to logits, or fill them in where it isn't true."""
        if mask is None:
            return logits
        if isinstance(mask, Tensor):
            return self.add(Shift(mask), logits)
        if chooses:
            return self.add(Where.of(None, None, torch.tensor(-torch.inf)), mask, logits)
        return self.add(Add(), logits, mask)


def scaled_dot_product(call: Call) -> Converted:
    q, k = (call.shape(n) if isinstance(call[n], fx.Node) else tuple(call[n].shape) for n in ("query", "key"))
    if not all(isinstance(d, int) for d in (*q[-2:], *k[-2:])):
        raise NoRule("it works along the samples, which must stay apart")
    scale = call.get("scale")
    scale = size(q, -1) ** -0.5 if scale is None else float(scale)
    mask = _mask(call, size(q, -2), size(k, -2))
    times = size(q, -3) // size(k, -3) if call.get("enable_gqa", False) else 1
    building, axis = _Building([]), len(k) - 3
    key, value = (building.repeated(call[name], times, axis) for name in ("key", "value"))
    inputs = (call["query"], key, value)
    if isinstance(mask, fx.Node) or any(isinstance(v, Tensor) for v in inputs):
        return _in_steps(call, building, inputs, scale, mask)
    building.add(Attention(scale, mask), *inputs)
    return Steps(tuple(building.steps))


def _in_steps(
    call: Call, building: _Building, inputs: tuple[Any, Any, Any], scale: float, mask: Tensor | fx.Node | None
) -> Converted:
    """Write attention as its parts, where queries, keys or values are constants, or a mask isn't one."""
    query, key, value = inputs
    n_axes = len(call.output)
    if isinstance(key, Tensor):
        key = key.transpose(-1, -2)
    else:
        key = building.add(Permute((*range(n_axes - 2), n_axes - 1, n_axes - 2)), key)
    logits = building.product(query, key)
    if isinstance(logits, Tensor):
        if isinstance(mask, fx.Node):
            raise NoRule("its mask depends on the sequence, and its logits don't")
        return Steps((*building.steps, *_weighed(logits * scale, mask, value)))
    logits = building.add(Scale(torch.tensor(scale, dtype=call.dtype)), logits)
    logits = building.masked(logits, mask, chooses=isinstance(mask, fx.Node) and _is_bool(mask))
    building.product(building.add(Softmax(n_axes - 1), logits), value)
    return Steps(tuple(building.steps))


def _is_bool(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.dtype == torch.bool


def _weighed(
    logits: Tensor, mask: Tensor | None, value: fx.Node | int
) -> tuple[tuple[Operation, tuple[fx.Node | int, ...]], ...]:
    """Weigh values by attention that doesn't depend on the sequence."""
    shares = (logits if mask is None else logits + mask).softmax(-1)
    arguments = (("self", shares), ("other", Place(0)))
    return ((Homogeneous(aten.matmul.default, arguments, "matrix product with a constant"), (value,)),)


def _mask(call: Call, n_queries: int, n_keys: int) -> Tensor | fx.Node | None:
    mask: Tensor | fx.Node | None = call.get("attn_mask")
    if isinstance(mask, fx.Node):
        return mask
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
