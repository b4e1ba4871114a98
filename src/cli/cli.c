/*
 * cli.c - the table of commands: dispatch, help, exit status.
 *
 * A command is one row and one file. Options are config's table, so --help of a command and what it accepts
 * cannot drift apart.
 */
#include "cli/cli_impl.h"

#include "base/log.h"

#include <string.h>

static const struct command commands[] = {
    { "serve", CMD_SERVE, "", "answer the Responses and Chat Completions APIs over HTTP",
      "Serves until SIGTERM or SIGINT, then lets running requests end (--stop-timeout-ms); a second signal "
      "ends it\n"
      "at once. Without keys anyone may call, so only loopback addresses are served; 'thinkd keys' makes "
      "keys.\n"
      "--data is made if it is missing and belongs to one server at a time.\n",
      serve_run, NULL },
    { "ask", CMD_ASK, "[QUESTION...]", "ask one question and print the answer as it comes",
      "The question is the words given, or standard input for '-' and where there are no words.\n"
      "The answer goes to standard output; thinking (--thinking) and usage go to standard error.\n",
      ask_run, NULL },
    { "models", CMD_MODELS, "", "list the models, their prices and limits",
      "Lists what this configuration would serve, or what the server at --url does.\n", models_run, NULL },
    { "exam", CMD_EXAM, "", "ask problems with known answers and report how many are right",
      "The problems are generated and were held out of the bundled model's training; --file asks your own.\n",
      exam_command, exam_list },
    { "replay", CMD_REPLAY, "FILE", "evaluate votes and stop rules on traces that an exam recorded",
      "FILE is the --state of 'thinkd exam --record N'. Nothing is asked: the rules of this configuration's "
      "models "
      "that\nhave many lines of thought, and others beside them, are run on 200 orders of each question's "
      "traces.\n",
      replay_run, NULL },
    { "keys", CMD_KEYS, "create NAME | list | revoke NAME|ID", "make, list and revoke API keys",
      "Keys are kept in --data, where a running server sees them within two seconds. A new key is shown "
      "once: only\n"
      "its hash is kept. Limits bind its owner; what is not given is the server's default.\n",
      keys_run, NULL },
    { "prompts", CMD_PROMPTS, "", "list the prompt templates and check them",
      "Templates are files NAME@VERSION.yaml in the directory 'prompts' of --data; requests name them "
      "pmpt_NAME.\n"
      "The status is 1 when one of them is wrong.\n",
      prompts_run, NULL },
    { "version", CMD_VERSION, "", "print the version, and what it was built with", "", version_run, NULL },
};

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

bool cli_command(size_t i, const char **name, const char **summary)
{
    if (i >= ARRAY_LEN(commands))
        return false;
    *name = commands[i].name;
    *summary = commands[i].summary;
    return true;
}

/* --- help -------------------------------------------------------------------------------------------- */

static void put_program_help(struct buf *out)
{
    buf_puts(out,
             "thinkd - a reasoning-model service on your own machine\n\nUsage: thinkd COMMAND [OPTIONS]\n\n");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        buf_printf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
    buf_puts(out, "\n'thinkd COMMAND --help' lists the options of a command. To begin: thinkd serve\n");
}

static void put_command_help(struct buf *out, const struct command *c)
{
    buf_printf(out, "thinkd %s - %s\n\nUsage: thinkd %s [OPTIONS]%s%s\n\n", c->name, c->summary, c->name,
               c->args[0] ? " " : "", c->args);
    if (c->details[0])
        buf_printf(out, "%s\n", c->details);
    buf_puts(out, "Options:\n");
    config_help(out, c->bit);
    if (c->list)
        c->list(out);
    buf_puts(
        out,
        "\nAn option may also be an environment variable (--kv-bytes-max is THINKD_KV_BYTES_MAX) or a key "
        "of\nthe YAML file that --config names (kv_bytes_max). Flag beats environment beats file.\n");
}

bool cli_help(struct buf *out, const char *name)
{
    const struct command *c = name ? find(name) : NULL;
    if (name && !c)
        return false;
    if (c)
        put_command_help(out, c);
    else
        put_program_help(out);
    return true;
}

static int print_help(const char *name)
{
    struct buf out = { 0 };
    cli_help(&out, name);
    bool ok = term_put(stdout, buf_str(&out));
    buf_free(&out);
    return ok ? CLI_OK : CLI_FAILED;
}

/* "--" ends the options, so a question may hold the word --help behind it. */
static bool wants_help(int argc, const char *const *argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

/* --- errors ------------------------------------------------------------------------------------------ */

int cli_fail(const struct err *err)
{
    struct buf line = { 0 };
    buf_printf(&line, "thinkd: %s\n", err->message);
    term_put(stderr, buf_str(&line));
    buf_free(&line);
    return err->code == ERR_CONFIG ? CLI_USAGE : CLI_FAILED;
}

enum err_code cli_no_args(const struct config *cfg, const char *command, struct err *err)
{
    if (cfg->n_args == 0)
        return ERR_OK;
    return err_set(err, ERR_CONFIG, NULL, "'thinkd %s' takes options only, but got '%.80s'.", command,
                   cfg->args[0]);
}

static int unknown_command(const char *name)
{
    const char *meant = NULL;
    size_t least = 3;
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(commands) && strlen(name) < 32; i++) {
        size_t edits = str_distance(str_from(name), str_from(commands[i].name));
        if (edits < least) {
            least = edits;
            meant = commands[i].name;
        }
    }
    if (meant)
        err_set(&err, ERR_CONFIG, NULL, "unknown command '%s'; did you mean '%s'?", name, meant);
    else
        err_set(&err, ERR_CONFIG, NULL, "unknown command '%.80s'; 'thinkd help' lists them.", name);
    return cli_fail(&err);
}

/* --- dispatch ---------------------------------------------------------------------------------------- */

static void set_log_level(const struct command *c, const struct config *cfg)
{
    enum log_level level = c->bit == CMD_SERVE ? LOG_INFO : LOG_WARN;
    if (cfg->log_level)
        log_level_from(cfg->log_level, &level); /* config has checked the name */
    log_set_level(level);
}

static int run(const struct command *c, int argc, const char *const *argv, const char *const *env)
{
    struct config cfg;
    struct err err = { 0 };
    int status;
    json_start();
    if (config_load(&cfg, c->bit, argc, argv, env, &err)) {
        status = cli_fail(&err);
    } else {
        set_log_level(c, &cfg);
        status = c->run(&cfg);
    }
    config_free(&cfg);
    if (status == CLI_OK && (fflush(stdout) || ferror(stdout))) {
        err_set(&err, ERR_FILE, NULL, "cannot write to standard output.");
        status = cli_fail(&err);
    }
    return status;
}

int cli_main(int argc, const char *const *argv, const char *const *env)
{
    const char *name = argc > 1 ? argv[1] : "help";
    if (strcmp(name, "--version") == 0)
        name = "version";
    bool help = strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    if (help && argc < 3)
        return print_help(NULL);
    if (help)
        name = argv[2];
    const struct command *c = find(name);
    if (!c)
        return unknown_command(name);
    if (help || wants_help(argc - 2, argv + 2))
        return print_help(c->name);
    return run(c, argc - 2, argv + 2, env);
}
