"""compliance.py - what Open Responses asks of a server, by the names its compliance tests have, and by its MUSTs.

    THINKD_E2E_URL=... THINKD_E2E_KEYED_URL=... THINKD_E2E_KEY=... python3 compliance.py

The first part has one test for each of the official suite's ids. The second part asks for what the specification says in
capitals and those tests do not look at, and for clients that keep their own history. The server is the echo engine's.
"""
import base64
import http.client
import json
import os
import pathlib
import struct
import sys
import urllib.parse
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import schema  # noqa: E402
import tap  # noqa: E402
from schema import rules  # noqa: E402
from socket_client import ANSWER_S, Closed, Refused, Socket  # noqa: E402

URL, KEYED_URL, KEY = (os.environ[name] for name in ("THINKD_E2E_URL", "THINKD_E2E_KEYED_URL", "THINKD_E2E_KEY"))
MODEL = "o3"
CREATE, COMPACT = "/v1/responses", "/v1/responses/compact"


# --- asking --------------------------------------------------------------------------------------------------------


def exchange(method, path, body=None, url=URL, headers=None):
    """(status, {header: value}, bytes)"""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=ANSWER_S)
    try:
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, {"content-type": "application/json", **(headers or {})})
        reply = connection.getresponse()
        return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def ask(path, body, status=200, **how):
    got, headers, raw = exchange("POST", path, body, **how)
    assert got == status, f"status {got}, not {status}: {raw[:400]!r}"
    assert headers["content-type"].split(";")[0] == "application/json", headers
    return json.loads(raw)


def create(input, **more):
    return schema.response(ask(CREATE, {"model": MODEL, "input": input, **more}))


def refused(body, status, code, param, path=CREATE, **how):
    value = ask(path, body, status, **how)
    rules.error(value)
    error = value["error"]
    assert (error["code"], error["param"]) == (code, param), error
    return error


def stream(body):
    status, headers, raw = exchange("POST", CREATE, {"model": MODEL, "stream": True, **body})
    assert status == 200 and headers["content-type"].split(";")[0] == "text/event-stream", (status, headers, raw[:300])
    seen = []
    for name, data in rules.frames(raw):
        seen.append(json.loads(data))
        assert name == seen[-1]["type"]
    assert b"\nid:" not in raw
    return seen


def message(role, content, **more):
    return {"type": "message", "role": role, "content": content, **more}


def text_of(response):
    return "".join(p["text"] for i in response["output"] if i["type"] == "message" for p in i["content"])


def done(response, text=None):
    assert response["status"] == "completed" and response["output"], response
    assert text is None or text_of(response) == text, text_of(response)
    return response


def turn(socket, **body):
    return done(schema.events(socket.ask(**body)))


def only_error(seen, status, code):
    assert len(seen) == 1, seen
    return schema.socket_error(seen[0], status, code)


def png(width, height):
    def chunk(kind, data):
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\xc0\x20\x20" * width) * height
    head = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pdf(line):
    show = b"BT /F1 18 Tf 72 720 Td (" + line + b") Tj ET"
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
               b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
               b"<</Length %d>>\nstream\n%s\nendstream" % (len(show), show), b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    out, places = b"%PDF-1.4\n", []
    for n, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (n, body)
    table = b"".join(b"%010d 00000 n \n" % at for at in places)
    return out + b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (table, len(out))


# --- the official ids ----------------------------------------------------------------------------------------------


def schemas():
    if schema.missing:
        raise tap.Skip(schema.missing + "; our own rules are checked alone")


def basic_response():
    done(create([message("user", "Greet me in three words.")]), "Greet me in three words.")


def assistant_phase():
    done(create([message("user", "Begin."), message("assistant", "I look it up.", phase="commentary"),
                 message("assistant", [{"type": "output_text", "text": "Found."}], phase="final_answer"),
                 message("user", "Go on.")]), "Go on.")


def response_output_phase_schema():
    for item in create("Which phase is this?")["output"]:
        assert item.get("phase", "final_answer") in ("commentary", "final_answer")
    if schema.missing:
        return
    shown = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": []}
    schema.items([{**shown, "phase": "commentary"}, {**shown, "phase": "final_answer"}])
    for bad in (None, "later"):
        try:
            schema.items([{**shown, "phase": bad}])
        except AssertionError:
            continue
        raise AssertionError(f"the schema takes the phase {bad!r}")


def streaming_response():
    seen = stream({"input": [message("user", "/count 5")]})
    assert len([e for e in seen if e["type"] == "response.output_text.delta"]) > 1
    done(schema.events(seen), "1 2 3 4 5")


def websocket_response():
    socket = Socket(URL)
    done(turn(socket, store=False, input=[message("user", "One turn.")]), "One turn.")
    socket.close()


def websocket_sequential_responses():
    socket = Socket(URL)
    ids = {turn(socket, store=False, input=[message("user", word)])["id"] for word in ("one", "two", "three")}
    assert len(ids) == 3
    socket.close()


def websocket_continuation():
    socket = Socket(URL)
    first = turn(socket, store=False, input="My number is 7.")
    second = turn(socket, store=False, input="Which one?", previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]
    alone = turn(socket, store=False, input="Which one?")
    assert second["usage"]["input_tokens"] > alone["usage"]["input_tokens"], "the first turn is not in its context"
    socket.close()


def websocket_reconnect_store_false_recovery():
    socket = Socket(URL)
    first = turn(socket, store=False, input="Remember this.")
    socket.close()
    socket = Socket(URL)
    only_error(socket.ask(store=False, input="And now?", previous_response_id=first["id"]), 400, "previous_response_not_found")
    turn(socket, store=False, previous_response_id=None,
         input=[message("user", "Remember this."), *first["output"], message("user", "And now?")])
    socket.close()


def websocket_previous_response_not_found():
    socket = Socket(URL)
    error = only_error(socket.ask(store=False, input="x", previous_response_id="resp_0123456789"), 400, "previous_response_not_found")
    assert error["param"] == "previous_response_id" and "resp_0123456789" in error["message"], error
    turn(socket, store=False, input="The connection goes on.")
    socket.close()


def websocket_failed_continuation_evicts_cache():
    socket = Socket(URL)
    first = turn(socket, store=False, input="Before.")
    output = {"type": "function_call_output", "call_id": "call_nobody_made", "output": "5"}
    failed = socket.ask(store=False, input=[output], previous_response_id=first["id"])
    assert len(failed) == 1 and failed[0]["type"] == "error" and 400 <= failed[0]["status"] < 600, failed
    assert failed[0]["error"]["code"] != "previous_response_not_found", failed
    only_error(socket.ask(store=False, input="After.", previous_response_id=first["id"]), 400, "previous_response_not_found")
    socket.close()


def websocket_compact_new_chain():
    window = [message("user", "What is the plan?"), message("assistant", "A long plan."), message("user", "Thank you.")]
    compacted = schema.compaction(ask(COMPACT, {"model": MODEL, "input": window}))
    socket = Socket(URL)
    first = turn(socket, store=False, input=[*compacted["output"], message("user", "Go on.")])
    assert first["previous_response_id"] is None
    turn(socket, store=False, input="And on.", previous_response_id=first["id"])
    socket.close()


def system_prompt():
    done(create([message("system", "You are a sailor. Answer like one."), message("user", "Greet me.")]), "Greet me.")


WEATHER = {"type": "function", "name": "get_weather", "description": "The weather of a place.", "strict": True,
           "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"],
                          "additionalProperties": False}}
CALLED = '<tool_call>\n{"name": "get_weather", "arguments": {"location": "San Francisco"}}\n</tool_call>'


def tool_calling():
    """The echo engine chooses a tool where the question spells the call."""
    response = create(CALLED, tools=[WEATHER])
    calls = [i for i in response["output"] if i["type"] == "function_call"]
    assert response["status"] == "completed" and len(calls) == 1, response["output"]
    assert calls[0]["name"] == "get_weather" and json.loads(calls[0]["arguments"]) == {"location": "San Francisco"}
    output = {"type": "function_call_output", "call_id": calls[0]["call_id"], "output": "9 degrees"}
    done(create([output, message("user", "And now?")], previous_response_id=response["id"]), "And now?")
    streamed = schema.events(stream({"input": CALLED, "tools": [WEATHER]}))
    assert [i["type"] for i in streamed["output"]] == [i["type"] for i in response["output"]]


def image_input():
    url = "data:image/png;base64," + base64.b64encode(png(32, 32)).decode()
    done(create([message("user", [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": url}])]))


def multi_turn():
    done(create([message("user", "I am called Ada."), message("assistant", "Hello, Ada."), message("user", "How am I called?")]),
         "How am I called?")


def compact_response():
    window = [message("user", "A question."), message("assistant", "Its answer."), message("user", "Another.")]
    compacted = schema.compaction(ask(COMPACT, {"model": MODEL, "input": window}))
    schema.items(compacted["output"])
    assert [i["type"] for i in compacted["output"]].count("compaction") == 1
    done(create([*compacted["output"], message("user", "Go on.")]), "Go on.")


def compact_missing_model():
    refused({"input": "x"}, 400, "missing_required_parameter", "model", COMPACT)


def previous_response_id():
    first = create("My number is 7.")
    second = done(create("Which one?", previous_response_id=first["id"]), "Which one?")
    assert second["previous_response_id"] == first["id"]
    assert second["usage"]["input_tokens"] > create("Which one?")["usage"]["input_tokens"]


def file_input():
    part = {"type": "input_file", "filename": "note.pdf",
            "file_data": "data:application/pdf;base64," + base64.b64encode(pdf(b"The secret word is juniper.")).decode()}
    status, _, raw = exchange("POST", CREATE, {"model": MODEL, "input": [message("user", [part])]})
    if status != 200 and b"pdftotext" in raw:
        raise tap.Skip("pdftotext is not installed where the server runs")
    assert status == 200, raw[:400]
    assert "juniper" in text_of(schema.response(json.loads(raw)))


# --- what the specification says in capitals -----------------------------------------------------------------------


def bodies_are_json_both_ways():
    status, headers, raw = exchange("POST", CREATE, b"model=o3&input=x", headers={"content-type": "application/x-www-form-urlencoded"})
    assert status == 415 and headers["content-type"].startswith("application/json"), (status, headers)
    rules.error(json.loads(raw))


def an_error_while_streaming_is_followed_by_failed():
    seen = stream({"input": "/fail", "reasoning": {"effort": "none"}})
    assert [e["type"] for e in seen[-2:]] == ["error", "response.failed"], [e["type"] for e in seen]
    failed = schema.events(seen)
    assert failed["status"] == "failed" and failed["error"]["code"], failed["error"]


def an_incomplete_item_is_the_last_one():
    for effort in ("none", "high"):
        seen = stream({"input": "/endless", "max_output_tokens": 16, "reasoning": {"effort": effort}})
        response = schema.events(seen)
        assert response["status"] == "incomplete" and seen[-1]["type"] == "response.incomplete"
        states = [i["status"] for i in response["output"]]
        assert states[-1] == "incomplete" and "incomplete" not in states[:-1], states


def every_item_has_id_type_and_status():
    window = [message("user", "a"), {"type": "reasoning", "summary": []}, message("assistant", "b"), message("user", "c")]
    compacted = ask(COMPACT, {"model": MODEL, "input": window})
    for item in create("x", reasoning={"summary": "auto"})["output"] + compacted["output"]:
        assert item["id"] and item["type"] and item["status"], item


def nothing_is_truncated_unless_allowed():
    long = [message("user", "word " * 120000), message("assistant", "yes"), message("user", "word " * 120000), message("user", "Short.")]
    refused({"model": MODEL, "input": long}, 400, "context_length_exceeded", "input")
    done(create(long, truncation="auto"), "Short.")


def the_order_is_previous_input_previous_output_input():
    first = create([message("user", "one"), message("user", "two")])
    second = create("three", previous_response_id=first["id"])
    status, _, raw = exchange("GET", f"/v1/responses/{second['id']}/input_items?order=asc")
    shown = [(i["role"], i["content"][0]["text"]) for i in json.loads(raw)["data"] if i["type"] == "message"]
    assert shown == [("user", "one"), ("user", "two"), ("assistant", "two"), ("user", "three")], shown


def no_tool_is_called_where_none_may_be():
    tool = {"type": "function", "name": "f", "description": None, "parameters": {"type": "object"}, "strict": True}
    response = create("Call f.", tools=[tool], tool_choice="none")
    assert [i["type"] for i in response["output"] if i["type"] == "function_call"] == [] and response["tools"][0] == tool


def a_tool_is_called_where_one_must_be():
    tools = [{"type": "function", "name": name, "description": None, "parameters": None, "strict": False} for name in ("f", "g")]
    for choice, names in (("required", "fg"), ({"type": "function", "name": "g"}, "g"),
                          ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}, "f")):
        calls = [i for i in create("x", tools=tools, tool_choice=choice)["output"] if i["type"] == "function_call"]
        assert calls and all(c["name"] in names for c in calls), (choice, calls)
    spelled = '<tool_call>\n{"name": "g", "arguments": {}}\n</tool_call>'
    hidden = create(spelled, tools=tools, tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]})
    assert all(i.get("name") != "g" for i in hidden["output"]), hidden["output"]


def a_connection_goes_on_from_a_call():
    socket = Socket(URL)
    first = turn(socket, store=False, input=CALLED, tools=[WEATHER])
    call = [i for i in first["output"] if i["type"] == "function_call"][0]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "9 degrees"}
    second = turn(socket, store=False, input=[output], previous_response_id=first["id"], tools=[WEATHER])
    assert text_of(second) == "9 degrees", second["output"]
    socket.close()


def one_call_where_they_are_not_parallel():
    tools = [{"type": "function", "name": "f", "description": None, "parameters": None, "strict": False}]
    spelled = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'
    for parallel, n in ((True, 2), (False, 1)):
        response = create(f"{spelled}\n{spelled}", tools=tools, parallel_tool_calls=parallel)
        assert len([i for i in response["output"] if i["type"] == "function_call"]) == n, response["output"]


# --- function calls as history -------------------------------------------------------------------------------------

CALL = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Oslo"}'}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "9 degrees"}


def calls_and_their_outputs_are_history():
    response = done(create([message("user", "How warm is it?"), CALL, OUTPUT]), "9 degrees")
    done(create("And now?", previous_response_id=response["id"]), "And now?")
    done(create([message("user", "How warm?"), message("assistant", "I look."), {**CALL, "id": "fc_1", "status": "completed"},
                 {**OUTPUT, "output": [{"type": "input_text", "text": "9"}]}, message("user", "Thanks.")]), "Thanks.")


def a_call_without_output_is_refused():
    error = refused({"model": MODEL, "input": [message("user", "x"), CALL]}, 400, None, "input")
    assert error["message"] == "No tool output found for function call call_1."
    refused({"model": MODEL, "input": [message("user", "x"), OUTPUT]}, 400, "invalid_value", "input[1].call_id")
    refused({"model": MODEL, "input": [message("user", "x"), OUTPUT, CALL]}, 400, "invalid_value", "input[1].call_id")


def calls_survive_truncation():
    long, question = message("user", "word " * 120000), message("user", "Which?")
    for input in ([long, long, question, CALL, OUTPUT], [CALL, OUTPUT, long, long, question], [long, CALL, OUTPUT, long, CALL, OUTPUT, question],
                  [long, CALL, {**OUTPUT, "output": "word " * 120000}, question]):
        done(create(input, truncation="auto"), "9 degrees" if input[-1] is OUTPUT else "Which?")
    refused({"model": MODEL, "input": [question, CALL, {**OUTPUT, "output": "word " * 240000}], "truncation": "auto"}, 400,
            "context_length_exceeded", "input")  # a call goes with its output, or stays with it


def calls_survive_compaction():
    compacted = schema.compaction(ask(COMPACT, {"model": MODEL, "input": [message("user", "a"), CALL, OUTPUT, message("user", "b")]}))
    schema.items(compacted["output"])
    done(create([*compacted["output"], message("user", "c")]), "c")


# --- clients that keep their own history ---------------------------------------------------------------------------


def sealed(input="Think of it.", url=URL, key=None):
    headers = {"authorization": "Bearer " + key} if key else None
    body = {"model": MODEL, "store": False, "include": ["reasoning.encrypted_content"], "input": input}
    response = schema.response(ask(CREATE, body, url=url, headers=headers))
    [item] = [i for i in response["output"] if i["type"] == "reasoning"]
    assert isinstance(item["encrypted_content"], str) and len(item["encrypted_content"]) > 40, item
    return response, item


def again(response, item, url=URL, key=None, status=200, **more):
    """As codex sends it: the reasoning's content is null, everything else as it came."""
    answer = [i for i in response["output"] if i["type"] == "message"]
    body = {"model": MODEL, "store": False, "include": ["reasoning.encrypted_content"], **more,
            "input": [message("user", "Think of it."), {**item, "content": None}, *answer, message("user", "Go on.")]}
    return ask(CREATE, body, status, url=url, headers={"authorization": "Bearer " + key} if key else None)


def sealed_reasoning_comes_back():
    response, item = sealed()
    plain = done(schema.response(again(response, item)), "Go on.")
    kept = schema.response(again(response, item, reasoning={"context": "all_turns"}))
    assert kept["usage"]["input_tokens"] >= plain["usage"]["input_tokens"]
    status, _, _ = exchange("GET", "/v1/responses/" + response["id"])
    assert status == 404, "store: false was kept"


def sealed_reasoning_is_streamed_as_it_is_replied():
    seen = stream({"input": "Think.", "store": False, "include": ["reasoning.encrypted_content"]})
    response = schema.events(seen)
    shown = [e["item"]["encrypted_content"] for e in seen if e["type"] == "response.output_item.done" and e["item"]["type"] == "reasoning"]
    assert shown == [i["encrypted_content"] for i in response["output"] if i["type"] == "reasoning"] and shown
    assert all("encrypted_content" not in e["item"] for e in seen if e["type"] == "response.output_item.added")


def without_include_nothing_is_sealed():
    for item in create("Think.", store=False)["output"]:
        assert "encrypted_content" not in item, item


def sealed_reasoning_of_others_is_refused():
    response, item = sealed()
    token = item["encrypted_content"]
    for bad in ("", "x", token[:-4], token[:-1] + ("A" if token[-1] != "A" else "B"), "\u20ac" * 50):
        error = again(response, {**item, "encrypted_content": bad}, status=400)["error"]
        assert (error["code"], error["param"]) == ("invalid_encrypted_content", "input[1].encrypted_content"), (bad, error)
    mine, own = sealed(url=KEYED_URL, key=KEY)
    done(again(mine, own, url=KEYED_URL, key=KEY))
    error = again(mine, own, status=400)["error"]  # another server, another secret
    assert error["code"] == "invalid_encrypted_content", error


# --- one connection ------------------------------------------------------------------------------------------------


def types_of(seen):
    return [e["type"] for e in seen]


def fields_of_http_do_nothing_on_a_socket():
    socket = Socket(URL)
    for more in ({"stream": False}, {"stream": True}, {"background": True}, {"stream_options": {"include_obfuscation": True}},
                 {"stream": "odd", "background": 7, "stream_options": []}):
        response = turn(socket, store=False, input="x", **more)
        assert response["background"] is False
    socket.close()


def what_is_no_request_is_an_error_and_the_socket_goes_on():
    socket = Socket(URL)
    for text in ("", "{", "garbage", "[]", "5", "null", '"response.create"', "{}", '{"type": 7}', '{"type": null}', '{"type": "response.steer"}',
                 '{"type": "response.create"}', '{"type": "response.create", "model": "nope", "input": "x"}', "[" * 5000,
                 '{"type": "response.create", "model": "o3", "input": "x", "nonsense": 1}'):
        socket.text(text)
        seen = socket.turn()
        assert len(seen) == 1 and 400 <= seen[0]["status"] < 500, (text, seen)
        assert schema.socket_error(seen[0], seen[0]["status"], seen[0]["error"]["code"])["code"], seen
    turn(socket, input="Still here.")
    socket.close()


def messages_are_answered_in_order_one_at_a_time():
    socket = Socket(URL)
    words = [f"word{n}" for n in range(20)]
    for word in words:
        socket.create(store=False, input=word)
    for word in words:
        done(schema.events(socket.turn()), word)  # the rules refuse events of two responses
    socket.close()


def every_4xx_of_a_continuation_evicts():
    for bad in ({"model": "nope"}, {"temperature": 9}, {"nonsense": 1}, {"input": 7}, {"tools": 5}):
        socket = Socket(URL)
        first = turn(socket, store=False, input="Before.")
        seen = socket.ask(**{"store": False, "input": "x", "previous_response_id": first["id"], **bad})
        assert types_of(seen) == ["error"] and 400 <= seen[0]["status"] < 500, seen
        only_error(socket.ask(store=False, input="After.", previous_response_id=first["id"]), 400, "previous_response_not_found")
        socket.close()


def a_5xx_of_a_continuation_evicts():
    socket = Socket(URL)
    first = turn(socket, store=False, input="Before.")
    seen = socket.ask(store=False, input="/fail", previous_response_id=first["id"])
    assert types_of(seen)[-2:] == ["error", "response.failed"], seen
    schema.socket_error(seen[-2], 500, "server_error")
    only_error(socket.ask(store=False, input="After.", previous_response_id=first["id"]), 400, "previous_response_not_found")
    socket.close()


def what_fails_and_goes_on_from_nothing_evicts_nothing():
    socket = Socket(URL)
    first = turn(socket, store=False, input="Before.")
    assert types_of(socket.ask(input=7)) == ["error"]
    turn(socket, store=False, input="After.", previous_response_id=first["id"])
    socket.close()


def stored_responses_outlive_their_socket():
    socket = Socket(URL)
    first = turn(socket, store=True, input="Keep this.")
    turn(socket, store=False, input="Between.")
    turn(socket, input="Goes on.", previous_response_id=first["id"])
    socket.close()
    socket = Socket(URL)
    turn(socket, input="Goes on.", previous_response_id=first["id"])
    socket.close()
    done(create("Goes on.", previous_response_id=first["id"]))


def a_socket_needs_a_key_where_http_does():
    for key in (None, "sk-wrong"):
        try:
            Socket(KEYED_URL, key)
        except Refused as refusal:
            assert refusal.args[0] == 401, refusal
        else:
            raise AssertionError("an upgrade without a key")
    socket = Socket(KEYED_URL, KEY)
    turn(socket, input="x")
    socket.close()


def the_life_of_a_socket_ends_with_an_error():
    socket = Socket(os.environ["THINKD_E2E_BRIEF_URL"])
    schema.socket_error(socket.receive(), 400, "websocket_connection_limit_reached")
    try:
        socket.receive()
    except Closed as closed:
        assert closed.args[0] == 1000, closed
    else:
        raise AssertionError("a message after the end")


OFFICIAL = (
    "basic-response assistant-phase response-output-phase-schema streaming-response websocket-response websocket-sequential-responses "
    "websocket-continuation websocket-reconnect-store-false-recovery websocket-previous-response-not-found "
    "websocket-failed-continuation-evicts-cache websocket-compact-new-chain system-prompt tool-calling image-input multi-turn "
    "compact-response compact-missing-model previous-response-id file-input").split()
OURS = [
    bodies_are_json_both_ways, an_error_while_streaming_is_followed_by_failed, an_incomplete_item_is_the_last_one,
    every_item_has_id_type_and_status, nothing_is_truncated_unless_allowed, the_order_is_previous_input_previous_output_input,
    no_tool_is_called_where_none_may_be, a_tool_is_called_where_one_must_be, a_connection_goes_on_from_a_call, one_call_where_they_are_not_parallel, calls_and_their_outputs_are_history, a_call_without_output_is_refused,
    calls_survive_truncation, calls_survive_compaction, sealed_reasoning_comes_back, sealed_reasoning_is_streamed_as_it_is_replied,
    without_include_nothing_is_sealed, sealed_reasoning_of_others_is_refused, fields_of_http_do_nothing_on_a_socket,
    what_is_no_request_is_an_error_and_the_socket_goes_on, messages_are_answered_in_order_one_at_a_time,
    every_4xx_of_a_continuation_evicts, a_5xx_of_a_continuation_evicts, what_fails_and_goes_on_from_nothing_evicts_nothing,
    stored_responses_outlive_their_socket, a_socket_needs_a_key_where_http_does, the_life_of_a_socket_ends_with_an_error,
]
sys.exit(tap.run([("schemas of the description", schemas)] + [(name, globals()[name.replace("-", "_")]) for name in OFFICIAL] +
                 [(function.__name__.replace("_", " "), function) for function in OURS]))
