/*
 * regex.c - patterns as regular nodes, in the syntax of ECMA-262 and in that of Rust's regex crate.
 *
 * A library that matches (PCRE2) cannot serve: what is needed is not whether a text matches but the automaton itself, to be intersected with
 * a length, complemented, and asked what may come next. So only what is regular is taken: look-around, back-references and word
 * boundaries are refused by name. Lazy quantifiers match the same texts as greedy ones.
 *
 * Anchors. A pattern is kept as up to four nodes: the texts of matches that must begin where the text begins or not, and end where it ends or
 * not. Putting two patterns in a row combines them: what stands before a ^ can only be empty, and what stands behind a $ too. In the end each
 * of the four is filled up with any text on the sides that are free.
 */
#include "grammar/node_impl.h"
#include "grammar/regex_impl.h"

#include <string.h>

#define REGEX_DEPTH_MAX 200
#define REGEX_WORK_MAX  200000 /* ranges of all classes together: 300 times \p{L} */
#define FOLD_WORK       2000   /* what looking for the other case of a class counts for */

/* [must begin the text][must end it]; NULL: no such match. */
struct texts {
    const struct node *at[2][2];
};

struct regex {
    struct builder *b;
    struct str s;
    size_t pos;
    enum regex_flavour flavour;
    bool fold, dot_all, verbose; /* flags i, s, x */
    int depth;
    size_t work; /* ranges that classes have had */
    struct err *err;
    enum err_code code; /* of the first error; everything ends then */
};

static void fail(struct regex *r, const char *what)
{
    if (r->code == ERR_OK)
        r->code = err_set(r->err, ERR_INVALID_VALUE, NULL, "Pattern: %s (at character %zu).", what, r->pos);
}

static int peek(const struct regex *r)
{
    return r->code == ERR_OK && r->pos < r->s.len ? (unsigned char)r->s.ptr[r->pos] : -1;
}

static bool take(struct regex *r, char c)
{
    if (peek(r) != (unsigned char)c)
        return false;
    r->pos++;
    return true;
}

static bool take_text(struct regex *r, const char *text)
{
    if (r->code || !str_starts(str_slice(r->s, r->pos, r->s.len), str_from(text)))
        return false;
    r->pos += strlen(text);
    return true;
}

static uint32_t take_char(struct regex *r)
{
    uint32_t c = 0;
    size_t used = utf8_decode(str_slice(r->s, r->pos, r->s.len), &c);
    if (!used)
        fail(r, "it ends too early or is not UTF-8");
    r->pos += used;
    return c;
}

/* --- nodes with anchors ------------------------------------------------------------------------------------------- */

static const struct node *or_null(struct regex *r, const struct node *x, const struct node *y)
{
    return !x || !y ? (x ? x : y) : node_or(r->b, (const struct node *const[]){ x, y }, 2);
}

static struct texts free_texts(const struct node *x)
{
    return (struct texts){ .at = { { x, NULL }, { NULL, NULL } } };
}

static bool anchored(const struct texts *x)
{
    return x->at[0][1] || x->at[1][0] || x->at[1][1];
}

/* One kind of x before one kind of y: s, e say what each must do. */
static void put_row(struct regex *r, struct texts *out, const struct node *x, int xs, int xe,
                    const struct node *y, int ys, int ye)
{
    const struct node *both = NULL;
    if (!x || !y)
        return;
    if (!ys && !xe)
        both = node_seq(r->b, (const struct node *const[]){ x, y }, 2);
    else if (ys && !x->nullable)
        return;
    else if (xe && !y->nullable)
        return;
    else if (ys && xe)
        both = node_empty(r->b); /* the whole text is empty */
    else
        both = ys ? y : x;
    const struct node **place = &out->at[xs | ys][xe | ye];
    *place = or_null(r, *place, both);
}

static struct texts in_a_row(struct regex *r, struct texts x, struct texts y)
{
    struct texts out = { 0 };
    if (!anchored(&x) && !anchored(&y) && x.at[0][0] && y.at[0][0])
        return free_texts(node_seq(r->b, (const struct node *const[]){ x.at[0][0], y.at[0][0] }, 2));
    for (int i = 0; i < 16; i++)
        put_row(r, &out, x.at[i & 1][i >> 1 & 1], i & 1, i >> 1 & 1, y.at[i >> 2 & 1][i >> 3], i >> 2 & 1,
                i >> 3);
    return out;
}

static struct texts repeated(struct regex *r, struct texts x, size_t min, size_t max)
{
    if (!anchored(&x))
        return x.at[0][0] ? free_texts(node_repeat(r->b, x.at[0][0], min, max)) : x;
    if (max == 0)
        return free_texts(node_empty(r->b));
    if (max > 1)
        fail(r, "an anchor in a repeat is not supported");
    if (!min)
        x.at[0][0] = or_null(r, x.at[0][0], node_empty(r->b));
    return x;
}

/* The characters that a text of this flavour may have: JSON's strings come without U+0000, which our own reader refuses. */
static void char_set_add_all(struct char_set *set, enum regex_flavour flavour)
{
    char_set_add(set, flavour == REGEX_ECMA ? 1 : 0, CHAR_LAST);
}

static struct texts of_set(struct regex *r, struct char_set *set)
{
    struct char_set all = { 0 };
    r->work += set->n + (r->fold && set->n > 1 ? FOLD_WORK : 0);
    if (r->work > REGEX_WORK_MAX)
        fail(r, "its classes are too large");
    if (r->fold && r->code == ERR_OK)
        char_set_fold(set);
    char_set_add_all(&all, r->flavour);
    char_set_meet(set, &all);
    char_set_free(&all);
    struct texts x = free_texts(node_class(r->b, set->ptr, set->n));
    char_set_free(set);
    return x;
}

static struct texts of_char(struct regex *r, uint32_t c)
{
    struct char_set set = { 0 };
    char_set_add(&set, c, c);
    return of_set(r, &set);
}

/* --- escapes ---------------------------------------------------------------------------------------------------------- */

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* digits hex digits, or any number of them in braces where braces are allowed. */
static uint32_t take_hex(struct regex *r, int digits, bool braces)
{
    uint32_t c = 0;
    bool braced = braces && take(r, '{');
    int n = 0;
    while ((braced ? n < 8 : n < digits) && hex_digit(peek(r)) >= 0) {
        c = c << 4 | (uint32_t)hex_digit(peek(r));
        r->pos++;
        n++;
    }
    if (n == 0 || (!braced && n < digits) || (braced && !take(r, '}')))
        fail(r, "an escape in hexadecimal is incomplete");
    return c;
}

static uint32_t take_u(struct regex *r)
{
    uint32_t c = take_hex(r, 4, true);
    if (c >= 0xd800 && c < 0xdc00 && r->flavour == REGEX_ECMA && take_text(r, "\\u")) {
        uint32_t low = take_hex(r, 4, false);
        if (low < 0xdc00 || low > 0xdfff)
            fail(r, "a surrogate stands alone");
        c = 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff);
    }
    return c;
}

/* What stands behind a backslash for one character. */
static uint32_t take_char_escape(struct regex *r)
{
    static const char letters[] = "tnrfva", codes[] = "\t\n\r\f\v\a";
    int c = peek(r);
    const char *at = c > 0 ? strchr(letters, c) : NULL;
    uint32_t value;
    if (c < 0) {
        fail(r, "a backslash ends it");
        return 0;
    }
    if (at && (c != 'a' || r->flavour == REGEX_RUST)) {
        r->pos++;
        return (unsigned char)codes[at - letters];
    }
    if (take(r, 'x'))
        value = take_hex(r, 2, r->flavour == REGEX_RUST);
    else if (take(r, 'u'))
        value = take_u(r);
    else if (r->flavour == REGEX_RUST && take(r, 'U'))
        value = take_hex(r, 8, true);
    else if (r->flavour == REGEX_ECMA && take_text(r, "0"))
        value = 0;
    else if (r->flavour == REGEX_ECMA && take(r, 'c'))
        value = take_char(r) & 0x1f;
    else {
        value = take_char(r);
        if (value < 0x80 && ((value >= '0' && value <= '9') || (value | 0x20) == 'k'))
            fail(r, "back-references are not regular and cannot be enforced");
        else if (value < 0x80 && (value | 0x20) >= 'a' && (value | 0x20) <= 'z')
            fail(r, "an escape is not known");
    }
    if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        fail(r, "an escape stands for no character");
    return value;
}

static void take_property(struct regex *r, struct char_set *set, bool negated)
{
    struct char_set property = { 0 };
    size_t from = r->pos, to;
    struct str name;
    if (take(r, '{')) {
        if (take(r, '^'))
            negated = !negated;
        from = r->pos;
        while (peek(r) >= 0 && peek(r) != '}')
            r->pos++;
        to = r->pos;
        if (!take(r, '}'))
            fail(r, "a property has no end");
    } else {
        take_char(r);
        to = r->pos;
    }
    name = str_slice(r->s, from, to);
    if (r->code == ERR_OK && !char_set_add_property(&property, name))
        r->code =
            err_set(r->err, ERR_INVALID_VALUE, NULL,
                    "Pattern: property \"%.*s\" is not supported; general categories are (at character %zu).",
                    STR_ARG(name), from);
    if (negated)
        char_set_negate(&property);
    char_set_join(set, &property);
    char_set_free(&property);
}

/* A backslash has been taken: a set of several characters, if it is one. */
static bool take_class_escape(struct regex *r, struct char_set *set)
{
    int c = peek(r);
    if (c > 0 && strchr("dDwWsS", c)) {
        r->pos++;
        char_set_add_class(set, (char)c, r->flavour == REGEX_RUST);
        return true;
    }
    if (c != 'p' && c != 'P')
        return false;
    r->pos++;
    take_property(r, set, c == 'P');
    return true;
}

/* --- classes ------------------------------------------------------------------------------------------------------------ */

static void take_class(struct regex *r, struct char_set *out);

static bool take_posix(struct regex *r, struct char_set *set)
{
    size_t start = r->pos;
    struct char_set class = { 0 };
    if (r->flavour != REGEX_RUST || !take_text(r, "[:"))
        return false;
    bool negated = take(r, '^');
    size_t from = r->pos;
    while (peek(r) >= 'a' && peek(r) <= 'z')
        r->pos++;
    struct str name = str_slice(r->s, from, r->pos);
    if (!take_text(r, ":]") || !char_set_add_posix(&class, name)) {
        r->pos = start;
        char_set_free(&class);
        return false;
    }
    if (negated)
        char_set_negate(&class);
    char_set_join(set, &class);
    char_set_free(&class);
    return true;
}

/* One character of a class, or a set: then false. */
static bool take_class_atom(struct regex *r, struct char_set *set, uint32_t *c)
{
    if (take_posix(r, set))
        return false;
    if (r->flavour == REGEX_RUST && take(r, '[')) {
        struct char_set inner = { 0 };
        take_class(r, &inner);
        char_set_join(set, &inner);
        char_set_free(&inner);
        return false;
    }
    if (!take(r, '\\')) {
        *c = take_char(r);
        return true;
    }
    if (take_class_escape(r, set))
        return false;
    if (r->flavour == REGEX_ECMA && take(r, 'b'))
        *c = '\b';
    else
        *c = take_char_escape(r);
    return true;
}

static void take_range(struct regex *r, struct char_set *set)
{
    uint32_t first, last;
    if (!take_class_atom(r, set, &first))
        return;
    last = first;
    bool dash = peek(r) == '-' && r->pos + 1 < r->s.len && r->s.ptr[r->pos + 1] != ']' &&
                !(r->flavour == REGEX_RUST && r->s.ptr[r->pos + 1] == '-');
    if (dash) {
        struct char_set right = { 0 };
        r->pos++;
        if (!take_class_atom(r, &right, &last)) {
            char_set_add(set, '-', '-');
            char_set_join(set, &right);
            last = first;
        }
        char_set_free(&right);
    }
    if (last < first)
        fail(r, "a range is upside down");
    else if (set->n < CHAR_SET_RANGES_MAX)
        char_set_add(set, first, last);
}

static void combine(struct char_set *left, struct char_set *right, char op)
{
    struct char_set both = { 0 };
    if (op == '~') { /* what is in one of them alone */
        char_set_join(&both, left);
        char_set_meet(&both, right);
        char_set_negate(&both);
        char_set_join(left, right);
        char_set_meet(left, &both);
    } else {
        if (op == '-')
            char_set_negate(right);
        char_set_meet(left, right);
    }
    char_set_free(&both);
}

/* Behind the opening bracket. Rust's classes nest and have && -- ~~, all of one rank, from the left. */
static void take_class(struct regex *r, struct char_set *out)
{
    struct char_set left = { 0 }, set = { 0 };
    char op = 0;
    if (++r->depth > REGEX_DEPTH_MAX)
        fail(r, "it nests too deeply");
    bool negated = take(r, '^');
    if (r->flavour == REGEX_RUST && take(r, ']'))
        char_set_add(&set, ']', ']');
    while (peek(r) >= 0 && peek(r) != ']') {
        char next = 0;
        if (r->flavour == REGEX_RUST)
            next = take_text(r, "&&") ? '&' : take_text(r, "--") ? '-' : take_text(r, "~~") ? '~' : 0;
        if (!next) {
            take_range(r, &set);
            continue;
        }
        if (op)
            combine(&left, &set, op);
        else
            char_set_join(&left, &set);
        char_set_free(&set);
        op = next;
    }
    if (!take(r, ']'))
        fail(r, "a class has no end");
    if (op)
        combine(&left, &set, op);
    else
        char_set_join(&left, &set);
    char_set_free(&set);
    if (negated && r->fold)
        char_set_fold(&left);
    if (negated)
        char_set_negate(&left);
    r->depth--;
    *out = left;
}

/* --- atoms ------------------------------------------------------------------------------------------------------------------ */

static struct texts take_alternatives(struct regex *r);

static struct texts of_anchor(struct regex *r, int begins, int ends)
{
    struct texts x = { 0 };
    x.at[begins][ends] = node_empty(r->b);
    return x;
}

/* Flags of Rust's up to : or ), which is left there. */
static void take_flags(struct regex *r)
{
    bool on = true;
    for (int c; (c = peek(r)) != ':' && c != ')' && r->code == ERR_OK; r->pos++) {
        if (c == '-')
            on = false;
        else if (c == 'i')
            r->fold = on;
        else if (c == 's')
            r->dot_all = on;
        else if (c == 'x')
            r->verbose = on;
        else if ((c != 'u' && c != 'U') || (c == 'u' && !on))
            fail(r, c == 'm' ? "flag m is not supported: ^ and $ are the text's" : "a flag is not supported");
    }
}

static void take_group_name(struct regex *r)
{
    while (peek(r) >= 0 && peek(r) != '>')
        r->pos++;
    if (!take(r, '>'))
        fail(r, "a group's name has no end");
}

/* Behind "(?": what kind of group. Returns false where it was flags for the rest of the group around it. */
static bool take_group_kind(struct regex *r)
{
    if (take_text(r, "=") || take_text(r, "!") || take_text(r, "<=") || take_text(r, "<!"))
        fail(r, "look-ahead and look-behind are not supported");
    else if (take_text(r, "<") || take_text(r, "P<"))
        take_group_name(r);
    else if (take(r, ':'))
        return true;
    else if (r->flavour == REGEX_RUST) {
        take_flags(r);
        if (take(r, ')'))
            return false;
        take(r, ':');
    } else
        fail(r, "a kind of group is not supported");
    return true;
}

static struct texts take_group(struct regex *r)
{
    bool fold = r->fold, dot_all = r->dot_all, verbose = r->verbose;
    if (++r->depth > REGEX_DEPTH_MAX)
        fail(r, "it nests too deeply");
    if (take(r, '?') && !take_group_kind(r)) {
        r->depth--;
        return free_texts(node_empty(r->b));
    }
    struct texts x = take_alternatives(r);
    if (!take(r, ')'))
        fail(r, "a group has no end");
    r->fold = fold;
    r->dot_all = dot_all;
    r->verbose = verbose;
    r->depth--;
    return x;
}

static struct texts take_dot(struct regex *r)
{
    struct char_set set = { 0 };
    if (!r->dot_all)
        char_set_add(&set, '\n', '\n');
    if (!r->dot_all && r->flavour == REGEX_ECMA) {
        char_set_add(&set, '\r', '\r');
        char_set_add(&set, 0x2028, 0x2029);
    }
    char_set_negate(&set);
    return of_set(r, &set);
}

static struct texts take_escape(struct regex *r)
{
    struct char_set set = { 0 };
    if (r->flavour == REGEX_RUST && take(r, 'A'))
        return of_anchor(r, 1, 0);
    if (r->flavour == REGEX_RUST && take(r, 'z'))
        return of_anchor(r, 0, 1);
    if (peek(r) == 'b' || peek(r) == 'B')
        fail(r, "word boundaries are not supported");
    if (take_class_escape(r, &set))
        return of_set(r, &set);
    return of_char(r, take_char_escape(r));
}

static struct texts take_atom(struct regex *r)
{
    if (take(r, '('))
        return take_group(r);
    if (take(r, '[')) {
        struct char_set set = { 0 };
        take_class(r, &set);
        return of_set(r, &set);
    }
    if (take(r, '.'))
        return take_dot(r);
    if (take(r, '^'))
        return of_anchor(r, 1, 0);
    if (take(r, '$'))
        return of_anchor(r, 0, 1);
    if (take(r, '\\'))
        return take_escape(r);
    if (peek(r) == '*' || peek(r) == '+' || peek(r) == '?')
        fail(r, "a quantifier has nothing to repeat");
    return of_char(r, take_char(r));
}

/* --- quantifiers ----------------------------------------------------------------------------------------------------------------- */

static bool take_number(struct regex *r, size_t *n)
{
    size_t from = r->pos;
    *n = 0;
    while (peek(r) >= '0' && peek(r) <= '9') {
        *n = *n < SIZE_MAX / 20 ? *n * 10 + (size_t)(peek(r) - '0') : SIZE_MAX / 2;
        r->pos++;
    }
    return r->pos > from;
}

/* {n} {n,} {n,m}; Rust also {,m}. Something else in braces is text to ECMA-262. */
static bool take_braces(struct regex *r, size_t *min, size_t *max)
{
    size_t from = r->pos;
    if (!take(r, '{'))
        return false;
    bool low = take_number(r, min);
    *max = *min;
    bool comma = take(r, ',');
    if (comma && !take_number(r, max))
        *max = REPEAT_ENDLESS;
    if ((low || (r->flavour == REGEX_RUST && comma && *max != REPEAT_ENDLESS)) && take(r, '}')) {
        if (*max < *min)
            fail(r, "a quantifier is upside down");
        return true;
    }
    r->pos = from;
    return false;
}

static bool take_quantifier(struct regex *r, size_t *min, size_t *max)
{
    *min = 0;
    *max = REPEAT_ENDLESS;
    if (take(r, '+'))
        *min = 1;
    else if (take(r, '?'))
        *max = 1;
    else if (!take(r, '*') && !take_braces(r, min, max))
        return false;
    take(r, '?'); /* lazy: the same texts */
    return true;
}

/* --- the whole ------------------------------------------------------------------------------------------------------------------------ */

static void skip_verbose(struct regex *r)
{
    while (r->verbose && peek(r) >= 0 && strchr(" \t\r\n\f#", peek(r))) {
        if (take(r, '#'))
            while (peek(r) >= 0 && peek(r) != '\n')
                r->pos++;
        else
            r->pos++;
    }
}

struct list {
    struct texts *ptr;
    size_t n, cap;
};

static void put_texts(struct list *l, struct texts x)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 4;
        l->ptr = mem_realloc(l->ptr, l->cap * sizeof *l->ptr);
    }
    l->ptr[l->n++] = x;
}

static bool plain(const struct texts *x)
{
    return !anchored(x) && x->at[0][0];
}

/* From the end, and what has no anchors at once: a sequence leans to the right, and texts that meet become one. */
static struct texts all_in_a_row(struct regex *r, const struct list *l)
{
    struct texts all = free_texts(node_empty(r->b));
    const struct node **parts = mem_array(l->n, sizeof *parts);
    for (size_t from = l->n, to; (to = from);) {
        while (from && plain(&l->ptr[from - 1]))
            from--;
        for (size_t i = from; i < to; i++)
            parts[i - from] = l->ptr[i].at[0][0];
        struct texts x = from < to ? free_texts(node_seq(r->b, parts, to - from)) : l->ptr[--from];
        all = in_a_row(r, x, all);
    }
    mem_free(parts);
    return all;
}

static struct texts any_of(struct regex *r, const struct list *l)
{
    struct texts all = { 0 };
    const struct node **parts = mem_array(l->n, sizeof *parts);
    for (int kind = 0; kind < 4; kind++) {
        size_t n = 0;
        for (size_t i = 0; i < l->n; i++)
            if (l->ptr[i].at[kind & 1][kind >> 1])
                parts[n++] = l->ptr[i].at[kind & 1][kind >> 1];
        all.at[kind & 1][kind >> 1] = n ? node_or(r->b, parts, n) : NULL;
    }
    mem_free(parts);
    return all;
}

static struct texts take_sequence(struct regex *r)
{
    struct list l = { 0 };
    size_t min, max;
    for (skip_verbose(r); peek(r) >= 0 && peek(r) != '|' && peek(r) != ')'; skip_verbose(r)) {
        struct texts x = take_atom(r);
        for (skip_verbose(r); r->code == ERR_OK && take_quantifier(r, &min, &max); skip_verbose(r))
            x = repeated(r, x, min, max);
        put_texts(&l, x);
    }
    struct texts all = all_in_a_row(r, &l);
    mem_free(l.ptr);
    return all;
}

/* Joined once: one after another, thousands of words would take the square of their number. */
static struct texts take_alternatives(struct regex *r)
{
    struct list l = { 0 };
    do
        put_texts(&l, take_sequence(r));
    while (take(r, '|'));
    struct texts x = l.n == 1 ? l.ptr[0] : any_of(r, &l);
    mem_free(l.ptr);
    return x;
}

/* The four kinds, with any text where a match need not begin or end with the text. */
static const struct node *fill_up(struct regex *r, const struct texts *x, bool search)
{
    struct char_set chars = { 0 };
    char_set_add_all(&chars, r->flavour);
    const struct node *all = node_never(r->b);
    const struct node *any = node_repeat(r->b, node_class(r->b, chars.ptr, chars.n), 0, REPEAT_ENDLESS);
    char_set_free(&chars);
    for (int i = 0; i < 4; i++) {
        const struct node *match = x->at[i & 1][i >> 1];
        if (!match)
            continue;
        const struct node *before = search && !(i & 1) ? any : node_empty(r->b);
        const struct node *after = search && !(i >> 1) ? any : node_empty(r->b);
        match = node_seq(r->b, (const struct node *const[]){ before, match, after }, 3);
        all = node_or(r->b, (const struct node *const[]){ all, match }, 2);
    }
    return all;
}

enum err_code regex_node(const struct node **out, struct builder *b, struct str pattern,
                         enum regex_flavour flavour, bool search, struct err *err)
{
    struct regex r = { .b = b, .s = pattern, .flavour = flavour, .err = err };
    *out = node_never(b);
    struct texts x = take_alternatives(&r);
    if (r.code == ERR_OK && r.pos < pattern.len)
        fail(&r, "a parenthesis closes nothing");
    if (r.code)
        return r.code;
    *out = fill_up(&r, &x, search);
    return ERR_OK;
}

enum err_code grammar_open_regex(struct grammar **out, struct str pattern, struct err *err)
{
    struct builder *b = builder_open();
    const struct node *x;
    enum err_code code = regex_node(&x, b, pattern, REGEX_RUST, false, err);
    *out = NULL;
    if (code) {
        builder_close(b);
        return code;
    }
    size_t start = rule_new(b, "pattern");
    rule_define(b, start, x);
    return grammar_from(out, b, start, ERR_INVALID_VALUE, err);
}
