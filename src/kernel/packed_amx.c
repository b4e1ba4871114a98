/*
 * packed_amx.c - packed weights on the CPU's 8-bit tiles; see packed_amx_impl.h.
 */
#include "kernel/kernel_impl.h"

#if defined(__x86_64__)

#include "kernel/packed_512_impl.h"

#define ROWS_MOST 16
#define WITHOUT_TILES

static inline vint vi_add32(vint a, vint b)
{
    return _mm512_add_epi32(a, b);
}

static inline void vi_store(void *p, vint v)
{
    _mm512_store_si512(p, v);
}

#include "kernel/packed_vector_impl.h"

struct tile_shape {
    uint8_t rows, row_bytes;
};

#define tile_zero(t)             _tile_zero(t)
#define tile_read(t, p, stride)  _tile_loadd(t, p, stride)
#define tile_write(t, p, stride) _tile_stored(t, p, stride)
#define tile_dot(c, a, b)        _tile_dpbsud(c, a, b)

static void tiles_begin(const struct tile_shape *shapes)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = { .palette = 1 };
    for (size_t i = 0; i < 8; i++) {
        config.row_bytes[i] = shapes[i].row_bytes;
        config.rows[i] = shapes[i].rows;
    }
    /* gcc 12 thinks that _tile_loadconfig reads 8 bytes, and drops the stores to the others. */
    __asm__ volatile("" ::"r"(&config) : "memory");
    _tile_loadconfig(&config);
}

static void tiles_end(void)
{
    _tile_release();
}

static void mul_packed_rest(const struct product *p)
{
    kernels_packed_vnni512.mul_packed(p);
}

#include "kernel/packed_amx_impl.h"

const struct kernels kernels_packed_amx = { .isa = "amx", .mul_packed = mul_packed_amx };

#else
typedef int kernel_packed_amx_is_empty; /* ISO C wants one declaration in a file */
#endif
