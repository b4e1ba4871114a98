/*
 * effort.c - what each effort writes.
 *
 *     low, medium   one derivation (compact or in full: see steps.c)
 *     high          the derivation and its check by another route
 *     xhigh         what high writes, its answer in a line ("again: 42"), a derivation by another route, and both answers
 *                   side by side; where they differ "wait" and the work is done again
 *
 * A quarter of the training traces at high and xhigh go wrong once. Two in three of them write one line wrong,
 * say "wait" and write it right. The others miss the slip: the derivation ends wrong, the check does not agree, "wait"
 * follows and the work is done again. At xhigh half of the rest has a second derivation that ends wrong: a model that never
 * saw one believes whatever it wrote last. The first answer stands in a line of its own because a small model does not find
 * it at the end of a derivation of any form. A tenth of the shorter traces come with such a missed slip beside them, for the
 * training of the continue token: flawed is the working, mended what the recheck finds and does.
 *
 * Where a slip falls is drawn among the lines there are: the case is solved once to count them, then again from the
 * same random state. Only families that allow it (routes) are solved more than once.
 */
#include "exam/exam_impl.h"

#define SLIP_ONE_IN   4
#define MISS_ONE_IN   3  /* of the slips */
#define SECOND_ONE_IN 2  /* of the others of xhigh */
#define FLAWED_ONE_IN 10 /* of the traces of low and medium */

struct derivation {
    struct buf trace, recheck, visible, answer;
    int lines;
};

static void derivation_free(struct derivation *d)
{
    buf_free(&d->trace);
    buf_free(&d->recheck);
    buf_free(&d->visible);
    buf_free(&d->answer);
}

struct slip {
    int at; /* -1: none */
    bool miss;
};

static const struct slip no_slip = { .at = -1 };

static void derive(const struct exam_family *f, const struct exam_case *c, const struct exam_text *t,
                   struct derivation *d, int route, struct slip slip)
{
    struct exam_text own = *t;
    buf_clear(&d->trace);
    buf_clear(&d->recheck);
    buf_clear(&d->visible);
    buf_clear(&d->answer);
    own.trace = &d->trace;
    own.recheck = &d->recheck;
    own.visible = &d->visible;
    own.answer = &d->answer;
    own.route = route;
    own.slip_at = slip.at;
    own.miss = slip.miss;
    own.lines = 0;
    f->solve(c, &own);
    d->lines = own.lines;
}

/* The recheck found a mismatch: it ends in another line than "ok". */
static bool disagrees(const struct derivation *d)
{
    return d->recheck.len > 0 && !str_ends(buf_str(&d->recheck), STR("\nok\n"));
}

/* A derivation whose last line is wrong, and that does not see it. */
static bool derive_missed(const struct exam_family *f, const struct exam_case *c, const struct exam_text *t,
                          struct derivation *d, int route, const struct derivation *right,
                          const struct rng *before)
{
    if (right->lines == 0)
        return false;
    *t->rng = *before; /* the same choices, so that the last line is the last one again */
    derive(f, c, t, d, route, (struct slip){ .at = right->lines - 1, .miss = true });
    return true;
}

/* "wait", and the work once more, with its check or without. */
static void put_again(const struct exam_family *f, const struct exam_case *c, const struct exam_text *t,
                      struct buf *out, bool check)
{
    struct derivation again = { 0 };
    derive(f, c, t, &again, 0, no_slip);
    buf_puts(out, "wait\n");
    buf_put_str(out, buf_str(&again.trace));
    if (check)
        buf_put_str(out, buf_str(&again.recheck));
    derivation_free(&again);
}

static void put_high(const struct exam_family *f, const struct exam_case *c, struct exam_text *t,
                     const struct derivation *first, bool missed)
{
    buf_put_str(t->trace, buf_str(&first->trace));
    buf_put_str(t->trace, buf_str(&first->recheck));
    if (missed)
        put_again(f, c, t, t->trace, true);
}

/* The second derivation; with a slip that it misses, if it is to err and can. */
static void derive_second(const struct exam_family *f, const struct exam_case *c, struct exam_text *t,
                          bool err, struct derivation *second)
{
    struct derivation right = { 0 };
    struct rng before = *t->rng;
    derive(f, c, t, &right, 1, no_slip);
    struct rng after = *t->rng;
    if (!err || !derive_missed(f, c, t, second, 1, &right, &before) ||
        str_eq(buf_str(&second->answer), buf_str(&right.answer))) {
        derivation_free(second);
        *second = right;
    } else {
        derivation_free(&right);
    }
    *t->rng = after;
}

/* Behind what high writes. t->answer: what that found. */
static void put_second(const struct exam_family *f, const struct exam_case *c, struct exam_text *t, bool err)
{
    struct derivation second = { 0 };
    derive_second(f, c, t, err, &second);
    bool same = str_eq(buf_str(&second.answer), buf_str(t->answer));
    buf_printf(t->trace, "again: %.*s\n", STR_ARG(buf_str(t->answer)));
    buf_put_str(t->trace, buf_str(&second.trace));
    buf_printf(t->trace, "%.*s and %.*s: %s\n", STR_ARG(buf_str(&second.answer)), STR_ARG(buf_str(t->answer)),
               same ? "same" : "not the same");
    if (!same)
        put_again(f, c, t, t->trace, false);
    derivation_free(&second);
}

static void put_flawed(const struct exam_family *f, const struct exam_case *c, struct exam_text *t,
                       const struct derivation *right, const struct rng *before, struct exam_problem *p)
{
    struct derivation d = { 0 };
    if (derive_missed(f, c, t, &d, 0, right, before) && disagrees(&d)) {
        buf_put_str(&p->flawed, buf_str(&d.trace));
        buf_put_str(&p->mended, buf_str(&d.recheck));
        put_again(f, c, t, &p->mended, true);
    }
    derivation_free(&d);
}

void effort_plan(const struct exam_family *f, struct exam_text *t, bool train)
{
    if (f->routes == 0 && train && t->effort >= EXAM_HIGH && rng_below(t->rng, SLIP_ONE_IN) == 0) {
        t->slips = 1;                           /* its own, */
        t->slip_at = (int)rng_below(t->rng, 4); /* or one of its first steps */
    }
}

/* Families that can be solved once only. */
static void solve_once(const struct exam_family *f, const struct exam_case *c, struct exam_text *t)
{
    f->solve(c, t);
    if (t->effort >= EXAM_HIGH)
        buf_put_str(t->trace, buf_str(t->recheck));
}

void effort_solve(const struct exam_family *f, const struct exam_case *c, struct exam_text *t, bool train,
                  struct exam_problem *p)
{
    struct derivation right = { 0 }, first = { 0 };
    struct derivation *shown = &right;
    bool deep = t->effort >= EXAM_HIGH, slip = false, missed = false;
    if (f->routes == 0) {
        solve_once(f, c, t);
        return;
    }
    if (train)
        slip = rng_below(t->rng, deep ? SLIP_ONE_IN : FLAWED_ONE_IN) == 0;
    struct rng before = *t->rng;
    derive(f, c, t, &right, 0, no_slip);
    if (slip && deep && right.lines > 0) {
        missed = rng_below(t->rng, MISS_ONE_IN) == 0 && derive_missed(f, c, t, &first, 0, &right, &before) &&
                 disagrees(&first);
        if (!missed) {
            int at = (int)rng_below(t->rng, (uint64_t)right.lines);
            *t->rng = before;
            derive(f, c, t, &first, 0, (struct slip){ .at = at });
        }
        shown = &first;
    }
    buf_put_str(t->recheck, buf_str(&right.recheck));
    buf_put_str(t->visible, buf_str(&right.visible));
    buf_put_str(t->answer, buf_str(&right.answer));
    if (!deep)
        buf_put_str(t->trace, buf_str(&right.trace));
    else
        put_high(f, c, t, shown, missed);
    if (t->effort == EXAM_XHIGH && f->routes > 1)
        put_second(f, c, t, train && !slip && rng_below(t->rng, SECOND_ONE_IN) == 0);
    if (slip && !deep)
        put_flawed(f, c, t, &right, &before, p);
    derivation_free(&right);
    derivation_free(&first);
}
