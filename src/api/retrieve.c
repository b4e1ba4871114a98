/*
 * retrieve.c - GET and DELETE /v1/responses/{id}, and the items that it was given.
 *
 * One that is over is replied as it is stored, byte for byte, and so is one that waits, out of its last event, which costs a
 * fraction of reading and writing its JSON; one that runs is the fold of its events. Which of its parts a response holds
 * was decided when it was made, so `include` is checked here and adds nothing.
 *
 * Threads: http's workers, which may wait for the disk.
 */
#include "api/api_impl.h"

static enum err_code find_job(const struct call *c, struct store_job *job, struct arena *arena,
                              struct err *err)
{
    struct str id = http_path_arg(c->x, 0);
    enum err_code code = store_job_get(c->api->store, str_from(c->owner.id), id, job, arena, err);
    return code == ERR_NOT_FOUND ? not_found(err, "Response", id) : code;
}

/* Answers for a handler that failed, or has it called again where what it did not find may be about to arrive. */
static void refuse(const struct call *c, const struct err *err, void (*handler)(const struct call *c))
{
    if (err->code != ERR_NOT_FOUND || !arriving_wait(c, http_path_arg(c->x, 0), handler))
        reply_error(c->x, err);
}

struct get_query {
    bool stream, obfuscation;
    int64_t starting_after;
};

static enum err_code read_get_query(const struct call *c, struct get_query *q, struct err *err)
{
    struct str text;
    enum err_code code = param_include(c, err);
    if (!code)
        code = param_bool(c, "stream", &q->stream, err);
    if (!code)
        code = param_bool(c, "include_obfuscation", &q->obfuscation, err);
    if (!code)
        code = param_int(c, "starting_after", 0, INT64_MAX, &q->starting_after, err);
    if (!code && !q->stream && param_get(c, "starting_after", &text))
        code = err_set(err, ERR_INVALID_VALUE, "starting_after",
                       "The 'starting_after' parameter is only allowed when 'stream' is enabled.");
    return code;
}

/* The Response object of a job as text that is stored; empty where it must be put together. */
static enum err_code stored_text(const struct call *c, const struct store_job *job, struct str *out,
                                 struct arena *arena, struct err *err)
{
    struct str *events;
    size_t n;
    *out = job->response;
    if (job->status != STORE_QUEUED || job->events == 0)
        return ERR_OK;
    enum err_code code =
        store_job_events(c->api->store, job->id, job->events - 1, 1, SIZE_MAX, &events, &n, arena, err);
    if (!code && n)
        *out = event_response(events[0]);
    return code;
}

static enum err_code reply_response(const struct call *c, struct arena *arena, struct err *err)
{
    struct store_job job;
    struct str text;
    json_t *response = NULL;
    enum err_code code = find_job(c, &job, arena, err);
    if (!code)
        code = stored_text(c, &job, &text, arena, err);
    if (code)
        return code;
    if (text.len) {
        http_reply(c->x, 200, "application/json", text);
        return ERR_OK;
    }
    code = response_now(c->api, &job, &response, err);
    if (!code)
        reply_value(c->x, response);
    json_decref(response);
    return code;
}

void responses_get(const struct call *c)
{
    struct get_query q = { .starting_after = -1 };
    struct arena arena = { 0 };
    struct err err = { 0 };
    enum err_code code = read_get_query(c, &q, &err);
    if (!code && q.stream)
        code = responses_stream(c, http_path_arg(c->x, 0), q.starting_after, q.obfuscation, &err);
    else if (!code)
        code = reply_response(c, &arena, &err);
    if (code)
        refuse(c, &err, responses_get);
    arena_free(&arena);
}

/* A job may end between the look and the delete, never the other way: what is over stays so. */
void responses_delete(const struct call *c)
{
    struct arena arena = { 0 };
    struct store_job job;
    struct err err = { 0 };
    enum err_code code = find_job(c, &job, &arena, &err);
    bool over = !code && job.status >= STORE_COMPLETED;
    if (over) {
        struct store_tx *tx = store_tx_open();
        store_tx_delete(tx, str_from(c->owner.id), job.id);
        code = store_commit_wait(c->api->store, tx, &err);
        if (code == ERR_NOT_FOUND)
            not_found(&err, "Response", job.id);
    }
    if (code)
        refuse(c, &err, responses_delete);
    else if (over)
        reply_deleted(c->x, job.id, "response");
    else
        stop_running(c, &job);
    arena_free(&arena);
}

static enum err_code reply_input(const struct call *c, const struct page *page, struct arena *arena,
                                 struct err *err)
{
    struct store_job job;
    json_t *items = json_array(), *cut = NULL;
    bool more;
    enum err_code code = find_job(c, &job, arena, err);
    if (!code)
        code = history_input(c->api, &job, items, arena, err);
    if (!code)
        code = page_cut(&cut, items, page, &more, err);
    if (!code)
        reply_items(c->x, cut, more);
    json_decref(items);
    json_decref(cut);
    return code;
}

void responses_input_items(const struct call *c)
{
    struct page page = { .limit = 20, .limit_max = PAGE_LIMIT_MAX, .descending = true };
    struct arena arena = { 0 };
    struct err err = { 0 };
    enum err_code code = param_include(c, &err);
    if (!code)
        code = page_read(c, &page, &err);
    if (!code)
        code = reply_input(c, &page, &arena, &err);
    if (code)
        refuse(c, &err, responses_input_items);
    arena_free(&arena);
}
