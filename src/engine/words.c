/*
 * words.c - the echo engine's vocabulary: every text it was shown as a word has a number.
 *
 * Numbers are given in the order of first sight, so the same requests in the same order have the same ids; whoever has an
 * id can have its text for as long as the engine lives. The table is bounded, since anybody may show it new words.
 *
 * Threads: any; the lock guards the table, texts never move.
 */
#include "engine/engine_impl.h"

#include <pthread.h>
#include <string.h>

#define WORDS_MAX       (1 << 20)
#define WORDS_BYTES_MAX (256 * MIB)

static const char *const fixed[] = {
    [ECHO_OPEN] = "<think>",     [ECHO_CLOSE] = "</think>",
    [ECHO_END] = "<|end|>",      [ECHO_MESSAGE] = "<|message|>",
    [ECHO_TURN] = "<|turn|>",    [ECHO_CLOSING] = "\nTime",
    [ECHO_CLOSING + 1] = " is",  [ECHO_CLOSING + 2] = " up",
    [ECHO_CLOSING + 3] = " for", [ECHO_CLOSING + 4] = " thinking.\n",
};
_Static_assert(ARRAY_LEN(fixed) == ECHO_CLOSING_END, "every id has a text");

struct word {
    int32_t id;
    UT_hash_handle hh;
    size_t len;
    char text[];
};

struct words {
    pthread_mutex_t lock;
    struct word *by_text; /* hash */
    struct word **by_id;  /* [n] from ECHO_CLOSING_END */
    size_t n, cap, bytes;
};

struct words *words_open(void)
{
    struct words *w = mem_zalloc(sizeof *w);
    pthread_mutex_init(&w->lock, NULL);
    return w;
}

void words_close(struct words *w)
{
    if (!w)
        return;
    HASH_CLEAR(hh, w->by_text);
    for (size_t i = 0; i < w->n; i++)
        mem_free(w->by_id[i]);
    mem_free(w->by_id);
    pthread_mutex_destroy(&w->lock);
    mem_free(w);
}

static struct word *add(struct words *w, struct str text)
{
    if (w->n == WORDS_MAX || text.len > WORDS_BYTES_MAX - w->bytes)
        return NULL;
    if (w->n == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 256;
        w->by_id = mem_realloc(w->by_id, w->cap * sizeof *w->by_id);
    }
    struct word *word = mem_zalloc(sizeof *word + text.len + 1);
    word->id = (int32_t)(ECHO_CLOSING_END + w->n);
    word->len = text.len;
    if (text.len)
        memcpy(word->text, text.ptr, text.len);
    w->bytes += text.len;
    w->by_id[w->n++] = word;
    HASH_ADD_KEYPTR(hh, w->by_text, word->text, word->len, word);
    return word;
}

enum err_code words_id(struct words *w, struct str text, int32_t *out, struct err *err)
{
    struct word *word;
    pthread_mutex_lock(&w->lock);
    HASH_FIND(hh, w->by_text, text.ptr, text.len, word);
    if (!word)
        word = add(w, text);
    pthread_mutex_unlock(&w->lock);
    if (!word)
        return err_set(err, ERR_BUSY, NULL, "The echo engine has seen %d words and has room for no more.",
                       WORDS_MAX);
    *out = word->id;
    return ERR_OK;
}

bool words_known(struct words *w, int32_t id)
{
    if (id >= ECHO_NUMBER)
        return id - ECHO_NUMBER <= ECHO_NUMBER_MAX;
    pthread_mutex_lock(&w->lock);
    bool known = id >= 0 && (size_t)id < ECHO_CLOSING_END + w->n;
    pthread_mutex_unlock(&w->lock);
    return known;
}

/* A number's text is a word too, made when somebody asks for it. */
static struct str number_text(struct words *w, int32_t number)
{
    struct buf b = { 0 };
    int32_t id;
    buf_printf(&b, " %d", (int)number);
    enum err_code code = words_id(w, buf_str(&b), &id, NULL);
    buf_free(&b);
    return code ? (struct str){ 0 } : words_text(w, id);
}

struct str words_text(struct words *w, int32_t id)
{
    if (id < ECHO_CLOSING_END)
        return str_from(fixed[id]);
    if (id >= ECHO_NUMBER)
        return number_text(w, id - ECHO_NUMBER);
    pthread_mutex_lock(&w->lock);
    const struct word *word = w->by_id[id - ECHO_CLOSING_END];
    pthread_mutex_unlock(&w->lock);
    return (struct str){ word->text, word->len };
}
