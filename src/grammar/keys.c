/*
 * keys.c - which keys the open objects of a text have said: see keys.h.
 *
 * A level that says one more key is a new level with a longer list, so whoever holds the old one still sees it as it was.
 */
#include "grammar/keys.h"

struct key_said {
    uint64_t hash;
    const struct key_said *before;
};

struct key_level {
    const struct key_level *up;
    bool object;
    const struct key_said *said;
};

#define HASH_FIRST 0xcbf29ce484222325u

static uint64_t hash_byte(uint64_t hash, unsigned char byte)
{
    hash = (hash ^ byte) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

static bool has_said(const struct key_level *level, uint64_t hash)
{
    for (const struct key_said *s = level->said; s; s = s->before)
        if (s->hash == hash)
            return true;
    return false;
}

static void push(struct keys *k, const struct key_level *up, bool object, const struct key_said *said,
                 struct arena *arena)
{
    struct key_level *level = arena_alloc(arena, sizeof *level);
    *level = (struct key_level){ up, object, said };
    k->top = level;
}

static bool end_string(struct keys *k, struct arena *arena)
{
    if (k->in_key && has_said(k->top, k->hash))
        return false;
    if (k->in_key) {
        struct key_said *said = arena_alloc(arena, sizeof *said);
        *said = (struct key_said){ k->hash, k->top->said };
        push(k, k->top->up, true, said, arena);
    }
    k->in_string = k->in_key = k->key_next = false;
    return true;
}

static bool step_in_string(struct keys *k, unsigned char byte, struct arena *arena)
{
    if (byte == '"' && !k->escaped)
        return end_string(k, arena);
    k->escaped = byte == '\\' && !k->escaped;
    k->hash = hash_byte(k->hash, byte);
    return true;
}

/* at: how many bytes of mark came last. A mark begins with a byte that it does not have again. */
static bool ends_mark(struct str mark, size_t *at, unsigned char byte)
{
    if (byte == (unsigned char)mark.ptr[*at])
        ++*at;
    else
        *at = byte == (unsigned char)mark.ptr[0];
    if (*at < mark.len)
        return false;
    *at = 0;
    return true;
}

static bool stops(struct keys *k, unsigned char byte)
{
    bool looks = !k->mark.len || k->top || k->stop_at;
    k->stopped |= k->stop.len && looks && ends_mark(k->stop, &k->stop_at, byte) && !k->in_string;
    return k->stopped;
}

static void begin_at_mark(struct keys *k, struct arena *arena)
{
    push(k, NULL, true, NULL, arena);
    k->in_string = true;
    k->in_key = k->key_next = k->escaped = false;
}

bool keys_step(struct keys *k, unsigned char byte, struct arena *arena)
{
    if (k->asleep || stops(k, byte))
        return true;
    if (k->mark.len && ends_mark(k->mark, &k->mark_at, byte)) {
        begin_at_mark(k, arena);
        return true;
    }
    if (k->mark.len && !k->top)
        return true;
    if (k->in_string)
        return step_in_string(k, byte, arena);
    switch (byte) {
    case '"':
        k->in_string = true;
        k->in_key = k->key_next;
        k->hash = HASH_FIRST;
        break;
    case '{':
    case '[':
        push(k, k->top, byte == '{', NULL, arena);
        k->key_next = byte == '{';
        break;
    case '}':
    case ']':
        k->top = k->top ? k->top->up : NULL;
        k->key_next = false;
        break;
    case ',': k->key_next = k->top && k->top->object; break;
    case ':': k->key_next = false; break;
    default: break;
    }
    return true;
}

bool keys_allow(const struct keys *k, struct str bytes)
{
    struct keys trial = *k;
    struct arena arena = { 0 };
    bool all = true;
    for (size_t i = 0; i < bytes.len && all; i++)
        all = keys_step(&trial, (unsigned char)bytes.ptr[i], &arena);
    arena_free(&arena);
    return all;
}

static const struct key_said *copy_said(const struct key_said *s, struct arena *arena)
{
    struct key_said *first = NULL, **end = &first;
    for (; s; s = s->before) {
        struct key_said *one = arena_alloc(arena, sizeof *one);
        one->hash = s->hash;
        *end = one;
        end = (struct key_said **)&one->before;
    }
    return first;
}

void keys_copy(struct keys *to, const struct keys *from, struct arena *arena)
{
    *to = *from;
    to->top = NULL;
    const struct key_level **end = &to->top;
    for (const struct key_level *l = from->top; l; l = l->up) {
        struct key_level *one = arena_alloc(arena, sizeof *one);
        *one = (struct key_level){ NULL, l->object, copy_said(l->said, arena) };
        *end = one;
        end = &one->up;
    }
}
