/*
 * template_json.c - tojson: a value as Python's json.dumps writes it, down to its blanks.
 *
 * Guard bytes pass through strings as they are; everything else in a string is UTF-8.
 */
#include "text/template_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct json_style {
    bool ascii, sort_keys;
    int indent; /* < 0: one line */
    struct str item, key;
};

static void put_value(struct render *r, const struct json_style *s, struct value v, int level,
                      struct buf *out);

static void put_escaped(uint32_t c, struct buf *out)
{
    if (c >= 0x10000)
        buf_printf(out, "\\u%04x\\u%04x", 0xD7C0 + (c >> 10), 0xDC00 + (c & 0x3FF));
    else
        buf_printf(out, "\\u%04x", c);
}

static void put_json_string(struct render *r, const struct json_style *s, struct str text, struct buf *out)
{
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    buf_putc(out, '"');
    for (size_t at = 0; at < text.len;) {
        uint32_t c;
        size_t used = next_char(text, at, &c);
        const char *simple = c && c < 0x80 ? strchr(from, (int)c) : NULL;
        if (simple)
            buf_printf(out, "\\%c", to[simple - from]);
        else if (c < 0x20 || (s->ascii && c > 0x7E && c <= 0x10FFFF))
            put_escaped(c, out);
        else
            buf_put_str(out, str_slice(text, at, at + used));
        at += used;
    }
    buf_putc(out, '"');
    render_step(r, text.len / 64);
    put_bounded(r, out, STR(""));
}

static void put_break(const struct json_style *s, int level, struct buf *out)
{
    if (s->indent < 0)
        return;
    buf_putc(out, '\n');
    for (int i = 0; i < level * s->indent; i++)
        buf_putc(out, ' ');
}

static void put_key(struct render *r, const struct json_style *s, struct value key, struct buf *out)
{
    struct buf text = { 0 };
    if (IS(key, V_TUPLE)) {
        render_fail(r, "a tuple is no key of JSON");
    } else if (IS(key, V_STRING)) {
        put_json_string(r, s, key.s, out);
    } else {
        put_value(r, s, key, 0, &text);
        put_json_string(r, s, buf_str(&text), out);
    }
    buf_free(&text);
}

static int compare_keys(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return str_cmp(x->key.s, y->key.s);
}

static struct pair *sorted_pairs(struct render *r, const struct dict *d)
{
    struct pair *pairs = arena_array(&r->arena, d->n + 1, sizeof *pairs);
    if (d->n)
        memcpy(pairs, d->pairs, d->n * sizeof *pairs);
    for (size_t i = 0; i < d->n; i++)
        if (!IS(pairs[i].key, V_STRING))
            render_fail(r, "only strings are sorted as keys of JSON");
    if (!r->failed && d->n)
        qsort(pairs, d->n, sizeof *pairs, compare_keys);
    return pairs;
}

static void put_object(struct render *r, const struct json_style *s, const struct dict *d, int level,
                       struct buf *out)
{
    const struct pair *pairs = s->sort_keys ? sorted_pairs(r, d) : d->pairs;
    buf_putc(out, '{');
    for (size_t i = 0; i < d->n && !r->failed; i++) {
        if (i)
            buf_put_str(out, s->item);
        put_break(s, level + 1, out);
        put_key(r, s, pairs[i].key, out);
        buf_put_str(out, s->key);
        put_value(r, s, pairs[i].value, level + 1, out);
    }
    if (d->n)
        put_break(s, level, out);
    buf_putc(out, '}');
}

static void put_array(struct render *r, const struct json_style *s, const struct list *l, int level,
                      struct buf *out)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < l->n && !r->failed; i++) {
        if (i)
            buf_put_str(out, s->item);
        put_break(s, level + 1, out);
        put_value(r, s, l->items[i], level + 1, out);
    }
    if (l->n)
        put_break(s, level, out);
    buf_putc(out, ']');
}

static void put_json_float(double d, struct buf *out)
{
    if (isnan(d) || isinf(d))
        buf_puts(out, isnan(d) ? "NaN" : d < 0 ? "-Infinity" : "Infinity"); /* as json.dumps does */
    else
        put_float(d, out);
}

static void put_value(struct render *r, const struct json_style *s, struct value v, int level,
                      struct buf *out)
{
    if (!render_step(r, 1) || !put_bounded(r, out, STR("")))
        return;
    if (++r->depth > RENDER_DEPTH_MAX)
        render_fail(r, "values are nested too deeply for JSON");
    else
        switch (v.kind) {
        case V_NONE: buf_puts(out, "null"); break;
        case V_BOOL: buf_puts(out, v.b ? "true" : "false"); break;
        case V_INT: buf_printf(out, "%lld", (long long)v.i); break;
        case V_FLOAT: put_json_float(v.d, out); break;
        case V_STRING: put_json_string(r, s, v.s, out); break;
        case V_LIST:
        case V_TUPLE: put_array(r, s, v.list, level, out); break;
        case V_DICT: put_object(r, s, v.dict, level, out); break;
        default: render_fail(r, "a %s is not JSON", type_name(v)); break;
        }
    r->depth--;
}

bool put_json(struct render *r, struct value v, struct buf *out, bool ascii, int indent,
              struct str item_separator, struct str key_separator, bool sort_keys)
{
    struct json_style s = { ascii, sort_keys, indent, item_separator, key_separator };
    put_value(r, &s, v, 0, out);
    return !r->failed;
}
