/*
 * walk.mjs - what the grammar of a schema lets through is valid, says ajv; what ajv refuses is not let through.
 *
 *   node walk.mjs WALK COUNT    WALK: the program of walk.c
 *
 * For COUNT random schemas: random texts of the grammar are parsed and validated; then documents that are nearly
 * those are made, and of those that ajv refuses none may be accepted. Where a keyword was left out (thinkd says
 * which), it is taken off the schema that ajv gets, and everything else must still hold.
 */
import { spawnSync } from 'node:child_process';

import { validator, without } from './ajv.mjs';
import { mutate, randomSchema, rng } from './random.mjs';
import { main, test } from './tap.mjs';

const [walk, count] = [process.argv[2], Number(process.argv[3])];
const BATCH = 500;
const WALKS = 4;
const MUTANTS = 12;
const FAILURES_SHOWN = 5;

function ask(requests) {
  const input = requests.map((r) => JSON.stringify(r) + '\n').join('');
  const ran = spawnSync(walk, { input, maxBuffer: 1 << 30 });
  if (ran.status !== 0) throw new Error(`walk ended with ${ran.status ?? ran.signal}: ${ran.stderr}`);
  return ran.stdout.toString().trimEnd().split('\n').map((line) => JSON.parse(line));
}

// The texts of one batch, held against ajv. Says what was wrong.
function checkBatch(first, n, seen) {
  const wrong = [];
  const schemas = Array.from({ length: n }, (_, i) => randomSchema(first + i));
  const replies = ask(schemas.map((schema, i) => ({ schema, seed: first + i, walks: WALKS, texts: [] })));
  const mutants = [];
  schemas.forEach((schema, i) => {
    const reply = replies[i];
    if (reply.error) {
      seen.refused++;
      seen.reasons.set(reply.error.replace(/.*: /, ''), (seen.reasons.get(reply.error.replace(/.*: /, '')) ?? 0) + 1);
      return;
    }
    const kept = without(schema, reply.omitted);
    seen.omitted += reply.omitted ? 1 : 0;
    if (!kept) return;
    const validate = validator(kept);
    const r = rng(first + i + 7);
    const nearly = new Set();
    for (const text of reply.texts) {
      const value = JSON.parse(text);
      seen.texts++;
      if (!validate(value)) wrong.push({ seed: first + i, text, errors: validate.errors, schema: kept });
      for (let k = 0; k < MUTANTS; k++) {
        const other = mutate(r, value);
        if (!validate(other)) nearly.add(JSON.stringify(other));
      }
    }
    mutants.push({ schema, seed: first + i, walks: 0, texts: [...nearly] });
  });
  ask(mutants).forEach(({ accepts }, i) => {
    seen.mutants += accepts.length;
    accepts.forEach((yes, k) => {
      if (yes) wrong.push({ seed: mutants[i].seed, accepted: mutants[i].texts[k], schema: mutants[i].schema });
    });
  });
  return wrong;
}

const start = Number(process.env.SCHEMAS_FIRST ?? 1);
for (let first = start; first < start + count; first += BATCH) {
  const n = Math.min(BATCH, start + count - first);
  test(`random schemas ${first} to ${first + n - 1}`, () => {
    const seen = { refused: 0, omitted: 0, texts: 0, mutants: 0, reasons: new Map() };
    const wrong = checkBatch(first, n, seen);
    const why = [...seen.reasons].sort((a, b) => b[1] - a[1]).map(([reason, times]) => `${times} ${reason}`);
    console.log(`# ${seen.texts} texts and ${seen.mutants} refused documents; ${seen.omitted} schemas in part, ${seen.refused} not at all`);
    for (const line of why.slice(0, 8)) console.log(`#   ${line}`);
    for (const one of wrong.slice(0, FAILURES_SHOWN)) console.log(`# ${JSON.stringify(one)}`);
    if (wrong.length) throw new Error(`${wrong.length} texts were wrong`);
    if (seen.refused + seen.omitted > n / 2) throw new Error('most schemas were not enforced');
  });
}
await main();
