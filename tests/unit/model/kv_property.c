/*
 * kv_property.c - the pool and its tree against a model of them too plain to be wrong: a list of texts.
 *
 * The list has one entry for each page of the tree: the whole text from the start to the page's last token,
 * how many sequences hold it, and when the last of them let go. Everything is found by looking at all
 * entries. Thousands of random operations on a small pool are done on both, and after each the two must tell
 * the same story: lengths, matches, pages used and kept, what was given up and in which order. What pages
 * hold is checked by kv_make.
 */
#include "test.h"

#include "base/rng.h"
#include "model/kv_make.h"

#include <string.h>

enum { PAGE = KV_PAGE_TOKENS, TEXT = 320, TEXTS = 12, LIVE = 6, POOL = 14 };

struct entry {
    int32_t text[TEXT];
    int64_t len, holders, use; /* it is the page that text[len - 1] stands in; len 0: none */
};

struct seq {
    struct kv *kv;            /* NULL: not open */
    int32_t text[TEXT];       /* what it computes, of which len tokens are stored */
    int64_t len, shared, own; /* pages in the tree that it holds; its own behind them */
};

struct world {
    struct rng rng;
    struct model *m;
    struct entry entries[POOL];
    struct seq seqs[LIVE];
    int32_t texts[TEXTS][TEXT];
    int64_t tick, hits, evicted;
};

static int64_t pick(struct world *w, int64_t below)
{
    return (int64_t)rng_below(&w->rng, (uint64_t)below);
}

/* --- the plain model ------------------------------------------------------------------------------------ */

static int64_t count(const struct world *w, bool kept)
{
    int64_t n = 0;
    for (size_t i = 0; i < POOL; i++)
        n += w->entries[i].len > 0 && (!kept || w->entries[i].holders == 0);
    return n;
}

static int64_t pages_free(const struct world *w)
{
    int64_t n = POOL - count(w, false);
    for (size_t i = 0; i < LIVE; i++)
        n -= w->seqs[i].own;
    return n;
}

static int64_t common(const int32_t *a, int64_t n_a, const int32_t *b, int64_t n_b)
{
    int64_t n = n_a < n_b ? n_a : n_b, i = 0;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

static struct entry *entry_of(struct world *w, const int32_t *text, int64_t len)
{
    for (size_t i = 0; i < POOL; i++) {
        struct entry *e = &w->entries[i];
        if (e->len == len && common(e->text, len, text, len) == len)
            return e;
    }
    return NULL;
}

static struct entry *entry_add(struct world *w, const int32_t *text, int64_t len)
{
    struct entry *e = w->entries;
    while (e->len)
        assert_true(++e < w->entries + POOL);
    *e = (struct entry){ .len = len };
    memcpy(e->text, text, (size_t)len * sizeof *text);
    return e;
}

/* Entries for the page after token `base` that agree with text beyond it: the one that agrees most; of
 * several the nearest in order, an earlier one before a later one. */
static struct entry *nearest(struct world *w, const int32_t *text, int64_t base, int64_t len, int64_t *agree)
{
    struct entry *best = NULL;
    bool best_before = false;
    *agree = 0;
    for (size_t i = 0; i < POOL; i++) {
        struct entry *e = &w->entries[i];
        if (e->len <= base || e->len > base + PAGE)
            continue;
        int64_t n = common(e->text, e->len, text, len);
        if (n <= base || n - base < *agree)
            continue;
        bool before = n == e->len || (n < len && e->text[n] < text[n]), better = !best || n - base > *agree;
        if (!better && before != best_before)
            better = before;
        else if (!better) {
            int64_t k = common(e->text, e->len, best->text, best->len);
            bool later = k == best->len || (k < e->len && e->text[k] > best->text[k]);
            better = later == before;
        }
        if (better) {
            best = e;
            best_before = before;
            *agree = n - base;
        }
    }
    return best;
}

static bool has_children(const struct world *w, const struct entry *e)
{
    for (size_t i = 0; i < POOL; i++)
        if (w->entries[i].len > e->len && common(w->entries[i].text, e->len, e->text, e->len) == e->len)
            return true;
    return false;
}

static void plain_take(struct world *w)
{
    if (pages_free(w) > 0)
        return;
    struct entry *oldest = NULL;
    for (size_t i = 0; i < POOL; i++) {
        struct entry *e = &w->entries[i];
        if (e->len && !e->holders && (!oldest || e->use < oldest->use))
            oldest = e;
    }
    assert_non_null(oldest);
    assert_false(has_children(w, oldest));
    oldest->len = 0;
    w->evicted++;
}

static void plain_drop(struct world *w, struct seq *s, int64_t pages)
{
    while (s->shared + s->own > pages) {
        if (s->own) {
            s->own--;
            continue;
        }
        struct entry *e = entry_of(w, s->text, s->shared-- * PAGE);
        if (--e->holders == 0)
            e->use = ++w->tick;
    }
}

/* text up to len becomes an entry in place of the page's beginnings. */
static struct entry *plain_insert(struct world *w, const int32_t *text, int64_t len)
{
    for (int64_t n = (len - 1) / PAGE * PAGE + 1; n < len; n++) {
        struct entry *e = entry_of(w, text, n);
        if (e)
            e->len = 0;
    }
    return entry_add(w, text, len);
}

static void plain_publish(struct world *w, struct seq *s)
{
    for (; (s->shared + 1) * PAGE <= s->len; s->shared++) {
        struct entry *e = entry_of(w, s->text, (s->shared + 1) * PAGE);
        s->own--;
        if (!e)
            e = plain_insert(w, s->text, (s->shared + 1) * PAGE);
        e->holders++;
    }
}

static void plain_close(struct world *w, struct seq *s)
{
    int64_t base = s->shared * PAGE, agree;
    nearest(w, s->text, base, s->len, &agree);
    if (s->len > base && agree < s->len - base) {
        s->own--;
        plain_insert(w, s->text, s->len)->use = ++w->tick;
    }
    plain_drop(w, s, 0);
}

/* What is to be found of text: *whole pages and then tokens of one more, of *part. */
static int64_t plain_lookup(struct world *w, const int32_t *text, int64_t n, int64_t *whole,
                            struct entry **part)
{
    int64_t left = pages_free(w) + count(w, true), agree;
    *whole = 0;
    for (struct entry *e; (*whole + 1) * PAGE <= n && (e = entry_of(w, text, (*whole + 1) * PAGE));
         (*whole)++)
        left -= e->holders == 0;
    *part = nearest(w, text, *whole * PAGE, n < (*whole + 1) * PAGE ? n : (*whole + 1) * PAGE, &agree);
    if (*part && left - ((*part)->holders == 0) <= 0)
        *part = NULL;
    return *whole * PAGE + (*part ? agree : 0);
}

static int64_t plain_match(struct world *w, struct seq *s, int64_t n)
{
    struct entry *part;
    s->len = plain_lookup(w, s->text, n, &s->shared, &part);
    for (int64_t i = 1; i <= s->shared; i++)
        entry_of(w, s->text, i * PAGE)->holders++;
    if (part) {
        if (part->holders == 0)
            part->use = ++w->tick;
        plain_take(w);
        s->own = 1;
    }
    w->hits += s->len;
    return s->len;
}

/* --- operations on both --------------------------------------------------------------------------------- */

/* A text that begins like an earlier one: few tokens, so that beginnings meet again. */
static void write_text(struct world *w, int32_t *text)
{
    const int32_t *like = w->texts[pick(w, TEXTS)];
    int64_t cut = pick(w, 3) ? pick(w, TEXT + 1) : pick(w, TEXT / PAGE + 1) * PAGE;
    for (int64_t i = 0; i < TEXT; i++)
        text[i] = i < cut ? like[i] : (int32_t)pick(w, 3);
}

#define SALT 77 /* whatever it is, nothing changes */

static void do_open(struct world *w, struct seq *s)
{
    int64_t slot = pick(w, TEXTS), n = pick(w, TEXT + 1);
    write_text(w, s->text);
    if (pick(w, 2))
        memcpy(w->texts[slot], s->text, sizeof s->text);
    s->kv = kv_open(w->m);
    kv_set_salt(s->kv, SALT);
    int64_t would = kv_would_match(w->m, SALT, s->text, n), want = plain_match(w, s, n);
    assert_int_equal(would, want);
    assert_int_equal(kv_match(s->kv, s->text, n), want);
    kv_make_check(s->kv);
}

static void do_reserve(struct world *w, struct seq *s, int64_t n)
{
    int64_t more = (s->len + n + PAGE - 1) / PAGE - s->shared - s->own;
    enum err_code want = s->len + n > TEXT                       ? ERR_CONTEXT_LENGTH
                         : more > pages_free(w) + count(w, true) ? ERR_BUSY
                                                                 : ERR_OK;
    assert_int_equal(kv_reserve(s->kv, n, NULL), want);
    for (; want == ERR_OK && more > 0; more--) {
        plain_take(w);
        s->own++;
    }
}

static void do_step(struct world *w, struct seq *s)
{
    int64_t room = (s->shared + s->own) * PAGE - s->len, n = room < TEXT - s->len ? room : TEXT - s->len;
    n = n && pick(w, 2) ? pick(w, n) + 1 : n;
    kv_make_step(s->kv, s->text + s->len, n);
    s->len += n;
    plain_publish(w, s);
}

static void do_fork(struct world *w, struct seq *s, struct seq *child)
{
    int64_t rest = s->len - s->shared * PAGE;
    child->kv = kv_fork(s->kv);
    if (rest && pages_free(w) + count(w, true) == 0) {
        assert_null(child->kv);
        return;
    }
    if (rest)
        plain_take(w);
    for (int64_t i = 1; i <= s->shared; i++)
        entry_of(w, s->text, i * PAGE)->holders++;
    child->len = s->len;
    child->shared = s->shared;
    child->own = rest > 0;
    write_text(w, child->text);
    memcpy(child->text, s->text, (size_t)s->len * sizeof *s->text);
    kv_make_check(child->kv);
}

static void do_truncate(struct world *w, struct seq *s)
{
    int64_t len = pick(w, s->len + 1), whole = len / PAGE;
    int64_t got = kv_truncate(s->kv, len);
    plain_drop(w, s, (len + PAGE - 1) / PAGE);
    if (whole < s->shared) {
        if (pages_free(w) + count(w, true) > 0) {
            plain_take(w);
            plain_drop(w, s, whole);
            s->own = 1;
        } else {
            plain_drop(w, s, whole);
            len = whole * PAGE;
        }
    }
    s->len = len;
    assert_int_equal(got, len);
    int32_t old[TEXT];
    memcpy(old, s->text, sizeof old);
    write_text(w, s->text);
    memcpy(s->text, old, (size_t)len * sizeof *old);
    kv_make_check(s->kv);
}

static void do_close(struct world *w, struct seq *s)
{
    kv_make_check(s->kv);
    kv_close(s->kv);
    plain_close(w, s);
    *s = (struct seq){ 0 };
}

static void do_any(struct world *w)
{
    struct seq *s = &w->seqs[pick(w, LIVE)], *other = &w->seqs[pick(w, LIVE)];
    if (!s->kv) {
        do_open(w, s);
        return;
    }
    switch (pick(w, 10)) {
    case 0: do_close(w, s); break;
    case 1: do_truncate(w, s); break;
    case 2:
        if (!other->kv)
            do_fork(w, s, other);
        break;
    case 3:
    case 4:
    case 5: do_reserve(w, s, pick(w, pick(w, 4) ? 100 : TEXT + 1)); break;
    default: do_step(w, s); break;
    }
}

/* --- do they agree -------------------------------------------------------------------------------------- */

static void compare(struct world *w)
{
    struct kv *open[LIVE];
    size_t n_open = 0;
    for (size_t i = 0; i < LIVE; i++) {
        struct seq *s = &w->seqs[i];
        if (!s->kv)
            continue;
        open[n_open++] = s->kv;
        assert_int_equal(kv_len(s->kv), s->len);
        assert_int_equal(s->kv->n_pages, s->shared + s->own);
        assert_int_equal(s->kv->n_published, s->shared);
    }
    kv_make_check_pool(w->m, open, n_open);
    struct kv_usage usage;
    kv_usage(w->m, &usage);
    assert_int_equal(usage.pages, POOL);
    assert_int_equal(usage.pages_kept, count(w, true));
    assert_int_equal(usage.pages_used, POOL - pages_free(w) - count(w, true));
    assert_int_equal(usage.hits, w->hits);
    assert_int_equal(usage.evicted, w->evicted);
    for (size_t i = 0; i < TEXTS; i++) { /* every stored text is there, and no other */
        int64_t whole, n = pick(w, TEXT + 1);
        struct entry *part;
        assert_int_equal(kv_would_match(w->m, SALT, w->texts[i], n),
                         plain_lookup(w, w->texts[i], n, &whole, &part));
    }
}

static void the_pool_does_what_the_list_does(enum kv_type type, uint64_t seed, int operations)
{
    struct world *w = mem_zalloc(sizeof *w);
    rng_init(&w->rng, seed, 0);
    w->m = kv_make_open(type, POOL, TEXT);
    for (int i = 0; i < operations; i++) {
        do_any(w);
        compare(w);
    }
    assert_true(w->evicted > operations / 50 && w->hits > operations); /* it was tight, and shared */
    for (size_t i = 0; i < LIVE; i++)
        if (w->seqs[i].kv)
            do_close(w, &w->seqs[i]);
    kv_make_close(w->m);
    mem_free(w);
}

static void f32_pages_agree_with_a_list(void **state)
{
    (void)state;
    the_pool_does_what_the_list_does(KV_F32, 1, 4000);
}

static void f16_pages_agree_with_a_list(void **state)
{
    (void)state;
    the_pool_does_what_the_list_does(KV_F16, 2, 2000);
}

static void q8_pages_agree_with_a_list(void **state)
{
    (void)state;
    the_pool_does_what_the_list_does(KV_Q8, 3, 2000);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(f32_pages_agree_with_a_list),
    cmocka_unit_test(f16_pages_agree_with_a_list),
    cmocka_unit_test(q8_pages_agree_with_a_list),
};
TEST_GROUP(model_kv_property, tests)
