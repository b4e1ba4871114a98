/*
 * tap.mjs - runs named async tests one after the other and says in TAP what came of them.
 *
 * A test that throws failed; its message and the place are shown. One that throws Skip is skipped and says why. One that
 * takes longer than 60 seconds failed too: a stream that never ends must not hang the run.
 */
const tests = [];
const TEST_MS_MAX = 60_000;

export class Skip extends Error {}

export function test(name, run) {
  tests.push({ name, run });
}

// A test that cannot be written yet or cannot run here, and why.
export function skipped(name, why) {
  test(name, () => {
    throw new Skip(why);
  });
}

function deadline() {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${TEST_MS_MAX} ms`)), TEST_MS_MAX);
  });
  return { late, cancel: () => clearTimeout(timer) };
}

export async function main() {
  let failed = 0;
  console.log(`1..${tests.length}`);
  for (const [i, { name, run }] of tests.entries()) {
    const { late, cancel } = deadline();
    try {
      await Promise.race([Promise.resolve().then(run), late]);
      console.log(`ok ${i + 1} - ${name}`);
    } catch (e) {
      if (e instanceof Skip) {
        console.log(`ok ${i + 1} # SKIP ${name}: ${e.message}`);
      } else {
        failed++;
        console.log(`not ok ${i + 1} - ${name}`);
        console.log(String(e?.stack ?? e).replace(/^/gm, '# '));
      }
    } finally {
      cancel();
    }
  }
  process.exit(failed ? 1 : 0);
}
