/*
 * config_impl.h - what the files of config/ share: the rows, the one setter, and what the sources feed it.
 *
 * A source (YAML, environment, flags) turns what it reads into calls of config_set. It names the place in
 * `where`, which opens every message: "--listen", "THINKD_LISTEN", "thinkd.yaml:3: listen".
 */
#ifndef THINKD_CONFIG_IMPL_H
#define THINKD_CONFIG_IMPL_H

#include "config/config.h"

#define CONFIG_FILE_BYTES_MAX (1 * MIB) /* of a YAML file, and of what ${NAME} makes of it */
#define CONFIG_WHERE_MAX      300       /* bytes of a place */
#define CONFIG_LIST_MAX       4096      /* items of one list */
#define CONFIG_TIERS_MAX      256

enum config_kind { KIND_STRING, KIND_INT, KIND_SIZE, KIND_BOOL, KIND_LIST }; /* CONFIG_LIST's words */

struct config_key {
    const char *name; /* "kv_bytes_max" */
    enum config_kind kind;
    const char *dflt; /* NULL: not set */
    int64_t min, max; /* max 0: no bound */
    unsigned commands;
    const char *help;
    size_t offset; /* in struct config */
};

extern const struct config_key config_keys[];
extern const size_t config_keys_len;

const struct config_key *config_find(struct str name); /* with underscores */
/* The key that a mistyped name most likely means, among those of some command in `commands`; or NULL. */
const struct config_key *config_nearest(struct str name, unsigned commands);

void config_defaults(struct config *c);
enum err_code config_set(struct config *c, const struct config_key *key, struct str value, const char *where,
                         struct err *err);
/* One more item, taken whole: commas in it do not part it. */
enum err_code config_list_add(struct config *c, const struct config_key *key, struct str item,
                              const char *where, struct err *err);
/* A source replaces what a weaker one has put in: a list starts anew. */
void config_clear(struct config *c, const struct config_key *key);

/* --- tiers ----------------------------------------------------------------------------------------- */

void tiers_builtin(struct config *c);
/* The tier that an entry named `name` starts from: the one of that name, or a new one with defaults. */
enum err_code tier_begin(struct config *c, struct str name, struct tier *out, const char *where,
                         struct err *err);
/* Sets one key of an entry. values holds one element, unless the file has a list there. */
enum err_code tier_set(struct config *c, struct tier *t, struct str key, const struct str *values, size_t n,
                       bool list, const char *where, struct err *err);
enum err_code tier_end(struct config *c, const struct tier *t, const char *where, struct err *err);
enum err_code tiers_check(const struct config *c, struct err *err);

/* --- YAML ------------------------------------------------------------------------------------------ */

/* What libyaml found wrong, and the line of it; parser is a yaml_parser_t, and the text what it was given. */
struct yaml_parser_s;
const char *yaml_problem(const struct yaml_parser_s *parser, struct str text, size_t *line);

/* --- sources --------------------------------------------------------------------------------------- */

enum err_code config_yaml(struct config *c, struct str text, const char *name, const char *const *env,
                          struct err *err);
const char *config_env(const char *const *env, struct str name); /* value of NAME, or NULL */

#endif
