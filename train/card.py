"""Writes the measured parts of docs/model.md: accuracy tables from `thinkd exam --json`, one example per family and level.

    build/thinkd exam --temperature 0 --items 25 --efforts low,medium,high,xhigh --csv docs/model.csv --json > exam.json
    build/corpus --gsm8k train.jsonl --gsm8k-exam 2 > book.jsonl
    build/thinkd exam --temperature 0 --file book.jsonl --json > book.json
    python train/card.py --card docs/model.md --exam exam.json --book book.json --tool build/corpus
"""
import argparse
import json
import re

import data

SHOWN = "medium"  # the effort whose levels are shown one by one
# What was aimed at: words, percent, families, levels.
AIMS = [
    ("sums, differences, products, divisions, expressions, levels 1 to 5", 95, ["add", "sub", "mul", "div", "expr"], range(1, 6)),
    ("linear equations, levels 1 to 5", 90, ["linear"], range(1, 6)),
    ("gcd, levels 1 to 5", 90, ["gcd"], range(1, 6)),
    ("remainders (`mod`), levels 1 to 5", 90, ["mod"], range(1, 6)),
    ("word problems of unseen templates, to 4 steps (`story-new`)", 80, ["story-new"], range(1, 5)),
    ("requests beyond it declined (`decline`)", 95, ["decline"], range(1, 9)),
    ("functions called by the right name with the right arguments, nothing holding the model to a form (`tool`)", 95, ["tool"], range(1, 9)),
]


def rows_of(report, effort):
    return next(c for c in report["candidates"] if c["effort"] == effort)["rows"]


def percent(r):
    return f"{100 * r['accuracy']:.1f}%"


def accuracy(report):
    """Families as rows, their levels as columns, in whole percent; all of them together with an interval."""
    rows = rows_of(report, SHOWN)
    levels = range(1, 1 + max(r["level"] or 0 for r in rows))
    out = ["| family | " + " | ".join(map(str, levels)) + " | all | 95% interval | tokens |", "|---" * (len(levels) + 4) + "|"]
    for whole in [r for r in rows if not r["level"]]:
        at = {r["level"]: r for r in rows if r["family"] == whole["family"]}
        cells = [f"{100 * at[n]['accuracy']:.0f}" if n in at else "" for n in levels]
        out.append(f"| {whole['family']} | " + " | ".join(cells) + f" | {percent(whole)} | {100 * whole['low']:.1f}-{100 * whole['high']:.1f} | "
                   f"{whole['output_tokens'] / max(1, whole['asked']):.0f} |")
    return "\n".join(out)


def efforts(report):
    """One column of accuracy and tokens for each effort, families as rows."""
    parts = {c["effort"]: [r for r in c["rows"] if not r["level"]] + [c["total"]] for c in report["candidates"]}
    out = ["| family | " + " | ".join(f"{n} | tokens" for n in parts) + " |", "|---" * (1 + 2 * len(parts)) + "|"]
    for same in zip(*parts.values()):
        cells = [f"{percent(r)} | {r['output_tokens'] / max(1, r['asked']):.0f}" for r in same]
        out.append(f"| {same[0]['family']} | " + " | ".join(cells) + " |")
    return "\n".join(out)


def aims(report, book):
    rows = [r for r in rows_of(report, SHOWN) if r["level"]]
    out = ["| aim | wanted | has |", "|---|---|---|"]
    for words, wanted, families, levels in AIMS:
        asked = [r for r in rows if r["family"] in families and r["level"] in levels]
        n = sum(r["asked"] for r in asked)
        out.append(f"| {words} | {wanted}% | {100 * sum(r['right'] for r in asked) / n:.1f}% of {n} |")
    if book:
        total = book["total"]
        out.append("| word problems that people wrote: GSM8K's withheld ones of one and two steps | as high as it goes | "
                   f"{percent(total)} of {total['asked']} ({100 * total['low']:.1f}-{100 * total['high']:.1f}) |")
    between = {r["family"] for r in rows if 0.4 <= r["accuracy"] <= 0.8}
    out.append(f"| families with a level of 40 to 80% at one sample | half | {len(between)} of {len({r['family'] for r in rows})} |")
    return "\n".join(out)


def examples(tool, report):
    out = ["| family | level | question | answer |", "|---|---|---|---|"]
    for r in rows_of(report, SHOWN):
        if not r["level"]:
            continue
        docs = data.documents(tool, 31, 1, "--held-out", "--family", r["family"], "--level", str(r["level"]), "--effort", "low")
        turn = docs[0]["turns"][-1]
        answer = turn["answer"] if turn["text"].startswith("Answer") else turn["text"]
        cell = lambda s: s.strip().replace("|", "\\|").replace("\n", "<br>").replace("*", "\\*")
        out.append(f"| {r['family']} | {r['level']} | {cell(turn.get('user', turn.get('tool')))} | {cell(answer)} |")
    return "\n".join(out)


def making(path):
    m = json.load(open(path, encoding="utf-8"))
    rows = [("size", f"{m['run']['size']}, vocabulary {m['run']['config']['vocab']:,}"), ("steps", f"{m['step']:,} of {m['run']['step_tokens']:,} tokens"),
            ("tokens seen, padding included", f"{m['tokens']:,}"), ("tokens that counted in the loss", f"{m['counted_tokens']:,}"),
            ("documents", f"{m['documents']:,}"), ("hours of training", f"{m['seconds'] / 3600:.1f}"), ("seed", str(m["run"]["seed"])),
            ("data (sha256 over its shards')", f"`{m['data_sha256'][:16]}…`"), ("last loss", str(m["loss"]))]
    if m["from"]:
        rows.append(("began with the weights of (sha256)", f"`{m['from'][0][:16]}…`"))
    return "\n".join(["| what | value |", "|---|---|"] + [f"| {a} | {b} |" for a, b in rows])


def replace(text, name, body):
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
    assert pattern.search(text), name
    return pattern.sub(lambda m: m.group(1) + body + "\n" + m.group(2), text)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--card", default="docs/model.md")
    a.add_argument("--exam", required=True)
    a.add_argument("--book", default="", help="report of an exam of GSM8K's withheld problems")
    a.add_argument("--tool", default="build/corpus")
    a.add_argument("--manifest", default="models/thinkd-first.json")
    args = a.parse_args()
    text, report = open(args.card, encoding="utf-8").read(), json.load(open(args.exam, encoding="utf-8"))
    text = replace(text, "accuracy", accuracy(report))
    text = replace(text, "efforts", efforts(report))
    text = replace(text, "aims", aims(report, json.load(open(args.book, encoding="utf-8")) if args.book else None))
    text = replace(text, "examples", examples(args.tool, report))
    text = replace(text, "making", making(args.manifest))
    open(args.card, "w", encoding="utf-8").write(text)


if __name__ == "__main__":
    main()
