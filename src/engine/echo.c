/*
 * echo.c - an engine without weights, for tests: it repeats the last message of a user, or of a tool that answers.
 *
 * Its tokens are words. It thinks by walking through the message ("Word 1 is \"What\"."), four tokens a
 * word, then answers with the message itself, so budgets, stages, stops and counts can be checked to the
 * token. It goes through the same sequence.c and batch.c as a real model and keeps the same promises; a prompt of text
 * or ids is answered like a message that asks for no thinking. Sampling settings, penalties and biases matter to /random alone. A message
 * that starts with one of these words does something else; there is no other way to steer it, and no real engine
 * reads them:
 *
 *   /count N   answers with the numbers 1 to N
 *   /endless   counts until it is stopped
 *   /ponder    thinks until its budget closes the thought, then answers "Done."
 *   /random N  answers with N random digits: the same for the same seed and choice
 *   /hold N    answers with N numbers, then waits until it is cancelled or released
 *   /release   lets every /hold that runs go on to its end (where none runs, the next); answers "Released."
 *   /fail      fails after three words of its answer
 *   /vote A B ...   stream i (of a request's lines of thought or choices) answers with the i-th word, from the first again
 *              behind the last; "_" in it is a blank. After "!" it fails instead, after "@" it waits first, as /hold does
 *   /again M   answers with M, and may be sent back to think: "<|turn|> 2" is what does it
 *
 * A grammar is followed byte by byte: words are said as long as all of their bytes are accepted; where they are not, or the
 * script ends too early, the shortest text that makes the answer whole is said instead. Nothing is forced ahead. Where it may
 * refuse, an answer that begins "I cannot" does.
 *
 * A holding sequence costs nothing: the engine sleeps in its mailbox. So a test can look at a half-finished
 * stream for as long as it likes, without a clock.
 *
 * Log-probabilities are made up, but the same for the same token at the same place, and fit together: the token at
 * place i (of the prompt, or of the output) has -(1 + h % 8) / 8 with h a mix of its id and i, and is the
 * likeliest; the 19 next ones are numbers from 1000 on, each half as likely as the one before it, which together
 * with the first make up 1 but for the last 2^-19 of the rest. /random's digits have log(1/10) each.
 *
 * A past (engine_params) is as many tokens of its own script and its own draws; their ids are not looked at, since another
 * engine's words have other numbers. What it did in the past it does not do again: a /hold is taken to have been released
 * where more came, a /release releases nobody.
 *
 * Threads: prompts and spelling on any, the rest on the engine's.
 */
#include "engine/engine_impl.h"

#include <assert.h>
#include <math.h>

#define ECHO_CONTEXT  200000 /* tokens, where the configuration names none */
#define ECHO_THINKING 64     /* T: small, so that short messages show the budgets */
#define DIGITS        10

static const int32_t closing_ids[] = { ECHO_CLOSING, ECHO_CLOSING + 1, ECHO_CLOSING + 2, ECHO_CLOSING + 3,
                                       ECHO_CLOSING + 4 };
static const int32_t marker_ids[] = { ECHO_CLOSE };
static const int32_t again_ids[] = { ECHO_TURN, ECHO_NUMBER + 2 };
static const int32_t end_ids[] = { ECHO_END };

struct echo {
    struct words *words;
    struct sampler *digits;
    bool release_next;
};

/* --- prompts ----------------------------------------------------------------------------------------- */

static enum err_code make_script(const struct engine *e, struct engine_prompt *p, struct str message,
                                 bool think, struct err *err)
{
    p->free_script = script_close;
    return script_open(&p->script, e->echo->words, message, think, err);
}

/* The words of one member of a message, if it is there. */
static enum err_code echo_member(const struct engine *e, struct engine_prompt *p, const json_t *member,
                                 struct err *err)
{
    struct str text = { json_string_value(member), json_string_length(member) };
    if (!json_is_string(member))
        return ERR_OK;
    p->tokens += (int64_t)script_count(text);
    if (p->tokens >= e->info.context)
        return ERR_OK; /* the front door refuses it; no id is worth giving */
    return script_words(e->echo->words, text, &p->ids, err);
}

/* Who says it and what was thought before are in the prompt as a template would have them: tests see them in its length. */
static enum err_code echo_message(const struct engine *e, struct engine_prompt *p, const json_t *m,
                                  struct err *err)
{
    static const char *const members[] = { "name", "reasoning_content", "content" };
    enum err_code code = ERR_OK;
    p->tokens++;
    ids_put(&p->ids, ECHO_MESSAGE);
    for (size_t i = 0; i < ARRAY_LEN(members) && !code; i++)
        code = echo_member(e, p, json_object_get(m, members[i]), err);
    return code;
}

static enum err_code echo_chat(const struct engine *e, const struct engine_chat *chat,
                               struct engine_prompt *p, struct err *err)
{
    struct str message = { 0 };
    size_t i;
    json_t *m;
    enum err_code code = ERR_OK;
    p->tokens = 1; /* the turn that is to be written */
    json_array_foreach(chat->messages, i, m)
    {
        const json_t *content = json_object_get(m, "content");
        const char *role = json_string_value(json_object_get(m, "role"));
        if (!json_is_string(content) || !role)
            return err_set(err, ERR_INVALID_VALUE, "messages", "A message needs a role and a text.");
        if (!code)
            code = echo_message(e, p, m, err);
        if (str_is(str_from(role), "user") || str_is(str_from(role), "tool"))
            message = (struct str){ json_string_value(content), json_string_length(content) };
    }
    ids_put(&p->ids, ECHO_TURN);
    if (code || p->tokens >= e->info.context)
        return code;
    return make_script(e, p, message, chat->think, err);
}

static enum err_code echo_text(const struct engine *e, struct str text, bool special, struct engine_prompt *p,
                               struct err *err)
{
    (void)special; /* no word is a control token */
    p->tokens = (int64_t)script_count(text);
    if (p->tokens >= e->info.context)
        return ERR_OK; /* the front door refuses it */
    enum err_code code = script_words(e->echo->words, text, &p->ids, err);
    return code ? code : make_script(e, p, text, false, err);
}

static enum err_code echo_ids(const struct engine *e, struct engine_prompt *p, struct err *err)
{
    struct buf text = { 0 };
    for (size_t i = 0; i < p->ids.len; i++)
        buf_put_str(&text, words_text(e->echo->words, p->ids.ptr[i]));
    enum err_code code = make_script(e, p, buf_str(&text), false, err);
    buf_free(&text);
    return code;
}

/* --- the vocabulary -------------------------------------------------------------------------------- */

static bool echo_knows(const struct engine *e, int32_t id)
{
    return words_known(e->echo->words, id);
}

static struct str echo_spell(const struct engine *e, int32_t id)
{
    return words_text(e->echo->words, id);
}

static void put_text(const void *ctx, struct detok *d, int32_t id, struct buf *out)
{
    const struct echo *echo = ctx;
    (void)d; /* words are whole characters */
    if (id >= ECHO_NUMBER)
        buf_printf(out, " %d", (int)(id - ECHO_NUMBER)); /* without making a word of it */
    else if (id >= ECHO_CLOSING)
        buf_put_str(out, words_text(echo->words, id));
}

/* reply_scan_put for a pair of markers. */
static bool scan(const void *ctx, struct reply_scan *s, int32_t id, bool *ends)
{
    (void)ctx;
    bool thinks = s->part == REPLY_THOUGHT, text = id >= ECHO_CLOSING;
    *ends = id == ECHO_END;
    if (id == ECHO_OPEN && !s->thought && !s->shown) {
        s->part = REPLY_THOUGHT;
        s->thought = true;
    } else if (id == ECHO_CLOSE && thinks) {
        s->part = REPLY_TEXT;
    }
    s->shown |= text && !thinks;
    return text;
}

/* --- made-up logits ----------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu; /* MurmurHash3's finisher */
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

/* Logits that are log-probabilities already. */
static void make_row(int32_t id, int64_t place, struct logit_summary *row)
{
    uint64_t h = mix((uint64_t)id << 32 ^ (uint64_t)place);
    float first = -(float)(1 + h % 8) / 8;
    double rest = log1p(-exp((double)first));
    *row = (struct logit_summary){
        .max = first, .argmax = id, .log_sum = -(double)first, .n_top = CONFIDENCE_TOP
    };
    row->top[0] = id;
    row->top_logit[0] = first;
    for (int k = 1; k < row->n_top; k++) {
        int32_t other = ECHO_NUMBER + 1000 + (int32_t)(h % 1000) + k;
        row->top[k] = other == id ? ECHO_NUMBER + 3000 : other;
        row->top_logit[k] = (float)(rest - k * log(2));
    }
}

/* --- the engine ------------------------------------------------------------------------------------ */

static enum err_code echo_open(struct engine *e, const struct engine_config *cfg, struct err *err)
{
    if (cfg->model_path)
        return err_set(err, ERR_CONFIG, "model", "The echo engine reads no model file; leave 'model' out.");
    e->info = (struct engine_info){
        .model = "echo",
        .description = "repeats the question, for tests",
        .context = cfg->context ? cfg->context : ECHO_CONTEXT,
        .thinking_tokens = ECHO_THINKING,
        .thinks = true,
        .refusal = "I cannot",
        .temperature = NAN,
        .top_p = NAN,
        .min_p = NAN,
    };
    if (e->info.thinking_tokens > e->info.context / 4)
        e->info.thinking_tokens = e->info.context / 4;
    e->echo = mem_zalloc(sizeof *e->echo);
    e->echo->words = words_open();
    e->echo->digits = sampler_open(&kernels_scalar, DIGITS);
    return bind_open_refusal(&e->info.refusals, str_from(e->info.refusal), err);
}

static void echo_close(struct engine *e)
{
    if (!e->echo)
        return;
    sampler_close(e->echo->digits);
    words_close(e->echo->words);
    grammar_unref(e->info.refusals);
    mem_free(e->echo);
}

static bool encode(const void *ctx, struct str text, bool special, struct ids *out)
{
    const struct echo *echo = ctx;
    struct err err;
    (void)special; /* no word is a control token */
    return script_words(echo->words, text, out, &err) == ERR_OK;
}

static void echo_start(struct engine *e, struct sequence *s)
{
    struct spelling spelling = { .ctx = e->echo,
                                 .put = put_text,
                                 .scan = scan,
                                 .encode = encode,
                                 .ends = end_ids,
                                 .n_ends = ARRAY_LEN(end_ids),
                                 .renumbers = true };
    if (!s->prompt->raw) {
        spelling.closing = closing_ids;
        spelling.n_closing = ARRAY_LEN(closing_ids);
        spelling.markers = marker_ids;
        spelling.n_markers = ARRAY_LEN(marker_ids);
        spelling.again = again_ids;
        spelling.n_again = s->prompt->script->act == ACT_AGAIN ? ARRAY_LEN(again_ids) : 0;
    }
    sequence_start(s, &spelling, NULL, &e->info);
}

static enum admission echo_admit(struct engine *e, struct sequence *s)
{
    (void)e;
    s->state = SEQUENCE_DECODE;
    return ADMITTED;
}

static void echo_leave(struct engine *e, struct sequence *s)
{
    (void)e; /* it holds nothing, and its place in the script stays with it */
    (void)s;
}

/* Which of /vote's answers is the sequence's, and where it begins and ends among them. */
static char vote_of(const struct sequence *s, int64_t *begin, int64_t *end)
{
    const struct echo_script *script = s->prompt->script;
    size_t i = s->params.stream % script->votes.len;
    *begin = i ? script->votes.ptr[i - 1] : 0;
    *end = script->votes.ptr[i];
    return script->signs.ptr[i];
}

static bool may_hold(const struct sequence *s)
{
    int64_t begin, end;
    const struct echo_script *script = s->prompt->script;
    return script->act == ACT_HOLD || (script->act == ACT_VOTE && vote_of(s, &begin, &end) == '@');
}

static void release(struct engine *e)
{
    bool any = false;
    for (size_t i = 0; i < e->n_running; i++) {
        struct sequence *s = e->running[i];
        if (may_hold(s) && !s->released) {
            s->released = true;
            any = true;
        }
    }
    e->echo->release_next = !any;
}

static bool owes_thought(const struct sequence *s)
{
    return s->prompt->script->think && !s->scan.thought;
}

static bool is_at_hold(const struct sequence *s)
{
    const struct echo_script *script = s->prompt->script;
    bool answers = !sequence_thinks(s) && !owes_thought(s);
    return may_hold(s) && answers && (script->act == ACT_VOTE || s->answer_at >= script->number);
}

static bool holds(struct engine *e, struct sequence *s)
{
    if (!is_at_hold(s))
        return false;
    if (e->echo->release_next) {
        s->released = true;
        e->echo->release_next = false;
    }
    return !s->released;
}

static int32_t next_thought(const struct echo_script *script, struct sequence *s)
{
    if (script->act == ACT_PONDER)
        return ECHO_NUMBER + (int32_t)(1 + s->thought_at++ % ECHO_NUMBER_MAX);
    if (s->thought_at < (int64_t)script->n_thought)
        return script->pieces.ptr[s->thought_at++];
    return ECHO_CLOSE;
}

static int32_t next_answer(const struct echo_script *script, struct sequence *s)
{
    int64_t at = s->answer_at++;
    switch (script->act) {
    case ACT_COUNT:
    case ACT_HOLD: return at < script->number ? ECHO_NUMBER + 1 + (int32_t)at : ECHO_END;
    case ACT_VOTE: {
        int64_t begin, end;
        vote_of(s, &begin, &end);
        return begin + at < end ? script->pieces.ptr[(int64_t)script->n_thought + begin + at] : ECHO_END;
    }
    case ACT_ENDLESS: return ECHO_NUMBER + (int32_t)(1 + at % ECHO_NUMBER_MAX);
    default:
        at += (int64_t)script->n_thought;
        return at < (int64_t)script->pieces.len ? script->pieces.ptr[at] : ECHO_END;
    }
}

/* What the model says next, and of it. */
struct saying {
    int32_t id;
    float logit; /* of id */
    struct logit_summary row;
};

static void say_digit(struct engine *e, struct sequence *s, double uniform, struct saying *out)
{
    static const float level[DIGITS] = { 0 };
    const struct engine_params *p = &s->params;
    float bent[DIGITS];
    struct logit_summary row;
    for (int32_t i = 0; i < DIGITS; i++)
        bent[i] = adjust_logit(s, ECHO_NUMBER + i, level[i]);
    kernels_scalar.summarize_logits(level, DIGITS, DIGITS, &out->row);
    kernels_scalar.summarize_logits(bent, DIGITS, DIGITS, &row);
    int32_t digit =
        sampler_pick(e->echo->digits, bent, &row, true, p->temperature, p->top_p, p->min_p, uniform);
    for (int i = 0; i < out->row.n_top; i++)
        out->row.top[i] += ECHO_NUMBER;
    out->id = ECHO_NUMBER + digit;
    out->logit = level[digit];
    s->answer_at++;
}

static bool is_random(const struct sequence *s)
{
    const struct echo_script *script = s->prompt->script;
    return script->act == ACT_RANDOM && s->answer_at < script->number;
}

static void say(struct engine *e, struct sequence *s, double uniform, struct saying *out)
{
    const struct echo_script *script = s->prompt->script;
    if (sequence_thinks(s)) {
        out->id = next_thought(script, s);
    } else if (owes_thought(s)) {
        out->id = ECHO_OPEN;
    } else if (is_random(s)) {
        say_digit(e, s, uniform, out);
        return;
    } else {
        out->id = next_answer(script, s);
    }
    make_row(out->id, s->output_tokens, &out->row);
    out->logit = out->row.max;
}

static bool fails(const struct sequence *s)
{
    const struct echo_script *script = s->prompt->script;
    int64_t begin, end;
    if (script->act == ACT_VOTE && vote_of(s, &begin, &end) == '!')
        return !sequence_thinks(s) && !owes_thought(s);
    return script->act == ACT_FAIL && s->answer_at == (int64_t)(script->pieces.len - script->n_thought);
}

static int32_t echo_recall(struct engine *e, struct sequence *s, int32_t past, double uniform)
{
    struct saying saying;
    (void)past;
    if (fails(s))
        return -1;
    s->released |= is_at_hold(s);
    say(e, s, uniform, &saying);
    return saying.id;
}

static void advance(struct engine *e, struct sequence *s)
{
    double uniform = rng_unit(&s->rng);
    if (fails(s)) {
        struct err err;
        err_set(&err, ERR_SERVER, NULL, "The echo engine was asked to fail.");
        batch_fail(e, s, &err);
        return;
    }
    if (sequence_forced(s, 0) >= 0) { /* nobody asks the model */
        batch_token(e, s, -1, NULL, 0);
        return;
    }
    struct saying saying;
    int64_t answered = s->answer_at;
    bool owed = owes_thought(s);
    say(e, s, uniform, &saying);
    if (s->prompt->script->act == ACT_RELEASE && answered == 0 && s->answer_at == 1)
        release(e);
    /* What its grammar does not take is not said, but what closes the answer. */
    if (bind_holds(s) && !owed && !bind_allows(s, saying.id) && bind_close(s))
        batch_token(e, s, -1, NULL, 0);
    else
        batch_token(e, s, saying.id, &saying.row, saying.logit);
}

static void tell_prompt(struct engine *e, struct sequence *s)
{
    while (s->prompt_told < s->prompt->tokens) {
        struct logit_summary row;
        make_row(s->prompt->ids.ptr[s->prompt_told], s->prompt_told, &row);
        batch_prompt_token(e, s, s->prompt_told ? &row : NULL, row.max);
    }
}

static bool echo_step(struct engine *e)
{
    bool advanced = false;
    for (size_t i = 0; i < e->n_running; i++) {
        struct sequence *s = e->running[i];
        if (s->params.prompt_logprobs)
            tell_prompt(e, s);
        if (s->params.tokens_max == 0)
            batch_done(e, s);
        else if (!holds(e, s))
            advance(e, s);
        else
            continue;
        advanced = true;
    }
    return advanced;
}

const struct engine_ops engine_echo = {
    .kind = "echo",
    .open = echo_open,
    .close = echo_close,
    .chat = echo_chat,
    .text = echo_text,
    .ids = echo_ids,
    .knows = echo_knows,
    .spell = echo_spell,
    .start = echo_start,
    .recall = echo_recall,
    .admit = echo_admit,
    .leave = echo_leave,
    .step = echo_step,
};
