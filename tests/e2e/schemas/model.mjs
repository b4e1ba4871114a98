/*
 * model.mjs - what the bundled model answers under a schema is valid, says ajv, whatever it would rather have said.
 *
 *   THINKD_E2E_URL=... node model.mjs COUNT
 *
 * Random schemas go to /v1/responses as text.format, at temperature 1 and with changing effort, until COUNT were answered. Each answer that
 * completed must parse and be valid, or be a refusal, which is a part of its own. One that spent its tokens first is incomplete
 * and says so; few may be.
 */
import { validator, without } from './ajv.mjs';
import { randomSchema } from './random.mjs';
import { main, test } from './tap.mjs';

const [url, count] = [process.env.THINKD_E2E_URL, Number(process.argv[2])];
const BATCH = 100;
const AT_ONCE = 16;
const FAILURES_SHOWN = 5;
const EFFORTS = ['none', 'low', 'medium', 'high'];
const QUESTIONS = ['What is 17 + 25?', 'Solve 3x + 5 = 20.', 'What is 738 * 46?', 'Write a poem about the sea.'];

async function ask(seed, schema) {
  const response = await fetch(`${url}/v1/responses`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'o3',
      input: QUESTIONS[seed % QUESTIONS.length],
      temperature: 1,
      reasoning: { effort: EFFORTS[(seed >> 2) % EFFORTS.length] },
      max_output_tokens: 1500,
      store: false,
      text: { format: { type: 'json_schema', name: 'example', schema } },
    }),
  });
  return { status: response.status, body: await response.json() };
}

// What is wrong with the answer to one schema, or null.
async function check(seed, seen) {
  const schema = randomSchema(seed);
  const { status, body } = await ask(seed, schema);
  if (status === 400 && body.error.param?.startsWith('text.format')) {
    seen.refused++;
    return null;
  }
  if (status !== 200) return { seed, status, body, schema };
  seen.tokens += body.usage.output_tokens;
  if (body.status === 'incomplete' && body.incomplete_details.reason === 'max_output_tokens') {
    seen.incomplete++;
    return null;
  }
  if (body.status !== 'completed') return { seed, body, schema };
  const parts = body.output.filter((item) => item.type === 'message').flatMap((item) => item.content);
  if (parts.length === 1 && parts[0].type === 'refusal' && parts[0].refusal && !body.output_text) {
    seen.refusals++;
    return null;
  }
  const texts = parts.map((part) => part.text);
  const kept = without(schema, body.thinkd.omitted_keywords);
  if (!kept) {
    seen.unknown++;
    return null;
  }
  seen.valid++;
  const validate = validator(kept);
  let value;
  try {
    value = JSON.parse(texts.join(''));
  } catch (e) {
    return { seed, text: texts, error: String(e), schema };
  }
  return validate(value) ? null : { seed, text: texts, errors: validate.errors, schema: kept };
}

let next = Number(process.env.SCHEMAS_FIRST ?? 1);
for (let answered = 0; answered < count; answered += BATCH) {
  const n = Math.min(BATCH, count - answered);
  test(`answers of the bundled model under random schemas: ${answered + 1} to ${answered + n}`, async () => {
    const seen = { valid: 0, refusals: 0, incomplete: 0, refused: 0, unknown: 0, tokens: 0 };
    const wrong = [];
    const last = next + 4 * n;
    const line = async () => {
      while (seen.valid < n && next < last) {
        const failure = await check(next++, seen);
        if (failure) wrong.push(failure);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, line));
    console.log(`# ${seen.valid} answers held against ajv, ${seen.refusals} refusals, ${seen.incomplete} incomplete, ` +
      `${seen.unknown} of schemas that cannot be cut, ${seen.refused} schemas refused, ${seen.tokens} tokens`);
    for (const one of wrong.slice(0, FAILURES_SHOWN)) console.log(`# ${JSON.stringify(one)}`);
    if (wrong.length) throw new Error(`${wrong.length} answers were wrong`);
    if (seen.valid < n) throw new Error('too few schemas were answered in full');
  });
}
await main();
