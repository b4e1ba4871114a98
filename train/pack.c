/*
 * pack.c - documents into rows, rows into batches.
 *
 * Attention costs by the length of the row, so a row is as short as its longest document allows. A document goes into the
 * fullest open row that has room for it, the longest rows first: they cost the same when half of them is padding. Where
 * none has room it begins a row of the shortest length that holds it. A row closes when hardly anything fits any more, and
 * batches are made of closed rows in the order in which they closed. What depends on the documents' order depends on
 * nothing else.
 */
#include "corpus.h"

#include <assert.h>
#include <string.h>

#define OPEN_ROWS_MAX 32 /* what they hold at a shard's end is lost */
#define ROOM_MIN      12 /* tokens of room below which a row closes */

struct row {
    uint16_t *tokens;
    size_t len;
};

/* The rows of one length. */
struct shelf {
    size_t length;
    struct row open[OPEN_ROWS_MAX];
    size_t open_len;
    struct tokens closed;        /* whole rows, not yet a batch */
    struct packer_counts counts; /* of those */
};

struct packer {
    struct shape shape;
    struct shelf shelves[ROW_LENGTHS_MAX];
    struct tokens batches;
    uint32_t *lengths; /* of each batch's rows */
    size_t batches_len, batches_max;
    struct packer_counts counts;
};

struct packer *packer_open(const struct shape *shape, size_t batches_max)
{
    struct packer *p = mem_zalloc(sizeof *p);
    p->shape = *shape;
    p->batches_max = batches_max;
    p->lengths = mem_array(batches_max, sizeof *p->lengths);
    for (size_t i = 0; i < shape->lengths_len; i++) {
        assert(shape->batch_tokens % shape->lengths[i] == 0);
        p->shelves[i].length = shape->lengths[i];
        for (size_t row = 0; row < OPEN_ROWS_MAX; row++)
            p->shelves[i].open[row].tokens = mem_array(shape->lengths[i], sizeof(uint16_t));
    }
    return p;
}

void packer_close(struct packer *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->shape.lengths_len; i++) {
        for (size_t row = 0; row < OPEN_ROWS_MAX; row++)
            mem_free(p->shelves[i].open[row].tokens);
        tokens_free(&p->shelves[i].closed);
    }
    tokens_free(&p->batches);
    mem_free(p->lengths);
    mem_free(p);
}

bool packer_full(const struct packer *p)
{
    return p->batches_len == p->batches_max;
}

struct packer_counts packer_counts(const struct packer *p)
{
    return p->counts;
}

static void append(struct tokens *to, const uint16_t *tokens, size_t n)
{
    if (to->len + n > to->cap) {
        to->cap = (to->len + n) * 2;
        to->ptr = mem_realloc(to->ptr, to->cap * sizeof *to->ptr);
    }
    memcpy(to->ptr + to->len, tokens, n * sizeof *tokens);
    to->len += n;
}

static void take_batch(struct packer *p, struct shelf *shelf)
{
    if (!packer_full(p)) {
        p->counts.documents += shelf->counts.documents;
        p->counts.tokens += shelf->counts.tokens;
        p->counts.counted += shelf->counts.counted;
        append(&p->batches, shelf->closed.ptr, p->shape.batch_tokens);
        p->lengths[p->batches_len++] = (uint32_t)shelf->length;
    }
    shelf->closed.len = 0;
    shelf->counts = (struct packer_counts){ 0 };
}

static void close_row(struct packer *p, struct shelf *shelf, size_t index)
{
    struct row row = shelf->open[index];
    for (size_t i = 0; i < row.len; i++) {
        shelf->counts.counted += (row.tokens[i] & TOKEN_COUNTED) != 0;
        shelf->counts.documents += (row.tokens[i] & TOKEN_FIRST) != 0;
    }
    shelf->counts.tokens += (int64_t)row.len;
    for (size_t i = row.len; i < shelf->length; i++)
        row.tokens[i] = i == row.len ? TOKEN_FIRST : 0;
    append(&shelf->closed, row.tokens, shelf->length);
    shelf->open[index] = shelf->open[--shelf->open_len];
    shelf->open[shelf->open_len] = (struct row){ row.tokens, 0 };
    if (shelf->closed.len == p->shape.batch_tokens)
        take_batch(p, shelf);
}

static size_t fullest(const struct shelf *shelf, size_t len_max)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < shelf->open_len; i++)
        if (shelf->open[i].len <= len_max && (best == SIZE_MAX || shelf->open[i].len > shelf->open[best].len))
            best = i;
    return best;
}

/* The place of a document of that length: an open row with room, else a row begun on the shortest shelf that holds it. NULL:
 * too long for all. */
static struct shelf *shelf_for(struct packer *p, size_t len, size_t *at)
{
    size_t i = p->shape.lengths_len;
    for (; i > 0 && p->shelves[i - 1].length >= len; i--)
        if ((*at = fullest(&p->shelves[i - 1], p->shelves[i - 1].length - len)) != SIZE_MAX)
            return &p->shelves[i - 1];
    if (i == p->shape.lengths_len)
        return NULL;
    struct shelf *shelf = &p->shelves[i];
    if (shelf->open_len == OPEN_ROWS_MAX)
        close_row(p, shelf, fullest(shelf, shelf->length));
    *at = shelf->open_len++;
    return shelf;
}

void packer_put(struct packer *p, const struct tokens *document)
{
    size_t at;
    struct shelf *shelf = shelf_for(p, document->len, &at);
    if (!shelf) {
        p->counts.too_long++;
        return;
    }
    struct row *row = &shelf->open[at];
    memcpy(row->tokens + row->len, document->ptr, document->len * sizeof *document->ptr);
    row->len += document->len;
    if (row->len + ROOM_MIN > shelf->length)
        close_row(p, shelf, at);
}

static void put_u32(struct buf *out, size_t value)
{
    for (int shift = 0; shift < 32; shift += 8)
        buf_putc(out, (char)(value >> shift & 0xff));
}

void packer_put_shard(const struct packer *p, struct buf *out)
{
    buf_puts(out, "thinkdS1");
    put_u32(out, p->shape.batch_tokens);
    put_u32(out, p->batches_len);
    for (size_t i = 0; i < p->batches_len; i++)
        put_u32(out, p->lengths[i]);
    while (out->len % 64)
        buf_putc(out, 0);
    for (size_t i = 0; i < p->batches.len; i++) {
        buf_putc(out, (char)(p->batches.ptr[i] & 0xff));
        buf_putc(out, (char)(p->batches.ptr[i] >> 8));
    }
}
