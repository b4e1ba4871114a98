/*
 * frames.c - the WebSocket protocol of one connection (RFC 6455), over two functions that move bytes.
 *
 * libwslay reads and writes the frames: masks, fragments, control frames between them, UTF-8 as it comes, pongs, the
 * close handshake, 1002 for what breaks the protocol and 1007 for text that is none. Its buffering is switched off: a
 * message gathers in a buf of ours, so that its bound holds over all its fragments, nothing is allocated on the word of a
 * frame's header, and the complete text changes hands without a copy. Added are 1003 for binary messages and 1009.
 *
 * It knows neither sockets nor threads, so a fuzzer can be its peer.
 *
 * Threads:   one at a time (the loop).
 * Ownership: a complete message's buf is the receiver's to take; what is left in it is freed here.
 */
#include "http/http_impl.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <wslay/wslay.h>

#define CLOSE_BYTES_MAX 125 /* of a control frame, section 5.5 */

struct frames {
    wslay_event_context_ptr ctx;
    struct frames_io io;
    size_t message_max;
    struct buf text;                      /* of the message being received */
    uint8_t opcode;                       /* of the frame being received */
    unsigned pongs;                       /* owed since everything was sent last */
    bool ended, broken;                   /* reading met the end of the connection; writing failed */
    bool closing;                         /* a close frame is queued or sent, by us or as an answer */
    bool malformed;                       /* a frame could not be read */
    size_t head_left;                     /* bytes not sent of a frame's header, */
    uint64_t body_left;                   /* and of what follows it */
    unsigned char close[CLOSE_BYTES_MAX]; /* the body of the client's close frame, as far as it has come */
    size_t close_len;
};

/* --- libwslay's callbacks -------------------------------------------------------------------------------- */

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *bytes, size_t len, int flags, void *cls)
{
    struct frames *f = cls;
    (void)flags;
    ssize_t n = f->io.recv(f->io.ctx, bytes, len);
    if (n > 0)
        return n;
    bool later = n < 0 && (errno == EAGAIN || errno == EINTR);
    f->ended |= !later;
    wslay_event_set_error(ctx, later ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

/* libwslay hands over a frame's header by itself, then what follows it. */
static void begin_frame(struct frames *f, const uint8_t *header, size_t len)
{
    f->head_left = len;
    f->body_left = len == 2 ? header[1] : 0;
    for (size_t i = 2; i < len; i++)
        f->body_left = f->body_left << 8 | header[i];
}

static void count_sent(struct frames *f, size_t n)
{
    size_t head = n < f->head_left ? n : f->head_left;
    f->head_left -= head;
    f->body_left -= n - head;
}

static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *bytes, size_t len, int flags, void *cls)
{
    static const uint8_t protocol_error[] = { 0x80 | WSLAY_CONNECTION_CLOSE, 2,
                                              WSLAY_CODE_PROTOCOL_ERROR >> 8,
                                              WSLAY_CODE_PROTOCOL_ERROR & 0xff };
    struct frames *f = cls;
    ssize_t n;
    if (!f->head_left && !f->body_left)
        begin_frame(f, bytes, len);
    /* For a frame that cannot be read, libwslay 1.1.1 closes without a code, where section 7.1.7 wants one. */
    if (f->malformed && f->head_left == 2 && !f->body_left && bytes[0] == protocol_error[0]) {
        n = f->io.send(f->io.ctx, protocol_error, sizeof protocol_error, false);
        n = n == (ssize_t)sizeof protocol_error ? 2 : n < 0 ? n : 0; /* cut short it is of no use */
    } else {
        n = f->io.send(f->io.ctx, bytes, len, flags & WSLAY_MSG_MORE);
    }
    if (n > 0) {
        count_sent(f, (size_t)n);
        return n;
    }
    bool later = n < 0 && (errno == EAGAIN || errno == EINTR);
    f->broken |= !later;
    wslay_event_set_error(ctx, later ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

/* Refuses what is coming: nothing more is read, and the connection ends when the close frame is out. */
static void refuse(struct frames *f, int code, const char *reason)
{
    frames_close(f, code, str_from(reason));
    wslay_event_shutdown_read(f->ctx);
}

/* The same, with a text that says so. It is sent at once, as far as the connection takes it: a close frame would overtake it. */
static void refuse_message(struct frames *f, int code, enum err_code why, const char *reason)
{
    if (f->io.refused)
        f->io.refused(f->io.ctx, why, reason);
    (void)wslay_event_send(f->ctx);
    refuse(f, code, reason);
}

static void on_frame(wslay_event_context_ptr ctx, const struct wslay_event_on_frame_recv_start_arg *frame,
                     void *cls)
{
    struct frames *f = cls;
    (void)ctx;
    f->opcode = frame->opcode;
    f->close_len = 0;
    if (frame->opcode == WSLAY_CONNECTION_CLOSE && frame->payload_length == 1)
        refuse(f, WSLAY_CODE_PROTOCOL_ERROR, "Half a code."); /* libwslay takes it for none */
    else if (frame->opcode == WSLAY_BINARY_FRAME)
        refuse_message(f, WSLAY_CODE_UNSUPPORTED_DATA, ERR_BAD_REQUEST,
                       "This endpoint takes text messages only.");
    else if (!wslay_is_ctrl_frame(frame->opcode) &&
             frame->payload_length > f->message_max - f->text.len) /* never more than the bound is stored */
        refuse_message(f, WSLAY_CODE_MESSAGE_TOO_BIG, ERR_TOO_LARGE,
                       "The message is larger than this endpoint takes.");
}

static bool refused(const struct frames *f)
{
    return !wslay_event_get_read_enabled(f->ctx);
}

static void on_piece(wslay_event_context_ptr ctx, const struct wslay_event_on_frame_recv_chunk_arg *piece,
                     void *cls)
{
    struct frames *f = cls;
    (void)ctx;
    if (f->opcode == WSLAY_CONNECTION_CLOSE && piece->data_length <= CLOSE_BYTES_MAX - f->close_len) {
        memcpy(f->close + f->close_len, piece->data, piece->data_length);
        f->close_len += piece->data_length;
    }
    if (!wslay_is_ctrl_frame(f->opcode) && !refused(f))
        buf_put(&f->text, piece->data, piece->data_length);
}

/* libwslay 1.1.1 takes the first two bytes of each piece of a close frame for the code and looks at none of them, and then
 * echoes a reason that may be no UTF-8. */
static void on_frame_end(wslay_event_context_ptr ctx, void *cls)
{
    struct frames *f = cls;
    (void)ctx;
    if (f->opcode == WSLAY_CONNECTION_CLOSE && f->close_len > 2 && !refused(f) &&
        !utf8_valid((struct str){ (const char *)f->close + 2, f->close_len - 2 }))
        refuse(f, WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA, "The reason is not UTF-8.");
}

static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *message,
                       void *cls)
{
    struct frames *f = cls;
    (void)ctx;
    f->pongs += message->opcode == WSLAY_PING;
    if (message->opcode != WSLAY_TEXT_FRAME || refused(f))
        return;
    f->io.text(f->io.ctx, &f->text);
    buf_free(&f->text);
}

/* --- life ------------------------------------------------------------------------------------------------ */

struct frames *frames_open(size_t message_max, const struct frames_io *io)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .on_frame_recv_start_callback = on_frame,
        .on_frame_recv_chunk_callback = on_piece,
        .on_frame_recv_end_callback = on_frame_end,
        .on_msg_recv_callback = on_message,
    };
    struct frames *f = mem_zalloc(sizeof *f);
    f->io = *io;
    f->message_max = message_max;
    int rc = wslay_event_context_server_init(&f->ctx, &callbacks, f);
    assert(rc == 0); /* memory is all it can lack */
    (void)rc;
    wslay_event_config_set_no_buffering(f->ctx, 1);
    return f;
}

void frames_free(struct frames *f)
{
    if (!f)
        return;
    wslay_event_context_free(f->ctx);
    buf_free(&f->text);
    mem_free(f);
}

/* --- bytes ----------------------------------------------------------------------------------------------- */

bool frames_read(struct frames *f)
{
    f->malformed |= wslay_event_recv(f->ctx) != 0 && !f->ended;
    f->closing |= refused(f);
    return !f->ended;
}

bool frames_write(struct frames *f)
{
    (void)wslay_event_send(f->ctx);
    if (wslay_event_get_queued_msg_count(f->ctx) == 0)
        f->pongs = 0;
    return !f->broken;
}

void frames_text(struct frames *f, struct str text)
{
    struct wslay_event_msg message = { WSLAY_TEXT_FRAME, (const uint8_t *)text.ptr, text.len };
    (void)wslay_event_queue_msg(f->ctx, &message); /* refused behind a close frame: nobody reads any more */
}

void frames_ping(struct frames *f)
{
    struct wslay_event_msg message = { WSLAY_PING, NULL, 0 };
    (void)wslay_event_queue_msg(f->ctx, &message);
}

void frames_close(struct frames *f, int code, struct str reason)
{
    f->closing = true;
    (void)wslay_event_queue_close(f->ctx, (uint16_t)code, (const uint8_t *)reason.ptr, reason.len);
}

bool frames_closing(const struct frames *f)
{
    return f->closing;
}

bool frames_was_answered(const struct frames *f)
{
    return wslay_event_get_close_received(f->ctx);
}

bool frames_over(const struct frames *f)
{
    return !wslay_event_want_read(f->ctx) && !wslay_event_want_write(f->ctx);
}

bool frames_want_write(const struct frames *f)
{
    return wslay_event_want_write(f->ctx);
}

bool frames_flooded(const struct frames *f)
{
    return f->pongs >= HTTP_SOCKET_PONGS_MAX;
}

size_t frames_unsent(const struct frames *f)
{
    return wslay_event_get_queued_msg_length(f->ctx);
}

size_t frames_gathered(const struct frames *f)
{
    return f->text.len;
}
