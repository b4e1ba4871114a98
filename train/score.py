"""Held-out accuracy of an exported run by family and level, greedy, with Wilson intervals: the trainer's own figures, to
hold against those of `thinkd exam`.

    python train/score.py --run build/train/run --tool build/corpus --each 40
"""
import argparse
import json
import math

import torch
from tokenizers import Tokenizer

import data
from evaluate import FAMILIES, HeldOut
from export import dequantised
from model import Config, Model

LEVELS = {"add": 7, "sub": 7, "mul": 7, "div": 7, "expr": 7, "linear": 6, "gcd": 5, "story": 6, "story-new": 6, "greet": 1, "thanks": 1,
          "identity": 1, "decline": 2}


def wilson(right, n, z=1.959963984540054):
    p, z2 = right / n, z * z / n
    reach = z * math.sqrt(p * (1 - p) / n + z2 / (4 * n))
    return max(0.0, (p + z2 / 2 - reach) / (1 + z2)), min(1.0, (p + z2 / 2 + reach) / (1 + z2))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--run", required=True)
    a.add_argument("--tool", default="build/corpus")
    a.add_argument("--requests", default="")
    a.add_argument("--each", type=int, default=40)
    a.add_argument("--effort", default="medium")
    a.add_argument("--families", default=",".join(FAMILIES))
    a.add_argument("--checkpoint", default="final.pt")
    a.add_argument("--show", type=int, default=0, help="print so many wrong replies of each level")
    args = a.parse_args()
    torch.set_num_threads(1)
    saved = torch.load(f"{args.run}/{args.checkpoint}", weights_only=True)
    tok = Tokenizer.from_file(f"{args.run}/tokenizer.json")
    model = Model(Config(**saved["config"]))
    model.load_state_dict(dequantised(saved["weights"]))
    asker = HeldOut.__new__(HeldOut)
    asker.tok, asker.stop = tok, {tok.token_to_id("<|im_end|>"), tok.token_to_id("<|endoftext|>")}
    groups = []
    for f in args.families.split(","):
        for level in range(1, LEVELS[f] + 1):
            _, docs = data.documents(args.tool, 1234, args.each, "--held-out", "--family", f, "--level", str(level), "--effort", args.effort)
            groups.append((f, level, [(d["turns"][-1]["user"], d["turns"][-1]["answer"], level) for d in docs]))
    if args.requests:
        groups.append(("requests", 1, [(t, "decline", 1) for t, _ in data.instructions(args.requests, True)]))
    for f, level, items in groups:
        replies = asker.ask(model, items, args.effort)
        right = sum(ok for ok, _, _ in replies)
        low, high = wilson(right, len(items))
        tokens = sum(n for _, _, n in replies) / len(items)
        print(json.dumps({"family": f, "level": level, "asked": len(items), "right": right, "low": round(low, 3), "high": round(high, 3),
                          "tokens": round(tokens, 1)}), flush=True)
        wrong = [(q, a, text) for (q, a, _), (ok, text, _) in zip(items, replies) if not ok]
        for q, answer, text in wrong[:args.show]:
            print("   ", json.dumps([q, answer, text], ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
