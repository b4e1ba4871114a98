/*
 * report.c - what an exam found: counts, Wilson intervals, tokens and seconds, as a table or as JSON.
 *
 * Wilson: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22, 1927.
 * With p = right/n and z = 1.96: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n). Unlike the
 * textbook interval it stays inside 0..1 and does not shrink to nothing at 0 or n right.
 */
#include "exam/exam_impl.h"
#include "exam/run_impl.h"
#include "json/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define Z_95 1.959963984540054

struct exam_interval exam_wilson(int64_t right, int64_t n)
{
    if (n <= 0)
        return (struct exam_interval){ 0, 1 };
    double p = (double)right / (double)n, z2 = Z_95 * Z_95 / (double)n;
    double middle = p + z2 / 2, reach = Z_95 * sqrt(p * (1 - p) / (double)n + z2 / (4 * (double)n));
    double low = (middle - reach) / (1 + z2), high = (middle + reach) / (1 + z2);
    /* at 0 and n the ends are exactly 0 and 1; rounding must not push them outside */
    return (struct exam_interval){ right == 0 || low < 0 ? 0 : low, right == n || high > 1 ? 1 : high };
}

static void count(struct exam_row *row, const struct exam_item *item)
{
    if (!item->asked)
        return;
    row->asked++;
    row->right += item->right;
    row->failed += item->failed;
    row->output_tokens += item->output_tokens;
    row->reasoning_tokens += item->reasoning_tokens;
    row->seconds += item->seconds;
}

static void add_row(struct exam_report *r, struct exam_row row)
{
    r->rows = mem_realloc(r->rows, (r->rows_len + 1) * sizeof *r->rows);
    r->rows[r->rows_len++] = row;
}

void exam_report_fill(struct exam_report *r, const struct exam_paper *paper)
{
    r->total = (struct exam_row){ .family = "total" };
    for (size_t i = 0; i < paper->len;) {
        const struct exam_family *f = paper->items[i].family;
        struct exam_row all = { .family = f ? f->name : "file" };
        while (i < paper->len && paper->items[i].family == f) {
            struct exam_row row = { .family = all.family, .level = paper->items[i].question.level };
            for (;
                 i < paper->len && paper->items[i].family == f && paper->items[i].question.level == row.level;
                 i++) {
                count(&row, &paper->items[i]);
                count(&all, &paper->items[i]);
                count(&r->total, &paper->items[i]);
            }
            if (row.level > 0 && row.asked > 0)
                add_row(r, row);
        }
        if (all.asked > 0)
            add_row(r, all);
    }
}

void exam_report_free(struct exam_report *r)
{
    mem_free(r->rows);
    memset(r, 0, sizeof *r);
}

static double mean(double sum, int64_t n)
{
    return n ? sum / (double)n : 0;
}

static void put_row(struct buf *out, const struct exam_row *row)
{
    struct exam_interval w = exam_wilson(row->right, row->asked);
    char level[16] = "all";
    if (row->level)
        snprintf(level, sizeof level, "%d", row->level);
    buf_printf(out, "%-10s %5s %7lld %7lld %6.1f%% %6.1f-%-6.1f %8.1f %9.1f %8.2f", row->family, level,
               (long long)row->asked, (long long)row->right, 100 * mean((double)row->right, row->asked),
               100 * w.low, 100 * w.high, mean((double)row->output_tokens, row->asked),
               mean((double)row->reasoning_tokens, row->asked), mean(row->seconds, row->asked));
    if (row->failed)
        buf_printf(out, "  %lld failed", (long long)row->failed);
    buf_putc(out, '\n');
}

void exam_report_table(const struct exam_report *r, struct buf *out)
{
    buf_printf(out, "%-10s %5s %7s %7s %7s  %-13s %8s %9s %8s\n", "family", "level", "asked", "right", "acc",
               "95% interval", "tokens", "reasoning", "seconds");
    for (size_t i = 0; i < r->rows_len; i++)
        put_row(out, &r->rows[i]);
    put_row(out, &r->total);
    buf_printf(out, "seed %llu, %.1f seconds in all; tokens, reasoning and seconds are means per question\n",
               (unsigned long long)r->seed, r->wall_seconds);
    if (r->first_error.code)
        buf_printf(out, "first failure: %s\n", r->first_error.message);
}

static void json_row(struct json_writer *w, const struct exam_row *row)
{
    struct exam_interval in = exam_wilson(row->right, row->asked);
    jw_begin_object(w);
    jw_key(w, "family");
    jw_cstring(w, row->family);
    jw_key(w, "level");
    if (row->level)
        jw_int(w, row->level);
    else
        jw_null(w);
    jw_key(w, "asked");
    jw_int(w, row->asked);
    jw_key(w, "right");
    jw_int(w, row->right);
    jw_key(w, "failed");
    jw_int(w, row->failed);
    jw_key(w, "accuracy");
    jw_real(w, mean((double)row->right, row->asked));
    jw_key(w, "low");
    jw_real(w, in.low);
    jw_key(w, "high");
    jw_real(w, in.high);
    jw_key(w, "output_tokens");
    jw_int(w, row->output_tokens);
    jw_key(w, "reasoning_tokens");
    jw_int(w, row->reasoning_tokens);
    jw_key(w, "seconds");
    jw_real(w, row->seconds);
    jw_end_object(w);
}

void exam_report_json(const struct exam_report *r, struct buf *out)
{
    struct json_writer w = { .out = out };
    jw_begin_object(&w);
    jw_key(&w, "seed");
    jw_int(&w, (int64_t)r->seed);
    jw_key(&w, "wall_seconds");
    jw_real(&w, r->wall_seconds);
    jw_key(&w, "rows");
    jw_begin_array(&w);
    for (size_t i = 0; i < r->rows_len; i++)
        json_row(&w, &r->rows[i]);
    jw_end_array(&w);
    jw_key(&w, "total");
    json_row(&w, &r->total);
    jw_key(&w, "first_error");
    if (r->first_error.code)
        jw_cstring(&w, r->first_error.message);
    else
        jw_null(&w);
    jw_end_object(&w);
    buf_putc(out, '\n');
}
