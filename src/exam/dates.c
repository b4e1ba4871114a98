/*
 * dates.c - clocks, days of the week, dates and units.
 *
 * A case is a few numbers; what it asks is its level's. Working goes by hours and minutes, by months and days; the
 * check takes the other road, by minutes since midnight and by days since the start of the year.
 */
#include "exam/words_impl.h"

#include <assert.h>
#include <string.h>

#define DAY_MINUTES 1440

/* --- marking ------------------------------------------------------------------------------------------------------ */

/* Up to max whole numbers in s, in order. */
static int numbers_of(struct str s, int64_t *out, int max)
{
    int count = 0;
    for (size_t i = 0; i < s.len && count < max; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            continue;
        int64_t n = 0;
        for (; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9' && n < 100000000; i++)
            n = n * 10 + (s.ptr[i] - '0');
        out[count++] = n;
    }
    return count;
}

/* "3:05" is "03:05"; "3 hours 5 minutes" is "3 h 5 min". */
static bool check_numbers(struct str reply, struct str answer)
{
    int64_t a[4], b[4];
    int n = numbers_of(answer, a, 4), m = numbers_of(exam_extract(reply), b, 4);
    return n > 0 && n == m && memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

static int month_in(struct str s)
{
    for (int m = 0; m < 12; m++)
        for (size_t i = 0; i + 3 <= s.len; i++)
            if (str_eq_nocase(str_slice(s, i, i + 3), (struct str){ words_months[m], 3 }))
                return m + 1;
    return 0;
}

/* "5 May 2024", "May 5, 2024", "May 5th": the same month, and the same numbers in any order. Weekdays as words. */
static bool check_date(struct str reply, struct str answer)
{
    int64_t a[3], b[3];
    struct str given = exam_extract(reply);
    int month = month_in(answer), n = numbers_of(answer, a, 3);
    if (n == 0)
        return exam_same(given, answer);
    if (month == 0)
        return check_number(reply, answer);
    if (month != month_in(given) || numbers_of(given, b, 3) != n)
        return false;
    return (a[0] == b[0] && (n == 1 || a[1] == b[1])) || (n == 2 && a[0] == b[1] && a[1] == b[0]);
}

/* --- clock: n = start in minutes, minutes to add (or the end), a second span, hours in the question's form ---------- */

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

/* A wording with {0}..{9} replaced by the parts. */
static void put_parts(struct buf *out, const char *wording, const struct buf *parts)
{
    for (; *wording; wording++) {
        if (*wording == '{') {
            buf_put_str(out, buf_str(&parts[wording[1] - '0']));
            wording += 2;
        } else {
            buf_putc(out, *wording);
        }
    }
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

/* --- dates: n = day, month, year, days on (or the second date's day of the year) ------------------------------------- */

static const int month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in(int64_t month, int64_t year)
{
    return month_days[month - 1] + (month == 2 && is_leap(year));
}

static int64_t day_of_year(int64_t day, int64_t month, int64_t year)
{
    for (int64_t m = 1; m < month; m++)
        day += days_in(m, year);
    return day;
}

static const char *const weekday_wordings[] = {
    "Today is {0}. What day of the week is it in {1} days?",
    "If it is {0} today, which day is it {1} days from now?",
    "What day of the week comes {1} days after a {0}?",
    "It is {0}. Which weekday will it be after {1} days?",
    "A parcel was sent on a {0} and arrived {1} days later. On which day of the week?",
    "Starting on a {0}, {1} days pass. What weekday is it?",
    "What weekday is {1} days after {0}?",
    "!Counting {1} days from {0}, which weekday is reached?",
    "!{0} it is now; name the weekday {1} days ahead.",
};
static const char *const weekday_back_wordings[] = {
    "Today is {0}. What day of the week was it {1} days ago?",
    "If it is {0} today, which weekday was it {1} days before?",
    "Which day of the week comes {1} days before a {0}?",
    "It is {0}. What weekday was it {1} days earlier?",
    "!Going back {1} days from a {0}, which weekday is it?",
};
static const char *const on_wordings[] = {
    "What date is {1} days after {0}?",
    "It is {0}. What is the date in {1} days?",
    "A trip starts on {0}. What is the date {1} days later?",
    "Add {1} days to {0}. Which date is it?",
    "If today is {0}, what date will it be {1} days from now?",
    "A bill of {0} must be paid within {1} days. What is the last day?",
    "Which date comes {1} days after {0}?",
    "!Counting {1} days on from {0}, which date is reached?",
    "!A plant was set on {0} and flowered {1} days later. On which date?",
};
static const char *const between_wordings[] = {
    "How many days are there from {0} to {1}?",
    "How many days after {0} is {1}?",
    "How many days pass from {0} until {1}?",
    "It is {0}. How many days are left until {1}?",
    "A holiday starts on {1}. Today is {0}. How many days is that away?",
    "!By how many days does {1} come after {0}?",
    "!From {0} it takes how many days until {1}?",
};
static const char *const leap_wordings[] = {
    "How many days does {0} have?", "How many days are there in {0}?", "What is the number of days in {0}?",
    "How long is {0} in days?",     "!Say how many days {0} has.",
};
static const char *const weekday_of_wordings[] = {
    "{0} is a {2}. What day of the week is {1}?",
    "{0} was a {2}. Which weekday was {1}?",
    "If {0} falls on a {2}, on which weekday does {1} fall?",
    "Given that {0} is a {2}, what day of the week is {1}?",
    "!Knowing that {0} is a {2}, find the weekday of {1}.",
};

static void draw_date(struct rng *rng, int level, struct exam_case *c)
{
    int64_t *n = c->n;
    n[2] = level >= 6 ? rng_range(rng, 1890, 2110)
                      : 0; /* year 0: none is named, and it is no leap year by use */
    n[1] = rng_range(rng, 1, 12);
    n[0] = rng_range(rng, 1, days_in(n[1], n[2] ? n[2] : 1));
    switch (level) {
    case 1: n[3] = rng_range(rng, 2, 30); break;
    case 2: n[3] = rng_range(rng, 20, 400); break;
    case 3:
        n[0] = rng_range(rng, 1, 20);
        n[3] = rng_range(rng, 2, 28 - n[0]);
        break;
    case 4: n[3] = rng_range(rng, 29 - n[0] < 5 ? 5 : 32 - n[0], 60); break;
    case 5:
        n[1] = rng_range(rng, 1, 10);
        n[0] = rng_range(rng, 1, 28);
        n[3] = rng_range(rng, 15, 365 - day_of_year(n[0], n[1], 1));
        break;
    case 6:
        n[1] = rng_range(rng, 1, 4);
        n[0] = rng_range(rng, 1, 28);
        n[3] = rng_below(rng, 3) ? rng_range(rng, 20, 200) : 0; /* 0: how long is February or the year */
        break;
    case 7:
        n[1] = rng_range(rng, 1, 10);
        n[0] = rng_range(rng, 1, 28);
        n[3] = rng_range(rng, 10, 365 - day_of_year(n[0], n[1], 1));
        break;
    default: n[3] = rng_range(rng, 60, 500); break;
    }
    if (level == 4 && n[2] == 0 && n[1] == 12)
        n[1] = rng_range(rng, 1, 9);
    n[4] = rng_range(rng, 0, 6); /* a weekday */
    c->pick = level == 2 && rng_below(rng, 2);
    if (level <= 2)
        n[0] = n[1] = 0;
    else if (level != 7)
        n[4] = 0;
    if (level == 6 && n[3] == 0) {
        n[0] = rng_range(rng, 0, 1);
        n[1] = 2;
        if (rng_below(rng, 2))
            n[2] -= n[2] % 4;
        if (rng_below(rng, 3) == 0)
            n[2] -= n[2] % 100;
    }
    c->few = level == 1;
    c->key = case_key("date", n, 5) + (uint64_t)(level * 2 + c->pick);
}

/* Days on from a date; year 0 stays in a year of 365 days. */
static void date_after(int64_t *day, int64_t *month, int64_t *year, int64_t days)
{
    for (*day += days; *day > days_in(*month, *year ? *year : 1);) {
        *day -= days_in(*month, *year ? *year : 1);
        if (++*month > 12) {
            *month = 1;
            *year += *year != 0;
        }
    }
}

/* "5 May", "May 5", with the year if there is one; by_month: the American order. */
static void put_date(struct buf *out, int64_t day, int64_t month, int64_t year, bool by_month)
{
    const char *name = words_months[month - 1];
    if (by_month)
        buf_printf(out, "%s %lld", name, (long long)day);
    else
        buf_printf(out, "%lld %s", (long long)day, name);
    if (year)
        buf_printf(out, by_month ? ", %lld" : " %lld", (long long)year);
}

static bool ask_date(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    const int64_t *n = c->n;
    int64_t day = n[0], month = n[1], year = n[2];
    struct buf parts[3] = { 0 };
    bool held, by_month = rng_below(t->rng, 2);
    struct wordings list = WORDINGS(on_wordings);
    if (c->level <= 2) {
        list = c->pick ? WORDINGS(weekday_back_wordings) : WORDINGS(weekday_wordings);
        buf_puts(&parts[0], words_days[n[4]]);
        buf_printf(&parts[1], "%lld", (long long)n[3]);
    } else if (c->level == 6 && n[3] == 0) {
        list = WORDINGS(leap_wordings);
        buf_printf(&parts[0], n[0] ? "February %lld" : "the year %lld", (long long)year);
    } else {
        put_date(&parts[0], day, month, year, by_month);
        buf_puts(&parts[2], words_days[n[4]]);
        if (c->level == 3 || c->level == 4 || c->level == 8) {
            buf_printf(&parts[1], "%lld", (long long)n[3]);
        } else {
            list = c->level == 7 ? WORDINGS(weekday_of_wordings) : WORDINGS(between_wordings);
            date_after(&day, &month, &year, n[3]);
            put_date(&parts[1], day, month, year, by_month);
        }
    }
    put_parts(t->question, wording_pick(t->rng, list, withheld, &held), parts);
    if (c->level == 4 || c->level == 5)
        buf_puts(t->question,
                 rng_below(t->rng, 2) ? " (It is no leap year.)" : " February has 28 days that year.");
    text_tidy(t->question);
    for (int i = 0; i < 3; i++)
        buf_free(&parts[i]);
    return held;
}

static void solve_weekday(const struct exam_case *c, struct exam_text *t)
{
    int64_t at = c->n[4], days = c->n[3], rest = days % 7, now = at;
    buf_printf(t->trace, "%lld=%lld*7+%lld\n", (long long)days, (long long)(days / 7), (long long)rest);
    put_slip(t, t->trace, "%s", words_days[(at + rest + 1) % 7]);
    for (int64_t i = 0; i < rest; i++) {
        now = (now + (c->pick ? 6 : 1)) % 7;
        buf_printf(t->trace, "%s%s", words_days[now], i + 1 < rest ? ", " : "\n");
    }
    if (!rest)
        buf_printf(t->trace, "%s again\n", words_days[at]);
    /* the numbers of the days, Monday 1 */
    buf_puts(t->recheck, "check\n");
    int64_t number = c->pick ? at + 1 + 7 - rest : at + 1 + rest;
    buf_printf(t->recheck, "%s is %lld\n", words_days[at], (long long)(at + 1));
    if (c->pick) {
        put_op(t, t->recheck, NULL, at + 1, '+', 7);
        put_op(t, t->recheck, NULL, at + 8, '-', rest);
    } else {
        put_op(t, t->recheck, NULL, at + 1, '+', rest);
    }
    if (number > 7)
        put_op(t, t->recheck, NULL, number, '-', 7);
    buf_printf(t->recheck, "%lld is %s\n", (long long)(now + 1), words_days[now]);
    if (t->effort == EXAM_XHIGH) {
        put_op(t, t->recheck, NULL, days / 7, '*', 7);
        put_op(t, t->recheck, NULL, days / 7 * 7, '+', rest);
    }
    buf_puts(t->recheck, "ok\n");
    buf_puts(t->answer, words_days[now]);
    buf_printf(t->visible, "Answer: %s", words_days[now]);
}

static void solve_leap(const struct exam_case *c, struct exam_text *t)
{
    long long year = c->n[2], february = c->n[0];
    bool leap = is_leap(year);
    buf_printf(t->trace, "%lld=%lld*4+%lld\n", year, year / 4, year % 4);
    if (year % 4 == 0 && year % 100 == 0)
        buf_printf(t->trace, "%lld=%lld*100\n%lld=%lld*400+%lld\n", year, year / 100, year, year / 400,
                   year % 400);
    put_slip(t, t->trace, leap ? "no leap year" : "a leap year");
    buf_puts(t->trace, leap ? "a leap year\n" : "no leap year\n");
    buf_printf(t->recheck, "check\n%lld%%100=%lld\n%lld%%400=%lld\n%s\n", year, year % 100, year, year % 400,
               leap ? "leap: 366, February 29" : "no leap: 365, February 28");
    if (t->effort == EXAM_XHIGH)
        buf_printf(t->recheck, "%lld*4=%lld\n", year / 4, year / 4 * 4);
    buf_puts(t->recheck, "ok\n");
    answer_int(t, february ? 28 + leap : 365 + leap);
}

/* Month by month until the days are used up: "May has 31 days", "31-25=6", "20-6=14". */
static void put_months(struct exam_text *t, struct buf *out, int64_t *day, int64_t *month, int64_t *year,
                       int64_t days)
{
    for (;;) {
        int64_t length = days_in(*month, *year ? *year : 1), left = length - *day;
        if (days <= left) {
            *day = *day ? put_op(t, out, "day", *day, '+', days) : days;
            return;
        }
        if (t->effort > EXAM_LOW)
            buf_printf(out, "%s has %lld\n", words_months[*month - 1], (long long)length);
        if (*day)
            left = put_op(t, out, "left", length, '-', *day);
        days = put_op(t, out, "days", days, '-', left);
        *day = 0;
        if (++*month > 12) {
            *month = 1;
            *year += *year != 0;
        }
    }
}

/* The day's number in its year, month by month. */
static int64_t put_day_of_year(struct exam_text *t, struct buf *out, int64_t day, int64_t month, int64_t year)
{
    int64_t sum = days_in(1, 1);
    if (month == 1) {
        buf_printf(out, "day %lld\n", (long long)day);
        return day;
    }
    for (int64_t m = 2; m < month; m++)
        sum = put_op(t, out, NULL, sum, '+', days_in(m, year ? year : 1));
    return put_op(t, out, NULL, sum, '+', day);
}

static void solve_on(const struct exam_case *c, struct exam_text *t)
{
    int64_t day = c->n[0], month = c->n[1], year = c->n[2];
    put_months(t, t->trace, &day, &month, &year, c->n[3]);
    put_date(t->trace, day, month, year, false);
    buf_putc(t->trace, '\n');
    buf_puts(t->recheck, "check\n");
    int64_t first = put_day_of_year(t, t->recheck, c->n[0], c->n[1], c->n[2]),
            sum = put_op(t, t->recheck, NULL, first, '+', c->n[3]);
    for (int64_t y = c->n[2]; sum > 365 + is_leap(y ? y : 1); y += y != 0)
        sum = put_op(t, t->recheck, NULL, sum, '-', 365 + is_leap(y ? y : 1));
    int64_t again = put_day_of_year(t, t->recheck, day, month, year);
    assert(again == sum);
    (void)again;
    buf_puts(t->recheck, "ok\n");
    put_date(t->answer, day, month, year, false);
    buf_puts(t->visible, "Answer: ");
    put_date(t->visible, day, month, year, false);
}

/* The rest of the first month, whole months, the days of the last. */
static int64_t put_days_between(struct exam_text *t, struct buf *out, const int64_t *from, int64_t day,
                                int64_t month)
{
    int64_t year = from[2] ? from[2] : 1;
    if (from[1] == month)
        return put_op(t, out, "days", day, '-', from[0]);
    int64_t sum = put_op(t, out, words_months[from[1] - 1], days_in(from[1], year), '-', from[0]);
    for (int64_t m = from[1] + 1; m < month; m++)
        sum = put_op(t, out, words_months[m - 1], sum, '+', days_in(m, year));
    return put_op(t, out, words_months[month - 1], sum, '+', day);
}

static void solve_between(const struct exam_case *c, struct exam_text *t)
{
    int64_t day = c->n[0], month = c->n[1], year = c->n[2];
    date_after(&day, &month, &year, c->n[3]);
    if (c->level >= 6 && month > 2 && c->n[1] <= 2)
        buf_printf(t->trace, "%lld: February has %d\n", (long long)c->n[2], days_in(2, c->n[2]));
    put_days_between(t, t->trace, c->n, day, month);
    buf_puts(t->recheck, "check\n");
    int64_t second = put_day_of_year(t, t->recheck, day, month, c->n[2]),
            first = put_day_of_year(t, t->recheck, c->n[0], c->n[1], c->n[2]);
    put_op(t, t->recheck, NULL, second, '-', first);
    if (c->level == 7) {
        int64_t rest = c->n[3] % 7, now = (c->n[4] + rest) % 7;
        buf_printf(t->trace, "%lld=%lld*7+%lld\n%s+%lld=%s\n", (long long)c->n[3], (long long)(c->n[3] / 7),
                   (long long)rest, words_days[c->n[4]], (long long)rest, words_days[now]);
        buf_puts(t->answer, words_days[now]);
        buf_printf(t->visible, "Answer: %s", words_days[now]);
    } else {
        answer_int(t, c->n[3]);
    }
    if (t->effort == EXAM_XHIGH) {
        int64_t d = c->n[0], m = c->n[1], y = c->n[2];
        buf_puts(t->recheck, "again\n");
        put_months(t, t->recheck, &d, &m, &y, c->n[3]);
    }
    buf_puts(t->recheck, "ok\n");
}

static void solve_date(const struct exam_case *c, struct exam_text *t)
{
    if (c->level <= 2)
        solve_weekday(c, t);
    else if (c->level == 6 && c->n[3] == 0)
        solve_leap(c, t);
    else if (c->level == 3 || c->level == 4 || c->level == 8)
        solve_on(c, t);
    else
        solve_between(c, t);
}

/* --- units: pick one of the pairs; n = amounts ------------------------------------------------------------------------- */

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

const struct exam_family family_clock = {
    .name = "clock",
    .what = "times of day: 1-2 minutes on, 3 spans, 4 back, 5-6 over midnight, 7-8 several spans",
    .levels = 8,
    .draw = draw_clock,
    .ask = ask_clock,
    .solve = solve_clock,
    .check = check_numbers,
};

const struct exam_family family_date = {
    .name = "date",
    .what = "1-2 weekdays, 3-4 days on, 5 days between, 6 leap years, 7 weekday of a date, 8 far dates",
    .levels = 8,
    .draw = draw_date,
    .ask = ask_date,
    .solve = solve_date,
    .check = check_date,
};

const struct exam_family family_unit = {
    .name = "unit",
    .what = "units: 1-2 one step, 3-4 mixed, 5 two steps, 6 differences, 7 speeds, 8 mixed sums",
    .levels = 8,
    .draw = draw_unit,
    .ask = ask_unit,
    .solve = solve_unit,
    .check = check_numbers,
};
