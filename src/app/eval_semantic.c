/* remora eval semantic, remora eval pairs: the semantic cache's own modules over a data file, without a network.
 *
 *     lines ──► texts ──► vectors (once) ──► one replay for each --max-error and --seed ──► JSON
 *
 * A row's answer is known, so that what would have been served wrong can be counted; the cache is told of it only where an
 * upstream would have been asked. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "app_internal.h"
#include "remora/clock.h"
#include "remora/json.h"
#include "remora/limits.h"
#include "remora/semantic.h"

#define LINE_BYTES  ((size_t)2 * RM_EMBED_TEXT_BYTES_MAX + 64 * RM_KIB)
#define TEXTS_BYTES ((size_t)1024 * RM_MIB)
#define RUNS_MAX    16
#define KINDS_MAX   256
#define NO_ENTRY    UINT64_MAX
#define PROGRESS_S  2
#define AUDIT_SHARE 0.02

/* One text to be asked, in the order of asking. */
typedef struct item {
    rm_slice text;
    rm_slice answer;
    rm_semantic_answer read;
    double embed_us;
    size_t kind; /* its place among the data's and 1; 0: none */
} item;

typedef struct data {
    rm_arena arena; /* texts */
    item *items;
    size_t count, capacity;
    float *vectors; /* count x dimensions */
    uint32_t dimensions;
    rm_slice kinds[KINDS_MAX]; /* of rows of a stream, in order of appearance */
    size_t kind_count;
    rm_buf sources; /* of pairs: names, each with its NUL */
} data;

typedef struct setting {
    const char *model;
    double errors[RUNS_MAX];
    uint64_t seeds[RUNS_MAX];
    size_t error_count, seed_count;
    const char *vectors; /* a file of them; NULL: none */
    FILE *features;      /* where each candidate's features are written; NULL: nowhere */
} setting;

static double now_us(void)
{
    const rm_clock *clock = rm_clock_system();
    return (double)clock->mono_ns(clock) / 1e3;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static bool bad_line(const char *path, size_t line, const char *what)
{
    (void)fprintf(stderr, "remora: %s:%zu: %s\n", path, line, what);
    return false;
}

static rm_status add_item(data *d, rm_slice text, rm_slice answer)
{
    if (d->count == d->capacity) {
        size_t capacity = d->capacity ? 2 * d->capacity : 1024;
        item *items = rm_realloc(d->items, capacity * sizeof(*items));
        if (!items)
            return RM_ENOMEM;
        d->items = items;
        d->capacity = capacity;
    }
    item *new = &d->items[d->count];
    *new = (item){.text = rm_arena_dup(&d->arena, text), .answer = rm_arena_dup(&d->arena, answer)};
    if (!new->text.ptr || !new->answer.ptr)
        return RM_ENOMEM;
    d->count++;
    return rm_semantic_read_answer(new->answer, &new->read);
}

static rm_status find_kind(data *d, rm_slice name, size_t *ret_kind)
{
    size_t i = 0;

    while (i < d->kind_count && !rm_slice_eq(d->kinds[i], name))
        i++;
    if (i == KINDS_MAX)
        return RM_ETOOBIG;
    if (i == d->kind_count) {
        d->kinds[i] = rm_arena_dup(&d->arena, name);
        if (!d->kinds[i].ptr)
            return RM_ENOMEM;
        d->kind_count++;
    }
    *ret_kind = i + 1;
    return RM_OK;
}

/* One row of a stream: {"q","cls"}, and perhaps "kind". */
static rm_status read_stream_row(data *d, const rm_json *row)
{
    rm_slice text = rm_json_string(rm_json_get(row, "q")), answer = rm_json_string(rm_json_get(row, "cls"));
    const rm_json *kind = rm_json_get(row, "kind");
    rm_slice name = rm_json_string(kind);
    rm_status status;

    if (!text.ptr || !answer.ptr || (kind && !name.ptr))
        return RM_EPARSE;
    status = add_item(d, text, answer);
    return status || !kind ? status : find_kind(d, name, &d->items[d->count - 1].kind);
}

/* One row of pairs: {"a","b","label","src"}: two items. */
static rm_status read_pair_row(data *d, const rm_json *row)
{
    rm_slice a = rm_json_string(rm_json_get(row, "a")), b = rm_json_string(rm_json_get(row, "b"));
    rm_slice source = rm_json_string(rm_json_get(row, "src"));
    double label = rm_json_double(rm_json_get(row, "label"), -1);
    rm_status status;

    if (!a.ptr || !b.ptr || !source.ptr || (label != 0 && label != 1))
        return RM_EPARSE;
    status = add_item(d, a, RM_SLICE("one"));
    if (!status)
        status = add_item(d, b, label != 0 ? RM_SLICE("one") : RM_SLICE("other"));
    rm_buf_append_slice(&d->sources, source);
    rm_buf_append(&d->sources, "", 1);
    return status ? status : d->sources.status;
}

static bool read_rows(data *d, const char *path, rm_status (*read_row)(data *, const rm_json *))
{
    FILE *file = fopen(path, "re");
    char *line = rm_alloc(LINE_BYTES);
    size_t number = 0;
    bool good = file && line;
    rm_arena arena;

    rm_arena_init(&arena, NULL, 64 * RM_MIB);
    if (!good)
        (void)fprintf(stderr, "remora: %s cannot be read\n", path);
    while (good && fgets(line, (int)LINE_BYTES, file)) {
        const rm_json *row;
        number++;
        rm_status status = rm_json_parse(&arena, rm_slice_cstr(line), &row);
        if (!status)
            status = read_row(d, row);
        if (status)
            good = bad_line(path, number, status == RM_ENOMEM ? "out of memory" : "no row of this evaluation");
        rm_arena_deinit(&arena);
        rm_arena_init(&arena, NULL, 64 * RM_MIB);
    }
    if (good && d->count == 0)
        good = bad_line(path, 1, "there are no rows");
    rm_arena_deinit(&arena);
    rm_free(line);
    if (file)
        (void)fclose(file);
    return good;
}

static bool embed_all(data *d, rm_model *model)
{
    const rm_model_shape *shape = rm_model_shape_of(model);
    uint32_t *ids = rm_calloc(shape->tokens_max, sizeof(*ids));
    rm_encoder *encoder = NULL;
    double told = now_us();
    bool good = false;

    d->dimensions = shape->hidden;
    d->vectors = rm_calloc(d->count * shape->hidden, sizeof(float));
    if (ids && d->vectors && rm_encoder_create(model, &encoder) == RM_OK)
        good = true;
    for (size_t i = 0; good && i < d->count; i++) {
        double begin = now_us();
        uint32_t count = (uint32_t)rm_tokenize(rm_model_tokenizer(model), d->items[i].text, RM_OVERFLOW_HEAD, ids,
                                               shape->tokens_max);
        good = rm_encoder_run(encoder, ids, &count, 1, d->vectors + i * shape->hidden) == RM_OK;
        d->items[i].embed_us = now_us() - begin;
        if (now_us() - told > PROGRESS_S * 1e6) {
            told = now_us();
            (void)fprintf(stderr, "remora: embedded %zu of %zu texts\n", i + 1, d->count);
        }
    }
    if (!good)
        (void)fprintf(stderr, "remora: out of memory\n");
    rm_encoder_destroy(encoder);
    rm_free(ids);
    return good;
}

/* Vectors from an earlier run on the same rows, or for the next one: raw floats. */
static bool load_vectors(data *d, const char *path, uint32_t dimensions)
{
    size_t wanted = d->count * dimensions;
    FILE *file = fopen(path, "re");
    float *vectors = file ? rm_calloc(wanted + 1, sizeof(*vectors)) : NULL;
    bool good = vectors && fread(vectors, sizeof(*vectors), wanted + 1, file) == wanted;

    if (file)
        (void)fclose(file);
    if (good) {
        d->dimensions = dimensions;
        d->vectors = vectors;
    } else {
        rm_free(vectors);
    }
    return good;
}

static bool save_vectors(const data *d, const char *path)
{
    size_t count = d->count * d->dimensions;
    FILE *file = fopen(path, "we");
    bool good = file && fwrite(d->vectors, sizeof(*d->vectors), count, file) == count;

    if (file && fclose(file) != 0)
        good = false;
    if (!good)
        (void)fprintf(stderr, "remora: %s cannot be written\n", path);
    return good;
}

static bool get_vectors(data *d, rm_model *model, const setting *s)
{
    bool loaded = s->vectors && load_vectors(d, s->vectors, rm_model_shape_of(model)->hidden);

    if (!loaded && (!embed_all(d, model) || (s->vectors && !save_vectors(d, s->vectors))))
        return false;
    for (size_t i = 0; i < d->count; i++)
        rm_semantic_centre(s->model, d->vectors + i * d->dimensions, d->dimensions);
    return true;
}

static void free_data(data *d)
{
    rm_free(d->vectors);
    rm_free(d->items);
    rm_buf_deinit(&d->sources);
    rm_arena_deinit(&d->arena);
}

/* ---- one replay -------------------------------------------------------------------------------------------------- */

typedef struct replay {
    const data *d;
    const setting *s;
    rm_index *index;
    rm_semantic *semantic;
    double max_error;
    double *us;
    uint64_t hits, wrong, audits;
    struct by_kind {
        uint64_t requests, right, wrong;
    } kinds[KINDS_MAX + 1];
} replay;

static rm_status text_of(uint64_t id, rm_buf *out, void *user)
{
    const data *d = user;
    rm_buf_append_slice(out, d->items[id].text);
    return out->status;
}

static bool begin_replay(replay *r, uint64_t seed)
{
    rm_index_options of_index = {.dimensions = r->d->dimensions};
    rm_semantic_options options = {.model = r->s->model,
                                   .text = text_of,
                                   .user = (void *)(uintptr_t)r->d,
                                   .audit_share = AUDIT_SHARE,
                                   .seed = seed};

    if (rm_index_create(&of_index, &r->index) != RM_OK)
        return false;
    options.index = r->index;
    return rm_semantic_create(&options, &r->semantic) == RM_OK;
}

static void end_replay(replay *r)
{
    rm_semantic_destroy(r->semantic);
    rm_index_destroy(r->index);
}

static void write_features(FILE *out, size_t row, const rm_semantic_decision *decision, bool right)
{
    (void)fprintf(out,
                  "{\"row\":%zu,\"entry\":%llu,\"right\":%d,\"verdict\":\"%s\",\"risk\":%.6g,\"limit\":%.6g,\"guards\":"
                  "%u,\"x\":[",
                  row, (unsigned long long)decision->entry, right, rm_verdict_name(decision->verdict), decision->likely,
                  decision->limit, decision->guards);
    for (unsigned i = 0; rm_semantic_feature_name(i); i++)
        (void)fprintf(out, "%s%.6g", i ? "," : "", decision->features[i]);
    (void)fprintf(out, "]}\n");
}

/* Asks item i. True: it went as it does in a Remora that has memory. */
static bool ask_one(replay *r, size_t i, rm_key128 partition, bool *ret_hit, bool *ret_right)
{
    const item *it = &r->d->items[i];
    rm_semantic_ask ask = {.partition = partition,
                           .text = it->text,
                           .vector = r->d->vectors + i * r->d->dimensions,
                           .max_error = r->max_error};
    rm_semantic_decision decision = {0};
    double begin = now_us();
    rm_status status = rm_semantic_decide(r->semantic, &ask, &decision);

    r->kinds[it->kind].requests++;
    if (status == RM_ETOOBIG || status == RM_EPARSE) /* for the exact cache alone */
        return true;
    if (status)
        return false;
    *ret_hit = decision.verdict == RM_VERDICT_HIT;
    *ret_right =
        decision.candidate && rm_semantic_judge(&r->d->items[decision.entry].read, &it->read) == RM_JUDGED_EQUAL;
    r->hits += *ret_hit;
    r->wrong += *ret_hit && !*ret_right;
    r->audits += decision.verdict == RM_VERDICT_AUDIT;
    r->kinds[it->kind].right += *ret_hit && *ret_right;
    r->kinds[it->kind].wrong += *ret_hit && !*ret_right;
    if (!*ret_hit)
        status = rm_semantic_learn(r->semantic, &ask, &decision, &it->read, i);
    r->us[i] = it->embed_us + now_us() - begin;
    if (r->s->features && decision.candidate)
        write_features(r->s->features, i, &decision, *ret_right);
    return status == RM_OK || status == RM_EREFUSED;
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* ---- the best threshold that hindsight finds --------------------------------------------------------------------- */

#define THRESHOLDS      50
#define THRESHOLD_LEAST 0.50
#define THRESHOLD_STEP  0.01
#define STATIC_ROWS_MAX 20000 /* the search is quadratic; of a longer stream its beginning is judged */

typedef struct fixed {
    size_t rows;
    uint64_t hits[THRESHOLDS], wrong[THRESHOLDS];
} fixed;

/* All thresholds at once: a bit of `kept` says with which of them the row was a miss, and so became an entry. */
static bool try_thresholds(const data *d, fixed *f)
{
    uint64_t *kept = rm_calloc(d->count, sizeof(*kept));

    if (!kept)
        return false;
    *f = (fixed){.rows = d->count < STATIC_ROWS_MAX ? d->count : STATIC_ROWS_MAX};
    for (size_t i = 0; i < f->rows; i++) {
        float best[THRESHOLDS];
        size_t at[THRESHOLDS] = {0};
        for (unsigned t = 0; t < THRESHOLDS; t++)
            best[t] = (float)(THRESHOLD_LEAST + THRESHOLD_STEP * t);
        for (size_t j = 0; j < i; j++) {
            float s =
                rm_semantic_similarity(d->vectors + i * d->dimensions, d->vectors + j * d->dimensions, d->dimensions);
            for (unsigned t = 0; t < THRESHOLDS && s >= (float)(THRESHOLD_LEAST + THRESHOLD_STEP * t); t++)
                if (s >= best[t] && (kept[j] >> t & 1)) {
                    best[t] = s;
                    at[t] = j + 1;
                }
        }
        for (unsigned t = 0; t < THRESHOLDS; t++) {
            kept[i] |= (uint64_t)!at[t] << t;
            f->hits[t] += at[t] > 0;
            f->wrong[t] +=
                at[t] > 0 && rm_semantic_judge(&d->items[at[t] - 1].read, &d->items[i].read) != RM_JUDGED_EQUAL;
        }
    }
    rm_free(kept);
    return true;
}

static void print_best(const fixed *f, double max_error)
{
    int best = -1;

    for (int t = 0; t < THRESHOLDS; t++)
        if ((double)f->wrong[t] <= max_error * (double)f->rows && (best < 0 || f->hits[t] > f->hits[best]))
            best = t;
    if (best < 0)
        (void)printf("\"best_static\": {\"threshold\": null, \"hit_share\": 0, \"error\": 0}");
    else
        (void)printf("\"best_static\": {\"threshold\": %.2f, \"hit_share\": %.5f, \"error\": %.5f}",
                     THRESHOLD_LEAST + THRESHOLD_STEP * best, (double)f->hits[best] / (double)f->rows,
                     (double)f->wrong[best] / (double)f->rows);
}

/* ---- eval semantic ----------------------------------------------------------------------------------------------- */

static void print_name(rm_slice text)
{
    rm_buf name;

    rm_buf_init(&name, LINE_BYTES);
    if (rm_buf_append_json_escaped(&name, text) == RM_OK)
        (void)printf("\"%.*s\": ", (int)name.len, name.ptr);
    rm_buf_deinit(&name);
}

static void print_kinds(const replay *r)
{
    for (size_t i = 0; i < r->d->kind_count; i++) {
        const struct by_kind *kind = &r->kinds[i + 1];
        (void)printf("%s", i ? ",\n" : ", \"by_kind\": {");
        print_name(r->d->kinds[i]);
        (void)printf("{\"requests\": %llu, \"served_right\": %llu, \"served_wrong\": %llu}",
                     (unsigned long long)kind->requests, (unsigned long long)kind->right,
                     (unsigned long long)kind->wrong);
    }
    if (r->d->kind_count)
        (void)printf("}");
}

static bool replay_stream(const data *d, const setting *s, const fixed *f, double max_error, uint64_t seed)
{
    replay r = {.d = d, .s = s, .max_error = max_error, .us = rm_calloc(d->count, sizeof(double))};
    rm_semantic_stats stats = {0};
    bool good = r.us && begin_replay(&r, seed), hit, right;

    for (size_t i = 0; good && i < d->count; i++)
        good = ask_one(&r, i, (rm_key128){0, 0}, &hit, &right);
    if (good && rm_semantic_get_stats(r.semantic, RM_SLICE(""), &stats) == RM_OK) {
        double n = (double)d->count;
        qsort(r.us, d->count, sizeof(*r.us), by_value);
        (void)printf(
            "{\"max_error\": %g, \"seed\": %llu, \"requests\": %zu, \"hits\": %llu, \"wrong\": %llu, \"audits\": "
            "%llu, \"hit_share\": %.5f, \"error\": %.5f, \"error_upper95\": %.5f, \"expected_error\": %.5f, "
            "\"correction\": %.3f, ",
            max_error, (unsigned long long)seed, d->count, (unsigned long long)r.hits, (unsigned long long)r.wrong,
            (unsigned long long)r.audits, (double)r.hits / n, (double)r.wrong / n,
            rm_semantic_upper95(r.wrong, d->count), stats.spent / n, stats.correction);
        print_best(f, max_error);
        (void)printf(", \"us\": {\"p50\": %.1f, \"p99\": %.1f}", r.us[d->count / 2], r.us[d->count * 99 / 100]);
        print_kinds(&r);
        (void)printf("}");
    }
    end_replay(&r);
    rm_free(r.us);
    return good;
}

static bool eval_streams(const data *d, const setting *s)
{
    bool many = s->error_count * s->seed_count > 1, good;
    fixed f = {0};

    good = try_thresholds(d, &f);
    if (many)
        (void)printf("{\"runs\": [");
    for (size_t e = 0; good && e < s->error_count; e++)
        for (size_t k = 0; good && k < s->seed_count; k++) {
            (void)printf("%s", e + k ? ",\n" : "");
            good = replay_stream(d, s, &f, s->errors[e], s->seeds[k]);
        }
    (void)printf(many ? "]}\n" : "\n");
    if (!good)
        (void)fprintf(stderr, "remora: out of memory\n");
    return good;
}

/* ---- eval pairs -------------------------------------------------------------------------------------------------- */

typedef struct tally {
    const char *source;
    uint64_t counts[2][2]; /* refused or served; wrong or right */
} tally;

#define SOURCES_MAX 256

static tally *tally_of(tally *tallies, size_t *count, const char *source)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(tallies[i].source, source) == 0)
            return &tallies[i];
    if (*count == SOURCES_MAX)
        return &tallies[SOURCES_MAX - 1];
    tallies[*count].source = source;
    return &tallies[(*count)++];
}

static void print_tallies(const tally *tallies, size_t count)
{
    (void)printf("{\"by_src\": {");
    for (size_t i = 0; i < count; i++) {
        (void)printf("%s", i ? ",\n" : "");
        print_name(rm_slice_cstr(tallies[i].source));
        (void)printf("{\"served_right\": %llu, \"served_wrong\": %llu, \"refused_right\": %llu, \"refused_wrong\": "
                     "%llu}",
                     (unsigned long long)tallies[i].counts[1][1], (unsigned long long)tallies[i].counts[1][0],
                     (unsigned long long)tallies[i].counts[0][1], (unsigned long long)tallies[i].counts[0][0]);
    }
    (void)printf("}}\n");
}

static bool eval_pairs(const data *d, const setting *s)
{
    replay r = {.d = d, .s = s, .max_error = s->errors[0], .us = rm_calloc(d->count, sizeof(double))};
    tally *tallies = rm_calloc(SOURCES_MAX, sizeof(*tallies));
    const char *source = d->sources.ptr;
    size_t count = 0;
    bool good = r.us && tallies && begin_replay(&r, s->seeds[0]);

    for (size_t i = 0; good && i + 1 < d->count; i += 2) {
        rm_key128 partition = {.hi = i, .lo = i};
        bool hit = false, near, same = rm_semantic_judge(&d->items[i].read, &d->items[i + 1].read) == RM_JUDGED_EQUAL;
        good = ask_one(&r, i, partition, &hit, &near) && ask_one(&r, i + 1, partition, &hit, &near);
        tally_of(tallies, &count, source)->counts[hit][same]++;
        source += strlen(source) + 1;
    }
    if (good)
        print_tallies(tallies, count);
    else
        (void)fprintf(stderr, "remora: out of memory\n");
    end_replay(&r);
    rm_free(tallies);
    rm_free(r.us);
    return good;
}

/* ---- the subcommands --------------------------------------------------------------------------------------------- */

/* "0.01,0.02" and "0-4,7". False: it is none. */
static bool read_errors(const char *text, setting *s)
{
    char *end = NULL;

    do {
        double value = strtod(text, &end);
        if (end == text || !(value >= 0 && value <= 1) || s->error_count == RUNS_MAX)
            return false;
        s->errors[s->error_count++] = value;
        text = end + 1;
    } while (*end == ',');
    return *end == '\0';
}

static bool read_seeds(const char *text, setting *s)
{
    char *end = NULL;

    do {
        uint64_t first = strtoull(text, &end, 10), last = first;
        if (end == text)
            return false;
        if (*end == '-') {
            text = end + 1;
            last = strtoull(text, &end, 10);
            if (end == text || last < first)
                return false;
        }
        for (; first <= last; first++) {
            if (s->seed_count == RUNS_MAX)
                return false;
            s->seeds[s->seed_count++] = first;
        }
        text = end + 1;
    } while (*end == ',');
    return *end == '\0';
}

typedef struct evaluation {
    const char *usage, *about, *file_option, *file_help;
    rm_status (*read_row)(data *d, const rm_json *row);
    bool (*run)(const data *d, const setting *s);
    bool one_run;
} evaluation;

static const evaluation stream_evaluation = {
    "remora eval semantic --stream FILE [--max-error D] [--seed N] [OPTION]...",
    "Replays a stream of questions from an empty cache: hits, wrong ones, and the best fixed threshold beside it.",
    "--stream",
    "lines {\"q\": text, \"cls\": answer}, in order; with \"kind\": text they are counted by kind too",
    read_stream_row,
    eval_streams,
    false};

static const evaluation pair_evaluation = {
    "remora eval pairs --pairs FILE [--max-error D] [--seed N] [OPTION]...",
    "Asks b where a is cached, each pair in a partition of its own: what is served and refused, rightly and wrongly.",
    "--pairs",
    "lines {\"a\", \"b\", \"label\", \"src\"}, in order",
    read_pair_row,
    eval_pairs,
    true};

static int evaluate(const evaluation *e, const char *path, rm_model *model, setting *s)
{
    data d = {0};

    rm_arena_init(&d.arena, NULL, TEXTS_BYTES);
    rm_buf_init(&d.sources, TEXTS_BYTES);
    bool good = read_rows(&d, path, e->read_row) && get_vectors(&d, model, s) && e->run(&d, s);
    free_data(&d);
    return good ? RM_APP_DONE : RM_APP_BAD;
}

static int run_evaluation(const evaluation *e, int argc, char **argv)
{
    const char *file = NULL, *path = NULL, *errors = NULL, *seeds = "0", *name = NULL, *precision = NULL, *out = NULL;
    setting s = {0};
    const rm_app_option options[] = {
        RM_APP_CONFIG_OPTION(&file),
        {e->file_option, "FILE", e->file_help, &path, NULL},
        {"--max-error", "D", "accepted share of wrong hits, 0 to 1 (default: cache.semantic.max_error)", &errors, NULL},
        {"--seed", "N", "draws the audits (default: 0)", &seeds, NULL},
        {"--model", "NAME", "a fetched model or a folder (default: cache.semantic.model)", &name, NULL},
        {"--precision", "P", "auto, fp32, bf16 or int8 (default: embed.precision)", &precision, NULL},
        {"--vectors", "FILE", "the rows' vectors, from an earlier run; written where it does not fit", &s.vectors,
         NULL},
        {"--features", "FILE", "write each candidate's features there, for the fit of a prior", &out, NULL},
    };
    const rm_app_command command = {e->usage, e->about, options, RM_COUNT(options), NULL, 0};
    rm_model *model = NULL;
    rm_config *config;

    int code = rm_app_parse(&command, argc, argv);
    if (code != RM_APP_GO)
        return code;
    if (!path)
        return rm_app_usage(&command, "%s is needed", e->file_option);
    if ((errors && !read_errors(errors, &s)) || (e->one_run && s.error_count > 1))
        return rm_app_usage(&command, "--max-error %s is no share; write one from 0 to 1", errors);
    if (!read_seeds(seeds, &s) || (e->one_run && s.seed_count > 1))
        return rm_app_usage(&command, "--seed %s is no whole number", seeds);
    if (!rm_app_peek_config(file, &config))
        return RM_APP_BAD;
    if (!errors)
        s.errors[s.error_count++] = config->cache.semantic.max_error;
    s.model = name ? name : config->cache.semantic.model;
    code = rm_app_open_model(&command, config, name, precision, &model);
    if (code == RM_APP_GO && out && !(s.features = fopen(out, "we"))) {
        (void)fprintf(stderr, "remora: %s cannot be written\n", out);
        code = RM_APP_BAD;
    }
    if (code == RM_APP_GO)
        code = evaluate(e, path, model, &s);
    if (s.features && fclose(s.features) != 0)
        code = RM_APP_BAD;
    rm_model_close(model);
    rm_config_unref(config);
    return code;
}

int rm_app_eval_semantic(int argc, char **argv)
{
    return run_evaluation(&stream_evaluation, argc, argv);
}

int rm_app_eval_pairs(int argc, char **argv)
{
    return run_evaluation(&pair_evaluation, argc, argv);
}
