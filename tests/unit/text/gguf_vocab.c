/*
 * gguf_vocab.c - see gguf_vocab.h. Format: the metadata part of GGUF version 3, little-endian.
 */
#include "gguf_vocab.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GGUF_BOOL = 7, GGUF_STRING = 8, GGUF_ARRAY = 9 };

/* Bytes of a scalar by GGUF type; 0 for string and array. */
static const uint8_t scalar_bytes[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

struct reader {
    const unsigned char *at, *end;
};

static uint64_t take(struct reader *r, size_t bytes)
{
    uint64_t value = 0;
    assert(bytes <= (size_t)(r->end - r->at));
    memcpy(&value, r->at, bytes);
    r->at += bytes;
    return value;
}

static struct str take_string(struct reader *r)
{
    size_t len = take(r, 8);
    assert(len <= (size_t)(r->end - r->at));
    struct str s = { (const char *)r->at, len };
    r->at += len;
    return s;
}

struct value {
    uint32_t type, item;
    uint64_t scalar, count;
    struct str string;
    const unsigned char *items;
};

static struct value take_value(struct reader *r)
{
    struct value v = { .type = (uint32_t)take(r, 4) };
    if (v.type == GGUF_STRING) {
        v.string = take_string(r);
    } else if (v.type == GGUF_ARRAY) {
        v.item = (uint32_t)take(r, 4);
        v.count = take(r, 8);
        v.items = r->at;
        for (uint64_t i = 0; i < v.count; i++)
            if (v.item == GGUF_STRING)
                take_string(r);
            else
                take(r, scalar_bytes[v.item]);
    } else {
        v.scalar = take(r, scalar_bytes[v.type]);
    }
    return v;
}

static const struct str *strings(struct gguf_vocab *g, struct value v)
{
    struct str *out = arena_array(&g->arena, v.count, sizeof *out);
    struct reader r = { v.items, g->map.ptr + g->map.len };
    for (uint64_t i = 0; i < v.count; i++)
        out[i] = take_string(&r);
    return out;
}

/* A copy, since arrays in the file are not aligned. */
static const void *numbers(struct gguf_vocab *g, struct value v)
{
    void *out = arena_array(&g->arena, v.count, 4);
    memcpy(out, v.items, v.count * 4);
    return out;
}

static void set(struct gguf_vocab *g, struct str key, struct value v)
{
    struct vocabulary *o = &g->v;
    if (!str_starts(key, STR("tokenizer.ggml.")))
        return;
    key = str_slice(key, strlen("tokenizer.ggml."), key.len);
    if (str_is(key, "model"))
        o->model = v.string;
    else if (str_is(key, "pre"))
        o->pre = v.string;
    else if (str_is(key, "tokens"))
        o->tokens = strings(g, v), o->n_tokens = v.count;
    else if (str_is(key, "merges"))
        o->merges = strings(g, v), o->n_merges = v.count;
    else if (str_is(key, "scores"))
        o->scores = numbers(g, v);
    else if (str_is(key, "token_type"))
        o->types = numbers(g, v);
    else if (str_is(key, "bos_token_id"))
        o->bos = (int32_t)v.scalar;
    else if (str_is(key, "eos_token_id"))
        o->eos = (int32_t)v.scalar;
    else if (str_is(key, "unknown_token_id"))
        o->unk = (int32_t)v.scalar;
    else if (str_is(key, "add_bos_token"))
        o->add_bos = v.scalar;
    else if (str_is(key, "add_space_prefix"))
        o->add_space_prefix = v.scalar;
}

bool gguf_vocab_read(struct gguf_vocab *g, const char *path)
{
    struct err err;
    *g = (struct gguf_vocab){
        .v = { .bos = -1, .eos = -1, .eot = -1, .unk = -1, .pad = -1, .add_space_prefix = true }
    };
    if (file_map(&g->map, path, &err))
        return false;
    struct reader r = { g->map.ptr, g->map.ptr + g->map.len };
    if (g->map.len < 24 || memcmp(r.at, "GGUF\3\0\0", 8) != 0)
        return false;
    r.at += 16; /* magic, version, number of tensors */
    for (uint64_t keys = take(&r, 8); keys > 0; keys--) {
        struct str key = take_string(&r);
        set(g, key, take_value(&r));
    }
    return g->v.tokens != NULL;
}

void gguf_vocab_free(struct gguf_vocab *g)
{
    arena_free(&g->arena);
    file_unmap(&g->map);
}

static void read_ids(struct str line, struct ids *ids)
{
    for (line = str_trim(line); line.len;) {
        size_t end = str_find(line, STR(" "));
        int64_t id;
        if (!str_to_i64(str_slice(line, 0, end), &id))
            return;
        ids_put(ids, (int32_t)id);
        line = str_trim_start(str_slice(line, end == SIZE_MAX ? line.len : end, line.len));
    }
}

struct encoding_case *encoding_cases_read(const char *inp, const char *out, size_t *n, struct buf *bytes)
{
    static const struct str separator = { "\n__ggml_vocab_test__\n", 21 };
    struct buf ids = { 0 };
    struct err err;
    *n = 0;
    if (file_read(bytes, inp, MIB, &err) || file_read(&ids, out, MIB, &err))
        return NULL;
    struct encoding_case *cases = mem_array(256, sizeof *cases);
    struct str texts = buf_str(bytes), lines = buf_str(&ids);
    for (size_t at; *n < 256 && (at = str_find(texts, separator)) != SIZE_MAX; ++*n) {
        size_t line = str_find(lines, STR("\n"));
        cases[*n].text = str_slice(texts, 0, at);
        read_ids(str_slice(lines, 0, line), &cases[*n].ids);
        texts = str_slice(texts, at + separator.len, texts.len);
        lines = str_slice(lines, line == SIZE_MAX ? lines.len : line + 1, lines.len);
    }
    buf_free(&ids);
    return cases;
}

void encoding_cases_free(struct encoding_case *cases, size_t n, struct buf *bytes)
{
    for (size_t i = 0; i < n; i++)
        ids_free(&cases[i].ids);
    mem_free(cases);
    buf_free(bytes);
}
