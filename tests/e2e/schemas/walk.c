/*
 * walk.c - random texts of schemas, for a validator that is not ours.
 *
 *   walk < REQUESTS > REPLIES, one JSON object a line each
 *
 * A request is {"schema", "seed", "walks", "texts"}. The reply has "error", or "omitted" (what was left out),
 * "texts" (random whole texts: each step takes a token that the mask allows, and after a while the way to the
 * nearest end) and "accepts" (for each of the request's texts: is it whole?). What a walk relies on is asserted: a
 * mask is never empty, and what it allows is accepted.
 */
#include "test.h"

#include "../../unit/grammar/reference.h"
#include "base/rng.h"
#include "json/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX   400
#define CLOSING_MAX 100000

static struct tokenizer *tokenizer;
static struct grammar_vocab *vocab;

/* The bits of a mask as a list; returns how many. */
static size_t allowed(const uint64_t *mask, size_t words, int32_t *ids)
{
    size_t n = 0;
    for (size_t i = 0; i < words * 64; i++)
        if (mask[i / 64] >> (i % 64) & 1)
            ids[n++] = (int32_t)i;
    return n;
}

static bool among(const int32_t *ids, size_t n, int32_t id)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* Mostly any; now and then what ends things, or else texts would never end. */
static int32_t choose(struct rng *r, const int32_t *ids, size_t n)
{
    static const char ends[] = "\"]},:0a";
    if (rng_below(r, 3) == 0) {
        int32_t one = (unsigned char)ends[rng_below(r, sizeof ends - 1)];
        if (among(ids, n, one))
            return one;
    }
    int32_t any = ids[rng_below(r, n)];
    return any >= 0x80 && any < 0x100 && rng_below(r, 8) ? ids[rng_below(r, n)] : any;
}

static void walk(struct grammar *g, struct rng *r, struct buf *out)
{
    struct matcher *m;
    size_t words;
    int32_t ids[1024];
    matcher_open(&m, g, vocab);
    size_t steps = rng_below(r, STEPS_MAX);
    for (size_t i = 0; i < steps; i++) {
        const uint64_t *mask = matcher_mask(m, &words);
        size_t n = allowed(mask, words, ids);
        assert(n > 0);
        int32_t id = choose(r, ids, n);
        bool taken = matcher_allows(m, id) && matcher_accept(m, id);
        assert(taken);
        if (tokenizer_ends(tokenizer, id))
            break;
        buf_put_str(out, tokenizer_bytes(tokenizer, id));
    }
    if (!matcher_may_end(m)) {
        size_t before = out->len;
        bool closed = matcher_closing(m, CLOSING_MAX, out);
        assert(closed);
        size_t taken = matcher_put(m, str_slice(buf_str(out), before, out->len));
        assert(taken == out->len - before && matcher_may_end(m));
    }
    matcher_close(m);
}

static bool accepts(struct grammar *g, struct str text)
{
    struct matcher *m;
    matcher_open(&m, g, vocab);
    bool whole = matcher_put(m, text) == text.len && matcher_may_end(m);
    matcher_close(m);
    return whole;
}

static void put_walks(struct json_writer *w, struct grammar *g, const json_t *request)
{
    struct rng r;
    rng_init(&r, (uint64_t)json_integer_value(json_object_get(request, "seed")), 1);
    jw_key(w, "texts");
    jw_begin_array(w);
    for (json_int_t i = 0; i < json_integer_value(json_object_get(request, "walks")); i++) {
        struct buf text = { 0 };
        walk(g, &r, &text);
        jw_string(w, buf_str(&text));
        buf_free(&text);
    }
    jw_end_array(w);
}

static void put_accepts(struct json_writer *w, struct grammar *g, const json_t *request)
{
    size_t i;
    json_t *text;
    jw_key(w, "accepts");
    jw_begin_array(w);
    json_array_foreach(json_object_get(request, "texts"), i, text)
    {
        jw_bool(w, accepts(g, json_str(text)));
    }
    jw_end_array(w);
}

static void answer(const json_t *request, struct buf *out)
{
    struct json_writer w = { .out = out };
    struct schema_options options = { .path = "" };
    struct err err;
    struct grammar *g;
    json_t *omitted;
    jw_begin_object(&w);
    if (grammar_open_schema(&g, json_object_get(request, "schema"), &options, &omitted, &err)) {
        jw_key(&w, "error");
        jw_cstring(&w, err.message);
    } else {
        jw_key(&w, "omitted");
        jw_value(&w, omitted);
        put_walks(&w, g, request);
        put_accepts(&w, g, request);
        grammar_unref(g);
        json_decref(omitted);
    }
    jw_end_object(&w);
}

int main(void)
{
    static const char *const words[] = { "\"a\"", "{\"", "\":", "\",\"",   "true", "ab",
                                         "12",    "\"}", "\"a", ",\"a\":", "a\":" };
    char *line = NULL;
    size_t cap = 0;
    tokenizer = test_tokenizer(words, ARRAY_LEN(words), NULL, 0);
    grammar_vocab_open(&vocab, tokenizer);
    for (ssize_t len; (len = getline(&line, &cap, stdin)) > 0;) {
        struct buf out = { 0 };
        struct err err;
        json_t *request;
        if (json_read(&request, (struct str){ line, (size_t)len }, &err)) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        answer(request, &out);
        printf("%s\n", out.ptr);
        buf_free(&out);
        json_decref(request);
    }
    free(line);
    grammar_vocab_close(vocab);
    tokenizer_close(tokenizer);
    return 0;
}
