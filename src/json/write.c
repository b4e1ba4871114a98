/*
 * write.c - JSON text straight into a buffer: string literals, shortest numbers, the writer, the dumper.
 *
 * Everything written here parses again, whatever bytes it was given. The output holds no line breaks
 * (they are escaped inside strings, and nothing is indented), so it can stand in one SSE data line.
 */
#include "json/json.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_escaped(struct buf *out, unsigned char c)
{
    switch (c) {
    case '"': buf_puts(out, "\\\""); break;
    case '\\': buf_puts(out, "\\\\"); break;
    case '\b': buf_puts(out, "\\b"); break;
    case '\f': buf_puts(out, "\\f"); break;
    case '\n': buf_puts(out, "\\n"); break;
    case '\r': buf_puts(out, "\\r"); break;
    case '\t': buf_puts(out, "\\t"); break;
    default: buf_printf(out, "\\u%04x", c); break;
    }
}

/* s is valid UTF-8. Runs that need no escape are copied whole: almost every string is one run. */
static void put_valid(struct buf *out, struct str s)
{
    size_t start = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_put(out, s.ptr + start, i - start);
        put_escaped(out, c);
        start = i + 1;
    }
    buf_put(out, s.ptr + start, s.len - start);
}

/* ASCII without anything to escape, as nearly every key and id is. */
static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            return false;
    }
    return true;
}

static void put_plain(struct buf *out, struct str s)
{
    char *at = out->ptr + out->len;
    at[0] = '"';
    if (s.len)
        memcpy(at + 1, s.ptr, s.len);
    at[s.len + 1] = '"';
    at[s.len + 2] = '\0';
    out->len += s.len + 2;
}

void json_put_string(struct buf *out, struct str s)
{
    buf_reserve(out, s.len + 2);
    if (is_plain(s)) {
        put_plain(out, s);
        return;
    }
    buf_putc(out, '"');
    while (s.len) {
        size_t valid = utf8_valid_len(s);
        put_valid(out, str_slice(s, 0, valid));
        if (valid == s.len)
            break;
        buf_puts(out, "\xef\xbf\xbd"); /* U+FFFD, one for each byte that fits nowhere */
        s = str_slice(s, valid + 1, s.len);
    }
    buf_putc(out, '"');
}

static void put_unsigned(struct buf *out, uint64_t v)
{
    char digits[20]; /* of 2^64 - 1 */
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + v % 10);
    while (v /= 10);
    buf_put(out, digits + at, sizeof digits - at);
}

/* 15 significant digits survive text -> double -> text, 17 survive double -> text -> double, so the shortest
 * form has 15 (with %g dropping its zeros), 16 or 17. Subnormals hold fewer digits and are searched from 1. */
static void put_real(struct buf *out, double v)
{
    assert(isfinite(v));
    if (v == trunc(v) && fabs(v) < 1e15) {
        if (signbit(v))
            buf_putc(out, '-');
        put_unsigned(out, (uint64_t)fabs(v));
        buf_puts(out, ".0"); /* 1.0 stays a real */
        return;
    }
    char text[48];
    for (int digits = fabs(v) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_puts(out, text);
    if (!strpbrk(text, ".e"))
        buf_puts(out, ".0");
}

/* --- the writer ----------------------------------------------------------------------------------- */

static void before_value(struct json_writer *w)
{
    if (w->comma)
        buf_putc(w->out, ',');
    w->comma = true;
}

static void begin(struct json_writer *w, char bracket)
{
    before_value(w);
    buf_putc(w->out, bracket);
    w->comma = false;
    w->depth++;
}

static void end(struct json_writer *w, char bracket)
{
    assert(w->depth > 0);
    buf_putc(w->out, bracket);
    w->comma = true;
    w->depth--;
}

void jw_begin_object(struct json_writer *w)
{
    begin(w, '{');
}

void jw_end_object(struct json_writer *w)
{
    end(w, '}');
}

void jw_begin_array(struct json_writer *w)
{
    begin(w, '[');
}

void jw_end_array(struct json_writer *w)
{
    end(w, ']');
}

void jw_key(struct json_writer *w, const char *key)
{
    assert(w->depth > 0);
    before_value(w);
    json_put_string(w->out, str_from(key));
    buf_putc(w->out, ':');
    w->comma = false;
}

void jw_string(struct json_writer *w, struct str s)
{
    before_value(w);
    json_put_string(w->out, s);
}

void jw_cstring(struct json_writer *w, const char *s)
{
    if (s)
        jw_string(w, str_from(s));
    else
        jw_null(w);
}

void jw_int(struct json_writer *w, int64_t v)
{
    before_value(w);
    if (v < 0)
        buf_putc(w->out, '-');
    put_unsigned(w->out, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void jw_real(struct json_writer *w, double v)
{
    before_value(w);
    put_real(w->out, v);
}

void jw_bool(struct json_writer *w, bool v)
{
    before_value(w);
    buf_puts(w->out, v ? "true" : "false");
}

void jw_null(struct json_writer *w)
{
    before_value(w);
    buf_puts(w->out, "null");
}

void jw_raw(struct json_writer *w, struct str json)
{
    assert(json.len > 0);
    before_value(w);
    buf_put_str(w->out, json);
}

/* Recursion is bounded by JSON_DEPTH_MAX for what json_read gave; what we build ourselves is shallower. */
void jw_value(struct json_writer *w, const json_t *v)
{
    size_t i;
    const char *key;
    json_t *item;
    if (!v) {
        jw_null(w);
        return;
    }
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        jw_begin_object(w);
        json_object_foreach((json_t *)v, key, item)
        {
            jw_key(w, key);
            jw_value(w, item);
        }
        jw_end_object(w);
        break;
    case JSON_ARRAY:
        jw_begin_array(w);
        json_array_foreach(v, i, item) jw_value(w, item);
        jw_end_array(w);
        break;
    case JSON_STRING: jw_string(w, json_str(v)); break;
    case JSON_INTEGER: jw_int(w, json_integer_value(v)); break;
    case JSON_REAL: jw_real(w, json_real_value(v)); break;
    case JSON_TRUE: jw_bool(w, true); break;
    case JSON_FALSE: jw_bool(w, false); break;
    case JSON_NULL: jw_null(w); break;
    }
}

void json_dump(struct buf *out, const json_t *value)
{
    struct json_writer w = { .out = out };
    jw_value(&w, value);
}

void jw_key_string(struct json_writer *w, const char *key, struct str s)
{
    jw_key(w, key);
    jw_string(w, s);
}

void jw_key_cstring(struct json_writer *w, const char *key, const char *s)
{
    jw_key(w, key);
    jw_cstring(w, s);
}

void jw_key_int(struct json_writer *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_int(w, v);
}

void jw_key_real(struct json_writer *w, const char *key, double v)
{
    jw_key(w, key);
    jw_real(w, v);
}

void jw_key_bool(struct json_writer *w, const char *key, bool v)
{
    jw_key(w, key);
    jw_bool(w, v);
}

void jw_key_null(struct json_writer *w, const char *key)
{
    jw_key(w, key);
    jw_null(w);
}

void jw_key_value(struct json_writer *w, const char *key, const json_t *v)
{
    jw_key(w, key);
    jw_value(w, v);
}

void jw_key_raw(struct json_writer *w, const char *key, struct str json)
{
    jw_key(w, key);
    jw_raw(w, json);
}
