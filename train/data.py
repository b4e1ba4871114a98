"""Training rows from the corpus tool: shards of uint16 tokens with two marks, in a stream that can be taken up anywhere."""
import collections
import hashlib
import json
import os
import subprocess
import threading

import numpy as np
import torch

ID, FIRST, COUNTED = 0x3FFF, 0x4000, 0x8000  # as in corpus.h


def documents(tool, seed, count, *args):
    run = subprocess.run([tool, "--json", "--seed", str(seed), "--count", str(count), *args], stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def families(tool):
    """[(family, level, weight)] of what is trained."""
    lines = subprocess.run([tool, "--list"], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    return [(f, int(level), float(weight)) for f, level, weight in map(str.split, lines)]


def pass_rates(path):
    """{"family level": rate} from what evaluate.py wrote, or from a report of `thinkd exam --json`, which is faster on a CPU;
    of several models or efforts the mean."""
    said = json.load(open(path, encoding="utf-8"))
    if "rows" not in said and "candidates" not in said:
        return said
    rows = [r for c in said.get("candidates", [said]) for r in c["rows"] if r["level"]]
    right, asked = collections.Counter(), collections.Counter()
    for r in rows:
        right[f"{r['family']} {r['level']}"] += r["right"]
        asked[f"{r['family']} {r['level']}"] += r["asked"]
    return {key: right[key] / asked[key] for key in asked}


def instructions(path, held_out):
    """Human-written requests beyond the model; one in five, by hash, is kept for the test."""
    out = []
    for line in open(path, encoding="utf-8") if path else []:
        task = json.loads(line)
        text = task["instruction"]
        if (hashlib.sha256(text.encode()).digest()[0] % 5 == 0) != held_out:
            continue
        out.append(text)
        out += [text + gap + i["input"] for i in task["instances"] if 0 < len(i["input"]) < 300 for gap in ("\n", "\n\n")]
    return out


class Shard:
    """The file that pack.c's packer_put_shard writes."""

    def __init__(self, path):
        raw = np.memmap(path, dtype=np.uint8, mode="r")
        assert raw[:8].tobytes() == b"thinkdS1", path
        self.batch_tokens, self.count = (int(v) for v in raw[8:16].view("<u4"))
        self.lengths = raw[16:16 + 4 * self.count].view("<u4").astype(int)
        begin = -(-(16 + 4 * self.count) // 64) * 64
        self.rows = raw[begin:begin + 2 * self.count * self.batch_tokens].view("<u2").reshape(self.count, -1)

    def batch(self, i):
        return torch.from_numpy(self.rows[i].astype(np.int32)).view(-1, int(self.lengths[i]))


def unpack(rows):
    """rows [B,T] as stored -> ids, targets (-1: not counted), doc: what loss_of takes."""
    rows = rows.long()
    following = torch.cat([rows[:, 1:], torch.full_like(rows[:, :1], FIRST)], 1)
    counted = (following & COUNTED > 0) & (following & FIRST == 0)
    return rows & ID, torch.where(counted, following & ID, -1), (rows & FIRST > 0).cumsum(1)


def shift(progress, passed, levels):
    """Percent for each (family, level). In the first third of the plan the upper half of a family's levels comes in slowly;
    where pass rates were measured, what is nearly always or hardly ever right is asked less."""
    top = {}
    for f, level, _ in levels:
        top[f] = max(level, top.get(f, 0))
    out = {}
    for f, level, _ in levels:
        percent = 100
        if level > (top[f] + 1) // 2:
            percent = round(25 + 75 * min(1.0, progress * 3))
        if passed is not None:
            rate = passed.get(f"{f} {level}", 0.5)
            percent = 60 if rate > 0.97 else 150 if 0.3 <= rate <= 0.9 else 100
        out[f, level] = percent
    return out


class Stream:
    """Batch after batch. Shard k of a seed is the same whenever it is made: its mixture depends on k alone, or on the pass
    rates that a later stage was given. The next shard is made while the last one is used."""

    def __init__(self, tool, directory, seed, batch_tokens, rows, shard_batches, plan_tokens, threads, gsm8k="", passed=None, shard=0, batch=0):
        self.tool, self.directory, self.seed, self.passed = tool, directory, seed, passed
        self.batch_tokens, self.rows, self.shard_batches = batch_tokens, rows, shard_batches
        self.plan_tokens, self.threads, self.gsm8k = plan_tokens, threads, gsm8k
        self.levels = families(tool)
        self.number, self.at = shard, batch
        self.made = {}  # what the tool said of each shard that is not in use yet
        self.news = []  # and of those in use, until the trainer has written it down
        self.ahead = None
        os.makedirs(f"{directory}/shards", exist_ok=True)
        self.shard = self.take(shard)

    def make(self, k):
        path, factors = f"{self.directory}/shards/{k:06d}.bin", f"{self.directory}/shards/{k:06d}.factors"
        progress = k * self.shard_batches * self.batch_tokens / self.plan_tokens
        with open(factors, "w") as f:
            f.writelines(f"{name} {level} {percent}\n" for (name, level), percent in shift(progress, self.passed, self.levels).items())
        args = [self.tool, "--shard", path, "--batches", str(self.shard_batches), "--batch-tokens", str(self.batch_tokens), "--rows",
                ",".join(map(str, self.rows)), "--seed", str(self.seed * 1000003 + k), "--factors", factors, "--threads", str(self.threads),
                "--tokenizer", f"{self.directory}/tokenizer.json", "--template", f"{self.directory}/chat.jinja"]
        if os.path.exists(f"{self.directory}/requests.json"):
            args += ["--requests", f"{self.directory}/requests.json"]
        if self.gsm8k:
            args += ["--gsm8k", self.gsm8k]
        said = json.loads(subprocess.run(args, stdout=subprocess.PIPE, check=True).stdout)
        digest = hashlib.sha256(open(path, "rb").read()).hexdigest()
        self.made[k] = {"shard": k, "sha256": digest, "tool": hashlib.sha256(open(self.tool, "rb").read()).hexdigest(),
                        "passed": self.passed is not None, **said}

    def take(self, k):
        if self.ahead:
            self.ahead.join()
        if k not in self.made:
            self.make(k)
        for name in os.listdir(f"{self.directory}/shards"):
            if int(name.split(".")[0]) < k:
                os.remove(f"{self.directory}/shards/{name}")
        self.news.append(self.made.pop(k))
        self.ahead = threading.Thread(target=self.make, args=(k + 1,), daemon=True)
        self.ahead.start()
        return Shard(f"{self.directory}/shards/{k:06d}.bin")

    def batch(self):
        if self.at == self.shard.count:
            self.number, self.at = self.number + 1, 0
            self.shard = self.take(self.number)
        rows = self.shard.batch(self.at)
        self.at += 1
        return rows
