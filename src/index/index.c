/* Partitions and their rows; what any thread may call. Partitions lie in shards, each with a lock of its own that
 * lets waiting writers in before new readers. */
#include "index_internal.h"

#include <math.h>

#define SCAN_ROWS          64U /* inner products at once, then a look at which are good enough */
#define CANDIDATES_PER_HIT 4U
#define CANDIDATES_MIN     16U
#define LENGTH_ERROR       0.02 /* of a squared length */

/* ---- making one -------------------------------------------------------------------------------------------------- */

static bool are_valid(const rm_index_options *options)
{
    size_t len = options->fingerprint ? strlen(options->fingerprint) : 0;
    return options->dimensions > 0 && options->dimensions <= RM_INDEX_DIMENSIONS_MAX &&
           options->flat_max <= RM_INDEX_ENTRIES_MAX && len <= RM_INDEX_FINGERPRINT_BYTES_MAX;
}

static void lock_init(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attributes;
    RM_CHECK(pthread_rwlockattr_init(&attributes) == 0);
    RM_CHECK(pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0);
    RM_CHECK(pthread_rwlock_init(lock, &attributes) == 0);
    (void)pthread_rwlockattr_destroy(&attributes);
}

rm_status rm_index_create(const rm_index_options *options, rm_index **ret_index)
{
    if (!are_valid(options))
        return RM_EINVAL;
    rm_index *index = rm_calloc(1, sizeof(*index));
    if (!index)
        return RM_ENOMEM;
    index->options = *options;
    if (options->fingerprint)
        memcpy(index->fingerprint, options->fingerprint, strlen(options->fingerprint));
    index->options.fingerprint = index->fingerprint;
    if (!options->flat_max)
        index->options.flat_max = RM_INDEX_FLAT_ENTRIES;
    index->may_list = options->fetch && !options->reference && rm_index__lists_run_here();
    index->dot = options->reference ? rm_index__dot_reference : rm_index__dot_best();
    for (size_t i = 0; i < RM_INDEX__SHARDS; i++) {
        lock_init(&index->shards[i].lock);
        rm_map_init(&index->shards[i].partitions);
    }
    RM_CHECK(pthread_mutex_init(&index->due.lock, NULL) == 0);
    RM_CHECK(pthread_mutex_init(&index->slow, NULL) == 0);
    *ret_index = index;
    return RM_OK;
}

void rm_index_destroy(rm_index *index)
{
    if (!index)
        return;
    rm_index__job_destroy(index->job);
    for (size_t i = 0; i < RM_INDEX__SHARDS; i++) {
        rm_index__shard *shard = &index->shards[i];
        size_t cursor = 0;
        rm_key128 key;
        void *partition;
        while (rm_map_next(&shard->partitions, &cursor, &key, &partition))
            rm_index__partition_destroy(partition);
        rm_map_deinit(&shard->partitions);
        (void)pthread_rwlock_destroy(&shard->lock);
    }
    (void)pthread_mutex_destroy(&index->due.lock);
    (void)pthread_mutex_destroy(&index->slow);
    rm_free(index->due.keys);
    rm_free(index);
}

/* ---- a partition; the shard's write lock is held ----------------------------------------------------------------- */

rm_index__partition *rm_index__partition_create(void)
{
    return rm_calloc(1, sizeof(rm_index__partition));
}

void rm_index__partition_destroy(rm_index__partition *self)
{
    if (!self)
        return;
    rm_index__lists_unref(self->lists);
    rm_free(self->ids);
    rm_free(self);
}

rm_status rm_index__partition_resize(const rm_index *index, rm_index__partition *self, uint32_t capacity)
{
    size_t row = index->options.dimensions * sizeof(float);
    uint64_t *ids = NULL;
    RM_CHECK(capacity >= self->count);
    if (capacity) {
        ids = rm_alloc(capacity * (sizeof(*ids) + row));
        if (!ids)
            return RM_ENOMEM;
        if (self->count) {
            memcpy(ids, self->ids, self->count * sizeof(*ids));
            memcpy(ids + capacity, rm_index__rows(self), self->count * row);
        }
    }
    rm_free(self->ids);
    self->ids = ids;
    self->capacity = capacity;
    return RM_OK;
}

void rm_index__partition_shrink(const rm_index *index, rm_index__partition *self)
{
    if (rm_index__partition_resize(index, self, self->count + self->count / 4) != RM_OK)
        return; /* no memory for the smaller block: the larger one stays */
}

static uint32_t find_row(const rm_index__partition *self, uint64_t id)
{
    uint32_t at = 0;
    while (at < self->count && self->ids[at] != id)
        at++;
    return at;
}

static rm_status append_row(rm_index *index, rm_index__partition *self, uint64_t id, const float *vector)
{
    uint32_t dimensions = index->options.dimensions;
    rm_status status = RM_OK;
    if (rm_index__entries(self) >= RM_INDEX_ENTRIES_MAX)
        return RM_EFULL;
    if (self->count == self->capacity)
        status = rm_index__partition_resize(index, self, self->capacity + self->capacity / 4 + 1);
    if (status)
        return status;
    self->ids[self->count] = id;
    memcpy(rm_index__rows(self) + (size_t)self->count * dimensions, vector, dimensions * sizeof(*vector));
    self->count++;
    if (id > self->highest)
        self->highest = id;
    return RM_OK;
}

static void remove_row(const rm_index *index, rm_index__partition *self, uint32_t at)
{
    size_t dimensions = index->options.dimensions;
    float *rows = rm_index__rows(self);
    uint32_t last = --self->count;
    if (at != last) {
        self->ids[at] = self->ids[last];
        memcpy(rows + at * dimensions, rows + last * dimensions, dimensions * sizeof(*rows));
    }
    /* Half of it empty: give that back. */
    if (self->capacity > 8 && self->count < self->capacity / 2)
        rm_index__partition_shrink(index, self);
}

/* Takes an entry away wherever it is. */
static rm_status take(rm_index *index, rm_index__partition *self, uint64_t id)
{
    rm_status status = RM_OK;
    uint32_t at = find_row(self, id);
    if (at < self->count)
        remove_row(index, self, at);
    else
        status = self->lists ? rm_index__lists_kill(self->lists, id) : RM_ENOTFOUND;
    if (status == RM_OK && self->job)
        rm_index__job_removed(self->job, id);
    return status;
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

bool rm_index__is_unit(const float *vector, uint32_t dimensions)
{
    double squares = 0;
    for (uint32_t d = 0; d < dimensions; d++)
        squares += (double)vector[d] * (double)vector[d];
    return fabs(squares - 1) <= LENGTH_ERROR; /* false for what is not a number */
}

static rm_status partition_of(rm_index__shard *shard, rm_key128 key, rm_index__partition **ret_partition)
{
    rm_index__partition *self = rm_map_get(&shard->partitions, key);
    if (!self) {
        self = rm_index__partition_create();
        if (!self || rm_map_put(&shard->partitions, key, self) != RM_OK) {
            rm_free(self);
            return RM_ENOMEM;
        }
    }
    *ret_partition = self;
    return RM_OK;
}

static void drop_locked(rm_index__shard *shard, rm_key128 key, rm_index__partition *self)
{
    (void)rm_map_remove(&shard->partitions, key);
    if (self->job)
        rm_index__job_orphaned(self->job);
    rm_index__partition_destroy(self);
}

/* Replaces by adding first, so that a failure leaves the old vector. */
static rm_status put(rm_index *index, rm_index__partition *self, uint64_t id, const float *vector)
{
    uint32_t dimensions = index->options.dimensions;
    if (id > self->highest)
        return append_row(index, self, id, vector);
    uint32_t at = find_row(self, id);
    if (at < self->count) {
        memcpy(rm_index__rows(self) + (size_t)at * dimensions, vector, dimensions * sizeof(*vector));
        if (self->job)
            rm_index__job_removed(self->job, id);
        return RM_OK;
    }
    rm_status status = append_row(index, self, id, vector);
    if (status == RM_OK && self->lists && rm_index__ids_has(&self->lists->alive, id)) {
        status = rm_index__lists_kill(self->lists, id);
        if (status)
            self->count--;
        else if (self->job)
            rm_index__job_removed(self->job, id);
    }
    return status;
}

rm_status rm_index_add(rm_index *index, rm_key128 partition, uint64_t id, const float *vector)
{
    rm_index__shard *shard = rm_index__shard_of(index, partition);
    rm_index__partition *self = NULL;
    if (id == RM_INDEX__NO_ID || !rm_index__is_unit(vector, index->options.dimensions))
        return RM_EINVAL;
    (void)pthread_rwlock_wrlock(&shard->lock);
    rm_status status = partition_of(shard, partition, &self);
    if (status == RM_OK)
        status = put(index, self, id, vector);
    if (status == RM_OK)
        rm_index__consider(index, partition, self);
    else if (self && !self->count && !self->lists)
        drop_locked(shard, partition, self);
    (void)pthread_rwlock_unlock(&shard->lock);
    return status;
}

rm_status rm_index_remove(rm_index *index, rm_key128 partition, uint64_t id)
{
    rm_index__shard *shard = rm_index__shard_of(index, partition);
    (void)pthread_rwlock_wrlock(&shard->lock);
    rm_index__partition *self = rm_map_get(&shard->partitions, partition);
    rm_status status = self ? take(index, self, id) : RM_ENOTFOUND;
    if (status == RM_OK && rm_index__entries(self) == 0)
        drop_locked(shard, partition, self);
    else if (status == RM_OK)
        rm_index__consider(index, partition, self);
    (void)pthread_rwlock_unlock(&shard->lock);
    return status;
}

rm_status rm_index_drop(rm_index *index, rm_key128 partition)
{
    rm_index__shard *shard = rm_index__shard_of(index, partition);
    (void)pthread_rwlock_wrlock(&shard->lock);
    rm_index__partition *self = rm_map_get(&shard->partitions, partition);
    if (self)
        drop_locked(shard, partition, self);
    (void)pthread_rwlock_unlock(&shard->lock);
    return self ? RM_OK : RM_ENOTFOUND;
}

/* Under the shard's write lock. `ids` has room for all of the partition. */
static rm_status retain_some(rm_index *index, rm_key128 key, rm_index__partition *self, uint64_t *ids,
                             bool (*keep)(rm_key128 partition, uint64_t id, void *user), void *user, uint64_t *removed)
{
    uint64_t count = rm_index__entries(self);
    rm_status status = RM_OK;
    if (self->count)
        memcpy(ids, self->ids, self->count * sizeof(*ids));
    if (self->lists)
        rm_index__ids_copy(&self->lists->alive, ids + self->count);
    for (uint64_t i = 0; status == RM_OK && i < count; i++) {
        if (keep(key, ids[i], user))
            continue;
        status = take(index, self, ids[i]);
        *removed += status == RM_OK;
    }
    return status;
}

static rm_status retain_partition(rm_index *index, rm_index__shard *shard, rm_key128 key,
                                  bool (*keep)(rm_key128 partition, uint64_t id, void *user), void *user,
                                  uint64_t *removed)
{
    rm_index__partition *self = rm_map_get(&shard->partitions, key);
    uint64_t *ids = self ? rm_alloc(((size_t)rm_index__entries(self) + 1) * sizeof(*ids)) : NULL;
    if (!self)
        return RM_OK;
    if (!ids)
        return RM_ENOMEM;
    rm_status status = retain_some(index, key, self, ids, keep, user, removed);
    if (rm_index__entries(self) == 0)
        drop_locked(shard, key, self);
    else
        rm_index__consider(index, key, self);
    rm_free(ids);
    return status;
}

/* The keys of a shard's partitions; *ret_keys is the caller's. */
static rm_status copy_keys(rm_index__shard *shard, rm_key128 **ret_keys, size_t *ret_count)
{
    size_t cursor = 0, count = 0;
    void *partition;
    (void)pthread_rwlock_rdlock(&shard->lock);
    rm_key128 *keys = rm_alloc((shard->partitions.count + 1) * sizeof(*keys));
    while (keys && rm_map_next(&shard->partitions, &cursor, &keys[count], &partition))
        count++;
    (void)pthread_rwlock_unlock(&shard->lock);
    *ret_keys = keys;
    *ret_count = count;
    return keys ? RM_OK : RM_ENOMEM;
}

rm_status rm_index_retain(rm_index *index, bool (*keep)(rm_key128 partition, uint64_t id, void *user), void *user,
                          uint64_t *ret_removed)
{
    rm_status status = RM_OK;
    uint64_t removed = 0;
    for (size_t i = 0; i < RM_INDEX__SHARDS && status == RM_OK; i++) {
        rm_index__shard *shard = &index->shards[i];
        rm_key128 *keys;
        size_t count;
        status = copy_keys(shard, &keys, &count);
        for (size_t k = 0; status == RM_OK && k < count; k++) {
            (void)pthread_rwlock_wrlock(&shard->lock);
            status = retain_partition(index, shard, keys[k], keep, user, &removed);
            (void)pthread_rwlock_unlock(&shard->lock);
        }
        rm_free(keys);
    }
    *ret_removed = removed;
    return status;
}

/* ---- searches ---------------------------------------------------------------------------------------------------- */

typedef struct nearest {
    rm_index_hit *hits; /* best first */
    uint32_t count, wanted;
} nearest;

static bool is_before(rm_index_hit a, rm_index_hit b)
{
    return a.similarity > b.similarity || (a.similarity == b.similarity && a.id < b.id);
}

static void offer(nearest *self, uint64_t id, float similarity)
{
    rm_index_hit hit = {id, similarity};
    if (self->count == self->wanted && !is_before(hit, self->hits[self->count - 1]))
        return;
    uint32_t at = self->count < self->wanted ? self->count++ : self->count - 1;
    for (; at > 0 && is_before(hit, self->hits[at - 1]); at--)
        self->hits[at] = self->hits[at - 1];
    self->hits[at] = hit;
}

static void search_rows(const rm_index *index, const rm_index__partition *self, const float *query, nearest *best)
{
    uint32_t dimensions = index->options.dimensions;
    const float *rows = rm_index__rows(self);
    float similarities[SCAN_ROWS];
    for (uint32_t from = 0; from < self->count; from += SCAN_ROWS) {
        uint32_t count = self->count - from < SCAN_ROWS ? self->count - from : SCAN_ROWS;
        index->dot(query, rows + (size_t)from * dimensions, count, dimensions, similarities);
        for (uint32_t i = 0; i < count; i++)
            if (best->count < best->wanted || similarities[i] >= best->hits[best->count - 1].similarity)
                offer(best, self->ids[from + i], similarities[i]);
    }
}

/* Codes are near the truth, not on it: what they found is measured again, or left out. */
static void offer_candidates(rm_index *index, const float *query, const uint64_t *ids, uint32_t count, nearest *best)
{
    const rm_index_options *options = &index->options;
    float vector[RM_INDEX_DIMENSIONS_MAX], similarity;
    for (uint32_t i = 0; i < count; i++) {
        if (options->fetch(ids[i], vector, options->user) != RM_OK)
            continue;
        index->dot(query, vector, 1, options->dimensions, &similarity);
        if (isfinite(similarity))
            offer(best, ids[i], similarity);
    }
}

rm_status rm_index_search(rm_index *index, rm_key128 partition, const float *query, uint32_t k, rm_index_hit *ret_hits,
                          uint32_t *ret_count)
{
    rm_index__shard *shard = rm_index__shard_of(index, partition);
    nearest best = {.hits = ret_hits, .wanted = k};
    uint64_t candidates[RM_INDEX_CANDIDATES_MAX];
    uint32_t count = 0;
    rm_status status = RM_OK;
    if (k == 0 || k > RM_INDEX_HITS_MAX || !rm_index__is_unit(query, index->options.dimensions))
        return RM_EINVAL;
    (void)pthread_rwlock_rdlock(&shard->lock);
    const rm_index__partition *self = rm_map_get(&shard->partitions, partition);
    if (self)
        search_rows(index, self, query, &best);
    if (self && self->lists) {
        uint32_t wanted = k * CANDIDATES_PER_HIT < CANDIDATES_MIN ? CANDIDATES_MIN : k * CANDIDATES_PER_HIT;
        status = rm_index__lists_search(self->lists, query, wanted, candidates, &count);
    }
    (void)pthread_rwlock_unlock(&shard->lock);
    if (status)
        return status;
    if (count)
        offer_candidates(index, query, candidates, count, &best);
    *ret_count = best.count;
    return RM_OK;
}

uint64_t rm_index_count(rm_index *index, rm_key128 partition)
{
    rm_index__shard *shard = rm_index__shard_of(index, partition);
    (void)pthread_rwlock_rdlock(&shard->lock);
    const rm_index__partition *self = rm_map_get(&shard->partitions, partition);
    uint64_t count = self ? rm_index__entries(self) : 0;
    (void)pthread_rwlock_unlock(&shard->lock);
    return count;
}

/* ---- statistics -------------------------------------------------------------------------------------------------- */

static void count_partition(const rm_index *index, const rm_index__partition *self, rm_index_stats *stats)
{
    uint64_t row = sizeof(*self->ids) + index->options.dimensions * sizeof(float);
    stats->partitions++;
    stats->entries += rm_index__entries(self);
    stats->bytes += sizeof(*self) + self->capacity * row;
    if (self->lists) {
        stats->large++;
        stats->lists += self->lists->list_count;
        stats->probes = self->lists->probes > stats->probes ? self->lists->probes : stats->probes;
        stats->fresh += self->count;
        stats->dead += self->lists->dead.count;
        stats->bytes += rm_index__lists_bytes(self->lists);
    }
}

rm_index_stats rm_index_get_stats(rm_index *index)
{
    rm_index_stats stats = {.builds = index->builds, .lost = index->lost, .failed = index->failed};
    for (size_t i = 0; i < RM_INDEX__SHARDS; i++) {
        rm_index__shard *shard = &index->shards[i];
        size_t cursor = 0;
        rm_key128 key;
        void *partition;
        (void)pthread_rwlock_rdlock(&shard->lock);
        while (rm_map_next(&shard->partitions, &cursor, &key, &partition))
            count_partition(index, partition, &stats);
        stats.bytes += (shard->partitions.mask + 1) * (sizeof(rm_key128) + sizeof(void *));
        (void)pthread_rwlock_unlock(&shard->lock);
    }
    return stats;
}
