/*
 * str.h - views of bytes, and the few things one asks of text.
 *
 * A struct str owns nothing and need not end in NUL; it lives as long as what it views.
 *
 * Threads: no state.
 */
#ifndef THINKD_BASE_STR_H
#define THINKD_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    const char *ptr; /* may be NULL when len is 0 */
    size_t len;      /* bytes */
};

#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
/* For printf: "%.*s", STR_ARG(s). Views longer than INT_MAX are cut. */
#define STR_ARG(s) (int)((s).len > 0x7fffffff ? 0x7fffffff : (s).len), ((s).len ? (s).ptr : "")

struct str str_from(const char *s);                         /* NULL gives the empty view */
struct str str_slice(struct str s, size_t from, size_t to); /* bounds are cut to the view */
struct str str_trim(struct str s);                          /* ASCII blanks at both ends */
struct str str_trim_start(struct str s);
struct str str_trim_end(struct str s);
bool str_eq(struct str a, struct str b);
bool str_is(struct str a, const char *b);       /* equal to a C string */
bool str_eq_nocase(struct str a, struct str b); /* ASCII letters only */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
size_t str_find(struct str s, struct str needle); /* offset of the first, or SIZE_MAX; "" is found at 0 */
int str_cmp(struct str a, struct str b);          /* memcmp order, shorter first on a tie */
uint64_t str_hash(struct str s);                  /* FNV-1a, 64 bit; not for adversarial keys */

void str_hex(char *out, const unsigned char *bytes, size_t n); /* 2 n lower-case digits and a NUL */

/* Whole decimal numbers with an optional sign, nothing before or after; false leaves *out alone. */
bool str_to_i64(struct str s, int64_t *out);
bool str_to_double(struct str s, double *out); /* finite, C locale, strtod's decimal syntax */

/* How close two words are, in edits (insert, delete, replace): for "did you mean". */
size_t str_distance(struct str a, struct str b);

/* UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
size_t utf8_valid_len(struct str s); /* length of the longest valid prefix */
bool utf8_valid(struct str s);
size_t utf8_decode(struct str s,
                   uint32_t *codepoint);             /* bytes used (1-4); 0 when s does not start with one */
size_t utf8_encode(uint32_t codepoint, char out[4]); /* bytes written; 0 for what UTF-8 cannot hold */
size_t utf8_count(struct str s);                     /* characters in valid text */
/* Length of the prefix of s that ends no character in its middle: what may be shown now. Bytes that can
 * never become a character count as whole, so that a stream of them does not wait for ever. */
size_t utf8_whole_len(struct str s);

#endif
