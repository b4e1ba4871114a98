"""floor.py - the least time that a piece of work can take on a machine with the measured peaks.

A step over B rows reads every weight once and does two operations for each weight and row; whichever takes longer at the
machine's peak counts. Attention reads keys and values once - those of a shared prefix once for all branches - and does
four operations for each query head, key and dimension. Norms, sampling and waiting are left out: no program reaches this.

Weights are read at the rate at which exactly that many bytes can be read again and again (`peaks --bytes`), so a small
model in a cache has a cache's floor. Products run at the 8-bit peak, attention at the FP32 peak; keys and values are
halves. A model's numbers are read from its GGUF file.
"""
import math
import struct
from typing import NamedTuple

SIMPLE = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
BLOCKS = {0: (1, 4), 1: (1, 2), 30: (1, 2), 8: (32, 34), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24),
          10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 20: (32, 18),
          23: (256, 136), 39: (32, 17)}  # GGUF's number: weights, bytes


class Reader:
    def __init__(self, f):
        self.f = f

    def number(self, form):
        return struct.unpack(form, self.f.read(struct.calcsize(form)))[0]

    def text(self):
        return self.f.read(self.number("<Q")).decode(errors="replace")

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind != 9:
            return self.number(SIMPLE[kind])
        item, count = self.number("<I"), self.number("<Q")
        if item in SIMPLE:
            self.f.seek(count * struct.calcsize(SIMPLE[item]), 1)
        else:
            for _ in range(count):
                self.value(item)
        return count


class Model(NamedTuple):
    layers: int
    heads: int
    kv_heads: int
    head: int
    weights: int       # that a step multiplies with: all matrices; a tied embedding once, as the head
    weight_bytes: int
    head_weights: int  # of them, those that only rows with logits meet
    kv_bytes: int      # of one token, halves


def model_of(path):
    with open(path, "rb") as f:
        f.seek(8)
        r = Reader(f)
        n_tensors, n_keys = r.number("<Q"), r.number("<Q")
        keys = {}
        for _ in range(n_keys):
            name = r.text()
            keys[name] = r.value(r.number("<I"))
        tensors = {}
        for _ in range(n_tensors):
            name = r.text()
            dims = [r.number("<Q") for _ in range(r.number("<I"))]
            kind = r.number("<I")
            r.number("<Q")
            tensors[name] = math.prod(dims), math.prod(dims) // BLOCKS[kind][0] * BLOCKS[kind][1], len(dims)
    arch = keys["general.architecture"]
    heads, layers = keys[f"{arch}.attention.head_count"], keys[f"{arch}.block_count"]
    kv_heads = keys.get(f"{arch}.attention.head_count_kv", heads)
    head = keys.get(f"{arch}.attention.key_length", keys[f"{arch}.embedding_length"] // heads)
    last = "output.weight" if "output.weight" in tensors else "token_embd.weight"
    if last == "output.weight":
        del tensors["token_embd.weight"]  # only looked up
    matrices = [t for t in tensors.values() if t[2] > 1]
    return Model(layers, heads, kv_heads, head, sum(t[0] for t in matrices), sum(t[1] for t in matrices),
                 tensors[last][0], layers * 2 * kv_heads * head * 2)


class Floor(NamedTuple):
    seconds: float
    why: str


def step(m, peaks, rows, kv_tokens, pairs, head_rows):
    """rows through all layers and head_rows of them through the head, kv_tokens read, pairs of a query row and a key."""
    read = m.weight_bytes / (peaks["sized_gb_s"] * 1e9)
    multiply = 2 * (m.weights * rows - m.head_weights * (rows - head_rows)) / (peaks["int8_gop_s"] * 1e9) if peaks["int8_gop_s"] else 0.0
    kv = m.kv_bytes * kv_tokens / (peaks["dram_gb_s"] * 1e9)
    attend = 4.0 * pairs * m.heads * m.head * m.layers / (peaks["fma_gflop_s"] * 1e9)
    seconds = max(read, multiply) + max(kv, attend)
    return Floor(seconds, f"weights read {read * 1e3:.2f} ms or multiplied {multiply * 1e3:.2f} ms, keys and values read "
                 f"{kv * 1e3:.2f} ms or attended {attend * 1e3:.2f} ms")


def decode(m, peaks, branches, prefix, new):
    """The step in the middle of the generation."""
    own = new / 2
    return step(m, peaks, branches, prefix + branches * own, branches * (prefix + own), branches)


def prefill(m, peaks, tokens):
    return step(m, peaks, tokens, tokens, tokens * (tokens + 1) / 2, 1)
