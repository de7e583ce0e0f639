/* remora-bench embed: the encoder's CPU time for one text at a time, and its other figures. */
#include <limits.h>
#include <stdlib.h>
#include <time.h>

#include "bench_internal.h"
#include "remora/embed.h"

static const char usage[] = "usage: remora-bench embed [OPTION]...\n\nTimes the encoder on random tokens, one text at "
                            "a time on one thread.\n\n";

typedef struct embed_arguments {
    const char *model, *precision, *kernels;
    uint64_t tokens, texts;
    bool json;
} embed_arguments;

typedef struct embed_figures {
    double load_ms, first_us, mean_us, best_us, median_us;
} embed_figures;

static double cpu_us(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static rm_status measure(rm_encoder *encoder, const rm_model *model, const embed_arguments *a, embed_figures *ret)
{
    const rm_model_shape *shape = rm_model_shape_of(model);
    uint32_t length = (uint32_t)a->tokens;
    uint32_t *ids = rm_calloc(length, sizeof(*ids));
    float *vector = rm_calloc(shape->hidden, sizeof(*vector));
    double *times = rm_calloc(a->texts, sizeof(*times)), sum = 0;
    rm_status status = ids && vector && times ? RM_OK : RM_ENOMEM;
    rm_rng rng;
    rm_rng_seed(&rng, 1);
    for (uint64_t i = 0; status == RM_OK && i <= a->texts; i++) {
        for (uint32_t t = 0; t < length; t++)
            ids[t] = (uint32_t)(rm_rng_next(&rng) % shape->vocabulary);
        double begun = cpu_us();
        status = rm_encoder_run(encoder, ids, &length, 1, vector);
        double taken = cpu_us() - begun;
        if (i == 0) {
            ret->first_us = taken;
            continue;
        }
        times[i - 1] = taken;
        sum += taken;
    }
    if (status == RM_OK) {
        qsort(times, a->texts, sizeof(*times), by_size);
        ret->mean_us = sum / (double)a->texts;
        ret->best_us = times[0];
        ret->median_us = times[a->texts / 2];
    }
    rm_free(ids);
    rm_free(vector);
    rm_free(times);
    return status;
}

static void print(const rm_model *model, const embed_arguments *a, const embed_figures *f)
{
    const char *precision = rm_precision_name(rm_model_precision(model)), *kernels = rm_model_kernels(model);
    if (a->json)
        printf("{\"model\": \"%s\", \"precision\": \"%s\", \"kernels\": \"%s\", \"tokens\": %llu, \"texts\": %llu, "
               "\"cpu_us\": %.2f, \"cpu_median_us\": %.2f, \"cpu_best_us\": %.2f, \"cpu_first_us\": %.2f, \"load_ms\": "
               "%.2f}\n",
               a->model, precision, kernels, (unsigned long long)a->tokens, (unsigned long long)a->texts, f->mean_us,
               f->median_us, f->best_us, f->first_us, f->load_ms);
    else
        printf(
            "%s, %s by %s, %llu tokens: mean %.1f us, median %.1f us, best %.1f us, first %.1f us; loaded in %.1f ms\n",
            a->model, precision, kernels, (unsigned long long)a->tokens, f->mean_us, f->median_us, f->best_us,
            f->first_us, f->load_ms);
}

static rm_status run(const rm_model_options *options, const embed_arguments *a, rm_buf *why)
{
    const rm_clock *clock = rm_clock_system();
    uint64_t begun = clock->mono_ns(clock);
    rm_encoder *encoder = NULL;
    rm_model *model;
    embed_figures figures = {0};
    rm_status status = rm_model_open(options, &model, why);
    if (status != RM_OK)
        return status;
    figures.load_ms = (double)(clock->mono_ns(clock) - begun) / 1e6;
    status = rm_encoder_create(model, &encoder);
    if (status == RM_OK)
        status = measure(encoder, model, a, &figures);
    if (status == RM_OK)
        print(model, a, &figures);
    rm_encoder_destroy(encoder);
    rm_model_close(model);
    return status;
}

int rm_bench_embed(int argc, char **argv)
{
    embed_arguments a = {.model = "all-minilm-l6-v2", .precision = "auto", .tokens = 16, .texts = 200};
    const rm_bench_option table[] = {
        {"model", "NAME", "a fetched model or a folder (all-minilm-l6-v2)", RM_OPTION_TEXT, &a.model},
        {"precision", "P", "auto, fp32, bf16 or int8 (auto)", RM_OPTION_TEXT, &a.precision},
        {"kernels", "NAME", "by name, for comparisons (the best here)", RM_OPTION_TEXT, &a.kernels},
        {"tokens", "N", "in a text (16)", RM_OPTION_U64, &a.tokens},
        {"texts", "N", "that are timed, after one more (200)", RM_OPTION_U64, &a.texts},
        {"json", NULL, "one JSON object", RM_OPTION_FLAG, &a.json},
    };
    char folder[PATH_MAX];
    rm_model_options options = {.folder = folder};
    rm_buf why;
    int code = rm_bench__options_parse(usage, table, RM_COUNT(table), argc, argv);
    if (code >= 0)
        return code;
    options.kernels = a.kernels;
    if (!rm_precision_parse(a.precision, &options.precision) || a.tokens == 0 || a.tokens > RM_EMBED_BATCH_TOKENS_MAX ||
        a.texts == 0 || a.texts > 1000000) {
        fprintf(
            stderr,
            "remora-bench: embed: --precision is auto, fp32, bf16 or int8; --tokens 1 to %d, --texts 1 to 1000000\n",
            RM_EMBED_BATCH_TOKENS_MAX);
        return 2;
    }
    if (!rm_model_find(a.model, folder, sizeof(folder))) {
        fprintf(stderr, "remora-bench: embed: no model %s; models/fetch %s gets it\n", a.model, a.model);
        return 1;
    }
    rm_buf_init(&why, 4 * RM_KIB);
    rm_status status = run(&options, &a, &why);
    if (status != RM_OK)
        fprintf(stderr, "remora-bench: embed: %s: %.*s\n", rm_status_text(status), (int)why.len,
                why.len ? why.ptr : "");
    rm_buf_deinit(&why);
    return status == RM_OK ? 0 : 1;
}
