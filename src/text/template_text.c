/*
 * template_text.c - values as text: characters, str(), repr().
 *
 * What is printed is Python's spelling of it: True, None, 1e+16, ['it', "isn't"].
 */
#include "text/template_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* --- characters -------------------------------------------------------------------------------------------------------- */

size_t next_char(struct str s, size_t at, uint32_t *codepoint)
{
    unsigned char c = (unsigned char)s.ptr[at];
    *codepoint = c;
    if (c < 0x80)
        return 1;
    size_t used = utf8_decode(str_slice(s, at, s.len), codepoint);
    if (used)
        return used;
    *codepoint = 0xFFFFFFFF; /* a guard byte: a character of its own, like no other */
    return 1;
}

size_t count_chars(struct str s)
{
    size_t count = 0;
    uint32_t c;
    for (size_t at = 0; at < s.len; count++)
        at += next_char(s, at, &c);
    return count;
}

bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

/* --- to text ----------------------------------------------------------------------------------------------------------------- */

bool put_bounded(struct render *r, struct buf *out, struct str s)
{
    if (!r->failed && out->len + s.len > RENDER_OUTPUT_MAX)
        render_fail(r, "more than %zu bytes of text", RENDER_OUTPUT_MAX);
    if (!r->failed)
        buf_put_str(out, s);
    return !r->failed;
}

void put_float(double d, struct buf *out)
{
    if (isnan(d) || isinf(d)) {
        buf_puts(out, isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
        return;
    }
    char text[40];
    int digits = 0;
    do
        snprintf(text, sizeof text, "%.*e", digits++, d);
    while (strtod(text, NULL) != d);
    int exponent = atoi(strchr(text, 'e') + 1);
    if (exponent < -4 || exponent >= 16) { /* Python's repr: 1e+16, 1.5e-05 */
        buf_puts(out, text);
        return;
    }
    int decimals = digits - 1 - exponent;
    buf_printf(out, "%.*f", decimals > 0 ? decimals : 0, d);
    if (decimals <= 0)
        buf_puts(out, ".0");
}

static bool is_printable(uint32_t c)
{
    if (c < 0x7F)
        return c >= 0x20;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
    }
}

static void put_string_repr(struct str s, struct buf *out)
{
    bool single = memchr(s.ptr ? s.ptr : "", '\'', s.len), both = single && memchr(s.ptr, '"', s.len);
    char quote = single && !both ? '"' : '\'';
    buf_putc(out, quote);
    for (size_t at = 0; at < s.len;) {
        uint32_t c;
        size_t used = next_char(s, at, &c);
        const char *escaped = c == '\n'   ? "\\n"
                              : c == '\r' ? "\\r"
                              : c == '\t' ? "\\t"
                              : c == '\\' ? "\\\\"
                                          : NULL;
        if (escaped)
            buf_puts(out, escaped);
        else if (c == (uint32_t)quote)
            buf_printf(out, "\\%c", quote);
        else if (c > 0x10FFFF || is_printable(c))
            buf_put_str(out, str_slice(s, at, at + used));
        else
            buf_printf(out, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
        at += used;
    }
    buf_putc(out, quote);
}

static void put_items(struct render *r, const struct list *l, char close, struct buf *out)
{
    for (size_t i = 0; i < l->n && !r->failed; i++) {
        if (i)
            buf_puts(out, ", ");
        put_repr(r, l->items[i], out);
    }
    buf_putc(out, close);
}

static void put_pairs(struct render *r, const struct dict *d, struct buf *out)
{
    buf_putc(out, '{');
    for (size_t i = 0; i < d->n && !r->failed; i++) {
        if (i)
            buf_puts(out, ", ");
        put_repr(r, d->pairs[i].key, out);
        buf_puts(out, ": ");
        put_repr(r, d->pairs[i].value, out);
    }
    buf_putc(out, '}');
}

void put_repr(struct render *r, struct value v, struct buf *out)
{
    if (++r->depth > RENDER_DEPTH_MAX)
        render_fail(r, "values are nested too deeply to print");
    if (render_step(r, 1) && put_bounded(r, out, STR(""))) {
        switch (v.kind) {
        case V_STRING:
            buf_puts(out, v.markup ? "Markup(" : "");
            put_string_repr(v.s, out);
            buf_puts(out, v.markup ? ")" : "");
            break;
        case V_LIST:
            buf_putc(out, '[');
            put_items(r, v.list, ']', out);
            break;
        case V_TUPLE:
            buf_putc(out, '(');
            put_items(r, v.list, v.list->n == 1 ? ',' : ')', out);
            if (v.list->n == 1)
                buf_putc(out, ')');
            break;
        case V_DICT: put_pairs(r, v.dict, out); break;
        case V_NAMESPACE:
            buf_puts(out, "<Namespace ");
            put_pairs(r, v.dict, out);
            buf_putc(out, '>');
            break;
        case V_UNDEFINED: buf_puts(out, "Undefined"); break;
        default: put_str(r, v, out); break;
        }
    }
    r->depth--;
}

void put_str(struct render *r, struct value v, struct buf *out)
{
    switch (v.kind) {
    case V_ABSENT:
    case V_UNDEFINED: break;
    case V_NONE: buf_puts(out, "None"); break;
    case V_BOOL: buf_puts(out, v.b ? "True" : "False"); break;
    case V_INT: buf_printf(out, "%lld", (long long)v.i); break;
    case V_FLOAT: put_float(v.d, out); break;
    case V_STRING: put_bounded(r, out, v.s); break;
    case V_LIST:
    case V_TUPLE:
    case V_DICT:
    case V_NAMESPACE: put_repr(r, v, out); break;
    default: render_fail(r, "a %s has no text", type_name(v)); break; /* Python prints an address */
    }
}

struct str to_str(struct render *r, struct value v)
{
    if (IS(v, V_STRING))
        return v.s;
    struct buf b = { 0 };
    put_str(r, v, &b);
    return v_from_buf(r, &b).s;
}
