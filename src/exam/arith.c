/*
 * arith.c - the four operations on whole numbers: families add, sub, mul and div.
 *
 * Case numbers: n[0], n[1] and for sums of three n[2]; pick tells the shape of the question.
 */
#include "exam/exam_impl.h"

#include <stdlib.h>

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
    "Compute the value of {}.",
    "{} is what?",
    "Hello, can you calculate {}?",
    "My exercise: {}",
    "How much do I get for {}?",
    "calculate {}",
    "Determine {}.",
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
    "Sum {}.",
    "How much do {} make together?",
    "What are {} in total?",
    "Work out the sum of {}.",
    "sum of {}",
    "Please add {}.",
    "Add together {}.",
    "Add the numbers {}.",
    "!What do you get when you add {}?",
    "!Give me the total of {}.",
};

/* As many digits as the range says; half of the time the other operand is as long, else any shorter. */
static void draw_pair(struct rng *rng, int low, int high, int64_t n[2])
{
    int digits = (int)rng_range(rng, low, high);
    n[0] = random_digits(rng, digits);
    n[1] = random_digits(rng, rng_below(rng, 2) ? digits : (int)rng_range(rng, 1, digits));
    if (rng_below(rng, 2)) {
        int64_t swap = n[0];
        n[0] = n[1];
        n[1] = swap;
    }
}

/* At least one of the two becomes negative, a zero aside. */
static void draw_signs(struct rng *rng, int64_t n[2])
{
    int signs = (int)rng_range(rng, 1, 3);
    n[0] = signs & 1 ? -n[0] : n[0];
    n[1] = signs & 2 ? -n[1] : n[1];
}

/* Digits of the longer operand by level. The last level is a step longer than any trained one. */
static const int sum_digits[EXAM_LEVELS_MAX][2] = { { 1, 2 }, { 2, 2 }, { 2, 3 }, { 3, 4 },
                                                    { 4, 5 }, { 4, 6 }, { 6, 7 }, { 8, 9 } };

static void sort3(int64_t s[3])
{
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            if (s[j] > s[j + 1]) {
                int64_t swap = s[j];
                s[j] = s[j + 1];
                s[j + 1] = swap;
            }
}

static void draw_add(struct rng *rng, int level, struct exam_case *c)
{
    bool middle = level >= 3 && level <= 7;
    draw_pair(rng, sum_digits[level - 1][0], sum_digits[level - 1][1], c->n);
    if (level == 1)
        c->n[0] = rng_range(rng, 0, 20);
    c->pick = middle && rng_below(rng, 5) == 0; /* three addends */
    if (c->pick)
        c->n[2] = random_digits(rng, (int)rng_range(rng, 1, level - 1));
    else if (middle && rng_below(rng, 4) == 0)
        draw_signs(rng, c->n);
    /* the same key for every order of the addends */
    int64_t s[3] = { c->n[0], c->n[1], c->n[2] };
    sort3(s);
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

/* a plus or minus b: by columns from the right. The other way goes place by place from the left where that is short,
 * else a sum changes its order. */
static int64_t solve_pair(struct exam_text *t, struct buf *out, char op, int64_t a, int64_t b)
{
    if (a < 0 || b < 0 || (op == '-' && a < b))
        return steps_signed(t, out, op, a, b);
    if (t->route && b < 1000)
        return steps_places(t, out, op, a, b);
    if (op == '-')
        return steps_sub(t, out, a, b, true);
    return t->route ? steps_add(t, out, b, a, true) : steps_add(t, out, a, b, true);
}

static void solve_add(const struct exam_case *c, struct exam_text *t)
{
    int64_t a = c->n[0], b = c->n[1];
    if (c->pick) {
        bool tail = t->route || rng_below(t->rng, 4) == 0; /* which two go first */
        a = solve_pair(t, t->trace, '+', c->n[tail], c->n[tail + 1]);
        b = c->n[tail ? 0 : 2];
    }
    int64_t sum = solve_pair(t, t->trace, '+', a, b);
    steps_check(t, t->recheck, '+', a, b, sum);
    answer_int(t, sum);
}

const struct exam_family family_add = {
    .name = "add",
    .what = "sums: to 2 digits, 2, 3, 4, 5, 6, 7, 9; from level 3 also signs and three addends",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
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
    "What is the difference between {a} and {b}?",
    "How much is {a} minus {b}?",
    "{a} minus {b}",
    "Find the difference of {a} and {b}.",
    "Deduct {b} from {a}.",
    "What do you get when you subtract {b} from {a}?",
    "What is {a} less {b}?",
    "Please subtract {b} from {a}.",
    "!What remains of {a} after removing {b}?",
};

static void draw_sub(struct rng *rng, int level, struct exam_case *c)
{
    bool middle = level >= 3 && level <= 7;
    draw_pair(rng, sum_digits[level - 1][0], sum_digits[level - 1][1], c->n);
    if (level == 1)
        c->n[1] = rng_range(rng, 0, c->n[0] < 20 ? c->n[0] : 20);
    bool below = middle && rng_below(rng, 4) == 0;
    if ((c->n[0] < c->n[1]) != below) {
        int64_t swap = c->n[0];
        c->n[0] = c->n[1];
        c->n[1] = swap;
    }
    if (middle && rng_below(rng, 6) == 0)
        draw_signs(rng, c->n);
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
    int64_t value = solve_pair(t, t->trace, '-', c->n[0], c->n[1]);
    steps_check(t, t->recheck, '-', c->n[0], c->n[1], value);
    answer_int(t, value);
}

const struct exam_family family_sub = {
    .name = "sub",
    .what = "differences: digits as add; from level 3 also signs and results below zero",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
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
    "How much is {a} times {b}?",
    "{a} times {b}",
    "Compute the product of {a} and {b}.",
    "What do you get when you multiply {a} by {b}?",
    "What is {a} multiplied by {b}?",
    "Please multiply {a} by {b}.",
    "Give the product of {a} and {b}.",
    "{a} multiplied by {b} is what?",
    "!Work out the product of {a} and {b}.",
    "!How much is {a} multiplied by {b}?",
};

static void draw_mul(struct rng *rng, int level, struct exam_case *c)
{
    /* digits of the two factors; one of the two shapes of a level is drawn */
    static const int shape[EXAM_LEVELS_MAX][2][2] = {
        { { 1, 1 }, { 1, 1 } }, { { 2, 1 }, { 2, 1 } }, { { 3, 1 }, { 2, 2 } }, { { 2, 2 }, { 4, 1 } },
        { { 3, 2 }, { 5, 1 } }, { { 3, 3 }, { 4, 2 } }, { { 4, 3 }, { 5, 2 } }, { { 4, 4 }, { 5, 3 } },
    };
    const int *s = shape[level - 1][rng_below(rng, 3) == 0];
    c->few = level == 1;
    for (int i = 0; i < 2; i++)
        c->n[i] = random_digits(rng, s[i]);
    if (level == 1)
        for (int i = 0; i < 2; i++)
            c->n[i] = rng_range(rng, 0, 12);
    if (rng_below(rng, 3) == 0) {
        int64_t swap = c->n[0];
        c->n[0] = c->n[1];
        c->n[1] = swap;
    }
    if (level >= 3 && level <= 7 && rng_below(rng, 8) == 0)
        draw_signs(rng, c->n);
    int64_t sorted[2] = { c->n[0] < c->n[1] ? c->n[0] : c->n[1], c->n[0] < c->n[1] ? c->n[1] : c->n[0] };
    c->key = case_key("mul", sorted, 2);
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
    int64_t a = c->n[0], b = c->n[1], x = llabs(a), y = llabs(b);
    bool table = x <= 12 && y <= 12;
    int64_t value = steps_mul(t, t->trace, x, y, !table);
    if (a < 0 || b < 0)
        value = steps_line(t, t->trace, (a < 0) != (b < 0) ? -value : value,
                           b < 0 ? "%lld*(%lld)" : "%lld*%lld", (long long)a, (long long)b);
    steps_check(t, t->recheck, '*', x, y, llabs(value));
    answer_int(t, value);
}

const struct exam_family family_mul = {
    .name = "mul",
    .what = "products by digits: tables, 2x1, 3x1 2x2, 4x1, 3x2 5x1, 3x3 4x2, 4x3 5x2, 4x4 5x3; from level 3 "
            "also signs",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
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
    "How much is {a} divided by {b}?",
    "{a} divided by {b}",
    "What is the quotient of {a} and {b}?",
    "Split {a} into {b} equal parts: how large is each?",
    "Please divide {a} by {b}.",
    "Find {a} divided by {b}.",
    "!Share {a} equally among {b}: how much is each part?",
};
static const char *const both_words[] = {
    "Divide {a} by {b} with remainder.",
    "What are the quotient and remainder of {a} divided by {b}?",
    "Find the quotient and the remainder when {a} is divided by {b}.",
    "What is {a} divided by {b}, with remainder?",
    "Calculate {a} / {b} with remainder.",
    "Work out {a} divided by {b}. Give quotient and remainder.",
    "Give quotient and remainder of {a} : {b}.",
    "{a} divided by {b} with remainder",
    "Divide {a} by {b} and state the remainder.",
    "How often does {b} fit into {a}, and what is the remainder?",
    "Long division: {a} by {b}. Quotient and remainder?",
    "!Do long division of {a} by {b} and give the remainder too.",
};
static const char *const rest_words[] = {
    "What is the remainder when {a} is divided by {b}?",
    "Find the remainder of {a} divided by {b}.",
    "What is {a} mod {b}?",
    "Compute {a} mod {b}.",
    "{a} % {b}",
    "What remainder does {a} leave when divided by {b}?",
    "{a} is divided by {b}. What is the remainder?",
    "Give the remainder of {a} : {b}.",
    "remainder of {a} divided by {b}",
    "What is left over when {a} is divided by {b}?",
    "!If you divide {a} by {b}, what is left over?",
};
static const char *const whole_words[] = {
    "What is the quotient of {a} divided by {b}, ignoring the remainder?",
    "How many whole times does {b} fit into {a}?",
    "What is {a} divided by {b}, rounded down?",
    "What is the integer part of {a} divided by {b}?",
    "How many whole {b}s are in {a}?",
    "Compute the whole quotient of {a} and {b}.",
    "Divide {a} by {b} and round down.",
    "!How many full groups of {b} can be made from {a}?",
};

static void draw_div(struct rng *rng, int level, struct exam_case *c)
{
    /* digits of a and b; one of the two shapes of a level is drawn */
    static const int shape[EXAM_LEVELS_MAX][2][2] = {
        { { 2, 1 }, { 2, 1 } }, { { 2, 1 }, { 3, 1 } }, { { 3, 1 }, { 4, 1 } }, { { 3, 2 }, { 4, 1 } },
        { { 4, 2 }, { 3, 2 } }, { { 5, 2 }, { 4, 2 } }, { { 4, 3 }, { 5, 3 } }, { { 6, 2 }, { 6, 3 } },
    };
    const int *s = shape[level - 1][rng_below(rng, 3) == 0];
    int64_t a = random_digits(rng, s[0]), b = s[1] == 1 ? rng_range(rng, 2, 9) : random_digits(rng, s[1]);
    if (level == 1) {
        b = rng_range(rng, 2, 12);
        a = b * rng_range(rng, 1, 12);
    }
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

/* The other way: the largest round multiples of b are taken off a, and counted. */
static int64_t divide_chunks(struct exam_text *t, int64_t a, int64_t b, int64_t *rest)
{
    int64_t whole = 0, place = 1;
    while (place * b <= a / 10)
        place *= 10;
    for (*rest = a; place; place /= 10) {
        int64_t digit = *rest / (place * b);
        if (digit == 0)
            continue;
        int64_t product = steps_apply(t, t->trace, '*', b, digit);
        if (place > 1)
            product = steps_line(t, t->trace, b * digit * place, "%lld*%lld", (long long)b,
                                 (long long)(digit * place));
        *rest = steps_apply(t, t->trace, '-', *rest, product);
        whole = whole ? steps_apply(t, t->trace, '+', whole, digit * place) : digit * place;
    }
    return whole;
}

static void solve_div(const struct exam_case *c, struct exam_text *t)
{
    int64_t rest, a = c->n[0], b = c->n[1];
    int64_t whole = t->route && a >= b ? divide_chunks(t, a, b, &rest) : steps_div(t, t->trace, a, b, &rest);
    check_begin(t->recheck);
    int64_t back = steps_apply(t, t->recheck, '*', whole, b);
    if (rest)
        back = steps_apply(t, t->recheck, '+', back, rest);
    check_equal(t->recheck, back, a);
    if (c->pick == DIV_BOTH)
        answer_put(t, "%lld remainder %lld", (long long)whole, (long long)rest);
    else
        answer_int(t, c->pick == DIV_REST ? rest : whole);
}

const struct exam_family family_div = {
    .name = "div",
    .what = "quotients and remainders by digits: tables, 3/1, 4/1, 3/2, 4/2, 5/2, 4/3 5/3, 6/2 6/3",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_div,
    .ask = ask_div,
    .solve = solve_div,
    .check = check_number,
};
