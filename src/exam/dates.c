/*
 * dates.c - days of the week and dates.
 *
 * A case's n: day, month, year, days on (or the second date's day of the year). Working goes by months and days; the check
 * takes the other road, by days since the start of the year.
 */
#include "exam/words_impl.h"

#include <assert.h>

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

const struct exam_family family_date = {
    .name = "date",
    .what = "1-2 weekdays, 3-4 days on, 5 days between, 6 leap years, 7 weekday of a date, 8 far dates",
    .levels = 8,
    .draw = draw_date,
    .ask = ask_date,
    .solve = solve_date,
    .check = check_date,
};
