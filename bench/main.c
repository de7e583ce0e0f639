/* remora-bench: load generator, mock provider and measurements, one program so that a test needs nothing else. */
#include "bench_eviction.h"
#include "bench_internal.h"

typedef struct bench_command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} bench_command;

static const bench_command commands[] = {
    {"load", rm_bench_load, "send requests at a rate or in a closed loop and report what came back"},
    {"mock", rm_bench_mock, "a provider that answers by rule, with faults on demand"},
    {"embed", rm_bench_embed, "CPU time of the encoder, one text at a time"},
    {"index", rm_bench_index, "searches of a large partition: recall, time and memory; flat ones against FAISS"},
    {"lane", rm_bench_lane, "throughput and overload of the encoder's workers"},
    {"eviction", rm_bench_eviction, "hit ratio of the store's eviction policy against LRU on Zipf traces"},
    {"selftest", rm_bench_selftest, "check the samplers, schedules and encoders of this program"},
};

static void print_usage(FILE *out)
{
    fprintf(out, "usage: remora-bench COMMAND [OPTION]...\n\n");
    for (size_t i = 0; i < RM_COUNT(commands); i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
    fprintf(out,
            "\nremora-bench COMMAND --help says more. Exit status: 0 done, 1 what was measured is bad, 2 usage.\n");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0) {
        printf("remora-bench %s\n", REMORA_VERSION);
        return 0;
    }
    for (size_t i = 0; i < RM_COUNT(commands); i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    print_usage(stderr);
    return 2;
}
