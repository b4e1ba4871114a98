/*
 * answer.c - where a visible text says what it concludes.
 *
 * Looked for in this order, since each is a stronger sign than the next: a JSON value or calls where the request's contract
 * wants them; the last \boxed{x}; the last "#### x"; the last "Answer: x"; a last line that is a choice's letter; a
 * last line that is short and no prose. What was found is compared by its key (key.c).
 *
 * A text with none of these abstains. So does a chat's answer in sentences: nothing about it could be voted on.
 *
 * Threads: no state. Ownership: what is found is a view of the text.
 */
#include "reason/reason_impl.h"

#include "json/json.h"

#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_MAX   64    /* of a last line that may be an answer */
#define MARKED_BYTES_MAX 256   /* of what stands behind a mark, or in a box */
#define TAIL_BYTES_MAX   32768 /* of a text that is looked at: what it concludes stands at its end */
#define PROSE_WORDS      4 /* a last line with so many words and the end of a sentence says more than an answer */

const char *const answer_form_names[] = { "none",   "json",   "calls",  "refusal", "boxed",
                                          "hashes", "marked", "letter", "line",    NULL };

/* --- JSON ------------------------------------------------------------------------------------------------- */

static void put_canonical(struct buf *key, const json_t *v);

static void put_number(struct buf *key, const json_t *v)
{
    double d = json_number_value(v);
    if (json_is_integer(v))
        buf_printf(key, "%lld", (long long)json_integer_value(v));
    else if (d >= -9007199254740992.0 && d <= 9007199254740992.0 && d == (double)(long long)d)
        buf_printf(key, "%lld", (long long)d); /* 1.0 is 1 */
    else
        buf_printf(key, "%.17g", d);
}

static int compare_names(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

static void put_object(struct buf *key, const json_t *v)
{
    size_t n = 0;
    const char *name;
    json_t *member;
    const char **names = mem_array(json_object_size(v) + 1, sizeof *names);
    json_object_foreach((json_t *)v, name, member) names[n++] = name;
    qsort(names, n, sizeof *names, compare_names);
    buf_putc(key, '{');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_putc(key, ',');
        json_put_string(key, str_from(names[i]));
        buf_putc(key, ':');
        put_canonical(key, json_object_get(v, names[i]));
    }
    buf_putc(key, '}');
    mem_free(names);
}

static void put_array(struct buf *key, const json_t *v)
{
    buf_putc(key, '[');
    for (size_t i = 0; i < json_array_size(v); i++) {
        if (i)
            buf_putc(key, ',');
        put_canonical(key, json_array_get(v, i));
    }
    buf_putc(key, ']');
}

/* Members by name, numbers by value. */
static void put_canonical(struct buf *key, const json_t *v)
{
    if (json_is_object(v))
        put_object(key, v);
    else if (json_is_array(v))
        put_array(key, v);
    else if (json_is_number(v))
        put_number(key, v);
    else
        json_dump(key, v);
}

/* The arguments of a call are JSON, or the text of some. */
static bool put_call(struct buf *key, const json_t *call)
{
    struct str name = json_str(json_object_get(call, "name"));
    json_t *arguments = json_incref(json_object_get(call, "arguments"));
    if (json_is_string(arguments)) {
        json_t *read = NULL;
        if (!json_read(&read, json_str(arguments), NULL)) {
            json_decref(arguments);
            arguments = read;
        }
    }
    bool good = name.len && arguments;
    if (good) {
        json_put_string(key, name);
        put_canonical(key, arguments);
    }
    json_decref(arguments);
    return good;
}

static bool put_calls(struct buf *key, const json_t *calls)
{
    bool good = json_array_size(calls) > 0;
    for (size_t i = 0; i < json_array_size(calls) && good; i++)
        good = put_call(key, json_array_get(calls, i));
    return good;
}

static enum answer_form find_json(struct str text, bool calls, struct str *found, struct buf *key)
{
    json_t *v = NULL;
    size_t at = key->len;
    if (json_read(&v, text, NULL))
        return FORM_NONE;
    buf_putc(key, calls ? 't' : 'j');
    bool good = true;
    if (calls)
        good = put_calls(key, v);
    else
        put_canonical(key, v);
    json_decref(v);
    if (!good) {
        key->len = at;
        return FORM_NONE;
    }
    *found = str_trim(text);
    return calls ? FORM_CALLS : FORM_JSON;
}

/* --- marks in text ----------------------------------------------------------------------------------------- */

static struct str boxed_at(struct str s)
{
    int depth = 1;
    for (size_t i = 0; i < s.len && i < MARKED_BYTES_MAX; i++) {
        depth += s.ptr[i] == '{';
        depth -= s.ptr[i] == '}';
        if (depth == 0)
            return str_trim(str_slice(s, 0, i));
    }
    return (struct str){ 0 };
}

static bool find_boxed(struct str text, struct str *found)
{
    struct str mark = STR("\\boxed{");
    *found = (struct str){ 0 };
    for (size_t at; (at = str_find(text, mark)) != SIZE_MAX;) {
        text = str_slice(text, at + mark.len, text.len);
        struct str inner = boxed_at(text);
        if (inner.len)
            *found = inner;
    }
    return found->len > 0;
}

/* The last line of *text that is not blank; *text keeps what stands before it. */
static struct str take_last_line(struct str *text)
{
    *text = str_trim_end(*text);
    size_t start = text->len;
    while (start > 0 && text->ptr[start - 1] != '\n')
        start--;
    struct str line = str_trim(str_slice(*text, start, text->len));
    *text = str_slice(*text, 0, start);
    return line;
}

static bool find_hashes(struct str text, struct str *found)
{
    struct str mark = STR("####");
    for (struct str line; (line = take_last_line(&text)).len;)
        if (str_starts(line, mark)) {
            *found = str_trim(str_slice(line, mark.len, line.len));
            return found->len > 0 && found->len <= MARKED_BYTES_MAX;
        }
    return false;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static struct str skip(struct str s, const char *chars)
{
    while (s.len && strchr(chars, s.ptr[0]))
        s = str_slice(s, 1, s.len);
    return s;
}

/* What stands behind "answer:" or "answer is"; false: it is no such mark. */
static bool behind_mark(struct str rest, struct str *found)
{
    struct str s = skip(rest, "* _");
    bool is = s.len > 2 && str_eq_nocase(str_slice(s, 0, 2), STR("is")) && !is_letter(s.ptr[2]);
    if (is)
        s = skip(str_slice(s, 2, s.len), "* _");
    bool colon = s.len && s.ptr[0] == ':';
    if (!is && !colon)
        return false;
    *found = str_trim(skip(s, ":* _"));
    return found->len > 0;
}

static bool find_in_line(struct str line, struct str *found)
{
    struct str word = STR("answer");
    bool any = false;
    for (size_t i = 0; i + word.len <= line.len; i++)
        if (str_eq_nocase(str_slice(line, i, i + word.len), word) && (i == 0 || !is_letter(line.ptr[i - 1])))
            any |= behind_mark(str_slice(line, i + word.len, line.len), found);
    return any && found->len <= MARKED_BYTES_MAX;
}

static bool find_marked(struct str text, struct str *found)
{
    for (struct str line; (line = take_last_line(&text)).len;)
        if (find_in_line(line, found))
            return true;
    return false;
}

/* --- the last line ------------------------------------------------------------------------------------------ */

static size_t count_words(struct str s)
{
    size_t n = 0;
    bool inside = false;
    for (size_t i = 0; i < s.len; i++) {
        bool blank = s.ptr[i] == ' ' || s.ptr[i] == '\t';
        n += !blank && !inside;
        inside = !blank;
    }
    return n;
}

static bool is_number(struct str s)
{
    struct buf key = { 0 };
    answer_key(s, NULL, &key);
    bool number = key.len && key.ptr[0] == 'q';
    buf_free(&key);
    return number;
}

/* "12 + 7 = 19", "The sum is 19.": what stands last, where that is a number. */
static bool find_number_at_end(struct str line, struct str *found)
{
    static const char *const before[] = { "=", " is " };
    for (size_t k = 0; k < ARRAY_LEN(before); k++) {
        struct str rest = line, mark = str_from(before[k]);
        for (size_t at; (at = str_find(rest, mark)) != SIZE_MAX;)
            rest = str_slice(rest, at + mark.len, rest.len);
        if (rest.len < line.len && is_number(rest)) {
            *found = str_trim(rest);
            return true;
        }
    }
    return false;
}

static bool is_prose(struct str line)
{
    char last = line.ptr[line.len - 1];
    return count_words(line) >= PROSE_WORDS && (last == '.' || last == '!' || last == '?');
}

static enum answer_form find_line(struct str text, struct str *found, struct buf *key)
{
    struct str line = take_last_line(&text);
    size_t at = key->len;
    if (line.len == 0 || line.len > LINE_BYTES_MAX)
        return FORM_NONE;
    if (!find_number_at_end(line, found)) {
        if (is_prose(line))
            return FORM_NONE;
        *found = line;
    }
    answer_key(*found, NULL, key);
    bool letter = key->len - at == 2 && key->ptr[at] == 'c';
    key->len = at;
    return letter ? FORM_LETTER : FORM_LINE;
}

enum answer_form answer_find(struct str text, enum answer_kind kind, const struct answer_hints *hints,
                             struct str *found, struct buf *key)
{
    *found = (struct str){ 0 };
    if (kind == ANSWER_TEXT && text.len > TAIL_BYTES_MAX)
        text = str_slice(text, text.len - TAIL_BYTES_MAX, text.len);
    if (kind == ANSWER_REFUSAL) {
        *found = str_trim(text);
        buf_putc(key, 'r');
        return FORM_REFUSAL;
    }
    if (kind != ANSWER_TEXT)
        return find_json(text, kind == ANSWER_CALLS, found, key);
    enum answer_form form = find_boxed(text, found)    ? FORM_BOXED
                            : find_hashes(text, found) ? FORM_HASHES
                            : find_marked(text, found) ? FORM_MARKED
                                                       : find_line(text, found, key);
    if (form == FORM_NONE)
        *found = (struct str){ 0 };
    else
        answer_key(*found, hints, key);
    return form;
}
