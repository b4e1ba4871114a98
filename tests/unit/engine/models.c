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

char *models_make_refusing(const char *name, const char *opening)
{
    struct gguf_make_shape shape = gguf_make_tiny_shape("qwen3", TENSOR_F32, 5);
    struct gguf_make g;
    char *path = model_file(name, "");
    gguf_make_init(&g);
    gguf_make_model(&g, &shape);
    gguf_make_str(&g, "thinkd.refusal.opening", opening);
    gguf_make_write(&g, path);
    gguf_make_free(&g);
    return path;
}

void models_make(const char *name, char **tiny, char **thinker)
{
    static const char from[] = "and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}";
    static const char to[] = "and enable_thinking is true              %}<think>{% endif %}";
    _Static_assert(sizeof from == sizeof to, "a patch keeps the file's offsets");
    struct gguf_make_shape shape = gguf_make_tiny_shape("qwen3", TENSOR_F32, 5);
    struct gguf_make g;
    struct buf bytes = { 0 };
    struct err err;
    *tiny = model_file(name, "");
    *thinker = model_file(name, "-thinker");
    gguf_make_init(&g);
    gguf_make_model(&g, &shape);
    gguf_make_str(&g, "thinkd.refusal.opening", "Sorry. (No");
    gguf_make_bytes(&g, &bytes);
    assert_int_equal(file_write(*tiny, buf_str(&bytes), &err), ERR_OK);
    size_t at = str_find(buf_str(&bytes), str_from(from));
    assert_true(at != SIZE_MAX);
    memcpy(bytes.ptr + at, to, sizeof to - 1);
    assert_int_equal(file_write(*thinker, buf_str(&bytes), &err), ERR_OK);
    buf_free(&bytes);
    gguf_make_free(&g);
}
