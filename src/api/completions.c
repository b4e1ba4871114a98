/*
 * completions.c - POST /v1/completions: every request field has a row here, as in chat.c.
 *
 * Text in, text out: no template, no thinking, no tools; what the model writes goes on where the prompt ends. It is
 * what evaluation harnesses and benchmarks call, so it follows what those send to other servers: several prompts in one
 * request, prompts of token ids, max_tokens 0, echo with the log-probabilities of the prompt.
 *
 * Choices are numbered prompt * n + i. Choice i of each prompt draws from (seed, i), so a prompt is answered alike in
 * any company of others.
 *
 * Control tokens spelled in a text prompt are found, as elsewhere: whoever renders a template on their own side sends
 * its result here.
 *
 * Threads: http's workers.
 */
#include "api/api_impl.h"

#define PROMPTS_MAX        64
#define PROMPT_CHARS_MAX   10485760
#define TOKENS_MAX_DEFAULT 16

struct completions_body {
    struct field_string model, user;
    struct field_json prompt, stop, stream_options, logit_bias;
    struct field_int max_tokens, n, best_of, logprobs, seed;
    struct field_real temperature, top_p, min_p, presence_penalty, frequency_penalty;
    struct field_bool stream, echo, ignore_eos, return_tokens_as_token_ids;
};
static const struct field completions_rows[] = {
    { FIELD_ROW(STRING, completions_body, model), .required = true },
    { FIELD_ROW(ANY, completions_body, prompt), .required = true },
    { FIELD_ROW(INT, completions_body, max_tokens), .min = 0, .max = -1 },
    { FIELD_ROW(REAL, completions_body, temperature), .min = 0, .max = 2 },
    { FIELD_ROW(REAL, completions_body, top_p), .min = 0, .max = 1 },
    { FIELD_ROW(REAL, completions_body, min_p), .min = 0, .max = 1 },
    { FIELD_ROW(INT, completions_body, n), .min = 1, .max = JOB_CHOICES_MAX },
    { FIELD_ROW(INT, completions_body, best_of), .min = 1, .max = JOB_CHOICES_MAX },
    { FIELD_ROW(INT, completions_body, logprobs), .min = 0, .max = ENGINE_TOP_LOGPROBS_MAX },
    { FIELD_ROW(BOOL, completions_body, echo) },
    { FIELD_ROW(ANY, completions_body, stop) },
    { FIELD_ROW(INT, completions_body, seed) },
    { FIELD_ROW(BOOL, completions_body, ignore_eos) },
    { FIELD_ROW(BOOL, completions_body, stream) },
    { FIELD_ROW(OBJECT, completions_body, stream_options) },
    { FIELD_ROW(BOOL, completions_body, return_tokens_as_token_ids) },
    { FIELD_ROW(STRING, completions_body, user) },
    FIELD_LATER("suffix"),
    { FIELD_ROW(REAL, completions_body, presence_penalty), .min = -2, .max = 2 },
    { FIELD_ROW(REAL, completions_body, frequency_penalty), .min = -2, .max = 2 },
    { FIELD_ROW(OBJECT, completions_body, logit_bias) },
    FIELD_LATER("return_token_ids"),
};

/* --- prompts ------------------------------------------------------------------------------------------------ */

/* What a prompt may be, told by the first of its elements. */
static bool is_id_list(const json_t *v)
{
    return json_is_array(v) && (json_array_size(v) == 0 || json_is_integer(json_array_get(v, 0)));
}

static size_t count_prompts(const json_t *prompt)
{
    return json_is_array(prompt) && !is_id_list(prompt) ? json_array_size(prompt) : 1;
}

static enum err_code open_text(struct turn *t, const json_t *text, const char *param, size_t at,
                               struct err *err)
{
    enum err_code code = field_string_check(err, param, json_str(text), 0, PROMPT_CHARS_MAX);
    if (code)
        return code;
    if (t->completions->echoed)
        t->completions->echoed[at] = arena_str(&t->arena, json_str(text));
    code = engine_prompt_open_text(&t->prompts[at], conductor_engine(t->api->conductor), json_str(text), true,
                                   err);
    return code ? turn_prompt_error(t, param, err) : ERR_OK;
}

static struct str spell(struct turn *t, const int32_t *ids, size_t n)
{
    struct buf text = { 0 };
    for (size_t i = 0; i < n; i++)
        buf_put_str(&text, engine_token_text(conductor_engine(t->api->conductor), ids[i]));
    struct str kept = arena_str(&t->arena, buf_str(&text));
    buf_free(&text);
    return kept;
}

static enum err_code open_ids(struct turn *t, const json_t *list, const char *param, size_t at,
                              struct err *err)
{
    size_t n = json_array_size(list);
    enum err_code code = field_array_check(err, param, n, 1, SIZE_MAX);
    int32_t *ids = code ? NULL : mem_array(n, sizeof *ids);
    for (size_t i = 0; i < n && !code; i++) {
        const json_t *v = json_array_get(list, i);
        json_int_t id = json_integer_value(v);
        const char *place = json_is_integer(v) && id >= 0 && id <= INT32_MAX
                                ? NULL
                                : arena_printf(&t->arena, "%s[%zu]", param, i);
        if (!json_is_integer(v))
            code = field_type_error(err, place, "an integer", v);
        else if (place)
            code = err_set(err, ERR_INVALID_VALUE, place, "Invalid '%s': %lld is no token id.", place,
                           (long long)id);
        else
            ids[i] = (int32_t)id;
    }
    if (!code &&
        (code = engine_prompt_open_ids(&t->prompts[at], conductor_engine(t->api->conductor), ids, n, err)))
        turn_prompt_error(t, param, err);
    if (!code && t->completions->echoed)
        t->completions->echoed[at] = spell(t, ids, n);
    mem_free(ids);
    return code;
}

static enum err_code open_prompt(struct turn *t, const json_t *v, const char *param, size_t at,
                                 struct err *err)
{
    enum err_code code;
    if (json_is_string(v))
        code = open_text(t, v, param, at, err);
    else if (json_is_array(v))
        code = open_ids(t, v, param, at, err);
    else
        code = field_type_error(err, param, "a string or an array of token ids", v);
    t->n_prompts += !code;
    return code;
}

static struct plan plan(const struct turn *t)
{
    int64_t ceiling = t->tier->max_output_tokens, asked = t->completions->tokens_max;
    return (struct plan){
        .effort = EFFORT_NONE,
        .think_tokens_max = -1, /* nothing is closed by force: whatever comes is text */
        .tokens_max = ceiling > 0 && ceiling < asked ? ceiling : asked,
        .temperature = t->ask.temperature.set ? t->ask.temperature.value : 1.0, /* the API's defaults */
        .top_p = t->ask.top_p.set ? t->ask.top_p.value : 1.0,
        .min_p = t->completions->min_p,
    };
}

static enum err_code prepare(struct turn *t, struct err *err)
{
    const json_t *prompt = t->completions->prompt;
    if (route_choose(t, err))
        return err->code;
    size_t n = count_prompts(prompt);
    bool list = json_is_array(prompt) && !is_id_list(prompt);
    t->prompts = arena_array(&t->arena, n, sizeof *t->prompts);
    if (t->completions->echo)
        t->completions->echoed = arena_array(&t->arena, n, sizeof *t->completions->echoed);
    if (t->stream)
        t->completions->lines = arena_array(&t->arena, n * t->choices, sizeof *t->completions->lines);
    t->plan = plan(t);
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < n && !code; i++)
        code = list ? open_prompt(t, json_array_get(prompt, i), arena_printf(&t->arena, "prompt[%zu]", i), i,
                                  err)
                    : open_prompt(t, prompt, "prompt", i, err);
    return code;
}

/* --- the request ------------------------------------------------------------------------------------------------ */

struct completions_stream_options {
    struct field_bool include_usage;
};
static const struct field stream_options_rows[] = {
    { FIELD_ROW(BOOL, completions_stream_options, include_usage) },
    FIELD_LATER("include_obfuscation"),
};

static enum err_code read_stream_options(struct turn *t, const json_t *options, struct err *err)
{
    struct completions_stream_options o = { 0 };
    enum err_code code = fields_decode(options, stream_options_rows, ARRAY_LEN(stream_options_rows),
                                       "stream_options", &o, &t->arena, err);
    t->include_usage = o.include_usage.value;
    return code;
}

/* What best_of would add is a choice among more texts than are shown; with as many as n there is none to make. */
static enum err_code check_counts(struct turn *t, const struct completions_body *b, struct err *err)
{
    size_t n = b->n.set ? (size_t)b->n.value : 1, prompts = count_prompts(b->prompt.value);
    if (b->best_of.set && (size_t)b->best_of.value != n)
        return err_set(err, ERR_UNSUPPORTED_VALUE, "best_of",
                       "Unsupported value: 'best_of' must be the same as 'n', which is %zu.", n);
    enum err_code code = field_array_check(err, "prompt", prompts, 1, PROMPTS_MAX);
    if (code)
        return code;
    if (n * prompts > JOB_CHOICES_MAX)
        return err_set(
            err, ERR_INVALID_VALUE, "n",
            "Invalid 'n': %zu choices for each of %zu prompts are more than the %d that one request may "
            "have.",
            n, prompts, JOB_CHOICES_MAX);
    t->choices = n;
    return ERR_OK;
}

static enum err_code decode(struct turn *t, struct err *err)
{
    struct completions_body b = { 0 };
    enum err_code code =
        fields_decode(t->doc, completions_rows, ARRAY_LEN(completions_rows), "", &b, &t->arena, err);
    if (code || (code = turn_set_model(t, b.model.value, false, err)) || (code = check_counts(t, &b, err)) ||
        (code = turn_set_stops(t, b.stop.value, err)) ||
        (code = turn_set_biases(t, b.logit_bias.value, err)) ||
        (b.stream_options.set && (code = read_stream_options(t, b.stream_options.value, err))))
        return code;
    struct completions_ask *ask = t->completions = arena_alloc(&t->arena, sizeof *ask);
    *ask = (struct completions_ask){
        .echo = b.echo.value,
        .tokens_as_ids = b.return_tokens_as_token_ids.value,
        .tokens_max = b.max_tokens.set ? b.max_tokens.value : TOKENS_MAX_DEFAULT,
        .min_p = b.min_p.value,
        .prompt = b.prompt.value,
    };
    t->stream = b.stream.value;
    t->ignore_eos = b.ignore_eos.value;
    t->logprobs = b.logprobs.set;
    t->top_logprobs = (int)b.logprobs.value;
    /* Where nothing is to be generated, reading the prompt is all that the engine does. */
    t->prompt_logprobs = (ask->echo && t->logprobs) || ask->tokens_max == 0;
    turn_set_sampling(t, b.temperature, b.top_p, b.seed);
    turn_set_penalties(t, b.presence_penalty, b.frequency_penalty);
    return ERR_OK;
}

void completions_create(const struct call *c)
{
    static const struct turn_kind kind = {
        .path = "v1/completions",
        .endpoint = ENDPOINT_CHAT, /* a model that may be had for one completion may be had for the other */
        .id_prefix = "cmpl-",
        .input_param = "prompt",
        .prompt_member = "prompt",
        .logprobs_param = "logprobs",
        .raw = true,
        .decode = decode,
        .prepare = prepare,
        .put = completions_put,
        .reply = completions_reply,
    };
    turn_run(c, &kind);
}

const struct field_table completions_tables[] = {
    { "completions", completions_rows, ARRAY_LEN(completions_rows) },
    { "completions.stream_options", stream_options_rows, ARRAY_LEN(stream_options_rows) },
    { NULL, NULL, 0 },
};
