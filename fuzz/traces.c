/*
 * traces.c - any bytes as the record of an exam: figures that can be, or one message in UTF-8 that says why not.
 */
#include "exam/exam.h"

#include <assert.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct exam_replay *r)
{
    struct buf out = { 0 };
    assert(r->rows_len > 0 && r->items > 0);
    for (size_t i = 0; i < r->rows_len; i++) {
        const struct exam_replay_row *row = &r->rows[i];
        assert(row->accuracy >= 0 && row->accuracy <= 1 && row->tokens >= 0 && row->lines >= 1);
        assert(row->interval.low <= row->interval.high);
    }
    exam_replay_table(r, &out);
    exam_replay_json(r, &out);
    exam_replay_csv(r, &out);
    exam_replay_svg(r, &out);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct exam_replay r;
    struct err err = { 0 };
    int fd = memfd_create("traces", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (exam_replay(&r, &(struct exam_replay_config){ .path = path, .seed = 1 }, &err) == ERR_OK)
        check(&r);
    else
        assert(err.message[0] && utf8_valid(str_from(err.message)));
    exam_replay_free(&r);
    close(fd);
    return 0;
}
