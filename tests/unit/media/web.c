/*
 * web.c - images and files by URL, from a server of the test that answers as told.
 */
#include "media/make.h"

#include "base/thread.h"
#include "fetch/fetch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLIES_MAX 8

/* Answers each connection with the next reply and closes it; an empty one stays silent until the client is gone. */
struct site {
    int fd, port;
    struct buf replies[REPLIES_MAX];
    int n;
    struct thread thread;
};

static void site_run(void *ctx)
{
    struct site *s = ctx;
    char bytes[4096];
    for (int i = 0; i < s->n; i++) {
        int fd = accept(s->fd, NULL, NULL);
        if (fd < 0)
            return;
        struct str reply = buf_str(&s->replies[i]);
        bool asked = recv(fd, bytes, sizeof bytes, 0) > 0;
        while (asked && reply.len) {
            ssize_t n = send(fd, reply.ptr, reply.len, MSG_NOSIGNAL);
            if (n <= 0)
                break;
            reply = str_slice(reply, (size_t)n, reply.len);
        }
        while (asked && !s->replies[i].len && recv(fd, bytes, sizeof bytes, 0) > 0)
            continue;
        close(fd);
    }
}

static int site_bind(struct site *s)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    *s = (struct site){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    assert_return_code(bind(s->fd, (struct sockaddr *)&at, sizeof at), errno);
    assert_return_code(listen(s->fd, REPLIES_MAX), errno);
    assert_return_code(getsockname(s->fd, (struct sockaddr *)&at, &len), errno);
    return s->port = ntohs(at.sin_port);
}

static void site_say(struct site *s, const char *status, const char *headers, struct str body)
{
    struct buf *b = &s->replies[s->n++];
    buf_printf(b, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\nConnection: close\r\n\r\n", status, headers,
               body.len);
    buf_put_str(b, body);
}

static void site_start(struct site *s)
{
    thread_start(&s->thread, "test-site", site_run, s);
}

static void site_close(struct site *s)
{
    shutdown(s->fd, SHUT_RDWR);
    thread_join(&s->thread);
    close(s->fd);
    for (int i = 0; i < s->n; i++)
        buf_free(&s->replies[i]);
}

static struct media_limits open_limits(void)
{
    struct media_limits limits = make_limits;
    limits.fetch_urls = limits.fetch_private = true;
    return limits;
}

static enum err_code get(struct media *m, const struct site *s, bool image, const struct media_limits *limits,
                         struct arena *arena, struct err *err)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/x", s->port);
    *err = (struct err){ 0 };
    return (image ? media_image : media_file_url)(m, str_from(url), "p", limits, arena, err);
}

static int start(void **state)
{
    (void)state;
    fetch_start();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fetch_stop();
    return 0;
}

static void images_and_files_are_fetched(void **state)
{
    (void)state;
    struct media_limits limits = open_limits();
    struct arena arena = { 0 };
    struct buf png = { 0 };
    struct site s;
    struct media m;
    struct err err;
    site_bind(&s);
    make_png(&png, 40, 30);
    site_say(&s, "200 OK", "Content-Type: image/png; q=1\r\n", buf_str(&png));
    site_say(&s, "200 OK", "", buf_str(&png));
    site_say(&s, "200 OK", "Content-Type: text/plain\r\n", STR("hello"));
    site_start(&s);
    for (int i = 0; i < 2; i++) {
        if (get(&m, &s, true, &limits, &arena, &err))
            fail_msg("%s", err.message);
        assert_int_equal(40, m.width);
        assert_true(str_eq(m.bytes, buf_str(&png)));
    }
    assert_int_equal(ERR_OK, get(&m, &s, false, &limits, &arena, &err));
    assert_int_equal(MEDIA_TEXT, m.kind);
    assert_true(str_is(m.bytes, "hello"));
    site_close(&s);
    arena_free(&arena);
    buf_free(&png);
}

static void replies_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *status, *headers, *body;
        enum err_code code;
        const char *says;
    } rows[] = {
        { "404 Not Found", "", "GIF89a", ERR_IMAGE_DOWNLOAD, "status 404" },
        { "206 Partial Content", "", "GIF89a", ERR_IMAGE_DOWNLOAD, "status 206" },
        { "200 OK", "Content-Type: text/html\r\n", "<html>", ERR_IMAGE_FORMAT, "supported formats" },
        { "200 OK", "Content-Type: image/png\r\n", "<html>", ERR_IMAGE_FORMAT, "declared as image/png" },
        { "200 OK", "Content-Type: image/gif\r\n", "GIF89a", ERR_IMAGE, "cut short" },
        { "302 Found", "Location: file:///etc/passwd\r\n", "", ERR_IMAGE_DOWNLOAD,
          "could not be downloaded" },
        { "302 Found", "Location: ftp://127.0.0.1/x\r\n", "", ERR_IMAGE_DOWNLOAD, "could not be downloaded" },
        { "302 Found", "Location: http://127.0.0.1:1/x\r\n", "", ERR_IMAGE_DOWNLOAD,
          "could not be downloaded" },
    };
    struct media_limits limits = open_limits();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena = { 0 };
        struct site s;
        struct media m;
        struct err err;
        site_bind(&s);
        site_say(&s, rows[i].status, rows[i].headers, str_from(rows[i].body));
        site_start(&s);
        enum err_code code = get(&m, &s, true, &limits, &arena, &err);
        if (code != rows[i].code || !strstr(err.message, rows[i].says))
            fail_msg("row %zu: %s %s", i, err_name(code), err.message);
        site_close(&s);
        arena_free(&arena);
    }
}

static void redirects_are_followed_and_counted(void **state)
{
    (void)state;
    for (int redirects = 3; redirects <= 4; redirects++) {
        struct media_limits limits = open_limits();
        struct arena arena = { 0 };
        struct site s;
        struct media m;
        struct err err;
        char location[80];
        snprintf(location, sizeof location, "Location: http://127.0.0.1:%d/y\r\n", site_bind(&s));
        for (int i = 0; i < redirects; i++)
            site_say(&s, "302 Found", location, STR(""));
        site_say(&s, "200 OK", "", STR("at last"));
        site_start(&s);
        assert_int_equal(redirects == 3 ? ERR_OK : ERR_INVALID_VALUE,
                         get(&m, &s, false, &limits, &arena, &err));
        site_close(&s);
        arena_free(&arena);
    }
}

/* The size is known while it arrives: a length that is announced, and one that is not. */
static void too_large(void **state)
{
    (void)state;
    for (int announced = 0; announced < 2; announced++) {
        struct media_limits limits = open_limits();
        struct arena arena = { 0 };
        struct buf body = { 0 };
        struct site s;
        struct media m;
        struct err err;
        limits.bytes_max = 100000;
        while (body.len < 3000000)
            buf_puts(&body, "0123456789");
        site_bind(&s);
        if (announced) {
            site_say(&s, "200 OK", "", buf_str(&body));
        } else {
            buf_puts(&s.replies[s.n], "HTTP/1.0 200 OK\r\n\r\n");
            buf_put_str(&s.replies[s.n++], buf_str(&body));
        }
        site_start(&s);
        assert_int_equal(ERR_IMAGE_TOO_LARGE, get(&m, &s, true, &limits, &arena, &err));
        assert_non_null(strstr(err.message, "larger than 100000 bytes"));
        assert_true(arena.used < 1000);
        site_close(&s);
        arena_free(&arena);
        buf_free(&body);
    }
}

static void a_slow_server_is_left(void **state)
{
    (void)state;
    struct media_limits limits = open_limits();
    struct arena arena = { 0 };
    struct site s;
    struct media m;
    struct err err;
    limits.timeout_ms = 200;
    site_bind(&s);
    s.n = 1; /* one empty reply: silence */
    site_start(&s);
    assert_int_equal(ERR_IMAGE_DOWNLOAD, get(&m, &s, true, &limits, &arena, &err));
    site_close(&s);
    arena_free(&arena);
}

/* However it is written, this machine is not asked unless that is allowed: the listener would have answered. */
static void loopback_is_refused_by_default(void **state)
{
    (void)state;
    static const char *const hosts[] = { "127.0.0.1", "localhost", "2130706433", "0x7f.1",
                                         "127.1",     "0.0.0.0",   "[::1]",      "[::ffff:127.0.0.1]" };
    struct media_limits limits = open_limits();
    struct site s;
    limits.fetch_private = false;
    site_bind(&s);
    site_say(&s, "200 OK", "", STR("secret"));
    site_start(&s);
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct arena arena = { 0 };
        char url[96];
        struct media m;
        struct err err = { 0 };
        snprintf(url, sizeof url, "http://%s:%d/", hosts[i], s.port);
        if (media_file_url(&m, str_from(url), "p", &limits, &arena, &err) != ERR_INVALID_VALUE ||
            !strstr(err.message, "private network"))
            fail_msg("%s: %s", url, err.message);
        arena_free(&arena);
    }
    site_close(&s);
}

static void urls_that_are_none(void **state)
{
    (void)state;
    struct media_limits limits = open_limits();
    struct arena arena = { 0 };
    struct buf url = { 0 };
    struct media m;
    struct err err;
    assert_int_equal(ERR_IMAGE_DOWNLOAD, media_image(&m, STR("http://"), "p", &limits, &arena, &err));
    assert_int_equal(ERR_IMAGE_DOWNLOAD, media_image(&m, STR("http://a b/"), "p", &limits, &arena, &err));
    buf_puts(&url, "http://127.0.0.1/");
    while (url.len <= 8192)
        buf_putc(&url, 'x');
    assert_int_equal(ERR_IMAGE_URL, media_image(&m, buf_str(&url), "p", &limits, &arena, &err));
    buf_free(&url);
    arena_free(&arena);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(images_and_files_are_fetched, start, stop),
    cmocka_unit_test_setup_teardown(replies_that_are_refused, start, stop),
    cmocka_unit_test_setup_teardown(redirects_are_followed_and_counted, start, stop),
    cmocka_unit_test_setup_teardown(too_large, start, stop),
    cmocka_unit_test_setup_teardown(a_slow_server_is_left, start, stop),
    cmocka_unit_test_setup_teardown(loopback_is_refused_by_default, start, stop),
    cmocka_unit_test_setup_teardown(urls_that_are_none, start, stop),
};
TEST_GROUP(media_web, tests)
