"""A question to o3 over the Responses API with requests."""
import json
import os

import requests

response = requests.post(
    os.environ["OPENAI_BASE_URL"] + "/responses",
    headers={"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"},
    json={"model": "openai/o3-2025-04-16", "input": "Hello"},
)
print(json.dumps(response.json(), indent=2, ensure_ascii=False))
