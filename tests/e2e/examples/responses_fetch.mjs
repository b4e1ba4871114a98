// A question to o3 over the Responses API with fetch.
const response = await fetch(`${process.env.OPENAI_BASE_URL}/responses`, {
  method: 'POST',
  headers: { Authorization: `Bearer ${process.env.OPENAI_API_KEY}`, 'Content-Type': 'application/json' },
  body: JSON.stringify({ model: 'openai/o3-2025-04-16', input: 'Hello' }),
});
if (!response.ok) throw new Error(`HTTP error! Status ${response.status}`);
console.log(JSON.stringify(await response.json(), null, 2));
