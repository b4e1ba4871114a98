/*
 * version.c - `thinkd version`: what runs here, for bug reports.
 *
 * This is the one file outside their own folders that includes the libraries' headers, for their versions alone.
 */
#include "cli/cli_impl.h"

#include "kernel/kernel.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <curl/curl.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <pcre2.h>
#include <string.h>
#include <utf8proc.h>
#include <yaml.h>

#ifndef THINKD_VERSION
#error "THINKD_VERSION is set by the Makefile from the file VERSION"
#endif

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown compiler"
#endif

struct fact {
    const char *name, *value;
};

static const char *pcre2_version(void)
{
    static char text[64];
    if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) < (int)sizeof text)
        pcre2_config(PCRE2_CONFIG_VERSION, text);
    return text;
}

static const char *curl_name(void)
{
    return curl_version_info(CURLVERSION_NOW)->version;
}

/* The libraries as they are loaded, which may be newer than those compiled against. */
static size_t libraries(struct fact facts[8])
{
    size_t n = 0;
    facts[n++] = (struct fact){ "libmicrohttpd", MHD_get_version() };
    facts[n++] = (struct fact){ "jansson", jansson_version_str() };
    facts[n++] = (struct fact){ "libcurl", curl_name() };
    facts[n++] = (struct fact){ "openssl", OpenSSL_version(OPENSSL_VERSION_STRING) };
    facts[n++] = (struct fact){ "pcre2", pcre2_version() };
    facts[n++] = (struct fact){ "utf8proc", utf8proc_version() };
    facts[n++] = (struct fact){ "libyaml", yaml_get_version_string() };
    return n;
}

static void put_text(struct buf *out, const char *isa, const struct fact *facts, size_t n)
{
    buf_printf(out, "thinkd %s\n%-14s %s\n%-14s %s\n", THINKD_VERSION, "compiler", COMPILER, "isa", isa);
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%-14s %s\n", facts[i].name, facts[i].value);
}

static void put_json(struct buf *out, const char *isa, const struct fact *facts, size_t n)
{
    struct json_writer w = { .out = out };
    jw_begin_object(&w);
    jw_key_cstring(&w, "version", THINKD_VERSION);
    jw_key_cstring(&w, "compiler", COMPILER);
    jw_key_cstring(&w, "isa", isa);
    jw_key(&w, "libraries");
    jw_begin_object(&w);
    for (size_t i = 0; i < n; i++) {
        jw_key(&w, facts[i].name);
        jw_cstring(&w, facts[i].value);
    }
    jw_end_object(&w);
    jw_end_object(&w);
    buf_putc(out, '\n');
}

int version_run(const struct config *cfg)
{
    struct buf out = { 0 };
    struct err err = { 0 };
    struct fact facts[8];
    if (cli_no_args(cfg, "version", &err))
        return cli_fail(&err);
    size_t n = libraries(facts);
    const char *isa = kernels_for(cpu_detect()).isa;
    if (cfg->json)
        put_json(&out, isa, facts, n);
    else
        put_text(&out, isa, facts, n);
    term_put(stdout, buf_str(&out));
    buf_free(&out);
    return CLI_OK;
}
