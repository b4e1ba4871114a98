/*
 * frameworks.mjs - the libraries that people build on, unmodified: OpenAI's agents, the AI SDK, LangChain.
 */
import assert from 'node:assert/strict';
import { createAzure } from '@ai-sdk/azure';
import { createOpenAI } from '@ai-sdk/openai';
import { AIMessage, HumanMessage } from '@langchain/core/messages';
import { AzureChatOpenAI, ChatOpenAI } from '@langchain/openai';
import {
  Agent, MemorySession, OpenAIConversationsSession, OpenAIProvider, Runner, run, setDefaultOpenAIClient, setTracingDisabled,
  withResponsesWebSocketSession,
} from '@openai/agents';
import { generateText, streamText } from 'ai';

import { client, key, keyedUrl, question, url } from './common.mjs';
import { skipped, test } from './tap.mjs';

// --- @openai/agents ------------------------------------------------------------------------------------

setTracingDisabled(true);
setDefaultOpenAIClient(client);
const agent = new Agent({ name: 'Adder', instructions: 'Answer in one line.', model: 'o3' });

test('@openai/agents: run', async () => {
  const result = await run(agent, question);
  assert.ok(result.finalOutput.includes(question), result.finalOutput);
  assert.match(result.lastResponseId, /^resp_/);
});

test('@openai/agents: run, streamed', async () => {
  const result = await run(agent, question, { stream: true });
  let text = '';
  for await (const piece of result.toTextStream()) text += piece;
  await result.completed;
  assert.equal(text, result.finalOutput);
  assert.ok(text.includes(question), text);
});

test('@openai/agents: the history of one run begins the next', async () => {
  const first = await run(agent, 'My name is Ada.');
  const second = await run(agent, [...first.history, { role: 'user', content: question }]);
  assert.ok(second.finalOutput.includes(question));
});

test('@openai/agents: previousResponseId', async () => {
  const first = await run(agent, 'My name is Ada.');
  const second = await run(agent, question, { previousResponseId: first.lastResponseId });
  const stored = await client.responses.retrieve(second.lastResponseId);
  assert.equal(stored.previous_response_id, first.lastResponseId);
});

test('@openai/agents: conversationId', async () => {
  const { id } = await client.conversations.create();
  for (const text of ['My name is Ada.', question]) await run(agent, text, { conversationId: id });
  const items = await client.conversations.items.list(id, { order: 'asc' });
  assert.deepEqual(items.data.filter((item) => item.role === 'user').map((item) => item.content[0].text), [
    'My name is Ada.', question,
  ]);
});

for (const [name, make] of [
  ['MemorySession', () => new MemorySession()],
  ['OpenAIConversationsSession', () => new OpenAIConversationsSession({ client })],
])
  test(`@openai/agents: ${name}`, async () => {
    const session = make();
    await run(agent, 'My name is Ada.', { session });
    const result = await run(agent, question, { session });
    assert.ok(result.finalOutput.includes(question));
    const users = (await session.getItems()).filter((item) => item.role === 'user');
    assert.equal(users.length, 2);
  });

test('@openai/agents: over chat completions', async () => {
  const runner = new Runner({ modelProvider: new OpenAIProvider({ openAIClient: client, useResponses: false }) });
  const result = await runner.run(new Agent({ name: 'Adder', model: 'o3-mini' }), question);
  assert.ok(result.finalOutput.includes(question));
});

test('@openai/agents: over one WebSocket', () =>
  withResponsesWebSocketSession(
    async ({ run: ask }) => {
      const first = await ask(agent, 'My name is Ada.');
      const second = await ask(agent, question, { previousResponseId: first.lastResponseId });
      assert.ok(second.finalOutput.includes(question));
    },
    { providerOptions: { apiKey: 'any', baseURL: `${url}/v1` } },
  ));

// --- the AI SDK ----------------------------------------------------------------------------------------

const sent = []; // what it sent, as JSON
const record = (to, init) => {
  sent.push(JSON.parse(init.body));
  return fetch(to, init);
};
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: 'any', fetch: record });
const ask = { maxRetries: 0 };

for (const store of [true, false]) {
  const settings = { ...ask, model: openai('o3'), providerOptions: { openai: { store, reasoningSummary: 'auto' } } };

  test(`@ai-sdk/openai: generateText, two turns, store: ${store}`, async () => {
    const messages = [{ role: 'user', content: 'My name is Ada.' }];
    const first = await generateText({ ...settings, messages });
    assert.ok(first.text.includes('Ada'), first.text);
    assert.equal(first.finishReason, 'stop');
    assert.ok(first.usage.outputTokens > 0);
    assert.ok(first.reasoningText.length > 0);
    messages.push(...first.response.messages, { role: 'user', content: question });
    const second = await generateText({ ...settings, messages });
    assert.ok(second.text.includes(question), second.text);
    const { input } = sent.at(-1);
    assert.equal(input.some((item) => item.type === 'item_reference'), store);
    assert.equal(input.some((item) => item.encrypted_content), !store);
    assert.ok(second.usage.inputTokens > first.usage.inputTokens);
  });

  test(`@ai-sdk/openai: streamText, store: ${store}`, async () => {
    const result = streamText({ ...settings, prompt: question, onError: () => {} });
    let text = '';
    for await (const piece of result.textStream) text += piece;
    assert.ok(text.includes(question), text);
    assert.equal(await result.finishReason, 'stop');
    assert.ok((await result.reasoningText).length > 0);
  });
}

test('@ai-sdk/openai: chat', async () => {
  const { text } = await generateText({ ...ask, model: openai.chat('o3-mini'), prompt: question });
  assert.ok(text.includes(question), text);
  const result = streamText({ ...ask, model: openai.chat('o3-mini'), prompt: question });
  assert.equal(await result.text, text);
});

test('@ai-sdk/openai: a refusal keeps its status', async () => {
  await assert.rejects(generateText({ ...ask, model: openai('nope'), prompt: question }), { statusCode: 404 });
});

test('@ai-sdk/azure: responses and chat', async () => {
  const azure = createAzure({ baseURL: `${keyedUrl}/openai/v1`, apiKey: key });
  for (const model of [azure('o3'), azure.chat('o3-mini')]) {
    const { text } = await generateText({ ...ask, model, prompt: question });
    assert.ok(text.includes(question), text);
  }
});

// --- LangChain -----------------------------------------------------------------------------------------

const chain = (options) =>
  new ChatOpenAI({ apiKey: 'any', configuration: { baseURL: `${url}/v1` }, maxRetries: 0, ...options });

for (const [what, model, useResponsesApi] of [['responses', 'o3', true], ['chat', 'o3-mini', false]]) {
  test(`@langchain/openai: invoke, ${what}`, async () => {
    const reply = await chain({ model, useResponsesApi }).invoke([
      new HumanMessage('My name is Ada.'), new AIMessage('Hello, Ada.'), new HumanMessage(question),
    ]);
    assert.ok(reply.text.includes(question), reply.text);
    assert.ok(reply.usage_metadata.total_tokens > 0);
  });

  test(`@langchain/openai: stream, ${what}`, async () => {
    let whole;
    for await (const chunk of await chain({ model, useResponsesApi }).stream(question))
      whole = whole ? whole.concat(chunk) : chunk;
    assert.ok(whole.text.includes(question), whole.text);
    assert.ok(whole.usage_metadata.total_tokens > 0);
  });
}

test('@langchain/openai: a reply goes into the next turn', async () => {
  const model = chain({ model: 'o3', useResponsesApi: true });
  const messages = [new HumanMessage('My name is Ada.')];
  messages.push(await model.invoke(messages), new HumanMessage(question));
  const reply = await model.invoke(messages);
  assert.ok(reply.text.includes(question), reply.text);
});

test('@langchain/openai: AzureChatOpenAI', async () => {
  const model = new AzureChatOpenAI({
    model: 'o3-mini',
    azureOpenAIApiKey: key,
    azureOpenAIEndpoint: keyedUrl,
    azureOpenAIApiDeploymentName: 'o3-mini',
    azureOpenAIApiVersion: '2025-04-01-preview',
    maxRetries: 0,
  });
  const reply = await model.invoke(question);
  assert.ok(reply.text.includes(question), reply.text);
});

// --- codex ---------------------------------------------------------------------------------------------

// Its program is 400 MB, so it is not among the pinned ones.
skipped('@openai/codex: exec', 'it is tried by hand');
