// A chat with o3-mini with fetch, streamed: the text is printed as it comes.
const response = await fetch(`${process.env.OPENAI_BASE_URL}/chat/completions`, {
  method: 'POST',
  headers: { Authorization: `Bearer ${process.env.OPENAI_API_KEY}`, 'Content-Type': 'application/json' },
  body: JSON.stringify({ model: 'o3-mini', messages: [{ role: 'user', content: 'Hello' }], stream: true }),
});
if (!response.ok) throw new Error(`HTTP error! Status ${response.status}`);
const decoder = new TextDecoder();
let rest = '';
for await (const bytes of response.body) {
  rest += decoder.decode(bytes, { stream: true });
  const frames = rest.split('\n\n');
  rest = frames.pop();
  for (const frame of frames) {
    const data = frame.replace(/^data: /, '');
    if (frame.startsWith('data: ') && data !== '[DONE]') {
      process.stdout.write(JSON.parse(data).choices[0]?.delta?.content ?? '');
    }
  }
}
console.log();
