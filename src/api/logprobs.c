/*
 * logprobs.c - tokens with their log-probabilities, in the two shapes that the API has for them.
 *
 * Chat and Responses list an object a token; completions have four arrays side by side. Which tokens are listed is
 * decided in job/tokens.c. A token is named by its text where that is valid UTF-8; one that holds a part of a character
 * is named "bytes:\xe4\xbd", as the API did for its byte tokens, so that no name is half a character and no two bytes
 * share one.
 *
 * Threads: the conductor's.
 */
#include "api/api_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOGPROB_MIN (-9999.0f) /* the API's stand-in for the logarithm of nothing */
#define RESYNC_MAX  32         /* bytes of a prompt that a token may have lost or changed in tokenising */

/* The shortest form that is the same float again. */
void put_logprob(struct json_writer *w, float logprob)
{
    char text[32];
    if (isnan(logprob)) {
        jw_null(w);
        return;
    }
    if (isinf(logprob))
        logprob = LOGPROB_MIN;
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)logprob);
        if (strtof(text, NULL) == logprob)
            break;
    }
    jw_raw(w, str_from(text));
}

static struct str bytes_of(const struct turn *t, int32_t id)
{
    return engine_token_text(conductor_engine(t->api->conductor), id);
}

static void name_token(struct buf *out, const struct turn *t, int32_t id)
{
    struct str bytes = bytes_of(t, id);
    if (t->completions && t->completions->tokens_as_ids) {
        buf_printf(out, "token_id:%d", (int)id);
    } else if (utf8_valid(bytes)) {
        buf_put_str(out, bytes);
    } else {
        buf_puts(out, "bytes:");
        for (size_t i = 0; i < bytes.len; i++)
            buf_printf(out, "\\x%02x", (unsigned char)bytes.ptr[i]);
    }
}

static void put_name(struct json_writer *w, const struct turn *t, int32_t id)
{
    struct buf name = { 0 };
    name_token(&name, t, id);
    jw_string(w, buf_str(&name));
    buf_free(&name);
}

/* --- chat and Responses ------------------------------------------------------------------------------------ */

/* Leaves the object open. */
static void begin_token(struct json_writer *w, const struct turn *t, int32_t id, float logprob)
{
    struct str bytes = bytes_of(t, id);
    jw_begin_object(w);
    jw_key(w, "token");
    put_name(w, t, id);
    jw_key(w, "logprob");
    put_logprob(w, logprob);
    jw_key(w, "bytes");
    jw_begin_array(w);
    for (size_t i = 0; i < bytes.len; i++)
        jw_int(w, (unsigned char)bytes.ptr[i]);
    jw_end_array(w);
}

void put_token_list(struct json_writer *w, const struct turn *t, const struct job_view *job, size_t choice,
                    size_t first, size_t n)
{
    const struct job_choice *c = &job->choices[choice];
    jw_begin_array(w);
    for (size_t i = first; i < first + n; i++) {
        const struct job_token *token = &c->tokens[i];
        begin_token(w, t, token->id, token->logprob);
        jw_key(w, "top_logprobs");
        jw_begin_array(w);
        for (int k = 0; k < token->n_top; k++) {
            const struct job_alternative *top = &c->alternatives[i * (size_t)job->top_logprobs + (size_t)k];
            begin_token(w, t, top->id, top->logprob);
            jw_end_object(w);
        }
        jw_end_array(w);
        jw_end_object(w);
    }
    jw_end_array(w);
}

/* --- completions -------------------------------------------------------------------------------------------- */

static bool continues(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* Walks to byte at; the offset of the character that it belongs to. */
static int64_t walk(struct text_place *p, struct str text, size_t at)
{
    for (; p->byte < at && p->byte < text.len; p->byte++)
        p->chars += !continues(text.ptr[p->byte]);
    bool inside = p->byte < text.len && continues(text.ptr[p->byte]);
    return p->chars - (inside && p->chars > 0);
}

/* Tokens of a prompt are found in its text one behind the other. One that is not there, such as the token that begins
 * every text, stands where the next one does. */
static int64_t walk_prompt(struct text_place *p, struct str text, struct str token)
{
    size_t skipped = str_find(str_slice(text, p->byte, p->byte + token.len + RESYNC_MAX), token);
    if (skipped == SIZE_MAX)
        return walk(p, text, p->byte);
    int64_t offset = walk(p, text, p->byte + skipped);
    walk(p, text, p->byte + token.len);
    return offset;
}

static void put_offsets(struct json_writer *w, const struct token_table *table)
{
    const struct job_choice *c = &table->job->choices[table->choice];
    struct str text = choice_text(table->job, table->choice);
    jw_key(w, "text_offset");
    jw_begin_array(w);
    for (size_t i = table->first; i < table->first + table->n; i++) {
        if (i < c->n_prompt_tokens) {
            jw_int(w, walk_prompt(table->in_prompt, table->prompt, bytes_of(table->turn, c->tokens[i].id)));
            continue;
        }
        walk(table->in_prompt, table->prompt, table->prompt.len);
        jw_int(w, table->in_prompt->chars + walk(table->in_text, text, c->tokens[i].at));
    }
    jw_end_array(w);
}

/* Names are keys of one object: of two tokens with one name the likelier is shown. seen holds those that are there, each
 * between NULs, which a key cannot hold. */
static void put_alternative(struct json_writer *w, const struct turn *t, struct buf *seen, int32_t id,
                            float logprob)
{
    struct buf name = { 0 };
    buf_putc(&name, '\0');
    name_token(&name, t, id);
    buf_putc(&name, '\0');
    const char *key = name.ptr + 1;
    struct str between = { name.ptr, strlen(key) + 2 };
    if (str_find(buf_str(seen), between) == SIZE_MAX) {
        jw_key(w, key);
        put_logprob(w, logprob);
        buf_put_str(seen, between);
    }
    buf_free(&name);
}

/* The alternatives, and the token itself where it is not one of them; null for the first of a prompt, which nothing
 * predicted. */
static void put_alternatives(struct json_writer *w, const struct token_table *table, size_t i)
{
    const struct job_choice *c = &table->job->choices[table->choice];
    const struct job_token *token = &c->tokens[i];
    struct buf seen = { 0 };
    if (isnan(token->logprob)) {
        jw_null(w);
        return;
    }
    jw_begin_object(w);
    for (int k = 0; k < token->n_top; k++) {
        const struct job_alternative *top =
            &c->alternatives[i * (size_t)table->job->top_logprobs + (size_t)k];
        put_alternative(w, table->turn, &seen, top->id, top->logprob);
    }
    put_alternative(w, table->turn, &seen, token->id, token->logprob);
    jw_end_object(w);
    buf_free(&seen);
}

void put_token_table(struct json_writer *w, const struct token_table *table)
{
    const struct job_choice *c = &table->job->choices[table->choice];
    size_t end = table->first + table->n;
    jw_begin_object(w);
    jw_key(w, "tokens");
    jw_begin_array(w);
    for (size_t i = table->first; i < end; i++)
        put_name(w, table->turn, c->tokens[i].id);
    jw_end_array(w);
    jw_key(w, "token_logprobs");
    jw_begin_array(w);
    for (size_t i = table->first; i < end; i++)
        put_logprob(w, c->tokens[i].logprob);
    jw_end_array(w);
    jw_key(w, "top_logprobs");
    jw_begin_array(w);
    for (size_t i = table->first; i < end; i++)
        put_alternatives(w, table, i);
    jw_end_array(w);
    put_offsets(w, table);
    jw_end_object(w);
}
