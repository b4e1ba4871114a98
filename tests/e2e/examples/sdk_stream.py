"""The official client: an answer printed as it is written."""
from openai import OpenAI

client = OpenAI()
for event in client.responses.create(model="o3", input="What is 12 + 30?", stream=True):
    if event.type == "response.output_text.delta":
        print(event.delta, end="", flush=True)
print()
