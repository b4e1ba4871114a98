/*
 * socket.mjs - ResponsesWS of the official npm client, unmodified: responses over a WebSocket.
 */
import assert from 'node:assert/strict';
import { ResponsesWS } from 'openai/resources/responses/ws';

import { checkResponseEvents, client, connect, key, keyedUrl, question } from './common.mjs';
import { test } from './tap.mjs';

const LAST = ['response.completed', 'response.incomplete', 'response.failed', 'error'];

// Opens a socket, whose `ask` sends one request and resolves to the events that answer it.
async function open(from) {
  const socket = new ResponsesWS(from);
  const messages = socket.stream();
  const next = async () => {
    for (;;) {
      const { value, done } = await messages.next();
      assert.ok(!done, 'the socket was closed');
      if (value.type === 'message') return value.message;
      if (value.type === 'error' && value.error.error) return { ...value.error.error, type: 'error' };
      assert.ok(['connecting', 'open'].includes(value.type), String(value.error ?? value.type));
    }
  };
  const ask = async (body) => {
    socket.send({ type: 'response.create', model: 'o3', ...body });
    const events = [await next()];
    while (!LAST.includes(events.at(-1).type)) events.push(await next());
    return events;
  };
  return { ask, socket };
}

test('ResponsesWS: one response after the other, each going on from the last', async () => {
  const { ask, socket } = await open(client);
  const first = checkResponseEvents(await ask({ input: 'My name is Ada.' })).last.response;
  const { last, text } = checkResponseEvents(await ask({ input: question, previous_response_id: first.id }));
  assert.ok(text.includes(question), text);
  assert.equal(last.response.previous_response_id, first.id);
  assert.ok(last.response.usage.input_tokens > first.usage.input_tokens);
  socket.close();
  assert.equal((await client.responses.retrieve(first.id)).output_text, first.output_text);
});

test('ResponsesWS: what is not stored can be gone on from on its own connection', async () => {
  const { ask, socket } = await open(connect(keyedUrl, key));
  const first = checkResponseEvents(await ask({ input: 'My name is Ada.', store: false })).last.response;
  const again = await ask({ input: question, store: false, previous_response_id: first.id });
  assert.ok(checkResponseEvents(again).text.includes(question));
  socket.close();
  const other = await open(connect(keyedUrl, key));
  const [error] = await other.ask({ input: question, store: false, previous_response_id: first.id });
  assert.equal(error.type, 'error');
  assert.equal((error.error ?? error).code, 'previous_response_not_found');
  checkResponseEvents(await other.ask({ input: question })); // the socket goes on
  other.socket.close();
});

test('ResponsesWS: a wrong key opens no socket', async () => {
  const socket = new ResponsesWS(connect(keyedUrl, 'sk-wrong-key-0000'));
  const error = await new Promise((resolve) => socket.on('error', resolve));
  assert.match(String(error.message), /401/);
});
