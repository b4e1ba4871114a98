/*
 * calls.c - tool calls out of what a model wrote.
 *
 *   tagged    <tool_call>{"name": "f", "arguments": {...}}</tool_call>, again and again (hermes, qwen; phi 4: a list)
 *   mistral   [TOOL_CALLS][{"name": "f", "arguments": {...}}, ...] or [TOOL_CALLS]f[ARGS]{...}, with [CALL_ID]x before [ARGS]
 *   llama     {"name": "f", "parameters": {...}}; ... as the whole reply, or <|python_tag|> and then that, f.call(a="b") or code
 *   harmony   ... to=functions.f ...<|message|>{...}; to=python ...<|message|> and code
 *
 * All of it is a model's, so nothing is trusted: texts, nesting and the number of calls are bounded, and what
 * begins like a call and breaks off is an error that says where. A bare object is a call only if it has a
 * name and arguments, since a reply may be JSON for other reasons. Text around calls is the caller's to show
 * (reply_call_start).
 *
 * Threads: any; no state.
 */
#include "text/text_impl.h"
#include "json/json.h"

#include <string.h>

#define CALL_BYTES_MAX (4 * MIB) /* of a reply that is searched for calls */
#define CALLS_MAX      128       /* of one reply */
#define NAME_BYTES_MAX 256

struct reader {
    const struct reply_format *f;
    struct str text;
    size_t at;
    json_t *calls;
    struct err *err;
};

static enum err_code wrong(struct reader *r, const char *what)
{
    return err_set(r->err, ERR_INVALID_VALUE, NULL, "The model began tool call %zu, but %s.",
                   json_array_size(r->calls) + 1, what);
}

static struct str rest(const struct reader *r)
{
    return str_slice(r->text, r->at, r->text.len);
}

static void skip(struct reader *r, const char *set)
{
    while (r->at < r->text.len && r->text.ptr[r->at] && strchr(set, r->text.ptr[r->at]))
        r->at++;
}
#define BLANKS     " \t\r\n"
#define SEPARATORS " \t\r\n,;"

static bool skip_marker(struct reader *r, struct str marker)
{
    bool found = marker.len && str_starts(rest(r), marker);
    r->at += found ? marker.len : 0;
    return found;
}

/* Moves behind the next marker; false: there is none. */
static bool find_marker(struct reader *r, struct str marker)
{
    size_t at = marker.len ? str_find(rest(r), marker) : SIZE_MAX;
    if (at == SIZE_MAX)
        return false;
    r->at += at + marker.len;
    return true;
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

/* Length of the object or list that text starts with, by its brackets; 0: it does not end, or nests too
 * deeply. */
static size_t value_len(struct str text)
{
    unsigned depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (quoted && c == '\\') {
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && (c == '{' || c == '[')) {
            if (++depth > JSON_DEPTH_MAX)
                return 0;
        } else if (!quoted && (c == '}' || c == ']')) {
            if (--depth == 0)
                return i + 1;
        }
    }
    return 0;
}

static enum err_code parse(struct reader *r, struct str json, json_t **out)
{
    json_error_t error;
    *out = json_loadb(json.len ? json.ptr : "", json.len, JSON_REJECT_DUPLICATES, &error);
    if (*out)
        return ERR_OK;
    return err_set(r->err, ERR_INVALID_VALUE, NULL,
                   "The model began tool call %zu, but its JSON breaks at line %d, column %d: %s.",
                   json_array_size(r->calls) + 1, error.line, error.column, error.text);
}

/* The object or list that stands here. */
static enum err_code take_value(struct reader *r, json_t **out)
{
    skip(r, BLANKS);
    char c = r->at < r->text.len ? r->text.ptr[r->at] : '\0';
    if (c != '{' && c != '[')
        return wrong(r, "no JSON object follows");
    size_t len = value_len(rest(r));
    if (len == 0)
        return wrong(r, "its JSON does not end, or is nested too deeply");
    enum err_code code = parse(r, str_slice(r->text, r->at, r->at + len), out);
    r->at += len;
    return code;
}

/* --- one call -------------------------------------------------------------------------------------------------------- */

/* Arguments as an object. Models that were shown arguments as a string write one. */
static enum err_code read_arguments(struct reader *r, json_t *written, json_t **arguments)
{
    enum err_code code = ERR_OK;
    struct str text = str_trim(json_str(written));
    bool none = !written || json_is_null(written) || (json_is_string(written) && text.len == 0);
    if (none)
        *arguments = json_object();
    else if (!json_is_string(written))
        *arguments = json_incref(written);
    else if (text.ptr[0] != '{' || value_len(text) != text.len)
        return wrong(r, "its arguments are a string that holds no JSON object");
    else
        code = parse(r, text, arguments);
    if (code || json_is_object(*arguments))
        return code;
    json_decref(*arguments);
    return wrong(r, "its arguments are not an object");
}

/* Takes arguments over. */
static enum err_code add_call(struct reader *r, struct str name, json_t *arguments)
{
    enum err_code code = ERR_OK;
    if (name.len == 0 || name.len > NAME_BYTES_MAX || !utf8_valid(name))
        code = wrong(r, "its function has no usable name");
    else if (json_array_size(r->calls) == CALLS_MAX)
        code = wrong(r, "so many calls are more than one reply may hold");
    if (code) {
        json_decref(arguments);
        return code;
    }
    json_t *call = json_object();
    json_object_set_new(call, "name", json_stringn(name.ptr, name.len));
    json_object_set_new(call, "arguments", arguments);
    json_array_append_new(r->calls, call);
    return ERR_OK;
}

/* Where a call's name and arguments are in an object: in itself, or in its "function". */
static void find_parts(json_t *object, json_t **name, json_t **arguments)
{
    json_t *function = json_object_get(object, "function");
    json_t *inner = json_is_object(function) ? function : object;
    *name = json_object_get(inner, "name");
    if (!*name && json_is_string(function))
        *name = function;
    *arguments = json_object_get(inner, "arguments");
    if (!*arguments)
        *arguments = json_object_get(inner, "parameters");
}

static enum err_code read_object(struct reader *r, json_t *object)
{
    json_t *name, *written, *arguments = NULL;
    find_parts(object, &name, &written);
    if (!json_is_object(object))
        return wrong(r, "it is not an object");
    if (!json_is_string(name))
        return wrong(r, "it has no \"name\"");
    enum err_code code = read_arguments(r, written, &arguments);
    return code ? code : add_call(r, str_trim(json_str(name)), arguments);
}

/* One object, or a list of them. */
static enum err_code read_objects(struct reader *r, json_t *value)
{
    enum err_code code = json_is_array(value) ? ERR_OK : read_object(r, value);
    for (size_t i = 0; i < json_array_size(value) && !code; i++)
        code = read_object(r, json_array_get(value, i));
    return code;
}

static enum err_code take_objects(struct reader *r)
{
    json_t *value = NULL;
    enum err_code code = take_value(r, &value);
    if (!code)
        code = read_objects(r, value);
    json_decref(value);
    return code;
}

/* What stands here as the arguments of name. */
static enum err_code take_arguments(struct reader *r, struct str name)
{
    json_t *value = NULL, *arguments = NULL;
    enum err_code code = take_value(r, &value);
    if (!code)
        code = read_arguments(r, value, &arguments);
    json_decref(value);
    return code ? code : add_call(r, name, arguments);
}

/* --- the styles --------------------------------------------------------------------------------------------------------- */

/* What a code tool gets that is called with text instead of JSON. */
static enum err_code take_code(struct reader *r, struct str name)
{
    struct str code = str_trim(rest(r));
    r->at = r->text.len;
    if (code.len == 0)
        return wrong(r, "nothing follows its marker");
    json_t *text = json_stringn(code.ptr, code.len), *arguments = json_object();
    if (!text) {
        json_decref(arguments);
        return wrong(r, "its code is not UTF-8");
    }
    json_object_set_new(arguments, "code", text);
    return add_call(r, name, arguments);
}

/* Whether a text that is JSON so far would be a call: its first key is one that calls begin with. */
static bool looks_like_call(struct str text)
{
    static const char *const keys[] = { "\"name\"", "\"function\"", "\"type\"" };
    if (!str_starts(text, STR("{")))
        return false;
    text = str_trim_start(str_slice(text, 1, text.len));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (str_starts(text, str_from(keys[i])))
            return true;
    return false;
}

/* Objects without a marker, as the whole reply. Objects that are no calls leave r->calls empty. */
static enum err_code read_bare(struct reader *r)
{
    skip(r, BLANKS);
    if (!looks_like_call(rest(r)))
        return ERR_OK;
    do {
        json_t *value = NULL, *name = NULL, *arguments = NULL;
        enum err_code code = take_value(r, &value);
        if (!code)
            find_parts(value, &name, &arguments);
        bool call = json_is_string(name) && arguments;
        if (!code && call)
            code = read_object(r, value);
        json_decref(value);
        if (!code && !call && json_array_size(r->calls))
            code = wrong(r, "it has no name or no arguments");
        if (code || !call)
            return code;
        skip(r, SEPARATORS);
    } while (r->at < r->text.len);
    return ERR_OK;
}

static enum err_code read_tagged(struct reader *r)
{
    struct str open = reply_marker_text(r->f, MARK_CALL_OPEN),
               close = reply_marker_text(r->f, MARK_CALL_CLOSE);
    if (str_find(r->text, open) == SIZE_MAX)
        return read_bare(r);
    while (find_marker(r, open)) {
        enum err_code code;
        do { /* some write several between two markers */
            code = take_objects(r);
            skip(r, SEPARATORS);
        } while (!code && str_starts(rest(r), STR("{")));
        if (code)
            return code;
        if (!skip_marker(r, close) && r->at < r->text.len && !str_starts(rest(r), open))
            return wrong(r, "something follows its object");
    }
    return ERR_OK;
}

/* name[CALL_ID]x[ARGS]{...}, the markers may be missing. */
static enum err_code take_named(struct reader *r)
{
    struct str text = rest(r);
    size_t len = 0;
    while (len < text.len && text.ptr[len] != '[' && text.ptr[len] != '{')
        len++;
    r->at += len;
    if (skip_marker(r, STR("[CALL_ID]")) && str_find(rest(r), STR("[ARGS]")) == SIZE_MAX)
        return wrong(r, "nothing follows its id");
    if (!str_starts(rest(r), STR("{")) && !find_marker(r, STR("[ARGS]")))
        return wrong(r, "it has no arguments");
    return take_arguments(r, str_trim(str_slice(text, 0, len)));
}

static enum err_code read_mistral(struct reader *r)
{
    while (find_marker(r, reply_marker_text(r->f, MARK_CALL_OPEN))) {
        skip(r, BLANKS);
        bool objects = r->at < r->text.len && (r->text.ptr[r->at] == '[' || r->text.ptr[r->at] == '{');
        enum err_code code = objects ? take_objects(r) : take_named(r);
        if (code)
            return code;
    }
    return ERR_OK;
}

static enum err_code read_harmony(struct reader *r)
{
    while (r->at < r->text.len) {
        size_t from = r->at;
        if (!find_marker(r, STR("<|message|>")))
            break;
        struct str header = str_slice(r->text, from, r->at);
        size_t to = str_find(header, STR("to="));
        if (to == SIZE_MAX)
            continue;
        struct str name = str_slice(header, to + 3, header.len);
        size_t len = 0;
        while (len < name.len && name.ptr[len] != ' ' && name.ptr[len] != '<')
            len++;
        name = str_slice(name, 0, len);
        bool function = str_starts(name, STR("functions."));
        if (function)
            name = str_slice(name, sizeof "functions." - 1, name.len);
        skip(r, BLANKS);
        bool code_tool = !function && !str_starts(rest(r), STR("{"));
        enum err_code code = code_tool ? take_code(r, name) : take_arguments(r, name);
        if (code)
            return code;
    }
    return ERR_OK;
}

/* --- llama: name.call(a="b", ...) and code ------------------------------------------------------------------------ */

static size_t word_len(struct str s)
{
    size_t len = 0;
    while (len < s.len &&
           ((s.ptr[len] >= 'a' && s.ptr[len] <= 'z') || (s.ptr[len] >= 'A' && s.ptr[len] <= 'Z') ||
            (s.ptr[len] >= '0' && s.ptr[len] <= '9') || s.ptr[len] == '_'))
        len++;
    return len;
}

/* A string literal in double quotes, escapes as in JSON. */
static json_t *take_literal(struct reader *r)
{
    struct str text = rest(r);
    size_t len = 1;
    if (!str_starts(text, STR("\"")))
        return NULL;
    while (len < text.len && text.ptr[len] != '"')
        len += text.ptr[len] == '\\' ? 2 : 1;
    json_t *literal = len < text.len ? json_loadb(text.ptr, len + 1, JSON_DECODE_ANY, NULL) : NULL;
    r->at += len + 1;
    return literal;
}

/* False: it is not of this form; r is where it was. */
static bool take_builtin(struct reader *r)
{
    struct reader try = *r;
    struct str name = str_slice(rest(&try), 0, word_len(rest(&try)));
    json_t *arguments = json_object();
    try.at += name.len;
    bool good = name.len && skip_marker(&try, STR(".call("));
    while (good && !skip_marker(&try, STR(")"))) {
        struct str key = str_slice(rest(&try), 0, word_len(rest(&try)));
        try.at += key.len;
        json_t *value = key.len && skip_marker(&try, STR("=")) ? take_literal(&try) : NULL;
        char *keyed = mem_strndup(key.ptr, key.len);
        good = value && json_object_set_new(arguments, keyed, value) == 0;
        mem_free(keyed);
        skip(&try, BLANKS ",");
    }
    skip(&try, BLANKS);
    good = good && try.at == try.text.len;
    if (!good) {
        json_decref(arguments);
        return false;
    }
    r->at = try.at;
    return add_call(r, name, arguments) == ERR_OK;
}

static enum err_code read_llama(struct reader *r)
{
    if (!find_marker(r, reply_marker_text(r->f, MARK_CALL_OPEN)))
        return read_bare(r);
    skip(r, BLANKS);
    size_t at = r->at;
    enum err_code code = read_bare(r);
    if (code || json_array_size(r->calls))
        return code;
    r->at = at;
    return take_builtin(r) ? ERR_OK : take_code(r, STR("python"));
}

/* --- all of them ------------------------------------------------------------------------------------------------------ */

static enum err_code (*const styles[])(struct reader *r) = {
    [CALLS_TAGGED] = read_tagged,
    [CALLS_MISTRAL] = read_mistral,
    [CALLS_LLAMA] = read_llama,
    [CALLS_HARMONY] = read_harmony,
};

enum err_code reply_calls(const struct reply_format *f, struct str text, json_t **calls, struct err *err)
{
    *calls = NULL;
    if (!f->calls)
        return ERR_OK;
    if (text.len > CALL_BYTES_MAX)
        return err_set(err, ERR_INVALID_VALUE, NULL,
                       "A reply of %zu bytes is too long to be searched for tool calls.", text.len);
    struct reader r = { .f = f, .text = text, .calls = json_array(), .err = err };
    enum err_code code = styles[f->calls->calls](&r);
    if (code || json_array_size(r.calls) == 0)
        json_decref(r.calls);
    else
        *calls = r.calls;
    return code;
}

/* How much of marker the end of text may be the beginning of. */
static size_t pending(struct str text, struct str marker)
{
    size_t len = marker.len && marker.len - 1 < text.len ? marker.len - 1 : text.len;
    while (len && !str_ends(text, str_slice(marker, 0, len)))
        len--;
    return marker.len ? len : 0;
}

size_t reply_call_start(const struct reply_format *f, struct str text)
{
    if (!f->calls)
        return text.len;
    struct str open = reply_marker_text(f, MARK_CALL_OPEN);
    size_t at = open.len ? str_find(text, open) : SIZE_MAX;
    size_t blanks = text.len - str_trim_start(text).len;
    bool bare = f->calls->calls == CALLS_LLAMA || f->calls->calls == CALLS_TAGGED;
    if (bare && blanks < text.len && text.ptr[blanks] == '{')
        at = blanks;
    return at != SIZE_MAX ? at : text.len - pending(text, open);
}
