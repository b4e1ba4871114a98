"""A question to o3-pro with nothing but Python's standard library."""
import json
import os
import urllib.request

request = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + "/responses",
    data=json.dumps({"model": "o3-pro", "input": "What is 128 + 64?"}).encode(),
    headers={"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]},
)
with urllib.request.urlopen(request, timeout=60) as reply:
    print(json.dumps(json.load(reply), indent=2))
