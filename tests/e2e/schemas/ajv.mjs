/*
 * ajv.mjs - the independent validator, and what it is given.
 */
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

// The schema without the keywords that were left out; null where taking one off does not say the same as leaving it out.
export function without(schema, omitted) {
  const copy = structuredClone(schema);
  for (const { path, keyword } of omitted ?? []) {
    let at = copy;
    for (const key of path.split('/').slice(1)) at = at?.[key.replaceAll('~1', '/').replaceAll('~0', '~')];
    if (!at || !(keyword in at)) return null;
    if (keyword === 'oneOf') at.anyOf = [...(at.anyOf ?? []), ...at.oneOf];
    delete at[keyword];
  }
  return copy;
}

export function validator(schema) {
  const ajv = new Ajv({ strict: false, allErrors: false, multipleOfPrecision: 8, logger: false });
  addFormats(ajv, { mode: 'full' });
  return ajv.compile(schema);
}
