/*
 * key.c - what the words of an answer mean, as bytes: answers that mean the same have the same key.
 *
 * Because two answers are equal when their keys are, being equal is an equivalence whatever is in them: nobody can
 * win a vote by being equal to two answers that differ. The price is that a rule may only look at one answer at a time.
 *
 *   q1/2        a number, by value: 0.50, 1/2, \frac{1}{2}, 50% (where the question asks for no percent)
 *   (q3,q4)     ordered, in brackets: (3, 4), [3, 4]
 *   {q3,q4}     not ordered, each once: {4, 3}, "3 and 4", "3, 4"
 *   cb          a choice's letter: B, (b), "option B"
 *   w...        other words, their case and blanks levelled
 *
 * Signs and letters are levelled first (NFKC and case folding), then what only dresses an answer goes: LaTeX's \text,
 * \left and \right, dollar signs, bold marks, one name and its equals sign, words behind a number that the question has
 * too. A number that has no exact form in 64 bits is a word.
 *
 * Threads: no state.
 */
#include "reason/reason_impl.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define ELEMENTS_MAX       64 /* of a list; longer ones are words */
#define DEPTH_MAX          4
#define NAME_MAX_LEN       16    /* of "x" in "x = 3" */
#define QUESTION_BYTES_MAX 65536 /* of it that are looked at */

struct reader {
    const struct answer_hints *hints;
    int depth;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

/* --- levelling ------------------------------------------------------------------------------------------- */

static void fold(struct str words, struct buf *out)
{
    utf8proc_uint8_t *folded = NULL;
    utf8proc_ssize_t n = utf8proc_map(
        (const utf8proc_uint8_t *)words.ptr, (utf8proc_ssize_t)words.len, &folded,
        UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
    if (n >= 0)
        buf_put(out, folded, (size_t)n);
    else
        buf_put_str(out, words); /* no characters: they stand as they are */
    free(folded);
}

void answer_hints_read(struct answer_hints *hints, struct str question)
{
    struct str some = str_slice(question, 0, QUESTION_BYTES_MAX);
    *hints = (struct answer_hints){ 0 };
    fold(str_slice(some, 0, utf8_whole_len(some)), &hints->question);
    struct str q = buf_str(&hints->question);
    hints->percent = str_find(q, STR("percent")) != SIZE_MAX || str_find(q, STR("%")) != SIZE_MAX;
}

void answer_hints_free(struct answer_hints *hints)
{
    buf_free(&hints->question);
}

/* Spellings of one sign; what stands for nothing is left out. */
static const struct {
    const char *from, *to;
} spellings[] = {
    { "\xe2\x88\x92", "-" }, /* minus */
    { "\xe2\x80\x90", "-" },
    { "\xe2\x80\x91", "-" },
    { "\xe2\x80\x93", "-" },
    { "\xe2\x81\x84", "/" }, /* fraction slash */
    { "\xc3\x97", "*" },
    { "\xc3\xb7", "/" },
    { "\xe2\x82\xac", "" }, /* euro */
    { "\xc2\xa3", "" },
    { "$", "" },
    { "`", "" },
    { "\\left", "" },
    { "\\right", "" },
    { "\\displaystyle", "" },
    { "\\dfrac", "\\frac" },
    { "\\tfrac", "\\frac" },
    { "\\times", "*" },
    { "\\cdot", "*" },
    { "\\div", "/" },
    { "\\%", "%" },
    { "\\!", "" },
    { "\\,", " " },
    { "\\;", " " },
    { "\\:", " " },
    { "\\ ", " " },
    { "\\{", "{" },
    { "\\}", "}" },
    { "^\\circ", "" },
    { "^{\\circ}", "" },
    { "\\quad", " " },
};

/* Commands of which only the argument says something. */
static const char *const wrappers[] = { "\\text",  "\\mathrm", "\\mathbf", "\\textbf",
                                        "\\boxed", "\\mbox",   "\\fbox" };

/* Length of the group in braces at the front of s, both braces included; 0: none. */
static size_t group_len(struct str s)
{
    int depth = 0;
    for (size_t i = 0; i < s.len; i++) {
        depth += s.ptr[i] == '{';
        depth -= s.ptr[i] == '}';
        if (depth == 0)
            return s.ptr[i] == '}' ? i + 1 : 0;
    }
    return 0;
}

/* One argument of \frac: a group, or one character. */
static size_t argument(struct str s, struct str *inner)
{
    size_t blanks = s.len - str_trim_start(s).len;
    s = str_trim_start(s);
    size_t n = group_len(s);
    if (n) {
        *inner = str_trim(str_slice(s, 1, n - 1));
        return blanks + n;
    }
    *inner = str_slice(s, 0, s.len && is_digit(s.ptr[0]));
    return inner->len ? blanks + 1 : 0;
}

/* "\frac{1}{2}" as "1/2", behind a number as the rest of a mixed one. Bytes used. */
static size_t level_fraction(struct str s, struct buf *out)
{
    struct str over, under;
    size_t used = strlen("\\frac"), n = argument(str_slice(s, used, s.len), &over);
    size_t m = n ? argument(str_slice(s, used + n, s.len), &under) : 0;
    if (!m)
        return 0;
    if (out->len && is_digit(out->ptr[out->len - 1]))
        buf_putc(out, ' ');
    buf_put_str(out, over);
    buf_putc(out, '/');
    buf_put_str(out, under);
    return used + n + m;
}

static size_t level_wrapper(struct str s, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(wrappers); i++) {
        size_t used = strlen(wrappers[i]);
        if (!str_starts(s, str_from(wrappers[i])))
            continue;
        size_t n = group_len(str_slice(s, used, s.len));
        if (n)
            buf_put_str(out, str_slice(s, used + 1, used + n - 1));
        return n ? used + n : 0;
    }
    return 0;
}

static size_t level_spelling(struct str s, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++)
        if (str_starts(s, str_from(spellings[i].from))) {
            buf_puts(out, spellings[i].to);
            return strlen(spellings[i].from);
        }
    return 0;
}

/* Once over s; true when something changed. A wrapper's argument is looked at in the next round. */
static bool level(struct str s, struct buf *out)
{
    bool changed = false;
    while (s.len) {
        size_t used = str_starts(s, STR("\\frac")) ? level_fraction(s, out) : 0;
        if (!used)
            used = level_wrapper(s, out);
        if (!used)
            used = level_spelling(s, out);
        changed |= used > 0;
        if (!used)
            buf_putc(out, s.ptr[0]);
        s = str_slice(s, used ? used : 1, s.len);
    }
    return changed;
}

#define LEVEL_ROUNDS 8 /* wrappers in wrappers */

static void level_all(struct buf *text)
{
    bool changed = true;
    for (int i = 0; i < LEVEL_ROUNDS && changed; i++) {
        struct buf next = { 0 };
        changed = level(buf_str(text), &next);
        buf_free(text);
        *text = next;
    }
}

/* Blanks, marks of emphasis, quotes and the end of a sentence at both ends. */
static struct str bare(struct str s)
{
    size_t before;
    do {
        before = s.len;
        s = str_trim(s);
        if (s.len && strchr("*_\"'", s.ptr[0]))
            s = str_slice(s, 1, s.len);
        if (s.len && strchr("*_\"'.,;:!", s.ptr[s.len - 1]))
            s = str_slice(s, 0, s.len - 1);
    } while (s.len != before);
    return s;
}

/* --- numbers --------------------------------------------------------------------------------------------- */

/* A whole number or decimal, or one over another. Bytes used, 0: none. */
static size_t read_fraction(struct str s, struct ratio *out)
{
    size_t n = ratio_read(s, out, NULL), gap, m;
    if (!n)
        return 0;
    struct str rest = str_slice(s, n, s.len);
    gap = rest.len - str_trim_start(rest).len;
    if (gap + 1 >= rest.len || rest.ptr[gap] != '/')
        return n;
    struct str under = str_trim_start(str_slice(rest, gap + 1, rest.len));
    struct ratio d, whole = *out;
    m = ratio_read(under, &d, NULL);
    if (!m || !ratio_apply('/', whole, d, out)) {
        *out = whole;
        return n;
    }
    return s.len - under.len + m;
}

/* "1 1/2": a whole number and a fraction below 1. */
static size_t read_mixed(struct str s, struct ratio *out)
{
    struct ratio whole, part;
    size_t n = ratio_read(s, &whole, NULL);
    if (!n || whole.den != 1 || n >= s.len || s.ptr[n] != ' ')
        return 0;
    struct str rest = str_trim_start(str_slice(s, n, s.len));
    size_t m = read_fraction(rest, &part);
    if (!m || part.den == 1 || part.num >= part.den || !ratio_apply('+', whole, part, out))
        return 0;
    return s.len - rest.len + m;
}

static bool question_has(const struct answer_hints *hints, struct str word)
{
    if (!hints)
        return false;
    for (struct str q = buf_str(&hints->question); q.len; q = str_slice(q, 1, q.len)) {
        bool starts = q.ptr == hints->question.ptr || !is_alpha(q.ptr[-1]);
        bool ends = q.len == word.len || (q.len > word.len && !is_alpha(q.ptr[word.len]));
        if (starts && ends && str_eq(str_slice(q, 0, word.len), word))
            return true;
    }
    return false;
}

/* Words behind a number that the question has too: its units. */
static bool are_units(const struct reader *r, struct str rest)
{
    while ((rest = str_trim(rest)).len) {
        size_t n = 0;
        while (n < rest.len && is_alpha(rest.ptr[n]))
            n++;
        if (!n || !question_has(r->hints, str_slice(rest, 0, n)))
            return false;
        rest = str_slice(rest, n, rest.len);
    }
    return true;
}

static bool read_number(const struct reader *r, struct str s, struct ratio *out)
{
    bool minus = s.len && s.ptr[0] == '-';
    if (minus || (s.len && s.ptr[0] == '+'))
        s = str_trim_start(str_slice(s, 1, s.len));
    size_t n = read_mixed(s, out);
    if (!n)
        n = read_fraction(s, out);
    if (!n)
        return false;
    if (minus)
        out->num = -out->num;
    struct str rest = str_trim(str_slice(s, n, s.len));
    if (str_starts(rest, STR("%"))) {
        rest = str_slice(rest, 1, rest.len);
        if (!(r->hints && r->hints->percent) && !ratio_apply('/', *out, (struct ratio){ 100, 1 }, out))
            return false;
    } else if (r->hints && r->hints->percent && str_starts(rest, STR("percent"))) {
        rest = str_slice(rest, strlen("percent"), rest.len);
    }
    return are_units(r, rest);
}

static void put_number(struct ratio n, struct buf *key)
{
    buf_printf(key, n.den == 1 ? "q%lld" : "q%lld/%lld", (long long)n.num, (long long)n.den);
}

/* --- lists ----------------------------------------------------------------------------------------------- */

static void put_key(struct reader *r, struct str s, struct buf *key);

/* Where the list's next element ends: a comma or semicolon outside of brackets, and in words "and" or "or". */
static size_t element_len(struct str s, bool words, size_t *separator)
{
    static const char *const joins[] = { ", and ", ", or ", " and ", " or ", ",", ";" };
    int depth = 0;
    for (size_t i = 0; i < s.len; i++) {
        depth += s.ptr[i] == '(' || s.ptr[i] == '[' || s.ptr[i] == '{';
        depth -= s.ptr[i] == ')' || s.ptr[i] == ']' || s.ptr[i] == '}';
        for (size_t k = words ? 0 : 4; k < ARRAY_LEN(joins) && depth == 0; k++)
            if (str_starts(str_slice(s, i, s.len), str_from(joins[k]))) {
                *separator = strlen(joins[k]);
                return i;
            }
    }
    *separator = 0;
    return s.len;
}

static size_t split(struct str s, bool words, struct str *parts)
{
    size_t n = 0, separator = 1;
    while (separator && n < ELEMENTS_MAX) {
        size_t len = element_len(s, words, &separator);
        parts[n++] = bare(str_slice(s, 0, len));
        s = str_slice(s, len + separator, s.len);
    }
    return separator ? 0 : n; /* 0: too many */
}

static int compare_keys(const void *x, const void *y)
{
    return str_cmp(buf_str(x), buf_str(y));
}

/* The keys of n parts as one: in their order, or sorted and each once. */
static void put_parts(struct reader *r, const struct str *parts, size_t n, bool ordered, struct buf *key)
{
    struct buf *keys = mem_array(n, sizeof *keys);
    for (size_t i = 0; i < n; i++)
        put_key(r, parts[i], &keys[i]);
    if (!ordered)
        qsort(keys, n, sizeof *keys, compare_keys);
    buf_putc(key, ordered ? '(' : '{');
    for (size_t i = 0; i < n; i++) {
        if (!ordered && i && str_eq(buf_str(&keys[i]), buf_str(&keys[i - 1])))
            continue;
        buf_printf(key, "%zu:", keys[i].len); /* so that no element can look like two */
        buf_put_str(key, buf_str(&keys[i]));
    }
    buf_putc(key, ordered ? ')' : '}');
    for (size_t i = 0; i < n; i++)
        buf_free(&keys[i]);
    mem_free(keys);
}

/* The brackets around all of s belong together. */
static bool is_enclosed(struct str s, char open, char close)
{
    int depth = 0;
    if (s.len < 2 || s.ptr[0] != open || s.ptr[s.len - 1] != close)
        return false;
    for (size_t i = 0; i + 1 < s.len; i++) {
        depth += s.ptr[i] == open;
        depth -= s.ptr[i] == close;
        if (depth == 0)
            return false;
    }
    return true;
}

static bool put_bracketed(struct reader *r, struct str s, struct buf *key)
{
    struct str parts[ELEMENTS_MAX], inner = str_slice(s, 1, s.len ? s.len - 1 : 0);
    bool set = is_enclosed(s, '{', '}');
    if (!set && !is_enclosed(s, '(', ')') && !is_enclosed(s, '[', ']'))
        return false;
    size_t n = split(inner, false, parts);
    if (n == 0)
        return false;
    if (n == 1 && !set)
        put_key(r, parts[0], key); /* brackets around one thing say nothing */
    else
        put_parts(r, parts, n, !set, key);
    return true;
}

static struct str without_name(struct str s);

/* "3 and 4", "x = 2, y = 5": a list in words is one only where all of it are numbers; of several names each stays. */
static bool put_enumerated(struct reader *r, struct str s, struct buf *key)
{
    struct str parts[ELEMENTS_MAX];
    struct ratio n;
    size_t count = split(s, true, parts);
    if (count < 2)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!read_number(r, without_name(parts[i]), &n))
            return false;
    put_parts(r, parts, count, false, key);
    return true;
}

/* --- all of it -------------------------------------------------------------------------------------------- */

/* "x = 3" without "x ="; s itself where it is something else. */
static struct str without_name(struct str s)
{
    size_t n = 0;
    while (n < s.len && n <= NAME_MAX_LEN && (is_alpha(s.ptr[n]) || is_digit(s.ptr[n]) || s.ptr[n] == '_'))
        n++;
    struct str rest = str_trim_start(str_slice(s, n, s.len));
    if (n == 0 || n > NAME_MAX_LEN || is_digit(s.ptr[0]) || rest.len < 2 || rest.ptr[0] != '=' ||
        memchr(rest.ptr + 1, '=', rest.len - 1))
        return s;
    return str_trim(str_slice(rest, 1, rest.len));
}

static bool put_letter(struct str s, struct buf *key)
{
    static const char *const before[] = { "option ", "choice ", "answer " };
    for (size_t i = 0; i < ARRAY_LEN(before); i++)
        if (str_starts(s, str_from(before[i])))
            s = bare(str_slice(s, strlen(before[i]), s.len));
    if (is_enclosed(s, '(', ')'))
        s = str_slice(s, 1, s.len - 1);
    if (s.len == 2 && s.ptr[1] == ')')
        s = str_slice(s, 0, 1);
    if (s.len != 1 || s.ptr[0] < 'a' || s.ptr[0] > 'z')
        return false;
    buf_printf(key, "c%c", s.ptr[0]);
    return true;
}

/* Digits alone, or in groups of three behind the first. */
static bool is_long_number(struct str s)
{
    struct str rest = s;
    bool grouped = s.len && memchr(s.ptr, ',', s.len) != NULL;
    for (size_t n; rest.len; rest = str_slice(rest, n + 1, rest.len)) {
        for (n = 0; n < rest.len && is_digit(rest.ptr[n]);)
            n++;
        if (n == 0 || (n < rest.len && rest.ptr[n] != ',') || n + 1 == rest.len)
            return false;
        if (grouped && (rest.ptr == s.ptr ? n > 3 : n != 3))
            return false;
    }
    return s.len > 0;
}

/* Too long for 64 bits: still the same number with and without commas and zeros before it. */
static bool put_long_number(struct str s, struct buf *key)
{
    bool minus = s.len && s.ptr[0] == '-', any = false;
    s = str_slice(s, minus, s.len);
    if (!is_long_number(s))
        return false;
    buf_puts(key, minus ? "w-" : "w");
    for (size_t i = 0; i < s.len; i++) {
        any |= s.ptr[i] != '0' && s.ptr[i] != ',';
        if (any && s.ptr[i] != ',')
            buf_putc(key, s.ptr[i]);
    }
    return true;
}

static void put_words(struct str s, struct buf *key)
{
    bool gap = false;
    buf_putc(key, 'w');
    for (size_t i = 0; i < s.len; i++) {
        bool blank = s.ptr[i] == ' ' || s.ptr[i] == '\t' || s.ptr[i] == '\n' || s.ptr[i] == '\r';
        if (!blank && gap)
            buf_putc(key, ' ');
        if (!blank)
            buf_putc(key, s.ptr[i]);
        gap = blank;
    }
}

static void put_key(struct reader *r, struct str s, struct buf *key)
{
    struct ratio n;
    s = bare(s);
    struct str value = bare(without_name(s));
    if (r->depth > 1 && value.ptr > s.ptr) { /* in a list names tell elements apart */
        buf_putc(key, 'n');
        buf_put_str(key, str_trim(str_slice(s, 0, str_find(s, STR("=")))));
    }
    r->depth++;
    if (read_number(r, value, &n))
        put_number(n, key);
    else if (r->depth > DEPTH_MAX || (!put_letter(value, key) && !put_long_number(value, key) &&
                                      !put_bracketed(r, value, key) && !put_enumerated(r, s, key)))
        put_words(value, key);
    r->depth--;
}

void answer_key(struct str words, const struct answer_hints *hints, struct buf *key)
{
    struct buf text = { 0 };
    struct reader r = { .hints = hints, .depth = 1 };
    fold(words, &text);
    level_all(&text);
    put_key(&r, buf_str(&text), key);
    buf_free(&text);
}
