"""examples.py - runs code examples as a user would and looks at what they print.

    examples.py own        the programs in tests/e2e/examples
    examples.py product    those of the product documents, where they are there

THINKD_E2E_URL is the server; E2E_PYTHON a Python that has the clients and E2E_NODE a Node with fetch (empty: their
examples are skipped, E2E_PYTHON_WHY and E2E_NODE_WHY say why). An example passes when it exits with 0 and
prints a text that answers: its own words, or a Response or chat completion with text in it.
"""
import ast
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import product
import tap

HERE = pathlib.Path(__file__).resolve().parent
BASE_URL = os.environ["THINKD_E2E_URL"] + "/v1"
KEY = "any-key-at-all"
SECONDS_MAX = 90


def interpreter(language, code):
    """The program that runs this example, or Skip with the reason."""
    if language == "python" and "import requests" not in code and "openai" not in code:
        return sys.executable
    variable = {"python": "E2E_PYTHON", "javascript": "E2E_NODE"}.get(language)
    if variable:
        if not os.environ.get(variable):
            raise tap.Skip(os.environ.get(variable + "_WHY") or f"no {language} here")
        return os.environ[variable]
    if not shutil.which("curl"):
        raise tap.Skip("curl is not installed")
    return "/bin/sh"


def text_of(reply):
    """The visible text of a Response or a chat completion."""
    assert not reply.get("error"), reply
    if reply.get("object") == "response":
        assert reply["status"] == "completed", reply
        parts = [p for item in reply["output"] if item["type"] == "message" for p in item["content"]]
        return "".join(p["text"] for p in parts)
    assert reply.get("object") == "chat.completion", reply
    assert reply["choices"][0]["finish_reason"] == "stop", reply
    return reply["choices"][0]["message"]["content"]


def answer(output):
    """What an example printed, be it JSON, a Python dictionary or plain words. Which response it waits for is no answer."""
    output = re.sub(r"^[^\n]*\bresp_[0-9a-f]+\n?", "", output)
    assert not re.match(r"[\w ]*\bfailed\b.*:", output), output
    for read in (json.loads, ast.literal_eval):
        try:
            reply = read(output)
        except (ValueError, SyntaxError, MemoryError):
            continue
        if isinstance(reply, dict):
            return text_of(reply)
    return output


def run(language, code):
    program = interpreter(language, code)
    suffix = {"python": ".py", "javascript": ".mjs", "shell": ".sh"}[language]
    env = dict(os.environ, OPENAI_BASE_URL=BASE_URL, OPENAI_API_KEY=KEY, PYTHONIOENCODING="utf-8")
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / ("example" + suffix)
        path.write_text(code, encoding="utf-8")
        done = subprocess.run([program, str(path)], env=env, cwd=directory, capture_output=True, text=True,
                              timeout=SECONDS_MAX, encoding="utf-8")
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stderr[-2000:]}\n{done.stdout[-500:]}"
    text = answer(done.stdout.strip())
    assert text and text.strip(), f"no text came back\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def one(example):
    def test():
        run(example.language, example.program(BASE_URL, KEY))

    return f"{example.name} ({example.language})", test


# Code as the guide's page shows it, and how it was meant.
STRIPPED = """
import asyncio
async def solve(prompt: str) -> str:
reply = await client.create(
model="o3-pro",
input=prompt,
)
return reply.text
while True:
reply = client.get(1)
if reply.status == "done":  # a comment
print(reply.text)
break
elif reply.status == "failed":
print("failed:", reply.error)
break
time.sleep(10)

print(asyncio.run(solve('''first
second:
third''')))
"""
MEANT = """
import asyncio
async def solve(prompt: str) -> str:
    reply = await client.create(
        model="o3-pro",
        input=prompt,
    )
    return reply.text
while True:
    reply = client.get(1)
    if reply.status == "done":  # a comment
        print(reply.text)
        break
    elif reply.status == "failed":
        print("failed:", reply.error)
        break
    time.sleep(10)

print(asyncio.run(solve('''first
second:
third''')))
"""


def indentation():
    restored = product.reindent(STRIPPED.strip("\n").split("\n"))
    assert ast.dump(ast.parse(restored)) == ast.dump(ast.parse(MEANT)), restored
    page = "Words of prose\n" + STRIPPED.strip("\n") + "\nResponse\nMore words, and a colon:\n"
    found = product.from_text("page.txt", page)
    assert [e.name for e in found] == ["page.txt:2"], [e.name for e in found]
    assert ast.dump(ast.parse(found[0].code)) == ast.dump(ast.parse(MEANT)), found[0].code


def own():
    languages = {".py": "python", ".mjs": "javascript", ".sh": "shell"}
    paths = sorted(p for p in (HERE / "examples").iterdir() if p.suffix in languages)
    return [product.Example(p.name, languages[p.suffix], p.read_text(encoding="utf-8")) for p in paths]


def main():
    rules = []
    if sys.argv[1:] == ["own"]:
        found = own()
        rules = [("lost indentation is restored and prose left out", indentation)]
    else:
        documents = pathlib.Path(os.environ.get("THINKD_SHARED", "../shared")) / "product"
        if not documents.is_dir():
            print("1..0 # SKIP the product documents are not on this machine")
            return 0
        found = product.examples(documents)
        # A rule that finds nothing would be a test that passes: each document has at least one example.
        names = {p.name for p in documents.iterdir()}
        assert {e.name.split(":")[0] for e in found} == names, names
    return tap.run(rules + [one(e) for e in found])


if __name__ == "__main__":
    sys.exit(main())
