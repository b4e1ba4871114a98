"""Trains a model of the table SIZES: tokenizer, shards, Muon and AdamW, warm-up, a stable rate, a decay when it is wanted.

    python train/train.py --state DIR --size 3m --minutes 60            begin; the rate stays high, nothing is finished
    python train/train.py --state DIR --resume --minutes 120            go on exactly where DIR/checkpoint.pt is
    python train/train.py --state DIR --resume --minutes 10 --decay 1   finish: DIR/final.pt; checkpoint.pt stays to go on from
    python train/train.py --state DIR --size main --minutes 9.5 --decay 0.4       all in one command, as on a GPU

Progress towards --minutes is elapsed time over minutes, so that a busy machine cannot break the decay; --steps counts steps
instead, for a run that can be repeated exactly. DIR holds everything that a run needs to go on: tokenizer, template, the shard in
use, the log and the checkpoint, which is written every --save-minutes and when the run is told to end.
"""
import argparse
import contextlib
import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time

import torch

import chat
import data
from model import Config, Model, loss_of

# (width, layers, ff, heads, kv heads, head size), tokens of a step, tokens that the mixture is planned for
SIZES = {
    "toy": ((64, 2, 128, 4, 2, 16), 2048, 1e6),
    "3m": ((192, 8, 512, 6, 2, 32), 8192, 100e6),
    "5m": ((192, 12, 512, 6, 2, 32), 8192, 100e6),
    "6m": ((256, 8, 768, 8, 2, 32), 8192, 100e6),
    "mini": ((256, 12, 768, 4, 2, 64), 131072, 500e6),
    "main": ((512, 10, 1280, 8, 2, 64), 524288, 700e6),
}
PART_BYTES = 15 << 20
CPU_MICRO, GPU_MICRO = 4096, 65536  # tokens that go through at once: on a CPU what the cache holds


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


def optimizers(model, lr):
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "token_embd" not in n]
    rest = [p for n, p in model.named_parameters() if p.dim() < 2 or "token_embd" in n]
    return [Muon(matrices, lr), torch.optim.AdamW(rest, lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)]


def schedule(step, progress, decay):
    """Warm-up over 100 steps, then stable; over the last part `decay` of the run, a straight line to zero."""
    return min(1.0, (step + 1) / 100) * (min(1.0, max(0.0, (1 - progress) / decay)) if decay else 1.0)


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--state", required=True, metavar="DIR")
    a.add_argument("--resume", action="store_true")
    a.add_argument("--size", choices=SIZES, default="3m")
    a.add_argument("--minutes", type=float, default=60)
    a.add_argument("--steps", type=int, default=0)
    a.add_argument("--decay", type=float, default=0, help="part of the run, at its end, in which the rate falls to zero")
    a.add_argument("--passed", default="", help="pass rates from evaluate.py --write or `thinkd exam --json`: asks less of what is always right")
    a.add_argument("--tool", default="build/corpus")
    a.add_argument("--requests", default="", help="self-instruct seed tasks (JSONL), optional")
    a.add_argument("--gsm8k", default="", help="GSM8K's train.jsonl, optional: word problems that people wrote")
    a.add_argument("--from-gguf", default="", help="begin with the weights of a model file of the same width; tokens are matched by text, new layers add nothing at first")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--lr", type=float, default=3e-3)
    a.add_argument("--vocab", type=int, default=1024)
    a.add_argument("--rows", default="256,512,1024")
    a.add_argument("--step-tokens", type=int, default=0)
    a.add_argument("--plan-tokens", type=float, default=0)
    a.add_argument("--shard-batches", type=int, default=400)
    a.add_argument("--threads", type=int, default=0, help="0: all")
    a.add_argument("--compile", type=int, default=1)
    a.add_argument("--deliver", default="", metavar="DIR", help="after a decay: the weights as bfloat16 in parts of 15 MiB, and what exporting needs")
    a.add_argument("--save-minutes", type=float, default=5)
    args = a.parse_args()
    if args.resume:
        if not os.path.exists(f"{args.state}/checkpoint.pt"):
            a.error(f"{args.state} holds no checkpoint to resume")
    elif os.path.exists(f"{args.state}/checkpoint.pt"):
        a.error(f"{args.state} holds a run already: --resume, or another directory")
    return args


def prepare(args):
    """What stays the same for the life of a run goes into DIR once."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    (width, layers, ff, heads, kv_heads, head_dim), step_tokens, plan = SIZES[args.size]
    os.makedirs(args.state, exist_ok=True)
    requests = data.instructions(args.requests, False)
    if requests:
        with open(f"{args.state}/requests.json", "w") as f:
            json.dump(requests, f)
    if not os.path.exists(f"{args.state}/tokenizer.json"):
        gsm8k = ["--gsm8k", args.gsm8k] if args.gsm8k else []
        texts = chat.corpus_texts(data.documents(args.tool, 7, 40000, *gsm8k), requests)
        chat.train_tokenizer(texts, args.vocab).save(f"{args.state}/tokenizer.json")
    shutil.copy(chat.TEMPLATE_FILE, f"{args.state}/chat.jinja")
    config = Config(chat.load(f"{args.state}/tokenizer.json").get_vocab_size(), width, layers, ff, heads, kv_heads, head_dim)
    step_tokens = args.step_tokens or step_tokens
    run = {"size": args.size, "config": config.dict(), "seed": args.seed, "lr": args.lr, "rows": [int(r) for r in args.rows.split(",")],
           "step_tokens": step_tokens, "micro_tokens": min(step_tokens, GPU_MICRO if device == "cuda" else CPU_MICRO),
           "plan_tokens": args.plan_tokens or plan, "shard_batches": args.shard_batches}
    with open(f"{args.state}/run.json", "w") as f:
        json.dump(run, f, indent=1)
    return run


def autocast(device, size):
    if device == "cuda" or size != "toy":
        return torch.autocast(device, torch.bfloat16)
    return contextlib.nullcontext()


class Run:
    """Model, optimizers, stream and counts: what a checkpoint holds."""

    def __init__(self, args):
        self.args, self.device = args, "cuda" if torch.cuda.is_available() else "cpu"
        self.run = json.load(open(f"{args.state}/run.json")) if args.resume else prepare(args)
        self.model = Model(Config(**self.run["config"])).init(self.run["seed"])
        self.step = self.seen = self.counted = 0
        self.before, self.begin = 0.0, time.monotonic()  # seconds of earlier sittings, start of this one
        self.history = []
        self.log = open(f"{args.state}/log.jsonl", "a", buffering=1)
        if args.from_gguf and not args.resume:
            import warm
            self.history.append(warm.load(self.model, f"{args.state}/tokenizer.json", args.from_gguf))
        self.model.to(self.device)
        self.opts = optimizers(self.model, self.run["lr"])
        place = self.restore() if args.resume else (0, 0)
        commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
        self.history.append({"sitting": commit, "step": self.step, "lr": self.run["lr"], "decay": args.decay, "passed": bool(args.passed),
                             "gsm8k": bool(args.gsm8k)})
        passed = data.pass_rates(args.passed) if args.passed else None
        if passed is not None:
            place = (place[0] + 1, 0)  # another mixture begins with a shard of its own
        self.stream = data.Stream(args.tool, args.state, self.run["seed"], self.run["micro_tokens"], self.run["rows"],
                                  self.run["shard_batches"], self.run["plan_tokens"], os.cpu_count(), args.gsm8k, passed, *place)
        self.loss = torch.compile(loss_of, dynamic=False) if args.compile else loss_of

    def restore(self):
        saved = torch.load(f"{self.args.state}/checkpoint.pt", weights_only=True, map_location=self.device)
        self.model.load_state_dict(saved["weights"])
        for o, state in zip(self.opts, saved["optimizers"]):
            o.load_state_dict(state)
        self.step, self.seen, self.counted = saved["step"], saved["seen"], saved["counted"]
        self.before, self.history = saved["seconds"], saved["history"]
        return saved["place"]

    def seconds(self):
        return self.before + time.monotonic() - self.begin

    def save(self, name):
        path = f"{self.args.state}/{name}"
        torch.save({"run": self.run, "config": self.run["config"], "weights": self.model.state_dict(),
                    "optimizers": [o.state_dict() for o in self.opts], "step": self.step, "seen": self.seen, "counted": self.counted,
                    "place": (self.stream.number, self.stream.at), "seconds": self.seconds(), "history": self.history}, path + ".part")
        os.replace(path + ".part", path)

    def advance(self, rate):
        """One step: micro-batches until the step's tokens are reached, then the optimizers. Returns loss and what counted."""
        batches = [data.unpack(self.stream.batch().to(self.device)) for _ in range(self.run["step_tokens"] // self.run["micro_tokens"])]
        while self.stream.news:
            self.history.append(self.stream.news.pop(0))
            self.tell(self.history[-1])
        counts = sum(int((targets >= 0).sum()) for _, targets, _ in batches)
        total = 0.0
        for ids, targets, doc in batches:
            with autocast(self.device, self.run["size"]):
                loss = self.loss(self.model, ids, targets, doc) / counts
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for o in self.opts:
            for g in o.param_groups:
                g["lr"] = rate
            o.step()
            o.zero_grad(set_to_none=True)
        self.step += 1
        self.seen += self.run["step_tokens"]
        self.counted += counts
        return total

    def tell(self, row):
        print(json.dumps(row), file=self.log)


def deliver(run, directory):
    """What a machine that is lent gives back: the weights as bfloat16 in parts that `cat` joins to a final.pt, and what else a state
    needs to be exported."""
    os.makedirs(directory, exist_ok=True)
    saved = torch.load(f"{run.args.state}/final.pt", weights_only=True, map_location="cpu")
    saved = {**{k: v for k, v in saved.items() if k != "optimizers"}, "weights": {n: v.bfloat16() for n, v in saved["weights"].items()}}
    raw = io.BytesIO()
    torch.save(saved, raw)
    for i in range(0, raw.tell(), PART_BYTES):
        with open(f"{directory}/final.pt.{i // PART_BYTES}", "wb") as f:
            f.write(raw.getbuffer()[i:i + PART_BYTES])
    for name in ("tokenizer.json", "chat.jinja", "run.json", "log.jsonl"):
        shutil.copy(f"{run.args.state}/{name}", directory)


def train(args):
    run = Run(args)
    ended = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.append(True))
    print(f"{sum(p.numel() for p in run.model.parameters())} parameters, vocabulary {run.run['config']['vocab']}, step {run.step}, "
          f"{run.seen / 1e6:.2f}M tokens seen, {run.device}", flush=True)
    first, recent, last, next_save = run.step, [], time.monotonic(), args.save_minutes * 60
    decaying = False
    while not ended:
        elapsed = time.monotonic() - run.begin
        progress = (run.step - first) / args.steps if args.steps else elapsed / (args.minutes * 60)
        if progress >= 1:
            break
        if args.decay and progress >= 1 - args.decay and not decaying:
            decaying = True
            if run.step > first:
                run.save("checkpoint.pt")  # from here one may go on at the full rate
        rate = run.run["lr"] * schedule(run.step, progress, args.decay)
        recent.append(run.advance(rate))
        if run.step % 20 == 0:
            now = time.monotonic()
            row = {"step": run.step, "seconds": round(run.seconds(), 1), "tokens": run.seen, "loss": round(sum(recent) / len(recent), 5),
                   "lr": rate, "tokens_per_s": round(len(recent) * run.run["step_tokens"] / (now - last)), "decay": decaying}
            run.tell(row)
            print(f"{run.step:6d} {row['seconds']:8.1f}s {run.seen / 1e6:7.2f}M loss {row['loss']:.4f} lr {rate:.2e} "
                  f"{row['tokens_per_s']} tokens/s", flush=True)
            recent, last = [], now
        if elapsed > next_save and not decaying:
            next_save = elapsed + args.save_minutes * 60
            run.save("checkpoint.pt")
    if decaying and not ended:
        run.save("final.pt")
        if args.deliver:
            deliver(run, args.deliver)
    elif not decaying:
        run.save("checkpoint.pt")
    print("ended" if ended else "done", f"at step {run.step}", flush=True)


if __name__ == "__main__":
    options = arguments()
    torch.set_num_threads(options.threads or os.cpu_count())
    torch.manual_seed(options.seed)
    sys.exit(train(options))
