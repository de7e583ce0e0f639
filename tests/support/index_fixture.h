/* A store of vectors in memory behind an index, and a reference index beside it that is told the same. Vectors lie in
 * clusters, as those of texts do. */
#ifndef INDEX_FIXTURE_H
#define INDEX_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "index_internal.h"

enum { FIXTURE_CLUSTERS = 40, FIXTURE_DIMENSIONS_MAX = 400 };

typedef struct world {
    uint32_t dimensions;
    size_t ids_max;
    float *vectors; /* by id */
    bool *present;
    rm_key128 *homes; /* partition of each */
    rm_index *index, *reference;
    rm_rng rng;
    _Atomic uint64_t fetches;
    _Atomic rm_status fetch_status; /* what fetching gives instead, unless it is RM_OK */
    _Atomic uint64_t unreadable;    /* id that cannot be read now */
} world;

static inline float *world_vector(world *w, uint64_t id)
{
    return w->vectors + id * w->dimensions;
}

static inline rm_status world_fetch(uint64_t id, float *ret_vector, void *user)
{
    world *w = user;
    atomic_fetch_add(&w->fetches, 1);
    if (w->fetch_status != RM_OK)
        return w->fetch_status;
    if (id == w->unreadable)
        return RM_EIO;
    if (id >= w->ids_max || !w->present[id])
        return RM_ENOTFOUND;
    memcpy(ret_vector, world_vector(w, id), w->dimensions * sizeof(float));
    return RM_OK;
}

static inline void normalise(float *vector, uint32_t dimensions)
{
    double squares = 0;
    for (uint32_t d = 0; d < dimensions; d++)
        squares += (double)vector[d] * (double)vector[d];
    if (squares == 0)
        vector[0] = 1, squares = 1;
    for (uint32_t d = 0; d < dimensions; d++)
        vector[d] = (float)((double)vector[d] / sqrt(squares));
}

static inline float noise(rm_rng *rng)
{
    return (float)(rm_rng_uniform(rng) + rm_rng_uniform(rng) + rm_rng_uniform(rng) - 1.5);
}

/* A vector near the centre of one of the clusters. */
static inline void random_vector(rm_rng *rng, uint32_t dimensions, float *ret_vector)
{
    rm_rng centre;
    rm_rng_seed(&centre, 1000 + rm_rng_next(rng) % FIXTURE_CLUSTERS);
    for (uint32_t d = 0; d < dimensions; d++)
        ret_vector[d] = noise(&centre) + 0.6F * noise(rng);
    normalise(ret_vector, dimensions);
}

/* A question near an entry: similarity about 0.95. */
static inline void near_vector(rm_rng *rng, const float *vector, uint32_t dimensions, float *ret_vector)
{
    float share = 0.6F / sqrtf((float)dimensions);
    for (uint32_t d = 0; d < dimensions; d++)
        ret_vector[d] = vector[d] + share * noise(rng);
    normalise(ret_vector, dimensions);
}

static inline rm_index_options world_options(world *w, uint32_t flat_max)
{
    return (rm_index_options){
        .dimensions = w->dimensions, .flat_max = flat_max, .fingerprint = "tiny/fp32", .fetch = world_fetch, .user = w};
}

static inline void world_init(world *w, uint32_t dimensions, size_t ids_max, uint32_t flat_max)
{
    *w = (world){.dimensions = dimensions, .ids_max = ids_max, .unreadable = UINT64_MAX};
    w->vectors = calloc(ids_max, dimensions * sizeof(float));
    w->present = calloc(ids_max, sizeof(bool));
    w->homes = calloc(ids_max, sizeof(rm_key128));
    rm_rng_seed(&w->rng, 11);
    rm_index_options options = world_options(w, flat_max);
    assert_int_equal(rm_index_create(&options, &w->index), RM_OK);
    options.reference = true;
    assert_int_equal(rm_index_create(&options, &w->reference), RM_OK);
}

static inline void world_deinit(world *w)
{
    rm_index_destroy(w->index);
    rm_index_destroy(w->reference);
    free(w->vectors);
    free(w->present);
    free(w->homes);
}

/* The id gets a new vector. */
static inline void world_add(world *w, rm_key128 partition, uint64_t id)
{
    random_vector(&w->rng, w->dimensions, world_vector(w, id));
    w->present[id] = true;
    w->homes[id] = partition;
    assert_int_equal(rm_index_add(w->index, partition, id, world_vector(w, id)), RM_OK);
    assert_int_equal(rm_index_add(w->reference, partition, id, world_vector(w, id)), RM_OK);
}

static inline void world_remove(world *w, uint64_t id)
{
    w->present[id] = false;
    assert_int_equal(rm_index_remove(w->index, w->homes[id], id), RM_OK);
    assert_int_equal(rm_index_remove(w->reference, w->homes[id], id), RM_OK);
}

static inline void world_fill(world *w, rm_key128 partition, uint64_t from, uint64_t to)
{
    for (uint64_t id = from; id < to; id++)
        world_add(w, partition, id);
}

/* Works until nothing is due. */
static inline void world_maintain(world *w)
{
    bool more = true;
    while (more)
        assert_int_equal(rm_index_maintain(w->index, &more), RM_OK);
}

/* Both answer alike, but for the order of those that are equally near. */
static inline void check_same(world *w, rm_key128 partition, const float *query, uint32_t k)
{
    rm_index_hit hits[RM_INDEX_HITS_MAX], wanted[RM_INDEX_HITS_MAX];
    uint32_t count, wanted_count;
    assert_int_equal(rm_index_search(w->index, partition, query, k, hits, &count), RM_OK);
    assert_int_equal(rm_index_search(w->reference, partition, query, k, wanted, &wanted_count), RM_OK);
    assert_int_equal(count, wanted_count);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(fabsf(hits[i].similarity - wanted[i].similarity) < 1e-5F);
        if (i > 0)
            assert_true(hits[i - 1].similarity >= hits[i].similarity);
    }
}

/* Of `queries` near entries of the partition, how many find the very entry that the reference finds. Each hit of the
 * index is checked: an entry of this partition, with its true similarity. */
static inline unsigned count_found(world *w, rm_key128 partition, unsigned queries)
{
    float query[FIXTURE_DIMENSIONS_MAX], truth;
    rm_index_hit hits[8], best;
    uint32_t count, one;
    unsigned found = 0;
    for (unsigned i = 0; i < queries; i++) {
        uint64_t id = rm_rng_next(&w->rng) % w->ids_max;
        while (!w->present[id] || !rm_key128_eq(w->homes[id], partition))
            id = (id + 1) % w->ids_max;
        near_vector(&w->rng, world_vector(w, id), w->dimensions, query);
        assert_int_equal(rm_index_search(w->index, partition, query, 8, hits, &count), RM_OK);
        assert_int_equal(rm_index_search(w->reference, partition, query, 1, &best, &one), RM_OK);
        assert_int_equal(one, 1);
        for (uint32_t h = 0; h < count; h++) {
            assert_true(hits[h].id < w->ids_max && w->present[hits[h].id]);
            assert_true(rm_key128_eq(w->homes[hits[h].id], partition));
            rm_index__dot_reference(query, world_vector(w, hits[h].id), 1, w->dimensions, &truth);
            assert_true(fabsf(hits[h].similarity - truth) < 1e-5F);
            for (uint32_t other = 0; other < h; other++)
                assert_true(hits[other].id != hits[h].id);
        }
        found += count > 0 && hits[0].similarity >= best.similarity - 1e-5F;
    }
    return found;
}

#endif
