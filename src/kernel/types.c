/*
 * types.c - the tensor types: what a file says of them; how their weights are packed is in packed_impl.h.
 */
#include "kernel/kernel.h"

#include <assert.h>

static const struct tensor_type_info infos[TENSOR_TYPE_COUNT] = {
#define X(name, gguf, block, bytes) [TENSOR_##name] = { #name, gguf, block, bytes },
    TENSOR_LIST(X)
#undef X
};

const struct tensor_type_info *tensor_type_info(enum tensor_type type)
{
    assert((unsigned)type < TENSOR_TYPE_COUNT);
    return &infos[type];
}

bool tensor_type_find(uint32_t gguf, enum tensor_type *out)
{
    for (int i = 0; i < TENSOR_TYPE_COUNT; i++)
        if (infos[i].gguf == gguf) {
            *out = (enum tensor_type)i;
            return true;
        }
    return false;
}
