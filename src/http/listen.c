/*
 * listen.c - "host:port" to a listening socket and the URL that reaches it.
 *
 * Errors name what to change: they are the first words a new user may read.
 */
#include "http/http_impl.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct address {
    char host[256]; /* without brackets */
    char port[8];
    bool v6;
};

static enum err_code address_parse(struct address *out, const char *text, struct err *err)
{
    const char *colon = text ? strrchr(text, ':') : NULL;
    struct str host = { 0 };
    int64_t port = -1;
    if (colon) {
        host = (struct str){ text, (size_t)(colon - text) };
        if (colon[1] < '0' || colon[1] > '9' || !str_to_i64(str_from(colon + 1), &port))
            port = -1;
    }
    out->v6 = str_starts(host, STR("[")) && str_ends(host, STR("]"));
    if (out->v6)
        host = str_slice(host, 1, host.len - 1);
    else if (str_find(host, STR(":")) != SIZE_MAX)
        host.len = 0; /* an IPv6 address needs its brackets: which colon is the port's? */
    if (port < 0 || port > 65535 || host.len == 0 || host.len >= sizeof out->host)
        return err_set(err, ERR_CONFIG, "listen",
                       "Cannot listen on \"%s\": expected HOST:PORT, as 127.0.0.1:8080 or [::1]:8080.",
                       text ? text : "");
    snprintf(out->host, sizeof out->host, "%.*s", STR_ARG(host));
    snprintf(out->port, sizeof out->port, "%d", (int)port);
    return ERR_OK;
}

static enum err_code refuse(const char *listen_on, int reason, struct err *err)
{
    const char *why = reason == EADDRINUSE ? "the address is in use; choose another with --listen"
                      : reason == EACCES   ? "ports below 1024 need privileges; choose another with --listen"
                      : reason == EADDRNOTAVAIL
                          ? "this machine has no such address; choose another with --listen"
                          : strerror(reason);
    return err_set(err, ERR_CONFIG, "listen", "Cannot listen on %s: %s", listen_on, why);
}

/* The first address that can be bound; -1 with errno of the last that could not. */
static int bind_first(const struct addrinfo *list)
{
    int one = 1, reason = EADDRNOTAVAIL;
    for (const struct addrinfo *ai = list; ai; ai = ai->ai_next) {
        int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            reason = errno;
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one); /* past TIME_WAIT of the last run */
        if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
            return fd;
        reason = errno;
        close(fd);
    }
    errno = reason;
    return -1;
}

static int bound_port(int fd)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &len))
        return 0;
    return ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                             : ((struct sockaddr_in *)&bound)->sin_port);
}

enum err_code listen_open(int *fd, char **url, const char *listen_on, struct err *err)
{
    struct address at;
    enum err_code code = address_parse(&at, listen_on, err);
    if (code)
        return code;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *list;
    int rc = getaddrinfo(at.host, at.port, &hints, &list);
    if (rc)
        return err_set(err, ERR_CONFIG, "listen", "Cannot listen on %s: %s", listen_on, gai_strerror(rc));
    *fd = bind_first(list);
    int reason = errno;
    freeaddrinfo(list);
    if (*fd < 0)
        return refuse(listen_on, reason, err);
    struct buf text = { 0 };
    buf_printf(&text, at.v6 ? "http://[%s]:%d" : "http://%s:%d", at.host, bound_port(*fd));
    *url = buf_take(&text);
    return ERR_OK;
}
