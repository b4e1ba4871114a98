/*
 * matcher_impl.h - a grammar together with a vocabulary: where states are kept and masks are made.
 */
#ifndef THINKD_GRAMMAR_MATCHER_IMPL_H
#define THINKD_GRAMMAR_MATCHER_IMPL_H

#include "grammar/keys.h"
#include "grammar/space.h"
#include "grammar/vocab_impl.h"

#include <pthread.h>

#define CACHE_BYTES_MAX (32 * MIB) /* of states and masks, before a new space is begun */

/* What is known of one grammar on one vocabulary. The lock guards all of it, and every space that was ever in it. */
struct cache {
    struct cache *next;          /* of the same grammar */
    struct grammar_vocab *vocab; /* NULL: bytes alone */
    pthread_mutex_t lock;
    int32_t *controls;   /* by number of a name: the token, or -1 */
    struct space *space; /* the present one; holds a reference */
};

struct grammar {
    atomic_uint refs;
    struct program *program;
    bool heads;           /* grammar_has_heads */
    pthread_mutex_t lock; /* guards caches */
    struct cache *caches;
};

struct matcher {
    struct grammar *grammar;
    struct cache *cache;
    struct space *space; /* the one that state is of; holds a reference */
    struct state *state;
    struct keys keys; /* used where the program says unique_keys */
    struct arena keys_arena;
    uint64_t *mask; /* the last one, where it is not the state's own; NULL: not needed yet */
};

/* The cache of v, made when first asked for; lives as long as the grammar. */
struct cache *grammar_cache(struct grammar *g, struct grammar_vocab *v);
/* The mask of a state, made when first asked for. May move *at into a new space. */
uint64_t *mask_of(struct cache *c, struct space **space, struct state **at);
/* Under the lock: moves a state to the present space, which is a new one if the old one was too large. */
void cache_move(struct cache *c, struct space **space, struct state **at);
void cache_space_drop(struct space *s);

#endif
