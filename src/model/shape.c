/*
 * shape.c - the numbers that a file gives for its architecture, each checked against what is possible.
 *
 * Keys are named "<architecture>.<key>" (ggml's docs/gguf.md; the names are those that llama.cpp's converters
 * write). A key that would change what is computed and that this build does not implement is refused by name.
 */
#include "model/model_impl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Bounds that keep products within 63 bits and scratch within reason; the largest models have a tenth. */
#define DIM_MAX (1 << 18)

struct reader {
    const struct gguf *g;
    const struct architecture *arch;
    struct err *err;
    char key[128]; /* the full name of the last key looked at */
};

static const char *key_of(struct reader *r, const char *name)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->arch->name, name);
    return r->key;
}

static bool has_key(struct reader *r, const char *name)
{
    return gguf_find(r->g, key_of(r, name)) != NULL;
}

static enum err_code read_int(struct reader *r, const char *name, int64_t low, int64_t high, int32_t *out)
{
    int64_t value = 0;
    enum err_code code = gguf_int(r->g, key_of(r, name), low, high, &value, r->err);
    if (!code)
        *out = (int32_t)value;
    return code;
}

/* The same for a key that may be absent; *out holds its default. */
static enum err_code read_int_or(struct reader *r, const char *name, int64_t low, int64_t high, int32_t *out)
{
    return has_key(r, name) ? read_int(r, name, low, high, out) : ERR_OK;
}

static enum err_code read_number_or(struct reader *r, const char *name, double low, double high, double *out)
{
    if (!has_key(r, name))
        return ERR_OK;
    enum err_code code = gguf_number(r->g, r->key, out, r->err);
    if (!code && !(*out >= low && *out <= high))
        code = err_set(r->err, ERR_FORMAT, NULL, "Metadata key '%s' is %g; %g to %g are possible.", r->key,
                       *out, low, high);
    return code;
}

static enum err_code read_float_or(struct reader *r, const char *name, double low, double high, float *out)
{
    double value = (double)*out;
    enum err_code code = read_number_or(r, name, low, high, &value);
    *out = (float)value;
    return code;
}

/* Keys that change the function computed. A value of zero means "not used" in files that write them. */
static enum err_code refuse_unknown_ways(struct reader *r)
{
    static const char *const keys[] = { "attention.clamp_kqv",
                                        "attention.max_alibi_bias",
                                        "attention.temperature_scale",
                                        "logit_scale",
                                        "residual_scale",
                                        "embedding_scale",
                                        "expert_shared_count",
                                        "expert_shared_feed_forward_length",
                                        "expert_group_count",
                                        "leading_dense_block_count",
                                        "rope.scaling.yarn_log_multiplier",
                                        "rope.dimension_sections",
                                        "pooling_type" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct gguf_value *v = gguf_find(r->g, key_of(r, keys[i]));
        if (!v)
            continue;
        bool zero = !v->is_array;
        for (size_t b = 0; b < v->len; b++)
            zero = zero && v->data[b] == 0;
        if (!zero)
            return err_set(r->err, ERR_FORMAT, NULL,
                           "Metadata key '%s' asks for something this build does not compute.", r->key);
    }
    return ERR_OK;
}

static enum err_code read_heads(struct reader *r, struct shape *s)
{
    enum err_code code = read_int(r, "attention.head_count", 1, 1024, &s->n_heads);
    if (code)
        return code;
    s->n_kv_heads = s->n_heads;
    s->head_dim = s->n_embd / s->n_heads;
    if ((code = read_int_or(r, "attention.head_count_kv", 1, s->n_heads, &s->n_kv_heads)) ||
        (code = read_int_or(r, "attention.key_length", 1, 4096, &s->head_dim)))
        return code;
    int32_t value_length = s->head_dim;
    s->n_rot = s->head_dim;
    if ((code = read_int_or(r, "attention.value_length", 1, 4096, &value_length)) ||
        (code = read_int_or(r, "rope.dimension_count", 2, s->head_dim, &s->n_rot)))
        return code;
    if (s->n_heads % s->n_kv_heads)
        return err_set(r->err, ERR_FORMAT, NULL, "%d attention heads cannot share %d KV heads evenly.",
                       s->n_heads, s->n_kv_heads);
    if (value_length != s->head_dim)
        return err_set(r->err, ERR_FORMAT, NULL,
                       "Values of length %d with keys of length %d are not supported.", value_length,
                       s->head_dim);
    if (s->head_dim < 2 || s->n_rot % 2)
        return err_set(r->err, ERR_FORMAT, NULL, "A rotation over %d of %d dimensions is not possible.",
                       s->n_rot, s->head_dim);
    return ERR_OK;
}

/* Files of experts give the dense length too, or the experts' own; where only one is given, it is shared out. */
static enum err_code read_experts(struct reader *r, struct shape *s)
{
    enum err_code code;
    if (!(r->arch->has & HAS_EXPERTS)) {
        int32_t none = 0;
        if ((code = read_int(r, "feed_forward_length", 1, DIM_MAX, &s->n_ff)) ||
            (code = read_int_or(r, "expert_count", 0, 1024, &none)))
            return code;
        return none ? err_set(r->err, ERR_FORMAT, NULL,
                              "Metadata key '%s' asks for something this build does not compute.", r->key)
                    : ERR_OK;
    }
    if ((code = read_int(r, "expert_count", 1, EXPERTS_MAX, &s->n_experts)) ||
        (code = read_int(r, "expert_used_count", 1, s->n_experts, &s->n_experts_used)))
        return code;
    if (has_key(r, "expert_feed_forward_length"))
        return read_int(r, "expert_feed_forward_length", 1, DIM_MAX, &s->n_ff);
    code = read_int(r, "feed_forward_length", s->n_experts_used, DIM_MAX, &s->n_ff);
    s->n_ff /= s->n_experts_used;
    return code;
}

/* How the router's numbers become weights: the architecture says it, and files may say the same. 1: softmax,
 * 4: softmax over the chosen ones. */
static enum err_code check_routing(struct reader *r)
{
    int32_t func = 0;
    double scale = 1;
    bool norm = true;
    enum err_code code;
    if (!(r->arch->has & HAS_EXPERTS))
        return ERR_OK;
    if ((code = read_int_or(r, "expert_gating_func", 0, 255, &func)))
        return code;
    if (func && func != (r->arch->gate == GATE_OAI ? 4 : 1))
        return err_set(r->err, ERR_FORMAT, NULL,
                       "Metadata key '%s' is %d, which this build does not compute.", r->key, func);
    if ((code = read_number_or(r, "expert_weights_scale", -1e6, 1e6, &scale)))
        return code;
    if (scale != 0 && scale != 1)
        return err_set(r->err, ERR_FORMAT, NULL,
                       "Metadata key '%s' is %g, which this build does not compute.", r->key, scale);
    if (has_key(r, "expert_weights_norm") && (code = gguf_bool(r->g, r->key, &norm, r->err)))
        return code;
    if (!norm)
        return err_set(r->err, ERR_FORMAT, NULL,
                       "Metadata key '%s' is false, which this build does not compute.", r->key);
    return ERR_OK;
}

/* A pattern of n: of n layers the last sees all and the others the window; of 1 all see the window. Some files
 * spell it out layer by layer. */
static enum err_code read_windows(struct reader *r, struct shape *s)
{
    int32_t window = 0, pattern = r->arch->window_pattern;
    enum err_code code = read_int_or(r, "attention.sliding_window", 0, INT32_MAX, &window);
    if (code || window == 0)
        return code;
    if (pattern == 0)
        return err_set(r->err, ERR_FORMAT, NULL,
                       "Metadata key '%s' asks for something this build does not compute.", r->key);
    s->window = window;
    const struct gguf_value *v = gguf_find(r->g, key_of(r, "attention.sliding_window_pattern"));
    if (v && v->is_array) {
        if ((code = gguf_array(r->g, r->key, GGUF_BOOL, GGUF_BOOL, &v, r->err)))
            return code;
        if (v->count != (uint64_t)s->n_layers)
            return err_set(r->err, ERR_FORMAT, NULL, "Metadata key '%s' has %" PRIu64 " items for %d layers.",
                           r->key, v->count, s->n_layers);
        for (int32_t l = 0; l < s->n_layers; l++)
            s->local[l] = v->data[l] != 0;
        return ERR_OK;
    }
    if ((code = read_int_or(r, "attention.sliding_window_pattern", 1, LAYERS_MAX, &pattern)))
        return code;
    for (int32_t l = 0; l < s->n_layers; l++)
        s->local[l] = pattern == 1 || l % pattern < pattern - 1;
    return ERR_OK;
}

static enum err_code read_scaling(struct reader *r, struct rope_shape *p)
{
    static const struct {
        const char *name;
        enum rope_scaling scaling;
    } known[] = {
        { "none", ROPE_NONE }, { "linear", ROPE_LINEAR }, { "yarn", ROPE_YARN }, { "longrope", ROPE_LONGROPE }
    };
    struct str type;
    p->scaling = ROPE_LINEAR;
    if (!has_key(r, "rope.scaling.type"))
        return ERR_OK;
    enum err_code code = gguf_text(r->g, r->key, &type, r->err);
    if (code)
        return code;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_is(type, known[i].name)) {
            p->scaling = known[i].scaling;
            return ERR_OK;
        }
    return err_set(
        r->err, ERR_FORMAT, NULL,
        "Metadata key '%s' is '%.*s'; this build computes 'none', 'linear', 'yarn' and 'longrope'.", r->key,
        STR_ARG(str_slice(type, 0, 40)));
}

static enum err_code read_rope(struct reader *r, struct shape *s)
{
    struct rope_shape *p = &s->rope;
    int32_t original = (int32_t)s->context; /* at most 2^21 */
    enum err_code code = read_scaling(r, p);
    if (code)
        return code;
    *p = (struct rope_shape){ .scaling = p->scaling,
                              .base = 10000,
                              .factor = 1,
                              .attn_factor = 1,
                              .ext_factor = p->scaling == ROPE_YARN ? 1 : 0,
                              .beta_fast = 32,
                              .beta_slow = 1 };
    if ((code = read_number_or(r, "rope.freq_base", 1, 1e12, &p->base)) ||
        (code = read_number_or(r, "rope.scale_linear", 1e-3, 1e6, &p->factor)) ||
        (code = read_number_or(r, "rope.scaling.factor", 1e-3, 1e6, &p->factor)) ||
        (code = read_int_or(r, "rope.scaling.original_context_length", 1, 1 << 30, &original)) ||
        (code = read_number_or(r, "rope.scaling.attn_factor", 1e-3, 1e3, &p->attn_factor)) ||
        (code = read_number_or(r, "rope.scaling.yarn_ext_factor", 0, 1, &p->ext_factor)) ||
        (code = read_number_or(r, "rope.scaling.yarn_beta_fast", 1e-3, 1e6, &p->beta_fast)) ||
        (code = read_number_or(r, "rope.scaling.yarn_beta_slow", 1e-3, 1e6, &p->beta_slow)))
        return code;
    p->original_context = original;
    if (p->scaling == ROPE_NONE)
        p->factor = 1;
    p->local_base = r->arch->local_base != 0 ? r->arch->local_base : p->base;
    p->local_factor = r->arch->local_base != 0 ? 1 : p->factor;
    return read_number_or(r, "rope.freq_base_swa", 1, 1e12, &p->local_base);
}

/* Gemma 3's 27B, alone of its family, scales its scores by the width of the model over its heads. */
#define GEMMA3_27B_LAYERS 62

static enum err_code read_scales(struct reader *r, struct shape *s)
{
    bool wide = (r->arch->has & HAS_EMBD_SCALE) && s->n_layers == GEMMA3_27B_LAYERS;
    float scale = 0;
    enum err_code code;
    s->embd_scale = r->arch->has & HAS_EMBD_SCALE ? sqrtf((float)s->n_embd) : 1;
    if ((code = read_float_or(r, "attention.scale", 0, 1e3, &scale)) ||
        (code = read_float_or(r, "attn_logit_softcapping", 0, 1e6, &s->attn_softcap)) ||
        (code = read_float_or(r, "final_logit_softcapping", 0, 1e6, &s->logit_softcap)))
        return code;
    s->score_scale = 1.0f / sqrtf(wide ? (float)s->n_embd / (float)s->n_heads : (float)s->head_dim);
    if (scale > 0)
        s->score_scale = scale;
    return ERR_OK;
}

enum err_code shape_read(struct shape *s, const struct architecture *arch, const struct gguf *g,
                         struct err *err)
{
    struct reader r = { .g = g, .arch = arch, .err = err };
    double eps = 0;
    enum err_code code;
    *s = (struct shape){ 0 };
    if ((code = refuse_unknown_ways(&r)) ||
        (code = read_int(&r, "block_count", 1, LAYERS_MAX, &s->n_layers)) ||
        (code = read_int(&r, "embedding_length", 1, DIM_MAX, &s->n_embd)) || (code = read_heads(&r, s)) ||
        (code = read_experts(&r, s)) || (code = check_routing(&r)) ||
        (code = gguf_int(g, key_of(&r, "context_length"), 1, 1 << 21, &s->context, err)) ||
        (code = read_windows(&r, s)) || (code = read_rope(&r, s)) || (code = read_scales(&r, s)) ||
        (code = gguf_number(g, key_of(&r, "attention.layer_norm_rms_epsilon"), &eps, err)))
        return code;
    if (!(eps >= 0 && eps < 1))
        return err_set(err, ERR_FORMAT, NULL, "Metadata key '%s' is %g; 0 to 1 are possible.", r.key, eps);
    s->eps = (float)eps;
    return ERR_OK;
}
