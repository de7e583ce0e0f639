/* L3: the semantic cache as a thing that lasts: what semantic.h decides and learns, kept in the store.
 *
 *     a record of the exact cache ── annex: its question, vector and answer's signature      gone with the record
 *     notes: evidence, quarantine, confirmations, witnesses                                   written within a second
 *     vectors in an index, in memory; a snapshot of it, so that a start need not build it anew
 *
 * An entry is served only where the store still has its annex and record. The slow work (loading, training, storing what has
 * changed, looking for what is gone) is done by the owner's thread in rm_keeper_tend; requests wait for none of it. */
#ifndef REMORA_KEEPER_H
#define REMORA_KEEPER_H

#include "remora/semantic.h"
#include "remora/store.h"

typedef struct rm_keeper rm_keeper;

typedef struct rm_keeper_options {
    rm_store *store;         /* outlives this */
    const char *model;       /* of the vectors, for the shipped prior */
    const char *fingerprint; /* of all that makes them; entries of another are not loaded. Copied */
    uint32_t dimensions;
    const char *snapshot; /* the index's file; NULL: none. Copied */
    uint32_t flat_max;    /* as in rm_index_options */
    double audit_share;   /* as in rm_semantic_options, and what follows too */
    uint64_t seed;
    uint32_t guards_ignored;
} rm_keeper_options;

/* RM_ENOMEM, RM_EIO. Any thread. */
rm_status rm_keeper_create(const rm_keeper_options *options, rm_keeper **ret_keeper) RM_WARN_UNUSED;
/* Stores what has changed. Nobody else may be inside. NULL is fine. */
void rm_keeper_destroy(rm_keeper *keeper);
/* For its counts and namespaces. */
rm_semantic *rm_keeper_semantic(rm_keeper *keeper);
rm_index_stats rm_keeper_index_stats(rm_keeper *keeper); /* any thread */

/* As rm_semantic_decide. RM_EBUSY: not loaded yet; the request is a miss. Any thread. */
rm_status rm_keeper_decide(rm_keeper *keeper, const rm_semantic_ask *ask,
                           rm_semantic_decision *ret_decision) RM_WARN_UNUSED;
/* As rm_semantic_learn; with `keep` the record ask->record, which was put before this, becomes an entry. *ret_id: its id, or
 * UINT64_MAX for none (also on failure). RM_EBUSY: not loaded yet, or the store's queue is full. Any thread. */
rm_status rm_keeper_learn(rm_keeper *keeper, const rm_semantic_ask *ask, const rm_semantic_decision *decision,
                          const rm_semantic_answer *answer, bool keep, uint64_t *ret_id) RM_WARN_UNUSED;
/* An entry whose record was not found. Any thread. */
void rm_keeper_forget(rm_keeper *keeper, rm_key128 partition, uint64_t id);

/* The next piece of slow work, up to about 50 ms or one round of training. *ret_more: call again at once; else in about 100 ms.
 * One thread, the same each time. A failure harms nothing and is tried again. */
rm_status rm_keeper_tend(rm_keeper *keeper, bool *ret_more) RM_WARN_UNUSED;

/* ---- receipts and feedback --------------------------------------------------------------------------------------- */

/* False while what the store kept is loaded: counts and entries are not whole yet. Any thread. */
bool rm_keeper_is_ready(rm_keeper *keeper);

/* One of the latest RM_SEMANTIC_RECEIPTS_MAX decisions, by the request's x-remora-id. */
typedef struct rm_semantic_receipt {
    char id[33];
    char name_space[RM_NAMESPACE_BYTES_MAX + 1];
    bool shadow;
    double max_error;
    uint64_t decided_ms; /* Unix */
    rm_semantic_decision decision;
    rm_key128 record; /* under which the fresh answer is kept, where one was asked for */
    unsigned told;    /* bits of what was said of it: 1 << right */
} rm_semantic_receipt;

/* Any thread. Without memory it is not kept. */
void rm_keeper_add_receipt(rm_keeper *keeper, const rm_semantic_receipt *receipt);
/* RM_ENOTFOUND. Any thread. */
rm_status rm_keeper_get_receipt(rm_keeper *keeper, rm_slice id, rm_semantic_receipt *ret_receipt) RM_WARN_UNUSED;

/* What came of somebody's word on an answer. */
#define RM_FEEDBACK_EFFECTS(X)                                                                              \
    X(NOTHING, "nothing", "nothing is to change: a fresh answer that is right, or is not kept")             \
    X(AGAIN, "again", "that was said of it before")                                                         \
    X(LEARNT, "learnt", "the evidence has one more right hit")                                              \
    X(QUARANTINE, "quarantine", "the answer is served to no other question until fresh ones agree with it") \
    X(DELETED, "deleted", "the fresh answer is not in the cache any more")

typedef enum rm_feedback_effect {
#define X(code, name, text) RM_FEEDBACK_##code,
    RM_FEEDBACK_EFFECTS(X)
#undef X
        RM_FEEDBACK_EFFECT_COUNT
} rm_feedback_effect;

/* Somebody says that the answer of this id was right or wrong. Of a hit, rm_semantic_feedback; a fresh answer that was wrong is
 * deleted, and so is the entry that it became. Each of the two words counts once. Waits for the store: not on a data loop.
 * RM_ENOTFOUND: no receipt; RM_EIO: it could not be deleted. */
rm_status rm_keeper_feedback(rm_keeper *keeper, rm_slice id, bool right, rm_feedback_effect *ret_effect) RM_WARN_UNUSED;

#endif
