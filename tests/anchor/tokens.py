"""tokens.py - texts that tokenizers get wrong, and the vocabularies to try them on. See tokens."""
import json
import pathlib
import random
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
from gguf_out import Gguf  # noqa: E402

# --- texts ------------------------------------------------------------------------------------------------------

BLANKS = " \t\n\r\v\f\x1c\x1f\x85\xa0\u1680\u180e\u2000\u2003\u200a\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
SCRIPTS = [  # first and last letter
    (0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x5D0, 0x5EA), (0x620, 0x64A),
    (0x904, 0x939), (0x985, 0x9B9), (0xE01, 0xE2E), (0x10A0, 0x10FF), (0x1E00, 0x1EFF), (0x3041, 0x3096), (0x30A1, 0x30FA),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFF21, 0xFF5A), (0x10400, 0x1044F), (0x1D400, 0x1D7CB),
    (0x20000, 0x2A6DF), (0x1E900, 0x1E943),
]
MARKS = "\u0300\u0301\u0308\u0327\u0483\u05b0\u064b\u093e\u094d\u0e31\u0e49\u20dd\u20e3\u3099\ufe0f\U0001d165"
DIGITS = ["0123456789", "\u0660\u0661\u0662\u0663", "\u0966\u0967\u0968", "\uff10\uff11\uff12", "\xb2\xb3\xb9", "\xbd\xbe",
          "\u2160\u2161\u2169", "\u3007\u3021", "\u2460\u2461", "\U0001d7ce\U0001d7cf"]
EMOJI = ["\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f3f3\ufe0f\u200d\U0001f308", "\U0001f1e8\U0001f1ed",
         "\U0001f44d\U0001f3fd", "1\ufe0f\u20e3", "\u2764\ufe0f", "\U0001f9d1\u200d\U0001f680", "\u00a9", "\u2122"]
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\xa1\xa7\xab\xbb\xbf\u2013\u2014\u2018\u2019\u201c\u2026\u20ac\u2192\u2200\u3001\u3002\u300c\uff01\uff0c"
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'T", "'RE", "'Ve", "'M", "'lL", "'D", "'x", "''s", "\u2019s", "'"]
CODE = ["def f(x):\n    return x + 1\n", "for (int i = 0; i < n; ++i) {\n\t\ta[i] *= 2;\n\t}\n", "#include <stdio.h>\r\n", "// TODO: 100%\n",
        "SELECT * FROM t WHERE a='b' AND c>=10;", "https://example.org/a?b=c&d=%20#e", "x = {\"key\": [1, 2.5e-3, null]}", "if(!a&&b||c)->d::e",
        "camelCaseWord", "SCREAMING_SNAKE", "XMLHttpRequest2", "a/b/c\n/d", "\\frac{1}{2}\n\n", "<b>bold</b>", "    \n        \n"]
WORDS = ["the", "Hello", "world", "I", "we", "don", "can", "thinking", "Zürich", "naïve", "STRASSE", "ǅ", "ﬁ", "İstanbul", "ß", "ſ", "K"]


def letters(r):
    low, high = r.choice(SCRIPTS)
    return "".join(chr(r.randint(low, high)) for _ in range(r.randint(1, 6)))


def numbers(r):
    return "".join(r.choice(r.choice(DIGITS[:1] * 6 + DIGITS)) for _ in range(r.randint(1, 12)))


def blanks(r):
    kinds = [" ", " ", " \n", "\n", "\t ", "\r\n", BLANKS]
    return "".join(r.choice(r.choice(kinds)) for _ in range(r.choice([1, 1, 1, 2, 2, 3, 4, 5, 8, 17, 40])))


def marked(r):
    return "".join(c + r.choice(MARKS) * r.choice([0, 1, 1, 2]) for c in letters(r))


def anything(r):
    out = []
    for _ in range(r.randint(1, 8)):
        high = r.choice([0x7F, 0x2FF, 0xFFFF, 0x1FFFF, 0x10FFFF])
        c = r.randint(1, high)
        out.append(chr(c) if not 0xD800 <= c < 0xE000 else "\ufffd")
    return "".join(out)


PIECES = [letters, letters, letters, numbers, blanks, blanks, blanks, marked, anything,
          lambda r: r.choice(EMOJI), lambda r: r.choice(PUNCTUATION) * r.choice([1, 1, 1, 2, 3, 9]),
          lambda r: r.choice(CONTRACTIONS), lambda r: r.choice(CODE), lambda r: r.choice(WORDS), lambda r: r.choice(WORDS),
          lambda r: r.choice(WORDS) + r.choice(CONTRACTIONS), lambda r: " " + r.choice(WORDS), lambda r: " " + numbers(r)]


def texts(n, seed, specials=()):
    """n texts; specials are spellings of tokens to strew in."""
    r = random.Random(seed)
    out = ["", " ", "\n", "a", " a", "  a", "a ", "a  ", "\n\n", " \n", "\n a", "\t", "'s", "1", "1234567"]
    out += [a + b for a in BLANKS for b in ("x", "1", "!", "")]
    while len(out) < n:
        text = "".join(r.choice(PIECES)(r) for _ in range(r.randint(1, 10)))
        if specials:
            for _ in range(r.randint(1, 4)):
                at = r.randint(0, len(text))
                text = text[:at] + r.choice(specials) + text[at:]
        out.append(text)
    return out[:n]


def pack(texts_):
    return b"".join(struct.pack("<I", len(b)) + b for b in (t.encode() for t in texts_))


# --- vocabularies ------------------------------------------------------------------------------------------------

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6


def begin(name):
    """The keys that llama.cpp wants of any model."""
    g = Gguf()
    g.key("general.architecture", "str", "llama")
    g.key("general.name", "str", name)
    for key, v in [("context_length", 512), ("embedding_length", 64), ("block_count", 1), ("feed_forward_length", 64),
                   ("attention.head_count", 1), ("rope.dimension_count", 64)]:
        g.key("llama." + key, "u32", v)
    g.key("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5)
    return g


def finish(g, path, tokens, types, scores=None, merges=None, **flags):
    g.key("tokenizer.ggml.tokens", "[str]", tokens)
    g.key("tokenizer.ggml.token_type", "[i32]", types)
    if scores:
        g.key("tokenizer.ggml.scores", "[f32]", scores)
    if merges:
        g.key("tokenizer.ggml.merges", "[str]", merges)
    for key, v in flags.items():
        g.key("tokenizer.ggml." + key, "bool" if isinstance(v, bool) else "u32", v)
    g.write(path)


BPE_SPECIALS = [("<|endoftext|>", CONTROL), ("<|im_start|>", CONTROL), ("<|im_end|>", CONTROL), ("<think>", USER_DEFINED),
                ("</think>", USER_DEFINED), ("<tool_call>", USER_DEFINED), ("[INST]", CONTROL), ("<|im", CONTROL)]


def write_bpe(path, pre, encoder, vocab_bpe):
    """A large byte-level vocabulary (Llama 3.2's) under any family's pre-tokenizer."""
    by_id = sorted(json.loads(pathlib.Path(encoder).read_text()).items(), key=lambda item: item[1])
    tokens = [token for token, _ in by_id]
    merges = [line for line in pathlib.Path(vocab_bpe).read_text().split("\n") if line and not line.startswith("#version")]
    g = begin("bpe")
    g.key("tokenizer.ggml.model", "str", "gpt2")
    g.key("tokenizer.ggml.pre", "str", pre)
    types = [NORMAL] * len(tokens) + [kind for _, kind in BPE_SPECIALS]
    finish(g, path, tokens + [text for text, _ in BPE_SPECIALS], types, merges=merges, bos_token_id=len(tokens),
           eos_token_id=len(tokens))


def read_spm(path):
    """tokenizer.model of SentencePiece: field 1 of the protocol buffer is a piece of text 1, score 2, type 3."""
    data, at, pieces = pathlib.Path(path).read_bytes(), 0, []

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def field():
        nonlocal at
        tag = varint()
        kind = tag & 7
        if kind == 0:
            return tag >> 3, varint()
        size = varint() if kind == 2 else {1: 8, 5: 4}[kind]
        at += size
        return tag >> 3, data[at - size:at]

    while at < len(data):
        number, value = field()
        if number != 1 or not isinstance(value, bytes):
            continue
        end, piece = at, {1: b"", 2: b"\0\0\0\0", 3: NORMAL}
        at -= len(value)
        while at < end:
            inner, v = field()
            piece[inner] = v
        pieces.append((piece[1].decode(), struct.unpack("<f", piece[2])[0], piece[3]))
    return pieces


GEMMA_WORDS = ["\n" * n for n in range(2, 32)] + [" " * n for n in range(2, 32)] + ["<table>", "<b>", "</b>", "<h1>", "</code>"]
PHI3_SPECIALS = ["<|endoftext|>", "<|assistant|>", "<|placeholder1|>", "<|placeholder2|>", "<|end|>", "<|system|>", "<|user|>"]
MISTRAL_SPECIALS = ["[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]"]


def write_spm(path, model, family):
    """Llama 2's pieces, arranged as another family that uses SentencePiece has its own."""
    pieces = read_spm(model)
    tokens, scores, types = [p[0] for p in pieces], [p[1] for p in pieces], [p[2] for p in pieces]
    added, kind, prefix = {"llama2": ([], CONTROL, True), "mistral": (MISTRAL_SPECIALS, CONTROL, True),
                           "mistral-v3": (MISTRAL_SPECIALS, CONTROL, False), "gemma": (GEMMA_WORDS, USER_DEFINED, False),
                           "phi3": (PHI3_SPECIALS, CONTROL, False)}[family]
    g = begin(family)
    g.key("tokenizer.ggml.model", "str", "llama")
    g.key("tokenizer.ggml.pre", "str", "default")
    finish(g, path, tokens + added, types + [kind] * len(added), scores + [-1000.0] * len(added), bos_token_id=1,
           eos_token_id=2, unknown_token_id=0, add_space_prefix=prefix)
