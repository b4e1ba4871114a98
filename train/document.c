/*
 * document.c - draws documents: which families, levels and efforts, in how many turns, under which system message.
 *
 * A document's last problem is what it is about; problems before it are unrelated and stand there as history, so
 * that the model learns to answer the last one. A problem with a system message, tools or turns of its own is a
 * document by itself. The same rng state gives the same document.
 */
#include "corpus.h"

#include "base/file.h"

#include <assert.h>
#include <string.h>

#define FACTORS_BYTES_MAX (64 * KIB)
#define PERCENT_MAX       1000

struct mix {
    const char *family;
    unsigned weight;
    /* weights of the levels, first to last */
    unsigned char levels[EXAM_LEVELS_MAX];
};

/* What the model is trained on. Sums, differences and products are in everything else and must be perfect; word
 * problems and calls are learned last and take the most; levels that only the exam asks have no weight. Chat is a
 * tenth of the documents and far less of the tokens. */
static const struct mix mixes[] = {
    { "add", 8, { 2, 3, 4, 4, 4, 2, 2 } },
    { "sub", 8, { 2, 3, 4, 4, 4, 2, 2 } },
    { "mul", 10, { 2, 3, 4, 4, 5, 2, 1 } },
    { "div", 11, { 2, 2, 3, 3, 5, 2, 1 } },
    { "expr", 11, { 3, 3, 3, 4, 4, 2, 1 } },
    { "linear", 11, { 2, 2, 3, 4, 5, 2, 1 } },
    { "gcd", 8, { 3, 3, 3, 4, 4, 1, 1 } },
    { "story", 32, { 4, 5, 5, 4, 2, 1, 1, 1 } },
    { "greet", 2, { 1 } },
    { "thanks", 2, { 1 } },
    { "identity", 2, { 1 } },
    { "decline", 10, { 1, 0 } },
    { "ask", 4, { 1 } },
    { "clock", 3, { 1, 2, 2, 2, 2, 2, 2, 2 } },
    { "date", 4, { 1, 2, 1, 2, 2, 2, 2, 2 } },
    { "unit", 3, { 2, 2, 2, 2, 1, 1, 1, 2 } },
    { "follow", 8, { 3, 2, 3, 2, 2, 2, 2, 2 } },
    { "after", 5, { 3, 2, 1, 1 } },
    { "letters", 4, { 1, 1, 1, 1, 1, 1, 1, 1 } },
    { "boolean", 4, { 1, 1, 1, 1, 1, 1, 1, 1 } },
    { "knights", 3, { 1, 1, 2, 2, 2, 2, 1, 1 } },
    { "order", 4, { 1, 1, 1, 1, 1, 1, 1, 1 } },
    { "syllogism", 2, { 1, 1, 1, 1, 1, 1, 1, 1 } },
    { "json", 9, { 2, 2, 2, 2, 3, 3, 3, 3 } },
    { "tool", 14, { 2, 2, 2, 2, 4, 2, 2, 2 } },
    /* mathematics beyond the four operations */
    { "lcm", 4, { 2, 3, 3, 3, 3, 1, 1 } },
    { "mod", 10, { 2, 3, 3, 4, 5, 2, 1 } },
    { "crt", 2, { 2, 3, 3, 3, 2, 1, 1 } },
    { "divisors", 5, { 2, 3, 3, 3, 3, 1, 1 } },
    { "fraction", 8, { 3, 3, 3, 4, 4, 2, 1 } },
    { "percent", 5, { 2, 3, 3, 3, 3, 2, 1 } },
    { "systems", 4, { 3, 3, 3, 3, 3, 1, 1 } },
    { "quadratic", 4, { 2, 3, 3, 3, 3, 1, 1 } },
    { "sequence", 5, { 2, 3, 3, 3, 3, 2, 1 } },
    { "combin", 5, { 2, 2, 3, 3, 4, 2, 1 } },
    { "countdown", 4, { 3, 3, 3, 3, 4, 2, 1 } },
    { "base", 4, { 2, 3, 3, 3, 3, 2, 1 } },
    { "aime", 5, { 2, 3, 3, 3, 3, 2, 1 } },
};

static const char *const systems[] = {
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are thinkd.",
    "You are a careful math tutor.",
    "Think step by step.",
    "You are an expert in mathematics.",
    "Be correct.",
    "You solve problems for students.",
    "Always answer in English.",
    "You are a reasoning model. Show the final answer at the end.",
    "Help the user with the task.",
    "You are a friendly teacher.",
    "You are a calculator.",
    "Your name is thinkd and you answer exercises.",
    "Be polite.",
    "The user is a developer who tests the API.",
};

/* --- the mixture ---------------------------------------------------------------------------------------------- */

static size_t family_index(const struct exam_family *f)
{
    size_t i = 0;
    while (exam_family_at(i) != f)
        i++;
    return i;
}

/* Training draws only the levels that are not kept for the exam. */
int mixture_levels(const struct mixture *m, const struct exam_family *f)
{
    return m->split == EXAM_TRAIN ? exam_family_train_levels(f) : exam_family_levels(f);
}

static unsigned level_weight(const struct mixture *m, const struct mix *row, const struct exam_family *f,
                             int level)
{
    unsigned percent = m->factored ? m->factors[family_index(f)][level - 1] : 100;
    return row->levels[level - 1] * percent;
}

/* Factors move a family's share by what they do to its levels: one whose levels are all asked half as much is drawn
 * half as often. In percent of the table's weight. */
static unsigned factored_weight(const struct mixture *m, const struct mix *row)
{
    const struct exam_family *f = exam_family_find(str_from(row->family));
    unsigned plain = 0, weighed = 0;
    for (int level = 1; level <= exam_family_train_levels(f); level++) {
        plain += row->levels[level - 1];
        weighed += level_weight(m, row, f, level);
    }
    return row->weight * weighed / plain;
}

static unsigned family_weight(const struct mixture *m, size_t row)
{
    return m->factored ? m->weights[row] : 100 * mixes[row].weight;
}

static enum err_code read_factor(struct mixture *m, struct str line, struct err *err)
{
    char name[40];
    int level;
    unsigned percent;
    char text[120];
    snprintf(text, sizeof text, "%.*s", STR_ARG(line));
    if (sscanf(text, "%39s %d %u", name, &level, &percent) != 3 || percent > PERCENT_MAX)
        return err_set(err, ERR_FORMAT, NULL, "\"%s\" is not \"family level percent\".", text);
    const struct exam_family *f = exam_family_find(str_from(name));
    if (!f || level < 1 || level > exam_family_levels(f))
        return err_set(err, ERR_FORMAT, NULL, "There is no level %d of a family '%s'.", level, name);
    m->factors[family_index(f)][level - 1] = percent;
    return ERR_OK;
}

enum err_code mixture_read_factors(struct mixture *m, const char *path, struct err *err)
{
    struct buf bytes = { 0 };
    enum err_code code = file_read(&bytes, path, FACTORS_BYTES_MAX, err);
    assert(exam_family_count() <= ARRAY_LEN(m->factors));
    for (size_t i = 0; i < ARRAY_LEN(m->factors); i++)
        for (int level = 0; level < EXAM_LEVELS_MAX; level++)
            m->factors[i][level] = 100;
    m->factored = true;
    for (struct str rest = buf_str(&bytes); !code && rest.len;) {
        size_t end = str_find(rest, STR("\n"));
        struct str line = str_trim(str_slice(rest, 0, end == SIZE_MAX ? rest.len : end));
        rest = str_slice(rest, end == SIZE_MAX ? rest.len : end + 1, rest.len);
        if (line.len)
            code = read_factor(m, line, err);
    }
    unsigned total = 0;
    for (size_t i = 0; i < ARRAY_LEN(mixes); i++)
        total += m->weights[i] = factored_weight(m, &mixes[i]);
    if (!code && total == 0)
        code = err_set(err, ERR_FORMAT, NULL, "\"%s\" turns every level off.", path);
    buf_free(&bytes);
    return code;
}

void mixture_list(FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(mixes); i++) {
        const struct exam_family *f = exam_family_find(str_from(mixes[i].family));
        unsigned total = 0;
        for (int level = 1; level <= exam_family_train_levels(f); level++)
            total += mixes[i].levels[level - 1];
        for (int level = 1; level <= exam_family_train_levels(f); level++)
            fprintf(out, "%s %d %.3f\n", mixes[i].family, level,
                    mixes[i].weight * (double)mixes[i].levels[level - 1] / total);
    }
}

/* --- drawing -------------------------------------------------------------------------------------------------- */

static int pick_level(struct rng *rng, const struct mixture *m, const struct mix *row,
                      const struct exam_family *f)
{
    unsigned total = 0;
    for (int level = 1; level <= exam_family_train_levels(f); level++)
        total += level_weight(m, row, f, level);
    if (total == 0) /* every level of it is turned off, and still it was drawn */
        return (int)rng_range(rng, 1, exam_family_train_levels(f));
    uint64_t at = rng_below(rng, total);
    int level = 1;
    for (; at >= level_weight(m, row, f, level); level++)
        at -= level_weight(m, row, f, level);
    return level;
}

static const struct mix *pick_mix(struct rng *rng, const struct mixture *m)
{
    unsigned total = 0;
    for (size_t i = 0; i < ARRAY_LEN(mixes); i++)
        total += family_weight(m, i);
    uint64_t at = rng_below(rng, total);
    size_t i = 0;
    while (at >= family_weight(m, i))
        at -= family_weight(m, i++);
    return &mixes[i];
}

/* medium is what most requests use; the long traces of xhigh take as many documents to be learned at all. */
static enum exam_effort pick_effort(struct rng *rng)
{
    static const unsigned weights[EXAM_EFFORTS] = { 18, 40, 20, 22 };
    uint64_t at = rng_below(rng, 100);
    int e = 0;
    while (at >= weights[e])
        at -= weights[e++];
    return (enum exam_effort)e;
}

/* One document in eight has unrelated turns before; a few are long, so that far positions are trained too. */
static int pick_unrelated(struct rng *rng)
{
    uint64_t at = rng_below(rng, 40);
    return at == 0 ? (int)rng_range(rng, 4, UNRELATED_MAX) : at < 5 ? (int)rng_range(rng, 2, 3) : 1;
}

static void set(struct buf *to, struct str s)
{
    buf_clear(to);
    buf_put_str(to, s);
}

static void add_turn(struct document *d, bool tool, const struct buf *said, const struct buf *think,
                     const struct buf *text)
{
    static const struct str none;
    struct turn *t = &d->turns[d->turns_len++];
    t->tool = tool;
    set(&t->said, buf_str(said));
    set(&t->think, buf_str(think));
    set(&t->text, buf_str(text));
    set(&t->recheck, none);
    set(&t->answer, none);
    set(&t->flawed, none);
    set(&t->mended, none);
}

static void add_problem(struct document *d, const struct exam_problem *p)
{
    for (int i = 0; i < p->earlier_len; i++) {
        const struct exam_turn *e = &p->earlier[i];
        add_turn(d, e->tool, &e->said, &e->trace, &e->visible);
    }
    add_turn(d, p->tool, &p->question, &p->trace, &p->visible);
    struct turn *t = &d->turns[d->turns_len - 1];
    set(&t->recheck, buf_str(&p->recheck));
    set(&t->answer, buf_str(&p->answer));
    set(&t->flawed, buf_str(&p->flawed));
    set(&t->mended, buf_str(&p->mended));
}

/* Its system message, tools or earlier turns would not fit beside those of another problem. */
static bool stands_alone(const struct exam_problem *p)
{
    return p->system.len || p->tools.len || p->earlier_len;
}

static void draw_problem(struct rng *rng, const struct mixture *m, enum exam_effort effort,
                         struct exam_problem *p)
{
    if (m->book && !m->family && rng_below(rng, 1000) < m->book_permille) {
        size_t i = (size_t)rng_below(rng, exam_book_len(m->book, m->split));
        exam_book_problem(m->book, m->split, i, effort, rng_below(rng, 4) > 0, rng, p);
        p->level = exam_book_steps(m->book, m->split, i);
        return;
    }
    const struct mix *row = pick_mix(rng, m);
    const struct exam_family *f = m->family ? m->family : exam_family_find(str_from(row->family));
    int level = !m->family ? pick_level(rng, m, row, f)
                : m->level ? m->level
                           : (int)rng_range(rng, 1, mixture_levels(m, f));
    exam_generate(f, level, effort, m->split, rng, p);
}

void document_draw(struct document *d, const struct mixture *m, struct rng *rng, struct exam_problem *p)
{
    bool train = m->split == EXAM_TRAIN;
    int problems = train ? pick_unrelated(rng) : 1;
    d->effort = m->effort_given ? m->effort : pick_effort(rng);
    d->turns_len = 0;
    set(&d->system,
        str_from(train && rng_below(rng, 4) == 0 ? systems[rng_below(rng, ARRAY_LEN(systems))] : ""));
    for (int i = 0; i < problems; i++) {
        draw_problem(rng, m, d->effort, p);
        if (stands_alone(p)) {
            d->turns_len = 0;
            i = problems;
        }
        add_problem(d, p);
    }
    if (p->system.len)
        set(&d->system, buf_str(&p->system));
    set(&d->tools, buf_str(&p->tools));
    d->family = p->family;
    d->level = p->level;
    d->new_wording = p->new_wording;
}

void document_free(struct document *d)
{
    buf_free(&d->system);
    buf_free(&d->tools);
    for (int i = 0; i < TURNS_MAX; i++) {
        struct turn *t = &d->turns[i];
        struct buf *const bufs[] = { &t->said,   &t->think,  &t->recheck, &t->text,
                                     &t->answer, &t->flawed, &t->mended };
        for (size_t b = 0; b < ARRAY_LEN(bufs); b++)
            buf_free(bufs[b]);
    }
}

/* --- for people ----------------------------------------------------------------------------------------------- */

static void put_json(struct buf *out, const char *name, struct str s)
{
    buf_printf(out, "\"%s\":\"", name);
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c < 0x20)
            buf_printf(out, "\\u%04x", c);
        else
            buf_putc(out, (char)c);
    }
    buf_putc(out, '"');
}

static void put_turn(struct buf *out, const struct turn *t)
{
    buf_putc(out, '{');
    put_json(out, t->tool ? "tool" : "user", buf_str(&t->said));
    buf_putc(out, ',');
    put_json(out, "think", buf_str(&t->think));
    buf_putc(out, ',');
    put_json(out, "recheck", buf_str(&t->recheck));
    buf_putc(out, ',');
    put_json(out, "text", buf_str(&t->text));
    buf_putc(out, ',');
    put_json(out, "answer", buf_str(&t->answer));
    if (t->flawed.len) {
        buf_putc(out, ',');
        put_json(out, "flawed", buf_str(&t->flawed));
        buf_putc(out, ',');
        put_json(out, "mended", buf_str(&t->mended));
    }
    buf_putc(out, '}');
}

struct str document_family(const struct document *d)
{
    return str_from(d->family ? exam_family_name(d->family) : "book");
}

void document_put_json(const struct document *d, const struct buf *prompt, struct buf *out)
{
    buf_putc(out, '{');
    put_json(out, "family", document_family(d));
    buf_printf(out, ",\"level\":%d,\"new\":%s,", d->level, d->new_wording ? "true" : "false");
    put_json(out, "effort", str_from(exam_effort_name(d->effort)));
    buf_putc(out, ',');
    put_json(out, "system", buf_str(&d->system));
    if (prompt) {
        buf_putc(out, ',');
        put_json(out, "prompt", buf_str(prompt));
    }
    buf_printf(out, ",\"tools\":%s,\"turns\":[", d->tools.len ? d->tools.ptr : "[]");
    for (int i = 0; i < d->turns_len; i++) {
        buf_puts(out, i ? "," : "");
        put_turn(out, &d->turns[i]);
    }
    buf_puts(out, "]}\n");
}
