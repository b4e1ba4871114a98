/*
 * sequence.c - one sequence as a state machine over its tokens.
 *
 * A sequence thinks, then answers. What part of a reply a token belongs to, text/'s reply_scan says from the model's
 * own markers, which are tokens and are never shown. What this file guarantees, whatever the model does:
 *
 *   - thinking never takes the answer's room: out of the tokens there are (tokens_max or the rest of the
 *     context), answer_tokens_min and the closing tokens are kept free;
 *   - at the bound the closing sentence and the closing markers are forced, token by token, as if the model
 *     had written them; they count as output and as thinking. A bound of 0, or one that leaves no room for
 *     the sentence, closes with the markers alone;
 *   - a thought that the model ends may be sent back (again.c), as far as that bound allows;
 *   - a turn that ends inside the thought closes the thought instead, so that there is an answer;
 *   - markers after that are taken out: models that were closed by force like to close a second time. What a
 *     format thinks between two parts of its answer counts as thinking and is not shown: a stage is never gone
 *     back to;
 *   - blanks around the markers are layout, not text: a thought and an answer after a thought start with
 *     their first visible character;
 *   - a grammar holds the answer from its first token on (bind.c);
 *   - stop strings are looked for in what is shown of the answer, and nothing of one is shown. The text of a tool
 *     call is part of the answer as the model wrote it, its markers too.
 *
 * Every random draw belongs to one token: a forced token draws too, so that what follows it does not depend
 * on how many tokens were forced before.
 *
 * Threads: the engine's. Nothing here knows a model, so the echo engine keeps the same promises.
 */
#include "engine/engine_impl.h"

#include <assert.h>
#include <string.h>

static struct engine_past *copy_past(const struct engine_past *past, size_t n)
{
    if (n == 0)
        return NULL;
    struct engine_past *copy = mem_array(n, sizeof *copy);
    memcpy(copy, past, n * sizeof *copy);
    return copy;
}

static struct engine_bias *copy_biases(const struct engine_bias *biases, size_t n)
{
    if (n == 0)
        return NULL;
    struct engine_bias *copy = mem_array(n, sizeof *copy);
    memcpy(copy, biases, n * sizeof *copy);
    return copy;
}

struct sequence *sequence_open(uint64_t id, struct engine_prompt *prompt, const struct engine_params *params)
{
    assert(params->tokens_max > 0 || (params->tokens_max == 0 && params->prompt_logprobs));
    assert(params->n_stops <= ARRAY_LEN(params->stops));
    assert(params->top_logprobs >= 0 && params->top_logprobs <= ENGINE_TOP_LOGPROBS_MAX);
    struct sequence *s = mem_zalloc(sizeof *s);
    s->id = id;
    s->prompt = engine_prompt_ref(prompt);
    s->params = *params;
    for (size_t i = 0; i < params->n_stops; i++)
        s->params.stops[i].ptr = mem_strndup(params->stops[i].ptr, params->stops[i].len);
    s->stops.stops = s->params.stops;
    s->stops.n_stops = params->n_stops;
    s->params.biases = copy_biases(params->biases, params->n_biases);
    if (params->grammar)
        grammar_ref(params->grammar);
    if (params->refusal)
        grammar_ref(params->refusal);
    s->params.past = copy_past(params->past, params->n_past);
    rng_init(&s->rng, params->seed, params->stream);
    return s;
}

void sequence_close(struct sequence *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->params.n_stops; i++)
        mem_free((void *)s->params.stops[i].ptr);
    mem_free((void *)s->params.biases);
    past_free(s);
    tally_free(&s->tally);
    bind_free(s);
    engine_prompt_unref(s->prompt);
    reply_scan_free(&s->scan);
    detok_free(&s->detok);
    stop_scan_free(&s->stops);
    confidence_free(&s->confidence);
    lookup_free(&s->lookup);
    ids_free(&s->out);
    buf_free(&s->piece);
    buf_free(&s->text);
    mem_free(s);
}

bool sequence_thinks(const struct sequence *s)
{
    return s->scan.part == REPLY_THOUGHT;
}

static size_t again_at(const struct spelling *p)
{
    return p->n_closing + p->n_markers;
}

static size_t opening_at(const struct spelling *p)
{
    return again_at(p) + p->n_again;
}

bool sequence_leads(const struct sequence *s)
{
    return s->forcing && s->forced_at < again_at(&s->spelling);
}

bool sequence_answers(const struct sequence *s)
{
    bool opens = s->forcing && s->forced_at >= opening_at(&s->spelling);
    return !sequence_thinks(s) && !opens && (s->heads || !reply_scan_in_head(&s->scan));
}

bool sequence_binds(const struct sequence *s)
{
    return s->params.grammar || s->params.n_biases > 0 || penalises(&s->params);
}

static void force(struct sequence *s, size_t from, size_t end)
{
    s->forcing = from < end;
    s->forced_at = from;
    s->forced_end = end;
}

static void enter(struct sequence *s, enum engine_stage stage)
{
    s->stage = stage;
    s->blank_so_far = s->spelling.n_markers > 0;
}

static void close_if_full(struct sequence *s)
{
    if (sequence_thinks(s) && !s->forcing && s->thinking_tokens >= s->think_max) {
        s->closed_by_budget = true;
        force(s, s->closing_text ? 0 : s->spelling.n_closing, again_at(&s->spelling));
    }
}

/* Behind the first marker, which stands there or is not due: the others. */
static void lead_on(struct sequence *s)
{
    force(s, s->spelling.n_closing + 1, again_at(&s->spelling));
}

/* With a grammar no head is left to the model: one that was not begun is the thought's, if there may be one, or the answer's; one
 * that was begun is left behind. */
static void begin_at_head(struct sequence *s)
{
    const struct spelling *p = &s->spelling;
    if (!reply_scan_at_head(&s->scan)) {
        if (reply_scan_in_head(&s->scan) || (s->heads && !sequence_thinks(s)))
            lead_on(s);
    } else if (s->think_max > (int64_t)p->n_opening) {
        force(s, opening_at(p), opening_at(p) + p->n_opening);
    } else {
        force(s, p->n_closing + p->n_to_head, again_at(p));
    }
}

void sequence_start(struct sequence *s, const struct spelling *spelling, const struct reply_format *format,
                    const struct engine_info *info)
{
    const struct engine_params *p = &s->params;
    s->started = true;
    s->spelling = *spelling;
    confidence_init(&s->confidence, info->thinking_tokens);
    int64_t rest = info->context - s->prompt->tokens;
    assert(rest > 0);
    s->tokens_max = p->tokens_max < rest ? p->tokens_max : rest;

    if (format)
        reply_scan_start(&s->scan, format, &s->prompt->ids);
    else
        s->scan.part = REPLY_TEXT;
    s->detok.started = s->prompt->raw; /* it goes on in the middle of a text: a blank in front is one */
    s->heads = p->grammar && spelling->n_opening && grammar_has_heads(p->grammar);
    if (s->heads) /* what is behind those is the grammar's */
        s->spelling.n_markers = spelling->n_to_head;
    bind_start(s);

    /* Of the room for thinking the markers take theirs; the sentence is worth its tokens only where at
     * least as many are left to think with. */
    int64_t shortest = bind_room(s),
            answer = shortest > p->answer_tokens_min ? shortest : p->answer_tokens_min;
    int64_t room = s->tokens_max - answer - (int64_t)s->spelling.n_markers;
    if (room < 0)
        room = 0;
    int64_t sentence = (int64_t)spelling->n_closing;
    s->closing_text = sentence > 0 && room >= 2 * sentence && p->think_tokens_max != 0;
    s->think_max = s->closing_text ? room - sentence : room;
    if (p->think_tokens_max >= 0 && p->think_tokens_max < s->think_max)
        s->think_max = p->think_tokens_max;

    again_start(s);
    if (p->grammar && spelling->n_opening)
        begin_at_head(s);
    bind_begin(s);
    enter(s, sequence_thinks(s) ? ENGINE_THINKING : ENGINE_ANSWER);
    close_if_full(s);
}

int32_t sequence_forced(const struct sequence *s, size_t ahead)
{
    const struct spelling *p = &s->spelling;
    size_t at = s->forced_at + ahead;
    if (!s->forcing)
        return bind_forced(s, ahead);
    if (at >= s->forced_end)
        return -1;
    if (at >= opening_at(p))
        return p->opening[at - opening_at(p)];
    if (at >= again_at(p))
        return p->again[at - again_at(p)];
    return at < p->n_closing ? p->closing[at] : p->markers[at - p->n_closing];
}

void sequence_close_thought(struct sequence *s)
{
    force(s, s->spelling.n_closing, again_at(&s->spelling));
}

void sequence_send_back(struct sequence *s)
{
    force(s, again_at(&s->spelling), opening_at(&s->spelling));
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

static bool end(struct sequence *s, enum engine_finish finish)
{
    s->finish = finish;
    /* Cut off by a bound, half a character stays unshown; a model that ends its turn inside one meant it. */
    bool stopped = finish == FINISH_STOP && flush(s);
    if (!stopped && s->stage == ENGINE_ANSWER)
        stop_scan_end(&s->stops, &s->text);
    return true;
}

/* What the token before this one was part of, and what it is itself. */
struct reading {
    bool thought, thinks; /* before it, and after */
    bool text;
    bool ends;  /* the turn, by the vocabulary */
    bool bound; /* the token was a grammar's */
    bool over;  /* and the last one */
};

/* Reads the next token into s->scan. Returns what became of it. */
static int32_t read_next(struct sequence *s, int32_t chosen, struct reading *r)
{
    int32_t id = sequence_forced(s, 0);
    s->own = id < 0;
    if (s->own)
        id = chosen;
    r->thought = sequence_thinks(s);
    r->bound = bind_holds(s);
    if (r->bound && s->own && !bind_admits(s, id) &&
        bind_close(s)) { /* there would be no room to make it whole */
        s->own = false;
        id = sequence_forced(s, 0);
    }
    if (s->own && again_wants(s, id)) {
        s->own = false;
        again_begin(s);
        id = sequence_forced(s, 0);
    }
    r->text = s->spelling.scan(s->spelling.ctx, &s->scan, id, &r->ends);
    if (r->ends && r->thought && s->own && !s->params.ignore_eos) { /* an answer is owed */
        s->own = false;
        sequence_close_thought(s);
        id = sequence_forced(s, 0);
        r->text = s->spelling.scan(s->spelling.ctx, &s->scan, id, &r->ends);
    }
    if (s->forcing) {
        s->forcing = sequence_forced(s, 1) >= 0;
        s->forced_at++;
    }
    r->thinks = sequence_thinks(s);
    r->over = r->bound && !r->thinks && bind_put(s, id); /* or it began a thought */
    return id;
}

/* A thought that the model left itself where more than one marker leads to the answer: with a grammar the others are not
 * left to it, since they could lead elsewhere. */
static void lead_to_answer(struct sequence *s, const struct reading *r)
{
    bool left = r->thought && s->own && (!r->thinks || reply_scan_in_head(&s->scan));
    if (s->bind.matcher && left && s->spelling.n_markers > 1)
        lead_on(s);
}

/* Moves the stage to where the scan went, where it may go. */
static void follow(struct sequence *s, const struct reading *r)
{
    bool text = r->text || s->scan.before.len;
    if (r->thinks && s->stage == ENGINE_ANSWER && s->blank_so_far) {
        detok_free(&s->detok);
        enter(s, ENGINE_THINKING);
    } else if (r->thought && !r->thinks && s->stage == ENGINE_THINKING) {
        if (text) /* an event has one stage */
            detok_free(&s->detok);
        else
            flush(s);
    }
    if (text && !r->thinks && s->stage == ENGINE_THINKING)
        enter(s, ENGINE_ANSWER);
    if (text || s->stage == ENGINE_THINKING)
        s->text_stage = s->stage;
}

/* The token's own text. True: a stop string was found. */
static bool show_token(struct sequence *s, int32_t id, const struct reading *r)
{
    if (r->thinks != (s->stage == ENGINE_THINKING)) /* a later thought */
        return false;
    buf_clear(&s->piece);
    if (s->scan.before.len) {
        detok_end(&s->detok, &s->piece);
        buf_put_str(&s->piece, s->scan.before);
    }
    if (r->text)
        s->spelling.put(s->spelling.ctx, &s->detok, id, &s->piece);
    return show(s, buf_str(&s->piece));
}

bool sequence_put(struct sequence *s, int32_t chosen)
{
    struct reading r;
    bool answers = sequence_answers(s);
    int32_t id = read_next(s, chosen, &r);
    bool ends = r.ends && ((s->own && !s->params.ignore_eos) || r.over);
    bool marker = !r.text && !r.ends && s->scan.before.len == 0;
    ids_put(&s->out, id);
    s->output_tokens++;
    s->thinking_tokens += !ends && (r.thought || r.thinks || (marker && !r.bound));
    if (answers && r.text && penalises(&s->params))
        tally_put(&s->tally, id);
    s->text_stage = s->stage;
    buf_clear(&s->text);
    if (ends)
        return end(s, FINISH_STOP);
    follow(s, &r);
    if (s->bind.begun) { /* a grammar's own blanks are text, from the first one on */
        s->blank_so_far = false;
        s->detok.started = true;
    }
    if ((r.text || s->scan.before.len) && show_token(s, id, &r)) {
        s->finish = FINISH_STOP;
        return true;
    }
    if (r.over)
        return end(s, FINISH_STOP);
    if (r.thinks && s->own)
        again_hear(s, buf_str(&s->text));
    lead_to_answer(s, &r);
    close_if_full(s);
    return s->output_tokens >= s->tokens_max && end(s, FINISH_LENGTH);
}

void sequence_cancel(struct sequence *s)
{
    buf_clear(&s->text);
    s->text_stage = s->stage;
    end(s, FINISH_CANCELLED);
}
