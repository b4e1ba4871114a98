/*
 * template_format.c - Python's two ways to fill in a format: "{}".format(x) and "%s" % x.
 *
 * Fields are names and numbers, conversions are d i s r x f e g with a precision; whatever else a format may ask
 * for fails the render.
 */
#include "text/template_impl.h"

/* The value a "{...}" of str.format names: nothing counts up, a number or a name picks. */
static struct value format_field(struct render *r, struct str field, const struct args *args, size_t *next)
{
    int64_t index = -1;
    if (field.len == 0)
        index = (int64_t)(*next)++;
    else if (field.ptr[0] >= '0' && field.ptr[0] <= '9')
        str_to_i64(field, &index);
    for (size_t i = 0; index < 0 && i < args->n_named; i++)
        if (str_eq(args->named[i].key.s, field))
            return args->named[i].value;
    if (index < 0 || (size_t)index >= args->n)
        return render_fail(r, "format has no value for {%.*s}, or its kind is not supported", STR_ARG(field));
    return args->pos[index];
}

struct value str_braces(struct render *r, struct str s, const struct args *args)
{
    struct buf out = { 0 };
    size_t next = 0;
    for (size_t at = 0; at < s.len && !r->failed; at++) {
        char c = s.ptr[at];
        bool twice = at + 1 < s.len && s.ptr[at + 1] == c;
        if ((c != '{' && c != '}') || twice) {
            put_bounded(r, &out, str_slice(s, at, at + 1));
            at += (c == '{' || c == '}');
            continue;
        }
        size_t end = c == '{' ? str_find(str_slice(s, at, s.len), STR("}")) : SIZE_MAX;
        if (end == SIZE_MAX) {
            render_fail(r, "format has a single brace");
            break;
        }
        put_str(r, format_field(r, str_slice(s, at + 1, at + end), args, &next), &out);
        at += end;
    }
    return v_from_buf(r, &out);
}

/* One conversion of "%": at stands behind the sign; gives the offset behind it. */
static size_t percent_field(struct render *r, struct str format, size_t at, struct value v, struct buf *out)
{
    int64_t places = 6;
    bool given = at < format.len && format.ptr[at] == '.';
    if (given) {
        places = 0;
        for (at++; at < format.len && format.ptr[at] >= '0' && format.ptr[at] <= '9' && places < 100; at++)
            places = places * 10 + (format.ptr[at] - '0');
    }
    char kind = at < format.len ? format.ptr[at] : '\0';
    bool is_float = kind == 'f' || kind == 'e' || kind == 'g';
    if (kind == 's' && !given)
        put_str(r, v, out);
    else if (kind == 'r' && !given)
        put_repr(r, v, out);
    else if ((kind == 'd' || kind == 'i') && !given && is_number(v))
        buf_printf(out, "%lld",
                   IS(v, V_FLOAT)  ? (long long)v.d
                   : IS(v, V_BOOL) ? (long long)v.b
                                   : (long long)v.i);
    else if (kind == 'x' && !given && IS(v, V_INT) && v.i >= 0)
        buf_printf(out, "%llx", (long long)v.i);
    else if (is_float && is_number(v) && places <= 100)
        buf_printf(out, kind == 'f' ? "%.*f" : kind == 'e' ? "%.*e" : "%.*g", (int)places, as_double(v));
    else
        render_fail(r, "the conversion %%%c of a %s is not supported", kind ? kind : ' ', type_name(v));
    return at + 1;
}

struct value str_percent(struct render *r, struct str format, const struct value *items, size_t n)
{
    struct buf out = { 0 };
    size_t used = 0;
    for (size_t at = 0; at < format.len && !r->failed;) {
        if (format.ptr[at] != '%') {
            put_bounded(r, &out, str_slice(format, at, at + 1));
            at++;
        } else if (at + 1 < format.len && format.ptr[at + 1] == '%') {
            buf_putc(&out, '%');
            at += 2;
        } else if (used == n) {
            render_fail(r, "a format has more conversions than values");
        } else {
            at = percent_field(r, format, at + 1, items[used++], &out);
        }
    }
    if (used < n && !(n == 1 && (IS(items[0], V_DICT) || IS(items[0], V_LIST))))
        render_fail(r, "a format has fewer conversions than values");
    return v_from_buf(r, &out);
}
