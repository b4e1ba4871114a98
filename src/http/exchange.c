/*
 * exchange.c - a complete request and its one answer, given from any thread.
 *
 * Two parties hold an exchange: the connection it came on and whoever must answer it. Either may
 * be done first: a client leaves, or a reply is written long before it is sent. All memory is the
 * loop's: a holder lets go by a note (NOTE_DONE), so the loop alone decides when both are done
 * and no reference count is needed. A note is put after the lock is released and notes arrive in
 * order, so when NOTE_DONE is read its sender has left every function of this file.
 *
 * The lock guards the answer's state. on_gone is called under it: that is what makes "never after
 * http_reply returned" true, and why on_gone must only post a message.
 */
#include "http/http_impl.h"

#include "base/clock.h"

#include <assert.h>
#include <string.h>

/* --- life ------------------------------------------------------------------------------------------ */

struct http_exchange *exchange_new(struct conn *c, struct str target)
{
    struct http_exchange *x = mem_zalloc(sizeof *x);
    x->server = c->server;
    x->conn = c;
    x->received_ns = clock_mono_ns();
    x->head.target = arena_str(&x->arena, target);
    request_id_make(x->id);
    pthread_mutex_init(&x->lock, NULL);
    c->server->n_exchanges++;
    return x;
}

void exchange_free_if_done(struct http_exchange *x)
{
    if (x->conn || x->held || x->ready)
        return;
    x->server->n_exchanges--;
    x->server->body_bytes -= x->body_counted;
    pthread_mutex_destroy(&x->lock);
    for (size_t i = 0; i < x->n_fields; i++)
        mem_free((char *)x->fields[i].name.ptr);
    mem_free(x->fields);
    buf_free(&x->body);
    buf_free(&x->out);
    arena_free(&x->arena);
    mem_free(x);
}

static void call_gone(struct http_exchange *x) /* lock held */
{
    void (*fn)(void *) = x->on_gone;
    x->on_gone = NULL; /* at most once */
    if (fn && (x->state == EXCHANGE_OPEN || x->state == EXCHANGE_STREAMING))
        fn(x->gone_ctx);
}

void exchange_lost(struct http_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    x->gone = true;
    call_gone(x);
    pthread_mutex_unlock(&x->lock);
}

void exchange_check_gone(struct http_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    if (x->gone)
        call_gone(x);
    pthread_mutex_unlock(&x->lock);
}

void exchange_detach(struct http_exchange *x)
{
    x->conn = NULL;
    if (x->held)
        exchange_lost(x);
    else if (x->socket)
        socket_failed(x->socket);
    exchange_free_if_done(x);
}

static void note(struct http_exchange *x, enum note_kind kind)
{
    struct note n = { .kind = kind, .x = x };
    /* Bounded: one wake and one done an exchange, and exchanges are bounded by connections. */
    bool sent = mailbox_push(x->server->notes, &n);
    assert(sent); /* the server outlives its exchanges */
    (void)sent;
}

/* --- what the holder reads ------------------------------------------------------------------------- */

struct str http_method(const struct http_exchange *x)
{
    return x->head.method;
}

struct str http_path(const struct http_exchange *x)
{
    return x->target.path;
}

struct str http_path_arg(const struct http_exchange *x, size_t i)
{
    return i < x->match.n_args ? x->match.args[i] : (struct str){ 0 };
}

struct str http_header(const struct http_exchange *x, const char *name)
{
    return head_field(&x->head, name);
}

bool http_query(const struct http_exchange *x, size_t i, struct str *name, struct str *value)
{
    if (i >= x->target.n_query)
        return false;
    *name = x->target.query[i].name;
    *value = x->target.query[i].value;
    return true;
}

struct str http_body(const struct http_exchange *x)
{
    return buf_str(&x->body);
}

void http_on_gone(struct http_exchange *x, void (*fn)(void *ctx), void *ctx)
{
    pthread_mutex_lock(&x->lock);
    assert(x->state == EXCHANGE_OPEN || x->state == EXCHANGE_STREAMING);
    x->on_gone = fn;
    x->gone_ctx = ctx;
    bool late = x->gone && !x->woken;
    if (late)
        x->woken = true;
    pthread_mutex_unlock(&x->lock);
    if (late)
        note(x, NOTE_WAKE); /* the loop calls it, as it would have */
}

void http_on_answer(struct http_exchange *x, void (*fn)(void *ctx, const struct http_answer *a), void *ctx)
{
    assert(!x->on_answer);
    x->on_answer = fn;
    x->answer_ctx = ctx;
}

/* --- the answer ------------------------------------------------------------------------------------- */

static bool is_line(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

void http_set_header(struct http_exchange *x, const char *name, const char *value)
{
    assert(name[0] && value[0] && is_line(name) && is_line(value));
    x->fields = mem_realloc(x->fields, (x->n_fields + 1) * sizeof *x->fields);
    size_t name_len = strlen(name), value_len = strlen(value);
    char *text = mem_alloc(name_len + value_len + 2); /* both strings, one allocation, owned through name */
    memcpy(text, name, name_len + 1);
    memcpy(text + name_len + 1, value, value_len + 1);
    x->fields[x->n_fields++] = (struct http_field){ { text, name_len }, { text + name_len + 1, value_len } };
}

/* The state changes under the lock; the loop looks at the rest only after the note. */
static void answer(struct http_exchange *x, int status, const char *content_type, struct str body)
{
    assert(status >= 200 && status <= 599);
    pthread_mutex_lock(&x->lock);
    assert(x->state == EXCHANGE_OPEN); /* answered once */
    x->status = status;
    x->content_type = content_type ? arena_strdup(&x->arena, content_type) : NULL;
    buf_put_str(&x->out, body);
    x->state = EXCHANGE_REPLIED;
    pthread_mutex_unlock(&x->lock);
}

/* Before the note, while x is the holder's: who listens must have heard before the client can ask again. */
static void tell_answer(struct http_exchange *x, bool stream, struct str body)
{
    if (!x->on_answer)
        return;
    pthread_mutex_lock(&x->lock);
    struct http_answer a = { .status = x->status, .stream = stream, .gone = x->gone, .body = body };
    pthread_mutex_unlock(&x->lock);
    x->on_answer(x->answer_ctx, &a);
}

void http_reply(struct http_exchange *x, int status, const char *content_type, struct str body)
{
    answer(x, status, content_type, body);
    tell_answer(x, false, body);
    note(x, NOTE_DONE);
}

void exchange_answer(struct http_exchange *x, int status, const char *content_type, struct str body)
{
    answer(x, status, content_type, body);
}

void exchange_answer_error(struct http_exchange *x, const struct err *err)
{
    struct buf body = { 0 };
    x->server->cfg.error_body(&body, err);
    answer(x, err_status(err->code), "application/json", buf_str(&body));
    buf_free(&body);
}

void exchange_refuse(struct http_exchange *x, const struct err *err)
{
    exchange_answer_error(x, err);
    note(x, NOTE_DONE);
}

void exchange_upgrade(struct http_exchange *x, struct http_socket *socket)
{
    pthread_mutex_lock(&x->lock);
    assert(x->state == EXCHANGE_OPEN);
    x->status = 101;
    x->socket = socket;
    x->state = EXCHANGE_UPGRADED;
    pthread_mutex_unlock(&x->lock);
    note(x, NOTE_DONE);
}

void exchange_facts(const struct http_exchange *x, struct reply_facts *facts)
{
    facts->id = x->id;
    facts->complete_ns = x->complete_ns;
    facts->target = x->head.target;
    facts->client_id = head_field(&x->head, "X-Client-Request-Id");
    for (size_t i = 0; i < x->n_fields; i++) {
        facts->own_repeat |= str_eq_nocase(x->fields[i].name, STR("x-should-retry"));
        facts->own_retry |= str_eq_nocase(str_slice(x->fields[i].name, 0, 11), STR("retry-after"));
    }
}

void http_stream_begin(struct http_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    assert(x->state == EXCHANGE_OPEN);
    x->status = 200;
    x->content_type = "text/event-stream";
    x->state = EXCHANGE_STREAMING;
    bool wake = !x->woken;
    x->woken = true;
    pthread_mutex_unlock(&x->lock);
    if (wake)
        note(x, NOTE_WAKE);
}

bool http_stream_write(struct http_exchange *x, struct str frame)
{
    pthread_mutex_lock(&x->lock);
    assert(x->state == EXCHANGE_STREAMING);
    size_t pending = x->out.len - x->out_at;
    /* One frame larger than the bound may still pass, when it is alone: the bound is on what a reader
     * leaves lying, not on what may be said. */
    if (pending && pending + frame.len > (size_t)x->server->cfg.stream_bytes_max)
        x->too_slow = true;
    bool taken = !x->gone && !x->too_slow;
    if (taken)
        buf_put_str(&x->out, frame);
    bool wake = !x->woken && !x->gone;
    if (wake)
        x->woken = true;
    pthread_mutex_unlock(&x->lock);
    if (wake)
        note(x, NOTE_WAKE);
    return taken;
}

size_t http_stream_unread(struct http_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    size_t unread = x->gone ? 0 : x->out.len - x->out_at;
    pthread_mutex_unlock(&x->lock);
    return unread;
}

void http_stream_end(struct http_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    assert(x->state == EXCHANGE_STREAMING);
    x->state = EXCHANGE_ENDED;
    pthread_mutex_unlock(&x->lock);
    tell_answer(x, true, STR(""));
    note(x, NOTE_DONE);
}

/* --- what the loop sends ----------------------------------------------------------------------------- */

size_t frame_cut(struct str pending, size_t max)
{
    if (pending.len <= max)
        return pending.len;
    /* The last event that ends within max; an event longer than max goes out in parts. */
    for (size_t end = max; end >= 2; end--)
        if (pending.ptr[end - 1] == '\n' && pending.ptr[end - 2] == '\n')
            return end;
    return max;
}

bool exchange_ping(struct http_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    bool silent = x->state == EXCHANGE_STREAMING && !x->gone && x->out.len == x->out_at;
    if (silent)
        buf_puts(&x->out, ": ping\n\n");
    pthread_mutex_unlock(&x->lock);
    return silent;
}
