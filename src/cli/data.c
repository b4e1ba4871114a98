/*
 * data.c - the server's directory: made if it is missing, and held by one server at a time.
 *
 * The lock is flock(2) on a file inside, so it ends with the process however that ends. The file stays behind:
 * removing it would let a second server lock a name that the first has already lost.
 */
#include "cli/cli_impl.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME "thinkd.lock"

static enum err_code fail(struct err *err, const char *what, const char *path)
{
    return err_set(err, ERR_CONFIG, "data", "--data: cannot %s '%.200s': %s.", what, path, strerror(errno));
}

static enum err_code make_directory(const char *path, struct err *err)
{
    struct stat st;
    if (mkdir(path, 0700) && errno != EEXIST)
        return fail(err, "make the directory", path);
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

enum err_code data_open(int *lock, const char *path, struct err *err)
{
    *lock = -1;
    enum err_code code = make_directory(path, err);
    if (code)
        return code;
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
