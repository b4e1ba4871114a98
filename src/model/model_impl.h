/*
 * model_impl.h - what the files of model/ share: the GGUF reader, the weights, the pages of keys and values.
 *
 *   gguf.c        bytes of a file -> checked tables of keys and tensors
 *   arch.c        the table of architectures
 *   shape.c       their numbers, read from the keys
 *   weights.c     tensors bound to the layers, each with its shape and type
 *   pack.c        matrices in the kernels' layout
 *   rope.c        angles of the rotations
 *   vocabulary.c  the tokenizer's keys as a struct vocabulary
 *   kv.c          pages of keys and values, and the pool they come from
 *   kv_tree.c     which stored pages begin with which tokens
 *   forward.c     rows of tokens -> logits; attention.c and experts.c are parts of it (forward_impl.h)
 *   model.c       open, close, info
 */
#ifndef THINKD_MODEL_MODEL_IMPL_H
#define THINKD_MODEL_MODEL_IMPL_H

#include "base/arena.h"
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

/* --- arch.c, shape.c ----------------------------------------------------------------------------------------- */

enum rope_pairs { ROPE_NEIGHBOURS, ROPE_HALVES };  /* (0,1) (2,3) ..., or (0,n/2) (1,n/2+1) ... */
enum gate_kind { GATE_SILU, GATE_GELU, GATE_OAI }; /* what the gate passes before it is multiplied with up */

/* What an architecture has beyond the common transformer: which tensors it asks for and which steps it takes. */
enum {
    HAS_QK_NORM = 1,         /* q and k of each head pass an RMS norm before the rotation */
    HAS_QKV_BIAS = 2,        /* attn_{q,k,v}.bias */
    MAY_HAVE_BIAS = 4,       /* the same, and attn_output.bias, where a file brings them */
    HAS_OUT_BIAS = 8,        /* attn_output.bias */
    HAS_FUSED_QKV = 16,      /* attn_qkv.weight is q, k and v one after the other */
    HAS_FUSED_UP = 32,       /* ffn_up.weight is gate and up one after the other */
    HAS_POST_NORMS = 64,     /* attention's and the feed-forward's outputs are normed before they are added */
    HAS_LATE_NAME = 128,     /* the norm before the feed-forward is called post_attention_norm */
    HAS_SINKS = 256,         /* attn_sinks.weight: one logit a head that takes part in the softmax */
    HAS_EXPERTS = 512,       /* the feed-forward is a router's choice of experts */
    HAS_EXPERT_BIAS = 1024,  /* router and experts have biases */
    HAS_ROPE_FREQS = 2048,   /* may carry rope_freqs.weight: a divisor for each frequency */
    HAS_ROPE_FACTORS = 4096, /* may carry rope_factors_{long,short}.weight, chosen by the context */
    HAS_EMBD_SCALE = 8192    /* embeddings are multiplied with sqrt(n_embd) */
};

struct architecture {
    const char *name; /* general.architecture, and the prefix of its keys */
    enum rope_pairs rope;
    enum gate_kind gate;
    int32_t window_pattern; /* which layers see a window: 1: all; n: all but each n-th; 0: none */
    double local_base; /* rope base of layers with a window, which no factor stretches; 0: as the others */
    unsigned has;      /* HAS_* */
};

enum rope_scaling { ROPE_NONE, ROPE_LINEAR, ROPE_YARN, ROPE_LONGROPE };

struct rope_shape {
    enum rope_scaling scaling;
    double base, local_base;                 /* local: of layers with a window */
    double factor, local_factor;             /* frequencies are divided by it */
    double original_context;                 /* the one it was trained on */
    double attn_factor;                      /* on sines and cosines */
    double ext_factor, beta_fast, beta_slow; /* yarn */
};

#define LAYERS_MAX  1024
#define EXPERTS_MAX 1024

struct shape {
    int32_t n_layers, n_embd, n_heads, n_kv_heads, head_dim, n_rot, n_ff, n_vocab;
    int32_t n_experts, n_experts_used; /* n_ff is one expert's then */
    int64_t context;
    int64_t window; /* tokens that a layer with a window sees, its own included; 0: no layer has one */
    bool local[LAYERS_MAX];            /* layers with a window */
    float eps;                         /* of the RMS norms */
    float score_scale;                 /* q . k is multiplied with it */
    float embd_scale;                  /* 1: not scaled */
    float attn_softcap, logit_softcap; /* 0: none */
    struct rope_shape rope;
};

const struct architecture *architecture_find(struct str name); /* or NULL */
/* The row that the file names. Errors: ERR_FORMAT. */
enum err_code architecture_read(const struct architecture **arch, const struct gguf *g, struct err *err);
/* Reads and checks the numbers. Errors: ERR_FORMAT. */
enum err_code shape_read(struct shape *s, const struct architecture *arch, const struct gguf *g,
                         struct err *err);

/* --- weights.c, pack.c ------------------------------------------------------------------------------------ */

/* Vectors are floats of our own; a matrix is plain, in the file's map, until weights_pack. What a model does
 * not have is NULL, or a matrix without data. Members that one tensor holds together stand together. */
struct layer {
    const float *attn_norm, *ffn_norm;           /* [n_embd] */
    const float *post_attn_norm, *post_ffn_norm; /* [n_embd] */
    const float *q_norm, *k_norm;                /* [head_dim] */
    const float *q_bias, *k_bias, *v_bias, *out_bias;
    const float *sinks;           /* [n_heads] */
    struct matrix q, k, v;        /* [n_heads * head_dim][n_embd], [n_kv_heads * head_dim][n_embd] x 2 */
    struct matrix attn_out;       /* [n_embd][n_heads * head_dim] */
    struct matrix gate, up, down; /* [n_ff][n_embd] x 2, [n_embd][n_ff] */
    struct matrix router;         /* [n_experts][n_embd] */
    struct matrix *gate_exps, *up_exps, *down_exps; /* [n_experts] */
    const float *router_bias;                       /* [n_experts] */
    const float *gate_exps_bias, *up_exps_bias;     /* [n_experts][n_ff] */
    const float *down_exps_bias;                    /* [n_experts][n_embd] */
};

struct weights {
    struct matrix embd, head;                         /* [n_vocab][n_embd]; the same when tied */
    const float *out_norm;                            /* [n_embd] */
    const float *rope_freqs, *rope_long, *rope_short; /* [n_rot / 2] or NULL */
    struct layer *layers;
    struct arena vectors; /* what is not a matrix */
    void *packed;         /* the mapping that has all packed matrices */
    size_t packed_bytes;
    int64_t parameters;
    char types[96]; /* of the matrices: "Q4_K+Q6_K" */
};

/* Every tensor the architecture asks for, with its shape and a type this build reads, and no other tensor:
 * one that is left over would mean that the model computes something else. Errors: ERR_FORMAT. */
enum err_code weights_bind(struct weights *w, const struct shape *s, const struct architecture *arch,
                           const struct gguf *g, struct err *err);
/* Packs what the kernels want packed, and gives back the pages of the map that were.
 * ERR_FILE: no memory for it; ERR_FORMAT: a matrix of g has a number that is not finite. */
enum err_code weights_pack(struct weights *w, const struct shape *s, struct kernel_pool *pool,
                           const struct gguf *g, struct err *err);
void weights_unpack(struct weights *w);
void weights_free(struct weights *w);

/* --- vocabulary.c --------------------------------------------------------------------------------------- */

/* Views into the file; what the file has unaligned is copied. Errors: ERR_FORMAT. */
enum err_code vocabulary_read(struct vocabulary *v, const struct gguf *g, struct err *err);
void vocabulary_free(struct vocabulary *v);

/* --- kv_tree.c ------------------------------------------------------------------------------------------ */

/*
 * The tree of stored beginnings: a node is a page in it and has the page's number, so a path from the root
 * spells the tokens that its last page was computed from. A node with children has 64 tokens; a leaf may have
 * fewer. Nodes that no sequence holds stand in one list, longest unused first.
 */
#define KV_NO_PAGE UINT32_MAX
struct kv_node {
    uint64_t salt;             /* whose sequences may share it; that of its parent */
    uint32_t parent, children; /* KV_NO_PAGE: the root; none. children: the top of their search tree */
    uint32_t left, right;      /* in the search tree of its siblings */
    uint32_t older, newer;     /* in the list of kept pages */
    uint32_t n_tokens;         /* 1 .. 64; 0: this page is not in the tree */
    bool kept;                 /* in the list: only the tree holds the page */
    int32_t tokens[KV_PAGE_TOKENS];
};
struct kv_tree {
    struct kv_node *nodes; /* [n_pages] of the pool */
    uint32_t children;     /* of the root */
    uint32_t oldest, newest;
    size_t n_kept;
};
struct kv_found {
    uint32_t page;
    int64_t n; /* tokens that agree; 0: no page */
};

void kv_tree_init(struct kv_tree *t, struct kv_node *nodes); /* nodes are all zero */
/* The child of parent that has this salt and begins with the most of tokens[0 .. n), n <= 64. */
struct kv_found kv_tree_find(const struct kv_tree *t, uint32_t parent, uint64_t salt, const int32_t *tokens,
                             int64_t n);
/* No child of parent may begin with these tokens, nor be a beginning of them. */
void kv_tree_insert(struct kv_tree *t, uint32_t parent, uint64_t salt, const int32_t *tokens, int64_t n,
                    uint32_t page);
void kv_tree_remove(struct kv_tree *t, uint32_t page); /* a kept page without children */
void kv_tree_keep(struct kv_tree *t, uint32_t page);   /* its last sequence let go: the newest in the list */
void kv_tree_hold(struct kv_tree *t, uint32_t page);   /* a sequence took it: leaves the list */

/* --- kv.c ----------------------------------------------------------------------------------------------- */

/*
 * A page holds all layers of 64 tokens: [layer][kv head] kv_heads (kernel.h), so it is taken, counted, shared
 * and given back as one, and its number is all that a sequence or the tree keeps of it. The kv_head of layer
 * l and head h in page p is at memory + p * page_bytes + l * layer_bytes + h * head_bytes.
 */
struct kv_pool {
    void *map; /* one reservation: pages, then the tables; the system gives memory as it is first used */
    size_t map_bytes;
    unsigned char *memory; /* [n_pages][page_bytes], aligned to 2 MiB */
    enum kv_type type;
    size_t page_bytes, layer_bytes, head_bytes;
    size_t head_dim, n_layers, n_kv_heads;
    uint32_t n_pages, n_fresh; /* pages from n_fresh on were never used */
    uint32_t *refs;            /* [n_pages] sequences that hold the page, and one for the tree */
    uint32_t *free;            /* [n_pages] stack of pages given back, the last one on top */
    size_t n_free;
    struct kv_tree tree;
    int64_t hits, evicted; /* for kv_usage */
};

struct kv {
    struct model *model;
    uint64_t salt;
    uint32_t *pages; /* pages[i] holds tokens 64 i ... */
    size_t n_pages, cap_pages;
    int32_t *tokens; /* [len], room for cap_pages * 64 */
    int64_t len;
    size_t n_published; /* pages[0 .. n_published) are a path of the tree, the rest are this kv's alone */
};

enum err_code kv_pool_init(struct kv_pool *p, const struct shape *s, enum kv_type type, int64_t bytes_max,
                           struct err *err);
void kv_pool_free(struct kv_pool *p);
/* For forward.c: takes the next position for token; its keys and values are written during the step, to a
 * page that only this kv holds. */
int64_t kv_append(struct kv *kv, int32_t token);
/* For forward.c, after a step: pages that became full go into the tree. May replace numbers in kv->pages by
 * those of pages with the same content. */
void kv_publish(struct kv *kv);

/* --- rope.c --------------------------------------------------------------------------------------------- */

/* Rotations of one kind of layer. A position is 64 hi + lo, and its angle's sine and cosine are put together from
 * those of the two parts in double precision, so that no position costs a call of sin. */
struct rope {
    size_t half;        /* n_rot / 2 */
    double *low, *high; /* [64][2][half], [context / 64 + 1][2][half]: cosines, then sines */
    double magnitude;   /* on both (yarn, longrope) */
};
void rope_open(struct rope *r, const struct model *m, bool local); /* local: of layers with a window */
void rope_free(struct rope *r);
/* [half] each */
void rope_at(const struct rope *r, int64_t position, float *cosine, float *sine);
void rope_rotate(enum rope_pairs pairs, float *head, size_t half, const float *cosine, const float *sine);

/* --- forward.c, attention.c, experts.c ---------------------------------------------------------------------- */

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
