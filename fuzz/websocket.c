/*
 * websocket.c - any bytes as what a client sends after its handshake, through the frame reader, which echoes.
 *
 * The first byte chooses how many bytes come at a time and how many the client takes. Whatever came, texts are valid UTF-8
 * within the bound, and what goes out are whole, unmasked frames with a sound close frame, if any, at the end.
 */
#include "http/http_impl.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGE_MAX 4096

struct client {
    struct str rest;
    size_t step, room;
    struct buf got;
    struct frames *frames;
    bool stalled; /* every other call says later */
};

static ssize_t do_recv(void *ctx, void *bytes, size_t len)
{
    struct client *c = ctx;
    c->stalled = !c->stalled;
    if (c->stalled || frames_flooded(c->frames)) {
        errno = EAGAIN;
        return -1;
    }
    size_t n = len < c->step ? len : c->step;
    struct str piece = str_slice(c->rest, 0, n);
    if (piece.len)
        memcpy(bytes, piece.ptr, piece.len);
    c->rest = str_slice(c->rest, piece.len, c->rest.len);
    return (ssize_t)piece.len;
}

static ssize_t do_send(void *ctx, const void *bytes, size_t len, bool more)
{
    struct client *c = ctx;
    size_t n = len < c->room ? len : c->room;
    (void)more;
    if (n == 0) {
        errno = EAGAIN;
        return -1;
    }
    buf_put(&c->got, bytes, n);
    c->room -= n;
    return (ssize_t)n;
}

static void on_text(void *ctx, struct buf *text)
{
    struct client *c = ctx;
    assert(text->len <= MESSAGE_MAX && utf8_valid(buf_str(text)));
    frames_text(c->frames, buf_str(text));
}

static void on_refused(void *ctx, enum err_code code, const char *reason)
{
    struct client *c = ctx;
    (void)code;
    frames_text(c->frames, str_from(reason));
}

/* Takes one frame off *s; false when it is not whole. */
static bool take_frame(struct str *s, int *opcode, struct str *body)
{
    const unsigned char *at = (const unsigned char *)s->ptr;
    if (s->len < 2)
        return false;
    size_t head = at[1] == 126 ? 4 : 2, len = at[1];
    assert((at[0] & 0xf0) == 0x80 && at[1] < 127); /* final, nothing reserved, unmasked, within MESSAGE_MAX */
    if (s->len < head)
        return false;
    if (head == 4)
        len = (size_t)at[2] << 8 | at[3];
    if (s->len < head + len)
        return false;
    *opcode = at[0] & 15;
    *body = str_slice(*s, head, head + len);
    *s = str_slice(*s, head + len, s->len);
    return true;
}

static void check_close(struct str body)
{
    if (body.len == 0) /* as the client's */
        return;
    assert(body.len >= 2 && body.len <= 125 && utf8_valid(str_slice(body, 2, body.len)));
    int code = (unsigned char)body.ptr[0] << 8 | (unsigned char)body.ptr[1];
    assert(code >= 1000 && code < 5000 && code != 1004 && code != 1005 && code != 1006 && code != 1015);
}

static void check_output(struct str out, bool over)
{
    int opcode = 0;
    struct str body;
    while (take_frame(&out, &opcode, &body)) {
        assert(opcode == 1 || opcode == 8 || opcode == 10);
        assert(opcode != 1 || utf8_valid(body));
        if (opcode != 8)
            continue;
        check_close(body);
        assert(out.len == 0);
    }
    assert(out.len == 0 || !over);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct client c = { .rest = { (const char *)data + 1, size - 1 }, .step = 1 + data[0] % 16 * 40 };
    struct frames_io io = {
        .recv = do_recv, .send = do_send, .text = on_text, .ctx = &c, .refused = on_refused
    };
    c.frames = frames_open(MESSAGE_MAX, &io);
    bool reads = true, writes = true;
    while (reads && writes && !frames_over(c.frames)) {
        reads = frames_read(c.frames);
        c.room = 1 + data[0] / 16 * (size_t)100;
        writes = frames_write(c.frames);
        assert(frames_gathered(c.frames) <= MESSAGE_MAX);
    }
    assert(frames_over(c.frames) || !reads || !writes);
    check_output(buf_str(&c.got), reads && writes);
    frames_free(c.frames);
    buf_free(&c.got);
    return 0;
}
