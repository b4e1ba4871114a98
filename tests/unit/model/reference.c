/*
 * reference.c - RMSNorm (Zhang and Sennrich 2019), rotary positions (Su et al. 2021), grouped-query attention
 * (Ainslie et al. 2023), SwiGLU and GeGLU (Shazeer 2020), put together as LLaMA (2023), Qwen 2 and 3, Gemma
 * 3, Phi-3 and gpt-oss do; yarn is Peng et al. 2023, sinks are gpt-oss's model card (2025).
 */
#include "model/reference.h"

#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PI 3.14159265358979323846

static const struct family {
    const char *arch;
    bool neighbours; /* pairs of the rotation */
    bool qk_norm, bias, out_bias, fused, post_norms, sinks, experts;
    int pattern;       /* of so many layers the last sees all; 1: none does */
    double local_base; /* of the rotation in layers with a window; 0: as the others */
    bool embd_scale, gelu, clamped;
    const char *ffn_norm;
} families[] = {
    { .arch = "llama", .neighbours = true, .pattern = 1, .ffn_norm = "ffn_norm" },
    { .arch = "qwen2", .bias = true, .ffn_norm = "ffn_norm" },
    { .arch = "qwen3", .qk_norm = true, .ffn_norm = "ffn_norm" },
    { .arch = "qwen3moe", .qk_norm = true, .experts = true, .ffn_norm = "ffn_norm" },
    { .arch = "gemma3",
      .qk_norm = true,
      .post_norms = true,
      .pattern = 6,
      .local_base = 10000,
      .embd_scale = true,
      .gelu = true,
      .ffn_norm = "ffn_norm" },
    { .arch = "phi3", .fused = true, .pattern = 1, .ffn_norm = "ffn_norm" },
    { .arch = "gpt-oss",
      .bias = true,
      .out_bias = true,
      .sinks = true,
      .experts = true,
      .pattern = 2,
      .clamped = true,
      .ffn_norm = "post_attention_norm" },
};

/* One layer of one model. */
struct view {
    const struct gguf_make *g;
    const struct gguf_make_shape *s;
    const struct reference_extra *extra;
    const struct family *f;
    int layer;
    bool local;
};

static const double *tensor(const struct view *v, const char *name)
{
    char full[64];
    if (v->layer < 0)
        snprintf(full, sizeof full, "%s", name);
    else
        snprintf(full, sizeof full, "blk.%d.%s", v->layer, name);
    return gguf_make_find(v->g, full)->values;
}

static const double *weight(const struct view *v, const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    return tensor(v, full);
}

/* y[rows] = w[rows][cols] x[cols] */
static void product(double *y, const double *w, const double *x, int rows, int cols)
{
    for (int r = 0; r < rows; r++) {
        y[r] = 0;
        for (int c = 0; c < cols; c++)
            y[r] += w[(size_t)r * (size_t)cols + (size_t)c] * x[c];
    }
}

static void add(double *y, const double *x, int n)
{
    for (int i = 0; i < n; i++)
        y[i] += x[i];
}

static void norm(double *y, const double *x, const double *w, int n)
{
    double squares = 0;
    for (int i = 0; i < n; i++)
        squares += x[i] * x[i];
    for (int i = 0; i < n; i++)
        y[i] = x[i] / sqrt(squares / n + 1e-6) * w[i];
}

/* --- rotation ------------------------------------------------------------------------------------------- */

static int rotated(const struct view *v)
{
    return v->s->n_rot ? v->s->n_rot : v->s->head_dim;
}

/* Yarn: the share of pair i that is not interpolated, 1 above 32 turns within the trained context, 0 below
 * one. */
static double yarn_share(const struct view *v, int i, double base)
{
    double n = rotated(v), context = v->extra->yarn_context;
    double low = floor(n * log(context / (32 * 2 * PI)) / (2 * log(base)));
    double high = ceil(n * log(context / (2 * PI)) / (2 * log(base)));
    low = low < 0 ? 0 : low;
    high = high > n - 1 ? n - 1 : high;
    double ramp = (i - low) / (high - low < 0.001 ? 0.001 : high - low);
    return 1 - (ramp < 0 ? 0 : ramp > 1 ? 1 : ramp);
}

static double angle_of(const struct view *v, int i, int position)
{
    double base = v->local && v->f->local_base != 0 ? v->f->local_base : 10000;
    double factor = v->extra->rope_factor != 0 ? v->extra->rope_factor : 1;
    double angle = position * pow(base, -2.0 * i / rotated(v));
    if (v->local && v->f->local_base != 0)
        factor = 1;
    if (v->extra->rope_freqs)
        angle /= (double)v->extra->rope_freqs[i];
    if (v->extra->yarn_context == 0)
        return angle / factor;
    double share = yarn_share(v, i, base);
    return angle / factor * (1 - share) + angle * share;
}

static void rotate(const struct view *v, double *head, int position)
{
    int half = rotated(v) / 2;
    double magnitude = v->extra->rope_magnitude != 0 ? v->extra->rope_magnitude : 1;
    if (v->extra->yarn_context != 0)
        magnitude *= 1 + 0.1 * log(v->extra->rope_factor);
    for (int i = 0; i < half; i++) {
        double angle = angle_of(v, i, position), cosine = magnitude * cos(angle),
               sine = magnitude * sin(angle);
        int at = v->f->neighbours ? 2 * i : i, with = v->f->neighbours ? 2 * i + 1 : i + half;
        double a = head[at], b = head[with];
        head[at] = a * cosine - b * sine;
        head[with] = a * sine + b * cosine;
    }
}

/* --- attention ------------------------------------------------------------------------------------------ */

/* heads[n_heads][head_dim] = which(x), with its bias, norm and rotation. which: "attn_q", "attn_k", "attn_v". */
static void project(const struct view *v, const char *which, int first_row, double *heads, int n_heads,
                    const double *x, int position)
{
    int dim = v->s->head_dim, d = v->s->n_embd, value = strcmp(which, "attn_v") == 0;
    char name[64];
    const double *w = v->f->fused ? weight(v, "attn_qkv") + (size_t)first_row * (size_t)d : weight(v, which);
    product(heads, w, x, n_heads * dim, d);
    snprintf(name, sizeof name, "%s.bias", which);
    if (v->f->bias)
        add(heads, tensor(v, name), n_heads * dim);
    snprintf(name, sizeof name, "%s_norm.weight", which);
    for (int h = 0; h < n_heads && !value; h++) {
        if (v->f->qk_norm)
            norm(heads + h * dim, heads + h * dim, tensor(v, name), dim);
        rotate(v, heads + h * dim, position);
    }
}

static double score_of(const struct view *v, const double *q, const double *k)
{
    double score = 0, cap = v->extra->attn_softcap;
    for (int d = 0; d < v->s->head_dim; d++)
        score += q[d] * k[d];
    score *= v->extra->score_scale != 0 ? v->extra->score_scale : 1 / sqrt(v->s->head_dim);
    return cap != 0 ? cap * tanh(score / cap) : score;
}

/* out[heads][head_dim] of row t; k and v: [rows][kv heads][head_dim]. */
static void attend(const struct view *view, double *out, const double *q, const double *k, const double *v,
                   int t)
{
    const struct gguf_make_shape *s = view->s;
    int dim = s->head_dim, width = s->n_kv_heads * dim;
    int from = view->local && t + 1 > s->window ? t + 1 - s->window : 0;
    double *weights = mem_array((size_t)t + 1, sizeof *weights);
    for (int h = 0; h < s->n_heads; h++) {
        int at = h / (s->n_heads / s->n_kv_heads) * dim;
        double sum = view->f->sinks ? exp(weight(view, "attn_sinks")[h]) : 0;
        for (int i = from; i <= t; i++)
            sum += weights[i] = exp(score_of(view, q + h * dim, k + i * width + at));
        for (int d = 0; d < dim; d++) {
            out[h * dim + d] = 0;
            for (int i = from; i <= t; i++)
                out[h * dim + d] += weights[i] / sum * v[i * width + at + d];
        }
    }
    mem_free(weights);
}

/* --- feed-forward ------------------------------------------------------------------------------------------ */

static double gated(const struct view *v, double gate, double up)
{
    if (v->f->gelu)
        return 0.5 * gate * (1 + tanh(sqrt(2 / PI) * (gate + 0.044715 * gate * gate * gate))) * up;
    if (!v->f->clamped)
        return gate / (1 + exp(-gate)) * up;
    gate = gate > 7 ? 7 : gate;
    up = up > 7 ? 7 : up < -7 ? -7 : up;
    return gate / (1 + exp(-1.702 * gate)) * (up + 1);
}

/* h = down(gate(h) * up(h)); biases may be NULL. */
static void one_network(const struct view *v, double *h, const double *const w[3],
                        const double *const bias[3])
{
    int ff = v->s->n_ff, d = v->s->n_embd;
    double *gate = mem_array((size_t)ff, sizeof *gate), *up = mem_array((size_t)ff, sizeof *up);
    product(gate, w[0], h, ff, d);
    product(up, w[1], h, ff, d);
    if (bias[0]) {
        add(gate, bias[0], ff);
        add(up, bias[1], ff);
    }
    for (int i = 0; i < ff; i++)
        gate[i] = gated(v, gate[i], up[i]);
    product(h, w[2], gate, d, ff);
    if (bias[2])
        add(h, bias[2], d);
    mem_free(up);
    mem_free(gate);
}

static void expert(const struct view *v, double *h, int e)
{
    size_t wide = (size_t)e * (size_t)v->s->n_ff, d = (size_t)v->s->n_embd;
    const double *const w[3] = { weight(v, "ffn_gate_exps") + wide * d, weight(v, "ffn_up_exps") + wide * d,
                                 weight(v, "ffn_down_exps") + wide * d };
    const double *bias[3] = { NULL, NULL, NULL };
    if (v->f->bias) {
        bias[0] = tensor(v, "ffn_gate_exps.bias") + wide;
        bias[1] = tensor(v, "ffn_up_exps.bias") + wide;
        bias[2] = tensor(v, "ffn_down_exps.bias") + (size_t)e * d;
    }
    one_network(v, h, w, bias);
}

/* The router's best, weighed by a softmax over them. h: in and out. */
static void experts(const struct view *v, double *h)
{
    int n = v->s->n_experts, d = v->s->n_embd;
    double *scores = mem_array((size_t)n, sizeof *scores), *all = mem_array((size_t)d, sizeof *all);
    double *one = mem_array((size_t)d, sizeof *one), sum = 0, first = 0;
    product(scores, weight(v, "ffn_gate_inp"), h, n, d);
    if (v->f->bias)
        add(scores, tensor(v, "ffn_gate_inp.bias"), n);
    for (int rank = 0; rank < v->s->n_experts_used; rank++) {
        int best = 0;
        for (int e = 1; e < n; e++)
            best = scores[e] > scores[best] ? e : best;
        first = rank == 0 ? scores[best] : first;
        double share = exp(scores[best] - first);
        sum += share;
        memcpy(one, h, (size_t)d * sizeof *one);
        expert(v, one, best);
        for (int i = 0; i < d; i++)
            all[i] += share * one[i];
        scores[best] = -INFINITY;
    }
    for (int i = 0; i < d; i++)
        h[i] = all[i] / sum;
    mem_free(one);
    mem_free(all);
    mem_free(scores);
}

static void feed_forward(const struct view *v, double *x)
{
    int d = v->s->n_embd;
    double *h = mem_array((size_t)d, sizeof *h);
    norm(h, x, weight(v, v->f->ffn_norm), d);
    if (v->f->experts) {
        experts(v, h);
    } else {
        const double *up = weight(v, "ffn_up"), *const none[3] = { NULL, NULL, NULL };
        const double *w[3] = { v->f->fused ? up : weight(v, "ffn_gate"), up, weight(v, "ffn_down") };
        if (v->f->fused)
            w[1] += (size_t)v->s->n_ff * (size_t)d;
        one_network(v, h, w, none);
    }
    if (v->f->post_norms)
        norm(h, h, weight(v, "post_ffw_norm"), d);
    add(x, h, d);
    mem_free(h);
}

/* --- all of it --------------------------------------------------------------------------------------------- */

/* x: [n][n_embd], through one layer. */
static void layer_forward(const struct view *view, double *x, int n)
{
    const struct gguf_make_shape *s = view->s;
    int d = s->n_embd, q_width = s->n_heads * s->head_dim, kv_width = s->n_kv_heads * s->head_dim;
    double *h = mem_array((size_t)d, sizeof *h), *q = mem_array((size_t)q_width, sizeof *q);
    double *out = mem_array((size_t)q_width, sizeof *out);
    double *k = mem_array((size_t)(n * kv_width), sizeof *k),
           *v = mem_array((size_t)(n * kv_width), sizeof *v);
    for (int t = 0; t < n; t++) {
        norm(h, x + t * d, weight(view, "attn_norm"), d);
        project(view, "attn_q", 0, q, s->n_heads, h, t);
        project(view, "attn_k", q_width, k + t * kv_width, s->n_kv_heads, h, t);
        project(view, "attn_v", q_width + kv_width, v + t * kv_width, s->n_kv_heads, h, t);
        attend(view, out, q, k, v, t);
        product(h, weight(view, "attn_output"), out, d, q_width);
        if (view->f->out_bias)
            add(h, tensor(view, "attn_output.bias"), d);
        if (view->f->post_norms)
            norm(h, h, weight(view, "post_attention_norm"), d);
        add(x + t * d, h, d);
        feed_forward(view, x + t * d);
    }
    mem_free(v);
    mem_free(k);
    mem_free(out);
    mem_free(q);
    mem_free(h);
}

static void one_view(struct view *v, int layer)
{
    int pattern = v->f->pattern;
    v->layer = layer;
    v->local = v->s->window && pattern && layer >= 0 && (pattern == 1 || layer % pattern != pattern - 1);
}

void reference_forward(const struct gguf_make *g, const struct gguf_make_shape *s,
                       const struct reference_extra *extra, const int32_t *tokens, int n, double *logits)
{
    const struct gguf_make_tensor *embd = gguf_make_find(g, "token_embd.weight");
    int d = s->n_embd, n_vocab = (int)embd->dims[1];
    struct view v = { .g = g, .s = s, .extra = extra, .f = families };
    while (strcmp(v.f->arch, s->arch))
        v.f++;
    double *x = mem_array((size_t)(n * d), sizeof *x), *h = mem_array((size_t)d, sizeof *h);
    for (int t = 0; t < n; t++)
        for (int i = 0; i < d; i++)
            x[t * d + i] = embd->values[tokens[t] * d + i] * (v.f->embd_scale ? sqrt(d) : 1);
    for (int l = 0; l < s->n_layers; l++) {
        one_view(&v, l);
        layer_forward(&v, x, n);
    }
    one_view(&v, -1);
    for (int t = 0; t < n; t++) {
        norm(h, x + t * d, weight(&v, "output_norm"), d);
        product(logits + t * n_vocab, weight(&v, s->tied ? "token_embd" : "output"), h, n_vocab, d);
        for (int i = 0; i < n_vocab && extra->logit_softcap != 0; i++)
            logits[t * n_vocab + i] =
                extra->logit_softcap * tanh(logits[t * n_vocab + i] / extra->logit_softcap);
    }
    mem_free(h);
    mem_free(x);
}
