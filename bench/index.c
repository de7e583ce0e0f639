/* remora-bench index: searches of one large partition against what is exact, and of one that is searched whole
 * against a bare call of FAISS, in turn. The vectors lie in a mapped file, as they would in the store, so that
 * anonymous memory is the index's alone. */
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/Index_c.h>

#include "bench_internal.h"
#include "remora/index.h"

static const char usage[] =
    "usage: remora-bench index [OPTION]...\n\nFills one partition with vectors like those of texts "
    "(topics within fields, most of it in few directions)\nand searches it on one thread with "
    "questions at 0.8 to 0.98 from an entry.\n\n";

enum { HITS = 8, FIELDS = 64, TOPIC_ENTRIES = 40, TRUTH_ROWS = 50000, DIMENSIONS_MAX = 4096 };

static const rm_key128 partition = {1, 2};

typedef struct index_arguments {
    uint64_t entries, dimensions, queries, seed;
    const char *folder;
    bool flat, json;
} index_arguments;

typedef struct index_figures {
    double p50_us, p99_us, max_us, cpu_p50_us, cpu_p99_us, faiss_p50_us, faiss_p99_us, recall, fill_s, add_us, save_s,
        load_s;
    double anonymous_mib;
    uint64_t near;
    rm_index_stats stats;
} index_figures;

typedef struct bench_world {
    index_arguments a;
    uint32_t dimensions;
    float *vectors; /* entries x dimensions, mapped */
    float *queries;
    float *truth; /* similarity of each query's nearest entry */
    rm_index *index;
    FaissIndex *bare;
    index_figures figures;
} bench_world;

static double seconds(void)
{
    const rm_clock *clock = rm_clock_system();
    return (double)clock->mono_ns(clock) / 1e9;
}

/* Of this thread: what a search costs when others have the core in between. */
static double cpu_seconds(void)
{
    struct timespec at;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, uint64_t count, double share)
{
    uint64_t at = (uint64_t)(share * (double)count);
    return sorted[at < count ? at : count - 1];
}

/* ---- vectors ----------------------------------------------------------------------------------------------------- */

static float gauss(rm_rng *rng)
{
    double sum = -6;
    for (int i = 0; i < 4; i++) {
        uint64_t bits = rm_rng_next(rng);
        sum += (double)(bits >> 44) / 1048576 + (double)(bits >> 24 & 0xfffff) / 1048576 +
               (double)(bits & 0xfffff) / 1048576;
    }
    return (float)sum;
}

static void normalise(float *vector, uint32_t dimensions)
{
    double squares = 0;
    for (uint32_t d = 0; d < dimensions; d++)
        squares += (double)vector[d] * (double)vector[d];
    float scale = (float)(1 / sqrt(squares));
    for (uint32_t d = 0; d < dimensions; d++)
        vector[d] *= scale;
}

/* Adds a random vector whose length is about `weight` and most of which lies in the first directions. */
static void add_random(uint64_t seed, float weight, uint32_t dimensions, float *vector)
{
    rm_rng rng;
    rm_rng_seed(&rng, seed);
    for (uint32_t d = 0; d < dimensions; d++)
        vector[d] += weight * gauss(&rng) / sqrtf((float)(d + 16)) / 1.8F;
}

static void make_entry(const bench_world *w, uint64_t id, float *vector)
{
    rm_rng rng;
    rm_rng_seed(&rng, w->a.seed + id);
    uint64_t topic = rm_rng_next(&rng) % (w->a.entries / TOPIC_ENTRIES + 1);
    memset(vector, 0, w->dimensions * sizeof(*vector));
    add_random(w->a.seed + 1000000007 + topic % FIELDS, 0.5F, w->dimensions, vector);
    add_random(w->a.seed + 2000000011 + topic, 0.6F, w->dimensions, vector);
    add_random(w->a.seed + 3000000019 + id, 0.62F, w->dimensions, vector);
    normalise(vector, w->dimensions);
}

static void make_query(const bench_world *w, uint64_t number, float *query)
{
    rm_rng rng;
    float aside[DIMENSIONS_MAX] = {0};
    double along = 0;
    rm_rng_seed(&rng, w->a.seed + 77 + number);
    const float *near = w->vectors + rm_rng_next(&rng) % w->a.entries * w->dimensions;
    float similarity = (float)(0.8 + 0.18 * rm_rng_uniform(&rng));
    add_random(rm_rng_next(&rng), 1, w->dimensions, aside);
    for (uint32_t d = 0; d < w->dimensions; d++)
        along += (double)aside[d] * (double)near[d];
    for (uint32_t d = 0; d < w->dimensions; d++)
        aside[d] -= (float)along * near[d];
    normalise(aside, w->dimensions);
    for (uint32_t d = 0; d < w->dimensions; d++)
        query[d] = similarity * near[d] + sqrtf(1 - similarity * similarity) * aside[d];
}

static rm_status make_vectors(bench_world *w)
{
    char path[4096];
    size_t row = w->dimensions * sizeof(float), bytes = w->a.entries * row;
    (void)snprintf(path, sizeof(path), "%s/remora-bench-XXXXXX", w->a.folder);
    int file = mkstemp(path);
    if (file < 0)
        return RM_EIO;
    (void)unlink(path);
    w->vectors = ftruncate(file, (off_t)bytes) == 0 ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
                                                    : MAP_FAILED;
    (void)close(file);
    if (w->vectors == MAP_FAILED) {
        w->vectors = NULL;
        return RM_EIO;
    }
    for (uint64_t id = 0; id < w->a.entries; id++)
        make_entry(w, id, w->vectors + id * w->dimensions);
    w->queries = rm_alloc(w->a.queries * row);
    w->truth = rm_calloc(w->a.queries, sizeof(*w->truth));
    if (!w->queries || !w->truth)
        return RM_ENOMEM;
    for (uint64_t i = 0; i < w->a.queries; i++)
        make_query(w, i, w->queries + i * w->dimensions);
    return RM_OK;
}

static rm_status fetch(uint64_t id, float *ret_vector, void *user)
{
    const bench_world *w = user;
    memcpy(ret_vector, w->vectors + id * w->dimensions, w->dimensions * sizeof(float));
    return RM_OK;
}

/* The best similarity of each query, from FAISS over a part of the entries at a time. */
static rm_status find_truth(bench_world *w)
{
    rm_status status = RM_OK;
    float *scores = rm_alloc(w->a.queries * sizeof(*scores));
    idx_t *ids = rm_alloc(w->a.queries * sizeof(*ids));
    for (uint64_t from = 0; scores && ids && status == RM_OK && from < w->a.entries; from += TRUTH_ROWS) {
        FaissIndexFlat *part = NULL;
        uint64_t count = w->a.entries - from < TRUTH_ROWS ? w->a.entries - from : TRUTH_ROWS;
        if (faiss_IndexFlat_new_with(&part, (idx_t)w->dimensions, METRIC_INNER_PRODUCT) ||
            faiss_Index_add(part, (idx_t)count, w->vectors + from * w->dimensions) ||
            faiss_Index_search(part, (idx_t)w->a.queries, w->queries, 1, scores, ids))
            status = RM_EINTERNAL;
        for (uint64_t i = 0; status == RM_OK && i < w->a.queries; i++)
            w->truth[i] = from == 0 || scores[i] > w->truth[i] ? scores[i] : w->truth[i];
        faiss_Index_free(part);
    }
    status = scores && ids ? status : RM_ENOMEM;
    rm_free(scores);
    rm_free(ids);
    return status;
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

static double anonymous_mib(void)
{
    char line[256];
    uint64_t kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof(line), file)) {
        rm_slice rest = rm_slice_cstr(line), name, number = RM_SLICE_NONE;
        if (!rm_slice_has_prefix(rest, RM_SLICE("RssAnon:")) || !rm_slice_split(&rest, ':', &name))
            continue;
        rest = rm_slice_trim(rest);
        if (!rm_slice_split(&rest, ' ', &number) || rm_parse_u64(number, &kib) != RM_OK)
            kib = 0;
        break;
    }
    if (file)
        (void)fclose(file);
    return (double)kib / 1024;
}

/* Maintenance after every 1,000 additions, as the owner's thread would, but in turn. */
static rm_status fill(bench_world *w)
{
    rm_status status = RM_OK;
    double begun = seconds(), adding = 0;
    for (uint64_t from = 0; status == RM_OK && from < w->a.entries; from += 1000) {
        bool more = true;
        double before = seconds();
        for (uint64_t id = from; status == RM_OK && id < from + 1000 && id < w->a.entries; id++)
            status = rm_index_add(w->index, partition, id, w->vectors + id * w->dimensions);
        adding += seconds() - before;
        while (status == RM_OK && more)
            status = rm_index_maintain(w->index, &more);
    }
    w->figures.fill_s = seconds() - begun;
    w->figures.add_us = adding / (double)w->a.entries * 1e6;
    return status;
}

static rm_status time_ours(bench_world *w, uint64_t number, double *ret_us, double *ret_cpu_us)
{
    rm_index_hit hits[HITS];
    uint32_t count = 0;
    double cpu_begun = cpu_seconds(), begun = seconds();
    rm_status status = rm_index_search(w->index, partition, w->queries + number * w->dimensions, HITS, hits, &count);
    *ret_us = (seconds() - begun) * 1e6;
    *ret_cpu_us = (cpu_seconds() - cpu_begun) * 1e6;
    if (w->truth[number] >= 0.8F) {
        w->figures.near++;
        w->figures.recall += count > 0 && hits[0].similarity >= w->truth[number] - 1e-5F;
    }
    return status;
}

static rm_status time_bare(bench_world *w, uint64_t number, double *ret_us)
{
    float scores[HITS];
    idx_t ids[HITS];
    double begun = seconds();
    int code = faiss_Index_search(w->bare, 1, w->queries + number * w->dimensions, HITS, scores, ids);
    *ret_us = (seconds() - begun) * 1e6;
    return code ? RM_EINTERNAL : RM_OK;
}

static void summarise(double *times, uint64_t count, double *ret_p50, double *ret_p99, double *ret_max)
{
    qsort(times, count, sizeof(*times), by_size);
    *ret_p50 = quantile(times, count, 0.5);
    *ret_p99 = quantile(times, count, 0.99);
    if (ret_max)
        *ret_max = times[count - 1];
}

/* In turn, and each of the two first every other time. The first tenth only warms up. */
static rm_status measure(bench_world *w)
{
    uint64_t count = w->a.queries, warm = count / 10;
    index_figures *f = &w->figures;
    double *ours = rm_calloc(count * 3, sizeof(*ours)), *cpu = ours + count, *bare = cpu + count;
    rm_status status = ours ? RM_OK : RM_ENOMEM;
    for (uint64_t i = 0; status == RM_OK && i < count; i++) {
        if (w->bare && i % 2)
            status = time_bare(w, i, &bare[i]);
        if (status == RM_OK)
            status = time_ours(w, i, &ours[i], &cpu[i]);
        if (status == RM_OK && w->bare && i % 2 == 0)
            status = time_bare(w, i, &bare[i]);
    }
    if (status == RM_OK) {
        summarise(ours + warm, count - warm, &f->p50_us, &f->p99_us, &f->max_us);
        summarise(cpu + warm, count - warm, &f->cpu_p50_us, &f->cpu_p99_us, NULL);
        summarise(bare + warm, count - warm, &f->faiss_p50_us, &f->faiss_p99_us, NULL);
        f->recall /= f->near ? (double)f->near : 1;
    }
    rm_free(ours);
    return status;
}

static rm_status turn_over(bench_world *w, const rm_index_options *options)
{
    char path[4096];
    uint64_t sequence;
    rm_index *again = NULL;
    (void)snprintf(path, sizeof(path), "%s/remora-bench-%ld.index", w->a.folder, (long)getpid());
    double begun = seconds();
    rm_status status = rm_index_save(w->index, path, 1);
    w->figures.save_s = seconds() - begun;
    begun = seconds();
    if (status == RM_OK)
        status = rm_index_load(path, options, &again, &sequence);
    w->figures.load_s = seconds() - begun;
    rm_index_destroy(again);
    (void)unlink(path);
    return status;
}

static rm_status run(bench_world *w)
{
    rm_index_options options = {.dimensions = w->dimensions, .fetch = fetch, .user = w};
    if (w->a.flat)
        options.flat_max = (uint32_t)w->a.entries;
    rm_status status = make_vectors(w);
    if (status == RM_OK)
        status = find_truth(w);
    rm_alloc_trim();
    double before = anonymous_mib();
    if (status == RM_OK)
        status = rm_index_create(&options, &w->index);
    if (status == RM_OK)
        status = fill(w);
    rm_alloc_trim();
    w->figures.anonymous_mib = anonymous_mib() - before;
    if (status == RM_OK && w->a.flat &&
        (faiss_IndexFlat_new_with((FaissIndexFlat **)&w->bare, (idx_t)w->dimensions, METRIC_INNER_PRODUCT) ||
         faiss_Index_add(w->bare, (idx_t)w->a.entries, w->vectors)))
        status = RM_EINTERNAL;
    if (status == RM_OK)
        status = measure(w);
    if (status == RM_OK) {
        w->figures.stats = rm_index_get_stats(w->index);
        status = turn_over(w, &options);
    }
    return status;
}

static void print(const bench_world *w)
{
    const index_figures *f = &w->figures;
    const index_arguments *a = &w->a;
    if (!a->json) {
        printf("%s, %llu entries, %s: p50 %.1f us, p99 %.1f us (FAISS %.1f, %.1f); recall@1 %.4f; %.0f MiB; filled in "
               "%.1f s\n",
               a->flat ? "flat" : "lists", (unsigned long long)a->entries, rm_index_version(), f->p50_us, f->p99_us,
               f->faiss_p50_us, f->faiss_p99_us, f->recall, f->anonymous_mib, f->fill_s);
        return;
    }
    const struct {
        const char *name;
        double value;
    } figures[] = {
        {"entries", (double)a->entries},
        {"dimensions", (double)a->dimensions},
        {"queries", (double)a->queries},
        {"p50_us", f->p50_us},
        {"p99_us", f->p99_us},
        {"max_us", f->max_us},
        {"cpu_p50_us", f->cpu_p50_us},
        {"cpu_p99_us", f->cpu_p99_us},
        {"faiss_p50_us", f->faiss_p50_us},
        {"faiss_p99_us", f->faiss_p99_us},
        {"recall", f->recall},
        {"near", (double)f->near},
        {"anonymous_mib", f->anonymous_mib},
        {"bytes_mib", (double)f->stats.bytes / RM_MIB},
        {"lists", (double)f->stats.lists},
        {"probes", (double)f->stats.probes},
        {"fill_s", f->fill_s},
        {"add_us", f->add_us},
        {"save_s", f->save_s},
        {"load_s", f->load_s},
    };
    printf("{\"kind\": \"%s\", \"library\": \"%s\"", a->flat ? "flat" : "lists", rm_index_version());
    for (size_t i = 0; i < RM_COUNT(figures); i++)
        printf(", \"%s\": %.10g", figures[i].name, figures[i].value);
    printf("}\n");
}

int rm_bench_index(int argc, char **argv)
{
    index_arguments a = {.entries = 100000, .dimensions = 384, .queries = 1000, .seed = 1, .folder = "/tmp"};
    const rm_bench_option table[] = {
        {"entries", "N", "in the partition (100000)", RM_OPTION_U64, &a.entries},
        {"dimensions", "N", "of a vector (384)", RM_OPTION_U64, &a.dimensions},
        {"queries", "N", "that are timed (1000)", RM_OPTION_U64, &a.queries},
        {"flat", NULL, "search it whole, whatever its size, and FAISS likewise", RM_OPTION_FLAG, &a.flat},
        {"folder", "PATH", "for the vectors' file and a snapshot (/tmp)", RM_OPTION_TEXT, &a.folder},
        {"seed", "N", "of vectors and questions (1)", RM_OPTION_U64, &a.seed},
        {"json", NULL, "one JSON object", RM_OPTION_FLAG, &a.json},
    };
    int code = rm_bench__options_parse(usage, table, RM_COUNT(table), argc, argv);
    if (code >= 0)
        return code;
    if (a.entries == 0 || a.entries > RM_INDEX_ENTRIES_MAX || a.dimensions == 0 || a.dimensions > DIMENSIONS_MAX ||
        a.queries < 10 || a.queries > 100000) {
        fprintf(stderr, "remora-bench: index: --entries 1 to %d, --dimensions 1 to %d, --queries 10 to 100000\n",
                RM_INDEX_ENTRIES_MAX, DIMENSIONS_MAX);
        return 2;
    }
    bench_world w = {.a = a, .dimensions = (uint32_t)a.dimensions};
    rm_status status = run(&w);
    if (status == RM_OK)
        print(&w);
    else
        fprintf(stderr, "remora-bench: index: %s\n", rm_status_text(status));
    rm_index_destroy(w.index);
    faiss_Index_free(w.bare);
    if (w.vectors)
        (void)munmap(w.vectors, a.entries * w.dimensions * sizeof(float));
    rm_free(w.queries);
    rm_free(w.truth);
    return status == RM_OK ? 0 : 1;
}
