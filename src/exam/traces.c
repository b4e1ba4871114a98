/*
 * traces.c - reads what an exam with samples has kept: state.c's lines, by what they say alone.
 *
 * The questions are not made again, so a record can be replayed where the file they came from is not. Lines are foreign
 * bytes: every index is checked, what is missing or mistyped is an error with its line. A question that was first an error
 * and then answered has both lines; the later one counts.
 */
#include "base/file.h"
#include "exam/replay_impl.h"

#include <math.h>

#define TRACES_BYTES_MAX ((size_t)4 * 1024 * MIB)
#define QUESTIONS_MAX    100000
#define TOKENS_MAX       1000000000 /* of a trace: sums of them stay exact */

void traces_free(struct traces *t)
{
    mem_free(t->items);
    t->items = NULL;
}

static int64_t int_at(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_integer(v) ? json_integer_value(v) : -1;
}

static const char *name_at(struct arena *arena, const json_t *pair, size_t i)
{
    const json_t *v = json_array_get(pair, i);
    return json_is_string(v) ? arena_str(arena, json_str(v)).ptr : NULL;
}

static enum err_code read_header(struct traces *t, const json_t *line, const char *path, struct err *err)
{
    const json_t *args = json_object_get(line, "arguments"), *names = json_object_get(args, "candidates");
    int64_t samples = int_at(args, "samples"), questions = int_at(args, "questions");
    size_t n = json_array_size(names);
    if (!str_is(json_str(json_object_get(line, "object")), "thinkd.exam") || n > EXAM_CANDIDATES_MAX)
        return err_set(err, ERR_CONFIG, NULL, "%s is no exam's file.", path);
    if (samples < 2)
        return err_set(err, ERR_CONFIG, NULL,
                       "%s holds no traces to replay: make it with 'thinkd exam --record N'.", path);
    if (samples > EXAM_SAMPLES_MAX + 1 || questions < 1 || questions > QUESTIONS_MAX)
        return err_set(err, ERR_CONFIG, NULL,
                       "%s: Expected at most %d traces of each of 1 to %d questions, but got %lld of %lld.",
                       path, EXAM_SAMPLES_MAX, QUESTIONS_MAX, (long long)samples - 1, (long long)questions);
    t->candidates_len = n ? n : 1;
    for (size_t i = 0; i < n; i++)
        t->candidates[i] = (struct exam_candidate){ name_at(t->arena, json_array_get(names, i), 0),
                                                    name_at(t->arena, json_array_get(names, i), 1) };
    t->samples = (size_t)samples;
    t->questions = (size_t)questions;
    t->items = mem_array(t->questions * t->candidates_len, sizeof *t->items);
    return ERR_OK;
}

static float float_at(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_number(v) ? (float)json_number_value(v) : NAN;
}

static struct engine_confidence read_confidence(const json_t *c)
{
    return (struct engine_confidence){ .tokens = json_integer_value(json_object_get(c, "tokens")),
                                       .window = (int)json_integer_value(json_object_get(c, "window")),
                                       .mean_logprob = float_at(c, "mean_logprob"),
                                       .mean = float_at(c, "mean"),
                                       .last_window = float_at(c, "last_window"),
                                       .lowest_window = float_at(c, "lowest_window"),
                                       .bottom_tenth = float_at(c, "bottom_tenth") };
}

static void take_trace(struct traces *t, struct traced *item, size_t sample, const json_t *line)
{
    if (!item->samples)
        item->samples = arena_alloc(t->arena, t->samples * sizeof *item->samples);
    item->samples[sample] =
        (struct trace){ .there = true,
                        .right = json_is_true(json_object_get(line, "right")),
                        .complete = json_is_true(json_object_get(line, "complete")),
                        .tokens = int_at(line, "output_tokens"),
                        .text = arena_str(t->arena, json_str(json_object_get(line, "text"))),
                        .thought = arena_str(t->arena, json_str(json_object_get(line, "thought"))),
                        .confidence = read_confidence(json_object_get(line, "confidence")) };
}

static enum err_code read_reply(struct traces *t, const json_t *line, const char *path, int64_t number,
                                struct err *err)
{
    int64_t item = int_at(line, "item"), candidate = int_at(line, "candidate"),
            sample = int_at(line, "sample");
    const json_t *question = json_object_get(line, "question");
    bool failed = json_is_string(json_object_get(line, "error"));
    if (item < 0 || (size_t)item >= t->questions || candidate < 0 || (size_t)candidate >= t->candidates_len ||
        sample < 0 || (size_t)sample >= t->samples || !json_is_string(question) ||
        !json_is_string(json_object_get(line, "cluster")) ||
        !json_is_string(json_object_get(line, "family")) || int_at(line, "level") < 0 ||
        int_at(line, "level") > EXAM_LEVELS_MAX ||
        (!failed && (!json_is_string(json_object_get(line, "text")) || int_at(line, "output_tokens") < 0 ||
                     int_at(line, "output_tokens") > TOKENS_MAX)))
        return err_set(err, ERR_FORMAT, NULL, "%s:%lld: This line is no trace.", path, (long long)number);
    if (failed)
        return ERR_OK;
    struct traced *traced = traces_at(t, (size_t)item, (size_t)candidate);
    if (!traced->question.ptr) {
        traced->question = arena_str(t->arena, json_str(question));
        traced->family = arena_str(t->arena, json_str(json_object_get(line, "family")));
        traced->level = (int)int_at(line, "level");
    }
    traced->cluster = str_hash(json_str(json_object_get(line, "cluster")));
    take_trace(t, traced, (size_t)sample, line);
    return ERR_OK;
}

static enum err_code read_line(struct traces *t, struct str text, const char *path, int64_t number,
                               struct err *err)
{
    json_t *line = NULL;
    struct err why;
    if (json_read(&line, text, &why))
        return err_set(err, ERR_FORMAT, NULL, "%s:%lld: %s", path, (long long)number, why.message);
    enum err_code code =
        number == 1 ? read_header(t, line, path, err) : read_reply(t, line, path, number, err);
    json_decref(line);
    return code;
}

enum err_code traces_read(struct traces *t, const char *path, struct err *err)
{
    struct buf bytes = { 0 };
    size_t at = 0, len;
    enum err_code code = file_read(&bytes, path, TRACES_BYTES_MAX, err);
    for (int64_t number = 1;
         !code && (len = str_find(str_slice(buf_str(&bytes), at, bytes.len), STR("\n"))) != SIZE_MAX;
         number++) {
        code = read_line(t, str_slice(buf_str(&bytes), at, at + len), path, number, err);
        at += len + 1;
    }
    if (!code && at == 0)
        code = err_set(err, ERR_CONFIG, NULL, "%s is no exam's file.", path);
    buf_free(&bytes);
    return code;
}
