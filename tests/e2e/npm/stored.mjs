/*
 * stored.mjs - the official npm client, unmodified: what is kept, and what goes on without its client.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import OpenAI, { toFile } from 'openai';

import {
  checkResponseEvents, client, collect, connect, ended, key, keyedUrl, poll, question, refused, release, url,
} from './common.mjs';
import { test } from './tap.mjs';

const ids = (list) => list.map((item) => item.id);

async function all(page) {
  const found = [];
  for await (const item of page) found.push(item);
  return found;
}

test('responses.retrieve and delete', async () => {
  const made = await client.responses.create({ model: 'o3', input: question, metadata: { kept: 'yes' } });
  assert.equal(made.store, true);
  const found = await client.responses.retrieve(made.id, { include: ['message.output_text.logprobs'] });
  const { _request_id: a, ...one } = made;
  const { _request_id: b, ...two } = found;
  assert.deepEqual(two, one);
  await client.responses.delete(made.id);
  await refused(() => client.responses.retrieve(made.id), OpenAI.NotFoundError, { status: 404 });
  await refused(() => client.responses.delete(made.id), OpenAI.NotFoundError, { status: 404 });
});

test('store: false keeps nothing', async () => {
  const made = await client.responses.create({ model: 'o3', input: question, store: false });
  assert.equal(made.store, false);
  await refused(() => client.responses.retrieve(made.id), OpenAI.NotFoundError, { status: 404 });
});

test('a response belongs to its key', async () => {
  const made = await connect(keyedUrl, key).responses.create({ model: 'o3', input: question });
  await refused(() => client.responses.retrieve(made.id), OpenAI.NotFoundError, { status: 404 });
  assert.equal((await connect(keyedUrl, key).responses.retrieve(made.id)).output_text, made.output_text);
});

test('previous_response_id goes on, and inputItems.list pages through all that came before', async () => {
  const first = await client.responses.create({ model: 'o3', input: 'My name is Ada.' });
  const second = await client.responses.create({ model: 'o3', input: question, previous_response_id: first.id });
  assert.equal(second.previous_response_id, first.id);
  assert.ok(second.usage.input_tokens > first.usage.input_tokens);
  const items = await all(client.responses.inputItems.list(second.id, { order: 'asc', limit: 1 }));
  assert.deepEqual(items.map((item) => item.type), ['message', 'reasoning', 'message', 'message']);
  assert.equal(items[0].content[0].text, 'My name is Ada.');
  assert.equal(items[3].content[0].text, question);
  assert.deepEqual(ids(items.slice(1, 3)), ids(first.output));
  const newest = await all(client.responses.inputItems.list(second.id));
  assert.deepEqual(ids(newest), ids(items).reverse());
  await refused(
    () => client.responses.create({ model: 'o3', input: 'x', previous_response_id: `resp_${'0'.repeat(48)}` }),
    OpenAI.BadRequestError,
    { code: 'previous_response_not_found', param: 'previous_response_id' },
  );
});

test('background: true is polled to its end', async () => {
  const made = await client.responses.create({ model: 'o3', input: '/hold 5', background: true });
  assert.ok(['queued', 'in_progress'].includes(made.status), made.status);
  assert.deepEqual([made.background, made.output, made.usage], [true, [], null]);
  const halfway = await poll(() => client.responses.retrieve(made.id), (r) => r.output_text.includes('5'));
  assert.equal(halfway.status, 'in_progress');
  await release();
  const done = await poll(() => client.responses.retrieve(made.id), ended);
  assert.equal(done.status, 'completed');
  assert.ok(done.output_text.startsWith(halfway.output_text));
  assert.ok(done.usage.output_tokens > 0);
  const pro = await client.responses.create({ model: 'o3-pro', input: 'many lines', background: true });
  const voted = await poll(() => client.responses.retrieve(pro.id), ended);
  assert.deepEqual([voted.status, voted.output_text], ['completed', 'many lines']);
});

test('responses.cancel keeps what there is', async () => {
  const made = await client.responses.create({ model: 'o3', input: '/hold 5', background: true });
  await poll(() => client.responses.retrieve(made.id), (r) => r.output_text.includes('5'));
  const cancelled = await client.responses.cancel(made.id);
  assert.equal(cancelled.status, 'cancelled');
  assert.ok(cancelled.output_text.includes('5'), cancelled.output_text);
  assert.equal((await client.responses.cancel(made.id)).status, 'cancelled');
  assert.equal((await client.responses.retrieve(made.id)).status, 'cancelled');
  const plain = await client.responses.create({ model: 'o3', input: question });
  await refused(() => client.responses.cancel(plain.id), OpenAI.BadRequestError, { status: 400 });
});

test('background and stream: its events, and all of them again', async () => {
  const ask = { model: 'o3', input: question, background: true, stream: true, reasoning: { summary: 'auto' } };
  const events = await collect(await client.responses.create(ask));
  const { last, text } = checkResponseEvents(events);
  assert.ok(text.includes(question), text);
  const again = await collect(await client.responses.retrieve(last.response.id, { stream: true }));
  assert.deepEqual(again, events);
  const rest = await collect(await client.responses.retrieve(last.response.id, { stream: true, starting_after: 4 }));
  assert.deepEqual(rest, events.slice(5));
});

// A way to the server that a test can cut.
async function cuttable() {
  const sockets = new Set();
  const { hostname, port } = new URL(url);
  const way = net.createServer((from) => {
    const to = net.connect(Number(port), hostname);
    for (const [one, other] of [[from, to], [to, from]]) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.pipe(other);
    }
  });
  await new Promise((resolve) => way.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${way.address().port}`,
    cut: () => {
      way.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

test('a stream whose connection is cut is resumed where it ended', async () => {
  const way = await cuttable();
  const ask = { model: 'o3', input: '/hold 8', background: true, stream: true };
  const events = [];
  await assert.rejects(async () => {
    for await (const event of await connect(way.url, 'any').responses.create(ask)) {
      events.push(event);
      if (event.type === 'response.output_text.delta' && event.delta.includes('3')) way.cut();
    }
  });
  const { id } = events[0].response;
  assert.notEqual((await client.responses.retrieve(id)).status, 'completed');
  const resumed = await client.responses.retrieve(id, {
    stream: true, starting_after: events.at(-1).sequence_number,
  });
  await release();
  events.push(...(await collect(resumed)));
  const { last, text } = checkResponseEvents(events);
  assert.equal(text, (await client.responses.retrieve(id)).output_text);
  assert.equal(last.response.status, 'completed');
});

test('responses.stream() goes on with a response that runs', async () => {
  const ask = { model: 'o3', input: '/hold 4', background: true, stream: true };
  let id, seen;
  for await (const event of await client.responses.create(ask)) {
    id ??= event.response.id;
    seen = event.sequence_number;
    if (event.type === 'response.output_text.delta') break;
  }
  const numbers = [];
  const stream = client.responses.stream({ response_id: id, starting_after: seen });
  stream.on('event', (event) => numbers.push(event.sequence_number));
  await poll(async () => numbers.length, (n) => n > 0);
  await release();
  const final = await stream.finalResponse();
  assert.equal(final.id, id);
  assert.equal(final.status, 'completed');
  assert.equal(numbers[0], seen + 1);
  assert.equal(final.output_text, (await client.responses.retrieve(id)).output_text);
});

test('conversations: made, told apart, changed and removed', async () => {
  const made = await client.conversations.create({
    metadata: { topic: 'sums' },
    items: [{ type: 'message', role: 'user', content: 'My name is Ada.' }],
  });
  assert.equal(made.object, 'conversation');
  assert.deepEqual((await client.conversations.retrieve(made.id)).metadata, { topic: 'sums' });
  const changed = await client.conversations.update(made.id, { metadata: { topic: 'names' } });
  assert.deepEqual(changed.metadata, { topic: 'names' });
  const deleted = await client.conversations.delete(made.id);
  assert.deepEqual([deleted.object, deleted.deleted], ['conversation.deleted', true]);
  await refused(() => client.conversations.retrieve(made.id), OpenAI.NotFoundError, { status: 404 });
});

test('conversations.items: made, listed, found and removed', async () => {
  const { id } = await client.conversations.create();
  const made = await client.conversations.items.create(id, {
    items: [1, 2, 3].map((n) => ({ type: 'message', role: 'user', content: `Number ${n}` })),
  });
  assert.equal(made.data.length, 3);
  const listed = await all(client.conversations.items.list(id, { order: 'asc', limit: 2 }));
  assert.deepEqual(ids(listed), ids(made.data));
  const one = await client.conversations.items.retrieve(listed[1].id, { conversation_id: id });
  assert.equal(one.content[0].text, 'Number 2');
  assert.equal((await client.conversations.items.delete(listed[1].id, { conversation_id: id })).id, id);
  assert.deepEqual(ids(await all(client.conversations.items.list(id))), [listed[2].id, listed[0].id]);
});

test('a response in a conversation adds what was asked and said', async () => {
  const { id } = await client.conversations.create();
  const first = await client.responses.create({ model: 'o3', input: 'My name is Ada.', conversation: id });
  assert.equal(first.conversation.id, id);
  const second = await client.responses.create({ model: 'o3', input: question, conversation: { id } });
  assert.ok(second.usage.input_tokens > first.usage.input_tokens);
  const items = await all(client.conversations.items.list(id, { order: 'asc' }));
  assert.deepEqual(items.map((item) => item.role ?? item.type), [
    'user', 'reasoning', 'assistant', 'user', 'reasoning', 'assistant',
  ]);
  assert.deepEqual(ids(items.slice(4)), ids(second.output));
});

test('chat.completions: stored, listed, found, changed and removed', async () => {
  const { completions } = client.chat;
  const ask = (n) => ({
    model: 'o3-mini', messages: [{ role: 'user', content: `${question} ${n}` }], store: true, metadata: { run: 'e2e' },
  });
  const made = [];
  for (const n of [1, 2, 3]) made.push(await completions.create(ask(n)));
  const listed = await all(completions.list({ metadata: { run: 'e2e' }, limit: 2 }));
  assert.deepEqual(ids(listed), ids(made));
  const one = await completions.retrieve(made[1].id);
  assert.equal(one.choices[0].message.content, made[1].choices[0].message.content);
  const changed = await completions.update(made[1].id, { metadata: { run: 'other' } });
  assert.deepEqual(changed.metadata, { run: 'other' });
  assert.deepEqual(ids(await all(completions.list({ metadata: { run: 'e2e' } }))), [made[0].id, made[2].id]);
  const messages = await all(completions.messages.list(made[1].id));
  assert.deepEqual(messages.map((m) => m.content), [`${question} 2`]);
  const deleted = await completions.delete(made[1].id);
  assert.deepEqual([deleted.object, deleted.deleted], ['chat.completion.deleted', true]);
  await refused(() => completions.retrieve(made[1].id), OpenAI.NotFoundError, { status: 404 });
});

test('files: kept, listed, read by a request, given back and removed', async () => {
  const text = 'The ledger of May says 42.\n';
  const made = await client.files.create({ file: await toFile(Buffer.from(text), 'may.txt'), purpose: 'user_data' });
  assert.deepEqual([made.object, made.filename, made.bytes], ['file', 'may.txt', Buffer.byteLength(text)]);
  assert.equal((await client.files.retrieve(made.id)).id, made.id);
  assert.deepEqual(ids(await all(client.files.list({ purpose: 'user_data' }))), [made.id]);
  assert.equal(await (await client.files.content(made.id)).text(), text);
  const ask = (file) => [{ role: 'user', content: [{ type: 'input_text', text: 'Read this.' }, file] }];
  const r = await client.responses.create({ model: 'o3', input: ask({ type: 'input_file', file_id: made.id }) });
  assert.ok(r.output_text.includes('ledger'), r.output_text);
  assert.deepEqual((await client.files.delete(made.id)).deleted, true);
  await refused(() => client.files.retrieve(made.id), OpenAI.NotFoundError, { status: 404 });
  await refused(
    () => client.responses.create({ model: 'o3', input: ask({ type: 'input_file', file_id: made.id }) }),
    OpenAI.NotFoundError,
    { status: 404 },
  );
});

// One pixel.
const png =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

test('images as data URLs', async () => {
  const r = await client.responses.create({
    model: 'o3',
    input: [{
      role: 'user',
      content: [{ type: 'input_text', text: question }, { type: 'input_image', image_url: png, detail: 'auto' }],
    }],
  });
  assert.ok(r.output_text.includes('1 x 1 pixels'), r.output_text);
  const c = await client.chat.completions.create({
    model: 'o3-mini',
    messages: [{
      role: 'user', content: [{ type: 'text', text: question }, { type: 'image_url', image_url: { url: png } }],
    }],
  });
  assert.ok(c.choices[0].message.content.includes('1 x 1 pixels'), c.choices[0].message.content);
});

test('encrypted reasoning of one turn goes into the next', async () => {
  const ask = { model: 'o3', store: false, include: ['reasoning.encrypted_content'] };
  const first = await client.responses.create({ ...ask, input: 'My name is Ada.' });
  assert.equal(first.output[0].type, 'reasoning');
  assert.ok(first.output[0].encrypted_content.length > 0);
  const input = [{ role: 'user', content: 'My name is Ada.' }, ...first.output, { role: 'user', content: question }];
  input[1] = { ...input[1], content: null }; // as codex sends it back
  const second = await client.responses.create({ ...ask, input });
  assert.ok(second.output_text.includes(question));
  input[1] = { ...input[1], encrypted_content: 'AAAA' };
  await refused(() => client.responses.create({ ...ask, input }), OpenAI.BadRequestError, {
    code: 'invalid_encrypted_content',
  });
});
