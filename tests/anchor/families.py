"""families.py - tiny models with random F32 weights, one for each architecture and each turn it can take.

Keys and tensors have the names that llama.cpp's converters write, so that it loads the files. Heads are 64 wide, rows
256 long (the K types need that), the vocabulary has 320 tokens: the files are a few megabytes.
"""
import array
import math
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
from gguf_out import Gguf, vocabulary  # noqa: E402

EMBD, HEADS, KV_HEADS, HEAD, FFN, VOCAB = 256, 4, 2, 64, 512, 320
EXPERTS, EXPERTS_USED, EXPERT_FFN = 8, 2, 256
CONTEXT_TRAINED = 4096


class Tiny:
    """One model being put together. Vectors (norms, biases) vary too: a norm that is skipped must be seen."""

    def __init__(self, arch, layers, seed):
        self.g, self.arch, self.layers, self.rng = Gguf(seed), arch, layers, random.Random(seed)
        self.g.key("general.architecture", "str", arch)
        self.g.key("general.name", "str", "tiny")  # llama.cpp looks for tokens by name where a name has "phi3" in it
        for name, kind, v in [
            ("block_count", "u32", layers), ("context_length", "u32", CONTEXT_TRAINED), ("embedding_length", "u32", EMBD),
            ("feed_forward_length", "u32", FFN), ("attention.head_count", "u32", HEADS),
            ("attention.head_count_kv", "u32", KV_HEADS), ("attention.layer_norm_rms_epsilon", "f32", 1e-5),
            ("vocab_size", "u32", VOCAB),
        ]:
            self.key(name, kind, v)

    def key(self, name, kind, v):
        self.g.key(f"{self.arch}.{name}", kind, v)

    def vector(self, name, n, mean, spread):
        self.g.floats(name, [self.rng.gauss(mean, spread) for _ in range(n)])

    def matrix(self, name, *dims):
        """Wider than a trained model's would start, so that attention and routing have something to choose."""
        self.g.tensor(name, dims, "F32", 1.5 * dims[0] ** -0.5)

    def norm(self, name, n=EMBD):
        self.vector(name + ".weight", n, 1.0, 0.2)

    def attention(self, b, biases=(), qk_norm=False):
        self.norm(b + "attn_norm")
        for name, rows in [("attn_q", HEADS * HEAD), ("attn_k", KV_HEADS * HEAD), ("attn_v", KV_HEADS * HEAD)]:
            self.matrix(f"{b}{name}.weight", EMBD, rows)
            if name in biases:
                self.vector(f"{b}{name}.bias", rows, 0, 0.3)
        self.matrix(b + "attn_output.weight", HEADS * HEAD, EMBD)
        if "attn_output" in biases:
            self.vector(b + "attn_output.bias", EMBD, 0, 0.3)
        if qk_norm:
            self.norm(b + "attn_q_norm", HEAD)
            self.norm(b + "attn_k_norm", HEAD)

    def gated(self, b):
        self.matrix(b + "ffn_gate.weight", EMBD, FFN)
        self.matrix(b + "ffn_up.weight", EMBD, FFN)
        self.matrix(b + "ffn_down.weight", FFN, EMBD)

    def experts(self, b, biases=False):
        self.matrix(b + "ffn_gate_inp.weight", EMBD, EXPERTS)
        self.matrix(b + "ffn_gate_exps.weight", EMBD, EXPERT_FFN, EXPERTS)
        self.matrix(b + "ffn_up_exps.weight", EMBD, EXPERT_FFN, EXPERTS)
        self.matrix(b + "ffn_down_exps.weight", EXPERT_FFN, EMBD, EXPERTS)
        if biases:
            self.vector(b + "ffn_gate_inp.bias", EXPERTS, 0, 0.3)
            for name, n in [("gate", EXPERT_FFN), ("up", EXPERT_FFN), ("down", EMBD)]:
                values = [self.rng.gauss(0, 0.3) for _ in range(n * EXPERTS)]
                self.g.tensor(f"{b}ffn_{name}_exps.bias", (n, EXPERTS), "F32", fixed=array.array("f", values).tobytes())

    def blocks(self):
        return [f"blk.{i}." for i in range(self.layers)]

    def ends(self, tied, embd_spread=1.5 * EMBD ** -0.5):
        self.g.tensor("token_embd.weight", (EMBD, VOCAB), "F32", embd_spread)
        self.norm("output_norm")
        if not tied:
            self.matrix("output.weight", EMBD, VOCAB)


# --- positions ---------------------------------------------------------------------------------------------------

def rope_none(t):
    t.key("rope.freq_base", "f32", 10000.0)


def rope_linear(t):
    rope_none(t)
    t.key("rope.scaling.type", "str", "linear")
    t.key("rope.scaling.factor", "f32", 4.0)


def rope_yarn(t):
    rope_none(t)
    t.key("rope.scaling.type", "str", "yarn")
    t.key("rope.scaling.factor", "f32", 8.0)
    t.key("rope.scaling.original_context_length", "u32", 64)


def rope_llama3(t):
    """Llama 3.1's smooth step from unscaled high frequencies to low ones divided by 8, written as divisors."""
    t.key("rope.freq_base", "f32", 500000.0)
    divisors = []
    for i in range(HEAD // 2):
        length = 2 * math.pi * 500000.0 ** (2 * i / HEAD)
        smooth = min(1.0, max(0.0, (64 / length - 1) / (4 - 1)))  # original context 64, low factor 1, high factor 4
        divisors.append(1 / (smooth + (1 - smooth) / 8))
    t.g.floats("rope_freqs.weight", divisors)


def rope_longrope(original):
    def put(t):
        rope_none(t)
        t.key("rope.scaling.original_context_length", "u32", original)
        t.key("rope.scaling.attn_factor", "f32", 1.19)
        t.g.floats("rope_factors_short.weight", [1 + i / 40 for i in range(HEAD // 2)])
        t.g.floats("rope_factors_long.weight", [1 + i / 4 for i in range(HEAD // 2)])
    return put


# --- architectures -----------------------------------------------------------------------------------------------

def llama(seed, rope=rope_none, tied=False):
    t = Tiny("llama", 2, seed)
    t.key("rope.dimension_count", "u32", HEAD)
    t.ends(tied)
    rope(t)
    for b in t.blocks():
        t.attention(b)
        t.norm(b + "ffn_norm")
        t.gated(b)
    return t


def qwen2(seed, rope=rope_none):
    t = Tiny("qwen2", 2, seed)
    t.ends(tied=True)
    rope(t)
    for b in t.blocks():
        t.attention(b, biases=("attn_q", "attn_k", "attn_v"))
        t.norm(b + "ffn_norm")
        t.gated(b)
    return t


def qwen3(seed, rope=rope_none):
    t = Tiny("qwen3", 2, seed)
    t.key("attention.key_length", "u32", HEAD)
    t.key("attention.value_length", "u32", HEAD)
    t.ends(tied=True)
    rope(t)
    for b in t.blocks():
        t.attention(b, qk_norm=True)
        t.norm(b + "ffn_norm")
        t.gated(b)
    return t


def routed(t):
    t.key("expert_count", "u32", EXPERTS)
    t.key("expert_used_count", "u32", EXPERTS_USED)
    t.key("expert_feed_forward_length", "u32", EXPERT_FFN)
    t.key("attention.key_length", "u32", HEAD)
    t.key("attention.value_length", "u32", HEAD)


def qwen3moe(seed, rope=rope_none):
    t = Tiny("qwen3moe", 2, seed)
    routed(t)
    t.ends(tied=False)
    rope(t)
    for b in t.blocks():
        t.attention(b, qk_norm=True)
        t.norm(b + "ffn_norm")
        t.experts(b)
    return t


def gemma3(seed, rope=rope_none, layers=7, softcap=0.0):
    """Five layers of six see a window only and turn with their own base; the sixth sees all."""
    t = Tiny("gemma3", layers, seed)
    t.key("attention.key_length", "u32", HEAD)
    t.key("attention.value_length", "u32", HEAD)
    t.key("attention.sliding_window", "u32", 32)
    if softcap:
        t.key("final_logit_softcapping", "f32", softcap)
    t.ends(tied=True, embd_spread=0.02)  # multiplied by sqrt(EMBD); any larger and the model repeats its last token
    rope(t)
    for b in t.blocks():
        t.attention(b, qk_norm=True)
        t.norm(b + "post_attention_norm")
        t.norm(b + "ffn_norm")
        t.gated(b)
        t.norm(b + "post_ffw_norm")
    return t


def phi3(seed, rope=rope_none):
    t = Tiny("phi3", 2, seed)
    t.key("rope.dimension_count", "u32", HEAD)
    t.ends(tied=False)
    rope(t)
    for b in t.blocks():
        t.norm(b + "attn_norm")
        t.matrix(b + "attn_qkv.weight", EMBD, (HEADS + 2 * KV_HEADS) * HEAD)
        t.matrix(b + "attn_output.weight", HEADS * HEAD, EMBD)
        t.norm(b + "ffn_norm")
        t.matrix(b + "ffn_up.weight", EMBD, 2 * FFN)
        t.matrix(b + "ffn_down.weight", FFN, EMBD)
    return t


def gpt_oss(seed, rope=rope_none):
    t = Tiny("gpt-oss", 4, seed)
    routed(t)
    t.key("attention.sliding_window", "u32", 32)
    t.ends(tied=False)
    rope(t)
    for b in t.blocks():
        t.attention(b, biases=("attn_q", "attn_k", "attn_v", "attn_output"))
        t.vector(b + "attn_sinks.weight", HEADS, 0, 1.0)
        t.norm(b + "post_attention_norm")
        t.experts(b, biases=True)
    return t


FAMILIES = {
    "llama": lambda: llama(1),
    "llama-tied": lambda: llama(2, tied=True),
    "llama-linear": lambda: llama(3, rope_linear),
    "llama-llama3": lambda: llama(4, rope_llama3),
    "llama-yarn": lambda: llama(5, rope_yarn),
    "qwen2": lambda: qwen2(6),
    "qwen2-yarn": lambda: qwen2(7, rope_yarn),
    "qwen3": lambda: qwen3(8),
    "qwen3-yarn": lambda: qwen3(9, rope_yarn),
    "qwen3moe": lambda: qwen3moe(10),
    "gemma3": lambda: gemma3(11),
    "gemma3-linear": lambda: gemma3(12, rope_linear),
    "gemma3-softcap": lambda: gemma3(13, softcap=4.0),
    "phi3": lambda: phi3(14),
    "phi3-longrope-short": lambda: phi3(15, rope_longrope(CONTEXT_TRAINED)),
    "phi3-longrope-long": lambda: phi3(16, rope_longrope(256)),
    "gpt-oss": lambda: gpt_oss(17),
    "gpt-oss-yarn": lambda: gpt_oss(18, rope_yarn),
}


def make(family, path):
    t = FAMILIES[family]()
    vocabulary(t.g, VOCAB, None)
    t.g.write(path)
