/*
 * random.mjs - random schemas, and documents that are nearly right.
 *
 * Every keyword that thinkd enforces is said now and then, alone and together with others; a seed makes the same again.
 */

// xorshift32: small, and the same everywhere.
export function rng(seed) {
  let x = (seed * 2654435761 + 88172645) >>> 0 || 1;
  const next = () => {
    x ^= x << 13;
    x >>>= 0;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    return x;
  };
  for (let i = 0; i < 8; i++) next();
  const below = (n) => next() % n;
  return { below, pick: (list) => list[below(list.length)], chance: (percent) => below(100) < percent };
}

const KEYS = ['a', 'b', 'c', 'name', 'x y', 'q"', 'é', 'kind'];
const PATTERNS = ['^[a-c]+$', 'a', '^\\d{2,4}$', 'b$', '^(foo|bar|x*)$', '[^a-z]', '^\\w+@\\w+$', '^.{2,5}$', '^a.*z$', '\\s'];
const FORMATS = ['date', 'time', 'date-time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid', 'uri', 'uri-reference',
  'json-pointer', 'relative-json-pointer'];
const VALUES = [null, true, false, 0, 1, 2, -1, 1.5, 10, '', 'a', 'b', 'abc', 'é"\\', [], [1], ['a', null], {}, { a: 1 }, { b: 'x', a: [] }];

function string(r) {
  const s = { type: 'string' };
  if (r.chance(30)) s.minLength = r.below(4);
  if (r.chance(30)) s.maxLength = 2 + r.below(6);
  if (r.chance(30)) s.pattern = r.pick(PATTERNS);
  if (r.chance(20)) s.format = r.pick(FORMATS);
  return s;
}

function bound(r) {
  return r.chance(60) ? r.below(200) - 100 : (r.below(2000) - 1000) / r.pick([2, 4, 8, 10, 100]);
}

function number(r) {
  const s = { type: r.pick(['integer', 'number']) };
  if (r.chance(40)) s[r.pick(['minimum', 'exclusiveMinimum'])] = bound(r);
  if (r.chance(40)) s[r.pick(['maximum', 'exclusiveMaximum'])] = bound(r) + r.below(150);
  if (r.chance(25)) {
    s.multipleOf = r.pick([2, 3, 5, 7, 10, 12, 100, 0.5, 0.25, 0.1, 0.01, 1.5]);
    s.minimum ??= -1000; // ajv divides doubles, so large ones are not told apart
    s.maximum ??= 1000;
  }
  return s;
}

function array(r, depth) {
  const s = { type: 'array' };
  if (r.chance(70)) s.items = schema(r, depth - 1);
  if (r.chance(20)) s.prefixItems = Array.from({ length: 1 + r.below(3) }, () => schema(r, depth - 1));
  if (s.prefixItems && r.chance(50)) s.items = false;
  if (r.chance(30)) s.minItems = r.below(3);
  if (r.chance(30)) s.maxItems = 1 + r.below(4);
  if (r.chance(10)) {
    s.items = { enum: VALUES.slice(r.below(5), 5 + r.below(6)) };
    s.uniqueItems = true;
  } else if (r.chance(10)) {
    s.contains = schema(r, 0);
    if (r.chance(40)) s.minContains = r.below(3);
    if (r.chance(30)) s.maxContains = 1 + r.below(3);
  }
  return s;
}

function object(r, depth) {
  const s = { type: 'object', properties: {} };
  for (const key of KEYS) if (r.chance(30)) s.properties[key] = schema(r, depth - 1);
  s.required = KEYS.filter((k) => (k in s.properties ? r.chance(50) : r.chance(4)));
  if (r.chance(60)) s.additionalProperties = r.chance(60) ? false : schema(r, depth - 1);
  if (r.chance(10)) s.patternProperties = { [r.pick(PATTERNS)]: schema(r, depth - 1) };
  if (r.chance(8)) s.propertyNames = r.chance(50) ? { pattern: r.pick(PATTERNS) } : { enum: KEYS.slice(0, 5) };
  if (r.chance(10)) s.minProperties = r.below(3);
  if (r.chance(10)) s.maxProperties = 1 + r.below(4);
  if (r.chance(10)) s.dependentRequired = { [r.pick(KEYS)]: [r.pick(KEYS)] };
  if (r.chance(5)) s.unevaluatedProperties = false;
  if (r.chance(6)) s.dependentSchemas = { [r.pick(KEYS)]: { required: [r.pick(KEYS)] } };
  return s;
}

// What nothing else speaks of: beside schemas that always hold, and beside some that may not.
function rest(r, depth) {
  const s = {};
  if (r.chance(40)) s.unevaluatedProperties = r.chance(60) ? false : schema(r, depth - 1);
  if (r.chance(20)) s.unevaluatedItems = r.chance(60) ? false : schema(r, depth - 1);
  return s;
}

function choice(r, depth) {
  const list = (n) => Array.from({ length: 1 + r.below(n) }, () => schema(r, depth - 1));
  switch (r.below(6)) {
    case 0:
      return { anyOf: list(3) };
    case 1:
      return { oneOf: list(3) };
    case 2:
      return { ...schema(r, depth - 1), allOf: list(2), ...rest(r, depth) };
    case 3:
      return { ...schema(r, depth - 1), not: schema(r, 0) };
    case 4:
      return { ...schema(r, depth - 1), anyOf: list(2), ...rest(r, depth) };
    default:
      return { ...schema(r, depth - 1), if: schema(r, 0), then: schema(r, depth - 1), else: schema(r, depth - 1) };
  }
}

function schema(r, depth) {
  const kind = r.below(depth > 0 ? 12 : 7);
  switch (kind) {
    case 0:
    case 1:
      return string(r);
    case 2:
    case 3:
      return number(r);
    case 4:
      return { enum: Array.from({ length: 1 + r.below(4) }, () => r.pick(VALUES)) };
    case 5:
      return r.pick([{ type: 'null' }, { type: 'boolean' }, { const: r.pick(VALUES) }, { type: ['string', 'null'] }, { $ref: '#/$defs/d' }]);
    case 6:
      return r.pick([{ minimum: 3 }, { maxLength: 2 }, true, { $ref: '#/$defs/e' }, { type: ['integer', 'boolean'], maximum: 5 }]);
    case 7:
      return array(r, depth);
    case 8:
    case 9:
    case 10:
      return object(r, depth);
    default:
      return choice(r, depth);
  }
}

// Without a reference: it is what references name.
function simple(r) {
  const s = schema(r, 0);
  return JSON.stringify(s).includes('$ref') ? string(r) : s;
}

export function randomSchema(seed) {
  const r = rng(seed);
  const s = schema(r, 1 + r.below(3));
  const root = typeof s === 'object' ? s : { anyOf: [s] };
  // One definition that is simple, and one that leads back to itself.
  root.$defs = {
    d: simple(r),
    e: { type: 'object', properties: { v: { type: 'integer' }, next: { anyOf: [{ $ref: '#/$defs/e' }, { type: 'null' }] } }, required: ['v'] },
  };
  return root;
}

// One small thing is different, somewhere.
export function mutate(r, value) {
  const inside = value && typeof value === 'object' && r.chance(75) ? Object.keys(value) : [];
  if (inside.length) {
    const key = r.pick(inside);
    const copy = Array.isArray(value) ? [...value] : { ...value };
    if (r.chance(15)) {
      if (Array.isArray(copy)) copy.splice(Number(key), 1);
      else delete copy[key];
    } else {
      copy[key] = mutate(r, value[key]);
    }
    return copy;
  }
  if (Array.isArray(value) && r.chance(50)) return [...value, r.pick(VALUES)];
  if (value && typeof value === 'object' && r.chance(50)) return { ...value, [r.pick(KEYS)]: r.pick(VALUES) };
  if (typeof value === 'string' && r.chance(60)) return r.chance(50) ? value + r.pick(['a', ' ', '1']) : value.slice(1);
  if (typeof value === 'number' && r.chance(60)) return value + r.pick([1, -1, 0.5, 100, -100]);
  return r.pick(VALUES);
}
