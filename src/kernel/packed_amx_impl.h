/*
 * packed_amx_impl.h - packed weights on 8-bit tiles, over packed_vector_impl.h with LANES 16 and these operations:
 *
 *   tiles_begin(shapes), tiles_end()   for each of the eight tile registers its rows and the bytes of a row
 *   tile_zero(t) tile_read(t, p, stride) tile_write(t, p, stride)   t is a literal number
 *   tile_dot(c, a, b)                  c[m][n] += sum over k of a[m][4 k + i] * b[k][4 n + i], i < 4; a signed, b unsigned
 *
 * and mul_packed_rest, a product for fewer than 16 rows. packed_amx.c has them of the CPU; tests/unit/kernel/amx.c a model in plain C, so the logic runs everywhere.
 *
 * 16 rows of activations are the A tile, the eight quads of a block are the B tile as they come: of half depth, since
 * scales change every 32 k (a quarter where they change every 16). A product takes some fifty cycles to come out, so
 * four blocks are under way at once. Their sums then leave the tiles and go on as a vector tile's would, with the same
 * operations in the same order: the rows that are left over take vectors and nobody can tell.
 */
#define AMX_ROWS   16
#define AMX_BLOCKS 4 /* C tiles */
/* The other tile registers, as macros because the intrinsics want the digits themselves; HALF: for groups of 16 k. */
#define AMX_A      4
#define AMX_B      5
#define AMX_A_HALF 6
#define AMX_B_HALF 7

static const struct tile_shape amx_shapes[8] = {
    { 16, 64 }, { 16, 64 }, { 16, 64 }, { 16, 64 }, { 16, 32 }, { 8, 64 }, { 16, 16 }, { 4, 64 },
};

struct amx_scratch {
    _Alignas(64) uint8_t b[8][QUAD_BYTES];                       /* a block's codes, laid open */
    _Alignas(64) int8_t a[AMX_ROWS][ACTS_BLOCK];                 /* a block of rows that do not lie evenly */
    _Alignas(64) int32_t c[AMX_BLOCKS][2][AMX_ROWS][PANEL_ROWS]; /* the blocks' and groups' sums */
};

/* Rows at even distances can be read from where they are. */
struct amx_rows {
    const struct acts_block *x[AMX_ROWS];
    ptrdiff_t stride; /* in bytes; 0: not even */
};

static void amx_rows_find(struct amx_rows *rows, const struct product *p, size_t r)
{
    for (size_t i = 0; i < AMX_ROWS; i++)
        rows->x[i] = acts_row(p->x, product_row(p, r + i));
    rows->stride = (const char *)rows->x[1] - (const char *)rows->x[0];
    for (size_t i = 2; i < AMX_ROWS; i++)
        if ((const char *)rows->x[i] - (const char *)rows->x[i - 1] != rows->stride)
            rows->stride = 0;
}

/* The codes of a block as a B tile: where they are stored if they lie open there already. */
INLINE const uint8_t *amx_codes(const struct packed_form *f, const unsigned char *at, struct amx_scratch *s)
{
    vint w[8];
    if (f->low_bits == 8)
        return at;
    open_codes(f, at, w);
    UNROLL for (size_t q = 0; q < 8; q++) vi_store(s->b[q], w[q]);
    return s->b[0];
}

static const int8_t *amx_activations(const struct amx_rows *rows, size_t block, struct amx_scratch *s,
                                     size_t *stride)
{
    if (rows->stride > 0) {
        *stride = (size_t)rows->stride;
        return rows->x[0][block].q;
    }
    for (size_t i = 0; i < AMX_ROWS; i++)
        memcpy(s->a[i], rows->x[i][block].q, ACTS_BLOCK);
    *stride = ACTS_BLOCK;
    return s->a[0];
}

/* C tile number n: the sums of one group, to memory. */
#define AMX_DOT(n, a, b, x, x_stride, w, to)                                                                 \
    do {                                                                                                     \
        tile_zero(n);                                                                                        \
        tile_read(a, x, x_stride);                                                                           \
        tile_read(b, w, QUAD_BYTES);                                                                         \
        tile_dot(n, a, b);                                                                                   \
        tile_write(n, to, PANEL_ROWS * sizeof(int32_t));                                                     \
    } while (0)

/* Tile registers go by literal numbers, hence the macro and the four cases. */
#define AMX_GROUP(n, f, x, x_stride, w, c)                                                                   \
    do {                                                                                                     \
        if ((f)->group == 16) {                                                                              \
            AMX_DOT(n, AMX_A_HALF, AMX_B_HALF, x, x_stride, w, (c)[0]);                                      \
            AMX_DOT(n, AMX_A_HALF, AMX_B_HALF, (x) + 16, x_stride, (w) + 4 * QUAD_BYTES, (c)[1]);            \
        } else                                                                                               \
            AMX_DOT(n, AMX_A, AMX_B, x, x_stride, w, (c)[0]);                                                \
    } while (0)

INLINE void amx_dots(const struct packed_form *f, const unsigned char *codes, const struct amx_rows *rows,
                     size_t block, size_t n, struct amx_scratch *s)
{
    for (size_t i = 0; i < n; i++) {
        size_t stride;
        const uint8_t *w = amx_codes(f, codes + i * block_code_bytes(f), s);
        const int8_t *x = amx_activations(rows, block + i, s, &stride);
        switch (i) {
        case 0: AMX_GROUP(0, f, x, stride, w, s->c[0]); break;
        case 1: AMX_GROUP(1, f, x, stride, w, s->c[1]); break;
        case 2: AMX_GROUP(2, f, x, stride, w, s->c[2]); break;
        default: AMX_GROUP(3, f, x, stride, w, s->c[3]); break;
        }
    }
}

/* One block's sums of all rows, as add_block goes on from them. */
INLINE void amx_add(const struct packed_form *f, int32_t (*c)[AMX_ROWS][PANEL_ROWS],
                    const unsigned char *scales, size_t b, const struct amx_rows *rows, size_t block,
                    vflt sum[AMX_ROWS])
{
    vflt scale[2], min[2];
    open_scales(f, scales, b, 0, scale, min);
    UNROLL for (size_t r = 0; r < AMX_ROWS; r++)
    {
        const struct acts_block *x = rows->x[r] + block;
        vint dot[2];
        UNROLL for (size_t g = 0; g < 32 / (size_t)f->group; g++) dot[g] =
            vi_add32(vi_load(c[g][r]), vi_start(f, minus_of(f, x, g)));
        sum[r] = add_dots(f, dot, scale, min, x, sum[r]);
    }
}

INLINE void amx_tile(const struct packed_form *f, const struct tile *t, const struct amx_rows *rows)
{
    struct amx_scratch s;
    vflt sum[AMX_ROWS];
    const unsigned char *at = t->panel;
    UNROLL for (size_t r = 0; r < AMX_ROWS; r++) sum[r] = vf_zero();
    for (size_t block = 0; block < t->n_blocks;) {
        const size_t left = t->n_blocks - block, blocks = left < CHUNK_BLOCKS ? left : CHUNK_BLOCKS;
        const unsigned char *scales = at + blocks * block_code_bytes(f);
        for (size_t b = 0; b < blocks; b += AMX_BLOCKS) {
            const size_t n = blocks - b < AMX_BLOCKS ? blocks - b : AMX_BLOCKS;
            amx_dots(f, at + b * block_code_bytes(f), rows, block + b, n, &s);
            for (size_t i = 0; i < n; i++)
                amx_add(f, s.c[i], scales, b + i, rows, block + b + i, sum);
        }
        at += chunk_bytes(f, blocks);
        block += blocks;
    }
    UNROLL for (size_t r = 0; r < AMX_ROWS; r++) store_row(t, r, &sum[r]);
}

#define X(name, low, high, group, zero, scales, levels)                                                      \
    static void amx_tile_##name(const struct tile *t, const struct amx_rows *rows)                           \
    {                                                                                                        \
        amx_tile(packed_form(TENSOR_##name), t, rows);                                                       \
    }
PACKED_LIST(X)
#undef X

static void (*const amx_tiles[TENSOR_TYPE_COUNT])(const struct tile *t, const struct amx_rows *rows) = {
#define X(name, low, high, group, zero, scales, levels) [TENSOR_##name] = amx_tile_##name,
    PACKED_LIST(X)
#undef X
};

/* Rows from r on of the panel at output j, by vectors. */
static void mul_rest(const struct product *p, size_t j, size_t r)
{
    struct product rest = *p;
    struct acts x = *p->x;
    rest.from = j;
    rest.to = p->to - j < PANEL_ROWS ? p->to : j + PANEL_ROWS;
    rest.n_rows -= r;
    rest.y += r * p->y_stride;
    if (p->rows)
        rest.rows += r;
    else
        x.q = acts_row(p->x, r);
    rest.x = &x;
    mul_packed_rest(&rest);
}

static void mul_packed_amx(const struct product *p)
{
    const size_t bytes = panel_bytes(packed_form(p->w->type), p->w->cols),
                 by_tiles = p->n_rows / AMX_ROWS * AMX_ROWS;
    if (by_tiles)
        tiles_begin(amx_shapes);
    for (size_t j = p->from; j < p->to; j += PANEL_ROWS) {
        struct tile t = panel_tile(p, j, bytes);
        for (size_t r = 0; r < by_tiles; r += AMX_ROWS, t.y += AMX_ROWS * t.stride) {
            struct amx_rows rows;
            amx_rows_find(&rows, p, r);
            amx_tiles[p->w->type](&t, &rows);
        }
        if (by_tiles < p->n_rows)
            mul_rest(p, j, by_tiles);
    }
    if (by_tiles)
        tiles_end();
}
