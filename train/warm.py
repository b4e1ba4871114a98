"""Begins a run with the weights of a model file of the same width, whatever its vocabulary. A model of more layers computes the same at
first: the layers it has more of, one behind every so many of the file's, add nothing yet."""
import hashlib
import json

import gguf
import numpy as np
import torch


def embeddings(tokenizer, old_tokens, old, size):
    """A token that the file has keeps its row; one that was merged from two has their mean; the rest stay small."""
    state = json.load(open(tokenizer, encoding="utf-8"))["model"]
    index = {t: i for i, t in enumerate(old_tokens)}
    rows = {t: old[index[t]] for t in state["vocab"] if t in index}
    for left, right in (m if isinstance(m, list) else m.split(" ") for m in state["merges"]):
        if left + right not in rows and left in rows and right in rows:
            rows[left + right] = (rows[left] + rows[right]) / 2
    out = np.random.default_rng(1).normal(0, 0.02, (size, old.shape[1]))
    for t, i in state["vocab"].items():
        if t in rows:
            out[i] = rows[t]
    return out


def grown(found, layers):
    """The file's layers spread over so many; a new one is a copy of the one before it whose outputs are zero."""
    have = 1 + max(int(n.split(".")[1]) for n in found if n.startswith("blk."))
    out = {n: v for n, v in found.items() if not n.startswith("blk.")}
    before = -1
    for i in range(layers):
        source = i * have // layers
        for n, v in found.items():
            if n.startswith(f"blk.{source}."):
                silent = source == before and n.endswith(("attn_output", "ffn_down"))
                out[f"blk.{i}." + n.split(".", 2)[2]] = np.zeros_like(v) if silent else v
        before = source
    return out


def load(model, tokenizer, path):
    reader = gguf.GGUFReader(path)
    found = {t.name.removesuffix(".weight"): gguf.quants.dequantize(t.data, t.tensor_type) for t in reader.tensors}
    found["token_embd"] = embeddings(tokenizer, reader.fields["tokenizer.ggml.tokens"].contents(), found["token_embd"],
                                     model.token_embd.shape[0])
    found = grown(found, model.c.layers)
    model.load_state_dict({n: torch.tensor(np.ascontiguousarray(v), dtype=torch.float32) for n, v in found.items()})
    return {"from": hashlib.sha256(open(path, "rb").read()).hexdigest()}
