"""The official client, asynchronous: two questions thought about at the same time."""
import asyncio

from openai import AsyncOpenAI

client = AsyncOpenAI()


async def ask(question: str) -> str:
    response = await client.responses.create(model="o3-pro", input=question, reasoning={"effort": "high"})
    return response.output_text


async def main():
    for answer in await asyncio.gather(ask("What is 45 + 54?"), ask("What is 9 * 7?")):
        print(answer)


asyncio.run(main())
