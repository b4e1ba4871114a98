/*
 * hostile.c - what one JSON Schema costs to compile, whether it is accepted or refused.
 *
 *     hostile < SCHEMA.JSON
 *
 * Prints one line of JSON: the least CPU time of three compiles, how much the resident memory of the process grew at
 * its highest in the first, and what was said. The document is read before; strict is false, which demands more work.
 */
#include "grammar/grammar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUNS 3

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Not getrusage's, which counts what the parent had before exec. */
static long highest_kib(void)
{
    char line[256];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    if (f)
        fclose(f);
    return kib;
}

static enum err_code compile(const json_t *schema, struct err *err, double *ms)
{
    struct grammar *g;
    json_t *omitted;
    struct schema_options o = { .path = "schema" };
    double start = now_ms();
    enum err_code code = grammar_open_schema(&g, schema, &o, &omitted, err);
    *ms = now_ms() - start;
    grammar_unref(g);
    json_decref(omitted);
    return code;
}

int main(void)
{
    json_error_t why;
    json_t *schema = json_loadf(stdin, JSON_DECODE_ANY, &why);
    if (!schema) {
        fprintf(stderr, "hostile: %s\n", why.text);
        return EXIT_FAILURE;
    }
    struct err err = { 0 };
    double least = 0, ms;
    long before = highest_kib(), grown = 0;
    enum err_code code = ERR_OK;
    for (int i = 0; i < RUNS; i++) {
        code = compile(schema, &err, &ms);
        grown = i ? grown : highest_kib() - before;
        least = i && least < ms ? least : ms;
    }
    json_t *line = json_pack("{s:f, s:f, s:s}", "ms", least, "mib", (double)grown / 1024, "said",
                             code ? err.message : "");
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(line);
    json_decref(schema);
    return EXIT_SUCCESS;
}
