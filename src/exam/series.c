/*
 * series.c - sequences (arithmetic, geometric, with growing differences), counting and small probabilities.
 */
#include "exam/exam_impl.h"

#include <stdlib.h>

/* --- sequences: n = first, step, how far the question asks, terms shown, second step --- */

enum { SEQ_NEXT, SEQ_NTH, SEQ_SUM, SEQ_GEO_NEXT, SEQ_GEO_NTH, SEQ_GROW_NEXT, SEQ_KINDS };

#define SHOWN_MAX 8

static int64_t term_of(const struct exam_case *c, int64_t i)
{
    int64_t value = c->n[0];
    if (c->pick == SEQ_GEO_NEXT || c->pick == SEQ_GEO_NTH) {
        for (int64_t k = 1; k < i; k++)
            value *= c->n[1];
        return value;
    }
    if (c->pick == SEQ_GROW_NEXT)
        return value + c->n[1] * (i - 1) + c->n[4] * (i - 1) * (i - 2) / 2;
    return value + c->n[1] * (i - 1);
}

static void draw_sequence(struct rng *rng, int level, struct exam_case *c)
{
    static const int kinds[EXAM_LEVELS_MAX][2] = {
        { SEQ_NEXT, SEQ_NEXT },      { SEQ_NEXT, SEQ_NTH },      { SEQ_NEXT, SEQ_GEO_NEXT },
        { SEQ_NTH, SEQ_GEO_NTH },    { SEQ_NTH, SEQ_GROW_NEXT }, { SEQ_NEXT, SEQ_GROW_NEXT },
        { SEQ_NEXT, SEQ_GROW_NEXT }, { SEQ_NTH, SEQ_GROW_NEXT },
    };
    static const int64_t first[EXAM_LEVELS_MAX] = { 20, 50, 50, 99, 300, 500, 999, 5000 };
    static const int64_t step[EXAM_LEVELS_MAX] = { 9, 12, 20, 25, 60, 99, 150, 500 };
    static const int64_t far[EXAM_LEVELS_MAX] = { 0, 12, 15, 30, 60, 100, 200, 999 };
    int64_t *n = c->n;
    c->pick = (int)rng_range(rng, kinds[level - 1][0], kinds[level - 1][1]);
    n[0] = rng_range(rng, 1, first[level - 1]);
    n[1] = rng_range(rng, 2, step[level - 1]);
    n[3] = rng_range(rng, 4, 6);
    n[2] = n[3] + 1;
    if (c->pick == SEQ_NTH || c->pick == SEQ_SUM)
        n[2] = rng_range(rng, 6, far[level - 1]);
    if (level >= 3 && (c->pick == SEQ_NEXT || c->pick == SEQ_NTH) && rng_below(rng, 3) == 0)
        n[1] = -n[1];
    if (c->pick == SEQ_GEO_NEXT || c->pick == SEQ_GEO_NTH) {
        n[0] = rng_range(rng, 1, level < 6 ? 9 : 25);
        n[1] = rng_range(rng, 2, level < 6 ? 5 : 9);
        n[3] = rng_range(rng, 3, 4);
        n[2] = c->pick == SEQ_GEO_NEXT ? n[3] + 1 : rng_range(rng, 5, level < 7 ? 6 : 7);
    }
    if (c->pick == SEQ_GROW_NEXT) {
        n[0] = rng_range(rng, 0, first[level - 1] / 4);
        n[1] = rng_range(rng, 1, 15);
        n[4] = rng_range(rng, 1, level < 6 ? 6 : 25);
        n[3] = rng_range(rng, 4, 5);
        n[2] = n[3] + 1;
    }
    c->few = level == 1;
    const int64_t id[] = { c->pick, n[0], n[1], n[2], n[3], n[4] };
    c->key = case_key("sequence", id, 6);
}

static void put_terms(struct buf *out, const struct exam_case *c, const char *gap)
{
    for (int64_t i = 1; i <= c->n[3]; i++)
        buf_printf(out, "%s%lld", i > 1 ? gap : "", (long long)term_of(c, i));
}

static bool ask_sequence(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const next[] = {
        "What is the next number: {}?",
        "What comes next: {}, ...?",
        "Continue the sequence {}.",
        "Find the next term of {}, ...",
        "{}, ?",
        "What is the next term in the sequence {}?",
        "Which number comes next? {}",
        "Give the next number in {}, ...",
        "The sequence {} goes on. What is the next term?",
        "Find the number that follows: {}",
        "{}, ... What comes next?",
        "!Which number continues {}?",
        "!What should follow {}?",
    };
    static const char *const nth[] = {
        "What is term number {c} of the sequence {}, ...?",
        "The sequence {}, ... goes on like that. What is term {c}?",
        "Find term {c} of {}, ...",
        "An arithmetic sequence starts {}. What is term number {c}?",
        "Give term {c} of the sequence {}, ...",
        "In the sequence {}, ... what is the term with number {c}?",
        "{}, ... Which number is at place {c}?",
        "!Calculate the term at position {c} of {}, ...",
    };
    static const char *const sum[] = {
        "What is the sum of the first {c} terms of {}, ...?",
        "Find the sum of the first {c} terms of the sequence {}, ...",
        "Add up the first {c} terms of {}, ...",
        "The sequence {}, ... has how large a sum of its first {c} terms?",
        "An arithmetic sequence starts {}. What do its first {c} terms add up to?",
        "Calculate the sum of {c} terms of {}, ...",
        "!What is the total of the first {c} members of {}, ...?",
    };
    static const char *const geo[] = {
        "A geometric sequence starts {}. What is term number {c}?",
        "What is term number {c} of the geometric sequence {}, ...?",
        "Find term {c} of {}, ...",
        "The sequence {}, ... goes on like that. What is term {c}?",
        "Give term {c} of the sequence {}, ...",
        "{}, ... Which number is at place {c}?",
        "!Calculate the term at position {c} of {}, ...",
    };
    const struct wordings words[SEQ_KINDS] = { WORDINGS(next), WORDINGS(nth), WORDINGS(sum),
                                               WORDINGS(next), WORDINGS(geo), WORDINGS(next) };
    struct buf e = { 0 };
    put_terms(&e, c, rng_below(t->rng, 3) ? ", " : ",");
    bool held = ask_words(c, t, withheld, words[c->pick], buf_str(&e), 0);
    buf_free(&e);
    return held;
}

/* The differences of neighbours, or their quotients; the first few are enough to see the rule. */
static void look(const struct exam_case *c, struct exam_text *t)
{
    bool geo = c->pick == SEQ_GEO_NEXT || c->pick == SEQ_GEO_NTH;
    int64_t count = t->effort == EXAM_LOW && c->pick != SEQ_GROW_NEXT ? 1 : c->n[3] - 1;
    if (c->pick != SEQ_GROW_NEXT && count > 3)
        count = 3;
    for (int64_t i = 1; i <= count; i++)
        steps_signed(t, t->trace, geo ? '/' : '-', term_of(c, i + 1), term_of(c, i));
}

static int64_t sum_of_terms(const struct exam_case *c, struct exam_text *t, int64_t last)
{
    int64_t count = c->n[2], ends = steps_signed(t, t->trace, '+', c->n[0], last);
    if (!t->route || ends % 2) {
        if (t->route) /* an odd sum of the ends means an even count */
            return steps_signed(t, t->trace, '*', steps_apply(t, t->trace, '/', count, 2), ends);
        return steps_signed(t, t->trace, '/', steps_signed(t, t->trace, '*', ends, count), 2);
    }
    return steps_signed(t, t->trace, '*', steps_signed(t, t->trace, '/', ends, 2), count);
}

static int64_t nth_term(const struct exam_case *c, struct exam_text *t)
{
    int64_t times = steps_apply(t, t->trace, '-', c->n[2], 1), from = c->n[0];
    if (t->route) { /* from the second term on */
        times = steps_apply(t, t->trace, '-', c->n[2], 2);
        from = term_of(c, 2);
    }
    return steps_signed(t, t->trace, '+', from, steps_signed(t, t->trace, '*', times, c->n[1]));
}

static int64_t next_term(const struct exam_case *c, struct exam_text *t)
{
    int64_t shown = c->n[3], last = term_of(c, shown);
    if (c->pick == SEQ_GEO_NEXT)
        return steps_apply(t, t->trace, '*', last, c->n[1]);
    if (c->pick == SEQ_NEXT)
        return steps_signed(t, t->trace, '+', last, c->n[1]);
    int64_t step = last - term_of(c, shown - 1), before = term_of(c, shown - 1) - term_of(c, shown - 2);
    int64_t more = steps_signed(t, t->trace, '-', step, before);
    return steps_signed(t, t->trace, '+', last, steps_signed(t, t->trace, '+', step, more));
}

static int64_t geometric_term(const struct exam_case *c, struct exam_text *t)
{
    int64_t from = t->route ? 1 : c->n[3], value = term_of(c, from);
    for (; from < c->n[2]; from++)
        value = steps_apply(t, t->trace, '*', value, c->n[1]);
    return value;
}

static void check_sequence(const struct exam_case *c, struct exam_text *t, int64_t value)
{
    struct buf *out = t->recheck;
    int64_t n = c->n[2];
    check_begin(out);
    switch (c->pick) {
    case SEQ_NTH: /* how many steps lead back to the first term */
        if (value == c->n[0] || (value - c->n[0]) % c->n[1]) {
            check_equal(out, value, c->n[0]);
            return;
        }
        check_equal(out, steps_signed(t, out, '/', steps_signed(t, out, '-', value, c->n[0]), c->n[1]),
                    n - 1);
        return;
    case SEQ_SUM: { /* twice the sum is the count times the sum of the ends */
        int64_t twice = steps_signed(t, out, '*', 2, value), ends = c->n[0] + term_of(c, n);
        check_equal(out, steps_signed(t, out, '*', n, ends), twice);
        return;
    }
    case SEQ_GEO_NEXT:
    case SEQ_GEO_NTH: check_equal(out, steps_apply(t, out, '*', term_of(c, n - 1), c->n[1]), value); return;
    default:
        check_equal(out, steps_signed(t, out, '-', value, term_of(c, n - 1)),
                    term_of(c, n) - term_of(c, n - 1));
        return;
    }
}

static void solve_sequence(const struct exam_case *c, struct exam_text *t)
{
    int64_t value;
    look(c, t);
    switch (c->pick) {
    case SEQ_NTH: value = nth_term(c, t); break;
    case SEQ_SUM: value = sum_of_terms(c, t, nth_term(c, t)); break;
    case SEQ_GEO_NTH: value = geometric_term(c, t); break;
    default: value = next_term(c, t); break;
    }
    check_sequence(c, t, value);
    answer_int(t, value);
}

const struct exam_family family_sequence = {
    .name = "sequence",
    .what = "arithmetic and geometric sequences, growing differences: next term, term n, sums",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_sequence,
    .ask = ask_sequence,
    .solve = solve_sequence,
    .check = check_number,
};

/* --- counting and probability: n depends on the kind; pick = kind --- */

enum {
    COMB_FACTORIAL,
    COMB_PERMUTE,
    COMB_CHOOSE,
    COMB_GROUPS,
    COMB_DICE,
    COMB_BALLS,
    COMB_COINS,
    COMB_KINDS
};

static int64_t choose(int64_t n, int64_t k)
{
    int64_t value = 1;
    for (int64_t i = 0; i < k; i++)
        value = value * (n - i) / (i + 1);
    return value;
}

static void draw_combin(struct rng *rng, int level, struct exam_case *c)
{
    static const int kinds[EXAM_LEVELS_MAX] = { 1, 2, 3, 5, COMB_KINDS, COMB_KINDS, COMB_KINDS, COMB_KINDS };
    static const int64_t top[EXAM_LEVELS_MAX] = { 6, 7, 8, 9, 12, 15, 20, 30 };
    int64_t *n = c->n, max = top[level - 1];
    c->pick = (int)rng_below(rng, (uint64_t)kinds[level - 1]);
    switch (c->pick) {
    case COMB_FACTORIAL: n[0] = rng_range(rng, 3, level < 5 ? max : 10); break;
    case COMB_DICE: n[0] = rng_range(rng, 2, 12); break;
    case COMB_BALLS:
        n[0] = rng_range(rng, 2, max);
        n[1] = rng_range(rng, 2, max);
        break;
    case COMB_COINS:
        n[0] = rng_range(rng, 3, level < 8 ? 7 : 10);
        n[1] = rng_range(rng, 0, n[0]);
        break;
    case COMB_GROUPS:
        n[0] = rng_range(rng, 3, max);
        n[1] = rng_range(rng, 3, max);
        n[2] = rng_range(rng, 1, level < 6 ? 2 : 3);
        n[3] = rng_range(rng, 1, 2);
        break;
    default:
        n[0] = rng_range(rng, 4, max);
        n[1] = rng_range(rng, 2, level < 6 ? 3 : level < 8 ? 4 : 5);
        n[1] = n[1] > n[0] ? n[0] : n[1];
        break;
    }
    c->few = c->pick == COMB_FACTORIAL || c->pick == COMB_DICE || c->pick == COMB_COINS || level <= 4;
    const int64_t id[] = { c->pick, n[0], n[1], n[2], n[3] };
    c->key = case_key("combin", id, 5);
}

static bool ask_combin(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const factorial[] = {
        "What is {a}!?",
        "Calculate {a} factorial.",
        "Compute {a}!.",
        "In how many ways can {a} people stand in a line?",
        "In how many orders can {a} different books stand on a shelf?",
        "What is the factorial of {a}?",
        "How many permutations do {a} different letters have?",
        "In how many ways can {a} runners finish a race?",
        "!How many ways are there to arrange {a} different cards in a row?",
        "!Give the value of {a} factorial.",
    };
    static const char *const permute[] = {
        "In how many ways can {b} of {a} people stand in a line?",
        "How many ordered choices of {b} out of {a} are there?",
        "What is P({a},{b})?",
        "In how many ways can the first {b} places go to {a} runners?",
        "How many ways are there to arrange {b} of {a} different books in a row?",
        "Compute P({a}, {b}).",
        "How many codes of {b} different letters can be made from {a} letters?",
        "!In how many orders can {b} out of {a} cards be laid in a row?",
    };
    static const char *const choices[] = {
        "In how many ways can {b} people be chosen from {a}?",
        "What is C({a},{b})?",
        "How many ways are there to choose {b} of {a} books?",
        "Compute {a} choose {b}.",
        "How many teams of {b} can be made from {a} players?",
        "What is {a} choose {b}?",
        "Compute C({a}, {b}).",
        "How many subsets of size {b} does a set of {a} elements have?",
        "Choose {b} out of {a} cards: how many ways are there?",
        "!How many different groups of {b} can be formed from {a} students?",
    };
    static const char *const groups[] = {
        "From {a} women and {b} men, {c} women and {d} men are chosen. In how many ways?",
        "In how many ways can one choose {c} of {a} red books and {d} of {b} blue books?",
        "A committee of {c} teachers and {d} students is chosen from {a} teachers and {b} students. How many "
        "are possible?",
        "How many ways are there to take {c} out of {a} apples and {d} out of {b} pears, all different?",
        "A team needs {c} of {a} players and {d} of {b} keepers. How many teams are there?",
        "!How many choices of {c} out of {a} cats and {d} out of {b} dogs are there?",
    };
    static const char *const dice[] = {
        "Two dice are rolled. What is the probability that the sum is {a}?",
        "What is the probability of a total of {a} with two dice?",
        "Two fair dice are thrown. How likely is a sum of {a}? Give a fraction.",
        "Find the probability that two dice add up to {a}.",
        "You roll two dice. What is the chance of rolling {a} in total?",
        "!With what probability do two dice show {a} together?",
    };
    static const char *const balls[] = {
        "A bag holds {a} red and {b} blue balls. Two are drawn without putting back. What is the probability "
        "that both are "
        "red?",
        "From {a} red and {b} blue balls two are drawn together. How likely is it that both are red?",
        "There are {a} red and {b} blue balls in a box. What is the probability of drawing two red ones?",
        "A box has {a} red and {b} blue balls. Two are taken out. Find the probability that both are red.",
        "{a} red and {b} blue balls are in a bag. What is the chance that two drawn balls are both red?",
        "!Two balls are taken from {a} red and {b} blue ones. With what probability are both red?",
    };
    static const char *const coins[] = {
        "A coin is tossed {a} times. What is the probability of exactly {b} heads?",
        "What is the probability of exactly {b} heads in {a} tosses of a fair coin?",
        "{a} coins are thrown. How likely are exactly {b} heads? Give a fraction.",
        "You toss {a} coins. What is the chance of exactly {b} heads?",
        "Find the probability that {a} coin tosses give exactly {b} heads.",
        "!With what probability do {a} fair coins show {b} heads?",
    };
    const struct wordings words[COMB_KINDS] = { WORDINGS(factorial), WORDINGS(permute), WORDINGS(choices),
                                                WORDINGS(groups),    WORDINGS(dice),    WORDINGS(balls),
                                                WORDINGS(coins) };
    return ask_words(c, t, withheld, words[c->pick], (struct str){ 0 }, 0);
}

/* from * (from-1) * ..., so many factors; the other way from the smallest up */
static int64_t falling(struct exam_text *t, struct buf *out, int64_t from, int64_t factors)
{
    int64_t value = t->route ? from - factors + 1 : from;
    for (int64_t i = 1; i < factors; i++)
        value = steps_apply(t, out, '*', value, t->route ? from - factors + 1 + i : from - i);
    return value;
}

/* n over k: the falling product by k!; the other way divides after each factor. */
static int64_t choose_steps(struct exam_text *t, struct buf *out, int64_t n, int64_t k)
{
    if (k > n - k)
        k = n - k;
    if (k == 0)
        return steps_line(t, out, 1, "C(%lld,%lld)", (long long)n, (long long)k);
    int64_t value = n;
    if (!t->route) {
        struct exam_text down = *t;
        value = falling(t, out, n, k);
        int64_t under = k > 2 ? falling(&down, out, k, k - 1) : k;
        t->lines = down.lines > t->lines ? down.lines : t->lines;
        if (under > 1)
            value = steps_apply(t, out, '/', value, under);
    }
    for (int64_t i = 2; t->route && i <= k; i++)
        value = steps_apply(t, out, '/', steps_apply(t, out, '*', value, n - i + 1), i);
    return steps_line(t, out, value, "C(%lld,%lld)", (long long)n, (long long)k);
}

/* num/den in lowest terms, by what both share */
static void answer_ratio(struct exam_text *t, int64_t num, int64_t den)
{
    int64_t g = gcd_of(num, den);
    if (g > 1) {
        buf_printf(t->trace, "%lld/%lld\n", (long long)num, (long long)den);
        steps_gcd(t, t->trace, num, den);
        num = steps_apply(t, t->trace, '/', num, g);
        den = steps_apply(t, t->trace, '/', den, g);
    }
    if (den == 1)
        answer_int(t, num);
    else
        answer_put(t, "%lld/%lld", (long long)num, (long long)den);
}

/* Every roll that gives the sum, counted. */
static void solve_dice(const struct exam_case *c, struct exam_text *t)
{
    int64_t sum = c->n[0], count = 0;
    for (int64_t a = 1; a <= 6; a++) {
        int64_t b = sum - a;
        if (b < 1 || b > 6)
            continue;
        buf_printf(t->trace, t->route ? "%lld+%lld=%lld\n" : "%lld+%lld=%lld\n",
                   (long long)(t->route ? b : a), (long long)(t->route ? a : b), (long long)sum);
        count++;
    }
    steps_line(t, t->trace, count, "count");
    buf_puts(t->trace, "6*6=36\n");
    check_begin(t->recheck);
    /* sums up to 7 have one way less than the sum, larger ones as many as their distance from 13 */
    check_equal(t->recheck,
                sum <= 7 ? steps_apply(t, t->recheck, '-', sum, 1) : steps_apply(t, t->recheck, '-', 13, sum),
                count);
    answer_ratio(t, count, 36);
}

/* Two derivations of the same ratio are equal when their products crosswise are. */
static void check_ratio(struct exam_text *t, int64_t num, int64_t den, int64_t other_num, int64_t other_den)
{
    int64_t left = steps_apply(t, t->recheck, '*', num, other_den);
    check_equal(t->recheck, left, steps_apply(t, t->recheck, '*', other_num, den));
}

/* The first red, then the second; or pairs of red ones among all pairs. */
static void balls_ratio(struct exam_text *t, struct buf *out, const int64_t *n, bool pairs, int64_t ratio[2])
{
    int64_t red = n[0], all = steps_apply(t, out, '+', red, n[1]);
    if (pairs) {
        ratio[0] = choose_steps(t, out, red, 2);
        ratio[1] = choose_steps(t, out, all, 2);
        return;
    }
    int64_t less = steps_apply(t, out, '-', red, 1), fewer = steps_apply(t, out, '-', all, 1);
    ratio[0] = steps_apply(t, out, '*', red, less);
    ratio[1] = steps_apply(t, out, '*', all, fewer);
}

static void solve_balls(const struct exam_case *c, struct exam_text *t)
{
    int64_t ratio[2], other[2];
    balls_ratio(t, t->trace, c->n, t->route, ratio);
    check_begin(t->recheck);
    balls_ratio(t, t->recheck, c->n, !t->route, other);
    check_ratio(t, ratio[0], ratio[1], other[0], other[1]);
    answer_ratio(t, ratio[0], ratio[1]);
}

static void solve_coins(const struct exam_case *c, struct exam_text *t)
{
    int64_t num = choose_steps(t, t->trace, c->n[0], c->n[1]);
    int64_t den = steps_power(t, t->trace, 2, (int)c->n[0]);
    struct exam_text back = *t;
    back.route = !t->route;
    back.slip_at = -1;
    check_begin(t->recheck); /* the same count by the other way */
    check_equal(t->recheck, choose_steps(&back, t->recheck, c->n[0], c->n[1]), num);
    answer_ratio(t, num, den);
}

static void solve_combin(const struct exam_case *c, struct exam_text *t)
{
    const int64_t *n = c->n;
    int64_t value, other;
    switch (c->pick) {
    case COMB_DICE: solve_dice(c, t); return;
    case COMB_BALLS: solve_balls(c, t); return;
    case COMB_COINS: solve_coins(c, t); return;
    case COMB_FACTORIAL: value = falling(t, t->trace, n[0], n[0] - 1); break;
    case COMB_PERMUTE: value = falling(t, t->trace, n[0], n[1]); break;
    case COMB_CHOOSE: value = choose_steps(t, t->trace, n[0], n[1]); break;
    default:
        value = choose_steps(t, t->trace, n[0], n[2]);
        other = choose_steps(t, t->trace, n[1], n[3]);
        value = steps_apply(t, t->trace, '*', value, other);
        break;
    }
    /* the same product in the other order */
    struct exam_text back = *t;
    back.route = !t->route;
    back.slip_at = -1;
    check_begin(t->recheck);
    switch (c->pick) {
    case COMB_FACTORIAL: other = falling(&back, t->recheck, n[0], n[0] - 1); break;
    case COMB_PERMUTE: other = falling(&back, t->recheck, n[0], n[1]); break;
    case COMB_CHOOSE: other = choose_steps(&back, t->recheck, n[0], n[1]); break;
    default: other = steps_apply(t, t->recheck, '*', choose(n[1], n[3]), choose(n[0], n[2])); break;
    }
    check_equal(t->recheck, other, value);
    answer_int(t, value);
}

const struct exam_family family_combin = {
    .name = "combin",
    .what = "permutations, combinations, dice, balls, coins: of 6, 7, 8, 9, 12, 15, 20, 30",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_combin,
    .ask = ask_combin,
    .solve = solve_combin,
    .check = check_fraction,
};
