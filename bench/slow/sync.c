/*
 * sync.c - a disk that is slow, for bench/api --sync-us: loaded before the C library, it lets each sync take longer.
 *
 * SLOW_SYNC_US microseconds more than the disk takes, and ten times as much each SLOW_EACH-th time: what stands still
 * is what piles up, and a steady delay lets nothing pile up.
 *
 * Threads: any.
 */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SLOW_EACH 16

static int slowly(const char *name, int fd)
{
    static atomic_uint calls;
    int (*sync)(int);
    const char *set = getenv("SLOW_SYNC_US");
    long us = set ? atol(set) : 0;
    if (++calls % SLOW_EACH == 0)
        us *= 10;
    struct timespec wait = { us / 1000000, us % 1000000 * 1000 };
    nanosleep(&wait, NULL);
    *(void **)&sync = dlsym(RTLD_NEXT, name);
    return sync(fd);
}

int fdatasync(int fd)
{
    return slowly("fdatasync", fd);
}

int fsync(int fd)
{
    return slowly("fsync", fd);
}
