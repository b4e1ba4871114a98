/*
 * table.c - an exam's report as tables for people, as JSON, as CSV and as points of a chart.
 *
 * Several candidates make three tables, each also Markdown: accuracy with a column a model and a row an effort, as the
 * vendors' guides print their benchmarks; what each candidate used; the differences. Money is whole nano-dollars until it is
 * written.
 */
#include "exam/exam_impl.h"
#include "exam/run_impl.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

static double mean(double sum, int64_t n)
{
    return n ? sum / (double)n : 0;
}

static double accuracy(const struct exam_row *row)
{
    return mean((double)row->right, row->asked);
}

static const char *effort_of(const struct exam_part *part)
{
    return part->candidate.effort ? part->candidate.effort : "default";
}

static const char *model_of(const struct exam_part *part)
{
    return part->candidate.model ? part->candidate.model : "model";
}

static void put_name(struct buf *out, const struct exam_part *part)
{
    buf_puts(out, model_of(part));
    if (part->candidate.effort)
        buf_printf(out, " %s", part->candidate.effort);
}

/* --- one candidate -------------------------------------------------------------------------------------------- */

static void put_row(struct buf *out, const struct exam_row *row)
{
    struct exam_interval w = exam_wilson(row->right, row->asked);
    char level[16] = "all";
    if (row->level)
        snprintf(level, sizeof level, "%d", row->level);
    buf_printf(out, "%-10s %5s %7lld %7lld %6.1f%% %6.1f-%-6.1f %8.1f %9.1f %8.2f", row->family, level,
               (long long)row->asked, (long long)row->right, 100 * accuracy(row), 100 * w.low, 100 * w.high,
               mean((double)row->output_tokens, row->asked), mean((double)row->reasoning_tokens, row->asked),
               mean(row->seconds, row->asked));
    if (row->failed)
        buf_printf(out, "  %lld failed", (long long)row->failed);
    buf_putc(out, '\n');
}

static void put_single(struct buf *out, const struct exam_part *part)
{
    buf_printf(out, "%-10s %5s %7s %7s %7s  %-13s %8s %9s %8s\n", "family", "level", "asked", "right", "acc",
               "95% interval", "tokens", "reasoning", "seconds");
    for (size_t i = 0; i < part->rows_len; i++)
        put_row(out, &part->rows[i]);
    put_row(out, &part->total);
}

/* --- several --------------------------------------------------------------------------------------------------- */

#define NAME_WIDTH 24

/* The first part with what this one has: where its model's column or its effort's row stands. */
static bool is_first_model(const struct exam_report *r, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(model_of(&r->parts[k]), model_of(&r->parts[i])) == 0)
            return false;
    return true;
}

static bool is_first_effort(const struct exam_report *r, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(effort_of(&r->parts[k]), effort_of(&r->parts[i])) == 0)
            return false;
    return true;
}

static const struct exam_row *find_row(const struct exam_part *part, const struct exam_row *like)
{
    for (size_t i = 0; i < part->rows_len; i++)
        if (strcmp(part->rows[i].family, like->family) == 0 && part->rows[i].level == like->level)
            return &part->rows[i];
    return NULL;
}

/* like NULL: all questions. */
static void put_cell(struct buf *out, const struct exam_report *r, const char *model, const char *effort,
                     const struct exam_row *like)
{
    const struct exam_row *row = NULL;
    for (size_t i = 0; i < r->parts_len && !row; i++)
        if (strcmp(model_of(&r->parts[i]), model) == 0 && strcmp(effort_of(&r->parts[i]), effort) == 0)
            row = like ? find_row(&r->parts[i], like) : &r->parts[i].total;
    if (row && row->asked)
        buf_printf(out, " %11.1f%% |", 100 * accuracy(row));
    else
        buf_printf(out, " %12s |", "-");
}

static void put_accuracy_row(struct buf *out, const struct exam_report *r, const char *effort,
                             const struct exam_row *like)
{
    char name[64];
    if (!like)
        snprintf(name, sizeof name, "all questions, %s", effort);
    else if (like->level)
        snprintf(name, sizeof name, "%s %d, %s", like->family, like->level, effort);
    else
        snprintf(name, sizeof name, "%s, %s", like->family, effort);
    buf_printf(out, "| %-*s |", NAME_WIDTH, name);
    for (size_t i = 0; i < r->parts_len; i++)
        if (is_first_model(r, i))
            put_cell(out, r, model_of(&r->parts[i]), effort, like);
    buf_putc(out, '\n');
}

/* Every effort's row of one family and level, or of all. */
static void put_accuracy_rows(struct buf *out, const struct exam_report *r, const struct exam_row *like)
{
    for (size_t i = 0; i < r->parts_len; i++)
        if (is_first_effort(r, i))
            put_accuracy_row(out, r, effort_of(&r->parts[i]), like);
}

static void put_dashes(struct buf *out, int n, const char *end)
{
    for (int i = 0; i < n; i++)
        buf_putc(out, '-');
    buf_puts(out, end);
}

static void put_accuracies(struct buf *out, const struct exam_report *r, enum exam_detail detail)
{
    buf_printf(out, "| %-*s |", NAME_WIDTH, "Accuracy");
    for (size_t i = 0; i < r->parts_len; i++)
        if (is_first_model(r, i))
            buf_printf(out, " %12s |", model_of(&r->parts[i]));
    buf_puts(out, "\n|");
    put_dashes(out, NAME_WIDTH + 2, "|");
    for (size_t i = 0; i < r->parts_len; i++)
        if (is_first_model(r, i))
            put_dashes(out, 13, ":|");
    buf_putc(out, '\n');
    put_accuracy_rows(out, r, NULL);
    for (size_t i = 0; i < r->parts[0].rows_len && detail; i++)
        if (r->parts[0].rows[i].level == 0 || detail == EXAM_BY_LEVEL)
            put_accuracy_rows(out, r, &r->parts[0].rows[i]);
}

/* "$0.000123" a question; "-" unless all are known. */
static void money(char out[32], const struct exam_row *row)
{
    int64_t nano = row->priced ? (row->cost + row->priced / 2) / row->priced : 0;
    if (row->asked && row->priced == row->asked - row->failed)
        snprintf(out, 32, "$%lld.%09lld", (long long)(nano / 1000000000), (long long)(nano % 1000000000));
    else
        snprintf(out, 32, "-");
}

static void put_figures_row(struct buf *out, const struct exam_part *part)
{
    const struct exam_row *row = &part->total;
    struct exam_interval w = exam_wilson(row->right, row->asked);
    struct buf name = { 0 };
    char cost[32];
    money(cost, row);
    put_name(&name, part);
    buf_printf(out, "| %-*s | %6lld | %7.1f%% | %5.1f-%5.1f | %9.1f | %9.1f | %8.2f | %13s | %6lld |\n",
               NAME_WIDTH, name.ptr, (long long)row->asked, 100 * accuracy(row), 100 * w.low, 100 * w.high,
               mean((double)row->output_tokens, row->asked), mean((double)row->reasoning_tokens, row->asked),
               mean(row->seconds, row->asked), cost, (long long)row->failed);
    buf_free(&name);
}

static void put_figures(struct buf *out, const struct exam_report *r)
{
    buf_printf(out, "\n| %-*s | %6s | %8s | %11s | %9s | %9s | %8s | %13s | %6s |\n", NAME_WIDTH,
               "Means a question", "asked", "accuracy", "95%", "tokens", "reasoning", "seconds", "dollars",
               "failed");
    buf_putc(out, '|');
    put_dashes(out, NAME_WIDTH + 2, "|");
    static const int widths[] = { 7, 9, 12, 10, 10, 9, 14, 7 };
    for (size_t i = 0; i < ARRAY_LEN(widths); i++)
        put_dashes(out, widths[i], ":|");
    buf_putc(out, '\n');
    for (size_t i = 0; i < r->parts_len; i++)
        put_figures_row(out, &r->parts[i]);
}

static void put_pair(struct buf *out, const struct exam_report *r, const struct exam_pair *p)
{
    struct buf name = { 0 };
    put_name(&name, &r->parts[p->b]);
    buf_puts(&name, " - ");
    put_name(&name, &r->parts[p->a]);
    buf_printf(out, "| %-34s | %6lld | %+8.1f | %+6.1f to %+6.1f | %5lld:%-5lld | %8.2g | %8.2g |\n",
               name.ptr, (long long)p->n, 100 * p->difference, 100 * p->interval.low, 100 * p->interval.high,
               (long long)p->only_b, (long long)p->only_a, p->p, p->holm);
    buf_free(&name);
}

static void put_pairs(struct buf *out, const struct exam_report *r)
{
    static const int widths[] = { 7, 9, 17, 12, 9, 9 };
    if (r->pairs_len == 0)
        return;
    buf_printf(out, "\n| %-34s | %6s | %8s | %16s | %11s | %8s | %8s |\n|", "Difference in points", "common",
               "points", "95%", "won:lost", "p", "p (Holm)");
    put_dashes(out, 36, "|");
    for (size_t i = 0; i < ARRAY_LEN(widths); i++)
        put_dashes(out, widths[i], ":|");
    buf_putc(out, '\n');
    for (size_t i = 0; i < r->pairs_len; i++)
        put_pair(out, r, &r->pairs[i]);
    buf_printf(out,
               "\n95%% of a difference: %d paired bootstraps of %zu clusters; p: McNemar's exact test; "
               "Holm's correction over "
               "%zu comparisons.\n",
               EXAM_ROUNDS, r->pairs[0].clusters, r->pairs_len);
}

void exam_report_table(const struct exam_report *r, enum exam_detail detail, struct buf *out)
{
    if (r->parts_len == 1) {
        put_single(out, &r->parts[0]);
    } else {
        put_accuracies(out, r, detail);
        put_figures(out, r);
        put_pairs(out, r);
    }
    buf_printf(out, "seed %llu, %.1f seconds in all; tokens, reasoning and seconds are means per question\n",
               (unsigned long long)r->seed, r->wall_seconds);
    if (r->first_error.code)
        buf_printf(out, "first failure: %s\n", r->first_error.message);
}

/* --- JSON -------------------------------------------------------------------------------------------------------- */

static void json_row(struct json_writer *w, const struct exam_row *row)
{
    struct exam_interval in = exam_wilson(row->right, row->asked);
    jw_begin_object(w);
    jw_key_cstring(w, "family", row->family);
    jw_key(w, "level");
    if (row->level)
        jw_int(w, row->level);
    else
        jw_null(w);
    jw_key_int(w, "asked", row->asked);
    jw_key_int(w, "right", row->right);
    jw_key_int(w, "failed", row->failed);
    jw_key_real(w, "accuracy", accuracy(row));
    jw_key_real(w, "low", in.low);
    jw_key_real(w, "high", in.high);
    jw_key_int(w, "output_tokens", row->output_tokens);
    jw_key_int(w, "reasoning_tokens", row->reasoning_tokens);
    jw_key_real(w, "seconds", row->seconds);
    jw_key_int(w, "priced", row->priced);
    jw_key_int(w, "cost", row->cost); /* nano-dollars, of those that are priced */
    jw_end_object(w);
}

static void json_rows(struct json_writer *w, const struct exam_part *part)
{
    jw_key(w, "rows");
    jw_begin_array(w);
    for (size_t i = 0; i < part->rows_len; i++)
        json_row(w, &part->rows[i]);
    jw_end_array(w);
    jw_key(w, "total");
    json_row(w, &part->total);
}

static void json_part(struct json_writer *w, const struct exam_part *part)
{
    jw_begin_object(w);
    jw_key_cstring(w, "model", part->candidate.model);
    jw_key_cstring(w, "effort", part->candidate.effort);
    json_rows(w, part);
    jw_end_object(w);
}

static void json_pair(struct json_writer *w, const struct exam_pair *p)
{
    jw_begin_object(w);
    jw_key_int(w, "a", (int64_t)p->a);
    jw_key_int(w, "b", (int64_t)p->b);
    jw_key_int(w, "common", p->n);
    jw_key_int(w, "only_a", p->only_a);
    jw_key_int(w, "only_b", p->only_b);
    jw_key_int(w, "clusters", (int64_t)p->clusters);
    jw_key_real(w, "difference", p->difference);
    jw_key_real(w, "low", p->interval.low);
    jw_key_real(w, "high", p->interval.high);
    jw_key_real(w, "p", p->p);
    jw_key_real(w, "p_holm", p->holm);
    jw_end_object(w);
}

static void json_parts(struct json_writer *w, const struct exam_report *r)
{
    jw_key(w, "candidates");
    jw_begin_array(w);
    for (size_t i = 0; i < r->parts_len; i++)
        json_part(w, &r->parts[i]);
    jw_end_array(w);
    jw_key(w, "differences");
    jw_begin_array(w);
    for (size_t i = 0; i < r->pairs_len; i++)
        json_pair(w, &r->pairs[i]);
    jw_end_array(w);
}

void exam_report_json(const struct exam_report *r, struct buf *out)
{
    struct json_writer w = { .out = out };
    jw_begin_object(&w);
    jw_key_int(&w, "seed", (int64_t)r->seed);
    jw_key_real(&w, "wall_seconds", r->wall_seconds);
    jw_key_int(&w, "resumed", r->resumed);
    if (r->parts_len == 1)
        json_rows(&w, &r->parts[0]);
    else
        json_parts(&w, r);
    jw_key_cstring(&w, "first_error", r->first_error.code ? r->first_error.message : NULL);
    jw_end_object(&w);
    buf_putc(out, '\n');
}

/* --- CSV --------------------------------------------------------------------------------------------------------- */

void csv_put(struct buf *out, const char *text)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        buf_puts(out, text);
        return;
    }
    buf_putc(out, '"');
    for (const char *c = text; *c; c++)
        buf_put(out, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1);
    buf_putc(out, '"');
}

static void csv_row(struct buf *out, const struct exam_part *part, const struct exam_row *row)
{
    struct exam_interval in = exam_wilson(row->right, row->asked);
    csv_put(out, model_of(part));
    buf_putc(out, ',');
    csv_put(out, effort_of(part));
    buf_printf(out, ",%s,", row->family);
    if (row->level)
        buf_printf(out, "%d", row->level);
    buf_printf(out, ",%lld,%lld,%lld,%.6f,%.6f,%.6f,%lld,%lld,%.3f,%lld,%lld\r\n", (long long)row->asked,
               (long long)row->right, (long long)row->failed, accuracy(row), in.low, in.high,
               (long long)row->output_tokens, (long long)row->reasoning_tokens, row->seconds,
               (long long)row->priced, (long long)row->cost);
}

void exam_report_csv(const struct exam_report *r, struct buf *out)
{
    buf_puts(out, "model,effort,family,level,asked,right,failed,accuracy,low,high,output_tokens,reasoning_"
                  "tokens,seconds,"
                  "priced,cost_nano_usd\r\n");
    for (size_t i = 0; i < r->parts_len; i++) {
        for (size_t k = 0; k < r->parts[i].rows_len; k++)
            csv_row(out, &r->parts[i], &r->parts[i].rows[k]);
        csv_row(out, &r->parts[i], &r->parts[i].total);
    }
}

/* --- chart ------------------------------------------------------------------------------------------------------- */

static size_t series_of(const struct exam_report *r, size_t part)
{
    size_t series = 0;
    for (size_t i = 0; i < part; i++) {
        if (strcmp(model_of(&r->parts[i]), model_of(&r->parts[part])) == 0)
            return series_of(r, i);
        series += is_first_model(r, i);
    }
    return series;
}

void exam_report_svg(const struct exam_report *r, struct buf *out)
{
    struct chart_point *points = mem_array(r->parts_len, sizeof *points);
    struct buf *names = mem_array(r->parts_len, sizeof *names);
    size_t len = 0;
    for (size_t i = 0; i < r->parts_len; i++) {
        const struct exam_row *row = &r->parts[i].total;
        struct exam_interval in = exam_wilson(row->right, row->asked);
        double tokens = mean((double)row->output_tokens, row->asked);
        put_name(&names[i], &r->parts[i]);
        if (tokens > 0) /* else it has no place on such an axis */
            points[len++] = (struct chart_point){ .label = names[i].ptr,
                                                  .series = series_of(r, i),
                                                  .x = tokens,
                                                  .y = accuracy(row),
                                                  .low = in.low,
                                                  .high = in.high };
    }
    chart_put(out, "Accuracy against output tokens", "mean output tokens a question", points, len);
    for (size_t i = 0; i < r->parts_len; i++)
        buf_free(&names[i]);
    mem_free(names);
    mem_free(points);
}
