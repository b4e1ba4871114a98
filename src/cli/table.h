/*
 * table.h - rows of text in aligned columns. Zero-initialise with columns.
 *
 * Ownership: cells are copied; table_free ends them.
 */
#ifndef THINKD_CLI_TABLE_H
#define THINKD_CLI_TABLE_H

#include "base/arena.h"
#include "base/buf.h"

#define TABLE_COLUMNS_MAX 8

struct table_row {
    struct table_row *next;
    const char *cells[TABLE_COLUMNS_MAX];
};

struct table {
    size_t columns;
    size_t widths[TABLE_COLUMNS_MAX]; /* in characters */
    struct table_row *rows, *last;
    struct arena arena;
};

void table_row(struct table *t, const char *const *cells); /* as many as columns; UTF-8 */
void table_put(const struct table *t, struct buf *out);
void table_free(struct table *t);

#endif
