"""What tests/train/run asks in another Python: checks.py FUNCTION TOOL DIR."""
import json
import os
import pathlib
import random
import subprocess
import sys
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "train"))
import chat  # noqa: E402

ID, FIRST, COUNTED = 0x3FFF, 0x4000, 0x8000


def tool(path, *args, **kw):
    return subprocess.run([path, *map(str, args)], capture_output=True, text=True, check=True, **kw).stdout


def made(path, directory, vocab=600):
    """A small tokenizer on the tool's own documents; its file and the template's."""
    docs = [json.loads(line) for line in tool(path, "--json", "--count", 1500, "--seed", 7).splitlines()]
    file = f"{directory}/tokenizer.json"
    chat.train_tokenizer(chat.corpus_texts(docs, ["Write a poem."]), vocab).save(file)
    return file


def random_text(rng):
    """Any character that Unicode had assigned by the time of this Python: later ones split as each table knows them."""
    out = []
    for _ in range(rng.randrange(40)):
        c = chr(rng.choice([rng.randrange(0x20, 0x7F), rng.randrange(0x80, 0x800), rng.randrange(0x800, 0xD800), rng.randrange(0xE000, 0x20000),
                            *map(ord, " \n\t\r'0")]))
        out.append(c if unicodedata.category(c) not in ("Cn", "Cs", "Co") else rng.choice(["<|im_end|>", "<think>", "'s", " the", "  "]))
    return "".join(out)


def tokens_agree(path, directory):
    file, rng = made(path, directory), random.Random(5)
    texts = [random_text(rng) for _ in range(4000)]
    said = tool(path, "--encode", "--tokenizer", file, "--template", chat.TEMPLATE_FILE, input="".join(json.dumps(t) + "\n" for t in texts))
    tok = chat.load(file)
    for text, ids in zip(texts, map(json.loads, said.splitlines()), strict=True):
        assert tok.encode(text).ids == ids, (text, tok.encode(text).ids, ids)
        assert tok.decode(ids, skip_special_tokens=False) == text
    digits = tok.encode("90210").ids
    assert len(digits) == 5 and [tok.decode([i]) for i in digits] == list("90210")


def prompts_agree(path, directory):
    jinja, seen = chat.compiled(chat.template()), set()
    for seed, args in ((17, []), (18, ["--held-out"])):
        lines = tool(path, "--json", "--count", 1500, "--seed", seed, "--tokenizer", made(path, directory), "--template", chat.TEMPLATE_FILE, *args)
        for d in map(json.loads, lines.splitlines()):
            assert chat.prompt(jinja, d) == d["prompt"], (d["prompt"], chat.prompt(jinja, d))
            seen |= {"system"} if d["system"] else set()
            seen |= {"turns"} if len(d["turns"]) > 1 else set()
            seen |= {"tools"} if d["tools"] else set()
            seen |= {"result"} if any("tool" in t for t in d["turns"]) else set()
            seen.add(d["effort"])
    assert seen >= {"system", "turns", "tools", "result", "low", "medium", "high", "xhigh"}, seen


def template_says(path, directory):
    jinja = chat.compiled(chat.template())
    call = {"type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    tools = [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}]
    messages = [{"role": "developer", "content": "S"}, {"role": "user", "content": "u"}, {"role": "assistant", "content": None, "tool_calls": [call, call]},
                {"role": "tool", "content": "r"}, {"role": "assistant", "content": "t"}, {"role": "system", "content": "s"}]
    got = jinja.render(messages=messages, tools=tools, reasoning_effort="max", enable_thinking=False)
    line = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
    assert got == ('<|im_start|>system\n<|xhigh|>S\n# Tools\n{"name": "f", "description": "d", "parameters": {"type": "object"}}<|im_end|>\n'
                   f"<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n{line}\n{line}<|im_end|>\n"
                   "<|im_start|>user\n<tool_response>\nr\n</tool_response><|im_end|>\n<|im_start|>assistant\nt<|im_end|>\n"
                   "<|im_start|>system\ns<|im_end|>\n<|im_start|>assistant\n<think>\n</think>\n"), got
    for given, effort in {"none": "low", "minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "xhigh"}.items():
        assert jinja.render(messages=[{"role": "user", "content": "u"}], reasoning_effort=given).startswith(f"<|im_start|>system\n<|{effort}|><|im_end|>\n")
    assert jinja.render(messages=[{"role": "user", "content": "u"}], add_generation_prompt=False).endswith("u<|im_end|>\n")


def declines_begin_alike(path, directory):
    for line in tool(path, "--json", "--seed", "3", "--count", "40", "--family", "decline").splitlines():
        assert json.loads(line)["turns"][-1]["text"].startswith(chat.REFUSAL), line


def shard(path, directory, name, *args):
    out = f"{directory}/{name}"
    said = json.loads(tool(path, "--shard", out, "--batches", 12, "--batch-tokens", 2048, "--rows", "256,512", "--tokenizer",
                           f"{directory}/tokenizer.json", "--template", chat.TEMPLATE_FILE, *args))
    return pathlib.Path(out).read_bytes(), said


def shards_repeat(path, directory):
    made(path, directory)
    one, two = shard(path, directory, "1", "--threads", 1)[0], shard(path, directory, "2", "--threads", 5)[0]
    assert one == two
    assert one != shard(path, directory, "3", "--seed", 2)[0]


def rows_of(raw):
    u32 = lambda at: int.from_bytes(raw[at:at + 4], "little")
    assert raw[:8] == b"thinkdS1"
    tokens, count = u32(8), u32(12)
    at = -(-(16 + 4 * count) // 64) * 64
    for i in range(count):
        length = u32(16 + 4 * i)
        for _ in range(tokens // length):
            yield [int.from_bytes(raw[at + 2 * j:at + 2 * j + 2], "little") for j in range(length)]
            at += 2 * length
    assert at == len(raw)


def documents_in(row):
    starts = [i for i, t in enumerate(row) if t & FIRST] + [len(row)]
    return [row[a:b] for a, b in zip(starts, starts[1:])]


def shards_hold(path, directory):
    tok = chat.load(made(path, directory))
    raw, said = shard(path, directory, "1")
    docs = [d for row in rows_of(raw) for d in documents_in(row)]
    docs = [d for d in docs if any(t & COUNTED for t in d)]
    assert len(docs) == said["documents"] and sum(map(len, docs)) == said["tokens"], said
    kinds = {"off": 0, "cut": 0, "more": 0, "all": 0}
    for d in docs:
        text = tok.decode([t & ID for t in d], skip_special_tokens=False)
        assert text.startswith("<|im_start|>system\n<|") and text.endswith("<|im_end|>"), text
        counted = [bool(t & COUNTED) for t in d]
        assert not counted[0] and counted[-1]
        first = counted.index(True)
        if first == 1:
            kinds["all"] += 1
        else:
            assert tok.decode([t & ID for t in d[:first]], skip_special_tokens=False).endswith(("<|im_start|>assistant\n", "</think>\n", "<|more|>"))
        forced = tok.decode([t & ID for t, c in zip(d[first:], counted[first:]) if not c], skip_special_tokens=False)
        assert forced in ("", chat.CLOSE + "</think>", "<|more|>") or first == 1, forced
        kinds["off"] += "<think>\n</think>\n" in text
        kinds["cut"] += chat.CLOSE in text
        kinds["more"] += "<|more|>" in text
    assert all(kinds.values()), kinds


# --- with PyTorch ---------------------------------------------------------------------------------------------------------


def train(path, directory, *args):
    run = subprocess.run([sys.executable, ROOT / "train" / "train.py", "--tool", path, "--size", "toy", "--compile", "0", "--vocab", "512", "--threads", "1",
                          "--shard-batches", "5", "--state", directory, *map(str, args)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-1500:]
    return run.stdout


def load(file):
    import torch
    return torch.load(file, weights_only=True)


def same(a, b):
    import torch
    return all(torch.equal(a["weights"][n], b["weights"][n]) for n in a["weights"])


def resumes(path, directory):
    train(path, f"{directory}/whole", "--steps", 12)
    train(path, f"{directory}/cut", "--steps", 7)
    train(path, f"{directory}/cut", "--resume", "--steps", 5)
    whole, cut = load(f"{directory}/whole/checkpoint.pt"), load(f"{directory}/cut/checkpoint.pt")
    assert same(whole, cut) and whole["place"] == cut["place"] and whole["seen"] == cut["seen"]
    shards = lambda saved: [h["sha256"] for h in saved["history"] if "shard" in h]
    assert shards(whole) == list(dict.fromkeys(shards(cut)))
    refused = subprocess.run([sys.executable, ROOT / "train" / "train.py", "--state", f"{directory}/cut", "--steps", "1"], capture_output=True, text=True)
    assert refused.returncode == 2 and "--resume" in refused.stderr


def decays(path, directory):
    train(path, directory, "--steps", 4)
    before = load(f"{directory}/checkpoint.pt")
    train(path, directory, "--resume", "--steps", 4, "--decay", 1, "--deliver", f"{directory}/out")
    after, final = load(f"{directory}/checkpoint.pt"), load(f"{directory}/final.pt")
    assert same(before, after) and before["step"] == 4 and final["step"] == 8 and not same(before, final)
    delivered = load(f"{directory}/out/final.pt.0")
    assert "optimizers" not in delivered and all((delivered["weights"][n].float() - v).abs().max() <= 0.01 * v.abs().max() for n, v in final["weights"].items())


def documents_apart(path, directory):
    import torch

    from model import Config, Model, loss_of
    torch.manual_seed(1)
    model = Model(Config(vocab=64, width=32, layers=2, ff=64, heads=4, kv_heads=2, head_dim=8)).init(1)
    one, two = torch.randint(0, 64, (1, 9)), torch.randint(0, 64, (1, 7))
    targets = lambda ids: torch.cat([ids[:, 1:], torch.full((1, 1), -1)], 1)
    doc = torch.tensor([[1] * 9 + [2] * 7])
    both = loss_of(model, torch.cat([one, two], 1), torch.cat([targets(one), targets(two)], 1), doc)
    apart = sum(loss_of(model, ids, targets(ids), torch.ones_like(ids)) for ids in (one, two))
    assert abs(float(both - apart)) < 1e-3, (float(both), float(apart))


def exports(path, directory):
    train(path, directory, "--steps", 4)
    for script, args in (("export.py", ["--state", directory, "--checkpoint", "checkpoint.pt", "--out", f"{directory}/models", "--tool", path, "--part-mib",
                                        "0.05"]),
                         ("verify.py", [f"{directory}/models/thinkd-first.gguf", f"{directory}/models/logits.golden.json"])):
        run = subprocess.run([sys.executable, ROOT / "train" / script, *args], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr[-1500:]
    manifest = json.load(open(f"{directory}/models/thinkd-first.json"))
    assert manifest["step"] == 4 and manifest["shards"] >= 1 and len(manifest["data_sha256"]) == 64
    whole = pathlib.Path(f"{directory}/models/thinkd-first.gguf").read_bytes()
    parts = sorted(pathlib.Path(f"{directory}/models").glob("*.gguf.*"), key=lambda p: int(p.suffix[1:]))
    assert len(parts) > 1 and b"".join(p.read_bytes() for p in parts) == whole


def warm(path, directory):
    import torch
    train(path, f"{directory}/a", "--steps", 2)
    subprocess.run([sys.executable, ROOT / "train" / "export.py", "--state", f"{directory}/a", "--checkpoint", "checkpoint.pt", "--tool", path,
                    "--only-model", f"{directory}/a.gguf"], check=True, capture_output=True)
    train(path, f"{directory}/b", "--steps", 1, "--vocab", 560, "--from-gguf", f"{directory}/a.gguf", "--lr", 0)
    a, b = load(f"{directory}/a/checkpoint.pt")["weights"], load(f"{directory}/b/checkpoint.pt")["weights"]
    assert b["token_embd"].shape[0] == 560
    near = lambda x, y: float((x - y).abs().max()) < 0.01 * float(x.abs().max())
    assert all(near(a[n], b[n]) for n in a if n != "token_embd")
    one, two = chat.load(f"{directory}/a/tokenizer.json").token_to_id("7"), chat.load(f"{directory}/b/tokenizer.json").token_to_id("7")
    assert torch.allclose(a["token_embd"][one], b["token_embd"][two], atol=0.01)


def grows(path, directory):
    """Layers that a file does not have leave what the model computes as it was."""
    import torch

    import warm as module
    from model import Config, Model
    shape = dict(vocab=64, width=32, ff=64, heads=4, kv_heads=2, head_dim=8)
    small, large = Model(Config(layers=3, **shape)).init(1), Model(Config(layers=5, **shape)).init(2)
    weights = module.grown({n: v.numpy() for n, v in small.state_dict().items()}, 5)
    large.load_state_dict({n: torch.tensor(v) for n, v in weights.items()})
    ids = torch.randint(0, 64, (1, 9))
    run = lambda m: m(ids, m.cos[:9], m.sin[:9], torch.full((9, 9), -30000.0).triu(1)[None, None])
    assert torch.allclose(run(small), run(large), atol=1e-5)


def rewards_run(path, directory):
    """The whole of grpo.py at toy size: replies drawn in torch, and by the engine."""
    train(path, directory, "--steps", 2)
    for more in ([], ["--engine", pathlib.Path(path).parent / "thinkd"]):
        run = subprocess.run([sys.executable, ROOT / "train" / "grpo.py", "--state", directory, "--checkpoint", "checkpoint.pt", "--tool", path, "--steps", "1",
                              "--prompts", "3", "--samples", "4", "--held-out", "4", "--rows", "16", *more], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr[-1500:]
        rows = [json.loads(line) for line in open(f"{directory}/grpo.jsonl")]
        os.remove(f"{directory}/grpo.jsonl")
        assert {"pass", "vote"} <= rows[0].keys() and "right" in rows[1]
        # groups that are all right or all wrong teach nothing; chance may make one of another kind
        assert same(load(f"{directory}/grpo-last.pt"), load(f"{directory}/checkpoint.pt")) == (rows[1]["groups"] == 0)


def draws(path, directory):
    """What the engine says it drew a token with is what torch computes for it, but for the rounding of its weights."""
    import torch

    import export
    import grpo
    from evaluate import Asker, load_model
    import data
    train(path, directory, "--steps", 2)
    model, _ = load_model(f"{directory}/checkpoint.pt")
    asker = Asker(model, directory, path)
    template = open(f"{directory}/chat.jinja", encoding="utf-8").read().rstrip("\n")
    source = grpo.Served(asker, f"{pathlib.Path(path).parent}/thinkd", f"{directory}/served.gguf", template, model.c, "q8_0", 1)
    documents = [d for d in data.documents(path, 5, 6, "--family", "add", "--level", "2", "--effort", "low") if len(d["turns"]) == 1]
    groups, _ = grpo.roll_out(asker, source, documents, 3)
    assert [len(g) for g in groups] == [3] * len(documents)
    model.load_state_dict(export.dequantised(model.state_dict()))
    for r in (r for g in groups for r in g):
        whole = torch.tensor([r.prompt + r.reply])
        t = whole.shape[1]
        logits = model(whole, model.cos[:t], model.sin[:t], torch.full((t, t), -30000.0).triu(1)[None, None])[0]
        now = logits.log_softmax(-1)[len(r.prompt) - 1:t - 1].gather(1, whole[0, len(r.prompt):, None])[:, 0]
        told = torch.tensor(r.drawn)
        assert ((now - told).abs()[~told.isnan()] < 0.1).all() and told.isnan().sum() <= 1, (now - told).abs().max()
    asker.mark.close()


def shifts(path, directory):
    """Hard levels come in slowly; measured ones by their rates, whoever measured them."""
    import data
    levels = [("add", i, 1.0) for i in range(1, 9)]
    early, late = data.shift(0, None, levels), data.shift(0.5, None, levels)
    assert early["add", 4] == 100 and early["add", 5] == 25 and set(late.values()) == {100}
    report = f"{directory}/report.json"
    said = subprocess.run([f"{pathlib.Path(path).parent}/thinkd", "exam", "--engine", "echo", "--families", "add", "--items", "2", "--efforts", "low,high",
                           "--json"], capture_output=True, text=True, check=True).stdout
    said = json.loads(said)
    for candidate, right in zip(said["candidates"], (2, 1)):
        for row in candidate["rows"]:
            row["right"] = {1: 2, 2: right}.get(row["level"], 0)
    pathlib.Path(report).write_text(json.dumps(said))
    rates = data.pass_rates(report)
    assert rates.keys() == {f"add {i}" for i in range(1, 9)} and rates["add 1"] == 1 and rates["add 2"] == 0.75
    measured = data.shift(0.5, rates, levels)
    assert measured["add", 1] == 60 and measured["add", 2] == 150 and measured["add", 3] == 100


def reinforces(path, directory):
    import torch

    import grpo
    from model import Config, Model
    torch.manual_seed(1)
    model = Model(Config(vocab=16, width=32, layers=2, ff=64, heads=4, kv_heads=2, head_dim=8)).init(1)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    chance = lambda: float(model(torch.tensor([[1, 2]]), model.cos[:2], model.sin[:2], torch.zeros(1, 1, 2, 2)).detach().softmax(-1)[0, -1, 5])
    before = chance()
    for _ in range(30):
        rollouts = [grpo.Rollout([1, 2], [5], 1.0), grpo.Rollout([1, 2], [6], 0.0), grpo.Rollout([1, 2], [7], 0.0), grpo.Rollout([1, 2], [5], 1.0)]
        grpo.update(model, optimizer, grpo.advantages([rollouts]), 16)
    assert chance() > before + 0.2, (before, chance())
    assert grpo.advantages([[grpo.Rollout([1], [2], 1.0), grpo.Rollout([1], [3], 1.0)]]) == []


def clips(path, directory):
    """Replies share rows and each sees itself alone; a token that was drawn with much less chance is not made likelier still."""
    import torch

    import grpo
    from model import Config, Model
    torch.manual_seed(1)
    model = Model(Config(vocab=16, width=32, layers=2, ff=64, heads=4, kv_heads=2, head_dim=8)).init(1)
    ids = lambda n: torch.randint(1, 16, (n,)).tolist()
    scored = [grpo.Scored(grpo.Rollout(ids(1 + i % 7), ids(1 + 37 * i % 400), 1.0), (-1) ** i * (1 + i)) for i in range(30)]
    pieces = grpo.rows_of(scored, 1024)
    assert sum(int((p[1] >= 0).sum()) for p in pieces) == sum(len(s.rollout.reply) for s in scored)
    assert {p[0].shape for p in pieces} <= {(4, 256), (2, 512), (1, 1024)}
    total = 0.0
    for (prompt, reply, *_), advantage in scored:
        whole = torch.tensor([prompt + reply])
        t = whole.shape[1]
        logits = model(whole, model.cos[:t], model.sin[:t], torch.full((t, t), -30000.0).triu(1)[None, None])[0]
        chosen = logits.log_softmax(-1)[len(prompt) - 1:t - 1].gather(1, whole[0, len(prompt):, None])
        total += float(chosen.detach().sum()) * -1
    assert abs(sum(float(grpo.loss_of(model, *p)[1]) for p in pieces) - total) < 1e-3 * total
    for drawn, advantage, moves in ((-50.0, 1.0, False), (-50.0, -1.0, True), (0.0, 1.0, True), (0.0, -1.0, False)):
        model.zero_grad()
        (piece,) = grpo.rows_of([grpo.Scored(grpo.Rollout([1, 2], [5], 1.0, [drawn]), advantage)], 256)
        grpo.loss_of(model, *piece)[0].backward()
        assert (float(model.token_embd.grad.abs().sum()) > 0) == moves, (drawn, advantage)


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    globals()[sys.argv[1]](sys.argv[2], *sys.argv[3:])
