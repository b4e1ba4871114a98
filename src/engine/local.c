/*
 * local.c - sequences on a model in this process.
 *
 * A step gives every decoding sequence its next token and, beside them, reads some of the prompts that are
 * still being read, so that a long prompt slows its neighbours and never stops them. A row's logits do not
 * depend on the other rows (model.h), nor a draw on other sequences (sampler.c), so a sequence's tokens are
 * the same alone and in any company.
 *
 * Threads: local_prompt on any (it reads what never changes after open); the rest on the engine's, which is
 * the model's thread too.
 */
#include "base/log.h"
#include "engine/engine_impl.h"
#include "model/model.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define PROMPT_ROWS_MIN  16   /* rows of a step that prompts get even when many sequences decode */
#define THINKING_DEFAULT 4096 /* T of a model that does not say */

/* Used where the model's file has no closing sentence of its own. */
static const char closing_default[] =
    "\n\nI have used up the time that I may think, so I answer now with what I have found.\n";

struct row_owner {
    struct sequence *seq;
    bool decides; /* a token is chosen after this row */
};

struct local {
    struct model *model;
    struct chat_format format;
    struct ids closing;
    struct sampler *sampler;
    float *logits; /* [MODEL_ROWS_MAX][n_vocab] */
    struct model_row rows[MODEL_ROWS_MAX];
    struct row_owner owners[MODEL_ROWS_MAX];
    size_t n_rows;
};

/* --- opening --------------------------------------------------------------------------------------- */

static char *describe(const struct model_info *info)
{
    struct buf b = { 0 };
    buf_printf(&b, "%s, %.1f M parameters, %.1f MB, %s, %s kernels", info->arch,
               (double)info->parameters / 1e6, (double)info->file_bytes / 1e6, info->types, info->isa);
    return buf_take(&b);
}

/* The longest sequence there is memory for, found by asking: reserving takes no memory yet. */
static int64_t context_that_fits(struct model *m, int64_t context)
{
    int64_t fits = 0, beyond = context + 1;
    while (beyond - fits > 1) {
        int64_t tokens = fits + (beyond - fits) / 2;
        struct kv *kv = kv_open(m);
        struct err err;
        if (kv_reserve(kv, tokens, &err))
            beyond = tokens;
        else
            fits = tokens;
        kv_close(kv);
    }
    return fits;
}

static void fill_info(struct engine *e, const struct model_info *info)
{
    e->info.model = info->name;
    e->info.description = describe(info);
    e->info.context = context_that_fits(e->local->model, info->context);
    if (e->info.context < info->context)
        log_line(LOG_WARN, "engine", "context is cut by kv_bytes_max tokens=%" PRId64 " model=%" PRId64,
                 e->info.context, info->context);
    e->info.thinks = e->local->format.close >= 0;
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
                               .cpu_mask = ~0u };
    enum err_code code = model_open(&l->model, &mc, err);
    if (code)
        return code;
    const struct model_info *info = model_info(l->model);
    code = chat_format_open(&l->format, model_vocabulary(l->model), info->chat_template, err);
    if (code)
        return code;
    if (l->format.close >= 0) {
        struct str sentence = str_from(info->close_text ? info->close_text : closing_default);
        code = tokenizer_encode(l->format.tokenizer, sentence, ENCODE_PLAIN, &l->closing, err);
        if (code)
            return code;
    }
    fill_info(e, info);
    l->sampler = sampler_open((size_t)info->n_vocab);
    l->logits = mem_array((size_t)info->n_vocab * MODEL_ROWS_MAX, sizeof *l->logits);
    return ERR_OK;
}

static void local_close(struct engine *e)
{
    struct local *l = e->local;
    sampler_close(l->sampler);
    mem_free(l->logits);
    ids_free(&l->closing);
    chat_format_free(&l->format);
    model_close(l->model);
    mem_free((void *)e->info.description);
    mem_free(l);
}

static enum err_code local_prompt(const struct engine *e, const struct engine_chat *chat,
                                  struct engine_prompt *p, struct err *err)
{
    return chat_format_prompt(&e->local->format, e->info.context, chat, p, err);
}

/* --- the vocabulary -------------------------------------------------------------------------------- */

static void local_put(const void *ctx, struct detok *d, int32_t id, struct buf *out)
{
    const struct local *l = ctx;
    detok_put(d, l->format.tokenizer, id, out);
}

static bool local_ends(const void *ctx, int32_t id)
{
    const struct local *l = ctx;
    return tokenizer_ends(l->format.tokenizer, id);
}

/* --- sequences ------------------------------------------------------------------------------------- */

static bool local_admit(struct engine *e, struct sequence *s)
{
    struct local *l = e->local;
    struct spelling spelling = {
        l, local_put, local_ends, l->format.open, l->format.close, l->closing.ptr, l->closing.len
    };
    int64_t rest = e->info.context - s->prompt->tokens;
    int64_t tokens = s->params.tokens_max < rest ? s->params.tokens_max : rest;
    struct kv *kv = kv_open(l->model);
    struct err err;
    enum err_code code = kv_reserve(kv, s->prompt->tokens + tokens, &err);
    if (code) {
        assert(code == ERR_BUSY && e->n_running > 0); /* the context fits into the whole memory */
        kv_close(kv);
        return false;
    }
    s->kv = kv;
    s->state = SEQUENCE_PREFILL;
    sequence_start(s, &spelling, e->info.context);
    return true;
}

static void local_leave(struct engine *e, struct sequence *s)
{
    (void)e;
    kv_close(s->kv);
    s->kv = NULL;
}

/* Chooses the next token of a sequence whose row has been computed. logits: NULL when it is forced. */
static void choose(struct engine *e, struct sequence *s, const float *logits)
{
    const struct engine_params *p = &s->params;
    double uniform = rng_unit(&s->rng);
    int32_t id = -1;
    if (logits) {
        id = sampler_pick(e->local->sampler, logits, p->temperature, p->top_p, p->min_p, uniform);
        if (id < 0) {
            struct err err;
            err_set(&err, ERR_SERVER, NULL, "The model computed no finite number for the next token.");
            batch_fail(e, s, &err);
            return;
        }
    }
    batch_token(e, s, id);
}

/* Computes the rows gathered so far and chooses a token where one is due. */
static void compute(struct engine *e)
{
    struct local *l = e->local;
    size_t n_vocab = (size_t)model_info(l->model)->n_vocab, at = 0;
    if (l->n_rows == 0)
        return;
    model_forward(l->model, l->rows, l->n_rows, l->logits);
    for (size_t i = 0; i < l->n_rows; i++) {
        bool wanted = l->rows[i].want_logits;
        if (l->owners[i].decides)
            choose(e, l->owners[i].seq, wanted ? l->logits + at * n_vocab : NULL);
        at += wanted;
    }
    l->n_rows = 0;
}

static void put_row(struct engine *e, struct sequence *s, int32_t token, bool decides)
{
    struct local *l = e->local;
    if (l->n_rows == MODEL_ROWS_MAX)
        compute(e);
    bool wants = decides && sequence_forced(s) < 0;
    l->rows[l->n_rows] = (struct model_row){ s->kv, token, wants };
    l->owners[l->n_rows++] = (struct row_owner){ s, decides };
}

static size_t put_prompt(struct engine *e, struct sequence *s, size_t rows_max)
{
    const struct ids *ids = &s->prompt->ids;
    size_t n = ids->len - s->prompt_at;
    n = n < rows_max ? n : rows_max;
    for (size_t i = 0; i < n; i++) {
        int32_t token = ids->ptr[s->prompt_at++];
        put_row(e, s, token, s->prompt_at == ids->len);
    }
    return n;
}

static bool local_step(struct engine *e)
{
    size_t decoding = 0;
    for (size_t i = 0; i < e->n_running; i++)
        decoding += e->running[i]->state == SEQUENCE_DECODE;
    size_t prompt_rows = MODEL_ROWS_MAX - decoding % MODEL_ROWS_MAX;
    if (prompt_rows < PROMPT_ROWS_MIN)
        prompt_rows = PROMPT_ROWS_MIN;

    /* The rows of one sequence are either its last token or prompt, so none is chosen for twice a step; the
     * decoding ones are counted before compute() may turn a prompt's last row into a decoding sequence. */
    for (size_t i = 0, left = decoding; left > 0; i++)
        if (e->running[i]->state == SEQUENCE_DECODE) {
            put_row(e, e->running[i], e->running[i]->token, true);
            left--;
        }
    for (size_t i = 0; i < e->n_running && prompt_rows > 0; i++)
        if (e->running[i]->state == SEQUENCE_PREFILL)
            prompt_rows -= put_prompt(e, e->running[i], prompt_rows);
    compute(e);
    return e->n_running > 0;
}

const struct engine_ops engine_local = {
    .kind = "local",
    .open = local_open,
    .close = local_close,
    .prompt = local_prompt,
    .admit = local_admit,
    .leave = local_leave,
    .step = local_step,
};
