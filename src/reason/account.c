/*
 * account.c - what a reader is told of many lines of thought, taken from them by rule.
 *
 * Lines are told one after the other in the order in which they are counted, whatever ends first, so an account is the same
 * each time; the first streams as it is thought. Concise says of each what it tries (its first line) and what it found,
 * and how many agree so far; detailed has every line of it in between. Nothing is said that the lines do not say.
 *
 * Threads: the conductor's. Ownership: the account owns what it keeps of the line that is being told.
 */
#include "reason/reason_impl.h"

#define OPENING_MAX 200 /* bytes of what a line tries */

static void begin(struct account *a, struct buf *out)
{
    if (a->wrote)
        buf_putc(out, '\n');
    a->wrote = true;
}

static void put_cut(struct buf *out, struct str s)
{
    struct str head = str_slice(s, 0, OPENING_MAX);
    if (s.len <= OPENING_MAX) {
        buf_put_str(out, s);
        return;
    }
    buf_put_str(out, str_trim_end(str_slice(head, 0, utf8_whole_len(head))));
    buf_puts(out, "\xe2\x80\xa6"); /* an ellipsis */
}

static void tell_opening(struct account *a, size_t line, struct buf *out)
{
    struct str opening = str_trim(buf_str(&a->opening));
    if (a->told || opening.len == 0)
        return;
    a->told = true;
    begin(a, out);
    buf_printf(out, "Line %zu tries: ", line + 1);
    put_cut(out, opening);
}

/* Blank lines say nothing: the opening is the first that does. */
static void put_opening(struct account *a, size_t line, struct str thought, struct buf *out)
{
    while (!a->told && thought.len) {
        size_t end = str_find(thought, STR("\n"));
        if (a->opening.len <= OPENING_MAX)
            buf_put_str(&a->opening, str_slice(thought, 0, end));
        if (end != SIZE_MAX)
            tell_opening(a, line, out);
        thought = str_slice(thought, end == SIZE_MAX ? thought.len : end + 1, thought.len);
    }
}

/* What is kept of the line that was told goes: it was counted, or another is before it has been. */
static void leave_line(struct account *a, struct buf *out)
{
    if (a->opened)
        summarizer_end(&a->within, out);
    summarizer_free(&a->within);
    a->within = (struct summarizer){ 0 };
    buf_clear(&a->opening);
    a->opened = a->told = false;
}

void account_put(struct account *a, size_t line, struct str thought, struct buf *out)
{
    if (a->kind == SUMMARY_NONE || thought.len == 0)
        return;
    if (line != a->line)
        leave_line(a, out);
    a->line = line;
    if (a->kind != SUMMARY_DETAILED) {
        put_opening(a, line, thought, out);
        return;
    }
    if (!a->opened) {
        begin(a, out);
        buf_printf(out, "Line %zu:\n", line + 1);
        a->within.kind = SUMMARY_DETAILED;
    }
    a->opened = true;
    summarizer_put(&a->within, thought, out);
}

static void put_agreement(struct account *a, const struct reason_trace *t, struct buf *out)
{
    const struct vote_option *leader = t->options;
    int voted = t->counted - t->abstained;
    if (voted < 2)
        return;
    begin(a, out);
    buf_printf(out, "%d of %d lines agree on ", leader->votes, t->counted);
    buf_put_str(out, buf_str(&t->lines[leader->first].answer));
    buf_putc(out, '.');
}

void account_count(struct account *a, size_t line, const struct reason_trace *trace, struct buf *out)
{
    const struct line_trace *l = &trace->lines[line];
    if (a->kind == SUMMARY_NONE)
        return;
    if (line == a->line && a->kind != SUMMARY_DETAILED)
        tell_opening(a, line, out);
    leave_line(a, out);
    begin(a, out);
    if (l->state == LINE_FAILED) {
        buf_printf(out, "Line %zu failed.", line + 1);
    } else if (l->form == FORM_NONE) {
        buf_printf(out, "Line %zu found no answer that could be compared.", line + 1);
    } else {
        buf_printf(out, "Line %zu found ", line + 1);
        buf_put_str(out, buf_str(&l->answer));
        buf_putc(out, '.');
    }
    put_agreement(a, trace, out);
}

void account_decide(struct account *a, const struct reason_trace *trace, struct buf *out)
{
    if (a->kind == SUMMARY_NONE || trace->shown == SIZE_MAX)
        return;
    begin(a, out);
    if (trace->voted) {
        buf_puts(out, "The answer is that of line ");
    } else {
        buf_puts(out, "There is nothing to vote on; what is shown is the draft of line ");
    }
    buf_printf(out, "%zu.", trace->shown + 1);
}

void account_free(struct account *a)
{
    summarizer_free(&a->within);
    buf_free(&a->opening);
    *a = (struct account){ .kind = a->kind };
}
