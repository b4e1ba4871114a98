/*
 * arch.c - the architectures, one row each, and the numbers a file gives for them.
 *
 * All rows are the same transformer: RMS norm before attention and before the feed-forward, rotary
 * positions, grouped-query attention, SwiGLU. Keys are named "<architecture>.<key>" (ggml's docs/gguf.md).
 * A key that would change what is computed and that this build does not implement is refused by name.
 */
#include "model/model_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct architecture architectures[] = {
    /* name     rotation         qk_norm rope_freqs                                                          */
    { "qwen3", ROPE_HALVES, true, false },     /* Qwen3 (2025): no biases, a norm on each head's q and k    */
    { "llama", ROPE_NEIGHBOURS, false, true }, /* Llama 1-3; files hold q and k permuted so that neighbours */
                                               /* are pairs; Llama 3.1's long context is rope_freqs.weight  */
};

const struct architecture *architecture_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(architectures); i++)
        if (str_is(name, architectures[i].name))
            return &architectures[i];
    return NULL;
}

/* "qwen3.block_count" into a caller's buffer. */
static const char *key_of(char key[128], const struct architecture *arch, const char *name)
{
    snprintf(key, 128, "%s.%s", arch->name, name);
    return key;
}

/* Bounds that keep products within 63 bits and scratch within reason; the largest models have a tenth. */
#define DIM_MAX (1 << 18)

static enum err_code read_int(const struct gguf *g, const struct architecture *arch, const char *name,
                              int64_t low, int64_t high, int32_t *out, struct err *err)
{
    char key[128];
    int64_t value = 0;
    enum err_code code = gguf_int(g, key_of(key, arch, name), low, high, &value, err);
    if (!code)
        *out = (int32_t)value;
    return code;
}

/* The same for a key that may be absent; *out holds its default. */
static enum err_code read_int_or(const struct gguf *g, const struct architecture *arch, const char *name,
                                 int64_t low, int64_t high, int32_t *out, struct err *err)
{
    char key[128];
    return gguf_find(g, key_of(key, arch, name)) ? read_int(g, arch, name, low, high, out, err) : ERR_OK;
}

static enum err_code read_number_or(const struct gguf *g, const struct architecture *arch, const char *name,
                                    double low, double high, double *out, struct err *err)
{
    char key[128];
    if (!gguf_find(g, key_of(key, arch, name)))
        return ERR_OK;
    enum err_code code = gguf_number(g, key, out, err);
    if (!code && !(*out >= low && *out <= high))
        code = err_set(err, ERR_FORMAT, NULL, "Metadata key '%s' is %g; %g to %g are possible.", key, *out,
                       low, high);
    return code;
}

/* Keys that change the function computed. A value of zero means "not used" in files that write them. */
static enum err_code refuse_unknown_ways(const struct gguf *g, const struct architecture *arch,
                                         struct err *err)
{
    static const char *const keys[] = { "expert_count",
                                        "attention.sliding_window",
                                        "attention.clamp_kqv",
                                        "attention.scale",
                                        "logit_scale",
                                        "residual_scale",
                                        "embedding_scale",
                                        "attn_logit_softcapping",
                                        "final_logit_softcapping",
                                        "rope.scaling.attn_factor",
                                        "pooling_type" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        char key[128];
        const struct gguf_value *v = gguf_find(g, key_of(key, arch, keys[i]));
        if (!v)
            continue;
        bool zero = !v->is_array;
        for (size_t b = 0; b < v->len; b++)
            zero = zero && v->data[b] == 0;
        if (!zero)
            return err_set(err, ERR_FORMAT, NULL,
                           "Metadata key '%s' asks for something this build does not compute.", key);
    }
    return ERR_OK;
}

static enum err_code read_rope(struct shape *s, const struct gguf *g, const struct architecture *arch,
                               struct err *err)
{
    char key[128];
    s->rope_base = 10000;
    s->rope_factor = 1;
    enum err_code code = read_number_or(g, arch, "rope.freq_base", 1, 1e12, &s->rope_base, err);
    if (!code)
        code = read_number_or(g, arch, "rope.scale_linear", 1e-3, 1e6, &s->rope_factor, err);
    struct str type = STR("none");
    if (!code && gguf_find(g, key_of(key, arch, "rope.scaling.type")))
        code = gguf_text(g, key, &type, err);
    if (code)
        return code;
    if (str_is(type, "linear"))
        return read_number_or(g, arch, "rope.scaling.factor", 1e-3, 1e6, &s->rope_factor, err);
    if (!str_is(type, "none"))
        return err_set(err, ERR_FORMAT, NULL,
                       "Metadata key '%s' is '%.*s'; this build computes 'none' and 'linear'.", key,
                       STR_ARG(str_slice(type, 0, 40)));
    return ERR_OK;
}

static enum err_code read_dims(struct shape *s, const struct gguf *g, const struct architecture *arch,
                               struct err *err)
{
    enum err_code code;
    int32_t value_length;
    if ((code = read_int(g, arch, "block_count", 1, 1024, &s->n_layers, err)) ||
        (code = read_int(g, arch, "embedding_length", 1, DIM_MAX, &s->n_embd, err)) ||
        (code = read_int(g, arch, "feed_forward_length", 1, DIM_MAX, &s->n_ff, err)) ||
        (code = read_int(g, arch, "attention.head_count", 1, 1024, &s->n_heads, err)))
        return code;
    s->n_kv_heads = s->n_heads;
    s->head_dim = s->n_embd / s->n_heads;
    if ((code = read_int_or(g, arch, "attention.head_count_kv", 1, s->n_heads, &s->n_kv_heads, err)) ||
        (code = read_int_or(g, arch, "attention.key_length", 1, 4096, &s->head_dim, err)))
        return code;
    value_length = s->n_rot = s->head_dim;
    if ((code = read_int_or(g, arch, "attention.value_length", 1, 4096, &value_length, err)) ||
        (code = read_int_or(g, arch, "rope.dimension_count", 2, s->head_dim, &s->n_rot, err)))
        return code;
    if (s->n_heads % s->n_kv_heads)
        return err_set(err, ERR_FORMAT, NULL, "%d attention heads cannot share %d KV heads evenly.",
                       s->n_heads, s->n_kv_heads);
    if (value_length != s->head_dim)
        return err_set(err, ERR_FORMAT, NULL, "Values of length %d with keys of length %d are not supported.",
                       value_length, s->head_dim);
    if (s->head_dim < 2 || s->n_rot % 2)
        return err_set(err, ERR_FORMAT, NULL, "A rotation over %d of %d dimensions is not possible.",
                       s->n_rot, s->head_dim);
    return ERR_OK;
}

static enum err_code unknown_architecture(struct str name, struct err *err)
{
    char known[96] = "";
    for (size_t i = 0; i < ARRAY_LEN(architectures); i++) {
        size_t len = strlen(known);
        snprintf(known + len, sizeof known - len, "%s%s", len ? ", " : "", architectures[i].name);
    }
    return err_set(err, ERR_FORMAT, NULL, "Architecture '%.*s' is not one that this build knows: %s.",
                   STR_ARG(str_slice(name, 0, 40)), known);
}

enum err_code shape_read(struct shape *s, const struct architecture **arch, const struct gguf *g,
                         struct err *err)
{
    struct str name;
    enum err_code code = gguf_text(g, "general.architecture", &name, err);
    if (code)
        return code;
    *arch = architecture_find(name);
    if (!*arch)
        return unknown_architecture(name, err);
    *s = (struct shape){ 0 };
    char key[128];
    double eps = 0;
    if ((code = refuse_unknown_ways(g, *arch, err)) || (code = read_dims(s, g, *arch, err)) ||
        (code = gguf_int(g, key_of(key, *arch, "context_length"), 1, 1 << 21, &s->context, err)) ||
        (code = gguf_number(g, key_of(key, *arch, "attention.layer_norm_rms_epsilon"), &eps, err)) ||
        (code = read_rope(s, g, *arch, err)))
        return code;
    if (!(eps >= 0 && eps < 1))
        return err_set(err, ERR_FORMAT, NULL, "Metadata key '%s' is %g; 0 to 1 are possible.", key, eps);
    s->eps = (float)eps;
    return ERR_OK;
}
