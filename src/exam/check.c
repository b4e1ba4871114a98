/*
 * check.c - is this reply right? The final answer is found in it and compared exactly.
 *
 * Values are rationals of 64-bit parts, so 0.5, 1/2 and \frac{1}{2} are the same and nothing is rounded; a
 * quotient may carry a remainder. What does not parse as a value compares as words.
 */
#include "exam/exam_impl.h"

#include <assert.h>
#include <string.h>

#define PART_DIGITS_MAX 17 /* so that a whole part with its decimals fits 64 bits */
#define GREETING_MAX    240

struct value {
    int64_t num, den; /* den > 0 */
    int64_t rest;     /* of a division; 0 if none is given */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool eat(struct str *s, const char *word)
{
    struct str w = str_from(word);
    if (!str_starts(*s, w))
        return false;
    *s = str_slice(*s, w.len, s->len);
    return true;
}

/* Digits with thousands separators: "1,234,567", where every group behind a comma has three digits. */
static bool eat_digits(struct str *s, int64_t *value, int *count)
{
    size_t i = 0;
    *value = 0;
    *count = 0;
    for (; i < s->len; i++) {
        bool group = s->ptr[i] == ',' && *count > 0 && i + 3 < s->len && is_digit(s->ptr[i + 1]) &&
                     is_digit(s->ptr[i + 2]) && is_digit(s->ptr[i + 3]) &&
                     !(i + 4 < s->len && is_digit(s->ptr[i + 4]));
        if (group)
            continue;
        if (!is_digit(s->ptr[i]))
            break;
        if (++*count > PART_DIGITS_MAX)
            return false;
        *value = *value * 10 + (s->ptr[i] - '0');
    }
    *s = str_slice(*s, i, s->len);
    return *count > 0;
}

static bool eat_sign(struct str *s)
{
    if (eat(s, "-") || eat(s, "\xe2\x88\x92"))
        return true;
    eat(s, "+");
    return false;
}

/* [sign] digits [. digits] */
static bool eat_decimal(struct str *s, struct value *v)
{
    int count;
    bool negative = eat_sign(s);
    eat(s, "$");
    if (!eat_digits(s, &v->num, &count))
        return false;
    v->den = 1;
    if (s->len > 1 && s->ptr[0] == '.' && is_digit(s->ptr[1]))
        for (*s = str_slice(*s, 1, s->len); s->len && is_digit(s->ptr[0]); *s = str_slice(*s, 1, s->len)) {
            if (++count > PART_DIGITS_MAX)
                return false;
            v->num = v->num * 10 + (s->ptr[0] - '0');
            v->den *= 10;
        }
    if (negative)
        v->num = -v->num;
    return true;
}

/* \frac{a}{b} and its siblings. */
static bool eat_latex_fraction(struct str *s, struct value *v)
{
    int64_t a, b;
    int count;
    struct str at = *s;
    bool negative = eat_sign(&at);
    if (!eat(&at, "\\frac{") && !eat(&at, "\\dfrac{") && !eat(&at, "\\tfrac{"))
        return false;
    if (!eat_digits(&at, &a, &count) || !eat(&at, "}{") || !eat_digits(&at, &b, &count) || !eat(&at, "}") ||
        b == 0)
        return false;
    *v = (struct value){ .num = negative ? -a : a, .den = b };
    *s = at;
    return true;
}

/* ", remainder 3", "r 3", "R3", "rem. 3" behind a quotient. */
static void eat_rest(struct str *s, struct value *v)
{
    static const char *const words[] = { "remainder", "Remainder", "rem.", "rem", "R", "r" };
    struct str at = str_trim_start(*s);
    int count;
    eat(&at, ",");
    at = str_trim_start(at);
    eat(&at, "with ");
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct str behind = at;
        if (!eat(&behind, words[i]))
            continue;
        behind = str_trim_start(behind);
        eat(&behind, "of ");
        eat(&behind, "is ");
        eat(&behind, "=");
        behind = str_trim_start(behind);
        if (!eat_digits(&behind, &v->rest, &count))
            continue;
        *s = behind;
        return;
    }
}

/* "x = ", "$", "\(": what may stand before a value. */
static struct str skip_prefix(struct str s)
{
    s = str_trim(s);
    if (s.len > 2 && is_letter(s.ptr[0]) && str_starts(str_trim_start(str_slice(s, 1, s.len)), STR("="))) {
        s = str_trim_start(str_slice(s, 1, s.len));
        s = str_trim(str_slice(s, 1, s.len));
    }
    while (eat(&s, "**") || eat(&s, "\\(") || (s.len && s.ptr[0] == '$' && eat(&s, "$")))
        s = str_trim_start(s);
    return s;
}

/* Behind a value only units may stand: words and marks without a digit. */
static bool only_units(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (is_digit(s.ptr[i]) || strchr("+*/=<>^", s.ptr[i]))
            return false;
    return s.len <= 64;
}

static bool value_from(struct str s, struct value *v)
{
    struct value under;
    *v = (struct value){ .den = 1 };
    s = skip_prefix(s);
    if (!eat_latex_fraction(&s, v)) {
        if (!eat_decimal(&s, v))
            return false;
        struct str at = str_trim_start(s);
        if (eat(&at, "/") && (at = str_trim_start(at), eat_decimal(&at, &under)) && under.num > 0 &&
            under.den == 1 && v->den == 1) {
            v->den = under.num;
            s = at;
        }
    }
    eat_rest(&s, v);
    return only_units(s);
}

/* To lowest terms, in which equal values have equal parts. */
static void reduce(struct value *v)
{
    int64_t a = v->num < 0 ? -v->num : v->num, b = v->den;
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    v->num /= a;
    v->den /= a;
}

static struct str bare_words(struct str s)
{
    s = str_trim(s);
    while (s.len && (s.ptr[s.len - 1] == '.' || s.ptr[s.len - 1] == '!'))
        s.len--;
    return s;
}

bool exam_same(struct str a, struct str b)
{
    struct value x, y;
    bool a_value = value_from(a, &x), b_value = value_from(b, &y);
    if (a_value != b_value)
        return false;
    if (!a_value)
        return str_eq_nocase(bare_words(a), bare_words(b));
    reduce(&x);
    reduce(&y);
    /* no remainder given is remainder zero */
    return x.num == y.num && x.den == y.den && x.rest == y.rest;
}

/* --- finding the answer --- */

static bool find_answer_line(struct str reply, struct str *out)
{
    bool found = false;
    for (size_t at = 0; at < reply.len;) {
        struct str rest = str_slice(reply, at, reply.len);
        size_t end = str_find(rest, STR("\n"));
        struct str line = str_trim(str_slice(rest, 0, end == SIZE_MAX ? rest.len : end));
        while (eat(&line, "*") || eat(&line, "#"))
            line = str_trim_start(line);
        if (line.len >= 7 && str_eq_nocase(str_slice(line, 0, 7), STR("answer:"))) {
            *out = str_trim(str_slice(line, 7, line.len));
            found = true;
        }
        if (end == SIZE_MAX)
            break;
        at += end + 1;
    }
    return found;
}

static bool find_boxed(struct str reply, struct str *out)
{
    static const struct str mark = { "\\boxed{", 7 };
    bool found = false;
    for (size_t i = 0; i + mark.len < reply.len; i++) {
        if (!str_starts(str_slice(reply, i, reply.len), mark))
            continue;
        int depth = 1;
        size_t from = i + mark.len, end = from;
        for (; end < reply.len && depth; end++)
            depth += reply.ptr[end] == '{' ? 1 : reply.ptr[end] == '}' ? -1 : 0;
        if (depth == 0) {
            *out = str_trim(str_slice(reply, from, end - 1));
            found = true;
        }
    }
    return found;
}

static bool in_number(struct str s, size_t i)
{
    if (is_digit(s.ptr[i]))
        return true;
    bool between = i > 0 && i + 1 < s.len && is_digit(s.ptr[i - 1]) && is_digit(s.ptr[i + 1]);
    return between && (s.ptr[i] == '.' || s.ptr[i] == ',' || s.ptr[i] == '/');
}

static bool find_number(struct str reply, struct str *out)
{
    size_t end = reply.len;
    while (end > 0 && !is_digit(reply.ptr[end - 1]))
        end--;
    if (end == 0)
        return false;
    size_t from = end;
    while (from > 0 && in_number(reply, from - 1))
        from--;
    /* a minus belongs to the number unless it subtracts from something before it */
    if (from > 0 && reply.ptr[from - 1] == '-' &&
        (from == 1 ||
         !(is_digit(reply.ptr[from - 2]) || is_letter(reply.ptr[from - 2]) || reply.ptr[from - 2] == ')')))
        from--;
    *out = str_slice(reply, from, end);
    return true;
}

struct str exam_extract(struct str reply)
{
    struct str out = { 0 };
    if (!find_answer_line(reply, &out) && !find_boxed(reply, &out))
        find_number(reply, &out);
    return out;
}

bool check_number(struct str reply, struct str answer)
{
    struct str given = exam_extract(reply);
    return given.len > 0 && exam_same(given, answer);
}

int numbers_of(struct str s, int64_t *out, int max)
{
    int count = 0;
    for (size_t i = 0; i < s.len && count < max; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            continue;
        int64_t n = 0;
        for (; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9' && n < 100000000; i++)
            n = n * 10 + (s.ptr[i] - '0');
        out[count++] = n;
    }
    return count;
}

bool check_numbers(struct str reply, struct str answer)
{
    int64_t a[4], b[4];
    int n = numbers_of(answer, a, 4), m = numbers_of(exam_extract(reply), b, 4);
    return n > 0 && n == m && memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

/* --- chat replies: by what must and must not be in them --- */

static bool has_word(struct str s, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i + len <= s.len; i++) {
        bool starts = i == 0 || !is_letter(s.ptr[i - 1]),
             ends = i + len == s.len || !is_letter(s.ptr[i + len]);
        if (starts && ends && str_eq_nocase(str_slice(s, i, i + len), (struct str){ word, len }))
            return true;
    }
    return false;
}

static bool has_any(struct str s, const char *const *words)
{
    for (; *words; words++)
        if (has_word(s, *words))
            return true;
    return false;
}

/* Sentence ends inside: a mark followed by a blank and more text. "FILE.gguf" has none. */
static bool one_sentence(struct str s)
{
    for (size_t i = 0; i + 2 < s.len; i++)
        if (s.ptr[i] == '\n' || (strchr(".!?", s.ptr[i]) && s.ptr[i + 1] == ' '))
            return false;
    return s.len > 0;
}

bool check_chat(struct str reply, struct str answer)
{
    static const char *const greetings[] = { "hello",        "hi",           "hey", "greetings",
                                             "good morning", "good evening", NULL };
    static const char *const thanks[] = { "welcome", "pleasure", "glad", "bye", "goodbye", NULL };
    static const char *const asking[] = {
        "missing", "please", "could you", "which", "what", "how many", NULL
    };
    reply = str_trim(reply);
    bool declines = str_find(reply, STR("--model")) != SIZE_MAX;
    if (str_is(answer, "decline"))
        return declines && has_word(reply, "thinkd") && one_sentence(reply);
    if (declines || reply.len > GREETING_MAX)
        return false;
    if (str_is(answer, "greet"))
        return has_any(reply, greetings);
    if (str_is(answer, "thanks"))
        return has_any(reply, thanks);
    if (str_is(answer, "ask"))
        return has_any(reply, asking) && str_find(reply, STR("Answer:")) == SIZE_MAX;
    assert(str_is(answer, "identity"));
    return has_word(reply, "thinkd");
}

bool exam_check(const struct exam_family *f, struct str reply, struct str answer)
{
    return f ? f->check(reply, answer) : check_number(reply, answer);
}
