/* L2: vectors and which of them are near. An index holds many partitions, which never see each other; a partition
 * holds entries: an id of the caller's and a vector of length 1. Similarity is the inner product.
 *
 *   partition up to flat_max    rows side by side, searched whole: exact
 *   larger                      inverted lists with 8-bit codes (FAISS) + rows for what came since + a set of what left;
 *                               what the codes find is compared again by the vectors that `fetch` reads: exact similarities,
 *                               and the nearest entry in at least 99 of 100 searches that have one at 0.8 or nearer
 *
 * Who calls what: any thread searches, adds and removes; those calls take microseconds, a search of rows 0.1 ms a
 * 1,000. Slow work (training, filling, clearing) happens in rm_index_maintain, on the owner's thread, outside all
 * locks but for short swaps; without it a partition stays exact, and slow. */
#ifndef REMORA_INDEX_H
#define REMORA_INDEX_H

#include "remora/base.h"

typedef struct rm_index rm_index;

typedef struct rm_index_hit {
    uint64_t id;
    float similarity;
} rm_index_hit;

/* Reads an entry's vector from where the owner keeps it. RM_ENOTFOUND: the owner has it no more, and training
 * forgets the entry. Any other failure leaves it out of this search, and ends a training that needed it. Any thread
 * that searches or maintains, several at once; no lock of the index is held. */
typedef rm_status (*rm_index_fetch)(uint64_t id, float *ret_vector, void *user);

typedef struct rm_index_options {
    uint32_t dimensions;     /* 1 to RM_INDEX_DIMENSIONS_MAX */
    uint32_t flat_max;       /* entries of a partition without lists; 0: RM_INDEX_FLAT_ENTRIES */
    const char *fingerprint; /* of what made the vectors; a snapshot of another is refused. NULL: "". Copied */
    bool reference;       /* never lists, and each search a plain loop in double precision: what tests compare with */
    rm_index_fetch fetch; /* NULL: no partition gets lists */
    void *user;
} rm_index_options;

/* RM_EINVAL: a number or the fingerprint out of bounds. RM_ENOMEM. Any thread. */
rm_status rm_index_create(const rm_index_options *options, rm_index **ret_index) RM_WARN_UNUSED;
/* Nobody else may be inside. NULL is fine. */
void rm_index_destroy(rm_index *index);

/* Ids are unique over the whole index, and UINT64_MAX is none; an id that the partition has gets the new vector. The
 * vector is copied. An id that is not higher than all before is looked for among the partition's rows: 10 us at 20,000. RM_EINVAL: the id, or a length
 * not 1 (±1 %). RM_ENOMEM; RM_EFULL: RM_INDEX_ENTRIES_MAX. Any thread. */
rm_status rm_index_add(rm_index *index, rm_key128 partition, uint64_t id, const float *vector) RM_WARN_UNUSED;
/* From here on no search that starts finds it. RM_ENOTFOUND; RM_ENOMEM: a large partition could not note it. Any
 * thread. */
rm_status rm_index_remove(rm_index *index, rm_key128 partition, uint64_t id) RM_WARN_UNUSED;
/* Forgets a partition with all it holds. RM_ENOTFOUND. Any thread. */
rm_status rm_index_drop(rm_index *index, rm_key128 partition) RM_WARN_UNUSED;

/* Asks of each entry whether it is to stay, and removes the others: after a snapshot was loaded, what its owner has no more.
 * `keep` must not call the index. Holds a partition's lock while it goes through it. *ret_removed: how many. RM_ENOMEM: not all
 * were asked of. Any thread. */
rm_status rm_index_retain(rm_index *index, bool (*keep)(rm_key128 partition, uint64_t id, void *user), void *user,
                          uint64_t *ret_removed) RM_WARN_UNUSED;

/* Up to k nearest entries, nearest first, equal ones by lower id; an unknown partition has none. `ret_hits` has room
 * for k. What a removal at the same time takes away may still be among them: whoever serves an entry asks its store.
 * RM_EINVAL: k is 0 or over RM_INDEX_HITS_MAX, or the query's length not 1. RM_ENOMEM, RM_EINTERNAL: the lists could
 * not be searched. Any thread. */
rm_status rm_index_search(rm_index *index, rm_key128 partition, const float *query, uint32_t k, rm_index_hit *ret_hits,
                          uint32_t *ret_count) RM_WARN_UNUSED;
/* Entries of a partition. Any thread. */
uint64_t rm_index_count(rm_index *index, rm_key128 partition);

/* Does the next piece of slow work, if any: up to about 50 ms, or one round of training (1 s at 250,000 entries, 5 s
 * at a million). While lists are trained anew, each time a partition has doubled, the old ones stay beside the new, and
 * up to RM_INDEX_SAMPLE_MAX vectors besides. A failure ends what was begun (it starts over when the partition changes
 * next) and harms nothing: RM_ENOMEM, what `fetch` returned, RM_EINTERNAL. *ret_more: call again. One thread at a time
 * works, another waits. */
rm_status rm_index_maintain(rm_index *index, bool *ret_more) RM_WARN_UNUSED;

typedef struct rm_index_stats {
    uint64_t partitions, entries;
    uint64_t bytes;  /* all that partitions take, by what was asked for; lists' by estimate */
    uint64_t large;  /* partitions with lists */
    uint64_t lists;  /* of all of them */
    uint64_t probes; /* the most lists that a search of one of them looks into */
    uint64_t fresh;  /* their entries that are not in lists yet */
    uint64_t dead;   /* removed ones still there */
    uint64_t builds; /* since the index was made: trainings that ended well */
    uint64_t lost;   /* ... entries forgotten because `fetch` did not find them */
    uint64_t failed; /* ... pieces of slow work that failed */
} rm_index_stats;
/* Walks all partitions. Any thread. */
rm_index_stats rm_index_get_stats(rm_index *index);

/* Writes a snapshot to PATH.tmp, syncs it and puts it in PATH's place. All that happened before the call is in it,
 * and what happens meanwhile may be: `sequence`, which the owner chose before the call, says from where to go over
 * its own journal again. Searches, additions and removals go on; maintenance and other snapshots wait, and this
 * waits for theirs. RM_EINVAL: a path over 4,091 bytes. RM_EIO, RM_ENOMEM; RM_EFULL: the disk.
 * RM_EINTERNAL: lists that failed are being rebuilt. Any thread. */
rm_status rm_index_save(rm_index *index, const char *path, uint64_t sequence) RM_WARN_UNUSED;
/* Makes an index from a snapshot. RM_ENOTFOUND: no such file. RM_ECORRUPT: any damage. RM_EUNSUPPORTED: another
 * version, number of dimensions, fingerprint or order of bytes, or lists where these options (or this CPU) allow
 * none. RM_EINVAL as rm_index_create; RM_EIO; RM_ENOMEM. In each case the owner makes an empty index and adds what
 * its store has. Any thread. */
rm_status rm_index_load(const char *path, const rm_index_options *options, rm_index **ret_index,
                        uint64_t *ret_sequence) RM_WARN_UNUSED;

/* The library behind the lists: "FAISS 1.7.3 avx2". Static. Any thread. */
const char *rm_index_version(void);

#endif
