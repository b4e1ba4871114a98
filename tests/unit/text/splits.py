#!/usr/bin/env python3
"""Writes splits.golden from the families' own regular expressions, run by the library that they were written for.

    pip install tokenizers && ./splits.py [--check]

A line for each way in which some families cut a text: their names, a tab, the words as a JSON list. The texts are the words
joined. Unicode's newest letters are left out: libraries differ in which Unicode they know.
"""
import json
import pathlib
import sys

from tokenizers import Regex, pre_tokenizers

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CJK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"


def llama3(digits):
    return CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def o200k(suffix, digits):
    upper, lower = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
    start = r"[^\r\n\p{L}\p{N}]?"
    return (f"{start}{upper}*{lower}+{suffix}|{start}{upper}+{lower}*{suffix}|{digits}" +
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


FAMILIES = {
    "llama-bpe": [llama3(r"\p{N}{1,3}")],
    "qwen2": [llama3(r"\p{N}")],
    "gpt-4o": [o200k(CONTRACTIONS + "?", r"\p{N}{1,3}")],
    "tekken": [o200k("", r"\p{N}")],
    "gpt-2": [GPT2],
    "smollm": [r"\p{N}", GPT2],
    "seed-coder": [CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK, r"\p{N}"],
    "deepseek-v3": [r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
                    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"
                    r" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
}

TEXTS = [
    "Hello, world! It's 2024; I'LL pay $1,234.50.\n", "don't DON'T Don'T we'Ve y'all 'tis ''s 'ſ", "a  b   c\t\td \t e",
    "\n\n\n  \n x\r\n\r\ny \n", "  leading and trailing  ", "x = {'a': [1, 22, 333, 4444]}  # done\n\treturn x+=1;",
    "HTMLParser parseHTML XMLHttpRequest2 snake_case CONST_CASE iPhone15Pro", "naïve Zürich STRAßE Ǆungla ǅ ÉCOLE Élan éÉ",
    "e\u0301cole o\u0308\u0308 \u0301x a\u20e3 \u0915\u094d\u0937\u093f \u0e01\u0e33\u0e49", "我爱你，世界。カタカナとひらがな 한국어 띄어쓰기",
    "\u0661\u0662\u0663 \u0967\u0968 \u00b2\u00b3 \u00bd \u2167 \u2460 \u3007 \U0001d7ce7", "👨\u200d👩\u200d👧 🇨🇭 👍🏽 1\ufe0f\u20e3 ❤️!",
    "a\u00a0b\u2003c\u3000d\u2028e\u0085f\u180eg\u200bh\ufeffi", " \u00a0 \u3000\n \u2029 \n", "https://example.org/a/b?c=d&e=%20#f\n//x\n/",
    "...!!! ?!\n--- ___ ***\n\n", "<|im_start|>user\nhi</think>[INST]", "Ελληνικά Ωμέγα, Русский текст; ქართული ᲥᲐᲠᲗ",
    "שלום עולם مرحبا بالعالم", "𝑓(𝑥)=𝑥² ∑∫√ €5 £6 ¥7 ±1", "0x1F 1e-5 3.14159 1_000_000 v2.0.1", "\\frac{a}{b} \\n \"quoted\" `code`",
    "I'm you're they'd he'll it'd've", "\x01\x1f\x7f x\x0b\x0cy", "",
]


def lines():
    for text in TEXTS:
        ways = {}
        for name, patterns in FAMILIES.items():
            cut = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(p), "isolated") for p in patterns])
            words = [word for word, _ in cut.pre_tokenize_str(text)]
            assert "".join(words) == text
            ways.setdefault(json.dumps(words, ensure_ascii=True), []).append(name)
        for words, names in ways.items():
            yield " ".join(names) + "\t" + words + "\n"


def main():
    path = pathlib.Path(__file__).with_name("splits.golden")
    golden = "".join(lines())
    if "--check" in sys.argv:
        sys.exit(path.read_text() != golden)
    path.write_text(golden)


if __name__ == "__main__":
    main()
