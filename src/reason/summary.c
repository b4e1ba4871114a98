/*
 * summary.c - what a reader is told of a thought, taken from the thought by rule.
 *
 * Lines are looked at when they are complete, so a summary streams with the thought and never takes back
 * what it said. A line concludes something when it begins with one of the words below (a list mark or
 * number before it does not count); concise shows those lines, detailed shows all that are not blank. A
 * thought without any such line shows its last one, so the summary of a thought that says something is
 * never empty. A concise line that is longer than CONCISE_LINE_MAX is cut at a character's end.
 *
 * No model takes part: the summary costs no tokens and cannot claim what the thought does not say.
 *
 * Threads: the conductor's. Ownership: the summarizer owns its two lines.
 */
#include "reason/reason.h"

#define CONCISE_LINE_MAX 400 /* bytes */

static const char *const concluding[] = {
    "so",         "thus",          "hence",      "therefore",  "answer",      "the answer", "final",
    "finally",    "result",        "the result", "total",      "in total",    "altogether", "check",
    "conclusion", "in conclusion", "that means", "this means", "which means", "wait",       "but wait",
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static struct str without_list_mark(struct str line)
{
    size_t i = 0;
    while (i < line.len && !is_letter(line.ptr[i]) && i < 8)
        i++;
    return str_slice(line, i, line.len);
}

static bool concludes(struct str line)
{
    line = without_list_mark(line);
    for (size_t i = 0; i < ARRAY_LEN(concluding); i++) {
        struct str word = str_from(concluding[i]);
        bool whole = line.len == word.len || (line.len > word.len && !is_letter(line.ptr[word.len]));
        if (whole && str_eq_nocase(str_slice(line, 0, word.len), word))
            return true;
    }
    return false;
}

static void say(struct summarizer *s, struct str line, struct buf *out)
{
    if (s->wrote)
        buf_putc(out, '\n');
    s->wrote = true;
    if (s->kind == SUMMARY_DETAILED || line.len <= CONCISE_LINE_MAX) {
        buf_put_str(out, line);
        return;
    }
    struct str head = str_slice(line, 0, CONCISE_LINE_MAX);
    buf_put_str(out, str_trim_end(str_slice(head, 0, utf8_whole_len(head))));
    buf_puts(out, "\xe2\x80\xa6"); /* an ellipsis */
}

static void end_line(struct summarizer *s, struct buf *out)
{
    struct str line = str_trim(buf_str(&s->line));
    if (line.len && (s->kind == SUMMARY_DETAILED || concludes(line))) {
        say(s, line, out);
    } else if (line.len && !s->wrote) {
        buf_clear(&s->last);
        buf_put_str(&s->last, line);
    }
    buf_clear(&s->line);
}

void summarizer_put(struct summarizer *s, struct str thought, struct buf *out)
{
    if (s->kind == SUMMARY_NONE)
        return;
    for (size_t end; (end = str_find(thought, STR("\n"))) != SIZE_MAX;) {
        buf_put_str(&s->line, str_slice(thought, 0, end));
        end_line(s, out);
        thought = str_slice(thought, end + 1, thought.len);
    }
    buf_put_str(&s->line, thought);
}

void summarizer_end(struct summarizer *s, struct buf *out)
{
    if (s->kind == SUMMARY_NONE)
        return;
    end_line(s, out);
    if (!s->wrote && s->last.len)
        say(s, buf_str(&s->last), out);
}

void summarizer_free(struct summarizer *s)
{
    buf_free(&s->line);
    buf_free(&s->last);
    *s = (struct summarizer){ .kind = s->kind };
}
