"""The forms that the parts of language models are written in: attention, masks, positions, norms, gates."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.language import PAD, Rotary, alibi, rotate_half

WIDTH, HEADS, TOKENS = 8, 2, 7
Form = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""From the module, which has projections, the vectors (N, tokens, features) and the ids to vectors."""


def heads(x: Tensor, count: int = HEADS) -> Tensor:
    """(N, tokens, features) to (N, heads, tokens, features of a head)."""
    return x.unflatten(-1, (count, -1)).transpose(1, 2)


def joined(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(-2)


class Forms(nn.Module):
    """Every form on the same vectors, with the same projections and tables, each an output of its own."""

    def __init__(self, ids: int) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(ids, WIDTH), nn.Linear(WIDTH, 2)
        self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.narrow_k, self.narrow_v = nn.Linear(WIDTH, 4), nn.Linear(WIDTH, 4)
        self.qkv, self.gated = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, 2 * WIDTH)
        self.weight = nn.Parameter(torch.randn(WIDTH))
        self.query = nn.Parameter(torch.randn(1, 3, WIDTH))
        self.inner = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.first_inner = nn.MultiheadAttention(WIDTH, HEADS)
        self.rotary = Rotary(WIDTH // HEADS)
        angles = torch.arange(TOKENS)[:, None] * 0.3 ** torch.arange(2)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())
        self.register_buffer("bias", alibi(HEADS, TOKENS))
        self.register_buffer("causal", torch.tril(torch.ones(TOKENS, TOKENS))[None, None])

    def one(self, name: str, input_ids: Tensor) -> Tensor:
        h = self.embedding(input_ids) * (input_ids != PAD).unsqueeze(-1)
        return self.head(FORMS[name](self, h, input_ids)).mean(1)

    def forward(self, input_ids: Tensor) -> dict[str, Tensor]:
        h = self.embedding(input_ids) * (input_ids != PAD).unsqueeze(-1)
        return {
            f"form{i}": self.head(form(self, h, input_ids)).mean(1) for i, form in enumerate(FORMS.values())
        }


def projected(m: nn.Module, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return heads(m.q(h)), heads(m.k(h)), heads(m.v(h))


def by_hand(m: nn.Module, h: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    q, k, v = projected(m, h)
    return joined(change(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1) @ v)


def sdpa(m: nn.Module, h: Tensor, mask: Tensor | None = None, **given: object) -> Tensor:
    return joined(functional.scaled_dot_product_attention(*projected(m, h), attn_mask=mask, **given))


def there(ids: Tensor) -> Tensor:
    return (ids != PAD)[:, None, None, :]


def by_numbers(ids: Tensor) -> Tensor:
    """The mask of each sample, picked by its number, as `transformers` picks it."""
    samples = torch.arange(ids.shape[0])[:, None, None, None]
    return (ids != PAD)[samples, torch.arange(TOKENS)[None, None, None, :]]


def interleaved(m: nn.Module, x: Tensor) -> Tensor:
    """Rotary positions of neighbouring features (GPT-J, RoFormer)."""
    even, odd = x[..., ::2], x[..., 1::2]
    turned = torch.stack((even * m.cos - odd * m.sin, even * m.sin + odd * m.cos), dim=-1)
    return turned.flatten(-2)


def partial_rotary(m: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    """Half of each head is rotated (GPT-NeoX)."""
    q, k, v = projected(m, h)
    emb = torch.cat((m.cos[:, :1], m.cos[:, :1]), -1), torch.cat((m.sin[:, :1], m.sin[:, :1]), -1)

    def turned(x: Tensor) -> Tensor:
        return torch.cat((x[..., :2] * emb[0] + rotate_half(x[..., :2]) * emb[1], x[..., 2:]), -1)

    return joined(functional.scaled_dot_product_attention(turned(q), turned(k), v))


def grouped(m: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    """Grouped queries with keys and values repeated by expand and reshape (Llama's `repeat_kv`)."""
    q = heads(m.q(h))
    k, v = (
        heads(x, 1)[:, :, None].expand(-1, 1, HEADS, TOKENS, WIDTH // HEADS).reshape(-1, HEADS, TOKENS, 4)
        for x in (m.narrow_k(h), m.narrow_v(h))
    )
    return joined(functional.scaled_dot_product_attention(q, k, v, is_causal=True))


def grouped_by_torch(m: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    q, k, v = heads(m.q(h)), heads(m.narrow_k(h), 1), heads(m.narrow_v(h), 1)
    return joined(functional.scaled_dot_product_attention(q, k, v, there(ids), enable_gqa=True))


def packed(m: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    """One projection, taken apart as `rearrange(qkv, 'b s (three h d) -> three b h s d')` does."""
    q, k, v = m.qkv(h).reshape(-1, TOKENS, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
    return joined((q @ k.mT * 0.5).softmax(-1) @ v)


def flash_fallback(m: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    """What packages of flash attention do without it (`SelfAttention` of flash-attn)."""
    q, k, v = m.qkv(h).unflatten(-1, (3, HEADS, WIDTH // HEADS)).unbind(dim=2)
    scores = torch.einsum("bthd,bshd->bhts", q, k * 0.5)
    padding = torch.zeros(ids.shape, dtype=scores.dtype).masked_fill(ids == PAD, -10000.0)
    scores = scores + padding[:, None, None, :]
    scores = scores + torch.triu(torch.full((TOKENS, TOKENS), -10000.0), 1).to(scores.dtype)
    shares = torch.softmax(scores, dim=-1, dtype=v.dtype)
    return torch.einsum("bhts,bshd->bthd", shares, v).flatten(-2)


def bloom(m: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    """Biases within the product (BLOOM), of one head."""
    shares = torch.baddbmm(m.bias[:, 0].to(h.dtype), m.q(h), m.k(h).mT, beta=1.0, alpha=0.5).softmax(-1)
    return torch.bmm(shares, m.v(h))


def learned_queries(m: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    """Cross-attention of a few learned queries, and of the tokens to what these found (Perceiver)."""
    query, hidden = m.query.expand(h.shape[0], -1, -1), ids == PAD
    latent, _ = m.inner(query, h, h, key_padding_mask=hidden, need_weights=False)
    return m.inner(h, latent, latent, need_weights=False)[0]


def learned_queries_with_weights(m: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    """The same as torch computes it by default: samples and heads merged, of constants too."""
    query = m.query.expand(h.shape[0], -1, -1)
    latent, _ = m.inner(query, h, h)
    return latent + m.inner(h[:, :3], query, query)[0]


def mha(m: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    return m.inner(h, h, h, key_padding_mask=ids == PAD, need_weights=True)[0]


def mha_positions_first(m: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    future = nn.Transformer.generate_square_subsequent_mask(TOKENS, dtype=h.dtype)
    x = h.transpose(0, 1)
    return m.first_inner(x, x, x, attn_mask=future, need_weights=False)[0].transpose(0, 1)


FORMS: dict[str, Form] = {
    "attention by hand": lambda m, h, ids: by_hand(m, h, lambda s: s),
    "a mask filled in": lambda m, h, ids: by_hand(m, h, lambda s: s.masked_fill(m.causal == 0, -math.inf)),
    "a triangle added": lambda m, h, ids: by_hand(
        m, h, lambda s: s + torch.triu(torch.full((TOKENS, TOKENS), -math.inf), 1).to(s)
    ),
    "a mask of the least number": lambda m, h, ids: by_hand(
        m, h, lambda s: torch.where(there(ids), s, torch.finfo(s.dtype).min)
    ),
    "a mask that is multiplied": lambda m, h, ids: by_hand(
        m, h, lambda s: s + (1 - there(ids).to(s)) * torch.finfo(s.dtype).min
    ),
    "ALiBi, a buffer": lambda m, h, ids: by_hand(m, h, lambda s: s + m.bias.to(s)),
    "ALiBi, computed": lambda m, h, ids: by_hand(m, h, lambda s: s + alibi(HEADS, s.shape[-1]).to(s)),
    "ALiBi by baddbmm": bloom,
    "torch's": lambda m, h, ids: sdpa(m, h),
    "torch's, causal": lambda m, h, ids: sdpa(m, h, is_causal=True, scale=0.3),
    "torch's, padding": lambda m, h, ids: sdpa(m, h, there(ids)),
    "torch's, a mask by numbers of samples": lambda m, h, ids: sdpa(m, h, by_numbers(ids)),
    "torch's, padding added": lambda m, h, ids: sdpa(
        m, h, torch.zeros(1, dtype=h.dtype).masked_fill(~there(ids), -math.inf)
    ),
    "grouped queries": grouped,
    "torch's, grouped queries": grouped_by_torch,
    "one projection": packed,
    "flash attention's fallback": flash_fallback,
    "rotary": lambda m, h, ids: joined(
        functional.scaled_dot_product_attention(*m.rotary(*projected(m, h)[:2]), heads(m.v(h)))
    ),
    "rotary, interleaved": lambda m, h, ids: joined(
        functional.scaled_dot_product_attention(
            *(interleaved(m, x) for x in projected(m, h)[:2]), heads(m.v(h))
        )
    ),
    "rotary, in part": partial_rotary,
    "MultiheadAttention, padding": mha,
    "MultiheadAttention, causal": mha_positions_first,
    "cross-attention": learned_queries,
    "cross-attention, with its weights": learned_queries_with_weights,
    "RMS norm": lambda m, h, ids: functional.rms_norm(h, (WIDTH,), m.weight, 1e-6),
    "RMS norm, rsqrt": lambda m, h, ids: m.weight * (h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6)),
    "RMS norm, sqrt": lambda m, h, ids: h / torch.sqrt(torch.mean(h**2, dim=-1, keepdim=True) + 1e-6),
    "RMS norm, a length": lambda m, h, ids: functional.normalize(h, dim=-1) * WIDTH**0.5 * m.weight,
    "SwiGLU": lambda m, h, ids: functional.silu(m.q(h)) * m.k(h),
    "SwiGLU, one projection": lambda m, h, ids: (lambda a, b: functional.silu(b) * a)(
        *m.gated(h).chunk(2, -1)
    ),
    "GeGLU": lambda m, h, ids: (lambda a, b: a * functional.gelu(b))(*m.gated(h).split(WIDTH, -1)),
    "GLU": lambda m, h, ids: functional.glu(m.gated(h)),
    "a gate": lambda m, h, ids: torch.sigmoid(m.q(h)) * m.k(h),
    "bilinear": lambda m, h, ids: m.q(h) * m.k(h),
}


class One(nn.Module):
    """A form of `Forms` alone."""

    def __init__(self, forms: Forms, name: str) -> None:
        super().__init__()
        self.forms, self.name = forms, name

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.forms.one(self.name, input_ids)
