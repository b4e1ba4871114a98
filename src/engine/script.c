/*
 * script.c - what the echo engine will say to a prompt: a thought and an answer, in words.
 *
 * It thinks by walking through the message ("Word 1 is \"What\"."), four tokens a word, then answers with the
 * message itself. A message that starts with a directive (the table below, and echo.c) does something else.
 *
 * Threads: any.
 */
#include "engine/engine_impl.h"

static const struct {
    const char *word;
    enum echo_act act;
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
    { "/vote", ACT_VOTE, false, "" },
    { "/again", ACT_AGAIN, false, "" },
};

/* The first word of text with the blanks before it, and after it where it is the last. */
static struct str first_word(struct str text)
{
    size_t start = text.len - str_trim_start(text).len, end = start;
    while (end < text.len && str_trim(str_slice(text, end, end + 1)).len)
        end++;
    return str_trim(str_slice(text, end, text.len)).len ? str_slice(text, 0, end) : text;
}

size_t script_count(struct str text)
{
    size_t n = 0;
    for (struct str word; text.len; text = str_slice(text, word.len, text.len), n++)
        word = first_word(text);
    return n;
}

static enum err_code put(struct words *w, struct str text, struct ids *ids, struct err *err)
{
    int32_t id;
    enum err_code code = words_id(w, text, &id, err);
    if (!code)
        ids_put(ids, id);
    return code;
}

enum err_code script_words(struct words *w, struct str text, struct ids *ids, struct err *err)
{
    enum err_code code = ERR_OK;
    for (struct str word; text.len && !code; text = str_slice(text, word.len, text.len)) {
        word = first_word(text);
        code = put(w, word, ids, err);
    }
    return code;
}

/* "Word", " 1", " is", " \"What\".\n" */
static enum err_code write_thought(struct words *w, struct str message, struct ids *ids, struct err *err)
{
    enum err_code code = ERR_OK;
    struct buf b = { 0 };
    size_t number = 1;
    for (struct str word; message.len && !code;
         message = str_slice(message, word.len, message.len), number++) {
        word = first_word(message);
        code = put(w, STR("Word"), ids, err);
        buf_clear(&b);
        buf_printf(&b, " %zu", number);
        code = code ? code : put(w, buf_str(&b), ids, err);
        code = code ? code : put(w, STR(" is"), ids, err);
        buf_clear(&b);
        buf_printf(&b, " \"%.*s\".\n", STR_ARG(str_trim(word)));
        code = code ? code : put(w, buf_str(&b), ids, err);
    }
    buf_free(&b);
    return code;
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
        *answer = s->act == ACT_AGAIN ? rest : str_from(directives[i].answer);
        if (!directives[i].number)
            return ERR_OK;
        if (!str_to_i64(rest, &s->number) || s->number < 0 || s->number > ECHO_NUMBER_MAX)
            return err_set(err, ERR_INVALID_VALUE, "messages", "Expected a number from 0 to %d after '%s'.",
                           ECHO_NUMBER_MAX, directives[i].word);
        return ERR_OK;
    }
    return ERR_OK;
}

/* Each word behind the directive is an answer, a sign before it what happens first; "_" is a blank in it. */
static enum err_code write_votes(struct echo_script *s, struct words *w, struct str message, struct err *err)
{
    enum err_code code = ERR_OK;
    struct str word = first_word(message);
    while (!code) {
        message = str_trim(str_slice(message, word.len, message.len));
        if (message.len == 0)
            break;
        word = first_word(message);
        struct str text = str_trim(word);
        bool sign = text.len && (text.ptr[0] == '!' || text.ptr[0] == '@');
        struct buf answer = { 0 };
        buf_put_str(&answer, str_slice(text, sign, text.len));
        for (size_t i = 0; i < answer.len; i++)
            if (answer.ptr[i] == '_')
                answer.ptr[i] = ' ';
        buf_putc(&s->signs, sign ? text.ptr[0] : 0);
        code = script_words(w, buf_str(&answer), &s->pieces, err);
        ids_put(&s->votes, (int32_t)(s->pieces.len - s->n_thought));
        buf_free(&answer);
    }
    if (!code && s->votes.len == 0)
        code = err_set(err, ERR_INVALID_VALUE, "messages", "Expected answers after '/vote'.");
    return code;
}

enum err_code script_open(struct echo_script **out, struct words *w, struct str message, bool think,
                          struct err *err)
{
    struct echo_script *s = mem_zalloc(sizeof *s);
    struct str answer = message;
    s->think = think;
    enum err_code code = read_directive(s, message, &answer, err);
    if (!code && think)
        code = write_thought(w, message, &s->pieces, err);
    s->n_thought = s->pieces.len;
    if (!code)
        code =
            s->act == ACT_VOTE ? write_votes(s, w, message, err) : script_words(w, answer, &s->pieces, err);
    if (code) {
        script_close(s);
        return code;
    }
    *out = s;
    return ERR_OK;
}

void script_close(struct echo_script *s)
{
    if (!s)
        return;
    ids_free(&s->pieces);
    ids_free(&s->votes);
    buf_free(&s->signs);
    mem_free(s);
}
