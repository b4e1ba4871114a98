"""Reinforcement with verifiable rewards: GRPO as DAPO and Dr. GRPO amend it, rewards by the exam's own checkers.

    python train/grpo.py --state DIR --checkpoint final.pt --minutes 5                          writes DIR/grpo.pt, evaluated before and after
    python train/grpo.py --state DIR --engine build/thinkd --minutes 60 --passed passed.json    on a CPU

For each of --prompts problems --samples replies are drawn at temperature 1, in torch or, with --engine, by a thinkd that serves the
weights as they stand, which on a CPU is many times faster. A reply's advantage is its reward less the mean of its group, not
divided by the deviation (Dr. GRPO, Liu et al. 2025); groups that are all right or all wrong teach nothing and are left out (DAPO,
Yu et al. 2025). The replies are learned from in --updates steps; the loss is a mean over tokens, the ratio of a token's chance to what
it was drawn with is clipped to [1 - 0.2, 1 + 0.28], and there is no KL term.
Reward: 1 for a right answer, 0.1 for a well-formed reply, less a part of the distance to the effort's length.

More reward may mean less variety, which is what votes live on: where the vote of 16 falls while one sample gains, the run stops.
grpo.pt has the weights whose vote was best when it was measured, grpo-last.pt those of the last measurement.
"""
import argparse
import concurrent.futures
import contextlib
import http.client
import json
import math
import os
import random
import subprocess
import time
from typing import NamedTuple

import torch
import torch.nn.functional as F

import data
import export
from evaluate import Asker, load_model, visible, vote
from model import logits_of
from train import CPU_MICRO, GPU_MICRO, autocast

CLIP_LOW, CLIP_HIGH = 0.2, 0.28
FORMAT, LENGTH = 0.1, 0.0003
EFFORTS = {"low": 0.25, "medium": 0.4, "high": 0.35}
CAPS = {"low": 256, "medium": 448, "high": 832}  # tokens of a reply: what the service allows a thought, and an answer
FALL = 0.04  # of the vote on the held-out problems: two standard errors of 300 that are asked twice
STEPS_MAX = 384  # in torch, where the longest reply keeps all others waiting
WIDTHS = (256, 512, 1024)  # of training rows, as the model was trained on
WARM = 10  # steps in which the rate rises


class Rollout(NamedTuple):
    prompt: list
    reply: list
    reward: float
    drawn: list = None  # the log-probability that each token of the reply was drawn with; None: not told


class Scored(NamedTuple):
    rollout: Rollout
    advantage: float


def advantages(groups):
    out = []
    for group in groups:
        rewards = [r.reward for r in group]
        if max(rewards) - min(rewards) < 0.5:  # all right or all wrong; lengths alone are no lesson
            continue
        mean = sum(rewards) / len(rewards)
        out += [Scored(r, r.reward - mean) for r in group]
    return out


def reward_of(right, text, length, target):
    formed = text.count("<think>") == 1 and text.count("</think>") == 1 and text.endswith("<|im_end|>")
    return float(right) + FORMAT * formed - LENGTH * abs(length - target) * right


def rows_of(scored, tokens):
    """Replies in rows of WIDTHS, one behind the other, and rows in pieces of so many tokens, all of one shape for each width:
    (ids, targets, document, advantage, drawn) [B,T] each, as loss_of in model.py takes the first three."""
    pieces = []
    for width, narrower in zip(WIDTHS, (0, *WIDTHS)):
        some = [s for s in scored if narrower < len(s.rollout.prompt) + len(s.rollout.reply) <= width]
        rows = []  # first fit, the longest first
        for s in sorted(some, key=lambda s: -len(s.rollout.prompt) - len(s.rollout.reply)):
            need = len(s.rollout.prompt) + len(s.rollout.reply)
            row = next((r for r in rows if r[0] + need <= width), None)
            if row is None:
                rows.append(row := [0, []])
            row[0] += need
            row[1].append(s)
        height = max(1, tokens // width)
        for lo in range(0, len(rows), height):
            ids, doc = torch.zeros(height, width, dtype=torch.long), torch.zeros(height, width, dtype=torch.long)
            targets, gain, drawn = torch.full_like(ids, -1), torch.zeros(height, width), torch.full((height, width), math.nan)
            for y, (_, row) in enumerate(rows[lo:lo + height]):
                at = 0
                for n, (r, advantage) in enumerate(row, 1):
                    whole, first = r.prompt + r.reply, at + len(r.prompt) - 1
                    ids[y, at:at + len(whole)] = torch.tensor(whole)
                    doc[y, at:at + len(whole)] = n
                    targets[y, first:first + len(r.reply)] = torch.tensor(r.reply)
                    gain[y, first:first + len(r.reply)] = advantage
                    if r.drawn:
                        drawn[y, first:first + len(r.reply)] = torch.tensor(r.drawn)
                    at += len(whole)
            pieces.append((ids, targets, doc, gain, drawn))
    return pieces


def loss_of(model, ids, targets, doc, gain, drawn):
    """The sum over the replies' tokens of what is to become small, and of minus their log-probabilities."""
    logits = logits_of(model, ids, doc)
    surprise = F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=-1, reduction="none")
    old = torch.where(drawn.isnan(), -surprise.detach(), drawn)
    ratio = torch.where(targets >= 0, -surprise - old, 0.0).exp()
    clipped = torch.minimum(ratio * gain, ratio.clamp(1 - CLIP_LOW, 1 + CLIP_HIGH) * gain)
    return -clipped.sum(), surprise.detach().sum()


def update(model, optimizer, scored, tokens, steps=1, loss=loss_of):
    """Learns from the rollouts once, in so many steps. Returns the mean entropy proxy: minus the log-chance of what was drawn."""
    surprise, device = 0.0, model.token_embd.device
    for k in range(steps):
        some = scored[k::steps]
        total = sum(len(s.rollout.reply) for s in some)
        if not total:
            continue
        optimizer.zero_grad(set_to_none=True)
        for piece in rows_of(some, tokens):
            bad, own = loss(model, *(t.to(device) for t in piece))
            (bad / total).backward()
            surprise += float(own)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return surprise / max(1, sum(len(s.rollout.reply) for s in scored))


class Prompts:
    """Problems whose pass rate lies between two bounds, or all where none was measured; families of `only` alone if it names any."""

    def __init__(self, tool, passed, between, only, seed):
        self.tool, self.rng, self.waiting = tool, random.Random(seed), []
        self.levels = [(f, level) for f, level, _ in data.families(tool)
                       if between[0] <= passed.get(f"{f} {level}", 0.5) <= between[1] and (not only or f in only)]

    def take(self, count):
        while len(self.waiting) < count:
            family, level = self.rng.choice(self.levels)
            effort = self.rng.choices(list(EFFORTS), list(EFFORTS.values()))[0]
            docs = data.documents(self.tool, self.rng.randrange(1 << 40), 8, "--family", family, "--level", str(level), "--effort", effort)
            self.waiting += [d for d in docs if len(d["turns"]) == 1]
            self.rng.shuffle(self.waiting)
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken


class Torch:
    """Replies drawn by the model itself, many rows at a time."""

    def __init__(self, asker, rows, seed):
        self.asker, self.rows = asker, rows
        self.generator = torch.Generator(asker.model.token_embd.device).manual_seed(seed)

    def ask(self, documents, samples, temperature, seed=None):
        """[(right, given, ids, drawn)], so many of each document, one document's side by side."""
        generator = self.generator if seed is None else torch.Generator(self.generator.device).manual_seed(seed)
        return [(*r, None) for r in self.asker.ask([d for d in documents for _ in range(samples)], None, STEPS_MAX, temperature, generator, self.rows)]


class Served:
    """Replies drawn by a thinkd that serves the weights as they stand, its tokens and their log-probabilities taken as told."""

    def __init__(self, asker, program, path, template, config, kind, seed):
        self.asker, self.program, self.path, self.template, self.config, self.kind = asker, program, path, template, config, kind
        self.rng, self.end = random.Random(seed), asker.tok.token_to_id("<|im_end|>")

    @contextlib.contextmanager
    def serving(self):
        export.write_gguf(self.path, self.config, self.asker.model.state_dict(), self.asker.tok, self.template, self.kind)
        server = subprocess.Popen([self.program, "serve", "--model", self.path, "--listen", "127.0.0.1:0", "--data", ":memory:", "--log-level", "error"],
                                  stdout=subprocess.PIPE, text=True)
        try:
            said = server.stdout.readline()
            if not said.startswith("thinkd is listening on http://"):
                raise RuntimeError(f"{self.program} does not serve {self.path}")
            yield said.split("http://")[1].strip("/\n ")
        finally:
            server.terminate()
            server.wait()

    def one(self, place, document, samples, temperature, seed):
        prompt = self.asker.ids(document)
        body = {"model": "o3", "prompt": prompt, "n": samples, "temperature": temperature, "seed": seed, "logprobs": 0,
                "max_tokens": max(1, min(CAPS[document["effort"]], WIDTHS[-1] - len(prompt))), "return_tokens_as_token_ids": True}
        connection = http.client.HTTPConnection(place, timeout=600)
        connection.request("POST", "/v1/completions", json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(raw.decode(errors="replace"))
        out = []
        for choice in json.loads(raw)["choices"]:
            ids = [int(t.removeprefix("token_id:")) for t in choice["logprobs"]["tokens"]]
            drawn = choice["logprobs"]["token_logprobs"]
            if choice["finish_reason"] == "stop" and ids[-1:] != [self.end]:
                ids, drawn = ids + [self.end], drawn + [math.nan]  # the end is not told; it is taken to be as likely as it is now
            out.append((ids, drawn))
        return out

    def ask(self, documents, samples, temperature, seed=None):
        rng = self.rng if seed is None else random.Random(seed)
        seeds = [rng.randrange(1 << 31) for _ in documents]
        with self.serving() as place, concurrent.futures.ThreadPoolExecutor(8) as pool:
            drawn = list(pool.map(lambda d, s: self.one(place, d, samples, temperature, s), documents, seeds))
        out = []
        for d, replies in zip(documents, drawn):
            for ids, chances in replies:
                text = visible(self.asker.tok.decode(ids, skip_special_tokens=False))
                out.append((*self.asker.mark(d["family"], text, d["turns"][-1]["answer"]), ids, chances))
        return out


def roll_out(asker, source, documents, samples):
    replies = source.ask(documents, samples, 1.0)
    groups = []
    for i, d in enumerate(documents):
        target = len(asker.tok.encode(d["turns"][-1]["think"], add_special_tokens=False).ids)
        prompt = asker.ids(d)
        groups.append([Rollout(prompt, ids, reward_of(right, asker.tok.decode(ids, skip_special_tokens=False), len(ids), target), drawn)
                       for right, _, ids, drawn in replies[i * samples:(i + 1) * samples] if len(prompt) + len(ids) <= WIDTHS[-1]])
    return [g for g in groups if g], replies


def measure(source, documents, samples):
    """pass@1 and maj@samples on held-out problems."""
    replies = source.ask(documents, samples, 0.8, 7)
    groups = [replies[i:i + samples] for i in range(0, len(replies), samples)]
    return {"pass": round(sum(r[0] for r in replies) / len(replies), 4),
            "vote": round(sum(vote([(r[0], r[1]) for r in g]) for g in groups) / len(groups), 4)}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--state", required=True)
    a.add_argument("--checkpoint", default="final.pt")
    a.add_argument("--tool", default="build/corpus")
    a.add_argument("--engine", default="", metavar="PROGRAM", help="a thinkd that draws the replies; default: torch does")
    a.add_argument("--type", choices=export.TYPES, default="q8_0", help="of the file that --engine serves")
    a.add_argument("--passed", default="", help="pass rates from evaluate.py --write or `thinkd exam --json`")
    a.add_argument("--between", type=float, nargs=2, default=(0.2, 0.8), metavar="RATE", help="pass rates of the levels that are asked")
    a.add_argument("--families", default="", help="names with commas; default: all that are trained")
    a.add_argument("--minutes", type=float, default=5)
    a.add_argument("--steps", type=int, default=0)
    a.add_argument("--prompts", type=int, default=128)
    a.add_argument("--samples", type=int, default=16)
    a.add_argument("--updates", type=int, default=1, help="steps of the optimizer for each --prompts")
    a.add_argument("--rows", type=int, default=0, help="replies at a time in torch; 0: 2048 on a GPU, 64 on a CPU")
    a.add_argument("--held-out", type=int, default=200, help="problems measured before, between and after")
    a.add_argument("--measure-every", type=int, default=25)
    a.add_argument("--lr", type=float, default=2e-5)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--compile", type=int, default=0)
    args = a.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, saved = load_model(f"{args.state}/{args.checkpoint}", device)
    asker = Asker(model, args.state, args.tool)
    optimizer = torch.optim.AdamW(model.parameters(), args.lr, betas=(0.9, 0.95), weight_decay=0.0)
    if args.engine:
        template = open(f"{args.state}/chat.jinja", encoding="utf-8").read().rstrip("\n")
        source = Served(asker, args.engine, f"{args.state}/grpo.gguf", template, model.c, args.type, args.seed)
    else:
        source = Torch(asker, args.rows or (2048 if device == "cuda" else 64), args.seed)
    only = args.families.split(",") if args.families else []
    prompts = Prompts(args.tool, data.pass_rates(args.passed) if args.passed else {}, args.between, only, args.seed)
    held = [d for d in data.documents(args.tool, 99, args.held_out * 8, "--held-out")
            if len(d["turns"]) == 1 and d["effort"] in EFFORTS and (not only or d["family"] in only)][:args.held_out]
    compiled = torch.compile(loss_of, dynamic=False) if args.compile else loss_of

    def loss(*piece):
        with autocast(device, saved["run"]["size"]):
            return compiled(*piece)

    log = open(f"{args.state}/grpo.jsonl", "a", buffering=1)
    setting = {"lr": args.lr, "seed": args.seed, "updates": args.updates, "prompts": args.prompts, "samples": args.samples}

    def save(name, weights, steps):
        kept = {k: v for k, v in saved.items() if k not in ("optimizers", "weights")}
        torch.save({**kept, "weights": weights, "history": saved["history"] + [{"grpo": steps, **setting}]}, f"{args.state}/{name}.part")
        os.replace(f"{args.state}/{name}.part", f"{args.state}/{name}")

    def tell(row):
        print(json.dumps(row), flush=True)
        print(json.dumps(row), file=log)

    begin, step, best = time.monotonic(), 0, {"vote": -1.0}

    def look():
        """Measures, keeps the best; false where one sample gains what the vote loses."""
        nonlocal best
        now = measure(source, held, args.samples)
        tell({"step": step, **now})
        save("grpo-last.pt", model.state_dict(), step)
        fell = now["vote"] < best["vote"] - FALL and now["pass"] > best["pass"]
        if now["vote"] >= best["vote"]:
            best = now
            save("grpo.pt", model.state_dict(), step)
        return not fell

    look()
    while (step < args.steps) if args.steps else (time.monotonic() - begin < args.minutes * 60):
        for g in optimizer.param_groups:
            g["lr"] = args.lr * min(1.0, (step + 1) / WARM)
        groups, replies = roll_out(asker, source, prompts.take(args.prompts), args.samples)
        drawn = time.monotonic()
        scored = advantages(groups)
        surprise = update(model, optimizer, scored, GPU_MICRO if device == "cuda" else CPU_MICRO, args.updates, loss)
        step += 1
        tell({"step": step, "right": round(sum(r[0] for r in replies) / len(replies), 4), "groups": len(scored) // args.samples,
              "surprise": round(surprise, 4), "tokens": round(sum(len(r[2]) for r in replies) / len(replies), 1),
              "seconds": round(time.monotonic() - begin, 1), "learning": round(time.monotonic() - drawn, 1)})
        if step % args.measure_every == 0 and not look():
            break
    if step % args.measure_every:
        look()
    asker.mark.close()


if __name__ == "__main__":
    main()
