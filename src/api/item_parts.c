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

/* What the tables decode into: every member that any part has. "type" is read before. */
struct part_members {
    struct field_string text, refusal, url, file_id, file_url, file_data, filename;
    struct field_enum detail;
    struct field_json annotations, logprobs, image_url, file;
};
static const struct field text_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(STRING, part_members, text), .required = true },
    { FIELD_ROW(ARRAY, part_members, annotations) },
    { FIELD_ROW(ARRAY, part_members, logprobs) },
    FIELD_DROP("prompt_cache_breakpoint"),
};
static const struct field refusal_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(STRING, part_members, refusal), .required = true },
};
static const struct field image_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(ANY, part_members, image_url) },
    { FIELD_ROW(STRING, part_members, file_id), .min = 1, .max = ITEM_ID_CHARS_MAX },
    { FIELD_ROW(ENUM, part_members, detail), .values = details },
    FIELD_DROP("prompt_cache_breakpoint"),
};
static const struct field image_object_rows[] = {
    { FIELD_ROW(STRING, part_members, url), .required = true, .min = 1, .max = IMAGE_CHARS_MAX },
    { FIELD_ROW(ENUM, part_members, detail), .values = details },
};
static const struct field file_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(STRING, part_members, file_id), .min = 1, .max = ITEM_ID_CHARS_MAX },
    { FIELD_ROW(STRING, part_members, file_data), .max = FILE_CHARS_MAX },
    { FIELD_ROW(STRING, part_members, file_url) },
    { FIELD_ROW(STRING, part_members, filename) },
    { FIELD_ROW(ENUM, part_members, detail), .values = details },
    FIELD_DROP("prompt_cache_breakpoint"),
};
static const struct field chat_file_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(OBJECT, part_members, file), .required = true },
    FIELD_DROP("prompt_cache_breakpoint"),
};
static const struct field file_object_rows[] = {
    { FIELD_ROW(STRING, part_members, file_id), .min = 1, .max = ITEM_ID_CHARS_MAX },
    { FIELD_ROW(STRING, part_members, file_data), .max = FILE_CHARS_MAX },
    { FIELD_ROW(STRING, part_members, filename) },
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
    (void)err;
    keep_member(out, p->sent, "text");
    if (str_is(json_str(json_object_get(out, "type")), "output_text")) {
        keep_member_or(out, p->sent, "annotations", json_array());
        keep_member_or(out, p->sent, "logprobs", json_array());
    }
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
    (void)err;
    keep_member(out, p->sent, "refusal");
    return ERR_OK;
}

/* Chat's object {url, detail}, in which detail belongs to it. */
static enum err_code make_image_object(json_t *out, struct part *p, const char *param, struct err *err)
{
    const json_t *object = p->m.image_url.value;
    if (p->m.detail.set)
        return err_set(err, ERR_INVALID_VALUE, arena_printf(p->arena, "%s.detail", p->path),
                       "Invalid '%s.detail': beside an 'image_url' that is an object, 'detail' stands in it.",
                       p->path);
    enum err_code code =
        fields_decode(object, image_object_rows, ARRAY_LEN(image_object_rows), param, &p->m, p->arena, err);
    keep_member_or(out, object, "detail", json_string("auto"));
    json_object_set(out, "image_url", json_object_get(object, "url"));
    return code;
}

static enum err_code make_image(json_t *out, struct part *p, struct err *err)
{
    json_t *url = (json_t *)p->m.image_url.value;
    const char *param = arena_printf(p->arena, "%s.image_url", p->path);
    enum err_code code = ERR_OK;
    json_object_set_new(out, "type", json_string("input_image"));
    keep_member(out, p->sent, "file_id");
    if (json_is_object(url))
        return make_image_object(out, p, param, err);
    if (!url && !p->m.file_id.set)
        code = missing(p, "image_url", err);
    else if (url && !json_is_string(url))
        code = field_type_error(err, param, "a string", url);
    else if (url)
        code = field_string_check(err, param, json_str(url), 1, IMAGE_CHARS_MAX);
    keep_member_or(out, p->sent, "detail", json_string("auto"));
    if (url)
        json_object_set(out, "image_url", url);
    return code;
}

static enum err_code keep_file(json_t *out, struct part *p, const json_t *from, struct err *err)
{
    static const char *const members[] = { "file_id", "file_data", "file_url", "filename", "detail" };
    if (!p->m.file_id.set && !p->m.file_data.set && !p->m.file_url.set)
        return missing(p, from == p->sent ? "file_id" : "file.file_id", err);
    json_object_set_new(out, "type", json_string("input_file"));
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        keep_member(out, from, members[i]);
    return ERR_OK;
}

static enum err_code make_file(json_t *out, struct part *p, struct err *err)
{
    return keep_file(out, p, p->sent, err);
}

/* Chat puts the members into an object of their own. */
static enum err_code make_chat_file(json_t *out, struct part *p, struct err *err)
{
    const json_t *object = p->m.file.value;
    enum err_code code = fields_decode(object, file_object_rows, ARRAY_LEN(file_object_rows),
                                       arena_printf(p->arena, "%s.file", p->path), &p->m, p->arena, err);
    return code ? code : keep_file(out, p, object, err);
}

#define ROWS(table) (table), ARRAY_LEN(table)

static const struct part_kind {
    const char *type;
    const struct field *rows; /* NULL: not built */
    size_t n_rows;
    enum err_code (*make)(json_t *out, struct part *p, struct err *err);
} part_kinds[] = {
    { "input_text", ROWS(text_rows), make_text },
    { "output_text", ROWS(text_rows), make_text },
    { "text", ROWS(text_rows), make_plain_text },
    { "refusal", ROWS(refusal_rows), make_refusal },
    { "input_image", ROWS(image_rows), make_image },
    { "image_url", ROWS(image_rows), make_image },
    { "input_file", ROWS(file_rows), make_file },
    { "file", ROWS(chat_file_rows), make_chat_file },
    { "input_audio", NULL, 0, NULL },
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
        code = fields_decode(p->sent, kind->rows, kind->n_rows, p->path, &p->m, p->arena, err);
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
    { "item: content[]", ROWS(text_rows) },
    { "item: content[] (refusal)", ROWS(refusal_rows) },
    { "item: content[] (image)", ROWS(image_rows) },
    { "item: content[] (image).image_url", ROWS(image_object_rows) },
    { "item: content[] (input_file)", ROWS(file_rows) },
    { "item: content[] (file)", ROWS(chat_file_rows) },
    { "item: content[] (file).file", ROWS(file_object_rows) },
    { NULL, NULL, 0 },
};
