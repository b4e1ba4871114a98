/*
 * fold.c - the Response object that a row of events adds up to.
 *
 * The stored response is the fold of its events: response.created brings the object, output_item and part events let its
 * output grow, deltas let texts grow, a terminal event replaces the whole. So a response that still runs can be shown from
 * what is stored of it, and what a client has seen as a stream is what it fetches.
 *
 * What an event does is a row of a table; kinds without a row change nothing (the error event: response.failed comes
 * behind it). Status events of hosted tools ("response.web_search_call.searching") are known by their form.
 *
 * Invariant: whatever prefix of a stream was added, fold_response is a whole Response: every key that response.created
 * brought, output_text in step with the output. An event that does not fit is refused and changes nothing.
 *
 * A text that grows is kept in a buffer beside its JSON string and put into it when something else is touched: appending
 * to the string itself would copy the text once for each token.
 *
 * Ownership: an event is read here and belongs to nobody else, so what it brings is taken over, not copied.
 * Threads: one at a time.
 */
#include "api/api_impl.h"

#include <string.h>

struct fold {
    json_t *response; /* NULL before response.created */
    bool over;
    /* The string that grows: member `member` of `holder`, which is a part of the response. NULL: none does. */
    json_t *holder;
    const char *member;
    struct buf text;
};

struct fold *fold_open(void)
{
    return mem_zalloc(sizeof(struct fold));
}

void fold_close(struct fold *f)
{
    if (!f)
        return;
    json_decref(f->response);
    buf_free(&f->text);
    mem_free(f);
}

bool fold_over(const struct fold *f)
{
    return f->over;
}

static enum err_code refuse(struct err *err, const json_t *event, const char *why)
{
    return err_set(err, ERR_STORE, NULL, "The stored event %lld (%.*s) does not follow those before it: %s.",
                   (long long)json_integer_value(json_object_get(event, "sequence_number")),
                   STR_ARG(field_quoted(json_str(json_object_get(event, "type")))), why);
}

/* --- texts that grow ---------------------------------------------------------------------------------------- */

static void settle(struct fold *f)
{
    if (!f->holder)
        return;
    json_object_set_new(f->holder, f->member, json_stringn(f->text.len ? f->text.ptr : "", f->text.len));
    f->holder = NULL;
}

static void grow(struct fold *f, json_t *holder, const char *member, struct str delta)
{
    if (f->holder != holder || strcmp(f->member, member) != 0) {
        settle(f);
        buf_clear(&f->text);
        buf_put_str(&f->text, json_str(json_object_get(holder, member)));
        f->holder = holder;
        f->member = member;
    }
    buf_put_str(&f->text, delta);
}

/* --- places --------------------------------------------------------------------------------------------------- */

static json_t *output_of(const struct fold *f)
{
    return json_object_get(f->response, "output");
}

static size_t index_of(const json_t *event, const char *name)
{
    const json_t *v = json_object_get(event, name);
    return json_is_integer(v) && json_integer_value(v) >= 0 ? (size_t)json_integer_value(v) : SIZE_MAX;
}

static json_t *item_of(const struct fold *f, json_t *event)
{
    json_t *item = json_array_get(output_of(f), index_of(event, "output_index"));
    return json_is_object(item) ? item : NULL;
}

/* Where a text stands: in a list of an item's parts, or in the item itself. */
struct place {
    const char *list, *index; /* "content", "content_index"; NULL: a member of the item */
    const char *part_type;    /* of a part that no event announces; NULL: they are announced */
    const char *member;
};
enum place_name { IN_TEXT, IN_REFUSAL, IN_SUMMARY, IN_THOUGHT, IN_ARGUMENTS, IN_INPUT, IN_CODE };
static const struct place places[] = {
    [IN_TEXT] = { "content", "content_index", NULL, "text" },
    [IN_REFUSAL] = { "content", "content_index", NULL, "refusal" },
    [IN_SUMMARY] = { "summary", "summary_index", NULL, "text" },
    [IN_THOUGHT] = { "content", "content_index", "reasoning_text", "text" },
    [IN_ARGUMENTS] = { NULL, NULL, NULL, "arguments" },
    [IN_INPUT] = { NULL, NULL, NULL, "input" },
    [IN_CODE] = { NULL, NULL, NULL, "code" },
};

/* The list of an item's parts; one that grows for the first time is made. */
static json_t *parts_of(json_t *item, const char *name)
{
    json_t *list = json_object_get(item, name);
    if (!json_is_array(list)) {
        list = json_array();
        json_object_set_new(item, name, list);
    }
    return list;
}

static json_t *holder_of(json_t *item, const struct place *p, json_t *event)
{
    if (!item || !p->list)
        return item;
    json_t *list = parts_of(item, p->list);
    size_t i = index_of(event, p->index);
    if (p->part_type && i == json_array_size(list)) {
        json_t *part = json_object();
        json_object_set_new(part, "type", json_string(p->part_type));
        json_object_set_new(part, p->member, json_string(""));
        json_array_append_new(list, part);
    }
    json_t *part = json_array_get(list, i);
    return json_is_object(part) ? part : NULL;
}

/* --- what events do ------------------------------------------------------------------------------------------- */

struct event_rule;
typedef enum err_code event_do(struct fold *f, const struct event_rule *rule, json_t *event, struct err *err);
struct event_rule {
    const char *type;
    event_do *apply;
    enum place_name place;
    const char *from; /* the event's member that holds the text */
};

static void set_response(struct fold *f, json_t *response)
{
    f->holder = NULL;
    json_decref(f->response);
    f->response = json_incref(response);
}

static enum err_code do_created(struct fold *f, const struct event_rule *rule, json_t *event, struct err *err)
{
    json_t *response = json_object_get(event, "response");
    (void)rule;
    if (f->response)
        return refuse(err, event, "the response is there already");
    if (!json_is_array(json_object_get(response, "output")))
        return refuse(err, event, "it holds no response");
    set_response(f, response);
    return ERR_OK;
}

/* response.queued and response.in_progress tell what changed; items come from their own events. */
static enum err_code do_progress(struct fold *f, const struct event_rule *rule, json_t *event,
                                 struct err *err)
{
    const char *key;
    json_t *v, *response = json_object_get(event, "response");
    (void)rule;
    if (!json_is_object(response))
        return refuse(err, event, "it holds no response");
    json_object_foreach(response, key, v)
    {
        if (strcmp(key, "output") != 0 && strcmp(key, "output_text") != 0)
            json_object_set(f->response, key, v);
    }
    return ERR_OK;
}

static enum err_code do_end(struct fold *f, const struct event_rule *rule, json_t *event, struct err *err)
{
    json_t *response = json_object_get(event, "response");
    (void)rule;
    if (!json_is_array(json_object_get(response, "output")))
        return refuse(err, event, "it holds no response");
    set_response(f, response);
    f->over = true;
    return ERR_OK;
}

static enum err_code do_item_added(struct fold *f, const struct event_rule *rule, json_t *event,
                                   struct err *err)
{
    json_t *item = json_object_get(event, "item");
    (void)rule;
    if (!json_is_object(item) || index_of(event, "output_index") != json_array_size(output_of(f)))
        return refuse(err, event, "its item has another place");
    settle(f);
    json_array_append(output_of(f), item);
    return ERR_OK;
}

static enum err_code do_item_done(struct fold *f, const struct event_rule *rule, json_t *event,
                                  struct err *err)
{
    json_t *item = json_object_get(event, "item");
    (void)rule;
    if (!json_is_object(item) || !item_of(f, event))
        return refuse(err, event, "there is no such item");
    settle(f);
    json_array_set(output_of(f), index_of(event, "output_index"), item);
    return ERR_OK;
}

/* added: a part behind the last; done: in the place of the one that is there. */
static enum err_code do_part(struct fold *f, const struct event_rule *rule, json_t *event, struct err *err)
{
    const struct place *p = &places[rule->place];
    json_t *part = json_object_get(event, "part");
    json_t *item = item_of(f, event);
    if (!item || !json_is_object(part))
        return refuse(err, event, "there is no such item");
    json_t *list = parts_of(item, p->list);
    size_t i = index_of(event, p->index), n = json_array_size(list);
    if (i > n)
        return refuse(err, event, "its part has another place");
    settle(f);
    if (i == n)
        json_array_append(list, part);
    else
        json_array_set(list, i, part);
    return ERR_OK;
}

/* Tokens with their log-probabilities come with the text they belong to. */
static void add_logprobs(json_t *holder, json_t *event)
{
    json_t *tokens = json_object_get(event, "logprobs");
    json_t *kept = json_object_get(holder, "logprobs");
    for (size_t i = 0; json_is_array(kept) && i < json_array_size(tokens); i++)
        json_array_append(kept, json_array_get(tokens, i));
}

static enum err_code do_delta(struct fold *f, const struct event_rule *rule, json_t *event, struct err *err)
{
    const struct place *p = &places[rule->place];
    const json_t *delta = json_object_get(event, rule->from);
    json_t *holder = holder_of(item_of(f, event), p, event);
    if (!holder || !json_is_string(delta))
        return refuse(err, event, "there is no such text");
    grow(f, holder, p->member, json_str(delta));
    add_logprobs(holder, event);
    return ERR_OK;
}

static enum err_code do_text(struct fold *f, const struct event_rule *rule, json_t *event, struct err *err)
{
    const struct place *p = &places[rule->place];
    json_t *text = json_object_get(event, rule->from), *tokens = json_object_get(event, "logprobs");
    json_t *holder = holder_of(item_of(f, event), p, event);
    if (!holder || !json_is_string(text))
        return refuse(err, event, "there is no such text");
    settle(f);
    json_object_set(holder, p->member, text);
    if (json_is_array(tokens))
        json_object_set(holder, "logprobs", tokens);
    return ERR_OK;
}

static enum err_code do_annotation(struct fold *f, const struct event_rule *rule, json_t *event,
                                   struct err *err)
{
    json_t *annotation = json_object_get(event, "annotation");
    json_t *holder = holder_of(item_of(f, event), &places[rule->place], event);
    json_t *list = holder ? parts_of(holder, "annotations") : NULL;
    if (!annotation || index_of(event, "annotation_index") != json_array_size(list))
        return refuse(err, event, "its annotation has another place");
    json_array_append(list, annotation);
    return ERR_OK;
}

static const struct event_rule rules[] = {
    { "response.created", do_created, 0, NULL },
    { "response.queued", do_progress, 0, NULL },
    { "response.in_progress", do_progress, 0, NULL },
    { "response.completed", do_end, 0, NULL },
    { "response.incomplete", do_end, 0, NULL },
    { "response.failed", do_end, 0, NULL },
    { "response.output_item.added", do_item_added, 0, NULL },
    { "response.output_item.done", do_item_done, 0, NULL },
    { "response.content_part.added", do_part, IN_TEXT, NULL },
    { "response.content_part.done", do_part, IN_TEXT, NULL },
    { "response.reasoning_summary_part.added", do_part, IN_SUMMARY, NULL },
    { "response.reasoning_summary_part.done", do_part, IN_SUMMARY, NULL },
    { "response.output_text.delta", do_delta, IN_TEXT, "delta" },
    { "response.output_text.done", do_text, IN_TEXT, "text" },
    { "response.output_text.annotation.added", do_annotation, IN_TEXT, NULL },
    { "response.refusal.delta", do_delta, IN_REFUSAL, "delta" },
    { "response.refusal.done", do_text, IN_REFUSAL, "refusal" },
    { "response.reasoning_summary_text.delta", do_delta, IN_SUMMARY, "delta" },
    { "response.reasoning_summary_text.done", do_text, IN_SUMMARY, "text" },
    { "response.reasoning_text.delta", do_delta, IN_THOUGHT, "delta" },
    { "response.reasoning_text.done", do_text, IN_THOUGHT, "text" },
    { "response.reasoning.delta", do_delta, IN_THOUGHT, "delta" },
    { "response.reasoning.done", do_text, IN_THOUGHT, "text" },
    { "response.function_call_arguments.delta", do_delta, IN_ARGUMENTS, "delta" },
    { "response.function_call_arguments.done", do_text, IN_ARGUMENTS, "arguments" },
    { "response.mcp_call_arguments.delta", do_delta, IN_ARGUMENTS, "delta" },
    { "response.mcp_call_arguments.done", do_text, IN_ARGUMENTS, "arguments" },
    { "response.custom_tool_call_input.delta", do_delta, IN_INPUT, "delta" },
    { "response.custom_tool_call_input.done", do_text, IN_INPUT, "input" },
    { "response.code_interpreter_call_code.delta", do_delta, IN_CODE, "delta" },
    { "response.code_interpreter_call_code.done", do_text, IN_CODE, "code" },
};

/* "response.<type of the item>.<status>" */
static void set_tool_status(struct fold *f, struct str type, json_t *event)
{
    static const char *const statuses[] = { "in_progress",  "searching", "generating",
                                            "interpreting", "completed", "failed" };
    json_t *item = item_of(f, event);
    struct str name = json_str(json_object_get(item, "type"));
    size_t before = strlen("response.");
    if (!item || !str_eq(str_slice(type, before, before + name.len), name))
        return;
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (str_is(str_slice(type, before + name.len + 1, type.len), statuses[i]))
            json_object_set_new(item, "status", json_string(statuses[i]));
}

static enum err_code apply(struct fold *f, json_t *event, struct err *err)
{
    struct str type = json_str(json_object_get(event, "type"));
    if (f->over)
        return refuse(err, event, "the response is over");
    if (!f->response && !str_is(type, "response.created"))
        return refuse(err, event, "response.created comes first");
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (str_is(type, rules[i].type))
            return rules[i].apply(f, &rules[i], event, err);
    set_tool_status(f, type, event);
    return ERR_OK;
}

enum err_code fold_add(struct fold *f, struct str event, struct err *err)
{
    json_t *doc;
    enum err_code code = stored_json(&doc, event, STR("an event"), err);
    if (code)
        return code;
    code = apply(f, doc, err);
    json_decref(doc);
    return code;
}

/* The text of all messages, as clients build it. */
static void set_output_text(json_t *response)
{
    struct buf text = { 0 };
    const json_t *output = json_object_get(response, "output");
    for (size_t i = 0; i < json_array_size(output); i++) {
        const json_t *content = json_object_get(json_array_get(output, i), "content");
        for (size_t k = 0; k < json_array_size(content); k++) {
            const json_t *part = json_array_get(content, k);
            if (str_is(json_str(json_object_get(part, "type")), "output_text"))
                buf_put_str(&text, json_str(json_object_get(part, "text")));
        }
    }
    json_object_set_new(response, "output_text", json_stringn(text.len ? text.ptr : "", text.len));
    buf_free(&text);
}

json_t *fold_response(struct fold *f)
{
    settle(f);
    if (f->response && !f->over)
        set_output_text(f->response);
    return f->response;
}
