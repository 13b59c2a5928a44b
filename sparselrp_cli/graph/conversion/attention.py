"""Attention and softmax."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.conversion.call import Call, Chain, Converted, NoRule, Steps, axis_of, chain
from sparselrp_cli.graph.operations import (
    Attention,
    Homogeneous,
    LogSumExp,
    MatrixProduct,
    Operation,
    Permute,
    Place,
    Scale,
    Shift,
    Softmax,
)


def softmax(logarithm: bool) -> Callable[[Call], Converted]:
    def convert(call: Call) -> Converted:
        return chain(call, Softmax(axis_of(call["dim"], call.shape()), logarithm))

    return convert


def log_sum_exp(call: Call) -> Converted:
    shape = call.shape()
    axes = tuple(axis_of(a, shape) for a in call["dim"])
    return chain(call, LogSumExp(axes, bool(call.get("keepdim", False))))


def scaled_dot_product(call: Call) -> Converted:
    if call.get("enable_gqa", False):
        raise NoRule("attention with grouped queries has no rule")
    q, k = (call.shape(n) if isinstance(call[n], fx.Node) else tuple(call[n].shape) for n in ("query", "key"))
    if not all(isinstance(d, int) for d in (*q[-2:], *k[-2:])):
        raise NoRule("it works along the samples, which must stay apart")
    scale = call.get("scale")
    scale = int(str(q[-1])) ** -0.5 if scale is None else float(scale)
    mask = _mask(call, int(str(q[-2])), int(str(k[-2])))
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
        arguments = (("input", given[0]), ("other", given[1]))
        source = second if isinstance(first, Tensor) else first
        return add(Homogeneous(torch.matmul, arguments, "matrix product with a constant"), source)

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
    arguments = (("input", shares), ("other", Place(0)))
    return ((Homogeneous(torch.matmul, arguments, "matrix product with a constant"), (value,)),)


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
