/*
 * expr.c - mixed expressions: precedence and parentheses, worked off one operation at a time.
 *
 * A case holds the postfix form: n[] are the numbers in order, pick encodes the tree's shape and operators.
 * Every intermediate value is a whole number from 0 to VALUE_MAX, so the lines stay simple arithmetic.
 */
#include "exam/exam_impl.h"

#define NODES_MAX 16
#define VALUE_MAX 9999

struct node {
    char op; /* 0: a number */
    int64_t value;
    int left, right;
};

struct tree {
    struct node nodes[NODES_MAX];
    int count, root;
};

static int grow(struct tree *x, struct rng *rng, int operators, const int64_t *limits)
{
    int at = x->count++;
    struct node *n = &x->nodes[at];
    if (operators == 0) {
        *n = (struct node){ .value = rng_range(rng, limits[0], limits[1]) };
        return at;
    }
    static const char ops[] = "++--***/";
    char op = ops[rng_below(rng, sizeof ops - 1)];
    int left = (int)rng_below(rng, (uint64_t)operators);
    int l = grow(x, rng, left, limits);
    int r = grow(x, rng, operators - 1 - left, limits);
    x->nodes[at] = (struct node){ .op = op, .left = l, .right = r };
    return at;
}

/* False when a value leaves the range, or a division is not exact. */
static bool value_of(const struct tree *x, int at, int64_t *out)
{
    const struct node *n = &x->nodes[at];
    int64_t a, b;
    *out = n->value;
    if (!n->op)
        return true;
    if (!value_of(x, n->left, &a) || !value_of(x, n->right, &b))
        return false;
    if (n->op == '/' && (b < 2 || a % b || a == 0))
        return false;
    if (n->op == '*' && a > 12 && b > 12 && (a > 99 || b > 99))
        return false;
    *out = apply_op(n->op, a, b);
    return *out >= 0 && *out <= VALUE_MAX;
}

static int rank(char op)
{
    return op == 0 ? 3 : op == '*' || op == '/' ? 2 : 1;
}

static void put_tree(const struct tree *x, int at, struct buf *out, const char *times, const char *gap)
{
    const struct node *n = &x->nodes[at];
    if (!n->op) {
        buf_printf(out, "%lld", (long long)n->value);
        return;
    }
    const struct node *l = &x->nodes[n->left], *r = &x->nodes[n->right];
    bool lp = rank(l->op) < rank(n->op);
    /* a-(b+c) and a/(b*c) keep their parentheses; so does a*(b/c), which reads better with them */
    bool rp = rank(r->op) < rank(n->op) || (r->op && rank(r->op) == rank(n->op) && n->op != '+') ||
              (n->op == '+' && r->op == '-');
    buf_puts(out, lp ? "(" : "");
    put_tree(x, n->left, out, times, gap);
    buf_printf(out, "%s%s%s%s", lp ? ")" : "", gap, n->op == '*' ? times : (char[]){ n->op, 0 }, gap);
    buf_puts(out, rp ? "(" : "");
    put_tree(x, n->right, out, times, gap);
    buf_puts(out, rp ? ")" : "");
}

/* Nothing but additions: those are asked by add. */
static bool only_sums(const struct tree *x)
{
    for (int i = 0; i < x->count; i++)
        if (x->nodes[i].op && x->nodes[i].op != '+')
            return false;
    return true;
}

static void draw_expr(struct rng *rng, int level, struct exam_case *c)
{
    /* operators, smallest and largest number */
    static const int64_t shape[][3] = { { 2, 1, 10 },  { 2, 2, 20 }, { 3, 1, 10 }, { 3, 2, 30 },
                                        { 3, 2, 120 }, { 4, 1, 40 }, { 5, 1, 30 }, { 6, 1, 20 } };
    const int64_t *s = shape[level - 1];
    struct tree x;
    int64_t value;
    do {
        x.count = 0;
        x.root = grow(&x, rng, (int)s[0], s + 1);
    } while (only_sums(&x) || !value_of(&x, x.root, &value));
    /* one number for each node in the order they were grown: op code or value, and the left size */
    for (int i = 0; i < x.count; i++)
        c->n[i] = x.nodes[i].op ? -((int64_t)x.nodes[i].op * 256 + x.nodes[i].right) : x.nodes[i].value;
    c->pick = x.count;
    c->key = case_key("expr", c->n, (size_t)x.count);
}

static void tree_from(const struct exam_case *c, struct tree *x)
{
    x->count = c->pick;
    x->root = 0;
    for (int i = 0; i < x->count; i++)
        x->nodes[i] = c->n[i] >= 0 ? (struct node){ .value = c->n[i] }
                                   : (struct node){ .op = (char)(-c->n[i] / 256),
                                                    .left = i + 1,
                                                    .right = (int)(-c->n[i] % 256) };
}

static bool ask_expr(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const ask[] = {
        "What is {}?",
        "Calculate {}.",
        "Evaluate {}.",
        "Compute {}.",
        "{}",
        "{} = ?",
        "Work out {}.",
        "What is the value of {}?",
        "Simplify {}.",
        "Find the value of {}.",
        "How much is {}?",
        "Evaluate the expression {}.",
        "what is {}",
        "Please compute {}.",
        "!What does the expression {} come to?",
        "!Give the value of {}.",
    };
    static const char *const times[] = { "*", "*", "*", "\xc3\x97", "x" };
    struct tree x;
    struct buf e = { 0 };
    bool held;
    tree_from(c, &x);
    put_tree(&x, x.root, &e, times[rng_below(t->rng, ARRAY_LEN(times))], rng_below(t->rng, 2) ? " " : "");
    wording_put(t->question, wording_pick(t->rng, WORDINGS(ask), withheld, &held), buf_str(&e));
    buf_free(&e);
    return held;
}

/* The first (or last) operation whose operands are both numbers. */
static int next_node(const struct tree *x, int at, bool last)
{
    const struct node *n = &x->nodes[at];
    if (!n->op)
        return -1;
    int first = next_node(x, last ? n->right : n->left, last);
    if (first >= 0)
        return first;
    int second = next_node(x, last ? n->left : n->right, last);
    return second >= 0 ? second : at;
}

/* One operation after the other, the whole written again after each. Compact working leaves out the operations
 * that need no columns: the expression says what they come to. */
static int64_t reduce(struct exam_text *t, struct buf *out, struct tree x, bool last)
{
    bool all = t->effort >= EXAM_MEDIUM && out == t->trace;
    int64_t value = 0;
    put_tree(&x, x.root, out, "*", "");
    buf_putc(out, '\n');
    for (int at; (at = next_node(&x, x.root, last)) >= 0;) {
        struct node *n = &x.nodes[at];
        int64_t a = x.nodes[n->left].value, b = x.nodes[n->right].value;
        bool end = at == x.root; /* its own lines name both numbers */
        value = apply_op(n->op, a, b);
        if (all || end || !steps_easy(n->op, a, b))
            value = steps_apply(t, out, n->op, a, b);
        *n = (struct node){ .value = value };
        if (!end && (x.nodes[x.root].left != at || x.nodes[x.nodes[x.root].right].op) &&
            (x.nodes[x.root].right != at || x.nodes[x.nodes[x.root].left].op)) {
            put_tree(&x, x.root, out, "*", "");
            buf_putc(out, '\n');
        }
    }
    return value;
}

static void solve_expr(const struct exam_case *c, struct exam_text *t)
{
    struct tree x;
    tree_from(c, &x);
    bool last = (c->key >> 8 & 1) != (t->route != 0); /* from which end */
    int64_t value = reduce(t, t->trace, x, last);
    check_begin(t->recheck);
    check_equal(t->recheck, reduce(t, t->recheck, x, !last), value);
    answer_int(t, value);
}

const struct exam_family family_expr = {
    .name = "expr",
    .what = "mixed expressions with parentheses: 2 operations, 2, 3, 3, 3 with larger numbers, 4, 5, 6",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_expr,
    .ask = ask_expr,
    .solve = solve_expr,
    .check = check_number,
};
