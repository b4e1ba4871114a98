"""crash.py - kill -9 at random moments, with jobs that wait, run, stream and finish; then everything must be as if not.

    tests/crash/run BINARY [KILLS [SEED]]

First every request runs undisturbed on a server of its own: what it says there is what it has to say. Then, KILLS times: a
server on a directory that outlives it takes a handful of background requests, some read as streams, is killed after a
random time, and is started again. What must hold:

  accepted   every id that a client was given is found and reaches a terminal state
  same       the text, the items' ids and the usage are those of the undisturbed run (temperature 1, same seed). Of a response
             with many lines of thought also what was decided and why; but how far lines had come that were no longer
             needed depends on the moment, and so does its usage
  told       what a stream showed before the kill is the beginning of what the store has, number by number
  gapless    sequence numbers run from 0 without gaps to one terminal event, which holds the response that GET gives
  no more    tokens decoded after the restart are exactly those of the usage that the journal did not have, and it had all
             that a client had seen

Interactive requests run beside them; one whose answer did not arrive ends cancelled, never in progress.
"""
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

ANSWER_S = 120
QUESTIONS = [
    "What is 5178 + 2649?", "What is 47 * 86?", "Solve for x: 7x + 12 = 96", "What is gcd(252, 198)?",
    "What is 9041 - 3877?", "What is (12 + 7) * 3 - 8?",
]
LINES = range(len(QUESTIONS), len(QUESTIONS) + 2) # these kinds ask o3-pro
ROUTES = range(LINES.stop, LINES.stop + 2) # and these auto
KINDS = ROUTES.stop
TERMINAL = ("completed", "incomplete", "failed", "cancelled")


class Server:
    def __init__(self, binary, data, options=("--background-max", "4")):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [binary, "serve", "--listen", "127.0.0.1:0", "--data", data, "--log-level", "debug", *options],
            stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL)
        self.port = None
        for line in self.process.stdout:
            url = re.search(rb"http://127\.0\.0\.1:(\d+)", line)
            if url:
                self.port = int(url[1])
                break
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def said(self):
        # Through a name of its own: the server writes on where its own offset is, which is shared.
        with open(f"/proc/self/fd/{self.log.fileno()}", "rb") as f:
            return f.read().decode("utf-8", "replace")

    def wait_said(self, pattern):
        deadline = time.monotonic() + ANSWER_S
        while not re.search(pattern, self.said()):
            expect(time.monotonic() < deadline, f"'{pattern}' is never said")
            time.sleep(0.01)

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {"content-type": "application/json"} if body is not None else {})
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())
        finally:
            connection.close()

    def stream(self, method, path, body=None, until=None):
        """Events as they come, until the stream or the server ends."""
        events = []
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {"content-type": "application/json"} if body is not None else {})
            for line in connection.getresponse():
                if line.startswith(b"data: {"):
                    event = json.loads(line[6:])
                    events.append(event)
                    if until:
                        until(event)
        except (OSError, http.client.HTTPException, ValueError):
            pass # it was killed in the middle of a line
        finally:
            connection.close()
        return events

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(ANSWER_S)


def request(kind, seed):
    if kind in LINES: # the gcd and the equation, in many lines of thought
        return {"model": "o3-pro", "input": QUESTIONS[3 - LINES.index(kind)], "background": True, "seed": seed,
                "reasoning": {"effort": "medium", "summary": "auto"}, "include": ["thinkd.trace"]}
    if kind in ROUTES: # a product and the gcd, of one model after another
        return {"model": "auto", "input": QUESTIONS[1 + 2 * ROUTES.index(kind)], "background": True, "seed": seed,
                "reasoning": {"summary": "auto"}, "include": ["thinkd.trace"]}
    return {"model": "o3", "input": QUESTIONS[kind], "background": True, "temperature": 1, "seed": seed,
            "reasoning": {"effort": "high", "summary": "detailed"}}


def shown(response):
    """What may not depend on a crash. An item's id begins with the response's own digits, which are left out."""
    digits = response["id"].removeprefix("resp_")[:40]
    output = [{**i, "id": i["id"].replace(digits, "")} for i in response["output"]]
    usage = response["usage"] and {k: response["usage"][k] for k in ("input_tokens", "output_tokens", "total_tokens")}
    trace = response["thinkd"].get("trace")
    if trace:
        usage = {k: trace[k] for k in ("stop_reason", "shown", "started", "counted", "votes")}
        usage["route"] = response["thinkd"]["route"]
    return {"status": response["status"], "output": output, "output_text": response["output_text"], "usage": usage}


class Failed(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failed(what)


def wait_terminal(server, name):
    deadline = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline:
        status, response = server.call("GET", f"/v1/responses/{name}")
        expect(status == 200, f"{name}: GET says {status}: {response}")
        if response["status"] in TERMINAL:
            return response
        time.sleep(0.01) # polling, as clients do
    raise Failed(f"{name} is still {response['status']}")


class Round:
    """The clients of one life of a server: what they were told, and by which id."""

    def __init__(self, rng):
        self.rng, self.lock = rng, threading.Lock()
        self.accepted = {} # id -> (kind, seed)
        self.seen = {}     # id -> events of a stream
        self.plain = set() # ids of interactive streams

    def background(self, server, kind, seed, streamed):
        try:
            if streamed:
                events = []

                def note(event):
                    with self.lock:
                        events.append(event)
                        name = events[0]["response"]["id"]
                        self.accepted[name], self.seen[name] = (kind, seed), events
                server.stream("POST", "/v1/responses", {**request(kind, seed), "stream": True}, note)
            else:
                status, response = server.call("POST", "/v1/responses", request(kind, seed))
                with self.lock:
                    self.accepted[response["id"]] = (kind, seed)
        except (OSError, http.client.HTTPException, ValueError):
            pass # the server was killed before it answered: nothing was promised

    def interactive(self, server, kind, seed):
        body = {**request(kind, seed), "stream": True}
        del body["background"]

        def note(event):
            if event["type"] == "response.created":
                with self.lock:
                    self.plain.add(event["response"]["id"])
        server.stream("POST", "/v1/responses", body, note)

    def run(self, server, jobs):
        threads = [threading.Thread(target=self.background, args=(server, self.rng.randrange(KINDS),
                                                                  self.rng.randrange(3), self.rng.random() < 0.5))
                   for _ in range(jobs)]
        threads += [threading.Thread(target=self.interactive, args=(server, 0, 1))]
        for t in threads:
            t.start()
        return threads


def check_events(server, name, response, seen):
    events = server.stream("GET", f"/v1/responses/{name}?stream=true")
    numbers = [e["sequence_number"] for e in events]
    expect(numbers == list(range(len(numbers))), f"{name}: numbers {numbers}")
    expect(events[-1]["response"] == response, f"{name}: the last event is not the response")
    ends = [e for e in events if e["type"] in ("response.completed", "response.incomplete", "response.failed")]
    expect(len(ends) == 1, f"{name}: {len(ends)} terminal events")
    expect(events[:len(seen)] == seen, f"{name}: a stream was told something else before the kill")
    return events


def check_round(binary, data, told, wanted):
    server = Server(binary, data)
    expect(server.port, f"the server does not start again: {server.said()[-2000:]}")
    missing, tokens_of = 0, {}
    for name, (kind, seed) in told.accepted.items():
        response = wait_terminal(server, name)
        tokens_of[name] = response["usage"]["output_tokens"]
        expect(shown(response) == shown(wanted[kind, seed]),
               f"{name}: {shown(response)} is not {shown(wanted[kind, seed])}")
        check_events(server, name, response, told.seen.get(name, []))
    for name in told.plain:
        status, response = server.call("GET", f"/v1/responses/{name}")
        expect(status == 404 or response["status"] in TERMINAL, f"{name} is left {response.get('status')}")
    expect(server.stop() == 0, f"the server ends badly: {server.said()[-2000:]}")
    said = server.said()
    resumed = dict(re.findall(r"going on name=(\S+) tokens=(\d+)", said))
    generated = int(re.search(r"stopped generated=(\d+)", said)[1])
    missing += sum(tokens_of[name] - int(tokens) for name, tokens in resumed.items() if name in tokens_of)
    fresh = re.findall(r"running name=(\S+)", said)
    missing += sum(tokens_of[name] for name in fresh if name in tokens_of)
    return missing, generated, resumed, fresh


def references(binary):
    wanted = {}
    with tempfile.TemporaryDirectory() as data:
        server = Server(binary, data)
        expect(server.port, f"the server does not start: {server.said()[-2000:]}")
        for kind in range(KINDS):
            for seed in range(3):
                _, response = server.call("POST", "/v1/responses", request(kind, seed))
                wanted[kind, seed] = wait_terminal(server, response["id"])
                expect(wanted[kind, seed]["status"] == "completed", f"{wanted[kind, seed]}")
        server.stop()
    return wanted


def main(binary, kills=10, seed=None):
    seed = int(seed) if seed else random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    print(f"# seed {seed}")
    count, bad, went_on, jobs = 0, 0, 0, 0
    wanted = references(binary)
    for n in range(1, int(kills) + 1):
        with tempfile.TemporaryDirectory() as data:
            try:
                server = Server(binary, data)
                told = Round(rng)
                threads = told.run(server, rng.randrange(4, 13))
                time.sleep(rng.random() ** 2 * 0.6) # the moment of the kill: what is tested, nothing waits for it
                server.kill()
                for t in threads:
                    t.join()
                missing, generated, resumed, fresh = check_round(binary, data, told, wanted)
                named = set(resumed) | set(fresh)
                if named <= set(told.accepted): # else an id was lost on its way to a client that was to be told
                    expect(generated == missing, f"{generated} tokens were decoded after the restart, {missing} were missing")
                for name, events in told.seen.items():
                    deltas = sum(e["type"] == "response.output_text.delta" for e in events)
                    expect(name not in resumed or int(resumed[name]) >= deltas, f"{name}: the journal has less than was shown")
                went_on += len(resumed)
                jobs += len(told.accepted)
                print(f"ok {n} - kill {n}: {len(told.accepted)} jobs, {len(resumed)} went on, {len(fresh)} began")
            except Failed as e:
                bad += 1
                print(f"not ok {n} - kill {n}\n# {e}")
            sys.stdout.flush()
        count = n
    count += 1
    if went_on:
        print(f"ok {count} - {went_on} of {jobs} jobs went on from a journal")
    else:
        print(f"not ok {count} - no job was ever caught half-way: the test shows nothing")
    print(f"1..{count}")
    return bad > 0 or went_on == 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
