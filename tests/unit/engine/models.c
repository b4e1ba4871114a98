/*
 * models.c - see models.h.
 */
#include "models.h"

#include "base/file.h"
#include "test.h"

#include "../model/gguf_make.h"

#include <string.h>

static char *model_file(const char *name, const char *kind)
{
    struct buf b = { 0 };
    buf_printf(&b, "%s/%s%s.gguf", test_tmpdir(), name, kind);
    return buf_take(&b);
}

static void make_bytes(bool channels, const char *key, const char *value, struct buf *bytes)
{
    struct gguf_make_shape shape = gguf_make_tiny_shape("qwen3", TENSOR_F32, 5);
    shape.channels = channels;
    struct gguf_make g;
    gguf_make_init(&g);
    gguf_make_model(&g, &shape);
    if (key)
        gguf_make_str(&g, key, value);
    gguf_make_bytes(&g, bytes);
    gguf_make_free(&g);
}

static void write_bytes(const char *path, struct buf *bytes)
{
    struct err err;
    assert_int_equal(file_write(path, buf_str(bytes), &err), ERR_OK);
    buf_free(bytes);
}

char *models_make_tiny(const char *name, const char *key, const char *value)
{
    struct buf bytes = { 0 };
    char *path = model_file(name, "");
    make_bytes(false, key, value, &bytes);
    write_bytes(path, &bytes);
    return path;
}

char *models_make_thinker(const char *name, const char *key, const char *value)
{
    static const char from[] = "and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}";
    static const char to[] = "and enable_thinking is true              %}<think>{% endif %}";
    _Static_assert(sizeof from == sizeof to, "a patch keeps the file's offsets");
    struct buf bytes = { 0 };
    char *path = model_file(name, "-thinker");
    make_bytes(false, key, value, &bytes);
    size_t at = str_find(buf_str(&bytes), str_from(from));
    assert_true(at != SIZE_MAX);
    memcpy(bytes.ptr + at, to, sizeof to - 1);
    write_bytes(path, &bytes);
    return path;
}

char *models_make_channels(const char *name)
{
    struct buf bytes = { 0 };
    char *path = model_file(name, "-channels");
    make_bytes(true, NULL, NULL, &bytes);
    write_bytes(path, &bytes);
    return path;
}
