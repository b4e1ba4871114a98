/*
 * rope.c - the angles of rotary positions (Su et al. 2021) and the ways files stretch them.
 *
 * Pair i of a head turns by position * f_i, f_i = base^(-2i / n_rot) / divisor_i / factor. Which divisors and
 * factors there are is the model's choice:
 *   linear    all frequencies divided by one factor (Chen et al. 2023)
 *   llama3    rope_freqs.weight divides each; the file brings the finished numbers
 *   yarn      fast pairs keep their frequency, slow ones are divided, a ramp lies between; sines and cosines
 *             grow by 1 + ln(factor) / 10 (Peng et al. 2023)
 *   longrope  one table of divisors for the trained context and one for longer ones (Ding et al. 2024)
 *
 * Angles are put together in double precision: at position 10^5 a float's angle is off by a hundredth.
 */
#include "model/model_impl.h"

#include <math.h>

#define PI 3.14159265358979323846

/* The pair that turns `turns` times over the trained context, as a fraction of an index. */
static double pair_of_turns(const struct rope_shape *s, double base, int32_t n_rot, double turns)
{
    return n_rot * log(s->original_context / (turns * 2 * PI)) / (2 * log(base));
}

/* 1 for pairs that keep their frequency, 0 for those that are divided; between low and high a ramp. */
static double yarn_keeps(double low, double high, size_t i)
{
    double along = ((double)i - low) / fmax(0.001, high - low);
    return 1 - fmin(1, fmax(0, along));
}

static const float *divisors_of(const struct model *m)
{
    const struct weights *w = &m->weights;
    if (!w->rope_long)
        return w->rope_freqs;
    return (double)m->info.context > m->shape.rope.original_context ? w->rope_long : w->rope_short;
}

static void set_frequencies(const struct model *m, bool local, double *f, size_t half)
{
    const struct rope_shape *s = &m->shape.rope;
    double base = local ? s->local_base : s->base, factor = local ? s->local_factor : s->factor;
    const float *divisors = divisors_of(m);
    double low = 0, high = 0;
    if (s->ext_factor != 0) {
        low = fmax(0, floor(pair_of_turns(s, base, m->shape.n_rot, s->beta_fast)));
        high = fmin(m->shape.n_rot - 1, ceil(pair_of_turns(s, base, m->shape.n_rot, s->beta_slow)));
    }
    for (size_t i = 0; i < half; i++) {
        double whole = pow(base, -2.0 * (double)i / m->shape.n_rot);
        if (divisors)
            whole /= (double)divisors[i];
        double keeps = s->ext_factor != 0 ? s->ext_factor * yarn_keeps(low, high, i) : 0;
        f[i] = whole / factor * (1 - keeps) + whole * keeps;
    }
}

static void set_angles(double *to, double position, const double *f, size_t half)
{
    for (size_t i = 0; i < half; i++) {
        to[i] = cos(position * f[i]);
        to[half + i] = sin(position * f[i]);
    }
}

void rope_open(struct rope *r, const struct model *m, bool local)
{
    size_t blocks = (size_t)m->info.context / KV_PAGE_TOKENS + 1;
    r->half = (size_t)m->shape.n_rot / 2;
    r->low = mem_array(KV_PAGE_TOKENS * 2 * r->half, sizeof *r->low);
    r->high = mem_array(blocks * 2 * r->half, sizeof *r->high);
    const struct rope_shape *s = &m->shape.rope;
    r->magnitude = s->attn_factor;
    if (s->ext_factor != 0 && s->factor > 1)
        r->magnitude *= 1 + 0.1 * log(s->factor);
    double *f = mem_array(r->half, sizeof *f);
    set_frequencies(m, local, f, r->half);
    for (size_t i = 0; i < KV_PAGE_TOKENS; i++)
        set_angles(r->low + i * 2 * r->half, (double)i, f, r->half);
    for (size_t i = 0; i < blocks; i++)
        set_angles(r->high + i * 2 * r->half, (double)(i * KV_PAGE_TOKENS), f, r->half);
    mem_free(f);
}

void rope_free(struct rope *r)
{
    mem_free(r->low);
    mem_free(r->high);
    *r = (struct rope){ 0 };
}

/* cos(a + b) = cos a cos b - sin a sin b, sin(a + b) = sin a cos b + cos a sin b */
void rope_at(const struct rope *r, int64_t position, float *cosine, float *sine)
{
    size_t half = r->half, at = (size_t)position;
    const double *cos_a = r->high + at / KV_PAGE_TOKENS * 2 * half, *sin_a = cos_a + half;
    const double *cos_b = r->low + at % KV_PAGE_TOKENS * 2 * half, *sin_b = cos_b + half;
    for (size_t i = 0; i < half; i++) {
        cosine[i] = (float)(r->magnitude * (cos_a[i] * cos_b[i] - sin_a[i] * sin_b[i]));
        sine[i] = (float)(r->magnitude * (sin_a[i] * cos_b[i] + cos_a[i] * sin_b[i]));
    }
}

/* (a, b) -> (a cos - b sin, a sin + b cos) */
static void rotate(float *a, float *b, float cosine, float sine)
{
    float x = *a, y = *b;
    *a = x * cosine - y * sine;
    *b = x * sine + y * cosine;
}

#define AT_A_TIME 8 /* a count that the compiler knows makes vectors of the loop */

static size_t rotate_halves(float *restrict a, float *restrict b, size_t half, const float *restrict cosine,
                            const float *restrict sine)
{
    size_t i = 0;
    for (; i + AT_A_TIME <= half; i += AT_A_TIME)
        for (size_t j = i; j < i + AT_A_TIME; j++)
            rotate(&a[j], &b[j], cosine[j], sine[j]);
    return i;
}

void rope_rotate(enum rope_pairs pairs, float *head, size_t half, const float *cosine, const float *sine)
{
    size_t step = pairs == ROPE_HALVES ? 1 : 2, away = pairs == ROPE_HALVES ? half : 1;
    size_t i = pairs == ROPE_HALVES ? rotate_halves(head, head + half, half, cosine, sine) : 0;
    for (; i < half; i++)
        rotate(head + i * step, head + i * step + away, cosine[i], sine[i]);
}
