/*
 * bind.c - answers held to a grammar: whole ones match it, cut ones are a beginning of it, thoughts are free, and what is
 * said of a token is the model's own. The models are random, so whatever the mask lets through is said sooner or later.
 *
 * That a grammar changes nothing about company, guesses, stepping back and going on is checked where those are: lookup.c,
 * resume.c, local.c.
 */
#include "base/log.h"
#include "collect.h"
#include "grammar/grammar.h"
#include "models.h"
#include "test.h"

#include <math.h>
#include <string.h>

static char *tiny, *thinker, *channels; /* thinker's prompt opens the thought */
static const char opening[] = "Sorry. (No";

static int make_models(void **state)
{
    (void)state;
    tiny = models_make_tiny("bind", "thinkd.refusal.opening", opening);
    thinker = models_make_thinker("bind", "thinkd.refusal.opening", opening);
    channels = models_make_channels("bind");
    log_set_level(LOG_ERROR);
    return 0;
}

static int free_models(void **state)
{
    (void)state;
    mem_free(tiny);
    mem_free(thinker);
    mem_free(channels);
    log_set_level(LOG_INFO);
    return 0;
}

static struct collector *open_model(const char *path)
{
    return collect_open(&(struct engine_config){ .kind = "local",
                                                 .model_path = path,
                                                 .threads = 2,
                                                 .kv_bytes_max = 64 << 20,
                                                 .cpu_mask = ~0u,
                                                 .sequences_max = 16,
                                                 .speculation = SPECULATION_LOOKUP });
}

static struct grammar *grammar_of(const char *pattern)
{
    struct grammar *g = NULL;
    struct err err = { 0 };
    if (grammar_open_regex(&g, str_from(pattern), &err))
        fail_msg("%s: %s", pattern, err.message);
    return g;
}

/* How much of text g takes; *whole: it may end there. */
static size_t taken(struct grammar *g, struct str text, bool *whole)
{
    struct matcher *m;
    matcher_open(&m, g, NULL);
    size_t n = matcher_put(m, text);
    *whole = n == text.len && matcher_may_end(m);
    matcher_close(m);
    return n;
}

static void is_whole(struct grammar *g, const struct collected *s, bool want)
{
    bool whole;
    struct str text = buf_str(&s->answer);
    if (s->failed)
        fail_msg("%s", s->err.message);
    if (taken(g, text, &whole) != text.len || (want && !whole))
        fail_msg("not %s: '%.*s'", whole ? "taken" : "whole", STR_ARG(text));
}

static const char *const patterns[] = {
    "\\{\"a\":(true|false|[0-9]{1,3}),\"bc\":\"[a-z ]{0,8}\"\\}",
    "[a-z]{3,12}(, [a-z]{3,12}){0,2}\\.",
    "(yes|no|perhaps)",
    "(ä|ö|ü|€){2,6}",
    "\n\n [a-z]+",
    "abcabcabcabc[0-9]{2}xyzxyzxyz",
};

/* Prompts that are chats, with and without thought, and texts. */
static void answers_are_of_the_grammar(void **state)
{
    (void)state;
    const char *const models[] = { tiny, thinker, channels };
    for (size_t i = 0; i < ARRAY_LEN(patterns) * 3; i++) {
        struct collector *c = open_model(models[i % 3]);
        struct grammar *g = grammar_of(patterns[i / 3]);
        struct engine_prompt *prompts[] = { collect_prompt(c, "what?", true),
                                            collect_prompt(c, "what?", false),
                                            collect_text_prompt(c, "what?") };
        int stopped = 0;
        for (uint64_t seq = 0; seq < 48; seq++) {
            struct engine_params p = collect_params(400);
            p.grammar = g;
            p.think_tokens_max = 30;
            p.seed = seq;
            p.temperature = seq % 4 == 3 ? 0 : 0.5 * (double)(1 + seq % 4);
            p.top_p = seq % 5 ? 1 : 0.7;
            p.min_p = seq % 7 ? 0 : 0.1;
            collect_submit(c, seq, prompts[seq % 3], &p);
        }
        for (uint64_t seq = 0; seq < 48; seq++) {
            const struct collected *s = collect_wait(c, seq);
            is_whole(g, s, s->finish == FINISH_STOP);
            stopped += s->finish == FINISH_STOP;
        }
        assert_true(stopped > 30);
        grammar_unref(g);
        for (size_t k = 0; k < ARRAY_LEN(prompts); k++)
            engine_prompt_unref(prompts[k]);
        collect_close(c);
    }
}

/* Every tokens_max from too few on. */
static void answers_are_closed_in_time(void **state)
{
    (void)state;
    enum { TOKENS = 120 };
    int closed = 0;
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        struct collector *c = open_model(i % 2 ? thinker : tiny);
        struct grammar *g = grammar_of(patterns[i]);
        struct engine_prompt *prompt = collect_prompt(c, "how?", true);
        struct matcher *m;
        struct buf shortest = { 0 };
        matcher_open(&m, g, NULL);
        assert_true(matcher_closing(m, 1000, &shortest));
        matcher_close(m);
        for (uint64_t seq = 0; seq < TOKENS; seq++) {
            struct engine_params p = collect_params(1 + (int64_t)seq);
            p.grammar = g;
            p.temperature = 1.5;
            p.seed = seq * 31;
            collect_submit(c, seq, prompt, &p);
        }
        for (uint64_t seq = 0; seq < TOKENS; seq++) {
            const struct collected *s = collect_wait(c, seq);
            bool must = 1 + seq >= shortest.len + 4; /* beside it a marker and a blank, and one for the end */
            is_whole(g, s, must);
            assert_true(s->output_tokens <= 1 + (int64_t)seq);
            assert_true(s->finish == FINISH_STOP || s->finish == FINISH_LENGTH);
            if (s->closed_by_grammar)
                is_whole(g, s, true);
            closed += s->closed_by_grammar;
        }
        buf_free(&shortest);
        grammar_unref(g);
        engine_prompt_unref(prompt);
        collect_close(c);
    }
    assert_true(closed > 30);
}

static void thoughts_are_free(void **state)
{
    (void)state;
    struct collector *c = open_model(thinker);
    struct grammar *g = grammar_of("[0-9]{4}(yes|no)");
    for (uint64_t seq = 0; seq < 12; seq++) {
        struct engine_params p = collect_params(200);
        p.think_tokens_max = 25;
        p.temperature = 1;
        p.seed = seq;
        const struct collected *plain = collect_run(c, 2 * seq, "so?", true, &p);
        p.grammar = g;
        const struct collected *held = collect_run(c, 2 * seq + 1, "so?", true, &p);
        assert_string_equal(collect_text(&plain->thought), collect_text(&held->thought));
        assert_true(held->thought.len > 0);
        is_whole(g, held, true);
        assert_int_equal(held->finish, FINISH_STOP);
    }
    grammar_unref(g);
    collect_close(c);
}

/* A model that is not made to think may begin with its marker, or answer; nothing else. */
static void thoughts_may_begin(void **state)
{
    (void)state;
    enum { RUNS = 300 };
    struct collector *c = open_model(tiny);
    struct grammar *g = grammar_of("[a-z]");
    struct engine_prompt *prompt = collect_prompt(c, "so?", true), *closed = collect_prompt(c, "so?", false);
    int thought = 0;
    for (uint64_t seq = 0; seq < RUNS; seq++) {
        struct engine_params p = collect_params(100);
        p.grammar = g;
        p.temperature = 3;
        p.seed = seq;
        p.think_tokens_max = 5;
        collect_submit(c, seq, seq % 3 ? prompt : closed, &p);
    }
    for (uint64_t seq = 0; seq < RUNS; seq++) {
        const struct collected *s = collect_wait(c, seq);
        is_whole(g, s, true);
        assert_true(s->thinking_tokens == 0 || seq % 3 != 0);
        thought += s->thinking_tokens > 0;
    }
    assert_true(thought > 0 && thought < RUNS / 2);
    grammar_unref(g);
    engine_prompt_unref(prompt);
    engine_prompt_unref(closed);
    collect_close(c);
}

/* Text that can only be this is not asked for, but the token at its end, which might have been a longer one. */
static void forced_text_is_put(void **state)
{
    (void)state;
    struct collector *c = open_model(tiny);
    struct grammar *g = grammar_of("abcdefgh[0-9]ij");
    struct engine_prompt *prompt = collect_text_prompt(c, "q");
    struct engine_params p = collect_params(500);
    p.grammar = g;
    collect_submit(c, 1, prompt, &p);
    const struct collected *s = collect_wait(c, 1);
    is_whole(g, s, true);
    assert_int_equal(s->n_tokens, 11);
    assert_int_equal(s->confidence.tokens, 2);
    for (size_t i = 0; i < s->n_tokens; i++)
        assert_int_equal(!isnan(s->tokens[i].logprob), i == 7 || i == 8);
    assert_true(collect_stats(c).steps <= 4); /* the prompt; a to g; h; the digit and what is left */
    engine_prompt_unref(prompt);
    grammar_unref(g);
    collect_close(c);
}

/* What is said of the first token is what is said of it without a grammar. */
static void figures_are_the_models(void **state)
{
    (void)state;
    struct collector *c = open_model(tiny);
    struct grammar *g = grammar_of("[QZ][0-9]");
    struct engine_prompt *prompt = collect_text_prompt(c, "some text");
    struct engine_params p = collect_params(1);
    p.top_logprobs = 20;
    collect_submit(c, 1, prompt, &p);
    const struct engine_token *plain = collect_wait(c, 1)->tokens;
    p.grammar = g;
    p.tokens_max = 90;
    for (uint64_t seq = 2; seq < 6; seq++) {
        p.seed = seq;
        p.temperature = (double)seq - 2;
        p.frequency_penalty = seq == 5 ? 1 : 0;
        collect_submit(c, seq, prompt, &p);
        const struct engine_token *held = collect_wait(c, seq)->tokens;
        assert_true(held->id != plain->id);
        assert_memory_equal(held->top, plain->top, sizeof held->top);
        assert_true(held->confidence == plain->confidence);
        for (int i = 0; i < 20; i++)
            assert_true(held->top[i].id != held->id || held->top[i].logprob == held->logprob);
        assert_true(held->logprob <= plain->logprob);
    }
    engine_prompt_unref(prompt);
    grammar_unref(g);
    collect_close(c);
}

static void ends_are_where_the_text_may_end(void **state)
{
    (void)state;
    struct collector *c = open_model(tiny);
    struct grammar *g = grammar_of("[a-z]{2,40}");
    struct engine_prompt *prompt = collect_text_prompt(c, "q");
    struct engine_params p = collect_params(300);
    p.grammar = g;
    p.temperature = 4;
    int early = 0;
    for (uint64_t seq = 0; seq < 60; seq++) {
        p.seed = seq;
        p.ignore_eos = seq % 2;
        p.n_stops = seq % 3 == 2;
        p.stops[0] = STR("e");
        collect_submit(c, seq, prompt, &p);
        const struct collected *s = collect_wait(c, seq);
        assert_int_equal(s->finish, FINISH_STOP);
        bool stopped = p.n_stops && s->answer.len < 40;
        is_whole(g, s, !stopped);
        if (p.ignore_eos && !stopped)
            assert_int_equal(s->answer.len, 40);
        early += !p.ignore_eos && !p.n_stops && s->answer.len < 40;
    }
    assert_true(early > 0);
    engine_prompt_unref(prompt);
    grammar_unref(g);
    collect_close(c);
}

/* --- refusals ------------------------------------------------------------------------------------------------ */

static void goes_on_alike(struct collector *c, uint64_t seq, struct engine_prompt *prompt,
                          const struct engine_params *p, const struct collected *s)
{
    for (size_t n = 0; n < s->n_tokens; n++) {
        collect_resume(c, seq + n, prompt, p, s, n);
        const struct collected *rest = collect_wait(c, seq + n);
        if (rest->failed)
            fail_msg("behind %zu: %s", n, rest->err.message);
        assert_string_equal(collect_text(&rest->answer),
                            collect_text(&s->answer) + (n ? s->marks[n - 1].answer : 0));
    }
}

/* By chance the random model begins with the one or the other; it is never made to refuse. */
static void a_refusal_may_stand_in_its_place(void **state)
{
    (void)state;
    enum { SEQUENCES = 96 };
    struct collector *c = open_model(thinker), *d = open_model(thinker);
    struct grammar *g = grammar_of("[0-9]{4}");
    struct engine_prompt *prompt = collect_prompt(c, "what?", true);
    struct engine_params params[SEQUENCES];
    int refused = 0, answered = 0, resumed = 0;
    assert_string_equal(engine_info(c->engine)->refusal, opening);
    for (uint64_t seq = 0; seq < SEQUENCES; seq++) {
        params[seq] = collect_params(1 + (int64_t)seq % 64);
        params[seq].grammar = g;
        params[seq].refusal = seq % 3 ? engine_info(c->engine)->refusals : NULL;
        params[seq].think_tokens_max = 10;
        params[seq].seed = seq;
        params[seq].temperature = 1.5;
        collect_submit(c, seq, prompt, &params[seq]);
    }
    for (uint64_t seq = 0; seq < SEQUENCES; seq++) {
        const struct collected *s = collect_wait(c, seq);
        struct str text = buf_str(&s->answer);
        if (text.len == 0 || text.ptr[0] != 'S') {
            is_whole(g, s, s->finish == FINISH_STOP);
            answered += s->finish == FINISH_STOP;
            continue;
        }
        size_t whole = strlen(opening), same = text.len < whole ? text.len : whole;
        assert_true(params[seq].refusal && memcmp(text.ptr, opening, same) == 0);
        assert_true(text.len >= whole || s->finish == FINISH_LENGTH);
        refused += text.len > whole;
        if (text.len > whole && resumed++ < 2)
            goes_on_alike(d, (uint64_t)resumed * 100, prompt, &params[seq], s);
    }
    assert_true(refused > 2 && answered > 20);
    engine_prompt_unref(prompt);
    grammar_unref(g);
    collect_close(c);
    collect_close(d);
}

static void openings_that_begin_json_are_refused(void **state)
{
    (void)state;
    static const char *const openings[] = { "", "true, I cannot", "no", "{I cannot", " I cannot", "\"", "4" };
    for (size_t i = 0; i < ARRAY_LEN(openings); i++) {
        char *path = models_make_tiny("bind-opening", "thinkd.refusal.opening", openings[i]);
        struct engine_config cfg = {
            .kind = "local", .model_path = path, .cpu_mask = ~0u, .sequences_max = 1, .kv_bytes_max = 16 << 20
        };
        struct engine *e = NULL;
        struct err err = { 0 };
        assert_int_equal(engine_open(&e, &cfg, (struct engine_sink){ 0 }, &err), ERR_FORMAT);
        assert_non_null(strstr(err.message, "thinkd.refusal.opening"));
        mem_free(path);
    }
}

/* --- messages with heads -------------------------------------------------------------------------------------- */

static const char tools_json[] =
    "[{\"type\": \"function\", \"name\": \"add\", \"strict\": true, \"parameters\": {\"type\": \"object\", "
    "\"properties\": {\"a\": {\"type\": \"integer\"}}, \"required\": [\"a\"], \"additionalProperties\": "
    "false}},"
    " {\"type\": \"custom\", \"name\": \"say\"}]";

static struct engine_prompt *open_calling(struct collector *c, bool think)
{
    json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", "what?");
    const struct engine_chat chat = {
        .messages = messages, .effort = "low", .think = think, .may_call = true
    };
    struct engine_prompt *p = NULL;
    struct err err = { 0 };
    if (engine_prompt_open(&p, c->engine, &chat, &err))
        fail_msg("%s", err.message);
    json_decref(messages);
    return p;
}

/* What became of an answer: its text without calls, the call's tool or -1, and whether it is whole. */
struct read_back {
    struct buf text, arguments;
    int tool;
    bool whole;
};

static void read_back(struct read_back *r, const struct calls *calls, struct str answer)
{
    struct calls_scan s;
    *r = (struct read_back){ .tool = -1 };
    calls_scan_start(&s, calls);
    calls_scan_put(&s, answer);
    calls_scan_end(&s);
    while (calls_scan_next(&s)) {
        if (s.kind == CALLS_BEGIN) {
            assert_int_equal(r->tool, -1);
            r->tool = (int)s.tool;
        } else {
            buf_put_str(s.kind == CALLS_TEXT ? &r->text : &r->arguments, s.text);
        }
    }
    r->whole = calls_scan_whole(&s);
    calls_scan_free(&s);
}

static void check_call(const struct read_back *r)
{
    assert_true(r->whole);
    if (r->tool != 0)
        return;
    json_t *arguments = json_loadb(r->arguments.ptr, r->arguments.len, 0, NULL);
    assert_true(json_is_integer(json_object_get(arguments, "a")) && json_object_size(arguments) == 1);
    json_decref(arguments);
}

/* Draws of its own for each sequence, hot enough to come to anything that g allows. */
static struct engine_params random_params(uint64_t seq, int64_t tokens_max, struct grammar *g)
{
    struct engine_params p = collect_params(tokens_max);
    p.grammar = g;
    p.think_tokens_max = 0;
    p.seed = seq;
    p.temperature = 2;
    return p;
}

struct calling {
    bool text, think;
    int calls, texts, both, cut, thoughts; /* how often it came to that, at least once where it may */
};

/* A random model of the family calls or writes, thinks before it or not, and goes on alike from each of its tokens. */
static void calls_are_messages(void **state)
{
    (void)state;
    enum { SEQUENCES = 200, SHORT = 40 };
    json_t *tools = json_loads(tools_json, 0, NULL);
    for (int way = 0; way < 4; way++) {
        struct calling w = { .text = way % 2, .think = way / 2 };
        struct collector *c = open_model(channels), *d = open_model(channels);
        assert_string_equal(engine_info(c->engine)->calls, "harmony");
        const struct calls_options o = { .form = "harmony", .text = w.text, .parallel = true };
        struct calls *calls;
        struct grammar *g;
        json_t *omitted;
        size_t at;
        calls_open(&calls, tools, &o);
        assert_int_equal(grammar_open_calls(&g, calls, tools, &o, &omitted, &at, NULL), ERR_OK);
        struct engine_prompt *prompt = open_calling(c, w.think);
        struct engine_params params[SEQUENCES];
        for (uint64_t seq = 0; seq < SEQUENCES; seq++) {
            params[seq] = random_params(seq, seq < SHORT ? 20 + (int64_t)seq : 160, g);
            params[seq].think_tokens_max = w.think ? 12 : 0;
            collect_submit(c, seq, prompt, &params[seq]);
        }
        for (uint64_t seq = 0; seq < SEQUENCES; seq++) {
            const struct collected *s = collect_wait(c, seq);
            struct read_back r;
            if (s->failed)
                fail_msg("%s", s->err.message);
            read_back(&r, calls, buf_str(&s->answer));
            assert_true(w.text || r.text.len == 0);
            assert_true(w.think || (s->thought.len == 0 && s->thinking_tokens == 0));
            if (s->finish == FINISH_STOP && r.tool >= 0)
                check_call(&r);
            assert_true(s->finish != FINISH_STOP || w.text || r.tool >= 0);
            w.calls += r.tool >= 0;
            w.texts += r.tool < 0 && r.text.len;
            w.both += r.tool >= 0 && r.text.len;
            w.cut += s->closed_by_grammar;
            w.thoughts += s->thought.len > 0;
            if (seq < SHORT && seq % 6 == 0)
                goes_on_alike(d, seq / 6 * 64, prompt, &params[seq], s);
            buf_free(&r.text);
            buf_free(&r.arguments);
        }
        assert_true(w.calls > 0 && w.cut > 0);
        assert_true(!w.text || (w.texts > 0 && w.both > 0));
        assert_true(!w.think || w.thoughts > SEQUENCES / 2);
        engine_prompt_unref(prompt);
        grammar_unref(g);
        calls_unref(calls);
        collect_close(c);
        collect_close(d);
    }
    json_decref(tools);
}

/* Beside calls a refusal is told apart behind the head that it shares with the document. */
static void refusals_stand_beside_calls(void **state)
{
    (void)state;
    enum { SEQUENCES = 240, SHORT = 60 };
    json_t *tools = json_loads(tools_json, 0, NULL),
           *answer = json_loads("{\"enum\": [\"yes\", 7]}", 0, NULL);
    struct collector *c = open_model(channels), *d = open_model(channels);
    const struct calls_options o = { .form = "harmony", .text = true, .parallel = true, .answer = answer };
    struct calls *calls;
    struct grammar *g, *refusal;
    json_t *omitted;
    size_t at;
    calls_open(&calls, tools, &o);
    assert_int_equal(grammar_open_calls(&g, calls, tools, &o, &omitted, &at, NULL), ERR_OK);
    assert_int_equal(grammar_open_refusal(&refusal, str_from(opening), calls, NULL), ERR_OK);
    struct engine_prompt *prompt = open_calling(c, false);
    struct engine_params params[SEQUENCES];
    int refused = 0, answered = 0, called = 0;
    uint64_t resumed = 0;
    for (uint64_t seq = 0; seq < SEQUENCES; seq++) {
        params[seq] = random_params(seq, seq < SHORT ? 12 + (int64_t)seq : 120, g);
        params[seq].refusal = seq % 4 ? refusal : NULL;
        collect_submit(c, seq, prompt, &params[seq]);
    }
    for (uint64_t seq = 0; seq < SEQUENCES; seq++) {
        const struct collected *s = collect_wait(c, seq);
        struct read_back r;
        if (s->failed)
            fail_msg("%s", s->err.message);
        read_back(&r, calls, buf_str(&s->answer));
        bool refuses = r.text.len && r.text.ptr[0] == opening[0];
        if (refuses) {
            size_t same = r.text.len < strlen(opening) ? r.text.len : strlen(opening);
            assert_true(params[seq].refusal && r.tool < 0 && memcmp(r.text.ptr, opening, same) == 0);
            refused += s->finish == FINISH_STOP;
        } else if (s->finish == FINISH_STOP && r.tool < 0) {
            const char *text = collect_text(&s->answer);
            assert_true(strcmp(text, "\"yes\"") == 0 || strcmp(text, "7") == 0);
            answered++;
        }
        called += r.tool >= 0;
        if (seq < SHORT && resumed < 6 && (refuses || seq % 12 == 5))
            goes_on_alike(d, resumed++ * 80, prompt, &params[seq], s);
        buf_free(&r.text);
        buf_free(&r.arguments);
    }
    if (refused < 3 || answered < 3 || called < 3)
        fail_msg("%d refused, %d answered, %d called", refused, answered, called);
    engine_prompt_unref(prompt);
    grammar_unref(g);
    grammar_unref(refusal);
    calls_unref(calls);
    collect_close(c);
    collect_close(d);
    json_decref(answer);
    json_decref(tools);
}

/* --- echo ---------------------------------------------------------------------------------------------------- */

static void echo_keeps_to_it(void **state)
{
    (void)state;
    static const struct {
        const char *message, *pattern, *want;
        bool think, closed;
        int64_t tokens_max;
    } cases[] = {
        { "{\"a\": 1}", "\\{\"a\": [0-9]+\\}", "{\"a\": 1}", false, false, 100 },
        { "{\"a\": 1}", "\\{\"a\": [0-9]+\\}", "{\"a\": 1}", true, false, 100 },
        { "tell me", "\\{\"a\":0\\}", "{\"a\":0}", true, true, 100 },
        { "{\"a\": 5 and more", "\\{\"a\": 5 and (no )?less!\\}", "{\"a\": 5 and less!}", false, true, 100 },
        { "yes yes yes", "yes( yes)*!", "yes yes yes!", false, true, 100 }, /* it would have ended */
        { "yes yes yes yes", "yes( yes)*!", "yes yes!", false, true, 3 },
        { "/count 9", "( [0-9]){4}", " 1 2 3 4", false, false, 100 }, /* over before the script is */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct collector *c = collect_echo(), *d = collect_echo();
        struct grammar *g = grammar_of(cases[i].pattern);
        struct engine_params p = collect_params(cases[i].tokens_max);
        p.grammar = g;
        const struct collected *s = collect_run(c, 1, cases[i].message, cases[i].think, &p);
        if (strcmp(collect_text(&s->answer), cases[i].want) != 0)
            fail_msg("case %zu: '%s'", i, collect_text(&s->answer));
        assert_int_equal(s->finish, FINISH_STOP);
        assert_int_equal(s->closed_by_grammar, cases[i].closed);
        assert_int_equal(s->thought.len > 0, cases[i].think);
        collect_run(d, 1, "words come in another order", false, &(struct engine_params){ .tokens_max = 9 });
        struct engine_prompt *prompt = collect_prompt(d, cases[i].message, cases[i].think);
        for (size_t n = 0; n < s->n_tokens; n++) { /* it goes on from each of its tokens */
            collect_resume(d, 2 + n, prompt, &p, s, n);
            const struct collected *rest = collect_wait(d, 2 + n);
            if (rest->failed)
                fail_msg("case %zu, behind %zu: %s", i, n, rest->err.message);
            size_t shown = n ? s->marks[n - 1].answer : 0;
            assert_string_equal(collect_text(&rest->answer), collect_text(&s->answer) + shown);
        }
        engine_prompt_unref(prompt);
        grammar_unref(g);
        collect_close(c);
        collect_close(d);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(answers_are_of_the_grammar, make_models),
    cmocka_unit_test(answers_are_closed_in_time),
    cmocka_unit_test(thoughts_are_free),
    cmocka_unit_test(thoughts_may_begin),
    cmocka_unit_test(forced_text_is_put),
    cmocka_unit_test(figures_are_the_models),
    cmocka_unit_test(ends_are_where_the_text_may_end),
    cmocka_unit_test(a_refusal_may_stand_in_its_place),
    cmocka_unit_test(openings_that_begin_json_are_refused),
    cmocka_unit_test(calls_are_messages),
    cmocka_unit_test(refusals_stand_beside_calls),
    cmocka_unit_test_teardown(echo_keeps_to_it, free_models),
};
TEST_GROUP(engine_bind, tests)
