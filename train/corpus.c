/*
 * corpus.c - the corpus tool: training and held-out documents as token shards for the trainer or as JSON lines for people.
 *
 *     corpus --shard FILE --batches N --tokenizer FILE --template FILE [--rows 128,256,512] [--batch-tokens N] ...
 *     corpus --json --count N ...
 *     corpus --list | --encode --tokenizer FILE ... | --mark
 *
 * --shard writes batches of packed rows (corpus.h, packer_put_shard) and prints one JSON object of counts. --json writes
 * {"family","level","new","effort","system","tools","turns":[...]} per line. system is the system message, or "". tools
 * is an array of function tools in the Chat Completions shape ({"type":"function","function":{"name","description",
 * "parameters"}}), or []. A turn is {"user","think","recheck","text","answer"}: a message of the user and the reply to
 * it; a turn that answers a tool's result has "tool" in place of "user" (role "tool"; the turn before it called that
 * tool). Text is the visible reply as the model writes it, calls too: "<tool_call>\n{"name": ..., "arguments":
 * {...}}\n</tool_call>". Turns that belong to one problem come in order, the last of them is the one that "answer" marks
 * ("" on those before it). A turn may also have "flawed" and "mended": see src/exam/effort.c.
 *
 * With --tokenizer and --template an object also has "prompt", the text that the engine would give to the model.
 *
 * With --gsm8k so many problems in a thousand (20) are of that file, family "book", three in four with other numbers and
 * names. --gsm8k-exam writes its withheld tenth for `thinkd exam --file`, problems of at most that many steps (0: all),
 * and says on standard error how many were kept and left out.
 *
 * --list prints family, level and weight of what is trained. --encode answers each line, a JSON string, with its ids as
 * the engine's tokenizer cuts it. --mark answers each line {"family","reply","answer"} with {"right","given"} by the family's
 * own checker. The same arguments give the same bytes.
 */
#include "corpus.h"

#include "base/clock.h"
#include "base/file.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

enum form { FORM_NONE, FORM_SHARD, FORM_JSON, FORM_LIST, FORM_ENCODE, FORM_MARK, FORM_BOOK };

struct options {
    enum form form;
    uint64_t seed, count, batches, batch_tokens, threads, level;
    struct mixture mixture;
    struct shape shape;
    struct renderer_config renderer;
    const char *shard, *factors, *gsm8k;
    uint64_t book_steps; /* of the withheld problems, at most; 0: all */
    struct exam_book *book;
};

static int usage(void)
{
    fputs("usage: corpus --shard FILE --batches N --tokenizer FILE --template FILE [--close TEXT] "
          "[--requests FILE]\n"
          "              [--rows 128,256,512] [--batch-tokens N] [--threads N] [WHICH]\n"
          "       corpus --json --count N [--tokenizer FILE --template FILE] [WHICH]\n"
          "       corpus --gsm8k FILE --gsm8k-exam STEPS\n"
          "       corpus --list | --mark | --encode --tokenizer FILE --template FILE\n"
          "WHICH: [--seed S] [--held-out] [--family NAME] [--level L] [--effort low|medium|high|xhigh] "
          "[--factors FILE]\n"
          "       [--gsm8k FILE [--gsm8k-share PERMILLE]]\n",
          stderr);
    return 2;
}

/* --- options -------------------------------------------------------------------------------------------------- */

static bool parse_number(const char *s, uint64_t *out)
{
    int64_t value;
    if (!str_to_i64(str_from(s), &value) || value < 0)
        return false;
    *out = (uint64_t)value;
    return true;
}

static bool parse_rows(const char *s, struct shape *shape)
{
    shape->lengths_len = 0;
    for (struct str rest = str_from(s); rest.len;) {
        size_t end = str_find(rest, STR(","));
        int64_t length, before = shape->lengths_len ? (int64_t)shape->lengths[shape->lengths_len - 1] : 0;
        if (!str_to_i64(str_slice(rest, 0, end == SIZE_MAX ? rest.len : end), &length) || length <= before ||
            length > 65536 || shape->lengths_len == ROW_LENGTHS_MAX)
            return false;
        shape->lengths[shape->lengths_len++] = (size_t)length;
        rest = str_slice(rest, end == SIZE_MAX ? rest.len : end + 1, rest.len);
    }
    return shape->lengths_len > 0;
}

static bool parse_flag(const char *name, struct options *o)
{
    static const struct {
        const char *name;
        enum form form;
    } forms[] = {
        { "--json", FORM_JSON }, { "--list", FORM_LIST }, { "--encode", FORM_ENCODE }, { "--mark", FORM_MARK }
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (!strcmp(name, forms[i].name)) {
            o->form = forms[i].form;
            return true;
        }
    if (strcmp(name, "--held-out"))
        return false;
    o->mixture.split = EXAM_HELD_OUT;
    return true;
}

static bool parse_text(const char *name, const char *value, struct options *o)
{
    const struct {
        const char *name;
        const char **text;
    } texts[] = { { "--shard", &o->shard },
                  { "--tokenizer", &o->renderer.tokenizer },
                  { "--template", &o->renderer.template },
                  { "--close", &o->renderer.close },
                  { "--requests", &o->renderer.requests },
                  { "--factors", &o->factors },
                  { "--gsm8k", &o->gsm8k } };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (!strcmp(name, texts[i].name)) {
            *texts[i].text = value;
            return true;
        }
    return false;
}

/* *known: the name is one of these, whatever came of its value. */
static bool parse_counted(const char *name, const char *value, struct options *o, bool *known)
{
    const struct {
        const char *name;
        uint64_t *number, low, high;
    } numbers[] = { { "--seed", &o->seed, 0, INT64_MAX },
                    { "--count", &o->count, 0, INT64_MAX },
                    { "--batches", &o->batches, 1, 1000000 },
                    { "--batch-tokens", &o->batch_tokens, 1, 1 << 24 },
                    { "--threads", &o->threads, 1, 1024 },
                    { "--level", &o->level, 1, EXAM_LEVELS_MAX },
                    { "--gsm8k-share", &o->mixture.book_permille, 0, 1000 },
                    { "--gsm8k-exam", &o->book_steps, 0, 1000 } };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (!strcmp(name, numbers[i].name)) {
            *known = true;
            return parse_number(value, numbers[i].number) && *numbers[i].number >= numbers[i].low &&
                   *numbers[i].number <= numbers[i].high;
        }
    *known = false;
    return false;
}

static bool parse_value(const char *name, const char *value, struct options *o)
{
    bool known, ok = parse_counted(name, value, o, &known);
    if (!strcmp(name, "--gsm8k-exam"))
        o->form = FORM_BOOK;
    if (known || (ok = parse_text(name, value, o)))
        return ok;
    if (!strcmp(name, "--rows"))
        return parse_rows(value, &o->shape);
    if (!strcmp(name, "--family"))
        return (o->mixture.family = exam_family_find(str_from(value))) != NULL;
    return !strcmp(name, "--effort") &&
           (o->mixture.effort_given = exam_effort_from(str_from(value), &o->mixture.effort));
}

static bool is_sound(struct options *o)
{
    const struct exam_family *f = o->mixture.family;
    o->mixture.level = (int)o->level;
    o->shape.batch_tokens = (size_t)o->batch_tokens;
    if (o->shard)
        o->form = FORM_SHARD;
    int levels = f ? mixture_levels(&o->mixture, f) : EXAM_LEVELS_MAX;
    if (levels == 0 || o->mixture.level > levels)
        return false;
    if (o->form == FORM_BOOK && !o->gsm8k)
        return false;
    if ((o->form == FORM_SHARD || o->form == FORM_ENCODE) && !(o->renderer.tokenizer && o->renderer.template))
        return false;
    for (size_t i = 0; i < o->shape.lengths_len; i++)
        if (o->shape.batch_tokens % o->shape.lengths[i])
            return false;
    return o->form != FORM_NONE && (o->form != FORM_SHARD || o->batches);
}

static bool parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        if (parse_flag(argv[i], o))
            continue;
        if (i + 1 >= argc || !parse_value(argv[i], argv[i + 1], o))
            return false;
        i++;
    }
    return is_sound(o);
}

/* --- forms ---------------------------------------------------------------------------------------------------- */

static enum err_code write_out(struct buf *out, struct err *err)
{
    if (fwrite(out->ptr, 1, out->len, stdout) != out->len)
        return err_set(err, ERR_FILE, NULL, "Standard output cannot be written.");
    buf_clear(out);
    return ERR_OK;
}

/* Guards keep what users write from becoming a control token and are taken out when the prompt is tokenised. */
static void drop_guards(struct buf *prompt)
{
    size_t to = 0;
    for (size_t i = 0; i < prompt->len; i++)
        if ((unsigned char)prompt->ptr[i] != 0xff)
            prompt->ptr[to++] = prompt->ptr[i];
    prompt->len = to;
}

static enum err_code run_json(const struct options *o, const struct renderer *r, struct err *err)
{
    struct document d = { 0 };
    struct exam_problem p = { 0 };
    struct buf out = { 0 }, prompt = { 0 };
    struct rng rng;
    enum err_code code = ERR_OK;
    rng_init(&rng, o->seed, o->mixture.split == EXAM_HELD_OUT);
    for (uint64_t i = 0; i < o->count && !code; i++) {
        document_draw(&d, &o->mixture, &rng, &p);
        buf_clear(&prompt);
        if (r)
            code = render_prompt(r, &d, true, &prompt, err);
        drop_guards(&prompt);
        document_put_json(&d, r ? &prompt : NULL, &out);
        if (out.len >= MIB)
            code = write_out(&out, err);
    }
    if (!code && out.len)
        code = write_out(&out, err);
    document_free(&d);
    exam_problem_free(&p);
    buf_free(&prompt);
    buf_free(&out);
    return code;
}

static void tell_counts(const struct options *o, const struct packer *p, double seconds)
{
    struct packer_counts c = packer_counts(p);
    printf("{\"batches\":%llu,\"batch_tokens\":%zu,\"documents\":%lld,\"too_long\":%lld,\"tokens\":%lld,"
           "\"counted\":%lld,"
           "\"seconds\":%.3f}\n",
           (unsigned long long)o->batches, o->shape.batch_tokens, (long long)c.documents,
           (long long)c.too_long, (long long)c.tokens, (long long)c.counted, seconds);
}

static enum err_code run_shard(const struct options *o, const struct renderer *r, struct err *err)
{
    int64_t started = clock_mono_ns();
    struct packer *p = packer_open(&o->shape, (size_t)o->batches);
    struct buf out = { 0 };
    const struct shard_config cfg = { .mixture = &o->mixture,
                                      .renderer = r,
                                      .shape = &o->shape,
                                      .seed = o->seed,
                                      .batches = (size_t)o->batches,
                                      .threads = (int)o->threads };
    enum err_code code = shard_make(&cfg, p, err);
    if (!code) {
        packer_put_shard(p, &out);
        code = file_write(o->shard, buf_str(&out), err);
    }
    if (!code)
        tell_counts(o, p, (double)(clock_mono_ns() - started) / 1e9);
    buf_free(&out);
    packer_close(p);
    return code;
}

/* Answers each line of standard input; a line that cannot be answered ends the run. */
static enum err_code answer_lines(enum err_code (*answer)(const void *ctx, json_t *in, struct buf *out,
                                                          struct err *err),
                                  const void *ctx, struct err *err)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    struct buf out = { 0 };
    enum err_code code = ERR_OK;
    while (!code && (len = getline(&line, &cap, stdin)) > 0) {
        json_t *in = NULL;
        code = json_read(&in, (struct str){ line, (size_t)len }, err);
        if (!code)
            code = answer(ctx, in, &out, err);
        json_decref(in);
        buf_putc(&out, '\n');
        if (!code)
            code = write_out(&out, err);
        fflush(stdout); /* who asks waits for this line */
    }
    free(line);
    buf_free(&out);
    return code;
}

static struct str text_at(const json_t *object, const char *key)
{
    const json_t *v = key ? json_object_get(object, key) : object;
    return (struct str){ json_string_value(v), json_string_length(v) };
}

static enum err_code answer_encode(const void *ctx, json_t *in, struct buf *out, struct err *err)
{
    struct ids ids = { 0 };
    enum err_code code = tokenizer_encode(ctx, text_at(in, NULL), ENCODE_SPECIAL, &ids, err);
    for (size_t i = 0; i < ids.len; i++)
        buf_printf(out, "%s%d", i ? "," : "[", (int)ids.ptr[i]);
    buf_puts(out, ids.len ? "]" : "[]");
    ids_free(&ids);
    return code;
}

static enum err_code answer_mark(const void *ctx, json_t *in, struct buf *out, struct err *err)
{
    (void)ctx;
    const struct exam_family *f = exam_family_find(text_at(in, "family"));
    if (!f && json_object_get(in, "family"))
        return err_set(err, ERR_INVALID_VALUE, "family", "There is no family '%.*s'.",
                       STR_ARG(text_at(in, "family")));
    struct str reply = text_at(in, "reply");
    bool right = exam_check(f, reply, text_at(in, "answer"));
    buf_printf(out, "{\"right\":%s,\"given\":", right ? "true" : "false");
    json_put_string(out, exam_extract(reply));
    buf_putc(out, '}');
    return ERR_OK;
}

/* {"question","answer","steps"}, one a line. */
static enum err_code run_book(const struct options *o, struct err *err)
{
    size_t count = exam_book_len(o->book, EXAM_HELD_OUT);
    struct exam_problem p = { 0 };
    struct buf out = { 0 };
    struct rng rng;
    rng_init(&rng, o->seed, 0);
    for (size_t i = 0; i < count; i++) {
        int steps = exam_book_steps(o->book, EXAM_HELD_OUT, i);
        if (o->book_steps && (uint64_t)steps > o->book_steps)
            continue;
        exam_book_problem(o->book, EXAM_HELD_OUT, i, EXAM_LOW, false, &rng, &p);
        buf_puts(&out, "{\"question\":");
        json_put_string(&out, buf_str(&p.question));
        buf_puts(&out, ",\"answer\":");
        json_put_string(&out, buf_str(&p.answer));
        buf_printf(&out, ",\"steps\":%d}\n", steps);
    }
    fprintf(stderr, "corpus: %zu withheld, %zu for training, %zu left out\n", count,
            exam_book_len(o->book, EXAM_TRAIN), exam_book_dropped(o->book));
    enum err_code code = out.len ? write_out(&out, err) : ERR_OK;
    exam_problem_free(&p);
    buf_free(&out);
    return code;
}

static enum err_code run(struct options *o, struct err *err)
{
    struct renderer *r = NULL;
    enum err_code code = ERR_OK;
    json_start();
    if (o->factors)
        code = mixture_read_factors(&o->mixture, o->factors, err);
    if (!code && o->gsm8k)
        code = exam_book_open(&o->book, o->gsm8k, err);
    o->mixture.book = o->book;
    if (!code && o->renderer.tokenizer)
        code = renderer_open(&r, &o->renderer, err);
    switch (code ? FORM_NONE : o->form) {
    case FORM_SHARD: code = run_shard(o, r, err); break;
    case FORM_JSON: code = run_json(o, r, err); break;
    case FORM_LIST: mixture_list(stdout); break;
    case FORM_ENCODE: code = answer_lines(answer_encode, renderer_tokenizer(r), err); break;
    case FORM_MARK: code = answer_lines(answer_mark, NULL, err); break;
    case FORM_BOOK: code = run_book(o, err); break;
    case FORM_NONE: break;
    }
    renderer_close(r);
    exam_book_close(o->book);
    if (!code && fflush(stdout))
        code = err_set(err, ERR_FILE, NULL, "Standard output cannot be written.");
    return code;
}

int main(int argc, char **argv)
{
    struct options o = { .seed = 1,
                         .count = 1000,
                         .threads = 2,
                         .mixture.book_permille = 20,
                         .batch_tokens = 8192,
                         .shape = { .lengths = { 256, 512, 1024 }, .lengths_len = 3 },
                         .renderer = { .close = "\nTime is up.\n" } };
    struct err err;
    if (!parse(argc, argv, &o))
        return usage();
    if (run(&o, &err)) {
        fprintf(stderr, "corpus: %s\n", err.message);
        return 1;
    }
    return 0;
}
