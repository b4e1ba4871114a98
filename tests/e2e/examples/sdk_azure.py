"""The official client for Azure, whose deployments are thinkd's models."""
import os

from openai import AzureOpenAI

client = AzureOpenAI(
    azure_endpoint=os.environ["OPENAI_BASE_URL"].removesuffix("/v1"),
    api_version="2025-04-01-preview",
    api_key=os.environ["OPENAI_API_KEY"],
)
print(client.responses.create(model="o3-pro", input="What is 31 + 11?").output_text)
