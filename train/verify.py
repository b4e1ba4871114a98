"""Reads the exported GGUF back with nothing of the trainer: a forward pass in plain numpy must give the golden logits,
and Jinja must render the file's chat template as the trainer renders its documents.

    python train/verify.py models/thinkd-first.gguf models/logits.golden.json
"""
import json
import sys

import gguf
import numpy as np

import chat


def read(path):
    r = gguf.GGUFReader(path)
    meta = {k: f.contents() for k, f in r.fields.items() if not k.startswith("GGUF.")}
    return meta, {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64) for t in r.tensors}


def rms(x, w, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w


def rotate(x, base):
    """x [T,h,E]; halves of E are real and imaginary parts."""
    half = x.shape[-1] // 2
    angle = np.outer(np.arange(x.shape[0]), base ** (-np.arange(half) / half))[:, None, :]
    a, b = x[..., :half], x[..., half:]
    return np.concatenate((a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)), -1)


def forward(meta, w, ids):
    g = lambda k: meta["qwen3." + k]
    heads, kv, size, eps = (g("attention.head_count"), g("attention.head_count_kv"), g("attention.key_length"),
                            g("attention.layer_norm_rms_epsilon"))
    x, t = w["token_embd.weight"][ids], len(ids)
    hidden = np.triu(np.full((t, t), -np.inf), 1)
    for i in range(g("block_count")):
        b = lambda n: w[f"blk.{i}.{n}.weight"]
        h = rms(x, b("attn_norm"), eps)
        q = rotate(rms((h @ b("attn_q").T).reshape(t, heads, size), b("attn_q_norm"), eps), g("rope.freq_base"))
        k = rotate(rms((h @ b("attn_k").T).reshape(t, kv, size), b("attn_k_norm"), eps), g("rope.freq_base"))
        v = (h @ b("attn_v").T).reshape(t, kv, size)
        out = np.empty((t, heads, size))
        for n in range(heads):
            s = q[:, n] @ k[:, n * kv // heads].T / np.sqrt(size) + hidden
            p = np.exp(s - s.max(-1, keepdims=True))
            out[:, n] = p / p.sum(-1, keepdims=True) @ v[:, n * kv // heads]
        x = x + out.reshape(t, -1) @ b("attn_output").T
        h = rms(x, b("ffn_norm"), eps)
        gate = h @ b("ffn_gate").T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ b("ffn_up").T)) @ b("ffn_down").T
    return rms(x, w["output_norm.weight"], eps) @ w["token_embd.weight"].T


def check_template(source, rows):
    """The file's template, in Jinja2, gives the prompts that the trainer gave."""
    template = chat.compiled(source)
    for row in rows:
        shown = template.render(messages=[{"role": "user", "content": row["user"]}], add_generation_prompt=True, reasoning_effort=row["effort"])
        assert shown == row["prompt"], row["user"]


def main():
    meta, weights = read(sys.argv[1])
    rows = json.load(open(sys.argv[2], encoding="utf-8"))
    check_template(meta["tokenizer.chat_template"], rows)
    worst = 0.0
    for row in rows:
        logits = forward(meta, weights, np.array(row["prompt_ids"] + row["greedy_ids"][:-1]))
        first = len(row["prompt_ids"]) - 1
        for token, value in row["top5"]:
            worst = max(worst, abs(logits[first][token] - value))
        assert list(logits[first:].argmax(-1)) == row["greedy_ids"], row["user"]
    assert worst < 2e-3, worst
    print(f"template, greedy tokens and logits agree; largest difference of a logit {worst:.1e}")


if __name__ == "__main__":
    main()
