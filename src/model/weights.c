/*
 * weights.c - the tensors an architecture asks for, found by name and held against the shape.
 *
 * Matrices point into the map, in the file's own type, until pack.c takes them; vectors are copied, as
 * floats, and looked through for numbers that are none. Names are llama.cpp's: "blk.<layer>.attn_q.weight".
 * GGUF gives dims[0] as the row length, so a matrix of [rows][cols] has dims { cols, rows } and a stack of
 * them { cols, rows, count }.
 */
#include "model/model_impl.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum dim { NONE, EMBD, Q, KV, HEAD, HEADS, FF, VOCAB, ROT_HALF, EXPERTS };
enum kind {
    VECTOR,  /* const float *, [rows][cols] or [cols] */
    MATRIX,  /* struct matrix; where rows has several, as many of them next to each other */
    STACKED, /* struct matrix *, [n_experts] */
};
enum { OPTIONAL = 1 << 30 };

struct spec {
    const char *name;
    enum kind kind;
    size_t offset; /* of the member, the first one where there are several */
    enum dim cols, rows[3];
    unsigned needs,
        unless; /* HAS_*: asked for where the architecture has one of needs, if any, and none of unless */
};

/* clang-format off */
#define OF(member) offsetof(struct weights, member)
static const struct spec model_specs[] = {
    { "token_embd.weight",         MATRIX, OF(embd),       EMBD,     { VOCAB }, 0, 0 },
    { "output_norm.weight",        VECTOR, OF(out_norm),   EMBD,     { NONE },  0, 0 },
    { "output.weight",             MATRIX, OF(head),       EMBD,     { VOCAB }, OPTIONAL, 0 }, /* absent: tied */
    { "rope_freqs.weight",         VECTOR, OF(rope_freqs), ROT_HALF, { NONE },  OPTIONAL | HAS_ROPE_FREQS, 0 },
    { "rope_factors_long.weight",  VECTOR, OF(rope_long),  ROT_HALF, { NONE },  OPTIONAL | HAS_ROPE_FACTORS, 0 },
    { "rope_factors_short.weight", VECTOR, OF(rope_short), ROT_HALF, { NONE },  OPTIONAL | HAS_ROPE_FACTORS, 0 },
};
#undef OF
#define OF(member) offsetof(struct layer, member)
static const struct spec layer_specs[] = {
    { "attn_norm.weight",           VECTOR,  OF(attn_norm),      EMBD,    { NONE },       0, 0 },
    { "attn_q.weight",              MATRIX,  OF(q),              EMBD,    { Q },          0, HAS_FUSED_QKV },
    { "attn_k.weight",              MATRIX,  OF(k),              EMBD,    { KV },         0, HAS_FUSED_QKV },
    { "attn_v.weight",              MATRIX,  OF(v),              EMBD,    { KV },         0, HAS_FUSED_QKV },
    { "attn_qkv.weight",            MATRIX,  OF(q),              EMBD,    { Q, KV, KV },  HAS_FUSED_QKV, 0 },
    { "attn_q.bias",                VECTOR,  OF(q_bias),         Q,       { NONE },       HAS_QKV_BIAS, 0 },
    { "attn_k.bias",                VECTOR,  OF(k_bias),         KV,      { NONE },       HAS_QKV_BIAS, 0 },
    { "attn_v.bias",                VECTOR,  OF(v_bias),         KV,      { NONE },       HAS_QKV_BIAS, 0 },
    { "attn_output.bias",           VECTOR,  OF(out_bias),       EMBD,    { NONE },       HAS_OUT_BIAS, 0 },
    { "attn_q.bias",                VECTOR,  OF(q_bias),         Q,       { NONE },       OPTIONAL | MAY_HAVE_BIAS, 0 },
    { "attn_k.bias",                VECTOR,  OF(k_bias),         KV,      { NONE },       OPTIONAL | MAY_HAVE_BIAS, 0 },
    { "attn_v.bias",                VECTOR,  OF(v_bias),         KV,      { NONE },       OPTIONAL | MAY_HAVE_BIAS, 0 },
    { "attn_output.bias",           VECTOR,  OF(out_bias),       EMBD,    { NONE },       OPTIONAL | MAY_HAVE_BIAS, 0 },
    { "attn_q_norm.weight",         VECTOR,  OF(q_norm),         HEAD,    { NONE },       HAS_QK_NORM, 0 },
    { "attn_k_norm.weight",         VECTOR,  OF(k_norm),         HEAD,    { NONE },       HAS_QK_NORM, 0 },
    { "attn_sinks.weight",          VECTOR,  OF(sinks),          HEADS,   { NONE },       HAS_SINKS, 0 },
    { "attn_output.weight",         MATRIX,  OF(attn_out),       Q,       { EMBD },       0, 0 },
    { "post_attention_norm.weight", VECTOR,  OF(post_attn_norm), EMBD,    { NONE },       HAS_POST_NORMS, 0 },
    { "post_attention_norm.weight", VECTOR,  OF(ffn_norm),       EMBD,    { NONE },       HAS_LATE_NAME, 0 },
    { "ffn_norm.weight",            VECTOR,  OF(ffn_norm),       EMBD,    { NONE },       0, HAS_LATE_NAME },
    { "post_ffw_norm.weight",       VECTOR,  OF(post_ffn_norm),  EMBD,    { NONE },       HAS_POST_NORMS, 0 },
    { "ffn_gate.weight",            MATRIX,  OF(gate),           EMBD,    { FF },         0, HAS_FUSED_UP | HAS_EXPERTS },
    { "ffn_up.weight",              MATRIX,  OF(up),             EMBD,    { FF },         0, HAS_FUSED_UP | HAS_EXPERTS },
    { "ffn_up.weight",              MATRIX,  OF(gate),           EMBD,    { FF, FF },     HAS_FUSED_UP, 0 },
    { "ffn_down.weight",            MATRIX,  OF(down),           FF,      { EMBD },       0, HAS_EXPERTS },
    { "ffn_gate_inp.weight",        MATRIX,  OF(router),         EMBD,    { EXPERTS },    HAS_EXPERTS, 0 },
    { "ffn_gate_exps.weight",       STACKED, OF(gate_exps),      EMBD,    { FF },         HAS_EXPERTS, 0 },
    { "ffn_up_exps.weight",         STACKED, OF(up_exps),        EMBD,    { FF },         HAS_EXPERTS, 0 },
    { "ffn_down_exps.weight",       STACKED, OF(down_exps),      FF,      { EMBD },       HAS_EXPERTS, 0 },
    { "ffn_gate_inp.bias",          VECTOR,  OF(router_bias),    EXPERTS, { NONE },       HAS_EXPERT_BIAS, 0 },
    { "ffn_gate_exps.bias",         VECTOR,  OF(gate_exps_bias), FF,      { EXPERTS },    HAS_EXPERT_BIAS, 0 },
    { "ffn_up_exps.bias",           VECTOR,  OF(up_exps_bias),   FF,      { EXPERTS },    HAS_EXPERT_BIAS, 0 },
    { "ffn_down_exps.bias",         VECTOR,  OF(down_exps_bias), EMBD,    { EXPERTS },    HAS_EXPERT_BIAS, 0 },
};
#undef OF
/* clang-format on */

struct bind {
    struct weights *w;
    const struct shape *shape;
    const struct gguf *gguf;
    bool *used;                    /* by index of the tensor */
    bool types[TENSOR_TYPE_COUNT]; /* seen in matrices */
};

static uint64_t dim_of(const struct shape *s, enum dim dim)
{
    switch (dim) {
    case NONE: return 0;
    case EMBD: return (uint64_t)s->n_embd;
    case Q: return (uint64_t)s->n_heads * (uint64_t)s->head_dim;
    case KV: return (uint64_t)s->n_kv_heads * (uint64_t)s->head_dim;
    case HEAD: return (uint64_t)s->head_dim;
    case HEADS: return (uint64_t)s->n_heads;
    case FF: return (uint64_t)s->n_ff;
    case VOCAB: return (uint64_t)s->n_vocab;
    case ROT_HALF: return (uint64_t)s->n_rot / 2;
    case EXPERTS: return (uint64_t)s->n_experts;
    }
    return 0;
}

static enum err_code check_shape(const struct bind *b, const struct spec *spec, const struct gguf_tensor *t,
                                 struct err *err)
{
    uint64_t cols = dim_of(b->shape, spec->cols), rows = 0;
    for (size_t i = 0; i < ARRAY_LEN(spec->rows); i++)
        rows += dim_of(b->shape, spec->rows[i]);
    rows = rows ? rows : 1;
    uint64_t stack = spec->kind == STACKED ? (uint64_t)b->shape->n_experts : 1;
    if (t->dims[0] == cols && t->dims[1] == rows && t->dims[2] == stack && t->dims[3] == 1)
        return ERR_OK;
    return err_set(err, ERR_FORMAT, NULL,
                   "Tensor '%.*s' has shape %" PRIu64 " x %" PRIu64 " x %" PRIu64 " x %" PRIu64
                   ", but the metadata asks for %" PRIu64 " x %" PRIu64 " x %" PRIu64 ".",
                   STR_ARG(t->name), t->dims[0], t->dims[1], t->dims[2], t->dims[3], cols, rows, stack);
}

static enum err_code read_type(const struct gguf_tensor *t, bool vector, enum tensor_type *type,
                               struct err *err)
{
    if (tensor_type_find(t->type, type) &&
        (!vector || *type == TENSOR_F32 || *type == TENSOR_F16 || *type == TENSOR_BF16)) {
        assert(t->dims[0] % tensor_type_info(*type)->block == 0); /* gguf.c */
        return ERR_OK;
    }
    return err_set(err, ERR_FORMAT, NULL, "Tensor '%.*s' has type %s (%u), which this build does not read%s.",
                   STR_ARG(t->name), gguf_type_name(t->type), t->type,
                   vector ? " there: F32 is expected" : "");
}

static enum err_code bind_vector(struct bind *b, const struct spec *spec, const struct gguf_tensor *t,
                                 enum tensor_type type, void *member, struct err *err)
{
    bool divisor = spec->cols == ROT_HALF;
    float *values = arena_array(&b->w->vectors, (size_t)t->count, sizeof *values);
    tensor_dequantize(type, t->data, (size_t)t->count, values);
    for (uint64_t i = 0; i < t->count; i++)
        if (!isfinite(values[i]) || (divisor && values[i] <= 0))
            return err_set(err, ERR_FORMAT, NULL,
                           "Tensor '%.*s' has %g at %" PRIu64 ", which cannot be computed with.",
                           STR_ARG(t->name), (double)values[i], i);
    const float *bound = values;
    memcpy(member, &bound, sizeof bound);
    return ERR_OK;
}

/* Rows are whole blocks, so rows of a tensor that holds several matrices can be told apart anywhere. */
static struct matrix rows_of(const struct gguf_tensor *t, enum tensor_type type, uint64_t from, uint64_t n)
{
    const struct tensor_type_info *info = tensor_type_info(type);
    const unsigned char *data = t->data;
    return (struct matrix){ .type = type,
                            .rows = (size_t)n,
                            .cols = (size_t)t->dims[0],
                            .data = data + (size_t)from * ((size_t)t->dims[0] / info->block * info->bytes) };
}

static void bind_matrices(struct bind *b, const struct spec *spec, const struct gguf_tensor *t,
                          enum tensor_type type, void *member)
{
    uint64_t from = 0;
    b->types[type] = true;
    if (spec->kind == STACKED) {
        struct matrix *stack = arena_array(&b->w->vectors, (size_t)t->dims[2], sizeof *stack);
        for (uint64_t i = 0; i < t->dims[2]; i++)
            stack[i] = rows_of(t, type, i * t->dims[1], t->dims[1]);
        memcpy(member, &stack, sizeof stack);
        return;
    }
    struct matrix *m = member;
    for (size_t i = 0; i < ARRAY_LEN(spec->rows) && spec->rows[i] != NONE; i++) {
        uint64_t n = dim_of(b->shape, spec->rows[i]);
        m[i] = rows_of(t, type, from, n);
        from += n;
    }
}

/* base: the struct whose member spec names. */
static enum err_code bind_one(struct bind *b, const struct spec *spec, const char *name, char *base,
                              struct err *err)
{
    const struct gguf_tensor *t = gguf_tensor(b->gguf, name);
    if (!t && (spec->needs & OPTIONAL))
        return ERR_OK;
    if (!t)
        return err_set(err, ERR_FORMAT, NULL, "Tensor '%s' is missing.", name);
    enum tensor_type type = TENSOR_F32;
    enum err_code code;
    if ((code = read_type(t, spec->kind == VECTOR, &type, err)) || (code = check_shape(b, spec, t, err)))
        return code;
    b->used[gguf_tensor_index(b->gguf, t)] = true;
    b->w->parameters += (int64_t)t->count;
    if (spec->kind == VECTOR)
        return bind_vector(b, spec, t, type, base + spec->offset, err);
    bind_matrices(b, spec, t, type, base + spec->offset);
    return ERR_OK;
}

static bool asked_for(const struct spec *spec, unsigned has)
{
    unsigned needs = spec->needs & ~(unsigned)OPTIONAL;
    return (!needs || (has & needs)) && !(has & spec->unless);
}

static enum err_code bind_layers(struct bind *b, unsigned has, struct err *err)
{
    for (int32_t l = 0; l < b->shape->n_layers; l++)
        for (size_t i = 0; i < ARRAY_LEN(layer_specs); i++) {
            if (!asked_for(&layer_specs[i], has))
                continue;
            char name[64];
            snprintf(name, sizeof name, "blk.%d.%s", l, layer_specs[i].name);
            enum err_code code = bind_one(b, &layer_specs[i], name, (char *)&b->w->layers[l], err);
            if (code)
                return code;
        }
    return ERR_OK;
}

static enum err_code refuse_leftovers(const struct bind *b, const struct architecture *arch, struct err *err)
{
    const struct gguf_tensor *t;
    for (size_t i = 0; (t = gguf_tensor_at(b->gguf, i)); i++)
        if (!b->used[i])
            return err_set(err, ERR_FORMAT, NULL,
                           "Tensor '%.*s' is not part of architecture %s as this build computes it.",
                           STR_ARG(str_slice(t->name, 0, 80)), arch->name);
    return ERR_OK;
}

/* Longrope is two tables or none of it. */
static enum err_code check_factors(const struct weights *w, const struct shape *s, struct err *err)
{
    if (!w->rope_long == !w->rope_short && (w->rope_long || s->rope.scaling != ROPE_LONGROPE))
        return ERR_OK;
    return err_set(err, ERR_FORMAT, NULL, "Tensor '%s' is missing.",
                   w->rope_long ? "rope_factors_short.weight" : "rope_factors_long.weight");
}

static void name_types(struct bind *b)
{
    for (size_t i = TENSOR_TYPE_COUNT; i-- > 0;) /* as far as there is room for names */
        if (b->types[i]) {
            size_t len = strlen(b->w->types);
            snprintf(b->w->types + len, sizeof b->w->types - len, "%s%s", len ? "+" : "",
                     tensor_type_info((enum tensor_type)i)->name);
        }
}

enum err_code weights_bind(struct weights *w, const struct shape *s, const struct architecture *arch,
                           const struct gguf *g, struct err *err)
{
    size_t n_tensors = 0;
    while (gguf_tensor_at(g, n_tensors))
        n_tensors++;
    struct bind b = { w, s, g, mem_array(n_tensors, sizeof *b.used), { false } };
    enum err_code code = ERR_OK;
    w->layers = mem_array((size_t)s->n_layers, sizeof *w->layers);
    for (size_t i = 0; !code && i < ARRAY_LEN(model_specs); i++)
        if (asked_for(&model_specs[i], arch->has))
            code = bind_one(&b, &model_specs[i], model_specs[i].name, (char *)w, err);
    if (!code)
        code = bind_layers(&b, arch->has, err);
    if (!code)
        code = refuse_leftovers(&b, arch, err);
    if (!code)
        code = check_factors(w, s, err);
    if (!code && !w->head.data)
        w->head = w->embd;
    name_types(&b);
    mem_free(b.used);
    return code;
}

void weights_free(struct weights *w)
{
    weights_unpack(w);
    arena_free(&w->vectors);
    mem_free(w->layers);
    *w = (struct weights){ 0 };
}
