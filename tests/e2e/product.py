"""product.py - takes the code examples out of the product documents, ready to run.

The documents are read where they are (THINKD_SHARED/product) and never copied here. Markdown fences its code. The
plain-text pages do not, and one of them has lost all indentation, so code is found and restored by rule:

  where code begins  a line that imports something or assigns a call to `response`
  where it ends      before the first line with which it is no longer Python, or only a word of prose
  indentation        inside brackets and triple quotes it does not matter; a line that ends in ":" opens a block;
                     `else`, `elif`, `except` and `finally` stand where their opener stood; a block ends after
                     `return`, `break`, `continue`, `raise` and `pass`, and where a blank line follows it

Only the base URL and the key change. An example that goes on where the one before stopped (it uses a `client`
that it does not make) gets that one's imports and client in front.
"""
import ast
import io
import pathlib
import re
import tokenize

CONTINUES = re.compile(r"^(elif|else|except|finally)\b")
LEAVES = re.compile(r"^(return|break|continue|raise|pass)\b")
BEGINS = re.compile(r"^(import \w+|from \w+(\.\w+)* import |response = )")
SERVER = re.compile(r"https://[\w.-]+(?=/v1/)")
AZURE = re.compile(r"https://<[\w-]+>\.openai\.azure\.com/")
KEY = re.compile(r"<YOUR_\w*KEY>|<your-[\w-]*key>")


class Example:
    def __init__(self, name, language, code):
        self.name, self.language, self.code = name, language, code

    def program(self, base_url, key):
        """The code with only the server and the key changed."""
        server = base_url.removesuffix("/v1")
        return KEY.sub(key, AZURE.sub(server + "/", SERVER.sub(server, self.code)))


def is_open(text):
    """Whether text ends inside brackets or a triple-quoted string."""
    try:
        depth = 0
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.OP:
                depth += (token.string in "([{") - (token.string in ")]}")
        return depth > 0
    except (tokenize.TokenError, IndentationError):
        return True


def reindent(lines):
    """Code without indentation gets it back; code that has it keeps it."""
    if any(line.startswith((" ", "\t")) for line in lines):
        return "\n".join(lines) + "\n"
    out, openers, statement = [], [], ""
    for i, line in enumerate(lines):
        if statement:  # the rest of a bracket or a string is as good as it is
            out.append(line)
            statement += "\n" + line
        else:
            if CONTINUES.match(line):
                while openers and not re.match(r"(if|elif|for|while|try|except)\b", openers[-1]):
                    openers.pop()
                if openers:
                    openers.pop()
            out.append("    " * len(openers) + line)
            statement = line
        if is_open(statement):
            continue
        bare = re.sub(r"\s+#.*$", "", statement).rstrip()
        after = lines[i + 1] if i + 1 < len(lines) else ""
        if bare.endswith(":") and not bare.startswith("#"):
            openers.append(bare)
        elif LEAVES.match(bare) and openers and not CONTINUES.match(after):
            openers.pop()
        elif bare == "":
            openers.clear()
        statement = ""
    return "\n".join(out) + "\n"


STATEMENTS = (ast.Import, ast.ImportFrom, ast.Assign, ast.FunctionDef, ast.AsyncFunctionDef, ast.While, ast.For,
              ast.If, ast.With, ast.Try)


def is_code(text):
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return False
    return all(isinstance(s, STATEMENTS) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)) for s in body)


def code_at(lines, start):
    """The longest run of code that begins at line start, re-indented, and where it ends."""
    best, end = None, start
    for stop in range(start + 1, min(start + 80, len(lines)) + 1):
        text = reindent(lines[start:stop])
        if is_code(text):
            best, end = text, stop
    return best, end


def from_text(name, text):
    lines, found, i = text.splitlines(), [], 0
    while i < len(lines):
        code, end = code_at(lines, i) if BEGINS.match(lines[i]) else (None, i)
        if code and "(" in code:
            found.append(Example(f"{name}:{i + 1}", "python", code))
            i = end
        else:
            i += 1
    return found


def from_markdown(name, text):
    return [
        Example(f"{name}:{text[:m.start()].count(chr(10)) + 2}", m[1], m[2])
        for m in re.finditer(r"^```(python|javascript)\n(.*?)^```$", text, re.M | re.S)
    ]


def with_client(examples):
    """Gives an example that goes on from the one before what that one had made."""
    before = ""
    for example in examples:
        if example.language != "python" or "client." not in example.code:
            continue
        if not re.search(r"^client = ", example.code, re.M):
            example.code = before + example.code
        else:
            made = re.match(r"(?s).*?^client = [^\n]*\n", example.code, re.M)
            before = made[0] if made else before
        # The guide's calls end where the answer is there; what is compared is what a caller would read.
        if not re.search(r"\bprint\(", example.code) and re.search(r"^response = ", example.code, re.M):
            example.code += "print(response.output_text)\n"
    return examples


def examples(directory):
    found = []
    for path in sorted(pathlib.Path(directory).iterdir()):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".md":
            found += from_markdown(path.name, text)
        elif path.suffix == ".txt":
            found += from_text(path.name, text)
    return with_client(found)


if __name__ == "__main__":  # python3 tests/e2e/product.py ../shared/product: what would be run
    import sys

    for example in examples(sys.argv[1]):
        print(f"### {example.name} ({example.language})")
        print(example.program("http://127.0.0.1:8080/v1", "any-key"))
