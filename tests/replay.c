/*
 * replay.c - an ordinary main for a fuzz target: each file of the corpus once, as `make test` runs them.
 *
 *   replay/NAME PATH...    files, or directories whose files are taken in order of name
 *
 * The bytes are copied to a block of their exact size, so that a read past the end is one for the address sanitizer
 * too. An empty or missing corpus is an error: a target that was never run must not look like one that passed.
 */
#include "base/buf.h"
#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What libFuzzer asks of a target; it returns 0 and never keeps the pointer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_BYTES_MAX ((size_t)64 << 20)

static int replay_file(const char *path)
{
    struct buf b = { 0 };
    struct err err;
    if (file_read(&b, path, INPUT_BYTES_MAX, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return -1;
    }
    uint8_t *exact = mem_alloc(b.len ? b.len : 1);
    if (b.len)
        memcpy(exact, b.ptr, b.len);
    LLVMFuzzerTestOneInput(exact, b.len);
    mem_free(exact);
    buf_free(&b);
    return 1;
}

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* How many inputs ran; -1 when one could not be read. */
static int replay_path(const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, visible, alphasort);
    if (n < 0)
        return replay_file(path);
    int ran = 0;
    for (int i = 0; i < n; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        int one = ran < 0 ? -1 : replay_file(file);
        ran = one < 0 ? -1 : ran + one;
        free(entries[i]);
    }
    free(entries);
    return ran;
}

int main(int argc, char **argv)
{
    int ran = 0;
    for (int i = 1; i < argc && ran >= 0; i++) {
        int some = replay_path(argv[i]);
        ran = some < 0 ? -1 : ran + some;
    }
    if (ran == 0)
        fprintf(stderr, "no input to replay\n");
    if (ran > 0)
        printf("%d inputs replayed\n", ran);
    return ran > 0 ? 0 : 1;
}
