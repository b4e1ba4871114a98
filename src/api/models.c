/*
 * models.c - GET /v1/models, /v1/models/{id} and /model/{id}: the tiers that the caller's key may use, under each name for them.
 *
 * A model of the API is a tier over the weights that are loaded, so its limits are the smaller of the two, and
 * each entry says which weights those are. Prices are nano-dollars a token, as in every reply's cost.
 *
 * aimlapi's catalogue has two questions more: which models of the list (id), and with which sections besides (include, details).
 * Their sections are written as its clients read them: a price is dollars for so many units. It ignores what it does not
 * know, here that is a 400.
 *
 * Threads: http's workers; everything read is constant.
 */
#include "api/api_impl.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void put_endpoints(struct json_writer *w, const struct tier *tier)
{
    jw_key(w, "endpoints");
    jw_begin_array(w);
    if (tier->endpoints & ENDPOINT_RESPONSES)
        jw_cstring(w, "/v1/responses");
    if (tier->endpoints & ENDPOINT_CHAT) {
        jw_cstring(w, "/v1/chat/completions");
        jw_cstring(w, "/v1/completions");
    }
    jw_end_array(w);
}

/* A model that does not mark its thinking answers at once whatever the effort, and says so here. */
static void put_efforts(struct json_writer *w, const struct tier *tier, const struct engine_info *engine)
{
    jw_key(w, "efforts");
    jw_begin_array(w);
    for (int e = 0; e < EFFORT_COUNT; e++)
        jw_cstring(w, effort_names[e]);
    jw_end_array(w);
    jw_key_cstring(w, "default_effort", effort_names[tier->default_effort]);
    jw_key_bool(w, "thinks", engine->thinks);
}

/* --- sections that are asked for ------------------------------------------------------------------------- */

/* Modalities are in every entry. */
enum { SECTION_PRICING = 1, SECTION_MODALITIES = 2, SECTION_CAPABILITIES = 4, SECTION_ALL = 7 };
static const char *const section_names[] = { "pricing", "modalities", "capabilities", "all", NULL };
static const unsigned section_bits[] = { SECTION_PRICING, SECTION_MODALITIES, SECTION_CAPABILITIES,
                                         SECTION_ALL };

#define PRICE_PER 1000000 /* tokens that a price of aimlapi's is for */

static void put_price_unit(struct json_writer *w, const char *author, const char *origin, int64_t price)
{
    jw_begin_object(w);
    jw_key_cstring(w, "type", "charge");
    jw_key_cstring(w, "name", "token");
    jw_key_cstring(w, "content", "text");
    jw_key_cstring(w, "measure", "output");
    jw_key_cstring(w, "phase", "inference");
    jw_key_cstring(w, "author", author);
    jw_key_cstring(w, "origin", origin);
    jw_key_real(w, "price",
                (double)price / 1000); /* nano-dollars a token are thousandths of a dollar a million */
    jw_key_int(w, "per", PRICE_PER);
    jw_end_object(w);
}

/* What a model costs that asks others is known when they have answered. */
static void put_pricing(struct json_writer *w, const struct tier *tier)
{
    bool fixed = tier->thinking != THINKING_ROUTE;
    jw_key(w, "pricing");
    jw_begin_object(w);
    jw_key_cstring(w, "kind", fixed ? "fixed" : "variable");
    jw_key(w, "units");
    jw_begin_array(w);
    if (fixed) {
        put_price_unit(w, "user", "provided", tier->price_in);
        put_price_unit(w, "model", "generated", tier->price_out);
    }
    jw_end_array(w);
    jw_end_object(w);
}

static void put_capabilities(struct json_writer *w, const struct engine_info *engine)
{
    static const char *const all[] = { "streaming", "tools", "parallel_tool_calls", "structured_output",
                                       "file_input" };
    jw_key(w, "capabilities");
    jw_begin_array(w);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        jw_cstring(w, all[i]);
    if (engine->thinks)
        jw_cstring(w, "reasoning");
    jw_end_array(w);
}

static enum err_code read_names(struct str value, unsigned *sections, struct err *err)
{
    for (size_t at = 0; at <= value.len;) {
        struct str name = name_at(value, &at);
        size_t k = 0;
        while (section_names[k] && !str_is(name, section_names[k]))
            k++;
        if (!section_names[k])
            return field_value_error(err, "include", name, section_names);
        *sections |= section_bits[k];
    }
    return ERR_OK;
}

static enum err_code read_sections(const struct call *c, unsigned *sections, struct err *err)
{
    struct str name, value;
    bool details = false;
    enum err_code code = param_bool(c, "details", &details, err);
    *sections = details ? SECTION_ALL : 0;
    for (size_t i = 0; !code && http_query(c->x, i, &name, &value); i++)
        if (str_is(name, "include") || str_is(name, "include[]"))
            code = read_names(value, sections, err);
    return code;
}

/* --- entries --------------------------------------------------------------------------------------------- */

static void put_model(struct json_writer *w, struct str id, const struct tier *tier,
                      const struct engine_info *engine, unsigned sections)
{
    int64_t window = least(tier->context_window, engine->context);
    jw_begin_object(w);
    jw_key_string(w, "id", id);
    jw_key_cstring(w, "object", "model");
    jw_key_int(w, "created", tier->created);
    jw_key_cstring(w, "owned_by", "thinkd");
    jw_key_int(w, "context_window", window);
    jw_key_int(w, "max_output_tokens", least(tier->max_output_tokens, window));
    jw_key_raw(w, "modalities", STR("{\"input\":[\"text\"],\"output\":[\"text\"]}"));
    put_endpoints(w, tier);
    put_efforts(w, tier, engine);
    jw_key(w, "price");
    jw_begin_object(w);
    jw_key_int(w, "input", tier->price_in);
    jw_key_int(w, "output", tier->price_out);
    jw_key_cstring(w, "unit", "nano-dollars per token");
    jw_end_object(w);
    jw_key_cstring(w, "engine", engine->model);
    if (sections & SECTION_PRICING)
        put_pricing(w, tier);
    if (sections & SECTION_CAPABILITIES)
        put_capabilities(w, engine);
    jw_end_object(w);
}

/* Who looks at every name that the caller may use; false: no more of them. */
struct names_seen {
    const struct call *c;
    bool (*see)(struct names_seen *s, struct str name, const struct tier *tier);
    const struct engine_info *engine;
    unsigned sections;
    struct json_writer w;
    bool found;
};

/* Plain and with the prefix: some clients offer reasoning options only for names that begin with "o3". */
static bool see_both(struct names_seen *s, const char *name, const struct tier *tier)
{
    struct buf prefixed = { 0 };
    buf_printf(&prefixed, "openai/%s", name);
    bool more = s->see(s, str_from(name), tier) && s->see(s, buf_str(&prefixed), tier);
    buf_free(&prefixed);
    return more;
}

static void see_names(struct names_seen *s)
{
    const struct config *cfg = s->c->api->cfg;
    bool more = true;
    for (size_t i = 0; i < cfg->n_tiers && more; i++) {
        const struct tier *tier = &cfg->tiers[i];
        if (!model_allowed(cfg, &s->c->owner, tier))
            continue;
        more = see_both(s, tier->name, tier);
        for (size_t k = 0; tier->aliases && tier->aliases[k] && more; k++)
            more = see_both(s, tier->aliases[k], tier);
    }
}

static bool holds_name(struct str values, struct str name)
{
    for (size_t at = 0; at <= values.len;)
        if (str_eq_nocase(name_at(values, &at), name))
            return true;
    return false;
}

/* Asked for by one of the ids, or there are none. */
static bool is_wanted(const struct call *c, struct str id)
{
    struct str name, value;
    bool any = false;
    for (size_t i = 0; http_query(c->x, i, &name, &value); i++) {
        if (!str_is(name, "id"))
            continue;
        if (holds_name(value, id))
            return true;
        any = true;
    }
    return !any;
}

static bool list_name(struct names_seen *s, struct str name, const struct tier *tier)
{
    if (is_wanted(s->c, name))
        put_model(&s->w, name, tier, s->engine, s->sections);
    return true;
}

static bool find_name(struct names_seen *s, struct str name, const struct tier *tier)
{
    if (!str_eq_nocase(name, http_path_arg(s->c->x, 0)))
        return true;
    put_model(&s->w, name, tier, s->engine, s->sections);
    s->found = true;
    return false;
}

/* --- handlers -------------------------------------------------------------------------------------------- */

void models_list(const struct call *c)
{
    struct buf body = { 0 };
    struct err err = { 0 };
    struct names_seen s = { .c = c,
                            .see = list_name,
                            .engine = engine_info(conductor_engine(c->api->conductor)),
                            .w = { .out = &body } };
    if (read_sections(c, &s.sections, &err)) {
        reply_error(c->x, &err);
        return;
    }
    jw_begin_object(&s.w);
    jw_key_cstring(&s.w, "object", "list");
    jw_key(&s.w, "data");
    jw_begin_array(&s.w);
    see_names(&s);
    jw_end_array(&s.w);
    jw_end_object(&s.w);
    reply_json(c->x, 200, &body);
    buf_free(&body);
}

/* aimlapi's, whose names are of any case. */
void model_lookup(const struct call *c)
{
    struct buf body = { 0 };
    struct err err = { 0 };
    struct names_seen s = { .c = c,
                            .see = find_name,
                            .engine = engine_info(conductor_engine(c->api->conductor)),
                            .w = { .out = &body } };
    enum err_code code = read_sections(c, &s.sections, &err);
    jw_begin_object(&s.w);
    jw_key_cstring(&s.w, "object", "model");
    jw_key(&s.w, "data");
    if (!code)
        see_names(&s);
    if (!code && !s.found)
        code = model_not_found(&err, http_path_arg(c->x, 0));
    if (code) {
        reply_error(c->x, &err);
    } else {
        jw_end_object(&s.w);
        reply_json(c->x, 200, &body);
    }
    buf_free(&body);
}

void models_get(const struct call *c)
{
    struct str id = http_path_arg(c->x, 0);
    const struct tier *tier = config_tier(c->api->cfg, id);
    struct err err;
    struct buf body = { 0 };
    struct json_writer w = { .out = &body };
    if (!tier || !model_allowed(c->api->cfg, &c->owner, tier)) {
        model_not_found(&err, id);
        reply_error(c->x, &err);
        return;
    }
    put_model(&w, id, tier, engine_info(conductor_engine(c->api->conductor)), 0);
    reply_json(c->x, 200, &body);
    buf_free(&body);
}
