/*
 * schema_place.c - where a value of a schema stands: for messages, and for what $ref names.
 *
 * Every array and object of the document is found once, before anything else. true and false are singletons in
 * jansson, so a schema that is only a boolean has no place of its own and is spoken of by the keyword that holds
 * it.
 *
 * $ref follows RFC 3986 among the $ids of the document; nothing is ever fetched. What is looked up: "#", a JSON
 * pointer, an anchor, each behind nothing or behind a URI that resolves to an $id of this document.
 */
#include "grammar/schema_impl.h"

#include <string.h>

/* --- by address ------------------------------------------------------------------------------------ */

static size_t pointer_slot(const struct pointer_map *m, const json_t *key)
{
    size_t i = (size_t)((uintptr_t)key * 0x9e3779b97f4a7c15u >> 20) & (m->cap - 1);
    while (m->keys[i] && m->keys[i] != key)
        i = (i + 1) & (m->cap - 1);
    return i;
}

static void *pointer_map_get(const struct pointer_map *m, const json_t *key)
{
    if (!m->cap)
        return NULL;
    size_t i = pointer_slot(m, key);
    return m->keys[i] ? (void *)m->values[i] : NULL;
}

static void pointer_map_grow(struct pointer_map *m, struct arena *a)
{
    struct pointer_map wide = { .cap = m->cap ? m->cap * 2 : 64 };
    wide.keys = arena_array(a, wide.cap, sizeof *wide.keys);
    wide.values = arena_array(a, wide.cap, sizeof *wide.values);
    for (size_t i = 0; i < m->cap; i++)
        if (m->keys[i])
            pointer_map_put(&wide, a, m->keys[i], m->values[i]);
    *m = wide;
}

void pointer_map_put(struct pointer_map *m, struct arena *a, const json_t *key, const void *value)
{
    if (m->used * 2 >= m->cap)
        pointer_map_grow(m, a);
    size_t i = pointer_slot(m, key);
    m->used += !m->keys[i];
    m->keys[i] = key;
    m->values[i] = value;
}

/* --- errors ----------------------------------------------------------------------------------------- */

const char *place_text(struct compile *c, const json_t *value)
{
    const struct place *steps[JSON_DEPTH_MAX + 2];
    size_t n = 0;
    for (const struct place *p = pointer_map_get(&c->places, value); p && p->up && n < ARRAY_LEN(steps);
         p = p->up)
        steps[n++] = p;
    struct buf b = { 0 };
    buf_putc(&b, '#');
    while (n-- > 0) {
        buf_putc(&b, '/');
        if (!steps[n]->key)
            buf_printf(&b, "%zu", steps[n]->index);
        for (const char *k = steps[n]->key; k && *k; k++)
            if (*k == '~' || *k == '/')
                buf_puts(&b, *k == '~' ? "~0" : "~1");
            else
                buf_putc(&b, *k);
    }
    const char *text = arena_strdup(&c->arena, b.ptr);
    buf_free(&b);
    return text;
}

void schema_fail(struct compile *c, const json_t *schema, const char *keyword, const char *fmt, ...)
{
    if (c->code)
        return;
    char why[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    const char *path = c->options->path ? c->options->path : "";
    c->code = err_set(c->err, ERR_INVALID_SCHEMA, path, "In %s%s%s%s: %s", path, place_text(c, schema),
                      keyword ? "/" : "", keyword ? keyword : "", why);
}

/* What was left out is listed once, however often the schema is used. */
static bool left_out_already(struct compile *c, const char *path, const char *keyword)
{
    size_t i;
    json_t *one;
    json_array_foreach(c->omitted, i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "path")), path) == 0 &&
            strcmp(json_string_value(json_object_get(one, "keyword")), keyword) == 0)
            return true;
    }
    return false;
}

void schema_cannot(struct compile *c, const json_t *schema, const char *keyword, const char *why)
{
    if (c->quiet || c->code)
        return;
    if (c->options->strict) {
        schema_fail(c, schema, keyword, "'%s' cannot be enforced here: %s.", keyword, why);
        return;
    }
    const char *path = place_text(c, schema);
    if (schema_step(c, json_array_size(c->omitted)) && !left_out_already(c, path, keyword))
        json_array_append_new(c->omitted, json_pack("{s:s, s:s}", "path", path, "keyword", keyword));
}

bool schema_step(struct compile *c, size_t steps)
{
    if (c->code)
        return false;
    c->steps += steps;
    struct err full;
    if (c->steps > SCHEMA_STEPS_MAX)
        schema_fail(
            c, c->document, NULL,
            "The schema is too complex to be enforced: say it with fewer values, properties or choices.");
    else if (builder_err(c->b, &full))
        schema_fail(c, c->document, NULL, "%s", full.message);
    return !c->code;
}

/* --- places ------------------------------------------------------------------------------------------- */

static bool is_identified(const json_t *v)
{
    static const char *const names[] = { "$id", "id", "$anchor", "$dynamicAnchor" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (json_is_string(json_object_get(v, names[i])))
            return true;
    return false;
}

static void find_from(struct compile *c, struct place at, unsigned depth);

static void find_children(struct compile *c, const struct place *p, unsigned depth)
{
    const char *key;
    json_t *child;
    size_t i;
    json_object_foreach((json_t *)p->value, key, child)
        find_from(c, (struct place){ .value = child, .up = p, .key = key }, depth + 1);
    json_array_foreach(p->value, i, child)
        find_from(c, (struct place){ .value = child, .up = p, .index = i }, depth + 1);
}

static void find_from(struct compile *c, struct place at, unsigned depth)
{
    if (!json_is_object(at.value) && !json_is_array(at.value))
        return;
    if (depth > JSON_DEPTH_MAX || c->places.used >= SCHEMA_VALUES_MAX) {
        schema_fail(c, c->document, NULL,
                    "The schema is nested more than %d levels or has more than %d arrays and objects.",
                    JSON_DEPTH_MAX, SCHEMA_VALUES_MAX);
        return;
    }
    struct place *p = arena_alloc(&c->arena, sizeof *p);
    *p = at;
    pointer_map_put(&c->places, &c->arena, at.value, p);
    if (is_identified(at.value))
        c->identified = said_add(c, c->identified, at.value);
    find_children(c, p, depth);
}

void places_find(struct compile *c)
{
    find_from(c, (struct place){ .value = c->document }, 0);
}

const json_t *place_made(struct compile *c, json_t *made, const json_t *origin)
{
    json_array_append_new(c->made, made);
    const struct place *p = pointer_map_get(&c->places, origin);
    if (p)
        pointer_map_put(&c->places, &c->arena, made, p);
    return made;
}

const json_t *made_get(const struct compile *c, enum made kind, const json_t *of)
{
    return pointer_map_get(&c->made_of[kind], of);
}

const json_t *made_put(struct compile *c, enum made kind, const json_t *of, json_t *made,
                       const json_t *origin)
{
    pointer_map_put(&c->made_of[kind], &c->arena, of, made);
    return place_made(c, made, origin);
}

/* --- references ------------------------------------------------------------------------------------------ */

static struct str id_of(const json_t *v)
{
    const json_t *id = json_object_get(v, "$id");
    if (!json_is_string(id))
        id = json_object_get(v, "id");
    struct str s = json_is_string(id) ? json_str(id) : STR("");
    return s.len && s.ptr[0] == '#' ? STR("") : s; /* an anchor, as draft 7 wrote it */
}

static struct str before_fragment(struct str uri)
{
    size_t at = str_find(uri, STR("#"));
    return str_slice(uri, 0, at);
}

static size_t scheme_len(struct str uri)
{
    size_t colon = str_find(uri, STR(":"));
    for (size_t i = 0; i < colon && colon != SIZE_MAX; i++)
        if (strchr("/?#", uri.ptr[i]))
            return 0;
    return colon == SIZE_MAX ? 0 : colon + 1;
}

/* Where the path of a URI begins: behind "scheme://authority". */
static size_t path_start(struct str uri)
{
    size_t at = scheme_len(uri);
    if (!str_starts(str_slice(uri, at, uri.len), STR("//")))
        return at;
    for (at += 2; at < uri.len && uri.ptr[at] != '/';)
        at++;
    return at;
}

/* RFC 3986 5.2 without dot segments, which no schema writes between its own parts. */
static struct str uri_join(struct compile *c, struct str base, struct str ref)
{
    if (!ref.len || scheme_len(ref))
        return ref.len ? ref : base;
    size_t keep = path_start(base);
    if (ref.ptr[0] != '/')
        for (size_t i = keep; i < base.len; i++)
            if (base.ptr[i] == '/')
                keep = i + 1;
    return str_from(arena_printf(&c->arena, "%.*s%.*s", (int)keep, base.len ? base.ptr : "", STR_ARG(ref)));
}

/* The object whose $id governs what stands at p, and that $id made whole. */
static const json_t *resource_of(struct compile *c, const struct place *p, struct str *uri)
{
    *uri = STR("");
    while (p && p->up && !(json_is_object(p->value) && id_of(p->value).len))
        p = p->up;
    if (!p)
        return c->document;
    struct str id = id_of(p->value), outer = STR("");
    if (id.len && p->up)
        resource_of(c, p->up, &outer);
    *uri = uri_join(c, outer, before_fragment(id));
    return p->value;
}

static const json_t *resource_named(struct compile *c, struct str uri)
{
    for (const struct said *s = c->identified; s; s = s->before) {
        struct str own;
        if (id_of(s->value).len && resource_of(c, pointer_map_get(&c->places, s->value), &own) == s->value &&
            str_eq(own, uri))
            return s->value;
    }
    return NULL;
}

static bool anchors(const json_t *v, struct str name)
{
    const json_t *id = json_object_get(v, "$id");
    if (!json_is_string(id))
        id = json_object_get(v, "id");
    struct str s = json_is_string(id) ? json_str(id) : STR("");
    return str_eq(json_str(json_object_get(v, "$anchor")), name) ||
           str_eq(json_str(json_object_get(v, "$dynamicAnchor")), name) ||
           (s.len > 1 && s.ptr[0] == '#' && str_eq(str_slice(s, 1, s.len), name));
}

static const json_t *anchored(struct compile *c, const json_t *resource, struct str name)
{
    for (const struct said *s = c->identified; s && schema_step(c, 1); s = s->before) {
        struct str uri;
        if (anchors(s->value, name) &&
            resource_of(c, pointer_map_get(&c->places, s->value), &uri) == resource)
            return s->value;
    }
    return NULL;
}

static int hex(char h)
{
    const char *digits = "0123456789abcdef", *at = strchr(digits, h | ('A' <= h && h <= 'F' ? 0x20 : 0));
    return h && at ? (int)(at - digits) : -1;
}

/* One token of a pointer, without its escapes: first the URI's, then the pointer's. */
static char *pointer_token(struct compile *c, struct str raw)
{
    char *out = arena_alloc(&c->arena, raw.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        bool coded =
            raw.ptr[i] == '%' && i + 2 < raw.len + 0 && hex(raw.ptr[i + 1]) >= 0 && hex(raw.ptr[i + 2]) >= 0;
        out[n++] = coded ? (char)(hex(raw.ptr[i + 1]) * 16 + hex(raw.ptr[i + 2])) : raw.ptr[i];
        i += coded ? 2 : 0;
    }
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        bool coded = out[i] == '~' && i + 1 < n && (out[i + 1] == '0' || out[i + 1] == '1');
        out[m++] = !coded ? out[i] : out[i + 1] == '0' ? '~' : '/';
        i += coded;
    }
    out[m] = 0;
    return out;
}

static const json_t *pointed(struct compile *c, const json_t *from, struct str pointer)
{
    for (size_t at = 0; from && at < pointer.len;) {
        size_t end = at + 1;
        while (end < pointer.len && pointer.ptr[end] != '/')
            end++;
        const char *token = pointer_token(c, str_slice(pointer, at + 1, end));
        int64_t index;
        if (json_is_array(from))
            from = str_to_i64(str_from(token), &index) && index >= 0 ? json_array_get(from, (size_t)index)
                                                                     : NULL;
        else
            from = json_object_get(from, token);
        at = end;
    }
    return from;
}

const json_t *place_resolve(struct compile *c, const json_t *schema, const json_t *ref)
{
    if (!json_is_string(ref)) {
        schema_fail(c, schema, "$ref", "Expected a string, but got %s.", json_kind(ref));
        return NULL;
    }
    struct str text = json_str(ref), uri, whole = before_fragment(text);
    const json_t *resource = resource_of(c, pointer_map_get(&c->places, schema), &uri);
    if (whole.len && !str_eq(uri_join(c, uri, whole), uri))
        resource = resource_named(c, uri_join(c, uri, whole));
    if (!resource) {
        schema_fail(c, schema, "$ref", "'%.*s' is not in this schema, and other documents are not fetched.",
                    STR_ARG(field_quoted(text)));
        return NULL;
    }
    struct str fragment = whole.len < text.len ? str_slice(text, whole.len + 1, text.len) : STR("");
    const json_t *found = !fragment.len            ? resource
                          : fragment.ptr[0] == '/' ? pointed(c, resource, fragment)
                                                   : anchored(c, resource, fragment);
    if (!json_is_object(found) && !json_is_boolean(found)) {
        schema_fail(c, schema, "$ref", "'%.*s' names no schema.", STR_ARG(field_quoted(text)));
        return NULL;
    }
    return found;
}

bool place_is_dynamic(const struct compile *c, const json_t *target, const json_t *ref)
{
    const json_t *anchor = json_object_get(target, "$dynamicAnchor");
    struct str text = json_str(ref), whole = before_fragment(text);
    size_t n = 0;
    if (!json_is_string(anchor) || whole.len == text.len ||
        !str_eq(json_str(anchor), str_slice(text, whole.len + 1, text.len)))
        return false;
    for (const struct said *s = c->identified; s; s = s->before)
        n += json_equal(json_object_get(s->value, "$dynamicAnchor"), anchor);
    return n > 1;
}
