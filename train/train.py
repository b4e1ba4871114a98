"""Trains the bundled model: tokenizer, packed documents, qwen3 architecture, Muon and AdamW, decay to zero by the clock.

    python train/train.py --tool build/corpus --out /tmp/run --minutes 60

Progress is elapsed time over --minutes (a busy machine cannot break the decay), or steps over --steps for a run
that can be repeated exactly.
"""
import argparse
import json
import math
import os
import sys
import time

import torch
from tokenizers import Tokenizer

import chat
import data
import evaluate
from model import Config, Model, loss_of


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised by a Newton-Schulz iteration (Jordan et al. 2024), with the update's RMS matched to
    AdamW's as in Liu et al. 2025, "Muon is Scalable for LLM Training". Matrices of one shape go through together."""

    def __init__(self, params, lr, momentum=0.95, decay=0.1):
        super().__init__(params, dict(lr=lr, momentum=momentum, decay=decay))

    @staticmethod
    def orthogonal(g):
        tall = g.shape[-2] > g.shape[-1]
        x = g.mT if tall else g
        x = (x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)).bfloat16()
        for _ in range(5):
            a = x @ x.mT
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        return (x.mT if tall else x).float()

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            shapes = {}
            for p in group["params"]:
                shapes.setdefault(p.shape, []).append(p)
            for shape, ps in shapes.items():
                grads = []
                for p in ps:
                    m = self.state[p].setdefault("m", torch.zeros_like(p))
                    m.lerp_(p.grad, 1 - group["momentum"])
                    grads.append(p.grad.lerp(m, group["momentum"]))
                update = self.orthogonal(torch.stack(grads)) * (0.2 * math.sqrt(max(shape)))
                for p, u in zip(ps, update):
                    p.mul_(1 - group["lr"] * group["decay"]).sub_(u, alpha=group["lr"])


def optimizers(model, lr, kind):
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "token_embd" not in n]
    rest = [p for n, p in model.named_parameters() if p.dim() < 2 or "token_embd" in n]
    if kind == "muon":
        return [Muon(matrices, lr), torch.optim.AdamW(rest, lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)]
    return [torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}], lr,
                              betas=(0.9, 0.95), fused=True)]


def schedule(progress, warm):
    """Warm-up, a plateau, then a linear way down to zero over the last two thirds."""
    up = min(1.0, warm)
    return up * min(1.0, max(0.0, (1 - progress) / 0.7))


def arguments():
    a = argparse.ArgumentParser()
    a.add_argument("--tool", default="build/corpus")
    a.add_argument("--out", required=True)
    a.add_argument("--requests", default="", help="self-instruct seed tasks (JSONL), optional")
    a.add_argument("--minutes", type=float, default=60)
    a.add_argument("--steps", type=int, default=0)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--lr", type=float, default=2e-3)
    a.add_argument("--optimizer", choices=["muon", "adamw"], default="muon")
    a.add_argument("--batch-tokens", type=int, default=4096)
    a.add_argument("--vocab", type=int, default=640)
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--compile", type=int, default=1)
    a.add_argument("--bf16", type=int, default=1)
    a.add_argument("--eval-minutes", type=float, default=0, help="0: only at the end")
    a.add_argument("--save-minutes", type=float, default=10)
    a.add_argument("--resume", default="", help="checkpoint whose weights and counts to go on from; the schedule starts anew, "
                   "and another --seed gives documents that were not seen")
    for name, default in (("width", 192), ("layers", 8), ("ff", 512), ("heads", 6), ("kv-heads", 2), ("head-dim", 32)):
        a.add_argument("--" + name, type=int, default=default)
    return a.parse_args()


def build_tokenizer(args, requests):
    """Learned from what people and the model write, each text once; never from the markers around it."""
    _, docs = data.documents(args.tool, 7, 20000)
    texts = [t["user"] for d in docs for t in d["turns"]] + [d["system"] for d in docs[:2000]]
    texts += [t["think"] for d in docs[:6000] for t in d["turns"]]
    texts += sorted({t["text"] for d in docs for t in d["turns"] if not t["text"].startswith("Answer")}) * 60
    texts += ["Answer: 1"] * 4000 + [chat.CLOSE] * 200 + ["system\n", "user\n", "assistant\n"] * 8000 + [r[0] for r in requests]
    return chat.train_tokenizer(texts, args.vocab)


def main():
    args = arguments()
    os.makedirs(args.out, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    requests = data.instructions(args.requests, False)
    before = torch.load(args.resume, weights_only=True) if args.resume else {}
    if before:
        tok = Tokenizer.from_file(os.path.join(os.path.dirname(args.resume), "tokenizer.json"))
    else:
        tok = build_tokenizer(args, requests)
    tok.save(f"{args.out}/tokenizer.json")
    config = Config(vocab=tok.get_vocab_size(), width=args.width, layers=args.layers, ff=args.ff, heads=args.heads,
                    kv_heads=args.kv_heads, head_dim=args.head_dim)
    model = Model(config).init(args.seed)
    if before:
        model.load_state_dict(before["weights"])
    params = sum(p.numel() for p in model.parameters())
    step_loss = torch.compile(loss_of, dynamic=False) if args.compile else loss_of
    opts = optimizers(model, args.lr, args.optimizer)
    stream = data.Stream(args.tool, tok, requests, args.seed, tokens=args.batch_tokens)
    held = evaluate.HeldOut(args.tool, tok, data.instructions(args.requests, True))
    log = open(f"{args.out}/log.jsonl", "a", buffering=1)
    print(f"{params} parameters, vocabulary {config.vocab}", flush=True)

    def save(name):
        torch.save({"before": {k: before[k] for k in before if k not in ("weights", "config")}, "config": config.dict(),
                    "weights": model.state_dict(), "args": vars(args), "step": step, "seen": seen, "documents": stream.documents,
                    "chunks": stream.chunks, "data_sha256": stream.hash.hexdigest(), "seconds": time.monotonic() - begin}, f"{args.out}/{name}")

    first = step = before.get("step", 0)
    seen, begin, recent = before.get("seen", 0), time.monotonic(), []
    next_eval = args.eval_minutes * 60 if args.eval_minutes else math.inf
    next_save = args.save_minutes * 60
    last = begin
    while True:
        elapsed = time.monotonic() - begin
        progress = (step - first) / args.steps if args.steps else elapsed / (args.minutes * 60)
        if progress >= 1:
            break
        rate = args.lr * schedule(progress, (step - first + 1) / 100)
        ids, targets, doc = stream.batch()
        with torch.autocast("cpu", torch.bfloat16, enabled=bool(args.bf16)):
            loss = step_loss(model, ids, targets, doc)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for o in opts:
            for g in o.param_groups:
                g["lr"] = rate
            o.step()
            o.zero_grad(set_to_none=True)
        step += 1
        seen += int((doc >= 0).sum())
        recent.append(loss.item())
        if step % 50 == 0:
            now = time.monotonic()
            row = {"step": step, "seconds": round(now - begin, 1), "tokens": seen, "loss": sum(recent) / len(recent), "lr": rate,
                   "ms": round(1000 * (now - last) / 50)}
            last = now
            recent = []
            print(json.dumps(row), file=log)
            print(f"{step:6d} {row['seconds']:8.1f}s {seen / 1e6:7.2f}M loss {row['loss']:.4f} lr {rate:.2e} {row['ms']} ms",
                  flush=True)
        if elapsed > next_save:
            next_save += args.save_minutes * 60
            save("checkpoint.pt")
        if elapsed > next_eval:
            next_eval += args.eval_minutes * 60
            row = {"step": step, "seconds": round(elapsed, 1), "tokens": seen, **held.measure(model)}
            print(json.dumps(row), file=log)
            print("eval", json.dumps(row), flush=True)
            last = time.monotonic()
    save("final.pt")
    row = {"step": step, "tokens": seen, "final": True, **held.measure(model)}
    print(json.dumps(row), file=log)
    print("final", json.dumps(row), flush=True)


if __name__ == "__main__":
    sys.exit(main())
