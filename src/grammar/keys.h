/*
 * keys.h - the keys of the objects that are open in a text of JSON: what no grammar can remember.
 *
 * It reads the text on its own, beside the automaton: brackets, quotes, commas and colons. What the text is else is
 * the automaton's, so a text that is not JSON makes no harm but refuses nothing either.
 *
 * A key is remembered by a hash of 64 bits of its text, which has one spelling. Two keys of one object that meet in
 * it are taken for one; the later one cannot be written then, and another can.
 *
 * Ownership: levels and keys never change and live in an arena, so a copy of struct keys stands where the original
 * stands, as long as the arena does.
 */
#ifndef THINKD_GRAMMAR_KEYS_H
#define THINKD_GRAMMAR_KEYS_H

#include "base/arena.h"
#include "base/str.h"

struct key_said;
struct key_level;

struct keys {
    const struct key_level *top; /* the innermost open array or object; NULL: none */
    uint64_t hash;               /* of the key so far */
    bool in_string, escaped;
    bool in_key;   /* the string is a key */
    bool key_next; /* in an object, where a key begins if a string does */
    /* Where the text is JSON only in part: an object begins anew with each mark, which ends inside the string of its first
     * member, and outside of such objects nothing is looked at. Empty: all of the text is JSON. */
    struct str mark;
    /* Where it is JSON only at first: behind this nothing is looked at any more. It ends outside of strings, and where there is a mark it begins in
     * what is looked at. Empty: there is none. */
    struct str stop;
    size_t mark_at, stop_at; /* bytes of them that came last */
    bool stopped;
    bool asleep; /* nothing is looked at yet, whatever the bytes are */
};

/* Goes on by a byte. False, and nothing has changed: it would end a key that its object has. */
bool keys_step(struct keys *k, unsigned char byte, struct arena *arena);
/* Would all the bytes go on? */
bool keys_allow(const struct keys *k, struct str bytes);
/* What is open, with an arena of its own. */
void keys_copy(struct keys *to, const struct keys *from, struct arena *arena);

#endif
