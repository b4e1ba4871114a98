"""Looks for what the exam asks among what was trained: 13-grams of words, numbers masked.

    python train/contamination.py --tool build/corpus --documents 200000 --each 50

For every family it prints how many held-out questions share a run of 13 words, numbers counted as one word "0", with the training
questions of the same generators. Templates make such runs: they show how much of an exam is new in its wording. Exact
questions, numbers and all, must share none, and the program fails if they do where the split is by numbers.
"""
import argparse
import collections
import re

import data

N = 13
WORD = re.compile(r"\d+|\w+|[^\w\s]")


def words(text):
    return tuple("0" if w.isdigit() else w.lower() for w in WORD.findall(text))


def grams(text):
    w = words(text)
    return {w[i:i + N] for i in range(len(w) - N + 1)}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--tool", default="build/corpus")
    a.add_argument("--documents", type=int, default=200000)
    a.add_argument("--each", type=int, default=50)
    args = a.parse_args()
    trained, exact = set(), set()
    for seed in range(100, 100 + args.documents // 20000):
        for d in data.documents(args.tool, seed, 20000):
            for t in d["turns"]:
                said = t.get("user", t.get("tool"))
                trained |= grams(said)
                exact.add(said)
    counts = collections.Counter()
    for seed in range(20):
        for d in data.documents(args.tool, 9000 + seed, args.each * 10, "--held-out"):
            said = d["turns"][-1].get("user", d["turns"][-1].get("tool"))
            g = grams(said)
            counts[d["family"], "asked"] += 1
            counts[d["family"], "long"] += bool(g)
            counts[d["family"], "run"] += bool(g & trained)
            counts[d["family"], "exact"] += said in exact
    print("| family | questions | of 13 words or more | share a masked 13-gram | trained word for word |\n|---|---|---|---|---|")
    for family in dict.fromkeys(f for f, _ in counts):
        print(f"| {family} | " + " | ".join(str(counts[family, k]) for k in ("asked", "long", "run", "exact")) + " |")


if __name__ == "__main__":
    main()
