/*
 * backend.c - who answers: the engine in this process, or a server at --url. Commands do not care which.
 */
#include "cli/cli_impl.h"

struct backend {
    struct local *local; /* one of the two */
    struct remote *remote;
};

void answer_free(struct answer *a)
{
    buf_free(&a->text);
    buf_free(&a->json);
}

enum err_code backend_open(struct backend **out, const struct config *cfg, int64_t asks_max, struct err *err)
{
    struct backend *b = mem_zalloc(sizeof *b);
    enum err_code code =
        cfg->url ? remote_open(&b->remote, cfg, err) : local_open(&b->local, cfg, asks_max, err);
    if (code) {
        backend_close(b);
        return code;
    }
    *out = b;
    return ERR_OK;
}

void backend_close(struct backend *b)
{
    if (!b)
        return;
    local_close(b->local);
    remote_close(b->remote);
    mem_free(b);
}

enum err_code backend_ask(struct backend *b, const struct ask *ask, struct ask_sink sink, struct answer *a,
                          struct err *err)
{
    *a = (struct answer){ .cost = -1 };
    return b->remote ? remote_ask(b->remote, ask, sink, a, err) : local_ask(b->local, ask, sink, a, err);
}

enum err_code ask_set_model(struct ask *ask, const struct config *cfg, const char *name, struct err *err)
{
    if (cfg->url) { /* it alone knows what it has */
        ask->model = name;
        return ERR_OK;
    }
    ask->tier = config_tier(cfg, str_from(name));
    if (!ask->tier)
        return err_set(err, ERR_CONFIG, "tier",
                       "--tier: there is no model '%.64s'; 'thinkd models' lists them.", name);
    ask->model = ask->tier->name;
    for (size_t i = 0; i < TIER_ROUTE && ask->tier->thinking == THINKING_ROUTE; i++)
        ask->models[i] = config_route(cfg, ask->tier, i);
    return ERR_OK;
}

enum err_code ask_from_config(struct ask *ask, const struct config *cfg, struct err *err)
{
    *ask = (struct ask){ .instructions = cfg->instructions,
                         .output_tokens_max = cfg->max_tokens,
                         .thinking = cfg->thinking };
    ask->effort.set = cfg->effort && effort_from(str_from(cfg->effort), &ask->effort.value);
    ask->temperature.set =
        cfg->temperature && str_to_double(str_from(cfg->temperature), &ask->temperature.value);
    ask->seed.set = cfg->seed != 0;
    ask->seed.value = (uint64_t)cfg->seed;
    return ask_set_model(ask, cfg, cfg->url && cfg->model ? cfg->model : cfg->tier, err);
}
