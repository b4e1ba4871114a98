/*
 * model_impl.h - what the files of model/ share: the GGUF reader, the weights, the pages of keys and values.
 *
 *   gguf.c        bytes of a file -> checked tables of keys and tensors
 *   arch.c        the table of architectures: numbers read from the keys, tensors they ask for
 *   weights.c     tensors bound to the layers, each with its shape and type
 *   vocabulary.c  the tokenizer's keys as a struct vocabulary
 *   kv.c          pages of keys and values, and the pool they come from
 *   forward.c     rows of tokens -> logits
 *   model.c       open, close, info
 */
#ifndef THINKD_MODEL_MODEL_IMPL_H
#define THINKD_MODEL_MODEL_IMPL_H

#include "base/file.h"
#include "kernel/kernel.h"
#include "model/model.h"

/* --- gguf.c -------------------------------------------------------------------------------------------- */

/* Bounds on what a file may ask of us; real files stay far below. */
#define GGUF_KEYS_MAX    65536
#define GGUF_TENSORS_MAX 65536
#define GGUF_ITEMS_MAX   ((uint64_t)1 << 24) /* of one array: vocabularies have under 2^19 */
#define GGUF_NAME_MAX    255                 /* bytes of a key's or tensor's name */

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STR,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPE_COUNT
};

struct gguf_value {
    struct str key;
    enum gguf_type type; /* of the items, for an array */
    bool is_array;
    uint64_t count;            /* items; 1 for a single value */
    const unsigned char *data; /* into the file, any alignment */
    size_t len;                /* bytes from data that belong to the value */
};

struct gguf_tensor {
    struct str name;
    uint32_t type; /* GGUF's number: gguf_type_name */
    uint32_t n_dims;
    uint64_t dims[4];      /* dims[0] is the length of a row, unused ones are 1 */
    uint64_t count, bytes; /* elements, and what they take in the file */
    const void *data;
};

struct gguf; /* sorted tables over bytes that it borrows */

/* bytes stay the caller's and outlive *out. Errors: ERR_FORMAT. */
enum err_code gguf_open(struct gguf **out, const void *bytes, size_t len, struct err *err);
void gguf_close(struct gguf *g); /* NULL is fine */

const struct gguf_value *gguf_find(const struct gguf *g, const char *key);     /* or NULL */
const struct gguf_tensor *gguf_tensor(const struct gguf *g, const char *name); /* or NULL */
const struct gguf_tensor *gguf_tensor_at(const struct gguf *g,
                                         size_t i); /* in order of names; NULL past the last */
size_t gguf_tensor_index(const struct gguf *g, const struct gguf_tensor *t);
const char *gguf_type_name(uint32_t type); /* "Q4_K" */

/* One value of the wanted kind. ERR_FORMAT: the key is missing, of another kind, out of bounds. Optional
 * keys: ask gguf_find first. Any width of integer serves for an integer, f32 and f64 for a number. */
enum err_code gguf_int(const struct gguf *g, const char *key, int64_t low, int64_t high, int64_t *out,
                       struct err *err);
enum err_code gguf_number(const struct gguf *g, const char *key, double *out, struct err *err); /* finite */
enum err_code gguf_bool(const struct gguf *g, const char *key, bool *out, struct err *err);
enum err_code gguf_text(const struct gguf *g, const char *key, struct str *out,
                        struct err *err); /* UTF-8, no NUL */
/* An array whose items have one of two types (twice the same for one). */
enum err_code gguf_array(const struct gguf *g, const char *key, enum gguf_type a, enum gguf_type b,
                         const struct gguf_value **out, struct err *err);
void gguf_strings(const struct gguf_value *array, struct str *out); /* [array->count] views */

/* --- arch.c --------------------------------------------------------------------------------------------- */

enum rope_pairs { ROPE_NEIGHBOURS, ROPE_HALVES }; /* (0,1) (2,3) ..., or (0,n/2) (1,n/2+1) ... */

struct architecture {
    const char *name; /* general.architecture, and the prefix of its keys */
    enum rope_pairs rope;
    bool qk_norm;    /* q and k of each head pass an RMS norm before the rotation */
    bool rope_freqs; /* may carry rope_freqs.weight: a divisor for each frequency */
};

struct shape {
    int32_t n_layers, n_embd, n_heads, n_kv_heads, head_dim, n_rot, n_ff, n_vocab;
    int64_t context;
    float eps;                     /* of the RMS norms */
    double rope_base, rope_factor; /* positions are divided by the factor */
};

const struct architecture *architecture_find(struct str name); /* or NULL */
/* Reads and checks the numbers; *arch is the row it found. Errors: ERR_FORMAT. */
enum err_code shape_read(struct shape *s, const struct architecture **arch, const struct gguf *g,
                         struct err *err);

/* --- weights.c ------------------------------------------------------------------------------------------ */

struct weight {
    const void *data; /* [rows][cols], in the file's map */
    enum tensor_type type;
    size_t cols, rows;
};

struct layer {
    const float *attn_norm, *ffn_norm; /* [n_embd] */
    const float *q_norm, *k_norm;      /* [head_dim], NULL without qk_norm */
    struct weight q, k, v,
        attn_out; /* [n_heads * head_dim][n_embd], [n_kv_heads * head_dim][n_embd] x 2, back */
    struct weight gate, up, down; /* [n_ff][n_embd] x 2, [n_embd][n_ff] */
};

struct weights {
    struct weight embd, head; /* [n_vocab][n_embd]; the same when tied */
    const float *out_norm;    /* [n_embd] */
    const float *rope_freqs;  /* [n_rot / 2] or NULL */
    struct layer *layers;
    int64_t parameters;
    char types[64]; /* of the matrices: "Q8_0+F32" */
};

/* Every tensor the architecture asks for, with its shape and a type this build reads, and no other tensor:
 * one that is left over would mean that the model computes something else. Errors: ERR_FORMAT. */
enum err_code weights_bind(struct weights *w, const struct shape *s, const struct architecture *arch,
                           const struct gguf *g, struct err *err);
void weights_free(struct weights *w);

/* --- vocabulary.c --------------------------------------------------------------------------------------- */

/* Views into the file; what the file has unaligned is copied. Errors: ERR_FORMAT. */
enum err_code vocabulary_read(struct vocabulary *v, const struct gguf *g, struct err *err);
void vocabulary_free(struct vocabulary *v);

/* --- kv.c ----------------------------------------------------------------------------------------------- */

#define KV_PAGE_TOKENS 64

/*
 * A page holds all layers of 64 tokens, so that it can become a node of a tree of shared prefixes: it is
 * taken, counted and given back as one. Inside: [layer][k, v][kv head][64 tokens][head_dim] floats, so the
 * keys one head walks over lie in a row.
 */
struct kv_pool {
    float *memory; /* one reservation of n_pages; the system gives memory as pages are first used */
    size_t bytes;  /* of the reservation */
    size_t page_floats, layer_floats, head_floats;
    uint32_t n_pages, n_fresh; /* pages from n_fresh on were never used */
    uint32_t *free;            /* stack of pages given back, the last one on top */
    size_t n_free, cap_free;
};

struct kv {
    struct model *model;
    uint32_t *pages; /* pages[i] holds tokens 64 i ... */
    size_t n_pages, cap_pages;
    int64_t len;
};

enum err_code kv_pool_init(struct kv_pool *p, const struct shape *s, int64_t bytes_max, struct err *err);
void kv_pool_free(struct kv_pool *p);

/* --- forward.c ------------------------------------------------------------------------------------------ */

struct scratch; /* activations of MODEL_ROWS_MAX rows */
struct scratch *scratch_open(const struct model *m);
void scratch_close(struct scratch *s); /* NULL is fine */

/* --- model.c -------------------------------------------------------------------------------------------- */

struct model {
    struct file_map map;
    struct gguf *gguf;
    const struct architecture *arch;
    struct shape shape;
    struct weights weights;
    struct vocabulary vocabulary;
    struct model_info info; /* its strings are owned */
    struct kernels kernels;
    struct kernel_pool *pool;
    struct kv_pool kv_pool;
    struct scratch *scratch;
    int64_t n_kv; /* open sequences */
};

#endif
