/*
 * lookup.c - guesses at the next tokens: what followed the last time that the text went like this.
 *
 * Prompt and output are one text here. Its newest n-gram, of four tokens down to two, is looked up among all earlier
 * ones ("prompt lookup decoding"), and what followed the newest of those is guessed to follow again: quotations, names,
 * code, lists, and models that go in circles. Where the earlier place is so near that it runs into the text's end, the guess
 * goes on with itself, as in LZ77, so a short period is guessed as far as a long one.
 *
 * The index is one table by hash without chains: a later n-gram takes the place of an earlier one, and what is found is
 * compared before it is believed, so a collision costs a guess and nothing else. It has at most SLOTS_MAX entries, is
 * made when it is first asked, and reads every token once.
 *
 * A wrong guess costs a row of a step, so guessing has to earn it. As many tokens are guessed as held the last time,
 * one more than twice as many when all did; when none did, the sequence guesses nothing for 2 tokens, then 4, up to QUIET_MAX. The rule
 * counts tokens and never looks at a clock, so a run is repeated step by step, not only token by token.
 *
 * Threads: the engine's. Ownership: a sequence owns its table.
 */
#include "engine/engine_impl.h"

#define GRAM_MIN    2
#define GRAM_MAX    4
#define SLOTS_MIN   1024
#define SLOTS_MAX   ((size_t)1 << 17) /* 512 KiB: three n-grams a token of 40 thousand tokens */
#define AHEAD_FIRST 3
#define QUIET_MAX   64

void lookup_free(struct lookup *l)
{
    mem_free(l->last);
}

static void start(struct sequence *s)
{
    struct lookup *l = &s->lookup;
    size_t wanted = (size_t)(s->prompt->tokens + s->tokens_max) * (GRAM_MAX - GRAM_MIN + 1);
    l->slots = SLOTS_MIN;
    while (l->slots < wanted && l->slots < SLOTS_MAX)
        l->slots *= 2;
    l->last = mem_array(l->slots, sizeof *l->last);
    l->ahead = AHEAD_FIRST;
}

/* The place in the table of the n tokens before place end. */
static int32_t *slot_of(const struct sequence *s, int64_t end, int n)
{
    uint64_t h = (uint64_t)n;
    for (int64_t at = end - n; at < end; at++)
        h = (h ^ (uint64_t)room_token(s, at)) * 0x9E3779B97F4A7C15u;
    return &s->lookup.last[(h >> 32) & (s->lookup.slots - 1)];
}

static void read_new(struct sequence *s, int64_t history)
{
    for (int64_t at = s->lookup.known; at < history; at++)
        for (int n = GRAM_MIN; n <= GRAM_MAX && n <= at; n++)
            *slot_of(s, at, n) = (int32_t)at;
    s->lookup.known = history;
}

static bool agree(const struct sequence *s, int64_t a, int64_t b, int n)
{
    for (int i = 1; i <= n; i++)
        if (room_token(s, a - i) != room_token(s, b - i))
            return false;
    return true;
}

/* The place that followed the longest of the text's last n-grams that came before; 0: none did. */
static int64_t find(const struct sequence *s, int64_t history)
{
    for (int n = GRAM_MAX; n >= GRAM_MIN; n--) {
        int64_t at = n < history ? *slot_of(s, history, n) : 0;
        if (at >= n && agree(s, at, history, n)) /* what lies there may be shorter than n */
            return at;
    }
    return 0;
}

size_t lookup_guess(struct sequence *s, int32_t *out, size_t n)
{
    struct lookup *l = &s->lookup;
    int64_t history = room_history(s);
    if (s->output_tokens < l->quiet)
        return 0;
    if (!l->slots)
        start(s);
    if (n > (size_t)l->ahead)
        n = (size_t)l->ahead;
    read_new(s, history);
    int64_t from = find(s, history);
    if (from == 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        int64_t at = from + (int64_t)i;
        out[i] = at < history ? room_token(s, at) : out[at - history];
    }
    l->guessed = (int)n;
    return n;
}

void lookup_learn(struct sequence *s, int accepted)
{
    struct lookup *l = &s->lookup;
    if (accepted == l->guessed)
        l->ahead = 2 * l->ahead + 1 < LOOKUP_AHEAD_MAX ? 2 * l->ahead + 1 : LOOKUP_AHEAD_MAX;
    else
        l->ahead = accepted ? accepted : 1;
    if (accepted) {
        l->misses = 0;
    } else {
        int64_t pause = l->misses < 5 ? (int64_t)2 << l->misses : QUIET_MAX;
        l->misses++;
        l->quiet = s->output_tokens + pause;
    }
    l->guessed = 0;
}
