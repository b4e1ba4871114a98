/*
 * packed_vector_impl.h - products of packed weights over vectors of any width; an instruction set's file includes it once.
 *
 * Before it, that file defines, static and inline (n is a literal number wherever it stands):
 *   vint, vflt, LANES                a register of 4 LANES bytes or LANES 32-bit numbers; LANES floats; 4, 8 or 16
 *   vi_zero() vi_load(p) vi_set(byte) vi_and vi_or vi_xor      p is aligned to the register
 *   vi_left(v, n) vi_right(v, n)     shifts of lanes of 16 bits (what comes from the neighbouring byte is masked off)
 *   vi_levels(table, codes)          table[code] of each byte, 0 <= code < 16
 *   vi_broadcast(p) vi_left32(v, n)  *p in all 32-bit lanes; shifts of them
 *   vi_dot(acc, w, x, wide)          each 32-bit lane + sum of its four bytes of w times x[0..3]; w is unsigned and
 *                                    below 128, unless wide
 *   vf_zero() vf_whole(v) vf_broadcast(p) vf_mul(a, b) vf_fma(a, b, c) = a * b + c   vf_whole: 32-bit lanes as floats
 *   vf_half(p) vf_signed(p)          LANES halves or signed bytes as floats
 *   vf_bits(p, shift, mask)          byte >> shift & mask of LANES bytes as floats
 *   vf_exponent(p)                   e8m0_half_bits of LANES bytes, as the floats they are
 *   vf_store(p, v)                   to unaligned memory
 *   ROWS_MOST                        activation rows of the largest tile: 4 or 12; 16 and WITHOUT_TILES: packed_amx_impl.h
 * and WIDE_SIGNED where wide weights are wanted signed, that is less 128; and DOT_PAIRS where two rows at once are
 * quicker: vi_dot_pair(w, quads, x0, x1, acc), acc[i] = sum of vi_dot over the quads (an even number) with x0 and x1; and
 * DOT_ROWS, how many rows' sums are taken side by side; 1 where registers are few.
 *
 * A tile is one panel times up to ROWS_MOST rows over the whole of k: the weights of a block are opened into eight
 * registers (of LANES outputs, so 1, 2 or 4 times a panel) and every row passes over them. Their codes never lie
 * open in memory. A row's integer sums hang on each other, but rows do not, nor do blocks: there is always
 * something for the processor to run ahead to, with a single row too; with DOT_ROWS it need not run far.
 *
 * Invariant: an output's floating point operations are those of scalar.c's add_chunk, in its order, in every tile.
 */
#include "kernel/packed_impl.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define PARTS  (PANEL_ROWS / LANES) /* registers that make a quad */
#ifndef DOT_ROWS
#define DOT_ROWS 1
#endif

struct tile {
    const unsigned char *panel;
    size_t n_blocks;
    const struct acts_block *x[ROWS_MOST];
    /* Of the next panel what this tile asks into the second-level cache, so much a block; see ask_ahead. */
    const unsigned char *ahead;
    size_t ahead_step;
    float *y; /* [rows][stride], of which outputs are the panel's */
    size_t stride, outputs;
};

INLINE bool is_wide(const struct packed_form *f)
{
    return f->zero == 128;
}

/* --- codes ------------------------------------------------------------------------------------------------ */

/* By a switch, because shifts want literal numbers even where nothing is optimised. */
INLINE vint vi_move(vint v, int left)
{
    switch (left) {
    case 1: return vi_left(v, 1);
    case 2: return vi_left(v, 2);
    case 3: return vi_left(v, 3);
    case 4: return vi_left(v, 4);
    case -1: return vi_right(v, 1);
    case -2: return vi_right(v, 2);
    case -3: return vi_right(v, 3);
    case -4: return vi_right(v, 4);
    case -5: return vi_right(v, 5);
    case -6: return vi_right(v, 6);
    default: return v;
    }
}

/* Bits [at, at + bits) of every byte, moved to bit `to`. */
INLINE vint vi_field(vint v, int at, int bits, int to)
{
    return vi_and(vi_move(v, to - at), vi_set((unsigned char)(((1 << bits) - 1) << to)));
}

INLINE void open_low(const struct packed_form *f, const unsigned char *at, vint w[8])
{
    if (f->low_bits == 8) {
        UNROLL for (size_t q = 0; q < 8; q++) w[q] = vi_load(at + q * QUAD_BYTES);
    } else if (f->low_bits == 4) {
        UNROLL for (size_t i = 0; i < 4; i++)
        {
            vint v = vi_load(at + i * QUAD_BYTES);
            w[i] = vi_field(v, 0, 4, 0);
            w[i + 4] = vi_field(v, 4, 4, 0);
        }
    } else {
        UNROLL for (size_t q = 0; q < 8; q++) w[q] =
            vi_field(vi_load(at + q / 4 * QUAD_BYTES), 2 * (int)(q % 4), 2, 0);
    }
}

INLINE void open_high(const struct packed_form *f, const unsigned char *at, vint w[8])
{
    if (f->high_bits == 2) {
        UNROLL for (size_t q = 0; q < 8; q++) w[q] =
            vi_or(w[q], vi_field(vi_load(at + q / 4 * QUAD_BYTES), 2 * (int)(q % 4), 2, f->low_bits));
    } else if (f->high_bits == 1) {
        vint v = vi_load(at);
        UNROLL for (size_t q = 0; q < 8; q++) w[q] = vi_or(w[q], vi_field(v, (int)q, 1, f->low_bits));
    }
}

/* The levels as bytes above zero, or signed where that is wanted. */
INLINE void open_levels(const struct packed_form *f, vint w[8])
{
    unsigned char table[16];
    int above = f->zero;
#ifdef WIDE_SIGNED
    above = is_wide(f) ? 0 : above;
#endif
    UNROLL for (size_t i = 0; i < 16; i++) table[i] = (unsigned char)(above + f->levels[i]);
    UNROLL for (size_t q = 0; q < 8; q++) w[q] = vi_levels(table, w[q]);
}

INLINE void open_codes(const struct packed_form *f, const unsigned char *at, vint w[8])
{
    open_low(f, at, w);
    open_high(f, at + (size_t)f->low_bits * QUAD_BYTES, w);
    if (f->levels)
        open_levels(f, w);
#ifdef WIDE_SIGNED
    else if (is_wide(f))
        UNROLL for (size_t q = 0; q < 8; q++) w[q] = vi_xor(w[q], vi_set(0x80));
#endif
}

/* --- scales ----------------------------------------------------------------------------------------------- */

/* Scales of outputs from o on, of the groups of block b, from the chunk's scales at `at`. */
INLINE void open_scales(const struct packed_form *f, const unsigned char *at, size_t b, size_t o,
                        vflt scale[2], vflt min[2])
{
    const unsigned char *bytes = at + 4 * PANEL_ROWS + o; /* behind d and dmin */
    switch (f->scales) {
    case SCALES_F16: scale[0] = vf_half(at + b * 2 * PANEL_ROWS + 2 * o); break;
    case SCALES_F16_MIN:
        scale[0] = vf_half(at + b * 4 * PANEL_ROWS + 2 * o);
        min[0] = vf_half(at + b * 4 * PANEL_ROWS + 2 * PANEL_ROWS + 2 * o);
        break;
    case SCALES_E8M0: scale[0] = vf_exponent(at + b * PANEL_ROWS + o); break;
    case SCALES_K_MIN:
        scale[0] = vf_mul(vf_half(at + 2 * o), vf_bits(bytes + b * PANEL_ROWS, 0, 255));
        min[0] = vf_mul(vf_half(at + 2 * PANEL_ROWS + 2 * o), vf_bits(bytes + (8 + b) * PANEL_ROWS, 0, 255));
        break;
    case SCALES_K_NIBBLES:
        UNROLL for (size_t g = 0; g < 2; g++)
        {
            const unsigned char *both = bytes + (2 * b + g) * PANEL_ROWS;
            scale[g] = vf_mul(vf_half(at + 2 * o), vf_bits(both, 0, 15));
            min[g] = vf_mul(vf_half(at + 2 * PANEL_ROWS + 2 * o), vf_bits(both, 4, 15));
        }
        break;
    case SCALES_K_SIGNED:
        bytes = at + 2 * PANEL_ROWS + o;
        UNROLL for (size_t g = 0; g < 32 / (size_t)f->group; g++) scale[g] =
            vf_mul(vf_half(at + 2 * o), vf_signed(bytes + (b * 32 / (size_t)f->group + g) * PANEL_ROWS));
        break;
    }
}

/* --- tiles ------------------------------------------------------------------------------------------------ */

/* What an integer sum starts from: zero * -(sum of q), which makes u as good as u - zero. */
INLINE vint vi_start(const struct packed_form *f, const int32_t *minus)
{
    int zero = f->zero;
#ifdef WIDE_SIGNED
    zero = is_wide(f) ? 0 : zero;
#endif
    switch (zero) {
    case 4: return vi_left32(vi_broadcast(minus), 2);
    case 8: return vi_left32(vi_broadcast(minus), 3);
    case 16: return vi_left32(vi_broadcast(minus), 4);
    case 32: return vi_left32(vi_broadcast(minus), 5);
    case 128: return vi_left32(vi_broadcast(minus), 7);
    default: return vi_zero();
    }
}

INLINE const int32_t *minus_of(const struct packed_form *f, const struct acts_block *x, size_t g)
{
    return f->group == 16 ? &x->minus16[g] : &x->minus32;
}

/* sum + d * sum over groups of (scale * dot - min * sum of q): scalar.c's add_chunk for one block. */
INLINE vflt add_dots(const struct packed_form *f, const vint dot[2], const vflt scale[2], const vflt min[2],
                     const struct acts_block *x, vflt sum)
{
    vflt t = vf_zero();
    UNROLL for (size_t g = 0; g < 32 / (size_t)f->group; g++)
    {
        t = g ? vf_fma(vf_whole(dot[g]), scale[g], t) : vf_mul(vf_whole(dot[g]), scale[g]);
        if (packed_has_min(f))
            t = vf_fma(min[g], vf_whole(vi_broadcast(minus_of(f, x, g))), t);
    }
    return vf_fma(t, vf_broadcast(&x->d), sum);
}

#ifndef WITHOUT_TILES

/* N rows side by side, quad by quad. One after the other their chains of eight would stand a dozen instructions apart, and
 * what a scheduler holds is 64 on Zen 4: it ran dry before the fifth row. */
INLINE void dot_rows(const struct packed_form *f, const vint w[8], const struct acts_block *const *x,
                     size_t N, vint dot[][2])
{
    const size_t quads = (size_t)f->group / 4;
    UNROLL for (size_t g = 0; g < 8 / quads; g++)
    {
        UNROLL for (size_t i = 0; i < N; i++) dot[i][g] = vi_start(f, minus_of(f, x[i], g));
        UNROLL for (size_t q = g * quads; q < (g + 1) * quads; q++)
        {
            UNROLL for (size_t i = 0; i < N; i++) dot[i][g] =
                vi_dot(dot[i][g], w[q], x[i]->q + 4 * q, is_wide(f));
        }
    }
}

#ifdef DOT_PAIRS
INLINE void dot_two_rows(const struct packed_form *f, const vint w[8], const struct acts_block *const x[2],
                         vint dot[2][2])
{
    const size_t quads = (size_t)f->group / 4;
    UNROLL for (size_t g = 0; g < 8 / quads; g++)
    {
        vint acc[2];
        vi_dot_pair(w + g * quads, quads, x[0]->q + 4 * g * quads, x[1]->q + 4 * g * quads, acc);
        UNROLL for (size_t i = 0; i < 2; i++) dot[i][g] = vi_add32(acc[i], vi_start(f, minus_of(f, x[i], g)));
    }
}
#endif

/* One opened block with every row. */
INLINE void add_block(const struct packed_form *f, const vint w[8], const vflt scale[2], const vflt min[2],
                      const struct acts_block *const *x, size_t R, vflt *sum)
{
    size_t r = 0;
#ifdef DOT_PAIRS
    UNROLL for (; r + 2 <= R; r += 2)
    {
        vint dot[2][2];
        dot_two_rows(f, w, x + r, dot);
        UNROLL for (size_t i = 0; i < 2; i++) sum[r + i] =
            add_dots(f, dot[i], scale, min, x[r + i], sum[r + i]);
    }
#endif
    UNROLL for (; r < R; r += DOT_ROWS)
    {
        vint dot[DOT_ROWS][2];
        const size_t N = R - r < DOT_ROWS ? R - r : DOT_ROWS;
        dot_rows(f, w, x + r, N, dot);
        UNROLL for (size_t i = 0; i < N; i++) sum[r + i] =
            add_dots(f, dot[i], scale, min, x[r + i], sum[r + i]);
    }
}

#endif

/* Row r of the tile, from its registers. */
INLINE void store_row(const struct tile *t, size_t r, const vflt sum[PARTS])
{
    float *y = t->y + r * t->stride, last[PANEL_ROWS];
    float *to = t->outputs == PANEL_ROWS ? y : last;
    UNROLL for (size_t p = 0; p < PARTS; p++) vf_store(to + p * LANES, sum[p]);
    if (t->outputs < PANEL_ROWS)
        memcpy(y, last, t->outputs * sizeof *y);
}

/* The tile of the panel that begins with output j, without rows. */
static struct tile panel_tile(const struct product *p, size_t j, size_t bytes)
{
    return (struct tile){ .panel = (const unsigned char *)p->w->data + j / PANEL_ROWS * bytes,
                          .n_blocks = p->w->cols / ACTS_BLOCK,
                          .y = p->y + j,
                          .stride = p->y_stride,
                          .outputs = p->to - j < PANEL_ROWS ? p->to - j : PANEL_ROWS };
}

#ifndef WITHOUT_TILES

/* f and R are constants at every call. */
INLINE void mul_tile(const struct packed_form *f, const struct tile *t, size_t R)
{
    vflt sum[PARTS][ROWS_MOST];
    const struct acts_block *x[ROWS_MOST];
    const unsigned char *at = t->panel, *ahead = t->ahead;
    UNROLL for (size_t r = 0; r < R; r++)
    {
        x[r] = t->x[r];
        UNROLL for (size_t p = 0; p < PARTS; p++) sum[p][r] = vf_zero();
    }
    for (size_t left = t->n_blocks; left > 0;) {
        const size_t blocks = left < CHUNK_BLOCKS ? left : CHUNK_BLOCKS;
        const unsigned char *scales = at + blocks * block_code_bytes(f);
        for (size_t b = 0; b < blocks; b++, ahead += t->ahead_step) {
            for (size_t line = 0; line < t->ahead_step; line += 64)
                __builtin_prefetch(ahead + line, 0, 2);
            UNROLL for (size_t p = 0; p < PARTS; p++)
            {
                vint w[8];
                vflt scale[2], min[2];
                open_codes(f, at + b * block_code_bytes(f) + p * 4 * LANES, w);
                open_scales(f, scales, b, p * LANES, scale, min);
                add_block(f, w, scale, min, x, R, sum[p]);
            }
            UNROLL for (size_t r = 0; r < R; r++) x[r]++;
        }
        at += chunk_bytes(f, blocks);
        left -= blocks;
    }
    UNROLL for (size_t r = 0; r < R; r++)
    {
        vflt row[PARTS];
        UNROLL for (size_t p = 0; p < PARTS; p++) row[p] = sum[p][r];
        store_row(t, r, row);
    }
}

/* A function for each type and size of tile. */
#define TILE_FUNCTION(name, R)                                                                               \
    static void tile_##name##_##R(const struct tile *t)                                                      \
    {                                                                                                        \
        mul_tile(packed_form(TENSOR_##name), t, R);                                                          \
    }
#if ROWS_MOST == 12
#define TILE_SIZES 12, 8, 4, 2, 1
#define TILE_FUNCTIONS(name)                                                                                 \
    TILE_FUNCTION(name, 12)                                                                                  \
    TILE_FUNCTION(name, 8) TILE_FUNCTION(name, 4) TILE_FUNCTION(name, 2) TILE_FUNCTION(name, 1)
#define TILE_ROW(name) tile_##name##_12, tile_##name##_8, tile_##name##_4, tile_##name##_2, tile_##name##_1
#else
#define TILE_SIZES           4, 1
#define TILE_FUNCTIONS(name) TILE_FUNCTION(name, 4) TILE_FUNCTION(name, 1)
#define TILE_ROW(name)       tile_##name##_4, tile_##name##_1
#endif
#define X(name, low, high, group, zero, scales, levels) TILE_FUNCTIONS(name)
PACKED_LIST(X)
#undef X

static const size_t tile_sizes[] = { TILE_SIZES };
static void (*const tiles[TENSOR_TYPE_COUNT][ARRAY_LEN(tile_sizes)])(const struct tile *t) = {
#define X(name, low, high, group, zero, scales, levels) [TENSOR_##name] = { TILE_ROW(name) },
    PACKED_LIST(X)
#undef X
};

/* A panel is read from memory by its first tile and from the second-level cache by the rest, so memory would idle
 * most of the time and then be waited for. Every tile therefore asks for its rows' share of the next panel, evenly
 * over its blocks. */
static void ask_ahead(struct tile *t, const unsigned char *panel, size_t bytes, size_t done, size_t rows,
                      size_t of)
{
    size_t from = bytes * done / of / 64 * 64, to = bytes * (done + rows) / of;
    t->ahead = panel + from;
    t->ahead_step = ((to - from + t->n_blocks - 1) / t->n_blocks + 63) / 64 * 64;
}

/* All rows of one panel: the largest tiles first, so that only the last rows go by ones. next: the panel after it, NULL
 * at the end. */
static void mul_panel(const struct product *p, struct tile *t, const unsigned char *next, size_t bytes)
{
    size_t r = 0;
    for (size_t s = 0; s < ARRAY_LEN(tile_sizes); s++)
        for (; r + tile_sizes[s] <= p->n_rows; r += tile_sizes[s], t->y += tile_sizes[s] * t->stride) {
            for (size_t i = 0; i < tile_sizes[s]; i++)
                t->x[i] = acts_row(p->x, product_row(p, r + i));
            if (next)
                ask_ahead(t, next, bytes, r, tile_sizes[s], p->n_rows);
            tiles[p->w->type][s](t);
        }
}

static void mul_packed(const struct product *p)
{
    const size_t bytes = panel_bytes(packed_form(p->w->type), p->w->cols);
    for (size_t j = p->from; j < p->to; j += PANEL_ROWS) {
        struct tile t = panel_tile(p, j, bytes);
        mul_panel(p, &t, j + PANEL_ROWS < p->to ? t.panel + bytes : NULL, bytes);
    }
}
#endif
