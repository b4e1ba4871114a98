/*
 * cli.h - the command line: `thinkd COMMAND ...` from its words to its exit status.
 *
 * Exit status: 0 the command did what it was asked, 1 it could not, 2 the words or the configuration are wrong.
 * What a command gives goes to standard output, everything said beside it to standard error; colour and
 * progress appear only where a person watches (isatty).
 *
 * Threads: the main thread of a process.
 */
#ifndef THINKD_CLI_CLI_H
#define THINKD_CLI_CLI_H

#include "base/buf.h"

enum { CLI_OK, CLI_FAILED, CLI_USAGE };

/* argv[0] is the program's name; env: "NAME=value" strings, NULL-terminated. Gives the exit status. */
int cli_main(int argc, const char *const *argv, const char *const *env);

/* The help of a command, or of the program where name is NULL; false: there is no such command. */
bool cli_help(struct buf *out, const char *name);
/* Row i of the command table, for documents and tests: false past the end. */
bool cli_command(size_t i, const char **name, const char **summary);

#endif
