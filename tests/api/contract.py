"""contract.py - every request field does something: one case a field, sent with the field and without it.

    tests/api/contract BINARY [TABLE...]

GET /openapi.json lists every row of every field table. For each there is a line in fields.contract, which names a request,
what must come back, and holds only with the field: the same bytes sent again to a server that drops that one field before it
decodes them must NOT give the same. So a field that is decoded and then forgotten, or only repeated where it should act,
fails here. BINARY is the program with that switch, build/tests/api/thinkd (drop.c beside this file); the ordinary one has it
not, and no line would hold.

Rows that are refused or ignored by design have no lines unless they want some: a refused one must be a 400
`unsupported_parameter` that names it, an ignored one must change neither the status nor the answer.

A section begins with a table, and where its object stands in the body; then a request, `---`, and lines:

    === responses.reasoning at reasoning
    POST /v1/responses
    {"model": "o3", "input": "hi"}
    ---
    effort: {"reasoning": {"effort": "none"}} => 200 {"thinkd": {"budget": {"allowed": 0}}}

A line's patch is as in a table of cases.py. `NAME @ PATH:` has another place for this line. Behind the reply may stand
` then METHOD PATH => STATUS PATTERN`, a second request that must hold as well; `<reply:id>` is the first reply's id. Sections
`=== before: NAME` are ordinary cases, whose <keep:...> later ones use. What is decoded without a table (tools, tool_choice
and other objects that have several shapes) has sections `=== by hand: NAME`: no row asks for their lines.
"""
import json
import os
import pathlib
import re
import sys
import tempfile

import cases
from pattern import kept, mismatch, with_kept

BY_HAND = "by hand: "
STATES = (("ignored", "Accepted and ignored by design."), ("refused", "Not built: refused unless its value asks for nothing."))


def place(body, path):
    """The object at a path as input[1].content[0]; "" is the body."""
    for name, index in re.findall(r"(\w+)|\[(\d+)\]", path):
        body = body[name] if name else body[int(index)]
    return body


def shown(path, name):
    return f"{path}.{name}" if path else name


class DroppingServer(cases.Server):
    """A server that drops the field whose path stands in a file."""

    def __init__(self, binary, options, tmp):
        self.file = pathlib.Path(tmp, "drop")
        self.drop("")
        super().__init__(binary, options, os.path.join(tmp, "log"), {"CONTRACT_DROP": str(self.file)})

    def drop(self, path):
        self.file.write_text(path)


class Line:
    """One field's case."""

    def __init__(self, section, text):
        head, reply = text.rsplit(" then ", 1)[0], None
        self.then = text.rsplit(" then ", 1)[1] if " then " in text else None
        head, reply = head.rsplit(" => ", 1)
        match = re.match(r"(\w+)(?: @ ([^:\s]*))?: (.*)$", head)
        self.name, at, patch = match.groups()
        self.at = section.at if at is None else at
        status, rest = (reply + " ").split(" ", 1)
        self.status, self.pattern = int(status), cases.read_expected(rest)
        self.body = json.loads(with_patch(section.body, patch))
        self.section = section


def with_patch(body, patch):
    return cases.patched(body, json.loads(cases.expand(patch))).decode()


class Section:
    def __init__(self, title, lines):
        self.table, self.at = (re.split(r" at ", title) + [""])[:2]
        split = lines.index("---")
        self.method, self.path, self.headers, self.body = cases.read_request(lines[:split])
        self.lines = [Line(self, line) for line in lines[split + 1:] if line.strip() and not line.startswith("#")]


def read(path):
    """Sections and cases in the file's order."""
    out = []
    for block in re.split(r"^=== ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
        title, *lines = block.rstrip("\n").split("\n")
        try:
            if title.startswith("before: "):
                out += cases.read_case(title, [line for line in lines if not line.startswith("#")])
            else:
                out.append(Section(title, lines))
        except Exception as why:
            raise ValueError(f"{path.name}: {title}: {why}") from why
    return out


def send(server, section, body):
    text = with_kept(json.dumps(body, ensure_ascii=False)).encode()
    status, headers, raw = server.request(section.method, with_kept(section.path), section.headers, text)
    if headers.get("content-type", "").startswith("text/event-stream"):
        return status, {"events": [json.loads(data[6:]) for data in raw.decode().split("\n")
                                   if data.startswith("data: {")]}
    return status, json.loads(raw) if raw else None


def holds(server, line, dropped=""):
    """None, or why the reply is not what the line says when the server drops that field. The second request loses none."""
    server.drop(dropped)
    status, reply = send(server, line.section, line.body)
    server.drop("")
    if status != line.status:
        return f"status {status}, expected {line.status}: {json.dumps(reply)[:400]}"
    why = mismatch(line.pattern, reply) if line.pattern is not None else None
    if why or not line.then:
        return why
    request, expected = line.then.rsplit(" => ", 1)
    method, path = request.split()
    path = re.sub(r"<reply:id>", lambda m: reply["id"], with_kept(path))
    status, rest = (expected + " ").split(" ", 1)
    got, _, raw = server.request(method, path, {}, None)
    if got != int(status):
        return f"{request}: status {got}, expected {status}: {raw[:300]}"
    pattern = cases.read_expected(rest)
    return mismatch(pattern, json.loads(raw), request) if pattern is not None else None


def check_line(server, line):
    why = holds(server, line)
    if why:
        return why
    if line.name not in place(line.body, line.at):
        return f"the request has no {shown(line.at, line.name)}"
    if holds(server, line, shown(line.at, line.name)) is None:
        return f"the same came back without {shown(line.at, line.name)}: it has no effect that this line sees"
    return None


def answer(reply):
    """What an ignored field may not change."""
    texts = [reply.get("output_text")] + [c.get("message", c).get("content", c.get("text")) for c in reply.get("choices", [])]
    return texts + [reply.get("object")]


def check_without_line(server, section, name, state):
    """A refused field is named, an ignored one changes nothing."""
    plain, body = json.loads(section.body), json.loads(section.body)
    place(body, section.at)[name] = {"x": 1}
    status, reply = send(server, section, body)
    if state == "refused":
        wanted = {"error": {"type": "invalid_request_error", "code": "unsupported_parameter", "param": shown(section.at, name)}}
        return f"status {status}" if status != 400 else mismatch(wanted, reply)
    before, other = send(server, section, plain)
    if (before, answer(other)) != (status, answer(reply)):
        return f"status {before} without it, {status} with it: {json.dumps(reply)[:400]}"
    return None


def fields_of(server):
    """[(table, field, state)] of the whole API."""
    _, _, raw = server.request("GET", "/openapi.json", {}, None)
    for schema in json.loads(raw)["components"]["schemas"].values():
        if schema["title"] in ("error", "error.object"):
            continue
        for name, field in schema["properties"].items():
            yield schema["title"], name, next((s for s, text in STATES if field.get("description") == text), "honoured")


def check_itself(server, section):
    """A label that nobody looks for again has no effect, and a line that does not look must be found out."""
    why = check_line(server, Line(section, 'user: {"user": "k"} => 200 {}'))
    return None if why and why.startswith("the same came back without user") else f"it was taken for a contract: {why}"


def run(tap, server, parts, wanted):
    seen, sections = {}, {}
    for part in parts:
        if not isinstance(part, Section):
            tap.line(f"before: {part.name}", cases.attempt(cases.run_case, server, part))
            continue
        sections.setdefault(part.table, part)
        for line in part.lines:
            seen[part.table, line.name] = True
            if not wanted or part.table in wanted:
                tap.line(f"{part.table}: {line.name}", cases.attempt(check_line, server, line))
    tap.line("a line without an effect fails", cases.attempt(check_itself, server, sections["responses"]))
    rows = list(fields_of(server))
    for table, name, state in rows:
        if (table, name) in seen or (wanted and table not in wanted):
            continue
        if state == "honoured" or table not in sections:
            tap.line(f"{table}: {name}", f"fields.contract has no line for this field ({state})")
        else:
            tap.line(f"{table}: {name} is {state}", cases.attempt(check_without_line, server, sections[table], name, state))
    for table, name in seen:
        if not table.startswith(BY_HAND) and not any(row[:2] == (table, name) for row in rows):
            tap.line(f"{table}: {name}", "there is no such field")


def main(binary, *wanted):
    here = pathlib.Path(__file__).resolve().parent
    tap = cases.Tap()
    kept.clear()
    with tempfile.TemporaryDirectory() as tmp:
        data = cases.copied("<copy:data>", tmp)
        server = DroppingServer(os.path.abspath(binary), ["--data", str(data), "--context", "2000"], tmp)
        if server.port is None:
            tap.line("the server starts", str(server.stop()))
        else:
            run(tap, server, read(here / "fields.contract"), wanted)
            status, tail = server.stop()
            tap.line("the server ends well", None if status == 0 else f"status {status}\n{tail}")
    print(f"1..{tap.count}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: tests/api/contract BINARY [TABLE...]")
    sys.exit(main(*sys.argv[1:]))
