"""sides.py - the two engines that bench/engine compares, each as functions from a work to a figure.

A work is a row of bench/engine's table. thinkd is always there; llama.cpp where the anchor is (tests/anchor/anchor.py).
Both run as new processes for each figure, with the same files and as many threads, and nothing beside them.
"""
import json
import os
import pathlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/anchor"))
from anchor import Anchor  # noqa: E402

START_SECONDS = 120


class Failed(Exception):
    """A program of one side did not do its work; what it wrote last."""


def measured(command, limit_s=3600):
    """(standard output, the most memory that was resident, in bytes)"""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        p = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        timer = threading.Timer(limit_s, p.kill)
        timer.start()
        _, status, usage = os.wait4(p.pid, 0)
        timer.cancel()
        p.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if p.returncode:
            raise Failed(f"{' '.join(map(str, command))}: exit status {p.returncode}\n"
                         f"{err.read().decode(errors='replace')[-1500:]}")
        return out.read().decode(errors="replace"), usage.ru_maxrss * 1024


def objects(text):
    """The lines that are JSON objects; llama.cpp's programs write others between them."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]


class Probe:
    def __init__(self, build, threads):
        self.command = [build / "bench/peaks", "--threads", str(threads)]

    def bandwidth(self):
        return objects(measured([*self.command, "--bandwidth"])[0])[0]["dram_gb_s"]

    def peaks(self, size):
        return objects(measured([*self.command, "--bytes", str(size)])[0])[0]


# --- what HTTP works send: the same bytes to both -----------------------------------------------------------------

def bodies(work, count, model):
    """clients: one prompt for all; requests: a token each."""
    def body(ids):
        b = {"prompt": ids, "max_tokens": 1, "ignore_eos": True, "temperature": 0}
        return json.dumps(b | ({"model": model} if model else {}))

    def ids(n):
        return [random.randrange(4000) for _ in range(n)]
    if work.kind == "clients":
        return [body(ids(work.prefix))]
    return [body(ids(1)) for _ in range(count)]


def load(build, port, work, model):
    """clients: mean seconds to the first token; requests: answers a second."""
    with tempfile.NamedTemporaryFile("w") as f:
        count = work.branches if work.kind == "clients" else 1024
        warm = [build / "bench/load", str(port), "1", "1", bodies(work._replace(kind="requests"), 1, model)[0]]
        measured(warm)
        f.write("\n".join(bodies(work, count, model)))
        f.flush()
        text, _ = measured([build / "bench/load", str(port), str(work.branches), str(count), "@" + f.name])
    said = objects(text)[0]
    return said["wait_median_s"] if work.kind == "clients" else said["per_second"]


class Server:
    """A server process until the end of the block; ready(line) or healthy() says when it listens."""

    def __init__(self, command):
        self.lines = []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        errors="replace", stdin=subprocess.DEVNULL)
        self.thread = threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait(self, ready):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            found = ready(self)
            if found:
                return found
            time.sleep(0.05)
        raise Failed("a server did not start:\n" + "".join(self.lines[-15:]))


# --- thinkd ---------------------------------------------------------------------------------------------------------

class Thinkd:
    name = "thinkd"

    def __init__(self, build, threads, kv):
        self.build, self.threads, self.kv = build, threads, kv

    def engine(self, work, path, name):
        text, peak = measured([self.build / "bench/engine", path, "--work", name, "--prefix", str(work.prefix), "--new",
                               str(work.new), "--branches", str(work.branches), "--runs", str(work.runs), "--threads",
                               str(self.threads), "--kv", self.kv])
        return objects(text), peak

    def figure(self, work, path):
        if work.kind in ("clients", "requests"):
            return self.serve(work, path)
        runs, peak = self.engine(work, path, {"memory": "branches"}.get(work.kind, work.kind))
        if work.kind == "memory":
            return peak
        key = "prefill_per_s" if work.kind == "prefill" else "decode_per_s"
        return sorted(r[key] for r in runs)[len(runs) // 2]

    def serve(self, work, path):
        command = [self.build / "thinkd", "serve", "--listen", "127.0.0.1:0", "--data", ":memory:", "--model", path,
                   "--threads", str(self.threads), "--log-level", "info", "--context", "4096"]

        def listening(s):
            found = re.search(r"http://127\.0\.0\.1:(\d+)", "".join(s.lines))
            return found and int(found[1])
        with Server(command) as server:
            port = server.wait(listening)
            listed = json.load(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"http://127.0.0.1:{port}/v1/models", timeout=30))
            return load(self.build, port, work, listed["data"][0]["id"])


# --- llama.cpp ------------------------------------------------------------------------------------------------------

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Llama:
    """Flash attention on or off, one cache for all sequences or one each, and where thinkd keeps 8 bits of keys and values the
    same or halves: which is better depends on the work, so each work tries all, once, and is compared with the best."""
    name = "llama.cpp"

    def __init__(self, build, threads, kv):
        self.anchor, self.build, self.threads, self.kv = Anchor(), build, threads, kv

    def settings(self, work):
        flash = [["-fa", "on"], ["-fa", "off"]]
        if self.kv == "q8_0":
            flash.append(["-fa", "on", "-ctk", "q8_0", "-ctv", "q8_0"])  # values of 8 bits need flash attention
        if work.kind in ("prefill", "stream"):
            return flash
        return [[*f, kvu] for f in flash for kvu in ("-kvu", "-no-kvu")]

    def figure(self, work, path, setting, short=False):
        """short: enough tokens to tell the settings apart."""
        path = self.anchor.inside(path)
        if work.kind in ("clients", "requests"):
            return self.serve(work, path, setting)
        if work.kind in ("prefill", "stream"):
            return self.bench(work, path, setting)
        return self.batched(work, path, setting, min(work.new, 16) if short else work.new)

    def bench(self, work, path, setting):
        tokens = ["-p", work.prefix, "-n", 0] if work.kind == "prefill" else ["-p", 0, "-n", work.new]
        text, _ = measured(self.anchor.command("llama-bench", "-m", path, "-t", self.threads, *tokens, "-r", work.runs,
                                               "-o", "jsonl", *setting))
        return objects(text)[0]["avg_ts"]

    def batched(self, work, path, setting, new):
        cells = work.prefix + work.branches * new if "-kvu" in setting else work.branches * (work.prefix + new)
        cells = (cells + 256 * work.branches + 255) // 256 * 256
        text, peak = measured(self.anchor.command(
            "llama-batched-bench", "-m", path, "-t", self.threads, "-c", cells, "-b", 2048, "-ub", 512, *setting, "-npp",
            work.prefix, "-ntg", new, "-npl", work.branches, "-pps", "--output-format", "jsonl"))
        return peak if work.kind == "memory" else objects(text)[0]["speed_tg"]

    def serve(self, work, path, setting):
        slots, port = work.branches, free_port()
        cells = slots * max(256, (work.prefix + 255) // 256 * 256 + 256)
        command = self.anchor.command("llama-server", "-m", path, "-t", self.threads, "-np", slots, "-c", cells, "--host",
                                      "127.0.0.1", "--port", port, "--log-disable", "-cram", 0, *setting)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        def healthy(_):
            try:
                return direct.open(f"http://127.0.0.1:{port}/health", timeout=5).status == 200
            except (urllib.error.URLError, OSError):
                return False
        with Server(command) as server:
            server.wait(healthy)
            return load(self.build, port, work, None)
