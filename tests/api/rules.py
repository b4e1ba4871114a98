"""rules.py - what holds for every reply, whatever a case expects.

Responses have all their keys; errors have four; streams are numbered without gaps, agree with themselves and end in
[DONE]. A case that only names a status still checks all of this.
"""
from pattern import mismatch

NULLABLE_STRING = ("instructions", "previous_response_id", "safety_identifier", "prompt_cache_key")
USAGE = {
    "input_tokens": "<int>", "input_tokens_details": {"cached_tokens": "<int>", "cache_write_tokens": "<int>"},
    "output_tokens": "<int>", "output_tokens_details": {"reasoning_tokens": "<int>"}, "total_tokens": "<int>",
}
RESPONSE = {
    "id": "<id:resp_>", "object": "response", "created_at": "<int>", "completed_at": "<any>",
    "status": "<re:^(in_progress|completed|failed|incomplete|cancelled)$>", "background": "<bool>", "error": "<any>",
    "incomplete_details": "<any>", "instructions": "<any>", "max_output_tokens": "<any>", "max_tool_calls": "<any>",
    "model": "<string>", "output": ["<...>"], "output_text": "<any>", "parallel_tool_calls": "<bool>",
    "previous_response_id": "<any>",
    "reasoning": {"effort": "<string>", "summary": "<any>"}, "store": False, "temperature": "<number>",
    "top_p": "<number>", "top_logprobs": "<int>", "presence_penalty": "<number>", "frequency_penalty": "<number>",
    "text": {"format": {"type": "text"}, "verbosity": "medium"}, "tool_choice": "<any>", "tools": ["<...>"],
    "truncation": "disabled", "usage": "<any>", "service_tier": "<string>", "metadata": {},
    "safety_identifier": "<any>", "prompt_cache_key": "<any>",
    "thinkd": {"<only>": True, "cost": "<any>", "route": ["<string>"], "budget": {"allowed": "<int>", "used": "<int>"},
               "effort": "<string>", "seed": "<int>", "inactive_tools": ["<...>"]},
}
MESSAGE = {
    "<only>": True, "type": "message", "id": "<id:msg_>", "role": "assistant",
    "status": "<re:^(in_progress|completed|incomplete)$>", "content": ["<...>"],
}
REASONING = {
    "<only>": True, "type": "reasoning", "id": "<id:rs_>", "status": "<re:^(in_progress|completed|incomplete)$>",
    "summary": ["<...>"],
}
CHAT = {
    "id": "<id:chatcmpl->", "created": "<int>", "model": "<string>", "choices": ["<...>"],
    "system_fingerprint": "<re:^fp_[0-9a-f]+$>", "service_tier": "default",
}
CHAT_USAGE = {
    "prompt_tokens": "<int>", "completion_tokens": "<int>", "total_tokens": "<int>",
    "prompt_tokens_details": {"cached_tokens": "<int>", "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": "<int>", "audio_tokens": 0, "accepted_prediction_tokens": 0,
                                  "rejected_prediction_tokens": 0},
}


class Broken(Exception):
    """A rule does not hold; the message says which."""


def expect(want, got, at):
    why = mismatch(want, got, at)
    if why:
        raise Broken(why)


def item(i, at="item"):
    expect(MESSAGE if i.get("type") == "message" else REASONING, i, at)
    for part in i.get("content", []):
        expect({"<only>": True, "type": "output_text", "text": "<any>", "annotations": [], "logprobs": []}, part, at)


def money(thinkd, tokens_in, tokens_out):
    cost = thinkd["cost"]
    if cost["input"] != tokens_in * cost["price"]["input"] or cost["output"] != tokens_out * cost["price"]["output"]:
        raise Broken(f"cost is not tokens times price: {cost}")
    if cost["total"] != cost["input"] + cost["output"]:
        raise Broken(f"cost does not add up: {cost}")


def response(r):
    expect(RESPONSE, r, "response")
    for key in NULLABLE_STRING:
        if r[key] is not None and not isinstance(r[key], str):
            raise Broken(f"response.{key}: {r[key]!r}")
    for n, i in enumerate(r["output"]):
        item(i, f"response.output[{n}]")
    texts = "".join(p["text"] for i in r["output"] if i["type"] == "message" for p in i["content"])
    if r["output_text"] != texts:
        raise Broken("output_text is not the text of the messages")
    if r["status"] == "in_progress":
        expect({"usage": None, "completed_at": None, "error": None}, r, "response")
        return
    usage = r["usage"]
    expect(USAGE, usage, "response.usage")
    if usage["total_tokens"] != usage["input_tokens"] + usage["output_tokens"]:
        raise Broken("usage does not add up")
    if usage["output_tokens_details"]["reasoning_tokens"] > usage["output_tokens"]:
        raise Broken("more reasoning tokens than output tokens")
    money(r["thinkd"], usage["input_tokens"], usage["output_tokens"])
    if (r["completed_at"] is None) != (r["status"] != "completed"):
        raise Broken("completed_at belongs to completed responses")
    if r["status"] == "incomplete":
        expect({"incomplete_details": {"reason": "max_output_tokens"}, "error": None}, r, "response")
        if r["output"] and r["output"][-1]["status"] != "incomplete":
            raise Broken("the last item of an incomplete response is not incomplete")


def completion(c):
    expect(CHAT, c, "completion")
    expect({"object": "chat.completion", "usage": CHAT_USAGE}, c, "completion")
    if c["usage"]["total_tokens"] != c["usage"]["prompt_tokens"] + c["usage"]["completion_tokens"]:
        raise Broken("usage does not add up")
    money(c["thinkd"], c["usage"]["prompt_tokens"], c["usage"]["completion_tokens"])
    for n, choice in enumerate(c["choices"]):
        expect({"<only>": True, "index": n, "logprobs": None, "finish_reason": "<re:^(stop|length)$>",
                "message": {"<only>": True, "role": "assistant", "content": "<any>", "refusal": None, "annotations": []}},
               choice, f"choices[{n}]")


def error(body):
    expect({"error": {"<only>": True, "message": "<string>", "type": "<string>", "param": "<any>", "code": "<any>"}},
           body, "error")


def frames(raw):
    """[(event name or None, data)] of a whole stream."""
    text = raw.decode("utf-8")
    if "\r" in text:
        raise Broken("a stream holds CR")
    if not text.endswith("\n\n"):
        raise Broken("the last frame is cut")
    out = []
    for frame in text[:-2].split("\n\n"):
        lines = [line for line in frame.split("\n") if not line.startswith(":")]
        if not lines:
            continue
        name = lines.pop(0)[len("event: "):] if lines[0].startswith("event: ") else None
        if len(lines) != 1 or not lines[0].startswith("data: "):
            raise Broken(f"not a frame: {frame!r}")
        out.append((name, lines[0][len("data: "):]))
    if not out or out[-1] != (None, "[DONE]"):
        raise Broken("the stream does not end in [DONE]")
    return out[:-1]


def response_stream(events):
    """events: [(name, object)] in order."""
    items, text, done = [], {}, set()
    for n, (name, e) in enumerate(events):
        if name != e["type"] or e["sequence_number"] != n:
            raise Broken(f"frame {n}: event {name}, type {e['type']}, sequence_number {e['sequence_number']}")
        if "response" in e:
            response(e["response"])
            if e["response"]["id"] != events[0][1]["response"]["id"]:
                raise Broken("the response's id changes")
        if name == "response.output_item.added":
            if e["output_index"] != len(items) or e["item"]["status"] != "in_progress":
                raise Broken(f"frame {n}: item added out of order or not in progress")
            items.append(e["item"])
            item(e["item"])
        elif "output_index" in e:
            if "item_id" in e and e["item_id"] != items[e["output_index"]]["id"]:
                raise Broken(f"frame {n}: item_id is not that of the item")
        if name == "response.output_item.done":
            item(e["item"])
            done.add(e["output_index"])
        if name.endswith("text.delta"):
            text[e["item_id"]] = text.get(e["item_id"], "") + e["delta"]
        if name.endswith("text.done") and e["text"] != text.get(e["item_id"], ""):
            raise Broken(f"frame {n}: the deltas are not the text")
    if done != set(range(len(items))):
        raise Broken("an item was added and not done")
    last = events[-1][1]
    if "response" in last and [i["id"] for i in last["response"]["output"]] != [i["id"] for i in items]:
        raise Broken("the last event has other items than were added")


def chat_stream(chunks):
    for n, (name, c) in enumerate(chunks):
        if name is not None:
            raise Broken("chat frames have no event line")
        if "error" in c:
            error(c)
            continue
        expect(CHAT, c, f"chunk {n}")
        if c["object"] != "chat.completion.chunk" or c["id"] != chunks[0][1]["id"] or c["created"] != chunks[0][1]["created"]:
            raise Broken(f"chunk {n}: object, id or created differ")
        if c.get("usage"):
            expect(CHAT_USAGE, c["usage"], f"chunk {n}")
            money(c["thinkd"], c["usage"]["prompt_tokens"], c["usage"]["completion_tokens"])


def check(status, headers, raw, streamed):
    """Checks a whole reply; returns its JSON, or its frames [(name, object)]."""
    import json

    request_id = headers.get("x-request-id", "")
    if mismatch("<re:^req_[0-9a-f]{32}$>", request_id):
        raise Broken(f"x-request-id: {request_id!r}")
    if headers.get("content-type", "").startswith("text/event-stream"):
        out = [(name, json.loads(data)) for name, data in frames(raw)]
        (response_stream if out and out[0][0] else chat_stream)(out)
        return out
    if streamed and status == 200:
        raise Broken("expected a stream")
    if not raw:
        return None
    body = json.loads(raw)
    if status >= 400:
        error(body)
    elif body.get("object") == "response":
        response(body)
    elif body.get("object") == "chat.completion":
        completion(body)
    return body
