#!/bin/sh
# A question to o3-pro with curl.
curl -sS --fail "$OPENAI_BASE_URL/responses" \
    -H "Authorization: Bearer $OPENAI_API_KEY" \
    -H 'Content-Type: application/json' \
    -d '{"model": "o3-pro", "input": "What is 17 + 25?"}'
