/*
 * history.c - what a response goes on from: the responses before it, or the conversation it stands in.
 *
 *     context(R) = context(R's previous), or R's conversation as it was when R came, then R's input, then R's output
 *
 * A request's input and a response's output lie in the job's row, so a context is a walk from row to row, newest first,
 * and is put together oldest first. The walk is bounded in rows and in bytes. A conversation grows after R came: what
 * came later is told by its time, and what R itself added to it by its ids.
 *
 * Threads: http's workers, which may wait for the disk.
 */
#include "api/api_impl.h"

#include <string.h>

#define EVENTS_EACH       1024 /* of a running response, read together */
#define EVENTS_BYTES_EACH (4 << 20)
#define ID_CHARS_MAX      128

/* --- one response ------------------------------------------------------------------------------------------- */

/* As far as the row knows of them at least: what has come behind those since is folded where it was read with them. */
static enum err_code fold_stored(struct api *a, const struct store_job *job, struct fold *f, struct err *err)
{
    enum err_code code = ERR_OK;
    size_t n = 1;
    for (int64_t first = 0; first < job->events && n > 0 && !code && !fold_over(f); first += (int64_t)n) {
        struct arena arena = { 0 };
        struct str *events;
        code = store_job_events(a->store, job->id, first, EVENTS_EACH, EVENTS_BYTES_EACH, &events, &n, &arena,
                                err);
        for (size_t i = 0; i < n && !code; i++)
            code = fold_add(f, events[i], err);
        arena_free(&arena);
    }
    return code;
}

enum err_code response_now(struct api *a, const struct store_job *job, json_t **out, struct err *err)
{
    *out = NULL;
    if (job->response.len)
        return stored_json(out, job->response, job->id, err);
    struct fold *f = fold_open();
    enum err_code code = fold_stored(a, job, f, err);
    json_t *response = code ? NULL : fold_response(f);
    /* The row was read before the events, so one that waits may have begun since: then theirs is the later word. */
    if (response && !fold_over(f) && job->status > STORE_QUEUED)
        json_object_set_new(response, "status", json_string(store_status_names[job->status]));
    if (response)
        *out = json_incref(response);
    else if (!code)
        code = err_set(err, ERR_STORE, NULL, "No events are stored of the response '%.*s'.",
                       STR_ARG(field_quoted(job->id)));
    fold_close(f);
    return code;
}

/* Appends the array that is member `name` of stored JSON. Without text there is nothing to append. */
static enum err_code append_member(json_t *out, struct str text, const char *name, struct str id,
                                   struct err *err)
{
    json_t *doc;
    if (!text.len)
        return ERR_OK;
    enum err_code code = stored_json(&doc, text, id, err);
    if (code)
        return code;
    json_t *items = json_object_get(doc, name);
    if (json_is_array(items))
        json_array_extend(out, items);
    json_decref(doc);
    return ERR_OK;
}

/* --- the walk ----------------------------------------------------------------------------------------------- */

/* A row on the way; the chain begins with the oldest. */
struct link {
    struct store_job job;
    struct link *next;
};
struct chain {
    struct api *api;
    struct str owner;
    bool strict; /* every row must be there and over */
    struct link *oldest;
    size_t n, bytes;
    struct arena *arena;
};

static enum err_code previous_not_found(struct str id, struct err *err)
{
    return err_set(err, ERR_PREVIOUS_NOT_FOUND, "previous_response_id",
                   "Previous response with id '%.*s' not found.", STR_ARG(field_quoted(id)));
}

static enum err_code chain_add(struct chain *c, struct str id, struct link **added, struct err *err)
{
    struct link *link = arena_alloc(c->arena, sizeof *link);
    *added = NULL;
    if (c->n == HISTORY_RESPONSES_MAX)
        return err_set(err, ERR_CONTEXT_LENGTH, "previous_response_id",
                       "The chain of previous responses is longer than %d. Start a new one.",
                       HISTORY_RESPONSES_MAX);
    enum err_code code = store_job_get(c->api->store, c->owner, id, &link->job, c->arena, err);
    if (code == ERR_NOT_FOUND)
        return c->strict ? previous_not_found(id, err) : ERR_OK;
    if (code)
        return code;
    if (c->strict && link->job.status < STORE_COMPLETED)
        return err_set(err, ERR_CONFLICT, "previous_response_id",
                       "Previous response with id '%.*s' is still in progress. Wait until it has ended, or "
                       "cancel it.",
                       STR_ARG(field_quoted(id)));
    c->n++;
    c->bytes += link->job.request.len + link->job.response.len;
    if (c->bytes > HISTORY_BYTES_MAX)
        return err_set(err, ERR_CONTEXT_LENGTH, "previous_response_id",
                       "The previous responses hold more than %d bytes together. Start a new chain.",
                       HISTORY_BYTES_MAX);
    link->next = c->oldest;
    c->oldest = *added = link;
    return ERR_OK;
}

static enum err_code chain_walk(struct chain *c, struct str id, struct err *err)
{
    enum err_code code = ERR_OK;
    while (id.len && !code) {
        struct link *link;
        code = chain_add(c, id, &link, err);
        id = link ? link->job.previous : STR("");
    }
    return code;
}

/* --- putting it together ------------------------------------------------------------------------------------- */

static void note_ids(json_t *set, const json_t *items)
{
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *id = json_object_get(json_array_get(items, i), "id");
        if (json_is_string(id))
            json_object_set_new(set, json_string_value(id), json_true());
    }
}

/* The conversation as it was when the job came. One that was deleted since gives nothing. */
static enum err_code append_conversation(struct api *a, const struct store_job *job, json_t *out,
                                         struct arena *arena, struct err *err)
{
    struct access_owner owner = { .id = "" };
    json_t *all = json_array(), *own = json_array(), *set = json_object();
    memcpy(owner.id, job->owner.ptr, job->owner.len < sizeof owner.id ? job->owner.len : sizeof owner.id - 1);
    enum err_code code = conversation_items(a, &owner, job->conversation, job->created_ms, all, arena, err);
    if (code == ERR_NOT_FOUND)
        code = ERR_OK;
    if (!code)
        code = append_member(own, job->request, "input", job->id, err);
    if (!code)
        code = append_member(own, job->response, "output", job->id, err);
    note_ids(set, own);
    for (size_t i = 0; !code && i < json_array_size(all); i++) {
        json_t *item = json_array_get(all, i);
        if (!json_object_get(set, json_string_value(json_object_get(item, "id"))))
            json_array_append(out, item);
    }
    json_decref(all);
    json_decref(own);
    json_decref(set);
    return code;
}

/* The context in which the chain's oldest row stood, then every row. */
static enum err_code chain_append(const struct chain *c, json_t *out, struct err *err)
{
    enum err_code code = ERR_OK;
    if (c->oldest && c->oldest->job.conversation.len)
        code = append_conversation(c->api, &c->oldest->job, out, c->arena, err);
    for (const struct link *l = c->oldest; l && !code; l = l->next) {
        code = append_member(out, l->job.request, "input", l->job.id, err);
        if (!code)
            code = append_member(out, l->job.response, "output", l->job.id, err);
    }
    return code;
}

static bool is_response_id(struct str id)
{
    bool plain = str_starts(id, STR("resp_")) && id.len > strlen("resp_") && id.len <= ID_CHARS_MAX;
    for (size_t i = 0; i < id.len && plain; i++) {
        char ch = id.ptr[i];
        plain = (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                ch == '_' || ch == '-';
    }
    return plain;
}

enum err_code history_items(struct api *a, const struct access_owner *o, struct str previous_id, json_t *out,
                            struct arena *arena, struct err *err)
{
    struct chain chain = { .api = a, .owner = str_from(o->id), .strict = true, .arena = arena };
    if (!is_response_id(previous_id))
        return err_set(err, ERR_INVALID_VALUE, "previous_response_id",
                       "Invalid 'previous_response_id': '%.*s'. Expected an ID that begins with 'resp_'.",
                       STR_ARG(field_quoted(previous_id)));
    enum err_code code = chain_walk(&chain, previous_id, err);
    return code ? code : chain_append(&chain, out, err);
}

enum err_code history_input(struct api *a, const struct store_job *job, json_t *out, struct arena *arena,
                            struct err *err)
{
    struct chain chain = { .api = a, .owner = job->owner, .arena = arena };
    enum err_code code = chain_walk(&chain, job->previous, err);
    if (!code)
        code = chain_append(&chain, out, err);
    if (!code && job->conversation.len)
        code = append_conversation(a, job, out, arena, err);
    return code ? code : append_member(out, job->request, "input", job->id, err);
}

/* --- one item ------------------------------------------------------------------------------------------------ */

static json_t *find_id(const json_t *items, struct str id)
{
    for (size_t i = 0; i < json_array_size(items); i++) {
        json_t *item = json_array_get(items, i);
        if (str_eq(json_str(json_object_get(item, "id")), id))
            return json_incref(item);
    }
    return NULL;
}

static enum err_code find_in_job(struct api *a, const struct store_job *job, struct str id, json_t **item,
                                 struct err *err)
{
    json_t *response = NULL, *input = json_array();
    enum err_code code = response_now(a, job, &response, err);
    if (!code)
        *item = find_id(json_object_get(response, "output"), id);
    if (!code && !*item) {
        code = append_member(input, job->request, "input", job->id, err);
        *item = code ? NULL : find_id(input, id);
    }
    json_decref(response);
    json_decref(input);
    return code;
}

enum err_code item_find(struct api *a, const struct access_owner *o, struct str id, json_t **item,
                        struct arena *arena, struct err *err)
{
    struct store_object object;
    struct store_job job;
    struct str owner = str_from(o->id), name;
    *item = NULL;
    enum err_code code = store_object_get(a->store, STR("conversation.item"), owner, id, &object, arena, err);
    if (!code)
        return stored_json(item, object.body, id, err);
    if (code == ERR_NOT_FOUND)
        code = store_item_job(a->store, owner, id, &name, arena, err);
    if (!code)
        code = store_job_get(a->store, owner, name, &job, arena, err);
    if (!code)
        code = find_in_job(a, &job, id, item, err);
    return code == ERR_NOT_FOUND || (!code && !*item) ? not_found(err, "Item", id) : code;
}
