"""Held-out accuracy of a checkpoint in torch, one sample and the vote of several, marked by the exam's own checkers.

    python train/evaluate.py --state DIR --checkpoint final.pt --each 20 [--samples 16 --temperature 0.8] [--write passed.json]

What is written is what train.py's --passed takes. The figures of docs/model.md come from `thinkd exam` on the exported file.
"""
import argparse
import collections
import json
import math
import subprocess

import torch

import chat
import data
from model import Config, Model, generate


class Marker:
    """The corpus tool, answering line by line."""

    def __init__(self, tool):
        self.tool = subprocess.Popen([tool, "--mark"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def __call__(self, family, reply, answer):
        # the tool's JSON has no NUL, and a model that has learned little writes anything
        self.tool.stdin.write(json.dumps({"family": family, "reply": reply.replace("\0", "?"), "answer": answer}) + "\n")
        self.tool.stdin.flush()
        said = json.loads(self.tool.stdout.readline())
        return said["right"], said["given"]

    def close(self):
        self.tool.stdin.close()
        self.tool.wait()


def visible(text):
    return text.split("</think>")[-1].replace("<|im_end|>", "").strip()


class Asker:
    def __init__(self, model, state, tool):
        self.model, self.tok = model, chat.load(f"{state}/tokenizer.json")
        self.jinja = chat.compiled(open(f"{state}/chat.jinja", encoding="utf-8").read())
        self.stop = {self.tok.token_to_id("<|im_end|>"), self.tok.token_to_id("<|endoftext|>")}
        self.mark = Marker(tool)

    def ids(self, document, effort=None):
        return self.tok.encode(chat.prompt(self.jinja, document, effort), add_special_tokens=False).ids

    def ask(self, documents, effort=None, steps=512, temperature=0.0, generator=None, rows=64):
        """[(right, given, ids)] in the order of the documents."""
        prompts = [self.ids(d, effort) for d in documents]
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        out = [None] * len(prompts)
        for lo in range(0, len(order), rows):
            some = order[lo:lo + rows]
            for i, ids in zip(some, generate(self.model, [prompts[i] for i in some], self.stop, steps, temperature, generator)):
                reply = visible(self.tok.decode(ids, skip_special_tokens=False))
                out[i] = (*self.mark(documents[i]["family"], reply, documents[i]["turns"][-1]["answer"]), ids)
        return out


def vote(answers):
    """[(right, given)] of one question -> whether the commonest answer is right; the first of several as common."""
    counts = collections.Counter(given for _, given in answers)
    best = max(counts.values())
    return next(right for right, given in answers if counts[given] == best)


def wilson(right, n, z=1.959963984540054):
    p, z2 = right / n, z * z / n
    reach = z * math.sqrt(p * (1 - p) / n + z2 / (4 * n))
    return max(0.0, (p + z2 / 2 - reach) / (1 + z2)), min(1.0, (p + z2 / 2 + reach) / (1 + z2))


def held_out(tool, family, level, each, seed=1234, effort="medium"):
    return data.documents(tool, seed, each, "--held-out", "--family", family, "--level", str(level), "--effort", effort)


def load_model(path, device="cpu"):
    saved = torch.load(path, weights_only=True, map_location=device)
    model = Model(Config(**saved["config"])).to(device)
    model.load_state_dict(saved["weights"])
    return model.eval(), saved


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--state", required=True)
    a.add_argument("--checkpoint", default="final.pt")
    a.add_argument("--tool", default="build/corpus")
    a.add_argument("--each", type=int, default=20)
    a.add_argument("--effort", default="medium")
    a.add_argument("--families", default="", help="names with commas; default: all that are trained")
    a.add_argument("--samples", type=int, default=1)
    a.add_argument("--temperature", type=float, default=0.0)
    a.add_argument("--write", default="")
    a.add_argument("--show", type=int, default=0, help="print so many wrong replies of each level")
    args = a.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(1)  # one token at a time is too little work to share
    model, _ = load_model(f"{args.state}/{args.checkpoint}", device)
    asker = Asker(model, args.state, args.tool)
    only, passed = args.families.split(",") if args.families else None, {}
    generator = torch.Generator(device).manual_seed(1)
    for family, level, _ in data.families(args.tool):
        if only and family not in only:
            continue
        documents = held_out(args.tool, family, level, args.each, effort=args.effort)
        repeated = [d for d in documents for _ in range(args.samples)]
        replies = asker.ask(repeated, args.effort, temperature=args.temperature, generator=generator)
        groups = [replies[i:i + args.samples] for i in range(0, len(replies), args.samples)]
        right = sum(r[0] for r in replies)
        low, high = wilson(right / args.samples, len(documents))
        row = {"family": family, "level": level, "asked": len(documents), "pass": round(right / len(replies), 3), "low": round(low, 3),
               "high": round(high, 3), "tokens": round(sum(len(r[2]) for r in replies) / len(replies), 1)}
        if args.samples > 1:
            row["vote"] = round(sum(vote([(r[0], r[1]) for r in g]) for g in groups) / len(groups), 3)
            row["any"] = round(sum(any(r[0] for r in g) for g in groups) / len(groups), 3)
        passed[f"{family} {level}"] = row["pass"]
        print(json.dumps(row), flush=True)
        wrong = [(d, r) for d, r in zip(repeated, replies) if not r[0]]
        for d, r in wrong[:args.show]:
            print("   ", json.dumps([d["turns"][-1], asker.tok.decode(r[2], skip_special_tokens=False)], ensure_ascii=False), flush=True)
    asker.mark.close()
    if args.write:
        with open(args.write, "w") as f:
            json.dump(passed, f, indent=1)


if __name__ == "__main__":
    main()
