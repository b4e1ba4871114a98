/*
 * endpoints.c - the table of what can be called, and the checks that come before any handler.
 *
 * aimlapi's paths without /v1 are rows like any other. Guards run in one order for every row: who calls (401),
 * query parameters nobody reads (400), the media type (415). A missing media type is refused as well: a page in
 * a browser can send a body without one to a server on localhost with no preflight, and application/json
 * it cannot.
 *
 * Threads: dispatch runs on http's workers; the tables are read-only once api_open returned.
 */
#include "api/api_impl.h"

#include <stdio.h>

static const struct endpoint endpoints[] = {
    /* method  path                     handler           flags */
    { "POST", "/v1/responses", responses_create, EP_KEY | EP_JSON },
    { "POST", "/v1/chat/completions", chat_create, EP_KEY | EP_JSON },
    { "POST", "/v1/completions", completions_create, EP_KEY | EP_JSON },
    { "GET", "/v1/models", models_list, EP_KEY },
    { "GET", "/v1/models/{id+}", models_get, EP_KEY },
    { "POST", "/responses", responses_create, EP_KEY | EP_JSON },
    { "POST", "/chat/completions", chat_create, EP_KEY | EP_JSON },
    { "POST", "/completions", completions_create, EP_KEY | EP_JSON },
    { "GET", "/models", models_list, EP_KEY },
    { "GET", "/models/{id+}", models_get, EP_KEY },
    { "GET", "/healthz", health_get, 0 },
};

bool api_endpoint(size_t i, const char **method, const char **path)
{
    if (i >= ARRAY_LEN(endpoints))
        return false;
    *method = endpoints[i].method;
    *path = endpoints[i].path;
    return true;
}

bool api_field(size_t i, const char **table, const char **name, enum field_kind *kind)
{
    const struct field_table *const groups[] = { responses_tables, chat_tables, completions_tables,
                                                 message_tables };
    for (size_t g = 0; g < ARRAY_LEN(groups); g++)
        for (const struct field_table *t = groups[g]; t->name; i -= t->n, t++)
            if (i < t->n) {
                *table = t->name;
                *name = t->rows[i].name;
                *kind = t->rows[i].kind;
                return true;
            }
    return false;
}

static enum err_code check_query(const struct http_exchange *x, struct err *err)
{
    struct str name, value;
    if (!http_query(x, 0, &name, &value))
        return ERR_OK;
    struct buf param = { 0 };
    buf_put_str(&param, str_slice(name, 0, 64));
    buf_putc(&param, '\0');
    err_set(err, ERR_UNKNOWN_PARAMETER, param.ptr, "Unknown query parameter: '%s'.", param.ptr);
    buf_free(&param);
    return ERR_UNKNOWN_PARAMETER;
}

static enum err_code check_media(const struct http_exchange *x, struct err *err)
{
    struct str type = http_header(x, "content-type"), encoding = str_trim(http_header(x, "content-encoding"));
    size_t semicolon = str_find(type, STR(";"));
    struct str bare = str_trim(str_slice(type, 0, semicolon)); /* parameters such as charset are let pass */
    if (!str_eq_nocase(bare, STR("application/json")))
        return err_set(err, ERR_MEDIA_TYPE, NULL,
                       "Unsupported media type: '%.*s'. Send the header Content-Type: application/json.",
                       STR_ARG(str_slice(bare, 0, 64)));
    if (encoding.len && !str_eq_nocase(encoding, STR("identity")))
        return err_set(err, ERR_MEDIA_TYPE, NULL,
                       "Unsupported content encoding: '%.*s'. Send the body without compression.",
                       STR_ARG(str_slice(encoding, 0, 64)));
    return ERR_OK;
}

static enum err_code admit(struct api *a, const struct endpoint *ep, struct http_exchange *x, struct err *err)
{
    struct access_owner owner;
    if (!(ep->flags & EP_KEY))
        return ERR_OK;
    enum err_code code =
        access_check(a->access, http_header(x, "authorization"), http_header(x, "api-key"), &owner, err);
    if (!code)
        code = check_query(x, err);
    if (!code && (ep->flags & EP_JSON))
        code = check_media(x, err);
    return code;
}

static void dispatch(struct http_exchange *x, const struct http_route *route, void *app)
{
    struct api *a = app;
    const struct endpoint *ep = &endpoints[route->flags];
    struct err err = { 0 };
    if (admit(a, ep, x, &err))
        reply_error(x, &err);
    else
        ep->handle(a, x);
}

void health_get(struct api *a, struct http_exchange *x)
{
    (void)a;
    http_reply(x, 200, "application/json", STR("{\"status\":\"ok\"}"));
}

enum err_code api_open(struct api **out, const struct config *cfg, const struct access *access,
                       struct conductor *conductor, struct err *err)
{
    (void)err; /* nothing here can fail yet; what needs files or a database will */
    struct api *a = mem_zalloc(sizeof *a);
    a->cfg = cfg;
    a->access = access;
    a->conductor = conductor;
    a->routes = mem_array(ARRAY_LEN(endpoints), sizeof *a->routes);
    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++)
        a->routes[i] = (struct http_route){
            .method = endpoints[i].method,
            .pattern = endpoints[i].path,
            .body_max = endpoints[i].flags & EP_JSON ? (size_t)cfg->body_bytes_max : 0,
            .handle = dispatch,
            .flags = (unsigned)i, /* the row, so that dispatch finds its endpoint again */
        };
    const struct engine_info *info = engine_info(conductor_engine(conductor));
    uint64_t hash = str_hash(str_from(info->model)) ^ (str_hash(str_from(info->description)) << 1);
    snprintf(a->fingerprint, sizeof a->fingerprint, "fp_%010llx",
             (unsigned long long)(hash & 0xffffffffffULL));
    *out = a;
    return ERR_OK;
}

void api_close(struct api *a)
{
    if (!a)
        return;
    mem_free(a->routes);
    mem_free(a);
}

const struct http_route *api_routes(const struct api *a, size_t *n)
{
    *n = ARRAY_LEN(endpoints);
    return a->routes;
}
