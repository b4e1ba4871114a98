"""Held-out loss and greedy accuracy by family: the same generators, the cases and wordings training never sees."""
import re

import torch

import chat
import data
from model import greedy, loss_of

FAMILIES = ["add", "sub", "mul", "div", "expr", "linear", "gcd", "story", "story-new", "greet", "thanks", "identity", "decline"]
MARKS = {"greet": ("Hello!", "Hi!"), "thanks": ("welcome",), "identity": ("thinkd",), "decline": ("--model",)}


def right(reply, answer):
    """reply: visible text. Exact comparison of the last answer line, or the marks of a chat reply."""
    if answer in MARKS:
        others = answer in ("identity",) and "--model" in reply
        return any(m in reply for m in MARKS[answer]) and not others
    found = re.findall(r"Answer: (.*)", reply)
    return bool(found) and found[-1].strip() == answer


class HeldOut:
    def __init__(self, tool, tok, requests, each=6, seed=99):
        self.tok = tok
        self.stop = {tok.token_to_id("<|im_end|>"), tok.token_to_id("<|endoftext|>")}
        self.items = {}
        for f in FAMILIES:
            _, docs = data.documents(tool, seed, each, "--held-out", "--family", f, "--effort", "medium")
            self.items[f] = [(d["turns"][-1]["user"], d["turns"][-1]["answer"], d["level"]) for d in docs]
        self.items["requests"] = [(text, "decline", 1) for text, _ in requests[:each * 2]]
        _, docs = data.documents(tool, seed, 600, "--held-out")
        self.packer = data.Packer(256, 512, 4096)
        for ids, counted in data.Renderer(tok, [], seed).encode(docs):
            self.packer.put(ids, counted)

    @torch.no_grad()
    def loss(self, model):
        rows = self.packer.done[self.packer.short][:64]
        ids, targets, doc = (torch.tensor([r[i] for r in rows]) for i in range(3))
        return float(loss_of(model, ids, targets, doc))

    def ask(self, model, items, effort="medium", steps=320, thinking=True):
        """[(question, answer, level)] -> [(right, reply, tokens)]"""
        prompts = [self.tok.encode(chat.render([("user", q)], effort, thinking), add_special_tokens=False).ids for q, _, _ in items]
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        out = [None] * len(prompts)
        for lo in range(0, len(order), 64):
            some = order[lo:lo + 64]
            for i, ids in zip(some, greedy(model, [prompts[i] for i in some], self.stop, steps)):
                text = self.tok.decode(ids, skip_special_tokens=False)
                visible = text.split("</think>")[-1].replace("<|im_end|>", "").strip()
                out[i] = (right(visible, items[i][1]), text, len(ids))
        return out

    def measure(self, model):
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # one token at a time is too little work to share
        flat = [(f, item) for f, items in self.items.items() for item in items]
        replies = self.ask(model, [item for _, item in flat], steps=200)
        torch.set_num_threads(threads)
        score = {}
        for (f, item), (ok, text, _) in zip(flat, replies):
            score.setdefault(f, []).append(ok)
        return {"held_out_loss": round(self.loss(model), 4), "accuracy": {f: round(sum(v) / len(v), 3) for f, v in score.items() if v}}
