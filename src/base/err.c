/*
 * err.c - the error table, and messages cut where a character ends.
 *
 * A message is shown to callers and often quotes what they sent, so what leaves here is valid UTF-8 whatever
 * the bytes were and wherever the buffer ended.
 */
#include "base/err.h"

#include "base/str.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int status;
    const char *type;
    const char *api_code;
} errors[] = { { "ERR_OK", 200, "", NULL },
#define X(code, status, type, api) { #code, status, type, api },
               ERR_LIST(X)
#undef X
};

/* snprintf into size bytes cuts anywhere and a %s may carry foreign bytes; the reply must stay UTF-8. */
static void keep_utf8(char *text, size_t size)
{
    size_t len = strlen(text), whole = utf8_valid_len((struct str){ text, len });
    if (whole < len && len == size - 1 && len - whole < 4) {
        text[whole] = '\0'; /* cut inside a character */
        return;
    }
    for (size_t i = whole; i < len; i++)
        if ((unsigned char)text[i] >= 0x80)
            text[i] = '?';
}

enum err_code err_vset(struct err *err, enum err_code code, const char *param, const char *fmt, va_list ap)
{
    assert(code > ERR_OK && code < ERR_COUNT);
    if (!err)
        return code;
    /* The message first: fmt's arguments may point into err itself, as when a caller adds context. */
    char message[sizeof err->message];
    vsnprintf(message, sizeof message, fmt, ap);
    keep_utf8(message, sizeof message);
    err->code = code;
    char name[sizeof err->param];
    snprintf(name, sizeof name, "%s", param ? param : "");
    keep_utf8(name, sizeof name);
    memcpy(err->param, name, sizeof name);
    memcpy(err->message, message, sizeof message);
    return code;
}

enum err_code err_set(struct err *err, enum err_code code, const char *param, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err_vset(err, code, param, fmt, ap);
    va_end(ap);
    return code;
}

int err_status(enum err_code code)
{
    assert(code < ERR_COUNT);
    return errors[code].status;
}

const char *err_type(enum err_code code)
{
    assert(code < ERR_COUNT);
    return errors[code].type;
}

const char *err_api_code(enum err_code code)
{
    assert(code < ERR_COUNT);
    return errors[code].api_code;
}

const char *err_name(enum err_code code)
{
    assert(code < ERR_COUNT);
    return errors[code].name;
}
