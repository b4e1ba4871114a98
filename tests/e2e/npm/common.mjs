/*
 * common.mjs - what the tests of the npm clients share: clients, streams read to their end, servers of a test's own.
 *
 * THINKD_E2E_URL serves without keys on the echo engine, whose answer is the question: what comes back can be
 * compared exactly. THINKD_E2E_KEYED_URL takes THINKD_E2E_KEY alone. Retries are off, so that one request is one
 * request.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import OpenAI from 'openai';

export const url = process.env.THINKD_E2E_URL;
export const keyedUrl = process.env.THINKD_E2E_KEYED_URL;
export const key = process.env.THINKD_E2E_KEY;
export const question = 'What is 17 + 25?';

export const connect = (base, apiKey) => new OpenAI({ baseURL: `${base}/v1`, apiKey, maxRetries: 0, timeout: 30_000 });
export const client = connect(url, 'any-key-at-all');

export async function collect(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

// Lets every "/hold" of the echo engine that runs go on to its end.
export const release = () => client.responses.create({ model: 'o3', input: '/release', store: false });

// What a refused call throws, checked: its class, its fields, and that the request can be found in a log.
export async function refused(call, kind, fields) {
  const error = await call().then(
    () => assert.fail('it was accepted'),
    (e) => e,
  );
  assert.ok(error instanceof kind, String(error?.stack ?? error));
  for (const [name, want] of Object.entries(fields)) assert.equal(error[name], want, name);
  assert.match(error.requestID, /^req_/);
  return error;
}

// Every event of a stream, by the rules a strict reader lives by: numbers without gaps from 0, one beginning,
// one end, what was added is done, and the deltas are the text.
export function checkResponseEvents(events, last_type = 'response.completed') {
  assert.deepEqual(events.map((e) => e.sequence_number), events.map((_, i) => i));
  const begun = events.slice(0, 3).map((e) => e.type).filter((type) => type !== 'response.queued');
  assert.deepEqual(begun.slice(0, 2), ['response.created', 'response.in_progress']);
  const last = events.at(-1);
  assert.equal(last.type, last_type);
  const count = (type) => events.filter((e) => e.type === type).length;
  assert.equal(count('response.output_item.added'), last.response.output.length);
  assert.equal(count('response.output_item.done'), last.response.output.length);
  assert.equal(count('response.content_part.added'), count('response.content_part.done'));
  const text = events.filter((e) => e.type === 'response.output_text.delta').map((e) => e.delta).join('');
  const done = events.find((e) => e.type === 'response.output_text.done');
  assert.equal(done.text, text);
  const message = last.response.output.find((item) => item.type === 'message');
  assert.equal(message.content[0].text, text);
  return { last, text };
}

// Asks again and again until `done` says so, as a client of a background response does.
const POLLS_MAX = 2000;
export async function poll(ask, done) {
  for (let i = 0; i < POLLS_MAX; i++) {
    const got = await ask();
    if (done(got)) return got;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail('it is not done after all these looks');
}

export const ended = (r) => !['queued', 'in_progress'].includes(r.status);

// Runs `use` with a server that was started with these options besides; the server must end well too.
export async function withServer(options, use) {
  const server = spawn(process.env.THINKD, ['serve', '--listen', '127.0.0.1:0', '--engine', 'echo', ...options]);
  const end = new Promise((resolve) => server.on('close', (code, signal) => resolve(code ?? signal)));
  let log = '';
  const up = new Promise((resolve, reject) => {
    const read = (bytes) => {
      log += bytes;
      const found = log.match(/http:\/\/127\.0\.0\.1:[1-9][0-9]*(?=\s)/);
      if (found) resolve(found[0]);
    };
    server.stdout.on('data', read);
    server.stderr.on('data', read);
    end.then((status) => reject(new Error(`the server did not start (${status}):\n${log}`)));
  });
  try {
    await use(await up);
  } finally {
    server.kill('SIGTERM');
  }
  assert.equal(await end, 0, log);
}
