/*
 * thinker.c - the lines of one answer, from the first that is started to the one that is shown.
 *
 * A machine between a job and an engine: it is told how lines went and says what is to be done. It starts lines in waves,
 * counts each when it and all before it have ended, and asks the stop rule after each. So what is decided depends on
 * what the lines say and on nothing else: not on which was faster, not on how often the server was restarted. Only a
 * deadline takes them as they are.
 *
 *   wave started -> its lines end, are counted in order -> settled? decide
 *                                    -> all counted, more allowed: the next wave
 *                                    -> nothing to vote on: a draft is chosen, no further wave
 *
 * Before the lines that vote there may be samples of other models (route.c): two, then perhaps more, which are
 * counted in the same way, and asked for what they settle when all of them have been. A step that follows begins anew at
 * its first line (base), with no votes and no drafts; but the samples' votes stay where they were drawn from the very
 * prompt of the vote.
 *
 * A line that failed or was pruned counts as one without an answer. When a whole wave has failed there is no point in
 * another, and the answer fails.
 *
 * Pruning (DeepConf, arXiv 2508.15260): a line of a later wave whose least sure window of tokens lies below the lower
 * quartile of the first wave's is not worth its tokens. Whether that holds for a model has to be measured, so by default
 * it is only noted.
 *
 * Threads: the conductor's. Ownership: a thinker copies what it keeps of a line: its answer's words, and its text while a
 * draft may have to be chosen.
 */
#include "reason/reason_impl.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define DRAFTS_MAX       4 /* of an open question */
#define PRUNE_VOTERS_MIN 5 /* that stay whatever is pruned */
#define ACTS_MAX         (3 * LINES_MAX + 1)

const char *const line_state_names[] = { "unborn", "running",   "completed", "failed",
                                         "pruned", "cancelled", NULL };

struct thinker {
    struct plan_lines plan;
    struct route *route; /* NULL: one model alone */
    enum route_step step;
    struct answer_hints hints;
    struct line_trace lines[LINES_MAX];
    struct buf texts[DRAFTS_MAX];
    struct votes votes;
    int started, counted;
    int base;          /* the first line of those that are counted together */
    int end;           /* and behind the last that may be among them */
    int failed;        /* of them, and counted */
    int judged;        /* lines that were counted when the rules were last asked */
    int first_wave;    /* behind its last line */
    enum stop closing; /* the next line that ends decides */
    float floor;       /* lower quartile of the first wave; NAN: none */
    struct thinker_do acts[ACTS_MAX];
    size_t n_acts, next_act;
    struct reason_trace trace;
};

static void act(struct thinker *t, enum thinker_act what, size_t line)
{
    assert(t->n_acts < ACTS_MAX);
    t->acts[t->n_acts++] = (struct thinker_do){ what, line };
}

static void start_wave(struct thinker *t)
{
    int end = t->started + t->plan.wave < t->end ? t->started + t->plan.wave : t->end;
    while (t->started < end) {
        t->lines[t->started].state = LINE_RUNS;
        t->lines[t->started].step = t->step;
        act(t, THINK_START, (size_t)t->started++);
    }
    t->trace.n_lines = (size_t)t->started;
}

static struct thinker *thinker_new(struct str question)
{
    struct thinker *t = mem_zalloc(sizeof *t);
    t->floor = NAN;
    t->trace = (struct reason_trace){ .lines = t->lines, .options = t->votes.options, .shown = SIZE_MAX };
    answer_hints_read(&t->hints, question);
    for (size_t i = 0; i < LINES_MAX; i++)
        t->lines[i].confidence = (struct engine_confidence){ 0, 0, NAN, NAN, NAN, NAN, NAN };
    return t;
}

struct thinker *thinker_open(const struct plan *plan, struct str question)
{
    struct thinker *t = thinker_new(question);
    assert(plan->lines.max > 1 && plan->lines.max <= TIER_BRANCHES_MAX && plan->lines.wave >= 1);
    t->step = STEP_VOTE;
    t->plan = plan->lines;
    t->end = t->plan.max;
    start_wave(t);
    t->first_wave = t->started;
    return t;
}

void thinker_close(struct thinker *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < LINES_MAX; i++) {
        buf_free(&t->lines[i].answer);
        buf_free(&t->lines[i].key);
    }
    for (size_t i = 0; i < DRAFTS_MAX; i++)
        buf_free(&t->texts[i]);
    answer_hints_free(&t->hints);
    mem_free(t->route);
    mem_free(t);
}

bool thinker_decided(const struct thinker *t)
{
    return t->trace.stop != STOP_NONE;
}

const struct reason_trace *thinker_trace(const struct thinker *t)
{
    return &t->trace;
}

/* --- deciding ------------------------------------------------------------------------------------------------ */

static void decide(struct thinker *t, enum stop why, size_t shown)
{
    t->trace.stop = why;
    t->trace.shown = shown;
    for (int i = 0; i < t->started; i++)
        if (t->lines[i].state == LINE_RUNS) {
            t->lines[i].state = LINE_CANCELLED;
            act(t, THINK_CANCEL, (size_t)i);
        }
    act(t, THINK_DECIDE, shown);
}

static bool is_counted_end(const struct thinker *t, size_t line)
{
    return t->lines[line].counted && t->lines[line].state == LINE_ENDED;
}

/* One of the first lines that ended by themselves: the draft that has most in common with the others. */
static size_t choose_draft(const struct thinker *t)
{
    struct str texts[DRAFTS_MAX];
    size_t lines[DRAFTS_MAX], n = 0;
    size_t base = (size_t)t->base, end = (size_t)t->started;
    for (size_t i = base; i < base + DRAFTS_MAX && i < end; i++)
        if (is_counted_end(t, i) && t->lines[i].complete) {
            texts[n] = buf_str(&t->texts[i - base]);
            lines[n++] = i;
        }
    if (n)
        return lines[drafts_medoid(texts, n)];
    for (int whole = 1; whole >= 0; whole--) /* behind the drafts, then what did not come to its end */
        for (size_t i = base; i < end; i++)
            if (is_counted_end(t, i) && t->lines[i].complete >= whole)
                return i;
    return SIZE_MAX;
}

static size_t option_of(const struct thinker *t, size_t line)
{
    size_t k = 0;
    while (k < t->votes.n &&
           !str_eq(buf_str(&t->lines[t->votes.options[k].first].key), buf_str(&t->lines[line].key)))
        k++;
    return k;
}

static bool has_vote(const struct line_trace *l)
{
    return l->state == LINE_ENDED && l->form != FORM_NONE && l->weight > 0;
}

static size_t winner(struct thinker *t)
{
    size_t option[LINES_MAX];
    if (t->plan.vote == VOTE_CONFIDENCE) {
        for (size_t i = 0; i < (size_t)t->started; i++) {
            bool voted = (int)i >= t->base && t->lines[i].counted && has_vote(&t->lines[i]);
            option[i] = voted ? option_of(t, i) : SIZE_MAX;
        }
        votes_weigh(&t->votes, t->lines, (size_t)t->started, option);
        votes_sort(&t->votes);
    }
    return t->votes.options[0].best;
}

static void settle(struct thinker *t, enum stop why)
{
    bool vote = t->votes.n > 0 && t->votes.options[0].weight > 0;
    t->trace.voted = vote && why != STOP_OPEN_ENDED;
    size_t shown = t->trace.voted ? winner(t) : choose_draft(t);
    if (shown == SIZE_MAX && t->failed == t->counted - t->base)
        why = STOP_FAILED;
    decide(t, why, shown);
}

/* --- counting ------------------------------------------------------------------------------------------------ */

static void count_vote(struct thinker *t, size_t line)
{
    const struct line_trace *l = &t->lines[line];
    t->failed += l->state == LINE_FAILED;
    if (has_vote(l)) {
        votes_put(&t->votes, option_of(t, line), line, l->weight, t->lines);
        votes_sort(&t->votes);
    } else {
        votes_abstain(&t->votes);
    }
}

static void show_votes(struct thinker *t)
{
    t->trace.n_options = t->votes.n;
    t->trace.counted = t->votes.counted;
    t->trace.abstained = t->votes.abstained;
}

static void count(struct thinker *t, size_t line)
{
    t->lines[line].counted = true;
    t->counted++;
    count_vote(t, line);
    show_votes(t);
    act(t, THINK_COUNT, line);
}

static int compare_floats(const void *x, const void *y)
{
    float a = *(const float *)x, b = *(const float *)y;
    return (a > b) - (a < b);
}

/* What later lines are held against, once the first wave has ended. */
static void measure_first_wave(struct thinker *t)
{
    float lowest[LINES_MAX];
    size_t n = 0;
    for (int i = t->base; i < t->first_wave; i++)
        if (t->lines[i].state == LINE_ENDED && isfinite(t->lines[i].confidence.lowest_window))
            lowest[n++] = t->lines[i].confidence.lowest_window;
    if (t->plan.prune == TRIAL_OFF || n < (size_t)(t->first_wave - t->base))
        return;
    qsort(lowest, n, sizeof *lowest, compare_floats);
    t->floor = lowest[n / 4];
}

/* Half of those that came to their end have nothing that could be compared, unless the other half came to one answer: a few
 * that decline do not make a question with an answer an open one. */
static bool is_open_ended(const struct thinker *t)
{
    int ended = 0, without = 0;
    for (int i = t->base; i < t->first_wave; i++) {
        ended += t->lines[i].state == LINE_ENDED;
        without += t->lines[i].state == LINE_ENDED && t->lines[i].form == FORM_NONE;
    }
    bool agree = t->votes.n == 1 && t->votes.options[0].votes > 1;
    return ended > 0 && 2 * without >= ended + agree;
}

static void after_first_wave(struct thinker *t)
{
    if (is_open_ended(t))
        settle(t, STOP_OPEN_ENDED);
    else
        measure_first_wave(t);
}

static bool has_ended(const struct line_trace *l)
{
    return l->state == LINE_ENDED || l->state == LINE_FAILED || l->state == LINE_PRUNED;
}

/* --- steps --------------------------------------------------------------------------------------------------- */

/* A whole vote, or what the checks leave of it. */
static int weight_of(const struct line_trace *l, enum trial check)
{
    return check == TRIAL_ON && l->arith.false_claims ? 1 : VOTE_UNIT;
}

/* The samples are lines of the vote too: as it weighs them, and as many fewer are to come. */
static void carry_votes(struct thinker *t)
{
    for (int i = 0; i < t->counted; i++) {
        struct line_trace *l = &t->lines[i];
        if (l->weight > 0)
            l->weight = weight_of(l, t->plan.check);
        count_vote(t, (size_t)i);
    }
}

/* samples: that are drawn at once; 0: the step's plan says. */
static void open_step(struct thinker *t, enum route_step step, int samples)
{
    bool goes_on = step == STEP_AGAIN;
    bool carries =
        step == STEP_VOTE && t->route->carries && t->route->steps[step].plan.lines.max > t->counted;
    t->step = step;
    t->plan = t->route->steps[step].plan.lines;
    if (samples)
        t->plan.max = t->plan.wave = samples;
    if (step != STEP_VOTE)
        t->plan.check = t->route->check;
    for (; !goes_on && !carries && t->base < t->counted; t->base++)
        t->lines[t->base].counted = false; /* it is among those that decide no more */
    t->end = (goes_on ? t->started : t->base) + t->plan.max;
    if (!goes_on) {
        t->votes = (struct votes){ 0 };
        t->failed = 0;
    }
    for (size_t i = 0; i < DRAFTS_MAX && !goes_on && !carries; i++)
        buf_clear(&t->texts[i]);
    if (carries)
        carry_votes(t);
    show_votes(t);
    start_wave(t);
    t->first_wave = t->started;
}

struct thinker *thinker_open_route(const struct route *route, struct str question)
{
    struct thinker *t = thinker_new(question);
    t->route = mem_alloc(sizeof *t->route);
    *t->route = *route;
    open_step(t, STEP_TRY, ROUTE_TRIES);
    return t;
}

static struct route_sample sample_of(const struct thinker *t, size_t line)
{
    const struct line_trace *l = &t->lines[line];
    bool ended = l->state == LINE_ENDED;
    return (struct route_sample){
        .sound = has_vote(l) && l->weight == VOTE_UNIT,
        .open = ended && l->form == FORM_NONE && l->said,
        .answer = has_vote(l) ? option_of(t, line) : SIZE_MAX,
        .confidence = line_confidence(l) / 1000,
    };
}

/* All samples of a step were counted: is that enough, and who is asked if not? */
static void after_samples(struct thinker *t)
{
    struct route_sample samples[ROUTE_SAMPLES];
    int more = 0;
    for (size_t i = 0; i < (size_t)t->counted; i++)
        samples[i] = sample_of(t, i);
    switch (route_rule(t->route, samples, (size_t)t->counted, &more)) {
    case ROUTE_ACCEPT: settle(t, STOP_ACCEPTED); break;
    case ROUTE_AGAIN: open_step(t, STEP_AGAIN, more); break;
    case ROUTE_DRAFT: open_step(t, STEP_DRAFT, 0); break;
    case ROUTE_VOTE: open_step(t, STEP_VOTE, 0); break;
    }
}

/* --- going on ------------------------------------------------------------------------------------------------ */

/* What the lines that were counted so far settle. */
static void judge(struct thinker *t)
{
    t->judged = t->counted;
    if (t->step != STEP_VOTE)
        return; /* of samples nothing is asked before all are there */
    enum stop why = stop_rule(&t->plan, &t->votes, t->end - t->counted);
    if (why)
        settle(t, why);
    else if (t->counted == t->first_wave)
        after_first_wave(t);
}

static void after_wave(struct thinker *t)
{
    if (t->failed == t->counted - t->base)
        settle(t, STOP_FAILED);
    else if (t->step == STEP_DRAFT)
        settle(t, STOP_OPEN_ENDED);
    else if (t->step != STEP_VOTE)
        after_samples(t);
    else if (t->started == t->end)
        settle(t, t->plan.cut ? STOP_BUDGET : STOP_LINES_MAX);
    else
        start_wave(t);
}

static bool is_one(const struct thinker *t, enum line_state state)
{
    bool any = false;
    for (int i = t->base; i < t->started; i++)
        any |= t->lines[i].state == state;
    return any;
}

/* The deadline is over: those that have ended are counted, whatever is before them; one of them is enough. */
static bool close_step(struct thinker *t)
{
    if (!is_one(t, LINE_ENDED) && is_one(t, LINE_RUNS))
        return false;
    for (int i = t->base; i < t->started; i++)
        if (!t->lines[i].counted && has_ended(&t->lines[i])) {
            count(t, (size_t)i);
            return true;
        }
    settle(t, t->closing);
    return true;
}

/* One step, so that who is told of a count sees the votes as they were then. False: nothing follows for now. */
static bool advance(struct thinker *t)
{
    if (thinker_decided(t))
        return false;
    if (t->closing)
        return close_step(t);
    if (t->judged < t->counted)
        judge(t);
    else if (t->counted < t->started && has_ended(&t->lines[t->counted]))
        count(t, (size_t)t->counted);
    else if (t->counted == t->started)
        after_wave(t);
    else
        return false;
    return true;
}

bool thinker_next(struct thinker *t, struct thinker_do *out)
{
    while (t->next_act == t->n_acts)
        if (!advance(t))
            return false;
    *out = t->acts[t->next_act++];
    return true;
}

/* --- what is told ---------------------------------------------------------------------------------------------- */

static void take_answer(struct thinker *t, size_t line, const struct line_end *end)
{
    struct line_trace *l = &t->lines[line];
    struct str found = { 0 };
    l->said = end->answer.len > 0;
    if (end->complete) /* half an answer is another answer */
        l->form = answer_find(end->answer, end->kind, &t->hints, &found, &l->key);
    found = str_slice(found, 0, LINE_ANSWER_MAX);
    buf_put_str(&l->answer, str_slice(found, 0, utf8_whole_len(found)));
    l->weight = end->invalid || l->form == FORM_NONE ? 0 : VOTE_UNIT;
    if (t->plan.check != TRIAL_OFF)
        l->arith = arith_check(end->thought);
    if (l->weight)
        l->weight = weight_of(l, t->plan.check);
    if (line < (size_t)t->base + DRAFTS_MAX)
        buf_put_str(&t->texts[line - (size_t)t->base], end->answer);
}

void thinker_ended(struct thinker *t, size_t line, const struct line_end *end)
{
    struct line_trace *l = &t->lines[line];
    assert(line < (size_t)t->started && !l->counted);
    l->confidence = end->confidence;
    l->complete = end->complete;
    if (l->state != LINE_RUNS)
        return; /* it ended while it was being cancelled: its answer came too late to count */
    l->state = LINE_ENDED;
    take_answer(t, line, end);
}

void thinker_failed(struct thinker *t, size_t line)
{
    assert(line < (size_t)t->started);
    if (t->lines[line].state == LINE_RUNS)
        t->lines[line].state = LINE_FAILED;
}

void thinker_cancelled(struct thinker *t, size_t line)
{
    assert(line < (size_t)t->started);
    if (t->lines[line].state == LINE_RUNS) /* somebody else has ended it */
        t->lines[line].state = LINE_CANCELLED;
}

static int voters_left(const struct thinker *t)
{
    int n = 0;
    for (int i = t->base; i < t->started; i++)
        n += t->lines[i].state == LINE_ENDED || t->lines[i].state == LINE_RUNS;
    return n;
}

void thinker_heard(struct thinker *t, size_t line, const struct engine_confidence *confidence, int64_t tokens)
{
    struct line_trace *l = &t->lines[line];
    assert(line < (size_t)t->started);
    l->confidence = *confidence;
    if (l->state != LINE_RUNS || l->prunable || !isfinite(t->floor) || (int)line < t->first_wave ||
        tokens <= t->plan.prune_after || !(confidence->lowest_window < t->floor) ||
        voters_left(t) <= PRUNE_VOTERS_MIN)
        return;
    l->prunable = true;
    l->prunable_after = tokens;
    t->trace.prunable++;
    if (t->plan.prune != TRIAL_ON)
        return;
    l->state = LINE_PRUNED;
    act(t, THINK_CANCEL, line);
}

void thinker_stop(struct thinker *t, enum stop why)
{
    if (thinker_decided(t) || t->closing)
        return;
    assert(why == STOP_CANCELLED || why == STOP_DEADLINE);
    if (why == STOP_CANCELLED)
        decide(t, why, SIZE_MAX);
    else
        t->closing = why;
}
