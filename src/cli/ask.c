/*
 * ask.c - `thinkd ask`: one question, the answer as it comes.
 *
 * Standard output holds the answer and nothing else, so it can be piped on; thinking, usage and complaints go
 * to standard error.
 */
#include "cli/cli_impl.h"

#include "base/file.h"

#include <string.h>

#define QUESTION_BYTES_MAX 10485760 /* the API's bound on a string */

struct screen {
    bool json;       /* the answer is printed as an object at the end */
    bool styled;     /* thinking is dimmed */
    bool in_thought; /* the last piece was one */
    bool broken;     /* standard output is gone */
    char last;       /* byte of the answer */
    char last_thought;
};

static void end_thought(struct screen *s)
{
    if (s->in_thought && s->styled)
        fputs("\x1b[0m", stderr);
    if (s->in_thought && s->last_thought != '\n')
        fputc('\n', stderr);
    s->in_thought = false;
}

static bool put_piece(void *ctx, bool thought, struct str piece)
{
    struct screen *s = ctx;
    if (piece.len == 0)
        return true;
    if (thought) {
        if (!s->in_thought && s->styled)
            fputs("\x1b[2m", stderr);
        s->in_thought = true;
        s->last_thought = piece.ptr[piece.len - 1];
        term_put(stderr, piece);
        return true;
    }
    end_thought(s);
    s->last = piece.ptr[piece.len - 1];
    if (!s->json && !term_put(stdout, piece))
        s->broken = true;
    return !s->broken;
}

/* --- the question ------------------------------------------------------------------------------------ */

static enum err_code read_stdin(struct buf *question, struct err *err)
{
    if (term_is(stdin))
        fputs("thinkd: reading the question from the terminal; end it with Ctrl-D\n", stderr);
    enum err_code code = file_read(question, "-", QUESTION_BYTES_MAX, err);
    while (question->len &&
           (question->ptr[question->len - 1] == '\n' || question->ptr[question->len - 1] == '\r'))
        question->len--;
    return code;
}

static enum err_code read_question(struct buf *question, const struct config *cfg, struct err *err)
{
    enum err_code code = ERR_OK;
    if (cfg->n_args == 0 || (cfg->n_args == 1 && strcmp(cfg->args[0], "-") == 0))
        code = read_stdin(question, err);
    else
        for (size_t i = 0; i < cfg->n_args; i++)
            buf_printf(question, "%s%s", i ? " " : "", cfg->args[i]);
    if (code)
        return code;
    if (str_trim(buf_str(question)).len == 0)
        return err_set(err, ERR_CONFIG, NULL, "there is no question; as: thinkd ask \"What is 17 + 25?\"");
    if (!utf8_valid(buf_str(question)))
        return err_set(err, ERR_CONFIG, NULL, "the question is not valid UTF-8.");
    return ERR_OK;
}

/* --- the answer -------------------------------------------------------------------------------------- */

static void print_end(const struct screen *s, const struct answer *a)
{
    struct buf line = { 0 };
    if (s->json) {
        buf_put_str(&line, buf_str(&a->json));
        buf_putc(&line, '\n');
        term_put(stdout, buf_str(&line));
    } else if (s->last != '\n') {
        term_put(stdout, STR("\n"));
    }
    buf_clear(&line);
    if (a->status == JOB_INCOMPLETE)
        buf_printf(&line, "thinkd: the answer is incomplete: %s\n", a->incomplete);
    if (a->status == JOB_CANCELLED)
        buf_puts(&line, "thinkd: the answer was cancelled\n");
    if (term_is(stderr)) {
        if (s->styled)
            buf_puts(&line, "\x1b[2m");
        put_usage(&line, a);
        buf_puts(&line, s->styled ? "\x1b[0m\n" : "\n");
    }
    fwrite(line.ptr ? line.ptr : "", 1, line.len, stderr);
    buf_free(&line);
}

static enum err_code ask_one(const struct config *cfg, struct ask *ask, struct err *err)
{
    struct backend *backend = NULL;
    struct answer answer = { 0 };
    struct screen screen = { .json = cfg->json, .styled = term_styled(stderr) };
    enum err_code code = backend_open(&backend, cfg, 1, err);
    if (!code)
        code = backend_ask(backend, ask, (struct ask_sink){ put_piece, &screen }, &answer, err);
    end_thought(&screen);
    if (!code && !screen.broken)
        print_end(&screen, &answer);
    else if (!screen.json && screen.last && screen.last != '\n')
        term_put(stdout, STR("\n"));
    if (!code && screen.broken)
        code = err_set(err, ERR_FILE, NULL, "cannot write to standard output.");
    answer_free(&answer);
    backend_close(backend);
    return code;
}

int ask_run(const struct config *cfg)
{
    struct err err = { 0 };
    struct ask ask;
    struct buf question = { 0 };
    enum err_code code = ask_from_config(&ask, cfg, &err);
    if (!code)
        code = read_question(&question, cfg, &err);
    if (!code) {
        ask.question = buf_str(&question);
        code = ask_one(cfg, &ask, &err);
    }
    buf_free(&question);
    return code ? cli_fail(&err) : CLI_OK;
}
