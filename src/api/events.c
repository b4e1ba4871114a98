/*
 * events.c - job events as the stream of API.md section 8.
 *
 * One table row for each kind of job event: its name and the writer of what it carries. Numbers are the job's;
 * only the end of a failed job makes two frames of one event, "error" and then response.failed, because some
 * clients throw on the first alone and others read the second alone. No event comes behind them, so the
 * second may take the next number.
 *
 * Threads: the conductor's.
 */
#include "api/api_impl.h"

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
    put_response(w, in->t, in->job);
}

static void put_item_added(struct json_writer *w, const struct event_in *in)
{
    put_int(w, "output_index", (int64_t)in->ev->item);
    jw_key(w, "item");
    put_item(w, in->t, in->job, in->item, true);
}

static void put_item_done(struct json_writer *w, const struct event_in *in)
{
    put_int(w, "output_index", (int64_t)in->ev->item);
    jw_key(w, "item");
    put_item(w, in->t, in->job, in->item, false);
}

/* An item has one summary part and one content part, so their indexes are 0. */
static void put_place(struct json_writer *w, const struct event_in *in, const char *index)
{
    put_text(w, "item_id", in->item->id);
    put_int(w, "output_index", (int64_t)in->ev->item);
    put_int(w, index, 0);
}

static void put_summary_part(struct json_writer *w, const struct event_in *in)
{
    put_place(w, in, "summary_index");
    jw_key(w, "part");
    jw_begin_object(w);
    put_text(w, "type", "summary_text");
    put_string(w, "text", in->ev->text);
    jw_end_object(w);
}

static void put_summary_delta(struct json_writer *w, const struct event_in *in)
{
    put_place(w, in, "summary_index");
    put_string(w, "delta", in->ev->text);
}

static void put_summary_text(struct json_writer *w, const struct event_in *in)
{
    put_place(w, in, "summary_index");
    put_string(w, "text", in->ev->text);
}

static void put_part_added(struct json_writer *w, const struct event_in *in)
{
    put_place(w, in, "content_index");
    put_raw(w, "part", STR("{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[],\"logprobs\":[]}"));
}

static void put_part_done(struct json_writer *w, const struct event_in *in)
{
    put_place(w, in, "content_index");
    jw_key(w, "part");
    put_output_text(w, in->t, in->job, in->item);
}

static void put_text_delta(struct json_writer *w, const struct event_in *in)
{
    put_place(w, in, "content_index");
    put_string(w, "delta", in->ev->text);
    jw_key(w, "logprobs");
    put_token_list(w, in->t, in->job, in->ev->choice, in->ev->first_token, in->ev->n_tokens);
}

static void put_text_done(struct json_writer *w, const struct event_in *in)
{
    put_place(w, in, "content_index");
    put_string(w, "text", in->ev->text);
    jw_key(w, "logprobs");
    put_item_tokens(w, in->t, in->job, in->item);
}

/* The rows stand in the order in which a stream shows them. JOB_EV_ENDED has its own function, because its name depends
 * on how the job ended; kinds without a row (raw thinking, the end of a choice) are no events of this API. */
static const struct event_kind {
    enum job_event_kind kind;
    const char *type;
    void (*put)(struct json_writer *w, const struct event_in *in);
    bool item;
} event_kinds[] = {
    { JOB_EV_CREATED, "response.created", put_response_member, false },
    { JOB_EV_STARTED, "response.in_progress", put_response_member, false },
    { JOB_EV_ITEM_ADDED, "response.output_item.added", put_item_added, true },
    { JOB_EV_SUMMARY_ADDED, "response.reasoning_summary_part.added", put_summary_part, true },
    { JOB_EV_SUMMARY_DELTA, "response.reasoning_summary_text.delta", put_summary_delta, true },
    { JOB_EV_SUMMARY_TEXT_DONE, "response.reasoning_summary_text.done", put_summary_text, true },
    { JOB_EV_SUMMARY_DONE, "response.reasoning_summary_part.done", put_summary_part, true },
    { JOB_EV_PART_ADDED, "response.content_part.added", put_part_added, true },
    { JOB_EV_TEXT_DELTA, "response.output_text.delta", put_text_delta, true },
    { JOB_EV_TEXT_DONE, "response.output_text.done", put_text_done, true },
    { JOB_EV_PART_DONE, "response.content_part.done", put_part_done, true },
    { JOB_EV_ITEM_DONE, "response.output_item.done", put_item_done, true },
};

static void begin(struct json_writer *w, const char *type, uint64_t number)
{
    jw_begin_object(w);
    put_text(w, "type", type);
    put_int(w, "sequence_number", (int64_t)number);
}

/* Two readings of "error" in one object: members beside the type, and an error object. */
static void write_error(struct turn *t, const struct job_view *job, uint64_t number)
{
    struct buf data = { 0 };
    struct json_writer w = { .out = &data };
    begin(&w, "error", number);
    put_error_fields(&w, &job->err, false);
    jw_key(&w, "error");
    jw_begin_object(&w);
    put_error_fields(&w, &job->err, true);
    jw_end_object(&w);
    jw_end_object(&w);
    turn_write(t, job, "error", buf_str(&data));
    buf_free(&data);
}

static void write_end(struct turn *t, const struct event_in *in, uint64_t number, const char *type)
{
    struct buf data = { 0 };
    struct json_writer w = { .out = &data };
    begin(&w, type, number);
    put_response_member(&w, in);
    jw_end_object(&w);
    turn_write(t, in->job, type, buf_str(&data));
    buf_free(&data);
}

/* A cancelled response has no event of its own: the stream just ends. */
static void put_end(struct turn *t, const struct event_in *in)
{
    uint64_t number = in->ev->number;
    switch (in->job->status) {
    case JOB_COMPLETED: write_end(t, in, number, "response.completed"); break;
    case JOB_INCOMPLETE: write_end(t, in, number, "response.incomplete"); break;
    case JOB_FAILED:
        write_error(t, in->job, number);
        write_end(t, in, number + 1, "response.failed");
        break;
    case JOB_CANCELLED:
    case JOB_IN_PROGRESS: break;
    }
}

void events_put(void *turn, const struct job_event *ev, const struct job_view *job)
{
    struct turn *t = turn;
    struct event_in in = { t, ev, job, ev->item < job->n_items ? &job->items[ev->item] : NULL };
    if (ev->kind == JOB_EV_ENDED) {
        put_end(t, &in);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(event_kinds); i++) {
        const struct event_kind *k = &event_kinds[i];
        if (k->kind != ev->kind || (k->item && !in.item))
            continue;
        struct buf data = { 0 };
        struct json_writer w = { .out = &data };
        begin(&w, k->type, ev->number);
        k->put(&w, &in);
        jw_end_object(&w);
        turn_write(t, job, k->type, buf_str(&data));
        buf_free(&data);
    }
}
