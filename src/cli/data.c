/*
 * data.c - the directory of what is kept: found, made if it is missing, and held by one server at a time.
 *
 * Where --data says nothing it is the place that the XDG base directory specification gives a user's data, so that a
 * first `thinkd serve` keeps its responses without being told where. ":memory:" is no directory: nothing is kept.
 * Other commands open the store beside a running server; the lock is between servers.
 *
 * The lock is flock(2) on a file inside, so it ends with the process however that ends. The file stays behind:
 * removing it would let a second server lock a name that the first has already lost.
 */
#include "cli/cli_impl.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME "thinkd.lock"

static enum err_code fail(struct err *err, const char *what, const char *path)
{
    return err_set(err, ERR_CONFIG, "data", "--data: cannot %s '%.200s': %s.", what, path, strerror(errno));
}

bool data_in_memory(const struct config *cfg)
{
    return cfg->data && strcmp(cfg->data, ":memory:") == 0;
}

/* A relative XDG_DATA_HOME counts as none: the specification says so, and it would move with the caller. */
static enum err_code default_path(struct buf *out, struct err *err)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (data && data[0] == '/')
        buf_printf(out, "%s/thinkd", data);
    else if (home && home[0] == '/')
        buf_printf(out, "%s/.local/share/thinkd", home);
    else
        return err_set(err, ERR_CONFIG, "data",
                       "--data: neither XDG_DATA_HOME nor HOME says where to keep data. Name a directory, or "
                       "':memory:' to keep nothing.");
    return ERR_OK;
}

enum err_code data_path(struct buf *out, const struct config *cfg, const char *name, struct err *err)
{
    assert(!data_in_memory(cfg));
    enum err_code code = ERR_OK;
    buf_clear(out);
    if (cfg->data)
        buf_puts(out, cfg->data);
    else
        code = default_path(out, err);
    if (!code && name)
        buf_printf(out, "/%s", name);
    return code;
}

/* What is missing of a path, from the top; whether it is a directory shows when it is looked at. */
static enum err_code make_path(const char *path, struct err *err)
{
    enum err_code code = ERR_OK;
    char *part = mem_strdup(path);
    for (char *at = part + 1; !code; at++) {
        if (*at && *at != '/')
            continue;
        char end = *at;
        *at = '\0';
        if (mkdir(part, 0700) && errno != EEXIST)
            code = fail(err, "make the directory", part);
        *at = end;
        if (!end)
            break;
    }
    mem_free(part);
    return code;
}

static enum err_code make_directory(const char *path, struct err *err)
{
    struct stat st;
    enum err_code code = make_path(path, err);
    if (code)
        return code;
    if (stat(path, &st))
        return fail(err, "look at", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_CONFIG, "data", "--data: '%.200s' is not a directory.", path);
    if (st.st_mode & 0077)
        log_line(LOG_WARN, "serve", "data directory is open to others path=%s mode=%04o", path,
                 (unsigned)(st.st_mode & 07777));
    return ERR_OK;
}

static enum err_code in_use(int fd, const char *path, struct err *err)
{
    char holder[24] = "";
    ssize_t n = pread(fd, holder, sizeof holder - 1, 0);
    size_t len = n > 0 ? strspn(holder, "0123456789") : 0;
    return err_set(err, ERR_CONFIG, "data", "--data: '%.200s' is in use by another thinkd%s%.*s.", path,
                   len ? ", process " : "", (int)len, holder);
}

static enum err_code hold(int *lock, const char *path, struct err *err)
{
    enum err_code code = ERR_OK;
    struct buf name = { 0 };
    buf_printf(&name, "%s/%s", path, LOCK_NAME);
    int fd = open(name.ptr, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        code = fail(err, "write", name.ptr);
    else if (flock(fd, LOCK_EX | LOCK_NB))
        code = errno == EWOULDBLOCK ? in_use(fd, path, err) : fail(err, "lock", name.ptr);
    else if (ftruncate(fd, 0) || dprintf(fd, "%ld\n", (long)getpid()) < 0) /* for the message above */
        code = fail(err, "write", name.ptr);
    buf_free(&name);
    if (code && fd >= 0)
        close(fd);
    else
        *lock = fd;
    return code;
}

enum err_code data_open(int *lock, const struct config *cfg, bool held, struct err *err)
{
    struct buf path = { 0 };
    *lock = -1;
    if (data_in_memory(cfg))
        return ERR_OK;
    enum err_code code = data_path(&path, cfg, NULL, err);
    if (!code)
        code = make_directory(path.ptr, err);
    if (!code && held)
        code = hold(lock, path.ptr, err);
    if (!code && held)
        log_line(LOG_INFO, "serve", "keeping data path=%s", path.ptr);
    buf_free(&path);
    return code;
}

enum err_code data_store(struct store **out, const struct config *cfg, bool beside, struct err *err)
{
    struct buf path = { 0 };
    char host[65] = "", node[96];
    bool memory = data_in_memory(cfg);
    enum err_code code = memory ? ERR_OK : data_path(&path, cfg, DATA_STORE, err);
    if (code)
        return code;
    gethostname(host, sizeof host - 1);
    snprintf(node, sizeof node, "%s:%ld", host, (long)getpid());
    const struct store_config store = { .path = memory ? NULL : path.ptr, .node = node };
    code = beside ? store_open_beside(out, &store, err) : store_open(out, &store, err);
    if (code) /* what is wrong with the file is for the option that led to it */
        code = err_set(err, ERR_CONFIG, "data", "--data: %s", err->message);
    buf_free(&path);
    return code;
}
