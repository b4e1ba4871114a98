/*
 * schema_impl.h - what the files that compile JSON Schema share.
 *
 * The way of a schema:  places (schema_place.c) -> facts (schema_facts.c) -> shapes (schema_shape.c) -> nodes.
 *
 *   place   where a value stands in the document: for messages and for $ref.
 *   facts   everything that one choice through anyOf, oneOf, if and their kin demands of one value, merged: a mask
 *           of types and for each type its bounds. allOf and $ref are gone here.
 *   shape   a set of schemas that hold for one value together, and the alternatives (facts) that satisfies them.
 *           There is one shape for a set, so a definition that is used a hundred times is one rule, and recursion ends.
 *
 * A set of two and more schemas arises where two schemas of one object both speak of one property, or of the items
 * of one array.
 *
 * Errors: the first one sticks in the compile; work stops soon after, and what was built then means nothing.
 */
#ifndef THINKD_GRAMMAR_SCHEMA_IMPL_H
#define THINKD_GRAMMAR_SCHEMA_IMPL_H

#include "grammar/grammar_impl.h"

#include "json/json.h"

/* Bounds of a compile, whatever the schema says. A step is a schema applied, a property looked up, a value
 * compared. */
#define SCHEMA_STEPS_MAX        200000
#define SCHEMA_VALUES_MAX       50000 /* arrays and objects in the document */
#define SCHEMA_NESTING_MAX      200   /* $ref, allOf, anyOf ... within each other, for one value */
#define SCHEMA_SHAPES_MAX       64    /* the same, counted in sets of schemas */
#define SCHEMA_ALTERNATIVES_MAX 512   /* ways through the choices of one value */
#define SCHEMA_PATTERNS_MAX     3     /* patternProperties that speak of one object */
#define SCHEMA_COUNTED_MAX      4096  /* states of a counted object or array */
#define SCHEMA_COUNT_MAX        1e9   /* minItems, maxLength and their kin: from here on as good as endless */
#define SCHEMA_UNIQUE_MAX       8     /* different items of an array with uniqueItems */

/* Types as bits. Booleans and numbers are two bits each, so that "not integer" or "const: true" is a mask as well. */
#define TYPE_NULL     1u
#define TYPE_FALSE    2u
#define TYPE_TRUE     4u
#define TYPE_INTEGER  8u
#define TYPE_FRACTION 16u /* a number that is no integer */
#define TYPE_STRING   32u
#define TYPE_ARRAY    64u
#define TYPE_OBJECT   128u
#define TYPE_NUMBER   (TYPE_INTEGER | TYPE_FRACTION)
#define TYPE_ALL      255u

/* An arena list: adding makes a new head, so that two branches share what was said before they parted. Newest
 * first. */
struct said {
    const struct said *before;
    const json_t *value;
    const struct said *way; /* choices: the schemas that led here */
    bool denied;            /* multiples: under a "not" */
    size_t min, max;        /* contains: how many */
};

struct bound {
    const json_t *number; /* NULL: none */
    bool exclusive;
};

struct facts {
    unsigned types;
    const json_t *only;        /* an array: enum and const, intersected; NULL: anything */
    const struct said *except; /* strings and numbers that are not allowed */
    struct bound low, high;
    const struct said *multiples;
    const struct node *text; /* patterns and formats; NULL: any */
    size_t length_min, length_max;
    const struct said *arrays; /* schemas with items or prefixItems */
    size_t items_min, items_max;
    const struct said *contains; /* value: the schema that is contained */
    bool unique;
    const struct said *objects;  /* schemas with properties, patternProperties or additionalProperties */
    const struct said *required; /* strings */
    const struct said *names;    /* propertyNames */
    size_t members_min, members_max;
    const struct said *choices; /* arrays of schemas, of which one must hold, still to be made */
    const struct said *applied; /* schemas that are in here already */
    /* Set by facts_finish: texts of the number, characters of the string. */
    const struct node *number, *string;
    /* Set with the node: what it cannot do without, where it is an object or an array and nothing else; it has no
     * text. */
    struct shape **needs;
    size_t needs_n;
    bool impossible;
};

struct shape {
    struct shape *next_in_bucket, *next, *next_waiting;
    const json_t *const *schemas;
    size_t n;
    struct facts *alternatives; /* or, where all that is said is one choice, its branches */
    size_t alternatives_n;
    struct shape **branches;
    size_t branches_n;
    const char *why; /* the first reason why something is impossible here */
    const struct node *node;
    size_t rule;
    bool asked; /* made to answer a question: never built */
    enum { DEAD_UNKNOWN, DEAD_ASKING, DEAD_YES } dead;
    bool visiting, done; /* for the search of circles */
    bool productive;     /* for the search of why nothing satisfies the whole */
};

struct place {
    const json_t *value;
    const struct place *up; /* NULL: the document */
    const char *key;        /* NULL: an index */
    size_t index;
};

struct pointer_map { /* json values by address; open addressing */
    const json_t **keys;
    const void **values;
    size_t used, cap; /* cap: a power of two */
};

/* What is made out of a schema, once for each: by the address of what it is made of. */
enum made {
    MADE_NOT,
    MADE_SPLIT,
    MADE_IF,
    MADE_LIST,
    MADE_ITEMS,
    MADE_CONTAINS,
    MADE_REST_ITEMS,
    MADE_REST_MEMBERS,
    MADE_KINDS
};

struct compile {
    struct builder *b;
    struct arena arena;
    const json_t *document;
    const struct schema_options *options;
    json_t *omitted;
    json_t *made; /* keeps what was put together here alive */
    struct err *err;
    enum err_code code;
    size_t steps, compared;
    unsigned depth; /* shapes that are being found within each other */
    unsigned quiet; /* above 0: only a question is being answered, nothing is reported as left out */
    struct pointer_map places, made_of[MADE_KINDS];
    const struct said *identified; /* objects with $id, $anchor and the like */
    struct shape **buckets, *shapes, **shapes_end;
    size_t n_buckets, n_shapes;
    struct shape *waiting, **waiting_end; /* have a rule that is not defined yet */
    struct known_number *numbers;         /* schema_number.c's */
    size_t numbers_n;
    const char *why; /* why the facts in hand were found impossible */
    const struct node *any_char, *any_text, *free_value, *free_object, *free_array, *comma, *colon;
};

/* --- schema_place.c: where things are, and errors that say so ---------------------------------------------------- */

void pointer_map_put(struct pointer_map *m, struct arena *a, const json_t *key, const void *value);

void places_find(struct compile *c);
/* What was made out of origin is spoken of as origin. Takes a new reference over. */
const json_t *place_made(struct compile *c, json_t *made, const json_t *origin);
const json_t *made_get(const struct compile *c, enum made kind, const json_t *of); /* NULL: not yet */
const json_t *made_put(struct compile *c, enum made kind, const json_t *of, json_t *made,
                       const json_t *origin);
const char *place_text(struct compile *c, const json_t *value); /* "#/properties/a"; in the arena */
const json_t *place_resolve(struct compile *c, const json_t *schema, const json_t *ref);
/* As a $dynamicRef, ref may name another schema than target, by the way that a validator takes. */
bool place_is_dynamic(const struct compile *c, const json_t *target, const json_t *ref);

/* The schema is wrong: the compile fails. keyword may be NULL. */
void schema_fail(struct compile *c, const json_t *schema, const char *keyword, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* The schema is right and cannot be enforced to the letter: fails with strict, else it is listed as left out. */
void schema_cannot(struct compile *c, const json_t *schema, const char *keyword, const char *why);
bool schema_step(struct compile *c, size_t steps); /* false: the compile has failed, now or before */

/* --- schema_facts.c, schema_choice.c, schema_deny.c: what is demanded
 * ----------------------------------------------- */

struct keyword {
    const char *name; /* as the schema says it */
    void (*take)(struct compile *c, struct facts *f, const json_t *schema, const json_t *value,
                 const struct said *from);
    /* The same for {"not": {name: value}}; NULL: cannot be. */
    void (*deny)(struct compile *c, struct facts *f, const json_t *schema, const json_t *value,
                 const struct said *from);
    bool note; /* demands nothing by itself */
};
const struct keyword *keyword_find(const char *name); /* NULL: unknown */

void facts_any(struct facts *f);
bool facts_bare(const struct facts *f); /* nothing is demanded but, perhaps, choices */
void facts_apply(struct compile *c, struct facts *f, const json_t *schema, const struct said *from);
void facts_finish(struct compile *c, struct facts *f); /* takes off types that nothing satisfies */
const json_t *facts_say(const struct facts *f, const char *keyword); /* the schema that says it; NULL: none */
void facts_forbid(struct compile *c, struct facts *f, unsigned types, const char *why);
void facts_only(struct compile *c, struct facts *f, const json_t *values);
void facts_bound(struct bound *b, const json_t *number, bool exclusive, int sign);
unsigned type_mask(struct compile *c, const json_t *schema, const json_t *value);
bool count_value(struct compile *c, const json_t *schema, const char *keyword, const json_t *value,
                 size_t *out);
const struct said *said_add(struct compile *c, const struct said *before, const json_t *value);
const json_t **said_in_order(struct compile *c, const struct said *list, size_t *n); /* oldest first */

void take_any_of(struct compile *c, struct facts *f, const json_t *schema, const json_t *value,
                 const struct said *from);
void take_one_of(struct compile *c, struct facts *f, const json_t *schema, const json_t *value,
                 const struct said *from);
void take_if(struct compile *c, struct facts *f, const json_t *schema, const json_t *value,
             const struct said *from);
void take_dependent(struct compile *c, struct facts *f, const json_t *schema, const json_t *value,
                    const struct said *from);
void choice_add(struct compile *c, struct facts *f, const json_t *schemas, const struct said *from);

void take_not(struct compile *c, struct facts *f, const json_t *schema, const json_t *value,
              const struct said *from);
const json_t *schema_not(struct compile *c, const json_t *schema); /* {"not": schema}, one for each */
bool schema_deniable(const json_t *schema);
#define DENY(name)                                                                                           \
    void deny_##name(struct compile *c, struct facts *f, const json_t *schema, const json_t *value,          \
                     const struct said *from)
DENY(type);
DENY(const);
DENY(enum);
DENY(low);
DENY(low_exclusive);
DENY(high);
DENY(high_exclusive);
DENY(multiple);
DENY(length_min);
DENY(length_max);
DENY(pattern);
DENY(format);
DENY(items_min);
DENY(items_max);
DENY(items);
DENY(contains);
DENY(members_min);
DENY(members_max);
DENY(required);
DENY(properties);
DENY(any_of);
DENY(all_of);
DENY(denied);
DENY(ref);

/* --- schema_seen.c: what no other schema has looked at ---------------------------------------------------------------- */

bool schema_sees_alone(const json_t *schema); /* nothing beside its own keywords looks at the value's parts */
/* A schema that says value of all parts which schema, and what it refers to, does not speak of; NULL: which those are cannot be told. */
const json_t *schema_rest(struct compile *c, const json_t *schema, const json_t *value, bool items);

/* --- schema_shape.c: sets of schemas
 * ----------------------------------------------------------------------------------- */

const json_t *schema_plain(struct compile *c, const json_t *schema); /* without references that add nothing */
struct shape *shape_of(struct compile *c, const json_t *const *schemas, size_t n);
struct shape *shape_of_one(struct compile *c, const json_t *schema);
const struct node *shape_node(struct compile *c, struct shape *s);
/* Nothing satisfies it, as far as can be told without building. */
bool shape_dead(struct compile *c, struct shape *s);
void shapes_check(struct compile *c,
                  struct shape *start); /* fails where nothing satisfies start, and says where and why */
bool shape_accepts(struct compile *c, struct shape *s, const json_t *value);
/* Appends the values that are all of the shape's; false: they are not a finite list. */
bool shape_values(struct compile *c, struct shape *s, json_t *out, unsigned depth);
/* The strings that are of the shape's: a regular set. */
const struct node *shape_strings(struct compile *c, struct shape *s, unsigned depth);
void shapes_build(struct compile *c); /* defines every rule that is waiting */

/* --- schema_number.c, schema_string.c, schema_array.c, schema_object.c, schema_value.c: nodes
 * ---------------------------- */

const struct node *number_node(struct compile *c, const struct facts *f);
bool number_accepts(const struct facts *f, const json_t *value);
bool number_multiple_fits(const json_t *value); /* a multipleOf that can be counted with */
int number_cmp(const json_t *a, const json_t *b);

const struct node *string_set(struct compile *c, const struct facts *f);
const struct node *string_node(struct compile *c, const struct node *set); /* with its quotes */
bool text_among(struct compile *c, const struct node *set, struct str text);
bool string_accepts(struct compile *c, const struct facts *f, struct str text);
bool format_known(const char *name);
const struct node *format_node(struct compile *c, const char *name);
const struct node *format_written(struct compile *c,
                                  const char *name); /* those of its texts that are written */

/* The array's or object's shape for one place in it; NULL: nothing may stand there. */
struct shape *array_item(struct compile *c, const struct facts *f, size_t index);
const struct node *array_node(struct compile *c, struct facts *f);

struct shape *object_member(struct compile *c, const struct facts *f, struct str key);
const struct node *object_node(struct compile *c, struct facts *f);

bool value_equal(const json_t *a,
                 const json_t *b); /* as JSON Schema compares: 1 is 1.0, order of keys is nothing */
unsigned value_type(const json_t *v);
bool facts_accept(struct compile *c, const struct facts *f, const json_t *value);
bool facts_accept_listed(struct compile *c, const struct facts *f, const json_t *value); /* one of f->only */
const struct node *value_node(struct compile *c, const json_t *v);
const struct node *values_node(struct compile *c,
                               const struct facts *f); /* those of f->only that f accepts */
void free_values_need(struct compile *c);              /* makes the rules of any JSON, once */

const struct node *seq2(struct compile *c, const struct node *x, const struct node *y);
const struct node *or2(struct compile *c, const struct node *x, const struct node *y);
const struct node *opt(struct compile *c, const struct node *x);
const struct node *text_node(struct compile *c, const char *text);

#endif
