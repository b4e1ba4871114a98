/*
 * echo.c - an engine without weights, for tests: it repeats the last user message.
 *
 * Its tokens are words. It thinks by walking through the message ("Word 1 is \"What\"."), four tokens a
 * word, then answers with the message itself, so budgets, stages, stops and counts can be checked to the
 * token. It goes through the same sequence.c and batch.c as a real model and keeps the same promises.
 * Sampling settings matter to /random alone. A message that starts with one of these words does something
 * else; there is no other way to steer it, and no real engine reads them:
 *
 *   /count N   answers with the numbers 1 to N
 *   /endless   counts until it is stopped
 *   /ponder    thinks until its budget closes the thought, then answers "Done."
 *   /random N  answers with N random digits: the same for the same seed and choice
 *   /hold N    answers with N numbers, then waits until it is cancelled or released
 *   /release   lets every /hold that runs go on to its end (where none runs, the next); answers "Released."
 *   /fail      fails after three words of its answer
 *
 * A holding sequence costs nothing: the engine sleeps in its mailbox. So a test can look at a half-finished
 * stream for as long as it likes, without a clock.
 *
 * Threads: prompts on any, the rest on the engine's.
 */
#include "base/arena.h"
#include "engine/engine_impl.h"

#include <string.h>

#define ECHO_CONTEXT  200000 /* tokens, where the configuration names none */
#define ECHO_THINKING 64     /* T: small, so that short messages show the budgets */

/* Ids: three controls, the closing sentence, the script's pieces, and numbers from NUMBER up. */
enum { ID_OPEN, ID_CLOSE, ID_END, ID_CLOSING };
static const char *const closing_words[] = { "\nTime", " is", " up", " for", " thinking.\n" };
static const int32_t closing_ids[] = { ID_CLOSING, ID_CLOSING + 1, ID_CLOSING + 2, ID_CLOSING + 3,
                                       ID_CLOSING + 4 };
#define ID_PIECE   (ID_CLOSING + (int32_t)ARRAY_LEN(closing_words))
#define ID_NUMBER  (1 << 30)
#define NUMBER_MAX 1000000

enum act { ACT_REPEAT, ACT_COUNT, ACT_ENDLESS, ACT_PONDER, ACT_RANDOM, ACT_HOLD, ACT_RELEASE, ACT_FAIL };

/* What the model will say to one prompt. Read-only once made, shared by the prompt's sequences. */
struct echo_script {
    struct arena arena;
    struct str *pieces; /* [n_thought + n_answer], the thought's first */
    size_t n_pieces, n_thought;
    enum act act;
    int64_t number; /* of /count, /random and /hold */
    bool think;
};

struct echo_state {
    int64_t thought_at, answer_at;
    bool released;
};

struct echo {
    struct sampler *digits;
    bool release_next;
};

static const struct {
    const char *word;
    enum act act;
    bool number;
    const char *answer; /* NULL: none of its own */
} directives[] = {
    { "/count", ACT_COUNT, true, NULL },
    { "/endless", ACT_ENDLESS, false, NULL },
    { "/ponder", ACT_PONDER, false, "Done." },
    { "/random", ACT_RANDOM, true, NULL },
    { "/hold", ACT_HOLD, true, NULL },
    { "/release", ACT_RELEASE, false, "Released." },
    { "/fail", ACT_FAIL, false, "This will fail." },
};

/* --- the script ------------------------------------------------------------------------------------ */

/* The first word of text with the blanks before it, and after it where it is the last. */
static struct str first_word(struct str text)
{
    size_t start = text.len - str_trim_start(text).len, end = start;
    while (end < text.len && str_trim(str_slice(text, end, end + 1)).len)
        end++;
    return str_trim(str_slice(text, end, text.len)).len ? str_slice(text, 0, end) : text;
}

static size_t count_words(struct str text)
{
    size_t n = 0;
    for (struct str word; text.len; text = str_slice(text, word.len, text.len), n++)
        word = first_word(text);
    return n;
}

static struct str put_piece(struct echo_script *s, struct str piece)
{
    return s->pieces[s->n_pieces++] = piece;
}

static void write_thought(struct echo_script *s, struct str message)
{
    size_t number = 1;
    for (struct str word; message.len; message = str_slice(message, word.len, message.len)) {
        word = first_word(message);
        struct str bare = str_trim(word);
        put_piece(s, STR("Word"));
        put_piece(s, str_from(arena_printf(&s->arena, " %zu", number++)));
        put_piece(s, STR(" is"));
        put_piece(s, str_from(arena_printf(&s->arena, " \"%.*s\".\n", STR_ARG(bare))));
    }
    s->n_thought = s->n_pieces;
}

static void write_answer(struct echo_script *s, struct str text)
{
    for (struct str word; text.len; text = str_slice(text, word.len, text.len))
        word = put_piece(s, first_word(text));
}

static enum err_code read_directive(struct echo_script *s, struct str message, struct str *answer,
                                    struct err *err)
{
    struct str word = str_trim(first_word(message));
    struct str rest = str_trim(str_slice(str_trim_start(message), word.len, message.len));
    for (size_t i = 0; i < ARRAY_LEN(directives); i++) {
        if (!str_is(word, directives[i].word))
            continue;
        s->act = directives[i].act;
        *answer = str_from(directives[i].answer);
        if (!directives[i].number)
            return ERR_OK;
        if (!str_to_i64(rest, &s->number) || s->number < 0 || s->number > NUMBER_MAX)
            return err_set(err, ERR_INVALID_VALUE, "messages", "Expected a number from 0 to %d after '%s'.",
                           NUMBER_MAX, directives[i].word);
        return ERR_OK;
    }
    return ERR_OK;
}

static void free_script(struct echo_script *s)
{
    arena_free(&s->arena);
    mem_free(s->pieces);
    mem_free(s);
}

static enum err_code echo_prompt(const struct engine *e, const struct engine_chat *chat,
                                 struct engine_prompt *p, struct err *err)
{
    struct str message = { 0 };
    size_t i;
    json_t *m;
    p->tokens = 1; /* the turn that is to be written */
    json_array_foreach(chat->messages, i, m)
    {
        const json_t *content = json_object_get(m, "content");
        const char *role = json_string_value(json_object_get(m, "role"));
        if (!json_is_string(content) || !role)
            return err_set(err, ERR_INVALID_VALUE, "messages", "A message needs a role and a text.");
        struct str text = { json_string_value(content), json_string_length(content) };
        p->tokens += 1 + (int64_t)count_words(text);
        if (strcmp(role, "user") == 0)
            message = text;
    }
    if (p->tokens >= e->info.context)
        return ERR_OK; /* the front door refuses it; no script is worth writing */
    struct echo_script *s = mem_zalloc(sizeof *s);
    p->script = s;
    p->free_script = free_script;
    p->start = ENGINE_ANSWER;
    s->think = chat->think;
    message = arena_str(&s->arena, message);
    struct str answer = message;
    enum err_code code = read_directive(s, message, &answer, err);
    if (code)
        return code;
    s->pieces = mem_array(4 * count_words(message) + count_words(answer), sizeof *s->pieces);
    write_thought(s, message);
    write_answer(s, answer);
    return ERR_OK;
}

/* --- the vocabulary -------------------------------------------------------------------------------- */

static void echo_put(const void *ctx, struct detok *d, int32_t id, struct buf *out)
{
    const struct echo_script *s = ctx;
    (void)d; /* words are whole characters */
    if (id >= ID_NUMBER)
        buf_printf(out, " %d", (int)(id - ID_NUMBER));
    else if (id >= ID_PIECE)
        buf_put_str(out, s->pieces[id - ID_PIECE]);
    else if (id >= ID_CLOSING)
        buf_puts(out, closing_words[id - ID_CLOSING]);
}

static bool echo_ends(const void *ctx, int32_t id)
{
    (void)ctx;
    return id == ID_END;
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
    };
    if (e->info.thinking_tokens > e->info.context / 4)
        e->info.thinking_tokens = e->info.context / 4;
    e->echo = mem_zalloc(sizeof *e->echo);
    e->echo->digits = sampler_open(10);
    return ERR_OK;
}

static void echo_close(struct engine *e)
{
    if (e->echo)
        sampler_close(e->echo->digits);
    mem_free(e->echo);
}

static bool echo_admit(struct engine *e, struct sequence *s)
{
    struct spelling spelling = { s->prompt->script,     echo_put, echo_ends, ID_OPEN, ID_CLOSE, closing_ids,
                                 ARRAY_LEN(closing_ids) };
    sequence_start(s, &spelling, e->info.context);
    s->echo = mem_zalloc(sizeof *s->echo);
    s->state = SEQUENCE_DECODE;
    return true;
}

static void echo_leave(struct engine *e, struct sequence *s)
{
    (void)e;
    mem_free(s->echo);
    s->echo = NULL;
}

static void release(struct engine *e)
{
    bool any = false;
    for (size_t i = 0; i < e->n_running; i++) {
        struct sequence *s = e->running[i];
        const struct echo_script *script = s->prompt->script;
        if (script->act == ACT_HOLD && !s->echo->released) {
            s->echo->released = true;
            any = true;
        }
    }
    e->echo->release_next = !any;
}

static bool holds(struct engine *e, const struct sequence *s)
{
    const struct echo_script *script = s->prompt->script;
    struct echo_state *at = s->echo;
    bool thinks = s->stage == ENGINE_THINKING || (script->think && !s->thought);
    if (script->act != ACT_HOLD || thinks || at->answer_at < script->number)
        return false;
    if (e->echo->release_next) {
        at->released = true;
        e->echo->release_next = false;
    }
    return !at->released;
}

static int32_t next_thought(const struct echo_script *script, struct echo_state *at)
{
    if (script->act == ACT_PONDER)
        return ID_NUMBER + (int32_t)(1 + at->thought_at++ % NUMBER_MAX);
    if (at->thought_at < (int64_t)script->n_thought)
        return ID_PIECE + (int32_t)at->thought_at++;
    return ID_CLOSE;
}

static int32_t next_answer(struct engine *e, const struct sequence *s, double uniform)
{
    static const float level[10] = { 0 };
    const struct echo_script *script = s->prompt->script;
    int64_t at = s->echo->answer_at++;
    switch (script->act) {
    case ACT_COUNT:
    case ACT_HOLD: return at < script->number ? ID_NUMBER + 1 + (int32_t)at : ID_END;
    case ACT_ENDLESS: return ID_NUMBER + (int32_t)(1 + at % NUMBER_MAX);
    case ACT_RANDOM:
        if (at >= script->number)
            return ID_END;
        return ID_NUMBER + sampler_pick(e->echo->digits, level, s->params.temperature, s->params.top_p,
                                        s->params.min_p, uniform);
    default:
        if (script->act == ACT_RELEASE && at == 0)
            release(e);
        at += (int64_t)script->n_thought;
        return at < (int64_t)script->n_pieces ? ID_PIECE + (int32_t)at : ID_END;
    }
}

static void advance(struct engine *e, struct sequence *s)
{
    const struct echo_script *script = s->prompt->script;
    double uniform = rng_unit(&s->rng);
    if (script->act == ACT_FAIL && s->echo->answer_at == (int64_t)(script->n_pieces - script->n_thought)) {
        struct err err;
        err_set(&err, ERR_SERVER, NULL, "The echo engine was asked to fail.");
        batch_fail(e, s, &err);
        return;
    }
    int32_t id = -1; /* where the next token is forced, nobody asks the model */
    if (sequence_forced(s) >= 0)
        ;
    else if (s->stage == ENGINE_THINKING)
        id = next_thought(script, s->echo);
    else if (script->think && !s->thought)
        id = ID_OPEN;
    else
        id = next_answer(e, s, uniform);
    batch_token(e, s, id);
}

static bool echo_step(struct engine *e)
{
    bool advanced = false;
    for (size_t i = 0; i < e->n_running; i++) {
        struct sequence *s = e->running[i];
        if (holds(e, s))
            continue;
        advance(e, s);
        advanced = true;
    }
    return advanced;
}

const struct engine_ops engine_echo = {
    .kind = "echo",
    .open = echo_open,
    .close = echo_close,
    .prompt = echo_prompt,
    .admit = echo_admit,
    .leave = echo_leave,
    .step = echo_step,
};
