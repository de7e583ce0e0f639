/* S3-FIFO (Yang, Zhang, Qiu, Yue, Vigfusson: "FIFO queues are all you need for cache eviction", SOSP 2023), without the
 * queues: what may be decided in memory. Whoever holds the queues (the writer in LMDB, a test or benchmark in arrays)
 * asks here where an entry goes and what becomes of the one at a queue's head.
 *
 *     new ──────────────► small (a tenth) ── used twice ──► main ── used ──┐
 *      │                     │                               │ ▲           │
 *      └─ ghost knows it ──► main       not: out, ghost      │ └── again ──┘ (one use spent)
 *                                                            └── not: out
 *
 * Uses are counted in a fixed table by key bits: readers add with relaxed atomics and never allocate; keys that share a
 * counter blur each other a little. Ghost and counters start empty with the process. */
#ifndef REMORA_STORE_EVICT_H
#define REMORA_STORE_EVICT_H

#include "remora/base.h"

enum {
    RM_STORE__USES_MAX = 3,     /* counters stop here (two bits in the paper) */
    RM_STORE__USES_TO_MAIN = 2, /* uses that earn a place in main */
    RM_STORE__SMALL_SHARE = 10, /* small holds one part in so many */
    RM_STORE__GHOST_WAYS = 4
};

typedef enum rm_store__queue { RM_STORE__SMALL = 0, RM_STORE__MAIN, RM_STORE__QUEUE_COUNT } rm_store__queue;
typedef enum rm_store__verdict { RM_STORE__EVICT = 0, RM_STORE__KEEP_IN_MAIN } rm_store__verdict;

typedef struct rm_store__ghost_slot {
    uint32_t tag; /* of the key; 0: empty */
    uint32_t time;
} rm_store__ghost_slot;

typedef struct rm_store__policy {
    /* fixed at init */
    _Atomic uint8_t *uses; /* any thread */
    uint64_t uses_mask;
    uint64_t ghost_mask; /* of buckets */
    /* the queues' owner only */
    rm_store__ghost_slot *ghost;
    uint32_t ghost_time;
} rm_store__policy;

/* `entries` is how many are expected; memory is 2 to 6 bytes for each, touched only as it is used. RM_ENOMEM. */
rm_status rm_store__policy_init(rm_store__policy *policy, uint64_t entries) RM_WARN_UNUSED;
void rm_store__policy_deinit(rm_store__policy *policy);

static inline uint64_t rm_store__policy_spread(rm_key128 key)
{
    return key.lo ^ (key.hi * 0x9e3779b97f4a7c15ULL);
}

/* Any thread: the entry was served. Two threads at once may count one use. */
static inline void rm_store__policy_use(rm_store__policy *policy, rm_key128 key)
{
    _Atomic uint8_t *uses = &policy->uses[rm_store__policy_spread(key) & policy->uses_mask];
    uint8_t now = atomic_load_explicit(uses, memory_order_relaxed);
    if (now < RM_STORE__USES_MAX)
        atomic_store_explicit(uses, (uint8_t)(now + 1), memory_order_relaxed);
}

/* Where a new entry goes; `window` is how many evictions back the ghost remembers (as many as main has entries). */
rm_store__queue rm_store__policy_admit(rm_store__policy *policy, rm_key128 key, uint64_t window);
/* Which queue gives up its head next. */
rm_store__queue rm_store__policy_choose(uint64_t small_bytes, uint64_t main_bytes);
/* What becomes of that head. */
rm_store__verdict rm_store__policy_judge(rm_store__policy *policy, rm_store__queue queue, rm_key128 key);

#endif
