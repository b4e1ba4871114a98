"""schema.py - what every object and event of the API must satisfy.

Our own rules (tests/api/rules.py) are always checked. Beyond them the schemas of the Open Responses description, where its file
is (THINKD_SHARED/spec) and the jsonschema package: `missing` says why they are not checked, or is None.
"""
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "api"))
import rules  # noqa: E402

try:
    import jsonschema
except ImportError:
    jsonschema = None

EVENTS = {
    "response.created": "ResponseCreated", "response.queued": "ResponseQueued", "response.in_progress": "ResponseInProgress",
    "response.completed": "ResponseCompleted", "response.failed": "ResponseFailed", "response.incomplete": "ResponseIncomplete",
    "response.output_item.added": "ResponseOutputItemAdded", "response.output_item.done": "ResponseOutputItemDone",
    "response.reasoning_summary_part.added": "ResponseReasoningSummaryPartAdded",
    "response.reasoning_summary_part.done": "ResponseReasoningSummaryPartDone",
    "response.content_part.added": "ResponseContentPartAdded", "response.content_part.done": "ResponseContentPartDone",
    "response.output_text.delta": "ResponseOutputTextDelta", "response.output_text.done": "ResponseOutputTextDone",
    "response.refusal.delta": "ResponseRefusalDelta", "response.refusal.done": "ResponseRefusalDone",
    "response.reasoning.delta": "ResponseReasoningDelta", "response.reasoning.done": "ResponseReasoningDone",
    "response.reasoning_summary_text.delta": "ResponseReasoningSummaryDelta",
    "response.reasoning_summary_text.done": "ResponseReasoningSummaryDone",
    "response.output_text.annotation.added": "ResponseOutputTextAnnotationAdded",
    "response.function_call_arguments.delta": "ResponseFunctionCallArgumentsDelta",
    "response.function_call_arguments.done": "ResponseFunctionCallArgumentsDone",
    "error": "Error",
}
TERMINAL = ("response.completed", "response.incomplete", "response.failed")


def _open():
    shared = os.environ.get("THINKD_SHARED")
    path = pathlib.Path(shared or "/nonexistent", "spec", "openresponses-2026-04-24.openapi.json")
    if not path.is_file():
        return None, "no description of Open Responses (THINKD_SHARED/spec)"
    if jsonschema is None:
        return None, os.environ.get("OPENRESPONSES_WHY") or "python has no jsonschema"
    return json.loads(path.read_text()), None


_description, missing = _open()
_validators = {}


def check(name, value):
    """value is one of the schema `name`; AssertionError says where it is not."""
    if missing:
        return
    if name not in _validators:
        whole = {"$ref": "#/components/schemas/" + name, "components": _description["components"]}
        _validators[name] = jsonschema.Draft202012Validator(whole)
    best = jsonschema.exceptions.best_match(_validators[name].iter_errors(value))
    if best is not None:
        raise AssertionError(f"{name}: at {best.json_path}: {best.message[:600]}")


def response(value):
    rules.response(value)
    check("ResponseResource", value)
    return value


def compaction(value):
    rules.expect({"id": "<id:resp_>", "object": "response.compaction", "created_at": "<int>", "output": ["<...>"],
                  "usage": {"input_tokens": "<int>", "output_tokens": "<int>", "total_tokens": "<int>"}}, value, "compaction")
    check("CompactResource", value)
    return value


def items(values):
    for value in values:
        rules.expect({"id": "<string>", "type": "<string>"}, value, "item")
        check("ItemField", value)
    return values


def events(seen):
    """All events of one response, in order; returns the response of the terminal one."""
    rules.response_stream([(e["type"], e) for e in seen])
    for e in seen:
        assert e["type"] in EVENTS, f"the description has no event {e['type']}"
        check(EVENTS[e["type"]] + "StreamingEvent", e)
    _order(seen)
    assert [e["type"] for e in seen if e["type"] in TERMINAL] == [seen[-1]["type"]], "not one terminal event, at the end"
    return response(seen[-1]["response"])


def _order(seen):
    """An item begins with output_item.added; its texts stand in parts, which are opened, told in deltas and closed."""
    assert [e["type"] for e in seen[:2]] == ["response.created", "response.in_progress"], "how it begins"
    part = None
    for e in seen[2:]:
        kind = e["type"]
        if kind == "response.content_part.added":
            assert part is None
            part = "open"
        elif kind.startswith("response.output_text."):
            assert part == "open", f"{kind} outside a part"
            part = "told" if kind.endswith(".done") else part
        elif kind == "response.content_part.done":
            assert part == "told", "a part is closed before its text is done"
            part = None
        elif kind == "response.output_item.done":
            assert part is None, "an item is done while a part of it is open"


def socket_error(value, status, code):
    rules.expect({"type": "error", "status": status, "error": {"code": code, "message": "<string>"}}, value, "socket error")
    check("WebSocketErrorEvent", value)
    return value["error"]
