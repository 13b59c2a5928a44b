"""Scaled dot-product attention: a product, a softmax and a product (AttnLRP)."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from oracles.attention import attention
from oracles.operations import SEEDS, Case, check_conversions, check_refusals, check_relevance, tensor
from torch.nn.functional import scaled_dot_product_attention

from sparselrp_cli.graph.operations.attention import Attention

SHAPE = (2, 3, 6)


def draw(kind: str) -> Callable[[np.random.Generator], Case]:
    def case(rng: np.random.Generator) -> Case:
        future = np.where(np.triu(np.ones((4, 4)), 1) > 0, -np.inf, 0.0)
        mask = {"none": None, "causal": future, "finite": rng.normal(size=(4, 4))}[kind]
        inputs = [rng.normal(size=(2, 3, 4, width)) for width in (5, 5, 2)]
        added = np.zeros((4, 4)) if mask is None else mask

        def forward(q, k, v):
            shares = np.exp(0.4 * q @ k.swapaxes(-1, -2) + added)
            return shares / shares.sum(-1, keepdims=True) @ v

        operation = Attention(0.4, None if mask is None else tensor(mask))
        return Case(operation, inputs, forward, attention(0.4, added))

    return case


CASES = {f"attention, mask {kind}": draw(kind) for kind in ("none", "causal", "finite")}


def learned(*shape: int) -> torch.Tensor:
    return torch.arange(float(np.prod(shape)), dtype=torch.float64).reshape(shape).cos()


MASK = torch.ones(3, 3).tril().bool()
CONVERSIONS = {
    "of one": (lambda x: scaled_dot_product_attention(x, x, x), ["attention"]),
    "causal": (lambda x: scaled_dot_product_attention(x, x, x, is_causal=True), ["attention"]),
    "masked": (lambda x: scaled_dot_product_attention(x, x, x, attn_mask=MASK, scale=0.3), ["attention"]),
    "a mask by the sequence": (
        lambda x: scaled_dot_product_attention(x, x, x, attn_mask=(x[:, :1, :3] < 9).expand(-1, 3, 3)),
        ["slice", "slice", "decision", "expand", "permute", "matrix-product", "scale", "where", "softmax",
         "matrix-product"],
    ),
    "a mask by the sequence, added": (
        lambda x: scaled_dot_product_attention(x, x, x, attn_mask=x @ x.transpose(1, 2)),
        ["permute", "matrix-product", "permute", "matrix-product", "scale", "add", "softmax",
         "matrix-product"],
    ),
    "grouped queries": (
        lambda x: scaled_dot_product_attention(
            torch.stack([x, 2 * x], 1), x[:, None], x[:, None], enable_gqa=True
        ),
        ["scale", "concatenate", "reshape", "reshape", "homogeneous", "homogeneous", "attention"],
    ),
    "learned queries": (
        lambda x: scaled_dot_product_attention(learned(1, 5, 6), x, x),
        ["permute", "homogeneous", "scale", "softmax", "matrix-product"],
    ),
    "learned values": (
        lambda x: scaled_dot_product_attention(x, x, learned(1, 3, 2), attn_mask=MASK),
        ["permute", "matrix-product", "scale", "shift", "softmax", "homogeneous"],
    ),
    "learned queries and keys": (
        lambda x: scaled_dot_product_attention(learned(1, 5, 4), learned(1, 3, 4), x), ["homogeneous"]
    ),
}  # fmt: skip
REFUSALS = {
    "a mask of the sequence and nothing else": (
        lambda x: scaled_dot_product_attention(
            *[learned(1, 3, 4).expand(x.shape[0], -1, -1)] * 2, x, attn_mask=x @ x.transpose(1, 2)
        ),
        "scaled_dot_product_attention: its mask depends on the sequence, and its logits don't",
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))
