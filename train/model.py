"""The qwen3 architecture in the few lines a small model needs, with weights named as in GGUF.

Shapes: B rows, T tokens, D width, H query heads, K key/value heads, E head size. Pre-norm RMSNorm (eps 1e-6),
QK-norm per head, rotary positions over split halves (NEOX), SwiGLU, tied embeddings, no biases.
"""
from dataclasses import dataclass, asdict

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    vocab: int = 512
    width: int = 192
    layers: int = 8
    ff: int = 512
    heads: int = 6
    kv_heads: int = 2
    head_dim: int = 32
    context: int = 2048
    rope_base: float = 10000.0
    eps: float = 1e-6

    def dict(self):
        return asdict(self)


def rms(x, weight, eps):
    y = x.float()
    y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + eps)
    return y.to(x.dtype) * weight.to(x.dtype)


def rotary(c, length, device=None):
    """cos and sin of shape [length, E/2]; pair i turns by position * base^(-2i/E)."""
    half = c.head_dim // 2
    freq = c.rope_base ** (-torch.arange(half, dtype=torch.float64, device=device) * 2 / c.head_dim)
    angle = torch.outer(torch.arange(length, dtype=torch.float64, device=device), freq)
    return angle.cos().float(), angle.sin().float()


def rotate(x, cos, sin):
    """x [B,h,T,E]; the first half is the real part, the second the imaginary one."""
    a, b = x.chunk(2, -1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        q, kv = c.heads * c.head_dim, c.kv_heads * c.head_dim
        self.attn_norm = nn.Parameter(torch.ones(c.width))
        self.attn_q = nn.Parameter(torch.empty(q, c.width))
        self.attn_k = nn.Parameter(torch.empty(kv, c.width))
        self.attn_v = nn.Parameter(torch.empty(kv, c.width))
        self.attn_q_norm = nn.Parameter(torch.ones(c.head_dim))
        self.attn_k_norm = nn.Parameter(torch.ones(c.head_dim))
        self.attn_output = nn.Parameter(torch.empty(c.width, q))
        self.ffn_norm = nn.Parameter(torch.ones(c.width))
        self.ffn_gate = nn.Parameter(torch.empty(c.ff, c.width))
        self.ffn_up = nn.Parameter(torch.empty(c.ff, c.width))
        self.ffn_down = nn.Parameter(torch.empty(c.width, c.ff))

    def forward(self, x, cos, sin, mask, cache=None):
        c = self.c
        b, t, _ = x.shape
        h = rms(x, self.attn_norm, c.eps)
        qkv = F.linear(h, torch.cat((self.attn_q, self.attn_k, self.attn_v)))  # one product reads h once
        q, k, v = qkv.view(b, t, -1, c.head_dim).split((c.heads, c.kv_heads, c.kv_heads), 2)
        v = v.transpose(1, 2)
        q = rotate(rms(q, self.attn_q_norm, c.eps).transpose(1, 2), cos, sin)
        k = rotate(rms(k, self.attn_k_norm, c.eps).transpose(1, 2), cos, sin)
        if cache is not None:
            k, v = cache.put(k, v)
        if x.is_cuda:
            out = F.scaled_dot_product_attention(q, k, v, mask.to(q.dtype), enable_gqa=True)
            return self.rest(x, out.transpose(1, 2).reshape(b, t, -1))
        # a group of query heads shares one key/value head: fold the group into the time axis
        g = c.heads // c.kv_heads
        s = k.shape[2]
        q = q.reshape(b * c.kv_heads, g * t, c.head_dim)
        k = k.reshape(b * c.kv_heads, s, c.head_dim)
        v = v.reshape(b * c.kv_heads, s, c.head_dim)
        score = torch.bmm(q, k.transpose(1, 2)).view(b, c.kv_heads * g, t, s)
        score = (score.float() * c.head_dim ** -0.5 + mask).softmax(-1).to(q.dtype)
        out = torch.bmm(score.view(b * c.kv_heads, g * t, s), v)
        return self.rest(x, out.view(b, c.heads, t, c.head_dim).transpose(1, 2).reshape(b, t, -1))

    def rest(self, x, attended):
        x = x + F.linear(attended, self.attn_output)
        h = rms(x, self.ffn_norm, self.c.eps)
        gate, up = F.linear(h, torch.cat((self.ffn_gate, self.ffn_up))).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.ffn_down)


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.token_embd = nn.Parameter(torch.empty(c.vocab, c.width))
        self.blk = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.output_norm = nn.Parameter(torch.ones(c.width))
        cos, sin = rotary(c, c.context)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def init(self, seed):
        gen = torch.Generator().manual_seed(seed)
        for name, p in self.named_parameters():
            if p.dim() < 2:
                continue
            std = 0.02 if "token_embd" in name else p.shape[1] ** -0.5
            if "attn_output" in name or "ffn_down" in name:
                std *= (2 * self.c.layers) ** -0.5  # the residual stream starts near the embedding
            with torch.no_grad():
                p.normal_(0.0, std, generator=gen)
        return self

    def hidden(self, ids, cos, sin, mask, caches=None):
        x = F.embedding(ids, self.token_embd)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        for i, block in enumerate(self.blk):
            x = block(x, cos, sin, mask, caches[i] if caches else None)
        return rms(x, self.output_norm, self.c.eps)

    def forward(self, ids, cos, sin, mask, caches=None):
        return F.linear(self.hidden(ids, cos, sin, mask, caches), self.token_embd)


def logits_of(model, ids, doc):
    """ids, doc [B,T] -> [B,T,V]. A token sees its own document only. Positions run on through a row: attention depends on
    differences of positions alone."""
    t = ids.shape[1]
    index = torch.arange(t, device=ids.device)
    seen = (doc[:, :, None] == doc[:, None, :]) & (index[:, None] >= index[None, :])
    mask = torch.zeros(seen.shape, device=ids.device).masked_fill(~seen, -30000.0)[:, None]
    return model(ids, model.cos[:t], model.sin[:t], mask).float()


def loss_of(model, ids, targets, doc):
    """ids, targets, doc [B,T]; a target below 0 does not count. The sum over what counts, in nats."""
    logits = logits_of(model, ids, doc)
    return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1), ignore_index=-1, reduction="sum")


class Cache:
    """Keys and values of one layer, [B,K,limit,E], filled from the left."""

    def __init__(self, c, rows, limit, like):
        self.k = like.new_zeros(rows, c.kv_heads, limit, c.head_dim)
        self.v = torch.zeros_like(self.k)
        self.used = 0

    def put(self, k, v):
        end = self.used + k.shape[2]
        self.k[:, :, self.used:end] = k
        self.v[:, :, self.used:end] = v
        self.used = end
        return self.k[:, :, :end], self.v[:, :, :end]

    def keep(self, rows):
        self.k, self.v = self.k[rows], self.v[rows]


def pick(logits, temperature, generator):
    """The likeliest token of each row, or one by chance."""
    if temperature == 0:
        return logits.argmax(-1)
    chance = torch.rand(logits.shape, generator=generator, device=logits.device).clamp_min(1e-20)
    return (logits / temperature - chance.log().neg().log()).argmax(-1)  # Gumbel's trick


@torch.no_grad()
def generate(model, prompts, stop, steps, temperature=0.0, generator=None):
    """Continues each list of ids until a stop id; returns the new ids of each."""
    c, rows, weight = model.c, len(prompts), model.token_embd
    width = max(map(len, prompts))
    steps = min(steps, c.context - width)
    ids = torch.zeros(rows, width, dtype=torch.long)
    pad = torch.zeros(rows, width + steps)
    for i, p in enumerate(prompts):  # padded on the left, so that every row goes on at the same place
        ids[i, width - len(p):] = torch.tensor(p)
        pad[i, :width - len(p)] = -30000.0
    ids, pad = ids.to(weight.device), pad.to(weight.device)
    caches = [Cache(c, rows, width + steps, weight) for _ in range(c.layers)]
    index = torch.arange(width, device=weight.device)
    mask = torch.where(index[:, None] >= index[None, :], 0.0, -30000.0)[None, None] + pad[:, None, None, :width]
    out, live = [[] for _ in prompts], list(range(rows))
    logits = model(ids, model.cos[:width], model.sin[:width], mask, caches)[:, -1]
    for at in range(width, width + steps):
        nxt = pick(logits.float(), temperature, generator)
        for i, token in zip(live, nxt.tolist()):
            out[i].append(token)
        going = [n for n, i in enumerate(live) if out[i][-1] not in stop]
        if not going:
            break
        if len(going) < len(live):  # rows that ended cost nothing more
            keep = torch.tensor(going, device=weight.device)
            live, nxt, pad = [live[n] for n in going], nxt[keep], pad[keep]
            for cache in caches:
                cache.keep(keep)
        mask = pad[:, None, None, :at + 1]
        logits = model(nxt[:, None], model.cos[at:at + 1], model.sin[at:at + 1], mask, caches)[:, -1]
    return out
