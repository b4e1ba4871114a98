/*
 * schema_string.c - strings: what their characters may be, and the formats.
 *
 * A string is first a regular set of characters; what JSON makes of it comes last (node_json_image). Lengths count
 * characters, Unicode's scalar values. U+0000 is never one of them, since our own reader refuses it.
 *
 * Formats are whole, not rough: a date has the days of its month, leap years included; a time has leap seconds
 * where they may be; an email has the dots where RFC 5321 allows them in its unquoted form.
 */
#include "grammar/schema_impl.h"

#include <string.h>

/* clang-format off */
struct format {
    const char *name, *pattern; /* Rust's syntax, of the whole string; <part> stands for a part's pattern */
};
static const struct format parts[] = {
    { "byte",  "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])" },
    { "h",     "[0-9A-Fa-f]{1,4}" },
    { "last32", "(?:<h>:<h>|<ipv4>)" },
    /* Labels that fit into 253 characters: four of any length (the last a little shorter), or eight or sixteen of
     * shorter ones. To count characters and labels at once would take sixteen thousand states. */
    { "names4", "(?:<label>\\.){0,3}[0-9A-Za-z](?:[0-9A-Za-z-]{0,59}[0-9A-Za-z])?" },
    { "name30", "[0-9A-Za-z](?:[0-9A-Za-z-]{0,28}[0-9A-Za-z])?" },
    { "name14", "[0-9A-Za-z](?:[0-9A-Za-z-]{0,12}[0-9A-Za-z])?" },
    { "label", "[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?" },
    { "atom",  "[0-9A-Za-z!#$%&'*+/=?^_`{|}~-]+" },
    { "year",  "[0-9]{4}" },
    { "year-1", "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])" },
    { "four",  "(?:0[48]|[2468][048]|[13579][26])" },
    { "leap",  "(?:[0-9]{2}<four>|(?:00|<four>)00)" },
    { "leap-1", "(?:[0-9]{2}<four>|<four>00)" },
    { "dated", "(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)" },
    { "timed", "T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)" },
    /* RFC 3986, appendix A. */
    { "plain",    "[0-9A-Za-z._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}" }, /* unreserved, sub-delims, escapes */
    { "pchar",    "(?:<plain>|[:@])" },
    { "segments", "(?:/<pchar>*)*" },
    { "host",     "(?:\\[(?:<ipv6>|[Vv][0-9A-Fa-f]+\\.[0-9A-Za-z._~!$&'()*+,;=:-]+)\\]|(?:<plain>)*)" },
    { "network",  "//(?:(?:<plain>|:)*@)?<host>(?::[0-9]*)?<segments>" },
    { "absolute", "/(?:<pchar>+<segments>)?" },
    { "tail",     "(?:\\?(?:<pchar>|[/?])*)?(?:#(?:<pchar>|[/?])*)?" },
    { "relative", "(?:<network>|<absolute>|(?:(?:<plain>|@)+<segments>)?)<tail>" },
};
static const struct format formats[] = {
    { "date", "(?:<year>-(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|<year>-(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
              "|<year>-02-(?:0[1-9]|1[0-9]|2[0-8])|<leap>-02-29)" },
    { "time", "(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]+)?"
              "(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])|23:59:60(?:\\.[0-9]+)?[Zz])" },
    { "date-time", "<date>[Tt]<time>" },
    { "duration", "P(?:[0-9]+W|<dated>?<timed>|<dated>)" },
    { "email", "<atom>(?:\\.<atom>)*@(?:<label>\\.)+<label>" },
    { "hostname", "(?:<names4>|<name30>(?:\\.<name30>){0,7}|<name14>(?:\\.<name14>){0,15})" },
    { "ipv4", "<byte>\\.<byte>\\.<byte>\\.<byte>" },
    { "ipv6", "(?:(?:<h>:){6}<last32>|::(?:<h>:){5}<last32>|<h>?::(?:<h>:){4}<last32>"
              "|(?:(?:<h>:){0,1}<h>)?::(?:<h>:){3}<last32>|(?:(?:<h>:){0,2}<h>)?::(?:<h>:){2}<last32>"
              "|(?:(?:<h>:){0,3}<h>)?::<h>:<last32>|(?:(?:<h>:){0,4}<h>)?::<last32>"
              "|(?:(?:<h>:){0,5}<h>)?::<h>|(?:(?:<h>:){0,6}<h>)?::)" },
    { "uuid", "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}" },
    /* Something stands behind the colon: RFC 3986 would take "a:", which other validators do not. */
    { "uri", "[A-Za-z][0-9A-Za-z+.-]*:(?:<network>|<absolute>|<pchar>+<segments>)<tail>" },
    { "uri-reference", "(?:<uri>|<relative>)" },
    { "json-pointer", "(?:/(?:[^/~]|~[01])*)*" },
    { "relative-json-pointer", "(?:0|[1-9][0-9]*)(?:#|<json-pointer>)" },
};
/* clang-format on */

static const struct format *format_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (str_is(name, formats[i].name))
            return &formats[i];
    return NULL;
}

static const struct format *part_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (str_is(name, parts[i].name))
            return &parts[i];
    return format_find(name);
}

/* A year 0 is one of dates, and most programs that read them begin with the year 1. */
static struct str written_part(struct str name)
{
    return str_is(name, "year") ? STR("year-1") : str_is(name, "leap") ? STR("leap-1") : name;
}

static void put_pattern(struct buf *out, const char *pattern, bool written)
{
    for (const char *p = pattern; *p; p++) {
        const char *end = *p == '<' ? strchr(p, '>') : NULL;
        if (end) {
            struct str name = { p + 1, (size_t)(end - p - 1) };
            put_pattern(out, part_find(written ? written_part(name) : name)->pattern, written);
            p = end;
        } else {
            buf_putc(out, *p);
        }
    }
}

bool format_known(const char *name)
{
    return format_find(str_from(name));
}

static const struct node *format_set(struct compile *c, const char *name, bool written)
{
    const struct format *f = format_find(str_from(name));
    const struct node *x;
    struct err err;
    struct buf pattern = { 0 };
    put_pattern(&pattern, f->pattern, written);
    if (regex_node(&x, c->b, buf_str(&pattern), REGEX_RUST, false, &err)) {
        schema_fail(c, c->document, NULL, "The format '%s' could not be compiled: %s", name, err.message);
        x = node_never(c->b);
    }
    buf_free(&pattern);
    return x;
}

const struct node *format_node(struct compile *c, const char *name)
{
    return format_set(c, name, false);
}

const struct node *format_written(struct compile *c, const char *name)
{
    return format_set(c, name, true);
}

/* --- sets ------------------------------------------------------------------------------------------------- */

static bool text_excepted(const struct facts *f)
{
    for (const struct said *e = f->except; e; e = e->before)
        if (json_is_string(e->value))
            return true;
    return false;
}

static const struct node *without_excepted(struct compile *c, const struct facts *f, const struct node *set)
{
    size_t n = 0;
    for (const struct said *e = f->except; e; e = e->before)
        n++;
    const struct node **texts = arena_array(&c->arena, n + 1, sizeof(struct node *));
    n = 0;
    for (const struct said *e = f->except; e; e = e->before)
        if (json_is_string(e->value))
            texts[n++] = node_text(c->b, json_str(e->value));
    return node_and(c->b, set, node_not(c->b, node_or(c->b, texts, n)));
}

/* Of the lengths those that the pattern does not say by itself: an intersection costs states. */
static const struct node *sized(struct compile *c, const struct node *text, size_t min, size_t max)
{
    size_t least = 0, most = SIZE_MAX;
    if (text)
        node_lengths(text, &least, &most);
    min = min > least ? min : 0;
    max = max < most ? max : SIZE_MAX;
    if (!min && max == SIZE_MAX)
        return text ? text : c->any_text;
    const struct node *set = node_repeat(c->b, c->any_char, min, max == SIZE_MAX ? REPEAT_ENDLESS : max);
    return text ? node_and(c->b, text, set) : set;
}

const struct node *string_set(struct compile *c, const struct facts *f)
{
    if (f->length_min > f->length_max || f->length_min == SIZE_MAX)
        return node_never(c->b);
    const struct node *set = sized(c, f->text, f->length_min, f->length_max);
    return text_excepted(f) ? without_excepted(c, f, set) : set;
}

const struct node *string_node(struct compile *c, const struct node *set)
{
    const struct node *quote = text_node(c, "\"");
    return node_seq(c->b, (const struct node *const[]){ quote, node_json_image(c->b, set), quote }, 3);
}

bool text_among(struct compile *c, const struct node *set, struct str text)
{
    enum answer has = node_has(c->b, set, text);
    if (has == ANSWER_UNKNOWN)
        schema_fail(c, c->document, NULL,
                    "The schema is too complex to be enforced: its patterns take too long.");
    return has == ANSWER_YES;
}

bool string_accepts(struct compile *c, const struct facts *f, struct str text)
{
    size_t n = f->length_min || f->length_max != SIZE_MAX ? utf8_count(text) : 0;
    return n >= f->length_min && n <= f->length_max && (!f->text || text_among(c, f->text, text));
}
