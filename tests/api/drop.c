/*
 * drop.c - json_read as the contract's program has it: a document loses one field before anybody looks at it.
 *
 * The program of the contract is the ordinary one, object for object, linked with this file and the linker's --wrap, so that
 * calls of json_read come here. The file that CONTRACT_DROP names holds the field's path, as errors write it
 * ("input[0].content[0].text"); an empty one, and no such field in the document, change nothing. It is read each time, so one
 * server serves a whole table of fields.
 *
 * Threads: any; no state.
 */
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_BYTES 512

enum err_code __real_json_read(json_t **out, struct str text, struct err *err);
enum err_code __wrap_json_read(json_t **out, struct str text, struct err *err);

/* The next step of a path: a name, or an index in brackets. */
static json_t *step(json_t *at, char **path)
{
    char *from = *path + (**path == '.');
    if (*from == '[')
        return json_array_get(at, strtoul(from + 1, path, 10)); /* leaves *path at the bracket */
    size_t len = strcspn(from, ".[");
    *path = from + len;
    return json_object_getn(at, from, len);
}

static void drop(json_t *doc, char *path)
{
    char *last = strrchr(path, '.');
    const char *name = last ? last + 1 : path;
    char *at = path;
    if (last)
        *last = '\0';
    while (last && *at) {
        doc = step(doc, &at);
        at += *at == ']';
    }
    if (json_is_object(doc))
        json_object_del(doc, name);
}

enum err_code __wrap_json_read(json_t **out, struct str text, struct err *err)
{
    char path[PATH_MAX_BYTES] = "";
    const char *from = getenv("CONTRACT_DROP");
    enum err_code code = __real_json_read(out, text, err);
    FILE *f = from ? fopen(from, "r") : NULL;
    if (f && !code && fgets(path, sizeof path, f))
        drop(*out, path);
    if (f)
        fclose(f);
    return code;
}
