/* Slow work, one job at a time and in pieces. While a job runs its partition tells it of each entry that leaves, so
 * that what the job holds of the past can be put right when its result is swapped in.
 *
 *   BUILD   note ids ─► gather a sample ─► train ─► settle ─► fill ─► swap the new lists in
 *   ABSORB  copy fresh rows ─► code them aside ─► merge them into the lists
 *   PURGE   clear dead entries out of the lists
 *
 * ABSORB never meets an id that is dead in the lists (PURGE goes first), so that within the codes an id is unique. */
#include "index_internal.h"

typedef enum job_kind { BUILD, ABSORB, PURGE } job_kind;

struct rm_index__job {
    rm_key128 key;
    job_kind kind;
    unsigned stage; /* of the kind's table */
    /* Guarded by the shard's lock. */
    rm_index__partition *partition; /* NULL: it is gone */
    rm_index__log removed;
    bool spoiled; /* a removal could not be noted */

    rm_index__lists *lists;
    uint64_t *ids; /* the first `rows` of them stood in the partition's rows, in this order */
    size_t count, rows, next;
    float *sample; /* BUILD: of training; then a piece. ABSORB: the rows */
    size_t sampled, sample_wanted;
    unsigned rounds;
};

typedef rm_status (*job_step)(rm_index *index, rm_index__job *job, bool *ret_done);

/* ---- what is due ------------------------------------------------------------------------------------------------- */

static bool next_kind(const rm_index *index, const rm_index__partition *self, job_kind *ret_kind)
{
    const rm_index__lists *lists = self->lists;
    uint64_t entries = rm_index__entries(self);
    if (!index->may_list)
        return false;
    if (!lists) {
        *ret_kind = BUILD;
        return self->count > index->options.flat_max;
    }
    size_t dead_max = lists->alive.count / 16 > RM_INDEX_DEAD_MAX ? lists->alive.count / 16 : RM_INDEX_DEAD_MAX;
    if (lists->broken || entries >= RM_INDEX__DOUBLED * lists->trained)
        *ret_kind = BUILD;
    else if (self->count > RM_INDEX_FRESH_MAX)
        *ret_kind = lists->dead.count ? PURGE : ABSORB;
    else if (lists->dead.count > dead_max)
        *ret_kind = PURGE;
    else
        return false;
    return true;
}

static bool push_due(rm_index__due *due, rm_key128 key)
{
    bool pushed = true;
    (void)pthread_mutex_lock(&due->lock);
    if (due->count == due->capacity) {
        size_t capacity = due->capacity ? due->capacity * 2 : 16;
        rm_key128 *keys = rm_realloc(due->keys, capacity * sizeof(*keys));
        pushed = keys != NULL;
        if (keys) {
            due->keys = keys;
            due->capacity = capacity;
        }
    }
    if (pushed)
        due->keys[due->count++] = key;
    (void)pthread_mutex_unlock(&due->lock);
    return pushed;
}

static bool pop_due(rm_index__due *due, rm_key128 *ret_key)
{
    (void)pthread_mutex_lock(&due->lock);
    bool any = due->count > 0;
    if (any) {
        *ret_key = due->keys[0];
        memmove(due->keys, due->keys + 1, --due->count * sizeof(*due->keys));
    }
    (void)pthread_mutex_unlock(&due->lock);
    return any;
}

void rm_index__consider(rm_index *index, rm_key128 key, rm_index__partition *self)
{
    job_kind kind;
    if (!self->due && !self->job && next_kind(index, self, &kind))
        self->due = push_due(&index->due, key);
}

/* ---- a job and its partition; the write lock is held ------------------------------------------------------------- */

void rm_index__job_removed(rm_index__job *job, uint64_t id)
{
    job->spoiled |= rm_index__log_add(&job->removed, id) != RM_OK;
}

void rm_index__job_orphaned(rm_index__job *job)
{
    job->partition = NULL;
}

void rm_index__job_destroy(rm_index__job *job)
{
    if (!job)
        return;
    rm_index__lists_unref(job->lists);
    rm_index__log_deinit(&job->removed);
    rm_free(job->ids);
    rm_free(job->sample);
    rm_free(job);
}

/* Rows that the lists have by now are rows no more. */
static void drop_listed_rows(const rm_index *index, rm_index__partition *self)
{
    size_t dimensions = index->options.dimensions;
    float *rows = rm_index__rows(self);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        if (rm_index__ids_has(&self->lists->alive, self->ids[i]))
            continue;
        if (kept != i) {
            self->ids[kept] = self->ids[i];
            memmove(rows + kept * dimensions, rows + i * dimensions, dimensions * sizeof(*rows));
        }
        kept++;
    }
    self->count = kept;
    rm_index__partition_shrink(index, self);
}

/* What left while the job ran leaves what it made. */
static rm_status settle_removed(rm_index__job *job, rm_index__lists *lists)
{
    rm_status status = job->spoiled ? RM_ENOMEM : RM_OK;
    for (size_t i = 0; status == RM_OK && i < job->removed.count; i++) {
        status = rm_index__lists_kill(lists, job->removed.ids[i]);
        if (status == RM_ENOTFOUND) /* left twice, or came later */
            status = RM_OK;
    }
    return status;
}

/* ---- BUILD ------------------------------------------------------------------------------------------------------- */

static rm_status note_ids(rm_index__job *job, const rm_index__partition *self)
{
    job->rows = self->count;
    job->count = (size_t)rm_index__entries(self);
    job->ids = rm_alloc(job->count * sizeof(*job->ids));
    if (!job->ids)
        return RM_ENOMEM;
    if (self->count)
        memcpy(job->ids, self->ids, self->count * sizeof(*job->ids));
    if (self->lists)
        rm_index__ids_copy(&self->lists->alive, job->ids + self->count);
    return RM_OK;
}

static rm_status begin_build(rm_index *index, rm_index__job *job, const rm_index__partition *self)
{
    size_t most = RM_INDEX_SAMPLE_MAX;
    rm_status status = note_ids(job, self);
    if (status)
        return status;
    job->sample_wanted = job->count < most ? job->count : most;
    job->sample = rm_alloc(job->sample_wanted * index->options.dimensions * sizeof(*job->sample));
    return job->sample ? RM_OK : RM_ENOMEM;
}

/* The vectors of those of `count` places in job->ids that still have one; their ids are left in ret_ids. Rows are
 * copied from where they stood, if they still do; all others come from the owner. */
static rm_status read_vectors(rm_index *index, rm_index__job *job, const size_t *places, size_t count,
                              float *ret_vectors, uint64_t *ret_ids, size_t *ret_count)
{
    uint32_t dimensions = index->options.dimensions;
    rm_index__shard *shard = rm_index__shard_of(index, job->key);
    bool have[RM_INDEX__PIECE] = {false};
    size_t read = 0;
    (void)pthread_rwlock_rdlock(&shard->lock);
    const rm_index__partition *self = job->partition;
    for (size_t i = 0; self && i < count; i++) {
        size_t at = places[i];
        have[i] = at < job->rows && at < self->count && self->ids[at] == job->ids[at];
        if (have[i])
            memcpy(ret_vectors + i * dimensions, rm_index__rows(self) + at * dimensions, dimensions * sizeof(float));
    }
    (void)pthread_rwlock_unlock(&shard->lock);
    for (size_t i = 0; i < count; i++) {
        rm_status status = RM_OK;
        float *vector = ret_vectors + read * dimensions;
        if (!have[i])
            status = index->options.fetch(job->ids[places[i]], vector, index->options.user);
        else if (read != i)
            memmove(vector, ret_vectors + i * dimensions, dimensions * sizeof(float));
        if (status != RM_OK && status != RM_ENOTFOUND)
            return status;
        if (status == RM_OK && rm_index__is_unit(vector, dimensions))
            ret_ids[read++] = job->ids[places[i]];
    }
    *ret_count = read;
    return RM_OK;
}

static rm_status gather(rm_index *index, rm_index__job *job, bool *ret_done)
{
    size_t places[RM_INDEX__PIECE], count = job->sample_wanted - job->next, read = 0;
    uint64_t ids[RM_INDEX__PIECE];
    count = count < RM_INDEX__PIECE ? count : RM_INDEX__PIECE;
    for (size_t i = 0; i < count; i++)
        places[i] = (job->next + i) * job->count / job->sample_wanted;
    float *to = job->sample + job->sampled * index->options.dimensions;
    rm_status status = read_vectors(index, job, places, count, to, ids, &read);
    if (status)
        return status;
    job->sampled += read;
    job->next += count;
    *ret_done = job->next == job->sample_wanted;
    if (!*ret_done)
        return RM_OK;
    if (job->sampled == 0) /* everything left, or the owner has forgotten it */
        return RM_ENOTFOUND;
    uint64_t entries = (uint64_t)job->count * job->sampled / job->sample_wanted;
    return rm_index__lists_create(index->options.dimensions, rm_index__lists_wanted(entries), &job->lists);
}

static rm_status train(rm_index *index, rm_index__job *job, bool *ret_done)
{
    (void)index;
    *ret_done = ++job->rounds == RM_INDEX__ROUNDS;
    return rm_index__lists_train(job->lists, job->sample, job->sampled);
}

static rm_status settle(rm_index *index, rm_index__job *job, bool *ret_done)
{
    rm_status status = rm_index__lists_settle(job->lists, job->sample, job->sampled);
    if (status)
        return status;
    rm_free(job->sample);
    job->sample = rm_alloc(RM_INDEX__PIECE * index->options.dimensions * sizeof(*job->sample));
    job->next = 0;
    *ret_done = true;
    return job->sample ? RM_OK : RM_ENOMEM;
}

static rm_status fill(rm_index *index, rm_index__job *job, bool *ret_done)
{
    size_t places[RM_INDEX__PIECE], count = job->count - job->next, read = 0;
    uint64_t ids[RM_INDEX__PIECE];
    count = count < RM_INDEX__PIECE ? count : RM_INDEX__PIECE;
    for (size_t i = 0; i < count; i++)
        places[i] = job->next + i;
    rm_status status = read_vectors(index, job, places, count, job->sample, ids, &read);
    if (status == RM_OK && read)
        status = rm_index__lists_fill(job->lists, job->sample, ids, read);
    job->next += count;
    *ret_done = job->next == job->count;
    return status;
}

static rm_status swap(rm_index *index, rm_index__job *job, bool *ret_done)
{
    rm_index__shard *shard = rm_index__shard_of(index, job->key);
    rm_index__lists *old = NULL;
    (void)pthread_rwlock_wrlock(&shard->lock);
    rm_index__partition *self = job->partition;
    rm_status status = settle_removed(job, job->lists);
    if (self && status == RM_OK) {
        uint64_t before = rm_index__entries(self);
        old = self->lists;
        self->lists = job->lists;
        job->lists = NULL;
        drop_listed_rows(index, self);
        self->lists->trained = rm_index__entries(self);
        index->lost += before - rm_index__entries(self);
        index->builds++;
    }
    (void)pthread_rwlock_unlock(&shard->lock);
    rm_index__lists_unref(old);
    *ret_done = true;
    return status;
}

/* ---- ABSORB ------------------------------------------------------------------------------------------------------ */

static rm_status begin_absorb(rm_index *index, rm_index__job *job, rm_index__partition *self)
{
    size_t row = index->options.dimensions * sizeof(*job->sample);
    size_t most = 2 * (size_t)RM_INDEX_FRESH_MAX;
    job->count = self->count < most ? self->count : most;
    job->ids = rm_alloc(job->count * sizeof(*job->ids));
    job->sample = rm_alloc(job->count * row);
    if (!job->ids || !job->sample)
        return RM_ENOMEM;
    memcpy(job->ids, self->ids, job->count * sizeof(*job->ids));
    memcpy(job->sample, rm_index__rows(self), job->count * row);
    rm_index__lists_ref(self->lists);
    job->lists = self->lists;
    return RM_OK;
}

static rm_status stage(rm_index *index, rm_index__job *job, bool *ret_done)
{
    (void)index;
    *ret_done = true;
    return rm_index__lists_stage(job->lists, job->sample, job->ids, job->count);
}

/* A removal that could not be noted must not come back to life: with `spoiled` the rows stay and nothing is merged. */
static rm_status merge(rm_index *index, rm_index__job *job, bool *ret_done)
{
    rm_index__shard *shard = rm_index__shard_of(index, job->key);
    (void)pthread_rwlock_wrlock(&shard->lock);
    rm_index__partition *self = job->partition;
    rm_status status = job->spoiled ? RM_ENOMEM : rm_index__log_reserve(&job->lists->dead, job->removed.count);
    if (status == RM_OK)
        status = rm_index__lists_merge(job->lists, job->ids, job->count);
    else
        rm_index__lists_unstage(job->lists);
    if (status == RM_OK)
        status = settle_removed(job, job->lists);
    if (self && status == RM_OK)
        drop_listed_rows(index, self);
    (void)pthread_rwlock_unlock(&shard->lock);
    *ret_done = true;
    return status;
}

/* ---- PURGE ------------------------------------------------------------------------------------------------------- */

static rm_status purge(rm_index *index, rm_index__job *job, bool *ret_done)
{
    rm_index__shard *shard = rm_index__shard_of(index, job->key);
    rm_status status = RM_OK;
    (void)pthread_rwlock_wrlock(&shard->lock);
    if (job->partition)
        status = rm_index__lists_purge(job->partition->lists);
    (void)pthread_rwlock_unlock(&shard->lock);
    *ret_done = true;
    return status;
}

/* ---- jobs -------------------------------------------------------------------------------------------------------- */

static const job_step steps[][6] = {
    [BUILD] = {gather, train, settle, fill, swap, NULL},
    [ABSORB] = {stage, merge, NULL},
    [PURGE] = {purge, NULL},
};

static rm_status begin(rm_index *index, rm_index__job *job, rm_index__partition *self)
{
    switch (job->kind) {
    case BUILD:
        return begin_build(index, job, self);
    case ABSORB:
        return begin_absorb(index, job, self);
    case PURGE:
        break;
    }
    return RM_OK;
}

/* Begins the next job; none is left when there is nothing to do. */
static rm_status take_due(rm_index *index)
{
    rm_key128 key;
    rm_status status = RM_OK;
    while (!index->job && status == RM_OK && pop_due(&index->due, &key)) {
        rm_index__shard *shard = rm_index__shard_of(index, key);
        rm_index__job *job = rm_calloc(1, sizeof(*job));
        (void)pthread_rwlock_wrlock(&shard->lock);
        rm_index__partition *self = rm_map_get(&shard->partitions, key);
        if (self)
            self->due = false;
        if (!job) {
            status = RM_ENOMEM;
        } else if (self && next_kind(index, self, &job->kind)) {
            job->key = key;
            status = begin(index, job, self);
            if (status == RM_OK) {
                job->partition = self;
                self->job = job;
                index->job = job;
                job = NULL;
            }
        }
        (void)pthread_rwlock_unlock(&shard->lock);
        rm_index__job_destroy(job);
    }
    return status;
}

static void end(rm_index *index, rm_status status)
{
    rm_index__job *job = index->job;
    rm_index__shard *shard = rm_index__shard_of(index, job->key);
    (void)pthread_rwlock_wrlock(&shard->lock);
    if (job->partition) {
        job->partition->job = NULL;
        /* What failed is not begun again before something changes, unless searches suffer. */
        if (status == RM_OK || (job->partition->lists && job->partition->lists->broken))
            rm_index__consider(index, job->key, job->partition);
    }
    (void)pthread_rwlock_unlock(&shard->lock);
    rm_index__job_destroy(job);
    index->job = NULL;
}

static bool is_orphan(rm_index *index, const rm_index__job *job)
{
    rm_index__shard *shard = rm_index__shard_of(index, job->key);
    (void)pthread_rwlock_rdlock(&shard->lock);
    bool orphan = !job->partition;
    (void)pthread_rwlock_unlock(&shard->lock);
    return orphan;
}

rm_status rm_index_maintain(rm_index *index, bool *ret_more)
{
    bool done = false;
    (void)pthread_mutex_lock(&index->slow);
    rm_status status = take_due(index);
    rm_index__job *job = index->job;
    if (job && is_orphan(index, job)) {
        end(index, RM_OK);
    } else if (job) {
        status = steps[job->kind][job->stage](index, job, &done);
        job->stage += done;
        if (status != RM_OK || !steps[job->kind][job->stage])
            end(index, status);
    }
    index->failed += status != RM_OK;
    (void)pthread_mutex_lock(&index->due.lock);
    *ret_more = index->job || index->due.count;
    (void)pthread_mutex_unlock(&index->due.lock);
    (void)pthread_mutex_unlock(&index->slow);
    return status;
}
