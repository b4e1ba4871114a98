/*
 * sandbox.c - runs a program of others on bytes of others: its input in, its output out, and nothing else.
 *
 * The child is made by posix_spawn, which shares the parent's memory until the exec: a fork would mark every page of the
 * keys and values as shared, and the engine would pay for it with a fault a page. What cannot be said to posix_spawn is
 * said by small programs in front of the real one, each of which gives something up and then becomes the next:
 *
 *     bwrap ...    namespaces of its own (no network, no processes but its own), /usr and libraries read-only,
 *                  nothing else of the disk; where it does not work, setpriv: no new privileges, dies with the
 *                  thread that waits for it, and is nobody where the server is root
 *     prlimit ...  seconds of CPU, bytes of address space, no file longer than 0 bytes, few descriptors
 *
 * Which of the wrappers works is found out once by running `true` in each, because the presence of bwrap says
 * nothing about whether the kernel lets it make namespaces. There is no shell, the environment is two variables,
 * descriptors above 2 are closed, the session is its own.
 *
 * Input is a sealed memory file rather than a pipe: it needs no second direction to be served while the output is read,
 * and a child that does not read it cannot hold us up. Output is a pipe that is read up to its bound.
 *
 * Nothing outlives the call. The group is killed before its leader is reaped, so the number cannot be another's, and then
 * its members are waited for, because a killed process dies a moment later. What is in a namespace is not in the group:
 * bwrap dies, its child dies with it (--die-with-parent), and the kernel ends that child, the first of its namespace,
 * only after all others in it; so bwrap tells its number (--info-fd) and its end is waited for.
 *
 * Threads: any that may wait. State: the wrapper that works, chosen once under pthread_once.
 */
#include "media/media_impl.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ADDRESS_SPACE_MAX (1 * GIB)
#define ARGS_MAX          96
#define PROBE_MS          5000
#define INFO_FILENO       3
#define GONE_MS           2000 /* for killed processes to be gone */

/* --- what stands in front ------------------------------------------------------------------------------- */

/* clang-format off */
static const char *const in_bwrap[] = {
    "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--info-fd", "3",
    "--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "LC_ALL", "C.UTF-8",
    "--ro-bind", "/usr", "/usr", "--ro-bind-try", "/bin", "/bin",
    "--ro-bind-try", "/lib", "/lib", "--ro-bind-try", "/lib64", "/lib64",
    "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--ro-bind-try", "/etc/fonts", "/etc/fonts",
    "--chdir", "/", NULL
};
/* clang-format on */
static const char *const as_nobody[] = { "setpriv", "--no-new-privs", "--pdeathsig",
                                         "KILL",    "--reuid",        "65534",
                                         "--regid", "65534",          "--clear-groups",
                                         NULL };
static const char *const as_we_are[] = { "setpriv", "--no-new-privs", "--pdeathsig", "KILL", NULL };

static const struct wrapper {
    const char *name;
    const char *const *args; /* [0] is looked for in PATH */
    bool bwrap; /* takes --ro-bind for what is not in /usr, and tells its child on descriptor 3 */
    bool root;  /* for a server that runs as root */
} wrappers[] = {
    { "bwrap", in_bwrap, true, false },
    { "setpriv-nobody", as_nobody, false, true },
    { "setpriv", as_we_are, false, false },
};

/* An executable by its name in PATH, as an absolute path without links: the arena's, or NULL. */
static const char *find_program(const char *name, struct arena *arena)
{
    const char *path = getenv("PATH");
    for (struct str rest = str_from(path ? path : "/usr/bin:/bin"); rest.len;) {
        size_t end = str_find(rest, STR(":"));
        struct str dir = str_slice(rest, 0, end);
        char real[PATH_MAX];
        const char *file = arena_printf(arena, "%.*s/%s", STR_ARG(dir), name);
        if (dir.len && dir.ptr[0] == '/' && access(file, X_OK) == 0 && realpath(file, real))
            return arena_strdup(arena, real);
        rest = str_slice(rest, end == SIZE_MAX ? rest.len : end + 1, rest.len);
    }
    return NULL;
}

struct args {
    const char *items[ARGS_MAX + 1]; /* NULL-terminated */
    size_t n;
};

static void add(struct args *a, const char *arg)
{
    assert(a->n < ARGS_MAX);
    a->items[a->n++] = arg;
}

static void add_limits(struct args *a, const char *prlimit, int64_t timeout_ms, struct arena *arena)
{
    add(a, prlimit);
    add(a, arena_printf(arena, "--cpu=%lld", (long long)(timeout_ms / 1000 + 1)));
    add(a, arena_printf(arena, "--as=%zu", ADDRESS_SPACE_MAX));
    add(a, "--fsize=0");
    add(a, "--core=0");
    add(a, "--nofile=64");
    add(a, "--");
}

/* The whole line. Gives the name of what is not installed, or NULL. */
static const char *build(struct args *a, const struct wrapper *w, const struct sandbox_run *run,
                         struct arena *arena)
{
    const char *program = find_program(run->program, arena), *prlimit = find_program("prlimit", arena);
    const char *first = find_program(w->args[0], arena);
    if (!program || !prlimit || !first)
        return !program ? run->program : !first ? w->args[0] : "prlimit";
    add(a, first);
    for (size_t i = 1; w->args[i]; i++)
        add(a, w->args[i]);
    if (w->bwrap && !str_starts(str_from(program), STR("/usr/"))) {
        add(a, "--ro-bind");
        add(a, program);
        add(a, program);
    }
    add(a, "--");
    add_limits(a, prlimit, run->timeout_ms, arena);
    add(a, program);
    for (size_t i = 0; run->args[i]; i++)
        add(a, run->args[i]);
    return NULL;
}

/* --- one process ---------------------------------------------------------------------------------------- */

struct child {
    pid_t pid;       /* also its group and session */
    int exited, out; /* descriptors: readable at its end, and its output */
    int inside;      /* bwrap: readable at the end of all that is in its namespace */
};

static int input_file(struct str bytes)
{
    int fd = memfd_create("thinkd-input", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    while (fd >= 0 && bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno != EINTR) {
            close(fd);
            return -1;
        }
        bytes = str_slice(bytes, n < 0 ? 0 : (size_t)n, bytes.len);
    }
    if (fd >= 0) {
        lseek(fd, 0, SEEK_SET);
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    }
    return fd;
}

static int spawn(pid_t *pid, const char *const *argv, int in, int out, int info)
{
    static char *const env[] = { "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none); /* our threads have all signals blocked; a program expects none to be */
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (info >= 0)
        posix_spawn_file_actions_adddup2(&files, info, INFO_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&files, info >= 0 ? INFO_FILENO + 1 : INFO_FILENO);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    int why = posix_spawn(pid, argv[0], &files, &attr, (char *const *)(uintptr_t)argv, env);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return why;
}

/* bwrap writes {"child-pid": N} and closes; it also closes by dying. */
static int read_inside(int info)
{
    char text[256];
    size_t len = 0;
    for (ssize_t n; len < sizeof text - 1; len += (size_t)n)
        if ((n = read(info, text + len, sizeof text - 1 - len)) <= 0)
            break;
    text[len] = '\0';
    const char *at = strstr(text, "\"child-pid\":");
    long pid = at ? strtol(at + strlen("\"child-pid\":"), NULL, 10) : 0;
    return pid > 0 ? pidfd_open((pid_t)pid, 0) : -1;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static bool child_start(struct child *c, const char *const *argv, bool bwrap, struct str input)
{
    int out[2] = { -1, -1 }, info[2] = { -1, -1 }, in = input_file(input);
    *c = (struct child){ .exited = -1, .out = -1, .inside = -1 };
    bool ok = in >= 0 && pipe2(out, O_CLOEXEC) == 0 && (!bwrap || pipe2(info, O_CLOEXEC) == 0) &&
              spawn(&c->pid, argv, in, out[1], info[1]) == 0;
    close_fd(in);
    close_fd(out[1]);
    close_fd(info[1]);
    if (ok)
        c->exited = pidfd_open(c->pid, 0);
    if (ok && bwrap)
        c->inside = read_inside(info[0]);
    close_fd(info[0]);
    c->out = out[0];
    return ok;
}

/* False at the end of the output; *too_long when there is more than may be. */
static bool read_some(int fd, struct buf *output, size_t output_max, bool *too_long)
{
    char chunk[16 * 1024];
    ssize_t n = read(fd, chunk, sizeof chunk);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    *too_long = (size_t)n > output_max - output->len;
    if (!*too_long)
        buf_put(output, chunk, (size_t)n);
    return true;
}

/* Until the output has ended and the process too, whichever comes last. */
static enum sandbox_end child_watch(const struct child *c, const struct sandbox_run *run, struct buf *output)
{
    int64_t until = clock_mono_ms() + run->timeout_ms;
    struct pollfd fds[] = { { .fd = c->out, .events = POLLIN }, { .fd = c->exited, .events = POLLIN } };
    bool too_long = false;
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        int64_t left = until - clock_mono_ms();
        if (left <= 0)
            return SANDBOX_TIMEOUT;
        if (poll(fds, ARRAY_LEN(fds), left < INT_MAX ? (int)left : INT_MAX) < 0) {
            assert(errno == EINTR);
            continue;
        }
        if (fds[0].revents && !read_some(c->out, output, run->output_max, &too_long))
            fds[0].fd = -1; /* poll leaves negative ones alone */
        if (fds[1].revents)
            fds[1].fd = -1;
        if (too_long)
            return SANDBOX_TOO_LONG;
    }
    return SANDBOX_EXITED;
}

/* Killed is not yet gone. Members of the group are waited for by asking, because nothing tells of them. */
static void wait_for_all(const struct child *c)
{
    int64_t until = clock_mono_ms() + GONE_MS;
    struct pollfd inside = { .fd = c->inside, .events = POLLIN };
    bool gone = c->inside < 0;
    while (!gone && clock_mono_ms() < until)
        gone = poll(&inside, 1, GONE_MS) > 0;
    while (kill(-c->pid, 0) == 0 && clock_mono_ms() < until)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    if (!gone || clock_mono_ms() >= until)
        log_line(LOG_WARN, "media", "a killed process is still there pid=%ld", (long)c->pid);
}

/* Kills what is left of it and reaps it; gives its exit status, or 128 and the signal's number. */
static int child_end(struct child *c)
{
    int status;
    kill(-c->pid, SIGKILL);
    while (waitpid(c->pid, &status, 0) < 0)
        assert(errno == EINTR);
    wait_for_all(c);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static struct sandbox_result filter(const struct wrapper *w, const struct sandbox_run *run,
                                    struct buf *output)
{
    struct arena arena = { 0 };
    struct args args = { 0 };
    struct child child;
    struct sandbox_result result = { .end = SANDBOX_MISSING };
    result.missing = build(&args, w, run, &arena);
    if (result.missing) {
        arena_free(&arena);
        return result;
    }
    result.end = SANDBOX_FAILED;
    if (child_start(&child, args.items, w->bwrap, run->input)) {
        if (child.exited >= 0)
            result.end = child_watch(&child, run, output);
        result.status = child_end(&child);
    }
    close_fd(child.exited);
    close_fd(child.out);
    close_fd(child.inside);
    arena_free(&arena);
    return result;
}

/* --- which wrapper -------------------------------------------------------------------------------------- */

static pthread_once_t chosen_once = PTHREAD_ONCE_INIT;
static const struct wrapper *chosen; /* NULL: none works */

static bool works(const struct wrapper *w)
{
    static const char *const no_args[] = { NULL };
    const struct sandbox_run run = { .program = "true", .args = no_args, .timeout_ms = PROBE_MS };
    struct buf output = { 0 };
    struct sandbox_result result = filter(w, &run, &output);
    buf_free(&output);
    return result.end == SANDBOX_EXITED && result.status == 0;
}

static void choose(void)
{
    for (size_t i = 0; i < ARRAY_LEN(wrappers) && !chosen; i++)
        if ((!wrappers[i].root || geteuid() == 0) && works(&wrappers[i]))
            chosen = &wrappers[i];
    if (chosen == &wrappers[0])
        log_line(LOG_INFO, "media", "documents are read in a sandbox kind=%s", chosen->name);
    else if (chosen)
        log_line(LOG_WARN, "media",
                 "bwrap does not work here, so documents are read in a process with limits alone; install "
                 "bubblewrap "
                 "kind=%s",
                 chosen->name);
}

struct sandbox_result sandbox_filter(const struct sandbox_run *run, struct buf *output)
{
    struct arena arena = { 0 };
    bool there = find_program(run->program, &arena) != NULL;
    arena_free(&arena);
    if (!there)
        return (struct sandbox_result){ .end = SANDBOX_MISSING, .missing = run->program };
    pthread_once(&chosen_once, choose);
    if (!chosen)
        return (struct sandbox_result){ .end = SANDBOX_MISSING, .missing = "setpriv" };
    return filter(chosen, run, output);
}
