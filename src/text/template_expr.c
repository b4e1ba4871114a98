/*
 * template_expr.c - expressions of a chat template, tokens to nodes.
 *
 * Recursive descent in Jinja's order of precedence, weakest first:
 *   a if b else c, or, and, not, comparisons and in, + -, ~, * / // %, **, unary + -, postfix . [] (), | and is
 * A filter or test that is not known, and a method name that no type has, are refused here with their line; a
 * filter or test inside an if only when it is reached, as Jinja does, since templates ask first where they
 * run.
 */
#include "text/template_impl.h"

#include <stdlib.h>
#include <string.h>

static struct node *parse_unary(struct parser *p, bool with_filters);
static struct node *parse_or(struct parser *p);

/* Every recursion of expressions passes here. */
static bool enter(struct parser *p)
{
    if (p->depth == NEST_MAX)
        parse_fail(p, p->at->line, "expressions are nested too deeply");
    else
        p->depth++;
    return !p->failed;
}

static struct node *binary(struct parser *p, enum node_kind kind, int op, struct node *left,
                           struct node *right)
{
    struct node *n = node_new(p, kind, left->line);
    n->op = op;
    n->a = left;
    n->b = right;
    return n;
}

static struct node *constant(struct parser *p, struct value v)
{
    struct node *n = node_new(p, N_CONST, p->at->line);
    n->constant = v;
    return n;
}

/* --- atoms ---------------------------------------------------------------------------------------------------- */

static struct node *parse_number(struct parser *p)
{
    char digits[64], *end;
    struct str text = p->at->text;
    if (text.len >= sizeof digits)
        return parse_fail(p, p->at->line, "a number is too long");
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    struct node *n;
    if (p->at->kind == T_FLOAT) {
        n = constant(p, v_float(strtod(digits, &end)));
    } else {
        char base = text.len > 1 ? (char)(digits[1] | 0x20) : 0;
        int radix = base == 'x' ? 16 : base == 'o' ? 8 : base == 'b' ? 2 : 10;
        const char *first = radix == 10 ? digits : digits + 2;
        uint64_t value = strtoull(first, &end, radix);
        if (end == first || *end || value > INT64_MAX)
            return parse_fail(p, p->at->line, "the number %s is malformed or too large", digits);
        n = constant(p, v_int((int64_t)value));
    }
    next_token(p);
    return n;
}

/* Strings that follow each other are one. */
static struct node *parse_string(struct parser *p)
{
    struct node *n = constant(p, v_string(p->at->text));
    for (next_token(p); p->at->kind == T_STRING; next_token(p)) {
        struct str a = n->constant.s, b = p->at->text;
        char *joined = arena_alloc(&p->t->arena, a.len + b.len + 1);
        memcpy(joined, a.ptr, a.len);
        memcpy(joined + a.len, b.ptr, b.len);
        n->constant.s = (struct str){ joined, a.len + b.len };
    }
    return n;
}

static struct node *parse_name(struct parser *p)
{
    static const struct {
        const char *name;
        struct value value;
    } constants[] = {
        { "true", { .kind = V_BOOL, .b = true } },
        { "True", { .kind = V_BOOL, .b = true } },
        { "false", { .kind = V_BOOL, .b = false } },
        { "False", { .kind = V_BOOL, .b = false } },
        { "none", { .kind = V_NONE } },
        { "None", { .kind = V_NONE } },
    };
    for (size_t i = 0; i < ARRAY_LEN(constants); i++)
        if (str_is(p->at->text, constants[i].name)) {
            struct node *n = constant(p, constants[i].value);
            next_token(p);
            return n;
        }
    struct node *n = node_new(p, N_NAME, p->at->line);
    n->text = p->at->text;
    n->name = intern(p, n->text, true);
    next_token(p);
    return n;
}

static struct node *parse_list(struct parser *p)
{
    struct node *n = node_new(p, N_LIST, p->at->line);
    next_token(p);
    while (!p->failed && !is_operator(p, "]")) {
        if (n->n_items) {
            expect_operator(p, ",");
            if (is_operator(p, "]"))
                break;
        }
        node_add(p, n, parse_expression(p));
    }
    expect_operator(p, "]");
    return n;
}

static struct node *parse_dict(struct parser *p)
{
    struct node *n = node_new(p, N_DICT, p->at->line);
    next_token(p);
    while (!p->failed && !is_operator(p, "}")) {
        if (n->n_items) {
            expect_operator(p, ",");
            if (is_operator(p, "}"))
                break;
        }
        node_add(p, n, parse_expression(p));
        expect_operator(p, ":");
        node_add(p, n, parse_expression(p));
    }
    expect_operator(p, "}");
    return n;
}

static struct node *parse_primary(struct parser *p)
{
    const struct token *t = p->at;
    switch (t->kind) {
    case T_NAME: return parse_name(p);
    case T_STRING: return parse_string(p);
    case T_INTEGER:
    case T_FLOAT: return parse_number(p);
    case T_OPERATOR:
        if (is_operator(p, "["))
            return parse_list(p);
        if (is_operator(p, "{"))
            return parse_dict(p);
        if (skip_operator(p, "(")) {
            struct node *n = is_operator(p, ")") ? node_new(p, N_TUPLE, t->line) : parse_tuple(p, true);
            expect_operator(p, ")");
            return n;
        }
        break;
    default: break;
    }
    return parse_fail(p, t->line, "an expression is expected");
}

/* --- postfix ----------------------------------------------------------------------------------------------------- */

/* "(" has been seen; the arguments become n's items and named. */
static void parse_arguments(struct parser *p, struct node *n)
{
    expect_operator(p, "(");
    for (bool first = true; !p->failed && !is_operator(p, ")"); first = false) {
        if (!first) {
            expect_operator(p, ",");
            if (is_operator(p, ")"))
                break;
        }
        if (n->c || (n->b && is_operator(p, "*"))) {
            parse_fail(p, p->at->line, "an argument follows *args or **kwargs");
        } else if (skip_operator(p, "*")) {
            n->b = parse_expression(p);
        } else if (skip_operator(p, "**")) {
            n->c = parse_expression(p);
        } else if (p->at->kind == T_NAME && p->at[1].kind == T_OPERATOR && str_is(p->at[1].text, "=")) {
            struct named_node *grown = arena_array(&p->t->arena, n->n_named + 1, sizeof *grown);
            if (n->n_named)
                memcpy(grown, n->named, n->n_named * sizeof *grown);
            n->named = grown;
            struct str name = p->at->text;
            p->at += 2;
            n->named[n->n_named++] = (struct named_node){ name, parse_expression(p) };
        } else if (n->n_named || n->b) {
            parse_fail(p, p->at->line, "an argument without name follows one with name");
        } else {
            node_add(p, n, parse_expression(p));
        }
    }
    expect_operator(p, ")");
}

static struct node *parse_call(struct parser *p, struct node *callee)
{
    struct node *n = node_new(p, N_CALL, callee->line);
    n->a = callee;
    if (callee->kind == N_ATTR && !is_method_name(callee->text))
        return parse_fail(p, callee->line, "the method \"%.*s\" is not supported", STR_ARG(callee->text));
    parse_arguments(p, n);
    return n;
}

/* The parts of start:stop:step; NULL where left out. */
static struct node *parse_slice_part(struct parser *p)
{
    return is_operator(p, ":") || is_operator(p, "]") ? NULL : parse_expression(p);
}

static struct node *parse_item(struct parser *p, struct node *object)
{
    int line = p->at->line;
    next_token(p);
    struct node *start = parse_slice_part(p), *key = start;
    if (is_operator(p, ":")) {
        key = node_new(p, N_SLICE, line);
        key->a = start;
        next_token(p);
        key->b = parse_slice_part(p);
        if (skip_operator(p, ":"))
            key->c = parse_slice_part(p);
    }
    if (!key)
        return parse_fail(p, line, "an index is expected");
    expect_operator(p, "]");
    return binary(p, N_ITEM, 0, object, key);
}

static struct node *parse_dot(struct parser *p, struct node *object)
{
    next_token(p);
    if (p->at->kind == T_INTEGER)
        return binary(p, N_ITEM, 0, object, parse_number(p));
    struct node *n = node_new(p, N_ATTR, p->at->line);
    n->a = object;
    n->text = expect_name(p);
    return n;
}

static struct node *parse_postfix(struct parser *p, struct node *n)
{
    while (!p->failed) {
        if (is_operator(p, "."))
            n = parse_dot(p, n);
        else if (is_operator(p, "["))
            n = parse_item(p, n);
        else if (is_operator(p, "("))
            n = parse_call(p, n);
        else
            break;
    }
    return n;
}

static struct node *parse_filter(struct parser *p, struct node *input)
{
    struct node *n = node_new(p, N_FILTER, p->at->line);
    struct str name = expect_name(p);
    n->a = input;
    n->builtin = find_filter(name);
    n->text = name;
    if (!n->builtin && !p->ifs)
        return parse_fail(p, n->line, "the filter \"%.*s\" is not supported", STR_ARG(name));
    if (is_operator(p, "("))
        parse_arguments(p, n);
    return n;
}

struct node *parse_filters(struct parser *p, struct node *input, bool after_pipe)
{
    while (!p->failed && (after_pipe || skip_operator(p, "|"))) {
        input = parse_filter(p, input);
        after_pipe = false;
    }
    return input;
}

/* Whether an argument without parentheses follows: `x is divisibleby 3`. */
static bool starts_argument(const struct parser *p)
{
    if (p->at->kind == T_NAME)
        return !is_name(p, "else") && !is_name(p, "or") && !is_name(p, "and");
    return p->at->kind == T_STRING || p->at->kind == T_INTEGER || p->at->kind == T_FLOAT ||
           is_operator(p, "(") || is_operator(p, "[") || is_operator(p, "{");
}

static struct node *parse_test(struct parser *p, struct node *input)
{
    struct node *n = node_new(p, N_TEST, p->at->line);
    next_token(p); /* is */
    bool negated = skip_name(p, "not");
    struct str name = expect_name(p);
    n->a = input;
    n->builtin = find_test(name);
    n->text = name;
    if (!n->builtin && !p->ifs)
        return parse_fail(p, n->line, "the test \"%.*s\" is not supported", STR_ARG(name));
    if (is_operator(p, "("))
        parse_arguments(p, n);
    else if (is_name(p, "is"))
        return parse_fail(p, n->line, "tests cannot be chained with is");
    else if (starts_argument(p))
        node_add(p, n, parse_postfix(p, parse_primary(p)));
    return negated ? binary(p, N_NOT, 0, n, NULL) : n;
}

static struct node *parse_filters_and_tests(struct parser *p, struct node *n)
{
    while (!p->failed) {
        if (skip_operator(p, "|"))
            n = parse_filter(p, n);
        else if (is_name(p, "is"))
            n = parse_test(p, n);
        else if (is_operator(p, "("))
            n = parse_call(p, n);
        else
            break;
    }
    return n;
}

/* --- operators ------------------------------------------------------------------------------------------------------ */

static struct node *parse_unary(struct parser *p, bool with_filters)
{
    if (!enter(p))
        return parse_fail(p, p->at->line, "an expression is expected");
    struct node *n;
    if (skip_operator(p, "-"))
        n = binary(p, N_NEG, 0, parse_unary(p, false), NULL);
    else if (skip_operator(p, "+"))
        n = binary(p, N_POS, 0, parse_unary(p, false), NULL);
    else
        n = parse_primary(p);
    n = parse_postfix(p, n);
    if (with_filters)
        n = parse_filters_and_tests(p, n);
    p->depth--;
    return n;
}

static struct node *parse_pow(struct parser *p)
{
    struct node *n = parse_unary(p, true);
    while (skip_operator(p, "**"))
        n = binary(p, N_BINARY, OP_POW, n, parse_unary(p, true));
    return n;
}

static struct node *parse_product(struct parser *p)
{
    static const char *const operators[] = { "*", "/", "//", "%" };
    static const enum binary_op ops[] = { OP_MUL, OP_DIV, OP_FLOORDIV, OP_MOD };
    struct node *n = parse_pow(p);
    for (size_t i = 0; i < ARRAY_LEN(operators);)
        if (skip_operator(p, operators[i])) {
            n = binary(p, N_BINARY, (int)ops[i], n, parse_pow(p));
            i = 0;
        } else {
            i++;
        }
    return n;
}

static struct node *parse_concat(struct parser *p)
{
    struct node *first = parse_product(p);
    if (!is_operator(p, "~"))
        return first;
    struct node *n = node_new(p, N_CONCAT, first->line);
    node_add(p, n, first);
    while (skip_operator(p, "~"))
        node_add(p, n, parse_product(p));
    return n;
}

static struct node *parse_sum(struct parser *p)
{
    struct node *n = parse_concat(p);
    for (;;)
        if (skip_operator(p, "+"))
            n = binary(p, N_BINARY, OP_ADD, n, parse_concat(p));
        else if (skip_operator(p, "-"))
            n = binary(p, N_BINARY, OP_SUB, n, parse_concat(p));
        else
            return n;
}

/* -1: no comparison follows. */
static int skip_comparison(struct parser *p)
{
    static const char *const operators[] = { "==", "!=", "<", "<=", ">", ">=" };
    for (int i = 0; i < (int)ARRAY_LEN(operators); i++)
        if (skip_operator(p, operators[i]))
            return CMP_EQ + i;
    if (skip_name(p, "in"))
        return CMP_IN;
    if (is_name(p, "not") && p->at[1].kind == T_NAME && str_is(p->at[1].text, "in")) {
        p->at += 2;
        return CMP_NOT_IN;
    }
    return -1;
}

/* a < b < c is a < b and b < c, with b evaluated once. */
static struct node *parse_comparison(struct parser *p)
{
    struct node *first = parse_sum(p), *n = NULL;
    for (int op; (op = skip_comparison(p)) >= 0;) {
        if (!n) {
            n = node_new(p, N_COMPARE, first->line);
            n->a = first;
        }
        node_add(p, n, binary(p, N_COMPARED, op, parse_sum(p), NULL));
    }
    return n ? n : first;
}

static struct node *parse_not(struct parser *p)
{
    if (!is_name(p, "not"))
        return parse_comparison(p);
    if (!enter(p))
        return parse_fail(p, p->at->line, "an expression is expected");
    next_token(p);
    struct node *n = binary(p, N_NOT, 0, parse_not(p), NULL);
    p->depth--;
    return n;
}

static struct node *parse_and(struct parser *p)
{
    struct node *n = parse_not(p);
    while (skip_name(p, "and"))
        n = binary(p, N_AND, 0, n, parse_not(p));
    return n;
}

static struct node *parse_or(struct parser *p)
{
    struct node *n = parse_and(p);
    while (skip_name(p, "or"))
        n = binary(p, N_OR, 0, n, parse_and(p));
    return n;
}

struct node *parse_expression(struct parser *p)
{
    if (!enter(p))
        return parse_fail(p, p->at->line, "an expression is expected");
    struct node *n = parse_or(p);
    while (skip_name(p, "if")) {
        struct node *choice = binary(p, N_IF_EXPR, 0, parse_or(p), n);
        if (skip_name(p, "else"))
            choice->c = parse_expression(p);
        n = choice;
    }
    p->depth--;
    return n;
}

/* Whether the tokens that may end a tuple stand here; a comma may come just before them. */
static bool tuple_ends(const struct parser *p)
{
    return p->at->kind == T_VARIABLE_END || p->at->kind == T_BLOCK_END || p->at->kind == T_END ||
           is_operator(p, ")") || is_name(p, "if") || is_name(p, "recursive");
}

struct node *parse_tuple(struct parser *p, bool conditional)
{
    struct node *first = conditional ? parse_expression(p) : parse_or(p);
    if (!is_operator(p, ","))
        return first;
    struct node *n = node_new(p, N_TUPLE, first->line);
    node_add(p, n, first);
    while (skip_operator(p, ",") && !tuple_ends(p))
        node_add(p, n, conditional ? parse_expression(p) : parse_or(p));
    return n;
}
