/*
 * attend.c - pages of keys and values, and attention over them in plain loops: the definition.
 *
 * Never tuned; the vector files are tested against it. It reads keys and values as they are stored (dequantised
 * exactly) and computes in F32 from there on.
 */
#include "kernel/attend_impl.h"

#include <assert.h>
#include <string.h>

const char *const kv_type_names[KV_TYPE_COUNT + 1] = { [KV_F32] = "f32", [KV_F16] = "f16", [KV_Q8] = "q8_0" };

size_t kv_head_bytes(enum kv_type type, size_t head_dim)
{
    size_t scales = type == KV_Q8 ? 2 * KV_TOKENS * sizeof(float) : 0;
    return kv_round_up(kv_key_bytes(type, head_dim) + kv_value_bytes(type, head_dim) + scales, 64);
}

/* --- reading and writing a page ---------------------------------------------------------------------------- */

/* One scale for 8 bits; a row with a NaN or an infinity gets a scale of NaN, so that it stays one. */
static float scale_q8(const float *x, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            return NAN;
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    }
    return most / 127;
}

static int round_q8(float x, float scale)
{
    if (!(scale > 0)) /* zero, tiny or NaN: the scale says it all */
        return 0;
    float q = x / scale; /* a subnormal scale is coarse, and q may leave the range */
    return q >= 127 ? 127 : q <= -127 ? -127 : (int)lrintf(q);
}

static void store_q8(const struct kv_store *s)
{
    uint8_t *keys = s->head;
    int8_t *values = (int8_t *)s->head + kv_key_bytes(KV_Q8, s->head_dim);
    float *scales = kv_scales(s->head, s->head_dim);
    float of_key = scale_q8(s->key, s->head_dim), of_value = scale_q8(s->value, s->head_dim);
    scales[s->at] = of_key;
    scales[KV_TOKENS + s->at] = of_value;
    for (size_t i = 0; i < s->head_dim; i++) {
        keys[kv_key_at(KV_Q8, s->at, i)] = (uint8_t)(round_q8(s->key[i], of_key) + KV_KEY_OFFSET);
        values[kv_value_at(KV_Q8, s->head_dim, s->at, i)] = (int8_t)round_q8(s->value[i], of_value);
    }
}

void kv_store_scalar(const struct kv_store *s)
{
    assert(s->at < KV_TOKENS);
    if (s->type == KV_Q8) {
        store_q8(s);
        return;
    }
    char *values = (char *)s->head + kv_key_bytes(s->type, s->head_dim);
    for (size_t i = 0; i < s->head_dim; i++) {
        size_t k = kv_key_at(s->type, s->at, i), v = kv_value_at(s->type, s->head_dim, s->at, i);
        if (s->type == KV_F32) {
            ((float *)s->head)[k] = s->key[i];
            ((float *)(void *)values)[v] = s->value[i];
        } else {
            ((uint16_t *)s->head)[k] = f32_to_f16(s->key[i]);
            ((uint16_t *)(void *)values)[v] = f32_to_f16(s->value[i]);
        }
    }
}

/* Keys are rows of one dimension and values lie token by token, in Q8 four by four: the same loops with other
 * sizes. A group of four values is copied whole; what it holds of tokens past n is garbage that nobody reads. */
void kv_head_copy(enum kv_type type, size_t head_dim, void *dst, const void *src, size_t n)
{
    static const size_t unit[] = { [KV_F32] = sizeof(float), [KV_F16] = sizeof(uint16_t), [KV_Q8] = 4 };
    size_t keys = kv_key_bytes(type, head_dim), row = KV_TOKENS * unit[type];
    assert(n <= KV_TOKENS);
    for (size_t at = 0; at < keys; at += row)
        memcpy((char *)dst + at, (const char *)src + at, n * unit[type]);
    size_t whole = type == KV_Q8 ? kv_round_up(n, 4) : n;
    memcpy((char *)dst + keys, (const char *)src + keys, kv_value_bytes(type, head_dim) / KV_TOKENS * whole);
    if (type != KV_Q8)
        return;
    size_t scales = keys + kv_value_bytes(type, head_dim);
    for (size_t part = 0; part < 2; part++, scales += KV_TOKENS * sizeof(float))
        memcpy((char *)dst + scales, (const char *)src + scales, n * sizeof(float));
}

static float key_at(enum kv_type type, size_t head_dim, const void *head, size_t t, size_t i)
{
    size_t k = kv_key_at(type, t, i);
    if (type == KV_F32)
        return ((const float *)head)[k];
    if (type == KV_F16)
        return f16_to_f32(((const uint16_t *)head)[k]);
    float scale = kv_scales((void *)(uintptr_t)head, head_dim)[t];
    return scale * (float)(((const uint8_t *)head)[k] - KV_KEY_OFFSET);
}

static float value_at(enum kv_type type, size_t head_dim, const void *head, size_t t, size_t i)
{
    const char *values = (const char *)head + kv_key_bytes(type, head_dim);
    size_t v = kv_value_at(type, head_dim, t, i);
    if (type == KV_F32)
        return ((const float *)(const void *)values)[v];
    if (type == KV_F16)
        return f16_to_f32(((const uint16_t *)(const void *)values)[v]);
    float scale = kv_scales((void *)(uintptr_t)head, head_dim)[KV_TOKENS + t];
    return scale * (float)((const int8_t *)values)[v];
}

/* --- attention --------------------------------------------------------------------------------------------- */

/* What the vector files keep, see struct attend_work: for each query its running sums, of Q8 its bytes, and 32 bytes;
 * once, the sums of a tile of six queries over a page. */
size_t attend_scratch_bytes(size_t head_dim, size_t queries)
{
    size_t dims = kv_value_dims(head_dim);
    return kv_round_up(queries * (dims * (sizeof(float) + 2) + 32) + 6 * dims * sizeof(float), 64);
}

/* softmax(s) v over some tokens, unfinished: l = sum exp(s - m), o = sum exp(s - m) v. */
struct partial {
    float m, l, *o;
};

/* p becomes what it and the tokens of another (m, l, o) give together. */
static void merge(struct partial *p, const struct partial *with, size_t n)
{
    if (with->m == -INFINITY) /* no token of it weighs anything, and inf - inf is no number */
        return;
    float m = fmaxf(p->m, with->m), mine = expf(p->m - m), its = expf(with->m - m);
    p->m = m;
    p->l = p->l * mine + with->l * its;
    for (size_t i = 0; i < n; i++)
        p->o[i] = p->o[i] * mine + with->o[i] * its;
}

/* One query, one page. A score that is NaN makes l NaN, and with it the whole row. */
static void attend_page(const struct attend *a, const float *q, const void *head, struct attend_span span,
                        struct partial *page)
{
    float s[KV_TOKENS];
    page->m = -INFINITY;
    page->l = 0;
    for (size_t i = 0; i < a->head_dim; i++)
        page->o[i] = 0;
    for (size_t t = span.lo; t < span.hi; t++) {
        s[t] = 0;
        for (size_t i = 0; i < a->head_dim; i++)
            s[t] += q[i] * key_at(a->type, a->head_dim, head, t, i);
        if (a->softcap > 0)
            s[t] = a->softcap * tanhf(s[t] / a->softcap);
        page->m = s[t] > page->m || isnan(s[t]) ? s[t] : page->m;
    }
    for (size_t t = span.lo; t < span.hi && page->m != -INFINITY; t++) {
        float p = expf(s[t] - page->m);
        page->l += p;
        for (size_t i = 0; i < a->head_dim; i++)
            page->o[i] += p * value_at(a->type, a->head_dim, head, t, i);
    }
}

/* out = o / l; a sink takes its part of the sum and gives no value. */
static void finish(const struct partial *p, const float *sink, float *out, size_t n)
{
    float m = sink ? fmaxf(p->m, *sink) : p->m, mine = expf(p->m - m);
    float l = p->l * mine + (sink ? expf(*sink - m) : 0);
    for (size_t i = 0; i < n; i++)
        out[i] = p->o[i] * mine / l;
}

static void attend_query(const struct attend *a, const struct attend_row *row, size_t g)
{
    const size_t n = a->head_dim;
    float *out = a->scratch;
    struct partial all = { -INFINITY, 0, out }, page = { 0, 0, out + n };
    memset(out, 0, n * sizeof *out);
    for (int64_t i = row->from / KV_TOKENS; i * KV_TOKENS < row->to; i++) {
        attend_page(a, row->q + g * n, attend_head(a, row->pages[i]), attend_span(row, i), &page);
        merge(&all, &page, n);
    }
    finish(&all, a->sinks ? a->sinks + g : NULL, row->out + g * n, n);
}

void attend_scalar(const struct attend *a)
{
    for (size_t r = 0; r < a->n_rows; r++)
        for (size_t g = 0; g < a->group; g++)
            attend_query(a, &a->rows[r], g);
}
