/* Command-line options from one table a command: parsing and --help come from the same rows. */
#include <stdlib.h>

#include "bench_internal.h"

static void print_help(const char *usage, const rm_bench_option *options, size_t count)
{
    printf("usage: %s\n\n", usage);
    for (size_t i = 0; i < count; i++) {
        char left[64];
        snprintf(left, sizeof(left), "--%s %s", options[i].name, options[i].argument ? options[i].argument : "");
        printf("  %-28s %s\n", left, options[i].help);
    }
    printf("  %-28s %s\n", "--help", "this text");
}

static const rm_bench_option *find_option(const rm_bench_option *options, size_t count, rm_slice name)
{
    for (size_t i = 0; i < count; i++)
        if (rm_slice_eq(rm_slice_cstr(options[i].name), name))
            return &options[i];
    return NULL;
}

static rm_status set_option(const rm_bench_option *option, const char *value)
{
    rm_slice text = rm_slice_cstr(value);
    switch (option->kind) {
    case RM_OPTION_FLAG:
        *(bool *)option->target = true;
        return RM_OK;
    case RM_OPTION_U64:
        return rm_parse_u64(text, option->target);
    case RM_OPTION_DOUBLE:
        return rm_parse_double(text, option->target);
    case RM_OPTION_SHARE: {
        double share;
        rm_status status = rm_parse_double(text, &share);
        if (status != RM_OK || share < 0 || share > 1)
            return RM_EPARSE;
        *(double *)option->target = share;
        return RM_OK;
    }
    case RM_OPTION_DURATION_US:
        return rm_parse_duration_us(text, true, option->target);
    case RM_OPTION_BYTES:
        return rm_parse_bytes(text, option->target);
    case RM_OPTION_TEXT:
        *(const char **)option->target = value;
        return RM_OK;
    case RM_OPTION_LIST: {
        rm_bench_list *list = option->target;
        if (list->count == RM_BENCH_LIST_MAX)
            return RM_ETOOBIG;
        list->items[list->count++] = value;
        return RM_OK;
    }
    }
    return RM_EINVAL;
}

static int usage_error(const char *usage, const char *what, const char *argument)
{
    fprintf(stderr, "remora-bench: %s: %s\nusage: %s (--help says more)\n", argument, what, usage);
    return 2;
}

int rm_bench__options_parse(const char *usage, const rm_bench_option *options, size_t count, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            print_help(usage, options, count);
            return 0;
        }
        if (strncmp(argument, "--", 2) != 0)
            return usage_error(usage, "not an option", argument);
        const char *equals = strchr(argument, '=');
        rm_slice name = rm_slice_make(argument + 2, equals ? (size_t)(equals - argument - 2) : strlen(argument + 2));
        const rm_bench_option *option = find_option(options, count, name);
        if (!option)
            return usage_error(usage, "unknown option", argument);
        const char *value = equals ? equals + 1 : NULL;
        if (option->kind == RM_OPTION_FLAG && value)
            return usage_error(usage, "takes no value", argument);
        if (option->kind != RM_OPTION_FLAG && !value) {
            if (i + 1 == argc)
                return usage_error(usage, "lacks its value", argument);
            value = argv[++i];
        }
        if (set_option(option, value) != RM_OK)
            return usage_error(usage, "cannot be read", value);
    }
    return -1;
}
