/*
 * problem.c - the table of families, and the one path by which a problem is made.
 *
 * The split: a case whose key is a multiple of HELD_OUT_ONE_IN belongs to the exam, every other case to
 * training. Where a family has only a few cases at a level, its withheld wordings take that part.
 */
#include "exam/exam_impl.h"

#include <assert.h>
#include <string.h>

#define HELD_OUT_ONE_IN 100

static const struct exam_family *const families[] = {
    &family_add,    &family_sub,      &family_mul,     &family_div,       &family_expr,
    &family_linear, &family_gcd,      &family_story,   &family_story_new, &family_greet,
    &family_thanks, &family_identity, &family_decline,
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

static void draw_split(const struct exam_family *f, int level, enum exam_split split, struct rng *rng,
                       struct exam_case *c)
{
    do {
        memset(c, 0, sizeof *c);
        c->level = level;
        f->draw(rng, level, c);
    } while (!c->few && (c->key % HELD_OUT_ONE_IN == 0) != (split == EXAM_HELD_OUT));
}

void exam_generate(const struct exam_family *f, int level, enum exam_effort effort, enum exam_split split,
                   struct rng *rng, struct exam_problem *p)
{
    assert(level >= 1 && level <= f->levels);
    assert(!f->exam_only || split == EXAM_HELD_OUT);
    struct exam_case c;
    draw_split(f, level, split, rng, &c);
    struct buf *const bufs[] = { &p->question, &p->trace, &p->recheck, &p->visible, &p->answer };
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
        buf_clear(bufs[i]);
    struct exam_text t = { rng, effort, &p->question, &p->trace, &p->recheck, &p->visible, &p->answer, 0 };
    /* an eighth of the deeper traces plant one slip and mend it, so that mending is learned */
    if (split == EXAM_TRAIN && effort >= EXAM_HIGH)
        t.slips = rng_below(rng, 8) == 0;
    /* the exam asks in every wording, withheld ones too; training only in its own */
    bool withheld = split == EXAM_HELD_OUT && (c.few || f->by_wording || rng_below(rng, 6) == 0);
    p->family = f;
    p->level = level;
    p->key = c.key;
    p->new_wording = f->ask(&c, &t, withheld);
    f->solve(&c, &t);
    if (effort >= EXAM_HIGH)
        buf_put_str(&p->trace, buf_str(&p->recheck));
}

void exam_problem_free(struct exam_problem *p)
{
    buf_free(&p->question);
    buf_free(&p->trace);
    buf_free(&p->recheck);
    buf_free(&p->visible);
    buf_free(&p->answer);
}
