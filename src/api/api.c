/*
 * api.c - opens and closes what the endpoints work with.
 *
 * The order of opening is that of dependence: jobs of an earlier process are taken over last, when everything that building
 * one again needs is there.
 *
 * Threads: the main thread, before http_run and after it.
 */
#include "api/api_impl.h"

#include <stdio.h>

/* A receiver cannot tell an unsigned event from a forged one, so there is no URL without a secret. */
static enum err_code open_webhooks(struct api *a, struct err *err)
{
    const struct config *cfg = a->cfg;
    if (!cfg->webhook_url && cfg->webhook_secret)
        return err_set(err, ERR_CONFIG, "webhook_url",
                       "webhook_secret needs webhook_url: without one no event is sent.");
    if (!cfg->webhook_url)
        return ERR_OK;
    if (!cfg->webhook_secret)
        return err_set(err, ERR_CONFIG, "webhook_secret",
                       "webhook_url needs webhook_secret, with which events are signed. Make one with "
                       "'echo whsec_$(openssl rand -base64 32)'.");
    const struct webhooks_config w = { .store = a->store,
                                       .url = cfg->webhook_url,
                                       .secret = cfg->webhook_secret };
    return webhooks_open(&a->webhooks, &w, err);
}

/* What the model's tokens mean changes with it, and so does the name that replies and journals carry. */
static void set_fingerprint(struct api *a)
{
    const struct engine_info *info = engine_info(conductor_engine(a->conductor));
    uint64_t hash = str_hash(str_from(info->model)) ^ (str_hash(str_from(info->description)) << 1);
    snprintf(a->fingerprint, sizeof a->fingerprint, "fp_%010llx",
             (unsigned long long)(hash & 0xffffffffffULL));
}

/* A template that is wrong would be a 404 to those who ask for it, so it is said before anyone can. */
static enum err_code open_prompts(struct api *a, const char *data, struct err *err)
{
    struct buf dir = { 0 };
    if (data)
        buf_printf(&dir, "%s/prompts", data);
    enum err_code code = prompts_open(&a->prompts, dir.ptr, api_is_request_field, err);
    buf_free(&dir);
    const struct prompt_template *t;
    for (size_t i = 0; !code && (t = prompts_at(a->prompts, i)); i++)
        if (t->err.code)
            code = err_set(err, ERR_CONFIG, "data", "%s", t->err.message);
    return code;
}

static enum err_code open_parts(struct api *a, const char *data, struct err *err)
{
    const struct job_reviver reviver = { .revive = background_revive, .orphan = background_orphan, .ctx = a };
    set_fingerprint(a);
    a->later = later_open();
    a->lanes = lanes_open(a);
    idempotency_open(&a->idempotency, a->store, a->cfg->idempotency_ms);
    enum err_code code = seal_open(&a->seal, &a->cfg->secret, data, err);
    if (!code)
        code = open_prompts(a, data, err);
    if (!code)
        code = open_webhooks(a, err);
    if (!code)
        code = conductor_start(a->conductor, &reviver, err);
    if (!code) /* after conductor_start has ended what nobody waits for any more */
        retention_open(&a->retention, a->store, a->later, a->cfg->keep_ms, a->cfg->keep_bytes);
    return code;
}

enum err_code api_open(struct api **out, const struct api_config *cfg, struct err *err)
{
    struct api *a = mem_zalloc(sizeof *a);
    a->cfg = cfg->options;
    a->access = cfg->access;
    a->store = cfg->store;
    a->conductor = cfg->conductor;
    a->formats = formats_open();
    a->routes = endpoint_routes(&a->n_routes, (size_t)cfg->options->body_bytes_max, &a->arena);
    enum err_code code = open_parts(a, cfg->data, err);
    if (code) {
        api_close(a);
        return code;
    }
    *out = a;
    return ERR_OK;
}

/* Answers of the store may still be on their way to turns and tables that are freed here: they come in order, so behind the
 * last of those that are due there is none. */
static void wait_for_store(struct api *a)
{
    struct err err;
    if (a->store)
        store_commit_wait(a->store, store_tx_open(), &err);
}

void api_close(struct api *a)
{
    if (!a)
        return;
    wait_for_store(a);
    later_close(a->later);
    retention_close(a->retention);
    lanes_close(a->lanes);
    idempotency_close(a->idempotency);
    webhooks_close(a->webhooks);
    prompts_close(a->prompts);
    seal_close(a->seal);
    formats_close(a->formats);
    arena_free(&a->arena);
    mem_free(a);
}

const struct http_route *api_routes(const struct api *a, size_t *n)
{
    *n = a->n_routes;
    return a->routes;
}
