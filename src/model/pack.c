/*
 * pack.c - matrices made ready, once, when a model is opened: their numbers looked at, quantised ones packed.
 *
 * A matrix with a NaN or an infinity would make every answer fail without a word of why; it is refused by its name.
 *
 * All of them lie in one mapping, in the order in which a step reads them. The file's pages are given back as
 * soon as a matrix is packed, so that at no time much more than one copy of the weights is resident; the bundled model's are
 * the program's own, which are read from its file again should anybody ask. What the
 * kernels use as the file has it stays in the map; so does an embedding that is not the head too, of which a
 * step reads only its own tokens' rows.
 *
 * Threads: the opening one and the pool's. Ownership: the mapping is the weights'.
 */
#include "model/model_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE (2 * MIB)

typedef void visit_fn(void *ctx, struct matrix *m);

static void visit_stack(struct matrix *stack, int32_t n, visit_fn *visit, void *ctx)
{
    for (int32_t i = 0; stack && i < n; i++)
        visit(ctx, &stack[i]);
}

static void visit_layer(struct layer *l, int32_t n_experts, visit_fn *visit, void *ctx)
{
    struct matrix *all[] = { &l->q, &l->k, &l->v, &l->attn_out, &l->router, &l->gate, &l->up, &l->down };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i]->data)
            visit(ctx, all[i]);
    visit_stack(l->gate_exps, n_experts, visit, ctx);
    visit_stack(l->up_exps, n_experts, visit, ctx);
    visit_stack(l->down_exps, n_experts, visit, ctx);
}

static void visit_matrices(struct weights *w, const struct shape *s, visit_fn *visit, void *ctx)
{
    for (int32_t i = 0; i < s->n_layers; i++)
        visit_layer(&w->layers[i], s->n_experts, visit, ctx);
    visit(ctx, &w->head);
}

struct packing {
    unsigned char *to; /* where the next packed matrix goes */
    struct kernel_pool *pool;
    const struct gguf *gguf;
    const struct matrix *plain;
    atomic_bool odd; /* a number of plain's is not finite */
    struct err *err;
    enum err_code code; /* the first failure's; what follows is left alone */
};

static void add_bytes(void *ctx, struct matrix *m)
{
    size_t *bytes = ctx;
    *bytes += matrix_packed_bytes(m->type, m->rows, m->cols);
}

static size_t row_bytes(const struct matrix *plain)
{
    const struct tensor_type_info *info = tensor_type_info(plain->type);
    return plain->cols / info->block * info->bytes;
}

static void pack_part(void *ctx, int part, int parts)
{
    struct packing *p = ctx;
    const struct matrix *m = p->plain;
    size_t panels = (m->rows + PANEL_ROWS - 1) / PANEL_ROWS, n = (size_t)parts, i = (size_t)part;
    size_t from = panels * i / n, to = panels * (i + 1) / n;
    size_t row = from * PANEL_ROWS, end = to * PANEL_ROWS < m->rows ? to * PANEL_ROWS : m->rows;
    if (!tensor_finite(m->type, (const char *)m->data + row * row_bytes(m), (end - row) * m->cols))
        atomic_store(&p->odd, true);
    else if (p->to)
        matrix_pack(m, p->to, from, to);
}

/* The tensor that m is, or is a part of. */
static struct str name_of(const struct gguf *g, const struct matrix *m)
{
    const struct gguf_tensor *t;
    const unsigned char *at = m->data;
    for (size_t i = 0; (t = gguf_tensor_at(g, i)); i++)
        if (at >= (const unsigned char *)t->data && at < (const unsigned char *)t->data + t->bytes)
            return t->name;
    return STR("?");
}

/* Pages that lie wholly within what was packed; those on the edges belong to neighbours too. */
static void give_back(const struct matrix *m)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)m->data;
    uintptr_t to = from + m->rows * row_bytes(m);
    from = (from + page - 1) / page * page;
    to = to / page * page;
    if (to > from)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

/* Looks at all numbers of m, and packs it into p->to unless that is NULL. */
static void go_over(struct packing *p, const struct matrix *m)
{
    p->plain = m;
    kernel_pool_run(p->pool, kernel_pool_threads(p->pool), pack_part, p);
    if (atomic_load(&p->odd))
        p->code = err_set(p->err, ERR_FORMAT, NULL,
                          "Tensor '%.*s' has a weight that is not a finite number: the file is damaged.",
                          STR_ARG(str_slice(name_of(p->gguf, m), 0, 80)));
}

static void pack_one(void *ctx, struct matrix *m)
{
    struct packing *p = ctx;
    if (p->code)
        return;
    size_t bytes = matrix_packed_bytes(m->type, m->rows, m->cols);
    struct matrix plain = *m;
    unsigned char *to = p->to;
    p->to = bytes ? to : NULL;
    go_over(p, &plain);
    p->to = bytes ? to + bytes : to; /* there is no room, and none is wanted, where nothing is packed */
    if (!bytes || p->code)
        return;
    give_back(&plain);
    m->data = to;
    m->packed = true;
}

/* An embedding apart from the head stays as it is; the pages that this read are given back. */
static void look_at(struct packing *p, const struct matrix *embd)
{
    p->to = NULL;
    if (p->code)
        return;
    go_over(p, embd);
    give_back(embd);
}

/* Large mappings begin at a huge page's border, so that few entries of the TLB reach over all weights. */
static enum err_code reserve(struct weights *w, size_t bytes, unsigned char **at, struct err *err)
{
    size_t align = bytes >= HUGE_PAGE ? HUGE_PAGE : 64;
    void *memory = mmap(NULL, bytes + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return err_set(err, ERR_FILE, NULL, "Cannot reserve %zu bytes for the model's weights: %s.", bytes,
                       strerror(errno));
    w->packed = memory;
    w->packed_bytes = bytes + align;
    *at = (unsigned char *)(((uintptr_t)memory + align - 1) / align * align);
    if (align == HUGE_PAGE)
        madvise(*at, bytes, MADV_HUGEPAGE); /* a wish; systems without huge pages say no */
    return ERR_OK;
}

enum err_code weights_pack(struct weights *w, const struct shape *s, struct kernel_pool *pool,
                           const struct gguf *g, struct err *err)
{
    struct packing p = { .pool = pool, .gguf = g, .err = err };
    bool tied = w->head.data == w->embd.data;
    size_t bytes = 0;
    visit_matrices(w, s, add_bytes, &bytes);
    enum err_code code = bytes ? reserve(w, bytes, &p.to, err) : ERR_OK;
    if (code)
        return code;
    visit_matrices(w, s, pack_one, &p);
    if (tied)
        w->embd = w->head;
    else
        look_at(&p, &w->embd);
    return p.code;
}

void weights_unpack(struct weights *w)
{
    if (w->packed)
        munmap(w->packed, w->packed_bytes);
    w->packed = NULL;
}
