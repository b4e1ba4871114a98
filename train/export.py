"""Writes the trained model as GGUF v3, with its tokenizer, chat template, golden files, manifest and training curve.

    python train/export.py --run /tmp/run --out models
"""
import argparse
import hashlib
import json
import os

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer

import chat
import data
from model import Config, Model, greedy

NAME = "thinkd-first"
CONTROL, USER_DEFINED, NORMAL = gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED, gguf.TokenType.NORMAL
THINKING_TOKENS = 384  # more than 98 of 100 medium traces, nearly all high ones


def tensor_name(name):
    """token_embd and blk.N.attn_q are GGUF's own names; only the suffix is missing."""
    return name + ".weight"


def write_gguf(path, config, weights, tok):
    w = gguf.GGUFWriter(path, "qwen3")
    w.add_name(NAME)
    w.add_description("thinkd's first built-in model: arithmetic, linear equations, gcd, short word problems")
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
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add_tokenizer(w, tok)
    w.add_uint32("thinkd.thinking.tokens", THINKING_TOKENS)
    w.add_string("thinkd.thinking.close_text", chat.CLOSE)
    for name, value in weights.items():
        array = value.detach().float().numpy()
        if array.ndim == 2:
            packed = gguf.quants.quantize(array, gguf.GGMLQuantizationType.Q8_0)
            w.add_tensor(tensor_name(name), packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            w.add_tensor(tensor_name(name), array)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def add_tokenizer(w, tok):
    state = json.loads(tok.to_str())["model"]
    tokens = [t for t, _ in sorted(state["vocab"].items(), key=lambda x: x[1])]
    merges = [" ".join(m) if isinstance(m, list) else m for m in state["merges"]]
    types = [NORMAL if t not in chat.SPECIALS else USER_DEFINED if t in ("<think>", "</think>") else CONTROL for t in tokens]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list(tokens)
    w.add_token_types(types)
    w.add_token_merges(merges)
    w.add_bos_token_id(tok.token_to_id("<|endoftext|>"))
    w.add_eos_token_id(tok.token_to_id("<|im_end|>"))
    w.add_eot_token_id(tok.token_to_id("<|im_end|>"))
    w.add_pad_token_id(tok.token_to_id("<|endoftext|>"))
    w.add_add_bos_token(False)
    w.add_chat_template(chat.TEMPLATE)


def dequantised(weights):
    """What an engine computes with: matrices rounded to Q8_0 and back."""
    out = {}
    for name, value in weights.items():
        array = value.detach().float().numpy()
        if array.ndim == 2:
            q8 = gguf.GGMLQuantizationType.Q8_0
            array = gguf.quants.dequantize(gguf.quants.quantize(array, q8), q8)
        out[name] = torch.tensor(np.ascontiguousarray(array), dtype=torch.float32)
    return out


PROMPTS = [("Hello", "medium"), ("Hi there!", "low"), ("What is 17+25?", "medium"), ("Say hi", "medium"),
           ("What is 12 * 34?", "high"), ("Prove that there are infinitely many prime numbers.", "high"),
           ("Who are you?", "medium"), ("What is 347 + 85?", "low"), ("Solve 3x + 5 = 26 for x.", "medium"),
           ("What is the gcd of 84 and 36?", "medium"), ("text", "medium"),
           ("Anna has 12 apples and buys 3 boxes with 4 apples each. How many apples does she have now?", "xhigh")]


def golden_logits(model, tok, path):
    stop, rows = {tok.token_to_id("<|im_end|>")}, []
    for text, effort in PROMPTS:
        prompt = chat.render([("user", text)], effort)
        ids = tok.encode(prompt, add_special_tokens=False).ids
        new = greedy(model, [ids], stop, 200)[0]
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


def golden_tokens(tool, tok, path):
    _, docs = data.documents(tool, 4242, 120, "--held-out")
    rows = list(HARD_STRINGS)
    for d in docs:
        rows.append(d["turns"][-1]["user"])
        rows.append(d["turns"][-1]["think"])
    with open(path, "w", encoding="utf-8") as f:
        for text in list(dict.fromkeys(rows))[:200]:
            ids = tok.encode(text, add_special_tokens=False).ids
            assert tok.decode(ids) == text
            f.write(json.dumps({"text": text, "ids": ids}) + "\n")


def curve(log, path):
    """Loss and accuracy over tokens seen, as a plain SVG."""
    train = [r for r in log if "loss" in r]
    evals = [r for r in log if "accuracy" in r]
    if len(train) < 2:
        return
    top = max(r["tokens"] for r in log)
    w, h, left, low = 720, 360, 50, 320
    x = lambda t: left + (w - left - 120) * t / top
    y = lambda v: low - (low - 20) * max(0.0, min(1.0, v))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" font-family="sans-serif" font-size="11">',
           f'<rect width="{w}" height="{h}" fill="white"/>']
    for v in (0, 0.25, 0.5, 0.75, 1):
        out.append(f'<path d="M{left} {y(v):.0f}H{w - 120}" stroke="#ddd"/><text x="{left - 32}" y="{y(v) + 4:.0f}">{v:.2f}</text>')
    for i in range(0, int(top / 1e6) + 1, 5):
        out.append(f'<text x="{x(i * 1e6) - 6:.0f}" y="{low + 16}">{i}M</text>')
    out.append(f'<text x="{left}" y="{low + 32}">tokens seen; black: training loss (nats, cut at 1); colours: held-out greedy accuracy</text>')
    out.append('<polyline fill="none" stroke="black" points="' + " ".join(f'{x(r["tokens"]):.1f},{y(r["loss"]):.1f}' for r in train) + '"/>')
    colours = ["#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#66a61e", "#e6ab02", "#a6761d", "#1f78b4", "#b2df8a"]
    for i, f in enumerate(["add", "sub", "mul", "div", "expr", "linear", "gcd", "story", "decline"]):
        points = " ".join(f'{x(r["tokens"]):.1f},{y(r["accuracy"][f]):.1f}' for r in evals if f in r["accuracy"])
        out.append(f'<polyline fill="none" stroke="{colours[i]}" stroke-width="1.5" points="{points}"/>')
        out.append(f'<text x="{w - 110}" y="{40 + 16 * i}" fill="{colours[i]}">{f}</text>')
    out.append("</svg>\n")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(out))


def arguments_of(saved):
    return {k: v for k, v in saved["args"].items() if k not in ("tool", "out", "requests", "resume")}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--run", required=True)
    a.add_argument("--earlier", default="", help="directory of the run that this one resumed, for the curve")
    a.add_argument("--out", default="models")
    a.add_argument("--tool", default="build/corpus")
    a.add_argument("--checkpoint", default="final.pt")
    args = a.parse_args()
    os.makedirs(args.out, exist_ok=True)
    torch.set_num_threads(1)  # one token at a time is too little work to share
    saved = torch.load(f"{args.run}/{args.checkpoint}", weights_only=True)
    tok = Tokenizer.from_file(f"{args.run}/tokenizer.json")
    config, weights = Config(**saved["config"]), saved["weights"]
    path = f"{args.out}/{NAME}.gguf"
    write_gguf(path, config, weights, tok)
    model = Model(config)
    model.load_state_dict(dequantised(weights))
    model.eval()
    golden_logits(model, tok, f"{args.out}/logits.golden.json")
    golden_tokens(args.tool, tok, f"{args.out}/tokenizer.golden.jsonl")
    log = [json.loads(line) for run in (args.earlier, args.run) if run for line in open(f"{run}/log.jsonl")]
    log = [r for r in log if args.earlier == "" or r["step"] <= saved["step"]]
    curve(log, f"{args.out}/{NAME}.svg")
    manifest = {k: saved[k] for k in ("config", "step", "seen", "documents", "chunks", "data_sha256", "seconds")}
    manifest["args"] = arguments_of(saved)
    if args.earlier:
        first = torch.load(saved["args"]["resume"] if os.path.exists(saved["args"]["resume"]) else f"{args.earlier}/checkpoint.pt",
                           weights_only=True)
        manifest["resumed"] = {k: first[k] for k in ("step", "seen", "documents", "chunks", "data_sha256", "seconds")}
        manifest["resumed"]["args"] = arguments_of(first)
    manifest["parameters"] = sum(v.numel() for v in weights.values())
    manifest["bytes"] = os.path.getsize(path)
    manifest["sha256"] = hashlib.sha256(open(path, "rb").read()).hexdigest()
    manifest["final"] = next((r for r in reversed(log) if "accuracy" in r and r["step"] == saved["step"]), None)
    with open(f"{args.out}/{NAME}.json", "w", encoding="utf-8") as f:
        json.dump(manifest, f, indent=1)
        f.write("\n")
    print(json.dumps(manifest, indent=1))


if __name__ == "__main__":
    main()
