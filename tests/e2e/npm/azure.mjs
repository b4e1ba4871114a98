/*
 * azure.mjs - AzureOpenAI of the official npm client, unmodified: Azure's paths, api-key and api-version.
 */
import assert from 'node:assert/strict';
import OpenAI, { AzureOpenAI } from 'openai';

import { checkResponseEvents, collect, ended, key, keyedUrl, poll, question, refused } from './common.mjs';
import { test } from './tap.mjs';

const connect = (options) =>
  new AzureOpenAI({ apiKey: key, apiVersion: '2025-04-01-preview', maxRetries: 0, timeout: 30_000, ...options });
const azure = connect({ endpoint: keyedUrl });

test('AzureOpenAI: responses, plain and streamed', async () => {
  const r = await azure.responses.create({ model: 'o3-pro', input: question });
  assert.equal(r.status, 'completed');
  assert.ok(r.output_text.includes(question));
  const { text } = checkResponseEvents(
    await collect(await azure.responses.create({ model: 'o3', input: question, stream: true })),
  );
  assert.ok(text.includes(question));
});

test('AzureOpenAI: a background response is polled, listed and removed', async () => {
  const made = await azure.responses.create({ model: 'o3-pro', input: question, background: true });
  const done = await poll(() => azure.responses.retrieve(made.id), ended);
  assert.equal(done.status, 'completed');
  const items = await collect(await azure.responses.inputItems.list(made.id));
  assert.equal(items[0].content[0].text, question);
  await azure.responses.delete(made.id);
  await refused(() => azure.responses.retrieve(made.id), OpenAI.NotFoundError, { status: 404 });
});

test('AzureOpenAI: chat by deployment, named in the client or in the request', async () => {
  const messages = [{ role: 'user', content: question }];
  const named = connect({ endpoint: keyedUrl, deployment: 'o3-mini' });
  for (const c of [
    await azure.chat.completions.create({ model: 'o3-mini', messages }),
    await named.chat.completions.create({ messages }),
  ]) {
    assert.ok(c.choices[0].message.content.includes(question));
    assert.match(c.model, /^o3-mini/);
  }
  const chunks = await collect(await azure.chat.completions.create({ model: 'o3-mini', messages, stream: true }));
  assert.ok(chunks.map((c) => c.choices[0]?.delta?.content ?? '').join('').includes(question));
});

test('AzureOpenAI: the undated paths of /openai/v1', async () => {
  const undated = connect({ baseURL: `${keyedUrl}/openai/v1`, apiVersion: 'preview' });
  assert.equal((await undated.responses.create({ model: 'o3', input: question })).status, 'completed');
});

test('AzureOpenAI: a token of Entra comes as a bearer', async () => {
  const rest = { endpoint: keyedUrl, apiVersion: '2025-04-01-preview', maxRetries: 0 };
  const entra = new AzureOpenAI({ ...rest, azureADTokenProvider: async () => key });
  assert.equal((await entra.responses.create({ model: 'o3', input: question })).status, 'completed');
});

test('AzureOpenAI: refusals', async () => {
  const ask = { model: 'o3', input: question };
  await refused(() => connect({ endpoint: keyedUrl, apiKey: 'wrong' }).responses.create(ask), OpenAI.AuthenticationError, {
    status: 401,
  });
  await refused(() => connect({ endpoint: keyedUrl, apiVersion: 'soon' }).responses.create(ask), OpenAI.BadRequestError, {
    param: 'api-version',
  });
  await refused(() => azure.responses.create({ ...ask, model: 'nope' }), OpenAI.NotFoundError, { code: 'model_not_found' });
});
