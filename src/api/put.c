/*
 * put.c - a key and its value in one call, for the writers of replies.
 *
 * Threads: no state.
 */
#include "api/api_impl.h"

void put_string(struct json_writer *w, const char *key, struct str value)
{
    jw_key(w, key);
    jw_string(w, value);
}

void put_raw(struct json_writer *w, const char *key, struct str json)
{
    jw_key(w, key);
    jw_raw(w, json);
}

void put_value(struct json_writer *w, const char *key, const json_t *value)
{
    jw_key(w, key);
    jw_value(w, value);
}
