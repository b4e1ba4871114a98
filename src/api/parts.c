/*
 * parts.c - what stands in a message: texts, images and files, in their order.
 *
 * A chat template takes text, and no model that thinkd runs sees pictures yet. So an image becomes a line that says what
 * it is (put_image, the one place that words it), which lets a model say what it cannot see, and a file becomes its text
 * under a line with its name. Both are read and checked in full all the same: a broken image is an error here as it is
 * anywhere else, and not a line about nothing.
 *
 * The two APIs write the same parts in two ways: {"type": "input_image", "image_url": "..."} and {"type": "image_url",
 * "image_url": {"url": "..."}}; {"type": "input_file", "file_data": ...} and {"type": "file", "file": {"file_data":
 * ...}}. Both are taken in both.
 *
 * Bounds: one image or file at a time is in memory (a scratch arena each); all files of a request have
 * FILES_TEXT_BYTES_MAX of text, and reading all parts of a request takes MEDIA_TOTAL_MS at most, since URLs and PDFs hold
 * up the worker that reads them.
 *
 * Threads: http's workers.
 */
#include "api/api_impl.h"

#include "base/clock.h"
#include "media/media.h"

#include <limits.h>

#define IMAGE_PIXELS_MAX     100000000
#define FILES_TEXT_BYTES_MAX INPUT_CHARS_MAX
#define MEDIA_EACH_MS        10000
#define MEDIA_TOTAL_MS       30000
#define FILENAME_CHARS_MAX   255

/* Of data in base64; the limits in bytes are the configuration's, and media.c checks them before it decodes. */
#define DATA_CHARS_MAX INT_MAX

static const char *const details[] = { "low", "high", "auto", "original", NULL };

/* --- tables --------------------------------------------------------------------------------------------- */

struct part {
    struct field_string type, text, refusal;
};
static const struct field part_rows[] = {
    { FIELD_ROW(STRING, part, type), .required = true },
    { FIELD_ROW(STRING, part, text) },
    { FIELD_ROW(STRING, part, refusal) },
    FIELD_DROP("annotations"), /* of output_text, as it was sent */
    FIELD_DROP("logprobs"),
};

struct image_part {
    struct field_json image_url;
    struct field_string file_id;
    struct field_enum detail;
};
static const struct field image_rows[] = {
    FIELD_DROP("type"), /* read before the table */
    { FIELD_ROW(ANY, image_part, image_url) },
    { FIELD_ROW(STRING, image_part, file_id) },
    { FIELD_ROW(ENUM, image_part, detail), .values = details },
};

struct image_url {
    struct field_string url;
    struct field_enum detail;
};
static const struct field image_url_rows[] = {
    { FIELD_ROW(STRING, image_url, url), .required = true, .max = DATA_CHARS_MAX },
    { FIELD_ROW(ENUM, image_url, detail), .values = details },
};

struct file_part {
    struct field_string file_data, file_url, file_id, filename;
    struct field_enum detail;
};
static const struct field file_part_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(STRING, file_part, file_data), .max = DATA_CHARS_MAX },
    { FIELD_ROW(STRING, file_part, file_url) },
    { FIELD_ROW(STRING, file_part, file_id) },
    { FIELD_ROW(STRING, file_part, filename), .max = FILENAME_CHARS_MAX },
    { FIELD_ROW(ENUM, file_part, detail), .values = details },
};

struct chat_file_part {
    struct field_json file;
};
static const struct field chat_file_part_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(OBJECT, chat_file_part, file), .required = true },
};
static const struct field chat_file_rows[] = {
    { FIELD_ROW(STRING, file_part, file_data), .max = DATA_CHARS_MAX },
    { FIELD_ROW(STRING, file_part, file_id) },
    { FIELD_ROW(STRING, file_part, filename), .max = FILENAME_CHARS_MAX },
};

const struct field_table part_tables[] = {
    { "content[]", part_rows, ARRAY_LEN(part_rows) },
    { "content[] (image)", image_rows, ARRAY_LEN(image_rows) },
    { "content[] (image).image_url", image_url_rows, ARRAY_LEN(image_url_rows) },
    { "content[] (input_file)", file_part_rows, ARRAY_LEN(file_part_rows) },
    { "content[] (file)", chat_file_part_rows, ARRAY_LEN(chat_file_part_rows) },
    { "content[] (file).file", chat_file_rows, ARRAY_LEN(chat_file_rows) },
    { NULL, NULL, 0 },
};

/* --- reading a part ------------------------------------------------------------------------------------- */

/* One part on its way into the message. */
struct reading {
    struct turn *t;
    const json_t *part;
    const char *path, *type;
    struct buf *out;
    struct arena scratch; /* of this part alone */
    struct err *err;
};

static const char *member(struct reading *r, const char *name)
{
    return arena_printf(&r->scratch, "%s.%s", r->path, name);
}

static enum err_code media_limits_of(struct reading *r, int64_t bytes_max, struct media_limits *limits)
{
    struct turn *t = r->t;
    const struct config *cfg = t->api->cfg;
    int64_t now = clock_mono_ms();
    if (t->media.until_ms == 0)
        t->media.until_ms = now + MEDIA_TOTAL_MS;
    int64_t left = t->media.until_ms - now;
    *limits = (struct media_limits){ .fetch_urls = cfg->fetch_urls,
                                     .fetch_private = cfg->fetch_private,
                                     .bytes_max = bytes_max,
                                     .pixels_max = IMAGE_PIXELS_MAX,
                                     .text_bytes_max = FILES_TEXT_BYTES_MAX - (int64_t)t->media.text_bytes,
                                     .timeout_ms = left < MEDIA_EACH_MS ? left : MEDIA_EACH_MS };
    if (left > 0)
        return ERR_OK;
    return err_set(r->err, ERR_INVALID_VALUE, r->path,
                   "Invalid '%s': reading the images and files of this request took more than %d ms.",
                   r->path, MEDIA_TOTAL_MS);
}

/* A file that was uploaded before. *name: as it was then. */
static enum err_code part_file_id(struct reading *r, struct str file_id, const char *param,
                                  const struct media_limits *limits, struct str *name, struct media *out)
{
    struct str bytes;
    enum err_code code = file_find(r->t->api, &r->t->owner, file_id, name, &bytes, &r->scratch, r->err);
    if (code == ERR_NOT_FOUND)
        return err_set(r->err, ERR_NOT_FOUND, param, "File with id '%.*s' not found.",
                       STR_ARG(field_quoted(file_id)));
    return code ? code : media_bytes(out, bytes, param, limits, r->err);
}

/* Exactly one of the members must be there that say where the bytes are. */
static enum err_code check_sources(struct reading *r, const char *path, size_t n, const char *usual,
                                   const char *all)
{
    if (n == 1)
        return ERR_OK;
    if (n == 0)
        return field_missing_error(r->err, arena_printf(&r->scratch, "%s.%s", path, usual));
    return err_set(r->err, ERR_INVALID_VALUE, path, "Invalid '%s': expected only one of %s.", path, all);
}

/* --- images --------------------------------------------------------------------------------------------- */

/* How a model that sees no images is told of one. */
static void put_image(struct buf *out, const struct media *image)
{
    buf_printf(out, "[image: %s, %lld x %lld pixels, not visible to this model]", media_names[image->kind],
               (long long)image->width, (long long)image->height);
}

/* image_url as a string, or as chat has it with its detail inside. */
static enum err_code image_url_of(struct reading *r, const json_t *image_url, struct str *url,
                                  const char **param)
{
    struct image_url u = { 0 };
    *param = member(r, "image_url");
    *url = json_str(image_url);
    if (json_is_string(image_url))
        return ERR_OK;
    if (!json_is_object(image_url))
        return field_type_error(r->err, *param, "a string or an object", image_url);
    enum err_code code =
        fields_decode(image_url, image_url_rows, ARRAY_LEN(image_url_rows), *param, &u, &r->scratch, r->err);
    *url = u.url.value;
    *param = member(r, "image_url.url");
    return code;
}

/* A file's bytes may be anything. */
static enum err_code image_by_id(struct reading *r, struct str file_id, const struct media_limits *limits,
                                 struct media *image)
{
    struct str name;
    const char *param = member(r, "file_id");
    enum err_code code = part_file_id(r, file_id, param, limits, &name, image);
    if (code || image->kind <= MEDIA_GIF)
        return code;
    return err_set(r->err, ERR_IMAGE_FORMAT, param,
                   "Invalid '%s': the file's format is %s, and images are PNG, JPEG, WebP or GIF.", param,
                   media_names[image->kind]);
}

static enum err_code read_image(struct reading *r)
{
    struct image_part p = { 0 };
    struct media_limits limits;
    struct media image;
    const char *param;
    struct str url;
    enum err_code code =
        fields_decode(r->part, image_rows, ARRAY_LEN(image_rows), r->path, &p, &r->scratch, r->err);
    if (!code)
        code = check_sources(r, r->path, (size_t)p.image_url.set + p.file_id.set, "image_url",
                             "image_url and file_id");
    if (!code)
        code = media_limits_of(r, r->t->api->cfg->image_bytes_max, &limits);
    if (code)
        return code;
    if (p.file_id.set)
        code = image_by_id(r, p.file_id.value, &limits, &image);
    else if (!(code = image_url_of(r, p.image_url.value, &url, &param)))
        code = media_image(&image, url, param, &limits, &r->scratch, r->err);
    if (!code)
        put_image(r->out, &image);
    return code;
}

/* --- files ---------------------------------------------------------------------------------------------- */

/* A name is one line: with more it could pass for what stands below it. */
static enum err_code check_filename(struct reading *r, struct str name, const char *param)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
            return err_set(r->err, ERR_INVALID_VALUE, param,
                           "Invalid '%s': a file's name has no line breaks and no control characters.",
                           param);
    return ERR_OK;
}

/* How a model is told of a file. */
static void put_file(struct buf *out, struct str name, struct str text)
{
    if (name.len)
        buf_printf(out, "[file: %.*s]\n", STR_ARG(name));
    else
        buf_puts(out, "[file]\n");
    buf_put_str(out, text);
}

/* Where the bytes are, whichever of the three says so; *param is what errors of the content are about. */
static enum err_code file_bytes(struct reading *r, const struct file_part *p, const char *path,
                                const struct media_limits *limits, const char **param, struct str *name,
                                struct media *file)
{
    if (p->file_id.set) {
        *param = arena_printf(&r->scratch, "%s.file_id", path);
        return part_file_id(r, p->file_id.value, *param, limits, name, file);
    }
    *param = arena_printf(&r->scratch, "%s.%s", path, p->file_url.set ? "file_url" : "file_data");
    if (p->file_url.set)
        return media_file_url(file, p->file_url.value, *param, limits, &r->scratch, r->err);
    return media_file(file, p->file_data.value, *param, limits, &r->scratch, r->err);
}

static enum err_code add_file(struct reading *r, const struct file_part *p, const char *path)
{
    struct media_limits limits;
    struct media file;
    struct str text, name = { 0 };
    const char *param;
    enum err_code code = check_sources(r, path, (size_t)p->file_data.set + p->file_url.set + p->file_id.set,
                                       "file_data", "file_data, file_url and file_id");
    if (!code)
        code = check_filename(r, p->filename.value, arena_printf(&r->scratch, "%s.filename", path));
    if (!code)
        code = media_limits_of(r, r->t->api->cfg->file_bytes_max, &limits);
    if (!code)
        code = file_bytes(r, p, path, &limits, &param, &name, &file);
    if (!code)
        code = media_text(&text, &file, param, &limits, &r->scratch, r->err);
    if (code)
        return code;
    r->t->media.text_bytes += text.len;
    put_file(r->out, p->filename.set ? p->filename.value : name, text);
    return ERR_OK;
}

static enum err_code read_input_file(struct reading *r)
{
    struct file_part p = { 0 };
    enum err_code code =
        fields_decode(r->part, file_part_rows, ARRAY_LEN(file_part_rows), r->path, &p, &r->scratch, r->err);
    return code ? code : add_file(r, &p, r->path);
}

static enum err_code read_file(struct reading *r)
{
    struct chat_file_part p = { 0 };
    struct file_part file = { 0 };
    const char *path = member(r, "file");
    enum err_code code = fields_decode(r->part, chat_file_part_rows, ARRAY_LEN(chat_file_part_rows), r->path,
                                       &p, &r->scratch, r->err);
    if (!code)
        code = fields_decode(p.file.value, chat_file_rows, ARRAY_LEN(chat_file_rows), path, &file,
                             &r->scratch, r->err);
    return code ? code : add_file(r, &file, path);
}

/* --- texts ---------------------------------------------------------------------------------------------- */

static enum err_code read_text(struct reading *r, bool refusal)
{
    struct part p = { 0 };
    enum err_code code =
        fields_decode(r->part, part_rows, ARRAY_LEN(part_rows), r->path, &p, &r->scratch, r->err);
    if (code)
        return code;
    struct field_string text = refusal ? p.refusal : p.text;
    if (!text.set)
        return field_missing_error(r->err, member(r, refusal ? "refusal" : "text"));
    buf_put_str(r->out, text.value);
    return ERR_OK;
}

static enum err_code read_plain(struct reading *r)
{
    return read_text(r, false);
}

static enum err_code read_refusal(struct reading *r)
{
    return read_text(r, true);
}

/* --- all kinds ------------------------------------------------------------------------------------------ */

static enum err_code refuse_part(struct reading *r)
{
    return refuse_unsupported(r->err, member(r, "type"), r->type, NULL);
}

static const struct part_kind {
    const char *type;
    enum err_code (*read)(struct reading *r);
} part_kinds[] = {
    { "input_text", read_plain },      { "output_text", read_plain }, { "text", read_plain },
    { "refusal", read_refusal },       { "input_image", read_image }, { "image_url", read_image },
    { "input_file", read_input_file }, { "file", read_file },         { "input_audio", refuse_part },
};

/* The kind comes before its table, which differs from kind to kind. Without a type the table of texts says so. */
static enum err_code read_part(struct reading *r)
{
    const json_t *type = json_object_get(r->part, "type");
    const char *names[ARRAY_LEN(part_kinds) + 1] = { NULL };
    if (!json_is_string(type))
        return read_plain(r);
    for (size_t i = 0; i < ARRAY_LEN(part_kinds); i++) {
        names[i] = r->type = part_kinds[i].type;
        if (str_is(json_str(type), r->type))
            return part_kinds[i].read(r);
    }
    return field_value_error(r->err, member(r, "type"), json_str(type), names);
}

enum err_code content_text(struct turn *t, const json_t *content, const char *path, struct buf *out,
                           struct err *err)
{
    if (!content)
        return ERR_OK;
    if (json_is_string(content)) {
        buf_put_str(out, json_str(content));
        return field_string_check(err, path, json_str(content), 0, INPUT_CHARS_MAX);
    }
    if (!json_is_array(content))
        return field_type_error(err, path, "a string or an array of content parts", content);
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < json_array_size(content) && !code; i++) {
        struct reading r = { .t = t, .part = json_array_get(content, i), .out = out, .err = err };
        r.path = arena_printf(&r.scratch, "%s[%zu]", path, i);
        if (out->len)
            buf_putc(out, '\n');
        code = read_part(&r);
        arena_free(&r.scratch);
    }
    return code;
}
