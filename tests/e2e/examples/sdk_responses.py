"""The official client: a question to o3-pro with low effort, and the tokens it took."""
from openai import OpenAI

client = OpenAI()
response = client.responses.create(
    model="o3-pro",
    input="Solve for x: 3x + 5 = 20",
    reasoning={"effort": "low"},
)
print(response.output_text)
print(response.usage.output_tokens_details.reasoning_tokens, "tokens of thought")
