/*
 * chat_reply.c - chat's reply object and its chunks.
 *
 * A stream opens with one chunk a choice that names the role, then deltas as they come, choices interleaved; an
 * empty delta with the finish reason ends a choice; with include_usage every chunk says usage:null and one
 * more, without choices, carries the sum. Thinking is counted and not shown.
 *
 * Threads: the conductor's.
 */
#include "api/api_impl.h"

static void put_head(struct json_writer *w, const struct turn *t, const struct job_view *job,
                     const char *object)
{
    jw_key_cstring(w, "id", t->id);
    jw_key_cstring(w, "object", object);
    jw_key_int(w, "created", t->created_s);
    jw_key_cstring(w, "model", answering_name(t, job));
    jw_key_cstring(w, "service_tier", "default");
    jw_key_cstring(w, "system_fingerprint", t->api->fingerprint);
}

/* The prompt is counted once however many choices were made from it. */
static void put_usage(struct json_writer *w, const struct job_view *job)
{
    jw_key(w, "usage");
    jw_begin_object(w);
    jw_key_int(w, "prompt_tokens", job->input_tokens);
    jw_key_int(w, "completion_tokens", job->output_tokens);
    jw_key_int(w, "total_tokens", job->input_tokens + job->output_tokens);
    jw_key(w, "prompt_tokens_details");
    jw_begin_object(w);
    jw_key_int(w, "cached_tokens", job->cached_tokens);
    jw_key_int(w, "audio_tokens", 0);
    jw_end_object(w);
    jw_key(w, "completion_tokens_details");
    jw_begin_object(w);
    jw_key_int(w, "reasoning_tokens", job->reasoning_tokens);
    jw_key_int(w, "audio_tokens", 0);
    jw_key_int(w, "accepted_prediction_tokens", 0);
    jw_key_int(w, "rejected_prediction_tokens", 0);
    jw_end_object(w);
    jw_end_object(w);
}

/* null where they were not asked for. */
static void put_logprobs(struct json_writer *w, const struct turn *t, const struct job_view *job,
                         size_t choice, size_t first, size_t n)
{
    jw_key(w, "logprobs");
    if (!t->logprobs) {
        jw_null(w);
        return;
    }
    bool refusal = choice_refuses(job, choice);
    jw_begin_object(w);
    jw_key(w, refusal ? "refusal" : "content");
    put_token_list(w, t, job, choice, first, n);
    jw_key_cstring(w, refusal ? "content" : "refusal", NULL);
    jw_end_object(w);
}

/* --- the plain reply ---------------------------------------------------------------------------------------- */

static bool calls_of(const struct job_view *job, size_t choice)
{
    for (size_t i = 0; i < job->n_items; i++)
        if (job->items[i].kind == JOB_CALL && job->items[i].choice == choice)
            return true;
    return false;
}

/* Which of its choice's calls an item is. */
static int64_t call_index(const struct job_view *job, size_t item)
{
    int64_t n = 0;
    for (size_t i = 0; i < item; i++)
        n += job->items[i].kind == JOB_CALL && job->items[i].choice == job->items[item].choice;
    return n;
}

static const char *finish_of(const struct turn *t, const struct job_view *job, size_t choice)
{
    enum engine_finish finish = job->choices[choice].finish;
    if (finish != FINISH_STOP || !calls_of(job, choice))
        return finish_name(finish);
    return t->tools.functions ? "function_call" : "tool_calls";
}

/* The inner object of a call under its key: {name, arguments}, a custom tool's {name, input}. name NULL: it was said. */
static void put_called(struct json_writer *w, const char *key, const struct job_item *item, const char *name,
                       struct str text)
{
    jw_key(w, key);
    jw_begin_object(w);
    if (name)
        jw_key_cstring(w, "name", name);
    jw_key_string(w, item->custom ? "input" : "arguments", text);
    jw_end_object(w);
}

static const char *call_key(const struct job_item *item)
{
    return item->custom ? "custom" : "function";
}

static void put_call_head(struct json_writer *w, const struct job_item *item)
{
    jw_key_cstring(w, "id", item->call_id);
    jw_key_cstring(w, "type", call_key(item));
}

static void put_calls(struct json_writer *w, const struct job_view *job, size_t choice)
{
    jw_key(w, "tool_calls");
    jw_begin_array(w);
    for (size_t i = 0; i < job->n_items; i++) {
        const struct job_item *item = &job->items[i];
        if (item->kind != JOB_CALL || item->choice != choice)
            continue;
        jw_begin_object(w);
        put_call_head(w, item);
        put_called(w, call_key(item), item, item->name, buf_str(&item->text));
        jw_end_object(w);
    }
    jw_end_array(w);
}

/* A choice's only call, in the older form. */
static void put_function_call(struct json_writer *w, const struct job_view *job, size_t choice)
{
    for (size_t i = 0; i < job->n_items; i++) {
        const struct job_item *item = &job->items[i];
        if (item->kind == JOB_CALL && item->choice == choice)
            put_called(w, "function_call", item, item->name, buf_str(&item->text));
    }
}

/* A choice that was cut inside its thought has no message; its content is empty, as clients expect a string. It is null in a
 * refusal, and beside calls where there is none. */
static void put_choice(struct json_writer *w, const struct turn *t, const struct job_view *job, size_t choice)
{
    jw_begin_object(w);
    jw_key_int(w, "index", (int64_t)choice);
    jw_key(w, "message");
    jw_begin_object(w);
    jw_key_cstring(w, "role", "assistant");
    struct str text = choice_text(job, choice);
    bool calls = calls_of(job, choice), refusal = choice_refuses(job, choice);
    if (refusal || (calls && !text.len))
        jw_key_cstring(w, "content", NULL);
    else
        jw_key_string(w, "content", text);
    if (refusal)
        jw_key_string(w, "refusal", text);
    else
        jw_key_cstring(w, "refusal", NULL);
    jw_key_raw(w, "annotations", STR("[]"));
    if (calls && t->tools.functions)
        put_function_call(w, job, choice);
    else if (calls)
        put_calls(w, job, choice);
    jw_end_object(w);
    put_logprobs(w, t, job, choice, 0, job->choices[choice].n_tokens);
    jw_key_cstring(w, "finish_reason", finish_of(t, job, choice));
    jw_end_object(w);
}

void chat_reply(struct turn *t, const struct job_view *job, struct buf *body)
{
    struct json_writer w = { .out = body };
    jw_begin_object(&w);
    put_head(&w, t, job, "chat.completion");
    jw_key(&w, "choices");
    jw_begin_array(&w);
    for (size_t i = 0; i < job->n_choices; i++)
        put_choice(&w, t, job, i);
    jw_end_array(&w);
    put_usage(&w, job);
    if (t->metadata) {
        jw_key_value(&w, "metadata", t->metadata);
    }
    jw_key(&w, "thinkd");
    put_thinkd(&w, t, job);
    jw_end_object(&w);
}

/* --- chunks --------------------------------------------------------------------------------------------------- */

/* A chunk while it is written. */
struct chunk {
    struct buf data;
    struct json_writer w;
};

/* Opens a chunk up to the inside of its choices. */
static void chunk_begin(struct chunk *c, const struct turn *t, const struct job_view *job)
{
    *c = (struct chunk){ 0 };
    c->w.out = &c->data;
    jw_begin_object(&c->w);
    put_head(&c->w, t, job, "chat.completion.chunk");
    jw_key(&c->w, "choices");
    jw_begin_array(&c->w);
}

static void chunk_end(struct chunk *c, struct turn *t, const struct job_view *job, bool usage)
{
    jw_end_array(&c->w);
    if (usage) {
        put_usage(&c->w, job);
        jw_key(&c->w, "thinkd");
        put_thinkd(&c->w, t, job);
    } else if (t->include_usage) {
        jw_key_cstring(&c->w, "usage", NULL);
    }
    jw_end_object(&c->w);
    turn_write(t, NULL, buf_str(&c->data));
    buf_free(&c->data);
}

/* One choice's chunk: delta is its JSON, finish NULL while it goes on; ev names the tokens of a delta of text, else
 * NULL. */
static void write_choice(struct turn *t, const struct job_view *job, size_t choice, struct str delta,
                         const struct job_event *ev, const char *finish)
{
    struct chunk c;
    chunk_begin(&c, t, job);
    jw_begin_object(&c.w);
    jw_key_int(&c.w, "index", (int64_t)choice);
    jw_key_raw(&c.w, "delta", delta);
    if (ev)
        put_logprobs(&c.w, t, job, choice, ev->first_token, ev->n_tokens);
    else
        jw_key_cstring(&c.w, "logprobs", NULL);
    jw_key_cstring(&c.w, "finish_reason", finish);
    jw_end_object(&c.w);
    chunk_end(&c, t, job, false);
}

static void write_roles(struct turn *t, const struct job_view *job)
{
    for (size_t i = 0; i < t->choices; i++)
        write_choice(t, job, i, STR("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}"), NULL,
                     NULL);
}

static void write_delta(struct turn *t, const struct job_event *ev, const struct job_view *job)
{
    struct buf delta = { 0 };
    struct json_writer w = { .out = &delta };
    jw_begin_object(&w);
    jw_key_string(&w, job->items[ev->item].refusal ? "refusal" : "content", ev->text);
    jw_end_object(&w);
    write_choice(t, job, ev->choice, buf_str(&delta), ev, NULL);
    buf_free(&delta);
}

/* A call begins, or its arguments go on. */
static void write_call(struct turn *t, const struct job_event *ev, const struct job_view *job)
{
    const struct job_item *item = &job->items[ev->item];
    bool begins = ev->kind == JOB_EV_ITEM_ADDED;
    struct buf delta = { 0 };
    struct json_writer w = { .out = &delta };
    const char *name = begins ? item->name : NULL;
    struct str text = begins ? STR("") : ev->text;
    jw_begin_object(&w);
    if (t->tools.functions) {
        put_called(&w, "function_call", item, name, text);
    } else {
        jw_key(&w, "tool_calls");
        jw_begin_array(&w);
        jw_begin_object(&w);
        jw_key_int(&w, "index", call_index(job, ev->item));
        if (begins)
            put_call_head(&w, item);
        put_called(&w, call_key(item), item, name, text);
        jw_end_object(&w);
        jw_end_array(&w);
    }
    jw_end_object(&w);
    write_choice(t, job, ev->choice, buf_str(&delta), NULL, NULL);
    buf_free(&delta);
}

/* A choice that failed or was cancelled has no reason of its own: what happened follows as an error. */
static void write_finish(struct turn *t, const struct job_event *ev, const struct job_view *job)
{
    enum engine_finish finish = job->choices[ev->choice].finish;
    if (finish != FINISH_CANCELLED)
        write_choice(t, job, ev->choice, STR("{}"), NULL, finish_of(t, job, ev->choice));
}

static void write_end(struct turn *t, const struct job_view *job)
{
    struct chunk c;
    if (job->status == JOB_FAILED || job->status == JOB_CANCELLED) {
        turn_write_failure(t, job);
    } else if (t->include_usage) {
        chunk_begin(&c, t, job);
        chunk_end(&c, t, job, true);
    }
}

void chat_put(void *turn, const struct job_event *ev, const struct job_view *job)
{
    struct turn *t = turn;
    switch (ev->kind) {
    case JOB_EV_STARTED: write_roles(t, job); break;
    case JOB_EV_TEXT_DELTA: write_delta(t, ev, job); break;
    case JOB_EV_ITEM_ADDED:
        if (job->items[ev->item].kind == JOB_CALL)
            write_call(t, ev, job);
        break;
    case JOB_EV_CALL_DELTA: write_call(t, ev, job); break;
    case JOB_EV_CHOICE_DONE: write_finish(t, ev, job); break;
    case JOB_EV_ENDED: write_end(t, job); break;
    default: break; /* thinking and item borders are not shown here */
    }
}
