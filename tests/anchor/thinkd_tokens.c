/*
 * thinkd_tokens.c - thinkd's ids for a list of texts; see tokens.h. A vocabulary alone is enough, there need
 * be no weights.
 */
#include "tokens.h"

#include "text/gguf_vocab.c" /* the unit tests' reader: model/ opens no file without weights */

int main(int argc, char **argv)
{
    struct texts texts = texts_open(argc, argv);
    struct gguf_vocab g;
    struct tokenizer *t = NULL;
    struct ids ids = { 0 };
    struct err err = { 0 };
    if (!gguf_vocab_read(&g, argv[1]))
        fail("thinkd finds no vocabulary in the file");
    if (tokenizer_open(&t, &g.v, &err))
        fail(err.message);
    while (texts_next(&texts)) {
        ids.len = 0;
        if (tokenizer_encode(t, (struct str){ texts.text, texts.len },
                             texts.special ? ENCODE_SPECIAL : ENCODE_PLAIN, &ids, &err))
            fail(err.message);
        put_ids(ids.ptr, ids.len);
    }
    ids_free(&ids);
    tokenizer_close(t);
    gguf_vocab_free(&g);
    texts_close(&texts);
    return 0;
}
