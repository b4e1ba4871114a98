/*
 * gguf_make.c - writes GGUF v3 files for tests: ggml's docs/gguf.md, the other way round.
 */
#include "model/gguf_make.h"

#include "test.h"

#include "base/file.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TYPE_U32 = 4, TYPE_I32 = 5, TYPE_F32 = 6, TYPE_BOOL = 7, TYPE_STR = 8, TYPE_ARRAY = 9, TYPE_U64 = 10 };

/* --- bytes ---------------------------------------------------------------------------------------------- */

static void put_le(struct buf *b, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        buf_putc(b, (char)(value >> 8 * i & 0xff));
}

static void put_str(struct buf *b, const char *s)
{
    put_le(b, strlen(s), 8);
    buf_puts(b, s);
}

static void put_f32(struct buf *b, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_le(b, bits, 4);
}

static void pad(struct buf *b, size_t alignment)
{
    while (b->len % alignment)
        buf_putc(b, 0);
}

void gguf_make_init(struct gguf_make *g)
{
    *g = (struct gguf_make){ .version = 3 };
}

void gguf_make_free(struct gguf_make *g)
{
    for (size_t i = 0; i < g->n_tensors; i++) {
        buf_free(&g->tensors[i].bytes);
        mem_free(g->tensors[i].values);
    }
    mem_free(g->tensors);
    buf_free(&g->keys);
}

/* --- metadata ------------------------------------------------------------------------------------------- */

static struct buf *begin_key(struct gguf_make *g, const char *key, uint32_t type)
{
    g->n_keys++;
    put_str(&g->keys, key);
    put_le(&g->keys, type, 4);
    return &g->keys;
}

static struct buf *begin_array(struct gguf_make *g, const char *key, uint32_t item, size_t n)
{
    struct buf *b = begin_key(g, key, TYPE_ARRAY);
    put_le(b, item, 4);
    put_le(b, n, 8);
    return b;
}

void gguf_make_u32(struct gguf_make *g, const char *key, uint32_t value)
{
    put_le(begin_key(g, key, TYPE_U32), value, 4);
}

void gguf_make_u64(struct gguf_make *g, const char *key, uint64_t value)
{
    put_le(begin_key(g, key, TYPE_U64), value, 8);
}

void gguf_make_f32(struct gguf_make *g, const char *key, float value)
{
    put_f32(begin_key(g, key, TYPE_F32), value);
}

void gguf_make_bool(struct gguf_make *g, const char *key, bool value)
{
    put_le(begin_key(g, key, TYPE_BOOL), value, 1);
}

void gguf_make_str(struct gguf_make *g, const char *key, const char *value)
{
    put_str(begin_key(g, key, TYPE_STR), value);
}

void gguf_make_strs(struct gguf_make *g, const char *key, const char *const *values, size_t n)
{
    struct buf *b = begin_array(g, key, TYPE_STR, n);
    for (size_t i = 0; i < n; i++)
        put_str(b, values[i]);
}

void gguf_make_i32s(struct gguf_make *g, const char *key, const int32_t *values, size_t n)
{
    struct buf *b = begin_array(g, key, TYPE_I32, n);
    for (size_t i = 0; i < n; i++)
        put_le(b, (uint32_t)values[i], 4);
}

void gguf_make_f32s(struct gguf_make *g, const char *key, const float *values, size_t n)
{
    struct buf *b = begin_array(g, key, TYPE_F32, n);
    for (size_t i = 0; i < n; i++)
        put_f32(b, values[i]);
}

/* --- tensors -------------------------------------------------------------------------------------------- */

static struct gguf_make_tensor *add_tensor(struct gguf_make *g, const char *name, uint32_t type)
{
    g->tensors = mem_realloc(g->tensors, (g->n_tensors + 1) * sizeof *g->tensors);
    struct gguf_make_tensor *t = &g->tensors[g->n_tensors++];
    *t = (struct gguf_make_tensor){ .type = type, .dims = { 1, 1, 1, 1 } };
    if (strlen(name) >= sizeof t->name)
        fail_msg("tensor name too long: %s", name);
    snprintf(t->name, sizeof t->name, "%s", name);
    return t;
}

static void put_q8_0(struct gguf_make_tensor *t, const float *values)
{
    float most = 0;
    for (int i = 0; i < 32; i++)
        most = fmaxf(most, fabsf(values[i]));
    uint16_t d = f32_to_f16(most / 127);
    float scale = f16_to_f32(d);
    put_le(&t->bytes, d, 2);
    for (int i = 0; i < 32; i++) {
        int q = scale > 0 ? (int)lrintf(values[i] / scale) : 0;
        q = q > 127 ? 127 : q < -127 ? -127 : q;
        put_le(&t->bytes, (uint8_t)(int8_t)q, 1);
        t->values[t->count++] = (double)scale * q;
    }
}

static uint16_t to_bf16(float f) /* nearest even; no NaN comes here */
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void put_value(struct gguf_make_tensor *t, float value)
{
    if (t->type == GGUF_MAKE_F32) {
        put_f32(&t->bytes, value);
        t->values[t->count++] = (double)value;
    } else if (t->type == GGUF_MAKE_F16) {
        uint16_t h = f32_to_f16(value);
        put_le(&t->bytes, h, 2);
        t->values[t->count++] = (double)f16_to_f32(h);
    } else {
        uint32_t bits = (uint32_t)to_bf16(value) << 16;
        float rounded;
        memcpy(&rounded, &bits, sizeof rounded);
        put_le(&t->bytes, bits >> 16, 2);
        t->values[t->count++] = (double)rounded;
    }
}

static struct gguf_make_tensor *add_values(struct gguf_make *g, const char *name, enum tensor_type type,
                                           uint64_t cols, uint64_t rows, uint64_t stack)
{
    const struct tensor_type_info *info = tensor_type_info(type);
    struct gguf_make_tensor *t = add_tensor(g, name, info->gguf);
    if (cols % info->block)
        fail_msg("%s: rows of %d are no whole %s blocks", name, (int)cols, info->name);
    t->n_dims = stack > 1 ? 3 : rows ? 2 : 1;
    t->dims[0] = cols;
    t->dims[1] = rows ? rows : 1;
    t->dims[2] = stack;
    t->values = mem_array((size_t)(cols * t->dims[1] * stack), sizeof *t->values);
    return t;
}

static void put_values(struct gguf_make_tensor *t, const float *values)
{
    size_t n = (size_t)(t->dims[0] * t->dims[1] * t->dims[2]);
    if (t->type == GGUF_MAKE_Q8_0)
        for (size_t i = 0; i < n; i += 32)
            put_q8_0(t, values + i);
    else
        for (size_t i = 0; i < n; i++)
            put_value(t, values[i]);
}

void gguf_make_values(struct gguf_make *g, const char *name, enum tensor_type type, uint64_t cols,
                      uint64_t rows, const float *values)
{
    assert_true(type == TENSOR_F32 || type == TENSOR_F16 || type == TENSOR_BF16 || type == TENSOR_Q8_0);
    put_values(add_values(g, name, type, cols, rows, 1), values);
}

/* Where a block has its scales, as halves, and what the offset's scale is in units of the first, so that
 * weights have no mean. MXFP4 has a power of two instead. */
static const struct layout {
    enum tensor_type type;
    int scale, offset;
    float ratio;
} layouts[] = {
    { TENSOR_Q4_0, 0, -1, 0 },     { TENSOR_Q4_1, 0, 2, -7.5f },  { TENSOR_Q5_0, 0, -1, 0 },
    { TENSOR_Q5_1, 0, 2, -15.5f }, { TENSOR_Q2_K, 80, 82, 1.5f }, { TENSOR_Q3_K, 108, -1, 0 },
    { TENSOR_Q4_K, 0, 2, 7.5f },   { TENSOR_Q5_K, 0, 2, 15.5f },  { TENSOR_Q6_K, 208, -1, 0 },
    { TENSOR_IQ4_NL, 0, -1, 0 },   { TENSOR_IQ4_XS, 0, -1, 0 },   { TENSOR_MXFP4, -1, -1, 0 },
};

static void set_half(struct buf *b, size_t at, float value)
{
    uint16_t h = f32_to_f16(value);
    b->ptr[at] = (char)(h & 0xff);
    b->ptr[at + 1] = (char)(h >> 8);
}

static void set_scales(struct gguf_make_tensor *t, const struct layout *l, float scale)
{
    size_t bytes = tensor_type_info(l->type)->bytes;
    for (size_t at = 0; at < t->bytes.len; at += bytes) {
        if (l->scale < 0)
            t->bytes.ptr[at] = (char)(127 + (int)lrintf(log2f(scale)));
        else
            set_half(&t->bytes, at + (size_t)l->scale, scale);
        if (l->offset >= 0)
            set_half(&t->bytes, at + (size_t)l->offset, scale * l->ratio);
    }
}

static void read_back(struct gguf_make_tensor *t, enum tensor_type type, size_t n, float *values)
{
    tensor_dequantize(type, t->bytes.ptr, n, values);
    for (size_t i = 0; i < n; i++)
        t->values[i] = (double)values[i];
    t->count = n;
}

/* Random bits for blocks of any type, with such scales that the weights' root mean square is about rms. */
static void put_random_blocks(struct gguf_make_tensor *t, struct rng *rng, enum tensor_type type, float rms)
{
    const struct layout *l = layouts;
    while (l->type != type)
        l++;
    size_t n = (size_t)(t->dims[0] * t->dims[1] * t->dims[2]);
    float *values = mem_array(n, sizeof *values);
    double squares = 0;
    for (size_t i = 0; i < n / tensor_type_info(type)->block * tensor_type_info(type)->bytes; i++)
        buf_putc(&t->bytes, (char)rng_u64(rng));
    set_scales(t, l, 1);
    read_back(t, type, n, values);
    for (size_t i = 0; i < n; i++)
        squares += t->values[i] * t->values[i];
    set_scales(t, l, rms / (float)sqrt(squares / (double)n));
    read_back(t, type, n, values);
    mem_free(values);
}

void gguf_make_raw(struct gguf_make *g, const char *name, uint32_t type, const uint64_t *dims,
                   uint32_t n_dims, const void *bytes, size_t len)
{
    struct gguf_make_tensor *t = add_tensor(g, name, type);
    t->n_dims = n_dims;
    for (uint32_t i = 0; i < n_dims && i < ARRAY_LEN(t->dims); i++)
        t->dims[i] = dims[i];
    buf_put(&t->bytes, bytes, len);
}

const struct gguf_make_tensor *gguf_make_find(const struct gguf_make *g, const char *name)
{
    for (size_t i = 0; i < g->n_tensors; i++)
        if (strcmp(g->tensors[i].name, name) == 0)
            return &g->tensors[i];
    fail_msg("no tensor %s was made", name);
    return NULL;
}

/* --- the file ------------------------------------------------------------------------------------------- */

void gguf_make_bytes(const struct gguf_make *g, struct buf *out)
{
    uint64_t offset = 0;
    buf_puts(out, "GGUF");
    put_le(out, g->version, 4);
    put_le(out, g->n_tensors, 8);
    put_le(out, g->n_keys, 8);
    buf_put(out, g->keys.ptr, g->keys.len);
    for (size_t i = 0; i < g->n_tensors; i++) {
        const struct gguf_make_tensor *t = &g->tensors[i];
        put_str(out, t->name);
        put_le(out, t->n_dims, 4);
        for (uint32_t d = 0; d < t->n_dims; d++)
            put_le(out, d < ARRAY_LEN(t->dims) ? t->dims[d] : 1, 8);
        put_le(out, t->type, 4);
        put_le(out, offset, 8);
        offset = (offset + t->bytes.len + 31) / 32 * 32;
    }
    for (size_t i = 0; i < g->n_tensors; i++) {
        pad(out, 32); /* offsets count from the first padded place */
        buf_put(out, g->tensors[i].bytes.ptr, g->tensors[i].bytes.len);
    }
}

void gguf_make_write(const struct gguf_make *g, const char *path)
{
    struct buf bytes = { 0 };
    struct err err = { 0 };
    gguf_make_bytes(g, &bytes);
    if (file_write(path, buf_str(&bytes), &err))
        fail_msg("%s", err.message);
    buf_free(&bytes);
}

/* --- tiny models ---------------------------------------------------------------------------------------- */

#define TEMPLATE                                                                                             \
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"               \
    "{% if add_generation_prompt %}<|im_start|>assistant\n"                                                  \
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"     \
    "{% endif %}"

#define CHANNELS_TEMPLATE                                                                                    \
    "{% for m in messages %}<|start|>{{ m.role }}{% if m.role == 'assistant' %}<|channel|>final{% endif %}"  \
    "<|message|>{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif " \
    "%}"

static const char *const merged[][2] = {
    { "t", "h" }, { "th", "e" }, { "i", "n" }, { "e", "r" }, { "\u0120", "t" }
};
static const char *const specials[] = { "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>",
                                        "</think>" };
static const char *const channels[] = { "<|start|>", "<|channel|>", "<|constrain|>", "<|message|>",
                                        "<|end|>",   "<|call|>",    "<|return|>" };
enum { N_BYTES = 256, N_MERGED = ARRAY_LEN(merged), N_SPECIALS = ARRAY_LEN(specials) };
enum { N_PLAIN = N_BYTES + N_MERGED, N_TOKENS = N_PLAIN + N_SPECIALS };
enum { N_TOKENS_MAX = N_TOKENS + ARRAY_LEN(channels) };

static int count_tokens(const struct gguf_make_shape *s)
{
    return s->channels ? N_TOKENS_MAX : N_TOKENS;
}

/* GPT-2's way to write any byte as a printable character: itself where it has one in Latin-1, else the next
 * of U+0100 and up. */
static void spell_byte(int byte, char out[8])
{
    int others = 0;
    for (int b = 0; b <= byte; b++) {
        bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        size_t n = utf8_encode((uint32_t)(printable ? b : 256 + others), out);
        out[n] = 0;
        others += !printable;
    }
}

static void put_vocabulary(struct gguf_make *g, const struct gguf_make_shape *s)
{
    static char texts[N_PLAIN][8];
    const char *tokens[N_TOKENS_MAX], *merges[N_MERGED];
    char rules[N_MERGED][16];
    int32_t types[N_TOKENS_MAX];
    int n = count_tokens(s);
    for (int i = 0; i < n; i++) {
        types[i] = 1;
        tokens[i] = i < N_PLAIN ? texts[i] : i < N_TOKENS ? specials[i - N_PLAIN] : channels[i - N_TOKENS];
        if (i < N_BYTES)
            spell_byte(i, texts[i]);
        else if (i < N_PLAIN) {
            const char *const *pair = merged[i - N_BYTES];
            snprintf(texts[i], sizeof texts[i], "%s%s", pair[0], pair[1]);
            snprintf(rules[i - N_BYTES], sizeof rules[0], "%s %s", pair[0], pair[1]);
            merges[i - N_BYTES] = rules[i - N_BYTES];
        } else
            types[i] = tokens[i][1] == '|' ? 3 : 4; /* control; user-defined */
    }
    uint32_t special = N_PLAIN;
    gguf_make_str(g, "tokenizer.ggml.model", "gpt2");
    gguf_make_str(g, "tokenizer.ggml.pre", "qwen2");
    gguf_make_strs(g, "tokenizer.ggml.tokens", tokens, (size_t)n);
    gguf_make_i32s(g, "tokenizer.ggml.token_type", types, (size_t)n);
    gguf_make_strs(g, "tokenizer.ggml.merges", merges, N_MERGED);
    gguf_make_u32(g, "tokenizer.ggml.bos_token_id", special);
    gguf_make_u32(g, "tokenizer.ggml.padding_token_id", special);
    gguf_make_u32(g, "tokenizer.ggml.eos_token_id", s->channels ? (uint32_t)n - 1 : special + 2);
    gguf_make_bool(g, "tokenizer.ggml.add_bos_token", false);
    gguf_make_str(g, "tokenizer.chat_template", s->channels ? CHANNELS_TEMPLATE : TEMPLATE);
}

static void put_key(struct gguf_make *g, const struct gguf_make_shape *s, const char *name, int value)
{
    char key[96];
    snprintf(key, sizeof key, "%s.%s", s->arch, name);
    gguf_make_u32(g, key, (uint32_t)value);
}

/* Which files have a key or a tensor. */
enum { LLAMA = 1, QWEN2 = 2, QWEN3 = 4, QWEN3MOE = 8, GEMMA3 = 16, PHI3 = 32, GPT_OSS = 64, ALL = 127 };
enum { MOE = QWEN3MOE | GPT_OSS, DENSE = ALL & ~MOE };

static unsigned family_of(const char *arch)
{
    static const struct {
        const char *arch;
        unsigned family;
    } rows[] = { { "llama", LLAMA },   { "qwen2", QWEN2 }, { "qwen3", QWEN3 },    { "qwen3moe", QWEN3MOE },
                 { "gemma3", GEMMA3 }, { "phi3", PHI3 },   { "gpt-oss", GPT_OSS } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(arch, rows[i].arch) == 0)
            return rows[i].family;
    return LLAMA; /* an architecture nobody knows: any tensors will do */
}

static void put_shape(struct gguf_make *g, const struct gguf_make_shape *s)
{
    char key[96];
    bool experts = family_of(s->arch) & MOE;
    gguf_make_str(g, "general.architecture", s->arch);
    gguf_make_str(g, "general.name", "tiny");
    put_key(g, s, "block_count", s->n_layers);
    put_key(g, s, "context_length", s->context);
    put_key(g, s, "embedding_length", s->n_embd);
    put_key(g, s, "feed_forward_length", s->n_ff);
    put_key(g, s, "attention.head_count", s->n_heads);
    put_key(g, s, "attention.head_count_kv", s->n_kv_heads);
    put_key(g, s, "attention.key_length", s->head_dim);
    put_key(g, s, "attention.value_length", s->head_dim);
    if (experts) {
        put_key(g, s, "expert_count", s->n_experts);
        put_key(g, s, "expert_used_count", s->n_experts_used);
        put_key(g, s, "expert_feed_forward_length", s->n_ff);
    }
    if (s->window)
        put_key(g, s, "attention.sliding_window", s->window);
    if (s->n_rot)
        put_key(g, s, "rope.dimension_count", s->n_rot);
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", s->arch);
    gguf_make_f32(g, key, 1e-6f);
    snprintf(key, sizeof key, "%s.rope.freq_base", s->arch);
    gguf_make_f32(g, key, 10000.0f);
}

enum part_kind { MATRIX, NORM, BIAS };

struct part {
    const char *name;
    enum part_kind kind;
    int cols, rows, stack;
    unsigned families;
};

/* Matrices: uniform with variance 1 / cols, which keeps activations near 1; norms lie around 1, biases around
 * 0. */
static void put_random(struct gguf_make *g, struct rng *rng, const struct part *p, const char *name,
                       enum tensor_type type)
{
    bool vector = p->kind != MATRIX;
    type = vector ? TENSOR_F32 : type;
    int stack = p->stack ? p->stack : 1;
    size_t n = (size_t)p->cols * (size_t)(p->rows ? p->rows : 1) * (size_t)stack;
    struct gguf_make_tensor *t =
        add_values(g, name, type, (uint64_t)p->cols, (uint64_t)p->rows, (uint64_t)stack);
    if (type > TENSOR_Q8_0) {
        put_random_blocks(t, rng, type, 1 / sqrtf((float)p->cols));
        return;
    }
    float *values = mem_array(n, sizeof *values), spread = vector ? 0.25f : sqrtf(3.0f / (float)p->cols);
    for (size_t i = 0; i < n; i++)
        values[i] = (p->kind == NORM ? 1.0f : 0.0f) + spread * (float)(2 * rng_unit(rng) - 1);
    put_values(t, values);
    mem_free(values);
}

static void put_layer(struct gguf_make *g, struct rng *rng, const struct gguf_make_shape *s, int layer)
{
    int d = s->n_embd, ff = s->n_ff, n = s->n_experts;
    int q = s->n_heads * s->head_dim, kv = s->n_kv_heads * s->head_dim;
    const struct part parts[] = {
        { "attn_norm.weight", NORM, d, 0, 1, ALL },
        { "attn_q.weight", MATRIX, d, q, 1, ALL & ~PHI3 },
        { "attn_k.weight", MATRIX, d, kv, 1, ALL & ~PHI3 },
        { "attn_v.weight", MATRIX, d, kv, 1, ALL & ~PHI3 },
        { "attn_qkv.weight", MATRIX, d, q + 2 * kv, 1, PHI3 },
        { "attn_output.weight", MATRIX, q, d, 1, ALL },
        { "ffn_norm.weight", NORM, d, 0, 1, ALL & ~GPT_OSS },
        { "ffn_gate.weight", MATRIX, d, ff, 1, DENSE & ~PHI3 },
        { "ffn_up.weight", MATRIX, d, ff, 1, DENSE & ~PHI3 },
        { "ffn_up.weight", MATRIX, d, 2 * ff, 1, PHI3 },
        { "ffn_down.weight", MATRIX, ff, d, 1, DENSE },
        { "attn_q_norm.weight", NORM, s->head_dim, 0, 1, QWEN3 | QWEN3MOE | GEMMA3 },
        { "attn_k_norm.weight", NORM, s->head_dim, 0, 1, QWEN3 | QWEN3MOE | GEMMA3 },
        { "attn_q.bias", BIAS, q, 0, 1, QWEN2 | GPT_OSS },
        { "attn_k.bias", BIAS, kv, 0, 1, QWEN2 | GPT_OSS },
        { "attn_v.bias", BIAS, kv, 0, 1, QWEN2 | GPT_OSS },
        { "attn_output.bias", BIAS, d, 0, 1, GPT_OSS },
        { "attn_sinks.weight", BIAS, s->n_heads, 0, 1, GPT_OSS },
        { "post_attention_norm.weight", NORM, d, 0, 1, GEMMA3 | GPT_OSS },
        { "post_ffw_norm.weight", NORM, d, 0, 1, GEMMA3 },
        { "ffn_gate_inp.weight", MATRIX, d, n, 1, MOE },
        { "ffn_gate_exps.weight", MATRIX, d, ff, n, MOE },
        { "ffn_up_exps.weight", MATRIX, d, ff, n, MOE },
        { "ffn_down_exps.weight", MATRIX, ff, d, n, MOE },
        { "ffn_gate_inp.bias", BIAS, n, 0, 1, GPT_OSS },
        { "ffn_gate_exps.bias", BIAS, ff, n, 1, GPT_OSS },
        { "ffn_up_exps.bias", BIAS, ff, n, 1, GPT_OSS },
        { "ffn_down_exps.bias", BIAS, d, n, 1, GPT_OSS },
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        char name[64];
        bool router = strcmp(parts[i].name, "ffn_gate_inp.weight") == 0;
        if (!(parts[i].families & family_of(s->arch)))
            continue;
        snprintf(name, sizeof name, "blk.%d.%s", layer, parts[i].name);
        put_random(g, rng, &parts[i], name, router ? TENSOR_F32 : s->type);
    }
}

struct gguf_make_shape gguf_make_tiny_shape(const char *arch, enum tensor_type type, uint64_t seed)
{
    unsigned family = family_of(arch);
    bool wide = tensor_type_info(type)->block > 64, windows = family & (GEMMA3 | GPT_OSS);
    return (struct gguf_make_shape){ .arch = arch,
                                     .type = type,
                                     .n_layers = family == GEMMA3 ? 7 : 2,
                                     .n_embd = wide ? 256 : 64,
                                     .n_heads = 4,
                                     .n_kv_heads = 2,
                                     .head_dim = wide ? 64 : 16,
                                     .n_ff = wide ? 256 : 128,
                                     .context = 1024,
                                     .n_experts = 5,
                                     .n_experts_used = 2,
                                     .window = windows ? 5 : 0,
                                     .tied = family & (QWEN3 | GEMMA3),
                                     .seed = seed };
}

void gguf_make_model(struct gguf_make *g, const struct gguf_make_shape *s)
{
    struct rng rng;
    rng_init(&rng, s->seed, 0);
    put_shape(g, s);
    put_vocabulary(g, s);
    const struct part embd = { "token_embd.weight", MATRIX, s->n_embd, count_tokens(s), 1, ALL };
    const struct part norm = { "output_norm.weight", NORM, s->n_embd, 0, 1, ALL };
    put_random(g, &rng, &embd, embd.name, s->type);
    put_random(g, &rng, &norm, norm.name, TENSOR_F32);
    if (!s->tied)
        put_random(g, &rng, &embd, "output.weight", s->type);
    for (int l = 0; l < s->n_layers; l++)
        put_layer(g, &rng, s, l);
}

void gguf_make_tiny(const char *path, const char *arch, enum tensor_type type, uint64_t seed)
{
    struct gguf_make_shape shape = gguf_make_tiny_shape(arch, type, seed);
    struct gguf_make g;
    gguf_make_init(&g);
    gguf_make_model(&g, &shape);
    gguf_make_write(&g, path);
    gguf_make_free(&g);
}
