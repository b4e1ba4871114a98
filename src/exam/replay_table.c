/*
 * replay_table.c - what a replay found: as a table for people, as JSON, as CSV and as a chart.
 */
#include "exam/exam_impl.h"
#include "exam/run_impl.h"
#include "json/json.h"

#include <stdio.h>

/* "o3 high: " before what is said of it, where there are several. */
static void put_candidate(struct buf *out, const struct exam_replay *r, size_t candidate)
{
    const struct exam_candidate *c = &r->candidates[candidate];
    if (r->candidates_len > 1)
        buf_printf(out, "%s%s%s: ", c->model ? c->model : "model", c->effort ? " " : "",
                   c->effort ? c->effort : "");
}

/* "maj@16", or with its candidate "o3 high: maj@16". */
static void put_name(struct buf *out, const struct exam_replay *r, const struct exam_replay_row *row)
{
    put_candidate(out, r, row->candidate);
    buf_puts(out, r->policies[row->policy].name);
}

static void put_row(struct buf *out, const struct exam_replay *r, const struct exam_replay_row *row)
{
    struct buf name = { 0 };
    put_name(&name, r, row);
    buf_printf(out, "| %-28s | %7.1f%% | %5.1f-%5.1f | %9.1f | %5.1f |", name.ptr, 100 * row->accuracy,
               100 * row->interval.low, 100 * row->interval.high, row->tokens, row->lines);
    if (row->compared)
        buf_printf(out, " %+6.1f | %+6.1f to %+6.1f | %5.0f%% |\n", 100 * row->difference,
                   100 * row->difference_interval.low, 100 * row->difference_interval.high,
                   100 * row->token_share);
    else
        buf_puts(out, "        |                  |        |\n");
    buf_free(&name);
}

static void put_group(struct buf *out, const struct exam_replay *r, const struct exam_replay_group *g)
{
    struct buf name = { 0 };
    put_candidate(&name, r, g->candidate);
    buf_printf(&name, "%.*s", STR_ARG(g->family));
    if (g->level)
        buf_printf(&name, " %d", g->level);
    buf_printf(out, "| %-28s | %9lld | %9.1f%% | %7.1f%% | %+6.1f | %+6.1f to %+6.1f |\n", name.ptr,
               (long long)g->questions, 100 * g->single, 100 * g->vote, 100 * g->gain, 100 * g->interval.low,
               100 * g->interval.high);
    buf_free(&name);
}

static void put_groups(struct buf *out, const struct exam_replay *r)
{
    if (r->groups_len == 0)
        return;
    buf_printf(out, "\n| %-28s | %9s | %10s | %8s | %6s | %16s |\n", "Most traces against one", "questions",
               "one sample", "vote", "points", "95%");
    buf_puts(out, "|------------------------------|----------:|-----------:|---------:|-------:|"
                  "-----------------:|\n");
    for (size_t i = 0; i < r->groups_len; i++)
        put_group(out, r, &r->groups[i]);
}

void exam_replay_table(const struct exam_replay *r, struct buf *out)
{
    buf_printf(out, "| %-28s | %8s | %11s | %9s | %5s | %6s | %16s | %6s |\n", "Policy", "accuracy", "95%",
               "tokens", "lines", "points", "95%", "tokens");
    buf_puts(out, "|------------------------------|---------:|------------:|----------:|------:|-------:|"
                  "-----------------:|-------:|\n");
    for (size_t i = 0; i < r->rows_len; i++)
        put_row(out, r, &r->rows[i]);
    buf_printf(out,
               "%lld questions, %d traces each, %d orders; the last three columns are against the vote of "
               "the most traces; "
               "95%%: %d bootstraps of %zu clusters\n",
               (long long)r->items, r->traces, EXAM_ORDERS, EXAM_ROUNDS, r->clusters);
    if (r->left_out)
        buf_printf(out, "%lld questions lack traces and were left out\n", (long long)r->left_out);
    put_groups(out, r);
}

static void json_row(struct json_writer *w, const struct exam_replay *r, const struct exam_replay_row *row)
{
    jw_begin_object(w);
    jw_key_cstring(w, "model", r->candidates[row->candidate].model);
    jw_key_cstring(w, "effort", r->candidates[row->candidate].effort);
    jw_key_cstring(w, "policy", r->policies[row->policy].name);
    jw_key_real(w, "accuracy", row->accuracy);
    jw_key_real(w, "low", row->interval.low);
    jw_key_real(w, "high", row->interval.high);
    jw_key_real(w, "tokens", row->tokens);
    jw_key_real(w, "lines", row->lines);
    if (row->compared) {
        jw_key_real(w, "difference", row->difference);
        jw_key_real(w, "difference_low", row->difference_interval.low);
        jw_key_real(w, "difference_high", row->difference_interval.high);
        jw_key_real(w, "token_share", row->token_share);
    }
    jw_end_object(w);
}

static void json_group(struct json_writer *w, const struct exam_replay *r, const struct exam_replay_group *g)
{
    jw_begin_object(w);
    jw_key_cstring(w, "model", r->candidates[g->candidate].model);
    jw_key_cstring(w, "effort", r->candidates[g->candidate].effort);
    jw_key_string(w, "family", g->family);
    if (g->level)
        jw_key_int(w, "level", g->level);
    jw_key_int(w, "questions", g->questions);
    jw_key_real(w, "single", g->single);
    jw_key_real(w, "vote", g->vote);
    jw_key_real(w, "gain", g->gain);
    jw_key_real(w, "low", g->interval.low);
    jw_key_real(w, "high", g->interval.high);
    jw_end_object(w);
}

void exam_replay_json(const struct exam_replay *r, struct buf *out)
{
    struct json_writer w = { .out = out };
    jw_begin_object(&w);
    jw_key_int(&w, "questions", r->items);
    jw_key_int(&w, "left_out", r->left_out);
    jw_key_int(&w, "traces", r->traces);
    jw_key_int(&w, "orders", EXAM_ORDERS);
    jw_key_int(&w, "clusters", (int64_t)r->clusters);
    jw_key(&w, "rows");
    jw_begin_array(&w);
    for (size_t i = 0; i < r->rows_len; i++)
        json_row(&w, r, &r->rows[i]);
    jw_end_array(&w);
    if (r->groups_len) {
        jw_key(&w, "groups");
        jw_begin_array(&w);
        for (size_t i = 0; i < r->groups_len; i++)
            json_group(&w, r, &r->groups[i]);
        jw_end_array(&w);
    }
    jw_end_object(&w);
    buf_putc(out, '\n');
}

static void csv_row(struct buf *out, const struct exam_replay *r, const struct exam_replay_row *row)
{
    const struct exam_candidate *c = &r->candidates[row->candidate];
    csv_put(out, c->model ? c->model : "");
    buf_putc(out, ',');
    csv_put(out, c->effort ? c->effort : "");
    buf_putc(out, ',');
    csv_put(out, r->policies[row->policy].name);
    buf_printf(out, ",%.6f,%.6f,%.6f,%.3f,%.3f,", row->accuracy, row->interval.low, row->interval.high,
               row->tokens, row->lines);
    if (row->compared)
        buf_printf(out, "%.6f,%.6f,%.6f,%.6f\r\n", row->difference, row->difference_interval.low,
                   row->difference_interval.high, row->token_share);
    else
        buf_puts(out, ",,,\r\n");
}

void exam_replay_csv(const struct exam_replay *r, struct buf *out)
{
    buf_puts(out,
             "model,effort,policy,accuracy,low,high,tokens,lines,difference,difference_low,difference_high,"
             "token_share\r\n");
    for (size_t i = 0; i < r->rows_len; i++)
        csv_row(out, r, &r->rows[i]);
}

/* A series for votes with what one trace does, one for passes, one for rules, of each candidate. */
static size_t series_of(const struct exam_replay *r, const struct exam_replay_row *row)
{
    static const size_t by_kind[] = {
        [POLICY_GREEDY] = 3, [POLICY_SINGLE] = 0, [POLICY_VOTE] = 0, [POLICY_STOP] = 1, [POLICY_PASS] = 2
    };
    return 4 * row->candidate + by_kind[r->policies[row->policy].kind];
}

void exam_replay_svg(const struct exam_replay *r, struct buf *out)
{
    struct chart_point *points = mem_array(r->rows_len, sizeof *points);
    struct buf *names = mem_array(r->rows_len, sizeof *names);
    size_t len = 0;
    for (size_t i = 0; i < r->rows_len; i++) {
        const struct exam_replay_row *row = &r->rows[i];
        put_name(&names[i], r, row);
        if (row->tokens > 0)
            points[len++] = (struct chart_point){ .label = names[i].ptr,
                                                  .series = series_of(r, row),
                                                  .x = row->tokens,
                                                  .y = row->accuracy,
                                                  .low = row->interval.low,
                                                  .high = row->interval.high };
    }
    chart_put(out, "Policies on recorded traces: accuracy against output tokens",
              "mean output tokens a question", points, len);
    for (size_t i = 0; i < r->rows_len; i++)
        buf_free(&names[i]);
    mem_free(names);
    mem_free(points);
}
