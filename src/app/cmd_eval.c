/* remora eval: measurements on data files, one JSON object on standard output. */
#include <math.h>
#include <stdio.h>

#include "app_internal.h"
#include "remora/json.h"

#define LINE_BYTES ((size_t)RM_EMBED_TEXT_BYTES_MAX + 2)

/* ---- embed: cosines against golden vectors ----------------------------------------------------------------------- */

typedef struct comparison {
    rm_model *model;
    rm_encoder *encoder;
    uint32_t *ids;
    float *vector;
    char *text, *golden; /* LINE_BYTES each */
    uint64_t texts, least_at;
    double sum, least;
} comparison;

/* The next line without its end; false at the end of the file. */
static bool next_line(FILE *file, char *line, rm_slice *ret_line)
{
    if (!fgets(line, (int)LINE_BYTES, file))
        return false;
    *ret_line = rm_slice_make(line, strcspn(line, "\n"));
    return true;
}

/* Cosine of the vector and of a JSON array of as many numbers; NaN: it is none. */
static double cosine_with(const float *vector, uint32_t count, rm_slice text)
{
    const rm_json *root;
    rm_arena arena;
    double dot = 0, own = 0, other = 0;
    uint32_t i = 0;

    rm_arena_init(&arena, NULL, 64 * RM_MIB);
    if (rm_json_parse(&arena, text, &root) == RM_OK && rm_json_typeof(root) == RM_JSON_ARRAY) {
        for (rm_json_iter it = rm_json_iterate(root); rm_json_iter_next(&it); i++) {
            double value = rm_json_double(it.value, (double)NAN);
            if (i < count) {
                dot += value * (double)vector[i];
                own += (double)vector[i] * (double)vector[i];
                other += value * value;
            }
        }
    }
    rm_arena_deinit(&arena);
    return i == count && own > 0 && other > 0 ? dot / sqrt(own * other) : (double)NAN;
}

static bool compare_line(comparison *c, rm_slice text, rm_slice golden)
{
    const rm_model_shape *shape = rm_model_shape_of(c->model);
    uint32_t count =
        (uint32_t)rm_tokenize(rm_model_tokenizer(c->model), text, RM_OVERFLOW_HEAD, c->ids, shape->tokens_max);

    if (rm_encoder_run(c->encoder, c->ids, &count, 1, c->vector) != RM_OK)
        return false;
    double cosine = cosine_with(c->vector, shape->hidden, golden);
    c->texts++;
    if (isnan(cosine)) {
        (void)fprintf(stderr, "remora: line %llu of the golden vectors is no array of %u numbers\n",
                      (unsigned long long)c->texts, shape->hidden);
        return false;
    }
    c->sum += cosine;
    if (c->texts == 1 || cosine < c->least) {
        c->least = cosine;
        c->least_at = c->texts;
    }
    return true;
}

static bool compare_files(comparison *c, FILE *texts, FILE *golden)
{
    rm_slice text, vector;

    while (next_line(texts, c->text, &text)) {
        if (!next_line(golden, c->golden, &vector)) {
            (void)fprintf(stderr, "remora: there are fewer golden vectors than texts\n");
            return false;
        }
        if (!compare_line(c, text, vector))
            return false;
    }
    if (c->texts == 0)
        (void)fprintf(stderr, "remora: there are no texts\n");
    return c->texts > 0;
}

static int compare(comparison *c, const char *texts_path, const char *golden_path)
{
    const rm_model_shape *shape = rm_model_shape_of(c->model);
    FILE *texts = fopen(texts_path, "re"), *golden = fopen(golden_path, "re");
    bool done = false;

    c->ids = rm_calloc(shape->tokens_max, sizeof(*c->ids));
    c->vector = rm_calloc(shape->hidden, sizeof(*c->vector));
    c->text = rm_alloc(LINE_BYTES);
    c->golden = rm_alloc(LINE_BYTES);
    if (!texts || !golden)
        (void)fprintf(stderr, "remora: %s cannot be read\n", texts ? golden_path : texts_path);
    else if (!c->ids || !c->vector || !c->text || !c->golden || rm_encoder_create(c->model, &c->encoder) != RM_OK)
        (void)fprintf(stderr, "remora: out of memory\n");
    else
        done = compare_files(c, texts, golden);
    if (done)
        (void)printf("{\"texts\": %llu, \"precision\": \"%s\", \"kernels\": \"%s\", \"cosine\": {\"mean\": %.9f, "
                     "\"min\": %.9f, \"min_line\": %llu}}\n",
                     (unsigned long long)c->texts, rm_precision_name(rm_model_precision(c->model)),
                     rm_model_kernels(c->model), c->sum / (double)c->texts, c->least, (unsigned long long)c->least_at);
    rm_encoder_destroy(c->encoder);
    rm_free(c->golden);
    rm_free(c->text);
    rm_free(c->vector);
    rm_free(c->ids);
    if (golden)
        (void)fclose(golden);
    if (texts)
        (void)fclose(texts);
    return done ? RM_APP_DONE : RM_APP_BAD;
}

static int eval_embed(int argc, char **argv)
{
    const char *file = NULL, *texts = NULL, *golden = NULL, *name = NULL, *precision = NULL;
    const rm_app_option options[] = {
        RM_APP_CONFIG_OPTION(&file),
        {"--texts", "FILE", "one text a line", &texts, NULL},
        {"--golden", "FILE", "one JSON array of numbers a line: the vector that the text should have", &golden, NULL},
        {"--model", "NAME", "a fetched model or a folder (default: cache.semantic.model)", &name, NULL},
        {"--precision", "P", "auto, fp32, bf16 or int8 (default: embed.precision)", &precision, NULL},
    };
    const rm_app_command command = {
        "remora eval embed --texts FILE --golden FILE [-c FILE] [--model NAME] [--precision P]",
        "Cosines of the encoder's vectors with golden ones.",
        options,
        RM_COUNT(options),
        NULL,
        0};
    comparison c = {0};
    rm_config *config;

    int code = rm_app_parse(&command, argc, argv);
    if (code != RM_APP_GO)
        return code;
    if (!texts || !golden)
        return rm_app_usage(&command, "--texts and --golden are needed");
    if (!rm_app_peek_config(file, &config))
        return RM_APP_BAD;
    code = rm_app_open_model(&command, config, name, precision, &c.model);
    if (code == RM_APP_GO)
        code = compare(&c, texts, golden);
    rm_model_close(c.model);
    rm_config_unref(config);
    return code;
}

/* ---- the subcommand ---------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} evaluations[] = {{"semantic", rm_app_eval_semantic}, {"pairs", rm_app_eval_pairs}, {"embed", eval_embed}};

int rm_app_eval(int argc, char **argv)
{
    const rm_app_command command = {"remora eval semantic|pairs|embed [OPTION]...",
                                    "Measures on a data file. `remora eval semantic --help` says more.",
                                    NULL,
                                    0,
                                    NULL,
                                    0};

    for (size_t i = 0; argc > 1 && i < RM_COUNT(evaluations); i++)
        if (strcmp(argv[1], evaluations[i].name) == 0)
            return evaluations[i].run(argc - 1, argv + 1);
    if (argc > 1 && argv[1][0] != '-')
        return rm_app_usage(&command, "eval: there is no evaluation '%s'", argv[1]);
    int code = rm_app_parse(&command, argc, argv);
    return code == RM_APP_GO ? rm_app_usage(&command, "eval: of what?") : code;
}
