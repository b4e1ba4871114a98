"""Writes the measured parts of docs/model.md: accuracy tables from `thinkd exam --json`, one example per family and level.

    build/thinkd exam --json --temperature 0 --items 100 --effort medium > exam.json
    build/thinkd exam --json --temperature 0 --items 40 --effort low > low.json      # and high
    python train/card.py --card docs/model.md --exam exam.json --low low.json --high high.json --tool build/corpus
"""
import argparse
import json
import re

import data


def accuracy(path):
    report = json.load(open(path, encoding="utf-8"))
    out = ["| family | level | asked | right | accuracy | 95% interval | tokens |", "|---|---|---|---|---|---|---|"]
    for r in report["rows"] + [report["total"]]:
        level = r["level"] or "all"
        bold = "**" if level == "all" else ""
        out.append(f"| {bold}{r['family']}{bold} | {level} | {r['asked']} | {r['right']} | {bold}{100 * r['accuracy']:.1f}%{bold} | "
                   f"{100 * r['low']:.1f}-{100 * r['high']:.1f} | {r['output_tokens'] / max(1, r['asked']):.0f} |")
    return "\n".join(out)


def efforts(paths):
    """One column of accuracy and tokens for each effort, families as rows."""
    reports = {name: {r["family"]: r for r in json.load(open(path, encoding="utf-8"))["rows"] if not r["level"]} for name, path in paths}
    out = ["| family | " + " | ".join(f"{n}: right | tokens" for n in reports) + " |", "|---" * (1 + 2 * len(reports)) + "|"]
    for family in next(iter(reports.values())):
        cells = [f"{100 * r[family]['accuracy']:.1f}% of {r[family]['asked']} | {r[family]['output_tokens'] / r[family]['asked']:.0f}"
                 for r in reports.values()]
        out.append(f"| {family} | " + " | ".join(cells) + " |")
    return "\n".join(out)


def examples(tool, exam):
    report = json.load(open(exam, encoding="utf-8"))
    out = ["| family | level | question | answer |", "|---|---|---|---|"]
    for r in report["rows"]:
        if not r["level"]:
            continue
        docs = data.documents(tool, 31, 1, "--held-out", "--family", r["family"], "--level", str(r["level"]), "--effort", "low")
        turn = docs[0]["turns"][-1]
        answer = turn["answer"] if turn["text"].startswith("Answer") else turn["text"]
        cell = lambda s: s.strip().replace("|", "\\|").replace("\n", "<br>").replace("*", "\\*")
        out.append(f"| {r['family']} | {r['level']} | {cell(turn['user'])} | {cell(answer)} |")
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
    a.add_argument("--low", required=True)
    a.add_argument("--high", required=True)
    a.add_argument("--tool", default="build/corpus")
    a.add_argument("--manifest", default="models/thinkd-first.json")
    args = a.parse_args()
    text = open(args.card, encoding="utf-8").read()
    text = replace(text, "accuracy", accuracy(args.exam))
    text = replace(text, "efforts", efforts([("low", args.low), ("medium", args.exam), ("high", args.high)]))
    text = replace(text, "examples", examples(args.tool, args.exam))
    text = replace(text, "making", making(args.manifest))
    open(args.card, "w", encoding="utf-8").write(text)


if __name__ == "__main__":
    main()
