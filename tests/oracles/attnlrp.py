"""AttnLRP of any PyTorch module, slowly: its rules as the gradient of a module with detached parts.

Achtibat et al. 2024 (ICML), written anew from their propositions, in float64, without the graph or any
operation of ours. Torch's functions are replaced while the module runs, so that plain autograd carries the
multiplier ``c`` of each rule, and ``relevance = value * c`` at the vectors of the tokens:

* affine layers, sums, moves: the gradient, which is LRP-0;
* an element-wise ``f(x)``: ``x * constant(f(x) / x)``, and where ``f(0)`` isn't 0 it is a constant term;
* a product of two activations: each with the other detached, halved (prop. 3.3); a gate takes nothing;
* a softmax: its derivative (prop. 3.1);
* norms: their deviations detached (prop. 3.4).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

AT_ZERO = {"sigmoid": 0.5, "softplus": math.log(2.0), "exp": 1.0}
SLOPES = {"gelu": 0.5, "silu": 0.5, "tanh": 1.0, "sigmoid": 0.25, "softplus": 0.5, "exp": 1.0, "relu": 0.0}
GATES = {"sigmoid"}


def is_activation(value: object) -> bool:
    """Whether it depends on the tokens: nothing else requires a gradient."""
    return isinstance(value, Tensor) and value.requires_grad


def halved(product: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    return (product(x, y.detach()) + product(x.detach(), y)) / 2


def matrix_product(x: Tensor, y: Tensor) -> Tensor:
    both = is_activation(x) and is_activation(y)
    return halved(torch.matmul, x, y) if both else torch.matmul(x, y)


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scale: float) -> Tensor:
    logits = matrix_product(q, k.transpose(-1, -2)) * scale
    if causal:
        hidden = torch.ones(logits.shape[-2:], dtype=torch.bool).triu(1)
        logits = logits.masked_fill(hidden, -math.inf)
    if mask is not None:
        logits = logits.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else logits + mask
    return matrix_product(logits.softmax(-1), v)


class Rules(TorchFunctionMode):
    """Replaces functions by such whose gradient is their rule.

    Parameters
    ----------
    ids : Tensor
        Of the tokens; whatever else is looked up are constants, such as positions.
    """

    def __init__(self, ids: Tensor) -> None:
        super().__init__()
        self.ids = ids
        self.vectors: list[Tensor] = []
        self.gates: list[Tensor] = []

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        rule = getattr(self, f"rule_{getattr(func, '__name__', '').strip('_')}", None)
        return func(*args, **kwargs) if rule is None else rule(func, *args, **kwargs)

    def rule_embedding(self, func: Any, ids: Tensor, weight: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        found = func(ids, weight, *args, **kwargs)
        if ids is not self.ids:
            return found.detach()
        self.vectors.append(found.detach().requires_grad_())
        return self.vectors[-1]

    def _elementwise(self, name: str, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if not is_activation(x):
            return func(x, *args, **kwargs)
        value, constant = func(x, *args, **kwargs).detach(), AT_ZERO.get(name, 0.0)
        ratio = torch.where(x == 0, SLOPES[name], (value - constant) / x)
        made = x * ratio.detach() + constant
        if name in GATES:
            self.gates.append(made)
        return made

    def rule_rsqrt(self, func: Any, x: Tensor) -> Tensor:
        return func(x).detach()

    def rule_mul(self, func: Any, x: Any, y: Any) -> Tensor:
        if not (is_activation(x) and is_activation(y)):
            return torch.mul(x, y)
        gates = [any(value is gate for gate in self.gates) for value in (x, y)]
        if sum(gates) == 1:
            return torch.mul(x.detach(), y) if gates[0] else torch.mul(x, y.detach())
        return halved(torch.mul, x, y)

    rule_rmul = rule_mul

    def rule_matmul(self, func: Any, x: Tensor, y: Tensor) -> Tensor:
        return matrix_product(x, y)

    rule_bmm = rule_matmul

    def rule_einsum(self, func: Any, equation: str, *given: Tensor) -> Tensor:
        if len(given) < 2 or not all(map(is_activation, given)):
            return func(equation, *given)
        return halved(lambda x, y: func(equation, x, y), *given)

    def rule_baddbmm(
        self, func: Any, added: Tensor, x: Tensor, y: Tensor, *, beta: float, alpha: float
    ) -> Tensor:
        return beta * added + alpha * halved(torch.matmul, x, y)

    def rule_truediv(self, func: Any, x: Any, y: Any) -> Tensor:
        return torch.div(x, y.detach() if is_activation(x) and is_activation(y) else y)

    rule_div = rule_truediv

    def rule_normalize(self, func: Any, x: Tensor, *, p: float, dim: int, eps: float, out: None) -> Tensor:
        return x / x.detach().norm(dim=dim, keepdim=True).clamp(min=eps)

    def rule_glu(self, func: Any, x: Tensor, dim: int = -1) -> Tensor:
        signal, gate = x.chunk(2, dim)
        return signal * gate.detach().sigmoid()

    def rule_multi_head_attention_forward(
        self, func: Any, query: Tensor, key: Tensor, value: Tensor, width: int, heads: int, weight: Tensor,
        bias: Tensor, *args: Any, key_padding_mask: Tensor | None = None, attn_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, None]:  # fmt: skip
        """Positions first, as torch calls it."""
        parts = zip((query, key, value), weight.chunk(3), bias.chunk(3), strict=True)
        q, k, v = ((x @ w.t() + b).unflatten(-1, (heads, -1)).permute(1, 2, 0, 3) for x, w, b in parts)
        if key_padding_mask is not None:
            hidden = key_padding_mask[:, None, None, :]
            hidden = hidden if hidden.dtype == torch.bool else hidden == -math.inf
            attn_mask = torch.zeros(hidden.shape, dtype=q.dtype).masked_fill(hidden, -math.inf)
        mixed = attention(q, k, v, attn_mask, False, q.shape[-1] ** -0.5)
        out_weight, out_bias = args[-2], args[-1]
        return mixed.permute(2, 0, 1, 3).flatten(-2) @ out_weight.t() + out_bias, None

    def rule_layer_norm(
        self,
        func: Any,
        x: Tensor,
        shape: Sequence[int],
        weight: Any = None,
        bias: Any = None,
        eps: float = 1e-5,
    ) -> Tensor:
        assert len(shape) == 1
        centred = x - x.mean(-1, keepdim=True)
        deviation = (centred.detach().square().mean(-1, keepdim=True) + eps).sqrt()
        y = centred / deviation * (1.0 if weight is None else weight)
        return y if bias is None else y + bias

    def rule_rms_norm(
        self, func: Any, x: Tensor, shape: Sequence[int], weight: Any = None, eps: float | None = None
    ) -> Tensor:
        eps = torch.finfo(x.dtype).eps if eps is None else eps
        return (
            x
            / (x.detach().square().mean(-1, keepdim=True) + eps).sqrt()
            * (1.0 if weight is None else weight)
        )

    def rule_scaled_dot_product_attention(
        self, func: Any, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None,
        dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
    ) -> Tensor:  # fmt: skip
        assert dropout_p == 0
        if enable_gqa:
            k, v = (t.repeat_interleave(q.shape[-3] // t.shape[-3], -3) for t in (k, v))
        scale = q.shape[-1] ** -0.5 if scale is None else scale
        return attention(q, k, v, attn_mask, is_causal, scale)


for _name in SLOPES:
    setattr(
        Rules,
        f"rule_{_name}",
        lambda self, func, x, *args, _name=_name, **kwargs: self._elementwise(
            _name, func, x, *args, **kwargs
        ),
    )


def attnlrp(module: nn.Module, given: Mapping[str, Tensor], task: int) -> tuple[Tensor, Tensor, Tensor]:
    """Explain one output of a module of ids, (N, tasks).

    Returns
    -------
    multipliers, vectors : Tensor, shape (N, tokens, features)
        At the vectors of the tokens, and these; relevance is their product.
    score : Tensor, shape (N,)
    """
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    with torch.enable_grad(), Rules(given["input_ids"]) as rules:
        score = module(**given)[:, task]
    (vectors,) = rules.vectors
    (c,) = torch.autograd.grad(score.sum(), vectors)
    return c, vectors.detach(), score.detach()
