/*
 * state.c - the replies of an exam on disk, so that it can go on where it stopped, and so that they can be replayed.
 *
 * JSONL. The first line is {"object": "thinkd.exam", "arguments": {...}}: all that the replies depend on, the questions
 * as a hash. A file whose arguments differ is refused by the name of the first that does. Every further line is one reply with its
 * question, written as one piece after the other and given to the system at once, so a killed process loses none that it
 * reported. A last line without its end is what a full disk or a crash of the machine left of one: it is cut off.
 *
 * Replies are marked again when they are read. A question that got no answer is noted and asked again.
 *
 * Threads: one at a time. The file is locked (flock) while it is open: two exams cannot write the same.
 */
#include "base/file.h"
#include "exam/exam_impl.h"
#include "exam/run_impl.h"
#include "reason/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define STATE_BYTES_MAX ((size_t)4 * 1024 * MIB)

struct state {
    char *path;
    int fd;
    const struct exam_config *config;
    const struct exam_paper *paper;
    struct buf line;
};

static enum err_code system_error(const struct state *s, const char *what, struct err *err)
{
    return err_set(err, ERR_FILE, "state", "%s: cannot %s: %s.", s->path, what, strerror(errno));
}

void state_close(struct state *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    buf_free(&s->line);
    mem_free(s->path);
    mem_free(s);
}

/* --- what the replies depend on -------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, struct str text)
{
    return (hash ^ str_hash(text)) * 0x9e3779b97f4a7c15u + text.len;
}

static uint64_t paper_hash(const struct exam_paper *paper)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < paper->len; i++) {
        const struct exam_question *q = &paper->items[i].question;
        hash = mix(mix(mix(mix(hash, q->text), paper->items[i].answer), q->system), q->tools);
        for (int k = 0; k < q->earlier_len; k++)
            hash = mix(mix(hash, q->earlier[k].said), q->earlier[k].visible);
    }
    return hash;
}

static json_t *candidates_json(const struct exam_config *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->candidates_len; i++)
        json_array_append_new(list, json_pack("[s?,s?]", c->candidates[i].model, c->candidates[i].effort));
    return list;
}

static json_t *arguments_json(const struct state *s)
{
    json_t *args = json_object();
    char hash[20];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)paper_hash(s->paper));
    json_object_set_new(args, "candidates", candidates_json(s->config));
    json_object_set_new(args, "samples", json_integer((json_int_t)s->paper->samples));
    json_object_set_new(args, "seed", json_integer((json_int_t)s->config->seed));
    if (s->config->arguments)
        json_object_update(args,
                           (json_t *)(uintptr_t)s->config->arguments); /* shares its values, changes none */
    json_object_set_new(args, "questions", json_integer((json_int_t)s->paper->len));
    json_object_set_new(args, "questions_hash", json_string(hash));
    return args;
}

static enum err_code differs(const struct state *s, const char *key, const json_t *theirs, const json_t *ours,
                             struct err *err)
{
    struct buf was = { 0 }, is = { 0 };
    json_dump(&was, theirs);
    json_dump(&is, ours);
    err_set(err, ERR_CONFIG, "state",
            "--state: %s was made with other arguments: '%s' is %.*s there, and %.*s now. Use another file, "
            "or the same "
            "arguments.",
            s->path, key, STR_ARG(field_quoted(buf_str(&was))), STR_ARG(field_quoted(buf_str(&is))));
    buf_free(&was);
    buf_free(&is);
    return ERR_CONFIG;
}

static enum err_code check_header(const struct state *s, const json_t *header, struct err *err)
{
    const json_t *theirs = json_object_get(header, "arguments");
    if (!str_is(json_str(json_object_get(header, "object")), "thinkd.exam") || !json_is_object(theirs))
        return err_set(err, ERR_CONFIG, "state", "--state: %s is no exam's file; name another.", s->path);
    json_t *ours = arguments_json(s), *v;
    const char *key;
    enum err_code code = ERR_OK;
    json_object_foreach(ours, key, v)
    {
        if (!code && !json_equal(v, json_object_get(theirs, key)))
            code = differs(s, key, json_object_get(theirs, key), v, err);
    }
    json_object_foreach((json_t *)(uintptr_t)theirs, key, v)
    {
        if (!code && !json_object_get(ours, key))
            code = differs(s, key, v, NULL, err);
    }
    json_decref(ours);
    return code;
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

static enum err_code append(struct state *s, struct err *err)
{
    buf_putc(&s->line, '\n');
    for (size_t done = 0; done < s->line.len;) {
        ssize_t n = write(s->fd, s->line.ptr + done, s->line.len - done);
        if (n < 0 && errno != EINTR)
            return system_error(s, "write", err);
        done += n > 0 ? (size_t)n : 0;
    }
    return ERR_OK;
}

static enum err_code put_header(struct state *s, struct err *err)
{
    json_t *header = json_pack("{s:s,s:o}", "object", "thinkd.exam", "arguments", arguments_json(s));
    buf_clear(&s->line);
    json_dump(&s->line, header);
    json_decref(header);
    return append(s, err);
}

static void put_float(struct json_writer *w, const char *key, float v)
{
    jw_key(w, key);
    if (isfinite(v))
        jw_real(w, (double)v);
    else
        jw_null(w);
}

static void put_confidence(struct json_writer *w, const struct exam_confidence *c)
{
    jw_key(w, "confidence");
    if (c->window == 0) {
        jw_null(w);
        return;
    }
    jw_begin_object(w);
    jw_key_int(w, "tokens", c->tokens);
    jw_key_int(w, "window", c->window);
    put_float(w, "mean_logprob", c->mean_logprob);
    put_float(w, "mean", c->mean);
    put_float(w, "last_window", c->last_window);
    put_float(w, "lowest_window", c->lowest_window);
    put_float(w, "bottom_tenth", c->bottom_tenth);
    jw_end_object(w);
}

/* The answer in the form in which the service compares answers, so that a reader can vote without its code. */
static void put_key(struct json_writer *w, struct str question, struct str text)
{
    struct answer_hints hints = { 0 };
    struct str found = { 0 };
    struct buf key = { 0 };
    answer_hints_read(&hints, question);
    enum answer_form form = answer_find(text, ANSWER_TEXT, &hints, &found, &key);
    jw_key_cstring(w, "form", answer_form_names[form]);
    jw_key_string(w, "key", buf_str(&key));
    answer_hints_free(&hints);
    buf_free(&key);
}

static void put_reply(struct json_writer *w, const struct exam_item *item, const struct exam_reply *r)
{
    jw_key_bool(w, "right", exam_check(item->family, buf_str(&r->text), item->answer));
    jw_key_string(w, "text", buf_str(&r->text));
    put_key(w, item->question.text, buf_str(&r->text));
    jw_key_bool(w, "complete", !r->cut);
    jw_key_int(w, "input_tokens", r->input_tokens);
    jw_key_int(w, "output_tokens", r->output_tokens);
    jw_key_int(w, "reasoning_tokens", r->reasoning_tokens);
    jw_key(w, "cost");
    if (r->priced)
        jw_int(w, r->cost);
    else
        jw_null(w);
    jw_key_real(w, "seconds", r->seconds);
    put_confidence(w, &r->confidence);
    if (r->thought.len)
        jw_key_string(w, "thought", buf_str(&r->thought));
}

enum err_code state_put(struct state *s, size_t item, size_t column, const struct exam_reply *reply,
                        const struct err *failed, struct err *err)
{
    struct json_writer w = { .out = &s->line };
    const struct exam_item *it = &s->paper->items[item];
    char cluster[20];
    snprintf(cluster, sizeof cluster, "%016llx", (unsigned long long)it->cluster);
    buf_clear(&s->line);
    jw_begin_object(&w);
    jw_key_int(&w, "item", (int64_t)item);
    jw_key_int(&w, "candidate", (int64_t)(column / s->paper->samples));
    jw_key_int(&w, "sample", (int64_t)(column % s->paper->samples));
    jw_key_string(&w, "family", str_from(it->question.family));
    jw_key_int(&w, "level", it->question.level);
    jw_key_string(&w, "cluster", str_from(cluster));
    jw_key_string(&w, "question", it->question.text);
    jw_key_string(&w, "answer", it->answer);
    if (failed)
        jw_key_string(&w, "error", str_from(failed->message));
    else
        put_reply(&w, it, reply);
    jw_end_object(&w);
    return append(s, err);
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

static bool index_at(const json_t *line, const char *key, size_t end, size_t *out)
{
    const json_t *v = json_object_get(line, key);
    int64_t n = json_is_integer(v) ? json_integer_value(v) : -1;
    *out = (size_t)n;
    return n >= 0 && (size_t)n < end;
}

static int64_t int_at(const json_t *line, const char *key)
{
    return json_integer_value(json_object_get(line, key)); /* 0 for what is no integer */
}

static enum err_code read_reply(const struct state *s, const json_t *line, int64_t number, int64_t *resumed,
                                struct err *err)
{
    size_t item, candidate, sample;
    const json_t *text = json_object_get(line, "text"), *cost = json_object_get(line, "cost");
    if (!index_at(line, "item", s->paper->len, &item) ||
        !index_at(line, "candidate", s->paper->candidates, &candidate) ||
        !index_at(line, "sample", s->paper->samples, &sample) || (!text && !json_object_get(line, "error")))
        return err_set(err, ERR_FORMAT, "state", "%s:%lld: This line is no reply of this exam.", s->path,
                       (long long)number);
    if (!json_is_string(text))
        return ERR_OK;
    struct exam_result *r = paper_result(s->paper, item, candidate * s->paper->samples + sample);
    *resumed += !r->asked;
    *r = (struct exam_result){ .asked = true,
                               .right = exam_check(s->paper->items[item].family, json_str(text),
                                                   s->paper->items[item].answer),
                               .priced = json_is_integer(cost),
                               .cost = json_integer_value(cost),
                               .output_tokens = int_at(line, "output_tokens"),
                               .reasoning_tokens = int_at(line, "reasoning_tokens"),
                               .seconds = json_number_value(json_object_get(line, "seconds")) };
    return ERR_OK;
}

static enum err_code read_line(const struct state *s, struct str text, int64_t number, int64_t *resumed,
                               struct err *err)
{
    json_t *line = NULL;
    struct err why;
    if (json_read(&line, text, &why))
        return err_set(err, ERR_FORMAT, "state", "%s:%lld: %s", s->path, (long long)number, why.message);
    enum err_code code = number == 1 ? check_header(s, line, err) : read_reply(s, line, number, resumed, err);
    json_decref(line);
    return code;
}

/* Whole lines; *end is where the last of them ends. */
static enum err_code read_lines(const struct state *s, struct str bytes, size_t *end, int64_t *resumed,
                                struct err *err)
{
    enum err_code code = ERR_OK;
    size_t len;
    *end = 0;
    for (int64_t number = 1;
         !code && (len = str_find(str_slice(bytes, *end, bytes.len), STR("\n"))) != SIZE_MAX; number++) {
        code = read_line(s, str_slice(bytes, *end, *end + len), number, resumed, err);
        *end += len + 1;
    }
    return code;
}

static enum err_code take_up(struct state *s, int64_t *resumed, struct err *err)
{
    struct buf bytes = { 0 };
    size_t end = 0;
    enum err_code code = file_read(&bytes, s->path, STATE_BYTES_MAX, err);
    if (!code)
        code = read_lines(s, buf_str(&bytes), &end, resumed, err);
    if (!code && end == 0 && bytes.len && !str_starts(buf_str(&bytes), STR("{\"object\"")))
        code = err_set(err, ERR_CONFIG, "state", "--state: %s is no exam's file; name another.", s->path);
    if (!code && end < bytes.len && ftruncate(s->fd, (off_t)end))
        code = system_error(s, "cut its last line, which has no end,", err);
    if (!code && end == 0)
        code = put_header(s, err);
    buf_free(&bytes);
    return code;
}

enum err_code state_open(struct state **out, const struct exam_config *config, struct exam_paper *paper,
                         int64_t *resumed, struct err *err)
{
    struct state *s = mem_zalloc(sizeof *s);
    s->path = mem_strdup(config->state);
    s->config = config;
    s->paper = paper;
    s->fd = open(s->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    enum err_code code = s->fd < 0 ? system_error(s, "open", err) : ERR_OK;
    if (!code && flock(s->fd, LOCK_EX | LOCK_NB))
        code = err_set(err, ERR_BUSY, "state", "--state: another exam is writing %s.", s->path);
    if (!code)
        code = take_up(s, resumed, err);
    if (code) {
        state_close(s);
        return code;
    }
    *out = s;
    return ERR_OK;
}
