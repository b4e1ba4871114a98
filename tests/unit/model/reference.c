/*
 * reference.c - RMSNorm (Zhang and Sennrich 2019), rotary positions (Su et al. 2021), grouped-query attention
 * (Ainslie et al. 2023), SwiGLU (Shazeer 2020), put together as LLaMA (2023) and Qwen3 (2025) do.
 */
#include "model/reference.h"

#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double *values(const struct gguf_make *g, int layer, const char *name)
{
    char full[64];
    if (layer < 0)
        snprintf(full, sizeof full, "%s.weight", name);
    else
        snprintf(full, sizeof full, "blk.%d.%s.weight", layer, name);
    return gguf_make_find(g, full)->values;
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

static void norm(double *y, const double *x, const double *w, int n)
{
    double squares = 0;
    for (int i = 0; i < n; i++)
        squares += x[i] * x[i];
    for (int i = 0; i < n; i++)
        y[i] = x[i] / sqrt(squares / n + 1e-6) * w[i];
}

static void rotate(double *head, const struct gguf_make_shape *s, const struct reference_extra *extra,
                   int position)
{
    int half = s->head_dim / 2;
    bool neighbours = strcmp(s->arch, "llama") == 0;
    for (int i = 0; i < half; i++) {
        double angle = position / extra->rope_factor * pow(10000.0, -2.0 * i / s->head_dim);
        if (extra->rope_freqs)
            angle /= (double)extra->rope_freqs[i];
        int at = neighbours ? 2 * i : i, with = neighbours ? 2 * i + 1 : i + half;
        double a = head[at], b = head[with];
        head[at] = a * cos(angle) - b * sin(angle);
        head[with] = a * sin(angle) + b * cos(angle);
    }
}

/* Norms (Qwen3) and rotates each head of one row. */
static void ready(double *heads, int n_heads, const double *weight, const struct gguf_make_shape *s,
                  const struct reference_extra *extra, int position)
{
    for (int h = 0; h < n_heads; h++) {
        if (weight)
            norm(heads + h * s->head_dim, heads + h * s->head_dim, weight, s->head_dim);
        rotate(heads + h * s->head_dim, s, extra, position);
    }
}

/* out[heads][head_dim] of row t; k and v: [rows][kv heads][head_dim]. */
static void attend(double *out, const double *q, const double *k, const double *v, int t,
                   const struct gguf_make_shape *s)
{
    int dim = s->head_dim, width = s->n_kv_heads * dim;
    double *weight = mem_array((size_t)t + 1, sizeof *weight);
    for (int h = 0; h < s->n_heads; h++) {
        int at = h / (s->n_heads / s->n_kv_heads) * dim;
        double sum = 0;
        for (int i = 0; i <= t; i++) {
            double score = 0;
            for (int d = 0; d < dim; d++)
                score += q[h * dim + d] * k[i * width + at + d];
            sum += weight[i] = exp(score / sqrt(dim));
        }
        for (int d = 0; d < dim; d++) {
            out[h * dim + d] = 0;
            for (int i = 0; i <= t; i++)
                out[h * dim + d] += weight[i] / sum * v[i * width + at + d];
        }
    }
    mem_free(weight);
}

static void feed_forward(double *x, const struct gguf_make *g, const struct gguf_make_shape *s, int layer)
{
    double *h = mem_array((size_t)s->n_embd, sizeof *h), *gate = mem_array((size_t)s->n_ff, sizeof *gate);
    double *up = mem_array((size_t)s->n_ff, sizeof *up);
    norm(h, x, values(g, layer, "ffn_norm"), s->n_embd);
    product(gate, values(g, layer, "ffn_gate"), h, s->n_ff, s->n_embd);
    product(up, values(g, layer, "ffn_up"), h, s->n_ff, s->n_embd);
    for (int i = 0; i < s->n_ff; i++)
        gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
    product(h, values(g, layer, "ffn_down"), gate, s->n_embd, s->n_ff);
    for (int i = 0; i < s->n_embd; i++)
        x[i] += h[i];
    mem_free(up);
    mem_free(gate);
    mem_free(h);
}

/* x: [n][n_embd], through one layer. */
static void layer_forward(double *x, int n, const struct gguf_make *g, const struct gguf_make_shape *s,
                          const struct reference_extra *extra, int layer)
{
    bool qk_norm = strcmp(s->arch, "qwen3") == 0;
    int d = s->n_embd, q_width = s->n_heads * s->head_dim, kv_width = s->n_kv_heads * s->head_dim;
    double *h = mem_array((size_t)d, sizeof *h), *q = mem_array((size_t)q_width, sizeof *q);
    double *out = mem_array((size_t)q_width, sizeof *out);
    double *k = mem_array((size_t)(n * kv_width), sizeof *k),
           *v = mem_array((size_t)(n * kv_width), sizeof *v);
    for (int t = 0; t < n; t++) {
        norm(h, x + t * d, values(g, layer, "attn_norm"), d);
        product(q, values(g, layer, "attn_q"), h, q_width, d);
        product(k + t * kv_width, values(g, layer, "attn_k"), h, kv_width, d);
        product(v + t * kv_width, values(g, layer, "attn_v"), h, kv_width, d);
        ready(q, s->n_heads, qk_norm ? values(g, layer, "attn_q_norm") : NULL, s, extra, t);
        ready(k + t * kv_width, s->n_kv_heads, qk_norm ? values(g, layer, "attn_k_norm") : NULL, s, extra, t);
        attend(out, q, k, v, t, s);
        product(h, values(g, layer, "attn_output"), out, d, q_width);
        for (int i = 0; i < d; i++)
            x[t * d + i] += h[i];
        feed_forward(x + t * d, g, s, layer);
    }
    mem_free(v);
    mem_free(k);
    mem_free(out);
    mem_free(q);
    mem_free(h);
}

void reference_forward(const struct gguf_make *g, const struct gguf_make_shape *s,
                       const struct reference_extra *extra, const int32_t *tokens, int n, double *logits)
{
    const struct gguf_make_tensor *embd = gguf_make_find(g, "token_embd.weight");
    int d = s->n_embd, n_vocab = (int)embd->dims[1];
    double *x = mem_array((size_t)(n * d), sizeof *x), *h = mem_array((size_t)d, sizeof *h);
    for (int t = 0; t < n; t++)
        memcpy(x + t * d, embd->values + tokens[t] * d, (size_t)d * sizeof *x);
    for (int l = 0; l < s->n_layers; l++)
        layer_forward(x, n, g, s, extra, l);
    for (int t = 0; t < n; t++) {
        norm(h, x + t * d, values(g, -1, "output_norm"), d);
        product(logits + t * n_vocab, values(g, -1, s->tied ? "token_embd" : "output"), h, n_vocab, d);
    }
    mem_free(h);
    mem_free(x);
}
