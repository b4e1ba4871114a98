/*
 * bind.c - a grammar's hold on the visible answer of one sequence.
 *
 * A matcher follows the answer's tokens. It holds from the first token of the answer, however the thought was closed, and
 * never a thought, nor the head of a message but with a grammar that begins with one; step.c picks from what it allows.
 * Three kinds of token stand outside of its text: what ends the turn, which is allowed where the text may end; the marker by which a model that may still
 * think begins to; and one blank between a thought and its answer, since models write one there and nobody is shown it.
 *
 * Forced text. What must come next whatever the model says is put without asking it, as the tokens that the model's own
 * tokenizer makes of it. The last of those is left to the model, unless the text ends there: with what follows it might have
 * been one longer token, and a model that is cut off in the middle of a token goes on badly. The model is always asked for
 * the first token behind a thought.
 *
 * Refusals. Where the model may refuse, a second matcher stands beside the first until the first token that only one of them takes:
 * without a head that is the first at all. Until then the model is asked for every token, no guess is looked at, and an
 * answer is closed as the first one's.
 *
 * Closing. When few tokens are left, the shortest text that makes the answer whole is known at every token. One that would
 * leave too little room for it is not taken: the closing text is put instead, and the sequence ends behind it as one that came
 * to its end. As long as it fits once, it always fits. It is looked for as the tokens left halve, and at every token when they are near:
 * CLOSING_NEAR and twice its length. An answer whose shortest end does not fit at all is cut where its tokens end. So is one that is whole
 * there: its model had not ended it.
 *
 * All of it depends on the sequence's own tokens and bounds alone, so it is the same in any company and when it goes on
 * from a past.
 *
 * Threads: the engine's; masks on the pool's, while the engine waits for them.
 */
#include "engine/engine_impl.h"

#include <assert.h>
#include <string.h>

#define CLOSING_NEAR      64
#define CLOSING_BYTES_MAX ((size_t)64 << 10)
#define FORCED_BYTES_MIN  2
#define REFUSAL_BYTES_MAX 256

static int64_t left_of(const struct sequence *s)
{
    return s->tokens_max - s->output_tokens;
}

void bind_free(struct sequence *s)
{
    struct binding *b = &s->bind;
    matcher_close(b->matcher);
    matcher_close(b->refusal);
    matcher_close(b->next);
    ids_free(&b->ahead);
    ids_free(&b->close);
    ids_free(&b->close_next);
    grammar_unref(s->params.grammar);
    grammar_unref(s->params.refusal);
    *b = (struct binding){ 0 };
}

enum err_code bind_open_refusal(struct grammar **out, struct str opening, struct err *err)
{
    char first = opening.len ? opening.ptr[0] : 0;
    bool letter = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z');
    *out = NULL;
    if (!letter || strchr("tfn", first) || opening.len > REFUSAL_BYTES_MAX || !utf8_valid(opening))
        return err_set(
            err, ERR_FORMAT, "thinkd.refusal.opening",
            "thinkd.refusal.opening has to be 1 to %d bytes of UTF-8 and to begin with a letter, but not "
            "with t, f or n: JSON may begin with those.",
            REFUSAL_BYTES_MAX);
    return grammar_open_refusal(out, opening, NULL, err);
}

bool bind_holds(const struct sequence *s)
{
    return s->bind.matcher && sequence_answers(s) && !s->forcing;
}

/* --- one token -------------------------------------------------------------------------------------------- */

bool bind_accept(const struct sequence *s, struct matcher *m, int32_t id)
{
    struct buf text = { 0 };
    struct detok d = { 0 };
    if (s->spelling.vocab)
        return matcher_accept(m, id);
    s->spelling.put(s->spelling.ctx, &d, id, &text);
    bool whole = matcher_put(m, buf_str(&text)) == text.len;
    buf_free(&text);
    detok_free(&d);
    return whole;
}

static bool ends(const struct sequence *s, int32_t id)
{
    for (size_t i = 0; i < s->spelling.n_ends; i++)
        if (s->spelling.ends[i] == id)
            return true;
    return false;
}

/* A blank that may stand before the text, if the text itself does not begin so. */
static bool is_layout(const struct sequence *s, int32_t id)
{
    bool may = s->scan.thought && !s->heads && !s->bind.begun && !s->bind.layout;
    for (size_t i = 0; may && i < s->spelling.n_layout; i++)
        if (s->spelling.layout[i] == id)
            return true;
    return false;
}

static bool is_opening(const struct sequence *s, int32_t id)
{
    return id >= 0 && !s->bind.begun && id == reply_scan_opening(&s->scan);
}

/* Where m stands behind id, in a copy; NULL: id is no part of its text, or there is no m. */
static struct matcher *fork_of(const struct sequence *s, const struct matcher *m, int32_t id)
{
    struct matcher *copy = m ? matcher_copy(m) : NULL;
    if (!copy || bind_accept(s, copy, id))
        return copy;
    matcher_close(copy);
    return NULL;
}

/* Where the text stands behind id: as what the grammar makes, else as a refusal. */
static struct matcher *fork_by(const struct sequence *s, int32_t id)
{
    struct matcher *copy = fork_of(s, s->bind.matcher, id);
    return copy ? copy : fork_of(s, s->bind.refusal, id);
}

/* Where a refusal stands behind id, if id is a part of both texts. */
static struct matcher *fork_beside(const struct sequence *s, int32_t id)
{
    struct matcher *copy = s->bind.refusal ? fork_of(s, s->bind.matcher, id) : NULL;
    struct matcher *beside = copy ? fork_of(s, s->bind.refusal, id) : NULL;
    matcher_close(copy);
    return beside;
}

bool bind_allows(const struct sequence *s, int32_t id)
{
    const struct matcher *m = s->bind.matcher;
    if (ends(s, id))
        return !s->params.ignore_eos && matcher_may_end(m);
    if (is_opening(s, id) || is_layout(s, id))
        return true;
    if (s->spelling.vocab)
        return matcher_allows(m, id) || (s->bind.refusal && matcher_allows(s->bind.refusal, id));
    return bind_takes(s, id);
}

static void set_bit(uint64_t *mask, int32_t id, bool on)
{
    uint64_t bit = (uint64_t)1 << id % 64;
    mask[id / 64] = on ? mask[id / 64] | bit : mask[id / 64] & ~bit;
}

void bind_mask(const struct sequence *s, struct matcher *m, uint64_t *mask, size_t n_words)
{
    size_t words;
    const uint64_t *allowed = matcher_mask(m, &words);
    words = words < n_words ? words : n_words;
    memcpy(mask, allowed, words * sizeof *mask);
    memset(mask + words, 0, (n_words - words) * sizeof *mask); /* ids that have no spelling */
    for (size_t i = 0; s->params.ignore_eos && i < s->spelling.n_ends; i++)
        set_bit(mask, s->spelling.ends[i], false);
    if (m != s->bind.matcher)
        return;
    if (s->bind.refusal) {
        allowed = matcher_mask(s->bind.refusal, &words);
        for (size_t i = 0; i < words && i < n_words; i++)
            mask[i] |= allowed[i];
    }
    int32_t opening = s->bind.begun ? -1 : reply_scan_opening(&s->scan);
    if (opening >= 0)
        set_bit(mask, opening, true);
    for (size_t i = 0; i < s->spelling.n_layout; i++)
        if (is_layout(s, s->spelling.layout[i]))
            set_bit(mask, s->spelling.layout[i], true);
}

/* --- tokens that must come --------------------------------------------------------------------------------- */

/* Where m stands behind ids; NULL: it does not take them all. */
static struct matcher *walk(const struct sequence *s, const struct matcher *m, const struct ids *ids)
{
    struct matcher *copy = matcher_copy(m);
    for (size_t i = 0; i < ids->len; i++)
        if (!bind_accept(s, copy, ids->ptr[i])) {
            matcher_close(copy);
            return NULL;
        }
    return copy;
}

/* The tokens of text, which m takes, into ids; returns where it stands behind them. NULL: the tokenizer spells it otherwise, as
 * it does where the text begins inside a character. What a control token stands for may be meant by its text. */
static struct matcher *spell_out(const struct sequence *s, const struct matcher *m, struct str text,
                                 struct ids *ids)
{
    struct matcher *behind = NULL;
    for (int special = 0; special < 2 && !behind && utf8_valid(text); special++) {
        ids->len = 0;
        if (s->spelling.encode(s->spelling.ctx, text, special, ids))
            behind = walk(s, m, ids);
    }
    return behind;
}

/* The fewest bytes that make the text whole from where m stands, in at most n tokens. */
static bool closing_of(const struct sequence *s, const struct matcher *m, int64_t n, struct ids *ids)
{
    struct buf text = { 0 };
    /* A token stands for about four bytes; twice that is as much as can be hoped for. */
    size_t max = n < (int64_t)CLOSING_BYTES_MAX / 8 ? (size_t)n * 8 : CLOSING_BYTES_MAX;
    struct matcher *behind = NULL;
    ids->len = 0;
    if (n >= 0 && matcher_closing(m, max, &text))
        behind = spell_out(s, m, buf_str(&text), ids);
    bool fits = behind && (int64_t)ids->len <= n;
    matcher_close(behind);
    buf_free(&text);
    return fits;
}

static void force(struct sequence *s)
{
    struct binding *b = &s->bind;
    struct buf text = { 0 };
    b->ahead.len = b->at = 0;
    matcher_forced(b->matcher, &text);
    struct matcher *behind = NULL;
    if (text.len >= FORCED_BYTES_MIN)
        behind =
            spell_out(s, b->matcher, str_slice(buf_str(&text), 0, utf8_valid_len(buf_str(&text))), &b->ahead);
    if (!behind)
        b->ahead.len = 0;
    else if (b->ahead.len && !matcher_over(behind))
        b->ahead.len--;
    matcher_close(behind);
    buf_free(&text);
}

/* What there is to know before the next token. */
static void look_ahead(struct sequence *s)
{
    struct binding *b = &s->bind;
    int64_t left = left_of(s);
    if (b->tight || left <= b->look_at) {
        if (!b->close_known)
            b->close_known = closing_of(s, b->matcher, left, &b->close);
        int64_t near = CLOSING_NEAR + (b->close_known ? 2 * (int64_t)b->close.len : 0);
        b->tight = left <= near;
        b->look_at = left / 2 > near ? left / 2 : near;
    }
    if (b->tight)
        b->ahead.len = b->at = 0; /* each token is weighed against the closing */
    else if (b->at == b->ahead.len && s->spelling.vocab && !b->refusal)
        force(s);
}

void bind_start(struct sequence *s)
{
    struct binding *b = &s->bind;
    if (!s->params.grammar)
        return;
    matcher_open(&b->matcher, s->params.grammar, s->spelling.vocab);
    if (s->params.refusal)
        matcher_open(&b->refusal, s->params.refusal, s->spelling.vocab);
    b->look_at = left_of(s);
    b->close_known = closing_of(s, b->matcher, left_of(s), &b->close);
}

void bind_begin(struct sequence *s)
{
    if (bind_holds(s) && reply_scan_opening(&s->scan) < 0 && s->spelling.vocab)
        look_ahead(s); /* nothing can come before its text, or in its place */
}

int64_t bind_room(const struct sequence *s)
{
    const struct binding *b = &s->bind;
    return b->close_known ? (int64_t)b->close.len + 2 : 0; /* the blank before it, and what ends the turn */
}

int32_t bind_forced(const struct sequence *s, size_t ahead)
{
    const struct binding *b = &s->bind;
    return b->at + ahead < b->ahead.len ? b->ahead.ptr[b->at + ahead] : -1;
}

/* --- the sequence's tokens ---------------------------------------------------------------------------------- */

/* The first token is weighed by the closing that was found at the start, before a thought used its tokens. */
static bool is_near(const struct sequence *s)
{
    const struct binding *b = &s->bind;
    return b->tight || (!b->begun && left_of(s) <= CLOSING_NEAR + 2 * (int64_t)b->close.len);
}

bool bind_admits(struct sequence *s, int32_t id)
{
    struct binding *b = &s->bind;
    if (!is_near(s) || ends(s, id))
        return true;
    int64_t left = left_of(s) - 1;
    b->close_known = b->close_known && (int64_t)b->close.len <= left + 1;
    if (is_opening(s, id) || (is_layout(s, id) && !bind_takes(s, id)))
        return !b->close_known || (is_layout(s, id) && (int64_t)b->close.len <= left);
    b->next = fork_by(s, id);
    if (b->next && closing_of(s, b->next, left, &b->close_next))
        return true;
    matcher_close(b->next);
    b->next = NULL;
    return !b->close_known;
}

bool bind_close(struct sequence *s)
{
    struct binding *b = &s->bind;
    if (!b->close_known && !closing_of(s, b->matcher, (int64_t)CLOSING_BYTES_MAX, &b->close))
        return false;
    b->ahead.len = b->at = 0;
    for (size_t i = 0; i < b->close.len; i++)
        ids_put(&b->ahead, b->close.ptr[i]);
    if (b->close.len == 0 && s->spelling.n_ends) /* it is whole, but a token is due */
        ids_put(&b->ahead, s->spelling.ends[0]);
    b->closing = s->closed_by_grammar = b->ahead.len > 0;
    return b->closing;
}

bool bind_takes(const struct sequence *s, int32_t id)
{
    struct matcher *behind = fork_by(s, id);
    matcher_close(behind);
    return behind != NULL;
}

/* The matcher goes on by id. False: it is no part of its text. */
static bool go_on(struct sequence *s, int32_t id)
{
    struct binding *b = &s->bind;
    if (b->next) {
        struct ids close = b->close;
        b->close = b->close_next;
        b->close_next = close;
    } else if (b->begun && !b->refusal) {
        return bind_accept(s, b->matcher, id);
    } else if (!(b->next = fork_by(s, id))) {
        return false;
    }
    struct matcher *beside = fork_beside(s, id);
    matcher_close(b->matcher);
    matcher_close(b->refusal);
    b->matcher = b->next;
    b->refusal = beside;
    b->next = NULL;
    return true;
}

bool bind_put(struct sequence *s, int32_t id)
{
    struct binding *b = &s->bind;
    bool weighed = b->next != NULL;
    if (b->at < b->ahead.len)
        b->at++;
    if (ends(s, id))
        return b->closing;
    if (!go_on(s, id)) {
        assert(is_layout(s, id));
        b->layout = true;
        return false;
    }
    b->begun = true;
    if (!b->closing) {
        b->close_known = weighed;
        look_ahead(s);
    }
    return matcher_over(b->matcher) || (b->closing && b->at == b->ahead.len);
}
