/*
 * template.c - a chat template: compiled once, rendered often, its limits in one place.
 */
#include "text/template_impl.h"

#include <stdio.h>

enum err_code chat_template_open(struct chat_template **out, struct str source, struct err *err)
{
    if (source.len > TEMPLATE_BYTES_MAX)
        return err_set(err, ERR_FORMAT, NULL, "The chat template has %zu bytes, more than %zu.", source.len,
                       TEMPLATE_BYTES_MAX);
    if (!utf8_valid(source))
        return err_set(err, ERR_FORMAT, NULL, "The chat template is not UTF-8.");
    struct chat_template *t = mem_zalloc(sizeof *t);
    struct token *tokens; /* view a copy of the source in the arena, and so do the nodes */
    enum err_code code = template_lex(source, &t->arena, &tokens, err);
    if (!code)
        code = template_parse(t, tokens, err);
    if (code) {
        chat_template_close(t);
        return code;
    }
    *out = t;
    return ERR_OK;
}

void chat_template_close(struct chat_template *t)
{
    if (!t)
        return;
    arena_free(&t->arena);
    mem_free(t);
}

bool chat_template_reads(const struct chat_template *t, const char *variable)
{
    for (size_t i = 0; i < t->n_names; i++)
        if (t->read[i] && str_is(t->names[i], variable))
            return true;
    return false;
}

/* --- a render's limits ------------------------------------------------------------------------------------------ */

struct value render_fail(struct render *r, const char *fmt, ...)
{
    if (!r->failed) {
        char what[256];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(what, sizeof what, fmt, ap);
        va_end(ap);
        err_set(r->err, ERR_FORMAT, NULL, "The chat template, line %d: %s.", r->line, what);
    }
    r->failed = true;
    return (struct value){ .kind = V_UNDEFINED };
}

bool render_step(struct render *r, size_t steps)
{
    r->steps += steps;
    if (r->steps > RENDER_STEPS_MAX)
        render_fail(r, "it takes more than %zu steps", RENDER_STEPS_MAX);
    return !r->failed;
}

bool render_room(struct render *r, size_t bytes)
{
    if (bytes > RENDER_MEMORY_MAX || r->arena.used > RENDER_MEMORY_MAX - bytes)
        render_fail(r, "it takes more than %zu bytes of memory", RENDER_MEMORY_MAX);
    return !r->failed;
}

enum err_code chat_template_render(const struct chat_template *t, const json_t *variables, struct buf *out,
                                   struct err *err)
{
    struct err local = { 0 };
    struct buf text = { 0 };
    struct render r = { .t = t, .variables = variables, .out = &text, .err = err ? err : &local };
    struct scope globals = { 0 };
    r.globals = &globals;
    r.scope = &globals;
    exec(&r, t->body);
    if (!r.failed)
        buf_put_str(out, buf_str(&text));
    buf_free(&text);
    arena_free(&r.arena);
    return r.failed ? r.err->code : ERR_OK;
}
