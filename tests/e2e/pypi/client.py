"""client.py - the official PyPI client and requests, unmodified: answers, streams, models and refusals."""
import asyncio
import json

import openai
import requests

from common import KEY, KEYED_URL, QUESTION, URL, check_events, client, connect, refused, test


@test
def responses_create():
    """responses.create"""
    r = client.responses.create(model="o3", input=QUESTION)
    assert r.status == "completed" and QUESTION in r.output_text, r
    assert r.usage.total_tokens == r.usage.input_tokens + r.usage.output_tokens
    assert r._request_id.startswith("req_")


@test
def responses_stream():
    """responses.create with stream=True"""
    text = check_events(list(client.responses.create(model="o3-pro", input=QUESTION, stream=True)))
    assert QUESTION in text, text


@test
def responses_stream_helper():
    """responses.stream() helper"""
    with client.responses.stream(model="o3", input=QUESTION) as stream:
        text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
        assert stream.get_final_response().output_text == text


@test
def raw_headers():
    """the headers a client reads"""
    raw = client.responses.with_raw_response.create(model="o3", input=QUESTION)
    assert raw.headers["content-type"].startswith("application/json")
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.parse().status == "completed"


@test
def chat_create():
    """chat.completions.create"""
    c = client.chat.completions.create(
        model="o3-mini", messages=[{"role": "user", "content": QUESTION}], max_completion_tokens=512
    )
    assert QUESTION in c.choices[0].message.content and c.choices[0].finish_reason == "stop", c
    assert c.usage.total_tokens == c.usage.prompt_tokens + c.usage.completion_tokens


@test
def chat_stream():
    """chat.completions.create with stream=True and usage"""
    chunks = list(
        client.chat.completions.create(
            model="o3-mini",
            messages=[{"role": "user", "content": QUESTION}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert QUESTION in text, text
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0


@test
def chat_stream_helper():
    """chat.completions.stream() helper"""
    with client.chat.completions.stream(model="o3", messages=[{"role": "user", "content": QUESTION}]) as stream:
        text = "".join(e.delta for e in stream if e.type == "content.delta")
        final = stream.get_final_completion()
    assert final.choices[0].message.content == text and QUESTION in text


@test
def chat_logprobs():
    """chat.completions.create with logprobs"""
    c = client.chat.completions.create(
        model="o3", messages=[{"role": "user", "content": QUESTION}], logprobs=True, top_logprobs=2
    )
    tokens = c.choices[0].logprobs.content
    assert b"".join(bytes(t.bytes) for t in tokens).decode().strip() == c.choices[0].message.content, tokens
    assert all(t.logprob <= 0 and len(t.top_logprobs) == 2 for t in tokens), tokens


@test
def responses_logprobs():
    """responses.create with logprobs, plain and streamed"""
    ask = {"model": "o3", "input": QUESTION, "include": ["message.output_text.logprobs"], "top_logprobs": 1}
    whole = client.responses.create(**ask).output[-1].content[0].logprobs
    events = client.responses.create(**ask, stream=True)
    pieces = [t for e in events if e.type == "response.output_text.delta" for t in e.logprobs]
    assert [t.token for t in pieces] == [t.token for t in whole] != []


@test
def completions_create():
    """completions.create: prompts, choices, echo, logprobs"""
    c = client.completions.create(model="o3", prompt=[QUESTION, "One two"], n=2, max_tokens=3, logprobs=1, echo=True, seed=1)
    assert c.object == "text_completion" and c.id.startswith("cmpl-")
    assert [choice.index for choice in c.choices] == [0, 1, 2, 3]
    for choice in c.choices:
        assert choice.text.startswith(QUESTION if choice.index < 2 else "One two"), choice.text
        table = choice.logprobs
        assert len(table.tokens) == len(table.token_logprobs) == len(table.top_logprobs) == len(table.text_offset)
        assert table.token_logprobs[0] is None and max(table.text_offset) <= len(choice.text)
    assert c.usage.total_tokens == c.usage.prompt_tokens + c.usage.completion_tokens


@test
def completions_stream():
    """completions.create with stream=True is the plain text in pieces"""
    ask = {"model": "o3", "prompt": QUESTION, "max_tokens": 20, "temperature": 0}
    chunks = list(client.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].text for c in chunks if c.choices)
    assert text == client.completions.create(**ask).choices[0].text != ""
    assert chunks[-2].choices[0].finish_reason in ("stop", "length")
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0


@test
def completions_harness():
    """completions as evaluation harnesses use them: all but the last token is the prompt"""
    c = client.completions.create(model="o3", prompt=[QUESTION, "One two"], max_tokens=1, temperature=0, logprobs=1, echo=True)
    for choice in c.choices:
        table = choice.logprobs
        asked = table.token_logprobs[1:-1]
        assert len(asked) > 0 and all(logprob <= 0 for logprob in asked)
        assert all(max(top.values()) >= logprob for logprob, top in zip(asked, table.top_logprobs[1:-1]))
    refused(openai.BadRequestError, lambda: client.completions.create(model="o3", prompt="x", suffix="y"), param="suffix")


@test
def asynchronous():
    """AsyncOpenAI: eight requests side by side, plain and streamed"""

    async def one(c, i):
        r = await c.responses.create(model="o3", input=f"{QUESTION} {i}", stream=i % 2 == 1)
        if i % 2 == 0:
            return r.output_text
        return check_events([e async for e in r])

    async def all_of_them():
        async with connect(kind=openai.AsyncOpenAI) as c:
            return await asyncio.gather(*(one(c, i) for i in range(8)))

    for i, text in enumerate(asyncio.run(all_of_them())):
        assert f"{QUESTION} {i}" in text, text


@test
def models():
    """models.list and models.retrieve"""
    ids = [m.id for m in client.models.list()]
    assert {"o3", "o3-mini", "o3-pro"} <= set(ids), ids
    assert client.models.retrieve("openai/o3-pro").object == "model"


@test
def error_classes():
    """NotFoundError and BadRequestError with code and param"""
    ask = client.responses.create
    refused(openai.NotFoundError, lambda: ask(model="nope", input="x"), code="model_not_found", param="model")
    refused(
        openai.NotFoundError,
        lambda: client.chat.completions.create(model="o3-pro", messages=[{"role": "user", "content": "x"}]),
        param="model",
    )
    refused(
        openai.BadRequestError,
        lambda: ask(model="o3", input="x", max_output_tokens=5),
        code="integer_below_min_value",
        param="max_output_tokens",
    )
    refused(openai.BadRequestError, lambda: ask(model="o3", input="x", extra_body={"frobnicate": 1}), param="frobnicate")
    refused(openai.NotFoundError, lambda: ask(model="nope", input="x", stream=True), code="model_not_found")


@test
def keys():
    """AuthenticationError for a wrong key, an answer for the right one"""
    wrong = connect(KEYED_URL, "sk-wrong-key-0000")
    error = refused(
        openai.AuthenticationError, lambda: wrong.responses.create(model="o3", input="x"), code="invalid_api_key"
    )
    assert "sk-wrong-key-0000" not in str(error)
    assert connect(KEYED_URL, KEY).responses.create(model="o3", input=QUESTION).status == "completed"


def post(path, **how):
    return requests.post(URL + path, timeout=30, **how)


@test
def requests_plain():
    """requests: responses and chat, plain"""
    r = post("/v1/responses", json={"model": "o3-pro", "input": QUESTION})
    assert r.status_code == 200 and r.json()["status"] == "completed", r.text
    assert r.headers["content-type"].startswith("application/json")
    c = post("/v1/chat/completions", json={"model": "o3-mini", "messages": [{"role": "user", "content": QUESTION}]})
    assert c.status_code == 200 and QUESTION in c.json()["choices"][0]["message"]["content"], c.text


def frames(reply):
    """[(event or None, data)] of an SSE reply, read line by line."""
    found, event, data = [], None, []
    for line in reply.iter_lines(decode_unicode=True):
        if line.startswith("event: "):
            event = line[7:]
        elif line.startswith("data: "):
            data.append(line[6:])
        elif line == "" and data:
            found.append((event, "\n".join(data)))
            event, data = None, []
    return found


@test
def requests_responses_stream():
    """requests: the frames of a streamed response"""
    r = post("/v1/responses", json={"model": "o3", "input": QUESTION, "stream": True}, stream=True)
    assert r.headers["content-type"].startswith("text/event-stream"), r.headers
    assert "no-cache" in r.headers["cache-control"]
    found = frames(r)
    for event, data in found:
        if data != "[DONE]":
            assert json.loads(data)["type"] == event
    assert [event for event, data in found if data != "[DONE]"][-1] == "response.completed"


@test
def requests_chat_stream():
    """requests: the frames of a streamed chat end in [DONE]"""
    body = {"model": "o3-mini", "messages": [{"role": "user", "content": QUESTION}], "stream": True}
    found = frames(post("/v1/chat/completions", json=body, stream=True))
    assert found[-1] == (None, "[DONE]")
    assert all(event is None for event, _ in found)
    for _, data in found[:-1]:
        assert json.loads(data)["object"] == "chat.completion.chunk"


@test
def requests_errors():
    """requests: errors have one shape"""
    cases = [
        (post("/v1/responses", data="{", headers={"Content-Type": "application/json"}), 400),
        (post("/v1/responses", json=[1, 2]), 400),
        (post("/v1/nothing", json={}), 404),
        (requests.get(URL + "/v1/nothing", timeout=30), 404),
        (requests.put(URL + "/v1/responses", timeout=30), 405),
        (post("/v1/responses", json={"model": 3, "input": "x"}), 400),
    ]
    for reply, status in cases:
        assert reply.status_code == status, (reply.status_code, status, reply.text)
        assert set(reply.json()["error"]) == {"message", "type", "param", "code"}, reply.text
        assert reply.headers["x-request-id"].startswith("req_")
