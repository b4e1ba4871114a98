"""stored.py - the official PyPI client, unmodified: what is kept, and what goes on without its client."""
import asyncio

import openai

from common import KEY, KEYED_URL, QUESTION, check_events, client, connect, ended, poll, refused, release, test


def ids(items):
    return [item.id for item in items]


@test
def retrieve_and_delete():
    """responses.retrieve and delete"""
    made = client.responses.create(model="o3", input=QUESTION, metadata={"kept": "yes"})
    found = client.responses.retrieve(made.id)
    assert found.to_dict() == made.to_dict()
    client.responses.delete(made.id)
    refused(openai.NotFoundError, lambda: client.responses.retrieve(made.id), status_code=404)
    made = client.responses.create(model="o3", input=QUESTION, store=False)
    refused(openai.NotFoundError, lambda: client.responses.retrieve(made.id), status_code=404)


@test
def previous_response():
    """previous_response_id, and input_items.list of all that came before"""
    first = client.responses.create(model="o3", input="My name is Ada.")
    second = client.responses.create(model="o3", input=QUESTION, previous_response_id=first.id)
    items = list(client.responses.input_items.list(second.id, order="asc", limit=1))
    assert [item.type for item in items] == ["message", "reasoning", "message", "message"]
    assert items[3].content[0].text == QUESTION and ids(items[1:3]) == ids(first.output)
    assert ids(client.responses.input_items.list(second.id)) == ids(items)[::-1]
    refused(
        openai.BadRequestError,
        lambda: client.responses.create(model="o3", input="x", previous_response_id="resp_" + 48 * "0"),
        code="previous_response_not_found",
        param="previous_response_id",
    )


@test
def compact_and_count():
    """responses.compact and input_tokens.count"""
    first = client.responses.create(model="o3", input="My name is Ada.")
    compacted = client.responses.compact(model="o3", previous_response_id=first.id)
    assert compacted.object == "response.compaction" and compacted.output[-1].type == "compaction"
    window = [*compacted.output, {"role": "user", "content": QUESTION}]
    counted = client.responses.input_tokens.count(model="o3", input=window)
    answered = client.responses.create(model="o3", input=window)
    assert QUESTION in answered.output_text and counted.input_tokens == answered.usage.input_tokens


@test
def background():
    """background=True is polled to its end"""
    made = client.responses.create(model="o3", input="/hold 5", background=True)
    assert made.status in ("queued", "in_progress") and made.background and made.output == [], made
    halfway = poll(lambda: client.responses.retrieve(made.id), lambda r: "5" in r.output_text)
    assert halfway.status == "in_progress", halfway
    release()
    done = poll(lambda: client.responses.retrieve(made.id), ended)
    assert done.status == "completed" and done.output_text.startswith(halfway.output_text)
    pro = client.responses.create(model="o3-pro", input="many lines", background=True)
    voted = poll(lambda: client.responses.retrieve(pro.id), ended)
    assert voted.status == "completed" and voted.output_text == "many lines", voted


@test
def cancel():
    """responses.cancel keeps what there is"""
    made = client.responses.create(model="o3", input="/hold 5", background=True)
    poll(lambda: client.responses.retrieve(made.id), lambda r: "5" in r.output_text)
    cancelled = client.responses.cancel(made.id)
    assert cancelled.status == "cancelled" and "5" in cancelled.output_text
    assert client.responses.cancel(made.id).status == "cancelled"


@test
def resumed():
    """a background stream that is left is resumed where it ended"""
    events = []
    with client.responses.create(model="o3", input="/hold 8", background=True, stream=True) as stream:
        for event in stream:
            events.append(event)
            if event.type == "response.output_text.delta" and "3" in event.delta:
                break
    response = events[0].response.id
    assert client.responses.retrieve(response).status == "in_progress"
    rest = client.responses.retrieve(response, stream=True, starting_after=events[-1].sequence_number)
    release()
    text = check_events(events + list(rest))
    assert text == client.responses.retrieve(response).output_text
    again = list(client.responses.retrieve(response, stream=True))
    assert check_events(again) == text


@test
def resumed_by_helper():
    """responses.stream() goes on with a response that runs"""
    with client.responses.create(model="o3", input="/hold 4", background=True, stream=True) as stream:
        first = next(iter(stream))
    events = []
    with client.responses.stream(response_id=first.response.id, starting_after=first.sequence_number) as stream:
        for event in stream:
            events.append(event)
            if event.type == "response.output_text.delta" and "4" in event.delta:
                release()
        final = stream.get_final_response()
    assert events[0].sequence_number == first.sequence_number + 1 and final.status == "completed"


@test
def conversations():
    """conversations and their items"""
    made = client.conversations.create(metadata={"topic": "sums"})
    assert client.conversations.retrieve(made.id).metadata == {"topic": "sums"}
    assert client.conversations.update(made.id, metadata={"topic": "names"}).metadata == {"topic": "names"}
    items = client.conversations.items
    added = items.create(made.id, items=[{"type": "message", "role": "user", "content": "My name is Ada."}])
    r = client.responses.create(model="o3", input=QUESTION, conversation=made.id)
    listed = list(items.list(made.id, order="asc", limit=1))
    assert [item.type for item in listed] == ["message", "message", "reasoning", "message"]
    assert ids(listed)[0] == added.data[0].id and ids(listed)[2:] == ids(r.output)
    assert items.retrieve(listed[0].id, conversation_id=made.id).content[0].text == "My name is Ada."
    assert items.delete(listed[0].id, conversation_id=made.id).id == made.id
    assert ids(items.list(made.id)) == ids(listed)[:0:-1]
    assert client.conversations.delete(made.id).deleted
    refused(openai.NotFoundError, lambda: client.conversations.retrieve(made.id), status_code=404)


@test
def stored_chat():
    """chat.completions: stored, listed, found, changed and removed"""
    chat = client.chat.completions
    ask = {"model": "o3-mini", "store": True, "metadata": {"run": "pypi"}}
    made = [chat.create(messages=[{"role": "user", "content": f"{QUESTION} {n}"}], **ask) for n in range(3)]
    assert ids(chat.list(metadata={"run": "pypi"}, limit=2)) == ids(made)
    assert chat.retrieve(made[1].id).choices[0].message.content == made[1].choices[0].message.content
    assert chat.update(made[1].id, metadata={"run": "other"}).metadata == {"run": "other"}
    assert ids(chat.list(metadata={"run": "pypi"})) == [made[0].id, made[2].id]
    assert [m.content for m in chat.messages.list(made[1].id)] == [f"{QUESTION} 1"]
    assert chat.delete(made[1].id).deleted
    refused(openai.NotFoundError, lambda: chat.retrieve(made[1].id), status_code=404)


@test
def files():
    """files: kept, listed, read by a request, given back and removed"""
    text = b"The ledger of May says 42.\n"
    made = client.files.create(file=("may.txt", text), purpose="user_data")
    assert (made.object, made.filename, made.bytes) == ("file", "may.txt", len(text))
    assert client.files.retrieve(made.id).id == made.id and ids(client.files.list(purpose="user_data")) == [made.id]
    assert client.files.content(made.id).content == text
    parts = [{"type": "input_text", "text": "Read this."}, {"type": "input_file", "file_id": made.id}]
    assert "ledger" in client.responses.create(model="o3", input=[{"role": "user", "content": parts}]).output_text
    assert client.files.delete(made.id).deleted
    refused(openai.NotFoundError, lambda: client.files.retrieve(made.id), status_code=404)


@test
def sockets():
    """responses.connect: a WebSocket whose second response goes on from the first"""

    def ask(connection, **body):
        connection.response.create(model="o3", **body)
        events = []
        for event in connection:
            events.append(event)
            if event.type in ("response.completed", "error"):
                return events

    with connect(KEYED_URL, KEY).responses.connect() as connection:
        first = ask(connection, input="My name is Ada.", store=False)
        check_events(first)
        events = ask(connection, input=QUESTION, store=False, previous_response_id=first[-1].response.id)
        assert QUESTION in check_events(events)


@test
def asynchronous_background():
    """AsyncOpenAI: background responses side by side, polled"""

    async def one(c, i):
        made = await c.responses.create(model="o3-pro", input=f"{QUESTION} {i}", background=True)
        while not ended(made):
            await asyncio.sleep(0.005)
            made = await c.responses.retrieve(made.id)
        return made

    async def all_of_them():
        async with connect(kind=openai.AsyncOpenAI) as c:
            return await asyncio.gather(*(one(c, i) for i in range(8)))

    for i, done in enumerate(asyncio.run(asyncio.wait_for(all_of_them(), 60))):
        assert done.status == "completed" and f"{QUESTION} {i}" in done.output_text, done


@test
def asynchronous_streams():
    """AsyncOpenAI: a stream that is left, resumed, and the helper"""

    async def both():
        async with connect(kind=openai.AsyncOpenAI) as c:
            events = []
            ask = {"model": "o3", "background": True, "stream": True}
            async with await c.responses.create(input="/hold 6", **ask) as stream:
                async for event in stream:
                    events.append(event)
                    if event.type == "response.output_text.delta":
                        break
            where = {"stream": True, "starting_after": events[-1].sequence_number}
            rest = await c.responses.retrieve(events[0].response.id, **where)
            await c.responses.create(model="o3", input="/release", store=False)
            events += [event async for event in rest]
            async with c.responses.stream(model="o3", input=QUESTION) as stream:
                final = await stream.get_final_response()
            return events, final

    events, final = asyncio.run(asyncio.wait_for(both(), 60))
    check_events(events)
    assert QUESTION in final.output_text
