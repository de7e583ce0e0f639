/* Inverted lists with 8-bit codes: FAISS through its C API, which is included here only.
 *
 *   query ─► centroids (flat) ─► the `probes` nearest lists ─► codes ─► candidates ─► minus what is not alive
 *
 * FAISS is built without OpenMP (deploy/deps): each call runs on its caller's thread. */
#include "index_internal.h"

#include <cblas.h>
#include <math.h>

#include <faiss/c_api/Clustering_c.h>
#include <faiss/c_api/IndexIVF_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/clone_index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/impl/AuxIndexStructures_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>

#define LISTS_PER_ROOT  4.0   /* lists a square root of entries */
#define SAMPLE_PER_LIST 4U    /* fewer vectors a list than this train nothing worth having */
#define RANGE_SAMPLE    16384 /* vectors that the codes' ranges are taken from */
#define PROBE_QUERIES   512U
#define PROBES_MIN      8U
#define PROBES_MAX      256U
#define PROBE_NEAR      0.8F /* the similarity at which a neighbour's list has to be found ... */
#define PROBE_MISSES    2U   /* ... by all but so many of PROBE_QUERIES */
#define CENTROID_SEED   7

/* The one place where the library's codes become ours. */
static rm_status status_of(int code, const char *what)
{
    if (code == OK)
        return RM_OK;
    const char *text = faiss_get_last_error();
    bool memory = text && strstr(text, "bad_alloc");
    rm_log_limited(RM_LOG_WARN, "index", "FAISS: %s failed: %s", what, text ? text : "no reason given");
    return memory ? RM_ENOMEM : RM_EINTERNAL;
}

static FaissIndexIVF *ivf_of(const rm_index__lists *lists)
{
    return faiss_IndexIVF_cast((FaissIndex *)lists->codes);
}

bool rm_index__lists_run_here(void)
{
#if defined(__x86_64__)
    if (strcmp(RM_FAISS_INSTRUCTIONS, "avx2") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return true;
}

uint32_t rm_index__lists_wanted(uint64_t entries)
{
    uint64_t sample = entries < RM_INDEX_SAMPLE_MAX ? entries : RM_INDEX_SAMPLE_MAX;
    uint64_t lists = (uint64_t)(LISTS_PER_ROOT * sqrt((double)entries)), most = sample / SAMPLE_PER_LIST;
    lists = lists < most ? lists : most;
    return lists ? (uint32_t)lists : 1;
}

static rm_status start_training(rm_index__lists *lists)
{
    FaissClusteringParameters parameters;
    FaissClustering *kmeans = NULL;
    char kind[64];
    (void)snprintf(kind, sizeof(kind), "IVF%u,SQ8", lists->list_count);
    faiss_ClusteringParameters_init(&parameters);
    parameters.niter = 1;
    parameters.spherical = 1;
    parameters.seed = CENTROID_SEED;
    parameters.min_points_per_centroid = 1; /* fewer than its taste are worth a line on standard error to it */
    parameters.max_points_per_centroid = RM_INDEX_SAMPLE_MAX;
    FaissIndex *codes = NULL;
    rm_status status = status_of(faiss_index_factory(&codes, (int)lists->dimensions, kind, METRIC_INNER_PRODUCT),
                                 "making inverted lists");
    if (status)
        return status;
    lists->codes = codes;
    status = status_of(
        faiss_Clustering_new_with_params(&kmeans, (int)lists->dimensions, (int)lists->list_count, &parameters),
        "making a clustering");
    lists->kmeans = kmeans;
    return status;
}

rm_status rm_index__lists_create(uint32_t dimensions, uint32_t list_count, rm_index__lists **ret_lists)
{
    rm_index__lists *lists = rm_calloc(1, sizeof(*lists));
    if (!lists)
        return RM_ENOMEM;
    lists->dimensions = dimensions;
    lists->list_count = list_count;
    lists->refs = 1;
    *ret_lists = lists;
    return RM_OK;
}

void rm_index__lists_ref(rm_index__lists *lists)
{
    atomic_fetch_add(&lists->refs, 1);
}

void rm_index__lists_unref(rm_index__lists *lists)
{
    if (!lists || atomic_fetch_sub(&lists->refs, 1) != 1)
        return;
    faiss_Clustering_free(lists->kmeans);
    faiss_Index_free(lists->codes);
    faiss_Index_free(lists->stage);
    rm_index__ids_deinit(&lists->alive);
    rm_index__log_deinit(&lists->dead);
    rm_free(lists);
}

rm_status rm_index__lists_train(rm_index__lists *lists, const float *sample, size_t count)
{
    rm_status status = RM_OK;
    openblas_set_num_threads(1); /* training is a background matter: one core at most */
    if (!lists->kmeans)
        status = start_training(lists);
    if (status)
        return status;
    /* It goes on from the centroids that the round before has left. */
    return status_of(
        faiss_Clustering_train(lists->kmeans, (idx_t)count, sample, faiss_IndexIVF_quantizer(ivf_of(lists))),
        "a round of training");
}

/* A query at PROBE_NEAR from `vector`, towards `other`: what real questions differ by lies in the space that the
 * vectors fill, where it moves them between lists more than noise in all directions would. */
static void make_query(const float *vector, const float *other, uint32_t dimensions, float *ret_query)
{
    double along = 0, length = 0;
    for (uint32_t d = 0; d < dimensions; d++)
        along += (double)vector[d] * (double)other[d];
    for (uint32_t d = 0; d < dimensions; d++) {
        double across = (double)other[d] - along * (double)vector[d];
        length += across * across;
    }
    double aside = length > 0 ? sqrt((1 - (double)PROBE_NEAR * (double)PROBE_NEAR) / length) : 0;
    for (uint32_t d = 0; d < dimensions; d++) {
        double across = (double)other[d] - along * (double)vector[d];
        ret_query[d] = (float)((double)PROBE_NEAR * (double)vector[d] + aside * across);
    }
}

/* At which place among the lists nearest to a query its neighbour's own list stands, at most `most`. */
static rm_status rank_of(FaissIndex *centroids, const float *vector, const float *query, uint32_t most, idx_t *near,
                         float *scores, uint32_t *ret_rank)
{
    idx_t own;
    uint32_t rank = 0;
    rm_status status = status_of(faiss_Index_assign(centroids, 1, vector, &own, 1), "finding a list");
    if (status == RM_OK)
        status = status_of(faiss_Index_search(centroids, 1, query, most, scores, near), "finding lists");
    if (status)
        return status;
    while (rank < most && near[rank] != own)
        rank++;
    *ret_rank = rank;
    return RM_OK;
}

/* How many lists a search has to look into, measured on the sample: the least number with at most PROBE_MISSES
 * misses. */
static rm_status choose_probes(rm_index__lists *lists, const float *sample, size_t count)
{
    FaissIndex *centroids = faiss_IndexIVF_quantizer(ivf_of(lists));
    uint32_t most = lists->list_count < PROBES_MAX ? lists->list_count : PROBES_MAX, dimensions = lists->dimensions;
    uint32_t ranks[PROBES_MAX + 1] = {0}, misses = 0, probes = most;
    float scores[PROBES_MAX];
    idx_t near[PROBES_MAX];
    float *query = rm_calloc(dimensions, sizeof(*query));
    rm_status status = query ? RM_OK : RM_ENOMEM;
    for (size_t i = 0; status == RM_OK && i < PROBE_QUERIES; i++) {
        uint32_t rank = 0;
        const float *vector = sample + (i * count / PROBE_QUERIES) * dimensions;
        make_query(vector, sample + (i * 7919 + count / 3) % count * dimensions, dimensions, query);
        status = rank_of(centroids, vector, query, most, near, scores, &rank);
        ranks[rank]++;
    }
    rm_free(query);
    if (status)
        return status;
    for (misses = ranks[most]; probes > 1 && misses + ranks[probes - 1] <= PROBE_MISSES; probes--)
        misses += ranks[probes - 1];
    lists->probes = probes < PROBES_MIN && PROBES_MIN < most ? PROBES_MIN : probes;
    faiss_IndexIVF_set_nprobe(ivf_of(lists), lists->probes);
    return RM_OK;
}

rm_status rm_index__lists_settle(rm_index__lists *lists, const float *sample, size_t count)
{
    FaissIndex *stage = NULL;
    size_t ranges = count < RANGE_SAMPLE ? count : RANGE_SAMPLE;
    faiss_Clustering_free(lists->kmeans);
    lists->kmeans = NULL;
    rm_status status = status_of(faiss_Index_train(lists->codes, (idx_t)ranges, sample), "training the codes");
    if (status == RM_OK)
        status = choose_probes(lists, sample, count);
    if (status == RM_OK)
        status = status_of(faiss_clone_index(lists->codes, &stage), "cloning the lists");
    lists->stage = stage;
    return status;
}

rm_status rm_index__lists_fill(rm_index__lists *lists, const float *vectors, const uint64_t *ids, size_t count)
{
    rm_status status = rm_index__ids_reserve(&lists->alive, count);
    if (status == RM_OK)
        status = status_of(faiss_Index_add_with_ids(lists->codes, (idx_t)count, vectors, (const idx_t *)ids),
                           "adding to lists");
    for (size_t i = 0; status == RM_OK && i < count; i++)
        status = rm_index__ids_add(&lists->alive, ids[i]);
    return status;
}

rm_status rm_index__lists_stage(rm_index__lists *lists, const float *vectors, const uint64_t *ids, size_t count)
{
    rm_status status =
        status_of(faiss_Index_add_with_ids(lists->stage, (idx_t)count, vectors, (const idx_t *)ids), "coding entries");
    if (status)
        rm_index__lists_unstage(lists);
    return status;
}

void rm_index__lists_unstage(rm_index__lists *lists)
{
    (void)faiss_Index_reset(lists->stage); /* cuts each list to nothing, which cannot fail */
}

rm_status rm_index__lists_merge(rm_index__lists *lists, const uint64_t *ids, size_t count)
{
    rm_status status = rm_index__ids_reserve(&lists->alive, count);
    if (status) {
        rm_index__lists_unstage(lists);
        return status;
    }
    status =
        status_of(faiss_IndexIVF_merge_from(ivf_of(lists), faiss_IndexIVF_cast(lists->stage), 0), "merging entries");
    lists->broken |= status != RM_OK;
    for (size_t i = 0; status == RM_OK && i < count; i++)
        status = rm_index__ids_add(&lists->alive, ids[i]);
    return status;
}

rm_status rm_index__lists_kill(rm_index__lists *lists, uint64_t id)
{
    if (!rm_index__ids_has(&lists->alive, id))
        return RM_ENOTFOUND;
    rm_status status = rm_index__log_add(&lists->dead, id);
    if (status == RM_OK)
        (void)rm_index__ids_remove(&lists->alive, id);
    return status;
}

rm_status rm_index__lists_purge(rm_index__lists *lists)
{
    FaissIDSelectorBatch *batch = NULL;
    size_t removed;
    rm_status status = status_of(faiss_IDSelectorBatch_new(&batch, lists->dead.count, (const idx_t *)lists->dead.ids),
                                 "choosing what to remove");
    if (status)
        return status;
    FaissIDSelector *selector = (FaissIDSelector *)batch; /* its base, but not so declared in C */
    status = status_of(faiss_Index_remove_ids(lists->codes, selector, &removed), "removing from lists");
    faiss_IDSelector_free(selector);
    if (status == RM_OK)
        rm_index__log_deinit(&lists->dead);
    return status;
}

/* One search for `asked` codes; the alive among them, up to `wanted`. *ret_all: there are no more than those. */
static rm_status search_codes(const rm_index__lists *lists, const float *query, uint32_t asked, uint32_t wanted,
                              float *scores, idx_t *found, uint64_t *ret_ids, uint32_t *ret_count, bool *ret_all)
{
    uint32_t count = 0, i = 0;
    rm_status status = status_of(faiss_Index_search(lists->codes, 1, query, asked, scores, found), "searching lists");
    if (status)
        return status;
    for (; i < asked && count < wanted && found[i] >= 0; i++)
        if (rm_index__ids_has(&lists->alive, (uint64_t)found[i]))
            ret_ids[count++] = (uint64_t)found[i];
    *ret_count = count;
    *ret_all = i < asked || count == wanted;
    return RM_OK;
}

rm_status rm_index__lists_search(const rm_index__lists *lists, const float *query, uint32_t wanted, uint64_t *ret_ids,
                                 uint32_t *ret_count)
{
    float scores[RM_INDEX_CANDIDATES_MAX];
    idx_t found[RM_INDEX_CANDIDATES_MAX];
    uint32_t count = 0;
    bool all = false;
    rm_status status = RM_OK;
    RM_CHECK(wanted <= RM_INDEX_CANDIDATES_MAX);
    if (!lists->broken)
        status = search_codes(lists, query, wanted, wanted, scores, found, ret_ids, &count, &all);
    if (status == RM_OK && !lists->broken && !all && lists->dead.count) {
        /* What left stands before what is there: ask past all of it. */
        uint32_t asked = wanted + (uint32_t)lists->dead.count;
        float *more_scores = rm_calloc(asked, sizeof(*more_scores));
        idx_t *more = rm_calloc(asked, sizeof(*more));
        status = more_scores && more ? RM_OK : RM_ENOMEM;
        if (status == RM_OK)
            status = search_codes(lists, query, asked, wanted, more_scores, more, ret_ids, &count, &all);
        rm_free(more_scores);
        rm_free(more);
    }
    if (status == RM_OK)
        *ret_count = count;
    return status;
}

/* Codes and ids as FAISS keeps them (vectors that double, so half of the last doubling on average), twice the
 * centroids. */
uint64_t rm_index__lists_bytes(const rm_index__lists *lists)
{
    uint64_t held = lists->alive.count + lists->dead.count, entry = lists->dimensions + sizeof(idx_t);
    uint64_t centroids = (uint64_t)lists->list_count * lists->dimensions * sizeof(float);
    uint64_t slots = lists->alive.slots ? lists->alive.mask + 1 : 0;
    return held * entry * 7 / 5 + 2 * centroids + (slots + lists->dead.capacity) * sizeof(uint64_t) + sizeof(*lists);
}

rm_status rm_index__lists_write(const rm_index__lists *lists, FILE *file)
{
    rm_status status = status_of(faiss_write_index(lists->stage, file), "writing lists");
    if (status == RM_OK)
        status = status_of(faiss_write_index(lists->codes, file), "writing lists");
    return status == RM_EINTERNAL ? RM_EIO : status;
}

static rm_status read_one(const rm_index__lists *lists, FILE *file, FaissIndex **ret_index)
{
    FaissIndex *index = NULL;
    rm_status status = status_of(faiss_read_index(file, 0, &index), "reading lists");
    if (status)
        return status == RM_EINTERNAL ? RM_ECORRUPT : status;
    FaissIndexIVF *ivf = faiss_IndexIVF_cast(index);
    if (!ivf || faiss_Index_d(index) != (int)lists->dimensions || faiss_IndexIVF_nlist(ivf) != lists->list_count ||
        faiss_Index_metric_type(index) != METRIC_INNER_PRODUCT || !faiss_Index_is_trained(index)) {
        faiss_Index_free(index);
        return RM_ECORRUPT;
    }
    *ret_index = index;
    return RM_OK;
}

rm_status rm_index__lists_read(rm_index__lists *lists, FILE *file)
{
    FaissIndex *stage = NULL, *codes = NULL;
    rm_status status = read_one(lists, file, &stage);
    lists->stage = stage;
    if (status == RM_OK)
        status = read_one(lists, file, &codes);
    lists->codes = codes;
    if (status == RM_OK)
        faiss_IndexIVF_set_nprobe(ivf_of(lists), lists->probes);
    return status;
}

const char *rm_index_version(void)
{
    return "FAISS " RM_FAISS_VERSION " " RM_FAISS_INSTRUCTIONS;
}
