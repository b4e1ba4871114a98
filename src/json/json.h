/*
 * json.h - JSON in, checked once; JSON out, written straight into a buffer.
 *
 * In: jansson, strict (RFC 8259: no duplicate keys, no trailing bytes, valid UTF-8, nesting bounded;
 * \u0000 is refused, so a decoded string is also a C string), then tables that decode an object into a
 * struct and name the field that is wrong.
 * Out: struct json_writer for what is sent often (frames, responses); json_dump for what is echoed.
 *
 * Threads: no shared state after json_start; a json_t belongs to one thread at a time.
 */
#ifndef THINKD_JSON_JSON_H
#define THINKD_JSON_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

#define JSON_DEPTH_MAX 128 /* nested arrays and objects that json_read accepts */

void json_start(void); /* once, before threads: seeds jansson's hash from the system's randomness */

/* Any JSON value. Errors: ERR_INVALID_JSON with line, column and reason. *out is the caller's (json_decref). */
enum err_code json_read(json_t **out, struct str text, struct err *err);
void json_dump(struct buf *out, const json_t *value); /* compact, key order kept, 0.1 stays 0.1; NULL: null */

/* A string literal with its quotes. Bytes that are not UTF-8 become U+FFFD, so the output always parses. */
void json_put_string(struct buf *out, struct str s);

/* --- writing ----------------------------------------------------------------------------------- */

/* Puts commas where they belong; the caller pairs begin and end (asserted). Zero-initialise with .out. */
struct json_writer {
    struct buf *out;
    bool comma;     /* the next value needs a comma before it */
    unsigned depth; /* open arrays and objects */
};

void jw_begin_object(struct json_writer *w);
void jw_end_object(struct json_writer *w);
void jw_begin_array(struct json_writer *w);
void jw_end_array(struct json_writer *w);
void jw_key(struct json_writer *w, const char *key);
void jw_string(struct json_writer *w, struct str s);
void jw_cstring(struct json_writer *w, const char *s); /* NULL writes null */
void jw_int(struct json_writer *w, int64_t v);
void jw_real(struct json_writer *w, double v); /* shortest form that reads back the same; finite only */
void jw_bool(struct json_writer *w, bool v);
void jw_null(struct json_writer *w);
void jw_value(struct json_writer *w, const json_t *v); /* NULL writes null */
void jw_raw(struct json_writer *w, struct str json);   /* one value that is JSON already */
/* A key and its value. */
void jw_key_string(struct json_writer *w, const char *key, struct str s);
void jw_key_cstring(struct json_writer *w, const char *key, const char *s);
void jw_key_int(struct json_writer *w, const char *key, int64_t v);
void jw_key_real(struct json_writer *w, const char *key, double v);
void jw_key_bool(struct json_writer *w, const char *key, bool v);
void jw_key_null(struct json_writer *w, const char *key);
void jw_key_value(struct json_writer *w, const char *key, const json_t *v);
void jw_key_raw(struct json_writer *w, const char *key, struct str json);

/* --- reading: tables --------------------------------------------------------------------------- */

/* What a decoded field holds. set is false when the field was absent or null; value is then zero. */
/* clang-format off */
struct field_int    { bool set; int64_t value; };
struct field_real   { bool set; double value; };
struct field_bool   { bool set; bool value; };
struct field_string { bool set; struct str value; };   /* in the arena */
struct field_enum   { bool set; int value; };          /* index into the row's values */
struct field_json   { bool set; const json_t *value; }; /* borrowed from the document */
/* clang-format on */

enum field_kind {
    FIELD_INT,  /* min..max; a real with no fraction is refused like any wrong type */
    FIELD_REAL, /* min..max; integers are accepted */
    FIELD_BOOL,
    FIELD_STRING,  /* min..max characters (max 0: 10485760) */
    FIELD_ENUM,    /* a string out of values */
    FIELD_OBJECT,  /* any object, kept as JSON */
    FIELD_ARRAY,   /* any array of min..max elements (max 0: no bound), kept as JSON */
    FIELD_ANY,     /* any value but null, kept as JSON: the handler decodes it (unions) */
    FIELD_IGNORED, /* accepted and dropped by design; docs/api.md lists these */
    FIELD_UNBUILT  /* known to the API, not to this build: refused by name unless its value means "nothing":
                      null, false, 0, "", [], {} or the string in `neutral` */
};

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;             /* of the struct field_* in the target; unused for IGNORED and UNBUILT */
    double min, max;           /* see the kind; both 0: no bound; max below min: no upper bound */
    const char *const *values; /* FIELD_ENUM: NULL-terminated */
    const char *neutral;       /* FIELD_UNBUILT: a string that passes ("auto", "default"); may be NULL */
    bool required;
};

/* Decodes object into target by the table's rows. path is the prefix of error params ("" at the top,
 * "reasoning" gives "reasoning.effort"). Explicit null is the same as absent. Errors, with param:
 * ERR_INVALID_TYPE (also when object is no object), ERR_MISSING_PARAMETER, ERR_UNKNOWN_PARAMETER,
 * ERR_UNSUPPORTED_PARAMETER (unbuilt), ERR_INVALID_VALUE (enum), ERR_INTEGER_BELOW_MIN and its kin,
 * ERR_STRING_TOO_LONG/SHORT, ERR_ARRAY_TOO_LONG/SHORT, ERR_EMPTY_ARRAY; worded as API.md section 9 quotes. */
enum err_code fields_decode(const json_t *object, const struct field *table, size_t rows, const char *path,
                            void *target, struct arena *arena, struct err *err);

/* The bytes of a JSON string, as a view that lives as long as it does; empty for any other value and for NULL. */
struct str json_str(const json_t *v);

/* "an integer", "a string", "null", "an array": for messages of hand-written decoders. */
const char *json_kind(const json_t *v);
enum err_code field_type_error(struct err *err, const char *param, const char *expected, const json_t *got);
enum err_code field_value_error(struct err *err, const char *param, struct str got,
                                const char *const *supported);
enum err_code field_missing_error(struct err *err, const char *param);
/* Lengths in characters and elements, both ends allowed; min 0 and max SIZE_MAX: no bound. */
enum err_code field_string_check(struct err *err, const char *param, struct str s, size_t min, size_t max);
enum err_code field_array_check(struct err *err, const char *param, size_t len, size_t min, size_t max);
struct str field_quoted(struct str s); /* as much of a caller's value as a message repeats */

#endif
