/*
 * config.c - any bytes as a configuration file: a configuration, or one bounded message that names the file.
 */
#include "config/config_impl.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const env[] = { "NAME=value", "EMPTY=", NULL };
    struct config c = { 0 };
    struct err err = { 0 };
    config_defaults(&c);
    tiers_builtin(&c);
    if (config_yaml(&c, (struct str){ (const char *)data, size }, "thinkd.yaml", env, &err)) {
        assert(err.code == ERR_CONFIG && utf8_valid(str_from(err.message)));
        assert(str_starts(str_from(err.message), STR("thinkd.yaml:")));
    }
    for (size_t i = 0; i < c.n_tiers; i++)
        assert(config_tier(&c, str_from(c.tiers[i].name)) == &c.tiers[i]);
    config_free(&c);
    return 0;
}
