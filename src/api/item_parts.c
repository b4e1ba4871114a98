/*
 * item_parts.c - the parts of a content as they are kept and shown again.
 *
 * Both APIs' names are taken and the Responses API's are kept: chat's `text` becomes input_text or output_text by who says
 * it, `image_url` input_image, `file` input_file.
 *
 * Ownership: a new part shares its values with the one it was made from, by reference count.
 * Threads: any; no state.
 */
#include "api/api_impl.h"

#define IMAGE_CHARS_MAX 20971520
#define FILE_CHARS_MAX  33554432

static const char *const details[] = { "low", "high", "auto", "original", NULL };

/* What the table decodes into: every member that any part has. */
struct part_members {
    struct field_string text, refusal, file_id, file_url, file_data, filename;
    struct field_enum detail;
    struct field_json annotations, logprobs, image_url, file;
};
static const struct field part_rows[] = {
    FIELD_DROP("type"), /* read before the table */
    { FIELD_ROW(STRING, part_members, text) },
    { FIELD_ROW(STRING, part_members, refusal) },
    { FIELD_ROW(ANY, part_members, image_url) },
    { FIELD_ROW(STRING, part_members, file_id), .min = 1, .max = ITEM_ID_CHARS_MAX },
    { FIELD_ROW(STRING, part_members, file_data), .max = FILE_CHARS_MAX },
    { FIELD_ROW(STRING, part_members, file_url) },
    { FIELD_ROW(STRING, part_members, filename) },
    { FIELD_ROW(OBJECT, part_members, file) },
    { FIELD_ROW(ENUM, part_members, detail), .values = details },
    { FIELD_ROW(ARRAY, part_members, annotations) },
    { FIELD_ROW(ARRAY, part_members, logprobs) },
    FIELD_DROP("prompt_cache_breakpoint"),
};

/* A part on its way: what was sent, what of it was decoded, where it stands. */
struct part {
    const json_t *sent;
    struct part_members m;
    bool assistant;
    const char *path;
    struct arena *arena;
};

static enum err_code missing(const struct part *p, const char *name, struct err *err)
{
    return field_missing_error(err, arena_printf(p->arena, "%s.%s", p->path, name));
}

static enum err_code make_text(json_t *out, struct part *p, struct err *err)
{
    bool output = str_is(json_str(json_object_get(out, "type")), "output_text");
    if (!p->m.text.set)
        return missing(p, "text", err);
    keep_member(out, p->sent, "text");
    if (!output)
        return ERR_OK;
    keep_member_or(out, p->sent, "annotations", json_array());
    keep_member_or(out, p->sent, "logprobs", json_array());
    return ERR_OK;
}

/* Chat's name for text; which of the two names it gets here depends on who says it. */
static enum err_code make_plain_text(json_t *out, struct part *p, struct err *err)
{
    json_object_set_new(out, "type", json_string(p->assistant ? "output_text" : "input_text"));
    return make_text(out, p, err);
}

static enum err_code make_refusal(json_t *out, struct part *p, struct err *err)
{
    if (!p->m.refusal.set)
        return missing(p, "refusal", err);
    keep_member(out, p->sent, "refusal");
    return ERR_OK;
}

static enum err_code check_detail(const struct part *p, const json_t *detail, struct err *err)
{
    for (size_t i = 0; details[i]; i++)
        if (str_is(json_str(detail), details[i]))
            return ERR_OK;
    return field_value_error(err, arena_printf(p->arena, "%s.detail", p->path), json_str(detail), details);
}

/* image_url: the URL, or chat's object {url, detail}. */
static enum err_code make_image(json_t *out, struct part *p, struct err *err)
{
    const json_t *url = p->m.image_url.value, *detail = json_object_get(p->sent, "detail");
    const char *param = arena_printf(p->arena, "%s.image_url", p->path);
    json_object_set_new(out, "type", json_string("input_image"));
    if (json_is_object(url)) {
        detail = json_object_get(url, "detail");
        url = json_object_get(url, "url");
        param = arena_printf(p->arena, "%s.url", param);
    }
    if (!url && !p->m.file_id.set)
        return missing(p, "image_url", err);
    if (url && !json_is_string(url))
        return field_type_error(err, param, "a string", url);
    enum err_code code = field_string_check(err, param, json_str(url), url ? 1 : 0, IMAGE_CHARS_MAX);
    if (!code && detail)
        code = check_detail(p, detail, err);
    json_object_set_new(out, "detail", json_string(detail ? json_string_value(detail) : "auto"));
    if (url)
        json_object_set(out, "image_url", (json_t *)url);
    keep_member(out, p->sent, "file_id");
    return code;
}

/* Chat puts the members into an object of their own. */
static enum err_code make_file(json_t *out, struct part *p, struct err *err)
{
    static const char *const sources[] = { "file_id", "file_data", "file_url" };
    const json_t *from = p->m.file.set ? p->m.file.value : p->sent;
    size_t given = 0;
    json_object_set_new(out, "type", json_string("input_file"));
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        given += json_is_string(json_object_get(from, sources[i]));
    if (!given)
        return missing(p, "file_id", err);
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        keep_member(out, from, sources[i]);
    keep_member(out, from, "filename");
    keep_member(out, from, "detail");
    return ERR_OK;
}

static const struct part_kind {
    const char *type;
    enum err_code (*make)(json_t *out, struct part *p, struct err *err); /* NULL: not built */
} part_kinds[] = {
    { "input_text", make_text }, { "output_text", make_text },  { "text", make_plain_text },
    { "refusal", make_refusal }, { "input_image", make_image }, { "image_url", make_image },
    { "input_file", make_file }, { "file", make_file },         { "input_audio", NULL },
};

static enum err_code unknown_part(struct err *err, const char *param, struct str got)
{
    const char *names[ARRAY_LEN(part_kinds) + 1] = { NULL };
    for (size_t i = 0; part_kinds[i].make; i++) /* those that are not built come last */
        names[i] = part_kinds[i].type;
    return field_value_error(err, param, got, names);
}

static enum err_code find_part_kind(const struct part *p, const struct part_kind **kind, struct err *err)
{
    const json_t *type = json_object_get(p->sent, "type");
    const char *param = arena_printf(p->arena, "%s.type", p->path);
    *kind = NULL;
    if (!json_is_object(p->sent))
        return field_type_error(err, p->path, "an object", p->sent);
    if (!type || json_is_null(type))
        return field_missing_error(err, param);
    if (!json_is_string(type))
        return field_type_error(err, param, "a string", type);
    for (size_t i = 0; i < ARRAY_LEN(part_kinds) && !*kind; i++)
        if (str_is(json_str(type), part_kinds[i].type))
            *kind = &part_kinds[i];
    if (!*kind)
        return unknown_part(err, param, json_str(type));
    return (*kind)->make ? ERR_OK : refuse_unsupported(err, param, (*kind)->type, NULL);
}

static enum err_code normalise_part(json_t *parts, struct part *p, struct err *err)
{
    const struct part_kind *kind;
    enum err_code code = find_part_kind(p, &kind, err);
    if (!code)
        code = fields_decode(p->sent, part_rows, ARRAY_LEN(part_rows), p->path, &p->m, p->arena, err);
    if (code)
        return code;
    json_t *out = json_object();
    json_object_set_new(out, "type", json_string(kind->type));
    code = kind->make(out, p, err);
    json_array_append_new(parts, out);
    return code;
}

enum err_code parts_normalise(json_t **out, const json_t *content, bool assistant, const char *path,
                              struct arena *arena, struct err *err)
{
    enum err_code code = ERR_OK;
    *out = json_array();
    for (size_t i = 0; i < json_array_size(content) && !code; i++) {
        struct part p = { .sent = json_array_get(content, i),
                          .assistant = assistant,
                          .path = arena_printf(arena, "%s[%zu]", path, i),
                          .arena = arena };
        code = normalise_part(*out, &p, err);
    }
    return code;
}

const struct field_table item_part_tables[] = {
    { "item: content[]", part_rows, ARRAY_LEN(part_rows) },
    { NULL, NULL, 0 },
};
