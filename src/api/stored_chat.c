/*
 * stored_chat.c - chat completions that were asked to be stored.
 *
 * One object each: {"completion": as it was replied, "messages": the request's, each with an id, "metadata": {...},
 * "model": "..."}. A completion is shown as it was replied, with its metadata beside.
 *
 * Threads: http's workers, which may wait for the disk; stored_chat_tx any.
 */
#include "api/api_impl.h"

#include "base/clock.h"

#include <string.h>

#define KIND         "chat.completion"
#define WHAT         "Chat completion"
#define LIST_DEFAULT 20

struct update_body {
    struct field_json metadata;
};
static const struct field update_rows[] = {
    { FIELD_ROW(OBJECT, update_body, metadata), .required = true },
};

/* --- storing one ------------------------------------------------------------------------------------------------ */

/* A message as the list of messages shows it: with an id, and parts apart from text. */
static json_t *message_shown(const json_t *message, const char *id)
{
    json_t *shown = json_object(), *content = json_object_get(message, "content");
    json_object_set_new(shown, "id", json_string(id));
    json_object_update_missing(shown, (json_t *)message);
    json_object_set_new(shown, "content", json_is_string(content) ? json_incref(content) : json_null());
    json_object_set_new(shown, "content_parts", json_is_array(content) ? json_incref(content) : json_null());
    return shown;
}

static json_t *messages_shown(const json_t *messages, const char *id)
{
    json_t *list = json_array();
    struct buf name = { 0 };
    for (size_t i = 0; i < json_array_size(messages); i++) {
        buf_clear(&name);
        buf_printf(&name, "%s-%zu", id, i);
        json_array_append_new(list, message_shown(json_array_get(messages, i), name.ptr));
    }
    buf_free(&name);
    return list;
}

enum err_code stored_chat_tx(struct store_tx *tx, const struct access_owner *o, struct str completion,
                             const json_t *messages, const json_t *metadata, int64_t keep_ms, struct err *err)
{
    json_t *reply;
    int64_t now = clock_wall_ms();
    enum err_code code = stored_json(&reply, completion, STR("a chat completion"), err);
    const char *id = json_string_value(json_object_get(reply, "id"));
    if (!code && !id)
        code = err_set(err, ERR_SERVER, NULL, "A chat completion without an id cannot be stored.");
    if (!code) {
        json_t *body = json_object();
        struct buf text = { 0 };
        json_object_set(body, "completion", reply);
        json_object_set_new(body, "messages", messages_shown(messages, id));
        json_object_set_new(body, "metadata", metadata ? json_incref((json_t *)metadata) : json_object());
        json_object_set(body, "model", json_object_get(reply, "model"));
        json_dump(&text, body);
        struct store_object object = { .kind = STR(KIND),
                                       .owner = str_from(o->id),
                                       .id = str_from(id),
                                       .created_ms = now,
                                       .expires_ms = keep_ms ? now + keep_ms : 0,
                                       .body = buf_str(&text) };
        store_tx_object_put(tx, &object);
        buf_free(&text);
        json_decref(body);
    }
    json_decref(reply);
    return code;
}

/* --- showing ---------------------------------------------------------------------------------------------------- */

static void show(const json_t *body, struct buf *json)
{
    json_t *completion = json_copy(json_object_get(body, "completion"));
    json_object_set(completion, "metadata", json_object_get(body, "metadata"));
    json_dump(json, completion);
    json_decref(completion);
}

/* The key of "metadata[key]"; empty for any other name. */
static struct str metadata_key(struct str name)
{
    struct str prefix = STR("metadata[");
    if (!str_starts(name, prefix) || !str_ends(name, STR("]")))
        return (struct str){ 0 };
    return str_slice(name, prefix.len, name.len - 1);
}

static bool has_pair(const json_t *metadata, struct str key, struct str value)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)metadata, name, v)
    {
        if (str_is(key, name))
            return str_eq(json_str(v), value);
    }
    return false;
}

/* Whether a stored completion is what the query asks for. ctx: the call. */
static bool matches(const json_t *body, void *ctx)
{
    const struct call *c = ctx;
    struct str name, value;
    for (size_t i = 0; http_query(c->x, i, &name, &value); i++) {
        struct str key = metadata_key(name);
        if (str_is(name, "model") && !str_eq(json_str(json_object_get(body, "model")), value))
            return false;
        if (key.len && !has_pair(json_object_get(body, "metadata"), key, value))
            return false;
    }
    return true;
}

static bool is_filtered(const struct call *c)
{
    struct str name, value;
    for (size_t i = 0; http_query(c->x, i, &name, &value); i++)
        if (str_is(name, "model") || metadata_key(name).len)
            return true;
    return false;
}

void stored_chat_list(const struct call *c)
{
    struct page page = { .limit = LIST_DEFAULT, .limit_max = PAGE_LIMIT_MAX };
    struct call call = *c; /* the filter's context is not const */
    struct object_filter filter = { .keep = is_filtered(c) ? matches : NULL, .show = show, .ctx = &call };
    struct err err = { 0 };
    enum err_code code = page_read(c, &page, &err);
    if (!code)
        code = object_list_reply(c, KIND, &page, &filter, &err);
    if (code)
        reply_error(c->x, &err);
}

/* *body is the caller's. */
static enum err_code find(const struct call *c, struct store_object *o, json_t **body, struct arena *arena,
                          struct err *err)
{
    enum err_code code = object_find(c->api, &c->owner, KIND, WHAT, http_path_arg(c->x, 0), o, arena, err);
    return code ? code : stored_json(body, o->body, o->id, err);
}

static void reply_stored(const struct call *c, const json_t *body)
{
    struct buf json = { 0 };
    show(body, &json);
    reply_json(c->x, 200, &json);
    buf_free(&json);
}

void stored_chat_get(const struct call *c)
{
    struct arena arena = { 0 };
    struct store_object o;
    struct err err = { 0 };
    json_t *body = NULL;
    if (find(c, &o, &body, &arena, &err))
        reply_error(c->x, &err);
    else
        reply_stored(c, body);
    json_decref(body);
    arena_free(&arena);
}

static enum err_code store_body(const struct call *c, struct store_object *o, const json_t *body,
                                struct err *err)
{
    struct buf json = { 0 };
    struct store_tx *tx = store_tx_open();
    json_dump(&json, body);
    o->body = buf_str(&json);
    store_tx_object_update(tx, o);
    enum err_code code = store_commit_wait(c->api->store, tx, err);
    buf_free(&json);
    return code == ERR_NOT_FOUND ? not_found(err, WHAT, o->id) : code;
}

void stored_chat_update(const struct call *c)
{
    struct arena arena = { 0 };
    struct update_body b = { 0 };
    struct store_object o;
    struct err err = { 0 };
    json_t *doc = NULL, *body = NULL;
    enum err_code code = body_decode(c, update_rows, ARRAY_LEN(update_rows), &doc, &b, &arena, &err);
    if (!code)
        code = metadata_check(b.metadata.value, &arena, &err);
    if (!code)
        code = find(c, &o, &body, &arena, &err);
    if (!code) {
        json_object_set(body, "metadata", (json_t *)b.metadata.value);
        code = store_body(c, &o, body, &err);
    }
    if (code)
        reply_error(c->x, &err);
    else
        reply_stored(c, body);
    json_decref(doc);
    json_decref(body);
    arena_free(&arena);
}

void stored_chat_delete(const struct call *c)
{
    struct str id = http_path_arg(c->x, 0);
    struct store_tx *tx = store_tx_open();
    struct err err = { 0 };
    store_tx_object_delete(tx, STR(KIND), str_from(c->owner.id), id);
    enum err_code code = store_commit_wait(c->api->store, tx, &err);
    if (code == ERR_NOT_FOUND)
        not_found(&err, WHAT, id);
    if (code)
        reply_error(c->x, &err);
    else
        reply_deleted(c->x, id, "chat.completion.deleted");
}

void stored_chat_messages(const struct call *c)
{
    struct page page = { .limit = LIST_DEFAULT, .limit_max = PAGE_LIMIT_MAX };
    struct arena arena = { 0 };
    struct store_object o;
    struct err err = { 0 };
    json_t *body = NULL, *cut = NULL;
    bool more;
    enum err_code code = page_read(c, &page, &err);
    if (!code)
        code = find(c, &o, &body, &arena, &err);
    if (!code)
        code = page_cut(&cut, json_object_get(body, "messages"), &page, &more, &err);
    if (code)
        reply_error(c->x, &err);
    else
        reply_items(c->x, cut, more);
    json_decref(body);
    json_decref(cut);
    arena_free(&arena);
}

const struct field_table stored_chat_tables[] = {
    { "chat/completions/{id}", update_rows, ARRAY_LEN(update_rows) },
    { NULL, NULL, 0 },
};
