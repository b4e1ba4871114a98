/*
 * access.c - who is let in, as whom, and what a stranger is told.
 */
#include "test.h"

#include "access/access.h"

#include <string.h>

static struct access *open_with(const char *listen, const char **keys, size_t n, struct err *err)
{
    struct config cfg = { .listen = listen, .keys = { keys, n } };
    struct access *a = NULL;
    enum err_code code = access_open(&a, &cfg, NULL, err);
    assert_true((code == ERR_OK) == (a != NULL));
    return a;
}

static void without_keys_loopback_only(void **state)
{
    (void)state;
    static const struct {
        const char *listen;
        bool fine;
    } rows[] = {
        { "127.0.0.1:8080", true },         { "127.9.8.7:0", true },         { "[::1]:8080", true },
        { "localhost:80", true },           { "0.0.0.0:8080", false },       { "[::]:8080", false },
        { "192.168.1.2:80", false },        { "127.example.org:80", false }, { "example.org:80", false },
        { "localhost.evil.org:80", false }, { "[::1%eth0]:80", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = { 0 };
        struct access *a = open_with(rows[i].listen, NULL, 0, &err);
        if ((a != NULL) != rows[i].fine)
            fail_msg("%s", rows[i].listen);
        if (!a) {
            assert_int_equal(ERR_CONFIG, err.code);
            assert_non_null(strstr(err.message, "openssl rand -hex 24"));
            assert_non_null(strstr(err.message, rows[i].listen));
        }
        access_close(a);
    }
}

static void without_keys_everyone_is_local(void **state)
{
    (void)state;
    struct access *a = open_with("127.0.0.1:1", NULL, 0, NULL);
    struct access_owner owner;
    assert_int_equal(ERR_OK, access_check(a, STR(""), STR(""), &owner, NULL));
    assert_string_equal("local", owner.id);
    assert_int_equal(ERR_OK, access_check(a, STR("Bearer anything"), STR(""), &owner, NULL));
    assert_string_equal("local", owner.id);
    access_close(a);
    access_close(NULL);
}

static void bad_keys_are_refused_at_start(void **state)
{
    (void)state;
    static const struct {
        const char *keys[3];
        size_t n;
        const char *says;
    } rows[] = {
        { { "longenough1", "short77" }, 2, "keys: key number 2 has fewer than 8 characters." },
        { { "longenough1", "longenough2", "longenough1" }, 3, "keys: key number 3 is the same as number 1." },
        { { "with a blank" }, 1, "keys: key number 1 holds a blank" },
        { { "umlaut-\xc3\xa4-key" }, 1, "keys: key number 1 holds a blank or" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = { 0 };
        const char *keys[3];
        memcpy(keys, rows[i].keys, sizeof keys);
        assert_null(open_with("0.0.0.0:1", keys, rows[i].n, &err));
        assert_int_equal(ERR_CONFIG, err.code);
        if (!strstr(err.message, rows[i].says))
            fail_msg("%s", err.message);
    }
}

#define KEY_A "sk-first-key-0001"
#define KEY_B "sk-second-key-002"

static const struct check_row {
    const char *authorization, *api_key;
    enum err_code code;
    const char *id_or_message;
} check_rows[] = {
    { "Bearer " KEY_A, "", ERR_OK, "@A" },
    { "bearer   " KEY_A " ", "", ERR_OK, "@A" },
    { "", KEY_A, ERR_OK, "@A" },
    { "", KEY_B, ERR_OK, "@B" },
    { "Bearer " KEY_B, KEY_A, ERR_OK, "@B" },
    { "Basic Zm9vOmJhcg==", KEY_A, ERR_OK, "@A" },
    { "", "", ERR_NO_KEY, "You didn't provide an API key. " },
    { "Bearer ", "", ERR_NO_KEY, "You didn't provide an API key. " },
    { "Basic Zm9vOmJhcg==", "", ERR_NO_KEY, "You didn't provide an API key. " },
    { "Bearer sk-abcdefghijyz", "", ERR_INVALID_KEY, "Incorrect API key provided: sk-ab***yz." },
    { "Bearer short", "", ERR_INVALID_KEY, "Incorrect API key provided: ***." },
    { "Bearer sk-first-key-000", "", ERR_INVALID_KEY, "Incorrect API key provided: sk-fi***00." },
    { "Bearer sk-\xff\xff\xff\xff\xff\xff\xff\xff\xff", "", ERR_INVALID_KEY,
      "Incorrect API key provided: ***." },
};

static void keys_name_owners(void **state)
{
    (void)state;
    const char *keys[] = { KEY_A, KEY_B };
    struct access *a = open_with("0.0.0.0:1", keys, 2, NULL);
    struct access_owner first, second, owner;
    assert_int_equal(ERR_OK, access_check(a, STR("Bearer " KEY_A), STR(""), &first, NULL));
    assert_int_equal(ERR_OK, access_check(a, STR("Bearer " KEY_B), STR(""), &second, NULL));
    assert_int_equal(32, strspn(first.id, "0123456789abcdef"));
    assert_string_not_equal(first.id, second.id);
    for (size_t i = 0; i < ARRAY_LEN(check_rows); i++) {
        const struct check_row *r = &check_rows[i];
        struct err err = { 0 };
        enum err_code code = access_check(a, str_from(r->authorization), str_from(r->api_key), &owner, &err);
        assert_int_equal(r->code, code);
        if (!code)
            assert_string_equal(r->id_or_message[1] == 'A' ? first.id : second.id, owner.id);
        else if (!strstr(err.message, r->id_or_message))
            fail_msg("%s", err.message);
        assert_null(strstr(err.message, KEY_A));
    }
    access_close(a);
}

/* The id is the first half of SHA-256: FIPS 180-4 gives the digest of the message of 56 letters. */
static void id_is_the_digest(void **state)
{
    (void)state;
    const char *keys[] = { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq" };
    struct access *a = open_with("0.0.0.0:1", keys, 1, NULL);
    struct access_owner owner;
    assert_int_equal(ERR_OK, access_check(a, STR(""), str_from(keys[0]), &owner, NULL));
    assert_string_equal("248d6a61d20638b8e5c026930c3e6039", owner.id);
    access_close(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_keys_loopback_only),
    cmocka_unit_test(without_keys_everyone_is_local),
    cmocka_unit_test(bad_keys_are_refused_at_start),
    cmocka_unit_test(keys_name_owners),
    cmocka_unit_test(id_is_the_digest),
};
TEST_GROUP(access_access, tests)
