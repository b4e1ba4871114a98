"""live.py - what a data file cannot say: clients that leave in the middle.

The server takes one job at a time (gone.case), so "the job has ended" is what the next request hears: 503 while the
first one runs, 200 once it has ended. No test waits for a span of time: what is waited for is an event, with a
deadline that only a broken server meets.
"""
import json
import select
import socket
import time

DEADLINE_S = 30


def _send(server, path, body):
    s = socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S)
    data = json.dumps(body).encode()
    s.sendall((f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
               f"content-length: {len(data)}\r\n\r\n").encode() + data)
    return s


def _read_until(s, text):
    seen = b""
    while text not in seen:
        more = s.recv(65536)
        if not more:
            raise AssertionError(f"the stream ended before {text!r}: {seen[-500:]!r}")
        seen += more
    return seen


def _ask(server, text="hi"):
    body = json.dumps({"model": "o3", "input": text}).encode()
    return server.request("POST", "/v1/responses", {"content-type": "application/json"}, body)


def _busy(server):
    status, headers, raw = _ask(server)
    if status != 503:
        return f"status {status}, expected 503"
    error = json.loads(raw)["error"]
    if error["code"] != "server_is_overloaded" or error["type"] != "server_error":
        return f"{error}"
    if headers.get("retry-after") != "1" or headers.get("retry-after-ms") != "1000":
        return "no retry-after"
    return None


def _free(server):
    """The job that ran has ended: a request is served."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        status, _, raw = _ask(server)
        if status == 200:
            return None
        if status != 503:
            return f"status {status}: {raw[:300]}"
    return "the job still runs"


def _leaves(server, path, body, begun):
    s = _send(server, path, body)
    _read_until(s, begun)
    why = _busy(server)
    s.close()
    return why or _free(server)


def a_second_request_is_refused_while_one_runs(server):
    return _leaves(server, "/v1/responses", {"model": "o3", "input": "/hold 3", "stream": True}, b"output_text.delta")


def a_client_that_leaves_a_stream_ends_its_job(server):
    return _leaves(server, "/v1/responses", {"model": "o3", "input": "/endless", "stream": True}, b"output_text.delta")


def a_chat_client_that_leaves_ends_its_job(server):
    body = {"model": "o3", "messages": [{"role": "user", "content": "/endless"}], "stream": True}
    return _leaves(server, "/v1/chat/completions", body, b'"content":" 3"')


def _hold_without_stream(server):
    """A connection whose job runs and whose reply has not begun. Our own question may take the one place first."""
    deadline = time.monotonic() + DEADLINE_S
    s = None
    while time.monotonic() < deadline:
        s = s or _send(server, "/v1/responses", {"model": "o3", "input": "/hold 1"})
        if _busy(server) is None:
            return s
        if select.select([s], [], [], 0)[0]:  # it was the one that was refused
            s.close()
            s = None
    raise AssertionError("the job never began")


def a_client_that_leaves_before_its_reply_ends_its_job(server):
    _hold_without_stream(server).close()
    return _free(server)


def a_half_closed_stream_ends_its_job(server):
    s = _send(server, "/v1/responses", {"model": "o3", "input": "/hold 2", "stream": True})
    _read_until(s, b"output_text.delta")
    s.shutdown(socket.SHUT_WR)
    why = _free(server)
    s.close()
    return why


def deltas_come_while_the_engine_works(server):
    """/hold keeps its sequence unfinished, so what arrives was sent before the end."""
    s = _send(server, "/v1/responses", {"model": "o3", "input": "/hold 3", "stream": True, "reasoning": {"effort": "none"}})
    seen = _read_until(s, b'"delta":" 3"')
    s.close()
    if b"response.completed" in seen or b"[DONE]" in seen:
        return "the stream had ended"
    return _free(server)


def _rest(s):
    """All that still comes; a connection that was reset has said all it will."""
    seen = b""
    while True:
        try:
            more = s.recv(65536)
        except ConnectionError:
            return seen
        if not more:
            return seen
        seen += more


def a_running_stream_ends_well_when_the_server_stops(server):
    s = _send(server, "/v1/responses", {"model": "o3", "input": "/count 3000", "stream": True, "reasoning": {"effort": "none"}})
    seen = _read_until(s, b"output_text.delta")
    server.terminate()
    seen += _rest(s)
    if b"event: response.completed\n" not in seen or b"data: [DONE]\n\n" not in seen:
        return f"the stream's end: {seen[-300:]!r}"
    return None


def what_runs_too_long_is_cut_when_the_server_stops(server):
    stream = _send(server, "/v1/responses", {"model": "o3", "input": "/hold 2", "stream": True})
    chat = _send(server, "/v1/chat/completions",
                 {"model": "o3", "messages": [{"role": "user", "content": "/hold 2"}], "stream": True})
    plain = _send(server, "/v1/responses", {"model": "o3", "input": "/hold 2"})
    _read_until(stream, b"output_text.delta")
    _read_until(chat, b'"content":"1"')
    server.terminate()
    for s in (stream, chat, plain):  # each hears an end, whatever it says
        if b"response.completed" in _rest(s):
            return "a held response completed"
    return None
