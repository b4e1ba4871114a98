/*
 * response.c - the Response object and its output items.
 *
 * All keys are always there, whatever the request said (API.md section 4): strict clients refuse an object that lacks
 * one, so a value that does not apply is null, never absent. The same writer serves the plain reply and the
 * events that carry a response; while the job runs, usage and completed_at are null.
 *
 * Threads: the conductor's. The turn's JSON values are only read.
 */
#include "api/api_impl.h"

static void put_string_or_null(struct json_writer *w, const char *key, struct field_string s)
{
    jw_key(w, key);
    if (s.set)
        jw_string(w, s.value);
    else
        jw_null(w);
}

static void put_int_or_null(struct json_writer *w, const char *key, struct field_int v)
{
    jw_key(w, key);
    if (v.set)
        jw_int(w, v.value);
    else
        jw_null(w);
}

/* --- items ------------------------------------------------------------------------------------------------ */

void put_item_tokens(struct json_writer *w, const struct turn *t, const struct job_view *job,
                     const struct job_item *item)
{
    put_token_list(w, t, job, item->choice, 0, job->choices[item->choice].n_tokens);
}

void put_message_part(struct json_writer *w, const struct turn *t, const struct job_view *job,
                      const struct job_item *item)
{
    jw_begin_object(w);
    jw_key_cstring(w, "type", item->refusal ? "refusal" : "output_text");
    jw_key_string(w, item->refusal ? "refusal" : "text", buf_str(&item->text));
    if (!item->refusal) {
        jw_key_raw(w, "annotations", STR("[]"));
        jw_key(w, "logprobs");
        put_item_tokens(w, t, job, item);
    }
    jw_end_object(w);
}

static void put_message(struct json_writer *w, const struct turn *t, const struct job_view *job,
                        const struct job_item *item, bool added)
{
    jw_key_cstring(w, "role", "assistant");
    jw_key(w, "content");
    jw_begin_array(w);
    if (!added)
        put_message_part(w, t, job, item);
    jw_end_array(w);
}

/* The thought for a client that keeps its own history. Sealed once, so that all who show it show the same. */
static void put_seal(struct json_writer *w, const struct turn *t, const struct job_item *item)
{
    if (!t->seal->len)
        seal_put(t->api->seal, str_from(t->owner.id), "reasoning", buf_str(&item->thought), t->seal);
    jw_key_string(w, "encrypted_content", buf_str(t->seal));
}

/* No summary was asked for: no text, an empty array. */
static void put_summary(struct json_writer *w, const struct job_item *item, bool added)
{
    jw_key(w, "summary");
    jw_begin_array(w);
    if (!added && item->text.len > 0) {
        jw_begin_object(w);
        jw_key_cstring(w, "type", "summary_text");
        jw_key_string(w, "text", buf_str(&item->text));
        jw_end_object(w);
    }
    jw_end_array(w);
}

static void put_call(struct json_writer *w, const struct job_item *item, bool added)
{
    jw_key_cstring(w, "call_id", item->call_id);
    jw_key_cstring(w, "name", item->name);
    jw_key_string(w, item->custom ? "input" : "arguments", added ? STR("") : buf_str(&item->text));
}

static const char *item_type(const struct job_item *item)
{
    switch (item->kind) {
    case JOB_REASONING: return "reasoning";
    case JOB_COMPACTION: return "compaction";
    case JOB_CALL: return item->custom ? "custom_tool_call" : "function_call";
    default: return "message";
    }
}

void put_item(struct json_writer *w, const struct turn *t, const struct job_view *job,
              const struct job_item *item, bool added)
{
    bool thought = item->kind == JOB_REASONING;
    jw_begin_object(w);
    jw_key_cstring(w, "type", item_type(item));
    jw_key_cstring(w, "id", item->id);
    jw_key_cstring(w, "status",
                   added || !item->done ? "in_progress"
                   : item->complete     ? "completed"
                                        : "incomplete");
    if (item->kind == JOB_MESSAGE)
        put_message(w, t, job, item, added);
    else if (item->kind == JOB_CALL)
        put_call(w, item, added);
    else if (thought)
        put_summary(w, item, added);
    else
        jw_key_string(w, "encrypted_content", added ? STR("") : buf_str(&item->text));
    if (thought && t->sealed && item->done && !added)
        put_seal(w, t, item);
    jw_end_object(w);
}

/* output_text is an addition that clients otherwise build themselves: the text of all messages, without refusals. */
static void put_output(struct json_writer *w, const struct turn *t, const struct job_view *job)
{
    struct buf text = { 0 };
    jw_key(w, "output");
    jw_begin_array(w);
    for (size_t i = 0; i < job->n_items; i++) {
        put_item(w, t, job, &job->items[i], false);
        if (job->items[i].kind == JOB_MESSAGE && !job->items[i].refusal)
            buf_put_str(&text, buf_str(&job->items[i].text));
    }
    jw_end_array(w);
    jw_key_string(w, "output_text", buf_str(&text));
    buf_free(&text);
}

/* --- what became of it -------------------------------------------------------------------------------------- */

static const char *status_name(enum job_status status)
{
    switch (status) {
    case JOB_QUEUED: return "queued";
    case JOB_IN_PROGRESS: return "in_progress";
    case JOB_COMPLETED: return "completed";
    case JOB_INCOMPLETE: return "incomplete";
    case JOB_FAILED: return "failed";
    case JOB_CANCELLED: return "cancelled";
    }
    return "failed";
}

static void put_status(struct json_writer *w, const struct job_view *job)
{
    jw_key_cstring(w, "status", status_name(job->status));
    jw_key(w, "completed_at");
    if (job->status == JOB_COMPLETED)
        jw_int(w, job->ended_ms / 1000);
    else
        jw_null(w);
    jw_key(w, "error");
    if (job->status == JOB_FAILED) {
        jw_begin_object(w);
        put_error_fields(w, &job->err, true);
        jw_end_object(w);
    } else {
        jw_null(w);
    }
    jw_key(w, "incomplete_details");
    if (job->status == JOB_INCOMPLETE)
        jw_raw(w, STR("{\"reason\":\"max_output_tokens\"}"));
    else
        jw_null(w);
}

/* Null until the end: a number that still grows would be read as the bill. */
static void put_usage(struct json_writer *w, const struct job_view *job)
{
    jw_key(w, "usage");
    if (!job_over(job)) {
        jw_null(w);
        return;
    }
    jw_begin_object(w);
    jw_key_int(w, "input_tokens", job->input_tokens);
    jw_key(w, "input_tokens_details");
    jw_begin_object(w);
    jw_key_int(w, "cached_tokens", job->cached_tokens);
    jw_key_int(w, "cache_write_tokens", 0); /* nobody is billed for what is kept */
    jw_end_object(w);
    jw_key_int(w, "output_tokens", job->output_tokens); /* thinking is part of it */
    jw_key(w, "output_tokens_details");
    jw_begin_object(w);
    jw_key_int(w, "reasoning_tokens", job->reasoning_tokens);
    jw_end_object(w);
    jw_key_int(w, "total_tokens", job->input_tokens + job->output_tokens);
    jw_end_object(w);
}

/* --- what was asked ----------------------------------------------------------------------------------------- */

static void put_id_or_null(struct json_writer *w, const char *key, struct str id)
{
    jw_key(w, key);
    if (id.len)
        jw_string(w, id);
    else
        jw_null(w);
}

static void put_conversation(struct json_writer *w, const struct turn *t)
{
    if (!t->conversation.len) {
        jw_null(w);
        return;
    }
    jw_begin_object(w);
    jw_key_string(w, "id", t->conversation);
    jw_end_object(w);
}

/* Keys whose feature is not built have the one value that the request could ask for. */
static void put_asked(struct json_writer *w, const struct turn *t, const struct job_view *job)
{
    put_string_or_null(w, "instructions", t->echo.instructions);
    put_int_or_null(w, "max_output_tokens", t->echo.max_output_tokens);
    put_int_or_null(w, "max_tool_calls", t->echo.max_tool_calls);
    jw_key_bool(w, "parallel_tool_calls", t->echo.parallel_tool_calls);
    put_id_or_null(w, "previous_response_id", t->previous);
    jw_key(w, "conversation");
    put_conversation(w, t);
    jw_key(w, "reasoning");
    jw_begin_object(w);
    jw_key_cstring(w, "effort", effort_names[t->effort]);
    jw_key_cstring(w, "summary", t->echo.summary >= 0 ? summary_names[t->echo.summary] : NULL);
    jw_end_object(w);
    jw_key_raw(w, "store", t->store ? STR("true") : STR("false"));
    jw_key_raw(w, "background", t->background ? STR("true") : STR("false"));
    jw_key(w, "temperature"); /* the values used, asked for or not */
    jw_real(w, job->plan->temperature);
    jw_key_real(w, "top_p", job->plan->top_p);
    jw_key_int(w, "top_logprobs", t->top_logprobs);
    jw_key_real(w, "presence_penalty", (double)t->presence_penalty);
    jw_key_real(w, "frequency_penalty", (double)t->frequency_penalty);
    jw_key(w, "text");
    jw_begin_object(w);
    jw_key(w, "format");
    format_put(w, t);
    jw_key_cstring(w, "verbosity", verbosities[t->echo.verbosity]);
    jw_end_object(w);
    jw_key_value(w, "tool_choice", t->tools.choice);
    jw_key_value(w, "tools", t->tools.list);
    jw_key_cstring(w, "truncation", t->truncate ? "auto" : "disabled");
    jw_key_cstring(w, "service_tier", "default");
    if (t->metadata) {
        jw_key_value(w, "metadata", t->metadata);
    } else {
        jw_key_raw(w, "metadata", STR("{}"));
    }
    put_string_or_null(w, "safety_identifier", t->echo.safety_identifier);
    put_string_or_null(w, "prompt_cache_key", t->echo.prompt_cache_key);
    const json_t *prompt = json_object_get(t->doc, "prompt");
    if (json_is_object(prompt))
        jw_key_value(w, "prompt", prompt);
    if (t->echo.user.set)
        put_string_or_null(w, "user", t->echo.user);
}

void put_response(struct json_writer *w, const struct turn *t, const struct job_view *job)
{
    jw_begin_object(w);
    jw_key_cstring(w, "id", t->id);
    jw_key_cstring(w, "object", "response");
    jw_key_int(w, "created_at", t->created_s);
    put_status(w, job);
    jw_key_cstring(w, "model", answering_name(t, job));
    put_output(w, t, job);
    put_asked(w, t, job);
    put_usage(w, job);
    jw_key(w, "thinkd");
    put_thinkd(w, t, job);
    jw_end_object(w);
}
