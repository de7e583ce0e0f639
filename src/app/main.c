/* remora SUBCOMMAND …: finds the subcommand and hands over. */
#include <stdio.h>
#include <string.h>

#include "app_internal.h"

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the subcommand's name; returns the exit status */
    const char *help;
} command;

static const command commands[] = {
    {"serve", rm_app_serve, "run the sidecar"},
    {"check", rm_app_check, "validate configuration and upstreams"},
    {"embed", rm_app_embed, "texts to vectors: standard input, one a line, to one JSON array a line"},
    {"eval", rm_app_eval, "measure on a data file: one JSON object on standard output"},
    {"cache", rm_app_cache, "look into and clear the cache of a running or stopped Remora"},
    {"report", rm_app_report, "savings, by tenant, model and reason"},
};

static void print_help(FILE *out)
{
    fputs("remora: an optimization sidecar for LLM traffic\n\nusage: remora SUBCOMMAND [-c FILE] [OPTION]...\n\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
    fputs("\n  --help, --version; each subcommand has its own --help\n"
          "exit status: 0 done, 1 the thing asked about is bad, 2 usage\n",
          out);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0) {
        rm_app_print_version(stdout);
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (name[0])
        fprintf(stderr, "remora: unknown subcommand '%s'\n\n", name);
    print_help(stderr);
    return 2;
}
