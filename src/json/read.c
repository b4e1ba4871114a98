/*
 * read.c - bytes from a stranger become a json_t, or one sentence that says where they went wrong.
 *
 * jansson does the parsing (RFC 8259: valid UTF-8, no trailing bytes, exact 64-bit integers, overflowing
 * numbers refused). What it would let pass is decided here:
 *   - nesting: its own limit is 2048 levels and fixed; a scan before the parse keeps ours, so that every
 *     recursion over a decoded value (the dumper, schema checks, templates) has a bound it can rely on;
 *   - duplicate keys: refused, because two readers could otherwise see two different requests;
 *   - \u0000: refused, because jansson's C-string calls would cut such a text without a word.
 */
#include "json/json.h"

#include "base/rng.h"

void json_start(void)
{
    size_t seed = (size_t)rng_os_u64();
    json_object_seed(seed ? seed : 1); /* 0 would let jansson pick the time of day */
}

struct str json_str(const json_t *v)
{
    return (struct str){ json_string_value(v), json_string_length(v) };
}

static enum err_code refuse(struct err *err, int line, int column, const char *why)
{
    return err_set(err, ERR_INVALID_JSON, NULL,
                   "We could not parse the JSON body of your request. (line %d, column %d: %s)", line, column,
                   why);
}

/* Counts brackets outside of strings. On text that is no JSON the count may be off, but such a text is refused
 * by the parser anyway, so the only question here is whether a text that is JSON stays within the bound. */
static enum err_code check_depth(struct str text, struct err *err)
{
    int depth = 0, line = 1;
    size_t line_start = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\n') {
            line++;
            line_start = i + 1;
        } else if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > JSON_DEPTH_MAX)
                return refuse(err, line, (int)(i - line_start) + 1, "arrays and objects are nested too deep");
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return ERR_OK;
}

static const char *reason(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_null_character:
    case json_error_null_byte_in_key: return "\\u0000 is not allowed in strings";
    case json_error_premature_end_of_input: return "the text ends too early";
    default: return error->text;
    }
}

enum err_code json_read(json_t **out, struct str text, struct err *err)
{
    *out = NULL;
    enum err_code code = check_depth(text, err);
    if (code)
        return code;
    json_error_t error;
    *out = json_loadb(text.len ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!*out)
        return refuse(err, error.line, error.column, reason(&error));
    return ERR_OK;
}
