/*
 * model.c - a file opened, checked and made ready to compute.
 *
 * Opening checks the header and the tables first and packs the matrices last, so that a file that is refused
 * costs nothing. The bundled model is the same format in the program's own read-only data.
 */
#include "model/model_impl.h"

#include "base/thread.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

extern const unsigned char thinkd_bundled_model[], thinkd_bundled_model_end[]; /* bundled.S */

static enum err_code open_bytes(struct model *m, const char *path, struct err *err)
{
    if (path)
        return file_map(&m->map, path, err);
    m->map.ptr = thinkd_bundled_model;
    m->map.len = (size_t)(thinkd_bundled_model_end - thinkd_bundled_model);
    return ERR_OK;
}

static enum err_code check_config(const struct model_config *cfg, struct err *err)
{
    if (cfg->threads < 0 || cfg->threads > KERNEL_THREADS_MAX)
        return err_set(err, ERR_CONFIG, "threads", "Expected 0 to %d threads, but got %d.",
                       KERNEL_THREADS_MAX, cfg->threads);
    if ((unsigned)cfg->kv_type >= KV_TYPE_COUNT)
        return err_set(err, ERR_CONFIG, "kv_type", "There is no type %d for keys and values.",
                       (int)cfg->kv_type);
    if (cfg->context < 0)
        return err_set(err, ERR_CONFIG, "context",
                       "Expected a context of 0 or more tokens, but got %" PRId64 ".", cfg->context);
    return ERR_OK;
}

/* A copy of an optional text; NULL where the file has none. */
static enum err_code copy_text(const struct gguf *g, const char *key, const char **out, struct err *err)
{
    struct str text;
    if (!gguf_find(g, key))
        return ERR_OK;
    enum err_code code = gguf_text(g, key, &text, err);
    if (!code)
        *out = mem_strndup(text.ptr, text.len);
    return code;
}

static char *base_name(const char *path)
{
    if (!path)
        return mem_strdup("bundled");
    const char *slash = strrchr(path, '/');
    return mem_strdup(slash ? slash + 1 : path);
}

/* NAN where there is none within bounds. */
static enum err_code read_advice(const struct gguf *g, const char *key, double low, double high, double *out,
                                 struct err *err)
{
    *out = NAN;
    if (!gguf_find(g, key))
        return ERR_OK;
    enum err_code code = gguf_number(g, key, out, err);
    if (*out < low || *out > high)
        *out = NAN;
    return code;
}

static enum err_code read_sampling(const struct gguf *g, struct model_info *info, struct err *err)
{
    enum err_code code;
    if ((code = read_advice(g, "general.sampling.temp", 0, 2, &info->temperature, err)) ||
        (code = read_advice(g, "general.sampling.top_p", 0, 1, &info->top_p, err)))
        return code;
    return read_advice(g, "general.sampling.min_p", 0, 1, &info->min_p, err);
}

static enum err_code read_info(struct model *m, const struct model_config *cfg, struct err *err)
{
    struct model_info *info = &m->info;
    int64_t thinking = 0;
    enum err_code code;
    if ((code = copy_text(m->gguf, "general.name", &info->name, err)) ||
        (code = copy_text(m->gguf, "tokenizer.chat_template", &info->chat_template, err)) ||
        (code = copy_text(m->gguf, "thinkd.thinking.close_text", &info->close_text, err)) ||
        (code = copy_text(m->gguf, "thinkd.thinking.continue_text", &info->continue_text, err)) ||
        (code = copy_text(m->gguf, "thinkd.refusal.opening", &info->refusal, err)) ||
        (code = read_sampling(m->gguf, info, err)))
        return code;
    if (gguf_find(m->gguf, "thinkd.thinking.tokens") &&
        (code = gguf_int(m->gguf, "thinkd.thinking.tokens", 1, 1 << 21, &thinking, err)))
        return code;
    if (!info->name)
        info->name = base_name(cfg->path);
    info->arch = m->arch->name;
    info->types = m->weights.types;
    info->isa = m->kernels.isa;
    info->parameters = m->weights.parameters;
    info->file_bytes = (int64_t)m->map.len;
    info->n_vocab = m->shape.n_vocab;
    info->n_layers = m->shape.n_layers;
    info->n_embd = m->shape.n_embd;
    info->thinking_tokens = (uint32_t)thinking;
    info->context = cfg->context ? cfg->context : m->shape.context;
    if (info->context > m->shape.context)
        return err_set(err, ERR_CONFIG, "context",
                       "The model's context is %" PRId64 " tokens, but %" PRId64 " were asked for.",
                       m->shape.context, cfg->context);
    return ERR_OK;
}

static enum err_code read_file(struct model *m, struct err *err)
{
    enum err_code code;
    if ((code = gguf_open(&m->gguf, m->map.ptr, m->map.len, err)) ||
        (code = architecture_read(&m->arch, m->gguf, err)) ||
        (code = shape_read(&m->shape, m->arch, m->gguf, err)) ||
        (code = vocabulary_read(&m->vocabulary, m->gguf, err)))
        return code;
    m->shape.n_vocab = (int32_t)m->vocabulary.n_tokens; /* at most 2^24 */
    return weights_bind(&m->weights, &m->shape, m->arch, m->gguf, err);
}

enum err_code model_open(struct model **out, const struct model_config *cfg, struct err *err)
{
    struct model *m = mem_zalloc(sizeof *m);
    enum err_code code;
    if ((code = check_config(cfg, err)) || (code = open_bytes(m, cfg->path, err)))
        goto fail;
    code = read_file(m, err);
    if (code)
        goto bad_file;
    m->kernels = kernels_for(cpu_detect() & cfg->cpu_mask);
    if ((code = read_info(m, cfg, err)) ||
        (code = kv_pool_init(&m->kv_pool, &m->shape, cfg->kv_type, cfg->kv_bytes_max, err)))
        goto fail;
    m->pool = kernel_pool_open(cfg->threads ? cfg->threads : thread_cpus());
    code = weights_pack(&m->weights, &m->shape, m->pool, m->gguf, err);
    if (code)
        goto bad_file;
    m->scratch = scratch_open(m);
    *out = m;
    return ERR_OK;
bad_file: /* the readers know the fault, this knows the file */
    if (err)
        err_set(err, code, err->param, "%s: %s", cfg->path ? cfg->path : "bundled model", err->message);
fail:
    model_close(m);
    return code;
}

void model_close(struct model *m)
{
    if (!m)
        return;
    assert(m->n_kv == 0);
    kernel_pool_close(m->pool);
    scratch_close(m->scratch);
    kv_pool_free(&m->kv_pool);
    weights_free(&m->weights);
    vocabulary_free(&m->vocabulary);
    gguf_close(m->gguf);
    mem_free((void *)(uintptr_t)m->info.name);
    mem_free((void *)(uintptr_t)m->info.chat_template);
    mem_free((void *)(uintptr_t)m->info.close_text);
    mem_free((void *)(uintptr_t)m->info.continue_text);
    mem_free((void *)(uintptr_t)m->info.refusal);
    if (m->map.ptr != thinkd_bundled_model)
        file_unmap(&m->map);
    mem_free(m);
}

const struct model_info *model_info(const struct model *m)
{
    return &m->info;
}

const struct vocabulary *model_vocabulary(const struct model *m)
{
    return &m->vocabulary;
}

struct kernel_pool *model_pool(const struct model *m)
{
    return m->pool;
}

const struct kernels *model_kernels(const struct model *m)
{
    return &m->kernels;
}
