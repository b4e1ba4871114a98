/*
 * keys.c - keys in the store: made, listed, revoked, and found by their digest.
 *
 * A key is an object of kind "key" with no owner, whose id is the hex SHA-256 of the key and whose body is JSON: name,
 * owner, created_s, limits and models. The key itself is written nowhere: 160 random bits need no salt and no slow hash, and
 * who reads the database cannot call with what is in it.
 *
 * A body with members that this version does not know is refused, not read in part: what a newer version added may be
 * a restriction.
 *
 * Threads: no state; each function may wait for the disk.
 */
#include "access/access_impl.h"

#include "base/clock.h"
#include "base/rng.h"
#include "json/json.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define KIND             STR("key")
#define SECRET_PREFIX    "sk-thinkd-"
#define SECRET_DIGITS    40
#define LIST_PAGE        500
#define ID_DIGITS_NEEDED 8 /* of an id in place of a name: enough to mean one key and not to be a slip */

void key_digest(struct str key, unsigned char out[DIGEST_BYTES])
{
    unsigned len = 0;
    int ok = EVP_Digest(key.ptr, key.len, out, &len, EVP_sha256(), NULL);
    assert(ok == 1 &&
           len == DIGEST_BYTES); /* SHA-256 is in every provider; without it nothing may be served */
    (void)ok;
}

/* --- the body ------------------------------------------------------------------------------------------------ */

struct key_body {
    struct field_string name, owner, models;
    struct field_int created_s, requests_per_minute, tokens_per_minute, concurrency;
};

#define BODY(m) .name = #m, .offset = offsetof(struct key_body, m)

static const struct field body_rows[] = {
    { BODY(name), .kind = FIELD_STRING, .min = 1, .max = ACCESS_NAME_CHARS_MAX, .required = true },
    { BODY(owner), .kind = FIELD_STRING, .min = 1, .max = ACCESS_OWNER_CHARS_MAX, .required = true },
    { BODY(created_s), .kind = FIELD_INT, .required = true },
    { BODY(requests_per_minute), .kind = FIELD_INT, .min = 0, .max = ACCESS_LIMIT_MAX },
    { BODY(tokens_per_minute), .kind = FIELD_INT, .min = 0, .max = ACCESS_LIMIT_MAX },
    { BODY(concurrency), .kind = FIELD_INT, .min = 0, .max = ACCESS_LIMIT_MAX },
    { BODY(models), .kind = FIELD_STRING, .min = 1, .max = ACCESS_MODELS_MAX },
};

static void put_limit(struct json_writer *w, const char *key, int64_t limit)
{
    if (limit == ACCESS_UNSET)
        return;
    jw_key_int(w, key, limit);
}

static void put_body(struct buf *out, const struct access_key *key)
{
    struct json_writer w = { .out = out };
    jw_begin_object(&w);
    jw_key_cstring(&w, "name", key->name);
    jw_key_cstring(&w, "owner", key->owner);
    jw_key_int(&w, "created_s", key->created_s);
    put_limit(&w, "requests_per_minute", key->limits.requests_per_minute);
    put_limit(&w, "tokens_per_minute", key->limits.tokens_per_minute);
    put_limit(&w, "concurrency", key->limits.concurrency);
    if (key->models[0]) {
        jw_key_cstring(&w, "models", key->models);
    }
    jw_end_object(&w);
}

static int64_t limit_of(struct field_int field)
{
    return field.set ? field.value : ACCESS_UNSET;
}

static void copy(char *out, size_t size, struct str s)
{
    assert(s.len < size); /* the table bounds characters, the sizes hold their bytes; an owner is ASCII */
    memcpy(out, s.ptr ? s.ptr : "", s.len);
    out[s.len] = '\0';
}

static bool owner_ok(struct str owner)
{
    for (size_t i = 0; i < owner.len; i++) {
        char c = owner.ptr[i];
        bool word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!word && c != '.' && c != '_' && c != '-')
            return false;
    }
    return owner.len >= 1 && owner.len <= ACCESS_OWNER_CHARS_MAX;
}

bool access_model(struct str *rest, struct str *name)
{
    if (!rest->len)
        return false;
    size_t comma = str_find(*rest, STR(","));
    *name = str_slice(*rest, 0, comma);
    *rest = str_slice(*rest, name->len + 1, rest->len);
    return true;
}

/* Names of models are printable ASCII without blanks, so that a list of them is what it looks like. */
static bool models_ok(struct str models)
{
    struct str name;
    bool ok = models.len <= ACCESS_MODELS_MAX && !str_ends(models, STR(","));
    for (size_t i = 0; i < models.len && ok; i++)
        ok = models.ptr[i] > ' ' && models.ptr[i] < 0x7f;
    while (ok && access_model(&models, &name))
        ok = name.len > 0;
    return ok;
}

static enum err_code read_body(struct access_key *out, const struct store_object *o, struct arena *arena,
                               struct err *err)
{
    struct key_body body = { 0 };
    struct err why = { 0 };
    json_t *doc = NULL;
    enum err_code code = json_read(&doc, o->body, &why);
    if (!code)
        code = fields_decode(doc, body_rows, ARRAY_LEN(body_rows), "", &body, arena, &why);
    if (!code && (!owner_ok(body.owner.value) || o->id.len != 2 * DIGEST_BYTES))
        code = err_set(&why, ERR_FORMAT, NULL, "Its owner or its id is none.");
    if (!code && !models_ok(body.models.value))
        code = err_set(&why, ERR_FORMAT, NULL, "Its models are no list of names.");
    json_decref(doc);
    if (code)
        return err_set(err, ERR_STORE, NULL,
                       "The key %.8s in the store cannot be read: %s Revoke it, or use "
                       "the version of thinkd that made it.",
                       o->id.ptr ? o->id.ptr : "", why.message);
    *out = (struct access_key){ .created_s = body.created_s.value,
                                .limits = { .requests_per_minute = limit_of(body.requests_per_minute),
                                            .tokens_per_minute = limit_of(body.tokens_per_minute),
                                            .concurrency = limit_of(body.concurrency) } };
    copy(out->id, sizeof out->id, o->id);
    copy(out->name, sizeof out->name, body.name.value);
    copy(out->owner, sizeof out->owner, body.owner.value);
    copy(out->models, sizeof out->models, body.models.value);
    return ERR_OK;
}

/* --- reading --------------------------------------------------------------------------------------------------- */

enum err_code key_read(struct store *s, const unsigned char digest[DIGEST_BYTES], struct access_key *out,
                       struct err *err)
{
    char id[2 * DIGEST_BYTES + 1];
    struct arena arena = { 0 };
    struct store_object o;
    str_hex(id, digest, DIGEST_BYTES);
    enum err_code code = store_object_get(s, KIND, STR(""), str_from(id), &o, &arena, err);
    if (!code)
        code = read_body(out, &o, &arena, err);
    arena_free(&arena);
    return code;
}

enum err_code key_count(struct store *s, int64_t *n, struct err *err)
{
    return store_object_count(s, KIND, STR(""), STR(""), n, err);
}

/* All keys' objects, a page at a time. */
static enum err_code list_objects(struct store *s, struct store_object **out, size_t *n, struct arena *arena,
                                  struct err *err)
{
    struct store_list ask = { .kind = KIND, .limit = LIST_PAGE };
    struct store_object *all = arena_array(arena, ACCESS_KEYS_MAX, sizeof *all), *page;
    size_t len = 0, got = 0;
    for (bool more = true; more;) {
        enum err_code code = store_object_list(s, &ask, &page, &got, &more, arena, err);
        if (code)
            return code;
        more = more && got > 0 && len + got < ACCESS_KEYS_MAX;
        for (size_t i = 0; i < got && len < ACCESS_KEYS_MAX; i++)
            all[len++] = page[i];
        ask.after = len ? all[len - 1].id : STR("");
    }
    *out = all;
    *n = len;
    return ERR_OK;
}

enum err_code access_keys_list(struct store *s, struct access_key **out, size_t *n, struct arena *arena,
                               struct err *err)
{
    struct store_object *objects;
    enum err_code code = list_objects(s, &objects, n, arena, err);
    if (code)
        return code;
    *out = arena_array(arena, *n ? *n : 1, sizeof **out);
    for (size_t i = 0; i < *n && !code; i++)
        code = read_body(&(*out)[i], &objects[i], arena, err);
    return code;
}

/* --- making ------------------------------------------------------------------------------------------------------ */

/* A name is printed in tables, so it holds no control characters. */
static bool name_ok(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 0x7f)
            return false;
    return utf8_valid(name) && utf8_count(name) >= 1 && utf8_count(name) <= ACCESS_NAME_CHARS_MAX;
}

static enum err_code check_limit(const char *option, int64_t limit, struct err *err)
{
    if (limit >= ACCESS_UNSET && limit <= ACCESS_LIMIT_MAX)
        return ERR_OK;
    return err_set(err, ERR_CONFIG, option, "%s: expected a whole number from 0 to %d, but got %lld.", option,
                   ACCESS_LIMIT_MAX, (long long)limit);
}

static enum err_code check_key(const struct access_key *key, struct err *err)
{
    if (!name_ok(str_from(key->name)))
        return err_set(err, ERR_CONFIG, "name",
                       "A key's name has 1 to %d characters and no control characters.",
                       ACCESS_NAME_CHARS_MAX);
    if (key->owner[0] && !owner_ok(str_from(key->owner)))
        return err_set(err, ERR_CONFIG, "owner",
                       "owner: an owner's id has 1 to %d letters, digits, dots, hyphens or underscores.",
                       ACCESS_OWNER_CHARS_MAX);
    if (!models_ok(str_from(key->models)))
        return err_set(err, ERR_CONFIG, "models",
                       "models: expected names with commas between, %d characters together at most.",
                       ACCESS_MODELS_MAX);
    enum err_code code = check_limit("requests_per_minute", key->limits.requests_per_minute, err);
    if (!code)
        code = check_limit("tokens_per_minute", key->limits.tokens_per_minute, err);
    return code ? code : check_limit("concurrency", key->limits.concurrency, err);
}

/* Two processes that make a key of one name at the same moment both may: revoking by name then says that it means two. */
static enum err_code check_free(struct store *s, const char *name, struct err *err)
{
    struct arena arena = { 0 };
    struct access_key *keys;
    size_t n = 0;
    enum err_code code = access_keys_list(s, &keys, &n, &arena, err);
    if (!code && n >= ACCESS_KEYS_MAX)
        code = err_set(err, ERR_CONFLICT, NULL, "There are %d keys already; revoke some first.",
                       ACCESS_KEYS_MAX);
    for (size_t i = 0; i < n && !code; i++)
        if (strcmp(keys[i].name, name) == 0)
            code =
                err_set(err, ERR_CONFLICT, NULL, "There is a key '%.200s' already, %.12s.", name, keys[i].id);
    arena_free(&arena);
    return code;
}

static enum err_code put_key(struct store *s, const struct access_key *key, struct err *err)
{
    struct buf body = { 0 };
    struct store_tx *tx = store_tx_open();
    put_body(&body, key);
    store_tx_object_put(tx, &(struct store_object){ .kind = KIND,
                                                    .id = str_from(key->id),
                                                    .created_ms = key->created_s * 1000,
                                                    .body = buf_str(&body) });
    buf_free(&body);
    return store_commit_wait(s, tx, err);
}

enum err_code access_key_create(struct store *s, struct access_key *key, char secret[ACCESS_SECRET_CHARS + 1],
                                struct err *err)
{
    unsigned char digest[DIGEST_BYTES];
    enum err_code code = check_key(key, err);
    if (!code)
        code = check_free(s, key->name, err);
    if (code)
        return code;
    memcpy(secret, SECRET_PREFIX, strlen(SECRET_PREFIX));
    rng_os_hex(secret + strlen(SECRET_PREFIX), SECRET_DIGITS);
    key_digest(str_from(secret), digest);
    str_hex(key->id, digest, DIGEST_BYTES);
    if (!key->owner[0])
        str_hex(key->owner, digest, ACCESS_OWNER_CHARS_MAX / 2);
    key->created_s = clock_wall_s();
    return put_key(s, key, err);
}

/* --- revoking ------------------------------------------------------------------------------------------------------ */

/* By name where one has it, else by the digits that an id begins with. */
static enum err_code find_key(const struct store_object *keys, const char *const *names, size_t n,
                              struct str word, size_t *found, struct err *err)
{
    size_t named = 0, begun = 0;
    for (size_t i = 0; i < n; i++) {
        bool is_named = str_is(word, names[i]), is_begun = str_starts(keys[i].id, word);
        if (is_named || (is_begun && !named))
            *found = i;
        named += is_named;
        begun += is_begun;
    }
    size_t fits = named ? named : word.len >= ID_DIGITS_NEEDED ? begun : 0;
    if (fits == 1)
        return ERR_OK;
    if (fits == 0)
        return err_set(err, ERR_NOT_FOUND, NULL,
                       "There is no key '%.*s'; name one, or give %d or more of the first digits of its id.",
                       STR_ARG(str_slice(word, 0, 200)), ID_DIGITS_NEEDED);
    return err_set(err, ERR_CONFLICT, NULL, "'%.*s' means %zu keys; give more of the id of one of them.",
                   STR_ARG(str_slice(word, 0, 200)), fits);
}

/* A body that cannot be read has no name, and can still be revoked by its id. */
static const char *name_of(const struct store_object *o, struct access_key *key, struct arena *arena)
{
    if (!read_body(key, o, arena, NULL))
        return arena_strdup(arena, key->name);
    return "";
}

enum err_code access_key_revoke(struct store *s, struct str word, struct access_key *out, struct err *err)
{
    struct arena arena = { 0 };
    struct store_object *objects;
    size_t n = 0, found = 0;
    enum err_code code = list_objects(s, &objects, &n, &arena, err);
    const char **names = arena_array(&arena, n ? n : 1, sizeof *names);
    for (size_t i = 0; i < n && !code; i++)
        names[i] = name_of(&objects[i], out, &arena);
    if (!code)
        code = find_key(objects, names, n, word, &found, err);
    if (!code) {
        struct store_tx *tx = store_tx_open();
        *out = (struct access_key){ 0 };
        name_of(&objects[found], out, &arena);
        copy(out->id, sizeof out->id, str_slice(objects[found].id, 0, sizeof out->id - 1));
        store_tx_object_delete(tx, KIND, STR(""), objects[found].id);
        code = store_commit_wait(s, tx, err);
    }
    arena_free(&arena);
    return code;
}
