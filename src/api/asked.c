/*
 * asked.c - the fields that both endpoints have: which model, how it samples, where it stops, what is repeated.
 *
 * Field tables check types and bounds; what a value means beside other fields or the configuration is checked here,
 * once for both. Each function stores what it read in the turn.
 *
 * Threads: http's workers.
 */
#include "api/api_impl.h"

#include "base/rng.h"

#include <ctype.h>

const char *const summary_names[] = { "auto", "concise", "detailed", NULL };
const char *const verbosities[] = { "low", "medium", "high", NULL };
const char *const truncations[] = { "auto", "disabled", NULL };
const char *const service_tiers[] = { "auto",  "default", "flex",      "priority",
                                      "scale", "fast",    "ultrafast", NULL };

#define AIMLAPI_OUTPUT_TOKENS 512
#define BIAS_MAX              100

bool asked_as_aimlapi(const struct config *cfg)
{
    return str_is(str_from(cfg->dialect), "aimlapi");
}

int64_t default_output_tokens(const struct config *cfg)
{
    if (cfg->max_output_tokens > 0 || !asked_as_aimlapi(cfg))
        return cfg->max_output_tokens;
    return AIMLAPI_OUTPUT_TOKENS;
}

/* "-2025-04-16" behind the bare name. */
static bool is_dated(const char *alias, struct str bare)
{
    struct str rest = str_from(alias);
    if (!str_starts(rest, bare))
        return false;
    rest = str_slice(rest, bare.len, rest.len);
    if (rest.len != 11)
        return false;
    for (size_t i = 0; i < rest.len; i++)
        if (i == 0 || i == 5 || i == 8 ? rest.ptr[i] != '-' : !isdigit((unsigned char)rest.ptr[i]))
            return false;
    return true;
}

/* Replies name the model that answered: the dated form where the name has one, with the prefix the client used. */
const char *model_name(const struct tier *tier, struct str asked, struct arena *arena)
{
    const struct str prefix = STR("openai/");
    bool prefixed = str_starts(asked, prefix);
    struct str bare = prefixed ? str_slice(asked, prefix.len, asked.len) : asked;
    for (size_t i = 0; tier->aliases && tier->aliases[i]; i++)
        if (is_dated(tier->aliases[i], bare))
            bare = str_from(tier->aliases[i]);
    return arena_printf(arena, "%s%.*s", prefixed ? prefix.ptr : "", STR_ARG(bare));
}

bool model_allowed(const struct config *cfg, const struct access_owner *owner, const struct tier *tier)
{
    struct str rest = str_from(owner->models), name;
    bool allowed = !rest.len;
    while (!allowed && access_model(&rest, &name))
        allowed = config_tier(cfg, name) == tier;
    return allowed;
}

enum err_code model_not_found(struct err *err, struct str asked)
{
    return err_set(err, ERR_MODEL_NOT_FOUND, "model",
                   "The model '%.*s' does not exist or you do not have access to it.", STR_ARG(asked));
}

/* pro: reasoning.mode asks for the pro tier of the model, which is the one with "-pro" behind its name. It counts as
 * if it had been asked for itself: its default effort, its price, its name in the reply. */
enum err_code turn_set_model(struct turn *t, struct str asked, bool pro, struct err *err)
{
    const struct tier *tier = config_tier(t->api->cfg, asked);
    if (!tier)
        return model_not_found(err, asked);
    if (pro && tier->thinking != THINKING_BRANCHES) {
        bool prefixed = str_starts(asked, STR("openai/"));
        asked = str_from(arena_printf(&t->arena, "%s%s-pro", prefixed ? "openai/" : "", tier->name));
        if (!(tier = config_tier(t->api->cfg, asked)))
            return refuse_unsupported(err, "reasoning.mode", "pro", "with a model that has no pro tier");
    }
    if (!model_allowed(t->api->cfg, &t->owner, tier))
        return model_not_found(err, asked);
    if (!(tier->endpoints & t->kind->endpoint))
        return err_set(err, ERR_WRONG_ENDPOINT, "model", "This model is only supported in %s and not in %s.",
                       t->kind->endpoint == ENDPOINT_CHAT ? "v1/responses" : "v1/chat/completions",
                       t->kind->path);
    t->tier = tier;
    t->model = model_name(tier, asked, &t->arena);
    t->effort = tier->default_effort;
    return ERR_OK;
}

static enum err_code add_stop(struct turn *t, const json_t *stop, const char *param, struct err *err)
{
    if (!json_is_string(stop))
        return field_type_error(err, param, "a string", stop);
    struct str s = json_str(stop);
    enum err_code code = field_string_check(err, param, s, 1, SIZE_MAX);
    if (code)
        return code;
    t->stops[t->n_stops++] = arena_str(&t->arena, s);
    return ERR_OK;
}

/* stop: a string, or up to four. NULL: not given. */
enum err_code turn_set_stops(struct turn *t, const json_t *stop, struct err *err)
{
    if (!stop)
        return ERR_OK;
    if (json_is_string(stop))
        return add_stop(t, stop, "stop", err);
    if (!json_is_array(stop))
        return field_type_error(err, "stop", "a string or an array of strings", stop);
    enum err_code code = field_array_check(err, "stop", json_array_size(stop), 0, STOPS_MAX);
    for (size_t i = 0; i < json_array_size(stop) && !code; i++)
        code = add_stop(t, json_array_get(stop, i), arena_printf(&t->arena, "stop[%zu]", i), err);
    return code;
}

#define METADATA_PAIRS_MAX 16
#define METADATA_KEY_MAX   64
#define METADATA_VALUE_MAX 512

enum err_code metadata_check(const json_t *metadata, struct arena *arena, struct err *err)
{
    const char *key;
    json_t *value;
    enum err_code code = ERR_OK;
    if (json_object_size(metadata) > METADATA_PAIRS_MAX)
        return err_set(
            err, ERR_INVALID_VALUE, "metadata",
            "Invalid 'metadata': too many properties. Expected an object with at most %d properties, "
            "but got an object with %zu properties instead.",
            METADATA_PAIRS_MAX, json_object_size(metadata));
    json_object_foreach((json_t *)metadata, key, value)
    {
        const char *param = arena_printf(arena, "metadata.%.*s", METADATA_KEY_MAX, key);
        struct str text = json_str(value);
        if (!json_is_string(value))
            code = field_type_error(err, param, "a string", value);
        else if (!(code = field_string_check(err, "metadata", str_from(key), 0, METADATA_KEY_MAX)))
            code = field_string_check(err, param, text, 0, METADATA_VALUE_MAX);
        if (code)
            break;
    }
    return code;
}

/* It is repeated from the document, not copied. */
enum err_code turn_set_metadata(struct turn *t, const json_t *metadata, struct err *err)
{
    t->metadata = metadata;
    return metadata_check(metadata, &t->arena, err);
}

void turn_set_sampling(struct turn *t, struct field_real temperature, struct field_real top_p,
                       struct field_int seed)
{
    t->ask.temperature.set = temperature.set;
    t->ask.temperature.value = temperature.value;
    t->ask.top_p.set = top_p.set;
    t->ask.top_p.value = top_p.value;
    /* A drawn seed is reported; 53 bits survive clients that read JSON numbers as doubles. */
    t->seed = seed.set ? (uint64_t)seed.value : rng_os_u64() >> 11;
}

void turn_set_penalties(struct turn *t, struct field_real presence, struct field_real frequency)
{
    t->presence_penalty = (float)presence.value;
    t->frequency_penalty = (float)frequency.value;
}

static enum err_code read_bias(struct turn *t, const char *key, const json_t *value, struct engine_bias *out,
                               struct err *err)
{
    int64_t id = -1, n = engine_info(conductor_engine(t->api->conductor))->vocabulary;
    const char *param = arena_printf(&t->arena, "logit_bias.%.20s", key);
    if (!str_to_i64(str_from(key), &id) || id < 0 || id > INT32_MAX || (n && id >= n))
        return err_set(err, ERR_INVALID_VALUE, param,
                       "Invalid key in 'logit_bias': '%.20s' is no token id of this model. Its ids are whole "
                       "numbers from 0 to %lld.",
                       key, (long long)(n ? n - 1 : INT32_MAX));
    if (!json_is_number(value))
        return field_type_error(err, param, "a number", value);
    double bias = json_number_value(value);
    *out = (struct engine_bias){ .id = (int32_t)id, .bias = (float)bias };
    if (bias < -BIAS_MAX || bias > BIAS_MAX)
        return err_set(err, bias < 0 ? ERR_DECIMAL_BELOW_MIN : ERR_DECIMAL_ABOVE_MAX, param,
                       "Invalid '%s': a bias is from -%d to %d.", param, BIAS_MAX, BIAS_MAX);
    return ERR_OK;
}

enum err_code turn_set_biases(struct turn *t, const json_t *biases, struct err *err)
{
    enum err_code code = ERR_OK;
    struct engine_bias *out = arena_array(&t->arena, json_object_size(biases) + 1, sizeof *out);
    const char *key;
    json_t *value;
    if (json_object_size(biases) > BIASES_MAX)
        return err_set(err, ERR_INVALID_VALUE, "logit_bias",
                       "Invalid 'logit_bias': expected at most %d tokens, but got %zu.", BIASES_MAX,
                       json_object_size(biases));
    json_object_foreach((json_t *)biases, key, value)
    {
        code = read_bias(t, key, value, &out[t->n_biases], err);
        if (code)
            break;
        t->n_biases++;
    }
    t->biases = out;
    return code;
}
