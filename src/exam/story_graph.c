/*
 * story_graph.c - stories in which quantities are told by comparison with one another, in any order.
 *
 * The first entity has a number; each further one has more, fewer, times as many, a part of an earlier one's, as many as
 * two together, or a number of its own. Asked for is the last of a chain, two of them together, their difference, or all.
 * Every step is needed for the answer; now and then an entity that is not is told as well. The idea of a graph of
 * quantities is that of iGSM (Ye et al., "Physics of Language Models 2.1", 2024).
 *
 * A part's clause holds the relation, its first operand and its second; its who is the entity itself.
 */
#include "exam/story_impl.h"

#include <assert.h>

#define ENTITIES_MAX 10

enum relation { OWN, MORE, FEWER, TIMES, HALF, PART, BOTH, RELATIONS };
enum question { VALUE, SUM, DIFFERENCE, TOTAL, QUESTIONS };

/* What is compared. Texts in which "|" separates paraphrases; BOTH is told in two pieces. */
struct domain {
    bool withheld, days; /* the entities are days, seven at most, and not people */
    int64_t max;         /* of any quantity; 0: no bound */
    const char *label;
    const char *relations[RELATIONS][4];
    const char *both_end;
    const char *questions[QUESTIONS][3]; /* {M} and {K}, {D} and {E} are what is asked for */
};

static const struct domain domains[] = {
    { false,
      false,
      0,
      "{o} of {M}",
      { { "{M} [has|had] {a} {o}.", "{M} [owns|owned] {a} {o}.", "There [are|were] {a} {o} in {M}'s {box}." },
        { "{M} [has|had] {a} more {o} than {K}.", "{M} [has|had] {a} {o} more than {K}.",
          "Compared to {K}, {M} [has|had] {a} more {o}.", "{K} [has|had] {a} fewer {o} than {M}." },
        { "{M} [has|had] {a} fewer {o} than {K}.", "{M} [has|had] {a} {o} less than {K}.",
          "{K} [has|had] {a} more {o} than {M}." },
        { "{M} [has|had] {xa} as many {o} as {K}.",
          "{M} [has|had] {xa} the number of {o} that {K} [has|had]." },
        { "{M} [has|had] half as many {o} as {K}.",
          "{M} [has|had] half the number of {o} that {K} [has|had].",
          "{K} [has|had] twice as many {o} as {M}." },
        { "{M} [has|had] {fa} as many {o} as {K}.",
          "{M} [has|had] {fa} of the number of {o} that {K} [has|had]." },
        { "{M} [has|had] as many {o} as {K}" } },
      " and {M} together.",
      { { "How many {o} [does|did] {M} have?", "What [is|was] the number of {o} that {M} [has|had]?" },
        { "How many {o} [do|did] {M} and {K} have together?",
          "How many {o} [do|did] {M} and {K} have in total?" },
        { "How many more {o} [does|did] {M} have than {K}?", "By how many {o} [does|did] {M} beat {K}?" },
        { "How many {o} [do|did] they have altogether?", "How many {o} [do|did] all of them have?",
          "What [is|was] the total number of {o}?" } } },
    { false,
      false,
      0,
      "{o} of {M}",
      { { "{M} sold {a} {o}.", "{M} managed to sell {a} {o}." },
        { "{M} sold {a} more {o} than {K}.", "{M} sold {a} {o} more than {K} did." },
        { "{M} sold {a} fewer {o} than {K}.", "{K} sold {a} more {o} than {M}." },
        { "{M} sold {xa} as many {o} as {K}.", "{M} sold {xa} as many {o} as {K} did." },
        { "{M} sold half as many {o} as {K}.", "{K} sold twice as many {o} as {M}." },
        { "{M} sold {fa} as many {o} as {K}." },
        { "{M} sold as many {o} as {K}" } },
      " and {M} together.",
      { { "How many {o} did {M} sell?" },
        { "How many {o} did {M} and {K} sell together?", "How many {o} did {M} and {K} sell in all?" },
        { "How many more {o} did {M} sell than {K}?" },
        { "How many {o} were sold altogether?", "How many {o} did they all sell?" } } },
    { false,
      false,
      0,
      "{o} of {M}",
      { { "{M} picked {a} {o}.", "{M} found {a} {o}." },
        { "{M} found {a} more {o} than {K}.", "{M} found {a} {o} more than {K}." },
        { "{M} found {a} fewer {o} than {K}.", "{M} found {a} less {o} than {K}." },
        { "{M} found {xa} as many {o} as {K}.", "{M} found {xa} as many as {K}." },
        { "{M} found half as many {o} as {K}.", "{M} found only half as many as {K}." },
        { "{M} found {fa} as many {o} as {K}." },
        { "{M} found as many {o} as {K}" } },
      " and {M} put together.",
      { { "How many {o} did {M} find?" },
        { "How many {o} did {M} and {K} find in total?" },
        { "How many more {o} than {K} did {M} find?" },
        { "How many {o} did they find in all?", "How many {o} did the friends find together?" } } },
    { false,
      true,
      0,
      "{o} on {D}",
      { { "On {D}, {N} [makes|made] {a} {o}.", "{N} [makes|made] {a} {o} on {D}." },
        { "On {D}, {N} [makes|made] {a} more {o} than on {E}.",
          "{N} [makes|made] {a} {o} more on {D} than on {E}." },
        { "On {D}, {N} [makes|made] {a} fewer {o} than on {E}.",
          "{N} [makes|made] {a} fewer {o} on {D} than on {E}." },
        { "On {D}, {N} [makes|made] {xa} as many {o} as on {E}." },
        { "On {D}, {N} [makes|made] half as many {o} as on {E}.",
          "{N} [makes|made] half as many {o} on {D} as on {E}." },
        { "On {D}, {N} [makes|made] {fa} as many {o} as on {E}." },
        { "On {D}, {N} [makes|made] as many {o} as on {E}" } },
      " and {D} together.",
      { { "How many {o} [does|did] {N} make on {D}?" },
        { "How many {o} [does|did] {N} make on {D} and {E} together?" },
        { "How many more {o} [does|did] {N} make on {D} than on {E}?" },
        { "How many {o} [does|did] {N} make on all these days?",
          "How many {o} [does|did] {N} make in total?" } } },
    { false,
      true,
      0,
      "{o} on {D}",
      { { "On {D}, the {shop} sold {a} {o}.", "The {shop} sold {a} {o} on {D}." },
        { "On {D}, the {shop} sold {a} more {o} than on {E}.",
          "{D}'s sales were {a} {o} higher than {E}'s." },
        { "On {D}, the {shop} sold {a} fewer {o} than on {E}.",
          "{D}'s sales were {a} {o} lower than {E}'s." },
        { "On {D}, the {shop} sold {xa} as many {o} as on {E}." },
        { "On {D}, the {shop} sold half as many {o} as on {E}." },
        { "On {D}, the {shop} sold {fa} as many {o} as on {E}." },
        { "On {D}, the {shop} sold as many {o} as on {E}" } },
      " and {D} together.",
      { { "How many {o} were sold on {D}?", "How many {o} did the {shop} sell on {D}?" },
        { "How many {o} were sold on {D} and {E} together?" },
        { "How many more {o} were sold on {D} than on {E}?" },
        { "How many {o} did the {shop} sell in total?",
          "How many {o} were sold on these days altogether?" } } },
    { false,
      false,
      0,
      "{u} of {M}",
      { { "{M} [has|had] {$a}.", "{M} [has|had] saved {$a}." },
        { "{M} [has|had] {$a} more than {K}.", "{K} [has|had] {$a} less than {M}." },
        { "{M} [has|had] {$a} less than {K}.", "{K} [has|had] {$a} more than {M}." },
        { "{M} [has|had] {xa} as much money as {K}.", "{M} [has|had] {xa} as much as {K}." },
        { "{M} [has|had] half as much money as {K}.", "{K} [has|had] twice as much money as {M}." },
        { "{M} [has|had] {fa} of {K}'s money." },
        { "{M} [has|had] as much money as {K}" } },
      " and {M} together.",
      { { "How many {u} [does|did] {M} have?", "How much money [does|did] {M} have?" },
        { "How many {u} [do|did] {M} and {K} have together?" },
        { "How many {u} more than {K} [does|did] {M} have?" },
        { "How much money [do|did] they have in total?",
          "How many {u} [do|did] they all have together?" } } },
    { false,
      false,
      99,
      "age of {M}",
      { { "{M} is {a} years old.", "{M} is {a}." },
        { "{M} is {a} years older than {K}.", "{K} is {a} years younger than {M}." },
        { "{M} is {a} years younger than {K}.", "{K} is {a} years older than {M}." },
        { "{M} is {xa} as old as {K}." },
        { "{M} is half as old as {K}.", "{M} is half {K}'s age." },
        { "{M}'s age is {fa} of {K}'s." },
        { "{M} is as old as {K}" } },
      " and {M} together.",
      { { "How old is {M}?", "What is {M}'s age?" },
        { "What is the sum of {M}'s and {K}'s ages?", "How old are {M} and {K} together?" },
        { "How many years older is {M} than {K}?" },
        { "What is the sum of all their ages?", "How old are they all together?" } } },
    { false,
      false,
      0,
      "points of {M}",
      { { "{M} scored {a} points.", "{M} got {a} points in the game." },
        { "{M} scored {a} more points than {K}.", "{M} beat {K} by {a} points." },
        { "{M} scored {a} fewer points than {K}.", "{M} was {a} points behind {K}." },
        { "{M} scored {xa} as many points as {K}." },
        { "{M} scored half as many points as {K}.", "{M} scored half of {K}'s points." },
        { "{M} scored {fa} of {K}'s points." },
        { "{M} scored as many points as {K}" } },
      " and {M} together.",
      { { "How many points did {M} score?", "What was {M}'s score?" },
        { "How many points did {M} and {K} score together?" },
        { "By how many points did {M} beat {K}?" },
        { "How many points did they score in total?", "How many points did the team score?" } } },
    { true,
      false,
      90,
      "kg of {M}",
      { { "{M}'s bag weighs {a} kg." },
        { "{M}'s bag is {a} kg heavier than {K}'s." },
        { "{M}'s bag is {a} kg lighter than {K}'s." },
        { "{M}'s bag is {xa} as heavy as {K}'s." },
        { "{M}'s bag is half as heavy as {K}'s." },
        { "{M}'s bag weighs {fa} of what {K}'s does." },
        { "{M}'s bag is as heavy as that of {K}" } },
      " and that of {M} together.",
      { { "How many kg does {M}'s bag weigh?" },
        { "How many kg do the bags of {M} and {K} weigh together?" },
        { "How many kg more than {K}'s bag does {M}'s weigh?" },
        { "How many kg do all the bags weigh together?" } } },
    { true,
      true,
      0,
      "km on {D}",
      { { "{N} cycled {a} km on {D}." },
        { "The ride on {D} was {a} km longer than that on {E}." },
        { "The ride on {D} was {a} km shorter than that on {E}." },
        { "The ride on {D} was {xa} as long as that on {E}." },
        { "The ride on {D} was half as long as that on {E}." },
        { "The ride on {D} was {fa} as long as that on {E}." },
        { "The ride on {D} was as long as that on {E}" } },
      " and that on {D} together.",
      { { "How many km did {N} cycle on {D}?" },
        { "How many km did {N} cycle on {D} and {E}?" },
        { "How many km longer was the ride on {D} than that on {E}?" },
        { "How many km did {N} cycle in all?" } } },
};

/* --- drawing ------------------------------------------------------------------------------------------------------------- */

/* While a graph is built: where each entity's quantity is. */
struct builder {
    struct rng *rng;
    struct story *s;
    const struct domain *domain;
    int operands[ENTITIES_MAX];
    int len;
};

static struct story_part *new_part(struct builder *b, enum relation relation, int from, int second)
{
    struct story_part *p = &b->s->parts[b->s->parts_len++];
    *p = (struct story_part){ (short)(((int)relation * 16 + from) * 16 + second), (unsigned char)b->s->n_len,
                              (signed char)b->len, (signed char)from };
    return p;
}

static bool add_own(struct builder *b)
{
    static const char *const sizes[] = { "m", "m", "s", "e", "l" };
    struct story_part *p = new_part(b, OWN, 0, 0);
    if (!story_draw_sizes(b->rng, b->s, sizes[rng_below(b->rng, ARRAY_LEN(sizes))], 0))
        return false;
    b->operands[b->len++] = p->number;
    return true;
}

static bool add_both(struct builder *b, int from)
{
    int second = (int)rng_below(b->rng, (uint64_t)b->len);
    if (second == from)
        return false;
    struct story_part *p = new_part(b, BOTH, from, second);
    if (!story_compute(b->s, '+', b->operands[from], b->operands[second], b->domain->label, p))
        return false;
    b->operands[b->len++] = -b->s->steps_len;
    return true;
}

/* A further entity by its relation to an earlier one: one step. */
static bool add_related(struct builder *b, int from)
{
    static const struct {
        enum relation relation;
        char op;
        const char *size;
        int64_t fixed;
    } kinds[] = {
        { MORE, '+', "m", 0 },  { MORE, '+', "s", 0 }, { FEWER, '-', "p", 0 }, { FEWER, '-', "p", 0 },
        { TIMES, '*', "q", 0 }, { HALF, '/', "", 2 },  { PART, '/', "k", 0 },  { BOTH, '+', "", 0 },
    };
    size_t kind = (size_t)rng_below(b->rng, ARRAY_LEN(kinds));
    int64_t base = story_value(b->s, b->operands[from]);
    int number = b->s->n_len;
    if (kinds[kind].relation == BOTH)
        return add_both(b, from);
    struct story_part *p = new_part(b, kinds[kind].relation, from, 0);
    if (kinds[kind].fixed ? !story_number(b->s, kinds[kind].fixed, &number)
                          : !story_draw_sizes(b->rng, b->s, kinds[kind].size, base))
        return false;
    if (kinds[kind].relation == PART && b->s->n[number] == 2)
        return false; /* that is HALF's */
    if (!story_compute(b->s, kinds[kind].op, b->operands[from], number, b->domain->label, p))
        return false;
    b->operands[b->len++] = -b->s->steps_len;
    return true;
}

/* Is the difference of the two told as it is? */
static bool is_told(const struct builder *b, int one, int two)
{
    const struct story_part *p = &b->s->parts[one];
    int relation = p->clause / 256;
    return p->other == two && (relation == MORE || relation == FEWER);
}

static bool ask_pair(struct builder *b, enum question q, int one, int two)
{
    if (q == DIFFERENCE && (is_told(b, one, two) || is_told(b, two, one)))
        return false;
    if (story_value(b->s, b->operands[one]) < story_value(b->s, b->operands[two])) {
        int swap = one;
        one = two;
        two = swap;
    }
    struct story_part p = { 0, 0, (signed char)one, (signed char)two };
    b->s->parts[b->s->parts_len++] = p;
    if (q == SUM)
        return story_compute(b->s, '+', b->operands[one], b->operands[two], "both together", &p);
    return story_compute(b->s, '-', b->operands[one], b->operands[two], "difference", &p);
}

static bool ask_total(struct builder *b)
{
    struct story_part p = { 0 };
    int sum = b->operands[0];
    b->s->parts[b->s->parts_len++] = p;
    for (int i = 1; i < b->len; i++) {
        if (!story_compute(b->s, '+', sum, b->operands[i], i + 1 < b->len ? "so far" : "all together", &p))
            return false;
        sum = -b->s->steps_len;
    }
    return true;
}

/* A chain of as many relations, each from the entity before it. */
static bool add_chain(struct builder *b, int relations)
{
    if (relations + 1 > (b->domain->days ? 7 : ENTITIES_MAX) || !add_own(b))
        return false;
    for (int i = 0; i < relations; i++) {
        if (i && rng_below(b->rng, 8) == 0 && b->len + relations - i < (b->domain->days ? 7 : ENTITIES_MAX)) {
            int last = b->operands[b->len - 1], at = b->len - 1;
            if (!add_own(b)) /* another one with a number of its own, as a second operand */
                return false;
            struct story_part *p = new_part(b, BOTH, at, b->len - 1);
            if (!story_compute(b->s, '+', last, b->operands[b->len - 1], b->domain->label, p))
                return false;
            b->operands[b->len++] = -b->s->steps_len;
            continue;
        }
        if (!add_related(b, b->len - 1))
            return false;
    }
    return true;
}

/* All together: entities - 1 sums, the other steps are relations; the rest have numbers of their own. */
static bool add_for_total(struct builder *b, int steps)
{
    int most = b->domain->days ? 7 : 8, least = 2 + (steps - 1) / 2;
    if (least > most)
        return false;
    if (most > steps + 1)
        most = steps + 1;
    int entities = (int)rng_range(b->rng, least, most), relations = steps - (entities - 1);
    if (!add_own(b))
        return false;
    while (b->len < entities) {
        bool related = (int)rng_below(b->rng, (uint64_t)(entities - b->len)) < relations;
        if (!(related ? add_related(b, (int)rng_below(b->rng, (uint64_t)b->len)) : add_own(b)))
            return false;
        relations -= related;
    }
    return ask_total(b);
}

static bool in_bounds(const struct builder *b)
{
    for (int i = 0; i < b->len; i++)
        if (b->domain->max && story_value(b->s, b->operands[i]) > b->domain->max)
            return false;
    return true;
}

static bool draw_graph(struct rng *rng, struct story *s, int steps, bool withheld)
{
    int pick = (int)rng_below(rng, ARRAY_LEN(domains));
    enum question q = (enum question)rng_below(rng, QUESTIONS);
    struct builder b = { .rng = rng, .s = s, .domain = &domains[pick] };
    if (b.domain->withheld != withheld)
        return false;
    s->withheld = withheld;
    s->shape = pick * QUESTIONS + (int)q;
    switch (q) {
    case VALUE: {
        struct story_part p = { 0 };
        if (!add_chain(&b, steps))
            return false;
        p.who = (signed char)(b.len - 1);
        s->parts[s->parts_len++] = p;
        return in_bounds(&b);
    }
    case TOTAL: return add_for_total(&b, steps) && in_bounds(&b);
    default:
        if (!add_chain(&b, steps - 1) || b.len < 2)
            return false;
        return ask_pair(&b, q, b.len - 1, (int)rng_below(rng, (uint64_t)b.len - 1)) && in_bounds(&b);
    }
}

/* --- telling --------------------------------------------------------------------------------------------------------------- */

static const char *pick_of(struct rng *rng, const char *const *texts, int max)
{
    int count = 0;
    while (count < max && texts[count])
        count++;
    return texts[rng_below(rng, (uint64_t)count)];
}

static void tell_entity(const struct story *s, struct rng *rng, const struct domain *d,
                        const struct story_part *part, struct buf *facts)
{
    int relation = part->clause / 256;
    story_say(s, rng, part, facts, pick_of(rng, d->relations[relation], 4));
    if (relation == BOTH) {
        struct story_part second = { .who = (signed char)(part->clause % 16), .number = part->number };
        story_say(s, rng, &second, facts, d->both_end);
    }
    buf_putc(facts, '\n');
}

static void tell_graph(const struct story *s, struct rng *rng, struct buf *facts, struct buf *ask)
{
    const struct domain *d = &domains[s->shape / QUESTIONS];
    int order[ENTITIES_MAX], count = s->parts_len - 1;
    assert(count <= ENTITIES_MAX);
    bool shuffled = rng_below(rng, 2);
    if (shuffled)
        shuffle(rng, order, count);
    for (int i = 0; i < count; i++)
        tell_entity(s, rng, d, &s->parts[shuffled ? order[i] : i], facts);
    story_say(s, rng, &s->parts[count], ask, pick_of(rng, d->questions[s->shape % QUESTIONS], 3));
}

const struct story_genre story_graph = { "graph", 1, 9, 6, draw_graph, tell_graph };
