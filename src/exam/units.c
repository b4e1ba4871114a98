/*
 * units.c - amounts in other units.
 *
 * A case picks one of the pairs of units; its n are amounts. Mixed amounts are worked out in the small unit.
 */
#include "exam/words_impl.h"

#include <assert.h>
#include <string.h>

struct pair {
    const char *large, *small; /* plurals */
    int factor;
};
static const struct pair pairs[] = {
    { "hours", "minutes", 60 }, { "minutes", "seconds", 60 }, { "days", "hours", 24 },
    { "weeks", "days", 7 },     { "km", "meters", 1000 },     { "meters", "cm", 100 },
    { "cm", "mm", 10 },         { "kg", "grams", 1000 },      { "tons", "kg", 1000 },
    { "liters", "ml", 1000 },   { "feet", "inches", 12 },     { "yards", "feet", 3 },
    { "years", "months", 12 },  { "dollars", "cents", 100 },  { "gallons", "quarts", 4 },
    { "pounds", "ounces", 16 },
};
/* Two conversions in a row. */
static const struct {
    const char *large, *middle, *small;
    int first, second;
} chains[] = {
    { "days", "hours", "minutes", 24, 60 },    { "weeks", "days", "hours", 7, 24 },
    { "hours", "minutes", "seconds", 60, 60 }, { "km", "meters", "cm", 1000, 100 },
    { "meters", "cm", "mm", 100, 10 },         { "yards", "feet", "inches", 3, 12 },
    { "tons", "kg", "grams", 1000, 1000 },
};

static const char *const down_wordings[] = {
    "How many {1} are {0}?",
    "Convert {0} to {1}.",
    "How many {1} are there in {0}?",
    "Write {0} in {1}.",
    "What is {0} in {1}?",
    "Express {0} in {1}.",
    "{0} is how many {1}?",
    "Turn {0} into {1}.",
    "!Give {0} as a number of {1}.",
    "!To how many {1} do {0} come?",
};
static const char *const mixed_wordings[] = {
    "Write {0} in {1} and {2}.",   "Convert {0} to {1} and {2}.", "How many {1} and {2} are {0}?",
    "Express {0} as {1} and {2}.", "What is {0} in {1} and {2}?", "!Split {0} into {1} and {2}.",
};
static const char *const more_wordings[] = {
    "What is the difference between {0} and {1}, in {2}?",
    "How many {2} more are {0} than {1}?",
    "By how many {2} are {0} more than {1}?",
    "Subtract {1} from {0}. How many {2} are left?",
    "!{0} exceed {1} by how many {2}?",
};
static const char *const sum_wordings[] = {
    "Add {0} and {1}. Give the result in {2} and {3}.",
    "What is {0} plus {1}, in {2} and {3}?",
    "How many {2} and {3} are {0} and {1} together?",
    "One takes {0}, the other {1}. What is the sum in {2} and {3}?",
    "!Put {0} and {1} together: how many {2} and {3} is that?",
};
static const char *const speed_wordings[] = {
    "A car drives at {0} km per hour. How many meters is that per minute?",
    "A speed of {0} km per hour is how many meters per minute?",
    "Convert {0} km/h to meters per minute.",
    "At {0} km an hour, how many meters does one go in a minute?",
    "!Going {0} km in an hour, how many meters are covered each minute?",
};

static void draw_unit(struct rng *rng, int level, struct exam_case *c)
{
    int64_t *n = c->n;
    c->pick = (int)rng_below(rng, level == 5 ? ARRAY_LEN(chains) : ARRAY_LEN(pairs));
    int factor = level == 5 ? 0 : pairs[c->pick].factor;
    switch (level) {
    case 1: n[0] = rng_range(rng, 2, 60); break;
    case 2: n[0] = factor * rng_range(rng, 2, 60); break;
    case 3:
    case 4:
        n[0] = rng_range(rng, 1, 40);
        n[1] = rng_range(rng, 1, factor - 1);
        break;
    case 5: n[0] = rng_range(rng, 2, 40); break;
    case 6:
        n[0] = rng_range(rng, 2, 60);
        n[1] = rng_range(rng, 1, n[0] * factor - 1);
        break;
    case 7: n[0] = 3 * rng_range(rng, 1, 80); break;
    default:
        n[0] = rng_range(rng, 1, 40);
        n[1] = rng_range(rng, 1, factor - 1);
        n[2] = rng_range(rng, 1, 40);
        n[3] = rng_range(rng, 1, factor - 1);
        break;
    }
    if (level == 7)
        c->pick = 0;
    c->few = level <= 2 || level == 7;
    c->key = case_key("unit", n, 4) + (uint64_t)(level * 64 + c->pick);
}

static void put_amount(struct buf *out, int64_t n, const char *unit)
{
    size_t len = strlen(unit);
    if (n == 1 && strcmp(unit, "feet") == 0)
        unit = "foot", len = 4;
    else if (n == 1 && strcmp(unit, "inches") == 0)
        len = 4;
    else if (n == 1 && len > 2 && unit[len - 1] == 's')
        len--;
    buf_printf(out, "%lld %.*s", (long long)n, (int)len, unit);
}

static void put_two(struct buf *out, int64_t large, int64_t small, const struct pair *p)
{
    put_amount(out, large, p->large);
    buf_puts(out, " and ");
    put_amount(out, small, p->small);
}

static bool ask_unit(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    const struct pair *p = &pairs[c->pick % (int)ARRAY_LEN(pairs)];
    const int64_t *n = c->n;
    struct buf parts[4] = { 0 };
    struct wordings list = WORDINGS(down_wordings);
    bool held;
    switch (c->level) {
    case 1:
        put_amount(&parts[0], n[0], p->large);
        buf_puts(&parts[1], p->small);
        break;
    case 2:
        put_amount(&parts[0], n[0], p->small);
        buf_puts(&parts[1], p->large);
        break;
    case 3:
        put_two(&parts[0], n[0], n[1], p);
        buf_puts(&parts[1], p->small);
        break;
    case 4:
        list = WORDINGS(mixed_wordings);
        put_amount(&parts[0], n[0] * p->factor + n[1], p->small);
        buf_puts(&parts[1], p->large);
        buf_puts(&parts[2], p->small);
        break;
    case 5:
        put_amount(&parts[0], n[0], chains[c->pick].large);
        buf_puts(&parts[1], chains[c->pick].small);
        break;
    case 6:
        list = WORDINGS(more_wordings);
        put_amount(&parts[0], n[0], p->large);
        put_amount(&parts[1], n[1], p->small);
        buf_puts(&parts[2], p->small);
        break;
    case 7:
        list = WORDINGS(speed_wordings);
        buf_printf(&parts[0], "%lld", (long long)n[0]);
        break;
    default:
        list = WORDINGS(sum_wordings);
        put_two(&parts[0], n[0], n[1], p);
        put_two(&parts[1], n[2], n[3], p);
        buf_puts(&parts[2], p->large);
        buf_puts(&parts[3], p->small);
        break;
    }
    put_parts(t->question, wording_pick(t->rng, list, withheld, &held), parts);
    text_tidy(t->question);
    for (int i = 0; i < 4; i++)
        buf_free(&parts[i]);
    return held;
}

static void answer_two(struct exam_text *t, int64_t large, int64_t small, const struct pair *p)
{
    put_two(t->answer, large, small, p);
    buf_printf(t->visible, "Answer: %s", t->answer->ptr);
}

/* A product or quotient with its working, and at high effort its check. */
static int64_t put_conversion(struct exam_text *t, int64_t n, char op, int64_t factor)
{
    bool plain = factor == 10 || factor == 100 || factor == 1000; /* only zeros come or go */
    int64_t value =
        plain ? put_op(t, t->trace, NULL, n, op, factor) : steps_apply(t, t->trace, op, n, factor);
    buf_printf(t->recheck, "%lld%c%lld=%lld\n", (long long)value, op == '*' ? '/' : '*', (long long)factor,
               (long long)n);
    return value;
}

static void solve_mixed_up(struct exam_text *t, const struct pair *p, int64_t total)
{
    int64_t large = total / p->factor, small = total % p->factor;
    buf_printf(t->trace, "%lld=%lld*%d+%lld\n", (long long)total, (long long)large, p->factor,
               (long long)small);
    buf_printf(t->recheck, "%lld*%d=%lld\n", (long long)large, p->factor, (long long)(large * p->factor));
    put_op(t, t->recheck, NULL, large * p->factor, '+', small);
    answer_two(t, large, small, p);
}

static void solve_sum(const struct exam_case *c, struct exam_text *t, const struct pair *p)
{
    int64_t small = put_op(t, t->trace, p->small, c->n[1], '+', c->n[3]),
            large = put_op(t, t->trace, p->large, c->n[0], '+', c->n[2]);
    int64_t total = large * p->factor + small;
    if (small >= p->factor) {
        small = put_op(t, t->trace, "over", small, '-', p->factor);
        large = put_op(t, t->trace, p->large, large, '+', 1);
    }
    int64_t a = put_op(t, t->recheck, NULL, c->n[0], '*', p->factor),
            b = put_op(t, t->recheck, NULL, c->n[2], '*', p->factor);
    a = put_op(t, t->recheck, NULL, a, '+', c->n[1]);
    b = put_op(t, t->recheck, NULL, b, '+', c->n[3]);
    put_op(t, t->recheck, NULL, a, '+', b);
    buf_printf(t->recheck, "%lld=%lld*%d+%lld\n", (long long)total, (long long)large, p->factor,
               (long long)small);
    answer_two(t, large, small, p);
}

static void solve_unit(const struct exam_case *c, struct exam_text *t)
{
    const struct pair *p = &pairs[c->pick % (int)ARRAY_LEN(pairs)];
    const int64_t *n = c->n;
    int64_t value;
    if (t->effort > EXAM_LOW) {
        if (c->level == 5)
            buf_printf(t->trace, "1 of %s: %d %s\n1 of %s: %d %s\n", chains[c->pick].large,
                       chains[c->pick].first, chains[c->pick].middle, chains[c->pick].middle,
                       chains[c->pick].second, chains[c->pick].small);
        else if (c->level != 7)
            buf_printf(t->trace, "1 of %s: %d %s\n", p->large, p->factor, p->small);
        else
            buf_puts(t->trace, "1 km: 1000 meters\n1 hour: 60 minutes\n");
    }
    buf_puts(t->recheck, "check\n");
    switch (c->level) {
    case 1: answer_int(t, put_conversion(t, n[0], '*', p->factor)); break;
    case 2: answer_int(t, put_conversion(t, n[0], '/', p->factor)); break;
    case 3:
        value = put_conversion(t, n[0], '*', p->factor);
        answer_int(t, put_op(t, t->trace, NULL, value, '+', n[1]));
        put_op(t, t->recheck, NULL, value + n[1], '-', n[1]);
        break;
    case 4: solve_mixed_up(t, p, n[0] * p->factor + n[1]); break;
    case 5:
        value = put_conversion(t, n[0], '*', chains[c->pick].first);
        answer_int(t, put_conversion(t, value, '*', chains[c->pick].second));
        break;
    case 6:
        value = put_conversion(t, n[0], '*', p->factor);
        steps_apply(t, t->trace, '-', value, n[1]);
        put_op(t, t->recheck, NULL, value - n[1], '+', n[1]);
        answer_int(t, value - n[1]);
        break;
    case 7:
        value = put_conversion(t, n[0], '*', 1000);
        answer_int(t, put_conversion(t, value, '/', 60));
        break;
    default: solve_sum(c, t, p); break;
    }
    if (t->effort == EXAM_XHIGH)
        buf_printf(t->recheck, "again: %s\n", t->answer->ptr);
    buf_puts(t->recheck, "ok\n");
}

const char *unit_asked(const struct exam_case *c)
{
    assert(c->level == 1 || c->level == 3);
    return pairs[c->pick].small;
}

const struct exam_family family_unit = {
    .name = "unit",
    .what = "units: 1-2 one step, 3-4 mixed, 5 two steps, 6 differences, 7 speeds, 8 mixed sums",
    .levels = 8,
    .draw = draw_unit,
    .ask = ask_unit,
    .solve = solve_unit,
    .check = check_numbers,
};
