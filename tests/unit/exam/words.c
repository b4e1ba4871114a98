/*
 * words.c - the families in words: answers computed again from the text by other means, English by table checks, JSON
 * against its schema, calls against their tools, and problems of a book with numbers changed.
 */
#include "test.h"

#include "base/file.h"
#include "exam/exam.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EACH        120 /* problems per family and level */
#define NUMBERS_MAX 80

typedef void check_fn(const struct exam_problem *p);

static void for_each(const char *name, enum exam_effort effort, check_fn *check)
{
    const struct exam_family *f = exam_family_find(str_from(name));
    struct exam_problem p = { 0 };
    assert_non_null(f);
    for (int level = 1; level <= exam_family_levels(f); level++)
        for (int i = 0; i < EACH; i++) {
            struct rng rng;
            rng_init(&rng, 31, (uint64_t)(level * EACH + i));
            bool train = level <= exam_family_train_levels(f) && i % 3;
            exam_generate(f, level, effort, train ? EXAM_TRAIN : EXAM_HELD_OUT, &rng, &p);
            if (!exam_check(f, buf_str(&p.visible), buf_str(&p.answer)))
                fail_msg("%s: '%s' is not '%s'", name, p.visible.ptr, p.answer.ptr);
            check(&p);
        }
    exam_problem_free(&p);
}

/* --- English ----------------------------------------------------------------------------------------------------------- */

static void is_tidy(const struct exam_problem *p)
{
    const char *q = p->question.ptr;
    size_t len = p->question.len;
    assert_true(len > 0);
    if (strstr(q, "  ") || q[0] == ' ' || q[len - 1] == ' ' || strpbrk(q, "{}[]|@~_") || strstr(q, " .") ||
        strstr(q, " ,") || strstr(q, ".."))
        fail_msg("untidy: %s", q);
    if (q[0] >= 'a' && q[0] <= 'z')
        fail_msg("no capital: %s", q);
    for (size_t i = 0; i + 2 < len; i++)
        if ((q[i] == '.' || q[i] == '?') && q[i + 1] == ' ' && q[i + 2] >= 'a' && q[i + 2] <= 'z')
            fail_msg("no capital behind a full stop: %s", q);
}

static void is_tidy_question(const struct exam_problem *p)
{
    is_tidy(p);
    if (p->question.ptr[p->question.len - 1] != '?')
        fail_msg("no question mark: %s", p->question.ptr);
}

static void english_is_tidy(void **state)
{
    static const char *const asked[] = { "story", "story-new", "story-names", "story-aside", "story-long" };
    static const char *const said[] = { "clock", "date", "unit", "knights", "order" };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(asked); i++)
        for_each(asked[i], EXAM_LOW, is_tidy_question);
    for (size_t i = 0; i < ARRAY_LEN(said); i++)
        for_each(said[i], EXAM_LOW, is_tidy);
}

/* --- stories: an evaluator of the graph that the lines draw ---------------------------------------------------------------- */

struct numbers {
    int64_t list[NUMBERS_MAX];
    bool used[NUMBERS_MAX];
    int len;
};

static void add_number(struct numbers *n, int64_t value)
{
    assert_true(n->len < NUMBERS_MAX);
    n->used[n->len] = false;
    n->list[n->len++] = value;
}

static int number_word(const char *s, size_t len)
{
    static const char *const words[] = { "zero",    "one",     "two",       "three",    "four",
                                         "five",    "six",     "seven",     "eight",    "nine",
                                         "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
                                         "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
                                         "twenty" };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strlen(words[i]) == len && strncasecmp(words[i], s, len) == 0)
            return (int)i;
    return -1;
}

/* Every number that the text gives, in digits or words. */
static void given_numbers(const char *s, struct numbers *n)
{
    while (*s) {
        if (*s >= '0' && *s <= '9') {
            int64_t value = 0;
            for (; (*s >= '0' && *s <= '9') || (*s == ',' && s[1] >= '0' && s[1] <= '9'); s++)
                if (*s != ',')
                    value = value * 10 + (*s - '0');
            add_number(n, value);
            continue;
        }
        size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
        int value = number_word(s, len);
        if (value >= 0)
            add_number(n, value);
        s += len ? len : 1;
    }
}

/* What is known without being said: halves and thirds, weeks, dozens, hours, hundreds. */
static bool is_common(int64_t v)
{
    return (v >= 2 && v <= 10) || v == 12 || v == 24 || v == 60 || v == 100 || v == 1000;
}

static bool take_number(struct numbers *results, const struct numbers *given, int64_t v)
{
    for (int i = 0; i < results->len; i++)
        if (results->list[i] == v && !results->used[i]) {
            results->used[i] = true;
            return true;
        }
    for (int i = 0; i < given->len; i++)
        if (given->list[i] == v)
            return true;
    for (int i = 0; i < results->len; i++)
        if (results->list[i] == v)
            return true;
    return is_common(v);
}

/* Every labelled line is true, computes with what the text or an earlier line gives, and every result is needed. */
static void follows_its_graph(const struct exam_problem *p)
{
    struct numbers given = { .len = 0 }, results = { .len = 0 };
    long long a, b, c = 0;
    int steps = 0;
    char op;
    given_numbers(p->question.ptr, &given);
    for (const char *line = p->trace.ptr; *line; line = strchr(line, '\n') + 1) {
        const char *end = strchr(line, '\n'), *colon = end;
        while (colon > line && !(colon[0] == ':' && colon[1] == ' '))
            colon--;
        const char *equals = end;
        while (equals > line && *equals != '=')
            equals--;
        if (colon == line || sscanf(colon + 2, "%lld%c%lld", &a, &op, &b) != 3 || equals < colon)
            continue;
        c = atoll(equals + 1);
        int64_t value = op == '+'         ? a + b
                        : op == '-'       ? a - b
                        : op == '*'       ? a * b
                        : b && a % b == 0 ? a / b
                                          : -1;
        if (value != c || !take_number(&results, &given, a) || !take_number(&results, &given, b))
            fail_msg("'%.*s' does not follow: %s", (int)(end - line), line, p->question.ptr);
        add_number(&results, value);
        steps++;
    }
    if (c != strtoll(p->answer.ptr, NULL, 10))
        fail_msg("the working does not end in %s: %s\n%s", p->answer.ptr, p->question.ptr, p->trace.ptr);
    assert_int_equal(steps, strcmp(exam_family_name(p->family), "story-long") == 0 ? 9 : p->level);
    for (int i = 0; i + 1 < results.len; i++) {
        bool used = results.used[i];
        for (int k = 0; k < results.len; k++) /* equal values stand for each other */
            used |= results.list[k] == results.list[i] && results.used[k];
        for (int k = 0; k < given.len; k++)
            used |= given.list[k] == results.list[i];
        if (!used)
            fail_msg("%lld is computed for nothing: %s\n%s", (long long)results.list[i], p->question.ptr,
                     p->trace.ptr);
    }
}

static void stories_follow_their_graph(void **state)
{
    static const char *const names[] = { "story", "story-new", "story-names", "story-aside", "story-long" };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        for_each(names[i], EXAM_MEDIUM, follows_its_graph);
}

/* Names, things and clauses that only the exam draws do not turn up in training. */
static void withheld_words_stay_withheld(void **state)
{
    static const char *const names[] = { "Freya",    "Bilal",   "Quentin", "mangoes",
                                         "lanterns", "toaster", "A thief", "hamper" };
    const struct exam_family *f = exam_family_find(STR("story"));
    struct exam_problem p = { 0 };
    struct rng rng;
    (void)state;
    rng_init(&rng, 4, 0);
    for (int i = 0; i < 6000; i++) {
        exam_generate(f, 1 + i % 8, EXAM_LOW, EXAM_TRAIN, &rng, &p);
        for (size_t k = 0; k < ARRAY_LEN(names); k++)
            if (strstr(p.question.ptr, names[k]))
                fail_msg("'%s' is withheld: %s", names[k], p.question.ptr);
    }
    exam_problem_free(&p);
}

/* --- dates by the C library --------------------------------------------------------------------------------------------------- */

static const char *const months[] = { "January", "February", "March",     "April",   "May",      "June",
                                      "July",    "August",   "September", "October", "November", "December" };
static const char *const weekdays[] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday" };

/* Days since 1970 of the n-th date in s, "5 May 2024" or "May 5, 2024"; a year without leap day where none is named. */
static bool find_date(const char *s, int n, int64_t *days)
{
    const char *found = NULL;
    int month = -1, day, year = 2001;
    for (const char *at = s; *at && n >= 0; at++)
        for (int m = 0; m < 12; m++)
            if (strncmp(at, months[m], strlen(months[m])) == 0 &&
                !(at > s && at[-1] != ' ' && at[-1] != '(') && n-- == 0) {
                found = at;
                month = m;
            }
    if (month < 0)
        return false;
    const char *behind = found + strlen(months[month]);
    if (found >= s + 2 && found[-1] == ' ' && found[-2] >= '0' && found[-2] <= '9') {
        const char *from = found - 2;
        while (from > s && from[-1] >= '0' && from[-1] <= '9')
            from--;
        day = atoi(from);
        if (*behind == ' ' && behind[1] >= '0' && behind[1] <= '9')
            year = atoi(behind + 1);
    } else {
        if (sscanf(behind, " %d, %d", &day, &year) < 1)
            return false;
    }
    if (year < 1000)
        year = 2001;
    struct tm tm = { .tm_year = year - 1900, .tm_mon = month, .tm_mday = day };
    *days = timegm(&tm) / 86400;
    return true;
}

/* The number before " days", or the first that no date holds. */
static int64_t days_said(const char *s)
{
    const char *at = strstr(s, " days");
    while (at && !(at > s && at[-1] >= '0' && at[-1] <= '9'))
        at = strstr(at + 1, " days");
    if (!at)
        return -1;
    while (at > s && at[-1] >= '0' && at[-1] <= '9')
        at--;
    return atoll(at);
}

static int weekday_in(const char *s)
{
    const char *first = NULL;
    int found = -1;
    for (int i = 0; i < 7; i++) {
        const char *at = strstr(s, weekdays[i]);
        if (at && (!first || at < first)) {
            first = at;
            found = i;
        }
    }
    return found;
}

static void date_is_right(const struct exam_problem *p)
{
    const char *q = p->question.ptr;
    int64_t one = 0, two = 0, days = days_said(q), answer = 0;
    if (p->level <= 2) {
        bool back = strstr(q, "ago") || strstr(q, "before") || strstr(q, "earlier") || strstr(q, "back");
        int64_t at = weekday_in(q) + (back ? -days : days);
        assert_string_equal(p->answer.ptr, weekdays[((at % 7) + 7) % 7]);
        return;
    }
    if (p->level == 6 && !strchr(p->answer.ptr, ' ') &&
        (strstr(q, "the year") || (strstr(q, "February") && !find_date(q, 1, &two)))) {
        int year = atoi(q + strcspn(q, "0123456789"));
        struct tm first = { .tm_year = year - 1900, .tm_mon = strstr(q, "February") ? 1 : 0, .tm_mday = 1 };
        struct tm last = first;
        last.tm_mon += strstr(q, "February") ? 1 : 12;
        assert_int_equal((timegm(&last) - timegm(&first)) / 86400, atoll(p->answer.ptr));
        return;
    }
    assert_true(find_date(q, 0, &one));
    if (p->level == 3 || p->level == 4 || p->level == 8) {
        char with_year[64];
        assert_true(days > 0);
        snprintf(with_year, sizeof with_year, " %s", p->answer.ptr);
        assert_true(find_date(with_year, 0, &answer));
        if ((answer - one - days) % 365 != 0 || (p->level == 8 && answer != one + days))
            fail_msg("%s is not %s", q, p->answer.ptr);
        return;
    }
    assert_true(find_date(q, 1, &two));
    int64_t between = two > one ? two - one : one - two;
    if (p->level != 7) {
        assert_int_equal(between, atoll(p->answer.ptr));
        return;
    }
    assert_string_equal(p->answer.ptr, weekdays[(weekday_in(q) + between) % 7]);
    /* the true weekday may be another: the question only supposes one */
}

static void dates_are_right(void **state)
{
    (void)state;
    for_each("date", EXAM_LOW, date_is_right);
}

/* --- clocks --------------------------------------------------------------------------------------------------------------------- */

static int64_t time_in(const char *s, int n)
{
    for (; *s; s++)
        if (s[0] >= '0' && s[0] <= '9') {
            char *end;
            int64_t h = strtoll(s, &end, 10);
            if (*end == ':' && n-- == 0)
                return h * 60 + atoll(end + 1);
            s = *end == ':' ? end + 2 : end - 1;
        }
    return -1;
}

static int64_t span_in(const char *s)
{
    const char *h = strstr(s, " hour"), *m = strstr(s, " minute");
    int64_t total = 0;
    if (h) {
        const char *from = h;
        while (from > s && from[-1] >= '0' && from[-1] <= '9')
            from--;
        total += 60 * (from < h ? atoll(from) : 0);
    }
    if (m) {
        const char *from = m;
        while (from > s && from[-1] >= '0' && from[-1] <= '9')
            from--;
        total += from < m ? atoll(from) : 0;
    }
    return total;
}

static void clock_is_right(const struct exam_problem *p)
{
    const char *q = p->question.ptr;
    int64_t one = time_in(q, 0), two = time_in(q, 1);
    if (p->level >= 7)
        return; /* several spans: the check in the working takes another way */
    if (two >= 0) {
        /* one wording names the end first */
        int64_t span = ((two - one) % 1440 + 1440) % 1440;
        assert_int_equal(span, atoll(p->answer.ptr));
        return;
    }
    int64_t end = time_in(p->answer.ptr, 0), span = span_in(q);
    int64_t want = p->level == 4 ? one - span : one + span;
    if (end != (want % 1440 + 1440) % 1440)
        fail_msg("%s is not %s", q, p->answer.ptr);
}

static void clocks_are_right(void **state)
{
    (void)state;
    for_each("clock", EXAM_LOW, clock_is_right);
}

/* --- knights and knaves by trying everybody ---------------------------------------------------------------------------------------- */

#define PEOPLE_MAX 5

struct island {
    char names[PEOPLE_MAX][24];
    char says[PEOPLE_MAX][128];
    int people;
};

static int who_is(const struct island *s, const char *name, size_t len)
{
    for (int i = 0; i < s->people; i++)
        if (strlen(s->names[i]) == len && strncmp(s->names[i], name, len) == 0)
            return i;
    return -1;
}

/* "NAME says ...": the speakers in order and their words up to the full stop. */
static void read_island(const char *q, struct island *s)
{
    s->people = 0;
    for (const char *at = q; (at = strstr(at, " says")); at++) {
        const char *from = at;
        while (from > q && from[-1] != ' ')
            from--;
        assert_true(s->people < PEOPLE_MAX);
        snprintf(s->names[s->people], sizeof s->names[0], "%.*s", (int)(at - from), from);
        const char *words = at + strlen(" says");
        words += strncmp(words, " that ", 6) == 0 ? 6 : strlen(": \"");
        snprintf(s->says[s->people++], sizeof s->says[0], "%.*s", (int)strcspn(words, ".\""), words);
    }
}

/* The people whom the words name, the speaker as "I" or "me". */
static int named(const struct island *s, int speaker, int *out)
{
    int count = 0;
    for (const char *at = s->says[speaker]; *at;) {
        size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
        int who = (len == 1 && *at == 'I') || (len == 2 && strncmp(at, "me", 2) == 0) ? speaker
                                                                                      : who_is(s, at, len);
        if (who >= 0 && count < 2)
            out[count++] = who;
        at += len ? len : 1;
    }
    return count;
}

static bool said_truly(const struct island *s, int speaker, unsigned knights)
{
    const char *w = s->says[speaker];
    int who[2] = { 0, 0 }, count = named(s, speaker, who);
    bool a = knights >> who[0] & 1, b = knights >> who[1] & 1;
    const char *exactly = strstr(w, "xactly ");
    if (exactly)
        return __builtin_popcount(knights) == atoi(exactly + strlen("xactly "));
    if (count == 1)
        return strstr(w, "knave") || strstr(w, "lies") ? !a : a;
    if (strstr(w, "both") || strstr(w, "Both"))
        return a && b;
    if (strstr(w, "knave"))
        return !a || !b;
    return strstr(w, "different") || strstr(w, "not the same") ? a != b : a == b;
}

static void knights_are_the_only_ones(const struct exam_problem *p)
{
    struct island s;
    int solutions = 0;
    read_island(p->question.ptr, &s);
    for (unsigned k = 0; k < 1u << s.people; k++) {
        bool fits = true;
        for (int i = 0; i < s.people; i++)
            fits &= said_truly(&s, i, k) == (bool)(k >> i & 1);
        if (!fits)
            continue;
        solutions++;
        const char *asked = strstr(p->question.ptr, " a knight or a knave?");
        if (asked || strstr(p->question.ptr, ", a knight or a knave?")) {
            bool found = false;
            for (int i = 0; i < s.people; i++) {
                char ask[64], other[64];
                snprintf(ask, sizeof ask, "Is %s a knight or a knave?", s.names[i]);
                snprintf(other, sizeof other, "What is %s, a knight", s.names[i]);
                if (!strstr(p->question.ptr, ask) && !strstr(p->question.ptr, other))
                    continue;
                found = true;
                assert_string_equal(p->answer.ptr, k >> i & 1 ? "knight" : "knave");
            }
            assert_true(found);
            continue;
        }
        for (int i = 0; i < s.people; i++)
            if ((strstr(p->answer.ptr, s.names[i]) != NULL) != (bool)(k >> i & 1))
                fail_msg("%s: not %s", p->question.ptr, p->answer.ptr);
    }
    if (solutions != 1)
        fail_msg("%d solutions: %s", solutions, p->question.ptr);
}

static void knights_are_found(void **state)
{
    (void)state;
    for_each("knights", EXAM_LOW, knights_are_the_only_ones);
}

/* --- truth values ------------------------------------------------------------------------------------------------------------------- */

struct scan {
    const char *at;
    bool bad;
};

static bool eat(struct scan *s, const char *word)
{
    const char *at = s->at + strspn(s->at, " ");
    size_t len = strlen(word);
    if (strncmp(at, word, len) != 0)
        return false;
    s->at = at + len;
    return true;
}

static bool scan_all(struct scan *s);

static bool scan_unit(struct scan *s)
{
    if (eat(s, "not ") || eat(s, "!") || eat(s, "~"))
        return !scan_unit(s);
    if (eat(s, "(")) {
        bool value = scan_all(s);
        s->bad |= !eat(s, ")");
        return value;
    }
    if (eat(s, "true") || eat(s, "True") || eat(s, "T"))
        return true;
    s->bad |= !(eat(s, "false") || eat(s, "False") || eat(s, "F"));
    return false;
}

static bool scan_all(struct scan *s)
{
    bool a = scan_unit(s);
    if (eat(s, "and ") || eat(s, "&&") || eat(s, "&")) {
        bool b = scan_unit(s);
        return a && b;
    }
    if (eat(s, "or ") || eat(s, "||") || eat(s, "|")) {
        bool b = scan_unit(s);
        return a || b;
    }
    if (eat(s, "xor ") || eat(s, "^"))
        return a != scan_unit(s);
    if (eat(s, "implies ") || eat(s, "->")) {
        bool b = scan_unit(s);
        return !a || b;
    }
    return a;
}

static bool is_letter(char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/* The first place in the question where an expression can be read. */
static void truth_is_right(const struct exam_problem *p)
{
    const char *q = p->question.ptr;
    for (const char *at = q; *at; at++) {
        struct scan s = { at, false };
        bool value = scan_all(&s);
        if (s.bad || is_letter(*s.at) || (at > q && is_letter(at[-1])))
            continue;
        if (value != (strcmp(p->answer.ptr, "true") == 0))
            fail_msg("%s is not %s", q, p->answer.ptr);
        return;
    }
    fail_msg("no expression in: %s", q);
}

static void truth_values_are_right(void **state)
{
    (void)state;
    for_each("boolean", EXAM_LOW, truth_is_right);
}

/* --- JSON against its schema ------------------------------------------------------------------------------------------------------------ */

static bool has_type(const json_t *v, const char *type)
{
    return strcmp(type, "string") == 0    ? json_is_string(v)
           : strcmp(type, "integer") == 0 ? json_is_integer(v)
           : strcmp(type, "number") == 0  ? json_is_number(v)
           : strcmp(type, "boolean") == 0 ? json_is_boolean(v)
           : strcmp(type, "array") == 0   ? json_is_array(v)
                                          : json_is_object(v);
}

static bool validates(const json_t *v, const json_t *schema)
{
    const char *key;
    json_t *inner;
    size_t i;
    if (!has_type(v, json_string_value(json_object_get(schema, "type"))))
        return false;
    const json_t *words = json_object_get(schema, "enum"), *items = json_object_get(schema, "items");
    bool found = !words;
    for (i = 0; words && i < json_array_size(words); i++)
        found |= json_equal(json_array_get(words, i), v);
    if (!found)
        return false;
    for (i = 0; items && i < json_array_size(v); i++)
        if (!validates(json_array_get(v, i), items))
            return false;
    if (!json_is_object(v))
        return true;
    const json_t *properties = json_object_get(schema, "properties"),
                 *required = json_object_get(schema, "required");
    json_object_foreach((json_t *)(uintptr_t)v, key, inner)
    {
        const json_t *own = json_object_get(properties, key);
        if (!own || !validates(inner, own))
            return false;
    }
    for (i = 0; i < json_array_size(required); i++)
        if (!json_object_get(v, json_string_value(json_array_get(required, i))))
            return false;
    return true;
}

static json_t *must_read(struct str text)
{
    json_t *v = NULL;
    struct err err = { 0 };
    if (json_read(&v, text, &err))
        fail_msg("%s: %.*s", err.message, STR_ARG(text));
    return v;
}

/* The JSON object that begins at the first "{" of s. */
static struct str object_in(const char *s)
{
    const char *from = strchr(s, '{');
    int depth = 0;
    assert_non_null(from);
    for (const char *at = from; *at; at++) {
        depth += *at == '{' ? 1 : *at == '}' ? -1 : 0;
        if (depth == 0)
            return (struct str){ from, (size_t)(at - from) + 1 };
    }
    return (struct str){ 0 };
}

static void json_validates(const struct exam_problem *p)
{
    json_t *schema = must_read(object_in(p->system.len ? p->system.ptr : p->question.ptr)),
           *value = must_read(buf_str(&p->visible));
    if (!validates(value, schema))
        fail_msg("%s is not valid for: %s", p->visible.ptr, p->question.ptr);
    json_decref(schema);
    json_decref(value);
    assert_false(exam_check(p->family, STR("{\"a\": 1}"), buf_str(&p->answer)));
}

static void json_matches_its_schema(void **state)
{
    (void)state;
    for_each("json", EXAM_HIGH, json_validates);
}

/* --- calls against their tools --------------------------------------------------------------------------------------------------------------- */

static const json_t *tool_named(const json_t *tools, const char *name)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *f = json_object_get(json_array_get(tools, i), "function");
        if (strcmp(json_string_value(json_object_get(f, "name")), name) == 0)
            return f;
    }
    return NULL;
}

/* Every call names a given tool, its arguments are valid, and what they say stands in the question. */
static void check_calls(const char *text, const json_t *tools, const char *question)
{
    int calls = 0;
    for (const char *at = text; (at = strstr(at, "<tool_call>\n")); calls++) {
        const char *body = at + strlen("<tool_call>\n"), *end = strstr(body, "\n</tool_call>"), *key;
        json_t *v;
        assert_non_null(end);
        json_t *call = must_read((struct str){ body, (size_t)(end - body) });
        const json_t *f = tool_named(tools, json_string_value(json_object_get(call, "name")));
        assert_non_null(f);
        json_t *arguments = json_object_get(call, "arguments");
        if (!validates(arguments, json_object_get(f, "parameters")))
            fail_msg("bad arguments in %s", text);
        json_object_foreach(arguments, key, v)
        {
            if (json_is_string(v) && !strstr(question, json_string_value(v)))
                fail_msg("'%s' is not in: %s", json_string_value(v), question);
        }
        json_decref(call);
        at = end;
    }
    assert_true(calls > 0);
}

/* As an engine shows a reply with calls: what closes them is no text. */
static void closings_are_not_needed(const struct exam_problem *p)
{
    static const char close[] = "</tool_call>";
    struct buf shown = { 0 };
    struct str rest = buf_str(&p->visible);
    for (size_t at; (at = str_find(rest, str_from(close))) != SIZE_MAX;) {
        buf_put_str(&shown, str_slice(rest, 0, at));
        rest = str_slice(rest, at + sizeof close - 1, rest.len);
    }
    buf_put_str(&shown, rest);
    assert_true(shown.len < p->visible.len && exam_check(p->family, buf_str(&shown), buf_str(&p->answer)));
    buf_free(&shown);
}

static void calls_are_valid(const struct exam_problem *p)
{
    json_t *tools = must_read(buf_str(&p->tools));
    if (p->level == 8) {
        assert_int_equal(p->earlier_len, 1);
        assert_true(p->tool && !p->earlier[0].tool);
        check_calls(p->earlier[0].visible.ptr, tools, p->earlier[0].said.ptr);
        assert_null(strstr(p->visible.ptr, "<tool_call>"));
    } else if (p->level == 7) {
        assert_string_equal(p->answer.ptr, "none");
        assert_false(exam_check(
            p->family, STR("<tool_call>\n{\"name\": \"x\", \"arguments\": {}}\n</tool_call>"), STR("none")));
    } else {
        check_calls(p->visible.ptr, tools, p->question.ptr);
        closings_are_not_needed(p);
        assert_false(exam_check(p->family, STR("None of the tools fits."), buf_str(&p->answer)));
    }
    json_decref(tools);
}

static void calls_match_their_tools(void **state)
{
    (void)state;
    for_each("tool", EXAM_XHIGH, calls_are_valid);
}

/* --- instructions and conversations ------------------------------------------------------------------------------------------------------------- */

/* The usual reply is not what was asked for. */
static void usual_reply_fails(const struct exam_problem *p)
{
    struct buf usual = { 0 };
    const char *bar = strchr(p->answer.ptr, '|');
    assert_non_null(bar);
    buf_printf(&usual, "Answer: %s", bar + 1);
    if (p->level != 5 && p->level != 6 && exam_check(p->family, buf_str(&usual), buf_str(&p->answer)))
        fail_msg("'%s' passes as %s", usual.ptr, p->answer.ptr);
    assert_int_equal(p->earlier_len, p->level == 8);
    buf_free(&usual);
}

static void instructions_are_followed(void **state)
{
    (void)state;
    for_each("follow", EXAM_MEDIUM, usual_reply_fails);
}

/* Each turn goes on from the number before: its operation, undone, leads back. */
static void goes_on(const struct exam_problem *p)
{
    assert_int_equal(p->earlier_len, p->level);
    int64_t before = atoll(p->earlier[p->earlier_len - 1].visible.ptr + strlen("Answer: ")), n = 0;
    int64_t now = atoll(p->visible.ptr + strlen("Answer: "));
    const char *digits = p->question.ptr + strcspn(p->question.ptr, "0123456789");
    assert_true(*digits);
    n = atoll(digits);
    if (now != before + n && now != before - n && now != before * n && now * n != before)
        fail_msg("%lld, then '%s', is not %lld", (long long)before, p->question.ptr, (long long)now);
}

static void conversations_go_on(void **state)
{
    (void)state;
    for_each("after", EXAM_HIGH, goes_on);
}

/* --- words as letters --------------------------------------------------------------------------------------------------------------------------------- */

static void letters_are_right(const struct exam_problem *p)
{
    char word[64];
    size_t len = 0;
    if (p->level > 3)
        return;
    /* the working spells the word out first; it must stand so in the question */
    for (const char *at = p->trace.ptr; *at != '\n' && len + 1 < sizeof word; at++)
        if (*at != ' ')
            word[len++] = *at;
    word[len] = 0;
    if (!strstr(p->question.ptr, word))
        fail_msg("'%s' is not spelled from: %s", word, p->question.ptr);
    if (p->level == 1) {
        assert_int_equal(atoll(p->answer.ptr), len);
    } else if (p->level == 3) {
        assert_int_equal(p->answer.len, len);
        for (size_t i = 0; i < len; i++)
            assert_int_equal(p->answer.ptr[i], word[len - 1 - i]);
    }
}

static void words_are_spelled(void **state)
{
    (void)state;
    for_each("letters", EXAM_MEDIUM, letters_are_right);
}

/* --- chat ---------------------------------------------------------------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Among 2,000 messages of training, at least so many are different. */
static void chat_varies(void **state)
{
    static const struct {
        const char *name;
        int least;
    } rows[] = {
        { "greet", 800 }, { "thanks", 400 }, { "identity", 500 }, { "ask", 700 }, { "decline", 1500 }
    };
    enum { COUNT = 2000 };
    (void)state;
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        char **seen = mem_array(COUNT, sizeof *seen);
        struct exam_problem p = { 0 };
        struct rng rng;
        int different = 1;
        rng_init(&rng, 8, r);
        for (int i = 0; i < COUNT; i++) {
            exam_generate(exam_family_find(str_from(rows[r].name)), 1, EXAM_LOW, EXAM_TRAIN, &rng, &p);
            seen[i] = mem_strndup(p.question.ptr, p.question.len);
        }
        qsort(seen, COUNT, sizeof *seen, by_text);
        for (int i = 1; i < COUNT; i++)
            different += strcmp(seen[i], seen[i - 1]) != 0;
        if (different < rows[r].least)
            fail_msg("%s: only %d messages", rows[r].name, different);
        for (int i = 0; i < COUNT; i++)
            mem_free(seen[i]);
        mem_free(seen);
        exam_problem_free(&p);
    }
}

/* --- a book -------------------------------------------------------------------------------------------------------------------------------------------------- */

static const char book_text[] =
    "{\"question\": \"Maria has 14 red pens and 25 blue pens. She gives 8 away. How many pens does Maria "
    "have left?\", \"answer\": \"Maria has 14+25 = <<14+25=39>>39 pens in all.\\nShe has 39-8 = "
    "<<39-8=31>>31 pens left.\\n#### 31\"}\n"
    "{\"question\": \"Tom buys 16 cups at $4.50 each. What does he pay?\", \"answer\": \"He pays 16*4.5 = "
    "$<<16*4.5=72>>72.\\n#### 72\"}\n"
    "{\"question\": \"A wrong mark: 3 and 4.\", \"answer\": \"<<3+4=8>>8\\n#### 8\"}\n"
    "{\"question\": \"A rounded mark: 10 by 3.\", \"answer\": \"<<10/3=3.33>>3.33\\n#### 3\"}\n"
    "{\"question\": \"No marks at all: 10 and 3?\", \"answer\": \"It is 13.\\n#### 13\"}\n"
    "{\"question\": \"A hidden step: 40 of 90 pens.\", \"answer\": \"<<50*2=100>>100\\n#### 100\"}\n";

static void write_book(char *path, const char *text)
{
    struct err err = { 0 };
    snprintf(path, 64, "/tmp/thinkd-book-%d.jsonl", (int)getpid());
    assert_int_equal(file_write(path, str_from(text), &err), ERR_OK);
}

/* The first sum and the difference, computed from the varied text. */
static void check_pens(const struct exam_problem *p)
{
    struct numbers n = { .len = 0 };
    given_numbers(p->question.ptr, &n);
    assert_int_equal(n.len, 3);
    assert_int_equal(n.list[0] + n.list[1] - n.list[2], atoll(p->answer.ptr));
    assert_non_null(strstr(p->trace.ptr, "pens in all: "));
}

static void books_are_worked_out(void **state)
{
    char path[64];
    struct exam_book *b = NULL;
    struct exam_problem p = { 0 };
    struct err err = { 0 };
    struct rng rng;
    int64_t different = 0;
    (void)state;
    write_book(path, book_text);
    assert_int_equal(exam_book_open(&b, path, &err), ERR_OK);
    size_t train = exam_book_len(b, EXAM_TRAIN), held = exam_book_len(b, EXAM_HELD_OUT);
    assert_int_equal(train + held + exam_book_dropped(b), 6);
    assert_int_equal(train, 2);
    rng_init(&rng, 2, 0);
    for (int i = 0; i < 200; i++) {
        exam_book_problem(b, EXAM_TRAIN, 0, (enum exam_effort)(EXAM_MEDIUM + i % 3), i % 2, &rng, &p);
        check_pens(&p);
        assert_true(exam_check(NULL, buf_str(&p.visible), buf_str(&p.answer)));
        different += strcmp(p.answer.ptr, "31") != 0;
        assert_true(i % 2 || strcmp(p.answer.ptr, "31") == 0);
    }
    assert_true(different > 50);
    exam_book_problem(b, EXAM_TRAIN, 1, EXAM_MEDIUM, false, &rng, &p);
    assert_string_equal(p.answer.ptr, "72");
    assert_non_null(strstr(p.trace.ptr, "16*4.5=72\n"));
    exam_problem_free(&p);
    exam_book_close(b);
    write_book(path, "{\"question\": 1}\n");
    assert_int_equal(exam_book_open(&b, path, &err), ERR_FORMAT);
    assert_non_null(strstr(err.message, ":1: "));
    unlink(path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(english_is_tidy),
    cmocka_unit_test(stories_follow_their_graph),
    cmocka_unit_test(withheld_words_stay_withheld),
    cmocka_unit_test(dates_are_right),
    cmocka_unit_test(clocks_are_right),
    cmocka_unit_test(knights_are_found),
    cmocka_unit_test(truth_values_are_right),
    cmocka_unit_test(json_matches_its_schema),
    cmocka_unit_test(calls_match_their_tools),
    cmocka_unit_test(instructions_are_followed),
    cmocka_unit_test(conversations_go_on),
    cmocka_unit_test(words_are_spelled),
    cmocka_unit_test(chat_varies),
    cmocka_unit_test(books_are_worked_out),
};
TEST_GROUP(exam_words, tests)
