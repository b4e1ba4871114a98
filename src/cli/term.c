/*
 * term.c - what a person at a terminal sees.
 *
 * A model's or a server's text is foreign: on a terminal its control characters are shown as U+FFFD instead of
 * being obeyed. A file or a pipe gets every byte as it came.
 */
#include "cli/cli_impl.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define BAR_CHARACTERS 24
#define BAR_EVERY_MS   100

bool term_is(FILE *f)
{
    return isatty(fileno(f));
}

bool term_styled(FILE *f)
{
    const char *no = getenv("NO_COLOR"); /* https://no-color.org: set and not empty */
    return term_is(f) && !(no && no[0]);
}

static bool is_control(uint32_t c)
{
    return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0);
}

void term_clean(struct buf *out, struct str text)
{
    while (text.len) {
        uint32_t c;
        size_t used = utf8_decode(text, &c);
        if (used && !is_control(c))
            buf_put(out, text.ptr, used);
        else
            buf_puts(out, "\xef\xbf\xbd");
        text = str_slice(text, used ? used : 1, text.len);
    }
}

bool term_put(FILE *f, struct str text)
{
    struct buf clean = { 0 };
    if (term_is(f)) {
        term_clean(&clean, text);
        text = buf_str(&clean);
    }
    bool ok = text.len == 0 || fwrite(text.ptr, 1, text.len, f) == text.len;
    ok = fflush(f) == 0 && ok;
    buf_free(&clean);
    return ok;
}

void put_usd(struct buf *out, int64_t nano)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%09" PRId64, nano % 1000000000);
    size_t len = 9;
    while (len > 2 && digits[len - 1] == '0')
        len--;
    buf_printf(out, "$%" PRId64 ".%.*s", nano / 1000000000, (int)len, digits);
}

void put_usage(struct buf *out, const struct answer *a)
{
    if (a->counted) {
        buf_printf(out, "%" PRId64 " tokens in, %" PRId64 " out", a->input_tokens, a->output_tokens);
        if (a->reasoning_tokens > 0)
            buf_printf(out, " (%" PRId64 " of thought)", a->reasoning_tokens);
        buf_puts(out, ", ");
    }
    buf_printf(out, "%.1f s", (double)a->elapsed_ms / 1000);
    if (a->cost >= 0) {
        buf_puts(out, ", ");
        put_usd(out, a->cost);
    }
}

void put_progress(struct buf *out, int64_t done, int64_t total, int64_t right, double eta_seconds)
{
    int64_t full = total ? done * BAR_CHARACTERS / total : 0, eta = (int64_t)(eta_seconds + 0.5);
    buf_putc(out, '[');
    for (int64_t i = 0; i < BAR_CHARACTERS; i++)
        buf_putc(out, i < full ? '#' : '.');
    buf_printf(out, "] %" PRId64 "/%" PRId64, done, total);
    if (right >= 0)
        buf_printf(out, "  %.1f%% right", done ? 100.0 * (double)right / (double)done : 0.0);
    if (done < total && eta >= 3600)
        buf_printf(out, "  %" PRId64 ":%02" PRId64 ":%02" PRId64 " left", eta / 3600, eta / 60 % 60,
                   eta % 60);
    else if (done < total)
        buf_printf(out, "  %" PRId64 ":%02" PRId64 " left", eta / 60, eta % 60);
}

void draw_progress(int64_t *drawn_ms, int64_t done, int64_t total, int64_t right, double eta_seconds)
{
    int64_t now = clock_mono_ms();
    if (done < total && now - *drawn_ms < BAR_EVERY_MS)
        return;
    struct buf line = { 0 };
    *drawn_ms = now;
    buf_putc(&line, '\r');
    put_progress(&line, done, total, right, eta_seconds);
    buf_puts(&line, done == total ? "\x1b[K\n" : "\x1b[K");
    fwrite(line.ptr, 1, line.len, stderr);
    buf_free(&line);
}
