/*
 * limits.mjs - the official npm client, unmodified, against servers of its own: limits, and webhooks that arrive.
 */
import assert from 'node:assert/strict';
import http from 'node:http';
import OpenAI from 'openai';

import { client, connect, ended, poll, question, refused, withServer } from './common.mjs';
import { test } from './tap.mjs';

test('a second request in the minute is a RateLimitError that says when', () =>
  withServer(['--requests-per-minute', '1'], async (limited) => {
    const ask = () => connect(limited, 'any').responses.create({ model: 'o3', input: question });
    assert.equal((await ask()).status, 'completed');
    const error = await refused(ask, OpenAI.RateLimitError, { status: 429, code: 'rate_limit_exceeded' });
    const after_ms = Number(error.headers.get('retry-after-ms'));
    assert.ok(after_ms > 0 && after_ms <= 60_000, String(after_ms));
    assert.equal(error.headers.get('x-ratelimit-limit-requests'), '1');
    assert.equal(error.headers.get('x-ratelimit-remaining-requests'), '0');
  }));

// The same bytes as tests/unit/api/webhooks.c: here the client takes the signature.
test('a webhook of ours is genuine to the client', async () => {
  const body =
    '{"id":"evt_1","object":"event","created_at":1764967971,"type":"response.completed","data":{"id":"resp_1"}}';
  const headers = {
    'webhook-id': 'evt_1',
    'webhook-timestamp': '1764967971',
    'webhook-signature': 'v1,a0u4ZFp1WwdVAsQAIuVhQ+x89nt7qrKAafeGztQy6Qk=',
  };
  const secret = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
  await client.webhooks.verifySignature(body, headers, secret, Number.MAX_SAFE_INTEGER); // at any age
  await assert.rejects(
    client.webhooks.verifySignature(body.replace('resp_1', 'resp_2'), headers, secret, Number.MAX_SAFE_INTEGER),
  );
});

// A receiver whose `next` resolves to what was posted to it, one after the other.
async function receiver() {
  const posted = [];
  let wake = () => {};
  const server = http.createServer(async (request, reply) => {
    let body = '';
    for await (const bytes of request) body += bytes;
    reply.writeHead(204).end();
    posted.push({ headers: request.headers, body });
    wake();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/hook`,
    next: async () => {
      while (posted.length === 0) await new Promise((resolve) => (wake = resolve));
      return posted.shift();
    },
    close: () => server.close(),
  };
}

test('webhooks.unwrap takes what a background response sends at its end', async () => {
  const secret = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`;
  const hook = await receiver();
  await withServer(['--webhook-url', hook.url, '--webhook-secret', secret], async (base) => {
    const hooked = connect(base, 'any');
    const made = await hooked.responses.create({ model: 'o3', input: question, background: true });
    const { headers, body } = await hook.next();
    const event = await client.webhooks.unwrap(body, headers, secret);
    assert.deepEqual([event.type, event.data.id], ['response.completed', made.id]);
    assert.match(event.id, /^evt_/);
    await assert.rejects(client.webhooks.unwrap(body.replace(made.id, 'resp_0'), headers, secret));
    const held = await hooked.responses.create({ model: 'o3', input: '/hold 3', background: true });
    await hooked.responses.cancel(held.id);
    const second = await hook.next();
    const cancelled = await client.webhooks.unwrap(second.body, second.headers, secret);
    assert.deepEqual([cancelled.type, cancelled.data.id], ['response.cancelled', held.id]);
    assert.ok(ended(await poll(() => hooked.responses.retrieve(held.id), ended)));
  });
  hook.close();
});
