"""rules.py - what holds for every reply, whatever a case expects.

Responses have all their keys; errors have four; streams are numbered without gaps, agree with themselves and end in
[DONE]. A case that only names a status still checks all of this.
"""
import json

from pattern import mismatch

NULLABLE_STRING = ("instructions", "previous_response_id", "safety_identifier", "prompt_cache_key")
USAGE = {
    "input_tokens": "<int>", "input_tokens_details": {"cached_tokens": "<int>", "cache_write_tokens": "<int>"},
    "output_tokens": "<int>", "output_tokens_details": {"reasoning_tokens": "<int>"}, "total_tokens": "<int>",
}
RESPONSE = {
    "id": "<id:resp_>", "object": "response", "created_at": "<int>", "completed_at": "<any>",
    "status": "<re:^(queued|in_progress|completed|failed|incomplete|cancelled)$>", "background": "<bool>", "error": "<any>",
    "incomplete_details": "<any>", "instructions": "<any>", "max_output_tokens": "<any>", "max_tool_calls": "<any>",
    "model": "<string>", "output": ["<...>"], "output_text": "<any>", "parallel_tool_calls": "<bool>",
    "previous_response_id": "<any>",
    "reasoning": {"effort": "<string>", "summary": "<any>"}, "store": "<bool>", "temperature": "<number>",
    "top_p": "<number>", "top_logprobs": "<int>", "presence_penalty": "<number>", "frequency_penalty": "<number>",
    "text": {"format": {"type": "<re:^(text|json_object|json_schema)$>"}, "verbosity": "<re:^(low|medium|high)$>"}, "tool_choice": "<any>", "tools": ["<...>"],
    "truncation": "<re:^(auto|disabled)$>", "conversation": "<any>", "usage": "<any>", "service_tier": "<string>", "metadata": {},
    "safety_identifier": "<any>", "prompt_cache_key": "<any>",
    "thinkd": {"<only>": True, "cost": "<any>", "route": "<any>", "budget": {"allowed": "<int>", "used": "<int>"},
               "effort": "<string>", "seed": "<int>", "inactive_tools": ["<...>"], "omitted_keywords": ["<...>"], "confidence": ["<...>"],
               "consensus": "<any>"},
}
TRACE = {
    "<only>": True, "stop_reason": "<string>", "shown": "<any>", "started": "<int>", "completed": "<int>", "failed": "<int>",
    "pruned": "<int>", "cancelled": "<int>", "counted": "<int>", "abstained": "<int>", "prunable": "<int>",
    "votes": ["<...>"], "tokens": {"<only>": True, "thinking": "<int>", "answers_not_shown": "<int>", "answer": "<int>"},
    "wall_ms": "<int>", "seed": "<int>", "lines": ["<...>"],
}
LINE = {
    "<only>": True, "index": "<int>", "stream": "<int>", "status": "<re:^(completed|failed|pruned|cancelled)$>",
    "complete": "<bool>", "counted": "<bool>", "form": "<any>", "answer": "<any>", "weight": "<number>",
    "arithmetic": {"claims": "<int>", "false": "<int>"}, "prunable_after": "<any>", "output_tokens": "<int>",
    "thinking_tokens": "<int>", "closed_by_budget": "<bool>", "confidence": "<any>",
}
STEP = {
    "<only>": True, "step": "<re:^(try|again|draft|vote)$>", "model": "<string>", "effort": "<string>", "input_tokens": "<int>",
    "output_tokens": "<int>", "input": "<int>", "output": "<int>", "total": "<int>",
}
MESSAGE = {
    "<only>": True, "type": "message", "id": "<id:msg_>", "role": "assistant",
    "status": "<re:^(in_progress|completed|incomplete)$>", "content": ["<...>"],
}
REASONING = {
    "<only>": True, "type": "reasoning", "id": "<id:rs_>", "status": "<re:^(in_progress|completed|incomplete)$>",
    "summary": ["<...>"],
}
SEALED = {**REASONING, "encrypted_content": "<re:^[A-Za-z0-9_-]+$>"}
COMPACTION = {
    "<only>": True, "type": "compaction", "id": "<id:cmp_>", "status": "<re:^(in_progress|completed)$>",
    "encrypted_content": "<re:^[A-Za-z0-9_-]*$>",
}
CALL = {
    "<only>": True, "type": "function_call", "id": "<id:fc_>", "status": "<re:^(in_progress|completed|incomplete)$>",
    "call_id": "<re:^call_[0-9a-f]{24}$>", "name": "<string>", "arguments": "<any>",
}
CUSTOM_CALL = {
    "<only>": True, "type": "custom_tool_call", "id": "<id:ctc_>", "status": "<re:^(in_progress|completed|incomplete)$>",
    "call_id": "<re:^call_[0-9a-f]{24}$>", "name": "<string>", "input": "<any>",
}
CHAT_CALL = {
    "function": {"<only>": True, "id": "<re:^call_[0-9a-f]{24}$>", "type": "function",
                 "function": {"<only>": True, "name": "<string>", "arguments": "<any>"}},
    "custom": {"<only>": True, "id": "<re:^call_[0-9a-f]{24}$>", "type": "custom",
               "custom": {"<only>": True, "name": "<string>", "input": "<any>"}},
}
TOP = {"<only>": True, "token": "<any>", "logprob": "<number>", "bytes": ["<...>"]}
TOKEN = {**TOP, "logprob": "<any>", "top_logprobs": ["<...>"]}
CONFIDENCE = {"<only>": True, "mean_logprob": "<any>", "mean": "<any>", "lowest": "<any>", "tail": "<any>"}
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
COMPLETION = {
    "id": "<id:cmpl->", "object": "text_completion", "created": "<int>", "model": "<string>", "choices": ["<...>"],
    "system_fingerprint": "<re:^fp_[0-9a-f]+$>",
}
COMPLETION_USAGE = {
    "<only>": True, "prompt_tokens": "<int>", "completion_tokens": "<int>", "total_tokens": "<int>",
    "prompt_tokens_details": {"<only>": True, "cached_tokens": "<int>"},
}
TABLE = {
    "<only>": True, "tokens": ["<...>"], "token_logprobs": ["<...>"], "top_logprobs": ["<...>"], "text_offset": ["<...>"],
}


class Broken(Exception):
    """A rule does not hold; the message says which."""


def expect(want, got, at):
    why = mismatch(want, got, at)
    if why:
        raise Broken(why)


def tokens(entries, text, at):
    """A list of tokens as chat and Responses have it: together they cover the text, which a stop string may have cut."""
    for n, t in enumerate(entries):
        expect(TOKEN, t, f"{at}[{n}]")
        for top in t["top_logprobs"]:
            expect(TOP, top, f"{at}[{n}].top_logprobs")
        if [top["logprob"] for top in t["top_logprobs"]] != sorted((top["logprob"] for top in t["top_logprobs"]), reverse=True):
            raise Broken(f"{at}[{n}]: the alternatives are not best first")
    spelled = b"".join(bytes(t["bytes"]) for t in entries)
    if entries and text is not None and not spelled.lstrip().startswith(text.encode().lstrip()):
        raise Broken(f"{at}: the tokens {spelled!r} are not the text {text!r}")


def arguments(text, at):
    """Of a call that is whole: always an object."""
    try:
        whole = isinstance(json.loads(text), dict)
    except ValueError:
        whole = False
    if not whole:
        raise Broken(f"{at}: the arguments {text!r} are no object")


def item(i, at="item"):
    kinds = {"message": MESSAGE, "compaction": COMPACTION, "function_call": CALL, "custom_tool_call": CUSTOM_CALL}
    expect(kinds.get(i.get("type"), SEALED if "encrypted_content" in i else REASONING), i, at)
    if i["type"] == "function_call" and i["status"] == "completed":
        arguments(i["arguments"], at)
    for part in i.get("content", []):
        if part.get("type") == "refusal":
            expect({"<only>": True, "type": "refusal", "refusal": "<string>"}, part, at)
            continue
        expect({"<only>": True, "type": "output_text", "text": "<any>", "annotations": [], "logprobs": ["<...>"]}, part, at)
        tokens(part["logprobs"], part["text"], f"{at}.logprobs")


def steps(thinkd, tokens_in, tokens_out):
    """Where models were asked one after the other: what they cost is what the answer does."""
    cost = thinkd["cost"]
    for step in cost["steps"]:
        expect(STEP, step, "thinkd.cost.steps")
    if thinkd["route"] != [step["model"] for step in cost["steps"]]:
        raise Broken(f"the route is not that of the costs: {thinkd}")
    sums = [sum(s[k] for s in cost["steps"]) for k in ("input_tokens", "output_tokens", "input", "output", "total")]
    if sums != [tokens_in, tokens_out, cost["input"], cost["output"], cost["total"]]:
        raise Broken(f"the steps do not add up: {sums}, {cost}")


def money(thinkd, tokens_in, tokens_out):
    cost = thinkd["cost"]
    if "steps" in cost:
        steps(thinkd, tokens_in, tokens_out)
    elif cost["input"] != tokens_in * cost["price"]["input"] or cost["output"] != tokens_out * cost["price"]["output"]:
        raise Broken(f"cost is not tokens times price: {cost}")
    if cost["total"] != cost["input"] + cost["output"]:
        raise Broken(f"cost does not add up: {cost}")
    for figures in thinkd["confidence"]:
        expect(CONFIDENCE, figures, "thinkd.confidence")


def trace(t, usage):
    """Every token of every line is in the usage, every counted line has voted or abstained."""
    expect(TRACE, t, "thinkd.trace")
    for n, line in enumerate(t["lines"]):
        asked = {"step": "<string>", "model": "<string>"} if "step" in line else {}
        expect({**LINE, **asked, "index": n, "stream": n}, line, f"thinkd.trace.lines[{n}]")
        expect(CONFIDENCE, line["confidence"], f"thinkd.trace.lines[{n}].confidence")
    reasoning = usage["output_tokens_details"]["reasoning_tokens"]
    sums = {
        "output_tokens": (usage["output_tokens"], sum(l["output_tokens"] for l in t["lines"])),
        "tokens": (usage["output_tokens"], sum(t["tokens"].values())),
        "reasoning_tokens": (reasoning, t["tokens"]["thinking"] + t["tokens"]["answers_not_shown"]),
        "started": (t["started"], len(t["lines"])),
        "states": (t["started"], t["completed"] + t["failed"] + t["pruned"] + t["cancelled"]),
        "counted": (t["counted"], sum(l["counted"] for l in t["lines"])),
        "votes": (t["counted"], t["abstained"] + sum(v["votes"] for v in t["votes"])),
    }
    for name, (want, got) in sums.items():
        if want != got:
            raise Broken(f"thinkd.trace: {name}: {want} is not {got}")


def response(r):
    shown = dict(r["thinkd"]) if isinstance(r.get("thinkd"), dict) else {}
    traced = shown.pop("trace", None)
    expect(RESPONSE, {**r, "thinkd": shown}, "response")
    if traced:
        trace(traced, r["usage"])
    for key in NULLABLE_STRING:
        if r[key] is not None and not isinstance(r[key], str):
            raise Broken(f"response.{key}: {r[key]!r}")
    for n, i in enumerate(r["output"]):
        item(i, f"response.output[{n}]")
    parts = [p for i in r["output"] if i["type"] == "message" for p in i["content"]]
    texts = "".join(p["text"] for p in parts if p["type"] == "output_text")
    if r["output_text"] != texts:
        raise Broken("output_text is not the text of the messages")
    refused = any(p["type"] == "refusal" for p in parts)
    called = any(i["type"] in ("function_call", "custom_tool_call") for i in r["output"])
    if r["text"]["format"]["type"] != "text" and r["status"] == "completed" and not called and not refused:
        json.loads(texts)
    if r["status"] in ("queued", "in_progress") or (r["status"] == "cancelled" and r["usage"] is None):
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
        message = {"<only>": True, "role": "assistant", "content": "<any>", "refusal": "<any>", "annotations": []}
        refusal = choice["message"]["refusal"]
        if refusal is not None and (not isinstance(refusal, str) or choice["message"]["content"] is not None):
            raise Broken(f"choices[{n}]: a refusal is a string, and nothing stands beside it")
        if "tool_calls" in choice["message"]:
            message["tool_calls"] = [CHAT_CALL.get(c.get("type"), CALL) for c in choice["message"]["tool_calls"]]
        if "function_call" in choice["message"]:
            message["function_call"] = {"<only>": True, "name": "<string>", "arguments": "<any>"}
        expect({"<only>": True, "index": n, "logprobs": "<any>", "finish_reason": "<re:^(stop|length|tool_calls|function_call)$>",
                "message": message}, choice, f"choices[{n}]")
        if choice["finish_reason"] == "tool_calls" and not choice["message"].get("tool_calls"):
            raise Broken(f"choices[{n}]: tool_calls without calls")
        if (choice["finish_reason"] == "function_call") != ("function_call" in choice["message"]) and choice["finish_reason"] != "length":
            raise Broken(f"choices[{n}]: function_call without a call, or the other way round")
        for c in choice["message"].get("tool_calls", []):
            if choice["finish_reason"] == "tool_calls" and c["type"] == "function":
                arguments(c["function"]["arguments"], f"choices[{n}]")
        if choice["logprobs"] is not None:
            shown, other = ("content", "refusal") if refusal is None else ("refusal", "content")
            expect({"<only>": True, shown: ["<...>"], other: None}, choice["logprobs"], f"choices[{n}].logprobs")
            tokens(choice["logprobs"][shown], choice["message"][shown], f"choices[{n}].logprobs.{shown}")


def table(logprobs, at):
    expect(TABLE, logprobs, at)
    if len({len(v) for v in logprobs.values()}) != 1:
        raise Broken(f"{at}: arrays of different lengths")
    for name, logprob, top in zip(logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"]):
        if (logprob is None) != (top is None):
            raise Broken(f"{at}: {name!r} has alternatives and no logprob, or the other way round")
        if top is not None and top.get(name) is None:
            raise Broken(f"{at}: {name!r} is not among its own alternatives")
    if logprobs["text_offset"] != sorted(logprobs["text_offset"]):
        raise Broken(f"{at}: offsets go back")


def text_completion(c):
    expect({**COMPLETION, "usage": COMPLETION_USAGE}, c, "completion")
    if c["usage"]["total_tokens"] != c["usage"]["prompt_tokens"] + c["usage"]["completion_tokens"]:
        raise Broken("usage does not add up")
    money(c["thinkd"], c["usage"]["prompt_tokens"], c["usage"]["completion_tokens"])
    if len(c["thinkd"]["confidence"]) != len(c["choices"]):
        raise Broken("not one confidence a choice")
    for n, choice in enumerate(c["choices"]):
        expect({"<only>": True, "index": n, "text": "<any>", "logprobs": "<any>", "finish_reason": "<re:^(stop|length)$>"},
               choice, f"choices[{n}]")
        if choice["logprobs"] is not None:
            table(choice["logprobs"], f"choices[{n}].logprobs")


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


def obfuscated(events):
    """Padding is on all deltas or on none, and of more than one length where there are enough."""
    padded = ["obfuscation" in e for name, e in events if name.endswith(".delta")]
    if len(set(padded)) > 1 or any("obfuscation" in e for name, e in events if not name.endswith(".delta")):
        raise Broken("obfuscation on some events only")


def response_tail(events):
    """A stream that was picked up again: numbers go on, nothing else is known of what came before."""
    for n, (name, e) in enumerate(events):
        if name != e["type"] or e["sequence_number"] != events[0][1]["sequence_number"] + n:
            raise Broken(f"frame {n}: event {name}, type {e['type']}, sequence_number {e['sequence_number']}")
        if "response" in e:
            response(e["response"])
    obfuscated(events)


def response_stream(events):
    """events: [(name, object)] in order."""
    if events[0][1]["sequence_number"] > 0:
        return response_tail(events)
    obfuscated(events)
    items, text, listed, done = [], {}, {}, set()
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
        if name == "response.output_text.delta":
            listed.setdefault(e["item_id"], []).extend(e["logprobs"])
        if name == "response.output_text.done" and e["logprobs"] != listed.get(e["item_id"], []):
            raise Broken(f"frame {n}: the deltas' tokens are not those of the text")
        if name.endswith(("text.delta", "refusal.delta", "arguments.delta", "input.delta")):
            text[e["item_id"]] = text.get(e["item_id"], "") + e["delta"]
        if name.endswith(("arguments.done", "input.done")) and e.get("arguments", e.get("input")) != text.get(e["item_id"], ""):
            raise Broken(f"frame {n}: the deltas are not the call's")
        if name.endswith(("text.done", "refusal.done")) and e.get("text", e.get("refusal")) != text.get(e["item_id"], ""):
            raise Broken(f"frame {n}: the deltas are not the text")
    last = events[-1][1]
    ended = last["type"] in ("response.completed", "response.incomplete", "response.failed")
    if ended and done != set(range(len(items))):
        raise Broken("an item was added and not done")
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


def completion_stream(chunks):
    offsets = {}
    for n, (name, c) in enumerate(chunks):
        if "error" in c:
            error(c)
            continue
        expect(COMPLETION, c, f"chunk {n}")
        if c["id"] != chunks[0][1]["id"] or c["created"] != chunks[0][1]["created"]:
            raise Broken(f"chunk {n}: id or created differ")
        if c.get("usage"):
            expect(COMPLETION_USAGE, c["usage"], f"chunk {n}")
            money(c["thinkd"], c["usage"]["prompt_tokens"], c["usage"]["completion_tokens"])
        for choice in c["choices"]:
            expect({"<only>": True, "index": "<int>", "text": "<any>", "logprobs": "<any>", "finish_reason": "<any>"}, choice,
                   f"chunk {n}")
            if choice["logprobs"] is not None:
                table(choice["logprobs"], f"chunk {n}")
                seen = offsets.setdefault(choice["index"], [])
                seen += choice["logprobs"]["text_offset"]
                if seen != sorted(seen):
                    raise Broken(f"chunk {n}: offsets go back")


def check(status, headers, raw, streamed):
    """Checks a whole reply; returns its JSON, or its frames [(name, object)]."""
    import json

    request_id = headers.get("x-request-id", "")
    if mismatch("<re:^req_[0-9a-f]{32}$>", request_id):
        raise Broken(f"x-request-id: {request_id!r}")
    if headers.get("content-type", "").startswith("text/event-stream"):
        out = [(name, json.loads(data)) for name, data in frames(raw)]
        first = out[0] if out else (None, {})
        if first[0]:
            response_stream(out)
        elif first[1].get("object") == "text_completion":
            completion_stream(out)
        else:
            chat_stream(out)
        return out
    if streamed and status == 200:
        raise Broken("expected a stream")
    if not raw:
        return None
    if headers.get("content-type") == "application/octet-stream":
        return raw.decode("utf-8", "replace")
    body = json.loads(raw)
    if status >= 400:
        error(body)
    elif body.get("object") == "response" and "deleted" not in body:
        response(body)
    elif body.get("object") == "chat.completion":
        completion(body)
    elif body.get("object") == "text_completion":
        text_completion(body)
    return body
