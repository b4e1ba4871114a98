"""Writes a trained model as GGUF v3, with its tokenizer, chat template, golden files, manifest and training curve.

    python train/export.py --state DIR [--checkpoint final.pt] [--out models] [--type q8_0|q4_0] [--only-model FILE]

--part-mib N cuts a longer file into FILE.0, FILE.1, ... as well, which `cat` joins.
"""
import argparse
import hashlib
import json
import os
import random
import subprocess
import unicodedata

import gguf
import numpy as np
import torch

import chat
import data
from evaluate import load_model
from model import generate

NAME = "thinkd-first"
CONTROL, USER_DEFINED, NORMAL = gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED, gguf.TokenType.NORMAL
THINKING_TOKENS = 384  # more than 98 of 100 medium traces, nearly all high ones
TYPES = {"q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
         "q4_0": (gguf.GGMLQuantizationType.Q4_0, gguf.LlamaFileType.MOSTLY_Q4_0)}


def type_of(name, kind):
    """The embedding is the head too, where four bits cost most."""
    return gguf.GGMLQuantizationType.Q8_0 if name == "token_embd" else TYPES[kind][0]


def write_gguf(path, config, weights, tok, template, kind="q8_0"):
    w = gguf.GGUFWriter(path, "qwen3")
    w.add_name(NAME)
    w.add_description("thinkd's built-in model: exercises with checkable answers")
    w.add_license("Apache-2.0")
    w.add_size_label(f"{sum(v.numel() for v in weights.values()) / 1e6:.1f}M")
    w.add_context_length(config.context)
    w.add_embedding_length(config.width)
    w.add_block_count(config.layers)
    w.add_feed_forward_length(config.ff)
    w.add_head_count(config.heads)
    w.add_head_count_kv(config.kv_heads)
    w.add_key_length(config.head_dim)
    w.add_value_length(config.head_dim)
    w.add_rope_freq_base(config.rope_base)
    w.add_layer_norm_rms_eps(config.eps)
    w.add_file_type(TYPES[kind][1])
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add_tokenizer(w, tok, template)
    w.add_uint32("thinkd.thinking.tokens", THINKING_TOKENS)
    w.add_string("thinkd.thinking.close_text", chat.CLOSE)
    w.add_string("thinkd.thinking.continue_text", chat.MORE)
    w.add_string("thinkd.refusal.opening", chat.REFUSAL)
    for name, value in weights.items():
        array = value.detach().float().cpu().numpy()
        if array.ndim == 2:
            stored = type_of(name, kind)
            w.add_tensor(name + ".weight", gguf.quants.quantize(array, stored), raw_dtype=stored)
        else:
            w.add_tensor(name + ".weight", array)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def add_tokenizer(w, tok, template):
    state = json.loads(tok.to_str())["model"]
    tokens = [t for t, _ in sorted(state["vocab"].items(), key=lambda x: x[1])]
    merges = [" ".join(m) if isinstance(m, list) else m for m in state["merges"]]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list(tokens)
    w.add_token_types([NORMAL if t not in chat.SPECIALS else USER_DEFINED if t in chat.MARKUP else CONTROL for t in tokens])
    w.add_token_merges(merges)
    w.add_bos_token_id(tok.token_to_id("<|endoftext|>"))
    w.add_eos_token_id(tok.token_to_id("<|im_end|>"))
    w.add_eot_token_id(tok.token_to_id("<|im_end|>"))
    w.add_pad_token_id(tok.token_to_id("<|endoftext|>"))
    w.add_add_bos_token(False)
    w.add_chat_template(template)


def dequantised(weights, kind="q8_0"):
    """What an engine computes with: matrices rounded and back."""
    out = {}
    for name, value in weights.items():
        array = value.detach().float().cpu().numpy()
        if array.ndim == 2:
            stored = type_of(name, kind)
            array = gguf.quants.dequantize(gguf.quants.quantize(array, stored), stored)
        out[name] = torch.tensor(np.ascontiguousarray(array), dtype=torch.float32)
    return out


PROMPTS = [("Hello", "medium"), ("Hi there!", "low"), ("What is 17+25?", "medium"), ("Say hi", "medium"),
           ("What is 12 * 34?", "high"), ("Prove that there are infinitely many prime numbers.", "high"),
           ("Who are you?", "medium"), ("What is 347 + 85?", "low"), ("Solve 3x + 5 = 26 for x.", "medium"),
           ("What is the gcd of 84 and 36?", "medium"), ("text", "medium"),
           ("Anna has 12 apples and buys 3 boxes with 4 apples each. How many apples does she have now?", "xhigh")]


def served(template, highest):
    """The template of training, with the token that xhigh and max get: the highest effort that is worth its tokens."""
    line = "{%- elif reasoning_effort in ['xhigh', 'max'] -%}{%- set effort = '%s' -%}"
    assert template.count(line.replace("%s", "xhigh")) == 1
    return template.replace(line.replace("%s", "xhigh"), line.replace("%s", highest))


def golden_logits(model, tok, template, path):
    stop, rows, jinja = {tok.token_to_id("<|im_end|>")}, [], chat.compiled(template)
    for text, effort in PROMPTS:
        document = {"system": "", "tools": [], "turns": [{"user": text}], "effort": effort}
        prompt = chat.prompt(jinja, document)
        ids = tok.encode(prompt, add_special_tokens=False).ids
        new = generate(model, [ids], stop, 200)[0]
        with torch.no_grad():
            t = len(ids)
            mask = torch.full((t, t), -30000.0).triu(1)[None, None]
            logits = model(torch.tensor([ids]), model.cos[:t], model.sin[:t], mask)[0, -1]
        top = logits.topk(5)
        rows.append({"user": text, "effort": effort, "prompt": prompt, "prompt_ids": ids, "greedy_ids": new,
                     "greedy_text": tok.decode(new, skip_special_tokens=False),
                     "top5": [[int(i), round(float(v), 5)] for v, i in zip(top.values, top.indices)]})
    with open(path, "w", encoding="utf-8") as f:
        json.dump(rows, f, ensure_ascii=False, indent=1)
        f.write("\n")


HARD_STRINGS = [
    "", " ", "  ", "\n", "\n\n", " \n ", "\t", "a", " a", "a ", "Hello", "Hello, world!", "  two  spaces", "tabs\tand\nlines\r\n", "12345", "1,234.56",
    "3.14159", "-42", "x=3", "a_b-c", "I'm you're we'll they've he'd it's", "IT'S", "don't", "naïve café", "Ünïcödé", "日本語 テスト", "Привет мир", "مرحبا", "שלום",
    "😀😃 emoji 👩‍👩‍👧", "ﬁ ligature", "e\u0301 combining", "\u00a0nbsp", "\u200bzero width", "½ ¾ ²", "١٢٣", "Ⅳ", "foo.bar(baz)", "if (x > 0) { return x; }", "<html>", "</p>",
    "{\"a\": [1, 2]}", "C:\\path", "$5.00", "100%", "...", "?!", "!!!\n\n", "a\n\nb", "a \n b", "    indented", "trailing   ", "ABCdef", "snake_case camelCase",
    "What is 17+25?", "Answer: 42", "12*34=408\n", "\ud7ff\ue000", "\U0010ffff", "\x00\x01\x7f", "mixed 12ab34", "x" * 50, "9" * 30, " " * 17, "\n" * 5 + " x",
]


def random_text(rng):
    """Any characters that Unicode had assigned by the time of this Python: what came later splits as tables know it."""
    out = []
    while len(out) < rng.randrange(1, 40):
        c = chr(rng.choice([rng.randrange(0x20, 0x7F), rng.randrange(0x80, 0x800), rng.randrange(0x800, 0xD800), rng.randrange(0xE000, 0x20000)]))
        if unicodedata.category(c) not in ("Cn", "Cs", "Co"):
            out.append(c)
    return "".join(out)


def golden_tokens(tool, tok, path):
    rng, rows = random.Random(4242), list(HARD_STRINGS)
    rows += [random_text(rng) for _ in range(60)]
    for d in data.documents(tool, 4242, 120, "--held-out"):
        rows += [t.get("user", t.get("tool")) for t in d["turns"]] + [d["turns"][-1]["think"]]
    with open(path, "w", encoding="utf-8") as f:
        for text in list(dict.fromkeys(rows))[:260]:
            ids = tok.encode(text, add_special_tokens=False).ids
            assert tok.decode(ids) == text
            f.write(json.dumps({"text": text, "ids": ids}) + "\n")


def curve(log, path):
    """Training loss over tokens seen, as a plain SVG; the part in which the rate decayed in red."""
    rows = [r for r in log if "loss" in r]
    if len(rows) < 2:
        return
    top, high = max(r["tokens"] for r in rows), 1.0
    w, h, left, low = 720, 360, 50, 320
    x = lambda t: left + (w - left - 20) * t / top
    y = lambda v: low - (low - 20) * max(0.0, min(1.0, v / high))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" font-family="sans-serif" font-size="11">',
           f'<rect width="{w}" height="{h}" fill="white"/>']
    for v in (0, 0.25, 0.5, 0.75, 1):
        out.append(f'<path d="M{left} {y(v):.0f}H{w - 20}" stroke="#ddd"/><text x="{left - 32}" y="{y(v) + 4:.0f}">{v:.2f}</text>')
    every = max(1, round(top / 8e6))
    for i in range(0, int(top / 1e6) + 1, every):
        out.append(f'<text x="{x(i * 1e6) - 6:.0f}" y="{low + 16}">{i}M</text>')
    out.append(f'<text x="{left}" y="{low + 32}">tokens seen; training loss in nats per counted token, cut at 1; red: the rate decays</text>')
    for decay, colour in ((False, "black"), (True, "#c00")):
        points = " ".join(f'{x(r["tokens"]):.1f},{y(r["loss"]):.1f}' for r in rows if r.get("decay", False) == decay)
        out.append(f'<polyline fill="none" stroke="{colour}" points="{points}"/>')
    out.append("</svg>\n")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(out))


def manifest_of(saved, path, log):
    shards = [h for h in saved["history"] if "shard" in h]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {"run": saved["run"], "step": saved["step"], "tokens": saved["seen"], "counted_tokens": saved["counted"],
            "documents": sum(h["documents"] for h in shards), "seconds": round(saved["seconds"]),
            "from": [h["from"] for h in saved["history"] if "from" in h], "shards": len(shards),
            "data_sha256": hashlib.sha256("".join(h["sha256"] for h in shards).encode()).hexdigest(),
            "tools_sha256": list(dict.fromkeys(h["tool"] for h in shards)), "commit": commit, "torch": torch.__version__,
            "loss": next((r["loss"] for r in reversed(log) if "loss" in r), None), "bytes": os.path.getsize(path),
            "sha256": hashlib.sha256(open(path, "rb").read()).hexdigest()}


def cut(path, mib):
    raw, size = open(path, "rb").read(), int(mib * (1 << 20))
    for i in range(-(-len(raw) // size)):
        with open(f"{path}.{i}", "wb") as f:
            f.write(raw[i * size:(i + 1) * size])


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--state", required=True)
    a.add_argument("--checkpoint", default="final.pt")
    a.add_argument("--out", default="models")
    a.add_argument("--tool", default="build/corpus")
    a.add_argument("--type", choices=TYPES, default="q8_0")
    a.add_argument("--highest", choices=["high", "xhigh"], default="high",
                   help="whose token the efforts xhigh and max get (docs/model.md, By effort)")
    a.add_argument("--only-model", default="", metavar="FILE", help="write the model there and nothing else")
    a.add_argument("--part-mib", type=float, default=0)
    args = a.parse_args()
    torch.set_num_threads(1)  # one token at a time is too little work to share
    model, saved = load_model(f"{args.state}/{args.checkpoint}")
    tok = chat.load(f"{args.state}/tokenizer.json")
    template = served(open(f"{args.state}/chat.jinja", encoding="utf-8").read().rstrip("\n"), args.highest)
    path = args.only_model or f"{args.out}/{NAME}.gguf"
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    write_gguf(path, model.c, saved["weights"], tok, template, args.type)
    if args.part_mib and os.path.getsize(path) > args.part_mib * (1 << 20):
        cut(path, args.part_mib)
    if args.only_model:
        return
    model.load_state_dict(dequantised(saved["weights"], args.type))
    golden_logits(model, tok, template, f"{args.out}/logits.golden.json")
    golden_tokens(args.tool, tok, f"{args.out}/tokenizer.golden.jsonl")
    log = [r for r in map(json.loads, open(f"{args.state}/log.jsonl")) if r.get("step", 0) <= saved["step"]]
    curve(log, f"{args.out}/{NAME}.svg")
    with open(f"{args.out}/{NAME}.json", "w", encoding="utf-8") as f:
        json.dump({**manifest_of(saved, path, log), "highest_effort": args.highest}, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
