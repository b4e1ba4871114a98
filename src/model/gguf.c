/*
 * gguf.c - the one place where the bytes of a model file are believed or not.
 *
 * Format: GGUF versions 2 and 3, little-endian (ggml's docs/gguf.md): a magic, a version, two counts, the
 * metadata (key, type, value), the tensor table (name, shape, type, offset), then aligned tensor data.
 * Versions 2 and 3 differ only in that 3 allows big-endian files, which are refused here.
 *
 * Invariant: after gguf_open every view, count and tensor lies inside the bytes it was given, names are
 * printable UTF-8 and unique, and shapes agree with sizes; nobody checks these again.
 */
#include "model/model_impl.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct gguf {
    struct gguf_value *values;   /* sorted by key */
    struct gguf_tensor *tensors; /* sorted by name */
    size_t n_values, n_tensors;
};

#define NAME_ARG(s) (int)((s).len > 80 ? 80 : (s).len), (s).ptr /* names in messages, cut */

/* --- tensor types --------------------------------------------------------------------------------------- */

/* ggml's types: all of them, so that offsets can be checked and a refusal can say the name. Sizes are of one
 * block; a row is a whole number of blocks. Numbers missing here were retired by ggml. */
static const struct tensor_kind {
    uint32_t type;
    const char *name;
    uint32_t block_values, block_bytes;
} tensor_kinds[] = {
    { 0, "F32", 1, 4 },         { 1, "F16", 1, 2 },         { 2, "Q4_0", 32, 18 },
    { 3, "Q4_1", 32, 20 },      { 6, "Q5_0", 32, 22 },      { 7, "Q5_1", 32, 24 },
    { 8, "Q8_0", 32, 34 },      { 9, "Q8_1", 32, 36 },      { 10, "Q2_K", 256, 84 },
    { 11, "Q3_K", 256, 110 },   { 12, "Q4_K", 256, 144 },   { 13, "Q5_K", 256, 176 },
    { 14, "Q6_K", 256, 210 },   { 15, "Q8_K", 256, 292 },   { 16, "IQ2_XXS", 256, 66 },
    { 17, "IQ2_XS", 256, 74 },  { 18, "IQ3_XXS", 256, 98 }, { 19, "IQ1_S", 256, 50 },
    { 20, "IQ4_NL", 32, 18 },   { 21, "IQ3_S", 256, 110 },  { 22, "IQ2_S", 256, 82 },
    { 23, "IQ4_XS", 256, 136 }, { 24, "I8", 1, 1 },         { 25, "I16", 1, 2 },
    { 26, "I32", 1, 4 },        { 27, "I64", 1, 8 },        { 28, "F64", 1, 8 },
    { 29, "IQ1_M", 256, 56 },   { 30, "BF16", 1, 2 },       { 34, "TQ1_0", 256, 54 },
    { 35, "TQ2_0", 256, 66 },   { 39, "MXFP4", 32, 17 },
};

static const struct tensor_kind *tensor_kind(uint32_t type)
{
    for (size_t i = 0; i < ARRAY_LEN(tensor_kinds); i++)
        if (tensor_kinds[i].type == type)
            return &tensor_kinds[i];
    return NULL;
}

const char *gguf_type_name(uint32_t type)
{
    const struct tensor_kind *kind = tensor_kind(type);
    return kind ? kind->name : "unknown";
}

/* --- a cursor that cannot leave the file ------------------------------------------------------------------ */

struct cursor {
    const unsigned char *base;
    size_t at, len; /* at <= len */
};

static size_t left(const struct cursor *c)
{
    return c->len - c->at;
}

/* Little-endian integer of 1, 2, 4 or 8 bytes; any alignment, any host. */
static uint64_t load_le(const unsigned char *p, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static bool take(struct cursor *c, size_t bytes, const unsigned char **out)
{
    if (bytes > left(c))
        return false;
    *out = c->base + c->at;
    c->at += bytes;
    return true;
}

static bool take_u32(struct cursor *c, uint32_t *out)
{
    const unsigned char *p;
    if (!take(c, 4, &p))
        return false;
    *out = (uint32_t)load_le(p, 4);
    return true;
}

static bool take_u64(struct cursor *c, uint64_t *out)
{
    const unsigned char *p;
    if (!take(c, 8, &p))
        return false;
    *out = load_le(p, 8);
    return true;
}

static bool take_str(struct cursor *c, struct str *out)
{
    uint64_t len;
    const unsigned char *p;
    if (!take_u64(c, &len) || len > left(c) || !take(c, (size_t)len, &p))
        return false;
    *out = (struct str){ (const char *)p, (size_t)len };
    return true;
}

static enum err_code ends_early(struct err *err, const char *what, uint64_t i, uint64_t n)
{
    return err_set(err, ERR_FORMAT, NULL, "The GGUF file ends inside %s %" PRIu64 " of %" PRIu64 ".", what,
                   i + 1, n);
}

/* Names go into messages and tables: text, without control characters. */
static bool name_is_fine(struct str name)
{
    if (name.len == 0 || name.len > GGUF_NAME_MAX || !utf8_valid(name))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
            return false;
    return true;
}

/* --- metadata ------------------------------------------------------------------------------------------- */

/* Bytes of one item; 0 for strings, whose length is in the file. */
static const unsigned char item_bytes[GGUF_TYPE_COUNT] = {
    [GGUF_U8] = 1,  [GGUF_I8] = 1,   [GGUF_U16] = 2, [GGUF_I16] = 2, [GGUF_U32] = 4, [GGUF_I32] = 4,
    [GGUF_F32] = 4, [GGUF_BOOL] = 1, [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
};

static bool take_items(struct cursor *c, struct gguf_value *v)
{
    const unsigned char *p;
    if (item_bytes[v->type]) /* count <= 2^24, so the product cannot overflow */
        return take(c, (size_t)v->count * item_bytes[v->type], &p);
    struct str s;
    for (uint64_t i = 0; i < v->count; i++)
        if (!take_str(c, &s))
            return false;
    return true;
}

static bool bools_are_fine(const struct gguf_value *v)
{
    if (v->type == GGUF_BOOL)
        for (uint64_t i = 0; i < v->count; i++)
            if (v->data[i] > 1)
                return false;
    return true;
}

static enum err_code read_value(struct cursor *c, struct gguf_value *v, uint64_t i, uint64_t n,
                                struct err *err)
{
    uint32_t type, item;
    if (!take_str(c, &v->key) || !take_u32(c, &type))
        return ends_early(err, "metadata key", i, n);
    if (!name_is_fine(v->key))
        return err_set(err, ERR_FORMAT, NULL,
                       "Metadata key %" PRIu64 " has a name that is empty, too long or not printable UTF-8.",
                       i + 1);
    v->count = 1;
    v->is_array = type == GGUF_ARRAY;
    if (v->is_array) {
        if (!take_u32(c, &item) || !take_u64(c, &v->count))
            return ends_early(err, "metadata key", i, n);
        type = item;
    }
    if (type >= GGUF_TYPE_COUNT || type == GGUF_ARRAY)
        return err_set(err, ERR_FORMAT, NULL,
                       "Metadata key '%.*s' has value type %u%s, which this build does not read.",
                       NAME_ARG(v->key), type, v->is_array ? " in an array" : "");
    if (v->count > GGUF_ITEMS_MAX)
        return err_set(err, ERR_FORMAT, NULL,
                       "Metadata key '%.*s' has %" PRIu64 " items; at most %" PRIu64 " are read.",
                       NAME_ARG(v->key), v->count, GGUF_ITEMS_MAX);
    v->type = (enum gguf_type)type;
    size_t start = c->at;
    v->data = c->base + start;
    if (!take_items(c, v))
        return err_set(err, ERR_FORMAT, NULL, "The GGUF file ends inside the value of metadata key '%.*s'.",
                       NAME_ARG(v->key));
    v->len = c->at - start;
    if (!bools_are_fine(v))
        return err_set(err, ERR_FORMAT, NULL, "Metadata key '%.*s' holds a bool that is neither 0 nor 1.",
                       NAME_ARG(v->key));
    return ERR_OK;
}

static int by_key(const void *a, const void *b)
{
    return str_cmp(((const struct gguf_value *)a)->key, ((const struct gguf_value *)b)->key);
}

static enum err_code read_values(struct gguf *g, struct cursor *c, uint64_t n, struct err *err)
{
    g->values = mem_array((size_t)n, sizeof *g->values);
    for (; g->n_values < n; g->n_values++) {
        enum err_code code = read_value(c, &g->values[g->n_values], g->n_values, n, err);
        if (code)
            return code;
    }
    qsort(g->values, g->n_values, sizeof *g->values, by_key);
    for (size_t i = 1; i < g->n_values; i++)
        if (by_key(&g->values[i - 1], &g->values[i]) == 0)
            return err_set(err, ERR_FORMAT, NULL, "Metadata key '%.*s' is there twice.",
                           NAME_ARG(g->values[i].key));
    return ERR_OK;
}

/* --- tensors -------------------------------------------------------------------------------------------- */

/* Shape and type to sizes, without overflow: count is at most 2^62, and a block has no more than 8 bytes a value. */
static enum err_code measure(struct gguf_tensor *t, struct err *err)
{
    const struct tensor_kind *kind = tensor_kind(t->type);
    if (!kind)
        return err_set(err, ERR_FORMAT, NULL, "Tensor '%.*s' has type %u, which this build does not know.",
                       NAME_ARG(t->name), t->type);
    t->count = 1;
    for (uint32_t d = 0; d < t->n_dims; d++) {
        if (t->dims[d] == 0 || t->dims[d] > ((uint64_t)1 << 56) / t->count)
            return err_set(err, ERR_FORMAT, NULL, "Tensor '%.*s' has an impossible shape.",
                           NAME_ARG(t->name));
        t->count *= t->dims[d];
    }
    if (t->dims[0] % kind->block_values)
        return err_set(err, ERR_FORMAT, NULL,
                       "Tensor '%.*s' has rows of %" PRIu64 ", not a multiple of %s's block of %u.",
                       NAME_ARG(t->name), t->dims[0], kind->name, kind->block_values);
    t->bytes = t->count / kind->block_values * kind->block_bytes;
    return ERR_OK;
}

/* data: the offset, kept as a number until the data section's start is known. */
static enum err_code read_tensor(struct cursor *c, struct gguf_tensor *t, uint64_t *offset, uint64_t i,
                                 uint64_t n, struct err *err)
{
    if (!take_str(c, &t->name) || !take_u32(c, &t->n_dims))
        return ends_early(err, "the entry of tensor", i, n);
    if (!name_is_fine(t->name))
        return err_set(err, ERR_FORMAT, NULL,
                       "Tensor %" PRIu64 " has a name that is empty, too long or not printable UTF-8.",
                       i + 1);
    if (t->n_dims < 1 || t->n_dims > ARRAY_LEN(t->dims))
        return err_set(err, ERR_FORMAT, NULL, "Tensor '%.*s' has %u dimensions; 1 to 4 are possible.",
                       NAME_ARG(t->name), t->n_dims);
    for (uint32_t d = 0; d < ARRAY_LEN(t->dims); d++) {
        t->dims[d] = 1;
        if (d < t->n_dims && !take_u64(c, &t->dims[d]))
            return ends_early(err, "the entry of tensor", i, n);
    }
    if (!take_u32(c, &t->type) || !take_u64(c, offset))
        return ends_early(err, "the entry of tensor", i, n);
    return measure(t, err);
}

static enum err_code read_alignment(const struct gguf *g, size_t *out, struct err *err)
{
    int64_t alignment = 32;
    if (gguf_find(g, "general.alignment")) {
        enum err_code code = gguf_int(g, "general.alignment", 8, 65536, &alignment, err);
        if (code)
            return code;
        if (alignment & (alignment - 1))
            return err_set(err, ERR_FORMAT, NULL, "general.alignment is %" PRId64 ", not a power of two.",
                           alignment);
    }
    *out = (size_t)alignment;
    return ERR_OK;
}

/* The tensor's bytes within the data section, which begins at start and ends with the file. */
static enum err_code place(struct gguf_tensor *t, uint64_t offset, const struct cursor *c, size_t start,
                           size_t alignment, struct err *err)
{
    if (offset % alignment)
        return err_set(err, ERR_FORMAT, NULL,
                       "Tensor '%.*s' begins at offset %" PRIu64 ", not a multiple of %zu.",
                       NAME_ARG(t->name), offset, alignment);
    uint64_t room = start <= c->len ? c->len - start : 0;
    if (offset > room || t->bytes > room - offset)
        return err_set(err, ERR_FORMAT, NULL,
                       "Tensor '%.*s' needs %" PRIu64 " bytes at offset %" PRIu64
                       ", but the file has %" PRIu64
                       " bytes of tensor data: it is cut short or its table lies.",
                       NAME_ARG(t->name), t->bytes, offset, room);
    t->data = c->base + start + offset;
    return ERR_OK;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct gguf_tensor *)a)->name, ((const struct gguf_tensor *)b)->name);
}

static enum err_code read_tensors(struct gguf *g, struct cursor *c, uint64_t n, struct err *err)
{
    size_t alignment = 0;
    uint64_t *offsets = mem_array((size_t)n, sizeof *offsets);
    g->tensors = mem_array((size_t)n, sizeof *g->tensors);
    enum err_code code = read_alignment(g, &alignment, err);
    for (; !code && g->n_tensors < n; g->n_tensors++)
        code = read_tensor(c, &g->tensors[g->n_tensors], &offsets[g->n_tensors], g->n_tensors, n, err);
    size_t start = code ? 0 : (c->at + alignment - 1) / alignment * alignment;
    for (size_t i = 0; !code && i < n; i++)
        code = place(&g->tensors[i], offsets[i], c, start, alignment, err);
    mem_free(offsets);
    if (code)
        return code;
    qsort(g->tensors, g->n_tensors, sizeof *g->tensors, by_name);
    for (size_t i = 1; i < g->n_tensors; i++)
        if (by_name(&g->tensors[i - 1], &g->tensors[i]) == 0)
            return err_set(err, ERR_FORMAT, NULL, "Tensor '%.*s' is there twice.",
                           NAME_ARG(g->tensors[i].name));
    return ERR_OK;
}

/* --- the file ------------------------------------------------------------------------------------------- */

static enum err_code read_header(struct cursor *c, uint64_t *n_tensors, uint64_t *n_values, struct err *err)
{
    const unsigned char *magic;
    uint32_t version;
    if (!take(c, 4, &magic) || memcmp(magic, "GGUF", 4) != 0)
        return err_set(err, ERR_FORMAT, NULL,
                       "This is not a GGUF file: it does not begin with the letters GGUF.");
    if (!take_u32(c, &version))
        return err_set(err, ERR_FORMAT, NULL, "The GGUF file ends inside its header.");
    if (version != 2 && version != 3) {
        if ((version & 0xffff) == 0)
            return err_set(err, ERR_FORMAT, NULL,
                           "This GGUF file is big-endian; this build reads little-endian files.");
        return err_set(err, ERR_FORMAT, NULL,
                       "This GGUF file has version %u; this build reads versions 2 and 3.", version);
    }
    if (!take_u64(c, n_tensors) || !take_u64(c, n_values))
        return err_set(err, ERR_FORMAT, NULL, "The GGUF file ends inside its header.");
    if (*n_tensors > GGUF_TENSORS_MAX)
        return err_set(err, ERR_FORMAT, NULL,
                       "The GGUF file claims %" PRIu64 " tensors; at most %d are read.", *n_tensors,
                       GGUF_TENSORS_MAX);
    if (*n_values > GGUF_KEYS_MAX)
        return err_set(err, ERR_FORMAT, NULL,
                       "The GGUF file claims %" PRIu64 " metadata keys; at most %d are read.", *n_values,
                       GGUF_KEYS_MAX);
    return ERR_OK;
}

enum err_code gguf_open(struct gguf **out, const void *bytes, size_t len, struct err *err)
{
    struct gguf *g = mem_zalloc(sizeof *g);
    struct cursor c = { bytes, 0, len };
    uint64_t n_tensors = 0, n_values = 0;
    enum err_code code = read_header(&c, &n_tensors, &n_values, err);
    if (!code)
        code = read_values(g, &c, n_values, err);
    if (!code)
        code = read_tensors(g, &c, n_tensors, err);
    if (code) {
        gguf_close(g);
        return code;
    }
    *out = g;
    return ERR_OK;
}

void gguf_close(struct gguf *g)
{
    if (!g)
        return;
    mem_free(g->values);
    mem_free(g->tensors);
    mem_free(g);
}

/* --- lookups -------------------------------------------------------------------------------------------- */

const struct gguf_value *gguf_find(const struct gguf *g, const char *key)
{
    struct gguf_value wanted = { .key = str_from(key) };
    return g->n_values ? bsearch(&wanted, g->values, g->n_values, sizeof wanted, by_key) : NULL;
}

const struct gguf_tensor *gguf_tensor(const struct gguf *g, const char *name)
{
    struct gguf_tensor wanted = { .name = str_from(name) };
    return g->n_tensors ? bsearch(&wanted, g->tensors, g->n_tensors, sizeof wanted, by_name) : NULL;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i)
{
    return i < g->n_tensors ? &g->tensors[i] : NULL;
}

size_t gguf_tensor_index(const struct gguf *g, const struct gguf_tensor *t)
{
    return (size_t)(t - g->tensors);
}

static enum err_code find_single(const struct gguf *g, const char *key, const struct gguf_value **out,
                                 struct err *err)
{
    *out = gguf_find(g, key);
    if (!*out)
        return err_set(err, ERR_FORMAT, NULL, "Metadata key '%s' is missing.", key);
    if ((*out)->is_array)
        return err_set(err, ERR_FORMAT, NULL, "Metadata key '%s' is an array, but one value was expected.",
                       key);
    return ERR_OK;
}

static enum err_code wrong_kind(const char *key, const char *wanted, struct err *err)
{
    return err_set(err, ERR_FORMAT, NULL, "Metadata key '%s' is not %s.", key, wanted);
}

/* False for what is no integer, or does not fit in 63 bits. */
static bool as_i64(const struct gguf_value *v, int64_t *out)
{
    uint64_t raw = load_le(v->data, item_bytes[v->type]);
    switch (v->type) {
    case GGUF_U8:
    case GGUF_U16:
    case GGUF_U32:
    case GGUF_U64: *out = (int64_t)raw; return raw <= INT64_MAX;
    case GGUF_I8: *out = (int8_t)raw; return true;
    case GGUF_I16: *out = (int16_t)raw; return true;
    case GGUF_I32: *out = (int32_t)raw; return true;
    case GGUF_I64: *out = (int64_t)raw; return true;
    default: return false;
    }
}

enum err_code gguf_int(const struct gguf *g, const char *key, int64_t low, int64_t high, int64_t *out,
                       struct err *err)
{
    const struct gguf_value *v;
    int64_t value = 0;
    enum err_code code = find_single(g, key, &v, err);
    if (code)
        return code;
    if (!as_i64(v, &value))
        return wrong_kind(key, "an integer", err);
    if (value < low || value > high)
        return err_set(err, ERR_FORMAT, NULL,
                       "Metadata key '%s' is %" PRId64 "; %" PRId64 " to %" PRId64 " are possible.", key,
                       value, low, high);
    *out = value;
    return ERR_OK;
}

enum err_code gguf_number(const struct gguf *g, const char *key, double *out, struct err *err)
{
    const struct gguf_value *v;
    enum err_code code = find_single(g, key, &v, err);
    if (code)
        return code;
    if (v->type == GGUF_F32) {
        uint32_t bits = (uint32_t)load_le(v->data, 4);
        float f;
        memcpy(&f, &bits, sizeof f);
        *out = (double)f;
    } else if (v->type == GGUF_F64) {
        uint64_t bits = load_le(v->data, 8);
        memcpy(out, &bits, sizeof *out);
    } else
        return wrong_kind(key, "a floating-point number", err);
    return isfinite(*out) ? ERR_OK : wrong_kind(key, "a finite number", err);
}

enum err_code gguf_bool(const struct gguf *g, const char *key, bool *out, struct err *err)
{
    const struct gguf_value *v;
    enum err_code code = find_single(g, key, &v, err);
    if (code)
        return code;
    if (v->type != GGUF_BOOL)
        return wrong_kind(key, "a bool", err);
    *out = v->data[0];
    return ERR_OK;
}

enum err_code gguf_text(const struct gguf *g, const char *key, struct str *out, struct err *err)
{
    const struct gguf_value *v;
    enum err_code code = find_single(g, key, &v, err);
    if (code)
        return code;
    if (v->type != GGUF_STR)
        return wrong_kind(key, "a string", err);
    gguf_strings(v, out);
    if (!utf8_valid(*out) || (out->len && memchr(out->ptr, 0, out->len)))
        return wrong_kind(key, "text: it holds a NUL or bytes that are not UTF-8", err);
    return ERR_OK;
}

enum err_code gguf_array(const struct gguf *g, const char *key, enum gguf_type a, enum gguf_type b,
                         const struct gguf_value **out, struct err *err)
{
    *out = gguf_find(g, key);
    if (!*out)
        return err_set(err, ERR_FORMAT, NULL, "Metadata key '%s' is missing.", key);
    if (!(*out)->is_array || ((*out)->type != a && (*out)->type != b))
        return wrong_kind(key, "an array of the expected type", err);
    return ERR_OK;
}

void gguf_strings(const struct gguf_value *array, struct str *out)
{
    struct cursor c = { array->data, 0, array->len };
    for (uint64_t i = 0; i < array->count; i++)
        take_str(&c, &out[i]); /* walked once already: cannot fail */
}
