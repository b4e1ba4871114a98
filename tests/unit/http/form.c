/*
 * form.c - multipart bodies: what clients send is read, what two readers could cut differently is refused.
 */
#include "test.h"

#include "http/http.h"

#include <stdio.h>
#include <string.h>

#define PART(head, bytes) "--B\r\n" head "\r\n\r\n" bytes "\r\n"
#define NAMED             "Content-Disposition: form-data; name=\"a\""

static void boundaries(void **state)
{
    (void)state;
    static const struct {
        const char *type, *boundary;
    } rows[] = {
        { "multipart/form-data; boundary=abc", "abc" },
        { "Multipart/Form-Data;BOUNDARY=abc", "abc" },
        { "multipart/form-data; charset=utf-8; boundary=\"a b:c\" ", "a b:c" },
        { "multipart/form-data; boundary=----WebKitFormBoundaryx1 ; x=y", "----WebKitFormBoundaryx1" },
        { "multipart/form-data; "
          "boundary=0123456789012345678901234567890123456789012345678901234567890123456789",
          "0123456789012345678901234567890123456789012345678901234567890123456789" },
        { "multipart/form-data; "
          "boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
          NULL },
        { "multipart/form-data", NULL },
        { "multipart/form-data; boundary=", NULL },
        { "multipart/form-data; boundary=\"a ", NULL },
        { "multipart/form-data; boundary=\"a \"", NULL },
        { "multipart/form-data; boundary=a; boundary=b", NULL },
        { "multipart/form-data; boundary=a*b", NULL },
        { "multipart/form-data boundary=a", NULL },
        { "multipart/form-data; boundary", NULL },
        { "multipart/mixed; boundary=a", NULL },
        { "application/json", NULL },
        { "", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str boundary = { 0 };
        bool ok = http_form_boundary(str_from(rows[i].type), &boundary);
        if (ok != (rows[i].boundary != NULL) || (ok && !str_is(boundary, rows[i].boundary)))
            fail_msg("%s gives %.*s", rows[i].type, STR_ARG(boundary));
    }
}

static void parts_are_read(void **state)
{
    (void)state;
    static const char body[] =
        PART("Content-Disposition: form-data; name=\"purpose\"", "user_data") /* as a client of the API */
        PART("content-disposition: Form-Data; filename=\"q\\\"1%22.txt\"; name=file\r\nX-Other: 1\r\n"
             "Content-Transfer-Encoding: binary\r\nContent-Type: text/plain",
             "line\r\n--\r\n-B\r\n\0--A")
            PART("Content-Disposition: form-data; name=\"C:\\path\"; filename=\"\"", "") "--B--\r\n";
    struct arena a = { 0 };
    struct http_form f;
    struct http_part p;
    struct err err;
    bool found;
    http_form_begin(&f, (struct str){ body, sizeof body - 1 }, STR("B"));
    assert_int_equal(http_form_next(&f, &p, &found, &a, &err), ERR_OK);
    assert_true(found && str_is(p.name, "purpose") && str_is(p.bytes, "user_data") && !p.is_file);
    assert_int_equal(p.content_type.len, 0);
    assert_int_equal(http_form_next(&f, &p, &found, &a, &err), ERR_OK);
    assert_true(found && str_is(p.name, "file") && str_is(p.filename, "q\"1\".txt") && p.is_file);
    assert_true(str_is(p.content_type, "text/plain"));
    assert_true(str_eq(p.bytes, STR("line\r\n--\r\n-B\r\n\0--A")));
    assert_true(p.bytes.ptr > body && p.bytes.ptr < body + sizeof body); /* a view */
    assert_int_equal(http_form_next(&f, &p, &found, &a, &err), ERR_OK);
    assert_true(found && str_is(p.name, "C:\\path") && p.is_file && !p.filename.len && !p.bytes.len);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(http_form_next(&f, &p, &found, &a, &err), ERR_OK);
        assert_false(found);
    }
    arena_free(&a);
}

/* ERR_OK when the whole body is sound. */
static enum err_code read_all(struct str body, struct err *err)
{
    struct arena a = { 0 };
    struct http_form f;
    struct http_part p;
    bool found = true;
    enum err_code code = ERR_OK;
    http_form_begin(&f, body, STR("B"));
    while (!code && found)
        code = http_form_next(&f, &p, &found, &a, err);
    arena_free(&a);
    return code;
}

static void what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body, *says; /* NULL: sound */
    } rows[] = {
        { "--B--", NULL },
        { PART(NAMED, "x") "--B--", NULL },
        { PART(NAMED, "x") "--B--\r\n", NULL },
        { "", "begin with its boundary" },
        { "\r\n--B--", "begin with its boundary" },
        { "preamble\r\n--B--", "begin with its boundary" },
        { "--C--", "begin with its boundary" },
        { "--B", "followed by something else" },
        { "--B \r\n" NAMED "\r\n\r\n\r\n--B--", "followed by something else" },
        { "--B\n" NAMED "\n\n\n--B--", "followed by something else" },
        { PART(NAMED, "x\r\n--BC") "--B--", "followed by something else" },
        { PART(NAMED, "x") "--B--\r\nepilogue", "bytes follow" },
        { PART(NAMED, "x") "--B--\r\n\r\n", "bytes follow" },
        { PART(NAMED, "x"), "without its last boundary" },
        { "--B\r\n" NAMED "\r\n\r\nx--B--", "without its last boundary" },
        { "--B\r\n" NAMED "\r\n", "middle of a part's headers" },
        { "--B\r\n", "middle of a part's headers" },
        { PART("X: 1", "x") "--B--", "no Content-Disposition" },
        { "--B\r\n\r\nx\r\n--B--", "no Content-Disposition" },
        { PART("Content-Disposition: attachment; name=a", "x") "--B--", "not form-data" },
        { PART("Content-Disposition: form-data", "x") "--B--", "has no name" },
        { PART("Content-Disposition: form-data; name=\"\"", "x") "--B--", "has no name" },
        { PART("Content-Disposition: form-data; name=\"a", "x") "--B--", "Disposition is malformed" },
        { PART("Content-Disposition: form-data; name=a; ;", "x") "--B--", "Disposition is malformed" },
        { PART("Content-Disposition: form-data; name=a b", "x") "--B--", "Disposition is malformed" },
        { PART(NAMED "; name=b", "x") "--B--", "two names" },
        { PART(NAMED "; filename=b; filename=\"\"", "x") "--B--", "two names" },
        { PART(NAMED "; filename*=UTF-8''b", "x") "--B--", "filename*" },
        { PART("Content-Disposition: form-data; name=\"\xff\"", "x") "--B--", "not valid UTF-8" },
        { PART(NAMED "; filename=\"\xc3\"", "x") "--B--", "not valid UTF-8" },
        { PART(NAMED "\r\n" NAMED, "x") "--B--", "two Content-Dispositions" },
        { PART(NAMED "\r\nContent-Type: a/b\r\nContent-Type: a/b", "x") "--B--", "two Content-Types" },
        { PART(NAMED "\r\nContent-Transfer-Encoding: base64", "x") "--B--", "Content-Transfer-Encoding" },
        { PART(NAMED "\r\n folded", "x") "--B--", "header line is malformed" },
        { PART(NAMED "\r\nX : 1", "x") "--B--", "header line is malformed" },
        { PART(NAMED "\r\nno colon", "x") "--B--", "header line is malformed" },
        { PART(NAMED "\r\nX: a\nY: b", "x") "--B--", "header line is malformed" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = { 0 };
        enum err_code code = read_all(str_from(rows[i].body), &err);
        if (code != (rows[i].says ? ERR_BAD_REQUEST : ERR_OK) ||
            (rows[i].says && !strstr(err.message, rows[i].says)))
            fail_msg("row %zu: %s", i, code ? err.message : "taken");
    }
}

static void bounds(void **state)
{
    (void)state;
    for (int more = 0; more < 2; more++) {
        struct buf many = { 0 }, head = { 0 };
        struct err err = { 0 };
        for (int i = 0; i < HTTP_FORM_PARTS_MAX + more; i++)
            buf_puts(&many, PART(NAMED, "x"));
        buf_puts(&many, "--B--");
        assert_int_equal(read_all(buf_str(&many), &err), more ? ERR_BAD_REQUEST : ERR_OK);
        assert_true(!more || strstr(err.message, "128 parts"));
        buf_puts(&head, "--B\r\n" NAMED "\r\nX: ");
        while (head.len < 5 + HTTP_FORM_HEAD_MAX - 4 + (size_t)more)
            buf_putc(&head, 'x');
        buf_puts(&head, "\r\n\r\nx\r\n--B--");
        assert_int_equal(read_all(buf_str(&head), &err), more ? ERR_BAD_REQUEST : ERR_OK);
        assert_true(!more || strstr(err.message, "8192 bytes"));
        buf_free(&many);
        buf_free(&head);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(boundaries),
    cmocka_unit_test(parts_are_read),
    cmocka_unit_test(what_is_refused),
    cmocka_unit_test(bounds),
};
TEST_GROUP(http_form, tests)
