/*
 * corpus.c - writes training or held-out documents, one JSON object per line.
 *
 *     corpus --seed S --count N [--held-out] [--family NAME] [--level L] [--effort E] [--gsm8k FILE [--gsm8k-share PERMILLE]]
 *     corpus --gsm8k FILE --gsm8k-exam STEPS
 *
 * With --gsm8k so many documents in a thousand (20) are problems of that file, family "book", three in four with other
 * numbers and names. The second form writes its withheld tenth for `thinkd exam --file`, problems of at most that many
 * steps (0: all), and says on standard error how many were kept and left out.
 *
 * A document is {"family","level","new","effort","system","tools","turns":[...]}; the trainer renders it with the same
 * chat template that goes into the model file. system is the system message, or "". tools is an array of function tools
 * in the Chat Completions shape ({"type":"function","function":{"name","description","parameters"}}), or []. A turn is
 * {"user","think","recheck","text","answer"} and sometimes "flawed","mended" (see effort.c: a working with a wrong end in
 * place of think, and the recheck that finds it and works again, for the continue token): a message of the user and the reply to it; a turn that answers a tool's
 * result has "tool" in place of "user" (role "tool"; the turn before it called that tool). Text is the visible reply as
 * the model writes it, calls too: "<tool_call>\n{"name": ..., "arguments": {...}}\n</tool_call>". Turns that belong to one
 * problem come in order, the last of them is the one that "answer" marks ("" on those before it). Documents of several
 * turns put unrelated problems one after the other, but a problem with a system message, tools or turns of its own is
 * a document by itself. The same arguments give the same bytes.
 */
#include "base/err.h"
#include "exam/exam.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURNS_MAX 10

struct mix {
    const char *family;
    unsigned weight;
    /* weights of the levels, first to last */
    unsigned char levels[EXAM_LEVELS_MAX];
};

/* What the model is trained on. Sums, differences and products are in everything else and must be perfect; levels
 * that only the exam asks have no weight. Chat is a tenth of the documents and far less of the tokens. */
static const struct mix mixes[] = {
    { "add", 9, { 2, 3, 4, 4, 4, 2, 2 } },
    { "sub", 9, { 2, 3, 4, 4, 4, 2, 2 } },
    { "mul", 10, { 2, 3, 4, 4, 5, 2, 1 } },
    { "div", 10, { 2, 2, 3, 3, 5, 2, 1 } },
    { "expr", 10, { 3, 3, 3, 4, 4, 2, 1 } },
    { "linear", 10, { 2, 2, 3, 4, 5, 2, 1 } },
    { "gcd", 7, { 3, 3, 3, 4, 4, 1, 1 } },
    { "story", 24, { 3, 4, 4, 3, 2, 2, 1, 1 } },
    { "greet", 3, { 1 } },
    { "thanks", 1, { 1 } },
    { "identity", 3, { 1 } },
    { "decline", 12, { 1, 0 } },
    { "ask", 2, { 1 } },
    { "clock", 3, { 1, 2, 2, 2, 2, 2, 2, 2 } },
    { "date", 4, { 1, 2, 1, 2, 2, 2, 2, 2 } },
    { "unit", 3, { 2, 2, 2, 2, 1, 1, 1, 2 } },
    { "letters", 4, { 1, 1, 1, 1, 1, 1, 1, 1 } },
    { "boolean", 3, { 1, 1, 1, 1, 1, 1, 1, 1 } },
    { "knights", 3, { 1, 1, 2, 2, 2, 2, 1, 1 } },
    { "order", 3, { 1, 1, 1, 1, 1, 1, 1, 1 } },
    { "syllogism", 2, { 1, 1, 1, 1, 1, 1, 1, 1 } },
    { "follow", 5, { 3, 2, 3, 2, 2, 2, 2, 2 } },
    { "after", 3, { 3, 2, 1, 1 } },
    { "json", 4, { 2, 2, 2, 2, 3, 3, 3, 3 } },
    { "tool", 4, { 2, 2, 2, 2, 4, 2, 2, 2 } },
    /* mathematics beyond the four operations */
    { "lcm", 4, { 2, 3, 3, 3, 3, 1, 1 } },
    { "mod", 8, { 2, 3, 3, 4, 5, 2, 1 } },
    { "crt", 3, { 2, 3, 3, 3, 2, 1, 1 } },
    { "divisors", 5, { 2, 3, 3, 3, 3, 1, 1 } },
    { "fraction", 8, { 3, 3, 3, 4, 4, 2, 1 } },
    { "percent", 5, { 2, 3, 3, 3, 3, 2, 1 } },
    { "systems", 5, { 3, 3, 3, 3, 3, 1, 1 } },
    { "quadratic", 4, { 2, 3, 3, 3, 3, 1, 1 } },
    { "sequence", 5, { 2, 3, 3, 3, 3, 2, 1 } },
    { "combin", 5, { 2, 2, 3, 3, 4, 2, 1 } },
    { "countdown", 7, { 3, 3, 3, 3, 4, 2, 1 } },
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

struct options {
    uint64_t seed, count;
    enum exam_split split;
    const struct exam_family *family;
    int level;
    bool effort_given;
    enum exam_effort effort;
    struct exam_book *book; /* NULL: none */
    uint64_t book_share;    /* of a thousand documents */
    bool book_exam;
    uint64_t book_steps; /* of the exam, at most; 0: all */
};

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

/* Training draws only the levels that are not kept for the exam. */
static int levels_of(const struct exam_family *f, enum exam_split split)
{
    return split == EXAM_TRAIN ? exam_family_train_levels(f) : exam_family_levels(f);
}

static int pick_level(struct rng *rng, const struct mix *m, const struct exam_family *f)
{
    unsigned total = 0;
    for (int i = 0; i < exam_family_train_levels(f); i++)
        total += m->levels[i];
    uint64_t at = rng_below(rng, total);
    int level = 0;
    while (at >= m->levels[level])
        at -= m->levels[level++];
    return level + 1;
}

static const struct mix *pick_mix(struct rng *rng)
{
    unsigned total = 0;
    for (size_t i = 0; i < ARRAY_LEN(mixes); i++)
        total += mixes[i].weight;
    uint64_t at = rng_below(rng, total);
    size_t i = 0;
    while (at >= mixes[i].weight)
        at -= mixes[i++].weight;
    return &mixes[i];
}

/* low and medium are what most requests use; xhigh shares the form of high. */
static enum exam_effort pick_effort(struct rng *rng)
{
    static const unsigned weights[EXAM_EFFORTS] = { 22, 52, 20, 6 };
    uint64_t at = rng_below(rng, 100);
    int e = 0;
    while (at >= weights[e])
        at -= weights[e++];
    return (enum exam_effort)e;
}

/* One document in eight has earlier turns; a few are long, so that far positions are trained too. */
static int pick_turns(struct rng *rng)
{
    uint64_t at = rng_below(rng, 40);
    return at == 0 ? (int)rng_range(rng, 4, TURNS_MAX) : at < 5 ? (int)rng_range(rng, 2, 3) : 1;
}

static void put_turn(struct buf *out, bool tool, struct str said, struct str think, struct str recheck,
                     struct str text, struct str answer)
{
    buf_putc(out, '{');
    put_json(out, tool ? "tool" : "user", said);
    buf_putc(out, ',');
    put_json(out, "think", think);
    buf_putc(out, ',');
    put_json(out, "recheck", recheck);
    buf_putc(out, ',');
    put_json(out, "text", text);
    buf_putc(out, ',');
    put_json(out, "answer", answer);
    buf_putc(out, '}');
}

/* The missed slip and its mending, where there is one: for the training of the continue token. */
static void put_flawed(struct buf *out, const struct exam_problem *p)
{
    if (p->flawed.len == 0)
        return;
    out->len--; /* the turn's closing brace */
    buf_putc(out, ',');
    put_json(out, "flawed", buf_str(&p->flawed));
    buf_putc(out, ',');
    put_json(out, "mended", buf_str(&p->mended));
    buf_putc(out, '}');
}

static void put_problem(struct buf *out, const struct exam_problem *p)
{
    static const struct str none;
    for (int i = 0; i < p->earlier_len; i++) {
        const struct exam_turn *e = &p->earlier[i];
        put_turn(out, e->tool, buf_str(&e->said), buf_str(&e->trace), none, buf_str(&e->visible), none);
        buf_putc(out, ',');
    }
    put_turn(out, p->tool, buf_str(&p->question), buf_str(&p->trace), buf_str(&p->recheck),
             buf_str(&p->visible), buf_str(&p->answer));
    put_flawed(out, p);
}

/* Its system message, tools or earlier turns would not fit beside those of another problem. */
static bool stands_alone(const struct exam_problem *p)
{
    return p->system.len || p->tools.len || p->earlier_len;
}

static void draw_problem(struct rng *rng, const struct options *o, enum exam_effort effort,
                         struct exam_problem *p)
{
    if (o->book && rng_below(rng, 1000) < o->book_share) {
        size_t i = (size_t)rng_below(rng, exam_book_len(o->book, EXAM_TRAIN));
        exam_book_problem(o->book, EXAM_TRAIN, i, effort, rng_below(rng, 4) > 0, rng, p);
        p->level = exam_book_steps(o->book, EXAM_TRAIN, i);
        return;
    }
    const struct mix *m = pick_mix(rng);
    const struct exam_family *f = o->family ? o->family : exam_family_find(str_from(m->family));
    int level = o->family ? (o->level ? o->level : (int)rng_range(rng, 1, levels_of(f, o->split)))
                          : pick_level(rng, m, f);
    exam_generate(f, level, effort, o->split, rng, p);
}

static void put_document(struct rng *rng, const struct options *o, struct exam_problem *p, struct buf *out)
{
    enum exam_effort effort = o->effort_given ? o->effort : pick_effort(rng);
    int turns = o->split == EXAM_TRAIN ? pick_turns(rng) : 1;
    const char *system = "";
    struct buf body = { 0 };
    if (o->split == EXAM_TRAIN && rng_below(rng, 4) == 0)
        system = systems[rng_below(rng, ARRAY_LEN(systems))];
    for (int i = 0; i < turns; i++) {
        draw_problem(rng, o, effort, p);
        if (stands_alone(p)) {
            buf_clear(&body);
            i = turns;
        }
        buf_puts(&body, body.len ? "," : "");
        put_problem(&body, p);
    }
    buf_putc(out, '{');
    put_json(out, "family", str_from(p->family ? exam_family_name(p->family) : "book"));
    buf_printf(out, ",\"level\":%d,\"new\":%s,", p->level, p->new_wording ? "true" : "false");
    put_json(out, "effort", str_from(exam_effort_name(effort)));
    buf_putc(out, ',');
    put_json(out, "system", p->system.len ? buf_str(&p->system) : str_from(system));
    buf_printf(out, ",\"tools\":%s", p->tools.len ? p->tools.ptr : "[]");
    buf_printf(out, ",\"turns\":[%.*s]}\n", STR_ARG(buf_str(&body)));
    buf_free(&body);
}

/* {"question","answer","steps"}, one a line. */
static int write_book_exam(const struct options *o)
{
    size_t count = exam_book_len(o->book, EXAM_HELD_OUT);
    struct exam_problem p = { 0 };
    struct buf out = { 0 };
    struct rng rng;
    rng_init(&rng, o->seed, 0);
    for (size_t i = 0; i < count; i++) {
        int steps = exam_book_steps(o->book, EXAM_HELD_OUT, i);
        if (o->book_steps && (uint64_t)steps > o->book_steps)
            continue;
        exam_book_problem(o->book, EXAM_HELD_OUT, i, EXAM_LOW, false, &rng, &p);
        buf_putc(&out, '{');
        put_json(&out, "question", buf_str(&p.question));
        buf_putc(&out, ',');
        put_json(&out, "answer", buf_str(&p.answer));
        buf_printf(&out, ",\"steps\":%d}\n", steps);
    }
    fprintf(stderr, "corpus: %zu withheld, %zu for training, %zu left out\n", count,
            exam_book_len(o->book, EXAM_TRAIN), exam_book_dropped(o->book));
    bool written = fwrite(out.ptr ? out.ptr : "", 1, out.len, stdout) == out.len && !fflush(stdout);
    exam_problem_free(&p);
    buf_free(&out);
    return written ? 0 : 1;
}

static bool open_book(struct options *o, const char *path)
{
    struct err err = { 0 };
    if (!exam_book_open(&o->book, path, &err))
        return true;
    fprintf(stderr, "corpus: %s\n", err.message);
    return false;
}

static int usage(void)
{
    fputs("usage: corpus --seed S --count N [--held-out] [--family NAME] [--level L] [--effort "
          "low|medium|high|xhigh]\n"
          "              [--gsm8k FILE [--gsm8k-share PERMILLE]]\n"
          "       corpus --gsm8k FILE --gsm8k-exam STEPS\n",
          stderr);
    return 2;
}

static bool parse_number(const char *s, uint64_t *out)
{
    int64_t value;
    if (!s || !str_to_i64(str_from(s), &value) || value < 0)
        return false;
    *out = (uint64_t)value;
    return true;
}

static bool parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        uint64_t level;
        if (!strcmp(argv[i], "--held-out")) {
            o->split = EXAM_HELD_OUT;
            continue;
        }
        if (!value)
            return false;
        if (!strcmp(argv[i], "--seed") && parse_number(value, &o->seed))
            ;
        else if (!strcmp(argv[i], "--count") && parse_number(value, &o->count))
            ;
        else if (!strcmp(argv[i], "--family") && (o->family = exam_family_find(str_from(value))))
            ;
        else if (!strcmp(argv[i], "--level") && parse_number(value, &level) && level >= 1 &&
                 level <= EXAM_LEVELS_MAX)
            o->level = (int)level;
        else if (!strcmp(argv[i], "--gsm8k") && !o->book && open_book(o, value))
            ;
        else if (!strcmp(argv[i], "--gsm8k-share") && parse_number(value, &o->book_share) &&
                 o->book_share <= 1000)
            ;
        else if (!strcmp(argv[i], "--gsm8k-exam") && parse_number(value, &o->book_steps))
            o->book_exam = true;
        else if (!strcmp(argv[i], "--effort") && exam_effort_from(str_from(value), &o->effort))
            o->effort_given = true;
        else
            return false;
        i++;
    }
    if (o->book_exam && !o->book)
        return false;
    int levels = o->family ? levels_of(o->family, o->split) : EXAM_LEVELS_MAX;
    return levels > 0 && o->level <= levels;
}

int main(int argc, char **argv)
{
    struct options o = { .seed = 1, .count = 1000, .book_share = 20 };
    struct exam_problem p = { 0 };
    struct buf out = { 0 };
    struct rng rng;
    if (!parse(argc, argv, &o))
        return usage();
    if (o.book_exam) {
        int code = write_book_exam(&o);
        exam_book_close(o.book);
        return code;
    }
    rng_init(&rng, o.seed, o.split == EXAM_TRAIN ? 0 : 1);
    for (uint64_t i = 0; i < o.count; i++) {
        put_document(&rng, &o, &p, &out);
        if (out.len >= MIB || i + 1 == o.count) {
            if (fwrite(out.ptr, 1, out.len, stdout) != out.len)
                return 1;
            buf_clear(&out);
        }
    }
    exam_problem_free(&p);
    exam_book_close(o.book);
    buf_free(&out);
    return fflush(stdout) ? 1 : 0;
}
