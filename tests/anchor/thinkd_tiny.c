/*
 * thinkd_tiny.c - writes a tiny model as the unit tests make it: thinkd_tiny ARCH SEED OUT.gguf
 *
 * So llama.cpp can compute the golden logits of a file that `make test` makes anew, without llama.cpp and
 * without the file.
 */
#include "model/gguf_make.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: thinkd_tiny ARCH SEED OUT.gguf\n");
        return 2;
    }
    gguf_make_tiny(argv[3], argv[1], TENSOR_F32, strtoull(argv[2], NULL, 10));
    return 0;
}
