/*
 * endpoints.c - the table of what can be called, and the checks that come before any handler.
 *
 * A row's path stands once; api_open makes its routes in every family of paths (aimlapi's have no /v1, Azure's begin with
 * /openai). Guards run in one order for every row: who calls (401), how much the caller has asked for lately (429), query
 * parameters nobody reads (400), the media type (415). A missing media type is refused as well: a page in a
 * browser can send a body without one to a server on localhost with no preflight, and application/json it
 * cannot. A form it can, so a form without a key must not come from a page of another site (400).
 *
 * Threads: dispatch runs on http's workers; the tables are read-only once api_open returned.
 */
#include "api/api_impl.h"

#include <string.h>

/* include as clients write a list: "[]" behind the name, or not. */
static const char *const get_query[] = { "include",        "include[]",           "stream",
                                         "starting_after", "include_obfuscation", NULL };
static const char *const include_query[] = { "include", "include[]", NULL };
static const char *const items_query[] = {
    "include", "include[]", "limit", "order", "after", "before", NULL
};
static const char *const members_query[] = { "include", "include[]", "limit", "order", "after", NULL };
static const char *const page_query[] = { "limit", "order", "after", NULL };
static const char *const chat_query[] = { "limit", "order", "after", "model", "metadata[*]", NULL };
static const char *const files_query[] = { "limit", "order", "after", "purpose", NULL };

static const char *const models_query[] = { "id", "include", "include[]", "details", NULL };
static const char *const model_query[] = { "include", "include[]", "details", NULL };

static const struct endpoint endpoints[] = {
    /* method  path                     handler           flags, query */
    { "POST", "/v1/responses", responses_create, EP_KEY | EP_JSON | EP_THINK, NULL },
    { "GET", "/v1/responses", responses_socket, EP_KEY | EP_SOCKET, NULL },
    { "GET", "/v1/responses/{id}", responses_get, EP_KEY, get_query },
    { "DELETE", "/v1/responses/{id}", responses_delete, EP_KEY, NULL },
    { "POST", "/v1/responses/{id}/cancel", responses_cancel, EP_KEY | EP_BODY, NULL },
    { "GET", "/v1/responses/{id}/input_items", responses_input_items, EP_KEY, items_query },
    { "POST", "/v1/responses/compact", responses_compact, EP_KEY | EP_JSON, NULL },
    { "POST", "/v1/responses/input_tokens", responses_input_tokens, EP_KEY | EP_JSON, NULL },
    { "POST", "/v1/conversations", conversations_create, EP_KEY | EP_JSON, NULL },
    { "GET", "/v1/conversations/{id}", conversations_get, EP_KEY, NULL },
    { "POST", "/v1/conversations/{id}", conversations_update, EP_KEY | EP_JSON, NULL },
    { "DELETE", "/v1/conversations/{id}", conversations_delete, EP_KEY, NULL },
    { "POST", "/v1/conversations/{id}/items", conversation_items_create, EP_KEY | EP_JSON, include_query },
    { "GET", "/v1/conversations/{id}/items", conversation_items_list, EP_KEY, members_query },
    { "GET", "/v1/conversations/{id}/items/{item}", conversation_item_get, EP_KEY, include_query },
    { "DELETE", "/v1/conversations/{id}/items/{item}", conversation_item_delete, EP_KEY, NULL },
    { "POST", "/v1/chat/completions", chat_create, EP_KEY | EP_JSON | EP_THINK, NULL },
    { "GET", "/v1/chat/completions", stored_chat_list, EP_KEY, chat_query },
    { "GET", "/v1/chat/completions/{id}", stored_chat_get, EP_KEY, NULL },
    { "POST", "/v1/chat/completions/{id}", stored_chat_update, EP_KEY | EP_JSON, NULL },
    { "DELETE", "/v1/chat/completions/{id}", stored_chat_delete, EP_KEY, NULL },
    { "GET", "/v1/chat/completions/{id}/messages", stored_chat_messages, EP_KEY, page_query },
    { "POST", "/v1/files", files_create, EP_KEY | EP_FORM, NULL },
    { "GET", "/v1/files", files_list, EP_KEY, files_query },
    { "GET", "/v1/files/{id}", files_get, EP_KEY, NULL },
    { "DELETE", "/v1/files/{id}", files_delete, EP_KEY, NULL },
    { "GET", "/v1/files/{id}/content", files_content, EP_KEY, NULL },
    { "POST", "/v1/completions", completions_create, EP_KEY | EP_JSON | EP_THINK, NULL },
    { "GET", "/v1/models", models_list, EP_KEY | EP_LIST, models_query },
    { "GET", "/v1/models/{id+}", models_get, EP_KEY | EP_LIST, NULL },
    { "GET", "/model/{id+}", model_lookup, EP_KEY | EP_LIST, model_query },
    { "GET", "/openapi.json", openapi_get, 0, NULL },
    { "GET", "/healthz", health_get, 0, NULL },
};

/* Where the paths that begin with /v1 stand besides. Azure names a deployment, which is the model, in the path of chat alone;
 * its dated paths want to know which date. */
static const struct path_family {
    const char *prefix;
    enum { API_VERSION_UNKNOWN, API_VERSION_MAY, API_VERSION_MUST } api_version;
    const char *only; /* one path of the table, where the family has no others; NULL: all */
} families[] = {
    { "/v1", API_VERSION_UNKNOWN, NULL },
    { "", API_VERSION_UNKNOWN, NULL },
    { "/api/v1", API_VERSION_UNKNOWN, "/v1/models" },
    { "/openai/v1", API_VERSION_MAY, NULL },
    { "/openai", API_VERSION_MUST, NULL },
    { "/openai/deployments/{deployment}", API_VERSION_MUST, "/v1/chat/completions" },
};

const struct endpoint *endpoint_row(size_t i)
{
    return i < ARRAY_LEN(endpoints) ? &endpoints[i] : NULL;
}

bool api_endpoint(size_t i, const char **method, const char **path)
{
    if (i >= ARRAY_LEN(endpoints))
        return false;
    *method = endpoints[i].method;
    *path = endpoints[i].path;
    return true;
}

const struct field_table *field_table_at(size_t i)
{
    const struct field_table *const groups[] = { responses_tables,   chat_tables,    completions_tables,
                                                 message_tables,     item_tables,    conversation_tables,
                                                 stored_chat_tables, compact_tables, input_tokens_tables,
                                                 part_tables,        prompt_tables,  item_part_tables,
                                                 format_tables };
    for (size_t g = 0; g < ARRAY_LEN(groups); g++)
        for (const struct field_table *t = groups[g]; t->name; t++)
            if (i-- == 0)
                return t;
    return NULL;
}

bool api_field(size_t i, const char **table, const char **name, enum field_kind *kind)
{
    const struct field_table *t;
    for (size_t n = 0; (t = field_table_at(n)); i -= t->n, n++)
        if (i < t->n) {
            *table = t->name;
            *name = t->rows[i].name;
            *kind = t->rows[i].kind;
            return true;
        }
    return false;
}

/* "metadata[*]" stands for any key in the brackets. */
static bool fits_name(struct str name, struct str pattern)
{
    size_t stem = str_find(pattern, STR("[*]"));
    if (stem == SIZE_MAX)
        return str_eq(name, pattern);
    return name.len > stem + 2 && str_starts(name, str_slice(pattern, 0, stem + 1)) &&
           str_ends(name, STR("]"));
}

static bool is_named(const char *const *names, struct str name)
{
    for (size_t i = 0; names && names[i]; i++)
        if (fits_name(name, str_from(names[i])))
            return true;
    return false;
}

static enum err_code unknown_query(struct err *err, struct str name)
{
    struct buf param = { 0 };
    buf_put_str(&param, str_slice(name, 0, 64));
    buf_putc(&param, '\0');
    err_set(err, ERR_UNKNOWN_PARAMETER, param.ptr, "Unknown query parameter: '%s'.", param.ptr);
    buf_free(&param);
    return ERR_UNKNOWN_PARAMETER;
}

/* YYYY-MM-DD, also with -preview, or a word. What a version means is the same for all of them here. */
static bool is_api_version(struct str v)
{
    static const char shape[] = "dddd-dd-dd";
    if (str_is(v, "preview") || str_is(v, "latest") || str_is(v, "v1"))
        return true;
    if (str_ends(v, STR("-preview")))
        v = str_slice(v, 0, v.len - strlen("-preview"));
    for (size_t i = 0; i < v.len && i < strlen(shape); i++)
        if (shape[i] == 'd' ? v.ptr[i] < '0' || v.ptr[i] > '9' : v.ptr[i] != '-')
            return false;
    return v.len == strlen(shape);
}

/* Azure answers a request without a version as if there were nothing at its path. */
static enum err_code check_query(const struct http_exchange *x, const struct endpoint *ep,
                                 const struct path_family *family, struct err *err)
{
    struct str name, value;
    bool versioned = false;
    for (size_t i = 0; http_query(x, i, &name, &value); i++) {
        bool version = family->api_version != API_VERSION_UNKNOWN && str_is(name, "api-version");
        if (!version && !is_named(ep->query, name))
            return unknown_query(err, name);
        if (version && !is_api_version(value))
            return err_set(
                err, ERR_INVALID_VALUE, "api-version",
                "Invalid 'api-version': expected a date as 2025-04-01-preview, 'preview', 'latest' or "
                "'v1'.");
        versioned |= version;
    }
    if (family->api_version == API_VERSION_MUST && !versioned)
        return err_set(err, ERR_AZURE_NOT_FOUND, NULL, "Resource not found");
    return ERR_OK;
}

static enum err_code check_media(const struct http_exchange *x, const char *wanted, struct err *err)
{
    struct str type = http_header(x, "content-type"), encoding = str_trim(http_header(x, "content-encoding"));
    size_t semicolon = str_find(type, STR(";"));
    struct str bare = str_trim(str_slice(type, 0, semicolon)); /* parameters such as charset are let pass */
    if (!str_eq_nocase(bare, str_from(wanted)))
        return err_set(err, ERR_MEDIA_TYPE, NULL,
                       "Unsupported media type: '%.*s'. Send the header Content-Type: %s.",
                       STR_ARG(str_slice(bare, 0, 64)), wanted);
    if (encoding.len && !str_eq_nocase(encoding, STR("identity")))
        return err_set(err, ERR_MEDIA_TYPE, NULL,
                       "Unsupported content encoding: '%.*s'. Send the body without compression.",
                       STR_ARG(str_slice(encoding, 0, 64)));
    return ERR_OK;
}

/* Browsers name the page's site in Origin; a header with a key is one that a page cannot add without asking. */
static enum err_code check_site(const struct http_exchange *x, struct err *err)
{
    struct str origin = http_header(x, "origin"), scheme_end = STR("://");
    size_t at = str_find(origin, scheme_end);
    struct str site = str_slice(origin, at == SIZE_MAX ? 0 : at + scheme_end.len, origin.len);
    if (!origin.len || http_header(x, "authorization").len || http_header(x, "api-key").len ||
        str_eq_nocase(site, http_header(x, "host")))
        return ERR_OK;
    return err_set(err, ERR_BAD_REQUEST, NULL, "A form from a page of another site ('%.*s') needs a key.",
                   STR_ARG(field_quoted(origin)));
}

/* The place is taken as soon as the owner is known, so that every reply to it says how the limits stand. */
static enum err_code admit(struct call *c, const struct endpoint *ep, const struct path_family *family,
                           struct err *err)
{
    if (!(ep->flags & EP_KEY))
        return ERR_OK;
    enum err_code code = access_check(c->api->access, http_header(c->x, "authorization"),
                                      http_header(c->x, "api-key"), &c->owner, err);
    if (!code)
        http_set_header(c->x, "openai-organization", c->owner.id);
    if ((ep->flags & EP_LIST) && c->api->cfg->models_without_key)
        code = ERR_OK; /* a key that is shown still says which models it may use */
    if (!code && (ep->flags & EP_THINK))
        code = limits_enter(c->api->access, &c->owner, c->x, c->place, err);
    if (!code)
        code = check_query(c->x, ep, family, err);
    if (!code && (ep->flags & (EP_JSON | EP_FORM)))
        code = check_media(c->x, ep->flags & EP_JSON ? "application/json" : "multipart/form-data", err);
    if (!code && (ep->flags & EP_FORM))
        code = check_site(c->x, err);
    return code;
}

/* A place is given back before its request is answered: who has read the answer may ask again at once. */
static void dispatch(struct http_exchange *x, const struct http_route *route, void *app)
{
    struct access_place place = { 0 };
    struct call c = { .api = app, .x = x, .place = &place };
    struct access *access = c.api->access;
    unsigned row = route->flags & ~HTTP_QUICK;
    const struct endpoint *ep = &endpoints[row % ARRAY_LEN(endpoints)];
    const struct path_family *family = &families[row / ARRAY_LEN(endpoints)];
    struct err err = { 0 };
    if (family->only)
        c.deployment = http_path_arg(x, 0);
    if (admit(&c, ep, family, &err)) {
        access_give(access, &place, 0);
        reply_error(x, &err);
    } else {
        if (!idempotency_answered(&c))
            ep->handle(&c);
        access_give(access, &place, 0); /* of what was answered without going on */
    }
}

void health_get(const struct call *c)
{
    http_reply(c->x, 200, "application/json", STR("{\"status\":\"ok\"}"));
}

/* --- routes ----------------------------------------------------------------------------------------------- */

static bool has_path(const struct path_family *family, const struct endpoint *ep)
{
    if (!str_starts(str_from(ep->path), STR("/v1/")))
        return family == &families[0];
    return !family->only || strcmp(family->only, ep->path) == 0;
}

static const char *path_in(const struct path_family *family, const struct endpoint *ep, struct arena *arena)
{
    if (!str_starts(str_from(ep->path), STR("/v1/")))
        return ep->path;
    return arena_printf(arena, "%s%s", family->prefix, ep->path + strlen("/v1"));
}

/* Who asks how a response stands does not wait behind the requests to make others. */
static bool is_quick(const struct endpoint *ep)
{
    return strcmp(ep->method, "GET") == 0 && !(ep->flags & EP_SOCKET);
}

struct http_route *endpoint_routes(size_t *n, size_t body_max, struct arena *arena)
{
    struct http_route *routes =
        arena_array(arena, ARRAY_LEN(families) * ARRAY_LEN(endpoints), sizeof *routes);
    *n = 0;
    for (size_t f = 0; f < ARRAY_LEN(families); f++)
        for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
            const struct endpoint *ep = &endpoints[i];
            if (!has_path(&families[f], ep))
                continue;
            routes[(*n)++] = (struct http_route){
                .method = ep->method,
                .pattern = path_in(&families[f], ep, arena),
                .body_max = ep->flags & (EP_JSON | EP_FORM | EP_BODY | EP_SOCKET) ? body_max : 0,
                .handle = dispatch,
                /* the row and its family, for dispatch */
                .flags = (unsigned)(f * ARRAY_LEN(endpoints) + i) | (is_quick(ep) ? HTTP_QUICK : 0),
            };
        }
    return routes;
}
