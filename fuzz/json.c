/*
 * json.c - any bytes: json_read takes them or says why not; what it takes, json_dump writes back the same.
 *
 * A second read of the dump must give an equal value, and a second dump equal text.
 */
#include "json/json.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = { 0 };
    json_t *v, *back;
    if (json_read(&v, (struct str){ (const char *)data, size }, &err)) {
        assert(err.code == ERR_INVALID_JSON && utf8_valid(str_from(err.message)));
        return 0;
    }
    struct buf text = { 0 }, again = { 0 };
    json_dump(&text, v);
    enum err_code code = json_read(&back, buf_str(&text), &err);
    assert(code == ERR_OK);
    json_dump(&again, back);
    assert(json_equal(v, back) && str_eq(buf_str(&text), buf_str(&again)));
    json_decref(v);
    json_decref(back);
    buf_free(&text);
    buf_free(&again);
    return 0;
}
