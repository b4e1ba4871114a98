"""common.py - what the tests of the PyPI clients share: clients, streams read to their end, refusals.

THINKD_E2E_URL serves without keys on the echo engine, whose answer is the question: what comes back can be
compared exactly. THINKD_E2E_KEYED_URL takes THINKD_E2E_KEY alone. Retries are off: one request is one request.
"""
import os
import pathlib
import sys
import time

import openai

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))  # tap

URL = os.environ["THINKD_E2E_URL"]
KEYED_URL = os.environ["THINKD_E2E_KEYED_URL"]
KEY = os.environ["THINKD_E2E_KEY"]
QUESTION = "What is 17 + 25?"
POLLS_MAX = 2000
TESTS = []


def test(function):
    TESTS.append((function.__doc__, function))
    return function


def connect(url=URL, key="any-key-at-all", kind=openai.OpenAI):
    return kind(base_url=url + "/v1", api_key=key, max_retries=0, timeout=30)


client = connect()


def release():
    """Lets every "/hold" of the echo engine that runs go on to its end."""
    client.responses.create(model="o3", input="/release", store=False)


def check_events(events):
    """Numbers without gaps, one beginning, one end, and the deltas are the text."""
    assert [e.sequence_number for e in events] == list(range(len(events)))
    begun = [e.type for e in events[:3] if e.type != "response.queued"]
    assert begun[:2] == ["response.created", "response.in_progress"], begun
    assert events[-1].type == "response.completed", events[-1].type
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert events[-1].response.output_text == text
    return text


def poll(ask, done):
    """Asks again and again until `done` says so, as a client of a background response does."""
    for _ in range(POLLS_MAX):
        got = ask()
        if done(got):
            return got
        time.sleep(0.005)
    raise AssertionError("it is not done after all these looks")


def ended(response):
    return response.status not in ("queued", "in_progress")


def refused(kind, call, **fields):
    try:
        call()
    except kind as error:
        for name, want in fields.items():
            assert getattr(error, name) == want, (name, getattr(error, name), want)
        assert error.request_id and error.request_id.startswith("req_")
        return error
    raise AssertionError("it was accepted")
