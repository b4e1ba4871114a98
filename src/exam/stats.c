/*
 * stats.c - how sure a figure is: intervals, paired tests, corrections. Pure functions, no state.
 *
 * Wilson: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22, 1927.
 * With p = right/n and z = 1.96: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n). Unlike the
 * textbook interval it stays inside 0..1 and does not shrink to nothing at 0 or n right.
 *
 * McNemar, exact: were two candidates equally good, each question on which they differ would be a fair coin's. The
 * two-sided p is twice the smaller tail of that binomial, 1 at most.
 *
 * Bootstrap: questions of one family and level are alike, so they are drawn together (E. Miller, arXiv 2411.00640, on
 * clustered errors): clusters with replacement, the mean over all their items, and of the means the middle 95%.
 *
 * Holm: S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979: the k-th smallest of n counts n - k + 1
 * times, and none less than a smaller one.
 */
#include "base/mem.h"
#include "exam/run_impl.h"

#include <math.h>
#include <stdlib.h>

#define Z_95 1.959963984540054

struct exam_interval exam_wilson(int64_t right, int64_t n)
{
    if (n <= 0)
        return (struct exam_interval){ 0, 1 };
    double p = (double)right / (double)n, z2 = Z_95 * Z_95 / (double)n;
    double middle = p + z2 / 2, reach = Z_95 * sqrt(p * (1 - p) / (double)n + z2 / (4 * (double)n));
    double low = (middle - reach) / (1 + z2), high = (middle + reach) / (1 + z2);
    /* at 0 and n the ends are exactly 0 and 1; rounding must not push them outside */
    return (struct exam_interval){ right == 0 || low < 0 ? 0 : low, right == n || high > 1 ? 1 : high };
}

double exam_mcnemar(int64_t only_a, int64_t only_b)
{
    int64_t n = only_a + only_b, few = only_a < only_b ? only_a : only_b;
    double tail = 0, whole = lgamma((double)n + 1) - (double)n * log(2);
    /* each term by its logarithm: 2^-n alone is no double from n = 1075 on */
    for (int64_t k = 0; k <= few; k++)
        tail += exp(whole - lgamma((double)k + 1) - lgamma((double)(n - k) + 1));
    return fmin(1, 2 * tail);
}

struct ranked {
    double p;
    size_t at;
};

static int compare_ranked(const void *x, const void *y)
{
    double a = ((const struct ranked *)x)->p, b = ((const struct ranked *)y)->p;
    return (a > b) - (a < b);
}

void exam_holm(double *p, size_t n)
{
    struct ranked *order = mem_array(n, sizeof *order);
    double least = 0;
    for (size_t i = 0; i < n; i++)
        order[i] = (struct ranked){ p[i], i };
    qsort(order, n, sizeof *order, compare_ranked);
    for (size_t i = 0; i < n; i++) {
        least = fmax(least, fmin(1, (double)(n - i) * order[i].p));
        p[order[i].at] = least;
    }
    mem_free(order);
}

struct named {
    uint64_t name;
    size_t at;
};

static int compare_named(const void *x, const void *y)
{
    const struct named *a = x, *b = y;
    return a->name != b->name ? (a->name > b->name) - (a->name < b->name) : (a->at > b->at) - (a->at < b->at);
}

size_t clusters_sum(const uint64_t *names, const double *values, size_t n, struct exam_cluster *out)
{
    struct named *order = mem_array(n, sizeof *order);
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        order[i] = (struct named){ names[i], i };
    qsort(order, n, sizeof *order, compare_named);
    bool one = n > 0 &&
               order[0].name == order[n - 1].name; /* drawing it again and again would show no doubt at all */
    for (size_t i = 0; i < n; i++) {
        if (one || i == 0 || order[i].name != order[i - 1].name)
            out[len++] = (struct exam_cluster){ 0, 0 };
        out[len - 1].sum += values[order[i].at];
        out[len - 1].n++;
    }
    mem_free(order);
    return len;
}

static int compare_doubles(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static double draw_mean(const struct exam_cluster *clusters, size_t len, struct rng *rng)
{
    double sum = 0;
    int64_t n = 0;
    for (size_t i = 0; i < len; i++) {
        const struct exam_cluster *c = &clusters[rng_below(rng, len)];
        sum += c->sum;
        n += c->n;
    }
    return n ? sum / (double)n : 0;
}

struct exam_interval exam_bootstrap(const struct exam_cluster *clusters, size_t len, int rounds,
                                    uint64_t seed)
{
    if (len == 0 || rounds < 1)
        return (struct exam_interval){ 0, 0 };
    struct rng rng;
    double *means = mem_array((size_t)rounds, sizeof *means);
    rng_init(&rng, seed, 0);
    for (int i = 0; i < rounds; i++)
        means[i] = draw_mean(clusters, len, &rng);
    qsort(means, (size_t)rounds, sizeof *means, compare_doubles);
    /* As many means lie outside on either side: of 10,000 the ends are the 251st and the 9,750th. */
    size_t outside = (size_t)rounds / 40;
    struct exam_interval in = { means[outside], means[(size_t)rounds - 1 - outside] };
    mem_free(means);
    return in;
}

double exam_pass_at(int64_t n, int64_t right, int64_t k)
{
    double none = 1; /* that all k are among the n - right wrong ones */
    for (int64_t i = 0; i < k; i++)
        none *= n - right > i ? (double)(n - right - i) / (double)(n - i) : 0;
    return 1 - none;
}
