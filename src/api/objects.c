/*
 * objects.c - what the files of stored things share: bodies in, objects by id, lists of them.
 *
 * An object is looked up under its owner, so another key's is as absent as one that never was. What is stored was
 * checked when it came in, so JSON that does not read back is the store's fault and says so.
 *
 * Threads: http's workers, which may wait for the disk.
 */
#include "api/api_impl.h"

#define SCAN_OBJECTS 100 /* looked at together, when a list is filtered */

enum err_code stored_json(json_t **out, struct str text, struct str id, struct err *err)
{
    json_error_t error;
    *out = json_loadb(text.len ? text.ptr : "", text.len, 0, &error);
    if (*out)
        return ERR_OK;
    return err_set(err, ERR_STORE, NULL, "What is stored of '%.*s' cannot be read (%s).",
                   STR_ARG(field_quoted(id)), error.text);
}

enum err_code not_found(struct err *err, const char *what, struct str id)
{
    return err_set(err, ERR_NOT_FOUND, NULL, "%s with id '%.*s' not found.", what, STR_ARG(field_quoted(id)));
}

enum err_code body_decode(const struct call *c, const struct field *rows, size_t n, json_t **doc,
                          void *target, struct arena *arena, struct err *err)
{
    struct str body = str_trim(http_body(c->x));
    enum err_code code = json_read(doc, body.len ? body : STR("{}"), err);
    return code ? code : fields_decode(*doc, rows, n, "", target, arena, err);
}

enum err_code object_find(struct api *a, const struct access_owner *o, const char *kind, const char *what,
                          struct str id, struct store_object *out, struct arena *arena, struct err *err)
{
    enum err_code code = store_object_get(a->store, str_from(kind), str_from(o->id), id, out, arena, err);
    return code == ERR_NOT_FOUND ? not_found(err, what, id) : code;
}

enum err_code object_page(const struct call *c, const char *kind, struct str parent, const struct page *page,
                          struct store_object **out, size_t *n, bool *more, struct arena *arena,
                          struct err *err)
{
    struct store_list ask = { .kind = str_from(kind),
                              .owner = str_from(c->owner.id),
                              .parent = parent,
                              .after = page->after,
                              .before = page->before,
                              .limit = page->limit,
                              .descending = page->descending };
    const char *cursor = page->after.len ? "after" : "before";
    enum err_code code = store_object_list(c->api->store, &ask, out, n, more, arena, err);
    if (code != ERR_NOT_FOUND)
        return code;
    return err_set(err, ERR_INVALID_VALUE, cursor, "Invalid '%s': '%.*s' is not in this list.", cursor,
                   STR_ARG(field_quoted(page->after.len ? page->after : page->before)));
}

/* --- a list, filtered --------------------------------------------------------------------------------------- */

/* A list on its way into a reply. Bodies go with each step; the ids that the reply names at its end stay. */
struct scan {
    const struct object_filter *filter;
    struct list_reply reply;
    struct arena ids;
    size_t room; /* entries that the page still takes */
    bool more;   /* one that fits was found behind the page */
};

static enum err_code scan_object(struct scan *s, const struct store_object *o, struct err *err)
{
    struct buf json = { 0 };
    json_t *body;
    enum err_code code = stored_json(&body, o->body, o->id, err);
    if (code)
        return code;
    bool fits = !s->filter->keep || s->filter->keep(body, s->filter->ctx);
    if (fits && s->room) {
        s->filter->show(body, &json);
        list_put(&s->reply, arena_str(&s->ids, o->id), buf_str(&json));
        s->room--;
    } else if (fits) {
        s->more = true;
    }
    buf_free(&json);
    json_decref(body);
    return ERR_OK;
}

/* Without a filter the store's own page is the page; with one, the list is walked until it is full and it is known
 * whether there are more. */
static enum err_code scan_list(const struct call *c, const char *kind, struct page page, struct scan *s,
                               struct err *err)
{
    struct store_object *objects;
    size_t n;
    bool rest = true, filtered = s->filter->keep != NULL;
    enum err_code code = ERR_OK;
    if (filtered)
        page.limit = SCAN_OBJECTS;
    while (!code && rest && !s->more) {
        struct arena step = { 0 };
        code = object_page(c, kind, STR(""), &page, &objects, &n, &rest, &step, err);
        for (size_t i = 0; !code && i < n && !s->more; i++)
            code = scan_object(s, &objects[i], err);
        if (!code && n)
            page.after = arena_str(&s->ids, objects[n - 1].id);
        arena_free(&step);
        if (!filtered) {
            s->more = rest;
            break;
        }
    }
    return code;
}

enum err_code object_list_reply(const struct call *c, const char *kind, const struct page *page,
                                const struct object_filter *filter, struct err *err)
{
    struct scan s = { .filter = filter, .room = page->limit };
    list_begin(&s.reply);
    enum err_code code = scan_list(c, kind, *page, &s, err);
    if (code)
        buf_free(&s.reply.body);
    else
        list_send(&s.reply, c->x, s.more);
    arena_free(&s.ids);
    return code;
}
