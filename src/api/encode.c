/*
 * encode.c - bytes as text: base64 both ways, hex digits of a digest.
 *
 * libcrypto's decoder is lenient about what stands behind the text, and knows nothing of base64url, so decoding is strict
 * here: the one spelling that the encoder writes, and no other. That is what makes a token that was changed in any
 * character a token that is refused.
 *
 * Threads: no state.
 */
#include "api/api_impl.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

void base64_put(struct buf *out, struct str bytes)
{
    assert(bytes.len <= SEAL_TOKEN_MAX); /* EVP counts in int */
    size_t len = (bytes.len + 2) / 3 * 4;
    buf_reserve(out, len + 1);
    EVP_EncodeBlock((unsigned char *)out->ptr + out->len, (const unsigned char *)bytes.ptr, (int)bytes.len);
    out->len += len;
}

void base64url_put(struct buf *out, struct str bytes)
{
    size_t start = out->len;
    base64_put(out, bytes);
    while (out->len > start && out->ptr[out->len - 1] == '=')
        out->len--;
    for (size_t i = start; i < out->len; i++)
        out->ptr[i] = out->ptr[i] == '+' ? '-' : out->ptr[i] == '/' ? '_' : out->ptr[i];
    out->ptr[out->len] = '\0';
}

/* last_two: the digits 62 and 63, in which the two alphabets differ. */
static int digit_of(char c, const char *last_two)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == last_two[0] ? 62 : c == last_two[1] ? 63 : -1;
}

/* Bits that no byte needs must be zero, or the same bytes could be spelled in several ways. */
static bool decode(struct buf *out, struct str text, const char *last_two)
{
    uint32_t bits = 0;
    unsigned held = 0;
    buf_reserve(out, text.len / 4 * 3 + 3);
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_of(text.ptr[i], last_two);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            buf_putc(out, (char)(bits >> held & 0xff));
        }
    }
    return held < 6 && !(bits & ((1U << held) - 1));
}

bool base64url_get(struct buf *out, struct str text)
{
    return decode(out, text, "-_");
}

bool base64_get(struct buf *out, struct str text)
{
    if (text.len % 4)
        return false;
    for (int i = 0; i < 2 && str_ends(text, STR("=")); i++)
        text = str_slice(text, 0, text.len - 1);
    return decode(out, text, "+/");
}

void sha256_hex(char out[SHA256_HEX_SIZE], const struct str *pieces, size_t n)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; i < n && ok; i++)
        ok = EVP_DigestUpdate(ctx, pieces[i].ptr, pieces[i].len) == 1;
    ok = ok && EVP_DigestFinal_ex(ctx, digest, &len) == 1;
    assert(ok && (size_t)2 * len + 1 == SHA256_HEX_SIZE);
    EVP_MD_CTX_free(ctx);
    str_hex(out, digest, len);
}
