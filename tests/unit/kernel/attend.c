/*
 * attend.c - attention over pages: every variant against the formula in double precision, and the promise that a
 * query's bits come from its own tokens alone.
 */
#include "test.h"

#include "base/rng.h"
#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

enum { PAGE = KV_PAGE_TOKENS, PAGES_MAX = 24, ROWS_MAX = 96, OFFSET = 192 };

static float *random_floats(struct rng *rng, size_t n)
{
    float *x = mem_array(n, sizeof *x); /* exactly n: the sanitizer sees a read past the tail */
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(2 * rng_unit(rng) - 1);
    return x;
}

/* --- a cache, kept twice: in pages, and as what those should stand for ---------------------------------------- */

struct cache {
    enum kv_type type;
    size_t head_dim, page_bytes, n_pages;
    unsigned char *memory;
    float *key, *value;           /* [n_pages][PAGE][head_dim] as given */
    float *kept_key, *kept_value; /* as a page keeps them: after store_all */
};

static void cache_init(struct cache *c, struct rng *rng, enum kv_type type, size_t head_dim, size_t n_pages)
{
    size_t n = n_pages * PAGE * head_dim;
    *c = (struct cache){ .type = type, .head_dim = head_dim, .n_pages = n_pages };
    c->page_bytes = OFFSET + kv_head_bytes(type, head_dim) + 64;
    c->memory = mem_aligned(64, n_pages * c->page_bytes);
    c->key = random_floats(rng, n);
    c->value = random_floats(rng, n);
    c->kept_key = mem_array(n, sizeof(float));
    c->kept_value = mem_array(n, sizeof(float));
    memset(c->memory, 0xff, n_pages * c->page_bytes); /* NaN, until something is stored */
}

static void cache_free(struct cache *c)
{
    mem_free(c->memory);
    mem_free(c->key);
    mem_free(c->value);
    mem_free(c->kept_key);
    mem_free(c->kept_value);
}

static void *head_of(const struct cache *c, size_t page)
{
    return c->memory + page * c->page_bytes + OFFSET;
}

static void store(const struct kernels *k, const struct cache *c, size_t page, size_t at)
{
    size_t row = (page * PAGE + at) * c->head_dim;
    struct kv_store s = { c->type, c->head_dim, head_of(c, page), at, c->key + row, c->value + row };
    k->kv_store(&s);
}

/* x as a page keeps it: rounded to half, or to 127 steps of its largest. */
static void keep(enum kv_type type, const float *x, size_t n, float *kept)
{
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(x[i]));
    for (size_t i = 0; i < n; i++)
        kept[i] = type == KV_F32   ? x[i]
                  : type == KV_F16 ? f16_to_f32(f32_to_f16(x[i]))
                                   : most / 127 * rintf(x[i] / (most / 127));
}

static void store_all(const struct kernels *k, const struct cache *c)
{
    for (size_t i = 0; i < c->n_pages * PAGE; i++) {
        store(k, c, i / PAGE, i % PAGE);
        keep(c->type, c->key + i * c->head_dim, c->head_dim, c->kept_key + i * c->head_dim);
        keep(c->type, c->value + i * c->head_dim, c->head_dim, c->kept_value + i * c->head_dim);
    }
}

/* --- rows, and the formula ----------------------------------------------------------------------------------- */

struct batch {
    struct attend call;
    struct attend_row rows[ROWS_MAX];
    uint32_t pages[ROWS_MAX][PAGES_MAX];
    float *q, *out;
};

static void batch_init(struct batch *b, struct rng *rng, const struct cache *c, size_t n_rows, size_t group)
{
    memset(b, 0, sizeof *b);
    size_t n = n_rows * group * c->head_dim;
    b->q = random_floats(rng, n);
    b->out = random_floats(rng, n);
    for (size_t i = 0; i < n; i++)
        b->q[i] *= 6.0f / sqrtf((float)c->head_dim); /* scores between -4 and 4, most of them */
    for (size_t r = 0; r < n_rows; r++)
        b->rows[r] = (struct attend_row){ .q = b->q + r * group * c->head_dim,
                                          .out = b->out + r * group * c->head_dim,
                                          .pages = b->pages[r] };
    size_t scratch = attend_scratch_bytes(c->head_dim, n_rows * group);
    b->call = (struct attend){ .type = c->type,
                               .head_dim = c->head_dim,
                               .group = group,
                               .memory = c->memory,
                               .page_bytes = c->page_bytes,
                               .offset = OFFSET,
                               .rows = b->rows,
                               .n_rows = n_rows,
                               .scratch = mem_aligned(64, scratch) };
    memset(b->call.scratch, 0xff, scratch); /* what was there before does not matter */
}

static void batch_free(struct batch *b)
{
    mem_free(b->q);
    mem_free(b->out);
    mem_free(b->call.scratch);
}

/* out[head_dim] of query g of the row; *size: the largest value that took part. */
static void formula(const struct cache *c, const struct attend *a, const struct attend_row *row, size_t g,
                    double *out, double *size)
{
    const size_t n = c->head_dim;
    double *s = mem_array((size_t)row->to, sizeof *s), most = a->sinks ? (double)a->sinks[g] : -INFINITY,
           sum = 0;
    memset(out, 0, n * sizeof *out);
    *size = 0;
    for (int64_t t = row->from; t < row->to; t++) {
        const float *key = c->kept_key + ((size_t)row->pages[t / PAGE] * PAGE + (size_t)(t % PAGE)) * n;
        for (size_t i = 0; i < n; i++)
            s[t] += (double)row->q[g * n + i] * (double)key[i];
        if (a->softcap > 0)
            s[t] = (double)a->softcap * tanh(s[t] / (double)a->softcap);
        most = fmax(most, s[t]);
    }
    for (int64_t t = row->from; t < row->to; t++) {
        const float *value = c->kept_value + ((size_t)row->pages[t / PAGE] * PAGE + (size_t)(t % PAGE)) * n;
        double p = exp(s[t] - most);
        sum += p;
        for (size_t i = 0; i < n; i++) {
            out[i] += p * (double)value[i];
            *size = fmax(*size, fabs((double)value[i]));
        }
    }
    sum += a->sinks ? exp((double)a->sinks[g] - most) : 0;
    for (size_t i = 0; i < n; i++)
        out[i] /= sum;
    mem_free(s);
}

/* Bounds: F32 sums of up to 256 products, and weights good to a few 1e-7; the 16 bits of Q8's query and weights. */
static void check_formula(const struct cache *c, const struct batch *b)
{
    static const double bound[] = { [KV_F32] = 4e-6, [KV_F16] = 4e-6, [KV_Q8] = 3e-4 };
    double *want = mem_array(c->head_dim, sizeof *want), size;
    for (size_t r = 0; r < b->call.n_rows; r++)
        for (size_t g = 0; g < b->call.group; g++) {
            formula(c, &b->call, &b->rows[r], g, want, &size);
            for (size_t i = 0; i < c->head_dim; i++)
                assert_near(want[i], (double)b->rows[r].out[g * c->head_dim + i], bound[c->type] * size);
        }
    mem_free(want);
}

static const size_t head_dims[] = { 2, 6, 16, 30, 32, 64, 80, 96, 112, 128, 134, 256 };

/* Rows of every kind at once: shared pages, own ones, windows, ends anywhere. */
static void random_rows(struct rng *rng, struct batch *b, size_t n_pages)
{
    for (size_t r = 0; r < b->call.n_rows; r++) {
        struct attend_row *row = &b->rows[r];
        size_t length = (size_t)rng_range(rng, 1, 4);
        bool with_last = r > 0 && rng_range(rng, 0, 2) > 0;
        for (size_t i = 0; i < 4; i++)
            b->pages[r][i] =
                with_last && i < 2 ? b->pages[r - 1][i] : (uint32_t)rng_range(rng, 0, (int64_t)n_pages - 1);
        row->to = rng_range(rng, 1, (int64_t)length * PAGE);
        row->from = rng_range(rng, 0, 2) ? 0 : rng_range(rng, 0, row->to - 1);
    }
}

static void every_variant_follows_the_formula(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 21, 0);
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++)
        for (int type = 0; type < KV_TYPE_COUNT; type++)
            for (size_t d = 0; d < ARRAY_LEN(head_dims); d++)
                for (size_t group = 1; group <= 8; group += (size_t)rng_range(&rng, 1, 3)) {
                    struct cache c;
                    struct batch b;
                    float sinks[8];
                    cache_init(&c, &rng, (enum kv_type)type, head_dims[d], 6);
                    store_all(&k, &c);
                    batch_init(&b, &rng, &c, (size_t)rng_range(&rng, 1, 6), group);
                    random_rows(&rng, &b, c.n_pages);
                    for (size_t g = 0; g < 8; g++)
                        sinks[g] = (float)rng_range(&rng, -3, 6);
                    b.call.sinks = rng_range(&rng, 0, 1) ? sinks : NULL;
                    b.call.softcap = rng_range(&rng, 0, 2) ? 0 : 2.5f;
                    k.attend(&b.call);
                    check_formula(&c, &b);
                    batch_free(&b);
                    cache_free(&c);
                }
}

/* What 8-bit and half pages cost against exact ones: the error that a user chooses with the type of the cache. */
static void pages_are_as_good_as_their_type(void **state)
{
    (void)state;
    static const double bound[] = { [KV_F32] = 1e-5, [KV_F16] = 2e-3, [KV_Q8] = 2e-2 };
    struct rng rng;
    rng_init(&rng, 22, 0);
    struct kernels k = kernels_for(cpu_detect());
    for (int type = 0; type < KV_TYPE_COUNT; type++) {
        struct cache c;
        struct batch b;
        cache_init(&c, &rng, (enum kv_type)type, 128, 6);
        store_all(&k, &c);
        batch_init(&b, &rng, &c, 4, 2);
        random_rows(&rng, &b, c.n_pages);
        k.attend(&b.call);
        const size_t n =
            c.n_pages * PAGE * c.head_dim; /* the formula over what was given, not what was kept */
        memcpy(c.kept_key, c.key, n * sizeof *c.key);
        memcpy(c.kept_value, c.value, n * sizeof *c.value);
        double want[128], size;
        for (size_t r = 0; r < 4; r++)
            for (size_t g = 0; g < 2; g++) {
                formula(&c, &b.call, &b.rows[r], g, want, &size);
                for (size_t i = 0; i < 128; i++)
                    assert_near(want[i], (double)b.rows[r].out[g * 128 + i], bound[type]);
            }
        batch_free(&b);
        cache_free(&c);
    }
}

/* --- bits ------------------------------------------------------------------------------------------------------- */

/* Rows first .. first + count - 1 in a call of their own, with scratch of their own; bits as before. */
static void check_apart(const struct kernels *k, const struct batch *b, size_t first, size_t count)
{
    const size_t n = count * b->call.group * b->call.head_dim,
                 bytes = attend_scratch_bytes(b->call.head_dim, count * b->call.group);
    struct attend_row rows[ROWS_MAX];
    struct attend part = b->call;
    float *out = mem_array(n, sizeof *out);
    memcpy(rows, b->rows + first, count * sizeof *rows);
    for (size_t r = 0; r < count; r++)
        rows[r].out = out + r * b->call.group * b->call.head_dim;
    part.rows = rows;
    part.n_rows = count;
    part.scratch = mem_aligned(64, bytes);
    memset(part.scratch, 0xa5, bytes);
    k->attend(&part);
    assert_memory_equal(out, b->rows[first].out, n * sizeof *out);
    mem_free(part.scratch);
    mem_free(out);
}

static void for_types_and_dims(void (*check)(const struct kernels *, struct rng *, enum kv_type,
                                             size_t head_dim, size_t group))
{
    static const size_t dims[] = { 30, 64, 128 };
    struct rng rng;
    rng_init(&rng, 23, 0);
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++) {
        const bool slow =
            k.attend == kernels_scalar.attend; /* and takes a query at a time: little can go wrong */
        for (int type = 0; type < KV_TYPE_COUNT; type++)
            for (size_t d = 0; d < (slow ? 1 : ARRAY_LEN(dims)); d++)
                for (size_t group = 1; group <= (slow ? 2 : 8); group += 1 + 2 * (group > 2))
                    check(&k, &rng, (enum kv_type)type, dims[d], group);
    }
}

/* Branches over a shared prefix: together, alone, in pairs, in another order. */
static void check_sharing(const struct kernels *k, struct rng *rng, enum kv_type type, size_t head_dim,
                          size_t group)
{
    enum { BRANCHES = 9 };
    struct cache c;
    struct batch b;
    cache_init(&c, rng, type, head_dim, 2 + 2 * BRANCHES);
    store_all(k, &c);
    batch_init(&b, rng, &c, BRANCHES, group);
    for (size_t r = 0; r < BRANCHES; r++) {
        const uint32_t own = (uint32_t)(2 + 2 * r), pages[] = { 0, 1, own, own + 1 };
        memcpy(b.pages[r], pages, sizeof pages);
        b.rows[r].to = 2 * PAGE + 1 + (int64_t)(r * 13);
        b.rows[r].from = r % 3 == 2 ? 40 + (int64_t)r : 0;
    }
    k->attend(&b.call);
    for (size_t r = 0; r < BRANCHES; r++)
        check_apart(k, &b, r, 1);
    for (size_t r = 0; r + 1 < BRANCHES; r += 2)
        check_apart(k, &b, r, 2);
    check_apart(k, &b, 2, 5);
    struct attend_row turned[BRANCHES];
    for (size_t r = 0; r < BRANCHES; r++)
        turned[r] = b.rows[r * 4 % BRANCHES];
    float *before = mem_array(BRANCHES * group * head_dim, sizeof *before);
    memcpy(before, b.out, BRANCHES * group * head_dim * sizeof *before);
    b.call.rows = turned;
    k->attend(&b.call);
    assert_memory_equal(before, b.out, BRANCHES * group * head_dim * sizeof *before);
    mem_free(before);
    batch_free(&b);
    cache_free(&c);
}

static void sharing_changes_no_bit(void **state)
{
    (void)state;
    for_types_and_dims(check_sharing);
}

/* A prefill's rows end one after the other, each at its own token, some behind a window. */
static void check_chunks(const struct kernels *k, struct rng *rng, enum kv_type type, size_t head_dim,
                         size_t group)
{
    enum { TOKENS = 90, START = 50 };
    struct cache c;
    struct batch b;
    cache_init(&c, rng, type, head_dim, 3);
    store_all(k, &c);
    batch_init(&b, rng, &c, TOKENS, group);
    const int64_t window = rng_range(rng, 0, 1) ? 70 : 1000;
    for (size_t r = 0; r < TOKENS; r++) {
        const uint32_t pages[] = { 2, 0, 1 };
        memcpy(b.pages[r], pages, sizeof pages);
        b.rows[r].to = START + 1 + (int64_t)r;
        b.rows[r].from = b.rows[r].to > window ? b.rows[r].to - window : 0;
    }
    k->attend(&b.call);
    for (size_t r = 0; r < TOKENS; r++)
        check_apart(k, &b, r, 1);
    for (size_t r = 0, count; r < TOKENS; r += count) {
        count = (size_t)rng_range(rng, 1, 40);
        count = count < TOKENS - r ? count : TOKENS - r;
        check_apart(k, &b, r, count);
    }
    batch_free(&b);
    cache_free(&c);
}

static void chunking_changes_no_bit(void **state)
{
    (void)state;
    for_types_and_dims(check_chunks);
}

/* The same tokens in other pages, copied as far as they are needed onto pages full of NaN: what is not seen, before
 * a window or behind the end, is in no sum. */
static void check_copies(const struct kernels *k, struct rng *rng, enum kv_type type, size_t head_dim,
                         size_t group)
{
    struct cache c;
    struct batch b;
    cache_init(&c, rng, type, head_dim, 5);
    for (size_t i = 0; i < (size_t)2 * PAGE; i++)
        store(k, &c, i / PAGE, i % PAGE);
    batch_init(&b, rng, &c, 6, group);
    size_t n = (size_t)rng_range(rng, 1, PAGE);
    kv_head_copy(type, head_dim, head_of(&c, 4), head_of(&c, 0), PAGE);
    kv_head_copy(type, head_dim, head_of(&c, 3), head_of(&c, 1), n);
    for (size_t r = 0; r < 6; r++) {
        const uint32_t from[] = { 0, 1 }, copied[] = { 4, 3 }, nothing[] = { 2, 3 };
        memcpy(b.pages[r], r % 3 == 0 ? from : r % 3 == 1 ? copied : nothing, sizeof from);
        b.rows[r].to = PAGE + (int64_t)n;
        b.rows[r].from = r < 3 && r != 2 ? 3 : PAGE + (int64_t)n / 2; /* page 2 lies before the window */
        b.rows[r].q = b.q;
    }
    k->attend(&b.call);
    assert_memory_equal(b.rows[0].out, b.rows[1].out, group * head_dim * sizeof(float));
    for (size_t r = 3; r < 6; r++)
        assert_memory_equal(b.rows[2].out, b.rows[r].out, group * head_dim * sizeof(float));
    for (size_t i = 0; i < 6 * group * head_dim; i++)
        assert_true(isfinite(b.out[i]));
    batch_free(&b);
    cache_free(&c);
}

static void copies_and_what_is_unseen_change_no_bit(void **state)
{
    (void)state;
    for_types_and_dims(check_copies);
}

/* --- the store ---------------------------------------------------------------------------------------------------- */

/* All variants write the same bytes, at every place in the page, and touch no other token. */
static void the_store_writes_what_scalar_writes(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 24, 0);
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++)
        for (int type = 0; type < KV_TYPE_COUNT; type++)
            for (size_t d = 0; d < ARRAY_LEN(head_dims); d++) {
                struct cache c;
                cache_init(&c, &rng, (enum kv_type)type, head_dims[d], 2);
                memset(c.memory, 0,
                       c.n_pages * c.page_bytes); /* padding is written by some, and never counts */
                for (size_t i = 0; i < head_dims[d]; i += 3) {
                    c.key[i] = i % 2 ? 1e-39f : 0; /* token 0: a scale of next to nothing */
                    c.value[head_dims[d] + i] *= 1e6f;
                }
                memcpy(c.key + PAGE * head_dims[d], c.key, PAGE * head_dims[d] * sizeof *c.key);
                memcpy(c.value + PAGE * head_dims[d], c.value, PAGE * head_dims[d] * sizeof *c.value);
                for (size_t at = 0; at < PAGE; at++) {
                    store(&kernels_scalar, &c, 0, at);
                    store(&k, &c, 1, at);
                    assert_memory_equal(head_of(&c, 0), head_of(&c, 1),
                                        kv_head_bytes((enum kv_type)type, head_dims[d]));
                }
                cache_free(&c);
            }
}

static void sizes_and_names(void **state)
{
    (void)state;
    for (int type = 0; type < KV_TYPE_COUNT; type++)
        for (size_t head_dim = 2; head_dim <= 512; head_dim += 2)
            assert_int_equal(kv_head_bytes((enum kv_type)type, head_dim) % 64, 0);
    assert_int_equal(kv_head_bytes(KV_F16, 128), 2 * 128 * PAGE * 2);
    assert_int_equal(kv_head_bytes(KV_Q8, 128), 2 * (128 + 4) * PAGE);
    assert_string_equal(kv_type_names[KV_Q8], "q8_0");
    assert_null(kv_type_names[KV_TYPE_COUNT]);
}

/* --- what is no number ---------------------------------------------------------------------------------------------- */

/* A NaN or an infinity in a key or a value makes the queries that see it NaN or infinite, and nobody else's. */
static void check_nan(const struct kernels *k, struct rng *rng, enum kv_type type, size_t head_dim,
                      size_t group)
{
    struct cache c;
    struct batch b;
    cache_init(&c, rng, type, head_dim, 2);
    const size_t bad = 20, at = bad * head_dim + 1;
    float *where = rng_range(rng, 0, 1) ? c.key : c.value;
    where[at] = rng_range(rng, 0, 1) ? NAN : where == c.value ? -INFINITY : NAN;
    store_all(k, &c);
    batch_init(&b, rng, &c, 8, group);
    for (size_t r = 0; r < 8; r++) {
        b.pages[r][1] = 1;
        b.rows[r].to = r % 2 ? (int64_t)bad : 100;
        b.rows[r].from = r == 4 ? (int64_t)bad + 1 : 0;
    }
    k->attend(&b.call);
    for (size_t r = 0; r < 8; r++)
        for (size_t i = 0; i < group * head_dim; i++) {
            bool sees = r % 2 == 0 && r != 4, all = where == c.key || type == KV_Q8;
            if (!sees)
                assert_true(isfinite(b.rows[r].out[i]));
            else if (all || i % head_dim == 1)
                assert_false(isfinite(b.rows[r].out[i]));
        }
    batch_free(&b);
    cache_free(&c);
}

static void nan_stays_where_it_is_seen(void **state)
{
    (void)state;
    for_types_and_dims(check_nan);
}

/* Scores that overflow to -inf weigh nothing, even a whole page of them; far smaller ones neither. */
static void scores_of_any_size(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 25, 0);
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++)
        for (int which = 0; which < 2; which++) {
            struct cache c;
            struct batch b;
            cache_init(&c, &rng, KV_F32, 16, 3);
            for (size_t t = 0; t < (size_t)3 * PAGE; t++) /* pages 0 and 2 far below page 1 */
                c.key[t * 16] = t / PAGE == 1 ? 0 : which ? -3e38f : -2000.0f;
            store_all(&k, &c);
            batch_init(&b, &rng, &c, 2, 3);
            for (size_t r = 0; r < 2; r++) {
                const uint32_t pages[] = { 0, 1, 2 };
                memcpy(b.pages[r], pages, sizeof pages);
                b.rows[r].from = r ? PAGE : 0;
                b.rows[r].to = r ? 2 * PAGE : 3 * PAGE;
                b.rows[r].q = b.q;
            }
            for (size_t g = 0; g < 3; g++)
                b.q[g * 16] = 20;
            k.attend(&b.call);
            for (size_t i = 0; i < 48; i++)
                assert_near((double)b.rows[1].out[i], (double)b.rows[0].out[i], 1e-7);
            batch_free(&b);
            cache_free(&c);
        }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(sizes_and_names),
    cmocka_unit_test(the_store_writes_what_scalar_writes),
    cmocka_unit_test(every_variant_follows_the_formula),
    cmocka_unit_test(pages_are_as_good_as_their_type),
    cmocka_unit_test(sharing_changes_no_bit),
    cmocka_unit_test(chunking_changes_no_bit),
    cmocka_unit_test(copies_and_what_is_unseen_change_no_bit),
    cmocka_unit_test(nan_stays_where_it_is_seen),
    cmocka_unit_test(scores_of_any_size),
};
TEST_GROUP(kernel_attend, tests)
