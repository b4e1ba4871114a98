/*
 * template_parse.c - statements of a chat template, tokens to nodes; and what both parsers stand on.
 *
 * Each statement is a row of a table: its word and the function that reads on from there. What Jinja has and
 * chat templates do not need (inheritance, includes, imports, recursive loops) is refused by name.
 */
#include "text/template_impl.h"

#include <stdio.h>
#include <string.h>

/* --- shared with template_expr.c ------------------------------------------------------------------------------ */

struct node *parse_fail(struct parser *p, int line, const char *fmt, ...)
{
    static const struct node nothing = { .kind = N_CONST };
    static const struct token end = { .kind = T_END };
    if (!p->failed) {
        char what[256];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(what, sizeof what, fmt, ap);
        va_end(ap);
        err_set(p->err, ERR_FORMAT, NULL, "The chat template, line %d: %s.", line, what);
    }
    p->failed = true;
    p->at = &end;
    struct node *n = arena_alloc(&p->t->arena, sizeof *n);
    *n = nothing;
    return n;
}

struct node *node_new(struct parser *p, enum node_kind kind, int line)
{
    struct node *n = arena_alloc(&p->t->arena, sizeof *n);
    n->kind = kind;
    n->line = line;
    return n;
}

void node_add(struct parser *p, struct node *parent, struct node *child)
{
    size_t n = parent->n_items;
    if ((n & (n - 1)) == 0) { /* 0, 1, 2, 4, ...: the capacity is the next power of two */
        struct node **grown = arena_array(&p->t->arena, n ? n * 2 : 1, sizeof *grown);
        if (n)
            memcpy(grown, parent->items, n * sizeof *grown);
        parent->items = grown;
    }
    parent->items[parent->n_items++] = child;
}

void next_token(struct parser *p)
{
    p->at += p->at->kind != T_END;
}

bool is_operator(const struct parser *p, const char *text)
{
    return p->at->kind == T_OPERATOR && str_is(p->at->text, text);
}

bool is_name(const struct parser *p, const char *text)
{
    return p->at->kind == T_NAME && str_is(p->at->text, text);
}

bool skip_operator(struct parser *p, const char *text)
{
    bool found = is_operator(p, text);
    p->at += found;
    return found;
}

bool skip_name(struct parser *p, const char *text)
{
    bool found = is_name(p, text);
    p->at += found;
    return found;
}

void expect_operator(struct parser *p, const char *text)
{
    if (!skip_operator(p, text))
        parse_fail(p, p->at->line, "\"%s\" is expected", text);
}

struct str expect_name(struct parser *p)
{
    struct str name = p->at->text;
    if (p->at->kind != T_NAME) {
        parse_fail(p, p->at->line, "a name is expected");
        return STR("");
    }
    next_token(p);
    return name;
}

int intern(struct parser *p, struct str name, bool reads)
{
    struct chat_template *t = p->t;
    size_t i = 0;
    while (i < t->n_names && !str_eq(t->names[i], name))
        i++;
    if (i == TEMPLATE_NAMES_MAX) {
        parse_fail(p, p->at->line, "there are more than %d names", TEMPLATE_NAMES_MAX);
        return 0;
    }
    if (i == t->n_names)
        t->names[t->n_names++] = arena_str(&t->arena, name);
    t->read[i] |= reads;
    return (int)i;
}

/* --- targets of assignment ---------------------------------------------------------------------------------------- */

static struct node *parse_one_target(struct parser *p, bool with_namespace)
{
    struct node *n = node_new(p, N_NAME, p->at->line);
    if (skip_operator(p, "(")) {
        n = parse_target(p, with_namespace);
        expect_operator(p, ")");
        return n;
    }
    n->text = expect_name(p);
    static const char *const constants[] = { "true", "false", "none", "True", "False", "None" };
    for (size_t i = 0; i < ARRAY_LEN(constants); i++)
        if (str_is(n->text, constants[i]))
            return parse_fail(p, n->line, "a value cannot be assigned to %s", constants[i]);
    bool attribute = with_namespace && is_operator(p, ".");
    n->name = intern(p, n->text, attribute);
    if (!attribute)
        return n;
    struct node *attr = node_new(p, N_ATTR, p->at->line);
    next_token(p);
    attr->a = n;
    attr->text = expect_name(p);
    return attr;
}

struct node *parse_target(struct parser *p, bool with_namespace)
{
    if (p->depth == NEST_MAX)
        return parse_fail(p, p->at->line, "names are nested too deeply");
    p->depth++;
    struct node *first = parse_one_target(p, with_namespace), *n = first;
    if (is_operator(p, ",")) {
        n = node_new(p, N_TUPLE, first->line);
        node_add(p, n, first);
        while (skip_operator(p, ",") && ((p->at->kind == T_NAME && !is_name(p, "in")) || is_operator(p, "(")))
            node_add(p, n, parse_one_target(p, with_namespace));
    }
    p->depth--;
    return n;
}

/* --- statements ---------------------------------------------------------------------------------------------------- */

static void expect_block_end(struct parser *p)
{
    if (p->at->kind == T_BLOCK_END)
        next_token(p);
    else
        parse_fail(p, p->at->line, "\"%%}\" is expected");
}

static struct node *parse_block(struct parser *p, const char *const *ends);

/* A body up to its one end, which is eaten whole. */
static struct node *parse_body(struct parser *p, const char *end)
{
    const char *const ends[] = { end, NULL };
    expect_block_end(p);
    struct node *body = parse_block(p, ends);
    p->at += !p->failed; /* the end's word */
    return body;
}

static struct node *parse_if(struct parser *p, int line)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL };
    struct node *n = node_new(p, N_IF, line);
    p->ifs++;
    for (bool more = true; more && !p->failed;) {
        node_add(p, n, parse_tuple(p, false));
        expect_block_end(p);
        node_add(p, n, parse_block(p, ends));
        more = skip_name(p, "elif");
    }
    if (skip_name(p, "else"))
        node_add(p, n, parse_body(p, "endif"));
    else if (!skip_name(p, "endif"))
        parse_fail(p, line, "an if has no endif");
    p->ifs--;
    return n;
}

static struct node *parse_for(struct parser *p, int line)
{
    static const char *const ends[] = { "else", "endfor", NULL };
    struct node *n = node_new(p, N_FOR, line);
    n->a = parse_target(p, false);
    if (!skip_name(p, "in"))
        return parse_fail(p, line, "\"in\" is expected");
    n->b = parse_tuple(p, false);
    if (skip_name(p, "if"))
        n->c = parse_expression(p);
    if (is_name(p, "recursive"))
        return parse_fail(p, line, "recursive loops are not supported");
    expect_block_end(p);
    p->loops++;
    node_add(p, n, parse_block(p, ends));
    p->loops--;
    if (skip_name(p, "else"))
        node_add(p, n, parse_body(p, "endfor"));
    else if (!skip_name(p, "endfor"))
        parse_fail(p, line, "a for has no endfor");
    return n;
}

static struct node *parse_set(struct parser *p, int line)
{
    struct node *n = node_new(p, N_SET, line);
    n->a = parse_target(p, true);
    if (skip_operator(p, "=")) {
        n->b = parse_tuple(p, true);
        return n;
    }
    n->kind = N_SET_BLOCK;
    n->c = parse_filters(p, NULL, false);
    n->b = parse_body(p, "endset");
    return n;
}

const char *const macro_names[MACRO_NAMES] = { "caller", "varargs", "kwargs" };

/* Which of the special names stand between from and here. */
static int find_macro_names(const struct parser *p, const struct token *from)
{
    int found = 0;
    for (const struct token *t = from; !p->failed && t < p->at; t++)
        for (int i = 0; i < MACRO_NAMES; i++)
            if (t->kind == T_NAME && str_is(t->text, macro_names[i]))
                found |= 1 << i;
    return found;
}

/* "(" a, b=1 ")" */
static void parse_params(struct parser *p, struct node *macro)
{
    expect_operator(p, "(");
    for (bool defaults = false; !p->failed && !is_operator(p, ")");) {
        if (macro->n_items)
            expect_operator(p, ",");
        struct node *param = node_new(p, N_NAME, p->at->line);
        param->text = expect_name(p);
        param->name = intern(p, param->text, false);
        if (skip_operator(p, "="))
            param->a = parse_expression(p);
        else if (defaults)
            parse_fail(p, macro->line, "a parameter without default follows one with default");
        defaults = param->a != NULL;
        node_add(p, macro, param);
    }
    expect_operator(p, ")");
}

static void parse_macro_body(struct parser *p, struct node *macro, const char *end)
{
    const struct token *from = p->at;
    unsigned loops = p->loops;
    p->loops = 0; /* a break inside may not leave the macro */
    macro->a = parse_body(p, end);
    p->loops = loops;
    macro->op = find_macro_names(p, from);
}

static struct node *parse_macro(struct parser *p, int line)
{
    struct node *n = node_new(p, N_MACRO, line);
    n->text = expect_name(p);
    n->name = intern(p, n->text, false);
    parse_params(p, n);
    parse_macro_body(p, n, "endmacro");
    return n;
}

/* {% call(params) macro(arguments) %}: the body is a macro that the callee knows as caller. */
static struct node *parse_call_block(struct parser *p, int line)
{
    struct node *n = node_new(p, N_CALL_BLOCK, line);
    n->a = node_new(p, N_MACRO, line);
    n->a->text = str_from(macro_names[MACRO_CALLER]);
    if (is_operator(p, "("))
        parse_params(p, n->a);
    n->b = parse_expression(p);
    if (!p->failed && n->b->kind != N_CALL)
        return parse_fail(p, line, "a call is expected");
    parse_macro_body(p, n->a, "endcall");
    return n;
}

static struct node *parse_with(struct parser *p, int line)
{
    struct node *n = node_new(p, N_SCOPE, line);
    while (!p->failed && p->at->kind != T_BLOCK_END) {
        if (n->n_items)
            expect_operator(p, ",");
        node_add(p, n, parse_target(p, false));
        expect_operator(p, "=");
        node_add(p, n, parse_expression(p));
    }
    n->a = parse_body(p, "endwith");
    return n;
}

/* Hugging Face's mark for what the assistant said: no more than a scope to us. */
static struct node *parse_generation(struct parser *p, int line)
{
    struct node *n = node_new(p, N_SCOPE, line);
    unsigned loops = p->loops;
    p->loops = 0; /* its body is a function of its own there */
    n->a = parse_body(p, "endgeneration");
    p->loops = loops;
    return n;
}

static struct node *parse_filter_block(struct parser *p, int line)
{
    struct node *n = node_new(p, N_FILTER_BLOCK, line);
    n->a = parse_filters(p, NULL, true);
    n->b = parse_body(p, "endfilter");
    return n;
}

static struct node *parse_jump(struct parser *p, int line, enum node_kind kind)
{
    if (!p->loops)
        return parse_fail(p, line, "break and continue are for loops only");
    return node_new(p, kind, line);
}

static struct node *parse_break(struct parser *p, int line)
{
    return parse_jump(p, line, N_BREAK);
}

static struct node *parse_continue(struct parser *p, int line)
{
    return parse_jump(p, line, N_CONTINUE);
}

static const struct statement {
    const char *word;
    struct node *(*parse)(struct parser *p, int line);
} statements[] = {
    { "if", parse_if },           { "for", parse_for },           { "set", parse_set },
    { "macro", parse_macro },     { "with", parse_with },         { "generation", parse_generation },
    { "break", parse_break },     { "continue", parse_continue }, { "filter", parse_filter_block },
    { "call", parse_call_block },
};

/* Behind "{%". */
static struct node *parse_statement(struct parser *p)
{
    int line = p->at->line;
    struct str word = expect_name(p);
    for (size_t i = 0; i < ARRAY_LEN(statements); i++)
        if (str_is(word, statements[i].word)) {
            struct node *n = statements[i].parse(p, line);
            expect_block_end(p);
            return n;
        }
    return parse_fail(p, line, "the statement \"%.*s\" is not supported", STR_ARG(word));
}

static bool is_end(const struct parser *p, const char *const *ends)
{
    for (; ends && *ends; ends++)
        if (is_name(p, *ends))
            return true;
    return false;
}

/* Statements up to one of the words in ends, which is left standing behind its "{%"; ends NULL: all. */
static struct node *parse_block(struct parser *p, const char *const *ends)
{
    struct node *body = node_new(p, N_BLOCK, p->at->line);
    if (p->depth == NEST_MAX)
        return parse_fail(p, p->at->line, "statements are nested too deeply");
    p->depth++;
    while (!p->failed && p->at->kind != T_END) {
        struct node *n = node_new(p, p->at->kind == T_DATA ? N_DATA : N_PRINT, p->at->line);
        enum token_kind kind = p->at->kind;
        n->text = p->at->text;
        next_token(p);
        if (kind == T_VARIABLE_BEGIN) {
            n->a = parse_tuple(p, true);
            if (p->at->kind == T_VARIABLE_END)
                next_token(p);
            else
                parse_fail(p, p->at->line, "\"}}\" is expected");
        } else if (kind == T_BLOCK_BEGIN) {
            if (is_end(p, ends))
                break;
            n = parse_statement(p);
        }
        node_add(p, body, n);
    }
    if (ends && p->at->kind == T_END) {
        while (ends[1])
            ends++; /* the last word of a row is the one that ends it for good */
        parse_fail(p, body->line, "\"%s\" is missing", ends[0]);
    }
    p->depth--;
    return body;
}

enum err_code template_parse(struct chat_template *t, const struct token *tokens, struct err *err)
{
    t->names = arena_array(&t->arena, TEMPLATE_NAMES_MAX, sizeof *t->names);
    t->read = arena_array(&t->arena, TEMPLATE_NAMES_MAX, sizeof *t->read);
    struct parser p = { .t = t, .at = tokens, .err = err };
    t->loop_name = intern(&p, STR("loop"), false);
    for (int i = 0; i < MACRO_NAMES; i++)
        t->macro_names[i] = intern(&p, str_from(macro_names[i]), false);
    t->body = parse_block(&p, NULL);
    return p.failed ? ERR_FORMAT : ERR_OK;
}
