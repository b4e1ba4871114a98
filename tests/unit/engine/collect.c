/*
 * collect.c - see collect.h.
 */
#include "collect.h"

#include "test.h"

#include <string.h>

static const char *check(struct collected *s, const struct engine_event *ev)
{
    if (s->ends)
        return "an event after the end";
    if (ev->kind == ENGINE_FAILED && s->events == 0) /* what counts a past may have fallen short of it */
        return NULL;
    if (ev->output_tokens < s->output_tokens || ev->thinking_tokens < s->thinking_tokens)
        return "totals fell";
    if (ev->thinking_tokens > ev->output_tokens || ev->output_tokens > s->output_tokens + 1)
        return "totals do not fit";
    if (ev->kind == ENGINE_TEXT && ev->text.len && !utf8_valid(ev->text))
        return "half a character";
    if (ev->kind == ENGINE_PROMPT && ev->output_tokens)
        return "a token of the prompt behind the output";
    if ((ev->kind == ENGINE_PROMPT || ev->output_tokens > s->output_tokens) != (ev->token.id >= 0))
        return "a token too many, or one too few";
    if (s->events && ev->cached_tokens != s->cached_tokens && s->output_tokens)
        return "cached_tokens changed";
    if (ev->kind == ENGINE_TEXT && ev->stage == ENGINE_THINKING && s->answering)
        return "back to thinking";
    return NULL;
}

static void keep(struct engine_token **list, size_t *n, size_t *cap, const struct engine_token *t)
{
    if (*n == *cap) {
        *cap = *cap ? 2 * *cap : 16;
        *list = mem_realloc(*list, *cap * sizeof **list);
    }
    (*list)[(*n)++] = *t;
}

/* Of the token that was kept last. */
static void mark(struct collected *s)
{
    s->marks = mem_realloc(s->marks, s->cap_tokens * sizeof *s->marks);
    s->marks[s->n_tokens - 1] = (struct collect_mark){ s->thought.len, s->answer.len, s->thinking_tokens };
}

static void put(void *ctx, const struct engine_event *ev)
{
    struct collector *c = ctx;
    pthread_mutex_lock(&c->lock);
    c->arrivals++;
    pthread_cond_broadcast(&c->news);
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_lock(&c->gate);
    pthread_mutex_unlock(&c->gate);
    pthread_mutex_lock(&c->lock);
    struct collected *s = &c->seqs[ev->seq % COLLECT_MAX];
    const char *wrong = check(s, ev);
    if (wrong && !c->wrong)
        c->wrong = wrong;
    if (ev->kind == ENGINE_PROMPT)
        keep(&s->prompt, &s->n_prompt, &s->cap_prompt, &ev->token);
    else if (ev->token.id >= 0)
        keep(&s->tokens, &s->n_tokens, &s->cap_tokens, &ev->token);
    s->confidence = ev->confidence;
    s->cached_tokens = ev->cached_tokens;
    s->output_tokens = ev->output_tokens;
    s->thinking_tokens = ev->thinking_tokens;
    c->events++;
    if (s->events++ == 0)
        s->first_event = c->events;
    if (ev->kind == ENGINE_TEXT) {
        s->answering |= ev->stage == ENGINE_ANSWER && ev->text.len;
        buf_put_str(ev->stage == ENGINE_THINKING ? &s->thought : &s->answer, ev->text);
        if (ev->token.id >= 0)
            mark(s);
    } else if (ev->kind != ENGINE_PROMPT) {
        s->ends++;
        s->order = ++c->ends;
        s->failed = ev->kind == ENGINE_FAILED;
        s->finish = ev->finish;
        s->closed_by_budget = ev->closed_by_budget;
        s->closed_by_grammar = ev->closed_by_grammar;
        s->err = ev->err;
    }
    pthread_cond_broadcast(&c->news);
    while (c->stops && ev->seq == c->stop_seq && ev->output_tokens >= c->stop_tokens)
        pthread_cond_wait(&c->news, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

struct collector *collect_open(const struct engine_config *cfg)
{
    struct collector *c = mem_zalloc(sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->gate, NULL);
    pthread_cond_init(&c->news, NULL);
    struct err err = { 0 };
    if (engine_open(&c->engine, cfg, (struct engine_sink){ .put = put, .ctx = c }, &err))
        fail_msg("%s", err.message);
    return c;
}

struct collector *collect_echo(void)
{
    return collect_open(&(struct engine_config){ .kind = "echo", .sequences_max = 64 });
}

void collect_engine_close(struct collector *c)
{
    engine_close(c->engine);
    c->engine = NULL;
}

void collect_close(struct collector *c)
{
    collect_engine_close(c);
    for (size_t i = 0; i < COLLECT_MAX; i++) {
        assert_true(c->seqs[i].events == 0 || c->seqs[i].ends == 1);
        buf_free(&c->seqs[i].thought);
        buf_free(&c->seqs[i].answer);
        mem_free(c->seqs[i].prompt);
        mem_free(c->seqs[i].tokens);
        mem_free(c->seqs[i].marks);
    }
    if (c->wrong)
        fail_msg("%s", c->wrong);
    pthread_mutex_destroy(&c->lock);
    pthread_mutex_destroy(&c->gate);
    pthread_cond_destroy(&c->news);
    mem_free(c);
}

struct engine_prompt *collect_prompt(struct collector *c, const char *message, bool think)
{
    json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", message);
    struct engine_prompt *p = NULL;
    struct err err = { 0 };
    const struct engine_chat chat = { .messages = messages, .effort = "medium", .think = think };
    if (engine_prompt_open(&p, c->engine, &chat, &err))
        fail_msg("%s", err.message);
    json_decref(messages);
    return p;
}

struct engine_prompt *collect_text_prompt(struct collector *c, const char *text)
{
    struct engine_prompt *p = NULL;
    struct err err = { 0 };
    if (engine_prompt_open_text(&p, c->engine, str_from(text), true, &err))
        fail_msg("%s", err.message);
    return p;
}

struct engine_params collect_params(int64_t tokens_max)
{
    return (struct engine_params){ .tokens_max = tokens_max, .think_tokens_max = -1, .top_p = 1 };
}

void collect_submit(struct collector *c, uint64_t seq, struct engine_prompt *prompt,
                    const struct engine_params *params)
{
    assert_true(seq < COLLECT_MAX);
    pthread_mutex_lock(&c->lock);
    c->seqs[seq].output_tokens = (int64_t)params->n_past;
    pthread_mutex_unlock(&c->lock);
    assert_true(engine_submit(c->engine, seq, prompt, params));
}

void collect_resume(struct collector *c, uint64_t seq, struct engine_prompt *prompt,
                    const struct engine_params *params, const struct collected *run, size_t n)
{
    struct engine_params p = *params;
    struct engine_past *past = mem_array(n ? n : 1, sizeof *past);
    assert_true(n <= run->n_tokens);
    for (size_t i = 0; i < n; i++)
        past[i] =
            (struct engine_past){ run->tokens[i].id, run->tokens[i].logprob, run->tokens[i].confidence };
    p.past = past;
    p.n_past = n;
    collect_submit(c, seq, prompt, &p);
    mem_free(past); /* the engine has its own */
}

const struct collected *collect_wait(struct collector *c, uint64_t seq)
{
    pthread_mutex_lock(&c->lock);
    while (!c->seqs[seq].ends)
        pthread_cond_wait(&c->news, &c->lock);
    pthread_mutex_unlock(&c->lock);
    return &c->seqs[seq];
}

void collect_wait_tokens(struct collector *c, uint64_t seq, int64_t tokens)
{
    pthread_mutex_lock(&c->lock);
    while (c->seqs[seq].output_tokens < tokens && !c->seqs[seq].ends)
        pthread_cond_wait(&c->news, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

const struct collected *collect_run(struct collector *c, uint64_t seq, const char *message, bool think,
                                    const struct engine_params *params)
{
    struct engine_prompt *p = collect_prompt(c, message, think);
    collect_submit(c, seq, p, params);
    engine_prompt_unref(p);
    return collect_wait(c, seq);
}

const char *collect_text(const struct buf *b)
{
    return b->len ? b->ptr : "";
}

static bool same_bits(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

void collect_same(const struct collected *a, const struct collected *b)
{
    assert_string_equal(collect_text(&a->thought), collect_text(&b->thought));
    assert_string_equal(collect_text(&a->answer), collect_text(&b->answer));
    assert_int_equal(a->output_tokens, b->output_tokens);
    assert_int_equal(a->thinking_tokens, b->thinking_tokens);
    assert_int_equal(a->finish, b->finish);
    assert_int_equal(a->closed_by_budget, b->closed_by_budget);
    assert_int_equal(a->closed_by_grammar, b->closed_by_grammar);
    assert_int_equal(a->n_tokens, b->n_tokens);
    for (size_t i = 0; i < a->n_tokens; i++) {
        assert_int_equal(a->tokens[i].id, b->tokens[i].id);
        assert_true(same_bits(a->tokens[i].logprob, b->tokens[i].logprob));
        assert_true(same_bits(a->tokens[i].confidence, b->tokens[i].confidence));
    }
    assert_int_equal(a->confidence.tokens, b->confidence.tokens);
    assert_true(same_bits(a->confidence.bottom_tenth, b->confidence.bottom_tenth));
}

void collect_hold(struct collector *c)
{
    pthread_mutex_lock(&c->gate);
}

void collect_wait_arrival(struct collector *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->arrivals == c->events)
        pthread_cond_wait(&c->news, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

void collect_let_go(struct collector *c)
{
    pthread_mutex_unlock(&c->gate);
}

static void set_stop(struct collector *c, bool stops, uint64_t seq, int64_t tokens)
{
    pthread_mutex_lock(&c->lock);
    c->stops = stops;
    c->stop_seq = seq;
    c->stop_tokens = tokens;
    pthread_cond_broadcast(&c->news);
    pthread_mutex_unlock(&c->lock);
}

void collect_stop_at(struct collector *c, uint64_t seq, int64_t tokens)
{
    set_stop(c, true, seq, tokens);
}

void collect_go_on(struct collector *c)
{
    set_stop(c, false, 0, 0);
}

struct engine_stats collect_stats(struct collector *c)
{
    struct engine_stats stats;
    engine_stats(c->engine, &stats);
    return stats;
}
