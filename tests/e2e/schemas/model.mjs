/*
 * model.mjs - what the bundled model answers under a schema is valid, says ajv, whatever it would rather have said.
 *
 *   THINKD_E2E_URL=... node model.mjs COUNT
 *
 * COUNT random schemas go to /v1/responses as text.format, at temperature 1 and with changing effort. Each answer that
 * completed must parse and be valid. One that spent its tokens first is incomplete and says so; few may be.
 */
import { validator, without } from './ajv.mjs';
import { randomSchema } from './random.mjs';
import { main, test } from './tap.mjs';

const [url, count] = [process.env.THINKD_E2E_URL, Number(process.argv[2])];
const BATCH = 100;
const AT_ONCE = 16;
const FAILURES_SHOWN = 5;
const EFFORTS = ['none', 'low', 'medium', 'high'];
const QUESTIONS = ['Give me an example in JSON.', 'What is 17 + 25?', 'Ann has 4 apples and buys 9 more. How many has she now?', 'Say hello.'];

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
  const texts = body.output.filter((item) => item.type === 'message').flatMap((item) => item.content.map((part) => part.text));
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

const start = Number(process.env.SCHEMAS_FIRST ?? 1);
for (let first = start; first < start + count; first += BATCH) {
  const n = Math.min(BATCH, start + count - first);
  test(`answers of the bundled model to schemas ${first} to ${first + n - 1}`, async () => {
    const seen = { valid: 0, incomplete: 0, refused: 0, unknown: 0, tokens: 0 };
    const wrong = [];
    let next = first;
    const line = async () => {
      while (next < first + n) {
        const failure = await check(next++, seen);
        if (failure) wrong.push(failure);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, line));
    console.log(`# ${seen.valid} answers held against ajv, ${seen.incomplete} incomplete, ${seen.unknown} of schemas that cannot be cut, ` +
      `${seen.refused} schemas refused, ${seen.tokens} tokens`);
    for (const one of wrong.slice(0, FAILURES_SHOWN)) console.log(`# ${JSON.stringify(one)}`);
    if (wrong.length) throw new Error(`${wrong.length} answers were wrong`);
    if (seen.valid < n / 2) throw new Error('most schemas were not answered in full');
  });
}
await main();
