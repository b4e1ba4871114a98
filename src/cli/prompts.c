/*
 * prompts.c - `thinkd prompts`: the templates of a data directory, and what is wrong with them.
 */
#include "cli/cli_impl.h"

#include "api/api.h"
#include "cli/table.h"

#include <inttypes.h>

/* "city, tone?, photo? (image)": what may be left out has a question mark. */
static const char *variables(struct arena *arena, const struct prompt_template *t)
{
    struct buf text = { 0 };
    for (size_t i = 0; i < t->n_variables; i++) {
        const struct prompt_variable *v = &t->variables[i];
        buf_printf(&text, "%s%s%s", i ? ", " : "", v->name, v->required ? "" : "?");
        if (v->kind != PROMPT_TEXT)
            buf_printf(&text, " (%s)", prompt_kind_names[v->kind]);
    }
    const char *copy = arena_str(arena, buf_str(&text)).ptr;
    buf_free(&text);
    return copy;
}

static void put_table(struct buf *out, const struct prompts *p)
{
    struct table table = { .columns = 4 };
    struct arena arena = { 0 };
    const struct prompt_template *t;
    table_row(&table, (const char *const[]){ "ID", "VERSION", "VARIABLES", "STATE" });
    for (size_t i = 0; (t = prompts_at(p, i)); i++) {
        bool named = t->version > 0;
        const char *id = named ? arena_printf(&arena, PROMPT_ID_PREFIX "%s", t->name) : t->name;
        const char *version = named ? arena_printf(&arena, "%" PRId64, t->version) : "";
        table_row(&table, (const char *const[]){ id, version, t->err.code ? "" : variables(&arena, t),
                                                 t->err.code ? t->err.message : "ok" });
    }
    table_put(&table, out);
    table_free(&table);
    arena_free(&arena);
}

static void put_variable_json(struct json_writer *w, const struct prompt_variable *v)
{
    jw_begin_object(w);
    jw_key_cstring(w, "name", v->name);
    jw_key_cstring(w, "kind", prompt_kind_names[v->kind]);
    jw_key_bool(w, "required", v->required);
    jw_key_cstring(w, "default", v->dflt);
    jw_end_object(w);
}

static void put_prompt_json(struct json_writer *w, const struct prompt_template *t)
{
    struct buf id = { 0 };
    buf_printf(&id, PROMPT_ID_PREFIX "%s", t->name);
    jw_begin_object(w);
    jw_key_cstring(w, "id", t->version ? id.ptr : NULL);
    jw_key(w, "version");
    if (t->version)
        jw_int(w, t->version);
    else
        jw_null(w);
    jw_key(w, "variables");
    jw_begin_array(w);
    for (size_t i = 0; !t->err.code && i < t->n_variables; i++)
        put_variable_json(w, &t->variables[i]);
    jw_end_array(w);
    jw_key_cstring(w, "error", t->err.code ? t->err.message : NULL);
    jw_end_object(w);
    buf_free(&id);
}

static void put_json(struct buf *out, const struct prompts *p)
{
    struct json_writer w = { .out = out };
    const struct prompt_template *t;
    jw_begin_array(&w);
    for (size_t i = 0; (t = prompts_at(p, i)); i++)
        put_prompt_json(&w, t);
    jw_end_array(&w);
    buf_putc(out, '\n');
}

static enum err_code open_prompts(struct prompts **out, const struct config *cfg, struct err *err)
{
    struct buf dir = { 0 };
    enum err_code code = cli_no_args(cfg, "prompts", err);
    if (!code && data_in_memory(cfg))
        code =
            err_set(err, ERR_CONFIG, "data", "--data: templates are in a directory, and ':memory:' is none.");
    if (!code)
        code = data_path(&dir, cfg, "prompts", err);
    if (!code)
        code = prompts_open(out, dir.ptr, api_is_request_field, err);
    buf_free(&dir);
    return code;
}

int prompts_run(const struct config *cfg)
{
    struct prompts *prompts = NULL;
    struct buf out = { 0 };
    struct err err = { 0 };
    const struct prompt_template *t;
    int status = CLI_OK;
    if (open_prompts(&prompts, cfg, &err))
        return cli_fail(&err);
    (cfg->json ? put_json : put_table)(&out, prompts);
    term_put(stdout, buf_str(&out));
    for (size_t i = 0; (t = prompts_at(prompts, i)); i++)
        if (t->err.code)
            status = CLI_FAILED;
    buf_free(&out);
    prompts_close(prompts);
    return status;
}
