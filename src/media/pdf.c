/*
 * pdf.c - the text of a PDF, by pdftotext of poppler-utils in the sandbox.
 *
 * A PDF is a program in all but name, and its readers are large and written in C++; so it is never read in this
 * process. What comes back is text of others too: it is made valid UTF-8 without control characters here.
 */
#include "media/media_impl.h"

#include <string.h>

static enum err_code failed(struct err *err, const char *param, const char *why)
{
    return err_set(err, ERR_INVALID_VALUE, param,
                   "Invalid '%s': no text could be extracted from the PDF: %s.", param, why);
}

static enum err_code missing(struct err *err, const char *param, const char *program)
{
    bool ours = strcmp(program, "pdftotext") == 0;
    return err_set(
        err, ERR_INVALID_VALUE, param,
        "Invalid '%s': this server cannot read PDF, because the program %s is missing: its operator can "
        "install %s.",
        param, program, ours ? "poppler-utils" : "util-linux");
}

static enum err_code explain(const struct sandbox_result *r, const char *param,
                             const struct media_limits *limits, struct err *err)
{
    switch (r->end) {
    case SANDBOX_MISSING: return missing(err, param, r->missing);
    case SANDBOX_TIMEOUT:
        return err_set(err, ERR_INVALID_VALUE, param,
                       "Invalid '%s': no text could be extracted from the PDF within %lld ms.", param,
                       (long long)limits->timeout_ms);
    case SANDBOX_TOO_LONG:
        return err_set(err, ERR_INVALID_VALUE, param,
                       "Invalid '%s': the file has more than %lld bytes of text.", param,
                       (long long)limits->text_bytes_max);
    case SANDBOX_FAILED: return failed(err, param, "its reader could not be started");
    case SANDBOX_EXITED: break;
    }
    if (r->status == 0)
        return ERR_OK;
    if (r->status >= 128)
        return failed(err, param, "its reader needed too much memory or time, or crashed");
    return failed(err, param, "it is damaged, or protected by a password");
}

/* A page ends in a form feed, which becomes a line break; other control characters say nothing. */
static void put_clean(struct buf *out, struct str text)
{
    while (text.len) {
        uint32_t c = 0;
        size_t n = utf8_decode(text, &c);
        if (n == 0)
            buf_puts(out, "\xef\xbf\xbd");
        else if (c == '\f')
            buf_putc(out, '\n');
        else if ((c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t')
            buf_put(out, text.ptr, n);
        text = str_slice(text, n ? n : 1, text.len);
    }
}

enum err_code pdf_text(struct str *out, struct str bytes, const char *param,
                       const struct media_limits *limits, struct arena *arena, struct err *err)
{
    static const char *const args[] = { "-q", "-enc", "UTF-8", "-eol", "unix", "-", "-", NULL };
    const struct sandbox_run run = { .program = "pdftotext",
                                     .args = args,
                                     .input = bytes,
                                     .output_max = (size_t)limits->text_bytes_max,
                                     .timeout_ms = limits->timeout_ms };
    struct buf raw = { 0 }, clean = { 0 };
    struct sandbox_result result = sandbox_filter(&run, &raw);
    enum err_code code = explain(&result, param, limits, err);
    if (code)
        goto done;
    put_clean(&clean, buf_str(&raw));
    struct str text = str_trim(buf_str(&clean));
    if (text.len == 0)
        code = failed(err, param, "it has none (its pages may be pictures)");
    else
        *out = arena_str(arena, text);
done:
    buf_free(&raw);
    buf_free(&clean);
    return code;
}
