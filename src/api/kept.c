/*
 * kept.c - what the store holds of a response: the row's request, the response at its end, and what goes with them.
 *
 * The request is JSON: "body" as it was sent, with the seed that was drawn and without the input; "input", the request's own
 * items, each with an id; for background jobs "messages", the whole conversation as the chat template takes it, so that
 * a job built again does not depend on what has become of earlier responses; "compaction", what such an item holds, where there
 * is one, and "compacts", where that is the answer; "created_s" and "model". The response is the object of API.md section 4.
 *
 * Threads: kept_request on a worker, the rest on the conductor's thread.
 */
#include "api/api_impl.h"

#include <stdio.h>

void kept_request(struct turn *t)
{
    json_t *request = json_object(), *body = json_copy(t->doc);
    json_object_del(body, t->kind->prompt_member);
    json_object_set_new(body, "seed", json_integer((json_int_t)t->seed));
    json_object_set_new(request, "body", body);
    json_object_set(request, "input", t->input);
    if (t->background)
        json_object_set(request, "messages", t->messages);
    if (t->compaction.len) /* sealed anew it would be another token than the one that was shown */
        json_object_set_new(request, "compaction", json_stringn(t->compaction.ptr, t->compaction.len));
    if (t->compacts)
        json_object_set_new(request, "compacts", json_true());
    json_object_set_new(request, "created_s", json_integer(t->created_s));
    json_object_set_new(request, "model", json_string(t->model));
    if (t->route) /* whom it asks goes by what the key allows */
        json_object_set_new(request, "models", json_string(t->owner.models));
    json_dump(&t->request, request);
    json_decref(request);
}

static struct store_job row_of(const struct turn *t)
{
    return (struct store_job){
        .id = str_from(t->id),
        .owner = str_from(t->owner.id),
        .status = t->background ? STORE_QUEUED : STORE_IN_PROGRESS,
        .background = t->background,
        .created_ms = t->created_ms, /* its conversation as it was then: items of the same second count */
        .previous = t->previous,
        .conversation = t->conversation,
        .engine = str_from(t->api->fingerprint),
        .request = buf_str(&t->request),
    };
}

void kept_begin(void *turn, const struct job_view *job, struct store_tx *tx)
{
    struct turn *t = turn;
    struct store_job row = row_of(t);
    (void)job;
    store_tx_insert(tx, &row);
}

static enum store_status status_of(enum job_status status)
{
    switch (status) {
    case JOB_QUEUED: return STORE_QUEUED;
    case JOB_IN_PROGRESS: return STORE_IN_PROGRESS;
    case JOB_COMPLETED: return STORE_COMPLETED;
    case JOB_INCOMPLETE: return STORE_INCOMPLETE;
    case JOB_CANCELLED: return STORE_CANCELLED;
    case JOB_FAILED: break;
    }
    return STORE_FAILED;
}

/* Output items by their ids: references find them. The request's own are not among them: their ids may be the client's. */
static void put_item_index(const struct turn *t, const struct job_view *job, struct store_tx *tx)
{
    struct str owner = str_from(t->owner.id), id = str_from(t->id);
    for (size_t i = 0; i < job->n_items; i++)
        store_tx_item(tx, owner, str_from(job->items[i].id), id);
}

/* The request's own items, then those of the answer. */
void kept_in_conversation(struct turn *t, const struct job_view *job, struct store_tx *tx)
{
    json_t *items = json_array();
    json_array_extend(items, t->input);
    for (size_t i = 0; i < job->n_items; i++) {
        struct buf text = { 0 };
        struct json_writer w = { .out = &text };
        put_item(&w, t, job, &job->items[i], false);
        json_array_append_new(items, json_loadb(text.ptr, text.len, 0, NULL));
        buf_free(&text);
    }
    conversation_add_tx(tx, &t->owner, t->conversation, items);
    json_decref(items);
}

/* A response that failed or was cancelled leaves its conversation as it was. */
void kept_finish(void *turn, const struct job_view *job, struct store_tx *tx)
{
    struct turn *t = turn;
    bool answered = job->status == JOB_COMPLETED || job->status == JOB_INCOMPLETE;
    if (!t->final_holds) { /* nobody listened to the last event */
        buf_clear(&t->final);
        t->kind->reply(t, job, &t->final);
    }
    put_item_index(t, job, tx);
    if (t->conversation.len && answered)
        kept_in_conversation(t, job, tx);
    store_tx_end(tx, str_from(t->id), status_of(job->status), job->ended_ms, buf_str(&t->final), false);
    if (t->background)
        kept_webhook(t->api, tx, status_of(job->status), str_from(t->id));
}

void kept_webhook(struct api *a, struct store_tx *tx, enum store_status status, struct str id)
{
    char type[32];
    snprintf(type, sizeof type, "response.%s", store_status_names[status]);
    webhooks_tx(a->webhooks, tx, type, id);
}
