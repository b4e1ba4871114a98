"""Documents from the corpus tool, rendered, tokenised and packed into rows; the loss counts assistant tokens only."""
import hashlib
import json
import random
import subprocess

import torch

import chat


def documents(tool, seed, count, *args):
    run = subprocess.run([tool, "--seed", str(seed), "--count", str(count), *args], stdout=subprocess.PIPE, check=True)
    return run.stdout, [json.loads(line) for line in run.stdout.splitlines()]


def instructions(path, held_out):
    """Human-written requests beyond the model; one in five, by hash, is kept for the test."""
    if not path:
        return []
    out = []
    for line in open(path, encoding="utf-8"):
        task = json.loads(line)
        text = task["instruction"]
        held = hashlib.sha256(text.encode()).digest()[0] % 5 == 0
        if held == held_out:
            out.append((text, [i["input"] for i in task["instances"] if 0 < len(i["input"]) < 300]))
    return out


class Renderer:
    """Turns documents into (ids, counted): counted marks the tokens the loss sees."""

    def __init__(self, tok, requests, seed):
        self.tok, self.requests, self.rng = tok, requests, random.Random(seed)

    def swap_request(self, doc):
        """Part of the declined questions are human-written ones."""
        turn = doc["turns"][-1]
        if self.requests and turn["answer"] == "decline" and self.rng.random() < 0.3:
            text, inputs = self.rng.choice(self.requests)
            if inputs and self.rng.random() < 0.5:
                text += self.rng.choice(["\n", " ", "\n\n"]) + self.rng.choice(inputs)
            turn["user"] = text

    def parts(self, doc):
        """[(text, counted)] of one document."""
        self.swap_request(doc)
        rng, last = self.rng, doc["turns"][-1]
        messages = [("system" if rng.random() < 0.5 else "developer", doc["system"])] if doc["system"] else []
        for turn in doc["turns"][:-1]:
            messages += [("user", turn["user"]), ("assistant", turn["text"])]
        messages.append(("user", last["user"]))
        kind, end = rng.random(), last["text"] + "<|im_end|>"
        if kind < 0.04:  # thinking switched off: the answer at once
            return [(chat.render(messages, doc["effort"], False), False), (end, True)]
        head = (chat.render(messages, doc["effort"]), False)
        if kind < 0.09:  # the budget ran out somewhere in the trace
            cut = rng.randrange(len(last["think"]) + 1)
            return [head, ("<think>\n" + last["think"][:cut], True), (chat.CLOSE + "</think>\n", False), (end, True)]
        if kind < 0.13 and last["recheck"] and doc["effort"] in ("low", "medium"):  # told to go on after the end
            return [head, ("<think>\n" + last["think"], True), ("<|more|>", False),
                    ("\n" + last["recheck"] + "</think>\n" + end, True)]
        return [head, ("<think>\n" + last["think"] + "</think>\n" + end, True)]

    def encode(self, docs):
        parts, spans = [], []
        for d in docs:
            p = self.parts(d)
            spans.append((len(parts), len(parts) + len(p)))
            parts += p
        enc = self.tok.encode_batch_fast([p[0] for p in parts], add_special_tokens=False)
        for lo, hi in spans:
            ids, counted = [], []
            for i in range(lo, hi):
                ids += enc[i].ids
                counted += [parts[i][1]] * len(enc[i].ids)
            yield ids, counted


class Packer:
    """Rows of two lengths: most documents share short rows, which is faster, long ones have rows of their own."""

    def __init__(self, short, long, tokens):
        self.shapes = {short: tokens // short, long: tokens // long}
        self.short, self.long = short, long
        self.open = {short: [], long: []}   # rows still being filled: (ids, targets, doc)
        self.done = {short: [], long: []}
        self.dropped = 0

    def put(self, ids, counted):
        targets = [t if c else -1 for t, c in zip(ids[1:], counted[1:])]
        ids = ids[:-1]
        if len(ids) > self.long:
            self.dropped += 1
            return
        size = self.short if len(ids) <= self.short else self.long
        rows = self.open[size]
        # best fit among a few open rows
        best = min((r for r in rows if len(r[0]) + len(ids) <= size), key=lambda r: size - len(r[0]) - len(ids), default=None)
        if best is None:
            best = ([], [], [])
            rows.append(best)
        doc = best[2][-1] + 1 if best[2] else 0
        best[0].extend(ids)
        best[1].extend(targets)
        best[2].extend([doc] * len(ids))
        if len(best[0]) > size - 12 or len(rows) > 32:
            full = max(rows, key=lambda r: len(r[0]))
            rows.remove(full)
            self.done[size].append(self.pad(full, size))

    @staticmethod
    def pad(row, size):
        more = size - len(row[0])
        return row[0] + [0] * more, row[1] + [-1] * more, row[2] + [-1] * more

    def batch(self):
        for size, rows in self.done.items():
            if len(rows) >= self.shapes[size]:
                take, self.done[size] = rows[:self.shapes[size]], rows[self.shapes[size]:]
                return tuple(torch.tensor([r[i] for r in take]) for i in range(3))
        return None


class Stream:
    """Endless batches; chunk n of seed s is always the same documents."""

    def __init__(self, tool, tok, requests, seed, short=256, long=512, tokens=4096, chunk=4000):
        self.tool, self.seed, self.chunk = tool, seed, chunk
        self.renderer = Renderer(tok, requests, seed)
        self.packer = Packer(short, long, tokens)
        self.chunks = self.documents = self.tokens = 0
        self.hash = hashlib.sha256()

    def refill(self):
        raw, docs = documents(self.tool, self.seed * 1000003 + self.chunks, self.chunk)
        self.hash.update(raw)
        self.chunks += 1
        self.documents += len(docs)
        for ids, counted in self.renderer.encode(docs):
            self.tokens += len(ids)
            self.packer.put(ids, counted)

    def batch(self):
        while (b := self.packer.batch()) is None:
            self.refill()
        return b
