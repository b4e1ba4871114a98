/*
 * seal.c - any bytes as a sealed token: refused, or exactly what was sealed; and every base64 that is taken is what is written.
 */
#include "api/api_impl.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *secret = "0123456789abcdef0123456789abcdef";
    struct config_list secrets = { &secret, 1 };
    struct str bytes = { (const char *)data, size };
    struct buf plain = { 0 }, token = { 0 }, back = { 0 };
    struct seal *s = NULL;
    struct err err = { 0 };
    enum err_code code = seal_open(&s, &secrets, NULL, &err);
    assert(!code);
    code = seal_get(s, STR("local"), "reasoning", bytes, "p", &plain, &err);
    assert(code == ERR_ENCRYPTED_CONTENT && !plain.len && utf8_valid(str_from(err.message)));
    if (seal_put(s, STR("local"), "reasoning", bytes, &token)) {
        code = seal_get(s, STR("local"), "reasoning", buf_str(&token), "p", &plain, &err);
        assert(!code && str_eq(buf_str(&plain), bytes));
    }
    if (base64url_get(&back, bytes)) {
        buf_clear(&token);
        base64url_put(&token, buf_str(&back));
        assert(str_eq(buf_str(&token), bytes));
    }
    buf_free(&plain);
    buf_free(&token);
    buf_free(&back);
    seal_close(s);
    return 0;
}
