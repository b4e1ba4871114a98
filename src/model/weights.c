/*
 * weights.c - the tensors an architecture asks for, found by name and held against the shape.
 *
 * Nothing is copied: weights point into the map, in the file's own type. Names are llama.cpp's:
 * "blk.<layer>.attn_q.weight". GGUF gives dims[0] as the row length, so a matrix of [rows][cols] has dims
 * { cols, rows }.
 */
#include "model/model_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum dim { DIM_NONE, DIM_EMBD, DIM_Q, DIM_KV, DIM_HEAD, DIM_FF, DIM_VOCAB, DIM_ROT_HALF };
enum {
    QK_NORM = 1,
    ROPE_FREQS = 2,
    OPTIONAL = 4
}; /* QK_NORM, ROPE_FREQS: only where the architecture has them */

struct spec {
    const char *name;
    size_t offset;       /* of a struct weight, or of a const float * when rows is DIM_NONE */
    enum dim cols, rows; /* rows DIM_NONE: a vector, in F32 */
    unsigned flags;
};

static const struct spec model_specs[] = {
    { "token_embd.weight", offsetof(struct weights, embd), DIM_EMBD, DIM_VOCAB, 0 },
    { "output_norm.weight", offsetof(struct weights, out_norm), DIM_EMBD, DIM_NONE, 0 },
    { "output.weight", offsetof(struct weights, head), DIM_EMBD, DIM_VOCAB, OPTIONAL }, /* absent: tied */
    { "rope_freqs.weight", offsetof(struct weights, rope_freqs), DIM_ROT_HALF, DIM_NONE,
      ROPE_FREQS | OPTIONAL },
};

static const struct spec layer_specs[] = {
    { "attn_norm.weight", offsetof(struct layer, attn_norm), DIM_EMBD, DIM_NONE, 0 },
    { "attn_q.weight", offsetof(struct layer, q), DIM_EMBD, DIM_Q, 0 },
    { "attn_k.weight", offsetof(struct layer, k), DIM_EMBD, DIM_KV, 0 },
    { "attn_v.weight", offsetof(struct layer, v), DIM_EMBD, DIM_KV, 0 },
    { "attn_q_norm.weight", offsetof(struct layer, q_norm), DIM_HEAD, DIM_NONE, QK_NORM },
    { "attn_k_norm.weight", offsetof(struct layer, k_norm), DIM_HEAD, DIM_NONE, QK_NORM },
    { "attn_output.weight", offsetof(struct layer, attn_out), DIM_Q, DIM_EMBD, 0 },
    { "ffn_norm.weight", offsetof(struct layer, ffn_norm), DIM_EMBD, DIM_NONE, 0 },
    { "ffn_gate.weight", offsetof(struct layer, gate), DIM_EMBD, DIM_FF, 0 },
    { "ffn_up.weight", offsetof(struct layer, up), DIM_EMBD, DIM_FF, 0 },
    { "ffn_down.weight", offsetof(struct layer, down), DIM_FF, DIM_EMBD, 0 },
};

static const struct {
    uint32_t gguf;
    enum tensor_type type;
    const char *name;
} readable[] = { { 0, TENSOR_F32, "F32" },
                 { 1, TENSOR_F16, "F16" },
                 { 30, TENSOR_BF16, "BF16" },
                 { 8, TENSOR_Q8_0, "Q8_0" } };

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
    case DIM_NONE: return 1;
    case DIM_EMBD: return (uint64_t)s->n_embd;
    case DIM_Q: return (uint64_t)s->n_heads * (uint64_t)s->head_dim;
    case DIM_KV: return (uint64_t)s->n_kv_heads * (uint64_t)s->head_dim;
    case DIM_HEAD: return (uint64_t)s->head_dim;
    case DIM_FF: return (uint64_t)s->n_ff;
    case DIM_VOCAB: return (uint64_t)s->n_vocab;
    case DIM_ROT_HALF: return (uint64_t)s->n_rot / 2;
    }
    return 0;
}

static enum err_code read_type(const struct gguf_tensor *t, const struct spec *spec, enum tensor_type *type,
                               struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(readable); i++)
        if (readable[i].gguf == t->type && (spec->rows != DIM_NONE || readable[i].type == TENSOR_F32)) {
            *type = readable[i].type;
            return ERR_OK;
        }
    return err_set(err, ERR_FORMAT, NULL, "Tensor '%.*s' has type %s (%u), which this build does not read%s.",
                   STR_ARG(t->name), gguf_type_name(t->type), t->type,
                   spec->rows == DIM_NONE ? " there: F32 is expected" : "");
}

/* base: the struct whose member spec names. */
static enum err_code bind_one(struct bind *b, const struct spec *spec, const char *name, char *base,
                              struct err *err)
{
    const struct gguf_tensor *t = gguf_tensor(b->gguf, name);
    if (!t && (spec->flags & OPTIONAL))
        return ERR_OK;
    if (!t)
        return err_set(err, ERR_FORMAT, NULL, "Tensor '%s' is missing.", name);
    uint64_t cols = dim_of(b->shape, spec->cols), rows = dim_of(b->shape, spec->rows);
    if (t->dims[0] != cols || t->dims[1] != rows || t->dims[2] != 1 || t->dims[3] != 1)
        return err_set(err, ERR_FORMAT, NULL,
                       "Tensor '%s' has shape %" PRIu64 " x %" PRIu64 " x %" PRIu64 " x %" PRIu64
                       ", but the metadata asks for %" PRIu64 " x %" PRIu64 ".",
                       name, t->dims[0], t->dims[1], t->dims[2], t->dims[3], cols, rows);
    enum tensor_type type = TENSOR_F32;
    enum err_code code = read_type(t, spec, &type, err);
    if (code)
        return code;
    b->used[gguf_tensor_index(b->gguf, t)] = true;
    b->w->parameters += (int64_t)t->count;
    if (spec->rows == DIM_NONE) {
        const float *vector = t->data;
        memcpy(base + spec->offset, &vector, sizeof vector);
        return ERR_OK;
    }
    b->types[type] = true;
    struct weight weight = { t->data, type, (size_t)cols, (size_t)rows };
    memcpy(base + spec->offset, &weight, sizeof weight);
    return ERR_OK;
}

static enum err_code bind_layers(struct bind *b, unsigned left_out, struct err *err)
{
    for (int32_t l = 0; l < b->shape->n_layers; l++)
        for (size_t i = 0; i < ARRAY_LEN(layer_specs); i++) {
            if (layer_specs[i].flags & left_out)
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

static void name_types(struct bind *b)
{
    for (size_t i = ARRAY_LEN(readable); i-- > 0;) /* the smallest type first */
        if (b->types[readable[i].type]) {
            size_t len = strlen(b->w->types);
            snprintf(b->w->types + len, sizeof b->w->types - len, "%s%s", len ? "+" : "", readable[i].name);
        }
}

enum err_code weights_bind(struct weights *w, const struct shape *s, const struct architecture *arch,
                           const struct gguf *g, struct err *err)
{
    size_t n_tensors = 0;
    while (gguf_tensor_at(g, n_tensors))
        n_tensors++;
    struct bind b = { w, s, g, mem_array(n_tensors, sizeof *b.used), { false } };
    unsigned left_out = (arch->qk_norm ? 0u : QK_NORM) | (arch->rope_freqs ? 0u : ROPE_FREQS);
    enum err_code code = ERR_OK;
    w->layers = mem_array((size_t)s->n_layers, sizeof *w->layers);
    for (size_t i = 0; !code && i < ARRAY_LEN(model_specs); i++)
        if (!(model_specs[i].flags & left_out))
            code = bind_one(&b, &model_specs[i], model_specs[i].name, (char *)w, err);
    if (!code)
        code = bind_layers(&b, left_out, err);
    if (!code)
        code = refuse_leftovers(&b, arch, err);
    if (!code && !w->head.data)
        w->head = w->embd;
    name_types(&b);
    mem_free(b.used);
    return code;
}

void weights_free(struct weights *w)
{
    mem_free(w->layers);
    *w = (struct weights){ 0 };
}
