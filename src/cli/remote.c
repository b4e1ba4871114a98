/*
 * remote.c - asks a server that speaks the Responses API: POST /v1/responses with stream:true.
 *
 * Text comes from response.output_text.delta, thinking from the deltas of reasoning summaries (servers keep
 * the raw thought), everything else from the terminal event's Response object. A server that answers
 * a request for a stream with a plain Response object is understood too. What a server sends is foreign: missing and
 * mistyped members are read as absent.
 *
 * Threads: remote_ask from any; struct remote is read-only after open.
 */
#include "cli/cli_impl.h"

#include "base/clock.h"
#include "fetch/fetch.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct remote {
    struct buf base;          /* "http://127.0.0.1:8080" */
    struct buf authorization; /* "Authorization: Bearer ...", or empty */
};

void remote_base(struct buf *out, struct str url)
{
    while (str_ends(url, STR("/")))
        url.len--;
    if (str_ends(url, STR("/v1")))
        url.len -= strlen("/v1");
    buf_put_str(out, url);
}

enum err_code remote_open(struct remote **out, const struct config *cfg, struct err *err)
{
    const char *key = cfg->api_key ? cfg->api_key : getenv("OPENAI_API_KEY");
    for (const char *c = key; c && *c; c++)
        if (*c <= ' ' || *c > '~') /* a line break in it would begin another header */
            return err_set(err, ERR_CONFIG, "api_key",
                           "%s: the key holds a blank or a character that is not printable ASCII.",
                           cfg->api_key ? "--api-key" : "OPENAI_API_KEY");
    signal(SIGPIPE, SIG_IGN); /* a server that closes early is an error to report, not to die from */
    fetch_start();
    struct remote *r = mem_zalloc(sizeof *r);
    remote_base(&r->base, str_from(cfg->url));
    if (key && key[0])
        buf_printf(&r->authorization, "Authorization: Bearer %s", key);
    *out = r;
    return ERR_OK;
}

void remote_close(struct remote *r)
{
    if (!r)
        return;
    fetch_stop();
    buf_free(&r->base);
    buf_free(&r->authorization);
    mem_free(r);
}

/* --- reading foreign JSON ---------------------------------------------------------------------------- */

static struct str text_at(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_string(v) ? json_str(v) : (struct str){ 0 };
}

static int64_t int_at(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_integer(v) ? json_integer_value(v) : 0;
}

/* {"error":{"message":...}} of any server, or its status alone. */
static enum err_code server_error(int status, struct str body, struct err *err)
{
    json_t *v = NULL;
    struct str message = { 0 };
    if (!json_read(&v, body, NULL))
        message = text_at(json_object_get(v, "error"), "message");
    if (message.len)
        err_set(err, ERR_NETWORK, NULL, "%.*s", STR_ARG(message));
    else
        err_set(err, ERR_NETWORK, NULL, "The server answered with status %d.", status);
    json_decref(v);
    return ERR_NETWORK;
}

static void put_output_text(struct buf *out, const json_t *response)
{
    size_t i, k;
    json_t *item, *part;
    json_array_foreach(json_object_get(response, "output"), i, item)
    {
        if (!str_is(text_at(item, "type"), "message"))
            continue;
        json_array_foreach(json_object_get(item, "content"), k, part)
        {
            if (str_is(text_at(part, "type"), "output_text"))
                buf_put_str(out, text_at(part, "text"));
            else if (str_is(text_at(part, "type"), "refusal"))
                buf_put_str(out, text_at(part, "refusal"));
        }
    }
}

/* Calls stand behind the text, as models write them. */
static void put_output_calls(struct buf *out, const json_t *response)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(response, "output"), i, item)
    {
        struct json_writer w = { .out = out };
        if (!str_is(text_at(item, "type"), "function_call"))
            continue;
        buf_printf(out, "%s<tool_call>\n", out->len ? "\n" : "");
        jw_begin_object(&w);
        jw_key_string(&w, "name", text_at(item, "name"));
        jw_key_raw(&w, "arguments", text_at(item, "arguments"));
        jw_end_object(&w);
        buf_puts(out, "\n</tool_call>");
    }
}

static void read_usage(struct answer *a, const json_t *response)
{
    const json_t *usage = json_object_get(response, "usage");
    if (!json_is_object(usage))
        return;
    a->counted = true;
    a->input_tokens = int_at(usage, "input_tokens");
    a->cached_tokens = int_at(json_object_get(usage, "input_tokens_details"), "cached_tokens");
    a->output_tokens = int_at(usage, "output_tokens");
    a->reasoning_tokens = int_at(json_object_get(usage, "output_tokens_details"), "reasoning_tokens");
    const json_t *cost = json_object_get(json_object_get(response, "thinkd"), "cost");
    if (json_is_integer(json_object_get(cost, "total")))
        a->cost = int_at(cost, "total");
}

enum err_code remote_answer(struct answer *a, const json_t *response, struct err *err)
{
    struct str status = text_at(response, "status");
    struct str message = text_at(json_object_get(response, "error"), "message");
    struct str reason = text_at(json_object_get(response, "incomplete_details"), "reason");
    if (!str_is(text_at(response, "object"), "response"))
        return err_set(err, ERR_NETWORK, NULL, "The server's answer is no Response object.");
    if (str_is(status, "failed"))
        return err_set(err, ERR_NETWORK, NULL, "%.*s",
                       STR_ARG(message.len ? message : STR("The response failed.")));
    if (str_is(status, "cancelled")) {
        a->status = JOB_CANCELLED;
    } else if (str_is(status, "incomplete")) {
        a->status = JOB_INCOMPLETE;
        snprintf(a->incomplete, sizeof a->incomplete, "%.*s",
                 STR_ARG(reason.len ? reason : STR("unknown reason")));
    } else if (str_is(status, "completed")) {
        a->status = JOB_COMPLETED;
    } else {
        return err_set(err, ERR_NETWORK, NULL, "The server's answer ends with the status '%.*s'.",
                       STR_ARG(str_slice(status, 0, 32)));
    }
    if (a->text.len == 0)
        put_output_text(&a->text, response);
    put_output_calls(&a->text, response);
    read_usage(a, response);
    json_dump(&a->json, response);
    return ERR_OK;
}

/* --- the request ------------------------------------------------------------------------------------- */

static void put_said(struct json_writer *w, const char *role, struct str content)
{
    jw_begin_object(w);
    jw_key_cstring(w, "role", role);
    jw_key_string(w, "content", content);
    jw_end_object(w);
}

static void put_result(struct json_writer *w, const char *call_id, struct str output)
{
    jw_begin_object(w);
    jw_key_cstring(w, "type", "function_call_output");
    jw_key_cstring(w, "call_id", call_id);
    jw_key_string(w, "output", output);
    jw_end_object(w);
}

static void put_calls(struct json_writer *w, const json_t *calls)
{
    const json_t *call;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)calls, i, call)
    {
        jw_begin_object(w);
        jw_key_cstring(w, "type", "function_call");
        jw_key_cstring(w, "call_id", json_string_value(json_object_get(call, "id")));
        jw_key_cstring(w, "name", json_string_value(json_object_get(call, "name")));
        jw_key_cstring(w, "arguments", json_string_value(json_object_get(call, "arguments")));
        jw_end_object(w);
    }
}

static void put_message(struct json_writer *w, const json_t *message)
{
    const json_t *calls = json_object_get(message, "tool_calls"),
                 *call_id = json_object_get(message, "tool_call_id");
    if (call_id)
        put_result(w, json_string_value(call_id), text_at(message, "content"));
    else if (calls)
        put_calls(w, calls);
    else
        put_said(w, json_string_value(json_object_get(message, "role")), text_at(message, "content"));
}

/* The question alone, or behind the messages before it. */
static void put_input(struct json_writer *w, const struct ask *ask)
{
    const json_t *message;
    size_t i;
    if (!ask->earlier) {
        jw_string(w, ask->question);
        return;
    }
    jw_begin_array(w);
    json_array_foreach((json_t *)(uintptr_t)ask->earlier, i, message)
    {
        put_message(w, message);
    }
    if (ask->call_id)
        put_result(w, ask->call_id, ask->question);
    else
        put_said(w, "user", ask->question);
    jw_end_array(w);
}

/* The flat form: a function's members beside its type. */
static void put_tools(struct json_writer *w, const json_t *tools)
{
    const json_t *tool;
    json_t *member;
    const char *name;
    size_t i;
    jw_key(w, "tools");
    jw_begin_array(w);
    json_array_foreach((json_t *)(uintptr_t)tools, i, tool)
    {
        jw_begin_object(w);
        jw_key_cstring(w, "type", "function");
        json_object_foreach(json_object_get(tool, "function"), name, member)
        {
            jw_key_value(w, name, member);
        }
        jw_end_object(w);
    }
    jw_end_array(w);
}

void remote_body(struct buf *out, const struct ask *ask)
{
    struct json_writer w = { .out = out };
    jw_begin_object(&w);
    jw_key_cstring(&w, "model", ask->model);
    jw_key(&w, "input");
    put_input(&w, ask);
    if (ask->tools)
        put_tools(&w, ask->tools);
    if (ask->instructions) {
        jw_key_cstring(&w, "instructions", ask->instructions);
    }
    if (ask->effort.set || ask->thinking) {
        jw_key(&w, "reasoning");
        jw_begin_object(&w);
        if (ask->effort.set) {
            jw_key_cstring(&w, "effort", effort_names[ask->effort.value]);
        }
        if (ask->thinking) {
            jw_key_cstring(&w, "summary", "detailed");
        }
        jw_end_object(&w);
    }
    if (ask->output_tokens_max) {
        jw_key_int(&w, "max_output_tokens", ask->output_tokens_max);
    }
    if (ask->temperature.set) {
        jw_key_real(&w, "temperature", ask->temperature.value);
    }
    if (ask->seed.set) { /* no field of the first Responses API: sent only where it was asked for */
        jw_key_int(&w, "seed", (int64_t)ask->seed.value);
    }
    jw_key_bool(&w, "store", false);
    jw_key_bool(&w, "stream", true);
    jw_end_object(&w);
}

/* The stream as it is heard. */
struct listening {
    struct ask_sink sink;
    struct answer *answer;
    bool ended;   /* the terminal event, or an error, has come */
    bool stopped; /* the sink has had enough */
    enum err_code code;
    struct err *err;
};

static void on_error(struct listening *l, const json_t *event)
{
    const json_t *error = json_object_get(event, "error");
    struct str message = text_at(json_is_object(error) ? error : event, "message");
    l->ended = true;
    l->code =
        err_set(l->err, ERR_NETWORK, NULL, "%.*s",
                STR_ARG(message.len ? message : STR("The server reported an error without a message.")));
}

static void on_delta(struct listening *l, bool thought, struct str piece)
{
    if (!thought)
        buf_put_str(&l->answer->text, piece);
    if (l->sink.put && piece.len && !l->sink.put(l->sink.ctx, thought, piece))
        l->stopped = true;
}

/* The final object. Text that no delta brought is the sink's in one piece. */
static enum err_code finish(struct listening *l, const json_t *response)
{
    bool heard = l->answer->text.len > 0;
    enum err_code code = remote_answer(l->answer, response, l->err);
    if (!code && !heard && l->answer->text.len && l->sink.put)
        l->sink.put(l->sink.ctx, false, buf_str(&l->answer->text));
    return code;
}

static void on_event(struct listening *l, const json_t *event)
{
    struct str type = text_at(event, "type");
    if (str_is(type, "response.output_text.delta") || str_is(type, "response.refusal.delta"))
        on_delta(l, false, text_at(event, "delta"));
    else if (str_is(type, "response.reasoning_summary_text.delta"))
        on_delta(l, true, text_at(event, "delta"));
    else if (str_is(type, "error"))
        on_error(l, event);
    else if (str_is(type, "response.completed") || str_is(type, "response.incomplete") ||
             str_is(type, "response.failed")) {
        l->ended = true;
        l->code = finish(l, json_object_get(event, "response"));
    }
}

static bool put_event(void *ctx, struct str event, struct str data)
{
    struct listening *l = ctx;
    json_t *v;
    (void)event; /* the data names its type itself */
    if (str_is(data, "[DONE]"))
        return false;
    if (json_read(&v, data, NULL)) {
        l->ended = true;
        l->code = err_set(l->err, ERR_NETWORK, NULL, "The server's stream holds an event that is not JSON.");
        return false;
    }
    on_event(l, v);
    json_decref(v);
    return !l->ended && !l->stopped;
}

static enum err_code read_plain(const struct fetch_reply *reply, struct listening *l)
{
    json_t *v;
    if (reply->status >= 400)
        return server_error(reply->status, buf_str(&reply->body), l->err);
    if (json_read(&v, buf_str(&reply->body), NULL))
        return err_set(l->err, ERR_NETWORK, NULL, "The server's answer is neither a stream nor JSON.");
    enum err_code code = finish(l, v);
    json_decref(v);
    return code;
}

enum err_code remote_ask(struct remote *r, const struct ask *ask, struct ask_sink sink, struct answer *a,
                         struct err *err)
{
    int64_t start = clock_mono_ms();
    struct buf url = { 0 }, body = { 0 };
    buf_printf(&url, "%s/v1/responses", r->base.ptr);
    remote_body(&body, ask);
    const char *headers[] = { "Content-Type: application/json", r->authorization.ptr, NULL };
    struct fetch_request req = {
        .method = "POST", .url = url.ptr, .headers = headers, .body = buf_str(&body)
    };
    struct fetch_reply reply = { 0 };
    struct listening l = { .sink = sink, .answer = a, .err = err };
    enum err_code code = fetch_stream(&req, (struct fetch_events){ put_event, &l }, &reply, err);
    if (l.ended)
        code = l.code; /* whatever became of the connection afterwards */
    else if (l.stopped)
        a->status = JOB_CANCELLED;
    else if (!code && reply.body.len)
        code = read_plain(&reply, &l);
    else if (!code && reply.status >= 400)
        code = server_error(reply.status, (struct str){ 0 }, err);
    else if (!code)
        code =
            err_set(err, ERR_NETWORK, NULL, "The server closed the stream before the answer was complete.");
    a->elapsed_ms = clock_mono_ms() - start;
    buf_free(&reply.body);
    buf_free(&body);
    buf_free(&url);
    return code;
}

enum err_code remote_get(struct remote *r, const char *path, json_t **out, struct err *err)
{
    struct buf url = { 0 };
    *out = NULL;
    buf_printf(&url, "%s%s", r->base.ptr, path);
    const char *headers[] = { r->authorization.ptr, NULL };
    struct fetch_request req = { .method = "GET", .url = url.ptr, .headers = headers };
    struct fetch_reply reply = { 0 };
    enum err_code code = fetch_perform(&req, &reply, err);
    if (!code && reply.status >= 400)
        code = server_error(reply.status, buf_str(&reply.body), err);
    else if (!code && json_read(out, buf_str(&reply.body), NULL))
        code = err_set(err, ERR_NETWORK, NULL, "The server's answer is not JSON.");
    buf_free(&reply.body);
    buf_free(&url);
    return code;
}
