"""azure.py - AzureOpenAI of the official PyPI client, unmodified: Azure's paths, api-key and api-version."""
import asyncio

import openai

from common import KEY, KEYED_URL, QUESTION, check_events, ended, poll, refused, test


def azure(kind=openai.AzureOpenAI, **how):
    given = {"azure_endpoint": KEYED_URL, "api_version": "2025-04-01-preview", "api_key": KEY}
    return kind(max_retries=0, timeout=30, **{**given, **how})


@test
def azure_responses():
    """AzureOpenAI: responses, streamed, in the background, removed"""
    c = azure()
    assert QUESTION in c.responses.create(model="o3-pro", input=QUESTION).output_text
    assert QUESTION in check_events(list(c.responses.create(model="o3", input=QUESTION, stream=True)))
    made = c.responses.create(model="o3-pro", input=QUESTION, background=True)
    assert poll(lambda: c.responses.retrieve(made.id), ended).status == "completed"
    assert [item.type for item in c.responses.input_items.list(made.id)] == ["message"]
    c.responses.delete(made.id)
    refused(openai.NotFoundError, lambda: c.responses.retrieve(made.id), status_code=404)


@test
def azure_chat():
    """AzureOpenAI: chat by deployment, named in the client or in the request"""
    messages = [{"role": "user", "content": QUESTION}]
    for c in (azure(), azure(azure_deployment="o3-mini")):
        reply = c.chat.completions.create(model="o3-mini", messages=messages)
        assert QUESTION in reply.choices[0].message.content and reply.model.startswith("o3-mini"), reply


@test
def azure_refusals():
    """AzureOpenAI: a wrong key, a version that is none, a token of Entra"""
    ask = {"model": "o3", "input": QUESTION}
    refused(openai.AuthenticationError, lambda: azure(api_key="wrong").responses.create(**ask), status_code=401)
    refused(openai.BadRequestError, lambda: azure(api_version="soon").responses.create(**ask), param="api-version")
    entra = azure(api_key=None, azure_ad_token_provider=lambda: KEY)
    assert entra.responses.create(**ask).status == "completed"


@test
def azure_asynchronous():
    """AsyncAzureOpenAI: plain and streamed"""

    async def both():
        async with azure(openai.AsyncAzureOpenAI) as c:
            whole = await c.responses.create(model="o3", input=QUESTION)
            stream = await c.responses.create(model="o3", input=QUESTION, stream=True)
            return whole, [event async for event in stream]

    whole, events = asyncio.run(asyncio.wait_for(both(), 60))
    assert QUESTION in whole.output_text and QUESTION in check_events(events)
