/*
 * file.c - open, map, read and replace files.
 *
 * Descriptors are close-on-exec and never outlive the call; a map does not need its descriptor. Replacing syncs
 * the new file before the rename, so that a crash leaves one of the two and not an empty name.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err_code fail(struct err *err, const char *verb, const char *path)
{
    return err_set(err, ERR_FILE, NULL, "Cannot %s '%s': %s.", verb, path, strerror(errno));
}

enum err_code file_map(struct file_map *map, const char *path, struct err *err)
{
    *map = (struct file_map){ 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, "open", path);
    struct stat st;
    enum err_code code = ERR_OK;
    if (fstat(fd, &st))
        code = fail(err, "stat", path);
    else if (!S_ISREG(st.st_mode))
        code = err_set(err, ERR_FILE, NULL, "'%s' is not a regular file.", path);
    else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            code = fail(err, "map", path);
        else
            *map = (struct file_map){ p, (size_t)st.st_size };
    }
    close(fd);
    return code;
}

void file_unmap(struct file_map *map)
{
    if (map->ptr)
        munmap((void *)(uintptr_t)map->ptr, map->len);
    *map = (struct file_map){ 0 };
}

enum err_code file_read(struct buf *out, const char *path, size_t bytes_max, struct err *err)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, "open", path);
    enum err_code code = ERR_OK;
    char chunk[16 * 1024];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            code = fail(err, "read", path);
        else if ((size_t)n > bytes_max - out->len)
            code = err_set(err, ERR_FILE, NULL, "'%s' is longer than %zu bytes.", path, bytes_max);
        if (code || n == 0)
            break;
        buf_put(out, chunk, (size_t)n);
    }
    if (!standard)
        close(fd);
    return code;
}

static enum err_code write_all(int fd, struct str bytes, const char *path, struct err *err)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, "write", path);
        bytes = str_slice(bytes, (size_t)n, bytes.len);
    }
    return fsync(fd) ? fail(err, "sync", path) : ERR_OK;
}

enum err_code file_write(const char *path, struct str bytes, struct err *err)
{
    struct buf beside = { 0 };
    buf_printf(&beside, "%s.%ld.part", path, (long)getpid());
    int fd = open(beside.ptr, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    enum err_code code = fd < 0 ? fail(err, "create", beside.ptr) : write_all(fd, bytes, beside.ptr, err);
    if (fd >= 0)
        close(fd);
    if (!code && rename(beside.ptr, path))
        code = fail(err, "rename to", path);
    if (code && fd >= 0)
        unlink(beside.ptr);
    buf_free(&beside);
    return code;
}
