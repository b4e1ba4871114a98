#!/usr/bin/env python3
"""Writes the expected text of every .case beside this file from Jinja2 itself.

    pip install jinja2 && ./expect.py [--check] [FILE.case ...]

A case is a template and one or more pairs of variables (JSON) and what must come of them:
    --- template        until the next line that starts with "--- "; the last newline does not count
    --- variables
    --- expected        the text
    --- raises          the message of raise_exception
    --- fails           a failure while rendering; the line is a part of thinkd's own message
    --- refused         straight behind the template: thinkd does not compile it, and says this
The environment is the one that Hugging Face's apply_chat_template renders in.
"""
import glob
import json
import os
import sys
from datetime import datetime

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("support"), [], [], body).set_lineno(line)

    def support(self, caller):
        return caller()


class Raised(Exception):
    pass


def environment():
    def raise_exception(message):
        raise Raised(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda f: datetime.now().strftime(f)
    return env


def sections(text):
    """[(name, content)] and what stands before the first."""
    head, out, name, lines = [], [], None, []
    for line in text.split("\n"):
        if line.startswith("--- "):
            if name:
                out.append((name, "\n".join(lines)))
            name, lines = line[4:], []
        elif name:
            lines.append(line)
        else:
            head.append(line)
    if lines and lines[-1] == "":
        lines.pop()  # the file's own last newline
    if name:
        out.append((name, "\n".join(lines)))
    return "\n".join(head), out


def render(source, variables):
    """(kind, text)"""
    try:
        return "expected", environment().from_string(source).render(**json.loads(variables))
    except Raised as e:
        return "raises", str(e)
    except Exception as e:
        return "fails", f"{type(e).__name__}: {e}"


def rewrite(path, check):
    head, parts = sections(open(path, encoding="utf-8", newline="").read())
    out, source, wrong = [], "", 0
    for i, (name, content) in enumerate(parts):
        if name == "template":
            source = content
        out.append((name, content))
        if name != "variables":
            continue
        kind, text = render(source, content)
        had = parts[i + 1] if i + 1 < len(parts) and parts[i + 1][0] in ("expected", "raises", "fails") else None
        if kind == "fails":
            if not had or had[0] != "fails":
                print(f"{path}: {text}")
                wrong += 1
                out.append(("fails", had[1] if had and had[0] == "fails" else "?"))
        else:
            if had and had != (kind, text):
                wrong += 1
                print(f"{path}: differs\n  had    {had!r}\n  jinja2 {(kind, text)!r}")
            out.append((kind, text))
        if had and not (kind == "fails" and had[0] == "fails"):
            parts[i + 1] = ("", "")
    body = "".join(f"--- {n}\n{c}\n" for n, c in out if n)
    if not check:
        with open(path, "w", encoding="utf-8", newline="") as f:
            f.write((head + "\n" if head else "") + body)
    return wrong


def main():
    args = sys.argv[1:]
    check = "--check" in args
    paths = [a for a in args if a != "--check"] or sorted(
        glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "*.case")))
    sys.exit(1 if sum(rewrite(p, check) for p in paths) and check else 0)


if __name__ == "__main__":
    main()
