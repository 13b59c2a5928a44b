"""Attention and softmax."""

from collections.abc import Callable

import torch
from torch import Tensor, fx

from sparselrp_cli.model.conversion.call import Call, Chain, Converted, NoRule, axis_of, chain
from sparselrp_cli.model.operations import Attention, LogSumExp, Softmax


def softmax(logarithm: bool) -> Callable[[Call], Converted]:
    def convert(call: Call) -> Converted:
        return chain(call, Softmax(axis_of(call["dim"], call.shape()), logarithm))

    return convert


def log_sum_exp(call: Call) -> Converted:
    shape = call.shape()
    axes = tuple(axis_of(a, shape) for a in call["dim"])
    return chain(call, LogSumExp(axes, bool(call.get("keepdim", False))))


def scaled_dot_product(call: Call) -> Converted:
    inputs = tuple(call.activation(name) for name in ("query", "key", "value"))
    if call.get("enable_gqa", False):
        raise NoRule("attention with grouped queries has no rule")
    q, k = call.shape("query"), call.shape("key")
    if not all(isinstance(d, int) for d in (*q[-2:], *k[-2:])):
        raise NoRule("it works along the samples, which must stay apart")
    scale = call.get("scale")
    scale = int(str(q[-1])) ** -0.5 if scale is None else float(scale)
    return Chain((Attention(scale, _mask(call, int(str(q[-2])), int(str(k[-2])))),), inputs)


def _mask(call: Call, n_queries: int, n_keys: int) -> Tensor | None:
    mask = call.get("attn_mask")
    if isinstance(mask, fx.Node):
        raise NoRule("its mask depends on the sequence")
    if call.get("is_causal", False):
        causal = torch.ones(n_queries, n_keys, dtype=torch.bool).tril()
        return torch.zeros(n_queries, n_keys, dtype=call.dtype).masked_fill(~causal, -torch.inf)
    if mask is not None and mask.dtype == torch.bool:
        return torch.zeros(mask.shape, dtype=call.dtype).masked_fill(~mask, -torch.inf)
    return mask
