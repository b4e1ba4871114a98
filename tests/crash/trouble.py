"""trouble.py - what a server says when its disk, its database or its neighbours give trouble; and that nothing is lost by it.

    tests/crash/run trouble BINARY [TEST...]

On the echo engine, whose "/hold N" stops a job where it is to be looked at and "/release" lets it go on. What needs a file
system of its own mounts a small tmpfs and is skipped by name where that is not allowed.
"""
import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

from crash import ANSWER_S, Failed, Server, expect, wait_terminal

ECHO = ["--engine", "echo", "--stop-timeout-ms", "0"]
REFUSED = (1, 2) # exit statuses of a serve that says why it does not


class Skipped(Exception):
    pass


def serve(binary, data, *options):
    server = Server(binary, data, [*ECHO, *options])
    expect(server.port, f"the server does not start: {server.said()[-2000:]}")
    return server


def stop(server):
    status = server.stop()
    expect(status == 0, f"the server ends with {status}: {server.said()[-2000:]}")


def refuses(binary, data, words):
    """That serve ends with an error that has these words, and not by a signal."""
    server = Server(binary, data, ECHO)
    try:
        expect(server.port is None, "the server started")
        status = server.process.wait(ANSWER_S)
        said = server.said()
        expect(status in REFUSED, f"exit status {status}: {said[-2000:]}")
        for word in words:
            expect(word in said, f"'{word}' is not in what it says: {said[-2000:]}")
    finally:
        server.kill()


def ask(server, text, **more):
    return server.call("POST", "/v1/responses", {"model": "o3", "input": text, **more})


def background(server, text):
    status, response = ask(server, text, background=True)
    expect(status == 200, f"{status}: {response}")
    return response["id"]


def release(server):
    status, response = ask(server, "/release", store=False)
    expect(status == 200, f"store:false: {status}: {response}")


def until_running(server, name):
    """Until its first words are stored."""
    deadline = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline:
        if server.call("GET", f"/v1/responses/{name}")[1]["output"]:
            return
        time.sleep(0.01)
    raise Failed(f"{name} does not run")


def database(data):
    return os.path.join(data, next(n for n in os.listdir(data) if n.endswith(".db")))


@contextlib.contextmanager
def small_disk(size):
    with tempfile.TemporaryDirectory() as where:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", where], capture_output=True)
        if done.returncode:
            raise Skipped("mounting a tmpfs is not allowed here")
        try:
            yield where
        finally:
            subprocess.run(["umount", "-l", where], check=True)


def fill(directory):
    path = os.path.join(directory, "filler")
    with open(path, "wb", buffering=0) as f:
        for block in (1 << 16, 4096):
            with contextlib.suppress(OSError):
                while True:
                    f.write(bytes(block))
    return path


# --- the disk ------------------------------------------------------------------------------------------------------


def disk_full(binary):
    with small_disk("1500k") as disk:
        server = serve(binary, disk)
        held = background(server, "/hold 5")
        until_running(server, held)
        filler = fill(disk)
        for _ in range(300): # the log's file has some room left
            status, response = ask(server, "word " * 50)
            if status != 200:
                break
        expect(status == 500 and "full" in response["error"]["message"], f"stored on a full disk: {status}: {response}")
        status, response = ask(server, "word " * 50, background=True)
        expect(status == 500 and "full" in response["error"]["message"], f"accepted on a full disk: {status}: {response}")
        status, response = ask(server, "two words", store=False)
        expect(status == 200 and response["output_text"] == "two words", f"store:false: {status}: {response}")
        release(server)
        expect(server.call("GET", f"/v1/responses/{held}")[1]["status"] == "in_progress", "it ended, and that is not stored")
        os.unlink(filler)
        response = wait_terminal(server, held)
        expect(response["output_text"] == "1 2 3 4 5", f"{response}")
        expect(ask(server, "word")[0] == 200, "there is room again")
        stop(server)


def disk_read_only(binary):
    with small_disk("4m") as disk:
        server = serve(binary, disk)
        name = ask(server, "word")[1]["id"]
        stop(server)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        refuses(binary, disk, ["ead-only"])
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        server = serve(binary, disk)
        expect(server.call("GET", f"/v1/responses/{name}")[0] == 200, "what was there is there again")
        stop(server)


# --- the database ------------------------------------------------------------------------------------------------------


def locked_at_start(binary):
    with tempfile.TemporaryDirectory() as data:
        stop(serve(binary, data))
        db = sqlite3.connect(database(data), isolation_level=None)
        db.execute("BEGIN EXCLUSIVE")
        refuses(binary, data, ["locked by another process"])
        db.close()
        stop(serve(binary, data))


def locked_while_running(binary):
    with tempfile.TemporaryDirectory() as data:
        server = serve(binary, data)
        held = background(server, "/hold 5")
        until_running(server, held)
        db = sqlite3.connect(database(data), isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        status, response = ask(server, "word")
        expect(status == 500 and "locked by another process" in response["error"]["message"], f"{status}: {response}")
        release(server)
        expect(server.call("GET", f"/v1/responses/{held}")[1]["status"] == "in_progress", "it ended, and that is not stored")
        db.execute("ROLLBACK")
        db.close()
        expect(wait_terminal(server, held)["output_text"] == "1 2 3 4 5", "the job goes on")
        stop(server)


def not_a_database(binary):
    for damage in ("the first page", "all of it"):
        with tempfile.TemporaryDirectory() as data:
            stop(serve(binary, data))
            with open(database(data), "r+b") as f:
                if damage == "all of it":
                    f.truncate(0)
                f.write(b"no database, " * 400)
            refuses(binary, data, ["corrupt or not a database", "move it away"])


def garbage_or_truncated(binary):
    """Where SQLite does not notice at once, the server runs and each request that meets the damage is told."""
    for damage in ("garbage", "truncated"):
        with tempfile.TemporaryDirectory() as data:
            server = serve(binary, data)
            names = [ask(server, f"number {i} " + "word " * 100)[1]["id"] for i in range(60)]
            stop(server)
            size = os.path.getsize(database(data))
            with open(database(data), "r+b") as f:
                if damage == "truncated":
                    f.truncate(size // 2 // 4096 * 4096)
                else:
                    f.seek(size // 4)
                    f.write(os.urandom(size // 2))
            server = Server(binary, data, ECHO)
            if server.port is None:
                expect(server.process.wait(ANSWER_S) in REFUSED and "corrupt" in server.said(), f"{damage}: {server.said()[-2000:]}")
                continue
            told = 0
            for name in names:
                status, response = server.call("GET", f"/v1/responses/{name}")
                expect(status in (200, 404, 500), f"{damage}: {status}: {response}")
                told += status == 500 and "corrupt" in response["error"]["message"]
            status, response = ask(server, "word", store=False)
            expect(status == 200, f"{damage}: store:false: {status}: {response}")
            expect(told or damage == "garbage", f"{damage}: nobody was told")
            stop(server)


def newer_version(binary):
    with tempfile.TemporaryDirectory() as data:
        stop(serve(binary, data))
        db = sqlite3.connect(database(data))
        db.execute("PRAGMA user_version = 999")
        db.close()
        refuses(binary, data, ["newer"])


def second_server(binary):
    with tempfile.TemporaryDirectory() as data:
        first = serve(binary, data)
        refuses(binary, data, ["in use by another"])
        expect(ask(first, "word")[0] == 200, "the first goes on")
        stop(first)


# --- stopping ---------------------------------------------------------------------------------------------------------


def sigterm_keeps_jobs(binary):
    with tempfile.TemporaryDirectory() as data:
        server = serve(binary, data, "--background-max", "2")
        names = [background(server, f"/hold {n}") for n in (3, 4)]
        for name in names:
            until_running(server, name)
        names += [background(server, "two words")]
        stop(server)
        server = serve(binary, data, "--background-max", "2")
        for name in names[:2]: # a release frees those that hold by then
            server.wait_said(f"going on name={name}")
        release(server)
        texts = [wait_terminal(server, name)["output_text"] for name in names]
        expect(texts == ["1 2 3", "1 2 3 4", "two words"], f"{texts}")
        for name in names:
            numbers = [e["sequence_number"] for e in server.stream("GET", f"/v1/responses/{name}?stream=true")]
            expect(numbers == list(range(len(numbers))), f"{name}: {numbers}")
        stop(server)


def killed_without_progress(binary):
    """Two restarts without progress are allowed; the third start behind the first is one too many."""
    options = ["--restarts-max", "2"]
    with tempfile.TemporaryDirectory() as data:
        server = serve(binary, data, *options)
        status, response = ask(server, "/hold 0", background=True, reasoning={"effort": "none"})
        name = response["id"]
        for _ in range(3):
            server.wait_said(rf"running name={name}")
            server.kill()
            server = serve(binary, data, *options)
        response = wait_terminal(server, name)
        expect(response["status"] == "failed" and response["error"]["code"] == "server_error", f"{response}")
        expect("restarted 3 times" in response["error"]["message"], f"{response['error']}")
        stop(server)


def a_compacted_window_goes_on(binary):
    """What a client has seen of it before a kill is what the response holds at its end."""
    with tempfile.TemporaryDirectory() as data:
        server = serve(binary, data)
        window = [{"role": "user", "content": "old " * 1200}, {"role": "user", "content": "/hold 3"}]
        status, response = server.call("POST", "/v1/responses", {
            "model": "o3", "input": window, "background": True, "reasoning": {"effort": "none"},
            "context_management": [{"type": "compaction", "compact_threshold": 1000}]})
        expect(status == 200, f"{status}: {response}")
        name = response["id"]
        seen = []
        while len(seen) < 2: # what was compacted, and the beginning of the answer
            seen = server.call("GET", f"/v1/responses/{name}")[1]["output"]
        server.kill()
        server = serve(binary, data)
        server.wait_said(f"going on name={name}")
        release(server)
        response = wait_terminal(server, name)
        expect(response["output"][0] == seen[0] and seen[0]["type"] == "compaction", f"{seen[0]} became {response['output'][0]}")
        expect(response["output_text"] == "1 2 3" and response["usage"]["input_tokens"] < 10, f"{response}")
        stop(server)


def cancel_stops_compute(binary):
    """After the answer to a cancel no token is generated: the server's count is then what the responses were charged."""
    with tempfile.TemporaryDirectory() as data:
        server = serve(binary, data)
        for _ in range(50): # the echo engine may come to the end of the context first
            name = background(server, "/endless")
            until_running(server, name)
            status, response = server.call("POST", f"/v1/responses/{name}/cancel")
            expect(status == 200 and response["status"] in ("cancelled", "incomplete"), f"{status}: {response}")
            if response["status"] == "cancelled":
                break
        expect(response["status"] == "cancelled", "no cancel came in time")
        stop(server)
        generated = int(re.search(r"stopped generated=(\d+)", server.said())[1])
        ended = re.findall(r"ended id=\d+ status=\d+ input=\d+ output=(\d+)", server.said())
        expect(sum(map(int, ended)) == generated, f"{generated} were generated, {ended} are accounted for")


# --- keeping ----------------------------------------------------------------------------------------------------------


def old_responses_go(binary):
    with tempfile.TemporaryDirectory() as data:
        server = serve(binary, data)
        old = ask(server, "old")[1]["id"]
        server.call("POST", "/v1/chat/completions", {"model": "o3", "store": True,
                                                     "messages": [{"role": "user", "content": "old"}]})
        held = background(server, "/hold 3")
        until_running(server, held)
        stop(server)
        server = serve(binary, data) # kept: 30 days
        expect(server.call("GET", f"/v1/responses/{old}")[0] == 200, "it is young")
        stop(server)
        server = serve(binary, data, "--keep-ms", "1")
        deadline = time.monotonic() + ANSWER_S
        while server.call("GET", f"/v1/responses/{old}")[0] != 404:
            expect(time.monotonic() < deadline, "it stays")
            time.sleep(0.01)
        expect(server.call("GET", f"/v1/responses/{held}")[0] == 200, "what is not over stays")
        server.wait_said(f"going on name={held}")
        release(server)
        wait_terminal(server, held)
        stop(server)


def large_store_shrinks(binary):
    with tempfile.TemporaryDirectory() as data:
        server = serve(binary, data)
        names = [ask(server, "word " * 2000)[1]["id"] for _ in range(60)]
        stop(server)
        before = os.path.getsize(database(data))
        server = serve(binary, data, "--keep-bytes", "400KiB")
        deadline = time.monotonic() + ANSWER_S
        while server.call("GET", f"/v1/responses/{names[0]}")[0] != 404:
            expect(time.monotonic() < deadline, "the oldest stays")
            time.sleep(0.01)
        expect(server.call("GET", f"/v1/responses/{names[-1]}")[0] == 200, "the newest went")
        stop(server)
        after = os.path.getsize(database(data))
        expect(after < before, f"{before} bytes before, {after} after")


TESTS = [disk_full, disk_read_only, locked_at_start, locked_while_running, not_a_database, garbage_or_truncated,
         newer_version, second_server, sigterm_keeps_jobs, killed_without_progress, a_compacted_window_goes_on,
         cancel_stops_compute, old_responses_go, large_store_shrinks]


def main(binary, *names):
    bad = 0
    tests = [t for t in TESTS if not names or t.__name__ in names]
    print(f"1..{len(tests)}")
    for n, test in enumerate(tests, 1):
        name = test.__name__.replace("_", " ")
        try:
            test(binary)
            print(f"ok {n} - {name}")
        except Skipped as e:
            print(f"ok {n} - {name} # SKIP {e}")
        except Exception as e: # a test that breaks has failed, and the others go on
            bad += 1
            print(f"not ok {n} - {name}\n# {type(e).__name__}: " + str(e).replace("\n", "\n# "))
        sys.stdout.flush()
    return bad > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
