/*
 * buf.c - growing bytes and arenas.
 */
#include "base/buf.h"
#include "base/arena.h"
#include "base/rng.h"
#include "test.h"

#include <stdalign.h>
#include <stdio.h>
#include <string.h>

static void puts_add_up(void **state)
{
    (void)state;
    struct buf b = { 0 };
    buf_puts(&b, "one ");
    buf_put_str(&b, STR("two "));
    buf_putc(&b, '3');
    buf_printf(&b, " %s %d", "four", 5);
    buf_put_str(&b, (struct str){ NULL, 0 });
    assert_string_equal(b.ptr, "one two 3 four 5");
    assert_int_equal(b.len, 16);
    buf_drop_front(&b, 4);
    assert_string_equal(b.ptr, "two 3 four 5");
    buf_drop_front(&b, b.len);
    assert_string_equal(b.ptr, "");
    buf_put(&b, "a\0b", 3);
    assert_memory_equal(b.ptr, "a\0b", 4);
    buf_clear(&b);
    assert_int_equal(b.len, 0);
    buf_puts(&b, "x");
    char *taken = buf_take(&b);
    assert_string_equal(taken, "x");
    assert_null(b.ptr);
    mem_free(taken);
    taken = buf_take(&b); /* of an empty one: an empty string */
    assert_string_equal(taken, "");
    mem_free(taken);
    buf_free(&b);
    buf_drop_front(&b, 0);
    buf_clear(&b);
    assert_int_equal(buf_str(&b).len, 0);
}

/* Random puts and drops against a plain array. */
static void agrees_with_an_array(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 1, 0);
    struct buf b = { 0 };
    static char model[1 << 16];
    size_t len = 0;
    for (int i = 0; i < 2000; i++) {
        char chunk[100];
        size_t n = rng_below(&r, sizeof chunk);
        memset(chunk, 'a' + i % 26, sizeof chunk);
        if (len + n < sizeof model && rng_below(&r, 3)) {
            buf_put(&b, chunk, n);
            memcpy(model + len, chunk, n);
            len += n;
        } else {
            size_t drop = rng_below(&r, len + 1);
            buf_drop_front(&b, drop);
            memmove(model, model + drop, len - drop);
            len -= drop;
        }
        assert_int_equal(b.len, len);
        if (b.ptr) {
            assert_memory_equal(b.ptr, model, len);
            assert_int_equal(b.ptr[len], 0);
        }
    }
    buf_free(&b);
}

static void long_printf(void **state)
{
    (void)state;
    struct buf b = { 0 };
    char *text = mem_alloc(10001);
    memset(text, 'x', 10000);
    text[10000] = '\0';
    buf_printf(&b, "<%s>", text);
    assert_int_equal(b.len, 10002);
    assert_int_equal(b.ptr[10001], '>');
    buf_free(&b);
    mem_free(text);
}

static void arena_pieces_are_apart(void **state)
{
    (void)state;
    enum { PIECES = 500 };
    struct arena a = { 0 };
    struct rng r;
    rng_init(&r, 2, 0);
    unsigned char *pieces[PIECES];
    size_t sizes[PIECES];
    for (size_t i = 0; i < PIECES; i++) {
        sizes[i] = rng_below(&r, 10) ? rng_below(&r, 100) : rng_below(&r, 40000);
        pieces[i] = arena_alloc(&a, sizes[i]);
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(pieces[i][k], 0);
        memset(pieces[i], (int)i & 0xff, sizes[i]);
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(pieces[i][k], i & 0xff);
    assert_true(a.used > 0);
    arena_free(&a);
    assert_null(a.blocks);
    assert_int_equal(a.used, 0);
    arena_free(&a);
}

static void arena_strings(void **state)
{
    (void)state;
    struct arena a = { 0 };
    assert_string_equal(arena_strdup(&a, "text"), "text");
    assert_null(arena_strdup(&a, NULL));
    struct str s = arena_str(&a, STR("view"));
    assert_string_equal(s.ptr, "view");
    assert_string_equal(arena_str(&a, (struct str){ NULL, 0 }).ptr, "");
    assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    int *numbers = arena_array(&a, 100, sizeof *numbers);
    for (int i = 0; i < 100; i++)
        assert_int_equal(numbers[i], 0);
    arena_free(&a);
}

static void mem_basics(void **state)
{
    (void)state;
    void *p = mem_aligned(64, 100);
    assert_int_equal((uintptr_t)p % 64, 0);
    mem_free(p);
    p = mem_alloc(0);
    assert_non_null(p);
    mem_free(p);
    assert_null(mem_strdup(NULL));
    char *s = mem_strndup("abcdef", 3);
    assert_string_equal(s, "abc");
    s = mem_realloc(s, 100);
    assert_string_equal(s, "abc");
    mem_free(s);
    mem_free(NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(puts_add_up),   cmocka_unit_test(agrees_with_an_array),
    cmocka_unit_test(long_printf),   cmocka_unit_test(arena_pieces_are_apart),
    cmocka_unit_test(arena_strings), cmocka_unit_test(mem_basics),
};
TEST_GROUP(base_buf, tests)
