/*
 * template_lex.c - template source to tokens, with Jinja's rules about blanks.
 *
 * Text outside of tags is data. A tag may say what happens to blanks around it: "-" strips all of them, "+"
 * keeps them. Else, as apply_chat_template sets it, a block or comment that stands alone on its line leaves no
 * trace: blanks before it are dropped (lstrip_blocks), and the newline behind it (trim_blocks). Newlines are
 * normalised to "\n" first, and one at the very end of the source does not count.
 */
#include "text/template_impl.h"

#include <string.h>

struct lexer {
    struct str source; /* newlines normalised */
    size_t at;
    int line;
    bool line_starts; /* whether what was consumed last ended a line, or nothing was yet */
    struct arena *arena;
    struct token *tokens;
    size_t n, cap;
    struct err *err;
};

static enum err_code lex_error(struct lexer *l, const char *what)
{
    return err_set(l->err, ERR_FORMAT, NULL, "The chat template, line %d: %s.", l->line, what);
}

static void add_token(struct lexer *l, enum token_kind kind, struct str text)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 256;
        struct token *grown = arena_array(l->arena, cap, sizeof *grown);
        if (l->n)
            memcpy(grown, l->tokens, l->n * sizeof *grown);
        l->tokens = grown;
        l->cap = cap;
    }
    l->tokens[l->n++] = (struct token){ kind, l->line, text };
}

/* Moves on, counting lines. */
static void advance(struct lexer *l, size_t to)
{
    for (; l->at < to; l->at++) {
        l->line_starts = l->source.ptr[l->at] == '\n';
        l->line += l->line_starts;
    }
}

static bool here(const struct lexer *l, const char *text)
{
    return str_starts(str_slice(l->source, l->at, l->source.len), str_from(text));
}

static char char_at(const struct lexer *l, size_t at)
{
    return at < l->source.len ? l->source.ptr[at] : '\0';
}

static size_t skip_space(struct str s, size_t at)
{
    uint32_t c;
    while (at < s.len) {
        size_t used = next_char(s, at, &c);
        if (!is_space(c))
            break;
        at += used;
    }
    return at;
}

static struct str strip_end(struct str s)
{
    size_t end = 0;
    for (size_t at = 0; at < s.len;) {
        uint32_t c;
        at += next_char(s, at, &c);
        if (!is_space(c))
            end = at;
    }
    return str_slice(s, 0, end);
}

static struct str normalise_newlines(struct str source, struct arena *arena)
{
    char *out = arena_alloc(arena, source.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < source.len; i++) {
        if (source.ptr[i] == '\r' && i + 1 < source.len && source.ptr[i + 1] == '\n')
            continue;
        out[len++] = source.ptr[i] == '\r' ? '\n' : source.ptr[i];
    }
    if (len && out[len - 1] == '\n')
        len--;
    return (struct str){ out, len };
}

/* --- tags and the data between them ------------------------------------------------------------------------- */

/* Offset of the next "{{", "{%" or "{#", or the end. */
static size_t find_tag(const struct lexer *l)
{
    for (size_t i = l->at; i + 1 < l->source.len; i++)
        if (l->source.ptr[i] == '{') {
            char kind = l->source.ptr[i + 1];
            if (kind == '{' || kind == '%' || kind == '#')
                return i;
        }
    return l->source.len;
}

/* What a tag at `tag` leaves of the data before it. */
static struct str data_before(const struct lexer *l, size_t tag)
{
    struct str data = str_slice(l->source, l->at, tag);
    char sign = char_at(l, tag + 2);
    if (sign == '-')
        return strip_end(data);
    if (sign == '+' || char_at(l, tag + 1) == '{')
        return data;
    size_t line = data.len;
    while (line && data.ptr[line - 1] != '\n')
        line--;
    bool alone = (line || l->line_starts) && line < data.len && skip_space(data, line) == data.len;
    return alone ? str_slice(data, 0, line) : data;
}

/* Behind the end of a block or comment: "-" eats all blanks, none the newline, "+" nothing. sign is where it
 * may stand; the tag's end is two bytes. */
static void finish_block(struct lexer *l, size_t sign)
{
    char c = char_at(l, sign);
    size_t end = sign + (c == '-' || c == '+') + 2;
    if (c == '-')
        end = skip_space(l->source, end);
    else if (c != '+' && char_at(l, end) == '\n')
        end++;
    advance(l, end);
}

/* {#  #} */
static enum err_code lex_comment(struct lexer *l)
{
    size_t from = l->at + 2;
    from += char_at(l, from) == '-' || char_at(l, from) == '+';
    size_t len = str_find(str_slice(l->source, from, l->source.len), STR("#}"));
    if (len == SIZE_MAX)
        return lex_error(l, "a comment has no end");
    char sign = len ? char_at(l, from + len - 1) : '\0';
    finish_block(l, from + len - (sign == '-' || sign == '+'));
    return ERR_OK;
}

/* If a "{% raw %}" or "{% endraw %}" stands at `at`, the offset of its end tag's sign or "%}"; else SIZE_MAX. */
static size_t raw_tag(const struct lexer *l, size_t at, const char *word)
{
    size_t i = at + 2;
    i += char_at(l, i) == '-' || char_at(l, i) == '+';
    i = skip_space(l->source, i);
    if (!str_starts(str_slice(l->source, i, l->source.len), str_from(word)))
        return SIZE_MAX;
    i = skip_space(l->source, i + strlen(word));
    size_t end = i + (char_at(l, i) == '-' || char_at(l, i) == '+');
    return char_at(l, end) == '%' && char_at(l, end + 1) == '}' ? i : SIZE_MAX;
}

/* The beginning of a raw block differs from other blocks: it does not eat the newline behind it. */
static enum err_code lex_raw(struct lexer *l, size_t sign)
{
    size_t begin = sign + (char_at(l, sign) == '-') + 2;
    advance(l, char_at(l, sign) == '-' ? skip_space(l->source, begin) : begin);
    for (size_t tag = l->at; tag + 1 < l->source.len; tag++) {
        bool is_tag = l->source.ptr[tag] == '{' && l->source.ptr[tag + 1] == '%';
        size_t end = is_tag ? raw_tag(l, tag, "endraw") : SIZE_MAX;
        if (end == SIZE_MAX)
            continue;
        struct str data = data_before(l, tag);
        if (data.len)
            add_token(l, T_DATA, data);
        finish_block(l, end);
        return ERR_OK;
    }
    return lex_error(l, "a raw block has no end");
}

/* --- inside of tags --------------------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c) ||
           (unsigned char)c >= 0x80;
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \xNN, \uNNNN, \UNNNNNNNN; returns the bytes used behind the backslash, 0: malformed. */
static size_t unescape_hex(struct str s, struct buf *out)
{
    size_t digits = s.ptr[0] == 'x' ? 2 : s.ptr[0] == 'u' ? 4 : 8;
    uint32_t codepoint = 0;
    if (s.len < digits + 1)
        return 0;
    for (size_t i = 1; i <= digits; i++) {
        int value = hex_value(s.ptr[i]);
        if (value < 0 || codepoint > 0x10FFFF)
            return 0;
        codepoint = codepoint * 16 + (uint32_t)value;
    }
    char utf8[4];
    size_t len = utf8_encode(codepoint, utf8);
    buf_put(out, utf8, len);
    return len ? digits + 1 : 0;
}

/* Python's escapes in s, which starts behind the backslash; returns the bytes used, 0: malformed. */
static size_t unescape(struct str s, struct buf *out)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    char c = s.ptr[0];
    const char *simple = memchr(from, c, sizeof from - 1);
    if (simple) {
        buf_putc(out, to[simple - from]);
        return 1;
    }
    if (c == 'x' || c == 'u' || c == 'U')
        return unescape_hex(s, out);
    if (c == '\n') /* the line goes on */
        return 1;
    if (c == 'N')
        return 0;
    if (c >= '0' && c <= '7') {
        uint32_t value = 0;
        size_t used = 0;
        for (; used < 3 && used < s.len && s.ptr[used] >= '0' && s.ptr[used] <= '7'; used++)
            value = value * 8 + (uint32_t)(s.ptr[used] - '0');
        char utf8[4];
        buf_put(out, utf8, utf8_encode(value, utf8));
        return used;
    }
    buf_putc(out, '\\'); /* unknown escapes stay as they are written */
    buf_putc(out, c);
    return 1;
}

static enum err_code lex_string(struct lexer *l)
{
    char quote = l->source.ptr[l->at];
    struct buf text = { 0 };
    size_t i = l->at + 1;
    for (; i < l->source.len && l->source.ptr[i] != quote; i++) {
        if (l->source.ptr[i] != '\\') {
            buf_putc(&text, l->source.ptr[i]);
            continue;
        }
        size_t used = i + 1 < l->source.len ? unescape(str_slice(l->source, i + 1, l->source.len), &text) : 0;
        if (!used) {
            buf_free(&text);
            return lex_error(l, "a string has an escape that is not supported");
        }
        i += used;
    }
    if (i >= l->source.len) {
        buf_free(&text);
        return lex_error(l, "a string has no end");
    }
    add_token(l, T_STRING, arena_str(l->arena, buf_str(&text)));
    buf_free(&text);
    advance(l, i + 1);
    return ERR_OK;
}

/* Digits with single underscores between them; returns the offset behind them. */
static size_t skip_digits(const struct lexer *l, size_t at)
{
    while (is_digit(char_at(l, at)) || (char_at(l, at) == '_' && is_digit(char_at(l, at + 1))))
        at++;
    return at;
}

static void lex_number(struct lexer *l)
{
    size_t end = skip_digits(l, l->at);
    bool behind_dot = l->at && l->source.ptr[l->at - 1] == '.'; /* pairs.0.1 is two indices */
    bool is_float = !behind_dot && char_at(l, end) == '.' && is_digit(char_at(l, end + 1));
    if (is_float)
        end = skip_digits(l, end + 1);
    size_t exponent = end + 1;
    exponent += char_at(l, exponent) == '+' || char_at(l, exponent) == '-';
    if ((char_at(l, end) | 0x20) == 'e' && is_digit(char_at(l, exponent))) {
        end = skip_digits(l, exponent);
        is_float = true;
    }
    if (char_at(l, l->at) == '0' && !is_float && strchr("xXbBoO", char_at(l, end)) && char_at(l, end))
        while (is_name_char(char_at(l, end))) /* 0x1F and its kin; the parser reads the digits */
            end++;
    char *digits = arena_alloc(l->arena, end - l->at + 1);
    size_t len = 0;
    for (size_t i = l->at; i < end; i++)
        if (l->source.ptr[i] != '_')
            digits[len++] = l->source.ptr[i];
    add_token(l, is_float ? T_FLOAT : T_INTEGER, (struct str){ digits, len });
    advance(l, end);
}

static enum err_code lex_operator(struct lexer *l, char *closers, size_t *n_open)
{
    static const char *const operators[] = { "**", "//", "==", "!=", "<=", ">=", "+", "-", "*",
                                             "/",  "%",  "~",  "<",  ">",  "=",  "(", ")", "[",
                                             "]",  "{",  "}",  ".",  ",",  "|",  ":" };
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        if (!here(l, operators[i]))
            continue;
        char c = operators[i][0];
        if (c == '(' || c == '[' || c == '{') {
            if (*n_open == NEST_MAX)
                return lex_error(l, "brackets are nested too deeply");
            closers[(*n_open)++] = c == '(' ? ')' : c == '[' ? ']' : '}';
        } else if ((c == ')' || c == ']' || c == '}') && (*n_open == 0 || closers[--*n_open] != c)) {
            return lex_error(l, "a bracket is closed that was not opened");
        }
        add_token(l, T_OPERATOR, str_slice(l->source, l->at, l->at + strlen(operators[i])));
        advance(l, l->at + strlen(operators[i]));
        return ERR_OK;
    }
    return lex_error(l, "a character has no meaning here");
}

/* Whether the tag ends here; end is "}}" or "%}". */
static bool at_end(const struct lexer *l, const char *end, bool is_block)
{
    char c = char_at(l, l->at);
    bool sign = c == '-' || (is_block && c == '+');
    return str_starts(str_slice(l->source, l->at + sign, l->source.len), str_from(end));
}

/* {{  }} and {%  %}. Inside of brackets "}}" closes dicts, not the tag. */
static enum err_code lex_tag(struct lexer *l)
{
    bool is_block = l->source.ptr[l->at + 1] == '%';
    const char *end = is_block ? "%}" : "}}";
    char closers[NEST_MAX];
    size_t n_open = 0;
    add_token(l, is_block ? T_BLOCK_BEGIN : T_VARIABLE_BEGIN, STR(""));
    char sign = char_at(l, l->at + 2);
    advance(l, l->at + 2 + (sign == '-' || sign == '+'));
    for (;;) {
        advance(l, skip_space(l->source, l->at));
        if (l->at >= l->source.len)
            return lex_error(l, "a tag has no end");
        enum err_code code = ERR_OK;
        char c = l->source.ptr[l->at];
        if (n_open == 0 && at_end(l, end, is_block))
            break;
        if (c == '"' || c == '\'') {
            code = lex_string(l);
        } else if (is_digit(c)) {
            lex_number(l);
        } else if (is_name_char(c)) {
            size_t to = l->at;
            while (is_name_char(char_at(l, to)))
                to++;
            add_token(l, T_NAME, str_slice(l->source, l->at, to));
            advance(l, to);
        } else {
            code = lex_operator(l, closers, &n_open);
        }
        if (code)
            return code;
    }
    add_token(l, is_block ? T_BLOCK_END : T_VARIABLE_END, STR(""));
    if (is_block)
        finish_block(l, l->at);
    else if (char_at(l, l->at) == '-')
        advance(l, skip_space(l->source, l->at + 3));
    else
        advance(l, l->at + 2);
    return ERR_OK;
}

enum err_code template_lex(struct str source, struct arena *arena, struct token **tokens, struct err *err)
{
    struct lexer l = { .source = normalise_newlines(source, arena),
                       .line = 1,
                       .line_starts = true,
                       .arena = arena,
                       .err = err };
    while (l.at < l.source.len) {
        size_t tag = find_tag(&l);
        struct str data = tag < l.source.len ? data_before(&l, tag) : str_slice(l.source, l.at, tag);
        if (data.len)
            add_token(&l, T_DATA, data);
        advance(&l, tag);
        if (l.at >= l.source.len)
            break;
        char kind = l.source.ptr[l.at + 1];
        size_t raw = kind == '%' ? raw_tag(&l, l.at, "raw") : SIZE_MAX;
        enum err_code code = kind == '#' ? lex_comment(&l) : raw != SIZE_MAX ? lex_raw(&l, raw) : lex_tag(&l);
        if (code)
            return code;
    }
    add_token(&l, T_END, STR(""));
    *tokens = l.tokens;
    return ERR_OK;
}
