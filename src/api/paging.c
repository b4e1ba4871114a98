/*
 * paging.c - query parameters with their types, and lists that come in pages.
 *
 * All lists of the API have one shape and one set of parameters; they differ in their defaults, which the endpoint
 * puts into struct page before it is read. A list of objects is cut by the store, a list that has to be put together
 * first (the input of a response, the messages of a chat) by page_cut, and both by the same rule: after and before are
 * ids, exclusive, in the order of the page.
 *
 * Threads: http's workers; no state.
 */
#include "api/api_impl.h"

/* What a reply may be asked to include besides. */
const char *const include_names[] = { "message.input_image.image_url",
                                      "computer_call_output.output.image_url",
                                      "file_search_call.results",
                                      "web_search_call.results",
                                      "web_search_call.action.sources",
                                      "code_interpreter_call.outputs",
                                      "message.output_text.logprobs",
                                      "reasoning.encrypted_content",
                                      "thinkd.trace",
                                      NULL };

/* --- query parameters ------------------------------------------------------------------------------------ */

bool param_get(const struct call *c, const char *name, struct str *value)
{
    struct str got;
    for (size_t i = 0; http_query(c->x, i, &got, value); i++)
        if (str_is(got, name))
            return true;
    *value = (struct str){ 0 };
    return false;
}

static enum err_code bound_error(enum err_code code, const char *name, const char *side, const char *sign,
                                 int64_t bound, int64_t got, struct err *err)
{
    return err_set(err, code, name,
                   "Invalid '%s': integer %s value. Expected a value %s %lld, but got %lld instead.", name,
                   side, sign, (long long)bound, (long long)got);
}

enum err_code param_int(const struct call *c, const char *name, int64_t min, int64_t max, int64_t *out,
                        struct err *err)
{
    struct str text;
    int64_t v;
    if (!param_get(c, name, &text))
        return ERR_OK;
    if (!str_to_i64(text, &v))
        return err_set(err, ERR_INVALID_TYPE, name,
                       "Invalid type for '%s': expected an integer, but got '%.*s' instead.", name,
                       STR_ARG(field_quoted(text)));
    if (v < min)
        return bound_error(ERR_INTEGER_BELOW_MIN, name, "below minimum", ">=", min, v, err);
    if (v > max)
        return bound_error(ERR_INTEGER_ABOVE_MAX, name, "above maximum", "<=", max, v, err);
    *out = v;
    return ERR_OK;
}

enum err_code param_bool(const struct call *c, const char *name, bool *out, struct err *err)
{
    static const char *const values[] = { "true", "false", NULL };
    struct str text;
    if (!param_get(c, name, &text))
        return ERR_OK;
    if (!str_is(text, "true") && !str_is(text, "false"))
        return field_value_error(err, name, text, values);
    *out = str_is(text, "true");
    return ERR_OK;
}

struct str name_at(struct str list, size_t *at)
{
    struct str rest = str_slice(list, *at, list.len);
    struct str name = str_slice(rest, 0, str_find(rest, STR(",")));
    *at += name.len + 1;
    return name;
}

/* One value of include, which may hold several names with commas between. */
static enum err_code check_include(struct str value, size_t *n, struct err *err)
{
    for (size_t at = 0; at <= value.len; (*n)++) {
        struct str name = name_at(value, &at);
        size_t k = 0;
        while (include_names[k] && !str_is(name, include_names[k]))
            k++;
        if (!include_names[k]) {
            struct err named;
            err_set(&named, ERR_INVALID_VALUE, NULL, "include[%zu]", *n);
            return field_value_error(err, named.message, name, include_names);
        }
    }
    return ERR_OK;
}

enum err_code param_include(const struct call *c, struct err *err)
{
    struct str name, value;
    size_t n = 0;
    enum err_code code = ERR_OK;
    for (size_t i = 0; !code && http_query(c->x, i, &name, &value); i++)
        if (str_is(name, "include") || str_is(name, "include[]"))
            code = check_include(value, &n, err);
    return code;
}

/* --- pages ------------------------------------------------------------------------------------------------ */

static enum err_code read_order(const struct call *c, struct page *page, struct err *err)
{
    static const char *const values[] = { "asc", "desc", NULL };
    struct str order;
    if (!param_get(c, "order", &order))
        return ERR_OK;
    if (!str_is(order, "asc") && !str_is(order, "desc"))
        return field_value_error(err, "order", order, values);
    page->descending = str_is(order, "desc");
    return ERR_OK;
}

enum err_code page_read(const struct call *c, struct page *page, struct err *err)
{
    int64_t limit = (int64_t)page->limit;
    enum err_code code = param_int(c, "limit", 1, (int64_t)page->limit_max, &limit, err);
    if (!code)
        code = read_order(c, page, err);
    page->limit = (size_t)limit;
    param_get(c, "after", &page->after);
    param_get(c, "before", &page->before);
    return code;
}

static const json_t *item_at(const json_t *items, const struct page *page, size_t i)
{
    return json_array_get(items, page->descending ? json_array_size(items) - 1 - i : i);
}

/* The place of an id in the page's order; an empty id has the place that was there before. */
static enum err_code find_cursor(const json_t *items, const struct page *page, const char *param,
                                 struct str id, size_t *place, struct err *err)
{
    if (id.len == 0)
        return ERR_OK;
    for (size_t i = 0; i < json_array_size(items); i++)
        if (str_eq(json_str(json_object_get(item_at(items, page, i), "id")), id)) {
            *place = i;
            return ERR_OK;
        }
    return err_set(err, ERR_INVALID_VALUE, param, "Invalid '%s': '%.*s' is not in this list.", param,
                   STR_ARG(field_quoted(id)));
}

enum err_code page_cut(json_t **out, const json_t *items, const struct page *page, bool *more,
                       struct err *err)
{
    size_t after = SIZE_MAX, end = json_array_size(items);
    enum err_code code = find_cursor(items, page, "after", page->after, &after, err);
    if (!code)
        code = find_cursor(items, page, "before", page->before, &end, err);
    if (code)
        return code;
    size_t begin = after + 1, fits = page->limit; /* SIZE_MAX + 1 is 0: from the start */
    bool backwards = page->before.len > 0 && page->after.len == 0;
    *more = begin < end && end - begin > fits;
    if (*more && backwards)
        begin = end - fits;
    else if (*more)
        end = begin + fits;
    *out = json_array();
    for (size_t i = begin; i < end; i++)
        json_array_append(*out, (json_t *)item_at(items, page, i));
    return ERR_OK;
}

/* --- replies ---------------------------------------------------------------------------------------------- */

void list_begin(struct list_reply *l)
{
    *l = (struct list_reply){ .w = { .out = NULL } };
    l->w.out = &l->body;
    jw_begin_object(&l->w);
    jw_key_cstring(&l->w, "object", "list");
    jw_key(&l->w, "data");
    jw_begin_array(&l->w);
}

void list_put(struct list_reply *l, struct str id, struct str json)
{
    jw_raw(&l->w, json);
    if (!l->first.len)
        l->first = id;
    l->last = id;
}

static void put_id(struct json_writer *w, const char *key, struct str id)
{
    jw_key(w, key);
    if (id.len)
        jw_string(w, id);
    else
        jw_null(w);
}

void list_send(struct list_reply *l, struct http_exchange *x, bool more)
{
    jw_end_array(&l->w);
    put_id(&l->w, "first_id", l->first);
    put_id(&l->w, "last_id", l->last);
    jw_key_bool(&l->w, "has_more", more);
    jw_end_object(&l->w);
    reply_json(x, 200, &l->body);
    buf_free(&l->body);
}

void reply_items(struct http_exchange *x, const json_t *items, bool more)
{
    struct list_reply l;
    struct buf json = { 0 };
    list_begin(&l);
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        buf_clear(&json);
        json_dump(&json, item);
        list_put(&l, json_str(json_object_get(item, "id")), buf_str(&json));
    }
    list_send(&l, x, more);
    buf_free(&json);
}

void reply_value(struct http_exchange *x, const json_t *value)
{
    struct buf body = { 0 };
    json_dump(&body, value);
    reply_json(x, 200, &body);
    buf_free(&body);
}

void reply_deleted(struct http_exchange *x, struct str id, const char *object)
{
    struct buf body = { 0 };
    struct json_writer w = { .out = &body };
    jw_begin_object(&w);
    jw_key_string(&w, "id", id);
    jw_key_cstring(&w, "object", object);
    jw_key_bool(&w, "deleted", true);
    jw_end_object(&w);
    reply_json(x, 200, &body);
    buf_free(&body);
}
