"""Language models of sequences, which read ids: small, random weights, written as the public classes are."""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.model.tokens import Kmers

WIDTH, HEADS = 8, 2
PAD, UNKNOWN, CLASS, END, MASKED, FIRST = 0, 1, 2, 3, 4, 5
NAMES = {PAD: "[PAD]", UNKNOWN: "[UNK]", CLASS: "[CLS]", END: "[SEP]", MASKED: "[MASK]"}


def kmers(k: int, step: int, *lengths: int, end: bool = True, front: bool = True) -> str:
    """The scheme of a table of k-mers, with special tokens first."""
    pieces = ["".join(p) for n in lengths for p in itertools.product("ACGT", repeat=n)]
    numbers = {piece: number for number, piece in enumerate(pieces, FIRST)}
    ends = [CLASS] if front else [], [END] if end else []
    return Kmers(numbers, k, step, *ends, UNKNOWN, PAD, NAMES).to_scheme()


def rotate_half(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


class Rotary(nn.Module):
    """Rotary positions (Su et al. 2021), their tables made in the forward as in ESM-2 and Llama."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inverse = 1.0 / (10000 ** (torch.arange(0, width, 2, dtype=torch.int64).float() / width))
        self.register_buffer("inv_freq", inverse)

    def forward(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        t = torch.arange(k.shape[-2], device=k.device).type_as(self.inv_freq)
        angles = torch.outer(t, self.inv_freq)
        emb = torch.cat((angles, angles), dim=-1).to(q.device)
        cos, sin = emb.cos()[None, None], emb.sin()[None, None]
        return q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin


class SelfAttention(nn.Module):
    """Attention as in BERT and ESM: three projections, an additive mask, perhaps rotary positions."""

    def __init__(self, rotary: bool = False) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.rotary = Rotary(WIDTH // HEADS) if rotary else None
        self.dropout = nn.Dropout(0.1)

    def split(self, x: Tensor) -> Tensor:
        return x.view(x.size(0), -1, HEADS, WIDTH // HEADS).permute(0, 2, 1, 3)

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        q, k, v = self.split(self.query(h)), self.split(self.key(h)), self.split(self.value(h))
        if self.rotary is not None:
            q, k = self.rotary(q * (WIDTH // HEADS) ** -0.5, k)
            scores = torch.matmul(q, k.transpose(-1, -2))
        else:
            scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(WIDTH // HEADS)
        shares = self.dropout(nn.functional.softmax(scores + mask, dim=-1))
        context = torch.matmul(shares, v).permute(0, 2, 1, 3).contiguous()
        return context.view(*context.size()[:-2], WIDTH)


def extended(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """The mask that is added to logits, as `transformers` makes it."""
    return (1.0 - mask[:, None, None, :].to(dtype=dtype)) * torch.finfo(dtype).min


class Bert(nn.Module):
    """BERT with a pooler on its class token (DNABERT, Ji et al. 2021; Devlin et al. 2019)."""

    def __init__(self, ids: int, positions: int = 64) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(ids, WIDTH, padding_idx=PAD)
        self.position_embeddings = nn.Embedding(positions, WIDTH)
        self.token_type_embeddings = nn.Embedding(2, WIDTH)
        self.register_buffer("position_ids", torch.arange(positions).expand((1, -1)), persistent=False)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.attention, self.dense = SelfAttention(), nn.Linear(WIDTH, WIDTH)
        self.attention_norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.intermediate, self.output = nn.Linear(WIDTH, 12), nn.Linear(12, WIDTH)
        self.output_norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.pooler, self.classifier = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        if attention_mask is None:
            attention_mask = torch.ones(input_ids.shape, device=input_ids.device)
        types = torch.zeros(input_ids.shape, dtype=torch.long, device=input_ids.device)
        h = self.word_embeddings(input_ids) + self.token_type_embeddings(types)
        h = self.norm(h + self.position_embeddings(self.position_ids[:, : input_ids.size(1)]))
        mask = extended(attention_mask, h.dtype)
        h = self.attention_norm(self.dense(self.attention(h, mask)) + h)
        h = self.output_norm(self.output(functional.gelu(self.intermediate(h))) + h)
        return self.classifier(torch.tanh(self.pooler(h[:, 0])))


class Esm(nn.Module):
    """ESM-2 with rotary positions and gated layers (Nucleotide Transformer v2, Dalla-Torre et al. 2024)."""

    def __init__(self, ids: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(ids, WIDTH, padding_idx=PAD)
        self.first_norm, self.second_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention, self.dense = SelfAttention(rotary=True), nn.Linear(WIDTH, WIDTH)
        self.intermediate, self.output = nn.Linear(WIDTH, 24, bias=False), nn.Linear(12, WIDTH, bias=False)
        self.last_norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        if attention_mask is None:
            attention_mask = input_ids.ne(PAD)
        h = self.word_embeddings(input_ids)
        # Token dropout: masked tokens are zeros, and the others larger by as many as there are.
        h = h.masked_fill((input_ids == MASKED).unsqueeze(-1), 0.0)
        masked = (input_ids == MASKED).sum(-1).to(h.dtype) / attention_mask.sum(-1)
        h = h * (1 - 0.15 * 0.8) / (1 - masked)[:, None, None]
        h = h * attention_mask.unsqueeze(-1).to(h.dtype)
        h = h + self.dense(self.attention(self.first_norm(h), extended(attention_mask, h.dtype)))
        gate, signal = self.intermediate(self.second_norm(h)).chunk(2, dim=-1)
        h = self.last_norm(h + self.output(functional.silu(gate) * signal))
        kept = attention_mask.unsqueeze(-1).to(h.dtype)
        return self.head((h * kept).sum(1) / kept.sum(1))


def alibi(heads: int, length: int) -> Tensor:
    """Biases by distance, of a slope a head (Press et al. 2022)."""
    slopes = torch.tensor([2.0 ** (-8.0 * (i + 1) / heads) for i in range(heads)])
    places = torch.arange(length)
    distances = torch.abs(places[None, :] - places[:, None]).unsqueeze(0).expand(heads, -1, -1)
    return (slopes.unsqueeze(1).unsqueeze(1) * -distances).unsqueeze(0)


class MosaicBert(nn.Module):
    """BERT with ALiBi and gated layers (DNABERT-2, Zhou et al. 2024), without its unpadding."""

    def __init__(self, ids: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(ids, WIDTH, padding_idx=PAD)
        self.norm, self.attention_norm, self.mlp_norm = (nn.LayerNorm(WIDTH, eps=1e-12) for _ in range(3))
        self.qkv, self.dense = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.gated_layers, self.wo = nn.Linear(WIDTH, 24, bias=False), nn.Linear(12, WIDTH)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        h = self.norm(self.word_embeddings(input_ids))
        n, length = input_ids.shape
        mask = (1.0 - attention_mask[:, None, None, :].to(h.dtype)) * -10000.0
        bias = mask + alibi(HEADS, length).to(h.dtype)
        qkv = self.qkv(h).view(n, length, 3, HEADS, WIDTH // HEADS)
        q = qkv[:, :, 0].permute(0, 2, 1, 3)
        k = qkv[:, :, 1].permute(0, 2, 3, 1)
        v = qkv[:, :, 2].permute(0, 2, 1, 3)
        shares = functional.softmax(torch.matmul(q, k) / math.sqrt(WIDTH // HEADS) + bias, dim=-1)
        context = torch.matmul(shares, v).permute(0, 2, 1, 3).reshape(n, length, WIDTH)
        h = self.attention_norm(self.dense(context) + h)
        gated = self.gated_layers(h)
        made = functional.gelu(gated[:, :, :12]) * gated[:, :, 12:]
        h = self.mlp_norm(self.wo(made) + h)
        kept = attention_mask.unsqueeze(-1).to(h.dtype)
        return self.head((h * kept).sum(1) / kept.sum(1))


class Sine(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.frequency = nn.Parameter(10 * torch.ones(1, width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.frequency * x)


class Hyena(nn.Module):
    """One block of HyenaDNA (Nguyen et al. 2023): implicit filters as long as the window, as a Conv1d."""

    def __init__(self, ids: int, length: int) -> None:
        super().__init__()
        self.length = length
        self.word_embeddings = nn.Embedding(ids, WIDTH)
        self.first_norm, self.second_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.in_proj, self.out_proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.short = nn.Conv1d(3 * WIDTH, 3 * WIDTH, 3, groups=3 * WIDTH, padding=2)
        self.filters = nn.Sequential(nn.Linear(3, 6), Sine(6), nn.Linear(6, WIDTH, bias=False))
        self.bias = nn.Parameter(torch.randn(WIDTH))
        self.deltas = nn.Parameter(torch.linspace(1.0, 3.0, WIDTH)[None])
        self.fc1, self.fc2 = nn.Linear(WIDTH, 12), nn.Linear(12, WIDTH)
        self.last_norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2)

    def kernel(self) -> Tensor:
        t = torch.linspace(0, 1, self.length, dtype=self.bias.dtype)[:, None]
        z = torch.cat([t, torch.cos(2 * math.pi * t), -torch.sin(2 * math.pi * t)], dim=-1)
        return (self.filters(z) * torch.exp(-t * self.deltas.abs())).t()  # (features, positions)

    def long_convolution(self, v: Tensor) -> Tensor:
        padded = functional.pad(v, (self.length - 1, 0))
        found = functional.conv1d(padded, self.kernel().flip(-1).unsqueeze(1), groups=WIDTH)
        return found + v * self.bias.unsqueeze(-1)

    def forward(self, input_ids: Tensor) -> Tensor:
        residual = self.word_embeddings(input_ids)
        u = self.in_proj(self.first_norm(residual)).transpose(1, 2)
        x0, x1, v = self.short(u)[..., : self.length].split(WIDTH, dim=1)
        y = self.long_convolution(v * x1) * x0
        residual = residual + self.out_proj(y.transpose(1, 2))
        hidden = functional.gelu(self.fc1(self.second_norm(residual)), approximate="tanh")
        residual = residual + self.fc2(hidden)
        return self.head(self.last_norm(residual).mean(1))


class Mamba(nn.Module):
    """A selective scan as a loop (Gu and Dao 2023), as `mamba_simple`'s reference computes it."""

    def __init__(self, inner: int = 6, states: int = 2) -> None:
        super().__init__()
        self.inner, self.states = inner, states
        self.in_proj = nn.Linear(WIDTH, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, 3, groups=inner, padding=2)
        self.x_proj = nn.Linear(inner, 1 + 2 * states, bias=False)
        self.dt_proj = nn.Linear(1, inner)
        self.a_log = nn.Parameter(torch.log(torch.arange(1, states + 1).float()).repeat(inner, 1))
        self.d = nn.Parameter(torch.randn(inner))
        self.out_proj = nn.Linear(inner, WIDTH, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        length = h.shape[1]
        x, z = self.in_proj(h).chunk(2, dim=-1)
        x = functional.silu(self.conv1d(x.transpose(1, 2))[..., :length].transpose(1, 2))
        dt, b, c = self.x_proj(x).split([1, self.states, self.states], dim=-1)
        dt = functional.softplus(self.dt_proj(dt))
        decay = torch.exp(dt.unsqueeze(-1) * -torch.exp(self.a_log))
        driven = dt.unsqueeze(-1) * b.unsqueeze(2) * x.unsqueeze(-1)
        state, outputs = torch.zeros_like(decay[:, 0]), []
        for i in range(length):
            state = decay[:, i] * state + driven[:, i]
            outputs.append((state * c[:, i].unsqueeze(1)).sum(-1))
        y = torch.stack(outputs, dim=1) + x * self.d
        return self.out_proj(y * functional.silu(z))


class Caduceus(nn.Module):
    """Both directions of one scan, and both strands of one network (Caduceus-Ps, Schiff et al. 2024)."""

    def __init__(self, ids: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(ids, WIDTH)
        complement = list(range(ids))
        for i, j in enumerate((3, 2, 1, 0)):
            complement[FIRST + i] = FIRST + j
        self.register_buffer("complement", torch.tensor(complement))
        self.norm, self.last_norm = nn.RMSNorm(WIDTH, eps=1e-5), nn.RMSNorm(WIDTH, eps=1e-5)
        self.mixer, self.head = Mamba(), nn.Linear(WIDTH, 2)

    def strand(self, h: Tensor) -> Tensor:
        u = self.norm(h)
        return self.last_norm(h + self.mixer(u) + self.mixer(u.flip(1)).flip(1))

    def forward(self, input_ids: Tensor) -> Tensor:
        table = self.word_embeddings.weight
        # Both strands by one look-up: the other strand's table holds the complement of each base.
        both = torch.cat([table, table[self.complement]], dim=1)
        forward, reverse = functional.embedding(input_ids, both).chunk(2, dim=-1)
        made = self.strand(forward) + self.strand(reverse.flip(1)).flip(1)
        return self.head(made.mean(1))


class Gpt(nn.Module):
    """GPT-2 on single bases: learned positions, a triangle of -inf (Radford et al. 2019)."""

    def __init__(self, ids: int, length: int) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(ids, WIDTH), nn.Embedding(length, WIDTH)
        self.ln_1, self.ln_2, self.ln_f = (nn.LayerNorm(WIDTH) for _ in range(3))
        self.c_attn, self.c_proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.c_fc, self.out = nn.Linear(WIDTH, 12), nn.Linear(12, WIDTH)
        self.head = nn.Linear(WIDTH, 2, bias=False)

    def forward(self, input_ids: Tensor) -> Tensor:
        n, length = input_ids.shape
        h = self.wte(input_ids) + self.wpe(torch.arange(length, device=input_ids.device))
        heads = [
            part.view(n, length, HEADS, WIDTH // HEADS).transpose(1, 2)
            for part in self.c_attn(self.ln_1(h)).split(WIDTH, dim=2)
        ]
        causal = torch.triu(torch.full((length, length), float("-inf")), diagonal=1).to(h.dtype)
        logits = heads[0] @ heads[1].transpose(-2, -1) * (1.0 / math.sqrt(heads[1].size(-1))) + causal
        mixed = (logits.softmax(dim=-1) @ heads[2]).transpose(1, 2).contiguous().view(n, length, WIDTH)
        h = h + self.c_proj(mixed)
        h = h + self.out(functional.gelu(self.c_fc(self.ln_2(h)), approximate="tanh"))
        return self.head(self.ln_f(h))[:, -1]


class LlamaNorm(nn.Module):
    """RMS normalisation as `transformers` writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, h: Tensor) -> Tensor:
        variance = h.pow(2).mean(-1, keepdim=True)
        return self.weight * (h * torch.rsqrt(variance + 1e-6))


class Llama(nn.Module):
    """Llama on single bases: RMS norms, rotary positions, grouped queries, SwiGLU (Touvron et al. 2023)."""

    def __init__(self, ids: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(ids, WIDTH)
        self.norm_1, self.norm_2, self.norm = LlamaNorm(), LlamaNorm(), LlamaNorm()
        self.q, self.k, self.v = (nn.Linear(WIDTH, n, bias=False) for n in (8, 4, 4))
        self.o, self.rotary = nn.Linear(WIDTH, WIDTH, bias=False), Rotary(4)
        self.gate, self.up, self.down = (
            nn.Linear(a, b, bias=False) for a, b in ((WIDTH, 12), (WIDTH, 12), (12, WIDTH))
        )
        self.score = nn.Linear(WIDTH, 2, bias=False)

    def forward(self, input_ids: Tensor) -> Tensor:
        h = self.embed_tokens(input_ids)
        n, length, _ = h.shape
        u = self.norm_1(h)
        q, k, v = (f(u).view(n, length, -1, 4).transpose(1, 2) for f in (self.q, self.k, self.v))
        q, k = self.rotary(q, k)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        h = h + self.o(mixed.transpose(1, 2).reshape(n, length, WIDTH))
        u = self.norm_2(h)
        h = h + self.down(functional.silu(self.gate(u)) * self.up(u))
        return self.score(self.norm(h)[:, -1])
