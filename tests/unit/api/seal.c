/*
 * seal.c - what was sealed opens for its owner, as its kind, with its secret, unchanged; and in no other way.
 */
#include "api/api_impl.h"
#include "base/file.h"
#include "test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SECRET_A "0123456789abcdef0123456789abcdef"
#define SECRET_B "another secret, which is any text of its length"

static struct seal *with(const char *first, const char *second)
{
    const char *items[] = { first, second };
    struct config_list list = { items, second ? 2 : 1 };
    struct seal *s = NULL;
    struct err err = { 0 };
    if (seal_open(&s, &list, NULL, &err))
        fail_msg("%s", err.message);
    return s;
}

static void put(const struct seal *s, const char *owner, const char *kind, const char *plain,
                struct buf *token)
{
    buf_clear(token);
    assert_true(seal_put(s, str_from(owner), kind, str_from(plain), token));
}

static bool opens(const struct seal *s, const char *owner, const char *kind, struct str token,
                  const char *want)
{
    struct buf plain = { 0 };
    struct err err = { 0 };
    enum err_code code =
        seal_get(s, str_from(owner), kind, token, "input[0].encrypted_content", &plain, &err);
    if (code) {
        assert_int_equal(code, ERR_ENCRYPTED_CONTENT);
        assert_string_equal(err.param, "input[0].encrypted_content");
        assert_int_equal(plain.len, 0);
    } else {
        assert_true(str_is(buf_str(&plain), want));
    }
    buf_free(&plain);
    return !code;
}

static void round_trips(void **state)
{
    (void)state;
    struct seal *s = with(SECRET_A, NULL);
    struct buf token = { 0 }, long_text = { 0 };
    for (int i = 0; i < 100000; i++)
        buf_puts(&long_text, "thought ");
    const char *const texts[] = { "", "x", "ab", "abc", "Two and two make four. é🙂", long_text.ptr };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        put(s, "local", "reasoning", texts[i], &token);
        assert_null(strpbrk(token.ptr, "+/="));
        assert_true(opens(s, "local", "reasoning", buf_str(&token), texts[i]));
    }
    buf_free(&token);
    buf_free(&long_text);
    seal_close(s);
}

/* The same text twice is two tokens: nobody sees that it was the same. */
static void never_the_same(void **state)
{
    (void)state;
    struct seal *s = with(SECRET_A, NULL);
    struct buf a = { 0 }, b = { 0 };
    put(s, "local", "reasoning", "same", &a);
    put(s, "local", "reasoning", "same", &b);
    assert_false(str_eq(buf_str(&a), buf_str(&b)));
    buf_free(&a);
    buf_free(&b);
    seal_close(s);
}

static void only_for_what_it_was_made(void **state)
{
    (void)state;
    struct seal *s = with(SECRET_A, NULL), *other = with(SECRET_B, NULL);
    struct buf token = { 0 };
    put(s, "ab", "reasoning", "text", &token);
    assert_true(opens(s, "ab", "reasoning", buf_str(&token), "text"));
    assert_false(opens(s, "abc", "reasoning", buf_str(&token), ""));
    assert_false(opens(s, "", "reasoning", buf_str(&token), ""));
    assert_false(opens(s, "ab", "compaction", buf_str(&token), ""));
    assert_false(opens(s, "ab", "reasonin", buf_str(&token), ""));
    assert_false(opens(other, "ab", "reasoning", buf_str(&token), ""));
    buf_free(&token);
    seal_close(s);
    seal_close(other);
}

static void every_change_is_refused(void **state)
{
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct seal *s = with(SECRET_A, NULL);
    struct buf token = { 0 };
    for (int len = 0; len < 4; len++) { /* every length of the last group of digits */
        put(s, "local", "reasoning", &"abc"[len ? len - 1 : 3], &token);
        for (size_t i = 0; i < token.len; i++) {
            char was = token.ptr[i];
            for (size_t bit = 0; bit < 6; bit++) {
                token.ptr[i] = digits[(size_t)(strchr(digits, was) - digits) ^ 1U << bit];
                assert_false(opens(s, "local", "reasoning", buf_str(&token), ""));
            }
            token.ptr[i] = '=';
            assert_false(opens(s, "local", "reasoning", buf_str(&token), ""));
            token.ptr[i] = was;
            assert_false(opens(s, "local", "reasoning", str_slice(buf_str(&token), 0, i), ""));
        }
        buf_putc(&token, 'A');
        assert_false(opens(s, "local", "reasoning", buf_str(&token), ""));
    }
    buf_free(&token);
    seal_close(s);
}

static void secrets_are_replaced(void **state)
{
    (void)state;
    struct seal *old = with(SECRET_A, NULL), *both = with(SECRET_B, SECRET_A), *new = with(SECRET_B, NULL);
    struct buf token = { 0 };
    put(old, "local", "reasoning", "old", &token);
    assert_true(opens(both, "local", "reasoning", buf_str(&token), "old"));
    assert_false(opens(new, "local", "reasoning", buf_str(&token), ""));
    put(both, "local", "reasoning", "new", &token);
    assert_true(opens(new, "local", "reasoning", buf_str(&token), "new"));
    assert_false(opens(old, "local", "reasoning", buf_str(&token), ""));
    buf_free(&token);
    seal_close(old);
    seal_close(both);
    seal_close(new);
}

static void a_text_that_is_too_long(void **state)
{
    (void)state;
    struct seal *s = with(SECRET_A, NULL);
    struct buf plain = { 0 }, token = { 0 };
    buf_reserve(&plain, SEAL_PLAIN_MAX + 1);
    memset(plain.ptr, 'x', SEAL_PLAIN_MAX + 1);
    assert_false(
        seal_put(s, STR("local"), "reasoning", (struct str){ plain.ptr, SEAL_PLAIN_MAX + 1 }, &token));
    assert_int_equal(token.len, 0);
    assert_true(seal_put(s, STR("local"), "reasoning", (struct str){ plain.ptr, SEAL_PLAIN_MAX }, &token));
    assert_true(token.len <= SEAL_TOKEN_MAX);
    buf_free(&plain);
    buf_free(&token);
    seal_close(s);
}

static void a_secret_of_its_own(void **state)
{
    (void)state;
    char dir[256], path[300];
    struct config_list none = { 0 };
    struct seal *first = NULL, *again = NULL, *memory = NULL;
    struct buf token = { 0 };
    struct stat st;
    struct err err = { 0 };
    snprintf(dir, sizeof dir, "%s", test_tmpdir());
    snprintf(path, sizeof path, "%s/secret", dir);
    assert_int_equal(ERR_OK, seal_open(&first, &none, dir, &err));
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(0600, st.st_mode & 07777);
    put(first, "local", "reasoning", "kept", &token);
    assert_int_equal(ERR_OK, seal_open(&again, &none, dir, &err));
    assert_true(opens(again, "local", "reasoning", buf_str(&token), "kept"));
    assert_int_equal(ERR_OK, seal_open(&memory, &none, NULL, &err));
    assert_false(opens(memory, "local", "reasoning", buf_str(&token), ""));
    seal_close(first);
    seal_close(again);
    seal_close(memory);
    buf_free(&token);
    assert_int_equal(ERR_OK, file_write(path, STR("cut short\n"), &err));
    struct seal *bad = NULL;
    assert_int_equal(ERR_CONFIG, seal_open(&bad, &none, dir, &err));
    assert_non_null(strstr(err.message, path));
}

static void what_is_no_secret(void **state)
{
    (void)state;
    const char *items[9] = { SECRET_A, "short" };
    struct config_list list = { items, 2 };
    struct seal *s = NULL;
    struct err err = { 0 };
    assert_int_equal(ERR_CONFIG, seal_open(&s, &list, NULL, &err));
    assert_non_null(strstr(err.message, "number 2"));
    assert_null(strstr(err.message, "short")); /* never shown */
    items[1] = SECRET_A;
    assert_int_equal(ERR_CONFIG, seal_open(&s, &list, NULL, &err));
    assert_non_null(strstr(err.message, "same as number 1"));
    char texts[9][64];
    for (size_t i = 0; i < 9; i++) {
        snprintf(texts[i], sizeof texts[i], "%zu%s", i, SECRET_A);
        items[i] = texts[i];
    }
    list.len = 9;
    assert_int_equal(ERR_CONFIG, seal_open(&s, &list, NULL, &err));
}

/* RFC 4648, section 10, and spellings that its decoder must not take. */
static void digests_are_in_hex(void **state)
{
    (void)state;
    char hex[SHA256_HEX_SIZE];
    sha256_hex(hex, (const struct str[]){ STR("a"), STR("bc") }, 2);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void base64_is_strict(void **state)
{
    (void)state;
    static const char *const pairs[][2] = { { "", "" },
                                            { "f", "Zg==" },
                                            { "fo", "Zm8=" },
                                            { "foo", "Zm9v" },
                                            { "foob", "Zm9vYg==" },
                                            { "fooba", "Zm9vYmE=" },
                                            { "foobar", "Zm9vYmFy" } };
    static const char *const wrong[] = { "Zg",  "Zg=",   "Zh==",   "Zg===", "Z===",
                                         "Zm9", "Zm 9v", "Zm9v\n", "Zm9_",  "====" };
    struct buf out = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        buf_clear(&out);
        base64_put(&out, str_from(pairs[i][0]));
        assert_true(str_is(buf_str(&out), pairs[i][1]));
        buf_clear(&out);
        assert_true(base64_get(&out, str_from(pairs[i][1])));
        assert_true(str_is(buf_str(&out), pairs[i][0]));
    }
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (base64_get(&out, str_from(wrong[i])))
            fail_msg("'%s' was taken", wrong[i]);
    buf_free(&out);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(round_trips),
    cmocka_unit_test(never_the_same),
    cmocka_unit_test(only_for_what_it_was_made),
    cmocka_unit_test(every_change_is_refused),
    cmocka_unit_test(secrets_are_replaced),
    cmocka_unit_test(a_text_that_is_too_long),
    cmocka_unit_test(a_secret_of_its_own),
    cmocka_unit_test(what_is_no_secret),
    cmocka_unit_test(digests_are_in_hex),
    cmocka_unit_test(base64_is_strict),
};
TEST_GROUP(api_seal, tests)
