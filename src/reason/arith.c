/*
 * arith.c - claims of arithmetic in a thought, computed again.
 *
 * A claim is a line's "expression = value" of which both sides can be computed exactly: whole numbers, decimals and
 * fractions, + - * / ^ and brackets. A value that is the expression rounded to its own places is true. What could mean
 * something else is no claim: a name or a letter beside the numbers, a remainder behind them, a step of long division.
 * So a claim that is called false is false, and most of what a thought says is not looked at.
 *
 * Threads: no state.
 */
#include "reason/reason_impl.h"

#include <string.h>

#define NESTING_MAX    16
#define SIDE_BYTES_MAX 256 /* of one side of a claim */

/* --- expressions -------------------------------------------------------------------------------------------- */

struct parse {
    struct str rest;
    int depth, operators;
    bool good;
    int places; /* of the last number, where it is a decimal */
};

static struct ratio parse_sum(struct parse *p);

static char peek(struct parse *p)
{
    p->rest = str_trim_start(p->rest);
    return p->rest.len ? p->rest.ptr[0] : 0;
}

static void step(struct parse *p)
{
    p->rest = str_slice(p->rest, 1, p->rest.len);
}

static struct ratio parse_value(struct parse *p)
{
    struct ratio v = { 0, 1 };
    char c = peek(p);
    if (c == '(' && p->depth < NESTING_MAX) {
        p->depth++;
        step(p);
        v = parse_sum(p);
        p->good &= peek(p) == ')';
        step(p);
        p->depth--;
        return v;
    }
    size_t n = ratio_read(p->rest, &v, &p->places);
    p->good &= n > 0;
    p->rest = str_slice(p->rest, n, p->rest.len);
    return v;
}

static void apply(struct parse *p, char op, struct ratio *a, struct ratio b)
{
    struct ratio r = { 0, 1 };
    p->good = p->good && ratio_apply(op, *a, b, &r);
    p->operators++;
    *a = r;
}

/* A sign before a power belongs to all of it. */
static struct ratio parse_signed(struct parse *p)
{
    bool minus = peek(p) == '-';
    if (minus)
        step(p);
    struct ratio v = parse_value(p);
    if (peek(p) == '^') {
        step(p);
        apply(p, '^', &v, parse_value(p));
    }
    if (minus)
        v.num = -v.num;
    return v;
}

static struct ratio parse_product(struct parse *p)
{
    struct ratio v = parse_signed(p);
    for (char c; p->good && ((c = peek(p)) == '*' || c == '/');) {
        step(p);
        apply(p, c, &v, parse_signed(p));
    }
    return v;
}

static struct ratio parse_sum(struct parse *p)
{
    struct ratio v = parse_product(p);
    for (char c; p->good && ((c = peek(p)) == '+' || c == '-');) {
        step(p);
        apply(p, c, &v, parse_product(p));
    }
    return v;
}

/* All of s. operators and places may be NULL. */
static bool compute(struct str s, struct ratio *out, int *operators, int *places)
{
    struct parse p = { .rest = s, .good = true };
    *out = parse_sum(&p);
    if (operators)
        *operators = p.operators;
    if (places)
        *places = p.operators ? 0 : p.places;
    return p.good && str_trim(p.rest).len == 0;
}

/* --- claims -------------------------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static bool is_of_expression(char c)
{
    return is_digit(c) || (c && strchr("+-*/^(). ,", c));
}

/* Signs as expressions have them here: the two of multiplication and division, and an x between numbers. */
static void put_plain(struct str line, struct buf *out)
{
    for (size_t i = 0; i < line.len;) {
        struct str rest = str_slice(line, i, line.len);
        char before = out->len ? out->ptr[out->len - 1] : 0;
        bool x = line.ptr[i] == 'x' && (before == ' ' || is_digit(before)) && i + 1 < line.len &&
                 (line.ptr[i + 1] == ' ' || is_digit(line.ptr[i + 1]));
        if (x)
            x = is_digit(str_trim_start(str_slice(line, i + 1, line.len)).len
                             ? str_trim_start(str_slice(line, i + 1, line.len)).ptr[0]
                             : 0) &&
                is_digit(str_trim_end(buf_str(out)).len ? out->ptr[str_trim_end(buf_str(out)).len - 1] : 0);
        if (x || str_starts(rest, STR("\xc3\x97"))) {
            buf_putc(out, '*');
            i += x ? 1 : 2;
        } else if (str_starts(rest, STR("\xc3\xb7"))) {
            buf_putc(out, '/');
            i += 2;
        } else if (str_starts(rest, STR("\xe2\x88\x92"))) {
            buf_putc(out, '-');
            i += 3;
        } else {
            buf_putc(out, line.ptr[i++]);
        }
    }
}

/* The expression that ends where s does; empty where what stands before it might belong to it. */
static struct str expression_before(struct str s)
{
    size_t start = s.len;
    while (start > 0 && is_of_expression(s.ptr[start - 1]))
        start--;
    struct str e = str_trim(str_slice(s, start, s.len)), before = str_slice(s, 0, start);
    char touching = before.len && s.ptr[start] != ' ' ? before.ptr[before.len - 1] : 0;
    size_t word = 0;
    while (word < before.len && is_letter(before.ptr[before.len - 1 - word]))
        word++;
    bool share = before.len && memchr(before.ptr, '%', before.len);
    if (is_letter(touching) || word == 1 || share)
        return (struct str){ 0 };
    size_t mark = 0; /* "3. " or "3) " before the expression is a list's mark */
    while (mark < e.len && is_digit(e.ptr[mark]))
        mark++;
    if (mark && mark + 1 < e.len && (e.ptr[mark] == '.' || e.ptr[mark] == ')') && e.ptr[mark + 1] == ' ')
        e = str_trim(str_slice(e, mark + 1, e.len));
    bool starts = e.len && (is_digit(e.ptr[0]) || e.ptr[0] == '(' ||
                            (e.ptr[0] == '-' && (before.len == 0 || before.ptr[before.len - 1] == ':')));
    return starts && e.len <= SIDE_BYTES_MAX ? e : (struct str){ 0 };
}

/* The value at the front of s; empty where more belongs to it than can be computed. */
static struct str value_after(struct str s)
{
    size_t end = 0;
    while (end < s.len && is_of_expression(s.ptr[end]))
        end++;
    struct str v = str_trim(str_slice(s, 0, end)), rest = str_trim_start(str_slice(s, end, s.len));
    bool blank = end > 0 && s.ptr[end - 1] == ' ';
    if (rest.len && ((is_letter(rest.ptr[0]) && !blank) || rest.ptr[0] == '%'))
        return (struct str){ 0 };
    if (rest.len &&
        (rest.ptr[0] == 'r' || rest.ptr[0] == 'R' || str_starts(rest, STR("mod")))) /* remainder */
        return (struct str){ 0 };
    while (v.len && strchr(".,(", v.ptr[v.len - 1])) /* the end of a sentence, or a remark in brackets */
        v = str_trim(str_slice(v, 0, v.len - 1));
    return v.len <= SIDE_BYTES_MAX ? v : (struct str){ 0 };
}

/* Half a unit of the value's last place is what rounding may have taken. */
static bool is_rounding(struct ratio exact, struct ratio value, int places)
{
    struct ratio ten = { 10, 1 }, unit, off;
    if (places == 0 || !ratio_apply('^', ten, (struct ratio){ -places, 1 }, &unit) ||
        !ratio_apply('-', exact, value, &off) || !ratio_apply('/', off, unit, &off))
        return false;
    return off.num <= off.den / 2 && -off.num <= off.den / 2;
}

static void check_claim(struct str line, size_t at, struct arith_count *count)
{
    struct str left = expression_before(str_slice(line, 0, at));
    struct str right = value_after(str_slice(line, at + 1, line.len));
    struct ratio a, b;
    int operators, places;
    if (!left.len || !right.len || !compute(left, &a, &operators, NULL) || operators == 0 ||
        !compute(right, &b, NULL, &places))
        return;
    count->claims++;
    count->false_claims += (a.num != b.num || a.den != b.den) && !is_rounding(a, b, places);
}

static void check_line(struct str line, struct arith_count *count)
{
    struct buf plain = { 0 };
    put_plain(line, &plain);
    struct str s = buf_str(&plain);
    for (size_t i = 0; i < s.len; i++) {
        bool other = (i > 0 && strchr("<>!=~", s.ptr[i - 1])) || (i + 1 < s.len && s.ptr[i + 1] == '=');
        if (s.ptr[i] == '=' && !other)
            check_claim(s, i, count);
    }
    buf_free(&plain);
}

struct arith_count arith_check(struct str text)
{
    struct arith_count count = { 0 };
    while (text.len) {
        size_t end = str_find(text, STR("\n"));
        check_line(str_slice(text, 0, end), &count);
        text = str_slice(text, end == SIZE_MAX ? text.len : end + 1, text.len);
    }
    return count;
}
