/*
 * regex_impl.h - sets of characters for patterns.
 */
#ifndef THINKD_GRAMMAR_REGEX_IMPL_H
#define THINKD_GRAMMAR_REGEX_IMPL_H

#include "grammar/grammar_impl.h"

#define CHAR_SET_RANGES_MAX 100000

/* Zero-initialise; ascending and apart from each other after each call. */
struct char_set {
    struct char_range *ptr;
    size_t n, cap;
};

void char_set_add(struct char_set *s, uint32_t first, uint32_t last);
void char_set_join(struct char_set *s, const struct char_set *other);
void char_set_meet(struct char_set *s, const struct char_set *other);
void char_set_negate(struct char_set *s);
void char_set_fold(struct char_set *s); /* with the other case of each */
void char_set_free(struct char_set *s);

/* \d, \w, \s by their letter. unicode: as Unicode has them (Rust), else as ECMA-262 has them. */
void char_set_add_class(struct char_set *s, char letter, bool unicode);
/* \p{name}; false: not known. */
bool char_set_add_property(struct char_set *s, struct str name);
/* [:name:]; false: not known. */
bool char_set_add_posix(struct char_set *s, struct str name);

#endif
