/*
 * form.c - any bytes as a Content-Type, a line feed, and a multipart body.
 *
 * Parts lie in the body one behind the other, hold no boundary and have sound names; an error has a message.
 */
#include "http/http.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = { (const char *)data, size }, boundary = { 0 };
    size_t line = str_find(all, STR("\n"));
    struct str body = line == SIZE_MAX ? (struct str){ 0 } : str_slice(all, line + 1, size);
    if (!http_form_boundary(str_slice(all, 0, line), &boundary))
        return 0;
    struct arena a = { 0 };
    struct http_form f;
    struct http_part part;
    struct err err = { 0 };
    const char *last = body.ptr;
    enum err_code code = ERR_OK;
    int parts = 0;
    http_form_begin(&f, body, boundary);
    for (bool found = true; !code && found; parts += found) {
        code = http_form_next(&f, &part, &found, &a, &err);
        if (!found)
            continue;
        assert(part.name.len && utf8_valid(part.name) && utf8_valid(part.filename));
        assert(part.bytes.ptr > last && part.bytes.ptr + part.bytes.len < body.ptr + body.len);
        assert(str_find(part.bytes, (struct str){ f.delimiter, f.delimiter_len }) == SIZE_MAX);
        last = part.bytes.ptr + part.bytes.len;
    }
    assert(parts <= HTTP_FORM_PARTS_MAX);
    assert(code ? err.message[0] && utf8_valid(str_from(err.message)) : f.ended);
    arena_free(&a);
    return 0;
}
