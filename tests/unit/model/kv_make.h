/*
 * kv_make.h - a model that is nothing but its pages: for tests of kv.c that need no weights.
 *
 * What a token's keys and values hold here is a function of the tokens up to it, the layer and the head, as
 * in a real model, so a page that ends up under the wrong tokens is seen.
 *
 * Ownership: kv_make_close frees the model; every kv is closed before.
 */
#ifndef THINKD_TESTS_UNIT_MODEL_KV_MAKE_H
#define THINKD_TESTS_UNIT_MODEL_KV_MAKE_H

#include "model/model_impl.h"

struct model *kv_make_open(enum kv_type type, int n_pages, int64_t context); /* 2 layers, 3 heads of 20 */
void kv_make_close(struct model *m); /* fails the test when a page is still held */
/* One step of a sequence that has room: appends n tokens, writes what they hold, publishes. */
void kv_make_step(struct kv *kv, const int32_t *tokens, int64_t n);
void kv_make_check(const struct kv *kv); /* every token of kv finds its own keys and values */
/* The references of each page are those of the open sequences and the tree, and the usage adds up. */
void kv_make_check_pool(const struct model *m, struct kv *const *kvs, size_t n);

#endif
