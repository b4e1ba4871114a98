/*
 * address.c - which addresses a stranger's URL may lead to.
 */
#include "test.h"

#include "fetch/fetch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

static bool is_public(const char *text)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return fetch_address_is_public((struct sockaddr *)&in);
    assert_int_equal(1, inet_pton(AF_INET6, text, &in6.sin6_addr));
    return fetch_address_is_public((struct sockaddr *)&in6);
}

static void the_internet_is_public(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "1.1.1.1",         "9.255.255.255",    "11.0.0.0",        "100.63.255.255", "100.128.0.0",
        "126.255.255.255", "128.0.0.0",        "169.253.255.255", "169.255.0.0",    "172.15.255.255",
        "172.32.0.0",      "192.167.255.255",  "192.169.0.0",     "198.17.255.255", "198.20.0.0",
        "223.255.255.255", "2606:4700::1111",  "2a00:1450::1",    "2001:200::1",    "2001:4860:4860::8888",
        "::ffff:8.8.8.8",  "64:ff9b::808:808",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!is_public(rows[i]))
            fail_msg("%s", rows[i]);
}

static void the_rest_is_not(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2001:0:1::1",
        "2001:db8::1",
        "3fff::1",
        "::127.0.0.1",
        "64:ff9b:1::1",
        "100::1",
        "2620:4f:8000::1",
        "fec0::1",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (is_public(rows[i]))
            fail_msg("%s", rows[i]);
    struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/run/x" };
    assert_false(fetch_address_is_public((struct sockaddr *)&un));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_internet_is_public),
    cmocka_unit_test(the_rest_is_not),
};
TEST_GROUP(fetch_address, tests)
