/*
 * tokenizer.c - vocabularies made up here, against the textbook loop; special tokens, guards and bad files.
 */
#include "test.h"

#include "base/arena.h"
#include "base/rng.h"
#include "base/thread.h"
#include "text/text_impl.h" /* the spelling of bytes and the words the reference merges */

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- a vocabulary under construction --------------------------------------------------------------------------- */

enum { MADE_TOKENS_MAX = 2048 };

struct made {
    struct arena arena;
    struct str tokens[MADE_TOKENS_MAX], merges[MADE_TOKENS_MAX];
    float scores[MADE_TOKENS_MAX];
    int32_t types[MADE_TOKENS_MAX];
    struct vocabulary v;
};

static int32_t made_add(struct made *m, struct str text, int32_t type)
{
    assert_true(m->v.n_tokens < MADE_TOKENS_MAX);
    m->tokens[m->v.n_tokens] = arena_str(&m->arena, text);
    m->types[m->v.n_tokens] = type;
    return (int32_t)m->v.n_tokens++;
}

static struct made *made_new(const char *model, const char *pre)
{
    struct made *m = mem_zalloc(sizeof *m);
    m->v = (struct vocabulary){ .model = str_from(model),
                                .pre = str_from(pre),
                                .tokens = m->tokens,
                                .merges = m->merges,
                                .scores = m->scores,
                                .types = m->types,
                                .bos = -1,
                                .eos = -1,
                                .eot = -1,
                                .unk = -1,
                                .pad = -1 };
    return m;
}

static void made_free(struct made *m)
{
    arena_free(&m->arena);
    mem_free(m);
}

static struct tokenizer *made_open(struct made *m)
{
    struct tokenizer *t = NULL;
    struct err err = { 0 };
    if (tokenizer_open(&t, &m->v, &err))
        fail_msg("%s", err.message);
    return t;
}

/* The 256 bytes, then joins of two random tokens: deep ones, double ones and overlapping ones among them. */
static struct made *made_bpe(struct rng *rng, const char *pre, size_t n_merges)
{
    struct made *m = made_new("gpt2", pre);
    struct buf b = { 0 };
    for (unsigned byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        buf_clear(&b);
        bytes_to_spelling((struct str){ &c, 1 }, &b);
        made_add(m, buf_str(&b), TOKEN_NORMAL);
    }
    static const char common[] = "abc \n1\xC3\xBC\xE6\x88\x91";
    while (m->v.n_merges < n_merges) {
        size_t pick[2];
        for (size_t k = 0; k < 2; k++)
            pick[k] = m->v.n_tokens > 256 && rng_below(rng, 2)
                          ? 256 + rng_below(rng, m->v.n_tokens - 256)
                          : (unsigned char)common[rng_below(rng, sizeof common - 1)];
        struct str left = m->tokens[pick[0]], right = m->tokens[pick[1]];
        if (left.len + right.len > 24)
            continue;
        m->merges[m->v.n_merges++] =
            str_from(arena_printf(&m->arena, "%.*s %.*s", STR_ARG(left), STR_ARG(right)));
        buf_clear(&b);
        buf_put_str(&b, left);
        buf_put_str(&b, right);
        bool known = false;
        for (size_t i = 0; i < m->v.n_tokens && !known; i++)
            known = str_eq(m->tokens[i], buf_str(&b));
        if (!known)
            made_add(m, buf_str(&b), TOKEN_NORMAL);
    }
    buf_free(&b);
    return m;
}

/* Random text that merges like: few letters, blanks and characters of every length. */
static void random_text(struct rng *rng, size_t characters, struct buf *out)
{
    static const char *const parts[] = { "a",
                                         "b",
                                         "c",
                                         "ab",
                                         "aa",
                                         " ",
                                         "  ",
                                         "\n",
                                         "1",
                                         "'s",
                                         ".",
                                         "\xC3\xBC",
                                         "\xE6\x88\x91",
                                         "\xF0\x9F\x98\x81" };
    buf_clear(out);
    for (size_t i = 0; i < characters; i++) {
        if (rng_below(rng, 12)) {
            buf_puts(out, parts[rng_below(rng, ARRAY_LEN(parts))]);
            continue;
        }
        char utf8[4];
        buf_put(out, utf8, utf8_encode((uint32_t)rng_below(rng, 0x3000), utf8));
    }
}

/* --- the textbook loop -------------------------------------------------------------------------------------------- */

struct naive {
    const struct made *m;
    struct ids *ids;
};

static int32_t made_find(const struct made *m, struct str text)
{
    for (size_t i = 0; i < m->v.n_tokens; i++)
        if (str_eq(m->tokens[i], text))
            return (int32_t)i;
    return -1;
}

/* Place of "left right" in the list of merges, or SIZE_MAX. */
static size_t merge_rank(const struct made *m, int32_t left, int32_t right)
{
    struct str a = m->tokens[left], b = m->tokens[right];
    for (size_t i = 0; i < m->v.n_merges; i++) {
        struct str merge = m->merges[i];
        if (merge.len == a.len + b.len + 1 && str_starts(merge, a) && merge.ptr[a.len] == ' ' &&
            str_ends(merge, b))
            return i;
    }
    return SIZE_MAX;
}

static enum err_code naive_word(void *ctx, struct str word, struct err *err)
{
    (void)err;
    struct naive *n = ctx;
    int32_t parts[4096];
    size_t len = 0;
    assert_true(word.len < ARRAY_LEN(parts));
    while (len < word.len)
        parts[len] = (unsigned char)word.ptr[len], len++;
    for (;;) {
        size_t best = SIZE_MAX, at = 0;
        for (size_t i = 0; i + 1 < len; i++) {
            size_t rank = merge_rank(n->m, parts[i], parts[i + 1]);
            if (rank < best)
                best = rank, at = i;
        }
        if (best == SIZE_MAX)
            break;
        struct buf joined = { 0 };
        buf_put_str(&joined, n->m->tokens[parts[at]]);
        buf_put_str(&joined, n->m->tokens[parts[at + 1]]);
        parts[at] = made_find(n->m, buf_str(&joined));
        memmove(parts + at + 1, parts + at + 2, (--len - at - 1) * sizeof *parts);
        buf_free(&joined);
    }
    for (size_t i = 0; i < len; i++)
        ids_put(n->ids, parts[i]);
    return ERR_OK;
}

static void expect_same(const struct ids *want, const struct ids *got, struct str text)
{
    if (want->len != got->len ||
        (want->len && memcmp(want->ptr, got->ptr, want->len * sizeof *want->ptr) != 0))
        fail_msg("wrong ids for \"%.*s\"", STR_ARG(text));
}

static void bpe_merges_as_the_textbook(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 2, 0);
    struct buf text = { 0 };
    struct err err = { 0 };
    for (int round = 0; round < 12; round++) {
        struct made *m = made_bpe(&rng, round % 2 ? "gpt-2" : "smollm", 60);
        struct tokenizer *t = made_open(m);
        struct splitter *s = NULL;
        assert_int_equal(splitter_open(&s, m->v.pre, &err), ERR_OK);
        for (int i = 0; i < 20; i++) {
            random_text(&rng, rng_below(&rng, 60), &text);
            struct ids want = { 0 }, got = { 0 };
            struct naive n = { m, &want };
            splitter_run(s, buf_str(&text), (struct word_sink){ naive_word, &n }, &err);
            assert_int_equal(tokenizer_encode(t, buf_str(&text), ENCODE_PLAIN, &got, &err), ERR_OK);
            expect_same(&want, &got, buf_str(&text));
            ids_free(&want);
            ids_free(&got);
        }
        splitter_close(s);
        tokenizer_close(t);
        made_free(m);
    }
    buf_free(&text);
}

/* --- SPM --------------------------------------------------------------------------------------------------------- */

#define BLOCK "\xE2\x96\x81"

static void made_add_scored(struct made *m, const char *text, int32_t type, float score)
{
    m->scores[made_add(m, str_from(text), type)] = score;
}

/* <unk>, the bytes, then random words; blanks inside some of them where asked, which forbids cutting at
 * blanks. */
static struct made *made_spm(struct rng *rng, bool blank_inside)
{
    static const char *const letters[] = { "a", "b", "c", "\xC3\xBC", BLOCK };
    struct made *m = made_new("llama", "");
    m->v.unk = made_add(m, STR("<unk>"), TOKEN_UNKNOWN);
    for (unsigned byte = 0; byte < 256; byte++)
        made_add_scored(m, arena_printf(&m->arena, "<0x%02X>", byte), TOKEN_BYTE, 0);
    while (m->v.n_tokens < 257 + 80) {
        char word[64] = "";
        for (uint64_t n = 1 + rng_below(rng, 4), i = 0; i < n; i++)
            strcat(word, letters[rng_below(rng, blank_inside || i == 0 ? 5 : 4)]);
        if (made_find(m, str_from(word)) < 0)
            made_add_scored(m, word, TOKEN_NORMAL, -(float)rng_below(rng, 20)); /* ties are many */
    }
    return m;
}

/* The best-scored join of two neighbours, leftmost first, over the whole text as it is spelled. */
static void naive_spm(const struct made *m, struct str text, struct ids *ids)
{
    struct str parts[1024];
    size_t len = 0;
    for (size_t at = 0; at < text.len; len++) {
        uint32_t c;
        size_t used = utf8_decode(str_slice(text, at, text.len), &c);
        parts[len] = str_slice(text, at, at + used);
        at += used;
    }
    for (;;) {
        float best = -INFINITY;
        size_t at = SIZE_MAX;
        for (size_t i = 0; i + 1 < len; i++) {
            int32_t id = made_find(m, (struct str){ parts[i].ptr, parts[i].len + parts[i + 1].len });
            if (id >= 0 && m->types[id] == TOKEN_NORMAL && m->scores[id] > best)
                best = m->scores[id], at = i;
        }
        if (at == SIZE_MAX)
            break;
        parts[at].len += parts[at + 1].len;
        memmove(parts + at + 1, parts + at + 2, (--len - at - 1) * sizeof *parts);
    }
    for (size_t i = 0; i < len; i++) {
        int32_t id = made_find(m, parts[i]);
        struct str bytes = str_is(parts[i], BLOCK) ? STR(" ") : parts[i];
        for (size_t k = 0; id < 0 && k < bytes.len; k++)
            ids_put(ids, 1 + (unsigned char)bytes.ptr[k]);
        if (id >= 0)
            ids_put(ids, id);
    }
}

static void spm_merges_as_the_textbook(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 3, 0);
    struct buf text = { 0 }, spelled = { 0 };
    struct err err = { 0 };
    for (int round = 0; round < 240; round++) {
        struct made *m = made_spm(&rng, round % 2);
        m->v.add_space_prefix = round % 3;
        bool inside = round % 5 == 0;
        struct tokenizer *t = made_open(m);
        random_text(&rng, 1 + rng_below(&rng, 60), &text);
        buf_clear(&spelled);
        if (m->v.add_space_prefix && !inside)
            buf_puts(&spelled, BLOCK);
        for (size_t i = 0; i < text.len; i++)
            if (text.ptr[i] == ' ')
                buf_puts(&spelled, BLOCK);
            else
                buf_putc(&spelled, text.ptr[i]);
        struct ids want = { 0 }, got = { 0 };
        naive_spm(m, buf_str(&spelled), &want);
        unsigned flags = inside ? ENCODE_INSIDE : ENCODE_PLAIN;
        assert_int_equal(tokenizer_encode(t, buf_str(&text), flags, &got, &err), ERR_OK);
        expect_same(&want, &got, buf_str(&text));
        ids_free(&want);
        ids_free(&got);
        tokenizer_close(t);
        made_free(m);
    }
    buf_free(&text);
    buf_free(&spelled);
}

/* --- special tokens ------------------------------------------------------------------------------------------------ */

static struct made *made_chat(struct rng *rng)
{
    struct made *m = made_bpe(rng, "qwen2", 40);
    static const char *const control[] = { "<|im_start|>", "<|im_end|>", "<|im_end|>x", "<s>", "|>" };
    for (size_t i = 0; i < ARRAY_LEN(control); i++)
        made_add(m, str_from(control[i]), TOKEN_CONTROL);
    made_add(m, STR("<think>"), TOKEN_USER_DEFINED);
    made_add(m, STR("    "), TOKEN_USER_DEFINED);
    m->v.eos = made_find(m, STR("<|im_end|>"));
    m->v.bos = made_find(m, STR("<s>"));
    m->v.add_bos = m->v.add_eos = true;
    return m;
}

static size_t count_specials(const struct tokenizer *t, const struct ids *ids)
{
    size_t count = 0;
    for (size_t i = 0; i < ids->len; i++)
        count += t->types[ids->ptr[i]] == TOKEN_CONTROL || str_is(tokenizer_text(t, ids->ptr[i]), "<think>");
    return count;
}

static void specials_are_found_longest_first(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 4, 0);
    struct made *m = made_chat(&rng);
    struct tokenizer *t = made_open(m);
    static const struct {
        const char *text;
        unsigned flags;
        size_t specials;
        const char *first, *last;
    } rows[] = {
        { "<|im_start|>a<|im_end|>", ENCODE_SPECIAL, 2, "<|im_start|>", "<|im_end|>" },
        { "<|im_start|>a<|im_end|>", ENCODE_PLAIN, 0, NULL, NULL },
        { "<|im_end|>x", ENCODE_SPECIAL, 1, "<|im_end|>x", "<|im_end|>x" },
        { "<|im_end|>", ENCODE_SPECIAL, 1, "<|im_end|>", "<|im_end|>" },
        { "<|im_end|", ENCODE_SPECIAL, 0, NULL, NULL },
        { "<<think>", ENCODE_SPECIAL, 1, NULL, "<think>" },
        { "\xFF<|im_end|>", ENCODE_SPECIAL, 1, NULL,
          "|>" }, /* the guard stands before one token, not the other */
        { "<|im_\xFF"
          "end|>",
          ENCODE_SPECIAL, 1, NULL, "|>" },
        { "a    b", ENCODE_PLAIN, 0, NULL, NULL },
        { "q", ENCODE_BOS, 2, "<s>", "<|im_end|>" },
        { "", ENCODE_BOS, 2, "<s>", "<|im_end|>" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ids ids = { 0 };
        struct err err = { 0 };
        assert_int_equal(tokenizer_encode(t, str_from(rows[i].text), rows[i].flags, &ids, &err), ERR_OK);
        assert_int_equal(count_specials(t, &ids), rows[i].specials);
        if (rows[i].first)
            assert_true(str_is(tokenizer_text(t, ids.ptr[0]), rows[i].first));
        if (rows[i].last)
            assert_true(str_is(tokenizer_text(t, ids.ptr[ids.len - 1]), rows[i].last));
        ids_free(&ids);
    }
    struct ids ids = { 0 };
    struct err err = { 0 };
    assert_int_equal(tokenizer_encode(t, STR("b    b"), ENCODE_PLAIN, &ids, &err), ERR_OK);
    assert_int_equal(ids.ptr[1],
                     tokenizer_find(t, STR("    "))); /* a user-defined word is text in every mode */
    ids_free(&ids);
    tokenizer_close(t);
    made_free(m);
}

/* Whatever a user writes between the template's tokens: no special token comes of it, and no byte is lost. */
static void guarded_content_stays_text(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 5, 0);
    struct made *m = made_chat(&rng);
    struct tokenizer *t = made_open(m);
    static const char *const parts[] = {
        "<|im_start|>", "<|im_end|>", "<|im",   "_end|>",   "|>", "|",    ">",     "<", "x",
        "s>",           "<think>",    "think>", "<|im_end", " ",  "    ", "hello", "\n"
    };
    struct buf content = { 0 }, prompt = { 0 }, back = { 0 };
    struct err err = { 0 };
    for (int round = 0; round < 3000; round++) {
        buf_clear(&content), buf_clear(&prompt), buf_clear(&back);
        for (uint64_t n = rng_below(&rng, 6), i = 0; i < n; i++)
            buf_puts(&content, parts[rng_below(&rng, ARRAY_LEN(parts))]);
        /* The template's own text around the content may be the rest of a token too. */
        static const char *const before[] = { "<|im_start|>", "<|im_start|><|im", "<|im_start|><",
                                              "<|im_start|>|" };
        static const char *const after[] = { "<|im_end|>", "_end|<|im_end|>", "ink<|im_end|>",
                                             "><|im_end|>" };
        const char *open = before[rng_below(&rng, 4)], *close = after[rng_below(&rng, 4)];
        buf_puts(&prompt, open);
        text_guard(t, buf_str(&content), &prompt);
        buf_puts(&prompt, close);
        struct ids ids = { 0 };
        assert_int_equal(tokenizer_encode(t, buf_str(&prompt), ENCODE_SPECIAL, &ids, &err), ERR_OK);
        if (content.len && count_specials(t, &ids) != 2)
            fail_msg("\"%s\" \"%.*s\" \"%s\": %zu specials", open, STR_ARG(buf_str(&content)), close,
                     count_specials(t, &ids));
        for (size_t i = 0; i < ids.len; i++)
            buf_put_str(&back, t->types[ids.ptr[i]] == TOKEN_CONTROL ? tokenizer_text(t, ids.ptr[i])
                                                                     : tokenizer_bytes(t, ids.ptr[i]));
        struct buf whole = { 0 };
        buf_puts(&whole, open);
        buf_put_str(&whole, buf_str(&content));
        buf_puts(&whole, close);
        assert_true(str_eq(buf_str(&whole), buf_str(&back)));
        buf_free(&whole);
        ids_free(&ids);
    }
    buf_free(&content), buf_free(&prompt), buf_free(&back);
    tokenizer_close(t);
    made_free(m);
}

static void questions_are_answered(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 6, 0);
    struct made *m = made_chat(&rng);
    struct tokenizer *t = made_open(m);
    int32_t end = tokenizer_find(t, STR("<|im_end|>")), start = tokenizer_find(t, STR("<|im_start|>"));
    assert_int_equal(tokenizer_size(t), m->v.n_tokens);
    assert_true(tokenizer_ends(t, end) && !tokenizer_ends(t, start) && !tokenizer_ends(t, -1) &&
                !tokenizer_ends(t, 1 << 20));
    assert_int_equal(tokenizer_eos(t), end);
    assert_int_equal(tokenizer_bytes(t, end).len, 0);
    assert_true(str_is(tokenizer_bytes(t, tokenizer_find(t, STR("<think>"))), "<think>"));
    assert_int_equal(tokenizer_bytes(t, -5).len, 0);
    assert_int_equal(tokenizer_find(t, STR("no such token")), -1);
    assert_true(
        str_is(tokenizer_bytes(t, tokenizer_find(t, STR(" "))), " ")); /* spelled otherwise, found by bytes */
    tokenizer_close(t);
    made_free(m);
}

static void check_ids(const struct tokenizer *t, const char *text, unsigned flags, const int32_t *want,
                      size_t n)
{
    struct ids ids = { 0 };
    struct err err = { 0 };
    assert_int_equal(tokenizer_encode(t, str_from(text), flags, &ids, &err), ERR_OK);
    assert_int_equal(ids.len, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ids.ptr[i], want[i]);
    ids_free(&ids);
}
#define CHECK_IDS(t, text, flags, ...)                                                                       \
    check_ids(t, text, flags, (const int32_t[]){ __VA_ARGS__ }, ARRAY_LEN(((const int32_t[]){ __VA_ARGS__ })))

/* A byte that the vocabulary lacks joins nothing and leaves no token. */
static void missing_bytes_are_left_out(void **state)
{
    (void)state;
    struct made *m = made_new("gpt2", "gpt-2");
    int32_t a = made_add(m, STR("a"), TOKEN_NORMAL), b = made_add(m, STR("b"), TOKEN_NORMAL);
    int32_t ab = made_add(m, STR("ab"), TOKEN_NORMAL);
    m->merges[m->v.n_merges++] = STR("a b");
    m->v.unk = a;
    struct tokenizer *t = made_open(m);
    CHECK_IDS(t, "ab", ENCODE_PLAIN, ab);
    CHECK_IDS(t, "acb", ENCODE_PLAIN, a, b);
    CHECK_IDS(t,
              "a\x0b"
              "cab",
              ENCODE_PLAIN, a, ab);
    tokenizer_close(t);
    made_free(m);
}

static json_t *random_json(const struct tokenizer *t, struct rng *rng, bool guard)
{
    static const char *const parts[] = {
        "<|im_end|>", "<|im", "_end|>", "|>", "n!",   "\n",    "\"",    "\\",
        "x",          "!",    "q",      "\t", "\x01", "u0001", "hello", "}"
    };
    struct buf content = { 0 }, guarded = { 0 };
    for (uint64_t n = rng_below(rng, 6), i = 0; i < n; i++)
        buf_puts(&content, parts[rng_below(rng, ARRAY_LEN(parts))]);
    if (guard)
        text_guard_json(t, buf_str(&content), &guarded);
    struct buf *used = guard ? &guarded : &content;
    json_t *out = json_stringn_nocheck(used->len ? used->ptr : "", used->len);
    buf_free(&content), buf_free(&guarded);
    return out;
}

static void render_json(const struct tokenizer *t, uint64_t seed, bool guard, struct buf *out)
{
    struct chat_template *template;
    struct rng rng;
    struct err err = { 0 };
    rng_init(&rng, seed, 0);
    json_t *key = random_json(t, &rng, guard), *m = json_object(), *variables = json_object();
    json_object_set_new_nocheck(m, json_string_value(key), random_json(t, &rng, guard));
    json_object_set_new(variables, "m", m);
    assert_int_equal(chat_template_open(&template, STR("<|im_start|>{{ m|tojson }}<|im_end|>"), &err),
                     ERR_OK);
    assert_int_equal(chat_template_render(template, variables, out, &err), ERR_OK);
    chat_template_close(template);
    json_decref(variables);
    json_decref(key);
}

/* Keys and strings that a template writes as JSON: the escapes make no token either, whatever tokens there are, and JSON it
 * stays. */
static void guarded_json_stays_text(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 6, 0);
    struct made *m = made_chat(&rng);
    static const char *const odd[] = { "\\n", "n!", "\"x", "\\\"", "\\\\", "\\u0001", "!\\" };
    for (size_t i = 0; i < ARRAY_LEN(odd); i++)
        made_add(m, str_from(odd[i]), TOKEN_CONTROL);
    struct tokenizer *t = made_open(m);
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct buf plain = { 0 }, guarded = { 0 }, bare = { 0 };
        struct ids ids = { 0 };
        struct err err = { 0 };
        render_json(t, seed, false, &plain);
        render_json(t, seed, true, &guarded);
        for (size_t i = 0; i < guarded.len; i++)
            if (guarded.ptr[i] != '\xFF')
                buf_putc(&bare, guarded.ptr[i]);
        assert_true(str_eq(buf_str(&plain), buf_str(&bare)));
        assert_int_equal(tokenizer_encode(t, buf_str(&guarded), ENCODE_SPECIAL, &ids, &err), ERR_OK);
        if (count_specials(t, &ids) != 2)
            fail_msg("%.*s: %zu specials", STR_ARG(buf_str(&plain)), count_specials(t, &ids));
        ids_free(&ids);
        buf_free(&plain), buf_free(&guarded), buf_free(&bare);
    }
    tokenizer_close(t);
    made_free(m);
}

/* Phi 3: blanks behind a token of the turn are its own; behind <s> and in front of a guarded token they
 * are not. */
static void phi3_turns_take_blanks_along(void **state)
{
    (void)state;
    struct made *m = made_new("llama", "");
    m->v.unk = made_add(m, STR("<unk>"), TOKEN_UNKNOWN);
    int32_t bos = made_add(m, STR("<s>"), TOKEN_CONTROL);
    int32_t user = made_add(m, STR("<|user|>"), TOKEN_CONTROL),
            end = made_add(m, STR("<|end|>"), TOKEN_CONTROL);
    int32_t x = made_add(m, STR("x"), TOKEN_NORMAL), blank = made_add(m, STR("\xE2\x96\x81"), TOKEN_NORMAL);
    int32_t less = made_add(m, STR("<"), TOKEN_NORMAL);
    for (const char *c = "|usernd>"; *c; c++)
        made_add(m, (struct str){ c, 1 }, TOKEN_NORMAL);
    struct tokenizer *t = made_open(m);
    CHECK_IDS(t, "<|user|> \n x<|end|>", ENCODE_SPECIAL, user, blank, 0, blank, x, end);
    tokenizer_close(t);
    made_add(m, STR("<|placeholder1|>"), TOKEN_CONTROL);
    t = made_open(m);
    CHECK_IDS(t, "<|user|> \n x<|end|>", ENCODE_SPECIAL, user, x, end);
    CHECK_IDS(t, "<s> x", ENCODE_SPECIAL, bos, blank, x);
    struct buf guarded = { 0 };
    struct ids ids = { 0 };
    struct err err = { 0 };
    buf_puts(&guarded, "<|user|>");
    text_guard(t, STR(" <|end|>"), &guarded);
    assert_int_equal(tokenizer_encode(t, buf_str(&guarded), ENCODE_SPECIAL, &ids, &err), ERR_OK);
    assert_true(ids.len > 3 && ids.ptr[0] == user && ids.ptr[1] == less);
    ids_free(&ids);
    buf_free(&guarded);
    tokenizer_close(t);
    made_free(m);
}

/* Gemma's <b> is a word like any other; <think> is not. */
static void html_is_text(void **state)
{
    (void)state;
    struct made *m = made_new("llama", "");
    made_add(m, STR("<unk>"), TOKEN_UNKNOWN);
    int32_t bold = made_add(m, STR("<b>"), TOKEN_USER_DEFINED),
            end = made_add(m, STR("</b>"), TOKEN_USER_DEFINED);
    int32_t think = made_add(m, STR("<think>"), TOKEN_USER_DEFINED);
    for (const char *c = "<>think/b"; *c; c++)
        made_add(m, (struct str){ c, 1 }, TOKEN_NORMAL);
    struct tokenizer *t = made_open(m);
    struct buf guarded = { 0 };
    CHECK_IDS(t, "<b></b>", ENCODE_PLAIN, bold, end);
    CHECK_IDS(t, "<think>", ENCODE_SPECIAL, think);
    text_guard(t, STR("<b><think></b>"), &guarded);
    assert_true(str_is(buf_str(&guarded), "<b>\xFF<think></b>"));
    buf_free(&guarded);
    tokenizer_close(t);
    made_free(m);
}

static void text_must_be_utf8(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 7, 0);
    struct made *m = made_chat(&rng);
    struct tokenizer *t = made_open(m);
    static const char *const bad[] = { "\x80", "a\xC3", "\xED\xA0\x80", "\xC0\x80", "<s>\xE6\x88<s>" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct ids ids = { 0 };
        struct err err = { 0 };
        assert_int_equal(tokenizer_encode(t, str_from(bad[i]), ENCODE_SPECIAL, &ids, &err),
                         ERR_INVALID_VALUE);
        ids_free(&ids);
    }
    tokenizer_close(t);
    made_free(m);
}

/* An open tokenizer is read by many threads at once; run under the thread sanitizer this proves it. */
struct reader {
    struct thread thread;
    const struct tokenizer *t;
    struct str text;
    struct ids ids;
};

static void encode_in_thread(void *ctx)
{
    struct reader *r = ctx;
    struct err err;
    for (int i = 0; i < 20; i++) {
        r->ids.len = 0;
        assert_int_equal(tokenizer_encode(r->t, r->text, ENCODE_SPECIAL, &r->ids, &err), ERR_OK);
    }
}

static void threads_share_a_tokenizer(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 8, 0);
    struct made *m = made_chat(&rng);
    struct tokenizer *t = made_open(m);
    struct buf text = { 0 };
    random_text(&rng, 300, &text);
    struct reader readers[4];
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        readers[i] = (struct reader){ .t = t, .text = buf_str(&text) };
        thread_start(&readers[i].thread, "reader", encode_in_thread, &readers[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(readers); i++)
        thread_join(&readers[i].thread);
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        expect_same(&readers[0].ids, &readers[i].ids, buf_str(&text));
        if (i)
            ids_free(&readers[i].ids);
    }
    ids_free(&readers[0].ids);
    buf_free(&text);
    tokenizer_close(t);
    made_free(m);
}

/* --- bad vocabularies ------------------------------------------------------------------------------------------------ */

static void spoil_model(struct made *m)
{
    m->v.model = STR("wordpiece");
}
static void spoil_pre(struct made *m)
{
    m->v.pre = STR("klingon");
}
static void spoil_count(struct made *m)
{
    m->v.n_tokens = 0;
}
static void spoil_size(struct made *m)
{
    m->v.n_tokens = SIZE_MAX;
}
static void spoil_eos(struct made *m)
{
    m->v.eos = 100000;
}
static void spoil_bos(struct made *m)
{
    m->v.bos = -7;
}
static void spoil_type(struct made *m)
{
    m->types[3] = 9;
}
static void spoil_merge_blank(struct made *m)
{
    m->merges[m->v.n_merges++] = STR("ab");
}
static void spoil_merge_empty(struct made *m)
{
    m->merges[m->v.n_merges++] = STR("");
}
static void spoil_merge_token(struct made *m)
{
    m->merges[m->v.n_merges++] = STR("zz y");
}
static void spoil_merges(struct made *m)
{
    m->v.n_merges = 0;
}
static void spoil_scores(struct made *m)
{
    m->v.model = STR("llama");
    m->v.scores = NULL;
}
static void spoil_score(struct made *m)
{
    m->v.model = STR("llama");
    m->scores[5] = NAN;
}
static void spoil_byte(struct made *m)
{
    m->v.model = STR("llama");
    m->types[5] = TOKEN_BYTE;
}

static void bad_vocabularies_are_refused(void **state)
{
    (void)state;
    static const struct {
        void (*spoil)(struct made *m);
        const char *says;
    } rows[] = {
        { spoil_model, "wordpiece" },      { spoil_pre, "klingon" },       { spoil_count, "0 tokens" },
        { spoil_size, "tokens" },          { spoil_eos, "eos" },           { spoil_bos, "bos" },
        { spoil_type, "type 9" },          { spoil_merge_blank, "blank" }, { spoil_merge_empty, "blank" },
        { spoil_merge_token, "no token" }, { spoil_scores, "scores" },     { spoil_score, "not a number" },
        { spoil_byte, "<0xNN>" },          { spoil_merges, "merges" },
    };
    struct rng rng;
    rng_init(&rng, 9, 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct made *m = made_bpe(&rng, "gpt-2", 10);
        rows[i].spoil(m);
        struct tokenizer *t = NULL;
        struct err err = { 0 };
        assert_int_equal(tokenizer_open(&t, &m->v, &err), ERR_FORMAT);
        if (!strstr(err.message, rows[i].says))
            fail_msg("\"%s\" does not say \"%s\"", err.message, rows[i].says);
        assert_null(t);
        made_free(m);
    }
    tokenizer_close(NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(missing_bytes_are_left_out),
    cmocka_unit_test(phi3_turns_take_blanks_along),
    cmocka_unit_test(html_is_text),
    cmocka_unit_test(bpe_merges_as_the_textbook),
    cmocka_unit_test(spm_merges_as_the_textbook),
    cmocka_unit_test(specials_are_found_longest_first),
    cmocka_unit_test(guarded_content_stays_text),
    cmocka_unit_test(guarded_json_stays_text),
    cmocka_unit_test(questions_are_answered),
    cmocka_unit_test(text_must_be_utf8),
    cmocka_unit_test(threads_share_a_tokenizer),
    cmocka_unit_test(bad_vocabularies_are_refused),
};
TEST_GROUP(text_tokenizer, tests)
