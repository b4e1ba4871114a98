/*
 * countdown.c - reach a target with given numbers, each used once: a search, its dead ends written out.
 *
 * A node of the search is the list of numbers that are left. A branch joins two of them; when two are left, every
 * operation on them is tried. "no" ends a branch and the next one starts from the list on top. How many branches fail
 * before the right one is drawn: little at low effort, more above, for the model cannot know the way and must have
 * seen what to do when a branch fails.
 */
#include "exam/exam_impl.h"

#include <stdio.h>
#include <string.h>

#define NUMBERS_MAX 4
#define VALUE_MAX   9999
#define TEXT_MAX    64

/* n[0..count-1] the numbers, n[4] the target, n[5..7] the solution: one join for each step, packed as
 * left index * 64 + right index * 8 + op; an index of a joined number is that of its left part. */
enum { CD_TARGET = NUMBERS_MAX, CD_JOINS };

static const char join_ops[] = "+-*/";

struct hand {
    int64_t value[NUMBERS_MAX];
    char text[NUMBERS_MAX][TEXT_MAX]; /* the expression of each, for the answer */
    bool used[NUMBERS_MAX];
    int count, left;
};

static bool can_join(char op, int64_t a, int64_t b, int64_t *value)
{
    if (op == '-' && a <= b)
        return false;
    if (op == '/' && (b < 2 || a % b))
        return false;
    if (op == '*' && (a < 2 || b < 2))
        return false;
    *value = apply_op(op, a, b);
    return *value <= VALUE_MAX;
}

static bool join(struct hand *h, int a, int b, char op)
{
    int64_t value;
    if (a == b || h->used[a] || h->used[b] || !can_join(op, h->value[a], h->value[b], &value))
        return false;
    h->value[a] = value;
    h->used[b] = true;
    h->left--;
    return true;
}

static int pick_free(struct rng *rng, const struct hand *h)
{
    int at;
    do {
        at = (int)rng_below(rng, (uint64_t)h->count);
    } while (h->used[at]);
    return at;
}

static struct hand first_hand(const struct exam_case *c)
{
    struct hand h = { .count = c->pick, .left = c->pick };
    memcpy(h.value, c->n, sizeof h.value);
    return h;
}

static void draw_countdown(struct rng *rng, int level, struct exam_case *c)
{
    static const int counts[EXAM_LEVELS_MAX] = { 3, 3, 3, 3, 4, 4, 4, 4 };
    static const int64_t top[EXAM_LEVELS_MAX] = { 10, 10, 20, 50, 10, 20, 50, 100 };
    struct hand h;
    do {
        c->pick = counts[level - 1];
        for (int i = 0; i < c->pick; i++)
            c->n[i] = rng_range(rng, 1, top[level - 1]);
        h = first_hand(c);
        for (int step = 0; h.left > 1;) {
            int a = pick_free(rng, &h), b = pick_free(rng, &h);
            int op = (int)rng_below(rng, level == 1 ? 2 : 4);
            if (a != b && join(&h, a, b, join_ops[op]))
                c->n[CD_JOINS + step++] = a * 64 + b * 8 + op;
            else if (rng_below(rng, 40) == 0)
                break;
        }
        for (int i = 0; i < c->pick; i++)
            if (!h.used[i])
                c->n[CD_TARGET] = h.value[i];
    } while (h.left > 1 || c->n[CD_TARGET] < 2 || c->n[CD_TARGET] > 999);
    /* the same numbers and target are one case, whatever the order and the solution */
    int64_t id[NUMBERS_MAX + 1] = { c->n[0], c->n[1], c->n[2], c->pick == 4 ? c->n[3] : 0, c->n[CD_TARGET] };
    for (int i = 0; i < c->pick - 1; i++)
        for (int k = 0; k < c->pick - 1; k++)
            if (id[k] > id[k + 1]) {
                int64_t swap = id[k];
                id[k] = id[k + 1];
                id[k + 1] = swap;
            }
    c->key = case_key("countdown", id, NUMBERS_MAX + 1);
}

static bool ask_countdown(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const ask[] = {
        "Use the numbers {}, each once, to make {e}.",
        "Make {e} from {}. Use every number exactly once.",
        "Using {} once each with + - * /, reach {e}.",
        "Find an expression with {} that equals {e}. Each number is used exactly once.",
        "Countdown: numbers {}, target {e}.",
        "Combine {} with +, -, *, / to get {e}; use each number once.",
        "How can you make {e} out of {}, using each number once?",
        "Numbers: {}. Target: {e}. Use each number exactly once.",
        "Write {e} with the numbers {}, each used once.",
        "With {} and the four operations, make {e}.",
        "Get {e} from the numbers {} (each exactly once).",
        "Reach the target {e} with {}.",
        "Can you make {e} using {} once each?",
        "Find a way to get {e} from {}.",
        "I have the numbers {}. How do I get {e}, using all of them once?",
        "!Put {} together with + - * / so that the result is {e}.",
        "!Target {e}, numbers {}: find an expression that uses each once.",
    };
    struct buf e = { 0 };
    for (int i = 0; i < c->pick; i++)
        buf_printf(&e, i ? (rng_below(t->rng, 8) ? ", %lld" : " %lld") : "%lld", (long long)c->n[i]);
    bool held = ask_words(c, t, withheld, WORDINGS(ask), buf_str(&e), 0);
    buf_free(&e);
    return held;
}

static void put_list(struct buf *out, const struct hand *h)
{
    const char *gap = "";
    for (int i = 0; i < h->count; i++)
        if (!h->used[i]) {
            buf_printf(out, "%s%lld", gap, (long long)h->value[i]);
            gap = ",";
        }
    buf_putc(out, '\n');
}

static void put_join(struct exam_text *t, const struct hand *h, int a, int b, char op)
{
    steps_line(t, t->trace, apply_op(op, h->value[a], h->value[b]), "%lld%c%lld", (long long)h->value[a], op,
               (long long)h->value[b]);
}

/* Which two numbers are joined, and how. */
struct joint {
    int a, b;
    char op;
};

/* Every operation on the last two; true when one of them reaches the target, which is then *found. write: put
 * the lines up to it. */
static bool last_two(struct exam_text *t, const struct hand *h, int64_t target, bool write,
                     struct joint *found)
{
    int a = -1, b = -1;
    for (int i = 0; i < h->count; i++)
        if (!h->used[i]) {
            b = a < 0 ? b : i;
            a = a < 0 ? i : a;
        }
    for (int op = 0; op < 4; op++) {
        bool turn = (join_ops[op] == '-' || join_ops[op] == '/') && h->value[a] < h->value[b];
        int64_t value;
        *found = (struct joint){ turn ? b : a, turn ? a : b, join_ops[op] };
        if (!can_join(found->op, h->value[found->a], h->value[found->b], &value))
            continue;
        if (write)
            put_join(t, h, found->a, found->b, found->op);
        if (value == target)
            return true;
    }
    return false;
}

/* One branch that fails, from the list of all numbers; nothing is written when the branch drawn would succeed. */
static void dead_end(const struct exam_case *c, struct exam_text *t)
{
    struct hand h = first_hand(c);
    struct buf lines = { 0 };
    struct buf *trace = t->trace;
    t->trace = &lines;
    int at = t->slip_at; /* a slip in a dead end teaches nothing */
    int count = t->lines;
    t->slip_at = -1;
    while (h.left > 2) {
        int a = pick_free(t->rng, &h), b = pick_free(t->rng, &h);
        struct hand before = h;
        char op = join_ops[rng_below(t->rng, 4)];
        if (a == b || !join(&h, a, b, op))
            continue;
        put_join(t, &before, a, b, op);
        put_list(t->trace, &h);
    }
    struct joint found;
    bool solved = last_two(t, &h, c->n[CD_TARGET], false, &found);
    if (!solved)
        last_two(t, &h, c->n[CD_TARGET], true, &found);
    t->trace = trace;
    t->slip_at = at;
    t->lines = count;
    if (!solved) {
        buf_put_str(t->trace, buf_str(&lines));
        buf_puts(t->trace, "no\n");
    }
    buf_free(&lines);
}

/* The text of a joined pair: joined parts in parentheses where they could be read otherwise. */
static void join_text(char out[static TEXT_MAX], const char *left, const char *right, char op)
{
    bool product = op == '*' || op == '/';
    const char *l = product && strpbrk(left, "+-") ? "(" : "";
    const char *r = strpbrk(right, product ? "+-*/" : "+-") && op != '+' ? "(" : "";
    struct buf text = { 0 };
    buf_printf(&text, "%s%s%s%c%s%s%s", l, left, *l ? ")" : "", op, r, right, *r ? ")" : "");
    memcpy(out, text.ptr, text.len < TEXT_MAX ? text.len + 1 : TEXT_MAX);
    out[TEXT_MAX - 1] = 0;
    buf_free(&text);
}

/* The joins that lead to the target, as the search writes them or, for the check, each worked out. */
static int64_t walk(const struct exam_case *c, struct exam_text *t, bool check,
                    char expression[static TEXT_MAX])
{
    struct hand h = first_hand(c);
    char text[NUMBERS_MAX][TEXT_MAX];
    int last = 0;
    for (int i = 0; i < c->pick; i++)
        snprintf(text[i], TEXT_MAX, "%lld", (long long)c->n[i]);
    for (int step = 0; step < c->pick - 1; step++) {
        int code = (int)c->n[CD_JOINS + step];
        struct joint on = { code / 64, code / 8 % 8, join_ops[code % 8] };
        char joined[TEXT_MAX];
        if (h.left == 2)
            last_two(t, &h, c->n[CD_TARGET], !check, &on);
        else if (!check)
            put_join(t, &h, on.a, on.b, on.op);
        if (check)
            steps_apply(t, t->recheck, on.op, h.value[on.a], h.value[on.b]);
        join(&h, on.a, on.b, on.op);
        if (h.left >= 2 && !check)
            put_list(t->trace, &h);
        join_text(joined, text[on.a], text[on.b], on.op);
        memcpy(text[on.a], joined, TEXT_MAX);
        last = on.a;
    }
    memcpy(expression, text[last], TEXT_MAX);
    return h.value[last];
}

static void solve_countdown(const struct exam_case *c, struct exam_text *t)
{
    static const int dead[EXAM_EFFORTS] = { 1, 3, 4, 4 };
    char expression[TEXT_MAX];
    struct hand h = first_hand(c);
    buf_printf(t->trace, "%lld: ", (long long)c->n[CD_TARGET]);
    put_list(t->trace, &h);
    for (int64_t k = rng_range(t->rng, 0, dead[t->effort]); k > 0; k--)
        dead_end(c, t);
    walk(c, t, false, expression);
    buf_printf(t->trace, "%s\n", expression);
    check_begin(t->recheck);
    buf_printf(t->recheck, "%s\n", expression);
    check_equal(t->recheck, walk(c, t, true, expression), c->n[CD_TARGET]);
    answer_put(t, "%s", expression);
}

const struct exam_family family_countdown = {
    .name = "countdown",
    .what = "reach a target with all numbers: three to 10 by + -, 10, 20, 50, four to 10, 20, 50, 100",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_countdown,
    .ask = ask_countdown,
    .solve = solve_countdown,
    .check = check_expression,
};
