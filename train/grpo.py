"""Reinforcement with verifiable rewards: GRPO as DAPO and Dr. GRPO amend it, rewards by the exam's own checkers.

    python train/grpo.py --state DIR --checkpoint final.pt --minutes 5      writes DIR/grpo.pt, evaluated before and after

For each of --prompts problems --samples replies are drawn at temperature 1. A reply's advantage is its reward less the mean of
its group, not divided by the deviation (Dr. GRPO, Liu et al. 2025); groups that are all right or all wrong teach nothing and are
left out (DAPO, Yu et al. 2025); the loss is a mean over tokens, its ratio is clipped to [1 - 0.2, 1 + 0.28], and there is no KL term.
Reward: 1 for a right answer, 0.1 for a well-formed reply, less a part of the distance to the effort's length.

More reward may mean less variety, which is what votes live on: where the vote of 16 falls while one sample gains, the run stops.
"""
import argparse
import json
import random
import time
from typing import NamedTuple

import torch
import torch.nn.functional as F

import data
from evaluate import Asker, load_model, vote

CLIP_LOW, CLIP_HIGH = 0.2, 0.28
FORMAT, LENGTH = 0.1, 0.0003
EFFORTS = {"low": 0.25, "medium": 0.25, "high": 0.5}
STEPS_MAX = 384


class Rollout(NamedTuple):
    prompt: list
    reply: list
    reward: float


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


def log_chances(model, batch):
    """[B,T] log-probabilities of the replies' tokens, and which places are theirs; rows padded on the right."""
    device, width = model.token_embd.device, max(len(s.rollout.prompt) + len(s.rollout.reply) for s in batch)
    ids, own = torch.zeros(len(batch), width, dtype=torch.long), torch.zeros(len(batch), width - 1, dtype=torch.bool)
    for i, s in enumerate(batch):
        whole = s.rollout.prompt + s.rollout.reply
        ids[i, :len(whole)] = torch.tensor(whole)
        own[i, len(s.rollout.prompt) - 1:len(whole) - 1] = True
    ids, own = ids.to(device), own.to(device)
    mask = torch.full((width, width), -30000.0, device=device).triu(1)[None, None]
    logits = model(ids[:, :-1], model.cos[:width - 1], model.sin[:width - 1], mask[:, :, :-1, :-1]).float()
    return -F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none"), own


def update(model, optimizer, scored, rows, epochs=1):
    """One pass over the rollouts in pieces of so many rows. Returns the mean entropy proxy: minus the log-chance of what was drawn."""
    scored = sorted(scored, key=lambda s: len(s.rollout.prompt) + len(s.rollout.reply))
    total = sum(len(s.rollout.reply) for s in scored)
    pieces = [scored[i:i + rows] for i in range(0, len(scored), rows)]
    with torch.no_grad():
        before = [log_chances(model, p)[0] for p in pieces] if epochs > 1 else [None] * len(pieces)
    surprise = 0.0
    for _ in range(epochs):
        optimizer.zero_grad(set_to_none=True)
        for piece, old in zip(pieces, before):
            now, own = log_chances(model, piece)
            ratio = (now - (now.detach() if old is None else old)).exp()
            gain = torch.tensor([[s.advantage] for s in piece], device=now.device)
            clipped = torch.minimum(ratio * gain, ratio.clamp(1 - CLIP_LOW, 1 + CLIP_HIGH) * gain)
            (-(clipped * own).sum() / total).backward()
            surprise += float(-(now.detach() * own).sum()) / total / epochs
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return surprise


class Prompts:
    """Problems whose pass rate is between a fifth and four fifths, or all where none was measured."""

    def __init__(self, tool, passed, seed):
        self.tool, self.rng, self.waiting = tool, random.Random(seed), []
        self.levels = [(f, level) for f, level, _ in data.families(tool) if 0.2 <= passed.get(f"{f} {level}", 0.5) <= 0.8]

    def take(self, count):
        while len(self.waiting) < count:
            family, level = self.rng.choice(self.levels)
            effort = self.rng.choices(list(EFFORTS), list(EFFORTS.values()))[0]
            docs = data.documents(self.tool, self.rng.randrange(1 << 40), 8, "--family", family, "--level", str(level), "--effort", effort)
            self.waiting += [d for d in docs if len(d["turns"]) == 1]
            self.rng.shuffle(self.waiting)
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken


def roll_out(asker, documents, samples, generator, rows):
    replies = asker.ask([d for d in documents for _ in range(samples)], None, STEPS_MAX, 1.0, generator, rows)
    groups = []
    for i, d in enumerate(documents):
        target = len(asker.tok.encode(d["turns"][-1]["think"], add_special_tokens=False).ids)
        prompt = asker.ids(d)
        groups.append([Rollout(prompt, ids, reward_of(right, asker.tok.decode(ids, skip_special_tokens=False), len(ids), target))
                       for right, _, ids in replies[i * samples:(i + 1) * samples]])
    return groups, replies


def measure(asker, documents, samples, rows):
    """pass@1 and maj@samples on held-out problems."""
    generator = torch.Generator(asker.model.token_embd.device).manual_seed(7)
    replies = asker.ask([d for d in documents for _ in range(samples)], None, STEPS_MAX, 0.8, generator, rows)
    groups = [replies[i:i + samples] for i in range(0, len(replies), samples)]
    return {"pass": round(sum(r[0] for r in replies) / len(replies), 4),
            "vote": round(sum(vote([(r[0], r[1]) for r in g]) for g in groups) / len(groups), 4)}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--state", required=True)
    a.add_argument("--checkpoint", default="final.pt")
    a.add_argument("--tool", default="build/corpus")
    a.add_argument("--passed", default="", help="pass rates from evaluate.py --write or `thinkd exam --json`")
    a.add_argument("--minutes", type=float, default=5)
    a.add_argument("--steps", type=int, default=0)
    a.add_argument("--prompts", type=int, default=128)
    a.add_argument("--samples", type=int, default=16)
    a.add_argument("--rows", type=int, default=0, help="replies at a time; 0: 2048 on a GPU, 64 on a CPU")
    a.add_argument("--held-out", type=int, default=200, help="problems measured before, between and after")
    a.add_argument("--measure-every", type=int, default=25)
    a.add_argument("--lr", type=float, default=2e-5)
    a.add_argument("--seed", type=int, default=1)
    args = a.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = args.rows or (2048 if device == "cuda" else 64)
    model, saved = load_model(f"{args.state}/{args.checkpoint}", device)
    asker = Asker(model, args.state, args.tool)
    optimizer = torch.optim.AdamW(model.parameters(), args.lr, betas=(0.9, 0.95), weight_decay=0.0)
    generator = torch.Generator(device).manual_seed(args.seed)
    prompts = Prompts(args.tool, data.pass_rates(args.passed) if args.passed else {}, args.seed)
    held = [d for d in data.documents(args.tool, 99, args.held_out * 2, "--held-out") if len(d["turns"]) == 1][:args.held_out]
    log = open(f"{args.state}/grpo.jsonl", "a", buffering=1)

    def tell(row):
        print(json.dumps(row), flush=True)
        print(json.dumps(row), file=log)

    begin, step, best = time.monotonic(), 0, measure(asker, held, args.samples, rows)
    tell({"step": 0, **best})
    kept = {n: v.clone() for n, v in model.state_dict().items()}
    while (step < args.steps) if args.steps else (time.monotonic() - begin < args.minutes * 60):
        groups, replies = roll_out(asker, prompts.take(args.prompts), args.samples, generator, rows)
        scored = advantages(groups)
        surprise = update(model, optimizer, scored, max(1, rows // 8)) if scored else 0.0
        step += 1
        tell({"step": step, "right": round(sum(r[0] for r in replies) / len(replies), 4), "groups": len(scored) // args.samples, "surprise": round(surprise, 4),
              "tokens": round(sum(len(r[2]) for r in replies) / len(replies), 1), "seconds": round(time.monotonic() - begin, 1)})
        if step % args.measure_every == 0:
            now = measure(asker, held, args.samples, rows)
            tell({"step": step, **now})
            if now["vote"] < best["vote"] - 0.02 and now["pass"] > best["pass"]:
                break  # one sample gains what the vote loses
            if now["vote"] >= best["vote"]:
                best, kept = now, {n: v.clone() for n, v in model.state_dict().items()}
    now = measure(asker, held, args.samples, rows)
    tell({"step": step, **now})
    weights = model.state_dict() if now["vote"] >= best["vote"] else kept
    asker.mark.close()
    saved["history"].append({"grpo": step, "lr": args.lr, "seed": args.seed})
    torch.save({**{k: v for k, v in saved.items() if k != "optimizers"}, "weights": weights}, f"{args.state}/grpo.pt")


if __name__ == "__main__":
    main()
