/*
 * arith.c - the four operations on whole numbers: families add, sub, mul and div.
 *
 * Case numbers: n[0], n[1] and for sums of three n[2]; pick tells the shape of the question.
 */
#include "exam/exam_impl.h"

static const char *const calculate[] = {
    "What is {}?",
    "What is {}?",
    "{}",
    "{} = ?",
    "{}=",
    "Calculate {}.",
    "Compute {}.",
    "How much is {}?",
    "Work out {}.",
    "what's {}",
    "Please calculate {}.",
    "Find {}.",
    "Evaluate {}",
    "Can you work out {}?",
    "Tell me what {} is.",
    "{}?",
    "What does {} equal?",
    "I need the value of {}.",
    "What is {}",
    "Solve {}.",
    "solve: {}",
    "Question: {}\nThink step by step.",
    "What is the result of {}?",
    "Hi, what is {}?",
    "Could you calculate {} for me?",
    "Give me the answer to {}.",
    "what is {} ?",
    "!What do you get for {}?",
    "!Please tell me the value of {}.",
    "!Quick question: {}",
    "!How much does {} make?",
};

static const char *const sum_words[] = {
    "What is the sum of {}?",
    "Add {}.",
    "Find the sum of {}.",
    "Add up {}.",
    "What is the total of {}?",
    "Calculate the sum of {}.",
    "!What do you get when you add {}?",
    "!Give me the total of {}.",
};

static void draw_add(struct rng *rng, int level, struct exam_case *c)
{
    c->pick = 0;
    switch (level) {
    case 1:
        c->n[0] = rng_range(rng, 0, 99);
        c->n[1] = rng_range(rng, 0, 20);
        break;
    case 6: /* three addends */
        c->pick = 1;
        for (int i = 0; i < 3; i++)
            c->n[i] = random_digits(rng, 1 + (int)rng_below(rng, 3));
        break;
    case 7: /* negative operands */
        c->n[0] = rng_range(rng, 1, rng_below(rng, 2) ? 99 : 999) * (rng_below(rng, 2) ? -1 : 1);
        c->n[1] =
            rng_range(rng, 1, rng_below(rng, 2) ? 99 : 999) * (c->n[0] > 0 || rng_below(rng, 2) ? -1 : 1);
        break;
    default: /* as many digits as the level; the other operand has as many or fewer */
        c->n[0] = random_digits(rng, level);
        c->n[1] = random_digits(rng, rng_below(rng, 2) ? level : 1 + (int)rng_below(rng, (uint64_t)level));
        break;
    }
    if (level != 6)
        c->n[2] = 0;
    if (rng_below(rng, 2)) {
        int64_t swap = c->n[0];
        c->n[0] = c->n[1];
        c->n[1] = swap;
    }
    /* the same key for every order of the addends */
    int64_t s[3] = { c->n[0], c->n[1], c->n[2] };
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            if (s[j] > s[j + 1]) {
                int64_t swap = s[j];
                s[j] = s[j + 1];
                s[j + 1] = swap;
            }
    c->key = case_key("add", s, 3);
}

static bool ask_add(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    struct buf e = { 0 };
    bool held, words = rng_below(t->rng, 6) == 0;
    if (words && c->pick)
        buf_printf(&e, "%lld, %lld and %lld", (long long)c->n[0], (long long)c->n[1], (long long)c->n[2]);
    else if (words)
        buf_printf(&e, "%lld and %lld", (long long)c->n[0], (long long)c->n[1]);
    else
        put_binary(t->rng, &e, c->n[0], '+', c->n[1]);
    if (!words && c->pick)
        buf_printf(&e, rng_below(t->rng, 3) ? " + %lld" : "+%lld", (long long)c->n[2]);
    wording_put(t->question,
                wording_pick(t->rng, words ? WORDINGS(sum_words) : WORDINGS(calculate), withheld, &held),
                buf_str(&e));
    buf_free(&e);
    return held;
}

/* a + b for any signs, brought back to a sum or a difference of numbers that are not negative. */
static int64_t solve_signed(struct exam_text *t, int64_t a, int64_t b)
{
    struct buf *out = t->trace;
    if (a >= 0 && b >= 0)
        return steps_add(t, out, a, b, true);
    if (a < 0 && b < 0) {
        buf_printf(out, "-(%lld+%lld)\n", (long long)-a, (long long)-b);
        return -steps_add(t, out, -a, -b, true);
    }
    int64_t plus = a < 0 ? b : a, minus = a < 0 ? -a : -b;
    if (plus >= minus) {
        buf_printf(out, "%lld-%lld\n", (long long)plus, (long long)minus);
        return steps_sub(t, out, plus, minus, true);
    }
    buf_printf(out, "-(%lld-%lld)\n", (long long)minus, (long long)plus);
    return -steps_sub(t, out, minus, plus, true);
}

static void solve_add(const struct exam_case *c, struct exam_text *t)
{
    int64_t sum = solve_signed(t, c->n[0], c->n[1]), first = sum;
    if (c->pick)
        sum = steps_add(t, t->trace, first, c->n[2], true);
    if (c->pick)
        steps_check(t, t->recheck, '+', first, c->n[2], sum);
    else if (c->n[0] >= 0 && c->n[1] >= 0)
        steps_check(t, t->recheck, '+', c->n[0], c->n[1], sum);
    answer_int(t, sum);
}

const struct exam_family family_add = {
    .name = "add",
    .what = "sums: 1 small, 2-5 by digits, 6 three addends, 7 negative numbers",
    .levels = 7,
    .draw = draw_add,
    .ask = ask_add,
    .solve = solve_add,
    .check = check_number,
};

/* Writes a wording whose slots {a} and {b} are the case's numbers. */
static void put_slots(struct buf *out, const char *wording, const struct exam_case *c)
{
    for (; *wording; wording++) {
        if (wording[0] == '{') {
            buf_printf(out, "%lld", (long long)c->n[wording[1] - 'a']);
            wording += 2;
        } else {
            buf_putc(out, *wording);
        }
    }
}

/* --- differences --- */

static const char *const difference_words[] = {
    "Subtract {b} from {a}.",
    "What is {a} minus {b}?",
    "Take {b} away from {a}.",
    "Find {a} minus {b}.",
    "What is left when {b} is taken from {a}?",
    "Calculate {a} minus {b}.",
    "!What remains of {a} after removing {b}?",
};

static void draw_sub(struct rng *rng, int level, struct exam_case *c)
{
    c->pick = 0;
    switch (level) {
    case 1:
        c->n[0] = rng_range(rng, 0, 99);
        c->n[1] = rng_range(rng, 0, c->n[0] < 20 ? c->n[0] : 20);
        break;
    case 6: /* below zero */
        c->n[1] = random_digits(rng, 1 + (int)rng_below(rng, 4));
        c->n[0] = rng_range(rng, 0, c->n[1]);
        break;
    case 7: /* a negative operand */
        c->n[0] = rng_range(rng, 1, rng_below(rng, 2) ? 99 : 999) * (rng_below(rng, 2) ? -1 : 1);
        c->n[1] =
            rng_range(rng, 1, rng_below(rng, 2) ? 99 : 999) * (c->n[0] > 0 || rng_below(rng, 2) ? -1 : 1);
        break;
    default:
        c->n[0] = random_digits(rng, level);
        c->n[1] = rng_below(rng, 2) ? rng_range(rng, 0, c->n[0])
                                    : random_digits(rng, 1 + (int)rng_below(rng, (uint64_t)level));
        if (c->n[1] > c->n[0]) {
            int64_t swap = c->n[0];
            c->n[0] = c->n[1];
            c->n[1] = swap;
        }
        break;
    }
    c->key = case_key("sub", c->n, 2);
}

static bool ask_sub(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    struct buf e = { 0 };
    bool held;
    if (rng_below(t->rng, 6) == 0) {
        put_slots(t->question, wording_pick(t->rng, WORDINGS(difference_words), withheld, &held), c);
        return held;
    }
    put_binary(t->rng, &e, c->n[0], '-', c->n[1]);
    wording_put(t->question, wording_pick(t->rng, WORDINGS(calculate), withheld, &held), buf_str(&e));
    buf_free(&e);
    return held;
}

static void solve_sub(const struct exam_case *c, struct exam_text *t)
{
    int64_t a = c->n[0], b = c->n[1];
    if (b < 0)
        buf_printf(t->trace, "%lld+%lld\n", (long long)a, (long long)-b);
    if (a >= 0 && b >= 0 && a >= b)
        steps_sub(t, t->trace, a, b, true);
    else
        solve_signed(t, a, -b);
    if (a >= b && b >= 0)
        steps_check(t, t->recheck, '-', a, b, a - b);
    answer_int(t, a - b);
}

const struct exam_family family_sub = {
    .name = "sub",
    .what = "differences: 1 small, 2-5 by digits, 6 below zero, 7 negative numbers",
    .levels = 7,
    .draw = draw_sub,
    .ask = ask_sub,
    .solve = solve_sub,
    .check = check_number,
};

/* --- products --- */

static const char *const product_words[] = {
    "What is {a} times {b}?",
    "Multiply {a} by {b}.",
    "What is the product of {a} and {b}?",
    "Find the product of {a} and {b}.",
    "Multiply {a} and {b}.",
    "Calculate {a} times {b}.",
    "!Work out the product of {a} and {b}.",
    "!How much is {a} multiplied by {b}?",
};

static void draw_mul(struct rng *rng, int level, struct exam_case *c)
{
    static const int shape[][2] = { { 1, 1 }, { 2, 1 }, { 3, 1 }, { 2, 2 }, { 4, 1 }, { 3, 2 }, { 3, 3 } };
    c->n[0] = level == 1 ? rng_range(rng, 0, 12) : random_digits(rng, shape[level - 1][0]);
    c->n[1] = level == 1 ? rng_range(rng, 0, 12) : random_digits(rng, shape[level - 1][1]);
    c->few = level == 1;
    int64_t s[2] = { c->n[0] < c->n[1] ? c->n[0] : c->n[1], c->n[0] < c->n[1] ? c->n[1] : c->n[0] };
    c->key = case_key("mul", s, 2);
    if (rng_below(rng, 3) == 0) {
        c->n[0] = s[0];
        c->n[1] = s[1];
    }
}

static bool ask_pair(const struct exam_case *c, struct exam_text *t, bool withheld, char op,
                     struct wordings words)
{
    struct buf e = { 0 };
    bool held;
    if (rng_below(t->rng, 4)) {
        put_binary(t->rng, &e, c->n[0], op, c->n[1]);
        wording_put(t->question, wording_pick(t->rng, WORDINGS(calculate), withheld, &held), buf_str(&e));
        buf_free(&e);
        return held;
    }
    put_slots(t->question, wording_pick(t->rng, words, withheld, &held), c);
    return held;
}

static bool ask_mul(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    return ask_pair(c, t, withheld, '*', WORDINGS(product_words));
}

static void solve_mul(const struct exam_case *c, struct exam_text *t)
{
    int64_t value = steps_mul(t, t->trace, c->n[0], c->n[1], t->effort >= EXAM_MEDIUM);
    steps_check(t, t->recheck, '*', c->n[0], c->n[1], value);
    answer_int(t, value);
}

const struct exam_family family_mul = {
    .name = "mul",
    .what = "products by digits: 1 tables, 2 2x1, 3 3x1, 4 2x2, 5 4x1, 6 3x2, 7 3x3",
    .levels = 7,
    .draw = draw_mul,
    .ask = ask_mul,
    .solve = solve_mul,
    .check = check_number,
};

/* --- division --- */

enum { DIV_EXACT, DIV_BOTH, DIV_REST, DIV_WHOLE };

static const char *const exact_words[] = {
    "What is {a} divided by {b}?",
    "Divide {a} by {b}.",
    "Calculate {a} divided by {b}.",
    "How many times does {b} go into {a}?",
    "!Share {a} equally among {b}: how much is each part?",
};
static const char *const both_words[] = {
    "Divide {a} by {b} with remainder.",
    "What are the quotient and remainder of {a} divided by {b}?",
    "Find the quotient and the remainder when {a} is divided by {b}.",
    "What is {a} divided by {b}, with remainder?",
    "Calculate {a} / {b} with remainder.",
    "Work out {a} divided by {b}. Give quotient and remainder.",
    "!Do long division of {a} by {b} and give the remainder too.",
};
static const char *const rest_words[] = {
    "What is the remainder when {a} is divided by {b}?",
    "Find the remainder of {a} divided by {b}.",
    "What is {a} mod {b}?",
    "Compute {a} mod {b}.",
    "{a} % {b}",
    "What remainder does {a} leave when divided by {b}?",
    "!If you divide {a} by {b}, what is left over?",
};
static const char *const whole_words[] = {
    "What is the quotient of {a} divided by {b}, ignoring the remainder?",
    "How many whole times does {b} fit into {a}?",
    "What is {a} divided by {b}, rounded down?",
    "!How many full groups of {b} can be made from {a}?",
};

static void draw_div(struct rng *rng, int level, struct exam_case *c)
{
    static const int shape[][2] = { { 2, 1 }, { 2, 1 }, { 3, 1 }, { 3, 1 }, { 4, 1 }, { 3, 2 }, { 4, 2 } };
    int64_t a = random_digits(rng, shape[level - 1][0]);
    int64_t b = level == 1   ? rng_range(rng, 2, 12)
                : level >= 6 ? rng_range(rng, 11, rng_below(rng, 2) ? 99 : 25)
                             : rng_range(rng, 2, 9);
    if (level == 1)
        a = b * rng_range(rng, 1, 12);
    bool exact = level <= 2 || rng_below(rng, 3) == 0;
    if (exact && a >= b)
        a -= a % b;
    c->pick = a % b == 0 && rng_below(rng, 3) ? DIV_EXACT : (int)rng_range(rng, DIV_BOTH, DIV_WHOLE);
    c->n[0] = a;
    c->n[1] = b;
    c->few = level == 1;
    c->key = case_key("div", c->n, 2);
}

static bool ask_div(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    const struct wordings words[] = { WORDINGS(exact_words), WORDINGS(both_words), WORDINGS(rest_words),
                                      WORDINGS(whole_words) }; /* in the order of the DIV_ kinds */
    if (c->pick == DIV_EXACT)
        return ask_pair(c, t, withheld, '/', words[DIV_EXACT]);
    bool held;
    put_slots(t->question, wording_pick(t->rng, words[c->pick], withheld, &held), c);
    return held;
}

static void solve_div(const struct exam_case *c, struct exam_text *t)
{
    int64_t rest, a = c->n[0], b = c->n[1];
    int64_t whole = steps_div(t, t->trace, a, b, &rest);
    buf_puts(t->recheck, "check\n");
    steps_mul(t, t->recheck, whole, b, t->effort >= EXAM_MEDIUM);
    if (rest)
        buf_printf(t->recheck, "%lld+%lld=%lld\n", (long long)(whole * b), (long long)rest, (long long)a);
    buf_puts(t->recheck, "ok\n");
    if (c->pick == DIV_BOTH) {
        buf_printf(t->answer, "%lld remainder %lld", (long long)whole, (long long)rest);
        buf_printf(t->visible, "Answer: %lld remainder %lld", (long long)whole, (long long)rest);
    } else {
        answer_int(t, c->pick == DIV_REST ? rest : whole);
    }
}

const struct exam_family family_div = {
    .name = "div",
    .what = "division: 1 tables, 2 exact, 3-5 by one digit, 6-7 by two digits; quotients and remainders",
    .levels = 7,
    .draw = draw_div,
    .ask = ask_div,
    .solve = solve_div,
    .check = check_number,
};
