"""cases.py - runs *.case files against the real binary, on the echo engine unless a file names another, and prints TAP.

    tests/api/run BINARY [FILE.case...]

README.md beside this file describes the format. A file is served by one server of its own, started with the options
its `server:` line names; that the server ends well (status 0: no leak, no sanitizer's finding) is a test too.
Requests go one after the other over plain sockets, so nothing here depends on time except that a server which
does not answer for a minute has failed.
"""
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback

import live
import rules
from pattern import kept, mismatch, with_kept

ANSWER_S = 60


class Server:
    def __init__(self, binary, options, log, environment=()):
        self.log = open(log, "w+b")
        engine = [] if "--engine" in options else ["--engine", "echo"]
        self.process = subprocess.Popen([binary, "serve", *engine, "--listen", "127.0.0.1:0", *options],
                                        env={**os.environ, "THINKD_DATA": ":memory:", **dict(environment)},
                                        stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL)
        self.port, self.told = None, False
        for line in self.process.stdout:
            url = re.search(rb"http://127\.0\.0\.1:(\d+)", line)
            if url:
                self.port = int(url[1])
                break
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def request(self, method, path, headers, body):
        """(status, {header: value}, body)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            reply = connection.getresponse()
            return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()
        finally:
            connection.close()

    def terminate(self):
        """Once: a second SIGTERM would end the server at once."""
        if not self.told and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.told = True

    def stop(self):
        self.terminate()
        try:
            status = self.process.wait(ANSWER_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = "still running after SIGTERM"
        self.log.flush()
        self.log.seek(0)
        tail = self.log.read()[-3000:].decode("utf-8", "replace")
        self.log.close()
        return status, tail


# --- case files ------------------------------------------------------------------------------------------------


class Case:
    def __init__(self, name, method, path, headers, body, status, reply_headers, reply):
        self.name, self.method, self.path, self.headers, self.body = name, method, path, headers, body
        self.status, self.reply_headers, self.reply = status, reply_headers, reply
        self.needs = None  # a program without which the case is skipped


def expand(text):
    """<repeat:x:3> is xxx, in requests and replies."""
    return re.sub(r"<repeat:(.+?):(\d+)>", lambda m: m[1] * int(m[2]), text)


def read_request(lines):
    method, path = lines[0].split(" ", 1)
    headers, i = {}, 1
    while i < len(lines) and re.match(r"[A-Za-z-]+: ?", lines[i]):
        name, value = lines[i].split(":", 1)
        headers[name.lower()] = expand(value.strip())
        i += 1
    text = expand("\n".join(lines[i:]).strip("\n"))
    body = text.encode() if text else (b"" if method == "POST" else None)
    if body is not None:
        headers.setdefault("content-type", "application/json")
        if headers["content-type"].startswith("multipart/"):
            body = body.replace(b"\n", b"\r\n")
    return method, path, {k: v for k, v in headers.items() if v != "<none>"}, body


def read_frames(text):
    """Lines "event TYPE {pattern}" or "data {pattern}"; TYPE* and data* stand for any number, TYPE+ for one or more."""
    out = []
    for line in text.splitlines():
        m = re.match(r"(event (?P<type>[a-z_.]+)|data)(?P<many>[*+]?)( (?P<pattern>.*))?$", line)
        if not m:
            raise ValueError(f"not a frame: {line}")
        out.append((m["type"], m["many"], json.loads(expand(m["pattern"] or "{}"))))
    return out


def read_reply(lines):
    status, headers, i = int(lines[0]), {}, 1
    while i < len(lines) and re.match(r"[A-Za-z-]+: ", lines[i]):
        name, value = lines[i].split(":", 1)
        headers[name.lower()] = value.strip()
        i += 1
    text = "\n".join(lines[i:]).strip("\n")
    if re.match(r"(event|data)\b", text):
        return status, headers, read_frames(text)
    return status, headers, json.loads(expand(text)) if text else None


def patched(body, patch):
    """body with the patch's members in place of its own; "<drop>" takes one away."""
    merged = {**json.loads(body), **patch}
    return json.dumps({k: v for k, v in merged.items() if v != "<drop>"}, ensure_ascii=False).encode()


def read_expected(text):
    """What stands behind a status on a table's line: a pattern, or an error's code and param; None: nothing does."""
    if text.strip().startswith("{"):
        return json.loads(expand(text))
    if not text.strip():
        return None
    code, param = (None if word == "-" else word for word in (text.split() + ["-"])[:2])
    return {"error": {"code": code, "param": param, "type": "invalid_request_error"}}


def read_table(name, lines):
    """A request, then one line a case: PATCH => 400 CODE PARAM, or PATCH => STATUS PATTERN."""
    split = lines.index("---")
    method, path, headers, body = read_request(lines[:split])
    for line in filter(str.strip, lines[split + 1:]):
        if line.startswith("#"):
            continue
        patch, reply = line.rsplit(" => ", 1)
        status, rest = (reply + " ").split(" ", 1)
        pattern = read_expected(rest)
        short = patch if len(patch) <= 90 else patch[:87] + "..."
        yield Case(f"{name}: {short} => {reply if len(reply) <= 60 else status}", method, path, headers,
                   patched(body, json.loads(expand(patch))), int(status), {}, pattern)


def read_case(name, lines):
    needs = lines.pop(0)[len("needs:"):].strip() if lines[0].startswith("needs:") else None
    split = lines.index("---")
    case = Case(name, *read_request(lines[:split]), *read_reply(lines[split + 1:]))
    case.needs = needs
    yield case


def read_file(path):
    """(server options, scripted tests, cases)"""
    text = path.read_text(encoding="utf-8")
    options, scripts = [], []
    head, *blocks = re.split(r"^=== ", text, flags=re.M)
    for line in head.splitlines():
        if line.startswith("server:"):
            options = line[len("server:"):].split()
        elif line.startswith("live:"):
            scripts += line[len("live:"):].split()
        elif line.strip() and not line.startswith("#"):
            raise ValueError(f"{path.name}: {line}")
    cases = []
    for block in blocks:
        title, *lines = block.rstrip("\n").split("\n")
        try:
            if title.startswith("each: "):
                cases += read_table(title[len("each: "):], lines)
            else:
                cases += read_case(title, [line for line in lines if not line.startswith("#")])
        except Exception as why:
            raise ValueError(f"{path.name}: {title}: {why}") from why
    return options, scripts, cases


# --- running ------------------------------------------------------------------------------------------------------


def match_frames(want, got):
    i = 0
    for kind, many, pattern in want:
        first = i
        while i < len(got) and got[i][0] == kind and (many or i == first):
            why = mismatch(pattern, got[i][1], f"frame {i}")
            if why and many and i > first:
                break
            if why:
                return why
            i += 1
        if i == first and many != "*":
            seen = got[i][0] or "data" if i < len(got) else "the end"
            return f"frame {i}: expected {kind or 'data'}, got {seen}"
    return None if i == len(got) else f"frame {i}: unexpected {got[i][0] or got[i][1]}"


def run_case(server, case):
    streamed = isinstance(case.reply, list)
    body = with_kept(case.body.decode()).encode() if case.body is not None else None
    status, headers, raw = server.request(case.method, with_kept(case.path), case.headers, body)
    if status != case.status:
        return f"status {status}, expected {case.status}: {raw[:600].decode('utf-8', 'replace')}"
    body = rules.check(status, headers, raw, streamed)
    why = mismatch(case.reply_headers, headers, "headers")
    if why:
        return why
    if streamed:
        return match_frames(case.reply, body)
    return mismatch(case.reply, body) if case.reply is not None else None


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def line(self, name, why=None):
        self.count += 1
        self.failed += why is not None
        name = name.replace("#", "\\#")
        print(f"{'ok' if why is None else 'not ok'} {self.count} - {name}", flush=True)
        for line in (why or "").splitlines():
            print(f"# {line[:1000]}", flush=True)

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}", flush=True)


def attempt(function, *args):
    try:
        return function(*args)
    except Exception:
        return "".join(traceback.format_exc().splitlines(True)[-6:])


def copied(option, tmp):
    """<copy:NAME> is a fresh copy of the directory NAME beside the cases: a server writes into its own."""
    beside = re.fullmatch(r"<beside:([\w.]+)>", option)
    if beside:
        return str(pathlib.Path(__file__).resolve().parent / beside[1])
    name = re.fullmatch(r"<copy:(\w+)>", option)
    if not name:
        return option
    return shutil.copytree(pathlib.Path(__file__).resolve().parent / name[1], tempfile.mkdtemp(dir=tmp), dirs_exist_ok=True)


def run_file(tap, binary, path, tmp):
    options, scripts, cases = read_file(path)
    kept.clear()
    options = [copied(option, tmp) for option in options]
    if "local" in options and subprocess.run([binary, "models"], stdin=subprocess.DEVNULL, capture_output=True).returncode:
        tap.skip(path.stem, "this binary has no bundled model")
        return
    server = Server(binary, options, os.path.join(tmp, path.stem + ".log"))
    if server.port is None:
        tap.line(f"{path.stem}: the server starts", str(server.stop()))
        return
    for case in cases:
        if case.needs and not shutil.which(case.needs):
            tap.skip(f"{path.stem}: {case.name}", f"{case.needs} is not installed")
            continue
        tap.line(f"{path.stem}: {case.name}", attempt(run_case, server, case))
    for name in scripts:
        tap.line(f"{path.stem}: {name.replace('_', ' ')}", attempt(getattr(live, name), server))
    status, tail = server.stop()
    tap.line(f"{path.stem}: the server ends well", None if status == 0 else f"status {status}\n{tail}")


def main(binary, *files):
    here = pathlib.Path(__file__).resolve().parent
    tap = Tap()
    with tempfile.TemporaryDirectory() as tmp:
        for path in [pathlib.Path(f) for f in files] or sorted(here.glob("*.case")):
            run_file(tap, os.path.abspath(binary), path, tmp)
    print(f"1..{tap.count}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: tests/api/run BINARY [FILE.case...]")
    sys.exit(main(*sys.argv[1:]))
