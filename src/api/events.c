/*
 * events.c - job events as the stream of API.md section 8.
 *
 * One table row for each kind of job event: its name and the writer of what it carries. Numbers are the job's. A job
 * that failed ends in two events, "error" and then response.failed, because some clients throw on the first alone
 * and others read the second alone.
 *
 * Threads: the conductor's, but for event_response.
 */
#include "api/api_impl.h"

#include <assert.h>

/* What a writer may look at. */
struct event_in {
    const struct turn *t;
    const struct job_event *ev;
    const struct job_view *job;
    const struct job_item *item; /* NULL where the event is not about one */
};

static void put_response_member(struct json_writer *w, const struct event_in *in)
{
    jw_key(w, "response");
    if (in->t->final_holds)
        jw_raw(w, buf_str(&in->t->final));
    else
        put_response(w, in->t, in->job);
}

static void put_item_added(struct json_writer *w, const struct event_in *in)
{
    jw_key_int(w, "output_index", (int64_t)in->ev->item);
    jw_key(w, "item");
    put_item(w, in->t, in->job, in->item, true);
}

static void put_item_done(struct json_writer *w, const struct event_in *in)
{
    jw_key_int(w, "output_index", (int64_t)in->ev->item);
    jw_key(w, "item");
    put_item(w, in->t, in->job, in->item, false);
}

/* An item has one summary part and one content part, so their indexes are 0. */
static void put_place(struct json_writer *w, const struct event_in *in, const char *index)
{
    jw_key_cstring(w, "item_id", in->item->id);
    jw_key_int(w, "output_index", (int64_t)in->ev->item);
    jw_key_int(w, index, 0);
}

static void put_summary_part(struct json_writer *w, const struct event_in *in)
{
    put_place(w, in, "summary_index");
    jw_key(w, "part");
    jw_begin_object(w);
    jw_key_cstring(w, "type", "summary_text");
    jw_key_string(w, "text", in->ev->text);
    jw_end_object(w);
}

static void put_summary_delta(struct json_writer *w, const struct event_in *in)
{
    put_place(w, in, "summary_index");
    jw_key_string(w, "delta", in->ev->text);
}

static void put_summary_text(struct json_writer *w, const struct event_in *in)
{
    put_place(w, in, "summary_index");
    jw_key_string(w, "text", in->ev->text);
}

static void put_part_added(struct json_writer *w, const struct event_in *in)
{
    put_place(w, in, "content_index");
    jw_key_raw(w, "part",
               in->item->refusal
                   ? STR("{\"type\":\"refusal\",\"refusal\":\"\"}")
                   : STR("{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[],\"logprobs\":[]}"));
}

static void put_part_done(struct json_writer *w, const struct event_in *in)
{
    put_place(w, in, "content_index");
    jw_key(w, "part");
    put_message_part(w, in->t, in->job, in->item);
}

static void put_text_delta(struct json_writer *w, const struct event_in *in)
{
    put_place(w, in, "content_index");
    jw_key_string(w, "delta", in->ev->text);
    if (in->item->refusal)
        return;
    jw_key(w, "logprobs");
    put_token_list(w, in->t, in->job, in->ev->choice, in->ev->first_token, in->ev->n_tokens);
}

static void put_text_done(struct json_writer *w, const struct event_in *in)
{
    put_place(w, in, "content_index");
    jw_key_string(w, in->item->refusal ? "refusal" : "text", in->ev->text);
    if (in->item->refusal)
        return;
    jw_key(w, "logprobs");
    put_item_tokens(w, in->t, in->job, in->item);
}

static void put_call_place(struct json_writer *w, const struct event_in *in)
{
    jw_key_cstring(w, "item_id", in->item->id);
    jw_key_int(w, "output_index", (int64_t)in->ev->item);
}

static void put_call_delta(struct json_writer *w, const struct event_in *in)
{
    put_call_place(w, in);
    jw_key_string(w, "delta", in->ev->text);
}

static void put_call_done(struct json_writer *w, const struct event_in *in)
{
    put_call_place(w, in);
    if (!in->item->custom)
        jw_key_cstring(w, "name", in->item->name);
    jw_key_string(w, in->item->custom ? "input" : "arguments", in->ev->text);
}

static void put_error(struct json_writer *w, const struct event_in *in)
{
    put_error_event(w, &in->job->err);
}

/* The rows stand in the order in which a stream shows them. Kinds without a row (raw thinking, the end of a choice) are
 * no events of this API. */
static const struct event_kind {
    enum job_event_kind kind;
    const char *type;
    void (*put)(struct json_writer *w, const struct event_in *in);
    const char *other; /* of a refusal or a custom tool's call, where that has another */
} event_kinds[] = {
    { JOB_EV_CREATED, "response.created", put_response_member, NULL },
    { JOB_EV_QUEUED, "response.queued", put_response_member, NULL },
    { JOB_EV_STARTED, "response.in_progress", put_response_member, NULL },
    { JOB_EV_ITEM_ADDED, "response.output_item.added", put_item_added, NULL },
    { JOB_EV_SUMMARY_ADDED, "response.reasoning_summary_part.added", put_summary_part, NULL },
    { JOB_EV_SUMMARY_DELTA, "response.reasoning_summary_text.delta", put_summary_delta, NULL },
    { JOB_EV_SUMMARY_TEXT_DONE, "response.reasoning_summary_text.done", put_summary_text, NULL },
    { JOB_EV_SUMMARY_DONE, "response.reasoning_summary_part.done", put_summary_part, NULL },
    { JOB_EV_PART_ADDED, "response.content_part.added", put_part_added, NULL },
    { JOB_EV_TEXT_DELTA, "response.output_text.delta", put_text_delta, "response.refusal.delta" },
    { JOB_EV_TEXT_DONE, "response.output_text.done", put_text_done, "response.refusal.done" },
    { JOB_EV_PART_DONE, "response.content_part.done", put_part_done, NULL },
    { JOB_EV_CALL_DELTA, "response.function_call_arguments.delta", put_call_delta,
      "response.custom_tool_call_input.delta" },
    { JOB_EV_CALL_DONE, "response.function_call_arguments.done", put_call_done,
      "response.custom_tool_call_input.done" },
    { JOB_EV_ITEM_DONE, "response.output_item.done", put_item_done, NULL },
    { JOB_EV_ERROR, "error", put_error, NULL },
    { JOB_EV_ENDED, NULL, put_response_member, NULL }, /* named by how the job ended */
};

/* A cancelled response has no event of its own, and none reaches here. */
static const char *end_type(enum job_status status)
{
    return status == JOB_COMPLETED    ? "response.completed"
           : status == JOB_INCOMPLETE ? "response.incomplete"
                                      : "response.failed";
}

static const char *type_of(const struct event_kind *k, const struct event_in *in)
{
    if (!k->type)
        return end_type(in->job->status);
    return k->other && (in->item->custom || in->item->refusal) ? k->other : k->type;
}

/* What the last event shows is what is stored and replied as well: written once, kept in the turn. */
static void write_final(struct turn *t, const struct job_view *job)
{
    buf_clear(&t->final);
    t->kind->reply(t, job, &t->final);
    t->final_holds = true;
}

/* Nothing before the member holds its key: quotes in strings are escaped. */
struct str event_response(struct str event)
{
    struct str key = STR(",\"response\":");
    size_t at = str_find(event, key);
    if (at == SIZE_MAX || !str_ends(event, STR("}")))
        return (struct str){ 0 };
    return str_slice(event, at + key.len, event.len - 1);
}

void events_encode(void *turn, const struct job_event *ev, const struct job_view *job, struct buf *json)
{
    if (ev->kind == JOB_EV_ENDED)
        write_final(turn, job);
    struct event_in in = { turn, ev, job, ev->item < job->n_items ? &job->items[ev->item] : NULL };
    struct json_writer w = { .out = json };
    size_t k = 0;
    while (k < ARRAY_LEN(event_kinds) && event_kinds[k].kind != ev->kind)
        k++;
    assert(k < ARRAY_LEN(event_kinds));
    jw_begin_object(&w);
    jw_key_cstring(&w, "type", type_of(&event_kinds[k], &in));
    jw_key_int(&w, "sequence_number", (int64_t)ev->number);
    event_kinds[k].put(&w, &in);
    jw_end_object(&w);
}
