/*
 * template_filter.c - filters on one value: text, numbers, JSON.
 *
 * Filters that walk a sequence are in template_sequence.c. To add one, write its function and its row, and a case
 * under tests/unit/text/templates whose expected text comes from Jinja2 itself.
 */
#include "text/template_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define FILTER(name)                                                                                         \
    static struct value name(struct render *r, struct value self, const struct value *arg,                   \
                             const struct args *args)

const struct builtin *find_row(const struct builtin *rows, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(name, rows[i].name))
            return &rows[i];
    return NULL;
}

bool int_arg(struct render *r, struct value v, int64_t otherwise, int64_t *out)
{
    *out = IS(v, V_INT) ? v.i : IS(v, V_BOOL) ? v.b : otherwise;
    if (!IS(v, V_INT) && !IS(v, V_BOOL) && !IS(v, V_ABSENT) && !IS(v, V_NONE))
        render_fail(r, "a number is expected, not a %s", type_name(v));
    return !r->failed;
}

/* --- text --------------------------------------------------------------------------------------------------------- */

static bool in_set(struct str set, struct str c)
{
    for (size_t at = 0; at < set.len;) {
        uint32_t unused;
        size_t used = next_char(set, at, &unused);
        if (str_eq(str_slice(set, at, at + used), c))
            return true;
        at += used;
    }
    return false;
}

/* chars NULL or none: blanks. */
struct value str_strip(struct render *r, struct str s, const struct value *chars, bool left, bool right)
{
    if (!IS(*chars, V_STRING) && !IS(*chars, V_ABSENT) && !IS(*chars, V_NONE))
        return render_fail(r, "strip takes a string, not a %s", type_name(*chars));
    bool blanks = !IS(*chars, V_STRING), leading = left;
    size_t from = 0, to = 0;
    for (size_t at = 0; at < s.len;) {
        uint32_t c;
        size_t used = next_char(s, at, &c);
        bool drop = blanks ? is_space(c) : in_set(chars->s, str_slice(s, at, at + used));
        at += used;
        leading = leading && drop;
        if (leading)
            from = at;
        if (!drop)
            to = at;
    }
    render_step(r, s.len / 64);
    return v_string(str_slice(s, from, right ? (to > from ? to : from) : s.len));
}

/* Simple case mapping, and the one common character whose capital is two letters. */
static void put_case(uint32_t c, struct str original, bool upper, struct buf *out)
{
    if (c > 0x10FFFF) {
        buf_put_str(out, original);
    } else if (upper && c == 0xDF) {
        buf_puts(out, "SS");
    } else {
        char utf8[4];
        utf8proc_int32_t mapped =
            upper ? utf8proc_toupper((utf8proc_int32_t)c) : utf8proc_tolower((utf8proc_int32_t)c);
        buf_put(out, utf8, utf8_encode((uint32_t)mapped, utf8));
    }
}

struct str str_case(struct render *r, struct str s, bool upper)
{
    struct buf out = { 0 };
    for (size_t at = 0; at < s.len;) {
        uint32_t c;
        size_t used = next_char(s, at, &c);
        put_case(c, str_slice(s, at, at + used), upper, &out);
        at += used;
    }
    render_step(r, s.len / 16);
    return v_from_buf(r, &out).s;
}

/* count < 0: all. An empty `from` stands between all characters. */
struct value str_replace(struct render *r, struct str s, struct str from, struct str to, int64_t count)
{
    struct buf out = { 0 };
    size_t at = 0;
    while (count != 0 && !r->failed) {
        uint32_t c;
        size_t hit = from.len ? str_find(str_slice(s, at, s.len), from) : 0;
        if (hit == SIZE_MAX)
            break;
        put_bounded(r, &out, str_slice(s, at, at + hit));
        put_bounded(r, &out, to);
        at += hit + from.len;
        count -= count > 0;
        if (from.len == 0) {
            if (at >= s.len)
                break;
            size_t used = next_char(s, at, &c);
            put_bounded(r, &out, str_slice(s, at, at + used));
            at += used;
        }
    }
    put_bounded(r, &out, str_slice(s, at, s.len));
    render_step(r, (s.len + out.len) / 64);
    return v_from_buf(r, &out);
}

FILTER(filter_trim)
{
    (void)args;
    return str_strip(r, to_str(r, self), arg, true, true);
}

FILTER(filter_upper)
{
    (void)arg, (void)args;
    return v_string(str_case(r, to_str(r, self), true));
}

FILTER(filter_lower)
{
    (void)arg, (void)args;
    return v_string(str_case(r, to_str(r, self), false));
}

/* First character up, the rest down. */
static void put_capitalized(struct render *r, struct str word, struct buf *out)
{
    uint32_t c;
    size_t first = word.len ? next_char(word, 0, &c) : 0;
    put_bounded(r, out, str_case(r, str_slice(word, 0, first), true));
    put_bounded(r, out, str_case(r, str_slice(word, first, word.len), false));
}

FILTER(filter_capitalize)
{
    (void)arg, (void)args;
    struct buf out = { 0 };
    put_capitalized(r, to_str(r, self), &out);
    return v_from_buf(r, &out);
}

/* Jinja's words end at blanks, "-" and opening brackets. */
FILTER(filter_title)
{
    (void)arg, (void)args;
    struct str s = to_str(r, self);
    struct buf out = { 0 };
    size_t word = 0;
    for (size_t at = 0; at < s.len && !r->failed;) {
        uint32_t c;
        size_t used = next_char(s, at, &c);
        bool border = is_space(c) || (c < 0x80 && strchr("-({[<", (int)c) && c);
        at += used;
        if (border) {
            put_capitalized(r, str_slice(s, word, at - used), &out);
            put_bounded(r, &out, str_slice(s, at - used, at));
            word = at;
        }
    }
    put_capitalized(r, str_slice(s, word, s.len), &out);
    return v_from_buf(r, &out);
}

FILTER(filter_replace)
{
    (void)args;
    int64_t count;
    if (!int_arg(r, arg[2], -1, &count))
        return v_none();
    return str_replace(r, to_str(r, self), to_str(r, arg[0]), to_str(r, arg[1]), count);
}

/* Python's line ends; a carriage return and a newline are one. Gives 0 where none stands. */
static size_t line_end(struct str s, size_t at)
{
    uint32_t c;
    size_t used = next_char(s, at, &c);
    if (c == '\r' && at + 1 < s.len && s.ptr[at + 1] == '\n')
        return 2;
    bool ends =
        (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    return ends ? used : 0;
}

struct value split_lines(struct render *r, struct str s)
{
    struct value lines = list_new(r, V_LIST);
    size_t line = 0;
    for (size_t at = 0; at < s.len && !r->failed;) {
        uint32_t unused;
        size_t end = line_end(s, at);
        if (end) {
            list_add(r, lines, v_string(str_slice(s, line, at)));
            line = at + end;
        }
        at += end ? end : next_char(s, at, &unused);
    }
    if (line < s.len)
        list_add(r, lines, v_string(str_slice(s, line, s.len)));
    render_step(r, lines.list->n + s.len / 64);
    return lines;
}

FILTER(filter_indent)
{
    (void)args;
    int64_t width = 0;
    struct buf indent = { 0 }, out = { 0 };
    if (IS(arg[0], V_STRING))
        buf_put_str(&indent, arg[0].s);
    else if (int_arg(r, arg[0], 4, &width) && (width > 10000 || width < -10000))
        render_fail(r, "an indent of %lld is too wide", (long long)width);
    for (; width > 0 && !r->failed; width--)
        buf_putc(&indent, ' ');
    bool first = truth(arg[1]), blank = truth(arg[2]);
    struct str s = to_str(r, self);
    struct value lines = split_lines(r, s);
    if (s.len == 0 || line_end(s, s.len - 1)) /* Jinja puts a newline behind the text before it splits */
        list_add(r, lines, v_string(STR("")));
    for (size_t i = 0; i < lines.list->n && !r->failed; i++) {
        struct str line = lines.list->items[i].s;
        if (i)
            put_bounded(r, &out, STR("\n"));
        if (i ? blank || line.len : first)
            put_bounded(r, &out, buf_str(&indent));
        put_bounded(r, &out, line);
    }
    buf_free(&indent);
    return v_from_buf(r, &out);
}

FILTER(filter_string)
{
    (void)arg, (void)args;
    return v_string(to_str(r, self));
}

FILTER(filter_safe)
{
    (void)arg, (void)args;
    struct value v = v_string(to_str(r, self));
    v.markup = true;
    return v;
}

FILTER(filter_escape)
{
    (void)arg, (void)args;
    if (IS(self, V_STRING) && self.markup)
        return self;
    static const char from[] = "&<>'\"";
    static const char *const to[] = { "&amp;", "&lt;", "&gt;", "&#39;", "&#34;" };
    struct str s = to_str(r, self);
    struct buf out = { 0 };
    for (size_t i = 0; i < s.len; i++) {
        const char *hit = s.ptr[i] ? strchr(from, s.ptr[i]) : NULL;
        put_bounded(r, &out, hit ? str_from(to[hit - from]) : str_slice(s, i, i + 1));
    }
    struct value v = v_from_buf(r, &out);
    v.markup = true;
    return v;
}

FILTER(filter_wordcount)
{
    (void)arg, (void)args;
    struct str s = to_str(r, self);
    int64_t words = 0;
    bool inside = false;
    for (size_t at = 0; at < s.len;) {
        uint32_t c;
        at += next_char(s, at, &c);
        bool word = utf8proc_category((utf8proc_int32_t)c) <= UTF8PROC_CATEGORY_LO || c == '_' ||
                    (c <= 0x10FFFF && utf8proc_category((utf8proc_int32_t)c) >= UTF8PROC_CATEGORY_ND &&
                     utf8proc_category((utf8proc_int32_t)c) <= UTF8PROC_CATEGORY_NO);
        word = word && c <= 0x10FFFF;
        words += word && !inside;
        inside = word;
    }
    return v_int(words);
}

/* "%s"|format(x) */
FILTER(filter_format)
{
    (void)arg;
    if (args->n_named)
        return render_fail(r, "format with named arguments is not supported");
    return str_percent(r, to_str(r, self), args->pos, args->n);
}

/* --- numbers --------------------------------------------------------------------------------------------------------- */

/* Python's int("..."): blanks around, a sign, digits with single underscores. */
static bool parse_int(struct str s, int64_t base, int64_t *out)
{
    char digits[80], *end;
    size_t n = 0;
    s = str_trim(s);
    for (size_t i = 0; i < s.len; i++) {
        if (n + 1 == sizeof digits || s.ptr[i] == '\0')
            return false;
        bool between =
            i && i + 1 < s.len && s.ptr[i - 1] != '_' && s.ptr[i - 1] != '+' && s.ptr[i - 1] != '-';
        if (s.ptr[i] == '_' && between)
            continue;
        digits[n++] = s.ptr[i];
    }
    digits[n] = '\0';
    if (n == 0 || base < 2 || base > 36)
        return false;
    char last = digits[n - 1];
    if (last == '_' || last == 'x' || last == 'X')
        return false;
    *out = strtoll(digits, &end, (int)base);
    return *end == '\0';
}

static bool double_of(struct render *r, struct value v, double *out)
{
    if (is_number(v)) {
        *out = as_double(v);
        return true;
    }
    (void)r;
    return IS(v, V_STRING) && str_to_double(str_trim(v.s), out);
}

FILTER(filter_int)
{
    (void)args;
    int64_t base, result;
    double d;
    if (!int_arg(r, arg[1], 10, &base))
        return v_none();
    if (IS(self, V_STRING) && parse_int(self.s, base, &result))
        return v_int(result);
    if (IS(self, V_INT) || IS(self, V_BOOL))
        return v_int(IS(self, V_BOOL) ? self.b : self.i);
    if (double_of(r, self, &d) && fabs(d) < 9.2e18)
        return v_int((int64_t)d);
    return IS(arg[0], V_ABSENT) ? v_int(0) : arg[0];
}

FILTER(filter_float)
{
    (void)args;
    double d;
    if (double_of(r, self, &d))
        return v_float(d);
    return IS(arg[0], V_ABSENT) ? v_float(0) : arg[0];
}

FILTER(filter_abs)
{
    (void)arg, (void)args;
    if (!is_number(self))
        return render_fail(r, "abs of a %s has no meaning", type_name(self));
    if (IS(self, V_FLOAT))
        return v_float(fabs(self.d));
    int64_t i = IS(self, V_BOOL) ? self.b : self.i;
    return i == INT64_MIN ? render_fail(r, "an integer does not fit 64 bits") : v_int(i < 0 ? -i : i);
}

/* Decimal rounding of the exact binary value, halves to even, as Python's round. */
static double round_decimal(double d, int64_t places)
{
    char text[400];
    if (places >= 0 && places <= 30 && fabs(d) < 1e300) {
        snprintf(text, sizeof text, "%.*f", (int)places, d);
        return strtod(text, NULL);
    }
    double unit = pow(10, (double)-places);
    return places > 30 ? d : nearbyint(d / unit) * unit;
}

FILTER(filter_round)
{
    (void)args;
    int64_t places;
    struct str method = IS(arg[1], V_ABSENT) ? STR("common") : to_str(r, arg[1]);
    if (!int_arg(r, arg[0], 0, &places))
        return v_none();
    if (!is_number(self))
        return render_fail(r, "round of a %s has no meaning", type_name(self));
    if (str_is(method, "common")) {
        if (IS(self, V_FLOAT))
            return v_float(round_decimal(self.d, places));
        return places < 0 ? v_int((int64_t)round_decimal(as_double(self), places))
                          : v_int(IS(self, V_BOOL) ? self.b : self.i);
    }
    double scale = pow(10, (double)places), scaled = as_double(self) * scale;
    if (str_is(method, "ceil"))
        return v_float(ceil(scaled) / scale);
    if (str_is(method, "floor"))
        return v_float(floor(scaled) / scale);
    return render_fail(r, "round knows common, ceil and floor");
}

/* --- anything ----------------------------------------------------------------------------------------------------------- */

FILTER(filter_default)
{
    (void)r, (void)args;
    bool missing = IS(self, V_UNDEFINED) || (truth(arg[1]) && !truth(self));
    if (!missing)
        return self;
    return IS(arg[0], V_ABSENT) ? v_string(STR("")) : arg[0];
}

FILTER(filter_attr)
{
    (void)args;
    struct str name = to_str(r, arg[0]);
    if (IS(self, V_DICT)) { /* attributes alone, never keys */
        const struct builtin *method = find_method(V_DICT, name);
        return method ? get_attr(r, self, name) : v_undefined(r, "'dict object' has no attribute");
    }
    return get_attr(r, self, name);
}

FILTER(filter_tojson)
{
    /* Hugging Face's own: ensure_ascii, indent, separators, sort_keys. */
    (void)args;
    int64_t indent = -1;
    if (!int_arg(r, arg[1], -1, &indent) || indent > 100)
        return render_fail(r, "tojson's indent is no number up to 100");
    struct str item = indent >= 0 ? STR(",") : STR(", "), key = STR(": ");
    if (IS(arg[2], V_LIST) || IS(arg[2], V_TUPLE)) {
        const struct list *pair = arg[2].list;
        if (pair->n != 2 || !IS(pair->items[0], V_STRING) || !IS(pair->items[1], V_STRING))
            return render_fail(r, "tojson's separators are two strings");
        item = pair->items[0].s;
        key = pair->items[1].s;
    } else if (!IS(arg[2], V_ABSENT) && !IS(arg[2], V_NONE)) {
        return render_fail(r, "tojson's separators are two strings");
    }
    struct buf out = { 0 };
    put_json(r, self, &out, truth(arg[0]), (int)indent, item, key, truth(arg[3]));
    return v_from_buf(r, &out);
}

static const struct builtin filters[] = {
    { "abs", "", 0, filter_abs },
    { "attr", "name", 1, filter_attr },
    { "capitalize", "", 0, filter_capitalize },
    { "d", "default_value boolean", 0, filter_default },
    { "default", "default_value boolean", 0, filter_default },
    { "e", "", 0, filter_escape },
    { "escape", "", 0, filter_escape },
    { "float", "default", 0, filter_float },
    { "format", NULL, 0, filter_format },
    { "indent", "width first blank", 0, filter_indent },
    { "int", "default base", 0, filter_int },
    { "lower", "", 0, filter_lower },
    { "replace", "old new count", 2, filter_replace },
    { "round", "precision method", 0, filter_round },
    { "safe", "", 0, filter_safe },
    { "string", "", 0, filter_string },
    { "title", "", 0, filter_title },
    { "tojson", "ensure_ascii indent separators sort_keys", 0, filter_tojson },
    { "trim", "chars", 0, filter_trim },
    { "upper", "", 0, filter_upper },
    { "wordcount", "", 0, filter_wordcount },
};

const struct builtin *find_filter(struct str name)
{
    const struct builtin *row = find_row(filters, ARRAY_LEN(filters), name);
    return row ? row : find_sequence_filter(name);
}
