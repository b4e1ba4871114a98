/*
 * schema.c - any JSON as a schema: it compiles, or is refused with a sentence; what it then lets through is JSON.
 *
 * The first byte seeds a walk over what the grammar allows, behind it stands the schema. The walk is finished by
 * the way to the nearest end, and our own reader, which refuses what is said twice, must take the text.
 */
#include "base/rng.h"
#include "grammar/grammar.h"
#include "json/json.h"

#include <assert.h>

#define STEPS_MAX   100
#define CLOSING_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A vocabulary of all bytes: the id of a byte is the byte. */
static struct grammar_vocab *bytes_vocab(void)
{
    static struct grammar_vocab *vocab;
    static struct str tokens[257];
    static char texts[257][8];
    static int32_t types[257];
    static float scores[257];
    if (vocab)
        return vocab;
    for (unsigned i = 0; i < 257; i++) {
        snprintf(texts[i], sizeof texts[i], i < 256 ? "<0x%02X>" : "</s>", i);
        tokens[i] = str_from(texts[i]);
        types[i] = i < 256 ? TOKEN_BYTE : TOKEN_CONTROL;
    }
    struct vocabulary v = { .model = STR("llama"),
                            .tokens = tokens,
                            .types = types,
                            .scores = scores,
                            .n_tokens = 257,
                            .bos = -1,
                            .eos = 256,
                            .eot = -1,
                            .unk = -1,
                            .pad = -1 };
    struct tokenizer *t;
    struct err err;
    enum err_code code = tokenizer_open(&t, &v, &err);
    assert(!code);
    grammar_vocab_open(&vocab, t);
    return vocab;
}

static void step(struct matcher *m, struct rng *r, struct buf *text)
{
    size_t words, n = 0;
    const uint64_t *mask = matcher_mask(m, &words);
    int32_t ids[256];
    for (int32_t i = 0; i < 256; i++)
        if (mask[i / 64] >> (i % 64) & 1)
            ids[n++] = i;
    assert(n || matcher_may_end(m));
    if (!n)
        return;
    int32_t id = ids[rng_below(r, n)];
    bool taken = matcher_accept(m, id);
    assert(taken);
    buf_putc(text, (char)id);
}

static void walk(struct grammar *g, uint8_t seed)
{
    struct matcher *m;
    struct rng r;
    struct buf text = { 0 };
    struct err err;
    json_t *read;
    rng_init(&r, seed, 0);
    matcher_open(&m, g, bytes_vocab());
    for (int i = 0; i < STEPS_MAX && !matcher_over(m); i++)
        step(m, &r, &text);
    if (matcher_closing(m, CLOSING_MAX, &text)) {
        enum err_code code = json_read(&read, buf_str(&text), &err);
        assert(!code);
        json_decref(read);
    }
    matcher_close(m);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct schema_options options = { .path = "schema",
                                      .strict = size && data[0] & 1,
                                      .layout = size && data[0] & 2 ? LAYOUT_SPACED : LAYOUT_COMPACT };
    struct err err = { 0 };
    struct grammar *g;
    json_t *schema, *omitted;
    if (!size || json_read(&schema, (struct str){ (const char *)data + 1, size - 1 }, &err))
        return 0;
    if (grammar_open_schema(&g, schema, &options, &omitted, &err)) {
        assert(err.code == ERR_INVALID_SCHEMA && utf8_valid(str_from(err.message)));
    } else {
        walk(g, data[0]);
        grammar_unref(g);
        json_decref(omitted);
    }
    json_decref(schema);
    return 0;
}
