/*
 * compact.c - POST /v1/responses/compact, context_management, and what a compaction item says when it comes back.
 *
 * Nothing is summarised: a small model's summary loses what the next turn needs, and costs a generation. Compacting here sorts
 * the items of a window, by rule alone:
 *
 *     kept as they are      system and developer messages, configuration updates, the last user message; what followed it, if
 *                           that fits; then user messages, newest first, while they fit in 1/KEEP_SHARE of the model's window
 *     sealed                everything else, whole, with its place among the kept ones, in one item behind them
 *
 * When the output comes back as input, compaction_expand puts the sealed items where they stood, the newest of them that
 * come to at most 1/OPEN_SHARE of the window; the older ones are left out, tool calls together with their outputs. So nothing is
 * lost while it fits, and a window that was full has room again: a quarter at most for what was kept, half for what was
 * sealed, the rest for what comes. A window that is compacted again is opened first, so seals never nest and what was left out
 * of one request is still there for a larger model.
 *
 * A request with context_management whose prompt is longer than its threshold is compacted by itself: the newest turns are
 * sealed in an item that stands for everything before it and is the first of the output; older ones leave this window, and
 * stay with the responses that they came from. Half of the threshold is the bound, so that the next turns do not compact again.
 * A request whose input ends in a compaction_trigger is compacted so too, and that item is its whole answer.
 *
 * Tokens are counted once, when an item is sealed, and stand beside it in the seal.
 *
 * Threads: http's workers.
 */
#include "api/api_impl.h"

#include "base/clock.h"
#include "base/rng.h"

#include <assert.h>
#include <stdio.h>

#define KEEP_SHARE   4
#define OPEN_SHARE   2
#define OTHER_TOKENS 64 /* stands for a part without text: the model reads a note in its place */
#define KIND         "compaction"
#define SETTINGS     "configuration_update"

/* --- tokens of an item ------------------------------------------------------------------------------------ */

/* A text that is longer than the context is counted in halves; where a word is cut, one token more is counted. */
static int64_t count_text(const struct engine *e, struct str text)
{
    struct engine_prompt *prompt = NULL;
    struct err err = { 0 };
    if (!text.len)
        return 0;
    if (!engine_prompt_open_text(&prompt, e, text, false, &err)) {
        int64_t tokens = engine_prompt_tokens(prompt);
        engine_prompt_unref(prompt);
        return tokens;
    }
    size_t half = utf8_whole_len(str_slice(text, 0, text.len / 2));
    if (err.code != ERR_CONTEXT_LENGTH || !half)
        return 1; /* what cannot be a prompt is no reason to refuse: it is refused when it is asked */
    return count_text(e, str_slice(text, 0, half)) + count_text(e, str_slice(text, half, text.len));
}

/* Members whose strings no model reads. */
static bool is_unread(const char *key)
{
    static const char *const keys[] = { "id",      "type",      "role",
                                        "status",  "phase",     "encrypted_content",
                                        "call_id", "image_url", "file_data",
                                        "file_id", "file_url",  "detail" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (str_is(str_from(key), keys[i]))
            return true;
    return false;
}

static int64_t count_value(const struct engine *e, const json_t *v)
{
    int64_t tokens = 0;
    const char *key;
    json_t *member;
    if (json_is_string(v))
        return count_text(e, json_str(v));
    for (size_t i = 0; i < json_array_size(v); i++)
        tokens += count_value(e, json_array_get(v, i));
    json_object_foreach((json_t *)v, key, member)
    {
        if (!is_unread(key))
            tokens += count_value(e, member);
        else if (str_ends(str_from(key), STR("_url")) || str_starts(str_from(key), STR("file_")))
            tokens += OTHER_TOKENS;
    }
    return tokens;
}

/* Of the tier that was asked for and the model that is loaded, the smaller one. */
static int64_t window_of(const struct turn *t)
{
    int64_t held = engine_info(conductor_engine(t->api->conductor))->context;
    return held < t->tier->context_window ? held : t->tier->context_window;
}

/* --- sorting -------------------------------------------------------------------------------------------------- */

struct sorted {
    struct turn *turn; /* for its model, arena and engine */
    json_t *items;     /* the window, opened */
    size_t n;
    int64_t *tokens; /* [n] */
    bool *kept;      /* [n] */
    bool *out;       /* [n], neither kept nor sealed; NULL: none */
    int64_t room;    /* tokens that may still be kept */
};

static struct str member(const json_t *item, const char *key)
{
    return json_str(json_object_get(item, key));
}

static bool has_role(const json_t *item, const char *role)
{
    const json_t *type = json_object_get(item, "type");
    return (!type || str_is(json_str(type), "message")) && str_is(member(item, "role"), role);
}

/* What every later request needs however old it is. */
static bool is_lasting(const json_t *item)
{
    return has_role(item, "system") || has_role(item, "developer") || str_is(member(item, "type"), SETTINGS);
}

static void keep(struct sorted *s, size_t i)
{
    s->kept[i] = true;
    s->room -= s->tokens[i];
}

/* A turn is kept whole or not at all, so that no call is parted from its output. */
static void keep_rest(struct sorted *s, size_t from)
{
    int64_t tokens = 0;
    bool all = true;
    for (size_t i = from; i < s->n; i++) {
        tokens += s->kept[i] ? 0 : s->tokens[i];
        all &=
            !str_is(member(json_array_get(s->items, i), "type"), "item_reference"); /* no item of a reply */
    }
    for (size_t i = from; i < s->n && all && tokens <= s->room; i++)
        s->kept[i] = true;
    if (all && tokens <= s->room)
        s->room -= tokens;
}

static void sort_items(struct sorted *s)
{
    size_t last = s->n; /* the last user message */
    for (size_t i = 0; i < s->n; i++) {
        const json_t *item = json_array_get(s->items, i);
        if (is_lasting(item))
            keep(s, i);
        if (has_role(item, "user"))
            last = i;
    }
    if (last < s->n) {
        keep(s, last);
        keep_rest(s, last);
    }
    for (size_t i = last < s->n ? last : 0; i-- > 0;) {
        if (!has_role(json_array_get(s->items, i), "user"))
            continue;
        if (s->tokens[i] > s->room)
            break; /* none older either: a window with a hole would mislead */
        keep(s, i);
    }
}

/* --- items as a reply shows them -------------------------------------------------------------------------------- */

static void set_id(json_t *item, const char *prefix)
{
    char id[ID_SIZE];
    id_make(id, prefix);
    if (!json_is_string(json_object_get(item, "id")))
        json_object_set_new(item, "id", json_string(id));
}

static json_t *text_part(struct str text, bool output)
{
    json_t *part = json_object();
    json_object_set_new(part, "type", json_string(output ? "output_text" : "input_text"));
    json_object_set_new(part, "text", json_stringn(text.len ? text.ptr : "", text.len));
    return part;
}

static json_t *shown_content(const json_t *content, bool output)
{
    json_t *parts = json_is_array(content) ? json_deep_copy(content) : json_array();
    if (json_is_string(content))
        json_array_append_new(parts, text_part(json_str(content), output));
    for (size_t i = 0; i < json_array_size(parts); i++) {
        json_t *part = json_array_get(parts, i);
        if (str_is(member(part, "type"), "output_text") && !json_object_get(part, "annotations"))
            json_object_set_new(part, "annotations", json_array());
    }
    return parts;
}

static const char *id_prefix(struct str type)
{
    static const struct {
        const char *type, *prefix;
    } rows[] = { { "message", "msg_" },          { "reasoning", "rs_" },
                 { "function_call", "fc_" },     { "function_call_output", "fco_" },
                 { "custom_tool_call", "ctc_" }, { SETTINGS, "cfgu_" } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_is(type, rows[i].type))
            return rows[i].prefix;
    return "item_";
}

/* The full form of an item, whatever short form it was sent in. */
static json_t *shown_item(const json_t *item)
{
    json_t *out = json_copy((json_t *)item);
    if (!json_is_string(json_object_get(out, "type")))
        json_object_set_new(out, "type", json_string("message"));
    struct str type = member(out, "type");
    set_id(out, id_prefix(type));
    if (!json_is_string(json_object_get(out, "status")) && !str_is(type, SETTINGS))
        json_object_set_new(out, "status", json_string("completed"));
    if (str_is(type, "message"))
        json_object_set_new(out, "content",
                            shown_content(json_object_get(out, "content"), has_role(out, "assistant")));
    return out;
}

/* --- the seal --------------------------------------------------------------------------------------------------- */

/* {"items": [[number of kept items before it, tokens, item], ...], "kept": K}; "all": true where it stands for everything
 * before it, and what was left out is gone. */
static void put_sealed(struct buf *out, const struct sorted *s)
{
    struct json_writer w = { .out = out };
    int64_t kept = 0;
    jw_begin_object(&w);
    jw_key(&w, "items");
    jw_begin_array(&w);
    for (size_t i = 0; i < s->n; i++) {
        kept += s->kept[i];
        if (s->kept[i] || (s->out && s->out[i]))
            continue;
        jw_begin_array(&w);
        jw_int(&w, kept);
        jw_int(&w, s->tokens[i]);
        jw_value(&w, json_array_get(s->items, i));
        jw_end_array(&w);
    }
    jw_end_array(&w);
    jw_key_int(&w, "kept", kept);
    if (s->out) {
        jw_key_bool(&w, "all", true);
    }
    jw_end_object(&w);
}

static enum err_code compaction_item(json_t **out, const struct sorted *s, struct err *err)
{
    struct buf plain = { 0 }, token = { 0 };
    put_sealed(&plain, s);
    bool ok = seal_put(s->turn->api->seal, str_from(s->turn->owner.id), KIND, buf_str(&plain), &token);
    if (ok) {
        *out = json_object();
        json_object_set_new(*out, "type", json_string(KIND));
        set_id(*out, "cmp_");
        json_object_set_new(*out, "status", json_string("completed"));
        json_object_set_new(*out, "encrypted_content", json_stringn(token.ptr, token.len));
    } else {
        err_set(err, ERR_TOO_LARGE, "input",
                "The items to be compacted come to %zu bytes, and a compaction item holds at most %d. Leave "
                "images and "
                "files out of the input, or compact earlier.",
                plain.len, SEAL_PLAIN_MAX);
    }
    buf_free(&plain);
    buf_free(&token);
    return ok ? ERR_OK : ERR_TOO_LARGE;
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

static enum err_code read_sealed(json_t **out, const struct api *a, struct str owner, const json_t *item,
                                 const char *path, struct arena *arena, struct err *err)
{
    const char *param = arena_printf(arena, "%s.encrypted_content", path);
    const json_t *token = json_object_get(item, "encrypted_content");
    struct buf plain = { 0 };
    enum err_code code;
    if (!token || json_is_null(token))
        code = field_missing_error(err, param);
    else if (!json_is_string(token))
        code = field_type_error(err, param, "a string", token);
    else
        code = seal_get(a->seal, owner, KIND, json_str(token), param, &plain, err);
    if (!code)
        code = json_read(out, buf_str(&plain), err); /* ours, but perhaps of another version */
    if (!code && !json_is_array(json_object_get(*out, "items"))) {
        json_decref(*out);
        *out = NULL;
        code = err_set(err, ERR_ENCRYPTED_CONTENT, param,
                       "The compaction item was made by another version of thinkd.");
    }
    buf_free(&plain);
    return code;
}

enum err_code compaction_check(const struct api *a, struct str owner, const json_t *item, const char *path,
                               struct arena *arena, struct err *err)
{
    json_t *sealed = NULL;
    enum err_code code = read_sealed(&sealed, a, owner, item, path, arena, err);
    json_decref(sealed);
    return code;
}

static bool calls(const json_t *entries, size_t n, struct str call_id)
{
    for (size_t i = 0; i < n && call_id.len; i++)
        if (str_eq(member(json_array_get(json_array_get(entries, i), 2), "call_id"), call_id))
            return true;
    return false;
}

/* The first of the sealed items that is put back: from there to the end they come to at most *room tokens. */
static size_t first_that_fits(const json_t *entries, int64_t *room)
{
    size_t i = json_array_size(entries);
    for (; i > 0; i--) {
        int64_t tokens = json_integer_value(json_array_get(json_array_get(entries, i - 1), 1));
        if (tokens > *room)
            break;
        *room -= tokens;
    }
    return i;
}

/* Puts the sealed items among the kept ones, which are the last of out. A client that took some of those out of the input moves
 * the rest closer together, and the order stays. */
static void put_back(json_t *out, const json_t *sealed, int64_t *room)
{
    const json_t *entries = json_object_get(sealed, "items");
    int64_t kept = json_integer_value(json_object_get(sealed, "kept"));
    size_t have = json_array_size(out);
    size_t base = (uint64_t)kept < have ? have - (size_t)kept : 0;
    size_t first = first_that_fits(entries, room), put = 0;
    for (size_t i = first; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        json_t *item = json_array_get(entry, 2);
        size_t at = base + (size_t)json_integer_value(json_array_get(entry, 0)) + put;
        if (calls(entries, first, member(item, "call_id")))
            continue; /* an output whose call was left out */
        if (at > json_array_size(out))
            at = json_array_size(out);
        json_array_insert(out, at, item);
        put++;
    }
}

int64_t compaction_room(const struct turn *t)
{
    return window_of(t) / OPEN_SHARE;
}

enum err_code compaction_expand(json_t **out, const struct api *a, struct str owner, const json_t *input,
                                int64_t tokens_max, struct arena *arena, struct err *err)
{
    enum err_code code = ERR_OK;
    *out = json_array();
    for (size_t i = 0; i < json_array_size(input) && !code; i++) {
        json_t *item = json_array_get(input, i), *sealed = NULL;
        if (!str_is(member(item, "type"), KIND)) {
            json_array_append(*out, item);
            continue;
        }
        code = read_sealed(&sealed, a, owner, item, arena_printf(arena, "input[%zu]", i), arena, err);
        if (!code && json_is_true(json_object_get(sealed, "all"))) {
            int64_t room =
                INT64_MAX; /* its bound was kept when it was made, and the last turn goes beyond it */
            json_array_clear(*out);
            put_back(*out, sealed, &room);
        } else if (!code) {
            put_back(*out, sealed, &tokens_max);
        }
        json_decref(sealed);
    }
    if (code) {
        json_decref(*out);
        *out = NULL;
    }
    return code;
}

/* --- in a request ------------------------------------------------------------------------------------------------- */

static void count_items(struct sorted *s)
{
    const struct engine *e = conductor_engine(s->turn->api->conductor);
    s->n = json_array_size(s->items);
    s->tokens = arena_array(&s->turn->arena, s->n + 1, sizeof *s->tokens);
    s->kept = arena_array(&s->turn->arena, s->n + 1, sizeof *s->kept);
    for (size_t i = 0; i < s->n; i++) {
        const json_t *item = json_array_get(s->items, i);
        s->tokens[i] = str_is(member(item, "type"), SETTINGS) ? 0 : count_value(e, item);
    }
}

/* From the oldest user message on from which everything fits; from the last one on in any case. */
static size_t first_turn(const struct sorted *s)
{
    size_t first = s->n;
    int64_t tokens = 0;
    for (size_t i = s->n; i-- > 0;) {
        tokens += s->tokens[i];
        if (first < s->n && tokens > s->room)
            break;
        if (has_role(json_array_get(s->items, i), "user"))
            first = i;
    }
    return first < s->n ? first : 0;
}

enum err_code compaction_make(struct turn *t, const json_t *items, json_t **window, struct err *err)
{
    struct sorted s = { .turn = t };
    json_t *item = NULL;
    int64_t tokens, room = compaction_room(t);
    *window = NULL;
    enum err_code code = t->compacts ? ERR_OK : turn_measure(t, &tokens, err);
    if (code || (!t->compacts && tokens <= t->compact_above))
        return code;
    code = compaction_expand(&s.items, t->api, str_from(t->owner.id), items, INT64_MAX, &t->arena, err);
    if (code)
        return code;
    count_items(&s);
    s.room = t->compact_above && t->compact_above / 2 < room ? t->compact_above / 2 : room;
    s.out = arena_array(&t->arena, s.n + 1, sizeof *s.out);
    size_t first = first_turn(&s);
    for (size_t i = 0; i < first; i++) {
        s.out[i] = !is_lasting(json_array_get(s.items, i));
    }
    code = compaction_item(&item, &s, err);
    if (!code) {
        t->compaction = arena_str(&t->arena, member(item, "encrypted_content"));
        *window = json_pack("[o]", item);
    }
    json_decref(s.items);
    return code;
}

/* --- the endpoint --------------------------------------------------------------------------------------------------- */

static const char *const retentions[] = { "in_memory", "24h", NULL };

struct compact_body {
    struct field_string model, previous_response_id, instructions, prompt_cache_key;
    struct field_json input;
    struct field_enum prompt_cache_retention, service_tier;
};
static const struct field compact_rows[] = {
    { FIELD_ROW(STRING, compact_body, model), .required = true },
    { FIELD_ROW(ANY, compact_body, input) }, /* required, but for a previous response */
    { FIELD_ROW(STRING, compact_body, previous_response_id) },
    { FIELD_ROW(STRING, compact_body, instructions) },
    { FIELD_ROW(STRING, compact_body, prompt_cache_key), .max = LABEL_CHARS_MAX },
    { FIELD_ROW(ENUM, compact_body, prompt_cache_retention), .values = retentions },
    { FIELD_ROW(ENUM, compact_body, service_tier), .values = service_tiers },
    FIELD_DROP("prompt_cache_options"),
};
const struct field_table compact_tables[] = {
    { "compact", compact_rows, ARRAY_LEN(compact_rows) },
    { NULL, NULL, 0 },
};

static const struct turn_kind compact_kind = { .path = "v1/responses/compact",
                                               .endpoint = ENDPOINT_RESPONSES,
                                               .input_param = "input" };

/* The caller's items, checked as create checks them. */
static enum err_code add_input(struct sorted *s, const json_t *input, struct err *err)
{
    json_t *list = json_array(), *opened = NULL;
    if (json_is_string(input)) {
        json_t *message = json_object();
        json_object_set_new(message, "role", json_string("user"));
        json_object_set(message, "content", (json_t *)input);
        json_array_append_new(list, message);
    } else {
        json_array_extend(list, (json_t *)input);
    }
    enum err_code code = ERR_OK;
    if (input && !json_is_string(input) && !json_is_array(input))
        code = field_type_error(err, "input", "a string or an array of items", input);
    if (!code)
        code = compaction_expand(&opened, s->turn->api, str_from(s->turn->owner.id), list, INT64_MAX,
                                 &s->turn->arena, err);
    if (!code && input)
        code = messages_from_input(s->turn, opened, err);
    if (!code)
        json_array_extend(s->items, opened);
    json_decref(opened);
    json_decref(list);
    return code;
}

static enum err_code gather(struct sorted *s, const struct call *c, const struct compact_body *b,
                            struct err *err)
{
    s->turn->previous = b->previous_response_id.value;
    if (!b->input.set && !s->turn->previous.len)
        return field_missing_error(err, "input");
    enum err_code code = turn_set_model(s->turn, b->model.value, false, err);
    json_t *chain = json_array(), *opened = NULL;
    if (!code && s->turn->previous.len)
        code = history_items(c->api, &c->owner, s->turn->previous, chain, &s->turn->arena, err);
    if (!code)
        code =
            compaction_expand(&opened, c->api, str_from(c->owner.id), chain, INT64_MAX, &s->turn->arena, err);
    if (!code) {
        json_array_extend(s->items, opened);
        messages_note_calls(s->turn, opened);
        code = add_input(s, b->input.value, err);
    }
    json_decref(opened);
    json_decref(chain);
    return code;
}

/* The next request carries the instructions again, so their room is not the items'. */
static int64_t measure(struct sorted *s, struct str instructions)
{
    const struct engine *e = conductor_engine(s->turn->api->conductor);
    int64_t own = count_text(e, instructions), tokens = own;
    count_items(s);
    for (size_t i = 0; i < s->n; i++)
        tokens += s->tokens[i];
    s->room = window_of(s->turn) / KEEP_SHARE - own;
    return tokens;
}

static void put_usage(struct json_writer *w, int64_t input)
{
    jw_key(w, "usage");
    jw_begin_object(w);
    jw_key_int(w, "input_tokens", input);
    jw_key_raw(w, "input_tokens_details", STR("{\"cached_tokens\":0,\"cache_write_tokens\":0}"));
    jw_key_int(w, "output_tokens", 0);
    jw_key_raw(w, "output_tokens_details", STR("{\"reasoning_tokens\":0}"));
    jw_key_int(w, "total_tokens", input);
    jw_end_object(w);
}

static void put_compaction(struct buf *out, const struct sorted *s, const json_t *sealed, int64_t tokens)
{
    struct json_writer w = { .out = out };
    char id[ID_SIZE];
    id_make(id, "resp_");
    jw_begin_object(&w);
    jw_key_cstring(&w, "id", id);
    jw_key_cstring(&w, "object", "response.compaction");
    jw_key_int(&w, "created_at", clock_wall_s());
    jw_key(&w, "output");
    jw_begin_array(&w);
    for (size_t i = 0; i < s->n; i++) {
        json_t *item = s->kept[i] ? shown_item(json_array_get(s->items, i)) : NULL;
        if (item)
            jw_value(&w, item);
        json_decref(item);
    }
    jw_value(&w, sealed);
    jw_end_array(&w);
    put_usage(&w, tokens);
    jw_end_object(&w);
}

static enum err_code compact(struct sorted *s, const struct call *c, struct buf *out, struct err *err)
{
    struct compact_body b = { 0 };
    json_t *sealed = NULL;
    enum err_code code = json_read(&s->turn->doc, http_body(c->x), err);
    if (!code)
        code =
            fields_decode(s->turn->doc, compact_rows, ARRAY_LEN(compact_rows), "", &b, &s->turn->arena, err);
    if (!code)
        code = gather(s, c, &b, err);
    if (code)
        return code;
    int64_t tokens = measure(s, b.instructions.value);
    sort_items(s);
    code = compaction_item(&sealed, s, err);
    if (!code)
        put_compaction(out, s, sealed, tokens);
    json_decref(sealed);
    return code;
}

void responses_compact(const struct call *c)
{
    struct turn t = {
        .api = c->api, .x = c->x, .owner = c->owner, .kind = &compact_kind, .messages = json_array()
    };
    struct sorted s = { .turn = &t, .items = json_array() };
    struct buf body = { 0 };
    struct err err = { 0 };
    if (compact(&s, c, &body, &err))
        reply_error(c->x, &err);
    else
        reply_json(c->x, 200, &body);
    buf_free(&body);
    json_decref(s.items);
    json_decref(t.messages);
    json_decref(t.calls);
    json_decref(t.configured);
    json_decref(t.doc);
    arena_free(&t.arena);
}
