/*
 * completions_reply.c - the text completion and its chunks.
 *
 * With echo a choice's text begins with its prompt. In a stream that is a chunk of its own, sent before the choice's
 * first text or, where nothing is generated, before its end: with logprobs it waits for those of the prompt. Tokens
 * that show nothing but are listed (job/tokens.c) come with the chunk that ends their choice.
 *
 * Threads: the conductor's.
 */
#include "api/api_impl.h"

static const struct job_item *message_of(const struct job_view *job, size_t choice)
{
    for (size_t i = 0; i < job->n_items; i++)
        if (job->items[i].kind == JOB_MESSAGE && job->items[i].choice == choice)
            return &job->items[i];
    return NULL;
}

struct str choice_text(const struct job_view *job, size_t choice)
{
    const struct job_item *message = message_of(job, choice);
    return message ? buf_str(&message->text) : STR("");
}

bool choice_refuses(const struct job_view *job, size_t choice)
{
    const struct job_item *message = message_of(job, choice);
    return message && message->refusal;
}

/* No tools, no filter: these two are all there is. */
const char *finish_name(enum engine_finish finish)
{
    return finish == FINISH_LENGTH ? "length" : "stop";
}

static void put_head(struct json_writer *w, const struct turn *t)
{
    jw_key_cstring(w, "id", t->id);
    jw_key_cstring(w, "object", "text_completion");
    jw_key_int(w, "created", t->created_s);
    jw_key_cstring(w, "model", t->model);
    jw_key_cstring(w, "system_fingerprint", t->api->fingerprint);
}

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
    jw_end_object(w);
    jw_end_object(w);
}

static struct str echo_of(const struct turn *t, size_t choice)
{
    return t->completions->echo ? t->completions->echoed[choice / t->choices] : STR("");
}

/* One element of choices. finish NULL: the choice goes on. tokens: NULL for a piece that lists none. */
static void put_choice(struct json_writer *w, size_t choice, struct str before, struct str text,
                       const struct token_table *tokens, const char *finish)
{
    struct buf whole = { 0 };
    buf_put_str(&whole, before);
    buf_put_str(&whole, text);
    jw_begin_object(w);
    jw_key_string(w, "text", buf_str(&whole));
    jw_key_int(w, "index", (int64_t)choice);
    jw_key(w, "logprobs");
    if (tokens)
        put_token_table(w, tokens);
    else
        jw_null(w);
    jw_key_cstring(w, "finish_reason", finish);
    jw_end_object(w);
    buf_free(&whole);
}

/* --- the plain reply ---------------------------------------------------------------------------------------- */

static void put_whole_choice(struct json_writer *w, const struct turn *t, const struct job_view *job,
                             size_t choice)
{
    const struct job_choice *c = &job->choices[choice];
    struct text_place in_prompt = { 0 }, in_text = { 0 };
    size_t first = t->completions->echo ? 0 : c->n_prompt_tokens;
    struct token_table table = {
        t, job, choice, first, c->n_tokens - first, echo_of(t, choice), &in_prompt, &in_text,
    };
    put_choice(w, choice, table.prompt, choice_text(job, choice), t->logprobs ? &table : NULL,
               finish_name(c->finish));
}

void completions_reply(struct turn *t, const struct job_view *job, struct buf *body)
{
    struct json_writer w = { .out = body };
    jw_begin_object(&w);
    put_head(&w, t);
    jw_key(&w, "choices");
    jw_begin_array(&w);
    for (size_t i = 0; i < job->n_choices; i++)
        put_whole_choice(&w, t, job, i);
    jw_end_array(&w);
    put_usage(&w, job);
    jw_key(&w, "thinkd");
    put_thinkd(&w, t, job);
    jw_end_object(&w);
}

/* --- chunks --------------------------------------------------------------------------------------------------- */

/* choice: the chunk's one choice as JSON; empty in the last chunk, which carries the usage. */
static void write_chunk(struct turn *t, const struct job_view *job, struct str choice)
{
    struct buf data = { 0 };
    struct json_writer w = { .out = &data };
    jw_begin_object(&w);
    put_head(&w, t);
    jw_key(&w, "choices");
    jw_begin_array(&w);
    if (choice.len)
        jw_raw(&w, choice);
    jw_end_array(&w);
    if (!choice.len) {
        put_usage(&w, job);
        jw_key(&w, "thinkd");
        put_thinkd(&w, t, job);
    } else if (t->include_usage) {
        jw_key_cstring(&w, "usage", NULL);
    }
    jw_end_object(&w);
    turn_write(t, NULL, buf_str(&data));
    buf_free(&data);
}

/* A piece of one choice with n of its tokens from first on. */
static void write_piece(struct turn *t, const struct job_view *job, size_t choice, struct str text,
                        size_t first, size_t n, const char *finish)
{
    struct completions_line *l = &t->completions->lines[choice];
    struct token_table table = { t, job, choice, first, n, echo_of(t, choice), &l->in_prompt, &l->in_text };
    struct buf data = { 0 };
    struct json_writer w = { .out = &data };
    put_choice(&w, choice, STR(""), text, t->logprobs && n ? &table : NULL, finish);
    write_chunk(t, job, buf_str(&data));
    buf_free(&data);
}

static void write_echo(struct turn *t, const struct job_view *job, size_t choice)
{
    struct completions_line *l = &t->completions->lines[choice];
    if (t->completions->echo && !l->echoed)
        write_piece(t, job, choice, echo_of(t, choice), 0, job->choices[choice].n_prompt_tokens, NULL);
    l->echoed = true;
}

static void write_text(struct turn *t, const struct job_event *ev, const struct job_view *job)
{
    write_echo(t, job, ev->choice);
    write_piece(t, job, ev->choice, ev->text, ev->first_token, ev->n_tokens, NULL);
}

/* A choice that failed or was cancelled has no reason of its own: what happened follows as an error. */
static void write_finish(struct turn *t, const struct job_event *ev, const struct job_view *job)
{
    enum engine_finish finish = job->choices[ev->choice].finish;
    if (finish == FINISH_CANCELLED)
        return;
    write_echo(t, job, ev->choice);
    write_piece(t, job, ev->choice, STR(""), ev->first_token, ev->n_tokens, finish_name(finish));
}

static void write_end(struct turn *t, const struct job_view *job)
{
    if (job->status == JOB_FAILED || job->status == JOB_CANCELLED)
        turn_write_failure(t, job);
    else if (t->include_usage)
        write_chunk(t, job, STR(""));
}

void completions_put(void *turn, const struct job_event *ev, const struct job_view *job)
{
    struct turn *t = turn;
    switch (ev->kind) {
    case JOB_EV_TEXT_DELTA: write_text(t, ev, job); break;
    case JOB_EV_CHOICE_DONE: write_finish(t, ev, job); break;
    case JOB_EV_ENDED: write_end(t, job); break;
    default: break; /* a completion has no items */
    }
}
