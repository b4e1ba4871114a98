/*
 * help.c - the option list of a command, from the same rows that the setter uses.
 */
#include "config/config_impl.h"

#include <string.h>

#define COLUMNS      100
#define GAP          2
#define FLAG_COLUMNS 40 /* width of the first column at most */

/* What stands for a value; keys without a row here are told by their kind. */
static const struct {
    const char *key, *text;
} value_names[] = {
    { "config", "FILE" }, { "listen", "HOST:PORT" }, { "data", "DIR" },           { "model", "FILE" },
    { "engine", "NAME" }, { "keys", "KEY,..." },     { "log_level", "LEVEL" },    { "url", "URL" },
    { "api_key", "KEY" }, { "tier", "NAME" },        { "effort", "EFFORT" },      { "families", "NAME,..." },
    { "file", "FILE" },   { "owner", "ID" },         { "state", "FILE" },         { "csv", "FILE" },
    { "svg", "FILE" },    { "by", "KIND" },          { "efforts", "EFFORT,..." }, { "models", "NAME,..." },
};

static const char *value_name(const struct config_key *key)
{
    static const char *const kinds[] = { [KIND_STRING] = "TEXT",
                                         [KIND_INT] = "N",
                                         [KIND_SIZE] = "BYTES",
                                         [KIND_BOOL] = "",
                                         [KIND_LIST] = "A,B,..." };
    for (size_t i = 0; i < ARRAY_LEN(value_names); i++)
        if (strcmp(value_names[i].key, key->name) == 0)
            return value_names[i].text;
    return kinds[key->kind];
}

static void put_flag(struct buf *out, const struct config_key *key)
{
    buf_puts(out, "  --");
    for (const char *c = key->name; *c; c++)
        buf_putc(out, *c == '_' ? '-' : *c);
    const char *value = value_name(key);
    if (value[0])
        buf_printf(out, " %s", value);
}

static void put_spaces(struct buf *out, size_t n)
{
    while (n-- > 0)
        buf_putc(out, ' ');
}

/* Words of text in lines that begin at column `indent`; the cursor stands there already. */
static void put_wrapped(struct buf *out, struct str text, size_t indent)
{
    size_t column = indent;
    while (text.len) {
        size_t blank = str_find(text, STR(" "));
        struct str word = str_slice(text, 0, blank);
        if (column > indent && column + 1 + word.len > COLUMNS) {
            buf_putc(out, '\n');
            put_spaces(out, indent);
            column = indent;
        } else if (column > indent) {
            buf_putc(out, ' ');
            column++;
        }
        buf_put_str(out, word);
        column += word.len;
        text = str_slice(text, blank == SIZE_MAX ? text.len : blank + 1, text.len);
    }
    buf_putc(out, '\n');
}

/* A default that the text explains already (0: one per CPU) is not repeated. */
static bool shows_default(const struct config_key *key)
{
    if (!key->dflt || key->kind == KIND_BOOL)
        return false;
    return strcmp(key->dflt, "0") != 0 && !strstr(key->help, "default");
}

void config_help(struct buf *out, unsigned command)
{
    size_t width = 0;
    struct buf line = { 0 };
    for (size_t i = 0; i < config_keys_len; i++) {
        if (!(config_keys[i].commands & command))
            continue;
        buf_clear(&line);
        put_flag(&line, &config_keys[i]);
        if (line.len > width && line.len <= FLAG_COLUMNS)
            width = line.len;
    }
    for (size_t i = 0; i < config_keys_len; i++) {
        const struct config_key *key = &config_keys[i];
        if (!(key->commands & command))
            continue;
        buf_clear(&line);
        put_flag(&line, key);
        buf_put_str(out, buf_str(&line));
        put_spaces(out, line.len < width ? width - line.len + GAP : GAP);
        buf_clear(&line);
        buf_puts(&line, key->help);
        if (shows_default(key))
            buf_printf(&line, " (default: %s)", key->dflt);
        put_wrapped(out, buf_str(&line), width + GAP);
    }
    buf_free(&line);
}
