/* What the files of this module share.
 *
 *   index.c     partitions, rows, searches           holds a shard's lock
 *   lists.c     FAISS, and nothing else includes it  the caller holds what is needed
 *   maintain.c  jobs that build and tend lists       index->slow, and a shard's lock for moments
 *   snapshot.c  files                                index->slow, likewise
 *   dot.c, ids.c                                     inner products; sets of ids
 *
 * An entry is in exactly one place: a row, or `alive` of its partition's lists. Codes inside the lists whose id is
 * not alive do not count. FAISS's own structures change only under index->slow AND the shard's write lock, so each
 * of the two is enough to read them. */
#ifndef RM_INDEX_INTERNAL_H
#define RM_INDEX_INTERNAL_H

#include <pthread.h>
#include <stdio.h>

#include "remora/index.h"

#define RM_INDEX__SHARDS  16U
#define RM_INDEX__NO_ID   UINT64_MAX
#define RM_INDEX__PIECE   1024U /* vectors that a piece of slow work handles */
#define RM_INDEX__ROUNDS  10U   /* of training */
#define RM_INDEX__DOUBLED 2U    /* lists are trained anew when a partition has grown so much */

/* ---- dot.c ------------------------------------------------------------------------------------------------------- */

/* ret[i] = inner product of the query and row i. */
typedef void (*rm_index__dot)(const float *query, const float *rows, size_t count, uint32_t dimensions, float *ret);
rm_index__dot rm_index__dot_best(void);
void rm_index__dot_portable(const float *query, const float *rows, size_t count, uint32_t dimensions, float *ret);
void rm_index__dot_reference(const float *query, const float *rows, size_t count, uint32_t dimensions, float *ret);

/* ---- ids.c ------------------------------------------------------------------------------------------------------- */

/* Open addressing, linear probing, at most three quarters full. Zeroed is empty. */
typedef struct rm_index__ids {
    uint64_t *slots; /* RM_INDEX__NO_ID: free */
    size_t count, mask;
} rm_index__ids;

void rm_index__ids_deinit(rm_index__ids *ids);
rm_status rm_index__ids_reserve(rm_index__ids *ids, size_t more) RM_WARN_UNUSED;
rm_status rm_index__ids_add(rm_index__ids *ids, uint64_t id) RM_WARN_UNUSED; /* one that is there is fine */
bool rm_index__ids_has(const rm_index__ids *ids, uint64_t id);
bool rm_index__ids_remove(rm_index__ids *ids, uint64_t id);
/* Writes all of them, in no order. */
void rm_index__ids_copy(const rm_index__ids *ids, uint64_t *ret_ids);

/* A list of ids that only grows, until it is emptied. Zeroed is empty. */
typedef struct rm_index__log {
    uint64_t *ids;
    size_t count, capacity;
} rm_index__log;

rm_status rm_index__log_reserve(rm_index__log *log, size_t more) RM_WARN_UNUSED;
rm_status rm_index__log_add(rm_index__log *log, uint64_t id) RM_WARN_UNUSED;
void rm_index__log_deinit(rm_index__log *log);

/* ---- lists.c ----------------------------------------------------------------------------------------------------- */

typedef struct rm_index__lists {
    void *codes;  /* FaissIndex: the inverted lists */
    void *stage;  /* the same without entries: where additions are coded before they are merged in */
    void *kmeans; /* FaissClustering while it is trained */
    rm_index__ids alive;
    rm_index__log dead; /* ids in `codes` that left */
    uint64_t trained;   /* entries when it was trained */
    uint32_t dimensions, list_count, probes;
    bool broken; /* a merge failed half way: `codes` is not to be read any more */
    _Atomic uint32_t refs;
} rm_index__lists;

/* Whether this CPU has the instructions that the library was built with. */
bool rm_index__lists_run_here(void);
/* How many lists for so many entries. */
uint32_t rm_index__lists_wanted(uint64_t entries);
rm_status rm_index__lists_create(uint32_t dimensions, uint32_t list_count, rm_index__lists **ret_lists) RM_WARN_UNUSED;
void rm_index__lists_ref(rm_index__lists *lists);
void rm_index__lists_unref(rm_index__lists *lists); /* NULL is fine */
/* One round; `count` is at least list_count, and the sample is the same each time. */
rm_status rm_index__lists_train(rm_index__lists *lists, const float *sample, size_t count) RM_WARN_UNUSED;
/* After the last round: codes' ranges, the stage, and how many lists a search has to look into. */
rm_status rm_index__lists_settle(rm_index__lists *lists, const float *sample, size_t count) RM_WARN_UNUSED;
/* Adds to lists that nobody else sees; a failure makes them useless. */
rm_status rm_index__lists_fill(rm_index__lists *lists, const float *vectors, const uint64_t *ids,
                               size_t count) RM_WARN_UNUSED;
/* Codes entries aside; then merges them in under the write lock, or forgets them. A failure of the first changes
 * nothing, one of the second may leave `broken` lists. */
rm_status rm_index__lists_stage(rm_index__lists *lists, const float *vectors, const uint64_t *ids,
                                size_t count) RM_WARN_UNUSED;
rm_status rm_index__lists_merge(rm_index__lists *lists, const uint64_t *ids, size_t count) RM_WARN_UNUSED;
void rm_index__lists_unstage(rm_index__lists *lists);
/* Takes an entry away. RM_ENOTFOUND, RM_ENOMEM. */
rm_status rm_index__lists_kill(rm_index__lists *lists, uint64_t id) RM_WARN_UNUSED;
/* Clears what is dead out of the codes; write lock. */
rm_status rm_index__lists_purge(rm_index__lists *lists) RM_WARN_UNUSED;
/* Up to `wanted` alive ids (at most RM_INDEX_CANDIDATES_MAX), best first by their codes. */
rm_status rm_index__lists_search(const rm_index__lists *lists, const float *query, uint32_t wanted, uint64_t *ret_ids,
                                 uint32_t *ret_count) RM_WARN_UNUSED;
uint64_t rm_index__lists_bytes(const rm_index__lists *lists);
/* FAISS's part of a snapshot. RM_EIO; RM_ECORRUPT, also when it is not what lists->dimensions and list_count say. */
rm_status rm_index__lists_write(const rm_index__lists *lists, FILE *file) RM_WARN_UNUSED;
rm_status rm_index__lists_read(rm_index__lists *lists, FILE *file) RM_WARN_UNUSED;

/* ---- index.c ----------------------------------------------------------------------------------------------------- */

typedef struct rm_index__job rm_index__job;

/* Small ones are many: 48 bytes, and one block for the entries: `capacity` ids, then as many rows. */
typedef struct rm_index__partition {
    uint64_t *ids;
    rm_index__lists *lists; /* NULL: all entries are rows */
    rm_index__job *job;     /* what is being done to it; it is told of removals */
    uint64_t highest;       /* no id over this one was ever here, so that a new one need not be looked for */
    uint32_t count, capacity;
    bool due; /* queued for maintenance */
} rm_index__partition;

typedef struct rm_index__shard {
    pthread_rwlock_t lock;
    rm_map partitions;
} rm_index__shard;

typedef struct rm_index__due {
    pthread_mutex_t lock;
    rm_key128 *keys; /* first in, first out; bounded by the number of partitions */
    size_t count, capacity;
} rm_index__due;

struct rm_index {
    rm_index_options options;
    char fingerprint[RM_INDEX_FINGERPRINT_BYTES_MAX + 1];
    rm_index__dot dot;
    bool may_list; /* partitions may get lists */
    rm_index__shard shards[RM_INDEX__SHARDS];
    rm_index__due due;    /* its lock is taken inside a shard's */
    pthread_mutex_t slow; /* maintenance and snapshots; taken before a shard's */
    rm_index__job *job;
    _Atomic uint64_t builds, lost, failed;
};

static inline rm_index__shard *rm_index__shard_of(rm_index *index, rm_key128 partition)
{
    return &index->shards[(partition.lo ^ partition.hi) % RM_INDEX__SHARDS];
}
static inline float *rm_index__rows(const rm_index__partition *self)
{
    return self->ids ? (float *)(void *)(self->ids + self->capacity) : NULL;
}
static inline uint64_t rm_index__entries(const rm_index__partition *self)
{
    return self->count + (self->lists ? self->lists->alive.count : 0);
}
rm_index__partition *rm_index__partition_create(void) RM_WARN_UNUSED;
void rm_index__partition_destroy(rm_index__partition *self);
/* Room for exactly `capacity` rows, at least `count`. */
rm_status rm_index__partition_resize(const rm_index *index, rm_index__partition *self,
                                     uint32_t capacity) RM_WARN_UNUSED;
/* Gives most of the empty room back, if it can. */
void rm_index__partition_shrink(const rm_index *index, rm_index__partition *self);
/* Whether a vector is finite and of length 1, nearly. */
bool rm_index__is_unit(const float *vector, uint32_t dimensions);

/* ---- maintain.c -------------------------------------------------------------------------------------------------- */

/* Write lock held: queues the partition if there is work for it. */
void rm_index__consider(rm_index *index, rm_key128 key, rm_index__partition *self);
/* Write lock held: an entry of the partition left, or its partition did. */
void rm_index__job_removed(rm_index__job *job, uint64_t id);
void rm_index__job_orphaned(rm_index__job *job);
void rm_index__job_destroy(rm_index__job *job);

/* ---- snapshot.c -------------------------------------------------------------------------------------------------- */

/* The parts of a snapshot whose checksum was right. Without `with_lists` one that has inverted lists is
 * RM_EUNSUPPORTED: FAISS's reader is not made for bytes of unknown origin. */
rm_status rm_index__snapshot_decode(rm_slice bytes, const rm_index_options *options, bool with_lists,
                                    rm_index **ret_index, uint64_t *ret_sequence) RM_WARN_UNUSED;
/* RM_ECORRUPT; RM_EUNSUPPORTED: another version. */
rm_status rm_index__snapshot_verify(rm_slice bytes) RM_WARN_UNUSED;
/* Puts the right checksum in. */
void rm_index__snapshot_seal(char *bytes, size_t len);

#endif
