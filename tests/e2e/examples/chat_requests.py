"""A chat with o3-mini with requests."""
import os

import requests

response = requests.post(
    os.environ["OPENAI_BASE_URL"] + "/chat/completions",
    headers={"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"},
    json={"model": "o3-mini", "messages": [{"role": "user", "content": "Hello"}]},
)
print(response.json())
