/*
 * local.c - a model in this process as an engine: opening it, prompts, and how its tokens are spelled.
 *
 * Who runs, on what memory, is room.c's; what a step computes is step.c's.
 *
 * Threads: prompts and spelling on any (they read what never changes after open); the rest on the engine's, which is
 * the model's thread too.
 */
#include "base/log.h"
#include "engine/engine_impl.h"

#include <inttypes.h>

#define THINKING_DEFAULT 4096 /* T of a model that does not say */

/* Used where the model's file has no closing sentence of its own. */
static const char closing_default[] =
    "\n\nI have used up the time that I may think, so I answer now with what I have found.\n";

/* --- opening --------------------------------------------------------------------------------------- */

static char *describe(const struct model_info *info)
{
    struct buf b = { 0 };
    buf_printf(&b, "%s, %.1f M parameters, %.1f MB, %s, %s kernels", info->arch,
               (double)info->parameters / 1e6, (double)info->file_bytes / 1e6, info->types, info->isa);
    return buf_take(&b);
}

/* A text that is one token, and nothing else. */
static void put_single(const struct tokenizer *t, struct str text, struct ids *out)
{
    struct ids ids = { 0 };
    struct err err;
    if (!tokenizer_encode(t, text, ENCODE_INSIDE, &ids, &err) && ids.len == 1 &&
        str_eq(tokenizer_bytes(t, ids.ptr[0]), text))
        ids_put(out, ids.ptr[0]);
    ids_free(&ids);
}

/* What a grammar asks of the vocabulary. */
static void find_layout(struct local *l)
{
    const struct tokenizer *t = l->format.tokenizer;
    if (tokenizer_eos(t) >= 0)
        ids_put(&l->ends, tokenizer_eos(t));
    for (size_t i = 0; i < tokenizer_size(t); i++)
        if (tokenizer_ends(t, (int32_t)i) && (int32_t)i != tokenizer_eos(t))
            ids_put(&l->ends, (int32_t)i);
    put_single(t, STR("\n\n"), &l->layout);
    put_single(t, STR("\n"), &l->layout);
}

static void fill_info(struct engine *e, const struct model_info *info)
{
    e->info.model = info->name;
    e->info.description = describe(info);
    e->info.vocabulary = info->n_vocab;
    e->info.temperature = info->temperature;
    e->info.top_p = info->top_p;
    e->info.min_p = info->min_p;
    e->info.refusal = info->refusal;
    e->info.context = room_context(e->local->model, info->context);
    if (e->info.context < info->context)
        log_line(LOG_WARN, "engine", "context is cut by kv_bytes_max tokens=%" PRId64 " model=%" PRId64,
                 e->info.context, info->context);
    e->info.calls = reply_calls_form(e->local->format.reply);
    e->info.shows_tools = e->info.calls && chat_template_reads(e->local->format.chat, "tools");
    e->info.thinks = reply_thinks(e->local->format.reply);
    e->info.thinking_tokens = info->thinking_tokens ? info->thinking_tokens : THINKING_DEFAULT;
    if (e->info.thinking_tokens > e->info.context / 4)
        e->info.thinking_tokens = e->info.context / 4;
}

static enum err_code local_open(struct engine *e, const struct engine_config *cfg, struct err *err)
{
    struct local *l = e->local = mem_zalloc(sizeof *l);
    struct model_config mc = { .path = cfg->model_path,
                               .threads = cfg->threads,
                               .context = cfg->context,
                               .kv_bytes_max = cfg->kv_bytes_max,
                               .kv_type = cfg->kv_type,
                               .cpu_mask = cfg->cpu_mask };
    enum err_code code = model_open(&l->model, &mc, err);
    if (code)
        return code;
    const struct model_info *info = model_info(l->model);
    code = chat_format_open(&l->format, model_vocabulary(l->model), info->chat_template, err);
    if (code)
        return code;
    if (reply_thinks(l->format.reply)) {
        struct str sentence = str_from(info->close_text ? info->close_text : closing_default);
        code = tokenizer_encode(l->format.tokenizer, sentence, ENCODE_PLAIN, &l->closing, err);
        if (code)
            return code;
    }
    if (reply_thinks(l->format.reply) && info->continue_text) {
        code = tokenizer_encode(l->format.tokenizer, str_from(info->continue_text),
                                ENCODE_INSIDE | ENCODE_SPECIAL, &l->again, err);
        if (code)
            return code;
    }
    if (info->refusal && (code = bind_open_refusal(&e->info.refusals, str_from(info->refusal), err)))
        return code;
    find_layout(l);
    fill_info(e, info);
    l->step = step_open(l->model, (size_t)e->sequences_max);
    return ERR_OK;
}

static void local_close(struct engine *e)
{
    struct local *l = e->local;
    step_close(l->step);
    ids_free(&l->history);
    ids_free(&l->closing);
    ids_free(&l->again);
    ids_free(&l->ends);
    ids_free(&l->layout);
    grammar_vocab_close(l->vocab);
    grammar_unref(e->info.refusals);
    chat_format_free(&l->format);
    model_close(l->model);
    mem_free((void *)e->info.description);
    mem_free(l);
}

static void local_usage(const struct engine *e, struct kv_usage *out)
{
    kv_usage(e->local->model, out);
}

/* --- prompts --------------------------------------------------------------------------------------- */

static enum err_code local_chat(const struct engine *e, const struct engine_chat *chat,
                                struct engine_prompt *p, struct err *err)
{
    return chat_format_prompt(&e->local->format, e->info.context, chat, p, err);
}

static enum err_code local_text(const struct engine *e, struct str text, bool special,
                                struct engine_prompt *p, struct err *err)
{
    return chat_format_text(&e->local->format, e->info.context, text, special, p, err);
}

static enum err_code local_ids(const struct engine *e, struct engine_prompt *p, struct err *err)
{
    (void)e;
    (void)p;
    (void)err;
    return ERR_OK; /* ids are all that a model needs */
}

/* --- the vocabulary -------------------------------------------------------------------------------- */

static bool local_knows(const struct engine *e, int32_t id)
{
    return id >= 0 && id < e->info.vocabulary;
}

static struct str local_spell(const struct engine *e, int32_t id)
{
    const struct tokenizer *t = e->local->format.tokenizer;
    if ((size_t)id >= tokenizer_size(t)) /* rows of the head that fill up to a round number */
        return (struct str){ 0 };
    struct str bytes = tokenizer_bytes(t, id);
    return bytes.len ? bytes : tokenizer_text(t, id);
}

static void put_text(const void *ctx, struct detok *d, int32_t id, struct buf *out)
{
    const struct local *l = ctx;
    detok_put(d, l->format.tokenizer, id, out);
}

static bool scan_chat(const void *ctx, struct reply_scan *scan, int32_t id, bool *ends)
{
    (void)ctx;
    return reply_scan_put(scan, id, ends);
}

/* A prompt that is no chat is gone on with: every token is text but the one that ends it. */
static bool scan_raw(const void *ctx, struct reply_scan *scan, int32_t id, bool *ends)
{
    const struct local *l = ctx;
    (void)scan;
    *ends = tokenizer_ends(l->format.tokenizer, id);
    return !*ends;
}

static bool encode(const void *ctx, struct str text, bool special, struct ids *out)
{
    const struct local *l = ctx;
    struct err err;
    unsigned flags = ENCODE_INSIDE | (special ? ENCODE_SPECIAL : ENCODE_PLAIN);
    return tokenizer_encode(l->format.tokenizer, text, flags, out, &err) == ERR_OK;
}

static void local_start(struct engine *e, struct sequence *s)
{
    struct local *l = e->local;
    const struct ids *markers = reply_closing(l->format.reply), *opening = reply_opening(l->format.reply);
    if (s->params.grammar && !l->vocab)
        grammar_vocab_open(&l->vocab, l->format.tokenizer);
    struct spelling spelling = { .ctx = l,
                                 .put = put_text,
                                 .scan = scan_raw,
                                 .vocab = l->vocab,
                                 .encode = encode,
                                 .ends = l->ends.ptr,
                                 .n_ends = l->ends.len,
                                 .layout = l->layout.ptr,
                                 .n_layout = l->layout.len };
    if (!s->prompt->raw) {
        spelling.scan = scan_chat;
        spelling.closing = l->closing.ptr;
        spelling.n_closing = l->closing.len;
        spelling.markers = markers->ptr;
        spelling.n_markers = markers->len;
        spelling.n_to_head = reply_closing_to_head(l->format.reply);
        spelling.again = l->again.ptr;
        spelling.n_again = l->again.len;
        spelling.opening = opening->ptr;
        spelling.n_opening = opening->len;
    }
    sequence_start(s, &spelling, s->prompt->raw ? NULL : l->format.reply, &e->info);
}

/* Its logits would have to be computed to know more. */
static int32_t local_recall(struct engine *e, struct sequence *s, int32_t past, double uniform)
{
    (void)s;
    (void)uniform;
    return local_knows(e, past) ? past : -1;
}

const struct engine_ops engine_local = {
    .kind = "local",
    .open = local_open,
    .close = local_close,
    .chat = local_chat,
    .text = local_text,
    .ids = local_ids,
    .knows = local_knows,
    .spell = local_spell,
    .start = local_start,
    .recall = local_recall,
    .admit = room_admit,
    .leave = room_leave,
    .step = step_run,
    .usage = local_usage,
};
