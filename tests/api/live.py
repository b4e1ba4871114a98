"""live.py - what a data file cannot say: clients that leave in the middle, and what happens while something else runs.

The server of gone.case takes one job at a time, so "the job has ended" is what the next request hears: 503 while the
first one runs, 200 once it has ended. No test waits for a span of time: what is waited for is an event, with a
deadline that only a broken server meets.
"""
import json
import re
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


def _no_place(server):
    """The owner's one place is taken, and the refusal says when to come back."""
    status, headers, raw = _ask(server)
    error = json.loads(raw).get("error")
    if status != 429 or error["type"] != "requests" or error["code"] != "rate_limit_exceeded":
        return f"status {status}, expected 429: {raw[:300]}"
    if "requests at a time: Limit 1, Used 1, Requested 1." not in error["message"]:
        return error["message"]
    return None if (headers.get("retry-after"), headers.get("retry-after-ms")) == ("1", "1000") else f"{headers}"


def _place_again(server):
    """What held the place has ended: a request is served, and the next one too."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        status, _, raw = _ask(server)
        if status == 200:
            return None if _ask(server)[0] == 200 else "the place of a request that has ended was kept"
        if status != 429:
            return f"status {status}: {raw[:300]}"
    return "the place is still taken"


def a_place_is_held_until_the_stream_has_ended(server):
    s = _send(server, "/v1/responses", {"model": "o3", "input": "/hold 3", "stream": True, "max_output_tokens": 2000})
    _read_until(s, b"output_text.delta")
    why = _no_place(server)
    s.close()
    return why or _place_again(server)


def a_place_comes_back_from_every_refusal(server):
    for body, want in [({"model": "nope", "input": "x"}, 404), ({"model": "o3"}, 400), ({"model": "o3", "input": 7}, 400),
                       ({"model": "o3", "input": "/fail"}, 500)] * 2:
        status, _, raw = server.request("POST", "/v1/responses", {"content-type": "application/json"}, json.dumps(body).encode())
        if status != want:
            return f"{body}: status {status}, expected {want}: {raw[:300]}"
    for path, headers in [("/v1/responses", {"content-type": "text/plain"}), ("/v1/responses?a=b", {"content-type": "application/json"})]:
        status, _, raw = server.request("POST", path, headers, b"{}")
        if status not in (400, 415):
            return f"{path}: status {status}: {raw[:300]}"
    for key in ("again", "again", "x" * 300):  # run, answered as before, refused
        headers = {"content-type": "application/json", "idempotency-key": key}
        server.request("POST", "/v1/responses", headers, b'{"model": "o3", "input": "hi"}')
    return _place_again(server)


def a_background_response_is_paid_for_when_it_has_ended(server):
    headers = {"content-type": "application/json", "authorization": "Bearer sk-test-key-four"}
    ask = {"model": "o3", "input": "/count 3000", "max_output_tokens": 3000, "reasoning": {"effort": "none"}, "background": True}
    status, said, raw = server.request("POST", "/v1/responses", headers, json.dumps(ask).encode())
    if status != 200 or said.get("x-ratelimit-remaining-requests") != "2":
        return f"status {status}: {raw[:300]}"
    path, deadline = "/v1/responses/" + json.loads(raw)["id"], time.monotonic() + DEADLINE_S
    while json.loads(raw).get("status") in ("queued", "in_progress"):
        if time.monotonic() > deadline:
            return "it does not end"
        status, _, raw = server.request("GET", path, headers, None)
    if json.loads(raw)["usage"]["output_tokens"] < 2000:
        return f"it used less than the limit: {raw[:300]}"
    # The job's last call, which pays, may come a moment after its end can be read.
    while time.monotonic() < deadline:
        status, said, raw = server.request("POST", "/v1/responses", headers, b"{}")
        if status == 429:
            return None if json.loads(raw)["error"]["type"] == "tokens" else "it was not counted"
    return "there was no limit"


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


# --- background.case: one background response runs at a time, two wait ------------------------------------------------


def _json(server, method, path, body=None):
    headers = {"content-type": "application/json"} if body is not None else {}
    status, said, raw = server.request(method, path, headers, json.dumps(body).encode() if body is not None else None)
    return status, json.loads(raw), said


def _background(server, text):
    status, r, _ = _json(server, "POST", "/v1/responses", {"model": "o3", "input": text, "background": True,
                                                         "reasoning": {"effort": "none"}})
    if status != 200:
        raise AssertionError(f"{text}: status {status}: {r}")
    return r["id"]


def _hold_in_background(server):
    """(connection of its stream, id) of a response that runs until it is cancelled."""
    s = _send(server, "/v1/responses", {"model": "o3", "input": "/hold 2", "background": True, "stream": True,
                                        "reasoning": {"effort": "none"}})
    seen = _read_until(s, b"output_text.delta")
    return s, seen.split(b'"id":"')[1].split(b'"')[0].decode()


def _expect(got, code, **members):
    if got[0] != code or any(got[1].get(k) != v for k, v in members.items()):
        raise AssertionError(f"expected {code} {members}, got {got[0]}: {json.dumps(got[1])[:600]}")
    return got[1]


def _conflict(got):
    """A 409 that says not to try again: the official clients would, by themselves."""
    return _expect(got, 409)["error"]["code"] == "conflict" and got[2].get("x-should-retry") == "false"


def a_background_response_in_each_of_its_states(server):
    s, runs = _hold_in_background(server)
    waits, other = _background(server, "first"), _background(server, "second")
    path = "/v1/responses/"
    _expect(_json(server, "GET", path + waits), 200, status="queued", usage=None, output=[])
    now = _expect(_json(server, "GET", path + runs), 200, status="in_progress", usage=None)
    if now["output"][0]["content"][0]["text"] not in ("1", "1 2"):
        return f"what it has come to: {now['output']}"
    ask = {"model": "o3", "input": "x", "previous_response_id": runs}
    if not _conflict(_json(server, "POST", "/v1/responses", ask)):
        return "no conflict"
    _expect(_json(server, "POST", path + waits + "/cancel"), 200, status="cancelled", output=[], usage=None)
    _expect(_json(server, "GET", path + waits), 200, status="cancelled")
    _expect(_json(server, "POST", path + waits + "/cancel", {}), 200, status="cancelled")
    ended = _expect(_json(server, "POST", path + runs + "/cancel"), 200, status="cancelled")
    if ended["output"][0]["status"] != "incomplete" or b"response.completed" in _read_until(s, b"[DONE]"):
        return f"a cancelled response: {ended}"
    _expect(_json(server, "GET", path + runs), 200, **ended)
    server.request("GET", path + other + "?stream=true", {}, None)  # until it has ended
    _expect(_json(server, "GET", path + other), 200, status="completed", output_text="second")
    s, runs = _hold_in_background(server)
    waits = _background(server, "third")
    for name in (waits, runs):  # both are cancelled first
        _expect(_json(server, "DELETE", path + name), 200, id=name, deleted=True)
        _expect(_json(server, "GET", path + name), 404)
    _read_until(s, b"[DONE]")
    s.close()
    return None


def the_queue_has_a_bound(server):
    s, runs = _hold_in_background(server)
    waiting = [_background(server, "a"), _background(server, "b")]
    status, r, headers = _json(server, "POST", "/v1/responses", {"model": "o3", "input": "c", "background": True})
    if status != 503 or r["error"]["code"] != "server_is_overloaded" or headers.get("retry-after") != "1":
        return f"status {status}: {r}, {headers}"
    _expect(_json(server, "POST", "/v1/responses", {"model": "o3", "input": "not in the background"}), 200)
    _expect(_json(server, "POST", f"/v1/responses/{waiting[0]}/cancel"), 200, status="cancelled")
    waiting.append(_background(server, "d"))  # there is room again
    _expect(_json(server, "POST", f"/v1/responses/{runs}/cancel"), 200, status="cancelled")
    _read_until(s, b"[DONE]")
    for name in waiting[1:]:
        server.request("GET", f"/v1/responses/{name}?stream=true", {}, None)
        _expect(_json(server, "GET", f"/v1/responses/{name}"), 200, status="completed")
    return None


def a_cut_stream_is_picked_up_again(server):
    """The first client leaves in the middle; the response goes on, and a second one reads on behind what was seen."""
    s, runs = _hold_in_background(server)
    s.close()
    _expect(_json(server, "GET", f"/v1/responses/{runs}"), 200, status="in_progress")
    again = socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S)
    again.sendall(f"GET /v1/responses/{runs}?stream=true&starting_after=4 HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    seen = _read_until(again, b'"delta":" 2"')
    if b'"sequence_number":4,' in seen or b'"sequence_number":5,' not in seen:
        return f"it begins elsewhere: {seen[-900:]!r}"
    _expect(_json(server, "POST", "/v1/responses", {"model": "o3", "input": "/release"}), 200)
    seen += _read_until(again, b"[DONE]")
    again.close()
    _expect(_json(server, "GET", f"/v1/responses/{runs}"), 200, status="completed")
    return None if b"event: response.completed" in seen else f"its end: {seen[-300:]!r}"


def _slow_stream(server, request, body=b""):
    """None, or what is wrong with the stream that a reader with little room gets."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(DEADLINE_S)
    s.connect(("127.0.0.1", server.port))
    s.sendall(f"{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n"
              f"content-length: {len(body)}\r\n\r\n".encode() + body)
    seen = _rest(s)
    numbers = [int(n) for n in re.findall(rb'"sequence_number":(\d+),', seen)]
    if numbers != list(range(len(numbers))) or len(numbers) < 20000 or b"data: [DONE]\n\n" not in seen[-40:]:
        return f"{len(seen)} bytes, {len(numbers)} events: {seen[-300:]!r}"
    return None


def a_stored_stream_waits_for_its_reader(server):
    name = _background(server, "/count 20000")
    deadline = time.monotonic() + DEADLINE_S
    while _expect(_json(server, "GET", f"/v1/responses/{name}"), 200)["status"] in ("queued", "in_progress"):
        if time.monotonic() > deadline:
            return "it still runs"
    return _slow_stream(server, f"GET /v1/responses/{name}?stream=true")


def a_live_stream_falls_back_to_what_is_stored(server):
    body = {"model": "o3", "input": "/count 20000", "background": True, "stream": True, "reasoning": {"effort": "none"}}
    return _slow_stream(server, "POST /v1/responses", json.dumps(body).encode())


def a_synchronous_response_that_runs_is_not_deleted(server):
    s = _send(server, "/v1/responses", {"model": "o3", "input": "/hold 2", "stream": True, "reasoning": {"effort": "none"}})
    name = _read_until(s, b"output_text.delta").split(b'"id":"')[1].split(b'"')[0].decode()
    if not _conflict(_json(server, "DELETE", f"/v1/responses/{name}")):
        return "no conflict"
    _expect(_json(server, "GET", f"/v1/responses/{name}"), 200, status="in_progress")
    s.close()
    deadline = time.monotonic() + DEADLINE_S
    while _json(server, "GET", f"/v1/responses/{name}")[1]["status"] == "in_progress":
        if time.monotonic() > deadline:
            return "it still runs"
    return _expect(_json(server, "GET", f"/v1/responses/{name}"), 200, status="cancelled") and None


def _lines(server, text, until):
    """(connection of its stream, id) of a background o3-pro response that was read until then."""
    s = _send(server, "/v1/responses", {"model": "o3-pro", "input": text, "background": True, "stream": True,
                                        "reasoning": {"effort": "high", "summary": "auto"}})
    seen = _read_until(s, until)
    return s, seen.split(b'"id":"')[1].split(b'"')[0].decode()


def lines_are_cancelled_at_every_stage(server):
    """While the first wave thinks, and when it has been counted and the second one has not."""
    for text, until in ("/vote @7", b"Line 1 tries"), ("/vote 1 2 3 4 @5", b"Line 4 found 4."):
        s, name = _lines(server, text, until)
        r = _expect(_json(server, "POST", f"/v1/responses/{name}/cancel"), 200, status="cancelled", output_text="")
        if r["usage"]["output_tokens"] < 10 or [i["type"] for i in r["output"]] != ["reasoning"]:
            return f"{text}: {json.dumps(r)[:600]}"
        if r["output"][0]["status"] != "incomplete":
            return f"{text}: its reasoning is {r['output'][0]['status']}"
        seen = _rest_of_stream(s)
        if b"response.completed" in seen:
            return f"{text}: it was completed"
    return None


def _rest_of_stream(s):
    seen = _read_until(s, b"[DONE]")
    s.close()
    return seen


def a_stream_of_lines_starts_at_once(server):
    """The summary comes while every line still runs; when they may end, the answer follows."""
    s, name = _lines(server, "/vote @7", b"reasoning_summary_text.delta")
    _expect(_json(server, "GET", f"/v1/responses/{name}"), 200, status="in_progress", output_text="")
    _expect(_json(server, "POST", "/v1/responses", {"model": "o3", "input": "/release"}), 200)
    seen = _rest_of_stream(s)
    _expect(_json(server, "GET", f"/v1/responses/{name}"), 200, status="completed", output_text="7")
    return None if b"response.completed" in seen else f"its end: {seen[-300:]!r}"
