/*
 * fields.c - tables that decode a JSON object into a struct, and name the field that is wrong.
 *
 * The sentences are those that clients of the Responses API know and sometimes match on, which is
 * why they live here once and not in each handler. Every message is bounded: values of the caller that are
 * quoted are cut, and struct err keeps the rest valid UTF-8.
 */
#include "json/json.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define STRING_CHARS_MAX 10485760 /* the API's own bound on any string */
#define QUOTED_BYTES_MAX 64       /* of a caller's value inside a message */
#define HINT_EDITS_MAX   3

struct place {
    char param[sizeof((struct err *)0)->param];
};

static struct place place_of(const char *path, const char *name)
{
    struct place at;
    snprintf(at.param, sizeof at.param, "%s%s%s", path, path[0] ? "." : "", name);
    return at;
}

struct str field_quoted(struct str s)
{
    struct str cut = str_slice(s, 0, QUOTED_BYTES_MAX);
    return str_slice(cut, 0, utf8_whole_len(cut));
}

const char *json_kind(const json_t *v)
{
    if (!v)
        return "nothing";
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a decimal";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: return "null";
    }
    return "nothing";
}

enum err_code field_type_error(struct err *err, const char *param, const char *expected, const json_t *got)
{
    if (!param[0])
        return err_set(err, ERR_INVALID_TYPE, NULL, "Invalid type: expected %s, but got %s instead.",
                       expected, json_kind(got));
    return err_set(err, ERR_INVALID_TYPE, param, "Invalid type for '%s': expected %s, but got %s instead.",
                   param, expected, json_kind(got));
}

enum err_code field_value_error(struct err *err, const char *param, struct str got,
                                const char *const *supported)
{
    struct buf list = { 0 };
    for (size_t i = 0; supported[i]; i++)
        buf_printf(&list, "%s'%s'", i == 0 ? "" : supported[i + 1] ? ", " : ", and ", supported[i]);
    got = field_quoted(got);
    err_set(err, ERR_INVALID_VALUE, param, "Invalid value: '%.*s'. Supported values are: %s.", STR_ARG(got),
            list.ptr ? list.ptr : "none");
    buf_free(&list);
    return ERR_INVALID_VALUE;
}

enum err_code field_missing_error(struct err *err, const char *param)
{
    return err_set(err, ERR_MISSING_PARAMETER, param, "Missing required parameter: '%s'.", param);
}

/* --- bounds ---------------------------------------------------------------------------------------- */

static bool bounded_below(const struct field *f)
{
    return f->min != 0 || f->max != 0;
}

static bool bounded_above(const struct field *f)
{
    return bounded_below(f) && f->max >= f->min; /* min 16, max 0: a lower bound alone */
}

/* kind: "integer" or "decimal"; got: the value as the caller should read it. */
static enum err_code number_error(struct err *err, enum err_code code, const char *param, const char *kind,
                                  const char *side, const char *sign, double bound, const char *got)
{
    return err_set(err, code, param,
                   "Invalid '%s': %s %s value. Expected a value %s %.15g, but got %s instead.", param, kind,
                   side, sign, bound, got);
}

static enum err_code check_int(const struct field *f, int64_t v, const char *param, struct err *err)
{
    char got[32];
    snprintf(got, sizeof got, "%lld", (long long)v);
    if (bounded_below(f) && (double)v < f->min)
        return number_error(err, ERR_INTEGER_BELOW_MIN, param, "integer", "below minimum", ">=", f->min, got);
    if (bounded_above(f) && (double)v > f->max)
        return number_error(err, ERR_INTEGER_ABOVE_MAX, param, "integer", "above maximum", "<=", f->max, got);
    return ERR_OK;
}

static enum err_code check_real(const struct field *f, double v, const char *param, struct err *err)
{
    char got[32];
    snprintf(got, sizeof got, "%.15g", v);
    if (bounded_below(f) && v < f->min)
        return number_error(err, ERR_DECIMAL_BELOW_MIN, param, "decimal", "below minimum", ">=", f->min, got);
    if (bounded_above(f) && v > f->max)
        return number_error(err, ERR_DECIMAL_ABOVE_MAX, param, "decimal", "above maximum", "<=", f->max, got);
    return ERR_OK;
}

enum err_code field_string_check(struct err *err, const char *param, struct str s, size_t min, size_t max)
{
    if (min == 0 && s.len <= max) /* no more characters than bytes */
        return ERR_OK;
    size_t chars = utf8_count(s);
    if (chars > max)
        return err_set(err, ERR_STRING_TOO_LONG, param,
                       "Invalid '%s': string too long. Expected a string with maximum length %zu, but got a "
                       "string with length %zu instead.",
                       param, max, chars);
    if (chars >= min)
        return ERR_OK;
    if (chars == 0)
        return err_set(
            err, ERR_STRING_TOO_SHORT, param,
            "Invalid '%s': empty string. Expected a string with minimum length %zu, but got an empty "
            "string instead.",
            param, min);
    return err_set(
        err, ERR_STRING_TOO_SHORT, param,
        "Invalid '%s': string too short. Expected a string with minimum length %zu, but got a string "
        "with length %zu instead.",
        param, min, chars);
}

enum err_code field_array_check(struct err *err, const char *param, size_t len, size_t min, size_t max)
{
    if (len > max)
        return err_set(
            err, ERR_ARRAY_TOO_LONG, param,
            "Invalid '%s': array too long. Expected an array with maximum length %zu, but got an array "
            "with length %zu instead.",
            param, max, len);
    if (len >= min)
        return ERR_OK;
    if (len == 0)
        return err_set(
            err, ERR_EMPTY_ARRAY, param,
            "Invalid '%s': empty array. Expected an array with minimum length %zu, but got an empty "
            "array instead.",
            param, min);
    return err_set(
        err, ERR_ARRAY_TOO_SHORT, param,
        "Invalid '%s': array too short. Expected an array with minimum length %zu, but got an array "
        "with length %zu instead.",
        param, min, len);
}

static enum err_code check_string(const struct field *f, struct str s, const char *param, struct err *err)
{
    return field_string_check(err, param, s, (size_t)f->min, f->max > 0 ? (size_t)f->max : STRING_CHARS_MAX);
}

static enum err_code check_array(const struct field *f, size_t len, const char *param, struct err *err)
{
    return field_array_check(err, param, len, (size_t)f->min, f->max > 0 ? (size_t)f->max : SIZE_MAX);
}

/* --- one kind, one decoder ------------------------------------------------------------------------- */

static enum err_code decode_int(const struct field *f, const json_t *v, const char *param, void *member,
                                struct err *err)
{
    if (!json_is_integer(v))
        return field_type_error(err, param, "an integer", v);
    *(struct field_int *)member = (struct field_int){ true, json_integer_value(v) };
    return check_int(f, json_integer_value(v), param, err);
}

static enum err_code decode_real(const struct field *f, const json_t *v, const char *param, void *member,
                                 struct err *err)
{
    if (!json_is_number(v))
        return field_type_error(err, param, "a decimal", v);
    *(struct field_real *)member = (struct field_real){ true, json_number_value(v) };
    return check_real(f, json_number_value(v), param, err);
}

static enum err_code decode_string(const struct field *f, const json_t *v, const char *param, void *member,
                                   struct arena *arena, struct err *err)
{
    if (!json_is_string(v))
        return field_type_error(err, param, "a string", v);
    enum err_code code = check_string(f, json_str(v), param, err);
    if (!code)
        *(struct field_string *)member = (struct field_string){ true, arena_str(arena, json_str(v)) };
    return code;
}

static enum err_code decode_enum(const struct field *f, const json_t *v, const char *param, void *member,
                                 struct err *err)
{
    if (!json_is_string(v))
        return field_type_error(err, param, "a string", v);
    for (int i = 0; f->values[i]; i++)
        if (str_is(json_str(v), f->values[i])) {
            *(struct field_enum *)member = (struct field_enum){ true, i };
            return ERR_OK;
        }
    return field_value_error(err, param, json_str(v), f->values);
}

static enum err_code decode_json(const struct field *f, const json_t *v, const char *param, void *member,
                                 struct err *err)
{
    if (f->kind == FIELD_OBJECT && !json_is_object(v))
        return field_type_error(err, param, "an object", v);
    if (f->kind == FIELD_ARRAY && !json_is_array(v))
        return field_type_error(err, param, "an array", v);
    *(struct field_json *)member = (struct field_json){ true, v };
    return f->kind == FIELD_ARRAY ? check_array(f, json_array_size(v), param, err) : ERR_OK;
}

/* Values that ask for nothing: a client that spells out the defaults of a feature does not use it. */
static bool means_nothing(const struct field *f, const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return json_object_size(v) == 0;
    case JSON_ARRAY: return json_array_size(v) == 0;
    case JSON_STRING: return json_string_length(v) == 0 || (f->neutral && str_is(json_str(v), f->neutral));
    case JSON_INTEGER: return json_integer_value(v) == 0;
    case JSON_REAL: return json_real_value(v) == 0;
    case JSON_TRUE: return false;
    case JSON_FALSE:
    case JSON_NULL: return true;
    }
    return false;
}

static enum err_code decode_value(const struct field *f, const json_t *v, const char *param, void *target,
                                  struct arena *arena, struct err *err)
{
    void *member = (char *)target + f->offset;
    switch (f->kind) {
    case FIELD_INT: return decode_int(f, v, param, member, err);
    case FIELD_REAL: return decode_real(f, v, param, member, err);
    case FIELD_BOOL:
        if (!json_is_boolean(v))
            return field_type_error(err, param, "a boolean", v);
        *(struct field_bool *)member = (struct field_bool){ true, json_is_true(v) };
        return ERR_OK;
    case FIELD_STRING: return decode_string(f, v, param, member, arena, err);
    case FIELD_ENUM: return decode_enum(f, v, param, member, err);
    case FIELD_OBJECT:
    case FIELD_ARRAY:
    case FIELD_ANY: return decode_json(f, v, param, member, err);
    case FIELD_IGNORED: return ERR_OK;
    case FIELD_UNBUILT:
        if (means_nothing(f, v))
            return ERR_OK;
        return err_set(err, ERR_UNSUPPORTED_PARAMETER, param, "'%s' is not supported by this server yet.",
                       param);
    }
    assert(!"a kind without a decoder");
    return ERR_SERVER;
}

/* --- the object ------------------------------------------------------------------------------------ */

static const struct field *find_row(const struct field *table, size_t rows, const char *name)
{
    for (size_t i = 0; i < rows; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

/* The row a caller most likely meant, or NULL. Fields that are not built are no help to anyone. */
static const struct field *nearest_row(const struct field *table, size_t rows, struct str name)
{
    const struct field *best = NULL;
    size_t least = HINT_EDITS_MAX + 1;
    for (size_t i = 0; i < rows && name.len <= QUOTED_BYTES_MAX; i++) {
        if (table[i].kind == FIELD_UNBUILT || table[i].kind == FIELD_IGNORED)
            continue;
        size_t edits = str_distance(name, str_from(table[i].name));
        if (edits < least && edits * 2 < name.len) {
            least = edits;
            best = &table[i];
        }
    }
    return best;
}

static enum err_code unknown_error(const struct field *table, size_t rows, const char *path, const char *name,
                                   struct err *err)
{
    struct str cut = field_quoted(str_from(name));
    char shown[QUOTED_BYTES_MAX + 1];
    snprintf(shown, sizeof shown, "%.*s", STR_ARG(cut));
    struct place at = place_of(path, shown);
    const struct field *meant = nearest_row(table, rows, str_from(name));
    if (!meant)
        return err_set(err, ERR_UNKNOWN_PARAMETER, at.param, "Unknown parameter: '%s'.", at.param);
    return err_set(err, ERR_UNKNOWN_PARAMETER, at.param, "Unknown parameter: '%s'. Did you mean '%s'?",
                   at.param, place_of(path, meant->name).param);
}

static enum err_code check_required(const json_t *object, const struct field *table, size_t rows,
                                    const char *path, struct err *err)
{
    for (size_t i = 0; i < rows; i++) {
        const json_t *v = table[i].required ? json_object_get(object, table[i].name) : NULL;
        if (!table[i].required || (v && !json_is_null(v)))
            continue;
        struct place at = place_of(path, table[i].name);
        return field_missing_error(err, at.param);
    }
    return ERR_OK;
}

enum err_code fields_decode(const json_t *object, const struct field *table, size_t rows, const char *path,
                            void *target, struct arena *arena, struct err *err)
{
    if (!json_is_object(object))
        return field_type_error(err, path, "an object", object);
    enum err_code code = check_required(object, table, rows, path, err);
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)object, key, v)
    {
        if (code)
            break;
        const struct field *f = find_row(table, rows, key);
        if (!f)
            code = unknown_error(table, rows, path, key, err);
        else if (!json_is_null(v))
            code = decode_value(f, v, place_of(path, key).param, target, arena, err);
    }
    return code;
}
