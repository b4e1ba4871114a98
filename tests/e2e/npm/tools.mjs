/*
 * tools.mjs - calls of tools and typed answers through the clients' own helpers.
 *
 * The echo engine calls a tool where the question spells the call, and answers a tool's output with the output; what its
 * grammar does not take, the server completes. So each loop of a helper runs through: question, call, output, answer.
 */
import assert from 'node:assert/strict';
import { createOpenAI } from '@ai-sdk/openai';
import { tool as langchainTool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { Agent, OpenAIProvider, Runner, run, tool as agentTool } from '@openai/agents';
import { generateObject, generateText, stepCountIs, streamText, tool } from 'ai';
import { zodFunction, zodResponseFormat, zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import { client, url } from './common.mjs';
import { test } from './tap.mjs';

export const spell = (name, args) => `<tool_call>\n{"name": "${name}", "arguments": ${JSON.stringify(args)}}\n</tool_call>`;
const Sum = z.object({ a: z.number().int(), b: z.number().int() });
const asked = spell('add', { a: 17, b: 25 });
const add = ({ a, b }) => `the sum is ${a + b}`;
const answer = 'the sum is 42';
const Person = z.object({ name: z.string(), age: z.number().int().nullable(), tags: z.array(z.enum(['a', 'b'])).max(3) });
const ann = { name: 'Ann', age: null, tags: ['b'] };

// --- openai -----------------------------------------------------------------------------------------------

test('responses: a function call, its output, the answer', async () => {
  const tools = [zodResponsesFunction({ name: 'add', parameters: Sum })];
  const first = await client.responses.parse({ model: 'o3', input: asked, tools });
  const call = first.output.find((item) => item.type === 'function_call');
  assert.deepEqual(call.parsed_arguments, { a: 17, b: 25 });
  const output = { type: 'function_call_output', call_id: call.call_id, output: add(call.parsed_arguments) };
  const second = await client.responses.create({ model: 'o3', previous_response_id: first.id, input: [output], tools });
  assert.equal(second.output_text, answer);
});

test('responses.stream: arguments as they come', async () => {
  const tools = [zodResponsesFunction({ name: 'add', parameters: Sum })];
  const stream = client.responses.stream({ model: 'o3', input: asked, tools });
  let text = '';
  for await (const event of stream) if (event.type === 'response.function_call_arguments.delta') text += event.delta;
  const done = await stream.finalResponse();
  const call = done.output.find((item) => item.type === 'function_call');
  assert.equal(call.arguments, text);
  assert.deepEqual(JSON.parse(text), { a: 17, b: 25 });
});

test('responses: tool_choice required', async () => {
  const tools = [zodResponsesFunction({ name: 'add', parameters: Sum })];
  const r = await client.responses.parse({ model: 'o3', input: 'Hello.', tools, tool_choice: 'required' });
  const call = r.output.find((item) => item.type === 'function_call');
  assert.ok(Sum.safeParse(call.parsed_arguments).success, call.arguments);
});

test('chat: the tool runner', async () => {
  const runner = client.chat.completions.runTools({
    model: 'o3', messages: [{ role: 'user', content: asked }],
    tools: [zodFunction({ name: 'add', parameters: Sum, function: add })],
  });
  assert.equal(await runner.finalContent(), answer);
  assert.equal(runner.messages.filter((m) => m.role === 'tool').length, 1);
});

test('chat: the tool runner, streamed', async () => {
  const runner = client.chat.completions.runTools({
    model: 'o3', stream: true, messages: [{ role: 'user', content: asked }],
    tools: [zodFunction({ name: 'add', parameters: Sum, function: add })],
  });
  assert.equal(await runner.finalContent(), answer);
});

test('responses.parse and chat.parse: an answer with a type', async () => {
  const question = JSON.stringify(ann);
  const r = await client.responses.parse({ model: 'o3', input: question, text: { format: zodTextFormat(Person, 'person') } });
  assert.deepEqual(r.output_parsed, ann);
  const c = await client.chat.completions.parse({
    model: 'o3', messages: [{ role: 'user', content: question }], response_format: zodResponseFormat(Person, 'person'),
  });
  assert.deepEqual(c.choices[0].message.parsed, ann);
  const other = await client.responses.parse({ model: 'o3', input: 'Hello.', text: { format: zodTextFormat(Person, 'person') } });
  assert.ok(Person.safeParse(other.output_parsed).success, other.output_text);
});

test('responses.parse and chat.parse: a refusal is no parsed value', async () => {
  const question = 'I cannot tell.';
  const r = await client.responses.parse({ model: 'o3', input: question, text: { format: zodTextFormat(Person, 'person') } });
  const [part] = r.output.find((item) => item.type === 'message').content;
  assert.deepEqual([part.type, part.refusal, r.output_parsed], ['refusal', question, null]);
  const c = await client.chat.completions.parse({
    model: 'o3', messages: [{ role: 'user', content: question }], response_format: zodResponseFormat(Person, 'person'),
  });
  const { refusal, parsed } = c.choices[0].message;
  assert.deepEqual([refusal, parsed], [question, null]);
  let heard = '';
  const stream = client.responses.stream({ model: 'o3', input: question, text: { format: zodTextFormat(Person, 'person') } });
  stream.on('response.refusal.delta', (event) => { heard += event.delta; });
  await stream.finalResponse();
  assert.equal(heard, question);
});

test('responses: a custom tool with a grammar', async () => {
  const r = await client.responses.create({
    model: 'o3', input: 'Hello.', tool_choice: { type: 'custom', name: 'dial' },
    tools: [{ type: 'custom', name: 'dial', format: { type: 'grammar', syntax: 'regex', definition: '[0-9]{4}' } }],
  });
  assert.match(r.output.find((item) => item.type === 'custom_tool_call').input, /^[0-9]{4}$/);
});

// --- @openai/agents ---------------------------------------------------------------------------------------

const adder = (extra) =>
  new Agent({
    name: 'Adder', model: 'o3', instructions: 'Add.',
    tools: [agentTool({ name: 'add', description: 'Adds.', parameters: Sum, execute: add })], ...extra,
  });

test('@openai/agents: tools', async () => {
  const result = await run(adder(), asked);
  assert.equal(result.finalOutput, answer);
});

test('@openai/agents: tools, streamed', async () => {
  const result = await run(adder(), asked, { stream: true });
  await result.completed;
  assert.equal(result.finalOutput, answer);
});

test('@openai/agents: tools, over chat completions', async () => {
  const runner = new Runner({ modelProvider: new OpenAIProvider({ openAIClient: client, useResponses: false }) });
  assert.equal((await runner.run(adder({ model: 'o3-mini' }), asked)).finalOutput, answer);
});

test('@openai/agents: handoffs', async () => {
  const last = new Agent({ name: 'Last', model: 'o3' });
  const first = new Agent({ name: 'First', model: 'o3', handoffs: [last] });
  const result = await run(first, spell('transfer_to_Last', {}));
  assert.equal(result.lastAgent.name, 'Last');
});

test('@openai/agents: typed outputs', async () => {
  const result = await run(new Agent({ name: 'Typist', model: 'o3', outputType: Person }), JSON.stringify(ann));
  assert.deepEqual(result.finalOutput, ann);
});

// --- the AI SDK ---------------------------------------------------------------------------------------------

const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: 'any' });
const adding = { tools: { add: tool({ description: 'Adds.', inputSchema: Sum, execute: add }) }, stopWhen: stepCountIs(3), maxRetries: 0 };

for (const [what, model] of [['responses', openai('o3')], ['chat', openai.chat('o3-mini')]]) {
  test(`@ai-sdk/openai: tools, ${what}`, async () => {
    const result = await generateText({ ...adding, model, prompt: asked });
    assert.equal(result.text, answer);
    assert.equal(result.steps.length, 2);
    assert.equal(result.steps[0].finishReason, 'tool-calls');
  });

  test(`@ai-sdk/openai: tools, streamed, ${what}`, async () => {
    const result = streamText({ ...adding, model, prompt: asked, onError: () => {} });
    let text = '';
    for await (const piece of result.textStream) text += piece;
    assert.equal(text, answer);
  });

  test(`@ai-sdk/openai: generateObject, ${what}`, async () => {
    const { object } = await generateObject({ model, schema: Person, prompt: JSON.stringify(ann), maxRetries: 0 });
    assert.ok(Person.safeParse(object).success);
  });
}

// --- LangChain ------------------------------------------------------------------------------------------------

const chain = (options) => new ChatOpenAI({ apiKey: 'any', configuration: { baseURL: `${url}/v1` }, maxRetries: 0, ...options });
const sum = langchainTool(add, { name: 'add', description: 'Adds.', schema: Sum });

for (const [what, options] of [
  ['responses', { model: 'o3', useResponsesApi: true }],
  ['chat', { model: 'o3-mini', useResponsesApi: false }],
]) {
  test(`@langchain/openai: bindTools, ${what}`, async () => {
    const model = chain(options).bindTools([sum]);
    const messages = [{ role: 'user', content: asked }];
    const reply = await model.invoke(messages);
    assert.deepEqual(reply.tool_calls.map((call) => [call.name, call.args]), [['add', { a: 17, b: 25 }]]);
    messages.push(reply, await sum.invoke(reply.tool_calls[0]));
    assert.equal((await model.invoke(messages)).text, answer);
  });

  for (const method of ['jsonSchema', 'functionCalling'])
    test(`@langchain/openai: withStructuredOutput, ${method}, ${what}`, async () => {
      const got = await chain(options).withStructuredOutput(Person, { name: 'person', method }).invoke(JSON.stringify(ann));
      assert.ok(Person.safeParse(got).success, JSON.stringify(got));
    });
}
