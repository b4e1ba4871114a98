"""limits.py - the official PyPI client, unmodified, against servers of its own: limits, and webhooks that arrive."""
import base64
import contextlib
import http.server
import os
import queue
import re
import subprocess
import threading

import openai

from common import QUESTION, client, connect, refused, test

WAIT_S = 30


@contextlib.contextmanager
def server(*options):
    """The URL of a server with these options besides, which must end well too."""
    command = [os.environ["THINKD"], "serve", "--listen", "127.0.0.1:0", "--engine", "echo", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        log = []
        try:
            found = None
            while not found:
                log.append(process.stdout.readline())
                assert log[-1], "the server did not start:\n" + "".join(log)
                found = re.search(r"http://127\.0\.0\.1:[1-9]\d*", log[-1])
            # A server whose pipe nobody reads would stop at its next line.
            threading.Thread(target=lambda: log.extend(process.stdout), daemon=True).start()
            yield found[0]
        finally:
            process.terminate()
        assert process.wait(WAIT_S) == 0, "".join(log)


@test
def rate_limit():
    """RateLimitError for a second request in the minute, which says when"""
    with server("--requests-per-minute", "1") as url:
        ask = lambda: connect(url).responses.create(model="o3", input=QUESTION)
        assert ask().status == "completed"
        error = refused(openai.RateLimitError, ask, status_code=429, code="rate_limit_exceeded")
        assert 0 < int(error.response.headers["retry-after-ms"]) <= 60_000
        assert error.response.headers["x-ratelimit-remaining-requests"] == "0"


@contextlib.contextmanager
def receiver():
    """A URL, and a queue of what is posted to it."""
    posted = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()
            posted.put((body.decode(), dict(self.headers)))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as here:
        threading.Thread(target=here.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{here.server_port}/hook", posted
        here.shutdown()


@test
def webhooks():
    """webhooks.unwrap takes what a background response sends at its end"""
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
    with receiver() as (hook, posted), server("--webhook-url", hook, "--webhook-secret", secret) as url:
        made = connect(url).responses.create(model="o3", input=QUESTION, background=True)
        body, headers = posted.get(timeout=WAIT_S)
        event = client.webhooks.unwrap(body, headers, secret=secret)
        assert (event.type, event.data.id) == ("response.completed", made.id), event
        refused_body = body.replace(made.id, "resp_0")
        try:
            client.webhooks.unwrap(refused_body, headers, secret=secret)
        except openai.InvalidWebhookSignatureError:
            return
        raise AssertionError("a changed body was taken")


@test
def idempotency():
    """a request with an Idempotency-Key is done once"""
    ask = {"model": "o3", "extra_headers": {"Idempotency-Key": "e2e-pypi"}}
    first = client.responses.create(input=QUESTION, **ask)
    assert client.responses.create(input=QUESTION, **ask).id == first.id
    refused(openai.BadRequestError, lambda: client.responses.create(input="else", **ask), code="invalid_value")
