/*
 * sequence.c - replies of several formats through one sequence, token by token, without a model: what is shown of which
 * stage, what is forced, and what counts as thinking.
 *
 * A reply is a text whose markers become tokens; when it is used up before the sequence ended, the model says "x".
 */
#include "engine/engine_impl.h"
#include "test.h"

#include "text/text_impl.h"

#include <string.h>

static const struct {
    const char *text;
    int32_t type;
} markers[] = {
    { "<think>", TOKEN_USER_DEFINED },     { "</think>", TOKEN_USER_DEFINED },
    { "<tool_call>", TOKEN_USER_DEFINED }, { "</tool_call>", TOKEN_USER_DEFINED },
    { "<|start|>", TOKEN_CONTROL },        { "<|channel|>", TOKEN_CONTROL },
    { "<|constrain|>", TOKEN_CONTROL },    { "<|message|>", TOKEN_CONTROL },
    { "<|end|>", TOKEN_CONTROL },          { "<|return|>", TOKEN_CONTROL },
    { "<|call|>", TOKEN_CONTROL },         { "<|im_end|>", TOKEN_CONTROL },
};

static struct tokenizer *open_tokenizer(void)
{
    enum { BYTES = 256, ALL = BYTES + ARRAY_LEN(markers) };
    struct buf spelled[BYTES] = { { 0 } };
    struct str tokens[ALL];
    int32_t types[ALL];
    for (unsigned b = 0; b < ALL; b++) {
        char c = (char)b;
        if (b < BYTES)
            bytes_to_spelling((struct str){ &c, 1 }, &spelled[b]);
        tokens[b] = b < BYTES ? buf_str(&spelled[b]) : str_from(markers[b - BYTES].text);
        types[b] = b < BYTES ? TOKEN_NORMAL : markers[b - BYTES].type;
    }
    struct vocabulary v = { .model = STR("gpt2"),
                            .pre = STR("gpt-2"),
                            .tokens = tokens,
                            .types = types,
                            .n_tokens = ALL,
                            .bos = -1,
                            .eos = -1,
                            .eot = -1,
                            .unk = -1,
                            .pad = -1 };
    struct tokenizer *t = NULL;
    struct err err = { 0 };
    if (tokenizer_open(&t, &v, &err))
        fail_msg("%s", err.message);
    for (unsigned b = 0; b < BYTES; b++)
        buf_free(&spelled[b]);
    return t;
}

static void put_text(const void *ctx, struct detok *d, int32_t id, struct buf *out)
{
    detok_put(d, ctx, id, out);
}

static bool scan(const void *ctx, struct reply_scan *s, int32_t id, bool *ends)
{
    (void)ctx;
    return reply_scan_put(s, id, ends);
}

struct stages {
    struct buf out;
    int stage; /* -1: none yet */
};

static void put_stage(struct stages *p, const struct sequence *s)
{
    if (s->text.len == 0)
        return;
    if (p->stage != (int)s->text_stage)
        buf_puts(&p->out, p->stage < 0 ? "" : "|");
    if (p->stage != (int)s->text_stage)
        buf_puts(&p->out, s->text_stage == ENGINE_THINKING ? "t:" : "a:");
    p->stage = (int)s->text_stage;
    buf_put_str(&p->out, buf_str(&s->text));
}

/* Bytes are their own ids; what spells a marker is one. */
static void encode(const char *text, struct ids *ids)
{
    while (*text) {
        size_t m = 0;
        while (m < ARRAY_LEN(markers) && strncmp(text, markers[m].text, strlen(markers[m].text)) != 0)
            m++;
        ids_put(ids, m < ARRAY_LEN(markers) ? 256 + (int32_t)m : (unsigned char)*text);
        text += m < ARRAY_LEN(markers) ? strlen(markers[m].text) : 1;
    }
}

#define HARMONY "<|start|>system<|message|>be<|end|><|start|>assistant"
#define FINAL   "<|start|>assistant<|channel|>final<|message|>"

struct reply_case {
    const char *template, *prompt, *reply;
    int64_t think_max, tokens_max;
    const char *want;
    int64_t output, thinking;
    bool closed;
};

static const struct reply_case cases[] = {
    /* thoughts between two markers */
    { "<think>", "q", "<think>\nso\n</think>\n\nyes<|im_end|>", -1, 99, "t:so\n|a:yes", 12, 6, false },
    { "<think>", "q<think>", "so</think>yes<|im_end|>", -1, 99, "t:so|a:yes", 7, 3, false },
    { "<think>", "q", "yes<|im_end|>", -1, 99, "a:yes", 4, 0, false },
    { "<think>", "q<think>", "so</think>y<think>n</think>z<|im_end|>", -1, 99, "t:so|a:ynz", 9, 5, false },
    { "<think>", "q<think>", "so<|im_end|>yes<|im_end|>", -1, 99, "t:so|a:yes", 7, 3,
      false }, /* an answer is owed */
    { "<think>", "q<think>", "abcdefgh", 4, 20, "t:abcdSTOP|a:efghxxxxxxx", 20, 9, true },
    { "<think>", "q<think>", "abcdefgh", 0, 10, "a:abcdefghx", 10, 1, true },
    { "<think>", "q<think>", "a\xc3</think>\xa4<|im_end|>", -1, 99, "t:a\xef\xbf\xbd|a:\xef\xbf\xbd", 5, 3,
      false },
    /* calls are text of the answer, with their markers */
    { "<think><tool_call>", "q", "<think>t</think>a<tool_call>{}</tool_call><|im_end|>", -1, 99,
      "t:t|a:a<tool_call>{}", 9, 4, false },
    { "", "q", "<think>a</think><|im_end|>", -1, 99, "a:<think>a</think>", 4, 0,
      false }, /* it knows no thoughts */
    /* harmony's channels */
    { "<|channel|>", HARMONY,
      "<|channel|>analysis<|message|>so<|end|><|start|>assistant<|channel|>final<|message|>yes<|return|>", -1,
      99, "t:so|a:yes", 34, 30, false },
    { "<|channel|>", HARMONY,
      "<|channel|>analysis<|message|>so<|end|><|start|>assistant<|channel|>analysis<|message|>on<|end|>" FINAL
      "yes<|return|>",
      -1, 99, "t:soon|a:yes", 57, 53, false },
    { "<|channel|>", HARMONY,
      "<|channel|>commentary<|message|>hm<|end|><|start|>assistant<|channel|>analysis<|message|>on<|end|"
      ">" FINAL "yes<|return|>",
      -1, 99, "a:hmyes", 59, 53, false }, /* a stage is never gone back to */
    { "<|channel|>", HARMONY, "<|channel|>analysis<|message|>so<|return|>yes<|return|>", -1, 99, "t:so|a:yes",
      34, 30, false },
    { "<|channel|>", HARMONY, "<|channel|>analysis<|message|>abcdefgh<|end|>", 12, 60, "t:abSTOP|a:cdefgh",
      41, 34, true },
};

/* The answers are held to [a-z]{3}!: bytes that the grammar does not take are not said by these. */
static const struct reply_case held[] = {
    { "<think>", "q<think>", "so</think>yes!", -1, 99, "t:so|a:yes!", 7, 3, false },
    { "<think>", "q", "yes!", -1, 99, "a:yes!", 4, 0, false },
    { "<think>", "q", "<think>So?</think>yes!", -1, 99, "t:So?|a:yes!", 9, 5, false },
    { "<think>", "q<think>", "abcdefg!", 4, 20, "t:abcdSTOP|a:efg!", 13, 9, true },
    { "<think>", "q<think>", "Think ", -1, 9, "t:Th|a:ink!", 7, 3,
      true }, /* room for the shortest answer is kept */
    /* behind a thought the rest of what leads to the answer is forced, and its head is none of the grammar's */
    { "<|channel|>", HARMONY, "<|channel|>analysis<|message|>So<|end|>yes!", -1, 99, "t:So|a:yes!", 34, 30,
      false },
    { "<|channel|>", HARMONY, "<|channel|>final<|message|>yes!", -1, 99, "a:yes!", 11, 7, false },
};

static bool put_bytes(const void *ctx, struct str text, bool special, struct ids *out)
{
    (void)ctx;
    for (size_t i = 0; i < text.len && !special; i++)
        ids_put(out, (unsigned char)text.ptr[i]);
    return !special;
}

static void run_case(const struct tokenizer *t, const struct reply_case *c, struct grammar *grammar)
{
    struct reply_format *format;
    struct ids reply = { 0 }, sentence = { 0 };
    struct engine_prompt *p = mem_zalloc(sizeof *p);
    struct engine_info info = { .context = 1000, .thinking_tokens = 64 };
    struct engine_params params = { .tokens_max = c->tokens_max,
                                    .think_tokens_max = c->think_max,
                                    .grammar = grammar };
    struct stages got = { .stage = -1 };
    atomic_init(&p->refs, 1);
    reply_format_open(&format, t, str_from(c->template));
    encode(c->prompt, &p->ids);
    encode(c->reply, &reply);
    encode("STOP", &sentence);
    p->tokens = (int64_t)p->ids.len;
    const struct ids *closing = reply_closing(format);
    struct spelling spelling = { .ctx = t,
                                 .put = put_text,
                                 .scan = scan,
                                 .closing = sentence.ptr,
                                 .n_closing = closing->len ? sentence.len : 0,
                                 .markers = closing->ptr,
                                 .n_markers = closing->len,
                                 .encode = put_bytes };
    struct sequence *s = sequence_open(1, p, &params);
    sequence_start(s, &spelling, format, &info);
    bool ended = false;
    for (size_t at = 0; !ended;) {
        bool forced = sequence_forced(s, 0) >= 0;
        ended = sequence_put(s, forced ? -1 : at < reply.len ? reply.ptr[at] : 'x');
        at += !forced;
        put_stage(&got, s);
    }
    if (got.out.len == 0 || strcmp(got.out.ptr, c->want) != 0)
        fail_msg("\"%s\": wanted %s, got %s", c->reply, c->want, got.out.len ? got.out.ptr : "");
    assert_int_equal(s->closed_by_budget, c->closed);
    assert_int_equal(s->output_tokens, s->out.len);
    if (s->output_tokens != c->output || s->thinking_tokens != c->thinking)
        fail_msg("\"%s\": %d tokens, %d thinking", c->reply, (int)s->output_tokens, (int)s->thinking_tokens);
    sequence_close(s);
    engine_prompt_unref(p);
    reply_format_close(format);
    ids_free(&reply);
    ids_free(&sentence);
    buf_free(&got.out);
}

static void stages_are_the_formats(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        run_case(t, &cases[i], NULL);
    tokenizer_close(t);
}

static void grammars_hold_the_answer(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer();
    struct grammar *g = NULL;
    assert_int_equal(grammar_open_regex(&g, STR("[a-z]{3}!"), NULL), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(held); i++)
        run_case(t, &held[i], g);
    grammar_unref(g);
    tokenizer_close(t);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(stages_are_the_formats),
    cmocka_unit_test(grammars_hold_the_answer),
};
TEST_GROUP(engine_sequence, tests)
