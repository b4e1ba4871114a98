/*
 * reply_impl.h - a job as the API shows it: the Response object and its events, chat's and the text completions' objects and
 * chunks, log-probabilities, the extension.
 *
 * Threads: the conductor's, which calls these with a job_view in its hands.
 */
#ifndef THINKD_API_REPLY_IMPL_H
#define THINKD_API_REPLY_IMPL_H

#include "api/turn_impl.h"

/* A place in a text, walked forwards: its byte and how many characters begin before it. */
struct text_place {
    size_t byte;
    int64_t chars;
};
/* What completions alone ask for. */
struct completions_ask {
    bool echo, tokens_as_ids;
    int64_t tokens_max;
    double min_p;
    const json_t *prompt;           /* borrowed from doc until the prompts are made */
    struct str *echoed;             /* [n_prompts] with echo: each prompt's text */
    struct completions_line *lines; /* streams: one per choice */
};
/* How far a choice's stream has come. */
struct completions_line {
    bool echoed; /* the prompt was sent */
    struct text_place in_prompt, in_text;
};

/* --- replies ---------------------------------------------------------------------------------------- */

/* response.c: the Response object and its items. added: the item as response.output_item.added shows it. */
void put_response(struct json_writer *w, const struct turn *t, const struct job_view *job);
void put_item(struct json_writer *w, const struct turn *t, const struct job_view *job,
              const struct job_item *item, bool added);
/* The part of a message that is done: its text, or its refusal; and the list of its tokens, [] where they were not asked for. */
void put_message_part(struct json_writer *w, const struct turn *t, const struct job_view *job,
                      const struct job_item *item);
void put_item_tokens(struct json_writer *w, const struct turn *t, const struct job_view *job,
                     const struct job_item *item);
/* events.c: one job event as the API shows it. */
void events_encode(void *turn, const struct job_event *ev, const struct job_view *job, struct buf *json);
/* The Response object that an encoded event ends with, a view of it; empty: it has none. */
struct str event_response(struct str event);
/* chat_reply.c: chat's object and chunks. */
void chat_reply(struct turn *t, const struct job_view *job, struct buf *body);
void chat_put(void *turn, const struct job_event *ev, const struct job_view *job);
/* completions_reply.c: the text completion and its chunks. */
void completions_reply(struct turn *t, const struct job_view *job, struct buf *body);
void completions_put(void *turn, const struct job_event *ev, const struct job_view *job);

/* What was generated for a choice so far; "length" or "stop". */
struct str choice_text(const struct job_view *job, size_t choice);
bool choice_refuses(const struct job_view *job, size_t choice); /* that text is a refusal */
const char *finish_name(enum engine_finish finish);

/* --- extension.c --------------------------------------------------------------------------------------- */

/* The value of "thinkd": cost, route, budget, effort, seed, inactive_tools. */
void put_thinkd(struct json_writer *w, const struct turn *t, const struct job_view *job);
bool job_over(const struct job_view *job);

/* --- routed.c --------------------------------------------------------------------------------------------- */

struct money { /* nano-dollars */
    int64_t in, out;
};
/* Of all steps, each at its tier's price. */
struct money job_cost(const struct turn *t, const struct job_view *job);
/* Who answers, as far as that is known: its tier, its name in replies, the effort. */
const struct tier *answering_tier(const struct turn *t, const struct job_view *job);
const char *answering_name(const struct turn *t, const struct job_view *job);
enum effort answering_effort(const struct job_view *job);
int64_t route_thinking_max(const struct job_view *job); /* of the steps that were taken */
/* The values of "route", and of "steps" of the cost: [] where nobody else was asked. */
void put_route(struct json_writer *w, const struct turn *t, const struct job_view *job);
void put_step_costs(struct json_writer *w, const struct job_view *job);

/* --- logprobs.c ------------------------------------------------------------------------------------------ */

/* The value of a list of tokens as chat and Responses have it: first, first + 1 ... of a choice. */
void put_token_list(struct json_writer *w, const struct turn *t, const struct job_view *job, size_t choice,
                    size_t first, size_t n);
/* The members tokens, token_logprobs, top_logprobs and text_offset of completions. The choice's text stands behind
 * prompt, which is empty without echo; both places are carried from one piece of a stream to the next. */
struct token_table {
    const struct turn *turn;
    const struct job_view *job;
    size_t choice, first, n;
    struct str prompt;
    struct text_place *in_prompt, *in_text;
};
void put_token_table(struct json_writer *w, const struct token_table *table);
void put_logprob(struct json_writer *w, float logprob); /* NAN writes null */

#endif
