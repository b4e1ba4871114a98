/*
 * main.c - the process begins here; everything else of the command line is in the library, where tests reach it.
 */
#include "cli/cli.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    return cli_main(argc, (const char *const *)argv, (const char *const *)environ);
}
