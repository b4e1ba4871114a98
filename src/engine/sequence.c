/*
 * sequence.c - one sequence as a state machine over its tokens.
 *
 * A sequence thinks, then answers. The stages are told apart by the model's own markers, which are tokens
 * and are never shown. What this file guarantees, whatever the model does:
 *
 *   - thinking never takes the answer's room: out of the tokens there are (tokens_max or the rest of the
 *     context), answer_tokens_min and the closing tokens are kept free;
 *   - at the bound the closing sentence and the closing marker are forced, token by token, as if the model
 *     had written them; they count as output and as thinking. A bound of 0, or one that leaves no room for
 *     the sentence, closes with the marker alone;
 *   - a turn that ends inside the thought closes the thought instead, so that there is an answer;
 *   - markers after that are taken out: models that were closed by force like to close a second time;
 *   - blanks around the markers are layout, not text: a thought and an answer after a thought start with
 *     their first visible character;
 *   - stop strings are looked for in what is shown of the answer, and nothing of one is shown.
 *
 * Every random draw belongs to one token: a forced token draws too, so that what follows it does not depend
 * on how many tokens were forced before.
 *
 * Threads: the engine's. Nothing here knows a model, so the echo engine keeps the same promises.
 */
#include "engine/engine_impl.h"

#include <assert.h>
#include <string.h>

struct sequence *sequence_open(uint64_t id, struct engine_prompt *prompt, const struct engine_params *params)
{
    assert(params->tokens_max > 0);
    assert(params->n_stops <= ARRAY_LEN(params->stops));
    struct sequence *s = mem_zalloc(sizeof *s);
    s->id = id;
    s->prompt = engine_prompt_ref(prompt);
    s->params = *params;
    for (size_t i = 0; i < params->n_stops; i++)
        s->params.stops[i].ptr = mem_strndup(params->stops[i].ptr, params->stops[i].len);
    s->stops.stops = s->params.stops;
    s->stops.n_stops = params->n_stops;
    rng_init(&s->rng, params->seed, params->stream);
    return s;
}

void sequence_close(struct sequence *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->params.n_stops; i++)
        mem_free((void *)s->params.stops[i].ptr);
    engine_prompt_unref(s->prompt);
    detok_free(&s->detok);
    stop_scan_free(&s->stops);
    buf_free(&s->piece);
    buf_free(&s->text);
    mem_free(s);
}

static bool has_markers(const struct sequence *s)
{
    return s->spelling.close >= 0;
}

static void enter(struct sequence *s, enum engine_stage stage)
{
    s->stage = stage;
    s->blank_so_far = has_markers(s);
    s->thought |= stage == ENGINE_THINKING;
}

static void close_if_full(struct sequence *s)
{
    if (s->stage == ENGINE_THINKING && !s->forcing && s->thinking_tokens >= s->think_max) {
        s->forcing = true;
        s->closed_by_budget = true;
        s->forced_at = s->closing_text ? 0 : s->spelling.n_closing;
    }
}

void sequence_start(struct sequence *s, const struct spelling *spelling, int64_t context)
{
    const struct engine_params *p = &s->params;
    s->spelling = *spelling;
    int64_t rest = context - s->prompt->tokens;
    assert(rest > 0);
    s->tokens_max = p->tokens_max < rest ? p->tokens_max : rest;

    /* Of the room for thinking the marker takes one token; the sentence is worth its tokens only where at
     * least as many are left to think with. */
    int64_t room = s->tokens_max - p->answer_tokens_min - 1;
    if (room < 0)
        room = 0;
    int64_t sentence = (int64_t)spelling->n_closing;
    s->closing_text = sentence > 0 && room >= 2 * sentence && p->think_tokens_max != 0;
    s->think_max = s->closing_text ? room - sentence : room;
    if (p->think_tokens_max >= 0 && p->think_tokens_max < s->think_max)
        s->think_max = p->think_tokens_max;

    enter(s, has_markers(s) ? s->prompt->start : ENGINE_ANSWER);
    close_if_full(s);
}

int32_t sequence_forced(const struct sequence *s)
{
    if (!s->forcing)
        return -1;
    return s->forced_at < s->spelling.n_closing ? s->spelling.closing[s->forced_at] : s->spelling.close;
}

static struct str without_leading_blanks(struct sequence *s, struct str text)
{
    if (!s->blank_so_far)
        return text;
    text = str_trim_start(text);
    s->blank_so_far = text.len == 0;
    return text;
}

/* Shows what became certain of the current stage's text. True: a stop string was found. */
static bool show(struct sequence *s, struct str text)
{
    text = without_leading_blanks(s, text);
    if (s->stage == ENGINE_ANSWER && s->stops.n_stops)
        return stop_scan_put(&s->stops, text, &s->text);
    buf_put_str(&s->text, text);
    return false;
}

/* The stage ends here: bytes that wait for the rest of their character will not get it. */
static bool flush(struct sequence *s)
{
    buf_clear(&s->piece);
    detok_end(&s->detok, &s->piece);
    bool stopped = show(s, buf_str(&s->piece));
    detok_free(&s->detok);
    return stopped;
}

/* True when id was a marker: it moves the stage where it may and shows nothing. */
static bool put_marker(struct sequence *s, int32_t id)
{
    if (!has_markers(s) || (id != s->spelling.open && id != s->spelling.close))
        return false;
    s->thinking_tokens++;
    if (id == s->spelling.open && !s->thought && s->blank_so_far) {
        detok_free(&s->detok);
        enter(s, ENGINE_THINKING);
        s->text_stage = ENGINE_THINKING;
    } else if (id == s->spelling.close && s->stage == ENGINE_THINKING) {
        flush(s);
        s->forcing = false;
        enter(s, ENGINE_ANSWER);
    }
    return true;
}

static bool end(struct sequence *s, enum engine_finish finish)
{
    s->finish = finish;
    /* Cut off by a bound, half a character stays unshown; a model that ends its turn inside one meant it. */
    bool stopped = finish == FINISH_STOP && flush(s);
    if (!stopped && s->stage == ENGINE_ANSWER)
        stop_scan_end(&s->stops, &s->text);
    return true;
}

bool sequence_put(struct sequence *s, int32_t chosen)
{
    int32_t id = sequence_forced(s);
    bool forced = id >= 0;
    if (!forced)
        id = chosen;
    bool ends = !forced && !s->params.ignore_eos && s->spelling.ends(s->spelling.ctx, id);
    if (ends && s->stage == ENGINE_THINKING) { /* an answer is owed */
        id = s->spelling.close;
        ends = false;
    }
    s->forced_at += forced;
    s->token = id;
    s->output_tokens++;
    s->text_stage = s->stage;
    buf_clear(&s->text);
    if (ends)
        return end(s, FINISH_STOP);
    if (!put_marker(s, id)) {
        s->thinking_tokens += s->stage == ENGINE_THINKING;
        buf_clear(&s->piece);
        s->spelling.put(s->spelling.ctx, &s->detok, id, &s->piece);
        if (show(s, buf_str(&s->piece))) {
            s->finish = FINISH_STOP;
            return true;
        }
    }
    close_if_full(s);
    return s->output_tokens >= s->tokens_max && end(s, FINISH_LENGTH);
}

void sequence_cancel(struct sequence *s)
{
    buf_clear(&s->text);
    s->text_stage = s->stage;
    end(s, FINISH_CANCELLED);
}
