/*
 * drafts.c - which of several texts to show where there is nothing to vote on.
 *
 * The medoid: the draft that is most like all others, by the share of word pairs that two texts have in common (Jaccard).
 * The beginning and the end count as words, so a text of one word has pairs too. No model takes part, and the order
 * of the drafts decides only between equals.
 *
 * Threads: no state.
 */
#include "reason/reason_impl.h"

#include <assert.h>
#include <stdlib.h>

#define WORDS_MAX 4096 /* of a draft that are looked at */

struct pairs {
    uint64_t *hash; /* sorted, each once */
    size_t n;
};

static int compare(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static struct str next_word(struct str *rest)
{
    size_t end = 0;
    *rest = str_trim_start(*rest);
    while (end < rest->len && !is_blank(rest->ptr[end]))
        end++;
    struct str word = str_slice(*rest, 0, end);
    *rest = str_slice(*rest, end, rest->len);
    return word;
}

static struct pairs pairs_of(struct str text)
{
    struct pairs p = { mem_array(WORDS_MAX + 1, sizeof *p.hash), 0 };
    uint64_t before = 0;
    struct str word;
    while ((word = next_word(&text)).len && p.n < WORDS_MAX) {
        uint64_t h = str_hash(word);
        p.hash[p.n++] = before * 0x9e3779b97f4a7c15u ^ h;
        before = h;
    }
    p.hash[p.n++] = before * 0x9e3779b97f4a7c15u ^ 1;
    qsort(p.hash, p.n, sizeof *p.hash, compare);
    size_t kept = 1;
    for (size_t i = 1; i < p.n; i++)
        if (p.hash[i] != p.hash[i - 1])
            p.hash[kept++] = p.hash[i];
    p.n = kept;
    return p;
}

/* In millionths, so that sums are the same in any order. */
static int64_t likeness(const struct pairs *a, const struct pairs *b)
{
    size_t i = 0, j = 0, both = 0;
    while (i < a->n && j < b->n) {
        bool same = a->hash[i] == b->hash[j], less = a->hash[i] < b->hash[j];
        both += same;
        i += same || less;
        j += same || !less;
    }
    return (int64_t)(both * 1000000 / (a->n + b->n - both));
}

size_t drafts_medoid(const struct str *texts, size_t n)
{
    assert(n > 0);
    struct pairs *pairs = mem_array(n, sizeof *pairs);
    size_t best = 0;
    int64_t most = -1;
    for (size_t i = 0; i < n; i++)
        pairs[i] = pairs_of(texts[i]);
    for (size_t i = 0; i < n; i++) {
        int64_t sum = 0;
        for (size_t j = 0; j < n; j++)
            sum += i == j ? 0 : likeness(&pairs[i], &pairs[j]);
        if (sum > most) {
            most = sum;
            best = i;
        }
    }
    for (size_t i = 0; i < n; i++)
        mem_free(pairs[i].hash);
    mem_free(pairs);
    return best;
}
