/*
 * problems.c - the generators, checked against arithmetic that shares nothing with them: an evaluator of
 * expressions, brute force for divisors, substitution for equations; and the wall between training and exam.
 */
#include "test.h"

#include "base/str.h"
#include "exam/exam.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EACH 150 /* problems per family, level and effort */

/* --- a naive evaluator: sums of products of units, with one variable ------------------------------ */

struct scan {
    const char *at;
    int64_t x; /* the variable's value */
    bool bad;
};

static int64_t scan_sum(struct scan *s);

static void blanks(struct scan *s)
{
    while (*s->at == ' ')
        s->at++;
}

static int64_t scan_unit(struct scan *s)
{
    blanks(s);
    if (*s->at == '-') {
        s->at++;
        return -scan_unit(s);
    }
    if (*s->at == '(') {
        s->at++;
        int64_t value = scan_sum(s);
        s->bad |= *s->at != ')';
        s->at += *s->at == ')';
        return value;
    }
    if (*s->at >= 'a' && *s->at <= 'z') {
        s->at++;
        return s->x;
    }
    char *end;
    int64_t value = strtoll(s->at, &end, 10);
    s->bad |= end == s->at;
    s->at = end;
    /* 3x and 3(x+1) multiply */
    if ((*s->at >= 'a' && *s->at <= 'z') || *s->at == '(')
        return value * scan_unit(s);
    return value;
}

static int64_t scan_product(struct scan *s)
{
    int64_t value = scan_unit(s);
    for (blanks(s); *s->at == '*' || *s->at == '/'; blanks(s)) {
        char op = *s->at++;
        int64_t right = scan_unit(s);
        if (op == '*') {
            value *= right;
            continue;
        }
        s->bad |= right == 0 || value % right != 0;
        value = right ? value / right : 0;
    }
    return value;
}

static int64_t scan_sum(struct scan *s)
{
    int64_t value = scan_product(s);
    for (blanks(s); *s->at == '+' || *s->at == '-'; blanks(s)) {
        char op = *s->at++;
        int64_t right = scan_product(s);
        value += op == '+' ? right : -right;
    }
    return value;
}

static bool evaluate(const char *text, size_t len, int64_t x, int64_t *value)
{
    char *copy = mem_strndup(text, len);
    struct scan s = { copy, x, false };
    *value = scan_sum(&s);
    blanks(&s);
    bool good = !s.bad && !*s.at;
    mem_free(copy);
    return good;
}

/* Signs as people write them become the evaluator's. */
static char *plain_signs(const char *s)
{
    char *out = mem_alloc(strlen(s) + 1), *w = out;
    while (*s) {
        if (!strncmp(s, "\xc3\x97", 2) || !strncmp(s, "\xc3\xb7", 2)) {
            *w++ = (unsigned char)s[1] == 0x97 ? '*' : '/';
            s += 2;
        } else {
            *w++ = *s == ':' ? '/' : *s;
            s++;
        }
    }
    *w = 0;
    return out;
}

/* Every line of plain arithmetic is true, save one that a "wait" further on takes back. */
static void check_lines(const struct exam_problem *p)
{
    for (const char *line = p->trace.ptr; line && *line;) {
        const char *end = strchr(line, '\n');
        assert_non_null(end);
        bool taken_back = strstr(end, "\nwait\n") != NULL;
        bool plain = memchr(line, '=', (size_t)(end - line)) &&
                     strcspn(line, "abcdefghijklmnopqrstuvwxyzABCDEF:,<>") >= (size_t)(end - line);
        if (plain && !taken_back) {
            const char *eq = memchr(line, '=', (size_t)(end - line));
            int64_t first, next;
            assert_true(evaluate(line, (size_t)(eq - line), 0, &first));
            while (eq < end) {
                const char *stop = memchr(eq + 1, '=', (size_t)(end - eq - 1));
                stop = stop ? stop : end;
                if (!evaluate(eq + 1, (size_t)(stop - eq - 1), 0, &next) || next != first)
                    fail_msg("false line '%.*s' in: %s", (int)(end - line), line, p->question.ptr);
                eq = stop;
            }
        }
        line = end + 1;
    }
}

typedef void check_fn(const struct exam_problem *p);

static void for_each_problem(const char *name, check_fn *check)
{
    const struct exam_family *f = exam_family_find(str_from(name));
    struct exam_problem p = { 0 };
    assert_non_null(f);
    for (int level = 1; level <= exam_family_levels(f); level++)
        for (int effort = 0; effort < EXAM_EFFORTS; effort++)
            for (int i = 0; i < EACH; i++) {
                struct rng rng;
                rng_init(&rng, 11, (uint64_t)((level * EXAM_EFFORTS + effort) * EACH + i));
                bool trains = level <= exam_family_train_levels(f);
                enum exam_split split = trains && i % 4 ? EXAM_TRAIN : EXAM_HELD_OUT;
                exam_generate(f, level, (enum exam_effort)effort, split, &rng, &p);
                assert_true(p.question.len > 0 && p.visible.len > 0 && p.answer.len > 0);
                assert_true(p.trace.len > 0 && p.trace.ptr[p.trace.len - 1] == '\n');
                assert_true(utf8_valid(buf_str(&p.question)));
                assert_true(exam_check(f, buf_str(&p.visible), buf_str(&p.answer)));
                check_lines(&p);
                if (check)
                    check(&p);
            }
    exam_problem_free(&p);
}

/* The longest run of expression characters that holds a digit. */
static bool find_expression(const char *s, const char **from, size_t *len)
{
    static const char set[] = "0123456789+-*/() x";
    *len = 0;
    for (; *s; s++) {
        size_t n = strspn(s, set);
        while (n && (s[n - 1] == ' ' || s[n - 1] == 'x'))
            n--;
        if (n > *len && strcspn(s, "0123456789") < n) {
            *from = s;
            *len = n;
        }
    }
    while (*len && **from == ' ')
        (*from)++, (*len)--;
    return *len > 0;
}

static int64_t answer_of(const struct exam_problem *p)
{
    return strtoll(p->answer.ptr, NULL, 10);
}

/* The numbers in the question, in order; a minus counts when nothing stands before it. */
static int numbers_in(const char *s, int64_t *out, int max)
{
    int count = 0;
    const char *begin = s;
    for (; *s && count < max; s++) {
        if (*s < '0' || *s > '9')
            continue;
        bool minus = s > begin && s[-1] == '-' && (s - 1 == begin || s[-2] == ' ' || s[-2] == '(');
        minus = minus && !(s - 3 >= begin && s[-2] == ' ' && s[-3] >= '0' && s[-3] <= '9' && s[0] != ' ' &&
                           s[-1] == ' ');
        char *end;
        out[count++] = strtoll(s, &end, 10) * (minus ? -1 : 1);
        s = end - 1;
    }
    return count;
}

/* Questions that hold their expression; those in words are left to check_words. */
static void check_expression(const struct exam_problem *p)
{
    char *text = plain_signs(p->question.ptr);
    for (char *c = text; *c; c++) /* 12 x 34 */
        if (*c == 'x' && c > text && strchr("0123456789 )", c[-1]) && strchr("0123456789 (", c[1]))
            *c = '*';
    const char *from;
    size_t len;
    int64_t value;
    assert_true(find_expression(text, &from, &len));
    if (strcspn(from, "+-*/") < len && evaluate(from, len, 0, &value) && value != answer_of(p))
        fail_msg("%s is %lld, not %s", p->question.ptr, (long long)value, p->answer.ptr);
    mem_free(text);
}

static void check_sum_words(const struct exam_problem *p)
{
    int64_t n[4];
    if (!strstr(p->question.ptr, " and ")) {
        check_expression(p);
        return;
    }
    int count = numbers_in(p->question.ptr, n, 4);
    assert_in_range(count, 2, 3);
    int64_t sum = n[0] + n[1] + (count == 3 ? n[2] : 0);
    assert_int_equal(sum, answer_of(p));
}

static void sums_are_right(void **state)
{
    (void)state;
    for_each_problem("add", check_sum_words);
}

/* "Take b away from a" names the smaller first; the others name a first. */
static void check_difference(const struct exam_problem *p)
{
    const char *q = p->question.ptr;
    int64_t n[2];
    bool reversed = strstr(q, "Take") || strstr(q, "Subtract") || strstr(q, "is taken from") ||
                    strstr(q, "Deduct") || strstr(q, "subtract");
    if (!reversed && !strstr(q, "minus") && !strstr(q, "removing") && !strstr(q, "ifference") &&
        !strstr(q, "less")) {
        check_expression(p);
        return;
    }
    assert_int_equal(numbers_in(q, n, 2), 2);
    assert_int_equal(reversed ? n[1] - n[0] : n[0] - n[1], answer_of(p));
}

static void differences_are_right(void **state)
{
    (void)state;
    for_each_problem("sub", check_difference);
}

static void check_factors(const struct exam_problem *p)
{
    const char *q = p->question.ptr;
    int64_t n[2];
    if (!strstr(q, "times") && !strstr(q, "roduct") && !strstr(q, "ultipl")) {
        check_expression(p);
        return;
    }
    assert_int_equal(numbers_in(q, n, 2), 2);
    assert_int_equal(n[0] * n[1], answer_of(p));
}

static void products_are_right(void **state)
{
    (void)state;
    for_each_problem("mul", check_factors);
}

static void expressions_are_right(void **state)
{
    (void)state;
    for_each_problem("expr", check_expression);
}

/* Whole, remainder or both: one of them must be what repeated subtraction gives. */
static void check_division(const struct exam_problem *p)
{
    int64_t n[2], whole = 0;
    assert_int_equal(numbers_in(p->question.ptr, n, 2), 2);
    int64_t a = n[0] > n[1] ? n[0] : n[1], b = n[0] > n[1] ? n[1] : n[0], rest = a;
    for (; rest >= b; rest -= b)
        whole++;
    char both[64];
    snprintf(both, sizeof both, "%lld remainder %lld", (long long)whole, (long long)rest);
    bool asks_rest = strstr(p->question.ptr, "mod") || strstr(p->question.ptr, "%") ||
                     strstr(p->question.ptr, "left over") ||
                     (strstr(p->question.ptr, "remainder") && !strstr(p->question.ptr, "uotient") &&
                      !strstr(p->question.ptr, "with remainder") && !strstr(p->question.ptr, "too") &&
                      !strstr(p->question.ptr, "state the") && !strstr(p->question.ptr, "fit into"));
    if (strstr(p->answer.ptr, "remainder"))
        assert_string_equal(p->answer.ptr, both);
    else
        assert_int_equal(answer_of(p), asks_rest ? rest : whole);
}

static void divisions_are_right(void **state)
{
    (void)state;
    for_each_problem("div", check_division);
}

/* The answer put for the unknown makes both sides equal. */
static void check_equation(const struct exam_problem *p)
{
    const char *eq = strchr(p->question.ptr, '='), *from = eq, *to = eq + 1;
    int64_t left = 0, right = 0;
    assert_non_null(eq);
    while (from > p->question.ptr && strchr("0123456789+-() ", from[-1]))
        from--;
    /* the unknown is a letter between two other parts: step over it while more expression stands before */
    while (from > p->question.ptr && from[-1] >= 'a' && from[-1] <= 'z' &&
           (from - 1 == p->question.ptr || !((from[-2] | 32) >= 'a' && (from[-2] | 32) <= 'z'))) {
        from--;
        while (from > p->question.ptr && strchr("0123456789+-()", from[-1]))
            from--;
    }
    while (*to && (strchr("0123456789+-() ", *to) ||
                   (*to >= 'a' && *to <= 'z' && !((to[1] | 32) >= 'a' && (to[1] | 32) <= 'z') &&
                    !((to[-1] | 32) >= 'a' && (to[-1] | 32) <= 'z'))))
        to++;
    if (!evaluate(from, (size_t)(eq - from), answer_of(p), &left) ||
        !evaluate(eq + 1, (size_t)(to - eq - 1), answer_of(p), &right))
        fail_msg("cannot read the equation in: %s", p->question.ptr);
    if (left != right)
        fail_msg("%s does not solve: %s", p->answer.ptr, p->question.ptr);
}

static void equations_are_solved(void **state)
{
    (void)state;
    for_each_problem("linear", check_equation);
}

static void check_gcd(const struct exam_problem *p)
{
    int64_t n[2], best = 1;
    assert_int_equal(numbers_in(p->question.ptr, n, 2), 2);
    for (int64_t d = 1; d <= n[0] && d <= n[1]; d++)
        if (n[0] % d == 0 && n[1] % d == 0)
            best = d;
    assert_int_equal(best, answer_of(p));
}

static void divisors_are_greatest(void **state)
{
    (void)state;
    for_each_problem("gcd", check_gcd);
}

/* A story's numbers hide in words, so its lines are checked instead: the last one leads to the answer. */
static void check_story(const struct exam_problem *p)
{
    struct str trace = buf_str(&p->trace);
    size_t check = str_find(trace, STR("check\n"));
    trace = str_trim(str_slice(trace, 0, check == SIZE_MAX ? trace.len : check));
    size_t at = trace.len;
    while (at > 0 && trace.ptr[at - 1] != '=')
        at--;
    assert_true(at > 0);
    assert_int_equal(strtoll(trace.ptr + at, NULL, 10), answer_of(p));
    assert_null(strchr(p->question.ptr, '{'));
    assert_true(answer_of(p) > 0);
}

static void stories_add_up(void **state)
{
    (void)state;
    for_each_problem("story", check_story);
    for_each_problem("story-new", check_story);
}

static void chat_is_well_formed(void **state)
{
    static const char *const names[] = { "greet", "thanks", "identity", "decline" };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        for_each_problem(names[i], NULL);
}

/* --- the wall between training and exam ----------------------------------------------------------- */

static int by_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* What was said up to and with the question: a tool's result alone asks nothing. */
static uint64_t asked(const struct exam_problem *p)
{
    uint64_t hash = str_hash(buf_str(&p->question));
    for (int i = 0; i < p->earlier_len; i++)
        hash = hash * 31 + str_hash(buf_str(&p->earlier[i].said));
    return hash;
}

/* No question text of the exam is ever asked in training, by any family, whatever the family splits by. */
static void held_out_never_leaks(void **state)
{
    enum { TRAIN = 1200, EXAM = 200 };
    size_t seen_len = 0;
    uint64_t *seen = mem_array(exam_family_count() * EXAM_LEVELS_MAX * TRAIN, sizeof *seen);
    struct exam_problem p = { 0 };
    struct rng rng;
    (void)state;
    rng_init(&rng, 5, 0);
    for (size_t i = 0; i < exam_family_count(); i++) {
        const struct exam_family *f = exam_family_at(i);
        for (int level = 1; level <= exam_family_train_levels(f); level++)
            for (int n = 0; n < TRAIN; n++) {
                exam_generate(f, level, EXAM_LOW, EXAM_TRAIN, &rng, &p);
                assert_false(p.new_wording);
                seen[seen_len++] = asked(&p);
            }
    }
    qsort(seen, seen_len, sizeof *seen, by_hash);
    for (size_t i = 0; i < exam_family_count(); i++) {
        const struct exam_family *f = exam_family_at(i);
        for (int level = 1; level <= exam_family_levels(f); level++)
            for (int n = 0; n < EXAM; n++) {
                exam_generate(f, level, EXAM_LOW, EXAM_HELD_OUT, &rng, &p);
                uint64_t hash = asked(&p);
                if (bsearch(&hash, seen, seen_len, sizeof *seen, by_hash))
                    fail_msg("training and exam both ask: %s", p.question.ptr);
            }
    }
    exam_problem_free(&p);
    mem_free(seen);
}

/* One of the six kinds of this family has few cases, all of which may be asked; it is one of six all the same. */
static void kinds_have_their_share(void **state)
{
    enum { ITEMS = 400 };
    struct exam_problem p = { 0 };
    struct rng rng;
    int squares = 0;
    (void)state;
    rng_init(&rng, 3, 0);
    for (int i = 0; i < ITEMS; i++) {
        exam_generate(exam_family_find(STR("aime")), 1 + i % 7, EXAM_LOW, EXAM_HELD_OUT, &rng, &p);
        squares += str_find(buf_str(&p.question), STR("squares")) != SIZE_MAX;
    }
    assert_in_range(squares, ITEMS / 12, ITEMS / 4);
    exam_problem_free(&p);
}

/* a+b and b+a are one case: an order cannot carry an exam case into training. */
static void keys_ignore_order(void **state)
{
    static const char *const names[] = { "add", "mul", "gcd" };
    struct exam_problem p = { 0 };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct exam_family *f = exam_family_find(str_from(names[i]));
        /* level 1 is small: with many draws every pair comes in both orders */
        uint64_t key_of[128][128] = { { 0 } };
        struct rng rng;
        rng_init(&rng, 9, 0);
        for (int n = 0; n < 20000; n++) {
            int64_t v[4];
            exam_generate(f, 1, EXAM_LOW, EXAM_TRAIN, &rng, &p);
            if (numbers_in(p.question.ptr, v, 4) != 2 || v[0] < 0 || v[1] < 0 || v[0] > 127 || v[1] > 127)
                continue;
            key_of[v[0]][v[1]] = p.key;
            if (key_of[v[1]][v[0]])
                assert_true(key_of[v[1]][v[0]] == p.key);
        }
    }
    exam_problem_free(&p);
}

static void same_seed_same_problem(void **state)
{
    struct exam_problem a = { 0 }, b = { 0 };
    (void)state;
    for (size_t i = 0; i < exam_family_count(); i++) {
        const struct exam_family *f = exam_family_at(i);
        struct rng one, two;
        rng_init(&one, 3, i);
        rng_init(&two, 3, i);
        for (int n = 0; n < 50; n++) {
            exam_generate(f, 1, EXAM_HIGH, EXAM_HELD_OUT, &one, &a);
            exam_generate(f, 1, EXAM_HIGH, EXAM_HELD_OUT, &two, &b);
            assert_string_equal(a.question.ptr, b.question.ptr);
            assert_string_equal(a.trace.ptr, b.trace.ptr);
            assert_true(a.key == b.key);
        }
    }
    exam_problem_free(&a);
    exam_problem_free(&b);
}

/* More effort writes more; a higher effort is never shorter on the whole. */
static void effort_lengthens_traces(void **state)
{
    size_t total[EXAM_EFFORTS] = { 0 };
    struct exam_problem p = { 0 };
    (void)state;
    for (size_t i = 0; i < exam_family_count(); i++)
        for (int e = 0; e < EXAM_EFFORTS; e++)
            for (int n = 0; n < 60; n++) {
                struct rng rng;
                rng_init(&rng, 21, (uint64_t)n);
                exam_generate(exam_family_at(i), 1 + n % exam_family_levels(exam_family_at(i)),
                              (enum exam_effort)e, EXAM_HELD_OUT, &rng, &p);
                total[e] += p.trace.len;
            }
    assert_true(total[EXAM_LOW] < total[EXAM_MEDIUM] && total[EXAM_MEDIUM] < total[EXAM_HIGH]);
    assert_true(total[EXAM_HIGH] <= total[EXAM_XHIGH]);
    exam_problem_free(&p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(sums_are_right),          cmocka_unit_test(differences_are_right),
    cmocka_unit_test(products_are_right),      cmocka_unit_test(expressions_are_right),
    cmocka_unit_test(divisions_are_right),     cmocka_unit_test(equations_are_solved),
    cmocka_unit_test(divisors_are_greatest),   cmocka_unit_test(stories_add_up),
    cmocka_unit_test(chat_is_well_formed),     cmocka_unit_test(held_out_never_leaks),
    cmocka_unit_test(keys_ignore_order),       cmocka_unit_test(same_seed_same_problem),
    cmocka_unit_test(effort_lengthens_traces), cmocka_unit_test(kinds_have_their_share),
};
TEST_GROUP(exam_problems, tests)
