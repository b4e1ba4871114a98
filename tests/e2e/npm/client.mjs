/*
 * client.mjs - the official npm client, unmodified: answers, streams, models and refusals.
 */
import assert from 'node:assert/strict';
import OpenAI from 'openai';

import { checkResponseEvents, client, collect, connect, key, keyedUrl, question, refused } from './common.mjs';
import { test } from './tap.mjs';

test('responses.create', async () => {
  const r = await client.responses.create({ model: 'o3', input: question });
  assert.equal(r.object, 'response');
  assert.equal(r.status, 'completed');
  assert.match(r.id, /^resp_[0-9a-f]{48,50}$/);
  assert.ok(r.output_text.includes(question), r.output_text);
  assert.equal(r.usage.total_tokens, r.usage.input_tokens + r.usage.output_tokens);
  assert.ok(r.usage.output_tokens >= r.usage.output_tokens_details.reasoning_tokens);
  assert.equal(r.error, null);
  assert.match(r._request_id, /^req_[0-9a-f]{32}$/);
});

test('responses.create: messages, instructions, effort, metadata', async () => {
  const r = await client.responses.create({
    model: 'openai/o3-pro',
    instructions: 'Answer in one line.',
    input: [{ role: 'user', content: [{ type: 'input_text', text: question }] }],
    reasoning: { effort: 'low', summary: 'auto' },
    max_output_tokens: 512,
    metadata: { suite: 'e2e' },
    store: false,
  });
  assert.equal(r.status, 'completed');
  assert.match(r.model, /^openai\/o3-pro/);
  assert.equal(r.reasoning.effort, 'low');
  assert.equal(r.instructions, 'Answer in one line.');
  assert.deepEqual(r.metadata, { suite: 'e2e' });
  assert.equal(r.max_output_tokens, 512);
  assert.ok(r.output_text.length > 0);
});

test('responses.create with stream: true', async () => {
  const events = await collect(await client.responses.create({ model: 'o3-pro', input: question, stream: true }));
  const { last, text } = checkResponseEvents(events);
  assert.ok(text.includes(question), text);
  assert.ok(last.response.usage.output_tokens > 0);
});

test('completions.create: prompts, choices, echo, logprobs', async () => {
  const c = await client.completions.create({
    model: 'o3', prompt: [question, 'One two'], n: 2, max_tokens: 3, logprobs: 1, echo: true, seed: 1,
  });
  assert.equal(c.object, 'text_completion');
  assert.deepEqual(c.choices.map((choice) => choice.index), [0, 1, 2, 3]);
  for (const choice of c.choices) {
    assert.ok(choice.text.startsWith(choice.index < 2 ? question : 'One two'), choice.text);
    const { tokens, token_logprobs: logprobs, top_logprobs: top, text_offset: offsets } = choice.logprobs;
    assert.deepEqual([logprobs.length, top.length, offsets.length], Array(3).fill(tokens.length));
    assert.equal(logprobs[0], null);
  }
  assert.equal(c.usage.total_tokens, c.usage.prompt_tokens + c.usage.completion_tokens);
});

test('completions.create with stream: true is the plain text in pieces', async () => {
  const ask = { model: 'o3', prompt: question, max_tokens: 20, temperature: 0 };
  const chunks = await collect(await client.completions.create({ ...ask, stream: true }));
  const text = chunks.map((c) => c.choices[0].text).join('');
  assert.equal(text, (await client.completions.create(ask)).choices[0].text);
  assert.ok(['stop', 'length'].includes(chunks.at(-1).choices[0].finish_reason));
});

test('log-probabilities of chat and responses', async () => {
  const c = await client.chat.completions.create({
    model: 'o3', messages: [{ role: 'user', content: question }], logprobs: true, top_logprobs: 2,
  });
  const listed = c.choices[0].logprobs.content;
  assert.equal(Buffer.from(listed.flatMap((t) => t.bytes)).toString().trim(), c.choices[0].message.content);
  assert.ok(listed.every((t) => t.logprob <= 0 && t.top_logprobs.length === 2));
  const r = await client.responses.create({ model: 'o3', input: question, include: ['message.output_text.logprobs'] });
  assert.equal(r.output.at(-1).content[0].logprobs.map((t) => t.token).join('').trim(), r.output_text);
});

test('a streamed and an unstreamed answer to the same seed are the same', async () => {
  const ask = { model: 'o3', input: question, seed: 7 };
  const whole = await client.responses.create(ask);
  const { text } = checkResponseEvents(await collect(await client.responses.create({ ...ask, stream: true })));
  assert.equal(text, whole.output_text);
});

test('responses.stream() helper', async () => {
  const seen = [];
  const stream = client.responses.stream({ model: 'o3', input: question });
  stream.on('response.output_text.delta', (e) => seen.push(e.delta));
  const final = await stream.finalResponse();
  assert.equal(final.status, 'completed');
  assert.equal(final.output_text, seen.join(''));
});

test('chat.completions.create', async () => {
  const c = await client.chat.completions.create({
    model: 'o3-mini',
    messages: [
      { role: 'developer', content: 'Be brief.' },
      { role: 'user', content: question },
    ],
    reasoning_effort: 'low',
    seed: 1,
  });
  assert.equal(c.object, 'chat.completion');
  assert.match(c.id, /^chatcmpl-/);
  assert.equal(c.choices.length, 1);
  assert.equal(c.choices[0].message.role, 'assistant');
  assert.ok(c.choices[0].message.content.includes(question), c.choices[0].message.content);
  assert.equal(c.choices[0].finish_reason, 'stop');
  assert.equal(c.usage.total_tokens, c.usage.prompt_tokens + c.usage.completion_tokens);
  assert.match(c._request_id, /^req_/);
});

test('chat.completions.create: n choices', async () => {
  const c = await client.chat.completions.create({
    model: 'o3-mini',
    messages: [{ role: 'user', content: question }],
    n: 3,
  });
  assert.deepEqual(c.choices.map((x) => x.index).sort(), [0, 1, 2]);
  for (const choice of c.choices) assert.ok(choice.message.content.length > 0);
});

test('chat.completions.create with stream: true and usage', async () => {
  const chunks = await collect(
    await client.chat.completions.create({
      model: 'o3-mini',
      messages: [{ role: 'user', content: question }],
      stream: true,
      stream_options: { include_usage: true },
    }),
  );
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  assert.equal(new Set(chunks.map((c) => c.id)).size, 1);
  const text = chunks.map((c) => c.choices[0]?.delta?.content ?? '').join('');
  assert.ok(text.includes(question), text);
  assert.deepEqual(chunks.flatMap((c) => c.choices.map((x) => x.finish_reason)).filter(Boolean), ['stop']);
  const last = chunks.at(-1);
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.total_tokens, last.usage.prompt_tokens + last.usage.completion_tokens);
  for (const chunk of chunks.slice(0, -1)) assert.equal(chunk.usage, null);
});

test('chat.completions.stream() helper', async () => {
  const seen = [];
  const stream = client.chat.completions.stream({
    model: 'o3-mini',
    messages: [{ role: 'user', content: question }],
  });
  stream.on('content.delta', ({ delta }) => seen.push(delta));
  const final = await stream.finalChatCompletion();
  assert.equal(final.choices[0].message.content, seen.join(''));
  assert.equal(final.choices[0].finish_reason, 'stop');
});

test('the stop sequence ends the visible text', async () => {
  const c = await client.chat.completions.create({
    model: 'o3-mini',
    messages: [{ role: 'user', content: question }],
    stop: ['25'],
  });
  assert.ok(!c.choices[0].message.content.includes('25'));
  assert.equal(c.choices[0].finish_reason, 'stop');
});

test('models.list and models.retrieve', async () => {
  const ids = [];
  for await (const model of client.models.list()) {
    assert.equal(model.object, 'model');
    ids.push(model.id);
  }
  for (const id of ['o3', 'o3-mini', 'o3-pro']) assert.ok(ids.includes(id), `${id} in ${ids}`);
  const model = await client.models.retrieve('o3-pro');
  assert.equal(model.id, 'o3-pro');
});

// Each row: what is asked, the class the client makes of the refusal, and the fields it carries.
const refusals = [
  ['an unknown model', () => client.responses.create({ model: 'nope', input: 'x' }),
    OpenAI.NotFoundError, { status: 404, code: 'model_not_found', param: 'model' }],
  ['o3-pro on chat', () => client.chat.completions.create({ model: 'o3-pro', messages: [{ role: 'user', content: 'x' }] }),
    OpenAI.NotFoundError, { status: 404, param: 'model' }],
  ['an unknown model id', () => client.models.retrieve('nope'), OpenAI.NotFoundError, { status: 404 }],
  ['too few output tokens', () => client.responses.create({ model: 'o3', input: 'x', max_output_tokens: 5 }),
    OpenAI.BadRequestError, { status: 400, code: 'integer_below_min_value', param: 'max_output_tokens' }],
  ['an effort that does not exist', () => client.responses.create({ model: 'o3', input: 'x', reasoning: { effort: 'heroic' } }),
    OpenAI.BadRequestError, { status: 400, param: 'reasoning.effort' }],
  ['a wrong type', () => client.responses.create({ model: 'o3', input: 'x', temperature: 'hot' }),
    OpenAI.BadRequestError, { status: 400, code: 'invalid_type', param: 'temperature' }],
  ['a field nobody knows', () => client.responses.create({ model: 'o3', input: 'x', frobnicate: 1 }),
    OpenAI.BadRequestError, { status: 400, code: 'unknown_parameter', param: 'frobnicate' }],
  ['no model', () => client.responses.create({ input: 'x' }),
    OpenAI.BadRequestError, { status: 400, code: 'missing_required_parameter', param: 'model' }],
  ['an error found before the first byte of a stream', () => client.responses.create({ model: 'nope', input: 'x', stream: true }),
    OpenAI.NotFoundError, { status: 404, code: 'model_not_found' }],
];
for (const [what, ask, kind, fields] of refusals)
  test(`refuses ${what}`, async () => {
    await refused(ask, kind, { type: 'invalid_request_error', ...fields });
  });

test('a wrong key is an AuthenticationError, the right one is served', async () => {
  const ask = () => connect(keyedUrl, 'sk-wrong-key-0000').responses.create({ model: 'o3', input: 'x' });
  const error = await refused(ask, OpenAI.AuthenticationError, { status: 401, code: 'invalid_api_key' });
  assert.ok(!error.message.includes('sk-wrong-key-0000'), 'the key is masked');
  const r = await connect(keyedUrl, key).responses.create({ model: 'o3', input: question });
  assert.equal(r.status, 'completed');
});

test('a client that aborts its stream leaves a server that serves', async () => {
  for (let i = 0; i < 5; i++) {
    const stream = await client.responses.create({ model: 'o3', input: question.repeat(50), stream: true });
    for await (const event of stream) {
      if (event.sequence_number >= 1) break; // leaving the loop aborts the request
    }
  }
  const r = await client.responses.create({ model: 'o3', input: question });
  assert.equal(r.status, 'completed');
});

test('responses.compact: its output is the next input', async () => {
  const items = [
    { role: 'user', content: 'My name is Ada.' },
    { role: 'assistant', content: 'Hello, Ada.' },
    { role: 'user', content: question },
  ];
  const c = await client.responses.compact({ model: 'o3', input: items });
  assert.equal(c.object, 'response.compaction');
  assert.deepEqual(c.output.map((item) => item.type), ['message', 'message', 'compaction']);
  assert.equal(c.usage.total_tokens, c.usage.input_tokens);
  const again = await client.responses.compact({ model: 'o3', input: [...c.output, { role: 'user', content: 'And?' }] });
  assert.equal(again.output.at(-1).type, 'compaction');
});

test('responses.inputTokens.count', async () => {
  const counted = await client.responses.inputTokens.count({ model: 'o3', input: question });
  const r = await client.responses.create({ model: 'o3', input: question });
  assert.equal(counted.object, 'response.input_tokens');
  assert.equal(counted.input_tokens, r.usage.input_tokens);
});

test('a request with an idempotency key is done once', async () => {
  const options = { headers: { 'Idempotency-Key': 'e2e-once' } };
  const first = await client.responses.create({ model: 'o3', input: question }, options);
  const second = await client.responses.create({ model: 'o3', input: question }, options);
  assert.equal(second.id, first.id);
});
