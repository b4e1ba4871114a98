/*
 * router.c - from a request's target to a route, its arguments and its query.
 *
 * A path is split at its slashes first and decoded after, so %2F stays inside its segment:
 * /v1/models/openai%2Fo3 names one model, and so does /v1/models/openai/o3 where the pattern
 * ends in {id+}. Routes are tried in the table's order; HEAD goes where GET goes.
 *
 * Pure functions; what they return lies in the caller's arena or views the target.
 */
#include "http/http_impl.h"

#include <stdio.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum err_code percent_decode(struct str in, bool plus_is_blank, struct arena *a, struct str *out,
                             struct err *err)
{
    char *bytes = arena_alloc(a, in.len + 1); /* decoding only shortens */
    size_t len = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        if (c == '%') {
            bool room = in.len - i > 2;
            int high = room ? hex_digit(in.ptr[i + 1]) : -1;
            int low = room ? hex_digit(in.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return err_set(err, ERR_BAD_REQUEST, NULL,
                               "The URL holds a '%%' that two hexadecimal digits do not follow.");
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        if (c == '\0')
            return err_set(err, ERR_BAD_REQUEST, NULL, "The URL holds a NUL.");
        bytes[len++] = c;
    }
    *out = (struct str){ bytes, len };
    if (!utf8_valid(*out))
        return err_set(err, ERR_BAD_REQUEST, NULL, "The URL is not valid UTF-8.");
    return ERR_OK;
}

static enum err_code query_decode(struct str query, struct arena *a, struct http_target *out, struct err *err)
{
    struct http_field *pairs = arena_array(a, HTTP_QUERY_MAX, sizeof *pairs);
    out->query = pairs;
    for (size_t at = 0; at < query.len;) {
        struct str rest = str_slice(query, at, query.len);
        size_t end = str_find(rest, STR("&"));
        struct str pair = str_slice(rest, 0, end);
        at += pair.len + 1;
        if (pair.len == 0)
            continue;
        if (out->n_query == HTTP_QUERY_MAX)
            return err_set(err, ERR_BAD_REQUEST, NULL, "A URL may have at most %d query parameters.",
                           HTTP_QUERY_MAX);
        size_t equals = str_find(pair, STR("="));
        struct str name = str_slice(pair, 0, equals), value = { 0 };
        if (equals != SIZE_MAX)
            value = str_slice(pair, equals + 1, pair.len);
        struct http_field *slot = &pairs[out->n_query++];
        enum err_code code = percent_decode(name, true, a, &slot->name, err);
        if (!code)
            code = percent_decode(value, true, a, &slot->value, err);
        if (code)
            return code;
    }
    return ERR_OK;
}

enum err_code target_decode(struct str target, struct arena *a, struct http_target *out, struct err *err)
{
    *out = (struct http_target){ 0 };
    size_t mark = str_find(target, STR("?"));
    out->raw_path = str_slice(target, 0, mark);
    enum err_code code = percent_decode(out->raw_path, false, a, &out->path, err);
    if (!code && mark != SIZE_MAX)
        code = query_decode(str_slice(target, mark + 1, target.len), a, out, err);
    return code;
}

/* Takes "/segment" off *path; false at its end. */
static bool take_segment(struct str *path, struct str *segment)
{
    if (path->len == 0 || path->ptr[0] != '/')
        return false;
    struct str rest = str_slice(*path, 1, path->len);
    *segment = str_slice(rest, 0, str_find(rest, STR("/")));
    *path = str_slice(rest, segment->len, rest.len);
    return true;
}

static bool match_pattern(const char *pattern, struct str path, struct arena *a, struct http_match *out)
{
    struct str want, left = str_from(pattern), got;
    out->n_args = 0;
    while (take_segment(&left, &want)) {
        struct str here = path, decoded;
        if (!take_segment(&path, &got))
            return false;
        bool arg = str_starts(want, STR("{")) && str_ends(want, STR("}"));
        if (arg && str_ends(want, STR("+}"))) { /* the rest of the path, slashes and all */
            got = str_slice(here, 1, here.len);
            path = (struct str){ 0 };
        }
        /* The whole path was decoded before without complaint, and so its parts are sound too: a character
         * cannot reach across a slash. */
        if (percent_decode(got, false, a, &decoded, NULL))
            return false;
        if (!arg && !str_eq(decoded, want))
            return false;
        if (arg && (decoded.len == 0 || out->n_args == HTTP_ARGS_MAX))
            return false;
        if (arg)
            out->args[out->n_args++] = decoded;
    }
    return path.len == 0;
}

static void allow_add(char allow[64], const char *method)
{
    size_t len = strlen(allow);
    if (!strstr(allow, method))
        snprintf(allow + len, 64 - len, "%s%s", len ? ", " : "", method);
}

enum err_code route_find(const struct http_route *routes, size_t n_routes, struct str method,
                         const struct http_target *target, struct arena *a, struct http_match *out,
                         struct err *err)
{
    struct str sought = str_is(method, "HEAD") ? STR("GET") : method;
    *out = (struct http_match){ 0 };
    bool options = str_is(method, "OPTIONS");
    for (size_t i = 0; i < n_routes; i++) {
        bool all = options && str_is(target->raw_path, "*");
        if (!all && !match_pattern(routes[i].pattern, target->raw_path, a, out))
            continue;
        if (str_is(sought, routes[i].method)) {
            out->route = &routes[i];
            return ERR_OK;
        }
        allow_add(out->allow, routes[i].method);
        if (strcmp(routes[i].method, "GET") == 0)
            allow_add(out->allow, "HEAD");
    }
    if (!out->allow[0])
        return err_set(err, ERR_NOT_FOUND, NULL, "Invalid URL (%.*s %.*s)", STR_ARG(method),
                       STR_ARG(target->path));
    allow_add(out->allow, "OPTIONS");
    if (options)
        return ERR_OK;
    return err_set(err, ERR_METHOD, NULL, "Not allowed to %.*s on %.*s; it takes %s.", STR_ARG(method),
                   STR_ARG(str_slice(target->path, 0, 200)), out->allow);
}
