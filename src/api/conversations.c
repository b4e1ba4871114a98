/*
 * conversations.c - conversations and their items.
 *
 * A conversation is an object, its items are the members of its list. Items are kept as items.c normalises them; a
 * reference to an item that is stored elsewhere becomes a copy of it. Ids of items are unique among all
 * conversations of an owner, so an id that is taken, and the id of a copy, is replaced by a new one, which the reply shows.
 *
 * A conversation that is deleted leaves its items behind (API.md, section 2): they can be referred to by their ids for
 * another ORPHAN_DAYS, then the store's sweep removes them.
 *
 * Threads: http's workers, which may wait for the disk.
 */
#include "api/api_impl.h"

#include "base/clock.h"

#define KIND         "conversation"
#define KIND_ITEM    "conversation.item"
#define ITEMS_EACH   256 /* read together */
#define ORPHAN_DAYS  30
#define DAY_MS       86400000
#define LIST_DEFAULT 20

struct create_body {
    struct field_json metadata, items;
};
static const struct field create_rows[] = {
    { FIELD_ROW(OBJECT, create_body, metadata) },
    { FIELD_ROW(ARRAY, create_body, items), .min = 0, .max = CONVERSATION_ADD_MAX },
};
static const struct field add_rows[] = {
    { FIELD_ROW(ARRAY, create_body, items), .min = 1, .max = CONVERSATION_ADD_MAX, .required = true },
};
static const struct field update_rows[] = {
    { FIELD_ROW(OBJECT, create_body, metadata), .required = true },
};

/* --- the conversation itself ----------------------------------------------------------------------------------- */

static void body_of(struct buf *out, const json_t *metadata)
{
    struct json_writer w = { .out = out };
    jw_begin_object(&w);
    jw_key(&w, "metadata");
    if (metadata)
        jw_value(&w, metadata);
    else
        jw_raw(&w, STR("{}"));
    jw_end_object(&w);
}

static enum err_code reply_conversation(const struct call *c, const struct store_object *o, struct err *err)
{
    json_t *body;
    enum err_code code = stored_json(&body, o->body, o->id, err);
    if (code)
        return code;
    struct buf out = { 0 };
    struct json_writer w = { .out = &out };
    jw_begin_object(&w);
    jw_key_string(&w, "id", o->id);
    jw_key_cstring(&w, "object", "conversation");
    jw_key_int(&w, "created_at", o->created_ms / 1000);
    jw_key_value(&w, "metadata", json_object_get(body, "metadata"));
    jw_end_object(&w);
    reply_json(c->x, 200, &out);
    buf_free(&out);
    json_decref(body);
    return ERR_OK;
}

static enum err_code find(const struct call *c, struct store_object *out, struct arena *arena,
                          struct err *err)
{
    return object_find(c->api, &c->owner, KIND, "Conversation", http_path_arg(c->x, 0), out, arena, err);
}

/* --- items: in --------------------------------------------------------------------------------------------------- */

/* A reference becomes a copy of what it names. */
static enum err_code resolve(const struct call *c, json_t **item, const char *path, struct arena *arena,
                             struct err *err)
{
    json_t *found;
    if (!str_is(json_str(json_object_get(*item, "type")), "item_reference"))
        return ERR_OK;
    enum err_code code =
        item_find(c->api, &c->owner, json_str(json_object_get(*item, "id")), &found, arena, err);
    if (code)
        return code == ERR_NOT_FOUND
                   ? err_set(err, code, arena_printf(arena, "%s.id", path), "Item with id '%.*s' not found.",
                             STR_ARG(field_quoted(json_str(json_object_get(*item, "id")))))
                   : code;
    json_decref(*item);
    *item = found;
    item_new_id(found, arena);
    return ERR_OK;
}

/* What is sealed opens for this owner, or every response with this conversation would fail. */
static enum err_code check_sealed(const struct call *c, const json_t *item, const char *path,
                                  struct arena *arena, struct err *err)
{
    const json_t *token = json_object_get(item, "encrypted_content");
    struct str type = item_type_of(item);
    if (str_is(type, "compaction"))
        return compaction_check(c->api, str_from(c->owner.id), item, path, arena, err);
    if (!str_is(type, "reasoning") || !json_is_string(token))
        return ERR_OK;
    struct buf thought = { 0 };
    enum err_code code = seal_get(c->api->seal, str_from(c->owner.id), "reasoning", json_str(token),
                                  arena_printf(arena, "%s.encrypted_content", path), &thought, err);
    buf_free(&thought);
    return code;
}

static enum err_code read_items(const struct call *c, const json_t *sent, json_t *out, struct arena *arena,
                                struct err *err)
{
    enum err_code code = ERR_OK;
    for (size_t i = 0; !code && i < json_array_size(sent); i++) {
        const char *path = arena_printf(arena, "items[%zu]", i);
        json_t *item;
        code = item_normalise(&item, json_array_get(sent, i), path, arena, err);
        if (code)
            break;
        code = check_sealed(c, item, path, arena, err);
        if (!code)
            code = resolve(c, &item, path, arena, err);
        json_array_append_new(out, item);
    }
    return code ? code : conversation_fresh_ids(c->api, &c->owner, out, arena, err);
}

/* Whether an item of that id is kept already. */
static enum err_code find_taken(struct api *a, const struct access_owner *o, struct str id, bool *taken,
                                struct arena *arena, struct err *err)
{
    struct store_object object;
    struct str job, owner = str_from(o->id);
    enum err_code code = store_object_get(a->store, STR(KIND_ITEM), owner, id, &object, arena, err);
    if (code == ERR_NOT_FOUND)
        code = store_item_job(a->store, owner, id, &job, arena, err);
    *taken = !code;
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

enum err_code conversation_fresh_ids(struct api *a, const struct access_owner *o, json_t *items,
                                     struct arena *arena, struct err *err)
{
    json_t *seen = json_object();
    enum err_code code = ERR_OK;
    for (size_t i = 0; !code && i < json_array_size(items); i++) {
        json_t *item = json_array_get(items, i), *id = json_object_get(item, "id");
        bool taken;
        code = find_taken(a, o, json_str(id), &taken, arena, err);
        if (!code && (taken || json_object_get(seen, json_string_value(id))))
            item_new_id(item, arena);
        json_object_set_new(seen, json_string_value(json_object_get(item, "id")), json_true());
    }
    json_decref(seen);
    return code;
}

void conversation_add_tx(struct store_tx *tx, const struct access_owner *o, struct str id,
                         const json_t *items)
{
    struct buf body = { 0 };
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        buf_clear(&body);
        json_dump(&body, item);
        struct store_object object = { .kind = STR(KIND_ITEM),
                                       .owner = str_from(o->id),
                                       .id = json_str(json_object_get(item, "id")),
                                       .parent = id,
                                       .created_ms = clock_wall_ms(),
                                       .body = buf_str(&body) };
        store_tx_object_put(tx, &object);
    }
    buf_free(&body);
}

/* --- items: out --------------------------------------------------------------------------------------------------- */

static enum err_code append_objects(json_t *out, const struct store_object *objects, size_t n,
                                    int64_t until_ms, struct err *err)
{
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < n && !code; i++) {
        json_t *item;
        if (until_ms && objects[i].created_ms > until_ms)
            continue;
        code = stored_json(&item, objects[i].body, objects[i].id, err);
        if (!code)
            json_array_append_new(out, item);
    }
    return code;
}

enum err_code conversation_items(struct api *a, const struct access_owner *o, struct str id, int64_t until_ms,
                                 json_t *out, struct arena *arena, struct err *err)
{
    struct store_object conversation, *objects;
    struct store_list ask = {
        .kind = STR(KIND_ITEM), .owner = str_from(o->id), .parent = id, .limit = ITEMS_EACH
    };
    size_t n;
    bool more = true;
    enum err_code code = object_find(a, o, KIND, "Conversation", id, &conversation, arena, err);
    while (!code && more) {
        struct arena step = { 0 };
        code = store_object_list(a->store, &ask, &objects, &n, &more, &step, err);
        if (!code)
            code = append_objects(out, objects, n, until_ms, err);
        if (!code && n)
            ask.after = arena_str(arena, objects[n - 1].id);
        arena_free(&step);
    }
    return code;
}

/* --- POST, GET, POST, DELETE of a conversation ---------------------------------------------------------------------- */

static enum err_code create(const struct call *c, struct arena *arena, json_t **doc, json_t *items,
                            struct err *err)
{
    struct create_body b = { 0 };
    struct buf body = { 0 };
    enum err_code code = body_decode(c, create_rows, ARRAY_LEN(create_rows), doc, &b, arena, err);
    if (!code)
        code = metadata_check(b.metadata.value, arena, err);
    if (!code)
        code = read_items(c, b.items.value, items, arena, err);
    if (code)
        return code;
    body_of(&body, b.metadata.value);
    struct store_object o = { .kind = STR(KIND),
                              .owner = str_from(c->owner.id),
                              .id = str_from(new_id(arena, "conv_")),
                              .created_ms = clock_wall_ms(),
                              .body = buf_str(&body) };
    struct store_tx *tx = store_tx_open();
    store_tx_object_put(tx, &o);
    conversation_add_tx(tx, &c->owner, o.id, items);
    code = store_commit_wait(c->api->store, tx, err);
    if (!code)
        code = reply_conversation(c, &o, err);
    buf_free(&body);
    return code;
}

void conversations_create(const struct call *c)
{
    struct arena arena = { 0 };
    struct err err = { 0 };
    json_t *doc = NULL, *items = json_array();
    if (create(c, &arena, &doc, items, &err))
        reply_error(c->x, &err);
    json_decref(doc);
    json_decref(items);
    arena_free(&arena);
}

void conversations_get(const struct call *c)
{
    struct arena arena = { 0 };
    struct store_object o;
    struct err err = { 0 };
    enum err_code code = find(c, &o, &arena, &err);
    if (!code)
        code = reply_conversation(c, &o, &err);
    if (code)
        reply_error(c->x, &err);
    arena_free(&arena);
}

static enum err_code update(const struct call *c, struct arena *arena, json_t **doc, struct err *err)
{
    struct create_body b = { 0 };
    struct store_object o;
    struct buf body = { 0 };
    enum err_code code = body_decode(c, update_rows, ARRAY_LEN(update_rows), doc, &b, arena, err);
    if (!code)
        code = metadata_check(b.metadata.value, arena, err);
    if (!code)
        code = find(c, &o, arena, err);
    if (code)
        return code;
    body_of(&body, b.metadata.value);
    o.body = buf_str(&body);
    struct store_tx *tx = store_tx_open();
    store_tx_object_update(tx, &o);
    code = store_commit_wait(c->api->store, tx, err);
    if (code == ERR_NOT_FOUND)
        not_found(err, "Conversation", o.id);
    if (!code)
        code = reply_conversation(c, &o, err);
    buf_free(&body);
    return code;
}

void conversations_update(const struct call *c)
{
    struct arena arena = { 0 };
    struct err err = { 0 };
    json_t *doc = NULL;
    if (update(c, &arena, &doc, &err))
        reply_error(c->x, &err);
    json_decref(doc);
    arena_free(&arena);
}

/* Writes the day of their end into the items of a conversation that goes. */
static enum err_code orphan_items(const struct call *c, struct str id, struct store_tx *tx,
                                  struct arena *arena, struct err *err)
{
    struct page page = { .limit = ITEMS_EACH };
    struct store_object *objects;
    size_t n;
    bool more = true;
    enum err_code code = ERR_OK;
    while (!code && more) {
        struct arena step = { 0 };
        code = object_page(c, KIND_ITEM, id, &page, &objects, &n, &more, &step, err);
        for (size_t i = 0; !code && i < n; i++) {
            objects[i].expires_ms = clock_wall_ms() + (int64_t)ORPHAN_DAYS * DAY_MS;
            store_tx_object_update(tx, &objects[i]);
        }
        if (!code && n)
            page.after = arena_str(arena, objects[n - 1].id);
        arena_free(&step);
    }
    return code;
}

static enum err_code delete (const struct call *c, struct arena *arena, struct err *err) {
    struct store_object o; struct store_tx *tx = store_tx_open();
    enum err_code code = find(c, &o, arena, err); if (!code) code = orphan_items(c, o.id, tx, arena, err);
    if (code){ store_tx_close(tx); return code; }
store_tx_object_delete(tx, o.kind, o.owner, o.id);
code = store_commit_wait(c->api->store, tx, err);
if (code == ERR_NOT_FOUND)
    not_found(err, "Conversation", o.id);
if (!code)
    reply_deleted(c->x, o.id, "conversation.deleted");
return code;
}

void conversations_delete(const struct call *c)
{
    struct arena arena = { 0 };
    struct err err = { 0 };
    if (delete (c, &arena, &err))
        reply_error(c->x, &err);
    arena_free(&arena);
}

/* --- its items -------------------------------------------------------------------------------------------------------- */

enum err_code conversation_room(struct api *a, const struct access_owner *o, struct str id, size_t more,
                                const char *param, struct err *err)
{
    int64_t n;
    enum err_code code = store_object_count(a->store, STR(KIND_ITEM), str_from(o->id), id, &n, err);
    if (!code && n + (int64_t)more > CONVERSATION_ITEMS_MAX)
        code = err_set(err, ERR_ARRAY_TOO_LONG, param, "A conversation holds at most %d items.",
                       CONVERSATION_ITEMS_MAX);
    return code;
}

static enum err_code add_items(const struct call *c, struct arena *arena, json_t **doc, json_t *items,
                               struct err *err)
{
    struct create_body b = { 0 };
    struct store_object o;
    enum err_code code = param_include(c, err);
    if (!code)
        code = body_decode(c, add_rows, ARRAY_LEN(add_rows), doc, &b, arena, err);
    if (!code)
        code = find(c, &o, arena, err);
    if (!code)
        code = read_items(c, b.items.value, items, arena, err);
    if (!code)
        code = conversation_room(c->api, &c->owner, o.id, json_array_size(items), "items", err);
    if (code)
        return code;
    struct store_tx *tx = store_tx_open();
    conversation_add_tx(tx, &c->owner, o.id, items);
    code = store_commit_wait(c->api->store, tx, err);
    if (!code)
        reply_items(c->x, items, false);
    return code;
}

void conversation_items_create(const struct call *c)
{
    struct arena arena = { 0 };
    struct err err = { 0 };
    json_t *doc = NULL, *items = json_array();
    if (add_items(c, &arena, &doc, items, &err))
        reply_error(c->x, &err);
    json_decref(doc);
    json_decref(items);
    arena_free(&arena);
}

static enum err_code list_items(const struct call *c, struct arena *arena, struct err *err)
{
    struct page page = { .limit = LIST_DEFAULT, .limit_max = PAGE_LIMIT_MAX, .descending = true };
    struct store_object o, *objects;
    size_t n;
    bool more;
    enum err_code code = param_include(c, err);
    if (!code)
        code = page_read(c, &page, err);
    if (!code)
        code = find(c, &o, arena, err);
    if (!code)
        code = object_page(c, KIND_ITEM, o.id, &page, &objects, &n, &more, arena, err);
    if (code)
        return code;
    struct list_reply l;
    list_begin(&l);
    for (size_t i = 0; i < n; i++)
        list_put(&l, objects[i].id, objects[i].body);
    list_send(&l, c->x, more);
    return ERR_OK;
}

void conversation_items_list(const struct call *c)
{
    struct arena arena = { 0 };
    struct err err = { 0 };
    if (list_items(c, &arena, &err))
        reply_error(c->x, &err);
    arena_free(&arena);
}

static enum err_code find_item(const struct call *c, struct store_object *conversation,
                               struct store_object *item, struct arena *arena, struct err *err)
{
    struct str id = http_path_arg(c->x, 1);
    enum err_code code = find(c, conversation, arena, err);
    if (!code)
        code = object_find(c->api, &c->owner, KIND_ITEM, "Item", id, item, arena, err);
    if (!code && !str_eq(item->parent, conversation->id))
        code = not_found(err, "Item", id);
    return code;
}

void conversation_item_get(const struct call *c)
{
    struct arena arena = { 0 };
    struct store_object conversation, item;
    struct err err = { 0 };
    enum err_code code = param_include(c, &err);
    if (!code)
        code = find_item(c, &conversation, &item, &arena, &err);
    if (code)
        reply_error(c->x, &err);
    else
        http_reply(c->x, 200, "application/json", item.body);
    arena_free(&arena);
}

void conversation_item_delete(const struct call *c)
{
    struct arena arena = { 0 };
    struct store_object conversation, item;
    struct err err = { 0 };
    enum err_code code = find_item(c, &conversation, &item, &arena, &err);
    if (!code) {
        struct store_tx *tx = store_tx_open();
        store_tx_object_delete(tx, item.kind, item.owner, item.id);
        code = store_commit_wait(c->api->store, tx, &err);
        if (code == ERR_NOT_FOUND)
            not_found(&err, "Item", item.id);
    }
    if (!code)
        code = reply_conversation(c, &conversation, &err);
    if (code)
        reply_error(c->x, &err);
    arena_free(&arena);
}

const struct field_table conversation_tables[] = {
    { "conversations", create_rows, ARRAY_LEN(create_rows) },
    { "conversations/{id}", update_rows, ARRAY_LEN(update_rows) },
    { "conversations/{id}/items", add_rows, ARRAY_LEN(add_rows) },
    { NULL, NULL, 0 },
};
