/* Arguments of subcommands, by a table. */
#include <stdarg.h>
#include <stdio.h>

#include "app_internal.h"
#include "remora/index.h"

static void print_help(const rm_app_command *command)
{
    (void)printf("usage: %s\n\n%s\n\n", command->usage, command->about);
    for (size_t i = 0; i < command->option_count; i++) {
        const rm_app_option *option = &command->options[i];
        char left[64];
        (void)snprintf(left, sizeof(left), "%s%s%s", option->name, option->argument ? " " : "",
                       option->argument ? option->argument : "");
        (void)printf("  %-20s %s\n", left, option->help);
    }
    (void)printf("  %-20s %s\n  %-20s %s\n", "--help", "print this", "--version", "print the version");
}

void rm_app_print_version(FILE *out)
{
    (void)fprintf(out, "remora %s\nwith %s\n", REMORA_VERSION, rm_index_version());
}

int rm_app_usage(const rm_app_command *command, const char *format, ...)
{
    va_list args;

    (void)fprintf(stderr, "remora: ");
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fprintf(stderr, "\nusage: %s\n", command->usage);
    return RM_APP_USAGE;
}

/* The option that `word` names; its argument where it is joined on ("--since=7d", "-cFILE"), else NULL. */
static const rm_app_option *find_option(const rm_app_command *command, const char *word, const char **ret_joined)
{
    for (size_t i = 0; i < command->option_count; i++) {
        const rm_app_option *option = &command->options[i];
        size_t len = strlen(option->name);
        bool is_short = option->name[1] != '-';
        *ret_joined = NULL;
        if (strncmp(word, option->name, len) != 0)
            continue;
        if (word[len] == 0)
            return option;
        if (option->argument && (is_short || word[len] == '=')) {
            *ret_joined = word + len + (word[len] == '=');
            return option;
        }
    }
    return NULL;
}

/* Takes the option at argv[*at]; leaves *at on the last word it used. */
static int take_option(const rm_app_command *command, int argc, char **argv, int *at)
{
    const char *word = argv[*at], *value;
    const rm_app_option *option = find_option(command, word, &value);

    if (!option)
        return rm_app_usage(command, "unknown option %s", word);
    if (!option->argument) {
        *option->flag = true;
        return RM_APP_GO;
    }
    if (!value) {
        if (*at + 1 >= argc)
            return rm_app_usage(command, "%s needs %s", option->name, option->argument);
        value = argv[++*at];
    }
    *option->text = value;
    return RM_APP_GO;
}

int rm_app_parse(const rm_app_command *command, int argc, char **argv)
{
    bool options_end = false;
    size_t operands = 0;
    int code;

    for (int i = 1; i < argc; i++) {
        if (!options_end && strcmp(argv[i], "--help") == 0) {
            print_help(command);
            return RM_APP_DONE;
        }
        if (!options_end && strcmp(argv[i], "--version") == 0) {
            rm_app_print_version(stdout);
            return RM_APP_DONE;
        }
        if (!options_end && strcmp(argv[i], "--") == 0) {
            options_end = true;
        } else if (!options_end && argv[i][0] == '-' && argv[i][1]) {
            if ((code = take_option(command, argc, argv, &i)) != RM_APP_GO)
                return code;
        } else if (operands < command->operand_count) {
            command->operands[operands++] = argv[i];
        } else {
            return rm_app_usage(command, "one word too many: %s", argv[i]);
        }
    }
    if (operands < command->operand_count)
        return rm_app_usage(command, "something is missing");
    return RM_APP_GO;
}
