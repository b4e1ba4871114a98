/*
 * story.c - word problems: draws a story of so many steps, tells it, works it out; and the families that ask for them.
 *
 * The level is the number of steps. Working names what each line computes ("eggs left: 16-3=13"), because what a
 * number stands for is what is easily lost. One template in seven is withheld: "story-new" asks with at least one
 * of those, "story-names" with withheld names and things, "story-aside" with facts that do not matter, "story-long"
 * with more steps than training ever shows.
 *
 * A new clause is a row of its table: kind, numbers, plan, labels, wordings in two tenses. The tests follow its lines and
 * read its English.
 */
#include "exam/story_impl.h"

#include <assert.h>
#include <string.h>

#define DRAWS_MAX      100000
#define ONE_LINE_STEPS 4 /* so many steps at most are written as one expression */

static const struct story_genre *const genres[] = { &story_chain, &story_graph, &story_fixed };

/* --- the graph --------------------------------------------------------------------------------------------------- */

int64_t story_value(const struct story *s, int operand)
{
    return operand >= 0 ? s->n[operand] : s->steps[-1 - operand].value;
}

bool story_number(struct story *s, int64_t value, int *index)
{
    if (value < 1 || value > STORY_VALUE_MAX || s->n_len == STORY_NUMBERS_MAX)
        return false;
    *index = s->n_len;
    s->n[s->n_len++] = value;
    return true;
}

bool story_compute(struct story *s, char op, int left, int right, const char *label,
                   const struct story_part *part)
{
    int64_t a = story_value(s, left), b = story_value(s, right);
    if (s->steps_len == STORY_STEPS_MAX || (op == '/' && a % b != 0))
        return false;
    int64_t value = apply_op(op, a, b);
    if (value < 1 || value > STORY_VALUE_MAX)
        return false;
    s->steps[s->steps_len++] = (struct story_step){ .label = label,
                                                    .value = value,
                                                    .left = (signed char)left,
                                                    .right = (signed char)right,
                                                    .who = part->who,
                                                    .other = part->other,
                                                    .number = part->number,
                                                    .op = op };
    return true;
}

static int64_t constant(char name)
{
    static const struct {
        char name;
        int value;
    } list[] = { { 'x', 2 }, { 'y', 3 },  { 'z', 4 },  { 'w', 10 },  { 'D', 12 },
                 { 'W', 7 }, { 'T', 24 }, { 'H', 60 }, { 'C', 100 }, { 'K', 1000 } };
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        if (list[i].name == name)
            return list[i].value;
    return 0;
}

static bool plan_operand(struct story *s, char name, const struct story_part *part, int running, int first,
                         int *out)
{
    if (name >= 'a' && name <= 'h')
        *out = part->number + (name - 'a');
    else if (name == '$')
        *out = running;
    else if (name >= '1' && name <= '9')
        *out = -1 - (first + (name - '1'));
    else
        return story_number(s, constant(name), out);
    return true;
}

int story_plan_steps(const char *plan)
{
    return (int)((strlen(plan) + 1) / 4);
}

bool story_plan(struct story *s, const char *plan, const char *labels, const struct story_part *part,
                int *running)
{
    int first = s->steps_len, left, right;
    for (int i = 0; i < story_plan_steps(plan); i++) {
        const char *p = plan + 4 * i, *label = part_at(labels, i);
        assert(label);
        if (!plan_operand(s, p[0], part, *running, first, &left) ||
            !plan_operand(s, p[2], part, *running, first, &right) ||
            !story_compute(s, p[1], left, right, label, part))
            return false;
    }
    if (*plan)
        *running = -s->steps_len;
    return true;
}

/* A divisor of value from 2 to 12, or up to 25 for larger values; 0 if it has none. */
static int64_t divisor(struct rng *rng, int64_t value)
{
    int64_t found = 0;
    int count = 0;
    for (int64_t d = 2; d <= (value > 100 ? 25 : 12) && d < value; d++)
        if (value % d == 0 && rng_below(rng, (uint64_t)++count) == 0)
            found = d;
    return found;
}

/* s 2-12, m 3-60, l 20-400, q 2-5, r a price, u a price that ends in 0 or 5, e even; by $: p below it, g above it,
 * d a divisor, k a divisor up to 10, t one with which it makes whole sixties, n a percentage of it that is whole. */
static int64_t draw_size(struct rng *rng, char size, int64_t value, bool big)
{
    switch (size) {
    case 's': return rng_range(rng, 2, big ? 25 : 12);
    case 'm': return big ? rng_range(rng, 15, 600) : rng_range(rng, 3, 60);
    case 'l': return big ? rng_range(rng, 100, 3000) : rng_range(rng, 20, 400);
    case 'q': return rng_range(rng, 2, 5);
    case 'r': return rng_range(rng, 2, big ? 90 : 30);
    case 'u': return 5 * rng_range(rng, 1, big ? 60 : 20);
    case 'e': return 2 * rng_range(rng, 2, big ? 200 : 40);
    case 'p': return value > 2 ? rng_range(rng, 1 + value / 20, value - 1) : 0;
    case 'g': return value + rng_range(rng, 1, value < 20 ? 20 : value);
    case 'd': return divisor(rng, value);
    case 'k': {
        int64_t d = divisor(rng, value);
        return d <= 10 ? d : 0;
    }
    case 't': {
        int64_t t = 5 * rng_range(rng, 1, 12);
        return value * t % 60 == 0 ? t : 0;
    }
    default: {
        static const char percents[] = { 10, 20, 25, 30, 40, 50, 60, 75, 80 };
        int64_t n = percents[rng_below(rng, sizeof percents)];
        return value * n % 100 == 0 ? n : 0;
    }
    }
}

bool story_draw_sizes(struct rng *rng, struct story *s, const char *sizes, int64_t value)
{
    int index;
    for (; *sizes; sizes++)
        if (!story_number(s, draw_size(rng, *sizes, value, s->big), &index))
            return false;
    return true;
}

void story_say(const struct story *s, struct rng *rng, const struct story_part *part, struct buf *out,
               const char *text)
{
    struct phrase p = { rng, &s->cast, s->n + part->number, part->who, part->other, false };
    phrase_put(out, &p, text);
}

/* --- drawing ------------------------------------------------------------------------------------------------------- */

enum pool { POOL_KNOWN, POOL_NEW, POOL_NAMES, POOL_ASIDE };

static const struct story_genre *pick_genre(struct rng *rng, int steps, int *index)
{
    for (;;) {
        *index = (int)rng_below(rng, ARRAY_LEN(genres));
        const struct story_genre *g = genres[*index];
        if (steps >= g->steps_min && steps <= g->steps_max && (int)rng_below(rng, 10) < g->weight)
            return g;
    }
}

static uint64_t story_key(const struct story *s)
{
    int64_t plan[2 * STORY_PARTS_MAX + STORY_NUMBERS_MAX + 1];
    size_t len = 0;
    plan[len++] = s->genre * 64 + s->shape;
    for (int i = 0; i < s->parts_len; i++)
        plan[len++] = s->parts[i].clause;
    for (int i = 0; i < s->n_len; i++)
        plan[len++] = s->n[i];
    return case_key("story", plan, len);
}

static void draw_story_of(struct rng *rng, int steps, struct exam_case *c, enum pool pool)
{
    struct story s;
    int tries = 0;
    bool good = false;
    memset(&s, 0, sizeof s);
    cast_draw(rng, &s.cast, pool == POOL_NAMES);
    struct cast cast = s.cast;
    while (!good) {
        int genre;
        const struct story_genre *g = pick_genre(rng, steps, &genre);
        memset(&s, 0, sizeof s);
        s.genre = genre;
        s.cast = cast;
        s.big = rng_below(rng, steps <= 3 ? 4 : 12) == 0;
        good = g->draw(rng, &s, steps, pool == POOL_NEW) && s.steps_len == steps &&
               s.withheld == (pool == POOL_NEW);
        tries++;
        assert(tries < DRAWS_MAX);
    }
    case_keep(c, &s, sizeof s);
    c->pick = pool;
    c->key = story_key(&s);
    c->few = pool == POOL_NEW;
}

/* --- telling ------------------------------------------------------------------------------------------------------- */

/* Facts that change nothing. '<': only before the story begins, since pronouns behind it would go astray. */
static const char *const asides[] = {
    "{N} is {a} years old.",
    "It [is|was] a sunny day.",
    "<{M} has {a} cousins.",
    "The {shop} opens at {a} o'clock.",
    "{N} lives at number {a}.",
    "It [is|was] {a} degrees outside.",
    "{N} [wears|wore] a blue hat.",
    "<{M} is {a} years old.",
    "<{M} walks {a} minutes to school.",
    "There [are|were] {a} chairs in the room.",
    "The bus to town [comes|came] every {a} minutes.",
    "{N} has {a} pets at home.",
    "<{K} likes {q} more than {o}.",
    "The town has {a} streets.",
    "<{N} and {M} have known each other for {a} years.",
    "The radio [plays|played] {a} songs.",
    "{N}'s house has {a} windows.",
    "<Yesterday {K} wrote {a} letters.",
    "The {kin} of {N} [drinks|drank] {a} cups of tea.",
    "{N} once had {a} {q}, but that [is|was] long ago.",
    "The clock on the wall [shows|showed] {a} o'clock.",
    "<{M}'s {kin} owns {a} {q}.",
    "The weather report [speaks|spoke] of {a} days of rain.",
    "!{N} is {a} feet away from the door.",
    "!<{M} has read {a} books about {q}.",
    "!The parking lot [has|had] {a} places.",
    "!{N}'s favorite number is {a}.",
    "!<{K} keeps {a} {q} in the cellar.",
    "!Outside, {a} birds [sit|sat] on a fence.",
};

static void put_aside(const struct story *s, struct rng *rng, bool held, struct buf *out, bool *first_only)
{
    const int64_t n[] = { rng_range(rng, 3, 11) };
    struct phrase p = { rng, &s->cast, n, CAST_PEOPLE - 1, CAST_PEOPLE - 2, false };
    const char *text = LIST_PICK(rng, asides, held);
    *first_only = *text == '<';
    phrase_put(out, &p, text + *first_only);
    buf_putc(out, '\n');
}

static int lines_in(const struct buf *b)
{
    int count = 0;
    for (size_t i = 0; i < b->len; i++)
        count += b->ptr[i] == '\n';
    return count;
}

/* The facts with the aside before fact number at, as sentences of one paragraph. */
static void join(struct buf *out, const struct buf *facts, const struct buf *aside, int at)
{
    int line = 0;
    bool begin = true;
    for (size_t i = 0; i < facts->len; i++) {
        if (begin && line == at)
            buf_put_str(out, buf_str(aside));
        begin = facts->ptr[i] == '\n';
        line += begin;
        buf_putc(out, facts->ptr[i]);
    }
    for (size_t i = 0; i < out->len; i++)
        if (out->ptr[i] == '\n')
            out->ptr[i] = ' ';
}

static bool ask_story(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    struct story s;
    struct buf facts = { 0 }, ask = { 0 }, aside = { 0 };
    bool first_only = true;
    (void)withheld; /* whole templates are withheld, not wordings */
    case_recall(c, &s, sizeof s);
    genres[s.genre]->tell(&s, t->rng, &facts, &ask);
    if (c->pick == POOL_ASIDE || rng_below(t->rng, 8) == 0)
        put_aside(&s, t->rng, c->pick == POOL_ASIDE, &aside, &first_only);
    join(t->question, &facts, &aside, first_only ? 0 : (int)rng_below(t->rng, (uint64_t)lines_in(&facts)));
    buf_put_str(t->question, buf_str(&ask));
    text_tidy(t->question);
    buf_free(&facts);
    buf_free(&ask);
    buf_free(&aside);
    return c->pick != POOL_KNOWN;
}

/* --- working out ----------------------------------------------------------------------------------------------------- */

static void put_label(const struct story *s, const struct story_step *step, struct exam_text *t,
                      struct buf *out)
{
    struct phrase p = { t->rng, &s->cast, s->n + step->number, step->who, step->other, true };
    phrase_put(out, &p, step->label);
    buf_puts(out, ": ");
}

static void put_plain(struct buf *out, char op, int64_t a, int64_t b)
{
    buf_printf(out, "%lld%c%lld=%lld\n", (long long)a, op, (long long)b, (long long)apply_op(op, a, b));
}

/* The slip that people make with stories is the wrong operation, not the wrong digit. */
static void plant_wrong_operation(const struct story *s, const struct story_step *step, struct exam_text *t)
{
    int64_t a = story_value(s, step->left), b = story_value(s, step->right);
    char op = step->op == '+' ? '-' : step->op == '-' ? '+' : step->op == '*' ? '+' : '-';
    if (apply_op(op, a, b) < 1 || rng_below(t->rng, 2))
        return;
    put_label(s, step, t, t->trace);
    put_plain(t->trace, op, a, b);
    buf_puts(t->trace, "wait\n");
    t->slips--;
}

/* Long arithmetic comes first, then the line that says what it was for. */
static void put_step(const struct story *s, const struct story_step *step, struct exam_text *t,
                     struct buf *out)
{
    struct buf lines = { 0 };
    int64_t a = story_value(s, step->left), b = story_value(s, step->right);
    steps_apply(t, &lines, step->op, a, b);
    if (lines_in(&lines) > 1) {
        buf_put_str(out, buf_str(&lines));
        buf_clear(&lines);
        put_plain(&lines, step->op, a, b);
    }
    put_label(s, step, t, out);
    buf_put_str(out, buf_str(&lines));
    buf_free(&lines);
}

static void put_inverse(const struct story *s, const struct story_step *step, struct buf *out)
{
    int64_t b = story_value(s, step->right);
    switch (step->op) {
    case '+': put_plain(out, '-', step->value, b); break;
    case '-': put_plain(out, '+', step->value, b); break;
    case '*': put_plain(out, '/', step->value, b); break;
    default: put_plain(out, '*', step->value, b); break;
    }
}

/* The expression under an operand, where steps before done are put as their values. */
static void put_expression(const struct story *s, int operand, int done, char around, bool right,
                           struct buf *out)
{
    int step = -1 - operand;
    if (operand >= 0 || step < done) {
        buf_printf(out, "%lld", (long long)story_value(s, operand));
        return;
    }
    const struct story_step *at = &s->steps[step];
    bool sum = at->op == '+' || at->op == '-', outer_sum = around == '+' || around == '-' || !around;
    bool parens =
        (sum && (!outer_sum || (right && around == '-'))) || (right && (around == '/' || around == '*'));
    buf_puts(out, parens ? "(" : "");
    put_expression(s, at->left, done, at->op, false, out);
    buf_putc(out, at->op);
    put_expression(s, at->right, done, at->op, true, out);
    buf_puts(out, parens ? ")" : "");
}

/* "(16-3)*2=13*2=26" */
static void put_one_line(const struct story *s, struct buf *out)
{
    for (int done = 0; done <= s->steps_len; done++) {
        buf_puts(out, done ? "=" : "");
        put_expression(s, -s->steps_len, done, 0, false, out);
    }
    buf_putc(out, '\n');
}

static void put_second_way(const struct story *s, struct exam_text *t)
{
    buf_puts(t->recheck, "again\n");
    if (s->steps_len <= ONE_LINE_STEPS)
        put_one_line(s, t->recheck);
    else
        for (int i = 0; i < s->steps_len; i++)
            put_plain(t->recheck, s->steps[i].op, story_value(s, s->steps[i].left),
                      story_value(s, s->steps[i].right));
    buf_puts(t->recheck, "same\n");
}

static void solve_story(const struct exam_case *c, struct exam_text *t)
{
    struct story s;
    case_recall(c, &s, sizeof s);
    for (int i = 0; i < s.steps_len; i++) {
        const struct story_step *step = &s.steps[i];
        if (t->effort == EXAM_LOW) {
            steps_apply(t, t->trace, step->op, story_value(&s, step->left), story_value(&s, step->right));
            continue;
        }
        if (t->slips > 0)
            plant_wrong_operation(&s, step, t);
        put_step(&s, step, t, t->trace);
    }
    buf_puts(t->recheck, "check\n");
    for (int i = s.steps_len - 1; i >= 0; i--)
        put_inverse(&s, &s.steps[i], t->recheck);
    buf_puts(t->recheck, "ok\n");
    if (t->effort == EXAM_XHIGH)
        put_second_way(&s, t);
    answer_int(t, s.steps[s.steps_len - 1].value);
}

/* --- the families ---------------------------------------------------------------------------------------------------- */

static void draw_story(struct rng *rng, int level, struct exam_case *c)
{
    draw_story_of(rng, level, c, POOL_KNOWN);
}

static void draw_story_new(struct rng *rng, int level, struct exam_case *c)
{
    draw_story_of(rng, level, c, POOL_NEW);
}

static void draw_story_names(struct rng *rng, int level, struct exam_case *c)
{
    draw_story_of(rng, level, c, POOL_NAMES);
}

static void draw_story_aside(struct rng *rng, int level, struct exam_case *c)
{
    draw_story_of(rng, level, c, POOL_ASIDE);
}

static void draw_story_long(struct rng *rng, int level, struct exam_case *c)
{
    (void)level;
    draw_story_of(rng, STORY_LEVELS + 1, c, POOL_KNOWN);
}

const struct exam_family family_story = {
    .name = "story",
    .what = "word problems; the level is the number of steps",
    .levels = STORY_LEVELS,
    .draw = draw_story,
    .ask = ask_story,
    .solve = solve_story,
    .check = check_number,
};

const struct exam_family family_story_new = {
    .name = "story-new",
    .what = "word problems with a template that training never saw, levels as for story",
    .levels = STORY_LEVELS,
    .exam_only = true,
    .draw = draw_story_new,
    .ask = ask_story,
    .solve = solve_story,
    .check = check_number,
};

const struct exam_family family_story_names = {
    .name = "story-names",
    .what = "word problems with names and things that training never saw",
    .levels = STORY_LEVELS,
    .exam_only = true,
    .draw = draw_story_names,
    .ask = ask_story,
    .solve = solve_story,
    .check = check_number,
};

const struct exam_family family_story_aside = {
    .name = "story-aside",
    .what = "word problems with a fact that does not matter, in a wording that training never saw",
    .levels = STORY_LEVELS,
    .exam_only = true,
    .draw = draw_story_aside,
    .ask = ask_story,
    .solve = solve_story,
    .check = check_number,
};

const struct exam_family family_story_long = {
    .name = "story-long",
    .what = "word problems of nine steps, one more than training shows",
    .levels = 1,
    .exam_only = true,
    .draw = draw_story_long,
    .ask = ask_story,
    .solve = solve_story,
    .check = check_number,
};
