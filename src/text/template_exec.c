/*
 * template_exec.c - runs statements: scopes, loops, macros.
 *
 * A scope is opened by each turn of a loop, a macro call, {% with %} and {% generation %}; {% set %} writes into
 * the innermost one, which is why a loop cannot change what is outside but through a namespace. if does not
 * open one. Names not found in any scope are the caller's variables, then functions.
 */
#include "text/template_impl.h"

#include <stdio.h>
#include <string.h>

/* --- names ------------------------------------------------------------------------------------------------------ */

static struct scope *scope_new(struct render *r, struct scope *parent)
{
    struct scope *s = arena_alloc(&r->arena, sizeof *s);
    s->parent = parent;
    return s;
}

/* Opens a scope; gives the one to go back to. */
struct scope *scope_push(struct render *r)
{
    struct scope *before = r->scope;
    r->scope = scope_new(r, before);
    return before;
}

static void bind(struct render *r, struct scope *s, int name, struct value v)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->vars[i].name == name) {
            s->vars[i].value = v;
            return;
        }
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 4;
        struct binding *grown = arena_array(&r->arena, s->cap, sizeof *grown);
        if (s->n)
            memcpy(grown, s->vars, s->n * sizeof *grown);
        s->vars = grown;
    }
    s->vars[s->n++] = (struct binding){ name, v };
}

struct value lookup(struct render *r, int name)
{
    for (const struct scope *s = r->scope; s; s = s->parent)
        for (size_t i = 0; i < s->n; i++)
            if (s->vars[i].name == name)
                return s->vars[i].value;
    struct str text = r->t->names[name];
    const json_t *variable = json_object_getn(r->variables, text.ptr, text.len);
    const struct builtin *function = variable ? NULL : find_function(text);
    if (!variable && !function)
        return v_undefined(r, "'%.*s' is undefined", STR_ARG(str_slice(text, 0, 80)));
    struct value v = { .kind = V_FUNCTION, .builtin = function };
    if (variable)
        v = v_from_json(r, variable);
    bind(r, r->globals, name, v); /* converted once */
    return v;
}

static void unpack(struct render *r, const struct node *target, struct value v)
{
    if (IS(v, V_UNDEFINED)) {
        render_fail(r, "%.*s", STR_ARG(v.s));
        return;
    }
    const struct list *items = iterate(r, v);
    if (!r->failed && items->n != target->n_items)
        render_fail(r, "%zu values are unpacked into %zu names", items->n, target->n_items);
    for (size_t i = 0; i < target->n_items && !r->failed; i++)
        assign(r, target->items[i], items->items[i]);
}

void assign(struct render *r, const struct node *target, struct value v)
{
    if (r->failed)
        return;
    if (target->kind == N_NAME) {
        bind(r, r->scope, target->name, v);
    } else if (target->kind == N_TUPLE) {
        unpack(r, target, v);
    } else {
        struct value ns = lookup(r, target->a->name);
        if (IS(ns, V_NAMESPACE))
            dict_set(r, ns.dict, v_string(target->text), v);
        else
            render_fail(r, "an attribute can only be set on a namespace");
    }
}

/* --- statements --------------------------------------------------------------------------------------------------- */

/* Runs a body and gives what it would have printed. */
static struct value capture(struct render *r, const struct node *body)
{
    struct buf text = { 0 }, *before = r->out;
    r->out = &text;
    exec(r, body);
    r->out = before;
    render_step(r, text.len / 64);
    return v_from_buf(r, &text);
}

static void exec_if(struct render *r, const struct node *n)
{
    size_t i = 0;
    for (; i + 1 < n->n_items; i += 2) {
        bool yes = truth(eval(r, n->items[i]));
        if (r->failed)
            return;
        if (yes) {
            exec(r, n->items[i + 1]);
            return;
        }
    }
    if (i < n->n_items)
        exec(r, n->items[i]);
}

/* The items of `for x in items if filter`. */
static struct list *filtered(struct render *r, const struct node *n, struct list *all)
{
    struct value kept = list_new(r, V_LIST);
    for (size_t i = 0; i < all->n && !r->failed; i++) {
        struct scope *before = scope_push(r);
        assign(r, n->a, all->items[i]);
        if (truth(eval(r, n->c)))
            list_add(r, kept, all->items[i]);
        r->scope = before;
    }
    return kept.list;
}

static void exec_for(struct render *r, const struct node *n)
{
    struct value over = eval(r, n->b);
    if (r->failed)
        return;
    struct list *items = iterate(r, over);
    if (n->c)
        items = filtered(r, n, items);
    struct loop *loop = arena_alloc(&r->arena, sizeof *loop);
    loop->items = items;
    bool finished =
        false; /* some turn ran to its end; a turn that was broken off does not count, as in Jinja */
    for (; loop->at < items->n && !r->failed && r->jump != JUMP_BREAK; loop->at++) {
        struct scope *before = scope_push(r);
        r->jump = JUMP_NONE;
        bind(r, r->scope, r->t->loop_name, (struct value){ .kind = V_LOOP, .loop = loop });
        assign(r, n->a, items->items[loop->at]);
        exec(r, n->items[0]);
        finished |= r->jump == JUMP_NONE;
        r->scope = before;
    }
    r->jump = JUMP_NONE;
    if (!finished && n->n_items > 1)
        exec(r, n->items[1]);
}

static void exec_macro(struct render *r, const struct node *n)
{
    struct macro *m = arena_alloc(&r->arena, sizeof *m);
    *m = (struct macro){ n, r->scope };
    bind(r, r->scope, n->name, (struct value){ .kind = V_MACRO, .macro = m });
}

/* One call of a macro: where its arguments went. */
struct binding_call {
    const struct node *n;
    struct value *bound; /* [n->n_items] */
    struct value extra[MACRO_NAMES];
};

/* A name given twice or not known is the template's fault, as in Jinja, unless the body speaks of kwargs. */
static bool bind_named(struct render *r, struct binding_call *c, const struct args *args)
{
    const struct node *n = c->n;
    for (size_t i = 0; i < args->n_named; i++) {
        struct str name = args->named[i].key.s;
        size_t at = 0;
        while (at < n->n_items && !str_eq(n->items[at]->text, name))
            at++;
        bool known = at < n->n_items, caller = !known && str_is(name, macro_names[MACRO_CALLER]);
        if (known && IS(c->bound[at], V_ABSENT)) {
            c->bound[at] = args->named[i].value;
        } else if (caller && n->op & 1 << MACRO_CALLER) {
            c->extra[MACRO_CALLER] = args->named[i].value;
        } else if (!known && !caller && n->op & 1 << MACRO_KWARGS) {
            dict_set(r, c->extra[MACRO_KWARGS].dict, args->named[i].key, args->named[i].value);
        } else {
            render_fail(r, "the macro %.*s does not take the argument %.*s", STR_ARG(n->text), STR_ARG(name));
            return false;
        }
    }
    return true;
}

static bool bind_positional(struct render *r, struct binding_call *c, const struct args *args)
{
    const struct node *n = c->n;
    size_t taken = args->n < n->n_items ? args->n : n->n_items;
    if (taken)
        memcpy(c->bound, args->pos, taken * sizeof *c->bound);
    if (taken < args->n && !(n->op & 1 << MACRO_VARARGS)) {
        render_fail(r, "the macro %.*s takes %zu arguments, not %zu", STR_ARG(n->text), n->n_items, args->n);
        return false;
    }
    for (size_t i = taken; i < args->n; i++)
        list_add(r, c->extra[MACRO_VARARGS], args->pos[i]);
    return true;
}

struct value call_macro(struct render *r, const struct macro *m, const struct args *args)
{
    const struct node *n = m->node;
    struct binding_call c = { .n = n, .bound = arena_array(&r->arena, n->n_items + 1, sizeof *c.bound) };
    c.extra[MACRO_CALLER] = v_undefined(r, "No caller defined");
    c.extra[MACRO_VARARGS] = list_new(r, V_TUPLE);
    c.extra[MACRO_KWARGS] = dict_new(r, V_DICT);
    if (!bind_positional(r, &c, args) || !bind_named(r, &c, args))
        return v_none();
    struct scope *before = r->scope;
    r->scope = scope_new(r, m->scope);
    for (int i = 0; i < MACRO_NAMES; i++)
        if (n->op & 1 << i)
            bind(r, r->scope, r->t->macro_names[i], c.extra[i]);
    for (size_t i = 0; i < n->n_items && !r->failed; i++) {
        const struct node *param = n->items[i];
        if (IS(c.bound[i], V_ABSENT))
            c.bound[i] = param->a ? eval(r, param->a)
                                  : v_undefined(r, "parameter '%.*s' was not provided", STR_ARG(param->text));
        bind(r, r->scope, param->name, c.bound[i]);
    }
    struct value text = capture(r, n->a);
    r->scope = before;
    return text;
}

static void exec_call_block(struct render *r, const struct node *n)
{
    struct macro *m = arena_alloc(&r->arena, sizeof *m);
    *m = (struct macro){ n->a, r->scope };
    struct pair caller = { v_chars(macro_names[MACRO_CALLER]), { .kind = V_MACRO, .macro = m } };
    struct value text = eval_call(r, n->b, &caller);
    if (!r->failed)
        put_str(r, text, r->out);
}

/* {% with %}: the values are evaluated outside of the new scope. */
static void exec_scope(struct render *r, const struct node *n)
{
    struct value *values = arena_array(&r->arena, n->n_items / 2 + 1, sizeof *values);
    for (size_t i = 0; i + 1 < n->n_items; i += 2)
        values[i / 2] = eval(r, n->items[i + 1]);
    struct scope *before = scope_push(r);
    for (size_t i = 0; i + 1 < n->n_items; i += 2)
        assign(r, n->items[i], values[i / 2]);
    exec(r, n->a);
    r->scope = before;
}

/* A chain of filters over a block's text; the innermost has no input of its own. */
static struct value filter_text(struct render *r, const struct node *filter, struct value text)
{
    if (!filter || r->failed)
        return text;
    return eval_filter(r, filter, filter_text(r, filter->a, text));
}

static void exec_captured(struct render *r, const struct node *n)
{
    struct scope *before = scope_push(r);
    struct value text = capture(r, n->b);
    r->scope = before;
    if (n->kind == N_SET_BLOCK)
        assign(r, n->a, filter_text(r, n->c, text));
    else
        put_str(r, filter_text(r, n->a, text), r->out);
}

static void exec_block(struct render *r, const struct node *n)
{
    for (size_t i = 0; i < n->n_items && !r->failed && r->jump == JUMP_NONE; i++)
        exec(r, n->items[i]);
}

static void exec_kind(struct render *r, const struct node *n)
{
    switch (n->kind) {
    case N_DATA: put_bounded(r, r->out, n->text); break;
    case N_PRINT: {
        struct value v = eval(r, n->a);
        if (!r->failed)
            put_str(r, v, r->out);
        break;
    }
    case N_BLOCK: exec_block(r, n); break;
    case N_IF: exec_if(r, n); break;
    case N_FOR: exec_for(r, n); break;
    case N_SET: assign(r, n->a, eval(r, n->b)); break;
    case N_SET_BLOCK:
    case N_FILTER_BLOCK: exec_captured(r, n); break;
    case N_MACRO: exec_macro(r, n); break;
    case N_CALL_BLOCK: exec_call_block(r, n); break;
    case N_SCOPE: exec_scope(r, n); break;
    case N_BREAK: r->jump = JUMP_BREAK; break;
    case N_CONTINUE: r->jump = JUMP_CONTINUE; break;
    default: break; /* no expression stands alone */
    }
}

void exec(struct render *r, const struct node *n)
{
    if (!render_step(r, 1 + n->text.len / 64) || r->failed)
        return;
    r->line = n->line;
    if (++r->depth > RENDER_DEPTH_MAX)
        render_fail(r, "statements are nested too deeply");
    if (!r->failed)
        exec_kind(r, n);
    r->depth--;
}
