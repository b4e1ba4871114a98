/*
 * keys.c - keys in the store: made, listed, revoked; and how long a server believes what it read.
 */
#include "test.h"

#include "access/access.h"
#include "base/thread.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static _Atomic int64_t clock_ms;

static int64_t read_clock(void *ctx)
{
    (void)ctx;
    return atomic_load(&clock_ms);
}

static struct store *open_store(void)
{
    struct store *s = NULL;
    struct err err = { 0 };
    const struct store_config cfg = { .path = NULL, .node = "test:1" };
    if (store_open(&s, &cfg, &err))
        fail_msg("%s", err.message);
    return s;
}

static struct access *open_access(struct store *s, const char *listen)
{
    struct config cfg = { .listen = listen, .requests_per_minute = 7, .tokens_per_minute = 70 };
    struct access *a = NULL;
    struct err err = { 0 };
    if (access_open(&a, &cfg, s, &err))
        fail_msg("%s", err.message);
    atomic_store(&clock_ms, 5000000);
    access_use_clock(a, read_clock, NULL);
    return a;
}

static struct access_key key_named(const char *name, const char *owner)
{
    struct access_key key = { .limits = { ACCESS_UNSET, ACCESS_UNSET, ACCESS_UNSET } };
    snprintf(key.name, sizeof key.name, "%s", name);
    snprintf(key.owner, sizeof key.owner, "%s", owner);
    return key;
}

static struct access_key make(struct store *s, const char *name, const char *owner,
                              char secret[ACCESS_SECRET_CHARS + 1])
{
    struct access_key key = key_named(name, owner);
    struct err err = { 0 };
    if (access_key_create(s, &key, secret, &err))
        fail_msg("%s", err.message);
    return key;
}

static enum err_code check(struct access *a, const char *secret, struct access_owner *owner)
{
    struct err err = { 0 };
    enum err_code code = access_check(a, STR(""), str_from(secret), owner, &err);
    assert_null(strstr(err.message, "sk-thinkd-"));
    return code;
}

static void a_key_is_shown_once_and_kept_as_a_hash(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct arena arena = { 0 };
    char secret[ACCESS_SECRET_CHARS + 1], other[ACCESS_SECRET_CHARS + 1];
    struct access_key key = make(s, "first \xc3\xa9", "", secret), *keys;
    make(s, "second", "team.a_1-x", other);
    assert_int_equal(ACCESS_SECRET_CHARS, strlen(secret));
    assert_memory_equal("sk-thinkd-", secret, 10);
    assert_int_equal(40, strspn(secret + 10, "0123456789abcdef"));
    assert_string_not_equal(secret, other);
    assert_int_equal(64, strspn(key.id, "0123456789abcdef"));
    assert_memory_equal(key.id, key.owner, 32);
    assert_int_equal(32, strlen(key.owner));
    size_t n;
    assert_int_equal(ERR_OK, access_keys_list(s, &keys, &n, &arena, NULL));
    assert_int_equal(2, n);
    assert_string_equal("first \xc3\xa9", keys[0].name);
    assert_string_equal(key.id, keys[0].id);
    assert_string_equal(key.owner, keys[0].owner);
    assert_int_equal(key.created_s, keys[0].created_s);
    assert_int_equal(ACCESS_UNSET, keys[0].limits.concurrency);
    assert_string_equal("team.a_1-x", keys[1].owner);
    struct store_object o;
    assert_int_equal(ERR_OK, store_object_get(s, STR("key"), STR(""), str_from(key.id), &o, &arena, NULL));
    assert_int_equal(SIZE_MAX, str_find(o.body, str_from(secret)));
    arena_free(&arena);
    store_close(s);
}

static void what_no_key_can_be_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *owner;
        struct access_limits limits;
        enum err_code code;
        const char *says;
    } rows[] = {
        { "", "", { 0 }, ERR_CONFIG, "A key's name has 1 to 64 characters" },
        { "a\nb", "", { 0 }, ERR_CONFIG, "no control characters" },
        { "\xff", "", { 0 }, ERR_CONFIG, "A key's name" },
        { "12345678901234567890123456789012345678901234567890123456789012345", "", { 0 }, ERR_CONFIG, "64" },
        { "x", "an owner", { 0 }, ERR_CONFIG, "owner: an owner's id has" },
        { "x",
          "",
          { .requests_per_minute = -2 },
          ERR_CONFIG,
          "requests_per_minute: expected a whole number" },
        { "x", "", { .tokens_per_minute = 1000000001 }, ERR_CONFIG, "tokens_per_minute: expected" },
        { "x", "", { .concurrency = -7 }, ERR_CONFIG, "concurrency: expected" },
        { "taken", "", { 0 }, ERR_CONFLICT, "There is a key 'taken' already" },
    };
    struct store *s = open_store();
    char secret[ACCESS_SECRET_CHARS + 1];
    make(s, "taken", "", secret);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct access_key key = key_named(rows[i].name, rows[i].owner);
        struct err err = { 0 };
        key.limits = rows[i].limits;
        assert_int_equal(rows[i].code, access_key_create(s, &key, secret, &err));
        if (!strstr(err.message, rows[i].says))
            fail_msg("row %zu: %s", i, err.message);
    }
    store_close(s);
}

static void a_key_may_be_for_some_models(void **state)
{
    static const struct {
        const char *models;
        enum err_code code;
    } rows[] = { { "o3-mini,thinkd-pro", ERR_OK },
                 { "", ERR_OK },
                 { "o3,", ERR_CONFIG },
                 { ",o3", ERR_CONFIG },
                 { "o3,,o4", ERR_CONFIG },
                 { "o3 mini", ERR_CONFIG } };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct store *s = open_store();
        char secret[ACCESS_SECRET_CHARS + 1];
        struct access_key key = key_named("some", "acme");
        struct access_owner owner;
        struct err err;
        snprintf(key.models, sizeof key.models, "%s", rows[i].models);
        assert_int_equal(rows[i].code, access_key_create(s, &key, secret, &err));
        struct access *a = open_access(s, rows[i].code ? "127.0.0.1:1" : "0.0.0.0:1");
        if (!rows[i].code) {
            assert_int_equal(ERR_OK, check(a, secret, &owner));
            assert_string_equal(rows[i].models, owner.models);
        }
        access_close(a);
        store_close(s);
    }
}

static void a_stored_key_names_owner_and_limits(void **state)
{
    (void)state;
    struct store *s = open_store();
    char plain[ACCESS_SECRET_CHARS + 1], limited[ACCESS_SECRET_CHARS + 1];
    make(s, "plain", "", plain);
    struct access_key key = key_named("limited", "acme");
    key.limits = (struct access_limits){ 0, 500, 2 };
    assert_int_equal(ERR_OK, access_key_create(s, &key, limited, NULL));
    struct access *a = open_access(s, "0.0.0.0:1"); /* stored keys are keys */
    assert_true(access_asks(a));
    struct access_owner owner;
    for (int twice = 0; twice < 2; twice++) { /* read, and remembered */
        assert_int_equal(ERR_OK, check(a, plain, &owner));
        assert_int_equal(32, strlen(owner.id));
        assert_int_equal(7, owner.limits.requests_per_minute); /* the configuration's */
        assert_int_equal(70, owner.limits.tokens_per_minute);
        assert_int_equal(0, owner.limits.concurrency);
        assert_int_equal(ERR_OK, check(a, limited, &owner));
        assert_string_equal("acme", owner.id);
        assert_int_equal(0, owner.limits.requests_per_minute); /* none, whatever the configuration says */
        assert_int_equal(500, owner.limits.tokens_per_minute);
        assert_int_equal(2, owner.limits.concurrency);
        assert_int_equal(ERR_INVALID_KEY, check(a, "sk-other-0123456789", &owner));
        assert_int_equal(ERR_NO_KEY, check(a, "", &owner));
    }
    access_close(a);
    store_close(s);
}

static void configured_keys_work_beside_them(void **state)
{
    (void)state;
    struct store *s = open_store();
    char secret[ACCESS_SECRET_CHARS + 1];
    const char *keys[] = { "sk-configured-1" };
    struct config cfg = { .listen = "0.0.0.0:1", .keys = { keys, 1 }, .concurrency_per_key = 4 };
    struct access *a = NULL;
    struct access_owner owner;
    assert_int_equal(ERR_OK, access_open(&a, &cfg, s, NULL));
    make(s, "later", "acme", secret);
    assert_int_equal(ERR_OK, check(a, keys[0], &owner));
    assert_int_equal(4, owner.limits.concurrency);
    assert_int_equal(ERR_OK, check(a, secret, &owner));
    assert_string_equal("acme", owner.id);
    access_close(a);
    store_close(s);
}

static void a_revoked_key_stops_within_its_life(void **state)
{
    (void)state;
    struct store *s = open_store();
    char secret[ACCESS_SECRET_CHARS + 1], kept[ACCESS_SECRET_CHARS + 1], late[ACCESS_SECRET_CHARS + 1];
    make(s, "gone", "acme", secret);
    make(s, "kept", "acme", kept);
    struct access *a = open_access(s, "127.0.0.1:1");
    struct access_owner owner;
    struct access_key out;
    assert_int_equal(ERR_OK, check(a, secret, &owner));
    assert_int_equal(ERR_OK, access_key_revoke(s, STR("gone"), &out, NULL));
    assert_string_equal("gone", out.name);
    clock_ms += ACCESS_KEY_LIFE_MS - 1;
    assert_int_equal(ERR_OK, check(a, secret, &owner)); /* remembered: the bound is not vacuous */
    clock_ms += 1;
    assert_int_equal(ERR_INVALID_KEY, check(a, secret, &owner));
    assert_int_equal(ERR_OK, check(a, kept, &owner));
    assert_int_equal(ERR_OK, access_key_revoke(s, STR("kept"), &out, NULL));
    clock_ms += ACCESS_KEY_LIFE_MS;
    assert_int_equal(ERR_INVALID_KEY, check(a, kept, &owner));
    assert_int_equal(ERR_NO_KEY, check(a, "", &owner)); /* the last key went, and the door stays closed */
    make(s, "late", "acme", late);
    assert_int_equal(ERR_OK, check(a, late, &owner));
    access_close(a);
    store_close(s);
}

static void the_first_key_closes_an_open_server(void **state)
{
    (void)state;
    struct store *s = open_store();
    char secret[ACCESS_SECRET_CHARS + 1];
    struct access *a = open_access(s, "127.0.0.1:1");
    struct access_owner owner;
    assert_int_equal(ERR_OK, check(a, "", &owner));
    assert_string_equal("local", owner.id);
    assert_int_equal(7, owner.limits.requests_per_minute);
    assert_false(access_asks(a));
    make(s, "first", "", secret);
    clock_ms += ACCESS_KEY_LIFE_MS - 1;
    assert_int_equal(ERR_OK, check(a, "", &owner));
    clock_ms += 1;
    assert_int_equal(ERR_NO_KEY, check(a, "", &owner));
    assert_int_equal(ERR_OK, check(a, secret, &owner));
    assert_true(access_asks(a));
    access_close(a);
    store_close(s);
}

/* What was let in once is asked again, without the key itself. */
static void a_connection_goes_on_as_long_as_its_key(void **state)
{
    (void)state;
    struct store *s = open_store();
    char secret[ACCESS_SECRET_CHARS + 1];
    struct access *a = open_access(s, "127.0.0.1:1");
    struct access_owner local, keyed;
    struct access_key out;
    assert_int_equal(ERR_OK, check(a, "", &local));
    assert_int_equal(ERR_OK, access_again(a, &local, NULL));
    assert_string_equal("local", local.id);
    make(s, "first", "acme", secret);
    clock_ms += ACCESS_KEY_LIFE_MS;
    assert_int_equal(ERR_NO_KEY, access_again(a, &local, NULL)); /* it was opened when none was needed */
    assert_int_equal(ERR_OK, check(a, secret, &keyed));
    clock_ms += ACCESS_KEY_LIFE_MS;
    assert_int_equal(ERR_OK, access_again(a, &keyed, NULL));
    assert_string_equal("acme", keyed.id);
    assert_int_equal(ERR_OK, access_key_revoke(s, STR("first"), &out, NULL));
    clock_ms += ACCESS_KEY_LIFE_MS;
    assert_int_equal(ERR_INVALID_KEY, access_again(a, &keyed, NULL));
    access_close(a);
    store_close(s);
}

static void revoking_is_exact(void **state)
{
    (void)state;
    struct store *s = open_store();
    char secret[ACCESS_SECRET_CHARS + 1], id[65];
    struct access_key first = make(s, "one", "", secret), second = make(s, "two", "", secret), out;
    struct err err = { 0 };
    assert_int_equal(ERR_NOT_FOUND, access_key_revoke(s, STR("three"), &out, &err));
    assert_non_null(strstr(err.message, "There is no key 'three'"));
    snprintf(id, sizeof id, "%.7s", first.id);
    assert_int_equal(ERR_NOT_FOUND,
                     access_key_revoke(s, str_from(id), &out, &err)); /* too short to be meant */
    assert_int_equal(ERR_NOT_FOUND, access_key_revoke(s, STR(""), &out, &err));
    snprintf(id, sizeof id, "%.8s", first.id);
    make(s, id, "", secret); /* a name comes before an id that begins with it */
    assert_int_equal(ERR_OK, access_key_revoke(s, str_from(id), &out, &err));
    assert_string_equal(id, out.name);
    assert_int_equal(ERR_OK, access_key_revoke(s, str_from(id), &out, &err));
    assert_string_equal(first.id, out.id);
    assert_string_equal("one", out.name);
    assert_int_equal(ERR_OK, access_key_revoke(s, str_from(second.id), &out, &err));
    struct arena arena = { 0 };
    struct access_key *keys;
    size_t n;
    assert_int_equal(ERR_OK, access_keys_list(s, &keys, &n, &arena, NULL));
    assert_int_equal(0, n);
    arena_free(&arena);
    store_close(s);
}

static void put_raw(struct store *s, const char *id, const char *body)
{
    struct store_tx *tx = store_tx_open();
    store_tx_object_put(
        tx, &(struct store_object){ .kind = STR("key"), .id = str_from(id), .body = str_from(body) });
    assert_int_equal(ERR_OK, store_commit_wait(s, tx, NULL));
}

/* The digest of FIPS 180-4's message: its body says what this version does not know, so the key does not work. */
static void a_body_of_the_future_is_refused(void **state)
{
    (void)state;
    static const char *const id = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
    static const char *const bodies[] = {
        "{\"name\":\"x\",\"owner\":\"o\",\"created_s\":1,\"models\":[\"o3\"]}",
        "{\"name\":\"x\",\"owner\":\"o/../o\",\"created_s\":1}",
        "{\"name\":\"x\",\"owner\":\"o\",\"created_s\":1,\"concurrency\":-1}",
        "{\"owner\":\"o\",\"created_s\":1}",
        "{",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct store *s = open_store();
        put_raw(s, id, bodies[i]);
        struct access *a = open_access(s, "127.0.0.1:1");
        struct access_owner owner;
        struct access_key out;
        assert_int_equal(ERR_STORE,
                         check(a, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", &owner));
        assert_int_equal(ERR_OK, access_key_revoke(s, STR("248d6a61d2"), &out, NULL));
        assert_string_equal(id, out.id);
        access_close(a);
        store_close(s);
    }
}

/* --- many threads --------------------------------------------------------------------------------------- */

#define THREADS 6

static struct crowd {
    struct access *a;
    char secrets[3][ACCESS_SECRET_CHARS + 1];
} crowd;

static void one_of_many(void *ctx)
{
    struct crowd *c = ctx;
    for (int i = 0; i < 200; i++) {
        struct access_owner owner;
        assert_int_equal(ERR_OK, check(c->a, c->secrets[i % 3], &owner));
        assert_string_equal(i % 3 == 0 ? "o0" : i % 3 == 1 ? "o1" : "o2", owner.id);
        assert_int_equal(ERR_INVALID_KEY, check(c->a, "sk-unknown-key-00", &owner));
        clock_ms += 100; /* so that what is remembered is read anew now and then */
    }
}

static void threads_check_at_once(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct thread threads[THREADS];
    for (int i = 0; i < 3; i++) {
        char name[16], owner[16];
        snprintf(name, sizeof name, "k%d", i);
        snprintf(owner, sizeof owner, "o%d", i);
        make(s, name, owner, crowd.secrets[i]);
    }
    crowd.a = open_access(s, "127.0.0.1:1");
    for (int i = 0; i < THREADS; i++)
        thread_start(&threads[i], "crowd", one_of_many, &crowd);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    access_close(crowd.a);
    store_close(s);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_key_is_shown_once_and_kept_as_a_hash),
    cmocka_unit_test(what_no_key_can_be_is_refused),
    cmocka_unit_test(a_stored_key_names_owner_and_limits),
    cmocka_unit_test(a_key_may_be_for_some_models),
    cmocka_unit_test(configured_keys_work_beside_them),
    cmocka_unit_test(a_revoked_key_stops_within_its_life),
    cmocka_unit_test(the_first_key_closes_an_open_server),
    cmocka_unit_test(a_connection_goes_on_as_long_as_its_key),
    cmocka_unit_test(revoking_is_exact),
    cmocka_unit_test(a_body_of_the_future_is_refused),
    cmocka_unit_test(threads_check_at_once),
};
TEST_GROUP(access_keys, tests)
