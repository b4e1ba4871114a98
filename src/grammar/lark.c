/*
 * lark.c - grammars in Lark's syntax, as custom tools take them.
 *
 * What a grammar accepts is what Lark's own Earley parser with its dynamic lexer accepts: terminals are matched wherever a rule asks for them, and
 * no lexer decides beforehand where one ends. Terminals that are ignored may stand before each terminal of a rule and at the end.
 * Aliases, and the marks ! ? _ of names, shape trees and not texts; they are read and mean nothing here. Refused by name: priorities,
 * templates, imports from elsewhere than common, %declare, %override, %extend. Patterns are in Rust's syntax (regex.c).
 *
 * Names may be used before they are defined, so there are two passes. The first notes where each definition's right side stands; the
 * second reads those sides into nodes, a terminal's when it is first used.
 */
#include "grammar/grammar_impl.h"

#include <stdio.h>
#include <string.h>

#define LARK_DEPTH_MAX 100 /* parentheses in each other, terminals inside terminals */
#define LARK_NAMES_MAX 5000

struct definition {
    struct str name;
    size_t pos;              /* of the right side; SIZE_MAX: see pattern */
    const char *pattern;     /* of an imported terminal */
    const struct node *node; /* of a terminal, once it was read */
    size_t rule;
    bool open; /* a terminal that is being read */
};

struct lark {
    struct builder *b;
    struct str s;
    size_t pos;
    struct definition *definitions;
    size_t n, cap;
    size_t *ignored; /* where right sides of %ignore stand */
    size_t n_ignored;
    const struct node *ignore; /* any number of ignored terminals, or NULL */
    bool terminal;             /* what is read is a terminal's side */
    int depth, groups;         /* groups: that are open in this side */
    struct err *err;
    enum err_code code;
};

/* clang-format off */
static const struct {
    const char *name, *pattern;
} common[] = {
    { "DIGIT", "[0-9]" },
    { "HEXDIGIT", "[0-9A-Fa-f]" },
    { "INT", "[0-9]+" },
    { "SIGNED_INT", "[+-]?[0-9]+" },
    { "DECIMAL", "[0-9]+\\.[0-9]*|\\.[0-9]+" },
    { "_EXP", "[eE][+-]?[0-9]+" },
    { "FLOAT", "[0-9]+[eE][+-]?[0-9]+|(?:[0-9]+\\.[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?" },
    { "SIGNED_FLOAT", "[+-]?(?:[0-9]+[eE][+-]?[0-9]+|(?:[0-9]+\\.[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?)" },
    { "NUMBER", "[0-9]+(?:[eE][+-]?[0-9]+)?|(?:[0-9]+\\.[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?" },
    { "SIGNED_NUMBER", "[+-]?(?:[0-9]+(?:[eE][+-]?[0-9]+)?|(?:[0-9]+\\.[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?)" },
    { "_STRING_INNER", "[^\\n]*?" },
    { "_STRING_ESC_INNER", "(?:[^\\\\\\n]|\\\\[^\\n])*" },
    { "ESCAPED_STRING", "\"(?:[^\"\\\\\\n]|\\\\[^\\n])*\"" },
    { "LCASE_LETTER", "[a-z]" },
    { "UCASE_LETTER", "[A-Z]" },
    { "LETTER", "[A-Za-z]" },
    { "WORD", "[A-Za-z]+" },
    { "CNAME", "[A-Za-z_][A-Za-z_0-9]*" },
    { "WS_INLINE", "[ \\t]+" },
    { "WS", "[ \\t\\f\\r\\n]+" },
    { "CR", "\\r" },
    { "LF", "\\n" },
    { "NEWLINE", "(?:\\r?\\n)+" },
    { "SH_COMMENT", "#[^\\n]*" },
    { "CPP_COMMENT", "//[^\\n]*" },
    { "C_COMMENT", "/\\*(?:[^*]|\\*+[^*/])*\\*+/" },
    { "SQL_COMMENT", "--[^\\n]*" },
};
/* clang-format on */

/* --- characters --------------------------------------------------------------------------------------------------- */

static size_t line_of(const struct lark *l)
{
    size_t line = 1;
    for (size_t i = 0; i < l->pos && i < l->s.len; i++)
        line += l->s.ptr[i] == '\n';
    return line;
}

static void fail(struct lark *l, const char *what, struct str which)
{
    if (l->code == ERR_OK)
        l->code = err_set(l->err, ERR_INVALID_VALUE, NULL, "Grammar, line %zu: %s%s%.*s.", line_of(l), what,
                          which.len ? " " : "", STR_ARG(which));
}

static int peek(const struct lark *l)
{
    return l->code == ERR_OK && l->pos < l->s.len ? (unsigned char)l->s.ptr[l->pos] : -1;
}

static bool take(struct lark *l, const char *text)
{
    if (l->code || !str_starts(str_slice(l->s, l->pos, l->s.len), str_from(text)))
        return false;
    l->pos += strlen(text);
    return true;
}

/* Blanks and comments of one line; a backslash joins the next. */
static void skip_blanks(struct lark *l)
{
    for (int c; (c = peek(l)) >= 0;) {
        if (c == '#' || take(l, "//"))
            while (peek(l) >= 0 && peek(l) != '\n')
                l->pos++;
        else if (c == ' ' || c == '\t' || c == '\r')
            l->pos++;
        else if (!take(l, "\\\n"))
            return;
    }
}

static void skip_lines(struct lark *l)
{
    do
        skip_blanks(l);
    while (take(l, "\n"));
}

/* The end of a line that no | continues. */
static bool side_ends(struct lark *l)
{
    skip_blanks(l);
    if (peek(l) < 0)
        return true;
    if (peek(l) != '\n')
        return false;
    size_t at = l->pos;
    skip_lines(l);
    if (peek(l) == '|')
        return false;
    l->pos = at;
    return true;
}

static bool is_name(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static struct str take_name(struct lark *l)
{
    size_t from = l->pos;
    while (is_name(peek(l)))
        l->pos++;
    return str_slice(l->s, from, l->pos);
}

/* Terminals are written in capitals, behind underscores perhaps. */
static bool names_terminal(struct str name)
{
    size_t i = 0;
    while (i < name.len && name.ptr[i] == '_')
        i++;
    return i < name.len && name.ptr[i] >= 'A' && name.ptr[i] <= 'Z';
}

/* The raw text of a literal between marks, which may be escaped in it. */
static struct str take_raw(struct lark *l, char mark)
{
    size_t from = ++l->pos;
    while (peek(l) >= 0 && peek(l) != (unsigned char)mark && peek(l) != '\n')
        l->pos += peek(l) == '\\' && l->pos + 1 < l->s.len ? 2 : 1;
    struct str raw = str_slice(l->s, from, l->pos);
    if (peek(l) != (unsigned char)mark)
        fail(l, mark == '/' ? "a pattern has no end" : "a string has no end", (struct str){ 0 });
    l->pos++;
    return raw;
}

/* --- names ----------------------------------------------------------------------------------------------------------- */

static struct definition *find(const struct lark *l, struct str name)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_eq(l->definitions[i].name, name))
            return &l->definitions[i];
    return NULL;
}

static void define(struct lark *l, struct str name, size_t pos, const char *pattern)
{
    if (find(l, name))
        fail(l, "there is a second definition of", name);
    else if (l->n == LARK_NAMES_MAX)
        fail(l, "there are too many names", (struct str){ 0 });
    if (l->code)
        return;
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 32;
        l->definitions = mem_realloc(l->definitions, l->cap * sizeof *l->definitions);
    }
    struct definition *d = &l->definitions[l->n++];
    *d = (struct definition){ .name = name, .pos = pos, .pattern = pattern };
    char text[64];
    snprintf(text, sizeof text, "%.*s", STR_ARG(name));
    if (!names_terminal(name))
        d->rule = rule_new(l->b, text);
}

/* --- the first pass ---------------------------------------------------------------------------------------------------- */

/* Over a right side, literals as wholes, up to the line that does not go on. */
static void skip_side(struct lark *l)
{
    int nested = 0;
    while (l->code == ERR_OK) {
        if (nested > 0)
            skip_lines(l);
        if ((nested <= 0 && side_ends(l)) || peek(l) < 0)
            return;
        int c = peek(l);
        nested += (c == '(' || c == '[') - (c == ')' || c == ']');
        if (c == '"' || c == '/')
            take_raw(l, (char)c);
        else
            l->pos++;
    }
}

static void import_one(struct lark *l, struct str name, struct str as)
{
    for (size_t i = 0; i < ARRAY_LEN(common); i++) {
        if (!str_is(name, common[i].name))
            continue;
        define(l, as, SIZE_MAX, common[i].pattern);
        return;
    }
    fail(l, "common has no terminal", name);
}

static void take_import(struct lark *l)
{
    skip_blanks(l);
    struct str library = take_name(l);
    if (!str_is(library, "common")) {
        fail(l, "only common can be imported from, not", library);
        return;
    }
    skip_blanks(l);
    if (take(l, "(")) {
        for (skip_lines(l); is_name(peek(l)); skip_lines(l)) {
            struct str name = take_name(l);
            import_one(l, name, name);
            skip_lines(l);
            if (!take(l, ","))
                break;
        }
        if (!take(l, ")"))
            fail(l, "a list of imports has no end", (struct str){ 0 });
        return;
    }
    if (!take(l, "."))
        fail(l, "an import names no terminal", (struct str){ 0 });
    struct str name = take_name(l), as = name;
    skip_blanks(l);
    if (take(l, "->")) {
        skip_blanks(l);
        as = take_name(l);
    }
    if (!names_terminal(as))
        fail(l, "an import needs a terminal's name, not", as);
    import_one(l, name, as);
}

static void take_statement(struct lark *l)
{
    struct str what = take_name(l);
    if (str_is(what, "import")) {
        take_import(l);
    } else if (str_is(what, "ignore")) {
        skip_blanks(l);
        l->ignored = mem_realloc(l->ignored, (l->n_ignored + 1) * sizeof *l->ignored);
        l->ignored[l->n_ignored++] = l->pos;
        skip_side(l);
    } else {
        fail(l, "this statement is not supported: %", what);
    }
}

static void take_definition(struct lark *l)
{
    while (peek(l) == '!' || peek(l) == '?')
        l->pos++;
    struct str name = take_name(l);
    if (name.len == 0) {
        fail(l, "a definition or a statement was expected", (struct str){ 0 });
        return;
    }
    skip_blanks(l);
    if (peek(l) == '{')
        fail(l, "templates are not supported:", name);
    if (peek(l) == '.')
        fail(l, "priorities are not supported:", name);
    if (!take(l, ":"))
        fail(l, "a colon is missing behind", name);
    define(l, name, l->pos, NULL);
    skip_side(l);
}

static void note_definitions(struct lark *l)
{
    for (skip_lines(l); peek(l) >= 0; skip_lines(l)) {
        if (take(l, "%"))
            take_statement(l);
        else
            take_definition(l);
        if (l->code == ERR_OK && !side_ends(l))
            fail(l, "the end of the line was expected", (struct str){ 0 });
    }
}

/* --- literals ---------------------------------------------------------------------------------------------------------------- */

static size_t take_code(struct str raw, size_t digits, uint32_t *c)
{
    *c = 0;
    for (size_t i = 0; i < digits; i++) {
        int x = i < raw.len ? (unsigned char)raw.ptr[i] : 0, small = x | 0x20;
        bool letter = small >= 'a' && small <= 'f';
        if (!letter && !(x >= '0' && x <= '9'))
            return 0;
        *c = *c << 4 | (uint32_t)(letter ? small - 'a' + 10 : x - '0');
    }
    return digits;
}

/* One escape behind its backslash; bytes of raw it took, 0: not known. */
static size_t take_escape(struct str raw, uint32_t *c)
{
    static const char letters[] = "ntrfvb\\\"'/", codes[] = "\n\t\r\f\v\b\\\"'/";
    const char *at = raw.len && raw.ptr[0] ? strchr(letters, raw.ptr[0]) : NULL;
    if (at) {
        *c = (unsigned char)codes[at - letters];
        return 1;
    }
    size_t digits = raw.len == 0        ? 0
                    : raw.ptr[0] == 'x' ? 2
                    : raw.ptr[0] == 'u' ? 4
                    : raw.ptr[0] == 'U' ? 8
                                        : 0;
    size_t used = digits ? take_code(str_slice(raw, 1, raw.len), digits, c) : 0;
    return used ? used + 1 : 0;
}

static void take_string(struct lark *l, struct buf *out)
{
    struct str raw = take_raw(l, '"');
    for (size_t i = 0; i < raw.len && l->code == ERR_OK;) {
        uint32_t c;
        char utf8[4];
        if (raw.ptr[i] != '\\') {
            buf_putc(out, raw.ptr[i++]);
            continue;
        }
        size_t used = take_escape(str_slice(raw, i + 1, raw.len), &c), len = used ? utf8_encode(c, utf8) : 0;
        if (len == 0)
            fail(l, "an escape is not known in string", raw);
        buf_put(out, utf8, len);
        i += 1 + used;
    }
}

static const struct node *of_pattern(struct lark *l, struct str pattern)
{
    const struct node *x;
    struct err err;
    if (regex_node(&x, l->b, pattern, REGEX_RUST, false, &err)) {
        err.message[strlen(err.message) - 1] = 0; /* its full stop */
        fail(l, err.message, (struct str){ 0 });
    }
    return x;
}

/* Either case of each character: by the pattern's own flag. */
static const struct node *of_any_case(struct lark *l, struct str text)
{
    struct buf pattern = { 0 };
    buf_puts(&pattern, "(?i)");
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x80 && !is_name((unsigned char)text.ptr[i]))
            buf_printf(&pattern, "\\x%02x", (unsigned)text.ptr[i]);
        else
            buf_putc(&pattern, text.ptr[i]);
    }
    const struct node *x = of_pattern(l, buf_str(&pattern));
    buf_free(&pattern);
    return x;
}

static const struct node *of_range(struct lark *l, struct str first)
{
    struct buf last = { 0 };
    struct char_range range = { 0 };
    skip_blanks(l);
    if (peek(l) == '"')
        take_string(l, &last);
    bool one = first.len && utf8_decode(first, &range.first) == first.len && last.len &&
               utf8_decode(buf_str(&last), &range.last) == last.len && range.first <= range.last;
    buf_free(&last);
    if (!one)
        fail(l, "a range needs two characters in their order, behind", first);
    return node_class(l->b, &range, one);
}

static const struct node *take_text(struct lark *l)
{
    struct buf text = { 0 };
    const struct node *x;
    take_string(l, &text);
    if (peek(l) == 'i' && !(l->pos + 1 < l->s.len && is_name((unsigned char)l->s.ptr[l->pos + 1]))) {
        l->pos++;
        x = of_any_case(l, buf_str(&text));
    } else {
        skip_blanks(l);
        x = take(l, "..") ? of_range(l, buf_str(&text))
            : l->code     ? node_never(l->b)
                          : node_text(l->b, buf_str(&text));
    }
    buf_free(&text);
    return x;
}

/* A pattern and its flags; \/ is how it writes its own mark. */
static const struct node *take_pattern(struct lark *l)
{
    struct buf pattern = { 0 };
    struct str raw = take_raw(l, '/');
    for (; peek(l) >= 'a' && peek(l) <= 'z'; l->pos++) {
        if (!strchr("isxu", peek(l)))
            fail(l, "a pattern's flag is not supported, behind", raw);
        buf_printf(&pattern, "(?%c)", peek(l));
    }
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.ptr[i] == '\\' && i + 1 < raw.len && raw.ptr[i + 1] != '/')
            buf_putc(&pattern, raw.ptr[i++]);
        else if (raw.ptr[i] == '\\')
            i++;
        if (i < raw.len)
            buf_putc(&pattern, raw.ptr[i]);
    }
    const struct node *x = l->code ? node_never(l->b) : of_pattern(l, buf_str(&pattern));
    buf_free(&pattern);
    return x;
}

/* --- the second pass ------------------------------------------------------------------------------------------------------------ */

static const struct node *take_alternatives(struct lark *l);

static const struct node *terminal_node(struct lark *l, struct definition *d)
{
    if (d->node)
        return d->node;
    if (d->pattern)
        return d->node = of_pattern(l, str_from(d->pattern));
    if (d->open || ++l->depth > LARK_DEPTH_MAX) {
        fail(l, d->open ? "a terminal is made of itself:" : "terminals nest too deeply:", d->name);
        return node_never(l->b);
    }
    size_t pos = l->pos;
    bool terminal = l->terminal;
    int groups = l->groups;
    l->groups = 0;
    d->open = l->terminal = true;
    l->pos = d->pos;
    const struct node *x = take_alternatives(l);
    if (l->code == ERR_OK && !side_ends(l))
        fail(l, "the end of the definition was expected:", d->name);
    l->terminal = terminal;
    l->groups = groups;
    l->pos = l->code ? l->pos : pos;
    d->open = false;
    l->depth--;
    return d->node = x;
}

/* A terminal where a rule uses it. */
static const struct node *token(struct lark *l, const struct node *x)
{
    if (l->terminal || !l->ignore)
        return x;
    return node_seq(l->b, (const struct node *const[]){ l->ignore, x }, 2);
}

static const struct node *take_named(struct lark *l)
{
    while (peek(l) == '!' || peek(l) == '?')
        l->pos++;
    struct str name = take_name(l);
    struct definition *d = find(l, name);
    if (!d)
        fail(l, "nothing is defined as", name);
    else if (peek(l) == '{')
        fail(l, "templates are not supported:", name);
    else if (names_terminal(name))
        return token(l, terminal_node(l, d));
    else if (l->terminal)
        fail(l, "a terminal cannot be made of rule", name);
    else
        return node_call(l->b, d->rule);
    return node_never(l->b);
}

static const struct node *take_group(struct lark *l, const char *end)
{
    l->pos++;
    l->groups++;
    if (++l->depth > LARK_DEPTH_MAX)
        fail(l, "parentheses nest too deeply", (struct str){ 0 });
    skip_lines(l);
    const struct node *x = take_alternatives(l);
    skip_lines(l);
    if (!take(l, end))
        fail(l, "a group lacks its", str_from(end));
    l->depth--;
    l->groups--;
    return *end == ']' ? node_repeat(l->b, x, 0, 1) : x;
}

static const struct node *take_atom(struct lark *l)
{
    int c = peek(l);
    if (c == '(' || c == '[')
        return take_group(l, c == '(' ? ")" : "]");
    if (c == '"')
        return token(l, take_text(l));
    if (c == '/')
        return token(l, take_pattern(l));
    if (is_name(c) || c == '!' || c == '?')
        return take_named(l);
    fail(l, "a name, a string, a pattern or a group was expected", (struct str){ 0 });
    return node_never(l->b);
}

static size_t take_number(struct lark *l)
{
    size_t n = 0, from = l->pos;
    skip_blanks(l);
    for (; peek(l) >= '0' && peek(l) <= '9'; l->pos++)
        n = n < 100000000 ? n * 10 + (size_t)(peek(l) - '0') : n;
    if (l->pos == from)
        fail(l, "a number was expected", (struct str){ 0 });
    return n;
}

/* ~n, ~n..m */
static const struct node *take_times(struct lark *l, const struct node *x)
{
    size_t min = take_number(l), max = min;
    skip_blanks(l);
    if (take(l, ".."))
        max = take_number(l);
    if (max < min)
        fail(l, "a repeat is upside down", (struct str){ 0 });
    return node_repeat(l->b, x, min, max);
}

/* A ? before a name is the name's. */
static bool is_rule_start(const struct lark *l, size_t pos)
{
    return pos < l->s.len && l->s.ptr[pos] >= 'a' && l->s.ptr[pos] <= 'z';
}

static const struct node *take_repeats(struct lark *l, const struct node *x)
{
    for (;;) {
        skip_blanks(l);
        if (take(l, "*"))
            x = node_repeat(l->b, x, 0, REPEAT_ENDLESS);
        else if (take(l, "+"))
            x = node_repeat(l->b, x, 1, REPEAT_ENDLESS);
        else if (peek(l) == '?' && !is_rule_start(l, l->pos + 1) && take(l, "?"))
            x = node_repeat(l->b, x, 0, 1);
        else if (take(l, "~"))
            x = take_times(l, x);
        else
            return x;
    }
}

struct nodes {
    const struct node **ptr;
    size_t n, cap;
};

static void put(struct nodes *v, const struct node *x)
{
    if (v->n == v->cap) {
        v->cap = v->cap ? 2 * v->cap : 8;
        v->ptr = mem_realloc(v->ptr, v->cap * sizeof *v->ptr);
    }
    v->ptr[v->n++] = x;
}

static bool sequence_ends(struct lark *l)
{
    if (l->groups)
        skip_lines(l);
    skip_blanks(l);
    int c = peek(l);
    return c < 0 || c == '|' || c == ')' || c == ']' || c == '\n' ||
           (c == '-' && l->pos + 1 < l->s.len && l->s.ptr[l->pos + 1] == '>');
}

static const struct node *take_sequence(struct lark *l)
{
    struct nodes parts = { 0 };
    while (!sequence_ends(l))
        put(&parts, take_repeats(l, take_atom(l)));
    if (take(l, "->")) { /* an alias names a branch of the tree */
        skip_blanks(l);
        take_name(l);
    }
    const struct node *x = node_seq(l->b, parts.ptr, parts.n);
    mem_free(parts.ptr);
    return x;
}

/* A | may stand at the beginning of the next line. */
static bool take_bar(struct lark *l)
{
    size_t at = l->pos;
    skip_lines(l);
    if (take(l, "|"))
        return true;
    l->pos = l->code ? l->pos : at;
    return false;
}

static const struct node *take_alternatives(struct lark *l)
{
    struct nodes parts = { 0 };
    do
        put(&parts, take_sequence(l));
    while (l->code == ERR_OK && take_bar(l));
    const struct node *x = node_or(l->b, parts.ptr, parts.n);
    mem_free(parts.ptr);
    return x;
}

static void read_ignored(struct lark *l)
{
    struct nodes parts = { 0 };
    l->terminal = true;
    for (size_t i = 0; i < l->n_ignored && !l->code; i++) {
        l->pos = l->ignored[i];
        put(&parts, take_alternatives(l));
    }
    l->terminal = false;
    if (parts.n)
        l->ignore = node_repeat(l->b, node_or(l->b, parts.ptr, parts.n), 0, REPEAT_ENDLESS);
    mem_free(parts.ptr);
}

static void read_rules(struct lark *l)
{
    for (size_t i = 0; i < l->n && !l->code; i++) {
        struct definition *d = &l->definitions[i];
        if (names_terminal(d->name)) {
            terminal_node(l, d); /* also those that nothing uses: what is wrong in them is said */
            continue;
        }
        l->pos = d->pos;
        rule_define(l->b, d->rule, take_alternatives(l));
        if (l->code == ERR_OK && !side_ends(l))
            fail(l, "the end of the rule was expected:", d->name);
    }
}

static enum err_code read_all(struct lark *l, size_t *start)
{
    if (!utf8_valid(l->s))
        fail(l, "it is not UTF-8", (struct str){ 0 });
    note_definitions(l);
    const struct definition *d = find(l, STR("start"));
    if (!d)
        fail(l, "there is no rule start", (struct str){ 0 });
    read_ignored(l);
    read_rules(l);
    if (l->code)
        return l->code;
    *start = rule_new(l->b, "start");
    const struct node *whole[2] = { node_call(l->b, d->rule), l->ignore ? l->ignore : node_empty(l->b) };
    rule_define(l->b, *start, node_seq(l->b, whole, 2));
    return ERR_OK;
}

enum err_code lark_rule(size_t *out, struct builder *b, struct str source, struct err *err)
{
    struct lark l = { .b = b, .s = source, .err = err };
    enum err_code code = read_all(&l, out);
    mem_free(l.definitions);
    mem_free(l.ignored);
    return code;
}

enum err_code grammar_open_lark(struct grammar **out, struct str source, struct err *err)
{
    struct builder *b = builder_open();
    size_t start;
    *out = NULL;
    enum err_code code = lark_rule(&start, b, source, err);
    if (code) {
        builder_close(b);
        return code;
    }
    return grammar_from(out, b, start, ERR_INVALID_VALUE, err);
}
