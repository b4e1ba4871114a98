/*
 * corpus.c - writes training or held-out documents, one JSON object per line.
 *
 *     corpus --seed S --count N [--held-out] [--family NAME] [--level L] [--effort E]
 *
 * A document is {"family","level","effort","system","turns":[{"user","think","recheck","text","answer"}]}; the
 * trainer renders it with the same chat template that goes into the model file. Documents of several turns
 * put unrelated problems one after the other. The same arguments give the same bytes.
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

/* What the first model is trained on. Sums and differences are cheap and must be perfect; gcd and long
 * products take the most tokens. Chat is a tenth of the documents and far less of the tokens. */
static const struct mix mixes[] = {
    { "add", 14, { 2, 3, 4, 3, 2, 2, 2 } },
    { "sub", 11, { 2, 3, 4, 3, 2, 2, 2 } },
    { "mul", 14, { 2, 3, 3, 5, 2, 3, 1 } },
    { "div", 10, { 2, 2, 3, 3, 3, 2, 1 } },
    { "expr", 9, { 3, 3, 3, 3, 2, 2, 1 } },
    { "linear", 9, { 2, 2, 3, 3, 2, 2 } },
    { "gcd", 8, { 3, 3, 3, 2, 1 } },
    { "story", 15, { 2, 2, 3, 2, 3, 2 } },
    { "greet", 3, { 1 } },
    { "thanks", 1, { 1 } },
    { "identity", 3, { 1 } },
    { "decline", 12, { 1, 0 } },
};

static const char *const systems[] = {
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are thinkd.",
    "Answer briefly.",
    "You are a careful math tutor.",
    "Think step by step.",
    "Give only the final answer.",
    "You are an expert in mathematics.",
    "Be concise and correct.",
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

static int pick_level(struct rng *rng, const struct mix *m, const struct exam_family *f)
{
    unsigned total = 0;
    for (int i = 0; i < exam_family_levels(f); i++)
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

static void put_turn(struct buf *out, const struct exam_problem *p)
{
    buf_putc(out, '{');
    put_json(out, "user", buf_str(&p->question));
    buf_putc(out, ',');
    put_json(out, "think", buf_str(&p->trace));
    buf_putc(out, ',');
    put_json(out, "recheck", buf_str(&p->recheck));
    buf_putc(out, ',');
    put_json(out, "text", buf_str(&p->visible));
    buf_putc(out, ',');
    put_json(out, "answer", buf_str(&p->answer));
    buf_putc(out, '}');
}

static void put_document(struct rng *rng, const struct options *o, struct exam_problem *p, struct buf *out)
{
    enum exam_effort effort = o->effort_given ? o->effort : pick_effort(rng);
    int turns = o->split == EXAM_TRAIN ? pick_turns(rng) : 1;
    bool system = o->split == EXAM_TRAIN && rng_below(rng, 4) == 0;
    struct buf body = { 0 };
    for (int i = 0; i < turns; i++) {
        const struct mix *m = pick_mix(rng);
        const struct exam_family *f = o->family ? o->family : exam_family_find(str_from(m->family));
        int level = o->family ? (o->level ? o->level : (int)rng_range(rng, 1, exam_family_levels(f)))
                              : pick_level(rng, m, f);
        exam_generate(f, level, effort, o->split, rng, p);
        buf_puts(&body, i ? "," : "");
        put_turn(&body, p);
    }
    buf_putc(out, '{');
    put_json(out, "family", str_from(exam_family_name(p->family)));
    buf_printf(out, ",\"level\":%d,\"new\":%s,", p->level, p->new_wording ? "true" : "false");
    put_json(out, "effort", str_from(exam_effort_name(effort)));
    buf_putc(out, ',');
    put_json(out, "system", str_from(system ? systems[rng_below(rng, ARRAY_LEN(systems))] : ""));
    buf_printf(out, ",\"turns\":[%.*s]}\n", STR_ARG(buf_str(&body)));
    buf_free(&body);
}

static int usage(void)
{
    fputs("usage: corpus --seed S --count N [--held-out] [--family NAME] [--level L] [--effort "
          "low|medium|high|xhigh]\n",
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
        else if (!strcmp(argv[i], "--effort") && exam_effort_from(str_from(value), &o->effort))
            o->effort_given = true;
        else
            return false;
        i++;
    }
    if (o->family && o->level > exam_family_levels(o->family))
        return false;
    return !(o->family && !exam_family_trains(o->family) && o->split == EXAM_TRAIN);
}

int main(int argc, char **argv)
{
    struct options o = { .seed = 1, .count = 1000 };
    struct exam_problem p = { 0 };
    struct buf out = { 0 };
    struct rng rng;
    if (!parse(argc, argv, &o))
        return usage();
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
    buf_free(&out);
    return fflush(stdout) ? 1 : 0;
}
