/*
 * gguf.c - files that lie: every truncation, every kind of wrong number, and always a sentence that names it.
 *
 * The reader is reached through model_impl.h, because its front to the program, model_open, wants a file on
 * disk for each case; model.c tests that way in.
 */
#include "test.h"

#include "base/rng.h"
#include "model/gguf_make.h"
#include "model/model_impl.h"

#include <string.h>

/* Opens a copy of exactly len bytes, so that the sanitizer sees a read past the end. */
static enum err_code open_copy(const void *bytes, size_t len, struct err *err)
{
    struct gguf *g = NULL;
    void *copy = mem_alloc(len);
    memcpy(copy, bytes, len);
    enum err_code code = gguf_open(&g, copy, len, err);
    gguf_close(g);
    mem_free(copy);
    return code;
}

static void refuses(const void *bytes, size_t len, const char *says)
{
    struct err err = { 0 };
    enum err_code code = open_copy(bytes, len, &err);
    if (code != ERR_FORMAT || !strstr(err.message, says))
        fail_msg("wanted '%s', got %s: %s", says, err_name(code), err.message);
}

static void refuses_made(const struct gguf_make *g, const char *says)
{
    struct buf file = { 0 };
    gguf_make_bytes(g, &file);
    refuses(file.ptr, file.len, says);
    buf_free(&file);
}

/* One key of each kind and three tensors. */
static void make_small(struct gguf_make *g)
{
    static const char *const words[] = { "a", "", "long enough to matter" };
    static const int32_t ints[] = { -1, 0, 70000 };
    static const float floats[] = { 0.5f, -2 };
    float zeros[64] = { 0 };
    gguf_make_init(g);
    gguf_make_str(g, "general.architecture", "qwen3");
    gguf_make_u32(g, "a.u32", 7);
    gguf_make_u64(g, "a.u64", UINT64_C(1) << 63);
    gguf_make_f32(g, "a.f32", 0.25f);
    gguf_make_bool(g, "a.bool", true);
    gguf_make_strs(g, "a.words", words, ARRAY_LEN(words));
    gguf_make_i32s(g, "a.ints", ints, ARRAY_LEN(ints));
    gguf_make_f32s(g, "a.floats", floats, ARRAY_LEN(floats));
    gguf_make_values(g, "t.f32", TENSOR_F32, 5, 3, zeros);
    gguf_make_values(g, "t.q8", TENSOR_Q8_0, 32, 2, zeros);
    gguf_make_values(g, "t.bf16", TENSOR_BF16, 3, 0, zeros);
}

static void reads_what_was_written(void **state)
{
    (void)state;
    struct gguf_make made;
    struct buf file = { 0 };
    struct gguf *g = NULL;
    struct str text, words[3];
    const struct gguf_value *v;
    int64_t i;
    double d;
    bool flag;
    make_small(&made);
    gguf_make_bytes(&made, &file);
    assert_int_equal(gguf_open(&g, file.ptr, file.len, NULL), ERR_OK);
    assert_int_equal(gguf_text(g, "general.architecture", &text, NULL), ERR_OK);
    assert_true(str_is(text, "qwen3"));
    assert_int_equal(gguf_int(g, "a.u32", 0, 7, &i, NULL), ERR_OK);
    assert_int_equal(i, 7);
    assert_int_equal(gguf_number(g, "a.f32", &d, NULL), ERR_OK);
    assert_true(d == 0.25);
    assert_int_equal(gguf_bool(g, "a.bool", &flag, NULL), ERR_OK);
    assert_true(flag);
    assert_int_equal(gguf_array(g, "a.words", GGUF_STR, GGUF_STR, &v, NULL), ERR_OK);
    assert_int_equal(v->count, 3);
    gguf_strings(v, words);
    assert_true(str_is(words[2], "long enough to matter"));
    const struct gguf_tensor *t = gguf_tensor(g, "t.q8");
    assert_non_null(t);
    assert_int_equal(t->bytes, 68);
    assert_int_equal((uintptr_t)((const char *)t->data - file.ptr) % 32, 0);
    assert_null(gguf_tensor(g, "t.q"));
    assert_null(gguf_find(g, "a.u3"));
    gguf_close(g);
    buf_free(&file);
    gguf_make_free(&made);
}

static void lookups_name_what_is_wrong(void **state)
{
    (void)state;
    struct gguf_make made;
    struct buf file = { 0 };
    struct gguf *g = NULL;
    struct err err = { 0 };
    const struct gguf_value *v;
    struct str text;
    int64_t i;
    double d;
    bool flag;
    make_small(&made);
    gguf_make_str(&made, "a.nul", "x");
    made.keys.ptr[made.keys.len - 1] = '\0';
    gguf_make_bytes(&made, &file);
    assert_int_equal(gguf_open(&g, file.ptr, file.len, NULL), ERR_OK);
    assert_int_equal(gguf_int(g, "a.none", 0, 9, &i, &err), ERR_FORMAT);
    assert_string_equal(err.message, "Metadata key 'a.none' is missing.");
    assert_int_equal(gguf_int(g, "a.u32", 8, 9, &i, &err), ERR_FORMAT);
    assert_string_equal(err.message, "Metadata key 'a.u32' is 7; 8 to 9 are possible.");
    assert_int_equal(gguf_int(g, "a.u64", 0, 9, &i, &err), ERR_FORMAT); /* beyond int64 */
    assert_int_equal(gguf_int(g, "a.f32", 0, 9, &i, &err), ERR_FORMAT);
    assert_int_equal(gguf_int(g, "a.ints", 0, 9, &i, &err), ERR_FORMAT);
    assert_int_equal(gguf_number(g, "a.u32", &d, &err), ERR_FORMAT);
    assert_int_equal(gguf_bool(g, "a.u32", &flag, &err), ERR_FORMAT);
    assert_int_equal(gguf_text(g, "a.nul", &text, &err), ERR_FORMAT);
    assert_int_equal(gguf_array(g, "a.u32", GGUF_U32, GGUF_U32, &v, &err), ERR_FORMAT);
    assert_int_equal(gguf_array(g, "a.ints", GGUF_F32, GGUF_F32, &v, &err), ERR_FORMAT);
    gguf_close(g);
    buf_free(&file);
    gguf_make_free(&made);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct gguf_make made;
    struct buf file = { 0 };
    make_small(&made);
    gguf_make_bytes(&made, &file);
    assert_int_equal(open_copy(file.ptr, file.len, NULL), ERR_OK);
    for (size_t len = 0; len < file.len; len++)
        refuses(file.ptr, len, len < 4 ? "not a GGUF file" : ".");
    buf_free(&file);
    gguf_make_free(&made);
}

/* No byte of the header or tables may crash the reader, whatever it becomes; many changes are legal files. */
static void every_byte_may_lie(void **state)
{
    (void)state;
    static const unsigned char lies[] = { 0x00, 0x01, 0x09, 0x7f, 0x80, 0xff };
    struct gguf_make made;
    struct buf file = { 0 };
    make_small(&made);
    gguf_make_bytes(&made, &file);
    for (size_t at = 0; at < file.len; at++)
        for (size_t i = 0; i < sizeof lies; i++) {
            char was = file.ptr[at];
            struct err err = { 0 };
            file.ptr[at] = (char)lies[i];
            enum err_code code = open_copy(file.ptr, file.len, &err);
            assert_true(code == ERR_OK || (code == ERR_FORMAT && err.message[0]));
            file.ptr[at] = was;
        }
    buf_free(&file);
    gguf_make_free(&made);
}

/* --- lies one at a time ----------------------------------------------------------------------------------- */

static void headers_that_lie(void **state)
{
    (void)state;
#define HEADER(version, tensors, keys) "GGUF" version tensors keys
#define ZERO8                          "\0\0\0\0\0\0\0\0"
#define HUGE8                          "\xff\xff\xff\xff\xff\xff\xff\xff"
    static const struct {
        const char *bytes;
        size_t len;
        const char *says;
    } cases[] = {
#define CASE(text, says) { text, sizeof(text) - 1, says }
        CASE("", "not a GGUF file"),
        CASE("GGML\3\0\0\0", "not a GGUF file"),
        CASE("GGUF", "inside its header"),
        CASE("GGUF\3\0\0\0\0\0\0\0", "inside its header"),
        CASE(HEADER("\1\0\0\0", ZERO8, ZERO8), "version 1"),
        CASE(HEADER("\4\0\0\0", ZERO8, ZERO8), "version 4"),
        CASE(HEADER("\0\0\0\3", ZERO8, ZERO8), "big-endian"),
        CASE(HEADER("\3\0\0\0", HUGE8, ZERO8), "claims 18446744073709551615 tensors"),
        CASE(HEADER("\3\0\0\0", ZERO8, HUGE8), "claims 18446744073709551615 metadata keys"),
        CASE(HEADER("\3\0\0\0", ZERO8, "\1\0\0\0\0\0\0\0"), "inside metadata key 1 of 1"),
        CASE(HEADER("\3\0\0\0", "\2\0\0\0\0\0\0\0", ZERO8), "inside the entry of tensor 1 of 2"),
#undef CASE
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refuses(cases[i].bytes, cases[i].len, cases[i].says);
    assert_int_equal(open_copy(HEADER("\2\0\0\0", ZERO8, ZERO8), 24, NULL), ERR_OK);
    assert_int_equal(open_copy(HEADER("\3\0\0\0", ZERO8, ZERO8), 24, NULL), ERR_OK);
}

/* A key "k" followed by these bytes of type and value. */
static void values_that_lie(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *says;
    } cases[] = {
#define CASE(text, says) { text, sizeof(text) - 1, says }
        CASE("\x0d\0\0\0", "value type 13"),
        CASE("\xff\xff\xff\xff", "value type 4294967295"),
        CASE("\x09\0\0\0\x09\0\0\0" ZERO8, "value type 9 in an array"),
        CASE("\x09\0\0\0\x04\0\0\0" HUGE8, "18446744073709551615 items"),
        CASE("\x09\0\0\0\x04\0\0\0\0\0\0\1\0\0\0\0", "inside the value of metadata key 'k'"),
        CASE("\x09\0\0\0\x08\0\0\0\2\0\0\0\0\0\0\0" ZERO8 HUGE8, "inside the value of metadata key 'k'"),
        CASE("\x08\0\0\0" HUGE8, "inside the value of metadata key 'k'"),
        CASE("\x07\0\0\0\2", "neither 0 nor 1"),
        CASE("\x04\0\0\0\1\0\0", "inside the value of metadata key 'k'"),
#undef CASE
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gguf_make made;
        gguf_make_init(&made);
        made.n_keys = 1;
        buf_put(&made.keys, "\1\0\0\0\0\0\0\0k", 9);
        buf_put(&made.keys, cases[i].bytes, cases[i].len);
        refuses_made(&made, cases[i].says);
        gguf_make_free(&made);
    }
}

static void names_are_unique_and_printable(void **state)
{
    (void)state;
    static const char *const names[] = { "", "new\nline", "\xff\xfe", "\x1b[2J" };
    struct gguf_make made;
    char long_name[GGUF_NAME_MAX + 2];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    for (size_t i = 0; i <= ARRAY_LEN(names); i++) {
        gguf_make_init(&made);
        gguf_make_u32(&made, i < ARRAY_LEN(names) ? names[i] : long_name, 1);
        refuses_made(&made, "Metadata key 1 has a name");
        gguf_make_free(&made);
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        gguf_make_init(&made);
        gguf_make_values(&made, names[i], TENSOR_F32, 1, 0, (float[]){ 1 });
        refuses_made(&made, "Tensor 1 has a name");
        gguf_make_free(&made);
    }
    make_small(&made);
    gguf_make_u32(&made, "a.bool", 1);
    refuses_made(&made, "'a.bool' is there twice");
    gguf_make_free(&made);
    make_small(&made);
    gguf_make_values(&made, "t.q8", TENSOR_F32, 1, 0, (float[]){ 1 });
    refuses_made(&made, "'t.q8' is there twice");
    gguf_make_free(&made);
}

static void tensors_that_lie(void **state)
{
    (void)state;
    static const struct {
        uint32_t type, n_dims;
        uint64_t dims[4];
        const char *says;
    } cases[] = {
        { 0, 0, { 0 }, "0 dimensions" },
        { 0, 5, { 1, 1, 1, 1 }, "5 dimensions" },
        { 0, UINT32_MAX, { 1 }, "4294967295 dimensions" },
        { 0, 2, { 4, 0 }, "impossible shape" },
        { 0, 2, { UINT64_C(1) << 32, UINT64_C(1) << 32 }, "impossible shape" },
        { 0, 4, { 65536, 65536, 65536, 65536 }, "impossible shape" },
        { 0, 1, { UINT64_MAX }, "impossible shape" },
        { 0, 1, { UINT64_C(1) << 56 }, "needs 288230376151711744 bytes" },
        { 0, 1, { 17 }, "needs 68 bytes" },
        { 8, 1, { 33 }, "not a multiple of Q8_0's block of 32" },
        { 12, 1, { 256 }, "needs 144 bytes" }, /* known though not read: Q4_K */
        { 4, 1, { 32 }, "type 4, which this build does not know" },
        { 99, 1, { 1 }, "type 99, which this build does not know" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gguf_make made;
        char bytes[64] = { 0 };
        gguf_make_init(&made);
        gguf_make_raw(&made, "t", cases[i].type, cases[i].dims, cases[i].n_dims < 6 ? cases[i].n_dims : 1,
                      bytes, sizeof bytes);
        made.tensors[0].n_dims = cases[i].n_dims < 6 ? cases[i].n_dims : 1;
        struct buf file = { 0 };
        gguf_make_bytes(&made, &file);
        if (cases[i].n_dims >= 6) /* the count itself lies: after header and name "t" */
            memcpy(file.ptr + 24 + 9, &cases[i].n_dims, 4);
        refuses(file.ptr, file.len, cases[i].says);
        buf_free(&file);
        gguf_make_free(&made);
    }
}

static void offsets_and_alignment_that_lie(void **state)
{
    (void)state;
    static const struct {
        uint64_t offset;
        const char *says;
    } offsets[] = { { 1, "not a multiple of 32" },
                    { 32, "needs 4 bytes at offset 32" },
                    { UINT64_MAX - 31, "needs 4 bytes" } };
    static const uint32_t alignments[] = { 0, 4, 24, 1u << 31 };
    struct gguf_make made;
    for (size_t i = 0; i < ARRAY_LEN(offsets); i++) {
        struct buf file = { 0 };
        gguf_make_init(&made);
        gguf_make_values(&made, "t", TENSOR_F32, 1, 0, (float[]){ 1 });
        gguf_make_bytes(&made, &file);
        for (size_t b = 0; b < 8; b++) /* header 24, name 9, dimensions 4 + 8, type 4 */
            file.ptr[49 + b] = (char)(offsets[i].offset >> 8 * b & 0xff);
        refuses(file.ptr, file.len, offsets[i].says);
        buf_free(&file);
        gguf_make_free(&made);
    }
    for (size_t i = 0; i < ARRAY_LEN(alignments); i++) {
        make_small(&made);
        gguf_make_u32(&made, "general.alignment", alignments[i]);
        refuses_made(&made, "general.alignment");
        gguf_make_free(&made);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(reads_what_was_written),
    cmocka_unit_test(lookups_name_what_is_wrong),
    cmocka_unit_test(every_truncation_is_refused),
    cmocka_unit_test(every_byte_may_lie),
    cmocka_unit_test(headers_that_lie),
    cmocka_unit_test(values_that_lie),
    cmocka_unit_test(names_are_unique_and_printable),
    cmocka_unit_test(tensors_that_lie),
    cmocka_unit_test(offsets_and_alignment_that_lie),
};
TEST_GROUP(model_gguf, tests)
