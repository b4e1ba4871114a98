"""The official client: a question thought about in the background, and looked for until it is answered."""
import time

from openai import OpenAI

client = OpenAI()
response = client.responses.create(model="o3-pro", input="What is 84 / 7?", background=True)
while response.status in ("queued", "in_progress"):
    time.sleep(0.1)
    response = client.responses.retrieve(response.id)
if response.status != "completed":
    raise SystemExit(f"it ended {response.status}")
print(response.output_text)
