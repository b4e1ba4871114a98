/*
 * vocab.c - lookups from strings to token ids, and GPT-2's spelling of bytes.
 *
 * Byte-level vocabularies spell each byte as one printable character: the bytes that print stand for
 * themselves, the other 68 are U+0100 onwards in order (Radford et al., "Language Models are Unsupervised
 * Multitask Learners", 2019, released code). A token "Ġthe" is thus the bytes " the". We undo the spelling once
 * at open and work on bytes.
 */
#include "text/text_impl.h"

#include <string.h>

void str_index_init(struct str_index *x, const struct str *keys, size_t capacity)
{
    size_t slots = 16;
    while (slots < capacity * 2)
        slots *= 2;
    *x = (struct str_index){ .keys = keys, .slots = mem_alloc(slots * sizeof *x->slots), .mask = slots - 1 };
    memset(x->slots, 0xFF, slots * sizeof *x->slots); /* NO_TOKEN in every slot */
}

void str_index_put(struct str_index *x, int32_t id)
{
    struct str key = x->keys[id];
    size_t at = str_hash(key) & x->mask;
    while (x->slots[at] != NO_TOKEN) {
        if (str_eq(x->keys[x->slots[at]], key))
            return;
        at = (at + 1) & x->mask;
    }
    x->slots[at] = id;
}

int32_t str_index_find(const struct str_index *x, struct str key)
{
    for (size_t at = str_hash(key) & x->mask; x->slots[at] != NO_TOKEN; at = (at + 1) & x->mask)
        if (str_eq(x->keys[x->slots[at]], key))
            return x->slots[at];
    return NO_TOKEN;
}

void str_index_free(struct str_index *x)
{
    mem_free(x->slots);
    x->slots = NULL;
}

/* Whether GPT-2's table lets a byte stand for itself: printable ASCII and Latin-1, without the soft hyphen. */
static bool spells_itself(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/* The byte a character spells, or -1. */
static int byte_of(uint32_t codepoint)
{
    if (codepoint < 0x100)
        return spells_itself(codepoint) ? (int)codepoint : -1;
    unsigned hidden = 0x100; /* character of the next byte that does not spell itself */
    for (unsigned byte = 0; byte < 0x100; byte++)
        if (!spells_itself(byte) && hidden++ == codepoint)
            return (int)byte;
    return -1;
}

bool bytes_from_spelling(struct str spelling, struct arena *arena, struct str *bytes)
{
    char *out = arena_alloc(arena, spelling.len + 1); /* a byte's character is never shorter than the byte */
    size_t len = 0;
    for (size_t at = 0; at < spelling.len;) {
        uint32_t codepoint;
        size_t used = utf8_decode(str_slice(spelling, at, spelling.len), &codepoint);
        int byte = used ? byte_of(codepoint) : -1;
        if (byte < 0)
            return false;
        out[len++] = (char)byte;
        at += used;
    }
    *bytes = (struct str){ out, len };
    return true;
}

void bytes_to_spelling(struct str bytes, struct buf *out)
{
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned byte = (unsigned char)bytes.ptr[i];
        uint32_t codepoint = byte;
        if (!spells_itself(byte)) {
            codepoint = 0x100;
            for (unsigned below = 0; below < byte; below++)
                codepoint += !spells_itself(below);
        }
        char utf8[4];
        buf_put(out, utf8, utf8_encode(codepoint, utf8));
    }
}
