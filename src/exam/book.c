/*
 * book.c - problems that people wrote, worked out in our lines, with other numbers each time.
 *
 * GSM8K's solutions mark each computation: "sold 48/2 = <<48/2=24>>24 clips in May". The marks are the steps, the words behind
 * the number (or before it) say what a step computes. A mark is taken apart into single operations and computed with exact
 * fractions; a solution with a mark that is wrong, rounded or not understood is dropped, except that a withheld question is
 * kept for the exam as long as it has an answer.
 *
 * Variation: a whole number that stands once in the question, is no common constant and is used by the steps as a number
 * of the question may change, if then every step stays a positive whole number where it was one. So some thousand texts of
 * many authors become templates.
 *
 * Threads: a book does not change once it is open. Ownership: its texts are in its arena.
 */
#include "base/arena.h"
#include "base/file.h"
#include "exam/words_impl.h"
#include "json/json.h"

#include <assert.h>
#include <string.h>

#define BOOK_BYTES_MAX (64 * MIB)
#define MARKS_MAX      12
#define TOKENS_MAX     24 /* of a mark */
#define QUESTION_MAX   900
#define CHANGES_MAX    8
#define NAMES_MAX      6
#define LABEL_MAX      48
#define VARY_TRIES     30
#define PART_MAX       1000000000LL
#define HELD_ONE_IN    10

struct ratio {
    int64_t num, den; /* lowest terms, den > 0 */
};

/* A number of a mark: as it stands, and where it comes from. */
enum source { FIXED, FROM_QUESTION, FROM_STEP };
struct token {
    char op; /* 0: a number */
    enum source source;
    int index; /* of the step, or of the question's number */
    struct ratio value;
};

struct mark {
    struct token tokens[TOKENS_MAX]; /* in postfix order */
    int len;
    struct ratio value;
    struct str label; /* may be empty */
};

struct place {
    size_t at, len; /* of a number in the question */
    int64_t value;
};

struct page {
    struct str question, answer;
    struct mark *marks;
    int marks_len;
    struct place places[CHANGES_MAX]; /* numbers that may change */
    int places_len;
};

struct exam_book {
    struct arena arena;
    struct page *pages[2]; /* by exam_split */
    size_t len[2], cap[2], dropped;
};

/* --- fractions ------------------------------------------------------------------------------------------------------- */

static int64_t common(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

static bool make_ratio(int64_t num, int64_t den, struct ratio *out)
{
    if (den == 0)
        return false;
    if (den < 0) {
        num = -num;
        den = -den;
    }
    int64_t by = common(num, den);
    by = by ? by : 1;
    *out = (struct ratio){ num / by, den / by };
    return out->num < PART_MAX && out->num > -PART_MAX && out->den < PART_MAX;
}

static bool compute(struct ratio a, char op, struct ratio b, struct ratio *out)
{
    switch (op) {
    case '+': return make_ratio(a.num * b.den + b.num * a.den, a.den * b.den, out);
    case '-': return make_ratio(a.num * b.den - b.num * a.den, a.den * b.den, out);
    case '*': return make_ratio(a.num * b.num, a.den * b.den, out);
    default: return b.num != 0 && make_ratio(a.num * b.den, a.den * b.num, out);
    }
}

static bool same_ratio(struct ratio a, struct ratio b)
{
    return a.num == b.num && a.den == b.den;
}

/* As a decimal of four places at most; false: it has more. */
static bool put_ratio(struct buf *out, struct ratio r)
{
    int64_t scale = 1;
    int places = 0;
    for (; scale % r.den != 0 && places < 4; places++)
        scale *= 10;
    if (scale % r.den != 0)
        return false;
    if (!out)
        return true;
    int64_t n = r.num * (scale / r.den), whole = n < 0 ? -n : n;
    buf_printf(out, "%s%lld", n < 0 ? "-" : "", (long long)(whole / scale));
    if (places)
        buf_printf(out, ".%0*lld", places, (long long)(whole % scale));
    return true;
}

/* --- reading marks ------------------------------------------------------------------------------------------------------ */

struct reader {
    const char *at, *end;
    struct mark *mark;
    bool bad;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "1,234", ".25", "12.5", "$3", "20%" as a fraction. */
static bool read_number(const char **at, const char *end, struct ratio *out)
{
    int64_t num = 0, den = 1;
    int digits = 0;
    bool point = false;
    const char *s = *at;
    for (; s < end; s++) {
        if (*s == ',' && !point && s + 1 < end && is_digit(s[1]))
            continue;
        if (*s == '.' && !point && s + 1 < end && is_digit(s[1])) {
            point = true;
            continue;
        }
        if (!is_digit(*s) || ++digits > 9)
            break;
        num = num * 10 + (*s - '0');
        den *= point ? 10 : 1;
    }
    if (digits == 0 || digits > 9)
        return false;
    if (s < end && *s == '%') {
        den *= 100;
        s++;
    }
    *at = s;
    return make_ratio(num, den, out);
}

static void push(struct reader *r, struct token t)
{
    if (r->mark->len == TOKENS_MAX)
        r->bad = true;
    else
        r->mark->tokens[r->mark->len++] = t;
}

static void read_sum(struct reader *r);

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '$'))
        r->at++;
}

static void read_unit(struct reader *r)
{
    struct token t = { 0 };
    skip_blanks(r);
    if (r->at < r->end && *r->at == '(') {
        r->at++;
        read_sum(r);
        skip_blanks(r);
        r->bad |= r->at == r->end || *r->at != ')';
        r->at += r->at < r->end;
        return;
    }
    if (!read_number(&r->at, r->end, &t.value))
        r->bad = true;
    else
        push(r, t);
}

static char next_op(struct reader *r, char one, char two)
{
    skip_blanks(r);
    if (r->bad || r->at == r->end || (*r->at != one && *r->at != two))
        return 0;
    return *r->at++;
}

static void read_product(struct reader *r)
{
    char op;
    read_unit(r);
    while ((op = next_op(r, '*', '/'))) {
        read_unit(r);
        push(r, (struct token){ .op = op });
    }
}

static void read_sum(struct reader *r)
{
    char op;
    read_product(r);
    while ((op = next_op(r, '+', '-'))) {
        read_product(r);
        push(r, (struct token){ .op = op });
    }
}

/* Runs the mark; with lines each operation becomes one, the last of them with the label. */
struct run {
    struct exam_text *t; /* NULL: only the value is wanted */
    const char *label;
    struct buf *out, *undo;
};

static bool run_mark(const struct mark *m, const struct run *run, struct ratio *value);

/* 12/4, with its columns where both are whole; other numbers in one line. */
static void put_operation(const struct run *run, struct ratio a, char op, struct ratio b, struct ratio value,
                          bool last)
{
    struct buf lines = { 0 };
    struct exam_text *t = run->t;
    bool whole = a.den == 1 && b.den == 1 && value.den == 1 && a.num >= 0 && b.num >= 0 && value.num >= 0 &&
                 !(op == '/' && a.num == 0);
    if (whole)
        steps_apply(t, &lines, op, a.num, b.num);
    bool many = lines.len && memchr(lines.ptr, '\n', lines.len - 1) != NULL;
    if (many)
        buf_put_str(run->out, buf_str(&lines));
    if (many && t->effort == EXAM_LOW) {
        buf_free(&lines);
        return;
    }
    if (last && *run->label && t->effort > EXAM_LOW)
        buf_printf(run->out, "%s: ", run->label);
    if (many || !whole) {
        put_ratio(run->out, a);
        buf_putc(run->out, op);
        put_ratio(run->out, b);
        buf_putc(run->out, '=');
        put_ratio(run->out, value);
        buf_putc(run->out, '\n');
    } else {
        buf_put_str(run->out, buf_str(&lines));
    }
    buf_free(&lines);
    /* undone by the inverse operation */
    if (op == '*' && b.num == 0)
        return;
    put_ratio(run->undo, value);
    buf_putc(run->undo, op == '+' ? '-' : op == '-' ? '+' : op == '*' ? '/' : '*');
    put_ratio(run->undo, b);
    buf_putc(run->undo, '=');
    put_ratio(run->undo, a);
    buf_putc(run->undo, '\n');
}

static bool run_mark(const struct mark *m, const struct run *run, struct ratio *value)
{
    struct ratio stack[TOKENS_MAX];
    int depth = 0;
    for (int i = 0; i < m->len; i++) {
        struct token t = m->tokens[i];
        if (!t.op) {
            stack[depth++] = t.value;
            continue;
        }
        struct ratio result;
        if (depth < 2 || !compute(stack[depth - 2], t.op, stack[depth - 1], &result) ||
            !put_ratio(NULL, result))
            return false;
        if (run)
            put_operation(run, stack[depth - 2], t.op, stack[depth - 1], result, i + 1 == m->len);
        stack[--depth - 1] = result;
    }
    if (depth != 1)
        return false;
    *value = stack[0];
    return true;
}

/* --- labels ----------------------------------------------------------------------------------------------------------------- */

/* Words without digits or marks, not too long: what a step computes. */
static struct str good_label(struct str s)
{
    s = str_trim(s);
    while (s.len && strchr(".,:;=$ ", s.ptr[s.len - 1]))
        s.len--;
    while (s.len && strchr(".,:;=$- ", s.ptr[0]))
        s = str_slice(s, 1, s.len);
    for (size_t i = 0; i < s.len; i++)
        if (is_digit(s.ptr[i]) || strchr("<>=+*/$%()\"\\", s.ptr[i]) || (unsigned char)s.ptr[i] >= 0x80)
            return (struct str){ 0 };
    return s.len >= 3 && s.len <= LABEL_MAX ? s : (struct str){ 0 };
}

/* "<<48/2=24>>24 clips in May." is "clips in May"; else what stands before the computation. */
static struct str find_label(struct str line, size_t open, size_t close)
{
    size_t from = close, to, head = 0;
    while (from < line.len && (is_digit(line.ptr[from]) || strchr(".,$%", line.ptr[from])))
        from++;
    for (to = from; to < line.len && !strchr(".,;<", line.ptr[to]);)
        to++;
    struct str behind = good_label(str_slice(line, from, to));
    if (behind.len)
        return behind;
    while (head < open && !is_digit(line.ptr[head]) && !strchr("$=(", line.ptr[head]))
        head++;
    return good_label(str_slice(line, 0, head));
}

/* --- pages ------------------------------------------------------------------------------------------------------------------- */

/* The mark "<<expr=value>>" whose inside is given. */
static bool read_mark(struct str inside, struct mark *m)
{
    size_t eq = str_find(inside, STR("="));
    struct ratio value;
    if (eq == SIZE_MAX)
        return false;
    struct reader r = { inside.ptr, inside.ptr + eq, m, false };
    read_sum(&r);
    skip_blanks(&r);
    const char *at = inside.ptr + eq + 1, *end = inside.ptr + inside.len;
    bool minus = at < end && *at == '-';
    at += minus;
    if (r.bad || r.at != r.end || !read_number(&at, end, &value) || at != end)
        return false;
    if (minus)
        value.num = -value.num;
    return m->len > 1 && run_mark(m, NULL, &m->value) && same_ratio(value, m->value);
}

static bool read_marks(struct exam_book *b, struct page *page, struct str answer)
{
    struct mark marks[MARKS_MAX];
    for (struct str rest = answer; rest.len;) {
        size_t end = str_find(rest, STR("\n"));
        struct str line = str_slice(rest, 0, end == SIZE_MAX ? rest.len : end);
        rest = str_slice(rest, end == SIZE_MAX ? rest.len : end + 1, rest.len);
        for (size_t from = 0; from < line.len;) {
            size_t open = str_find(str_slice(line, from, line.len), STR("<<"));
            if (open == SIZE_MAX)
                break;
            open += from;
            size_t close = str_find(str_slice(line, open, line.len), STR(">>"));
            if (close == SIZE_MAX || page->marks_len == MARKS_MAX)
                return false;
            close += open;
            struct mark *m = &marks[page->marks_len];
            memset(m, 0, sizeof *m);
            if (!read_mark(str_slice(line, open + 2, close), m))
                return false;
            m->label = arena_str(&b->arena, find_label(line, open, close + 2));
            page->marks_len++;
            from = close + 2;
        }
    }
    if (page->marks_len == 0)
        return false;
    page->marks = arena_alloc(&b->arena, (size_t)page->marks_len * sizeof *marks);
    memcpy(page->marks, marks, (size_t)page->marks_len * sizeof *marks);
    return true;
}

/* Does the last mark give the answer? */
static bool leads_there(const struct page *page)
{
    struct ratio value;
    const char *at = page->answer.ptr, *end = at + page->answer.len;
    while (at < end && *at == '$')
        at++;
    return read_number(&at, end, &value) && at == end &&
           same_ratio(value, page->marks[page->marks_len - 1].value);
}

/* --- what may change ------------------------------------------------------------------------------------------------------------- */

static bool is_constant(int64_t n)
{
    static const int list[] = { 1, 2, 7, 12, 24, 30, 31, 52, 60, 100, 365, 1000 };
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        if (list[i] == n)
            return true;
    return false;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The whole number at i stands alone: no decimal, fraction, percentage, time or part of a word. */
static bool stands_alone(struct str q, size_t from, size_t to)
{
    char before = from ? q.ptr[from - 1] : ' ', behind = to < q.len ? q.ptr[to] : ' ',
         next = to + 1 < q.len ? q.ptr[to + 1] : ' ';
    if (is_letter(before) || strchr("/.:,#-", before) || is_letter(behind) || strchr("/:%", behind))
        return false;
    return !((behind == '.' || behind == ',' || behind == '-') && is_digit(next)) &&
           !(behind == ' ' && next == '%');
}

static int count_number(struct str q, int64_t value)
{
    int count = 0;
    for (size_t i = 0; i < q.len; i++) {
        int64_t n = 0;
        if (!is_digit(q.ptr[i]))
            continue;
        for (; i < q.len && is_digit(q.ptr[i]) && n < PART_MAX; i++)
            n = n * 10 + (q.ptr[i] - '0');
        count += n == value;
    }
    return count;
}

/* Is the value that of an earlier step or of the answer's other meanings? Then it is not clear which number is meant. */
static bool is_result(const struct page *page, int64_t value)
{
    for (int i = 0; i < page->marks_len; i++)
        if (page->marks[i].value.den == 1 && page->marks[i].value.num == value)
            return true;
    return false;
}

static bool is_used(const struct page *page, int64_t value)
{
    for (int i = 0; i < page->marks_len; i++)
        for (int k = 0; k < page->marks[i].len; k++) {
            const struct token *t = &page->marks[i].tokens[k];
            if (!t->op && t->value.den == 1 && t->value.num == value)
                return true;
        }
    return false;
}

/* Could the number come from the text or common knowledge? Otherwise a step was left out of the marks. */
static bool is_known(const struct page *page, int mark, struct ratio value)
{
    if (value.den != 1 || value.num <= 12 || is_constant(value.num) ||
        count_number(page->question, value.num))
        return true;
    for (int i = 0; i < mark; i++)
        if (same_ratio(page->marks[i].value, value))
            return true;
    struct buf word = { 0 };
    if (value.num <= 100)
        put_number_word(&word, value.num);
    bool found = word.len && str_find(page->question, buf_str(&word)) != SIZE_MAX;
    buf_free(&word);
    return found;
}

static bool all_known(const struct page *page)
{
    for (int i = 0; i < page->marks_len; i++)
        for (int k = 0; k < page->marks[i].len; k++)
            if (!page->marks[i].tokens[k].op && !is_known(page, i, page->marks[i].tokens[k].value))
                return false;
    return true;
}

static void find_places(struct page *page)
{
    struct str q = page->question;
    for (size_t i = 0; i < q.len; i++) {
        size_t from = i;
        int64_t n = 0;
        if (!is_digit(q.ptr[i]))
            continue;
        for (; i < q.len && is_digit(q.ptr[i]) && n < PART_MAX; i++)
            n = n * 10 + (q.ptr[i] - '0');
        if (page->places_len < CHANGES_MAX && n >= 3 && n <= 5000 && !is_constant(n) &&
            !(n >= 1900 && n <= 2100) && stands_alone(q, from, i) && count_number(q, n) == 1 &&
            !is_result(page, n) && is_used(page, n))
            page->places[page->places_len++] = (struct place){ from, i - from, n };
    }
}

/* Each number of the marks: of the question, of the latest step with that value, or fixed. */
static void find_sources(struct page *page)
{
    for (int i = 0; i < page->marks_len; i++)
        for (int k = 0; k < page->marks[i].len; k++) {
            struct token *t = &page->marks[i].tokens[k];
            for (int p = 0; p < page->places_len && !t->op; p++)
                if (t->value.den == 1 && t->value.num == page->places[p].value) {
                    t->source = FROM_QUESTION;
                    t->index = p;
                }
            for (int s = i - 1; s >= 0 && !t->op && t->source == FIXED; s--)
                if (same_ratio(t->value, page->marks[s].value)) {
                    t->source = FROM_STEP;
                    t->index = s;
                }
        }
}

/* --- opening ------------------------------------------------------------------------------------------------------------------------ */

static struct page *new_page(struct exam_book *b, enum exam_split split)
{
    if (b->len[split] == b->cap[split]) {
        b->cap[split] = b->cap[split] ? b->cap[split] * 2 : 256;
        b->pages[split] = mem_realloc(b->pages[split], b->cap[split] * sizeof **b->pages);
    }
    struct page *page = &b->pages[split][b->len[split]];
    memset(page, 0, sizeof *page);
    return page;
}

static enum err_code read_page(struct exam_book *b, struct str line, int64_t number, const char *path,
                               struct err *err)
{
    json_t *object = NULL;
    struct err why = { 0 };
    if (json_read(&object, line, &why))
        return err_set(err, ERR_FORMAT, NULL, "%s:%lld: %s", path, (long long)number, why.message);
    struct str question = json_str(json_object_get(object, "question")),
               answer = json_str(json_object_get(object, "answer"));
    size_t mark = str_find(answer, STR("#### "));
    enum err_code code = ERR_OK;
    if (question.len == 0 || mark == SIZE_MAX) {
        code = err_set(
            err, ERR_FORMAT, NULL,
            "%s:%lld: Expected the strings 'question' and 'answer', the answer with \"#### \" at its end.",
            path, (long long)number);
        goto out;
    }
    enum exam_split split = str_hash(question) % HELD_ONE_IN == 0 ? EXAM_HELD_OUT : EXAM_TRAIN;
    struct page *page = new_page(b, split);
    page->question = arena_str(&b->arena, question);
    page->answer = arena_str(&b->arena, str_trim(str_slice(answer, mark + 5, answer.len)));
    bool good =
        read_marks(b, page, answer) && leads_there(page) && question.len <= QUESTION_MAX && all_known(page);
    if (split == EXAM_TRAIN && !good) {
        b->dropped++;
        goto out;
    }
    if (good) {
        find_places(page);
        find_sources(page);
    } else {
        page->marks = NULL;
        page->marks_len = 0;
        for (size_t i = 0; i + 1 < answer.len; i++)
            page->marks_len += answer.ptr[i] == '<' && answer.ptr[i + 1] == '<';
    }
    b->len[split]++;
out:
    json_decref(object);
    return code;
}

enum err_code exam_book_open(struct exam_book **out, const char *path, struct err *err)
{
    struct exam_book *b = mem_zalloc(sizeof *b);
    struct buf bytes = { 0 };
    int64_t number = 0;
    enum err_code code = file_read(&bytes, path, BOOK_BYTES_MAX, err);
    for (struct str rest = buf_str(&bytes); !code && rest.len;) {
        size_t end = str_find(rest, STR("\n"));
        struct str line = str_trim(str_slice(rest, 0, end == SIZE_MAX ? rest.len : end));
        rest = str_slice(rest, end == SIZE_MAX ? rest.len : end + 1, rest.len);
        number++;
        if (line.len)
            code = read_page(b, line, number, path, err);
    }
    if (!code && b->len[EXAM_TRAIN] == 0)
        code = err_set(err, ERR_FORMAT, NULL, "%s holds no problem that can be worked out.", path);
    buf_free(&bytes);
    if (code) {
        exam_book_close(b);
        return code;
    }
    *out = b;
    return ERR_OK;
}

void exam_book_close(struct exam_book *b)
{
    if (!b)
        return;
    mem_free(b->pages[EXAM_TRAIN]);
    mem_free(b->pages[EXAM_HELD_OUT]);
    arena_free(&b->arena);
    mem_free(b);
}

size_t exam_book_len(const struct exam_book *b, enum exam_split split)
{
    return b->len[split];
}

size_t exam_book_dropped(const struct exam_book *b)
{
    return b->dropped;
}

int exam_book_steps(const struct exam_book *b, enum exam_split split, size_t i)
{
    assert(i < b->len[split]);
    return b->pages[split][i].marks_len;
}

/* --- a problem ----------------------------------------------------------------------------------------------------------------------- */

/* With other numbers: computes all marks anew into *changed. False: something is no longer positive and whole, or too large. */
static bool recompute(const struct page *page, const int64_t *numbers, struct mark *changed)
{
    for (int i = 0; i < page->marks_len; i++) {
        const struct mark *old = &page->marks[i];
        struct mark *m = &changed[i];
        *m = *old;
        for (int k = 0; k < m->len; k++) {
            struct token *t = &m->tokens[k];
            if (t->source == FROM_QUESTION)
                t->value = (struct ratio){ numbers[t->index], 1 };
            else if (t->source == FROM_STEP)
                t->value = changed[t->index].value;
        }
        if (!run_mark(m, NULL, &m->value) || m->value.num < 1)
            return false;
        if ((old->value.den == 1 && m->value.den != 1) ||
            m->value.num / m->value.den > 10 * (old->value.num / old->value.den + 1))
            return false;
    }
    return true;
}

static void draw_numbers(struct rng *rng, const struct page *page, int64_t *numbers)
{
    for (int i = 0; i < page->places_len; i++) {
        int64_t n = page->places[i].value, low = n / 2 < 2 ? 2 : n / 2, high = n < 10 ? n + 5 : n * 2;
        numbers[i] = rng_range(rng, low, high);
        if (n >= 20 && n % 10 == 0)
            numbers[i] -= numbers[i] % 10; /* round ones stay round */
        else if (n >= 10 && n % 5 == 0)
            numbers[i] -= numbers[i] % 5;
        if (numbers[i] < 2)
            numbers[i] = n;
    }
}

/* The text with other names: each known name becomes one other, everywhere the same. */
struct names {
    struct str from[NAMES_MAX];
    const char *to[NAMES_MAX];
    int len;
};

static const char *swap_name(struct rng *rng, struct names *names, struct str word)
{
    for (int i = 0; i < names->len; i++)
        if (str_eq(names->from[i], word))
            return names->to[i];
    const char *other = names->len < NAMES_MAX ? words_other_name(rng, word) : NULL;
    if (!other)
        return NULL;
    for (int i = 0; i < names->len; i++)
        if (strcmp(names->to[i], other) == 0)
            return NULL; /* two people would become one */
    names->from[names->len] = word;
    names->to[names->len++] = other;
    return other;
}

static void put_named(struct rng *rng, struct names *names, struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.len;) {
        size_t to = i;
        while (to < text.len && is_letter(text.ptr[to]))
            to++;
        if (to == i) {
            buf_putc(out, text.ptr[i++]);
            continue;
        }
        struct str word = str_slice(text, i, to);
        const char *other = names && word.ptr[0] <= 'Z' ? swap_name(rng, names, word) : NULL;
        if (other)
            buf_puts(out, other);
        else
            buf_put_str(out, word);
        i = to;
    }
}

static void put_question(const struct page *page, const int64_t *numbers, struct buf *out)
{
    size_t at = 0;
    for (int i = 0; i < page->places_len; i++) {
        buf_put_str(out, str_slice(page->question, at, page->places[i].at));
        buf_printf(out, "%lld", (long long)numbers[i]);
        at = page->places[i].at + page->places[i].len;
    }
    buf_put_str(out, str_slice(page->question, at, page->question.len));
}

static void work_out(const struct page *page, const struct mark *marks, struct names *names,
                     struct exam_text *t)
{
    struct buf label = { 0 }, undo = { 0 };
    buf_puts(t->recheck, "check\n");
    for (int i = 0; i < page->marks_len; i++) {
        struct ratio value;
        buf_clear(&label);
        put_named(t->rng, names, marks[i].label, &label);
        struct run run = { t, label.len ? label.ptr : "", t->trace, &undo };
        run_mark(&marks[i], &run, &value);
    }
    /* from the answer back */
    for (size_t end = undo.len; end > 0;) {
        size_t from = end - 1;
        while (from > 0 && undo.ptr[from - 1] != '\n')
            from--;
        buf_put(t->recheck, undo.ptr + from, end - from);
        end = from;
    }
    buf_puts(t->recheck, "ok\n");
    put_ratio(t->answer, marks[page->marks_len - 1].value);
    buf_printf(t->visible, "Answer: %s", t->answer->ptr);
    buf_free(&label);
    buf_free(&undo);
}

void exam_book_problem(const struct exam_book *b, enum exam_split split, size_t i, enum exam_effort effort,
                       bool vary, struct rng *rng, struct exam_problem *p)
{
    assert(i < b->len[split]);
    const struct page *page = &b->pages[split][i];
    struct mark changed[MARKS_MAX];
    const struct mark *marks = page->marks;
    struct names names = { 0 };
    struct buf text = { 0 };
    int64_t numbers[CHANGES_MAX];
    struct exam_text t;
    text_begin(&t, p, rng, effort);
    p->key = str_hash(page->question);
    for (int n = 0; n < page->places_len; n++)
        numbers[n] = page->places[n].value;
    for (int tries = 0; vary && page->places_len && tries < VARY_TRIES; tries++) {
        int64_t drawn[CHANGES_MAX];
        draw_numbers(rng, page, drawn);
        if (recompute(page, drawn, changed)) {
            memcpy(numbers, drawn, sizeof numbers);
            marks = changed;
            break;
        }
    }
    put_question(page, numbers, &text);
    put_named(rng, vary ? &names : NULL, buf_str(&text), t.question);
    if (marks)
        work_out(page, marks, vary ? &names : NULL, &t);
    else
        buf_put_str(t.answer, page->answer);
    if (effort >= EXAM_HIGH)
        buf_put_str(&p->trace, buf_str(&p->recheck));
    buf_free(&text);
}
