/*
 * table.c - columns that line up, for lists that people read.
 *
 * Widths are counted in characters, not bytes; the last column is not padded, so that no line ends in blanks.
 */
#include "cli/table.h"

static size_t cell_width(const char *cell)
{
    return utf8_count(str_from(cell));
}

void table_row(struct table *t, const char *const *cells)
{
    struct table_row *row = arena_alloc(&t->arena, sizeof *row);
    for (size_t i = 0; i < t->columns; i++) {
        row->cells[i] = arena_strdup(&t->arena, cells[i]);
        size_t width = cell_width(cells[i]);
        if (width > t->widths[i])
            t->widths[i] = width;
    }
    if (t->last)
        t->last->next = row;
    else
        t->rows = row;
    t->last = row;
}

void table_put(const struct table *t, struct buf *out)
{
    for (const struct table_row *row = t->rows; row; row = row->next) {
        size_t end = t->columns; /* no blanks at a line's end */
        while (end > 1 && !row->cells[end - 1][0])
            end--;
        for (size_t i = 0; i < end; i++) {
            buf_puts(out, row->cells[i]);
            for (size_t n = cell_width(row->cells[i]); i + 1 < end && n < t->widths[i] + 2; n++)
                buf_putc(out, ' ');
        }
        buf_putc(out, '\n');
    }
}

void table_free(struct table *t)
{
    arena_free(&t->arena);
    *t = (struct table){ .columns = t->columns };
}
