/*
 * grammar.c - what a contract costs: compiling it, and a mask for each token.
 *
 *     grammar ENCODER.JSON VOCAB.BPE [DOCUMENTS]
 *
 * The vocabulary is a byte-level one in the two files that GPT-2 and its descendants are published as. A document is a random walk: from each
 * mask a token is drawn, one time in eight the first of the shortest end, so that strings end as they do in life. A mask is timed
 * with the token before it, from asking to having it; the first documents of a grammar make their masks, later ones mostly find
 * them, so both are printed: all documents on one grammar, and each on a fresh one. Times are CPU time of one thread.
 */
#include "grammar/grammar.h"

#include "base/arena.h"
#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TOKENS_MAX  2000 /* of a document */
#define SAMPLES_MAX (1 << 20)
#define CONTROLS    2

/* Shapes that services ask for: strings free and counted, enumerations, numbers, lists, dates, recursion. */
static const char *const schemas[] = {
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"age\":{\"type\":\"integer\"},"
    "\"email\":{\"type\":"
    "\"string\"},\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}},\"required\":[\"name\","
    "\"age\",\"email\","
    "\"tags\"],\"additionalProperties\":false}",
    "{\"type\":\"object\",\"properties\":{\"title\":{\"type\":\"string\",\"maxLength\":80},\"summary\":{"
    "\"type\":\"string\","
    "\"minLength\":20,\"maxLength\":500},\"rating\":{\"type\":\"number\",\"minimum\":0,\"maximum\":5},"
    "\"kind\":{\"enum\":["
    "\"book\",\"film\",\"play\",\"song\"]},\"date\":{\"type\":\"string\",\"format\":\"date\"},\"id\":{"
    "\"type\":\"string\","
    "\"pattern\":\"^[a-z]{3}-[0-9]{4,8}$\"}},\"required\":[\"title\",\"summary\",\"rating\",\"kind\","
    "\"date\",\"id\"],"
    "\"additionalProperties\":false}",
    "{\"type\":\"object\",\"properties\":{\"steps\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":20,"
    "\"items\":{\"type\":"
    "\"object\",\"properties\":{\"explanation\":{\"type\":\"string\"},\"output\":{\"type\":\"string\"}},"
    "\"required\":["
    "\"explanation\",\"output\"],\"additionalProperties\":false}},\"final_answer\":{\"type\":\"string\"}},"
    "\"required\":["
    "\"steps\",\"final_answer\"],\"additionalProperties\":false}",
    "{\"$ref\":\"#/$defs/"
    "node\",\"$defs\":{\"node\":{\"type\":\"object\",\"properties\":{\"value\":{\"type\":[\"string\","
    "\"null\"]},\"children\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/"
    "node\"}}},\"required\":[\"value\",\"children\"],"
    "\"additionalProperties\":false}}}",
};

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print_times(const char *what, double *us, size_t n)
{
    qsort(us, n, sizeof *us, compare);
    printf("%-34s %8zu   p50 %9.2f us   p90 %9.2f   p99 %9.2f   max %9.2f\n", what, n, us[n / 2],
           us[n * 9 / 10], us[n * 99 / 100], us[n - 1]);
}

/* --- the vocabulary ----------------------------------------------------------------------------------------------- */

static struct str *read_merges(const char *path, struct arena *arena, size_t *n)
{
    size_t cap = 1 << 19;
    struct str *merges = arena_array(arena, cap, sizeof *merges);
    char *line = NULL;
    size_t room = 0;
    FILE *f = fopen(path, "r");
    *n = 0;
    for (ssize_t len; f && *n < cap && (len = getline(&line, &room, f)) > 0;)
        if (line[0] != '#')
            merges[(*n)++] = str_trim_end(arena_str(arena, (struct str){ line, (size_t)len }));
    free(line);
    if (f)
        fclose(f);
    return merges;
}

static struct tokenizer *open_tokenizer(const char *encoder, const char *bpe)
{
    static const char *const controls[CONTROLS] = { "<|begin_of_text|>", "<|eot_id|>" };
    struct arena arena = { 0 };
    struct tokenizer *t = NULL;
    struct err err;
    json_t *ids = json_load_file(encoder, 0, NULL), *id;
    const char *text;
    if (!ids) {
        fprintf(stderr, "%s: not a JSON file.\n", encoder);
        exit(1);
    }
    size_t n = json_object_size(ids), n_merges;
    struct str *tokens = arena_array(&arena, n + CONTROLS, sizeof *tokens);
    int32_t *types = arena_array(&arena, n + CONTROLS, sizeof *types);
    json_object_foreach(ids, text, id)
    {
        size_t i = (size_t)json_integer_value(id);
        if (i < n)
            tokens[i] = arena_str(&arena, str_from(text));
    }
    for (size_t i = 0; i < n + CONTROLS; i++) {
        types[i] = i < n ? TOKEN_NORMAL : TOKEN_CONTROL;
        if (i >= n)
            tokens[i] = str_from(controls[i - n]);
    }
    struct str *merges = read_merges(bpe, &arena, &n_merges);
    struct vocabulary v = { .model = STR("gpt2"),
                            .pre = STR("llama-bpe"),
                            .tokens = tokens,
                            .types = types,
                            .n_tokens = n + CONTROLS,
                            .merges = merges,
                            .n_merges = n_merges,
                            .bos = (int32_t)n,
                            .eos = (int32_t)n + 1,
                            .eot = (int32_t)n + 1,
                            .unk = -1,
                            .pad = -1 };
    if (tokenizer_open(&t, &v, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    json_decref(ids);
    arena_free(&arena);
    return t;
}

/* --- walks ------------------------------------------------------------------------------------------------------------ */

struct samples {
    double *us;
    size_t n;
    size_t documents, unfinished;
};

static int32_t nth_bit(const uint64_t *mask, size_t words, size_t n)
{
    for (size_t w = 0; w < words; w++) {
        size_t here = (size_t)__builtin_popcountll(mask[w]);
        if (n >= here) {
            n -= here;
            continue;
        }
        uint64_t bits = mask[w];
        while (n--)
            bits &= bits - 1;
        return (int32_t)(64 * w) + __builtin_ctzll(bits);
    }
    return -1;
}

/* A token the mask allows: one time in eight the longest that begins the shortest end. */
static int32_t draw(const struct tokenizer *t, struct rng *rng, const struct matcher *m, const uint64_t *mask,
                    size_t words)
{
    size_t allowed = 0;
    struct buf end = { 0 };
    int32_t best = -1;
    for (size_t w = 0; w < words; w++)
        allowed += (size_t)__builtin_popcountll(mask[w]);
    if (rng_below(rng, 8) == 0 && matcher_closing(m, 100000, &end)) {
        for (size_t len = end.len < 16 ? end.len : 16; len && best < 0; len--)
            best = tokenizer_find(t, str_slice(buf_str(&end), 0, len));
        if (best >= 0 && !(mask[best / 64] >> (best % 64) & 1))
            best = -1;
    }
    buf_free(&end);
    return best >= 0 ? best : nth_bit(mask, words, (size_t)rng_below(rng, allowed));
}

static void walk(const struct tokenizer *t, struct grammar *g, struct grammar_vocab *v, struct rng *rng,
                 struct samples *s)
{
    struct matcher *m;
    matcher_open(&m, g, v);
    size_t words;
    bool over = false;
    for (int i = 0; i < TOKENS_MAX && !over; i++) {
        double start = now_us();
        const uint64_t *mask = matcher_mask(m, &words);
        if (s->n < SAMPLES_MAX)
            s->us[s->n++] = now_us() - start;
        int32_t id = draw(t, rng, m, mask, words);
        start = now_us();
        over = tokenizer_ends(t, id) || !matcher_accept(m, id);
        if (s->n)
            s->us[s->n - 1] += now_us() - start;
    }
    s->documents++;
    s->unfinished += !over;
    matcher_close(m);
}

/* --- what is measured ---------------------------------------------------------------------------------------------------- */

static struct grammar *compile(const json_t *schema)
{
    struct schema_options o = { .strict = true, .path = "schema", .layout = LAYOUT_COMPACT };
    struct grammar *g;
    struct err err;
    if (grammar_open_schema(&g, schema, &o, NULL, &err)) {
        fprintf(stderr, "%s: %s\n", err.param, err.message);
        exit(1);
    }
    return g;
}

/* The schemas again and again as properties of one, until it is that large as text. */
static json_t *large_schema(size_t bytes)
{
    json_t *all = json_pack("{s:s,s:{},s:[],s:b}", "type", "object", "properties", "required",
                            "additionalProperties", 0);
    for (size_t i = 0, size = 0; size < bytes; i++) {
        char name[32];
        const char *text = schemas[i % (ARRAY_LEN(schemas) - 1)];
        snprintf(name, sizeof name, "part_%zu", i);
        json_object_set_new(json_object_get(all, "properties"), name, json_loads(text, 0, NULL));
        json_array_append_new(json_object_get(all, "required"), json_string(name));
        size += strlen(text) + strlen(name) + 16;
    }
    return all;
}

static void measure_compiling(double *us)
{
    json_t *schema = large_schema(10000);
    for (size_t i = 0; i < 200; i++) {
        double start = now_us();
        struct grammar *g = compile(schema);
        us[i] = now_us() - start;
        grammar_unref(g);
    }
    json_decref(schema);
    print_times("compile, a schema of 10 KB", us, 200);
}

static void measure_masks(const struct tokenizer *t, struct grammar_vocab *v, size_t documents, bool fresh,
                          double *us)
{
    struct samples all = { .us = us };
    struct rng rng;
    char what[64];
    rng_init(&rng, 1, fresh);
    for (size_t k = 0; k < ARRAY_LEN(schemas); k++) {
        json_t *schema = json_loads(schemas[k], 0, NULL);
        struct grammar *g = compile(schema);
        for (size_t i = 0; i < documents; i++) {
            if (fresh) {
                grammar_unref(g);
                g = compile(schema);
            }
            walk(t, g, v, &rng, &all);
        }
        grammar_unref(g);
        json_decref(schema);
    }
    snprintf(what, sizeof what, "mask, %zu documents, %s", all.documents,
             fresh ? "fresh each" : "one grammar");
    print_times(what, us, all.n);
    if (all.unfinished)
        printf("  %zu of them were cut at %d tokens\n", all.unfinished, TOKENS_MAX);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "grammar ENCODER.JSON VOCAB.BPE [DOCUMENTS]\n");
        return 2;
    }
    struct tokenizer *t = open_tokenizer(argv[1], argv[2]);
    size_t documents = argc > 3 ? (size_t)atoi(argv[3]) : 100;
    double *us = mem_array(SAMPLES_MAX, sizeof *us);
    struct grammar_vocab *v;
    double start = now_us();
    grammar_vocab_open(&v, t);
    printf("vocabulary of %zu tokens: %.0f ms\n", tokenizer_size(t), (now_us() - start) / 1e3);
    measure_compiling(us);
    measure_masks(t, v, documents, false, us);
    measure_masks(t, v, documents, true, us);
    grammar_vocab_close(v);
    tokenizer_close(t);
    mem_free(us);
    return 0;
}
