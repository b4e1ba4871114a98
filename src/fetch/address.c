/*
 * address.c - which addresses belong to the internet at large.
 *
 * A server that fetches what strangers name must not be a way into its own network: loopback, private ranges, and the
 * link-local address at which clouds hand out credentials. So an IPv6 address must be in the range that is given out
 * to the world (2000::/3) and an IPv4 address outside all ranges of the IANA special-purpose registry (RFC 6890 and
 * what was added since); the forms of IPv6 that carry an IPv4 address are judged by what they carry.
 */
#include "fetch/fetch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

struct range4 {
    uint32_t first; /* in host order */
    int bits;
};
static const struct range4 special4[] = {
    { 0x00000000, 8 },  /* this network */
    { 0x0a000000, 8 },  /* private */
    { 0x64400000, 10 }, /* 100.64/10, shared between carriers and their customers */
    { 0x7f000000, 8 },  /* loopback */
    { 0xa9fe0000, 16 }, /* link-local */
    { 0xac100000, 12 }, /* private */
    { 0xc0000000, 24 }, /* protocol assignments */
    { 0xc0000200, 24 }, /* documentation */
    { 0xc0586300, 24 }, /* 6to4 relays, which are gone */
    { 0xc0a80000, 16 }, /* private */
    { 0xc6120000, 15 }, /* benchmarks */
    { 0xc6336400, 24 }, /* documentation */
    { 0xcb007100, 24 }, /* documentation */
    { 0xe0000000, 3 },  /* multicast, reserved, broadcast */
};

struct range6 {
    unsigned char first[6];
    int bits; /* at most 48 */
};
static const struct range6 special6[] = {
    { { 0x20, 0x01 }, 23 },                   /* protocol assignments, Teredo among them */
    { { 0x20, 0x01, 0x0d, 0xb8 }, 32 },       /* documentation */
    { { 0x20, 0x02 }, 16 },                   /* 6to4 */
    { { 0x3f, 0xff }, 20 },                   /* documentation */
    { { 0x26, 0x20, 0, 0x4f, 0x80, 0 }, 48 }, /* the AS112 project's answers for private names */
};

static bool is_public4(uint32_t address)
{
    for (size_t i = 0; i < ARRAY_LEN(special4); i++)
        if ((address ^ special4[i].first) >> (32 - special4[i].bits) == 0)
            return false;
    return true;
}

static uint32_t word(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool within6(const unsigned char *address, const struct range6 *range)
{
    for (int bit = 0; bit < range->bits; bit++)
        if ((address[bit / 8] ^ range->first[bit / 8]) >> (7 - bit % 8) & 1)
            return false;
    return true;
}

static bool is_public6(const unsigned char *address)
{
    static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
    static const unsigned char nat64[12] = { 0, 0x64, 0xff, 0x9b };
    if (memcmp(address, mapped, sizeof mapped) == 0 || memcmp(address, nat64, sizeof nat64) == 0)
        return is_public4(word(address + 12));
    if ((address[0] & 0xe0) != 0x20)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(special6); i++)
        if (within6(address, &special6[i]))
            return false;
    return true;
}

bool fetch_address_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return is_public4(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family != AF_INET6)
        return false;
    struct sockaddr_in6 in6;
    memcpy(&in6, address, sizeof in6);
    return is_public6(in6.sin6_addr.s6_addr);
}
