/* What the semantic cache keeps in memory, and how that is stored and restored.
 *
 *     annex (one an entry)   what never changes: partition, record, answer, group, vector, text     keeper.c
 *     notes                  what labels change, written a little later                             semantic_state.c
 *         {id, 0}            an entry's witnesses; goes with the annex
 *         {group, 1}         an answer's offset, quarantine and confirmations
 *         {hash, 2}          a namespace's evidence and counts
 */
#ifndef REMORA_CACHE_SEMANTIC_STATE_H
#define REMORA_CACHE_SEMANTIC_STATE_H

#include <pthread.h>

#include "evidence.h"
#include "remora/semantic.h"
#include "remora/store.h"

#define RM_SEMANTIC__TENANTS 3 /* of an answer, that are told apart */

/* What is to be written down; kinds differ in what they are embedded in. */
typedef enum rm_semantic__kind { RM_SEMANTIC__ENTRY = 0, RM_SEMANTIC__GROUP, RM_SEMANTIC__SPACE } rm_semantic__kind;

typedef struct rm_semantic__dirt {
    rm_link link; /* in semantic->dirty: it has changed since it was stored */
    rm_semantic__kind kind;
} rm_semantic__dirt;

/* Entries whose answers were judged equal: aliases. */
typedef struct rm_semantic__group {
    rm_semantic__dirt dirt;
    uint64_t id; /* of the first entry */
    rm_semantic_answer text;
    rm_evidence_offset offset;
    uint32_t entries;
    uint32_t quarantine;                    /* right labels until it is served again */
    uint64_t tenants[RM_SEMANTIC__TENANTS]; /* who had this answer from the upstream; 0: nobody more */
} rm_semantic__group;

typedef struct rm_semantic__entry {
    rm_semantic__dirt dirt;
    uint64_t id;
    rm_key128 partition, record;
    rm_semantic__group *group;
    float worst; /* similarity of the nearest request that had another answer; below -1: none had */
    uint16_t right, wrong;
} rm_semantic__entry;

typedef struct rm_semantic__counts {
#define X(name) uint64_t name;
    RM_SEMANTIC_STATS(X)
#undef X
    uint64_t guards[RM_SEMANTIC_GUARDS_MAX];
    double saved_usd, shadow_usd;
} rm_semantic__counts;

typedef struct rm_semantic__space {
    rm_semantic__dirt dirt;
    rm_key128 key;
    char name[RM_NAMESPACE_BYTES_MAX + 1];
    rm_evidence evidence;
    rm_semantic__counts counts;
} rm_semantic__space;

struct rm_semantic {
    rm_semantic_options options;
    struct rm_guard_words *words;
    const rm_prior *prior;
    pthread_mutex_t lock; /* guards all below; held for microseconds */
    rm_map entries;       /* by rm_semantic__key_of(id) */
    rm_map spaces;        /* by the name's hash */
    rm_map groups;        /* by rm_semantic__key_of(id), while restoring only */
    rm_link dirty;
};

rm_key128 rm_semantic__key_of(uint64_t id);
/* Under the lock. NULL: no memory, or too many. */
rm_semantic__space *rm_semantic__space_of(rm_semantic *semantic, rm_slice name);
void rm_semantic__soil(rm_semantic *semantic, rm_semantic__dirt *dirt);
void rm_semantic__release_entry(rm_semantic *semantic, rm_semantic__entry *entry);
/* The entry leaves its group for this one, which may be the same. */
void rm_semantic__join_group(rm_semantic *semantic, rm_semantic__entry *entry, rm_semantic__group *group);

/* ---- state: what keeper.c stores and restores -------------------------------------------------------------------- */

/* What an entry began with. */
typedef struct rm_semantic__origin {
    uint64_t id, group;
    rm_key128 partition, record;
    rm_semantic_answer answer;
} rm_semantic__origin;

/* Any thread. RM_ENOTFOUND. */
rm_status rm_semantic__get_origin(rm_semantic *semantic, uint64_t id, rm_semantic__origin *ret_origin) RM_WARN_UNUSED;
/* Puts an entry back; its index may have it already (`vector` NULL). RM_ENOMEM, RM_EFULL, RM_EINVAL: the vector. */
rm_status rm_semantic__restore(rm_semantic *semantic, const rm_semantic__origin *origin,
                               const float *vector) RM_WARN_UNUSED;
/* After the entries. RM_ENOTFOUND: of something that is there no more, or of another version. */
rm_status rm_semantic__restore_note(rm_semantic *semantic, const rm_store_note *note) RM_WARN_UNUSED;
void rm_semantic__restored(rm_semantic *semantic);

/* Up to `count_max` notes of what has changed since the last call; their bytes are appended to `bytes`, whose memory they
 * point into. RM_ENOMEM: nothing was taken. */
rm_status rm_semantic__take_notes(rm_semantic *semantic, rm_buf *bytes, rm_store_note *notes, size_t count_max,
                                  size_t *ret_count) RM_WARN_UNUSED;

/* Some entries from where `*cursor` (0 at first, and again at the end) stands. */
size_t rm_semantic__list(rm_semantic *semantic, size_t *cursor, rm_semantic__origin *ret_origins, size_t count_max);

#endif
