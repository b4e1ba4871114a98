/*
 * files.c - files that requests refer to by id.
 *
 * Two objects under one id: "file", the File object as it is shown, small and listed; "file.content", the bytes. They
 * come and go in one transaction.
 *
 * A file's content is somebody's bytes, and is never handed to a browser as a page of this server: it goes out as an
 * attachment of no particular type.
 *
 * Threads: http's workers, which may wait for the disk.
 */
#include "api/api_impl.h"

#include "base/clock.h"

#define KIND         "file"
#define KIND_CONTENT "file.content"
#define WHAT         "File"

#define FILE_NAME_CHARS 512
#define EXPIRES_S_MIN   3600
#define EXPIRES_S_MAX   2592000

static const char *const purposes[] = { "assistants", "batch", "fine-tune", "vision",
                                        "user_data",  "evals", NULL };

/* --- uploads ------------------------------------------------------------------------------------------------- */

/* What the parts of a form say. */
struct upload {
    struct str purpose, name, bytes, anchor, seconds;
    bool has_file;
    int64_t expires_s; /* after its creation; 0: never */
};

static enum err_code read_part(struct upload *u, const struct http_part *part, struct err *err)
{
    const struct {
        const char *name;
        struct str *value;
    } texts[] = { { "purpose", &u->purpose },
                  { "expires_after[anchor]", &u->anchor },
                  { "expires_after[seconds]", &u->seconds } };
    if (str_is(part->name, "file") && !u->has_file) {
        u->has_file = true;
        u->name = part->filename.len ? part->filename : STR("upload");
        u->bytes = part->bytes;
        return ERR_OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (str_is(part->name, texts[i].name) && !texts[i].value->ptr) {
            *texts[i].value = part->bytes;
            return ERR_OK;
        }
    struct str name = field_quoted(part->name);
    struct err shown;
    err_set(&shown, ERR_UNKNOWN_PARAMETER, NULL, "%.*s", STR_ARG(name));
    return err_set(err, ERR_UNKNOWN_PARAMETER, shown.message,
                   "Unknown parameter, or one that is there twice: '%s'.", shown.message);
}

static enum err_code read_parts(const struct call *c, struct upload *u, struct arena *arena, struct err *err)
{
    struct http_form form;
    struct http_part part;
    struct str boundary;
    bool found = true;
    enum err_code code = ERR_OK;
    if (!http_form_boundary(http_header(c->x, "content-type"), &boundary))
        return err_set(err, ERR_MEDIA_TYPE, NULL,
                       "Unsupported media type. Send the form as multipart/form-data with a boundary.");
    http_form_begin(&form, http_body(c->x), boundary);
    while (!code && found) {
        code = http_form_next(&form, &part, &found, arena, err);
        if (!code && found)
            code = read_part(u, &part, err);
    }
    return code;
}

static enum err_code check_expiry(struct upload *u, struct err *err)
{
    static const char *const anchors[] = { "created_at", NULL };
    int64_t s;
    if (!u->anchor.ptr && !u->seconds.ptr)
        return ERR_OK;
    if (!u->anchor.ptr)
        return field_missing_error(err, "expires_after[anchor]");
    if (!u->seconds.ptr)
        return field_missing_error(err, "expires_after[seconds]");
    if (!str_is(u->anchor, anchors[0]))
        return field_value_error(err, "expires_after[anchor]", u->anchor, anchors);
    if (!str_to_i64(u->seconds, &s) || s < EXPIRES_S_MIN || s > EXPIRES_S_MAX)
        return err_set(err, ERR_INVALID_VALUE, "expires_after[seconds]",
                       "Invalid 'expires_after[seconds]': expected an integer between %d and %d.",
                       EXPIRES_S_MIN, EXPIRES_S_MAX);
    u->expires_s = s;
    return ERR_OK;
}

static enum err_code check_upload(struct upload *u, int64_t bytes_max, struct err *err)
{
    size_t i = 0;
    if (!u->has_file)
        return field_missing_error(err, "file");
    if (!u->purpose.ptr)
        return field_missing_error(err, "purpose");
    while (purposes[i] && !str_is(u->purpose, purposes[i]))
        i++;
    if (!purposes[i])
        return field_value_error(err, "purpose", u->purpose, purposes);
    if ((int64_t)u->bytes.len > bytes_max)
        return err_set(err, ERR_TOO_LARGE, "file", "The file has %zu bytes; at most %lld are kept.",
                       u->bytes.len, (long long)bytes_max);
    enum err_code code = field_string_check(err, "file.filename", u->name, 1, FILE_NAME_CHARS);
    return code ? code : check_expiry(u, err);
}

static void put_file(struct buf *out, const struct upload *u, const char *id, int64_t created_s)
{
    struct json_writer w = { .out = out };
    jw_begin_object(&w);
    jw_key_cstring(&w, "id", id);
    jw_key_cstring(&w, "object", "file");
    jw_key_int(&w, "bytes", (int64_t)u->bytes.len);
    jw_key_int(&w, "created_at", created_s);
    if (u->expires_s)
        jw_key_int(&w, "expires_at", created_s + u->expires_s);
    jw_key_string(&w, "filename", u->name);
    jw_key_string(&w, "purpose", u->purpose);
    jw_key_cstring(&w, "status", "processed");
    jw_end_object(&w);
}

static enum err_code store_upload(const struct call *c, const struct upload *u, struct buf *file,
                                  struct arena *arena, struct err *err)
{
    int64_t now_ms = clock_wall_ms();
    struct store_object o = { .kind = STR(KIND),
                              .owner = str_from(c->owner.id),
                              .id = str_from(new_id(arena, "file-")),
                              .created_ms = now_ms,
                              .expires_ms = u->expires_s ? now_ms + u->expires_s * 1000 : 0 };
    struct store_tx *tx = store_tx_open();
    put_file(file, u, o.id.ptr, now_ms / 1000);
    o.body = buf_str(file);
    store_tx_object_put(tx, &o);
    o.kind = STR(KIND_CONTENT);
    o.body = u->bytes;
    store_tx_object_put(tx, &o);
    return store_commit_wait(c->api->store, tx, err);
}

void files_create(const struct call *c)
{
    struct arena arena = { 0 };
    struct upload u = { .has_file = false };
    struct buf file = { 0 };
    struct err err = { 0 };
    enum err_code code = read_parts(c, &u, &arena, &err);
    if (!code)
        code = check_upload(&u, c->api->cfg->file_bytes_max, &err);
    if (!code)
        code = store_upload(c, &u, &file, &arena, &err);
    if (code)
        reply_error(c->x, &err);
    else
        reply_json(c->x, 200, &file);
    buf_free(&file);
    arena_free(&arena);
}

/* --- what is kept ---------------------------------------------------------------------------------------------- */

static void show(const json_t *body, struct buf *json)
{
    json_dump(json, body);
}

/* ctx: the purpose that was asked for. */
static bool has_purpose(const json_t *body, void *ctx)
{
    const struct str *purpose = ctx;
    return str_eq(json_str(json_object_get(body, "purpose")), *purpose);
}

void files_list(const struct call *c)
{
    struct page page = { .limit = PAGE_LIMIT_FILES_MAX,
                         .limit_max = PAGE_LIMIT_FILES_MAX,
                         .descending = true };
    struct str purpose;
    struct object_filter filter = { .keep = param_get(c, "purpose", &purpose) ? has_purpose : NULL,
                                    .show = show,
                                    .ctx = &purpose };
    struct err err = { 0 };
    enum err_code code = page_read(c, &page, &err);
    if (!code)
        code = object_list_reply(c, KIND, &page, &filter, &err);
    if (code)
        reply_error(c->x, &err);
}

void files_get(const struct call *c)
{
    struct arena arena = { 0 };
    struct store_object o;
    struct err err = { 0 };
    if (object_find(c->api, &c->owner, KIND, WHAT, http_path_arg(c->x, 0), &o, &arena, &err))
        reply_error(c->x, &err);
    else
        http_reply(c->x, 200, "application/json", o.body);
    arena_free(&arena);
}

void files_delete(const struct call *c)
{
    struct str id = http_path_arg(c->x, 0), owner = str_from(c->owner.id);
    struct store_tx *tx = store_tx_open();
    struct err err = { 0 };
    store_tx_object_delete(tx, STR(KIND), owner, id);
    store_tx_object_delete(tx, STR(KIND_CONTENT), owner, id);
    enum err_code code = store_commit_wait(c->api->store, tx, &err);
    if (code == ERR_NOT_FOUND)
        not_found(&err, WHAT, id);
    if (code)
        reply_error(c->x, &err);
    else
        reply_deleted(c->x, id, "file");
}

void files_content(const struct call *c)
{
    struct arena arena = { 0 };
    struct store_object o;
    struct err err = { 0 };
    if (object_find(c->api, &c->owner, KIND_CONTENT, WHAT, http_path_arg(c->x, 0), &o, &arena, &err)) {
        reply_error(c->x, &err);
    } else {
        http_set_header(c->x, "content-disposition", "attachment");
        http_set_header(c->x, "x-content-type-options", "nosniff");
        http_reply(c->x, 200, "application/octet-stream", o.body);
    }
    arena_free(&arena);
}

enum err_code file_find(struct api *a, const struct access_owner *o, struct str id, struct str *name,
                        struct str *bytes, struct arena *arena, struct err *err)
{
    struct store_object file, content;
    json_t *body = NULL;
    enum err_code code = object_find(a, o, KIND, WHAT, id, &file, arena, err);
    if (!code)
        code = object_find(a, o, KIND_CONTENT, WHAT, id, &content, arena, err);
    if (!code)
        code = stored_json(&body, file.body, id, err);
    if (!code) {
        *name = arena_str(arena, json_str(json_object_get(body, "filename")));
        *bytes = content.body;
    }
    json_decref(body);
    return code;
}
