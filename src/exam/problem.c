/*
 * problem.c - the table of families, and the one path by which a problem is made.
 *
 * The split: a case whose key is a multiple of HELD_OUT_ONE_IN belongs to the exam, every other case to
 * training. Where a family has only a few cases at a level, its withheld wordings take that part. The same case has the same
 * key at every level, and in every family that could ask it in the same words.
 */
#include "exam/exam_impl.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define HELD_OUT_ONE_IN 100
/* A working longer than this is drawn again, but no more than so often: it would not fit the model's context. */
#define TRACE_BYTES_MAX 1800
#define DRAWS_MAX       20

static const struct exam_family *const families[] = {
    &family_add,
    &family_sub,
    &family_mul,
    &family_div,
    &family_expr,
    &family_linear,
    &family_gcd,
    &family_story,
    &family_story_new,
    &family_greet,
    &family_thanks,
    &family_identity,
    &family_decline,
    /* mathematics */
    &family_lcm,
    &family_mod,
    &family_crt,
    &family_divisors,
    &family_fraction,
    &family_percent,
    &family_systems,
    &family_quadratic,
    &family_sequence,
    &family_combin,
    &family_countdown,
    &family_base,
    &family_aime,
    /* words */
    &family_story_names,
    &family_story_aside,
    &family_story_long,
    &family_ask,
    &family_clock,
    &family_date,
    &family_unit,
    &family_follow,
    &family_after,
    &family_tool,
    &family_json,
    &family_letters,
    &family_boolean,
    &family_knights,
    &family_order,
    &family_syllogism,
};

static const char *const effort_names[EXAM_EFFORTS] = { "low", "medium", "high", "xhigh" };

size_t exam_family_count(void)
{
    return ARRAY_LEN(families);
}

const struct exam_family *exam_family_at(size_t i)
{
    assert(i < ARRAY_LEN(families));
    return families[i];
}

const struct exam_family *exam_family_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (str_is(name, families[i]->name))
            return families[i];
    return NULL;
}

const char *exam_family_name(const struct exam_family *f)
{
    return f->name;
}

const char *exam_family_what(const struct exam_family *f)
{
    return f->what;
}

int exam_family_levels(const struct exam_family *f)
{
    return f->levels;
}

bool exam_family_trains(const struct exam_family *f)
{
    return !f->exam_only;
}

int exam_family_train_levels(const struct exam_family *f)
{
    return f->exam_only ? 0 : f->train_levels ? f->train_levels : f->levels;
}

bool exam_effort_from(struct str name, enum exam_effort *out)
{
    for (int i = 0; i < EXAM_EFFORTS; i++)
        if (str_is(name, effort_names[i])) {
            *out = (enum exam_effort)i;
            return true;
        }
    return false;
}

const char *exam_effort_name(enum exam_effort effort)
{
    return effort_names[effort];
}

/* SplitMix64's finisher: every bit of the input reaches every bit of the key. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t case_key(const char *kind, const int64_t *n, size_t count)
{
    uint64_t key = str_hash(str_from(kind));
    for (size_t i = 0; i < count; i++)
        key = mix(key + 0x9e3779b97f4a7c15u + (uint64_t)n[i]);
    return key;
}

const char *wording_pick(struct rng *rng, struct wordings w, bool held, bool *is_held)
{
    size_t matches = 0;
    for (size_t i = 0; i < w.count; i++)
        matches += (w.list[i][0] == '!') == held;
    *is_held = held && matches;
    if (!matches)
        return wording_pick(rng, w, !held, is_held);
    size_t pick = (size_t)rng_below(rng, matches);
    for (size_t i = 0;; i++)
        if ((w.list[i][0] == '!') == held && pick-- == 0)
            return w.list[i] + held;
}

void wording_put(struct buf *out, const char *wording, struct str inner)
{
    for (; *wording; wording++) {
        if (wording[0] == '{' && wording[1] == '}') {
            buf_put_str(out, inner);
            wording++;
        } else {
            buf_putc(out, *wording);
        }
    }
}

bool ask_words(const struct exam_case *c, struct exam_text *t, bool withheld, struct wordings w,
               struct str inner, char unknown)
{
    bool held;
    for (const char *s = wording_pick(t->rng, w, withheld, &held); *s; s++) {
        if (s[0] == '{' && s[1] == '}') {
            buf_put_str(t->question, inner);
            s++;
        } else if (s[0] == '{' && s[1] && s[2] == '}') {
            if (s[1] == '?')
                buf_putc(t->question, unknown);
            else
                put_whole(t->question, c->n[s[1] - 'a']);
            s += 2;
        } else {
            buf_putc(t->question, *s);
        }
    }
    return held;
}

/* A case that belongs to the other split. Where cases are few, any will do for the exam, whose wording is then a
 * withheld one, but no more often than others are found, so that kinds with few and with many come as they do in training; training
 * leaves out those of the exam all the same, for another level may hold them out. Families without numbers have the key 0. */
static bool wrong_split(const struct exam_case *c, enum exam_split split, struct rng *rng)
{
    bool exam = c->key % HELD_OUT_ONE_IN == 0;
    if (c->few)
        return split == EXAM_TRAIN ? exam && c->key != 0 : rng_below(rng, HELD_OUT_ONE_IN) > 0;
    return exam != (split == EXAM_HELD_OUT);
}

static void draw_split(const struct exam_family *f, int level, enum exam_split split, struct rng *rng,
                       struct exam_case *c)
{
    do {
        memset(c, 0, offsetof(struct exam_case, own));
        c->level = level;
        f->draw(rng, level, c);
    } while (wrong_split(c, split, rng));
}

void text_earlier(struct exam_text *t, bool tool)
{
    struct exam_problem *p = t->whole;
    assert(p->earlier_len < EXAM_EARLIER_MAX);
    struct exam_turn *turn = &p->earlier[p->earlier_len++];
    turn->tool = p->tool;
    buf_clear(&turn->said);
    buf_clear(&turn->trace);
    buf_clear(&turn->visible);
    buf_put_str(&turn->said, buf_str(t->question));
    buf_put_str(&turn->trace, buf_str(t->trace));
    buf_put_str(&turn->visible, buf_str(t->visible));
    if (t->effort >= EXAM_HIGH)
        buf_put_str(&turn->trace, buf_str(t->recheck));
    struct buf *const written[] = { t->question, t->trace, t->recheck, t->visible, t->answer };
    for (size_t i = 0; i < ARRAY_LEN(written); i++)
        buf_clear(written[i]);
    p->tool = tool;
}

void text_begin(struct exam_text *t, struct exam_problem *p, struct rng *rng, enum exam_effort effort)
{
    struct buf *const bufs[] = { &p->question, &p->trace, &p->recheck, &p->visible, &p->answer,
                                 &p->system,   &p->tools, &p->flawed,  &p->mended };
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
        buf_clear(bufs[i]);
    *t = (struct exam_text){ .rng = rng,
                             .effort = effort,
                             .question = &p->question,
                             .trace = &p->trace,
                             .recheck = &p->recheck,
                             .visible = &p->visible,
                             .answer = &p->answer,
                             .slip_at = -1,
                             .system = &p->system,
                             .tools = &p->tools,
                             .whole = p };
    p->family = NULL;
    p->level = 0;
    p->new_wording = false;
    p->tool = false;
    p->earlier_len = 0;
}

static void generate(const struct exam_family *f, int level, enum exam_effort effort, enum exam_split split,
                     struct rng *rng, struct exam_problem *p)
{
    struct exam_case c;
    draw_split(f, level, split, rng, &c);
    struct exam_text t;
    text_begin(&t, p, rng, effort);
    /* the exam asks in every wording, withheld ones too; training only in its own */
    bool withheld = split == EXAM_HELD_OUT && (c.few || f->by_wording || rng_below(rng, 6) == 0);
    p->family = f;
    p->level = level;
    p->key = c.key;
    effort_plan(f, &t, split == EXAM_TRAIN);
    p->new_wording = f->ask(&c, &t, withheld);
    effort_solve(f, &c, &t, split == EXAM_TRAIN, p);
}

void exam_generate(const struct exam_family *f, int level, enum exam_effort effort, enum exam_split split,
                   struct rng *rng, struct exam_problem *p)
{
    assert(level >= 1 && level <= f->levels);
    assert(level <= exam_family_train_levels(f) || split == EXAM_HELD_OUT);
    generate(f, level, effort, split, rng, p);
    for (int i = 1; i < DRAWS_MAX && p->trace.len > TRACE_BYTES_MAX; i++)
        generate(f, level, effort, split, rng, p);
}

void exam_problem_free(struct exam_problem *p)
{
    buf_free(&p->question);
    buf_free(&p->trace);
    buf_free(&p->recheck);
    buf_free(&p->flawed);
    buf_free(&p->mended);
    buf_free(&p->visible);
    buf_free(&p->answer);
    buf_free(&p->system);
    buf_free(&p->tools);
    for (int i = 0; i < EXAM_EARLIER_MAX; i++) {
        buf_free(&p->earlier[i].said);
        buf_free(&p->earlier[i].trace);
        buf_free(&p->earlier[i].visible);
    }
}
