"""The official client: a second question that goes on from the first answer."""
from openai import OpenAI

client = OpenAI()
first = client.responses.create(model="o3", input="What is 20 + 22?")
second = client.responses.create(model="o3", input="What is 6 * 7?", previous_response_id=first.id)
print(first.output_text, second.output_text)
client.responses.delete(second.id)
