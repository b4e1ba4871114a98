/*
 * clock.c - times of day.
 *
 * A case's n: the start in minutes, minutes to add (or the end), a second span, hours in the question's form. Working goes by
 * hours and minutes; the check takes the other road, by minutes since midnight.
 */
#include "exam/words_impl.h"

#include <string.h>

#define DAY_MINUTES 1440

static const char *const after_wordings[] = {
    "What time is it {1} after {0}?",
    "It is {0}. What time will it be in {1}?",
    "A class starts at {0} and lasts {1}. When does it end?",
    "Add {1} to {0}. What time is it?",
    "A bus leaves at {0} and arrives {1} later. When does it arrive?",
    "A meeting begins at {0} and takes {1}. When is it over?",
    "A cake goes into the oven at {0} for {1}. When is it done?",
    "If it is {0} now, what time is it {1} from now?",
    "Work starts at {0} and goes on for {1}. At what time does it stop?",
    "A film of {1} starts at {0}. When does it end?",
    "At {0} somebody falls asleep and wakes up {1} later. What time is it then?",
    "A clock shows {0}. What does it show {1} later?",
    "!A flight departs at {0} and is in the air for {1}. When does it land?",
    "!{1} have passed since {0}. What time is it?",
    "!A game kicks off at {0} and runs for {1}. When is it finished?",
};
static const char *const before_wordings[] = {
    "What time was it {1} before {0}?",
    "It is {0}. What time was it {1} ago?",
    "A train arrives at {0} after a ride of {1}. When did it leave?",
    "A lesson of {1} ends at {0}. When did it start?",
    "Somebody must be there at {0} and needs {1} to get there. When is the time to leave?",
    "Subtract {1} from {0}. What time is it?",
    "A show that lasted {1} was over at {0}. When did it begin?",
    "!A cook needs {1} and wants to be done at {0}. When must the work begin?",
    "!The alarm rang {1} before {0}. At what time was that?",
};
static const char *const span_wordings[] = {
    "How many minutes are there from {0} to {1}?",
    "How many minutes pass between {0} and {1}?",
    "A lesson begins at {0} and ends at {1}. How many minutes does it take?",
    "A train leaves at {0} and arrives at {1}. How many minutes is the ride?",
    "A shop is open from {0} to {1}. How many minutes is that?",
    "From {0} until {1}: how many minutes?",
    "Somebody works from {0} to {1}. For how many minutes?",
    "It is {0}. How many minutes are left until {1}?",
    "!The sun was out from {0} till {1}. How many minutes was that?",
    "!How long, in minutes, is the time from {0} to {1}?",
};
static const char *const chain_wordings[] = {
    "A film starts at {0}. It lasts {1}, and there is a break of {2}. When does it end?",
    "A train leaves at {0}, rides {1}, stops for {2} and rides {1} again. When does it arrive?",
    "Somebody leaves home at {0}, walks {2} and rides a bus for {1}. When does the ride end?",
    "A cook starts at {0}, works {1} and bakes for {2}. When is the food ready?",
    "!A plane takes off at {0}, flies {1}, stays on the ground for {2} and flies {1} again. When does it "
    "land?",
    "!School begins at {0}. After {1} of lessons there is a pause of {2}. When is the pause over?",
};

static void draw_clock(struct rng *rng, int level, struct exam_case *c)
{
    int64_t start = rng_range(rng, 0, DAY_MINUTES - 1), span = 0, second = 0;
    c->pick = level <= 2 || level == 5 ? 0 : level == 4 ? 1 : level == 3 || level == 6 ? 2 : 3;
    switch (level) {
    case 1:
        start -= start % 60;
        start += rng_range(rng, 0, 40);
        span = rng_range(rng, 5, 59 - start % 60);
        break;
    case 2:
        start = rng_range(rng, 60, 1260);
        span = rng_range(rng, 61 - start % 60 > 59 ? 59 : 61 - start % 60, 59);
        break;
    case 3:
        start = rng_range(rng, 300, 1000);
        span = rng_range(rng, 20, 400);
        break;
    case 4:
        start = rng_range(rng, 300, 1400);
        span = rng_range(rng, 15, 290);
        break;
    case 5:
        start = rng_range(rng, 1080, 1439);
        span = rng_range(rng, 1441 - start, 900);
        break;
    case 6:
        start = rng_range(rng, 1000, 1439);
        span = rng_range(rng, 1441 - start, 900);
        break;
    default:
        span = rng_range(rng, 35, level == 7 ? 200 : 600);
        second = rng_range(rng, 5, level == 7 ? 55 : 200);
        if (level == 7)
            start = rng_range(rng, 300, 900);
        break;
    }
    c->n[0] = start;
    c->n[1] = span;
    c->n[2] = second;
    c->n[3] = level >= 7 ? (int64_t)rng_below(rng, ARRAY_LEN(chain_wordings)) : 0;
    c->key = case_key("clock", c->n, 3) + (uint64_t)c->pick;
}

static void put_clock(struct buf *out, int64_t minutes)
{
    buf_printf(out, "%lld:%02lld", (long long)(minutes / 60 % 24), (long long)(minutes % 60));
}

static void put_span(struct rng *rng, struct buf *out, int64_t minutes)
{
    long long h = minutes / 60, m = minutes % 60;
    if (h == 0 || (minutes < 200 && rng_below(rng, 3) == 0))
        buf_printf(out, "%lld minutes", (long long)minutes);
    else if (m == 0)
        buf_printf(out, "%lld hour%s", h, h > 1 ? "s" : "");
    else
        buf_printf(out, rng_below(rng, 3) ? "%lld hour%s and %lld minute%s" : "%lld hour%s %lld minute%s", h,
                   h > 1 ? "s" : "", m, m > 1 ? "s" : "");
}

/* The chain's wordings differ in what they add: two of them ride the span twice. */
static bool rides_twice(const char *question)
{
    return strstr(question, "again") != NULL;
}

static bool ask_clock(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    const struct wordings lists[] = { WORDINGS(after_wordings), WORDINGS(before_wordings),
                                      WORDINGS(span_wordings), WORDINGS(chain_wordings) };
    struct buf parts[3] = { 0 };
    bool held;
    put_clock(&parts[0], c->n[0]);
    if (c->pick == 2)
        put_clock(&parts[1], c->n[0] + c->n[1]);
    else
        put_span(t->rng, &parts[1], c->n[1]);
    put_span(t->rng, &parts[2], c->n[2]);
    put_parts(t->question, wording_pick(t->rng, lists[c->pick], withheld, &held), parts);
    if (c->pick != 2 && rng_below(t->rng, 3) == 0)
        buf_puts(t->question, " Answer in 24-hour time.");
    text_tidy(t->question);
    for (int i = 0; i < 3; i++)
        buf_free(&parts[i]);
    return held;
}

/* One span forward, by hours and minutes; returns the new time of day. */
static int64_t put_forward(struct exam_text *t, struct buf *out, int64_t start, int64_t span)
{
    int64_t h = start / 60, m = start % 60;
    if (span % 60) {
        m = put_op(t, out, "minutes", m, '+', span % 60);
        if (m >= 60) {
            m = put_op(t, out, "over", m, '-', 60);
            h = put_op(t, out, "hour", h, '+', 1);
        }
    }
    if (span / 60)
        h = put_op(t, out, "hours", h, '+', span / 60);
    if (h >= 24)
        h = put_op(t, out, "midnight", h, '-', 24);
    put_clock(out, h * 60 + m);
    buf_putc(out, '\n');
    return h * 60 + m;
}

static int64_t put_back(struct exam_text *t, struct buf *out, int64_t end, int64_t span)
{
    int64_t h = end / 60, m = end % 60;
    if (span / 60)
        h = put_op(t, out, "hours", h, '-', span / 60);
    if (m < span % 60) {
        h = put_op(t, out, "borrow", h, '-', 1);
        m = put_op(t, out, "minutes", m, '+', 60);
    }
    if (span % 60)
        m = put_op(t, out, "minutes", m, '-', span % 60);
    put_clock(out, h * 60 + m);
    buf_putc(out, '\n');
    return h * 60 + m;
}

static int64_t put_since_midnight(struct exam_text *t, struct buf *out, int64_t time)
{
    int64_t hours = put_op(t, out, NULL, time / 60, '*', 60);
    return put_op(t, out, NULL, hours, '+', time % 60);
}

/* The same time by minutes since midnight. */
static void put_by_minutes(struct exam_text *t, int64_t start, char op, int64_t span)
{
    int64_t time = put_since_midnight(t, t->recheck, start);
    time = put_op(t, t->recheck, NULL, time, op, span);
    if (time >= DAY_MINUTES)
        time = put_op(t, t->recheck, NULL, time, '-', DAY_MINUTES);
    buf_printf(t->recheck, "%lld=%lld*60+%lld\n", (long long)time, (long long)(time / 60),
               (long long)(time % 60));
}

/* To the next full hour, then the full hours, then the rest. */
static int64_t put_between(struct exam_text *t, struct buf *out, int64_t start, int64_t span)
{
    int64_t end = start + span, total;
    int64_t h = start / 60, full = end / 60;
    if (h == full)
        return put_op(t, out, "minutes", end % 60, '-', start % 60);
    total = put_op(t, out, "to the full hour", 60, '-', start % 60);
    if (full >= 24 && t->effort > EXAM_LOW)
        buf_printf(out, "over midnight: %lld+24=%lld\n", (long long)(full - 24), (long long)full);
    int64_t hours = put_op(t, out, "full hours", full, '-', h + 1);
    if (hours) {
        hours = put_op(t, out, "in minutes", hours, '*', 60);
        total = put_op(t, out, "so far", total, '+', hours);
    }
    if (end % 60)
        total = put_op(t, out, "in all", total, '+', end % 60);
    return total;
}

static void answer_clock(struct exam_text *t, int64_t time)
{
    put_clock(t->answer, time);
    buf_puts(t->visible, "Answer: ");
    put_clock(t->visible, time);
}

static void solve_span(const struct exam_case *c, struct exam_text *t)
{
    int64_t start = c->n[0], span = c->n[1];
    put_between(t, t->trace, start, span);
    buf_puts(t->recheck, "check\n");
    int64_t end = put_since_midnight(t, t->recheck, start + span),
            begin = put_since_midnight(t, t->recheck, start);
    put_op(t, t->recheck, NULL, end, '-', begin);
    if (t->effort == EXAM_XHIGH) {
        buf_puts(t->recheck, "again\n");
        put_forward(t, t->recheck, start, span);
    }
    buf_puts(t->recheck, "ok\n");
    answer_int(t, span);
}

static void solve_clock(const struct exam_case *c, struct exam_text *t)
{
    int64_t start = c->n[0], span = c->n[1], end;
    if (c->pick == 2) {
        solve_span(c, t);
        return;
    }
    if (c->pick == 1) {
        end = put_back(t, t->trace, start, span);
        buf_puts(t->recheck, "check\n");
        put_by_minutes(t, start, '-', span);
    } else if (c->pick == 0) {
        end = put_forward(t, t->trace, start, span);
        buf_puts(t->recheck, "check\n");
        put_by_minutes(t, start, '+', span);
    } else {
        bool twice = rides_twice(t->question->ptr);
        end = put_forward(t, t->trace, put_forward(t, t->trace, start, span), c->n[2]);
        if (twice)
            end = put_forward(t, t->trace, end, span);
        buf_puts(t->recheck, "check\n");
        int64_t all = put_op(t, t->recheck, NULL, span, '+', c->n[2]);
        if (twice)
            all = put_op(t, t->recheck, NULL, all, '+', span);
        put_by_minutes(t, start, '+', all);
        span = all;
    }
    if (t->effort == EXAM_XHIGH) {
        buf_puts(t->recheck, "back\n");
        if (c->pick == 1)
            put_forward(t, t->recheck, end, span);
        else
            put_back(t, t->recheck, end < span ? end + DAY_MINUTES : end, span);
    }
    buf_puts(t->recheck, "ok\n");
    answer_clock(t, end);
}

const struct exam_family family_clock = {
    .name = "clock",
    .what = "times of day: 1-2 minutes on, 3 spans, 4 back, 5-6 over midnight, 7-8 several spans",
    .levels = 8,
    .draw = draw_clock,
    .ask = ask_clock,
    .solve = solve_clock,
    .check = check_numbers,
};
