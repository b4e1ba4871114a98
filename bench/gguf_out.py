"""gguf_out.py - writes GGUF v3 files with random weights, with nothing but the standard library.

For measurements, which depend on shapes and formats alone, and for comparisons with a peer, which need every
architecture's true keys and tensor names. Values are drawn once for each type and spread, and tiled over the tensors
at ever-changing places: a file of a gigabyte takes seconds, and no two rows are alike.

Quantised types are written as random *valid* blocks: codes are uniform over their range, and the scales are set so
that a weight's standard deviation is the one that was asked for. Layouts: ggml-common.h of GGUF's authors.
"""
import array
import math
import random
import struct

ALIGNMENT = 32
TILE_BLOCKS = 4099  # prime: tiled rows never line up


def half(x):
    return struct.pack("<e", x)


# --- one random block of a type; sigma is the spread of its weights ---------------------------------------------

def block_q8_0(r, sigma):
    return half(sigma / 73.9) + r.randbytes(32)  # 73.9: spread of a uniform int8


def block_q4_0(r, sigma):
    return half(sigma / 4.64) + r.randbytes(16)  # of 0 .. 15


def block_q4_k(r, sigma):
    """Eight 6-bit scales and minima, packed in 12 bytes, under two halves: w = d sc q - dmin m."""
    d = sigma / (4.64 * 36)  # 36: root mean square of 0 .. 63
    return half(d) + half(7.5 * d) + r.randbytes(12) + r.randbytes(128)


def block_q6_k(r, sigma):
    """4 low bits, 2 high bits, 16 int8 scales, one half: w = d sc (q - 32)."""
    return r.randbytes(128) + r.randbytes(64) + r.randbytes(16) + half(sigma / (18.5 * 73.9))


#        GGUF's number, weights and bytes of a block, how to draw one (None: floats)
TYPES = {
    "F32": (0, 1, 4, None),
    "F16": (1, 1, 2, None),
    "Q8_0": (8, 32, 34, block_q8_0),
    "Q4_0": (2, 32, 18, block_q4_0),
    "Q4_K": (12, 256, 144, block_q4_k),
    "Q6_K": (14, 256, 210, block_q6_k),
}


def tile(kind, sigma, seed):
    r = random.Random(seed)
    draw = TYPES[kind][3]
    if draw:
        return b"".join(draw(r, sigma) for _ in range(TILE_BLOCKS))
    values = [r.gauss(0, sigma) for _ in range(TILE_BLOCKS * 17)]
    return struct.pack("<%d%s" % (len(values), "e" if kind == "F16" else "f"), *values)


# --- keys ---------------------------------------------------------------------------------------------------

def text(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def value(kind, v):
    """kind: u32, f32, bool, str, or one of them in brackets for an array."""
    if kind.startswith("["):
        number = {"[str]": 8, "[i32]": 5, "[f32]": 6, "[bool]": 7}[kind]
        items = {"[str]": lambda: b"".join(map(text, v)), "[i32]": lambda: array.array("i", v).tobytes(),
                 "[f32]": lambda: array.array("f", v).tobytes(), "[bool]": lambda: bytes(v)}[kind]()
        return struct.pack("<IIQ", 9, number, len(v)) + items
    if kind == "str":
        return struct.pack("<I", 8) + text(v)
    return {"u32": lambda: struct.pack("<II", 4, v), "f32": lambda: struct.pack("<If", 6, v),
            "bool": lambda: struct.pack("<IB", 7, v)}[kind]()


class Gguf:
    """Put keys and tensors in, then write. seed: same seed, same bytes."""

    def __init__(self, seed=1):
        self.keys, self.tensors, self.tiles, self.seed = [], [], {}, seed

    def key(self, name, kind, v):
        self.keys.append(text(name) + value(kind, v))

    def tensor(self, name, dims, kind, sigma=0.0, fixed=None):
        """dims[0] is the row length. fixed: bytes as they stand, instead of random values of that spread."""
        _, block, size, _ = TYPES[kind]
        if dims[0] % block:
            raise ValueError(f"{name}: rows of {dims[0]} are no multiple of {kind}'s {block}")
        length = math.prod(dims) // block * size
        if fixed is not None and len(fixed) != length:
            raise ValueError(f"{name}: {len(fixed)} bytes instead of {length}")
        self.tensors.append((name, dims, kind, sigma, fixed, length))

    def floats(self, name, values):
        self.tensor(name, (len(values),), "F32", fixed=array.array("f", values).tobytes())

    def random_bytes(self, kind, sigma, length, index):
        if (kind, sigma) not in self.tiles:
            self.tiles[kind, sigma] = tile(kind, sigma, self.seed)
        source, size = self.tiles[kind, sigma], TYPES[kind][2]
        at = index * 7919 * size % len(source)
        while length > 0:
            part = source[at:at + length]
            yield part
            length -= len(part)
            at = 0

    def write(self, path):
        offset, infos = 0, []
        for name, dims, kind, _, _, length in self.tensors:
            infos.append(text(name) + struct.pack("<I", len(dims)) + struct.pack("<%dQ" % len(dims), *dims) +
                         struct.pack("<IQ", TYPES[kind][0], offset))
            offset += -(-length // ALIGNMENT) * ALIGNMENT
        with open(path, "wb") as f:
            f.write(b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.keys)))
            f.writelines(self.keys)
            f.writelines(infos)
            f.write(bytes(-f.tell() % ALIGNMENT))
            for i, (_, _, kind, sigma, fixed, length) in enumerate(self.tensors):
                f.writelines([fixed] if fixed is not None else self.random_bytes(kind, sigma, length, i))
                f.write(bytes(-length % ALIGNMENT))


# --- a vocabulary ---------------------------------------------------------------------------------------------

CONTROL, USER_DEFINED = 3, 4
SPECIAL = [("<|endoftext|>", CONTROL), ("<|im_start|>", CONTROL), ("<|im_end|>", CONTROL),
           ("<think>", USER_DEFINED), ("</think>", USER_DEFINED)]


def byte_letters():
    """GPT-2's spelling of the 256 bytes: those that print stand for themselves, the rest begin at U+0100."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in shown]
    letters = {b: chr(b) for b in shown}
    letters.update({b: chr(256 + i) for i, b in enumerate(rest)})
    return letters


def vocabulary(g, size, template):
    """size tokens of byte-level BPE: the bytes, words that merges build letter by letter, the special ones last."""
    letters = byte_letters()
    tokens = [letters[b] for b in range(256)]
    known, merges, front = set(tokens), [], [letters[0x20], *"etaoinshrdlucmfwypvbgkqjxz"]
    while len(tokens) < size - len(SPECIAL):
        longer = []
        for left in front:
            for right in "etaoinshrdlucmfwypvbgkqjxz":
                if len(tokens) < size - len(SPECIAL) and left + right not in known:
                    known.add(left + right)
                    tokens.append(left + right)
                    merges.append(left + " " + right)
                    longer.append(left + right)
        front = longer
    first = len(tokens)
    g.key("tokenizer.ggml.model", "str", "gpt2")
    g.key("tokenizer.ggml.pre", "str", "qwen2")
    g.key("tokenizer.ggml.tokens", "[str]", tokens + [name for name, _ in SPECIAL])
    g.key("tokenizer.ggml.token_type", "[i32]", [1] * first + [kind for _, kind in SPECIAL])
    g.key("tokenizer.ggml.merges", "[str]", merges)
    g.key("tokenizer.ggml.bos_token_id", "u32", first)
    g.key("tokenizer.ggml.eos_token_id", "u32", first + 2)
    g.key("tokenizer.ggml.padding_token_id", "u32", first)
    g.key("tokenizer.ggml.add_bos_token", "bool", False)
    if template:
        g.key("tokenizer.chat_template", "str", template)
