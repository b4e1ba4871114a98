/*
 * store.c - what a store accepts: jobs inserted by concurrent submitters, beside the disk's own rate of syncs.
 *
 *     store [DIRECTORY] [SECONDS]
 *
 * A row is one submitter count: each submitter has one transaction under way (a job with a request of 4 KB and its first
 * event) and commits the next when that one is on disk, so the group is at most their number. rows/s counts acknowledged
 * jobs; syncs/s is how often a file in the same directory takes 4 KB by pwrite and fdatasync, before and after the rows,
 * because a virtual disk drifts. Latency is from store_commit to done.
 */
#include "store/store.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mailbox.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROW_BYTES      4096
#define SUBMITTERS_MAX 64
#define SAMPLES_MAX    (1 << 20)

struct submitter {
    struct mailbox *done;
    int64_t sent_ns;
};

static double syncs_a_second(const char *dir, double seconds)
{
    static char row[ROW_BYTES];
    struct buf path = { 0 };
    buf_printf(&path, "%s/bench-sync", dir);
    int fd = open(path.ptr, O_RDWR | O_CREAT | O_TRUNC, 0600);
    int64_t start = clock_mono_ns(), n = 0;
    while (fd >= 0 && (double)(clock_mono_ns() - start) < seconds * 1e9) {
        if (pwrite(fd, row, sizeof row, n * ROW_BYTES) < 0 || fdatasync(fd))
            break;
        n++;
    }
    double rate = (double)n / ((double)(clock_mono_ns() - start) / 1e9);
    if (fd >= 0)
        close(fd);
    unlink(path.ptr);
    buf_free(&path);
    return rate;
}

static void on_done(void *ctx, const struct err *err)
{
    struct submitter *who = ctx;
    if (err->code) {
        fprintf(stderr, "%s\n", err->message);
        exit(1);
    }
    mailbox_push(who->done, &who);
}

static void submit(struct store *store, struct submitter *who, int64_t number)
{
    static char request[ROW_BYTES];
    char id[32];
    snprintf(id, sizeof id, "resp_%016llx",
             (unsigned long long)number * 0x9e3779b97f4a7c15ull); /* like random ids */
    struct store_job job = { .id = str_from(id),
                             .owner = STR("bench"),
                             .background = true,
                             .created_ms = number,
                             .request = { request, sizeof request } };
    struct str event = STR("{\"type\":\"response.queued\",\"sequence_number\":0}");
    struct store_tx *tx = store_tx_open();
    store_tx_insert(tx, &job);
    store_tx_append(tx, job.id, 0, &event, 1, (struct str){ 0 });
    who->sent_ns = clock_mono_ns();
    store_commit(store, tx, on_done, who);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void run(const char *path, int submitters, double seconds)
{
    static double ms[SAMPLES_MAX];
    struct submitter all[SUBMITTERS_MAX], *who;
    struct mailbox *done = mailbox_open(SUBMITTERS_MAX, sizeof who);
    struct store *store;
    struct err err;
    int64_t sent = 0, n = 0;
    if (store_open(&store, &(struct store_config){ path, "bench" }, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    int64_t start = clock_mono_ns();
    for (int i = 0; i < submitters; i++) {
        all[i].done = done;
        submit(store, &all[i], ++sent);
    }
    while (n < sent && mailbox_take(done, &who, -1)) {
        int64_t now = clock_mono_ns();
        ms[n++ % SAMPLES_MAX] = (double)(now - who->sent_ns) / 1e6;
        if ((double)(now - start) < seconds * 1e9)
            submit(store, who, ++sent);
    }
    double took = (double)(clock_mono_ns() - start) / 1e9;
    size_t samples = (size_t)(n < SAMPLES_MAX ? n : SAMPLES_MAX);
    qsort(ms, samples, sizeof *ms, compare);
    printf("%-7s %3d submitters  %8.0f rows/s   p50 %6.2f ms  p99 %6.2f ms  max %6.1f ms\n",
           path ? "file" : "memory", submitters, (double)n / took, ms[samples / 2], ms[samples * 99 / 100],
           ms[samples - 1]);
    store_close(store);
    mailbox_close(done);
}

static void remove_store(const char *path)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", "-lock" };
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        struct buf name = { 0 };
        buf_printf(&name, "%s%s", path, suffixes[i]);
        unlink(name.ptr);
        buf_free(&name);
    }
}

int main(int argc, char **argv)
{
    static const int counts[] = { 1, 16, 64 };
    const char *dir = argc > 1 ? argv[1] : ".";
    double seconds = argc > 2 ? atof(argv[2]) : 3;
    struct buf path = { 0 };
    buf_printf(&path, "%s/bench-store.db", dir);
    printf("pwrite + fdatasync of 4 KB: %.0f/s\n", syncs_a_second(dir, 1));
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        remove_store(path.ptr);
        run(path.ptr, counts[i], seconds);
    }
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        run(NULL, counts[i], seconds / 3);
    printf("pwrite + fdatasync of 4 KB: %.0f/s\n", syncs_a_second(dir, 1));
    remove_store(path.ptr);
    buf_free(&path);
    return 0;
}
