/*
 * matrix.c - packs quantised matrices into panels, reads rows back, and picks the kernel for a type.
 *
 * Packing is a permutation of the file's bits (packed_impl.h has the layout): what a weight stands for does not
 * change by a rounding. It runs once, when a model is opened.
 */
#include "kernel/packed_impl.h"

#include <assert.h>
#include <string.h>

static size_t panels_of(size_t rows)
{
    return rows / PANEL_ROWS + (rows % PANEL_ROWS != 0);
}

size_t matrix_packed_bytes(enum tensor_type type, size_t rows, size_t cols)
{
    const struct packed_form *f = packed_form(type);
    return f ? panels_of(rows) * panel_bytes(f, cols) : 0;
}

/* --- packing --------------------------------------------------------------------------------------------- */

/* The same bits of four bytes, the lowest `bits` of each. */
static uint32_t of_each(int bits)
{
    return 0x01010101u * ((1u << bits) - 1);
}

static void or_four(unsigned char *at, uint32_t four)
{
    uint32_t was;
    memcpy(&was, at, sizeof was);
    was |= four;
    memcpy(at, &was, sizeof was);
}

/* The 32 codes of output o into the planes of their block, a quad at a time. The planes begin as zeroes. What is masked
 * fits its byte wherever it is moved, so one word does for four bytes in either order. Widths are constants at each
 * call, because this is most of the time that opening a model takes. */
static inline __attribute__((always_inline)) void put_quads(int low_bits, int high_bits, unsigned char *block,
                                                            size_t o, const uint8_t *codes)
{
    unsigned char *low_plane = block + o * 4, *high_plane = low_plane + (size_t)low_bits * QUAD_BYTES;
    UNROLL for (size_t q = 0; q < 8; q++)
    {
        uint32_t four;
        memcpy(&four, codes + 4 * q, sizeof four);
        uint32_t low = four & of_each(low_bits), high = four >> low_bits & of_each(high_bits);
        switch (low_bits) {
        case 8: memcpy(low_plane + q * QUAD_BYTES, &low, sizeof low); break;
        case 4: or_four(low_plane + q % 4 * QUAD_BYTES, low << q / 4 * 4); break;
        default: or_four(low_plane + q / 4 * QUAD_BYTES, low << q % 4 * 2); break;
        }
        if (high_bits == 2)
            or_four(high_plane + q / 4 * QUAD_BYTES, high << q % 4 * 2);
        else if (high_bits == 1)
            or_four(high_plane, high << q);
    }
}

static void put_block(const struct packed_form *f, unsigned char *block, size_t o, const uint8_t *codes)
{
    switch (10 * f->low_bits + f->high_bits) {
    case 80: put_quads(8, 0, block, o, codes); break;
    case 42: put_quads(4, 2, block, o, codes); break;
    case 41: put_quads(4, 1, block, o, codes); break;
    case 40: put_quads(4, 0, block, o, codes); break;
    case 21: put_quads(2, 1, block, o, codes); break;
    case 20: put_quads(2, 0, block, o, codes); break;
    default: assert(!"a width of codes that nothing packs");
    }
}

static void put_half(unsigned char *at, size_t o, uint16_t h)
{
    memcpy(at + 2 * o, &h, sizeof h);
}

/* The scales of one stored block, which is block b of its chunk (0 for K types, whose block is the chunk). */
static void put_scales(const struct packed_form *f, unsigned char *at, size_t o, size_t b,
                       const struct stored *s)
{
    unsigned char *bytes = at + 4 * PANEL_ROWS; /* behind d and dmin */
    switch (f->scales) {
    case SCALES_F16: put_half(at + b * 2 * PANEL_ROWS, o, s->d); break;
    case SCALES_F16_MIN:
        put_half(at + b * 4 * PANEL_ROWS, o, s->d);
        put_half(at + b * 4 * PANEL_ROWS + 2 * PANEL_ROWS, o, s->dmin ^ 0x8000);
        break;
    case SCALES_E8M0: at[b * PANEL_ROWS + o] = (unsigned char)s->d; break;
    case SCALES_K_MIN:
        put_half(at, o, s->d);
        put_half(at + 2 * PANEL_ROWS, o, s->dmin);
        for (size_t g = 0; g < 8; g++) {
            bytes[g * PANEL_ROWS + o] = (unsigned char)s->scale[2 * g];
            bytes[(8 + g) * PANEL_ROWS + o] = (unsigned char)s->min[2 * g];
        }
        break;
    case SCALES_K_NIBBLES:
        put_half(at, o, s->d);
        put_half(at + 2 * PANEL_ROWS, o, s->dmin);
        for (size_t g = 0; g < 16; g++)
            bytes[g * PANEL_ROWS + o] = (unsigned char)(s->scale[g] | s->min[g] << 4);
        break;
    case SCALES_K_SIGNED:
        put_half(at, o, s->d);
        bytes = at + 2 * PANEL_ROWS;
        for (size_t g = 0; g < (size_t)(CHUNK / f->group); g++)
            bytes[g * PANEL_ROWS + o] = (unsigned char)s->scale[g * (size_t)f->group / 16];
        break;
    }
}

/* Output o of a chunk, from the stored row at src, which is moved on. */
static const unsigned char *pack_row(enum tensor_type type, const unsigned char *src, unsigned char *chunk,
                                     size_t blocks, size_t o)
{
    const struct packed_form *f = packed_form(type);
    const struct tensor_type_info *info = tensor_type_info(type);
    size_t per = info->block / ACTS_BLOCK; /* blocks of 32 in a stored one: 1 or 8 */
    for (size_t b = 0; b < blocks; b += per, src += info->bytes) {
        struct stored s;
        stored_read(type, src, &s);
        for (size_t i = 0; i < per; i++)
            put_block(f, chunk + (b + i) * block_code_bytes(f), o, s.code + i * ACTS_BLOCK);
        put_scales(f, chunk + blocks * block_code_bytes(f), o, b, &s);
    }
    return src;
}

static void pack_panel(const struct matrix *m, size_t panel, unsigned char *out)
{
    const struct packed_form *f = packed_form(m->type);
    const struct tensor_type_info *info = tensor_type_info(m->type);
    size_t first = panel * PANEL_ROWS, n = m->rows - first < PANEL_ROWS ? m->rows - first : PANEL_ROWS;
    size_t row_bytes = m->cols / info->block * info->bytes;
    const unsigned char *src[PANEL_ROWS];
    memset(out, 0, panel_bytes(f, m->cols));
    for (size_t o = 0; o < n; o++)
        src[o] = (const unsigned char *)m->data + (first + o) * row_bytes;
    for (size_t left = m->cols / ACTS_BLOCK; left > 0;) {
        size_t blocks = left < CHUNK_BLOCKS ? left : CHUNK_BLOCKS;
        for (size_t o = 0; o < n; o++)
            src[o] = pack_row(m->type, src[o], out, blocks, o);
        out += chunk_bytes(f, blocks);
        left -= blocks;
    }
}

void matrix_pack(const struct matrix *plain, void *out, size_t panel_from, size_t panel_to)
{
    const struct packed_form *f = packed_form(plain->type);
    assert(f && !plain->packed && plain->cols % tensor_type_info(plain->type)->block == 0);
    assert(panel_from <= panel_to && panel_to <= panels_of(plain->rows));
    for (size_t p = panel_from; p < panel_to; p++)
        pack_panel(plain, p, (unsigned char *)out + p * panel_bytes(f, plain->cols));
}

/* --- reading ---------------------------------------------------------------------------------------------- */

static unsigned get_code(const struct packed_form *f, const unsigned char *block, size_t quad, size_t byte)
{
    const unsigned char *high_plane = block + (size_t)f->low_bits * QUAD_BYTES;
    unsigned code;
    switch (f->low_bits) {
    case 8: code = block[quad * QUAD_BYTES + byte]; break;
    case 4: code = block[quad % 4 * QUAD_BYTES + byte] >> quad / 4 * 4 & 15; break;
    default: code = block[quad / 4 * QUAD_BYTES + byte] >> quad % 4 * 2 & 3; break;
    }
    if (f->high_bits == 2)
        code |= (high_plane[quad / 4 * QUAD_BYTES + byte] >> quad % 4 * 2 & 3u) << f->low_bits;
    else if (f->high_bits == 1)
        code |= (high_plane[byte] >> quad & 1u) << f->low_bits;
    return code;
}

static float get_half(const unsigned char *at, size_t o)
{
    uint16_t h;
    memcpy(&h, at + 2 * o, sizeof h);
    return f16_to_f32(h);
}

static void get_scales(const struct packed_form *f, const unsigned char *at, size_t g, size_t o, float *scale,
                       float *min)
{
    const unsigned char *bytes = at + 4 * PANEL_ROWS;
    size_t b = g / 2;
    uint32_t bits;
    *min = 0;
    switch (f->scales) {
    case SCALES_F16: *scale = get_half(at + b * 2 * PANEL_ROWS, o); break;
    case SCALES_F16_MIN:
        *scale = get_half(at + b * 4 * PANEL_ROWS, o);
        *min = get_half(at + b * 4 * PANEL_ROWS + 2 * PANEL_ROWS, o);
        break;
    case SCALES_E8M0:
        bits = e8m0_half_bits(at[b * PANEL_ROWS + o]);
        memcpy(scale, &bits, sizeof bits);
        break;
    case SCALES_K_MIN:
        *scale = get_half(at, o) * (float)bytes[b * PANEL_ROWS + o];
        *min = get_half(at + 2 * PANEL_ROWS, o) * (float)bytes[(8 + b) * PANEL_ROWS + o];
        break;
    case SCALES_K_NIBBLES:
        *scale = get_half(at, o) * (float)(bytes[g * PANEL_ROWS + o] & 15);
        *min = get_half(at + 2 * PANEL_ROWS, o) * (float)(bytes[g * PANEL_ROWS + o] >> 4);
        break;
    case SCALES_K_SIGNED:
        bytes = at + 2 * PANEL_ROWS;
        *scale = get_half(at, o) * (float)(int8_t)bytes[g * 16 / (size_t)f->group * PANEL_ROWS + o];
        break;
    }
}

void chunk_open(const struct packed_form *f, const unsigned char *packed, size_t blocks, struct chunk *out)
{
    const unsigned char *scales = packed + blocks * block_code_bytes(f);
    for (size_t q = 0; q < blocks * 8; q++)
        for (size_t byte = 0; byte < QUAD_BYTES; byte++) {
            unsigned code = get_code(f, packed + q / 8 * block_code_bytes(f), q % 8, byte);
            out->u[q][byte / 4][byte % 4] =
                (uint8_t)(f->levels ? (unsigned)(f->zero + f->levels[code]) : code);
        }
    for (size_t g = 0; g < blocks * 2; g++)
        for (size_t o = 0; o < PANEL_ROWS; o++)
            get_scales(f, scales, g, o, &out->scale[g][o], &out->min[g][o]);
}

static void packed_row(const struct matrix *m, size_t row, float *out)
{
    const struct packed_form *f = packed_form(m->type);
    const unsigned char *at = (const unsigned char *)m->data + row / PANEL_ROWS * panel_bytes(f, m->cols);
    size_t o = row % PANEL_ROWS;
    for (size_t left = m->cols / ACTS_BLOCK; left > 0;) {
        size_t blocks = left < CHUNK_BLOCKS ? left : CHUNK_BLOCKS;
        for (size_t k = 0; k < blocks * ACTS_BLOCK; k++) {
            unsigned code = get_code(f, at + k / 32 * block_code_bytes(f), k % 32 / 4, o * 4 + k % 4);
            float scale, min;
            get_scales(f, at + blocks * block_code_bytes(f), k / 16, o, &scale, &min);
            out[k] = scale * (float)(f->levels ? f->levels[code] : (int)code - f->zero) - min;
        }
        at += chunk_bytes(f, blocks);
        out += blocks * ACTS_BLOCK;
        left -= blocks;
    }
}

void matrix_row(const struct matrix *m, size_t row, float *out)
{
    const struct tensor_type_info *info = tensor_type_info(m->type);
    assert(row < m->rows);
    if (m->packed)
        packed_row(m, row, out);
    else
        tensor_dequantize(m->type, (const char *)m->data + row * (m->cols / info->block * info->bytes),
                          m->cols, out);
}

/* --- multiplying ------------------------------------------------------------------------------------------- */

void matrix_mul(const struct kernels *k, const struct product *p)
{
    assert(p->from % PANEL_ROWS == 0 && p->from <= p->to && p->to <= p->w->rows && p->x->n == p->w->cols);
    if (p->w->packed)
        k->mul_packed(p);
    else if (p->w->type == TENSOR_F32)
        k->mul_f32(p);
    else if (p->w->type == TENSOR_F16)
        k->mul_f16(p);
    else {
        assert(p->w->type == TENSOR_BF16);
        k->mul_bf16(p);
    }
}
